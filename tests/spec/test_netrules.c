/* SPDX-License-Identifier: MIT */
/* netrules: the grammar of --allow-net and --deny-net, and the lines of nftables they become. */
#include <arpa/inet.h>
#include <string.h>

#include "sbx/spec/netrules.h"
#include "testlib.h"

static struct netrule read_rule(const char *text)
{
	struct netrule rule = {.where = NETRULE_ANY};
	struct sbx_err err;

	cr_assert_eq(netrule_read(text, "--deny-net", &rule, &err), 0, "%s: %s", text, err.what);
	return rule;
}

/* The lines of one rule, of --net=user on a host with one address of each kind. */
static char *lines_of(const char *text, enum spec_net_rule_kind kind, struct str_buf *out)
{
	struct net_address host[2] = {{.family = AF_INET}, {.family = AF_INET6}};
	struct net_words words;
	struct netrule rule = read_rule(text);
	struct sbx_err err;
	struct net_scene scene = {.words = &words, .host = host, .n_host = ARRAY_SIZE(host)};

	(void)inet_pton(AF_INET, "198.51.100.9", &host[0].at.v4);
	(void)inet_pton(AF_INET6, "2001:db8::9", &host[1].at.v6);
	cr_assert_eq(net_read("user", "--net", &words, &err), 0);
	netrule_put(&rule, kind, &scene, out);
	return out->data;
}

Test(netrules, every_part_is_read)
{
	struct netrule rule = read_rule("192.0.2.0/24:443,80,8000-8100/tcp");

	cr_expect_eq(rule.where, NETRULE_ADDRESS);
	cr_expect_eq(rule.bits, 24);
	cr_expect_eq(rule.protocol, NETRULE_TCP);
	cr_assert_eq(rule.n_ports, 3);
	cr_expect_eq(rule.ports[0].first, 80);
	cr_expect_eq(rule.ports[1].last, 443);
	cr_expect_eq(rule.ports[2].first, 8000);
	cr_expect_eq(rule.ports[2].last, 8100);
}

