/* SPDX-License-Identifier: MIT */
/* e2e userns: user namespaces that the caller has a hand in. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

static bool write_map(long pid, const char *file, const char *text)
{
	_autoclose_ int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The process that the sandbox waits in, once it is told. */
static long told_pid(struct session *session)
{
	const char *key;

	cr_assert(session_expect(session, "}\n"), "%s%s", session->result.out, session->result.err);
	key = strstr(session->result.out, "\"child-pid\": ");
	cr_assert(key, "%s", session->result.out);
	return strtol(key + strlen("\"child-pid\": "), NULL, 10);
}

/* By then the descriptor that it waited for is not the command's. */
Test(userns, the_caller_maps_the_ids_of_a_sandbox_that_waits)
{
	_autoclose_ int release_read = -1, release_write = -1;
	struct run_options options = {0};
	_autorun_ struct run_result result = {0};
	_autosession_ struct session session;
	char uids[64], gids[64];
	int fds[2];
	long pid;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	release_read = fds[0];
	release_write = fds[1];
	options.fds[0] = (struct run_fd){release_read, 9};
	session_sbx(&session, &options, "--ro-bind", "/usr", "/usr", "--uid", "77", "--gid", "78",
		    "--info-fd", "1", "--userns-block-fd", "9",
		    SH("ls /proc/$$/fd | grep -x 9; echo $(id -u) $(id -g) $(cat "
		       "/proc/self/uid_map)."));
	pid = told_pid(&session);
	(void)snprintf(uids, sizeof(uids), "77 %u 1\n", getuid());
	(void)snprintf(gids, sizeof(gids), "78 %u 1\n", getgid());
	cr_assert(write_map(pid, "setgroups", "deny"));
	cr_assert(write_map(pid, "gid_map", gids));
	cr_assert(write_map(pid, "uid_map", uids), "is there a map already?");
	cr_assert_eq(write(release_write, "x", 1), 1);
	result = session_finish(&session);
	(void)snprintf(uids, sizeof(uids), "}\n77 78 77 %u 1.\n", getuid());
	cr_expect_eq(result.status, 0, "%d: %s", result.status, result.err);
	cr_expect(strstr(result.out, uids), "%s", result.out);
}

/* Nobody has mapped them: then nothing of the command happens. */
Test(userns, a_sandbox_without_ids_is_none)
{
	_autorun_ struct run_result result =
		in_usr("--info-fd", "1", "--userns-block-fd", "0", SH("echo has run"));

	expect_failure(result, 125, "no id inside");
	cr_expect(!strstr(result.out, "has run"), "%s", result.out);
}

Test(userns, a_signal_ends_a_sandbox_that_waits_for_its_ids)
{
	const struct run_options options = {.open_input = true};
	_autorun_ struct run_result result = {0};
	_autosession_ struct session session;

	session_sbx(&session, &options, "--ro-bind", "/usr", "/usr", "--info-fd", "1",
		    "--userns-block-fd", "0", SH("echo has run"));
	(void)told_pid(&session);
	cr_assert_eq(kill(session.pid, SIGTERM), 0);
	result = session_finish(&session);
	cr_expect_eq(result.status, 128 + SIGTERM, "%d: %s", result.status, result.err);
	cr_expect(!strstr(result.out, "has run"), "%s", result.out);
}

Test(userns, what_does_not_go_with_ids_mapped_by_the_caller)
{
	_autorun_ struct run_result alone = in_usr("--userns-block-fd", "0", SH("true"));
	_autorun_ struct run_result range =
		in_usr("--userns-block-fd", "0", "--info-fd", "1", "--map=range", SH("true"));
	_autorun_ struct run_result passed =
		in_usr("--userns-block-fd", "0", "--info-fd", "1", "--pass-fd", "0", SH("true"));

	expect_failure(alone, 125, "needs --info-fd");
	expect_failure(range, 125, "cannot be combined with --map=range");
	expect_failure(passed, 125, "which the command does not get");
	cr_expect_str_eq(range.out, "");
}

/* unshare(1) in a user namespace of its own, and its descriptor. */
static int other_userns(struct session *session)
{
	const struct run_options options = {.open_input = true};
	char path[64];
	long pid;
	int fd;

	session_start(session, &options,
		      (const char *const[]){"unshare", "-U", "-r", "sh", "-c",
					    "readlink /proc/self/ns/user; echo $$.; read end",
					    NULL});
	cr_assert(session_expect(session, ".\n"), "%s%s", session->result.out, session->result.err);
	pid = strtol(strchr(session->result.out, '\n') + 1, NULL, 10);
	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

/* It is that namespace, with no more rights than in one's own, and without the descriptor. */
Test(userns, the_sandbox_is_in_a_user_namespace_that_was_given)
{
	_autosession_ struct session session;
	_autoclose_ int fd = other_userns(&session);
	const struct run_options options = {.fds = {{fd, 9}}};
	_autorun_ struct run_result result = in_usr_with(
		&options, "--userns", "9", "--uid", "0", "--gid", "0",
		SH("readlink /proc/self/ns/user; id -u; grep CapBnd /proc/self/status; "
		   "ls /proc/$$/fd | grep -x 9; unshare -U true 2>/dev/null || echo none below"));
	char wanted[128];

	(void)snprintf(wanted, sizeof(wanted), "%.*s\n0\nCapBnd:\t0000000000000000\nnone below\n",
		       (int)strcspn(session.result.out, "\n"), session.result.out);
	expect_out(result, wanted);
}

Test(userns, what_is_no_namespace_or_not_the_callers_is_refused)
{
	_autorun_ struct run_result none = in_usr("--userns", "0", SH("true"));
	_autorun_ struct run_result both = in_usr("--userns", "0", "--unshare-user", SH("true"));
	_autorun_ struct run_result limit = in_usr("--userns", "0", "--disable-userns", SH("true"));
	_autorun_ struct run_result pids = in_usr("--pidns", "0", "--unshare-pid", SH("true"));

	expect_failure(none, 125, "--userns: cannot enter the user namespace");
	expect_failure(both, 125, "cannot be combined with --unshare-user");
	expect_failure(limit, 125, "cannot be combined with --disable-userns");
	expect_failure(pids, 125, "--pidns: cannot enter the pid namespace");
}
