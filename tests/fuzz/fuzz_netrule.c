/* SPDX-License-Identifier: MIT */
/* Fuzz the grammar of --allow-net: what is taken has its bounds and nothing that nft could read
 * as something else; what is not has words that say why. */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/spec/netrules.h"

static void check_rule(const struct netrule *rule)
{
	assert(rule->n_ports <= NETRULE_PORTS_MAX);
	assert(rule->where != NETRULE_ADDRESS ||
	       rule->bits <= (rule->address.family == AF_INET ? 32 : 128));
	for (size_t i = 0; i < rule->n_ports; i++) {
		assert(rule->ports[i].first > 0 && rule->ports[i].first <= rule->ports[i].last);
		assert(i == 0 || rule->ports[i].first > rule->ports[i - 1].last);
	}
}

static void check_lines(const struct netrule *rule)
{
	struct net_words words;
	struct sbx_err err;
	char room[8192];
	const struct net_scene scene = {.words = &words};

	assert(net_read("user,ipv6", "--net", &words, &err) == 0);
	for (int kind = 0; kind < SPEC_NET_RULE_COUNT_; kind++) {
		struct str_buf out = STR_BUF_ON_STACK(room);

		netrule_put(rule, (enum spec_net_rule_kind)kind, &scene, &out);
		assert(!out.cut);
		assert(out.len == 0 || out.data[out.len - 1] == '\n');
		assert(out.data[strspn(out.data, "abcdefghijklmnopqrstuvwxyz0123456789_"
						 " .:/,-{}!=@\n")] == '\0');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_dup_n(&arena, (const char *)data, size);
	struct netrule rule;
	struct sbx_err err;

	assert(text);
	if (netrule_read(text, "--allow-net", &rule, &err) < 0) {
		assert(err.usage && err.what[0]);
		return 0;
	}
	check_rule(&rule);
	check_lines(&rule);
	return 0;
}
