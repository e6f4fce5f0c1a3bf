/* SPDX-License-Identifier: MIT */
/* e2e exit: what sbx exits with, and what it says when a command cannot be run. */
#include <signal.h>

#include "e2e.h"

Test(exit, is_the_commands)
{
	_autorun_ struct run_result none = in_usr("--", "true");
	_autorun_ struct run_result some = in_usr("--", "sh", "-c", "exit 7");
	_autorun_ struct run_result most = in_usr("--", "sh", "-c", "exit 255");

	cr_expect_eq(none.status, 0, "%s", none.err);
	cr_expect_eq(some.status, 7);
	cr_expect_eq(most.status, 255);
	cr_expect_str_eq(some.err, "", "sbx has nothing to say about it");
}

Test(exit, of_a_command_ended_by_a_signal_is_128_and_its_number)
{
	_autorun_ struct run_result term = in_usr("--", "sh", "-c", "kill -TERM $$");
	_autorun_ struct run_result kill_ = in_usr("--", "sh", "-c", "kill -KILL $$");

	cr_expect_eq(term.status, 128 + SIGTERM, "%d", term.status);
	cr_expect_eq(kill_.status, 128 + SIGKILL, "%d", kill_.status);
}

Test(exit, of_a_failed_set_up_is_125_and_names_option_and_source)
{
	_autorun_ struct run_result r =
		in_usr("--ro-bind", "/nonexistent/source", "/data", "--", "true");

	expect_failure(r, 125, "--ro-bind /nonexistent/source /data");
	expect_failure(r, 125, "No such file or directory");
	cr_expect_str_eq(r.out, "");
}

Test(exit, of_a_usage_error_is_125_and_shows_the_word)
{
	_autorun_ struct run_result unknown = in_usr("--ro-bnid", "/usr", "/usr", "--", "true");
	_autorun_ struct run_result missing = run_sbx("--ro-bind", "/usr");
	_autorun_ struct run_result no_command = in_usr("--");

	expect_failure(unknown, 125, "--ro-bnid");
	expect_failure(unknown, 125, "--ro-bind");
	expect_failure(missing, 125, "--ro-bind");
	expect_failure(no_command, 125, "command");
}

Test(exit, of_an_unknown_verb_shows_the_run_form)
{
	_autorun_ struct run_result r = run_sbx("frobnicate");

	cr_expect_gt(r.status, 0);
	cr_expect(strstr(r.err, "frobnicate"), "%s", r.err);
	cr_expect(strstr(r.err, "-- frobnicate"), "%s", r.err);
}

/* Also where its standard output is closed. */
Test(exit, of_a_verb_that_cannot_write_is_its_own)
{
	static const char *const scripts[] = {
		"\"$1\" diff --help >/dev/full", "\"$1\" help diff >/dev/full",
		"\"$1\" diff --help >&-", "\"$1\" help diff >&-", "\"$1\" sessions --json >&-"};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		_autorun_ struct run_result r =
			run_program("/bin/sh", "-c", scripts[i], "sh", sbx_program());

		expect_failure(r, 1, "stdout: cannot write");
	}
}

Test(exit, of_a_command_not_on_path_is_127)
{
	_autorun_ struct run_result r = in_usr("--", "no-such-command");

	expect_failure(r, 127, "no-such-command");
	expect_failure(r, 127, "PATH");
}

Test(exit, of_a_path_that_is_not_there_is_127)
{
	_autorun_ struct run_result r = in_usr("--", "/usr/bin/no-such-command");

	expect_failure(r, 127, "/usr/bin/no-such-command");
	expect_failure(r, 127, "no such file");
}

Test(exit, of_a_script_without_its_interpreter_names_it)
{
	_autoclose_ int tree = tmp_tree("script=#!/usr/bin/no-such-shell\n");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result r = in_usr("--ro-bind", path, "/srv", "--", "/srv/script");

	expect_failure(r, 127, "/usr/bin/no-such-shell");
	expect_failure(r, 127, "interpreter");
}

Test(exit, of_a_program_without_its_loader_names_it_and_a_bind_that_helps)
{
	_autorun_ struct run_result r =
		run_sbx("--ro-bind", "/usr/bin", "/usr/bin", "--", "/usr/bin/true");

	expect_failure(r, 127, "loader");
	expect_failure(r, 127, "--ro-bind");
	cr_expect(strstr(r.err, "/ld-"), "%s", r.err);
}

Test(exit, of_a_file_that_is_not_executable_is_126)
{
	_autoclose_ int tree = tmp_tree("plain=text\n", "dir/");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result file = in_usr("--ro-bind", path, "/srv", "--", "/srv/plain");
	_autorun_ struct run_result dir = in_usr("--ro-bind", path, "/srv", "--", "/srv/dir");

	expect_failure(file, 126, "/srv/plain");
	expect_failure(file, 126, "executable");
	expect_failure(dir, 126, "/srv/dir");
}

Test(exit, of_help_and_version_is_0_and_they_print_on_stdout)
{
	_autorun_ struct run_result help = run_sbx("--help");
	_autorun_ struct run_result version = run_sbx("--version");
	_autorun_ struct run_result verb = run_sbx("version");

	cr_expect_eq(help.status, 0);
	cr_expect(strstr(help.out, "--ro-bind"));
	cr_expect_str_eq(help.err, "");
	cr_expect_eq(version.status, 0);
	cr_expect_eq(strncmp(version.out, "sbx ", 4), 0, "%s", version.out);
	cr_expect_str_eq(verb.out, version.out);
}
