/* SPDX-License-Identifier: MIT */
/*
 * apply_below: what is in a directory of the host that is to go as a whole: has somebody else
 * changed any of it, and can the caller remove all of it? See apply_parts.h.
 *
 * In the first walk both are asked in one pass. What bars a removal is what the kernel would say
 * (may_delete() of fs/namei.c): it is found here because a directory that is half empty by then
 * can neither go nor come back.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply_parts.h"
#include "sbx/cow/times.h"
#include "sbx/cow/xattr.h"

enum below_bar { BELOW_FREE, BELOW_FIXED, BELOW_STICKY, BELOW_CLOSED, BELOW_UNREAD };

struct below {
	bool asks_later, asks_bar;
	bool goes;		   /* its removal has begun */
	bool later;		   /* changed since the session began */
	enum below_bar bar;	   /* the first that was found */
	int number;		   /* errno, of the last two */
	char where[COW_WHERE_MAX]; /* what it is; "": the directory that is to go */
};

/*
 * Is it a mark of somebody's overlay, which was not shown to the command: a device 0/0, or where
 * the kernel has read the host's files, an empty file with an attribute?
 */
bool apply_is_unshown(const struct apply *a, int dir_fd, const char *name, const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return st->st_rdev == makedev(0, 0);
	return !a->session->roots[a->root].fuse && S_ISREG(st->st_mode) && st->st_size == 0 &&
	       cow_xattr_has(dir_fd, name, "user.overlay.whiteout", NULL);
}

/*
 * A directory that a removal has come to has been changed by that. One that was made since the
 * session began, but by no apply, is somebody's, where the filesystem tells.
 */
static bool below_is_born_later(const struct apply *a, const struct sys_file *file,
				const struct stat *st)
{
	const struct timespec born = {.tv_sec = (time_t)file->born_sec,
				      .tv_nsec = (long)file->born_nsec};

	return file->has_birth && !cow_journal_knows(&a->journal, st) &&
	       cow_time_is_after(&born, &a->session->began);
}

/* May a name be taken away by those only to whom it or its directory belongs, of whom this is none?
 */
static bool below_is_kept(const struct stat *dir, const struct stat *st)
{
	return (dir->st_mode & S_ISVTX) && dir->st_uid != geteuid() && !cow_reaches(st);
}

/*
 * Has a killed try left it there, under a temporary name? A directory it has to have noted, with
 * all that is in it.
 */
static bool below_is_left(struct apply *a, int fd, const char *name, const struct stat *st)
{
	struct cow_removal removal;

	if (!a->again || !str_starts_with(name, a->temporary))
		return false;
	return !S_ISDIR(st->st_mode) || (apply_removal_of(a, fd, name, &removal) == 0 &&
					 cow_removals_find(&a->removals, &removal) > 0);
}

static bool below_has_answers(const struct below *b)
{
	return b->asks_bar ? b->bar != BELOW_FREE : b->later;
}

static void below_note_bar(struct below *b, enum below_bar bar, int number)
{
	if (!b->asks_bar || b->bar != BELOW_FREE)
		return;
	b->bar = bar;
	b->number = number;
}

static void below_look_into(struct apply *a, struct below *b, int dir_fd, const char *name,
			    const struct stat *dir, unsigned depth);

/* @fd, @dir: the directory that it is in */
static void below_look_at(struct apply *a, struct below *b, int fd, const struct stat *dir,
			  const char *name, unsigned depth)
{
	const bool goes = b->goes;
	struct sys_file file;
	struct stat st;
	bool left;

	if (sys_statx_file(fd, name, &file) < 0) {
		b->later = true;
		return;
	}
	st = (struct stat){
		.st_dev = file.dev,
		.st_rdev = file.device,
		.st_ino = file.inode,
		.st_mode = file.mode,
		.st_uid = file.uid,
		.st_gid = file.gid,
		.st_nlink = file.nlink,
		.st_size = (off_t)file.size,
		.st_ctim = {.tv_sec = file.changed_sec, .tv_nsec = file.changed_nsec},
		.st_mtim = {.tv_sec = file.modified_sec, .tv_nsec = file.modified_nsec},
	};
	left = b->asks_later && below_is_left(a, fd, name, &st);
	if (b->asks_later && !b->later && !left)
		b->later = (b->goes && S_ISDIR(st.st_mode) ? below_is_born_later(a, &file, &st)
							   : apply_is_others(a, &st)) ||
			   (a->unshown = apply_is_unshown(a, fd, name, &st));
	b->goes = goes || left;
	if (b->asks_bar && file.is_fixed)
		below_note_bar(b, BELOW_FIXED, 0);
	else if (b->asks_bar && below_is_kept(dir, &st))
		below_note_bar(b, BELOW_STICKY, 0);
	else if (S_ISDIR(st.st_mode) && !below_has_answers(b))
		below_look_into(a, b, fd, name, &st, depth + 1);
	b->goes = goes;
	if (b->bar != BELOW_FREE)
		path_put_before(b->where, sizeof(b->where), name);
}

