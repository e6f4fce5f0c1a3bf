/* SPDX-License-Identifier: MIT */
/* handshake: send and receive the messages, see the header for which and when. */

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "sbx/run/handshake.h"

enum { HANDSHAKE_SHORT_BYTES = offsetof(struct handshake_msg, err) };

static const bool handshake_allowed[HANDSHAKE_STATE_COUNT_][HANDSHAKE_TYPE_COUNT_] = {
	[HANDSHAKE_INIT_UNMAPPED] = {[HANDSHAKE_MAPPED] = true},
	[HANDSHAKE_INIT_RUNNING] = {[HANDSHAKE_SIGNAL] = true, [HANDSHAKE_STOP_KNOWN] = true},
	[HANDSHAKE_MONITOR] = {[HANDSHAKE_FAILED] = true, [HANDSHAKE_STOPPED] = true},
};

/* The pair; both ends close on exec. Return: 0 or -errno. */
int handshake_open(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

static int handshake_write(int fd, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, data, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Send a message without an error. Return: 0, or -errno (-EPIPE: the other side is gone). */
int handshake_send(int fd, enum handshake_type type, int number)
{
	const struct {
		uint32_t type;
		int32_t number;
	} head = {type, number};

	_Static_assert(sizeof(head) == HANDSHAKE_SHORT_BYTES, "the head of struct handshake_msg");
	return handshake_write(fd, &head, sizeof(head));
}

/* Send FAILED. Return: 0 or -errno. */
int handshake_send_err(int fd, const struct sbx_err *err)
{
	const struct handshake_msg msg = {.type = HANDSHAKE_FAILED, .err = *err};

	return handshake_write(fd, &msg, sizeof(msg));
}

/*
 * PID 1 and the payload are ours until the exec, yet what prints an error relies
 * on its form, so that is not left to trust.
 */
static void handshake_check_err(struct sbx_err *err)
{
	err->option[sizeof(err->option) - 1] = '\0';
	err->path[sizeof(err->path) - 1] = '\0';
	err->what[sizeof(err->what) - 1] = '\0';
	err->trail[sizeof(err->trail) - 1] = '\0';
	err->hint[sizeof(err->hint) - 1] = '\0';
	err->usage = false;
	if (err->exit_code != ERR_EXIT_NOT_FOUND && err->exit_code != ERR_EXIT_NOT_EXECUTABLE)
		err->exit_code = ERR_EXIT_FAILED;
}

/**
 * Receive one message.
 * @state: of the receiver; a message that it does not allow is -EPROTO
 * @wait:  false: -EAGAIN where there is none
 *
 * Return: 1; 0 at end of file (the other side is gone); or -errno.
 */
int handshake_receive(int fd, enum handshake_state state, bool wait, struct handshake_msg *ret_msg)
{
	ssize_t n;

	/*
	 * ECONNRESET is said once, before what is still queued: the other side ended
	 * without having read all from us, and its last word may lie behind that.
	 */
	do {
		n = recv(fd, ret_msg, sizeof(*ret_msg), wait ? 0 : MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n == 0)
		return 0;
	if (n < 0)
		return -errno;
	if (n < HANDSHAKE_SHORT_BYTES || ret_msg->type >= HANDSHAKE_TYPE_COUNT_ ||
	    !handshake_allowed[state][ret_msg->type])
		return -EPROTO;
	if (ret_msg->type != HANDSHAKE_FAILED)
		return 1;
	if (n != sizeof(*ret_msg))
		return -EPROTO;
	handshake_check_err(&ret_msg->err);
	return 1;
}
