/* SPDX-License-Identifier: MIT */
/*
 * walk: see walk.h.
 *
 * A directory's names are read some thousand at a time, each batch in order; so what is
 * printed is sorted where directories are of usual size, and memory has a bound where they
 * are not.
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/ids.h"
#include "sbx/cow/part.h"
#include "sbx/cow/times.h"
#include "sbx/cow/walk.h"
#include "sbx/cow/xattr.h"

enum { WALK_COMPARE_BYTES = 1 << 16, WALK_MAP_BYTES = 1 << 14, WALK_NOBODY = 65534 };

struct walk {
	const struct cow_session *session;
	const struct cow_root *root;
	const struct cow_visitor *visitor;
	struct sbx_err *err;
	char *path; /* owned, COW_PATH_MAX; the entry that is looked at */
	size_t path_len;
	int base_fd;	/* borrowed; what the root's layer began with; -1: that is not known */
	bool base_time; /* the time of the root's layer is another by now */
};

enum walk_mark { WALK_PLAIN, WALK_WHITEOUT, WALK_SKIP };

static const char fuse_whiteout[] = ".wh.";
static const char fuse_opaque[] = ".wh..wh..opq";

/* ---- access ---- */

/* What is one write(2) to a file of /proc. */
static bool walk_tell_kernel(const char *path, const char *text)
{
	return io_write_file_at(AT_FDCWD, path, text, strlen(text)) == 0;
}

/* Is this process in such a namespace already? It begins with the caller's one id then. */
static bool walk_has_gained(void)
{
	char text[128];
	unsigned inside, outside, count;
	_autoclose_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	bool gained = false;

	text[n > 0 ? n : 0] = '\0';
	for (const char *line = text; line && *line && !gained; line = strchr(line, '\n')) {
		line += *line == '\n';
		gained = sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && count == 1 &&
			 inside == geteuid();
	}
	return gained;
}

static int walk_gain(uid_t uid, gid_t gid)
{
	char uid_map[64], gid_map[64];

	(void)snprintf(uid_map, sizeof(uid_map), "%u %u 1", uid, uid);
	(void)snprintf(gid_map, sizeof(gid_map), "%u %u 1", gid, gid);
	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	return walk_tell_kernel("/proc/self/setgroups", "deny") &&
			       walk_tell_kernel("/proc/self/uid_map", uid_map) &&
			       walk_tell_kernel("/proc/self/gid_map", gid_map)
		       ? 0
		       : -EPERM;
}

static noreturn void walk_try_main(uid_t uid, gid_t gid)
{
	_exit(walk_gain(uid, gid) < 0);
}

/**
 * Be able to read and change whatever belongs to the caller, whatever its permissions say: a
 * command may have made a directory that its owner cannot enter, and files of the ids that only
 * sandboxes of the caller's have. A user namespace with those ids gives that (ids.h), or one
 * with the caller's own only. Where there may be none, which a child finds
 * out, all goes on without.
 */
void cow_gain_access(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int status = 1;
	pid_t pid;

	if (uid == 0 || walk_has_gained() || cow_ids_gain() == 0)
		return;
	pid = fork();
	if (pid == 0)
		walk_try_main(uid, gid);
	if (pid > 0 && proc_wait(pid, &status) == 0 && status == 0)
		(void)walk_gain(uid, gid);
}

/* Has this process's namespace such an id? @file: its uid_map or gid_map */
static bool walk_maps(const char *file, uint32_t id)
{
	char text[WALK_MAP_BYTES];
	unsigned inside, outside, count;
	_autoclose_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	bool has = false;

	text[n > 0 ? n : 0] = '\0';
	for (const char *line = text; line && *line && !has; line = strchr(line, '\n')) {
		line += *line == '\n';
		has = sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && id >= inside &&
		      id - inside < count;
	}
	return has;
}

