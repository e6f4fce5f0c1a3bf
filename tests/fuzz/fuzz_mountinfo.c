/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of mountinfo: it stays in the text, gives no more points than there are
 * lines, and writes each point so that reading it again gives the same.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/base/mountinfo.h"

enum { ESCAPED_BYTES = 4 };

/* A line with that point, every byte of it escaped. */
static char *make_line(const char *point)
{
	static const char before[] = "1 2 3:4 / ", after[] = " rw - tmpfs tmpfs rw\n";
	size_t len = strlen(point);
	char *line = malloc(sizeof(before) + sizeof(after) + len * ESCAPED_BYTES), *to = line;

	assert(line);
	to = stpcpy(to, before);
	for (size_t i = 0; i < len; i++) {
		unsigned byte = (unsigned char)point[i];

		*to++ = '\\';
		*to++ = (char)('0' + (byte >> 6));
		*to++ = (char)('0' + (byte >> 3 & 7));
		*to++ = (char)('0' + (byte & 7));
	}
	strcpy(to, after);
	return line;
}

static void check_point(const char *point)
{
	char *line = make_line(point), *rest = line;
	const char *again = mountinfo_next(&rest);

	assert(again && strcmp(again, point) == 0);
	assert(!mountinfo_next(&rest));
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text;
	size_t lines = 1, points = 0;

	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	for (const char *point; (point = mountinfo_next(&rest)); points++) {
		assert(point >= text && point + strlen(point) <= text + size);
		check_point(point);
	}
	assert(points <= lines && rest <= text + size);
	free(text);
	return 0;
}
