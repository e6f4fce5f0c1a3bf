/* SPDX-License-Identifier: MIT */
/*
 * journal: the directories and files of the host that an apply has changed, and what they came to
 * be, kept so that the next one does not take its own work for somebody else's, nor somebody
 * else's for its own. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "sbx/cow/devices.h"
#include "sbx/cow/placed.h"

struct cow_journal_file {
	uint64_t dev, ino;	  /* the lasting number; both 0: nothing, and its place is lost */
	struct timespec until;	  /* changes of it up to then are ours; tv_sec -1: none */
	struct timespec modified; /* of what is no directory: its data */
	uint32_t type;		  /* S_IFMT */
	bool busy;		  /* about to be changed */
	bool foreign;		  /* had been changed by somebody else before: excuses nothing */
};

struct cow_journal_plan {
	uint64_t dev, ino;
	bool foreign;
};

struct cow_journal {
	int fd;				/* owned; -1: nothing is written (yet) */
	struct cow_journal_file *files; /* owned; in the order of the records */
	size_t n, n_written;
	size_t *slots; /* owned; a hash table of numbers in `files`, from 1; 0: a free place */
	size_t size;
	struct cow_journal_plan *planned; /* owned; in the order in which they will be changed */
	size_t n_planned, planned_size, next;
	size_t *busy; /* owned; numbers in `files`, from 0 */
	size_t n_busy, busy_size;
	const struct cow_devices *devices; /* borrowed, may grow */
	struct cow_placed placed;
	struct timespec began;	/* the session; what has changed later is somebody's */
	struct timespec latest; /* that the time of what is known here may stand for */
	bool open;		/* the head says that this try is at work */
	bool synced;		/* so it does on disk */
	bool left;		/* what a killed one was at work on may not be ended yet */
	int failed;		/* 0, or -errno: nothing more is written */
};

int cow_journal_open(struct cow_journal *journal, int dir_fd, const struct timespec *began,
		     const struct cow_devices *devices, bool write);
int cow_journal_close(struct cow_journal *journal);
int cow_journal_is_left(int dir_fd);
bool cow_journal_knows(const struct cow_journal *journal, const struct stat *st);
bool cow_journal_excuses(struct cow_journal *journal, const struct stat *st);
int cow_journal_plan(struct cow_journal *journal, const struct stat *dir);
int cow_journal_hold(struct cow_journal *journal, const struct stat *st);
int cow_journal_hold_new(struct cow_journal *journal, const struct stat *st);
int cow_journal_flush(struct cow_journal *journal);
int cow_journal_add(struct cow_journal *journal, const struct stat *st);
void cow_journal_note(struct cow_journal *journal, const struct stat *st);
void cow_journal_note_placed(struct cow_journal *journal, const struct stat *st);
void cow_journal_fail(struct cow_journal *journal, int number);
int cow_journal_settle(struct cow_journal *journal);
