/* SPDX-License-Identifier: MIT */
/* io: whole reads and writes, with limits, on descriptors. Any process. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

int io_write_all(int fd, const char *data, size_t len);
int io_write_file_at(int dir_fd, const char *path, const char *data, size_t len);
int io_read_all(int fd, size_t max_bytes, struct arena *arena, char **ret_data, size_t *ret_len);
int io_read_file(const char *path, size_t max_bytes, struct arena *arena, char **ret_data,
		 size_t *ret_len);
int io_copy(int from_fd, int to_fd);
