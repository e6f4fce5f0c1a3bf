/* SPDX-License-Identifier: MIT */
/*
 * publish: see publish.h.
 *
 * Theory of operation
 *
 * slirp4netns(1) listens on the host, and what connects there it sends into the sandbox: as
 * if it came from its gateway's address (10.0.2.2) where the host itself connects, else from
 * where it comes from. Both may be addresses that the rules of net_filter.c refuse, and what the
 * sandbox answers has to get out:
 *
 * - TCP: a connection begins with a SYN that has no other flag. Whatever is not that belongs
 *   to one, or is of no use: slirp4netns answers it with a reset. So the rules are about
 *   that packet alone.
 *
 * - UDP: a set in the kernel has who has been heard, and which of its ports spoke to which of
 *   ours; answers of that very port to that very one pass, for a time. Only what comes from the
 *   gateway, or comes to a port that is published beyond the loopback, gets into that set. It
 *   takes no connection tracking, whose modules not every kernel has.
 *
 * libslirp 4.7 sends a datagram to the host's loopback, an answer as any other, only
 * where it is not told --disable-host-loopback. So where a UDP port is published that is left
 * out, and the rules alone refuse the gateway. A sandbox that has no rules cannot have one.
 * And it finds out for whom an answer is by the port inside alone: of two that lead to one, the
 * same would answer for both, from the wrong port of the host.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/spec/publish.h"

enum {
	PUBLISH_PORT_MAX = 65535,
	PUBLISH_DIGITS_MAX = 5,
	PUBLISH_WORD_MAX = 96,
	PUBLISH_PARTS_MAX = 3,
	PUBLISH_UNPRIVILEGED = 1024, /* where the kernel does not tell */
	PUBLISH_HEARD_MAX = 4096,    /* peers; older ones go by their time */
};

/* How long a peer can be answered that says nothing more; of UDP, as conntrack has it. */
#define PUBLISH_ANSWER_TIME "2m"

/* ---- the text ---- */

static int publish_bad(const char *option, const char *text, const char *what, struct sbx_err *err)
{
	return err_usage(err, option, "\"%s\": %s", text, what);
}

/* "80", "8000-8010". @zero: 0 is a port too */
static bool publish_read_run(const char *text, bool zero, uint16_t *ret_first, uint16_t *ret_count)
{
	size_t len = strcspn(text, "-");
	const char *behind = text[len] ? text + len + 1 : text;
	char word[PUBLISH_DIGITS_MAX + 1];
	uint64_t first, last;

	if (len > PUBLISH_DIGITS_MAX || strlen(behind) > PUBLISH_DIGITS_MAX)
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	if (str_parse_u64(word, 10, PUBLISH_PORT_MAX, &first) < 0 ||
	    str_parse_u64(behind, 10, PUBLISH_PORT_MAX, &last) < 0)
		return false;
	if (last < first || last - first >= PLAN_PORTS_MAX || (first == 0 && (!zero || last != 0)))
		return false;
	*ret_first = (uint16_t)first;
	*ret_count = (uint16_t)(last - first + 1);
	return true;
}

static int publish_read_addr(const char *word, const char *option, const char *text,
			     uint32_t *ret_addr, struct sbx_err *err)
{
	struct in_addr in;

	if (inet_pton(AF_INET, word, &in) != 1)
		return publish_bad(option, text,
				   "in front of the ports stands an address of "
				   "IPv4, as 127.0.0.1, or 0.0.0.0 for all",
				   err);
	/* To listen there is no error to the kernel, but nobody can connect. */
	if (in.s_addr == INADDR_BROADCAST || IN_MULTICAST(ntohl(in.s_addr)))
		return publish_bad(option, text,
				   "no interface of the host can have this address; 0.0.0.0 is "
				   "all of them",
				   err);
	*ret_addr = in.s_addr;
	return 0;
}

/* Take "/udp" off. Return: 0, or -errno with *err filled. */
static int publish_read_protocol(char *word, const char *option, const char *text,
				 struct plan_port *port, struct sbx_err *err)
{
	char *slash = strrchr(word, '/');

