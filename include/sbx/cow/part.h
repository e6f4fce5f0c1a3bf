/* SPDX-License-Identifier: MIT */
/*
 * part: what is said and done where one of a session's directories is not what it was: above all
 * mounts below another that have gone, or come. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sbx/base/err.h"
#include "sbx/cow/session.h"

const char *cow_part_name(const struct cow_session *session, const char *path);
bool cow_part_is_unchanged(const struct cow_session *session, size_t root);
void cow_part_hint(const struct cow_session *session, const char *path, struct sbx_err *err);
int cow_part_refuse_covered(const struct cow_session *session, size_t root, const char *path,
			    struct sbx_err *err);
