/* SPDX-License-Identifier: MIT */
/*
 * targets: see targets.h.
 *
 * What is mounted in a view where nothing is has its place in the lowest layer (cow/held.c). Where
 * the session has removed the name, or a directory above it, a lower layer shows nothing: the
 * place is made in the session, with the directories above, instead of the mark that something
 * was removed. As a change that would be an empty file in the place of the host's.
 *
 * So it is noted before the launch what will be made, and undone when the sandbox has ended, or by
 * who opens the session next where that was killed. Only what is empty goes: the command cannot
 * get at what it is mounted over, and where it has put something into a directory above, that is
 * there again, as a directory that it has made anew. Otherwise the mark takes its place again: made
 * beside it and exchanged, so that a name of the host's is not seen again at any moment.
 *
 * So it is with a directory above the place that only the lowest layer has: it comes into the
 * session when the command writes to it, and goes where nothing is left in it.
 *
 * The layer is the command's. It is walked by descriptors, and no link in it is followed. In a
 * directory of another id's, or one that its owner has closed, it is a child that notes and undoes
 * it, in a user namespace with the caller's ids.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/targets.h"
#include "sbx/cow/walk.h"

enum { TARGETS_MAX = 1 << 20 };

static const char targets_fuse_opaque[] = ".wh..wh..opq";

/* One, as noted: "w" or "-", how much of the path there is of the first name made, a space, it. */
struct targets_entry {
	const char *path;
	size_t first;  /* up to the end of the first name that is to be made */
	bool is_white; /* there is a mark in its place */
};

/* The upper layer of a root. */
struct targets_layer {
	const char *path; /* borrowed; the root on the host */
	int root_fd;	  /* owned; the root's directory in the session */
	int upper_fd;	  /* owned */
	bool fuse;
	bool *denied; /* borrowed; something is another id's, or closed to its owner */
};

/* Was it a matter of whose it is? */
static void targets_note_denied(const struct targets_layer *layer)
{
	if (errno == EACCES || errno == EPERM)
		*layer->denied = true;
}

