/* SPDX-License-Identifier: MIT */
/*
 * pager: see pager.h. $SBX_PAGER, $PAGER, or less; "cat" or nothing means none.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/cmd/pager.h"

enum { PAGER_NOT_EXECUTABLE = 126, PAGER_NOT_FOUND = 127 }; /* as a shell ends then */

static const char *pager_choose(void)
{
	const char *pager = getenv("SBX_PAGER");

	if (!pager)
		pager = getenv("PAGER");
	if (!pager)
		pager = access("/usr/bin/less", X_OK) == 0 ? "less" : "";
	return str_equal(pager, "cat") ? "" : pager;
}

/*
 * Ctrl-C is the pager's: who ended by it would leave it to the shell, and both would read from one
 * terminal. Its own are as they were.
 */
static void pager_keep_signals(struct pager *pager)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGINT, &ignore, &pager->interrupt);
	(void)sigaction(SIGQUIT, &ignore, &pager->quit);
}

static void pager_restore_signals(const struct pager *pager)
{
	(void)sigaction(SIGINT, &pager->interrupt, NULL);
	(void)sigaction(SIGQUIT, &pager->quit, NULL);
}

static noreturn void pager_main(const struct pager *pager, const char *command, int input_fd)
{
	pager_restore_signals(pager);
	(void)dup2(input_fd, STDIN_FILENO);
	(void)setenv("LESS", "FRX", 0); /* leaves when it fits, shows colours, no other screen */
	(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(PAGER_NOT_FOUND);
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
	if (pager->saved_fd >= 0)
		pager_keep_signals(pager);
	pager->pid = pager->saved_fd < 0 ? -1 : fork();
	if (pager->pid == 0)
		pager_main(pager, command, fds[0]);
	if (pager->pid > 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)signal(SIGPIPE, SIG_IGN); /* who has seen enough leaves it */
	} else {
		if (pager->saved_fd >= 0)
			pager_restore_signals(pager);
		pager->pid = 0;
	}
	close(fds[0]);
	close(fds[1]);
}

/* Wait for it. Return: 0, or -errno with *err filled: there was none to show anything. */
int pager_finish(struct pager *pager, struct sbx_err *err)
{
	int status = 0, r;

	if (pager->pid <= 0)
		return 0;
	(void)dup2(pager->saved_fd, STDOUT_FILENO);
	(void)proc_wait(pager->pid, &status);
	pager_restore_signals(pager);
	defs_cleanup_fd(&pager->saved_fd);
	pager->pid = 0;
	if (!WIFEXITED(status) ||
	    (WEXITSTATUS(status) != PAGER_NOT_EXECUTABLE && WEXITSTATUS(status) != PAGER_NOT_FOUND))
		return 0;
	r = err_refuse(err, ENOENT, pager_choose(), "cannot be run, so nothing was shown");
	err_hint(err, "it is the pager: set SBX_PAGER or PAGER to another, or to nothing for none");
	return r;
}

/* Before the pager is there. */
bool pager_has_colour(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(none && *none) && term && !str_equal(term, "dumb");
}
