/* SPDX-License-Identifier: MIT */
/*
 * mount: the steps that mount something, and the pieces they are made of.
 *
 * Theory of operation
 *
 * Nothing here uses mount(2). A filesystem is made with fsopen, fsconfig and
 * fsmount, a part of the host's tree is cloned with open_tree; either is a mount
 * that is nowhere yet, whose attributes are set with mount_setattr while nobody
 * can see it. Only then move_mount puts it on its place, given by descriptor too.
 * So a bind is never writable for a moment before it becomes read-only, submounts
 * and the mounts covered by others get their attributes with one call
 * (AT_RECURSIVE), and no path is looked up twice.
 *
 * Order of one bind: open the source, clone, set attributes, find or make the
 * destination, place. A source that does not exist leaves no destination behind.
 * Most sources are a name in a directory that the last one was in too: then the
 * directory is what is open, and the clone is made by that name, not following a
 * link. Only a link, the root and a descriptor need the long way.
 *
 * fsopen & co.: Linux 5.2; mount_setattr: 5.12.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/steps.h"

enum { MOUNT_DIR_MODE = 0755, MOUNT_FILE_MODE = 0444 };

/**
 * Make a filesystem that is mounted nowhere yet.
 * @attrs: MOUNT_ATTR_*
 *
 * Return: 0, or -errno with *err filled.
 */
int mount_new(const char *type, const struct mount_option *options, size_t n_options,
	      uint64_t attrs, int *ret_fd, struct sbx_err *err)
{
	_autoclose_ int fs = sys_fsopen(type);
	int fd;

	if (fs < 0)
		return err_system(err, errno, NULL, "cannot open a new %s", type);
	/* The name that df(1) and mountinfo show in the place of a device. */
	if (sys_fsconfig_string(fs, "source", type) < 0)
		return err_system(err, errno, NULL, "%s does not take a source", type);
	for (size_t i = 0; i < n_options; i++)
		if (sys_fsconfig_string(fs, options[i].key, options[i].value) < 0)
			return err_system(err, errno, NULL, "%s does not take the option %s%s%s",
					  type, options[i].key, options[i].value ? "=" : "",
					  options[i].value ? options[i].value : "");
	if (sys_fsconfig_create(fs) < 0)
		return err_system(err, errno, NULL, "cannot create a new %s", type);
	fd = sys_fsmount(fs, attrs);
	if (fd < 0)
		return err_system(err, errno, NULL, "cannot mount a new %s", type);
	*ret_fd = fd;
	return 0;
}

/* What went wrong above a destination, in words. */
static int mount_blame_parent(int r, const char *dest, struct sbx_err *err)
{
	if (r == -ENOTDIR)
		return err_refuse(err, ENOTDIR, dest,
				  "something above the destination is not a directory");
	return err_system(err, -r, dest, "cannot make what is above the destination");
}

/* The same of the destination itself. */
static int mount_blame_target(int r, const char *dest, enum mount_target target,
			      struct sbx_err *err)
{
	if (r == -ENOTDIR && target == MOUNT_TARGET_DIR)
		return err_refuse(err, ENOTDIR, dest, "the destination is not a directory");
	if (r == -EISDIR)
		return err_refuse(err, EISDIR, dest,
				  "the destination is a directory, the source is not");
	return err_system(err, -r, dest, "cannot open or make the destination%s",
			  target == MOUNT_TARGET_DIR ? "" : ", a file");
}

