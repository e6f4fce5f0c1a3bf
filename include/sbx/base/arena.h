/* SPDX-License-Identifier: MIT */
/*
 * arena: memory that is freed all at once. A spec and the plan made from it
 * live as long as the launch, so their strings have one owner: an arena. Any
 * process; never shared between two.
 */
#pragma once

#include <stddef.h>

#include "sbx/base/defs.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* owned; newest first */
	size_t first_bytes;	    /* of the first chunk, 0: as of all others */
};

void arena_init(struct arena *arena);
void arena_init_sized(struct arena *arena, size_t first_bytes);
void arena_finish(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size);
void *arena_grow(struct arena *arena, void *old, size_t count, size_t item_size);
char *arena_dup(struct arena *arena, const char *text);
char *arena_dup_n(struct arena *arena, const char *text, size_t len);
char *arena_join(struct arena *arena, const char *const *parts);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define _autoarena_ __attribute__((cleanup(arena_finish)))
