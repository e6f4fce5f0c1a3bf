/* SPDX-License-Identifier: MIT */
/*
 * times: times of the host's files, compared with a moment, or with what they were to be. A
 * filesystem keeps them as finely as it can, and cuts off the rest. Runs in: any process.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

bool cow_time_is_after(const struct timespec *time, const struct timespec *other);
struct timespec cow_time_last(const struct timespec *changed);
bool cow_time_may_be_after(const struct stat *st, const struct timespec *moment);
bool cow_time_is_kept(const struct timespec *has, const struct timespec *given,
		      const struct timespec *changed);
