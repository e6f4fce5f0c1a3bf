/* SPDX-License-Identifier: MIT */
/*
 * net_host: see net_host.h.
 *
 * What the host takes for itself is in its routing table "local": a route for each address of an
 * interface, and those that somebody has added (ip route add local ... dev lo), which may be of a
 * whole prefix. Other tables are for what is diverted (a transparent proxy): that stays what it is
 * to whoever sends it. Addresses of IPv6 that several hosts may have (anycast) are there too.
 * How large a network is that an interface is in, its address says.
 *
 * Since Linux 4.20 the kernel is asked for that table alone; a host with the routes of the whole
 * internet would have much to tell. One without tables for IPv6 has it all in one.
 */

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
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
	NET_HOST_LINK_MIN = 8, /* bits of a network that the host is in; fewer are a mistake */
	NET_HOST_LINK_MIN_IPV6 = 32,
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

/* ---- the networks that it is in ---- */

static unsigned net_host_count_bits(const struct sockaddr *mask)
{
	struct in6_addr at = {0};
	unsigned bits = 0;

	if (!mask)
		return sizeof(at) * CHAR_BIT;
	if (mask->sa_family == AF_INET)
		memcpy(&at, &((const struct sockaddr_in *)(const void *)mask)->sin_addr,
		       sizeof(struct in_addr));
	else
		at = ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
	for (size_t i = 0; i < sizeof(at); i++)
		bits += (unsigned)__builtin_popcount(at.s6_addr[i]);
	return bits;
}

/* To a list of which none is in another; that @link is in none of it is known. */
void net_host_add_widest(struct net_link *list, size_t *n, const struct net_link *link)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (!net_covers(&link->address, link->bits, &list[i].address, list[i].bits))
			list[kept++] = list[i];
	list[kept++] = *link;
	*n = kept;
}

/*
 * Note the network of one of the host's addresses. Those that the rules have anyway, and those
 * in another, are left out: to nft a set whose ranges overlap is an error.
 */
static void net_host_add_link(struct net_link *links, size_t *n, const struct net_address *address,
			      unsigned bits)
{
	bool v4 = address->family == AF_INET;
	struct net_link link = {.address = *address, .bits = bits};
	uint8_t *at = (uint8_t *)&link.address.at;

	if (bits < (v4 ? NET_HOST_LINK_MIN : NET_HOST_LINK_MIN_IPV6) || bits >= (v4 ? 32 : 128) ||
	    net_is_private(address, bits) || net_is_never(address, bits) ||
	    net_host_has(links, *n, &link))
		return;
	for (unsigned i = bits; i < (v4 ? 32 : 128); i++)
		at[i / 8] &= (uint8_t) ~(1U << (7 - i % 8));
	net_host_add_widest(links, n, &link);
}

/**
 * The addresses that the host's interfaces have, and the networks that they are in by these; of the
 * networks none is in another, or private.
 * @links: has room for @max as well
 *
 * Return: 0 or -errno (-E2BIG: there are more than @max).
 */
int net_host_list_links(struct net_address *list, struct net_link *links, size_t max, size_t *ret_n,
			size_t *ret_n_links)
{
	struct ifaddrs *first;
	size_t n = 0, n_links = 0;
	int r = 0;

	if (getifaddrs(&first) < 0)
		return -errno;
	for (const struct ifaddrs *i = first; i && r == 0; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		if (n == max) {
			r = -E2BIG;
			break;
		}
		memset(&list[n], 0, sizeof(list[n]));
		list[n].family = family;
		if (family == AF_INET)
			list[n].at.v4 =
				((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		else
			list[n].at.v6 =
				((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		net_host_add_link(links, &n_links, &list[n], net_host_count_bits(i->ifa_netmask));
		n++;
	}
	freeifaddrs(first);
	*ret_n = n;
	*ret_n_links = n_links;
	return r;
}

/* ---- what comes ---- */

/**
 * A socket that can be read from when an address may have come.
 *
 * Return: it, which is the caller's; or -errno.
 */
int net_host_watch(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
			     RTMGRP_IPV6_IFADDR,
	};
	_autoclose_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

/*
 * An address brings a route, but for one that is there already and now is of a larger network, say.
 */
static bool net_host_is_news(const struct nlmsghdr *head)
{
	return head->nlmsg_type == RTM_NEWADDR ||
	       (head->nlmsg_type == RTM_NEWROUTE &&
		head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) &&
		net_host_is_own(NLMSG_DATA(head)));
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
			changed |= net_host_is_news(head);
	}
	return changed;
}
