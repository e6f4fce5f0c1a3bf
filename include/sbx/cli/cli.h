/* SPDX-License-Identifier: MIT */
/*
 * cli: from argv to a spec. The option table (cli/options.h) says which options
 * there are; this module knows only how a table is applied to words.
 * Runs in: the caller's process, before anything else.
 */
#pragma once

#include <stdbool.h>

#include "sbx/base/err.h"
#include "sbx/spec/spec.h"

enum cli_action {
	CLI_RUN,
	CLI_EXPLAIN,	  /* --explain: the plan, for people */
	CLI_EXPLAIN_JSON, /* --explain=json: the plan, for programs */
	CLI_EXPLAIN_SPEC, /* --explain=spec: the spec as JSON */
	CLI_HELP,	  /* --help */
	CLI_VERSION,	  /* --version */
	CLI_USAGE,	  /* called as bwrap without a command: --help, as a failure */
};

struct cli_run {
	struct sbx_spec spec;
	enum cli_action action;
	bool verbose;
	bool level_prefix;     /* messages begin with "<3>" or "<4>", see sd-daemon(3) */
	const char **warnings; /* to be printed before anything is done, in the spec's arena */
	size_t n_warnings;
};

void cli_run_init(struct cli_run *run);
void cli_run_finish(struct cli_run *run);
int cli_parse_run(int argc, char *const *argv, struct cli_run *run, struct sbx_err *err);
