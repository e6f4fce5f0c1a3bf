/* SPDX-License-Identifier: MIT */
/*
 * status: tell programs what becomes of a sandbox, as JSON on a descriptor
 * (--info-fd, --json-status-fd). The monitor writes: only it has the numbers that the
 * caller can use. What a verb prints for programs has errors in the same form.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/base/json.h"
#include "sbx/run/stats.h"
#include "sbx/spec/plan.h"

int status_write_start(const struct sbx_plan *plan, pid_t child, struct sbx_err *err);
void status_write_no_limits(const struct sbx_plan *plan, const struct sbx_err *why);
void status_write_ports(const struct sbx_plan *plan, const struct plan_port *ports, size_t n);
void status_write_exit(const struct sbx_plan *plan, const struct stats *stats, int exit_code);
void status_write_error(int fd, const struct sbx_err *failed);
void status_add_error(struct json_out *json, const struct sbx_err *failed);
