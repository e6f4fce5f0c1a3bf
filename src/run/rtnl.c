/* SPDX-License-Identifier: MIT */
/*
 * rtnl: see rtnl.h.
 *
 * One message, and its acknowledgement. What ip(8) would do takes six messages here, so it is
 * not started: a program more to need, to find and to hear the reasons of.
 *
 * Every function returns 0, or -errno as the kernel has it: -EOPNOTSUPP where it knows no such
 * kind of interface.
 */

#include <assert.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/netlink.h"
#include "sbx/base/str.h"
#include "sbx/run/rtnl.h"

enum { RTNL_BYTES = 1024, RTNL_ANSWER_BYTES = 8192 };

/* A message in the making. */
struct rtnl_message {
	union {
		struct nlmsghdr head;
		char bytes[RTNL_BYTES];
	};
};

/* Room behind what is there already. */
static void *rtnl_put(struct rtnl_message *m, size_t size)
{
	size_t at = NLMSG_ALIGN(m->head.nlmsg_len);

	assert(at + NLMSG_ALIGN(size) <= sizeof(m->bytes));
	memset(m->bytes + at, 0, NLMSG_ALIGN(size));
	m->head.nlmsg_len = (uint32_t)(at + size);
	return m->bytes + at;
}

static void *rtnl_begin(struct rtnl_message *m, uint16_t type, uint16_t flags, size_t size)
{
	m->head = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
		.nlmsg_seq = 1,
	};
	return rtnl_put(m, size);
}

static void rtnl_add(struct rtnl_message *m, uint16_t type, const void *data, size_t size)
{
	struct rtattr *attr = rtnl_put(m, RTA_LENGTH(size));

	attr->rta_type = type;
	attr->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size > 0)
		memcpy(RTA_DATA(attr), data, size);
}

static void rtnl_add_text(struct rtnl_message *m, uint16_t type, const char *text)
{
	rtnl_add(m, type, text, strlen(text) + 1);
}

static void rtnl_add_u32(struct rtnl_message *m, uint16_t type, uint32_t value)
{
	rtnl_add(m, type, &value, sizeof(value));
}

/* What follows is inside. Return: where it begins, for rtnl_close(). */
static size_t rtnl_nest(struct rtnl_message *m, uint16_t type)
{
	size_t at = NLMSG_ALIGN(m->head.nlmsg_len);

	rtnl_add(m, type, NULL, 0);
	return at;
}

static void rtnl_close(struct rtnl_message *m, size_t at)
{
	struct rtattr *attr = (struct rtattr *)(void *)(m->bytes + at);

	attr->rta_len = (uint16_t)(m->head.nlmsg_len - at);
}

/* Send it and hear what the kernel says. */
static int rtnl_ask(int fd, const struct rtnl_message *m)
{
	union {
		struct nlmsghdr head;
		char bytes[RTNL_ANSWER_BYTES];
	} answer;
	const struct nlmsgerr *error = NLMSG_DATA(&answer.head);
	ssize_t n =
		netlink_ask(fd, m->bytes, m->head.nlmsg_len, answer.bytes, sizeof(answer.bytes));

	if (n < 0)
		return (int)n;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*error)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return error->error;
}

/* Return: a socket in the network namespace of the caller, or -errno. */
int rtnl_open(void)
{
	return netlink_open(NETLINK_ROUTE);
}

/* Return: the index of an interface there, or -errno. */
int rtnl_find(int fd, const char *name)
{
	struct ifreq req = {.ifr_ifindex = 0};

	str_copy(req.ifr_name, sizeof(req.ifr_name), name);
	return ioctl(fd, SIOCGIFINDEX, &req) < 0 ? -errno : req.ifr_ifindex;
}

int rtnl_add_bridge(int fd, const char *name)
{
	struct rtnl_message m;
	struct ifinfomsg *link =
		rtnl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*link));
	size_t info;

	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
	rtnl_add_text(&m, IFLA_IFNAME, name);
	info = rtnl_nest(&m, IFLA_LINKINFO);
	rtnl_add_text(&m, IFLA_INFO_KIND, "bridge");
	rtnl_close(&m, info);
	return rtnl_ask(fd, &m);
}

