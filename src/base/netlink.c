/* SPDX-License-Identifier: MIT */
/* netlink: see netlink.h. */

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "sbx/base/netlink.h"

/* Return: a socket in the network namespace of the caller, owned by it, or -errno. */
int netlink_open(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : fd;
}

/* Return: 0 or -errno. */
int netlink_send(int fd, const void *message, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, message, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/**
 * Send a message and read what comes next.
 * @answer: may be the room of the question; @size: of it, in bytes
 *
 * Return: the length of the answer, or -errno.
 */
ssize_t netlink_ask(int fd, const void *question, size_t len, void *answer, size_t size)
{
	ssize_t n = netlink_send(fd, question, len);

	if (n < 0)
		return n;
	do {
		n = recv(fd, answer, size, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