/* Its owner gives himself what is missing when it is removed: no namespace is needed for that. */
static int below_check_dir(int fd, bool is_own)
{
	return is_own && faccessat(fd, ".", X_OK, AT_EACCESS) == 0 ? 0 : apply_check_dir(fd);
}

/* @dir: what it is */
static void below_look_into(struct apply *a, struct below *b, int dir_fd, const char *name,
			    const struct stat *dir, unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY), r;
	DIR *stream = fd_open_dir(&fd);
	bool is_own = dir->st_uid == geteuid(), checked = false;
	const struct dirent *e;

	if (!stream) {
		if (errno != EACCES || !is_own)
			below_note_bar(b, BELOW_UNREAD, errno);
		b->later = true; /* a mount, or what cannot be looked into */
		return;
	}
	b->later = b->later || depth >= APPLY_SCAN_DEPTH;
	while (depth < APPLY_SCAN_DEPTH && !below_has_answers(b) &&
	       (errno = 0, e = readdir(stream))) {
		if (path_is_dots(e->d_name))
			continue;
		r = b->asks_bar && !checked ? below_check_dir(fd, is_own) : 0;
		checked = true;
		if (r < 0 && (r != -EACCES || !is_own))
			below_note_bar(b, BELOW_CLOSED, -r);
		else
			below_look_at(a, b, fd, dir, e->d_name, depth);
	}
	b->later = b->later || (!below_has_answers(b) && errno);
	(void)closedir(stream);
}

/*
 * Has anything in a directory of the host changed, or does something else lie in it?
 * @goes: its removal has begun
 */
bool apply_tree_is_later(struct apply *a, int dir_fd, const char *name, bool goes, unsigned depth)
{
	const struct stat unused = {0};
	struct below b = {.asks_later = true, .goes = goes};

	below_look_into(a, &b, dir_fd, name, &unused, depth);
	return b.later;
}

/* Of what the host has and is to lose. */
static void below_look_at_entry(struct apply *a, struct below *b, const struct cow_entry *e)
{
	struct stat dir;

	if (fstat(e->host_dir, &dir) < 0)
		below_note_bar(b, BELOW_UNREAD, errno);
	else if (below_is_kept(&dir, &e->host))
		below_note_bar(b, BELOW_STICKY, 0);
	else if (S_ISDIR(e->host.st_mode))
		below_look_into(a, b, e->host_dir, e->name, &e->host, 0);
}

/**
 * Is there anything that the caller cannot remove in what the host has and is to lose, or is that
 * such? Whether anything in it is later is remembered.
 *
 * Return: true, and @why says it.
 */
bool apply_is_barred(struct apply *a, const struct cow_entry *e, struct str_buf *why)
{
	struct below b = {.asks_later = !a->options->force, .asks_bar = true};

	below_look_at_entry(a, &b, e);
	a->later_below = b.later;
	if (b.bar == BELOW_FREE)
		return false;
	str_buf_printf(why, "cannot be %s: ", e->changes & COW_REMOVED ? "removed" : "replaced");
	str_buf_escape(why, b.where, strlen(b.where));
	str_buf_puts(why, b.where[0] ? " in it " : "it ");
	switch (b.bar) {
	case BELOW_FREE:
		break;
	case BELOW_FIXED:
		str_buf_puts(why, "is immutable or append-only, see chattr(1)");
		break;
	case BELOW_STICKY:
		str_buf_puts(why, "belongs to another user, in a directory with the sticky bit");
		break;
	case BELOW_CLOSED:
		str_buf_printf(why, "cannot be emptied: %s", strerror(b.number));
		break;
	case BELOW_UNREAD:
		str_buf_printf(why, "cannot be looked into: %s", strerror(b.number));
		break;
	}
	return true;
}
