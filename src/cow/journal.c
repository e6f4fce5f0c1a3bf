/* SPDX-License-Identifier: MIT */
/*
 * journal: see journal.h. A file of records of one size, behind a head.
 *
 * Theory of operation
 *
 * A record says which file of the host it is, and up to which change time (ctime) what is seen of
 * it is an apply's own work. Whatever has changed it later was somebody else, and so was whoever
 * made another file with the number of one that is gone: that is later too. A file whose last
 * name an apply has taken away excuses nothing any more. Nor, ever, does what somebody else had
 * changed before an apply came to it, for another entry or by force: what an apply has added to
 * that does not make it its own ("foreign").
 *
 * While a file is about to be changed its record says "busy", and the change time that it has
 * come to is written behind the change. So what a killed apply leaves is busy in few records, those
 * of what it was at work on, and the next one takes for its work what they are at that moment,
 * but no more than that; of a file, which gets and loses names only, if its data have the same
 * time as before. Where the machine has stopped, which another boot id tells, that is so for all
 * records up to the time when the journal was written to last, and as long as a disk may be behind:
 * what is written to them behind a change waits for none. The head says whether an apply has ended
 * by itself.
 *
 * There has to be a record, on disk, of all that is changed, before it is. Each time that one is
 * written a disk is waited for. So a directory takes with it some that will be changed soon
 * after, where it is known which; and new ones, which nobody knows yet, wait for each other.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/dirs.h"
#include "sbx/cow/journal.h"
#include "sbx/cow/times.h"

enum {
	JOURNAL_FIRST_SIZE = 256,
	JOURNAL_AHEAD = 64,
	JOURNAL_LOOK = 1024,
	JOURNAL_BATCH = 64,
	JOURNAL_BOOT_BYTES = 36,
	JOURNAL_BEHIND_SECONDS = 60,
	JOURNAL_TICK_NS = 1000000
};

/* Of a record; both may be. */
enum journal_state { JOURNAL_BUSY = 1, JOURNAL_FOREIGN = 2 };

struct journal_record {
	uint64_t dev, ino;
	int64_t until_sec, modified_sec;
	uint32_t until_nsec, modified_nsec;
	uint32_t type;
	uint32_t state;
};

enum journal_open {
	JOURNAL_ENDED,
	JOURNAL_AT_WORK, /* or was, until it was killed */
	JOURNAL_LEFT, /* later ones have ended, but not what one was at work on that was killed */
};

struct journal_head {
	char magic[8];
	char boot[JOURNAL_BOOT_BYTES]; /* when it was opened */
	uint32_t open;		       /* enum journal_open */
};

static_assert(sizeof(struct journal_record) == sizeof(struct journal_head), "one size");

static const char journal_magic[] = "sbxjrnl3";
static const struct timespec journal_never = {.tv_sec = -1};

/* ---- in memory ---- */

static size_t journal_slot(const struct cow_journal *j, uint64_t dev, uint64_t ino)
{
	size_t at = (size_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) ^ dev) & (j->size - 1);

	while (j->slots[at] &&
	       (j->files[j->slots[at] - 1].dev != dev || j->files[j->slots[at] - 1].ino != ino))
		at = (at + 1) & (j->size - 1);
	return at;
}

static int journal_grow(struct cow_journal *j)
{
	struct cow_journal bigger = {.size = j->size ? j->size * 2 : JOURNAL_FIRST_SIZE};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	bigger.files = reallocarray(j->files, bigger.size / 2, sizeof(*j->files));
	if (bigger.files)
		j->files = bigger.files;
	if (!bigger.files || !bigger.slots) {
		free(bigger.slots);
		return -ENOMEM;
	}
	for (size_t i = 0; i < j->n; i++)
		if (j->files[i].dev || j->files[i].ino)
			bigger.slots[journal_slot(&bigger, j->files[i].dev, j->files[i].ino)] =
				i + 1;
	free(j->slots);
	j->slots = bigger.slots;
	j->size = bigger.size;
	return 0;
}

static struct cow_journal_file *journal_find(const struct cow_journal *j, const struct stat *st)
{
	uint64_t dev = cow_devices_number(j->devices, st->st_dev);
	size_t slot = j->n ? journal_slot(j, dev, st->st_ino) : 0;

	return j->n && j->slots[slot] ? &j->files[j->slots[slot] - 1] : NULL;
}

