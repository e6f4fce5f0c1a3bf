/* SPDX-License-Identifier: MIT */
/*
 * records: where records are kept, and looked for: of placeholders, and of running
 * sandboxes. Asked for every plan, and by the verbs, which make none.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

int records_add_dirs(const struct probe_host *host, struct sbx_plan *plan, struct sbx_err *err);
int records_add_networks(const struct probe_host *host, struct sbx_plan *plan,
			 const char *dirs[PLAN_RECORD_DIRS]);
const char *records_remedy(const char *dir, int number);
int records_refuse(const char *dir, int number, struct sbx_err *err);
int records_blame(const struct sbx_plan *plan, int r, struct sbx_err *err);