/* A pair: one end a port of a bridge here, and up; the other elsewhere, and down. */
int rtnl_add_veth(int fd, const struct rtnl_veth *veth)
{
	struct rtnl_message m;
	struct ifinfomsg *link =
		rtnl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*link));
	size_t info, data, peer;

	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
	rtnl_add_text(&m, IFLA_IFNAME, veth->name);
	rtnl_add_u32(&m, IFLA_MTU, veth->mtu);
	rtnl_add_u32(&m, IFLA_MASTER, (uint32_t)veth->master);
	info = rtnl_nest(&m, IFLA_LINKINFO);
	rtnl_add_text(&m, IFLA_INFO_KIND, "veth");
	data = rtnl_nest(&m, IFLA_INFO_DATA);
	peer = rtnl_nest(&m, VETH_INFO_PEER);
	(void)rtnl_put(&m, sizeof(struct ifinfomsg));
	rtnl_add_text(&m, IFLA_IFNAME, veth->peer);
	rtnl_add_u32(&m, IFLA_MTU, veth->mtu);
	rtnl_add_u32(&m, IFLA_NET_NS_FD, (uint32_t)veth->peer_netns_fd);
	rtnl_close(&m, peer);
	rtnl_close(&m, data);
	rtnl_close(&m, info);
	return rtnl_ask(fd, &m);
}

/* @mtu, @master: 0: leave */
int rtnl_set_up(int fd, const char *name, unsigned mtu, int master)
{
	struct rtnl_message m;
	struct ifinfomsg *link = rtnl_begin(&m, RTM_NEWLINK, 0, sizeof(*link));

	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
	rtnl_add_text(&m, IFLA_IFNAME, name);
	if (mtu)
		rtnl_add_u32(&m, IFLA_MTU, mtu);
	if (master)
		rtnl_add_u32(&m, IFLA_MASTER, (uint32_t)master);
	return rtnl_ask(fd, &m);
}

int rtnl_remove(int fd, const char *name)
{
	struct rtnl_message m;

	(void)rtnl_begin(&m, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	rtnl_add_text(&m, IFLA_IFNAME, name);
	return rtnl_ask(fd, &m);
}

static int rtnl_put_address(int fd, const char *name, const struct ifaddrmsg *what,
			    const void *address, size_t size)
{
	struct rtnl_message m;
	struct ifaddrmsg *head =
		rtnl_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*head));
	int index = rtnl_find(fd, name);

	if (index < 0)
		return index;
	*head = *what;
	head->ifa_index = (uint32_t)index;
	rtnl_add(&m, IFA_LOCAL, address, size);
	rtnl_add(&m, IFA_ADDRESS, address, size);
	return rtnl_ask(fd, &m);
}

int rtnl_add_address(int fd, const char *name, struct in_addr address, unsigned prefix)
{
	const struct ifaddrmsg what = {.ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)prefix};

	return rtnl_put_address(fd, name, &what, &address, sizeof(address));
}

/* Usable at once: that nobody else has the address is not asked (RFC 4862, section 5.4). */
int rtnl_add_address6(int fd, const char *name, const struct in6_addr *address, unsigned prefix)
{
	const struct ifaddrmsg what = {
		.ifa_family = AF_INET6, .ifa_prefixlen = (uint8_t)prefix, .ifa_flags = IFA_F_NODAD};

	return rtnl_put_address(fd, name, &what, address, sizeof(*address));
}

/* @index: of the interface; 0: it follows from the gateway */
static int rtnl_put_default_route(int fd, int family, const void *gateway, size_t size, int index)
{
	struct rtnl_message m;
	struct rtmsg *head = rtnl_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*head));

	head->rtm_family = (unsigned char)family;
	head->rtm_table = RT_TABLE_MAIN;
	head->rtm_protocol = RTPROT_BOOT;
	head->rtm_scope = RT_SCOPE_UNIVERSE;
	head->rtm_type = RTN_UNICAST;
	rtnl_add(&m, RTA_GATEWAY, gateway, size);
	if (index)
		rtnl_add_u32(&m, RTA_OIF, (uint32_t)index);
	return rtnl_ask(fd, &m);
}

int rtnl_add_default_route(int fd, struct in_addr gateway)
{
	return rtnl_put_default_route(fd, AF_INET, &gateway, sizeof(gateway), 0);
}

int rtnl_add_default_route6(int fd, const char *name, const struct in6_addr *gateway)
{
	int index = rtnl_find(fd, name);

	return index < 0 ? index
			 : rtnl_put_default_route(fd, AF_INET6, gateway, sizeof(*gateway), index);
}
