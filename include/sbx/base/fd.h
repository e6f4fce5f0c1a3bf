/* SPDX-License-Identifier: MIT */
/* fd: descriptors of the whole process. Any process. */
#pragma once

#include <stddef.h>

int fd_open_standard(void);
void fd_close_all_but(const int *keep, size_t n_keep);
