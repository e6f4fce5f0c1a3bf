/* SPDX-License-Identifier: MIT */
/*
 * relay: carry bytes between the caller's terminal and the sandbox's own (--pty),
 * and leave the caller's as it was. Runs in: the monitor.
 */
#pragma once

#include <poll.h>

#include "sbx/run/context.h"

struct relay; /* NULL: no relay; what is called in every launch takes that */

int relay_open(const struct sbx_plan *plan, struct relay **ret_relay, struct pty_start *ret_start,
	       struct sbx_err *err);
void relay_close(struct relay *relay);
int relay_terminal_fd(const struct relay *relay);

bool relay_is_running(const struct relay *relay);
int relay_start(struct relay *relay, int *master_fd, struct sbx_err *err);
void relay_fill_poll(const struct relay *relay, struct pollfd *terminal, struct pollfd *master);
int relay_turn(struct relay *relay, const struct pollfd *terminal, const struct pollfd *master);
bool relay_drain(struct relay *relay);

bool relay_is_in_foreground(const struct relay *relay);
bool relay_take_terminal(struct relay *relay);
void relay_release_terminal(struct relay *relay);
bool relay_wants_terminal(const struct relay *relay);
void relay_pass_size(struct relay *relay);
