/* SPDX-License-Identifier: MIT */
/* builtin: one of the compiled filters, or a new one of the table. */

#include "sbx/seccomp/builtin.h"
#include "sbx/base/defs.h"
#include "seccomp_builtin.h"

/**
 * The filter for what is wanted.
 * @ret: constant, or in the arena
 *
 * Return: 0, or -errno with *err filled.
 */
int seccomp_program_for(const struct seccomp_wanted *wanted, struct arena *arena,
			struct seccomp_program *ret, struct sbx_err *err)
{
	struct seccomp_profile profile;
	int r;

	if (wanted->n_changes == 0 && wanted->caps == 0 && !wanted->multiarch) {
#define X(name, base_, userns_)                                                                    \
	if (wanted->base == SECCOMP_BASE_##base_ && wanted->userns == (userns_)) {                 \
		*ret = (struct seccomp_program){builtin_##name, ARRAY_SIZE(builtin_##name)};       \
		return 0;                                                                          \
	}
		SECCOMP_BUILTINS(X)
#undef X
	}
	r = seccomp_build(wanted, arena, &profile, err);
	return r < 0 ? r : seccomp_compile(&profile, arena, ret, err);
}
