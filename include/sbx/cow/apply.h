/* SPDX-License-Identifier: MIT */
/*
 * apply: make the changes of a session real, and start again where that was interrupted.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/cow/tell.h"

struct cow_apply_options {
	const char *const *include; /* patterns of fnmatch(3), of paths relative to the root */
	size_t n_include;
	const char *const *exclude;
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
	uint64_t skipped;   /* sockets, devices, bits, marks */
	uint64_t names;	    /* that fuse-overlayfs would take for marks */
};

int cow_apply(struct cow_session *session, const struct cow_apply_options *options,
	      struct cow_applied *ret_applied, struct sbx_err *err);
