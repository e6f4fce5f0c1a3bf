/* SPDX-License-Identifier: MIT */
/*
 * journal: see journal.h. A file of pairs of numbers, each written before its directory is
 * changed. Half a pair at the end is that of a directory that was not changed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/cow/journal.h"

enum { JOURNAL_FIRST_SIZE = 256 };

static size_t journal_slot(const struct cow_journal *j, uint64_t dev, uint64_t ino)
{
	size_t at = (size_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) ^ dev) & (j->size - 1);

	while ((j->dirs[at].dev || j->dirs[at].ino) &&
	       (j->dirs[at].dev != dev || j->dirs[at].ino != ino))
		at = (at + 1) & (j->size - 1);
	return at;
}

static int journal_grow(struct cow_journal *j)
{
	struct cow_journal bigger = {.size = j->size ? j->size * 2 : JOURNAL_FIRST_SIZE};

	bigger.dirs = calloc(bigger.size, sizeof(*bigger.dirs));
	if (!bigger.dirs)
		return -ENOMEM;
	for (size_t i = 0; i < j->size; i++)
		if (j->dirs[i].dev || j->dirs[i].ino)
			bigger.dirs[journal_slot(&bigger, j->dirs[i].dev, j->dirs[i].ino)] =
				j->dirs[i];
	free(j->dirs);
	j->dirs = bigger.dirs;
	j->size = bigger.size;
	return 0;
}

static int journal_note(struct cow_journal *j, uint64_t dev, uint64_t ino)
{
	struct cow_journal_dir *slot;
	int r = (j->n + 1) * 2 > j->size ? journal_grow(j) : 0;

	if (r < 0)
		return r;
	slot = &j->dirs[journal_slot(j, dev, ino)];
	j->n += slot->dev || slot->ino ? 0 : 1;
	*slot = (struct cow_journal_dir){dev, ino};
	return 0;
}

/* Return: 1 a whole pair, 0 the end, or -errno. */
static int journal_read(int fd, struct cow_journal_dir *ret)
{
	ssize_t n = read(fd, ret, sizeof(*ret));

	return n < 0 ? -errno : n == (ssize_t)sizeof(*ret);
}

/**
 * What earlier tries have changed.
 * @dir_fd: of the session
 * @write:  this one will change something too
 *
 * Return: 0 or -errno.
 */
int cow_journal_open(struct cow_journal *journal, int dir_fd, bool write)
{
	const int flags = write ? O_RDWR | O_CREAT : O_RDONLY;
	_autoclose_ int fd = openat(dir_fd, "journal", flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct cow_journal_dir dir;
	off_t whole;
	int r;

	*journal = (struct cow_journal){.fd = -1};
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while ((r = journal_read(fd, &dir)) == 1 && r > 0) {
		r = journal_note(journal, dir.dev, dir.ino);
		if (r < 0)
			return r;
	}
	if (r < 0 || !write)
		return r;
	whole = lseek(fd, 0, SEEK_CUR);
	whole -= whole % (off_t)sizeof(dir);
	if (whole < 0 || ftruncate(fd, whole) < 0 || lseek(fd, whole, SEEK_SET) < 0)
		return -errno;
	journal->fd = take_fd(&fd);
	return 0;
}

void cow_journal_close(struct cow_journal *journal)
{
	defs_cleanup_fd(&journal->fd);
	free(journal->dirs);
	*journal = (struct cow_journal){.fd = -1};
}

bool cow_journal_has(const struct cow_journal *journal, const struct stat *dir)
{
	const struct cow_journal_dir *slot;

	if (!journal->n)
		return false;
	slot = &journal->dirs[journal_slot(journal, dir->st_dev, dir->st_ino)];
	return slot->dev || slot->ino;
}

/* To be called before the directory is changed. Return: 0 or -errno. */
int cow_journal_add(struct cow_journal *journal, const struct stat *dir)
{
	const struct cow_journal_dir pair = {dir->st_dev, dir->st_ino};
	int r;

	if (cow_journal_has(journal, dir))
		return 0;
	r = io_write_all(journal->fd, (const char *)&pair, sizeof(pair));
	if (r == 0 && fdatasync(journal->fd) < 0)
		r = -errno;
	return r < 0 ? r : journal_note(journal, pair.dev, pair.ino);
}
