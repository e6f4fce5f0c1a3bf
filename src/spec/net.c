/* SPDX-License-Identifier: MIT */
/*
 * net: see net.h. Here the plan of a network is made: what slirp4netns is told, what the files in
 * /etc say, who owns it, what members of a shared one have in common. The words of --net are read
 * in net_words.c, what is the host's is found in net_find.c, the rules are written in net_filter.c.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/base.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/net_parts.h"
#include "sbx/spec/netrules.h"
#include "sbx/spec/publish.h"
#include "sbx/spec/records.h"

/* ---- the plan ---- */

/* NULL: out of memory. Without a resolver the file says so, or the caller's would be guessed. */
const char *net_resolv_conf(const struct net_words *words, struct arena *arena)
{
	char room[NET_DNS_MAX * (INET6_ADDRSTRLEN + sizeof("nameserver \n")) + 64];
	struct str_buf out = STR_BUF_ON_STACK(room);
	const struct net_address own = net_own(words, NET_DNS);

	if (words->no_dns)
		str_buf_puts(&out, "# --net=user,dns=none: no resolver\n");
	for (size_t i = 0; i < words->n_dns; i++) {
		str_buf_puts(&out, "nameserver ");
		net_put_address(&out, &words->dns[i]);
		str_buf_puts(&out, "\n");
	}
	if (words->n_dns == 0 && !words->no_dns) {
		str_buf_puts(&out, "nameserver ");
		net_put_address(&out, &own);
		str_buf_printf(&out, "\n%s%s%s", words->ipv6 ? "nameserver " : "",
			       words->ipv6 ? NET_DNS6 : "", words->ipv6 ? "\n" : "");
	}
	return arena_dup(arena, out.data);
}

static void net_add_arg(struct plan_net *net, const char *arg, bool *lacks)
{
	*lacks |= !arg;
	net->args[net->n_args++] = arg;
	assert(net->n_args < PLAN_NET_ARGS_MAX);
}

/* Those of slirp4netns's options that do not depend on descriptors. */
static int net_args(const struct net_words *words, struct arena *arena, struct plan_net *net)
{
	const struct net_address own = net_own(words, 0);
	bool lacks = false;

	if (!words->share[0])
		net_add_arg(net, "--configure", &lacks); /* else it is a port of a bridge */
	net_add_arg(net, "--enable-seccomp", &lacks);
	if (net->has_own_sandbox)
		net_add_arg(net, "--enable-sandbox", &lacks);
	net_add_arg(net, arena_printf(arena, "--mtu=%u", words->mtu), &lacks);
	net_add_arg(net,
		    arena_printf(arena, "%s/%u", net_address_arg(arena, "--cidr=", &own),
				 words->prefix),
		    &lacks);
	/* A published UDP port could not be answered: see publish.c. */
	if (!words->allow_host_loopback && !net->answers_udp)
		net_add_arg(net, "--disable-host-loopback", &lacks);
	if (words->no_dns || words->n_dns)
		net_add_arg(net, "--disable-dns", &lacks);
	if (words->ipv6)
		net_add_arg(net, "--enable-ipv6", &lacks);
	if (words->outbound.family)
		net_add_arg(net, net_address_arg(arena, "--outbound-addr=", &words->outbound),
			    &lacks);
	if (words->outbound6.family)
		net_add_arg(net, net_address_arg(arena, "--outbound-addr6=", &words->outbound6),
			    &lacks);
	return lacks ? -ENOMEM : 0;
}

static const char *net_text(const struct net_words *words, struct arena *arena)
{
	if (words->share[0] && !words->internet)
		return arena_printf(arena, "the sandboxes that share the network %s, and no more",
				    words->share);
	return arena_printf(
		arena, "%s%s%s%s%s%s",
		words->share[0] ? "the sandboxes that share the network " : "", words->share,
		words->share[0] ? ", and " : "",
		words->unfiltered
			? "all that the host can reach, its own addresses and its network "
			  "included"
		: words->lan ? "the internet and the host's network, but not the host or metadata "
			       "services"
			     : "the internet, but not the host, its network or metadata services",
		words->allow_host_loopback ? "; the host's loopback is the gateway's address" : "",
		words->ipv6 ? "; with IPv6" : "");
}

static bool net_maps_zero(const struct plan_map *map)
{
	for (size_t i = 0; i < map->n_lines; i++)
		if (map->lines[i].inside == 0)
			return true;
	return false;
}

