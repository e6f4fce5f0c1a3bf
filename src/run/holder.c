/* SPDX-License-Identifier: MIT */
/*
 * holder: see holder.h.
 *
 * Theory of operation
 *
 *     member's monitor  ──┐ a socket each       slirp4netns ── tap0 ┐
 *     member's monitor  ──┤                                         ├ br0, in the network
 *     sbx net ls        ──┴► holder, on the host          m16 ── m17┘ namespace that is held
 *                                                          │      │
 *                                                        eth0   eth0, in those of the members
 *
 * The holder is an ordinary process of the caller's, on the host, with no privilege there, in a
 * session of its own. It has made a user namespace with the caller's ids, and in it a network
 * namespace. As the owner of the one it may do there, and in all user namespaces below,
 * what it likes (user_namespaces(7)); members are made below it (join.c), so it may put an
 * interface into theirs. Nothing runs in either namespace: descriptors keep them.
 *
 * The process that makes them (the anchor) is there until they are furnished, because
 * newuidmap(1) and slirp4netns(1) want its number.
 *
 * The bridge has no address: the host side of it reaches nobody and nobody reaches it. Who is
 * where on it cannot be changed by a member, whose command has no CAP_NET_ADMIN or CAP_NET_RAW
 * over its network. What it may send to the internet its own rules say (spec/net_filter.c).
 *
 * Each member's /etc/hosts is a file in memory, of which the holder has a descriptor. It writes
 * all of them when a member comes or goes: the lines behind the first that the file had, in one
 * write, over what was there, then cuts what is too long. A program that reads meanwhile finds
 * the old lines or the new.
 *
 * It ends with its last member, unless "sbx net create" made it; when slirp4netns ends, telling
 * members why; and when it is killed. Its end is the end of the members' sockets, and so theirs,
 * and that of slirp4netns, which holds a pipe of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/control.h"
#include "sbx/run/holder.h"
#include "sbx/run/idmap.h"
#include "sbx/run/net.h"
#include "sbx/run/rtnl.h"
#include "sbx/run/share.h"
#include "sbx/spec/hints.h"

enum {
	HOLDER_CLIENTS_MAX = NET_MEMBERS_MAX + 32,
	HOLDER_START_MS = 18 * 1000, /* whoever waits does so a little longer */
	HOLDER_HOSTS_BYTES = NET_MEMBERS_MAX * (LABEL_NAME_MAX + 20),
};

static const char holder_bridge[] = "br0", holder_tap[] = "tap0", holder_peer[] = "eth0";

struct holder_client {
	int fd;	      /* owned; -1: none */
	int hosts_fd; /* owned; -1: none */
	off_t hosts_at;
	uint32_t number; /* of its address, and of its interface; 0: no member */
	bool attached;
	int32_t pid;
	char name[LABEL_NAME_MAX + 1];
	char host[SHARE_HOST_MAX + 1];
};

struct holder {
	const struct holder_start *start;
	const struct plan_share *share;
	struct sbx_plan plan; /* that of the first, as far as net.c and idmap.c look at it */
	pid_t anchor;	      /* 0: none */
	int netns_fd, userns_fd, rtnl_fd; /* owned */
	int bridge;			  /* its index */
	struct net_job slirp;
	struct holder_client clients[HOLDER_CLIENTS_MAX];
	uint32_t last; /* number that was given */
	bool created, ends;
};

/* ---- the namespaces ---- */

/* What the anchor tells, through a pipe: the table of descriptors is the holder's too. */
struct holder_report {
	int rtnl_fd, error;
};

static noreturn void holder_anchor(pid_t parent, int write_fd)
{
	struct holder_report report = {.rtnl_fd = -1};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		report.error = errno;
	/* It was killed before that. What is open here would seem to be its end of the sockets. */
	if (getppid() != parent)
		_exit(1);
	if (!report.error) {
		report.rtnl_fd = rtnl_open();
		report.error = report.rtnl_fd < 0 ? -report.rtnl_fd : 0;
	}
	if (write(write_fd, &report, sizeof(report)) != (ssize_t)sizeof(report))
		_exit(1);
	for (;;)
		(void)pause();
}

