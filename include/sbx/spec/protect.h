/* SPDX-License-Identifier: MIT */
/*
 * protect: the presets of --protect, as tables of paths, and what they mean for a
 * bind. Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

bool protect_is_preset(const char *word);
int protect_add_preset(const struct probe_host *host, const char *source, const char *dest,
		       struct sbx_plan *plan, struct sbx_err *err);
