/* SPDX-License-Identifier: MIT */
/*
 * net: a network in user mode, by slirp4netns(1), and the rules in front of it.
 *
 * Theory of operation
 *
 *     PID 1                                        monitor
 *     NET_API, for publish.c              ──►      keeps it
 *     NET, a descriptor of its network    ──►      starts slirp4netns, which makes tap0
 *     namespace                                    there and stays outside itself
 *     meanwhile: the rules, by nft                 ... a byte on ready_fd: it works;
 *     NET_RULES                           ──►      ports are published
 *     waits                               ◄──      NET_READY
 *
 * slirp4netns configures IPv4; addresses and route of IPv6 PID 1 gives to tap0 then.
 *
 * So no packet can leave before the rules are there: the command, who would send it, is
 * made behind that. slirp4netns enters by descriptors; the user namespace is asked of the
 * network namespace, whose owner it is (ioctl_ns(2)). It gives itself a filter of its system
 * calls, and a mount namespace with next to nothing in it. The latter it does, for a caller
 * who is not root, only where it is told a process and no paths (1.2.0 looks for the user
 * namespace nowhere else), so then it is told PID 1, which is our child, waits, and is
 * dumpable yet: the number can mean no other, and is used no more once the network is there.
 *
 * The monitor holds it by a pidfd and by --exit-fd, a pipe that ends with the monitor:
 * entering a user namespace clears PR_SET_PDEATHSIG. If it dies first, the command is left
 * with a network that answers nothing: then it is said why, and the sandbox is ended, or
 * goes on so (on-death=keep).
 *
 * nft(8) is started by PID 1, with the one capability that it takes, while the host's tree
 * is there and nothing of the command's. That it says so is not enough: the kernel is asked. Beside
 * NET_RULES the monitor gets a socket by which it can add to them, see net_watch.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/run/handshake.h"
#include "sbx/run/init.h"
#include "sbx/run/net.h"
#include "sbx/run/nftables.h"
#include "sbx/run/publish.h"
#include "sbx/run/rtnl.h"
#include "sbx/run/steps.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/net.h"
#include "sbx/spec/steps.h"

enum { NET_RULES_TIMEOUT_MS = 20 * 1000, NET_WORD_BYTES = 48 };

/* What slirp4netns says when all is well. */
static const char *const net_noise[] = {
	"WARNING: Support for ",     "sent tapfd=", "received tapfd=", "apifd event",
	"api_handler: got request:", NULL};

/* ---- the monitor ---- */

void net_job_init(struct net_job *job)
{
	*job = (struct net_job){.plan = NULL, .api_dir_fd = -1};
	helper_init(&job->helper);
}

void net_job_finish(struct net_job *job)
{
	helper_finish(&job->helper);
}

/* What is passed on: above the standard descriptors. */
struct net_fds {
	int netns, userns, ready, exit, api_dir; /* owned; api_dir may be -1 */
};