static int holder_open_ns(pid_t pid, const char *name, int *ret_fd, struct sbx_err *err)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? err_system(err, errno, path, "cannot open") : 0;
}

static void holder_end_anchor(struct holder *h)
{
	int status;

	if (h->anchor <= 0)
		return;
	/* Where that fails it ends with this process. */
	if (kill(h->anchor, SIGKILL) == 0)
		(void)proc_wait(h->anchor, &status);
	h->anchor = 0;
}

/* ---- interfaces ---- */

static int holder_fail_link(const struct holder *h, int number, const char *name, const char *what,
			    struct sbx_err *err)
{
	int r = err_system(err, number, name, "%s", what);

	hint_add(err, HINT_SHARE);
	(void)h;
	return r;
}

static int holder_make_bridge(struct holder *h, struct sbx_err *err)
{
	int r = rtnl_add_bridge(h->rtnl_fd, holder_bridge);

	if (r == 0)
		r = h->bridge = rtnl_find(h->rtnl_fd, holder_bridge);
	return r < 0 ? holder_fail_link(h, -r, holder_bridge, "cannot make a bridge", err) : 0;
}

/* ---- members ---- */

static uint32_t holder_address(const struct holder *h, const struct holder_client *client)
{
	return ntohl(h->share->first.s_addr) + client->number;
}

static void holder_put_hosts(const struct holder *h, struct str_buf *out)
{
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++) {
		const struct holder_client *client = &h->clients[i];
		uint32_t a = holder_address(h, client);

		if (client->attached && client->name[0])
			str_buf_printf(out, "%u.%u.%u.%u %s\n", a >> 24, a >> 16 & 255,
				       a >> 8 & 255, a & 255, client->name);
	}
}

/* Return: false: it could not be written, as where its memory is at a limit. */
static bool holder_write_names(const struct holder_client *client, const struct str_buf *text)
{
	return pwrite(client->hosts_fd, text->data, text->len, client->hosts_at) ==
		       (ssize_t)text->len &&
	       ftruncate(client->hosts_fd, client->hosts_at + (off_t)text->len) == 0;
}

/* A file that cannot be written is left alone: that is its member's loss and nobody else's. */
static void holder_write_hosts(struct holder *h)
{
	char room[HOLDER_HOSTS_BYTES];
	struct str_buf text = STR_BUF_ON_STACK(room);

	holder_put_hosts(h, &text);
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++) {
		struct holder_client *client = &h->clients[i];

		if (client->hosts_fd < 0 || holder_write_names(client, &text))
			continue;
		close(take_fd(&client->hosts_fd));
	}
}

static void holder_name_port(const struct holder_client *client, char ret_name[16])
{
	(void)snprintf(ret_name, 16, "m%u", client->number);
}

static void holder_drop(struct holder *h, struct holder_client *client)
{
	bool attached = client->attached;
	char port[16];

	holder_name_port(client, port);
	/* Its network namespace goes some time after its last process, and the pair with it. */
	if (attached)
		(void)rtnl_remove(h->rtnl_fd, port);
	defs_cleanup_fd(&client->fd);
	defs_cleanup_fd(&client->hosts_fd);
	*client = (struct holder_client){.fd = -1, .hosts_fd = -1};
	if (attached)
		holder_write_hosts(h);
}

static bool holder_has_number(const struct holder *h, uint32_t number)
{
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		if (h->clients[i].number == number)
			return true;
	return false;
}

