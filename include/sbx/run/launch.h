/* SPDX-License-Identifier: MIT */
/*
 * launch: carry out a plan. The calling process becomes the monitor.
 * Runs in: the monitor.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

struct launch_result {
	int exit_code; /* what sbx exits with, when the launch itself did not fail */
};

int launch_run(const struct sbx_plan *plan, struct launch_result *ret_result, struct sbx_err *err);
