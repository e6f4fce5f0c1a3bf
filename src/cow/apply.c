/* SPDX-License-Identifier: MIT */
/*
 * apply: see apply.h.
 *
 * Theory of operation
 *
 * The changes are walked twice: first only to look, so that where something has changed on
 * the host nothing at all is done; then to act, looking again at each entry.
 *
 * Everything appears at once under its name: it is made beside it, complete with its
 * attributes and on disk, and renamed. A directory that goes is renamed before it is emptied.
 * There are some names for what is not yet, or no more, in place; what a killed apply has left
 * there is removed when the next one comes to that directory. So at any moment every
 * name of the host has what it had, or what it is to have.
 *
 * A disk is what this waits for. So files are made until there are some, in whatever directories,
 * are written to disk all together, and then put in place one after the other (apply_flush()), with
 * what else is to be done meanwhile, in its order.
 *
 * What has a change time later than the beginning of the session was changed by somebody
 * else, except what equals the layer already, which is an earlier try's work, and directories
 * in the journal. A new directory is in the journal before it has its name.
 *
 * Hard links are found by the numbers of the files in the layer. Where a name of such a file is
 * on the host as it should be, which the first walk finds out, the others become links to it;
 * else the first is copied.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply.h"
#include "sbx/cow/journal.h"
#include "sbx/cow/mounts.h"
#include "sbx/cow/sync.h"
#include "sbx/cow/xattr.h"

enum {
	APPLY_COPY_BYTES = 1 << 16,
	APPLY_LINKS_MAX = 1 << 20,
	APPLY_LINKS_BYTES = 128 << 20, /* of their paths */
	APPLY_SCAN_DEPTH = 200,
	APPLY_STARS_MAX = 6,
	APPLY_SETID = S_ISUID | S_ISGID,
	APPLY_GROUPS_MAX = 256,
	APPLY_OPS_MAX = COW_SYNC_MAX,
	APPLY_OPS_BYTES = 64 << 20 /* of files that are not on disk yet */
};

/* A file of the layer with several names, and what the first of them has become. */
struct apply_link {
	uint64_t dev, ino;	     /* in the layer; ino 0: a free place */
	uint64_t host_dev, host_ino; /* on the host */
	char *path;		     /* owned; relative to the root */
	size_t root;
};

enum apply_kind {
	APPLY_PLACE,  /* what is under the temporary name gets its own */
	APPLY_REMOVE, /* a name of the host goes */
	APPLY_FINISH  /* all in a directory is done */
};

/* What is to be done when the files that were made are on disk. */
struct apply_op {
	enum apply_kind kind;
	struct cow_entry entry; /* its path and two descriptors are owned */
	int fd;			/* owned; the new file, the directory that is finished, or -1 */
};

struct apply {
	struct cow_session *session;
	const struct cow_apply_options *options;
	struct cow_applied *applied;
	struct cow_journal journal;
	struct cow_mounts mounts;
	struct apply_link *links; /* owned; a hash table */
	size_t n_links, links_size, links_bytes;
	size_t root;
	int root_fd; /* owned; of the host */
	bool acts;   /* the second walk */
	bool again;  /* an earlier try may have left something */
	struct apply_op ops[APPLY_OPS_MAX];
	size_t n_ops;
	off_t ops_bytes;
	sigset_t held; /* signals that wait */
	struct cow_sync sync;
	char temporary[48]; /* what all names of what is not in place begin with */
	char name[48 + 16]; /* the present one: the place in `ops` is behind it */
	char why[512];	    /* something cannot be applied */
};

/* ---- what is meant ---- */

/* As fnmatch(3), where a star stands for slashes too; and a directory of stars for none as well. */
static bool apply_fits(const char *pattern, const char *path, int depth)
{
	const char *stars = strstr(pattern, "**/");
	char shorter[PATH_MAX];

	if (fnmatch(pattern, path, FNM_LEADING_DIR) == 0)
		return true;
	if (!stars || depth == APPLY_STARS_MAX || strlen(pattern) >= sizeof(shorter))
		return false;
	/* Without the first, or with it as one star, which is no such directory any more. */
	(void)snprintf(shorter, sizeof(shorter), "%.*s%s", (int)(stars - pattern), pattern,
		       stars + strlen("**/"));
	if (apply_fits(shorter, path, depth + 1))
		return true;
	(void)snprintf(shorter, sizeof(shorter), "%.*s%s", (int)(stars - pattern), pattern,
		       stars + strlen("*"));
	return apply_fits(shorter, path, depth + 1);
}

static bool apply_matches(const char *const *patterns, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (apply_fits(patterns[i], path, 0))
			return true;
	return false;
}

static bool apply_selects(const struct apply *a, const char *path)
{
	const struct cow_apply_options *o = a->options;

	return (o->n_include == 0 || apply_matches(o->include, o->n_include, path)) &&
	       !apply_matches(o->exclude, o->n_exclude, path);
}

static bool apply_excludes(const struct apply *a, const char *path)
{
	return apply_matches(a->options->exclude, a->options->n_exclude, path);
}

typedef bool (*apply_test)(const struct apply *a, const char *path);

/* Is there anything below a directory, of the layer or the host, for which it holds? */
static bool apply_any_below(const struct apply *a, apply_test test, int dir_fd, const char *name,
			    const char *path, unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool found = false;

	if (!dir) {
		defs_cleanup_fd(&fd);
		return false;
	}
	while (!found && depth < APPLY_SCAN_DEPTH && (e = readdir(dir))) {
		_autofree_ char *below = NULL;
		struct stat st;

		if (str_equal(e->d_name, ".") || str_equal(e->d_name, "..") ||
		    asprintf(&below, "%s/%s", path, e->d_name) < 0)
			continue;
		found = test(a, below) ||
			(fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 S_ISDIR(st.st_mode) &&
			 apply_any_below(a, test, fd, e->d_name, below, depth + 1));
	}
	(void)closedir(dir);
	return found;
}

