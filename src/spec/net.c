/* SPDX-License-Identifier: MIT */
/*
 * net: see net.h.
 *
 * Theory of operation
 *
 * slirp4netns(1) sends what the sandbox sends, from a process of the caller's on the host.
 * So without more, what the host can reach, the sandbox can: its own addresses, its
 * network, the metadata service of a cloud. nftables inside the sandbox's network
 * namespace refuses those. The rules belong to the user namespace that owns that network,
 * and the command, which has no capability there whatever it is given, cannot change them.
 *
 * A network that the host is in has private addresses or, with IPv6 always, public ones. So beside
 * the private ones the networks of the host's interfaces are refused. That covers, too, the address
 * that the host gives itself anew in such a network every day (RFC 8981).
 *
 * Order of the rules: what is needed (lo, the resolver, neighbour discovery), then what is
 * refused, then all else passes. They refuse and do not drop, so that a program fails at once;
 * TCP by a reset, as an ICMP that comes while connect(2) is at work counts only a second later.
 *
 * libslirp passes what is sent to its address for DNS to the host's resolver, and
 * not all versions ask for the port: 127.0.0.53:22 would be within reach. Only port 53 of it is
 * opened; of the rest of its network (10.0.2.0/24, fd00::/64) nothing is.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/similar.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/base.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/net.h"
#include "sbx/spec/net_host.h"
#include "sbx/spec/netrules.h"
#include "sbx/spec/publish.h"
#include "sbx/spec/records.h"

enum {
	NET_CIDR = 0x0a000200, /* 10.0.2.0, slirp4netns's own default */
	NET_PREFIX = 24,
	NET_PREFIX_MIN = 8, /* there must be room for .100 in it */
	NET_PREFIX_MAX = 25,
	NET_PREFIX6 = 64,
	NET_GATEWAY = 2, /* which addresses of it are whose: slirp4netns(1) */
	NET_DNS = 3,
	NET_GUEST = 100,
	NET_MTU = 65520,
	NET_MTU_MIN = 576,
	NET_MTU_MIN_IPV6 = 1280, /* RFC 8200, section 5 */
	NET_WORD_MAX = 128,
	NET_SLIP_LEN = 4, /* of the words that a slip could be of */
	NET_LINK_MIN = 8, /* bits of a network that the host is in; one of fewer is a mistake */
	NET_LINK_MIN_IPV6 = 32,
	NET_RULES_BYTES = 16384,
	NET_RULE_BYTES = 1536,
	NET_PORT_BYTES = 128,			      /* in the rules */
	NET_RANGE_BYTES = 2 * INET_ADDRSTRLEN + 1,    /* of addresses of IPv4 */
	NET_ADDRESS_BYTES = 2 * INET6_ADDRSTRLEN + 8, /* in the rules: as it is, and by NAT64 */
};

#define NET_HOOK "type filter hook output priority 0; policy accept;\n"

static const char net_gateway6[] = "fd00::2", net_dns6[] = "fd00::3", net_own6[] = "fd00::/64",
		  net_first6[] = "fd00::";

/* ---- the words ---- */

/* Is it the name of a network, and none of the words? */
bool net_is_shared(const char *text)
{
	return !str_equal(text, "user") && !str_starts_with(text, "user,") &&
	       !str_starts_with(text, NET_FD);
}

/* The descriptor of fd:N; -1: it is none. @text: may be NULL */
int64_t net_read_fd(const char *text)
{
	uint64_t fd;

	return text && str_starts_with(text, NET_FD) &&
			       str_parse_u64(text + strlen(NET_FD), 10, INT_MAX, &fd) == 0
		       ? (int64_t)fd
		       : -1;
}

static int net_bad(const char *option, const char *word, const char *what, struct sbx_err *err)
{
	return err_usage(err, option, "\"%s\": %s", word, what);
}

int net_parse_address(const char *text, struct net_address *ret)
{
	if (inet_pton(AF_INET, text, &ret->at.v4) == 1)
		ret->family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ret->at.v6) == 1)
		ret->family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

/* No place that a packet could go to, or not from the sandbox to there. */
bool net_is_nowhere(const struct net_address *a)
{
	uint32_t v4;

	if (a->family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&a->at.v6) || IN6_IS_ADDR_LOOPBACK(&a->at.v6) ||
		       IN6_IS_ADDR_MULTICAST(&a->at.v6) || IN6_IS_ADDR_V4MAPPED(&a->at.v6) ||
		       IN6_IS_ADDR_LINKLOCAL(&a->at.v6);
	v4 = ntohl(a->at.v4.s_addr);
	return v4 >> 24 == 0 || v4 >> 24 == IN_LOOPBACKNET || v4 >> 28 >= 14;
}

static int net_word_dns(struct net_words *words, const char *value, const char *option,
			struct sbx_err *err)
{
	struct net_address address;

	if (str_equal(value, "none")) {
		words->no_dns = true;
		words->n_dns = 0;
		return 0;
	}
	if (net_parse_address(value, &address) < 0)
		return net_bad(option, value, "dns= takes an address, or none", err);
	if (net_is_nowhere(&address))
		return net_bad(option, value,
			       "no resolver outside has this address; without dns=, that of "
			       "the host is asked",
			       err);
	if (words->n_dns == NET_DNS_MAX)
		return net_bad(option, value, "dns= can be given three times (resolv.conf(5))",
			       err);
	words->no_dns = false;
	words->dns[words->n_dns++] = address;
	return 0;
}

static int net_word_cidr(struct net_words *words, const char *value, const char *option,
			 struct sbx_err *err)
{
	const char *slash = strchr(value, '/');
	char address[INET_ADDRSTRLEN];
	struct in_addr in;
	uint64_t prefix;
	uint32_t first;

	if (!slash || slash - value >= (ptrdiff_t)sizeof(address) ||
	    str_parse_u64(slash + 1, 10, 32, &prefix) < 0)
		return net_bad(option, value, "cidr= takes a network, as 10.0.2.0/24", err);
	memcpy(address, value, (size_t)(slash - value));
	address[slash - value] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		return net_bad(option, value, "cidr= takes a network, as 10.0.2.0/24", err);
	if (prefix < NET_PREFIX_MIN || prefix > NET_PREFIX_MAX)
		return net_bad(option, value, "the prefix is to be from 8 to 25", err);
	first = ntohl(in.s_addr);
	if (first & (UINT32_MAX >> prefix))
		return net_bad(option, value,
			       "this is an address in a network; the bits behind the prefix are "
			       "to be 0",
			       err);
	if (net_is_nowhere(&(struct net_address){.family = AF_INET, .at.v4 = in}))
		return net_bad(option, value, "no interface can have such an address", err);
	words->cidr = first;
	words->prefix = (unsigned)prefix;
	return 0;
}

static int net_word_mtu(struct net_words *words, const char *value, const char *option,
			struct sbx_err *err)
{
	uint64_t mtu;

	if (str_parse_u64(value, 10, NET_MTU, &mtu) < 0 || mtu < NET_MTU_MIN)
		return net_bad(option, value, "mtu= takes a number from 576 to 65520", err);
	words->mtu = (unsigned)mtu;
	return 0;
}

static int net_word_outbound(struct net_words *words, const char *value, const char *option,
			     struct sbx_err *err)
{
	struct net_address address;

	if (net_parse_address(value, &address) < 0)
		return net_bad(option, value, "outbound= takes an address of the host's", err);
	if (address.family == AF_INET)
		words->outbound = address;
	else
		words->outbound6 = address;
	return 0;
}

static int net_word_on_death(struct net_words *words, const char *value, const char *option,
			     struct sbx_err *err)
{
	words->keep = str_equal(value, "keep");
	return words->keep || str_equal(value, "end")
		       ? 0
		       : net_bad(option, value, "on-death= takes end or keep", err);
}

