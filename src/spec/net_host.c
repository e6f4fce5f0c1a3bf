/* SPDX-License-Identifier: MIT */
/*
 * net_host: see net_host.h.
 *
 * What the host takes for itself is in its routing table "local": a route for each address of an
 * interface, and those that somebody has added (ip route add local ... dev lo), which may be of a
 * whole prefix. Other tables are for what is diverted (a transparent proxy): that stays what it is
 * to whoever sends it. Addresses of IPv6 that several hosts may have (anycast) are there too.
 *
 * Since Linux 4.20 the kernel is asked for that table alone; a host with the routes of the whole
 * internet would have much to tell. One without tables for IPv6 has it all in one.
 */

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/netlink.h"
#include "sbx/spec/net_host.h"

enum {
	NET_HOST_BYTES = 32768, /* the kernel sends no more at once */
	NET_HOST_TRIES = 8,	/* where the table changes while it is read */
	NET_HOST_SOL_NETLINK = 270,
};

union net_host_answer {
	struct nlmsghdr head;
	char bytes[NET_HOST_BYTES];
};

struct net_host_room {
	struct net_link *list;
	size_t n, max;
};

/* Does a route lead to the host itself? */
static bool net_host_is_own(const struct rtmsg *route)
{
	return (route->rtm_family == AF_INET || route->rtm_family == AF_INET6) &&
	       (route->rtm_type == RTN_LOCAL ||
		(route->rtm_family == AF_INET6 && route->rtm_type == RTN_ANYCAST));
}

static void net_host_read_route(const struct nlmsghdr *head, struct net_link *ret)
{
	const struct rtmsg *route = NLMSG_DATA(head);
	size_t left = RTM_PAYLOAD(head);

	*ret = (struct net_link){.address.family = route->rtm_family, .bits = route->rtm_dst_len};
	for (const struct rtattr *attr = RTM_RTA(route); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left))
		if (attr->rta_type == RTA_DST && RTA_PAYLOAD(attr) <= sizeof(ret->address.at))
			memcpy(&ret->address.at, RTA_DATA(attr), RTA_PAYLOAD(attr));
}

/* Is it one of the list, or in one? */
bool net_host_has(const struct net_link *list, size_t n, const struct net_link *what)
{
	for (size_t i = 0; i < n; i++)
		if (net_covers(&list[i].address, list[i].bits, &what->address, what->bits))
			return true;
	return false;
}

/* Return: 0, or -E2BIG. */
static int net_host_take(struct net_host_room *room, const struct nlmsghdr *head, int family,
			 unsigned table)
{
	const struct rtmsg *route = NLMSG_DATA(head);
	struct net_link link;

	if (head->nlmsg_type != RTM_NEWROUTE ||
	    head->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)) || route->rtm_family != family ||
	    !net_host_is_own(route) || (table && route->rtm_table != table))
		return 0;
	net_host_read_route(head, &link);
	if (net_host_has(room->list, room->n, &link))
		return 0;
	if (room->n == room->max)
		return -E2BIG;
	room->list[room->n++] = link;
	return 0;
}

/* One packet of the answer. Return: 1 it is the last, 0, or -errno (-EINTR: begin again). */
static int net_host_take_all(struct net_host_room *room, const union net_host_answer *answer,
			     size_t len, int family, unsigned table)
{
	bool interrupted = false;
	int r = 0;

	for (const struct nlmsghdr *head = &answer->head; r == 0 && NLMSG_OK(head, len);
	     head = NLMSG_NEXT(head, len)) {
		interrupted |= (head->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (head->nlmsg_type == NLMSG_ERROR)
			r = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
		else if (head->nlmsg_type == NLMSG_DONE)
			r = 1;
		else
			r = net_host_take(room, head, family, table);
	}
	return interrupted && r >= 0 ? -EINTR : r;
}

/* @table: 0: all. Return: 0 or -errno. */
static int net_host_dump(struct net_host_room *room, int family, unsigned table)
{
	_autoclose_ int fd = netlink_open(NETLINK_ROUTE);
	const struct {
		struct nlmsghdr head;
		struct rtmsg route;
	} question = {
		{.nlmsg_len = sizeof(question),
		 .nlmsg_type = RTM_GETROUTE,
		 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		{.rtm_family = (unsigned char)family, .rtm_table = (unsigned char)table},
	};
	union net_host_answer answer;
	const int yes = 1;
	int r = 0;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, NET_HOST_SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	if (send(fd, &question, sizeof(question), MSG_NOSIGNAL) < 0)
		return -errno;
	while (r == 0) {
		ssize_t n = recv(fd, answer.bytes, sizeof(answer.bytes), 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			r = net_host_take_all(room, &answer, (size_t)n, family, table);
	}
	return r > 0 ? 0 : r;
}

/* Of one family; a kernel without it has none. */
static int net_host_list_family(struct net_host_room *room, int family)
{
	int r = -EINTR;

	for (int tries = 0; r == -EINTR && tries < NET_HOST_TRIES; tries++)
		r = net_host_dump(room, family, RT_TABLE_LOCAL);
	if (r == -ENOENT)
		r = net_host_dump(room, family, RT_TABLE_UNSPEC);
	return family == AF_INET6 && (r == -EOPNOTSUPP || r == -EAFNOSUPPORT) ? 0 : r;
}

/**
 * The host's own addresses, and prefixes of such; none that is in another before it.
 *
 * Return: 0 or -errno (-E2BIG: there are more than @max).
 */
int net_host_list(struct net_link *list, size_t max, size_t *ret_n)
{
	struct net_host_room room = {.list = list, .max = max};
	int r = net_host_list_family(&room, AF_INET);

	if (r == 0)
		r = net_host_list_family(&room, AF_INET6);
	*ret_n = room.n;
	return r;
}

/**
 * A socket that can be read from when an address may have come.
 *
 * Return: it, which is the caller's; or -errno.
 */
int net_host_watch(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	_autoclose_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Has one come since? What was lost, as there was too much, counts as one. */
bool net_host_changed(int fd)
{
	union net_host_answer news;
	bool changed = false;
	ssize_t n;

	while ((n = recv(fd, news.bytes, sizeof(news.bytes), 0)) > 0 || errno == EINTR ||
	       errno == ENOBUFS) {
		size_t left = n > 0 ? (size_t)n : 0;

		changed |= n < 0 && errno == ENOBUFS;
		for (const struct nlmsghdr *head = &news.head; NLMSG_OK(head, left);
		     head = NLMSG_NEXT(head, left))
			changed |= head->nlmsg_type == RTM_NEWROUTE &&
				   head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) &&
				   net_host_is_own(NLMSG_DATA(head));
	}
	return changed;
}
