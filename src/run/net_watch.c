/* SPDX-License-Identifier: MIT */
/*
 * net_watch: see net_watch.h.
 *
 * Theory of operation
 *
 * The rules refuse what the host had when the plan was made. A machine that joins another network,
 * brings up a VPN or gets a further address has more. The kernel tells of routes that come
 * (rtnetlink(7)); then its table of the host's own is read once more, and what is new is added to
 * sets of the sandbox's rules. So nothing depends on having every message, and what has come
 * between the plan and the beginning of the watch is found too.
 *
 * Nobody can enter the sandbox by then. But PID 1 has made a socket of nfnetlink in its network and
 * sent it here before it hid, and the kernel asks who sends: the monitor, whose user made the user
 * namespace that the network belongs to, and is not in it, so it has every capability over that
 * (user_namespaces(7)). It keeps it to itself; PID 1 has closed its own.
 *
 * Between the kernel's having the address and its being in the set is the time that this process
 * takes to be run, less than a millisecond on an idle machine. What goes stays refused.
 *
 * What cannot be refused must not be within reach: the caller closes the network.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/run/net_watch.h"
#include "sbx/run/nftables.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/net_host.h"

/* There is room for what the host has twice over: addresses that have gone are still known. */
enum { NET_WATCH_MAX = 2 * NET_HOST_MAX };

void net_watch_init(struct net_watch *watch)
{
	*watch = (struct net_watch){.host_fd = -1, .nft_fd = -1};
}

void net_watch_finish(struct net_watch *watch)
{
	defs_cleanup_fd(&watch->host_fd);
	defs_cleanup_fd(&watch->nft_fd);
	free(watch->known);
	net_watch_init(watch);
}

static int net_watch_refuse(const struct net_link *what, int number, struct sbx_err *err)
{
	char room[INET6_ADDRSTRLEN + 8];
	struct str_buf text = STR_BUF_ON_STACK(room);

	net_put_address(&text, &what->address);
	if (what->bits < (what->address.family == AF_INET ? 32 : 128))
		str_buf_printf(&text, "/%u", what->bits);
	return err_system(err, number, NULL,
			  "the network was closed: the host has a new address, %s, which cannot be "
			  "kept out of reach",
			  text.data);
}

/* Refuse one. Return: 0, or -errno with *err filled. */
static int net_watch_deny(struct net_watch *watch, const struct net_link *what, struct sbx_err *err)
{
	int r = watch->n_known == NET_WATCH_MAX ? -E2BIG : nftables_deny(watch->nft_fd, what);

	if (r < 0)
		return net_watch_refuse(what, -r, err);
	watch->known[watch->n_known++] = *what;
	return 0;
}

/* Refuse what is new. Return: 0, or -errno with *err filled. */
static int net_watch_update(struct net_watch *watch, struct sbx_err *err)
{
	struct net_link *now = malloc(NET_HOST_MAX * sizeof(*now));
	size_t n = 0;
	int r = now ? net_host_list(now, NET_HOST_MAX, &n) : -ENOMEM;

	if (r == -E2BIG)
		(void)err_refuse(err, E2BIG, NULL,
				 "the network was closed: the host has more than %d addresses, "
				 "which cannot all be kept out of reach",
				 NET_HOST_MAX);
	else if (r < 0)
		(void)err_system(err, -r, NULL,
				 "the network was closed: it cannot be learned which addresses "
				 "the host has now");
	for (size_t i = 0; i < n && r == 0; i++)
		if (!net_host_has(watch->known, watch->n_known, &now[i]))
			r = net_watch_deny(watch, &now[i], err);
	free(now);
	return r;
}

/**
 * The rules are set.
 * @nft_fd: taken; a socket of nfnetlink in their network
 *
 * Return: 0, or -errno with *err filled.
 */
int net_watch_begin(struct net_watch *watch, const struct plan_net *net, int *nft_fd,
		    struct sbx_err *err)
{
	net_watch_finish(watch);
	watch->nft_fd = take_fd(nft_fd);
	watch->known = malloc(NET_WATCH_MAX * sizeof(*watch->known));
	if (!watch->known)
		return err_oom(err);
	memcpy(watch->known, net->host, net->n_host * sizeof(*watch->known));
	watch->n_known = net->n_host;
	watch->host_fd = net_host_watch();
	if (watch->host_fd < 0)
		return err_system(err, -watch->host_fd, NULL, "cannot watch the host's addresses");
	return net_watch_update(watch, err);
}

/* There is news. Return: 0, or -errno with *err filled: the network is not to be used any more. */
int net_watch_turn(struct net_watch *watch, struct sbx_err *err)
{
	return net_host_changed(watch->host_fd) ? net_watch_update(watch, err) : 0;
}
