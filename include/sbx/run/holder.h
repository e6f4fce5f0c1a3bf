/* SPDX-License-Identifier: MIT */
/*
 * holder: the process that holds a network which sandboxes share.
 * Runs in: itself; share.c starts it.
 */
#pragma once

#include <signal.h>
#include <stdnoreturn.h>

#include "sbx/run/launch.h"
#include "sbx/spec/plan.h"

struct holder_start {
	const struct sbx_plan *plan; /* of who came first */
	const sigset_t *sigmask;     /* for helpers */
	struct launch_title title;
	int dir_fd, lock_fd, listen_fd; /* owned by the process */
	int client_fd;			/* of who starts it; closed there */
};

noreturn void holder_main(const struct holder_start *start);
