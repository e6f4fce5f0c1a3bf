/* SPDX-License-Identifier: MIT */
/*
 * stats: see stats.h.
 *
 * The kernel counts for a cgroup, and for children that were waited for (getrusage(2)). The
 * latter is all there is without a cgroup: the time of everything that was waited for inside, and
 * the size of the largest process. What a kernel has no file for is not known, and said to be so:
 * memory.peak came with Linux 5.19, pids.peak with 6.1.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/run/stats.h"

enum { STATS_TEXT_MAX = 16384 };

/* Where a figure stands in a cgroup, and what it is called in JSON. */
static const struct stats_figure {
	const char *json;
	const char *file, *key; /* NULL: of no file; the file is one number */
	uint32_t divisor;
	bool sum;	/* of all lines, "8:0 rbytes=1 ..." */
	bool of_limits; /* it tells which were reached */
} stats_figures[STATS_COUNT_] = {
	[STATS_WALL_MS] = {.json = "wall-ms"},
	[STATS_USER_MS] = {"user-ms", "cpu.stat", "user_usec", 1000, false, false},
	[STATS_SYSTEM_MS] = {"system-ms", "cpu.stat", "system_usec", 1000, false, false},
	[STATS_MAX_RSS_KB] = {.json = "max-rss-kb"},
	[STATS_MEMORY_PEAK] = {"memory-peak-bytes", "memory.peak", NULL, 1, false, false},
	[STATS_PIDS_PEAK] = {"processes-peak", "pids.peak", NULL, 1, false, false},
	[STATS_READ_BYTES] = {"read-bytes", "io.stat", "rbytes", 1, true, false},
	[STATS_WRITTEN_BYTES] = {"written-bytes", "io.stat", "wbytes", 1, true, false},
	[STATS_OOM_KILLS] = {"oom-kills", "memory.events", "oom_kill", 1, false, true},
	[STATS_MEMORY_OOMS] = {"memory-limit-reached", "memory.events", "oom", 1, false, true},
	[STATS_PIDS_REFUSED] = {"processes-refused", "pids.events", "max", 1, false, true},
	[STATS_THROTTLED] = {"throttled", "cpu.stat", "nr_throttled", 1, false, false},
	[STATS_THROTTLED_MS] = {"throttled-ms", "cpu.stat", "throttled_usec", 1000, false, false},
};

static void stats_set(struct stats *stats, enum stats_id id, uint64_t value)
{
	stats->known |= 1u << id;
	stats->value[id] = value;
}

static bool stats_knows(const struct stats *stats, enum stats_id id)
{
	return stats->known >> id & 1;
}

/* @now_ms: CLOCK_MONOTONIC */
void stats_begin(struct stats *stats, int64_t now_ms)
{
	memset(stats, 0, sizeof(*stats));
	stats->value[STATS_WALL_MS] = (uint64_t)now_ms;
}

static uint64_t stats_ms(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_usec / 1000;
}

/* What is known of any sandbox, when it has ended. */
void stats_read_children(struct stats *stats, int64_t now_ms)
{
	struct rusage used;

	stats_set(stats, STATS_WALL_MS, (uint64_t)now_ms - stats->value[STATS_WALL_MS]);
	if (getrusage(RUSAGE_CHILDREN, &used) < 0)
		return;
	if (!stats_knows(stats, STATS_USER_MS)) {
		stats_set(stats, STATS_USER_MS, stats_ms(&used.ru_utime));
		stats_set(stats, STATS_SYSTEM_MS, stats_ms(&used.ru_stime));
	}
	stats_set(stats, STATS_MAX_RSS_KB, (uint64_t)used.ru_maxrss);
}

/* The number behind a word: "KEY N" at the beginning of a line, or anywhere "KEY=N". */
static bool stats_find(const char **rest, const char *key, bool assigned, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *at = *rest; (at = strstr(at, key)); at += len) {
		bool begins = at == *rest || at[-1] == '\n' || (assigned && at[-1] == ' ');

		if (!begins || at[len] != (assigned ? '=' : ' '))
			continue;
		*ret = strtoull(at + len + 1, NULL, 10);
		*rest = at + len;
		return true;
	}
	return false;
}

static void stats_parse(struct stats *stats, enum stats_id id, const char *text)
{
	const struct stats_figure *figure = &stats_figures[id];
	uint64_t value = 0, one;

	if (!figure->key)
		value = strtoull(text, NULL, 10);
	else if (figure->sum)
		while (stats_find(&text, figure->key, true, &one))
			value += one;
	else if (!stats_find(&text, figure->key, false, &value))
		return;
	/* A cgroup and the one below it may each have counted; once is enough. */
	value /= figure->divisor;
	if (!stats_knows(stats, id) || value > stats->value[id])
		stats_set(stats, id, value);
}

