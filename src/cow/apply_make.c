/* SPDX-License-Identifier: MIT */
/*
 * apply_make: what an entry of a session is to be on the host, made under a temporary name; see
 * apply_parts.h. apply_place.c gives it its own.
 *
 * Hard links are found by the numbers of the files in the layer. Where a name of such a file is
 * on the host as it should be, which the first walk finds out, the others become links to it;
 * else the first is copied.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply_parts.h"
#include "sbx/cow/xattr.h"

enum {
	APPLY_COPY_BYTES = 1 << 16,
	APPLY_BLOCK_BYTES = 4096, /* of a hole */
	APPLY_LINKS_MAX = 1 << 20,
	APPLY_LINKS_BYTES = 128 << 20, /* of their paths */
	APPLY_GROUPS_MAX = 256
};

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

void apply_links_finish(struct apply *a)
{
	for (size_t i = 0; i < a->links_size; i++)
		free(a->links[i].path);
	free(a->links);
	a->links = NULL;
	a->n_links = a->links_size = a->links_bytes = 0;
}

/* Return: the link, or NULL where the file is not known yet. */
const struct apply_link *apply_find_link(const struct apply *a, const struct stat *upper)
{
	const struct apply_link *link;

	if (!a->links_size)
		return NULL;
	link = apply_link_slot(a->links, a->links_size, upper->st_dev, upper->st_ino);
	return link->ino && link->root == a->root ? link : NULL;
}

static bool apply_has_names(const struct cow_entry *e)
{
	return !S_ISDIR(e->upper.st_mode) && e->upper.st_nlink > 1;
}

/*
 * Too many are told apart no more. Where a name is on the host already, what a dry run takes for
 * made before would be a link to that.
 * @host: what its name is on the host; zeros: not there yet
 */
static int apply_add_link(struct apply *a, const struct cow_entry *e, const struct stat *host)
{
	struct apply_link *link;
	char *path;

	if ((a->n_links + 1) * 2 > a->links_size && apply_links_grow(a) < 0)
		return -ENOMEM;
	link = apply_link_slot(a->links, a->links_size, e->upper.st_dev, e->upper.st_ino);
	if (link->ino && (link->host_ino || !host->st_ino))
		return 0;
	if (!link->ino && (a->n_links >= APPLY_LINKS_MAX || a->links_bytes >= APPLY_LINKS_BYTES)) {
		a->applied->parted++;
		return 0;
	}
	path = strdup(e->path);
	if (!path)
		return -ENOMEM;
	a->links_bytes += strlen(e->path) + 1;
	a->n_links += !link->ino;
	free(link->path);
	*link = (struct apply_link){.dev = e->upper.st_dev,
				    .ino = e->upper.st_ino,
				    .host_dev = host->st_dev,
				    .host_ino = host->st_ino,
				    .path = path,
				    .root = a->root};
	return 0;
}

