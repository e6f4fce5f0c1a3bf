/* SPDX-License-Identifier: MIT */
/* Which signals are the command's. */

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/run/signals.h"

static int block_and_read(void *arg)
{
	static const int sent[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT, SIGWINCH};
	struct signalfd_siginfo info;
	sigset_t before, blocked;
	int fd = -1;

	(void)arg;
	child_check(signals_block(&before) == 0);
	child_check(!sigismember(&before, SIGTERM));
	child_check(signals_open(&fd, false, false) == 0);
	child_check(read(fd, &info, sizeof(info)) < 0 && errno == EAGAIN);
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		child_check(raise(sent[i]) == 0);
		child_check(read(fd, &info, sizeof(info)) == sizeof(info));
		child_check((int)info.ssi_signo == sent[i]);
	}
	/* The end of a child is waited for, not forwarded. */
	child_check(raise(SIGCHLD) == 0);
	child_check(read(fd, &info, sizeof(info)) < 0 && errno == EAGAIN);
	child_check(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
	child_check(sigismember(&blocked, SIGCHLD) && sigismember(&blocked, SIGTTOU));
	return 0;
}

static int start_with_few(void *arg)
{
	struct signalfd_siginfo info;
	sigset_t before;
	int fd = -1;

	(void)arg;
	child_check(signals_block(&before) == 0);
	child_check(signals_open(&fd, true, false) == 0);
	child_check(raise(SIGUSR1) == 0 && raise(SIGTSTP) == 0);
	child_check(read(fd, &info, sizeof(info)) < 0 && errno == EAGAIN);
	child_check(raise(SIGTERM) == 0);
	child_check(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTERM);
	/* The others have waited. */
	child_check(signals_open(&fd, false, false) == 0);
	child_check(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR1);
	child_check(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTSTP);
	return 0;
}

static int fault(void *arg)
{
	const int *sig = arg;
	sigset_t before;

	/* A sanitizer may have its own handler. */
	child_check(signal(*sig, SIG_DFL) != SIG_ERR);
	child_check(signals_block(&before) == 0);
	child_check(raise(*sig) == 0);
	return 0;
}

static int ignored_children(void *arg)
{
	sigset_t before;
	struct sigaction now;

	(void)arg;
	child_check(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	child_check(signals_block(&before) == 0);
	child_check(sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	return 0;
}

Test(signals, what_can_be_sent_is_read_and_forwarded)
{
	expect_in_child(block_and_read, NULL);
	expect_in_child(ignored_children, NULL);
}

Test(signals, faults_of_sbx_itself_are_not_hidden)
{
	static const int sigs[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGPIPE};

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		int sig = sigs[i];

		cr_expect_eq(in_child(fault, &sig), -sig);
	}
}

Test(signals, kinds_do_not_overlap)
{
	static const int end[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	static const int stop[] = {SIGTSTP, SIGTTIN, SIGTTOU};

	for (size_t i = 0; i < ARRAY_SIZE(end); i++)
		cr_expect(signals_end_a_process(end[i]) && !signals_stop_a_process(end[i]));
	for (size_t i = 0; i < ARRAY_SIZE(stop); i++)
		cr_expect(signals_stop_a_process(stop[i]) && !signals_end_a_process(stop[i]));
	cr_expect_not(signals_end_a_process(SIGWINCH) || signals_stop_a_process(SIGWINCH));
}

Test(signals, what_does_not_end_a_launch_waits_for_the_command)
{
	expect_in_child(start_with_few, NULL);
}
