/* SPDX-License-Identifier: MIT */
/* e2e seccomp_file: profiles in JSON, and what is said of those that cannot be read. */
#include <stdio.h>
#include <sys/stat.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)
#define NO_MKDIR                                                                                   \
	"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "                      \
	"[\"mkdir\", \"mkdirat\", \"no_such_call\"], \"action\": \"SCMP_ACT_ERRNO\"}]}"

/* EDOM (33), which nothing else answers with, unless CAP_SYS_CHROOT is kept. */
#define CAPS                                                                                       \
	"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"chroot\"], "        \
	"\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 33, "                                       \
	"\"excludes\": {\"caps\": [\"CAP_SYS_CHROOT\"]}}, {\"names\": [\"sync\"], "                \
	"\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 33, "                                       \
	"\"includes\": {\"caps\": [\"CAP_SYS_CHROOT\"]}}]}"

/* Skip where there is none; a profile that is good must work otherwise. */
static void need_reader(const char *good)
{
	_autorun_ struct run_result r = in_usr("--seccomp", good, "--", "true");

	skip_unless(!strstr(r.err, "is not installed"), "sbx-seccomp is not there");
	expect_success(r);
}

Test(seccomp_file, refuses_what_the_profile_refuses)
{
	_autoclose_ int tree = tmp_tree("p.json=" NO_MKDIR);
	_autofree_ char *path = tree_path(tree, "p.json");

	need_reader(path);
	{
		_autorun_ struct run_result r =
			in_usr("--seccomp", path,
			       SH("mkdir /tmp/d 2>&1; rmdir /tmp 2>/dev/null; echo $?"));
		_autorun_ struct run_result log =
			in_usr("--seccomp", path, "--seccomp-log", SH("mkdir /tmp/d"));
		_autorun_ struct run_result explain =
			in_usr("--seccomp", path, "--explain", "--", "true");

		expect_success(r);
		cr_expect(strstr(r.out, "Operation not permitted\n1\n"), "%s", r.out);
		cr_expect(strstr(log.err, "refused mkdir (once)"), "%s", log.err);
		expect_success(explain);
		cr_expect(strstr(explain.out, "p.json, "), "%s", explain.out);
		cr_expect(strstr(explain.out, "no_such_call"), "%s", explain.out);
	}
}

Test(seccomp_file, a_word_without_a_slash_is_a_file_too)
{
	_autoclose_ int tree = tmp_tree("p.json=" NO_MKDIR);
	_autofree_ char *path = tree_path(tree, "p.json"), *dir = tree_path(tree, ".");
	const struct run_options options = {.cwd = dir};

	need_reader(path);
	{
		_autorun_ struct run_result r =
			in_usr_with(&options, "--seccomp=p.json", SH("mkdir /tmp/d; echo $?"));

		expect_out(r, "1\n");
	}
}

Test(seccomp_file, conditions_go_by_the_capabilities_that_are_kept)
{
	static const char script[] =
		"import ctypes; l = ctypes.CDLL(None, use_errno=True)\n"
		"print(l.chroot(b'/'), ctypes.get_errno())\n"
		"ctypes.set_errno(0); l.syscall(162); print(ctypes.get_errno())";
	_autoclose_ int tree = tmp_tree("p.json=" CAPS);
	_autofree_ char *path = tree_path(tree, "p.json");

	need_reader(path);
#ifndef __x86_64__
	cr_skip_test("the number of sync(2) is another");
#endif
	{
		_autorun_ struct run_result without =
			in_usr("--seccomp", path, "--", "python3", "-c", script);
		_autorun_ struct run_result with = in_usr("--seccomp", path, "--cap-add=SYS_CHROOT",
							  "--", "python3", "-c", script);

		expect_out(without, "-1 33\n0\n");
		expect_out(with, "0 0\n33\n");
	}
}

/* Files that are no profiles: each with words that its error must have. */
Test(seccomp_file, what_is_no_profile_is_an_error)
{
	static const struct {
		const char *name, *words;
	} cases[] = {
		{"cut", "is not valid JSON"},
		{"action", "syscalls[0].action: must be one of"},
		{"op", "needs an \"op\""},
		{"member", "syscalls[0].inclules: is a member that is not known"},
		{"notify", "SCMP_ACT_NOTIFY"},
		{"large", "larger than"},
		{"missing", "no such file"},
		{"dir", "is a directory"},
		{"fifo", "not a regular file"},
		{"open", "can be written by others"},
	};
	_autoclose_ int tree = tmp_tree(
		"p.json=" NO_MKDIR, "cut={\"defaultAction\":", "open=" NO_MKDIR, "dir/",
		"action={\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
		"[\"sync\"], \"action\": \"ERRNO\"}]}",
		"op={\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"sync\"], "
		"\"action\": \"SCMP_ACT_LOG\", \"args\": [{\"index\": 0, \"op\": \"EQ\"}]}]}",
		"member={\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
		"[\"sync\"], \"action\": \"SCMP_ACT_LOG\", \"inclules\": {}}]}",
		"notify={\"defaultAction\": \"SCMP_ACT_NOTIFY\"}", "large");
	_autofree_ char *good = tree_path(tree, "p.json"), *fifo = tree_path(tree, "fifo");
	_autofree_ char *large = tree_path(tree, "large"), *open = tree_path(tree, "open");

	need_reader(good);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	cr_assert_eq(truncate(large, 2 << 20), 0);
	cr_assert_eq(chmod(open, 0666), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_ char *path = tree_path(tree, cases[i].name);
		_autorun_ struct run_result r = in_usr("--seccomp", path, "--", "true");

		expect_failure(r, 125, cases[i].words);
		expect_failure(r, 125, "--seccomp: ");
		expect_failure(r, 125, "hint:");
		cr_expect(strstr(r.err, cases[i].name), "no name in: %s", r.err);
	}
}

