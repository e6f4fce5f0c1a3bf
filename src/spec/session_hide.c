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
 *
 * What is hidden the command could still have replaced: renamed a directory above it, and made
 * another of that name with sessions in it that are its own, for the next "sbx apply". So where it
 * may write, each directory from the root of the bind down is pinned (run/pin.c), and so is each
 * link by which the directory of sessions is found. In a view of the session nothing has to be: a
 * directory of the host's cannot be renamed there (EXDEV), and one with a mask below it not be
 * removed. Where there is no directory of sessions yet, the command could be the one to make it:
 * the launch does (cmd/run.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
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
	struct hide_place *links; /* on the way to the places: themselves, not where they lead */
	size_t n_links;
};

/* What a step lets the command do to what it shows of the host. */
enum hide_access { HIDE_READ, HIDE_WRITE, HIDE_VIEW };

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

/* As they are typed, with links. NULL: there is none, or it lies in the other. */
static void hide_get_dirs(const struct probe_host *host, struct sbx_plan *plan,
			  const char *ret_dirs[HIDE_PLACES_MAX])
{
	ret_dirs[0] = session_get_base(host, &plan->arena);
	ret_dirs[1] = session_name_is_path(plan->session->id) ? plan->session->dir : NULL;
}

static int hide_begin(struct hide *hide, const struct probe_host *host, struct sbx_plan *plan,
		      struct sbx_err *err)
{
	const char *dirs[HIDE_PLACES_MAX];
	int r;

	hide_get_dirs(host, plan, dirs);
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

/* @dir: where the link is, without links */
static int hide_add_link(struct hide *hide, const char *dir, const char *name, struct sbx_err *err)
{
	struct arena *arena = &hide->plan->arena;
	struct hide_place link;

	hide->links = arena_grow(arena, hide->links, hide->n_links, sizeof(*hide->links));
	if (!hide->links || !hide_find_place(hide, *dir ? dir : "/", &link))
		return err_oom(err);
	link.path = arena_printf(arena, "%s/%s", dir, name);
	if (link.device)
		link.inside = arena_printf(arena, "%s/%s",
					   path_is_root(link.inside) ? "" : link.inside, name);
	if (!link.path || (link.device && !link.inside))
		return err_oom(err);
	hide->links[hide->n_links++] = link;
	return 0;
}

/*
 * Go one name further on the way to a place.
 * @done: where the way has come to, without links; "" is the root
 * @rest: what is left of it; grows where there is a link
 */
static int hide_walk(struct hide *hide, char done[PATH_MAX], char rest[PATH_MAX],
		     struct sbx_err *err)
{
	size_t start = strspn(rest, "/"), len = strcspn(rest + start, "/"), at = strlen(done);
	struct str_buf way = {.data = done, .size = PATH_MAX, .len = at};
	char name[PATH_MAX], target[PATH_MAX], behind[PATH_MAX];
	ssize_t n;
	int r;

