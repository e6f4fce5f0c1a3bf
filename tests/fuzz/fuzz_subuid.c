/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of subuid(5) and the layout made from it: whatever the file
 * says, the map must be one that the kernel takes.
 */

#include <assert.h>
#include <stdbool.h>

#include "fuzz.h"
#include "sbx/spec/idmap.h"

enum { MAP_LINES_MAX = 340 }; /* user_namespaces(7) */

static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

static void check_map(const struct plan_map *map, uint32_t own_inside, uint32_t own_outside)
{
	bool own = false;

	assert(map->n_lines >= 1 && map->n_lines <= MAP_LINES_MAX);
	for (size_t i = 0; i < map->n_lines; i++) {
		const struct plan_map_line *line = &map->lines[i];

		/* 2^32-1 is no id, so no line may reach it. */
		assert(line->count > 0);
		assert((uint64_t)line->inside + line->count <= UINT32_MAX);
		assert((uint64_t)line->outside + line->count <= UINT32_MAX);
		own |= line->inside == own_inside && line->outside == own_outside &&
		       line->count == 1;
		for (size_t k = 0; k < i; k++) {
			const struct plan_map_line *other = &map->lines[k];

			assert(!overlap(line->inside, line->count, other->inside, other->count));
			assert(!overlap(line->outside, line->count, other->outside, other->count));
		}
	}
	assert(own);
	assert(idmap_has(map, own_inside));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t ids[] = {0, 1000, 100000, UINT32_MAX - 1};
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct probe_range *ranges = NULL;
	struct sbx_err err;
	size_t n = 0;

	assert(idmap_parse_subids((const char *)data, size, "me", 1000, &arena, &ranges, &n,
				  &err) == 0);
	/* What is given to another must be nobody's. */
	for (size_t i = 0; i < n; i++)
		assert(idmap_find_free((const char *)data, size, 100000) >=
		       ranges[i].start + ranges[i].count);
	for (size_t i = 0; i < ARRAY_SIZE(ids) * ARRAY_SIZE(ids); i++) {
		uint32_t inside = ids[i % ARRAY_SIZE(ids)], outside = ids[i / ARRAY_SIZE(ids)];
		struct plan_map map = {.helper = NULL};

		assert(idmap_lay_out(ranges, n, inside, outside, &arena, &map, &err) == 0);
		check_map(&map, inside, outside);
	}
	return 0;
}
