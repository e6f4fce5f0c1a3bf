/* SPDX-License-Identifier: MIT */
/*
 * boxes: what running sandboxes cost: the record in a launch, a list of many, and entering
 * one beside nsenter(1).
 */
#pragma once

#include "commands.h"

void boxes_bench_record(const struct programs *programs, size_t rounds);
void boxes_bench_ps(const struct programs *programs, size_t rounds);
void boxes_bench_exec(const struct programs *programs, size_t rounds);
