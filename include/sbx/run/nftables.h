/* SPDX-License-Identifier: MIT */
/*
 * nftables: ask the kernel what nft(8) has left there, and add to it. A socket belongs to the
 * network namespace that it was made in; whoever sends through it needs CAP_NET_ADMIN over that.
 * Runs in: PID 1, and the monitor, which has the capability over the user namespaces that it made.
 */
#pragma once

#include "sbx/spec/net.h"

int nftables_open(void);
int nftables_count_rules(int fd, const char *table, const char *chain);
int nftables_deny(int fd, const char *set, const struct net_link *what);
