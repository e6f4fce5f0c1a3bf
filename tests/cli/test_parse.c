/* SPDX-License-Identifier: MIT */
/* What a command line becomes, and what is said about a wrong one. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/cli/cli.h"

enum { MAX_WORDS = 32 };

#define _autorunline_ __attribute__((cleanup(cli_run_finish)))
#define parse(run, err, ...) parse_words((run), (err), (const char *[]){"sbx", __VA_ARGS__, NULL})
#define parse_ok(run, ...)                                                                         \
	do {                                                                                       \
		struct sbx_err _err = {.usage = false};                                            \
		cr_assert_eq(parse((run), &_err, __VA_ARGS__), 0, "%s: %s", _err.option,           \
			     _err.what);                                                           \
	} while (0)

static int parse_words(struct cli_run *run, struct sbx_err *err, const char **words)
{
	char *argv[MAX_WORDS];
	int argc = 0;

	cli_run_init(run);
	while (words[argc]) {
		cr_assert_lt(argc, MAX_WORDS - 1);
		argv[argc] = (char *)(uintptr_t)words[argc];
		argc++;
	}
	argv[argc] = NULL;
	return cli_parse_run(argc, argv, run, err);
}

/* A wrong command line: all the words, the option that is blamed, and a part of what is said. */
struct wrong {
	const char *words[8];
	const char *option;
	const char *says;
};

static void expect_wrong(const struct wrong *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *words[10] = {"sbx"};
		_autorunline_ struct cli_run run;
		struct sbx_err err = {.usage = false};

		memcpy(words + 1, cases[i].words, sizeof(cases[i].words));
		cr_assert_lt(parse_words(&run, &err, words), 0, "case %zu: %s was accepted", i,
			     words[1]);
		cr_expect(err.usage, "case %zu is a usage error", i);
		cr_expect_str_eq(err.option, cases[i].option);
		cr_expect(strstr(err.what, cases[i].says), "case %zu: \"%s\" lacks \"%s\"", i,
			  err.what, cases[i].says);
	}
}

/* A descriptor that holds `len` bytes, to be read from the start. */
static int stream_of(const char *data, size_t len)
{
	int fd = memfd_create("args", 0);

	cr_assert_geq(fd, 3);
	cr_assert_eq(pwrite(fd, data, len, 0), (ssize_t)len);
	return fd;
}

#define STREAM(text) stream_of((text), sizeof(text) - 1)

static const char *number(char room[16], int value)
{
	(void)snprintf(room, 16, "%d", value);
	return room;
}

Test(parse, operations_keep_their_order_and_arguments)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--ro-bind", "/usr", "/u", "--symlink", "u/bin", "/bin", "--bind-fd", "7",
		 "/seven", "--chmod", "0700", "/d", "--rw", ".", "bash", "-c", "--true");
	cr_assert_eq(run.spec.n_ops, 5);
	cr_expect_eq(run.spec.ops[0].kind, SPEC_OP_BIND);
	cr_expect_eq(run.spec.ops[0].flags, SPEC_OP_RO);
	cr_expect_str_eq(run.spec.ops[0].source, "/usr");
	cr_expect_str_eq(run.spec.ops[0].dest, "/u");
	cr_expect_str_eq(run.spec.ops[0].option, "--ro-bind");
	cr_expect_eq(run.spec.ops[0].fd, -1);
	cr_expect_eq(run.spec.ops[0].perms, -1);
	cr_expect_eq(run.spec.ops[1].kind, SPEC_OP_SYMLINK);
	cr_expect_str_eq(run.spec.ops[1].source, "u/bin");
	cr_expect_eq(run.spec.ops[2].fd, 7);
	cr_expect_null(run.spec.ops[2].source);
	cr_expect_eq(run.spec.ops[3].perms, 0700);
	cr_expect_str_eq(run.spec.ops[3].dest, "/d");
	cr_expect_eq(run.spec.ops[4].flags, SPEC_OP_SAME);
	cr_expect_null(run.spec.ops[4].dest);
	cr_assert_eq(run.spec.n_argv, 3);
	cr_expect_str_eq(run.spec.argv[2], "--true", "options of the command are its own");
}

