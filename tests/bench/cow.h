/* SPDX-License-Identifier: MIT */
/* cow: what layers cost, and what the verbs about them do beside diff(1), cp(1) and rsync(1). */
#pragma once

#include <stddef.h>

#include "commands.h"

void cow_bench_run(const struct programs *programs, size_t rounds);
void cow_bench_verbs(const struct programs *programs, size_t rounds);
void cow_bench_memory(const struct programs *programs);