	memcpy(name, rest + start, len);
	name[len] = '\0';
	memmove(rest, rest + start + len, strlen(rest + start + len) + 1);
	if (!len || str_equal(name, "."))
		return 0;
	if (str_equal(name, "..")) {
		if (at)
			*strrchr(done, '/') = '\0';
		return 0;
	}
	str_buf_printf(&way, "/%s", name);
	n = way.cut ? -1 : readlink(done, target, sizeof(target) - 1);
	if (n < 0)
		return 0;
	target[n] = '\0';
	done[at] = '\0';
	r = hide_add_link(hide, done, name, err);
	if (target[0] == '/')
		done[0] = '\0';
	str_copy(behind, sizeof(behind), rest);
	if (snprintf(rest, PATH_MAX, "%s%s", target, behind) >= PATH_MAX)
		rest[0] = '\0';
	return r;
}

/* Links that lead to the places: who can replace one has the next verb look elsewhere. */
static int hide_find_links(struct hide *hide, struct sbx_err *err)
{
	const char *dirs[HIDE_PLACES_MAX];
	int r = 0;

	hide_get_dirs(hide->host, hide->plan, dirs);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char done[PATH_MAX] = "", rest[PATH_MAX] = "";

		/* That they lead somewhere is known, so they come to an end. */
		str_copy(rest, sizeof(rest), dirs[i] ? dirs[i] : "");
		while (*rest && r == 0)
			r = hide_walk(hide, done, rest, err);
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

/* Names below a step's destination, of directories and links, are to stay what they are. */
static int hide_pin(struct hide *hide, const char *dest, const char *names, struct sbx_err *err)
{
	struct plan_step *pin;

	for (size_t i = 0; i < hide->plan->n_steps; i++) {
		const struct plan_step *step = &hide->plan->steps[i];

		if (step->kind == PLAN_STEP_PIN && str_equal(step->dest, dest) &&
		    str_equal(step->text, names))
			return 0;
	}
	pin = plan_add_step(hide->plan, PLAN_STEP_PIN, "--cow");
	if (!pin)
		return err_oom(err);
	pin->dest = dest;
	pin->text = names;
	return 0;
}

/* Something empty over a place. */
static int hide_mask(struct hide *hide, const char *at, struct sbx_err *err)
{
	struct plan_step *mask;

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

/* The directory of all sessions is to be there before the command is: on the host, or in a view. */
static int hide_want_base(struct hide *hide, const struct hide_place *place, enum hide_access how,
			  struct sbx_err *err)
{
	struct plan_session *session = (struct plan_session *)(uintptr_t)hide->plan->session;

	if (place->is_session || how == HIDE_READ || access(place->path, F_OK) == 0 ||
	    (errno != ENOENT && errno != EACCES))
		return 0;
	if (how == HIDE_VIEW)
		return layers_hold(hide->plan, place->path, PLAN_STEP_DIRECTORY, err);
	session->missing_base = place->path;
	return 0;
}

/*
 * A place that a step shows.
 * @a, @b: where, behind the step's destination
 */
static int hide_shown(struct hide *hide, const char *dest, const struct hide_place *place,
		      const char *a, const char *b, enum hide_access how, struct sbx_err *err)
{
	struct arena *arena = &hide->plan->arena;
	const char *rest = arena_printf(arena, "%s%s", a, b);
	const char *at =
		rest ? arena_printf(arena, "%s%s", path_is_root(dest) ? "" : dest, rest) : NULL;
	const char *slash = rest ? strrchr(rest, '/') : NULL;
	const char *above = slash && slash > rest
				    ? arena_dup_n(arena, rest + 1, (size_t)(slash - rest - 1))
				    : "";
	int r;

	if (!at || !above)
		return err_oom(err);
	r = hide_want_base(hide, place, how, err);
	if (r == 0 && how == HIDE_WRITE && *above)
		r = hide_pin(hide, dest, above, err);
	return r < 0 ? r : hide_mask(hide, at, err);
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
		      const struct hide_place *place, const char *dest, enum hide_access how,
		      struct sbx_err *err)
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
			r = hide_shown(hide, dest, place, at, "", how, err);
		else if (path_is_below(place->inside, mount->root))
			r = hide_shown(hide, dest, place, at, path_rest(place->inside, mount->root),
				       how, err);
	}
	return r;
}

/* The same of a link, which is only to stay what it is. */
static int hide_link(struct hide *hide, const struct hide_place *shown,
		     const struct hide_place *link, const char *dest, struct sbx_err *err)
{
	int r = 0;

	if (path_is_below(link->path, shown->path))
		r = hide_pin(hide, dest, path_rest(link->path, shown->path) + 1, err);
	if (r == 0 && hide_is_in_mount(link, shown))
		r = hide_pin(hide, dest, path_rest(link->inside, shown->inside) + 1, err);
	for (size_t i = 0; i < hide->n_mounts && link->device && r == 0; i++) {
		const struct mountinfo_entry *mount = &hide->mounts[i];
		const char *names;

		if (!path_is_below(mount->point, shown->path) ||
		    str_equal(mount->point, shown->path) ||
		    !str_equal(mount->device, link->device) ||
		    !path_is_below(link->inside, mount->root))
			continue;
		names = arena_printf(&hide->plan->arena, "%s%s",
				     path_rest(mount->point, shown->path) + 1,
				     path_rest(link->inside, mount->root));
		r = names ? hide_pin(hide, dest, names, err) : err_oom(err);
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
		       bool whole, enum hide_access how, struct sbx_err *err)
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
			r = hide_shown(hide, step->dest, place, path_rest(place->path, shown.path),
				       "", how, err);
		if (r == 0 && hide_is_in_mount(place, &shown))
			r = hide_shown(hide, step->dest, place,
				       path_rest(place->inside, shown.inside), "", how, err);
		if (r == 0 && whole)
			r = hide_below(hide, &shown, place, step->dest, how, err);
	}
	for (size_t i = 0; i < hide->n_links && how == HIDE_WRITE && r == 0; i++)
		r = hide_link(hide, &shown, &hide->links[i], step->dest, err);
	return r;
}

static int hide_bind(struct hide *hide, const struct plan_step *step, struct sbx_err *err)
{
	enum hide_access how = step->attrs & MOUNT_ATTR_RDONLY ? HIDE_READ : HIDE_WRITE;
	char link[64];

	if (step->source)
		return hide_source(hide, step, step->source, true, how, err);
	if (step->fd < 0)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", step->fd);
	return hide_source(hide, step, link, true, how, err);
}

/* A view of the session has its own layers, and is only to cover what it shows besides. */
static int hide_layers(struct hide *hide, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_layers *layers = step->layers;
	bool is_view = layers->covers != NULL;
	int r = 0;

	for (size_t i = is_view ? layers->n_lower - 1 : 0; i < layers->n_lower && r == 0; i++)
		r = hide_source(hide, step, layers->lower[i], false,
				is_view ? HIDE_VIEW : HIDE_READ, err);
	if (r == 0 && layers->upper && !is_view)
		r = hide_source(hide, step, layers->upper, false, HIDE_WRITE, err);
	if (r == 0 && layers->work && !is_view)
		r = hide_source(hide, step, layers->work, false, HIDE_READ, err);
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
	if (r == 0)
		r = hide_find_links(&hide, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct plan_step step = plan->steps[i];

		if (step.kind == PLAN_STEP_BIND)
			r = hide_bind(&hide, &step, err);
		else if (step.kind == PLAN_STEP_LAYERS && step.layers)
			r = hide_layers(&hide, &step, err);
	}
	return r;
}