/* A name that the host has now, of a file with several. */
int apply_note_link(struct apply *a, const struct cow_entry *e)
{
	struct stat st;

	if (!apply_has_names(e) || fstatat(e->host_dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return apply_add_link(a, e, &st);
}

/* No link is followed, no mount entered. The kernel takes no more than PATH_MAX at a time. */
static int apply_open_path(int root_fd, const char *path)
{
	const uint64_t how = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
	_autoclose_ int above = -1;
	char piece[PATH_MAX];

	while (strlen(path) >= sizeof(piece)) {
		const char *end = memrchr(path, '/', sizeof(piece) - 1);
		int fd = -1;

		if (end) {
			str_copy(piece, (size_t)(end - path) + 1, path);
			fd = sys_openat2(above < 0 ? root_fd : above, piece,
					 O_PATH | O_DIRECTORY | O_CLOEXEC, how);
		}
		if (fd < 0)
			return -1;
		defs_cleanup_fd(&above);
		above = fd;
		path = end + 1;
	}
	return sys_openat2(above < 0 ? root_fd : above, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, how);
}

/* What gets a further name. Return: a descriptor, or -1: it has to be copied. */
static int apply_open_link(const struct apply *a, const struct apply_link *link,
			   struct stat *ret_st)
{
	_autoclose_ int fd = apply_open_path(a->root_fd, link->path);

	/* A further name of a file with such a bit would give that bit. */
	if (fd < 0 || fstat(fd, ret_st) < 0 || ret_st->st_ino != link->host_ino ||
	    ret_st->st_dev != link->host_dev ||
	    (!a->options->allow_setid && (ret_st->st_mode & APPLY_SETID)))
		return -1;
	return take_fd(&fd);
}

/* Can it get a further name? What is not there yet, in a dry run, will be such. */
bool apply_can_link(const struct apply *a, const struct apply_link *link)
{
	struct stat st;
	_autoclose_ int fd = link->host_ino ? apply_open_link(a, link, &st) : -1;

	return link->host_ino == 0 || fd >= 0;
}

/* Return: 1 it is there under the temporary name, 0 it has to be copied. */
static int apply_make_link(struct apply *a, const struct cow_entry *e,
			   const struct apply_link *link)
{
	struct stat st, dir;
	_autoclose_ int fd = apply_open_link(a, link, &st);
	char path[32];
	bool made;

	if (fd < 0 || apply_hold(a, fd, &st) < 0 || apply_hold_again(a, e->host_dir, &dir) < 0)
		return 0;
	a->made = st;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	made = linkat(AT_FDCWD, path, e->host_dir, a->name, AT_SYMLINK_FOLLOW) == 0;
	apply_note(a, fd);
	apply_note(a, e->host_dir);
	return made;
}

/* ---- make ---- */

bool apply_is_interrupted(const struct apply *a)
{
	sigset_t pending;

	if (!a->acts || sigpending(&pending) < 0)
		return false;
	for (int i = 1; i < NSIG; i++)
		if (sigismember(&a->held, i) == 1 && sigismember(&pending, i) == 1)
			return true;
	return false;
}

static int apply_write(int to, const char *data, size_t n, off_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t m = pwrite(to, data + done, n - done, at + (off_t)done);

		if (m < 0)
			return -errno;
		done += (size_t)m;
	}
	return 0;
}

static bool apply_is_zeros(const char *data, size_t n)
{
	return data[0] == '\0' && memcmp(data, data + 1, n - 1) == 0;
}

/* The same without blocks of zeros, in a file that has nothing yet. */
static int apply_write_sparsely(int to, const char *data, size_t n, off_t at)
{
	size_t start = 0, next;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i = next) {
		next = n - i < APPLY_BLOCK_BYTES ? n : i + APPLY_BLOCK_BYTES;
		if (!apply_is_zeros(data + i, next - i))
			continue;
		r = apply_write(to, data + start, i - start, at + (off_t)start);
		start = next;
	}
	return r < 0 ? r : apply_write(to, data + start, n - start, at + (off_t)start);
}

static int apply_copy_piece(const struct apply *a, int from, int to, off_t at, off_t end,
			    bool sparsely)
{
	char room[APPLY_COPY_BYTES];

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(room) ? (size_t)(end - at) : sizeof(room);
		ssize_t n =
			apply_is_interrupted(a) ? (errno = EINTR, -1) : pread(from, room, want, at);
		int r;

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = sparsely ? apply_write_sparsely(to, room, (size_t)n, at)
			     : apply_write(to, room, (size_t)n, at);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

/*
 * Has the host's file holes? What fuse-overlayfs shows has none, and so it is copied to the layer
 * without: there zeros stand in their places.
 */
static bool apply_had_holes(const struct cow_entry *e)
{
	return e->has_host && S_ISREG(e->host.st_mode) && e->host.st_blocks < e->host.st_size / 512;
}

/* What is a hole stays one. @sparsely: so does what may have been one */
static int apply_copy_data(const struct apply *a, int from, int to, off_t size, bool sparsely)
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
		r = apply_copy_piece(a, from, to, data, hole, sparsely);
		if (r < 0)
			return r;
		at = hole;
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

const char apply_setid_left_out[] =
	"its set-user-ID or set-group-ID bit is left out: see --allow-setid";

/* Return: the permissions to set; bits that are not given are counted. */
static mode_t apply_mode(struct apply *a, const struct cow_entry *e, mode_t has)
{
	mode_t mode = e->upper.st_mode & 07777;
	mode_t keeps = S_ISDIR(e->upper.st_mode) ? has & APPLY_SETID : 0;

	if (e->depth == 0) /* see walk_compare() */
		return (mode & (mode_t)~APPLY_SETID) | (has & APPLY_SETID);
	if (a->options->allow_setid || !(mode & APPLY_SETID & ~keeps))
		return mode;
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e, apply_setid_left_out);
	return mode & ~((mode_t)APPLY_SETID & ~keeps);
}

