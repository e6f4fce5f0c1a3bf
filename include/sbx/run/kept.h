/* SPDX-License-Identifier: MIT */
/*
 * kept: what stays of a sandbox that has ended (--keep-record): a file beside the records.
 * Runs in: the monitor (write), the verbs (read, remove).
 */
#pragma once

#include "sbx/run/control.h"
#include "sbx/run/stats.h"

/* Behind what a record is called; the plus is in no name. */
#define KEPT_SUFFIX "+kept"

enum {
	KEPT_VERSION = 3,
	KEPT_FILE_SIZE = LABEL_FILE_SIZE + sizeof(KEPT_SUFFIX) - 1,
	KEPT_PLAN_MAX = 16 << 20,
};

enum kept_end {
	KEPT_LOST,   /* its monitor was killed: nobody knows */
	KEPT_EXITED, /* the command has ended */
	KEPT_KILLED, /* the sandbox was, by sbx kill or together with who started it */
	KEPT_FAILED, /* the command could not be started, or sbx failed */
	KEPT_END_COUNT_,
};

/* The file; behind it, up to its end, the plan as JSON. */
struct kept {
	uint32_t version;
	uint32_t end; /* enum kept_end */
	int32_t exit_code;
	int32_t pad;
	int64_t ended_ms; /* since 1970 */
	struct control_facts facts;
	char reason[1024];		 /* of a failure, or what else ended it; "" else */
	char reached[STATS_REACHED_MAX]; /* which limits were */
	struct stats used;		 /* nothing is known of one that is lost */
};

/* How it ended. */
struct kept_how {
	enum kept_end end;
	int exit_code;
	const char *reason, *reached; /* "": there is none */
	const struct stats *used;
};

void kept_file_name(const struct label *label, char ret_name[KEPT_FILE_SIZE]);
bool kept_label_from_file(const char *file, struct label *ret_label);
int kept_begin(struct register_entry *record, const struct control_facts *facts,
	       struct sbx_err *err);
int kept_finish(const struct register_entry *record, const struct kept_how *how);
int kept_read(int dir_fd, const struct label *label, struct kept *ret_kept);
int kept_read_plan(int dir_fd, const struct label *label, struct arena *arena, char **ret_plan,
		   size_t *ret_len);
bool kept_is_there(int dir_fd, const struct label *label);
int kept_remove(int dir_fd, const struct label *label);
