/* SPDX-License-Identifier: MIT */
/*
 * hints: what to do about a failure, from one table keyed by step kind, errno
 * and a probe of the host; and the option that stands for what is no step of a plan.
 * Runs in: PID 1, the command before it executes, the monitor, and the doctor's verb.
 */
#pragma once

#include "sbx/base/err.h"

/* Beside the step kinds, what else fails and is no step. HINT_LIMIT is true of every place. */
enum hint_place {
	HINT_ANY = -1,
	HINT_CLONE = -2,
	HINT_IDMAP = -3,
	HINT_BUS = -4,
	HINT_LIMIT = -5,
	HINT_PAYLOAD = -6,
	HINT_FUSE = -7,	    /* opening /dev/fuse */
	HINT_TUN = -8,	    /* opening /dev/net/tun */
	HINT_LISTENER = -9, /* loading a filter that reports */
	HINT_FUSE_OVERLAYFS = -10,
	HINT_CGROUP = -11, /* moving to another cgroup */
	HINT_NET = -12,	   /* what slirp4netns ends with */
	HINT_NFT = -13,
	HINT_NFT_HERE = -39,   /* the same, where it is tried by itself */
	HINT_MAP_HELPER = -14, /* newuidmap or newgidmap has failed */
	HINT_MAP_SLOW = -15,   /* or does not end */
	HINT_TERMINAL = -16,   /* what is done with the caller's, for a relay */
	HINT_JOIN_USERNS = -17,
	HINT_JOIN_PIDNS = -18,
	HINT_ENTER = -19,  /* joining a running sandbox */
	HINT_PARENT = -20, /* watching the caller */
	HINT_USERNS_BLOCK = -21,
	HINT_INFO = -22,
	HINT_JSON_STATUS = -23,
	HINT_TIMEOUT = -24,
	HINT_NAME = -25,   /* another sandbox has it */
	HINT_PID_1 = -26,  /* it was killed */
	HINT_REAPER = -27, /* the same, where nothing else ends with it */
	HINT_NO_FILE = -28,
	HINT_NO_COMMAND = -29, /* about: PATH */
	HINT_NO_LOADER = -30,  /* about: the directory that it is in */
	HINT_PUBLISH = -31,
	HINT_KEPT = -32,
	HINT_SHARE = -33,	 /* making a bridge, or an interface that leads there */
	HINT_NETNS = -34,	 /* entering a network namespace that was made elsewhere */
	HINT_SHARE_OTHER = -35,	 /* a network was asked for in other words; about: what it is */
	HINT_SHARE_IN_USE = -36, /* a network that is to end has members */
	HINT_IPV6 = -38,	 /* giving an interface an address of it */
	HINT_NO_IDS = -37,	 /* a user namespace above has fewer ids than are to be mapped */
	HINT_MARK = -40,	 /* a layer has what fuse-overlayfs takes for a mark */
	HINT_MARK_KERNEL = -41,	 /* the same, where the kernel could take its place */
	HINT_SHARE_NAME = -50,	 /* a name that leads to another member of a network */
	HINT_SHARE_HOST = -51,	 /* the same of the host's name */
};

const char *hint_option(int place);
int hint_find(const struct sbx_err *err, int place);
const char *hint_text(size_t row);
void hint_add(struct sbx_err *err, int place);
void hint_add_about(struct sbx_err *err, int place, const char *about);
