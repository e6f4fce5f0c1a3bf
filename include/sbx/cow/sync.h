/* SPDX-License-Identifier: MIT */
/*
 * sync: fsync(2) of many files at once. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { COW_SYNC_MAX = 64 };

struct cow_sync {
	unsigned long context; /* of the kernel; 0: none */
	bool refused;	       /* none can be had */
};

void cow_sync_close(struct cow_sync *sync);
void cow_sync_files(struct cow_sync *sync, const int *fds, size_t n, int *ret_results);
