/* SPDX-License-Identifier: MIT */
/*
 * options: the table of the verbs' own options. The verbs, their --help, their manual
 * pages and the completions read it. Runs in: the caller's process, and the build-time
 * programs of src/gen.
 */
#pragma once

#include <stddef.h>

/* What an option's argument is, for who completes it. */
enum cmd_arg_kind {
	CMD_ARG_NONE, /* the option has none */
	CMD_ARG_TEXT,
	CMD_ARG_SIGNAL,
	CMD_ARG_ENV,
	CMD_ARG_COUNT_,
};

enum cmd_option_id {
	CMD_OPT_ALL,
	CMD_OPT_ALLOW_SETID,
	CMD_OPT_CHDIR,
	CMD_OPT_DETACH,
	CMD_OPT_DETACH_KEYS,
	CMD_OPT_DRY_RUN,
	CMD_OPT_ENV,
	CMD_OPT_EXCLUDE,
	CMD_OPT_FILTER,
	CMD_OPT_FOLLOW,
	CMD_OPT_FORCE,
	CMD_OPT_FORMAT,
	CMD_OPT_INCLUDE,
	CMD_OPT_INTERACTIVE,
	CMD_OPT_JSON,
	CMD_OPT_NO_STDIN,
	CMD_OPT_NAME_ONLY,
	CMD_OPT_NULL,
	CMD_OPT_OLDER_THAN,
	CMD_OPT_PATCH,
	CMD_OPT_QUIET,
	CMD_OPT_SIG_PROXY,
	CMD_OPT_SIGNAL,
	CMD_OPT_SINCE,
	CMD_OPT_STAT,
	CMD_OPT_STRICT,
	CMD_OPT_TAIL,
	CMD_OPT_TIME,
	CMD_OPT_TIMESTAMPS,
	CMD_OPT_TTY,
	CMD_OPT_USER,
	CMD_OPT_WATCH,
	CMD_OPT_COUNT_,
};

struct cmd_option {
	const char *verb;
	enum cmd_option_id id;
	const char *name;    /* with its dashes */
	const char *letter;  /* "-q", or NULL */
	const char *metavar; /* of its argument, or NULL */
	enum cmd_arg_kind kind;
	const char *help; /* one line */
};

extern const struct cmd_option cmd_options[];
extern const size_t cmd_n_options;
