/* SPDX-License-Identifier: MIT */
/*
 * probe: what this host is and can do, as far as a launch depends on it.
 *
 * probe_host() makes the few look-ups every launch needs; the others are made
 * by name, when a plan needs them. Tests fill struct probe_host by hand.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

struct probe_host {
	struct arena *arena; /* borrowed; owns the strings below */
	uid_t uid;	     /* effective */
	gid_t gid;
	const char *user;  /* name of uid, NULL: no entry in passwd */
	const char *group; /* set by tests; else NULL, see probe_group() */
	const char *home;  /* HOME, else passwd's; absolute, or NULL */
	const char *shell; /* passwd's, or NULL */
	const char *cwd;   /* absolute, NULL: unreachable */
	const char *pwd;   /* by the name that the caller came by, with links in it; NULL: as cwd */
	const char *hostname;
	const char *tty; /* path of the terminal on stdout, NULL: none */
	const char
		*root_prefix;  /* "" on a real host; a directory in tests, before every path read */
	char *const *environ_; /* borrowed */
	bool no_new_privs;
	unsigned kernel; /* set by tests; else 0, see probe_kernel() */
	int fuse;	 /* set by tests: 1, or -errno; else 0, see probe_fuse() */
	int landlock;	 /* set by tests; else 0, see probe_landlock() */
	int terminals;	 /* set by tests; else -1, see probe_terminals() */
};

struct probe_range {
	uint32_t start, count;
};

int probe_host(struct arena *arena, char *const *environ_, bool names, struct probe_host *ret_host,
	       struct sbx_err *err);
int probe_subids(const struct probe_host *host, const char *file, struct probe_range **ret_ranges,
		 size_t *ret_count, struct sbx_err *err);
const char *probe_helper(const struct probe_host *host, const struct sbx_spec *spec,
			 const char *name);
const char *probe_helper_remedy(const struct probe_host *host, const char *name);
uint64_t probe_caps(void);
const char *probe_own_helper(const struct probe_host *host, const struct sbx_spec *spec,
			     const char *name);
unsigned probe_kernel(const struct probe_host *host);
int probe_device(const char *path, struct sbx_err *err);
int probe_fuse(const struct probe_host *host);
int probe_landlock(const struct probe_host *host);
uint32_t probe_terminals(const struct probe_host *host);
const char *probe_container(const struct probe_host *host);
bool probe_is_sandbox(const struct probe_host *host);
const char *probe_env(char *const *environ_, const char *name);
const char *probe_group(const struct probe_host *host);
const char *probe_text(const struct probe_host *host, const char *path);
int probe_link(const struct probe_host *host, const char *path, const char **ret_target,
	       struct sbx_err *err);
