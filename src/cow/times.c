/* SPDX-License-Identifier: MIT */
/*
 * times: see times.h.
 *
 * How fine a filesystem's times are nobody says, so each time is asked itself. Whole seconds are
 * what ext4 with inodes of 128 bytes keeps, ext3, HFS+ and others; vfat keeps each other second;
 * exFAT keeps hundredths. With nanoseconds, a time that looks so is one in a million, and then
 * counts as one of those; where the kernel's own clock has but milliseconds (a machine that is
 * emulated), it is one in some hundreds. But a file has other times, and all that look so is a
 * conflict where none is hardly ever.
 */

#include "sbx/cow/times.h"

enum { TIMES_SECOND_NS = 1000000000, TIMES_HUNDREDTH_NS = TIMES_SECOND_NS / 100 };

bool cow_time_is_after(const struct timespec *time, const struct timespec *other)
{
	return time->tv_sec > other->tv_sec ||
	       (time->tv_sec == other->tv_sec && time->tv_nsec > other->tv_nsec);
}

/* The last moment that a change time may stand for. */
struct timespec cow_time_last(const struct timespec *changed)
{
	struct timespec last = *changed;

	if (changed->tv_nsec == 0) {
		last.tv_sec += 1; /* the two seconds of vfat, up to their end */
		last.tv_nsec = TIMES_SECOND_NS - 1;
	} else if (changed->tv_nsec % TIMES_HUNDREDTH_NS == 0) {
		last.tv_nsec += TIMES_HUNDREDTH_NS - 1;
	}
	return last;
}

/* Does a filesystem that keeps hundredths, or less, have none like it? */
static bool time_is_fine(const struct timespec *time)
{
	return time->tv_nsec % TIMES_HUNDREDTH_NS != 0;
}

/* Can it not be told that a file was changed at that moment at the latest? */
bool cow_time_may_be_after(const struct stat *st, const struct timespec *moment)
{
	bool fine = time_is_fine(&st->st_atim) || time_is_fine(&st->st_mtim);
	const struct timespec last = fine ? st->st_ctim : cow_time_last(&st->st_ctim);

	return cow_time_is_after(&last, moment);
}

/**
 * Is a file's time what its filesystem has made of another, that it was given?
 * @has:     the file's
 * @changed: its change time, which nobody can set: it tells how fine times are there
 */
bool cow_time_is_kept(const struct timespec *has, const struct timespec *given,
		      const struct timespec *changed)
{
	for (long unit = 1; unit <= TIMES_SECOND_NS && changed->tv_nsec % unit == 0; unit *= 10)
		if (has->tv_sec == given->tv_sec &&
		    has->tv_nsec == given->tv_nsec - given->tv_nsec % unit)
			return true;
	/* vfat */
	return changed->tv_nsec == 0 && changed->tv_sec % 2 == 0 && has->tv_nsec == 0 &&
	       has->tv_sec % 2 == 0 && has->tv_sec == given->tv_sec - 1;
}
