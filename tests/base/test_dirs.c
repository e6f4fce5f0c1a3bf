/* SPDX-License-Identifier: MIT */
/* dirs: a directory of records is made closed, and one that others can enter is refused. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sbx/base/dirs.h"
#include "testlib.h"

Test(dirs, what_is_missing_is_made_for_the_caller_alone)
{
	_autoclose_ int tree = tmp_tree("run/");
	_autofree_ char *path = tree_path(tree, "run/a/b");
	struct stat st;

	cr_expect_eq(dirs_open_own(path), -ENOENT);
	_autoclose_ int fd = dirs_make_own(path);

	cr_assert_geq(fd, 0, "%d", fd);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700, "%o", st.st_mode);
	cr_assert_eq(fstatat(tree, "run/a", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0700, "%o", st.st_mode);
	_autoclose_ int again = dirs_make_own(path);

	cr_expect_geq(again, 0);
}

Test(dirs, what_is_made_does_not_follow_the_umask)
{
	static const mode_t masks[] = {0, 0777};

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		_autoclose_ int tree = tmp_tree("run/");
		_autofree_ char *path = tree_path(tree, "run/a/b");
		const mode_t before = umask(masks[i]);
		_autoclose_ int fd = dirs_make_own(path);
		struct stat st;

		cr_expect_eq(umask(before), masks[i]);
		cr_expect_geq(fd, 0, "%o: %d", masks[i], fd);
		cr_assert_eq(fstatat(tree, "run/a", &st, 0), 0);
		cr_expect_eq(st.st_mode & 07777, 0700, "%o: %o", masks[i], st.st_mode);
	}
}

Test(dirs, what_others_can_enter_or_what_is_a_link_is_refused)
{
	_autoclose_ int tree = tmp_tree("open/", "own/", "link -> own");
	_autofree_ char *open_path = tree_path(tree, "open"), *link = tree_path(tree, "link");

	cr_assert_eq(fchmodat(tree, "open", 0710, 0), 0);
	cr_assert_eq(fchmodat(tree, "own", 0700, 0), 0);
	cr_expect_eq(dirs_make_own(open_path), -EACCES);
	cr_expect_eq(dirs_make_own(link), -ENOTDIR);
	cr_expect_eq(dirs_make_own("/proc/sbx"), -EACCES, "what lies above is not the caller's");
}

Test(dirs, a_lock_is_waited_for_and_given_up)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");

	cr_assert_eq(fchmodat(tree, "d", 0700, 0), 0);
	_autoclose_ int one = dirs_open_own(path), two = dirs_open_own(path);

	cr_expect_eq(dirs_lock(one, 0), 0);
	cr_expect_eq(dirs_lock(two, 10), -EWOULDBLOCK);
	close(take_fd(&one));
	cr_expect_eq(dirs_lock(two, 0), 0);
}

Test(dirs, a_check_says_what_making_would_and_makes_nothing)
{
	_autoclose_ int tree = tmp_tree("run/", "open/", "shut/");
	_autofree_ char *path = tree_path(tree, "run/a/b"), *run = tree_path(tree, "run"),
			*open_path = tree_path(tree, "open"), *shut = tree_path(tree, "shut/a");
	struct stat st;

	cr_assert_eq(fchmodat(tree, "run", 0700, 0), 0);
	cr_assert_eq(fchmodat(tree, "open", 0710, 0), 0);
	cr_assert_eq(fchmodat(tree, "shut", 0500, 0), 0);
	cr_expect_eq(dirs_check_own(run), 0);
	cr_expect_eq(dirs_check_own(path), 0);
	cr_expect_lt(fstatat(tree, "run/a", &st, 0), 0, "it was made");
	cr_expect_eq(dirs_check_own(open_path), -EACCES);
	cr_expect_eq(dirs_check_own("/proc/sbx"), -EACCES);
	if (geteuid() != 0)
		cr_expect_eq(dirs_check_own(shut), -EACCES);
	/* What is there and the caller's own may not take anything all the same. */
	cr_assert_eq(fchmodat(tree, "run", 0500, 0), 0);
	if (geteuid() != 0)
		cr_expect_eq(dirs_check_own(run), -EACCES);
	cr_assert_eq(fchmodat(tree, "run", 0700, 0), 0);
	_autorun_ struct run_result left = run_program("find", run, "-mindepth", "1");

	cr_expect_str_eq(left.out, "");
}

Test(dirs, what_was_made_is_told_and_only_that_is_unmade)
{
	_autoclose_ int tree = tmp_tree("there/");
	_autofree_ char *path = tree_path(tree, "there/a/b/c"), *there = tree_path(tree, "there");
	unsigned made = 9;

	cr_assert_eq(dirs_make(path, &made), 0);
	cr_expect_eq(made, 3, "%u", made);
	cr_assert_eq(dirs_make(path, &made), 0);
	cr_expect_eq(made, 0, "what was there is not told as made: %u", made);
	cr_assert_eq(mkdirat(tree, "there/a/x", 0700), 0);
	cr_expect(dirs_unmake(path, 3));
	cr_expect(!tree_exists(tree, "there/a/b"));
	cr_expect(tree_exists(tree, "there/a/x"), "what is not empty stays");
	cr_expect(!dirs_unmake(there, 1), "which is told of the first");
	cr_expect(dirs_unmake(there, 0));
}

/* A name that is too long comes behind two that are not. */
Test(dirs, what_cannot_be_made_leaves_nothing)
{
	_autoclose_ int tree = tmp_tree("there/", "file=");
	_autofree_ char *there = tree_path(tree, "there"), *file = tree_path(tree, "file/a");
	char path[512];
	unsigned made = 9;

	(void)snprintf(path, sizeof(path), "%s/a/b/%0300d", there, 0);
	cr_expect_eq(dirs_make(path, &made), -ENAMETOOLONG);
	cr_expect_eq(made, 9, "untouched on failure");
	cr_expect(!tree_exists(tree, "there/a"));
	cr_expect(tree_exists(tree, "there"));
	cr_expect_eq(dirs_make(file, &made), -ENOTDIR);
	cr_expect(tree_exists(tree, "file"));
}
