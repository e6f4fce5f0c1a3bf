/* SPDX-License-Identifier: MIT */
/*
 * fuse_maker: the process that starts one fuse-overlayfs in a sandbox of its own, and hands its
 * mount over. Runs in: a child of the monitor.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "sbx/spec/plan.h"

struct fuse_maker {
	const struct sbx_plan *plan;
	const struct plan_step *step;
	bool alone;		 /* it keeps what is written, too */
	const sigset_t *sigmask; /* for the helper */
	pid_t monitor;
	int init_pidfd; /* PID 1's, whose user namespace is entered */
	int sock_fd;	/* to the monitor */
	int error_fd;	/* the helper's stderr */
	int cgroup_fd;	/* cgroup.procs of the helpers; -1: none */
};

noreturn void fuse_maker_main(const struct fuse_maker *m);
