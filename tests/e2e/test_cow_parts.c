/* SPDX-License-Identifier: MIT */
/* A session that is applied in parts, and what somebody does on the host between two of them. */

#include "cow.h"

/* What one apply did, what happened on the host, and what the next one says. */
struct parts {
	const char *name, *inside, *option, *glob, *host, *conflict, *stays;
};

/* What had happened on the host before the first, which may have been forced. */
struct early {
	struct parts parts;
	const char *host;
	bool force;
};

static void run_on_host(const struct cow_site *site, const char *script)
{
	const struct run_options options = {.cwd = site->path};
	const char *const argv[] = {"/bin/sh", "-ec", script ? script : ":", NULL};
	_autorun_ struct run_result run = run_argv(&options, argv);

	expect_success(run);
}

static void check_parts(const struct parts *p, const struct early *early, const char *driver)
{
	struct cow_site site;

	cow_start(&site, driver, "a=one\n", "l1=L\n", "d/", "keepd/k=k\n", "gone/z=z\n");
	run_on_host(&site, "ln l1 l2; ln l1 l3; ln gone/z zz; chmod 755 d");
	_autorun_ struct run_result run = cow_run(&site, p->inside);
	run_on_host(&site, early ? early->host : NULL);
	_autorun_ struct run_result part = cow_verb(&site, "apply", p->option, p->glob, "s",
						    early && early->force ? "--force" : NULL);
	run_on_host(&site, p->host);
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

	expect_success(run);
	expect_success(part);
	if (!p->conflict) {
		cr_expect_eq(rest.status, 0, "%s, %s: %s", driver, p->name, rest.err);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		expect_out(diff, "");
	} else {
		cr_expect_eq(rest.status, 1, "%s, %s: %s%s", driver, p->name, rest.out, rest.err);
		cr_expect(strstr(rest.err, p->conflict), "%s, %s: %s", driver, p->name, rest.err);
		run_on_host(&site, p->stays);
		_autorun_ struct run_result force = cow_verb(&site, "apply", "--force", "s");
		expect_success(force);
	}
	cow_finish(&site);
}

static void check_all(const struct parts *parts, size_t n)
{
	EACH_DRIVER(driver)
	for (size_t i = 0; i < n; i++)
		check_parts(&parts[i], NULL, driver);
}

static const char changed[] = " has changed on the host since the session began";

/* The numbers of l1 are free then, and sed(1) makes a file anew. */
Test(cow_parts, a_number_that_is_used_again_is_not_taken_for_our_own)
{
	static const struct parts parts[] = {
		{"all names", "rm l1 l2 l3; echo s >>a", "--exclude", "a", "sed -i s/one/HOST/ a",
		 changed, "grep -q HOST a"},
		{"all replaced", "echo 2 >>l1; rm l2 l3; echo s >>a", "--exclude", "a",
		 "sed -i s/one/HOST/ a", changed, "grep -q HOST a"},
	};

	for (int i = 0; i < 4; i++)
		check_all(parts, ARRAY_SIZE(parts));
}

Test(cow_parts, what_the_host_changed_behind_the_first_part_stays)
{
	static const struct parts parts[] = {
		{"another name", "rm l1; echo w >>l2", "--include", "l1", "echo HOST >>l3", changed,
		 "grep -q HOST l2"},
		{"permissions of a file", "rm l1; echo w >>l2", "--include", "l1", "chmod 600 l3",
		 changed, "test $(stat -c %a l2) = 600"},
		{"permissions", "echo n >d/new; chmod 711 d", "--include", "d/new", "chmod 700 d",
		 changed, "test $(stat -c %a d) = 700"},
		{"removed", "echo k >>keepd/k; echo 2 >keepd/2", "--include", "keepd/2",
		 "rm keepd/k", changed, "test ! -e keepd/k"},
		{"added", "rm keepd/k; echo 2 >keepd/2", "--include", "keepd/2", "echo h >keepd/h",
		 changed, "test -e keepd/k"},
		{"in a new directory", "mkdir n; echo 1 >n/1; echo 2 >n/2", "--include", "n/1",
		 "echo h >n/h", changed, "test ! -e n/2"},
		{"removed with a directory", "rm -r gone; echo w >>zz", "--include", "gone",
		 "echo HOST >>zz", changed, "grep -q HOST zz"},
	};

	check_all(parts, ARRAY_SIZE(parts));
}

/* Each part is possible without it, or forced. What is left is not. */
Test(cow_parts, what_the_host_changed_before_the_first_part_stays)
{
	static const struct early early[] = {
		{{"permissions", "echo w >>keepd/k; chmod 711 keepd", "--include", "keepd/k", NULL,
		  changed, "test $(stat -c %a keepd) = 700"},
		 "chmod 700 keepd",
		 false},
		{{"added", "echo w >>keepd/k; echo 2 >keepd/2", "--include", "keepd/k", NULL,
		  changed, "test ! -e keepd/2"},
		 "echo h >keepd/h",
		 false},
		{{"removed", "echo w >>gone/z; echo w >>keepd/k; echo 2 >keepd/2", "--include",
		  "keepd/2", NULL, changed, "test ! -e keepd/k"},
		 "rm keepd/k",
		 true},
		{{"another name", "rm l1; echo w >>l2", "--include", "l1", NULL, changed,
		  "grep -q HOST l2"},
		 "echo HOST >>l3",
		 true},
		{{"removed with a directory", "rm -r gone; echo w >>zz", "--include", "gone", NULL,
		  changed, "grep -q HOST zz"},
		 "echo HOST >>zz",
		 true},
		{{"another name is linked to", "ln l1 l4; echo w >>l1; chmod 600 l2", "--include",
		  "l4", NULL, changed, "grep -q HOST l2"},
		 "echo HOST >>l3",
		 true},
	};

	EACH_DRIVER(driver)
	for (size_t i = 0; i < ARRAY_SIZE(early); i++)
		check_parts(&early[i].parts, &early[i], driver);
}

