/* SPDX-License-Identifier: MIT */
/* log: entries come back as they were written, the size is limited, nonsense is no entry. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/run/log.h"
#include "testlib.h"

static const struct label label = {.id = "0123456789ab", .name = "web"};

Test(log, entries_come_back)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	_autoclose_ int tree = tmp_tree(NULL);
	_autoclose_ int dir = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct log log = {.fd = -1};
	struct log_entry entry;
	size_t len, used;
	char *text;

	cr_assert_eq(log_open(&log, dir, &label), 0);
	log_write(&log, false, "one\0\n", 5);
	log_write(&log, true, "1 o 3\n", 6);
	fd = openat(dir, "0123456789ab.log", O_RDONLY | O_CLOEXEC);
	cr_assert_eq(io_read_all(fd, 4096, &arena, &text, &len), 0);
	used = log_parse(text, len, &entry);
	cr_assert_gt(used, 5);
	cr_expect(!entry.is_error && entry.len == 5 && memcmp(entry.data, "one\0\n", 5) == 0);
	cr_expect_gt(entry.time_ms, INT64_C(1700000000000));
	cr_expect_eq(log_parse(text, used - 1, &entry), 0, "half an entry");
	cr_assert_eq(log_parse(text + used, len - used, &entry), len - used);
	cr_expect(entry.is_error && entry.len == 6);
	log_remove(&log);
	cr_expect(!tree_exists(tree, "0123456789ab.log"));
}

Test(log, the_oldest_goes_when_it_is_full)
{
	static char data[LOG_ENTRY_MAX];
	_autoclose_ int tree = tmp_tree(NULL);
	_autoclose_ int dir = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct log log = {.fd = -1};
	struct stat now, old;

	cr_assert_eq(log_open(&log, dir, &label), 0);
	for (int i = 0; i < 5 * (LOG_MAX_BYTES / LOG_ENTRY_MAX); i++)
		log_write(&log, false, data, sizeof(data));
	cr_assert_eq(fstatat(dir, "0123456789ab.log", &now, 0), 0);
	cr_assert_eq(fstatat(dir, "0123456789ab.old.log", &old, 0), 0);
	cr_expect_leq(now.st_size, LOG_MAX_BYTES);
	cr_expect_leq(old.st_size, LOG_MAX_BYTES);
	cr_expect_geq(old.st_size, LOG_MAX_BYTES - 2 * LOG_ENTRY_MAX);
	log_remove(&log);
	cr_expect(!tree_exists(tree, "0123456789ab.old.log"));
}

Test(log, nonsense_is_no_entry)
{
	static const char *const texts[] = {"",		 "\n",	      "1 o",
					    "1 o 3\nab", "x o 1\na",  "1 x 1\na",
					    "1 o -1\na", "1  o 1\na", "1 o 99999999999999999999\na",
					    "-1 o 1\na"};
	struct log_entry entry;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect_eq(log_parse(texts[i], strlen(texts[i]), &entry), 0, "%s", texts[i]);
}
