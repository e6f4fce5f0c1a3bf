/* SPDX-License-Identifier: MIT */
/*
 * The program under the name bwrap: what its callers rely on. Where a case holds for
 * bubblewrap itself as well, it was taken from what that does.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "/bin/sh", "-c", (script)
#define run_bwrap(...) run_bwrap_with(NULL, __VA_ARGS__)
#define run_bwrap_with(options, ...)                                                               \
	run_argv((options), (const char *const[]){bwrap_program(), __VA_ARGS__, NULL})

/* A link of that name to the program, in a tree that goes with the test. */
static const char *bwrap_program(void)
{
	static char path[4096];
	_autofree_ char *link = NULL;
	char entry[4096];
	int tree;

	if (path[0])
		return path;
	(void)snprintf(entry, sizeof(entry), "bwrap -> %s", sbx_program());
	tree = tmp_tree(entry);
	link = tree_path(tree, "bwrap");
	(void)snprintf(path, sizeof(path), "%s", link);
	close(tree);
	return path;
}

Test(bwrap, tells_a_version_and_its_usage)
{
	_autorun_ struct run_result version = run_bwrap("--version");
	_autorun_ struct run_result help = run_bwrap("--help");
	_autorun_ struct run_result none =
		run_argv(NULL, (const char *const[]){bwrap_program(), NULL});

	expect_out(version, "bubblewrap 0.11.1\n");
	expect_success(help);
	cr_expect(strstr(help.out, "--ro-bind SRC DEST"));
	cr_expect_str_eq(help.err, "");
	cr_expect_eq(none.status, 1);
	cr_expect_str_eq(none.out, "");
	cr_expect(strstr(none.err, "usage: "), "%s", none.err);
}

/* A caller that is started again inside, as bubblewrap's own tests do: it stays what it was. */
Test(bwrap, starts_itself_inside_by_the_kernels_link)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "A=kept", NULL};
	const struct run_options options = {.env = env};
	_autorun_ struct run_result outside =
		run_program("sh", "-c", "echo kept; grep Seccomp: /proc/self/status");
	_autorun_ struct run_result version = run_bwrap_with(
		&options, "--dev-bind", "/", "/", "--proc", "/proc", "/proc/self/exe", "--version");
	_autorun_ struct run_result nested = run_bwrap_with(
		&options, "--dev-bind", "/", "/", "--", "/proc/self/exe", "--dev-bind", "/", "/",
		"--", SH("echo $A; grep Seccomp: /proc/self/status"));
	_autorun_ struct run_result missing =
		run_bwrap_with(&options, "--dev-bind", "/", "/", "/proc/self/exe", "--dev-bind",
			       "/", "/", "/none");
	_autorun_ struct run_result named = run_bwrap_with(
		&options, "--dev-bind", "/", "/", "--argv0", "sbx", "/proc/self/exe", "--version");

	expect_out(version, "bubblewrap 0.11.1\n");
	expect_out(nested, outside.out);
	cr_expect_eq(missing.status, 1);
	cr_expect(strstr(missing.err, "bwrap: execvp /none") == missing.err, "%s", missing.err);
	cr_expect(strstr(named.out, "sbx ") == named.out, "%s", named.out);
}

/* Longer than the kernel takes: it is the kernel that would refuse it. */
Test(bwrap, a_filter_that_is_too_long_is_not_called_uneven)
{
	_autorun_ struct run_result r = run_argv(
		NULL,
		(const char *const[]){
			"bash", "-c",
			"exec \"$1\" --bind / / --seccomp 7 true 7< <(head -c 40000 /dev/zero)",
			"bash", bwrap_program(), NULL});

	cr_expect_eq(r.status, 1);
	cr_expect(strstr(r.err, "bwrap: Unable to set up system call filtering as requested: "
				"prctl(PR_SET_SECCOMP) reported EINVAL") == r.err,
		  "%s", r.err);
}

Test(bwrap, has_no_verbs_and_none_of_sbxs_options)
{
	/* Of a PATH with a directory that cannot be searched it would be "Permission denied". */
	static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	const struct run_options clean = {.env = env};
	_autorun_ struct run_result verb =
		run_argv(&clean, (const char *const[]){bwrap_program(), "--ro-bind", "/", "/",
						       "version", NULL});
	_autorun_ struct run_result option = run_bwrap("--explain", "--ro-bind", "/", "/", "true");

	expect_failure(verb, 1, "bwrap: execvp version: No such file or directory\n");
	expect_failure(option, 1, "bwrap: Unknown option --explain\n");
}

