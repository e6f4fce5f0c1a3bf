/* SPDX-License-Identifier: MIT */
/* mountinfo: see mountinfo.h. */

#include <string.h>

#include "sbx/base/mountinfo.h"

enum { MOUNTINFO_POINT_FIELD = 5 }; /* from 1 */

/* The field of a line, cut off; NULL: the line is shorter. */
static char *mountinfo_field(char *line, int number)
{
	for (int i = 1; i < number && line; i++) {
		line = strchr(line, ' ');
		line += line ? 1 : 0;
	}
	if (line)
		line[strcspn(line, " ")] = '\0';
	return line;
}

/* The byte that \040 and its like stand for; -1: that is none. */
static int mountinfo_escape(const char *text)
{
	int byte = 0;

	if (*text != '\\')
		return -1;
	for (int i = 1; i <= 3; i++) {
		if (text[i] < '0' || text[i] > '7')
			return -1;
		byte = byte * 8 + (text[i] - '0');
	}
	return byte & 0xff;
}

static void mountinfo_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		int byte = mountinfo_escape(from);

		*to = byte < 0 ? *from : (char)byte;
		from += byte < 0 ? 1 : 4;
	}
	*to = '\0';
}

/**
 * The next mount point.
 * @rest: the file's text from here on, which is cut up
 *
 * Return: NULL when there is none any more. A line that has none is passed over.
 */
char *mountinfo_next(char **rest)
{
	char *point = NULL;

	while (**rest && !point) {
		char *line = *rest, *end = line + strcspn(line, "\n");

		*rest = *end ? end + 1 : end;
		*end = '\0';
		point = mountinfo_field(line, MOUNTINFO_POINT_FIELD);
	}
	if (point)
		mountinfo_unescape(point);
	return point;
}