static const struct {
	const char *name; /* with = it takes a value */
	size_t flag;	  /* offset of a bool, without one */
	int (*read)(struct net_words *words, const char *value, const char *option,
		    struct sbx_err *err);
} net_subs[] = {
	{"lan", offsetof(struct net_words, lan), NULL},
	{"unfiltered", offsetof(struct net_words, unfiltered), NULL},
	{"ipv6", offsetof(struct net_words, ipv6), NULL},
	{"allow-host-loopback", offsetof(struct net_words, allow_host_loopback), NULL},
	{"dns=", 0, net_word_dns},
	{"cidr=", 0, net_word_cidr},
	{"mtu=", 0, net_word_mtu},
	{"outbound=", 0, net_word_outbound},
	{"on-death=", 0, net_word_on_death},
};

static int net_read_sub(struct net_words *words, const char *word, const char *option,
			struct sbx_err *err)
{
	char room[256];
	struct str_buf all = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < ARRAY_SIZE(net_subs); i++) {
		const char *name = net_subs[i].name;

		if (net_subs[i].read && str_starts_with(word, name))
			return net_subs[i].read(words, word + strlen(name), option, err);
		if (!net_subs[i].read && str_equal(word, name)) {
			*(bool *)((char *)words + net_subs[i].flag) = true;
			return 0;
		}
		str_buf_printf(&all, "%s%s", i ? ", " : "", name);
	}
	return err_usage(err, option, "no such word \"%s\" behind user; there are: %s", word,
			 all.data);
}

/*
 * In slirp4netns's own network nobody answers for names where dns= is given, but what listens on
 * the host's loopback, or a member where there are some.
 */
static const struct net_address *net_find_mute(const struct net_words *words)
{
	for (size_t i = 0; i < words->n_dns && !words->share[0]; i++)
		if (net_is_own(words, &words->dns[i]) &&
		    !(words->allow_host_loopback && net_is_gateway(words, &words->dns[i])))
			return &words->dns[i];
	return NULL;
}

/* What only shows when all words are known. */
static int net_check(const struct net_words *words, const char *option, struct sbx_err *err)
{
	bool dns6 = false;

	for (size_t i = 0; i < words->n_dns; i++)
		dns6 |= words->dns[i].family == AF_INET6;
	if (words->unfiltered && words->lan)
		return net_bad(option, "lan", "unfiltered opens that and all else", err);
	if (net_find_mute(words))
		return net_bad(option, "dns=",
			       "no resolver has an address of slirp4netns's own network (cidr=); "
			       "without dns=, that of the host is asked",
			       err);
	if (words->ipv6 && words->mtu < NET_MTU_MIN_IPV6)
		return net_bad(option, "mtu=", "IPv6 takes 1280 at least", err);
	if (!words->ipv6 && (dns6 || words->outbound6.family))
		return net_bad(option, dns6 ? "dns=" : "outbound=",
			       "an address of IPv6 takes the word ipv6", err);
	return 0;
}

/*
 * A slip of the finger, or a word that means something else to podman and docker, would make a
 * network that nobody meant. Longer names are no slips.
 */
static int net_check_meant(const char *name, const char *option, struct sbx_err *err)
{
	static const char *const others[] = {"bridge", "container", "default", "nat",
					     "ns",     "pasta",	    "private", "slirp4netns"};
	static const char *const words[] = {"none", "user", "host"};
	struct similar similar = SIMILAR(name, strlen(name), strlen(name));

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_equal(name, words[i]))
			return err_usage(err, option,
					 "\"%s\" stands alone: words behind it are for user and "
					 "for networks that sandboxes share",
					 name);
		if (strcasecmp(name, words[i]) == 0)
			return err_usage(err, option,
					 "\"%s\" is not taken for the name of a network; did you "
					 "mean \"%s\"?",
					 name, words[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcasecmp(name, others[i]) == 0)
			return err_usage(
				err, option,
				"has no word \"%s\"; there are: none, user, host, fd:N, and "
				"names of networks, but not this one",
				name);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		similar_offer(&similar, words[i]);
	if (!similar.found || strlen(name) > NET_SLIP_LEN)
		return 0;
	return err_usage(
		err, option,
		"\"%s\" is so near to \"%s\" that it is not taken for the name of a network; "
		"there are: none, user, host, fd:N, and other names",
		name, similar.found);
}

/* The name of a shared network, and whether "user" follows. *ret_rest is what is behind. */
static int net_read_name(const char *text, const char *option, struct net_words *words,
			 const char **ret_rest, struct sbx_err *err)
{
	size_t len = strcspn(text, ",");
	const char *rest = text + len;

	if (len < sizeof(words->share))
		str_copy(words->share, len + 1, text);
	if (len >= sizeof(words->share) || !label_name_is_good(words->share))
		return err_usage(
			err, option,
			"\"%.*s\" is none of none, user, host and fd:N, and cannot be the "
			"name of a network: a letter or digit first, then also _, . and -; "
			"63 at most",
			(int)(len < NET_WORD_MAX ? len : NET_WORD_MAX), text);
	*ret_rest = rest;
	if (net_check_meant(words->share, option, err) < 0)
		return -EINVAL;
	if (*rest == '\0')
		return 0;
	if (!str_equal(rest, ",user") && !str_starts_with(rest, ",user,"))
		return err_usage(
			err, option,
			"behind the name of a network there can be user, for the internet, "
			"and what can be behind that; not \"%s\"",
			rest + 1);
	words->internet = true;
	*ret_rest = rest + strlen(",user");
	return 0;
}

/**
 * Read what --net has for a network that sbx makes.
 * @text: "user" or the name of one that is shared; behind either, words with commas between them
 *
 * Return: 0, or -errno with *err filled.
 */
int net_read(const char *text, const char *option, struct net_words *ret, struct sbx_err *err)
{
	struct net_words words = {
		.internet = true, .cidr = NET_CIDR, .prefix = NET_PREFIX, .mtu = NET_MTU};
	char word[NET_WORD_MAX];
	int e = 0;

	if (net_is_shared(text)) {
		words.internet = false;
		e = net_read_name(text, option, &words, &text, err);
	} else {
		text += strcspn(text, ",");
	}
	if (e < 0)
		return e;
	while (*text == ',') {
		size_t len = strcspn(++text, ",");
		int r;

		if (len >= sizeof(word))
			return err_usage(err, option, "a word is too long: %.40s...", text);
		memcpy(word, text, len);
		word[len] = '\0';
		r = net_read_sub(&words, word, option, err);
		if (r < 0)
			return r;
		text += len;
	}
	*ret = words;
	return net_check(ret, option, err);
}

/* ---- the rules ---- */

struct net_prefix {
	const char *address;
	unsigned bits;
};

/* Of IPv4, never reached: this host, protocol assignments, benchmarks, multicast, reserved. */
static const struct net_prefix net_never4[] = {
	{"0.0.0.0", 8},	    {"127.0.0.0", 8}, {"192.0.0.0", 24}, {"192.88.99.0", 24},
	{"198.18.0.0", 15}, {"224.0.0.0", 4}, {"240.0.0.0", 4},
};

/*
 * Where clouds have their metadata, and credentials: AWS and most others; AWS for containers,
 * its resolver and clock; Alibaba; Azure. Those of Oracle are in 192.0.0.0/24.
 */
static const struct net_prefix net_metadata4[] = {
	{"169.254.169.254", 32}, {"169.254.170.2", 32},	  {"169.254.170.23", 32},
	{"169.254.169.253", 32}, {"169.254.169.123", 32}, {"100.100.100.200", 32},
	{"168.63.129.16", 32},
};

/* What lan opens, beside the host's networks: private, shared (RFC 6598), link-local addresses. */
static const struct net_prefix net_near4[] = {
	{"10.0.0.0", 8},    {"100.64.0.0", 10},	 {"169.254.0.0", 16},
	{"172.16.0.0", 12}, {"192.168.0.0", 16},
};

/*
 * Of IPv6: the unspecified, loopback and v4-compatible ones, v4-mapped, NAT64 of local use,
 * discard, Teredo, 6to4, site-local, multicast.
 */
static const struct net_prefix net_never6[] = {
	{"::", 96},	{"::ffff:0:0", 96}, {"64:ff9b:1::", 48}, {"100::", 64},
	{"2001::", 32}, {"2002::", 16},	    {"fec0::", 10},	 {"ff00::", 8},
};

