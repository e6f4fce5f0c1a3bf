/* SPDX-License-Identifier: MIT */
/*
 * parser: what the two grammars share: the state of reading a command line, the check
 * of an argument by its kind, and what an option does. cli/parse.c has sbx's grammar, the
 * files beside it all of these; cli/bwrap.c has bubblewrap's grammar.
 *
 * Runs in: the caller's process, before anything else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/err.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/options.h"

struct profile;

enum { PARSER_SEEN_MAX = 80 };

/* What a modifier can set, one bit each in op_takes. */
enum modifier { MOD_PERMS, MOD_SIZE, MOD_INODES, MOD_MOUNT, MOD_COUNT_ };

struct pending {
	const char *by[MOD_COUNT_]; /* the words that set it, NULL: not set */
	int64_t perms;
	uint64_t size_bytes;
	uint64_t nr_inodes;
	uint32_t mount_opts; /* enum spec_mount_opt */
};

/* What the words that are being read come from. */
enum source_kind { FROM_ARGV, FROM_ARGS, FROM_PROFILE };

struct source {
	enum source_kind kind;
	unsigned depth;		       /* of profiles in profiles */
	const struct profile *profile; /* FROM_PROFILE: borrowed */
	const struct source *outer;    /* what holds the option that led here, NULL: none */
	const char *origin;	       /* FROM_PROFILE: "build:12" */
};

/* The words still to be read. */
struct words {
	const char *const *list;
	size_t count, next;
};

struct parser;

/* Read options up to the first word that is none, in the grammar of this command line. */
typedef int parser_grammar(struct parser *p, struct words *words, struct sbx_err *err);

struct parser {
	struct cli_run *run; /* borrowed */
	parser_grammar *parse_options;
	struct pending pending;
	const struct cli_option *last; /* binds come in long rows */
	const struct source *source;   /* borrowed */
	unsigned n_profiles;
	bool answered;		    /* --help or --version: the rest does not matter */
	unsigned n_layers;	    /* --overlay-src, whose overlay has not come yet */
	bool has_filter;	    /* bwrap.c: --seccomp was given */
	size_t n_words;		    /* bwrap.c: of the command line and all streams */
	bool seen[PARSER_SEEN_MAX]; /* bwrap.c: by row of its table */
};

/* One option with its arguments, checked. */
struct use {
	const struct cli_option *option;
	const char *args[CLI_ARGS_MAX]; /* as typed */
	uint64_t numbers[CLI_ARGS_MAX]; /* of the kinds that are numbers, and of words */
	size_t n_args;
};

void parser_init(struct parser *p, struct cli_run *run, parser_grammar *grammar);
void parser_set_words(struct words *words, int argc, char *const *argv);
int parser_check_arg(const struct cli_option *option, size_t index, const char *text,
		     uint64_t *ret_number, struct sbx_err *err);
int parser_check_modifiers(const struct parser *p, const char *found, struct sbx_err *err);
int parser_check_layers(const struct parser *p, const struct cli_option *option,
			struct sbx_err *err);
int parser_act(struct parser *p, const struct use *use, struct sbx_err *err);
int parser_take_command(struct parser *p, struct words *words, struct sbx_err *err);
