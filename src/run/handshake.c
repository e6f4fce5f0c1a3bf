/* SPDX-License-Identifier: MIT */
/* handshake: send and receive the messages, see the header for which and when. */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/run/handshake.h"

enum {
	HANDSHAKE_SHORT_BYTES = offsetof(struct handshake_msg, err),
	HANDSHAKE_LONG_BYTES = offsetof(struct handshake_msg, fd),
};

/* Room for one descriptor beside a message. */
union handshake_control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr head;
};

static const bool handshake_allowed[HANDSHAKE_STATE_COUNT_][HANDSHAKE_TYPE_COUNT_] = {
	[HANDSHAKE_INIT_UNMAPPED] = {[HANDSHAKE_MAPPED] = true},
	[HANDSHAKE_INIT_HELLO] = {[HANDSHAKE_HELLO_KNOWN] = true,
				  [HANDSHAKE_SIGNAL] = true,
				  [HANDSHAKE_FOREGROUND] = true},
	[HANDSHAKE_INIT_BUS] = {[HANDSHAKE_BUS_READY] = true,
				[HANDSHAKE_SIGNAL] = true,
				[HANDSHAKE_FOREGROUND] = true},
	[HANDSHAKE_INIT_LAYERS] = {[HANDSHAKE_LAYERS_READY] = true,
				   [HANDSHAKE_SIGNAL] = true,
				   [HANDSHAKE_FOREGROUND] = true},
	[HANDSHAKE_INIT_NET] = {[HANDSHAKE_NET_READY] = true,
				[HANDSHAKE_SIGNAL] = true,
				[HANDSHAKE_FOREGROUND] = true},
	[HANDSHAKE_INIT_RUNNING] = {[HANDSHAKE_SIGNAL] = true,
				    [HANDSHAKE_STOP_KNOWN] = true,
				    [HANDSHAKE_WHO] = true,
				    [HANDSHAKE_FOREGROUND] = true},
	[HANDSHAKE_MONITOR] = {[HANDSHAKE_FAILED] = true,
			       [HANDSHAKE_STOPPED] = true,
			       [HANDSHAKE_CONTINUED] = true,
			       [HANDSHAKE_EXITED] = true,
			       [HANDSHAKE_HELLO] = true,
			       [HANDSHAKE_LISTENER] = true,
			       [HANDSHAKE_PTY] = true,
			       [HANDSHAKE_BUS] = true,
			       [HANDSHAKE_NET] = true,
			       [HANDSHAKE_NET_API] = true,
			       [HANDSHAKE_NET_RULES] = true,
			       [HANDSHAKE_NAMES] = true,
			       [HANDSHAKE_LAYERS] = true,
			       [HANDSHAKE_LAYERS_ALONE] = true,
			       [HANDSHAKE_LAYERS_DONE] = true,
			       [HANDSHAKE_PAYLOAD] = true},
	[HANDSHAKE_FUSE_MAKER] = {[HANDSHAKE_FAILED] = true,
				  [HANDSHAKE_FUSE_HELPER] = true,
				  [HANDSHAKE_FUSE_MOUNT] = true,
				  [HANDSHAKE_FUSE_LOOKS] = true},
};

/* What comes with a descriptor, always. */
static const bool handshake_has_fd[HANDSHAKE_TYPE_COUNT_] = {
	[HANDSHAKE_LISTENER] = true,	 [HANDSHAKE_PTY] = true,
	[HANDSHAKE_BUS] = true,		 [HANDSHAKE_PAYLOAD] = true,
	[HANDSHAKE_LAYERS_READY] = true, [HANDSHAKE_FUSE_HELPER] = true,
	[HANDSHAKE_FUSE_MOUNT] = true,	 [HANDSHAKE_NET] = true,
	[HANDSHAKE_NET_API] = true,	 [HANDSHAKE_NAMES] = true,
	[HANDSHAKE_NET_RULES] = true,
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

/* Send a message with a descriptor beside it, which stays the caller's. Return: 0 or -errno. */
int handshake_send_fd(int fd, enum handshake_type type, int passed_fd)
{
	struct {
		uint32_t type;
		int32_t number;
	} head = {type, 0};
	struct iovec data = {.iov_base = &head, .iov_len = sizeof(head)};
	union handshake_control control = {.bytes = {0}};
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &passed_fd, sizeof(int));
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Send FAILED. Return: 0 or -errno. */
int handshake_send_err(int fd, const struct sbx_err *err)
{
	const struct handshake_msg msg = {.type = HANDSHAKE_FAILED, .err = *err};
	int r = handshake_write(fd, &msg, HANDSHAKE_LONG_BYTES);

	/* A filter that the sender has loaded may refuse the one call and not the other. */
	if (r < 0 && r != -EPIPE && write(fd, &msg, HANDSHAKE_LONG_BYTES) > 0)
		r = 0;
	return r;
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

/* Before PID 1 is made, which shares it then. Return: 0 or -errno. */
int handshake_open_last_word(struct handshake_last_word **ret)
{
	void *memory = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret = memory;
	return 0;
}

void handshake_close_last_word(struct handshake_last_word *word)
{
	if (word)
		(void)munmap(word, sizeof(*word));
}

/**
 * When the process that might have left one has ended: did it?
 * @word: NULL: there is no room for one
 */
bool handshake_hear_last_word(const struct handshake_last_word *word, struct sbx_err *err)
{
	if (!word || !word->said)
		return false;
	*err = word->err;
	handshake_check_err(err);
	return true;
}

/**
 * Send FAILED, and leave the same in the shared memory first: the filter may end who calls
 * what it refuses.
 * @word: NULL: a filter that refuses that is not there
 */
void handshake_fail(int fd, struct handshake_last_word *word, const struct sbx_err *err)
{
	if (word) {
		word->err = *err;
		word->said = true;
	}
	(void)handshake_send_err(fd, err);
}

/* As recv(2) of a message, with the descriptor that may come beside it. */
static ssize_t handshake_read(int fd, struct handshake_msg *msg, int flags)
{
	struct iovec data = {.iov_base = msg, .iov_len = HANDSHAKE_LONG_BYTES};
	union handshake_control control = {.bytes = {0}};
	struct msghdr head = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &head, flags | MSG_CMSG_CLOEXEC);

	msg->fd = -1;
	if (n > 0 && (head.msg_flags & MSG_TRUNC))
		n = 1; /* longer than any message: as bad as a short one */
	if (n > 0 && head.msg_controllen >= sizeof(control.head) &&
	    control.head.cmsg_type == SCM_RIGHTS && control.head.cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&msg->fd, CMSG_DATA(&control.head), sizeof(int));
	return n;
}

/* May this come now, and is it whole? */
static bool handshake_is_valid(const struct handshake_msg *msg, ssize_t n,
			       enum handshake_state state)
{
	if (n < HANDSHAKE_SHORT_BYTES || msg->type >= HANDSHAKE_TYPE_COUNT_ ||
	    !handshake_allowed[state][msg->type])
		return false;
	if (msg->type == HANDSHAKE_FAILED && n != HANDSHAKE_LONG_BYTES)
		return false;
	return handshake_has_fd[msg->type] == (msg->fd >= 0);
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
		n = handshake_read(fd, ret_msg, wait ? 0 : MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n == 0)
		return 0;
	if (n < 0)
		return -errno;
	if (!handshake_is_valid(ret_msg, n, state)) {
		if (ret_msg->fd >= 0)
			close(take_fd(&ret_msg->fd));
		return -EPROTO;
	}
	if (ret_msg->type == HANDSHAKE_FAILED)
		handshake_check_err(&ret_msg->err);
	return 1;
}
