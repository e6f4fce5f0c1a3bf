/* SPDX-License-Identifier: MIT */
/* net: the words of --net=user, and the rules that are made of them. */
#include <arpa/inet.h>
#include <string.h>

#include "sbx/spec/net.h"
#include "sbx/spec/netrules.h"
#include "testlib.h"

static void read_words(const char *text, struct net_words *words)
{
	struct sbx_err err;

	cr_assert_eq(net_read(text, "--net", words, &err), 0, "%s: %s", text, err.what);
}

static char *rules_of(const char *text, struct arena *arena)
{
	struct net_address host[3] = {
		{.family = AF_INET}, {.family = AF_INET6}, {.family = AF_INET}};
	struct net_link links[2] = {{{.family = AF_INET}, 24}, {{.family = AF_INET6}, 64}};
	struct net_words words;

	(void)inet_pton(AF_INET, "198.51.100.9", &host[0].at.v4);
	(void)inet_pton(AF_INET6, "2001:db8::9", &host[1].at.v6);
	host[2] = host[0];
	(void)inet_pton(AF_INET, "198.51.100.0", &links[0].address.at.v4);
	(void)inet_pton(AF_INET6, "2001:db8::", &links[1].address.at.v6);
	read_words(text, &words);
	return net_rules(&(struct net_scene){.words = &words,
					     .host = host,
					     .n_host = ARRAY_SIZE(host),
					     .links = links,
					     .n_links = ARRAY_SIZE(links)},
			 arena);
}

Test(net, words_are_read)
{
	struct net_words words;

	read_words("user", &words);
	cr_expect_eq(words.mtu, 65520);
	cr_expect_eq(words.prefix, 24);
	cr_expect_not(words.lan || words.ipv6 || words.unfiltered || words.allow_host_loopback);
	read_words("user,lan,ipv6,mtu=1500,cidr=10.9.0.0/16,allow-host-loopback,outbound=192.0.2.7",
		   &words);
	cr_expect(words.lan && words.ipv6 && words.allow_host_loopback);
	cr_expect_eq(words.mtu, 1500);
	cr_expect_eq(words.cidr, 0x0a090000);
	cr_expect_eq(words.prefix, 16);
	cr_expect_eq(words.outbound.family, AF_INET);
}

Test(net, wrong_words_are_refused)
{
	static const char *const wrong[] = {
		"user,",
		"user,lan,",
		"user,LAN",
		"user,lan=1",
		"user,mtu=",
		"user,mtu=575",
		"user,mtu=65521",
		"user,mtu=1279,ipv6",
		"user,mtu=1500x",
		"user,cidr=10.0.2.0",
		"user,cidr=10.0.2.0/26",
		"user,cidr=10.0.2.0/7",
		"user,cidr=10.0.2.1/24",
		"user,cidr=127.0.0.0/8",
		"user,cidr=224.0.0.0/8",
		"user,cidr=1111111111111111111111111/8",
		"user,cidr=fd00::/64",
		"user,dns=",
		"user,dns=localhost",
		"user,dns=127.0.0.53",
		"user,dns=0.0.0.0",
		"user,dns=224.0.0.1",
		"user,ipv6,dns=::1",
		"user,ipv6,dns=fe80::1",
		"user,ipv6,dns=::ffff:127.0.0.1",
		"user,dns=2001:db8::1",
		"user,dns=192.0.2.1,dns=192.0.2.2,dns=192.0.2.3,dns=192.0.2.4",
		"user,outbound=eth0",
		"user,outbound=127.0.0.1",
		"user,outbound=127.9.9.9",
		"user,outbound=0.0.0.0",
		"user,outbound=224.0.0.1",
		"user,ipv6,outbound=::1",
		"user,ipv6,outbound=::",
		"user,ipv6,outbound=::ffff:127.0.0.1",
		"lab,user,outbound=127.0.0.1",
		"user,outbound=2001:db8::1",
		"user,lan,unfiltered",
		"user,dns=10.0.2.2",
		"user,dns=10.0.2.3",
		"user,cidr=10.9.0.0/16,dns=10.9.1.1",
		"user,dns=10.9.1.1,cidr=10.9.0.0/16",
		"user,ipv6,dns=fd00::3",
	};
	struct net_words words;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_lt(net_read(wrong[i], "--net", &words, &err), 0, "%s", wrong[i]);
}

