/* SPDX-License-Identifier: MIT */
/*
 * cmd: the verbs, and the run form. One file each: options -> call -> output.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/base/err.h"

struct cmd_verb {
	const char *name;
	const char *args;    /* for --help: "[VERB]", or "" */
	const char *summary; /* one line for --help and the manual page */
	int (*run)(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
};

extern const struct cmd_verb cmd_verbs[]; /* ends with a NULL name */

int cmd_bwrap_help(const char *argv0, bool failed, int *ret_exit_code, struct sbx_err *err);
int cmd_bwrap_version(int *ret_exit_code, struct sbx_err *err);
int cmd_fail(const char *argv0, const struct sbx_err *err);
int cmd_run(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_version(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_attach(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_doctor(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_apply(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_diff(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_discard(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_prune(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_sessions(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_exec(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_inspect(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_kill(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_logs(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_net(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_pause(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_unpause(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_port(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_ps(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_rm(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_stop(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_top(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_wait(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_profiles(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_help(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
int cmd_help_verb(const char *name, int *ret_exit_code, struct sbx_err *err);
void cmd_sweep(void);
int cmd_dispatch(int argc, char **argv, int *ret_exit_code, struct sbx_err *err);
