/* SPDX-License-Identifier: MIT */
/*
 * cow: what the verbs about copy-on-write sessions share. Runs in: the caller's process.
 */
#pragma once

#include "sbx/base/sink.h"
#include "sbx/cmd/words.h"
#include "sbx/cow/session.h"
#include "sbx/cow/tell.h"

struct cow_cmd {
	struct arena arena;
	struct cmd_words words;
	const char *base; /* where sessions with names are */
	struct cow_session session;
};

#define _autocow_ __attribute__((cleanup(cow_cmd_finish)))

/* One of the sessions that are there. */
struct cow_found {
	const char *name;
	const char *paths; /* for people: the first of its directories, and how many more */
	struct timespec used;
	bool applied; /* nothing has come to it since */
	bool damaged; /* nothing can be said of it */
};

struct cow_list {
	struct cow_found *found; /* the one used last comes first */
	size_t n;
};

int cow_cmd_begin(int argc, char **argv, struct cow_cmd *cow, struct sbx_err *err);
void cow_cmd_finish(struct cow_cmd *cow);
int cow_cmd_list(struct cow_cmd *cow, struct cow_list *ret_list, struct sbx_err *err);
int cow_cmd_open(struct cow_cmd *cow, const char *name, enum cow_lock lock, struct cow_session *ret,
		 struct sbx_err *err);
int cow_cmd_choose(struct cow_cmd *cow, bool newest, enum cow_lock lock, struct sbx_err *err);
int cow_cmd_check_applied(const struct cow_session *session, struct sbx_err *err);
bool cow_cmd_remove_begun(struct cow_cmd *cow);
void cow_cmd_put_path(struct str_buf *out, const struct cow_session *session, size_t root,
		      const char *path);
