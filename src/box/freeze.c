/* SPDX-License-Identifier: MIT */
/*
 * freeze: see freeze.h.
 *
 * The freezer of cgroup v2 (Linux 5.2, cgroups(7)) stops whatever is in a cgroup and below it.
 * So it is used only where that is the sandbox and nothing else: not the monitor, which is to
 * answer, and no process of anybody else's; and where all of the sandbox is in it. Signals
 * are no way to do the same: processes see SIGCONT and their parents SIGCHLD, and one that
 * is forking is missed.
 *
 * Who is where is what the kernel says of the processes (/proc/PID/cgroup), and the cgroup
 * is held by a descriptor from the look to the freezing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/box/freeze.h"
#include "sbx/spec/hints.h"

enum {
	FREEZE_TEXT_MAX = 1 << 20,
	FREEZE_DEPTH_MAX = 32,
	FREEZE_TIMEOUT_MS = 5000,
	FREEZE_CGROUP2_MAGIC = 0x63677270,
};

/* Where the hierarchy of version 2 is mounted: all of it, or beside those of version 1. */
static const char *const freeze_roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/* The path of a process's cgroup of version 2; NULL: it cannot be told. In the arena. */
const char *freeze_path_of(pid_t pid, struct arena *arena)
{
	char file[64], *text, *at;
	size_t len;

	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	if (io_read_file(file, FREEZE_TEXT_MAX, arena, &text, &len) < 0)
		return NULL;
	at = str_starts_with(text, "0::") ? text : strstr(text, "\n0::");
	if (!at)
		return NULL;
	at += strlen("0::") + (*at == '\n');
	at[strcspn(at, "\n")] = '\0';
	return *at == '/' ? at : NULL;
}

/* Is `path` the cgroup `above`, or one below it? */
static bool freeze_is_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	if (str_equal(above, "/"))
		return true;
	return strncmp(path, above, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool freeze_is_own(const char *path, const char *monitor)
{
	return path && monitor && !freeze_is_below(monitor, path);
}

/**
 * Is process 1 of a sandbox in a cgroup without its monitor?
 * @ret_path: the cgroup, in the arena; NULL: it cannot be told
 */
bool freeze_has_own_cgroup(const struct control_facts *facts, struct arena *arena,
			   const char **ret_path)
{
	const char *monitor = freeze_path_of(facts->monitor_pid, arena);

	*ret_path = freeze_path_of(facts->init_pid, arena);
	return freeze_is_own(*ret_path, monitor);
}

/* Return: a descriptor, or -errno (-ENOENT: there is no hierarchy of version 2). */
static int freeze_open(const char *path)
{
	int r = -ENOENT;

	/* Outside the part of the hierarchy that we see (cgroup_namespaces(7)). */
	if (str_starts_with(path, "/.."))
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(freeze_roots); i++) {
		char full[PATH_MAX];
		struct statfs fs;
		int fd;

		if (statfs(freeze_roots[i], &fs) < 0 || fs.f_type != FREEZE_CGROUP2_MAGIC)
			continue;
		(void)snprintf(full, sizeof(full), "%s%s", freeze_roots[i], path);
		fd = open(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		r = -errno;
	}
	return r;
}

/* ---- joining ---- */

int freeze_refuse_paused(const char *id, struct sbx_err *err)
{
	(void)err_refuse(err, EAGAIN, id, "is paused");
	err_hint(err, "sbx unpause %s lets it go on", id);
	return -EAGAIN;
}

static bool freeze_is_frozen_at(int dir_fd)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.freeze", O_RDONLY | O_CLOEXEC);
	char text[2] = "";

	return fd >= 0 && read(fd, text, 1) == 1 && text[0] == '1';
}

/* It, or one above it: who moves there does not come back before that is over. */
static bool freeze_stops(int dir_fd)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256] = "";

	return freeze_is_frozen_at(dir_fd) ||
	       (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "frozen 1"));
}

static int freeze_fail_to_join(int number, const char *path, struct sbx_err *err)
{
	int r = err_system(err, number, path, "cannot enter the sandbox's cgroup");

	hint_add(err, HINT_CGROUP);
	return r;
}

/**
 * The cgroup that whoever joins a sandbox must move to first: that of its command, where
 * its monitor is not in it. Where it is, what is limited is a session or a service, in which
 * the sandbox takes part, and who joins stays in its own.
 * @pidfd:    of the command
 * @ret_path: its path, in the arena; not written where there is none
 * @ret_fd:   its cgroup.procs, owned by the caller; likewise
 *
 * Return: 0, or -errno with *err filled (-EAGAIN: it is paused).
 */
