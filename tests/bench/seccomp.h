/* SPDX-License-Identifier: MIT */
/* seccomp: what a launch with a seccomp profile costs, its filter kept or made anew. */
#pragma once

#include <stddef.h>

#include "commands.h"
#include "user.h"

void seccomp_bench(const struct programs *programs, const struct bench_user *user, size_t rounds);
