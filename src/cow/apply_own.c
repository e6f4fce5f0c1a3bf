/* SPDX-License-Identifier: MIT */
/*
 * apply_own: what on the host is an apply's own work, and what somebody else's; see apply_parts.h
 * and journal.h.
 *
 * Whatever changes a directory of the host, or a file of it that has other names, is bracketed: it
 * is in the journal before (cow_journal_add() or _hold()), and what it has come to is noted behind.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/cow/apply_parts.h"
#include "sbx/cow/times.h"

enum { OWN_DEPTH_MAX = 200 };

/* Has somebody else changed it since the session began? */
bool apply_is_others(struct apply *a, const struct stat *st)
{
	if (!cow_time_may_be_after(st, &a->session->began))
		return false;
	return !cow_journal_excuses(&a->journal, st);
}

/* ---- before a change ---- */

/*
 * Just before what was held is changed, once more: whoever has changed it since is not this one.
 *
 * Return: 0 or -errno.
 */
int apply_hold_again(struct apply *a, int fd, struct stat *ret_st)
{
	if (fstat(fd, ret_st) < 0)
		return -errno;
	return cow_journal_hold(&a->journal, ret_st);
}

/*
 * It is about to be changed. To write that down takes its time, in which somebody else may have
 * changed it too.
 *
 * Return: 0 or -errno.
 */
int apply_hold(struct apply *a, int fd, struct stat *ret_st)
{
	struct stat before;
	int r = fstat(fd, &before) < 0 ? -errno : cow_journal_add(&a->journal, &before);

	return r < 0 ? r : apply_hold_again(a, fd, ret_st);
}

/* ---- behind a change ---- */

/* @fd: -1: nothing */
void apply_note(struct apply *a, int fd)
{
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0)
		cow_journal_note(&a->journal, &st);
	else
		cow_journal_fail(&a->journal, -errno);
}

void apply_note_name(struct apply *a, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		cow_journal_note(&a->journal, &st);
	else if (errno != ENOENT) /* somebody else has taken it away by now */
		cow_journal_fail(&a->journal, -errno);
}

/* What has one name, and nobody has written to: other files are in the journal. */
void apply_note_placed(struct apply *a, const struct apply_op *op)
{
	const struct stat *upper = &op->entry.upper, *st = &op->placed;

	if (S_ISDIR(upper->st_mode) || upper->st_nlink > 1 || st->st_ino == 0 || st->st_nlink > 1 ||
	    (S_ISREG(upper->st_mode) && st->st_size != upper->st_size) ||
	    !cow_time_is_kept(&st->st_mtim, &upper->st_mtim, &st->st_ctim))
		return;
	cow_journal_note_placed(&a->journal, st);
}

/* As cow_removal_of(), with the lasting number of the device. */
int apply_removal_of(const struct apply *a, int dir_fd, const char *name, struct cow_removal *ret)
{
	int r = cow_removal_of(dir_fd, name, ret);

	if (r == 0)
		ret->dev = cow_devices_number(&a->devices, ret->dev);
	return r;
}

/* ---- files with several names ---- */

/* What may have other names than one that is about to go, for apply_note(). Return: or -1 */
int apply_watch(struct apply *a, int dir_fd, const char *name, const struct stat *st)
{
	int fd;

	if (S_ISDIR(st->st_mode) || !cow_journal_knows(&a->journal, st))
		return -1;
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		cow_journal_fail(&a->journal, -errno);
	return fd;
}

/* Take a name away. */
int apply_unlink(struct apply *a, int dir_fd, const char *name, const struct stat *st)
{
	_autoclose_ int fd = apply_watch(a, dir_fd, name, st);
	int r = fd < 0 ? 0 : cow_journal_add(&a->journal, st);

	if (r == 0 && unlinkat(dir_fd, name, 0) < 0)
		r = -errno;
	apply_note(a, fd);
	return r;
}

/* What the caller may not remove is told by who removes the rest. */
static int own_unlink_shared(struct apply *a, int dir_fd, const char *name, const struct stat *st)
{
	int r = apply_unlink(a, dir_fd, name, st);

	return (r == -EACCES || r == -EPERM) && !a->journal.failed ? 0 : r;
}

/* Of each file in a directory that goes: it may have names that stay. */
static int own_each_shared(struct apply *a, int dir_fd, const char *name, unsigned depth,
			   bool removes)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e = NULL;

	if (!dir) /* who removes it says so */
		return errno == EACCES || errno == EXDEV ? 0 : -errno;
	while (r == 0 && depth < OWN_DEPTH_MAX && (errno = 0, e = readdir(dir))) {
		struct stat st;

		if (path_is_dots(e->d_name))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = errno == ENOENT ? 0 : -errno;
		else if (S_ISDIR(st.st_mode))
			r = own_each_shared(a, fd, e->d_name, depth + 1, removes);
		else if (removes && cow_journal_knows(&a->journal, &st))
			r = own_unlink_shared(a, fd, e->d_name, &st);
		else if (!removes && st.st_nlink > 1)
			r = cow_journal_hold(&a->journal, &st);
	}
	if (r == 0 && !e && depth < OWN_DEPTH_MAX)
		r = -errno;
	(void)closedir(dir);
	return r;
}

/* Before all else in a directory goes. Return: 0 or -errno. */
int apply_unlink_shared(struct apply *a, int dir_fd)
{
	return own_each_shared(a, dir_fd, ".", 0, true);
}

/* What the host has is about to go: to take a name away changes the file that has others. */
int apply_hold_file(struct apply *a, const struct cow_entry *e)
{
	if (!e->has_host)
		return 0;
	if (!S_ISDIR(e->host.st_mode))
		return e->host.st_nlink > 1 ? cow_journal_hold(&a->journal, &e->host) : 0;
	return e->changes & (COW_REMOVED | COW_TYPE)
		       ? own_each_shared(a, e->host_dir, e->name, 0, false)
		       : 0;
}
