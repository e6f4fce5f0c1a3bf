/* SPDX-License-Identifier: MIT */
/*
 * A spec goes to JSON and back, and to options and back, without loss; and what
 * is no spec is refused with the name of the member at fault.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/base/io.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/options.h"
#include "sbx/libexec/spec_read.h"
#include "sbx/libexec/spec_words.h"
#include "sbx/spec/spec_json.h"

enum { WORDS_MAX = 64 };

/* The spec as JSON, in the arena. */
static char *to_json(const struct sbx_spec *spec, struct arena *arena)
{
	_autoclose_ int fd = memfd_create("json", MFD_CLOEXEC);
	struct sbx_err err;
	char *text = NULL;
	size_t len = 0;

	cr_assert_geq(fd, 0);
	cr_assert_eq(spec_write_json(spec, fd, &err), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(io_read_all(fd, 1 << 26, arena, &text, &len), 0);
	cr_assert_eq(strlen(text), len);
	return text;
}

/* Parse `words`, the options, with a command behind them. */
static void parse_words(const char *const *words, size_t n, struct cli_run *run)
{
	const char *argv[WORDS_MAX + 4] = {"sbx"};
	struct sbx_err err;

	cr_assert_leq(n, WORDS_MAX);
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = words[i];
	argv[n + 1] = "--";
	argv[n + 2] = "true";
	cli_run_init(run);
	cr_assert_eq(cli_parse_run((int)n + 3, (char *const *)(uintptr_t)argv, run, &err), 0,
		     "%s: %s", err.option, err.what);
}

/* argv -> spec -> JSON -> spec -> JSON, and -> words -> spec -> JSON: three times the same. */
static void expect_round_trip(const char *const *words, size_t n)
{
	_autoarena_ struct arena arena;
	struct cli_run run, again;
	struct spec_words made = {.words = NULL};
	struct sbx_spec copy;
	struct sbx_err err;
	char *json;

	arena_init(&arena);
	parse_words(words, n, &run);
	json = to_json(&run.spec, &arena);

	spec_init(&copy);
	cr_assert_eq(spec_read_json(json, strlen(json), &copy, &err), 0, "%s: %s\n%s", err.path,
		     err.what, json);
	cr_expect_str_eq(to_json(&copy, &arena), json);

	cr_assert_eq(spec_to_words(&copy, &arena, &made, &err), 0, "%s: %s\n%s", err.path, err.what,
		     json);
	parse_words(made.words, made.n_words, &again);
	cr_expect_str_eq(to_json(&again.spec, &arena), json);

	cli_run_finish(&again);
	spec_finish(&copy);
	cli_run_finish(&run);
}

#define EXPECT_ROUND_TRIP(...)                                                                     \
	do {                                                                                       \
		const char *const words_[] = {__VA_ARGS__};                                        \
		expect_round_trip(words_, sizeof(words_) / sizeof(*words_));                       \
	} while (0)

Test(spec_json, defaults_are_left_out)
{
	_autoarena_ struct arena arena;
	struct sbx_spec spec;

	arena_init(&arena);
	spec_init(&spec);
	cr_expect_str_eq(to_json(&spec, &arena), "{\n  \"sbx-spec\": 1\n}\n");
	spec_finish(&spec);
}

Test(spec_json, what_was_given_is_written_in_a_fixed_order)
{
	static const char *const words[] = {
		"--env",     "A",    "--perms", "0700",		"--tmpfs",    "/tmp",
		"--ro-bind", "/usr", "/usr",	"--map=single", "--share-net"};
	_autoarena_ struct arena arena;
	struct cli_run run;

	arena_init(&arena);
	parse_words(words, ARRAY_SIZE(words), &run);
	cr_expect_str_eq(to_json(&run.spec, &arena), "{\n"
						     "  \"sbx-spec\": 1,\n"
						     "  \"ns.net\": \"share\",\n"
						     "  \"map\": \"single\",\n"
						     "  \"ops\": [\n"
						     "    {\n"
						     "      \"option\": \"--tmpfs\",\n"
						     "      \"kind\": \"tmpfs\",\n"
						     "      \"perms\": \"0700\",\n"
						     "      \"dest\": \"/tmp\"\n"
						     "    },\n"
						     "    {\n"
						     "      \"option\": \"--ro-bind\",\n"
						     "      \"kind\": \"bind\",\n"
						     "      \"flags\": [\n"
						     "        \"ro\"\n"
						     "      ],\n"
						     "      \"source\": \"/usr\",\n"
						     "      \"dest\": \"/usr\"\n"
						     "    }\n"
						     "  ],\n"
						     "  \"env\": [\n"
						     "    {\n"
						     "      \"kind\": \"pass\",\n"
						     "      \"name\": \"A\"\n"
						     "    }\n"
						     "  ],\n"
						     "  \"command\": [\n"
						     "    \"true\"\n"
						     "  ]\n"
						     "}\n");
	cli_run_finish(&run);
}

/* An argument that the parser accepts, by kind. */
static const char *sample_argument(const struct cli_option *option, enum cli_arg_kind kind)
{
	static const char *const samples[CLI_ARG_KIND_COUNT_] = {
		[CLI_ARG_TEXT] = "some text",
		[CLI_ARG_SOURCE] = "/src",
		[CLI_ARG_DIR] = "/dir",
		[CLI_ARG_WORK] = "/work",
		[CLI_ARG_DEST] = "/dest",
		[CLI_ARG_PROTECT] = "/protected",
		[CLI_ARG_FD] = "7",
		[CLI_ARG_OCTAL] = "0640",
		[CLI_ARG_SIZE] = "64K",
		[CLI_ARG_ID] = "4294967294",
		[CLI_ARG_USER] = "12:34",
		[CLI_ARG_HOSTNAME] = "box",
		[CLI_ARG_NAME] = "web",
		[CLI_ARG_ENV] = "NAME",
		[CLI_ARG_ENV_SET] = "NAME",
		[CLI_ARG_CAP] = "CAP_CHOWN",
		[CLI_ARG_FILTER] = "strict",
		[CLI_ARG_SYSCALLS] = "mount,@keyring",
		[CLI_ARG_HELPER] = "newuidmap=/bin/true",
		[CLI_ARG_BUS_NAME] = "org.example.*",
		[CLI_ARG_BUS_RULE] = "org.example.A=org.example.A.Open@/a",
		[CLI_ARG_NET] = "user,lan,mtu=1500",
		[CLI_ARG_PUBLISH] = "127.0.0.1:8080-8081:80-81/udp",
		[CLI_ARG_NET_RULE] = "192.0.2.0/24:80,443/tcp",
		[CLI_ARG_RLIMIT] = "nofile=64:128",
		[CLI_ARG_NICE] = "5",
		[CLI_ARG_OOM_SCORE] = "300",
		[CLI_ARG_DURATION] = "1.5h",
		[CLI_ARG_LIMIT] = "100",
		[CLI_ARG_IO_MAX] = "8:0:rbps=1M,wiops=max",
		[CLI_ARG_WORDS] = "ro,noexec,nr_inodes=12",
	};

	return kind == CLI_ARG_WORD ? cli_option_word(option, 0, NULL) : samples[kind];
}

/* Does the option leave a trace in the spec? Others only say what to do with it. */
static bool is_in_spec(const struct cli_option *option)
{
	return option->act != CLI_ACT_ARGS && option->act != CLI_ACT_PROFILE &&
	       option->act != CLI_ACT_ANSWER && option->act != CLI_ACT_EXPLAIN &&
	       option->act != CLI_ACT_VERBOSE;
}

Test(spec_json, every_option_survives_the_round_trip)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];
		const char *words[CLI_ARGS_MAX + 7];
		size_t n = 0;

		if (!is_in_spec(option))
			continue;
		/* Overlays need layers in front of them. */
		for (int k = 0;
		     option->act == CLI_ACT_OP && strstr(option->name, "overlay") && k < 2; k++) {
			words[n++] = "--overlay-src";
			words[n++] = "/layer";
		}
		words[n++] = option->name;
		for (size_t k = 0; !option->arg_optional && k < cli_option_n_args(option); k++)
			words[n++] = sample_argument(option, option->args[k].kind);
		if (strcmp(option->name, "--overlay-src") == 0) {
			words[n++] = "--tmp-overlay";
			words[n++] = "/dest";
		}
		if (option->group == CLI_MODIFIERS) {
			words[n++] = "--tmpfs";
			words[n++] = "/tmp";
		}
		expect_round_trip(words, n);
	}
}

