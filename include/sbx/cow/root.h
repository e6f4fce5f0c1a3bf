/* SPDX-License-Identifier: MIT */
/*
 * root: which directory the root of a session is, so that another that has its path by now is not
 * taken for it. Runs in: the caller's process.
 */
#pragma once

#include "sbx/cow/session.h"

int cow_root_identify(int fd, struct cow_root *root);
bool cow_root_is_same(const struct cow_root *recorded, const struct cow_root *now);
int cow_root_check(const struct cow_root *recorded, int fd);
