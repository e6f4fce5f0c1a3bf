/* SPDX-License-Identifier: MIT */
/*
 * net_host: which addresses are the host's own, as the kernel has them in its routes, and which
 * networks its interfaces are in.
 * Runs in: the caller's process, and the monitor for those that come later.
 */
#pragma once

#include "sbx/spec/net.h"

int net_host_list(struct net_link *list, size_t max, size_t *ret_n);
int net_host_list_links(struct net_address *list, struct net_link *links, size_t max, size_t *ret_n,
			size_t *ret_n_links);
void net_host_add_widest(struct net_link *list, size_t *n, const struct net_link *link);
int net_host_watch(void);
bool net_host_changed(int fd);
bool net_host_has(const struct net_link *list, size_t n, const struct net_link *what);