/* The next one: an address that was somebody's a moment ago is another's as late as possible. */
static uint32_t holder_choose_number(struct holder *h)
{
	uint32_t members = net_members(h->share->prefix);

	for (uint32_t i = 0; i < members; i++) {
		uint32_t number = NET_MEMBER_FIRST + (h->last + i) % members;

		if (holder_has_number(h, number))
			continue;
		h->last = number - NET_MEMBER_FIRST + 1;
		return number;
	}
	return 0;
}

/* ---- answers ---- */

struct holder_answer {
	struct share_reply reply;
	int fd; /* borrowed; -1: none */
	bool has_members;
};

static uint32_t holder_count(const struct holder *h)
{
	uint32_t n = 0;

	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		n += h->clients[i].number != 0;
	return n;
}

/* All members have to have said the same. */
static int holder_check_key(const struct holder *h, const struct share_request *request,
			    struct sbx_err *err)
{
	const char *name = h->share->name, *key = h->share->key;
	char room[LABEL_NAME_MAX + SHARE_KEY_MAX + 2], how_room[SHARE_KEY_MAX];
	struct str_buf about = STR_BUF_ON_STACK(room), how = STR_BUF_ON_STACK(how_room);
	int r;

	if (!net_key_differs(key, request->key, &how))
		return 0;
	r = err_refuse(err, EEXIST, name, "is there already, %s", how.data);
	str_buf_printf(&about, "%s%s%s", name, key[0] ? "," : "", key);
	hint_add_about(err, HINT_SHARE_OTHER, about.data);
	return r;
}

