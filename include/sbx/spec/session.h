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
#define SESSION_OVER_MARK "over-fuse" /* beside the kernel's, where fuse-overlayfs shows */

enum { SESSION_ROOTS_MAX = 64 };

const char *session_get_base(const struct probe_host *host, struct arena *arena);
bool session_name_is_path(const char *name);

/* What becomes of a mount of the host below a view. */
enum session_mount_kind {
	SESSION_MOUNT_ROOT,   /* an overlay of its own */
	SESSION_MOUNT_FILE,   /* is shown read-only */
	SESSION_MOUNT_PASSED, /* is not shown */
};

struct session_mount {
	const char *path; /* of the host, without links */
	enum session_mount_kind kind;
	const char *passed; /* why it is not shown */
	bool is_dir;
};

/* A directory to be shown, and all mounts below it that can be seen, in the order of paths. */
struct session_view {
	const char *root;
	struct session_mount *mounts;
	size_t n_mounts;
};

int session_find_view(const struct probe_host *host, struct sbx_plan *plan, const char *source,
		      struct session_view *ret_view, struct sbx_err *err);
int session_check_view(const struct sbx_spec *spec, const struct probe_host *host,
		       struct sbx_plan *plan, const struct session_view *view, struct sbx_err *err);
int session_add_root(const struct sbx_spec *spec, struct sbx_plan *plan,
		     const struct session_view *view, const char *root,
		     struct layers_wanted *wanted, struct sbx_err *err);

/* What is hidden of a view: the store, and the session, each by its path and by another mount's. */
enum { SESSION_COVERS_MAX = 4 };

const char *session_find_real(struct arena *arena, const char *path);
int session_hide_from_view(const struct probe_host *host, struct sbx_plan *plan, const char *root,
			   const char *ret_covers[SESSION_COVERS_MAX], size_t *ret_n,
			   struct sbx_err *err);
int session_hide(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		 struct sbx_err *err);
