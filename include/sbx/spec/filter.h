/* SPDX-License-Identifier: MIT */
/*
 * filter: which system call filters a sandbox gets, and where each is loaded.
 * Part of resolve(); runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"

struct probe_host;

/* What is known when filters are chosen. */
struct filter_wanted {
	const struct probe_host *host;
	const struct sbx_spec *spec; /* borrowed, as in the plan */
	uint64_t caps;		     /* that the command keeps */
	bool own_privileges; /* the command drops privileges by itself, behind PID 1's fork */
};

int filter_choose(const struct filter_wanted *wanted, struct sbx_plan *plan, struct sbx_err *err);
int filter_add_early(struct sbx_plan *plan, struct sbx_err *err);
int filter_add_init(struct sbx_plan *plan, bool keyring, struct sbx_err *err);
int filter_add_payload(struct sbx_plan *plan, struct sbx_err *err);
int filter_add_reaper(struct sbx_plan *plan, struct sbx_err *err);
bool filter_guards_terminal(const struct sbx_plan *plan);
bool filter_init_survives(const struct seccomp_program *program);
bool filter_can_start(const struct seccomp_program *program);
bool filter_leaves_open(const struct sbx_plan *plan, const char *call, uint64_t arg0,
			uint64_t arg1);
