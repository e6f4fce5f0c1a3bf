/* SPDX-License-Identifier: MIT */
/*
 * desk: a place that is to sbx what a user's session is, with a runtime directory of its
 * own at /run/user/UID and a home that nobody else writes to: an outer sandbox. The script
 * finds sbx as $S, the program beside it that reads profiles as $READER, and functions:
 *
 *     box ARG...   sbx with /usr
 *     $D           where filters are kept
 */
#pragma once

#include "testlib.h"

struct run_result desk_run(const char *size, const char *script);
/* By root of the outer sandbox, with all ids of the caller's range: such as can give files away. */
struct run_result desk_run_as_root(const char *script);
void desk_need(void);
