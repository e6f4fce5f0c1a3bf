/* SPDX-License-Identifier: MIT */
/*
 * net: the network of --net=user: what its words mean, and the rules that keep the host
 * and what is near it out of reach. Runs in: the caller's process.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "sbx/base/label.h"
#include "sbx/base/str.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

/* Members of a shared network have addresses behind those of slirp4netns. */
enum { NET_MEMBER_FIRST = 16, NET_MEMBERS_MAX = 128 };
/* What the rules are in, of the family inet. */
#define NET_TABLE "sbx"
#define NET_CHAIN "out"
/*
 * The sets of what is the host's: addresses, and prefixes; and of the networks that it is in.
 * Behind it a 4 or a 6.
 */
#define NET_SET_HOST "host"
#define NET_SET_NETS "nets"
#define NET_SET_LINKS "links"

enum { NET_DNS_MAX = 3, NET_HOST_MAX = 1024 }; /* resolv.conf(5) knows three */

/* In front of the number of a descriptor. */
#define NET_FD "fd:"

struct net_address {
	int family; /* AF_INET, AF_INET6; 0: none */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} at;
};

/* "user" and what may stand behind it, or NAME and either. */
struct net_words {
	char share[LABEL_NAME_MAX + 1]; /* of a network that several have; "": none */
	bool internet;
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

struct netrule;

/* A network that the host is in: whoever has such an address is its neighbour. */
struct net_link {
	struct net_address address; /* its first */
	unsigned bits;
};

/* What the rules of nftables are made of. */
struct net_scene {
	const struct net_words *words;
	const struct net_address *host; /* its addresses; one that is there twice does not matter */
	size_t n_host;
	const struct net_link *nets; /* all of whose addresses are the host's; none in another */
	size_t n_nets;
	const struct net_link *links; /* none is in another, or private */
	size_t n_links;
	const struct netrule *rules; /* of --allow-net and --deny-net, see netrules.h */
	const enum spec_net_rule_kind *kinds;
	size_t n_rules;
};

int net_read(const char *text, const char *option, struct net_words *ret, struct sbx_err *err);
bool net_is_shared(const char *text);
int64_t net_read_fd(const char *text);
int net_parse_address(const char *text, struct net_address *ret);
unsigned net_members(unsigned prefix);
bool net_key_differs(const char *ours, const char *theirs, struct str_buf *ret);
char *net_rules(const struct net_scene *scene, struct arena *arena);
int net_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
	       struct sbx_err *err);
const char *net_resolv_conf(const struct net_words *words, struct arena *arena);

/* For net_host.c. */
bool net_is_never(const struct net_address *address, unsigned bits);
bool net_is_private(const struct net_address *address, unsigned bits);
bool net_covers(const struct net_address *net, unsigned net_bits, const struct net_address *address,
		unsigned bits);

/* For netrules.c. */
bool net_is_near(const struct net_scene *scene, const struct net_address *address, unsigned bits);
bool net_is_own(const struct net_words *words, const struct net_address *address);
bool net_is_gateway(const struct net_words *words, const struct net_address *address);
bool net_is_nowhere(const struct net_address *a);
size_t net_list_dns(const struct net_words *words, struct net_address ret[NET_DNS_MAX]);
void net_put_address(struct str_buf *out, const struct net_address *a);
void net_put_host(struct str_buf *out, const char *tail);
void net_put_members(struct str_buf *out, const struct net_words *words);
void net_put_metadata(struct str_buf *out, const char *tail);
void net_put_near(struct str_buf *out, const char *but4, const char *but6, const char *tail);
