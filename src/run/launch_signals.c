/* SPDX-License-Identifier: MIT */
/*
 * launch_signals: what is sent to the command from outside, by signals and by other sbx, and what
 * is done when it has stopped; see launch_parts.h.
 *
 * Whom a signal is for, with a terminal and without, is told at the head of launch.c. The terminal
 * itself is relay.c's, the talk with another sbx control.c's.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/sys.h"
#include "sbx/run/launch_parts.h"
#include "sbx/run/signals.h"

/* PID 1 waits for something, and what is sent to the command would find none. */
bool launch_is_starting(const struct monitor *m)
{
	return m->state != LAUNCH_RUNNING || !m->greeted || bus_job_is_awaited(&m->bus) ||
	       net_job_is_awaited(&m->net) || net_rules_are_awaited(&m->net) || m->publishes ||
	       share_is_awaited(&m->share) || fuse_is_awaited(&m->fuse);
}

/* Which signals are read now: what is for the command waits until it can be told. */
int launch_choose_signals(struct monitor *m, struct sbx_err *err)
{
	bool few = launch_is_starting(m);
	int r;

	if (m->plan->leaves_signals || (m->signal_fd >= 0 && m->hears_few == few))
		return 0;
	m->hears_few = few;
	r = signals_open(&m->signal_fd, few, m->plan->box_pidfd >= 0);
	return r < 0 ? err_system(err, -r, NULL, "cannot receive signals") : 0;
}

/* @sig: negative: for the command's whole group */
void launch_forward(const struct monitor *m, int sig)
{
	if (m->plan->init_is_payload)
		(void)sys_pidfd_send_signal(m->pidfd, abs(sig));
	else
		(void)handshake_send(m->sock_fd, HANDSHAKE_SIGNAL, sig);
}

/*
 * Go on on a terminal that is relayed, with it where it is ours to take. A command
 * that had stopped gets its foreground back, as from a shell; where only the monitor
 * had been stopped, it may be with a job of a shell inside.
 */
static void launch_continue(struct monitor *m)
{
	bool taken = relay_wants_terminal(m->relay) && relay_take_terminal(m->relay);

	if (!taken)
		relay_release_terminal(m->relay);
	(void)handshake_send(m->sock_fd, HANDSHAKE_FOREGROUND,
			     !taken		  ? HANDSHAKE_FOREGROUND_NONE
			     : m->command_stopped ? HANDSHAKE_FOREGROUND_COMMAND
						  : HANDSHAKE_FOREGROUND_IF_FREE);
	launch_forward(m, -SIGCONT);
	/* What is typed waits for that: Ctrl-Z before it would be undone by it (signal(7)). */
	m->continuing = m->command_stopped;
	m->command_stopped = false;
}

void launch_hang_up(struct monitor *m)
{
	if (m->hung_up)
		return;
	m->hung_up = true;
	launch_forward(m, -SIGHUP);
	launch_forward(m, -SIGCONT); /* or a stopped one would not hear it */
}

static void launch_on_relayed_signal(struct monitor *m, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;
	bool for_group = info->ssi_code == SI_KERNEL || signals_stop_a_process(sig);

	if (sig == SIGCONT)
		launch_continue(m);
	else if (sig == SIGWINCH)
		relay_pass_size(m->relay);
	else
		launch_forward(m, for_group ? -sig : sig);
}

