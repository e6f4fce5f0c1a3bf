/* SPDX-License-Identifier: MIT */
/* What `sbx apply` does with directories of the host that belong to other ids than the caller. */

#include "cow.h"

/* On the host, as who has all ids that a sandbox of the caller's has; false: there are none. */
static bool ids_prepare(const struct cow_site *site, const char *script)
{
	const struct run_options options = {.env = site->place.env};
	_autorun_ struct run_result run =
		run_sbx_with(&options, "--root", "--map=range", "--ro-bind", "/usr", "/usr", "--rw",
			     site->path, "--chdir", site->path, "--", "/bin/sh", "-ec", script);

	cr_expect(run.status == 0 || strstr(run.err, "subuid") || strstr(run.err, "newuidmap"),
		  "%s", run.err);
	return run.status == 0;
}

/* The command, as root of its sandbox, with a session called s. */
#define ids_run(site, script)                                                                      \
	run_sbx_with(&((struct run_options){.env = (site)->place.env}), "--root", "--map=range",   \
		     "--ro-bind", "/usr", "/usr", "--cow", (site)->path, "--session", "s",         \
		     "--chdir", (site)->path, "--overlay-driver", (site)->sbx_driver, "--",        \
		     "/bin/sh", "-ec", (script))

/* What other ids own is not removed with the rest. */
static void ids_finish(struct cow_site *site)
{
	_autorun_ struct run_result gone = cow_verb(site, "discard", "s");

	expect_success(gone);
	cr_expect(ids_prepare(site, "/usr/bin/find . -mindepth 1 -delete"));
	cow_finish(site);
}

static void ids_expect_names(const struct cow_site *site, const char *expected)
{
	const struct run_options options = {.cwd = site->path};
	const char *const argv[] = {"/usr/bin/find", ".", "-mindepth", "1", "!",
				    "-name",	     "k", NULL};
	_autorun_ struct run_result run = run_argv(&options, argv);

	cr_expect_str_eq(run.out, expected, "%s instead of %s", run.out, expected);
	cr_expect_str_eq(run.err, "");
}

static void ids_expect_done(const struct cow_site *site)
{
	_autorun_ struct run_result again = cow_verb(site, "apply", "s");
	_autorun_ struct run_result diff = cow_verb(site, "diff", "s");

	expect_out(again, "applied: 0 added, 0 changed, 0 deleted\n");
	expect_out(diff, "");
}

/* Itself, in another, in one of another id's, where a file takes its place; closed to all others.
 */
Test(cow_ids, what_other_ids_own_is_removed)
{
	static const struct {
		const char *name, *before, *inside, *names;
	} rows[] = {
		{"itself", "mkdir d; echo x >d/x; chown -R 5:5 d", "rm -r d", ""},
		{"closed", "mkdir -m 700 d; echo x >d/x; chown -R 5:5 d", "rm -r d", ""},
		{"nothing allowed", "mkdir -p d/e; echo x >d/e/x; chmod 0 d/e d; chown -R 5:5 d",
		 "rm -r d", ""},
		{"deeper", "mkdir -p d/e/f; echo x >d/e/f/x; chown -R 5:5 d/e", "rm -r d", ""},
		{"of two", "mkdir -m 700 d d/e; echo x >d/e/x; chown 6:6 d/e; chown 5:5 d",
		 "rm -r d", ""},
		{"sticky", "mkdir -m 1777 d; echo x >d/x; chown 6:6 d/x; chown 5:5 d", "rm -r d",
		 ""},
		{"with shared files", "mkdir d; echo x >d/x; ln d/x y; chown -R 5:5 d",
		 "rm -r d y; echo y >y", "./y\n"},
		{"a file instead", "mkdir d; echo x >d/x; chown -R 5:5 d", "rm -r d; echo f >d",
		 "./d\n"},
		{"in one made anew", "mkdir -p d/e; echo x >d/e/x; chown -R 5:5 d/e",
		 "rm -r d; mkdir d; echo n >d/n", "./d\n./d/n\n"},
	};

	EACH_DRIVER(driver)
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cow_site site;

		cow_start(&site, driver, "k=k\n");
		skip_unless(ids_prepare(&site, rows[i].before), "there has to be a range of ids");
		_autorun_ struct run_result run = ids_run(&site, rows[i].inside);
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(dry);
		cr_expect_eq(apply.status, 0, "%s, %s: %s", driver, rows[i].name, apply.err);
		ids_expect_names(&site, rows[i].names);
		ids_expect_done(&site);
		ids_finish(&site);
	}
}

