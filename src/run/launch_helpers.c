/* SPDX-License-Identifier: MIT */
/*
 * launch_helpers: the programs that a sandbox needs outside: newuidmap and newgidmap,
 * xdg-dbus-proxy, slirp4netns with its ports, the holder of a shared network, fuse-overlayfs; see
 * launch_parts.h.
 *
 * How each is started and spoken with is in a file of its own (idmap.c, bus.c, net.c, publish.c,
 * share.c, fuse.c). Here is what follows for the launch: when PID 1, which waits for them, goes on,
 * and what the end of one, or its taking too long, means.
 */

#include <errno.h>
#include <poll.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/run/launch_parts.h"
#include "sbx/spec/hints.h"

enum { LAUNCH_END_MS = 1000 }; /* of a process that has closed its descriptors */

/*
 * Once both maps are there PID 1 may go on. A helper fails also for want of a
 * PID 1: then the news is how that one ended, and it is on its way to us.
 */
int launch_on_helper(struct monitor *m, struct sbx_err *err)
{
	int r = idmap_job_reap(&m->idmap, err);

	if (launch_init_has_ended(m))
		return 0;
	m->helper_failed = r < 0;
	if (r < 0 || !idmap_job_done(&m->idmap))
		return r;
	idmap_job_finish(&m->idmap);
	m->state = LAUNCH_RUNNING;
	launch_close_others(m);
	return launch_answer(m, HANDSHAKE_MAPPED, err);
}

/* The rules are there: from now on they are kept up to date. @nft_fd: taken */
static int launch_watch_net(struct monitor *m, int *nft_fd, struct sbx_err *err)
{
	int r = net_watch_begin(&m->net_watch, &m->plan->net, nft_fd, err);

	return r < 0 ? net_blame(&m->net, r, err) : 0;
}

