/* SPDX-License-Identifier: MIT */
/*
 * session: see session.h.
 *
 * A session that was begun with one driver goes on with it: the two keep their marks of what
 * was removed in ways that the other does not know. Which it was is told by what each makes
 * in its work directory, where the command cannot get at it.
 */

#include <errno.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/label.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/session.h"

/* Where sessions with names are. NULL: no such place, or no memory. */
const char *session_get_base(const struct probe_host *host, struct arena *arena)
{
	const char *state = probe_env(host->environ_, "XDG_STATE_HOME");

	if (state && state[0] == '/')
		return arena_printf(arena, "%s/sbx/sessions", state);
	return host->home ? arena_printf(arena, "%s/.local/state/sbx/sessions", host->home) : NULL;
}

bool session_name_is_path(const char *name)
{
	return strchr(name, '/') != NULL;
}

/* ---- which ---- */

static int session_refuse_place(struct sbx_err *err)
{
	int r = err_refuse(err, ENOENT, NULL, "there is no place for what the command changes");

	err_set_option(err, "--cow");
	err_hint(err, "set HOME or XDG_STATE_HOME, or give a directory with --session DIR");
	return r;
}

static int session_choose_name(const struct sbx_spec *spec, struct arena *arena, const char **ret,
			       struct sbx_err *err)
{
	struct label label;

	if (!spec->session) {
		if (!label_make(NULL, &label))
			return err_system(err, errno, NULL, "cannot make an id for the session");
		*ret = arena_dup(arena, label.id);
		return *ret ? 0 : err_oom(err);
	}
	if (!label_name_is_good(spec->session))
		return err_usage(err, "--session",
				 "%s can be no session's name: letters, digits, and . _ - behind "
				 "the first; a directory has a slash in it",
				 spec->session);
	*ret = spec->session;
	return 0;
}

static int session_choose(const struct sbx_spec *spec, const struct probe_host *host,
			  struct sbx_plan *plan, struct plan_session *session, struct sbx_err *err)
{
	const char *base;
	int r;

	if (spec->session && session_name_is_path(spec->session)) {
		session->dir = path_normalise(&plan->arena, host->cwd, spec->session);
		session->id = session->dir;
		return session->dir ? 0 : err_oom(err);
	}
	base = session_get_base(host, &plan->arena);
	if (!base)
		return session_refuse_place(err);
	r = session_choose_name(spec, &plan->arena, &session->id, err);
	if (r < 0)
		return r;
	session->dir = arena_printf(&plan->arena, "%s/%s", base, session->id);
	return session->dir ? 0 : err_oom(err);
}

static int session_begin(const struct sbx_spec *spec, const struct probe_host *host,
			 struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_session *session = arena_alloc(&plan->arena, sizeof(*session));
	int r;

	if (!session)
		return err_oom(err);
	*session = (struct plan_session){0};
	session->roots = arena_alloc(&plan->arena, SESSION_ROOTS_MAX * sizeof(*session->roots));
	if (!session->roots)
		return err_oom(err);
	r = session_choose(spec, host, plan, session, err);
	if (r < 0)
		return r;
	plan->session = session;
	return 0;
}

/* ---- roots ---- */

/* The real path of a place that need not exist: that of the nearest directory above, and the rest.
 */
static bool session_is_inside(const char *dir, const char *root)
{
	char above[PATH_MAX], real[PATH_MAX];
	char *slash;

	str_copy(above, sizeof(above), dir);
	while (!realpath(above, real)) {
		slash = strrchr(above, '/');
		if (!slash || slash == above)
			return path_is_below(dir, root);
		*slash = '\0';
	}
	return path_is_below(real, root);
}

/* A mount of the host below the root would be seen, and what is written there lost. */
static const char *session_find_mount(const struct probe_host *host, struct arena *arena,
				      const char *root)
{
	const char *table = probe_text(host, "/proc/self/mountinfo");
	char *text = table ? arena_dup(arena, table) : NULL, *point = NULL;

	while (text && (point = mountinfo_next(&text)))
		if (path_is_below(point, root) && !str_equal(point, root))
			return point;
	return NULL;
}

static int session_refuse_root(const char *hint, struct sbx_err *err)
{
	err_set_option(err, "--cow");
	err_hint(err, "%s", hint);
	return -EINVAL;
}

static int session_check_root(const struct plan_session *session, const struct probe_host *host,
			      struct arena *arena, const char *root, struct sbx_err *err)
{
	const char *mount;

	for (size_t i = 0; i < session->n_roots; i++) {
		if (!path_is_below(root, session->roots[i]) &&
		    !path_is_below(session->roots[i], root))
			continue;
		(void)err_refuse(err, EINVAL, root, "is in one tree with %s, which has a view too",
				 session->roots[i]);
		return session_refuse_root("one --cow of the upper directory has both", err);
	}
	if (session_is_inside(session->dir, root)) {
		(void)err_refuse(err, EINVAL, root,
				 "holds the session, %s, which would be changed through itself",
				 session->dir);
		return session_refuse_root(
			"put the session elsewhere: --session DIR, or XDG_STATE_HOME", err);
	}
	mount = session_find_mount(host, arena, root);
	if (mount) {
		(void)err_refuse(err, EINVAL, root, "has a mount below it: %s", mount);
		return session_refuse_root(
			"give --cow for directories that have none, each on its own", err);
	}
	return 0;
}