	if (!slash)
		return 0;
	*slash = '\0';
	port->udp = str_equal(slash + 1, "udp");
	return port->udp || str_equal(slash + 1, "tcp")
		       ? 0
		       : publish_bad(option, text, "behind the slash stands tcp or udp", err);
}

/*
 * Split at the colons. Return: how many parts, or -errno with *err filled. Addresses of IPv6
 * have colons of their own, and are known by that.
 */
static int publish_split(char *word, const char *option, const char *text,
			 const char *parts[PUBLISH_PARTS_MAX], struct sbx_err *err)
{
	int n = 0;

	for (char *at = word, *colon; at; at = colon ? colon + 1 : NULL) {
		if (n == PUBLISH_PARTS_MAX || *at == '[')
			return publish_bad(option, text,
					   "slirp4netns forwards ports of IPv4 only, no address "
					   "of IPv6",
					   err);
		colon = strchr(at, ':');
		if (colon)
			*colon = '\0';
		parts[n++] = at;
	}
	return n;
}

static int publish_read_parts(const char *text, const char *option, char word[PUBLISH_WORD_MAX],
			      const char *parts[PUBLISH_PARTS_MAX], struct plan_port *port,
			      struct sbx_err *err)
{
	int r;

	if (strlen(text) >= PUBLISH_WORD_MAX)
		return err_usage(err, option, "too long: %.40s...", text);
	(void)snprintf(word, PUBLISH_WORD_MAX, "%s", text);
	r = publish_read_protocol(word, option, text, port, err);
	return r < 0 ? r : publish_split(word, option, text, parts, err);
}

/**
 * Read what is to be published: [ADDR:]HOSTPORT:PORT[/udp], ADDR::PORT, PORT; a port may
 * be a range, as 8000-8010. A HOSTPORT that is 0 or missing is any that is free, for each.
 *
 * Return: 0, or -errno with *err filled.
 */
int publish_read(const char *text, const char *option, struct plan_port *ret, struct sbx_err *err)
{
	struct plan_port port = {.addr = htonl(INADDR_LOOPBACK)};
	const char *parts[PUBLISH_PARTS_MAX] = {"", "", ""};
	char word[PUBLISH_WORD_MAX];
	uint16_t hosts = 1;
	int n = publish_read_parts(text, option, word, parts, &port, err), r = 0;

	if (n < 0)
		return n;
	if (n == 3)
		r = publish_read_addr(parts[0], option, text, &port.addr, err);
	if (r < 0)
		return r;
	if (n == 2 && strchr(parts[0], '.'))
		return publish_bad(option, text,
				   "behind an address stands a port of the host (0: any), then a "
				   "colon and the sandbox's",
				   err);
	if ((n > 1 && *parts[n - 2] && !publish_read_run(parts[n - 2], true, &port.host, &hosts)) ||
	    !publish_read_run(parts[n - 1], false, &port.guest, &port.count))
		return publish_bad(
			option, text,
			"must be [ADDR:]HOSTPORT:PORT[/udp], with ports from 1 to 65535 "
			"(HOSTPORT 0: any) or ranges as 8000-8010, of 1000 ports at most",
			err);
	if (port.host && hosts != port.count)
		return publish_bad(option, text, "the two ranges have different lengths", err);
	*ret = port;
	return 0;
}

/**
 * Read which of those published are meant: [ADDR:]HOSTPORT[:PORT][/udp].
 *
 * Return: 0, or -errno with *err filled.
 */
int publish_read_host(const char *text, const char *option, struct plan_port *ret,
		      struct sbx_err *err)
{
	struct plan_port port = {.any_addr = 1};
	const char *parts[PUBLISH_PARTS_MAX] = {"", "", ""};
	char word[PUBLISH_WORD_MAX];
	int n = publish_read_parts(text, option, word, parts, &port, err), at = 0, r;
	uint16_t guests = 0;

