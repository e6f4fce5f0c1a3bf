/* SPDX-License-Identifier: MIT */
/*
 * xattr: extended attributes, without those by which the drivers of layers keep their marks.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { COW_XATTR_LIST_USUAL = 1024, COW_XATTR_LIST_MAX = 65536, COW_XATTR_VALUE_MAX = 65536 };

const char *cow_xattr_find(int dir_fd, const char *name, const char *const *attributes, size_t n);
bool cow_xattr_has(int dir_fd, const char *name, const char *attribute, char *ret_first);
bool cow_xattr_can(int dir_fd, const char *name);
int cow_xattr_has_any(int dir_fd, const char *name);
bool cow_xattr_is_mark(const char *attribute);
bool cow_xattr_plants(int upper_dir, const char *upper, int host_dir, const char *host, bool fuse);
int cow_xattr_equal(int upper_dir, const char *upper, int host_dir, const char *host);
int cow_xattr_give(int from_fd, int to_fd);
int cow_xattr_copy(int upper_dir, const char *upper, int host_fd, bool privileged);
