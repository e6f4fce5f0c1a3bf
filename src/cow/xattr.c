/* SPDX-License-Identifier: MIT */
/*
 * xattr: see xattr.h.
 *
 * Links and what cannot be opened have attributes too; /proc/self/fd/DIR/NAME reaches
 * them by a descriptor of the directory, and l...xattr(2) does not follow the last name,
 * which has no slash in it.
 *
 * The marks by which overlays are kept are neither compared nor copied: those of the layer are its
 * driver's, those of the host are not shown by it. The kernel gives attributes of the command's
 * that would be marks another name (user.overlay.overlay.NAME, from Linux 6.7). On the host they
 * would have their own again, and be believed by whoever shows that directory next:
 * cow_xattr_plants() finds them, and nothing gives them to the host.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/cow/walk.h"
#include "sbx/cow/xattr.h"

enum { XATTR_MARK_BYTES = 1024 }; /* no mark is larger */

static const char kernel_prefix[] = "user.overlay.";
static const char escaped_prefix[] = "user.overlay.overlay.";
static const char fuse_prefix[] = "user.fuseoverlayfs.";

static void xattr_path(int dir_fd, const char *name, char path[320])
{
	(void)snprintf(path, 320, "/proc/self/fd/%d/%s", dir_fd, name);
}

/* As lgetxattr(2). Its owner may read a file's attributes too, when the file is closed. */
static ssize_t xattr_get(const char *path, const char *attribute, void *value, size_t size)
{
	ssize_t n = lgetxattr(path, attribute, value, size);

	if (n >= 0 || errno != EACCES)
		return n;
	cow_gain_access();
	return lgetxattr(path, attribute, value, size);
}

/* Is there such an attribute? @ret_first: the first byte of its value, or NUL; may be NULL */
bool cow_xattr_has(int dir_fd, const char *name, const char *attribute, char *ret_first)
{
	char path[320], value[16];
	ssize_t n;

	xattr_path(dir_fd, name, path);
	n = xattr_get(path, attribute, value, sizeof(value));
	if (n < 0 && errno != ERANGE)
		return false;
	if (n <= 0)
		value[0] = '\0';
	if (ret_first)
		*ret_first = value[0];
	return true;
}

/* Does its filesystem keep attributes of users? */
bool cow_xattr_can(int dir_fd, const char *name)
{
	char path[320];

	xattr_path(dir_fd, name, path);
	return xattr_get(path, "user.fuseoverlayfs.opaque", NULL, 0) >= 0 || errno != ENOTSUP;
}

static bool xattr_is_listed(const char *list, ssize_t len, const char *attribute)
{
	for (const char *at = list; at < list + len; at += strlen(at) + 1)
		if (str_equal(at, attribute))
			return true;
	return false;
}

/*
 * The first of some attributes that is there; NULL: none. One list of names tells, where that
 * has the usual size.
 */
const char *cow_xattr_find(int dir_fd, const char *name, const char *const *attributes, size_t n)
{
	char path[320], list[COW_XATTR_LIST_USUAL];
	ssize_t len;

	xattr_path(dir_fd, name, path);
	len = llistxattr(path, list, sizeof(list));
	if (len < 0 && errno == ENOTSUP)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (len < 0 ? cow_xattr_has(dir_fd, name, attributes[i], NULL)
			    : xattr_is_listed(list, len, attributes[i]))
			return attributes[i];
	return NULL;
}

bool cow_xattr_is_mark(const char *attribute)
{
	return str_starts_with(attribute, kernel_prefix) ||
	       str_starts_with(attribute, fuse_prefix) || str_starts_with(attribute, "trusted.");
}

/* Those that are compared and copied; labels are the host's affair. */
static bool xattr_counts(const char *attribute)
{
	if (cow_xattr_is_mark(attribute))
		return false;
	return str_starts_with(attribute, "user.") ||
	       str_starts_with(attribute, "system.posix_acl_") ||
	       str_equal(attribute, "security.capability");
}

/* Return: the length of the list, 0 where the filesystem has none, or -errno. */
static ssize_t xattr_list(const char *path, char *list)
{
	ssize_t n = llistxattr(path, list, COW_XATTR_LIST_MAX);

	if (n >= 0)
		return n;
	return errno == ENOTSUP || errno == EACCES || errno == EPERM ? 0 : -errno;
}

struct xattr_room {
	char list_a[COW_XATTR_LIST_MAX], list_b[COW_XATTR_LIST_MAX];
	char value_a[COW_XATTR_VALUE_MAX], value_b[COW_XATTR_VALUE_MAX];
};

static size_t xattr_count(const char *list, ssize_t len)
{
	size_t count = 0;

	for (const char *at = list; at < list + len; at += strlen(at) + 1)
		count += xattr_counts(at);
	return count;
}

