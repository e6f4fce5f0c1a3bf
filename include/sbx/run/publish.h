/* SPDX-License-Identifier: MIT */
/*
 * publish: have slirp4netns lead ports of the host into a sandbox, at its start and later.
 * Runs in: the monitor, but for what is said to be PID 1's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

/* The name of the socket in the directory that slirp4netns is given for it. */
#define PUBLISH_SOCKET "api"

enum {
	PUBLISH_ANSWER_MAX = 512,
	PUBLISH_SILENT_MS = 10 * 1000, /* how long slirp4netns may take for an answer */
};

enum publish_act { PUBLISH_IDLE, PUBLISH_ADDING, PUBLISH_REMOVING, PUBLISH_UNDOING };

/* One port that is published. */
struct publish_item {
	struct plan_port port; /* count is 1 */
	int id;		       /* slirp4netns's */
};

struct publish {
	pid_t helper; /* slirp4netns; 0: it is not there yet */
	int dir_fd;   /* owned; a mount without a name, with slirp4netns's socket; -1: no network */
	struct publish_item *items; /* owned; in the order in which they were published */
	size_t n_items;

	/* What is being done, a port at a time. */
	enum publish_act act;
	const struct plan_port *runs; /* adding: borrowed, or &own */
	size_t n_runs, run;
	uint16_t index;	      /* in that run */
	struct plan_port own; /* a request's */
	/* The port that is asked for; where one fails, that one. count 0: slirp4netns cannot be
	 * talked to */
	struct plan_port now;
	size_t item;	  /* removing: the item that is asked for */
	size_t n_before;  /* adding: items that were there before, and stay */
	unsigned tries;	  /* for a port that is any */
	int result;	  /* 0; -errno, PUBLISH_UNKNOWN */
	int sock_fd;	  /* owned; the answer is read from it; -1: none is awaited */
	int64_t asked_ms; /* when that was asked for, CLOCK_MONOTONIC */
	bool late; /* it did not come in time: who asked has been told so, and waits no more */
	char answer[PUBLISH_ANSWER_MAX];
	size_t answer_len;
};

/* No errno: slirp4netns refuses, and does not say why. */
enum { PUBLISH_UNKNOWN = -4096 };

void publish_init(struct publish *publish);
void publish_finish(struct publish *publish);
int publish_take_dir(struct publish *publish, int *dir_fd, struct sbx_err *err);
void publish_forget(struct publish *publish);
int publish_add(struct publish *publish, const struct plan_port *runs, size_t n_runs);
int publish_add_one(struct publish *publish, const struct plan_net *net,
		    const struct plan_port *run);
int publish_remove(struct publish *publish, const struct plan_port *run);
bool publish_turn(struct publish *publish);
int64_t publish_deadline_ms(const struct publish *publish);
void publish_give_up(struct publish *publish);
int publish_blame(const struct publish *publish, struct sbx_err *err);
size_t publish_list(const struct publish *publish, size_t from, struct plan_port *ret_runs,
		    size_t max);
void publish_tell(const struct publish *publish, const struct sbx_plan *plan);
int publish_read_answer(const char *text, size_t len, int *ret_id);

struct run_context;
int publish_offer_dir(struct run_context *ctx, struct sbx_err *err); /* PID 1 */
