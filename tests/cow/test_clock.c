/* SPDX-License-Identifier: MIT */
/* clock: a clock that was set back is noticed by one that cannot be, as long as that is the same.
 */

#include <time.h>

#include <criterion/criterion.h>

#include "sbx/cow/clock.h"
#include "testlib.h"

static struct timespec seconds_ago(const struct timespec *now, time_t seconds)
{
	return (struct timespec){now->tv_sec - seconds, now->tv_nsec};
}

Test(cow_clock, that_goes_on_is_not_back)
{
	struct cow_clock clock;
	struct timespec now;

	cow_clock_note(&clock);
	clock_gettime(CLOCK_REALTIME, &now);
	cr_expect(clock.id[0]);
	cr_expect(!cow_clock_is_back(&clock, &now));
}

Test(cow_clock, is_back_where_less_time_has_passed)
{
	struct cow_clock clock;
	struct timespec now, began;

	cow_clock_note(&clock);
	clock_gettime(CLOCK_REALTIME, &now);
	began = seconds_ago(&now, 10);
	/* An hour by one, ten seconds by the other. */
	clock.up = seconds_ago(&clock.up, 3600);
	cr_expect(cow_clock_is_back(&clock, &began));
	/* In another boot the one says nothing. */
	clock.id[0] ^= 1;
	cr_expect(!cow_clock_is_back(&clock, &began));
	clock.id[0] = '\0';
	cr_expect(!cow_clock_is_back(&clock, &began));
}

Test(cow_clock, is_back_where_the_beginning_is_to_come)
{
	struct cow_clock clock = {.id = ""};
	struct timespec now, began;

	clock_gettime(CLOCK_REALTIME, &now);
	began = seconds_ago(&now, -60);
	cr_expect(cow_clock_is_back(&clock, &began));
	began = seconds_ago(&now, -1); /* a leap second */
	cr_expect(!cow_clock_is_back(&clock, &began));
}

/* It was set forward: what the host changes looks later than it is, which is no harm. */
Test(cow_clock, that_was_set_forward_is_not_back)
{
	struct cow_clock clock;
	struct timespec now, began;

	cow_clock_note(&clock);
	clock_gettime(CLOCK_REALTIME, &now);
	began = seconds_ago(&now, 3600);
	cr_expect(!cow_clock_is_back(&clock, &began));
}
