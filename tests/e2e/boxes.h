/* SPDX-License-Identifier: MIT */
/*
 * boxes: what the tests of running sandboxes share: places where their records are apart
 * from everybody else's.
 */
#pragma once

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "/bin/sh", "-c", (script)

/* A runtime directory of its own, in the environment of what is run. */
struct place {
	int tree; /* owned */
	char runtime[512], home[512], path[64];
	const char *env[4];
};

static inline void place_start(struct place *p)
{
	p->tree = tmp_tree("run/", "home/");
	_autofree_ char *runtime = tree_path(p->tree, "run"), *home = tree_path(p->tree, "home");

	cr_assert_eq(fchmodat(p->tree, "run", 0700, 0), 0);
	snprintf(p->runtime, sizeof(p->runtime), "XDG_RUNTIME_DIR=%s", runtime);
	snprintf(p->home, sizeof(p->home), "HOME=%s", home);
	snprintf(p->path, sizeof(p->path), "PATH=/usr/bin:/bin");
	p->env[0] = p->path;
	p->env[1] = p->home;
	p->env[2] = p->runtime;
	p->env[3] = NULL;
}

#define start_in(place, session, ...)                                                              \
	session_sbx((session), &((struct run_options){.env = (place)->env, .open_input = true}),   \
		    "--ro-bind", "/usr", "/usr", __VA_ARGS__, SH("echo up; read -r line"))

/* sbx with those records, for a verb. */
#define sbx_in(place, ...) run_sbx_with(&((struct run_options){.env = (place)->env}), __VA_ARGS__)

/* What each test begins with: a place whose sandboxes are ended with the test. */
#define _autoplace_ __attribute__((cleanup(place_end)))

static inline void place_end(struct place *p)
{
	_autorun_ struct run_result r = sbx_in(p, "kill", "-s", "KILL", "--all");

	cr_expect_eq(r.status, 0, "%s", r.err);
	close(p->tree);
}

#define detach_in(place, ...)                                                                      \
	sbx_in((place), "--ro-bind", "/usr", "/usr", "--detach", "--name", "web", __VA_ARGS__)
