/* SPDX-License-Identifier: MIT */
/*
 * control: see control.h.
 *
 * Theory of operation
 *
 * The socket lies beside the record, in a directory that only the caller can enter. It may
 * be bound into a sandbox all the same; a process there has the caller's uid, as the
 * kernel sees it from here. So who connects is asked for its user namespace too: it must
 * be the monitor's own, which nothing in a sandbox is in.
 *
 * The monitor has one thread, and a command's signals to attend to. So nothing here
 * blocks: a client has one packet to send, and gets one that fits into any socket's
 * buffer. There is room for some clients; a new one takes the place of one that has not
 * said anything yet, and where all are waiting for the end, it is told so.
 *
 * Who attaches stays connected, and is sent what the command prints. Where its buffer is full
 * the next is not read from the command until there is room again (control_is_heard()), so
 * one packet is all that is ever kept.
 *
 * Until somebody connects, the launch's poll looks at the listening socket itself, so that
 * a launch that nobody asks about makes no epoll(7).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/control.h"
#include "sbx/run/pack.h"
#include "sbx/spec/explain.h"

enum { CONTROL_BACKLOG = 64, CONTROL_LISTENER = CONTROL_CLIENTS_MAX };

/* At the end, of who is attached: how long one may read nothing and still get the rest. */
enum { CONTROL_READER_MS = 5000 };
/* Likewise, how long one that has connected may take to ask. */
enum { CONTROL_SILENT_MS = 50 };

enum {
	CONTROL_SO_PEERPIDFD = 77
}; /* SO_PEERPIDFD: Linux 6.5; the number of all but parisc, sparc */

/* What an answer is made of. */
struct control_answer {
	struct control *control;
	bool starting;
	struct control_reply reply;
	int fds[CONTROL_FDS_MAX]; /* owned; -1: none */
	struct control_order order;
	bool later, joining, porting; /* not answered now */
	bool stays;		      /* answered now, and not the end of it */
};

void control_init(struct control *control)
{
	memset(control, 0, sizeof(*control));
	control->listen_fd = -1;
	control->epoll_fd = -1;
	control->payload_fd = -1;
	control->input_fd = -1;
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		control->log_fds[i] = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
}

/* The descriptors beside an answer, or of a log: each that is there. */
void control_close_fds(int fds[CONTROL_FDS_MAX])
{
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++) {
		defs_cleanup_fd(&fds[i]);
		fds[i] = -1;
	}
}

/* ---- the socket ---- */

/**
 * Listen beside the claim of a record.
 * @record: borrowed until control_conclude()
 * @init:   process 1 of the sandbox
 *
 * Return: 0, or -errno with *err filled.
 */
int control_open(struct control *control, const struct register_entry *record, pid_t init,
		 struct sbx_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_autoclose_ int fd = -1;
	char name[LABEL_FILE_SIZE];

	register_socket_name(&record->label, name);
	/* The directory's own path may be longer than an address can be. */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
		       record->dir_fd, name);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* What it has when it gets its name. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, CONTROL_BACKLOG) < 0)
		return register_fail(record, errno, "cannot make the control socket", err);
	control->record = record;
	control->init = init;
	control->listen_fd = take_fd(&fd);
	return 0;
}

/* What the monitor polls; -1: nothing. */
int control_poll_fd(const struct control *control)
{
	return control->epoll_fd >= 0 ? control->epoll_fd : control->listen_fd;
}

/* The socket's name goes with the record (register.c). */
static void control_shut(struct control *control)
{
	close(take_fd(&control->listen_fd));
}

/* ---- answers ---- */

static void control_fill_command(struct control_facts *facts, const struct sbx_plan *plan)
{
	size_t used = 0;

	for (size_t i = 0; plan->argv[i]; i++) {
		size_t size = strlen(plan->argv[i]) + 1;

		if (size > sizeof(facts->command) - used) {
			facts->command_is_cut = 1;
			break;
		}
		memcpy(facts->command + used, plan->argv[i], size);
		used += size;
	}
	facts->command_len = (uint32_t)used;
}