static const struct net_prefix net_metadata6[] = {
	{"fd00:ec2::254", 128}, {"fd00:ec2::253", 128}, {"fd00:ec2::123", 128},
	{"fd00:ec2::23", 128},	{"fd20:ce::254", 128},
};

static const struct net_prefix net_near6[] = {{"fc00::", 7}, {"fe80::", 10}};

/* The address by way of NAT64 (RFC 6052), in the notation that nft reads. */
static void net_put_nat64(struct str_buf *out, struct in_addr address)
{
	uint32_t v4 = ntohl(address.s_addr);

	str_buf_printf(out, "64:ff9b::%x:%x", v4 >> 16, v4 & 0xffff);
}

static const char net_refused[] = " goto refuse\n";

/* "ip daddr { A/N, ... }" and @tail; @nat64: the same by way of NAT64 */
static void net_put_list(struct str_buf *out, const char *family, const struct net_prefix *list,
			 size_t n, bool nat64, const char *tail)
{
	str_buf_printf(out, "%s daddr {", nat64 ? "ip6" : family);
	for (size_t i = 0; i < n; i++) {
		struct in_addr v4 = {.s_addr = 0};

		str_buf_puts(out, i ? ", " : " ");
		if (nat64 && inet_pton(AF_INET, list[i].address, &v4) == 1)
			net_put_nat64(out, v4);
		else
			str_buf_puts(out, list[i].address);
		str_buf_printf(out, "/%u", list[i].bits + (nat64 ? 96 : 0));
	}
	str_buf_printf(out, " }%s", tail);
}

static void net_refuse4(struct str_buf *out, const struct net_prefix *list, size_t n)
{
	net_put_list(out, "ip", list, n, false, net_refused);
	net_put_list(out, "ip", list, n, true, net_refused);
}

static void net_refuse6(struct str_buf *out, const struct net_prefix *list, size_t n)
{
	net_put_list(out, "ip6", list, n, false, net_refused);
}

void net_put_address(struct str_buf *out, const struct net_address *a)
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(a->family, &a->at, text, sizeof(text));
	str_buf_puts(out, text);
}

static bool net_is_before(const struct net_address *host, size_t index)
{
	size_t size =
		host[index].family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);

	for (size_t i = 0; i < index; i++)
		if (host[i].family == host[index].family &&
		    memcmp(&host[i].at, &host[index].at, size) == 0)
			return true;
	return false;
}

/* An element of a set; in one of IPv6 an address of IPv4 is by way of NAT64. */
static void net_put_element(struct str_buf *out, const struct net_address *address, unsigned bits,
			    int family, size_t *n)
{
	bool nat64 = family == AF_INET6 && address->family == AF_INET;

	if (family == AF_INET && address->family == AF_INET6)
		return;
	str_buf_puts(out, (*n)++ ? ", " : "elements = { ");
	if (nat64)
		net_put_nat64(out, address->at.v4);
	else
		net_put_address(out, address);
	if (bits < (address->family == AF_INET ? 32 : 128))
		str_buf_printf(out, "/%u", bits + (nat64 ? 96 : 0));
}

/* Every address of the host once: a set with one twice is an error to nft. */
static void net_put_host_set(struct str_buf *out, const struct net_scene *scene, int family,
			     const char *type)
{
	const struct net_address *host = scene->host;
	size_t n = 0;

	str_buf_printf(out, "set " NET_SET_HOST "%s\n", type);
	for (size_t i = 0; i < scene->n_host; i++)
		if (!net_is_before(host, i))
			net_put_element(out, &host[i], 128, family, &n);
	str_buf_puts(out, n ? " }\n}\n" : "}\n");
	n = 0;
	str_buf_printf(out, "set " NET_SET_NETS "%s\nflags interval\n", type);
	for (size_t i = 0; i < scene->n_nets; i++)
		net_put_element(out, &scene->nets[i].address, scene->nets[i].bits, family, &n);
	str_buf_puts(out, n ? " }\n}\n" : "}\n");
}

/*
 * What is the host's own is in sets, by name: the monitor adds to them what the host gets while
 * the sandbox runs (run/net_watch.c).
 */
static void net_put_host_sets(struct str_buf *out, const struct net_scene *scene)
{
	net_put_host_set(out, scene, AF_INET, "4 {\ntype ipv4_addr");
	net_put_host_set(out, scene, AF_INET6, "6 {\ntype ipv6_addr");
}

void net_put_host(struct str_buf *out, const char *tail)
{
	str_buf_printf(out, "ip daddr @" NET_SET_HOST "4%s", tail);
	str_buf_printf(out, "ip daddr @" NET_SET_NETS "4%s", tail);
	str_buf_printf(out, "ip6 daddr @" NET_SET_HOST "6%s", tail);
	str_buf_printf(out, "ip6 daddr @" NET_SET_NETS "6%s", tail);
}

/* Each with its family in front, and @tail behind. */
void net_put_metadata(struct str_buf *out, const char *tail)
{
	net_put_list(out, "ip", net_metadata4, ARRAY_SIZE(net_metadata4), false, tail);
	net_put_list(out, "ip", net_metadata4, ARRAY_SIZE(net_metadata4), true, tail);
	net_put_list(out, "ip6", net_metadata6, ARRAY_SIZE(net_metadata6), false, tail);
}

/* The networks that the host is in, where their addresses are no private ones. */
static void net_put_links(struct str_buf *out, const struct net_scene *scene, int family,
			  bool nat64, const char *but, const char *tail)
{
	size_t n = 0;

	for (size_t i = 0; i < scene->n_links; i++) {
		const struct net_link *link = &scene->links[i];

		if (link->address.family != family)
			continue;
		if (n++ == 0)
			str_buf_printf(out, "%s%s daddr { ", but,
				       family == AF_INET6 || nat64 ? "ip6" : "ip");
		else
			str_buf_puts(out, ", ");
		if (nat64)
			net_put_nat64(out, link->address.at.v4);
		else
			net_put_address(out, &link->address);
		str_buf_printf(out, "/%u", link->bits + (nat64 ? 96 : 0));
	}
	if (n > 0)
		str_buf_printf(out, " }%s", tail);
}

/* @but4, @but6: what is in front, to leave some addresses out */
void net_put_near(struct str_buf *out, const struct net_scene *scene, const char *but4,
		  const char *but6, const char *tail)
{
	str_buf_puts(out, but4);
	net_put_list(out, "ip", net_near4, ARRAY_SIZE(net_near4), false, tail);
	net_put_list(out, "ip", net_near4, ARRAY_SIZE(net_near4), true, tail);
	str_buf_puts(out, but6);
	net_put_list(out, "ip6", net_near6, ARRAY_SIZE(net_near6), false, tail);
	net_put_links(out, scene, AF_INET, false, but4, tail);
	net_put_links(out, scene, AF_INET, true, "", tail);
	net_put_links(out, scene, AF_INET6, false, but6, tail);
}

/* Do all addresses whose first @bits are those of @address begin as @net does, of @net_bits? */
bool net_covers(const struct net_address *net, unsigned net_bits, const struct net_address *address,
		unsigned bits)
{
	const uint8_t *a = (const uint8_t *)&net->at, *b = (const uint8_t *)&address->at;

	if (net->family != address->family || bits < net_bits)
		return false;
	for (unsigned i = 0; i < net_bits; i++)
		if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	return true;
}

static bool net_prefix_has(const struct net_prefix *prefix, const struct net_address *address,
			   unsigned bits)
{
	struct net_address net = {.family = address->family};

	return inet_pton(net.family, prefix->address, &net.at) == 1 &&
	       net_covers(&net, prefix->bits, address, bits);
}

static bool net_list_has(const struct net_prefix *list, size_t n, const struct net_address *address,
			 unsigned bits)
{
	for (size_t i = 0; i < n; i++)
		if (net_prefix_has(&list[i], address, bits))
			return true;
	return false;
}

static bool net_is_private(const struct net_address *address, unsigned bits)
{
	return address->family == AF_INET
		       ? net_list_has(net_near4, ARRAY_SIZE(net_near4), address, bits)
		       : net_list_has(net_near6, ARRAY_SIZE(net_near6), address, bits);
}

