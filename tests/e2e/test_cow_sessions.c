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
	cr_expect_eq(access(above, F_OK), -1, "what was made above it is left");
	_autofree_ char *open = tree_path(all, "t");

	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(fchmodat(all, ".", i ? 0777 : 0770, 0), 0);
		_autorun_ struct run_result refused = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
			"--cow", site.path, "--session", open, "--", "/usr/bin/true");

		cr_expect_eq(refused.status, 125);
		cr_expect(strstr(refused.err, "others can write there"), "%s", refused.err);
		cr_expect(!tree_exists(all, "t"));
	}
	cow_finish(&site);
}

/* What is said to be run can be given to a shell as it is. */
Test(cow_sessions, a_path_with_blanks_is_told_as_one_word)
{
	struct cow_site site;
	char line[512];

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *dir = tree_path(site.place.tree, "it's here");
	_autorun_ struct run_result run =
		run_sbx_with(&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr",
			     "/usr", "--cow", site.path, "--session", dir, "--chdir", site.path,
			     "--", "/bin/sh", "-c", "echo n >n");
	_autofree_ char *quoted = tree_path(site.place.tree, "it'\\''s here");

	expect_success(run);
	snprintf(line, sizeof(line), "sbx: 1 added, 0 changed, 0 deleted: see sbx diff '%s'\n",
		 quoted);
	cr_expect(strstr(run.err, line), "%s", run.err);
	cow_finish(&site);
}

/* Only root can make one there. */
Test(cow_sessions, a_directory_that_cannot_be_made_is_told)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = run_sbx_with(
		&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
		"--cow", site.path, "--session", "/usr/s", "--", "/usr/bin/true");

	cr_expect_eq(run.status, 125);
	cr_expect(strstr(run.err, "/usr/s: cannot make the session's directory"), "%s", run.err);
	cr_expect(strstr(run.err, "name a directory that you can make"), "%s", run.err);
	cow_finish(&site);
}

Test(cow_sessions, a_damaged_one_is_listed_and_can_be_removed)
{
	static const char *const damage[] = {
		"printf nonsense >meta",
		": >meta",
		"mkdir -p 0/held/.vscode; : >meta",
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

/* A session in a directory of the test's, beneath the home. */
#define run_in_dir(site, dir, script)                                                              \
	run_sbx_with(&((struct run_options){.env = (site)->place.env}), "--ro-bind", "/usr",       \
		     "/usr", "--cow", (site)->path, "--session", (dir), "--chdir", (site)->path,   \
		     "--", "/bin/sh", "-ec", (script))

static void expect_is_no_session(const struct run_result *run)
{
	cr_expect_eq(run->status, 125);
	cr_expect(strstr(run->err, "is not empty, and no session"), "%s", run->err);
	cr_expect(strstr(run->err, "--session"), "%s", run->err);
}

/* Whatever it is called: only what sbx has made is removed. */
Test(cow_sessions, what_lies_in_a_directory_is_not_taken_for_its_own)
{
	static const char *const names[] = {"0/file",	"other",	 "0/upper/file", "lock",
					    "meta.new", "1/work/work/f", "emptying"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		_autofree_ char *dir = tree_path(site.place.tree, "home/D");
		_autorun_ struct run_result made =
			run_program("/bin/sh", "-ec",
				    "umask 077; mkdir \"$1\"; : >\"$1/lock\"\n"
				    "mkdir -p \"$(dirname \"$1/$2\")\"; echo precious >\"$1/$2\"",
				    "sh", dir, names[i]);
		_autorun_ struct run_result run = run_in_dir(&site, dir, "echo n >n");
		_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);
		char file[64];

		snprintf(file, sizeof(file), "home/D/%s", names[i]);
		expect_success(made);
		expect_is_no_session(&run);
		cr_expect_eq(discard.status, 1);
		cr_expect(strstr(discard.err, "is no session"), "%s", discard.err);
		_autofree_ char *text = tree_read(site.place.tree, file);

		cr_expect_str_eq(text, "precious\n", "%s", names[i]);
		cow_finish(&site);
	}
}

/* What was killed just before its lock was to go. */
Test(cow_sessions, what_a_removal_has_left_goes_or_is_begun_anew)
{
	static const char left[] = "umask 077; d=$HOME/.local/state/sbx/sessions/s; mkdir -p $d; "
				   ": >$d/lock; : >$d/emptying";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	const struct run_options options = {.env = site.place.env};
	const char *const argv[] = {"/bin/sh", "-ec", left, NULL};
	_autorun_ struct run_result made = run_argv(&options, argv);
	_autorun_ struct run_result list = cow_verb(&site, "sessions");

	expect_success(made);
	expect_success(list);
	cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"));
	_autorun_ struct run_result again = run_argv(&options, argv);
	_autorun_ struct run_result run = cow_run(&site, "echo n >n");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(again);
	expect_success(run);
	expect_success(apply);
	cr_expect(tree_exists(site.tree, "n"));
	cow_finish(&site);
}

/* A launch that was to begin it anew was killed. */
Test(cow_sessions, an_applied_one_that_is_not_whole_begins_anew)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 1 >a");
	_autorun_ struct run_result all = cow_verb(&site, "apply", "s");
	_autofree_ char *mark =
		tree_path(site.place.tree, "home/.local/state/sbx/sessions/s/emptying");
	_autoclose_ int made = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result anew = cow_run(&site, "cat a; echo 2 >a");
	_autorun_ struct run_result again = cow_verb(&site, "apply", "s");
	_autofree_ char *a = tree_read(site.tree, "a");

	cr_assert(made >= 0, "%s: %m", mark);
	expect_success(run);
	expect_success(all);
	expect_failure(apply, 1, "s: is not whole: its removal was begun, and has not ended\n");
	expect_out(anew, "1\n");
	expect_success(again);
	cr_expect_str_eq(a, "2\n");
	cr_expect(access(mark, F_OK) < 0);
	cow_finish(&site);
}

