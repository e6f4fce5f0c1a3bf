/* SPDX-License-Identifier: MIT */
/*
 * io: whole reads and writes. These functions know nothing of what the
 * descriptor is for, so they return a negative errno and leave the words to
 * their caller.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"

/* Write all of it, however many calls it takes. Return: 0 or -errno. */
int io_write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/**
 * Write into an existing file with one write(2): the files of /proc take nothing else.
 * @dir_fd: borrowed, or AT_FDCWD
 *
 * Return: 0 or -errno.
 */
int io_write_file_at(int dir_fd, const char *path, const char *data, size_t len)
{
	_autoclose_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, data, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/**
 * Read to the end of file.
 * @fd:         borrowed
 * @max_bytes:  more than this is -EFBIG, and nothing is returned
 * @ret_data:   in the arena, NUL-terminated behind ret_len bytes
 *
 * Return: 0 or -errno.
 */
int io_read_all(int fd, size_t max_bytes, struct arena *arena, char **ret_data, size_t *ret_len)
{
	size_t size = 4096, len = 0;
	char *data = arena_alloc(arena, size);

	while (data) {
		ssize_t n = read(fd, data + len, size - len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > max_bytes)
			return -EFBIG;
		if (n == 0) {
			data[len] = '\0';
			*ret_data = data;
			*ret_len = len;
			return 0;
		}
		if (size - len - 1 == 0) {
			char *more = arena_alloc(arena, size * 2);

			if (more)
				memcpy(more, data, len);
			data = more;
			size *= 2;
		}
	}
	return -ENOMEM;
}

/* Open, read to the end, close; as io_read_all(). */
int io_read_file(const char *path, size_t max_bytes, struct arena *arena, char **ret_data,
		 size_t *ret_len)
{
	_autoclose_ int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return io_read_all(fd, max_bytes, arena, ret_data, ret_len);
}

/* Copy from one descriptor to the other until end of file. Return: 0 or -errno. */
int io_copy(int from_fd, int to_fd)
{
	char buf[16384];

	for (;;) {
		ssize_t n = read(from_fd, buf, sizeof(buf));
		int r;

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r = io_write_all(to_fd, buf, (size_t)n);
		if (r < 0)
			return r;
	}
}
