/* SPDX-License-Identifier: MIT */
/* Which ids there are: subuid(5) read, ranges laid out around the caller's own id. */

#include <stdio.h>
#include <string.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/spec/idmap.h"

#define ID_MAX UINT32_C(4294967294) /* for tables */

/* ---- layout ---- */

static const char *lay_out(struct arena *arena, const struct probe_range *ranges, size_t n,
			   uint32_t inside, uint32_t outside, struct plan_map *map)
{
	char *text = arena_dup(arena, "");
	struct sbx_err err;

	cr_assert_eq(idmap_lay_out(ranges, n, inside, outside, arena, map, &err), 0);
	cr_expect_eq(map->own_inside, inside);
	cr_expect_eq(map->own_outside, outside);
	for (size_t i = 0; i < map->n_lines; i++)
		text = arena_printf(arena, "%s%s%u:%u:%u", text, i ? " " : "", map->lines[i].inside,
				    map->lines[i].outside, map->lines[i].count);
	return text;
}

Test(idmap, the_own_id_splits_the_ranges)
{
	static const struct {
		struct probe_range ranges[5]; /* up to the first of no length */
		uint32_t inside, outside;
		const char *lines; /* inside:outside:count */
	} rows[] = {
		{{{0}}, 1000, 1000, "1000:1000:1"},
		{{{0}}, 0, 1000, "0:1000:1"},
		{{{0}}, ID_MAX, ID_MAX, "4294967294:4294967294:1"},
		{{{100000, 65536}}, 1001, 1001, "0:100000:1001 1001:1001:1 1002:101001:64535"},
		{{{100000, 65536}}, 0, 1000, "0:1000:1 1:100000:65536"},
		{{{100000, 65536}}, 1, 1000, "0:100000:1 1:1000:1 2:100001:65535"},
		/* The own id lies behind all ranges, or just there. */
		{{{100000, 10}}, 1000, 1000, "0:100000:10 1000:1000:1"},
		{{{100000, 10}}, 10, 1000, "0:100000:10 10:1000:1"},
		{{{100000, 10}}, 9, 1000, "0:100000:9 9:1000:1 10:100009:1"},
		{{{100000, 10}}, ID_MAX, 1000, "0:100000:10 4294967294:1000:1"},
		{{{100000, 1}}, 0, 7, "0:7:1 1:100000:1"},
		/* Several ranges follow each other without gaps, in the file's order. */
		{{{300000, 5}, {200000, 3}}, 1000, 1000, "0:300000:5 5:200000:3 1000:1000:1"},
		{{{300000, 5}, {200000, 3}}, 5, 1000, "0:300000:5 5:1000:1 6:200000:3"},
		{{{300000, 5}, {200000, 3}}, 6, 1000, "0:300000:5 5:200000:1 6:1000:1 7:200001:2"},
		/* No id stands twice on the outside. */
		{{{100, 10}, {105, 10}}, 1000, 50, "0:100:10 10:110:5 1000:50:1"},
		{{{105, 10}, {100, 10}}, 1000, 50, "0:105:10 10:100:5 1000:50:1"},
		{{{100, 10}, {100, 10}}, 1000, 50, "0:100:10 1000:50:1"},
		{{{100, 30}, {110, 5}}, 1000, 50, "0:100:30 1000:50:1"},
		{{{110, 5}, {100, 30}}, 1000, 50, "0:110:5 5:100:10 15:115:15 1000:50:1"},
		{{{1000, 10}}, 1005, 1005, "0:1000:5 5:1006:4 1005:1005:1"},
		{{{1000, 10}}, 0, 1000, "0:1000:1 1:1001:9"},
		{{{1000, 10}}, 3, 1009, "0:1000:3 3:1009:1 4:1003:6"},
		{{{1000, 1}}, 1000, 1000, "1000:1000:1"},
		/* Up to the last id there is, and no further. */
		{{{0, ID_MAX}}, 0, ID_MAX, "0:4294967294:1 1:0:4294967294"},
		{{{ID_MAX, 1}}, 0, 1000, "0:1000:1 1:4294967294:1"},
		{{{1, ID_MAX}}, ID_MAX, 0, "0:1:4294967294 4294967294:0:1"},
		{{{1, ID_MAX}, {0, 1}}, 5, 0, "0:1:5 5:0:1 6:6:4294967289"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoarena_ struct arena arena;
		struct plan_map map = {.helper = "kept"};
		size_t n = 0;

		while (rows[i].ranges[n].count)
			n++;
		arena_init(&arena);
		cr_expect_str_eq(lay_out(&arena, n ? rows[i].ranges : NULL, n, rows[i].inside,
					 rows[i].outside, &map),
				 rows[i].lines, "row %zu", i);
		cr_expect_str_eq(map.helper, "kept");
	}
}

/* What the kernel refuses: an id twice, on either side, or more than 340 lines. */
static bool kernel_would_take(const struct plan_map *map)
{
	if (map->n_lines == 0 || map->n_lines > 340)
		return false;
	for (size_t i = 0; i < map->n_lines; i++) {
		const struct plan_map_line *a = &map->lines[i];

		if (a->count == 0 || (uint64_t)a->inside + a->count - 1 > ID_MAX ||
		    (uint64_t)a->outside + a->count - 1 > ID_MAX)
			return false;
		for (size_t j = i + 1; j < map->n_lines; j++) {
			const struct plan_map_line *b = &map->lines[j];

			if ((a->inside < (uint64_t)b->inside + b->count &&
			     b->inside < (uint64_t)a->inside + a->count) ||
			    (a->outside < (uint64_t)b->outside + b->count &&
			     b->outside < (uint64_t)a->outside + a->count))
				return false;
		}
	}
	return true;
}

Test(idmap, more_ranges_than_a_map_has_lines_are_cut)
{
	struct probe_range ranges[400];
	_autoarena_ struct arena arena;
	struct plan_map map = {0};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct probe_range){(uint32_t)(100000 + 10 * i), 5};
	arena_init(&arena);
	(void)lay_out(&arena, ranges, ARRAY_SIZE(ranges), 1000, 1000, &map);
	cr_expect_eq(map.n_lines, 340);
	cr_expect(kernel_would_take(&map));
	cr_expect(idmap_has(&map, 1000));

	(void)lay_out(&arena, ranges, ARRAY_SIZE(ranges), ID_MAX, 1000, &map);
	cr_expect(kernel_would_take(&map));
	cr_expect(idmap_has(&map, ID_MAX));
}

