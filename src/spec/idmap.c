/* SPDX-License-Identifier: MIT */
/*
 * idmap: the layout of the user namespace's ids.
 *
 * Theory of operation
 *
 * The caller keeps an id of its own inside (its usual one, or 0 with --root, or
 * what --uid says). Around it the subordinate ranges of /etc/subuid are laid out
 * from 0 upwards, in the order of the file and without gaps, as podman's
 * keep-id does. For uid 1001 with the range 100000:65536:
 *
 *     inside        outside       count
 *          0         100000        1001
 *       1001           1001           1
 *       1002         101001       64535
 *
 * The kernel refuses a map in which an id stands twice (user_namespaces(7)), so
 * what a range has in common with an earlier one, or with the caller's own id,
 * is left out.
 */

#include <errno.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/spec/idmap.h"

enum {
	IDMAP_LINES_MAX = 340, /* the kernel's limit, Linux 4.15 */
	IDMAP_RANGES_MAX = 339,
};

/* The largest id there is: -1 means "none" to the kernel. */
static const uint32_t idmap_id_max = UINT32_MAX - 1;

enum { IDMAP_LINE_BYTES = 512 };

/* "name:start:count" or "uid:start:count". Return: is it a range? Then @text is whose it is. */
static bool idmap_parse_line(const char *line, size_t len, char text[IDMAP_LINE_BYTES],
			     struct probe_range *range)
{
	char *start, *count;
	uint64_t number;

	if (len >= IDMAP_LINE_BYTES || memchr(line, '\0', len))
		return false;
	memcpy(text, line, len);
	text[len] = '\0';
	start = strchr(text, ':');
	if (!start)
		return false;
	*start++ = '\0';
	count = strchr(start, ':');
	if (!count)
		return false;
	*count++ = '\0';
	if (str_parse_u64(start, 10, idmap_id_max, &number) < 0)
		return false;
	range->start = (uint32_t)number;
	if (str_parse_u64(count, 10, idmap_id_max - range->start + 1, &number) < 0 || number == 0)
		return false;
	range->count = (uint32_t)number;
	return true;
}

static bool idmap_is_users(const char *text, const char *user, uid_t uid)
{
	uint64_t number;

	return (user && strcmp(text, user) == 0) ||
	       (str_parse_u64(text, 10, idmap_id_max, &number) == 0 && number == uid);
}

/**
 * The first id behind all ranges in the text of subuid(5) or subgid(5), whosever they are.
 * @least: the smallest that may be
 *
 * Return: it; where the last id is in a range, one that is none.
 */
uint32_t idmap_find_free(const char *text, size_t len, uint32_t least)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end ? (size_t)(end - text) : len;
		char name[IDMAP_LINE_BYTES];
		struct probe_range range;

		if (idmap_parse_line(text, line_len, name, &range) &&
		    range.start + range.count > least)
			least = range.start + range.count;
		line_len += end ? 1 : 0;
		text += line_len;
		len -= line_len;
	}
	return least;
}

/**
 * The ranges of one user in the text of subuid(5) or subgid(5).
 * @user: its name, or NULL; lines with the number of @uid count as well
 *
 * Lines that are not well formed are passed over, as newuidmap does.
 * Return: 0, also where there is no range; or -ENOMEM.
 */
int idmap_parse_subids(const char *text, size_t len, const char *user, uid_t uid,
		       struct arena *arena, struct probe_range **ret_ranges, size_t *ret_count,
		       struct sbx_err *err)
{
	struct probe_range *ranges = NULL;
	size_t count = 0;

	while (len > 0 && count < IDMAP_RANGES_MAX) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end ? (size_t)(end - text) : len;
		char name[IDMAP_LINE_BYTES];
		struct probe_range range;

		if (idmap_parse_line(text, line_len, name, &range) &&
		    idmap_is_users(name, user, uid)) {
			ranges = arena_grow(arena, ranges, count, sizeof(*ranges));
			if (!ranges)
				return err_oom(err);
			ranges[count++] = range;
		}
		line_len += end ? 1 : 0;
		text += line_len;
		len -= line_len;
	}
	*ret_ranges = ranges;
	*ret_count = count;
	return 0;
}

/* A layout in the making. `next` is 64 bits wide, so that it can stand behind the last id. */
struct idmap_layout {
	struct plan_map *map; /* lines has room for IDMAP_LINES_MAX */
	uint64_t next;	      /* the first inside id not used yet */
};

static void idmap_put(struct idmap_layout *l, uint32_t outside, uint64_t count)
{
	struct plan_map *map = l->map;

	while (count > 0 && map->n_lines < IDMAP_LINES_MAX - 1) {
		uint64_t room;

		if (l->next == map->own_inside)
			l->next++;
		if (l->next > idmap_id_max)
			return;
		room = (l->next < map->own_inside ? map->own_inside : (uint64_t)idmap_id_max + 1) -
		       l->next;
		if (room > count)
			room = count;
		map->lines[map->n_lines++] =
			(struct plan_map_line){(uint32_t)l->next, outside, (uint32_t)room};
		l->next += room;
		outside += (uint32_t)room;
		count -= room;
	}
}

