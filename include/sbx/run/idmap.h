/* SPDX-License-Identifier: MIT */
/* idmap: write the id maps of user namespaces. Runs in: the monitor, and PID 1. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

/* newuidmap and newgidmap at work. */
struct idmap_job {
	struct {
		pid_t pid; /* 0: none, or reaped */
		int pidfd; /* owned, -1: none */
		const char *path;
	} helpers[2];
	int error_fd; /* owned; what they say on stderr */
};

void idmap_job_init(struct idmap_job *job);
void idmap_job_finish(struct idmap_job *job);
int idmap_job_start(struct idmap_job *job, const struct sbx_plan *plan, pid_t child,
		    const sigset_t *sigmask, struct sbx_err *err);
int idmap_job_reap(struct idmap_job *job, struct sbx_err *err);
bool idmap_job_done(const struct idmap_job *job);
bool idmap_is_to_blame(const struct sbx_err *err);

int idmap_write_own(const struct sbx_plan *plan, struct sbx_err *err);
int idmap_write_child(pid_t child, const struct sbx_plan *plan, struct sbx_err *err);
int idmap_write_below(pid_t child, const struct sbx_plan *plan, struct sbx_err *err);
int idmap_write_same(int proc_fd, pid_t child, const struct sbx_plan *plan, struct sbx_err *err);
