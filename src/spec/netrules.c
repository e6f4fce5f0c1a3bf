/* SPDX-License-Identifier: MIT */
/*
 * netrules: see netrules.h.
 *
 *     RULE = WHERE[:PORTS][/PROTO]
 *     WHERE = any | lan | link-local | metadata | host | dns | ADDRESS[/BITS]
 *     PORTS = N or N-M, several with commas;  PROTO = tcp | udp | icmp
 *
 * An address of IPv6 that ports follow stands in brackets. A name of DNS is refused: nftables
 * knows addresses, those of a name change, and many names share one; whoever may choose his own
 * resolver, or needs none, would not be held by it.
 *
 * A rule that allows leads to one of three places (net_put_chains() makes two of them). What is
 * one address, or the word for it, was meant: accept. Private addresses, or lan, get what the
 * word lan behind --net=user gives: not the host's own, and no metadata. All else, be it "any",
 * opens nothing that was refused without it. A rule that denies leads to one.
 *
 * The resolver has an address of slirp4netns's network, which is a private one, and so have the
 * members of a shared network; "lan" means the host's network and leaves them out. So do
 * addresses that nobody could think of it.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sbx/spec/netrules.h"

enum {
	NETRULE_MAPPED_BITS = 96,
	NETRULE_TEXT_MAX = 256,
	NETRULE_TAIL_BYTES = 512,
	NETRULE_BUT_BYTES = 256
};

static const struct {
	const char *name;
	enum netrule_where where;
} netrule_words[] = {
	{"any", NETRULE_ANY},		{"lan", NETRULE_LAN},	{"link-local", NETRULE_LINK_LOCAL},
	{"metadata", NETRULE_METADATA}, {"host", NETRULE_HOST}, {"dns", NETRULE_DNS},
};

static const struct {
	const char *name;
	enum netrule_protocol protocol;
} netrule_protocols[] = {
	{"tcp", NETRULE_TCP},
	{"udp", NETRULE_UDP},
	{"icmp", NETRULE_ICMP},
};

/* ---- reading ---- */

/* Behind the last slash, where that is a protocol and not a number of bits. */
static int netrule_take_protocol(char *text, struct netrule *rule)
{
	char *slash = strrchr(text, '/');

	if (!slash || (slash[1] >= '0' && slash[1] <= '9'))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(netrule_protocols); i++)
		if (str_equal(slash + 1, netrule_protocols[i].name)) {
			rule->protocol = netrule_protocols[i].protocol;
			*slash = '\0';
			return 0;
		}
	return -EINVAL;
}

/* N or N-M. */
static int netrule_read_port(const char *text, struct netrule_ports *ret)
{
	char first[8], *dash;
	uint64_t low, high;

	if (strlen(text) >= 2 * sizeof(first))
		return -EINVAL;
	dash = strchr(text, '-');
	if (dash && (size_t)(dash - text) >= sizeof(first))
		return -EINVAL;
	str_copy(first, dash ? (size_t)(dash - text) + 1 : sizeof(first), text);
	if (str_parse_u64(first, 10, UINT16_MAX, &low) < 0)
		return -EINVAL;
	high = low;
	if (dash && str_parse_u64(dash + 1, 10, UINT16_MAX, &high) < 0)
		return -EINVAL;
	if (low == 0 || high < low)
		return -EINVAL;
	*ret = (struct netrule_ports){(uint16_t)low, (uint16_t)high};
	return 0;
}

/* In order and apart: to nft a set with a port twice is an error. */
static int netrule_add_ports(struct netrule *rule, struct netrule_ports more)
{
	size_t at = 0, end;

	while (at < rule->n_ports && rule->ports[at].last < more.first)
		at++;
	for (end = at; end < rule->n_ports && rule->ports[end].first <= more.last; end++) {
		if (rule->ports[end].first < more.first)
			more.first = rule->ports[end].first;
		if (rule->ports[end].last > more.last)
			more.last = rule->ports[end].last;
	}
	if (at == end && rule->n_ports == NETRULE_PORTS_MAX)
		return -E2BIG;
	memmove(&rule->ports[at + 1], &rule->ports[end],
		(rule->n_ports - end) * sizeof(*rule->ports));
	rule->n_ports = rule->n_ports + 1 - (end - at);
	rule->ports[at] = more;
	return 0;
}

