/* SPDX-License-Identifier: MIT */
/*
 * session_begin: how a session begins, is gone on with, and is given up; see session.h.
 *
 * When it began is compared with the times at which files of the host changed (ctime). Those
 * come from a clock that moves in steps of some milliseconds; so a launch waits until that
 * clock has passed the moment that is recorded. What changed before it has then an earlier
 * time, and what changes while the command runs a later one, without a doubt between, where the
 * filesystem keeps microseconds at least. What coarser ones leave in doubt is in times.c. Where
 * the clock itself has whole milliseconds (a machine without a fine one, as one that is emulated),
 * times look like those of filesystems that keep hundredths of a second, so one passes first.
 *
 * The record comes last: until it is there, there is no session. What a launch made that ends
 * before (SIGKILL) are a lock and empty directories, which is what the next sbx tells it by; they
 * are removed by rmdir(2), so that whatever else may lie there cannot be lost. A session begins
 * in a directory that is new, or has nothing but such remains.
 *
 * What a directory holds is looked at once more when it is locked, as another launch may have
 * begun the session meanwhile, or removed one. A lock is removed by its holder alone; who gets
 * one makes sure that it is still in its place.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/base/trust.h"
#include "sbx/cow/root.h"
#include "sbx/cow/session_parts.h"
#include "sbx/cow/times.h"
#include "sbx/cow/xattr.h"

enum {
	COW_TICK_NS = 1000000,
	COW_HUNDREDTH_NS = 10000000,
	COW_FINE_NS = 1000,
	COW_BEGIN_TRIES = 100
};

/* ---- what a directory holds ---- */

enum cow_place {
	COW_PLACE_EMPTY,
	COW_PLACE_BEGUN,   /* what a launch leaves that was killed while it began a session */
	COW_PLACE_SESSION, /* a record */
	COW_PLACE_OTHER,
};

static const char *const cow_root_parts[] = {"base", "upper", "work"};

/* Does an entry belong there? Return: 1, 0 or -errno. */
typedef int cow_knows(int dir_fd, const char *name);

/* Has a directory nothing but what belongs there? Return: 1, 0 or -errno. */
static int cow_has_only(int dir_fd, const char *name, cow_knows *knows)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 1;
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;

	if (!dir)
		return errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	while (r == 1 && (errno = 0, e = readdir(dir)))
		if (!path_is_dots(e->d_name))
			r = knows(dirfd(dir), e->d_name);
	if (r == 1 && errno)
		r = -errno;
	(void)closedir(dir);
	return r;
}

static int cow_knows_nothing(int dir_fd, const char *name)
{
	(void)dir_fd, (void)name;
	return 0;
}

static int cow_knows_root_name(int dir_fd, const char *name)
{
	(void)dir_fd;
	return str_equal(name, "work") || str_equal(name, "upper") || str_equal(name, "base");
}

/* The driver has something in a work directory as soon as there is an overlay. */
static int cow_knows_root_part(int dir_fd, const char *name)
{
	return str_equal(name, "work") ? cow_has_only(dir_fd, name, cow_knows_nothing)
				       : cow_knows_root_name(dir_fd, name);
}

static bool cow_is_root_name(const char *name)
{
	char canonical[32];
	uint64_t number;

	if (str_parse_u64(name, 10, COW_ROOTS_MAX - 1, &number) != 0)
		return false;
	(void)snprintf(canonical, sizeof(canonical), "%u", (unsigned)number);
	return str_equal(name, canonical);
}

/* A record that is being written. */
static int cow_knows_record(int dir_fd, const char *name)
{
	static const char begin[] = "sbx-session=1";
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[sizeof(begin)];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ELOOP ? 0 : -errno;
	n = S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : 0;
	return n < 0 ? -errno : S_ISREG(st.st_mode) && memcmp(text, begin, (size_t)n) == 0;
}

static int cow_knows_part(int dir_fd, const char *name)
{
	struct stat st;

	if (cow_is_root_name(name))
		return cow_has_only(dir_fd, name, cow_knows_root_part);
	if (str_equal(name, "meta.new"))
		return cow_knows_record(dir_fd, name);
	if (!str_equal(name, "lock") && !str_equal(name, COW_EMPTYING))
		return 0;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_size == 0;
}