/*
 * slirp4netns hides the host's files from itself as uid 0 of the sandbox's user namespace
 * (or of its own, where the caller is root there), so that id must exist.
 */
static bool net_can_hide_files(const struct probe_host *host, const struct plan_map *uid_map,
			       const struct plan_map *gid_map)
{
	return host->uid == 0 || (net_maps_zero(uid_map) && net_maps_zero(gid_map));
}

/* What slirp4netns is started with, as whoever has these ids. */
static int net_fill_args(const struct probe_host *host, const struct net_words *words,
			 const struct plan_map *uid_map, const struct plan_map *gid_map,
			 struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_net *net = &plan->net;

	if (!words->internet)
		return 0;
	net->has_own_sandbox = net_can_hide_files(host, uid_map, gid_map);
	net->by_pid = net->has_own_sandbox && host->uid != 0;
	return net_args(words, &plan->arena, net) < 0 ? err_oom(err) : 0;
}

static int net_remark(const struct net_words *words, const struct sbx_spec *spec,
		      struct sbx_plan *plan)
{
	const struct plan_net *net = &plan->net;
	const char *helper = net->share ? net->share->helper : net->helper;
	int r = plan_add_remark(plan, "network", "%s%s%s; %s%s", helper ? helper : "",
				helper ? ": " : "", net->text, net->nft ? "rules by " : "no rules",
				net->nft ? net->nft : "");

	if (r == 0 && helper && !net->has_own_sandbox)
		r = plan_add_remark(plan, "network",
				    "slirp4netns has its filter of system calls, but not its own "
				    "mount namespace, which takes an id 0 inside (--map=range, "
				    "--root)");
	for (size_t i = 0; i < spec->n_net_rules && r == 0; i++)
		r = plan_add_remark(plan, "network", "rule %zu: %s %s", i + 1,
				    spec_net_rule_names[spec->net_rules[i].kind],
				    spec->net_rules[i].text);
	if (r == 0 && words->unfiltered)
		r = plan_add_remark(plan, "exposed",
				    "the host's own addresses, its network and metadata services "
				    "(unfiltered)");
	if (r == 0 && words->lan)
		r = plan_add_remark(plan, "exposed", "the host's network (lan)");
	if (r == 0 && words->allow_host_loopback)
		r = plan_add_remark(plan, "exposed",
				    "what listens on the host's loopback (allow-host-loopback)");
	if (r == 0 && words->keep)
		r = plan_add_remark(plan, "network",
				    "if slirp4netns ends, the sandbox goes on without it "
				    "(on-death=keep)");
	return r == 0 ? publish_remark(plan) : r;
}

/* A rule that opens nothing, as a word of --net is missing, is not what was meant. */
static int net_check_allowed(const struct net_words *words, const struct netrule *rule,
			     const char *text, struct sbx_err *err)
{
	static const char option[] = "--allow-net";

	if (rule->where == NETRULE_DNS && words->no_dns)
		return net_bad(option, text,
			       "there is no resolver with dns=none (--net=user,dns=none)", err);
	if (rule->where != NETRULE_ADDRESS)
		return 0;
	if (rule->address.family == AF_INET6 && !words->ipv6)
		return net_bad(option, text,
			       "there is no IPv6 without the word ipv6 (--net=user,ipv6)", err);
	if (!words->allow_host_loopback && words->internet && netrule_is_single(rule) &&
	    net_is_gateway(words, &rule->address))
		return net_bad(option, text,
			       "the gateway leads to the host's loopback, which no rule opens, but "
			       "the word allow-host-loopback (--net=user,allow-host-loopback)",
			       err);
	return 0;
}

/* The rules of the options, as read once more: a spec can come from a file. */
static int net_read_rules(const struct sbx_spec *spec, struct arena *arena, struct net_scene *scene,
			  struct sbx_err *err)
{
	size_t n = spec->n_net_rules;
	struct netrule *rules = arena_alloc(arena, (n + 1) * sizeof(*rules));
	enum spec_net_rule_kind *kinds = arena_alloc(arena, (n + 1) * sizeof(*kinds));