/* Does a file belong to the caller, or can what belongs to its ids be changed with that access? */
bool cow_reaches(const struct stat *st)
{
	if (geteuid() == 0 || st->st_uid == geteuid())
		return true;
	cow_gain_access();
	return walk_has_gained() && walk_maps("/proc/self/uid_map", st->st_uid) &&
	       walk_maps("/proc/self/gid_map", st->st_gid);
}

/**
 * Open a name in a directory, with that access where it takes it.
 * @flags: of open(2), without those for links and execution
 *
 * Return: as open(2): no link is followed, no mount entered.
 */
int cow_open(int dir_fd, const char *name, int flags)
{
	const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
	const uint64_t all = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC);
	int fd = sys_openat2(dir_fd, name, all, how);

	if (fd >= 0 || errno != EACCES)
		return fd;
	cow_gain_access();
	return sys_openat2(dir_fd, name, all, how);
}

/* ---- the two formats ---- */

/*
 * A mark of fuse-overlayfs that is a name is an empty file with no other. It keeps a command from
 * opening such a name only: one may be given to whatever is made, linked or renamed, and
 * then is a name as any other. (A file that a command empties and renames is taken for a mark:
 * see sbx-cow(7).)
 */
static bool walk_is_fuse_mark(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_nlink == 1;
}

static bool walk_has_fuse_mark(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && walk_is_fuse_mark(&st);
}

/*
 * What a name in the layer stands for. @ret_name: the name that is removed, or `name`.
 * A command cannot make a character device 0/0 of its own: neither driver lets it.
 */
static enum walk_mark walk_mark(const struct walk *w, int dir_fd, bool by_xattr, const char *name,
				const struct stat *st, const char **ret_name)
{
	struct stat there;

	*ret_name = name;
	if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
		return WALK_WHITEOUT;
	if (w->root->fuse && str_starts_with(name, fuse_whiteout) && walk_is_fuse_mark(st)) {
		if (str_equal(name, fuse_opaque) || !name[strlen(fuse_whiteout)])
			return WALK_SKIP;
		*ret_name = name + strlen(fuse_whiteout);
		if (path_is_dots(*ret_name))
			return WALK_SKIP;
		/* Beside a mark, what is there counts. */
		return fstatat(dir_fd, *ret_name, &there, AT_SYMLINK_NOFOLLOW) == 0 ? WALK_SKIP
										    : WALK_WHITEOUT;
	}
	if (by_xattr && S_ISREG(st->st_mode) && st->st_size == 0 &&
	    cow_xattr_has(dir_fd, name, "user.overlay.whiteout", NULL))
		return WALK_WHITEOUT;
	return WALK_PLAIN;
}

/* What a directory's own marks say. */
struct walk_marks {
	bool opaque;   /* nothing of the host's directory is seen through it */
	bool by_xattr; /* empty files with an attribute may be whiteouts (Linux 6.7) */
};

static bool walk_has_mark(int dir_fd, const char *attribute, char wanted)
{
	char value = '\0';

	return cow_xattr_has(dir_fd, ".", attribute, &value) && value == wanted;
}

/*
 * Attributes called user.overlay. are the command's where fuse-overlayfs has kept the layer: it
 * makes none, and version 1.10 lets them be set. It makes the file in any case, and relies on that
 * where there are no attributes; where there are, a file without is none of its own.
 */
static struct walk_marks walk_read_marks(const struct walk *w, int dir_fd)
{
	if (w->root->fuse)
		return (struct walk_marks){
			.opaque = walk_has_mark(dir_fd, "user.fuseoverlayfs.opaque", 'y') ||
				  walk_has_mark(dir_fd, "trusted.overlay.opaque", 'y') ||
				  (!cow_xattr_can(dir_fd, ".") &&
				   walk_has_fuse_mark(dir_fd, fuse_opaque)),
		};
	return (struct walk_marks){
		.opaque = walk_has_mark(dir_fd, "user.overlay.opaque", 'y'),
		.by_xattr = walk_has_mark(dir_fd, "user.overlay.opaque", 'x'),
	};
}

