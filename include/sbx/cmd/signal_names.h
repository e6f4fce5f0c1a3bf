/* SPDX-License-Identifier: MIT */
/* signal_names: signals as people write them. Runs in: the caller's process, the build. */
#pragma once

#include <stddef.h>

int signal_from_name(const char *name);
const char *signal_name_at(size_t index);
