/* SPDX-License-Identifier: MIT */
/*
 * context: what the steps of one launch share while they run. PID 1 fills it
 * step by step; the payload inherits a copy. Runs in: PID 1 and the payload.
 */
#pragma once

#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

/* The caller's terminal as the sandbox's own begins; the monitor notes it. */
struct pty_start {
	struct termios termios;
	struct winsize size;
	bool as_callers; /* else the kernel's own settings are right */
	bool foreground; /* the command is to have its terminal's foreground */
};

/* What a bind or tmpfs has put into the new root, for who must find a file's name on the host. */
struct run_bind {
	char *dest;	 /* owned; where it lies in the new root, "" is the root */
	char *host;	 /* owned; NULL: a filesystem that only the sandbox has */
	bool is_overlay; /* made by a protect step, over host */
	bool is_layered; /* an overlay: what is written goes to host, which lacks what lies below */
};

struct placeholder_box;

/* A filter that came through a descriptor. */
struct run_raw_filter {
	int fd;
	struct seccomp_program program; /* in the context's arena */
};

enum { CONTEXT_LOCKS_MAX = 64 };

struct handshake_last_word;

struct run_context {
	const struct sbx_plan *plan;
	int host_root_fd;  /* owned; the caller's root, until pivot */
	int root_fd;	   /* owned; the new root, from root_tmpfs or the bind at "/" on */
	int first_root_fd; /* owned; the root that others were put upon, -1: none */
	int store_fd;	   /* owned; hidden tmpfs for bind-data, -1: none */
	unsigned n_below;  /* mounts between the host's root and the new one */
	int proc_fd;	   /* owned; where /proc/PID/uid_map is written, -1: none */
	int covered_fd;	   /* owned; the proc mount that the next step covers, -1: none */
	int lock_fds[CONTEXT_LOCKS_MAX]; /* owned; the locks go with them */
	size_t n_locks;
	unsigned n_store; /* files made in the store */
	int names_fd;	  /* owned; /etc/hosts, for who knows the members; -1: none */
	int sock_fd;	  /* borrowed; to the monitor */
	struct handshake_last_word *last_word; /* the monitor's; NULL: the socket will do */

	/* Where the last bind's source was: the next is likely to be there too. */
	int source_dir_fd;	/* owned; -1: none */
	const char *source_dir; /* its path, with the name behind it; the plan's */

	struct arena arena; /* what steps read and keep; goes with the process */
	struct run_raw_filter *raw;
	size_t n_raw;

	/* With --pty; not initialised without. */
	struct pty_start pty;
	int pty_master_fd; /* owned; until the monitor has it */
	int pty_slave_fd;  /* owned; the payload's terminal, and PID 1's controlling one */

	struct placeholder_box *placeholders; /* the monitor's, in PID 1's copy of its memory */
	struct run_bind *binds;		      /* owned, malloc; kept where the plan protects */
	size_t n_binds;
	unsigned n_overlays; /* made by protect steps */
	bool needs_monitor;  /* it owns a process without which the sandbox is of no use */

	/* What the payload gets back as the caller had it. */
	sigset_t caller_sigmask;
	mode_t caller_umask;
	struct rlimit caller_nofile;
	bool nofile_raised;
	bool caller_restored; /* it has it */

	char pwd[PATH_MAX + sizeof("PWD=")]; /* the payload's, for envp[0]; not initialised */
};

void context_init(struct run_context *ctx, const struct sbx_plan *plan);
bool context_outlives_monitor(const struct run_context *ctx);
void context_finish_setup(struct run_context *ctx);
