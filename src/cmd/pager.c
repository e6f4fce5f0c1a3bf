/* SPDX-License-Identifier: MIT */
/*
 * pager: see pager.h. $SBX_PAGER, $PAGER, or less; "cat" or nothing means none.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/cmd/pager.h"

static const char *pager_choose(void)
{
	const char *pager = getenv("SBX_PAGER");

	if (!pager)
		pager = getenv("PAGER");
	if (!pager)
		pager = access("/usr/bin/less", X_OK) == 0 ? "less" : "";
	return str_equal(pager, "cat") ? "" : pager;
}

static noreturn void pager_main(const char *command, int input_fd)
{
	(void)dup2(input_fd, STDIN_FILENO);
	(void)setenv("LESS", "FRX", 0); /* leaves when it fits, shows colours, no other screen */
	(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* To be called before anything is printed. What cannot be had is done without. */
void pager_start(struct pager *pager)
{
	const char *command = pager_choose();
	int fds[2];

	*pager = (struct pager){.saved_fd = -1};
	if (!isatty(STDOUT_FILENO) || !*command || pipe2(fds, O_CLOEXEC) < 0)
		return;
	pager->saved_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	pager->pid = pager->saved_fd < 0 ? -1 : fork();
	if (pager->pid == 0)
		pager_main(command, fds[0]);
	if (pager->pid > 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)signal(SIGPIPE, SIG_IGN); /* who has seen enough leaves it */
	} else {
		pager->pid = 0;
	}
	close(fds[0]);
	close(fds[1]);
}

void pager_finish(struct pager *pager)
{
	int status;

	if (pager->pid <= 0)
		return;
	(void)dup2(pager->saved_fd, STDOUT_FILENO);
	(void)proc_wait(pager->pid, &status);
	defs_cleanup_fd(&pager->saved_fd);
	pager->pid = 0;
}

/* Before the pager is there. */
bool pager_has_colour(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(none && *none) && term && !str_equal(term, "dumb");
}
