/* SPDX-License-Identifier: MIT */
/*
 * profile: where the time of a launch goes. The bare program's steps by its own
 * clock, then the system calls of sbx beside those of the bare program as
 * strace sees them, and the page faults of both.
 */
#pragma once

#include "commands.h"

void profile_bench(const struct programs *programs);