/* Are all addresses that begin as this one does of those that lan opens? */
bool net_is_near(const struct net_scene *scene, const struct net_address *address, unsigned bits)
{
	for (size_t i = 0; i < scene->n_links; i++)
		if (net_covers(&scene->links[i].address, scene->links[i].bits, address, bits))
			return true;
	return net_is_private(address, bits);
}

static void net_allow_dns(struct str_buf *out, const struct net_address *address)
{
	str_buf_puts(out, address->family == AF_INET ? "ip" : "ip6");
	str_buf_puts(out, " daddr ");
	net_put_address(out, address);
	str_buf_puts(out, " meta l4proto { tcp, udp } th dport 53 accept\n");
}

/* How many members a shared network of this size has room for. */
unsigned net_members(unsigned prefix)
{
	unsigned room = (UINT32_MAX >> prefix) - NET_MEMBER_FIRST;

	return room < NET_MEMBERS_MAX ? room : NET_MEMBERS_MAX;
}

static struct net_address net_own(const struct net_words *words, uint32_t which)
{
	return (struct net_address){.family = AF_INET, .at.v4.s_addr = htonl(words->cidr + which)};
}

static const char *net_address_arg(struct arena *arena, const char *name,
				   const struct net_address *address)
{
	char room[INET6_ADDRSTRLEN];
	struct str_buf text = STR_BUF_ON_STACK(room);

	net_put_address(&text, address);
	return arena_printf(arena, "%s%s", name, text.data);
}

/* Is it of the network that slirp4netns makes? What of that is reached is no rule's matter. */
bool net_is_own(const struct net_words *words, const struct net_address *address)
{
	const struct net_prefix own6 = {net_first6, NET_PREFIX6};

	if (address->family == AF_INET6)
		return net_prefix_has(&own6, address, 128);
	return ((ntohl(address->at.v4.s_addr) ^ words->cidr) & ~(UINT32_MAX >> words->prefix)) == 0;
}

/* Is it what slirp4netns sends to the host's loopback, if it may? */
bool net_is_gateway(const struct net_words *words, const struct net_address *address)
{
	const struct net_address gateway = net_own(words, NET_GATEWAY);
	struct in6_addr gateway6;

	if (address->family == AF_INET)
		return address->at.v4.s_addr == gateway.at.v4.s_addr;
	return inet_pton(AF_INET6, net_gateway6, &gateway6) == 1 &&
	       IN6_ARE_ADDR_EQUAL(&address->at.v6, &gateway6);
}

/* Who is asked for names. Return: how many. */
size_t net_list_dns(const struct net_words *words, struct net_address ret[NET_DNS_MAX])
{
	size_t n = 0;

	if (words->no_dns)
		return 0;
	for (; n < words->n_dns; n++)
		ret[n] = words->dns[n];
	if (n > 0)
		return n;
	ret[n++] = net_own(words, NET_DNS);
	if (!words->ipv6)
		return n;
	ret[n].family = AF_INET6;
	(void)inet_pton(AF_INET6, net_dns6, &ret[n].at.v6);
	return n + 1;
}

/* What is needed, in front of what is refused. */
static void net_allow(struct str_buf *out, const struct net_words *words)
{
	const struct net_address gateway = net_own(words, NET_GATEWAY);
	struct net_address dns[NET_DNS_MAX];
	size_t n = net_list_dns(words, dns);

	for (size_t i = 0; i < n; i++)
		net_allow_dns(out, &dns[i]);
	if (words->allow_host_loopback) {
		str_buf_puts(out, "ip daddr ");
		net_put_address(out, &gateway);
		str_buf_puts(out, " accept\n");
	}
	if (words->allow_host_loopback && words->ipv6)
		str_buf_printf(out, "ip6 daddr %s accept\n", net_gateway6);
}

/* Can a packet of IPv6 pass? Without rules in front nothing is known of it. */
static bool net_has_ipv6(const struct net_words *words)
{
	return words->ipv6 || words->unfiltered;
}

/* What IPv6 cannot do without; or all of it is refused. */
static void net_rule_ipv6(struct str_buf *out, const struct net_words *words)
{
	if (net_has_ipv6(words))
		str_buf_puts(out, "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, "
				  "nd-neighbor-advert } accept\n");
	else
		str_buf_puts(out, "meta nfproto ipv6 goto refuse\n");
}

/* Who else may be in a shared network, as nft writes a range. */
void net_put_members(struct str_buf *out, const struct net_words *words)
{
	const struct net_address first = net_own(words, NET_MEMBER_FIRST);
	const struct net_address last =
		net_own(words, NET_MEMBER_FIRST + net_members(words->prefix) - 1);

	net_put_address(out, &first);
	str_buf_puts(out, "-");
	net_put_address(out, &last);
}

/* The rules of a member say what it may begin, so the set of those that it may answer is kept. */
static bool net_answers_members(const struct net_scene *scene)
{
	return scene->words->share[0] && scene->n_rules > 0;
}

static void net_put_heard(struct str_buf *out, const struct net_scene *scene)
{
	char room[NET_RANGE_BYTES];
	struct str_buf members = STR_BUF_ON_STACK(room);

	if (!net_answers_members(scene))
		return;
	net_put_members(&members, scene->words);
	publish_put_heard(out, members.data);
	str_buf_puts(out, "}\n");
}

/* The answers, and what the kernel itself says to members: or they would wait for nothing. */
static void net_put_answers(struct str_buf *out, const struct net_scene *scene)
{
	if (!net_answers_members(scene))
		return;
	str_buf_puts(out, "chain answers {\n");
	publish_put_replies(out, true);
	str_buf_puts(out, "icmp type { echo-reply, destination-unreachable, time-exceeded, "
			  "parameter-problem } accept\n}\n");
}

/* What is refused unless a word, or a rule that names it, opens it. */
static void net_put_filter(struct str_buf *out, const struct net_scene *scene, bool lan)
{
	const struct net_address own = net_own(scene->words, 0);

	net_allow(out, scene->words);
	if (scene->words->share[0]) {
		str_buf_puts(out, "ip daddr ");
		net_put_members(out, scene->words);
		str_buf_puts(out, " accept\n");
	}
	str_buf_puts(out, "ip daddr ");
	net_put_address(out, &own);
	str_buf_printf(out, "/%u goto refuse\nip6 daddr %s goto refuse\n", scene->words->prefix,
		       net_own6);
	net_put_host(out, net_refused);
	net_refuse4(out, net_never4, ARRAY_SIZE(net_never4));
	net_refuse6(out, net_never6, ARRAY_SIZE(net_never6));
	net_put_metadata(out, net_refused);
	if (!lan)
		net_put_near(out, scene, "", "", net_refused);
}

/*
 * The chains that a rule of --allow-net leads to: it does not open by the way what it does not
 * name. Without a verdict there the packet passes (nft(8), goto).
 */
static void net_put_chains(struct str_buf *out, const struct net_scene *scene)
{
	if (scene->n_rules == 0)
		return;
	str_buf_puts(out, "chain usual {\n");
	if (!scene->words->unfiltered)
		net_put_filter(out, scene, scene->words->lan);
	str_buf_puts(out, "}\nchain near {\n");
	if (!scene->words->unfiltered)
		net_put_filter(out, scene, true);
	str_buf_puts(out, "}\n");
}

/*
 * Where all of IPv6 is refused by one rule, in front, those behind it that name an address of
 * IPv6 are never asked, and would be a tenth of what nft does.
 */
