/* SPDX-License-Identifier: MIT */
/*
 * cgroup_host: where a cgroup can be had here, with which controllers, and why not.
 * Runs in: the caller's process (resolve, and the probes of sbx doctor).
 */
#pragma once

#include "sbx/spec/probe.h"

/* What stands in the way, and what to do; both in an arena. */
struct cgroup_obstacle {
	const char *what; /* NULL: nothing does */
	const char *remedy;
};

/* A cgroup in which others can be made. */
struct cgroup_own {
	const char *dir; /* absolute path; that of the caller's cgroup where there is an obstacle */
	bool with_self;	 /* the caller is in it, alone, and has to move to one below */
	bool writable;	 /* even if something else stands in the way */
};

/* systemd's manager, which can be asked for a scope. */
struct cgroup_manager {
	const char *address; /* of its bus */
	const char *busctl;  /* absolute path */
};

const char *cgroup_find_mount(const struct probe_host *host);
const char *cgroup_parse_path(const char *text, struct arena *arena);
bool cgroup_has_word(const char *text, const char *word);
const char *cgroup_list_missing(const char *have, uint32_t wanted, struct arena *arena);
int cgroup_look_at_kernel(const struct probe_host *host, uint32_t wanted,
			  struct cgroup_obstacle *ret);
int cgroup_look_at_own(const struct probe_host *host, uint32_t wanted, struct cgroup_own *ret,
		       struct cgroup_obstacle *ret_obstacle);
int cgroup_look_at_manager(const struct probe_host *host, const struct sbx_spec *spec,
			   uint32_t wanted, struct cgroup_manager *ret,
			   struct cgroup_obstacle *ret_obstacle);
