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

/* A directory to work in. It may be the root that the caller has open, which nobody closes. */
struct path_dir {
	int fd;	   /* to be used */
	int owned; /* to be closed: the same, or -1 where `fd` is borrowed */
};

#define PATH_DIR_NONE ((struct path_dir){.fd = -1, .owned = -1})
#define _autopathdir_ __attribute__((cleanup(path_dir_close)))
void path_dir_close(struct path_dir *dir);

char *path_normalise(struct arena *arena, const char *base, const char *path);
bool path_is_below(const char *path, const char *dir);
bool path_is_root(const char *path);
bool path_is_dots(const char *name);
void path_put_before(char *path, size_t size, const char *name);
const char *path_rest(const char *path, const char *dir);

/* Below an O_PATH descriptor taken as the root; never outside it. Each returns a new O_PATH fd. */
int path_open(int root_fd, const char *path, int *ret_fd);
int path_open_inside(int root_fd, const char *path, int *ret_fd);
int path_make_dir(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd);
int path_make_file(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd);
int path_make_parent(int root_fd, const char *path, mode_t parent_mode, struct path_dir *ret_dir,
		     const char **ret_name);
