/* SPDX-License-Identifier: MIT */
/*
 * shell: an interactive shell on a terminal of its own, which sbx is typed at.
 *
 * What is typed is echoed there, so a word that is waited for is written with quotes
 * in its middle: rea''dy is echoed so and printed as ready.
 */
#pragma once

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "testlib.h"

#define expect_text(session, text)                                                                 \
	cr_assert(session_expect((session), (text)), "no \"%s\" in: %s", (text),                   \
		  (session)->result.out)

static inline void shell_start(struct session *session)
{
	char sbx[PATH_MAX + 64];
	const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "TERM=dumb", "PS1=outer> ",
				   "HISTFILE=",		 sbx,	      NULL};
	const struct run_options options = {.pty = true, .env = env, .rows = 24, .columns = 200};

	snprintf(sbx, sizeof(sbx), "SBX=%s --ro-bind /usr /usr", sbx_program());
	session_start(session, &options,
		      (const char *const[]){"bash", "--norc", "--noediting", "-i", NULL});
	expect_text(session, "outer> ");
}

static inline void type_line(struct session *session, const char *line)
{
	session_send(session, line);
	session_send(session, "\n");
}

/* The shell has its terminal back and works. */
static inline void expect_status(struct session *session, const char *status)
{
	char text[32];

	type_line(session, "echo sta''tus=$?.");
	snprintf(text, sizeof(text), "status=%s.", status);
	expect_text(session, text);
}
