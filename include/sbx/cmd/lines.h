/* SPDX-License-Identifier: MIT */
/*
 * lines: where two texts differ, as diff -u has it. Runs in: the caller's process.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

enum { LINES_TEXT_MAX = 1 << 20 };

int lines_compare(const char *old_text, size_t old_len, const char *new_text, size_t new_len,
		  FILE *out);
