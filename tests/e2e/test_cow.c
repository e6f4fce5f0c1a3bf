/* SPDX-License-Identifier: MIT */
/* Sessions of --cow: what the command sees, what is kept, and what the verbs make of it. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "cow.h"

#define TREE "a=old\n", "d/b=b\n", "d/e/f=f\n", "gone/z=z\n", "again/k=k\n", "l -> a"

static const char change[] = "echo new >n; echo more >>a; rm d/b; rm -r gone; rm -r again; "
			     "mkdir again; echo q >again/q; chmod 700 d/e; ln -sf n l; ln n n2";

static void expect_file(const struct cow_site *site, const char *name, const char *text)
{
	_autofree_ char *found = tree_exists(site->tree, name) ? tree_read(site->tree, name) : NULL;

	cr_expect(found && strcmp(found, text) == 0, "%s: %s holds %s", site->sbx_driver, name,
		  found ? found : "nothing");
}

static void expect_untouched(const struct cow_site *site)
{
	expect_file(site, "a", "old\n");
	expect_file(site, "d/b", "b\n");
	expect_file(site, "gone/z", "z\n");
	expect_file(site, "again/k", "k\n");
	cr_expect(!tree_exists(site->tree, "n"));
}

Test(cow, the_directory_stays_and_the_changes_are_told)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, TREE);
		_autorun_ struct run_result run = cow_run(&site, change);
		_autorun_ struct run_result again = cow_run(&site, "cat a n l again/*; ls d");

		expect_success(run);
		cr_expect(strstr(run.err, "sbx: 3 added, 3 changed, 3 deleted: see sbx diff s\n"),
			  "%s: %s", driver, run.err);
		expect_out(again, "old\nmore\nnew\nnew\nq\ne\n");
		expect_untouched(&site);
		cow_finish(&site);
	}
}

Test(cow, diff_shows_each_change)
{
	EACH_DRIVER(driver)
	{
		char expected[4096], names[2048];
		struct cow_site site;

		cow_start(&site, driver, TREE);
		const char *p = site.path;
		_autorun_ struct run_result run = cow_run(&site, change);
		_autorun_ struct run_result list = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result newest = cow_verb(&site, "diff");
		_autorun_ struct run_result only = cow_verb(&site, "diff", "--name-only", "s");
		_autorun_ struct run_result patch = cow_verb(&site, "diff", "--patch", "s");
		_autorun_ struct run_result size = cow_verb(&site, "diff", "--stat", "s");
		_autorun_ struct run_result json = cow_verb(&site, "diff", "--json", "s");

		expect_success(run);
		snprintf(expected, sizeof(expected),
			 "M  %s/a (content)\nA  %s/again/q\nD  %s/again/k\nD  %s/d/b\n"
			 "M  %s/d/e/ (mode 755 -> 700)\nD  %s/gone/\nM  %s/l (target)\nA  %s/n\n"
			 "A  %s/n2\n",
			 p, p, p, p, p, p, p, p, p);
		snprintf(names, sizeof(names),
			 "%s/a\n%s/again/q\n%s/again/k\n%s/d/b\n%s/d/e/\n%s/gone/\n%s/l\n%s/n\n"
			 "%s/n2\n",
			 p, p, p, p, p, p, p, p, p);
		expect_out(list, expected);
		expect_out(newest, expected);
		expect_out(only, names);
		expect_success(patch);
		cr_expect(strstr(patch.out, "--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n old\n+more\n"), "%s",
			  patch.out);
		cr_expect(strstr(size.out, "3 added, 3 changed, 3 deleted\n"), "%s", size.out);
		cr_expect(strstr(json.out, "\"path\": \"gone\""), "%s", json.out);
		cow_finish(&site);
	}
}

Test(cow, apply_makes_it_real)
{
	EACH_DRIVER(driver)
	{
		struct stat one, two;
		struct cow_site site;

		cow_start(&site, driver, TREE);
		_autorun_ struct run_result run = cow_run(&site, change);
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");

		expect_success(run);
		expect_success(dry);
		expect_untouched(&site);
		_autorun_ struct run_result apply = cow_verb(&site, "apply");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result list = cow_verb(&site, "sessions");

		expect_success(apply);
		expect_out(diff, "");
		cr_expect(strstr(list.out, "applied"), "%s", list.out);
		expect_file(&site, "a", "old\nmore\n");
		expect_file(&site, "n", "new\n");
		expect_file(&site, "again/q", "q\n");
		cr_expect(!tree_exists(site.tree, "again/k") && !tree_exists(site.tree, "gone") &&
			  !tree_exists(site.tree, "d/b"));
		cr_expect_eq(fstatat(site.tree, "n", &one, 0), 0);
		cr_expect_eq(fstatat(site.tree, "n2", &two, 0), 0);
		cr_expect_eq(one.st_ino, two.st_ino);
		cr_expect_eq(fstatat(site.tree, "d/e", &one, 0), 0);
		cr_expect_eq(one.st_mode & 0777, 0700);
		_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");
		_autorun_ struct run_result none = cow_verb(&site, "diff", "s");

		expect_out(gone, "");
		expect_failure(none, 1, "there is no such session");
		cr_expect(strstr(none.err, "hint:  sbx sessions lists"), "%s", none.err);
		cow_finish(&site);
	}
}

Test(cow, apply_takes_what_is_chosen)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autorun_ struct run_result run =
		cow_run(&site, "mkdir -p new/sub; echo c >new/sub/x.c; echo o >new/sub/x.o; "
			       "echo 2 >a; rm d/b");
	_autorun_ struct run_result some =
		cow_verb(&site, "apply", "--include", "*.c", "--include", "d", "s");

	expect_success(run);
	expect_success(some);
	expect_file(&site, "new/sub/x.c", "c\n");
	expect_file(&site, "a", "old\n");
	cr_expect(!tree_exists(site.tree, "new/sub/x.o") && !tree_exists(site.tree, "d/b"));
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "--exclude", "a", "s");

	expect_success(rest);
	expect_file(&site, "new/sub/x.o", "o\n");
	expect_file(&site, "a", "old\n");
	_autorun_ struct run_result all = cow_verb(&site, "apply", "s");

	expect_success(all);
	expect_file(&site, "a", "2\n");
	cow_finish(&site);
}

/* Changed on the host while the session was there: a file, and a directory. */
Test(cow, apply_stops_before_what_has_changed)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >a; echo x >d/x; echo y >d/e/y");
	_autorun_ struct run_result host = run_program(
		"/bin/sh", "-c", "cd \"$1\"; echo host >a; echo h >d/e/h", "sh", site.path);
	_autorun_ struct run_result stopped = cow_verb(&site, "apply", "s");

	expect_success(run);
	expect_success(host);
	expect_failure(stopped, 1, "2 of the entries have changed on the host");
	cr_expect(strstr(stopped.err, "/a: has changed on the host"), "%s", stopped.err);
	cr_expect(strstr(stopped.err, "/d/e/y: its directory has changed on the host"), "%s",
		  stopped.err);
	expect_file(&site, "a", "host\n");
	cr_expect(!tree_exists(site.tree, "d/x"), "nothing may be applied");
	_autorun_ struct run_result some =
		cow_verb(&site, "apply", "--exclude", "a", "--exclude", "d/e", "s");

	expect_success(some);
	expect_file(&site, "d/x", "x\n");
	_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");

	expect_success(forced);
	expect_file(&site, "a", "2\n");
	expect_file(&site, "d/e/h", "h\n");
	cow_finish(&site);
}

