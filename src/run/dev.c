/* SPDX-License-Identifier: MIT */
/*
 * dev: a minimal /dev. Nodes cannot be made in a user namespace, so the six that
 * every program expects are bound from the host, into a tmpfs that has the rest.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/pty.h"
#include "sbx/run/steps.h"

static const char *const dev_nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

static const struct {
	const char *name, *target;
} dev_links[] = {
	{"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
	{"fd", "/proc/self/fd"},      {"core", "/proc/kcore"},	     {"ptmx", "pts/ptmx"},
};

/*
 * Bind a device node onto a new file of the tmpfs.
 * @from_fd: the root of the host, or the new /dev
 * @source:  below it, without a slash in front
 * @attrs:   beside nosuid
 */
static int dev_bind(int from_fd, int dev_fd, const char *source, const char *name, uint64_t attrs,
		    struct sbx_err *err)
{
	_autoclose_ int tree = -1;
	int r = mount_clone(from_fd, source, MOUNT_ATTR_NOSUID | attrs, &tree);

	if (r < 0)
		return err_system(err, -r, source, "cannot clone the device node");
	if (mknodat(dev_fd, name, S_IFREG | 0444, 0) < 0)
		return err_system(err, errno, name, "cannot make a file in the new /dev");
	if (sys_move_mount(tree, "", dev_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, source, "cannot bind the device node");
	return 0;
}

/* @shm_mode: permissions of /dev/shm, -1: those that it has on every host */
static int dev_fill(int dev_fd, int64_t shm_mode, struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(dev_links); i++)
		if (symlinkat(dev_links[i].target, dev_fd, dev_links[i].name) < 0)
			return err_system(err, errno, dev_links[i].name,
					  "cannot make a link in the new /dev");
	if (mkdirat(dev_fd, "shm", 0777) < 0 || mkdirat(dev_fd, "pts", 0755) < 0)
		return err_system(err, errno, NULL, "cannot make a directory in the new /dev");
	if (fchmodat(dev_fd, "shm", shm_mode < 0 ? 01777 : (mode_t)shm_mode, 0) < 0)
		return err_system(err, errno, "shm", "cannot set its mode");
	return 0;
}

static int dev_mount_pts(int dev_fd, int *ret_pts_fd, struct sbx_err *err)
{
	_autoclose_ int pts = -1;
	int r = pty_make_devpts(&pts, err);

	if (r < 0)
		return r;
	if (sys_move_mount(pts, "", dev_fd, "pts", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, "pts", "cannot mount the new devpts");
	*ret_pts_fd = take_fd(&pts);
	return 0;
}

/* The sandbox's terminal, the first of this devpts, is its console too. */
static int dev_make_terminal(struct run_context *ctx, int dev_fd, int pts_fd, uint64_t attrs,
			     struct sbx_err *err)
{
	int r = pty_open(ctx, pts_fd, err);

	return r < 0 ? r : dev_bind(dev_fd, dev_fd, "pts/0", "console", attrs, err);
}

int step_run_dev(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct plan_step tmpfs = {
		.mode = 0755, .attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | step->attrs};
	_autoclose_ int fd = -1, pts = -1;
	char source[32];
	int r = mount_make_tmpfs(&tmpfs, &fd, err);

	if (r == 0)
		r = mount_place(ctx, fd, step, MOUNT_TARGET_DIR, err);
	for (size_t i = 0; i < ARRAY_SIZE(dev_nodes) && r == 0; i++) {
		(void)snprintf(source, sizeof(source), "dev/%s", dev_nodes[i]);
		r = dev_bind(ctx->host_root_fd, fd, source, dev_nodes[i], step->attrs, err);
	}
	if (r == 0)
		r = dev_fill(fd, step->mode, err);
	if (r == 0)
		r = dev_mount_pts(fd, &pts, err);
	if (r == 0 && (step->flags & PLAN_STEP_HAS_PTY))
		r = dev_make_terminal(ctx, fd, pts, step->attrs, err);
	else if (r == 0 && step->source)
		r = dev_bind(ctx->host_root_fd, fd, step->source + 1, "console", step->attrs, err);
	return r;
}
