/* SPDX-License-Identifier: MIT */
/*
 * layers_held: names that a view of a session has though neither the host nor the session does.
 *
 * What sbx itself needs there is no change of the command's, and is not to be told or applied as
 * one: what a protect step covers, and what something is mounted on. So it is in a layer of its
 * own, the lowest, which is made anew for each launch (cow/held.c) and empty files and directories
 * are all that it has. Above it the host and the session have what they have.
 *
 * Where the session has removed the name or a directory above, or has made that directory itself,
 * it does not see through to the lowest layer. What is protected is held in another way there
 * (run/protect.c); what is mounted has its place made in the session, as in any directory that can
 * be written to, and that is undone afterwards (cow/targets.c).
 */

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/session.h"

enum { HELD_LINKS_MAX = 40 };

/* ---- names ---- */

/* The view that shows a place of the host; NULL: none. */
static const struct plan_step *layers_find_view(const struct sbx_plan *plan, const char *path)
{
	const struct plan_step *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_layers *layers = plan->steps[i].layers;
		const char *root =
			layers && layers->is_session ? layers->lower[layers->n_lower - 1] : NULL;

		if (root && path_is_below(path, root) && (!best || strlen(root) >= best_len)) {
			best = &plan->steps[i];
			best_len = strlen(root);
		}
	}
	return best;
}

/* Is the name missing on the host, and its directory there, if it has to be? */
static bool layers_lacks(const char *real, bool in_directory)
{
	char path[PATH_MAX];
	struct stat st;

	if (strlen(real) >= sizeof(path) || lstat(real, &st) == 0)
		return false;
	str_copy(path, sizeof(path), real);
	*strrchr(path, '/') = '\0';
	return !in_directory || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static int layers_hold_name(struct sbx_plan *plan, const struct plan_step *view, const char *rest,
			    uint32_t flags, struct sbx_err *err)
{
	struct plan_layers *layers = (struct plan_layers *)(uintptr_t)view->layers;
	struct plan_held *held =
		arena_grow(&plan->arena, layers->held, layers->n_held, sizeof(*held));

	if (!held)
		return err_oom(err);
	held[layers->n_held++] = (struct plan_held){
		.path = rest, .flags = flags & (PLAN_STEP_DIRECTORY | PLAN_STEP_DOT)};
	layers->held = held;
	if (layers->n_lower > 1)
		return 0;
	layers->lower[layers->n_lower++] = layers->lower[0];
	layers->lower[0] = layers->held_dir;
	return 0;
}

/**
 * Where a step protects a name of a session's view that is not there, the view has it, from a
 * lowest layer: a placeholder in the upper one would be a change of the command's. It is held where
 * the links of the host lead, as views are where the host has what they show. What the session has
 * of its own is not looked at here: see run/protect.c.
 * @dest:  of a protect step of the plan's, absolute
 * @flags: its flags
 *
 * Return: 0, or -errno with *err filled.
 */
int layers_hold(struct sbx_plan *plan, const char *dest, uint32_t flags, struct sbx_err *err)
{
	bool holds = plan->session && !(flags & PLAN_STEP_TRY);
	const char *real = holds ? session_find_real(&plan->arena, dest) : NULL;
	/* A path that leads nowhere is an error of its step's. */
	const struct plan_step *view = real ? layers_find_view(plan, real) : NULL;
	const char *root;

	if (!view || !layers_lacks(real, flags & PLAN_STEP_NO_PARENTS))
		return 0;
	root = view->layers->lower[view->layers->n_lower - 1];
	if (str_equal(real, root))
		return 0;
	return layers_hold_name(plan, view, path_rest(real, root) + 1, flags, err);
}

/* ---- what is mounted ---- */

/* Kinds of steps that mount something at their destination, which is made where it is missing. */
static bool layers_kind_mounts(enum plan_step_kind kind)
{
	static const enum plan_step_kind kinds[] = {
		PLAN_STEP_BIND,	     PLAN_STEP_TMPFS,  PLAN_STEP_PROC,	 PLAN_STEP_DEV,
		PLAN_STEP_SYS,	     PLAN_STEP_CGROUP, PLAN_STEP_MQUEUE, PLAN_STEP_LAYERS,
		PLAN_STEP_BIND_DATA, PLAN_STEP_DBUS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kind == kinds[i])
			return true;
	return false;
}

/*
 * What is to be there for a step to mount something on.
 *
 * Return: S_IFDIR or S_IFREG; 0: nothing, or the step will tell why not.
 */
static mode_t layers_find_target(const struct plan_step *step)
{
	struct stat st;

	if (!layers_kind_mounts(step->kind))
		return 0;
	if (step->kind == PLAN_STEP_BIND_DATA || step->kind == PLAN_STEP_DBUS)
		return step->flags & PLAN_STEP_TRY ? 0 : S_IFREG;
	if (step->kind != PLAN_STEP_BIND)
		return S_IFDIR;
	if ((step->source ? stat(step->source, &st) : fstat(step->fd, &st)) < 0)
		return 0;
	return S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG;
}

static const char *layers_get_dest(const struct plan_step *step, struct arena *arena)
{
	if (step->kind == PLAN_STEP_ROOT_TMPFS)
		return "/";
	return step->dest ? path_normalise(arena, NULL, step->dest) : NULL;
}

/*
 * The step before `index` that shows what is at a path of the sandbox's; NULL: none, or one makes
 * something of its own on the way: a link, or a mask where there is something to be masked.
 */
static const struct plan_step *layers_find_shown(struct sbx_plan *plan, size_t index,
						 const char *path)
{
	for (size_t i = index; i-- > 0;) {
		const struct plan_step *step = &plan->steps[i];
		const char *dest = layers_get_dest(step, &plan->arena);

		if (!dest || !path_is_below(path, dest))
			continue;
		if (step->kind == PLAN_STEP_SYMLINK || step->kind == PLAN_STEP_MASK)
			return NULL;
		if (step->kind == PLAN_STEP_ROOT_TMPFS || layers_find_target(step))
			return step;
	}
	return NULL;
}

/*
 * Look at a path of the host's up to the first link.
 * @path:     absolute
 * @ret_next: where the link leads; NULL: there is none
 *
 * Return: the path, with ".." behind the link taken as text; NULL: no memory, or it is too long.
 */
static const char *layers_look(struct arena *arena, const char *path, const char **ret_next)
{
	char done[PATH_MAX], target[PATH_MAX];
	struct str_buf way = {.data = done, .size = sizeof(done)};
	const char *here = path_normalise(arena, NULL, path);
	ssize_t n = -1;

	*ret_next = NULL;
	done[0] = '\0';
	while (here && *path && n < 0) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 2 && strncmp(path, "..", 2) == 0) {
			way.len = way.len ? (size_t)(strrchr(done, '/') - done) : 0;
			done[way.len] = '\0';
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			str_buf_puts(&way, "/");
			str_buf_write(&way, path, len);
			n = way.cut ? -1 : readlink(done, target, sizeof(target) - 1);
		}
		path += len;
		if (way.cut)
			return NULL;
	}
	if (n < 0)
		return here;
	target[n] = '\0';
	here = arena_printf(arena, "%s%s", done, path);
	*strrchr(done, '/') = '\0';
	*ret_next = arena_printf(arena, "%s%s%s%s", target[0] == '/' ? "" : done,
				 target[0] == '/' ? "" : "/", target, path);
	return here && *ret_next ? path_normalise(arena, NULL, here) : NULL;
}