/*
 * Only root gives files away. Where cow_gain_access() was needed this process could, to ids of
 * the sandbox's: whether it was is not to make a difference.
 */
bool apply_may_give(gid_t gid)
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

static bool apply_give(int fd, uid_t uid, gid_t gid)
{
	return fd < 0 || fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0;
}

/*
 * A directory of another id's that stays, and does not belong to that id any more, becomes the
 * caller's, as what is made anew does. Return: is it what the session has?
 */
static bool apply_take_over(const struct cow_entry *e, int fd, const struct stat *has)
{
	bool whole = e->upper.st_gid == has->st_gid || apply_may_give(e->upper.st_gid);

	cow_gain_access();
	return apply_give(fd, geteuid(), whole ? e->upper.st_gid : getegid()) && whole &&
	       e->upper.st_uid == geteuid();
}

/* Return: is the owner what the session has, and the group? */
static bool apply_give_owner(const struct cow_entry *e, int fd, const struct stat *has)
{
	const uid_t uid = e->upper.st_uid;
	const gid_t gid = e->upper.st_gid;
	bool kept = true;

	if (S_ISDIR(e->upper.st_mode) && (e->changes & COW_OWNER) && uid != has->st_uid &&
	    geteuid() != 0 && has->st_uid != geteuid())
		return apply_take_over(e, fd, has);
	if (gid != has->st_gid)
		kept = apply_may_give(gid) && apply_give(fd, (uid_t)-1, gid);
	if (uid != has->st_uid)
		kept = geteuid() == 0 && apply_give(fd, uid, (gid_t)-1) && kept;
	return kept;
}

/*
 * What only the session has is counted; what the host's file had, and loses, is told.
 * @fd: -1: it is only said
 */
static void apply_set_owner(struct apply *a, const struct cow_entry *e, int fd,
			    const struct stat *has)
{
	if (e->depth == 0 || apply_give_owner(e, fd, has))
		return;
	if (S_ISDIR(e->upper.st_mode) && e->upper.st_uid == has->st_uid &&
	    has->st_uid != geteuid()) {
		a->applied->skipped++;
		a->options->tell(a->options->arg, a->root, e, "its group stays as it is");
		return;
	}
	if (!e->has_host || (e->changes & (COW_OWNER | COW_TYPE))) {
		a->applied->owners++;
		return;
	}
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e,
			 "its owner or group could not be kept: it is yours now");
}

static void apply_tell_attributes(struct apply *a, const struct cow_entry *e)
{
	a->applied->skipped++;
	a->options->tell(a->options->arg, a->root, e, "some of its attributes could not be set");
}

/* A new one that is to have further names. Return: 0 or -errno. */
static int apply_hold_made(struct apply *a, const struct cow_entry *e)
{
	struct stat made = a->made;

	if (e->upper.st_nlink == 1 || S_ISDIR(e->upper.st_mode))
		return 0;
	made.st_mtim = e->upper.st_mtim;
	return cow_journal_hold_new(&a->journal, &made);
}

/*
 * What could not be given is in the journal: it will differ from the layer for ever, and that
 * is nobody else's work.
 */
static int apply_set_attributes(struct apply *a, const struct cow_entry *e, int fd,
				const struct stat *has)
{
	int r = e->depth > 0 || (e->changes & COW_XATTRS)
			? cow_xattr_copy(e->upper_dir, e->name, fd, a->options->allow_setid)
			: 0;
	struct stat made = *has;

	if (r == -ENOSPC || r == -EDQUOT)
		a->options->tell(a->options->arg, a->root, e,
				 "its attributes find no room on the disk");
	if (r <= 0)
		return r;
	apply_tell_attributes(a, e);
	made.st_mtim = e->upper.st_mtim; /* as it will be */
	if (S_ISDIR(has->st_mode))
		return 0; /* it is in it already */
	r = cow_journal_hold_new(&a->journal, &made);
	return r < 0 ? r : cow_journal_flush(&a->journal);
}

