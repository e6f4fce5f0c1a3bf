/* SPDX-License-Identifier: MIT */
/* steps: run a plan's steps, phase by phase. */

#include "sbx/run/steps.h"
#include "sbx/spec/steps.h"

static int (*const step_runs[PLAN_STEP_COUNT_])(struct run_context *ctx,
						const struct plan_step *step,
						struct sbx_err *err) = {
#define X(id, fn, when) [PLAN_STEP_##id] = step_run_##fn,
	PLAN_STEP_KINDS(X)
#undef X
};

/* Which of the plan's steps belong to `phase`, run in order; stop at the first failure. */
int steps_run_phase(struct run_context *ctx, enum plan_phase phase, struct sbx_err *err)
{
	const struct sbx_plan *plan = ctx->plan;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_step *step = &plan->steps[i];
		int r;

		if (step_kinds[step->kind].phase != phase)
			continue;

		r = step_runs[step->kind](ctx, step, err);
		if (r < 0) {
			err_blame_step(err, plan, i);
			return r;
		}
	}
	return 0;
}
