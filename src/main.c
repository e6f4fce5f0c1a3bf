/* SPDX-License-Identifier: MIT */
/*
 * main: pick the run form or a verb, call it, print its error once.
 */

#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "sbx/base/err.h"
#include "sbx/base/fd.h"
#include "sbx/base/prefault.h"
#include "sbx/cmd/cmd.h"

/* sbx needs no privilege and would be dangerous with one: it does what its caller says. */
static int main_refuse_privilege(struct sbx_err *err)
{
	int r;

	if (!getauxval(AT_SECURE))
		return 0;
	r = err_refuse(err, EPERM, NULL,
		       "refusing to run: the program has a set-user-ID bit or file capabilities");
	err_hint(err, "sbx works without; as root: chmod u-s,g-s and setcap -r on it");
	return r;
}

int main(int argc, char **argv)
{
	struct sbx_err err;
	int exit_code = 0, r;

	prefault_program();
	if (fd_open_standard() < 0)
		return ERR_EXIT_FAILED;
	r = main_refuse_privilege(&err);
	if (r == 0 && argc < 1)
		r = err_usage(&err, NULL, "called without even a program name");
	if (r == 0)
		r = cmd_dispatch(argc, argv, &exit_code, &err);
	return r == 0 ? exit_code : cmd_fail(argc > 0 ? argv[0] : "", &err);
}
