/* SPDX-License-Identifier: MIT */
/*
 * explain: print a plan without carrying it out, for people and for programs.
 * Both forms have the same content; of the environment they hold only names. Behind the
 * plan stands what made it: each setting with its option, and the profile's line of that.
 * Runs in: the caller's process, in place of a launch.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

enum { EXPLAIN_JSON_VERSION = 1 };

int explain_print_text(const struct sbx_plan *plan, const struct sbx_spec *spec, int fd,
		       struct sbx_err *err);
int explain_print_json(const struct sbx_plan *plan, const struct sbx_spec *spec, int fd,
		       struct sbx_err *err);
