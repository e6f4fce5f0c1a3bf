/* SPDX-License-Identifier: MIT */
/* filter_cache: an entry is read as it was written, or not at all. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "testlib.h"

#include "sbx/spec/filter_cache.h"

static const struct sock_filter insns[] = {
	{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
	{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
};
static const struct filter_cache_key key = {1000, "what it hangs on", 16};
static const struct filter_cache_item item = {
	{insns, ARRAY_SIZE(insns)}, "1:2,3 /usr/lib/x.so\n", "a remark\nanother\n"};

static struct filter_cache_entry pack(struct arena *arena)
{
	struct filter_cache_entry entry;

	cr_assert_eq(filter_cache_pack(&key, &item, arena, &entry), 0);
	return entry;
}

/* From memory of its own length, so that a sanitizer sees what is read beyond. */
static bool parse(const char *data, size_t len, const struct filter_cache_key *as)
{
	struct filter_cache_item read;
	char *copy = malloc(len ? len : 1);
	bool good;

	cr_assert_not_null(copy);
	memcpy(copy, data, len);
	good = filter_cache_parse(copy, len, as, &read);
	free(copy);
	return good;
}

Test(filter_cache, an_entry_is_read_as_it_was_written)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct filter_cache_entry entry = pack(&arena);
	struct filter_cache_item read;

	cr_assert(filter_cache_parse(entry.data, entry.len, &key, &read));
	cr_expect_eq(read.program.n_insns, ARRAY_SIZE(insns));
	cr_expect_arr_eq(read.program.insns, insns, sizeof(insns));
	cr_expect_str_eq(read.files, item.files);
	cr_expect_str_eq(read.text, item.text);
	cr_expect_eq(entry.uid, 1000);
	cr_expect_eq(strspn(entry.name, "0123456789abcdef"), 16);
	cr_expect_eq(entry.name[16], '\0');
}

Test(filter_cache, any_other_byte_or_length_is_refused)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct filter_cache_entry entry = pack(&arena);
	char *data = arena_alloc(&arena, entry.len + 1);

	cr_assert_not_null(data);
	memcpy(data, entry.data, entry.len);
	data[entry.len] = '\0';
	cr_assert(parse(data, entry.len, &key));
	cr_expect_not(parse(data, entry.len + 1, &key));
	for (size_t len = 0; len < entry.len; len++)
		cr_expect_not(parse(data, len, &key), "%zu bytes of %zu", len, entry.len);
	for (size_t i = 0; i < entry.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			data[i] = (char)(data[i] ^ 1 << bit);
			cr_expect_not(parse(data, entry.len, &key), "bit %d of byte %zu", bit, i);
			data[i] = (char)(data[i] ^ 1 << bit);
		}
}

Test(filter_cache, another_key_finds_nothing)
{
	static const struct filter_cache_key others[] = {
		{1000, "what it hangs om", 16},
		{1000, "What it hangs on", 16},
		{1000, "what it hangs on", 15},
		{1000, "what it hangs on ", 17},
		{1000, "", 0},
	};
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct filter_cache_entry entry = pack(&arena);

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_not(parse(entry.data, entry.len, &others[i]), "%zu", i);
}

/* What no filter is, and what no line is, with everything else as it must be. */
Test(filter_cache, what_is_no_filter_is_refused)
{
	static const struct sock_filter open_end[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}};
	static const struct filter_cache_item items[] = {
		{{open_end, 1}, "1 /x\n", ""}, {{insns, 2}, "1 /x\n", "no end"},
		{{insns, 2}, "1 /x", "a\n"},   {{insns, 2}, "1 /x\n", "\033[31m\n"},
		{{insns, 2}, "1 /\t\n", ""},
	};
	_autoarena_ struct arena arena = {.chunks = NULL};

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		struct filter_cache_entry entry;

		cr_assert_eq(filter_cache_pack(&key, &items[i], &arena, &entry), 0);
		cr_expect_not(parse(entry.data, entry.len, &key), "%zu", i);
	}
}

Test(filter_cache, what_is_too_much_is_not_written)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_alloc(&arena, FILTER_CACHE_KEY_MAX_BYTES + 2);
	struct filter_cache_entry entry;
	struct filter_cache_item large = item;
	struct filter_cache_key long_key = {1000, text, FILTER_CACHE_KEY_MAX_BYTES + 1};

	cr_assert_not_null(text);
	memset(text, 'x', FILTER_CACHE_KEY_MAX_BYTES + 1);
	cr_expect_eq(filter_cache_pack(&long_key, &item, &arena, &entry), -EFBIG);
	text[FILTER_CACHE_TEXT_MAX_BYTES] = '\0';
	large.text = text;
	cr_expect_eq(filter_cache_pack(&key, &large, &arena, &entry), -EFBIG);
	large = item;
	large.files = text;
	cr_expect_eq(filter_cache_pack(&key, &large, &arena, &entry), -EFBIG);
	large = item;
	large.program.n_insns = SECCOMP_PROGRAM_MAX + 1;
	cr_expect_eq(filter_cache_pack(&key, &large, &arena, &entry), -EFBIG);
	large.program.n_insns = 0;
	cr_expect_eq(filter_cache_pack(&key, &large, &arena, &entry), -EFBIG);
}

/* Another file by the same name is told apart, and one that was written to. */
Test(filter_cache, a_file_is_known_again)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	_autoclose_ int tree = tmp_tree("file=1", "other=1");
	_autofree_ char *path = tree_path(tree, "file"), *other = tree_path(tree, "other");
	const char *first, *same, *replaced, *gone;

	cr_assert_eq(filter_cache_identify(path, &arena, &first), 0);
	cr_assert_eq(filter_cache_identify(path, &arena, &same), 0);
	cr_expect_str_eq(first, same);
	cr_assert_eq(rename(other, path), 0);
	cr_assert_eq(filter_cache_identify(path, &arena, &replaced), 0);
	cr_expect_str_neq(first, replaced);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(filter_cache_identify(path, &arena, &gone), 0);
	cr_expect_str_eq(gone, "-");
}