Test(parse, rootfs_is_a_bind_at_the_root)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--rootfs", "/srv/debian", "--", "sh");
	cr_assert_eq(run.spec.n_ops, 1);
	cr_expect_str_eq(run.spec.ops[0].source, "/srv/debian");
	cr_expect_str_eq(run.spec.ops[0].dest, "/");
}

Test(parse, equals_is_the_same_as_a_word)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--map=single", "--tmpfs=/t", "--uid=4294967294", "--env=A=b=c", "--", "-x");
	cr_expect_eq(run.spec.map, SPEC_MAP_SINGLE);
	cr_expect_str_eq(run.spec.ops[0].dest, "/t");
	cr_expect_eq(run.spec.uid, 4294967294);
	cr_expect_str_eq(run.spec.env[0].name, "A");
	cr_expect_str_eq(run.spec.env[0].value, "b=c");
	cr_expect_str_eq(run.spec.argv[0], "-x", "-- ends the options");
}

Test(parse, equals_needs_an_option_with_one_argument)
{
	static const struct wrong cases[] = {
		{{"--ro-bind=/a", "/b", "sh"}, "--ro-bind", "takes 2 arguments"},
		{{"--unshare-pid=yes", "sh"}, "--unshare-pid", "takes no argument"},
	};

	expect_wrong(cases, ARRAY_SIZE(cases));
}

Test(parse, the_last_of_one_setting_wins)
{
	_autorunline_ struct cli_run run;
	_autorunline_ struct cli_run again;

	parse_ok(&run, "--share-net", "--net=none", "--uid", "1", "--uid", "2", "sh");
	cr_expect_eq(run.spec.ns[SPEC_NS_NET], SPEC_NS_NEW);
	cr_expect_eq(run.spec.uid, 2);
	parse_ok(&again, "--unshare-all", "--net", "host", "sh");
	cr_expect_eq(again.spec.ns[SPEC_NS_NET], SPEC_NS_SHARE);
	cr_expect_eq(again.spec.ns[SPEC_NS_USER], SPEC_NS_TRY);
	cr_expect_eq(again.spec.ns[SPEC_NS_CGROUP], SPEC_NS_TRY);
	cr_expect_eq(again.spec.ns[SPEC_NS_PID], SPEC_NS_NEW);
}

Test(parse, missing_arguments_are_named)
{
	static const struct wrong cases[] = {
		{{"--ro-bind"}, "--ro-bind", "SRC is missing"},
		{{"--ro-bind", "/usr"}, "--ro-bind", "DEST is missing"},
		{{"--ro-bind", "/usr", "--", "true"}, "--ro-bind", "DEST is missing"},
		{{"--proc", "--", "true"}, "--proc", "DEST is missing"},
		{{"--setenv", "A"}, "--setenv", "VALUE is missing"},
		{{"--map"}, "--map", "WORD is missing"},
	};

	expect_wrong(cases, ARRAY_SIZE(cases));
}

Test(parse, a_path_may_be_called_like_the_end_of_options)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--ro-bind", "--", "--", "--", "sh");
	cr_assert_eq(run.spec.n_ops, 1);
	cr_expect_str_eq(run.spec.ops[0].source, "--");
	cr_expect_str_eq(run.spec.ops[0].dest, "--");
}

Test(parse, unknown_options_get_one_good_suggestion)
{
	static const struct wrong cases[] = {
		{{"--ro-bin", "/a", "/b", "sh"}, "--ro-bin", "did you mean --ro-bind?"},
		{{"--unshare-ned", "sh"}, "--unshare-ned", "did you mean --unshare-net?"},
		{{"--tmpsf", "/x"}, "--tmpsf", "did you mean --tmpfs?"},
		{{"--chidr=/x"}, "--chidr=/x", "did you mean --chdir?"},
		{{"-"}, "-", "unknown option"},
		{{"-x"}, "-x", "unknown option"},
	};
	static const struct wrong silent[] = {
		{{"--frobnicate", "sh"}, "--frobnicate", "unknown option"},
		{{"--xx", "sh"}, "--xx", "unknown option"},
	};
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	expect_wrong(cases, ARRAY_SIZE(cases));
	expect_wrong(silent, ARRAY_SIZE(silent));
	cr_assert_lt(parse(&run, &err, "--frobnicate", "sh"), 0);
	cr_expect_null(strstr(err.what, "did you mean"));
}

