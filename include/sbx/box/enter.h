/* SPDX-License-Identifier: MIT */
/*
 * enter: a plan for one more command in a sandbox that runs. Runs in: the verbs, and what
 * the plan says, in run/launch.c.
 */
#pragma once

#include "sbx/box/box.h"
#include "sbx/spec/plan.h"

/* What is asked for. All is borrowed, and must live as long as the plan. */
struct enter {
	char *const *argv;	/* the command, NULL-terminated */
	const char *const *env; /* NAME=VALUE, n_env of them, in order */
	size_t n_env;
	const char *chdir;  /* NULL: as the sandbox's command */
	uid_t uid;	    /* (uid_t)-1: as the sandbox's command */
	gid_t gid;	    /* with uid */
	bool tty;	    /* a terminal of its own */
	uint32_t terminals; /* bit n: descriptor n is the caller's terminal */
	bool detach;
};

int enter_plan(const struct box *box, const struct enter *enter, struct sbx_plan *plan,
	       int *ret_pidfd, int *ret_cgroup_fd, struct sbx_err *err);
