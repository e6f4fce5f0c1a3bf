/* SPDX-License-Identifier: MIT */
/*
 * netrules: the rules of --allow-net and --deny-net: what one says, and what nftables is told.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/str.h"
#include "sbx/spec/net.h"
#include "sbx/spec/spec.h"

enum { NETRULE_PORTS_MAX = 16, NETRULES_MAX = 256 };

enum netrule_where {
	NETRULE_ANY,
	NETRULE_ADDRESS, /* an address, or those that begin as it does */
	NETRULE_LAN, /* private, shared, link-local addresses, and where metadata services are */
	NETRULE_LINK_LOCAL,
	NETRULE_METADATA,
	NETRULE_HOST, /* the host's own addresses */
	NETRULE_DNS,  /* the resolver of /etc/resolv.conf */
};

enum netrule_protocol { NETRULE_ALL, NETRULE_TCP, NETRULE_UDP, NETRULE_ICMP };

struct netrule {
	enum netrule_where where;
	struct net_address address; /* of NETRULE_ADDRESS */
	unsigned bits;		    /* likewise: how many of its first ones count */
	enum netrule_protocol protocol;
	struct netrule_ports {
		uint16_t first, last;
	} ports[NETRULE_PORTS_MAX];
	size_t n_ports; /* 0: all */
};

int netrule_read(const char *text, const char *option, struct netrule *ret, struct sbx_err *err);
bool netrule_is_single(const struct netrule *rule);
void netrule_put(const struct netrule *rule, enum spec_net_rule_kind kind,
		 const struct net_scene *scene, struct str_buf *out);
