/* SPDX-License-Identifier: MIT */
/*
 * scope: have systemd's manager put this process into a scope of its own, or another one.
 * Runs in: the monitor, and sbx exec.
 */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

#define SCOPE_SERVICE "org.freedesktop.systemd1"
#define SCOPE_PATH "/org/freedesktop/systemd1"
#define SCOPE_INTERFACE "org.freedesktop.systemd1.Manager"

enum {
	SCOPE_WAIT_MS = 30 * 1000, /* for systemd to make one */
	SCOPE_PAUSE_MS = 20,	   /* between looks at what else may end the wait for it */
};

/* Who asks, and how. All is borrowed. */
struct scope_request {
	const char *busctl, *address; /* as in struct plan_limits */
	const char *id;		      /* of the sandbox: the scope becomes sbx-ID.scope */
	const sigset_t *sigmask;      /* of busctl */
	int64_t end_ms;		      /* of the launch's time, CLOCK_MONOTONIC; INT64_MAX: none */
};

/* A scope that is to be made. */
struct scope_wanted {
	const char *address; /* of the manager's bus */
	const char *name, *about;
	pid_t pid;	    /* its first process */
	int64_t end_ms;	    /* as above */
	int64_t give_up_ms; /* when systemd has had its time */
};

#define SCOPE_MONITOR "monitor" /* the cgroup in a scope that the monitor is in */

int scope_start(const struct scope_request *request, struct arena *arena, const char **ret_path,
		struct sbx_err *err);
int scope_may_wait(const struct scope_wanted *wanted, struct sbx_err *err);
int scope_library_start(const struct scope_wanted *wanted, struct sbx_err *err);
int scope_join(const char *busctl, const char *address, const char *unit, const char *below,
	       struct arena *arena, struct sbx_err *err);