/* What the kernel has kept it goes on with; what fuse-overlayfs has is not for it. */
Test(cow, who_has_kept_a_session_goes_on_with_it)
{
	struct cow_site site;

	skip_unless(cow_driver_is_there("fuse"), "fuse-overlayfs and an open /dev/fuse are needed");
	cow_start(&site, "kernel", "a=a\n", "d/k=k\n");
	_autorun_ struct run_result begun = cow_run(&site, "rm -r d; mkdir d; echo 1 >n");

	site.sbx_driver = "fuse";
	_autorun_ struct run_result over = cow_run(&site, "cat n; ls d; rm a");

	site.sbx_driver = "kernel";
	_autorun_ struct run_result back = cow_run(&site, "ls; ls d");
	_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");

	expect_success(begun);
	expect_out(over, "1\n");
	expect_out(back, "d\nn\n");
	expect_success(gone);
	cow_finish(&site);
	cow_start(&site, "kernel", "a=a\n", "d/k=k\n");
	close(cow_forge(&site, true));
	_autorun_ struct run_result refused = cow_run(&site, "true");

	expect_failure(refused, 125, "--overlay-driver: s: was begun by fuse-overlayfs alone");
	site.sbx_driver = "fuse";
	_autorun_ struct run_result alone = cow_run(&site, "rm a");

	expect_out(alone, "");
	cr_expect(strstr(alone.err, ": fuse-overlayfs keeps what is written"), "%s", alone.err);
	cr_expect(strstr(alone.err, "it has begun the session by itself; another session does "),
		  "%s", alone.err);
	site.sbx_driver = "auto";
	_autorun_ struct run_result automatic = cow_run(&site, "ls");

	expect_out(automatic, "d\n");
	cr_expect(strstr(automatic.err, ": fuse-overlayfs keeps what is written"), "%s",
		  automatic.err);
	cow_finish(&site);
}

