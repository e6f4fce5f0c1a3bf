/* SPDX-License-Identifier: MIT */
/*
 * launch_messages: what PID 1 says and is answered, what the caller releases, and which calls the
 * filter asks about; see launch_parts.h. Which message may come when is in handshake.h; those about
 * helpers are launch_helpers.c's.
 */

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/run/launch_parts.h"
#include "sbx/run/status.h"
#include "sbx/spec/hints.h"

/* What sending to PID 1 came to: one that is gone has said why, or its end will tell. */
int launch_check_sent(int r, struct sbx_err *err)
{
	return r < 0 && r != -EPIPE && r != -ECONNRESET
		       ? err_system(err, -r, NULL, "cannot talk to PID 1")
		       : 0;
}

int launch_answer(const struct monitor *m, enum handshake_type type, struct sbx_err *err)
{
	int r = m->sock_fd < 0 ? 0 : handshake_send(m->sock_fd, type, 0);

	return launch_check_sent(r, err);
}

bool launch_pid_1_is_dead(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

bool launch_has_message(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->sock_fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

bool launch_init_has_ended(const struct monitor *m)
{
	return m->sock_fd < 0 || launch_pid_1_is_dead(m);
}

/* The caller is told; with --userns-block-fd it has its turn now. */
static int launch_on_hello(struct monitor *m, struct sbx_err *err)
{
	int r = status_write_start(m->plan, m->child, err);

	if (r < 0)
		return r;
	status_write_no_limits(m->plan, m->no_limits);
	m->greeted = true;
	if (m->plan->userns_block_fd < 0)
		return launch_answer(m, HANDSHAKE_HELLO_KNOWN, err);
	m->state = LAUNCH_HELD;
	return 0;
}

/* A byte, or the end of whoever could have sent one: PID 1 goes on with the ids it has now. */
int launch_on_release(struct monitor *m, struct sbx_err *err)
{
	int fd = m->plan->userns_block_fd, r;
	char byte;

	if (read(fd, &byte, 1) < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		r = err_system(err, errno, NULL, "cannot read from descriptor %d", fd);
		hint_add(err, HINT_USERNS_BLOCK);
		return r;
	}
	m->state = LAUNCH_RUNNING;
	return launch_answer(m, HANDSHAKE_HELLO_KNOWN, err);
}

int launch_on_message(struct monitor *m, struct sbx_err *err)
{
	struct handshake_msg msg;
	int r = handshake_receive(m->sock_fd, HANDSHAKE_MONITOR, false, &msg);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hear from PID 1");
	if (r == 0) {
		/* End of file: from now on only PID 1's end is of interest. */
		close(take_fd(&m->sock_fd));
		control_continue_joined(&m->control);
		if (m->plan->leaves_command && !launch_pid_1_is_dead(m))
			m->exit_code = 0;
		return 0;
	}
	if (msg.type == HANDSHAKE_STOPPED) {
		(void)handshake_send(m->sock_fd, HANDSHAKE_STOP_KNOWN, 0);
		if (relay_is_running(m->relay))
			launch_on_relayed_stop(m, msg.number);
		else if (m->plan->detach)
			launch_on_detached_stop(m, msg.number);
		else
			launch_stop(msg.number, false);
		return 0;
	}
	if (msg.type == HANDSHAKE_CONTINUED) {
		m->continuing = false;
		return 0;
	}
	if (msg.type == HANDSHAKE_HELLO)
		return launch_on_hello(m, err);
	/* The processes of fuse-overlayfs are ours, so what the command left is waited for. */
	if (msg.type == HANDSHAKE_EXITED && fuse_is_running(&m->fuse))
		return 0;
	if (msg.type == HANDSHAKE_EXITED) {
		m->exit_code = msg.number;
		return 0;
	}
	if (msg.type == HANDSHAKE_LISTENER) {
		defs_cleanup_fd(&m->listener_fd);
		m->listener_fd = msg.fd;
		return 0;
	}
	if (msg.type == HANDSHAKE_PAYLOAD) {
		control_give_payload(&m->control, &msg.fd);
		return 0;
	}
	if (msg.type == HANDSHAKE_PTY && m->plan->detach)
		return detach_take_terminal(&m->detach, &msg.fd, err);
	if (msg.type == HANDSHAKE_PTY)
		return relay_start(m->relay, &msg.fd, err);
	return launch_on_helper_message(m, &msg, err);
}

/* A call to be refused; or nobody is left whom the filter holds. */
int launch_on_refusal(struct monitor *m, short events, struct sbx_err *err)
{
	int r = 0;

	if (events & POLLIN)
		r = refused_answer(&m->refused, m->listener_fd, &m->plan->filter.program);
	else
		close(take_fd(&m->listener_fd));
	return r < 0 ? err_system(err, -r, NULL, "cannot answer the system call filter") : 0;
}
