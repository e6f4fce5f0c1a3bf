/* SPDX-License-Identifier: MIT */
/*
 * dirs: directories for records that nobody but the caller can enter or replace.
 * Any process.
 */
#pragma once

#include <stdbool.h>

int dirs_open_own(const char *path);
int dirs_open_own_at(int dir_fd, const char *name);
int dirs_open_file(int dir_fd, const char *name, int flags);
int dirs_make(const char *path, unsigned *ret_made);
bool dirs_unmake(const char *path, unsigned made);
int dirs_make_own(const char *path);
int dirs_check_own(const char *path);
int dirs_lock(int fd, int timeout_ms);
