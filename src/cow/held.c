/* SPDX-License-Identifier: MIT */
/*
 * held: see held.h.
 *
 * Nothing but sbx writes there, and nobody sees it before the overlay has it: it is made as it is
 * wanted, by paths.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/cow/held.h"

static int held_make_file(int dir_fd, const char *path, bool has_dot)
{
	_autoclose_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	return has_dot ? io_write_all(fd, ".", 1) : 0;
}

/* With the directories above. What is there is of another of these names. */
static int held_make(int dir_fd, const struct plan_held *held)
{
	char path[PATH_MAX];
	int r = 0;

	if (strlen(held->path) >= sizeof(path))
		return -ENAMETOOLONG;
	str_copy(path, sizeof(path), held->path);
	for (char *slash = strchr(path, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = mkdirat(dir_fd, path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
	}
	if (r == 0)
		r = !(held->flags & PLAN_STEP_DIRECTORY)
			    ? held_make_file(dir_fd, path, held->flags & PLAN_STEP_DOT)
		    : mkdirat(dir_fd, path, 0755) < 0 ? -errno
						      : 0;
	/* Below a name that is to be a file: its own step will tell. */
	return r == -EEXIST || r == -ENOTDIR ? 0 : r;
}

static int held_make_all(int session_fd, const char *name, const struct plan_layers *layers)
{
	_autoclose_ int fd = -1;
	int r = cow_remove_tree(session_fd, name);

	if (r < 0 && r != -ENOENT)
		return r;
	if (mkdirat(session_fd, name, 0755) < 0)
		return -errno;
	fd = openat(session_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : 0;
	for (size_t i = 0; i < layers->n_held && r == 0; i++)
		r = held_make(fd, &layers->held[i]);
	return r;
}

/**
 * Make the layers of names that a session's views hold.
 * @session: open, and locked
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_held_make(const struct cow_session *session, const struct sbx_plan *plan,
		  struct sbx_err *err)
{
	/* As what PID 1 makes to mount something on, whatever the caller's is. */
	const mode_t mask = umask(022);
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		const struct plan_layers *layers = plan->steps[i].layers;

		if (!layers || !layers->n_held)
			continue;
		r = held_make_all(session->dir_fd, path_rest(layers->held_dir, session->dir) + 1,
				  layers);
		if (r < 0)
			r = err_system(err, -r, layers->held_dir,
				       "cannot hold the names that are missing");
	}
	(void)umask(mask);
	return r;
}
