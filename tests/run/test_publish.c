/* SPDX-License-Identifier: MIT */
/* publish: the answers of slirp4netns, and the list of what is published. */
#include <errno.h>
#include <string.h>

#include "sbx/run/publish.h"
#include "testlib.h"

Test(publish, answers_are_read)
{
	static const struct {
		const char *text;
		int result, id;
	} rows[] = {
		{"{\"return\":{\"id\":1}}", 0, 1},
		{"{\"return\":{\"id\":999999999}}", 0, 999999999},
		{" { \"return\" : { \"id\" : 42 } }\r\n", 0, 42},
		{"{\"return\":{}}", 0, -1},
		{"{\"error\":{\"desc\":\"bad request\"}}", -ECANCELED, 7},
		{"{\"error\":", -ECANCELED, 7},
		{"", -EPROTO, 7},
		{"{", -EPROTO, 7},
		{"{\"return\":{\"id\":}}", -EPROTO, 7},
		{"{\"return\":{\"id\":-1}}", -EPROTO, 7},
		{"{\"return\":{\"id\":1}", -EPROTO, 7},
		{"{\"return\":{\"id\":1}}x", -EPROTO, 7},
		{"{\"return\":{\"id\":1}}{}", -EPROTO, 7},
		{"{\"return\":{\"id\":1,\"x\":2}}", -EPROTO, 7},
		{"{\"return\":{\"id\":9999999999}}", -EPROTO, 7},
		{"{\"ret urn\":{}}", -EPROTO, 7},
		{"{\"return\":{\"entries\":[]}}", -EPROTO, 7},
		{"<html>", -EPROTO, 7},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int id = 7, r = publish_read_answer(rows[i].text, strlen(rows[i].text), &id);

		cr_expect_eq(r, rows[i].result, "%s: %d", rows[i].text, r);
		cr_expect_eq(id, rows[i].id, "%s: %d", rows[i].text, id);
	}
}

/* A NUL is no end of it, nor is what is behind the end read. */
Test(publish, an_answer_is_as_long_as_it_is_said_to_be)
{
	static const char text[] = "{\"return\":{\"id\":12}}\0}";
	int id = 7;

	cr_expect_eq(publish_read_answer(text, sizeof(text) - 1, &id), -EPROTO);
	cr_expect_eq(publish_read_answer(text, 17, &id), -EPROTO);
	cr_expect_eq(id, 7);
	cr_expect_eq(publish_read_answer(text, strlen(text), &id), 0);
	cr_expect_eq(id, 12);
}

Test(publish, neighbours_are_told_as_one)
{
	struct publish_item items[] = {
		{{.addr = 1, .host = 80, .guest = 8, .count = 1}, 1},
		{{.addr = 1, .host = 81, .guest = 9, .count = 1}, 2},
		{{.addr = 1, .host = 82, .guest = 11, .count = 1}, 3},
		{{.addr = 1, .host = 83, .guest = 12, .count = 1, .udp = 1}, 4},
		{{.addr = 2, .host = 84, .guest = 13, .count = 1, .udp = 1}, 5},
		{{.addr = 2, .host = 85, .guest = 14, .count = 1, .udp = 1}, 6},
	};
	struct publish publish;
	struct plan_port runs[3];

	publish_init(&publish);
	publish.items = items;
	publish.n_items = ARRAY_SIZE(items);
	cr_expect_eq(publish_list(&publish, 0, NULL, 0), 4);
	cr_expect_eq(publish_list(&publish, 0, runs, ARRAY_SIZE(runs)), 4,
		     "more than there is room");
	cr_expect_eq(runs[0].host, 80);
	cr_expect_eq(runs[0].count, 2);
	cr_expect_eq(runs[1].guest, 11);
	cr_expect_eq(runs[1].count, 1);
	cr_expect_eq(runs[2].udp, 1);
	cr_expect_eq(publish_list(&publish, 4, runs, ARRAY_SIZE(runs)), 1, "from there on");
	cr_expect_eq(runs[0].count, 2);
}

Test(publish, what_cannot_be_is_refused_at_once)
{
	const struct plan_port tcp = {.addr = 0x0100007f, .host = 8080, .guest = 80, .count = 1};
	struct plan_port udp = tcp, far = tcp, many = tcp;
	const struct plan_net net = {.nft = "nft"};
	struct publish publish;

	udp.udp = 1;
	far.guest = 65535;
	far.count = 2;
	many.count = 2000;
	publish_init(&publish);
	cr_expect_eq(publish_add_one(&publish, &net, &tcp), -ENETDOWN);
	cr_expect_eq(publish_remove(&publish, &tcp), -ENETDOWN);
	cr_expect_eq(publish_add_one(&publish, &net, &udp), -EPROTONOSUPPORT);
	cr_expect_eq(publish_add_one(&publish, &net, &far), -EINVAL);
	cr_expect_eq(publish_add_one(&publish, &net, &many), -E2BIG);
	publish.act = PUBLISH_REMOVING;
	cr_expect_eq(publish_add_one(&publish, &net, &tcp), -EBUSY);
	cr_expect_eq(publish_remove(&publish, &tcp), -EBUSY);
	publish_finish(&publish);
}
