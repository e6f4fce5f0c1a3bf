/* SPDX-License-Identifier: MIT */
/*
 * parse_parts: what the files that make up cli/parse share; for no one else. What cli/bwrap.c
 * needs of them is in parser.h.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/cli/parser.h"

/* ---- parse.c: word after word ---- */

int parser_read_option(struct parser *p, struct words *words, struct sbx_err *err);

/* ---- parse_args.c: an argument, by its kind ---- */

bool parser_is_path(const char *text);
int parser_check_kind(const struct cli_option *option, enum cli_arg_kind kind, const char *metavar,
		      const char *text, uint64_t *ret_number, struct sbx_err *err);

/* ---- parse_modifiers.c: what is said of an operation before it comes ---- */

int parser_take_modifiers(struct parser *p, struct spec_op *op, struct sbx_err *err);
int parser_check_none_left(const struct parser *p, const struct pending *before, bool taken,
			   struct sbx_err *err);
int parser_count_layers(struct parser *p, const struct spec_op *op, struct sbx_err *err);
int parser_act_perms(struct parser *p, const struct use *use, struct sbx_err *err);
int parser_act_size(struct parser *p, const struct use *use, struct sbx_err *err);
int parser_act_mount_opt(struct parser *p, const struct use *use, struct sbx_err *err);

/* ---- parse_sources.c: words from elsewhere ---- */

int parser_act_args(struct parser *p, const struct use *use, struct sbx_err *err);
int parser_act_profile(struct parser *p, const struct use *use, struct sbx_err *err);