	if (!rules || !kinds)
		return err_oom(err);
	if (n > NETRULES_MAX)
		return err_usage(err, spec->net_rules[0].cause.option,
				 "there can be %d rules at most", NETRULES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct spec_net_rule *rule = &spec->net_rules[i];
		int r = netrule_read(rule->text,
				     rule->kind == SPEC_NET_ALLOW ? "--allow-net" : "--deny-net",
				     &rules[i], err);

		if (r == 0 && rule->kind == SPEC_NET_ALLOW)
			r = net_check_allowed(scene->words, &rules[i], rule->text, err);
		if (r < 0)
			return r;
		kinds[i] = rule->kind;
	}
	scene->rules = rules;
	scene->kinds = kinds;
	scene->n_rules = n;
	return 0;
}

/* ---- a network that sandboxes share ---- */

/* The ids of the user namespace above the members: all that this one has, under usual names. */
static int net_share_map(const struct plan_map *map, struct arena *arena, struct plan_map *ret,
			 struct sbx_err *err)
{
	struct probe_range *ranges = arena_alloc(arena, (map->n_lines + 1) * sizeof(*ranges));
	size_t n = 0;

	if (!ranges)
		return err_oom(err);
	for (size_t i = 0; i < map->n_lines; i++)
		if (map->lines[i].outside != map->own_outside)
			ranges[n++] =
				(struct probe_range){map->lines[i].outside, map->lines[i].count};
	/* Copies: the process that holds the network wipes what the originals may lie in. */
	ret->helper = map->helper ? arena_dup(arena, map->helper) : NULL;
	if (map->helper && !ret->helper)
		return err_oom(err);
	return idmap_lay_out(ranges, n, map->own_outside, map->own_outside, arena, ret, err);
}

/* Only when the rest of the network is known. */
static int net_fill_share(const struct sbx_spec *spec, const struct probe_host *host,
			  const struct net_words *words, const char *helper, struct sbx_plan *plan,
			  struct sbx_err *err)
{
	struct plan_share *share = arena_alloc(&plan->arena, sizeof(*share));
	int r;

	if (!share)
		return err_oom(err);
	memset(share, 0, sizeof(*share));
	share->name = arena_dup(&plan->arena, words->share);
	share->helper = helper ? arena_dup(&plan->arena, helper) : NULL;
	share->key = helper ? net_share_key(words, &plan->arena) : "";
	share->host = arena_dup(&plan->arena, spec->hostname ? spec->hostname : "");
	share->first.s_addr = htonl(words->cidr);
	share->gateway.s_addr = htonl(words->cidr + NET_GATEWAY);
	share->prefix = words->prefix;
	share->mtu = words->mtu;
	if (!share->name || !share->key || !share->host || (helper && !share->helper) ||
	    records_add_networks(host, plan, share->dirs) < 0)
		return err_oom(err);
	r = net_share_map(&plan->uid_map, &plan->arena, &share->uid_map, err);
	if (r == 0)
		r = net_share_map(&plan->gid_map, &plan->arena, &share->gid_map, err);
	if (r == 0)
		r = idmap_split(&share->uid_map, &plan->arena, &plan->uid_map, err);
	if (r == 0)
		r = idmap_split(&share->gid_map, &plan->arena, &plan->gid_map, err);
	if (r == 0)
		r = net_fill_args(host, words, &share->uid_map, &share->gid_map, plan, err);
	plan->net.share = share;
	return r;
}

/* Members that have no rules of their own need none where nothing leads out. */
static bool net_needs_rules(const struct sbx_spec *spec, const struct net_words *words)
{
	return spec->n_net_rules > 0 || (words->internet && !words->unfiltered);
}

/* What slirp4netns has of IPv6 is always the same (slirp4netns(1)). */
static int net_fill_ipv6(const struct net_words *words, struct sbx_plan *plan)
{
	struct plan_net6 *ipv6 = arena_alloc(&plan->arena, sizeof(*ipv6));

	if (!ipv6)
		return -ENOMEM;
	*ipv6 = (struct plan_net6){.prefix = NET_PREFIX6, .own = net_own(words, NET_GUEST).at.v4};
	(void)inet_pton(AF_INET6, NET_FIRST6, &ipv6->first);
	(void)inet_pton(AF_INET6, NET_GATEWAY6, &ipv6->gateway);
	plan->net.ipv6 = ipv6;
	return 0;
}

/* The files of /etc. */
static int net_fill_files(const struct net_words *words, struct sbx_plan *plan, struct sbx_err *err)
{
	const struct net_address gateway = net_own(words, NET_GATEWAY);
	struct plan_net *net = &plan->net;

	if (!words->internet)
		return 0;
	net->resolv_conf = net_resolv_conf(words, &plan->arena);
	if (words->allow_host_loopback)
		net->gateway = net_address_arg(&plan->arena, "", &gateway);
	if (!net->resolv_conf || (words->allow_host_loopback && !net->gateway) ||
	    (words->ipv6 && net_fill_ipv6(words, plan) < 0))
		return err_oom(err);
	return 0;
}

