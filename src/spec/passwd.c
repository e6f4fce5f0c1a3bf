/* SPDX-License-Identifier: MIT */
/*
 * passwd: read passwd(5) and group(5) lines. A line that is not well formed is
 * passed over, as the C library does.
 */

#include <errno.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/spec/passwd.h"

enum { PASSWD_FIELDS = 7, PASSWD_ID_MAX_FIELDS = 4 };

/* Cut a line at its colons. Return: how many fields there are, at most PASSWD_FIELDS. */
static size_t passwd_split(char *line, char *fields[PASSWD_FIELDS])
{
	size_t n = 0;

	for (char *p = line; p && n < PASSWD_FIELDS; n++) {
		fields[n] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	return n;
}

static bool passwd_parse_id(const char *text, uint32_t *ret_id)
{
	uint64_t value;

	if (str_parse_u64(text, 10, UINT32_MAX - 1, &value) < 0)
		return false;
	*ret_id = (uint32_t)value;
	return true;
}

static bool passwd_parse_line(char *line, enum passwd_file file, struct passwd_entry *entry)
{
	char *fields[PASSWD_FIELDS] = {NULL};
	size_t n = passwd_split(line, fields);

	*entry = (struct passwd_entry){.name = fields[0]};
	if (n < 3 || fields[0][0] == '\0' || !passwd_parse_id(fields[2], &entry->id))
		return false;
	if (file == PASSWD_GROUPS)
		return true;
	if (n < PASSWD_ID_MAX_FIELDS || !passwd_parse_id(fields[3], &entry->gid))
		return false;
	entry->home = fields[5];
	entry->shell = fields[6];
	return true;
}

static int passwd_find(const char *text, enum passwd_file file, const char *name, uint32_t id,
		       struct arena *arena, struct passwd_entry *ret_entry)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct passwd_entry entry;
		char *line;

		/* Only a line that can match is worth a copy. */
		if (!name || strncmp(text, name, strlen(name)) == 0) {
			line = arena_dup_n(arena, text, len);
			if (!line)
				return -ENOMEM;
			if (passwd_parse_line(line, file, &entry) &&
			    (name ? strcmp(entry.name, name) == 0 : entry.id == id)) {
				*ret_entry = entry;
				return 0;
			}
		}
		text += len + (text[len] == '\n');
	}
	return -ENOENT;
}

/* The first entry with this id. Return: 0, -ENOENT or -ENOMEM. Strings are in the arena. */
int passwd_find_id(const char *text, enum passwd_file file, uint32_t id, struct arena *arena,
		   struct passwd_entry *ret_entry)
{
	return passwd_find(text, file, NULL, id, arena, ret_entry);
}

/* The first entry with this name; as passwd_find_id(). */
int passwd_find_name(const char *text, enum passwd_file file, const char *name, struct arena *arena,
		     struct passwd_entry *ret_entry)
{
	return passwd_find(text, file, name, 0, arena, ret_entry);
}
