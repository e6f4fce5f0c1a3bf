/* SPDX-License-Identifier: MIT */
/*
 * What may have become of a session since it began: its files, the clock, its last use, an apply
 * that was killed, and mounts.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cow.h"

static const char kept[] = "home/.local/state/sbx/sessions/s";

/* In the directory of the session; $1 is what it is a view of. */
static void on_session(const struct cow_site *site, const char *script)
{
	_autofree_ char *dir = tree_path(site->place.tree, kept);
	_autorun_ struct run_result run = run_program(
		"/bin/sh", "-ec", "cd \"$1\"; shift; eval \"$2\"", "sh", dir, site->path, script);

	expect_success(run);
}

/* ---- what is none ---- */

/* Others may enter it, so it cannot be one; and it is told what it is not. */
Test(cow_later, a_plain_directory_is_no_session)
{
	static const char *const verbs[] = {"diff", "apply", "discard"};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	cr_assert_eq(chmod(site.path, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		_autorun_ struct run_result run = cow_verb(&site, verbs[i], site.path);

		expect_failure(run, 1, "is no session");
		cr_expect(!strstr(run.err, "chmod"), "%s", run.err);
	}
	cow_finish(&site);
}

/* Nobody writes to that fifo, and nobody reads from it: no verb waits for one. */
Test(cow_later, a_fifo_stops_no_verb)
{
	static const struct {
		const char *name, *apply; /* what it says; NULL: nothing */
	} rows[] = {
		{"meta", "has a record that is no file"},
		{"lock", "has a lock that is no file"},
		{"journal", "cannot open the journal"},
		{"removals", "cannot be applied"},
		{"applied", "cannot note that all is applied"},
		{"meta.new", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cow_site site;
		char script[128];

		cow_start(&site, "kernel", "a=a\n", "d/f=f\n");
		_autorun_ struct run_result run = cow_run(&site, "echo n >n; rm -r d");

		expect_success(run);
		snprintf(script, sizeof(script), "rm -f %s; mkfifo %s", rows[i].name, rows[i].name);
		on_session(&site, script);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result list = cow_verb(&site, "sessions");
		_autorun_ struct run_result again = cow_run(&site, ":");
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

		cr_expect_eq(diff.status, i < 2, "%s: %s", rows[i].name, diff.err);
		if (rows[i].apply)
			expect_failure(apply, 1, rows[i].apply);
		else
			expect_success(apply);
		expect_success(list);
		cr_expect(again.status == 0 || again.status == 125, "%s", again.err);
		cr_expect(tree_exists(site.tree, "a"));
		cow_finish(&site);
	}
}

/* ---- the clock ---- */

/* As if it had been set back by an hour since then. */
static const char ahead[] =
	"t=$(sed -zn 's/^began=//p' meta | tr -d '\\0'); n=$((${t%.*} + 3600)).${t#*.}\n"
	"sed -zi \"s/^began=.*/began=$n/\" meta";

/* And has caught up: more than that hour has passed by the clock that nobody sets. */
static const char caught_up[] = "t=$(sed -zn 's/^clock=//p' meta | tr -d '\\0'); up=${t%% *}\n"
				"n=$((${up%.*} - 3600)).${up#*.}; case $n in -*) n=0.0;; esac\n"
				"sed -zi \"s/^clock=[^ ]*/clock=$n/\" meta";

/* What the host has done after it looks older than the session. */
Test(cow_later, a_clock_that_was_set_back_is_noticed)
{
	static const char *const clocks[] = {ahead, caught_up};
	static const char words[] = "the clock was set back since the session began";

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "f=f\n");
		_autorun_ struct run_result run = cow_run(&site, "echo SESSION >f");

		expect_success(run);
		cr_expect(!strstr(run.err, words), "%s", run.err);
		on_session(&site, clocks[i]);
		on_session(&site, "echo HOST >\"$1/f\"");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "-n", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autofree_ char *host = tree_read(site.tree, "f");
		_autorun_ struct run_result again = cow_run(&site, "cat f");
		_autorun_ struct run_result still = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result force = cow_verb(&site, "apply", "--force", "s");
		_autofree_ char *forced = tree_read(site.tree, "f");

		expect_success(diff);
		cr_expect(strstr(diff.out, "/f (content)\n"), "%s", diff.out);
		cr_expect(strstr(diff.err, words), "%s", diff.err);
		expect_failure(dry, 1, words);
		expect_failure(apply, 1, words);
		cr_expect(strstr(apply.err, "--force"), "%s", apply.err);
		cr_expect_str_eq(host, "HOST\n");
		expect_out(again, "SESSION\n");
		cr_expect(strstr(again.err, words), "%s", again.err);
		expect_failure(still, 1, words);
		expect_success(force);
		cr_expect_str_eq(forced, "SESSION\n");
		/* It begins anew, by the clock as it is. */
		_autorun_ struct run_result anew = cow_run(&site, "echo 3 >f");
		_autorun_ struct run_result last = cow_verb(&site, "apply", "s");

		cr_expect(!strstr(anew.err, words), "%s", anew.err);
		expect_success(last);
		cow_finish(&site);
	}
}

