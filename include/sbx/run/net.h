/* SPDX-License-Identifier: MIT */
/*
 * net: the helper that is a sandbox's network in user mode (slirp4netns).
 * Runs in: the monitor, but for the step, which is PID 1's.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "sbx/base/err.h"
#include "sbx/run/helper.h"
#include "sbx/spec/plan.h"

struct net_job {
	const struct sbx_plan *plan; /* borrowed; NULL: not yet */
	const sigset_t *sigmask;     /* borrowed; for the helper */
	struct helper helper;
	int api_dir_fd; /* borrowed; where its socket is to be (publish.h); -1: it gets none */
	bool ready;	/* the network is there */
	bool in_use;	/* and has been given to the command */
	bool ruled;	/* the rules are set, where there are to be some */
};

void net_job_init(struct net_job *job);
void net_job_finish(struct net_job *job);
int net_job_start(struct net_job *job, pid_t init, int *netns_fd, struct sbx_err *err);
bool net_job_is_awaited(const struct net_job *job);
bool net_rules_are_awaited(const struct net_job *job);
bool net_job_is_starting(const struct net_job *job);
bool net_job_hear(struct net_job *job);
int net_job_reap(struct net_job *job, struct sbx_err *err);
int net_job_close(struct net_job *job, struct sbx_err *err);
int net_blame(const struct net_job *job, int r, struct sbx_err *err);
int net_job_timed_out(const struct net_job *job, int seconds, struct sbx_err *err);