/* All that stands in one file: the kernel gathers what is in it at each reading. */
static void stats_read_file(struct stats *stats, int dir_fd, const char *file)
{
	_autoclose_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	char text[STATS_TEXT_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return;
	text[n] = '\0';
	for (size_t id = 0; id < STATS_COUNT_; id++)
		if (stats_figures[id].file && str_equal(stats_figures[id].file, file))
			stats_parse(stats, (enum stats_id)id, text);
}

static bool stats_is_first_of_file(size_t id)
{
	const char *file = stats_figures[id].file;

	for (size_t before = 0; file && before < id; before++)
		if (stats_figures[before].file && str_equal(stats_figures[before].file, file))
			return false;
	return file;
}

/**
 * What is counted for the cgroups, before they are removed.
 * @limits_fd, @payload_fd: borrowed; see run/cgroup.c. Until Linux 6.11 a process that was
 *                          refused is counted where it would have been, only
 * @all:                    false: only what tells which limits were reached
 */
void stats_read_cgroup(struct stats *stats, int limits_fd, int payload_fd, bool all)
{
	stats->has_cgroup = true;
	for (size_t id = 0; id < STATS_COUNT_; id++) {
		if (!stats_is_first_of_file(id) || (!all && !stats_figures[id].of_limits))
			continue;
		stats_read_file(stats, limits_fd, stats_figures[id].file);
		stats_read_file(stats, payload_fd, stats_figures[id].file);
	}
}

/* ---- words ---- */

static void stats_put_seconds(struct str_buf *out, uint64_t ms)
{
	str_buf_printf(out, "%llu.%03llu s", (unsigned long long)ms / 1000,
		       (unsigned long long)ms % 1000);
}

static void stats_put_bytes(struct str_buf *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	uint64_t tenths = bytes * 10;
	size_t unit = 0;

	while (tenths >= 10240 && unit + 1 < ARRAY_SIZE(units)) {
		tenths /= 1024;
		unit++;
	}
	str_buf_printf(out, "%llu", (unsigned long long)tenths / 10);
	if (unit)
		str_buf_printf(out, ".%llu", (unsigned long long)tenths % 10);
	str_buf_printf(out, " %s", units[unit]);
}

static void stats_put_count(struct str_buf *out, uint64_t count)
{
	str_buf_printf(out, "%llu", (unsigned long long)count);
}

/* What is told only where a cgroup counts it. */
static const struct {
	enum stats_id id;
	const char *name;
	void (*put)(struct str_buf *out, uint64_t value);
} stats_counted[] = {
	{STATS_MEMORY_PEAK, "memory at most", stats_put_bytes},
	{STATS_PIDS_PEAK, "processes at most", stats_put_count},
	{STATS_READ_BYTES, "read", stats_put_bytes},
	{STATS_WRITTEN_BYTES, "written", stats_put_bytes},
	{STATS_OOM_KILLS, "killed for want of memory", stats_put_count},
	{STATS_THROTTLED, "times throttled", stats_put_count},
	{STATS_THROTTLED_MS, "throttled for", stats_put_seconds},
};

/* All of it on one line, without its newline: for --stats. */
void stats_describe(const struct stats *stats, struct str_buf *out)
{
	const char *between =
		stats->has_cgroup ? "; not counted here: " : "; not known without limits: ";

	str_buf_puts(out, "time ");
	stats_put_seconds(out, stats->value[STATS_WALL_MS]);
	str_buf_puts(out, ", processor ");
	stats_put_seconds(out, stats->value[STATS_USER_MS] + stats->value[STATS_SYSTEM_MS]);
	str_buf_puts(out, " (user ");
	stats_put_seconds(out, stats->value[STATS_USER_MS]);
	str_buf_puts(out, ", system ");
	stats_put_seconds(out, stats->value[STATS_SYSTEM_MS]);
	str_buf_puts(out, "), largest process ");
	stats_put_bytes(out, stats->value[STATS_MAX_RSS_KB] * 1024);
	for (size_t i = 0; i < ARRAY_SIZE(stats_counted); i++) {
		if (!stats_knows(stats, stats_counted[i].id))
			continue;
		str_buf_printf(out, ", %s ", stats_counted[i].name);
		stats_counted[i].put(out, stats->value[stats_counted[i].id]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(stats_counted); i++) {
		if (stats_knows(stats, stats_counted[i].id))
			continue;
		str_buf_printf(out, "%s%s", between, stats_counted[i].name);
		between = ", ";
	}
}

static const struct plan_limit *stats_find_limit(const struct plan_limits *limits, const char *file)
{
	for (size_t i = 0; i < limits->n; i++)
		if (str_equal(limits->list[i].file, file) && !limits->list[i].implied)
			return &limits->list[i];
	return NULL;
}

/* Which limits had what effect: "memory limit 512M reached: 1 process killed"; else nothing. */
void stats_describe_limits(const struct stats *stats, const struct plan_limits *limits,
			   struct str_buf *out)
{
	const struct plan_limit *memory = stats_find_limit(limits, "memory.max");
	const struct plan_limit *pids = stats_find_limit(limits, "pids.max");
	unsigned long long killed = stats->value[STATS_OOM_KILLS];
	unsigned long long refused = stats->value[STATS_PIDS_REFUSED];

	if (killed && memory && stats->value[STATS_MEMORY_OOMS])
		str_buf_printf(out, "memory limit %s reached: ", memory->asked);
	else if (killed)
		str_buf_puts(out, "the memory of the machine was used up: ");
	if (killed)
		str_buf_printf(out, "%llu %s killed", killed,
			       killed == 1 ? "process" : "processes");
	if (refused && pids)
		str_buf_printf(out, "%sprocess limit %s reached: %llu refused", killed ? "; " : "",
			       pids->asked, refused);
}

/**
 * Members of an object. With limits all of them are there; what the kernel does not count is null.
 * @reached: from stats_describe_limits()
 */
void stats_add_json(struct json_out *json, const struct stats *stats, const char *reached)
{
	for (size_t id = 0; id < STATS_COUNT_; id++) {
		if (stats_knows(stats, (enum stats_id)id))
			json_add_uint(json, stats_figures[id].json, stats->value[id]);
		else if (stats->has_cgroup)
			json_add_string(json, stats_figures[id].json, NULL);
	}
	if (stats->has_cgroup)
		json_add_string(json, "limits-reached", reached[0] ? reached : NULL);
}
