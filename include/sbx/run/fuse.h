/* SPDX-License-Identifier: MIT */
/*
 * fuse: layers put together by processes of fuse-overlayfs(1). Runs in: the monitor, and
 * in a process of its own that makes each.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

/* One process of fuse-overlayfs. */
struct fuse_helper {
	const struct plan_step *step; /* borrowed; whose layers it has */
	int pidfd;		      /* owned; -1: none, or reaped */
	int error_fd;		      /* owned; what it says on stderr */
	bool alone;		      /* it keeps what is written, too */
	bool ready;		      /* PID 1 has the mount */
};

struct fuse_jobs {
	const struct sbx_plan *plan; /* borrowed; NULL: not yet */
	const sigset_t *sigmask;     /* borrowed; for the helpers */
	const int *cgroup_fd;	     /* borrowed; cgroup.procs of theirs; NULL, or -1 there: none */
	struct fuse_helper helpers[PLAN_FUSE_MAX];
	size_t n_helpers;
	unsigned n_done; /* steps that may use one, and have their mount */
	pid_t maker;	 /* the process that makes the last one; 0: none */
	int maker_fd;	 /* owned; where it tells; -1: none */
};

void fuse_init(struct fuse_jobs *jobs);
void fuse_await_killed(struct fuse_jobs *jobs, int pidfd);
void fuse_finish(struct fuse_jobs *jobs, bool sandbox_is_gone);
int fuse_start(struct fuse_jobs *jobs, int step, bool alone, int init_pidfd, struct sbx_err *err);
void fuse_note_done(struct fuse_jobs *jobs, int step);
bool fuse_is_awaited(const struct fuse_jobs *jobs);
bool fuse_is_starting(const struct fuse_jobs *jobs);
bool fuse_is_running(const struct fuse_jobs *jobs);
int fuse_hear(struct fuse_jobs *jobs, int *ret_mount_fd, struct sbx_err *err);
int fuse_reap(struct fuse_jobs *jobs, size_t index, struct sbx_err *err);
int fuse_timed_out(const struct fuse_jobs *jobs, int seconds, struct sbx_err *err);
