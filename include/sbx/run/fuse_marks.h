/* SPDX-License-Identifier: MIT */
/*
 * fuse_marks: what fuse-overlayfs would take for a mark of its own in somebody's directory, and so
 * not show. Runs in: the process that starts fuse-overlayfs.
 */
#pragma once

#include <stdbool.h>

#include "sbx/base/err.h"

struct fuse_marks {
	const char *layer; /* as typed */
	bool among_others; /* there are layers below: attributes of directories count, too */
	bool kernel_may;   /* the kernel can do what is asked, as far as is known */
	/* Is called now and then, while there is much to look through. Return: 0 or -errno. */
	int (*go_on)(void *arg);
	void *arg;
};

int fuse_marks_check(int dir_fd, const struct fuse_marks *marks, struct sbx_err *err);
