/* SPDX-License-Identifier: MIT */
/* fd: descriptors of the whole process. Any process. */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>

int fd_open_standard(void);
int fd_get_terminal(int fd, uint32_t *ret_device);
DIR *fd_open_dir(int *fd);
DIR *fd_open_dir_again(int dir_fd);
void fd_close_all_but(const int *keep, size_t n_keep);
