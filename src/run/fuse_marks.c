/* SPDX-License-Identifier: MIT */
/*
 * fuse_marks: see fuse_marks.h.
 *
 * fuse-overlayfs takes every name that begins with ".wh." for the mark of one that was removed, and
 * shows neither; ".wh." alone hides all of its directory. For the kernel these are names as any
 * others. It cannot be told not to, so what it is to show is looked through before: names only, by
 * the type that a directory has of each, which takes a small part of the time that the first
 * look of a command at them does.
 *
 * The way is kept as text, so that no depth takes more than one descriptor. What is longer than a
 * path may be, fuse-overlayfs cannot show either; nor what this process, which has its ids and
 * capabilities, cannot open. What is mounted below is shown, and looked through; but not what
 * the kernel makes up, where nobody chooses names.
 *
 * The devices 0/0 by which layers have removed names are no error. Neither driver shows them,
 * they hold nothing, and on a host that keeps containers there are many; apply takes none away
 * (cow/apply_choose.c).
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/fuse_marks.h"
#include "sbx/spec/hints.h"

enum { FUSE_MARKS_TELL_MS = 1000, FUSE_MARKS_STEP_BYTES = 64 * 1024 };

static const char marks_name[] = ".wh.";

/* Directories that are to be looked into: their paths, each ended by a NUL, the next one last. */
struct marks_ways {
	char *text; /* owned */
	size_t len, size;
};

struct marks_walk {
	const struct fuse_marks *marks;
	int root_fd; /* borrowed */
	struct marks_ways ways;
	int64_t told_ms;
	char path[PATH_MAX]; /* of the directory that is looked into; "" is the layer's own */
	struct sbx_err *err;
};

/* ---- the way ---- */

static int marks_push(struct marks_walk *w, const char *name)
{
	struct marks_ways *ways = &w->ways;
	size_t dir = strlen(w->path), need = dir + strlen(name) + 2;

	if (need > sizeof(w->path))
		return 0;
	if (ways->len + need > ways->size) {
		size_t size = ways->size * 2 + FUSE_MARKS_STEP_BYTES;
		char *grown = realloc(ways->text, size);

		if (!grown)
			return err_oom(w->err);
		ways->text = grown;
		ways->size = size;
	}
	ways->len += 1 + (size_t)snprintf(ways->text + ways->len, need, "%s%s%s", w->path,
					  dir ? "/" : "", name);
	return 0;
}

/* Return: false where there is none left. */
static bool marks_pop(struct marks_walk *w)
{
	const char *text = w->ways.text, *before;
	size_t start;

	if (w->ways.len == 0)
		return false;
	before = memrchr(text, '\0', w->ways.len - 1);
	start = before ? (size_t)(before - text) + 1 : 0;
	str_copy(w->path, sizeof(w->path), text + start);
	w->ways.len = start;
	return true;
}

/* ---- refusals ---- */

static void marks_name_part(const char *name, struct str_buf *out)
{
	if (name[0] && out->len && out->data[out->len - 1] != '/')
		str_buf_puts(out, "/");
	str_buf_puts(out, name);
}

static void marks_name_it(const struct marks_walk *w, const char *name, struct str_buf *out)
{
	marks_name_part(w->marks->layer, out);
	marks_name_part(w->path, out);
	marks_name_part(name, out);
}

static int marks_refuse_name(struct marks_walk *w, const char *name)
{
	char room[sizeof(w->err->path)];
	struct str_buf path = STR_BUF_ON_STACK(room);
	int r;

	marks_name_it(w, name, &path);
	r = err_refuse(
		w->err, EUCLEAN, path.data,
		"fuse-overlayfs takes a name that begins with .wh. for the mark of a removed "
		"file, and would show neither");
	hint_add(w->err, w->marks->kernel_may ? HINT_MARK_KERNEL : HINT_MARK);
	return r;
}

static int marks_refuse_attribute(struct marks_walk *w, const char *attribute)
{
	char room[sizeof(w->err->path)];
	struct str_buf path = STR_BUF_ON_STACK(room);
	int r;

	marks_name_it(w, "", &path);
	r = err_refuse(w->err, EUCLEAN, path.data,
		       "has the attribute %s, for which fuse-overlayfs would not show what layers "
		       "below have there",
		       attribute);
	hint_add(w->err, w->marks->kernel_may ? HINT_MARK_KERNEL : HINT_MARK);
	return r;
}

