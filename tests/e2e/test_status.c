/* SPDX-License-Identifier: MIT */
/* What programs are told of a sandbox, and the other options that are for them. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "/bin/sh", "-c", (script)

/* What was written to a memfd. The caller frees it. */
static char *text_of(int fd)
{
	struct stat st;
	char *text;

	cr_assert_eq(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	cr_assert(text);
	cr_assert_eq(pread(fd, text, (size_t)st.st_size, 0), (ssize_t)st.st_size);
	return text;
}

static bool is_file_full(void *arg)
{
	struct stat st;

	return fstat(*(int *)arg, &st) == 0 && st.st_size > 0;
}

Test(status, info_names_the_process_and_its_new_namespaces)
{
	_autoclose_ int fd = memfd_create("info", 0);
	struct run_options options = {.fds = {{fd, 11}}};
	_autorun_ struct run_result r = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--share-net", "--info-fd", "11",
		SH("test -e /proc/self/fd/11 || echo closed; stat -Lc %i /proc/self/ns/pid"));
	_autofree_ char *text = text_of(fd);
	unsigned long pid_ns = 0;
	const char *at = strstr(text, "\"pid-namespace\": ");

	expect_success(r);
	cr_expect(strncmp(text, "{\n    \"child-pid\": ", 19) == 0, "%s", text);
	cr_expect(strstr(text, ",\n    \"cgroup-namespace\": "), "%s", text);
	cr_expect(strstr(text, "\n}\n"), "%s", text);
	cr_expect(!strstr(text, "net-namespace"), "the network is shared: %s", text);
	cr_expect(!strstr(text, "user-namespace"), "%s", text);
	cr_assert(at && sscanf(at, "\"pid-namespace\": %lu", &pid_ns) == 1);
	char want[64];

	(void)snprintf(want, sizeof(want), "closed\n%lu\n", pid_ns);
	cr_expect_str_eq(r.out, want);
}

/* It is written before the command begins, and names a process that can be looked at. */
Test(status, the_start_is_told_before_the_command_begins)
{
	_autosession_ struct session s;
	_autoclose_ int fd = memfd_create("info", 0);
	int block[2];
	char path[64];
	int pid = 0;

	cr_assert_eq(pipe2(block, O_CLOEXEC), 0);
	struct run_options options = {.fds = {{fd, 11}, {block[0], 12}}};

	session_sbx(&s, &options, "--ro-bind", "/usr", "/usr", "--info-fd", "11", "--block-fd",
		    "12", "--", SH("echo began"));
	close(block[0]);
	cr_assert(wait_until(is_file_full, &fd));
	_autofree_ char *text = text_of(fd);

	cr_assert_eq(sscanf(text, "{\n    \"child-pid\": %d", &pid), 1, "%s", text);
	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	cr_expect_eq(access(path, F_OK), 0, "%s", path);
	close(block[1]);
	struct run_result r = session_finish(&s);

	cr_expect_str_eq(r.out, "began\n");
	run_result_finish(&r);
}

Test(status, status_tells_the_exit_code_and_the_resources)
{
	_autoclose_ int fd = memfd_create("status", 0);
	struct run_options options = {.fds = {{fd, 11}}};
	_autorun_ struct run_result r = run_sbx_with(&options, "--ro-bind", "/usr", "/usr",
						     "--json-status-fd", "11", SH("exit 7"));
	_autofree_ char *text = text_of(fd);

	cr_expect_eq(r.status, 7);
	cr_expect(strncmp(text, "{ \"child-pid\": ", 15) == 0, "%s", text);
	cr_expect(strstr(text, "\"max-rss-kb\""), "%s", text);
	cr_expect(strstr(text, "\n{ \"exit-code\": 7 }\n"), "%s", text);
}

Test(status, status_tells_an_error_as_an_object)
{
	static const struct {
		const char *args[4];
		const char *says;
	} cases[] = {
		{{"--ro-bind", "/none", "/x", "true"}, "\"option\":\"--ro-bind /none /x\""},
		{{"--chdir", "/none", "--", "true"}, "\"exit-code\":125"},
		{{"--ro-bind", "/usr", "/u", "nothing"}, "\"exit-code\":127"},
		{{"--hostname", "x", "--share-uts", "true"}, "\"option\":\"--hostname\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autoclose_ int fd = memfd_create("status", 0);
		struct run_options options = {.fds = {{fd, 11}}};
		const char *const *args = cases[i].args;
		_autorun_ struct run_result r =
			run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--json-status-fd",
				     "11", args[0], args[1], args[2], args[3]);
		_autofree_ char *text = text_of(fd);

		cr_expect_geq(r.status, 125, "%s", cases[i].says);
		cr_expect(strstr(text, "{\"error\":{"), "%s", text);
		cr_expect(strstr(text, cases[i].says), "%s in %s", cases[i].says, text);
		cr_expect(!strstr(text, "{ \"exit-code\""), "%s", text);
		/* The lines of a hint are those of a terminal. */
		cr_expect(!strstr(text, "\\n"), "%s", text);
	}
}

/* A reader that has gone away does not matter to the command, unless it was to be told first. */
Test(status, a_reader_that_went_away_ends_nothing)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	struct run_options options = {.fds = {{fds[1], 11}}};

	close(fds[0]);
	_autorun_ struct run_result r =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--info-fd", "11", "true");

	expect_failure(r, 125, "--info-fd: cannot write to descriptor 11: Broken pipe");
	close(fds[1]);
}

static int try_write_lock(const char *path)
{
	_autoclose_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	cr_assert_geq(fd, 0);
	return fcntl(fd, F_SETLK, &lock);
}

Test(status, a_lock_is_held_as_long_as_the_sandbox_lives)
{
	_autoclose_ int tree = tmp_tree("lock");
	_autofree_ char *dir = tree_path(tree, "."), *path = tree_path(tree, "lock");
	_autosession_ struct session s;
	struct run_options options = {.open_input = true};

	session_sbx(&s, &options, "--ro-bind", "/usr", "/usr", "--bind", dir, "/l", "--lock-file",
		    "/l/lock", "--", SH("echo up; read -r line"));
	cr_assert(session_expect(&s, "up"));
	cr_expect_lt(try_write_lock(path), 0, "the file could be locked");
	session_send(&s, "\n");
	struct run_result r = session_finish(&s);

	cr_expect_eq(try_write_lock(path), 0);
	run_result_finish(&r);
}

Test(status, a_file_that_cannot_be_locked_is_an_error)
{
	_autorun_ struct run_result none =
		in_usr("--lock-file", "/usr/none", "--lock-file", "/usr", "true");
	_autorun_ struct run_result pid_1 = in_usr("--as-pid-1", "--lock-file", "/usr", "true");

	expect_failure(none, 125, "/usr/none: cannot open the lock file: No such file");
	expect_failure(pid_1, 125, "--as-pid-1: cannot be combined with --lock-file");
}

Test(status, messages_begin_with_their_level_where_asked_for)
{
	_autorun_ struct run_result r =
		run_sbx("--level-prefix", "--ro-bind", "/none", "/x", "true");
	_autorun_ struct run_result usage = run_sbx("--level-prefix", "--none", "true");

	cr_expect(strncmp(r.err, "<3>sbx: --ro-bind /none", 23) == 0, "%s", r.err);
	cr_expect(strncmp(usage.err, "<3>sbx: --none", 14) == 0, "%s", usage.err);
}