/* One more. With no numbers it only takes its place. Return: 0 or -errno. */
static int journal_append(struct cow_journal *j, const struct cow_journal_file *file)
{
	int r = (j->n + 1) * 2 > j->size ? journal_grow(j) : 0;

	if (r < 0)
		return r;
	j->files[j->n] = *file;
	if (file->dev || file->ino)
		j->slots[journal_slot(j, file->dev, file->ino)] = j->n + 1;
	j->n++;
	return 0;
}

/* Whoever changes it when this try has ended must get a later time. */
static void journal_outlast(struct cow_journal *j, const struct timespec *time)
{
	if (cow_time_is_after(time, &j->latest))
		j->latest = *time;
}

/* ---- the file ---- */

static int journal_write_at(const struct cow_journal *j, const void *data, size_t len, off_t at)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t n = pwrite(j->fd, rest, len, at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		rest += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The records from one up to another. */
static int journal_write(const struct cow_journal *j, size_t from, size_t end)
{
	struct journal_record records[JOURNAL_BATCH] = {0};
	int r = 0;

	while (from < end && r == 0) {
		size_t n = end - from < JOURNAL_BATCH ? end - from : JOURNAL_BATCH;

		for (size_t i = 0; i < n; i++) {
			const struct cow_journal_file *file = &j->files[from + i];

			records[i] = (struct journal_record){
				.dev = file->dev,
				.ino = file->ino,
				.until_sec = file->until.tv_sec,
				.until_nsec = (uint32_t)file->until.tv_nsec,
				.modified_sec = file->modified.tv_sec,
				.modified_nsec = (uint32_t)file->modified.tv_nsec,
				.type = file->type,
				.state = (file->busy ? JOURNAL_BUSY : 0U) |
					 (file->foreign ? JOURNAL_FOREIGN : 0U),
			};
		}
		r = journal_write_at(j, records, n * sizeof(*records),
				     (off_t)((from + 1) * sizeof(*records)));
		from += n;
	}
	return r;
}

/* Return: is it known? */
static bool journal_read_boot(char boot[JOURNAL_BOOT_BYTES])
{
	_autoclose_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(boot, 0, JOURNAL_BOOT_BYTES);
	return fd >= 0 && read(fd, boot, JOURNAL_BOOT_BYTES) == JOURNAL_BOOT_BYTES;
}

static int journal_write_head(const struct cow_journal *j, enum journal_open open)
{
	struct journal_head head = {.open = open};

	memcpy(head.magic, journal_magic, sizeof(head.magic));
	(void)journal_read_boot(head.boot);
	return journal_write_at(j, &head, sizeof(head), 0);
}

static int journal_sync(const struct cow_journal *j)
{
	return fdatasync(j->fd) < 0 ? -errno : 0;
}

/* An apply begins to change something. */
static int journal_begin(struct cow_journal *j)
{
	int r = j->open ? 0 : journal_write_head(j, JOURNAL_AT_WORK);

	j->open = j->open || r == 0;
	return r;
}

/* ---- what earlier ones have left ---- */

static void journal_excuse(struct cow_journal *j, struct cow_journal_file *file,
			   const struct timespec *until)
{
	if (cow_time_is_after(&file->until, until))
		return;
	file->until = *until;
	journal_outlast(j, until);
}

/*
 * What is seen of a file whose change was not noted is taken for that change, as it is now.
 * @stopped: when the machine has, that a change was noted may be lost of any that was changed
 *           before: later than that, by what a disk may be behind, none was. NULL: it has not
 */
static void journal_excuse_now(struct cow_journal *j, const struct timespec *stopped)
{
	struct timespec now, by_then = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (stopped)
		by_then = (struct timespec){stopped->tv_sec + JOURNAL_BEHIND_SECONDS, 0};
	if (cow_time_is_after(&by_then, &now))
		by_then = now;
	for (size_t i = 0; i < j->n; i++) {
		if (j->files[i].busy)
			journal_excuse(j, &j->files[i], &now);
		else if (stopped)
			journal_excuse(j, &j->files[i], &by_then);
		j->files[i].busy = false;
	}
}

/* Return: 0 or -errno; what is no journal has no records, and half of one at the end is none. */
static int journal_load(struct cow_journal *j, int fd, bool *ret_open)
{
	struct journal_head head;
	char boot[JOURNAL_BOOT_BYTES];
	ssize_t n = read(fd, &head, sizeof(head));
	struct journal_record record;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (n != (ssize_t)sizeof(head) ||
	    memcmp(head.magic, journal_magic, sizeof(head.magic)) != 0)
		return n < 0 ? -errno : 0;
	while ((n = read(fd, &record, sizeof(record))) == (ssize_t)sizeof(record)) {
		const struct cow_journal_file file = {
			.dev = record.dev,
			.ino = record.ino,
			.until = {record.until_sec, record.until_nsec},
			.modified = {record.modified_sec, record.modified_nsec},
			.type = record.type,
			.busy = record.state & JOURNAL_BUSY,
			.foreign = record.state & JOURNAL_FOREIGN,
		};
		int r = journal_append(j, &file);

		if (r < 0)
			return r;
	}
	if (n < 0)
		return -errno;
	*ret_open = head.open == JOURNAL_AT_WORK;
	j->left = head.open != JOURNAL_ENDED;
	if (*ret_open)
		journal_excuse_now(j, journal_read_boot(boot) &&
						      memcmp(boot, head.boot, sizeof(boot)) == 0
					      ? NULL
					      : &st.st_mtim);
	return 0;
}

/**
 * What earlier tries have changed.
 * @dir_fd: of the session
 * @began:  it
 * @devices: as they are now
 * @write:  this one will change something too
 *
 * Return: 0 or -errno.
 */
int cow_journal_open(struct cow_journal *journal, int dir_fd, const struct timespec *began,
		     const struct cow_devices *devices, bool write)
{
	_autoclose_ int fd = dirs_open_file(dir_fd, "journal", write ? O_RDWR | O_CREAT : O_RDONLY);
	bool open = false;
	int r;

	*journal = (struct cow_journal){.fd = -1, .began = *began, .devices = devices};
	cow_placed_init(&journal->placed, dir_fd);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = journal_load(journal, fd, &open);
	if (r < 0 || !write)
		return r;
	if (journal->n == 0 && ftruncate(fd, 0) < 0)
		return -errno;
	journal->fd = take_fd(&fd);
	journal->n_written = journal->n;
	/* What is excused now is so from now on, whatever becomes of this try. */
	if (journal->left)
		r = journal_begin(journal);
	if (open && r == 0)
		r = journal_write(journal, 0, journal->n);
	journal->failed = r;
	return r;
}

/* Has one been killed, and what it was at work on not been ended? Return: 1, 0 or -errno. */
int cow_journal_is_left(int dir_fd)
{
	_autoclose_ int fd = dirs_open_file(dir_fd, "journal", O_RDONLY);
	struct journal_head head;
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	n = read(fd, &head, sizeof(head));
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(head) &&
	       memcmp(head.magic, journal_magic, sizeof(head.magic)) == 0 &&
	       head.open != JOURNAL_ENDED;
}

/* ---- what this one does ---- */

bool cow_journal_knows(const struct cow_journal *journal, const struct stat *st)
{
	return journal_find(journal, st) != NULL;
}

/* By what no name that it gets or loses changes. Of a new one the time is what it was given. */
static bool journal_is_same(const struct cow_journal_file *file, const struct stat *st)
{
	return file->type == (st->st_mode & S_IFMT) &&
	       (S_ISDIR(st->st_mode) ||
		cow_time_is_kept(&st->st_mtim, &file->modified, &st->st_ctim));
}

static struct cow_placed_file journal_as_placed(const struct cow_journal *j, const struct stat *st)
{
	return (struct cow_placed_file){cow_devices_number(j->devices, st->st_dev), st->st_ino,
					st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec};
}

/*
 * Is all that has changed a file an apply's own work? Where times are not fine, what changes it
 * in what is left of a second that was begun would be taken for that, too: see journal_outlast().
 */
bool cow_journal_excuses(struct cow_journal *journal, const struct stat *st)
{
	const struct cow_journal_file *file = journal_find(journal, st);
	const struct cow_placed_file placed = journal_as_placed(journal, st);
	struct timespec until;

	if (!file || file->foreign || !journal_is_same(file, st) ||
	    cow_time_is_after(&st->st_ctim, &file->until))
		return !S_ISDIR(st->st_mode) && cow_placed_has(&journal->placed, &placed);
	if (cow_time_may_be_after(st, &st->st_ctim)) {
		until = cow_time_last(&(struct timespec){.tv_sec = file->until.tv_sec});
		journal_outlast(journal, &until);
	}
	return true;
}

/* Is it as somebody else has left it since the session began? */
static bool journal_is_foreign(struct cow_journal *j, const struct stat *st)
{
	return cow_time_may_be_after(st, &j->began) && !cow_journal_excuses(j, st);
}

/* A directory will be changed, after all that this was said of before. Return: 0 or -errno. */
int cow_journal_plan(struct cow_journal *journal, const struct stat *dir)
{
	const uint64_t dev = cow_devices_number(journal->devices, dir->st_dev);
	const struct cow_journal_plan plan = {dev, dir->st_ino, journal_is_foreign(journal, dir)};
	const struct cow_journal_plan *last =
		journal->n_planned ? &journal->planned[journal->n_planned - 1] : NULL;

	if (last && last->dev == plan.dev && last->ino == plan.ino)
		return 0;
	if (journal->n_planned == journal->planned_size) {
		size_t more =
			journal->planned_size ? journal->planned_size * 2 : JOURNAL_FIRST_SIZE;
		struct cow_journal_plan *grown =
			reallocarray(journal->planned, more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		journal->planned = grown;
		journal->planned_size = more;
	}
	assert(journal->planned);
	journal->planned[journal->n_planned++] = plan;
	return 0;
}

static int journal_add_busy(struct cow_journal *j, size_t index)
{
	if (j->n_busy == j->busy_size) {
		size_t more = j->busy_size ? j->busy_size * 2 : JOURNAL_FIRST_SIZE;
		size_t *grown = reallocarray(j->busy, more, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		j->busy = grown;
		j->busy_size = more;
	}
	j->busy[j->n_busy++] = index;
	j->files[index].busy = true;
	return 0;
}

/* One more, or the one that is there already, is about to be changed. Return: 0 or -errno. */
static int journal_take(struct cow_journal *j, const struct stat *st,
			struct cow_journal_file **ret_file)
{
	struct cow_journal_file *file = journal_find(j, st);
	int r = 0;

	if (!file) {
		const struct cow_journal_file new = {
			.dev = cow_devices_number(j->devices, st->st_dev),
			.ino = st->st_ino,
			.until = journal_never};

		r = journal_append(j, &new);
		file = r < 0 ? NULL : &j->files[j->n - 1];
	}
	if (r == 0 && !file->busy)
		r = journal_add_busy(j, (size_t)(file - j->files));
	if (r == 0)
		*ret_file = file;
	return r;
}

/* @foreign: it had been changed by somebody else */
static int journal_hold(struct cow_journal *j, const struct stat *st, bool foreign)
{
	const struct cow_journal_file *known = journal_find(j, st);
	struct cow_journal_file *file = NULL;
	size_t at;
	int r = j->failed;

	/* Another file may have that number by now. */
	if (r < 0 ||
	    (known && known->busy && known->foreign == foreign && journal_is_same(known, st)))
		return r;
	r = journal_take(j, st, &file);
	if (r < 0)
		return r;
	at = (size_t)(file - j->files);
	/* What is to be known whatever happens: it is another file with that number, or that it
	 * excuses nothing. */
	if (!journal_is_same(file, st) || file->foreign != foreign)
		j->synced = false;
	file->type = st->st_mode & S_IFMT;
	file->modified = st->st_mtim;
	file->foreign = foreign;
	if (at >= j->n_written)
		return 0;
	r = journal_begin(j);
	if (r == 0)
		r = journal_write(j, at, at + 1);
	j->failed = r;
	return r;
}

/*
 * It is about to be changed. Of one that has no record yet that is not written: it has to be, with
 * cow_journal_flush(), before it is changed.
 * @st: as it is, or was before this one's latest changes
 *
 * Return: 0 or -errno.
 */
int cow_journal_hold(struct cow_journal *journal, const struct stat *st)
{
	const struct cow_journal_file *file = journal_find(journal, st);

	return journal_hold(journal, st,
			    (file && file->foreign) || journal_is_foreign(journal, st));
}

/* This one has just made it. What is held has to be written before it has a name that stays. */
int cow_journal_hold_new(struct cow_journal *journal, const struct stat *st)
{
	return journal_hold(journal, st, false);
}

/* Write what is held. Return: 0 or -errno. */
int cow_journal_flush(struct cow_journal *journal)
{
	int r = journal->failed;

	if (r < 0 || (journal->synced && journal->n_written == journal->n))
		return r;
	r = journal_begin(journal);
	if (r == 0)
		r = journal_write(journal, journal->n_written, journal->n);
	if (r == 0)
		r = journal_sync(journal);
	journal->n_written = journal->n;
	journal->synced = r == 0;
	journal->failed = r;
	return r;
}

/* Some that will be changed next, where this is one of those: they get a record, and no more. */
static int journal_take_next(struct cow_journal *j, const struct stat *st)
{
	const uint64_t dev = cow_devices_number(j->devices, st->st_dev);
	size_t at = j->next, end;
	int r = 0;

	while (at < j->n_planned && at - j->next < JOURNAL_LOOK &&
	       (j->planned[at].dev != dev || j->planned[at].ino != st->st_ino))
		at++;
	if (at == j->n_planned || at - j->next == JOURNAL_LOOK)
		return 0;
	end = j->n_planned - at > JOURNAL_AHEAD ? at + JOURNAL_AHEAD : j->n_planned;
	for (; at < end && r == 0; at++) {
		const struct stat dir = {.st_dev = j->planned[at].dev,
					 .st_ino = j->planned[at].ino};
		const struct cow_journal_file new = {.dev = dir.st_dev,
						     .ino = dir.st_ino,
						     .type = S_IFDIR,
						     .foreign = j->planned[at].foreign,
						     .until = journal_never};

		r = journal_find(j, &dir) ? 0 : journal_append(j, &new);
	}
	j->next = end;
	return r;
}

/* To be called before a directory or file is changed. Return: 0 or -errno. */
int cow_journal_add(struct cow_journal *journal, const struct stat *st)
{
	bool known = cow_journal_knows(journal, st);
	int r = cow_journal_hold(journal, st);

	if (r == 0 && !known)
		r = journal_take_next(journal, st);
	return r < 0 ? r : cow_journal_flush(journal);
}

/*
 * What this has changed just now is as it was left. No name that it gets or loses changes the data
 * of a file: it was somebody else who has written to it meanwhile.
 */
void cow_journal_note(struct cow_journal *journal, const struct stat *st)
{
	struct cow_journal_file *file = journal_find(journal, st);
	struct timespec last;

	if (!file || !file->busy)
		return;
	file->foreign = file->foreign || !journal_is_same(file, st);
	file->until = !S_ISDIR(st->st_mode) && st->st_nlink == 0 ? journal_never : st->st_ctim;
	file->modified = st->st_mtim;
	last = cow_time_last(&file->until);
	journal_outlast(journal, &last);
}

/* A file that has no record, and has got its only name just now. */
void cow_journal_note_placed(struct cow_journal *journal, const struct stat *st)
{
	const struct cow_placed_file file = journal_as_placed(journal, st);
	const struct timespec last = cow_time_last(&st->st_ctim);

	cow_placed_add(&journal->placed, &file);
	journal_outlast(journal, &last);
}

/* What this has changed just now is not known: it is busy, and stays so for the next one. */
void cow_journal_fail(struct cow_journal *journal, int number)
{
	journal->failed = journal->failed ? journal->failed : number;
}

/* All that was about to be changed is, or will not be. Return: 0 or -errno. */
int cow_journal_settle(struct cow_journal *journal)
{
	int r = journal->n_busy ? cow_journal_flush(journal) : journal->failed;

	for (size_t i = 0; i < journal->n_busy && r == 0; i++) {
		journal->files[journal->busy[i]].busy = false;
		r = journal_write(journal, journal->busy[i], journal->busy[i] + 1);
	}
	journal->n_busy = 0;
	journal->failed = r;
	cow_placed_flush(&journal->placed);
	return r;
}

/*
 * Times of files come from a clock that stands still for some milliseconds, and are cut off where
 * the filesystem has whole seconds.
 */
static void journal_wait_for_tick(const struct cow_journal *j)
{
	const struct timespec tick = {.tv_nsec = JOURNAL_TICK_NS};
	struct timespec now;

	/* One that is far behind was set back meanwhile. */
	while (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 &&
	       !cow_time_is_after(&now, &j->latest) && j->latest.tv_sec - now.tv_sec <= 1)
		(void)nanosleep(&tick, NULL);
}

/* This try has ended by itself. */
static int journal_end(struct cow_journal *j)
{
	int r = cow_journal_settle(j);

	journal_wait_for_tick(j);
	if (r == 0)
		r = journal_sync(j);
	if (r == 0)
		r = journal_write_head(j, j->left ? JOURNAL_LEFT : JOURNAL_ENDED);
	return r < 0 ? r : journal_sync(j);
}

/* Return: 0, or -errno: what is known of this try's work is not on disk. */
int cow_journal_close(struct cow_journal *journal)
{
	int r = journal->failed;

	if (r == 0 && journal->fd >= 0 && journal->open)
		r = journal_end(journal);
	defs_cleanup_fd(&journal->fd);
	cow_placed_close(&journal->placed);
	free(journal->files);
	free(journal->slots);
	free(journal->planned);
	free(journal->busy);
	*journal = (struct cow_journal){.fd = -1};
	return r;
}
