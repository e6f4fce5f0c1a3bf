/* SPDX-License-Identifier: MIT */
/* publish: the words of --publish, and the rules that let answers out. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sbx/spec/publish.h"
#include "testlib.h"

static void expect_read(const char *text, const char *wanted)
{
	char room[PUBLISH_TEXT_BYTES];
	struct str_buf got = STR_BUF_ON_STACK(room);
	struct plan_port port;
	struct sbx_err err;

	cr_assert_eq(publish_read(text, "-p", &port, &err), 0, "%s: %s", text, err.what);
	publish_put(&got, &port);
	cr_expect_str_eq(got.data, wanted, "%s: %s", text, got.data);
}

Test(publish, words_are_read)
{
	expect_read("8080:80", "127.0.0.1:8080->80/tcp");
	expect_read("8080:80/tcp", "127.0.0.1:8080->80/tcp");
	expect_read("53:53/udp", "127.0.0.1:53->53/udp");
	expect_read("0.0.0.0:8080:80", "0.0.0.0:8080->80/tcp");
	expect_read("192.0.2.7:8080:80/udp", "192.0.2.7:8080->80/udp");
	expect_read("8000-8010:80-90", "127.0.0.1:8000-8010->80-90/tcp");
	expect_read("80", "127.0.0.1:any->80/tcp");
	expect_read("0:80", "127.0.0.1:any->80/tcp");
	expect_read(":80", "127.0.0.1:any->80/tcp");
	expect_read("127.0.0.2::80", "127.0.0.2:any->80/tcp");
	expect_read("0:80-82", "127.0.0.1:any->80-82/tcp");
	expect_read("1:65535", "127.0.0.1:1->65535/tcp");
}

Test(publish, wrong_words_are_refused)
{
	static const char *const wrong[] = {
		"",
		":",
		"80:",
		"80:0",
		"0",
		"65536:80",
		"80:65536",
		"80:x",
		"-80:80",
		"+80:80",
		" 80:80",
		"80:80 ",
		"80-:80",
		"80-79:80-79",
		"0-3:80-83",
		"80-82:80",
		"80:80-82",
		"1-1001:1-1001",
		"80:80/",
		"80:80/sctp",
		"80:80/UDP",
		"80/udp:80",
		"localhost:80:80",
		"127.0.0.1:80",
		"127.0.0:80:80",
		"224.0.0.1:80:80",
		"255.255.255.255:80:80",
		"[::1]:80:80",
		"::1:80:80",
		"1:2:3:4",
		"::80",
		"000080:80",
		"99999999999999999999:80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct plan_port port = {.addr = 7};
		struct sbx_err err;

		cr_expect_lt(publish_read(wrong[i], "-p", &port, &err), 0, "%s", wrong[i]);
		cr_expect_eq(port.addr, 7, "untouched");
		cr_expect_str_eq(err.option, "-p", "%s", wrong[i]);
	}
}

Test(publish, what_is_to_be_removed_is_said_by_its_end_on_the_host)
{
	static const struct {
		const char *text, *wanted;
		uint16_t guest;
	} rows[] = {
		{"8080", "8080/tcp", 0},
		{"8080/udp", "8080/udp", 0},
		{"8080:80", "8080/tcp", 80},
		{"8000-8010", "8000-8010/tcp", 0},
		{"127.0.0.1:8080", "127.0.0.1:8080/tcp", 0},
		{"0.0.0.0:8080:80/udp", "0.0.0.0:8080/udp", 80},
		{"0", NULL, 0},
		{":80", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"8000-8010:80", NULL, 0},
		{"8080:80:80", NULL, 0},
		{"[::1]:8080", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char room[PUBLISH_TEXT_BYTES];
		struct str_buf got = STR_BUF_ON_STACK(room);
		struct plan_port port = {.guest = 0};
		struct sbx_err err;
		int r = publish_read_host(rows[i].text, NULL, &port, &err);

		cr_expect_eq(r < 0, rows[i].wanted == NULL, "%s", rows[i].text);
		publish_put_host(&got, &port);
		if (r == 0 && rows[i].wanted)
			cr_expect_str_eq(got.data, rows[i].wanted);
		cr_expect_eq(port.guest, rows[i].guest, "%s", rows[i].text);
	}
}

static int choose(struct sbx_plan *plan, struct net_words *words, const char *const texts[],
		  size_t n, struct sbx_err *err)
{
	struct sbx_spec spec;
	int r;

	spec_init(&spec);
	plan_init(plan);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(spec_add_publish(&spec, &(struct spec_publish){.text = texts[i]}, err),
			     0);
	words->plan = &plan->net;
	r = publish_choose(&spec, words, plan, err);
	spec_finish(&spec);
	return r;
}

/* @answers: whether a set of who was heard is there */
static void expect_rules(const char *const texts[], size_t n, const char *has, bool answers)
{
	struct net_address host = {.family = AF_INET};
	struct net_words words;
	struct sbx_plan plan;
	struct sbx_err err;
	char *rules;

	cr_assert_eq(net_read("user", "--net", &words, &err), 0);
	cr_assert_eq(choose(&plan, &words, texts, n, &err), 0, "%s", err.what);
	(void)inet_pton(AF_INET, "198.51.100.9", &host.at.v4);
	rules = net_rules(&(struct net_scene){.words = &words, .host = &host, .n_host = 1},
			  &plan.arena);
	cr_assert_not_null(rules);
	cr_expect(strstr(rules, "tcp flags & (fin | syn | rst | ack | urg) != syn accept\n"));
	cr_expect_eq(strstr(rules, "@heard accept\n") != NULL, answers, "%s", rules);
	cr_expect(!has || strstr(rules, has), "no \"%s\" in %s", has, rules);
	cr_expect_eq(plan.net.answers_udp, answers);
	plan_finish(&plan);
}

