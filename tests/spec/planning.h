/* SPDX-License-Identifier: MIT */
/*
 * planning: from words to a plan on a host that is made up, for the tests of
 * what resolve decides. Nothing of the real host is looked at but the kernel.
 */
#pragma once

#include "testlib.h"

#include "sbx/cli/cli.h"
#include "sbx/spec/probe.h"

struct planning {
	struct arena arena;
	struct cli_run run; /* its spec */
	struct probe_host host;
	struct sbx_plan plan;
	struct sbx_err err;
	int tree;	   /* owned: the host's files */
	char *tree_root;   /* owned: its path */
	char *host_env[8]; /* of the host; NULL-terminated, may be changed before planning_make() */
};

/* A host where uid 1000, "me", has ranges and working helpers. */
void planning_init(struct planning *p);
void planning_finish(struct planning *p);

/* Options, separated by single spaces, of an `sbx OPTIONS -- true`. Return: as resolve_plan(). */
int planning_make(struct planning *p, const char *options);
/* The same in a planning of its own, on a default host, which must be a success. */
void planning_start(struct planning *p, const char *options);

/* What the steps say: those of options alone, or all; "DESCRIPTION [CAUSE]" per line. */
const char *planning_steps(struct planning *p, bool all);
const struct plan_step *planning_find(const struct planning *p, enum plan_step_kind kind,
				      const char *dest);
/* What the user would read on a failure, with the made-up host's directory left out. */
const char *planning_error(struct planning *p);
/* "TOPIC: TEXT" per line. */
const char *planning_remarks(struct planning *p);

#define _autoplanning_ __attribute__((cleanup(planning_finish)))
