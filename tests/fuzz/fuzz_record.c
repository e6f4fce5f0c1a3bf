/* SPDX-License-Identifier: MIT */
/* Fuzz the reader of records: whatever a sandbox wrote there, an entry names a file in a directory.
 */

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/run/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_alloc(&arena, size + 1);
	struct record record;

	/* As io_read_all() gives it: the bytes, and a NUL that is not one of them. */
	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	assert(record_parse(&arena, text, size, &record));
	for (size_t i = 0; i < record.n_entries; i++) {
		const char *path = record.entries[i].path, *name = strrchr(path, '/');

		assert(path[0] == '/' && strlen(path) < PATH_MAX);
		assert(name[1] && strcmp(name, "/.") != 0 && strcmp(name, "/..") != 0);
		assert(record.entries[i].born_nsec < 1000000000);
		for (size_t k = 0; k < i; k++)
			assert(record.entries[k].number != record.entries[i].number);
	}
	return 0;
}