int freeze_open_to_join(const struct control_facts *facts, int pidfd, struct arena *arena,
			const char **ret_path, int *ret_fd, struct sbx_err *err)
{
	const char *path, *monitor, *own = freeze_path_of(getpid(), arena);
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	_autoclose_ int dir_fd = -1;
	pid_t command = 0;
	int fd, ended, r = proc_find_number(pidfd, &command);

	path = r < 0 ? NULL : freeze_path_of(command, arena);
	monitor = freeze_path_of(facts->monitor_pid, arena);
	/* The number was the command's as long as it has not ended. */
	ended = poll(&pfd, 1, 0);
	if (ended < 0)
		return err_system(err, errno, NULL, "cannot watch the sandbox's command");
	if (r == -ESRCH || ended)
		return err_refuse(err, ESRCH, NULL, "the sandbox's command has ended");
	if (r < 0)
		return err_system(err, -r, NULL, "cannot tell the command's number");
	if (!freeze_is_own(path, monitor) || (own && str_equal(own, path)))
		return 0;
	dir_fd = freeze_open(path);
	if (dir_fd < 0)
		return freeze_fail_to_join(-dir_fd, path, err);
	if (freeze_stops(dir_fd))
		return freeze_refuse_paused(facts->id, err);
	fd = openat(dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return freeze_fail_to_join(errno, path, err);
	*ret_path = path;
	*ret_fd = fd;
	return 0;
}

/* ---- who is in it ---- */

static bool freeze_has_pid(const pid_t *pids, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Of this cgroup alone. Return: 1 *ret_pid is none of them, 0, or -errno. */
static int freeze_check_procs(int dir_fd, const pid_t *pids, size_t n, struct arena *arena,
			      pid_t *ret_pid)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char *text;
	size_t len;
	int r;

	if (fd < 0)
		return -errno;
	r = io_read_all(fd, FREEZE_TEXT_MAX, arena, &text, &len);
	for (char *at = text; r == 0 && *at; at += strspn(at, "\n")) {
		/* 0: of a pid namespace that is not below ours. */
		long pid = strtol(at, &at, 10);

		if (freeze_has_pid(pids, n, (pid_t)pid))
			continue;
		*ret_pid = (pid_t)pid;
		return 1;
	}
	return r;
}

static int freeze_check_below(int dir_fd, const pid_t *pids, size_t n, struct arena *arena,
			      int depth, pid_t *ret_pid)
{
	DIR *dir = fd_open_dir_again(dir_fd);
	int r;

	if (!dir)
		return -errno;
	r = freeze_check_procs(dir_fd, pids, n, arena, ret_pid);
	for (const struct dirent *e; r == 0 && (e = readdir(dir));) {
		_autoclose_ int fd = -1;

		if (e->d_name[0] == '.')
			continue;
		fd = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue; /* no cgroup, or one that has gone */
		r = depth == 0 ? -ELOOP
			       : freeze_check_below(fd, pids, n, arena, depth - 1, ret_pid);
	}
	(void)closedir(dir);
	return r;
}

/**
 * Is there anybody in a cgroup, or below it, but these?
 * @ret_pid: such a process; 0: one whose number cannot be told
 *
 * Return: 1 there is, 0 there is not, or -errno.
 */
int freeze_find_stranger(int dir_fd, const pid_t *pids, size_t n, struct arena *arena,
			 pid_t *ret_pid)
{
	return freeze_check_below(dir_fd, pids, n, arena, FREEZE_DEPTH_MAX, ret_pid);
}

/* ---- the cgroup of a sandbox ---- */

static int freeze_refuse_shared(const struct control_facts *facts, const char *path,
				struct sbx_err *err)
{
	if (!path)
		(void)err_refuse(err, EOPNOTSUPP, facts->id,
				 "cannot be paused: there is no cgroup of version 2 to freeze");
	else
		(void)err_refuse(
			err, EOPNOTSUPP, facts->id,
			"cannot be paused: its processes have no cgroup of their own, they "
			"are in %s together with sbx, process %d",
			path, facts->monitor_pid);
	err_hint(err, "sbx kill -s STOP %s stops its command, and -s CONT continues it",
		 facts->name[0] ? facts->name : facts->id);
	return -EOPNOTSUPP;
}

static int freeze_refuse_outside(const struct control_facts *facts, pid_t pid, const char *path,
				 struct sbx_err *err)
{
	return err_refuse(err, EOPNOTSUPP, facts->id,
			  "cannot be paused: process %d of it is not in its cgroup, %s", pid, path);
}

static int freeze_check(const struct control_facts *facts, const struct procs *procs,
			const char *path, int dir_fd, struct arena *arena, struct sbx_err *err)
{
	pid_t *pids = arena_alloc(arena, (procs->count + 1) * sizeof(*pids)), stranger = 0;
	int r;

	if (!pids)
		return err_oom(err);
	pids[0] = facts->init_pid;
	for (size_t i = 0; i < procs->count; i++) {
		const char *where = freeze_path_of(procs->pids[i], arena);

		pids[i + 1] = procs->pids[i];
		/* One that has just gone is nowhere. */
		if (where && !freeze_is_below(where, path))
			return freeze_refuse_outside(facts, procs->pids[i], path, err);
	}
	r = freeze_find_stranger(dir_fd, pids, procs->count + 1, arena, &stranger);
	if (r < 0)
		return err_system(err, -r, path, "cannot tell who is in this cgroup");
	return r == 1 ? err_refuse(err, EOPNOTSUPP, facts->id,
				   "cannot be paused: process %d, which is not of it, is in its "
				   "cgroup, %s",
				   stranger, path)
		      : 0;
}

/**
 * The cgroup of a sandbox, if it can be frozen.
 * @procs:      its processes, from procs_of()
 * @ret_dir_fd: owned by the caller
 *
 * Return: 0, or -errno with *err filled.
 */
int freeze_find(const struct control_facts *facts, const struct procs *procs, struct arena *arena,
		int *ret_dir_fd, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	const char *path;
	int r;

	if (!freeze_has_own_cgroup(facts, arena, &path))
		return freeze_refuse_shared(facts, path, err);
	fd = freeze_open(path);
	if (fd < 0)
		return err_system(err, -fd, path, "cannot open the cgroup");
	r = freeze_check(facts, procs, path, fd, arena, err);
	if (r == 0)
		*ret_dir_fd = take_fd(&fd);
	return r;
}

/* ---- freezing ---- */

static int freeze_write(int dir_fd, bool frozen)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : io_write_all(fd, frozen ? "1" : "0", 1);
}

