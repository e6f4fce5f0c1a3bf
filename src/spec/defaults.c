/* SPDX-License-Identifier: MIT */
/*
 * defaults: the two columns of the table, and which of them counts.
 */

#include <assert.h>
#include <string.h>

#include "sbx/spec/defaults.h"

const struct spec_defaults spec_defaults[SPEC_PROGRAM_COUNT_] = {
	[SPEC_PROGRAM_SBX] =
		{
#define X(type, name, sbx, bwrap) .name = (sbx),
			SPEC_DEFAULTS(X)
#undef X
		},
	[SPEC_PROGRAM_BWRAP] =
		{
#define X(type, name, sbx, bwrap) .name = (bwrap),
			SPEC_DEFAULTS(X)
#undef X
		},
};

/**
 * Which program the caller believes to have started.
 * @argv0: as the caller gave it; what stands in front of its last slash does not count
 */
enum spec_program spec_program_called(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return strcmp(slash ? slash + 1 : argv0, spec_defaults[SPEC_PROGRAM_BWRAP].name) == 0
		       ? SPEC_PROGRAM_BWRAP
		       : SPEC_PROGRAM_SBX;
}

/**
 * Fill in the program's defaults. To be called before any option is read, which may
 * say otherwise.
 * @spec: from spec_init()
 */
void spec_set_program(struct sbx_spec *spec, enum spec_program program)
{
	const struct spec_defaults *defaults = &spec_defaults[program];

	assert(program < SPEC_PROGRAM_COUNT_);
	spec->program = program;
	spec->map = defaults->map;
	spec->no_base = defaults->no_base;
	spec->rw_root = defaults->rw_root;
	spec->allow_userns = defaults->allow_userns;
	spec->seccomp = defaults->seccomp;
	spec->landlock = defaults->landlock;
	spec->pty = defaults->pty;
}

const struct spec_defaults *spec_get_defaults(const struct sbx_spec *spec)
{
	return &spec_defaults[spec->program];
}

/* What the program exits with for a failure of its own. */
int spec_exit_code(enum spec_program program, const struct sbx_err *err)
{
	const struct spec_defaults *defaults = &spec_defaults[program];

	if (err->exit_code == ERR_EXIT_NOT_EXECUTABLE)
		return defaults->exit_not_executable;
	if (err->exit_code == ERR_EXIT_NOT_FOUND)
		return defaults->exit_not_found;
	return err->exit_code == ERR_EXIT_FAILED ? defaults->exit_failed : err->exit_code;
}
