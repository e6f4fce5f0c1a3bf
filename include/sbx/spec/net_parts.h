/* SPDX-License-Identifier: MIT */
/*
 * net_parts: what the files that plan a network share; for no one else.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/net.h"

/* The network that slirp4netns makes, and which addresses of it are whose: slirp4netns(1). */
enum {
	NET_CIDR = 0x0a000200, /* 10.0.2.0, its default */
	NET_GATEWAY = 2,
	NET_DNS = 3,
	NET_GUEST = 100,
	NET_PREFIX6 = 64,
};
#define NET_FIRST6 "fd00::"
#define NET_OWN6 "fd00::/64"
#define NET_GATEWAY6 "fd00::2"
#define NET_DNS6 "fd00::3"

/* ---- net_words.c: the words, and whose addresses follow from them ---- */

int net_bad(const char *option, const char *word, const char *what, struct sbx_err *err);
struct net_address net_own(const struct net_words *words, uint32_t which);
const char *net_address_arg(struct arena *arena, const char *name,
			    const struct net_address *address);
const char *net_share_key(const struct net_words *words, struct arena *arena);

/* ---- net_filter.c: the rules ---- */

unsigned net_count_rules(const char *rules);

/* ---- net_find.c: what the host has ---- */

int net_find_host(struct arena *arena, struct net_scene *scene, struct sbx_err *err);
int net_find_routes(struct arena *arena, struct net_scene *scene, struct plan_net *net,
		    struct sbx_err *err);
int net_find_helper(const struct sbx_spec *spec, const struct probe_host *host, const char *name,
		    const char **ret, struct sbx_err *err);
int net_check_tun(struct sbx_err *err);
int net_check_outbound(const struct net_address *a, struct sbx_err *err);
