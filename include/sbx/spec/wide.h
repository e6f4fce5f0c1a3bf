/* SPDX-License-Identifier: MIT */
/*
 * wide: a profile's "rw .", where "." turns out to be more than a directory to work in.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/spec.h"

int wide_check(const struct sbx_spec *spec, size_t op, const struct probe_host *host,
	       struct sbx_plan *plan, struct sbx_err *err);
