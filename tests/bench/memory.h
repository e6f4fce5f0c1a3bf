/* SPDX-License-Identifier: MIT */
/*
 * memory: what the two processes that wait beside the command (the launcher
 * and PID 1) hold in memory meanwhile.
 */
#pragma once

#include "commands.h"
#include "user.h"

void memory_bench(const struct programs *programs, const struct bench_user *user);
