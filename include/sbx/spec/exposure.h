/* SPDX-License-Identifier: MIT */
/*
 * exposure: what a plan lets the sandbox reach of the host, as remarks. Only
 * --explain and -v ask for it: it looks at every source.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

int exposure_add_remarks(const struct probe_host *host, bool walks, struct sbx_plan *plan,
			 struct sbx_err *err);