Test(parse, habits_from_other_tools_get_our_option)
{
	static const struct wrong cases[] = {
		{{"-v", "/a:/b", "sh"}, "-v", "--bind SRC DEST"},
		{{"--volume=/a:/b", "sh"}, "--volume=/a:/b", "--bind SRC DEST"},
		{{"-e", "A=b", "sh"}, "-e", "--env"},
		{{"-w", "/x", "sh"}, "-w", "--chdir"},
		{{"-it", "sh"}, "-it", "terminal"},
		{{"-u", "1"}, "-u", "--user"},
		{{"--network=none"}, "--network=none", "--net=none"},
		{{"-p", "80:x"}, "--publish", "[ADDR:]HOSTPORT:PORT"},
		{{"--rm", "sh"}, "--rm", "not needed"},
		{{"--seccomp", "", "sh"}, "--seccomp", "empty"},
		{{"--seccomp-deny", "read,mont", "sh"}, "--seccomp-deny", "did you mean mount?"},
		{{"--seccomp-allow", "@mounts", "sh"}, "--seccomp-allow", "did you mean @mount?"},
		{{"--seccomp-allow", "read,", "sh"}, "--seccomp-allow", "no system call"},
		{{"--exec-label", "x"}, "--exec-label", "not available in this version"},
	};

	expect_wrong(cases, ARRAY_SIZE(cases));
}

Test(parse, layers_stand_in_front_of_their_overlay)
{
	static const struct wrong cases[] = {
		{{"--overlay-src", "/a", "true"}, "", "--overlay-src must be followed by another"},
		{{"--overlay-src", "/a"}, "", "--overlay-src must be followed by another"},
		{{"--overlay-src", "/a", "--dir", "/x", "true"}, "", "--overlay-src must be"},
		{{"--overlay-src", "/a", "--chdir", "/", "true"}, "", "--overlay-src must be"},
		{{"--tmp-overlay", "/x", "true"}, "", "--tmp-overlay requires at least one"},
		{{"--overlay", "/u", "/w", "/x", "true"}, "", "--overlay requires at least one"},
		{{"--overlay-src", "/a", "--ro-overlay", "/x", "true"},
		 "",
		 "--ro-overlay requires at least two"},
		{{"--overlay-src", "", "--tmp-overlay", "/x", "true"}, "--overlay-src", "empty"},
		{{"--overlay-driver=disk", "true"}, "--overlay-driver", "auto, kernel, fuse"},
	};
	_autorunline_ struct cli_run run;

	expect_wrong(cases, ARRAY_SIZE(cases));
	parse_ok(&run, "--overlay-src", "/a", "--overlay-src", "/b", "--mount-opt", "noexec",
		 "--overlay", "/u", "/w", "/x", "--overlay-driver=fuse", "true");
	cr_assert_eq(run.spec.n_ops, 3);
	cr_expect_eq(run.spec.ops[0].kind, SPEC_OP_OVERLAY_SRC);
	cr_expect_str_eq(run.spec.ops[0].source, "/a");
	cr_expect_null(run.spec.ops[0].dest);
	cr_expect_eq(run.spec.ops[2].kind, SPEC_OP_OVERLAY);
	cr_expect_str_eq(run.spec.ops[2].source, "/u");
	cr_expect_str_eq(run.spec.ops[2].work, "/w");
	cr_expect_str_eq(run.spec.ops[2].dest, "/x");
	cr_expect_eq(run.spec.ops[2].mount_opts, SPEC_MOUNT_NOEXEC);
	cr_expect_eq(run.spec.overlay_driver, SPEC_OVERLAY_DRIVER_FUSE);
}

Test(parse, v_alone_is_verbose)
{
	_autorunline_ struct cli_run run;
	_autorunline_ struct cli_run colon;

	parse_ok(&run, "-v", "sh");
	cr_expect(run.verbose);
	cr_expect_str_eq(run.spec.argv[0], "sh");
	parse_ok(&colon, "-v", "--", "a:b");
	cr_expect_str_eq(colon.spec.argv[0], "a:b");
}