/* The driver that a root's directory was used with; AUTO: none yet. */
static int64_t session_find_driver(const char *work)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/" SESSION_FUSE_MARK, work);
	if (lstat(path, &st) == 0)
		return SPEC_OVERLAY_DRIVER_FUSE;
	(void)snprintf(path, sizeof(path), "%s/" SESSION_KERNEL_MARK, work);
	return lstat(path, &st) == 0 ? SPEC_OVERLAY_DRIVER_KERNEL : SPEC_OVERLAY_DRIVER_AUTO;
}

static int session_choose_driver(const struct sbx_spec *spec, struct layers_wanted *wanted,
				 struct sbx_err *err)
{
	static const char *const names[] = {"auto", "kernel", "fuse"};
	int64_t had = session_find_driver(wanted->work), asked = spec->overlay_driver;

	wanted->driver = had == SPEC_OVERLAY_DRIVER_AUTO ? asked : had;
	if (asked == SPEC_OVERLAY_DRIVER_AUTO || asked == wanted->driver)
		return 0;
	(void)err_refuse(err, EINVAL, wanted->upper, "was begun with the driver %s", names[had]);
	err_set_option(err, "--overlay-driver");
	err_hint(err,
		 "the two keep different marks; go on with the same, or begin another session");
	return -EINVAL;
}

/**
 * Another root for the plan's session, which is chosen with the first.
 * @op:     of the spec, a SPEC_OP_COW
 * @wanted: its layers and driver are filled in
 *
 * Return: 0, or -errno with *err filled.
 */
int session_add_root(const struct sbx_spec *spec, const struct probe_host *host,
		     struct sbx_plan *plan, size_t op, struct layers_wanted *wanted,
		     struct sbx_err *err)
{
	const char *typed = path_normalise(&plan->arena, host->cwd, spec->ops[op].source), *root;
	struct plan_session *session;
	char real[PATH_MAX];
	int r = plan->session ? 0 : session_begin(spec, host, plan, err);

	if (r < 0)
		return r;
	if (!typed)
		return err_oom(err);
	if (!realpath(typed, real)) {
		r = err_system(err, errno, typed, "cannot be found");
		err_set_option(err, "--cow");
		return r;
	}
	session = (struct plan_session *)(uintptr_t)plan->session;
	root = arena_dup(&plan->arena, real);
	if (!root)
		return err_oom(err);
	if (session->n_roots >= SESSION_ROOTS_MAX)
		return err_usage(err, "--cow", "at most %d at once", SESSION_ROOTS_MAX);
	r = session_check_root(session, host, &plan->arena, root, err);
	if (r < 0)
		return r;
	wanted->lower = root;
	wanted->upper = arena_printf(&plan->arena, "%s/%zu/upper", session->dir, session->n_roots);
	wanted->work = arena_printf(&plan->arena, "%s/%zu/work", session->dir, session->n_roots);
	if (!wanted->upper || !wanted->work)
		return err_oom(err);
	session->roots[session->n_roots++] = root;
	return session_choose_driver(spec, wanted, err);
}

/* ---- out of reach ---- */

/* Where a step shows the session's directory; NULL: nowhere, or no memory. */
static const char *session_find_shown(const struct sbx_plan *plan, const struct plan_step *step,
				      struct arena *arena)
{
	char real[PATH_MAX], hidden[PATH_MAX], base[PATH_MAX];
	const char *rest;
	size_t len;

	if (step->kind != PLAN_STEP_BIND || !step->source || !realpath(step->source, real))
		return NULL;
	str_copy(hidden, sizeof(hidden), plan->session->dir);
	if (!session_name_is_path(plan->session->id))
		*strrchr(hidden, '/') = '\0'; /* all of them */
	rest = realpath(hidden, base) ? base : hidden;
	if (!path_is_below(rest, real))
		return NULL;
	len = path_is_root(real) ? 0 : strlen(real);
	rest += len;
	return arena_printf(arena, "%s%s", path_is_root(step->dest) ? "" : step->dest, rest);
}

/**
 * What lies in a session is not to be got at through a bind that shows its directory:
 * that is hidden, as by --mask.
 *
 * Return: 0, or -errno with *err filled.
 */
int session_hide(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	size_t n = plan->n_steps;

	if (!plan->session) {
		if (spec->session)
			return err_usage(err, "--session",
					 "says where --cow keeps changes, and "
					 "there is no --cow");
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		const char *dest = session_find_shown(plan, &plan->steps[i], &plan->arena);
		struct plan_step *mask;

		if (!dest)
			continue;
		mask = plan_add_step(plan, PLAN_STEP_MASK, "--cow");
		if (!mask)
			return err_oom(err);
		mask->dest = dest;
		mask->flags = PLAN_STEP_TRY;
	}
	return 0;
}
