/* SPDX-License-Identifier: MIT */
/*
 * ask: put a request to the monitor of a running sandbox. Runs in: the verbs.
 */
#pragma once

#include "sbx/box/box.h"
#include "sbx/run/control.h"

/* A monitor that is known to be what it claims to be, and asked. */
struct ask {
	int pidfd;   /* owned; of the monitor */
	int sock_fd; /* owned */
	pid_t monitor;
};

enum { ASK_TIMEOUT_MS = 5000, ASK_FOREVER = -1 };

#define ASK_NONE ((struct ask){.pidfd = -1, .sock_fd = -1})
#define _autoask_ __attribute__((cleanup(ask_finish)))

int ask_send(const struct box *box, enum control_type type, int number, struct ask *ret_ask,
	     struct sbx_err *err);
int ask_send_port(const struct box *box, enum control_type type, const struct plan_port *port,
		  struct ask *ret_ask, struct sbx_err *err);
int ask_receive(const struct ask *ask, int timeout_ms, struct control_reply *ret_reply,
		int ret_fds[CONTROL_FDS_MAX], struct sbx_err *err);
bool ask_is_stopped(const struct ask *ask);
void ask_finish(struct ask *ask);
int ask(const struct box *box, enum control_type type, int number, struct control_reply *ret_reply,
	int ret_fds[CONTROL_FDS_MAX], struct sbx_err *err);
