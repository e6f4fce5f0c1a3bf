/* SPDX-License-Identifier: MIT */
/*
 * placed: see placed.h. A file of records.
 *
 * What is not in it, as nobody waits for a disk and half a record is none, is somebody else's: then
 * an apply stops where it need not. So nothing that goes wrong with it is an error. It is read
 * where something was changed later than the session began and is not in the journal, which is
 * seldom, and as a whole: it may have as many records as the layer has files.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/cow/placed.h"

enum { PLACED_BYTES_MAX = 1 << 30 };

static const char placed_file[] = "placed";

void cow_placed_init(struct cow_placed *placed, int dir_fd)
{
	*placed = (struct cow_placed){.dir_fd = dir_fd, .fd = -1};
}

/* ---- written ---- */

static int placed_open(const struct cow_placed *placed)
{
	_autoclose_ int fd =
		dirs_open_file(placed->dir_fd, placed_file, O_WRONLY | O_CREAT | O_APPEND);
	struct stat st;
	off_t whole;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	whole = st.st_size - st.st_size % (off_t)sizeof(struct cow_placed_file);
	if (whole != st.st_size && ftruncate(fd, whole) < 0)
		return -1;
	return take_fd(&fd);
}

/* Write what is held. */
void cow_placed_flush(struct cow_placed *placed)
{
	if (placed->n_held && placed->fd < 0 && !placed->failed)
		placed->fd = placed_open(placed);
	if (placed->n_held && !placed->failed)
		placed->failed = placed->fd < 0 ||
				 io_write_all(placed->fd, (const char *)placed->held,
					      placed->n_held * sizeof(placed->held[0])) < 0;
	placed->n_held = 0;
}

void cow_placed_add(struct cow_placed *placed, const struct cow_placed_file *file)
{
	if (placed->n_held == COW_PLACED_MAX)
		cow_placed_flush(placed);
	placed->held[placed->n_held++] = *file;
}

void cow_placed_close(struct cow_placed *placed)
{
	cow_placed_flush(placed);
	defs_cleanup_fd(&placed->fd);
	free(placed->found);
	*placed = (struct cow_placed){.fd = -1};
}

/* ---- read ---- */

static int placed_compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int placed_compare(const void *a, const void *b)
{
	const struct cow_placed_file *x = a, *y = b;
	int r = placed_compare_numbers(x->ino, y->ino);

	if (r == 0)
		r = placed_compare_numbers(x->dev, y->dev);
	if (r == 0)
		r = placed_compare_numbers((uint64_t)x->changed_sec, (uint64_t)y->changed_sec);
	return r ? r : placed_compare_numbers(x->changed_nsec, y->changed_nsec);
}

static void placed_read(struct cow_placed *placed)
{
	_autoclose_ int fd = dirs_open_file(placed->dir_fd, placed_file, O_RDONLY);
	size_t size, done = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > PLACED_BYTES_MAX)
		return;
	size = (size_t)st.st_size - (size_t)st.st_size % sizeof(*placed->found);
	placed->found = size ? malloc(size) : NULL;
	while (placed->found && done < size && n > 0) {
		n = pread(fd, (char *)placed->found + done, size - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	placed->n_found = placed->found ? done / sizeof(*placed->found) : 0;
	if (placed->n_found)
		qsort(placed->found, placed->n_found, sizeof(*placed->found), placed_compare);
}

/* Is it as an earlier try has left it? */
bool cow_placed_has(struct cow_placed *placed, const struct cow_placed_file *file)
{
	if (!placed->read)
		placed_read(placed);
	placed->read = true;
	return placed->n_found &&
	       bsearch(file, placed->found, placed->n_found, sizeof(*file), placed_compare) != NULL;
}
