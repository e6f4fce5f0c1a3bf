/* SPDX-License-Identifier: MIT */
/*
 * handshake: the messages between the monitor and PID 1.
 *
 * They travel on a pair of SOCK_SEQPACKET sockets that exists before PID 1
 * does: each is one packet, whole or not there, and the end of either process
 * is an end of file for the other. What may come is a table per side:
 *
 *     to PID 1    waiting for its ids    MAPPED
 *                 hello                  HELLO_KNOWN, and what it may pass over
 *                 waiting for its bus    BUS_READY, and what it may pass over
 *                 waiting for layers     LAYERS_READY (a descriptor), and the same
 *                 waiting for a network  NET_READY, and the same
 *                 running                SIGNAL, STOP_KNOWN, FOREGROUND, WHO
 *     to monitor  any time               FAILED (the last word of whoever sends it)
 *                 once, before running   HELLO; BUS, NAMES, NET_API, NET, LISTENER, PTY, each
 *                                        with a descriptor
 *                 per layers step        LAYERS, LAYERS_ALONE or LAYERS_DONE, where it may use
 *                                        fuse-overlayfs
 *                 running                STOPPED, CONTINUED, EXITED; PAYLOAD (a descriptor)
 *                 from who makes a fuse-overlayfs (run/fuse.c): FUSE_LOOKS, FUSE_HELPER,
 *                                        FUSE_MOUNT, or FAILED
 *
 * Runs in: monitor, PID 1; the payload sends FAILED until it has executed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/base/err.h"

enum handshake_type {
	HANDSHAKE_MAPPED,     /* the id maps are written */
	HANDSHAKE_SIGNAL,     /* number: send this signal to the command; -n: to its group */
	HANDSHAKE_FAILED,     /* err: what went wrong */
	HANDSHAKE_STOPPED,    /* number: the signal that stopped the command */
	HANDSHAKE_CONTINUED,  /* the answer to a SIGCONT for the group: it was sent */
	HANDSHAKE_LISTENER,   /* fd: where the filter's refusals are read (--seccomp-log) */
	HANDSHAKE_STOP_KNOWN, /* the answer to STOPPED, before the monitor stops too */
	HANDSHAKE_PTY,	      /* fd: the master of the sandbox's terminal (--pty) */
	HANDSHAKE_FOREGROUND, /* number, enum handshake_foreground: who gets that terminal */
	HANDSHAKE_EXITED,     /* number: the command's exit code; PID 1 waits for what is left */
	HANDSHAKE_HELLO,      /* the namespaces are there; PID 1 waits for the answer */
	HANDSHAKE_HELLO_KNOWN,
	HANDSHAKE_BUS,	     /* fd: a directory, for the socket of a bus (--dbus-session) */
	HANDSHAKE_BUS_READY, /* it is there */
	HANDSHAKE_NET,	     /* fd: its network namespace, which is to get a network (--net=user) */
	HANDSHAKE_NET_API,   /* fd: a directory, for the socket of who makes the network */
	HANDSHAKE_NET_RULES, /* its rules are set, which NET_READY does not wait for; with a
				socket to add to them */
	HANDSHAKE_NET_READY, /* it has one; number: of one that is shared, the address in it */
	HANDSHAKE_NAMES,     /* fd: /etc/hosts, before NET: others write there (--net=NAME) */
	HANDSHAKE_WHO,	     /* who is the command? Somebody wants to join it */
	HANDSHAKE_PAYLOAD,   /* fd: a pidfd of it */
	HANDSHAKE_LAYERS,    /* number: the step; PID 1 waits for a mount of what it reads */
	HANDSHAKE_LAYERS_ALONE, /* the same, of all of it: what is written is kept there too */
	HANDSHAKE_LAYERS_READY, /* fd: that mount */
	HANDSHAKE_LAYERS_DONE,	/* number: the step; the kernel has made the mount */
	HANDSHAKE_FUSE_HELPER,	/* fd: a pidfd of fuse-overlayfs */
	HANDSHAKE_FUSE_MOUNT,	/* fd: its mount */
	HANDSHAKE_FUSE_LOOKS,	/* layers are looked through, which goes on (run/fuse_marks.c) */
	HANDSHAKE_TYPE_COUNT_,
};

/* Of the sandbox's terminal: which process group is to be its foreground. */
enum handshake_foreground {
	HANDSHAKE_FOREGROUND_NONE,    /* not the command's; another that has it keeps it */
	HANDSHAKE_FOREGROUND_IF_FREE, /* the command's, unless another has it */
	HANDSHAKE_FOREGROUND_COMMAND, /* the command's */
};

enum handshake_state {
	HANDSHAKE_INIT_UNMAPPED,
	HANDSHAKE_INIT_HELLO,
	HANDSHAKE_INIT_BUS,
	HANDSHAKE_INIT_LAYERS,
	HANDSHAKE_INIT_NET,
	HANDSHAKE_INIT_RUNNING,
	HANDSHAKE_MONITOR,
	HANDSHAKE_FUSE_MAKER,
	HANDSHAKE_STATE_COUNT_,
};

struct handshake_msg {
	uint32_t type;	    /* enum handshake_type */
	int32_t number;	    /* 0 where the type has none */
	struct sbx_err err; /* sent only with FAILED */
	int fd; /* sent beside BUS, LISTENER and others, always; owned by the receiver; -1: none */
};

/*
 * Memory that monitor, PID 1 and payload share, for who has to say that it failed when a filter
 * refuses it every call to do so. An execution ends the sharing.
 */
struct handshake_last_word {
	bool said;
	struct sbx_err err;
};

int handshake_open(int ret_fds[2]);
int handshake_open_last_word(struct handshake_last_word **ret);
bool handshake_hear_last_word(const struct handshake_last_word *word, struct sbx_err *err);
void handshake_close_last_word(struct handshake_last_word *word);
void handshake_fail(int fd, struct handshake_last_word *word, const struct sbx_err *err);
int handshake_send(int fd, enum handshake_type type, int number);
int handshake_send_fd(int fd, enum handshake_type type, int passed_fd);
int handshake_send_err(int fd, const struct sbx_err *err);
int handshake_receive(int fd, enum handshake_state state, bool wait, struct handshake_msg *ret_msg);
