/* SPDX-License-Identifier: MIT */
/*
 * overlay: the kernel's overlayfs, out of directories that are open. Used by what shows
 * layers and by --protect-by=overlay. Runs in: PID 1, before pivot_root.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sbx/base/err.h"

enum { OVERLAY_LOWER_MAX = 128 };

struct overlay_layers {
	const int *lower; /* borrowed; the topmost first */
	size_t n_lower;
	int upper; /* borrowed; -1: nothing can be written */
	int work;  /* borrowed; an empty directory on the same mount as upper; -1 without that */
};

/* Of what is written to, for errors. */
#define OVERLAY_UPPER "RWSRC"
#define OVERLAY_WORK "WORKDIR"
#define OVERLAY_LOWER "the layer"

int overlay_open_layer(int root_fd, const char *path, const char *what, int *ret_fd,
		       struct sbx_err *err);
int overlay_check_apart(const char *a, int a_fd, const char *b, int b_fd, struct sbx_err *err);
int overlay_check_mount(const char *upper, int upper_fd, const char *work, int work_fd,
			struct sbx_err *err);
int overlay_mount(const struct overlay_layers *layers, uint64_t attrs, int *ret_fd);
