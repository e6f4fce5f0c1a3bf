/* SPDX-License-Identifier: MIT */
/*
 * idmap: which ids the sandbox has. Reads subuid(5), lays the ranges out.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

int idmap_parse_subids(const char *text, size_t len, const char *user, uid_t uid,
		       struct arena *arena, struct probe_range **ret_ranges, size_t *ret_count,
		       struct sbx_err *err);
uint32_t idmap_find_free(const char *text, size_t len, uint32_t least);
int idmap_lay_out(const struct probe_range *ranges, size_t n_ranges, uint32_t own_inside,
		  uint32_t own_outside, struct arena *arena, struct plan_map *ret_map,
		  struct sbx_err *err);
int idmap_split(const struct plan_map *above, struct arena *arena, struct plan_map *map,
		struct sbx_err *err);
bool idmap_has(const struct plan_map *map, uint32_t inside);
