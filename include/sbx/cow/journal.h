/* SPDX-License-Identifier: MIT */
/*
 * journal: the directories of the host that an apply has changed, kept so that the next one
 * does not take its own work for somebody else's. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct cow_journal_dir {
	uint64_t dev, ino; /* both 0: a free place */
};

struct cow_journal {
	int fd;			      /* owned; -1: nothing is written (yet) */
	struct cow_journal_dir *dirs; /* owned; a hash table */
	size_t n, size;
};

int cow_journal_open(struct cow_journal *journal, int dir_fd, bool write);
void cow_journal_close(struct cow_journal *journal);
bool cow_journal_has(const struct cow_journal *journal, const struct stat *dir);
int cow_journal_add(struct cow_journal *journal, const struct stat *dir);