/*
 * Most files have none, and those of the layer one that is a mark of its driver's.
 * @list_names: llistxattr(2), or listxattr(2)
 */
static bool xattr_has_none(const char *path, ssize_t (*list_names)(const char *, char *, size_t))
{
	char list[COW_XATTR_LIST_USUAL];
	ssize_t n = list_names(path, list, sizeof(list));

	return (n < 0 && errno == ENOTSUP) || (n >= 0 && xattr_count(list, n) == 0);
}

/* Has it any that are compared? Return: 1, 0 or -errno. */
int cow_xattr_has_any(int dir_fd, const char *name)
{
	_autofree_ char *list = NULL;
	char path[320];
	ssize_t n;

	xattr_path(dir_fd, name, path);
	if (xattr_has_none(path, llistxattr))
		return 0;
	list = malloc(COW_XATTR_LIST_MAX);
	if (!list)
		return -ENOMEM;
	n = xattr_list(path, list);
	return n < 0 ? (int)n : xattr_count(list, n) > 0;
}

/* Return: 1, 0 or -errno. */
int cow_xattr_equal(int upper_dir, const char *upper, int host_dir, const char *host)
{
	_autofree_ struct xattr_room *room = NULL;
	char upper_path[320], host_path[320];
	ssize_t n, m;

	xattr_path(upper_dir, upper, upper_path);
	xattr_path(host_dir, host, host_path);
	if (xattr_has_none(upper_path, llistxattr) && xattr_has_none(host_path, llistxattr))
		return 1;
	room = malloc(sizeof(*room));
	if (!room)
		return -ENOMEM;
	n = xattr_list(upper_path, room->list_a);
	m = n < 0 ? n : xattr_list(host_path, room->list_b);
	if (m < 0)
		return (int)m;
	if (xattr_count(room->list_a, n) != xattr_count(room->list_b, m))
		return 0;
	for (const char *at = room->list_a; at < room->list_a + n; at += strlen(at) + 1) {
		ssize_t a, b;

		if (!xattr_counts(at))
			continue;
		a = xattr_get(upper_path, at, room->value_a, sizeof(room->value_a));
		b = xattr_get(host_path, at, room->value_b, sizeof(room->value_b));
		if (a < 0 || a != b || memcmp(room->value_a, room->value_b, (size_t)a) != 0)
			return 0;
	}
	return 1;
}

/* What the host's has too was copied with it. */
static bool xattr_is_hosts(const char *upper_path, const char *host_path, const char *attribute)
{
	char upper[XATTR_MARK_BYTES], host[XATTR_MARK_BYTES];
	ssize_t n = xattr_get(upper_path, attribute, upper, sizeof(upper));
	ssize_t m = xattr_get(host_path, attribute, host, sizeof(host));

	return n >= 0 && n == m && memcmp(upper, host, (size_t)n) == 0;
}

/**
 * Has the command given it an attribute that would be the mark of an overlay on the host?
 * @host_dir: -1: there is no such file
 * @fuse:     fuse-overlayfs has kept the layer: those called after it are its own
 */
bool cow_xattr_plants(int upper_dir, const char *upper, int host_dir, const char *host, bool fuse)
{
	_autofree_ char *large = NULL;
	char upper_path[320], host_path[320], usual[COW_XATTR_LIST_USUAL], *list = usual;
	ssize_t n;

	xattr_path(upper_dir, upper, upper_path);
	xattr_path(host_dir, host, host_path);
	n = llistxattr(upper_path, usual, sizeof(usual));
	if (n < 0 && errno == ERANGE) {
		list = large = malloc(COW_XATTR_LIST_MAX);
		n = large ? xattr_list(upper_path, large) : 0;
	}
	for (const char *at = list; n > 0 && at < list + n; at += strlen(at) + 1)
		if ((str_starts_with(at, escaped_prefix) ||
		     (!fuse && str_starts_with(at, fuse_prefix))) &&
		    (host_dir < 0 || !xattr_is_hosts(upper_path, host_path, at)))
			return true;
	return false;
}

static int xattr_set(const char *path, const char *attribute, const void *value, size_t size)
{
	int r = setxattr(path, attribute, value, size, 0);

	if (r == 0 || errno != EACCES)
		return r;
	cow_gain_access();
	return setxattr(path, attribute, value, size, 0);
}

/*
 * Is there no room left? Where an attribute is larger than a filesystem can keep some say the same
 * (ext4, btrfs), so the room decides: for the value, and for what is needed to find it.
 */
static bool xattr_disk_is_full(int fd, size_t size)
{
	enum { FULL_BLOCKS = 16, FULL_FILES = 16 };
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return true;
	if (fs.f_files && fs.f_favail < FULL_FILES) /* tmpfs takes it of those */
		return true;
	return fs.f_blocks && fs.f_frsize && fs.f_bavail < FULL_BLOCKS + size / fs.f_frsize;
}

