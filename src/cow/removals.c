/* SPDX-License-Identifier: MIT */
/*
 * removals: see removals.h. A file of records. A directory's is on disk before the directory is
 * renamed; the second, that all in it goes, is written before anything in it is removed. Half a
 * record at the end is that of one that has not been touched.
 *
 * It is read where a directory is found that a killed apply may have left, which is seldom.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/base/sys.h"
#include "sbx/cow/removals.h"

static const char removals_file[] = "removals";

void cow_removals_init(struct cow_removals *removals, int dir_fd)
{
	*removals = (struct cow_removals){.dir_fd = dir_fd, .fd = -1};
}

void cow_removals_close(struct cow_removals *removals)
{
	defs_cleanup_fd(&removals->fd);
	removals->fd = -1;
}

/* Of a name, or with "" of the descriptor itself. Return: 0 or -errno. */
int cow_removal_of(int dir_fd, const char *name, struct cow_removal *ret)
{
	struct sys_file file;

	if (sys_statx_file(dir_fd, name, &file) < 0)
		return -errno;
	*ret = (struct cow_removal){.dev = file.dev, .inode = file.inode};
	if (file.has_birth) {
		ret->born_sec = file.born_sec;
		ret->born_nsec = file.born_nsec;
	}
	return 0;
}

bool cow_removal_is(const struct cow_removal *one, const struct cow_removal *other)
{
	return one->dev == other->dev && one->inode == other->inode &&
	       one->born_sec == other->born_sec && one->born_nsec == other->born_nsec;
}

static int removals_open(struct cow_removals *removals)
{
	_autoclose_ int fd = -1;
	struct stat st;
	off_t whole;

	if (removals->fd >= 0)
		return 0;
	fd = dirs_open_file(removals->dir_fd, removals_file, O_WRONLY | O_CREAT | O_APPEND);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	whole = st.st_size - st.st_size % (off_t)sizeof(struct cow_removal);
	if (whole != st.st_size && ftruncate(fd, whole) < 0)
		return -errno;
	removals->fd = take_fd(&fd);
	return 0;
}

static int removals_write(struct cow_removals *removals, const struct cow_removal *written,
			  size_t n)
{
	if (removals->failed == 0)
		removals->failed = removals_open(removals);
	if (removals->failed == 0)
		removals->failed =
			io_write_all(removals->fd, (const char *)written, n * sizeof(*written));
	return removals->failed;
}

/* Not written yet; it must be before the directory is renamed. Return: 0 or -errno. */
int cow_removals_hold(struct cow_removals *removals, const struct cow_removal *removal)
{
	int r = removals->n_held == COW_REMOVALS_MAX ? cow_removals_flush(removals) : 0;

	if (r == 0)
		removals->held[removals->n_held++] = *removal;
	return r;
}

/* Write what is held. Return: 0 or -errno. */
int cow_removals_flush(struct cow_removals *removals)
{
	int r = removals->n_held ? removals_write(removals, removals->held, removals->n_held)
				 : removals->failed;

	if (r == 0 && removals->n_held && fdatasync(removals->fd) < 0)
		r = removals->failed = -errno;
	removals->n_held = 0;
	return r;
}

/*
 * From now on what is in it may be gone already. Not waited for: where a disk has forgotten it,
 * what is left is looked at once more, and somebody asked.
 *
 * Return: 0 or -errno.
 */
int cow_removals_let_go(struct cow_removals *removals, const struct cow_removal *removal)
{
	struct cow_removal goes = *removal;

	goes.goes = 1;
	return removals_write(removals, &goes, 1);
}

/* Return: 1 it is among those that were written, and its `goes` is set; 0, or -errno. */
int cow_removals_find(const struct cow_removals *removals, struct cow_removal *removal)
{
	_autoclose_ int fd = dirs_open_file(removals->dir_fd, removals_file, O_RDONLY);
	struct cow_removal found[COW_REMOVALS_MAX];
	off_t at = 0;
	int known = 0;
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	removal->goes = 0;
	while ((n = pread(fd, found, sizeof(found), at)) >= (ssize_t)sizeof(found[0])) {
		size_t whole = (size_t)n / sizeof(found[0]);

		for (size_t i = 0; i < whole; i++) {
			if (!cow_removal_is(&found[i], removal))
				continue;
			known = 1;
			removal->goes |= found[i].goes;
		}
		at += (off_t)(whole * sizeof(found[0]));
	}
	return n < 0 ? -errno : known;
}
