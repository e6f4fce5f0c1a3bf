/* SPDX-License-Identifier: MIT */
/*
 * filter_file: the filter of --seccomp FILE, made by the program sbx-seccomp, for
 * JSON is not parsed here. Part of resolve(); runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/filter.h"

int filter_read_file(const struct filter_wanted *wanted, struct sbx_plan *plan,
		     struct seccomp_program *ret, struct sbx_err *err);
int filter_find_reader(const struct probe_host *host, const struct sbx_spec *spec,
		       const char **ret_path, struct sbx_err *err);