/* `sbx apply`, where nothing maps the caller's other ids: in a sandbox that has one. */
static struct run_result ids_apply_alone(const struct cow_site *site, const char *script)
{
	const char *home = site->place.home + strlen("HOME=");
	const struct run_options options = {.env = site->place.env};

	return run_sbx_with(&options, "--map=single", "--ro-bind", "/usr", "/usr", "--bind", "/tmp",
			    "/tmp", "--bind", home, home, "--ro-bind", sbx_program(), "/run/sbx",
			    "--", "/bin/sh", "-c", script);
}

static void ids_expect_refused(const struct run_result *run)
{
	expect_failure(*run, 1, "4 of the entries cannot be changed by the caller");
	cr_expect(strstr(run->err, "/c: cannot be removed: it cannot be looked into: Permission"),
		  "%s", run->err);
	cr_expect(strstr(run->err, "/d: cannot be removed: e/f in it cannot be emptied: Permiss"),
		  "%s", run->err);
	cr_expect(strstr(run->err, "/s: cannot be removed: x in it belongs to another user, in a "
				   "directory with the sticky bit"),
		  "%s", run->err);
	cr_expect(strstr(run->err, "/t: cannot be replaced: it cannot be emptied: Permission"),
		  "%s", run->err);
}

/* Before anything is done, as half of a directory can neither go nor come back. */
Test(cow_ids, what_cannot_be_removed_stops_it)
{
	static const char before[] =
		"mkdir -m 700 c; mkdir -p d/e/f t; mkdir -m 1777 s; echo x | tee d/e/f/x t/x >s/x\n"
		"ln s/x d/e/y; chown -R 5:5 c d/e/f s t; chown 6:6 s/x";
	struct cow_site site;

	cow_start(&site, "kernel", "k=k\n");
	skip_unless(ids_prepare(&site, before), "there has to be a range of ids");
	_autorun_ struct run_result run = ids_run(&site, "rm -r c d s t; echo n >n; echo t >t");
	_autorun_ struct run_result names = cow_verb(&site, "apply", "--dry-run", "s");
	_autorun_ struct run_result dry = ids_apply_alone(&site, "/run/sbx apply -n s");
	_autorun_ struct run_result apply = ids_apply_alone(&site, "/run/sbx apply s");
	_autorun_ struct run_result force = ids_apply_alone(&site, "/run/sbx apply --force s");

	expect_success(run);
	expect_success(names);
	ids_expect_refused(&dry);
	ids_expect_refused(&apply);
	ids_expect_refused(&force);
	cr_expect(!tree_exists(site.tree, "n") && tree_exists(site.tree, "d/e/y"));
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

	expect_out(rest, "applied: 1 added, 1 changed, 3 deleted\n");
	ids_expect_done(&site);
	ids_finish(&site);
}