/* What the monitor knows of its sandbox. @facts: zero */
void control_fill_facts(const struct control *control, bool starting, struct control_facts *facts)
{
	const struct register_entry *record = control->record;

	str_copy(facts->id, sizeof(facts->id), record->label.id);
	str_copy(facts->name, sizeof(facts->name), record->label.name);
	facts->monitor_pid = getpid();
	facts->init_pid = control->init;
	facts->starting = starting;
	facts->created_ms = record->created_ms;
	facts->network = record->plan->net.helper		   ? CONTROL_NETWORK_USER
			 : record->plan->net.share		   ? CONTROL_NETWORK_SHARED
			 : record->plan->netns_fd >= 0		   ? CONTROL_NETWORK_FD
			 : record->plan->namespaces & CLONE_NEWNET ? CONTROL_NETWORK_NONE
								   : CONTROL_NETWORK_HOST;
	facts->own_pids = record->plan->own_pid_ns;
	control_fill_command(facts, record->plan);
	if (control->publish)
		facts->n_ports = (int32_t)publish_list(control->publish, 0, facts->ports,
						       ARRAY_SIZE(facts->ports));
}

/* For who reads them: strings get their ends, whoever has written them. */
void control_check_facts(struct control_facts *facts)
{
	facts->id[sizeof(facts->id) - 1] = '\0';
	facts->name[sizeof(facts->name) - 1] = '\0';
	if (facts->command_len > sizeof(facts->command))
		facts->command_len = sizeof(facts->command);
	if (facts->command_len)
		facts->command[facts->command_len - 1] = '\0';
	if (facts->n_ports < 0 || facts->n_ports > (int32_t)ARRAY_SIZE(facts->ports))
		facts->n_ports = facts->n_ports < 0 ? 0 : (int32_t)ARRAY_SIZE(facts->ports);
}

static int control_answer_facts(struct control_answer *a, const struct control_request *request)
{
	(void)request;
	control_fill_facts(a->control, a->starting, &a->reply.facts);
	return 0;
}

static int control_answer_signal(struct control_answer *a, const struct control_request *request)
{
	if (request->number < 1 || request->number > SIGRTMAX)
		return -EINVAL;
	a->order = (struct control_order){.kind = CONTROL_ORDER_SIGNAL, .number = request->number};
	return 0;
}

static int control_answer_end(struct control_answer *a, const struct control_request *request)
{
	(void)request;
	a->order = (struct control_order){.kind = CONTROL_ORDER_END, .number = SIGKILL};
	return 0;
}

static int control_answer_wait(struct control_answer *a, const struct control_request *request)
{
	(void)request;
	a->later = true;
	return 0;
}

/* Into a file, and not to the client: who reads slowly must not hold up the monitor. */
static int control_answer_inspect(struct control_answer *a, const struct control_request *request)
{
	const struct sbx_plan *plan = a->control->record->plan;
	_autoclose_ int fd = memfd_create("sbx-inspect", MFD_CLOEXEC);
	struct sbx_err err;
	int r;

	(void)request;
	if (fd < 0)
		return -errno;
	r = explain_print_json(plan, plan->spec, fd, &err);
	if (r < 0)
		return r;
	control_fill_facts(a->control, a->starting, &a->reply.facts);
	a->fds[0] = take_fd(&fd);
	return 0;
}

/*
 * What to join, and what to become there. PID 1 has the command's pidfd; once it has told,
 * the next is answered at once.
 */
static int control_answer_join(struct control_answer *a, const struct control_request *request)
{
	struct control *control = a->control;
	int r;

	(void)request;
	if (a->starting)
		return -EAGAIN;
	if (control->payload_fd < 0) {
		a->later = a->joining = true;
		a->order.kind = CONTROL_ORDER_WHO;
		return 0;
	}
	r = pack_write(control->record->plan, &a->fds[1]);
	if (r < 0)
		return r;
	a->fds[0] = fcntl(control->payload_fd, F_DUPFD_CLOEXEC, 0);
	if (a->fds[0] < 0)
		return -errno;
	control_fill_facts(control, false, &a->reply.facts);
	return 0;
}

