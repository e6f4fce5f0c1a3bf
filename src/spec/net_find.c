/* SPDX-License-Identifier: MIT */
/*
 * net_find: what of the host a network depends on: its addresses, the programs, /dev/net/tun; see
 * net_parts.h.
 */

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/net_host.h"
#include "sbx/spec/net_parts.h"

enum {
	NET_LINK_MIN = 8, /* bits of a network that the host is in; one of fewer is a mistake */
	NET_LINK_MIN_IPV6 = 32,
};

static unsigned net_count_bits(const struct sockaddr *mask)
{
	struct in6_addr at = {0};
	unsigned bits = 0;

	if (!mask)
		return sizeof(at) * CHAR_BIT;
	if (mask->sa_family == AF_INET)
		memcpy(&at, &((const struct sockaddr_in *)(const void *)mask)->sin_addr,
		       sizeof(struct in_addr));
	else
		at = ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
	for (size_t i = 0; i < sizeof(at); i++)
		bits += (unsigned)__builtin_popcount(at.s6_addr[i]);
	return bits;
}

/* In a list of which none is in another; that it is in none is known. */
static void net_add_widest(struct net_link *list, size_t *n, const struct net_link *link)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (!net_covers(&link->address, link->bits, &list[i].address, list[i].bits))
			list[kept++] = list[i];
	list[kept++] = *link;
	*n = kept;
}

/*
 * Note the network of one of the host's addresses. Those that the rules have anyway, and those
 * in another, are left out: to nft a set whose ranges overlap is an error.
 */
static void net_add_link(struct net_scene *scene, struct net_link *links,
			 const struct net_address *address, unsigned bits)
{
	bool v4 = address->family == AF_INET;
	struct net_link link = {.address = *address, .bits = bits};
	uint8_t *at = (uint8_t *)&link.address.at;

	if (bits < (v4 ? NET_LINK_MIN : NET_LINK_MIN_IPV6) || bits >= (v4 ? 32 : 128) ||
	    net_is_near(scene, address, bits) || net_is_never(address, bits))
		return;
	for (unsigned i = bits; i < (v4 ? 32 : 128); i++)
		at[i / 8] &= (uint8_t) ~(1U << (7 - i % 8));
	net_add_widest(links, &scene->n_links, &link);
}

static int net_refuse_many(struct sbx_err *err)
{
	return err_refuse(err, E2BIG, NULL, "the host has more than %d addresses to refuse",
			  NET_HOST_MAX);
}

int net_find_host(struct arena *arena, struct net_scene *scene, struct sbx_err *err)
{
	struct net_address *list = arena_alloc(arena, NET_HOST_MAX * sizeof(*list));
	struct net_link *links = arena_alloc(arena, NET_HOST_MAX * sizeof(*links));
	struct ifaddrs *first;
	size_t n = 0;

	if (!list || !links)
		return err_oom(err);
	if (getifaddrs(&first) < 0)
		return err_system(err, errno, NULL, "cannot learn the host's addresses");
	scene->host = list;
	scene->links = links;
	for (const struct ifaddrs *i = first; i && n <= NET_HOST_MAX; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		if (n == NET_HOST_MAX) {
			n++;
			break;
		}
		memset(&list[n], 0, sizeof(list[n]));
		list[n].family = family;
		if (family == AF_INET)
			list[n].at.v4 =
				((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		else
			list[n].at.v6 =
				((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		net_add_link(scene, links, &list[n], net_count_bits(i->ifa_netmask));
		n++;
	}
	freeifaddrs(first);
	if (n > NET_HOST_MAX)
		return net_refuse_many(err);
	scene->n_host = n;
	return 0;
}

/*
 * What the kernel's routes say is the host's own: addresses that no interface has, and prefixes. Of
 * these none is in another, for the sake of nft, or never reached anyway.
 */
int net_find_routes(struct arena *arena, struct net_scene *scene, struct plan_net *net,
		    struct sbx_err *err)
{
	struct net_address *host = arena_alloc(arena, 2 * NET_HOST_MAX * sizeof(*host));
	struct net_link *all = arena_alloc(arena, NET_HOST_MAX * sizeof(*all));
	struct net_link *nets = arena_alloc(arena, NET_HOST_MAX * sizeof(*nets));
	size_t n = 0;
	int r;

	if (!host || !all || !nets)
		return err_oom(err);
	r = net_host_list(all, NET_HOST_MAX, &n);
	if (r == -E2BIG)
		return net_refuse_many(err);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot learn the host's routes");
	if (scene->n_host)
		memcpy(host, scene->host, scene->n_host * sizeof(*host));
	for (size_t i = 0; i < n; i++) {
		bool v4 = all[i].address.family == AF_INET;

		if (all[i].bits == (v4 ? 32 : 128)) {
			host[scene->n_host++] = all[i].address;
			continue;
		}
		if (!net_is_never(&all[i].address, all[i].bits))
			net_add_widest(nets, &scene->n_nets, &all[i]);
	}
	scene->host = host;
	scene->nets = nets;
	net->host = all;
	net->n_host = n;
	return 0;
}

int net_find_helper(const struct sbx_spec *spec, const struct probe_host *host, const char *name,
		    const char **ret, struct sbx_err *err)
{
	const char *path = probe_helper(host, spec, name), *remedy;

	if (path && access(path, X_OK) < 0)
		return err_system(err, errno, path, "cannot be executed");
	*ret = path;
	if (path)
		return 0;
	(void)err_refuse(err, ENOENT, name, "is not installed");
	remedy = probe_helper_remedy(host, name);
	if (remedy && str_equal(name, "nft"))
		err_hint(err,
			 "%s; --net=user,unfiltered does without, and leaves the\n"
			 "host and its network within reach",
			 remedy);
	else if (remedy)
		err_hint(err, "%s", remedy);
	return -ENOENT;
}

/* As slirp4netns will. */
int net_check_tun(struct sbx_err *err)
{
	int r = probe_device("/dev/net/tun", err);

	if (r < 0)
		hint_add(err, HINT_TUN);
	return r;
}

/*
 * slirp4netns would find out at the first connection, and tell nobody. To try is the one way
 * to know: what can be bound is not only what an interface has (ip-sysctl, ip_nonlocal_bind).
 */
int net_check_outbound(const struct net_address *a, struct sbx_err *err)
{
	const struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_addr = a->at.v4};
	const struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_addr = a->at.v6};
	const struct sockaddr *at = a->family == AF_INET ? (const void *)&at4 : (const void *)&at6;
	char room[INET6_ADDRSTRLEN];
	struct str_buf text = STR_BUF_ON_STACK(room);
	_autoclose_ int fd = -1;
	int r;

	if (a->family == AF_UNSPEC)
		return 0;
	fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, at, a->family == AF_INET ? sizeof(at4) : sizeof(at6)) == 0)
		return 0;
	r = -errno;
	net_put_address(&text, a);
	(void)err_system(err, -r, text.data, "cannot be the address that is sent from (outbound=)");
	if (r == -EADDRNOTAVAIL)
		err_hint(err,
			 "choose one of the host's, see \"ip address\"; or leave outbound= out, "
			 "and the host\nchooses");
	return r;
}