/* Only root gives files away: how many stay the caller's is said, each time. */
Test(cow_ids, a_file_that_was_given_away_stays_the_callers)
{
	static const char says[] = "applied: 0 added, 0 changed, 0 deleted\n"
				   "1 belong to other ids in the session, and are yours now\n";

	EACH_DRIVER(driver)
	{
		struct cow_site site;
		struct stat st;

		cow_start(&site, driver, "k=k\n");
		skip_unless(ids_prepare(&site, ":"), "there has to be a range of ids");
		_autorun_ struct run_result run = ids_run(&site, "chown 5:5 k");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result again = cow_verb(&site, "apply", "s");

		expect_success(run);
		cr_expect(strstr(dry.out, says), "%s", dry.out);
		expect_out(apply, says);
		expect_out(again, says);
		cr_assert_eq(fstatat(site.tree, "k", &st, 0), 0);
		cr_expect_eq(st.st_uid, geteuid());
		ids_finish(&site);
	}
}

/* It becomes what the session has, or the caller's, and then there is nothing left to be done. */
Test(cow_ids, a_directory_of_another_ids_is_changed)
{
	static const struct {
		const char *name, *inside, *says, *again;
		bool stays; /* that id's */
		mode_t mode;
	} rows[] = {
		{"made anew", "rm -r d; mkdir d; echo n >d/n", "1 added, 1 changed, 1 deleted\n",
		 "", false, 0755},
		{"made anew, empty", "rm -r d; mkdir -m 750 d", "0 added, 1 changed, 1 deleted\n",
		 "", false, 0750},
		{"made the caller's", "chown 0:0 d; chmod 711 d", "0 added, 1 changed, 0 deleted\n",
		 "", false, 0711},
		{"made the caller's alone", "chown 0 d", "0 added, 1 changed, 0 deleted\n", "",
		 false, 0755},
		{"made another's", "chown 6:6 d",
		 "0 added, 1 changed, 0 deleted\n"
		 "1 belong to other ids in the session, and are yours now\n",
		 "1 belong to other ids in the session, and are yours now\n", false, 0755},
		{"given other permissions", "chmod 775 d", "0 added, 1 changed, 0 deleted\n", "",
		 true, 0775},
		{"given the caller's group", "chgrp 0 d", "0 added, 1 changed, 0 deleted\n", "",
		 true, 0755},
		{"given another group", "chgrp 6 d", "0 added, 0 changed, 0 deleted\n", "", true,
		 0755},
		{"changed in", "echo n >d/n; rm d/x", "1 added, 0 changed, 1 deleted\n", "", true,
		 0755},
	};

	EACH_DRIVER(driver)
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char says[256], again[256];
		struct cow_site site;
		struct stat st;

		cow_start(&site, driver, "k=k\n");
		skip_unless(ids_prepare(&site, "mkdir d; echo x >d/x; chown -R 5:5 d"),
			    "there has to be a range of ids");
		_autorun_ struct run_result run = ids_run(&site, rows[i].inside);
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result next = cow_verb(&site, "apply", "s");

		expect_success(run);
		(void)snprintf(says, sizeof(says), "would be applied: %s", rows[i].says);
		cr_expect(strstr(dry.out, says), "%s, %s: %s", driver, rows[i].name, dry.out);
		(void)snprintf(says, sizeof(says), "applied: %s", rows[i].says);
		(void)snprintf(again, sizeof(again), "applied: 0 added, 0 changed, 0 deleted\n%s",
			       rows[i].again);
		cr_expect_str_eq(apply.out, says, "%s, %s: %s%s", driver, rows[i].name, apply.out,
				 apply.err);
		cr_expect_str_eq(next.out, again, "%s, %s: %s%s", driver, rows[i].name, next.out,
				 next.err);
		cr_assert_eq(fstatat(site.tree, "d", &st, 0), 0);
		cr_expect_eq(st.st_uid != geteuid(), rows[i].stays, "%s, %s", driver, rows[i].name);
		cr_expect_eq(st.st_mode & 07777, rows[i].mode, "%s, %s", driver, rows[i].name);
		ids_finish(&site);
	}
}

