/* SPDX-License-Identifier: MIT */
/*
 * log: what a detached command has printed, in files of limited size beside its record.
 * Runs in: the monitor (write), the verbs (read).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/base/label.h"

enum {
	LOG_MAX_BYTES = 2 << 20, /* of each of the two files */
	LOG_ENTRY_MAX = 16384,	 /* bytes of output in one entry */
};

/* The file that is written, and the one that was full before it. */
#define LOG_SUFFIX ".log"
#define LOG_OLD_SUFFIX ".old.log"

struct log {
	int dir_fd; /* borrowed */
	int fd;	    /* owned; -1: there is none, output is thrown away */
	size_t size;
	bool stays; /* when it is finished */
	char name[LABEL_FILE_SIZE], old_name[LABEL_FILE_SIZE];
};

/* One entry: some output, as it came. */
struct log_entry {
	int64_t time_ms; /* since 1970 */
	bool is_error;	 /* standard error's */
	const char *data;
	size_t len;
};

void log_names(const struct label *label, char ret_name[LABEL_FILE_SIZE],
	       char ret_old_name[LABEL_FILE_SIZE]);
int log_open(struct log *log, int dir_fd, const struct label *label);
void log_write(struct log *log, bool is_error, const char *data, size_t len);
void log_open_readers(const struct log *log, int ret_fds[2]);
void log_remove(struct log *log);
size_t log_parse(const char *text, size_t len, struct log_entry *ret_entry);
