/* SPDX-License-Identifier: MIT */
/*
 * freeze: stop all processes of a sandbox at once, and let them go on, by the freezer of
 * their cgroup. Runs in: the verbs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/box/procs.h"
#include "sbx/run/control.h"

/* What the cgroup of a sandbox tells, if it has one of its own. */
struct freeze_look {
	bool frozen;
	bool has_memory;
	uint64_t memory_bytes;
};

const char *freeze_path_of(pid_t pid, struct arena *arena);
int freeze_find(const struct control_facts *facts, const struct procs *procs, struct arena *arena,
		int *ret_dir_fd, struct sbx_err *err);
int freeze_find_stranger(int dir_fd, const pid_t *pids, size_t n, struct arena *arena,
			 pid_t *ret_pid);
int freeze_set(int dir_fd, bool frozen, struct sbx_err *err);
bool freeze_has_own_cgroup(const struct control_facts *facts, struct arena *arena,
			   const char **ret_path);
int freeze_open_to_join(const struct control_facts *facts, int pidfd, struct arena *arena,
			const char **ret_path, int *ret_fd, struct sbx_err *err);
int freeze_read_memory(int dir_fd, uint64_t *ret_bytes);
void freeze_look(const struct control_facts *facts, const struct procs *procs, struct arena *arena,
		 struct freeze_look *ret);
int freeze_refuse_paused(const char *id, struct sbx_err *err);
bool freeze_is_frozen(const struct control_facts *facts, struct arena *arena);