Test(publish, the_rules_let_answers_out)
{
	expect_rules((const char *const[]){"8080:80"}, 1, NULL, false);
	expect_rules((const char *const[]){"8080:80", "8053:53/udp"}, 2,
		     "ip saddr 10.0.2.2 meta l4proto udp update @heard", true);
	expect_rules((const char *const[]){"0.0.0.0:8053-8054:53-54/udp"}, 1,
		     "udp dport 53-54 update @heard", true);
	expect_rules((const char *const[]){"192.0.2.1:8053:53/udp"}, 1,
		     "udp dport 53 update @heard", true);
}

/* As many as there may be, of the kind that takes most room there. */
Test(publish, there_is_room_for_the_rules_of_many_ports)
{
	char texts[PLAN_PORT_RUNS_MAX][64];
	const char *list[PLAN_PORT_RUNS_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "0.0.0.0:%u-%u:%u-%u/udp",
			       10000 + 20 * i, 10009 + 20 * i, 50000 + 20 * i, 50009 + 20 * i);
		list[i] = texts[i];
	}
	expect_rules(list, ARRAY_SIZE(list), "udp dport 51260-51269 update @heard", true);
}

Test(publish, what_collides_or_is_too_much_is_refused)
{
	static const struct {
		const char *texts[2];
		const char *says; /* NULL: it is well */
	} rows[] = {
		{{"8080:80", "8080:81"}, "published already"},
		{{"8080:80", "0.0.0.0:8080:81"}, "published already"},
		{{"8080-8090:80-90", "8085:80"}, "published already"},
		{{"8080:80", "8080:80/udp"}, NULL},
		{{"8080:80", "127.0.0.2:8080:80"}, NULL},
		{{"8080-8090:80-90", "8091:80"}, NULL},
		{{"0:80", "0:80"}, NULL},
		{{"0:1-64", "0:80"}, "too many"},
		{{"1001-2000:1-1000", "8080:80"}, "too many"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_words words = {.lan = false};
		struct sbx_plan plan;
		struct sbx_err err = {.what = ""};
		int r = choose(&plan, &words, rows[i].texts, 2, &err);

		cr_expect_eq(r < 0, rows[i].says != NULL, "%zu: %s", i, err.what);
		cr_expect(!rows[i].says || strstr(err.what, rows[i].says), "%s", err.what);
		plan_finish(&plan);
	}
}