/* Who attaches gets the reading end's other one itself, and so holds up nobody but itself. */
static int control_answer_attach(struct control_answer *a, const struct control_request *request)
{
	struct control *control = a->control;

	(void)request;
	if (!control->record->plan->detach)
		return -EOPNOTSUPP;
	if (control->record->plan->pty && !control->has_terminal)
		return -EAGAIN;
	if (!control->last) {
		control->last = malloc(sizeof(*control->last));
		if (!control->last)
			return -ENOMEM;
	}
	if (control->input_fd >= 0) {
		a->fds[0] = fcntl(control->input_fd, F_DUPFD_CLOEXEC, 0);
		if (a->fds[0] < 0)
			return -errno;
	}
	control_fill_facts(control, a->starting, &a->reply.facts);
	a->reply.facts.has_terminal = control->has_terminal;
	a->stays = true;
	return 0;
}

static int control_answer_close_input(struct control_answer *a,
				      const struct control_request *request)
{
	(void)request;
	a->order.kind = CONTROL_ORDER_CLOSE_INPUT;
	return 0;
}

/* One change at a time; launch_helpers.c says when it is done. */
static int control_answer_port(struct control_answer *a, const struct control_request *request)
{
	if (a->starting)
		return -EAGAIN;
	if (!a->control->publish || !a->control->record->plan->net.helper)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (a->control->clients[i].porting)
			return -EBUSY;
	a->later = a->porting = true;
	a->order.kind = request->type == CONTROL_PORT_ADD ? CONTROL_ORDER_PORT_ADD
							  : CONTROL_ORDER_PORT_REMOVE;
	a->order.port = request->port;
	return 0;
}

static int (*const control_answers[CONTROL_TYPE_COUNT_])(struct control_answer *a,
							 const struct control_request *request) = {
	[CONTROL_FACTS] = control_answer_facts,
	[CONTROL_SIGNAL] = control_answer_signal,
	[CONTROL_END] = control_answer_end,
	[CONTROL_WAIT] = control_answer_wait,
	[CONTROL_INSPECT] = control_answer_inspect,
	[CONTROL_JOIN] = control_answer_join,
	[CONTROL_ATTACH] = control_answer_attach,
	[CONTROL_CLOSE_INPUT] = control_answer_close_input,
	[CONTROL_PORT_ADD] = control_answer_port,
	[CONTROL_PORT_REMOVE] = control_answer_port,
};

/* Room for the descriptors beside an answer. */
union control_ancillary {
	char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct cmsghdr head;
};

/* Whether it arrives is the client's business. */
static void control_send(int fd, const struct control_reply *reply, const int *fds)
{
	struct iovec data = {.iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply)};
	struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};
	union control_ancillary ancillary = {.bytes = {0}};
	size_t n = 0;

	while (n < CONTROL_FDS_MAX && fds && fds[n] >= 0)
		n++;
	if (n > 0) {
		ancillary.head.cmsg_level = SOL_SOCKET;
		ancillary.head.cmsg_type = SCM_RIGHTS;
		ancillary.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&ancillary.head), fds, n * sizeof(int));
		msg.msg_control = &ancillary;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void control_refuse(int fd, int result)
{
	const struct control_reply reply = {.version = CONTROL_VERSION, .result = result};

	control_send(fd, &reply, NULL);
}

/* ---- clients ---- */

static void control_drop(struct control_client *client)
{
	defs_cleanup_fd(&client->fd);
	*client = (struct control_client){.fd = -1};
}

