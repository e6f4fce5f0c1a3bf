/* SPDX-License-Identifier: MIT */
/*
 * limits: what limits cost a launch: those of a delegated cgroup, where this program is
 * started in one of its own (systemd-run --user --scope -p Delegate=yes), else those of a
 * scope that systemd makes.
 */
#pragma once

#include "commands.h"

void limits_bench(const struct programs *programs, size_t rounds);
