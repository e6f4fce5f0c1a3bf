/* SPDX-License-Identifier: MIT */
/*
 * ask: see ask.h.
 *
 * Theory of operation
 *
 * A sandbox that was given the directory of records could put a record and a socket of
 * its own there, and answer as it likes: with another process to signal, or a weaker
 * filter. So who is asked is not taken from there. The kernel says who holds the lock on
 * the record, and whether that is the process that listens on the socket (SO_PEERCRED);
 * and that process must be in our user namespace, where nothing of a sandbox is, and of
 * our uid. A pidfd that is opened between two looks at the lock keeps the number from
 * meaning anybody else.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/sys.h"
#include "sbx/box/ask.h"

void ask_finish(struct ask *ask)
{
	defs_cleanup_fd(&ask->pidfd);
	defs_cleanup_fd(&ask->sock_fd);
	*ask = ASK_NONE;
}

static int ask_refuse_gone(const struct box *box, struct sbx_err *err)
{
	return err_refuse(err, ESRCH, box->label.id, "this sandbox has ended");
}

/* Is the monitor stopped, as a job of a shell is? */
bool ask_is_stopped(const struct ask *ask)
{
	return proc_is_stopped(ask->monitor);
}

static int ask_refuse_silent(const struct ask *ask, struct sbx_err *err)
{
	return err_refuse(err, ETIMEDOUT, NULL, "the sandbox's monitor, process %d, %s",
			  ask->monitor, ask_is_stopped(ask) ? "is stopped" : "does not answer");
}

/* The process behind the record, held by a pidfd. */
static int ask_find_monitor(const struct box *box, int dir_fd, struct ask *ask, struct sbx_err *err)
{
	char file[LABEL_FILE_SIZE];
	_autoclose_ int fd = -1;
	pid_t before, after;
	int r;

	label_to_file(&box->label, file);
	fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_system(err, errno, box->label.id, "cannot look at its record");
	r = fd < 0 ? 0 : register_lock_holder(fd, &before);
	if (r < 0)
		return err_system(err, -r, box->label.id, "cannot tell who holds its record");
	if (r == 0)
		return ask_refuse_gone(box, err);
	if (before == 0)
		return err_refuse(err, EPERM, box->label.id,
				  "its monitor is in another pid namespace");
	ask->pidfd = sys_pidfd_open(before);
	if (ask->pidfd < 0 && errno != ESRCH)
		return err_system(err, errno, box->label.id, "cannot watch its monitor");
	r = ask->pidfd < 0 ? 0 : register_lock_holder(fd, &after);
	if (r < 0)
		return err_system(err, -r, box->label.id, "cannot tell who holds its record");
	if (r == 0 || after != before)
		return ask_refuse_gone(box, err);
	if (!control_is_same_user_ns(before)) {
		r = err_refuse(err, EPERM, box->label.id,
			       "its record is held by process %d, which is not in this user "
			       "namespace",
			       before);

		err_hint(err, "something in a sandbox may pretend to be one; if it is yours, do "
			      "this where you\nstarted it");
		return r;
	}
	ask->monitor = before;
	return 0;
}