Test(spec_json, every_word_survives_the_round_trip)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];
		const char *word;

		if (option->args[0].kind != CLI_ARG_WORD || !is_in_spec(option))
			continue;
		for (size_t k = 0; (word = cli_option_word(option, k, NULL)); k++) {
			_autofree_ char *joined = NULL;

			/* The only way where the word may be missing. */
			cr_assert(asprintf(&joined, "%s=%s", option->name, word) > 0);
			EXPECT_ROUND_TRIP(joined);
		}
	}
}

Test(spec_json, texts_of_any_bytes_survive_the_round_trip)
{
	EXPECT_ROUND_TRIP("--setenv", "A", "");
	EXPECT_ROUND_TRIP("--setenv", "A", "=\n\t\"\\\x1b[1m");
	EXPECT_ROUND_TRIP("--setenv", "\xff\xfe", "\xed\xa0\x80");
	EXPECT_ROUND_TRIP("--bind", "/\xc3\xa9\xf0\x9f\x93\xa6", "/\x80");
	EXPECT_ROUND_TRIP("--bind", "-x", "--");
	EXPECT_ROUND_TRIP("--chdir", "--tmpfs");
}

Test(spec_json, modifiers_stay_with_their_operation)
{
	EXPECT_ROUND_TRIP("--perms", "0", "--tmpfs", "/a", "--tmpfs", "/b");
	EXPECT_ROUND_TRIP("--overlay-src", "/a", "--overlay-src", "/b", "--overlay", "/c", "/d",
			  "/e", "--overlay-src", "/a", "--tmp-overlay", "/f");
	EXPECT_ROUND_TRIP("--overlay-src", "/a", "--mount-opt", "noexec", "--tmp-overlay", "/f");
	EXPECT_ROUND_TRIP("--size", "1", "--perms", "7777", "--mount-opt", "noatime,nosymfollow",
			  "--tmpfs", "/a", "--dir", "/b");
	EXPECT_ROUND_TRIP("--size", "9223372036854775807", "--tmpfs", "/a");
	EXPECT_ROUND_TRIP("--mount-opt", "noexec", "--ro-bind", "/a", "/b");
}