/* A range in small pieces cuts all that come later. */
Test(idmap, any_ranges_make_a_map_that_the_kernel_takes)
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		struct probe_range ranges[24];
		_autoarena_ struct arena arena;
		struct plan_map map = {0};
		uint32_t inside, outside;

		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			seed = seed * 1103515245 + 12345;
			ranges[i].start = seed >> 16 & 0xff;
			ranges[i].count = 1 + (seed >> 24 & 0x3f);
		}
		seed = seed * 1103515245 + 12345;
		inside = seed >> 16 & 0xff;
		outside = seed >> 24 & 0xff;
		arena_init(&arena);
		(void)lay_out(&arena, ranges, ARRAY_SIZE(ranges), inside, outside, &map);
		cr_assert(kernel_would_take(&map), "round %d", round);
		cr_assert(idmap_has(&map, inside), "round %d", round);
		/* Every id of a range is somewhere, once (kernel_would_take). */
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			bool found = false;

			for (size_t j = 0; j < map.n_lines; j++)
				found |=
					ranges[i].start >= map.lines[j].outside &&
					ranges[i].start - map.lines[j].outside < map.lines[j].count;
			cr_assert(found, "round %d, range %zu", round, i);
		}
	}
}

Test(idmap, has_looks_at_the_inside)
{
	struct plan_map_line lines[] = {{0, 100000, 10}, {20, 1000, 1}, {4294967290, 5, 5}};
	const struct plan_map map = {.lines = lines, .n_lines = ARRAY_SIZE(lines)};

	cr_expect(idmap_has(&map, 0));
	cr_expect(idmap_has(&map, 9));
	cr_expect_not(idmap_has(&map, 10));
	cr_expect(idmap_has(&map, 20));
	cr_expect_not(idmap_has(&map, 1000));
	cr_expect(idmap_has(&map, ID_MAX));
	cr_expect_not(idmap_has(&map, 4294967295U));
}

/* ---- subuid(5) ---- */

