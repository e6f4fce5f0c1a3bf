/* SPDX-License-Identifier: MIT */
/*
 * protect_overlay: hold a missing name without anything on the host.
 *
 * Theory of operation
 *
 * An overlay is mounted over the directory that lacks the name. Its upper layer is
 * that very directory, so what is written goes where it always went; its lower layer is
 * a directory of a tmpfs that nobody sees, with the name in it. The name is there inside,
 * is covered as any other, and is not there outside.
 *
 *     /p      overlay   upper: the host's /p    lower: tmpfs, with .npmrc
 *     /p/.npmrc         covered, read-only
 *
 * One overlay holds all names that its directory lacks: all protect steps are looked
 * through before it is made, since two overlays with one upper layer would not know
 * of each other. It hides the mounts below its directory. Those of earlier protect steps
 * are made anew; where others are the step is refused.
 *
 * The kernel wants an empty directory on the same mount as the upper layer to work
 * in. That one is made beside the records of placeholders, is recorded as they are, and is
 * removed with them.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/overlay.h"
#include "sbx/run/placeholder.h"
#include "sbx/run/protect.h"
#include "sbx/run/steps.h"

enum {
	PROTECT_OVERLAYS_MAX = 64,
	OVERLAY_ST_NOSYMFOLLOW = 0x2000, /* of statvfs(3), where libc does not know it */
};

/* ---- the lower layer ---- */

static int overlay_make_name(int layer, const char *path, uint32_t flags, mode_t umask)
{
	int r;

	if (flags & PLAN_STEP_DOT)
		return placeholder_create_dot(layer, path, umask);
	r = flags & PLAN_STEP_DIRECTORY ? mkdirat(layer, path, 0777 & ~umask)
					: mknodat(layer, path, S_IFREG | (0666 & ~umask), 0);
	return r < 0 ? -errno : 0;
}

/* Make a chain of names, the last one as the step wants it. */
static int overlay_make_chain(int layer, const char *chain, uint32_t flags, mode_t umask)
{
	char path[PATH_MAX];
	size_t len = strlen(chain), at = 0;

	while (len > 0 && chain[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, chain, len);
	path[len] = '\0';
	for (size_t end; at < len; at = end + strspn(path + end, "/")) {
		char after;
		int r;

		end = at + strcspn(path + at, "/");
		after = path[end];
		path[end] = '\0';
		r = overlay_make_name(layer, path, end < len ? PLAN_STEP_DIRECTORY : flags, umask);
		if (r < 0 && r != -EEXIST)
			return r;
		path[end] = after;
	}
	return 0;
}

static bool overlay_has_dotdot(const char *path)
{
	return strstr(path, "/../") || strstr(path, "/./") || strncmp(path, "../", 3) == 0 ||
	       strncmp(path, "./", 2) == 0;
}

/* What a step's path is below the directory of the walk, as text; NULL: nothing. */
static const char *overlay_below(const struct protect *p, const struct plan_step *step)
{
	size_t n = strlen(p->done);
	const char *rest;

	if (strncmp(step->dest, p->done, n) != 0 || step->dest[n] != '/')
		return NULL;
	rest = step->dest + n + strspn(step->dest + n, "/");
	return *rest && !overlay_has_dotdot(rest) ? rest : NULL;
}

/*
 * Is the first name of the chain missing in the host's directory (where no other overlay
 * of ours holds it)? Return: 1, 0 or -errno.
 */
static int overlay_is_missing(int upper, const char *chain)
{
	char name[NAME_MAX + 1];
	size_t n = strcspn(chain, "/");
	struct stat st;

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, chain, n);
	name[n] = '\0';
	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return errno == ENOENT ? 1 : -errno;
}

/* All that the plan's steps miss in this directory. */
static int overlay_fill_layer(const struct protect *p, const char *name, int upper, int layer)
{
	const struct sbx_plan *plan = p->ctx->plan;
	char chain[PATH_MAX * 2];
	int r;

	(void)snprintf(chain, sizeof(chain), "%s%s%s", name, *p->rest ? "/" : "", p->rest);
	if (overlay_has_dotdot(chain))
		return -EINVAL;
	r = overlay_make_chain(layer, chain, p->step->flags, p->ctx->caller_umask);
	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		const struct plan_step *step = &plan->steps[i];
		const char *rest;

		if (step->kind != PLAN_STEP_PROTECT || (step->flags & PLAN_STEP_TRY))
			continue;
		rest = overlay_below(p, step);
		if (!rest || ((step->flags & PLAN_STEP_NO_PARENTS) && strchr(rest, '/')))
			continue;
		r = overlay_is_missing(upper, rest);
		if (r > 0)
			r = overlay_make_chain(layer, rest, step->flags, p->ctx->caller_umask);
	}
	return r;
}

