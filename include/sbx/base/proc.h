/* SPDX-License-Identifier: MIT */
/*
 * proc: start another program and wait for it. Used for the helpers (newuidmap
 * and its like, sbx-seccomp) and for getent. Runs in: the monitor, or the caller's process.
 */
#pragma once

#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

struct proc_spawn {
	const char *path;	 /* absolute */
	const char *const *argv; /* NULL-terminated */
	const sigset_t *sigmask; /* the program's; NULL: as it is */
	int output_fd;		 /* its stdout, borrowed; -1: /dev/null */
	int error_fd;		 /* its stderr, borrowed; -1: /dev/null */
	bool confined;	     /* it only computes: no new privileges, seconds of time, no files */
	int input_fd;	     /* its stdin where it is confined, borrowed; else /dev/null */
	const int *pass_fds; /* borrowed, above 2; kept open in it; NULL: none */
	size_t n_pass_fds;
	uint64_t keep;	   /* capabilities that it has though its user is not root, bit n is n */
	bool apart;	   /* in a session of its own, without capabilities or a way to gain any */
	bool drops_itself; /* apart, but root stays it: the program gives its privileges up */
	const struct sock_filter *filter; /* of its system calls, where it is apart; NULL: none */
	size_t n_filter;
	const int *cgroup_fd; /* cgroup.procs that it moves to first; NULL: it stays */
	bool beside;	      /* the caller goes on while the program is still being loaded */
};

int proc_start(const struct proc_spawn *spawn, pid_t *ret_pid);
int proc_refuse(const char *path, int number, const char *what, struct sbx_err *err);
int proc_wait(pid_t pid, int *ret_status);
bool proc_is_stopped(pid_t pid);
int proc_find_number(int pidfd, pid_t *ret_pid);
int proc_ask(const char *const *argv, const sigset_t *sigmask, size_t max_bytes,
	     struct arena *arena, char **ret_text, struct sbx_err *err);
int proc_capture(const struct proc_spawn *spawn, size_t max_bytes, struct arena *arena,
		 char **ret_output, size_t *ret_len, int *ret_status);
