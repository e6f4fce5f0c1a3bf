/* SPDX-License-Identifier: MIT */
/*
 * resolve: spec + defaults + host -> plan, or an error before anything exists.
 * The only code that looks at the host. Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/spec.h"

int resolve_plan(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		 struct sbx_err *err);
