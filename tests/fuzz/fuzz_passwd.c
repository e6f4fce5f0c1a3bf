/* SPDX-License-Identifier: MIT */
/* Fuzz the reader of passwd(5) and group(5): what it finds must be what was looked for. */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/spec/passwd.h"

static void check_field(const char *text)
{
	assert(!text || !strpbrk(text, ":\n"));
}

static void check_file(const char *text, enum passwd_file file)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct passwd_entry entry;

	if (passwd_find_id(text, file, 1000, &arena, &entry) == 0) {
		assert(entry.id == 1000 && entry.name[0] != '\0');
		check_field(entry.name);
	}
	if (passwd_find_name(text, file, "me", &arena, &entry) == 0) {
		assert(strcmp(entry.name, "me") == 0);
		assert(entry.id != UINT32_MAX);
		if (file == PASSWD_USERS)
			check_field(entry.home);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_dup_n(&arena, (const char *)data, size);

	assert(text);
	check_file(text, PASSWD_USERS);
	check_file(text, PASSWD_GROUPS);
	return 0;
}