/* Also files that have lost a name with a whole directory. */
Test(cow_parts, own_work_is_not_taken_for_the_hosts)
{
	static const struct parts parts[] = {
		{"names", "rm l1; echo w >>l2; ln l2 l4; rm l3", "--include", "l1", NULL, NULL,
		 NULL},
		{"directories",
		 "echo n >d/new; chmod 711 d; mkdir -p e/f; echo 1 >e/f/1; "
		 "echo 2 >e/f/2",
		 "--include", "e/f/1", NULL, NULL, NULL},
		{"removed with a directory", "rm -r gone; echo w >>zz", "--include", "gone", NULL,
		 NULL, NULL},
		{"replaced with a directory", "rm -r gone; echo f >gone; echo w >>zz", "--include",
		 "gone", NULL, NULL, NULL},
		{"replaced by a link to what was in it", "rm -r gone; ln zz gone; echo w >>a",
		 "--include", "gone", NULL, NULL, NULL},
		{"a file that a directory replaces",
		 "rm l1 l3; mkdir l1; for i in $(seq 70); do echo $i >l1/$i; done; echo w >>l2",
		 "--include", "l1", NULL, NULL, NULL},
		{"elsewhere", "echo n >d/new; rm keepd/k", "--include", "d",
		 "echo h >h; rm h; "
		 "touch gone/h",
		 NULL, NULL},
	};

	check_all(parts, ARRAY_SIZE(parts));
}

/* More than is put in place together lies between the two. */
Test(cow_parts, a_name_that_went_with_a_directory_stops_nothing)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a/l=l\n");
		run_on_host(&site, "ln a/l z");
		_autorun_ struct run_result run =
			cow_run(&site, "rm -r a; for i in $(seq 200); do echo $i >b$i; done; "
				       "echo w >>z");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(apply);
		cow_finish(&site);
	}
}

/* The two are alike, and the command has made them one file: nothing that diff would tell. */
Test(cow_parts, a_name_that_becomes_another_files_is_looked_at_too)
{
	static const char words[] = "/b: has changed on the host since the session began\n";

	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "w=w\n", "a=a\n");
		run_on_host(&site, "cp -p a b");
		_autorun_ struct run_result run = cow_run(&site, "ln -f a b; echo n >w");
		run_on_host(&site, "ln b c");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result stopped = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_failure(dry, 1, words);
		expect_failure(stopped, 1, words);
		run_on_host(&site, "test b -ef c; test $(cat w) = w");
		_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");
		expect_success(forced);
		run_on_host(&site, "test b -ef a; test $(cat w) = n");
		cow_finish(&site);
	}
}

/* A further name of a file with a set-id bit is a copy, and is not made again by the next apply. */
Test(cow_parts, a_copy_that_is_no_link_is_made_once)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		run_on_host(&site, "chmod 4755 a");
		_autorun_ struct run_result run = cow_run(&site, "ln a c");
		_autorun_ struct run_result first = cow_verb(&site, "apply", "s");
		run_on_host(&site, "test -f c; test ! -u c; ln c mine; chmod 700 c; chmod 755 c");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result second = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");

		expect_success(run);
		expect_success(first);
		expect_success(dry);
		expect_success(second);
		expect_success(forced);
		run_on_host(&site, "test -u a; test c -ef mine");
		cow_finish(&site);
	}
}

/* The name that is there gets a further one, whatever has been done to it: nothing is replaced. */
Test(cow_parts, a_dry_run_links_to_what_is_there)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "w=w\n");
		_autorun_ struct run_result run = cow_run(&site, "echo x >b; ln b a");
		_autorun_ struct run_result part = cow_verb(&site, "apply", "--include", "b", "s");
		run_on_host(&site, "chmod 600 b; chmod 644 b");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result whole = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(part);
		expect_success(dry);
		expect_success(whole);
		run_on_host(&site, "test a -ef b");
		cow_finish(&site);
	}
}

/* What the command changes once more was given to the host by an apply, and by nobody else. */
Test(cow_parts, a_session_goes_on_behind_a_part)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=one\n", "b=one\n", "c=one\n", "d/");
		_autorun_ struct run_result first = cow_run(
			&site, "echo 1 >a; echo 1 >b; echo 1 >c; ln -s 1 l; echo 1 >h; ln h d/h");
		_autorun_ struct run_result part =
			cow_verb(&site, "apply", "--exclude", "c", "--exclude", "d", "s");
		_autorun_ struct run_result second =
			cow_run(&site, "cat a; echo 2 >a; rm b; ln -sf 2 l; echo 2 >h; echo 2 >c");
		_autorun_ struct run_result again = cow_verb(&site, "apply", "--exclude", "c", "s");
		_autofree_ char *a = tree_read(site.tree, "a"), *h = tree_read(site.tree, "d/h");
		_autorun_ struct run_result third = cow_run(&site, "echo 3 >a; echo 3 >c");
		run_on_host(&site, "echo HOST >>a");
		_autorun_ struct run_result refused = cow_verb(&site, "apply", "s");

		expect_success(first);
		expect_success(part);
		expect_out(second, "1\n");
		expect_success(again);
		cr_expect_str_eq(a, "2\n");
		cr_expect_str_eq(h, "2\n");
		cr_expect(!tree_exists(site.tree, "b"));
		expect_success(third);
		expect_failure(refused, 1, "/a: has changed on the host since the session began");
		expect_failure(refused, 1, "1 of the entries has changed");
		run_on_host(&site, "grep -q HOST a");
		cow_finish(&site);
	}
}
