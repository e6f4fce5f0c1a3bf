/* SPDX-License-Identifier: MIT */
/*
 * steps: the other half of the table of step kinds: run(). Runs in: PID 1 and
 * the payload, whichever the step's phase says.
 */
#pragma once

#include "sbx/run/context.h"

/* step_run_NAME() for every kind; in the file of run/ that its work belongs to. */
#define X(id, fn, when)                                                                            \
	int step_run_##fn(struct run_context *ctx, const struct plan_step *step,                   \
			  struct sbx_err *err);
PLAN_STEP_KINDS(X)
#undef X

int steps_run_phase(struct run_context *ctx, enum plan_phase phase, struct sbx_err *err);
