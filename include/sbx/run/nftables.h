/* SPDX-License-Identifier: MIT */
/*
 * nftables: ask the kernel what nft(8) has left there. The network namespace is the caller's, who
 * needs CAP_NET_ADMIN over it. Runs in: PID 1.
 */
#pragma once

int nftables_count_rules(const char *table, const char *chain);