static const char *parse(struct arena *arena, const char *text, size_t len, const char *user)
{
	struct probe_range *ranges = NULL;
	char *out = arena_dup(arena, "");
	struct sbx_err err;
	size_t n = 99;

	cr_assert_eq(idmap_parse_subids(text, len, user, 1000, arena, &ranges, &n, &err), 0);
	cr_expect_eq(n == 0, ranges == NULL);
	for (size_t i = 0; i < n; i++)
		out = arena_printf(arena, "%s%s%u+%u", out, i ? " " : "", ranges[i].start,
				   ranges[i].count);
	return out;
}

Test(idmap, subids_of_one_user_are_found)
{
	static const struct {
		const char *text, *ranges; /* of "me", 1000 */
	} rows[] = {
		{"", ""},
		{"\n\n", ""},
		{"me:100000:65536\n", "100000+65536"},
		{"me:100000:65536", "100000+65536"}, /* no newline at the end */
		{"you:1:1\nme:100000:65536\nyou:2:2\n", "100000+65536"},
		{"1000:100000:65536\n", "100000+65536"},
		{"me:1:2\n1000:3:4\nme:5:6\n", "1+2 3+4 5+6"},
		{"mee:1:2\nm:1:2\nme :1:2\n me:1:2\nME:1:2\n", ""},
		{"me:0:1\n", "0+1"},
		{"me:4294967294:1\n", "4294967294+1"},
		{"me:4294967294:2\n", ""},
		{"me:4294967295:1\n", ""},
		{"me:0:4294967295\n", "0+4294967295"},
		{"me:1:4294967295\n", ""},
		{"me:5:0\n", ""},
		{"me:1\nme\nme:\nme::\nme::5\nme:5:\n", ""},
		{"me:-1:5\nme:1:-5\nme:+1:5\nme: 1:5\nme:1:5 \nme:0x1:5\n", ""},
		{"me:1:5:more\n", ""},
		{"me:1:5\r\n", ""},
		{"#me:1:5\n# comment\n:1:5\n", ""},
		{"me:garbage:5\nme:7:8\n", "7+8"},
		{"me:99999999999999999999:5\n", ""},
		{"01000:1:2\n", "1+2"},
		{"10000:1:2\n100:1:2\n-1000:1:2\n", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoarena_ struct arena arena;

		arena_init(&arena);
		cr_expect_str_eq(parse(&arena, rows[i].text, strlen(rows[i].text), "me"),
				 rows[i].ranges, "%s", rows[i].text);
	}
}

Test(idmap, a_user_without_a_name_has_a_number)
{
	static const char text[] = ":1:1\nme:2:2\n1000:3:3\n";
	_autoarena_ struct arena arena;

	arena_init(&arena);
	cr_expect_str_eq(parse(&arena, text, sizeof(text) - 1, NULL), "3+3");
}

Test(idmap, hostile_lines_are_passed_over)
{
	static const char nul[] = "me\0:1:1\nme:1:1\0:\nme:2:2\n\0";
	_autoarena_ struct arena arena;
	char text[2048];

	arena_init(&arena);
	cr_expect_str_eq(parse(&arena, nul, sizeof(nul) - 1, "me"), "2+2");

	/* A line longer than any user's, then a good one. */
	memset(text, 'm', sizeof(text));
	memcpy(text + 1000, ":1:1\nme:3:3\n", 12);
	cr_expect_str_eq(parse(&arena, text, 1012, "me"), "3+3");

	/* The length counts, not a NUL or a newline behind it. */
	cr_expect_str_eq(parse(&arena, "me:4:44444", 6, "me"), "4+4");
}

Test(idmap, a_flood_of_lines_is_cut)
{
	enum { LINES = 5000 };
	static const char line[] = "me:5:5\n";
	_autofree_ char *text = malloc(LINES * (sizeof(line) - 1));
	struct probe_range *ranges = NULL;
	_autoarena_ struct arena arena;
	struct sbx_err err;
	size_t n = 0;

	for (size_t i = 0; i < LINES; i++)
		memcpy(text + i * (sizeof(line) - 1), line, sizeof(line) - 1);
	arena_init(&arena);
	cr_assert_eq(idmap_parse_subids(text, LINES * (sizeof(line) - 1), "me", 1, &arena, &ranges,
					&n, &err),
		     0);
	cr_expect_geq(n, 100);
	cr_expect_leq(n, 340);
}
