/* SPDX-License-Identifier: MIT */
/*
 * xattr: see xattr.h.
 *
 * Links and what cannot be opened have attributes too; /proc/self/fd/DIR/NAME reaches
 * them by a descriptor of the directory, and l...xattr(2) does not follow the last name,
 * which has no slash in it.
 *
 * The kernel gives attributes of the command's that would be marks another name
 * (user.overlay.overlay.NAME, from Linux 6.7); they have their own on the host.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/cow/walk.h"
#include "sbx/cow/xattr.h"

static const char kernel_prefix[] = "user.overlay.";
static const char escaped_prefix[] = "user.overlay.overlay.";

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
	return (str_starts_with(attribute, kernel_prefix) &&
		!str_starts_with(attribute, escaped_prefix)) ||
	       str_starts_with(attribute, "user.fuseoverlayfs.") ||
	       str_starts_with(attribute, "trusted.");
}

/* Those that are compared and copied; labels are the host's affair. */
static bool xattr_counts(const char *attribute, bool of_layer)
{
	if (of_layer && cow_xattr_is_mark(attribute))
		return false;
	return str_starts_with(attribute, "user.") ||
	       str_starts_with(attribute, "system.posix_acl_") ||
	       str_equal(attribute, "security.capability");
}

static const char *xattr_host_name(const char *attribute, struct cow_xattr_name *room)
{
	if (!str_starts_with(attribute, escaped_prefix))
		return attribute;
	(void)snprintf(room->text, sizeof(room->text), "%s%s", kernel_prefix,
		       attribute + strlen(escaped_prefix));
	return room->text;
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

static size_t xattr_count(const char *list, ssize_t len, bool of_layer)
{
	size_t count = 0;

	for (const char *at = list; at < list + len; at += strlen(at) + 1)
		count += xattr_counts(at, of_layer);
	return count;
}

/* Most files have none, and those of the layer one that is a mark of its driver's. */
static bool xattr_has_none(const char *path, bool of_layer)
{
	char list[COW_XATTR_LIST_USUAL];
	ssize_t n = llistxattr(path, list, sizeof(list));

	return (n < 0 && errno == ENOTSUP) || (n >= 0 && xattr_count(list, n, of_layer) == 0);
}

/* Return: 1, 0 or -errno. */
int cow_xattr_equal(int upper_dir, const char *upper, int host_dir, const char *host)
{
	_autofree_ struct xattr_room *room = NULL;
	char upper_path[320], host_path[320];
	ssize_t n, m;

	xattr_path(upper_dir, upper, upper_path);
	xattr_path(host_dir, host, host_path);
	if (xattr_has_none(upper_path, true) && xattr_has_none(host_path, false))
		return 1;
	room = malloc(sizeof(*room));
	if (!room)
		return -ENOMEM;
	n = xattr_list(upper_path, room->list_a);
	m = n < 0 ? n : xattr_list(host_path, room->list_b);
	if (m < 0)
		return (int)m;
	if (xattr_count(room->list_a, n, true) != xattr_count(room->list_b, m, false))
		return 0;
	for (const char *at = room->list_a; at < room->list_a + n; at += strlen(at) + 1) {
		struct cow_xattr_name name;
		ssize_t a, b;

		if (!xattr_counts(at, true))
			continue;
		a = xattr_get(upper_path, at, room->value_a, sizeof(room->value_a));
		b = xattr_get(host_path, xattr_host_name(at, &name), room->value_b,
			      sizeof(room->value_b));
		if (a < 0 || a != b || memcmp(room->value_a, room->value_b, (size_t)a) != 0)
			return 0;
	}
	return 1;
}

static int xattr_set(const char *path, const char *attribute, const void *value, size_t size)
{
	int r = setxattr(path, attribute, value, size, 0);

	if (r == 0 || errno != EACCES)
		return r;
	cow_gain_access();
	return setxattr(path, attribute, value, size, 0);
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
	_autofree_ struct xattr_room *room = malloc(sizeof(*room));
	char upper_path[320], host_path[64];
	ssize_t n, m;
	int lost = 0;

	if (!room)
		return -ENOMEM;
	xattr_path(upper_dir, upper, upper_path);
	(void)snprintf(host_path, sizeof(host_path), "/proc/self/fd/%d", host_fd);
	n = xattr_list(upper_path, room->list_a);
	m = n < 0 ? n : listxattr(host_path, room->list_b, sizeof(room->list_b));
	if (n < 0)
		return (int)n;
	if (m < 0 && errno != ENOTSUP)
		return -errno;
	for (const char *at = room->list_b; m > 0 && at < room->list_b + m; at += strlen(at) + 1)
		if (xattr_counts(at, false) && lgetxattr(upper_path, at, NULL, 0) < 0)
			(void)removexattr(host_path, at);
	for (const char *at = room->list_a; at < room->list_a + n; at += strlen(at) + 1) {
		struct cow_xattr_name name;
		ssize_t size;

		if (!xattr_counts(at, true))
			continue;
		size = xattr_get(upper_path, at, room->value_a, sizeof(room->value_a));
		if (size < 0 || (str_equal(at, "security.capability") && !privileged) ||
		    xattr_set(host_path, xattr_host_name(at, &name), room->value_a, (size_t)size) <
			    0)
			lost = 1;
	}
	return lost;
}
