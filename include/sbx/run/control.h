/* SPDX-License-Identifier: MIT */
/*
 * control: the socket by which other sbx commands ask the monitor of a running sandbox.
 *
 * One connection is one request and one answer, each a packet of one size on a
 * SOCK_SEQPACKET socket. Who may ask: a process of the caller's uid, in the monitor's own
 * user namespace; nothing in a sandbox is.
 *
 *     request   number    answer
 *     FACTS     -         at once: struct control_facts
 *     SIGNAL    a signal  at once; it goes to the command
 *     END       -         at once; then everything in the sandbox is killed
 *     WAIT      -         when the sandbox has ended: its exit code, and the files of its log
 *                         where it had one (the newer first), which have no names any more
 *     INSPECT   -         at once, beside it a file with the plan as JSON
 *     ATTACH    -         at once, beside it what the command reads from, where that is open; then
 *                         what it prints, in packets (struct control_output), and at the end
 *                         its exit code
 *     CLOSE_INPUT -       at once; what the command reads from has an end
 *     PORT_ADD, PORT_REMOVE: a port, or several in a row; when that is done: those that were
 *                         added; or -errno, and which one it was about
 *     JOIN      -         when PID 1 has told: a pidfd of the command, and a file with the
 *                         privileges to take on (pack.h)
 *
 * Runs in: the monitor; the structures are shared with those who ask (box/).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sbx/run/publish.h"
#include "sbx/run/register.h"

enum {
	CONTROL_VERSION = 3,
	CONTROL_CLIENTS_MAX = 32,
	CONTROL_COMMAND_MAX = 1024,
	CONTROL_FDS_MAX = 2, /* beside an answer */
	CONTROL_OUTPUT_MAX = 16384,
};

enum control_type {
	CONTROL_FACTS,
	CONTROL_SIGNAL,
	CONTROL_END,
	CONTROL_WAIT,
	CONTROL_INSPECT,
	CONTROL_JOIN,
	CONTROL_ATTACH,
	CONTROL_CLOSE_INPUT,
	CONTROL_PORT_ADD,
	CONTROL_PORT_REMOVE,
	CONTROL_TYPE_COUNT_,
};

struct control_request {
	uint32_t version;
	uint32_t type;	       /* enum control_type */
	int32_t number;	       /* 0 where the type has none */
	struct plan_port port; /* likewise */
};

/* Which network a sandbox has. */
enum control_network {
	CONTROL_NETWORK_HOST,
	CONTROL_NETWORK_NONE,
	CONTROL_NETWORK_USER,
	CONTROL_NETWORK_SHARED,
	CONTROL_NETWORK_FD,
};

/* What a monitor knows of its sandbox. Strings end with a NUL. */
struct control_facts {
	char id[16], name[64];
	int32_t monitor_pid, init_pid;
	int32_t starting;     /* the command cannot have begun yet */
	int32_t exit_code;    /* with WAIT */
	int64_t created_ms;   /* since 1970 */
	int32_t network;      /* enum control_network */
	int32_t own_pids;     /* likewise, of pids */
	int32_t has_terminal; /* with ATTACH: the command is on a terminal of the sandbox's own */
	int32_t n_ports;      /* published; more than there is room for are not told */
	struct plan_port ports[PLAN_PORT_RUNS_MAX]; /* with PORT_ADD: those that were added */
	int32_t command_is_cut;
	uint32_t command_len;
	char command[CONTROL_COMMAND_MAX]; /* its words, each with a NUL behind */
};

struct control_reply {
	uint32_t version;
	int32_t result;	       /* 0, or -errno: then the rest is zero, but for ... */
	struct plan_port port; /* ... the one that a request about ports failed at, and ... */
	int32_t port_helper;   /* ... the process that does not answer (-ETIMEDOUT, -EALREADY) */
	struct control_facts facts;
};

/* To who is attached: some of what the command has printed. */
struct control_output {
	uint32_t stream; /* enum control_stream; no version of a reply */
	char data[CONTROL_OUTPUT_MAX];
};

enum { CONTROL_OUTPUT_HEAD = offsetof(struct control_output, data) };

enum control_stream { CONTROL_STREAM_OUT = 0x6f7574, CONTROL_STREAM_ERR = 0x657272 };

/* What a request has the monitor do beside answering. */
struct control_order {
	enum {
		CONTROL_ORDER_NONE,
		CONTROL_ORDER_SIGNAL,
		CONTROL_ORDER_END,
		CONTROL_ORDER_WHO,
		CONTROL_ORDER_CLOSE_INPUT,
		CONTROL_ORDER_PORT_ADD,
		CONTROL_ORDER_PORT_REMOVE
	} kind;
	int number;
	struct plan_port port;
};

struct control_client {
	int fd;	       /* owned; -1: free */
	bool waiting;  /* for the end */
	bool joining;  /* for a pidfd of the command */
	bool porting;  /* for what becomes of a port */
	bool attached; /* it gets what the command prints */
	bool behind;   /* attached, and has not got the last of it yet */
};

struct control {
	const struct register_entry *record; /* borrowed */
	const struct publish *publish;	     /* borrowed; NULL: nothing is published */
	int listen_fd;			     /* owned; -1: nobody can ask */
	int epoll_fd;			     /* owned; -1: nobody has asked yet */
	pid_t init;
	int log_fds[CONTROL_FDS_MAX]; /* owned; of the log, for who waited; -1: none */
	int payload_fd; /* owned; a pidfd of the command; -1: PID 1 has not been asked yet */
	struct control_client clients[CONTROL_CLIENTS_MAX];
	int input_fd;		     /* borrowed; what the command reads from; -1: nothing */
	bool has_terminal;	     /* and it is the master of its terminal */
	struct control_output *last; /* owned; what was printed last; NULL: nobody has attached */
	size_t last_len;
	int *joined; /* owned; pidfds of those who were told how to join, and may have ended */
	size_t n_joined;
	size_t next_victim; /* where the search for one that only sits there begins */
};

void control_init(struct control *control);
int control_open(struct control *control, const struct register_entry *record, pid_t init,
		 struct sbx_err *err);
int control_poll_fd(const struct control *control);
void control_turn(struct control *control, bool starting, struct control_order *ret_order);
void control_continue_joined(const struct control *control);
void control_give_payload(struct control *control, int *payload_fd);
void control_give_ports(struct control *control, bool starting, int result);
void control_keep_log(struct control *control, int log_fds[CONTROL_FDS_MAX]);
void control_close(struct control *control);
void control_conclude(struct control *control, int exit_code);
void control_fill_facts(const struct control *control, bool starting, struct control_facts *facts);
void control_check_facts(struct control_facts *facts);
bool control_is_heard(const struct control *control);
void control_print(struct control *control, bool is_error, const char *data, size_t len);
void control_await_readers(struct control *control);
void control_close_fds(int fds[CONTROL_FDS_MAX]);
bool control_may_ask(int fd);
bool control_is_same_user_ns(pid_t pid);