Test(parse, wrong_values_name_option_and_value)
{
	static const struct wrong cases[] = {
		{{"--uid", "4294967295", "sh"}, "--uid", "-1"},
		{{"--uid", "4294967296", "sh"}, "--uid", "4294967294"},
		{{"--gid", "-1", "sh"}, "--gid", "\"-1\""},
		{{"--bind-fd", "x", "/d", "sh"}, "--bind-fd", "FD"},
		{{"--bind-fd", "2147483648", "/d", "sh"}, "--bind-fd", "FD"},
		{{"--pass-fd", "", "sh"}, "--pass-fd", "FD"},
		{{"--chmod", "8", "/d", "sh"}, "--chmod", "OCTAL"},
		{{"--perms", "10000", "--dir", "/d", "sh"}, "--perms", "7777"},
		{{"--size", "0", "--tmpfs", "/d", "sh"}, "--size", "above 0"},
		{{"--size", "1X", "--tmpfs", "/d", "sh"}, "--size", "1X"},
		{{"--map=all", "sh"}, "--map", "auto, range, single"},
		{{"--net=bridge", "sh"}, "--net", "none, user, host"},
		{{"--on-exit=stay", "sh"}, "--on-exit", "kill, wait"},
		{{"--explain=xml", "sh"}, "--explain", "json, spec"},
		{{"--hostname", "", "sh"}, "--hostname", "1 to 64"},
		{{"--user", ":0", "sh"}, "--user", "USER:GROUP"},
		{{"--setenv", "A=B", "c", "sh"}, "--setenv", "="},
		{{"--unsetenv", "", "sh"}, "--unsetenv", "empty"},
		{{"--env", "=x", "sh"}, "--env", "empty"},
		{{"--cap-add", "sys_amdin", "sh"}, "--cap-add", "sys_amdin"},
		{{"--helper", "ssh=/x", "sh"}, "--helper", "newuidmap, newgidmap"},
		{{"--helper", "newuidmap=x", "sh"}, "--helper", "absolute"},
		{{"--tmpfs", "", "sh"}, "--tmpfs", "DEST is empty"},
		{{"--ro-bind", "", "/x", "sh"}, "--ro-bind", "SRC is empty"},
	};

	expect_wrong(cases, ARRAY_SIZE(cases));
}

Test(parse, an_empty_source_is_allowed_where_it_may_be_missing)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--ro-bind-try", "", "/x", "sh");
	cr_expect_str_eq(run.spec.ops[0].source, "");
}

Test(parse, modifiers_go_to_the_next_operation_only)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--size", "64K", "--perms", "1777", "--mount-opt", "noexec,nr_inodes=9",
		 "--tmpfs", "/t", "--tmpfs", "/plain", "--mount-opt", "ro,noatime", "--bind", "/a",
		 "/b", "--mount-opt=size=1M,mode=0700", "--tmpfs", "/u", "sh");
	cr_expect_eq(run.spec.ops[0].size_bytes, 65536);
	cr_expect_eq(run.spec.ops[0].perms, 01777);
	cr_expect_eq(run.spec.ops[0].mount_opts, SPEC_MOUNT_NOEXEC);
	cr_expect_eq(run.spec.ops[0].nr_inodes, 9);
	cr_expect_eq(run.spec.ops[1].size_bytes, 0);
	cr_expect_eq(run.spec.ops[1].perms, -1);
	cr_expect_eq(run.spec.ops[1].mount_opts, 0);
	cr_expect_eq(run.spec.ops[2].mount_opts, SPEC_MOUNT_RO | SPEC_MOUNT_NOATIME);
	cr_expect_eq(run.spec.ops[3].size_bytes, 1 << 20);
	cr_expect_eq(run.spec.ops[3].perms, 0700);
}

/* Without a unit it is bubblewrap's. */
Test(parse, a_size_is_read_as_bubblewrap_reads_it)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--size", "0x1000", "--tmpfs", "/a", "--size", "010", "--tmpfs", "/b",
		 "--size", "010K", "--tmpfs", "/c", "sh");
	cr_expect_eq(run.spec.ops[0].size_bytes, 0x1000);
	cr_expect_eq(run.spec.ops[1].size_bytes, 010);
	cr_expect_eq(run.spec.ops[2].size_bytes, 10 * 1024);
}

