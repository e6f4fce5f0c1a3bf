/* SPDX-License-Identifier: MIT */
/*
 * context: what the steps of one launch share while they run. PID 1 fills it
 * step by step; the payload inherits a copy. Runs in: PID 1 and the payload.
 */
#pragma once

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

struct run_context {
	const struct sbx_plan *plan;
	int host_root_fd; /* owned; the caller's root, until pivot */
	int root_fd;	  /* owned; the new root, from root_tmpfs or the bind at "/" on */
	int store_fd;	  /* owned; hidden tmpfs for bind-data, -1: none */
	int proc_fd;	  /* owned; where /proc/PID/uid_map is written, -1: none */
	int covered_fd;	  /* owned; the proc mount that the next step covers, -1: none */
	unsigned n_store; /* files made in the store */

	/* What the payload gets back as the caller had it. */
	sigset_t caller_sigmask;
	mode_t caller_umask;
	struct rlimit caller_nofile;
	bool nofile_raised;

	char pwd[PATH_MAX + sizeof("PWD=")]; /* the payload's, for envp[0]; not initialised */
};

void context_init(struct run_context *ctx, const struct sbx_plan *plan);
void context_finish_setup(struct run_context *ctx);