/* Marks that say that data or names are elsewhere. Neither driver makes them as sbx starts it. */
static int walk_check_marks(const struct walk *w, int dir_fd, const char *name)
{
	static const char *const marks[] = {"user.overlay.redirect", "user.overlay.metacopy",
					    "user.fuseoverlayfs.redirect"};
	const size_t n = ARRAY_SIZE(marks) - !w->root->fuse; /* a name as any other there */
	const char *mark = cow_xattr_find(dir_fd, name, marks, n);

	return mark ? err_refuse(w->err, EUCLEAN, w->path, "has a mark that sbx does not make: %s",
				 mark)
		    : 0;
}

/* ---- names ---- */

struct walk_names {
	char **names; /* owned, each of them too */
	size_t n, size;
};

static void walk_names_finish(struct walk_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct walk_names){0};
}

static int walk_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Some more names, in order. Return: how many, 0 at the end, or -errno. */
static int walk_names_read(DIR *dir, struct walk_names *names)
{
	const struct dirent *e;

	walk_names_finish(names);
	while (names->n < COW_BATCH_MAX && (errno = 0, e = readdir(dir))) {
		if (path_is_dots(e->d_name))
			continue;
		if (names->n == names->size) {
			size_t size = names->size ? names->size * 2 : 64;
			char **grown = reallocarray(names->names, size, sizeof(*grown));

			if (!grown)
				return -ENOMEM;
			names->names = grown;
			names->size = size;
		}
		names->names[names->n] = strdup(e->d_name);
		if (!names->names[names->n])
			return -ENOMEM;
		names->n++;
	}
	if (errno)
		return -errno;
	if (names->n)
		qsort(names->names, names->n, sizeof(*names->names), walk_compare_names);
	return (int)names->n;
}

/* ---- the path ---- */

/* Return: the length to go back to, or -errno with *err filled. */
static ssize_t walk_push(struct walk *w, const char *name)
{
	size_t before = w->path_len, len = strlen(name);

	if (before + len + 2 > COW_PATH_MAX)
		return err_refuse(w->err, ENAMETOOLONG, w->path, "lies too deep");
	if (before)
		w->path[w->path_len++] = '/';
	memcpy(w->path + w->path_len, name, len + 1);
	w->path_len += len;
	return (ssize_t)before;
}

static void walk_pop(struct walk *w, ssize_t before)
{
	w->path_len = (size_t)before;
	w->path[w->path_len] = '\0';
}

/* ---- compare ---- */

static off_t walk_next_data(int fd, off_t at, off_t size)
{
	off_t next = lseek(fd, at, SEEK_DATA);

	if (next < 0)
		return errno == ENXIO ? size : at; /* where holes are not known all is data */
	return next;
}

/**
 * Do two files of the same size hold the same? Holes are passed over where both have them.
 *
 * Return: true, or false; where one cannot be read also false, with *err filled.
 */
bool cow_is_same_file(int upper_fd, int host_fd, off_t size, struct sbx_err *err)
{
	char a[WALK_COMPARE_BYTES], b[WALK_COMPARE_BYTES];
	off_t at = 0;

	while (at < size) {
		off_t data_a = walk_next_data(upper_fd, at, size);
		off_t data_b = walk_next_data(host_fd, at, size);
		size_t want = sizeof(a);
		ssize_t n, m;

		at = data_a < data_b ? data_a : data_b;
		if (at >= size)
			break;
		if ((off_t)want > size - at)
			want = (size_t)(size - at);
		n = pread(upper_fd, a, want, at);
		m = n > 0 ? pread(host_fd, b, (size_t)n, at) : 0;
		if (n < 0 || m < 0) {
			(void)err_system(err, errno, NULL, "cannot compare");
			return false;
		}
		if (n == 0 || m != n || memcmp(a, b, (size_t)n) != 0)
			return false;
		at += n;
	}
	return true;
}

