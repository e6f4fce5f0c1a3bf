/* SPDX-License-Identifier: MIT */
/*
 * clock: was the clock set back since a session began? Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

enum { COW_CLOCK_ID_MAX = 96 };

/* What the time of the beginning was by a clock that nobody sets. */
struct cow_clock {
	char id[COW_CLOCK_ID_MAX]; /* of the boot and the time namespace; "": not known */
	struct timespec up;	   /* since that boot */
};

void cow_clock_note(struct cow_clock *ret_clock);
bool cow_clock_is_back(const struct cow_clock *clock, const struct timespec *began);
