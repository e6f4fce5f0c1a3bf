/* SPDX-License-Identifier: MIT */
/* testlib: the helpers do what the tests believe they do. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "testlib.h"

static int child_exit(void *arg)
{
	return *(int *)arg;
}

static int child_die(void *arg)
{
	(void)arg;
	raise(SIGTERM);
	return 0;
}

static int child_unshare(void *arg)
{
	(void)arg;
	return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

Test(testlib, in_child_returns_the_exit_status)
{
	int status = 42;

	cr_expect_eq(in_child(child_exit, &status), 42);
	cr_expect_eq(in_child(child_die, NULL), -SIGTERM);
}

Test(testlib, in_child_can_enter_a_user_namespace)
{
	cr_expect_eq(in_child(child_unshare, NULL), 0);
}

Test(testlib, the_tests_do_not_run_as_root)
{
	const char *user = getenv("SBX_TEST_USER");

	skip_unless(!user || strcmp(user, "root") != 0, "root was asked for");
	cr_expect_neq(getuid(), 0);
}

Test(testlib, tree_has_the_entries_asked_for)
{
	_autoclose_ int root =
		tmp_tree("etc -> /etc", "a/b/", "c/file=text", "run=#!/bin/sh\n", "e");
	_autofree_ char *text = tree_read(root, "c/file");
	_autofree_ char *empty = tree_read(root, "e");
	char target[16] = "";
	struct stat st;

	cr_expect_str_eq(text, "text");
	cr_expect_str_eq(empty, "");
	cr_expect_eq(readlinkat(root, "etc", target, sizeof(target)), 4);
	cr_expect_str_eq(target, "/etc");
	cr_expect(tree_exists(root, "a/b"));
	cr_expect_not(tree_exists(root, "a/c"));
	cr_assert_eq(fstatat(root, "run", &st, 0), 0);
	cr_expect_eq(st.st_mode & 0777, 0755);
}

Test(testlib, run_tells_status_and_both_outputs)
{
	_autorun_ struct run_result r = run_program("sh", "-c", "echo out; echo err >&2; exit 7");

	cr_expect_eq(r.status, 7);
	cr_expect_str_eq(r.out, "out\n");
	cr_expect_str_eq(r.err, "err\n");
}

Test(testlib, run_passes_input_directory_environment_and_descriptors)
{
	_autoclose_ int root = tmp_tree("file=shown");
	_autoclose_ int file = openat(root, "file", O_RDONLY | O_CLOEXEC);
	const struct run_options options = {
		.input = "typed\n",
		.cwd = "/usr",
		.env = (const char *const[]){"NAME=value", NULL},
		.fds = {{.from = file, .to = 7}},
	};
	_autorun_ struct run_result r =
		run_argv(&options, (const char *const[]){"/bin/sh", "-c",
							 "read -r line; echo \"$line $PWD $NAME\";"
							 "/bin/cat <&7",
							 NULL});

	cr_expect_str_eq(r.out, "typed /usr value\nshown");
	cr_expect_eq(r.status, 0);
}

Test(testlib, run_reports_signals_and_time_outs)
{
	const struct run_options hurried = {.timeout_ms = 50};
	_autorun_ struct run_result killed = run_program("sh", "-c", "kill -TERM $$");
	_autorun_ struct run_result late =
		run_argv(&hurried, (const char *const[]){"sleep", "60", NULL});

	cr_expect_eq(killed.status, -SIGTERM);
	cr_expect_not(killed.timed_out);
	cr_expect(late.timed_out);
	cr_expect_eq(late.status, -SIGKILL);
}

Test(testlib, deadlines_are_longer_where_the_machine_is_said_to_be_slow)
{
	const struct {
		const char *slow;
		int deadline;
	} cases[] = {{"1", 50}, {"30", 1500}, {"0", 50}, {"-3", 50}, {"soon", 50}, {"", 50}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert(setenv("SBX_TEST_SLOW", cases[i].slow, 1) == 0);
		cr_expect_eq(test_deadline(50), cases[i].deadline, "%s", cases[i].slow);
	}
	cr_assert(unsetenv("SBX_TEST_SLOW") == 0);
	cr_expect_eq(test_deadline(50), 50);
}

Test(testlib, run_does_not_wait_for_what_was_left_behind)
{
	_autorun_ struct run_result r = run_program("sh", "-c", "sleep 20 & echo ended");

	cr_expect_not(r.timed_out);
	cr_expect_str_eq(r.out, "ended\n");
}

Test(testlib, session_on_a_terminal_sees_keys_and_size)
{
	const struct run_options options = {.pty = true, .rows = 30, .columns = 100};
	_autosession_ struct session session;
	_autorun_ struct run_result result = {0};

	session_start(&session, &options,
		      (const char *const[]){"sh", "-c",
					    "trap 'echo caught; exit 3' INT; stty size;"
					    "sleep 60 & wait",
					    NULL});
	cr_assert(session_expect(&session, "30 100"));
	session_send(&session, "\003");
	cr_expect(session_expect(&session, "caught"));
	result = session_finish(&session);
	cr_expect_eq(result.status, 3);
}

/* One that has ended may still wait for its parent, which is none of ours. */
static bool is_running(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	_autorun_ struct run_result r = run_program("/bin/sed", "-n", "s/^State:.//p", path);

	return r.out_len > 0 && r.out[0] != 'Z' && r.out[0] != 'X';
}

/* The runner ends what a test has left, even one that could not do it itself. */
Test(testlib, sandboxes_end_with_the_tests)
{
	_autoclose_ int root = tmp_tree(NULL);
	_autofree_ char *told = tree_path(root, "told"), *env = NULL, *pid = NULL;

	cr_assert_gt(asprintf(&env, "LEAVES_BOX=%s", told), 0);
	const struct run_options run = {
		.env = (const char *const[]){"PATH=/usr/bin:/bin", env, NULL}};
	_autorun_ struct run_result r =
		run_argv(&run, (const char *const[]){TEST_LEAVES_BOX, NULL});

	cr_expect_eq(r.status, 1, "status %d: %s", r.status, r.err);
	pid = tree_read(root, "told");
	cr_assert_gt(atoi(pid), 1, "%s%s", pid, r.err);
	cr_expect_not(is_running(atoi(pid)), "%s", r.err);
}
