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
 *
 * A manager that takes the call and never answers must not hold up who wants sbx to end. The
 * monitor reads no signals yet, so each wait looks by itself whether one is pending, and at the
 * clock of the launch. What is made after all, with a process that is gone, systemd removes.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/run/helper.h"
#include "sbx/run/scope.h"
#include "sbx/run/signals.h"
#include "sbx/spec/cgroup_host.h"

enum {
	SCOPE_OUTPUT_MAX = 4096,
	SCOPE_TEXT_MAX = 1 << 16,
	SCOPE_STEP_MS = 2,
	SCOPE_WORDS_MAX = 32,
	SCOPE_CALL_WORDS = 6,
};

/* The words of busctl(1) for a call of a method of the manager, in the arena; NULL: no memory. */
static const char *const *scope_call_words(const char *busctl, const char *address,
					   const char *const *words, struct arena *arena)
{
	const char **argv =
		arena_alloc(arena, (SCOPE_WORDS_MAX + SCOPE_CALL_WORDS + 1) * sizeof(*argv));
	const char *option = arena_printf(arena, "--address=%s", address);
	const char *const first[SCOPE_CALL_WORDS] = {
		busctl, option, "call", SCOPE_SERVICE, SCOPE_PATH, SCOPE_INTERFACE,
	};

	if (!argv || !option)
		return NULL;
	memcpy(argv, first, sizeof(first));
	for (size_t i = 0; i < SCOPE_WORDS_MAX && words[i]; i++)
		argv[SCOPE_CALL_WORDS + i] = words[i];
	return argv;
}

/**
 * Is systemd still to be waited for?
 *
 * Return: 0; -EINTR: a signal is pending that ends the launch; -ETIME: the launch has had its
 * time; -ETIMEDOUT: systemd has; *err is filled.
 */
int scope_may_wait(const struct scope_wanted *wanted, struct sbx_err *err)
{
	int64_t now_ms = clock_now_ms();

	if (signals_find_end())
		return err_refuse(err, EINTR, wanted->name, "a signal has ended the launch");
	if (now_ms >= wanted->end_ms)
		return err_refuse(err, ETIME, wanted->name, "the launch has had its time");
	if (now_ms >= wanted->give_up_ms)
		return err_refuse(err, ETIMEDOUT, wanted->name,
				  "systemd has not moved sbx into this scope within %d seconds",
				  SCOPE_WAIT_MS / 1000);
	return 0;
}

static int scope_await_busctl(struct helper *helper, const char *busctl,
			      const struct scope_wanted *wanted, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = helper->pidfd, .events = POLLIN};
	char room[1200];
	struct str_buf how = STR_BUF_ON_STACK(room);
	int status;

	while (poll(&pfd, 1, SCOPE_PAUSE_MS) <= 0) {
		int r = scope_may_wait(wanted, err);

		if (r < 0)
			return r;
	}
	if (!helper_reap_ended(helper, NULL, &status, &how))
		return err_system(err, errno ? errno : ECHILD, busctl, "cannot wait for its end");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : err_refuse(err, ECANCELED, busctl, "%s", how.data);
}

/* The call that makes it, by busctl; what that answers does not matter. */
static int scope_call_start(const struct scope_request *request, const struct scope_wanted *wanted,
			    const char *const *words, struct arena *arena, struct sbx_err *err)
{
	const char *const *argv = scope_call_words(request->busctl, request->address, words, arena);
	struct proc_spawn spawn = {.path = request->busctl,
				   .argv = argv,
				   .sigmask = request->sigmask,
				   .output_fd = -1};
	struct helper helper;
	int r;

	if (!argv)
		return err_oom(err);
	helper_init(&helper);
	r = helper_start(&helper, &spawn);
	r = r < 0 ? err_system(err, -r, request->busctl, "cannot run")
		  : scope_await_busctl(&helper, request->busctl, wanted, err);
	helper_finish(&helper);
	return r;
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

/* Wait until it is so. */
static int scope_await_self(const char *end, const struct scope_wanted *wanted, struct arena *arena,
			    const char **ret_path, struct sbx_err *err)
{
	const struct timespec step = {.tv_nsec = SCOPE_STEP_MS * 1000000L};

	while (!(*ret_path = scope_find_self(end, arena))) {
		int r = scope_may_wait(wanted, err);

		if (r < 0)
			return r;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

/**
 * Move to a new scope, with Delegate=yes.
 * @ret_path: of its cgroup, in the arena
 *
 * Return: 0; -EINTR: a signal is pending that ends the launch; -ETIME: it has had its time; or
 * another -errno; *err is filled.
 */
int scope_start(const struct scope_request *request, struct arena *arena, const char **ret_path,
		struct sbx_err *err)
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
	const struct scope_wanted wanted = {
		.address = request->address,
		.name = name,
		.about = about,
		.pid = getpid(),
		.end_ms = request->end_ms,
		.give_up_ms = clock_now_ms() + SCOPE_WAIT_MS,
	};
	int r;

	(void)snprintf(name, sizeof(name), "sbx-%s.scope", request->id);
	(void)snprintf(end, sizeof(end), "/%s", name);
	(void)snprintf(about, sizeof(about), "sandbox %s of sbx", request->id);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	r = scope_library_start(&wanted, err);
	if (r == -ENOSYS)
		r = scope_call_start(request, &wanted, words, arena, err);
	return r < 0 ? r : scope_await_self(end, &wanted, arena, ret_path, err);
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
	const char *const *argv = path ? scope_call_words(busctl, address, words, arena) : NULL;
	char *text;

	if (!argv)
		return err_oom(err);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	return proc_ask(argv, NULL, SCOPE_OUTPUT_MAX, arena, &text, err);
}
