/* SPDX-License-Identifier: MIT */
/*
 * apply: make the changes of a session real, and start again where that was interrupted.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/cow/tell.h"

/* A pattern of fnmatch(3), of paths relative to the root. */
struct cow_glob {
	const char *pattern;
	const char *given; /* the same, as somebody has typed it */
	bool fits;	   /* cow_apply() found something that is left to be applied and fits */
	bool within;	   /* of --include: what fits is in a directory that goes as a whole */
};

struct cow_apply_options {
	struct cow_glob *include;
	size_t n_include;
	struct cow_glob *exclude;
	size_t n_exclude;
	bool dry_run;
	bool force;	  /* also over what has changed on the host */
	bool allow_setid; /* set-id bits and file capabilities are given */
	/* Is told of each change that is made, or would be; and of what is not done and why. */
	void (*tell)(void *arg, size_t root, const struct cow_entry *entry, const char *not_done);
	void *arg;
};

struct cow_applied {
	struct cow_counts counts;
	uint64_t owners; /* entries that have another owner in the session, and keep the caller */
	uint64_t parted; /* names of a file with several that became files of their own */
	uint64_t conflicts; /* changed on the host since */
	uint64_t mounted;   /* cannot give way, as they are mounted */
	uint64_t closed;    /* the caller may not change them */
	uint64_t skipped;   /* sockets, devices, bits, marks */
	uint64_t names;	    /* that fuse-overlayfs would take for marks */
	bool looked;	    /* at all that is to be done: which patterns fit is known */
	bool again;	    /* an earlier try has applied something */
};

int cow_apply(struct cow_session *session, const struct cow_apply_options *options,
	      struct cow_applied *ret_applied, struct sbx_err *err);
