/* SPDX-License-Identifier: MIT */
/* mountinfo: take the mount point out of a line. */

#include <stddef.h>
#include <string.h>

#include "sbx/base/mountinfo.h"

enum { MOUNTINFO_POINT_FIELD = 5 };

/* The mount point of a line, its \040 undone; cuts the line. NULL: the line has none. */
char *mountinfo_cut_point(char *line)
{
	char *to, *name = line;

	for (int field = 1; field < MOUNTINFO_POINT_FIELD && name; field++) {
		name = strchr(name, ' ');
		name += name ? 1 : 0;
	}
	if (!name)
		return NULL;
	name[strcspn(name, " ")] = '\0';
	to = name;
	for (const char *from = name; *from; to++) {
		unsigned byte = 0;
		int n = 0;

		while (*from == '\\' && n < 3 && from[1 + n] >= '0' && from[1 + n] <= '7')
			byte = byte * 8 + (unsigned)(from[1 + n++] - '0');
		*to = *from;
		if (n == 3)
			*to = (char)byte;
		from += n == 3 ? 4 : 1;
	}
	*to = '\0';
	return name;
}
