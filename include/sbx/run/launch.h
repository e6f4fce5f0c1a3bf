/* SPDX-License-Identifier: MIT */
/*
 * launch: carry out a plan. The calling process becomes the monitor.
 * Runs in: the monitor.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

/* The memory that the kernel shows as a process's command line and environment. */
struct launch_title {
	char *start;
	size_t len;
};

struct launch_title launch_find_title(char *const *argv, char *const *environ_);
int launch_run(const struct sbx_plan *plan, struct launch_title title, int *ret_exit_code,
	       struct sbx_err *err);