/* ---- the directory to work in ---- */

/* Does a directory lie in another? Return: 1, 0 or -errno. */
static int overlay_lies_in(int fd, int above_fd)
{
	_autofree_ char *name = NULL, *above = NULL;
	int r = mount_name_fd(fd, &name);

	if (r == 0)
		r = mount_name_fd(above_fd, &above);
	if (r < 0)
		return r;
	assert(name && above);
	return path_is_below(*name ? name : "/", *above ? above : "/");
}

/* The kernel takes no directory to work in that lies in the layer it is for. */
static int overlay_refuse_work(const struct protect *p, bool within, const char *host,
			       struct sbx_err *err)
{
	int r;

	if (!within)
		return err_refuse(err, EXDEV, p->step->dest,
				  "does not exist, and an overlay over its directory needs a place "
				  "to work in "
				  "on the same mount");
	r = err_refuse(err, EXDEV, p->step->dest,
		       "does not exist, and an overlay over its directory needs a place to work in "
		       "outside of that");
	err_hint(err,
		 "set XDG_STATE_HOME to a directory on the same filesystem that is not in %s,\n"
		 "make the protected path before, or have a placeholder hold it",
		 host);
	return r;
}

/* Beside the records, in one of their places, on the mount that `upper` is on, and not in it. */
static int overlay_make_work(const struct protect *p, int upper_fd, const char *host, int *ret_fd,
			     struct sbx_err *err)
{
	const struct sbx_plan *plan = p->ctx->plan;
	struct sys_file upper;
	bool within = false;

	if (sys_statx_file(upper_fd, "", &upper) < 0)
		return err_system(err, errno, host, "cannot look at it");
	for (size_t i = 0; i < ARRAY_SIZE(plan->record_dirs); i++) {
		_autoclose_ int base = -1;
		char path[PATH_MAX];
		struct sys_file file;
		int r;

		if (!plan->record_dirs[i])
			continue;
		r = placeholder_work_dir(plan->record_dirs[i], path, &base);
		if (r == -ENOENT || r == -EACCES || r == -EROFS)
			continue;
		if (r < 0 || sys_statx_file(base, "", &file) < 0)
			return err_system(err, r < 0 ? -r : errno, path,
					  "cannot make a directory to work in");
		r = overlay_lies_in(base, upper_fd);
		if (r < 0)
			return err_system(err, -r, path, "cannot tell where it is");
		within = within || r > 0;
		if (r == 0 && file.mount.mount_id == upper.mount.mount_id)
			return placeholder_make_work(p->ctx->placeholders, base, path, ret_fd, err);
		(void)rmdir(path);
	}
	return overlay_refuse_work(p, within, host, err);
}

/* ---- the mount ---- */

/* The attributes that the directory's own mount has. Return: 0 or -errno. */
static int overlay_attrs(int dir_fd, uint64_t *ret_attrs)
{
	struct statvfs fs;

	if (fstatvfs(dir_fd, &fs) < 0)
		return -errno;
	*ret_attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		     (fs.f_flag & ST_NOEXEC ? MOUNT_ATTR_NOEXEC : 0) |
		     (fs.f_flag & OVERLAY_ST_NOSYMFOLLOW ? MOUNT_ATTR_NOSYMFOLLOW : 0);
	return 0;
}

/* ---- mounts below ---- */

/* Kinds of steps that mount something at their destination, or over what is there. */
static bool overlay_step_mounts(enum plan_step_kind kind)
{
	return kind == PLAN_STEP_BIND || kind == PLAN_STEP_TMPFS || kind == PLAN_STEP_PROC ||
	       kind == PLAN_STEP_DEV || kind == PLAN_STEP_SYS || kind == PLAN_STEP_CGROUP ||
	       kind == PLAN_STEP_MQUEUE || kind == PLAN_STEP_LAYERS ||
	       kind == PLAN_STEP_BIND_DATA || kind == PLAN_STEP_MASK;
}

