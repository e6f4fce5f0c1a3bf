/* SPDX-License-Identifier: MIT */
/* removals: which directories a killed apply had begun to take away, and how far it had come. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/cow/removals.h"
#include "testlib.h"

enum { DIRS = 2 * COW_REMOVALS_MAX + 1 };

static struct cow_removal removal_of(unsigned i)
{
	return (struct cow_removal){.dev = 1, .inode = 100 + i, .born_sec = 5, .born_nsec = i};
}

static void hold_all(int dir_fd, bool flush)
{
	struct cow_removals removals;

	cow_removals_init(&removals, dir_fd);
	for (unsigned i = 0; i < DIRS; i++) {
		const struct cow_removal removal = removal_of(i);

		cr_assert_eq(cow_removals_hold(&removals, &removal), 0);
	}
	if (flush)
		cr_assert_eq(cow_removals_flush(&removals), 0);
	cow_removals_close(&removals);
}

static int find(int dir_fd, struct cow_removal *removal)
{
	struct cow_removals removals;
	int r;

	cow_removals_init(&removals, dir_fd);
	r = cow_removals_find(&removals, removal);
	cow_removals_close(&removals);
	return r;
}

Test(removals, what_is_flushed_is_found)
{
	_autoclose_ int dir = tmp_tree(NULL);
	struct cow_removal removal = removal_of(0);

	cr_expect_eq(find(dir, &removal), 0);
	hold_all(dir, true);
	for (unsigned i = 0; i < DIRS; i++) {
		removal = removal_of(i);
		cr_expect_eq(find(dir, &removal), 1, "%u", i);
		cr_expect_eq(removal.goes, 0U);
	}
	removal.born_nsec++;
	cr_expect_eq(find(dir, &removal), 0);
}

/* Those that waited for a flush have not been touched. */
Test(removals, what_is_not_flushed_is_not)
{
	_autoclose_ int dir = tmp_tree(NULL);
	struct cow_removal first = removal_of(0), last = removal_of(DIRS - 1);

	hold_all(dir, false);
	cr_expect_eq(find(dir, &first), 1);
	cr_expect_eq(find(dir, &last), 0);
}

Test(removals, one_that_is_let_go_is_told_from_the_others)
{
	_autoclose_ int dir = tmp_tree(NULL);
	struct cow_removal one = removal_of(1), other = removal_of(2);
	struct cow_removals removals;

	hold_all(dir, true);
	cow_removals_init(&removals, dir);
	cr_assert_eq(cow_removals_let_go(&removals, &one), 0);
	cow_removals_close(&removals);
	cr_expect_eq(find(dir, &one), 1);
	cr_expect_eq(find(dir, &other), 1);
	cr_expect_eq(one.goes, 1U);
	cr_expect_eq(other.goes, 0U);
}

Test(removals, half_a_record_is_none_and_spoils_no_other)
{
	_autoclose_ int dir = tmp_tree(NULL);
	_autoclose_ int fd = -1;
	struct cow_removal last = removal_of(DIRS - 1);

	hold_all(dir, true);
	fd = openat(dir, "removals", O_WRONLY | O_APPEND | O_CLOEXEC);
	cr_assert_eq(write(fd, "half", 4), 4);
	cr_expect_eq(find(dir, &last), 1);
	cr_assert_eq(ftruncate(fd, (off_t)sizeof(struct cow_removal) + 4), 0);
	cr_expect_eq(find(dir, &last), 0);
	hold_all(dir, true);
	cr_expect_eq(find(dir, &last), 1);
}

/* A directory is renamed only when its record is there: nothing is begun without. */
Test(removals, what_cannot_be_written_is_an_error)
{
	_autoclose_ int dir = tmp_tree("removals/");
	const struct cow_removal removal = removal_of(0);
	struct cow_removals removals;

	cow_removals_init(&removals, dir);
	cr_expect_eq(cow_removals_hold(&removals, &removal), 0);
	cr_expect_lt(cow_removals_flush(&removals), 0);
	cr_expect_lt(cow_removals_flush(&removals), 0);
	cr_expect_lt(cow_removals_let_go(&removals, &removal), 0);
	cow_removals_close(&removals);
}

/* Another directory with that name, or with that number, is another one. */
Test(removals, a_directory_is_known_by_more_than_its_name)
{
	_autoclose_ int dir = tmp_tree("a/", "b/");
	struct cow_removal a, again, b;
	struct stat st;

	cr_assert_eq(cow_removal_of(dir, "a", &a), 0);
	cr_assert_eq(cow_removal_of(dir, "b", &b), 0);
	cr_expect(!cow_removal_is(&a, &b));
	cr_assert_eq(renameat(dir, "a", dir, "c"), 0);
	cr_assert_eq(cow_removal_of(dir, "c", &again), 0);
	cr_expect(cow_removal_is(&a, &again));
	cr_assert_eq(fstatat(dir, "c", &st, 0), 0);
	cr_expect_eq(a.inode, st.st_ino);
	cr_expect_eq(cow_removal_of(dir, "a", &again), -ENOENT);
}