/* A profile may have the same; what lies over the first by then is not covered in silence. */
Test(cow, a_view_that_is_there_is_not_made_again)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "b/");
	_autofree_ char *b = tree_path(site.tree, "b");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = in_usr_with(
		&options, "--cow", site.path, "--dir", "/x", "--cow", site.path, "--session", "s",
		"--", "/bin/sh", "-c", "echo 1 >\"$1/n\"", "sh", site.path);
	_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");
	_autorun_ struct run_result over = in_usr_with(&options, "--cow", site.path, "--tmpfs", b,
						       "--cow", site.path, "--", "/bin/true");

	expect_success(run);
	cr_expect(strstr(names.out, "/n\n"), "%s", names.out);
	expect_failure(over, 125, "has a view too");
	cow_finish(&site);
}

Test(cow, a_session_is_gone_on_with_as_it_was_begun)
{
	struct cow_site site;

	cow_start(&site, "kernel", "x/a=a\n", "y/b=b\n");
	_autofree_ char *x = tree_path(site.tree, "x"), *y = tree_path(site.tree, "y");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result first =
		in_usr_with(&options, "--cow", x, "--cow", y, "--session", "two", "--", "/bin/sh",
			    "-c", "cd \"$1\"; echo 1 >n", "sh", y);
	_autorun_ struct run_result other =
		in_usr_with(&options, "--cow", x, "--session", "two", "--", "/bin/true");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "two");

	expect_success(first);
	expect_failure(other, 125, "was begun with other directories");
	expect_success(apply);
	expect_file(&site, "y/n", "1\n");
	/* What is changed now begins now. */
	_autorun_ struct run_result host =
		run_program("/bin/sh", "-c", "cd \"$1\"; echo 2 >b", "sh", y);
	_autorun_ struct run_result next =
		in_usr_with(&options, "--cow", x, "--cow", y, "--session", "two", "--", "/bin/sh",
			    "-c", "cd \"$1\"; echo 3 >b", "sh", y);
	_autorun_ struct run_result again = cow_verb(&site, "apply", "two");

	expect_success(next);
	expect_success(again);
	expect_file(&site, "y/b", "3\n");
	cow_finish(&site);
}

Test(cow, a_session_in_use_is_refused)
{
	_autosession_ struct session running;
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	start_in(&site.place, &running, "--cow", site.path, "--session", "s", "--");
	cr_assert(session_expect(&running, "up"));
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");
	_autorun_ struct run_result second = cow_run(&site, "true");
	_autorun_ struct run_result list = cow_verb(&site, "sessions");
	_autorun_ struct run_result prune = cow_verb(&site, "prune", "--older-than", "0s");

	expect_failure(diff, 1, "is in use");
	expect_failure(apply, 1, "is in use");
	expect_failure(discard, 1, "is in use");
	expect_failure(second, 125, "is in use");
	cr_expect(strstr(list.out, "in use"), "%s", list.out);
	expect_out(prune, "");
	session_send(&running, "\n");
	struct run_result end = session_finish(&running);

	expect_success(end);
	cr_expect(strstr(end.err, "nothing was changed"), "%s", end.err);
	run_result_finish(&end);
	_autorun_ struct run_result gone = cow_verb(&site, "diff", "s");

	expect_failure(gone, 1, "there is no such session");
	cow_finish(&site);
}

