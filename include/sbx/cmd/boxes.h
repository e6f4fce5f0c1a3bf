/* SPDX-License-Identifier: MIT */
/*
 * boxes: what the verbs about running sandboxes share. Runs in: the caller's process.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/box/ask.h"
#include "sbx/box/box.h"
#include "sbx/box/procs.h"
#include "sbx/cmd/words.h"
#include "sbx/spec/plan.h"

/* Where to look, and the memory of what was found. */
struct boxes {
	struct sbx_plan plan; /* no plan, but its arena and directories */
	struct arena *arena;  /* the plan's */
	const char *const *dirs;
};

#define _autoboxes_ __attribute__((cleanup(boxes_finish)))

int boxes_init(struct boxes *boxes, struct sbx_err *err);
int boxes_begin(int argc, char **argv, struct boxes *boxes, struct cmd_words *words,
		struct sbx_err *err);
void boxes_finish(struct boxes *boxes);
int boxes_choose(struct boxes *boxes, const struct cmd_words *words, enum box_kind kind,
		 struct box_list *ret_list, struct sbx_err *err);
int boxes_signal(const struct box *box, int sig, struct sbx_err *err);
int boxes_signal_all(const struct box_list *list, int sig, bool may_have_ended,
		     struct sbx_err *err);
bool boxes_await_end(const struct ask *ask, int timeout_ms);
void boxes_add_command(struct str_buf *out, const char *words, size_t len, bool is_cut);
int boxes_find_procs(const struct control_facts *facts, struct arena *arena,
		     struct procs *ret_procs, struct sbx_err *err);
struct json_out;
const char *boxes_network(const struct control_facts *facts);
void boxes_add_ports(struct str_buf *out, const struct control_facts *facts);
void boxes_json_command(struct json_out *json, const char *words, size_t len);
int boxes_write(const struct str_buf *text, struct sbx_err *err);
