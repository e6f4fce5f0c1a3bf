/* SPDX-License-Identifier: MIT */
/*
 * register: the record of this sandbox, by which others find its monitor.
 * Runs in: the monitor.
 */
#pragma once

#include "sbx/base/label.h"
#include "sbx/spec/plan.h"

enum { REGISTER_RECORD_MAX_BYTES = 8192 };

/* Behind the id, the name of the monitor's control socket, in the same directory. */
#define REGISTER_SOCKET_SUFFIX ".sock"
/* Likewise, a link that says where its cgroups are (cgroup.c). */
#define REGISTER_CGROUP_SUFFIX ".cgroup"

struct register_entry {
	const struct sbx_plan *plan;
	const char *dir; /* the plan's */
	int dir_fd;	 /* owned; -1: there is no record */
	int record_fd;	 /* owned; its lock says that the monitor lives */
	struct label label;
	char file[LABEL_FILE_SIZE + 1]; /* the record's name now; a claim has a dot in front */
	int64_t created_ms;		/* since 1970 */
	bool kept;			/* what stays of it is there (kept.h) */
};

void register_init(struct register_entry *entry);
void register_make_dir(const struct sbx_plan *plan);
int register_claim(struct register_entry *entry, const struct sbx_plan *plan, struct sbx_err *err);
int register_publish(struct register_entry *entry, pid_t init, struct sbx_err *err);
void register_sweep(const struct register_entry *entry);
void register_remove_dead(int dir_fd, const char *file, const struct label *label);
void register_finish(struct register_entry *entry);
void register_socket_name(const struct label *label, char ret_name[LABEL_FILE_SIZE]);
int register_fail(const struct register_entry *entry, int number, const char *what,
		  struct sbx_err *err);
int register_lock_holder(int fd, pid_t *ret_pid);
