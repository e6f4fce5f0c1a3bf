/* SPDX-License-Identifier: MIT */
/*
 * spec_words: the options that make a given spec, the parser's inverse.
 * Runs in: sbx-spec, and tests.
 */
#pragma once

#include <stddef.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/spec/spec.h"

struct spec_words {
	const char **words; /* in the arena; the strings there or borrowed from the spec */
	size_t n_words;
};

int spec_to_words(const struct sbx_spec *spec, struct arena *arena, struct spec_words *ret_words,
		  struct sbx_err *err);
