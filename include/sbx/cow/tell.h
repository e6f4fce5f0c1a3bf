/* SPDX-License-Identifier: MIT */
/*
 * tell: changes as text. Runs in: the caller's process.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/cow/walk.h"

enum { COW_CHANGE_NAMES = 8 }; /* kinds: enum cow_change */

struct cow_counts {
	uint64_t added, changed, removed;
};

bool cow_is_told(const struct cow_entry *entry);
void cow_count(const struct cow_entry *entry, struct cow_counts *counts);
int cow_count_all(const struct cow_session *session, struct cow_counts *ret_counts,
		  struct sbx_err *err);
void cow_describe_counts(const struct cow_counts *counts, struct str_buf *out);
char cow_change_letter(const struct cow_entry *entry);
void cow_name_changes(const struct cow_entry *entry, const char *ret_names[COW_CHANGE_NAMES + 1]);
void cow_describe_changes(const struct cow_entry *entry, struct str_buf *out);
const char *cow_type_name(mode_t mode);
void cow_tell_clock(const struct cow_session *session);
int cow_check_clock(const struct cow_session *session, struct sbx_err *err);
void cow_tell_changes(struct cow_session *session, bool tells_none, struct str_buf *note);
