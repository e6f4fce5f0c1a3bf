/* SPDX-License-Identifier: MIT */
/*
 * bus: the helper that filters the session bus (xdg-dbus-proxy), and the socket that
 * the command has of it. Runs in: the monitor, but for the step, which is PID 1's.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "sbx/base/err.h"
#include "sbx/run/helper.h"
#include "sbx/spec/plan.h"

struct bus_job {
	const struct sbx_plan *plan; /* borrowed; NULL: not yet */
	const sigset_t *sigmask;     /* borrowed; for the helper */
	struct helper helper;	     /* ends when we close its ready_fd */
	bool ready;		     /* the socket is there */
};

void bus_job_init(struct bus_job *job);
void bus_job_finish(struct bus_job *job);
int bus_job_start(struct bus_job *job, int *dir_fd, struct sbx_err *err);
bool bus_job_is_awaited(const struct bus_job *job);
bool bus_job_is_starting(const struct bus_job *job);
bool bus_job_hear(struct bus_job *job);
int bus_job_reap(struct bus_job *job, struct sbx_err *err);
int bus_job_timed_out(const struct bus_job *job, int seconds, struct sbx_err *err);