	if (n < 0)
		return n;
	if (n == 3 || (n == 2 && strchr(parts[0], '.'))) {
		port.any_addr = 0;
		r = publish_read_addr(parts[at++], option, text, &port.addr, err);
		if (r < 0)
			return r;
	}
	if (!publish_read_run(parts[at], false, &port.host, &port.count) ||
	    (at + 1 < n && !publish_read_run(parts[at + 1], false, &port.guest, &guests)) ||
	    (port.guest && guests != port.count))
		return publish_bad(option, text, "must be [ADDR:]HOSTPORT[:PORT][/udp]", err);
	*ret = port;
	return 0;
}

/* ---- for people and programs ---- */

static void publish_put_run(struct str_buf *out, uint16_t first, uint16_t count)
{
	if (first == 0)
		str_buf_puts(out, "any");
	else
		str_buf_printf(out, count > 1 ? "%u-%u" : "%u", first, first + count - 1U);
}

static const char *publish_protocol(const struct plan_port *port)
{
	return port->udp ? "udp" : "tcp";
}

static void publish_put_addr(struct str_buf *out, const struct plan_port *port)
{
	char text[INET_ADDRSTRLEN] = "";

	(void)inet_ntop(AF_INET, &port->addr, text, sizeof(text));
	str_buf_puts(out, text);
}

/* Its end on the host: "127.0.0.1:8080/tcp" */
void publish_put_host(struct str_buf *out, const struct plan_port *port)
{
	if (!port->any_addr) {
		publish_put_addr(out, port);
		str_buf_puts(out, ":");
	}
	publish_put_run(out, port->host, port->count);
	str_buf_printf(out, "/%s", publish_protocol(port));
}

/* As docker ps has it: "127.0.0.1:8080->80/tcp" */
void publish_put(struct str_buf *out, const struct plan_port *port)
{
	publish_put_addr(out, port);
	str_buf_puts(out, ":");
	publish_put_run(out, port->host, port->count);
	str_buf_puts(out, "->");
	publish_put_run(out, port->guest, port->count);
	str_buf_printf(out, "/%s", publish_protocol(port));
}

void publish_json(struct json_out *json, const char *key, const struct plan_port *ports, size_t n)
{
	json_open_array(json, key);
	for (size_t i = 0; i < n; i++) {
		char room[INET_ADDRSTRLEN];
		struct str_buf addr = STR_BUF_ON_STACK(room);

		publish_put_addr(&addr, &ports[i]);
		json_open_object(json, NULL);
		json_add_string(json, "protocol", publish_protocol(&ports[i]));
		json_add_string(json, "address", addr.data);
		json_add_uint(json, "host-port", ports[i].host);
		json_add_uint(json, "port", ports[i].guest);
		json_add_uint(json, "count", ports[i].count);
		json_close(json);
	}
	json_close(json);
}

/* ---- the plan ---- */

static bool publish_is_loopback(const struct plan_port *port)
{
	return ntohl(port->addr) >> 24 == IN_LOOPBACKNET;
}

/* Would both listen in the same place? */
bool publish_collides(const struct plan_port *a, const struct plan_port *b)
{
	return a->udp == b->udp && a->host && b->host &&
	       (a->addr == b->addr || a->addr == INADDR_ANY || b->addr == INADDR_ANY) &&
	       a->host < b->host + b->count && b->host < a->host + a->count;
}

/* Can only one of them be answered? See the theory of operation. */
bool publish_share_answers(const struct plan_port *a, const struct plan_port *b)
{
	return a->udp && b->udp && a->guest < b->guest + b->count && b->guest < a->guest + a->count;
}

