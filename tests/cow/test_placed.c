/* SPDX-License-Identifier: MIT */
/* placed: what an apply has put in its place is known again, as it was left and not otherwise. */

#include <fcntl.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/cow/placed.h"
#include "testlib.h"

enum { FILES = 3 * COW_PLACED_MAX + 1 };

static struct cow_placed_file file_of(unsigned i)
{
	return (struct cow_placed_file){1 + i % 2, 1000 - i, 5, i};
}

static void place_all(int dir_fd)
{
	struct cow_placed placed;

	cow_placed_init(&placed, dir_fd);
	for (unsigned i = 0; i < FILES; i++) {
		const struct cow_placed_file file = file_of(i);

		cow_placed_add(&placed, &file);
	}
	cow_placed_close(&placed);
}

static unsigned count_known(int dir_fd)
{
	struct cow_placed placed;
	unsigned known = 0;

	cow_placed_init(&placed, dir_fd);
	for (unsigned i = 0; i < FILES; i++) {
		const struct cow_placed_file file = file_of(i);

		known += cow_placed_has(&placed, &file);
	}
	cow_placed_close(&placed);
	return known;
}

Test(placed, all_are_known_to_the_next_one)
{
	_autoclose_ int dir = tmp_tree(NULL);

	cr_expect_eq(count_known(dir), 0U);
	cr_expect(!tree_exists(dir, "placed"));
	place_all(dir);
	cr_expect_eq(count_known(dir), (unsigned)FILES);
}

Test(placed, one_that_differs_in_anything_is_not)
{
	_autoclose_ int dir = tmp_tree(NULL);
	const struct cow_placed_file file = {7, 8, 9, 10};
	const struct cow_placed_file others[] = {
		{6, 8, 9, 10}, {7, 9, 9, 10}, {7, 8, 8, 10}, {7, 8, 9, 11}, {0, 0, 0, 0},
	};
	struct cow_placed placed;

	cow_placed_init(&placed, dir);
	cow_placed_add(&placed, &file);
	cow_placed_close(&placed);
	cow_placed_init(&placed, dir);
	cr_expect(cow_placed_has(&placed, &file));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect(!cow_placed_has(&placed, &others[i]), "%zu", i);
	cow_placed_close(&placed);
}

/* Half a record is what a process leaves that is killed while it writes. */
Test(placed, half_a_record_is_none_and_spoils_no_other)
{
	_autoclose_ int dir = tmp_tree(NULL);
	_autoclose_ int fd = -1;

	place_all(dir);
	fd = openat(dir, "placed", O_WRONLY | O_APPEND | O_CLOEXEC);
	cr_assert_eq(write(fd, "half", 4), 4);
	cr_expect_eq(count_known(dir), (unsigned)FILES);
	cr_assert_eq(ftruncate(fd, (off_t)sizeof(struct cow_placed_file) + 4), 0);
	cr_expect_eq(count_known(dir), 1U);
	place_all(dir);
	cr_expect_eq(count_known(dir), (unsigned)FILES);
}

/* It costs a conflict, and nothing else, that nothing can be written or read. */
Test(placed, what_cannot_be_written_is_not_known)
{
	_autoclose_ int dir = tmp_tree("placed/");

	place_all(dir);
	cr_expect_eq(count_known(dir), 0U);
}