/* Is a process in the user namespace of this one? What cannot be looked at is not. */
bool control_is_same_user_ns(pid_t pid)
{
	struct stat own, other;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	return stat("/proc/self/ns/user", &own) == 0 && stat(path, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/*
 * Is the process that connected still there, and so its number not another's? A monitor
 * that was stopped may look long after that. Before Linux 6.5 nobody can tell.
 */
static bool control_peer_lives(int fd)
{
	_autoclose_ int pidfd = -1;
	socklen_t len = sizeof(pidfd);
	struct pollfd pfd = {.events = POLLIN};

	if (getsockopt(fd, SOL_SOCKET, CONTROL_SO_PEERPIDFD, &pidfd, &len) < 0)
		return errno == ENOPROTOOPT;
	pfd.fd = pidfd;
	return poll(&pfd, 1, 0) == 0;
}

/* The number is looked up first: while its process lives, it was that one's. */
bool control_may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid() &&
	       peer.pid > 0 && control_is_same_user_ns(peer.pid) && control_peer_lives(fd);
}

/* A place: a free one, or that of a client that has not said anything. NULL: all wait. */
static struct control_client *control_find_place(struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		size_t at = (control->next_victim + i) % CONTROL_CLIENTS_MAX;

		if (control->clients[at].waiting || control->clients[at].attached ||
		    control->clients[at].porting)
			continue;
		control->next_victim = (at + 1) % CONTROL_CLIENTS_MAX;
		control_drop(&control->clients[at]);
		return &control->clients[at];
	}
	return NULL;
}

static int control_watch(const struct control *control, int fd, uint32_t index)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = index}};

	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int control_make_epoll(struct control *control)
{
	if (control->epoll_fd >= 0)
		return 0;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll_fd < 0)
		return -errno;
	return control_watch(control, control->listen_fd, CONTROL_LISTENER);
}

static void control_accept(struct control *control)
{
	_autoclose_ int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *client;

	/* Without a descriptor to spare poll would have us try again at once, for ever. */
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		control_shut(control);
	if (fd < 0)
		return;
	if (!control_may_ask(fd)) {
		control_refuse(fd, -EPERM);
		return;
	}
	client = control_find_place(control);
	if (!client || control_make_epoll(control) < 0 ||
	    control_watch(control, fd, (uint32_t)(client - control->clients)) < 0) {
		control_refuse(fd, -EBUSY);
		return;
	}
	client->fd = take_fd(&fd);
}

static void control_conclude_client(struct control_client *client, struct control_answer *answer)
{
	control_send(client->fd, &answer->reply, answer->reply.result == 0 ? answer->fds : NULL);
	control_close_fds(answer->fds);
	control_drop(client);
}

/* A process that sent a request. Return: its pidfd, owned by the caller; or -1. */
static int control_open_peer(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer), pidfd_len = sizeof(int);
	int pidfd;

	if (getsockopt(fd, SOL_SOCKET, CONTROL_SO_PEERPIDFD, &pidfd, &pidfd_len) == 0)
		return pidfd;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? -1
									: sys_pidfd_open(peer.pid);
}

/* Remember who joins, in the place of one that has ended if there is one. */
static void control_note_joined(struct control *control, int fd)
{
	_autoclose_ int pidfd = control_open_peer(fd);
	int *grown;

	for (size_t i = 0; i < control->n_joined && pidfd >= 0; i++) {
		struct pollfd pfd = {.fd = control->joined[i], .events = POLLIN};

		if (poll(&pfd, 1, 0) != 1)
			continue;
		close(control->joined[i]);
		control->joined[i] = take_fd(&pidfd);
	}
	grown = pidfd < 0 ? NULL
			  : reallocarray(control->joined, control->n_joined + 1, sizeof(*grown));
	if (!grown)
		return;
	control->joined = grown;
	control->joined[control->n_joined++] = take_fd(&pidfd);
}

/*
 * The sandbox ends, and its process 1 does not before all in it are waited for: also by who has
 * joined from outside, and may have been stopped by its shell.
 */
void control_continue_joined(const struct control *control)
{
	for (size_t i = 0; i < control->n_joined; i++)
		(void)sys_pidfd_send_signal(control->joined[i], SIGCONT);
}

