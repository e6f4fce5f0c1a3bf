/* SPDX-License-Identifier: MIT */
/*
 * rtnl: interfaces, by rtnetlink(7). A socket belongs to the network namespace that it was made
 * in; whoever sends through it needs the right over that. Runs in: the holder of a network, a
 * child of it, and PID 1.
 */
#pragma once

#include <netinet/in.h>

struct rtnl_veth {
	const char *name;
	int master;   /* index of the bridge that it is a port of */
	unsigned mtu; /* of both ends */
	const char *peer;
	int peer_netns_fd; /* borrowed; where the other end goes */
};

int rtnl_open(void);
int rtnl_find(int fd, const char *name);
int rtnl_add_bridge(int fd, const char *name);
int rtnl_add_veth(int fd, const struct rtnl_veth *veth);
int rtnl_set_up(int fd, const char *name, unsigned mtu, int master);
int rtnl_remove(int fd, const char *name);
int rtnl_add_address(int fd, const char *name, struct in_addr address, unsigned prefix);
int rtnl_add_default_route(int fd, struct in_addr gateway);
int rtnl_add_address6(int fd, const char *name, const struct in6_addr *address, unsigned prefix);
int rtnl_add_default_route6(int fd, const char *name, const struct in6_addr *gateway);