/* ---- the last use ---- */

/* As if it had begun, and been used, ten days ago. */
static const char old[] = "sed -zi \"s/^began=.*/began=$(($(date +%s) - 864000)).0/\" meta\n"
			  "touch -d '10 days ago' lock";

static long long number_in(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	cr_assert(at, "no %s in %s", key, json);
	return strtoll(at + strlen(key), NULL, 10);
}

/* One that is gone on with each day is not old, whenever it began. */
Test(cow_later, one_is_as_old_as_its_last_use)
{
	static const char *const uses[] = {"launch", "apply", "none"};

	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		bool is_used = i < 2;
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		_autorun_ struct run_result run = cow_run(&site, "echo n >n; echo m >m");
		on_session(&site, old);
		_autorun_ struct run_result use =
			i == 0	 ? cow_run(&site, "sleep .02; echo more >k")
			: i == 1 ? cow_verb(&site, "apply", "--force", "--include", "n", "s")
				 : cow_verb(&site, "diff", "s");
		_autorun_ struct run_result json = cow_verb(&site, "sessions", "--json");
		long long began = number_in(json.out, "\"began\": "),
			  used = number_in(json.out, "\"used\": ");

		expect_success(run);
		expect_success(use);
		if (is_used)
			cr_expect_geq(used - began, 863999, "%s: %s", uses[i], json.out);
		else
			cr_expect_leq(used - began, 1, "%s: %s", uses[i], json.out);
		/* Also what the command has done to the last counts. */
		if (i == 0)
			on_session(&site, "! test 0/upper/k -nt lock");
		_autorun_ struct run_result prune = cow_verb(&site, "prune", "--older-than", "7d");

		expect_out(prune, is_used ? "" : "s\n");
		cr_expect_eq(tree_exists(site.place.tree, kept), is_used, "%s", uses[i]);
		cow_finish(&site);
	}
}

/* ---- an apply that was killed ---- */

/* Killed in the removal of d, whose name is gone by then. */
static void kill_an_apply(const struct cow_site *site)
{
	static const char script[] =
		"\"$1\" apply s & p=$!\n"
		"while test -e \"$2/d\" && kill -0 $p 2>/dev/null; do :; done\n"
		"kill -9 $p 2>/dev/null; wait $p 2>/dev/null || :; cd \"$2\"; echo .sbx-apply-*";
	const struct run_options options = {.env = site->place.env};
	_autorun_ struct run_result run =
		run_argv(&options, (const char *const[]){"/bin/sh", "-c", script, "sh",
							 sbx_program(), site->path, NULL});

	expect_success(run);
	cr_assert(!strstr(run.out, "*") && strstr(run.out, ".sbx-apply-"),
		  "the apply was over before it was killed: %s%s", run.out, run.err);
}

static const char many[] =
	"mkdir \"$1/d\"; cd \"$1/d\"; i=0; while test $i -lt 200; do mkdir $i; "
	"(cd $i; touch 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w x y z); "
	"i=$((i + 1)); done";

static void on_host(const struct cow_site *site, const char *script)
{
	_autorun_ struct run_result run = run_program("/bin/sh", "-ec", script, "sh", site->path);

	expect_success(run);
}