/*
 * Has an earlier step, but those that protect, mounted something below the directory? It
 * would be hidden: a mask would be lifted. Return: 1, 0, or -errno.
 */
static int overlay_hides(const struct protect *p, const struct plan_step *step)
{
	_autofree_ char *path = NULL;
	_autoclose_ int fd = -1;
	int r;

	if (!overlay_step_mounts(step->kind) || !step->dest || path_is_root(step->dest))
		return 0;
	r = path_open_inside(p->ctx->root_fd, step->dest, &fd);
	if (r == 0)
		r = mount_name_fd(fd, &path);
	/* One that was to be tried, and is not there. */
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	assert(path);
	return strcmp(path, p->done) != 0 && path_is_below(path, *p->done ? p->done : "/");
}

static int overlay_check_hidden(const struct protect *p, struct sbx_err *err)
{
	for (const struct plan_step *step = p->ctx->plan->steps; step < p->step; step++) {
		int r = overlay_hides(p, step);

		if (r > 0)
			return err_refuse(err, EBUSY, p->step->dest,
					  "does not exist, and an overlay over its directory would "
					  "hide what is mounted at %s",
					  step->dest);
		if (r < 0)
			return err_system(err, -r, step->dest,
					  "cannot tell whether an overlay would hide it");
	}
	return 0;
}

/* What this walk's predecessors have covered and pinned below is hidden now. */
static int overlay_protect_again(const struct protect *p, struct sbx_err *err)
{
	for (const struct plan_step *step = p->ctx->plan->steps; step < p->step; step++) {
		int r = step->kind == PLAN_STEP_PROTECT ? step_run_protect(p->ctx, step, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int overlay_make_layer(const struct protect *p, const char *name, int upper, int *ret_fd)
{
	struct run_context *ctx = p->ctx;
	_autoclose_ int fd = -1;
	char layer[32];
	int r;

	(void)snprintf(layer, sizeof(layer), "layer-%u", ctx->n_store++);
	if (mkdirat(ctx->store_fd, layer, 0755) < 0)
		return -errno;
	fd = openat(ctx->store_fd, layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = overlay_fill_layer(p, name, upper, fd);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/**
 * Hold `name`, which the directory of the walk lacks, by an overlay over it.
 * @host: the directory's path on the host
 *
 * Return: an enum protect_result, or -errno with *err filled. The walk is in the overlay then.
 */
int protect_overlay(struct protect *p, const char *name, const char *host, struct sbx_err *err)
{
	_autoclose_ int lower = -1, upper = -1, work = -1, mount = -1;
	const char *dest = p->step->dest;
	struct overlay_layers layers;
	uint64_t attrs = 0;
	int r;

	if (faccessat(p->dir_fd, ".", W_OK, AT_EACCESS) < 0 && (errno == EACCES || errno == EROFS))
		return PROTECT_SKIP;
	r = overlay_check_hidden(p, err);
	if (r < 0)
		return r;
	if (p->ctx->n_overlays++ >= PROTECT_OVERLAYS_MAX)
		return err_refuse(err, E2BIG, dest, "needs more than %d overlays",
				  PROTECT_OVERLAYS_MAX);
	r = path_open(p->ctx->host_root_fd, host, &upper);
	if (r < 0)
		return err_system(err, -r, host, "cannot be opened again");
	r = overlay_make_layer(p, name, upper, &lower);
	if (r < 0)
		return err_system(err, -r, dest, "cannot make a layer with the name in it");
	r = overlay_make_work(p, upper, host, &work, err);
	if (r < 0)
		return r;
	layers = (struct overlay_layers){&lower, 1, upper, work};
	r = overlay_attrs(p->dir_fd, &attrs);
	if (r == 0)
		r = overlay_mount(&layers, attrs, &mount);
	if (r < 0)
		return err_system(err, -r, dest, "cannot mount an overlay over its directory");
	if (sys_move_mount(mount, "", p->dir_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, errno, dest, "cannot put the overlay over its directory");
	r = mount_note_overlay(p->ctx, mount, upper, err);
	if (r < 0)
		return r;
	defs_cleanup_fd(&p->dir_fd);
	p->dir_fd = take_fd(&mount);
	r = overlay_protect_again(p, err);
	return r < 0 ? r : PROTECT_GO_ON;
}
