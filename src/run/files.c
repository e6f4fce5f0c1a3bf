/* SPDX-License-Identifier: MIT */
/*
 * files: the steps that make or change files inside the new root. All resolve
 * their destination below it, so no link can lead them to the host's.
 * Runs in: PID 1, with umask 0.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/steps.h"

/* Parents that have to be made are not more open to group and others than what is in them. */
static mode_t files_parent_mode(const struct plan_step *step)
{
	mode_t mode = 0755;

	if (step->mode >= 0 && (step->mode & 0070) == 0)
		mode &= (mode_t)~0050;
	if (step->mode >= 0 && (step->mode & 0007) == 0)
		mode &= (mode_t)~0005;
	return mode;
}

int step_run_dir(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = path_make_dir(ctx->root_fd, step->dest, (mode_t)step->mode, files_parent_mode(step),
			      &fd);

	return r < 0 ? err_system(err, -r, step->dest, "cannot make the directory") : 0;
}

/* Open for writing what is behind an O_PATH descriptor, by its entry in the caller's /proc. */
static int files_reopen(int path_fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	/* O_NONBLOCK: a FIFO that somebody put there must not keep us waiting for a reader. */
	return open(path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);
}

/* Make the file, or empty the one that is there. */
static int files_create(struct run_context *ctx, const struct plan_step *step, int *ret_fd)
{
	_autoclose_ int dir = -1, at = -1;
	const char *name;
	int fd, r;

	r = path_make_parent(ctx->root_fd, step->dest, files_parent_mode(step), &dir, &name);
	if (r < 0)
		return r;
	fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, (mode_t)step->mode);
	if (fd < 0 && errno != EEXIST)
		return -errno;
	if (fd < 0) {
		r = path_make_file(ctx->root_fd, step->dest, (mode_t)step->mode,
				   files_parent_mode(step), &at);
		if (r < 0)
			return r;
		fd = files_reopen(at);
	}
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int step_run_file(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = files_create(ctx, step, &fd);

	if (r < 0)
		return err_system(err, -r, step->dest, "cannot create the file");
	r = step->text ? io_write_all(fd, step->text, strlen(step->text)) : io_copy(step->fd, fd);
	return r < 0 ? err_system(err, -r, step->dest, "cannot fill the file") : 0;
}

int step_run_symlink(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int dir = -1;
	char there[PATH_MAX];
	const char *name;
	ssize_t n;
	int r = path_make_parent(ctx->root_fd, step->dest, 0755, &dir, &name);

	if (r < 0)
		return err_system(err, -r, step->dest, "cannot make its directory");
	if (symlinkat(step->source, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_system(err, errno, step->dest, "cannot make the link");
	n = readlinkat(dir, name, there, sizeof(there) - 1);
	if (n < 0)
		return err_refuse(err, EEXIST, step->dest, "exists and is no symbolic link");
	there[n] = '\0';
	if (strcmp(there, step->source) != 0)
		return err_refuse(err, EEXIST, step->dest, "is a link to something else: %s",
				  there);
	return 0;
}

int step_run_chmod(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	char path[32];
	int r = path_open_inside(ctx->root_fd, step->dest, &fd);

	if (r < 0)
		return err_system(err, -r, step->dest, "cannot open what is to be changed");
	/* fchmod(2) refuses O_PATH descriptors, fchmodat2(2) is from Linux 6.6. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (chmod(path, (mode_t)step->mode) < 0)
		return err_system(err, errno, step->dest, "cannot change the mode");
	return 0;
}
