/* SPDX-License-Identifier: MIT */
/*
 * fuse_maker: start one fuse-overlayfs, and take the mount that it makes.
 *
 * Theory of operation
 *
 * The maker joins the sandbox's user namespace, so that the helper sees the sandbox's
 * ids and may mount, and makes a mount namespace of its own, which is a copy of the host's: the
 * layers are there, and nothing of the sandbox is kept alive by it. Of that copy a root is made
 * with what the helper needs and no more:
 *
 *     /0, /1, ...      the layers, read-only, with what is mounted below them
 *     /rw              the directory above the upper layer and the place to work in,
 *     /upper, /work    links into it (or, with --tmp-overlay, directories)
 *     /mount           where fuse-overlayfs mounts itself
 *     /helper          the program; /usr and its like, /proc, /dev/fuse and /dev/null
 *
 * So no name that the caller chose is part of an option, in which a colon, a comma and a
 * backslash mean something. A helper that follows a link which the command has made, or that
 * is talked into something, finds nothing of the host but the layers, can write to the upper
 * one only, and has no network.
 *
 * The helper is a sibling of the maker and so a child of the monitor, which owns it. When it
 * has mounted and answers, the maker clones the mount, takes the original away, and sends
 * the clone: the only place where the mount is then is the sandbox, and with the
 * sandbox's end the helper sees the end of its work and ends too, everything being written.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/fuse_maker.h"
#include "sbx/run/fuse_marks.h"
#include "sbx/run/handshake.h"
#include "sbx/run/mount.h"
#include "sbx/run/overlay.h"

enum { FUSE_WORDS_BYTES = 4096, FUSE_POLL_MS = 1000 };

static const char fuse_work_name[] = "fuse-overlayfs"; /* below WORKDIR */

/* Of the helper's root. */
static const char fuse_program[] = "/helper";
static const char fuse_mount_point[] = "/mount";

/* The root that is being made for the helper. */
struct fuse_place {
	int host_fd; /* owned; the root of the copy of the host's mounts */
	int fd;	     /* owned; of the tmpfs that becomes the root */
	uint64_t id; /* of its mount */
};

/* What it has on top of what is read. */
static enum plan_layers_top fuse_top_kind(const struct fuse_maker *m)
{
	return m->alone ? m->step->layers->top : PLAN_LAYERS_RO;
}

/* ---- namespaces ---- */

