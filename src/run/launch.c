/* SPDX-License-Identifier: MIT */
/*
 * launch: the monitor. Create PID 1, have its ids mapped, pass signals on, and
 * return the command's exit code.
 *
 * Theory of operation
 *
 * The monitor stays on the host, with the caller's id and no privilege. All it
 * waits for is in one poll(2): signals (signalfd), words from PID 1 (socket), the
 * end of PID 1 (pidfd), the end of the id helpers (pidfds), and with
 * --die-with-parent the end of the caller (pidfd).
 *
 *     state       ends when                        a signal that ends processes
 *     MAPPING     both helpers have succeeded      ends the launch
 *     RUNNING     PID 1 has ended                  goes to the command
 *     HELD        --userns-block-fd is written to  ends the launch
 *
 * Other signals wait until the command can be told of them.
 * HELD is a pause in RUNNING: PID 1 has said hello, and the caller maps its ids.
 *
 * A signal that the terminal sent (si_code SI_KERNEL) has reached the command too,
 * which is in the same process group, so it is not passed on, unless the
 * command has a session of its own. When the command stops, PID 1 says so and
 * the monitor stops itself by the same signal: the caller's shell sees a
 * stopped job, as if there were no sandbox. SIGCONT is passed on.
 *
 * With --pty the command's terminal is the sandbox's own, which relay.c connects
 * with the caller's. Then all signals are passed on, those of keys to the whole
 * group of the command; the monitor's group stops as the terminal would have
 * stopped it; and a command that is stopped for reading in the background gets the
 * terminal if sbx is in the foreground.
 *
 * This file has the waiting: what the monitor holds, the poll(2) and the clocks. What comes
 * before is in launch_start.c. What an event means is in launch_signals.c (signals, orders of
 * another sbx), launch_messages.c (words from PID 1) and launch_helpers.c (all else that runs
 * outside); what is told afterwards in launch_end.c.
 *
 * However launch_run() returns, PID 1 has been waited for, and with it
 * everything in its pid namespace has ended.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/base/sys.h"
#include "sbx/run/launch.h"
#include "sbx/run/launch_parts.h"
#include "sbx/run/status.h"

static void monitor_init(struct monitor *m, const struct sbx_plan *plan)
{
	memset(m, 0, sizeof(*m));
	m->plan = plan;
	m->pidfd = -1;
	m->sock_fd = -1;
	m->signal_fd = -1;
	m->listener_fd = -1;
	m->parent_fd = -1;
	m->exit_code = -1;
	idmap_job_init(&m->idmap);
	bus_job_init(&m->bus);
	net_job_init(&m->net);
	net_watch_init(&m->net_watch);
	publish_init(&m->publish);
	share_init(&m->share);
	fuse_init(&m->fuse);
	placeholder_init(&m->placeholders);
	register_init(&m->record);
	cgroup_job_init(&m->cgroup);
	control_init(&m->control);
	detach_init(&m->detach);
	m->control.publish = &m->publish;
	m->detach.control = &m->control;
}

static void monitor_wait_for_child(struct monitor *m)
{
	int r;

	if (m->child <= 0)
		return;
	do {
		r = waitid(P_PIDFD, (id_t)m->pidfd, &m->end, WEXITED);
	} while (r < 0 && errno == EINTR);
	m->wait_errno = r < 0 ? errno : 0;
	m->child = 0;
}

static void monitor_end_helpers(struct monitor *m)
{
	bus_job_finish(&m->bus);
	net_job_finish(&m->net);
	net_watch_finish(&m->net_watch);
	share_finish(&m->share);
	publish_finish(&m->publish);
	fuse_finish(&m->fuse, m->end.si_pid != 0);
}

/*
 * End PID 1 if it is still there, and with it the sandbox. The record is there still: it leads to
 * the cgroups, which the helpers are in, and what is known now is to be kept and logged.
 */
