/* SPDX-License-Identifier: MIT */
/*
 * arena: a list of chunks, the newest of which is filled from its start. What
 * is larger than a chunk gets one of its own. Every function returns NULL when
 * memory runs out; nothing is ever freed before arena_finish().
 *
 * Chunks come from mmap(2), their pages with them (MAP_POPULATE): a launch fills
 * most of one, and a page that is not there costs a fault when it is first
 * touched, which is dearer than the page. malloc() adds calls and pages of its own.
 */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sbx/base/arena.h"

enum { ARENA_CHUNK_BYTES = 32768, ARENA_ALIGN = 16, ARENA_FIRST_ITEMS = 8 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size; /* of data */
	_Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *arena)
{
	arena_init_sized(arena, 0);
}

/* For what is known to be less than a chunk, mostly: its pages are made at once. */
void arena_init_sized(struct arena *arena, size_t first_bytes)
{
	*arena = (struct arena){.first_bytes = first_bytes};
}

/* Free everything that was taken from the arena; it can be used again. */
void arena_finish(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		(void)munmap(chunk, sizeof(*chunk) + chunk->size);
	}
}

static struct arena_chunk *arena_add_chunk(struct arena *arena, size_t size)
{
	size_t bytes =
		!arena->chunks && arena->first_bytes ? arena->first_bytes : ARENA_CHUNK_BYTES;
	size_t room = bytes - sizeof(struct arena_chunk);
	struct arena_chunk *chunk;

	if (size > room)
		room = size;
	chunk = mmap(NULL, sizeof(*chunk) + room, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	chunk->size = room;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

/* `size` bytes, all zero, as fresh pages are. */
void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (!chunk || chunk->size - chunk->used < size) {
		chunk = arena_add_chunk(arena, size);
		if (!chunk)
			return NULL;
	}
	p = chunk->data + chunk->used;
	chunk->used += size;
	return p;
}

/**
 * Room for one more item behind an array of `count`.
 *
 * The array doubles whenever `count` is a power of two and no small one, so it must have been
 * made by this function, one item at a time.
 *
 * Return: the array, perhaps at another address, or NULL.
 */
void *arena_grow(struct arena *arena, void *old, size_t count, size_t item_size)
{
	void *grown;

	if (count > 0 && (count < ARENA_FIRST_ITEMS || (count & (count - 1)) != 0))
		return old;
	if (count > SIZE_MAX / 4 / item_size)
		return NULL;
	grown = arena_alloc(arena, (count ? count * 2 : ARENA_FIRST_ITEMS) * item_size);
	if (grown && count)
		memcpy(grown, old, count * item_size);
	return grown;
}

/* The parts one behind the other, up to a NULL: what arena_printf() of %s is slow at. */
char *arena_join(struct arena *arena, const char *const *parts)
{
	size_t len = 0;
	char *joined, *to;

	for (const char *const *part = parts; *part; part++)
		len += strlen(*part);
	to = joined = arena_alloc(arena, len + 1);
	for (const char *const *part = parts; joined && *part; part++)
		to = stpcpy(to, *part);
	return joined;
}

char *arena_dup(struct arena *arena, const char *text)
{
	return arena_dup_n(arena, text, strlen(text));
}

char *arena_dup_n(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap, again;
	char *text = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0)
		text = arena_alloc(arena, (size_t)n + 1);
	if (text)
		(void)vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return text;
}