static void net_drop_ipv6(char *rules)
{
	const char *from = rules;
	char *to = rules;

	while (*from) {
		size_t len = strcspn(from, "\n");

		len += from[len] == '\n';
		if (!str_starts_with(from, "ip6 daddr ")) {
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = '\0';
}

/* How many rules there are to be where all packets go through: each has a line. */
static unsigned net_count_rules(const char *rules)
{
	const char *line = strstr(rules, NET_HOOK);
	unsigned n = 0;

	assert(line);
	for (line += strlen(NET_HOOK); *line != '}'; line = strchr(line, '\n') + 1)
		n++;
	return n;
}

/**
 * The rules, as nft(8) reads them.
 *
 * Return: in the arena; NULL out of memory.
 */
char *net_rules(const struct net_scene *scene, struct arena *arena)
{
	const struct plan_net *plan = scene->words->plan;
	const struct net_address host_side = net_own(scene->words, NET_GATEWAY);
	const char *gateway = net_address_arg(arena, "", &host_side);
	size_t n = scene->n_host + scene->n_links + scene->n_nets;
	size_t size = NET_RULES_BYTES + 3 * n * NET_ADDRESS_BYTES +
		      (plan ? plan->n_ports * NET_PORT_BYTES : 0);
	struct str_buf out = {.size = size};

	for (size_t i = 0; i < scene->n_rules; i++)
		out.size += NET_RULE_BYTES + 2 * n * NET_ADDRESS_BYTES;
	out.data = arena_alloc(arena, out.size);
	if (!out.data || !gateway)
		return NULL;
	out.data[0] = '\0';
	str_buf_puts(&out, "table inet " NET_TABLE " {\n");
	net_put_host_sets(&out, scene);
	publish_put_tables(&out, plan, gateway);
	net_put_heard(&out, scene);
	str_buf_puts(&out, "chain refuse {\nmeta l4proto tcp reject with tcp reset\n"
			   "reject with icmpx admin-prohibited\n}\n");
	net_put_chains(&out, scene);
	net_put_answers(&out, scene);
	str_buf_puts(&out, "chain " NET_CHAIN " {\n" NET_HOOK "oifname \"lo\" accept\n");
	if (plan)
		publish_put_answers(&out, plan);
	if (net_answers_members(scene)) {
		str_buf_puts(&out, "ip daddr ");
		net_put_members(&out, scene->words);
		str_buf_puts(&out, " jump answers\n");
	}
	if (!scene->words->unfiltered)
		net_rule_ipv6(&out, scene->words);
	for (size_t i = 0; i < scene->n_rules; i++)
		netrule_put(&scene->rules[i], scene->kinds[i], scene, &out);
	if (scene->n_rules > 0)
		str_buf_puts(&out, "goto usual\n");
	else if (!scene->words->unfiltered)
		net_put_filter(&out, scene, scene->words->lan);
	str_buf_puts(&out, "}\n}\n");
	if (!net_has_ipv6(scene->words))
		net_drop_ipv6(out.data);
	return out.cut ? NULL : out.data;
}

/* ---- what the host has ---- */

static unsigned net_count_bits(const struct sockaddr *mask)
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

static bool net_is_never(const struct net_address *address, unsigned bits)
{
	return address->family == AF_INET
		       ? net_list_has(net_never4, ARRAY_SIZE(net_never4), address, bits)
		       : net_list_has(net_never6, ARRAY_SIZE(net_never6), address, bits);
}

/* In a list of which none is in another; that it is in none is known. */
static void net_add_widest(struct net_link *list, size_t *n, const struct net_link *link)
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
static void net_add_link(struct net_scene *scene, struct net_link *links,
			 const struct net_address *address, unsigned bits)
{
	bool v4 = address->family == AF_INET;
	struct net_link link = {.address = *address, .bits = bits};
	uint8_t *at = (uint8_t *)&link.address.at;

	if (bits < (v4 ? NET_LINK_MIN : NET_LINK_MIN_IPV6) || bits >= (v4 ? 32 : 128) ||
	    net_is_near(scene, address, bits) || net_is_never(address, bits))
		return;
	for (unsigned i = bits; i < (v4 ? 32 : 128); i++)
		at[i / 8] &= (uint8_t) ~(1U << (7 - i % 8));
	net_add_widest(links, &scene->n_links, &link);
}

static int net_refuse_many(struct sbx_err *err)
{
	return err_refuse(err, E2BIG, NULL, "the host has more than %d addresses to refuse",
			  NET_HOST_MAX);
}

static int net_find_host(struct arena *arena, struct net_scene *scene, struct sbx_err *err)
{
	struct net_address *list = arena_alloc(arena, NET_HOST_MAX * sizeof(*list));
	struct net_link *links = arena_alloc(arena, NET_HOST_MAX * sizeof(*links));
	struct ifaddrs *first;
	size_t n = 0;

	if (!list || !links)
		return err_oom(err);
	if (getifaddrs(&first) < 0)
		return err_system(err, errno, NULL, "cannot learn the host's addresses");
	scene->host = list;
	scene->links = links;
	for (const struct ifaddrs *i = first; i && n <= NET_HOST_MAX; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		if (n == NET_HOST_MAX) {
			n++;
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
		net_add_link(scene, links, &list[n], net_count_bits(i->ifa_netmask));
		n++;
	}
	freeifaddrs(first);
	if (n > NET_HOST_MAX)
		return net_refuse_many(err);
	scene->n_host = n;
	return 0;
}

/*
 * What the kernel's routes say is the host's own: addresses that no interface has, and prefixes. Of
 * these none is in another, for the sake of nft, or never reached anyway.
 */
static int net_find_routes(struct arena *arena, struct net_scene *scene, struct plan_net *net,
			   struct sbx_err *err)
{
	struct net_address *host = arena_alloc(arena, 2 * NET_HOST_MAX * sizeof(*host));
	struct net_link *all = arena_alloc(arena, NET_HOST_MAX * sizeof(*all));
	struct net_link *nets = arena_alloc(arena, NET_HOST_MAX * sizeof(*nets));
	size_t n = 0;
	int r;

	if (!host || !all || !nets)
		return err_oom(err);
	r = net_host_list(all, NET_HOST_MAX, &n);
	if (r == -E2BIG)
		return net_refuse_many(err);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot learn the host's routes");
	if (scene->n_host)
		memcpy(host, scene->host, scene->n_host * sizeof(*host));
	for (size_t i = 0; i < n; i++) {
		bool v4 = all[i].address.family == AF_INET;

		if (all[i].bits == (v4 ? 32 : 128)) {
			host[scene->n_host++] = all[i].address;
			continue;
		}
		if (!net_is_never(&all[i].address, all[i].bits))
			net_add_widest(nets, &scene->n_nets, &all[i]);
	}
	scene->host = host;
	scene->nets = nets;
	net->host = all;
	net->n_host = n;
	return 0;
}

static int net_find_helper(const struct sbx_spec *spec, const struct probe_host *host,
			   const char *name, const char **ret, struct sbx_err *err)
{
	const char *path = probe_helper(host, spec, name), *remedy;

	if (path && access(path, X_OK) < 0)
		return err_system(err, errno, path, "cannot be executed");
	*ret = path;
	if (path)
		return 0;
	(void)err_refuse(err, ENOENT, name, "is not installed");
	remedy = probe_helper_remedy(host, name);
	if (remedy && str_equal(name, "nft"))
		err_hint(err,
			 "%s; --net=user,unfiltered does without, and leaves the\n"
			 "host and its network within reach",
			 remedy);
	else if (remedy)
		err_hint(err, "%s", remedy);
	return -ENOENT;
}

/* As slirp4netns will. */
static int net_check_tun(struct sbx_err *err)
{
	int r = probe_device("/dev/net/tun", err);

	if (r < 0)
		hint_add(err, HINT_TUN);
	return r;
}

/*
 * slirp4netns would find out at the first connection, and tell nobody. To try is the one way
 * to know: what can be bound is not only what an interface has (ip-sysctl, ip_nonlocal_bind).
 */
static int net_check_outbound(const struct net_address *a, struct sbx_err *err)
{
	const struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_addr = a->at.v4};
	const struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_addr = a->at.v6};
	const struct sockaddr *at = a->family == AF_INET ? (const void *)&at4 : (const void *)&at6;
	char room[INET6_ADDRSTRLEN];
	struct str_buf text = STR_BUF_ON_STACK(room);
	_autoclose_ int fd = -1;
	int r;

	if (a->family == AF_UNSPEC)
		return 0;
	fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, at, a->family == AF_INET ? sizeof(at4) : sizeof(at6)) == 0)
		return 0;
	r = -errno;
	net_put_address(&text, a);
	(void)err_system(err, -r, text.data, "cannot be the address that is sent from (outbound=)");
	if (r == -EADDRNOTAVAIL)
		err_hint(err,
			 "choose one of the host's, see \"ip address\"; or leave outbound= out, "
			 "and the host\nchooses");
	return r;
}

