/* SPDX-License-Identifier: MIT */
/* Descriptors of the whole process; each test in a child, whose descriptors may all go. */

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/base/fd.h"

static bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Exactly these, of the first hundred. */
static bool only_open(const int *fds, size_t n)
{
	for (int fd = 0; fd < 100; fd++) {
		bool wanted = false;

		for (size_t i = 0; i < n; i++)
			wanted |= fds[i] == fd;
		if (fd_is_open(fd) != wanted)
			return false;
	}
	return true;
}

static int open_many(void)
{
	for (int fd = 3; fd < 90; fd++)
		child_check(dup2(2, fd) == fd);
	return 0;
}

static int close_all_but_some(void *arg)
{
	static const int keep[] = {50, 2, -1, 7, 8, 2, 0};
	static const int wanted[] = {0, 2, 7, 8, 50};

	(void)arg;
	child_check(open_many() == 0);
	fd_close_all_but(keep, ARRAY_SIZE(keep));
	child_check(only_open(wanted, ARRAY_SIZE(wanted)));
	return 0;
}

static int close_all_but_the_last(void *arg)
{
	static const int keep[] = {2, 99, 89};
	static const int wanted[] = {2, 89};

	(void)arg;
	child_check(open_many() == 0);
	/* 99 is not open, and does not become so. */
	close(99);
	fd_close_all_but(keep, ARRAY_SIZE(keep));
	child_check(only_open(wanted, ARRAY_SIZE(wanted)));
	return 0;
}

static int close_all(void *arg)
{
	static const int none[] = {-1};

	(void)arg;
	child_check(open_many() == 0);
	fd_close_all_but(none, ARRAY_SIZE(none));
	if (!only_open(NULL, 0))
		return 1;
	child_check(dup(0) < 0);
	fd_close_all_but(NULL, 0);
	return only_open(NULL, 0) ? 0 : 1;
}

Test(fd, close_all_but_keeps_what_it_is_told)
{
	expect_in_child(close_all_but_some, NULL);
	expect_in_child(close_all_but_the_last, NULL);
	expect_in_child(close_all, NULL);
}

static int open_standard(void *arg)
{
	const int *missing = arg;
	struct stat null, st;

	child_check(stat("/dev/null", &null) == 0);
	for (size_t i = 0; missing[i] >= 0; i++)
		child_check(close(missing[i]) == 0);
	if (fd_open_standard() != 0)
		return 1;
	for (size_t i = 0; missing[i] >= 0; i++)
		if (fstat(missing[i], &st) < 0 || st.st_rdev != null.st_rdev)
			return 2;
	return fd_is_open(0) && fd_is_open(1) && fd_is_open(2) ? 0 : 3;
}

Test(fd, what_is_missing_of_the_standard_three_is_opened)
{
	static const int rows[][4] = {{-1}, {0, -1}, {1, -1}, {2, -1}, {0, 2, -1}, {2, 1, 0, -1}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(in_child(open_standard, (void *)(uintptr_t)rows[i]), 0, "row %zu", i);
}

static int read_directories(void *arg)
{
	static const char file[] = "/proc/self/status";
	int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC), number = fd;
	DIR *dir = fd_open_dir(&fd);

	(void)arg;
	child_check(dir && fd == number && dirfd(dir) == number);
	child_check(faccessat(fd, "status", F_OK, 0) == 0);
	child_check(closedir(dir) == 0 && !fd_is_open(number));
	/* What is none is closed, and it is said that it is none. */
	fd = number = open(file, O_RDONLY | O_CLOEXEC);
	child_check(number >= 0);
	child_check(!fd_open_dir(&fd) && errno == ENOTDIR);
	child_check(fd == -1 && !fd_is_open(number));
	fd = open("/nowhere", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	child_check(!fd_open_dir(&fd) && errno == ENOENT && fd == -1);
	/* One that is not for reading, which stays. */
	fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = fd_open_dir_again(fd);
	child_check(dir && readdir(dir) && dirfd(dir) != fd);
	child_check(closedir(dir) == 0 && fd_is_open(fd));
	close(fd);
	child_check(!fd_open_dir_again(fd) && errno == EBADF);
	return 0;
}

Test(fd, a_directory_is_read_and_nothing_stays_open)
{
	expect_in_child(read_directories, NULL);
}
