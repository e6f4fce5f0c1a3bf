/* SPDX-License-Identifier: MIT */
/*
 * placeholder: make, record, share and remove what holds a missing name.
 *
 * Theory of operation
 *
 * A name that does not exist can only be kept from being made by something that is
 * there and mounted over. In a directory of the host that something is a file of
 * the host, and it must be gone afterwards, however the sandbox ends.
 *
 *     PID 1                                          what a kill right behind it leaves
 *     record: about to make number N in directory D  a record
 *     make D/.sbx-RECORD-N, empty or with a dot      a file of a name that is ours alone
 *     record: device, inode, birth time
 *     rename it to its name, replacing nothing       a file that the record identifies
 *
 * So at every moment the record tells enough. A record is a file in a directory of
 * the caller's, and locked (flock(2)) while its monitor or PID 1 lives: who can lock
 * it knows that both are dead, at once and without a pid. Every sbx looks for such
 * records; where the directory does not exist, as it does not while no placeholder is
 * in use, that is one failing open.
 *
 * Removing goes the same way back: a file that has the name, the inode and the birth time
 * that were recorded, belongs to the caller and is empty, or holds just the dot that was
 * written where an empty one would be an error to who reads it, is renamed to .sbx-RECORD-N, looked
 * at again, and unlinked. A file that somebody has put in its place meanwhile is never
 * unlinked but renamed back. A lease (fcntl(2)) tells whether somebody has it open, to
 * write perhaps; then the record stays for the next sbx.
 *
 * Two sandboxes can protect the same missing name. The second finds a file; as
 * another record knows its birth, it adopts it: writes it into its own record. Who ends
 * removes only what no other record has. A lock on the directory of records keeps apart
 * who makes or adopts and who removes.
 *
 * A sandbox to which the directory of records was bound writable can write there
 * what it likes. The worst that sbx does then is to remove an empty file or
 * directory of the caller's, or a file that holds just a dot.
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/placeholder.h"

enum {
	PLACEHOLDER_TRIES = 16,
	PLACEHOLDER_LOCK_MS = 10 * 1000, /* others hold it for milliseconds */
	PLACEHOLDER_SWEEP_MS = 200,	 /* what is swept now or by the next is no matter */
};

/* Where overlays work, in the place of the last name of a directory of records. */
static const char placeholder_work_name[] = "/overlays";

/* What a file holds that must not be empty: to git, "this directory". */
static const char placeholder_dot[] = ".";

/* ---- the directory of records ---- */

void placeholder_init(struct placeholder_box *box)
{
	memset(box, 0, sizeof(*box));
	box->dir_fd = -1;
	box->record_fd = -1;
	box->lock_fd = -1;
	box->error = ENOENT;
	arena_init(&box->arena);
}

