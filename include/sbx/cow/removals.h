/* SPDX-License-Identifier: MIT */
/*
 * removals: which directories of the host an apply takes away, kept so that the next one removes
 * what a killed one has left of them, and nothing else. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COW_REMOVALS_MAX = 64 /* that are held */ };

/* As it is in the file. An inode's number is used again, the moment of birth is not. */
struct cow_removal {
	uint64_t dev, inode;
	int64_t born_sec; /* with the other 0: the filesystem does not say */
	uint32_t born_nsec;
	uint32_t goes; /* 1: looked at once more, and all that is in it goes */
};

struct cow_removals {
	int dir_fd; /* borrowed; of the session */
	int fd;	    /* owned; -1: nothing is written (yet) */
	struct cow_removal held[COW_REMOVALS_MAX];
	size_t n_held;
	int failed; /* 0, or -errno: nothing more is written */
};

void cow_removals_init(struct cow_removals *removals, int dir_fd);
void cow_removals_close(struct cow_removals *removals);
int cow_removal_of(int dir_fd, const char *name, struct cow_removal *ret);
bool cow_removal_is(const struct cow_removal *one, const struct cow_removal *other);
int cow_removals_hold(struct cow_removals *removals, const struct cow_removal *removal);
int cow_removals_flush(struct cow_removals *removals);
int cow_removals_let_go(struct cow_removals *removals, const struct cow_removal *removal);
int cow_removals_find(const struct cow_removals *removals, struct cow_removal *removal);
