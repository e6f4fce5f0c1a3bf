/* SPDX-License-Identifier: MIT */
/*
 * session_hide: what is kept of sessions is not to be got at from inside, see session.h.
 *
 * Hidden are the directory of all sessions and, where it lies elsewhere, the one in use. What
 * shows a directory above them has an empty one over them; what shows nothing but them, or a
 * part of them, is refused.
 *
 * The same directory may be mounted in several places, and a bind shows the mounts below its
 * source too. So places are compared by their paths, and by what the mounts say: of which
 * filesystem they show what.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/session.h"

enum { HIDE_LINKS_MAX = 40, HIDE_PLACES_MAX = 2 };

struct hide_place {
	const char *path;   /* without links; it need not exist */
	const char *device; /* the filesystem that it lies in; NULL: not known */
	const char *inside; /* the path there */
	bool is_session;    /* of this launch, by --session DIR */
};

struct hide {
	const struct probe_host *host;
	struct sbx_plan *plan;
	struct mountinfo_entry *mounts;
	size_t n_mounts;
	struct hide_place places[HIDE_PLACES_MAX];
	size_t n_places;
};

/* ---- places ---- */

/* How much of a path exists. @real: what that is, without links */
static size_t hide_find_real(const char *path, char real[PATH_MAX])
{
	char above[PATH_MAX];

	str_copy(above, sizeof(above), path);
	while (!realpath(above[0] ? above : "/", real)) {
		char *slash = strrchr(above, '/');

		if (!slash)
			break;
		*slash = '\0';
	}
	return strlen(above);
}

/*
 * Where a link leads to whose target does not exist (yet).
 * @rest: behind @real; begins with a slash
 *
 * Return: the path to look at in its place, in @next; false: it is no link.
 */
static bool hide_follow(const char *real, const char *rest, char next[PATH_MAX])
{
	size_t len = strcspn(rest + 1, "/") + 1;
	char name[PATH_MAX], target[PATH_MAX];
	struct str_buf text = {.data = next, .size = PATH_MAX};
	const char *above = path_is_root(real) ? "" : real;
	ssize_t n;

	if (snprintf(name, sizeof(name), "%s%.*s", above, (int)len, rest) >= PATH_MAX)
		return false;
	n = readlink(name, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	if (target[0] != '/')
		str_buf_printf(&text, "%s/", above);
	str_buf_puts(&text, target);
	str_buf_puts(&text, rest + len);
	return !text.cut;
}

/**
 * Where a path leads.
 * @path: absolute; what it names need not exist
 *
 * Return: that without links, of the arena; NULL: nowhere, or no memory.
 */
const char *session_find_real(struct arena *arena, const char *path)
{
	char real[PATH_MAX], look[PATH_MAX], next[PATH_MAX];

	if (strlen(path) >= sizeof(look))
		return NULL;
	str_copy(look, sizeof(look), path);
	for (int hops = 0; hops < HIDE_LINKS_MAX; hops++) {
		size_t len = hide_find_real(look, real);

		if (!look[len])
			return arena_dup(arena, real);
		if (!hide_follow(real, look + len, next)) {
			const char *place = arena_printf(arena, "%s%s", real, look + len);

			return place ? path_normalise(arena, NULL, place) : NULL;
		}
		str_copy(look, sizeof(look), next);
	}
	return NULL;
}

/* The mount in which a place lies; NULL: that is not known. */
static const struct mountinfo_entry *hide_find_mount(const struct hide *hide, const char *path)
{
	char real[PATH_MAX];
	struct sys_mount what;

	(void)hide_find_real(path, real);
	if (sys_statx_mount(AT_FDCWD, real, &what) < 0)
		return NULL;
	for (size_t i = 0; i < hide->n_mounts; i++)
		if (hide->mounts[i].id == what.mount_id)
			return &hide->mounts[i];
	return NULL;
}

/* @path: absolute. Return: false: there is no such place, or no memory. */
static bool hide_find_place(const struct hide *hide, const char *path, struct hide_place *ret)
{
	struct arena *arena = &hide->plan->arena;
	struct hide_place place = {.path = session_find_real(arena, path)};
	const struct mountinfo_entry *mount = place.path ? hide_find_mount(hide, place.path) : NULL;

	if (mount && path_is_below(place.path, mount->point)) {
		place.device = mount->device;
		place.inside =
			arena_printf(arena, "%s%s", path_is_root(mount->root) ? "" : mount->root,
				     path_rest(place.path, mount->point));
		if (place.inside && !place.inside[0])
			place.inside = "/";
	}
	*ret = place;
	return place.path && (!place.device || place.inside);
}

static int hide_read_mounts(struct hide *hide, struct sbx_err *err)
{
	struct arena *arena = &hide->plan->arena;
	const char *table = probe_text(hide->host, "/proc/self/mountinfo");
	char *text = table ? arena_dup(arena, table) : NULL;
	struct mountinfo_entry entry;

	while (text && mountinfo_next_entry(&text, &entry)) {
		hide->mounts =
			arena_grow(arena, hide->mounts, hide->n_mounts, sizeof(*hide->mounts));
		if (!hide->mounts)
			return err_oom(err);
		hide->mounts[hide->n_mounts++] = entry;
	}
	return 0;
}

static int hide_begin(struct hide *hide, const struct probe_host *host, struct sbx_plan *plan,
		      struct sbx_err *err)
{
	const char *dirs[HIDE_PLACES_MAX] = {
		session_get_base(host, &plan->arena),
		session_name_is_path(plan->session->id) ? plan->session->dir : NULL,
	};
	int r;

	*hide = (struct hide){.host = host, .plan = plan};
	r = hide_read_mounts(hide, err);
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++) {
		if (!dirs[i])
			continue;
		if (hide_find_place(hide, dirs[i], &hide->places[hide->n_places])) {
			hide->places[hide->n_places++].is_session = i == 1;
			continue;
		}
		r = err_refuse(err, ELOOP, dirs[i], "cannot be found, and so not be hidden");
		err_set_option(err, "--cow");
	}
	return r;
}