static int publish_check(const struct plan_port *ports, size_t at, const char *text,
			 size_t *n_ports, size_t *n_runs, struct sbx_err *err)
{
	static const char option[] = "--publish";

	*n_ports += ports[at].count;
	*n_runs += ports[at].host ? 1 : ports[at].count;
	for (size_t i = 0; i < at; i++)
		if (publish_collides(&ports[i], &ports[at]))
			return publish_bad(option, text, "a port of these is published already",
					   err);
	for (size_t i = 0; i < at; i++)
		if (publish_share_answers(&ports[i], &ports[at]))
			return publish_bad(option, text,
					   "another UDP port of the host leads to that of the "
					   "sandbox already, and slirp4netns can answer by one "
					   "only; let the program listen on two",
					   err);
	if (*n_ports > PLAN_PORTS_MAX || *n_runs > PLAN_PORT_RUNS_MAX)
		return err_usage(err, option,
				 "too many: there is room for %d ports, in %d ranges (one whose "
				 "ports are any takes as many as it has)",
				 PLAN_PORTS_MAX, PLAN_PORT_RUNS_MAX);
	return 0;
}

/**
 * Which ports lead into the sandbox.
 * @words: those of its network
 *
 * Return: 0, or -errno with *err filled.
 */
int publish_choose(const struct sbx_spec *spec, const struct net_words *words,
		   struct sbx_plan *plan, struct sbx_err *err)
{
	static const char option[] = "--publish";
	size_t n_ports = 0, n_runs = 0;
	struct plan_port *ports;
	int r = 0;

	if (spec->n_published == 0)
		return 0;
	ports = arena_alloc(&plan->arena, spec->n_published * sizeof(*ports));
	if (!ports)
		return err_oom(err);
	for (size_t i = 0; i < spec->n_published && r == 0; i++) {
		r = publish_read(spec->published[i].text, option, &ports[i], err);
		if (r == 0)
			r = publish_check(ports, i, spec->published[i].text, &n_ports, &n_runs,
					  err);
		plan->net.answers_udp |= r == 0 && ports[i].udp;
	}
	if (r < 0)
		return r;
	if (plan->net.answers_udp && words->unfiltered && !words->allow_host_loopback)
		return err_usage(err, option,
				 "a UDP port cannot be published with --net=user,unfiltered: the "
				 "host's loopback, which the answers go to, would be open; add "
				 "allow-host-loopback if it may be, or leave unfiltered out");
	plan->net.ports = ports;
	plan->net.n_ports = spec->n_published;
	return 0;
}

/* Without --net=user there is nothing to publish from. Return: 0, or -errno with *err filled. */
int publish_refuse_without_net(const struct sbx_spec *spec, struct sbx_err *err)
{
	if (spec->n_published == 0)
		return 0;
	if (spec->net && str_starts_with(spec->net, NET_FD))
		return err_usage(err, "--publish",
				 "cannot lead into a network that was made elsewhere (--net=%s)",
				 spec->net);
	if (spec->net && net_is_shared(spec->net))
		return err_usage(err, "--publish",
				 "cannot lead into a network that sandboxes share (--net=%s), only "
				 "into one of its own: --net=user",
				 spec->net);
	return err_usage(err, "--publish",
			 spec->ns[SPEC_NS_NET] == SPEC_NS_SHARE
				 ? "with the host's network a port that the command listens on is "
				   "the host's already; leave --publish or --net=host out"
				 : "takes a network that leads to the host: add --net=user");
}

/* What is published beyond the host itself. Return: 0 or -ENOMEM. */
int publish_remark(struct sbx_plan *plan)
{
	int r = 0;

	for (size_t i = 0; i < plan->net.n_ports && r == 0; i++) {
		char room[PUBLISH_TEXT_BYTES];
		struct str_buf text = STR_BUF_ON_STACK(room);

		publish_put(&text, &plan->net.ports[i]);
		r = plan_add_remark(plan, "network", "published: %s", text.data);
		if (r == 0 && !publish_is_loopback(&plan->net.ports[i]))
			r = plan_add_remark(plan, "exposed",
					    "to whoever reaches the host: what listens inside "
					    "(%s)",
					    text.data);
	}
	return r;
}

/* ---- the rules ---- */

/*
 * The set of who has been heard, and the chain that fills it, which the caller closes.
 * @from: an address of IPv4, or a range of them, that is listened to
 */
