/* SPDX-License-Identifier: MIT */
/*
 * record: what a file of records says about the placeholders of one sandbox.
 * Runs in: PID 1, which writes; the monitor, and that of any later sbx, which read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/base/sys.h"

enum { RECORD_MAX_BYTES = 4 << 20, RECORD_NAME_MAX = 40 };

struct record_entry {
	bool is_dir;
	bool is_work;	 /* a directory that an overlay works in: not empty, and ours alone */
	unsigned number; /* of the entry's own temporary name */
	uint64_t parent_dev, parent_inode; /* of the directory that it is in */
	uint64_t dev, inode;		   /* 0: about to be made */
	int64_t born_sec;
	uint32_t born_nsec;
	const char *path; /* on the host, absolute, without links */
};

struct record {
	struct record_entry *entries;
	size_t n_entries;
};

int record_append(int fd, const struct record_entry *entry);
int record_read(int fd, struct arena *arena, struct record *ret_record);
bool record_parse(struct arena *arena, const char *text, size_t len, struct record *ret_record);
bool record_is_of(const struct record_entry *entry, const struct sys_file *file);
