/* SPDX-License-Identifier: MIT */
/*
 * cgroup: the cgroups of a sandbox with limits: made before PID 1, which is born in one,
 * and gone behind it. Runs in: the monitor; what a killed one left is removed by the next
 * sbx (register.c).
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sbx/run/register.h"

enum { CGROUP_NAME_SIZE = sizeof("sbx-") + LABEL_ID_LEN };

struct cgroup_job {
	const struct sbx_plan *plan;
	const struct register_entry *record; /* borrowed */
	int above_fd;	  /* owned; the cgroup that ours is made in; -1: none, it is systemd's */
	int base_fd;	  /* owned; ours; -1: there are none (yet) */
	int limits_fd;	  /* owned; with the limits */
	int payload_fd;	  /* owned; below it, with the processes */
	int helpers_fd;	  /* owned; cgroup.procs of the one for helpers */
	uint32_t enabled; /* controllers that we enabled in above_fd */
	bool moved;	  /* the monitor is in one below base_fd */
	char name[CGROUP_NAME_SIZE]; /* of base_fd, in above_fd */
};

void cgroup_job_init(struct cgroup_job *job);
int cgroup_job_start(struct cgroup_job *job, const struct sbx_plan *plan,
		     const struct register_entry *record, const sigset_t *sigmask, int64_t end_ms,
		     struct sbx_err *err);
void cgroup_job_end_all(const struct cgroup_job *job);
void cgroup_job_finish(struct cgroup_job *job);

bool cgroup_remove_left(int dir_fd, const struct label *label);
