/* SPDX-License-Identifier: MIT */
/*
 * hints: what to do about a failure, from one table keyed by step kind, errno
 * and a probe of the host. Runs in: PID 1 before pivot_root, and the monitor.
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
};

void hint_add(struct sbx_err *err, int place);
