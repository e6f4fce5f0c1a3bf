/* SPDX-License-Identifier: MIT */
/*
 * net_filter: the rules of nftables, as text; see net_parts.h.
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
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/spec/net_parts.h"
#include "sbx/spec/netrules.h"
#include "sbx/spec/publish.h"

enum {
	NET_RULES_BYTES = 16384,
	NET_RULE_BYTES = 1536,
	NET_PORT_BYTES = 128,			      /* in the rules */
	NET_RANGE_BYTES = 2 * INET_ADDRSTRLEN + 1,    /* of addresses of IPv4 */
	NET_ADDRESS_BYTES = 2 * INET6_ADDRSTRLEN + 8, /* in the rules: as it is, and by NAT64 */
};

#define NET_HOOK "type filter hook output priority 0; policy accept;\n"

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
	n = 0;
	str_buf_printf(out, "set " NET_SET_LINKS "%s\nflags interval\n", type);
	for (size_t i = 0; i < scene->n_links; i++)
		net_put_element(out, &scene->links[i].address, scene->links[i].bits, family, &n);
	str_buf_puts(out, n ? " }\n}\n" : "}\n");
}

/*
 * What is the host's own, and the networks that it is in, are in sets, by name: the monitor adds to
 * them what the host gets while the sandbox runs (run/net_watch.c).
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

/*
 * Private addresses, and the networks that the host is in where they have others.
 * @but4, @but6: what is in front, to leave some addresses out
 */
void net_put_near(struct str_buf *out, const char *but4, const char *but6, const char *tail)
{
	str_buf_puts(out, but4);
	net_put_list(out, "ip", net_near4, ARRAY_SIZE(net_near4), false, tail);
	net_put_list(out, "ip", net_near4, ARRAY_SIZE(net_near4), true, tail);
	str_buf_puts(out, but6);
	net_put_list(out, "ip6", net_near6, ARRAY_SIZE(net_near6), false, tail);
	str_buf_printf(out, "%sip daddr @" NET_SET_LINKS "4%s", but4, tail);
	str_buf_printf(out, "%sip6 daddr @" NET_SET_LINKS "6%s", but6, tail);
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

bool net_is_never(const struct net_address *address, unsigned bits)
{
	return address->family == AF_INET
		       ? net_list_has(net_never4, ARRAY_SIZE(net_never4), address, bits)
		       : net_list_has(net_never6, ARRAY_SIZE(net_never6), address, bits);
}

bool net_is_private(const struct net_address *address, unsigned bits)
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

/* Is it of the network that slirp4netns makes? What of that is reached is no rule's matter. */
bool net_is_own(const struct net_words *words, const struct net_address *address)
{
	const struct net_prefix own6 = {NET_FIRST6, NET_PREFIX6};

	if (address->family == AF_INET6)
		return net_prefix_has(&own6, address, 128);
	return ((ntohl(address->at.v4.s_addr) ^ words->cidr) & ~(UINT32_MAX >> words->prefix)) == 0;
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
		str_buf_printf(out, "ip6 daddr %s accept\n", NET_GATEWAY6);
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
		       NET_OWN6);
	net_put_host(out, net_refused);
	net_refuse4(out, net_never4, ARRAY_SIZE(net_never4));
	net_refuse6(out, net_never6, ARRAY_SIZE(net_never6));
	net_put_metadata(out, net_refused);
	if (!lan)
		net_put_near(out, "", "", net_refused);
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
unsigned net_count_rules(const char *rules)
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