/* Only one that has begun just now goes where nothing was changed. */
Test(cow, a_session_that_is_gone_on_with_stays)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autorun_ struct run_result first = cow_run(&site, "chmod u-w a");
	_autorun_ struct run_result second = cow_run(&site, "chmod u+w a");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");

	expect_success(first);
	expect_success(second);
	cr_expect(strstr(second.err, "0 added, 0 changed, 0 deleted"), "%s", second.err);
	expect_out(diff, "");
	cow_finish(&site);
}

Test(cow, old_sessions_are_pruned)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autorun_ struct run_result run = cow_run(&site, "echo 1 >n");
	_autorun_ struct run_result young = cow_verb(&site, "prune", "--older-than", "1.5d");
	_autorun_ struct run_result none_said = cow_verb(&site, "prune", "--older-than", "7");
	_autorun_ struct run_result wrong = cow_verb(&site, "prune", "--older-than", "7w");
	_autorun_ struct run_result old = cow_verb(&site, "prune", "--older-than", "0s");
	_autorun_ struct run_result none = cow_verb(&site, "sessions", "--json");
	_autorun_ struct run_result how = cow_verb(&site, "prune");

	expect_success(run);
	expect_out(young, "");
	expect_failure(none_said, 2, "--older-than: TIME needs a unit: 7s, 7m, 7h or 7d");
	expect_failure(wrong, 2, "--older-than: TIME must be like 90s, 5m, 12h or 1.5d");
	expect_out(old, "s\n");
	expect_out(none, "[]\n");
	cr_expect_neq(how.status, 0);
	cow_finish(&site);
}

Test(cow, one_that_cannot_be_pruned_keeps_no_other)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result first =
		in_usr_with(&options, "--cow", site.path, "--session", "r", "--chdir", site.path,
			    "--", "/bin/sh", "-c", ": >n");
	_autorun_ struct run_result second = cow_run(&site, "echo 1 >n");
	_autorun_ struct run_result third =
		in_usr_with(&options, "--cow", site.path, "--session", "t", "--chdir", site.path,
			    "--", "/bin/sh", "-c", ": >n");
	const char *home = site.place.home + strlen("HOME=");
	_autofree_ char *held = NULL;

	cr_assert(asprintf(&held, "%s/.local/state/sbx/sessions/s/0/upper/n", home) > 0);
	_autorun_ struct run_result prune = in_usr_with(
		&options, "--bind", home, home, "--ro-bind", held, held, "--ro-bind", sbx_program(),
		"/run/sbx", "--", "/run/sbx", "prune", "--older-than", "0s");

	expect_success(first);
	expect_success(second);
	expect_success(third);
	cr_expect_eq(prune.status, 1);
	cr_expect(strstr(prune.err, "sessions/s: cannot remove all of the session"), "%s",
		  prune.err);
	cr_expect(strstr(prune.err, "hint:  unmount what is mounted in it"), "%s", prune.err);
	cr_expect(strstr(prune.out, "r\n") && strstr(prune.out, "t\n"), "%s", prune.out);
	cr_expect(!strstr(prune.out, "s\n"), "%s", prune.out);
	cow_finish(&site);
}

/* Root outside has the number of everybody else there who has no id: it is not said to be others.
 */
Test(cow, in_a_user_namespace_owners_above_are_unknown)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = run_argv(
		&options, (const char *const[]){"/usr/bin/unshare", "-Ur", sbx_program(),
						"--map=single", "--ro-bind", "/usr", "/usr",
						"--cow", site.path, "--", "/bin/true", NULL});

	expect_failure(run, 125, "its owner has no id in this user namespace");
	cr_expect(strstr(run.err, "begin it outside of the user namespace"), "%s", run.err);
	cr_expect_null(strstr(run.err, "others can write"), "%s", run.err);
	cow_finish(&site);
}

