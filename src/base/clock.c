/* SPDX-License-Identifier: MIT */
/* clock: see clock.h. */

#include <time.h>

#include "sbx/base/clock.h"

/* CLOCK_MONOTONIC, which no change of the date moves, in milliseconds; no system call. */
int64_t clock_now_ms(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
