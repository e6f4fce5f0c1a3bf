/* SPDX-License-Identifier: MIT */
/*
 * pack: what a process takes on that joins a running sandbox, as a file: the steps that
 * made the sandbox's own command what it is, its environment, its working directories.
 * The monitor writes it, from its plan; who joins makes a plan of it, and is launched by
 * that.
 * Runs in: the monitor (write), the caller's process of a verb (read).
 */
#pragma once

#include "sbx/spec/plan.h"

int pack_write(const struct sbx_plan *plan, int *ret_fd);
int pack_read(int fd, struct sbx_plan *plan, struct sbx_err *err);
