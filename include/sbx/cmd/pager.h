/* SPDX-License-Identifier: MIT */
/*
 * pager: long output on a terminal, as git does it. Runs in: the caller's process.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "sbx/base/err.h"

struct pager {
	pid_t pid; /* 0: none */
	int saved_fd;
	struct sigaction interrupt, quit; /* as they were */
};

void pager_start(struct pager *pager);
int pager_finish(struct pager *pager, struct sbx_err *err);
bool pager_has_colour(void);
