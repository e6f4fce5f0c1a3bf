/* SPDX-License-Identifier: MIT */
/*
 * words: the command line of a verb, read by the tables of verbs and of their options.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdint.h>

#include "sbx/base/err.h"
#include "sbx/base/str.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/options.h"

enum { CMD_GIVEN_MAX = 256 };

struct cmd_given {
	enum cmd_option_id id;
	const char *value; /* "" where the option has no argument */
};

struct cmd_words {
	const struct cmd_verb *verb;
	const char *value[CMD_OPT_COUNT_];     /* of the last; NULL: not given */
	struct cmd_given given[CMD_GIVEN_MAX]; /* all, in order */
	size_t n_given;
	char **operands; /* n_operands of them, NULL behind the last */
	int n_operands;
};

int cmd_words_read(int argc, char **argv, struct cmd_words *ret_words, struct sbx_err *err);
void cmd_words_help(const struct cmd_verb *verb, struct str_buf *out);
void cmd_put_age(int64_t seconds, struct str_buf *out);
