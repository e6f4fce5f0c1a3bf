/* SPDX-License-Identifier: MIT */
/*
 * protect: keep a path inside from being changed, replaced or made.
 *
 * Theory of operation
 *
 * What the path names is bound over itself, read-only with all below. That alone would
 * be got round by renaming a directory above it and making another of its name. A
 * mount point can be neither renamed nor removed (EBUSY), so every directory on the
 * way, from the mount it is on down, is bound over itself too, writable as it was. It
 * is pinned. Links on the way are pinned in the same way, and followed: both
 * the link and what it leads to stay what they are.
 *
 * So the path is walked name by name, each opened below the descriptor of the one
 * before, and after a pin the walk goes on in what was mounted. Somebody outside
 * who renames at that moment could make us pin what has another name by then: at the
 * end the whole path is opened anew, and must lead to the mount that was made.
 *
 * What is missing is made, see placeholder.c: directories on the way, which are pinned
 * and stay writable, and an empty file or directory at the end. With
 * --protect-by=overlay it is held in another way, see protect_overlay.c.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/placeholder.h"
#include "sbx/run/protect.h"
#include "sbx/run/steps.h"

enum { PROTECT_LINKS_MAX = 40, PROTECT_TRIES = 8 };

/* ---- pins ---- */

/* Is the name fixed already: a mount point, or in the tmpfs that nobody but the sandbox sees? */
static bool protect_is_fixed(const struct protect *p, const struct sys_file *file)
{
	return file->mount.is_root || file->mount.mount_id == p->root_mount;
}

static int protect_pin(const struct protect *p, const struct sys_file *file, int *fd)
{
	int mount = -1, r;

	if (protect_is_fixed(p, file))
		return 0;
	r = mount_over_itself(*fd, 0, &mount);
	if (r < 0)
		return r;
	close(*fd);
	*fd = mount;
	return 0;
}

/* ---- what is missing ---- */

/* What shows the directory of the walk; NULL: the sandbox's own root. */
static const struct run_bind *protect_find_bind(const struct protect *p)
{
	const struct run_bind *best = NULL;

	for (size_t i = 0; i < p->ctx->n_binds; i++) {
		const struct run_bind *bind = &p->ctx->binds[i];

		if (path_is_below(p->done, *bind->dest ? bind->dest : "/") &&
		    (!best || strlen(bind->dest) >= strlen(best->dest)))
			best = bind;
	}
	return best;
}

/* In the layer of an overlay that is written to: the directory is brought there if it is not. */
static int protect_open_upper(const struct protect *p, const char *path, int *ret_fd)
{
	struct stat st;
	int r = path_open(p->ctx->host_root_fd, path, ret_fd);

	if (r != -ENOENT)
		return r;
	if (fstat(p->dir_fd, &st) < 0 || fchmodat(p->dir_fd, ".", st.st_mode & 07777, 0) < 0)
		return -errno;
	return path_open(p->ctx->host_root_fd, path, ret_fd);
}

/*
 * Where the directory of the walk is on the host.
 * @ret_fd: the directory, opened there; as it was where it is nowhere
 *
 * Return: 1 with its path, 0 nowhere, or -errno.
 */
static int protect_find_host(const struct protect *p, const struct run_bind *bind,
			     char path[PATH_MAX], int *ret_fd)
{
	struct sys_file here, there;
	int r;

	if (!bind || !bind->host)
		return 0;
	r = snprintf(path, PATH_MAX, "%s%s", bind->host, p->done + strlen(bind->dest));
	if (r < 0 || r >= PATH_MAX)
		return -ENAMETOOLONG;
	if (*path == '\0')
		memcpy(path, "/", 2);
	/* An overlay has numbers of its own, and is known by having been made by us. */
	if (bind->is_overlay)
		return 1;
	if (bind->is_layered) {
		r = protect_open_upper(p, path, ret_fd);
		return r < 0 ? r : 1;
	}
	r = path_open(p->ctx->host_root_fd, path, ret_fd);
	if (r < 0)
		return r;
	if (sys_statx_file(*ret_fd, "", &there) < 0 || sys_statx_file(p->dir_fd, "", &here) < 0)
		return -errno;
	return here.dev == there.dev && here.inode == there.inode ? 1 : -EXDEV;
}

/*
 * A name that an overlay lacks may be in the layer that is written to, as one that is deleted
 * there. What holds it would have that undone, once it is removed.
 */
static int protect_check_deleted(const struct protect *p, const char *name, int upper,
				 struct sbx_err *err)
{
	char mark[NAME_MAX + sizeof(".wh.")];
	struct stat st;
	int r;

	(void)snprintf(mark, sizeof(mark), ".wh.%s", name);
	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    fstatat(upper, mark, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = err_refuse(err, EEXIST, p->step->dest,
		       "is deleted in the layer that is written to, and what holds its name would "
		       "undo that");
	err_hint(err,
		 "make it again, in a launch that does not protect it, or leave it unprotected");
	return r;
}

/* In a layer of an overlay. Return: 0, or -errno with *err filled. */
static int protect_check_layered(const struct protect *p, const char *name, int upper,
				 struct sbx_err *err)
{
	int r;