static int targets_open(const struct cow_session *session, size_t root, struct targets_layer *layer)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%zu", root);
	layer->path = session->roots[root].path;
	layer->fuse = session->roots[root].fuse;
	layer->root_fd =
		openat(session->dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (layer->root_fd >= 0)
		layer->upper_fd = openat(layer->root_fd, "upper",
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (layer->upper_fd >= 0)
		return 0;
	targets_note_denied(layer);
	return -errno;
}

static void targets_close(struct targets_layer *layer)
{
	defs_cleanup_fd(&layer->root_fd);
	defs_cleanup_fd(&layer->upper_fd);
}

/* The notes are done with. */
static void targets_forget(const struct cow_session *session)
{
	char name[32];

	for (size_t i = 0; i < session->n_roots; i++) {
		(void)snprintf(name, sizeof(name), "%zu/targets", i);
		(void)unlinkat(session->dir_fd, name, 0);
	}
}

/* ---- before ---- */

static bool targets_has_mark(int fd, const char *attribute)
{
	char value[16];

	return fgetxattr(fd, attribute, value, sizeof(value)) > 0 && value[0] == 'y';
}

/* Is nothing seen through a directory of the layer? */
static bool targets_is_opaque(const struct targets_layer *layer, int fd)
{
	struct stat st;

	return targets_has_mark(fd, "user.overlay.opaque") ||
	       (layer->fuse && (targets_has_mark(fd, "user.fuseoverlayfs.opaque") ||
				fstatat(fd, targets_fuse_opaque, &st, AT_SYMLINK_NOFOLLOW) == 0));
}

static bool targets_is_white(const struct targets_layer *layer, int dir_fd, const char *name)
{
	char mark[NAME_MAX + sizeof(".wh.")];
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
	(void)snprintf(mark, sizeof(mark), ".wh.%s", name);
	return layer->fuse && fstatat(dir_fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * Go one name further in the layer.
 * @is_own: nothing below is seen through the directory; is updated
 *
 * Return: 1; 0 where a lower layer is seen; -ENOENT where it is to be made from this name on;
 * -ELOOP where there is a link; -EEXIST where the place is there, or there can be none.
 */
static int targets_enter(const struct targets_layer *layer, int *fd, const char *name, bool is_last,
			 bool *is_own)
{
	struct stat st;
	int next;

	if (targets_is_white(layer, *fd, name))
		return -ENOENT;
	if (fstatat(*fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		targets_note_denied(layer);
		return errno == ENOENT && *is_own ? -ENOENT : 0;
	}
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (is_last || !S_ISDIR(st.st_mode))
		return -EEXIST;
	next = openat(*fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0) {
		targets_note_denied(layer);
		return -EEXIST;
	}
	close(*fd);
	*fd = next;
	*is_own = *is_own || targets_is_opaque(layer, next);
	return 1;
}

/* Where the first @len bytes of a path in the layer lead on the host; "": it is too long. */
static void targets_get_host(const struct targets_layer *layer, const char *path, size_t len,
			     char ret_host[PATH_MAX])
{
	int r = snprintf(ret_host, PATH_MAX, "%s/%.*s",
			 path_is_root(layer->path) ? "" : layer->path, (int)len, path);

	if (r < 0 || r >= PATH_MAX)
		ret_host[0] = '\0';
}

/* Is a link of the layer one of the host's? @path: @len bytes of it lead to that */
static bool targets_is_hosts_link(const struct targets_layer *layer, int dir_fd, const char *name,
				  const char *path, size_t len)
{
	char where[PATH_MAX], host[PATH_MAX], here[PATH_MAX];
	ssize_t n, m;

	targets_get_host(layer, path, len, where);
	n = readlink(where, host, sizeof(host));
	m = readlinkat(dir_fd, name, here, sizeof(here));
	return n >= 0 && n == m && memcmp(host, here, (size_t)n) == 0;
}

/*
 * The first directory above a place that the lowest layer alone has: it comes into this one as soon
 * as the command writes to it. What is in it the command cannot remove, and so not have made it
 * anew.
 * @name: the first that is not in the layer; @len bytes of the path lead to it
 *
 * Return: how many bytes of the path lead to the directory; 0: there is none.
 */
static size_t targets_find_held(const struct targets_layer *layer, int dir_fd, const char *name,
				const char *path, size_t len)
{
	char where[PATH_MAX];
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	for (; path[len]; len += 1 + strcspn(path + len + 1, "/")) {
		targets_get_host(layer, path, len, where);
		if (!*where)
			return 0;
		if (lstat(where, &st) < 0)
			return errno == ENOENT ? len : 0;
		/* Where a link leads is looked at by itself. */
		if (!S_ISDIR(st.st_mode))
			return 0;
	}
	return 0;
}

/*
 * Is a place to be made in the layer, or may a directory above it come there? Then how.
 *
 * Return: 1; 0 where it is in a lower layer, or where a link of the host's leads; -EEXIST.
 */
static int targets_find(const struct targets_layer *layer, const char *path,
			struct targets_entry *ret)
{
	_autoclose_ int fd = openat(layer->upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_own = false;
	char name[NAME_MAX + 1];
	int r = fd < 0 ? 0 : 1;

	for (const char *at = path; r > 0;) {
		size_t len = strcspn(at, "/"), first = (size_t)(at - path) + len, held;

		if (len > NAME_MAX)
			return 0;
		memcpy(name, at, len);
		name[len] = '\0';
		r = targets_enter(layer, &fd, name, !at[len], &is_own);
		if (r == 0 && (held = targets_find_held(layer, fd, name, path, first)) > 0) {
			first = held;
			r = -ENOENT;
		}
		if (r == -ENOENT)
			*ret = (struct targets_entry){path, first,
						      targets_is_white(layer, fd, name)};
		if (r == -ELOOP)
			r = targets_is_hosts_link(layer, fd, name, path, first) ? 0 : -EEXIST;
		at += len + 1;
	}
	return r == -ENOENT ? 1 : r;
}

static int targets_note_root(const struct targets_layer *layer, const struct plan_layers *layers)
{
	_autoclose_ int fd = -1;
	size_t found = SIZE_MAX;
	int r = 0;

	for (size_t i = 0; i < layers->n_targets && r == 0; i++) {
		char text[PATH_MAX + 32];
		struct targets_entry entry;
		int is_made, len;

		/* What the session has in the place of a link does not lead there. */
		if (layers->targets[i].step == found)
			continue;
		is_made = targets_find(layer, layers->targets[i].path, &entry);
		if (is_made)
			found = layers->targets[i].step;
		if (is_made <= 0)
			continue;
		if (fd < 0)
			fd = openat(layer->root_fd, "targets",
				    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		len = snprintf(text, sizeof(text), "%c%zu %s", entry.is_white ? 'w' : '-',
			       entry.first, entry.path);
		if (len < 0 || (size_t)len >= sizeof(text))
			return -ENAMETOOLONG;
		r = io_write_all(fd, text, (size_t)len + 1);
	}
	return r;
}

/* Return: 0 or -errno. */
static int targets_note_all(const struct cow_session *session, const struct sbx_plan *plan,
			    bool *ret_denied)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		const struct plan_layers *layers = plan->steps[i].layers;
		struct targets_layer layer = {NULL, -1, -1, false, ret_denied};
		const char *number = layers && layers->n_targets && layers->upper
					     ? path_rest(layers->upper, session->dir) + 1
					     : NULL;
		size_t root = number ? strtoul(number, NULL, 10) : 0;

		if (!number || root >= session->n_roots)
			continue;
		if (targets_open(session, root, &layer) == 0)
			r = targets_note_root(&layer, layers);
		targets_close(&layer);
	}
	return r;
}

/* The same in a child: what its owner may not look at the sandbox can, and writes to. */
static int targets_note_with_ids(const struct cow_session *session, const struct sbx_plan *plan)
{
	int status = 0, r;
	bool denied = false;
	pid_t pid = fork();

	if (pid == 0) {
		cow_gain_access();
		targets_forget(session);
		_exit(-targets_note_all(session, plan, &denied));
	}
	r = pid < 0 ? -errno : proc_wait(pid, &status);
	return r < 0 ? r : WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/**
 * Note what the launch will make in the layers for what it mounts.
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_targets_note(struct cow_session *session, const struct sbx_plan *plan, struct sbx_err *err)
{
	bool denied = false;
	int r = cow_session_find_drivers(session, err);

	if (r < 0)
		return r;
	cow_targets_undo(session);
	r = targets_note_all(session, plan, &denied);
	if (r == 0 && denied)
		r = targets_note_with_ids(session, plan);
	return r < 0 ? err_system(err, -r, session->dir,
				  "cannot note what is made to be mounted on")
		     : 0;
}

/* ---- afterwards ---- */

/* But for the mark of who has made it. */
static bool targets_is_empty_dir(const struct targets_layer *layer, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd_open_dir(&fd);
	bool is_empty = dir != NULL;
	struct dirent *e;

	if (!dir)
		targets_note_denied(layer);
	errno = 0;
	while (is_empty && (e = readdir(dir)))
		is_empty = path_is_dots(e->d_name) ||
			   (layer->fuse && str_equal(e->d_name, targets_fuse_opaque));
	is_empty = is_empty && errno == 0;
	if (dir)
		closedir(dir);
	return is_empty;
}

static bool targets_is_empty(const struct targets_layer *layer, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return S_ISDIR(st.st_mode) ? targets_is_empty_dir(layer, dir_fd, name)
				   : S_ISREG(st.st_mode) && st.st_size == 0;
}

/* What is empty. */
static bool targets_remove(const struct targets_layer *layer, int dir_fd, const char *name)
{
	_autoclose_ int fd = -1;

	if (!targets_is_empty(layer, dir_fd, name))
		return false;
	if (layer->fuse) {
		fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			(void)unlinkat(fd, targets_fuse_opaque, 0);
	}
	if (unlinkat(dir_fd, name, 0) == 0 || unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return true;
	targets_note_denied(layer);
	return false;
}

/*
 * fuse-overlayfs's other mark, where no device can be made: an empty file beside the name, where
 * what is there counts as long as it is.
 */
static void targets_mark_beside(const struct targets_layer *layer, int dir_fd, const char *name)
{
	char mark[NAME_MAX + sizeof(".wh.")];
	_autoclose_ int fd = -1;

	(void)snprintf(mark, sizeof(mark), ".wh.%s", name);
	fd = openat(dir_fd, mark, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		targets_note_denied(layer);
	if (fd >= 0 && !targets_remove(layer, dir_fd, name))
		(void)unlinkat(dir_fd, mark, 0);
}

/* Put the mark that a name was removed back in its place, where something empty is. */
static void targets_mark(const struct targets_layer *layer, int dir_fd, const char *name)
{
	static const char mark[] = "mark";

	if (!targets_is_empty(layer, dir_fd, name))
		return;
	/* What one that was killed has left: a mark, or what it was exchanged for. */
	(void)targets_remove(layer, layer->root_fd, mark);
	if (mknodat(layer->root_fd, mark, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST) {
		if (layer->fuse)
			targets_mark_beside(layer, dir_fd, name);
		return;
	}
	if (sys_rename_exchange(layer->root_fd, mark, dir_fd, name) == 0) {
		(void)targets_remove(layer, layer->root_fd, mark);
		return;
	}
	targets_note_denied(layer);
	(void)unlinkat(layer->root_fd, mark, 0);
}

/* One name that was made. Return: is it gone? */
static bool targets_undo_name(const struct targets_layer *layer, const char *dir_path,
			      const char *name, bool is_white)
{
	const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
	_autoclose_ int dir =
		sys_openat2(layer->upper_fd, dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC, how);
	bool has_time, is_gone;
	struct stat st;

	/* The launch has not come so far. */
	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		targets_note_denied(layer);
		return errno == ENOENT || errno == ENOTDIR;
	}
	if (is_white) {
		targets_mark(layer, dir, name);
		return false;
	}
	has_time = fstat(dir, &st) == 0;
	is_gone = targets_remove(layer, dir, name);
	/* Else that would be told of a directory in which nothing was changed. */
	if (is_gone && has_time)
		(void)utimensat(dir, ".", (struct timespec[]){st.st_atim, st.st_mtim}, 0);
	return is_gone;
}

/* From the last name on to the first that was made. */
static void targets_undo(const struct targets_layer *layer, const struct targets_entry *entry)
{
	char path[PATH_MAX];
	bool is_first = false;

	str_copy(path, sizeof(path), entry->path);
	while (!is_first) {
		char *slash = strrchr(path, '/');

		is_first = strlen(path) <= entry->first;
		if (slash)
			*slash = '\0';
		if (!targets_undo_name(layer, slash ? path : ".", slash ? slash + 1 : path,
				       is_first && entry->is_white))
			return;
	}
}

static bool targets_parse(const char *text, struct targets_entry *ret)
{
	char *end;

	if (*text != 'w' && *text != '-')
		return false;
	ret->is_white = *text == 'w';
	ret->first = strtoul(text + 1, &end, 10);
	ret->path = end + 1;
	return *end == ' ' && ret->first > 0 && ret->first <= strlen(ret->path) &&
	       strlen(ret->path) < PATH_MAX;
}

static void targets_undo_root(const struct cow_session *session, size_t root, int fd, bool *denied)
{
	struct targets_layer layer = {NULL, -1, -1, false, denied};
	_autoarena_ struct arena arena;
	char *text = NULL;
	size_t len = 0;

	arena_init(&arena);
	if (targets_open(session, root, &layer) == 0 &&
	    io_read_all(fd, TARGETS_MAX, &arena, &text, &len) == 0)
		for (const char *at = text; at < text + len; at += strlen(at) + 1) {
			struct targets_entry entry;

			if (targets_parse(at, &entry))
				targets_undo(&layer, &entry);
		}
	targets_close(&layer);
}

/* The note of a root. Return: as dirs_open_file(). */
static int targets_open_note(const struct cow_session *session, size_t root, char name[32])
{
	(void)snprintf(name, 32, "%zu/targets", root);
	return dirs_open_file(session->dir_fd, name, O_RDONLY);
}

/* Return: is there something that another id bars? */
static bool targets_undo_all(const struct cow_session *session)
{
	bool denied = false;
	char name[32];

	for (size_t i = 0; i < session->n_roots; i++) {
		_autoclose_ int fd = targets_open_note(session, i, name);

		if (fd >= 0)
			targets_undo_root(session, i, fd, &denied);
	}
	return denied;
}

/* In a child, as it is for good that a process enters a user namespace. */
static void targets_undo_with_ids(const struct cow_session *session)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		cow_gain_access();
		(void)targets_undo_all(session);
		_exit(0);
	}
	if (pid > 0)
		(void)proc_wait(pid, &status);
}

/* Is there something to be undone? */
bool cow_targets_wait(const struct cow_session *session)
{
	bool waits = false;
	char name[32];

	for (size_t i = 0; i < session->n_roots && !waits; i++) {
		_autoclose_ int fd = targets_open_note(session, i, name);

		waits = fd >= 0;
	}
	return waits;
}

/**
 * Undo what the last launch has made in the layers for what it mounted.
 * @session: its drivers are known, and nobody else looks at it
 */
void cow_targets_undo(const struct cow_session *session)
{
	if (targets_undo_all(session))
		targets_undo_with_ids(session);
	targets_forget(session);
}
