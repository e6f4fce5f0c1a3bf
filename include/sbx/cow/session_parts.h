/* SPDX-License-Identifier: MIT */
/*
 * session_parts: what session.c and session_begin.c share: the record, the lock, and what is said
 * where the one or the other is not to be had.
 */
#pragma once

#include "sbx/cow/session.h"

/* There while what was changed is being removed: see session.h. */
#define COW_EMPTYING "emptying"

int cow_meta_write(const struct cow_session *s, const struct cow_wanted *wanted,
		   struct arena *arena, struct sbx_err *err);

int cow_session_lock(struct cow_session *s, bool reads, bool *ret_busy, struct sbx_err *err);
int cow_session_has_lock(const struct cow_session *s);
int cow_session_refuse_busy(const struct cow_session *s, struct sbx_err *err);
int cow_session_is_root(int dir_fd, const char *name);
int cow_session_refuse_open(const char *dir, const char *id, int number, struct sbx_err *err);
int cow_session_remove_roots(const struct cow_session *session);
int cow_session_refuse_removal(const struct cow_session *session, int number, struct sbx_err *err);
int cow_session_refuse_root(const struct cow_session *session, const char *path, int number,
			    struct sbx_err *err);