Test(netrules, ipv6_is_read_with_and_without_ports)
{
	static const struct {
		const char *text;
		unsigned bits;
		size_t n_ports;
	} cases[] = {
		{"2001:db8::/32", 32, 0},
		{"2001:db8::1:443", 128, 0},
		{"[2001:db8::1]:443", 128, 1},
		{"[2001:db8::]/32:443/udp", 32, 1},
		{"[2001:db8::/32]:443", 32, 1},
		{"[2001:db8::/32]", 32, 0},
		{"::/0", 0, 0},
		{"2001:db8::1/icmp", 128, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct netrule rule = read_rule(cases[i].text);

		cr_expect_eq(rule.where, NETRULE_ADDRESS, "%s", cases[i].text);
		cr_expect_eq(rule.address.family, AF_INET6, "%s", cases[i].text);
		cr_expect_eq(rule.bits, cases[i].bits, "%s", cases[i].text);
		cr_expect_eq(rule.n_ports, cases[i].n_ports, "%s", cases[i].text);
	}
}

/* The kernel sends to such an address by IPv4. */
Test(netrules, an_address_of_ipv4_in_the_spelling_of_ipv6_is_one_of_ipv4)
{
	static const struct {
		const char *text, *address;
		unsigned bits;
	} cases[] = {
		{"::ffff:203.0.113.10", "203.0.113.10", 32},
		{"[::ffff:cb00:710a]:80", "203.0.113.10", 32},
		{"0::FFFF:203.0.113.0/120", "203.0.113.0", 24},
		{"::ffff:0:0/96", "0.0.0.0", 0},
		{"[::ffff:0.0.0.0/97]:80/tcp", "0.0.0.0", 1},
	};
	static const char *const wider[] = {"::/1", "::/64", "::/80", "::8000:0:0/81",
					    "::fffe:0:0/95"};
	static const char *const apart[] = {"::/81", "::/96", "::fffe:0:0/96", "::1:0:0:0/80"};
	struct netrule rule;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[INET_ADDRSTRLEN] = "";

		rule = read_rule(cases[i].text);
		cr_expect_eq(rule.address.family, AF_INET, "%s", cases[i].text);
		(void)inet_ntop(AF_INET, &rule.address.at.v4, text, sizeof(text));
		cr_expect_str_eq(text, cases[i].address, "%s", cases[i].text);
		cr_expect_eq(rule.bits, cases[i].bits, "%s", cases[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wider); i++) {
		cr_assert_eq(netrule_read(wider[i], "--deny-net", &rule, &err), -EINVAL, "%s",
			     wider[i]);
		cr_expect(strstr(err.what, "0.0.0.0/0"), "%s", err.what);
	}
	for (size_t i = 0; i < ARRAY_SIZE(apart); i++) {
		rule = read_rule(apart[i]);
		cr_expect_eq(rule.address.family, AF_INET6, "%s", apart[i]);
	}
	cr_assert_eq(netrule_read("::ffff:127.0.0.1", "--deny-net", &rule, &err), -EINVAL);
	cr_expect(strstr(err.what, "allow-host-loopback"), "%s", err.what);
}

Test(netrules, words_are_read)
{
	static const char *const words[] = {"any",	"lan", "link-local", "metadata",   "host",
					    "any/icmp", "dns", "lan:22",     "host:80/tcp"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		(void)read_rule(words[i]);
}

Test(netrules, ports_that_overlap_become_one)
{
	struct netrule rule = read_rule("any:10-20,30,15-25,5,24-30");

	cr_assert_eq(rule.n_ports, 2);
	cr_expect_eq(rule.ports[0].first, 5);
	cr_expect_eq(rule.ports[0].last, 5);
	cr_expect_eq(rule.ports[1].first, 10);
	cr_expect_eq(rule.ports[1].last, 30);
}

Test(netrules, what_is_wrong_is_refused)
{
	static const char *const wrong[] = {
		"",
		"/",
		":",
		":80",
		"any:",
		"any:0",
		"any:65536",
		"any:80-79",
		"any:80,",
		"any:80-",
		"any:-80",
		"any:80-90-95",
		"any:00000000000000000000080",
		"any:80/icmp",
		"any/sctp",
		"any/tcp/udp",
		"any/TCP",
		"dns:53",
		"dns/udp",
		"ANY",
		"192.0.2.1/33",
		"192.0.2.1/24",
		"192.0.2.0/",
		"192.0.2.0/-1",
		"192.0.2/24",
		"192.0.2.1.5",
		"192.0.2.1:80:90",
		"2001:db8::1/64",
		"::ffff:203.0.113.10/24",
		"::ffff:203.0.113.10/104",
		"2001:db8::/129",
		"[2001:db8::1",
		"[2001:db8::1]x",
		"[]:80",
		"any:1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33",
		"192.0.2.1 ; accept",
	};
	struct netrule rule;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cr_expect_eq(netrule_read(wrong[i], "--deny-net", &rule, &err), -EINVAL, "\"%s\"",
			     wrong[i]);
		cr_expect_str_eq(err.option, "--deny-net", "\"%s\"", wrong[i]);
	}
}

Test(netrules, a_name_is_refused_with_the_reason_and_a_remedy)
{
	static const char *const names[] = {"example.org:443", "*.example.org", "localhost/tcp"};
	struct netrule rule;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cr_assert_eq(netrule_read(names[i], "--allow-net", &rule, &err), -EINVAL);
		cr_expect(strstr(err.what, "is a name"), "%s", err.what);
		cr_expect(strstr(err.hint, "getent ahosts"), "%s", err.hint);
	}
}

/* The kernel reads it as the sandbox itself. With /0 it is all that there is. */
Test(netrules, a_rule_for_no_address_is_refused_with_a_remedy)
{
	static const char *const none[] = {"0.0.0.0", "0.0.0.0:80/tcp", "0.0.0.0/32",	 "::",
					   "[::]:80", "::/128",		"::ffff:0.0.0.0"};
	static const char *const more[] = {"0.0.0.0/0", "0.0.0.0/8", "::/0", "[::/0]:80"};
	struct netrule rule;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		cr_assert_eq(netrule_read(none[i], "--deny-net", &rule, &err), -EINVAL, "%s",
			     none[i]);
		cr_expect(strstr(err.what, "would fit nothing"), "%s", err.what);
		cr_expect(strstr(err.hint, "0.0.0.0/0"), "%s", err.hint);
	}
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		(void)read_rule(more[i]);
}

/* No packet to them gets to a rule: lo comes first. */
Test(netrules, a_rule_for_the_loopback_is_refused)
{
	static const char *const rules[] = {"127.0.0.1", "127.0.0.0/8", "127.9.9.9:80/tcp", "::1",
					    "[::1]:80"};
	static const char *const others[] = {"0.0.0.0/0", "126.0.0.0/7", "::/0", "::/127"};
	struct netrule rule;
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		cr_assert_eq(netrule_read(rules[i], "--deny-net", &rule, &err), -EINVAL, "%s",
			     rules[i]);
		cr_expect(strstr(err.what, "allow-host-loopback"), "%s", err.what);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_eq(netrule_read(others[i], "--deny-net", &rule, &err), 0, "%s", err.what);
}

