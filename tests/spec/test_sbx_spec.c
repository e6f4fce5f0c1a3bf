/* SPDX-License-Identifier: MIT */
/* The program sbx-spec: its forms, what `sbx` makes of them, and its exit statuses. */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "testlib.h"

#define SPEC                                                                                       \
	"{\"sbx-spec\": 1, \"uid\": 0, \"env\": [{\"kind\": \"set\", "                             \
	"\"name\": \"A\", \"value\": \"b c\"}], \"map\": \"single\", "                             \
	"\"command\": [\"sh\", \"-c\", \"\"]}"

/* What the program does with `input`; form may be NULL. */
static struct run_result run_spec(const char *form, const char *input)
{
	const struct run_options options = {.input = input};
	const char *const argv[] = {TEST_SBX_SPEC, form, NULL};

	return run_argv(&options, argv);
}

static void expect_out(const struct run_result *result, const char *out, size_t len)
{
	cr_expect_eq(result->status, 0, "%s", result->err);
	cr_expect_str_empty(result->err);
	cr_assert_eq(result->out_len, len, "%s", result->out);
	cr_expect_eq(memcmp(result->out, out, len), 0, "%s", result->out);
}

Test(sbx_spec, prints_options_each_ended_by_nul)
{
	static const char words[] = "--map=single\0--uid\0"
				    "0\0--setenv\0A\0b c";
	_autorun_ struct run_result plain = run_spec(NULL, SPEC);
	_autorun_ struct run_result named = run_spec("--options", SPEC);

	expect_out(&plain, words, sizeof(words));
	expect_out(&named, words, sizeof(words));
}

Test(sbx_spec, prints_the_command_on_demand)
{
	static const char words[] = "sh\0-c\0";
	_autorun_ struct run_result result = run_spec("--command", SPEC);

	expect_out(&result, words, sizeof(words));
}

Test(sbx_spec, json_is_the_same_whatever_the_order_was)
{
	_autorun_ struct run_result once = run_spec("--json", SPEC);
	_autorun_ struct run_result twice = run_spec("--json", once.out);

	cr_expect_str_eq(once.out, "{\n"
				   "  \"sbx-spec\": 1,\n"
				   "  \"map\": \"single\",\n"
				   "  \"uid\": 0,\n"
				   "  \"env\": [\n"
				   "    {\n"
				   "      \"kind\": \"set\",\n"
				   "      \"name\": \"A\",\n"
				   "      \"value\": \"b c\"\n"
				   "    }\n"
				   "  ],\n"
				   "  \"command\": [\n"
				   "    \"sh\",\n"
				   "    \"-c\",\n"
				   "    \"\"\n"
				   "  ]\n"
				   "}\n");
	cr_expect_str_eq(twice.out, once.out);
}

Test(sbx_spec, sbx_explains_the_spec_that_it_was_given)
{
	_autoclose_ int args = memfd_create("args", MFD_CLOEXEC);
	struct run_options options = {.fds = {{args, 3}}};
	const char *const again[] = {sbx_program(), "--args", "3", "--explain=spec",
				     "--",	    "true",   NULL};
	_autorun_ struct run_result spec =
		run_sbx("--ro-bind", "/usr", "/usr", "--perms", "0700", "--tmpfs", "/x y",
			"--share-net", "--env", "A=\xff", "--explain=spec", "--", "true");
	_autorun_ struct run_result words = run_spec(NULL, spec.out);

	cr_assert_eq(spec.status, 0, "%s", spec.err);
	cr_assert_eq(words.status, 0, "%s", words.err);
	cr_assert_eq(io_write_all(args, words.out, words.out_len), 0);
	cr_assert_eq(lseek(args, 0, SEEK_SET), 0);

	_autorun_ struct run_result result = run_argv(&options, again);
	cr_expect_eq(result.status, 0, "%s", result.err);
	cr_expect_str_eq(result.out, spec.out);
}

Test(sbx_spec, what_is_no_spec_is_named_on_stderr)
{
	_autorun_ struct run_result form = run_spec(NULL, "{\"sbx-spec\": 1, \"colour\": 1}");
	_autorun_ struct run_result parser = run_spec(
		NULL, "{\"sbx-spec\": 1, \"caps\": [{\"kind\": \"add\", \"name\": \"nope\"}]}");
	_autorun_ struct run_result file = run_program(TEST_SBX_SPEC, "/nonexistent/file");

	cr_expect_eq(form.status, 1);
	cr_expect_str_eq(form.err, "sbx-spec: colour: unknown member\n");
	cr_expect_str_empty(form.out);
	cr_expect_eq(parser.status, 1);
	cr_expect_not_null(strstr(parser.err, "nope"), "%s", parser.err);
	cr_expect_str_empty(parser.out);
	cr_expect_eq(file.status, 1);
	cr_expect_str_eq(file.err, "sbx-spec: /nonexistent/file: cannot read: "
				   "No such file or directory\n");
}

Test(sbx_spec, wrong_usage_is_2_and_help_is_0)
{
	_autorun_ struct run_result form = run_spec("--xml", SPEC);
	_autorun_ struct run_result two = run_program(TEST_SBX_SPEC, "--json", "a", "b");
	_autorun_ struct run_result help = run_spec("--help", "");

	cr_expect_eq(form.status, 2);
	cr_expect_eq(two.status, 2);
	cr_expect_not_null(strstr(form.err, "usage: sbx-spec"));
	cr_expect_eq(help.status, 0);
	cr_expect_not_null(strstr(help.out, "usage: sbx-spec"));
}
