/* SPDX-License-Identifier: MIT */
/*
 * patch: a change as git writes it, for `git apply` and `patch -p1`. What such a patch has no
 * words for (owners, attributes, most permissions, directories, binary files) is a line
 * of comment in it. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>

#include "sbx/base/sink.h"
#include "sbx/cmd/compare.h"
#include "sbx/cow/walk.h"

enum { PATCH_ROOM = 4 * COW_PATH_MAX + 4096 }; /* an escaped byte is four */

/* Of a pair in the spool: its names, which are shown where the pair differs. */
struct patch_place {
	off_t names, behind;
};

struct patch {
	struct sink
		*sink; /* where all goes: `out`, or the spool while something waits for diff(1) */
	struct sink *out; /* borrowed */
	bool colour;
	bool terminal;	   /* nothing of a file's may command it */
	mode_t umask;	   /* of who will use it, most likely */
	char *room;	   /* borrowed, PATCH_ROOM; for names */
	struct sink spool; /* its descriptor is owned; -1: there is none yet */
	struct compare compare;
	struct patch_place places[COMPARE_PAIRS_MAX];
	size_t n_passed; /* pairs that have been shown, or were not to be */
	off_t shown;	 /* of the spool */
	int lost;	 /* errno, where it could not be shown; 0: it could */
};

/* What of a change a patch does not hold. */
enum patch_rest {
	PATCH_WHOLE,
	PATCH_PART,
	PATCH_NO_MODE,
	PATCH_NO_XATTRS,
	PATCH_BINARY,
	PATCH_TOO_LARGE,
	PATCH_MOUNTED, /* on the host's file: that cannot be read */
};

int patch_put(struct patch *patch, const struct cow_entry *entry, enum patch_rest *ret_rest,
	      struct sbx_err *err);
int patch_flush(struct patch *patch, struct sbx_err *err);
int patch_finish(struct patch *patch, struct sbx_err *err);