/* And what is there only with a record (cow/held.c, cow/targets.c). */
static int cow_knows_root_entry(int dir_fd, const char *name)
{
	return cow_knows_root_name(dir_fd, name) || str_equal(name, "held") ||
	       str_equal(name, "targets") || str_equal(name, "mark");
}

/* Is it a directory as sbx makes one for a root? Return: 1, 0 or -errno. */
int cow_session_is_root(int dir_fd, const char *name)
{
	return cow_has_only(dir_fd, name, cow_knows_root_entry);
}

/* Return: enum cow_place, or -errno. */
static int cow_place_look(int dir_fd)
{
	struct stat st;
	int r;

	if (fstatat(dir_fd, "meta", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return COW_PLACE_SESSION;
	if (errno != ENOENT)
		return -errno;
	/* The lock is made first. */
	if (fstatat(dir_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
		r = cow_has_only(dir_fd, ".", cow_knows_nothing);
		return r < 0 ? r : r > 0 ? COW_PLACE_EMPTY : COW_PLACE_OTHER;
	}
	r = cow_has_only(dir_fd, ".", cow_knows_part);
	return r < 0 ? r : r > 0 ? COW_PLACE_BEGUN : COW_PLACE_OTHER;
}

/* ---- what was made, and is not wanted ---- */

/* The directories of a root, in which there is nothing. Return: 0 or -errno. */
static int cow_unmake_root(int dir_fd, size_t index)
{
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(cow_root_parts); i++) {
		(void)snprintf(name, sizeof(name), "%zu/%s", index, cow_root_parts[i]);
		if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return -errno;
	}
	(void)snprintf(name, sizeof(name), "%zu", index);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* The last first: where this is killed, there are still those from the first on. */
static int cow_unmake_roots(int dir_fd, size_t n)
{
	int r = 0;

	while (r == 0 && n-- > 0)
		r = cow_unmake_root(dir_fd, n);
	return r;
}

/* All but the lock, which is held. Return: 0 or -errno. */
static int cow_unmake_begun(int dir_fd)
{
	size_t n = 0;
	char name[32];
	int r;

	do
		(void)snprintf(name, sizeof(name), "%zu", n);
	while (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && ++n < COW_ROOTS_MAX);
	if (n < COW_ROOTS_MAX && errno != ENOENT)
		return -errno;
	r = cow_unmake_roots(dir_fd, n);
	/* The second is what a removal leaves that was killed behind the record. */
	if (r == 0 && ((unlinkat(dir_fd, "meta.new", 0) < 0 && errno != ENOENT) ||
		       (unlinkat(dir_fd, COW_EMPTYING, 0) < 0 && errno != ENOENT)))
		r = -errno;
	return r;
}

/**
 * Remove what is left of a session that was killed while it began, if that is all that there is.
 * @dir_fd: with @name: the directory
 *
 * Return: whether it is gone.
 */
bool cow_session_remove_begun(int dir_fd, const char *name)
{
	struct cow_session left;
	int place;
	bool gone = false;

	cow_session_init(&left);
	left.dir_fd = dirs_open_own_at(dir_fd, name);
	place = left.dir_fd < 0 ? left.dir_fd : cow_place_look(left.dir_fd);
	if (place == COW_PLACE_BEGUN)
		left.lock_fd = dirs_open_file(left.dir_fd, "lock", O_RDWR);
	if (left.lock_fd >= 0 && flock(left.lock_fd, LOCK_EX | LOCK_NB) == 0 &&
	    cow_session_has_lock(&left) > 0 && cow_place_look(left.dir_fd) == COW_PLACE_BEGUN)
		gone = cow_unmake_begun(left.dir_fd) == 0 &&
		       unlinkat(left.dir_fd, "lock", 0) == 0 &&
		       unlinkat(dir_fd, name, AT_REMOVEDIR) == 0;
	cow_session_close(&left);
	return gone;
}

/**
 * The same of all in the directory of sessions, also of those that came to nothing but an empty
 * directory. What cannot be removed stays for the next time.
 * @base: of sessions with names
 */
void cow_session_sweep(const char *base)
{
	int fd = dirs_open_own(base);
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		char meta[NAME_MAX + sizeof("/meta")];

		(void)snprintf(meta, sizeof(meta), "%s/meta", e->d_name);
		if (e->d_name[0] == '.' || faccessat(fd, meta, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (errno == ENOENT || errno == EACCES)
			(void)(cow_session_remove_begun(fd, e->d_name) ||
			       unlinkat(fd, e->d_name, AT_REMOVEDIR));
	}
	(void)closedir(dir);
}

/* ---- begin ---- */

/* See the head of this file. */
static void cow_session_note_time(struct timespec *ret_began)
{
	const struct timespec tick = {.tv_nsec = COW_TICK_NS},
			      hundredth = {.tv_nsec = COW_HUNDREDTH_NS};
	struct timespec coarse;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &coarse) == 0 && coarse.tv_nsec % COW_TICK_NS == 0)
		(void)nanosleep(&hundredth, NULL);
	(void)clock_gettime(CLOCK_REALTIME, ret_began);
	do {
		(void)nanosleep(&tick, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
		coarse.tv_nsec -= coarse.tv_nsec % COW_FINE_NS;
		if (coarse.tv_sec + 1 < ret_began->tv_sec) /* it was set back meanwhile */
			(void)clock_gettime(CLOCK_REALTIME, ret_began);
	} while (!cow_time_is_after(&coarse, ret_began));
}

/*
 * What the upper directory of a root has begun with, to tell later what the command has changed.
 * It is there only where the upper directory has all of the root's attributes: else they are
 * not compared.
 */
static int cow_session_make_base(const struct cow_session *s, size_t index, int upper_fd,
				 const struct stat *st)
{
	_autoclose_ int fd = -1;
	char name[32];
	int lost;

	(void)snprintf(name, sizeof(name), "%zu/base", index);
	if (mkdirat(s->dir_fd, name, 0700) < 0)
		return -errno;
	fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Its permissions are part of an ACL, and are not closed by one for their owner alone. */
	lost = cow_xattr_give(upper_fd, fd);
	if (lost < 0)
		return lost;
	if (lost > 0)
		return unlinkat(s->dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
	return fchmod(fd, st->st_mode & 01777) < 0 ||
			       futimens(fd, (struct timespec[]){st->st_atim, st->st_mtim}) < 0
		       ? -errno
		       : 0;
}

/* The upper directory is what its root looks like inside, so it begins with the same. */
static int cow_session_make_upper(const struct cow_session *s, size_t index, int host,
				  const struct stat *st, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	char name[32];
	int lost, r;

	(void)snprintf(name, sizeof(name), "%zu/work", index);
	if (mkdirat(s->dir_fd, name, 0700) < 0)
		return err_system(err, errno, s->dir, "cannot make a directory for changes");
	(void)snprintf(name, sizeof(name), "%zu/upper", index);
	if (mkdirat(s->dir_fd, name, 0700) < 0)
		return err_system(err, errno, s->dir, "cannot make a directory for changes");
	fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, errno, s->dir, "cannot make a directory for changes");
	/* A group that the caller is not in stays the host's: walk_compare() does not ask. */
	if (st->st_gid != getegid() && fchown(fd, (uid_t)-1, st->st_gid) < 0)
		errno = 0;
	lost = cow_xattr_give(host, fd);
	if (lost < 0)
		return err_system(err, -lost, s->roots[index].path,
				  "its attributes cannot be read");
	if (fchmod(fd, st->st_mode & 01777) < 0 ||
	    futimens(fd, (struct timespec[]){st->st_atim, st->st_mtim}) < 0)
		return err_system(err, errno, s->dir, "cannot make a directory for changes");
	r = lost ? 0 : cow_session_make_base(s, index, fd, st);
	return r < 0 ? err_system(err, -r, s->dir, "cannot make a directory for changes") : 0;
}

/* All or nothing. */
static int cow_session_make_root(struct cow_session *s, size_t index, struct sbx_err *err)
{
	const char *root = s->roots[index].path;
	_autoclose_ int host = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32];
	struct stat st;
	int r;

	if (host < 0 || fstat(host, &st) < 0)
		return err_system(err, errno, root, "cannot be looked at");
	r = cow_root_identify(host, &s->roots[index]);
	if (r < 0)
		return err_system(err, -r, root, "cannot be looked at");
	(void)snprintf(name, sizeof(name), "%zu", index);
	if (mkdirat(s->dir_fd, name, 0700) < 0)
		return err_system(err, errno, s->dir, "cannot make a directory for changes");
	r = cow_session_make_upper(s, index, host, &st, err);
	if (r < 0)
		(void)cow_unmake_root(s->dir_fd, index);
	return r;
}

/* With @s->n_roots as many as were made. */
static int cow_session_fill(struct cow_session *s, const struct cow_wanted *wanted,
			    struct arena *arena, struct sbx_err *err)
{
	s->roots = arena_alloc(arena, (wanted->n_roots + 1) * sizeof(*s->roots));
	if (!s->roots)
		return err_oom(err);
	s->n_roots = 0;
	s->uids = wanted->uids;
	s->gids = wanted->gids;
	for (size_t i = 0; i < wanted->n_roots; i++) {
		struct stat st;
		int r;

		if (stat(wanted->roots[i], &st) < 0)
			return err_system(err, errno, wanted->roots[i], "cannot be looked at");
		if (!S_ISDIR(st.st_mode)) {
			r = err_refuse(err, ENOTDIR, wanted->roots[i], "is not a directory");
			err_set_option(err, "--cow");
			return r;
		}
		s->roots[i] = (struct cow_root){.path = wanted->roots[i]};
		r = cow_session_make_root(s, i, err);
		if (r < 0)
			return r;
		s->n_roots++;
	}
	cow_session_note_time(&s->began);
	cow_clock_note(&s->clock);
	return cow_meta_write(s, wanted, arena, err);
}

static int cow_session_refuse_above(const char *above, uint32_t owner, struct sbx_err *err)
{
	bool unknown = owner != 0 && owner != geteuid() && trust_owner_is_unknown(owner);
	int r = err_refuse(err, EPERM, above, "%s",
			   unknown ? "its owner has no id in this user namespace, so it cannot be "
				     "told who can replace the session"
				   : "others can write there, and replace the session");

	err_set_option(err, "--session");
	err_hint(err, "%s",
		 unknown ? "begin it outside of the user namespace; sbx --root gives the "
			   "command the id 0,\nas \"unshare -r\" does"
			 : "keep sessions where only you can write");
	return r;
}

/* Whether others can replace the directory: only root and the caller may write above it. */
static int cow_session_check_above(const char *dir, struct sbx_err *err)
{
	char above[4096];
	struct stat st;
	char *slash;

	str_copy(above, sizeof(above), dir);
	while ((slash = strrchr(above, '/'))) {
		*slash = '\0';
		if (stat(above[0] ? above : "/", &st) < 0) {
			if (errno == ENOENT)
				continue; /* is made */
			return err_system(err, errno, above[0] ? above : "/",
					  "cannot be looked at, above the session");
		}
		if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
		    ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
			return cow_session_refuse_above(above[0] ? above : "/", st.st_uid, err);
	}
	return 0;
}

/* As it is for the verbs, whatever its record says. Return: 1, 0 or -errno. */
static int cow_dir_is_session(const char *dir)
{
	_autoclose_ int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstatat(fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > 0)
		return 0;
	return fstatat(fd, "meta", &st, AT_SYMLINK_NOFOLLOW) == 0 ? 1
	       : errno == ENOENT				  ? 0
								  : -errno;
}

/* One that lies in another's directory is removed with that; links may lead there. */
static int cow_session_check_outside(const char *dir, struct sbx_err *err)
{
	char above[PATH_MAX], real[PATH_MAX];
	const char *found;
	char *slash;
	int r;

	str_copy(above, sizeof(above), dir);
	do {
		slash = strrchr(above, '/');
		if (!slash)
			return 0;
		*slash = '\0';
		found = realpath(above[0] ? above : "/", real);
	} while (!found && errno == ENOENT);
	if (!found)
		return err_system(err, errno, above, "cannot be looked at, above the session");
	for (slash = real + strlen(real); slash; slash = strrchr(real, '/')) {
		*slash = '\0';
		r = cow_dir_is_session(real[0] ? real : "/");
		if (r < 0)
			return err_system(err, -r, real, "cannot be looked at, above the session");
		if (r == 0)
			continue;
		r = err_refuse(err, EINVAL, dir,
			       "lies in another session, %s, and would be lost with it", real);
		err_set_option(err, "--session");
		err_hint(err, "name a directory outside of it: --session DIR");
		return r;
	}
	return 0;
}

static bool cow_session_knows_root(const struct cow_session *s, const char *path)
{
	for (size_t i = 0; i < s->n_roots; i++)
		if (str_equal(s->roots[i].path, path))
			return true;
	return false;
}

static bool cow_wanted_knows_root(const struct cow_wanted *wanted, const char *path)
{
	for (size_t i = 0; i < wanted->n_roots; i++)
		if (str_equal(wanted->roots[i], path))
			return true;
	return false;
}

/* The first directory of a view comes before the mounts below it. */
static bool cow_wanted_has_above(const struct cow_wanted *wanted, const char *path)
{
	for (size_t i = 0; i < wanted->n_roots; i++)
		if (path_is_below(path, wanted->roots[i]) && !str_equal(path, wanted->roots[i]))
			return true;
	return false;
}

/* It has other roots: other directories were named, or mounts below them have come or gone. */
static int cow_begin_refuse_roots(const struct cow_session *s, const struct cow_wanted *wanted,
				  struct sbx_err *err)
{
	const char *gone = NULL, *new = NULL;
	int r;

	for (size_t i = 0; i < s->n_roots && !gone; i++)
		if (!cow_wanted_knows_root(wanted, s->roots[i].path))
			gone = s->roots[i].path;
	for (size_t i = 0; i < wanted->n_roots && !new; i++)
		if (!cow_session_knows_root(s, wanted->roots[i]))
			new = wanted->roots[i];
	if (gone && cow_wanted_has_above(wanted, gone)) {
		r = err_refuse(err, EINVAL, s->id,
			       "was begun with what was mounted at %s, and nothing is by now",
			       gone);
		err_hint(err, "mount it again, or begin another session");
	} else if (new &&cow_wanted_has_above(wanted, new)) {
		r = err_refuse(err, EINVAL, s->id, "was begun without what is mounted at %s by now",
			       new);
		err_hint(err, "unmount it, or begin another session");
	} else {
		r = err_refuse(err, EINVAL, s->id, "was begun with other directories, %s first",
			       s->roots[0].path);
		err_hint(err, "give the same --cow in the same order, or begin another session");
	}
	err_set_option(err, "--session");
	return r;
}

/* What was changed in one directory means nothing in another that has its name by now. */
static int cow_begin_check_root(const struct cow_session *s, size_t index, struct sbx_err *err)
{
	const struct cow_root *root = &s->roots[index];
	_autoclose_ int fd = sys_openat2(AT_FDCWD, root->path, O_PATH | O_DIRECTORY | O_CLOEXEC,
					 RESOLVE_NO_SYMLINKS);
	int r = fd < 0 ? -errno : cow_root_check(root, fd);

	if (r == 0)
		return 0;
	r = cow_session_refuse_root(s, root->path, -r, err);
	err_set_option(err, "--cow");
	return r;
}

/* In a child, as what other ids own may take it into a user namespace. */
static int cow_session_empty(const struct cow_session *s, struct sbx_err *err)
{
	int status = 0, r;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-cow_session_remove_roots(s));
	r = pid < 0 ? -errno : proc_wait(pid, &status);
	if (r < 0)
		return err_system(err, -r, s->dir, "cannot empty the session, which was applied");
	if (!WIFEXITED(status))
		return err_refuse(err, EIO, s->dir, "cannot empty the session, which was applied");
	return WEXITSTATUS(status) ? cow_session_refuse_removal(s, WEXITSTATUS(status), err) : 0;
}

/*
 * The host has it all by now, and is what is changed from now on, on either side: a layer that kept
 * what was applied would hide that, and be taken for newer. One that is killed meanwhile is
 * still applied, and begins anew the next time.
 */
static int cow_session_begin_anew(struct cow_session *s, const struct cow_wanted *wanted,
				  struct arena *arena, struct sbx_err *err)
{
	int r = cow_session_empty(s, err);

	if (r == 0)
		r = cow_session_fill(s, wanted, arena, err);
	if (r < 0)
		return r;
	if ((unlinkat(s->dir_fd, "journal", 0) < 0 && errno != ENOENT) ||
	    (unlinkat(s->dir_fd, "removals", 0) < 0 && errno != ENOENT) ||
	    (unlinkat(s->dir_fd, "placed", 0) < 0 && errno != ENOENT) ||
	    (unlinkat(s->dir_fd, COW_EMPTYING, 0) < 0 && errno != ENOENT) ||
	    unlinkat(s->dir_fd, "applied", 0) < 0)
		return err_system(err, errno, s->dir, "cannot begin anew what was applied");
	s->applied = false;
	return 0;
}

static int cow_session_go_on(struct cow_session *s, const struct cow_wanted *wanted,
			     struct arena *arena, struct sbx_err *err)
{
	int r = s->n_roots == wanted->n_roots ? 0 : cow_begin_refuse_roots(s, wanted, err);

	for (size_t i = 0; r == 0 && i < s->n_roots; i++)
		r = str_equal(s->roots[i].path, wanted->roots[i])
			    ? cow_begin_check_root(s, i, err)
			    : cow_begin_refuse_roots(s, wanted, err);
	if (r == 0 && !s->applied)
		r = cow_session_check_whole(s, err);
	if (r < 0)
		return r;
	/* Without ids but the caller's nothing of nobody's is made; with them it may be from now.
	 */
	if (s->uids.nobody == 0 && wanted->uids.nobody) {
		s->uids = wanted->uids;
		s->gids = wanted->gids;
		r = cow_meta_write(s, wanted, arena, err);
	}
	return r == 0 && s->applied ? cow_session_begin_anew(s, wanted, arena, err) : r;
}

/* ---- where ---- */

/* What could not be opened, as a directory for a session. */
static int cow_begin_refuse_open(int number, const char *dir, struct sbx_err *err)
{
	int r = cow_session_refuse_open(dir, dir, number, err);

	err_set_option(err, "--session");
	err_hint(err, "name a directory of yours, or one that is to be made: --session DIR");
	return r;
}

/*
 * Where others may make names too, but not change ours (/tmp), a directory that is made is as good
 * as one anywhere else; what was made there by another meanwhile is seen by looking again.
 *
 * Return: 0, or -errno with *err filled (-ENOENT: it was removed just now).
 */
static int cow_begin_dir(struct cow_session *s, const struct cow_wanted *wanted,
			 struct sbx_err *err)
{
	unsigned made;
	int r;

	s->dir_fd = dirs_open_own(s->dir);
	if (s->dir_fd != -ENOENT)
		return s->dir_fd < 0 ? cow_begin_refuse_open(-s->dir_fd, s->dir, err) : 0;
	r = dirs_make(s->dir, &made);
	if (r < 0) {
		r = err_system(err, -r, s->dir, "cannot make the session's directory");
		err_set_option(err, "--session");
		err_hint(err, "name a directory that you can make: --session DIR");
		return r;
	}
	/* What was made before, and removed by another, was made all the same. */
	if (!wanted->base && made > s->made)
		s->made = made;
	r = cow_session_check_above(s->dir, err);
	if (r == 0)
		s->dir_fd = dirs_open_own(s->dir);
	if (r == 0 && s->dir_fd < 0)
		r = cow_begin_refuse_open(-s->dir_fd, s->dir, err);
	if (r < 0 && r != -ENOENT)
		(void)dirs_unmake(s->dir, s->made);
	return r;
}

static int cow_begin_refuse_place(const struct cow_session *s, int place, struct sbx_err *err)
{
	int r;

	if (place < 0)
		return err_system(err, -place, s->dir, "cannot look at the session");
	r = err_refuse(err, ENOTEMPTY, s->dir, "is not empty, and no session");
	err_set_option(err, "--session");
	err_hint(err, "a session begins in a directory that is new or empty: name another one; "
		      "what lies\nin this one stays as it is");
	return r;
}

/* ---- begin, or go on ---- */

/* What this process has made for it goes; the record has not come to be there. */
static void cow_begin_undo(struct cow_session *s)
{
	(void)cow_unmake_roots(s->dir_fd, s->n_roots);
	(void)unlinkat(s->dir_fd, "meta.new", 0);
	if (s->lock_made)
		(void)unlinkat(s->dir_fd, "lock", 0);
	(void)dirs_unmake(s->dir, s->made);
}

/* The directory is locked. Return: as cow_begin_try(). */
static int cow_begin_locked(struct cow_session *s, const struct cow_wanted *wanted,
			    struct arena *arena, bool *ret_again, struct sbx_err *err)
{
	int place = cow_place_look(s->dir_fd), r = 0;

	if (place == COW_PLACE_SESSION) {
		*ret_again = true;
		return cow_session_refuse_busy(s, err);
	}
	if (place == COW_PLACE_BEGUN)
		r = cow_unmake_begun(s->dir_fd);
	if (place < 0 || place == COW_PLACE_OTHER || r < 0)
		r = cow_begin_refuse_place(s, r < 0 && r != -ENOTEMPTY ? r : place, err);
	else
		r = cow_session_fill(s, wanted, arena, err);
	if (r < 0)
		cow_begin_undo(s);
	else
		s->fresh = true;
	return r;
}

/*
 * What another begins at this moment is neither one thing nor the other, until he has his lock no
 * more, or keeps it as the session's. Where nobody has it, what was seen is so.
 */
static int cow_begin_look_again(struct cow_session *s, int place, bool *ret_again,
				struct sbx_err *err)
{
	bool busy = false;
	struct stat st;
	int r = 0;

	if (fstatat(s->dir_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size) {
		*ret_again = place == -ENOENT;
		return cow_begin_refuse_place(s, place, err);
	}
	r = cow_session_lock(s, false, &busy, err);
	if (r == 0 && !busy)
		place = cow_place_look(s->dir_fd);
	if (r == 0 && !busy && (place < 0 || place == COW_PLACE_OTHER)) {
		if (s->lock_made)
			(void)unlinkat(s->dir_fd, "lock", 0);
		return cow_begin_refuse_place(s, place, err);
	}
	*ret_again = r == -ENOENT || (r == 0 && !busy);
	return r < 0 ? r : cow_session_refuse_busy(s, err);
}

/*
 * Begin it, if there is none.
 * @ret_again: somebody else has begun one there meanwhile, or removed it
 *
 * Return: 0, or -errno with *err filled.
 */
static int cow_begin_try(struct cow_session *s, const struct cow_wanted *wanted,
			 struct arena *arena, bool *ret_again, struct sbx_err *err)
{
	bool busy = false;
	int place, r = cow_begin_dir(s, wanted, err);

	*ret_again = r == -ENOENT;
	if (r < 0)
		return r;
	place = cow_place_look(s->dir_fd);
	if (place == COW_PLACE_SESSION) {
		cow_session_close(s);
		r = cow_session_open(wanted->dir, wanted->id, COW_LOCK_WRITE, arena, s, err);
		*ret_again = r == -ENOENT;
		return r < 0 ? r : cow_session_go_on(s, wanted, arena, err);
	}
	if (place < 0 || place == COW_PLACE_OTHER)
		return cow_begin_look_again(s, place, ret_again, err);
	r = cow_session_lock(s, false, &busy, err);
	if (r == 0 && busy)
		return cow_session_refuse_busy(s, err);
	*ret_again = r == -ENOENT;
	/* Where there are no locks to be had, say. */
	if (r < 0 && r != -ENOENT)
		cow_begin_undo(s);
	return r < 0 ? r : cow_begin_locked(s, wanted, arena, ret_again, err);
}

/**
 * Begin a session, or go on with one that is there; it is locked until it is closed. A signal that
 * ends this process meanwhile is to be blocked, or what is made stays until the next sbx.
 *
 * Return: 0, or -errno with *err filled; then nothing new is left.
 */
int cow_session_start(const struct cow_wanted *wanted, struct arena *arena, struct cow_session *ret,
		      struct sbx_err *err)
{
	const mode_t mask = umask(077);
	bool again = true;
	int r = cow_session_check_above(wanted->dir, err);

	if (r == 0)
		r = cow_session_check_outside(wanted->dir, err);
	if (r == 0 && wanted->base)
		cow_session_sweep(wanted->base);
	ret->id = wanted->id;
	ret->dir = wanted->dir;
	ret->n_roots = 0;
	/* The place of all sessions stays when there is none. */
	ret->made = wanted->base ? 1 : 0;
	for (int i = 0; r == 0 && again && i < COW_BEGIN_TRIES; i++) {
		cow_session_close(ret);
		r = cow_begin_try(ret, wanted, arena, &again, err);
		if (again && i + 1 < COW_BEGIN_TRIES)
			r = 0;
	}
	(void)umask(mask);
	return r;
}

/* The launch came to nothing: what was made for it goes. */
void cow_session_abandon(struct cow_session *session)
{
	struct sbx_err ignored;

	if (session->fresh)
		(void)cow_session_remove(session, &ignored);
}
