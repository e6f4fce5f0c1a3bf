/* SPDX-License-Identifier: MIT */
/* Rules that every row of the option table must keep, whoever adds it. */

#include <string.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/cli/help.h"
#include "sbx/cli/options.h"

enum { COLUMNS = 80 };

Test(options, every_name_is_there_once)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		cr_expect(str_starts_with(option->name, "--"), "%s", option->name);
		cr_expect_eq(cli_find_option(option->name, strlen(option->name)), option, "%s",
			     option->name);
		cr_expect_null(cli_find_advice(option->name, strlen(option->name)),
			       "%s is an option and advised against", option->name);
		if (option->letter[0])
			cr_expect_eq(cli_find_option(option->letter, strlen(option->letter)),
				     option);
	}
}

Test(options, groups_stand_together)
{
	for (size_t i = 1; i < cli_n_options; i++)
		cr_expect_geq(cli_options[i].group, cli_options[i - 1].group, "%s",
			      cli_options[i].name);
}

Test(options, what_takes_a_word_has_words)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];
		enum cli_arg_kind kind = option->args[0].kind;

		if (kind == CLI_ARG_WORD || kind == CLI_ARG_WORDS || kind == CLI_ARG_HELPER)
			cr_expect_not_null(cli_option_word(option, 0, NULL), "%s", option->name);
		if (option->arg_optional)
			cr_expect_eq(cli_option_n_args(option), 1, "%s", option->name);
	}
}

Test(options, advice_names_only_options_that_exist)
{
	for (size_t i = 0; i < cli_n_advices; i++) {
		const char *text = cli_advices[i].text;

		while ((text = strstr(text, "--"))) {
			size_t len = strcspn(text, " =,;:)");

			if (len > strlen("--"))
				cr_expect_not_null(cli_find_option(text, len), "%s: %s",
						   cli_advices[i].word, text);
			text += len;
		}
	}
}

Test(options, help_fits_the_terminal)
{
	char room[16384];
	struct str_buf out = STR_BUF_ON_STACK(room);
	const char *line = room;

	cli_help_options(&out);
	cr_assert_not(out.cut);
	for (; *line; line = strchrnul(line, '\n') + 1)
		cr_expect_leq(strcspn(line, "\n"), COLUMNS, "%.90s", line);
}

Test(options, are_shown_as_they_are_typed)
{
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{"--help", "--help"},
		{"--ro-bind", "--ro-bind SRC DEST"},
		{"--map", "--map=auto|range|single"},
		{"--net", "--net=none|user|host"},
		{"--explain", "--explain[=json|spec]"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[80];
		struct str_buf out = STR_BUF_ON_STACK(room);

		cli_option_show(cli_find_option(cases[i].name, strlen(cases[i].name)), &out);
		cr_expect_str_eq(room, cases[i].shown);
	}
}
