/* SPDX-License-Identifier: MIT */
/*
 * terminal: give the terminal's foreground back.
 *
 * A shell inside makes itself the foreground process group. When it ends it
 * wants to hand the terminal back, but the group it got it from has no number in
 * its pid namespace. So the monitor does that, or a script around sbx would be
 * stopped at its next read.
 */

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "sbx/run/terminal.h"

/* Remember the terminal, if sbx is in its foreground now. */
void terminal_note(struct terminal *terminal)
{
	terminal->fd = -1;
	terminal->group = getpgrp();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		pid_t group = tcgetpgrp(fd);

		if (group < 0)
			continue;
		if (group == terminal->group)
			terminal->fd = fd;
		return;
	}
}

/*
 * Take the foreground back from a group that no longer exists. From one that
 * does it is not taken: the caller's shell has put itself there. SIGTTOU is
 * blocked in the monitor, so this does not stop it.
 */
void terminal_restore(const struct terminal *terminal)
{
	pid_t group;

	if (terminal->fd < 0)
		return;
	group = tcgetpgrp(terminal->fd);
	if (group == terminal->group || (group > 0 && (kill(-group, 0) == 0 || errno != ESRCH)))
		return;
	(void)tcsetpgrp(terminal->fd, terminal->group);
}
