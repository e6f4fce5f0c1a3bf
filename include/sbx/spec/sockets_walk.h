/* SPDX-License-Identifier: MIT */
/*
 * sockets_walk: every socket below a directory of the host that is bound, whoever made
 * it and whatever the kernel lists. Asked by --explain and --mask-sockets only.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/spec/plan.h"

/* How far to go; several walks can share one. */
struct sockets_budget {
	size_t entries;	    /* names that may still be read */
	size_t all_entries; /* the same at the beginning */
	unsigned seconds;
	int64_t until_ms; /* on the monotonic clock */
};

/* Why there can be sockets that were not found. */
enum sockets_doubt {
	SOCKETS_SURE, /* there are none */
	SOCKETS_UNREADABLE,
	SOCKETS_TOO_DEEP,
	SOCKETS_TOO_MANY,
	SOCKETS_TOO_SLOW,
	SOCKETS_DOUBT_COUNT_,
};

struct sockets_walk {
	struct arena *arena;	     /* borrowed; owns what is found */
	const struct sbx_plan *plan; /* borrowed; which ids the command can have */
	bool any_ids;		     /* it enters a user namespace of somebody else's making */
	const char *source;	     /* real path of the bind */
	const char *dest;	     /* of the bind; what is below is hidden if it is in `hidden` */
	const char *const *hidden;   /* places inside that something else covers later */
	size_t n_hidden;
	struct sockets_budget *budget;

	const char **found; /* below the source, without a slash in front */
	size_t n_found;
	enum sockets_doubt doubt; /* the first */
	const char *doubtful;	  /* below the source, of the first doubt; "": the source itself */
	size_t n_doubtful;
};

struct sockets_budget sockets_budget_for_mask(void);
struct sockets_budget sockets_budget_for_explain(void);
int sockets_walk(struct sockets_walk *walk);
const char *sockets_below(struct arena *arena, const char *dir, const char *name);
const char *sockets_doubt_text(const struct sockets_walk *walk);
