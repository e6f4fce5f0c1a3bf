/* SPDX-License-Identifier: MIT */
/*
 * protect: the walk to a protected path, for the two ways to hold a missing name.
 * Runs in: PID 1, before pivot_root.
 */
#pragma once

#include <limits.h>

#include "sbx/run/context.h"

/* A walk to a path. */
struct protect {
	struct run_context *ctx;
	const struct plan_step *step;
	char done[PATH_MAX]; /* where the walk is, without links; "" is the root */
	char rest[PATH_MAX]; /* what is left */
	int dir_fd;	     /* owned; of done */
	int links;
	uint64_t root_mount; /* the mount id of the sandbox's own root, 0: it is the host's */
};

/* What a walk's step came to. */
enum protect_result { PROTECT_GO_ON, PROTECT_DONE, PROTECT_SKIP };

int protect_overlay(struct protect *p, const char *name, const char *host, struct sbx_err *err);
