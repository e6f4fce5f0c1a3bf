/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of kept filters: whatever the file holds, what it says is one is a filter
 * with lines of text, all of it within the file, and written again it is the same file.
 * So that there is more to it than a digest that is wrong, that is put right first.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/spec/filter_cache.h"

enum { DIGEST_AT = 24, HEADER_BYTES = 32 };

static void check(const char *data, size_t size, const struct filter_cache_key *key)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct filter_cache_entry entry;
	struct filter_cache_item item;

	if (!filter_cache_parse(data, size, key, &item))
		return;
	assert(item.program.n_insns > 0 && item.program.n_insns <= SECCOMP_PROGRAM_MAX);
	assert(BPF_CLASS(item.program.insns[item.program.n_insns - 1].code) == BPF_RET);
	assert(item.files + strlen(item.files) < item.text);
	assert(item.text + strlen(item.text) + 1 == data + size);
	assert(filter_cache_pack(key, &item, &arena, &entry) == 0);
	assert(entry.len == size && memcmp(entry.data, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct filter_cache_key key = {1000, "key", 3};
	uint64_t digest;
	char *copy;

	if (size < HEADER_BYTES)
		return 0;
	copy = malloc(size); /* as aligned as memory of an arena */
	assert(copy);
	memcpy(copy, data, size);
	check(copy, size, &key);
	digest = filter_cache_digest(copy + HEADER_BYTES, size - HEADER_BYTES);
	memcpy(copy + DIGEST_AT, &digest, sizeof(digest));
	check(copy, size, &key);
	free(copy);
	return 0;
}
