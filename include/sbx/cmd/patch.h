/* SPDX-License-Identifier: MIT */
/*
 * patch: a change as git writes it, for `git apply` and `patch -p1`. What such a patch has no
 * words for (owners, attributes, most permissions, directories, binary files) is a line
 * of comment in it. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>

#include "sbx/base/sink.h"
#include "sbx/cow/walk.h"

enum { PATCH_ROOM = 4 * COW_PATH_MAX + 4096 }; /* an escaped byte is four */

struct patch {
	struct sink *sink; /* borrowed */
	bool colour;
	bool terminal; /* nothing of a file's may command it */
	char *room;    /* borrowed, PATCH_ROOM; for names */
	char *other;   /* borrowed, PATCH_ROOM; too */
};

/* What of a change a patch does not hold. */
enum patch_rest { PATCH_WHOLE, PATCH_PART, PATCH_BINARY, PATCH_TOO_LARGE };

int patch_put(const struct patch *patch, const struct cow_entry *entry, enum patch_rest *ret_rest,
	      struct sbx_err *err);