static void net_close(const struct net_fds *fds)
{
	const int all[] = {fds->netns, fds->userns, fds->ready, fds->exit, fds->api_dir};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

static int net_raise(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	return high < 0 ? -errno : high;
}

static int net_open(struct net_job *job, int netns_fd, struct net_fds *fds)
{
	_autoclose_ int owner = ioctl(netns_fd, NS_GET_USERNS);
	int r;

	fds->userns = net_raise(owner);
	if (fds->userns < 0)
		return fds->userns;
	fds->netns = net_raise(netns_fd);
	if (fds->netns < 0)
		return fds->netns;
	if (job->api_dir_fd >= 0) {
		fds->api_dir = net_raise(job->api_dir_fd);
		if (fds->api_dir < 0)
			return fds->api_dir;
	}
	r = helper_pipe(&job->helper.ready_fd, &fds->ready);
	return r < 0 ? r : helper_pipe(&fds->exit, &job->helper.hold_fd);
}

static int net_spawn(struct net_job *job, pid_t init, const struct net_fds *fds)
{
	const struct plan_net *net = &job->plan->net;
	const int pass[] = {fds->netns, fds->userns, fds->ready, fds->exit, fds->api_dir};
	const char *argv[PLAN_NET_ARGS_MAX + 9];
	char words[5][NET_WORD_BYTES];
	struct proc_spawn spawn = {.path = net->helper,
				   .argv = argv,
				   .sigmask = job->sigmask,
				   .output_fd = -1,
				   .error_fd = -1,
				   .pass_fds = pass,
				   .n_pass_fds = ARRAY_SIZE(pass) - (fds->api_dir < 0),
				   .apart = true,
				   .drops_itself = true};
	size_t n = 0;
	mode_t mask;
	int r;

	(void)snprintf(words[0], NET_WORD_BYTES, "--ready-fd=%d", fds->ready);
	(void)snprintf(words[1], NET_WORD_BYTES, "--exit-fd=%d", fds->exit);
	(void)snprintf(words[2], NET_WORD_BYTES, "--userns-path=/proc/self/fd/%d", fds->userns);
	if (net->by_pid)
		(void)snprintf(words[3], NET_WORD_BYTES, "%d", init);
	else
		(void)snprintf(words[3], NET_WORD_BYTES, "/proc/self/fd/%d", fds->netns);
	argv[n++] = net->helper;
	for (size_t i = 0; i < net->n_args; i++)
		argv[n++] = net->args[i];
	argv[n++] = words[0];
	argv[n++] = words[1];
	if (fds->api_dir >= 0) {
		(void)snprintf(words[4], NET_WORD_BYTES,
			       "--api-socket=/proc/self/fd/%d/" PUBLISH_SOCKET, fds->api_dir);
		argv[n++] = words[4];
	}
	if (!net->by_pid)
		argv[n++] = words[2];
	argv[n++] = net->by_pid ? "--netns-type=pid" : "--netns-type=path";
	argv[n++] = words[3];
	argv[n++] = "tap0";
	argv[n] = NULL;
	/* It may be another uid when it makes its socket, which we are to be able to use. */
	mask = umask(0);
	r = helper_start(&job->helper, &spawn);
	(void)umask(mask);
	return r;
}

/* Put the step's words around an error, as PID 1 would have. */
int net_blame(const struct net_job *job, int r, struct sbx_err *err)
{
	for (size_t i = 0; i < job->plan->n_steps; i++)
		if (job->plan->steps[i].kind == PLAN_STEP_NETWORK)
			err_blame_step(err, job->plan, i);
	return r;
}

/**
 * Start the helper.
 * @init:     PID 1, which waits
 * @netns_fd: taken; PID 1's network namespace
 *
 * Return: 0, or -errno with *err filled; then net_job_finish() cleans up.
 */
int net_job_start(struct net_job *job, pid_t init, int *netns_fd, struct sbx_err *err)
{
	_autoclose_ int taken = take_fd(netns_fd);
	struct net_fds fds = {-1, -1, -1, -1, -1};
	int r;

	if (!net_job_is_awaited(job) || job->helper.pid > 0)
		return err_refuse(err, EPROTO, NULL,
				  "PID 1 asks for a network that is not planned");
	r = net_open(job, taken, &fds);
	if (r == 0)
		r = net_spawn(job, init, &fds);
	net_close(&fds);
	if (r == 0)
		return 0;
	return net_blame(job, proc_refuse(job->plan->net.helper, -r, "cannot start", err), err);
}

/* Is there to be a network that is not there yet? */
bool net_job_is_awaited(const struct net_job *job)
{
	return job->plan && job->plan->net.helper && !job->ready;
}

/* Are there to be rules that are not set yet? The network may be there before them. */
bool net_rules_are_awaited(const struct net_job *job)
{
	return job->plan && job->plan->net.nft && !job->ruled;
}

bool net_job_is_starting(const struct net_job *job)
{
	return job->helper.pid > 0 && !job->ready;
}

/* Return: true when the helper has said that the network works. */
bool net_job_hear(struct net_job *job)
{
	bool heard = helper_hear(&job->helper);

	job->ready |= heard;
	return heard;
}

/* Say on standard error that there is no network any more. */
static void net_tell_loss(const char *why)
{
	char room[1400];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_printf(&line, "sbx: the command has no network any more: %s\n", why);
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

/**
 * The helper has ended, which ends the sandbox, unless that is to survive it.
 *
 * Return: 0 where it has not, or where that is told; or -errno with *err filled.
 */
int net_job_reap(struct net_job *job, struct sbx_err *err)
{
	char room[1200], why_room[1300];
	struct str_buf how = STR_BUF_ON_STACK(room), why = STR_BUF_ON_STACK(why_room);
	int status, r;

	if (!helper_reap(&job->helper, net_noise, &status, &how))
		return 0;
	if (job->in_use && job->plan->net.survives) {
		str_buf_printf(&why, "%s %s", job->plan->net.helper, how.data);
		net_tell_loss(why.data);
		return 0;
	}
	r = err_refuse(err, ECANCELED, job->plan->net.helper, "%s%s", how.data,
		       job->in_use ? "; the sandbox cannot go on without its network" : "");
	if (!job->in_use)
		hint_add(err, HINT_NET);
	return net_blame(job, r, err);
}

/**
 * The network is to be used no more: its helper is ended, and with it the sandbox, unless that is
 * to survive it.
 * @err: why; filled
 *
 * Return: 0 where that is told; else -errno, with *err as it was but for the option.
 */
int net_job_close(struct net_job *job, struct sbx_err *err)
{
	char room[1200];
	struct str_buf why = STR_BUF_ON_STACK(room);

	if (!job->helper.pid || !job->in_use || !job->plan->net.survives)
		return net_blame(job, err->number ? -err->number : -ECANCELED, err);
	helper_finish(&job->helper);
	err_describe(err, &why);
	net_tell_loss(why.data);
	return 0;
}

int net_job_timed_out(const struct net_job *job, int seconds, struct sbx_err *err)
{
	int r = err_refuse(err, ETIMEDOUT, job->plan->net.helper,
			   "has no network ready after %d seconds", seconds);

	hint_add(err, HINT_NET);
	return net_blame(job, r, err);
}

/* ---- PID 1 ---- */

/* Wait for the end of nft, as long as is reasonable. */
static int net_await_rules(struct helper *helper, const char *nft, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = helper->pidfd, .events = POLLIN};
	char room[1200];
	struct str_buf how = STR_BUF_ON_STACK(room);
	int n, status;

	do {
		n = poll(&pfd, 1, NET_RULES_TIMEOUT_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_refuse(err, ETIMEDOUT, nft, "has not finished within %d seconds",
				  NET_RULES_TIMEOUT_MS / 1000);
	if (n < 0 || !helper_reap_ended(helper, NULL, &status, &how))
		return err_system(err, errno ? errno : ECHILD, nft, "cannot wait for its end");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : err_refuse(err, ECANCELED, nft, "%s", how.data);
}

/*
 * All of them come by one message, or none. What ended with 0 and is no nft, or one that did
 * nothing, would leave the command with the host within reach.
 */
static int net_check_rules(const struct plan_net *net, int nft_fd, struct sbx_err *err)
{
	int n = nft_fd < 0 ? nft_fd : nftables_count_rules(nft_fd, NET_TABLE, NET_CHAIN);

	if (n >= 0 && (unsigned)n >= net->n_rules)
		return 0;
	if (n < 0 && n != -ENOENT)
		return err_system(err, -n, net->nft, "cannot make sure of the rules that it set");
	return err_refuse(err, ECANCELED, net->nft,
			  "has ended without an error and has not set the rules");
}

/* The monitor is told, which until then keeps to itself the signals that end a launch. */
static int net_set_rules(const struct run_context *ctx, struct sbx_err *err)
{
	const struct plan_net *net = &ctx->plan->net;
	const char *const argv[] = {net->nft, net->rules, NULL};
	struct proc_spawn spawn = {.path = net->nft,
				   .argv = argv,
				   .output_fd = -1,
				   .error_fd = -1,
				   .keep = 1ULL << CAP_NET_ADMIN};
	_autoclose_ int nft_fd = -1;
	struct helper helper;
	int r;

	helper_init(&helper);
	r = helper_start(&helper, &spawn);
	r = r < 0 ? proc_refuse(net->nft, -r, "cannot start", err)
		  : net_await_rules(&helper, net->nft, err);
	helper_finish(&helper);
	if (r == 0) {
		nft_fd = nftables_open();
		r = net_check_rules(net, nft_fd, err);
	}
	if (r < 0) {
		hint_add(err, HINT_NFT);
		return r;
	}
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_NET_RULES, nft_fd);
	return r < 0 ? err_system(err, -r, NULL, "cannot tell the monitor") : 0;
}

/*
 * ping(8) without a privilege, for the command's group (icmp(7)). Where /proc/sys is read-only
 * it has to do without.
 */
static void net_allow_ping(gid_t gid)
{
	static const char path[] = "/proc/sys/net/ipv4/ping_group_range";
	char text[32];
	int len = snprintf(text, sizeof(text), "%u %u", gid, gid);

	(void)io_write_file_at(AT_FDCWD, path, text, (size_t)len);
}

/*
 * Of IPv6 the kernel would ask for seconds whether somebody else has an address, and hear of
 * the router later. There is nobody else, and it is known what there is: net_set_up_ipv6(). This is
 * for the link-local address, which the kernel makes; where /proc/sys is read-only it is late, and
 * a second address may come by the router's word, but the other is there.
 */
static void net_hurry_ipv6(void)
{
	static const char dad[] = "/proc/sys/net/ipv6/conf/default/accept_dad",
			  ra[] = "/proc/sys/net/ipv6/conf/default/accept_ra";

	(void)io_write_file_at(AT_FDCWD, dad, "0", 1);
	(void)io_write_file_at(AT_FDCWD, ra, "0", 1);
}

/* @own: the address of IPv4, of which that of IPv6 is made, so that it is nobody else's */
static int net_set_up_ipv6(const struct plan_net6 *ipv6, const char *name, struct in_addr own,
			   struct sbx_err *err)
{
	struct in6_addr address = ipv6->first;
	_autoclose_ int fd = rtnl_open();
	int r = fd < 0 ? fd : 0;

	memcpy(&address.s6_addr[sizeof(address) - sizeof(own)], &own, sizeof(own));
	if (r == 0)
		r = rtnl_add_address6(fd, name, &address, ipv6->prefix);
	if (r == 0)
		r = rtnl_add_default_route6(fd, name, &ipv6->gateway);
	if (r == 0)
		return 0;
	(void)err_system(err, -r, name, "cannot be given an address of IPv6");
	hint_add(err, HINT_IPV6);
	return r;
}

/* An interface that another has put here: give it the address that it is to have. */
static int net_set_up_member(const struct plan_net *net, int32_t address, gid_t gid,
			     struct sbx_err *err)
{
	static const char name[] = "eth0";
	const struct plan_share *share = net->share;
	const struct in_addr own = {.s_addr = htonl((uint32_t)address)};
	_autoclose_ int fd = rtnl_open();
	int r = fd < 0 ? fd : rtnl_add_address(fd, name, own, share->prefix);

	if (r == 0)
		r = rtnl_set_up(fd, name, 0, 0);
	if (r == 0 && share->helper)
		r = rtnl_add_default_route(fd, share->gateway);
	net_allow_ping(gid);
	if (r < 0)
		return err_system(err, -r, name, "cannot be given its address");
	return net->ipv6 ? net_set_up_ipv6(net->ipv6, name, own, err) : 0;
}

/* To who knows the other members. */
static int net_send_names(struct run_context *ctx, struct sbx_err *err)
{
	int r;

	if (ctx->names_fd < 0)
		return 0;
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_NAMES, ctx->names_fd);
	close(take_fd(&ctx->names_fd));
	return r < 0 ? err_system(err, -r, NULL, "cannot ask for a network") : 0;
}

int step_run_network(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_net *net = &ctx->plan->net;
	_autoclose_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int32_t address = 0;
	int r;

	(void)step;
	if (netns < 0)
		return err_system(err, errno, "/proc/self/ns/net", "cannot open");
	if (net->ipv6)
		net_hurry_ipv6();
	r = publish_offer_dir(ctx, err);
	if (r == 0)
		r = net_send_names(ctx, err);
	if (r < 0)
		return r;
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_NET, netns);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot ask for a network");
	r = net->nft ? net_set_rules(ctx, err) : 0;
	if (r == 0)
		r = init_await_number(ctx, HANDSHAKE_INIT_NET, HANDSHAKE_NET_READY, &address, err);
	if (r == 0 && net->share)
		return net_set_up_member(net, address, ctx->plan->payload_gid, err);
	return r == 0 && net->ipv6 ? net_set_up_ipv6(net->ipv6, "tap0", net->ipv6->own, err) : r;
}