/* ---- the plan ---- */

/* NULL: out of memory. Without a resolver the file says so, or the caller's would be guessed. */
const char *net_resolv_conf(const struct net_words *words, struct arena *arena)
{
	char room[NET_DNS_MAX * (INET6_ADDRSTRLEN + sizeof("nameserver \n")) + 64];
	struct str_buf out = STR_BUF_ON_STACK(room);
	const struct net_address own = net_own(words, NET_DNS);

	if (words->no_dns)
		str_buf_puts(&out, "# --net=user,dns=none: no resolver\n");
	for (size_t i = 0; i < words->n_dns; i++) {
		str_buf_puts(&out, "nameserver ");
		net_put_address(&out, &words->dns[i]);
		str_buf_puts(&out, "\n");
	}
	if (words->n_dns == 0 && !words->no_dns) {
		str_buf_puts(&out, "nameserver ");
		net_put_address(&out, &own);
		str_buf_printf(&out, "\n%s%s%s", words->ipv6 ? "nameserver " : "",
			       words->ipv6 ? net_dns6 : "", words->ipv6 ? "\n" : "");
	}
	return arena_dup(arena, out.data);
}

static void net_add_arg(struct plan_net *net, const char *arg, bool *lacks)
{
	*lacks |= !arg;
	net->args[net->n_args++] = arg;
	assert(net->n_args < PLAN_NET_ARGS_MAX);
}

/* Those of slirp4netns's options that do not depend on descriptors. */
static int net_args(const struct net_words *words, struct arena *arena, struct plan_net *net)
{
	const struct net_address own = net_own(words, 0);
	bool lacks = false;

	if (!words->share[0])
		net_add_arg(net, "--configure", &lacks); /* else it is a port of a bridge */
	net_add_arg(net, "--enable-seccomp", &lacks);
	if (net->has_own_sandbox)
		net_add_arg(net, "--enable-sandbox", &lacks);
	net_add_arg(net, arena_printf(arena, "--mtu=%u", words->mtu), &lacks);
	net_add_arg(net,
		    arena_printf(arena, "%s/%u", net_address_arg(arena, "--cidr=", &own),
				 words->prefix),
		    &lacks);
	/* A published UDP port could not be answered: see publish.c. */
	if (!words->allow_host_loopback && !net->answers_udp)
		net_add_arg(net, "--disable-host-loopback", &lacks);
	if (words->no_dns || words->n_dns)
		net_add_arg(net, "--disable-dns", &lacks);
	if (words->ipv6)
		net_add_arg(net, "--enable-ipv6", &lacks);
	if (words->outbound.family)
		net_add_arg(net, net_address_arg(arena, "--outbound-addr=", &words->outbound),
			    &lacks);
	if (words->outbound6.family)
		net_add_arg(net, net_address_arg(arena, "--outbound-addr6=", &words->outbound6),
			    &lacks);
	return lacks ? -ENOMEM : 0;
}

static const char *net_text(const struct net_words *words, struct arena *arena)
{
	if (words->share[0] && !words->internet)
		return arena_printf(arena, "the sandboxes that share the network %s, and no more",
				    words->share);
	return arena_printf(
		arena, "%s%s%s%s%s%s",
		words->share[0] ? "the sandboxes that share the network " : "", words->share,
		words->share[0] ? ", and " : "",
		words->unfiltered
			? "all that the host can reach, its own addresses and its network "
			  "included"
		: words->lan ? "the internet and the host's network, but not the host or metadata "
			       "services"
			     : "the internet, but not the host, its network or metadata services",
		words->allow_host_loopback ? "; the host's loopback is the gateway's address" : "",
		words->ipv6 ? "; with IPv6" : "");
}

static bool net_maps_zero(const struct plan_map *map)
{
	for (size_t i = 0; i < map->n_lines; i++)
		if (map->lines[i].inside == 0)
			return true;
	return false;
}

/*
 * slirp4netns hides the host's files from itself as uid 0 of the sandbox's user namespace
 * (or of its own, where the caller is root there), so that id must exist.
 */
static bool net_can_hide_files(const struct probe_host *host, const struct plan_map *uid_map,
			       const struct plan_map *gid_map)
{
	return host->uid == 0 || (net_maps_zero(uid_map) && net_maps_zero(gid_map));
}

/* What slirp4netns is started with, as whoever has these ids. */
static int net_fill_args(const struct probe_host *host, const struct net_words *words,
			 const struct plan_map *uid_map, const struct plan_map *gid_map,
			 struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_net *net = &plan->net;

	if (!words->internet)
		return 0;
	net->has_own_sandbox = net_can_hide_files(host, uid_map, gid_map);
	net->by_pid = net->has_own_sandbox && host->uid != 0;
	return net_args(words, &plan->arena, net) < 0 ? err_oom(err) : 0;
}

static int net_remark(const struct net_words *words, const struct sbx_spec *spec,
		      struct sbx_plan *plan)
{
	const struct plan_net *net = &plan->net;
	const char *helper = net->share ? net->share->helper : net->helper;
	int r = plan_add_remark(plan, "network", "%s%s%s; %s%s", helper ? helper : "",
				helper ? ": " : "", net->text, net->nft ? "rules by " : "no rules",
				net->nft ? net->nft : "");

	if (r == 0 && helper && !net->has_own_sandbox)
		r = plan_add_remark(plan, "network",
				    "slirp4netns has its filter of system calls, but not its own "
				    "mount namespace, which takes an id 0 inside (--map=range, "
				    "--root)");
	for (size_t i = 0; i < spec->n_net_rules && r == 0; i++)
		r = plan_add_remark(plan, "network", "rule %zu: %s %s", i + 1,
				    spec_net_rule_names[spec->net_rules[i].kind],
				    spec->net_rules[i].text);
	if (r == 0 && words->unfiltered)
		r = plan_add_remark(plan, "exposed",
				    "the host's own addresses, its network and metadata services "
				    "(unfiltered)");
	if (r == 0 && words->lan)
		r = plan_add_remark(plan, "exposed", "the host's network (lan)");
	if (r == 0 && words->allow_host_loopback)
		r = plan_add_remark(plan, "exposed",
				    "what listens on the host's loopback (allow-host-loopback)");
	if (r == 0 && words->keep)
		r = plan_add_remark(plan, "network",
				    "if slirp4netns ends, the sandbox goes on without it "
				    "(on-death=keep)");
	return r == 0 ? publish_remark(plan) : r;
}

/* A rule that opens nothing, as a word of --net is missing, is not what was meant. */
static int net_check_allowed(const struct net_words *words, const struct netrule *rule,
			     const char *text, struct sbx_err *err)
{
	static const char option[] = "--allow-net";

	if (rule->where == NETRULE_DNS && words->no_dns)
		return net_bad(option, text,
			       "there is no resolver with dns=none (--net=user,dns=none)", err);
	if (rule->where != NETRULE_ADDRESS)
		return 0;
	if (rule->address.family == AF_INET6 && !words->ipv6)
		return net_bad(option, text,
			       "there is no IPv6 without the word ipv6 (--net=user,ipv6)", err);
	if (!words->allow_host_loopback && words->internet && netrule_is_single(rule) &&
	    net_is_gateway(words, &rule->address))
		return net_bad(option, text,
			       "the gateway leads to the host's loopback, which no rule opens, but "
			       "the word allow-host-loopback (--net=user,allow-host-loopback)",
			       err);
	return 0;
}

/* The rules of the options, as read once more: a spec can come from a file. */
static int net_read_rules(const struct sbx_spec *spec, struct arena *arena, struct net_scene *scene,
			  struct sbx_err *err)
{
	size_t n = spec->n_net_rules;
	struct netrule *rules = arena_alloc(arena, (n + 1) * sizeof(*rules));
	enum spec_net_rule_kind *kinds = arena_alloc(arena, (n + 1) * sizeof(*kinds));