/* What it was taking away has no other name, and nothing would find that any more. */
Test(cow_later, one_whose_apply_was_killed_is_not_removed_unasked)
{
	struct cow_site site;

	for (int refused = 0; refused < 2; refused++) {
		cow_start(&site, "kernel", "a=a\n");
		on_host(&site, many);
		_autorun_ struct run_result run = cow_run(&site, "rm -r d; echo s >>a");

		expect_success(run);
		kill_an_apply(&site);
		/* One that is refused for another reason has not ended it. */
		if (refused) {
			on_host(&site, "echo host >>\"$1/a\"");
			_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

			expect_failure(apply, 1, "changed on the host");
		}
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");
		_autorun_ struct run_result prune = cow_verb(&site, "prune", "--older-than", "0");

		expect_failure(discard, 1, "s: an apply of it was killed");
		cr_expect(strstr(discard.err, "sbx apply s"), "%s", discard.err);
		cr_expect(strstr(discard.err, "discard --force"), "%s", discard.err);
		expect_out(prune, "");
		cr_expect(strstr(prune.err, "sbx: s: stays, as an apply of it was killed"), "%s",
			  prune.err);
		cr_expect(tree_exists(site.place.tree, kept));
		if (refused) {
			_autorun_ struct run_result force =
				cow_verb(&site, "discard", "--force", "s");

			expect_success(force);
		} else {
			_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
			_autorun_ struct run_result ends = cow_verb(&site, "discard", "s");

			expect_success(apply);
			expect_success(ends);
			on_host(&site, "test \"$(ls -A \"$1\")\" = a");
		}
		cr_expect(!tree_exists(site.place.tree, kept));
		cow_finish(&site);
	}
}

/* An apply of a part that has ended leaves nothing behind. */
Test(cow_later, one_that_was_applied_in_part_can_be_removed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "d/f=f\n");
	_autorun_ struct run_result run = cow_run(&site, "rm -r d; echo s >>a");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "--include", "d", "s");
	_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

	expect_success(run);
	expect_success(apply);
	expect_success(discard);
	cow_finish(&site);
}

/* ---- mounts that have gone, or come ---- */

/* As of a session that began with something mounted at stick. $2: what is done to its layer */
static const char with_a_mount[] = "mkdir -p 1/upper 1/base 1/work; chmod 755 1/base 1/upper\n"
				   "printf 'root=%s/stick\\0inode=0:1\\0' \"$1\" >>meta\n"
				   "touch -r 1/base 1/upper";

static void expect_content(const struct cow_site *site, const char *name, const char *text)
{
	_autofree_ char *content = tree_read(site->tree, name);

	cr_expect_str_eq(content, text, "%s", name);
}

/* The others can be shown, and applied if it is left out; and it is told what is missing. */
Test(cow_later, a_mount_that_has_gone_does_not_bar_the_others)
{
	static const char *const choices[][2] = {
		{"--exclude", "stick"}, {"--exclude", "s*"}, {"--include", "a"}};
	static const char *const refused[][2] = {{"--force", "-f"},
						 {"--include", "stick"},
						 {"--include", "stick/n"},
						 {"--exclude", "stick/other"}};

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n", "stick/s=s\n");
		_autofree_ char *words = tree_path(site.tree, "stick");
		_autorun_ struct run_result run = cow_run(&site, "echo 2 >>a");

		expect_success(run);
		on_session(&site, with_a_mount);
		on_session(&site, "echo n >1/upper/n");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result json = cow_verb(&site, "diff", "--json", "s");
		_autorun_ struct run_result all = cow_verb(&site, "apply", "s");

		expect_failure(diff, 1, "/stick: is another directory than when the session began");
		cr_expect(strstr(diff.err, words), "%s", diff.err);
		cr_expect(strstr(diff.err, "sbx apply --exclude 'stick' s"), "%s", diff.err);
		cr_expect(strstr(diff.out, "/a (content)\n"), "%s", diff.out);
		cr_expect_eq(json.status, 1);
		cr_expect(strstr(json.out, "\"error\""), "%s", json.out);
		expect_failure(all, 1, "/stick: is another directory than when the session began");
		cr_expect(strstr(all.err, "sbx apply --exclude 'stick' s"), "%s", all.err);
		for (size_t j = 0; j < ARRAY_SIZE(refused); j++) {
			_autorun_ struct run_result apply =
				cow_verb(&site, "apply", refused[j][0], refused[j][1], "s");

			expect_failure(apply, 1, "/stick: is another directory");
		}
		expect_content(&site, "a", "a\n");
		_autorun_ struct run_result some =
			cow_verb(&site, "apply", choices[i][0], choices[i][1], "s");

		expect_out(some, "applied: 0 added, 1 changed, 0 deleted\n");
		cr_expect(strstr(some.err, "/stick: is not what it was when the session began, "
					   "and is left out\n"),
			  "%s", some.err);
		cr_expect(!strstr(some.err, "fits nothing"), "%s", some.err);
		expect_content(&site, "a", "a\n2\n");
		cr_expect(!tree_exists(site.tree, "stick/n"));
		cow_finish(&site);
	}
}