/* What listens on the host's 127.0.0.1:53, a member, and what only looks like it. */
Test(net, a_resolver_near_by_can_be_asked)
{
	static const char *const good[] = {
		"user,allow-host-loopback,dns=10.0.2.2", "user,dns=10.0.2.2,allow-host-loopback",
		"user,ipv6,allow-host-loopback,dns=fd00::2", "lab,user,dns=10.0.2.16",
		"user,cidr=10.9.0.0/24,dns=10.0.2.3"};
	struct net_words words;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect_eq(net_read(good[i], "--net", &words, &err), 0, "%s", good[i]);
}

Test(net, a_word_that_is_too_long_is_refused)
{
	char text[512] = "user,dns=";
	struct net_words words;
	struct sbx_err err;

	memset(text + strlen(text), '1', sizeof(text) - 1 - strlen(text));
	text[sizeof(text) - 1] = '\0';
	cr_expect_lt(net_read(text, "--net", &words, &err), 0);
}

/* What stands in the rules of every form, and where. */
Test(net, the_host_comes_before_what_is_opened)
{
	static const char *const forms[] = {
		"user",		 "user,lan",	     "user,ipv6",
		"user,lan,ipv6", "user,dns=9.9.9.9", "user,allow-host-loopback"};
	static const char *const always[] = {
		"set host4 {\ntype ipv4_addr\nelements = { 198.51.100.9 }\n}\n",
		"ip daddr @host4 goto refuse\n",
		"ip daddr @nets4 goto refuse\n",
		"ip daddr 10.0.2.0/24 goto refuse\n",
		" 127.0.0.0/8,",
		" 224.0.0.0/4,",
		" 240.0.0.0/4 }",
		" 169.254.169.254/32,",
	};
	static const char *const ipv6[] = {
		"ip6 daddr @host6 goto refuse\n",
		"ip6 daddr @nets6 goto refuse\n",
		"set host6 {\ntype ipv6_addr\nelements = { 64:ff9b::c633:6409, 2001:db8::9 }\n}\n",
		"ip6 daddr fd00::/64 goto refuse\n",
		" fd00:ec2::254/128,",
		" ::ffff:0:0/96,",
		" 2002::/16,",
		"64:ff9b::7f00:0/104",
		"64:ff9b::a9fe:a9fe/128",
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_autoarena_ struct arena arena;
		const char *rules;

		arena_init(&arena);
		rules = rules_of(forms[i], &arena);
		cr_assert_not_null(rules);
		for (size_t k = 0; k < ARRAY_SIZE(always); k++)
			cr_expect(strstr(rules, always[k]), "%s lacks %s: %s", forms[i], always[k],
				  rules);
		for (size_t k = 0; strstr(forms[i], "ipv6") && k < ARRAY_SIZE(ipv6); k++)
			cr_expect(strstr(rules, ipv6[k]), "%s lacks %s: %s", forms[i], ipv6[k],
				  rules);
	}
}

