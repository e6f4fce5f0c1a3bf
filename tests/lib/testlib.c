/* SPDX-License-Identifier: MIT */
/*
 * testlib: children, skipping, waiting, slow machines.
 *
 * Runs in: the test's own process. in_child() is the only fork of the tests; a
 * child that returned into a test body would hang Criterion, so it cannot.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <criterion/hooks.h>
#include <criterion/internal/ordered-set.h>

#include "testlib.h"

enum {
	CHILD_SECONDS = 60,
	SLOW_MAX = 1000,
};

/* How many times slower than usual this machine is: $SBX_TEST_SLOW, or 1. */
static int test_slowness(void)
{
	const char *value = getenv("SBX_TEST_SLOW");
	long n = value ? strtol(value, NULL, 10) : 1;

	return n < 1 ? 1 : n > SLOW_MAX ? SLOW_MAX : (int)n;
}

/* A deadline that was written for an ordinary machine, as it should be on this one. */
int test_deadline(int usual)
{
	return usual * test_slowness();
}

/* The deadlines that tests give to Criterion (.timeout) are watched by its runner. */
ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	FOREACH_SET(struct criterion_suite_set * suite, set->suites)
	{
		FOREACH_SET(struct criterion_test * test, suite->tests)
		{
			test->data->timeout *= test_slowness();
		}
	}
}

/**
 * Run a function in a process of its own, with one thread.
 * @fn:  returns the child's exit status; it must not use Criterion's assertions
 * @arg: passed on
 *
 * Return: the exit status, or -n if the child was ended by signal n (SIGALRM
 * after CHILD_SECONDS).
 */
int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	cr_assert(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		alarm((unsigned)test_deadline(CHILD_SECONDS));
		_exit(fn(arg));
	}

	while (waitpid(pid, &status, 0) < 0)
		cr_assert(errno == EINTR, "waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool test_must_run(void)
{
	const char *value = getenv("SBX_TEST_MUST_RUN");

	return value && *value && strcmp(value, "0") != 0;
}

/**
 * Look at a condition again and again, until it holds.
 * @condition: cheap, without side effects
 *
 * For the few things that cannot be waited for by a descriptor, such as the
 * state of a process that is nobody's child.
 */
bool wait_until(bool (*condition)(void *arg), void *arg)
{
	const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += test_deadline(TEST_TIMEOUT_MS / 1000);
	do {
		if (condition(arg))
			return true;
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	return condition(arg);
}

/* The program under test: $SBX, or the one that was built with the tests. */
const char *sbx_program(void)
{
	const char *named = getenv("SBX");

	return named && *named ? named : TEST_SBX;
}
