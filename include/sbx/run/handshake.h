/* SPDX-License-Identifier: MIT */
/*
 * handshake: the messages between the monitor and PID 1.
 *
 * They travel on a pair of SOCK_SEQPACKET sockets that exists before PID 1
 * does: each is one packet, whole or not there, and the end of either process
 * is an end of file for the other. What may come is a table per side:
 *
 *     to PID 1    waiting for its ids    MAPPED
 *                 running                SIGNAL, STOP_KNOWN
 *     to monitor  any time               FAILED (the last word of whoever sends it)
 *                 running                STOPPED
 *
 * Runs in: monitor, PID 1; the payload sends FAILED until it has executed.
 */
#pragma once

#include <stdint.h>

#include "sbx/base/err.h"

enum handshake_type {
	HANDSHAKE_MAPPED,     /* the id maps are written */
	HANDSHAKE_SIGNAL,     /* number: send this signal to the command */
	HANDSHAKE_FAILED,     /* err: what went wrong */
	HANDSHAKE_STOPPED,    /* number: the signal that stopped the command */
	HANDSHAKE_STOP_KNOWN, /* the answer to STOPPED, before the monitor stops too */
	HANDSHAKE_TYPE_COUNT_,
};

enum handshake_state {
	HANDSHAKE_INIT_UNMAPPED,
	HANDSHAKE_INIT_RUNNING,
	HANDSHAKE_MONITOR,
	HANDSHAKE_STATE_COUNT_,
};

struct handshake_msg {
	uint32_t type;	    /* enum handshake_type */
	int32_t number;	    /* 0 where the type has none */
	struct sbx_err err; /* sent only with FAILED */
};

int handshake_open(int ret_fds[2]);
int handshake_send(int fd, enum handshake_type type, int number);
int handshake_send_err(int fd, const struct sbx_err *err);
int handshake_receive(int fd, enum handshake_state state, bool wait, struct handshake_msg *ret_msg);