/* Put a mount on what is there already, or what a link there leads to. */
static int mount_place_on(const struct run_context *ctx, int mount_fd, const struct plan_step *step,
			  enum mount_target target, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r;

	if (target == MOUNT_TARGET_DIR)
		r = path_make_dir(ctx->root_fd, step->dest, MOUNT_DIR_MODE, step->parent_mode, &fd);
	else
		r = path_make_file(ctx->root_fd, step->dest, MOUNT_FILE_MODE, step->parent_mode,
				   &fd);
	if (r < 0)
		return mount_blame_target(r, step->dest, target, err);
	if (sys_move_mount(mount_fd, "", fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, errno, step->dest, "cannot mount at the destination");
	return 0;
}

/**
 * Put a mount on its place inside the new root: the step's destination.
 * @mount_fd: borrowed
 * @target:   what a missing destination is made as
 *
 * What this makes itself it uses by name, which saves opening it: move_mount
 * does not follow a link that somebody might put there instead.
 *
 * Return: 0, or -errno with *err filled.
 */
int mount_place(const struct run_context *ctx, int mount_fd, const struct plan_step *step,
		enum mount_target target, struct sbx_err *err)
{
	_autopathdir_ struct path_dir dir = PATH_DIR_NONE;
	const char *name;
	int r;

	assert(ctx->root_fd >= 0);
	r = path_make_parent(ctx->root_fd, step->dest, step->parent_mode, &dir, &name);
	if (r == -EINVAL)
		return mount_place_on(ctx, mount_fd, step, target, err);
	if (r < 0)
		return mount_blame_parent(r, step->dest, err);
	if (target == MOUNT_TARGET_DIR)
		r = mkdirat(dir.fd, name, MOUNT_DIR_MODE);
	else
		r = mknodat(dir.fd, name, S_IFREG | MOUNT_FILE_MODE, 0);
	if (r < 0 && errno == EEXIST)
		return mount_place_on(ctx, mount_fd, step, target, err);
	if (r < 0)
		return mount_blame_target(-errno, step->dest, target, err);
	if (sys_move_mount(mount_fd, "", dir.fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, step->dest, "cannot mount at the destination");
	return 0;
}

/* mount_new() and mount_place() for a step; attributes and destination are the step's. */
int mount_new_at(const struct run_context *ctx, const char *type,
		 const struct mount_option *options, size_t n_options, const struct plan_step *step,
		 struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = mount_new(type, options, n_options, step->attrs, &fd, err);

	if (r < 0)
		return r;
	return mount_place(ctx, fd, step, MOUNT_TARGET_DIR, err);
}

/* Set attributes on a clone and on every mount below it. Return: 0, or -errno. */
static int mount_set_attrs(int fd, uint64_t attrs)
{
	const struct mount_attr set = {.attr_set = attrs,
				       /* The three kinds of atime are one field. */
				       .attr_clr =
					       attrs & MOUNT_ATTR_NOATIME ? MOUNT_ATTR__ATIME : 0};

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &set) < 0 ? -errno : 0;
}

/**
 * Clone a mount and all below it, and set attributes on every one of them.
 * @path: below @dir_fd; "" for what dir_fd itself is
 *
 * Return: 0, or -errno.
 */
int mount_clone(int dir_fd, const char *path, uint64_t attrs, int *ret_fd)
{
	_autoclose_ int fd = sys_open_tree(
		dir_fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	int r;

	if (fd < 0)
		return -errno;
	r = mount_set_attrs(fd, attrs);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Mount what is open on itself. Return: 0 with a descriptor of the mount, or -errno. */
int mount_over_itself(int fd, uint64_t attrs, int *ret_fd)
{
	_autoclose_ int tree = -1;
	int r = mount_clone(fd, "", attrs, &tree);

	if (r < 0)
		return r;
	if (sys_move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	*ret_fd = take_fd(&tree);
	return 0;
}

/* Where relative sources start: the caller's working directory, which PID 1 still has. */
int mount_open_source(int host_root_fd, const char *source, int *ret_fd)
{
	char cwd[PATH_MAX], full[PATH_MAX];
	int n;

	if (source[0] == '/')
		return path_open(host_root_fd, source, ret_fd);
	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	n = snprintf(full, sizeof(full), "%s/%s", cwd, source);
	if (n < 0 || (size_t)n >= sizeof(full))
		return -ENAMETOOLONG;
	return path_open(host_root_fd, full, ret_fd);
}

/*
 * A descriptor of the caller's belongs to another mount namespace and cannot be
 * cloned. The path it has in /proc is opened anew, and must lead to the very
 * same file.
 */
static int mount_open_fd(const struct run_context *ctx, int fd, int *ret_fd, struct sbx_err *err)
{
	_autoclose_ int again = -1;
	char link[32], path[PATH_MAX];
	struct stat want, have;
	ssize_t n;
	int r;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return err_system(err, errno, link, "cannot tell what the descriptor is");
	path[n] = '\0';
	if (path[0] != '/')
		return err_refuse(err, EINVAL, path, "is no file or directory that can be bound");
	r = path_open(ctx->host_root_fd, path, &again);
	if (r < 0)
		return err_system(err, -r, path, "cannot open the descriptor's path again");
	if (fstat(fd, &want) < 0 || fstat(again, &have) < 0)
		return err_system(err, errno, path, "cannot compare with the descriptor");
	if (want.st_dev != have.st_dev || want.st_ino != have.st_ino)
		return err_refuse(err, ESTALE, path,
				  "is no longer what the descriptor was opened on");
	*ret_fd = take_fd(&again);
	return 0;
}

/* The step's source, open. Return: 1; 0 where it may be missing and is; or -errno. */
static int mount_open_step_source(const struct run_context *ctx, const struct plan_step *step,
				  int *ret_fd, struct sbx_err *err)
{
	int r;

	if (!step->source) {
		r = mount_open_fd(ctx, step->fd, ret_fd, err);
		return r < 0 ? r : 1;
	}
	r = mount_open_source(ctx->host_root_fd, step->source, ret_fd);
	if (r == -ENOENT && (step->flags & PLAN_STEP_TRY))
		return 0;
	return r < 0 ? err_system(err, -r, step->source, "cannot open source") : 1;
}

/* What lies on the host's root itself; -1: nothing yet. */
static int mount_lowest(const struct run_context *ctx)
{
	return ctx->store_fd >= 0	 ? ctx->store_fd
	       : ctx->first_root_fd >= 0 ? ctx->first_root_fd
					 : ctx->root_fd;
}

/* A new root, on top of what is the root now; later steps resolve their paths below it. */
int mount_become_root(struct run_context *ctx, int *mount_fd, struct sbx_err *err)
{
	int below = ctx->root_fd >= 0	 ? ctx->root_fd
		    : ctx->store_fd >= 0 ? ctx->store_fd
					 : ctx->host_root_fd;

	if (sys_move_mount(*mount_fd, "", below, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, errno, "/", "cannot mount the new root");
	if (ctx->root_fd >= 0)
		ctx->n_below++;
	if (ctx->root_fd >= 0 && ctx->first_root_fd < 0)
		ctx->first_root_fd = take_fd(&ctx->root_fd);
	defs_cleanup_fd(&ctx->root_fd);
	ctx->root_fd = take_fd(mount_fd);
	return 0;
}

/* Is it the very root of the host's tree, the mount that the new root lies on? Or -errno. */
static int mount_is_host_root(const struct run_context *ctx, const struct sys_mount *source)
{
	struct sys_mount root;

	if (!source->is_root)
		return false;
	if (sys_statx_mount(ctx->host_root_fd, "", &root) < 0)
		return -errno;
	return source->inode == root.inode && source->mount_id == root.mount_id;
}

/*
 * Clone a source. A clone of the host's root would take the new root along,
 * which is mounted on it, and hide itself below that; what is unbindable
 * is left out of a recursive clone (mount_namespaces(7)).
 */
static int mount_clone_source(const struct run_context *ctx, int source,
			      const struct sys_mount *what, uint64_t attrs, int *ret_tree)
{
	const struct mount_attr leave_out = {.propagation = MS_UNBINDABLE};
	const struct mount_attr take_in = {.propagation = MS_PRIVATE};
	int above = mount_lowest(ctx);
	int r = above < 0 ? 0 : mount_is_host_root(ctx, what);

	if (r < 0)
		return r;
	if (r == 0)
		return mount_clone(source, "", attrs, ret_tree);
	if (sys_mount_setattr(above, "", AT_EMPTY_PATH, &leave_out) < 0)
		return -errno;
	r = mount_clone(source, "", attrs, ret_tree);
	if (sys_mount_setattr(above, "", AT_EMPTY_PATH, &take_in) < 0 && r == 0)
		r = -errno;
	return r;
}

/* The name that /proc has for a descriptor. The caller frees it. */
int mount_name_fd(int fd, char **ret_path)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	/* The root is "", so that a path can be put behind. */
	*ret_path = strdup(n == 1 ? "" : path);
	return *ret_path ? 0 : -ENOMEM;
}

/**
 * Note what is mounted where, for a protect step to come.
 * @mount_fd: the mount, on its place
 * @host_fd:  what it is on the host; -1: nothing
 *
 * Return: 0, or -errno with *err filled.
 */
int mount_note_bind(struct run_context *ctx, int mount_fd, int host_fd, struct sbx_err *err)
{
	struct run_bind *binds, bind = {.dest = NULL};
	int r;

	if (!ctx->plan->protects)
		return 0;
	r = mount_name_fd(mount_fd, &bind.dest);
	if (r == 0 && host_fd >= 0)
		r = mount_name_fd(host_fd, &bind.host);
	binds = r < 0 ? NULL : realloc(ctx->binds, (ctx->n_binds + 1) * sizeof(*binds));
	if (!binds) {
		free(bind.dest);
		free(bind.host);
		return err_system(err, r < 0 ? -r : ENOMEM, NULL,
				  "cannot tell the path of a descriptor");
	}
	ctx->binds = binds;
	binds[ctx->n_binds++] = bind;
	return 0;
}

/* The same of an overlay that a protect step has put over a directory of the host. */
int mount_note_overlay(struct run_context *ctx, int mount_fd, int host_fd, struct sbx_err *err)
{
	int r = mount_note_bind(ctx, mount_fd, host_fd, err);

	if (r == 0)
		ctx->binds[ctx->n_binds - 1].is_overlay = true;
	return r;
}

/* The directory of a source, open; kept, as the next source is likely to be in it too. */
static int mount_open_source_dir(struct run_context *ctx, const char *source, size_t len,
				 int *ret_fd)
{
	char dir[PATH_MAX];
	int r;

	*ret_fd = len == 0 ? ctx->host_root_fd : ctx->source_dir_fd;
	if (len == 0 || (ctx->source_dir && strncmp(source, ctx->source_dir, len + 1) == 0 &&
			 !strchr(ctx->source_dir + len + 1, '/')))
		return 0;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, source, len);
	dir[len] = '\0';
	ctx->source_dir = NULL;
	defs_cleanup_fd(&ctx->source_dir_fd);
	ctx->source_dir_fd = -1;
	r = path_open(ctx->host_root_fd, dir, &ctx->source_dir_fd);
	if (r < 0)
		return r;
	ctx->source_dir = source;
	*ret_fd = ctx->source_dir_fd;
	return 0;
}

/* Is the source a name in a directory, and nothing asked for that takes it open? */
static bool mount_source_is_name(const struct run_context *ctx, const struct plan_step *step)
{
	const char *name;

	if (!step->source || step->source[0] != '/' || path_is_root(step->dest) ||
	    ctx->plan->protects)
		return false;
	name = strrchr(step->source, '/') + 1;
	return *name && !path_is_dots(name);
}

/*
 * The short way for a source that is a name in a directory: cloned by that name, which
 * saves opening it. The clone says what it is; were that a link, it is taken the long
 * way, and so is what cannot be cloned, in case only the link cannot. The host's root
 * has no name in a directory.
 *
 * Return: 1, 0 where the long way is to be taken, or -errno.
 */
static int mount_clone_by_name(struct run_context *ctx, const char *source, uint64_t attrs,
			       struct sys_mount *ret_what, int *ret_tree)
{
	const size_t len = (size_t)(strrchr(source, '/') - source);
	_autoclose_ int tree = -1;
	int dir, r = mount_open_source_dir(ctx, source, len, &dir);

	if (r < 0)
		return r;
	tree = sys_open_tree(dir, source + len + 1,
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
				     AT_SYMLINK_NOFOLLOW);
	if (tree < 0)
		return errno == EINVAL ? 0 : -errno;
	if (sys_statx_mount(tree, "", ret_what) < 0)
		return -errno;
	if (ret_what->is_link)
		return 0;
	r = mount_set_attrs(tree, attrs);
	if (r < 0)
		return r;
	*ret_tree = take_fd(&tree);
	return 1;
}

/* Return: 1 when it is done, 0 where the long way is to be taken, or -errno with *err filled. */
static int mount_bind_by_name(struct run_context *ctx, const struct plan_step *step,
			      struct sbx_err *err)
{
	_autoclose_ int tree = -1;
	struct sys_mount what = {.is_dir = false};
	int r;

	if (!mount_source_is_name(ctx, step))
		return 0;
	r = mount_clone_by_name(ctx, step->source, step->attrs, &what, &tree);
	if (r == -ENOENT && (step->flags & PLAN_STEP_TRY))
		return 1;
	if (r < 0)
		return err_system(err, -r, step->source, "cannot open source");
	if (r == 0)
		return 0;
	r = mount_place(ctx, tree, step, what.is_dir ? MOUNT_TARGET_DIR : MOUNT_TARGET_FILE, err);
	return r < 0 ? r : 1;
}

int step_run_bind(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int source = -1, tree = -1;
	struct sys_mount what;
	int r = mount_bind_by_name(ctx, step, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = mount_open_step_source(ctx, step, &source, err);
	/* Without what was to be the root, the root is empty: some root there must be. */
	if (r == 0 && path_is_root(step->dest) && ctx->root_fd < 0)
		return step_run_root_tmpfs(ctx, step, err);
	if (r <= 0)
		return r;
	if (sys_statx_mount(source, "", &what) < 0)
		return err_system(err, errno, step->source, "cannot look at the source");
	r = mount_clone_source(ctx, source, &what, step->attrs, &tree);
	if (r < 0)
		return err_system(err, -r, step->source, "cannot clone the source's mounts");
	if (path_is_root(step->dest)) {
		if (!what.is_dir)
			return err_refuse(err, ENOTDIR, step->source,
					  "is not a directory, so it cannot be the root");
		r = mount_become_root(ctx, &tree, err);
		return r < 0 ? r : mount_note_bind(ctx, ctx->root_fd, source, err);
	}
	r = mount_place(ctx, tree, step, what.is_dir ? MOUNT_TARGET_DIR : MOUNT_TARGET_FILE, err);
	return r < 0 ? r : mount_note_bind(ctx, tree, source, err);
}

/* Clone a part of the host, for a step that shares instead of making new. */
int mount_clone_host(const struct run_context *ctx, const char *source, uint64_t attrs, int *ret_fd,
		     struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = path_open(ctx->host_root_fd, source, &fd);

	if (r == 0)
		r = mount_clone(fd, "", attrs, ret_fd);
	return r < 0 ? err_system(err, -r, source, "cannot bind the host's") : 0;
}

/* A tmpfs as a step describes it, mounted nowhere yet. */
int mount_make_tmpfs(const struct plan_step *step, int *ret_fd, struct sbx_err *err)
{
	char mode[16], size[32], inodes[32];
	struct mount_option options[3];
	size_t n = 0;

	(void)snprintf(mode, sizeof(mode), "%o", step->mode >= 0 ? (unsigned)step->mode : 0755);
	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)step->size_bytes);
	(void)snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)step->nr_inodes);
	options[n++] = (struct mount_option){"mode", mode};
	if (step->size_bytes)
		options[n++] = (struct mount_option){"size", size};
	if (step->nr_inodes)
		options[n++] = (struct mount_option){"nr_inodes", inodes};
	return mount_new("tmpfs", options, n, step->attrs, ret_fd, err);
}

