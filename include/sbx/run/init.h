/* SPDX-License-Identifier: MIT */
/* init: PID 1 of the sandbox, from its birth to its end. */
#pragma once

#include <stdnoreturn.h>

#include "sbx/run/context.h"
#include "sbx/run/handshake.h"
#include "sbx/run/launch.h"

noreturn void init_main(struct run_context *ctx, struct launch_title title, int sock_fd);
uint64_t init_late_namespaces(const struct sbx_plan *plan);
int init_await(const struct run_context *ctx, enum handshake_state state, enum handshake_type type,
	       struct sbx_err *err);
int init_await_fd(const struct run_context *ctx, enum handshake_state state,
		  enum handshake_type type, int *ret_fd, struct sbx_err *err);
int init_await_number(const struct run_context *ctx, enum handshake_state state,
		      enum handshake_type type, int32_t *ret_number, struct sbx_err *err);
