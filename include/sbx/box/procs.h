/* SPDX-License-Identifier: MIT */
/*
 * procs: which processes are in a sandbox, as /proc shows them. Runs in: the verbs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"

/* Every process that this user may look at, with its pid namespace. */
struct procs_all {
	struct procs_one {
		pid_t pid;
		uint64_t pid_ns; /* its inode */
	} * list;
	size_t count;
};

struct procs {
	pid_t *pids; /* in the arena; without process 1, which is sbx */
	size_t count;
};

int procs_look(struct arena *arena, struct procs_all *ret_all);
int procs_of(const struct procs_all *all, pid_t init, bool own_pids, struct arena *arena,
	     struct procs *ret_procs);
uint64_t procs_start_ticks(pid_t pid, char *ret_state);
uint64_t procs_used_ticks(pid_t pid, char *ret_state);