/* What reading the text fails with: "member: message". Must fail. */
static void expect_refused(const char *json, size_t len, const char *path, const char *what)
{
	struct sbx_spec spec;
	struct sbx_err err;

	spec_init(&spec);
	cr_assert_lt(spec_read_json(json, len, &spec, &err), 0, "accepted: %s", json);
	cr_expect_str_eq(err.path, path, "%s: path is \"%s\"", json, err.path);
	cr_expect_not_null(strstr(err.what, what), "%s: message is \"%s\"", json, err.what);
	spec_finish(&spec);
}

#define SPEC(members) "{\"sbx-spec\": 1, " members "}"
#define OP(members) SPEC("\"ops\": [{" members "}]")

Test(spec_json, what_is_no_spec_is_refused_by_name)
{
	static const struct {
		const char *json, *path, *what;
	} cases[] = {
		{"", "", "not JSON"},
		{"{", "", "not JSON"},
		{"[]", "", "no spec"},
		{"{}", "", "no spec"},
		{"{\"sbx-spec\": 2}", "sbx-spec", "must be 1"},
		{"{\"sbx-spec\": \"1\"}", "sbx-spec", "must be 1"},
		{SPEC("\"uid\": 1, \"uid\": 2"), "", "duplicate"},
		{SPEC("\"colour\": 1"), "colour", "unknown"},
		{SPEC("\"uid\": -1"), "uid", "between 0 and 4294967294"},
		{SPEC("\"uid\": 4294967295"), "uid", "between"},
		{SPEC("\"uid\": 99999999999999999999"), "", "too big"},
		{SPEC("\"uid\": 1.0"), "uid", "whole number"},
		{SPEC("\"root\": 1"), "root", "true or false"},
		{SPEC("\"map\": \"wide\""), "map", "auto, range, single"},
		{SPEC("\"map\": null"), "map", "auto, range, single"},
		{SPEC("\"chdir\": 1"), "chdir", "must be a string"},
		{SPEC("\"chdir\": \"a\\u0000b\""), "chdir", "NUL"},
		{SPEC("\"chdir\": {\"bytes\": \"00\"}"), "chdir", "NUL"},
		{SPEC("\"chdir\": {\"bytes\": \"f\"}"), "chdir", "neither"},
		{SPEC("\"chdir\": {\"bytes\": \"FF\"}"), "chdir", "0-9 and a-f"},
		{SPEC("\"chdir\": {\"bytes\": \"ff\", \"x\": 1}"), "chdir", "neither"},
		{SPEC("\"ops\": {}"), "ops", "must be an array"},
		{SPEC("\"ops\": [1]"), "ops[0]", "must be an object"},
		{OP("\"kind\": \"dir\", \"dest\": \"/\""), "ops[0].option", "missing"},
		{OP("\"option\": \"--dir\", \"dest\": \"/\""), "ops[0].kind", "missing"},
		{OP("\"option\": \"--dir\", \"kind\": \"dir\""), "ops[0].dest", "missing"},
		{OP("\"option\": \"--dir\", \"kind\": \"box\""), "ops[0].kind", "one of"},
		{OP("\"perms\": \"0888\""), "ops[0].perms", "octal"},
		{OP("\"perms\": \"10000\""), "ops[0].perms", "octal"},
		{OP("\"perms\": 493"), "ops[0].perms", "octal"},
		{OP("\"fd\": 2147483648"), "ops[0].fd", "between 0 and 2147483647"},
		{OP("\"size\": 0"), "ops[0].size", "between 1 and"},
		{OP("\"flags\": [\"ro\", \"rw\"]"), "ops[0].flags", "one of"},
		{OP("\"flags\": \"ro\""), "ops[0].flags", "array"},
		{SPEC("\"env\": [{\"kind\": \"clear\"}, {\"kind\": \"set\", \"name\": \"A\"}]"),
		 "env[1].value", "missing"},
		{SPEC("\"env\": [{\"kind\": \"clear\", \"name\": \"A\"}]"), "env[0].name",
		 "does not go with"},
		{SPEC("\"caps\": [{\"kind\": \"add\"}]"), "caps[0].name", "missing"},
		{SPEC("\"helpers\": [{\"name\": \"x\"}]"), "helpers[0].path", "missing"},
		{SPEC("\"pass-fds\": [3, \"4\"]"), "pass-fds[1]", "whole number"},
		{SPEC("\"command\": [\"a\", 1]"), "command[1]", "must be a string"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_refused(cases[i].json, strlen(cases[i].json), cases[i].path, cases[i].what);
}

Test(spec_json, a_text_without_end_is_refused_before_it_is_parsed)
{
	_autofree_ char *text = malloc(SPEC_READ_MAX_BYTES + 1);

	memset(text, '[', SPEC_READ_MAX_BYTES + 1);
	expect_refused(text, SPEC_READ_MAX_BYTES + 1, "", "at most");
	expect_refused(text, 100000, "", "nested deeper");
	expect_refused(SPEC("\"chdir\": \"[[[[[[[[[[[[\", \"x\": 1"),
		       strlen(SPEC("\"chdir\": \"[[[[[[[[[[[[\", \"x\": 1")), "x", "unknown");
}

/* What making words of a spec fails with. Must fail. */
static void expect_no_words(const char *json, const char *path, const char *what)
{
	_autoarena_ struct arena arena;
	struct spec_words words = {.words = NULL};
	struct sbx_spec spec;
	struct sbx_err err;

	arena_init(&arena);
	spec_init(&spec);
	cr_assert_eq(spec_read_json(json, strlen(json), &spec, &err), 0, "%s: %s", json, err.what);
	cr_assert_eq(spec_to_words(&spec, &arena, &words, &err), -EINVAL, "%s", json);
	cr_expect_str_eq(err.path, path, "%s: path is \"%s\"", json, err.path);
	cr_expect_not_null(strstr(err.what, what), "%s: message is \"%s\"", json, err.what);
	spec_finish(&spec);
}

Test(spec_json, what_no_option_makes_is_refused_and_not_left_out)
{
	static const struct {
		const char *json, *path, *what;
	} cases[] = {
		{SPEC("\"ns.user\": \"share\""), "ns.user", "no option makes"},
		{OP("\"option\": \"--x\", \"kind\": \"dir\", \"dest\": \"/\""), "--x",
		 "unknown option"},
		{OP("\"option\": \"--perms\", \"kind\": \"dir\", \"dest\": \"/\""), "--perms",
		 "does not make"},
		{OP("\"option\": \"--dir\", \"kind\": \"tmpfs\", \"dest\": \"/\""), "--dir",
		 "does not make"},
		{OP("\"option\": \"--dir\", \"kind\": \"dir\", \"dest\": \"/\", \"fd\": 3"),
		 "--dir", "does not make"},
		{OP("\"option\": \"--dir\", \"kind\": \"dir\", \"dest\": \"/\", \"source\": \"/\""),
		 "--dir", "does not make"},
		{OP("\"option\": \"--bind\", \"kind\": \"bind\", \"dest\": \"/\""), "--bind",
		 "missing"},
		{OP("\"option\": \"--rootfs\", \"kind\": \"bind\", \"source\": \"/a\", "
		    "\"dest\": \"/b\""),
		 "--rootfs", "does not make"},
		{OP("\"option\": \"--ro\", \"kind\": \"bind\", \"source\": \"/a\", "
		    "\"dest\": \"/b\", \"flags\": [\"ro\", \"same\"]"),
		 "--ro", "does not make"},
		{SPEC("\"env\": [{\"kind\": \"pass\", \"name\": \"A=B\"}]"), "A=B", "holds"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_no_words(cases[i].json, cases[i].path, cases[i].what);
}