static int net_fill(const struct sbx_spec *spec, const struct probe_host *host,
		    const struct net_words *words, struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_net *net = &plan->net;
	struct net_scene scene = {.words = words};
	const char *helper = NULL;
	int r = words->internet ? net_find_helper(spec, host, "slirp4netns", &helper, err) : 0;

	if (r == 0 && words->internet)
		r = net_check_tun(err);
	if (r == 0)
		r = net_check_outbound(&words->outbound, err);
	if (r == 0)
		r = net_check_outbound(&words->outbound6, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_helper(spec, host, "nft", &net->nft, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_host(&plan->arena, &scene, err);
	if (r == 0 && net_needs_rules(spec, words))
		r = net_find_routes(&plan->arena, &scene, net, err);
	if (r == 0)
		r = net_read_rules(spec, &plan->arena, &scene, err);
	if (r == 0)
		r = net_fill_files(words, plan, err);
	if (r == 0)
		r = words->share[0]
			    ? net_fill_share(spec, host, words, helper, plan, err)
			    : net_fill_args(host, words, &plan->uid_map, &plan->gid_map, plan, err);
	if (r < 0)
		return r;
	if (!words->share[0])
		net->helper = helper;
	net->survives = words->keep;
	net->text = net_text(words, &plan->arena);
	if (net->nft)
		net->rules = net_rules(&scene, &plan->arena);
	if (!net->text || (net->nft && !net->rules) || net_remark(words, spec, plan) < 0)
		return err_oom(err);
	net->n_rules = net->nft ? net_count_rules(net->rules) : 0;
	return 0;
}

/* What a member's user namespace cannot be at the same time. */
static int net_check_share(const struct sbx_spec *spec, const struct probe_host *host,
			   const struct net_words *words, const char *option, struct sbx_err *err)
{
	const char *const names[] = {BASE_HOSTS_NAMES, host->hostname};
	struct in_addr ignored;
	static const char *const others[] = {"--userns", "--pidns", "--userns-block-fd"};
	const int64_t fds[] = {spec->userns_fd, spec->pidns_fd, spec->userns_block_fd};

	for (size_t i = 0; spec->name && i < ARRAY_SIZE(names); i++)
		if (names[i] && strcasecmp(spec->name, names[i]) == 0)
			return err_usage(err, "--name",
					 "\"%s\" stands for something else in every /etc/hosts; to "
					 "the others of %s it takes another",
					 spec->name, option);
	/* As getaddrinfo(3) reads it: 1 is 0.0.0.1. */
	if (spec->name && inet_aton(spec->name, &ignored) != 0)
		return err_usage(
			err, "--name",
			"\"%s\" is read as an address and never looked up in /etc/hosts; to "
			"the others of %s it takes a name",
			spec->name, option);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (fds[i] >= 0)
			return err_usage(err, option,
					 "cannot be combined with %s: the members of a network are "
					 "children of one user namespace, that of the network",
					 others[i]);
	if (words->keep)
		return err_usage(err, option,
				 "on-death=keep is for --net=user: a network that is shared ends "
				 "with its slirp4netns, and its members with it");
	return publish_refuse_without_net(spec, err);
}

/* Rules are for a network that sbx makes. */
static int net_check_no_rules(const struct sbx_spec *spec, const struct sbx_plan *plan,
			      struct sbx_err *err)
{
	const char *option;

	if (spec->n_net_rules == 0)
		return 0;
	option = spec->net_rules[0].kind == SPEC_NET_ALLOW ? "--allow-net" : "--deny-net";
	(void)err_usage(err, option, "%s",
			plan->netns_fd >= 0
				? "cannot be enforced on a network that was made elsewhere"
			: plan->namespaces & CLONE_NEWNET
				? "there is no network that the rule could be for"
				: "cannot be enforced on the host's network, which is not the "
				  "sandbox's to rule");
	err_hint(err, "add --net=user, which reaches the internet by rules");
	return -EINVAL;
}

/* ---- a namespace made elsewhere ---- */

/* Are two descriptors of the same namespace? */
static bool net_is_same_ns(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int net_refuse_fd(const char *option, int number, const char *what, struct sbx_err *err)
{
	(void)err_refuse(err, number, NULL, "%s", what);
	err_set_option(err, option);
	if (number == EPERM)
		hint_add(err, HINT_NETNS);
	else
		err_hint(err, "open one, for example: sbx --net=fd:7 ... 7< /proc/PID/ns/net");
	return -number;
}

/* Who owns it has to be entered first, where that is neither the caller's own nor --userns. */
static int net_choose_owner(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	_autoclose_ int owner = ioctl(plan->netns_fd, NS_GET_USERNS);
	_autoclose_ int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	const char *option = plan->net.option;
	uint64_t caps = 0;

	if (owner < 0)
		return net_refuse_fd(
			option, EPERM,
			"the network namespace belongs to a user namespace that is not "
			"below yours",
			err);
	if (net_is_same_ns(owner, (int)spec->userns_fd))
		return 0;
	if (!net_is_same_ns(owner, own)) {
		plan->enters_owner = true;
		if (!(plan->namespaces & CLONE_NEWUSER) || spec->userns_block_fd >= 0 ||
		    spec->pidns_fd >= 0)
			return net_refuse_fd(option, EINVAL,
					     "the network namespace belongs to another user "
					     "namespace, below which the sandbox is to have one of "
					     "its own, with ids of sbx's",
					     err);
		return 0;
	}
	if (sys_capget(&caps) == 0 && !(caps >> CAP_SYS_ADMIN & 1))
		return net_refuse_fd(option, EPERM,
				     "the network namespace belongs to the user namespace that you "
				     "are in, and you have no CAP_SYS_ADMIN there",
				     err);
	return 0;
}

/* What is for a network that sbx makes. Return: 0, or -errno with *err filled. */
static int net_check_none(const struct sbx_spec *spec, const struct sbx_plan *plan,
			  struct sbx_err *err)
{
	int r = publish_refuse_without_net(spec, err);

	return r < 0 ? r : net_check_no_rules(spec, plan, err);
}

/* --net=fd:N */
static int net_choose_fd(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	int64_t fd = net_read_fd(spec->net);
	int r;

	plan->net.option = arena_printf(&plan->arena, "--net=%s", spec->net);
	if (!plan->net.option)
		return err_oom(err);
	if (fd < 0 || fcntl((int)fd, F_GETFD) < 0)
		return net_refuse_fd(plan->net.option, EBADF, "there is no such descriptor", err);
	if (ioctl((int)fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return net_refuse_fd(plan->net.option, EINVAL,
				     "the descriptor is not a network namespace's", err);
	plan->netns_fd = (int)fd;
	r = net_check_none(spec, plan, err);
	if (r == 0)
		r = net_choose_owner(spec, plan, err);
	if (r < 0)
		return r;
	return plan_add_remark(
		       plan, "network",
		       "that of descriptor %d, made elsewhere: what it reaches, the sandbox "
		       "does",
		       (int)fd) < 0
		       ? err_oom(err)
		       : 0;
}

/**
 * Fill plan->net.
 * @plan: its namespaces are there already
 *
 * Return: 0, or -errno with *err filled.
 */
int net_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
	       struct sbx_err *err)
{
	struct net_words words = {.cidr = NET_CIDR};
	const char *option;
	int r;

	if (!spec->net)
		return net_check_none(spec, plan, err);
	if (str_starts_with(spec->net, NET_FD))
		return net_choose_fd(spec, plan, err);
	r = net_read(spec->net, "--net", &words, err);
	if (r < 0)
		return r;
	option =
		words.share[0] ? arena_printf(&plan->arena, "--net=%s", words.share) : "--net=user";
	if (!option)
		return err_oom(err);
	plan->net.option = option;
	if (words.share[0] && !(plan->namespaces & CLONE_NEWUSER))
		return err_usage(err, option, "needs a user namespace; add --unshare-user");
	r = words.share[0] ? net_check_share(spec, host, &words, option, err) : 0;
	if (r < 0)
		return r;
	if (!(plan->namespaces & CLONE_NEWUSER) && plan->parent_userns_fd < 0)
		return err_usage(err, option, "needs a user namespace; add --unshare-user");
	words.plan = words.share[0] ? NULL : &plan->net;
	r = publish_choose(spec, &words, plan, err);
	if (r < 0)
		return r;
	r = net_fill(spec, host, &words, plan, err);
	if (r < 0)
		err_set_option(err, option);
	return r;
}
