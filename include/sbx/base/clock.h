/* SPDX-License-Identifier: MIT */
/* clock: the time that deadlines are counted by. Any process. */
#pragma once

#include <stdint.h>

int64_t clock_now_ms(void);
