/* SPDX-License-Identifier: MIT */
/* compare: many pairs are told apart and in order, however few descriptors there may be. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sbx/cmd/compare.h"
#include "testlib.h"

enum { PAIRS = 3 * COMPARE_PAIRS_MAX + 5, SAME = 7 /* each of so many differs in nothing */ };

struct told {
	size_t first;	   /* of those that are held */
	size_t pair;	   /* begun */
	size_t n, n_lines; /* pairs, and lines of the one that was begun */
	size_t n_wrong;
};

static int take_pair(void *arg, size_t pair)
{
	struct told *told = arg;
	size_t number = told->first + pair;

	told->n_wrong +=
		(told->n > 0 && (told->n_lines != 3 || number <= told->pair)) || number % SAME == 0;
	told->pair = number;
	told->n++;
	told->n_lines = 0;
	return 0;
}

static int take_line(void *arg, const char *text, size_t len)
{
	struct told *told = arg;
	char wanted[3][32] = {"@@ -1 +1 @@"};

	(void)snprintf(wanted[1], sizeof(wanted[1]), "-%zu", told->pair);
	(void)snprintf(wanted[2], sizeof(wanted[2]), "+%zu changed", told->pair);
	told->n_wrong += told->n_lines > 2 || len != strlen(text) ||
			 strcmp(text, wanted[told->n_lines > 2 ? 2 : told->n_lines]) != 0;
	told->n_lines++;
	return 0;
}

static int make_text(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? fd : -1;
}

static int add_pair(struct compare *compare, size_t number)
{
	char before[32], after[48];
	_autoclose_ int old_fd = -1, new_fd = -1;

	(void)snprintf(before, sizeof(before), "%zu\n", number);
	(void)snprintf(after, sizeof(after), number % SAME ? "%zu changed\n" : "%zu\n", number);
	old_fd = make_text(before);
	new_fd = make_text(after);
	return compare_add(compare, old_fd, new_fd);
}

/* @arg: how many descriptors there may be. Return: 0, or what went wrong. */
static int compare_many(void *arg)
{
	const rlim_t *limit = arg;
	const struct rlimit few = {*limit, *limit};
	static struct compare compare;
	struct told told = {0};
	const struct compare_reader reader = {take_pair, take_line, &told};
	struct sbx_err err;

	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 1;
	for (size_t i = 0; i <= PAIRS; i++) {
		if (i == PAIRS || compare_is_full(&compare, 64)) {
			if (compare_run(&compare, &reader, &err) < 0)
				return 2;
			compare_clear(&compare);
			told.first = i;
		}
		if (i < PAIRS && add_pair(&compare, i) < 0)
			return 3;
	}
	if (compare.one_by_one)
		return 4;
	return told.n == PAIRS - (PAIRS + SAME - 1) / SAME && told.n_wrong == 0 ? 0 : 5;
}

Test(compare, many_pairs_with_any_number_of_descriptors)
{
	static const rlim_t limits[] = {1024, 512, 256, 192};

	skip_unless(access("/usr/bin/diff", X_OK) == 0, "there has to be diff(1)");
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		cr_expect_eq(in_child(compare_many, (void *)(uintptr_t)&limits[i]), 0, "%zu", i);
}

/* One that is held has no other beside it where that would be too much at a time. */
Test(compare, a_large_pair_is_alone)
{
	struct compare compare = {.n = 0};

	cr_expect(!compare_is_full(&compare, COMPARE_BYTES_MAX));
	cr_assert_eq(add_pair(&compare, 1), 0);
	cr_expect(!compare_is_full(&compare, COMPARE_SMALL_MAX));
	cr_expect(compare_is_full(&compare, COMPARE_SMALL_MAX + 1));
	compare.has_large = true;
	cr_expect(compare_is_full(&compare, 1));
	compare_clear(&compare);
	cr_expect(!compare_is_full(&compare, 1));
}
