/* SPDX-License-Identifier: MIT */
/* stats: what is read of a cgroup's files, and the words for it. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "testlib.h"

#include "sbx/run/stats.h"

#define CPU                                                                                        \
	"cpu.stat=usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_throttled 7\n"    \
	"throttled_usec 1500000\n"
#define EVENTS "memory.events=low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n"

static void read_some(struct stats *stats, int limits, int payload, bool all)
{
	_autoclose_ int above = openat(limits, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int leaf = openat(payload, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	stats_begin(stats, 1000);
	stats_read_cgroup(stats, above, leaf, all);
}

static void read_trees(struct stats *stats, int limits, int payload)
{
	read_some(stats, limits, payload, true);
}

Test(stats, of_a_cgroup_are_all_there)
{
	_autoclose_ int limits = tmp_tree(CPU, EVENTS, "memory.peak=1572864\n", "pids.peak=12\n",
					  "pids.events=max 0\n",
					  "io.stat=8:0 rbytes=1024 wbytes=0 rios=1 wios=0\n"
					  "8:16 rbytes=1024 wbytes=10 rios=1 wios=0\n");
	_autoclose_ int payload = tmp_tree("pids.events=max 5\n");
	const struct plan_limit list[] = {
		{.asked = "1.5M", .file = "memory.max"},
		{.asked = "12", .file = "pids.max"},
	};
	const struct plan_limits limited = {.list = (struct plan_limit *)(uintptr_t)list, .n = 2};
	char room[1024], reached_room[256];
	struct str_buf text = STR_BUF_ON_STACK(room), reached = STR_BUF_ON_STACK(reached_room);
	struct stats stats;

	read_trees(&stats, limits, payload);
	stats_read_children(&stats, 3500);
	/* That of the largest process is this one's. */
	stats.value[STATS_MAX_RSS_KB] = 2048;
	stats_describe(&stats, &text);
	stats_describe_limits(&stats, &limited, &reached);
	cr_expect_str_eq(
		text.data,
		"time 2.500 s, processor 3.000 s (user 2.000 s, system 1.000 s), largest "
		"process 2.0 MiB, memory at most 1.5 MiB, processes at most 12, read 2.0 KiB, "
		"written 10 B, killed for want of memory 2, times throttled 7, throttled for "
		"1.500 s");
	cr_expect_str_eq(reached.data,
			 "memory limit 1.5M reached: 2 processes killed; process limit "
			 "12 reached: 5 refused");
}

/* Files that this kernel has not, and controllers that are not delegated. */
Test(stats, what_is_not_counted_is_named)
{
	_autoclose_ int limits = tmp_tree(CPU, EVENTS, "pids.events=max 0\n");
	_autoclose_ int payload = tmp_tree(NULL);
	const struct plan_limits none = {.n = 0};
	char room[1024], reached_room[256];
	struct str_buf text = STR_BUF_ON_STACK(room), reached = STR_BUF_ON_STACK(reached_room);
	struct stats stats;

	read_trees(&stats, limits, payload);
	stats_describe(&stats, &text);
	cr_expect(strstr(text.data,
			 "; not counted here: memory at most, processes at most, read, written"),
		  "%s", text.data);
	stats.value[STATS_MEMORY_OOMS] = 0;
	stats_describe_limits(&stats, &none, &reached);
	cr_expect_str_eq(reached.data, "the memory of the machine was used up: 2 processes killed");
}

/* Where nobody asks what was used, the files that the kernel has to gather are not read. */
Test(stats, which_limits_were_reached_is_always_known)
{
	_autoclose_ int limits = tmp_tree(CPU, EVENTS, "memory.peak=1572864\n");
	_autoclose_ int payload = tmp_tree("pids.events=max 5\n");
	const struct plan_limit list[] = {
		{.asked = "1.5M", .file = "memory.max"},
		{.asked = "12", .file = "pids.max"},
	};
	const struct plan_limits limited = {.list = (struct plan_limit *)(uintptr_t)list, .n = 2};
	char room[256];
	struct str_buf reached = STR_BUF_ON_STACK(room);
	struct stats stats;

	read_some(&stats, limits, payload, false);
	stats_describe_limits(&stats, &limited, &reached);
	cr_expect_str_eq(reached.data,
			 "memory limit 1.5M reached: 2 processes killed; process limit "
			 "12 reached: 5 refused");
	cr_expect_eq(stats.known,
		     1u << STATS_OOM_KILLS | 1u << STATS_MEMORY_OOMS | 1u << STATS_PIDS_REFUSED);
}

Test(stats, without_limits_most_is_not_known)
{
	const struct plan_limits none = {.n = 0};
	char room[1024];
	struct str_buf text = STR_BUF_ON_STACK(room);
	struct stats stats;

	stats_begin(&stats, 0);
	stats_read_children(&stats, 61001);
	stats_describe(&stats, &text);
	cr_expect(strstr(text.data, "time 61.001 s, "), "%s", text.data);
	cr_expect(strstr(text.data,
			 "; not known without limits: memory at most, processes at most, "
			 "read, written, killed for want of memory, times throttled, "
			 "throttled for"),
		  "%s", text.data);
	text.len = 0;
	text.data[0] = '\0';
	stats_describe_limits(&stats, &none, &text);
	cr_expect_str_eq(text.data, "");
}
