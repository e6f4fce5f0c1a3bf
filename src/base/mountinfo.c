/* SPDX-License-Identifier: MIT */
/* mountinfo: see mountinfo.h. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/mountinfo.h"

enum { MOUNTINFO_POINT_FIELD = 5 }; /* from 1 */

/* The field of a line, cut off; NULL: the line is shorter. */
static char *mountinfo_field(char *line, int number)
{
	for (int i = 1; i < number && line; i++) {
		line = strchr(line, ' ');
		if (line)
			line++;
	}
	if (line)
		line[strcspn(line, " ")] = '\0';
	return line;
}

/* Is this \040 or its like? Then it stands for a byte. */
static bool mountinfo_escape(const char *text, unsigned char *ret_byte)
{
	unsigned byte = 0;

	if (*text != '\\')
		return false;
	for (int i = 1; i <= 3; i++) {
		if (text[i] < '0' || text[i] > '7')
			return false;
		byte = byte * 8 + (unsigned)(text[i] - '0');
	}
	*ret_byte = (unsigned char)byte;
	return true;
}

static void mountinfo_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned char byte = (unsigned char)*from;

		from += mountinfo_escape(from, &byte) ? 4 : 1;
		*to = (char)byte;
	}
	*to = '\0';
}

/**
 * The next mount.
 * @rest:      the file's text from here on, which is cut up
 * @ret_entry: borrows from that text
 *
 * Return: its mount point; NULL when there is none any more. A line that has none is passed over;
 * one without a type has "".
 */
char *mountinfo_next_entry(char **rest, struct mountinfo_entry *ret_entry)
{
	char *point = NULL;

	while (**rest && !point) {
		char *line = *rest, *end = line + strcspn(line, "\n"), *type;

		*rest = *end ? end + 1 : end;
		*end = '\0';
		/* Behind a variable number of fields, which a dash of its own ends. */
		type = strstr(line, " - ");
		if (type) {
			*type = '\0';
			type += 3;
			type[strcspn(type, " ")] = '\0';
		}
		ret_entry->id = strtoull(line, NULL, 10);
		ret_entry->type = type ? type : end;
		point = mountinfo_field(line, MOUNTINFO_POINT_FIELD);
	}
	if (point)
		mountinfo_unescape(point);
	ret_entry->point = point;
	return point;
}

/* The next mount point, as above. */
char *mountinfo_next(char **rest)
{
	struct mountinfo_entry entry;

	return mountinfo_next_entry(rest, &entry);
}