static int walk_open_file(int dir_fd, const char *name)
{
	return cow_open(dir_fd, name, O_RDONLY | O_NONBLOCK);
}

static int walk_compare_files(const struct walk *w, struct cow_entry *e)
{
	_autoclose_ int upper = -1, host = -1;

	if (e->upper.st_size != e->host.st_size) {
		e->changes |= COW_CONTENT;
		return 0;
	}
	if (e->upper.st_size == 0)
		return 0;
	upper = walk_open_file(e->upper_dir, e->name);
	if (upper < 0)
		return err_system(w->err, errno, w->path, "cannot read the changed file");
	host = walk_open_file(e->host_dir, e->name);
	/* Another file is mounted there by now: what is below it cannot be compared. */
	if (host < 0 && errno == EXDEV) {
		e->changes |= COW_CONTENT;
		return 0;
	}
	if (host < 0)
		return err_system(w->err, errno, w->path, "cannot read the host's file");
	w->err->number = 0;
	if (!cow_is_same_file(upper, host, e->upper.st_size, w->err)) {
		if (w->err->number)
			return -w->err->number;
		e->changes |= COW_CONTENT;
	}
	return 0;
}

static int walk_compare_links(const struct walk *w, struct cow_entry *e)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlinkat(e->upper_dir, e->name, a, sizeof(a));
	ssize_t m = readlinkat(e->host_dir, e->name, b, sizeof(b));

	if (n < 0 || m < 0)
		return err_system(w->err, errno, w->path, "cannot read the link");
	if (n != m || memcmp(a, b, (size_t)n) != 0)
		e->changes |= COW_CONTENT;
	return 0;
}

static bool walk_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * All ids that the sandbox has not look alike there, and what fuse-overlayfs shows of theirs is
 * copied with "nobody" as its owner (the kernel alone does not copy it at all). That is no change:
 * what is so copied has the owner that the host's has. Once applied by an ordinary user, that is
 * the caller; so only root tells it from what the command gave to "nobody". In a user namespace
 * (cow_gain_access()) ids that this process has not look alike too.
 */
static uint32_t walk_real_id(const struct walk *w, uint32_t upper, uint32_t host,
			     const struct cow_ids *ids)
{
	if (upper == WALK_NOBODY && !cow_ids_have(ids, upper))
		return host;
	if (!w->root->as_nobody || !ids->nobody || upper != ids->nobody)
		return upper;
	return geteuid() != 0 || !cow_ids_have(ids, host) ? host : upper;
}

/*
 * fuse-overlayfs makes directories anew with mkdir(2), which knows no set-id bits. That one of the
 * host's lacks them in its layer is no change of the command's.
 */
static mode_t walk_lost_bits(const struct walk *w, const struct cow_entry *e)
{
	return w->root->fuse && S_ISDIR(e->upper.st_mode) ? e->host.st_mode & (S_ISUID | S_ISGID)
							  : 0;
}

/* Those of the root are changed where they are not what its layer began with, either. */
static int walk_compare_attributes(const struct walk *w, struct cow_entry *e)
{
	int r = 0;

	if (e->depth == 0)
		r = w->base_fd < 0 ? 1
				   : cow_xattr_equal(e->upper_dir, e->name, w->base_fd, e->name);
	if (r == 0)
		r = cow_xattr_equal(e->upper_dir, e->name, e->host_dir, e->name);
	if (r < 0)
		return err_system(w->err, -r, w->path, "cannot compare attributes");
	e->changes |= r == 0 ? COW_XATTRS : 0;
	return 0;
}

