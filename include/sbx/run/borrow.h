/* SPDX-License-Identifier: MIT */
/*
 * borrow: start a process that runs in this one's memory until it executes a
 * program, as vfork(2) does, without being deaf meanwhile. Runs in: PID 1.
 */
#pragma once

#include <stdnoreturn.h>
#include <sys/types.h>

pid_t borrow_start(void (*main)(void *arg), void *arg, int *ret_fd, int *ret_pidfd);
