/* SPDX-License-Identifier: MIT */
/* payload: the process that becomes the command. */
#pragma once

#include <stdnoreturn.h>

#include "sbx/run/context.h"

int payload_restore(struct run_context *ctx, struct sbx_err *err);
noreturn void payload_main(struct run_context *ctx, int sock_fd, int gate_fd);
