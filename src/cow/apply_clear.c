/* SPDX-License-Identifier: MIT */
/*
 * apply_clear: what an apply has under its temporary names, and what is a killed one's there; see
 * apply_parts.h and removals.h.
 *
 * In a directory that others may write to, it can be anything, by their doing. What is taken away
 * by name is never more than what they could take away themselves, which is no directory with
 * something in it that is not theirs.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/str.h"
#include "sbx/cow/apply_parts.h"

/*
 * In a new directory that has no name of its own yet everything has a temporary one. What has
 * another is not an apply's.
 */
static int apply_clear_made(struct apply *a, int dir_fd, const char *name, unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;

	if (!dir)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(dir))) {
		struct stat st;

		if (!str_starts_with(e->d_name, a->temporary))
			continue;
		r = fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno
		    : !S_ISDIR(st.st_mode)     ? apply_unlink(a, fd, e->d_name, &st)
		    : depth < APPLY_SCAN_DEPTH ? apply_clear_made(a, fd, e->d_name, depth + 1)
					       : -ELOOP;
	}
	if (r == 0)
		r = -errno;
	(void)closedir(dir);
	return r < 0 ? r : unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/*
 * A directory of the host that was renamed to be removed: nobody comes to what is in it by its name
 * any more, and what somebody has put there before is seen now. Who is in it can still put
 * something there: so it is looked through again where a killed try had begun to remove it.
 *
 * Return: 0, -ESTALE there is something later in it, or -errno.
 */
int apply_let_go(struct apply *a, int found, const struct cow_removal *removal)
{
	if (!a->options->force && apply_tree_is_later(a, found, ".", removal->goes, 0))
		return -ESTALE;
	return removal->goes ? 0 : cow_removals_let_go(&a->removals, removal);
}

int apply_find_dir(int dir_fd, const char *name)
{
	return cow_open(dir_fd, name, O_PATH | O_DIRECTORY);
}

/* That takes its time, in which others may change the directory that it is in. */
static int apply_remove_all(struct apply *a, int found, int dir_fd)
{
	int r = apply_unlink_shared(a, found);
	struct stat dir;

	if (r == 0)
		r = cow_empty_found(found, a->left_over);
	if (r == 0)
		r = apply_hold_again(a, dir_fd, &dir);
	return r < 0 ? r : unlinkat(dir_fd, a->name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/*
 * One that was let go, and has the temporary name. What ids of the sandbox own can be removed by
 * who has them: cow_gain_access(). What cannot be removed is remembered, to be told.
 *
 * Return: 0 or -errno.
 */
int apply_remove_dir(struct apply *a, int found, int dir_fd)
{
	int r;

	a->left_over[0] = '\0';
	r = apply_remove_all(a, found, dir_fd);
	/* Not empty is what cannot be looked into. */
	if (r == -EACCES || r == -EPERM || r == -ENOTEMPTY) {
		cow_gain_access();
		r = apply_remove_all(a, found, dir_fd);
	}
	a->is_left = r < 0;
	return r;
}

/* Under the temporary name: an apply's only where it made it, or has noted that it goes. */
static int apply_clear_dir(struct apply *a, int dir_fd)
{
	_autoclose_ int found = apply_find_dir(dir_fd, a->name);
	struct cow_removal removal = {0};
	int r = found < 0 ? -errno : apply_removal_of(a, found, "", &removal);

	if (r == 0)
		r = cow_removals_find(&a->removals, &removal);
	if (r == 0)
		return apply_clear_made(a, dir_fd, a->name, 0);
	if (r > 0)
		r = apply_let_go(a, found, &removal);
	return r < 0 ? r : apply_remove_dir(a, found, dir_fd);
}

/* What lies under the temporary name: a killed try's, or what came to nothing. */
int apply_clear(struct apply *a, int dir_fd)
{
	struct stat st, dir;
	int r;

	a->is_left = false;
	if (fstatat(dir_fd, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = fstat(dir_fd, &dir) < 0 ? -errno : cow_journal_add(&a->journal, &dir);
	if (r == 0)
		r = S_ISDIR(st.st_mode) ? apply_clear_dir(a, dir_fd)
					: apply_unlink(a, dir_fd, a->name, &st);
	apply_note(a, dir_fd);
	return r;
}

/* The same before the name is used. */
int apply_make_way(struct apply *a, int dir_fd)
{
	int r = apply_clear(a, dir_fd);

	a->in_the_way = r < 0;
	return r;
}