static int fuse_enter(const struct fuse_maker *m, struct sbx_err *err)
{
	const struct mount_attr slave = {.propagation = MS_SLAVE};
	bool joins = (m->plan->namespaces & CLONE_NEWUSER) || m->plan->parent_userns_fd >= 0;

	if (joins && setns(m->init_pidfd, CLONE_NEWUSER) < 0)
		return err_system(err, errno, NULL, "cannot enter the sandbox's user namespace");
	/* Which may have cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, errno, NULL,
				  "cannot ask for a signal at the monitor's death");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_system(err, errno, NULL, "cannot make namespaces for fuse-overlayfs");
	if (!joins && sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave) < 0)
		return err_system(err, errno, "/", "cannot keep mounts from the host");
	return 0;
}

/* ---- what would not be shown ---- */

/* The monitor waits for who says nothing no longer than for any helper. */
static int fuse_tell_looks(void *arg)
{
	const struct fuse_maker *m = arg;

	return handshake_send(m->sock_fd, HANDSHAKE_FUSE_LOOKS, 0);
}

static int fuse_check_marks(const struct fuse_maker *m, const char *layer, int dir_fd,
			    bool among_others, struct sbx_err *err)
{
	const struct fuse_marks marks = {.layer = layer,
					 .among_others = among_others,
					 .kernel_may = m->step->layers->kernel_may,
					 .go_on = fuse_tell_looks,
					 .arg = (void *)(uintptr_t)m};

	return fuse_marks_check(dir_fd, &marks, err);
}

/* Has fuse-overlayfs written to it? Then what it left there is meant. */
static bool fuse_is_marked(int dir_fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	return getxattr(path, PLAN_LAYERS_FUSE_MARK, NULL, 0) >= 0;
}

/*
 * Where there are several layers, the marks that both drivers know say what the upper ones have
 * removed, and are meant: so an upper layer is made a lower one.
 */
static int fuse_check_lower(const struct fuse_maker *m, const int *trees, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;
	int r = 0;

	for (size_t i = 0; i < layers->n_lower && r == 0; i++)
		if (layers->is_session || !fuse_is_marked(trees[i]))
			r = fuse_check_marks(m, layers->lower[i], trees[i],
					     !layers->is_session && layers->n_lower > 1, err);
	return r;
}

/* ---- the layers, cloned ---- */

static int fuse_clone_lower(const struct fuse_place *place, const char *path, int *ret_tree,
			    struct sbx_err *err)
{
	const uint64_t attrs =
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_autoclose_ int fd = -1;
	int r = overlay_open_layer(place->host_fd, path, OVERLAY_LOWER, &fd, err);

	if (r < 0)
		return r;
	r = mount_clone(fd, "", attrs, ret_tree);
	return r < 0 ? err_system(err, -r, path, "cannot clone the source's mounts") : 0;
}

/* What is written to: the directory above both, and where they are below that. */
struct fuse_top {
	int upper_fd, work_fd, tree_fd; /* owned */
	char *upper, *work;		/* owned; real paths */
	size_t above;			/* bytes of both that are the directory above */
};

static void fuse_top_finish(struct fuse_top *top)
{
	defs_cleanup_fd(&top->upper_fd);
	defs_cleanup_fd(&top->work_fd);
	defs_cleanup_fd(&top->tree_fd);
	free(top->upper);
	free(top->work);
}

/* How many bytes of two paths are the directory that both are in. */
static size_t fuse_common_dir(const char *a, const char *b)
{
	size_t slash = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			slash = i;
	return slash;
}

static int fuse_open_top(const struct fuse_maker *m, const struct fuse_place *place,
			 struct fuse_top *top, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;
	int r = overlay_open_layer(place->host_fd, layers->upper, OVERLAY_UPPER, &top->upper_fd,
				   err);

	if (r == 0)
		r = overlay_open_layer(place->host_fd, layers->work, OVERLAY_WORK, &top->work_fd,
				       err);
	if (r < 0)
		return r;
	r = mount_name_fd(top->upper_fd, &top->upper);
	if (r == 0)
		r = mount_name_fd(top->work_fd, &top->work);
	if (r < 0)
		return err_system(err, -r, layers->upper, "cannot tell where the layer is");
	r = overlay_check_mount(layers->upper, top->upper_fd, layers->work, top->work_fd, err);
	return r < 0 ? r
		     : overlay_check_apart(layers->work, top->work_fd, layers->upper, top->upper_fd,
					   err);
}

static int fuse_check_overlap(const struct fuse_maker *m, const struct fuse_place *place,
			      const struct fuse_top *top, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;

	/* Where it is covered. */
	for (size_t i = 0; i < layers->n_lower && !layers->holds_session; i++) {
		_autoclose_ int fd = -1;
		const char *lower = layers->lower[i];
		int r = overlay_open_layer(place->host_fd, lower, OVERLAY_LOWER, &fd, err);

		if (r == 0)
			r = overlay_check_apart(layers->upper, top->upper_fd, lower, fd, err);
		if (r == 0)
			r = overlay_check_apart(layers->work, top->work_fd, lower, fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What the clone has at `path` must be the very directory that was opened. */
static int fuse_check_same(int tree_fd, const char *path, int fd, const char *name,
			   struct sbx_err *err)
{
	struct stat want, have;

	if (fstatat(tree_fd, path, &have, AT_SYMLINK_NOFOLLOW) < 0 || fstat(fd, &want) < 0)
		return err_system(err, errno, name, "cannot be found in the clone of its mount");
	if (want.st_dev != have.st_dev || want.st_ino != have.st_ino)
		return err_refuse(err, ESTALE, name, "was moved while its overlay was being made");
	return 0;
}

/*
 * A directory of its own: what the kernel's overlayfs has left of its work can be closed to
 * everybody, and fuse-overlayfs wants to open a directory of the same name.
 */
static int fuse_make_work(const struct fuse_top *top, const char *work, struct sbx_err *err)
{
	struct stat st;

	if (mkdirat(top->work_fd, fuse_work_name, 0700) < 0 && errno != EEXIST)
		return err_system(err, errno, work, "cannot make a directory for fuse-overlayfs");
	if (fstatat(top->work_fd, fuse_work_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_system(err, errno, work, "cannot look at fuse-overlayfs's directory");
	if (!S_ISDIR(st.st_mode))
		return err_refuse(err, ENOTDIR, work, "holds something else called %s",
				  fuse_work_name);
	return 0;
}

/*
 * Leave a mark in the upper layer that it is fuse-overlayfs's: the kernel's overlayfs does not
 * know a directory that was made anew by what that leaves in it. Where there are no
 * attributes, the kernel takes no upper layer.
 */
static int fuse_mark_upper(const struct fuse_top *top, const char *upper, struct sbx_err *err)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", top->upper_fd);
	if (setxattr(path, PLAN_LAYERS_FUSE_MARK, "fuse", strlen("fuse"), 0) < 0 &&
	    errno != EOPNOTSUPP)
		return err_system(err, errno, upper, "cannot be marked as fuse-overlayfs's");
	return 0;
}

/* What somebody else has left in an upper layer that fuse-overlayfs begins to write to. */
static int fuse_check_upper(const struct fuse_maker *m, const struct fuse_top *top,
			    struct sbx_err *err)
{
	struct stat st;

	if (fuse_is_marked(top->upper_fd) ||
	    fstatat(top->work_fd, fuse_work_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return fuse_check_marks(m, m->step->layers->upper, top->upper_fd, false, err);
}

static int fuse_clone_top(const struct fuse_maker *m, const struct fuse_place *place,
			  struct fuse_top *top, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;
	_autoclose_ int fd = -1;
	char above[PATH_MAX];
	int r = fuse_open_top(m, place, top, err);

	if (r == 0)
		r = fuse_check_overlap(m, place, top, err);
	if (r < 0)
		return r;
	top->above = fuse_common_dir(top->upper, top->work);
	(void)snprintf(above, sizeof(above), "%.*s/", (int)top->above, top->upper);
	r = path_open(place->host_fd, above, &fd);
	if (r == 0)
		r = mount_clone(fd, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
				&top->tree_fd);
	if (r < 0)
		return err_system(err, -r, above, "cannot clone the mount of the upper layer");
	r = fuse_check_same(top->tree_fd, top->upper + top->above + 1, top->upper_fd, layers->upper,
			    err);
	if (r == 0)
		r = fuse_check_same(top->tree_fd, top->work + top->above + 1, top->work_fd,
				    layers->work, err);
	if (r == 0)
		r = fuse_check_upper(m, top, err);
	if (r == 0)
		r = fuse_make_work(top, layers->work, err);
	return r < 0 ? r : fuse_mark_upper(top, layers->upper, err);
}

/* ---- the place ---- */

/* On top of the copy's root, which stays what paths are resolved from. */
static int fuse_make_tmpfs(struct fuse_place *place, struct sbx_err *err)
{
	const struct plan_step tmpfs = {.mode = 0755,
					.attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	struct sys_mount what;
	int r = mount_make_tmpfs(&tmpfs, &place->fd, err);

	if (r < 0)
		return r;
	if (sys_move_mount(place->fd, "", place->host_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ||
	    sys_statx_mount(place->fd, "", &what) < 0)
		return err_system(err, errno, "/", "cannot make a root for fuse-overlayfs");
	place->id = what.mount_id;
	return 0;
}

/* A directory in the place, and a mount on it where there is one. */
static int fuse_furnish(const struct fuse_place *place, const char *name, int tree_fd,
			struct sbx_err *err)
{
	if (mkdirat(place->fd, name, 0755) < 0)
		return err_system(err, errno, name, "cannot make a directory for fuse-overlayfs");
	if (tree_fd >= 0 &&
	    sys_move_mount(tree_fd, "", place->fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, name, "cannot show a layer to fuse-overlayfs");
	return 0;
}

static int fuse_link_top(const struct fuse_place *place, const struct fuse_top *top,
			 struct sbx_err *err)
{
	char upper[PATH_MAX + 3], work[PATH_MAX + 32];
	int r = fuse_furnish(place, "rw", top->tree_fd, err);

	if (r < 0)
		return r;
	(void)snprintf(upper, sizeof(upper), "rw/%s", top->upper + top->above + 1);
	(void)snprintf(work, sizeof(work), "rw/%s/%s", top->work + top->above + 1, fuse_work_name);
	if (symlinkat(upper, place->fd, "upper") < 0 || symlinkat(work, place->fd, "work") < 0)
		return err_system(err, errno, NULL, "cannot show a layer to fuse-overlayfs");
	return 0;
}

/* What the program is loaded with, as far as the host has it: directories, and links to them. */
static int fuse_bind_system(const struct fuse_place *place, struct sbx_err *err)
{
	static const char *const names[] = {"usr", "lib",  "lib32", "lib64", "libx32",
					    "bin", "sbin", "nix",   "gnu"};
	const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autoclose_ int tree = -1;
		char target[PATH_MAX];
		ssize_t n = readlinkat(place->host_fd, names[i], target, sizeof(target) - 1);
		int r;

		if (n > 0) {
			target[n] = '\0';
			if (symlinkat(target, place->fd, names[i]) < 0)
				return err_system(err, errno, names[i],
						  "cannot make a link for fuse-overlayfs");
			continue;
		}
		if (errno != EINVAL && errno != ENOENT)
			return err_system(err, errno, names[i], "cannot look at the host's link");
		r = errno == ENOENT ? -ENOENT : mount_clone(place->host_fd, names[i], attrs, &tree);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return err_system(err, -r, names[i], "cannot clone for fuse-overlayfs");
		r = fuse_furnish(place, names[i], tree, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One file of the host. */
static int fuse_bind_file(const struct fuse_place *place, const char *source, const char *name,
			  uint64_t attrs, struct sbx_err *err)
{
	_autoclose_ int fd = -1, tree = -1;
	int r = path_open(place->host_fd, source, &fd);

	if (r == 0)
		r = mount_clone(fd, "", attrs, &tree);
	if (r < 0)
		return err_system(err, -r, source, "cannot clone for fuse-overlayfs");
	if (mknodat(place->fd, name, S_IFREG | 0444, 0) < 0 ||
	    sys_move_mount(tree, "", place->fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, source, "cannot show to fuse-overlayfs");
	return 0;
}

static int fuse_bind_programs(const struct fuse_maker *m, const struct fuse_place *place,
			      struct sbx_err *err)
{
	const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
	_autoclose_ int proc = -1;
	int r = fuse_bind_system(place, err);

	if (r == 0)
		r = fuse_bind_file(place, m->plan->fuse_overlayfs, fuse_program + 1,
				   attrs | MOUNT_ATTR_NODEV, err);
	if (r == 0)
		r = fuse_furnish(place, "dev", -1, err);
	if (r == 0)
		r = fuse_bind_file(place, "/dev/fuse", "dev/fuse", attrs | MOUNT_ATTR_NOEXEC, err);
	if (r == 0)
		r = fuse_bind_file(place, "/dev/null", "dev/null", attrs | MOUNT_ATTR_NOEXEC, err);
	if (r < 0)
		return r;
	r = mount_clone(place->host_fd, "proc", attrs | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			&proc);
	if (r < 0)
		return err_system(err, -r, "/proc", "cannot clone for fuse-overlayfs");
	return fuse_furnish(place, "proc", proc, err);
}

/* As in step_run_pivot(): the host's tree goes away without ever having had a name. */
static int fuse_pivot(const struct fuse_place *place, struct sbx_err *err)
{
	if (fchdir(place->fd) < 0 || sys_pivot_root(".", ".") < 0 || sys_umount_detach(".") < 0 ||
	    chdir("/") < 0)
		return err_system(err, errno, "/", "cannot enter the root of fuse-overlayfs");
	return 0;
}

/*
 * Lay something empty over a mount below the lower layer: fuse-overlayfs is not to look
 * into that, and takes a file that is mounted in two places for one with two names. What is not
 * there, or lies below another cover, or cannot be reached from here, shows nothing anyway.
 */
static int fuse_cover(const struct fuse_place *place, int lower_fd, const char *path,
		      struct sbx_err *err)
{
	const uint64_t attrs =
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	const struct plan_step empty = {.mode = 0755, .nr_inodes = 1, .attrs = attrs};
	_autoclose_ int at = -1, cover = -1;
	struct stat st;
	int r = path_open_inside(lower_fd, path, &at);

	if (r == -ENOENT || r == -EACCES)
		return 0;
	if (r < 0 || fstat(at, &st) < 0)
		return err_system(err, r < 0 ? -r : errno, path,
				  "cannot be covered for fuse-overlayfs");
	r = S_ISDIR(st.st_mode) ? mount_make_tmpfs(&empty, &cover, err)
				: mount_clone(place->host_fd, "dev/null", attrs, &cover);
	if (r < 0)
		return S_ISDIR(st.st_mode)
			       ? r
			       : err_system(err, -r, "/dev/null", "cannot clone for a cover");
	/* ENOENT: the file under a mount has been removed, and with it the name. */
	if (sys_move_mount(cover, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		    0 &&
	    errno != ENOENT)
		return err_system(err, errno, path, "cannot be covered for fuse-overlayfs");
	return 0;
}

static int fuse_furnish_layers(const struct fuse_maker *m, const struct fuse_place *place,
			       const int *trees, const struct fuse_top *top, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;
	enum plan_layers_top kind = fuse_top_kind(m);
	int r = fuse_furnish(place, fuse_mount_point + 1, -1, err);

	for (size_t i = 0; i < layers->n_lower && r == 0; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "%zu", i);
		r = fuse_furnish(place, name, trees[i], err);
	}
	for (size_t i = 0; i < layers->n_covers && r == 0; i++)
		r = fuse_cover(place, trees[layers->n_lower - 1], layers->covers[i], err);
	if (r == 0)
		r = fuse_check_lower(m, trees, err);
	if (r == 0 && kind == PLAN_LAYERS_HOST)
		r = fuse_link_top(place, top, err);
	if (r == 0 && kind == PLAN_LAYERS_TMP)
		r = fuse_furnish(place, "upper", -1, err);
	if (r == 0 && kind == PLAN_LAYERS_TMP)
		r = fuse_furnish(place, "work", -1, err);
	return r;
}

/* The layers are cloned before anything lies on the root: one of them may be the root. */
static int fuse_make_place(const struct fuse_maker *m, struct fuse_place *place, int *trees,
			   struct fuse_top *top, struct sbx_err *err)
{
	const struct plan_layers *layers = m->step->layers;
	int r = 0;

	place->host_fd = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place->host_fd < 0)
		return err_system(err, errno, "/", "cannot open the host's root");
	for (size_t i = 0; i < layers->n_lower && r == 0; i++)
		r = fuse_clone_lower(place, layers->lower[i], &trees[i], err);
	if (r == 0 && fuse_top_kind(m) == PLAN_LAYERS_HOST)
		r = fuse_clone_top(m, place, top, err);
	if (r == 0)
		r = fuse_make_tmpfs(place, err);
	if (r == 0)
		r = fuse_furnish_layers(m, place, trees, top, err);
	if (r == 0)
		r = fuse_bind_programs(m, place, err);
	return r < 0 ? r : fuse_pivot(place, err);
}

/* ---- the helper ---- */

static noreturn void fuse_fail(const char *what)
{
	const char *why = strerror(errno);

	(void)io_write_all(STDERR_FILENO, what, strlen(what));
	(void)io_write_all(STDERR_FILENO, ": ", 2);
	(void)io_write_all(STDERR_FILENO, why, strlen(why));
	_exit(127);
}

/* All that the user namespace gives; execve(2) would take it from whoever is not root there. */
static int fuse_keep_caps(void)
{
	uint64_t all;

	if (sys_capget(&all) < 0 || sys_capset(all, all, all) < 0)
		return -errno;
	for (int cap = 0; cap < 64; cap++)
		if ((all & (UINT64_C(1) << cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	return 0;
}

static noreturn void fuse_helper_main(const struct fuse_maker *m, const char *options)
{
	static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	const char *const argv[] = {m->plan->fuse_overlayfs, "-f", "-o", options,
				    fuse_mount_point,	     NULL};

	/* The monitor may have died before that, and nobody is left to own this. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != m->monitor)
		_exit(127);
	if (fuse_keep_caps() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fuse_fail("cannot be given its privileges");
	(void)sigprocmask(SIG_SETMASK, m->sigmask, NULL);
	(void)execve(fuse_program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	fuse_fail("cannot be executed");
}

static int fuse_options(const struct fuse_maker *m, struct str_buf *out)
{
	const struct plan_layers *layers = m->step->layers;

	/* For commands of another id than the caller's; the kernel lets in nobody from outside. */
	str_buf_puts(out, "allow_other,lowerdir=");
	for (size_t i = layers->n_lower; i > 0; i--)
		str_buf_printf(out, "/%zu%s", i - 1, i > 1 ? ":" : "");
	/*
	 * By default the kernel is told to remember names and numbers for good. Of what is written,
	 * what was in a directory that is removed and made anew is then often found there again.
	 * Of what is read, a file that the host makes longer meanwhile would be cut off; that the
	 * kernel keeps what is written to files back has it know their sizes better, too.
	 */
	str_buf_puts(out, fuse_top_kind(m) == PLAN_LAYERS_RO
				  ? ",timeout=1,writeback=0"
				  : ",timeout=0,upperdir=/upper,workdir=/work");
	return out->cut ? -E2BIG : 0;
}

/* A sibling of this process, and so the monitor's child. */
static int fuse_spawn(const struct fuse_maker *m, struct sbx_err *err)
{
	char room[FUSE_WORDS_BYTES];
	struct str_buf options = STR_BUF_ON_STACK(room);
	_autoclose_ int pidfd = -1;
	struct clone_args args = {.flags = CLONE_PARENT | CLONE_PIDFD,
				  .pidfd = (uint64_t)(uintptr_t)&pidfd};
	pid_t pid;
	int r = fuse_options(m, &options);

	if (r < 0)
		return err_refuse(err, E2BIG, NULL, "there are too many layers");
	pid = (pid_t)sys_clone3(&args);
	if (pid == 0)
		fuse_helper_main(m, options.data);
	if (pid < 0)
		return err_system(err, errno, m->plan->fuse_overlayfs, "cannot start");
	r = handshake_send_fd(m->sock_fd, HANDSHAKE_FUSE_HELPER, pidfd);
	return r < 0 ? err_system(err, -r, NULL, "cannot tell the monitor of fuse-overlayfs") : 0;
}

/* ---- its mount ---- */

/* Is something mounted on the mount point? Return: 1, 0 or -errno. */
static int fuse_is_mounted(const struct fuse_place *place)
{
	struct sys_mount what;

	if (sys_statx_mount(AT_FDCWD, fuse_mount_point, &what) < 0)
		return -errno;
	return what.mount_id != place->id;
}

/*
 * The kernel wakes who polls a mount table when it changes (proc(5)). That the helper may
 * end, or take too long, is the monitor's affair, which ends this process then.
 */
static int fuse_await_mount(const struct fuse_place *place, struct sbx_err *err)
{
	_autoclose_ int table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	int r;

	if (table < 0)
		return err_system(err, errno, "/proc/self/mountinfo", "cannot watch for a mount");
	while ((r = fuse_is_mounted(place)) == 0) {
		struct pollfd pfd = {.fd = table, .events = POLLPRI};

		if (poll(&pfd, 1, FUSE_POLL_MS) < 0 && errno != EINTR)
			return err_system(err, errno, NULL, "cannot watch for a mount");
	}
	return r < 0 ? err_system(err, -r, NULL, "cannot look at fuse-overlayfs's mount") : 0;
}

/* It answers: what was opened is closed again. */
static int fuse_ask(struct sbx_err *err)
{
	_autoclose_ int fd = open(fuse_mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_system(err, errno, NULL, "fuse-overlayfs does not answer") : 0;
}

static int fuse_take_mount(const struct fuse_maker *m, struct sbx_err *err)
{
	/* A layer of the kernel's overlay shows no attributes of its own. */
	const uint64_t attrs = m->alone ? m->step->attrs
					: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
						  MOUNT_ATTR_NOEXEC;
	_autoclose_ int mount = -1;
	int r = fuse_ask(err);

	if (r < 0)
		return r;
	r = mount_clone(AT_FDCWD, fuse_mount_point, attrs, &mount);
	if (r == 0 && sys_umount_detach(fuse_mount_point) < 0)
		r = -errno;
	if (r < 0)
		return err_system(err, -r, NULL, "cannot take the mount of fuse-overlayfs");
	r = handshake_send_fd(m->sock_fd, HANDSHAKE_FUSE_MOUNT, mount);
	if (r == 0)
		return 0;
	/* It goes with this process: the helper is not to end, well, before that has told why. */
	(void)take_fd(&mount);
	return err_system(err, -r, NULL, "cannot hand over the mount of fuse-overlayfs");
}

/* ---- the process ---- */

static int fuse_make(const struct fuse_maker *m, struct sbx_err *err)
{
	struct fuse_place place = {.host_fd = -1, .fd = -1};
	struct fuse_top top = {.upper_fd = -1, .work_fd = -1, .tree_fd = -1};
	size_t n = m->step->layers->n_lower;
	_autofree_ int *trees = calloc(n, sizeof(*trees));
	int r;

	if (!trees)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		trees[i] = -1;
	r = fuse_enter(m, err);
	if (r == 0)
		r = fuse_make_place(m, &place, trees, &top, err);
	if (r == 0)
		r = fuse_spawn(m, err);
	if (r == 0)
		r = fuse_await_mount(&place, err);
	if (r == 0)
		r = fuse_take_mount(m, err);
	for (size_t i = 0; i < n; i++)
		defs_cleanup_fd(&trees[i]);
	fuse_top_finish(&top);
	defs_cleanup_fd(&place.host_fd);
	defs_cleanup_fd(&place.fd);
	return r;
}

/* What is the monitor's stays behind, and what the terminal sends is not for the helper. */
static int fuse_leave_monitor(const struct fuse_maker *m, struct sbx_err *err)
{
	const int keep[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, m->sock_fd, m->init_pidfd};
	_autoclose_ int opened = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* A copy onto itself would close on exec. */
	int null_fd = opened < 0 ? -1 : fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (null_fd < 0)
		return err_system(err, errno, "/dev/null", "cannot open");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, errno, NULL,
				  "cannot ask for a signal at the monitor's death");
	if (getppid() != m->monitor)
		_exit(ERR_EXIT_FAILED);
	if (setsid() < 0)
		return err_system(err, errno, NULL, "cannot start a session for fuse-overlayfs");
	(void)dup2(m->error_fd, STDERR_FILENO);
	(void)dup2(null_fd, STDIN_FILENO);
	(void)dup2(null_fd, STDOUT_FILENO);
	(void)take_fd(&opened);
	fd_close_all_but(keep, ARRAY_SIZE(keep));
	return 0;
}

/* The whole life. What went wrong is told to the monitor, as by PID 1. */
/* What is made from here on is counted apart from the monitor. */
static int fuse_enter_cgroup(const struct fuse_maker *m, struct sbx_err *err)
{
	if (m->cgroup_fd < 0 || write(m->cgroup_fd, "0", 1) == 1)
		return 0;
	return err_system(err, errno, NULL, "cannot enter the helpers' cgroup");
}

noreturn void fuse_maker_main(const struct fuse_maker *m)
{
	struct sbx_err err;

	(void)umask(0);
	if (fuse_enter_cgroup(m, &err) < 0 || fuse_leave_monitor(m, &err) < 0 ||
	    fuse_make(m, &err) < 0) {
		(void)handshake_send_err(m->sock_fd, &err);
		_exit(ERR_EXIT_FAILED);
	}
	_exit(0);
}
