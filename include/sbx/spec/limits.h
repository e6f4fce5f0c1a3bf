/* SPDX-License-Identifier: MIT */
/*
 * limits: what --rlimit, --nice, --oom-score-adj, --timeout and --kill-after say, and the
 * steps that they make. Runs in: the caller's process; PID 1 and the payload read their
 * steps' texts with the same functions.
 */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include "sbx/spec/plan.h"

/* Numbers within bounds of the kernel's. */
enum limits_number { LIMITS_NICE, LIMITS_OOM_SCORE, LIMITS_NUMBER_COUNT_ };

struct limits_rlimit {
	int resource;	     /* RLIMIT_* */
	struct rlimit value; /* RLIM_INFINITY: unlimited */
};

int limits_read_rlimit(const char *text, const char *option, struct limits_rlimit *ret,
		       struct sbx_err *err);
int limits_read_number(enum limits_number which, const char *text, const char *option, int *ret,
		       struct sbx_err *err);
int limits_read_duration(const char *text, const char *option, int64_t *ret_ms,
			 struct sbx_err *err);

int limits_choose(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err);
int limits_add_early(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err);
int limits_add_payload(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err);