static int netrule_read_ports(char *text, struct netrule *rule)
{
	char *word;

	while ((word = strsep(&text, ","))) {
		struct netrule_ports ports;

		if (netrule_read_port(word, &ports) < 0 || netrule_add_ports(rule, ports) < 0)
			return -EINVAL;
	}
	return 0;
}

/* Are the bits behind the first ones 0? */
static bool netrule_is_first(const struct net_address *address, unsigned bits)
{
	const uint8_t *at = (const uint8_t *)&address->at;
	unsigned all = address->family == AF_INET ? 32 : 128;

	for (unsigned i = bits; i < all; i++)
		if ((at[i / 8] >> (7 - i % 8)) & 1)
			return false;
	return true;
}

/*
 * The kernel sends to ::ffff:A.B.C.D as to A.B.C.D, by IPv4 (RFC 4291, 2.5.5.2). So a rule for
 * these is one for IPv4. What names them and more would not do what it says; but ::/0 is read as
 * the word for all of IPv6. Return: 0, or -EDOM.
 */
static int netrule_take_mapped(struct netrule *rule)
{
	static const struct in6_addr first = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
	const uint8_t *at = rule->address.at.v6.s6_addr;
	unsigned same = rule->bits < NETRULE_MAPPED_BITS ? rule->bits : NETRULE_MAPPED_BITS;
	struct in_addr v4;

	for (unsigned i = 0; i < same; i++)
		if (((at[i / 8] ^ first.s6_addr[i / 8]) >> (7 - i % 8)) & 1)
			return 0;
	if (rule->bits < NETRULE_MAPPED_BITS)
		return rule->bits == 0 ? 0 : -EDOM;
	memcpy(&v4, at + NETRULE_MAPPED_BITS / 8, sizeof(v4));
	rule->address = (struct net_address){.family = AF_INET, .at.v4 = v4};
	rule->bits -= NETRULE_MAPPED_BITS;
	return 0;
}

/* ADDRESS or ADDRESS/BITS. Return: 0; -EINVAL; -ERANGE: the bits are wrong; -EDOM: see above. */
static int netrule_read_address(char *text, struct netrule *rule)
{
	char *slash = strchr(text, '/');
	uint64_t bits;

	if (slash)
		*slash = '\0';
	if (net_parse_address(text, &rule->address) < 0)
		return -EINVAL;
	rule->where = NETRULE_ADDRESS;
	rule->bits = rule->address.family == AF_INET ? 32 : 128;
	if (slash) {
		if (str_parse_u64(slash + 1, 10, rule->bits, &bits) < 0)
			return -ERANGE;
		rule->bits = (unsigned)bits;
	}
	if (!netrule_is_first(&rule->address, rule->bits))
		return -ERANGE;
	return rule->address.family == AF_INET6 ? netrule_take_mapped(rule) : 0;
}

static int netrule_read_where(char *text, struct netrule *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(netrule_words); i++)
		if (str_equal(text, netrule_words[i].name)) {
			rule->where = netrule_words[i].where;
			return 0;
		}
	return netrule_read_address(text, rule);
}

