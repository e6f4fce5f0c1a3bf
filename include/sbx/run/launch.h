/* SPDX-License-Identifier: MIT */
/*
 * launch: carry out a plan. The calling process becomes the monitor.
 * Runs in: the monitor.
 */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/base/str.h"
#include "sbx/spec/plan.h"

/* The memory that the kernel shows as a process's command line and environment. */
struct launch_title {
	char *start;
	size_t len;
};

/* Who called sbx, noted before anything else is done: both may change afterwards. */
struct launch_caller {
	struct launch_title title;
	pid_t parent;	    /* 0: in another pid namespace */
	bool again;	    /* after LAUNCH_WITHOUT_RANGE: what is said at the start has been */
	int notify_fd;	    /* with --detach: who is told of the start (detach.h); -1: nobody */
	int session_fds[2]; /* with --cow: what the monitor keeps open, and nobody else; -1: none */
	const sigset_t *sigmask; /* what it had blocked, if signals are blocked already; or NULL */
	/*
	 * With --detach: called when all is over and what is printed still comes to the log; NULL:
	 * not.
	 * @failed: the launch has; @note: what is to be kept of it
	 */
	void (*tell_end)(void *arg, bool failed, struct str_buf *note);
	void *tell_arg;
};

/*
 * launch_run()'s third answer: a helper could not map the range, the plan came
 * from --map=auto, and nothing has run. *err says what the helper's failure was.
 */
enum { LAUNCH_WITHOUT_RANGE = 1 };

struct launch_caller launch_note_caller(char *const *argv, char *const *environ_);
int launch_run(const struct sbx_plan *plan, const struct launch_caller *caller, int *ret_exit_code,
	       struct sbx_err *err);