/*
 * How many ids from `start` on, at most `count`, are in no line yet. Where the
 * first one is taken already: 0, and *ret_skip says how many are.
 */
static uint64_t idmap_free_run(const struct plan_map *map, uint32_t start, uint64_t count,
			       uint64_t *ret_skip)
{
	for (size_t i = 0; i <= map->n_lines; i++) {
		bool own = i == map->n_lines;
		uint64_t first = own ? map->own_outside : map->lines[i].outside;
		uint64_t end = first + (own ? 1 : map->lines[i].count);

		if (start >= first && start < end) {
			*ret_skip = end - start;
			return 0;
		}
		if (start < first && first - start < count)
			count = first - start;
	}
	*ret_skip = 0;
	return count;
}

static void idmap_put_range(struct idmap_layout *l, struct probe_range range)
{
	uint64_t start = range.start, end = start + range.count;

	while (start < end) {
		uint64_t skip, run = idmap_free_run(l->map, (uint32_t)start, end - start, &skip);

		if (run > 0)
			idmap_put(l, (uint32_t)start, run);
		start += run > 0 ? run : skip;
	}
}

/* The caller's own line, in its place among the others: they are in the order of `inside`. */
static void idmap_put_own(struct plan_map *map)
{
	size_t at = map->n_lines;

	while (at > 0 && map->lines[at - 1].inside > map->own_inside) {
		map->lines[at] = map->lines[at - 1];
		at--;
	}
	map->lines[at] = (struct plan_map_line){map->own_inside, map->own_outside, 1};
	map->n_lines++;
}

/**
 * Lay the ranges out around the caller's own id.
 * @own_inside: what the caller is called inside; @own_outside: its id on the host
 * @ret_map:    `lines` in the arena, `helper` untouched
 *
 * Without ranges the map has one line. Return: 0 or -ENOMEM.
 */
int idmap_lay_out(const struct probe_range *ranges, size_t n_ranges, uint32_t own_inside,
		  uint32_t own_outside, struct arena *arena, struct plan_map *ret_map,
		  struct sbx_err *err)
{
	struct plan_map map = {.own_inside = own_inside, .own_outside = own_outside};
	struct idmap_layout layout = {.map = &map};

	map.lines = arena_alloc(arena, (n_ranges ? IDMAP_LINES_MAX : 1) * sizeof(*map.lines));
	if (!map.lines)
		return err_oom(err);
	for (size_t i = 0; i < n_ranges; i++)
		idmap_put_range(&layout, ranges[i]);
	idmap_put_own(&map);

	map.helper = ret_map->helper;
	*ret_map = map;
	return 0;
}

/* Where a line of the map above begins behind `first`, if within `count` ids; else `count`. */
static uint64_t idmap_next_cut(const struct plan_map *above, uint32_t first, uint64_t count)
{
	for (size_t i = 0; i < above->n_lines; i++) {
		uint32_t cut = above->lines[i].outside;

		if (cut > first && cut - first < count)
			count = cut - first;
	}
	return count;
}

/**
 * Cut the lines of a map so that each lies within one of @above, whose ids are the same of the
 * host: the kernel takes no line that spans two of the namespace above (user_namespaces(7)).
 *
 * Return: 0 or -ENOMEM, *err filled; -E2BIG: the kernel takes no more lines.
 */
int idmap_split(const struct plan_map *above, struct arena *arena, struct plan_map *map,
		struct sbx_err *err)
{
	struct plan_map_line *lines = arena_alloc(arena, IDMAP_LINES_MAX * sizeof(*lines));
	size_t n = 0;

	if (!lines)
		return err_oom(err);
	for (size_t i = 0; i < map->n_lines; i++) {
		struct plan_map_line rest = map->lines[i];

		while (rest.count > 0 && n < IDMAP_LINES_MAX) {
			uint32_t part = (uint32_t)idmap_next_cut(above, rest.outside, rest.count);

			lines[n++] = (struct plan_map_line){rest.inside, rest.outside, part};
			rest.inside += part;
			rest.outside += part;
			rest.count -= part;
		}
		if (rest.count > 0)
			return err_refuse(err, E2BIG, NULL, "there are too many ranges of ids");
	}
	map->lines = lines;
	map->n_lines = n;
	return 0;
}

/* Is this id one that exists in the sandbox? */
bool idmap_has(const struct plan_map *map, uint32_t inside)
{
	for (size_t i = 0; i < map->n_lines; i++)
		if (inside >= map->lines[i].inside &&
		    inside - map->lines[i].inside < map->lines[i].count)
			return true;
	return false;
}
