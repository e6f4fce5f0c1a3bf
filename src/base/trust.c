/* SPDX-License-Identifier: MIT */
/*
 * trust: see the header.
 *
 * Theory of operation
 *
 * The way is walked name by name with O_PATH | O_NOFOLLOW, from the root of the
 * host or the current directory's absolute path, and each thing that was opened is looked at by
 * its descriptor: its owner must be the caller or root, and nobody else may write
 * to it. A directory of root's with the sticky bit, as /tmp, may be written by
 * all: what is in it cannot be replaced by others. Links are read and followed
 * here, by the same rule, so that one of another user's leads nowhere. The
 * directories that were checked cannot be changed by others meanwhile, so there
 * is no race to lose; the last open is compared with what was looked at all the same.
 *
 * Group and world bits cover access lists too: their mask is the group's bits.
 */

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/trust.h"

enum { TRUST_MAX_LINKS = 40, TRUST_MAX_NAMES = 1024, TRUST_OVERFLOW_ID = 65534 };

struct trust_walk {
	const char *path; /* as asked for, for messages */
	const char *rest; /* what is still to be walked */
	struct arena *arena;
	struct sbx_err *err;
	int dir_fd; /* owned; where the walk is */
	unsigned n_links, n_names;
	struct trust_place *places;
	size_t n_places, n_own; /* n_own: up to the last that is the caller's */
};

/* A number in a file of /proc. */
static uint32_t trust_read_number(const char *path, uint32_t otherwise)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return otherwise;
	text[n] = '\0';
	return (uint32_t)strtoul(text, NULL, 10);
}

/* Has this user namespace an id for every owner? The first one has all but -1. */
static bool trust_knows_all_ids(void)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned inside, outside, count;
	uint64_t all = 0;

	if (!map)
		return true; /* a kernel without user namespaces, or no /proc */
	while (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
		all += count;
	(void)fclose(map);
	return all >= UINT32_MAX;
}

/**
 * Whether this owner is anybody who has no id in this user namespace, root outside among them:
 * all of those have the same number here, and no call tells them apart.
 */
bool trust_owner_is_unknown(uint32_t uid)
{
	return uid == trust_read_number("/proc/sys/kernel/overflowuid", TRUST_OVERFLOW_ID) &&
	       !trust_knows_all_ids();
}

static int trust_refuse(struct trust_walk *walk, const char *name, const char *why,
			const char *hint)
{
	(void)err_refuse(walk->err, EACCES, walk->path, "is not trusted: %s %s", name, why);
	err_hint(walk->err, "%s", hint);
	return -EACCES;
}

/* The rule, see above. */
static int trust_check(struct trust_walk *walk, const struct stat *st, const char *name)
{
	bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) && st->st_uid == 0;

	if (st->st_uid != 0 && st->st_uid != geteuid() && trust_owner_is_unknown(st->st_uid))
		return trust_refuse(walk, name, "belongs to somebody without an id here",
				    "outside of this user namespace it can be told who owns it");
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return trust_refuse(walk, name, "belongs to another user",
				    "it may belong to you or root; \"namei -l\" shows owners");
	if (!S_ISLNK(st->st_mode) && !sticky && (st->st_mode & (S_IWGRP | S_IWOTH)))
		return trust_refuse(walk, name, "can be written by others",
				    "as its owner: chmod go-w; \"namei -l\" shows permissions");
	return 0;
}

static int trust_note(struct trust_walk *walk, const struct stat *st)
{
	struct trust_place *grown =
		arena_grow(walk->arena, walk->places, walk->n_places, sizeof(*grown));

	if (!grown)
		return err_oom(walk->err);
	walk->places = grown;
	grown[walk->n_places++] = (struct trust_place){st->st_dev, st->st_ino};
	if (st->st_uid == geteuid())
		walk->n_own = walk->n_places;
	return 0;
}

/* Go on from a directory: look at it, and let the walk be there. */
static int trust_enter(struct trust_walk *walk, int *fd, const struct stat *st, const char *name)
{
	int r = trust_check(walk, st, name);

	if (r == 0)
		r = trust_note(walk, st);
	if (r < 0)
		return r;
	if (walk->dir_fd >= 0)
		close(walk->dir_fd);
	walk->dir_fd = take_fd(fd);
	return 0;
}

static int trust_enter_root(struct trust_walk *walk)
{
	_autoclose_ int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(walk->err, errno, "/", "cannot open");
	return trust_enter(walk, &fd, &st, "/");
}

