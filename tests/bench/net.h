/* SPDX-License-Identifier: MIT */
/*
 * net: what --net=user costs beside slirp4netns started by hand with the same options: until
 * the network answers, and while it carries.
 */
#pragma once

#include "commands.h"

void net_bench_start(const struct programs *programs, size_t rounds);
void net_bench_throughput(const struct programs *programs);