/* Is one in the other, by whichever mount? */
static bool hide_is_in_mount(const struct hide_place *place, const struct hide_place *dir)
{
	return place->device && dir->device && str_equal(place->device, dir->device) &&
	       path_is_below(place->inside, dir->inside);
}

static bool hide_is_in(const struct hide_place *place, const struct hide_place *dir)
{
	return path_is_below(place->path, dir->path) || hide_is_in_mount(place, dir);
}

static bool hide_lies_hidden(const struct hide *hide, const struct hide_place *place)
{
	for (size_t i = 0; i < hide->n_places; i++)
		if (hide_is_in(place, &hide->places[i]))
			return true;
	return false;
}

/* In the session's own directory, and not in that of all sessions. */
static bool hide_lies_in_session(const struct hide *hide, const struct hide_place *place)
{
	bool lies = false;

	for (size_t i = 0; i < hide->n_places; i++) {
		if (!hide_is_in(place, &hide->places[i]))
			continue;
		if (!hide->places[i].is_session)
			return false;
		lies = true;
	}
	return lies;
}

/* ---- views ---- */

/**
 * What of a root of --cow is to be covered.
 * @root:       without links
 * @ret_covers: relative to it
 *
 * Return: 0, or -errno with *err filled.
 */
int session_hide_from_view(const struct probe_host *host, struct sbx_plan *plan, const char *root,
			   const char *ret_covers[SESSION_COVERS_MAX], size_t *ret_n,
			   struct sbx_err *err)
{
	struct hide_place shown;
	struct hide hide;
	size_t n = 0;
	int r = hide_begin(&hide, host, plan, err);

	if (r < 0)
		return r;
	if (!hide_find_place(&hide, root, &shown))
		return err_oom(err);
	if (hide_lies_in_session(&hide, &shown)) {
		r = err_refuse(err, EINVAL, plan->session->dir, "would hold what is shown, %s",
			       root);
		err_set_option(err, "--session");
		err_hint(err, "put the session elsewhere: --session DIR");
		return r;
	}
	if (hide_lies_hidden(&hide, &shown)) {
		r = err_refuse(err, EINVAL, root, "is or lies in what sessions are kept in");
		err_set_option(err, "--cow");
		err_hint(err, "name another directory; sbx diff shows what was changed in one");
		return r;
	}
	for (size_t i = 0; i < hide.n_places; i++) {
		const struct hide_place *place = &hide.places[i];
		const char *by_path = path_is_below(place->path, shown.path)
					      ? path_rest(place->path, shown.path) + 1
					      : NULL;
		const char *by_mount = hide_is_in_mount(place, &shown)
					       ? path_rest(place->inside, shown.inside) + 1
					       : NULL;

		if (by_path)
			ret_covers[n++] = by_path;
		if (by_mount && (!by_path || !str_equal(by_path, by_mount)))
			ret_covers[n++] = by_mount;
	}
	*ret_n = n;
	return 0;
}

/* ---- steps ---- */

/* Something empty over a place that a step shows. @a, @b: behind the step's destination */
static int hide_mask(struct hide *hide, const char *dest, const char *a, const char *b,
		     struct sbx_err *err)
{
	const char *at =
		arena_printf(&hide->plan->arena, "%s%s%s", path_is_root(dest) ? "" : dest, a, b);
	struct plan_step *mask;

