/* SPDX-License-Identifier: MIT */
/*
 * ids: see ids.h.
 *
 * A user namespace in which the caller's id and all that newuidmap(1) gives the caller are
 * mapped, each to its own number: what files look like stays the same, and whatever belongs to
 * one of those ids can be read, changed and removed. The namespace is this process's own; the
 * helpers have to run outside of it, so a child starts them.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/cow/ids.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/spec.h"

enum { IDS_RANGES_MAX = 64 };

extern char **environ;

/* Of one kind: uids or gids. */
struct ids_map {
	const char *program; /* newuidmap or newgidmap */
	const char *file;
	const char *helper;
	struct probe_range *ranges;
	size_t n_ranges;
	uint32_t own;
};

static int ids_find(const struct probe_host *host, const struct sbx_spec *spec, struct ids_map *map)
{
	struct sbx_err err;

	map->helper = probe_helper(host, spec, map->program);
	if (!map->helper || access(map->helper, X_OK) < 0)
		return -ENOENT;
	if (probe_subids(host, map->file, &map->ranges, &map->n_ranges, &err) < 0)
		return -ENOENT;
	return map->n_ranges > 0 && map->n_ranges <= IDS_RANGES_MAX ? 0 : -ENOENT;
}

/* newuidmap PID OWN OWN 1 FIRST FIRST COUNT ...; a range that has the caller's own id is left out.
 */
static int ids_write(const struct ids_map *map, pid_t pid)
{
	char words[2 + 3 * (IDS_RANGES_MAX + 1)][12];
	const char *argv[2 + 3 * (IDS_RANGES_MAX + 1) + 1] = {map->program};
	const struct proc_spawn spawn = {
		.path = map->helper, .argv = argv, .output_fd = -1, .error_fd = -1};
	size_t n = 1;
	int status, r;

	(void)snprintf(words[n++], sizeof(words[0]), "%d", pid);
	for (size_t i = 0; i <= map->n_ranges; i++) {
		const struct probe_range own = {.start = map->own, .count = 1};
		const struct probe_range *range = i == 0 ? &own : &map->ranges[i - 1];

		if (i > 0 && map->own >= range->start && map->own - range->start < range->count)
			continue;
		(void)snprintf(words[n++], sizeof(words[0]), "%u", (unsigned)range->start);
		(void)snprintf(words[n++], sizeof(words[0]), "%u", (unsigned)range->start);
		(void)snprintf(words[n++], sizeof(words[0]), "%u", (unsigned)range->count);
	}
	for (size_t i = 1; i < n; i++)
		argv[i] = words[i];
	r = proc_start(&spawn, &pid);
	if (r == 0)
		r = proc_wait(pid, &status);
	return r < 0 ? r : status == 0 ? 0 : -EPERM;
}

/* Outside of the new namespace. @go_fd: a byte says that it is there. */
static noreturn void ids_child_main(const struct ids_map maps[2], pid_t pid, int go_fd)
{
	char byte;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || read(go_fd, &byte, 1) != 1)
		_exit(1);
	for (int i = 0; i < 2; i++)
		if (ids_write(&maps[i], pid) < 0)
			_exit(1);
	_exit(0);
}

static int ids_enter(const struct ids_map maps[2])
{
	int fds[2], status = 1, r = 0;
	pid_t self = getpid(), child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		close(fds[1]);
		ids_child_main(maps, self, fds[0]);
	}
	if (child < 0)
		r = -errno;
	if (r == 0 && unshare(CLONE_NEWUSER) < 0)
		r = -errno;
	if (r == 0 && write(fds[1], "", 1) != 1)
		r = -errno;
	close(fds[0]);
	close(fds[1]);
	if (child > 0 && (proc_wait(child, &status) < 0 || status != 0) && r == 0)
		r = -EPERM;
	return r;
}

static noreturn void ids_try_main(const struct ids_map maps[2])
{
	_exit(ids_enter(maps) < 0);
}

/**
 * Enter such a namespace. A child tries first, as there is no way back.
 *
 * Return: 0, or -errno, and all is as it was.
 */
int cow_ids_gain(void)
{
	struct ids_map maps[2] = {
		{.program = "newuidmap", .file = "/etc/subuid", .own = geteuid()},
		{.program = "newgidmap", .file = "/etc/subgid", .own = getegid()},
	};
	_autoarena_ struct arena arena;
	struct probe_host host;
	struct sbx_spec spec;
	struct sbx_err err;
	int status = 1, r;
	pid_t pid;

	arena_init(&arena);
	spec_init(&spec);
	r = probe_host(&arena, environ, true, &host, &err);
	for (int i = 0; i < 2 && r == 0; i++)
		r = ids_find(&host, &spec, &maps[i]);
	pid = r == 0 ? fork() : -1;
	if (pid == 0)
		ids_try_main(maps);
	if (r == 0)
		r = pid < 0					 ? -errno
		    : proc_wait(pid, &status) < 0 || status != 0 ? -EPERM
								 : ids_enter(maps);
	spec_finish(&spec);
	return r;
}
