/* SPDX-License-Identifier: MIT */
/* The foreground of a terminal: noted, and given back when nobody has it any more. */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/run/terminal.h"

/* Become leader of a session whose terminal is a new pty, on descriptor 0. */
static int own_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	child_check(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	child_check((slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
	child_check(setsid() > 0);
	child_check(ioctl(slave, TIOCSCTTY, 0) == 0);
	child_check(dup2(slave, 0) == 0);
	/* The monitor has it blocked. */
	child_check(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
	return 0;
}

/* A child in a group of its own, which takes the foreground and waits to be ended. */
static pid_t take_foreground(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	if (pid > 0 && (setpgid(pid, pid) < 0 && errno != EACCES))
		return -1;
	return pid > 0 && tcsetpgrp(0, pid) == 0 ? pid : -1;
}

static int end_of(pid_t pid)
{
	child_check(kill(pid, SIGKILL) == 0);
	child_check(waitpid(pid, NULL, 0) == pid);
	return 0;
}

static int give_back(void *arg)
{
	struct terminal terminal;
	pid_t pid;

	(void)arg;
	child_check(own_terminal() == 0);
	terminal_note(&terminal);
	child_check(terminal.fd == 0 && terminal.group == getpgrp());
	terminal_restore(&terminal);
	child_check(tcgetpgrp(0) == getpgrp());

	child_check((pid = take_foreground()) > 0);
	child_check(tcgetpgrp(0) == pid);
	terminal_restore(&terminal); /* somebody is there: left alone */
	child_check(tcgetpgrp(0) == pid);

	child_check(end_of(pid) == 0);
	terminal_restore(&terminal);
	child_check(tcgetpgrp(0) == getpgrp());
	return 0;
}

static int started_in_the_background(void *arg)
{
	struct terminal terminal;
	pid_t pid;

	(void)arg;
	child_check(own_terminal() == 0);
	child_check((pid = take_foreground()) > 0);
	terminal_note(&terminal);
	child_check(terminal.fd == -1);
	child_check(end_of(pid) == 0);
	terminal_restore(&terminal);
	child_check(tcgetpgrp(0) != getpgrp()); /* it never was ours */
	return 0;
}

static int without_a_terminal(void *arg)
{
	struct terminal terminal;
	int null_fd = open("/dev/null", O_RDWR);

	(void)arg;
	child_check(dup2(null_fd, 0) == 0 && dup2(null_fd, 1) == 1);
	child_check(setsid() > 0);
	terminal_note(&terminal);
	child_check(terminal.fd == -1);
	terminal_restore(&terminal);
	return 0;
}

Test(terminal, the_foreground_is_given_back_from_the_dead_only)
{
	expect_in_child(give_back, NULL);
}

Test(terminal, who_did_not_have_it_does_not_get_it)
{
	expect_in_child(started_in_the_background, NULL);
	expect_in_child(without_a_terminal, NULL);
}
