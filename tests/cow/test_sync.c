/* SPDX-License-Identifier: MIT */
/* sync: files are written to disk together, and each one's failure is its own. */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/cow/sync.h"
#include "testlib.h"

enum { FILES = 5, PIPE = 1, CLOSED = 3 };

/* A pipe is nothing that is on a disk. */
static void check(struct cow_sync *sync)
{
	int fds[FILES], pipe_fds[2], results[FILES];
	_autoclose_ int tree = tmp_tree("0=a\n", "1=a\n", "2=a\n", "3=a\n", "4=a\n");

	for (int i = 0; i < FILES; i++) {
		const char name[] = {(char)('0' + i), '\0'};

		fds[i] = openat(tree, name, O_WRONLY | O_CLOEXEC);
		results[i] = 1;
	}
	cr_assert_eq(pipe(pipe_fds), 0);
	close(fds[PIPE]);
	fds[PIPE] = pipe_fds[1];
	close(fds[CLOSED]);
	cow_sync_files(sync, fds, FILES, results);
	for (int i = 0; i < FILES; i++)
		cr_expect_eq(results[i],
			     i == PIPE	   ? -EINVAL
			     : i == CLOSED ? -EBADF
					   : 0,
			     "%d: %d", i, results[i]);
	for (int i = 0; i < FILES; i++)
		if (i != CLOSED)
			close(fds[i]);
	close(pipe_fds[0]);
}

Test(sync, together)
{
	struct cow_sync sync = {0};

	check(&sync);
	check(&sync);
	cr_expect(sync.context != 0 || sync.refused);
	cow_sync_close(&sync);
	cr_expect_eq(sync.context, 0);
}

Test(sync, one_by_one)
{
	struct cow_sync sync = {.refused = true};

	check(&sync);
	cr_expect_eq(sync.context, 0);
	cow_sync_close(&sync);
}
