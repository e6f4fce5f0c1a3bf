/* SPDX-License-Identifier: MIT */
/* plan: make an empty plan, add to it. Only resolve does; afterwards a plan is const. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sbx/spec/plan.h"

void plan_init(struct sbx_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	arena_init(&plan->arena);
	plan->parent_userns_fd = -1;
	plan->parent_pidns_fd = -1;
	plan->netns_fd = -1;
	plan->box_pidfd = -1;
	plan->box_cgroup_fd = -1;
	plan->null_fd = -1;
	plan->joined_uid = (uid_t)-1;
	plan->joined_gid = (gid_t)-1;
	plan->sync_fd = -1;
	plan->info_fd = -1;
	plan->json_status_fd = -1;
	plan->userns_block_fd = -1;
}

void plan_finish(struct sbx_plan *plan)
{
	arena_finish(&plan->arena);
}

/**
 * Append a step with everything at "none".
 * @cause: the option, with its dashes, or "default"; borrowed
 *
 * Return: the step, valid until the next call; NULL when memory runs out.
 */
struct plan_step *plan_add_step(struct sbx_plan *plan, enum plan_step_kind kind, const char *cause)
{
	struct plan_step *steps =
		arena_grow(&plan->arena, plan->steps, plan->n_steps, sizeof(*plan->steps));
	struct plan_step *step;

	if (!steps)
		return NULL;
	plan->steps = steps;
	step = &steps[plan->n_steps++];
	*step = (struct plan_step){
		.kind = kind,
		.fd = -1,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = -1,
		.parent_mode = 0755,
		.cause = cause,
	};
	return step;
}

/* Add a remark. Return: 0 or -ENOMEM. */
int plan_add_remark(struct sbx_plan *plan, const char *topic, const char *fmt, ...)
{
	struct plan_remark *remarks =
		arena_grow(&plan->arena, plan->remarks, plan->n_remarks, sizeof(*plan->remarks));
	char text[1024];
	char *copy;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	copy = arena_dup(&plan->arena, text);
	if (!remarks || !copy)
		return -ENOMEM;
	plan->remarks = remarks;
	plan->remarks[plan->n_remarks++] = (struct plan_remark){topic, copy};
	return 0;
}
