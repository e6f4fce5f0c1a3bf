/* SPDX-License-Identifier: MIT */
/*
 * prefault: have pages mapped in one call that would otherwise be faulted in one
 * by one. Runs in: the monitor and PID 1.
 */
#pragma once

#include <stddef.h>

void prefault_program(void);
void prefault_stack(size_t below, size_t above);
