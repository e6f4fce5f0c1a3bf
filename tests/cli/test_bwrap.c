/* SPDX-License-Identifier: MIT */
/* bubblewrap's grammar: what it takes, and its words for what it does not take. */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/cli/bwrap.h"
#include "sbx/cli/options.h"
#include "sbx/spec/defaults.h"

enum { MAX_WORDS = 32 };

#define _autorunline_ __attribute__((cleanup(cli_run_finish)))
#define parse(run, err, ...) parse_words((run), (err), (const char *[]){"bwrap", __VA_ARGS__, NULL})

static int parse_words(struct cli_run *run, struct sbx_err *err, const char **words)
{
	char *argv[MAX_WORDS];
	int argc = 0;

	cli_run_init(run);
	spec_set_program(&run->spec, spec_program_called(words[0]));
	while (words[argc]) {
		cr_assert_lt(argc, MAX_WORDS - 1);
		argv[argc] = (char *)(uintptr_t)words[argc];
		argc++;
	}
	argv[argc] = NULL;
	return cli_parse_bwrap(argc, argv, run, err);
}

Test(bwrap, the_last_part_of_the_name_decides)
{
	cr_expect_eq(spec_program_called("bwrap"), SPEC_PROGRAM_BWRAP);
	cr_expect_eq(spec_program_called("/usr/libexec/sbx/bwrap"), SPEC_PROGRAM_BWRAP);
	cr_expect_eq(spec_program_called("sbx"), SPEC_PROGRAM_SBX);
	cr_expect_eq(spec_program_called("bwrap/sbx"), SPEC_PROGRAM_SBX);
	cr_expect_eq(spec_program_called("bwrap2"), SPEC_PROGRAM_SBX);
	cr_expect_eq(spec_program_called(""), SPEC_PROGRAM_SBX);
}

Test(bwrap, refuses_in_the_words_of_bubblewrap)
{
	static const struct {
		const char *words[8];
		const char *says;
	} cases[] = {
		{{"--bogus"}, "Unknown option --bogus"},
		{{"-"}, "Unknown option -"},
		{{"--chdir=/", "true"}, "Unknown option --chdir=/"},
		{{"--unshare", "true"}, "Unknown option --unshare"},
		{{"-v", "true"}, "Unknown option -v"},
		{{"--net", "host", "true"}, "Unknown option --net"},
		{{"--bind", "/"}, "--bind takes two arguments"},
		{{"--chdir"}, "--chdir takes one argument"},
		{{"--remount-ro"}, "--remount-ro takes one argument"},
		{{"--proc"}, "--proc takes an argument"},
		{{"--uid", "x", "true"}, "Invalid uid: x"},
		{{"--gid", "-1", "true"}, "Invalid gid: -1"},
		{{"--file", "x", "/d", "true"}, "Invalid fd: x"},
		{{"--seccomp", "default", "true"}, "Invalid fd: default"},
		{{"--cap-add", "x", "true"}, "unknown cap: x"},
		{{"--cap-add", "chown", "true"}, "unknown cap: chown"},
		{{"--cap-add", "64", "true"}, "unknown cap: 64"},
		{{"--uid", "2147483648", "true"}, "Invalid uid: 2147483648"},
		{{"--uid", "7 ", "true"}, "Invalid uid: 7 "},
		{{"--sync-fd", "", "true"}, "Invalid fd: "},
		{{"--exec-label"}, "--exec-label takes an argument"},
		{{"--perms", "888", "--dir", "/d", "true"},
		 "--perms takes an octal argument <= 07777"},
		{{"--chmod", "88", "/d", "true"}, "--chmod takes an octal argument <= 07777"},
		{{"--perms", "700", "--perms", "700", "--dir", "/d", "true"},
		 "--perms given twice for the same action"},
		{{"--perms", "700", "--symlink", "a", "b", "true"},
		 "--perms must be followed by an option that creates a file"},
		{{"--size", "9", "--dir", "/d", "true"}, "--size must be followed by --tmpfs"},
		{{"--size", "0", "--tmpfs", "/d", "true"},
		 "--size takes a non-zero number of bytes"},
		{{"--size", "64K", "--tmpfs", "/d", "true"},
		 "--size takes a non-zero number of bytes"},
		{{"--seccomp", "3", "--add-seccomp-fd", "3", "true"},
		 "--add-seccomp-fd cannot be combined with --seccomp"},
		{{"--add-seccomp-fd", "3", "--seccomp", "3", "true"},
		 "--seccomp cannot be combined with --add-seccomp-fd"},
		{{"--argv0", "a", "--argv0", "b", "true"}, "--argv0 used multiple times"},
		{{"--exec-label", "x", "true"}, "labeling not supported on this system"},
		{{"--hostname", "x", "true"}, "Specifying --hostname requires --unshare-uts"},
		{{"--as-pid-1", "true"}, "Specifying --as-pid-1 requires --unshare-pid"},
		{{"--unshare-all", "--disable-userns", "true"},
		 "--disable-userns requires --unshare-user"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *words[10] = {"bwrap"};
		_autorunline_ struct cli_run run;
		struct sbx_err err = {.usage = false};

		memcpy(words + 1, cases[i].words, sizeof(cases[i].words));
		cr_assert_lt(parse_words(&run, &err, words), 0, "%s was accepted", cases[i].says);
		cr_expect_str_eq(err.what, cases[i].says);
		cr_expect_str_eq(err.option, "", "%s", cases[i].says);
	}
}

Test(bwrap, reads_numbers_as_strtol_does)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "--uid", "+7", "--gid", " 010", "--sync-fd", " 3",
			   "--cap-add", "21", "true"),
		     0);
	cr_expect_eq(run.spec.uid, 7);
	cr_expect_eq(run.spec.gid, 10);
	cr_expect_eq(run.spec.sync_fd, 3);
	cr_expect_str_eq(run.spec.caps[0].name, "CAP_SYS_ADMIN");
}