/* A rule of IPv6 is left out only behind the one that refuses all of it. */
Test(net, rules_of_ipv6_are_there_where_it_is)
{
	static const struct {
		const char *form;
		bool refused, there;
	} cases[] = {
		{"user", true, false},
		{"user,lan", true, false},
		{"user,ipv6", false, true},
		{"user,unfiltered", false, true},
	};
	static const enum spec_net_rule_kind kind = SPEC_NET_DENY;
	struct netrule rule;
	struct sbx_err err;

	cr_assert_eq(netrule_read("192.0.2.0/24", "--deny-net", &rule, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autoarena_ struct arena arena;
		const char *rules, *all, *own;
		struct net_words words;

		arena_init(&arena);
		read_words(cases[i].form, &words);
		rules = net_rules(
			&(struct net_scene){
				.words = &words, .rules = &rule, .kinds = &kind, .n_rules = 1},
			&arena);
		all = strstr(rules, "meta nfproto ipv6 goto refuse\n");
		own = strstr(rules, "ip6 daddr 64:ff9b::c000:200/120 goto refuse\n");
		cr_expect_eq(all != NULL, cases[i].refused, "%s", rules);
		cr_expect_eq(own != NULL, cases[i].there, "%s", rules);
		cr_expect(strstr(rules, "ip daddr 192.0.2.0/24 goto refuse\n"), "%s", rules);
	}
}

Test(net, words_change_the_rules)
{
	static const struct {
		const char *form, *rule;
		bool there;
	} cases[] = {
		{"user", " 192.168.0.0/16 }", true},
		{"user", "ip6 daddr", false},
		{"user,ipv6", "fc00::/7", true},
		{"user", "meta nfproto ipv6 goto refuse\n", true},
		{"user", "ip daddr 10.0.2.3 meta l4proto { tcp, udp } th dport 53 accept\n", true},
		{"user", "ip daddr 10.0.2.2 accept", false},
		{"user", "fd00::3", false},
		{"user,lan", " 192.168.0.0/16 }", false},
		{"user,ipv6,lan", "fc00::/7", false},
		{"user", "elements = { 198.51.100.0/24 }\n", true},
		{"user", "ip daddr @links4 goto refuse\n", true},
		{"user,ipv6", "elements = { 64:ff9b::c633:6400/120, 2001:db8::/64 }\n", true},
		{"user,ipv6", "ip6 daddr @links6 goto refuse\n", true},
		{"user,ipv6,lan", "@links4", false},
		{"user,ipv6,lan", "@links6", false},
		{"user,ipv6", "meta nfproto ipv6 goto refuse\n", false},
		{"user,ipv6", "ip6 daddr fd00::3 meta l4proto { tcp, udp } th dport 53 accept\n",
		 true},
		{"user,ipv6", "fd00::2", false},
		{"user,dns=9.9.9.9", "ip daddr 9.9.9.9 meta l4proto { tcp, udp } th dport 53",
		 true},
		{"user,dns=9.9.9.9", "10.0.2.3 ", false},
		{"user,dns=none", "dport 53", false},
		{"user,allow-host-loopback", "ip daddr 10.0.2.2 accept\n", true},
		{"user,cidr=10.9.0.0/16", "ip daddr 10.9.0.3 meta", true},
		{"user,cidr=10.9.0.0/16", "ip daddr 10.9.0.0/16 goto refuse\n", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autoarena_ struct arena arena;
		const char *rules;

		arena_init(&arena);
		rules = rules_of(cases[i].form, &arena);
		cr_expect_eq(strstr(rules, cases[i].rule) != NULL, cases[i].there, "%s: %s in %s",
			     cases[i].form, cases[i].rule, rules);
	}
}

/* As many addresses as a host may have, the longest there are, fit. */
Test(net, many_addresses_fit)
{
	static struct net_address host[NET_HOST_MAX];
	static struct net_link links[NET_HOST_MAX];
	_autoarena_ struct arena arena;
	struct net_words words;
	const char *rules;

	arena_init(&arena);
	for (size_t i = 0; i < NET_HOST_MAX; i++) {
		host[i].family = i % 2 ? AF_INET : AF_INET6;
		memset(&host[i].at, 0xfe, sizeof(host[i].at));
		host[i].at.v6.s6_addr[3] = (uint8_t)i;
		host[i].at.v6.s6_addr[2] = (uint8_t)(i >> 8);
		links[i] = (struct net_link){host[i], i % 2 ? 31 : 127};
	}
	read_words("user,ipv6", &words);
	rules = net_rules(&(struct net_scene){.words = &words,
					      .host = host,
					      .n_host = NET_HOST_MAX,
					      .links = links,
					      .n_links = NET_HOST_MAX},
			  &arena);
	cr_assert_not_null(rules);
	cr_expect_lt(strlen(rules), 128 * 1024 - 1, "more than execve(2) takes as a word");
	cr_expect_str_eq(rules + strlen(rules) - 4, "}\n}\n");
}

Test(net, resolvers_are_named)
{
	_autoarena_ struct arena arena;
	struct net_words words;

	arena_init(&arena);
	read_words("user", &words);
	cr_expect_str_eq(net_resolv_conf(&words, &arena), "nameserver 10.0.2.3\n");
	read_words("user,ipv6", &words);
	cr_expect_str_eq(net_resolv_conf(&words, &arena),
			 "nameserver 10.0.2.3\nnameserver fd00::3\n");
	read_words("user,ipv6,dns=192.0.2.1,dns=2001:db8::1", &words);
	cr_expect_str_eq(net_resolv_conf(&words, &arena),
			 "nameserver 192.0.2.1\nnameserver 2001:db8::1\n");
	read_words("user,dns=none", &words);
	cr_expect_null(strstr(net_resolv_conf(&words, &arena), "nameserver"));
}
