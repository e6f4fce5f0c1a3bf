/* SPDX-License-Identifier: MIT */
/*
 * net: the network of --net=user: what its words mean, and the rules that keep the host
 * and what is near it out of reach. Runs in: the caller's process.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

enum { NET_DNS_MAX = 3, NET_HOST_MAX = 1024 }; /* resolv.conf(5) knows three */

struct net_address {
	int family; /* AF_INET, AF_INET6; 0: none */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} at;
};

/* "user" and what may stand behind it. */
struct net_words {
	bool lan, unfiltered, ipv6, allow_host_loopback;
	bool keep;		     /* on-death=keep */
	const struct plan_net *plan; /* borrowed; what is published; NULL: not known */
	bool no_dns;
	struct net_address dns[NET_DNS_MAX];
	size_t n_dns; /* 0: that of slirp4netns */
	struct net_address outbound, outbound6;
	uint32_t cidr; /* the network, in the host's byte order */
	unsigned prefix;
	unsigned mtu;
};

int net_read(const char *text, const char *option, struct net_words *ret, struct sbx_err *err);
char *net_rules(const struct net_words *words, const struct net_address *host, size_t n_host,
		struct arena *arena);
int net_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
	       struct sbx_err *err);
const char *net_resolv_conf(const struct net_words *words, struct arena *arena);
