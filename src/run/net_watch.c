/* SPDX-License-Identifier: MIT */
/*
 * net_watch: see net_watch.h.
 *
 * Theory of operation
 *
 * The rules refuse what the host had when the plan was made. A machine that joins another network,
 * brings up a VPN or gets a further address has more. The kernel tells of routes and addresses that
 * come (rtnetlink(7)); then its table of the host's own is read once more, and which networks the
 * interfaces are in, and what is new is added to sets of the sandbox's rules. So nothing depends on
 * having every message, and what has come between the plan and the beginning of the watch is found
 * too.
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
	free(watch->own.list);
	free(watch->links.list);
	net_watch_init(watch);
}

static bool net_watch_is_single(const struct net_link *what)
{
	return what->bits == (what->address.family == AF_INET ? 32 : 128);
}

static int net_watch_refuse(const struct net_link *what, bool is_link, int number,
			    struct sbx_err *err)
{
	char room[INET6_ADDRSTRLEN + 8];
	struct str_buf text = STR_BUF_ON_STACK(room);

	net_put_address(&text, &what->address);
	if (!net_watch_is_single(what))
		str_buf_printf(&text, "/%u", what->bits);
	return err_system(err, number, NULL,
			  "the network was closed: the host %s, %s, which cannot be "
			  "kept out of reach",
			  is_link ? "is in a new network" : "has a new address", text.data);
}

/* Is a smaller prefix of the list in it? */
static bool net_watch_has_part(const struct net_watch_list *known, const struct net_link *what)
{
	for (size_t i = 0; i < known->n; i++)
		if (!net_watch_is_single(&known->list[i]) &&
		    net_covers(&what->address, what->bits, &known->list[i].address,
			       known->list[i].bits))
			return true;
	return false;
}

/*
 * Refuse what of one is not refused yet. In a set no range may be in another: of a prefix in which
 * a smaller one is known, each half is looked at by itself.
 *
 * Return: 0 or -errno.
 */
static int net_watch_deny(struct net_watch *watch, struct net_watch_list *known,
			  const struct net_link *what)
{
	const char *set = known == &watch->links      ? NET_SET_LINKS
			  : net_watch_is_single(what) ? NET_SET_HOST
						      : NET_SET_NETS;
	struct net_link half = *what;
	int r;

	if (net_host_has(known->list, known->n, what))
		return 0;
	if (!net_watch_is_single(what) && net_watch_has_part(known, what)) {
		half.bits++;
		r = net_watch_deny(watch, known, &half);
		((uint8_t *)&half.address.at)[what->bits / 8] ^=
			(uint8_t)(0x80 >> (what->bits % 8));
		return r < 0 ? r : net_watch_deny(watch, known, &half);
	}
	if (known->n == NET_WATCH_MAX)
		return -E2BIG;
	r = nftables_deny(watch->nft_fd, set, what);
	if (r == 0)
		known->list[known->n++] = *what;
	return r;
}

static int net_watch_deny_all(struct net_watch *watch, struct net_watch_list *known,
			      const struct net_link *now, size_t n, struct sbx_err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = net_watch_deny(watch, known, &now[i]);

		if (r < 0)
			return net_watch_refuse(&now[i], known == &watch->links, -r, err);
	}
	return 0;
}

/* What there is now. */
struct net_watch_news {
	struct net_link own[NET_HOST_MAX], links[NET_HOST_MAX];
	struct net_address addresses[NET_HOST_MAX];
	size_t n_own, n_links, n_addresses;
};

/* Refuse what is new. Return: 0, or -errno with *err filled. */
static int net_watch_update(struct net_watch *watch, struct sbx_err *err)
{
	_autofree_ struct net_watch_news *now = malloc(sizeof(*now));
	int r = now ? net_host_list(now->own, NET_HOST_MAX, &now->n_own) : -ENOMEM;

	if (r == 0)
		r = net_host_list_links(now->addresses, now->links, NET_HOST_MAX, &now->n_addresses,
					&now->n_links);
	if (r == -E2BIG)
		return err_refuse(err, E2BIG, NULL,
				  "the network was closed: the host has more than %d addresses, "
				  "which cannot all be kept out of reach",
				  NET_HOST_MAX);
	if (r < 0)
		return err_system(err, -r, NULL,
				  "the network was closed: it cannot be learned which addresses "
				  "the host has now");
	r = net_watch_deny_all(watch, &watch->own, now->own, now->n_own, err);
	return r < 0 ? r : net_watch_deny_all(watch, &watch->links, now->links, now->n_links, err);
}

/* What the rules have. Return: 0 or -ENOMEM. */
static int net_watch_know(struct net_watch_list *known, const struct net_link *list, size_t n)
{
	known->list = malloc(NET_WATCH_MAX * sizeof(*known->list));
	if (!known->list)
		return -ENOMEM;
	if (n > 0)
		memcpy(known->list, list, n * sizeof(*list));
	known->n = n;
	return 0;
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
	if (net_watch_know(&watch->own, net->host, net->n_host) < 0 ||
	    net_watch_know(&watch->links, net->links, net->n_links) < 0)
		return err_oom(err);
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