/* The text of the link `fd` goes in front of what is still to be walked. */
static int trust_follow(struct trust_walk *walk, int fd, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(fd, "", target, sizeof(target));

	if (len < 0 || (size_t)len >= sizeof(target))
		return err_system(walk->err, len < 0 ? errno : ENAMETOOLONG, walk->path,
				  "cannot read the link %s", name);
	if (++walk->n_links > TRUST_MAX_LINKS)
		return err_system(walk->err, ELOOP, walk->path, "cannot open");
	walk->rest = arena_printf(walk->arena, "%.*s/%s", (int)len, target, walk->rest);
	if (!walk->rest)
		return err_oom(walk->err);
	return target[0] == '/' ? trust_enter_root(walk) : 0;
}

/* The end of the way: a regular file that was looked at. */
static int trust_read(struct trust_walk *walk, const struct stat *st, const char *name,
		      struct trust_file *ret_file)
{
	_autoclose_ int fd = -1;
	struct stat now;
	int r = trust_check(walk, st, name);

	if (r < 0)
		return r;
	if (!S_ISREG(st->st_mode))
		return err_refuse(walk->err, EINVAL, walk->path, "is not a regular file");
	if (st->st_nlink > 1 && st->st_uid != 0)
		return trust_refuse(walk, name, "has a second name (a hard link)",
				    "a copy has one name: cp FILE NEW && mv NEW FILE");
	fd = openat(walk->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &now) < 0)
		return err_system(walk->err, errno, walk->path, "cannot open");
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return err_refuse(walk->err, ESTALE, walk->path,
				  "was replaced while it was opened");
	r = trust_note(walk, st);
	if (r < 0)
		return r;
	*ret_file = (struct trust_file){
		.fd = take_fd(&fd),
		.self = {st->st_dev, st->st_ino},
		.places = walk->places,
		.n_places = walk->n_own,
	};
	return 0;
}

/* One name. Return: 1 when the file was reached, 0 when the walk goes on. */
static int trust_step(struct trust_walk *walk, const char *name, struct trust_file *ret_file)
{
	bool last = walk->rest[strspn(walk->rest, "/")] == '\0';
	_autoclose_ int fd = openat(walk->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(walk->err, errno, walk->path, "cannot open");
	if (S_ISLNK(st.st_mode)) {
		r = trust_check(walk, &st, name);
		if (st.st_uid == geteuid()) /* the caller can replace it where it is */
			walk->n_own = walk->n_places;
		return r < 0 ? r : trust_follow(walk, fd, name);
	}
	if (S_ISDIR(st.st_mode))
		return trust_enter(walk, &fd, &st, name);
	if (!last)
		return err_system(walk->err, ENOTDIR, walk->path, "cannot open");
	r = trust_read(walk, &st, name, ret_file);
	return r < 0 ? r : 1;
}

static int trust_walk(struct trust_walk *walk, struct trust_file *ret_file)
{
	int r = trust_enter_root(walk);

	while (r == 0) {
		const char *start = walk->rest + strspn(walk->rest, "/");
		size_t len = strcspn(start, "/");
		char *name;

		walk->rest = start + len;
		if (len == 0)
			return err_system(walk->err, EISDIR, walk->path, "cannot open");
		if (len == 1 && *start == '.')
			continue;
		if (++walk->n_names > TRUST_MAX_NAMES)
			return err_system(walk->err, ENAMETOOLONG, walk->path, "cannot open");
		name = arena_dup_n(walk->arena, start, len);
		r = name ? trust_step(walk, name, ret_file) : err_oom(walk->err);
	}
	return r < 0 ? r : 0;
}

/**
 * Open a file for reading if nobody but the caller and root can have changed it.
 * @path:     of the host; a relative one begins at the current directory, whose way counts too
 * @arena:    where the places go
 * @ret_file: set on success only
 *
 * Return: 0, or -errno with *err filled.
 */
int trust_open(const char *path, struct arena *arena, struct trust_file *ret_file,
	       struct sbx_err *err)
{
	struct trust_walk walk = {
		.path = path, .rest = path, .arena = arena, .err = err, .dir_fd = -1};
	char cwd[PATH_MAX];
	int r;

	assert(path && arena && ret_file && err);
	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
			return err_refuse(err, ENOENT, path, "the current directory is gone");
		walk.rest = arena_printf(arena, "%s/%s", cwd, path);
		if (!walk.rest)
			return err_oom(err);
	}
	r = trust_walk(&walk, ret_file);
	if (walk.dir_fd >= 0)
		close(walk.dir_fd);
	return r;
}
