/* SPDX-License-Identifier: MIT */
/*
 * mount: the few things that every kind of mount needs, on descriptors.
 * Runs in: PID 1, before pivot_root.
 */
#pragma once

#include "sbx/run/context.h"

/* What a destination is made as where it does not exist. */
enum mount_target { MOUNT_TARGET_DIR, MOUNT_TARGET_FILE };

struct mount_option {
	const char *key, *value; /* NULL value: a flag */
};

int mount_open_source(int host_root_fd, const char *source, int *ret_fd);
int mount_become_root(struct run_context *ctx, int *mount_fd, struct sbx_err *err);
int mount_new(const char *type, const struct mount_option *options, size_t n_options,
	      uint64_t attrs, int *ret_fd, struct sbx_err *err);
int mount_place(const struct run_context *ctx, int mount_fd, const struct plan_step *step,
		enum mount_target target, struct sbx_err *err);
int mount_new_at(const struct run_context *ctx, const char *type,
		 const struct mount_option *options, size_t n_options, const struct plan_step *step,
		 struct sbx_err *err);
int mount_clone(int dir_fd, const char *path, uint64_t attrs, int *ret_fd);
int mount_over_itself(int fd, uint64_t attrs, int *ret_fd);
int mount_name_fd(int fd, char **ret_path);
int mount_note_overlay(struct run_context *ctx, int mount_fd, int host_fd, struct sbx_err *err);
int mount_note_bind(struct run_context *ctx, int mount_fd, int host_fd, struct sbx_err *err);
int mount_clone_host(const struct run_context *ctx, const char *source, uint64_t attrs, int *ret_fd,
		     struct sbx_err *err);
int mount_make_tmpfs(const struct plan_step *step, int *ret_fd, struct sbx_err *err);
int mount_make_cover(const struct run_context *ctx, bool directory, int *ret_fd,
		     struct sbx_err *err);
