/* SPDX-License-Identifier: MIT */
/* sink: all arrives, in order and in large pieces, and what fails is told once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/sink.h"
#include "testlib.h"

Test(sink, texts_of_any_length_arrive)
{
	static const char *const texts[] = {"", "a", "1234567", "12345678",
					    "longer than all of it"};
	_autoclose_ int tree = tmp_tree("out=");
	_autoclose_ int fd = openat(tree, "out", O_WRONLY | O_CLOEXEC);
	char room[8], wanted[128] = "";
	struct sink sink = SINK_TO_FD(fd, room);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		sink_puts(&sink, texts[i]);
		strcat(wanted, texts[i]);
	}
	cr_expect_eq(sink_finish(&sink), 0);
	_autofree_ char *text = tree_read(tree, "out");

	cr_expect_str_eq(text, wanted);
}

Test(sink, nothing_is_written_before_the_room_is_full)
{
	_autoclose_ int tree = tmp_tree("out=");
	_autoclose_ int fd = openat(tree, "out", O_WRONLY | O_CLOEXEC);
	char room[8];
	struct sink sink = SINK_TO_FD(fd, room);

	sink_write(&sink, "1234567", 7);
	_autofree_ char *before = tree_read(tree, "out");

	cr_expect_str_eq(before, "");
	sink_write(&sink, "8", 1);
	_autofree_ char *full = tree_read(tree, "out");

	cr_expect_str_eq(full, "1234567");
	cr_expect_eq(sink_finish(&sink), 0);
}

Test(sink, the_first_failure_is_told)
{
	_autoclose_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char room[8];
	struct sink sink = SINK_TO_FD(fd, room);

	cr_assert_geq(fd, 0);
	sink_puts(&sink, "longer than its room");
	cr_expect_eq(sink.failed, -ENOSPC);
	sink_puts(&sink, "and more that goes nowhere");
	cr_expect_eq(sink_finish(&sink), -ENOSPC);
}

Test(sink, without_a_descriptor_the_room_is_all_there_is)
{
	char room[8];
	struct sink fits = SINK_TO_MEMORY(room);

	sink_puts(&fits, "1234567");
	cr_expect_eq(sink_finish(&fits), 0);
	cr_expect_str_eq(room, "1234567");
	struct sink cut = SINK_TO_MEMORY(room);

	sink_puts(&cut, "12345678");
	cr_expect_eq(sink_finish(&cut), -ENOSPC);
	cr_expect_str_eq(room, "1234567");
}