/* Has it closed its connection, and has not been dropped yet? */
static bool holder_has_gone(const struct holder_client *client)
{
	char none;

	return recv(client->fd, &none, sizeof(none), MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool holder_is_same_name(const char *a, const char *b)
{
	return a[0] && strcasecmp(a, b) == 0;
}

/*
 * A name is to lead to the same member everywhere, and who looks it up does not tell capital
 * letters from small ones. In the file of who calls itself by it, it leads there.
 *
 * Return: what is wrong with it, or NULL. *ret_place: about which of its names that is
 */
static const char *holder_judge_names(const struct share_request *request,
				      const struct holder_client *other, int *ret_place)
{
	*ret_place = HINT_SHARE_NAME;
	if (holder_is_same_name(request->name, other->name) &&
	    !str_equal(request->name, other->name))
		return "differs by capital letters only from the name of another member";
	if (holder_is_same_name(request->name, other->host))
		return "is what another member calls itself, and would lead to that one there";
	*ret_place = HINT_SHARE_HOST;
	if (holder_is_same_name(request->host, other->name))
		return "is the name of another member, which could not be reached by it then";
	return NULL;
}

static int holder_check_names(struct holder *h, const struct share_request *request,
			      struct sbx_err *err)
{
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++) {
		struct holder_client *other = &h->clients[i];
		const char *wrong;
		int place;

		wrong = other->number ? holder_judge_names(request, other, &place) : NULL;
		if (!wrong)
			continue;
		if (holder_has_gone(other)) {
			holder_drop(h, other);
			continue;
		}
		(void)err_refuse(err, EEXIST,
				 place == HINT_SHARE_NAME ? request->name : request->host, "%s",
				 wrong);
		hint_add(err, place);
		return -EEXIST;
	}
	return 0;
}

static int holder_answer_join(struct holder *h, struct holder_client *client,
			      const struct share_request *request, struct holder_answer *a)
{
	int r = holder_check_key(h, request, &a->reply.err);

	if (r < 0)
		return r;
	if (client->number)
		return err_refuse(&a->reply.err, EPROTO, h->share->name, "has this member already");
	r = holder_check_names(h, request, &a->reply.err);
	if (r < 0)
		return r;
	client->number = holder_choose_number(h);
	if (!client->number)
		return err_refuse(&a->reply.err, EBUSY, h->share->name,
				  "has all the members that it has room for, %u",
				  net_members(h->share->prefix));
	str_copy(client->name, sizeof(client->name), request->name);
	str_copy(client->host, sizeof(client->host), request->host);
	a->reply.address = holder_address(h, client);
	a->fd = h->userns_fd;
	return 0;
}

static int holder_answer_create(struct holder *h, struct holder_client *client,
				const struct share_request *request, struct holder_answer *a)
{
	int r = holder_check_key(h, request, &a->reply.err);

	(void)client;
	if (r == 0 && h->created)
		r = err_refuse(&a->reply.err, EEXIST, h->share->name, "was created already");
	h->created |= r == 0;
	return r;
}

static int holder_answer_look(struct holder *h, struct holder_client *client,
			      const struct share_request *request, struct holder_answer *a)
{
	(void)h;
	(void)client;
	(void)request;
	a->has_members = true;
	return 0;
}

static int holder_answer_remove(struct holder *h, struct holder_client *client,
				const struct share_request *request, struct holder_answer *a)
{
	uint32_t n = holder_count(h);

	(void)client;
	if (n > 0 && !request->number) {
		(void)err_refuse(&a->reply.err, EBUSY, h->share->name, "has %u member%s", n,
				 n == 1 ? "" : "s");
		hint_add(&a->reply.err, HINT_SHARE_IN_USE);
		return -EBUSY;
	}
	h->created = false;
	h->ends = true;
	return 0;
}

/* @fds: the network namespace, and /etc/hosts */
static int holder_attach(struct holder *h, struct holder_client *client, int fds[2],
			 struct sbx_err *err)
{
	char port[16];
	struct rtnl_veth veth = {.name = port,
				 .master = h->bridge,
				 .mtu = h->share->mtu,
				 .peer = holder_peer,
				 .peer_netns_fd = fds[0]};
	struct stat st;
	int r;

	if (!client->number || client->attached || fds[0] < 0)
		return err_refuse(err, EPROTO, h->share->name, "has no such member");
	holder_name_port(client, port);
	r = rtnl_add_veth(h->rtnl_fd, &veth);
	if (r < 0)
		return holder_fail_link(h, -r, h->share->name,
					"cannot make an interface for the member", err);
	if (fds[1] >= 0 && fstat(fds[1], &st) == 0 && S_ISREG(st.st_mode)) {
		client->hosts_fd = take_fd(&fds[1]);
		client->hosts_at = st.st_size;
	}
	client->attached = true;
	holder_write_hosts(h);
	return 0;
}

static int (*const holder_answers[SHARE_TYPE_COUNT_])(struct holder *h,
						      struct holder_client *client,
						      const struct share_request *request,
						      struct holder_answer *a) = {
	[SHARE_JOIN] = holder_answer_join,     [SHARE_ATTACH] = NULL, /* has descriptors */
	[SHARE_CREATE] = holder_answer_create, [SHARE_LOOK] = holder_answer_look,
	[SHARE_REMOVE] = holder_answer_remove,
};

static void holder_send_members(const struct holder *h, int fd)
{
	struct share_members *members = calloc(1, sizeof(*members));
	size_t n = 0;

	for (size_t i = 0; members && i < HOLDER_CLIENTS_MAX && n < NET_MEMBERS_MAX; i++) {
		const struct holder_client *client = &h->clients[i];

		if (!client->number)
			continue;
		str_copy(members->list[n].name, sizeof(members->list[n].name), client->name);
		members->list[n].address = holder_address(h, client);
		members->list[n++].pid = client->pid;
	}
	if (members)
		(void)share_send(fd, members, sizeof(*members), NULL, 0);
	free(members);
}

static void holder_fill(const struct holder *h, struct share_reply *reply)
{
	reply->version = SHARE_VERSION;
	reply->created = h->created;
	reply->internet = h->share->helper != NULL;
	reply->pid = getpid();
	reply->n_members = holder_count(h);
}

static bool holder_has_ended_for(const struct holder *h, const struct share_request *request)
{
	return (request->type == SHARE_JOIN || request->type == SHARE_CREATE) && !h->created &&
	       holder_count(h) == 0 && net_key_differs(h->share->key, request->key, NULL);
}

/* Return: false: the client is to be dropped. */
static bool holder_answer(struct holder *h, struct holder_client *client,
			  struct share_request *request, int fds[2])
{
	struct holder_answer a = {.fd = -1};
	bool sent;

	request->name[sizeof(request->name) - 1] = '\0';
	request->host[sizeof(request->host) - 1] = '\0';
	request->key[sizeof(request->key) - 1] = '\0';
	/* Its last member has gone just now, so it has: whoever asks starts another one. */
	if (holder_has_ended_for(h, request)) {
		h->ends = true;
		return false;
	}
	if (request->version != SHARE_VERSION || request->type >= SHARE_TYPE_COUNT_ ||
	    (request->name[0] && !label_name_is_good(request->name)))
		a.reply.result = err_refuse(&a.reply.err, EPROTO, h->share->name,
					    "is a network that another version of sbx holds");
	else if (request->type == SHARE_ATTACH)
		a.reply.result = holder_attach(h, client, fds, &a.reply.err);
	else
		a.reply.result = holder_answers[request->type](h, client, request, &a);
	holder_fill(h, &a.reply);
	sent = share_send(client->fd, &a.reply, sizeof(a.reply), &a.fd, a.fd >= 0 ? 1 : 0) == 0;
	if (sent && a.has_members)
		holder_send_members(h, client->fd);
	return sent && a.reply.result == 0;
}

static void holder_hear(struct holder *h, struct holder_client *client)
{
	struct share_request request;
	int fds[2], r = share_receive(client->fd, &request, sizeof(request), fds, 2);

	if (r == -EAGAIN)
		return;
	if (r != 1 || !holder_answer(h, client, &request, fds))
		holder_drop(h, client);
	for (size_t i = 0; r == 1 && i < 2; i++)
		defs_cleanup_fd(&fds[i]);
}

/* ---- who comes and goes ---- */

static struct holder_client *holder_find_place(struct holder *h)
{
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		if (h->clients[i].fd < 0)
			return &h->clients[i];
	return NULL;
}

/* As the monitor of a sandbox: what is in one has the caller's uid, but not his namespace. */
static void holder_refuse(const struct holder *h, int fd)
{
	struct share_reply reply = {.version = SHARE_VERSION};

	reply.result =
		err_refuse(&reply.err, EPERM, h->share->name,
			   "is a network that is not asked from here: the process that holds "
			   "it is in another user namespace, and answers none of a sandbox");
	err_hint(&reply.err, "do this outside, where the network was made; or give the one that is "
			     "to be made\nhere a place of its own with XDG_RUNTIME_DIR, or another "
			     "name");
	(void)share_send(fd, &reply, sizeof(reply), NULL, 0);
}

/* Return: false when nobody waits to be let in. */
static bool holder_accept(struct holder *h)
{
	_autoclose_ int fd = accept4(h->start->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct holder_client *client = holder_find_place(h);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return false;
	if (!client || !control_may_ask(fd) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		holder_refuse(h, fd);
		return true;
	}
	client->pid = peer.pid;
	client->fd = take_fd(&fd);
	return true;
}

/* Why there is no network any more, to all that are there or wait. */
static void holder_tell(struct holder *h, const struct sbx_err *err)
{
	struct share_reply reply = {.result = -ECANCELED, .err = *err};

	holder_fill(h, &reply);
	while (holder_accept(h))
		;
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		if (h->clients[i].fd >= 0)
			(void)share_send(h->clients[i].fd, &reply, sizeof(reply), NULL, 0);
}

static bool holder_is_needed(const struct holder *h)
{
	if (h->ends)
		return false;
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		if (h->clients[i].fd >= 0)
			return true;
	return h->created;
}

/* Does somebody wait who could not be let in yet? */
static bool holder_is_asked(const struct holder *h)
{
	struct pollfd pfd = {.fd = h->start->listen_fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

/* ---- the start ---- */

static int holder_patience(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_now_ms();

	return left < 0 ? 0 : (int)left;
}

/*
 * Wait for one of two helpers, while the network is being made. Whoever waits for that may give
 * up meanwhile, by a signal say; when nobody is left, so does this process, and its helpers go.
 *
 * Return: as poll(2), *err filled; -ECANCELED: nobody is left.
 */
static int holder_await(struct holder *h, struct pollfd own[2], int64_t deadline_ms,
			struct sbx_err *err)
{
	struct pollfd pfds[HOLDER_CLIENTS_MAX + 2];
	int n;

	while (holder_find_place(h) && holder_accept(h))
		;
	if (!holder_is_needed(h) && !holder_is_asked(h)) {
		h->ends = true;
		return err_refuse(err, ECANCELED, h->share->name, "nobody waits for it any more");
	}
	/* What they ask is heard later; their end (POLLHUP) shows now. */
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		pfds[i] = (struct pollfd){.fd = h->clients[i].fd};
	memcpy(pfds + HOLDER_CLIENTS_MAX, own, 2 * sizeof(*own));
	n = poll(pfds, ARRAY_SIZE(pfds), holder_patience(deadline_ms));
	if (n < 0 && errno != EINTR)
		return err_system(err, errno, h->share->name, "cannot wait for events");
	memcpy(own, pfds + HOLDER_CLIENTS_MAX, 2 * sizeof(*own));
	for (size_t i = 0; n > 0 && i < HOLDER_CLIENTS_MAX; i++)
		if (pfds[i].revents)
			holder_drop(h, &h->clients[i]);
	return n < 0 ? 1 : n;
}

/*
 * Hear from the anchor. Its end shows by a pidfd only, since this process has the pipe's other end
 * as well. Return: 0, or -errno with *err filled.
 */
static int holder_hear_anchor(struct holder *h, int read_fd, int pidfd, int64_t deadline_ms,
			      struct holder_report *ret, struct sbx_err *err)
{
	for (;;) {
		struct pollfd pfds[] = {{.fd = read_fd, .events = POLLIN},
					{.fd = pidfd, .events = POLLIN}};
		int n = holder_await(h, pfds, deadline_ms, err);
		ssize_t got;

		if (n < 0)
			return n;
		if (n == 0)
			return err_refuse(err, ETIMEDOUT, h->share->name,
					  "the process in the new network says nothing");
		got = read(read_fd, ret, sizeof(*ret));
		if (got == (ssize_t)sizeof(*ret))
			return 0;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return err_system(err, errno, NULL,
					  "cannot hear from a process in a new network");
		if (pfds[1].revents)
			return err_refuse(err, ECANCELED, h->share->name,
					  "the process in the new network has ended");
	}
}

static int holder_make_namespaces(struct holder *h, int64_t deadline_ms, struct sbx_err *err)
{
	_autoclose_ int read_fd = -1, write_fd = -1, pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_FILES | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	struct holder_report report = {.error = 0};
	pid_t parent = getpid(), pid;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	pid = sys_clone3(&args);
	if (pid == 0)
		holder_anchor(parent, write_fd);
	if (pid < 0) {
		r = err_system(err, errno, NULL, "cannot create a user namespace");
		hint_add(err, HINT_CLONE);
		return r;
	}
	h->anchor = pid;
	r = holder_hear_anchor(h, read_fd, pidfd, deadline_ms, &report, err);
	if (r < 0)
		return r;
	if (report.error)
		return err_system(err, report.error, NULL,
				  "cannot open a socket to make interfaces");
	h->rtnl_fd = report.rtnl_fd;
	r = holder_open_ns(pid, "user", &h->userns_fd, err);
	return r < 0 ? r : holder_open_ns(pid, "net", &h->netns_fd, err);
}

/* Which of the two is still at work? */
static int holder_blame_ids(const struct idmap_job *job, struct sbx_err *err)
{
	const char *path = job->helpers[job->helpers[0].pid ? 0 : 1].path;
	int r = err_refuse(err, ETIMEDOUT, path, "has not finished within %d seconds",
			   HOLDER_START_MS / 1000);

	hint_add(err, HINT_MAP_SLOW);
	return r;
}

static int holder_await_ids(struct holder *h, struct idmap_job *job, int64_t deadline_ms,
			    struct sbx_err *err)
{
	int r = 0;

	while (r == 0 && !idmap_job_done(job)) {
		struct pollfd pfds[] = {{.fd = job->helpers[0].pidfd, .events = POLLIN},
					{.fd = job->helpers[1].pidfd, .events = POLLIN}};
		int n = holder_await(h, pfds, deadline_ms, err);

		if (n == 0)
			return holder_blame_ids(job, err);
		r = n < 0 ? n : idmap_job_reap(job, err);
	}
	return r;
}

static int holder_map_ids(struct holder *h, int64_t deadline_ms, struct sbx_err *err)
{
	struct idmap_job job;
	int r;

	if (!h->plan.uid_map.helper)
		return idmap_write_child(h->anchor, &h->plan, err);
	idmap_job_init(&job);
	r = idmap_job_start(&job, &h->plan, h->anchor, h->start->sigmask, err);
	if (r == 0)
		r = holder_await_ids(h, &job, deadline_ms, err);
	idmap_job_finish(&job);
	return r;
}

/* slirp4netns, and its interface a port of the bridge. */
static int holder_start_slirp(struct holder *h, int64_t deadline_ms, struct sbx_err *err)
{
	int fd = fcntl(h->netns_fd, F_DUPFD_CLOEXEC, 0), r;

	if (fd < 0)
		return err_system(err, errno, NULL, "cannot copy a descriptor");
	h->slirp.plan = &h->plan;
	h->slirp.sigmask = h->start->sigmask;
	r = net_job_start(&h->slirp, h->anchor, &fd, err);
	while (r == 0 && !h->slirp.ready) {
		struct pollfd pfds[] = {{.fd = h->slirp.helper.ready_fd, .events = POLLIN},
					{.fd = h->slirp.helper.pidfd, .events = POLLIN}};
		int n = holder_await(h, pfds, deadline_ms, err);

		if (n == 0)
			return net_job_timed_out(&h->slirp, HOLDER_START_MS / 1000, err);
		r = n < 0 ? n : 0;
		if (r == 0 && pfds[0].revents)
			h->slirp.in_use |= net_job_hear(&h->slirp);
		if (r == 0 && pfds[1].revents)
			r = net_job_reap(&h->slirp, err);
	}
	if (r < 0)
		return r;
	r = rtnl_set_up(h->rtnl_fd, holder_tap, h->share->mtu, h->bridge);
	return r < 0 ? holder_fail_link(h, -r, holder_tap, "cannot be put into the bridge", err)
		     : 0;
}

static int holder_make(struct holder *h, struct sbx_err *err)
{
	int64_t deadline_ms = clock_now_ms() + HOLDER_START_MS;
	int r = holder_make_namespaces(h, deadline_ms, err);

	if (r == 0)
		r = holder_map_ids(h, deadline_ms, err);
	if (r == 0)
		r = holder_make_bridge(h, err);
	if (r == 0 && h->share->helper)
		r = holder_start_slirp(h, deadline_ms, err);
	holder_end_anchor(h);
	return r;
}

/* ---- its life ---- */

/* Return: 0; -errno with *err filled when slirp4netns has ended. */
static int holder_turn(struct holder *h, struct sbx_err *err)
{
	struct pollfd pfds[HOLDER_CLIENTS_MAX + 2];
	const size_t listener = HOLDER_CLIENTS_MAX, slirp = HOLDER_CLIENTS_MAX + 1;

	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		pfds[i] = (struct pollfd){.fd = h->clients[i].fd, .events = POLLIN};
	pfds[listener] = (struct pollfd){.fd = holder_find_place(h) ? h->start->listen_fd : -1,
					 .events = POLLIN};
	pfds[slirp] = (struct pollfd){.fd = h->slirp.helper.pidfd, .events = POLLIN};
	if (poll(pfds, ARRAY_SIZE(pfds), -1) < 0)
		return errno == EINTR
			       ? 0
			       : err_system(err, errno, h->share->name, "cannot wait for events");
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		if (pfds[i].revents && h->clients[i].fd == pfds[i].fd)
			holder_hear(h, &h->clients[i]);
	if (pfds[listener].revents)
		(void)holder_accept(h);
	return pfds[slirp].revents ? net_job_reap(&h->slirp, err) : 0;
}

/* Nobody is there to be told of what goes wrong here. */
static void holder_leave_caller(const struct holder_start *start)
{
	const int keep[] = {start->dir_fd, start->lock_fd, start->listen_fd};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null_fd, fd);
	if (null_fd > STDERR_FILENO)
		close(null_fd);
	fd_close_all_but((const int[]){STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, keep[0], keep[1],
				       keep[2]},
			 6);
	if (chdir("/") < 0)
		errno = 0; /* then it keeps a directory in use; no more */
	(void)prctl(PR_SET_NAME, "sbx-net");
	(void)prctl(PR_SET_PDEATHSIG, 0);
	explicit_bzero(start->title.start, start->title.len);
	(void)snprintf(start->title.start, start->title.len, "sbx net %s",
		       start->plan->net.share->name);
}

static void holder_init(struct holder *h, const struct holder_start *start)
{
	*h = (struct holder){.start = start, .share = start->plan->net.share, .plan = *start->plan};
	h->netns_fd = h->userns_fd = h->rtnl_fd = -1;
	h->plan.uid_map = h->share->uid_map;
	h->plan.gid_map = h->share->gid_map;
	h->plan.net.helper = h->share->helper;
	net_job_init(&h->slirp);
	for (size_t i = 0; i < HOLDER_CLIENTS_MAX; i++)
		h->clients[i] = (struct holder_client){.fd = -1, .hosts_fd = -1};
}

/* Its names first: who comes now starts another one, when the lock is free. */
static void holder_finish(struct holder *h)
{
	char socket[LABEL_NAME_MAX + 8];

	(void)snprintf(socket, sizeof(socket), "%s.sock", h->share->name);
	/* By the one name who sweeps finds the other. */
	if (unlinkat(h->start->dir_fd, socket, 0) == 0 || errno == ENOENT)
		(void)unlinkat(h->start->dir_fd, h->share->name, 0);
	net_job_finish(&h->slirp);
}

/* The whole life of the process. */
noreturn void holder_main(const struct holder_start *start)
{
	static struct holder h;
	sigset_t mask = *start->sigmask;
	struct sbx_err err;
	int r;

	/* Or it would seem to have a member for ever. */
	close(start->client_fd);
	/* Who connects is told who listens (SO_PEERCRED): whoever has said so last. */
	(void)listen(start->listen_fd, SHARE_BACKLOG);
	holder_leave_caller(start);
	holder_init(&h, start);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	r = holder_make(&h, &err);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_system(&err, errno, h.share->name, "cannot give up privileges");
	/* Who started it is in the queue. */
	while (r == 0 && holder_accept(&h))
		;
	while (r == 0 && (holder_is_needed(&h) || (!h.ends && holder_accept(&h))))
		r = holder_turn(&h, &err);
	/* Where nobody is there, whoever comes now hears nothing, and begins again. */
	if (r < 0 && !h.ends)
		holder_tell(&h, &err);
	holder_finish(&h);
	_exit(r < 0);
}
