/* SPDX-License-Identifier: MIT */
/*
 * bwrap: bubblewrap's grammar and its --help.
 * Runs in: the caller's process, before anything else.
 */
#pragma once

#include <stdbool.h>

#include "sbx/base/str.h"
#include "sbx/cli/cli.h"

/* The version whose options, words and behaviour these are. */
#define CLI_BWRAP_VERSION "0.11.1"

bool bwrap_has_option(const char *name);
int cli_parse_bwrap(int argc, char *const *argv, struct cli_run *run, struct sbx_err *err);
void cli_bwrap_help(const char *argv0, struct str_buf *out);
