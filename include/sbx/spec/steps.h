/* SPDX-License-Identifier: MIT */
/*
 * steps: the table of step kinds, as far as reading a plan needs it: name,
 * phase, and a sentence for people. --explain, -v and error trails print from
 * it. Any process.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/spec/plan.h"

struct step_kind {
	const char *name;
	enum plan_phase phase;
	void (*describe)(const struct plan_step *step, struct str_buf *out);
};

extern const struct step_kind step_kinds[PLAN_STEP_COUNT_];
extern const char *const step_phase_names[PLAN_PHASE_COUNT_];

void step_describe(const struct plan_step *step, struct str_buf *out);
void step_describe_cause(const struct plan_step *step, struct str_buf *out);
void err_blame_step(struct sbx_err *err, const struct sbx_plan *plan, size_t index);
