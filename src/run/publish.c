/* SPDX-License-Identifier: MIT */
/*
 * publish: see publish.h.
 *
 * Theory of operation
 *
 *     PID 1                                        monitor
 *     makes a tmpfs that is mounted nowhere
 *     NET_API, with a descriptor of it    ──►      keeps it
 *     NET                                 ──►      starts slirp4netns, whose API socket is
 *                                                  /proc/self/fd/N/api in there
 *                                                  ... slirp4netns is ready: the plan's ports,
 *                                                  one after the other
 *     NET_READY                           ◄──      then
 *
 * So the socket has no name anywhere, in the sandbox or on the host, and nothing is to be
 * removed, however who ends. PID 1 closes its descriptor before there is a command. The monitor
 * alone speaks to slirp4netns, and knows what is published; who wants to change that asks
 * the monitor (control.c).
 *
 * The API (slirp4netns(1)) takes one request a connection, in JSON, answers and closes. It
 * takes no list, so ports are asked for one after the other, and nothing here waits: the
 * answer is a row of the monitor's poll. Of the three kinds of answers the few words that
 * matter are read here: a library is more than these are worth, and slirp4netns parses what
 * the sandbox sends, so an answer is outside data.
 *
 * slirp4netns does not say why it cannot listen. So where it cannot, the monitor, which is in
 * the same network, tries itself: its errno is the reason. And it takes no port 0, so the monitor
 * asks the kernel for one that is free, lets go of it, and tries another where meanwhile somebody
 * else has it.
 *
 * Of several ports of one request that cannot all be had none stays. Nor do those of one that
 * slirp4netns, stopped perhaps, has not answered in time: who asked is told so, and when the answer
 * does come, they are removed again. What was to be removed is removed then all the same. Until
 * then nothing else can be asked for.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/run/handshake.h"
#include "sbx/run/mount.h"
#include "sbx/run/publish.h"
#include "sbx/run/status.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/publish.h"

enum {
	PUBLISH_TRIES = 16,   /* for a port that is any */
	PUBLISH_REQUEST = 256 /* bytes; slirp4netns takes 4095 */
};

void publish_init(struct publish *publish)
{
	memset(publish, 0, sizeof(*publish));
	publish->dir_fd = -1;
	publish->sock_fd = -1;
}

/* slirp4netns has gone, and all that it had published. */
void publish_forget(struct publish *publish)
{
	defs_cleanup_fd(&publish->sock_fd);
	defs_cleanup_fd(&publish->dir_fd);
	free(publish->items);
	publish_init(publish);
}

void publish_finish(struct publish *publish)
{
	publish_forget(publish);
}

/* @dir_fd: taken; kept above the standard descriptors. Return: 0, or -errno with *err filled. */
int publish_take_dir(struct publish *publish, int *dir_fd, struct sbx_err *err)
{
	_autoclose_ int taken = take_fd(dir_fd);

	defs_cleanup_fd(&publish->dir_fd);
	publish->dir_fd = fcntl(taken, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return publish->dir_fd < 0 ? err_system(err, errno, NULL, "cannot keep a descriptor") : 0;
}

/* ---- talking to slirp4netns ---- */

/* slirp4netns cannot be talked to, which is no port's fault. Return: -number. */
static int publish_fall_silent(struct publish *publish, int number)
{
	publish->now.count = 0;
	return -number;
}

/* Send a request; its answer is read later. Return: 0 or -errno. */
static int publish_ask(struct publish *publish, const char *request)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t len = strlen(request);

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/" PUBLISH_SOCKET, publish->dir_fd);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len || shutdown(fd, SHUT_WR) < 0)
		return publish_fall_silent(publish, errno ? errno : EPROTO);
	publish->answer_len = 0;
	publish->asked_ms = clock_now_ms();
	publish->sock_fd = take_fd(&fd);
	return 0;
}

