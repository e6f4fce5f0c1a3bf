/* SPDX-License-Identifier: MIT */
/* mountinfo: see mountinfo.h. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/mountinfo.h"

/* From 1. */
enum { MOUNTINFO_DEVICE_FIELD = 3, MOUNTINFO_ROOT_FIELD = 4, MOUNTINFO_POINT_FIELD = 5 };

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
	char *point = NULL, *root = NULL;

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
		/* From behind, as each is cut off. */
		point = mountinfo_field(line, MOUNTINFO_POINT_FIELD);
		root = point ? mountinfo_field(line, MOUNTINFO_ROOT_FIELD) : NULL;
		ret_entry->device = point ? mountinfo_field(line, MOUNTINFO_DEVICE_FIELD) : NULL;
	}
	if (point) {
		mountinfo_unescape(point);
		mountinfo_unescape(root);
	}
	ret_entry->root = root;
	ret_entry->point = point;
	return point;
}

/*
 * Has what is mounted there lost its name? It is shown as before, and cannot be mounted again.
 * No path has two slashes, so this is not a name.
 */
bool mountinfo_is_deleted(const struct mountinfo_entry *entry)
{
	static const char mark[] = "//deleted";
	size_t len = strlen(entry->root);

	return len >= strlen(mark) && strcmp(entry->root + len - strlen(mark), mark) == 0;
}

/* The next mount point, as above. */
char *mountinfo_next(char **rest)
{
	struct mountinfo_entry entry;

	return mountinfo_next_entry(rest, &entry);
}
