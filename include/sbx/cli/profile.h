/* SPDX-License-Identifier: MIT */
/*
 * profile: files with one option per line. Where they are found, how a line is
 * cut into words; the parser does with the words what it does with argv's.
 * Runs in: the caller's process, before anything else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/base/trust.h"

enum {
	PROFILE_MAX_BYTES = 1 << 20,
	PROFILE_MAX_WORDS = 8, /* of a line */
	PROFILE_MAX_DIRS = 8,
	PROFILE_MAX_DEPTH = 8,
	PROFILE_MAX_FILES = 64,
};

/* An opened profile. Strings are the arena's. */
struct profile {
	const char *name; /* as it was asked for */
	const char *path;
	const char *rest; /* what is still to be read */
	const char *end;
	size_t line; /* 1-based, of the line read last */
	struct trust_file file;
};

/* One line's words: an option and its arguments, ready for the parser. */
struct profile_words {
	const char *list[PROFILE_MAX_WORDS];
	size_t count; /* 0: nothing on that line */
};

bool profile_is_file(const char *name);
size_t profile_dirs(struct arena *arena, const char *ret_dirs[PROFILE_MAX_DIRS]);
bool profile_name_is_good(const char *name);
int profile_open(const char *name, const char *from, struct arena *arena, struct profile *ret,
		 struct sbx_err *err);
void profile_set_text(struct profile *profile, const char *text, size_t len);
int profile_next(struct profile *profile, struct arena *arena, struct profile_words *ret_words,
		 struct sbx_err *err);
char *profile_describe(const struct profile *profile, struct arena *arena);
