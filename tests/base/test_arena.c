/* SPDX-License-Identifier: MIT */
/* The arena: what it hands out is zero, aligned, apart from each other, and stays. */

#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "sbx/base/arena.h"

Test(arena, memory_is_zero_and_aligned)
{
	_autoarena_ struct arena arena;

	arena_init(&arena);
	for (size_t size = 1; size < 200; size++) {
		unsigned char *p = arena_alloc(&arena, size);

		cr_assert_not_null(p);
		cr_expect_eq((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			cr_assert_eq(p[i], 0);
		memset(p, 0xaa, size);
	}
}

Test(arena, pieces_do_not_overlap_across_chunks)
{
	enum { PIECES = 500, PIECE_BYTES = 1000 };
	_autoarena_ struct arena arena;
	unsigned char *pieces[PIECES];

	arena_init(&arena);
	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = arena_alloc(&arena, PIECE_BYTES);
		cr_assert_not_null(pieces[i]);
		memset(pieces[i], (int)(i % 251), PIECE_BYTES);
	}
	for (unsigned i = 0; i < PIECES; i++)
		for (unsigned n = 0; n < PIECE_BYTES; n++)
			cr_assert_eq(pieces[i][n], i % 251);
}

Test(arena, a_piece_may_be_larger_than_a_chunk)
{
	_autoarena_ struct arena arena;
	char *small, *large;

	arena_init(&arena);
	small = arena_dup(&arena, "small");
	large = arena_alloc(&arena, 1 << 20);
	cr_assert(small && large);
	memset(large, 'x', 1 << 20);
	cr_expect_str_eq(small, "small");
	cr_expect_str_eq(arena_dup(&arena, "next"), "next");
}

Test(arena, an_absurd_size_is_refused)
{
	_autoarena_ struct arena arena;

	arena_init(&arena);
	cr_expect_null(arena_alloc(&arena, SIZE_MAX));
	cr_expect_null(arena_grow(&arena, NULL, SIZE_MAX / 16 + 1, 16));
	cr_expect_not_null(arena_alloc(&arena, 1), "it is usable afterwards");
}

Test(arena, an_array_keeps_its_items_while_it_grows)
{
	_autoarena_ struct arena arena;
	unsigned *list = NULL;

	arena_init(&arena);
	for (unsigned i = 0; i < 5000; i++) {
		list = arena_grow(&arena, list, i, sizeof(*list));
		cr_assert_not_null(list);
		list[i] = i;
	}
	for (unsigned i = 0; i < 5000; i++)
		cr_assert_eq(list[i], i);
}

Test(arena, copies_are_independent_and_terminated)
{
	_autoarena_ struct arena arena;
	char text[] = "abcdef";
	char *whole, *part, *printed;

	arena_init(&arena);
	whole = arena_dup(&arena, text);
	part = arena_dup_n(&arena, text, 3);
	printed = arena_printf(&arena, "%s-%d", text, 42);
	text[0] = 'X';
	cr_expect_str_eq(whole, "abcdef");
	cr_expect_str_eq(part, "abc");
	cr_expect_str_eq(printed, "abcdef-42");
}

Test(arena, can_be_used_again_after_finish)
{
	_autoarena_ struct arena arena;

	arena_init(&arena);
	cr_assert_not_null(arena_alloc(&arena, 100));
	arena_finish(&arena);
	cr_expect_str_eq(arena_dup(&arena, "again"), "again");
}

Test(arena, parts_are_joined)
{
	_autoarena_ struct arena arena = {.chunks = NULL};

	cr_expect_str_eq(arena_join(&arena, (const char *const[]){"/a", "", "/b/", "c", NULL}),
			 "/a/b/c");
	cr_expect_str_eq(arena_join(&arena, (const char *const[]){NULL}), "");
}
