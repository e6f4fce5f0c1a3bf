/* SPDX-License-Identifier: MIT */
/*
 * net_watch: addresses that the host gets while a sandbox runs, and networks that it joins, are
 * refused like those that it had.
 * Runs in: the monitor.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/net.h"

struct net_watch {
	int host_fd; /* owned; tells that something has changed; -1: nothing is watched */
	int nft_fd;  /* owned; of the sandbox's network */
	struct net_watch_list {
		struct net_link *list; /* owned; what is refused */
		size_t n;
	} own, links; /* what is the host's; the networks that it is in */
};

void net_watch_init(struct net_watch *watch);
void net_watch_finish(struct net_watch *watch);
int net_watch_begin(struct net_watch *watch, const struct plan_net *net, int *nft_fd,
		    struct sbx_err *err);
int net_watch_turn(struct net_watch *watch, struct sbx_err *err);
