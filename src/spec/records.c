/* SPDX-License-Identifier: MIT */
/*
 * records: the runtime directory, and for those who have none, a place in the home.
 */

#include <errno.h>

#include "sbx/spec/records.h"

/* The environment's word for a directory of the caller's, if it is one. */
static const char *records_user_dir(const struct probe_host *host, const char *name)
{
	const char *dir = probe_env(host->environ_, name);

	return dir && dir[0] == '/' ? dir : NULL;
}

static const char *records_name(struct arena *arena, const char *dir, const char *place,
				const char *kind)
{
	return arena_join(arena, (const char *const[]){dir, place, kind, NULL});
}

/* The directories of one kind of records. */
static int records_add(const struct probe_host *host, struct arena *arena, const char *kind,
		       const char *dirs[PLAN_RECORD_DIRS])
{
	const char *runtime = records_user_dir(host, "XDG_RUNTIME_DIR");
	const char *state = records_user_dir(host, "XDG_STATE_HOME");
	size_t n = 0;

	if (runtime)
		dirs[n++] = records_name(arena, runtime, "/sbx/", kind);
	if (state)
		dirs[n++] = records_name(arena, state, "/sbx/", kind);
	else if (host->home)
		dirs[n++] = records_name(arena, host->home, "/.local/state/sbx/", kind);
	for (size_t i = 0; i < n; i++)
		if (!dirs[i])
			return -ENOMEM;
	return 0;
}

/* Add the directories to a plan. Nothing is looked for there yet. Return: 0 or -ENOMEM. */
int records_add_dirs(const struct probe_host *host, struct sbx_plan *plan, struct sbx_err *err)
{
	if (records_add(host, &plan->arena, "placeholders", plan->record_dirs) < 0 ||
	    records_add(host, &plan->arena, "boxes", plan->box_dirs) < 0)
		return err_oom(err);
	return 0;
}

/* The same of networks that sandboxes share. */
int records_add_networks(const struct probe_host *host, struct sbx_plan *plan,
			 const char *dirs[PLAN_RECORD_DIRS])
{
	return records_add(host, &plan->arena, "networks", dirs);
}

/* What to do about a place for records. @dir: NULL: there is none; @number: errno */
const char *records_remedy(const char *dir, int number)
{
	if (!dir)
		return "neither XDG_RUNTIME_DIR nor HOME is set; give sbx a directory of yours "
		       "with XDG_RUNTIME_DIR";
	if (number == EROFS)
		return "it is on a filesystem that is read-only here, as in a sandbox; give sbx "
		       "a directory of yours\nthat can be written to with XDG_RUNTIME_DIR";
	if (number == ENOSPC || number == EDQUOT)
		return "make room there (df, df -i), or give sbx another directory with "
		       "XDG_RUNTIME_DIR";
	return "it must be yours, and others must not be able to enter it; give sbx a directory of "
	       "yours with XDG_RUNTIME_DIR";
}

/**
 * Say that no record can be kept.
 * @dir:    where it was to be first; NULL: nowhere
 * @number: errno
 *
 * Return: -number.
 */
int records_refuse(const char *dir, int number, struct sbx_err *err)
{
	int r = err_system(err, number, dir, "cannot record the sandbox");

	err_hint(err, "%s", records_remedy(dir, number));
	return r;
}

/* Name the option that the record is for, if there is one. Return: @r. */
int records_blame(const struct sbx_plan *plan, int r, struct sbx_err *err)
{
	if (plan->name)
		err_set_option(err, "--name");
	else if (plan->detach)
		err_set_option(err, "--detach");
	return r;
}
