/* SPDX-License-Identifier: MIT */
/* A plan that is put together. */

#include <string.h>

#include "testlib.h"

#include "sbx/spec/plan.h"

Test(plan, a_new_one_has_nothing)
{
	struct sbx_plan plan;

	plan_init(&plan);
	cr_expect_eq(plan.n_steps, 0);
	cr_expect_eq(plan.n_remarks, 0);
	cr_expect_eq(plan.parent_userns_fd, -1);
	plan_finish(&plan);
}

Test(plan, a_new_step_says_none_everywhere)
{
	struct sbx_plan plan;
	const struct plan_step *step;

	plan_init(&plan);
	step = plan_add_step(&plan, PLAN_STEP_TMPFS, "--tmpfs");
	cr_assert(step);
	cr_expect_eq(step->kind, PLAN_STEP_TMPFS);
	cr_expect_eq(step->fd, -1);
	cr_expect_eq(step->uid, (uid_t)-1);
	cr_expect_eq(step->gid, (gid_t)-1);
	cr_expect_eq(step->mode, -1);
	cr_expect_eq(step->attrs, 0);
	cr_expect_null(step->source);
	cr_expect_null(step->dest);
	cr_expect_str_eq(step->cause, "--tmpfs");
	plan_finish(&plan);
}

Test(plan, thousands_of_steps_and_remarks_stay_in_order)
{
	enum { MANY = 6000 };
	struct sbx_plan plan;

	plan_init(&plan);
	for (int i = 0; i < MANY; i++) {
		struct plan_step *step = plan_add_step(&plan, PLAN_STEP_DIR, "--dir");

		cr_assert(step);
		step->mode = i;
		cr_assert_eq(plan_add_remark(&plan, "topic", "remark %d", i), 0);
	}
	cr_assert_eq(plan.n_steps, MANY);
	cr_assert_eq(plan.n_remarks, MANY);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(plan.steps[i].mode, i);
	cr_expect_str_eq(plan.remarks[MANY - 1].text, "remark 5999");
	cr_expect_str_eq(plan.remarks[0].topic, "topic");
	plan_finish(&plan);
}

Test(plan, a_long_remark_is_cut_not_overrun)
{
	struct sbx_plan plan;
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	plan_init(&plan);
	cr_expect_eq(plan_add_remark(&plan, "long", "%s", text), 0);
	cr_expect_gt(strlen(plan.remarks[0].text), 500);
	plan_finish(&plan);
}