int step_run_tmpfs(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = mount_make_tmpfs(step, &fd, err);

	if (r < 0)
		return r;
	if (path_is_root(step->dest))
		return mount_become_root(ctx, &fd, err);
	r = mount_place(ctx, fd, step, MOUNT_TARGET_DIR, err);
	return r < 0 ? r : mount_note_bind(ctx, fd, -1, err);
}

int step_run_root_tmpfs(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_step root = {.mode = 0755, .attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	_autoclose_ int fd = -1;
	int r = mount_make_tmpfs(&root, &fd, err);

	(void)step;
	return r < 0 ? r : mount_become_root(ctx, &fd, err);
}

/*
 * Data from descriptors is bound from files that have no name. They need a
 * filesystem that is mounted (only such a mount can be cloned before Linux 6.15)
 * and that no path leads to: this one lies between the host's root and the new one.
 */
int step_run_data_store(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_step store = {.mode = 0700,
					.attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	_autoclose_ int fd = -1;
	int r = mount_make_tmpfs(&store, &fd, err);

	(void)step;
	if (r < 0)
		return r;
	if (sys_move_mount(fd, "", ctx->host_root_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, errno, NULL, "cannot mount the store for data");
	ctx->store_fd = take_fd(&fd);
	ctx->n_below++;
	return 0;
}

/* What the command then lacks is no reason not to start it, but not to be found out by it. */
static void mount_tell_missing(const char *dest)
{
	char room[PATH_MAX + 128];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_printf(&line,
		       "sbx: the root has no %s, so the sandbox's own cannot be put there; an "
		       "empty file is enough\n",
		       dest);
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

/*
 * Put a file over what a root of the user's has, and make nothing there. A link is covered
 * itself: what it leads to can be missing, or be covered by what is mounted later.
 */
static int mount_cover(const struct run_context *ctx, int mount_fd, const char *dest,
		       struct sbx_err *err)
{
	const char *name = strrchr(dest, '/') + 1;
	_autoclose_ int dir_fd = -1;
	char above[PATH_MAX];
	int r;

	if ((size_t)(name - dest) >= sizeof(above))
		return err_system(err, ENAMETOOLONG, dest, "cannot open the destination");
	str_copy(above, (size_t)(name - dest) + 1, dest);
	r = path_open_inside(ctx->root_fd, above, &dir_fd);
	if (r == 0 && sys_move_mount(mount_fd, "", dir_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = -errno;
	if (r == -ENOENT)
		mount_tell_missing(dest);
	return r == 0 || r == -ENOENT
		       ? 0
		       : err_system(err, -r, dest, "cannot mount at the destination");
}

static int mount_write_data(const struct plan_step *step, int fd, struct sbx_err *err)
{
	int r = step->text ? io_write_all(fd, step->text, strlen(step->text))
			   : io_copy(step->fd, fd);

	if (r < 0 && step->text)
		return err_system(err, -r, step->dest, "cannot fill the file");
	return r < 0 ? err_system(err, -r, NULL, "cannot copy the data of descriptor %d", step->fd)
		     : 0;
}

/* What is written to loses its set-id bits (write(2)), so the order can be seen. */
static int mount_fill_data(const struct plan_step *step, int fd, struct sbx_err *err)
{
	bool last = step->flags & PLAN_STEP_WRITE_LAST;
	int r = last ? 0 : mount_write_data(step, fd, err);

	if (r < 0)
		return r;
	if (fchmod(fd, (mode_t)step->mode) < 0)
		return err_system(err, errno, NULL, "cannot set the mode of the data");
	return last ? mount_write_data(step, fd, err) : 0;
}

int step_run_bind_data(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1, tree = -1;
	char name[24];
	int r;

	assert(ctx->store_fd >= 0);
	(void)snprintf(name, sizeof(name), "%u", ctx->n_store++);
	fd = openat(ctx->store_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_system(err, errno, NULL, "cannot make a file for the data");
	r = mount_fill_data(step, fd, err);
	if (r < 0)
		return r;
	r = mount_clone(ctx->store_fd, name, step->attrs, &tree);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot clone the data's mount");
	r = step->flags & PLAN_STEP_TRY ? mount_cover(ctx, tree, step->dest, err)
					: mount_place(ctx, tree, step, MOUNT_TARGET_FILE, err);
	/* Not before: what has no name can no longer be mounted. */
	if (r == 0 && unlinkat(ctx->store_fd, name, 0) < 0)
		r = err_system(err, errno, NULL, "cannot unlink the data's name");
	if (r == 0 && (step->flags & PLAN_STEP_NAMES))
		ctx->names_fd = take_fd(&fd);
	return r;
}

int step_run_mqueue(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	struct stat st;
	int r = mount_new_at(ctx, "mqueue", NULL, 0, step, err);

	/* It is made before it is placed; which of two mistakes is told is the one in the path. */
	if (r < 0 && path_open_inside(ctx->root_fd, step->dest, &fd) == 0 && fstat(fd, &st) == 0 &&
	    !S_ISDIR(st.st_mode))
		return mount_blame_target(-ENOTDIR, step->dest, MOUNT_TARGET_DIR, err);
	return r;
}

int step_run_cgroup(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	return mount_new_at(ctx, "cgroup2", NULL, 0, step, err);
}

int step_run_sys(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r;

	if (step->flags & PLAN_STEP_HOST)
		r = mount_clone_host(ctx, "/sys", step->attrs, &fd, err);
	else
		r = mount_new("sysfs", NULL, 0, step->attrs, &fd, err);
	return r < 0 ? r : mount_place(ctx, fd, step, MOUNT_TARGET_DIR, err);
}

static int mount_is_mount_point(int fd)
{
	struct sys_mount mount;

	return sys_statx_mount(fd, "", &mount) < 0 ? -errno : mount.is_root;
}

int step_run_remount(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct mount_attr set = {.attr_set = step->attrs};
	_autoclose_ int fd = -1;
	int r;

	if (path_is_root(step->dest)) {
		if (sys_mount_setattr(ctx->root_fd, "", AT_EMPTY_PATH, &set) < 0)
			return err_system(err, errno, "/", "cannot make the root read-only");
		return 0;
	}
	r = path_open_inside(ctx->root_fd, step->dest, &fd);
	if (r < 0)
		return err_system(err, -r, step->dest, "cannot open the mount");
	r = mount_is_mount_point(fd);
	if (r < 0)
		return err_system(err, -r, step->dest, "cannot look at the mount");
	if (r == 0)
		return err_refuse(err, EINVAL, step->dest, "is not a mount point");
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &set) < 0)
		return err_system(err, errno, step->dest, "cannot change the mount");
	return 0;
}

/**
 * Make what hides something: an empty read-only directory, or /dev/null.
 * @directory: is what is to be hidden one?
 *
 * Return: 0, or -errno with *err filled.
 */
int mount_make_cover(const struct run_context *ctx, bool directory, int *ret_fd,
		     struct sbx_err *err)
{
	const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	const struct plan_step empty = {
		.mode = 0555, .nr_inodes = 1, .attrs = attrs | MOUNT_ATTR_NODEV};
	int r;

	if (directory)
		return mount_make_tmpfs(&empty, ret_fd, err);
	r = mount_clone(ctx->host_root_fd, "dev/null", attrs, ret_fd);
	return r < 0 ? err_system(err, -r, "/dev/null", "cannot clone for the mask") : 0;
}

/* A file of which nobody takes what is written to it for kept. */
static int mount_make_empty_file(struct run_context *ctx, int *ret_fd, struct sbx_err *err)
{
	const uint64_t attrs =
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
	char name[24];
	int r;

	assert(ctx->store_fd >= 0);
	(void)snprintf(name, sizeof(name), "%u", ctx->n_store++);
	r = mknodat(ctx->store_fd, name, S_IFREG | 0444, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = mount_clone(ctx->store_fd, name, attrs, ret_fd);
	return r < 0 ? err_system(err, -r, NULL, "cannot make an empty file") : 0;
}

int step_run_mask(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int at = -1, cover = -1;
	struct stat st;
	int r = path_open_inside(ctx->root_fd, step->dest, &at);

	if ((r == -ENOENT || r == -ENOTDIR) && (step->flags & PLAN_STEP_TRY))
		return 0;
	/* Nor can the command, which has no id and no capability that PID 1 lacks. */
	if (r == -EACCES && (step->flags & PLAN_STEP_IF_IN_REACH))
		return 0;
	if (r < 0 || fstat(at, &st) < 0)
		return err_system(err, r < 0 ? -r : errno, step->dest,
				  "cannot open what is to be masked");
	r = (step->flags & PLAN_STEP_EMPTY) && !S_ISDIR(st.st_mode)
		    ? mount_make_empty_file(ctx, &cover, err)
		    : mount_make_cover(ctx, S_ISDIR(st.st_mode), &cover, err);
	if (r < 0)
		return r;
	if (sys_move_mount(cover, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return err_system(err, errno, step->dest, "cannot mount the mask");
	return 0;
}

/*
 * Is something still mounted on the new root? Then ".." would lead there from
 * any directory below it. What is there must have the mount id of the root itself.
 */
static bool mount_root_is_covered(void)
{
	struct sys_mount root, up;

	return sys_statx_mount(AT_FDCWD, "/", &root) < 0 ||
	       sys_statx_mount(AT_FDCWD, "/..", &up) < 0 || root.mount_id != up.mount_id;
}

/*
 * The host's tree goes away as a whole: pivot_root(2) with the same directory twice
 * puts the old root on top of the new one, where umount finds it by "." without
 * any name for it ever having existed. What lies on the old root (the store for data,
 * roots that were covered by a later one) is found there first.
 */
int step_run_pivot(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)step;
	if (fchdir(ctx->root_fd) < 0)
		return err_system(err, errno, "/", "cannot enter the new root");
	if (sys_pivot_root(".", ".") < 0)
		return err_system(err, errno, "/", "cannot make it the root");
	for (unsigned i = 0; i < ctx->n_below; i++)
		if (sys_umount_detach(".") < 0)
			return err_system(err, errno, "/", "cannot detach what lay below the root");
	if (sys_umount_detach(".") < 0)
		return err_system(err, errno, "/", "cannot detach the host's root");
	if (mount_root_is_covered())
		return err_refuse(err, EBUSY, "/", "the host's root could not be detached");
	context_finish_setup(ctx);
	return 0;
}
