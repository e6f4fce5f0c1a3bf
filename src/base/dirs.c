/* SPDX-License-Identifier: MIT */
/*
 * dirs: see the header. Used for what a sandbox leaves word of on the host: records of
 * placeholders, records of running sandboxes.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/dirs.h"
#include "sbx/base/str.h"

enum { DIRS_LOCK_STEP_MS = 5 };

/**
 * Open a directory that is the caller's and nobody else's.
 *
 * Return: its descriptor, or -errno (-EACCES: it is there, and others can enter it).
 */
int dirs_open_own(const char *path)
{
	return dirs_open_own_at(AT_FDCWD, path);
}

/* The same, by a name in a directory that is open. */
int dirs_open_own_at(int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EACCES;
	return take_fd(&fd);
}

/**
 * Open a file in such a directory, or make it. What else may have its name (a fifo) is not waited
 * for.
 * @flags: of open(2)
 *
 * Return: its descriptor, or -errno (-EINVAL: it is no regular file).
 */
int dirs_open_file(int dir_fd, const char *name, int flags)
{
	const int always = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	_autoclose_ int fd = openat(dir_fd, name, flags | always, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENXIO ? -EINVAL : -errno; /* a fifo that nobody reads */
	return S_ISREG(st.st_mode) ? take_fd(&fd) : -EINVAL;
}

/* The nearest directory above that exists. Return: 0 or -errno. */
static int dirs_find_above(const char *path, char part[PATH_MAX], struct stat *ret_st)
{
	size_t len = strlen(path);

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	while (stat(part, ret_st) < 0) {
		char *slash = strrchr(part, '/');

		if (errno != ENOENT)
			return -errno;
		if (!slash || slash == part)
			return -EACCES;
		*slash = '\0';
	}
	return 0;
}

/*
 * Is what lies above it, as far as it exists, the caller's? A variable that root has
 * kept from a user (su) names that user's directory, where root must leave nothing.
 * Return: 0, -EACCES where it is not, or another -errno.
 */
static int dirs_check_above(const char *path)
{
	char part[PATH_MAX];
	struct stat st;
	int r = dirs_find_above(path, part, &st);

	if (r < 0)
		return r;
	return st.st_uid == geteuid() ? 0 : -EACCES;
}

/* Make something there, and remove it: no look at a filesystem tells what it will take. */
static int dirs_try(const char *dir)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s/.sbx-try-%d", dir, getpid());

	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	return mkdir(path, 0700) < 0 || rmdir(path) < 0 ? -errno : 0;
}

/**
 * Would dirs_make_own() succeed, and what is made in it then? Nothing is left.
 *
 * Return: 0, or -errno.
 */
int dirs_check_own(const char *path)
{
	_autoclose_ int fd = dirs_open_own(path);
	char part[PATH_MAX];
	struct stat st;
	int r;

	if (fd != -ENOENT)
		return fd < 0 ? fd : dirs_try(path);
	r = dirs_check_above(path);
	if (r == 0)
		r = dirs_find_above(path, part, &st);
	if (r < 0)
		return r;
	return dirs_try(part);
}

/**
 * Remove what dirs_make() has made, as far as it is empty.
 * @made: how many: the directory itself, and those above it
 *
 * Return: false where the directory itself is not empty.
 */
bool dirs_unmake(const char *path, unsigned made)
{
	char part[PATH_MAX];
	char *slash;

	str_copy(part, sizeof(part), path);
	if (made > 0 && rmdir(part) < 0)
		return errno != ENOTEMPTY && errno != EEXIST;
	while (made-- > 1 && (slash = strrchr(part, '/'))) {
		*slash = '\0';
		if (rmdir(part) < 0)
			break;
	}
	return true;
}

static int dirs_make_each(const char *path, unsigned *ret_made)
{
	char part[PATH_MAX];
	unsigned made = 0;
	int above = 0;

	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (const char *end = path; *end;) {
		end = strchrnul(end + 1, '/');
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		if (mkdir(part, 0700) == 0) {
			made++;
			continue;
		}
		if (errno != EEXIST) {
			/* It may be there all the same; if it is not, this is the reason. */
			if (*end && (errno == EACCES || errno == EROFS)) {
				above = -errno;
				continue;
			}
			above = errno == ENOENT && above ? above : -errno;
			*strrchr(part, '/') = '\0';
			(void)dirs_unmake(part, made);
			return above;
		}
		made = 0;
	}
	*ret_made = made;
	return 0;
}

/**
 * A directory, made with those above it where they are missing, whoever's what is there may be.
 * What is made is the caller's alone, whatever the umask.
 * @path:     absolute
 * @ret_made: how many were made: the directory itself, and those above it
 *
 * Return: 0, or -errno; then nothing new is left.
 */
int dirs_make(const char *path, unsigned *ret_made)
{
	const mode_t mask = umask(077);
	int r = dirs_make_each(path, ret_made);

	(void)umask(mask);
	return r;
}

/**
 * As dirs_open_own(), made with the directories above it where they are missing.
 * @path: absolute
 *
 * Return: its descriptor, or -errno.
 */
int dirs_make_own(const char *path)
{
	int r = dirs_open_own(path);
	unsigned made;

	if (r != -ENOENT)
		return r;
	r = dirs_check_above(path);
	if (r == 0)
		r = dirs_make(path, &made);
	return r < 0 ? r : dirs_open_own(path);
}

/* Lock, and wait a while for it: another holder has little to do. Return: 0 or -errno. */
int dirs_lock(int fd, int timeout_ms)
{
	const struct timespec step = {.tv_nsec = DIRS_LOCK_STEP_MS * 1000000L};

	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += DIRS_LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited >= timeout_ms)
			return -EWOULDBLOCK;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}
