/* SPDX-License-Identifier: MIT */
/*
 * walk: what an upper layer changes of the directory below it, entry by entry.
 *
 * The layer was written by a command that nobody trusts. It is walked by descriptors, one
 * name at a time, never through a link and never into another mount; depth and memory
 * have limits. Both formats are read: the kernel's (overlayfs, "userxattr"), and that of
 * fuse-overlayfs, where names that begin with ".wh." mean something too.
 *
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "sbx/base/err.h"
#include "sbx/cow/session.h"

enum {
	COW_DEPTH_MAX = 400,	  /* directories; two descriptors each are open */
	COW_BATCH_MAX = 16384,	  /* names that are sorted together */
	COW_PATH_MAX = 64 * 1024, /* bytes of a path that is told */
};

enum cow_change {
	COW_ADDED = 1 << 0,
	COW_REMOVED = 1 << 1,
	COW_TYPE = 1 << 2,
	COW_CONTENT = 1 << 3, /* of a file, or what a link points to */
	COW_MODE = 1 << 4,
	COW_OWNER = 1 << 5,
	COW_XATTRS = 1 << 6,
	COW_TIME = 1 << 7, /* of the last modification */
};

struct cow_entry {
	const char *path;  /* relative to the root; "." is the root */
	const char *name;  /* its last part */
	int upper_dir;	   /* borrowed; where `name` is in the layer */
	int host_dir;	   /* borrowed; where it is on the host; -1: that directory is not there */
	struct stat upper; /* not of what is removed */
	struct stat host;  /* where has_host */
	bool has_host;
	bool own_time;	  /* of a directory: its time alone, which the command has set */
	bool hides;	  /* the directory above is opaque, so that a directory of the host with
			     this name is not seen */
	uint32_t changes; /* enum cow_change */
	bool plants;	  /* the command gave it attributes that overlays take for marks */
	bool only_plants; /* COW_XATTRS are those alone */
	size_t depth;
};

struct cow_visitor {
	/*
	 * What is not a directory in the layer, or is removed. Without changes: a file with
	 * several names.
	 */
	int (*entry)(void *arg, const struct cow_entry *entry, struct sbx_err *err);
	/*
	 * A directory of the layer, before and behind its entries. `enter` may say that it is
	 * not to be looked into, by returning 1, or give a descriptor of the directory on
	 * the host, where that was made just now.
	 */
	int (*enter)(void *arg, const struct cow_entry *entry, int *host_fd, struct sbx_err *err);
	int (*leave)(void *arg, const struct cow_entry *entry, int upper_fd, int host_fd,
		     struct sbx_err *err);
	void *arg;
	/*
	 * A directory of the layer, where something is mounted on the host's by now: neither that
	 * nor what is in it can be compared. NULL: that is an error.
	 */
	int (*covered)(void *arg, const struct cow_entry *entry, struct sbx_err *err);
};

int cow_walk(const struct cow_session *session, size_t root, const struct cow_visitor *visitor,
	     struct sbx_err *err);
bool cow_is_same_file(int upper_fd, int host_fd, off_t size, struct sbx_err *err);
void cow_gain_access(void);
bool cow_reaches(const struct stat *st);
int cow_open(int dir_fd, const char *name, int flags);
