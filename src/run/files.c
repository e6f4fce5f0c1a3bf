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

int step_run_dir(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autopathdir_ struct path_dir dir = PATH_DIR_NONE;
	_autoclose_ int fd = -1;
	const char *name;
	int r = path_make_parent(ctx->root_fd, step->dest, step->parent_mode, &dir, &name);

	if (r < 0 && r != -EINVAL)
		return err_system(err, -r, step->dest, "cannot make what is above the directory");
	if (r == 0 && mkdirat(dir.fd, name, (mode_t)step->mode) == 0)
		return 0;
	if (r == 0 && errno != EEXIST)
		return err_system(err, errno, step->dest, "cannot make the directory");
	r = path_make_dir(ctx->root_fd, step->dest, (mode_t)step->mode, step->parent_mode, &fd);
	return r < 0 ? err_system(err, -r, step->dest, "cannot make the directory") : 0;
}

/* Open for writing what is behind an O_PATH descriptor, by its entry in the caller's /proc. */
static int files_reopen(int path_fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	/* O_NONBLOCK: a FIFO that somebody put there must not keep us waiting for a reader. */
	return openat(AT_FDCWD, path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);
}

/* Make the file, or empty the one that is there. */
static int files_create(struct run_context *ctx, const struct plan_step *step, int *ret_fd,
			struct sbx_err *err)
{
	_autopathdir_ struct path_dir dir = PATH_DIR_NONE;
	_autoclose_ int at = -1;
	const char *name;
	int fd, r;

	r = path_make_parent(ctx->root_fd, step->dest, step->parent_mode, &dir, &name);
	if (r < 0)
		/* A name that ends with a slash, or "..", is a directory's: open(2) says so too. */
		return r == -EINVAL ? err_system(err, EISDIR, step->dest, "cannot create the file")
				    : err_system(err, -r, step->dest,
						 "cannot make what is above the file");
	fd = openat(dir.fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, (mode_t)step->mode);
	r = fd < 0 ? -errno : 0;
	if (r == -EEXIST)
		r = path_make_file(ctx->root_fd, step->dest, (mode_t)step->mode, step->parent_mode,
				   &at);
	if (r == 0 && at >= 0) {
		fd = files_reopen(at);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return err_system(err, -r, step->dest, "cannot create the file");
	*ret_fd = fd;
	return 0;
}

int step_run_file(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = files_create(ctx, step, &fd, err);

	if (r < 0)
		return r;
	r = step->text ? io_write_all(fd, step->text, strlen(step->text)) : io_copy(step->fd, fd);
	return r < 0 ? err_system(err, -r, step->dest, "cannot fill the file") : 0;
}

int step_run_symlink(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autopathdir_ struct path_dir dir = PATH_DIR_NONE;
	char there[PATH_MAX];
	const char *name;
	ssize_t n;
	int r = path_make_parent(ctx->root_fd, step->dest, step->parent_mode, &dir, &name);

	if (r == -EINVAL)
		return err_refuse(err, EISDIR, step->dest,
				  "is the name of a directory, so it cannot be a link's");
	if (r < 0)
		return err_system(err, -r, step->dest, "cannot make what is above the link");
	if (symlinkat(step->source, dir.fd, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_system(err, errno, step->dest, "cannot make the link");
	n = readlinkat(dir.fd, name, there, sizeof(there) - 1);
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

/* Where the command will be: PID 1 itself stays in the root. */
static int files_enter_workdir(const struct run_context *ctx, struct sbx_err *err)
{
	const char *const *dirs = ctx->plan->workdirs;

	for (size_t i = 0; dirs[i]; i++)
		if (chdir(dirs[i]) == 0)
			return 0;
	return err_system(err, errno, dirs[0], "cannot change to the working directory");
}

/* Open a file of the sandbox's; a relative path is from the command's directory. */
static int files_open_lock(const struct run_context *ctx, const char *path, int *ret_fd,
			   struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	bool relative = path[0] != '/';
	int r = relative ? files_enter_workdir(ctx, err) : 0;

	if (r < 0)
		return r;
	fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, errno, path, "cannot open the lock file");
	if (relative && chdir("/") < 0)
		return err_system(err, errno, "/", "cannot change to the root again");
	*ret_fd = take_fd(&fd);
	return 0;
}

/*
 * A read lock of the whole file (fcntl(2)), which belongs to PID 1 and goes with it.
 * O_NONBLOCK: a FIFO must not keep us waiting for a writer.
 */
int step_run_lock(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	_autoclose_ int fd = -1;
	int r;

	if (ctx->n_locks == CONTEXT_LOCKS_MAX)
		return err_refuse(err, E2BIG, step->dest, "more than %d files are to be locked",
				  CONTEXT_LOCKS_MAX);
	r = files_open_lock(ctx, step->dest, &fd, err);
	if (r < 0)
		return r;
	if (fcntl(fd, F_SETLK, &lock) < 0)
		return err_system(err, errno, step->dest, "cannot lock the file");
	ctx->lock_fds[ctx->n_locks++] = take_fd(&fd);
	return 0;
}
