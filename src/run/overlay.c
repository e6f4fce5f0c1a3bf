/* SPDX-License-Identifier: MIT */
/*
 * overlay: overlayfs in a user namespace, by the descriptor API.
 *
 * Theory of operation
 *
 * The layers are named /proc/self/fd/N: no name needs escaping (a colon, a comma and a
 * backslash mean something in mount options), none is looked up twice, and the mount
 * table inside shows no path of the host. They could be given as descriptors from
 * Linux 6.13 on, but then the table would show their paths.
 *
 * Lower layers are one string, of which fsconfig(2) takes up to 255 bytes: some 14 layers.
 * More are given one by one (lowerdir+), which Linux 6.5 is needed for; what is older
 * refuses that key when the overlay is made.
 *
 * userxattr (5.11) is what an ordinary user gets overlays with; with it the kernel does
 * without redirects and metadata-only copies. index=off: an index would tie the upper
 * layer to these very lower directories. uuid=off (5.14) keeps the kernel from writing an
 * attribute to the upper directory.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/overlay.h"

enum { OVERLAY_STRING_MAX = 255 };

static void overlay_name_layer(int fd, char name[32])
{
	(void)snprintf(name, 32, "/proc/self/fd/%d", fd);
}

static int overlay_set_layer(int fs, const char *key, int fd)
{
	char name[32];

	overlay_name_layer(fd, name);
	return sys_fsconfig_string(fs, key, name) < 0 ? -errno : 0;
}

/* All in one string. Return: 0, -E2BIG where they are too many for that, or -errno. */
static int overlay_join_lower(int fs, const struct overlay_layers *layers)
{
	char room[OVERLAY_STRING_MAX + 1], name[32];
	struct str_buf list = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < layers->n_lower; i++) {
		overlay_name_layer(layers->lower[i], name);
		str_buf_printf(&list, "%s%s", i ? ":" : "", name);
	}
	if (list.cut)
		return -E2BIG;
	return sys_fsconfig_string(fs, "lowerdir", list.data) < 0 ? -errno : 0;
}

static int overlay_add_lower(int fs, const struct overlay_layers *layers)
{
	int r = 0;

	for (size_t i = 0; i < layers->n_lower && r == 0; i++)
		r = overlay_set_layer(fs, "lowerdir+", layers->lower[i]);
	return r;
}

static int overlay_configure(int fs, const struct overlay_layers *layers, bool one_by_one)
{
	int r = one_by_one ? overlay_add_lower(fs, layers) : overlay_join_lower(fs, layers);

	if (r == 0 && layers->upper >= 0)
		r = overlay_set_layer(fs, "upperdir", layers->upper);
	if (r == 0 && layers->upper >= 0)
		r = overlay_set_layer(fs, "workdir", layers->work);
	if (r < 0)
		return r;
	if (sys_fsconfig_string(fs, "source", "overlay") < 0 ||
	    sys_fsconfig_string(fs, "userxattr", NULL) < 0 ||
	    sys_fsconfig_string(fs, "index", "off") < 0 ||
	    sys_fsconfig_string(fs, "uuid", "off") < 0 || sys_fsconfig_create(fs) < 0)
		return -errno;
	return 0;
}

static int overlay_try(const struct overlay_layers *layers, bool one_by_one, uint64_t attrs,
		       int *ret_fd)
{
	_autoclose_ int fs = sys_fsopen("overlay");
	int r;

	if (fs < 0)
		return -errno;
	r = overlay_configure(fs, layers, one_by_one);
	if (r < 0)
		return r;
	*ret_fd = sys_fsmount(fs, attrs);
	return *ret_fd < 0 ? -errno : 0;
}

/**
 * Open a layer.
 * @root_fd: borrowed; the root of the caller's mounts
 * @path:    as typed
 * @what:    which it is: "RWSRC"
 *
 * Return: 0, or -errno with *err filled.
 */
int overlay_open_layer(int root_fd, const char *path, const char *what, int *ret_fd,
		       struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	struct sys_mount mount;
	int r = mount_open_source(root_fd, path, &fd);

	if (r < 0)
		return err_system(err, -r, path, "cannot open %s", what);
	if (sys_statx_mount(fd, "", &mount) < 0)
		return err_system(err, errno, path, "cannot look at %s", what);
	if (!mount.is_dir)
		return err_refuse(err, ENOTDIR, path, "is not a directory, as %s is to be", what);
	*ret_fd = take_fd(&fd);
	return 0;
}

/**
 * Two directories of an overlay of which one is written to must lie outside of each other:
 * what is written would be found among what is read.
 * @a, @b: their names, as typed
 *
 * Return: 0, or -errno with *err filled (ELOOP).
 */
int overlay_check_apart(const char *a, int a_fd, const char *b, int b_fd, struct sbx_err *err)
{
	_autofree_ char *a_name = NULL, *b_name = NULL;
	int r = mount_name_fd(a_fd, &a_name);
	const char *x, *y;

	if (r == 0)
		r = mount_name_fd(b_fd, &b_name);
	if (r < 0)
		return err_system(err, -r, a, "cannot tell where the layer is");
	assert(a_name && b_name);
	x = *a_name ? a_name : "/";
	y = *b_name ? b_name : "/";
	if (!path_is_below(x, y) && !path_is_below(y, x))
		return 0;
	return err_refuse(err, ELOOP, a,
			  "Overlay directories may not overlap: it is in %s, or around it", b);
}

/**
 * Is what is written on one mount with the directory for that, as overlays want it?
 * @upper, @work: for the error
 *
 * Return: 0; -EXDEV with *err filled: it is not; another -errno with *err filled: cannot tell.
 */
int overlay_check_mount(const char *upper, int upper_fd, const char *work, int work_fd,
			struct sbx_err *err)
{
	struct sys_mount a, b;

	if (sys_statx_mount(upper_fd, "", &a) < 0 || sys_statx_mount(work_fd, "", &b) < 0)
		return err_system(err, errno, upper, "cannot tell where the layer is");
	if (a.mount_id == b.mount_id)
		return 0;
	(void)err_refuse(err, EXDEV, work, "WORKDIR is not on the same mount as %s", upper);
	err_hint(err, "give an empty directory beside it");
	return -EXDEV;
}

/**
 * Make an overlay that is mounted nowhere yet.
 * @layers: at least one lower one
 * @attrs:  MOUNT_ATTR_*
 *
 * Return: 0 or -errno.
 */
int overlay_mount(const struct overlay_layers *layers, uint64_t attrs, int *ret_fd)
{
	int r;

	assert(layers->n_lower > 0 && layers->n_lower <= OVERLAY_LOWER_MAX);
	r = overlay_try(layers, false, attrs, ret_fd);
	return r == -E2BIG ? overlay_try(layers, true, attrs, ret_fd) : r;
}
