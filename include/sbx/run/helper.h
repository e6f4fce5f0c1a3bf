/* SPDX-License-Identifier: MIT */
/*
 * helper: a program that works beside a sandbox, and ends with who started it.
 * Runs in: the monitor (bus.c, net.c), and PID 1 for what it waits for.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sbx/base/proc.h"
#include "sbx/base/str.h"

struct helper {
	pid_t pid;	      /* 0: none, or reaped */
	int pidfd;	      /* owned, -1: none */
	int ready_fd;	      /* owned; a byte comes when it is ready; -1: none */
	int hold_fd;	      /* owned; it ends when we close it; -1: none */
	int error_fd;	      /* owned; what it says on stderr; -1: none */
	const int *cgroup_fd; /* borrowed; cgroup.procs to move to; NULL, or -1 there: none */
};

void helper_init(struct helper *helper);
void helper_finish(struct helper *helper);
int helper_pipe(int *ret_read, int *ret_write);
int helper_start(struct helper *helper, struct proc_spawn *spawn);
void helper_hush(struct helper *helper);
bool helper_hear(struct helper *helper);
bool helper_reap(struct helper *helper, const char *const *noise, int *ret_status,
		 struct str_buf *how);
bool helper_reap_ended(struct helper *helper, const char *const *noise, int *ret_status,
		       struct str_buf *how);