/* What differs between an entry of the layer and the host's of that name. */
static int walk_compare(const struct walk *w, struct cow_entry *e)
{
	mode_t type = e->upper.st_mode & S_IFMT;
	int r = 0;

	if (!e->has_host) {
		e->changes = COW_ADDED;
		return 0;
	}
	if (type != (e->host.st_mode & S_IFMT)) {
		e->changes = COW_TYPE;
		return 0;
	}
	e->upper.st_mode |= walk_lost_bits(w, e);
	/* The root's layer is made by sbx, with the caller as its owner and no set-id bits. */
	if (type != S_IFLNK &&
	    ((e->upper.st_mode ^ e->host.st_mode) & (e->depth > 0 ? 07777 : 01777)) != 0)
		e->changes |= COW_MODE;
	e->upper.st_uid = walk_real_id(w, e->upper.st_uid, e->host.st_uid, &w->session->uids);
	e->upper.st_gid = walk_real_id(w, e->upper.st_gid, e->host.st_gid, &w->session->gids);
	if (e->depth > 0 &&
	    (e->upper.st_uid != e->host.st_uid || e->upper.st_gid != e->host.st_gid))
		e->changes |= COW_OWNER;
	if (!cow_time_is_kept(&e->host.st_mtim, &e->upper.st_mtim, &e->host.st_ctim))
		e->changes |= COW_TIME;
	if (type == S_IFREG)
		r = walk_compare_files(w, e);
	else if (type == S_IFLNK)
		r = walk_compare_links(w, e);
	return r < 0 ? r : walk_compare_attributes(w, e);
}

/*
 * What the host has under a name. What cannot be looked at is not taken for nothing: a removal
 * would be forgotten, and what is changed taken for new.
 *
 * Return: 1; 0: nothing; or -errno with *err filled.
 */