Test(cow_sessions, one_that_is_not_whole_can_only_be_removed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 1 >a");
	_autofree_ char *mark =
		tree_path(site.place.tree, "home/.local/state/sbx/sessions/s/emptying");
	_autoclose_ int made = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "--force", "s");
	_autorun_ struct run_result more = cow_run(&site, "true");
	_autorun_ struct run_result list = cow_verb(&site, "sessions");
	_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");
	_autorun_ struct run_result none = cow_verb(&site, "diff", "s");
	_autofree_ char *a = tree_read(site.tree, "a");

	cr_assert(made >= 0, "%s: %m", mark);
	expect_success(run);
	expect_failure(diff, 1, "s: is not whole: its removal was begun, and has not ended\n");
	expect_failure(apply, 1, "end it: sbx discard s");
	expect_failure(more, 125, "is not whole");
	cr_expect(strstr(list.out, "damaged"), "%s", list.out);
	cr_expect_str_eq(a, "a\n");
	expect_success(gone);
	expect_failure(none, 1, "there is no such session");
	cow_finish(&site);
}

/* Without its record it is no session; what was changed is still the caller's. */
Test(cow_sessions, one_that_has_lost_its_record_is_left_alone)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo n >n");
	_autorun_ struct run_result lost =
		run_program("/bin/sh", "-ec", "rm \"${1#HOME=}\"/.local/state/sbx/sessions/s/meta",
			    "sh", site.place.home);
	_autorun_ struct run_result again = cow_run(&site, "echo m >m");
	_autorun_ struct run_result prune = cow_verb(&site, "prune", "--older-than", "0s");
	_autorun_ struct run_result list = cow_verb(&site, "sessions");

	cr_expect(strstr(list.out, "\ns        damaged "), "%s", list.out);
	cr_expect(strstr(list.out, "its record is gone"), "%s", list.out);
	expect_success(run);
	expect_success(lost);
	expect_is_no_session(&again);
	expect_success(prune);
	cr_expect(tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s/0/upper/n"));
	cow_finish(&site);
}

