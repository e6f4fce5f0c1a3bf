/* SPDX-License-Identifier: MIT */
/* lookup: find and execute the command, or say exactly why not. Runs in: the payload. */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

int lookup_check(const struct sbx_plan *plan, struct sbx_err *err);
int lookup_exec(const struct sbx_plan *plan, struct sbx_err *err);