/* "frozen 1" in cgroup.events, whose changes poll(2) tells. Return: 1, 0: not in time, -errno. */
static int freeze_await(int dir_fd, bool frozen)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd pfd = {.fd = fd, .events = POLLPRI};
	char text[256];

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (strstr(text, frozen ? "frozen 1" : "frozen 0"))
			return 1;
		if (poll(&pfd, 1, FREEZE_TIMEOUT_MS) == 0)
			return 0;
	}
}

/**
 * Freeze a cgroup, or let it go on, and wait until that is so.
 *
 * Return: 0, or -errno with *err filled; one that could not be frozen goes on.
 */
int freeze_set(int dir_fd, bool frozen, struct sbx_err *err)
{
	int r = freeze_write(dir_fd, frozen);

	if (r < 0)
		return err_system(err, -r, "cgroup.freeze", "cannot write");
	r = freeze_await(dir_fd, frozen);
	if (r <= 0 && frozen)
		(void)freeze_write(dir_fd, false);
	if (r == 0)
		return err_refuse(err, ETIMEDOUT, NULL, "the cgroup is still not %s",
				  frozen ? "frozen" : "thawed");
	return r < 0 ? err_system(err, -r, "cgroup.events", "cannot read") : 0;
}

/**
 * What the processes in a cgroup and below it have of the memory ("memory.current").
 *
 * Return: 0, or -errno (-ENOENT: the controller is not there).
 */
int freeze_read_memory(int dir_fd, uint64_t *ret_bytes)
{
	_autoclose_ int fd = openat(dir_fd, "memory.current", O_RDONLY | O_CLOEXEC);
	char text[32] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	text[strcspn(text, "\n")] = '\0';
	return str_parse_u64(text, 10, UINT64_MAX, ret_bytes);
}

/**
 * For a list: is it paused, and what memory has it? A cgroup that it shares tells nothing of
 * its memory.
 * @procs: its processes, from procs_of()
 */
void freeze_look(const struct control_facts *facts, const struct procs *procs, struct arena *arena,
		 struct freeze_look *ret)
{
	_autoclose_ int fd = -1;
	struct sbx_err shared;
	const char *path;

	*ret = (struct freeze_look){.frozen = false};
	if (!freeze_has_own_cgroup(facts, arena, &path))
		return;
	fd = freeze_open(path);
	if (fd < 0)
		return;
	ret->frozen = freeze_is_frozen_at(fd);
	ret->has_memory = freeze_check(facts, procs, path, fd, arena, &shared) == 0 &&
			  freeze_read_memory(fd, &ret->memory_bytes) == 0;
}

/* Is it paused? */
bool freeze_is_frozen(const struct control_facts *facts, struct arena *arena)
{
	_autoclose_ int fd = -1;
	const char *path;

	if (!freeze_has_own_cgroup(facts, arena, &path))
		return false;
	fd = freeze_open(path);
	return fd >= 0 && freeze_is_frozen_at(fd);
}