static int ask_connect(const struct box *box, int dir_fd, struct ask *ask, struct sbx_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[LABEL_FILE_SIZE];
	const struct timeval patience = {.tv_sec = ASK_TIMEOUT_MS / 1000};
	struct ucred peer;
	socklen_t len = sizeof(peer);

	register_socket_name(&box->label, name);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
		       name);
	ask->sock_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (ask->sock_fd < 0)
		return err_system(err, errno, NULL, "cannot make a socket");
	/* Who has asked a monitor that is stopped, and has left, is still in its queue, which ends.
	 */
	if (setsockopt(ask->sock_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_system(err, errno, NULL, "cannot set up a socket");
	if (connect(ask->sock_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ? ask_refuse_gone(box, err)
		       : errno == EAGAIN
			       ? ask_refuse_silent(ask, err)
			       : err_system(err, errno, box->label.id, "cannot reach its monitor");
	if (getsockopt(ask->sock_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_system(err, errno, box->label.id, "cannot tell who listens");
	if (peer.uid != geteuid() || peer.pid != ask->monitor)
		return err_refuse(err, EPERM, box->label.id,
				  "its socket belongs to process %d, and its record to process %d",
				  peer.pid, ask->monitor);
	return 0;
}

static int ask_put(const struct box *box, const struct control_request *request,
		   struct ask *ret_ask, struct sbx_err *err)
{
	_autoclose_ int dir_fd = dirs_open_own(box->dir);
	_autoask_ struct ask ask = ASK_NONE;
	int r;

	if (dir_fd == -ENOENT)
		return ask_refuse_gone(box, err);
	if (dir_fd < 0)
		return err_system(err, -dir_fd, box->dir, "cannot open the directory of records");
	r = ask_find_monitor(box, dir_fd, &ask, err);
	if (r == 0)
		r = ask_connect(box, dir_fd, &ask, err);
	if (r < 0)
		return r;
	/* EPIPE: it has answered already, that it will not listen. */
	if (send(ask.sock_fd, request, sizeof(*request), MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		return err_system(err, errno, box->label.id, "cannot ask its monitor");
	*ret_ask = ask;
	ask = ASK_NONE;
	return 0;
}

/**
 * Make sure of the monitor, and put a request to it.
 *
 * Return: 0, or -errno with *err filled (-ESRCH: the sandbox has ended).
 */
int ask_send(const struct box *box, enum control_type type, int number, struct ask *ret_ask,
	     struct sbx_err *err)
{
	const struct control_request request = {
		.version = CONTROL_VERSION, .type = type, .number = number};

	return ask_put(box, &request, ret_ask, err);
}

/* The same about ports. */
int ask_send_port(const struct box *box, enum control_type type, const struct plan_port *port,
		  struct ask *ret_ask, struct sbx_err *err)
{
	const struct control_request request = {
		.version = CONTROL_VERSION, .type = type, .port = *port};

	return ask_put(box, &request, ret_ask, err);
}

static int ask_read(const struct ask *ask, struct control_reply *reply, int fds[CONTROL_FDS_MAX])
{
	union {
		char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
		struct cmsghdr head;
	} ancillary = {.bytes = {0}};
	struct iovec data = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr msg = {.msg_iov = &data,
			     .msg_iovlen = 1,
			     .msg_control = &ancillary,
			     .msg_controllen = sizeof(ancillary)};
	ssize_t n;

	/* ECONNRESET is said once, before the word of a monitor that did not wait for ours. */
	do {
		n = recvmsg(ask->sock_fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		fds[i] = -1;
	if (n > 0 && msg.msg_controllen >= sizeof(ancillary.head) &&
	    ancillary.head.cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(&ancillary.head), ancillary.head.cmsg_len - CMSG_LEN(0));
	if (n == (ssize_t)sizeof(*reply) && reply->version == CONTROL_VERSION)
		return 0;
	control_close_fds(fds);
	return n < 0 ? -errno : n == 0 ? -ESRCH : -EPROTO;
}

/*
 * One that is stopped will not answer, however long the time is; but who waits for the end of a
 * sandbox has no time. Return: as poll(2).
 */
static int ask_await(const struct ask *ask, int timeout_ms)
{
	struct pollfd pfd = {.fd = ask->sock_fd, .events = POLLIN};
	int r;

	do {
		int step_ms = timeout_ms > ASK_TIMEOUT_MS ? ASK_TIMEOUT_MS : timeout_ms;

		r = poll(&pfd, 1, step_ms);
		if (r == 0)
			timeout_ms -= step_ms;
	} while ((r < 0 && errno == EINTR && timeout_ms < 0) ||
		 (r == 0 && timeout_ms > 0 && !ask_is_stopped(ask)));
	return r;
}

/**
 * Wait for the answer.
 * @ret_fds: what came beside it, owned by the caller; -1: none
 *
 * Return: 0, or -errno with *err filled: -ESRCH: the sandbox has ended; -ETIMEDOUT: no
 * answer within the time; what the monitor answered.
 */
int ask_receive(const struct ask *ask, int timeout_ms, struct control_reply *ret_reply,
		int ret_fds[CONTROL_FDS_MAX], struct sbx_err *err)
{
	int r = ask_await(ask, timeout_ms);

	if (r == 0)
		return ask_refuse_silent(ask, err);
	r = r < 0 ? -errno : ask_read(ask, ret_reply, ret_fds);
	if (r == -ESRCH)
		return err_refuse(err, ESRCH, NULL, "the sandbox has ended");
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hear from the sandbox's monitor");
	/* The monitor is one of ours, and yet its strings get their ends here. */
	control_check_facts(&ret_reply->facts);
	if (ret_reply->result < 0)
		return err_system(err, -ret_reply->result, NULL, "the sandbox's monitor refuses");
	return 0;
}

/* Both, with the usual time. */
int ask(const struct box *box, enum control_type type, int number, struct control_reply *ret_reply,
	int ret_fds[CONTROL_FDS_MAX], struct sbx_err *err)
{
	_autoask_ struct ask asked = ASK_NONE;
	int r = ask_send(box, type, number, &asked, err);

	return r < 0 ? r : ask_receive(&asked, ASK_TIMEOUT_MS, ret_reply, ret_fds, err);
}
