/* SPDX-License-Identifier: MIT */
/*
 * fail: the one place where an error is printed, in the words of the program that
 * was called.
 */

#include <unistd.h>

#include "sbx/cmd/cmd.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/words.h"

/**
 * Print an error on standard error.
 * @argv0: what the program was called
 *
 * Return: what the program is to exit with.
 */
int cmd_fail(const char *argv0, const struct sbx_err *err)
{
	enum spec_program program = spec_program_called(argv0);
	const struct spec_defaults *defaults = &spec_defaults[program];
	struct sbx_err shown = *err;

	hint_add(&shown, HINT_LIMIT);
	if (!defaults->explains) {
		words_reword(&shown);
		shown.trail[0] = shown.hint[0] = '\0';
	}
	err_print(&shown, defaults->name, STDERR_FILENO);
	return spec_exit_code(program, err);
}
