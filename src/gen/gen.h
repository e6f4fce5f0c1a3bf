/* SPDX-License-Identifier: MIT */
/*
 * gen: what the build-time programs share. They copy a template line by line;
 * a line that is a mark, as @OPTIONS@, gives way to what one function prints.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct gen_mark {
	const char *mark;			      /* the whole line */
	int (*print)(FILE *out, const void *context); /* 0, or -1 after saying why on stderr */
};

int gen_fill_template(const char *template_path, const char *output_path,
		      const struct gen_mark *marks, size_t n_marks, const void *context);