void publish_put_heard(struct str_buf *out, const char *from)
{
	str_buf_printf(out,
		       "set heard {\ntype ipv4_addr . inet_service . inet_service\n"
		       "flags dynamic, timeout\nsize %d\ntimeout " PUBLISH_ANSWER_TIME "\n}\n"
		       "chain in {\ntype filter hook input priority 0; policy accept;\n"
		       "ip saddr %s meta l4proto udp "
		       "update @heard { ip saddr . udp sport . udp dport }\n",
		       PUBLISH_HEARD_MAX, from);
}

/* In front of the chains: who has been heard. @gateway: its address */
void publish_put_tables(struct str_buf *out, const struct plan_net *net, const char *gateway)
{
	if (!net || !net->answers_udp)
		return;
	publish_put_heard(out, gateway);
	for (size_t i = 0; i < net->n_ports; i++) {
		const struct plan_port *port = &net->ports[i];

		if (!port->udp || publish_is_loopback(port))
			continue;
		str_buf_puts(out, "iifname != \"lo\" ip version 4 udp dport ");
		publish_put_run(out, port->guest, port->count);
		str_buf_puts(out, " update @heard { ip saddr . udp sport . udp dport }\n");
	}
	str_buf_puts(out, "}\n");
}

/* TCP that belongs to a connection; and where there is the set, UDP to who is in it. */
void publish_put_replies(struct str_buf *out, bool udp)
{
	str_buf_puts(out, "tcp flags & (fin | syn | rst | ack | urg) != syn accept\n");
	if (udp)
		str_buf_puts(out, "ip daddr . udp dport . udp sport @heard accept\n");
}

/* In front of what is refused: what is sent to who has come in. */
void publish_put_answers(struct str_buf *out, const struct plan_net *net)
{
	publish_put_replies(out, net->answers_udp);
}

/* ---- what cannot be had ---- */

/* The first port that is not root's (ip(7)). */
unsigned publish_first_unprivileged(void)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
	_autoarena_ struct arena arena = {.chunks = NULL};
	uint64_t first = PUBLISH_UNPRIVILEGED;
	char *text;
	size_t len;

	arena_init(&arena);
	if (io_read_file(path, 64, &arena, &text, &len) == 0) {
		text[strcspn(text, "\n")] = '\0';
		if (str_parse_u64(text, 10, PUBLISH_PORT_MAX + 1, &first) < 0)
			first = PUBLISH_UNPRIVILEGED;
	}
	return (unsigned)first;
}

/**
 * A port that cannot be published.
 * @port:   one; its count is 0 where slirp4netns cannot be talked to
 * @number: errno of who listens there; 0: it is not known why
 *
 * Return: -errno with *err filled.
 */
int publish_refuse(const struct plan_port *port, int number, struct sbx_err *err)
{
	char room[PUBLISH_TEXT_BYTES];
	struct str_buf text = STR_BUF_ON_STACK(room);
	int r;

	if (port->count == 0)
		return err_system(err, number, "slirp4netns", "cannot be told of ports");
	publish_put_host(&text, port);
	r = number ? err_system(err, number, text.data, "cannot publish this port of the host")
		   : err_refuse(err, EIO, text.data,
				"slirp4netns cannot publish this port of the host");
	if (number == EADDRINUSE)
		err_hint(err,
			 "another program has it (\"ss -lnp sport = :%u\" tells which); choose "
			 "another\nHOSTPORT, or 0 for any that is free",
			 port->host);
	else if (number == EACCES)
		err_hint(err,
			 "ports below %u are root's; choose a HOSTPORT from there on, or as root:\n"
			 "sysctl net.ipv4.ip_unprivileged_port_start=%u",
			 publish_first_unprivileged(), port->host);
	else if (number == EADDRNOTAVAIL)
		err_hint(err, "no interface of the host has this address; see \"ip address\"");
	else if (number == 0)
		err_hint(err, "it may have too many files open; see \"ulimit -n\"");
	return r;
}