Test(seccomp_file, options_that_do_not_go_with_it_are_refused)
{
	_autoclose_ int tree = tmp_tree("p.json=" NO_MKDIR);
	_autofree_ char *path = tree_path(tree, "p.json");
	_autorun_ struct run_result allow =
		in_usr("--seccomp", path, "--seccomp-allow=mount", "--", "true");
	_autorun_ struct run_result deny =
		in_usr("--seccomp", path, "--seccomp-deny=sync", "--", "true");

	expect_failure(allow, 125, "--seccomp-allow: changes a filter of sbx's own");
	expect_failure(deny, 125, "--seccomp-deny: changes a filter of sbx's own");
}

/* The reader is a program that may be anything: missing, broken, or endless. */
Test(seccomp_file, a_reader_that_fails_is_an_error)
{
	static const struct {
		const char *name, *words;
	} cases[] = {
		{"none", "is not installed"},
		{"silent", "does not answer with a filter"},
		{"crash", "was killed by signal 9"},
		{"three", "failed with exit status 3"},
		{"flood", "more than a filter can have"},
		{"nosense", "does not answer with a filter"},
	};
	_autoclose_ int tree =
		tmp_tree("p.json=" NO_MKDIR, "silent=#!/bin/sh\n", "crash=#!/bin/sh\nkill -9 $$\n",
			 "three=#!/bin/sh\nexit 3\n", "flood=#!/bin/sh\ncat /dev/zero\n",
			 "nosense=#!/bin/sh\nhead -c 64 /dev/zero\n");
	_autofree_ char *path = tree_path(tree, "p.json");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_ char *program = tree_path(tree, cases[i].name);
		char helper[4096 + 32];

		(void)snprintf(helper, sizeof(helper), "sbx-seccomp=%s", program);
		{
			_autorun_ struct run_result r =
				in_usr("--helper", helper, "--seccomp", path, "--", "true");

			expect_failure(r, 125, cases[i].words);
		}
	}
}

/* What it is given: no privileges to gain, no file but its three descriptors, little time. */
Test(seccomp_file, the_reader_is_confined)
{
	_autoclose_ int tree =
		tmp_tree("p.json=" NO_MKDIR,
			 "reader=#!/bin/sh\n" /* the shell looks at itself, before it has a pipe of
						 its own */
			 "for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/self/fd/$fd ] ||\n"
			 "[ /proc/self/fd/$fd -ef $0 ] || open=\"$open$fd;\"; done\n"
			 "{ grep NoNewPrivs: /proc/self/status; ulimit -t; ulimit -c; } |\n"
			 "tr '\\n\\t' '; ' >&2; echo \"$open\" >&2; exit 1\n");
	_autofree_ char *path = tree_path(tree, "p.json"), *program = tree_path(tree, "reader");
	const struct run_options options = {.fds = {{tree, 7}}};
	char helper[4096 + 32];

	(void)snprintf(helper, sizeof(helper), "sbx-seccomp=%s", program);
	{
		_autorun_ struct run_result r =
			in_usr_with(&options, "--helper", helper, "--seccomp", path, "--", "true");

		expect_failure(r, 125, "p.json: NoNewPrivs: 1;10;0;\n");
	}
}

/* Its own limits are not above those of the caller, who could not raise them again. */
Test(seccomp_file, the_reader_lives_with_lower_limits)
{
	_autoclose_ int tree = tmp_tree("p.json=" NO_MKDIR);
	_autofree_ char *path = tree_path(tree, "p.json");

	need_reader(path);
	{
		_autorun_ struct run_result r =
			run_program("sh", "-c",
				    "ulimit -f 100 && ulimit -t 9 && ulimit -n 30 && "
				    "XDG_CACHE_HOME= exec \"$@\"",
				    "sh", sbx_program(), "--ro-bind", "/usr", "/usr", "--seccomp",
				    path, SH("mkdir /tmp/d || ulimit -f"));

		expect_success(r);
		cr_expect(strstr(r.out, "100\n") || strstr(r.out, "200\n"), "%s", r.out);
	}
}

/* Debian's containers-common has it; any other system's will do too. */
Test(seccomp_file, podmans_file_is_taken_as_it_is)
{
	static const char file[] = "/usr/share/containers/seccomp.json";

	skip_unless(access(file, R_OK) == 0, "podman's profile is not installed");
	need_reader(file);
	{
		_autorun_ struct run_result r =
			in_usr("--seccomp", file, SH("chroot / true; echo $?"));
		_autorun_ struct run_result cap = in_usr("--seccomp", file, "--cap-add=SYS_CHROOT",
							 SH("chroot / true; echo $?"));

		expect_out(r, "125\n");
		expect_out(cap, "0\n");
	}
}