static void monitor_end(struct monitor *m)
{
	idmap_job_finish(&m->idmap);
	if (m->child > 0) {
		cgroup_job_end_all(&m->cgroup);
		(void)sys_pidfd_send_signal(m->pidfd, SIGKILL);
		control_continue_joined(&m->control);
		fuse_await_killed(&m->fuse, m->pidfd);
		monitor_wait_for_child(m);
	}
	monitor_end_helpers(m);
	if (m->cgroup.payload_fd >= 0)
		stats_read_cgroup(&m->stats, m->cgroup.limits_fd, m->cgroup.payload_fd,
				  launch_tells_used(m->plan));
	cgroup_job_finish(&m->cgroup);
	relay_close(take_ptr(m->relay));
}

/* Of what has ended nothing stays. */
static void monitor_finish(struct monitor *m)
{
	control_close(&m->control);
	detach_finish(&m->detach);
	register_finish(&m->record);
	defs_cleanup_fd(&m->pidfd);
	defs_cleanup_fd(&m->sock_fd);
	defs_cleanup_fd(&m->signal_fd);
	defs_cleanup_fd(&m->listener_fd);
	defs_cleanup_fd(&m->parent_fd);
	placeholder_finish(&m->placeholders);
	handshake_close_last_word(take_ptr(m->last_word));
}

