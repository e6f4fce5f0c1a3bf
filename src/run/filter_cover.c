/* SPDX-License-Identifier: MIT */
/*
 * filter_cover: hold what a sandbox may not write though it has what is above: the filters
 * that are kept for later launches (spec/filter_cover.c).
 *
 * The directory is bound over itself, read-only, and the one above over itself as it is: a
 * mount point can be neither renamed nor removed, so that none of its name can be put in
 * its place. What is missing is made, or the command would make it. Where the runtime
 * directory is no mount of the host's, nobody looks for filters in it, and it is left alone.
 *
 * Something else may have been mounted there since: what is found inside must be what is on
 * the host. An overlay shows its upper layer under another number; that is not compared.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/steps.h"

enum { COVER_TRIES = 3 };

/* Does the command see there what the host has? Return: 1, 0 or -errno. */
static int cover_is_hosts(const struct run_context *ctx, const struct plan_step *step, int fd)
{
	_autoclose_ int host = -1;
	struct stat here, there;
	int r;

	if (step->flags & PLAN_STEP_OVERLAY)
		return 1;
	r = path_open(ctx->host_root_fd, step->source, &host);
	if (r < 0)
		return r;
	if (fstat(fd, &here) < 0 || fstat(host, &there) < 0)
		return -errno;
	return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Open a directory, which is made where it is missing. Return: its descriptor, or -errno. */
static int cover_open(int above, const char *name)
{
	for (int i = 0; i < COVER_TRIES; i++) {
		int fd = openat(above, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 || errno != ENOENT)
			return fd < 0 ? -errno : fd;
		if (mkdirat(above, name, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return -EAGAIN;
}

/* From the directory `fd` on to the last of the names; each is held. Return: 0 or -errno. */
static int cover_walk(int *fd, const char *names)
{
	char name[NAME_MAX + 1];
	int held = -1, r = 0;

	while (*names && r == 0) {
		size_t len = strcspn(names, "/");
		int next;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, names, len);
		name[len] = '\0';
		names += len + (names[len] == '/');
		next = cover_open(*fd, name);
		if (next == -ENOTDIR)
			return 0; /* a file or link: it is held, and nobody looks behind it */
		if (next < 0)
			return next;
		close(*fd);
		*fd = next;
		r = mount_over_itself(*fd, *names ? 0 : MOUNT_ATTR_RDONLY, &held);
		if (r == 0) {
			close(*fd);
			*fd = take_fd(&held);
		}
	}
	return r;
}

/* What the command cannot do either, for want of a permission, need not be prevented. */
static bool cover_is_impossible(const struct plan_step *step, int number)
{
	return number == EROFS || (number == EACCES && (step->flags & PLAN_STEP_IF_IN_REACH));
}

int step_run_filter_cover(struct run_context *ctx, const struct plan_step *step,
			  struct sbx_err *err)
{
	_autoclose_ int fd = -1, held = -1;
	int r = path_open_inside(ctx->root_fd, step->dest, &fd);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0; /* covered, or it was not bound */
	if (r == 0)
		r = cover_is_hosts(ctx, step, fd);
	if (r == 0)
		return 0;
	if (r > 0)
		r = *step->text ? cover_walk(&fd, step->text)
				: mount_over_itself(fd, MOUNT_ATTR_RDONLY, &held);
	if (r == 0 || (r < 0 && cover_is_impossible(step, -r)))
		return 0;
	return err_system(err, -r, step->dest,
			  "cannot keep the filters for later launches from being written to");
}
