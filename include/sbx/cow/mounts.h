/* SPDX-License-Identifier: MIT */
/*
 * mounts: what of a session's directories is mounted somewhere, or is a mount point; so it cannot
 * be replaced, or not without the mount going on with what it was. Runs in: the caller's process.
 */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "sbx/cow/session.h"

struct cow_mount {
	uint64_t dev, ino; /* what is mounted */
	const char *point; /* where */
};

struct cow_mounts {
	struct cow_mount *mounts; /* in the arena */
	size_t n;
};

int cow_mounts_read(const struct cow_session *session, struct arena *arena,
		    struct cow_mounts *ret_mounts);
const char *cow_mounts_find(const struct cow_mounts *mounts, const struct stat *st);
