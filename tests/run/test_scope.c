/* SPDX-License-Identifier: MIT */
/* scope: what ends the wait for a systemd that takes the question and does not answer. */

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/run/scope.h"
#include "sbx/run/signals.h"

enum { SOON_MS = 300 };

/* The bus, and a busctl that hangs, for where the library is not there. */
struct mute {
	int tree, fd; /* owned */
	char address[256];
	char *busctl; /* owned */
};

static void mute_start(struct mute *mute)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	mute->tree = tmp_tree("busctl=#!/bin/sh\nexec sleep 1000\n");
	mute->busctl = tree_path(mute->tree, "busctl");
	_autofree_ char *path = tree_path(mute->tree, "bus");

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	snprintf(mute->address, sizeof(mute->address), "unix:path=%s", path);
	mute->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(mute->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(mute->fd, 8), 0);
}

static void mute_stop(struct mute *mute)
{
	close(mute->fd);
	close(mute->tree);
	free(mute->busctl);
}

/* Signals are blocked, as in the monitor. */
static int ask(const struct mute *mute, int64_t end_ms)
{
	_autoarena_ struct arena arena;
	struct scope_request request = {
		.busctl = mute->busctl, .address = mute->address, .id = "x", .end_ms = end_ms};
	struct sbx_err err;
	const char *path;
	int r;

	arena_init(&arena);
	r = scope_start(&request, &arena, &path, &err);
	child_check(r < 0 && err.what[0]);
	/* No busctl may be left. */
	child_check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return r;
}

static int ask_until_signal(void *arg)
{
	struct itimerspec soon = {.it_value.tv_nsec = SOON_MS * 1000000L};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
	sigset_t before;
	timer_t timer;

	child_check(signals_block(&before) == 0 && signals_find_end() == 0);
	child_check(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	child_check(timer_settime(timer, 0, &soon, NULL) == 0);
	child_check(ask(arg, INT64_MAX) == -EINTR && signals_find_end() == SIGTERM);
	return 0;
}

static int ask_until_time(void *arg)
{
	struct timespec now;
	sigset_t before;

	child_check(signals_block(&before) == 0);
	child_check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	/* One that only stops a process is none that ends a launch. */
	child_check(raise(SIGTSTP) == 0 && raise(SIGUSR1) == 0);
	child_check(ask(arg, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + SOON_MS) ==
		    -ETIME);
	return 0;
}

Test(scope, a_signal_ends_the_wait)
{
	struct mute mute;

	mute_start(&mute);
	cr_expect_eq(in_child(ask_until_signal, &mute), 0);
	mute_stop(&mute);
}

Test(scope, the_end_of_the_launchs_time_does)
{
	struct mute mute;

	mute_start(&mute);
	cr_expect_eq(in_child(ask_until_time, &mute), 0);
	mute_stop(&mute);
}