	if (!at)
		return err_oom(err);
	for (size_t i = 0; i < hide->plan->n_steps; i++) {
		const struct plan_step *step = &hide->plan->steps[i];

		if (step->kind == PLAN_STEP_MASK && str_equal(step->cause, "--cow") &&
		    !(step->flags & PLAN_STEP_IF_IN_REACH) && str_equal(step->dest, at))
			return 0;
	}
	mask = plan_add_step(hide->plan, PLAN_STEP_MASK, "--cow");
	if (!mask)
		return err_oom(err);
	mask->dest = at;
	mask->flags = PLAN_STEP_TRY;
	return 0;
}

static int hide_refuse(const struct plan_step *step, const char *source, struct sbx_err *err)
{
	int r = err_refuse(
		err, EPERM, source,
		"is or lies in what sessions of --cow are kept in, which is out of reach "
		"with --cow");

	err_set_option(err, step->cause);
	err_hint(err, "leave it out, or bind it in a launch without --cow; sbx diff shows what was "
		      "changed");
	return r;
}

/* What the mounts below a source show of a place. */
static int hide_below(struct hide *hide, const struct hide_place *shown,
		      const struct hide_place *place, const char *dest, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < hide->n_mounts && place->device && r == 0; i++) {
		const struct mountinfo_entry *mount = &hide->mounts[i];
		const char *at;

		if (!path_is_below(mount->point, shown->path) ||
		    str_equal(mount->point, shown->path) ||
		    !str_equal(mount->device, place->device))
			continue;
		at = path_rest(mount->point, shown->path);
		if (path_is_below(mount->root, place->inside))
			r = hide_mask(hide, dest, at, "", err);
		else if (path_is_below(place->inside, mount->root))
			r = hide_mask(hide, dest, at, path_rest(place->inside, mount->root), err);
	}
	return r;
}

/*
 * One directory or file of the host that a step shows.
 * @step:   copied, as steps move
 * @source: as typed
 * @whole:  with the mounts below
 */
static int hide_source(struct hide *hide, const struct plan_step *step, const char *source,
		       bool whole, struct sbx_err *err)
{
	const char *path = source[0] == '/'
				   ? source
				   : arena_printf(&hide->plan->arena, "%s/%s",
						  hide->host->cwd ? hide->host->cwd : "", source);
	struct hide_place shown;
	int r = 0;

	if (!path)
		return err_oom(err);
	if (!hide_find_place(hide, path, &shown))
		return 0; /* nor can it be bound */
	if (hide_lies_hidden(hide, &shown))
		return hide_refuse(step, source, err);
	for (size_t i = 0; i < hide->n_places && r == 0; i++) {
		const struct hide_place *place = &hide->places[i];

		if (path_is_below(place->path, shown.path))
			r = hide_mask(hide, step->dest, path_rest(place->path, shown.path), "",
				      err);
		if (r == 0 && hide_is_in_mount(place, &shown))
			r = hide_mask(hide, step->dest, path_rest(place->inside, shown.inside), "",
				      err);
		if (r == 0 && whole)
			r = hide_below(hide, &shown, place, step->dest, err);
	}
	return r;
}

static int hide_bind(struct hide *hide, const struct plan_step *step, struct sbx_err *err)
{
	char link[64];

	if (step->source)
		return hide_source(hide, step, step->source, true, err);
	if (step->fd < 0)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", step->fd);
	return hide_source(hide, step, link, true, err);
}

/* A view of the session has its own layers, and is only to cover what it shows besides. */
static int hide_layers(struct hide *hide, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_layers *layers = step->layers;
	bool is_view = layers->covers != NULL;
	int r = 0;

	for (size_t i = is_view ? layers->n_lower - 1 : 0; i < layers->n_lower && r == 0; i++)
		r = hide_source(hide, step, layers->lower[i], false, err);
	if (r == 0 && layers->upper && !is_view)
		r = hide_source(hide, step, layers->upper, false, err);
	if (r == 0 && layers->work && !is_view)
		r = hide_source(hide, step, layers->work, false, err);
	return r;
}

/**
 * What lies in a session is not to be got at by what a step shows: that is hidden, as by --mask,
 * or the step is refused.
 *
 * Return: 0, or -errno with *err filled.
 */
int session_hide(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		 struct sbx_err *err)
{
	size_t n = plan->n_steps;
	struct hide hide;
	int r;

	if (!plan->session) {
		if (spec->session)
			return err_usage(err, "--session",
					 "says where --cow keeps changes, and "
					 "there is no --cow");
		return 0;
	}
	r = hide_begin(&hide, host, plan, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct plan_step step = plan->steps[i];

		if (step.kind == PLAN_STEP_BIND)
			r = hide_bind(&hide, &step, err);
		else if (step.kind == PLAN_STEP_LAYERS && step.layers)
			r = hide_layers(&hide, &step, err);
	}
	return r;
}