Test(bwrap, every_failure_of_its_own_is_1)
{
	_autorun_ struct run_result source = run_bwrap("--ro-bind", "/none", "/x", "true");
	_autorun_ struct run_result directory =
		run_bwrap("--ro-bind", "/", "/", "--chdir", "/none", "true");
	_autorun_ struct run_result file = run_bwrap("--ro-bind", "/", "/", "/etc/passwd");

	cr_expect_str_eq(source.err,
			 "bwrap: Can't find source path /none: No such file or directory\n");
	cr_expect_eq(source.status, 1);
	cr_expect_str_eq(directory.err, "bwrap: Can't chdir to /none: No such file or directory\n");
	cr_expect_eq(directory.status, 1);
	cr_expect_str_eq(file.err, "bwrap: execvp /etc/passwd: Permission denied\n");
	cr_expect_eq(file.status, 1);
}

Test(bwrap, the_commands_status_comes_back)
{
	_autorun_ struct run_result code = run_bwrap("--ro-bind", "/", "/", SH("exit 7"));
	_autorun_ struct run_result killed = run_bwrap("--ro-bind", "/", "/", SH("kill -9 $$"));
	_autorun_ struct run_result below =
		run_bwrap("--unshare-pid", "--ro-bind", "/", "/", SH("kill -9 $$"));

	cr_expect_eq(code.status, 7, "%s", code.err);
	cr_expect_eq(killed.status, 128 + SIGKILL);
	cr_expect_eq(below.status, 128 + SIGKILL);
}

Test(bwrap, makes_only_what_was_asked_for)
{
	_autorun_ struct run_result r =
		run_bwrap("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink",
			  "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin",
			  SH("ls / | tr '\\n' ' '; touch /made && echo writable"));

	expect_out(r, "bin lib lib64 usr writable\n");
}

Test(bwrap, environment_and_descriptors_are_passed_on)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "SOMETHING=kept", NULL};
	int data = memfd_create("data", 0), other = memfd_create("other", 0);
	struct run_options options = {.env = env, .fds = {{data, 20}, {other, 21}}};
	_autorun_ struct run_result r = run_bwrap_with(
		&options, "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--file", "20", "/tmp/f",
		SH("echo $SOMETHING; test -e /proc/self/fd/21 && echo passed; "
		   "test -e /proc/self/fd/20 || echo consumed"));

	expect_out(r, "kept\npassed\nconsumed\n");
	close(data);
	close(other);
}

Test(bwrap, further_namespaces_can_be_made_inside)
{
	_autorun_ struct run_result r =
		run_bwrap("--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc",
			  "/proc", "unshare", "-Urpf", "--mount-proc", "sh", "-c", "echo $$");

	expect_out(r, "1\n");
}

/* Run a script of the shell in a directory of its own; $1 is bwrap. */
static struct run_result run_script(const char *script)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *cwd = tree_path(tree, ".");
	struct run_options options = {.cwd = cwd};

	return run_argv(&options, (const char *const[]){"/bin/sh", "-c", script, "sh",
							bwrap_program(), NULL});
}

Test(bwrap, what_the_command_left_goes_on)
{
	_autorun_ struct run_result r = run_script(
		"mkfifo go; \"$1\" --unshare-pid --ro-bind / / --dev /dev sh -c "
		"'{ read line; echo got $line; } <&3 & exit 5' 3<>go >out; echo $?; echo this >go\n"
		"until grep 'got this' out; do sleep 0.01; done\n");

	expect_out(r, "5\ngot this\n");
}

Test(bwrap, with_die_with_parent_nothing_goes_on)
{
	_autorun_ struct run_result r = run_bwrap("--unshare-pid", "--die-with-parent", "--ro-bind",
						  "/", "/", SH("sleep 1000 & exit 5"));

	/* Else the pipe of the output would stay open until the time is up. */
	cr_expect(!r.timed_out);
	cr_expect_eq(r.status, 5);
}

/* SIGTERM is the monitor's own affair: it ends, and the sandbox does not. */
Test(bwrap, a_signal_ends_it_alone)
{
	_autorun_ struct run_result r =
		run_script("mkfifo go; \"$1\" --unshare-pid --ro-bind / / sh -c "
			   "'echo up; read line; echo got $line' <go >out & pid=$!; exec 3>go\n"
			   "until grep -q up out; do sleep 0.01; done\n"
			   "kill -TERM $pid; wait $pid; echo $?; echo this >&3\n"
			   "until grep 'got this' out; do sleep 0.01; done\n");

	expect_out(r, "143\ngot this\n");
}

Test(bwrap, no_process_of_its_own_without_a_pid_namespace)
{
	_autorun_ struct run_result r =
		run_bwrap("--ro-bind", "/", "/", SH("ps -o comm= -p $PPID; true"));

	/* The command is the monitor's child: nobody stands between them. */
	expect_out(r, "bwrap\n");
}