static int layers_note_target(struct sbx_plan *plan, const struct plan_step *view, const char *rest,
			      size_t index, struct sbx_err *err)
{
	struct plan_layers *layers = (struct plan_layers *)(uintptr_t)view->layers;
	struct plan_held *targets =
		arena_grow(&plan->arena, layers->targets, layers->n_targets, sizeof(*targets));

	if (!targets)
		return err_oom(err);
	targets[layers->n_targets++] = (struct plan_held){.path = rest, .step = index};
	layers->targets = targets;
	return 0;
}

/*
 * One step on the way to what is mounted on: a path that a view shows.
 * @path: of the sandbox's; replaced by where a link of the host's leads, or NULL
 */
static int layers_hold_in_view(struct sbx_plan *plan, size_t index, mode_t target,
			       const char **path, struct sbx_err *err)
{
	struct arena *arena = &plan->arena;
	const struct plan_step *view = layers_find_shown(plan, index, *path);
	const char *dest = view ? layers_get_dest(view, arena) : NULL;
	const char *root, *place, *next = NULL, *again;
	int r;

	if (!dest || !view->layers || !view->layers->is_session) {
		*path = NULL;
		return 0;
	}
	root = view->layers->lower[view->layers->n_lower - 1];
	place = arena_printf(arena, "%s%s", path_is_root(root) ? "" : root, path_rest(*path, dest));
	place = place ? layers_look(arena, *place ? place : "/", &next) : NULL;
	*path = NULL;
	/* What leads nowhere is an error of its step's. */
	if (!place || str_equal(place, root))
		return 0;
	/* Where the session has removed it, it is made in the session: see cow/targets.c. */
	r = layers_note_target(plan, view, path_rest(place, root) + 1, index, err);
	if (r < 0)
		return r;
	if (!next)
		return layers_lacks(place, false)
			       ? layers_hold_name(plan, view, path_rest(place, root) + 1,
						  target == S_IFDIR ? PLAN_STEP_DIRECTORY : 0, err)
			       : 0;
	/* A link that leads out of it does so inside, where something else may be. */
	next = layers_look(arena, next, &again);
	*path = next && path_is_below(next, root)
			? arena_printf(arena, "%s%s", path_is_root(dest) ? "" : dest,
				       path_rest(next, root))
			: next;
	return 0;
}

static int layers_hold_target(struct sbx_plan *plan, size_t index, struct sbx_err *err)
{
	mode_t target = layers_find_target(&plan->steps[index]);
	const char *path = target ? layers_get_dest(&plan->steps[index], &plan->arena) : NULL;
	int r = 0;

	if (target && !path)
		return err_oom(err);
	for (int i = 0; path && i < HELD_LINKS_MAX && r == 0; i++)
		r = layers_hold_in_view(plan, index, target, &path, err);
	return r;
}

/**
 * What the plan mounts in a view, at a name that is not there, is mounted on one that the view
 * holds.
 * @plan: with all the steps that mount something
 *
 * Return: 0, or -errno with *err filled.
 */
int layers_hold_targets(struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && plan->session && r == 0; i++)
		r = layers_hold_target(plan, i, err);
	return r;
}