/* Return: 0, or -ECANCELED when the launch is to end. */
int launch_on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	if (read(m->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (info.ssi_signo == SIGCHLD) {
		m->child_changed = true;
		return 0;
	}
	if (launch_is_starting(m) && signals_end_a_process((int)info.ssi_signo)) {
		m->interrupted = (int)info.ssi_signo;
		return -ECANCELED;
	}
	if (m->init_ended && signals_end_a_process((int)info.ssi_signo))
		relay_close(take_ptr(m->relay)); /* what is left is not waited for */
	else if (relay_is_running(m->relay))
		launch_on_relayed_signal(m, &info);
	else if (info.ssi_code != SI_KERNEL || m->plan->own_session)
		launch_forward(m, (int)info.ssi_signo);
	return 0;
}

/*
 * Stop by the signal that the command stopped by, until somebody continues us.
 * @group: with all of our group, as the terminal would do it
 */
void launch_stop(int sig, bool group)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)kill(group && signals_stop_a_process(sig) ? 0 : getpid(), sig);
	if (!signals_stop_a_process(sig))
		return;
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The kernel keeps SIGCONT pending for who has it blocked, and drops it when a stop is sent. */
static bool launch_was_continued(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

/*
 * The command has stopped on its own terminal. Where it asked for the terminal, and
 * sbx may have it, that is all. Else we stop; who continues us is seen by the
 * SIGCONT. In an orphaned group nothing stops (nobody could continue us): then the
 * key has no effect, and a command that reads in the background gets what the
 * kernel gives to such: SIGHUP.
 */
void launch_on_relayed_stop(struct monitor *m, int sig)
{
	bool asks = sig == SIGTTIN || sig == SIGTTOU;

	m->command_stopped = true;
	if (asks && relay_take_terminal(m->relay)) {
		launch_continue(m);
		return;
	}
	(void)relay_drain(m->relay); /* what was printed before belongs before the shell's words */
	relay_release_terminal(m->relay);
	launch_stop(sig, true);
	if (launch_was_continued())
		return;
	if (asks)
		launch_hang_up(m);
	else
		launch_continue(m);
}

/*
 * Nobody waits for a detached command who could continue it as a shell does: the keys of its
 * terminal have no effect, as in an orphaned group. One that was sent SIGSTOP has that from
 * somebody who can continue it. The monitor goes on, for those who ask.
 */
void launch_on_detached_stop(const struct monitor *m, int sig)
{
	if (!signals_stop_a_process(sig))
		return;
	(void)handshake_send(m->sock_fd, HANDSHAKE_FOREGROUND, HANDSHAKE_FOREGROUND_COMMAND);
	launch_forward(m, -SIGCONT);
}

/* A command that is our own child tells nobody that it has stopped but the kernel. */
void launch_on_child(struct monitor *m)
{
	siginfo_t info = {.si_pid = 0};

	m->child_changed = false;
	if (waitid(P_PIDFD, (id_t)m->pidfd, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0)
		launch_stop(info.si_status, false);
}

/* Somebody wants to join the command. Where PID 1 is the command, it is known who that is. */
static void launch_ask_who(struct monitor *m)
{
	int fd = m->plan->init_is_payload ? fcntl(m->pidfd, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd >= 0)
		control_give_payload(&m->control, &fd);
	else if (!m->plan->init_is_payload)
		(void)handshake_send(m->sock_fd, HANDSHAKE_WHO, 0);
}

/* The order of another sbx. What cannot be begun is answered at once. */
static void launch_change_ports(struct monitor *m, const struct control_order *order)
{
	int r = order->kind == CONTROL_ORDER_PORT_ADD
			? publish_add_one(&m->publish, &m->plan->net, &order->port)
			: publish_remove(&m->publish, &order->port);

	if (r < 0)
		control_give_ports(&m->control, false, r);
}

/* Another sbx asks, or has something done. Return: as launch_on_signal(). */
int launch_on_control(struct monitor *m)
{
	struct control_order order;

	control_turn(&m->control, launch_is_starting(m), &order);
	if (order.kind == CONTROL_ORDER_NONE)
		return 0;
	if (order.kind == CONTROL_ORDER_WHO) {
		launch_ask_who(m);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_CLOSE_INPUT) {
		detach_close_input(&m->detach);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_PORT_ADD || order.kind == CONTROL_ORDER_PORT_REMOVE) {
		launch_change_ports(m, &order);
		return 0;
	}
	/* Without a pid namespace only PID 1 can end them all, and does so with the command. */
	if (!launch_is_starting(m) &&
	    (order.kind == CONTROL_ORDER_SIGNAL || !m->plan->own_pid_ns)) {
		launch_forward(m, order.number);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_SIGNAL && !signals_end_a_process(order.number))
		return 0;
	m->interrupted = order.number;
	return -ECANCELED;
}