Test(bwrap, of_an_option_given_twice_the_last_counts_and_that_is_said)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "--chdir", "/a", "--uid", "1", "--chdir", "/b", "true"), 0);
	cr_expect_str_eq(run.spec.chdir, "/b");
	cr_assert_eq(run.n_warnings, 1);
	cr_expect_str_eq(run.warnings[0], "Only the last --chdir option will take effect");
}

Test(bwrap, without_a_command_it_prints_its_usage)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "--ro-bind", "/", "/"), 0);
	cr_expect_eq(run.action, CLI_USAGE);
}

Test(bwrap, a_size_is_in_any_base)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "--size", "0x1000", "--tmpfs", "/t", "true"), 0);
	cr_expect_eq(run.spec.ops[0].size_bytes, 4096);
}

Test(bwrap, what_follows_a_command_in_a_stream_is_ignored)
{
	static const char text[] = "--dir\0/d\0ls\0--bogus";
	_autorunline_ struct cli_run run;
	struct sbx_err err;
	char number[16];
	int fd = memfd_create("args", 0);

	cr_assert_geq(fd, 3);
	cr_assert_eq(pwrite(fd, text, sizeof(text), 0), (ssize_t)sizeof(text));
	(void)snprintf(number, sizeof(number), "%d", fd);
	cr_assert_eq(parse(&run, &err, "--args", number, "--dir", "/e", "true"), 0);
	cr_expect_eq(run.spec.n_ops, 2);
	cr_expect_str_eq(run.spec.argv[0], "true");
}

Test(bwrap, starts_from_the_defaults_of_bubblewrap)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "true"), 0);
	cr_expect_eq(run.spec.program, SPEC_PROGRAM_BWRAP);
	cr_expect_eq(run.spec.map, SPEC_MAP_SINGLE);
	cr_expect(run.spec.no_base);
	cr_expect_str_eq(run.spec.seccomp, "none");
	cr_expect(spec_get_defaults(&run.spec)->keeps_env);
	cr_expect_eq(spec_get_defaults(&run.spec)->exit_failed, 1);
}

/* Callers look for the names of options in it before they use them. */
Test(bwrap, help_names_every_option)
{
	static const char *const names[] = {"--argv0",	    "--disable-userns", "--level-prefix",
					    "--ro-bind-fd", "--overlay-src",	"--perms",
					    "--size",	    "--json-status-fd"};
	char room[16384];
	struct str_buf out = STR_BUF_ON_STACK(room);

	cli_bwrap_help("./bwrap", &out);
	cr_expect(
		str_starts_with(out.data, "usage: ./bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n"));
	cr_expect(!out.cut);
	/* The rows of sbx say what is the default there, and how else it is said. */
	cr_expect(!strstr(out.data, "default"), "%s", out.data);
	cr_expect(!strstr(out.data, "--net"), "%s", out.data);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cr_expect(bwrap_has_option(names[i]), "%s", names[i]);
		cr_expect(strstr(out.data, names[i]), "%s", names[i]);
	}
}
