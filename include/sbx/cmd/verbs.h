/* SPDX-License-Identifier: MIT */
/*
 * verbs: the list of verbs. It makes the table cmd_verbs; the manual page and
 * the completions are made from it too, at build time, where the functions are
 * not there.
 */
#pragma once

/* X(name, args for --help, summary, function) */
#define CMD_VERBS(X)                                                                               \
	X("help", "", "print the usage and all options", cmd_help)                                 \
	X("version", "", "print the version and what was compiled in", cmd_version)
