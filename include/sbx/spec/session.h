/* SPDX-License-Identifier: MIT */
/*
 * session: the names of the directories in which the changes of copy-on-write views are
 * kept (sbx-cow(7)). Nothing is made here. Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/layers.h"

/* What fuse-overlayfs has in a work directory (run/fuse_maker.c); the kernel has another. */
#define SESSION_FUSE_MARK "fuse-overlayfs"
#define SESSION_KERNEL_MARK "work"

enum { SESSION_ROOTS_MAX = 64 };

const char *session_get_base(const struct probe_host *host, struct arena *arena);
bool session_name_is_path(const char *name);
int session_add_root(const struct sbx_spec *spec, const struct probe_host *host,
		     struct sbx_plan *plan, size_t op, struct layers_wanted *wanted,
		     struct sbx_err *err);
int session_hide(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err);
