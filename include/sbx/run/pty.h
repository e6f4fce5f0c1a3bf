/* SPDX-License-Identifier: MIT */
/*
 * pty: the sandbox's own terminal (--pty), as PID 1 makes it and the payload gets
 * it. Its other end is the monitor's, see relay.h. Runs in: PID 1 and the payload.
 */
#pragma once

#include "sbx/run/context.h"
#include "sbx/run/handshake.h"

int pty_make_devpts(int *ret_fd, struct sbx_err *err);
int pty_open(struct run_context *ctx, int pts_fd, struct sbx_err *err);
void pty_set_foreground(const struct run_context *ctx, pid_t payload,
			enum handshake_foreground foreground);