/* One try to have a record of our own. Return: 0 or -errno; -ENOENT: the directory went away. */
static int placeholder_open_record(struct placeholder_box *box)
{
	_autoclose_ int dir = dirs_make_own(box->dir), fd = -1;
	unsigned long long number;
	int r;

	if (dir < 0)
		return dir;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -errno;
	(void)snprintf(box->name, sizeof(box->name), "%016llx", number);
	/* Between making the record and locking it, a sweep would take it for a dead one's. */
	r = dirs_lock(dir, PLACEHOLDER_LOCK_MS);
	if (r < 0)
		return r;
	fd = openat(dir, box->name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = dirs_lock(fd, PLACEHOLDER_LOCK_MS);
	if (r < 0 || flock(dir, LOCK_UN) < 0) {
		r = r < 0 ? r : -errno;
		(void)unlinkat(dir, box->name, 0);
		return r;
	}
	box->dir_fd = take_fd(&dir);
	box->record_fd = take_fd(&fd);
	return 0;
}

/*
 * Before PID 1 exists: have a record, for PID 1 to write to if a name is missing. That
 * there can be none is a failure only where one is needed; box->error says why.
 */
void placeholder_open(struct placeholder_box *box, const struct sbx_plan *plan)
{
	int r = -ENOENT;

	box->plan = plan;
	box->dir = plan->record_dirs[0];
	/* The directory is removed by whoever leaves it empty. */
	for (int i = 0; i < PLACEHOLDER_TRIES && box->dir && r == -ENOENT; i++)
		r = placeholder_open_record(box);
	box->error = -r;
}

/* ---- other sandboxes' records ---- */

/* Append what a record says to a list. Dead or alive: either may have made what we find. */
static int placeholder_gather(struct arena *arena, int dir_fd, const char *name,
			      struct record *list)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct record record;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -errno;
	r = record_read(fd, arena, &record);
	/* What cannot be read as a file is no record. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < record.n_entries; i++) {
		struct record_entry *all =
			arena_grow(arena, list->entries, list->n_entries, sizeof(*all));

		if (!all)
			return -ENOMEM;
		all[list->n_entries++] = record.entries[i];
		list->entries = all;
	}
	return 0;
}

/* Call for every record in the directory but `except`. Return: 0, or what a call returned. */
static int placeholder_each(int dir_fd, const char *except,
			    int (*call)(void *arg, int dir_fd, const char *name), void *arg)
{
	DIR *dir = fd_open_dir_again(dir_fd);
	int r = 0;
	struct dirent *e;

	if (!dir)
		return -errno;
	errno = 0;
	while (r == 0 && (e = readdir(dir))) {
		if (e->d_name[0] != '.' && strcmp(e->d_name, except) != 0)
			r = call(arg, dir_fd, e->d_name);
		errno = 0;
	}
	if (r == 0)
		r = -errno;
	(void)closedir(dir);
	return r;
}

struct placeholder_list {
	struct arena *arena;
	struct record *list;
};

static int placeholder_gather_one(void *arg, int dir_fd, const char *name)
{
	const struct placeholder_list *l = arg;

	return placeholder_gather(l->arena, dir_fd, name, l->list);
}

static int placeholder_gather_others(int dir_fd, const char *own, struct arena *arena,
				     struct record *list)
{
	struct placeholder_list l = {arena, list};

	*list = (struct record){0};
	return placeholder_each(dir_fd, own, placeholder_gather_one, &l);
}

static const struct record_entry *placeholder_find(const struct record *list,
						   const struct sys_file *file)
{
	for (size_t i = 0; i < list->n_entries; i++)
		if (record_is_of(&list->entries[i], file))
			return &list->entries[i];
	return NULL;
}

/* ---- making, in PID 1 ---- */

/**
 * Keep everybody else from making and removing, until placeholder_end(), and read what
 * others have made. A second call does nothing.
 *
 * Return: 0, or -errno with *err filled.
 */
int placeholder_begin(struct placeholder_box *box, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r;

	if (box->dir_fd < 0 || box->lock_fd >= 0)
		return 0;
	/* Not the monitor's descriptor: a lock belongs to what was opened, and that is shared. */
	fd = openat(box->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : dirs_lock(fd, PLACEHOLDER_LOCK_MS);
	if (r < 0)
		return err_system(err, -r, box->dir, "cannot lock the records of placeholders");
	r = placeholder_gather_others(fd, box->name, &box->arena, &box->others);
	if (r < 0)
		return err_system(err, -r, box->dir, "cannot read the records of placeholders");
	box->lock_fd = take_fd(&fd);
	return 0;
}

/* Close what is the monitor's; PID 1 goes on without. */
void placeholder_end(struct placeholder_box *box)
{
	int *fds[] = {&box->lock_fd, &box->record_fd, &box->dir_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		defs_cleanup_fd(fds[i]);
		*fds[i] = -1;
	}
	arena_finish(&box->arena);
}

static int placeholder_write(struct placeholder_box *box, const struct record_entry *entry,
			     struct sbx_err *err)
{
	int r = record_append(box->record_fd, entry);

	return r < 0 ? err_system(err, -r, box->dir, "cannot record a placeholder") : 0;
}

static void placeholder_aside_name(char name[NAME_MAX + 1], const char *record, unsigned number)
{
	(void)snprintf(name, NAME_MAX + 1, ".sbx-%s-%u", record, number);
}

/* Make the file of a placeholder that is not empty. Return: 0 or -errno. */
int placeholder_create_dot(int dir_fd, const char *name, mode_t umask)
{
	_autoclose_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666 & ~umask);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, placeholder_dot, strlen(placeholder_dot));
	if (r < 0)
		(void)unlinkat(dir_fd, name, 0);
	return r;
}

