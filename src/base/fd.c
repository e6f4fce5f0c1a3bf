/* SPDX-License-Identifier: MIT */
/* fd: descriptors of the whole process. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/fd.h"
#include "sbx/base/sys.h"

/**
 * Make sure that 0, 1 and 2 are open, so that nothing we open becomes anybody's
 * standard output. What the caller had closed is /dev/null from now on; writing to standard
 * output fails nevertheless, as it would have: what is asked for was not shown.
 *
 * Return: 0 or -errno.
 */
int fd_open_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The lowest free number is the one that is missing. */
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) < 0)
			return -errno;
	}
	return 0;
}

/**
 * Which terminal a descriptor is.
 * @ret_device: its number; /dev/tty has that of the terminal that it stands for
 *
 * Return: 0, or -errno (-ENOTTY: it is none).
 */
int fd_get_terminal(int fd, uint32_t *ret_device)
{
	unsigned device = 0;

	if (ioctl(fd, TIOCGDEV, &device) < 0)
		return -errno;
	*ret_device = device;
	return 0;
}

/**
 * Read a directory.
 * @fd: open for reading, or < 0, which is a failure like any other (errno stays what it is). The
 *      stream's from then on, and still good for openat(2) and its like; where there is none it
 *      is closed, and -1
 *
 * Return: the stream, or NULL and errno.
 */
DIR *fd_open_dir(int *fd)
{
	DIR *dir = *fd < 0 ? NULL : fdopendir(*fd);

	if (!dir && *fd >= 0) {
		defs_cleanup_fd(fd);
		*fd = -1;
	}
	return dir;
}

/* The same by a descriptor of its own: @dir_fd is borrowed, and may be of O_PATH. */
DIR *fd_open_dir_again(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd_open_dir(&fd);
}

/**
 * Close every descriptor but some.
 * @keep: their numbers in any order; -1 stands for none
 */
void fd_close_all_but(const int *keep, size_t n_keep)
{
	unsigned first = 0;

	for (;;) {
		unsigned next = UINT_MAX;

		for (size_t i = 0; i < n_keep; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= first && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > first)
			(void)sys_close_range(first, next == UINT_MAX ? UINT_MAX : next - 1, 0);
		if (next == UINT_MAX)
			return;
		first = next + 1;
	}
}