/* The second goes on with what the first has begun, or is told that it is in use. */
Test(cow_sessions, two_that_begin_one_lose_nothing)
{
	static const char script[] =
		"for i in 1 2; do\n"
		"\"$1\" --ro-bind /usr /usr --cow \"$2\" --chdir \"$2\" --session s -- "
		"/bin/sh -c \"echo >r$i\" & done; wait\n"
		"\"$1\" diff --name-only s; \"$1\" discard s";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int i = 0; i < 10; i++) {
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result both =
			run_argv(&options, (const char *const[]){"/bin/sh", "-c", script, "sh",
								 sbx_program(), site.path, NULL});
		bool busy = strstr(both.err, "is in use") != NULL;
		bool first = strstr(both.out, "/r1\n") != NULL;
		bool second = strstr(both.out, "/r2\n") != NULL;

		expect_success(both);
		cr_expect(busy ? first || second : first && second, "%s%s", both.out, both.err);
		cr_expect(!strstr(both.err, "cannot"), "%s", both.err);
	}
	cow_finish(&site);
}

/* The one removes what it has begun and not used, and the other begins it meanwhile. */
Test(cow_sessions, one_that_is_removed_can_be_begun_at_once)
{
	static const char script[] =
		"for i in 1 2 3; do\n"
		"\"$1\" --ro-bind /usr /usr --cow \"$2\" --session s -- /usr/bin/true & done; wait";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int i = 0; i < 10; i++) {
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result all =
			run_argv(&options, (const char *const[]){"/bin/sh", "-c", script, "sh",
								 sbx_program(), site.path, NULL});

		expect_success(all);
		cr_expect(strstr(all.err, "nothing was changed") ||
				  strstr(all.err, "0 added, 0 changed"),
			  "%s", all.err);
		cr_expect(!strstr(all.err, "cannot"), "%s", all.err);
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

		cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"));
	}
	cow_finish(&site);
}

/* With a directory go those above it that were made for it; one that was there stays. */
Test(cow_sessions, only_directories_that_were_made_are_removed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int is_there = 0; is_there < 2; is_there++)
		for (int writes = 0; writes < 2; writes++) {
			const char *script = writes ? "echo n >n" : ":";
			_autofree_ char *dir = tree_path(site.place.tree, "home/x/y/D");
			_autorun_ struct run_result made = run_program(
				"/bin/sh", "-ec", is_there ? "umask 077; mkdir -p \"$1\"" : ":",
				"sh", dir);
			_autorun_ struct run_result run = run_in_dir(&site, dir, script);
			_autorun_ struct run_result again = run_in_dir(&site, dir, script);
			_autorun_ struct run_result discard =
				writes ? cow_verb(&site, "discard", dir)
				       : run_program("/usr/bin/true");

			expect_success(made);
			expect_success(run);
			expect_success(again);
			expect_success(discard);
			cr_expect_eq(tree_exists(site.place.tree, "home/x"), is_there);
			cr_expect_eq(tree_exists(site.place.tree, "home/x/y/D"), is_there);
			cr_expect(!tree_exists(site.place.tree, "home/x/y/D/lock"));
			cr_expect(tree_exists(site.place.tree, "home"));
		}
	cow_finish(&site);
}