Test(parse, modifiers_that_fit_nothing_are_refused)
{
	static const struct wrong cases[] = {
		{{"--perms", "700", "--bind", "/a", "/b", "sh"}, "--perms", "--bind"},
		{{"--perms", "700", "--hostname", "x", "sh"}, "--perms", "--hostname"},
		{{"--perms", "700", "sh"}, "--perms", "the command"},
		{{"--perms", "700", "--perms", "700", "--dir", "/x"}, "--perms", "twice"},
		{{"--size", "1", "--size", "1", "--tmpfs", "/x"}, "--size", "twice"},
		{{"--size", "1", "--dir", "/x", "sh"}, "--size", "--dir"},
		{{"--size", "1", "--mount-opt", "size=1", "--tmpfs", "/x"},
		 "--mount-opt size=",
		 "--size"},
		{{"--mount-opt", "size=1", "--bind", "/a", "/b"}, "--mount-opt size=", "--bind"},
		{{"--mount-opt", "noexec", "--dir", "/a"}, "--mount-opt", "--dir"},
		{{"--mount-opt", "noexec,", "--tmpfs", "/a"}, "--mount-opt", "no such word"},
		{{"--mount-opt", "mode=9", "--tmpfs", "/a"}, "--mount-opt", "octal"},
	};

	expect_wrong(cases, ARRAY_SIZE(cases));
}

Test(parse, no_command_shows_how)
{
	_autorunline_ struct cli_run run;
	_autorunline_ struct cli_run empty;
	struct sbx_err err;

	cr_assert_lt(parse(&run, &err, "--unshare-net"), 0);
	cr_expect(err.usage);
	cr_expect(strstr(err.hint, "-- bash"));
	cr_assert_lt(parse(&empty, &err, "--", ""), 0);
	cr_expect(strstr(err.what, "empty"));
}

Test(parse, help_and_version_need_no_command)
{
	_autorunline_ struct cli_run run;
	_autorunline_ struct cli_run version;

	parse_ok(&run, "--unshare-net", "-h", "--nonsense");
	cr_expect_eq(run.action, CLI_HELP);
	parse_ok(&version, "--version");
	cr_expect_eq(version.action, CLI_VERSION);
}

Test(parse, explain_has_three_forms)
{
	_autorunline_ struct cli_run plain;
	_autorunline_ struct cli_run json;
	_autorunline_ struct cli_run spec;

	parse_ok(&plain, "--explain", "json");
	cr_expect_eq(plain.action, CLI_EXPLAIN);
	cr_expect_str_eq(plain.spec.argv[0], "json", "the form is given with = only");
	parse_ok(&json, "--explain=json", "sh");
	cr_expect_eq(json.action, CLI_EXPLAIN_JSON);
	parse_ok(&spec, "--explain=spec", "sh");
	cr_expect_eq(spec.action, CLI_EXPLAIN_SPEC);
}

Test(parse, a_word_that_may_be_missing_is_given_with_equals)
{
	_autorunline_ struct cli_run none;
	_autorunline_ struct cli_run plain;
	_autorunline_ struct cli_run listed;
	_autorunline_ struct cli_run off;

	parse_ok(&none, "sh");
	cr_expect_eq(none.spec.mask_sockets, SPEC_MASK_SOCKETS_OFF);
	parse_ok(&plain, "--mask-sockets=listed", "--mask-sockets", "listed");
	cr_expect_eq(plain.spec.mask_sockets, SPEC_MASK_SOCKETS_ALL);
	cr_expect_str_eq(plain.spec.argv[0], "listed");
	parse_ok(&listed, "--mask-sockets=all", "--mask-sockets=listed", "sh");
	cr_expect_eq(listed.spec.mask_sockets, SPEC_MASK_SOCKETS_LISTED);
	parse_ok(&off, "--mask-sockets", "--mask-sockets=off", "sh");
	cr_expect_eq(off.spec.mask_sockets, SPEC_MASK_SOCKETS_OFF);
}

Test(parse, lists_keep_what_was_typed)
{
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--clearenv", "--setenv", "A", "", "--env", "B", "--env-file", "/f",
		 "--cap-add", "cap_Chown", "--cap-drop", "all", "--helper", "newuidmap=/opt/a=b",
		 "--pass-fd", "9", "sh");
	cr_assert_eq(run.spec.n_env, 4);
	cr_expect_eq(run.spec.env[0].kind, SPEC_ENV_CLEAR);
	cr_expect_eq(run.spec.env[1].kind, SPEC_ENV_SET);
	cr_expect_str_eq(run.spec.env[1].value, "");
	cr_expect_eq(run.spec.env[2].kind, SPEC_ENV_PASS);
	cr_expect_str_eq(run.spec.env[2].name, "B");
	cr_expect_str_eq(run.spec.env[3].value, "/f");
	cr_expect_str_eq(run.spec.caps[0].name, "cap_Chown");
	cr_expect_eq(run.spec.caps[1].kind, SPEC_CAP_DROP);
	cr_expect_str_eq(run.spec.helpers[0].name, "newuidmap");
	cr_expect_str_eq(run.spec.helpers[0].path, "/opt/a=b");
	cr_expect_eq(run.spec.pass_fds[0], 9);
}

