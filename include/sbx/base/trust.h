/* SPDX-License-Identifier: MIT */
/*
 * trust: open a file that only the caller or root can have written. Whoever can
 * change a file of options decides what a sandbox gives away, so every directory
 * and link on the way to it counts. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

/* A file or directory, whatever it is called. */
struct trust_place {
	dev_t dev;
	ino_t ino;
};

struct trust_file {
	int fd; /* owned, for reading, at its start */
	struct trust_place self;
	/* The file and directories by whose change the caller could change what is read. */
	struct trust_place *places;
	size_t n_places;
};

bool trust_owner_is_unknown(uint32_t uid);
int trust_open(const char *path, struct arena *arena, struct trust_file *ret_file,
	       struct sbx_err *err);
