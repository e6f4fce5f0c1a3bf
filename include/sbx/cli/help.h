/* SPDX-License-Identifier: MIT */
/*
 * help: the option table as text for --help. Runs in: the caller's process.
 */
#pragma once

#include "sbx/base/str.h"

void cli_help_row(struct str_buf *out, const char *left, const char *right);
void cli_help_options(struct str_buf *out);
