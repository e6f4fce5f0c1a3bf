/* SPDX-License-Identifier: MIT */
/*
 * journal: see journal.h. A file of pairs of numbers, each written before its directory is
 * changed. Half a pair at the end is that of a directory that was not changed.
 *
 * Each time that it is written a disk is waited for. So a directory takes with it some that will be
 * changed soon after, where it is known which; and new ones, which nobody knows yet, wait for
 * each other.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/cow/journal.h"

enum { JOURNAL_FIRST_SIZE = 256, JOURNAL_AHEAD = 64, JOURNAL_LOOK = 1024 };

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
	free(journal->planned);
	free(journal->held);
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

static int journal_append(struct cow_journal_dir **list, size_t *n, size_t *size,
			  struct cow_journal_dir pair)
{
	if (*n == *size) {
		size_t more = *size ? *size * 2 : JOURNAL_FIRST_SIZE;
		struct cow_journal_dir *grown = reallocarray(*list, more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*list = grown;
		*size = more;
	}
	(*list)[(*n)++] = pair;
	return 0;
}

static bool journal_is_same(const struct cow_journal_dir *a, const struct cow_journal_dir *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* A directory will be changed, after all that this was said of before. Return: 0 or -errno. */
int cow_journal_plan(struct cow_journal *journal, const struct stat *dir)
{
	const struct cow_journal_dir pair = {dir->st_dev, dir->st_ino};

	if (journal->n_planned && journal_is_same(&journal->planned[journal->n_planned - 1], &pair))
		return 0;
	return journal_append(&journal->planned, &journal->n_planned, &journal->planned_size, pair);
}

/* Not written yet; it must be before the directory has a name. Return: 0 or -errno. */
int cow_journal_hold(struct cow_journal *journal, const struct stat *dir)
{
	const struct cow_journal_dir pair = {dir->st_dev, dir->st_ino};
	int r;

	if (cow_journal_has(journal, dir))
		return 0;
	r = journal_append(&journal->held, &journal->n_held, &journal->held_size, pair);
	return r < 0 ? r : journal_note(journal, pair.dev, pair.ino);
}

/* Write what is held. Return: 0 or -errno. */
int cow_journal_flush(struct cow_journal *journal)
{
	int r = journal->failed;

	if (r < 0 || journal->n_held == 0)
		return r;
	r = io_write_all(journal->fd, (const char *)journal->held,
			 journal->n_held * sizeof(*journal->held));
	if (r == 0 && fdatasync(journal->fd) < 0)
		r = -errno;
	journal->n_held = 0;
	journal->failed = r;
	return r;
}

/* Some that will be changed next, where this is one of those. */
static int journal_hold_next(struct cow_journal *journal, const struct cow_journal_dir *pair)
{
	size_t at = journal->next, end;
	int r = 0;

	while (at < journal->n_planned && at - journal->next < JOURNAL_LOOK &&
	       !journal_is_same(&journal->planned[at], pair))
		at++;
	if (at == journal->n_planned || at - journal->next == JOURNAL_LOOK)
		return 0;
	end = journal->n_planned - at > JOURNAL_AHEAD ? at + JOURNAL_AHEAD : journal->n_planned;
	for (; at < end && r == 0; at++) {
		const struct stat dir = {.st_dev = journal->planned[at].dev,
					 .st_ino = journal->planned[at].ino};

		r = cow_journal_hold(journal, &dir);
	}
	journal->next = end;
	return r;
}

/* To be called before the directory is changed. Return: 0 or -errno. */
int cow_journal_add(struct cow_journal *journal, const struct stat *dir)
{
	const struct cow_journal_dir pair = {dir->st_dev, dir->st_ino};
	int r;

	if (cow_journal_has(journal, dir))
		return 0;
	r = cow_journal_hold(journal, dir);
	if (r == 0)
		r = journal_hold_next(journal, &pair);
	return r < 0 ? r : cow_journal_flush(journal);
}
