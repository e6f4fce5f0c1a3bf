/* SPDX-License-Identifier: MIT */
/*
 * net_find: what of the host a network depends on: its addresses, the programs, /dev/net/tun; see
 * net_parts.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/net_host.h"
#include "sbx/spec/net_parts.h"

static int net_refuse_many(struct sbx_err *err)
{
	int r = err_refuse(err, E2BIG, NULL, "the host has more than %d addresses to refuse",
			   NET_HOST_MAX);

	err_hint(err,
		 "remove some of \"ip address\" and \"ip route show table local\"; or do without "
		 "refusing them:\n--net=user,unfiltered without --allow-net and --deny-net");
	return r;
}

int net_find_host(struct arena *arena, struct net_scene *scene, struct sbx_err *err)
{
	struct net_address *list = arena_alloc(arena, NET_HOST_MAX * sizeof(*list));
	struct net_link *links = arena_alloc(arena, NET_HOST_MAX * sizeof(*links));
	size_t n = 0;
	int r;

	if (!list || !links)
		return err_oom(err);
	r = net_host_list_links(list, links, NET_HOST_MAX, &n, &scene->n_links);
	if (r == -E2BIG)
		return net_refuse_many(err);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot learn the host's addresses");
	scene->host = list;
	scene->links = links;
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
			net_host_add_widest(nets, &scene->n_nets, &all[i]);
	}
	scene->host = host;
	scene->nets = nets;
	net->host = all;
	net->n_host = n;
	net->links = scene->links;
	net->n_links = scene->n_links;
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
	/* What is asked of a network with these takes nft in any case. */
	if (remedy && str_equal(name, "nft") && spec->n_net_rules == 0)
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
