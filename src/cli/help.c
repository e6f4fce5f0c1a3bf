/* SPDX-License-Identifier: MIT */
/*
 * help: --help's list of options, straight from the table. A row is one line of
 * at most 80 columns; tests/golden holds the whole text.
 */

#include <string.h>

#include "sbx/cli/help.h"
#include "sbx/cli/options.h"

enum { LEFT_COLUMNS = 26 };

/* One line of two columns; a long left side has a line of its own. */
void cli_help_row(struct str_buf *out, const char *left, const char *right)
{
	str_buf_printf(out, "  %-*s", LEFT_COLUMNS - 1, left);
	if (left[0] && strnlen(left, LEFT_COLUMNS) == LEFT_COLUMNS)
		str_buf_printf(out, "\n  %-*s", LEFT_COLUMNS - 1, "");
	str_buf_printf(out, " %s\n", right);
}

static void help_option(struct str_buf *out, const struct cli_option *option)
{
	char room[128];
	struct str_buf left = STR_BUF_ON_STACK(room);

	if (option->letter[0])
		str_buf_printf(&left, "%s, ", option->letter);
	cli_option_show(option, &left);
	cli_help_row(out, left.data, option->help);
}

/* All options, group by group. */
void cli_help_options(struct str_buf *out)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		enum cli_group group = cli_options[i].group;

		if (i == 0 || group != cli_options[i - 1].group)
			str_buf_printf(out, "\n%s:\n", cli_group_titles[group]);
		help_option(out, &cli_options[i]);
	}
}