	if (!rules || !kinds)
		return err_oom(err);
	if (n > NETRULES_MAX)
		return err_usage(err, spec->net_rules[0].cause.option,
				 "there can be %d rules at most", NETRULES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct spec_net_rule *rule = &spec->net_rules[i];
		int r = netrule_read(rule->text,
				     rule->kind == SPEC_NET_ALLOW ? "--allow-net" : "--deny-net",
				     &rules[i], err);

		if (r == 0 && rule->kind == SPEC_NET_ALLOW)
			r = net_check_allowed(scene->words, &rules[i], rule->text, err);
		if (r < 0)
			return r;
		kinds[i] = rule->kind;
	}
	scene->rules = rules;
	scene->kinds = kinds;
	scene->n_rules = n;
	return 0;
}

/* ---- what the members of a shared network say alike ---- */

static void net_put_word(struct str_buf *out, const char *name, const struct net_address *address)
{
	if (!address->family)
		return;
	str_buf_printf(out, ",%s", name);
	net_put_address(out, address);
}

/*
 * What is behind the name of a network that reaches the internet, as far as it is about the whole
 * network and not about one member; as it is written. NULL: out of memory.
 */
static const char *net_share_key(const struct net_words *words, struct arena *arena)
{
	const struct net_address own = net_own(words, 0);
	char room[512];
	struct str_buf out = STR_BUF_ON_STACK(room);

	str_buf_printf(&out, "user%s%s%s", words->ipv6 ? ",ipv6" : "",
		       words->allow_host_loopback ? ",allow-host-loopback" : "",
		       words->no_dns ? ",dns=none" : "");
	for (size_t i = 0; i < words->n_dns; i++)
		net_put_word(&out, "dns=", &words->dns[i]);
	if (words->cidr != NET_CIDR || words->prefix != NET_PREFIX) {
		net_put_word(&out, "cidr=", &own);
		str_buf_printf(&out, "/%u", words->prefix);
	}
	if (words->mtu != NET_MTU)
		str_buf_printf(&out, ",mtu=%u", words->mtu);
	net_put_word(&out, "outbound=", &words->outbound);
	net_put_word(&out, "outbound=", &words->outbound6);
	assert(!out.cut);
	return arena_dup(arena, out.data);
}

/* All words of that name in a key, with commas between them. */
static void net_key_find(const char *key, const char *name, struct str_buf *out)
{
	bool takes_value = name[strlen(name) - 1] == '=';

	for (const char *at = key; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (strncmp(at, name, strlen(name)) == 0 && (takes_value || len == strlen(name)))
			str_buf_printf(out, "%s%.*s", out->len ? "," : "", (int)len, at);
		at += len;
	}
}

/* Is one word said alike? Who answers for names each member says for itself, but not whether. */
static bool net_key_agrees(const char *name, const struct str_buf *ours,
			   const struct str_buf *theirs)
{
	return str_equal(name, "dns=") ? (ours->len == 0) == (theirs->len == 0)
				       : str_equal(ours->data, theirs->data);
}

/**
 * Do two keys differ?
 * @ours:   of the network that is there
 * @theirs: of who asks; outside data
 * @ret:    how, as the words behind "is there already, "; NULL: it does not matter
 */
bool net_key_differs(const char *ours, const char *theirs, struct str_buf *ret)
{
	if (!ours[0] != !theirs[0]) {
		if (ret)
			str_buf_printf(ret, "and has %s internet", ours[0] ? "the" : "no");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(net_subs); i++) {
		char our_room[256], their_room[256];
		struct str_buf our = STR_BUF_ON_STACK(our_room);
		struct str_buf their = STR_BUF_ON_STACK(their_room);

		net_key_find(ours, net_subs[i].name, &our);
		net_key_find(theirs, net_subs[i].name, &their);
		if (net_key_agrees(net_subs[i].name, &our, &their))
			continue;
		if (ret)
			str_buf_printf(ret, "%s %s%s%s", our.len ? "with" : "without",
				       our.len ? our.data : their.data,
				       our.len && their.len ? ", not " : "",
				       our.len && their.len ? their.data : "");
		return true;
	}
	return false;
}

/* The ids of the user namespace above the members: all that this one has, under usual names. */
static int net_share_map(const struct plan_map *map, struct arena *arena, struct plan_map *ret,
			 struct sbx_err *err)
{
	struct probe_range *ranges = arena_alloc(arena, (map->n_lines + 1) * sizeof(*ranges));
	size_t n = 0;

	if (!ranges)
		return err_oom(err);
	for (size_t i = 0; i < map->n_lines; i++)
		if (map->lines[i].outside != map->own_outside)
			ranges[n++] =
				(struct probe_range){map->lines[i].outside, map->lines[i].count};
	/* Copies: the process that holds the network wipes what the originals may lie in. */
	ret->helper = map->helper ? arena_dup(arena, map->helper) : NULL;
	if (map->helper && !ret->helper)
		return err_oom(err);
	return idmap_lay_out(ranges, n, map->own_outside, map->own_outside, arena, ret, err);
}

/* Only when the rest of the network is known. */
static int net_fill_share(const struct probe_host *host, const struct net_words *words,
			  const char *helper, struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_share *share = arena_alloc(&plan->arena, sizeof(*share));
	int r;

	if (!share)
		return err_oom(err);
	memset(share, 0, sizeof(*share));
	share->name = arena_dup(&plan->arena, words->share);
	share->helper = helper ? arena_dup(&plan->arena, helper) : NULL;
	share->key = helper ? net_share_key(words, &plan->arena) : "";
	share->first.s_addr = htonl(words->cidr);
	share->gateway.s_addr = htonl(words->cidr + NET_GATEWAY);
	share->prefix = words->prefix;
	share->mtu = words->mtu;
	if (!share->name || !share->key || (helper && !share->helper) ||
	    records_add_networks(host, plan, share->dirs) < 0)
		return err_oom(err);
	r = net_share_map(&plan->uid_map, &plan->arena, &share->uid_map, err);
	if (r == 0)
		r = net_share_map(&plan->gid_map, &plan->arena, &share->gid_map, err);
	if (r == 0)
		r = idmap_split(&share->uid_map, &plan->arena, &plan->uid_map, err);
	if (r == 0)
		r = idmap_split(&share->gid_map, &plan->arena, &plan->gid_map, err);
	if (r == 0)
		r = net_fill_args(host, words, &share->uid_map, &share->gid_map, plan, err);
	plan->net.share = share;
	return r;
}

/* Members that have no rules of their own need none where nothing leads out. */
static bool net_needs_rules(const struct sbx_spec *spec, const struct net_words *words)
{
	return spec->n_net_rules > 0 || (words->internet && !words->unfiltered);
}

/* What slirp4netns has of IPv6 is always the same (slirp4netns(1)). */
static int net_fill_ipv6(const struct net_words *words, struct sbx_plan *plan)
{
	struct plan_net6 *ipv6 = arena_alloc(&plan->arena, sizeof(*ipv6));

	if (!ipv6)
		return -ENOMEM;
	*ipv6 = (struct plan_net6){.prefix = NET_PREFIX6, .own = net_own(words, NET_GUEST).at.v4};
	(void)inet_pton(AF_INET6, net_first6, &ipv6->first);
	(void)inet_pton(AF_INET6, net_gateway6, &ipv6->gateway);
	plan->net.ipv6 = ipv6;
	return 0;
}

/* The files of /etc. */
static int net_fill_files(const struct net_words *words, struct sbx_plan *plan, struct sbx_err *err)
{
	const struct net_address gateway = net_own(words, NET_GATEWAY);
	struct plan_net *net = &plan->net;

	if (!words->internet)
		return 0;
	net->resolv_conf = net_resolv_conf(words, &plan->arena);
	if (words->allow_host_loopback)
		net->gateway = net_address_arg(&plan->arena, "", &gateway);
	if (!net->resolv_conf || (words->allow_host_loopback && !net->gateway) ||
	    (words->ipv6 && net_fill_ipv6(words, plan) < 0))
		return err_oom(err);
	return 0;
}

