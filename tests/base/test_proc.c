/* SPDX-License-Identifier: MIT */
/* Helper programs: started with a clean environment, waited for, their output kept. */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "testlib.h"

#include "sbx/base/proc.h"

static int capture(const char *script, size_t max, struct arena *arena, char **ret_text,
		   int *ret_status)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	const struct proc_spawn spawn = {
		.path = "/bin/sh", .argv = argv, .output_fd = -1, .error_fd = -1};
	size_t len = 0;
	int r = proc_capture(&spawn, max, arena, ret_text, &len, ret_status);

	if (r == 0)
		cr_expect_eq(strlen(*ret_text), len);
	return r;
}

Test(proc, capture_keeps_output_and_status)
{
	_autoarena_ struct arena arena;
	char *text = NULL;
	int status = -1;

	arena_init(&arena);
	cr_assert_eq(capture("echo one; echo hidden >&2; echo two; exit 3", 4096, &arena, &text,
			     &status),
		     0);
	cr_expect_str_eq(text, "one\ntwo\n");
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

Test(proc, capture_takes_more_than_a_pipe_holds)
{
	_autoarena_ struct arena arena;
	char *text = NULL;
	int status = -1;

	arena_init(&arena);
	cr_assert_eq(
		capture("head -c 300000 /dev/zero | tr '\\0' x", 1 << 20, &arena, &text, &status),
		0);
	cr_expect_eq(strlen(text), 300000);
	cr_expect_eq(status, 0);
}

Test(proc, capture_refuses_more_than_it_was_told)
{
	_autoarena_ struct arena arena;
	char *text = NULL;
	int status = -1;

	arena_init(&arena);
	cr_expect_eq(capture("head -c 300000 /dev/zero | tr '\\0' x", 1000, &arena, &text, &status),
		     -EFBIG);
}

Test(proc, the_environment_is_not_the_callers)
{
	_autoarena_ struct arena arena;
	char *text = NULL;
	int status = -1;

	arena_init(&arena);
	setenv("LD_PRELOAD_TEST", "leak", 1);
	setenv("LC_ALL", "xx_XX", 1);
	cr_assert_eq(capture("env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort", 4096,
			     &arena, &text, &status),
		     0);
	cr_expect_str_eq(text, "LC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
}

Test(proc, descriptors_are_those_asked_for)
{
	_autoarena_ struct arena arena;
	_autoclose_ int tree = tmp_tree("out", "err");
	_autoclose_ int out = openat(tree, "out", O_WRONLY | O_CLOEXEC);
	_autoclose_ int err = openat(tree, "err", O_WRONLY | O_CLOEXEC);
	const char *const argv[] = {"sh", "-c", "cat; ls /proc/self/fd | wc -l; echo bad >&2",
				    NULL};
	const struct proc_spawn spawn = {
		.path = "/bin/sh", .argv = argv, .output_fd = out, .error_fd = err};
	_autofree_ char *out_text = NULL, *err_text = NULL;
	int status = -1;
	pid_t pid = 0;

	arena_init(&arena);
	cr_assert_eq(proc_start(&spawn, &pid), 0);
	cr_assert_eq(proc_wait(pid, &status), 0);
	cr_expect_eq(status, 0);
	out_text = tree_read(tree, "out");
	err_text = tree_read(tree, "err");
	cr_expect_str_eq(err_text, "bad\n");
	/* Input is empty (cat ends). ls has 0 to 2, what it lists, and Criterion's own, if any. */
	cr_expect_not(strchr(out_text, 'b'));
	cr_expect_geq(atoi(out_text), 4);
}

Test(proc, what_cannot_be_executed_ends_with_127)
{
	const char *const argv[] = {"gone", NULL};
	const struct proc_spawn spawn = {
		.path = "/nonexistent/gone", .argv = argv, .output_fd = -1, .error_fd = -1};
	int status = -1;
	pid_t pid = 0;

	cr_assert_eq(proc_start(&spawn, &pid), 0);
	cr_assert_eq(proc_wait(pid, &status), 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 127);
	cr_expect_eq(proc_wait(pid, &status), -ECHILD);
}

Test(proc, the_signal_mask_is_the_one_given)
{
	const char *const argv[] = {"sh", "-c", "kill -TERM $$; exit 1", NULL};
	struct proc_spawn spawn = {
		.path = "/bin/sh", .argv = argv, .output_fd = -1, .error_fd = -1};
	sigset_t blocked, empty;
	int status = -1;
	pid_t pid = 0;

	sigemptyset(&empty);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);

	cr_assert_eq(proc_start(&spawn, &pid), 0);
	cr_assert_eq(proc_wait(pid, &status), 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "the mask is inherited");

	spawn.sigmask = &empty;
	cr_assert_eq(proc_start(&spawn, &pid), 0);
	cr_assert_eq(proc_wait(pid, &status), 0);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
