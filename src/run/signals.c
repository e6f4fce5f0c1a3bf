/* SPDX-License-Identifier: MIT */
/*
 * signals: all that sbx does not need for itself belongs to the command.
 *
 * The monitor blocks them before PID 1 exists, so that none is lost or kills
 * half of a launch, and reads them from a signalfd(2). PID 1 and the payload
 * inherit the mask; the payload gets the caller's own back just before it
 * executes. Left alone are the signals that report a fault of the process itself
 * and SIGPIPE. SIGXFSZ is blocked and read by nobody: write(2) says EFBIG.
 */

#include <errno.h>
#include <sys/signalfd.h>

#include "sbx/base/defs.h"
#include "sbx/run/signals.h"

static const int signals_not_ours[] = {
	SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGPIPE, SIGXCPU,
};

static void signals_fill(sigset_t *set)
{
	(void)sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(signals_not_ours); i++)
		(void)sigdelset(set, signals_not_ours[i]);
}

/* Block them. A caller that ignores SIGCHLD would keep us from waiting, so that is reset. */
int signals_block(sigset_t *ret_caller_mask)
{
	sigset_t set;

	signals_fill(&set);
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return -errno;
	return sigprocmask(SIG_BLOCK, &set, ret_caller_mask) < 0 ? -errno : 0;
}

/**
 * What a signalfd for what is forwarded reads: all signals but SIGCHLD; the others wait.
 * @ret_fd:   the descriptor; -1: to be made
 * @starting: only those that end a launch
 * @children: and SIGCHLD
 *
 * Return: 0 or -errno.
 */
int signals_open(int *ret_fd, bool starting, bool children)
{
	sigset_t set;
	int fd;

	signals_fill(&set);
	(void)sigdelset(&set, SIGXFSZ);
	for (int sig = 1; starting && sig < NSIG; sig++)
		if (!signals_end_a_process(sig))
			(void)sigdelset(&set, sig);
	(void)(children ? sigaddset(&set, SIGCHLD) : sigdelset(&set, SIGCHLD));
	fd = signalfd(*ret_fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Keep the terminal's keys from stopping a process that is about to execute a helper. */
void signals_add_stops(sigset_t *mask)
{
	for (int sig = 1; sig < NSIG; sig++)
		if (signals_stop_a_process(sig))
			(void)sigaddset(mask, sig);
}

/* Does the signal's default action end a process, and do people send it for that? */
bool signals_end_a_process(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
}

bool signals_stop_a_process(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* Has one been sent that ends a launch, and waits to be heard? Return: which, 0: none. */
int signals_find_end(void)
{
	sigset_t pending;

	if (sigpending(&pending) < 0)
		return 0;
	for (int sig = 1; sig < NSIG; sig++)
		if (signals_end_a_process(sig) && sigismember(&pending, sig) == 1)
			return sig;
	return 0;
}
