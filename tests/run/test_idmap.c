/* SPDX-License-Identifier: MIT */
/* Maps written by helpers, and what is said when those do not do their work. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/base/arena.h"
#include "sbx/base/proc.h"
#include "sbx/run/idmap.h"

static const sigset_t no_signals;

static bool job_is_done(void *arg)
{
	return idmap_job_done(arg);
}

struct reaping {
	struct idmap_job job;
	struct sbx_err err;
	int result;
};

static bool reap_some(void *arg)
{
	struct reaping *r = arg;

	r->result = idmap_job_reap(&r->job, &r->err);
	return r->result < 0 || job_is_done(&r->job);
}

/* A plan whose maps are written by this program (the same for both). */
static void make_plan(struct sbx_plan *plan, const char *helper)
{
	static struct plan_map_line lines[] = {{0, 100000, 1000}, {1000, 1000, 1}};
	const struct plan_map map = {lines, ARRAY_SIZE(lines), helper, 1000, 1000};

	plan_init(plan);
	plan->uid_map = map;
	plan->gid_map = map;
}

static int run_helpers(const char *helper, struct reaping *r, struct sbx_plan *plan)
{
	int started;

	make_plan(plan, helper);
	r->result = 0;
	idmap_job_init(&r->job);
	cr_expect(idmap_job_done(&r->job));
	started = idmap_job_start(&r->job, plan, getpid(), &no_signals, &r->err);
	if (started == 0) {
		cr_expect_not(idmap_job_done(&r->job));
		cr_expect(wait_until(reap_some, r), "the helpers do not end");
	}
	idmap_job_finish(&r->job);
	return started < 0 ? started : r->result;
}

Test(idmap, helpers_are_told_the_process_and_the_lines)
{
	_autoclose_ int tree =
		tmp_tree("helper=#!/bin/sh\necho \"$@\" >> \"${0%/*}/said\"\n", "said");
	_autofree_ char *helper = tree_path(tree, "helper"), *said = NULL;
	struct sbx_plan plan;
	struct reaping r;
	char wanted[128];

	cr_expect_eq(run_helpers(helper, &r, &plan), 0);
	said = tree_read(tree, "said");
	(void)snprintf(wanted, sizeof(wanted), "%d 0 100000 1000 1000 1000 1\n", getpid());
	cr_expect_str_eq(said + strlen(wanted), wanted, "both say the same: %s", said);
	cr_expect_eq(strncmp(said, wanted, strlen(wanted)), 0);
}

Test(idmap, helpers_that_fail_are_quoted)
{
	static const struct {
		const char *file, *what;
	} rows[] = {
		{"helper=#!/bin/sh\necho 'write failed: no' >&2; exit 1\n",
		 "failed with exit status 1: write failed: no"},
		{"helper=#!/bin/sh\nexit 3\n", "failed with exit status 3"},
		{"helper=#!/bin/sh\nkill -KILL $$\n", "was killed by signal 9"},
		{"helper=#!/nonexistent\n", "cannot be executed"},
		{"other", "cannot be executed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = tmp_tree(rows[i].file);
		_autofree_ char *helper = tree_path(tree, "helper");
		struct sbx_plan plan;
		struct reaping r;

		cr_expect_lt(run_helpers(helper, &r, &plan), 0);
		cr_expect_str_eq(r.err.what, rows[i].what, "%s", r.err.what);
		cr_expect_str_eq(r.err.path, helper);
		cr_expect_str_eq(r.err.option, "--map=range");
		cr_expect(strstr(r.err.hint, "--map=single"));
	}
}

Test(idmap, helpers_that_hang_can_be_ended)
{
	_autoclose_ int tree = tmp_tree("helper=#!/bin/sh\nexec sleep 1000\n");
	_autofree_ char *helper = tree_path(tree, "helper");
	struct sbx_plan plan;
	struct idmap_job job;
	struct sbx_err err;
	pid_t pids[2];

	make_plan(&plan, helper);
	idmap_job_init(&job);
	cr_assert_eq(idmap_job_start(&job, &plan, getpid(), &no_signals, &err), 0);
	pids[0] = job.helpers[0].pid;
	pids[1] = job.helpers[1].pid;
	idmap_job_finish(&job);
	cr_expect(kill(pids[0], 0) < 0 && errno == ESRCH);
	cr_expect(kill(pids[1], 0) < 0 && errno == ESRCH);
	cr_expect(idmap_job_done(&job));
	idmap_job_finish(&job);
}

/* ---- without helpers ---- */

/* The words of a small file, with single blanks between. */
static bool file_says(const char *path, const char *wanted)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[256], *rest = text, *word;
	char plain[256] = "";
	size_t len = 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	while ((word = strsep(&rest, " \n")))
		if (*word)
			len += (size_t)snprintf(plain + len, sizeof(plain) - len, "%s%s",
						len ? " " : "", word);
	return strcmp(plain, wanted) == 0;
}

static int write_own(void *arg)
{
	struct sbx_plan plan;
	struct sbx_err err;
	char wanted[64];

	(void)arg;
	make_plan(&plan, NULL);
	plan.uid_map.own_inside = 4294967294;
	plan.uid_map.own_outside = geteuid();
	plan.gid_map.own_inside = 7;
	plan.gid_map.own_outside = getegid();
	(void)snprintf(wanted, sizeof(wanted), "4294967294 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return NS_UNAVAILABLE;
	child_check(idmap_write_own(&plan, &err) == 0);
	child_check(geteuid() == 4294967294 && getegid() == 7);
	child_check(file_says("/proc/self/uid_map", wanted));
	child_check(file_says("/proc/self/setgroups", "deny"));
	/* A map can be written once. */
	child_check(idmap_write_own(&plan, &err) < 0);
	child_check(strcmp(err.what, "cannot write the id map") == 0);
	return 0;
}

Test(idmap, the_own_id_needs_nobody)
{
	expect_in_child(write_own, NULL);
}
