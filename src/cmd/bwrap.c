/* SPDX-License-Identifier: MIT */
/*
 * bwrap: what bubblewrap answers without running anything.
 */

#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cli/bwrap.h"
#include "sbx/cmd/cmd.h"

static int bwrap_write(int fd, const struct str_buf *text, struct sbx_err *err)
{
	int r = io_write_all(fd, text->data, text->len);

	return r < 0 ? err_system(err, -r, NULL, "cannot write") : 0;
}

/* bwrap --version: programs read the number. */
int cmd_bwrap_version(int *ret_exit_code, struct sbx_err *err)
{
	char room[64];
	struct str_buf out = STR_BUF_ON_STACK(room);

	str_buf_puts(&out, "bubblewrap " CLI_BWRAP_VERSION "\n");
	*ret_exit_code = 0;
	return bwrap_write(STDOUT_FILENO, &out, err);
}

/* bwrap --help; and with @failed, bwrap without a command. */
int cmd_bwrap_help(const char *argv0, bool failed, int *ret_exit_code, struct sbx_err *err)
{
	char room[16384];
	struct str_buf out = STR_BUF_ON_STACK(room);

	cli_bwrap_help(argv0, &out);
	*ret_exit_code = failed;
	return bwrap_write(failed ? STDERR_FILENO : STDOUT_FILENO, &out, err);
}
