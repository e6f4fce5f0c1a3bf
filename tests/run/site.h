/* SPDX-License-Identifier: MIT */
/*
 * site: a sandbox under construction, in a child's own namespaces, for tests of
 * single steps. All of it is for children of in_child().
 */
#pragma once

#include <linux/mount.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/run/steps.h"

struct site {
	struct sbx_plan plan;
	struct run_context ctx;
	struct sbx_err err;
};

/* In new namespaces, with the host's root open. Return: 0, or the child's exit status. */
int site_open(struct site *site);
/* Run one step now, with `cause` --test. Return: as the step; says what failed on stderr. */
int site_run(struct site *site, struct plan_step step);
/* Something that can be read or written below the new root, where the kernel stands in it. */
int site_open_file(const struct site *site, const char *path, int flags);
bool site_reads(const struct site *site, const char *path, const char *text);
/* The errno of making a file there; 0 where it could be made. */
int site_create_errno(const struct site *site, const char *path);

/* A step. site_run() takes a descriptor, modes and attributes of 0 for "not given". */
#define STEP(step_kind, ...)                                                                       \
	((struct plan_step){.kind = PLAN_STEP_##step_kind, .cause = "--test", __VA_ARGS__})