/* A request, or the end of a client. */
static void control_hear(struct control *control, struct control_client *client, bool starting,
			 struct control_order *ret_order)
{
	struct control_answer answer = {.control = control, .starting = starting, .fds = {-1, -1}};
	struct control_request request;
	ssize_t n = recv(client->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* One request is all there is: what comes from one that waits is its end. */
	if (n <= 0 || client->waiting || client->joining || client->attached || client->porting) {
		control_drop(client);
		return;
	}
	answer.reply.version = CONTROL_VERSION;
	if (n != (ssize_t)sizeof(request) || request.version != CONTROL_VERSION ||
	    request.type >= CONTROL_TYPE_COUNT_)
		answer.reply.result = -EPROTO;
	else
		answer.reply.result = control_answers[request.type](&answer, &request);
	if (answer.reply.result == 0 && answer.later) {
		client->waiting = !answer.joining && !answer.porting;
		client->joining = answer.joining;
		client->porting = answer.porting;
		*ret_order = answer.order;
		return;
	}
	if (answer.reply.result == 0 && request.type == CONTROL_JOIN)
		control_note_joined(control, client->fd);
	*ret_order = answer.order;
	if (answer.reply.result < 0 || !answer.stays) {
		control_conclude_client(client, &answer);
		return;
	}
	control_send(client->fd, &answer.reply, answer.fds);
	control_close_fds(answer.fds);
	client->attached = true;
}

/**
 * PID 1 has told who the command is: whoever wants to join it is answered.
 * @payload_fd: taken; a pidfd
 */
void control_give_payload(struct control *control, int *payload_fd)
{
	const struct control_request request = {.version = CONTROL_VERSION, .type = CONTROL_JOIN};

	defs_cleanup_fd(&control->payload_fd);
	control->payload_fd = take_fd(payload_fd);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_answer answer = {.control = control, .fds = {-1, -1}};

		if (!control->clients[i].joining)
			continue;
		answer.reply.version = CONTROL_VERSION;
		answer.reply.result = control_answer_join(&answer, &request);
		control_note_joined(control, control->clients[i].fd);
		control_conclude_client(&control->clients[i], &answer);
	}
}

/**
 * What was asked for about ports is done, or failed: whoever has asked is answered.
 * @result: as it was when it began, or as publish->result
 */
void control_give_ports(struct control *control, bool starting, int result)
{
	const struct publish *publish = control->publish;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_answer answer = {.control = control, .fds = {-1, -1}};
		struct control_facts *facts = &answer.reply.facts;

		if (!control->clients[i].porting)
			continue;
		answer.reply.version = CONTROL_VERSION;
		answer.reply.result = result;
		answer.reply.port = publish->now;
		answer.reply.port_helper = publish->helper;
		if (result == 0) {
			control_fill_facts(control, starting, facts);
			facts->n_ports = (int32_t)publish_list(
				publish, publish->n_before, facts->ports, ARRAY_SIZE(facts->ports));
		}
		control_conclude_client(&control->clients[i], &answer);
	}
}

/* ---- who is attached ---- */

/* Return: false: there is no room for it now, and it is to be told when there is. */
static bool control_pass_last(struct control *control, struct control_client *client)
{
	ssize_t n = send(client->fd, control->last, CONTROL_OUTPUT_HEAD + control->last_len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	bool behind = n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
	struct epoll_event event = {.events = EPOLLIN | (behind ? EPOLLOUT : 0),
				    .data = {.u32 = (uint32_t)(client - control->clients)}};

	/* One that has gone is seen by its end of file. */
	if (behind != client->behind)
		(void)epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
	client->behind = behind;
	return !behind;
}

/*
 * Has everybody who is attached got all that was printed? Until then nothing more is to be
 * read from the command, which waits as it would for a terminal or a pipe.
 */
bool control_is_heard(const struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].behind)
			return false;
	return true;
}

/**
 * The command has printed something: to those who are attached.
 * @len: at most CONTROL_OUTPUT_MAX; to be called only while control_is_heard()
 */