/* Pass over `word`, and blanks where JSON may have them: between its characters of structure. */
static bool publish_skip(const char **at, const char *end, const char *word)
{
	const char *p = *at;

	for (; *word; word++) {
		while (p < end && strchr("{}:,\"", *word) &&
		       (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
			p++;
		if (p == end || *p++ != *word)
			return false;
	}
	*at = p;
	return true;
}

static void publish_skip_blanks(const char **at, const char *end)
{
	while (*at < end && strchr(" \t\r\n", **at) && **at)
		(*at)++;
}

/**
 * Read an answer: {"return":{}}, {"return":{"id":N}}, {"error":...}.
 * @ret_id: -1: it has none
 *
 * Return: 0; -ECANCELED: an error; -EPROTO: nothing that is known.
 */
int publish_read_answer(const char *text, size_t len, int *ret_id)
{
	const char *at = text, *end = text + len;
	int id = -1, digits = 0;

	if (publish_skip(&at, end, "{\"error\":"))
		return -ECANCELED;
	if (!publish_skip(&at, end, "{\"return\":{"))
		return -EPROTO;
	if (publish_skip(&at, end, "\"id\":")) {
		publish_skip_blanks(&at, end);
		for (id = 0; at < end && *at >= '0' && *at <= '9' && digits < 9; at++, digits++)
			id = id * 10 + (*at - '0');
		if (digits == 0)
			return -EPROTO;
	}
	if (!publish_skip(&at, end, "}}"))
		return -EPROTO;
	publish_skip_blanks(&at, end);
	if (at != end)
		return -EPROTO;
	*ret_id = id;
	return 0;
}

/* ---- ports of the host ---- */

/*
 * Listen where slirp4netns is to, and leave it at that. As libslirp does it: with
 * SO_REUSEADDR for TCP, or what is left of connections would be in the way.
 * @port: its host is 0: the kernel chooses
 *
 * Return: the port's number, or -errno.
 */
static int publish_try(const struct plan_port *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port->host),
				      .sin_addr = {.s_addr = port->addr}};
	_autoclose_ int fd =
		socket(AF_INET, (port->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);
	const int on = 1;

	if (fd < 0 ||
	    (!port->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	return ntohs(address.sin_port);
}

/* Why slirp4netns cannot have it. Root may have what slirp4netns may not. */
static int publish_find_reason(const struct plan_port *port)
{
	int r = publish_try(port);

	if (r < 0)
		return r;
	return port->host < publish_first_unprivileged() ? -EACCES : PUBLISH_UNKNOWN;
}

/* ---- an act, a port at a time ---- */

static int publish_go_on(struct publish *publish);

static int publish_ask_to_add(struct publish *publish)
{
	const struct plan_port *run = &publish->runs[publish->run];
	char addr[INET_ADDRSTRLEN] = "", request[PUBLISH_REQUEST];

	publish->now = *run;
	publish->now.count = 1;
	publish->now.guest = (uint16_t)(run->guest + publish->index);
	if (run->host) {
		publish->now.host = (uint16_t)(run->host + publish->index);
	} else {
		int port = publish_try(&publish->now);

		if (port < 0)
			return port;
		publish->now.host = (uint16_t)port;
	}
	(void)inet_ntop(AF_INET, &publish->now.addr, addr, sizeof(addr));
	(void)snprintf(request, sizeof(request),
		       "{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"%s\","
		       "\"host_addr\":\"%s\",\"host_port\":%u,\"guest_port\":%u}}",
		       publish->now.udp ? "udp" : "tcp", addr, publish->now.host,
		       publish->now.guest);
	return publish_ask(publish, request);
}

static int publish_ask_to_remove(struct publish *publish, size_t item)
{
	char request[PUBLISH_REQUEST];

	publish->item = item;
	(void)snprintf(request, sizeof(request),
		       "{\"execute\":\"remove_hostfwd\",\"arguments\":{\"id\":%d}}",
		       publish->items[item].id);
	return publish_ask(publish, request);
}

static void publish_drop(struct publish *publish, size_t item)
{
	publish->n_items--;
	memmove(&publish->items[item], &publish->items[item + 1],
		(publish->n_items - item) * sizeof(*publish->items));
}

/* Is this item among those that the run means? */
static bool publish_is_meant(const struct publish_item *item, const struct plan_port *run)
{
	const struct plan_port *port = &item->port;
	unsigned offset = (unsigned)(port->host - run->host);

	return port->udp == run->udp && (run->any_addr || port->addr == run->addr) &&
	       port->host >= run->host && offset < run->count &&
	       (run->guest == 0 || port->guest == run->guest + offset);
}

/* Return: as publish_go_on(). */
static int publish_remove_next(struct publish *publish)
{
	for (size_t i = 0; i < publish->n_items; i++) {
		if (!publish_is_meant(&publish->items[i], &publish->own))
			continue;
		publish->now = publish->items[i].port;
		return publish_ask_to_remove(publish, i);
	}
	return 1;
}

/* Ask for the next. Return: 0 it is asked for; 1 there is none; -errno. */
static int publish_go_on(struct publish *publish)
{
	switch (publish->act) {
	case PUBLISH_ADDING:
		return publish->run == publish->n_runs ? 1 : publish_ask_to_add(publish);
	case PUBLISH_REMOVING:
		return publish_remove_next(publish);
	case PUBLISH_UNDOING:
		return publish->n_items == publish->n_before
			       ? 1
			       : publish_ask_to_remove(publish, publish->n_items - 1);
	case PUBLISH_IDLE:
		break;
	}
	return 1;
}

/* The act has failed. What it had done is undone. Return: as publish_go_on(). */
static int publish_fail(struct publish *publish, int result)
{
	publish->result = result;
	if (publish->act != PUBLISH_ADDING)
		return 1;
	publish->act = PUBLISH_UNDOING;
	return publish_go_on(publish);
}

static int publish_note_added(struct publish *publish, int id)
{
	struct publish_item *items =
		realloc(publish->items, (publish->n_items + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	publish->items = items;
	items[publish->n_items++] = (struct publish_item){publish->now, id};
	publish->tries = 0;
	if (++publish->index < publish->runs[publish->run].count)
		return 0;
	publish->index = 0;
	publish->run++;
	return 0;
}

/* slirp4netns cannot listen there. One that is any can be another, once more. */
static int publish_on_refusal(struct publish *publish)
{
	int reason = publish_find_reason(&publish->now);
	bool any = publish->runs[publish->run].host == 0;

	if (publish->late)
		return publish_fail(publish, -ETIMEDOUT);
	/* One that somebody else had a moment ago is free now. */
	if (++publish->tries < (any ? PUBLISH_TRIES : 2) && (any || reason == PUBLISH_UNKNOWN))
		return publish_go_on(publish);
	return publish_fail(publish, reason);
}

/* Return: as publish_go_on(). */
static int publish_on_answer(struct publish *publish)
{
	int id = -1, r = publish_read_answer(publish->answer, publish->answer_len, &id);

	if (publish->act == PUBLISH_UNDOING) {
		/* Whatever it says: there is no other way to be rid of it. */
		publish_drop(publish, publish->item);
		return publish_go_on(publish);
	}
	if (publish->act == PUBLISH_REMOVING) {
		if (r < 0)
			return publish_fail(publish, publish_fall_silent(publish, EPROTO));
		publish_drop(publish, publish->item);
		return publish_go_on(publish);
	}
	if (r == -ECANCELED)
		return publish_on_refusal(publish);
	if (r == -EPROTO || (r == 0 && id < 0))
		r = publish_fall_silent(publish, EPROTO);
	if (r == 0)
		r = publish_note_added(publish, id);
	if (r == 0 && publish->late)
		r = -ETIMEDOUT;
	return r < 0 ? publish_fail(publish, r) : publish_go_on(publish);
}

/**
 * To be called when sock_fd is readable.
 *
 * Return: true when the act is over: see result, and now.
 */
bool publish_turn(struct publish *publish)
{
	size_t room = sizeof(publish->answer) - publish->answer_len;
	ssize_t n = read(publish->sock_fd, publish->answer + publish->answer_len, room);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0 && (size_t)n < room) {
		publish->answer_len += (size_t)n;
		return false;
	}
	/* What is longer than any answer is none. */
	r = n < 0   ? publish_fall_silent(publish, errno)
	    : n > 0 ? publish_fall_silent(publish, EPROTO)
		    : 0;
	close(take_fd(&publish->sock_fd));
	if (r == 0)
		r = publish_on_answer(publish);
	if (r < 0)
		r = publish_fail(publish, r);
	if (r < 0)
		r = 1; /* it cannot be undone either: slirp4netns is gone */
	if (r == 1)
		publish->act = PUBLISH_IDLE;
	return r == 1;
}

/* Until when the answer is to be there; INT64_MAX: whenever. */
int64_t publish_deadline_ms(const struct publish *publish)
{
	return publish->act == PUBLISH_IDLE || publish->late
		       ? INT64_MAX
		       : publish->asked_ms + PUBLISH_SILENT_MS;
}

/* It was not there then. */
void publish_give_up(struct publish *publish)
{
	publish->late = true;
	publish->result = -ETIMEDOUT;
}

static int publish_begin(struct publish *publish, enum publish_act act)
{
	int r;

	publish->act = act;
	publish->run = 0;
	publish->index = 0;
	publish->tries = 0;
	publish->result = 0;
	publish->late = false;
	publish->n_before = publish->n_items;
	r = publish_go_on(publish);
	if (r < 0)
		publish->act = PUBLISH_IDLE;
	return r;
}

/**
 * Begin to publish these.
 * @runs: borrowed until it is over; one at least
 *
 * Return: 0, then publish_turn() goes on; or -errno.
 */
int publish_add(struct publish *publish, const struct plan_port *runs, size_t n_runs)
{
	if (publish->act != PUBLISH_IDLE)
		return -EBUSY;
	if (publish->dir_fd < 0)
		return -ENETDOWN;
	publish->runs = runs;
	publish->n_runs = n_runs;
	return publish_begin(publish, PUBLISH_ADDING);
}

/* Can something be asked for now? Return: 0 or -errno. */
static int publish_check_idle(const struct publish *publish)
{
	if (publish->act == PUBLISH_IDLE)
		return 0;
	return publish->late ? -EALREADY : -EBUSY;
}

/* Is one of these published already? Then that one is `now`. */
static int publish_check_own(struct publish *publish, const struct plan_port *run)
{
	for (size_t i = 0; i < publish->n_items; i++) {
		if (!publish_collides(&publish->items[i].port, run))
			continue;
		publish->now = publish->items[i].port;
		return -EEXIST;
	}
	return 0;
}

/* See the theory of operation of spec/publish.c for what UDP takes. */
static int publish_check_udp(const struct plan_net *net, const struct plan_port *run)
{
	if (!run->udp || (!net->nft && net->gateway))
		return 0;
	if (!net->answers_udp && !net->gateway)
		return -EPROTONOSUPPORT;
	return ntohl(run->addr) >> 24 == IN_LOOPBACKNET ? 0 : -EPROTOTYPE;
}

/**
 * The same for a request, while the sandbox runs.
 * @run: copied
 *
 * Return: as publish_add(); -EPROTONOSUPPORT, -EPROTOTYPE: not UDP, or not UDP beyond the
 *         loopback; -ENOTUNIQ: a UDP port leads to one of these inside already; -E2BIG: there is no
 *         room for them; -EEXIST: `now` is published; -EALREADY: slirp4netns still owes an answer.
 */
int publish_add_one(struct publish *publish, const struct plan_net *net,
		    const struct plan_port *run)
{
	size_t runs = publish_list(publish, 0, NULL, 0) + (run->host ? 1 : run->count);
	int r = publish_check_udp(net, run);

	for (size_t i = 0; i < publish->n_items && r == 0; i++)
		if (publish_share_answers(&publish->items[i].port, run))
			r = -ENOTUNIQ;
	if (r < 0)
		return r;
	if (run->count == 0 || run->guest == 0 || run->guest + run->count > 65536 ||
	    run->host + run->count > 65536)
		return -EINVAL;
	if (publish->n_items + run->count > PLAN_PORTS_MAX || runs > PLAN_PORT_RUNS_MAX)
		return -E2BIG;
	r = publish_check_idle(publish);
	if (r == 0)
		r = publish_check_own(publish, run);
	if (r < 0)
		return r;
	publish->own = *run;
	publish->own.any_addr = 0;
	return publish_add(publish, &publish->own, 1);
}

/**
 * Begin to remove ports.
 * @run: copied
 *
 * Return: 0, then publish_turn() goes on; -ENOENT: `now` is not published; -EALREADY: slirp4netns
 *         still owes an answer; or -errno.
 */
int publish_remove(struct publish *publish, const struct plan_port *run)
{
	int r = publish_check_idle(publish);

	if (r < 0)
		return r;
	if (publish->dir_fd < 0)
		return -ENETDOWN;
	for (unsigned i = 0; i < run->count; i++) {
		struct plan_port one = *run;
		bool found = false;

		one.count = 1;
		one.host = (uint16_t)(run->host + i);
		one.guest = (uint16_t)(run->guest ? run->guest + i : 0);
		for (size_t k = 0; k < publish->n_items && !found; k++)
			found = publish_is_meant(&publish->items[k], &one);
		publish->now = one;
		if (!found)
			return -ENOENT;
	}
	publish->own = *run;
	return run->count ? publish_begin(publish, PUBLISH_REMOVING) : -EINVAL;
}

/* The act has failed: say so. Return: -errno with *err filled. */
int publish_blame(const struct publish *publish, struct sbx_err *err)
{
	int r = publish_refuse(&publish->now,
			       publish->result == PUBLISH_UNKNOWN ? 0 : -publish->result, err);

	hint_add(err, HINT_PUBLISH);
	return r;
}

/* ---- what is published ---- */

static bool publish_continues(const struct plan_port *run, const struct plan_port *next)
{
	return run->addr == next->addr && run->udp == next->udp &&
	       run->host + run->count == next->host && run->guest + run->count == next->guest;
}

/**
 * What is published now, neighbours as one.
 * @from: the first item
 * @max:  room in @ret_runs
 *
 * Return: how many there are, which may be more.
 */
size_t publish_list(const struct publish *publish, size_t from, struct plan_port *ret_runs,
		    size_t max)
{
	struct plan_port run = {.count = 0};
	size_t n = 0;

	for (size_t i = from; i < publish->n_items; i++) {
		const struct plan_port *next = &publish->items[i].port;

		if (run.count && publish_continues(&run, next)) {
			run.count++;
		} else {
			run = *next;
			n++;
		}
		if (n <= max)
			ret_runs[n - 1] = run;
	}
	return n;
}

/* What the plan asked for is there: tell the caller, who may not know the numbers. */
void publish_tell(const struct publish *publish, const struct sbx_plan *plan)
{
	struct plan_port runs[PLAN_PORT_RUNS_MAX];
	size_t n = publish_list(publish, 0, runs, ARRAY_SIZE(runs));

	if (n > ARRAY_SIZE(runs))
		n = ARRAY_SIZE(runs);
	status_write_ports(plan, runs, n);
	for (size_t i = 0; plan->verbose && i < n; i++) {
		char room[PUBLISH_TEXT_BYTES + 32];
		struct str_buf line = STR_BUF_ON_STACK(room);

		str_buf_puts(&line, "sbx: published ");
		publish_put(&line, &runs[i]);
		str_buf_puts(&line, "\n");
		(void)io_write_all(STDERR_FILENO, line.data, line.len);
	}
}

/* ---- PID 1 ---- */

/* The directory for slirp4netns's socket; see the theory of operation. */
int publish_offer_dir(struct run_context *ctx, struct sbx_err *err)
{
	static const struct mount_option options[] = {{"mode", "0700"}, {"nr_inodes", "4"}};
	const uint64_t attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_autoclose_ int dir = -1;
	int r = mount_new("tmpfs", options, ARRAY_SIZE(options), attrs, &dir, err);

	if (r < 0)
		return r;
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_NET_API, dir);
	return r < 0 ? err_system(err, -r, NULL, "cannot ask for a network") : 0;
}
