/* SPDX-License-Identifier: MIT */
/* record: what is written is read; what is cut, forged or nonsense is no entry. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/run/record.h"
#include "testlib.h"

static const struct record_entry sample = {
	.is_dir = true,
	.number = 3,
	.parent_dev = UINT64_MAX,
	.parent_inode = 12,
	.dev = 0xfe00000001,
	.inode = 18446744073709551615ULL,
	.born_sec = 1767225600,
	.born_nsec = 999999999,
	.path = "/home/u/with blank\nand line/.vscode",
};

Test(record, what_is_written_is_read)
{
	_autoclose_ int tree = tmp_tree("record=");
	_autoclose_ int fd = openat(tree, "record", O_RDWR | O_APPEND | O_CLOEXEC);
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct record_entry intent = sample, file = sample;
	struct record record;

	intent.dev = intent.inode = 0;
	file.number = 4;
	file.is_dir = false;
	cr_assert(record_append(fd, &intent) == 0);
	cr_assert(record_append(fd, &sample) == 0);
	cr_assert(record_append(fd, &file) == 0);
	cr_assert(record_read(fd, &arena, &record) == 0);
	cr_assert_eq(record.n_entries, 2, "the later line about a number counts");
	cr_expect(record.entries[0].is_dir && !record.entries[1].is_dir);
	cr_expect_eq(record.entries[0].inode, sample.inode);
	cr_expect_eq(record.entries[0].dev, sample.dev);
	cr_expect_eq(record.entries[0].parent_dev, sample.parent_dev);
	cr_expect_eq(record.entries[0].born_nsec, sample.born_nsec);
	cr_expect_str_eq(record.entries[0].path, sample.path);
	cr_expect_eq(record.entries[1].number, 4);
}

Test(record, what_is_no_line_ends_the_reading)
{
	static const char *const lines[] = {
		"",
		"x 1 1 1 1 1 1 1 /p",
		"f 1 1 1 1 1 1 /p",
		"f 1 1 1 1 1 1 1 p",
		"f 1 1 1 1 1 1 1 /",
		"f 1 1 1 1 1 1 1 /a/..",
		"f 1 1 1 1 1 1 1 /a/.",
		"f -1 1 1 1 1 1 1 /p",
		"f 1 1 1 1 1 1 1000000000 /p",
		"f 1 1 1 18446744073709551616 1 1 1 /p",
		"f  1 1 1 1 1 1 1 /p",
		"f",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_autoarena_ struct arena arena = {.chunks = NULL};
		char text[256];
		struct record record;
		int n = snprintf(text, sizeof(text),
				 "f 0 1 1 1 1 1 1 /good%c%s%cf 9 1 1 1 1 1 1 /g", 0, lines[i], 0);

		cr_assert(record_parse(&arena, text, (size_t)n + 1, &record));
		cr_expect_eq(record.n_entries, 1, "line %zu: %zu", i, record.n_entries);
	}
}

Test(record, a_line_without_its_end_was_cut)
{
	static const char text[] = "f 0 1 1 1 1 1 1 /good\0f 1 1 1 1 1 1 1 /cut";
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct record record;

	cr_assert(record_parse(&arena, text, sizeof(text) - 1, &record));
	cr_expect_eq(record.n_entries, 1);
	cr_assert(record_parse(&arena, text, sizeof(text), &record));
	cr_expect_eq(record.n_entries, 2);
}

Test(record, an_entry_is_of_a_file_by_all_that_it_says)
{
	const struct sys_file file = {.dev = sample.dev,
				      .inode = sample.inode,
				      .born_sec = sample.born_sec,
				      .born_nsec = sample.born_nsec,
				      .mode = S_IFDIR | 0755};
	struct record_entry e = sample;

	cr_expect(record_is_of(&e, &file));
	e.dev++;
	cr_expect_not(record_is_of(&e, &file));
	e = sample;
	e.inode--;
	cr_expect_not(record_is_of(&e, &file));
	e = sample;
	e.born_sec++;
	cr_expect_not(record_is_of(&e, &file));
	e = sample;
	e.born_nsec--;
	cr_expect_not(record_is_of(&e, &file));
	e = sample;
	e.is_dir = false;
	cr_expect_not(record_is_of(&e, &file));
	e = sample;
	e.inode = 0;
	cr_expect_not(record_is_of(&e, &file), "not made yet");
}
