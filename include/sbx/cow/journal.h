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
	struct cow_journal_dir *planned; /* owned; in the order in which they will be changed */
	size_t n_planned, planned_size, next;
	struct cow_journal_dir *held; /* owned; not written yet */
	size_t n_held, held_size;
	int failed; /* 0, or -errno: nothing more is written */
};

int cow_journal_open(struct cow_journal *journal, int dir_fd, bool write);
void cow_journal_close(struct cow_journal *journal);
bool cow_journal_has(const struct cow_journal *journal, const struct stat *dir);
int cow_journal_plan(struct cow_journal *journal, const struct stat *dir);
int cow_journal_add(struct cow_journal *journal, const struct stat *dir);
int cow_journal_hold(struct cow_journal *journal, const struct stat *dir);
int cow_journal_flush(struct cow_journal *journal);