Test(netrules, a_rule_that_denies_leads_to_the_refusal)
{
	static const struct {
		const char *rule, *lines;
	} cases[] = {
		{"any", " goto refuse\n"},
		{"any/icmp", " meta l4proto { icmp, icmpv6 } goto refuse\n"},
		{"192.0.2.0/24:80,90-95/udp",
		 "ip daddr 192.0.2.0/24 meta l4proto udp th dport { 80, 90-95 } goto refuse\n"
		 "ip6 daddr 64:ff9b::c000:200/120 meta l4proto udp th dport { 80, 90-95 } goto "
		 "refuse\n"},
		{"2001:db8::/32", "ip6 daddr 2001:db8::/32 goto refuse\n"},
		{"dns", "ip daddr 10.0.2.3 meta l4proto { tcp, udp } th dport 53 goto refuse\n"},
		{"host:22",
		 "ip daddr @host4 meta l4proto { tcp, udp } th dport { 22 } goto refuse\n"
		 "ip daddr @nets4 meta l4proto { tcp, udp } th dport { 22 } goto refuse\n"
		 "ip6 daddr @host6 meta l4proto { tcp, udp } th dport { 22 } goto refuse\n"
		 "ip6 daddr @nets6 meta l4proto { tcp, udp } th dport { 22 } goto refuse\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[4096];
		struct str_buf out = STR_BUF_ON_STACK(room);

		cr_expect_str_eq(lines_of(cases[i].rule, SPEC_NET_DENY, &out), cases[i].lines);
	}
}

Test(netrules, lan_leaves_the_resolver_out)
{
	char room[4096];
	struct str_buf out = STR_BUF_ON_STACK(room);

	cr_expect(strstr(lines_of("lan", SPEC_NET_DENY, &out),
			 "ip daddr != 10.0.2.3 ip daddr { 10.0.0.0/8, "),
		  "%s", out.data);
}

Test(netrules, lan_leaves_the_members_of_a_shared_network_out)
{
	char room[4096];
	struct str_buf out = STR_BUF_ON_STACK(room);
	struct net_words words;
	const struct net_scene scene = {.words = &words};
	struct netrule rule;
	struct sbx_err err;

	cr_assert_eq(net_read("lab,user", "--net", &words, &err), 0);
	cr_assert_eq(netrule_read("lan", "--deny-net", &rule, &err), 0);
	netrule_put(&rule, SPEC_NET_DENY, &scene, &out);
	cr_expect(strstr(out.data, "ip daddr != 10.0.2.3 ip daddr != 10.0.2.16-10.0.2.143 "
				   "ip daddr { 10.0.0.0/8, "),
		  "%s", out.data);
}

Test(netrules, a_rule_that_allows_leads_where_it_should)
{
	static const struct {
		const char *rule, *verdict;
	} cases[] = {
		{"192.168.1.5", " accept\n"},	  {"198.51.100.9", " accept\n"},
		{"metadata", " accept\n"},	  {"host", " accept\n"},
		{"lan", " goto near\n"},	  {"192.168.1.0/24", " goto near\n"},
		{"fe80::/10", " goto near\n"},	  {"192.0.0.0/8", " goto usual\n"},
		{"any", " goto usual\n"},	  {"0.0.0.0/0", " goto usual\n"},
		{"::/0", " goto usual\n"},	  {"10.0.2.3", " goto usual\n"},
		{"10.0.2.0/28", " goto usual\n"}, {"126.0.0.0/7", " goto usual\n"},
		{"203.0.113.7", " accept\n"},	  {"203.0.113.0/24", " goto usual\n"},
		{"fd00::3", " goto usual\n"},	  {"dns", " goto usual\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[4096];
		struct str_buf out = STR_BUF_ON_STACK(room);
		const char *lines = lines_of(cases[i].rule, SPEC_NET_ALLOW, &out);

		cr_expect_str_eq(lines + strlen(lines) - strlen(cases[i].verdict), cases[i].verdict,
				 "%s: %s", cases[i].rule, lines);
		cr_expect_null(strstr(lines, "refuse"), "%s", lines);
	}
}