/* ---- one directory ---- */

static int marks_fail(struct marks_walk *w, int number)
{
	char room[sizeof(w->err->path)];
	struct str_buf path = STR_BUF_ON_STACK(room);

	marks_name_it(w, "", &path);
	return err_system(w->err, number, path.data,
			  "cannot be looked through for marks of fuse-overlayfs");
}

static int marks_check_attributes(struct marks_walk *w, int fd)
{
	static const char *const attributes[] = {"user.fuseoverlayfs.opaque",
						 "trusted.overlay.opaque"};

	if (!w->marks->among_others)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		ssize_t n = fgetxattr(fd, attributes[i], NULL, 0);

		if (n > 0)
			return marks_refuse_attribute(w, attributes[i]);
		if (n < 0 && errno != ENODATA && errno != ENOTSUP)
			return marks_fail(w, errno);
	}
	return 0;
}

static int marks_check_entry(struct marks_walk *w, int fd, const struct dirent *e)
{
	struct stat st;

	if (str_starts_with(e->d_name, marks_name))
		return marks_refuse_name(w, e->d_name);
	if (path_is_dots(e->d_name))
		return 0;
	if (e->d_type == DT_UNKNOWN
		    ? fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)
		    : e->d_type != DT_DIR)
		return 0;
	return marks_push(w, e->d_name);
}

static bool marks_are_made_up(const struct statfs *fs)
{
	static const long kinds[] = {PROC_SUPER_MAGIC,	  SYSFS_MAGIC,	     CGROUP_SUPER_MAGIC,
				     CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,     TRACEFS_MAGIC,
				     SECURITYFS_MAGIC,	  DEVPTS_SUPER_MAGIC};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((long)fs->f_type == kinds[i])
			return true;
	return false;
}

/* What cannot be opened for these reasons, fuse-overlayfs cannot open either. */
static bool marks_are_closed(int number)
{
	return number == EACCES || number == ENOENT || number == ENOTDIR || number == ELOOP ||
	       number == EIO || number == ESTALE || number == ENOTCONN;
}

static int marks_read(struct marks_walk *w, DIR *dir)
{
	const struct dirent *e;
	int r = marks_check_attributes(w, dirfd(dir));

	while (r == 0 && (errno = 0, e = readdir(dir)))
		r = marks_check_entry(w, dirfd(dir), e);
	if (r == 0 && errno && !marks_are_closed(errno))
		return marks_fail(w, errno);
	return r;
}

static int marks_look_into(struct marks_walk *w)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = sys_openat2(w->root_fd, w->path[0] ? w->path : ".", flags,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct statfs fs;
	DIR *dir;
	int r;

	if (fd < 0)
		return marks_are_closed(errno) ? 0 : marks_fail(w, errno);
	r = fstatfs(fd, &fs) < 0 ? marks_fail(w, errno) : 0;
	if (r < 0 || marks_are_made_up(&fs)) {
		close(fd);
		return r;
	}
	dir = fd_open_dir(&fd);
	if (!dir)
		return marks_fail(w, errno);
	r = marks_read(w, dir);
	(void)closedir(dir);
	return r;
}

static int marks_tell(struct marks_walk *w)
{
	int64_t now_ms = clock_now_ms();
	int r;

	if (now_ms - w->told_ms < FUSE_MARKS_TELL_MS)
		return 0;
	w->told_ms = now_ms;
	r = w->marks->go_on(w->marks->arg);
	return r < 0 ? err_system(w->err, -r, NULL, "cannot tell the monitor of fuse-overlayfs")
		     : 0;
}

/**
 * Look through a layer.
 * @dir_fd: borrowed; as fuse-overlayfs will be shown it
 *
 * Return: 0, or -errno with *err filled (EUCLEAN: there is a mark).
 */
int fuse_marks_check(int dir_fd, const struct fuse_marks *marks, struct sbx_err *err)
{
	struct marks_walk w = {
		.marks = marks, .root_fd = dir_fd, .told_ms = clock_now_ms(), .err = err};
	int r;

	assert(dir_fd >= 0 && marks->layer && marks->go_on);
	do {
		r = marks_look_into(&w);
		if (r == 0)
			r = marks_tell(&w);
	} while (r == 0 && marks_pop(&w));
	free(w.ways.text);
	return r;
}
