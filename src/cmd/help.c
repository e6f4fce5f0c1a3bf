/* SPDX-License-Identifier: MIT */
/*
 * help: `sbx help` and `sbx --help`. Options and verbs come from their tables.
 */

#include <assert.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cli/help.h"
#include "sbx/cmd/cmd.h"

static const char help_head[] =
	"usage: sbx [OPTION...] [--] COMMAND [ARG...]   run COMMAND in a new sandbox\n"
	"       sbx VERB [ARG...]                       everything else\n"
	"\n"
	"For a shell that sees the host's programs and nothing else:\n"
	"\n"
	"  sbx --ro-bind /usr /usr -- bash\n"
	"\n"
	"Verbs:\n";

static const char help_tail[] = "\n"
				"Exit status: the command's; 128+N when signal N ended it;\n"
				"  125 sbx failed, 126 COMMAND cannot be executed, 127 not found.\n"
				"\n"
				"See sbx(1).\n";

static void help_verbs(struct str_buf *out)
{
	for (const struct cmd_verb *verb = cmd_verbs; verb->name; verb++) {
		char room[64];
		struct str_buf left = STR_BUF_ON_STACK(room);

		str_buf_printf(&left, "%s%s%s", verb->name, *verb->args ? " " : "", verb->args);
		cli_help_row(out, left.data, verb->summary);
	}
}

int cmd_help(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	char room[16384];
	struct str_buf out = STR_BUF_ON_STACK(room);
	int r;

	if (argc > 2)
		return err_usage(err, argv[2], "sbx help takes one verb at most");
	if (argc > 1)
		return cmd_help_verb(argv[1], ret_exit_code, err);
	str_buf_puts(&out, help_head);
	help_verbs(&out);
	cli_help_options(&out);
	str_buf_puts(&out, help_tail);
	assert(!out.cut);

	r = io_write_all(STDOUT_FILENO, out.data, out.len);
	if (r < 0)
		return err_system(err, -r, "stdout", "cannot write");
	*ret_exit_code = 0;
	return 0;
}