	if (!(p->step->flags & PLAN_STEP_OVERLAY))
		return protect_check_deleted(p, name, upper, err);
	r = err_refuse(err, EINVAL, p->step->dest,
		       "does not exist, and no overlay can be put over its directory, which is one "
		       "already");
	err_hint(err, "make the protected path before, or have a placeholder hold it");
	return r;
}

/* Make `name`. Return: an enum protect_result (GO_ON: look again), or -errno. */
static int protect_make(struct protect *p, const char *name, bool is_last, struct sbx_err *err)
{
	const struct plan_step *step = p->step;
	const struct run_bind *bind = protect_find_bind(p);
	bool is_layered = bind && bind->is_layered;
	_autoclose_ int host_fd = -1;
	struct placeholder_spot spot = {
		.dir_fd = p->dir_fd,
		.name = name,
		.is_dir = !is_last || (step->flags & PLAN_STEP_DIRECTORY),
		.has_dot = is_last && (step->flags & PLAN_STEP_DOT),
		.umask = p->ctx->caller_umask,
	};
	char host[PATH_MAX];
	int r;

	if ((step->flags & PLAN_STEP_TRY) || (!is_last && (step->flags & PLAN_STEP_NO_PARENTS)))
		return PROTECT_SKIP;
	/* What sbx cannot make there, the command cannot either. */
	if (is_layered && placeholder_is_impossible(p->dir_fd))
		return PROTECT_SKIP;
	r = protect_find_host(p, bind, host, &host_fd);
	if (r < 0)
		return err_system(err, -r, step->dest,
				  "does not exist, and its place on the host cannot be told");
	if (is_layered)
		r = protect_check_layered(p, name, host_fd, err);
	else if (r > 0 && (step->flags & PLAN_STEP_OVERLAY))
		return protect_overlay(p, name, host, err);
	if (r < 0)
		return r;
	spot.host_dir = r > 0 || is_layered ? (strcmp(host, "/") == 0 ? "" : host) : NULL;
	spot.host_fd = is_layered ? host_fd : -1;
	r = placeholder_make(p->ctx->placeholders, &spot, err);
	if (r < 0)
		return r;
	return r == PLACEHOLDER_IMPOSSIBLE ? PROTECT_SKIP : PROTECT_GO_ON;
}

/* ---- the walk ---- */

/* Take the first name off the rest. Return: is it the last one? */
static bool protect_next(struct protect *p, char name[NAME_MAX + 1], int *r)
{
	size_t start = strspn(p->rest, "/"), n = strcspn(p->rest + start, "/");
	size_t next = start + n + strspn(p->rest + start + n, "/");

	*r = n > NAME_MAX ? -ENAMETOOLONG : 0;
	if (*r < 0)
		return false;
	memcpy(name, p->rest + start, n);
	name[n] = '\0';
	memmove(p->rest, p->rest + next, strlen(p->rest + next) + 1);
	return p->rest[0] == '\0';
}

/* Go to the directory that `done` names. */
static int protect_go_back(struct protect *p)
{
	int fd = sys_openat2(p->ctx->root_fd, *p->done ? p->done : "/",
			     O_PATH | O_DIRECTORY | O_CLOEXEC,
			     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return -errno;
	defs_cleanup_fd(&p->dir_fd);
	p->dir_fd = fd;
	return 0;
}

static int protect_go_up(struct protect *p)
{
	char *slash = strrchr(p->done, '/');

	if (slash)
		*slash = '\0';
	return protect_go_back(p);
}

/* The link is pinned; the walk goes on where it leads. */
static int protect_follow(struct protect *p, int link_fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target));
	size_t rest = strlen(p->rest);

	if (n < 0)
		return -errno;
	if (++p->links > PROTECT_LINKS_MAX)
		return -ELOOP;
	if ((size_t)n + 1 + rest >= PATH_MAX)
		return -ENAMETOOLONG;
	memmove(p->rest + n + (rest > 0), p->rest, rest + 1);
	memcpy(p->rest, target, (size_t)n);
	if (rest > 0)
		p->rest[n] = '/';
	if (target[0] != '/')
		return 0;
	p->done[0] = '\0';
	return protect_go_back(p);
}

static int protect_enter(struct protect *p, const char *name, int *fd)
{
	size_t len = strlen(p->done);

	if (len + 1 + strlen(name) >= sizeof(p->done))
		return -ENAMETOOLONG;
	p->done[len] = '/';
	memcpy(p->done + len + 1, name, strlen(name) + 1);
	defs_cleanup_fd(&p->dir_fd);
	p->dir_fd = take_fd(fd);
	return 0;
}