/* Nothing is lost with it. */
Test(cow_later, a_mount_that_has_gone_unchanged_is_not_missed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >>a");

	expect_success(run);
	on_session(&site, with_a_mount);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(diff);
	cr_expect(strstr(diff.out, "/a\n"), "%s", diff.out);
	expect_out(apply, "applied: 0 added, 1 changed, 0 deleted\n");
	cow_finish(&site);
}

/* It covers what the command has changed, and is not that. */
Test(cow_later, a_mount_that_has_come_does_not_bar_the_others)
{
	static const char *const mounts[] = {"mount -t tmpfs -o mode=1777 t \"$1/stick\"",
					     "mount --bind \"$1/other\" \"$1/stick\""};
	static const char words[] =
		"/stick: something is mounted there that was not when the session began\n";

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		struct cow_site site;
		char script[512];

		cow_start(&site, "kernel", "a=a\n", "stick/s=s\n", "other/o=o\n");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run =
			cow_run(&site, "echo 2 >>a; echo n >stick/n; echo 2 >>stick/s; echo z >z");

		expect_success(run);
		snprintf(script, sizeof(script),
			 "%s; \"$2\" diff s; echo $?; \"$2\" apply s; echo $?; cat \"$1/a\"\n"
			 "\"$2\" apply --force --include stick/n s; echo $?\n"
			 "\"$2\" apply --exclude stick s; echo $?; ls -A \"$1/stick\"",
			 mounts[i]);
		_autorun_ struct run_result verbs = run_argv(
			&options, (const char *const[]){"unshare", "-Urm", "/bin/sh", "-c", script,
							"sh", site.path, sbx_program(), NULL});
		char expected[512];

		snprintf(expected, sizeof(expected),
			 "M  %s/a (content)\nA  %s/z\n1\n1\na\n1\n"
			 "applied: 1 added, 1 changed, 0 deleted\n0\n%s",
			 site.path, site.path, i ? "o\n" : "");
		expect_out(verbs, expected);
		cr_expect(strstr(verbs.err, words), "%s", verbs.err);
		cr_expect(strstr(verbs.err, "unmount it, or leave it out: sbx apply --exclude "
					    "'stick' s\n"),
			  "%s", verbs.err);
		cr_expect(strstr(verbs.err, "/stick: has something mounted on it by now, and is "
					    "left out\n"),
			  "%s", verbs.err);
		expect_content(&site, "a", "a\n2\n");
		expect_content(&site, "stick/s", "s\n");
		cow_finish(&site);
	}
}

/* A mount is a part of its own, and patterns know it by its place all the same. */
Test(cow_later, patterns_are_of_the_whole_path)
{
	static const struct {
		const char *option, *glob, *changed;
	} rows[] = {
		{"--exclude", "stick", "a=2 d/a=2 stick/a=1 stick/d/a=1"},
		{"--include", "a", "a=2 d/a=1 stick/a=1 stick/d/a=1"},
		{"--include", "stick/d", "a=1 d/a=1 stick/a=1 stick/d/a=2"},
		{"--include", "d", "a=1 d/a=2 stick/a=1 stick/d/a=1"},
		{"--include", "stick/**/a", "a=1 d/a=1 stick/a=2 stick/d/a=2"},
	};
	static const char layers[] =
		"mkdir -p 0/upper/d 1/upper/d 1/work\n"
		"for f in 0/upper/a 0/upper/d/a 1/upper/a 1/upper/d/a; do echo 2 >$f; done\n"
		"printf 'root=%s/stick\\0inode=%s\\0' \"$1\" \"$(stat -c %d:%i \"$1/stick\")\" "
		">>meta";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const char list[] = "cd \"$1\"; for f in a d/a stick/a stick/d/a; do "
					   "printf '%s=%s ' $f $(cat $f); done";
		struct cow_site site;

		cow_start(&site, "kernel", "a=1\n", "d/a=1\n", "stick/a=1\n", "stick/d/a=1\n");
		_autorun_ struct run_result run = cow_run(&site, "echo 2 >a");

		expect_success(run);
		on_session(&site, layers);
		_autorun_ struct run_result apply =
			cow_verb(&site, "apply", rows[i].option, rows[i].glob, "s");
		_autorun_ struct run_result now =
			run_program("/bin/sh", "-ec", list, "sh", site.path);
		char expected[128];

		snprintf(expected, sizeof(expected), "%s ", rows[i].changed);
		expect_success(apply);
		cr_expect(!strstr(apply.err, "fits nothing"), "%s", apply.err);
		expect_out(now, expected);
		cow_finish(&site);
	}
}