static int placeholder_create(const struct placeholder_spot *spot, const char *name)
{
	int r;

	if (spot->has_dot)
		return placeholder_create_dot(spot->dir_fd, name, spot->umask);
	r = spot->is_dir ? mkdirat(spot->dir_fd, name, 0777 & ~spot->umask)
			 : mknodat(spot->dir_fd, name, S_IFREG | (0666 & ~spot->umask), 0);
	return r < 0 ? -errno : 0;
}

/* There is no record to write to. */
static int placeholder_refuse(const struct placeholder_box *box,
			      const struct placeholder_spot *spot, struct sbx_err *err)
{
	int r = err_system(err, box->error, spot->name,
			   "does not exist, and what would hold its place cannot be recorded");

	err_hint(err,
		 "%s; give sbx a directory of yours with XDG_RUNTIME_DIR, or make the\n"
		 "protected path before",
		 box->dir ? box->dir : "neither XDG_RUNTIME_DIR nor HOME is set");
	return r;
}

/* A file of the sandbox's own tree, which needs no record. */
static int placeholder_make_private(const struct placeholder_spot *spot, struct sbx_err *err)
{
	int r = placeholder_create(spot, spot->name);

	if (r == -EEXIST)
		return PLACEHOLDER_EXISTS;
	if (r == -EROFS)
		return PLACEHOLDER_IMPOSSIBLE;
	return r < 0 ? err_system(err, -r, spot->name, "cannot be made, to be protected") : 0;
}

/* May nothing be made in a directory? */
bool placeholder_is_impossible(int dir_fd)
{
	return faccessat(dir_fd, ".", W_OK, AT_EACCESS) < 0 && (errno == EACCES || errno == EROFS);
}

/**
 * Make a placeholder under its name.
 *
 * Return: an enum placeholder_result, or -errno with *err filled.
 */
int placeholder_make(struct placeholder_box *box, const struct placeholder_spot *spot,
		     struct sbx_err *err)
{
	struct record_entry entry = {
		.is_dir = spot->is_dir, .is_work = spot->is_work, .number = box->n_made};
	struct sys_file file;
	char path[PATH_MAX], aside[NAME_MAX + 1];
	/* An overlay has numbers of its own, and who removes does without it. */
	int look_fd = spot->host_fd < 0 ? spot->dir_fd : spot->host_fd, r;

	if (!spot->host_dir)
		return placeholder_make_private(spot, err);
	if (placeholder_is_impossible(spot->dir_fd))
		return PLACEHOLDER_IMPOSSIBLE;
	if (box->record_fd < 0)
		return placeholder_refuse(box, spot, err);
	r = snprintf(path, sizeof(path), "%s/%s", spot->host_dir, spot->name);
	if (r < 0 || (size_t)r >= sizeof(path))
		return err_refuse(err, ENAMETOOLONG, spot->name, "has too long a path");
	if (sys_statx_file(look_fd, "", &file) < 0)
		return err_system(err, errno, path, "cannot look at the directory above");
	entry.path = path;
	entry.parent_dev = file.dev;
	entry.parent_inode = file.inode;
	r = placeholder_write(box, &entry, err);
	if (r < 0)
		return r;
	box->n_made++;
	placeholder_aside_name(aside, box->name, entry.number);
	r = placeholder_create(spot, aside);
	if (r < 0)
		return err_system(err, -r, path, "cannot make a placeholder");
	if (sys_statx_file(look_fd, aside, &file) < 0)
		return err_system(err, errno, path, "cannot look at the placeholder");
	entry.dev = file.dev;
	entry.inode = file.inode;
	entry.born_sec = file.born_sec;
	entry.born_nsec = file.born_nsec;
	r = placeholder_write(box, &entry, err);
	if (r < 0)
		return r;
	if (sys_rename_noreplace(spot->dir_fd, aside, spot->dir_fd, spot->name) == 0)
		return 0;
	r = errno == EEXIST ? PLACEHOLDER_EXISTS
			    : err_system(err, errno, path, "cannot give the placeholder its name");
	(void)unlinkat(spot->dir_fd, aside, spot->is_dir ? AT_REMOVEDIR : 0);
	return r;
}

static bool placeholder_work_path(const char *records, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%.*s%s", (int)(strrchr(records, '/') - records), records,
			 placeholder_work_name);

	return n > 0 && n < PATH_MAX;
}