Test(bwrap, process_1_can_be_seen_but_tells_nothing)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "SECRET=hidden", NULL};
	struct run_options options = {.env = env};
	_autorun_ struct run_result r = run_bwrap_with(
		&options, "--unshare-pid", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin",
		"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
		SH("readlink /proc/1/ns/pid >/dev/null && echo seen; tr '\\0' ' ' "
		   "</proc/1/environ | grep -c hidden; tr '\\0' ' ' </proc/1/cmdline | "
		   "grep -c ro-bind"));

	cr_expect_str_eq(r.out, "seen\n0\n0\n", "%s%s", r.out, r.err);
}

/* A descriptor with `n` times --dir. */
static int dirs_open(int n)
{
	int fd = memfd_create("args", 0);

	for (int i = 0; i < n; i++)
		cr_assert_gt(dprintf(fd, "--dir%c/tmp/d/%d%c", 0, i, 0), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

Test(bwrap, options_come_in_thousands_through_a_descriptor)
{
	int fd = dirs_open(4000);
	struct run_options options = {.fds = {{fd, 11}}};
	_autorun_ struct run_result r =
		run_bwrap_with(&options, "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--args", "11",
			       "--chdir", "/", SH("ls /tmp/d | wc -l"));

	expect_out(r, "4000\n");
	close(fd);
}

Test(bwrap, takes_no_more_words_than_bubblewrap)
{
	int fd = dirs_open(4500);
	struct run_options options = {.fds = {{fd, 11}}};
	_autorun_ struct run_result r = run_bwrap_with(&options, "--ro-bind", "/", "/", "--tmpfs",
						       "/tmp", "--args", "11", "true");

	expect_failure(r, 1, "bwrap: Exceeded maximum number of arguments 9000");
	close(fd);
}

/* Who keeps capabilities and could write the limit's file would have it back. */
Test(bwrap, user_namespaces_stay_disabled_for_who_keeps_capabilities)
{
	_autorun_ struct run_result r = run_bwrap(
		"--bind", "/", "/", "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add",
		"ALL", "--disable-userns",
		SH("echo 9 >/proc/sys/user/max_user_namespaces; unshare -U true || echo none"));

	cr_expect_str_eq(r.out, "none\n", "%s%s", r.out, r.err);
}

Test(bwrap, odd_destinations_are_taken_as_they_are)
{
	_autorun_ struct run_result r =
		run_bwrap("--ro-bind", "/usr", "//usr", "--symlink", "usr/lib", "lib", "--symlink",
			  "usr/lib64", "lib64", "--symlink", "usr/bin", "bin", "--dev-bind", "/dev",
			  "dev", "--proc", "/proc", "--perms", "000", "--tmpfs", "/shut",
			  "--remount-ro", "/shut", SH("test -c /dev/null && stat -c %a /shut"));

	expect_out(r, "0\n");
}

Test(bwrap, a_missing_file_is_made_below_a_writable_bind)
{
	_autoclose_ int tree = tmp_tree("work/");
	_autofree_ char *work = tree_path(tree, "work");
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/.hidden", work);
	_autorun_ struct run_result r =
		run_bwrap("--ro-bind", "/", "/", "--bind", work, work, "--ro-bind", "/dev/null",
			  path, "stat", "-c", "%F", path);

	expect_success(r);
	cr_expect(tree_exists(tree, "work/.hidden"));
}

/* A command that is the program itself is bubblewrap to its callers, too. */
Test(bwrap, is_itself_when_its_command_leads_back_to_it)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "KEPT=kept", NULL};
	const struct run_options options = {.env = env};
	_autorun_ struct run_result version =
		run_bwrap_with(&options, "--dev-bind", "/", "/", "/proc/self/exe", "--version");
	_autorun_ struct run_result nested = run_bwrap_with(
		&options, "--dev-bind", "/", "/", "--", "/proc/self/exe", "--dev-bind", "/", "/",
		SH("echo $KEPT; grep Seccomp: /proc/$$/status"));
	_autorun_ struct run_result fails =
		run_bwrap("--dev-bind", "/", "/", "/proc//self/exe", "--no-such");
	_autorun_ struct run_result named =
		run_bwrap("--dev-bind", "/", "/", "--argv0", "sbx", "/proc/self/exe", "version");

	expect_out(version, "bubblewrap 0.11.1\n");
	expect_out(nested, "kept\nSeccomp:\t0\n");
	cr_expect_eq(fails.status, 1);
	cr_expect(strstr(fails.err, "bwrap: "), "%s", fails.err);
	cr_expect(strstr(named.out, "sbx "), "%s%s", named.out, named.err);
}
