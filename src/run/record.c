/* SPDX-License-Identifier: MIT */
/*
 * record: entries of a file of records, as text.
 *
 * An entry is a line of numbers and a path, ended by a NUL, since a path can hold
 * anything else:
 *
 *     f 0 34359738370 4711 0 0 0 0 /home/u/p/.npmrc
 *     f 0 34359738370 4711 34359738370 4712 1767225600 1234 /home/u/p/.npmrc
 *
 * Type, number, device and inode of the directory, then device, inode and birth of
 * the placeholder itself: zeros before it is made, and the same line again once its
 * birth is known. The last line about a number counts.
 *
 * A sandbox may be able to write the file, if somebody has bound the directory it is
 * in. So it is read as any text from outside: what is not exactly of this form ends the
 * reading, and what it says is compared with the file before anything is done to it.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/run/record.h"

enum { RECORD_NUMBERS = 7, RECORD_MAX_ENTRIES = 4096 };

/* Append an entry, in one write. Return: 0 or -errno. */
int record_append(int fd, const struct record_entry *entry)
{
	char line[PATH_MAX + 160];
	int n = snprintf(line, sizeof(line),
			 "%c %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %u %s",
			 entry->is_work	 ? 'w'
			 : entry->is_dir ? 'd'
					 : 'f',
			 entry->number, entry->parent_dev, entry->parent_inode, entry->dev,
			 entry->inode, entry->born_sec, entry->born_nsec, entry->path);

	if (n < 0 || (size_t)n >= sizeof(line))
		return -ENAMETOOLONG;
	return io_write_all(fd, line, (size_t)n + 1);
}

/* The numbers between type and path. Return: where the path begins, NULL: not of this form. */
static const char *record_parse_numbers(const char *text, struct record_entry *entry)
{
	static const uint64_t max[RECORD_NUMBERS] = {UINT_MAX,	 UINT64_MAX, UINT64_MAX, UINT64_MAX,
						     UINT64_MAX, INT64_MAX,  999999999};
	uint64_t numbers[RECORD_NUMBERS];
	char word[24];

	for (size_t i = 0; i < RECORD_NUMBERS; i++) {
		size_t n = strcspn(text, " ");

		if (n == 0 || n >= sizeof(word) || text[n] == '\0')
			return NULL;
		memcpy(word, text, n);
		word[n] = '\0';
		if (str_parse_u64(word, 10, max[i], &numbers[i]) < 0)
			return NULL;
		text += n + 1;
	}
	entry->number = (unsigned)numbers[0];
	entry->parent_dev = numbers[1];
	entry->parent_inode = numbers[2];
	entry->dev = numbers[3];
	entry->inode = numbers[4];
	entry->born_sec = (int64_t)numbers[5];
	entry->born_nsec = (uint32_t)numbers[6];
	return text;
}

static bool record_parse_line(const char *line, struct record_entry *entry)
{
	const char *name;

	if (line[0] == '\0' || !strchr("dfw", line[0]) || line[1] != ' ')
		return false;
	entry->is_dir = line[0] != 'f';
	entry->is_work = line[0] == 'w';
	entry->path = record_parse_numbers(line + 2, entry);
	if (!entry->path || entry->path[0] != '/' || strlen(entry->path) >= PATH_MAX)
		return false;
	name = strrchr(entry->path, '/') + 1;
	return *name && !path_is_dots(name);
}

static int record_put(struct arena *arena, struct record *record, const struct record_entry *entry)
{
	struct record_entry *entries;

	for (size_t i = 0; i < record->n_entries; i++) {
		if (record->entries[i].number == entry->number) {
			record->entries[i] = *entry;
			return 0;
		}
	}
	entries = arena_grow(arena, record->entries, record->n_entries, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	entries[record->n_entries++] = *entry;
	record->entries = entries;
	return 0;
}

/**
 * Read the text of a record. A line that was cut by a kill is no line.
 * @text: len bytes, and a NUL behind them; the entries point into it
 *
 * Return: false when memory runs out.
 */
bool record_parse(struct arena *arena, const char *text, size_t len, struct record *ret_record)
{
	const char *end = text + len;

	*ret_record = (struct record){0};
	for (const char *line = text; line < end; line += strlen(line) + 1) {
		struct record_entry entry;

		if (line + strlen(line) >= end || !record_parse_line(line, &entry) ||
		    ret_record->n_entries >= RECORD_MAX_ENTRIES)
			return true;
		if (record_put(arena, ret_record, &entry) < 0)
			return false;
	}
	return true;
}

/* Read a file of records from its beginning. Return: 0 or -errno. */
int record_read(int fd, struct arena *arena, struct record *ret_record)
{
	char *text;
	size_t len;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = io_read_all(fd, RECORD_MAX_BYTES, arena, &text, &len);
	if (r < 0)
		return r;
	return record_parse(arena, text, len, ret_record) ? 0 : -ENOMEM;
}

/* Is this the file that the entry is about? */
bool record_is_of(const struct record_entry *entry, const struct sys_file *file)
{
	return entry->inode != 0 && entry->dev == file->dev && entry->inode == file->inode &&
	       entry->born_sec == file->born_sec && entry->born_nsec == file->born_nsec &&
	       S_ISDIR(file->mode) == entry->is_dir;
}
