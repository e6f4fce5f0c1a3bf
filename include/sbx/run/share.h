/* SPDX-License-Identifier: MIT */
/*
 * share: be a member of a network that sandboxes share, and ask the process that holds it. What
 * is said is in the structures here; who answers is holder.h.
 * Runs in: the monitor, and the verb net.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sbx/base/err.h"
#include "sbx/base/label.h"
#include "sbx/run/launch.h"
#include "sbx/spec/net.h"
#include "sbx/spec/plan.h"

enum {
	SHARE_VERSION = 4,
	SHARE_KEY_MAX = 511,
	SHARE_HOST_MAX = 64, /* HOST_NAME_MAX */
	SHARE_BACKLOG = 128,
};

enum share_type {
	SHARE_JOIN,   /* be a member; the answer has an address, and the user namespace beside it */
	SHARE_ATTACH, /* member: beside it the network namespace, and /etc/hosts or nothing */
	SHARE_CREATE, /* go on without members */
	SHARE_LOOK,   /* who is there? Behind the answer comes a struct share_members */
	SHARE_REMOVE, /* end; number: also with members */
	SHARE_TYPE_COUNT_,
};

struct share_request {
	uint32_t version;
	uint32_t type;
	int32_t number;
	char name[LABEL_NAME_MAX + 1]; /* of the sandbox; "": it has none */
	char host[SHARE_HOST_MAX + 1]; /* of JOIN: what it calls itself; "": what the host does */
	char key[SHARE_KEY_MAX + 1];   /* of JOIN and CREATE: the plan's */
};

struct share_reply {
	uint32_t version;
	int32_t result;	  /* 0, or -errno and err is filled */
	uint32_t address; /* of JOIN, in the host's byte order */
	int32_t created;  /* it goes on without members */
	int32_t internet;
	int32_t pid;
	uint32_t n_members;
	struct sbx_err err;
};

struct share_members {
	struct {
		char name[LABEL_NAME_MAX + 1];
		uint32_t address; /* in the host's byte order */
		int32_t pid;	  /* of the monitor */
	} list[NET_MEMBERS_MAX];
};

/* A connection with the process that holds a network. */
struct share {
	const struct plan_share *plan; /* borrowed; NULL: none */
	int fd;	       /* owned; it ends with the network, which ends with the last */
	int userns_fd; /* owned; whose child the member is to be */
	int hosts_fd;  /* owned; the member's /etc/hosts, until it is attached */
	uint32_t address;
	bool asked, attached;
};

void share_init(struct share *share);
void share_finish(struct share *share);
int share_join(struct share *share, const struct sbx_plan *plan, const sigset_t *sigmask,
	       struct launch_title title, int64_t end_ms, struct sbx_err *err);
bool share_is_awaited(const struct share *share);
int share_attach(struct share *share, int *netns_fd, struct sbx_err *err);
int share_hear(struct share *share, bool *ret_attached, struct sbx_err *err);
int share_timed_out(const struct share *share, int seconds, struct sbx_err *err);

int share_create(const struct sbx_plan *plan, struct launch_title title, struct sbx_err *err);
int share_ask(int dir_fd, const char *name, const struct share_request *request,
	      struct share_reply *ret_reply, struct share_members *ret_members,
	      struct sbx_err *err);
int share_sweep(int dir_fd, const char *file);
void share_sweep_all(const char *path);

int share_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds);
int share_receive(int fd, void *data, size_t size, int *fds, size_t n_fds);
