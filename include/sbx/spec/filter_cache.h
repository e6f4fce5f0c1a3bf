/* SPDX-License-Identifier: MIT */
/*
 * filter_cache: filters that another program has made, kept for the next launch in the
 * caller's runtime directory; and what keeps a sandbox from writing there.
 * Runs in: the caller's process; what is to be kept is written by the monitor.
 */
#pragma once

#include "sbx/seccomp/program.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

enum {
	FILTER_CACHE_NAMES = 2,
	FILTER_CACHE_ENTRIES_MAX = 64,
	FILTER_CACHE_KEY_MAX_BYTES = (1 << 20) + (16 << 10), /* a profile, and what else counts */
	FILTER_CACHE_FILES_MAX_BYTES = 4096,
	FILTER_CACHE_TEXT_MAX_BYTES = 64 << 10,
	FILTER_CACHE_PATH_BYTES = 64, /* of a runtime directory, with what is below it */
	FILTER_CACHE_NAME_BYTES = 24,
};

/* Where entries are, below the runtime directory; see there. */
extern const char *const filter_cache_names[FILTER_CACHE_NAMES];

/* All that decides what the filter is: an entry has it whole, and is for nothing else. */
struct filter_cache_key {
	uid_t uid;
	const char *data;
	size_t len;
};

/* What an entry holds. Read, it points into what was read. */
struct filter_cache_item {
	struct seccomp_program program;
	const char *files; /* that made it, a line each: what filter_cache_identify() said, and
			      the path */
	const char *text;  /* what was to be remarked, a line each */
};

/* An entry to be written. */
struct filter_cache_entry {
	uid_t uid;
	char name[FILTER_CACHE_NAME_BYTES];
	const char *data;
	size_t len;
};

uint64_t filter_cache_digest(const char *data, size_t len);
const char *filter_cache_obstacle(const struct probe_host *host, struct arena *arena);
int filter_cache_identify(const char *path, struct arena *arena, const char **ret);
int filter_cache_find(const struct filter_cache_key *key, struct arena *arena,
		      struct filter_cache_item *ret);
bool filter_cache_parse(const char *data, size_t len, const struct filter_cache_key *key,
			struct filter_cache_item *ret);
int filter_cache_pack(const struct filter_cache_key *key, const struct filter_cache_item *item,
		      struct arena *arena, struct filter_cache_entry *ret);
int filter_cache_store(const struct filter_cache_entry *entry);

void filter_cache_runtime_dir(uid_t uid, char path[FILTER_CACHE_PATH_BYTES]);
int filter_cover_add_steps(const struct probe_host *host, struct sbx_plan *plan,
			   struct sbx_err *err);