static int net_fill(const struct sbx_spec *spec, const struct probe_host *host,
		    const struct net_words *words, struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_net *net = &plan->net;
	struct net_scene scene = {.words = words};
	const char *helper = NULL;
	int r = words->internet ? net_find_helper(spec, host, "slirp4netns", &helper, err) : 0;

	if (r == 0 && words->internet)
		r = net_check_tun(err);
	if (r == 0)
		r = net_check_outbound(&words->outbound, err);
	if (r == 0)
		r = net_check_outbound(&words->outbound6, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_helper(spec, host, "nft", &net->nft, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_host(&plan->arena, &scene, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_routes(&plan->arena, &scene, net, err);
	if (r == 0)
		r = net_read_rules(spec, &plan->arena, &scene, err);
	if (r == 0)
		r = net_fill_files(words, plan, err);
	if (r == 0)
		r = words->share[0]
			    ? net_fill_share(host, words, helper, plan, err)
			    : net_fill_args(host, words, &plan->uid_map, &plan->gid_map, plan, err);
	if (r < 0)
		return r;
	if (!words->share[0])
		net->helper = helper;
	net->survives = words->keep;
	net->text = net_text(words, &plan->arena);
	if (net->nft)
		net->rules = net_rules(&scene, &plan->arena);
	if (!net->text || (net->nft && !net->rules) || net_remark(words, spec, plan) < 0)
		return err_oom(err);
	net->n_rules = net->nft ? net_count_rules(net->rules) : 0;
	return 0;
}

/* What a member's user namespace cannot be at the same time. */
static int net_check_share(const struct sbx_spec *spec, const struct probe_host *host,
			   const struct net_words *words, const char *option, struct sbx_err *err)
{
	const char *const names[] = {BASE_HOSTS_NAMES, host->hostname};
	static const char *const others[] = {"--userns", "--pidns", "--userns-block-fd"};
	const int64_t fds[] = {spec->userns_fd, spec->pidns_fd, spec->userns_block_fd};

	for (size_t i = 0; spec->name && i < ARRAY_SIZE(names); i++)
		if (names[i] && strcasecmp(spec->name, names[i]) == 0)
			return err_usage(err, "--name",
					 "\"%s\" stands for something else in every /etc/hosts; to "
					 "the others of %s it takes another",
					 spec->name, option);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (fds[i] >= 0)
			return err_usage(err, option,
					 "cannot be combined with %s: the members of a network are "
					 "children of one user namespace, that of the network",
					 others[i]);
	if (words->keep)
		return err_usage(err, option,
				 "on-death=keep is for --net=user: a network that is shared ends "
				 "with its slirp4netns, and its members with it");
	return publish_refuse_without_net(spec, err);
}

/* Rules are for a network that sbx makes. */
static int net_check_no_rules(const struct sbx_spec *spec, const struct sbx_plan *plan,
			      struct sbx_err *err)
{
	const char *option;

	if (spec->n_net_rules == 0)
		return 0;
	option = spec->net_rules[0].kind == SPEC_NET_ALLOW ? "--allow-net" : "--deny-net";
	(void)err_usage(err, option, "%s",
			plan->netns_fd >= 0
				? "cannot be enforced on a network that was made elsewhere"
			: plan->namespaces & CLONE_NEWNET
				? "there is no network that the rule could be for"
				: "cannot be enforced on the host's network, which is not the "
				  "sandbox's to rule");
	err_hint(err, "add --net=user, which reaches the internet by rules");
	return -EINVAL;
}

/* ---- a namespace made elsewhere ---- */

/* Are two descriptors of the same namespace? */
static bool net_is_same_ns(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int net_refuse_fd(const char *option, int number, const char *what, struct sbx_err *err)
{
	(void)err_refuse(err, number, NULL, "%s", what);
	err_set_option(err, option);
	if (number == EPERM)
		hint_add(err, HINT_NETNS);
	else
		err_hint(err, "open one, for example: sbx --net=fd:7 ... 7< /proc/PID/ns/net");
	return -number;
}

/* Who owns it has to be entered first, where that is neither the caller's own nor --userns. */
static int net_choose_owner(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	_autoclose_ int owner = ioctl(plan->netns_fd, NS_GET_USERNS);
	_autoclose_ int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	const char *option = plan->net.option;
	uint64_t caps = 0;

	if (owner < 0)
		return net_refuse_fd(
			option, EPERM,
			"the network namespace belongs to a user namespace that is not "
			"below yours",
			err);
	if (net_is_same_ns(owner, (int)spec->userns_fd))
		return 0;
	if (!net_is_same_ns(owner, own)) {
		plan->enters_owner = true;
		if (!(plan->namespaces & CLONE_NEWUSER) || spec->userns_block_fd >= 0 ||
		    spec->pidns_fd >= 0)
			return net_refuse_fd(option, EINVAL,
					     "the network namespace belongs to another user "
					     "namespace, below which the sandbox is to have one of "
					     "its own, with ids of sbx's",
					     err);
		return 0;
	}
	if (sys_capget(&caps) == 0 && !(caps >> CAP_SYS_ADMIN & 1))
		return net_refuse_fd(option, EPERM,
				     "the network namespace belongs to the user namespace that you "
				     "are in, and you have no CAP_SYS_ADMIN there",
				     err);
	return 0;
}

/* What is for a network that sbx makes. Return: 0, or -errno with *err filled. */
static int net_check_none(const struct sbx_spec *spec, const struct sbx_plan *plan,
			  struct sbx_err *err)
{
	int r = publish_refuse_without_net(spec, err);

	return r < 0 ? r : net_check_no_rules(spec, plan, err);
}

/* --net=fd:N */
static int net_choose_fd(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	int64_t fd = net_read_fd(spec->net);
	int r;

	plan->net.option = arena_printf(&plan->arena, "--net=%s", spec->net);
	if (!plan->net.option)
		return err_oom(err);
	if (fd < 0 || fcntl((int)fd, F_GETFD) < 0)
		return net_refuse_fd(plan->net.option, EBADF, "there is no such descriptor", err);
	if (ioctl((int)fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return net_refuse_fd(plan->net.option, EINVAL,
				     "the descriptor is not a network namespace's", err);
	plan->netns_fd = (int)fd;
	r = net_check_none(spec, plan, err);
	if (r == 0)
		r = net_choose_owner(spec, plan, err);
	if (r < 0)
		return r;
	return plan_add_remark(
		       plan, "network",
		       "that of descriptor %d, made elsewhere: what it reaches, the sandbox "
		       "does",
		       (int)fd) < 0
		       ? err_oom(err)
		       : 0;
}

/**
 * Fill plan->net.
 * @plan: its namespaces are there already
 *
 * Return: 0, or -errno with *err filled.
 */
int net_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
	       struct sbx_err *err)
{
	struct net_words words = {.cidr = NET_CIDR};
	const char *option;
	int r;

	if (!spec->net)
		return net_check_none(spec, plan, err);
	if (str_starts_with(spec->net, NET_FD))
		return net_choose_fd(spec, plan, err);
	r = net_read(spec->net, "--net", &words, err);
	if (r < 0)
		return r;
	option =
		words.share[0] ? arena_printf(&plan->arena, "--net=%s", words.share) : "--net=user";
	if (!option)
		return err_oom(err);
	plan->net.option = option;
	if (words.share[0] && !(plan->namespaces & CLONE_NEWUSER))
		return err_usage(err, option, "needs a user namespace; add --unshare-user");
	r = words.share[0] ? net_check_share(spec, host, &words, option, err) : 0;
	if (r < 0)
		return r;
	if (!(plan->namespaces & CLONE_NEWUSER) && plan->parent_userns_fd < 0)
		return err_usage(err, option, "needs a user namespace; add --unshare-user");
	words.plan = words.share[0] ? NULL : &plan->net;
	r = publish_choose(spec, &words, plan, err);
	if (r < 0)
		return r;
	r = net_fill(spec, host, &words, plan, err);
	if (r < 0)
		err_set_option(err, option);
	return r;
}
