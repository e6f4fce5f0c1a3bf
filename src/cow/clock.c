/* SPDX-License-Identifier: MIT */
/*
 * clock: see clock.h.
 *
 * What has changed on the host since a session began is told by times, which are those of a clock
 * that can be set. Where it was set back, what was changed afterwards may look older than the
 * session, and would be overwritten. It was, where the session began later than now, or where less
 * time has passed by this clock than by one that cannot be set. The latter begins with each boot,
 * so a clock that was set back while the machine was off, and has caught up, is not noticed.
 *
 * A second time in a namespace of its own is another, so which one it is belongs to it. Both clocks
 * are made faster and slower together (adjtime(3)); what is let pass is a leap second.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/cow/clock.h"

enum { CLOCK_SKEW_S = 2, CLOCK_BOOT_BYTES = 36 };

void cow_clock_note(struct cow_clock *ret_clock)
{
	_autoclose_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char boot[CLOCK_BOOT_BYTES + 1] = "", space[48] = "";

	*ret_clock = (struct cow_clock){0};
	if (fd < 0 || read(fd, boot, CLOCK_BOOT_BYTES) != CLOCK_BOOT_BYTES ||
	    clock_gettime(CLOCK_BOOTTIME, &ret_clock->up) < 0)
		return;
	if (readlink("/proc/self/ns/time", space, sizeof(space) - 1) < 0) /* Linux 5.6 */
		space[0] = '\0';
	(void)snprintf(ret_clock->id, sizeof(ret_clock->id), "%s %s", boot, space);
}

/* What a record says can be any number. */
static double clock_difference(const struct timespec *a, const struct timespec *b)
{
	return (double)a->tv_sec - (double)b->tv_sec +
	       ((double)a->tv_nsec - (double)b->tv_nsec) / 1e9;
}

/* @clock: as it was noted when the session began; @began: what the other clock was then */
bool cow_clock_is_back(const struct cow_clock *clock, const struct timespec *began)
{
	struct cow_clock present;
	struct timespec now;
	double passed;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	passed = clock_difference(&now, began);
	if (passed < -CLOCK_SKEW_S)
		return true;
	cow_clock_note(&present);
	return present.id[0] && str_equal(present.id, clock->id) &&
	       clock_difference(&present.up, &clock->up) - passed > CLOCK_SKEW_S;
}