/* What PID 1 asks of the helpers, or says; or what went wrong there. */
int launch_on_helper_message(struct monitor *m, struct handshake_msg *msg, struct sbx_err *err)
{
	if (msg->type == HANDSHAKE_BUS) {
		m->deadline_ms = clock_now_ms() + LAUNCH_BUS_TIMEOUT_MS;
		return bus_job_start(&m->bus, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_NET_API)
		return publish_take_dir(&m->publish, &msg->fd, err);
	if (msg->type == HANDSHAKE_NET_RULES) {
		m->net.ruled = true;
		return launch_watch_net(m, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_NAMES) {
		defs_cleanup_fd(&m->share.hosts_fd);
		m->share.hosts_fd = msg->fd;
		return 0;
	}
	if (msg->type == HANDSHAKE_NET) {
		m->net.api_dir_fd = m->publish.dir_fd;
		m->deadline_ms = clock_now_ms() + LAUNCH_NET_TIMEOUT_MS;
		if (m->plan->net.share)
			return share_attach(&m->share, &msg->fd, err);
		return net_job_start(&m->net, m->child, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_LAYERS || msg->type == HANDSHAKE_LAYERS_ALONE) {
		m->deadline_ms = clock_now_ms() + LAUNCH_FUSE_TIMEOUT_MS;
		return fuse_start(&m->fuse, msg->number, msg->type == HANDSHAKE_LAYERS_ALONE,
				  m->pidfd, err);
	}
	if (msg->type == HANDSHAKE_LAYERS_DONE) {
		fuse_note_done(&m->fuse, msg->number);
		return 0;
	}
	*err = msg->err;
	return -ECANCELED;
}

/* PID 1 goes on: from now on the network is the command's. */
static int launch_hand_over_net(struct monitor *m, struct sbx_err *err)
{
	m->net.in_use = true;
	return launch_answer(m, HANDSHAKE_NET_READY, err);
}

/*
 * slirp4netns has not answered as it does. If it is about to end, that is the news.
 * Return: 0 it is not; or -errno with *err filled.
 */
static int launch_await_net_end(struct monitor *m, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = m->net.helper.pidfd, .events = POLLIN};

	return m->publish.now.count == 0 && poll(&pfd, 1, LAUNCH_END_MS) == 1
		       ? net_job_reap(&m->net, err)
		       : 0;
}

/* What was asked for about ports is over. At the start it was the plan. */
static int launch_on_published(struct monitor *m, struct sbx_err *err)
{
	helper_hush(&m->net.helper);
	if (!m->publishes) {
		control_give_ports(&m->control, launch_is_starting(m), m->publish.result);
		return 0;
	}
	if (m->publish.result < 0) {
		int r = launch_await_net_end(m, err);

		return r < 0 ? r : net_blame(&m->net, publish_blame(&m->publish, err), err);
	}
	m->publishes = false;
	publish_tell(&m->publish, m->plan);
	return launch_hand_over_net(m, err);
}

/* The network works. Now its ports, and then PID 1 goes on. */
static int launch_on_network(struct monitor *m, struct sbx_err *err)
{
	const struct plan_net *net = &m->plan->net;
	int r;

	m->publish.helper = m->net.helper.pid;
	if (net->n_ports == 0)
		return launch_hand_over_net(m, err);
	m->publishes = true;
	r = publish_add(&m->publish, net->ports, net->n_ports);
	if (r == 0)
		return 0;
	m->publish.result = r;
	return launch_on_published(m, err);
}

/* Until when slirp4netns has to have answered about ports of a sandbox that runs. */
int64_t launch_port_deadline_ms(const struct monitor *m)
{
	return m->publishes ? INT64_MAX : publish_deadline_ms(&m->publish);
}

/* It has not: it may be stopped. Who has asked is told; the sandbox goes on. */
void launch_on_port_timeout(struct monitor *m)
{
	publish_give_up(&m->publish);
	control_give_ports(&m->control, launch_is_starting(m), m->publish.result);
}

/* slirp4netns has ended: so has the sandbox, or it goes on without. */
static int launch_on_net_end(struct monitor *m, struct sbx_err *err)
{
	int r = net_job_reap(&m->net, err);

	if (r == 0 && m->net.helper.pid == 0) {
		publish_forget(&m->publish);
		control_give_ports(&m->control, false, -ENETDOWN);
	}
	return r;
}

/*
 * The host has an address more, perhaps. One that cannot be kept out of reach closes the network; a
 * shared one is its holder's, so there the sandbox ends.
 */
static int launch_on_address(struct monitor *m, struct sbx_err *err)
{
	int r = net_watch_turn(&m->net_watch, err);

	if (r == 0)
		return 0;
	net_watch_finish(&m->net_watch);
	r = net_job_close(&m->net, err);
	if (r == 0) {
		publish_forget(&m->publish);
		control_give_ports(&m->control, false, -ENETDOWN);
	}
	return r;
}

/* The network that is shared: there, or at its end, which is the sandbox's. */
static int launch_on_share(struct monitor *m, struct sbx_err *err)
{
	bool attached = false;
	int r = share_hear(&m->share, &attached, err);

	if (r < 0 && !err->option[0])
		err_set_option(err, m->plan->net.option);
	if (r < 0 || !attached || m->sock_fd < 0)
		return r;
	r = handshake_send(m->sock_fd, HANDSHAKE_NET_READY, (int)m->share.address);
	return launch_check_sent(r, err);
}

/* The maker of a fuse-overlayfs has something to say; a mount is PID 1's. */
static int launch_on_fuse_maker(struct monitor *m, struct sbx_err *err)
{
	_autoclose_ int mount = -1;
	int r = fuse_hear(&m->fuse, &mount, err);

	/* It goes on: only one that is silent takes too long. */
	m->deadline_ms = clock_now_ms() + LAUNCH_FUSE_TIMEOUT_MS;
	if (r < 0 || mount < 0 || m->sock_fd < 0)
		return r;
	r = handshake_send_fd(m->sock_fd, HANDSHAKE_LAYERS_READY, mount);
	return launch_check_sent(r, err);
}

/* Some fuse-overlayfs has ended, or its maker speaks: that one first, it may say why. */
static int launch_on_fuse(struct monitor *m, const struct pollfd pfds[LAUNCH_SOURCE_COUNT_],
			  struct sbx_err *err)
{
	int r = 0;

	if (pfds[LAUNCH_FUSE_MAKER].revents)
		r = launch_on_fuse_maker(m, err);
	for (size_t i = 0; i < m->fuse.n_helpers && r == 0; i++)
		if (pfds[LAUNCH_FUSE + i].revents)
			r = fuse_reap(&m->fuse, i, err);
	return r;
}

/*
 * Some helper is ready, has answered or has ended; newuidmap and newgidmap come before. What one
 * of them means may be that another is let go of, so each looks at what is there now.
 */
int launch_on_helpers(struct monitor *m, const struct pollfd pfds[LAUNCH_SOURCE_COUNT_],
		      struct sbx_err *err)
{
	int r = 0;

	if (pfds[LAUNCH_BUS_READY].revents && bus_job_hear(&m->bus))
		r = launch_answer(m, HANDSHAKE_BUS_READY, err);
	if (r == 0 && pfds[LAUNCH_BUS].revents)
		r = bus_job_reap(&m->bus, err);
	if (r == 0 && pfds[LAUNCH_NET_READY].revents && net_job_hear(&m->net))
		r = launch_on_network(m, err);
	if (r == 0 && pfds[LAUNCH_NET_WATCH].revents && m->net_watch.host_fd >= 0)
		r = launch_on_address(m, err);
	if (r == 0 && pfds[LAUNCH_PUBLISH].revents && m->publish.sock_fd >= 0 &&
	    publish_turn(&m->publish))
		r = launch_on_published(m, err);
	if (r == 0 && pfds[LAUNCH_NET].revents && !m->init_ended && !launch_init_has_ended(m))
		r = launch_on_net_end(m, err);
	if (r == 0 && pfds[LAUNCH_SHARE].revents && !m->init_ended && !launch_init_has_ended(m))
		r = launch_on_share(m, err);
	if (r == 0 && !m->init_ended)
		r = launch_on_fuse(m, pfds, err);
	return r;
}

/* Is there one that must not take longer than the deadline? */
bool launch_awaits_helper(const struct monitor *m)
{
	return m->state == LAUNCH_MAPPING || bus_job_is_starting(&m->bus) ||
	       net_job_is_starting(&m->net) || m->publishes ||
	       (m->share.asked && share_is_awaited(&m->share)) || fuse_is_starting(&m->fuse);
}

/* That one has taken longer. Return: -errno with *err filled */
int launch_on_timeout(const struct monitor *m, struct sbx_err *err)
{
	const char *path =
		m->idmap.helpers[0].pid ? m->plan->gid_map.helper : m->plan->uid_map.helper;
	int r;

	if (m->state != LAUNCH_MAPPING && fuse_is_starting(&m->fuse))
		return fuse_timed_out(&m->fuse, LAUNCH_FUSE_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING && m->share.asked && share_is_awaited(&m->share))
		return share_timed_out(&m->share, LAUNCH_NET_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING && (net_job_is_starting(&m->net) || m->publishes))
		return net_job_timed_out(&m->net, LAUNCH_NET_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING)
		return bus_job_timed_out(&m->bus, LAUNCH_BUS_TIMEOUT_MS / 1000, err);
	r = err_refuse(err, ETIMEDOUT, path, "has not finished within %d seconds",
		       LAUNCH_HELPER_TIMEOUT_MS / 1000);

	hint_add(err, HINT_MAP_SLOW);
	return r;
}