/* What the walk was for: read-only with all below, and really there. */
static int protect_arrive(const struct protect *p, int fd, struct sbx_err *err)
{
	_autoclose_ int mount = -1, again = -1;
	struct sys_mount want, have;
	int r = mount_over_itself(fd, MOUNT_ATTR_RDONLY, &mount);

	if (r < 0)
		return err_system(err, -r, p->step->dest, "cannot be bound over itself");
	r = path_open_inside(p->ctx->root_fd, p->step->dest, &again);
	if (r < 0 || sys_statx_mount(again, "", &have) < 0 || sys_statx_mount(mount, "", &want) < 0)
		return err_system(err, r < 0 ? -r : errno, p->step->dest,
				  "cannot be found again once it is protected");
	if (have.mount_id != want.mount_id || !have.is_root)
		return err_refuse(err, ESTALE, p->step->dest,
				  "was replaced while it was being protected");
	return PROTECT_DONE;
}

/* One name, which exists. */
static int protect_pass(struct protect *p, const char *name, bool is_last, int *fd,
			struct sbx_err *err)
{
	struct sys_file file;
	int r = sys_statx_file(*fd, "", &file) < 0 ? -errno : 0;

	if (r < 0)
		return err_system(err, -r, p->step->dest, "cannot look at it");
	r = placeholder_adopt(p->ctx->placeholders, &file, err);
	if (r < 0)
		return r;
	if (S_ISLNK(file.mode)) {
		r = protect_pin(p, &file, fd);
		if (r == 0)
			r = protect_follow(p, *fd);
		return r < 0 ? err_system(err, -r, p->step->dest, "cannot pin or follow a link")
			     : PROTECT_GO_ON;
	}
	if (is_last)
		return protect_arrive(p, *fd, err);
	if (!S_ISDIR(file.mode)) {
		if (p->step->within)
			return PROTECT_SKIP;
		return err_system(err, ENOTDIR, p->step->dest, "cannot be followed");
	}
	r = protect_pin(p, &file, fd);
	if (r == 0)
		r = protect_enter(p, name, fd);
	return r < 0 ? err_system(err, -r, p->step->dest, "cannot pin a directory above it")
		     : PROTECT_GO_ON;
}

/* One name. Return: an enum protect_result, or -errno with *err filled. */
static int protect_step(struct protect *p, struct sbx_err *err)
{
	char name[NAME_MAX + 1];
	int r;
	bool is_last = protect_next(p, name, &r);

	if (r < 0)
		return err_system(err, -r, p->step->dest, "cannot be followed");
	if (strcmp(name, "..") == 0)
		r = protect_go_up(p);
	if (r < 0)
		return err_system(err, -r, p->step->dest, "cannot be followed");
	if (is_last && (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)) {
		/* It ends in the directory where we are, which was pinned; now it is protected. */
		return protect_arrive(p, p->dir_fd, err);
	}
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return PROTECT_GO_ON;
	for (int i = 0; i < PROTECT_TRIES; i++) {
		_autoclose_ int fd = openat(p->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			return protect_pass(p, name, is_last, &fd, err);
		if (errno != ENOENT)
			return err_system(err, errno, p->step->dest, "cannot be opened");
		r = protect_make(p, name, is_last, err);
		if (r != PROTECT_GO_ON)
			return r;
	}
	return err_refuse(err, EAGAIN, p->step->dest, "comes and goes while it is being protected");
}

/* Is there what must be, for the step to mean anything? */
static bool protect_has_base(const struct run_context *ctx, const struct plan_step *step)
{
	_autoclose_ int fd = -1;
	struct stat st;

	return !step->within || (path_open_inside(ctx->root_fd, step->within, &fd) == 0 &&
				 fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
}

static int protect_walk(struct protect *p, struct sbx_err *err)
{
	struct sys_mount root;
	int r = protect_go_back(p);

	if (r < 0 || sys_statx_mount(p->ctx->root_fd, "", &root) < 0)
		return err_system(err, r < 0 ? -r : errno, "/", "cannot look at the new root");
	/* A root that was bound has been noted; its names are the host's. */
	p->root_mount = root.mount_id;
	for (size_t i = 0; i < p->ctx->n_binds; i++)
		if (*p->ctx->binds[i].dest == '\0')
			p->root_mount = 0;
	do {
		r = protect_step(p, err);
	} while (r == PROTECT_GO_ON);
	return r < 0 ? r : 0;
}

int step_run_protect(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	struct protect p = {.ctx = ctx, .step = step, .dir_fd = -1};
	int r;

	assert(ctx->placeholders);
	if (strlen(step->dest) >= sizeof(p.rest))
		return err_refuse(err, ENAMETOOLONG, step->dest, "is too long a path");
	if (!protect_has_base(ctx, step))
		return 0;
	r = placeholder_begin(ctx->placeholders, err);
	if (r < 0)
		return r;
	memcpy(p.rest, step->dest, strlen(step->dest) + 1);
	r = protect_walk(&p, err);
	defs_cleanup_fd(&p.dir_fd);
	return r;
}