static int walk_look_at_host(const struct walk *w, int host_fd, const char *name, struct stat *ret)
{
	if (host_fd < 0)
		return 0;
	if (fstatat(host_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == EACCES) {
		cow_gain_access(); /* a directory that its owner cannot search */
		if (fstatat(host_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	}
	return errno == ENOENT || errno == ENAMETOOLONG
		       ? 0
		       : err_system(w->err, errno, name, "cannot look at the host's");
}

/* ---- the time of a directory ---- */

/* Return: its descriptor, or -errno with *err filled. */
static int walk_open_host(const struct walk *w, const struct cow_entry *e)
{
	int fd = cow_open(e->host_dir, e->name, O_RDONLY | O_DIRECTORY);

	return fd >= 0 ? fd
		       : err_system(w->err, errno, w->path,
				    errno == EXDEV ? "is a mount of the host's by now"
						   : "cannot open the host's directory");
}

/*
 * Does a name of the layer tell why its directory was changed? Then something was added,
 * removed or replaced. Of what was there before and only changed both drivers note
 * where it is from, but for what has no attributes.
 *
 * Return: 1, 0, or -errno with *err filled.
 */
static int walk_is_made(const struct walk *w, int upper_fd, int host_fd,
			const struct walk_marks *marks, const char *name)
{
	struct stat upper, host;
	const char *real;
	int r;

	if (w->root->fuse)
		return 1;
	if (fstatat(upper_fd, name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
		return err_system(w->err, errno, w->path, "cannot look at the changed directory");
	if (walk_mark(w, upper_fd, marks->by_xattr, name, &upper, &real) != WALK_PLAIN)
		return 1;
	r = walk_look_at_host(w, host_fd, name, &host);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (S_ISDIR(upper.st_mode)) {
		char opaque = '\0';

		return !S_ISDIR(host.st_mode) ||
		       (cow_xattr_has(upper_fd, name, "user.overlay.opaque", &opaque) &&
			opaque == 'y');
	}
	return !S_ISREG(upper.st_mode) || !S_ISREG(host.st_mode) ||
	       !cow_xattr_has(upper_fd, name, "user.overlay.origin", NULL);
}

/* Is there nothing in a directory? Return: 1, 0, or -errno with *err filled. */
static int walk_is_empty(const struct walk *w, int dir_fd)
{
	DIR *dir = fd_open_dir_again(dir_fd);
	const struct dirent *d;
	int r = 1;

	if (!dir)
		return err_system(w->err, errno, w->path, "cannot read the directory");
	while (r == 1 && (errno = 0, d = readdir(dir)))
		r = path_is_dots(d->d_name);
	if (r == 1 && errno)
		r = err_system(w->err, errno, w->path, "cannot read the directory");
	(void)closedir(dir);
	return r;
}

/* Does no name of the layer tell it? Return: 1, 0, or -errno with *err filled. */
static int walk_is_untold(const struct walk *w, const struct cow_entry *e, int upper_fd,
			  int host_fd)
{
	struct walk_marks marks = walk_read_marks(w, upper_fd);
	DIR *dir = fd_open_dir_again(upper_fd);
	const struct dirent *d;
	int made = 0;

	if (!dir)
		return err_system(w->err, errno, w->path, "cannot read the changed directory");
	marks.opaque = marks.opaque || e->hides;
	while (made == 0 && (errno = 0, d = readdir(dir)))
		if (!path_is_dots(d->d_name))
			made = marks.opaque ? 1
					    : walk_is_made(w, upper_fd, host_fd, &marks, d->d_name);
	if (made == 0 && errno)
		made = err_system(w->err, errno, w->path, "cannot read the changed directory");
	(void)closedir(dir);
	if (made != 0)
		return made < 0 ? made : 0;
	return marks.opaque ? walk_is_empty(w, host_fd) : 1;
}

/*
 * Is a directory's time one that the command has set, and no consequence? overlayfs gives a
 * directory its time back where it copies something into it. fuse-overlayfs does not: there only
 * that of one with nothing in its layer is known. One that was made anew, where both are empty, has
 * nothing else that tells it. Where the host's directory was changed later,
 * or is another's, nothing is known or done either (apply_finishes()).
 *
 * Return: 0, with e->own_time; or -errno with *err filled.
 */
static int walk_find_own_time(const struct walk *w, struct cow_entry *e)
{
	_autoclose_ int upper = -1, host = -1;
	int r;

	if (e->changes != COW_TIME || !S_ISDIR(e->upper.st_mode) || !S_ISDIR(e->host.st_mode) ||
	    cow_time_may_be_after(&e->host, &w->session->began) ||
	    (geteuid() != 0 && e->host.st_uid != geteuid()) || (e->depth == 0 && !w->base_time))
		return 0;
	upper = cow_open(e->upper_dir, e->name, O_RDONLY | O_DIRECTORY);
	if (upper < 0)
		return err_system(w->err, errno, w->path, "cannot open the changed directory");
	host = walk_open_host(w, e);
	if (host < 0)
		return host;
	r = walk_is_untold(w, e, upper, host);
	e->own_time = r == 1;
	return r < 0 ? r : 0;
}

/* Not for the host: see cow/xattr.c. */
static void walk_find_planted(const struct walk *w, struct cow_entry *e)
{
	e->plants = cow_xattr_plants(e->upper_dir, e->name, e->has_host ? e->host_dir : -1, e->name,
				     w->root->fuse);
	if (!e->plants || (e->changes & (COW_ADDED | COW_TYPE | COW_XATTRS)))
		return;
	e->only_plants = true;
	e->changes |= COW_XATTRS;
}

/* ---- directories ---- */

static int walk_dir(struct walk *w, int upper_fd, int host_fd, bool hides, size_t depth);

static int walk_removed(struct walk *w, int upper_fd, int host_fd, const char *name, size_t depth)
{
	struct cow_entry e = {.path = w->path,
			      .name = name,
			      .upper_dir = upper_fd,
			      .host_dir = host_fd,
			      .changes = COW_REMOVED,
			      .depth = depth};
	ssize_t before;
	int r;

	r = walk_look_at_host(w, host_fd, name, &e.host);
	if (r <= 0)
		return r; /* it is not there any more, or never was */
	e.has_host = true;
	before = walk_push(w, name);
	if (before < 0)
		return (int)before;
	r = w->visitor->entry(w->visitor->arg, &e, w->err);
	walk_pop(w, before);
	return r;
}

/* A directory of the layer; w->path is its. */
static int walk_into(struct walk *w, struct cow_entry *e)
{
	const int flags = O_RDONLY | O_DIRECTORY;
	_autoclose_ int upper = -1, host = -1;
	int r;

	if (e->depth > COW_DEPTH_MAX)
		return err_refuse(w->err, ELOOP, w->path, "is more than %d directories deep",
				  COW_DEPTH_MAX);
	r = w->visitor->enter(w->visitor->arg, e, &host, w->err);
	if (r != 0)
		return r < 0 ? r : 0;
	upper = cow_open(e->upper_dir, e->name, flags);
	if (upper < 0)
		return err_system(w->err, errno, w->path, "cannot open the changed directory");
	if (host < 0 && e->has_host && S_ISDIR(e->host.st_mode)) {
		host = walk_open_host(w, e);
		if (host < 0)
			return host;
	}
	r = walk_dir(w, upper, host, e->hides, e->depth);
	if (r == 0)
		r = w->visitor->leave(w->visitor->arg, e, upper, host, w->err);
	return r;
}

/*
 * Is something mounted on a directory that the layer has? Then it is not that directory that can be
 * seen, and what is can not be compared.
 */
static bool walk_is_covered(const struct cow_entry *e)
{
	struct sys_mount mount;

	return e->has_host && S_ISDIR(e->host.st_mode) && S_ISDIR(e->upper.st_mode) &&
	       sys_statx_mount(e->host_dir, e->name, &mount) == 0 && mount.is_root;
}

static int walk_tell_covered(const struct walk *w, const struct cow_entry *e)
{
	if (w->visitor->covered)
		return w->visitor->covered(w->visitor->arg, e, w->err);
	return cow_part_refuse_covered(w->session, (size_t)(w->root - w->session->roots), e->path,
				       w->err);
}

static int walk_compare_one(struct walk *w, struct cow_entry *e)
{
	int r = walk_compare(w, e);

	if (r == 0)
		r = walk_find_own_time(w, e);
	if (r < 0)
		return r;
	walk_find_planted(w, e);
	if (S_ISDIR(e->upper.st_mode))
		return walk_into(w, e);
	return e->changes || e->upper.st_nlink > 1 ? w->visitor->entry(w->visitor->arg, e, w->err)
						   : 0;
}

static int walk_one(struct walk *w, int upper_fd, int host_fd, const struct walk_marks *marks,
		    const char *name, size_t depth)
{
	struct cow_entry e = {.path = w->path,
			      .name = name,
			      .upper_dir = upper_fd,
			      .host_dir = host_fd,
			      .hides = marks->opaque,
			      .depth = depth};
	const char *real;
	ssize_t before;
	int r;

	if (fstatat(upper_fd, name, &e.upper, AT_SYMLINK_NOFOLLOW) < 0)
		return err_system(w->err, errno, name, "cannot look at a change");
	switch (walk_mark(w, upper_fd, marks->by_xattr, name, &e.upper, &real)) {
	case WALK_SKIP:
		return 0;
	case WALK_WHITEOUT:
		return walk_removed(w, upper_fd, host_fd, real, depth);
	case WALK_PLAIN:
		break;
	}
	before = walk_push(w, name);
	if (before < 0)
		return (int)before;
	r = walk_look_at_host(w, host_fd, name, &e.host);
	e.has_host = r == 1;
	if (r >= 0)
		r = walk_check_marks(w, upper_fd, name);
	if (r == 0)
		r = walk_is_covered(&e) ? walk_tell_covered(w, &e) : walk_compare_one(w, &e);
	walk_pop(w, before);
	return r;
}

/* What an opaque directory hides: all that the layer has not. */
static int walk_hidden(struct walk *w, int upper_fd, int host_fd, size_t depth)
{
	struct walk_names names = {0};
	DIR *dir = fd_open_dir_again(host_fd);
	int r, n;

	if (!dir)
		return err_system(w->err, errno, w->path, "cannot read the host's directory");
	r = 0;
	while (r == 0 && (n = walk_names_read(dir, &names)) != 0) {
		if (n < 0)
			r = err_system(w->err, -n, w->path, "cannot read the host's directory");
		for (size_t i = 0; i < names.n && r == 0; i++) {
			char mark[NAME_MAX + 8];
			struct stat st;

			(void)snprintf(mark, sizeof(mark), "%s%s", fuse_whiteout, names.names[i]);
			if (fstatat(upper_fd, names.names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 ||
			    (w->root->fuse && walk_has_fuse_mark(upper_fd, mark)))
				continue;
			r = walk_removed(w, upper_fd, host_fd, names.names[i], depth);
		}
	}
	walk_names_finish(&names);
	(void)closedir(dir);
	return r;
}

/* @hides: a directory above is opaque, and so is all in it */
static int walk_dir(struct walk *w, int upper_fd, int host_fd, bool hides, size_t depth)
{
	struct walk_names names = {0};
	struct walk_marks marks = walk_read_marks(w, upper_fd);
	DIR *dir = fd_open_dir_again(upper_fd);
	int r = 0, n;

	if (!dir)
		return err_system(w->err, errno, w->path, "cannot read the changed directory");
	marks.opaque = marks.opaque || hides;
	/* Behind the names that are there: one that was renamed is added before it is removed. */
	while (r == 0 && (n = walk_names_read(dir, &names)) != 0) {
		if (n < 0)
			r = err_system(w->err, -n, w->path, "cannot read the changed directory");
		for (size_t i = 0; i < names.n && r == 0; i++)
			r = walk_one(w, upper_fd, host_fd, &marks, names.names[i], depth + 1);
	}
	walk_names_finish(&names);
	(void)closedir(dir);
	return r == 0 && marks.opaque && host_fd >= 0 ? walk_hidden(w, upper_fd, host_fd, depth + 1)
						      : r;
}

/* As many descriptors as the deepest tree takes. */
static void walk_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/**
 * Go through what a root's layer changes.
 *
 * Return: 0; the first negative number that the visitor returns; or -errno with *err filled.
 */
int cow_walk(const struct cow_session *session, size_t root, const struct cow_visitor *visitor,
	     struct sbx_err *err)
{
	_autofree_ char *path = calloc(1, COW_PATH_MAX);
	_autoclose_ int upper = -1, host = -1, base = -1;
	struct walk w = {session, &session->roots[root], visitor, err, path, 0, -1, false};
	struct cow_entry e = {.path = ".", .name = ".", .has_host = true};
	struct stat st;
	int r;

	if (!path)
		return err_oom(err);
	r = cow_session_open_root(session, root, &upper, &host, err);
	if (r == 0)
		r = cow_session_open_base(session, root, &base, err);
	if (r < 0)
		return r;
	walk_raise_limit();
	w.base_fd = base;
	e.upper_dir = upper;
	e.host_dir = host;
	if (fstat(upper, &e.upper) < 0 || fstat(host, &e.host) < 0 ||
	    (base >= 0 && fstat(base, &st) < 0))
		return err_system(err, errno, session->dir, "cannot look at the changes");
	if (base >= 0)
		w.base_time = !walk_same_time(&e.upper.st_mtim, &st.st_mtim);
	r = walk_compare(&w, &e);
	if (r == 0)
		r = walk_find_own_time(&w, &e);
	if (r == 0)
		r = walk_into(&w, &e);
	return r;
}
