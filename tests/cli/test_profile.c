/* SPDX-License-Identifier: MIT */
/* How the lines of a profile become words, and what is said about wrong ones. */

#include <stdio.h>
#include <string.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/profile.h"

/* All words of a text, each behind a "|", lines with a ";". */
static int words_of(const char *text, char *room, size_t size, struct sbx_err *err)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct profile profile = {.name = "test", .path = "/test"};
	struct str_buf out = {.data = room, .size = size};
	struct profile_words words;
	int r;

	room[0] = '\0';
	profile_set_text(&profile, text, strlen(text));
	while ((r = profile_next(&profile, &arena, &words, err)) == 0 && words.count) {
		for (size_t i = 0; i < words.count; i++)
			str_buf_printf(&out, "|%s", words.list[i]);
		str_buf_puts(&out, ";");
	}
	return r;
}

Test(profile, lines_become_words)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"", ""},
		{"# only this\n\n \t\n", ""},
		{"ro-bind /usr /usr", "|--ro-bind|/usr|/usr;"},
		{"--ro-bind /usr\t/usr # why\n", "|--ro-bind|/usr|/usr;"},
		{"net=none\n--net=host\nno-base\n", "|--net|none;|--net|host;|--no-base;"},
		{"bind 'a b' \"c d\"e\\ f", "|--bind|a b|c de f;"},
		{"setenv A ''\n", "|--setenv|A|;"},
		{"setenv A '#x'#y\n", "|--setenv|A|#x#y;"},
		{"mask-sockets\nmask-sockets=listed\nmask-sockets off\n",
		 "|--mask-sockets;|--mask-sockets=listed;|--mask-sockets=off;"},
		{"include other\nprofile x\n", "|--profile|other;|--profile|x;"},
		{"bind ~/x $V/y", "|--bind|/home/me/x|value/y;"},
		{"bind ${V}s/x \"$V\"/y", "|--bind|values/x|value/y;"},
		{"bind ${NONE:-/z}/x ${V:-/z}", "|--bind|/z/x|value;"},
		{"bind '$V' \\$V", "|--bind|$V|$V;"},
		{"bind \\~/x a~/y", "|--bind|~/x|a~/y;"},
		{"setenv A $V~", "|--setenv|A|$V~;"},
		{"symlink $V ~/x", "|--symlink|$V|/home/me/x;"},
		{"bind ?/a /b\nmask ?~/a\n", "|--bind-try|/a|/b;|--mask-try|/home/me/a;"},
		{"bind \\?/a /b", "|--bind|?/a|/b;"},
		{"bind /a", "|--bind|/a;"},
	};

	cr_assert(setenv("HOME", "/home/me", 1) == 0 && setenv("V", "value", 1) == 0 &&
		  unsetenv("NONE") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sbx_err err = {.usage = false};
		char room[512];

		cr_expect_eq(words_of(cases[i].text, room, sizeof(room), &err), 0, "%s: %s",
			     cases[i].text, err.what);
		cr_expect_str_eq(room, cases[i].words, "%s: %s", cases[i].text, room);
	}
}

Test(profile, wrong_lines_are_refused)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"ro-bnd /a /b", "did you mean ro-bind"},
		{"qqqqqq", "unknown option"},
		{"--", "command cannot come"},
		{"bind /a /b /c", "too much"},
		{"bind=/a /b", "takes 2 arguments"},
		{"bind 'a", "not closed"},
		{"bind a \\", "backslash"},
		{"bind $NONE/a /b", "NONE is not set"},
		{"bind ${V /b", "write $VAR"},
		{"bind $ /b", "write $VAR"},
		{"rw ?/a", "no \"?\""},
		{"bind a\001b c", "control character"},
		{"bind a c\r\n", "control character"},
		{"args 3", "command line"},
		{"explain", "command line"},
		{"help", "command line"},
		{"file 3 /a", "descriptor"},
		{"bind-fd 3 /a", "descriptor"},
		{"pass-fd 3", "descriptor"},
		{"seccomp 3", "descriptor"},
	};

	cr_assert(setenv("V", "value", 1) == 0 && unsetenv("NONE") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sbx_err err = {.usage = false};
		char room[512];

		cr_assert_lt(words_of(cases[i].text, room, sizeof(room), &err), 0, "%s: %s",
			     cases[i].text, room);
		cr_expect(strstr(err.what, cases[i].says), "%s: %s", cases[i].text, err.what);
	}
}

/* Parse --profile FILE; what is wrong is in err. */
static int parse_file(int tree, const char *name, struct sbx_err *err)
{
	_autofree_ char *path = tree_path(tree, name);
	char profile[] = "--profile", sbx[] = "sbx", dashes[] = "--", command[] = "true";
	char *argv[] = {sbx, profile, path, dashes, command, NULL};
	struct cli_run run;
	int r;

	cli_run_init(&run);
	r = cli_parse_run(5, argv, &run, err);
	cli_run_finish(&run);
	return r;
}

Test(profile, lines_of_windows_have_a_remedy)
{
	_autoclose_ int tree = tmp_tree("file=tmpfs /x\r\n");
	struct sbx_err err = {.usage = false};

	cr_assert_lt(parse_file(tree, "file", &err), 0);
	cr_expect(strstr(err.what, "0x0d"), "%s", err.what);
	cr_expect(strstr(err.hint, "sed -i 's/\\r$//' /"), "%s", err.hint);
}

Test(profile, arguments_and_modifiers_end_with_line_and_file)
{
	_autoclose_ int tree = tmp_tree("cut=bind /a\n/b\n", "left=tmpfs /x\nperms 0700\n",
					"takes=perms 0700\ntmpfs /x\n", "loop=include ./loop2\n",
					"loop2=\ninclude ./loop\n");
	struct sbx_err err = {.usage = false};

	cr_expect_eq(parse_file(tree, "takes", &err), 0, "%s", err.what);
	cr_expect_lt(parse_file(tree, "cut", &err), 0);
	cr_expect(strstr(err.what, "DEST is missing"), "%s", err.what);
	cr_expect(strstr(err.trail, "line 1 of profile"), "%s", err.trail);
	cr_expect_lt(parse_file(tree, "left", &err), 0);
	cr_expect(strstr(err.what, "end of the profile"), "%s", err.what);
	cr_expect_lt(parse_file(tree, "loop", &err), 0);
	cr_expect(strstr(err.what, "includes itself"), "%s", err.what);
	cr_expect(strstr(err.trail, "line 2 of profile"), "%s", err.trail);
}
