/* SPDX-License-Identifier: MIT */
/*
 * mountinfo: the mounts of /proc/PID/mountinfo, see proc(5). Any process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mountinfo_entry {
	uint64_t id;	    /* as statx(2) tells it */
	const char *device; /* of its filesystem: "8:1" */
	const char *root;   /* what of that is mounted: "/", or a path in it */
	const char *point;  /* where it is mounted */
	const char *type;   /* of its filesystem: "ext4", "fuse.sshfs" */
};

bool mountinfo_is_deleted(const struct mountinfo_entry *entry);
char *mountinfo_next_entry(char **rest, struct mountinfo_entry *ret_entry);
char *mountinfo_next(char **rest);
