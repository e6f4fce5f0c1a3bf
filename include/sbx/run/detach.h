/* SPDX-License-Identifier: MIT */
/*
 * detach: a sandbox that nobody waits for (--detach): its output goes to a log, and whoever
 * started it is told when its command has been executed.
 * Runs in: the monitor.
 */
#pragma once

#include <poll.h>

#include "sbx/run/context.h"
#include "sbx/run/control.h"
#include "sbx/run/log.h"
#include "sbx/run/register.h"

enum { DETACH_SOURCES = 5 };

/* What the starter is told, once, in one packet. */
struct detach_news {
	uint32_t started; /* else err says why not */
	char id[LABEL_ID_LEN + 1];
	struct sbx_err err;
};

struct detach {
	int read_fds[DETACH_SOURCES];  /* owned; standard output and error, the master of the
					  command's  terminal, what sbx says, the sign of the
					  start */
	int write_fds[DETACH_SOURCES]; /* owned; their other ends, until PID 1 has them; that of
					  what sbx says stays, and is -1 with its reading end */
	int stdin_fd; /* owned; the command's standard input, until PID 1 has it; -1: it has none */
	int input_fd; /* owned; its other end */
	struct control *control; /* borrowed, always there; whom else to tell what was printed */
	int notify_fd;		 /* borrowed; where to tell; -1: told, or nobody listens */
	int null_fd;		 /* owned */
	bool in_line;		 /* standard error, or the terminal, is behind half a line */
	struct log log;
};

void detach_init(struct detach *detach);
int detach_open(struct detach *detach, const struct sbx_plan *plan, int notify_fd,
		struct sbx_err *err);
void detach_begin_terminal(struct pty_start *ret_start);
void detach_become_child(struct detach *detach);
int detach_begin(struct detach *detach, const struct register_entry *record, struct sbx_err *err);
int detach_take_terminal(struct detach *detach, int *master_fd, struct sbx_err *err);
void detach_close_input(struct detach *detach);
void detach_fill_poll(const struct detach *detach, struct pollfd pfds[DETACH_SOURCES]);
bool detach_turn(struct detach *detach, const struct pollfd pfds[DETACH_SOURCES]);
void detach_tell_start(struct detach *detach, const struct label *label);
void detach_drain(struct detach *detach);
bool detach_is_told(const struct detach *detach);
void detach_drain_words(struct detach *detach);
void detach_finish(struct detach *detach);