static bool apply_can_own(void)
{
	return geteuid() == 0;
}

/* What is left to be done: not what cannot be or is not wanted, or it would never end. */
static uint32_t apply_changes(const struct apply *a, const struct cow_entry *e)
{
	uint32_t changes = e->changes;

	if (!a->options->allow_setid &&
	    ((e->upper.st_mode ^ e->host.st_mode) & (07777 & ~APPLY_SETID)) == 0 &&
	    (e->upper.st_mode & APPLY_SETID & ~e->host.st_mode))
		changes &= ~(uint32_t)COW_MODE;
	if (!apply_can_own())
		changes &= ~(uint32_t)COW_OWNER;
	return changes;
}

/* ---- what has changed on the host ---- */

static bool apply_is_later(const struct apply *a, const struct stat *st)
{
	const struct timespec *began = &a->session->began;

	return st->st_ctim.tv_sec > began->tv_sec ||
	       (st->st_ctim.tv_sec == began->tv_sec && st->st_ctim.tv_nsec > began->tv_nsec);
}

/* Has anything in a directory of the host changed, or does something else lie in it? */
static bool apply_tree_is_later(const struct apply *a, int dir_fd, const char *name, unsigned depth)
{
	int fd = sys_openat2(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool later = depth >= APPLY_SCAN_DEPTH;

	if (!dir) {
		defs_cleanup_fd(&fd);
		return true; /* a mount, or what cannot be looked into */
	}
	while (!later && (e = readdir(dir))) {
		struct stat st;

		if (str_equal(e->d_name, ".") || str_equal(e->d_name, ".."))
			continue;
		later = fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			(apply_is_later(a, &st) && !cow_journal_has(&a->journal, &st)) ||
			(S_ISDIR(st.st_mode) && apply_tree_is_later(a, fd, e->d_name, depth + 1));
	}
	(void)closedir(dir);
	return later;
}

static bool apply_is_others(const struct apply *a, const struct stat *st)
{
	return apply_is_later(a, st) && !cow_journal_has(&a->journal, st);
}

static bool apply_entry_is_later(const struct apply *a, const struct cow_entry *e)
{
	if (!e->has_host)
		return false;
	/* A file with several names, one of which was taken away or added by us, is in the journal.
	 */
	return apply_is_others(a, &e->host) ||
	       (S_ISDIR(e->host.st_mode) && apply_tree_is_later(a, e->host_dir, e->name, 0));
}

/* ---- what is mounted ---- */

/* The first mount in a directory of the host; NULL: there is none. */
static const char *apply_find_mount_below(const struct apply *a, int dir_fd, const char *name,
					  unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	const char *point = NULL;

	if (!dir) {
		defs_cleanup_fd(&fd);
		return NULL;
	}
	while (!point && depth < APPLY_SCAN_DEPTH && (e = readdir(dir))) {
		struct stat st;

		if (str_equal(e->d_name, ".") || str_equal(e->d_name, "..") ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		point = cow_mounts_find(&a->mounts, &st);
		if (!point && S_ISDIR(st.st_mode))
			point = apply_find_mount_below(a, fd, e->d_name, depth + 1);
	}
	(void)closedir(dir);
	return point;
}

/*
 * Is what has to give way mounted? A mount point cannot be replaced, and a file that is mounted
 * elsewhere would go on there as it was, without a name.
 */
static bool apply_is_mounted(struct apply *a, const struct cow_entry *e)
{
	struct str_buf why = STR_BUF_ON_STACK(a->why);
	const char *point;
	bool below = false;

	if (!a->mounts.n || !e->has_host || e->depth == 0 ||
	    (S_ISDIR(e->upper.st_mode) && !(e->changes & (COW_REMOVED | COW_TYPE))))
		return false;
	point = cow_mounts_find(&a->mounts, &e->host);
	if (!point && S_ISDIR(e->host.st_mode)) {
		point = apply_find_mount_below(a, e->host_dir, e->name, 0);
		below = point != NULL;
	}
	if (!point)
		return false;
	str_buf_puts(&why, below ? "has something in it that is mounted at "
				 : "cannot be replaced, as it is mounted at ");
	str_buf_escape(&why, point, strlen(point));
	return true;
}

/* ---- what stands against it ---- */

/* Return: true where it may not be touched; it is told then, and a->why says it. */
static bool apply_conflicts(struct apply *a, const struct cow_entry *e)
{
	struct stat dir;
	bool later = false;

	if (apply_is_mounted(a, e)) {
		a->applied->mounted++;
		a->options->tell(a->options->arg, a->root, e, a->why);
		return true;
	}
	if (a->options->force)
		return false;
	if (S_ISDIR(e->upper.st_mode) && !(e->changes & (COW_ADDED | COW_REMOVED | COW_TYPE)))
		later = apply_is_others(a, &e->host);
	else if (!S_ISDIR(e->upper.st_mode) || (e->changes & (COW_REMOVED | COW_TYPE)))
		later = apply_entry_is_later(a, e);
	if (!later && (e->changes & (COW_ADDED | COW_REMOVED)) && e->host_dir >= 0)
		later = fstat(e->host_dir, &dir) < 0 || apply_is_others(a, &dir);
	if (later) {
		a->applied->conflicts++;
		str_copy(a->why, sizeof(a->why), "has changed on the host since the session began");
		a->options->tell(a->options->arg, a->root, e, a->why);
	}
	return later;
}

/* ---- hard links ---- */

static struct apply_link *apply_link_slot(struct apply_link *links, size_t size, uint64_t dev,
					  uint64_t ino)
{
	size_t at = (size_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) ^ dev) & (size - 1);

	while (links[at].ino && (links[at].dev != dev || links[at].ino != ino))
		at = (at + 1) & (size - 1);
	return &links[at];
}

static int apply_links_grow(struct apply *a)
{
	size_t size = a->links_size ? a->links_size * 2 : 64;
	struct apply_link *links = calloc(size, sizeof(*links));

	if (!links)
		return -ENOMEM;
	for (size_t i = 0; i < a->links_size; i++)
		if (a->links[i].ino)
			*apply_link_slot(links, size, a->links[i].dev, a->links[i].ino) =
				a->links[i];
	free(a->links);
	a->links = links;
	a->links_size = size;
	return 0;
}

static void apply_links_finish(struct apply *a)
{
	for (size_t i = 0; i < a->links_size; i++)
		free(a->links[i].path);
	free(a->links);
	a->links = NULL;
	a->n_links = a->links_size = a->links_bytes = 0;
}

/* Return: the link, or NULL where the file is not known yet. */
static const struct apply_link *apply_find_link(const struct apply *a, const struct stat *upper)
{
	const struct apply_link *link;

	if (!a->links_size)
		return NULL;
	link = apply_link_slot(a->links, a->links_size, upper->st_dev, upper->st_ino);
	return link->ino && link->root == a->root ? link : NULL;
}

/* A name that the host has now, of a file with several. Too many are told apart no more. */
static int apply_note_link(struct apply *a, const struct cow_entry *e)
{
	struct apply_link *link;
	struct stat st;

	if (S_ISDIR(e->upper.st_mode) || e->upper.st_nlink < 2 ||
	    fstatat(e->host_dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if ((a->n_links + 1) * 2 > a->links_size && apply_links_grow(a) < 0)
		return -ENOMEM;
	link = apply_link_slot(a->links, a->links_size, e->upper.st_dev, e->upper.st_ino);
	if (link->ino)
		return 0;
	if (a->n_links >= APPLY_LINKS_MAX || a->links_bytes >= APPLY_LINKS_BYTES) {
		a->applied->parted++;
		return 0;
	}
	link->path = strdup(e->path);
	if (!link->path)
		return -ENOMEM;
	a->links_bytes += strlen(e->path) + 1;
	link->dev = e->upper.st_dev;
	link->ino = e->upper.st_ino;
	link->host_dev = st.st_dev;
	link->host_ino = st.st_ino;
	link->root = a->root;
	a->n_links++;
	return 0;
}

/* Return: 1 it is there under the temporary name, 0 it has to be copied. */
static int apply_make_link(struct apply *a, const struct cow_entry *e,
			   const struct apply_link *link)
{
	_autoclose_ int fd = sys_openat2(a->root_fd, link->path, O_PATH | O_NOFOLLOW | O_CLOEXEC,
					 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	char path[32];
	struct stat st;

	/* A further name of a file with such a bit would give that bit. */
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != link->host_ino ||
	    st.st_dev != link->host_dev ||
	    (!a->options->allow_setid && (st.st_mode & APPLY_SETID)) ||
	    cow_journal_add(&a->journal, &st) < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, e->host_dir, a->name, AT_SYMLINK_FOLLOW) == 0;
}

/* ---- interruption ---- */

/*
 * Signals that end this process wait while something is made, so that it is put in place or
 * removed. Those that are ignored stay so: while they wait they could not be told from others.
 */
static void apply_hold_signals(sigset_t *ret_before, sigset_t *ret_held)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	sigemptyset(ret_held);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction now;

		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaddset(ret_held, signals[i]);
	}
	(void)sigprocmask(SIG_BLOCK, ret_held, ret_before);
}

static bool apply_is_interrupted(const struct apply *a)
{
	sigset_t pending;

	if (!a->acts || sigpending(&pending) < 0)
		return false;
	for (int i = 1; i < NSIG; i++)
		if (sigismember(&a->held, i) == 1 && sigismember(&pending, i) == 1)
			return true;
	return false;
}

/* What has come is told by an error, and does not end this process once more. */
static void apply_release_signals(const struct apply *a, const sigset_t *before)
{
	const struct timespec now = {0};

	while (sigtimedwait(&a->held, NULL, &now) > 0)
		;
	(void)sigprocmask(SIG_SETMASK, before, NULL);
}

/* ---- make ---- */

static int apply_copy_piece(const struct apply *a, int from, int to, off_t at, off_t end)
{
	char room[APPLY_COPY_BYTES];

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(room) ? (size_t)(end - at) : sizeof(room);
		ssize_t n =
			apply_is_interrupted(a) ? (errno = EINTR, -1) : pread(from, room, want, at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		for (ssize_t done = 0; done < n;) {
			ssize_t m = pwrite(to, room + done, (size_t)(n - done), at + done);

			if (m < 0)
				return -errno;
			done += m;
		}
		at += n;
	}
	return 0;
}

/* What is a hole stays one. */
static int apply_copy_data(const struct apply *a, int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;
		int r;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at; /* where holes are not known all is data */
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		r = apply_copy_piece(a, from, to, data, hole);
		if (r < 0)
			return r;
		at = hole;
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

/* Return: the permissions to set; bits that are not given are counted. */
static mode_t apply_mode(struct apply *a, const struct cow_entry *e, mode_t has)
{
	mode_t mode = e->upper.st_mode & 07777;
	mode_t keeps = S_ISDIR(e->upper.st_mode) ? has & S_ISGID : 0;

	if (e->depth == 0) /* see walk_compare() */
		return (mode & (mode_t)~APPLY_SETID) | (has & APPLY_SETID);
	if (a->options->allow_setid || !(mode & APPLY_SETID & ~keeps))
		return mode;
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e,
			 "its set-user-ID or set-group-ID bit is left out: see --allow-setid");
	return mode & ~((mode_t)APPLY_SETID & ~keeps);
}

/*
 * Only root gives files away. Where cow_gain_access() was needed this process could, to ids of
 * the sandbox's: whether it was is not to make a difference.
 */
static bool apply_may_give(gid_t gid)
{
	gid_t groups[APPLY_GROUPS_MAX];
	int n;

	if (geteuid() == 0 || gid == getegid())
		return true;
	n = getgroups(APPLY_GROUPS_MAX, groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/* What only the session has is counted; what the host's file had, and loses, is told. */
static void apply_set_owner(struct apply *a, const struct cow_entry *e, int fd,
			    const struct stat *has)
{
	const uid_t uid = e->upper.st_uid;
	const gid_t gid = e->upper.st_gid;
	bool kept = true;

	if (e->depth == 0)
		return;
	if (gid != has->st_gid)
		kept = apply_may_give(gid) && fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == 0;
	if (uid != has->st_uid)
		kept = geteuid() == 0 && fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) == 0 &&
		       kept;
	if (kept)
		return;
	if (!e->has_host || (e->changes & (COW_OWNER | COW_TYPE))) {
		a->applied->owners++;
		return;
	}
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e,
			 "its owner or group could not be kept: it is yours now");
}

/*
 * What could not be given is in the journal: it will differ from the layer for ever, and that
 * is nobody else's work.
 */
static int apply_set_attributes(struct apply *a, const struct cow_entry *e, int fd,
				const struct stat *has)
{
	int r = e->depth > 0 ? cow_xattr_copy(e->upper_dir, e->name, fd, a->options->allow_setid)
			     : 0;

	if (r <= 0)
		return r;
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e, "some of its attributes could not be set");
	return cow_journal_add(&a->journal, has);
}

