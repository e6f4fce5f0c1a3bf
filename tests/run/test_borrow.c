/* SPDX-License-Identifier: MIT */
/* A child in its parent's memory: its leaving is seen, and nothing else is taken for that. */

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/run/borrow.h"

/*
 * As musl has it from 1.2.5 on: what would touch the libc's own record of the thread is
 * refused. In place of this libc's for the whole program.
 */
int clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...)
{
	static int (*real)(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);
	va_list more;
	int *pidfd;

	if (flags & (CLONE_THREAD | CLONE_SETTLS | CLONE_CHILD_CLEARTID)) {
		errno = EINVAL;
		return -1;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clone");
	va_start(more, arg);
	pidfd = flags & CLONE_PIDFD ? va_arg(more, int *) : NULL;
	va_end(more);
	return real(fn, stack, flags, arg, pidfd);
}

static volatile int done_by_child; /* in the memory of both */

static void ends(void *arg)
{
	done_by_child = *(int *)arg;
	_exit(3);
}

static void executes(void *arg)
{
	static const char *const argv[] = {"/bin/sh", "-c", "read -r x; exit 4", NULL};

	done_by_child = 1;
	(void)dup2(*(int *)arg, STDIN_FILENO);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void stops(void *arg)
{
	(void)arg;
	done_by_child = 1;
	(void)raise(SIGSTOP);
	done_by_child = 2;
	_exit(5);
}

static int exit_code(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Is the child out of this memory? Waits for it, or not. */
static bool is_out(int fd, bool wait)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, wait ? -1 : 0) == 1;
}

static int end_is_seen(void *arg)
{
	(void)arg;
	for (int i = 1; i <= 200; i++) {
		int fd = -1, pidfd = -1;
		pid_t pid = borrow_start(ends, &i, &fd, &pidfd);

		child_check(pid > 0);
		child_check(is_out(fd, true));
		child_check(done_by_child == i);
		child_check(exit_code(pid) == 3);
		close(fd);
		child_check(close(pidfd) == 0);
	}
	return 0;
}

static int execution_is_seen(void *arg)
{
	int fds[2], fd = -1, pidfd = -1;
	pid_t pid;

	(void)arg;
	child_check(pipe2(fds, O_CLOEXEC) == 0);
	pid = borrow_start(executes, &fds[0], &fd, &pidfd);
	child_check(pid > 0);
	child_check(is_out(fd, true));
	child_check(done_by_child == 1);
	/* The program runs still: it is not its end that was seen. */
	child_check(waitpid(pid, NULL, WNOHANG) == 0);
	close(fds[1]);
	child_check(exit_code(pid) == 4);
	return 0;
}

static int stopped_is_not_out(void *arg)
{
	int status;

	(void)arg;
	for (int i = 0; i < 50; i++) {
		int fd = -1, pidfd = -1;
		pid_t pid = borrow_start(stops, NULL, &fd, &pidfd);

		child_check(pid > 0);
		child_check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
		child_check(done_by_child == 1);
		child_check(!is_out(fd, false));
		child_check(kill(pid, SIGCONT) == 0);
		child_check(is_out(fd, true));
		child_check(done_by_child == 2);
		child_check(exit_code(pid) == 5);
		close(fd);
		child_check(close(pidfd) == 0);
	}
	return 0;
}

Test(borrow, the_end_of_the_child_is_seen)
{
	expect_in_child(end_is_seen, NULL);
}

Test(borrow, its_execution_is_seen_while_it_runs)
{
	expect_in_child(execution_is_seen, NULL);
}

Test(borrow, a_child_that_stops_is_still_there)
{
	expect_in_child(stopped_is_not_out, NULL);
}
