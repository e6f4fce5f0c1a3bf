/* SPDX-License-Identifier: MIT */
/*
 * path: names of files, as text and resolved below a root. Opening on the host
 * and inside the new root both go through here. Any process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

char *path_normalise(struct arena *arena, const char *base, const char *path);
bool path_is_below(const char *path, const char *dir);
bool path_is_root(const char *path);

/* Below an O_PATH descriptor taken as the root; never outside it. Each returns a new O_PATH fd. */
int path_open(int root_fd, const char *path, int *ret_fd);
int path_open_inside(int root_fd, const char *path, int *ret_fd);
int path_make_dir(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd);
int path_make_file(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd);
int path_make_parent(int root_fd, const char *path, mode_t parent_mode, int *ret_fd,
		     const char **ret_name);