/* What poll(2) is to wait at most. */
static int launch_patience_ms(const struct monitor *m)
{
	int64_t end = m->end_ms, left;

	if (launch_awaits_helper(m) && m->deadline_ms < end)
		end = m->deadline_ms;
	if (launch_port_deadline_ms(m) < end)
		end = launch_port_deadline_ms(m);
	if (end == INT64_MAX)
		return -1;
	left = end - clock_now_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/*
 * The command has had its time: it is asked to end, and when that takes too long, all end.
 * Return: as launch_on_signal().
 */
static int launch_on_overtime(struct monitor *m)
{
	bool starting = launch_is_starting(m);

	if (m->overtime == LAUNCH_IN_TIME && !starting && m->plan->kill_after_ms > 0) {
		m->overtime = LAUNCH_ASKED;
		m->end_ms = clock_now_ms() + m->plan->kill_after_ms;
		launch_forward(m, SIGTERM);
		launch_forward(m, SIGCONT); /* or a stopped one would not hear it */
		return 0;
	}
	m->overtime = LAUNCH_KILLED;
	m->end_ms = INT64_MAX;
	if (starting || m->plan->own_pid_ns)
		return -ECANCELED;
	launch_forward(m, SIGKILL); /* only PID 1 can end them all then, and does so with it */
	return 0;
}

/* Is somebody's time over? A sandbox that always has something to say must not gain by it. */
static int launch_on_clock(struct monitor *m, bool idle, struct sbx_err *err)
{
	if (launch_port_deadline_ms(m) != INT64_MAX && clock_now_ms() >= launch_port_deadline_ms(m))
		launch_on_port_timeout(m);
	if (m->end_ms != INT64_MAX && clock_now_ms() >= m->end_ms)
		return launch_on_overtime(m);
	if (idle && launch_awaits_helper(m) && clock_now_ms() >= m->deadline_ms)
		return launch_on_timeout(m, err);
	return 0;
}

static void launch_fill_poll(const struct monitor *m, struct pollfd pfds[LAUNCH_SOURCE_COUNT_])
{
	const int fds[LAUNCH_SOURCE_COUNT_] = {
		[LAUNCH_SIGNALS] = m->signal_fd,
		[LAUNCH_SOCKET] = m->sock_fd,
		[LAUNCH_PID_1] = m->init_ended ? -1 : m->pidfd,
		[LAUNCH_PARENT] = m->parent_fd,
		[LAUNCH_HELPER_0] = m->idmap.helpers[0].pidfd,
		[LAUNCH_HELPER_1] = m->idmap.helpers[1].pidfd,
		[LAUNCH_LISTENER] = m->listener_fd,
		[LAUNCH_BUS] = m->bus.helper.pidfd,
		[LAUNCH_BUS_READY] = bus_job_is_starting(&m->bus) ? m->bus.helper.ready_fd : -1,
		[LAUNCH_NET] = m->net.helper.pidfd,
		[LAUNCH_NET_READY] = net_job_is_starting(&m->net) ? m->net.helper.ready_fd : -1,
		[LAUNCH_NET_WATCH] = m->net_watch.host_fd,
		[LAUNCH_PUBLISH] = m->publish.sock_fd,
		[LAUNCH_SHARE] = m->share.fd,
		[LAUNCH_HOLD] = m->state == LAUNCH_HELD ? m->plan->userns_block_fd : -1,
		/* While ids are mapped all may begin anew. */
		[LAUNCH_CONTROL] = m->state == LAUNCH_MAPPING ? -1 : control_poll_fd(&m->control),
	};

	for (int i = 0; i < LAUNCH_TERMINAL; i++)
		pfds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	relay_fill_poll(m->relay, &pfds[LAUNCH_TERMINAL], &pfds[LAUNCH_PTY]);
	detach_fill_poll(&m->detach, &pfds[LAUNCH_DETACH]);
	pfds[LAUNCH_FUSE_MAKER] = (struct pollfd){.fd = m->fuse.maker_fd, .events = POLLIN};
	for (int i = 0; i < PLAN_FUSE_MAX; i++)
		pfds[LAUNCH_FUSE + i] =
			(struct pollfd){.fd = m->fuse.helpers[i].pidfd, .events = POLLIN};
	if (m->continuing)
		pfds[LAUNCH_TERMINAL].events &= ~POLLIN;
}

/* poll(2) of those that are open: it takes no more than files may be. */
static int launch_poll(struct pollfd pfds[LAUNCH_SOURCE_COUNT_], int timeout_ms)
{
	struct pollfd open[LAUNCH_SOURCE_COUNT_];
	nfds_t count = 0;
	int n;

	for (int i = 0; i < LAUNCH_SOURCE_COUNT_; i++)
		if (pfds[i].fd >= 0)
			open[count++] = pfds[i];
	n = poll(open, count, timeout_ms);
	count = 0;
	for (int i = 0; i < LAUNCH_SOURCE_COUNT_ && n >= 0; i++)
		if (pfds[i].fd >= 0)
			pfds[i].revents = open[count++].revents;
	return n;
}

/* Did the command not come to be executed, which nobody could send a message about? */
static bool launch_has_last_word(const struct monitor *m)
{
	struct sbx_err err;

	return handshake_hear_last_word(m->last_word, &err);
}

/* Wait once, and act. Return: 1 when PID 1, or what is waited for, has ended; 0 to go on; -errno.
 */
static int launch_turn(struct monitor *m, struct sbx_err *err)
{
	struct pollfd pfds[LAUNCH_SOURCE_COUNT_];
	int n, r = launch_choose_signals(m, err);

	if (r < 0)
		return r;
	launch_fill_poll(m, pfds);
	n = launch_poll(pfds, launch_patience_ms(m));
	if (n < 0)
		return errno == EINTR ? 0 : err_system(err, errno, NULL, "cannot wait for events");
	r = launch_on_clock(m, n == 0, err);
	if (n == 0)
		return r;
	/*
	 * PID 1's last word comes before its end, and before what its end does to a
	 * helper. It may have come since poll looked at the socket, so that is asked again.
	 */
	while (r == 0 && m->exit_code < 0 && launch_has_message(m))
		r = launch_on_message(m, err);
	if (r == 0 && m->exit_code >= 0)
		return 1;
	if (r == 0 && (pfds[LAUNCH_HELPER_0].revents || pfds[LAUNCH_HELPER_1].revents))
		r = launch_on_helper(m, err);
	if (r == 0 && pfds[LAUNCH_LISTENER].revents)
		r = launch_on_refusal(m, pfds[LAUNCH_LISTENER].revents, err);
	if (r == 0)
		r = launch_on_helpers(m, pfds, err);
	if (r == 0 && pfds[LAUNCH_SIGNALS].revents)
		r = launch_on_signal(m);
	if (m->child_changed)
		launch_on_child(m);
	if (r == 0 && pfds[LAUNCH_CONTROL].revents)
		r = launch_on_control(m);
	/* Behind the signals: one that was sent before the release ends the launch. */
	if (r == 0 && pfds[LAUNCH_HOLD].revents)
		r = launch_on_release(m, err);
	if (r == 0 && pfds[LAUNCH_PARENT].revents) {
		m->interrupted = SIGKILL;
		r = -ECANCELED;
	}
	if (r == 0 && relay_is_running(m->relay) &&
	    relay_turn(m->relay, &pfds[LAUNCH_TERMINAL], &pfds[LAUNCH_PTY]) < 0)
		launch_hang_up(m);
	/* One that has ended by now has an end that tells whether it began at all. */
	if (r == 0 && detach_turn(&m->detach, &pfds[LAUNCH_DETACH]) && !launch_pid_1_is_dead(m) &&
	    !launch_has_last_word(m))
		detach_tell_start(&m->detach, &m->record.label);
	if (pfds[LAUNCH_PID_1].revents)
		m->init_ended = true;
	if (r == 0 && m->init_ended && relay_drain(m->relay))
		r = 1;
	return r;
}

/*
 * Where the kernel keeps this process's command line and environment: argv and
 * environ as main() got them lie one behind the other.
 */
static struct launch_title launch_find_title(char *const *argv, char *const *environ_)
{
	struct launch_title title = {.start = argv[0], .len = 0};
	char *const *const lists[] = {argv, environ_};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (char *const *p = lists[i]; *p; p++)
			if (*p == title.start + title.len)
				title.len += strlen(*p) + 1;
	return title;
}

/* To be called first thing: what --die-with-parent watches is who is the parent now. */
struct launch_caller launch_note_caller(char *const *argv, char *const *environ_)
{
	return (struct launch_caller){
		.title = launch_find_title(argv, environ_),
		.parent = getppid(),
		.notify_fd = -1,
		.session_fds = {-1, -1},
	};
}

/**
 * Carry out a plan: returns when the sandbox has ended.
 * @caller: from launch_note_caller(); PID 1 wipes its copy of the title
 *
 * Return: 0 with the exit code of the command; LAUNCH_WITHOUT_RANGE; or -errno
 * with *err filled when the launch failed. Nothing of the sandbox is left.
 */
int launch_run(const struct sbx_plan *plan, const struct launch_caller *caller, int *ret_exit_code,
	       struct sbx_err *err)
{
	struct run_context ctx;
	struct monitor m;
	bool told;
	int r;

	context_init(&ctx, plan);
	monitor_init(&m, plan);
	m.caller = caller;
	told = launch_tells_used(plan);
	if (told)
		stats_begin(&m.stats, clock_now_ms());
	r = launch_start(&m, &ctx, caller, err);
	/* Not before the ids are mapped: until then all can begin anew. */
	if (r == 0 && m.state == LAUNCH_RUNNING)
		launch_close_others(&m);
	while (r == 0)
		r = launch_turn(&m, err);
	if (r == 1) {
		if (m.exit_code >= 0)
			m.child = 0; /* PID 1 goes on with what the command left */
		monitor_wait_for_child(&m);
		r = launch_conclude(&m, ret_exit_code, err);
		if (r == 0)
			detach_tell_start(&m.detach, &m.record.label);
		detach_drain(&m.detach);
	}
	if (m.overtime == LAUNCH_KILLED && r == -ECANCELED)
		r = 0;
	if (m.overtime != LAUNCH_IN_TIME && r == 0)
		*ret_exit_code = ERR_EXIT_TIMEOUT;
	monitor_end(&m);
	terminal_restore(&m.terminal);
	if (told)
		stats_read_children(&m.stats, clock_now_ms());
	/* What holds names in a session's layer is no change to be told. */
	placeholder_finish(&m.placeholders);
	launch_have_caller_tell(&m, r);
	launch_finish_kept(&m, r, r < 0 ? 0 : *ret_exit_code, err);
	launch_tell_end(&m, r, err);
	launch_keep_log(&m);
	monitor_finish(&m);
	free(take_ptr(m.no_limits));
	if (r == 0)
		status_write_exit(plan, &m.stats, *ret_exit_code);
	if (r < 0 && m.interrupted) {
		*ret_exit_code = 128 + m.interrupted;
		r = 0;
	}
	if (r < 0 && launch_begins_anew(&m)) {
		control_conclude(&m.control, -1);
		launch_give_back(&ctx, caller);
		return LAUNCH_WITHOUT_RANGE;
	}
	control_conclude(&m.control, r < 0 ? err->exit_code : *ret_exit_code);
	return r;
}