/* What is not the session's stays, and it is not said that there is a session still. */
Test(cow_sessions, a_file_beside_a_session_outlives_it)
{
	static const char script[] =
		"cd \"$HOME\"; mkfifo go\n"
		"\"$1\" --ro-bind /usr /usr --cow \"$2\" --session ./D --chdir \"$2\" -- "
		"/bin/sh -c \"read go; $3\" <go &\n"
		"exec 3>go; until test -e D/meta; do :; done\n"
		"echo mine >D/mine; echo go >&3; wait; rm go";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int writes = 0; writes < 2; writes++) {
		const struct run_options options = {.env = site.place.env};
		_autofree_ char *dir = tree_path(site.place.tree, "home/D");
		_autorun_ struct run_result run =
			run_argv(&options, (const char *const[]){"/bin/sh", "-c", script, "sh",
								 sbx_program(), site.path,
								 writes ? "echo n >n" : ":", NULL});
		_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);

		expect_success(run);
		cr_expect(strstr(run.err, writes ? "1 added" : "nothing was changed"), "%s",
			  run.err);
		cr_expect_eq(discard.status, !writes, "%s", discard.err);
		cr_expect(tree_exists(site.place.tree, "home/D/mine"));
		cr_expect(!tree_exists(site.place.tree, "home/D/0"));
		cr_expect(!tree_exists(site.place.tree, "home/D/meta"));
		cr_assert_eq(unlinkat(site.place.tree, "home/D/mine", 0), 0);
		cr_assert_eq(unlinkat(site.place.tree, "home/D", AT_REMOVEDIR), 0);
	}
	cow_finish(&site);
}

/* What was changed in the one means nothing in the other. */
Test(cow_sessions, one_of_a_directory_that_was_replaced_is_not_gone_on_with)
{
	static const char *const now[] = {"mkdir k", "echo file >k", "ln -s old k"};

	for (size_t i = 0; i < ARRAY_SIZE(now); i++) {
		char script[128];
		struct cow_site site;

		cow_start(&site, "kernel", "k/a=a\n");
		const struct run_options options = {.env = site.place.env};
		_autofree_ char *k = tree_path(site.tree, "k");
		_autorun_ struct run_result run =
			run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", k, "--session",
				     "s", "--", "/bin/sh", "-c", "echo n >\"$1/n\"", "sh", k);
		snprintf(script, sizeof(script), "cd \"$1\"; mv k old; %s", now[i]);
		_autorun_ struct run_result moved =
			run_program("/bin/sh", "-ec", script, "sh", site.path);
		_autorun_ struct run_result again =
			run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", k, "--session",
				     "s", "--", "/usr/bin/true");

		expect_success(run);
		expect_success(moved);
		cr_expect_eq(again.status, 125, "%zu", i);
		cr_expect(i > 0 || strstr(again.err, "is another directory than when the session "
						     "began"),
			  "%s", again.err);
		cow_finish(&site);
	}
}

/*
 * The inode's number may be the one that the directory had which is gone, so its birth time and its
 * filesystem's id are looked at too, where there are such; a record of an older sbx has neither.
 */
Test(cow_sessions, a_directory_with_the_same_inode_is_another)
{
	static const char anew[] = "rm -rf \"$1\"; mkdir \"$1\"; echo host >\"$1/a\"";
	static const char edit[] = "cd \"$1\"; cp meta kept; sed -z \"$2\" kept >meta; "
				   "cmp -s kept meta || echo edited";
	static const struct {
		const char *how;
		bool is_same;
	} rows[] = {
		{"s/^born=.*/born=1.5/", false},
		{"s/^fsid=.*/fsid=1:5/", false},
		{"/^inode=/!b; s/=[0-9]*:/=1:/", true},
		{"/^born=/d; /^fsid=/d", true},
	};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	const struct run_options options = {.env = site.place.env};
	_autofree_ char *dir = tree_path(site.place.tree, "home/.local/state/sbx/sessions/s");
	_autorun_ struct run_result run = cow_run(&site, "echo sandbox >a");

	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autorun_ struct run_result edited =
			run_program("/bin/sh", "-ec", edit, "sh", dir, rows[i].how);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result on = cow_run(&site, "cat a");
		_autorun_ struct run_result back =
			run_program("/bin/sh", "-ec", "cd \"$1\"; mv kept meta", "sh", dir);

		expect_success(edited);
		expect_success(back);
		/* Not on each filesystem is there such a field. */
		if (rows[i].is_same || strcmp(edited.out, "edited\n") != 0) {
			expect_success(diff);
			expect_success(apply);
			expect_out(on, "sandbox\n");
			continue;
		}
		expect_failure(diff, 1, "is another directory than when the session began");
		expect_failure(apply, 1, "is another directory than when the session began");
		expect_failure(on, 125, "is another directory than when the session began");
		cr_expect(strstr(on.err, "--cow"), "%s", on.err);
	}
	_autorun_ struct run_result replaced = run_program("/bin/sh", "-ec", anew, "sh", site.path);
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result on =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session",
			     "s", "--", "/usr/bin/true");
	_autorun_ struct run_result has =
		run_program("/bin/sh", "-c", "cat \"$1/a\"", "sh", site.path);

	expect_success(replaced);
	expect_failure(apply, 1, "is another directory than when the session began");
	expect_out(has, "host\n");
	expect_failure(on, 125, "is another directory than when the session began");
	cow_finish(&site);
}

