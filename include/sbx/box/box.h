/* SPDX-License-Identifier: MIT */
/*
 * box: running sandboxes: which there are, and which one is meant. Runs in: the verbs.
 */
#pragma once

#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/base/label.h"

enum { BOX_DIRS = 2 };

/* A sandbox whose monitor was alive when it was looked for; or what was kept of one. */
struct box {
	struct label label;
	const char *dir; /* of its record, borrowed */
	bool ended;	 /* there is only what was kept (run/kept.h) */
	pid_t monitor;	 /* who has its record locked; 0: in another pid namespace */
};

/* Which are looked for. */
enum box_kind { BOX_RUNNING, BOX_ENDED, BOX_ANY };

struct box_list {
	struct box *boxes; /* in the arena; sorted by id */
	size_t n_boxes;
};

int box_list(const char *const dirs[BOX_DIRS], enum box_kind kind, struct arena *arena,
	     struct box_list *ret_list, struct sbx_err *err);
int box_find(const char *const dirs[BOX_DIRS], enum box_kind kind, struct arena *arena,
	     const char *word, struct box *ret_box, struct sbx_err *err);
struct kept;
int box_read_kept(const struct box *box, struct kept *ret_kept, struct sbx_err *err);