/* Cut the rule in two at the colon of its ports. Return: these, or NULL; *ret_where is the rest. */
static char *netrule_split(char *text, char **ret_where)
{
	char *colon, *close;

	*ret_where = text;
	if (text[0] != '[') {
		/* What has more than one is an address of IPv6, without ports. */
		colon = strchr(text, ':');
		if (!colon || strchr(colon + 1, ':'))
			return NULL;
		*colon++ = '\0';
		return colon;
	}
	/* [A]:PORTS, [A/BITS]:PORTS or [A]/BITS:PORTS: the brackets only tell where the colon is.
	 */
	close = strchr(text, ']');
	if (!close)
		return NULL;
	memmove(close, close + 1, strlen(close));
	*ret_where = text + 1;
	colon = strchr(close, ':');
	if (colon)
		*colon++ = '\0';
	return colon;
}

/* Could it be a name of DNS, and is it none of the words? */
static bool netrule_is_name(const char *where)
{
	return where[strspn(where, "0123456789.")] != '\0' && where[0] != '\0' &&
	       where[strspn(where, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-._*")] == '\0';
}

static int netrule_refuse_where(const char *where, const char *option, struct sbx_err *err)
{
	char room[128];
	struct str_buf all = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < ARRAY_SIZE(netrule_words); i++)
		str_buf_printf(&all, "%s%s", i ? ", " : "", netrule_words[i].name);
	if (!netrule_is_name(where))
		return err_usage(err, option,
				 "\"%s\" is no address, as 192.0.2.7, 192.0.2.0/24 or "
				 "2001:db8::/32, and none of the words: %s",
				 where, all.data);
	(void)err_usage(err, option,
			"\"%s\" is a name, and a rule for names would not hold: a program "
			"need not ask for them, and their addresses change. There are addresses, "
			"and the words: %s",
			where, all.data);
	err_hint(err,
		 "give the addresses that it has (getent ahosts %s); or deny all but a proxy's "
		 "address, and have\nthat one judge names",
		 where);
	return -EINVAL;
}

/* Is it one address? */
bool netrule_is_single(const struct netrule *rule)
{
	return rule->where == NETRULE_ADDRESS &&
	       rule->bits == (rule->address.family == AF_INET ? 32 : 128);
}

/* Are all addresses that it names loopback ones? */
static bool netrule_is_loopback(const struct netrule *rule)
{
	if (rule->where != NETRULE_ADDRESS)
		return false;
	if (rule->address.family == AF_INET6)
		return netrule_is_single(rule) && IN6_IS_ADDR_LOOPBACK(&rule->address.at.v6);
	return rule->bits >= 8 && ntohl(rule->address.at.v4.s_addr) >> 24 == IN_LOOPBACKNET;
}

/*
 * Is it 0.0.0.0 or ::? As a destination the kernel reads these as the sandbox itself, so no packet
 * that leaves has them, and who writes them without /0 mostly means all addresses.
 */
static bool netrule_is_unspecified(const struct netrule *rule)
{
	return netrule_is_single(rule) &&
	       (rule->address.family == AF_INET ? rule->address.at.v4.s_addr == INADDR_ANY
						: IN6_IS_ADDR_UNSPECIFIED(&rule->address.at.v6));
}

static int netrule_refuse_unspecified(const char *text, const char *option, struct sbx_err *err)
{
	int r = err_usage(err, option,
			  "\"%s\" would fit nothing: what is sent to this address stays in the "
			  "sandbox, and no rule is about that",
			  text);

	err_hint(err, "all addresses are any, those of IPv4 0.0.0.0/0, those of IPv6 ::/0");
	return r;
}

static int netrule_check(const struct netrule *rule, const char *text, const char *option,
			 struct sbx_err *err)
{
	if (netrule_is_loopback(rule))
		return err_usage(err, option,
				 "\"%s\": the sandbox has a loopback of its own, which no rule is "
				 "about; the host's is reached by the gateway's address, and only "
				 "with --net=user,allow-host-loopback",
				 text);
	if (netrule_is_unspecified(rule))
		return netrule_refuse_unspecified(text, option, err);
	if (rule->protocol == NETRULE_ICMP && rule->n_ports > 0)
		return err_usage(err, option, "\"%s\": icmp has no ports", text);
	if (rule->where == NETRULE_DNS && (rule->protocol != NETRULE_ALL || rule->n_ports > 0))
		return err_usage(err, option, "\"%s\": dns is port 53 of the resolver, and no more",
				 text);
	return 0;
}

/**
 * Read one rule.
 * @option: --allow-net or --deny-net, for messages
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int netrule_read(const char *text, const char *option, struct netrule *ret, struct sbx_err *err)
{
	struct netrule rule = {.where = NETRULE_ANY};
	char copy[NETRULE_TEXT_MAX], *where, *ports;
	int r;

	if (strlen(text) >= sizeof(copy))
		return err_usage(err, option, "the rule is too long: %.40s...", text);
	str_copy(copy, sizeof(copy), text);
	if (netrule_take_protocol(copy, &rule) < 0)
		return err_usage(err, option,
				 "\"%s\": behind the slash there is to be tcp, udp, icmp, or how "
				 "many bits of the address count",
				 text);
	ports = netrule_split(copy, &where);
	r = netrule_read_where(where, &rule);
	if (r == -ERANGE)
		return err_usage(err, option,
				 "\"%s\": behind the slash there is how many bits of the address "
				 "count; the others are to be 0",
				 text);
	if (r == -EDOM)
		return err_usage(
			err, option,
			"\"%s\" has ::ffff:0:0/96 in it, which are the addresses of IPv4 in "
			"another spelling, and would not hold for these; there are 0.0.0.0/0 "
			"for all of IPv4, ::/0 for all of IPv6, and any",
			text);
	if (r < 0)
		return netrule_refuse_where(where, option, err);
	if (ports && netrule_read_ports(ports, &rule) < 0)
		return err_usage(err, option,
				 "\"%s\": ports are numbers from 1 to 65535, as 443, 80,443 or "
				 "8000-8100; %d of these at most",
				 text, NETRULE_PORTS_MAX);
	*ret = rule;
	return netrule_check(ret, text, option, err);
}

/* ---- writing ---- */

/* Where a packet goes that the rule fits. */
static const char *netrule_verdict(const struct netrule *rule, enum spec_net_rule_kind kind,
				   const struct net_scene *scene)
{
	if (kind == SPEC_NET_DENY)
		return "goto refuse";
	switch (rule->where) {
	case NETRULE_METADATA:
	case NETRULE_HOST:
		return "accept";
	case NETRULE_LAN:
	case NETRULE_LINK_LOCAL:
		return "goto near";
	case NETRULE_ADDRESS:
		if (net_is_own(scene->words, &rule->address))
			return "goto usual";
		if (netrule_is_single(rule))
			return net_is_nowhere(&rule->address) ? "goto usual" : "accept";
		return net_is_near(scene, &rule->address, rule->bits) ? "goto near" : "goto usual";
	case NETRULE_ANY:
	case NETRULE_DNS:
		break;
	}
	return "goto usual";
}

/* What stands behind the address: protocol, ports, verdict. */
static void netrule_put_tail(const struct netrule *rule, const char *verdict, struct str_buf *out)
{
	static const char *const protocols[] = {
		[NETRULE_ALL] = "{ tcp, udp }",
		[NETRULE_TCP] = "tcp",
		[NETRULE_UDP] = "udp",
		[NETRULE_ICMP] = "{ icmp, icmpv6 }",
	};

	if (rule->protocol != NETRULE_ALL || rule->n_ports > 0)
		str_buf_printf(out, " meta l4proto %s", protocols[rule->protocol]);
	for (size_t i = 0; i < rule->n_ports; i++) {
		const struct netrule_ports *ports = &rule->ports[i];

		str_buf_printf(out, "%s%u", i ? ", " : " th dport { ", ports->first);
		if (ports->last != ports->first)
			str_buf_printf(out, "-%u", ports->last);
	}
	str_buf_printf(out, "%s %s\n", rule->n_ports ? " }" : "", verdict);
}

static void netrule_put_address(const struct netrule *rule, const char *tail, struct str_buf *out)
{
	bool v4 = rule->address.family == AF_INET;
	uint32_t at = ntohl(rule->address.at.v4.s_addr);

	str_buf_puts(out, v4 ? "ip daddr " : "ip6 daddr ");
	net_put_address(out, &rule->address);
	str_buf_printf(out, "/%u%s", rule->bits, tail);
	if (v4)
		str_buf_printf(out, "ip6 daddr 64:ff9b::%x:%x/%u%s", at >> 16, at & 0xffff,
			       rule->bits + 96, tail);
}

static void netrule_put_dns(const struct net_scene *scene, const char *verdict, struct str_buf *out)
{
	struct net_address dns[NET_DNS_MAX];
	size_t n = net_list_dns(scene->words, dns);

	for (size_t i = 0; i < n; i++) {
		str_buf_puts(out, dns[i].family == AF_INET ? "ip daddr " : "ip6 daddr ");
		net_put_address(out, &dns[i]);
		str_buf_printf(out, " meta l4proto { tcp, udp } th dport 53 %s\n", verdict);
	}
}

/* "ip daddr != A ", for every resolver of the family, and for the members of a shared network. */
static void netrule_put_but(const struct net_scene *scene, int family, struct str_buf *out)
{
	struct net_address dns[NET_DNS_MAX];
	size_t n = net_list_dns(scene->words, dns);

	for (size_t i = 0; i < n; i++) {
		if (dns[i].family != family)
			continue;
		str_buf_puts(out, family == AF_INET ? "ip daddr != " : "ip6 daddr != ");
		net_put_address(out, &dns[i]);
		str_buf_puts(out, " ");
	}
	if (family != AF_INET || !scene->words->share[0])
		return;
	str_buf_puts(out, "ip daddr != ");
	net_put_members(out, scene->words);
	str_buf_puts(out, " ");
}

static void netrule_put_lan(const struct net_scene *scene, const char *tail, struct str_buf *out)
{
	char room4[NETRULE_BUT_BYTES], room6[NETRULE_BUT_BYTES];
	struct str_buf but4 = STR_BUF_ON_STACK(room4), but6 = STR_BUF_ON_STACK(room6);

	netrule_put_but(scene, AF_INET, &but4);
	netrule_put_but(scene, AF_INET6, &but6);
	net_put_metadata(out, tail);
	net_put_near(out, but4.data, but6.data, tail);
}

/* The lines of nftables that one rule is. */
void netrule_put(const struct netrule *rule, enum spec_net_rule_kind kind,
		 const struct net_scene *scene, struct str_buf *out)
{
	const char *verdict = netrule_verdict(rule, kind, scene);
	char room[NETRULE_TAIL_BYTES];
	struct str_buf tail = STR_BUF_ON_STACK(room);

	netrule_put_tail(rule, verdict, &tail);
	assert(!tail.cut);
	switch (rule->where) {
	case NETRULE_ANY:
		str_buf_puts(out, tail.data);
		return;
	case NETRULE_ADDRESS:
		netrule_put_address(rule, tail.data, out);
		return;
	case NETRULE_LAN:
		netrule_put_lan(scene, tail.data, out);
		return;
	case NETRULE_LINK_LOCAL:
		str_buf_printf(out, "ip daddr 169.254.0.0/16%s", tail.data);
		str_buf_printf(out, "ip6 daddr 64:ff9b::a9fe:0/112%s", tail.data);
		str_buf_printf(out, "ip6 daddr fe80::/10%s", tail.data);
		return;
	case NETRULE_METADATA:
		net_put_metadata(out, tail.data);
		return;
	case NETRULE_HOST:
		net_put_host(out, tail.data);
		return;
	case NETRULE_DNS:
		netrule_put_dns(scene, verdict, out);
		return;
	}
}