/* One that the caller can write to, and no more. */
Test(cow_ids, a_directory_of_anothers_stays_what_it_is)
{
	static const char stays[] = "/d: belongs to another user: its owner, permissions and "
				    "attributes stay as they are\n";
	struct cow_site site;
	struct stat st;

	cow_start(&site, "kernel", "k=k\n");
	skip_unless(ids_prepare(&site, "mkdir -m 777 d; echo x >d/x; chown -R 5:5 d"),
		    "there has to be a range of ids");
	_autorun_ struct run_result run = ids_run(&site, "rm -r d; mkdir d; echo n >d/n");
	_autorun_ struct run_result dry = ids_apply_alone(&site, "/run/sbx apply -n s");
	_autorun_ struct run_result apply = ids_apply_alone(&site, "/run/sbx apply s");
	_autorun_ struct run_result next = ids_apply_alone(&site, "/run/sbx apply s");

	expect_success(run);
	expect_success(dry);
	cr_expect(strstr(dry.err, stays), "%s", dry.err);
	cr_expect_str_eq(apply.out, "applied: 1 added, 0 changed, 1 deleted\n");
	cr_expect(strstr(apply.err, stays), "%s", apply.err);
	cr_expect_str_eq(next.out, "applied: 0 added, 0 changed, 0 deleted\n");
	cr_expect(strstr(next.err, stays), "%s", next.err);
	cr_assert_eq(fstatat(site.tree, "d", &st, 0), 0);
	cr_expect(st.st_uid != geteuid() && (st.st_mode & 07777) == 0777);
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

	expect_out(rest, "applied: 0 added, 1 changed, 0 deleted\n");
	ids_expect_done(&site);
	ids_finish(&site);
}

/* What the launch has made there to mount something on is undone, by who has the id. */
Test(cow_ids, what_is_mounted_over_a_removed_name_of_theirs_leaves_that_removed)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "k=k\n");
		skip_unless(ids_prepare(&site, "mkdir -p d/sub; echo 1 >d/f; echo 1 >d/sub/g; "
					       "chown -R 5:5 d"),
			    "the tests' user has no ids");
		_autofree_ char *file = tree_path(site.tree, "d/f");
		_autofree_ char *dir = tree_path(site.tree, "d/sub/t");
		_autorun_ struct run_result first = ids_run(&site, "rm -r d/f d/sub");
		_autorun_ struct run_result before = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result second = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--root", "--map=range",
			"--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "s",
			"--overlay-driver", site.sbx_driver, "--ro-bind", "/usr/bin/env", file,
			"--tmpfs", dir, "--", "/bin/sh", "-c", "test -s \"$0\"", file);
		_autorun_ struct run_result after = cow_verb(&site, "diff", "s");

		expect_success(first);
		expect_success(second);
		cr_expect(strstr(before.out, "/d/f\n"), "%s", before.out);
		expect_out(after, before.out);
		ids_finish(&site);
	}
}

/* One of theirs that is closed to the caller is looked at by who has the id, too. */
Test(cow_ids, what_is_mounted_in_a_closed_directory_of_theirs_is_no_change)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/old=o\n");
		skip_unless(ids_prepare(&site, "true"), "the tests' user has no ids");
		_autofree_ char *file = tree_path(site.tree, "d/f");
		_autofree_ char *dir = tree_path(site.tree, "d/e/t");
		_autorun_ struct run_result first =
			ids_run(&site, "rm -r d; mkdir -m 700 d; chown 5:5 d");
		_autorun_ struct run_result before = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result second = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--root", "--map=range",
			"--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "s",
			"--overlay-driver", site.sbx_driver, "--ro-bind", "/usr/bin/env", file,
			"--tmpfs", dir, "--", "/bin/sh", "-c", "test -s \"$0\"", file);
		_autorun_ struct run_result after = cow_verb(&site, "diff", "s");

		expect_success(first);
		expect_success(second);
		cr_expect(strstr(before.out, "/d/old\n"), "%s", before.out);
		expect_out(after, before.out);
		ids_finish(&site);
	}
}
