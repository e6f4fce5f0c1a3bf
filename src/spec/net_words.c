/* SPDX-License-Identifier: MIT */
/*
 * net_words: what stands behind --net=, and whose addresses follow from that; see net_parts.h.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "sbx/base/similar.h"
#include "sbx/base/str.h"
#include "sbx/spec/net_parts.h"

enum {
	NET_PREFIX = 24,    /* slirp4netns's own default */
	NET_PREFIX_MIN = 8, /* there must be room for .100 in it */
	NET_PREFIX_MAX = 25,
	NET_MTU = 65520,
	NET_MTU_MIN = 576,
	NET_MTU_MIN_IPV6 = 1280, /* RFC 8200, section 5 */
	NET_WORD_MAX = 128,
	NET_SLIP_LEN = 4, /* of the words that a slip could be of */
};

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

int net_bad(const char *option, const char *word, const char *what, struct sbx_err *err)
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
	if (net_is_nowhere(&address))
		return net_bad(option, value,
			       "nothing outside answers to this address; outbound= takes one that "
			       "an interface of the host has, and without it the host chooses",
			       err);
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

/* The first address of IPv6, with the word that it stands behind. */
static bool net_find_address6(const struct net_words *words, struct str_buf *ret)
{
	const struct net_address *found = words->outbound6.family ? &words->outbound6 : NULL;
	const char *name = "outbound=";

	for (size_t i = words->n_dns; i-- > 0;)
		if (words->dns[i].family == AF_INET6) {
			found = &words->dns[i];
			name = "dns=";
		}
	if (!found)
		return false;
	str_buf_puts(ret, name);
	net_put_address(ret, found);
	return true;
}

/* What only shows when all words are known. */
static int net_check(const struct net_words *words, const char *option, struct sbx_err *err)
{
	char room[INET6_ADDRSTRLEN + sizeof("outbound=")];
	struct str_buf address6 = STR_BUF_ON_STACK(room);

	if (words->unfiltered && words->lan)
		return net_bad(option, "lan", "unfiltered opens that and all else", err);
	if (net_find_mute(words))
		return net_bad(option, "dns=",
			       "no resolver has an address of slirp4netns's own network (cidr=); "
			       "without dns=, that of the host is asked",
			       err);
	if (words->ipv6 && words->mtu < NET_MTU_MIN_IPV6)
		return net_bad(option, "mtu=", "IPv6 takes 1280 at least", err);
	if (!words->ipv6 && net_find_address6(words, &address6))
		return net_bad(option, address6.data, "an address of IPv6 takes the word ipv6",
			       err);
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

/* ---- whose address is which ---- */

/* How many members a shared network of this size has room for. */
unsigned net_members(unsigned prefix)
{
	unsigned room = (UINT32_MAX >> prefix) - NET_MEMBER_FIRST;

	return room < NET_MEMBERS_MAX ? room : NET_MEMBERS_MAX;
}

struct net_address net_own(const struct net_words *words, uint32_t which)
{
	return (struct net_address){.family = AF_INET, .at.v4.s_addr = htonl(words->cidr + which)};
}

const char *net_address_arg(struct arena *arena, const char *name,
			    const struct net_address *address)
{
	char room[INET6_ADDRSTRLEN];
	struct str_buf text = STR_BUF_ON_STACK(room);

	net_put_address(&text, address);
	return arena_printf(arena, "%s%s", name, text.data);
}

/* Is it what slirp4netns sends to the host's loopback, if it may? */
bool net_is_gateway(const struct net_words *words, const struct net_address *address)
{
	const struct net_address gateway = net_own(words, NET_GATEWAY);
	struct in6_addr gateway6;

	if (address->family == AF_INET)
		return address->at.v4.s_addr == gateway.at.v4.s_addr;
	return inet_pton(AF_INET6, NET_GATEWAY6, &gateway6) == 1 &&
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
	(void)inet_pton(AF_INET6, NET_DNS6, &ret[n].at.v6);
	return n + 1;
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
const char *net_share_key(const struct net_words *words, struct arena *arena)
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