Test(parse, args_stand_where_they_were_read)
{
	int fd = STREAM("--tmpfs\0/b\0--hostname\0box");
	char room[16];
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--tmpfs", "/a", "--args", number(room, fd), "--tmpfs", "/c", "sh");
	cr_assert_eq(run.spec.n_ops, 3);
	cr_expect_str_eq(run.spec.ops[1].dest, "/b");
	cr_expect_str_eq(run.spec.ops[2].dest, "/c");
	cr_expect_str_eq(run.spec.hostname, "box", "the last NUL may be missing");
	cr_expect_eq(fcntl(fd, F_GETFD), -1, "the descriptor is closed");
}

Test(parse, args_may_hold_more_than_a_command_line)
{
	enum { BINDS = 20000 };
	static const char one[] = "--ro-bind\0/some/source\0/some/destination";
	int fd = memfd_create("args", 0);
	char room[16];
	_autorunline_ struct cli_run run;

	for (int i = 0; i < BINDS; i++)
		cr_assert_eq(pwrite(fd, one, sizeof(one), (off_t)(i * sizeof(one))), sizeof(one));
	parse_ok(&run, "--args", number(room, fd), "sh");
	cr_expect_eq(run.spec.n_ops, BINDS);
}

Test(parse, args_on_a_standard_descriptor_leave_its_place_taken)
{
	int fd = STREAM("--unshare-net\0");
	_autorunline_ struct cli_run run;

	cr_assert_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	parse_ok(&run, "--args", "0", "sh");
	cr_expect_geq(fcntl(STDIN_FILENO, F_GETFD), 0);
	cr_expect_eq(read(STDIN_FILENO, (char[1]){0}, 1), 0);
}

Test(parse, args_cannot_hold_everything)
{
	const struct {
		int fd;
		const char *option, *says;
	} cases[] = {
		{STREAM("--unshare-net\0sh\0"), "sh", "command cannot come from --args"},
		{STREAM("--\0sh\0"), "sh", "command cannot come from --args"},
		{STREAM("--unshare-net\0\0"), "", "command cannot come from --args"},
		{STREAM("--args\0003\0"), "--args", "inside an --args stream"},
		{STREAM("--ro-bind\0/usr\0"), "--ro-bind", "DEST is missing"},
		{STREAM("--ro-bin\0"), "--ro-bin", "did you mean --ro-bind?"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[16];
		_autorunline_ struct cli_run run;
		struct sbx_err err;

		cr_assert_lt(parse(&run, &err, "--args", number(room, cases[i].fd), "x", "y"), 0);
		cr_expect(err.usage);
		cr_expect_str_eq(err.option, cases[i].option);
		cr_expect(strstr(err.what, cases[i].says), "%s", err.what);
	}
}

Test(parse, args_that_cannot_be_read_are_told)
{
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(parse(&run, &err, "--args", "987654", "sh"), -EBADF);
	cr_expect_str_eq(err.option, "--args");
	cr_expect_str_eq(err.path, "987654");
}

Test(parse, args_have_a_limit)
{
	int fd = memfd_create("args", 0);
	char room[16];
	_autorunline_ struct cli_run run;
	struct sbx_err err;

	cr_assert_eq(ftruncate(fd, (64 << 20) + 1), 0);
	cr_assert_eq(parse(&run, &err, "--args", number(room, fd), "sh"), -EFBIG);
	cr_expect(strstr(err.what, "64 MiB"));
}

Test(parse, a_modifier_reaches_into_a_stream)
{
	int fd = STREAM("--tmpfs\0/b\0");
	char room[16];
	_autorunline_ struct cli_run run;

	parse_ok(&run, "--perms", "700", "--args", number(room, fd), "sh");
	cr_expect_eq(run.spec.ops[0].perms, 0700);
}