/* With the outer one all that lies in it goes. */
Test(cow_sessions, none_begins_in_another)
{
	static const char *const inner[] = {"D/0/upper/i", "D/0/upper/new/i", "D/i", "link/i",
					    "D/0/upper/was"};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *dir = tree_path(site.place.tree, "home/D");
	_autofree_ char *beside = tree_path(site.place.tree, "home/Di");
	_autorun_ struct run_result run =
		run_in_dir(&site, dir, "mkdir d; umask 77; mkdir was; : >was/meta");

	expect_success(run);
	cr_assert_eq(symlinkat("D/0/upper/d", site.place.tree, "home/link"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
		char name[64];

		snprintf(name, sizeof(name), "home/%s", inner[i]);
		_autofree_ char *path = tree_path(site.place.tree, name);
		_autorun_ struct run_result refused = run_in_dir(&site, path, "true");

		expect_failure(refused, 125, "lies in another session, ");
		cr_expect(strstr(refused.err, "--session: ") && strstr(refused.err, dir), "%s",
			  refused.err);
		cr_expect(strstr(refused.err, "name a directory outside of it"), "%s", refused.err);
		cr_expect(i == 4 || !tree_exists(site.place.tree, name), "%s is left", name);
	}
	cr_expect(!tree_exists(site.place.tree, "home/D/0/upper/new"));
	_autorun_ struct run_result near = run_in_dir(&site, beside, "echo n >n");
	_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", beside);

	expect_success(near);
	expect_success(discard);
	expect_success(diff);
	cow_finish(&site);
}

/* The option, the cause, and what to do. */
Test(cow_sessions, what_can_be_none_is_told)
{
	static const char letters[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct cow_site site;
	char name[260], dir[sizeof(name) + 8];

	cow_start(&site, "kernel", "a=a\n");
	memset(name, 'a', sizeof(name) - 1);
	name[256] = '\0';
	snprintf(dir, sizeof(dir), "/tmp/%s", name);
	_autofree_ char *link = tree_path(site.place.tree, "home/link");
	cr_assert_eq(symlinkat(".", site.place.tree, "home/link"), 0);
	const char *const wrong[][3] = {
		{"/dev/null", "--session: /dev/null: is no directory", "name a directory of yours"},
		{link, "is a symbolic link, and those are not followed",
		 "name the directory itself"},
		{letters, "is too long for a session's name: at most 63", "--session"},
		{dir, "is too long for a directory, or a name in it is", "at most 255 bytes"},
		{site.path, "is the session itself", "put the session elsewhere"},
		{"/tmp/", "would hold what is shown, ", "put the session elsewhere"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_autorun_ struct run_result run = run_in_dir(&site, wrong[i][0], "true");

		cr_expect_eq(run.status, 125, "%zu", i);
		cr_expect(strstr(run.err, "--session"), "%s", run.err);
		cr_expect(strstr(run.err, wrong[i][1]), "%s", run.err);
		cr_expect(strstr(run.err, wrong[i][2]), "%s", run.err);
	}
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "/dev/null");

	cr_expect(strstr(diff.err, "/dev/null: is no directory, and so no session"), "%s",
		  diff.err);
	cow_finish(&site);
}

/* What is made for a session is the caller's whatever else he shuts. */
Test(cow_sessions, any_umask_will_do)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	for (int writes = 0; writes < 2; writes++) {
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run =
			run_argv(&options,
				 (const char *const[]){"/bin/sh", "-c",
						       "umask 777; exec \"$1\" --ro-bind /usr /usr "
						       "--cow \"$2\" --session s "
						       "--chdir \"$2\" -- /bin/sh -c \"umask; $3\"",
						       "sh", sbx_program(), site.path,
						       writes ? "umask 22; echo n >n" : ":", NULL});
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

		expect_success(run);
		cr_expect_str_eq(run.out, "0777\n");
		cr_expect_eq(discard.status, !writes, "%s", discard.err);
		cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s"));
	}
	cow_finish(&site);
}

/* A file that is called as a record is does not make a directory a session. */
Test(cow_sessions, a_file_called_meta_is_no_record)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *dir = tree_path(site.place.tree, "home/D");
	_autorun_ struct run_result made = run_program(
		"/bin/sh", "-ec",
		"umask 077; mkdir -p \"$1/0/src\"; echo >\"$1/0/src/f\"; echo mine >\"$1/meta\"",
		"sh", dir);
	_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);
	bool is_left = tree_exists(site.place.tree, "home/D/meta");
	_autorun_ struct run_result locked =
		run_program("/bin/sh", "-ec", ": >\"$1/lock\"", "sh", dir);
	_autorun_ struct run_result again = cow_verb(&site, "discard", dir);

	expect_success(made);
	cr_expect_eq(discard.status, 1);
	cr_expect(is_left);
	/* With a lock it is taken for one; what none has made stays all the same. */
	expect_success(locked);
	cr_expect(tree_exists(site.place.tree, "home/D/0/src/f"));
	cow_finish(&site);
}

