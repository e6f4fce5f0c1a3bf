/* SPDX-License-Identifier: MIT */
/*
 * scope: see scope.h.
 *
 * Theory of operation
 *
 * A process of a login session cannot move itself to the cgroups of its user's manager: the
 * one that both are in is root's. The manager can have it done by the system's. So this
 * process is named to it (PIDs=), and when it finds itself in the scope, that is there: it
 * moves last, behind the making of the cgroup and of its controllers. With the last process in
 * it the scope ends by itself, and systemd removes its cgroups, ours too.
 *
 * The launch binary speaks no D-Bus. libsystemd does, where it can be loaded
 * (scope_library.c), and hears of the end of systemd's job (JobRemoved). Else busctl(1) is
 * asked, which cannot hear that; then it is waited for that we are there.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/run/scope.h"
#include "sbx/spec/cgroup_host.h"

enum {
	SCOPE_OUTPUT_MAX = 4096,
	SCOPE_TEXT_MAX = 1 << 16,
	SCOPE_STEP_MS = 2,
	SCOPE_WORDS_MAX = 32,
	SCOPE_CALL_WORDS = 6,
};

/* A call of a method of the manager; what it answers does not matter. */
static int scope_call(const char *busctl, const char *address, const char *const *words,
		      const sigset_t *sigmask, struct arena *arena, struct sbx_err *err)
{
	const char *argv[SCOPE_WORDS_MAX + SCOPE_CALL_WORDS + 1] = {
		busctl,	    arena_printf(arena, "--address=%s", address),
		"call",	    SCOPE_SERVICE,
		SCOPE_PATH, SCOPE_INTERFACE,
	};
	char *text;

	if (!argv[1])
		return err_oom(err);
	for (size_t i = 0; i < SCOPE_WORDS_MAX && words[i]; i++)
		argv[SCOPE_CALL_WORDS + i] = words[i];
	return proc_ask(argv, sigmask, SCOPE_OUTPUT_MAX, arena, &text, err);
}

/* Return: the path of our cgroup when it has that name at its end, NULL: it has not (yet). */
static const char *scope_find_self(const char *name, struct arena *arena)
{
	const char *path;
	char *text;
	size_t len;

	if (io_read_file("/proc/self/cgroup", SCOPE_TEXT_MAX, arena, &text, &len) < 0)
		return NULL;
	path = cgroup_parse_path(text, arena);
	len = path ? strlen(path) : 0;
	return len > strlen(name) && str_equal(path + len - strlen(name), name) ? path : NULL;
}

/* Wait until it is so; how long, is systemd's. */
static const char *scope_await_self(const char *name, struct arena *arena)
{
	const struct timespec step = {.tv_nsec = SCOPE_STEP_MS * 1000000L};
	const char *path = NULL;

	for (int i = 0; !(path = scope_find_self(name, arena)) && i < SCOPE_WAIT_MS / SCOPE_STEP_MS;
	     i++)
		(void)nanosleep(&step, NULL);
	return path;
}

/**
 * Move to a new scope, with Delegate=yes.
 * @busctl, @address: as in struct plan_limits
 * @id:       of the sandbox: the scope becomes sbx-ID.scope
 * @sigmask:  of busctl
 * @ret_path: of its cgroup, in the arena
 *
 * Return: 0, or -errno with *err filled.
 */
int scope_start(const char *busctl, const char *address, const char *id, const sigset_t *sigmask,
		struct arena *arena, const char **ret_path, struct sbx_err *err)
{
	char name[64], end[72], about[64], pid[16];
	const char *const words[] = {
		"StartTransientUnit",
		"ssa(sv)a(sa(sv))",
		name,
		"fail",
		"4",
		"Description",
		"s",
		about,
		"Delegate",
		"b",
		"true",
		"CollectMode",
		"s",
		"inactive-or-failed",
		"PIDs",
		"au",
		"1",
		pid,
		"0",
		NULL,
	};
	const struct scope_wanted wanted = {address, name, about, getpid()};
	int r;

	(void)snprintf(name, sizeof(name), "sbx-%s.scope", id);
	(void)snprintf(end, sizeof(end), "/%s", name);
	(void)snprintf(about, sizeof(about), "sandbox %s of sbx", id);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	r = scope_library_start(&wanted, err);
	if (r == -ENOSYS)
		r = scope_call(busctl, address, words, sigmask, arena, err);
	if (r < 0)
		return r;
	*ret_path = scope_await_self(end, arena);
	return *ret_path ? 0
			 : err_refuse(err, ETIMEDOUT, name,
				      "systemd has not moved sbx into this scope within %d seconds",
				      SCOPE_WAIT_MS / 1000);
}

/**
 * Move to where the monitor of a sandbox is.
 * @unit:  "sbx-ID.scope", or another that the sandbox is in
 * @below: the path of what is above the monitor's cgroup, in that; "" if nothing is
 *
 * Return: 0, or -errno with *err filled.
 */
int scope_join(const char *busctl, const char *address, const char *unit, const char *below,
	       struct arena *arena, struct sbx_err *err)
{
	const char *path = arena_printf(arena, "%s/%s", below, SCOPE_MONITOR);
	char pid[16];
	const char *const words[] = {
		"AttachProcessesToUnit", "ssau", unit, path, "1", pid, NULL,
	};

	if (!path)
		return err_oom(err);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	return scope_call(busctl, address, words, NULL, arena, err);
}
