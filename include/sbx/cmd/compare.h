/* SPDX-License-Identifier: MIT */
/*
 * compare: where texts differ, as diff(1) finds it, pair by pair; one process of it compares
 * many pairs. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sbx/base/err.h"

enum {
	COMPARE_PAIRS_MAX = 256,      /* held at a time */
	COMPARE_BYTES_MAX = 16 << 20, /* of them all, but that one pair is always held */
	COMPARE_TEXT_MAX = 8 << 20,   /* of one text */
	/* A pair with more bytes is compared alone, and until it takes too long. Smaller ones, as
	   unlike as texts can be, take tenths of a second. */
	COMPARE_SMALL_MAX = 1 << 16,
};

/* Who is told. Both return 0, or else all ends there. */
struct compare_reader {
	int (*begin)(void *arg, size_t pair);		      /* the pair differs; in order */
	int (*line)(void *arg, const char *text, size_t len); /* of its hunks, without newline */
	void *arg;
};

struct compare {
	struct {
		int fds[2]; /* owned; copies in memory */
	} pairs[COMPARE_PAIRS_MAX];
	size_t n;
	size_t n_max; /* as many descriptors as there may be leave room for; 0: not known yet */
	off_t bytes;
	bool has_large;	   /* the one that is held is more than small */
	bool one_by_one;   /* this diff(1), or this /proc, is not for more */
	unsigned given_up; /* pairs that took too long */
};

int compare_add(struct compare *compare, int old_fd, int new_fd);
bool compare_is_full(const struct compare *compare, off_t more_bytes);
int compare_run(struct compare *compare, const struct compare_reader *reader, struct sbx_err *err);
void compare_clear(struct compare *compare);
