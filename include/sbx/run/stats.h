/* SPDX-License-Identifier: MIT */
/*
 * stats: what a sandbox has used, and which of its limits were reached. Runs in: the monitor.
 */
#pragma once

#include "sbx/base/json.h"
#include "sbx/base/str.h"
#include "sbx/spec/plan.h"

/* What can be told; see stats_figures. */
enum stats_id {
	STATS_WALL_MS,
	STATS_USER_MS,
	STATS_SYSTEM_MS,
	STATS_MAX_RSS_KB,  /* of the largest process */
	STATS_MEMORY_PEAK, /* bytes */
	STATS_PIDS_PEAK,
	STATS_READ_BYTES,
	STATS_WRITTEN_BYTES,
	STATS_OOM_KILLS,
	STATS_MEMORY_OOMS, /* how often the limit on memory was reached and nothing helped */
	STATS_PIDS_REFUSED,
	STATS_THROTTLED,
	STATS_THROTTLED_MS,
	STATS_COUNT_,
};

enum { STATS_REACHED_MAX = 256 }; /* of the words about limits */

struct stats {
	uint32_t has_cgroup; /* a bool, in a form that is kept in a file (kept.h) */
	uint32_t known;	     /* bit n: enum stats_id */
	uint64_t value[STATS_COUNT_];
};

void stats_begin(struct stats *stats, int64_t now_ms);
void stats_read_children(struct stats *stats, int64_t now_ms);
void stats_read_cgroup(struct stats *stats, int limits_fd, int payload_fd, bool all);
void stats_describe(const struct stats *stats, struct str_buf *out);
void stats_describe_limits(const struct stats *stats, const struct plan_limits *limits,
			   struct str_buf *out);
void stats_add_json(struct json_out *json, const struct stats *stats, const char *reached);
