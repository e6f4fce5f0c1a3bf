/* SPDX-License-Identifier: MIT */
/*
 * procs: see procs.h.
 *
 * Process 1 of a sandbox shows nothing of itself but its children, and a process that
 * has entered the sandbox is no child of it. So its first child says which pid namespace
 * it is, and all processes of the system are looked through for that. Where the
 * sandbox has no pid namespace of its own, its processes are those below process 1.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/box/procs.h"

enum { PROCS_MAX = 65536, PROCS_TEXT_MAX = 1 << 20, PROCS_STAT_MAX = 1024 };

/* Return: its inode, 0: it cannot be looked at. */
static uint64_t procs_pid_ns(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Return: 0, or -errno. */
int procs_look(struct arena *arena, struct procs_all *ret_all)
{
	struct procs_all all = {.count = 0};
	DIR *dir = opendir("/proc");
	int r = 0;

	if (!dir)
		return -errno;
	for (const struct dirent *e; r == 0 && (e = readdir(dir));) {
		struct procs_one *grown;
		uint64_t pid;

		if (str_parse_u64(e->d_name, 10, INT32_MAX, &pid) < 0 || all.count == PROCS_MAX)
			continue;
		grown = arena_grow(arena, all.list, all.count, sizeof(*grown));
		if (!grown) {
			r = -ENOMEM;
			break;
		}
		all.list = grown;
		grown[all.count++] = (struct procs_one){(pid_t)pid, procs_pid_ns((pid_t)pid)};
	}
	(void)closedir(dir);
	*ret_all = all;
	return r;
}

static int procs_add(struct arena *arena, struct procs *procs, pid_t pid)
{
	pid_t *grown = procs->count < PROCS_MAX
			       ? arena_grow(arena, procs->pids, procs->count, sizeof(*grown))
			       : NULL;

	if (!grown)
		return -ENOMEM;
	grown[procs->count++] = pid;
	procs->pids = grown;
	return 0;
}

/* Return: 0 or -errno. A process that has gone has no children. */
static int procs_add_children(struct arena *arena, struct procs *procs, pid_t pid)
{
	char path[64], *text = NULL;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	r = io_read_file(path, PROCS_TEXT_MAX, arena, &text, &len);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (char *at = text; r == 0 && *at; at += strspn(at, " ")) {
		long child = strtol(at, &at, 10);

		if (child <= 0)
			break;
		r = procs_add(arena, procs, (pid_t)child);
	}
	return r;
}

/**
 * The processes of a sandbox, process 1 excepted.
 * @all:      from procs_look()
 * @init:     process 1 of the sandbox
 * @own_pids: it has a pid namespace of its own
 *
 * Return: 0 or -ENOMEM.
 */
int procs_of(const struct procs_all *all, pid_t init, bool own_pids, struct arena *arena,
	     struct procs *ret_procs)
{
	struct procs procs = {.count = 0}, inside = {.count = 0};
	uint64_t pid_ns = 0;
	int r = procs_add_children(arena, &procs, init);

	for (size_t i = 0; own_pids && i < procs.count && !pid_ns; i++)
		pid_ns = procs_pid_ns(procs.pids[i]);
	for (size_t i = 0; r == 0 && pid_ns && i < all->count; i++)
		if (all->list[i].pid_ns == pid_ns && all->list[i].pid != init)
			r = procs_add(arena, &inside, all->list[i].pid);
	for (size_t i = 0; r == 0 && !pid_ns && i < procs.count; i++)
		r = procs_add_children(arena, &procs, procs.pids[i]);
	*ret_procs = pid_ns ? inside : procs;
	return r;
}

/*
 * The fields of /proc/PID/stat from the third on (proc(5)); the name before may hold
 * anything, a parenthesis too. Return: NULL: there is no such process.
 */
static const char *procs_read_stat(pid_t pid, char *text, size_t size)
{
	char path[64];
	const char *at;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	return at && at[1] == ' ' ? at + 2 : NULL;
}

/* Field number `number`, which must be one of the numbers. */
static uint64_t procs_field(const char *third, int number)
{
	for (int field = 3; field < number && third; field++) {
		third = strchr(third, ' ');
		third = third ? third + 1 : NULL;
	}
	return third ? strtoull(third, NULL, 10) : 0;
}

/**
 * When a process began, in clock ticks since the machine did.
 * @ret_state: its state's letter; may be NULL
 *
 * Return: that, or 0: there is no such process.
 */
uint64_t procs_start_ticks(pid_t pid, char *ret_state)
{
	enum { START = 22 };
	char text[PROCS_STAT_MAX];
	const char *third = procs_read_stat(pid, text, sizeof(text));

	if (third && ret_state)
		*ret_state = *third;
	return third ? procs_field(third, START) : 0;
}

/* The time that it has used, in clock ticks. @ret_state: as above */
uint64_t procs_used_ticks(pid_t pid, char *ret_state)
{
	enum { USER = 14, SYSTEM = 15 };
	char text[PROCS_STAT_MAX];
	const char *third = procs_read_stat(pid, text, sizeof(text));

	if (!third)
		return 0;
	*ret_state = *third;
	return procs_field(third, USER) + procs_field(third, SYSTEM);
}