/*
 * What has gone wrong with an attribute of a file of the host's: is it one that it cannot have,
 * now or ever, from this caller? What is short or broken, though, can be mended.
 *
 * Return: 1, or -errno.
 */
static int xattr_is_lost(int fd, size_t size, int number)
{
	static const int lost[] = {ENOTSUP, EPERM,  EACCES,  EINVAL,	  EOVERFLOW,
				   E2BIG,   ERANGE, ENODATA, ENAMETOOLONG};

	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		if (number == lost[i])
			return 1;
	return number == ENOSPC && !xattr_disk_is_full(fd, size) ? 1 : -number;
}

/* Return: 0; 1 it cannot have it; or -errno. */
static int xattr_copy_one(const char *upper_path, const char *host_path, int host_fd,
			  const char *attribute, bool privileged, char value[COW_XATTR_VALUE_MAX])
{
	ssize_t size = xattr_get(upper_path, attribute, value, COW_XATTR_VALUE_MAX);

	if (size < 0)
		return xattr_is_lost(host_fd, 0, errno);
	if (str_equal(attribute, "security.capability") && !privileged)
		return 1;
	return xattr_set(host_path, attribute, value, (size_t)size) < 0
		       ? xattr_is_lost(host_fd, (size_t)size, errno)
		       : 0;
}

/* What the layer's has not. Return: 0; 1 it stays; or -errno. */
static int xattr_remove_one(const char *upper_path, const char *host_path, int host_fd,
			    const char *attribute)
{
	if (xattr_get(upper_path, attribute, NULL, 0) >= 0)
		return 0;
	if (errno != ENODATA && errno != ENOTSUP)
		return xattr_is_lost(host_fd, 0, errno);
	if (removexattr(host_path, attribute) == 0 || errno == ENODATA)
		return 0;
	return xattr_is_lost(host_fd, 0, errno);
}

/**
 * Give a file of the host the attributes that one of the layer has, and no others.
 * @host_fd:    a descriptor of it, O_PATH or not
 * @privileged: file capabilities too
 *
 * Return: 0; 1 where some could not be given; or -errno.
 */
int cow_xattr_copy(int upper_dir, const char *upper, int host_fd, bool privileged)
{
	_autofree_ struct xattr_room *room = NULL;
	char upper_path[320], host_path[64];
	ssize_t n, m;
	int lost = 0, r;

	xattr_path(upper_dir, upper, upper_path);
	(void)snprintf(host_path, sizeof(host_path), "/proc/self/fd/%d", host_fd);
	if (xattr_has_none(upper_path, llistxattr) && xattr_has_none(host_path, listxattr))
		return 0;
	room = malloc(sizeof(*room));
	if (!room)
		return -ENOMEM;
	n = xattr_list(upper_path, room->list_a);
	m = n < 0 ? n : listxattr(host_path, room->list_b, sizeof(room->list_b));
	if (n < 0)
		return (int)n;
	if (m < 0 && errno != ENOTSUP)
		return -errno;
	for (const char *at = room->list_b; m > 0 && at < room->list_b + m; at += strlen(at) + 1) {
		r = xattr_counts(at) ? xattr_remove_one(upper_path, host_path, host_fd, at) : 0;
		if (r < 0)
			return r;
		lost |= r;
	}
	for (const char *at = room->list_a; at < room->list_a + n; at += strlen(at) + 1) {
		r = xattr_counts(at) ? xattr_copy_one(upper_path, host_path, host_fd, at,
						      privileged, room->value_a)
				     : 0;
		if (r < 0)
			return r;
		lost |= r;
	}
	return lost;
}

/**
 * Give a new directory the attributes that one of the host has, under the same names.
 *
 * Return: 0; 1 where some could not be given, or are marks of overlays; or -errno.
 */
int cow_xattr_give(int from_fd, int to_fd)
{
	_autofree_ struct xattr_room *room = malloc(sizeof(*room));
	char from[64], to[64];
	ssize_t n;
	int lost = 0;

	if (!room)
		return -ENOMEM;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", from_fd);
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d", to_fd);
	n = listxattr(from, room->list_a, sizeof(room->list_a));
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *at = room->list_a; at < room->list_a + n; at += strlen(at) + 1) {
		ssize_t size;

		if (!str_starts_with(at, "user.") && !str_starts_with(at, "system.posix_acl_"))
			continue;
		size = cow_xattr_is_mark(at) || str_starts_with(at, escaped_prefix)
			       ? -1
			       : getxattr(from, at, room->value_a, sizeof(room->value_a));
		if (size < 0 || setxattr(to, at, room->value_a, (size_t)size, 0) < 0)
			lost = 1;
	}
	return lost;
}
