/* SPDX-License-Identifier: MIT */
/*
 * filter_cover: no sandbox is to write the filter of a later launch (filter_cache.h). Where
 * a plan lets the command write to a directory that holds the kept ones, or is above it,
 * it gets a step that holds them (run/filter_cover.c).
 *
 * What a bind binds is known by device and inode, whatever it is called and whether or not
 * a link leads there. The caller's runtime directory is asked for by its usual name and not
 * by the environment, which may be another for who will read the filters.
 *
 * The steps come behind all that mount something: what is remounted read-only stays so.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/sockets.h"

enum { COVER_DIRS_MAX = 12 };

/* A directory on the way to the filters. */
struct cover_dir {
	dev_t dev;
	ino_t ino;
	size_t len; /* of its path */
};

struct cover {
	const struct probe_host *host;
	struct sbx_plan *plan;
	struct sbx_err *err;
	const char *place;		       /* real path of the filters */
	size_t runtime_len;		       /* of that of the runtime directory */
	struct cover_dir dirs[COVER_DIRS_MAX]; /* those that exist, from the root on */
	size_t n_dirs;
};

/*
 * Does it say that by this path nobody gets there: the caller, a step of the plan or who reads
 * the filters? All else leaves open what is there, and that must not make a launch go without.
 */
static bool cover_is_unreachable(int number)
{
	return number == ENOENT || number == ENOTDIR || number == EACCES || number == ELOOP ||
	       number == ENAMETOOLONG;
}

static int cover_fail(const struct cover *c, int number, const char *path)
{
	return err_system(c->err, number, path,
			  "cannot tell whether the filters for later launches could be written to");
}

/* Return: 1; 0 where it does not exist, or there is no room; or -errno with *err filled. */
static int cover_add_dir(struct cover *c, size_t len)
{
	char path[PATH_MAX];
	struct stat st;

	memcpy(path, c->place, len);
	path[len] = '\0';
	if (c->n_dirs == COVER_DIRS_MAX)
		return 0;
	if (stat(len ? path : "/", &st) < 0)
		return cover_is_unreachable(errno) ? 0 : cover_fail(c, errno, len ? path : "/");
	c->dirs[c->n_dirs++] = (struct cover_dir){st.st_dev, st.st_ino, len};
	return 1;
}

/*
 * The way from the root to the filters, as far as it exists.
 *
 * Return: 1; 0 where this caller has no such runtime directory; or -errno with *err filled.
 */
static int cover_find_way(struct cover *c)
{
	char said[FILTER_CACHE_PATH_BYTES], path[PATH_MAX], real[PATH_MAX];
	struct str_buf text = STR_BUF_ON_STACK(path);
	struct sys_mount what;
	size_t len = 0;
	int r;

	filter_cache_runtime_dir(c->host->uid, said);
	str_buf_printf(&text, "%s%s", c->host->root_prefix, said);
	if (sys_statx_mount(AT_FDCWD, path, &what) < 0)
		return cover_is_unreachable(errno) ? 0 : cover_fail(c, errno, path);
	if (!what.is_root)
		return 0;
	if (!realpath(path, real))
		return cover_is_unreachable(errno) ? 0 : cover_fail(c, errno, path);
	c->runtime_len = strlen(real);
	c->place = arena_printf(&c->plan->arena, "%s/%s/%s", real, filter_cache_names[0],
				filter_cache_names[1]);
	if (!c->place || strlen(c->place) >= PATH_MAX)
		return err_oom(c->err);
	while ((r = cover_add_dir(c, len)) > 0 && c->place[len])
		len += 1 + strcspn(c->place + len + 1, "/");
	return r < 0 ? r : 1;
}

/* What of the host can be written through a step; NULL: nothing that is a path. */
static const char *cover_written(const struct plan_step *step)
{
	if (step->kind == PLAN_STEP_LAYERS)
		return step->layers->top == PLAN_LAYERS_HOST ? step->layers->upper : NULL;
	return step->source;
}

static bool cover_is_writable(const struct plan_step *step)
{
	if (step->kind == PLAN_STEP_LAYERS)
		return cover_written(step) != NULL;
	return step->kind == PLAN_STEP_BIND && !(step->attrs & MOUNT_ATTR_RDONLY);
}

/* @at: how much of the place's path the step's destination shows */
static int cover_add(struct cover *c, const struct plan_step *written, size_t at)
{
	size_t from = at < c->runtime_len ? c->runtime_len : at; /* where the walk begins */
	const char *dest = written->dest, *rest = c->place + from;
	bool overlay = written->kind == PLAN_STEP_LAYERS;
	struct plan_step *step = plan_add_step(c->plan, PLAN_STEP_FILTER_COVER, "default");

	if (!step)
		return err_oom(c->err);
	step->source = arena_dup_n(&c->plan->arena, c->place, from);
	step->dest = arena_printf(&c->plan->arena, "%s%.*s", path_is_root(dest) ? "" : dest,
				  (int)(from - at), c->place + at);
	step->text = *rest == '/' ? rest + 1 : rest;
	step->flags = overlay ? PLAN_STEP_OVERLAY : 0;
	if (c->plan->payload_uid == c->plan->uid_map.own_inside &&
	    c->plan->payload_gid == c->plan->gid_map.own_inside)
		step->flags |= PLAN_STEP_IF_IN_REACH;
	return step->source && step->dest ? 0 : err_oom(c->err);
}

/* A bind of what is among the filters: one of them, or of a file that is new there. */
static int cover_check_inner(struct cover *c, const struct plan_step *step)
{
	const char *real = sockets_source(step, &c->plan->arena);
	struct plan_step *added;

	if (!real)
		return cover_is_unreachable(errno) ? 0 : cover_fail(c, errno, step->source);
	if (!path_is_below(real, c->place))
		return 0;
	added = plan_add_step(c->plan, PLAN_STEP_FILTER_COVER, "default");
	if (!added)
		return err_oom(c->err);
	added->source = real;
	added->dest = step->dest;
	added->text = "";
	return 0;
}

static int cover_step(struct cover *c, size_t index)
{
	const struct plan_step step = c->plan->steps[index]; /* those move */
	const char *source = cover_written(&step);
	struct stat st;

	if (!cover_is_writable(&step))
		return 0;
	if (step.fd >= 0 ? fstat(step.fd, &st) : stat(source, &st)) {
		if (cover_is_unreachable(errno) || errno == EBADF)
			return 0; /* its step will tell */
		return cover_fail(c, errno, source);
	}
	for (size_t i = c->n_dirs; i > 0; i--)
		if (c->dirs[i - 1].dev == st.st_dev && c->dirs[i - 1].ino == st.st_ino)
			return cover_add(c, &step, c->dirs[i - 1].len);
	if (c->n_dirs == 0 || st.st_dev != c->dirs[c->n_dirs - 1].dev)
		return 0;
	return cover_check_inner(c, &step);
}

/**
 * Add the steps for what the plan has mounted so far.
 *
 * Return: 0, or -errno with *err filled.
 */
int filter_cover_add_steps(const struct probe_host *host, struct sbx_plan *plan,
			   struct sbx_err *err)
{
	struct cover c = {.host = host, .plan = plan, .err = err};
	size_t n = plan->n_steps;
	bool looked = false;

	for (size_t i = 0; i < n; i++) {
		int r = 1;

		if (!cover_is_writable(&plan->steps[i]))
			continue;
		if (!looked)
			r = cover_find_way(&c);
		looked = true;
		if (r <= 0)
			return r;
		r = cover_step(&c, i);
		if (r < 0)
			return r;
	}
	return 0;
}