/* Owner, attributes, permissions, times: in this order, as each may change what was before. */
static int apply_set_all(struct apply *a, const struct cow_entry *e, int fd)
{
	const struct timespec times[] = {e->upper.st_atim, e->upper.st_mtim};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	apply_set_owner(a, e, fd, &st);
	r = apply_set_attributes(a, e, fd, &st);
	if (r < 0)
		return r;
	if (fchmod(fd, apply_mode(a, e, st.st_mode)) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

/* @ret_fd: of the file, which is not on disk yet; the kernel begins to write it. */
static int apply_make_file(struct apply *a, const struct cow_entry *e, int *ret_fd)
{
	_autoclose_ int from = cow_open(e->upper_dir, e->name, O_RDONLY | O_NONBLOCK);
	_autoclose_ int to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = openat(e->host_dir, a->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = apply_copy_data(a, from, to, e->upper.st_size);
	if (r == 0)
		r = apply_set_all(a, e, to);
	if (r < 0)
		return r;
	(void)sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE);
	a->ops_bytes += (off_t)e->upper.st_blocks * 512;
	*ret_fd = take_fd(&to);
	return 0;
}

/* Of a link or fifo, which cannot be opened. */
static int apply_set_unopened(struct apply *a, const struct cow_entry *e)
{
	const struct timespec times[] = {e->upper.st_atim, e->upper.st_mtim};
	_autoclose_ int fd = openat(e->host_dir, a->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char path[32];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (e->upper.st_mode & S_IFMT))
		return -ESTALE; /* somebody else has put another thing there */
	apply_set_owner(a, e, fd, &st);
	r = apply_set_attributes(a, e, fd, &st);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (r == 0 && S_ISFIFO(st.st_mode) && chmod(path, apply_mode(a, e, st.st_mode)) < 0)
		r = -errno;
	if (r == 0 && utimensat(e->host_dir, a->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r;
}

static int apply_make_symlink(struct apply *a, const struct cow_entry *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(e->upper_dir, e->name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, e->host_dir, a->name) < 0)
		return -errno;
	return apply_set_unopened(a, e);
}

static int apply_make_fifo(struct apply *a, const struct cow_entry *e)
{
	if (mkfifoat(e->host_dir, a->name, 0600) < 0)
		return -errno;
	return apply_set_unopened(a, e);
}

/* Under the temporary name. @ret_fd: what is to be written to disk, or untouched */
static int apply_make(struct apply *a, const struct cow_entry *e, int *ret_fd)
{
	const struct apply_link *link =
		e->upper.st_nlink > 1 ? apply_find_link(a, &e->upper) : NULL;

	if (link && apply_make_link(a, e, link))
		return 0;
	if (S_ISREG(e->upper.st_mode))
		return apply_make_file(a, e, ret_fd);
	return S_ISLNK(e->upper.st_mode) ? apply_make_symlink(a, e) : apply_make_fifo(a, e);
}

/* ---- put in place ---- */

static int apply_exchange(int dir_fd, const char *one, const char *other)
{
	return syscall(SYS_renameat2, dir_fd, one, dir_fd, other, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* What lies under the temporary name: a killed try's, or what was replaced. */
static int apply_clear(const struct apply *a, int dir_fd)
{
	struct stat st;

	if (fstatat(dir_fd, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return cow_remove_tree(dir_fd, a->name);
	return unlinkat(dir_fd, a->name, 0) < 0 ? -errno : 0;
}

/* A directory of the host is about to be changed. */
static int apply_prepare(struct apply *a, int dir_fd)
{
	struct stat st;
	int r;

	if (fstat(dir_fd, &st) < 0)
		return -errno;
	if (faccessat(dir_fd, ".", W_OK, AT_EACCESS) < 0 && errno == EACCES)
		cow_gain_access(); /* its owner cannot write, or not yet */
	r = cow_journal_add(&a->journal, &st);
	return r < 0 ? r : apply_clear(a, dir_fd);
}

/* What has come to be there since it was looked at stays. */
static int apply_place_new(const struct apply *a, const struct cow_entry *e)
{
	if (sys_rename_noreplace(e->host_dir, a->name, e->host_dir, e->name) == 0)
		return 0;
	if (errno != EINVAL) /* not every filesystem can */
		return -errno;
	return renameat(e->host_dir, a->name, e->host_dir, e->name) < 0 ? -errno : 0;
}

/* From the temporary name to its own; a directory there is taken away. */
static int apply_place(const struct apply *a, const struct cow_entry *e)
{
	int r;

	if (e->has_host && (S_ISDIR(e->host.st_mode) || S_ISDIR(e->upper.st_mode))) {
		r = apply_exchange(e->host_dir, a->name, e->name);
		return r < 0 ? r : apply_clear(a, e->host_dir);
	}
	if (!e->has_host && !a->options->force)
		return apply_place_new(a, e);
	return renameat(e->host_dir, a->name, e->host_dir, e->name) < 0 ? -errno : 0;
}

static int apply_remove(const struct apply *a, const struct cow_entry *e)
{
	if (!S_ISDIR(e->host.st_mode))
		return unlinkat(e->host_dir, e->name, 0) < 0 ? -errno : 0;
	if (renameat(e->host_dir, e->name, e->host_dir, a->name) < 0)
		return -errno;
	return apply_clear(a, e->host_dir);
}

static int apply_fail(const struct apply *a, const struct cow_entry *e, int number,
		      struct sbx_err *err)
{
	const char *root = a->session->roots[a->root].path;
	char path[512];
	int r;

	(void)snprintf(path, sizeof(path), "%s%s%s", root, root[1] ? "/" : "", e->path);
	r = number == ESTALE ? err_refuse(err, EBUSY, path, "is being changed on the host just now")
	    : number == EINTR ? err_refuse(err, EINTR, NULL, "interrupted by a signal")
			      : err_system(err, number, path, "cannot be applied");

	err_hint(err, "nothing is lost: what was applied is whole, and the same command goes on\n"
		      "where this one stopped");
	return r;
}

/* ---- what is done together ---- */

static void apply_use_name(struct apply *a, unsigned index)
{
	(void)snprintf(a->name, sizeof(a->name), "%s-%u", a->temporary, index);
}

static void apply_op_finish(struct apply_op *op)
{
	free((char *)(uintptr_t)op->entry.path);
	defs_cleanup_fd(&op->entry.upper_dir);
	defs_cleanup_fd(&op->entry.host_dir);
	defs_cleanup_fd(&op->fd);
}

/*
 * Remember it; there has to be room.
 * @fd: taken in any case
 */
static int apply_later(struct apply *a, enum apply_kind kind, const struct cow_entry *e, int fd)
{
	struct apply_op *op = &a->ops[a->n_ops];
	const char *slash;

	*op = (struct apply_op){.kind = kind, .entry = *e, .fd = fd};
	op->entry.path = strdup(e->path);
	op->entry.upper_dir = fcntl(e->upper_dir, F_DUPFD_CLOEXEC, 0);
	op->entry.host_dir = e->host_dir < 0 ? -1 : fcntl(e->host_dir, F_DUPFD_CLOEXEC, 0);
	if (!op->entry.path || op->entry.upper_dir < 0 ||
	    (e->host_dir >= 0 && op->entry.host_dir < 0)) {
		int r = op->entry.path ? -errno : -ENOMEM;

		apply_op_finish(op);
		return r;
	}
	slash = strrchr(op->entry.path, '/');
	op->entry.name = slash ? slash + 1 : op->entry.path;
	a->n_ops++;
	return 0;
}

/* Is what is to be replaced or removed still what it was when it was decided? */
static int apply_look_again(const struct apply *a, const struct cow_entry *e)
{
	struct stat st;

	if (a->options->force || !e->has_host || S_ISDIR(e->host.st_mode))
		return 0;
	if (fstatat(e->host_dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return st.st_ino == e->host.st_ino && st.st_dev == e->host.st_dev &&
			       (!apply_is_later(a, &st) || cow_journal_has(&a->journal, &st) ||
				(st.st_ctim.tv_sec == e->host.st_ctim.tv_sec &&
				 st.st_ctim.tv_nsec == e->host.st_ctim.tv_nsec))
		       ? 0
		       : -ESTALE;
}

static int apply_do_finish(struct apply *a, struct apply_op *op);

static int apply_do(struct apply *a, struct apply_op *op)
{
	const struct cow_entry *e = &op->entry;
	int r = op->kind == APPLY_FINISH ? 0 : apply_look_again(a, e);

	if (r < 0)
		return r;
	switch (op->kind) {
	case APPLY_PLACE:
		r = apply_place(a, e);
		return r < 0 ? r : apply_note_link(a, e);
	case APPLY_REMOVE:
		return apply_remove(a, e);
	case APPLY_FINISH:
		return apply_do_finish(a, op);
	}
	return 0;
}

/* Write the descriptors of one kind to disk. @ret_results: where there is none, 0 */
static void apply_sync(struct apply *a, bool directories, int results[APPLY_OPS_MAX])
{
	int fds[APPLY_OPS_MAX] = {0}, found[APPLY_OPS_MAX];
	size_t index[APPLY_OPS_MAX], n = 0;

	for (size_t i = 0; i < a->n_ops; i++) {
		results[i] = 0;
		if (a->ops[i].fd < 0 || (a->ops[i].kind == APPLY_FINISH) != directories)
			continue;
		fds[n] = a->ops[i].fd;
		index[n++] = i;
	}
	cow_sync_files(&a->sync, fds, n, found);
	for (size_t i = 0; i < n; i++)
		results[index[i]] = found[i];
}

/* In order, up to the first that fails. Return: how many. */
static size_t apply_do_all(struct apply *a, int *ret_failure)
{
	int results[APPLY_OPS_MAX] = {0}, r = cow_journal_flush(&a->journal);
	unsigned i;

	apply_sync(a, false, results);
	for (i = 0; i < a->n_ops && r == 0; i++) {
		apply_use_name(a, i);
		r = results[i] < 0 ? results[i] : apply_do(a, &a->ops[i]);
	}
	*ret_failure = r;
	return r < 0 && i > 0 ? i - 1 : i;
}

/*
 * Do what is remembered.
 *
 * Return: 0, or -errno with *err filled: then what comes behind the one that failed is undone.
 */
static int apply_flush(struct apply *a, struct sbx_err *err)
{
	int results[APPLY_OPS_MAX] = {0}, r = 0;
	size_t done = a->n_ops ? apply_do_all(a, &r) : 0;

	if (r < 0)
		(void)apply_fail(a, &a->ops[done].entry, -r, err);
	for (size_t i = done; i < a->n_ops; i++) {
		apply_use_name(a, (unsigned)i);
		if (a->ops[i].kind == APPLY_PLACE)
			(void)apply_clear(a, a->ops[i].entry.host_dir);
		defs_cleanup_fd(&a->ops[i].fd);
		a->ops[i].fd = -1;
	}
	apply_sync(a, true, results);
	for (size_t i = 0; i < done && r == 0; i++)
		if (results[i] < 0)
			r = apply_fail(a, &a->ops[i].entry, -results[i], err);
	for (size_t i = 0; i < a->n_ops; i++)
		apply_op_finish(&a->ops[i]);
	a->n_ops = 0;
	a->ops_bytes = 0;
	return r;
}

/* Room for one more, and its name. Return: 0, or -errno with *err filled. */
static int apply_make_room(struct apply *a, struct sbx_err *err)
{
	int r = a->n_ops == APPLY_OPS_MAX || a->ops_bytes >= APPLY_OPS_BYTES ? apply_flush(a, err)
									     : 0;

	apply_use_name(a, (unsigned)a->n_ops);
	return r;
}

/* Is there a name of the same file that is not in place yet? */
static bool apply_awaits_link(const struct apply *a, const struct cow_entry *e)
{
	for (size_t i = 0; i < a->n_ops; i++)
		if (a->ops[i].kind == APPLY_PLACE &&
		    a->ops[i].entry.upper.st_ino == e->upper.st_ino &&
		    a->ops[i].entry.upper.st_dev == e->upper.st_dev)
			return true;
	return false;
}

static int apply_act(struct apply *a, const struct cow_entry *e, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = apply_make_room(a, err);

	if (r < 0)
		return r;
	r = apply_prepare(a, e->host_dir);
	/* To take a name away changes the file that has others. */
	if (r == 0 && e->has_host && !S_ISDIR(e->host.st_mode) && e->host.st_nlink > 1)
		r = cow_journal_add(&a->journal, &e->host);
	if (r == 0 && (e->changes & COW_REMOVED)) {
		r = apply_later(a, APPLY_REMOVE, e, -1);
	} else if (r == 0) {
		r = apply_make(a, e, &fd);
		if (r == 0)
			r = apply_later(a, APPLY_PLACE, e, take_fd(&fd));
		if (r < 0)
			(void)apply_clear(a, e->host_dir);
	}
	return r < 0 ? apply_fail(a, e, -r, err) : 0;
}

/* ---- the visitor ---- */

/* What is left out is told once: when it is, or would be. */
static void apply_tell_left_out(struct apply *a, const struct cow_entry *e, const char *why)
{
	a->applied->skipped++;
	if (a->acts || a->options->dry_run)
		a->options->tell(a->options->arg, a->root, e, why);
}

static bool apply_can_be_made(struct apply *a, const struct cow_entry *e)
{
	if (str_starts_with(e->name, a->temporary)) {
		apply_tell_left_out(a, e, "has a name that sbx apply uses");
		return false;
	}
	if ((e->changes & COW_REMOVED) || S_ISREG(e->upper.st_mode) || S_ISLNK(e->upper.st_mode) ||
	    S_ISFIFO(e->upper.st_mode))
		return true;
	apply_tell_left_out(a, e,
			    S_ISSOCK(e->upper.st_mode) ? "is a socket, and left out"
						       : "is a device, and left out");
	return false;
}

/* A directory of the host is not taken away with what --exclude names in it. */
static bool apply_is_kept(struct apply *a, const struct cow_entry *e)
{
	if (!a->options->n_exclude || !e->has_host || !S_ISDIR(e->host.st_mode) ||
	    !(e->changes & (COW_REMOVED | COW_TYPE)) ||
	    !apply_any_below(a, apply_excludes, e->host_dir, e->name, e->path, 0))
		return false;
	apply_tell_left_out(a, e, "holds what is excluded, and stays");
	return true;
}

/* Is a name whose file is as it should be linked to another than the layer's other names? */
static bool apply_is_other_link(const struct apply *a, const struct cow_entry *e)
{
	const struct apply_link *link = apply_find_link(a, &e->upper);

	/* One with a set-id bit stays what it is; its other names are copies without. */
	if (!a->options->allow_setid && e->has_host && (e->host.st_mode & APPLY_SETID))
		return false;
	return link && e->has_host &&
	       (link->host_ino != e->host.st_ino || link->host_dev != e->host.st_dev);
}

/* A directory of the host will be changed; in the first walk. */
static int apply_plan(struct apply *a, int dir_fd, struct sbx_err *err)
{
	struct stat st;

	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return 0;
	return cow_journal_plan(&a->journal, &st) < 0 ? err_oom(err) : 0;
}

static int apply_entry(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct apply *a = arg;
	uint32_t changes = apply_changes(a, e);
	bool links = !(e->changes & COW_REMOVED) && e->upper.st_nlink > 1;

	if (apply_is_interrupted(a))
		return apply_fail(a, e, EINTR, err);
	if (!apply_selects(a, e->path))
		return 0;
	if (links && apply_awaits_link(a, e)) {
		int r = apply_flush(a, err);

		if (r < 0)
			return r;
	}
	if (changes == 0 && links && a->acts && apply_is_other_link(a, e))
		return apply_act(a, e, err);
	if (changes == 0)
		return links && apply_note_link(a, e) < 0 ? err_oom(err) : 0;
	if (!apply_can_be_made(a, e) || apply_is_kept(a, e))
		return 0;
	if (apply_conflicts(a, e))
		return a->acts ? err_refuse(err, EBUSY, e->path, "%s", a->why) : 0;
	if (!a->acts && !a->options->dry_run)
		return apply_plan(a, e->host_dir, err);
	cow_count(e, &a->applied->counts);
	a->options->tell(a->options->arg, a->root, e, NULL);
	return a->acts ? apply_act(a, e, err) : 0;
}

/* A new directory: it is in the journal before it has its name, which is later. */
static int apply_make_dir(struct apply *a, const struct cow_entry *e, int *host_fd)
{
	_autoclose_ int fd = -1;
	struct stat st;
	int r = apply_prepare(a, e->host_dir);

	if (r < 0)
		return r;
	if (mkdirat(e->host_dir, a->name, 0700) < 0)
		return -errno;
	fd = openat(e->host_dir, a->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = cow_journal_hold(&a->journal, &st);
	if (r == 0)
		r = apply_later(a, APPLY_PLACE, e, -1);
	if (r == 0)
		*host_fd = take_fd(&fd);
	return r;
}

static int apply_enter(void *arg, const struct cow_entry *e, int *host_fd, struct sbx_err *err)
{
	struct apply *a = arg;
	bool is_new = e->changes & (COW_ADDED | COW_TYPE);
	bool selected = e->depth == 0 || apply_selects(a, e->path);
	int r;

	if (apply_is_interrupted(a))
		return apply_fail(a, e, EINTR, err);
	if (str_starts_with(e->name, a->temporary))
		return apply_can_be_made(a, e) ? 0 : 1;
	if (is_new && !selected &&
	    !apply_any_below(a, apply_selects, e->upper_dir, e->name, e->path, 0))
		return 1;
	if ((is_new || (selected && (apply_changes(a, e) & ~(uint32_t)COW_TIME))) &&
	    apply_conflicts(a, e))
		return a->acts ? err_refuse(err, EBUSY, e->path, "%s", a->why) : 0;
	if ((a->acts || a->options->dry_run) && cow_is_told(e) && (is_new || selected)) {
		cow_count(e, &a->applied->counts);
		a->options->tell(a->options->arg, a->root, e, NULL);
	}
	if (is_new && !a->acts && !a->options->dry_run)
		return apply_plan(a, e->host_dir, err);
	if (!is_new || !a->acts)
		return 0;
	r = apply_make_room(a, err);
	if (r < 0)
		return r;
	r = apply_make_dir(a, e, host_fd);
	if (r < 0) {
		(void)apply_clear(a, e->host_dir);
		return apply_fail(a, e, -r, err);
	}
	return 0;
}

/* Is a directory to be given what the layer's has? */
static bool apply_finishes(const struct apply *a, const struct cow_entry *e, const struct stat *st)
{
	if (e->changes & (COW_ADDED | COW_TYPE))
		return true;
	if (e->changes == 0 && st->st_mtim.tv_sec == e->upper.st_mtim.tv_sec &&
	    st->st_mtim.tv_nsec == e->upper.st_mtim.tv_nsec)
		return false;
	/* When others' directories were changed last is not for the caller to say. */
	if (!cow_is_told(e) && geteuid() != 0 && st->st_uid != geteuid())
		return false;
	/* The time alone is nothing that stands against a change of the host's. */
	if (!(apply_changes(a, e) & ~(uint32_t)COW_TIME) && !a->options->force &&
	    apply_is_others(a, st))
		return false;
	return e->depth == 0 || apply_selects(a, e->path);
}

/* What is left to be written to disk then is the directory, where it was changed. */
static int apply_do_finish(struct apply *a, struct apply_op *op)
{
	struct stat st;
	int r = fstat(op->fd, &st) < 0 ? -errno : 0;

	if (r == 0 && apply_finishes(a, &op->entry, &st)) {
		r = cow_journal_add(&a->journal, &st);
		if (r == 0)
			r = apply_set_all(a, &op->entry, op->fd);
	}
	if (r == 0 && !cow_journal_has(&a->journal, &st)) {
		defs_cleanup_fd(&op->fd);
		op->fd = -1;
	}
	return r;
}

/* What an earlier try has left, in a directory that may have nothing else to do. */
static int apply_clear_all(struct apply *a, int host_fd, struct sbx_err *err)
{
	int r = apply_flush(a, err);

	for (unsigned i = 0; i < APPLY_OPS_MAX && r == 0; i++) {
		apply_use_name(a, i);
		r = apply_clear(a, host_fd);
		if (r < 0)
			return err_system(err, -r, a->name, "cannot be removed");
	}
	return r;
}

static int apply_leave(void *arg, const struct cow_entry *e, int upper_fd, int host_fd,
		       struct sbx_err *err)
{
	struct apply *a = arg;
	struct stat st;
	int r, fd;

	(void)upper_fd;
	if (host_fd < 0)
		return 0;
	if (!a->acts)
		return !a->options->dry_run && fstat(host_fd, &st) == 0 && apply_finishes(a, e, &st)
			       ? apply_plan(a, host_fd, err)
			       : 0;
	r = a->again ? apply_clear_all(a, host_fd, err) : 0;
	if (r == 0)
		r = apply_make_room(a, err);
	if (r < 0)
		return r;
	fd = fcntl(host_fd, F_DUPFD_CLOEXEC, 0);
	r = fd < 0 ? -errno : apply_later(a, APPLY_FINISH, e, fd);
	return r < 0 ? apply_fail(a, e, -r, err) : 0;
}

/* ---- all ---- */

static int apply_walk(struct apply *a, bool acts, struct sbx_err *err)
{
	const struct cow_visitor visitor = {apply_entry, apply_enter, apply_leave, a};
	int upper_fd, r = 0, flushed;
	struct sbx_err second;

	a->acts = acts;
	for (a->root = 0; a->root < a->session->n_roots && r == 0; a->root++) {
		r = cow_session_open_root(a->session, a->root, &upper_fd, &a->root_fd, err);
		if (r < 0)
			return r;
		defs_cleanup_fd(&upper_fd);
		r = cow_walk(a->session, a->root, &visitor, err);
		/* Also what was made before something failed: it is whole. */
		flushed = apply_flush(a, r < 0 ? &second : err);
		r = r < 0 ? r : flushed;
		defs_cleanup_fd(&a->root_fd);
	}
	return r;
}

static int apply_refuse_conflicts(const struct apply *a, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, a->session->id,
			   "%llu of the entries have changed on the host since the session began; "
			   "nothing was applied",
			   (unsigned long long)a->applied->conflicts);

	err_hint(err, "leave them out with --exclude, or overwrite them with --force");
	return r;
}

static int apply_refuse_mounted(const struct apply *a, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, a->session->id,
			   "%llu of the entries cannot be replaced, as they are mounted; nothing "
			   "was applied",
			   (unsigned long long)a->applied->mounted);

	err_hint(err, "unmount them, and mount them again afterwards, or leave them out with "
		      "--exclude");
	return r;
}

static int apply_mark_done(const struct apply *a, struct sbx_err *err)
{
	const struct cow_apply_options *o = a->options;
	_autoclose_ int fd = -1;

	if (o->n_include || o->n_exclude)
		return 0;
	fd = openat(a->session->dir_fd, "applied", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	return fd < 0 ? err_system(err, errno, a->session->dir, "cannot note that all is applied")
		      : 0;
}

/**
 * Apply a session, which is locked.
 *
 * Return: 0, or -errno with *err filled; then what was applied is whole, and it can be
 * called again.
 */
int cow_apply(struct cow_session *session, const struct cow_apply_options *options,
	      struct cow_applied *ret_applied, struct sbx_err *err)
{
	struct apply a = {
		.session = session, .options = options, .applied = ret_applied, .root_fd = -1};
	_autoarena_ struct arena arena;
	sigset_t before;
	int r;

	arena_init(&arena);
	r = cow_mounts_read(session, &arena, &a.mounts);
	if (r < 0)
		return err_system(err, -r, "/proc/self/mountinfo", "cannot be read");
	*ret_applied = (struct cow_applied){0};
	(void)snprintf(a.temporary, sizeof(a.temporary), ".sbx-apply-%llx-%lx",
		       (unsigned long long)session->began.tv_sec, session->began.tv_nsec);
	r = cow_journal_open(&a.journal, session->dir_fd, !options->dry_run);
	if (r < 0)
		r = err_system(err, -r, session->dir, "cannot open the journal");
	a.again = a.journal.n > 0;
	if (r == 0)
		r = apply_walk(&a, false, err);
	if (r == 0 && ret_applied->mounted)
		r = apply_refuse_mounted(&a, err);
	if (r == 0 && ret_applied->conflicts)
		r = apply_refuse_conflicts(&a, err);
	if (r == 0 && !options->dry_run) {
		*ret_applied = (struct cow_applied){0};
		apply_hold_signals(&before, &a.held);
		r = apply_walk(&a, true, err);
		apply_release_signals(&a, &before);
	}
	if (r == 0 && !options->dry_run)
		r = apply_mark_done(&a, err);
	cow_journal_close(&a.journal);
	cow_sync_close(&a.sync);
	apply_links_finish(&a);
	return r;
}
