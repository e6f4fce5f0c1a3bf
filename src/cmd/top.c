/* SPDX-License-Identifier: MIT */
/*
 * top: `sbx top NAME`: the processes of a sandbox, as /proc shows them now: those of its
 * command, and those that have joined it. Process 1, which is sbx, is not one of them.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/box/procs.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"

enum { TOP_TEXT_MAX = 1 << 17, TOP_LINE_MAX = 8192, TOP_COMMAND_MAX = 1500 };

/* The value of a line of /proc/PID/status, up to its end; NULL: there is none. */
static const char *top_find(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) + strspn(at + strlen(key), " \t") : NULL;
}

/* The last number of a line is the innermost: that of the process's own pid namespace. */
static long top_inner_pid(const char *status)
{
	const char *at = top_find(status, "\nNSpid:");
	long pid = 0;
	char *end;

	while (at && *at && *at != '\n') {
		pid = strtol(at, &end, 10);
		if (end == at)
			break;
		at = end + strspn(end, " \t");
	}
	return pid;
}

/* Kibibytes, as people read them. */
static void top_add_memory(struct str_buf *out, const char *status)
{
	const char *at = top_find(status, "\nVmRSS:");
	unsigned long kib = at ? strtoul(at, NULL, 10) : 0;
	bool large = kib >= 10240;

	str_buf_printf(out, "%6lu %s  ", large ? kib / 1024 : kib, large ? "MiB" : "KiB");
}

/* One line, or nothing of a process that has gone. */
static void top_add_process(struct str_buf *out, pid_t pid, struct arena *arena)
{
	const long ticks_per_second = sysconf(_SC_CLK_TCK);
	char path[64], state = '?', *status, *command;
	uint64_t ticks;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (io_read_file(path, TOP_TEXT_MAX, arena, &status, &len) < 0)
		return;
	ticks = procs_used_ticks(pid, &state);
	str_buf_printf(out, "%7d  %6ld  %c      ", pid, top_inner_pid(status), state);
	str_buf_printf(out, "%6llu.%02llu  ",
		       (unsigned long long)(ticks / (uint64_t)ticks_per_second),
		       (unsigned long long)(ticks % (uint64_t)ticks_per_second * 100 /
					    (uint64_t)ticks_per_second));
	top_add_memory(out, status);
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (io_read_file(path, TOP_TEXT_MAX, arena, &command, &len) == 0 && len > 0) {
		bool cut = len > TOP_COMMAND_MAX;

		len = cut ? TOP_COMMAND_MAX : len;
		command[len] = '\0';
		boxes_add_command(out, command, len, cut);
	}
	str_buf_puts(out, "\n");
}

static int top_print(const struct control_facts *facts, struct arena *arena, struct sbx_err *err)
{
	char room[TOP_LINE_MAX];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct procs procs = {.count = 0};
	int r = boxes_find_procs(facts, arena, &procs, err);

	if (r < 0)
		return r;
	str_buf_puts(&line, "    PID  INSIDE  STATE   SECONDS      MEMORY  COMMAND\n");
	r = boxes_write(&line, err);
	for (size_t i = 0; r == 0 && i < procs.count; i++) {
		line.len = 0;
		room[0] = '\0';
		top_add_process(&line, procs.pids[i], arena);
		r = boxes_write(&line, err);
	}
	return r;
}

int cmd_top(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1};
	_autoboxes_ struct boxes boxes;
	struct control_reply reply;
	struct cmd_words words;
	struct box box = {.dir = NULL};
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0)
		r = box_find(boxes.dirs, BOX_RUNNING, boxes.arena, words.operands[0], &box, err);
	if (r == 0)
		r = ask(&box, CONTROL_FACTS, 0, &reply, fds, err);
	if (r == 0)
		r = top_print(&reply.facts, boxes.arena, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
