/* SPDX-License-Identifier: MIT */
/*
 * pin: keep names from being renamed or removed, though the command may write to the directories
 * that they are in (spec/session_hide.c).
 *
 * Each is bound over itself, writable as it was: a mount point can be neither renamed nor removed
 * (EBUSY). What is a mount point already stays as it is. A link is the last one: where it leads
 * has names of its own.
 *
 * What is not there as it was when the plan was made is covered by a later step, or the
 * sandbox's own, and not what the names are kept for.
 *
 * Runs in: PID 1, before pivot_root.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/steps.h"

/* What is not there, or out of reach for PID 1, is so for the command as well. */
static bool pin_ends_at(int number)
{
	return number == ENOENT || number == ENOTDIR || number == EACCES;
}

/*
 * Pin one name, and enter it.
 * @fd: the directory that it is in; replaced
 *
 * Return: 1; 0 where nothing lies below it; or -errno.
 */
static int pin_name(int *fd, const char *name)
{
	_autoclose_ int next = openat(*fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), mount = -1;
	struct sys_file file;
	int r;

	if (next < 0 || sys_statx_file(next, "", &file) < 0)
		return -errno;
	if (!file.mount.is_root) {
		r = mount_over_itself(next, 0, &mount);
		if (r < 0)
			return r;
	}
	close(*fd);
	*fd = mount >= 0 ? take_fd(&mount) : take_fd(&next);
	return S_ISDIR(file.mode);
}

int step_run_pin(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const char *names = step->text;
	_autoclose_ int fd = -1;
	int r = path_open_inside(ctx->root_fd, step->dest, &fd);

	if (r == 0)
		r = 1;
	while (*names && r > 0) {
		size_t len = strcspn(names, "/");
		char name[NAME_MAX + 1];

		if (len > NAME_MAX) {
			r = -ENAMETOOLONG;
			break;
		}
		memcpy(name, names, len);
		name[len] = '\0';
		names += len + (names[len] == '/');
		r = pin_name(&fd, name);
	}
	return r >= 0 || pin_ends_at(-r)
		       ? 0
		       : err_system(err, -r, step->dest,
				    "cannot keep what is above the sessions in its place");
}
