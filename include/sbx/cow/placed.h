/* SPDX-License-Identifier: MIT */
/*
 * placed: the files with one name that an apply has given to the host, as it has left them, kept so
 * that the next one does not take them for somebody else's work. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COW_PLACED_MAX = 64 /* that are held */ };

/* As it is in the file. */
struct cow_placed_file {
	uint64_t dev, ino;
	int64_t changed_sec; /* ctime */
	uint64_t changed_nsec;
};

struct cow_placed {
	int dir_fd; /* borrowed; of the session */
	int fd;	    /* owned; -1: nothing is written (yet) */
	struct cow_placed_file held[COW_PLACED_MAX];
	size_t n_held;
	struct cow_placed_file *found; /* owned; those of earlier tries, in order */
	size_t n_found;
	bool read;   /* they are there */
	bool failed; /* nothing more is written */
};

void cow_placed_init(struct cow_placed *placed, int dir_fd);
void cow_placed_close(struct cow_placed *placed);
void cow_placed_add(struct cow_placed *placed, const struct cow_placed_file *file);
void cow_placed_flush(struct cow_placed *placed);
bool cow_placed_has(struct cow_placed *placed, const struct cow_placed_file *file);
