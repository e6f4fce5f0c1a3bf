/* SPDX-License-Identifier: MIT */
/*
 * commands: the command lines that ask sbx, bubblewrap and the bare program for
 * one and the same sandbox.
 *
 * The reference sandbox: all namespaces new, /usr read-only, the host's
 * merged-/usr links, --proc /proc, --dev /dev, --tmpfs /tmp. sbx also covers
 * the dangerous files of /proc, forbids further user namespaces and makes the
 * root read-only. bubblewrap does none of this; the bare program does it when
 * it stands beside sbx.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WORDS_MAX = 4096 };

struct programs {
	const char *sbx, *bwrap, *bare, *strace;
	unsigned long range_start, range_count; /* the user's sub-ids; count 0: none */
};

/* A command line; owns its words. */
struct words {
	char *word[WORDS_MAX];
	size_t n;
};

/* How the ids are mapped: only the caller's own, or what sbx does by default. */
enum command_map { MAP_SINGLE, MAP_DEFAULT };

void words_add(struct words *words, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void words_add_list(struct words *words, const char *const *list);
void words_free(struct words *words);

void command_bwrap(struct words *words, const struct programs *programs);
void command_sbx(struct words *words, const struct programs *programs, enum command_map map);
void command_sbx_base(struct words *words, const struct programs *programs, enum command_map map);
void command_bare(struct words *words, const struct programs *programs, enum command_map map);
void command_floor(struct words *words, const struct programs *programs);
