/* SPDX-License-Identifier: MIT */
/*
 * attack profiles: somebody else wants to say what a sandbox gives away. Each starts with
 * the honest file, which works, and changes one thing.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

#define TEXT "ro-bind /usr /usr\nsetenv WHO me\n"

static struct run_result use(int tree, const char *name)
{
	_autofree_ char *path = tree_path(tree, name);

	return run_sbx("--profile", path, "--", "sh", "-c", "echo $WHO");
}

static void expect_use(int tree, const char *name)
{
	_autorun_ struct run_result r = use(tree, name);

	cr_assert_str_eq(r.out, "me\n", "%s", r.err);
}

static void expect_no_use(int tree, const char *name, const char *why)
{
	_autorun_ struct run_result r = use(tree, name);

	cr_expect_eq(r.status, 125);
	cr_expect_str_eq(r.out, "");
	cr_expect(strstr(r.err, why), "%s: %s", name, r.err);
}

Test(profiles, written_by_others_is_refused)
{
	_autoclose_ int tree = tmp_tree("d/file=" TEXT);

	expect_use(tree, "d/file");
	cr_assert_eq(fchmodat(tree, "d/file", 0666, 0), 0);
	expect_no_use(tree, "d/file", "file can be written by others");
	cr_assert_eq(fchmodat(tree, "d/file", 0660, 0), 0);
	expect_no_use(tree, "d/file", "file can be written by others");
}

Test(profiles, in_a_directory_that_others_write_is_refused)
{
	_autoclose_ int tree =
		tmp_tree("open/deep/file=" TEXT, "include=include ./open/deep/file\n");

	expect_use(tree, "open/deep/file");
	expect_use(tree, "include");
	cr_assert_eq(fchmodat(tree, "open", 0777, 0), 0);
	expect_no_use(tree, "open/deep/file", "open can be written by others");
	expect_no_use(tree, "include", "open can be written by others");
	/* Of a directory with the sticky bit that is not root's, the owner can replace files. */
	cr_assert_eq(fchmodat(tree, "open", 01770, 0), 0);
	expect_no_use(tree, "open/deep/file", "open can be written by others");
}

Test(profiles, behind_a_link_the_way_counts_too)
{
	_autoclose_ int tree = tmp_tree("good/file=" TEXT, "open/file=" TEXT, "a -> good/file",
					"b -> open/file", "open/c -> ../good/file", "loop -> loop");

	expect_use(tree, "a");
	expect_use(tree, "b");
	expect_use(tree, "open/c");
	cr_assert_eq(fchmodat(tree, "open", 0777, 0), 0);
	expect_use(tree, "a");
	expect_no_use(tree, "b", "open can be written by others");
	expect_no_use(tree, "open/c", "open can be written by others");
	expect_no_use(tree, "loop", "ymbolic link"); /* each C library has its own words */
}

/* With no more than the caller mapped, as root, all that is root's is of somebody unknown. */
Test(profiles, of_another_user_is_refused)
{
	_autoclose_ int tree = tmp_tree("file=" TEXT);
	_autofree_ char *path = tree_path(tree, "file");
	_autorun_ struct run_result probe = run_program("unshare", "-r", "true");

	skip_unless(probe.status == 0, "unshare -r does not work here");
	expect_use(tree, "file");
	_autorun_ struct run_result r = run_program("unshare", "-r", sbx_program(), "--profile",
						    path, "--explain", "--", "true");

	cr_expect_eq(r.status, 125);
	cr_expect(strstr(r.err, "belongs to somebody without an id here"), "%s", r.err);
}

Test(profiles, what_is_no_plain_file_is_refused)
{
	_autoclose_ int tree = tmp_tree("file=" TEXT, "dir/", "linked=" TEXT);

	expect_use(tree, "linked");
	cr_assert_eq(mkfifoat(tree, "fifo", 0600), 0);
	expect_no_use(tree, "fifo", "not a regular file");
	expect_no_use(tree, "dir", "Is a directory");
	cr_assert_eq(linkat(tree, "linked", tree, "other-name", 0), 0);
	expect_no_use(tree, "linked", "second name");
}

/* The command would write the options of the next sandbox. */
Test(profiles, that_the_sandbox_can_write_is_refused)
{
	_autoclose_ int tree = tmp_tree("work/file=" TEXT);
	_autofree_ char *file = tree_path(tree, "work/file"), *work = tree_path(tree, "work"),
			*above = tree_path(tree, "");
	const char *binds[][2] = {{work, "/w"}, {above, "/w"}, {file, "/f"}};
	_autorun_ struct run_result attack =
		run_sbx("--ro-bind", "/usr", "/usr", "--bind", work, "/w", "--", "sh", "-c",
			"echo 'setenv WHO evil' >> /w/file");
	_autorun_ struct run_result after = use(tree, "work/file");

	cr_assert_eq(attack.status, 0, "%s", attack.err);
	cr_assert_str_eq(after.out, "evil\n");
	for (size_t i = 0; i < ARRAY_SIZE(binds); i++) {
		_autorun_ struct run_result r = run_sbx("--profile", file, "--bind", binds[i][0],
							binds[i][1], "--", "true");
		_autorun_ struct run_result ro = run_sbx("--profile", file, "--ro-bind",
							 binds[i][0], binds[i][1], "--", "true");

		cr_expect_eq(r.status, 125);
		cr_expect(strstr(r.err, "could change this profile"), "%s", r.err);
		cr_expect_eq(ro.status, 0, "%s", ro.err);
	}
}
