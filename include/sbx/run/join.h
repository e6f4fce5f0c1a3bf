/* SPDX-License-Identifier: MIT */
/*
 * join: make PID 1 in namespaces that exist already (--userns, --pidns), and let it
 * enter another user namespace when all is set up (--userns2); or make a process in all
 * namespaces of a sandbox that runs (sbx exec).
 * Runs in: the monitor, a child of it, and PID 1.
 */
#pragma once

#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/base/sys.h"
#include "sbx/run/launch.h"
#include "sbx/spec/plan.h"

bool join_is_needed(const struct sbx_plan *plan);
pid_t join_clone(const struct sbx_plan *plan, int holder_fd, const struct clone_args *args,
		 struct launch_title title, int *ret_pidfd, struct sbx_err *err);
int join_become(const struct sbx_plan *plan, struct sbx_err *err);
