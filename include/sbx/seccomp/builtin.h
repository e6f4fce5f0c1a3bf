/* SPDX-License-Identifier: MIT */
/*
 * builtin: the filters that were compiled at build time (src/gen/gen_seccomp.c).
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/seccomp/table.h"

/* X(name, base, userns): the common cases; everything else is compiled at launch. */
#define SECCOMP_BUILTINS(X)                                                                        \
	X(default, DEFAULT, false)                                                                 \
	X(default_userns, DEFAULT, true)                                                           \
	X(strict, STRICT, false)

int seccomp_program_for(const struct seccomp_wanted *wanted, struct arena *arena,
			struct seccomp_program *ret, struct sbx_err *err);