void control_print(struct control *control, bool is_error, const char *data, size_t len)
{
	if (!control->last)
		return;
	control->last->stream = is_error ? CONTROL_STREAM_ERR : CONTROL_STREAM_OUT;
	memcpy(control->last->data, data, len);
	control->last_len = len;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].attached)
			(void)control_pass_last(control, &control->clients[i]);
}

/* At the end: wait until they have it; who does not read for a while is let go. */
void control_await_readers(struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];
		struct pollfd pfd = {.fd = client->fd, .events = POLLOUT};

		while (client->behind) {
			if (poll(&pfd, 1, CONTROL_READER_MS) != 1 || (pfd.revents & POLLHUP))
				control_drop(client);
			else
				(void)control_pass_last(control, client);
		}
	}
}

/**
 * Attend to one client. To be called when control_poll_fd() is readable.
 * @starting:  the command cannot have begun yet
 * @ret_order: what the monitor is to do now
 */
void control_turn(struct control *control, bool starting, struct control_order *ret_order)
{
	struct epoll_event event = {.data = {.u32 = CONTROL_LISTENER}};

	*ret_order = (struct control_order){.kind = CONTROL_ORDER_NONE};
	if (control->epoll_fd >= 0 && epoll_wait(control->epoll_fd, &event, 1, 0) != 1)
		return;
	if (event.data.u32 >= CONTROL_CLIENTS_MAX)
		control_accept(control);
	else if (event.events == EPOLLOUT)
		(void)control_pass_last(control, &control->clients[event.data.u32]);
	else if (control->clients[event.data.u32].fd >= 0)
		control_hear(control, &control->clients[event.data.u32], starting, ret_order);
}

/* Has somebody connected who is about to ask? */
static bool control_has_silent(const struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &control->clients[i];

		if (client->fd >= 0 && !client->waiting && !client->attached && !client->joining &&
		    !client->porting)
			return true;
	}
	return false;
}

/*
 * Nobody new can ask; to be called before the record goes. Who has connected until now is
 * heard, so that a wait that began before the end is one that is answered.
 */
void control_close(struct control *control)
{
	struct control_order ignored;

	for (int i = 0; control->listen_fd >= 0 && i < 2 * CONTROL_CLIENTS_MAX; i++) {
		struct pollfd pfd = {.fd = control_poll_fd(control), .events = POLLIN};

		if (poll(&pfd, 1, control_has_silent(control) ? CONTROL_SILENT_MS : 0) != 1)
			break;
		control_turn(control, false, &ignored);
	}
	if (control->listen_fd >= 0)
		control_shut(control);
}

/**
 * The log is about to go: who follows it is to have its end.
 * @log_fds: taken
 */
void control_keep_log(struct control *control, int log_fds[CONTROL_FDS_MAX])
{
	control_close_fds(control->log_fds);
	for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
		control->log_fds[i] = take_fd(&log_fds[i]);
}

/**
 * All is over, and nothing of the sandbox is left: tell those who wait for that.
 * @exit_code: -1: of this try, and there is another
 */
void control_conclude(struct control *control, int exit_code)
{
	control_await_readers(control);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];
		struct pollfd pfd = {.fd = client->fd, .events = POLLOUT};
		const struct control_reply reply = {.version = CONTROL_VERSION,
						    .facts = {.exit_code = exit_code}};

		/* Behind output there may be no room for it yet. */
		if (client->attached && exit_code >= 0)
			(void)poll(&pfd, 1, CONTROL_READER_MS);
		if ((client->waiting || client->attached) && exit_code >= 0)
			control_send(client->fd, &reply, client->waiting ? control->log_fds : NULL);
		control_drop(client);
	}
	defs_cleanup_fd(&control->epoll_fd);
	defs_cleanup_fd(&control->payload_fd);
	control_close_fds(control->log_fds);
	for (size_t i = 0; i < control->n_joined; i++)
		close(control->joined[i]);
	free(control->joined);
	free(control->last);
	control_init(control);
}