/* Owner, attributes, permissions, times: in this order, as each may change what was before. */
int apply_set_all(struct apply *a, const struct cow_entry *e, int fd)
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
	apply_note(a, e->host_dir);
	if (to < 0 || fstat(to, &a->made) < 0)
		return -errno;
	r = apply_copy_data(a, from, to, e->upper.st_size, apply_had_holes(e));
	if (r == 0)
		r = apply_set_all(a, e, to);
	if (r == 0)
		r = apply_hold_made(a, e);
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
	a->made = st;
	apply_set_owner(a, e, fd, &st);
	r = apply_set_attributes(a, e, fd, &st);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (r == 0 && S_ISFIFO(st.st_mode) && chmod(path, apply_mode(a, e, st.st_mode)) < 0)
		r = -errno;
	if (r == 0 && utimensat(e->host_dir, a->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? r : apply_hold_made(a, e);
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
	apply_note(a, e->host_dir);
	return apply_set_unopened(a, e);
}

static int apply_make_fifo(struct apply *a, const struct cow_entry *e)
{
	if (mkfifoat(e->host_dir, a->name, 0600) < 0)
		return -errno;
	apply_note(a, e->host_dir);
	return apply_set_unopened(a, e);
}

/* Under the temporary name. @ret_fd: what is to be written to disk, or untouched */
int apply_make(struct apply *a, const struct cow_entry *e, int *ret_fd)
{
	const struct apply_link *link =
		e->upper.st_nlink > 1 ? apply_find_link(a, &e->upper) : NULL;

	if (link && apply_make_link(a, e, link))
		return 0;
	if (S_ISREG(e->upper.st_mode))
		return apply_make_file(a, e, ret_fd);
	return S_ISLNK(e->upper.st_mode) ? apply_make_symlink(a, e) : apply_make_fifo(a, e);
}

/* ---- what would be said ---- */

/* File capabilities; what else a filesystem does not take is found out when it is given. */
static bool apply_loses_attributes(const struct apply *a, const struct cow_entry *e)
{
	return e->depth > 0 && (!a->options->allow_setid || geteuid() != 0) &&
	       cow_xattr_has(e->upper_dir, e->name, "security.capability", NULL);
}

/* What is made anew is the caller's; in a directory with that bit it has the directory's group. */
static struct stat apply_expect(const struct apply *a, const struct cow_entry *e)
{
	struct stat dir = a->new_in, new = {.st_uid = geteuid(), .st_gid = getegid()};

	if (e->host_dir >= 0 && fstat(e->host_dir, &dir) < 0)
		return new;
	if (!(dir.st_mode & S_ISGID))
		return new;
	new.st_gid = dir.st_gid;
	new.st_mode = S_ISDIR(e->upper.st_mode) ? S_ISGID : 0;
	return new;
}

static bool apply_would_link(const struct apply *a, const struct cow_entry *e)
{
	const struct apply_link *link = apply_has_names(e) ? apply_find_link(a, &e->upper) : NULL;

	return link && apply_can_link(a, link);
}

/**
 * Say what apply_make() and apply_set_all() would.
 * @has: the host's directory that would get the attributes; NULL: it would be made
 *
 * Return: 0 or -ENOMEM.
 */
int apply_foresee(struct apply *a, const struct cow_entry *e, const struct stat *has)
{
	const struct stat none = {0}, found = has ? *has : apply_expect(a, e);

	if ((e->changes & COW_REMOVED) || apply_would_link(a, e))
		return 0;
	apply_set_owner(a, e, -1, &found);
	if (apply_loses_attributes(a, e))
		apply_tell_attributes(a, e);
	if (!S_ISLNK(e->upper.st_mode))
		(void)apply_mode(a, e, found.st_mode);
	return apply_has_names(e) ? apply_add_link(a, e, &none) : 0;
}
