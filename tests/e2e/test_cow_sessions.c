/* SPDX-License-Identifier: MIT */
/* Sessions as they are kept: where they can be, what is damaged, and two that remove one. */

#include <stdio.h>
#include <sys/stat.h>

#include "cow.h"

/* Others make names there too, and cannot change this one; what is above it is made as well. */
Test(cow_sessions, a_directory_where_all_can_write_will_do)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autoclose_ int all = tmp_tree("x=x\n");
	char near[64], above[80], far[96];

	snprintf(near, sizeof(near), "/tmp/sbx-test-session-%d", (int)getpid());
	snprintf(above, sizeof(above), "%s-above", near);
	snprintf(far, sizeof(far), "%s/s", above);
	for (int i = 0; i < 2; i++) {
		const char *dir = i ? far : near;
		struct stat st;
		_autorun_ struct run_result run =
			run_sbx_with(&((struct run_options){.env = site.place.env}), "--ro-bind",
				     "/usr", "/usr", "--cow", site.path, "--session", dir,
				     "--chdir", site.path, "--", "/bin/sh", "-c", "echo n >n");

		expect_success(run);
		cr_expect_eq(stat(dir, &st), 0);
		cr_expect_eq(st.st_mode & 0777, 0700);
		_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);

		expect_success(discard);
	}
	cr_expect_eq(rmdir(above), 0);
	cr_assert_eq(fchmodat(all, ".", 0777, 0), 0);
	_autofree_ char *open = tree_path(all, "t");
	_autorun_ struct run_result refused =
		run_sbx_with(&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr",
			     "/usr", "--cow", site.path, "--session", open, "--", "/usr/bin/true");

	cr_expect_eq(refused.status, 125);
	cr_expect(strstr(refused.err, "others can write there"), "%s", refused.err);
	cr_expect(!tree_exists(all, "t"));
	cow_finish(&site);
}

/* No file can be made in /proc. */
Test(cow_sessions, a_directory_that_cannot_be_made_is_told)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = run_sbx_with(
		&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
		"--cow", site.path, "--session", "/proc/s", "--", "/usr/bin/true");

	cr_expect_eq(run.status, 125);
	cr_expect(strstr(run.err, "/proc/s: cannot make the session's directory"), "%s", run.err);
	cr_expect(strstr(run.err, "name a directory that you can make"), "%s", run.err);
	cow_finish(&site);
}

Test(cow_sessions, a_damaged_one_is_listed_and_can_be_removed)
{
	static const char *const damage[] = {
		"printf nonsense >meta",
		": >meta",
		"rm meta; ln -s /etc/passwd meta",
		"rm meta; ln -s nowhere meta",
	};

	for (size_t i = 0; i < ARRAY_SIZE(damage); i++)
		for (int prunes = 0; prunes < 2; prunes++) {
			char script[256];
			struct cow_site site;

			cow_start(&site, "kernel", "a=a\n");
			snprintf(script, sizeof(script),
				 "cd \"${1#HOME=}\"/.local/state/sbx/sessions/s; %s", damage[i]);
			_autorun_ struct run_result run = cow_run(&site, "echo n >n");
			_autorun_ struct run_result broken =
				run_program("/bin/sh", "-ec", script, "sh", site.place.home);
			_autorun_ struct run_result list = cow_verb(&site, "sessions");
			_autorun_ struct run_result json = cow_verb(&site, "sessions", "--json");
			_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
			_autorun_ struct run_result discard =
				prunes ? cow_verb(&site, "prune", "--older-than", "0s")
				       : cow_verb(&site, "discard", "s");

			expect_success(run);
			expect_success(broken);
			expect_success(list);
			cr_expect(strstr(list.out, "\ns        damaged "), "%s", list.out);
			cr_expect(strstr(json.out, "\"state\": \"damaged\""), "%s", json.out);
			cr_expect(strstr(json.out, "\"reason\": \""), "%s", json.out);
			cr_expect_eq(diff.status, 1);
			cr_expect(strstr(diff.err, "sbx discard"), "%s", diff.err);
			expect_success(discard);
			cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"),
				  "%zu", i);
			cr_expect(tree_exists(site.tree, "a"));
			cow_finish(&site);
		}
}

/* What has no record is nobody's session. */
Test(cow_sessions, another_directory_is_not_removed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *dir = tree_path(site.place.tree, "home/.local/state/sbx/sessions/x/0");
	_autorun_ struct run_result made = run_program(
		"/bin/sh", "-ec", "umask 077; mkdir -p \"$1\"; echo >\"$1/f\"", "sh", dir);
	_autorun_ struct run_result discard = cow_verb(&site, "discard", "x");

	expect_success(made);
	cr_expect_eq(discard.status, 1);
	cr_expect(strstr(discard.err, "is no session"), "%s", discard.err);
	cr_expect(tree_exists(site.place.tree, "home/.local/state/sbx/sessions/x/0/f"));
	cow_finish(&site);
}

/* One removes it, the other says that somebody has, or is about to. */
Test(cow_sessions, two_that_discard_one_are_told_the_truth)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int i = 0; i < 25; i++) {
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = cow_run(&site, "echo n >n; mkdir -p d/e/f");
		_autorun_ struct run_result both =
			run_argv(&options,
				 (const char *const[]){"/bin/sh", "-c",
						       "\"$1\" discard s & \"$1\" discard s; a=$?\n"
						       "wait $!; echo $((a + $?))",
						       "sh", sbx_program(), NULL});

		expect_success(run);
		cr_expect_str_eq(both.out, "1\n", "%s", both.err);
		cr_expect(strstr(both.err, "there is no such session") ||
				  strstr(both.err, "is gone: another command") ||
				  strstr(both.err, "is no session") ||
				  strstr(both.err, "is in use"),
			  "%s", both.err);
		cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"));
	}
	cow_finish(&site);
}

/* As other words about the end: in the log, and in what is kept. */
Test(cow_sessions, a_detached_end_is_told_in_the_log)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run =
		detach_in(&site.place, "--keep-record", "--cow", site.path, "--session", "s",
			  "--chdir", site.path, "--", "/bin/sh", "-c", "echo n >n");
	_autorun_ struct run_result wait = cow_verb(&site, "wait", "web");
	_autorun_ struct run_result logs = cow_verb(&site, "logs", "web");
	_autorun_ struct run_result inspect = cow_verb(&site, "inspect", "web");

	expect_success(run);
	expect_success(wait);
	cr_expect(strstr(logs.out, "sbx: 1 added, 0 changed, 0 deleted: see sbx diff s\n") ||
			  strstr(logs.err, "sbx: 1 added, 0 changed, 0 deleted: see sbx diff s\n"),
		  "%s%s", logs.out, logs.err);
	cr_expect(strstr(inspect.out, "1 added, 0 changed, 0 deleted: see sbx diff s"), "%s",
		  inspect.out);
	cow_finish(&site);
}
