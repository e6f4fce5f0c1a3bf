/* SPDX-License-Identifier: MIT */
/* terminal: the caller's terminal, shared with the command. Runs in: the monitor. */
#pragma once

#include <sys/types.h>

struct terminal {
	int fd;	     /* borrowed, 0-2; -1: none, or not in its foreground */
	pid_t group; /* the caller's foreground process group */
};

void terminal_note(struct terminal *terminal);
void terminal_restore(const struct terminal *terminal);
