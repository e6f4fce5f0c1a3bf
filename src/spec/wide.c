/* SPDX-License-Identifier: MIT */
/*
 * wide: a profile's "rw .", where "." turns out to be more than a directory to work in.
 *
 * Who writes such a line thinks of a project. It is refused in the root, where it would bind the
 * whole host over all else that the profile says; in the home, and above it, it is warned about,
 * as there a command can change what is no project's and read keys. A profile that hides the
 * keys may be used in the home. What is typed, and a line that names the directory, is meant.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/wide.h"

static const char wide_keys[] = "/.ssh"; /* below the home: who hides it, hides keys */

/* Is the operation a profile's bind, to be written, of the directory that the caller is in? */
static bool wide_is_meant(const struct spec_op *op, const char *cwd, struct arena *arena)
{
	const char *source;

	if (op->kind != SPEC_OP_BIND || !op->origin || !op->source || op->source[0] == '/' ||
	    (op->flags & SPEC_OP_RO) || (op->mount_opts & SPEC_MOUNT_RO))
		return false;
	source = path_normalise(arena, cwd, op->source);
	return source && str_equal(source, cwd);
}

static bool wide_hides_keys(const struct sbx_spec *spec, size_t from, const char *home,
			    struct arena *arena)
{
	for (size_t i = from; i < spec->n_ops; i++) {
		const struct spec_op *op = &spec->ops[i];
		const char *dest = op->kind == SPEC_OP_MASK && op->dest
					   ? path_normalise(arena, NULL, op->dest)
					   : NULL;

		if (dest && path_is_below(dest, home) &&
		    str_equal(path_rest(dest, home), wide_keys))
			return true;
	}
	return false;
}

static int wide_refuse_root(const struct spec_op *op, struct sbx_err *err)
{
	(void)err_refuse(err, EPERM, "/", "is the whole host, which %s of a profile would bind",
			 op->origin);
	err_set_option(err, op->option);
	err_hint(err, "change to the directory that the command is to work in, and start it there");
	return -EPERM;
}

/**
 * Judge an operation of the spec's.
 * @op: its index
 *
 * Return: 0, perhaps with a remark; or -errno with *err filled.
 */
int wide_check(const struct sbx_spec *spec, size_t op, const struct probe_host *host,
	       struct sbx_plan *plan, struct sbx_err *err)
{
	const struct spec_op *bind = &spec->ops[op];
	char home[PATH_MAX];

	if (!host->cwd || !wide_is_meant(bind, host->cwd, &plan->arena))
		return 0;
	if (path_is_root(host->cwd))
		return wide_refuse_root(bind, err);
	if (!host->home || !realpath(host->home, home) || !path_is_below(home, host->cwd))
		return 0;
	if (str_equal(home, host->cwd) && wide_hides_keys(spec, op, host->home, &plan->arena))
		return 0;
	if (plan_add_remark(plan, PLAN_REMARK_WIDE,
			    "%s of a profile lets the command change %s, which %s; change to the "
			    "directory that it is to work in",
			    bind->origin, host->cwd,
			    str_equal(home, host->cwd)
				    ? "is the home directory, and read the keys in it"
				    : "has the home directory in it") < 0)
		return err_oom(err);
	return 0;
}