/* What the command has closed, even to its owner, and what lies deeper than can be shown. */
Test(cow, discard_removes_anything)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, TREE);
		_autorun_ struct run_result run =
			cow_run(&site, "mkdir -p closed/in; chmod 0 closed/in closed; mkdir deep; "
				       "cd deep; i=0; while [ $i -lt 450 ]; do mkdir d; cd d; "
				       "i=$((i + 1)); done");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		cr_expect(strstr(run.err, "could not be counted"), "%s", run.err);
		expect_failure(diff, 1, "is more than 400 directories deep");
		expect_failure(apply, 1, "is more than 400 directories deep");
		cr_expect(!tree_exists(site.tree, "closed"));
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

		expect_out(discard, "");
		cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"));
		cow_finish(&site);
	}
}

/* One more than a session has places for. */
Test(cow, too_many_views_are_refused)
{
	enum { VIEWS = 65 };
	struct cow_site site;
	char names[VIEWS][256];
	const char *argv[2 * VIEWS + 8] = {sbx_program(), "--ro-bind", "/usr", "/usr"};
	size_t n = 4;

	cow_start(&site, "kernel", "a=a\n");
	for (int i = 0; i < VIEWS; i++) {
		snprintf(names[i], sizeof(names[i]), "%s/%d", site.path, i);
		cr_assert_eq(mkdir(names[i], 0700), 0);
		argv[n++] = "--cow";
		argv[n++] = names[i];
	}
	argv[n++] = "--";
	argv[n++] = "/bin/true";
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result many = run_argv(&options, argv);

	expect_failure(many, 125, "--cow: at most 64 directories");
	memmove(&argv[n - 4], &argv[n - 2], 3 * sizeof(*argv));
	_autorun_ struct run_result most = run_argv(&options, argv);

	expect_success(most);
	cow_finish(&site);
}

Test(cow, what_cannot_be_a_view_is_refused)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "open/");
	cr_assert_eq(fchmodat(site.tree, "open", 0777, 0), 0);
	_autofree_ char *below = tree_path(site.tree, "open");
	_autofree_ char *open = tree_path(site.tree, "open/s"), *file = tree_path(site.tree, "a");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result plain = in_usr_with(&options, "--cow", file, "--", "/bin/true");
	_autorun_ struct run_result self = in_usr_with(&options, "--cow", site.path, "--session",
						       site.path, "--", "/bin/true");
	_autorun_ struct run_result others =
		in_usr_with(&options, "--cow", site.place.home + strlen("HOME="), "--session", open,
			    "--", "/bin/true");
	_autorun_ struct run_result twice =
		in_usr_with(&options, "--cow", site.path, "--cow", below, "--", "/bin/true");
	_autorun_ struct run_result lone =
		in_usr_with(&options, "--session", "s", "--", "/bin/true");

	expect_failure(plain, 125, "is not a directory");
	expect_failure(self, 125, "is the session itself");
	expect_failure(others, 125, "others can write there");
	expect_failure(twice, 125, "has a view too");
	expect_failure(lone, 125, "there is no --cow");
	cr_expect(!tree_exists(site.tree, "s") && !tree_exists(site.tree, "open/s"));
	_autorun_ struct run_result theirs =
		in_usr_with(&options, "--cow", "/root", "--", "/bin/true");
	const char *const made_up[] = {"/proc", "/sys", "/dev", "/dev/pts", "/proc/sys"};

	if (access("/root", R_OK | X_OK) < 0)
		expect_failure(theirs, 125, "--cow: /root: cannot be read: Permission denied");
	for (size_t i = 0; i < ARRAY_SIZE(made_up); i++) {
		_autorun_ struct run_result run =
			in_usr_with(&options, "--cow", made_up[i], "--", "/bin/true");

		expect_failure(run, 125, "has no files to keep changes of");
	}
	_autorun_ struct run_result list = cow_verb(&site, "sessions", "--json");

	expect_out(list, "[]\n");
	cow_finish(&site);
}
