/* SPDX-License-Identifier: MIT */
/*
 * cgroup: what --memory, --cpus, --pids and their like say, and which cgroup they are set on.
 * Runs in: the caller's process (parser and resolve).
 */
#pragma once

#include "sbx/spec/probe.h"

enum { CGROUP_VALUE_SIZE = 64, CGROUP_IO_VALUES_SIZE = 160 };

/* --io-max, read */
struct cgroup_io_max {
	const char *device; /* in the text; its length: */
	size_t device_len;
	char values[CGROUP_IO_VALUES_SIZE]; /* as io.max takes them */
};

int cgroup_read_limit(const char *option, const char *text, char ret_value[CGROUP_VALUE_SIZE],
		      struct sbx_err *err);
int cgroup_read_io_max(const char *text, const char *option, struct cgroup_io_max *ret,
		       struct sbx_err *err);
int cgroup_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		  struct sbx_err *err);
