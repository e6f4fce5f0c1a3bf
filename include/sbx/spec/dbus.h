/* SPDX-License-Identifier: MIT */
/*
 * dbus: whether the command gets a session bus, and what of it (--dbus-session and
 * the rules). Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

int dbus_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		struct sbx_err *err);
int dbus_add_step(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err);
