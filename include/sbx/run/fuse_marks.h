/* SPDX-License-Identifier: MIT */
/*
 * fuse_marks: what fuse-overlayfs would take for a mark of its own in somebody's directory, and so
 * not show. Runs in: the process that starts fuse-overlayfs.
 */
#pragma once

#include <stdint.h>

#include "sbx/base/err.h"

/* What counts, beside names that begin with ".wh.". */
enum fuse_marks_what {
	FUSE_MARKS_DEVICES = 1 << 0, /* the devices 0/0 by which layers have removed names */
	FUSE_MARKS_OPAQUE = 1 << 1,  /* attributes of directories that no other driver reads */
};

struct fuse_marks {
	const char *layer; /* as typed */
	uint32_t what;	   /* enum fuse_marks_what */
	bool kernel_may;   /* the kernel can do what is asked, as far as is known */
	/* Is called now and then, while there is much to look through. Return: 0 or -errno. */
	int (*go_on)(void *arg);
	void *arg;
};

int fuse_marks_check(int dir_fd, const struct fuse_marks *marks, struct sbx_err *err);
