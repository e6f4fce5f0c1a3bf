/* SPDX-License-Identifier: MIT */
/*
 * err: one failure, told once. Whoever fails fills a struct sbx_err; whoever
 * passes it up may add where it happened; the monitor (or a verb) prints it.
 * It has a fixed size and no pointers, so it crosses from PID 1 or the payload
 * to the monitor in one write. Any process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/base/defs.h"

enum err_exit {
	ERR_EXIT_TIMEOUT = 124,	       /* --timeout is over; as of timeout(1) */
	ERR_EXIT_FAILED = 125,	       /* sbx itself failed, usage included */
	ERR_EXIT_NOT_EXECUTABLE = 126, /* the command was found and cannot be executed */
	ERR_EXIT_NOT_FOUND = 127,      /* the command was not found */
};

struct sbx_err {
	int32_t number;	   /* errno of the cause, 0 where there is none */
	int32_t refused;   /* errno that err_refuse() was given, for the hints; never printed */
	int32_t exit_code; /* enum err_exit: what sbx exits with */
	bool level_prefix; /* print the level, for syslog, in front: see --level-prefix */
	bool usage;	   /* the command line is wrong (verbs exit 2 then) */
	uint32_t step;	   /* 1-based number of the plan's step, 0: none */
	uint32_t n_steps;
	char option[512]; /* the option that caused it, with its arguments; "" if none */
	char path[1024];  /* the object: a path, a name, a number; "" if none */
	char what[512];	  /* what was tried: "cannot open source" */
	char trail[512];  /* "while:" lines, innermost first, separated by newlines */
	char hint[1024];  /* what to do about it; "" if nothing useful is known */
};

/* Each of the three filling functions resets *err and returns a negative errno. */
int err_system(struct sbx_err *err, int number, const char *path, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
int err_refuse(struct sbx_err *err, int number, const char *path, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
int err_usage(struct sbx_err *err, const char *option, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_oom(struct sbx_err *err);

void err_set_option(struct sbx_err *err, const char *option);
void err_annotate(struct sbx_err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_hint(struct sbx_err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str_buf;
void err_describe(const struct sbx_err *err, struct str_buf *out);
void err_print(const struct sbx_err *err, const char *program, int fd);
