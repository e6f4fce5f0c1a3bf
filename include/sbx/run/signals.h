/* SPDX-License-Identifier: MIT */
/* signals: which signals sbx takes for the command's. Runs in: monitor, PID 1. */
#pragma once

#include <signal.h>
#include <stdbool.h>

int signals_block(sigset_t *ret_caller_mask);
int signals_open(int *ret_fd, bool starting, bool children);
void signals_add_stops(sigset_t *mask);
bool signals_end_a_process(int sig);
bool signals_stop_a_process(int sig);
int signals_find_end(void);