Test(cow_sessions, one_that_cannot_be_read_is_not_passed_over_in_silence)
{
	static const struct {
		const char *damage, *why;
	} rows[] = {
		{"chmod 755 s", "sbx: s: cannot open the session: Permission denied"},
		{"rm s/lock; mkdir s/lock", "/s: cannot lock the session: Is a directory"},
		{"rm -r s; echo mine >s", NULL},
		{"rm -r s; mkdir -m 755 s; echo mine >s/file", NULL},
		{"rm -r s; ln -s / s", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cow_site site;
		char script[128];

		cow_start(&site, "kernel", "a=a\n");
		(void)snprintf(script, sizeof(script),
			       "cd \"${1#HOME=}\"/.local/state/sbx/sessions; %s", rows[i].damage);
		_autorun_ struct run_result run = cow_run(&site, "echo n >n");
		_autorun_ struct run_result broken =
			run_program("/bin/sh", "-ec", script, "sh", site.place.home);
		_autorun_ struct run_result list = cow_verb(&site, "sessions", "--json");

		expect_success(run);
		expect_success(broken);
		expect_out(list, "[]\n");
		cr_expect(rows[i].why ? strstr(list.err, rows[i].why) != NULL : !list.err[0],
			  "%zu: %s", i, list.err);
		cow_finish(&site);
	}
}

/* The first launch of all makes the places for records, which may be in what is shown. */
Test(cow_sessions, what_sbx_makes_in_a_home_is_no_change_since)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *home = NULL, *session = tree_path(site.place.tree, "s");

	cr_assert(asprintf(&home, "HOME=%s", site.path) > 0);
	const struct run_options options = {.env = (const char *const[]){home, NULL}};
	_autorun_ struct run_result run =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session",
			     session, "--", "/bin/sh", "-ec", "umask 22; echo n >~/new");
	_autorun_ struct run_result apply = run_sbx_with(&options, "apply", session);

	expect_success(run);
	expect_out(apply, "applied: 1 added, 0 changed, 0 deleted\n");
	cr_expect(tree_exists(site.tree, ".local/state/sbx/boxes"));
	cow_finish(&site);
}