/**
 * The directory that overlays work in, beside a directory of records.
 * @path: where it is, on return
 *
 * Return: 0, or -errno.
 */
int placeholder_work_dir(const char *records, char path[PATH_MAX], int *ret_fd)
{
	int fd = placeholder_work_path(records, path) ? dirs_make_own(path) : -ENAMETOOLONG;

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* A directory for one overlay to work in, recorded as a placeholder. */
int placeholder_make_work(struct placeholder_box *box, int dir_fd, const char *path, int *ret_fd,
			  struct sbx_err *err)
{
	char name[NAME_MAX + 1];
	const struct placeholder_spot spot = {
		.dir_fd = dir_fd,
		.name = name,
		.host_dir = path,
		.host_fd = -1,
		.is_dir = true,
		.is_work = true,
		.umask = 077,
	};
	int r;

	(void)snprintf(name, sizeof(name), "%s-%u", box->name, box->n_made);
	r = placeholder_make(box, &spot, err);
	if (r == PLACEHOLDER_EXISTS || r == PLACEHOLDER_IMPOSSIBLE)
		return err_refuse(err, EACCES, path, "is no place to make a directory to work in");
	if (r < 0)
		return r;
	*ret_fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? err_system(err, errno, path, "cannot open the directory to work in")
			   : 0;
}

/**
 * What is at a protected path may be another sandbox's placeholder: then it is ours too.
 *
 * Return: 0, or -errno with *err filled.
 */
int placeholder_adopt(struct placeholder_box *box, const struct sys_file *file, struct sbx_err *err)
{
	const struct record_entry *theirs = placeholder_find(&box->others, file);
	struct record_entry entry;

	if (!theirs)
		return 0;
	entry = *theirs;
	entry.number = box->n_made++;
	return placeholder_write(box, &entry, err);
}

/* ---- removing, in a monitor ---- */

/* A record that is being settled. */
struct placeholder_settling {
	const char *name; /* of the record */
	const struct record *others;
	uid_t uid;
};

/* Does a file hold what we may have written there? Of one that has a lease, by its descriptor. */
static bool placeholder_holds_dot(int dir, const char *name, int leased)
{
	_autoclose_ int fd = -1;
	char byte;

	if (leased < 0)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (leased < 0 && fd < 0)
		return false;
	return pread(leased < 0 ? fd : leased, &byte, 1, 0) == 1 && byte == placeholder_dot[0];
}

/* Is there nothing in it that anybody could miss? */
static bool placeholder_is_vacant(const struct placeholder_settling *s,
				  const struct record_entry *entry, const struct sys_file *file,
				  int dir, const char *name, int leased)
{
	if (file->uid != s->uid || S_ISDIR(file->mode) != entry->is_dir)
		return false;
	/* A directory that is not empty refuses to be removed. */
	if (entry->is_dir)
		return true;
	return S_ISREG(file->mode) && file->nlink == 1 &&
	       (file->size == 0 || (file->size == strlen(placeholder_dot) &&
				    placeholder_holds_dot(dir, name, leased)));
}

/* Has somebody the file open? Then he may be about to write. */
static bool placeholder_is_open(int dir_fd, const char *name, int *ret_fd)
{
	enum { SET_LEASE = 1024 };
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno != ENOENT;
	*ret_fd = fd;
	/* Filesystems without leases refuse in other words, and then nobody can know. */
	if (fcntl(fd, SET_LEASE, F_WRLCK) < 0)
		return errno == EAGAIN;
	/* Who opens it from now on waits for us; we need no signal about that. */
	(void)fcntl(fd, F_SETOWN, 0);
	return false;
}

/*
 * Unlink what lies under the name that is ours alone, or give it its name back.
 * Return: true when there is nothing more to do about this entry.
 */
static bool placeholder_remove_aside(const struct placeholder_settling *s,
				     const struct record_entry *entry, int dir, const char *aside,
				     const char *name, int leased)
{
	struct sys_file file;
	bool ours;

	if (sys_statx_file(dir, aside, &file) < 0)
		return errno == ENOENT;
	/* Not the birth: where that is the time of the last change, the renaming was one. */
	ours = (entry->inode == 0 || (entry->dev == file.dev && entry->inode == file.inode)) &&
	       placeholder_is_vacant(s, entry, &file, dir, aside, leased);
	if (ours && unlinkat(dir, aside, entry->is_dir ? AT_REMOVEDIR : 0) == 0)
		return true;
	return sys_rename_noreplace(dir, aside, dir, name) == 0 && !ours;
}

/* Whether there is anything but the one name. */
static int placeholder_has_other(void *arg, int dir_fd, const char *name)
{
	(void)arg;
	(void)dir_fd;
	(void)name;
	return -ENOTEMPTY;
}

/*
 * fuse-overlayfs puts an empty file into each directory that it makes in the upper layer: all that
 * is there was made by it, and not in a layer below.
 */
static void placeholder_clear_mark(int dir, const char *name)
{
	static const char mark[] = ".wh..wh..opq";
	_autoclose_ int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstatat(fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == 0 && placeholder_each(fd, mark, placeholder_has_other, NULL) == 0)
		(void)unlinkat(fd, mark, 0);
}

/* A directory: nothing but an empty one can be lost, so it needs no other name first. */
static bool placeholder_remove_dir(int dir, const char *name)
{
	placeholder_clear_mark(dir, name);
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY || errno == EEXIST ||
	       errno == ENOENT || errno == ENOTDIR;
}

static int placeholder_unlink_one(void *arg, int dir_fd, const char *name)
{
	(void)arg;
	if (unlinkat(dir_fd, name, 0) < 0 && errno == EISDIR)
		(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
	return 0;
}

/*
 * What the kernel leaves where an overlay worked: one directory, closed to everybody, with
 * what was on its way when the sandbox ended. Only below a directory of ours by
 * its name, and closed to others, so that a forged record finds nothing else.
 */
static bool placeholder_remove_work(const struct record_entry *entry, int dir, const char *name)
{
	size_t above = (size_t)(name - 1 - entry->path), n = strlen(placeholder_work_name);
	_autoclose_ int fd = -1, inner = -1;
	struct stat st;

	if (above < n || memcmp(entry->path + above - n, placeholder_work_name, n) != 0)
		return true;
	if (fstat(dir, &st) < 0)
		return false;
	if ((st.st_mode & 077) != 0)
		return true;
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fchmodat(fd, "work", 0700, 0) == 0)
		inner = openat(fd, "work", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inner >= 0)
		(void)placeholder_each(inner, "", placeholder_unlink_one, NULL);
	if (fd >= 0)
		(void)unlinkat(fd, "work", AT_REMOVEDIR);
	/* Nobody else puts anything there: what cannot be removed now is removed by the next. */
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* In its directory. Return: as above. */
static bool placeholder_remove_at(const struct placeholder_settling *s,
				  const struct record_entry *entry, int dir, const char *name)
{
	_autoclose_ int lease = -1;
	char aside[NAME_MAX + 1];
	struct sys_file file;
	bool there;

	placeholder_aside_name(aside, s->name, entry->number);
	there = sys_statx_file(dir, name, &file) == 0;
	if (!there && errno != ENOENT)
		return false;
	if (!there || !record_is_of(entry, &file) ||
	    !placeholder_is_vacant(s, entry, &file, dir, name, -1))
		return placeholder_remove_aside(s, entry, dir, aside, name, -1);
	if (placeholder_find(s->others, &file))
		return true;
	if (entry->is_work)
		return placeholder_remove_work(entry, dir, name);
	if (entry->is_dir)
		return placeholder_remove_dir(dir, name);
	if (placeholder_is_open(dir, name, &lease))
		return false;
	if (sys_rename_noreplace(dir, name, dir, aside) < 0)
		return errno == ENOENT;
	return placeholder_remove_aside(s, entry, dir, aside, name, lease);
}

/* PID 1 can write to all directories of the caller's; the monitor has to allow itself to. */
static bool placeholder_remove_forced(const struct placeholder_settling *s,
				      const struct record_entry *entry, int dir, const char *name,
				      mode_t mode)
{
	char link[32];
	bool done;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	if (chmod(link, (mode & 07777) | 0300) < 0)
		return false;
	done = placeholder_remove_at(s, entry, dir, name);
	(void)chmod(link, mode & 07777);
	return done;
}

static bool placeholder_remove(const struct placeholder_settling *s,
			       const struct record_entry *entry)
{
	const char *name = strrchr(entry->path, '/') + 1;
	char dir_path[PATH_MAX];
	_autoclose_ int dir = -1;
	struct sys_file above;

	memcpy(dir_path, entry->path, (size_t)(name - entry->path));
	dir_path[name - entry->path] = '\0';
	dir = sys_openat2(AT_FDCWD, dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC,
			  RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (dir < 0 || sys_statx_file(dir, "", &above) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
	if (above.dev != entry->parent_dev || above.inode != entry->parent_inode)
		return true;
	if (placeholder_remove_at(s, entry, dir, name))
		return true;
	return (above.mode & 0300) != 0300 && above.uid == s->uid &&
	       placeholder_remove_forced(s, entry, dir, name, above.mode);
}

/* The directories that overlays worked in, where they are empty. */
static void placeholder_remove_work_dirs(const struct sbx_plan *plan)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(plan->record_dirs); i++)
		if (plan->record_dirs[i] && placeholder_work_path(plan->record_dirs[i], path))
			(void)rmdir(path);
}

/*
 * Remove what a record has and no other has, then the directories that held it, and the
 * record last: who is killed before that is found by it. The directory is locked.
 */
static void placeholder_settle(const struct sbx_plan *plan, int dir_fd, int record_fd,
			       const char *name)
{
	struct record record, others;
	struct placeholder_settling s = {.name = name, .others = &others, .uid = geteuid()};
	bool done = true;
	_autoarena_ struct arena arena;

	arena_init(&arena);
	if (placeholder_gather_others(dir_fd, name, &arena, &others) < 0 ||
	    record_read(record_fd, &arena, &record) < 0)
		return;
	/* What was made last lies in what was made before. */
	for (size_t i = record.n_entries; i-- > 0;)
		if (!placeholder_remove(&s, &record.entries[i]))
			done = false;
	placeholder_remove_work_dirs(plan);
	if (done)
		(void)unlinkat(dir_fd, name, 0);
}

/* At the end, whatever the end: everything inside is dead. */
void placeholder_finish(struct placeholder_box *box)
{
	if (box->record_fd >= 0 && dirs_lock(box->dir_fd, PLACEHOLDER_LOCK_MS) == 0) {
		placeholder_settle(box->plan, box->dir_fd, box->record_fd, box->name);
		/* Only where it is empty. */
		(void)rmdir(box->dir);
	}
	placeholder_end(box);
}

/* What a sweep has found: records at all, and such that can be locked, as only a dead one's can. */
struct placeholder_sweeping {
	const struct sbx_plan *plan;
	bool settle; /* else: only look */
	unsigned n_records, n_dead;
};

static int placeholder_sweep_one(void *arg, int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct placeholder_sweeping *sweeping = arg;
	struct stat st;

	sweeping->n_records++;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    strlen(name) >= RECORD_NAME_MAX || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	sweeping->n_dead++;
	if (sweeping->settle)
		placeholder_settle(sweeping->plan, dir_fd, fd, name);
	return 0;
}

static void placeholder_sweep_dir(const struct sbx_plan *plan, const char *path)
{
	struct placeholder_sweeping sweeping = {.plan = plan};
	_autoclose_ int fd = dirs_open_own(path);

	if (fd < 0)
		return;
	/* Not to wait for anybody where nobody is dead. */
	(void)placeholder_each(fd, "", placeholder_sweep_one, &sweeping);
	if (sweeping.n_dead > 0 && dirs_lock(fd, PLACEHOLDER_SWEEP_MS) == 0) {
		sweeping.settle = true;
		(void)placeholder_each(fd, "", placeholder_sweep_one, &sweeping);
	}
	if (sweeping.n_records == sweeping.n_dead || sweeping.settle)
		(void)rmdir(path);
}

/**
 * Remove what killed sandboxes have left.
 *
 * Where no directory of records exists this is one failing system call each. What goes
 * wrong is left for the next time.
 */
void placeholder_sweep(const struct sbx_plan *plan, enum placeholder_sweep_what what)
{
	for (size_t i = 0; i < ARRAY_SIZE(plan->record_dirs); i++)
		if (plan->record_dirs[i])
			placeholder_sweep_dir(plan, plan->record_dirs[i]);
	if (what == PLACEHOLDER_SWEEP_ALL)
		placeholder_remove_work_dirs(plan);
}
