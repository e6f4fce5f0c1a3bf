/* SPDX-License-Identifier: MIT */
/* Whole reads and writes, and sinks, which write in pieces. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/base/io.h"
#include "sbx/base/sink.h"

/* An anonymous file, its offset at the start. */
static int file_with(const char *data, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(io_write_all(fd, data, len), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Fail unless the file holds `times` times `text`. */
static void expect_content(int fd, const char *text, size_t times)
{
	_autoarena_ struct arena arena;
	size_t len = 0, text_len = strlen(text);
	char *data = NULL;

	arena_init(&arena);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(io_read_all(fd, 1 << 24, &arena, &data, &len), 0);
	cr_assert_eq(len, text_len * times);
	for (size_t i = 0; i < times; i++)
		cr_assert_eq(memcmp(data + i * text_len, text, text_len), 0);
}

Test(io, reads_all_of_a_file_and_terminates_it)
{
	static const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 8192, 100000};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_autoarena_ struct arena arena;
		_autofree_ char *content = calloc(1, sizes[i] + 1);
		_autoclose_ int fd = -1;
		char *data = NULL;
		size_t len = 1;

		memset(content, 'a', sizes[i]);
		fd = file_with(content, sizes[i]);
		arena_init(&arena);
		cr_assert_eq(io_read_all(fd, 100000, &arena, &data, &len), 0);
		cr_expect_eq(len, sizes[i]);
		cr_expect_str_eq(data, content);
	}
}

Test(io, more_than_the_limit_is_refused_and_nothing_returned)
{
	_autoarena_ struct arena arena;
	_autoclose_ int fd = file_with("0123456789", 10);
	char *data = NULL;
	size_t len = 0;

	arena_init(&arena);
	cr_expect_eq(io_read_all(fd, 9, &arena, &data, &len), -EFBIG);
	cr_expect_null(data);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_expect_eq(io_read_all(fd, 10, &arena, &data, &len), 0);
	cr_expect_eq(len, 10);
}

Test(io, a_file_that_is_not_there_gives_its_errno)
{
	_autoarena_ struct arena arena;
	char *data = NULL;
	size_t len = 0;

	arena_init(&arena);
	cr_expect_eq(io_read_file("/nonexistent/file", 10, &arena, &data, &len), -ENOENT);
	cr_expect_eq(io_read_file("/", 10, &arena, &data, &len), -EISDIR);
	cr_expect_eq(io_read_all(-1, 10, &arena, &data, &len), -EBADF);
}

Test(io, a_file_is_written_only_where_there_is_one)
{
	char path[] = "/tmp/sbx-test-io-XXXXXX";
	_autoclose_ int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_expect_eq(io_write_file_at(AT_FDCWD, path, "0\n", 2), 0);
	expect_content(fd, "0\n", 1);
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(io_write_file_at(AT_FDCWD, path, "0\n", 2), -ENOENT);
}

Test(io, copies_until_the_end)
{
	_autofree_ char *content = malloc(50000);
	_autoclose_ int from = -1, to = memfd_create("to", MFD_CLOEXEC);

	memset(content, 'z', 50000);
	from = file_with(content, 50000);
	cr_expect_eq(io_copy(from, to), 0);
	expect_content(to, "z", 50000);
	cr_expect_eq(io_copy(-1, to), -EBADF);
}

Test(io, a_write_that_fails_gives_its_errno)
{
	_autoclose_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	cr_assert_geq(full, 0);
	cr_expect_eq(io_write_all(full, "x", 1), -ENOSPC);
	cr_expect_eq(io_write_all(full, "x", 0), 0, "nothing to write is no failure");
}

Test(sink, a_small_room_writes_any_length)
{
	_autoclose_ int fd = memfd_create("sink", MFD_CLOEXEC);
	char room[5];
	struct sink sink = SINK_TO_FD(fd, room);

	for (int i = 0; i < 1000; i++)
		sink_puts(&sink, "abcdefghi");
	cr_expect_eq(sink_finish(&sink), 0);
	expect_content(fd, "abcdefghi", 1000);
}

Test(sink, a_failure_is_kept_until_the_end)
{
	_autoclose_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char room[16];
	struct sink sink = SINK_TO_FD(full, room);

	for (int i = 0; i < 100; i++)
		sink_puts(&sink, "more than the room");
	cr_expect_eq(sink_finish(&sink), -ENOSPC);
}

Test(sink, without_a_descriptor_the_room_is_all_there_is)
{
	char room[8];
	struct sink sink = SINK_TO_MEMORY(room);

	sink_puts(&sink, "1234567");
	cr_expect_eq(sink_finish(&sink), 0);
	sink_puts(&sink, "8");
	cr_expect_eq(sink_finish(&sink), -ENOSPC);
	cr_expect_str_eq(room, "1234567");
}
