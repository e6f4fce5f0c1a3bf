/* SPDX-License-Identifier: MIT */
/*
 * apply_choose: which changes of a session are meant, and what stands against each; see
 * apply_parts.h. Asked by both walks of apply.c; changes nothing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply_parts.h"

enum { APPLY_STARS_MAX = 6 };

/* ---- what is meant ---- */

/* As fnmatch(3), where a star stands for slashes too; and a directory of stars for none as well. */
static bool apply_fits(const char *pattern, const char *path, int depth)
{
	const char *stars = strstr(pattern, "**/");
	char shorter[PATH_MAX];

	if (fnmatch(pattern, path, FNM_LEADING_DIR) == 0)
		return true;
	if (!stars || depth == APPLY_STARS_MAX || strlen(pattern) >= sizeof(shorter))
		return false;
	/* Without the first, or with it as one star, which is no such directory any more. */
	(void)snprintf(shorter, sizeof(shorter), "%.*s%s", (int)(stars - pattern), pattern,
		       stars + strlen("**/"));
	if (apply_fits(shorter, path, depth + 1))
		return true;
	(void)snprintf(shorter, sizeof(shorter), "%.*s%s", (int)(stars - pattern), pattern,
		       stars + strlen("*"));
	return apply_fits(shorter, path, depth + 1);
}

/*
 * The root has no name that a pattern could be about: with ".*" names are meant that begin with a
 * dot. So what is to be applied has to say it, as "." or by stars alone; and it is left out
 * by all that fits ".", as who leaves out more loses nothing.
 */
static bool apply_includes(const struct cow_glob *glob, const char *path)
{
	if (str_equal(path, ".") && !str_equal(glob->pattern, "."))
		return glob->pattern[strspn(glob->pattern, "*/")] == '\0';
	return apply_fits(glob->pattern, path, 0);
}

static bool apply_leaves_out(const struct cow_glob *glob, const char *path)
{
	return apply_fits(glob->pattern, path, 0);
}

typedef bool (*apply_fit)(const struct cow_glob *glob, const char *path);

enum { APPLY_WHOLE_MAX = COW_PATH_MAX + PATH_MAX };

/*
 * What patterns are compared with: relative to the directory given to --cow, also where it is in a
 * mount below that, which is a root of its own.
 */
static const char *apply_whole_path(const struct apply *a, const char *path,
				    char room[APPLY_WHOLE_MAX])
{
	if (!*a->place)
		return path;
	if (str_equal(path, "."))
		return a->place;
	(void)snprintf(room, APPLY_WHOLE_MAX, "%s/%s", a->place, path);
	return room;
}

static bool apply_matches(const struct apply *a, const struct cow_glob *globs, size_t n,
			  apply_fit fit, const char *path)
{
	char room[APPLY_WHOLE_MAX];

	path = apply_whole_path(a, path, room);
	for (size_t i = 0; i < n; i++)
		if (fit(&globs[i], path))
			return true;
	return false;
}

/* Return: do all of them fit something by now? */
static bool apply_note_path(const struct apply *a, struct cow_glob *globs, size_t n, apply_fit fit,
			    const char *path)
{
	char room[APPLY_WHOLE_MAX];
	bool all = true;

	path = apply_whole_path(a, path, room);
	for (size_t i = 0; i < n; i++) {
		globs[i].fits = globs[i].fits || fit(&globs[i], path);
		all = all && globs[i].fits;
	}
	return all;
}

static bool apply_note_excludes(const struct apply *a, const char *path)
{
	const struct cow_apply_options *o = a->options;

	return apply_note_path(a, o->exclude, o->n_exclude, apply_leaves_out, path);
}

/* Return: do all of them fit something that is removed with its directory? */
static bool apply_note_within(const struct apply *a, const char *path)
{
	const struct cow_apply_options *o = a->options;
	char room[APPLY_WHOLE_MAX];
	bool all = true;

	path = apply_whole_path(a, path, room);
	for (size_t i = 0; i < o->n_include; i++) {
		o->include[i].within = o->include[i].within || apply_includes(&o->include[i], path);
		all = all && o->include[i].within;
	}
	return all;
}

/* What is left to be applied is looked at for the first time: which patterns are about it? */
void apply_note_fits(struct apply *a, const struct cow_entry *e)
{
	const struct cow_apply_options *o = a->options;
	bool included, excluded;

	if (a->acts || !cow_is_told(e))
		return;
	included = apply_note_path(a, o->include, o->n_include, apply_includes, e->path);
	excluded = apply_note_path(a, o->exclude, o->n_exclude, apply_leaves_out, e->path);
	/* What is excluded may lie in a directory that goes as a whole. */
	if (!e->has_host || !S_ISDIR(e->host.st_mode) || !(e->changes & (COW_REMOVED | COW_TYPE)))
		return;
	if (!excluded)
		(void)apply_any_below(a, apply_note_excludes, e->host_dir, e->name, e->path, 0);
	if (!included)
		(void)apply_any_below(a, apply_note_within, e->host_dir, e->name, e->path, 0);
}

bool apply_selects(const struct apply *a, const char *path)
{
	const struct cow_apply_options *o = a->options;

	return (o->n_include == 0 ||
		apply_matches(a, o->include, o->n_include, apply_includes, path)) &&
	       !apply_excludes(a, path);
}

bool apply_excludes(const struct apply *a, const char *path)
{
	return apply_matches(a, a->options->exclude, a->options->n_exclude, apply_leaves_out, path);
}

/*
 * Is there anything below a directory, of the layer or the host, for which it holds? What cannot be
 * looked at may be such.
 */
bool apply_any_below(const struct apply *a, apply_test test, int dir_fd, const char *name,
		     const char *path, unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;
	bool found = depth >= APPLY_SCAN_DEPTH;

	if (!dir)
		return true;
	while (!found && (errno = 0, e = readdir(dir))) {
		_autofree_ char *below = NULL;
		struct stat st;

		if (path_is_dots(e->d_name))
			continue;
		found = asprintf(&below, "%s/%s", path, e->d_name) < 0 || test(a, below) ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			(S_ISDIR(st.st_mode) &&
			 apply_any_below(a, test, fd, e->d_name, below, depth + 1));
	}
	found = found || errno;
	(void)closedir(dir);
	return found;
}

/*
 * A directory that stays, with something to be set that the caller cannot: it belongs to an id that
 * is none of the sandbox's. The command has made it anew.
 */
bool apply_is_beyond(const struct cow_entry *e)
{
	return S_ISDIR(e->upper.st_mode) && e->has_host && !(e->changes & COW_TYPE) &&
	       (e->changes & APPLY_SET) && !cow_reaches(&e->host);
}

/* Only root gives away. What is another's can become the caller's, or get the caller's group. */
static bool apply_can_own(const struct cow_entry *e)
{
	if (geteuid() == 0)
		return true;
	if (e->host.st_uid == geteuid())
		return false;
	if (!S_ISDIR(e->upper.st_mode))
		return e->upper.st_uid == geteuid();
	return e->upper.st_uid != e->host.st_uid || apply_may_give(e->upper.st_gid);
}

/* What is left to be done: not what cannot be or is not wanted, or it would never end. */
uint32_t apply_changes(const struct apply *a, const struct cow_entry *e)
{
	uint32_t changes = e->changes;

	if (!a->options->allow_setid &&
	    ((e->upper.st_mode ^ e->host.st_mode) & (07777 & ~APPLY_SETID)) == 0 &&
	    (e->upper.st_mode & APPLY_SETID & ~e->host.st_mode))
		changes &= ~(uint32_t)COW_MODE;
	if (!apply_can_own(e))
		changes &= ~(uint32_t)COW_OWNER;
	if (apply_is_beyond(e))
		changes &= ~(uint32_t)(APPLY_SET | COW_TIME);
	if (e->only_plants)
		changes &= ~(uint32_t)COW_XATTRS;
	return changes;
}

/* ---- what has changed on the host ---- */

static bool apply_entry_is_later(struct apply *a, const struct cow_entry *e)
{
	if (!e->has_host)
		return false;
	if (apply_is_others(a, &e->host)) {
		a->unshown = false;
		return true;
	}
	if (!S_ISDIR(e->host.st_mode))
		return a->unshown = apply_is_unshown(a, e->host_dir, e->name, &e->host);
	/* The first walk has looked already: apply_is_barred(). */
	return a->acts ? apply_tree_is_later(a, e->host_dir, e->name, false, 0) : a->later_below;
}

/* ---- what is mounted ---- */

/* The first mount in a directory of the host; NULL: there is none. */
static const char *apply_find_mount_below(const struct apply *a, int dir_fd, const char *name,
					  unsigned depth)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;
	const char *point = NULL;

	if (!dir)
		return NULL;
	while (!point && depth < APPLY_SCAN_DEPTH && (e = readdir(dir))) {
		struct stat st;

		if (path_is_dots(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		point = cow_mounts_find(&a->mounts, &st);
		if (!point && S_ISDIR(st.st_mode))
			point = apply_find_mount_below(a, fd, e->d_name, depth + 1);
	}
	(void)closedir(dir);
	return point;
}

/*
 * Is what has to give way mounted? A mount point cannot be replaced, and a file that is mounted
 * elsewhere would go on there as it was, without a name.
 */
static bool apply_is_mounted(struct apply *a, const struct cow_entry *e)
{
	struct str_buf why = STR_BUF_ON_STACK(a->why);
	const char *point;
	bool below = false;

	if (!a->mounts.n || !e->has_host || e->depth == 0 ||
	    (S_ISDIR(e->upper.st_mode) && !(e->changes & (COW_REMOVED | COW_TYPE))))
		return false;
	point = cow_mounts_find(&a->mounts, &e->host);
	if (!point && S_ISDIR(e->host.st_mode)) {
		point = apply_find_mount_below(a, e->host_dir, e->name, 0);
		below = point != NULL;
	}
	if (!point)
		return false;
	str_buf_puts(&why, below ? "has something in it that is mounted at "
				 : "cannot be replaced, as it is mounted at ");
	str_buf_escape(&why, point, strlen(point));
	return true;
}

/* ---- what the caller cannot change ---- */

static bool apply_is_fixed(int dir_fd, const char *name)
{
	struct sys_file file;

	return sys_statx_file(dir_fd, name, &file) == 0 && file.is_fixed;
}

/* Of a directory that stays. Owners and permissions are for what is tried to tell. */
static int apply_check_itself(const struct cow_entry *e)
{
	return faccessat(e->host_dir, e->name, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 &&
			       errno == EROFS
		       ? -EROFS
		       : 0;
}

/*
 * Looked at before anything is changed: the permissions of a directory in which names are made
 * and removed, filesystems that are read-only, what nobody may change, and the same of all that is
 * in a directory that goes.
 */
static bool apply_is_closed(struct apply *a, const struct cow_entry *e)
{
	bool stays = S_ISDIR(e->upper.st_mode) && e->has_host &&
		     !(e->changes & (COW_REMOVED | COW_TYPE));
	struct str_buf why = STR_BUF_ON_STACK(a->why);
	int r;

	if (a->acts || e->host_dir < 0)
		return false;
	r = stays ? apply_check_itself(e) : apply_check_dir(e->host_dir);
	if (r < 0)
		str_buf_printf(&why, "%s: %s",
			       stays ? "cannot be changed" : "its directory cannot be written to",
			       strerror(-r));
	else if (e->has_host && apply_is_fixed(e->host_dir, e->name))
		str_buf_puts(&why, "cannot be changed: it is immutable or append-only, see "
				   "chattr(1)");
	else if (!stays && apply_is_fixed(e->host_dir, "."))
		str_buf_puts(&why, "its directory cannot be changed: that is immutable or "
				   "append-only, see chattr(1)");
	else if (!stays && e->has_host)
		(void)apply_is_barred(a, e, &why);
	return why.len > 0;
}

/* ---- what stands against it ---- */

/* Return: true where it may not be touched; it is told then, and a->why says it. */
bool apply_conflicts(struct apply *a, const struct cow_entry *e)
{
	struct stat dir;
	bool later = false, beside = false;

	if (apply_is_mounted(a, e)) {
		a->applied->mounted++;
		a->options->tell(a->options->arg, a->root, e, a->why);
		return true;
	}
	a->unshown = false;
	if (apply_is_closed(a, e)) {
		a->applied->closed++;
		a->options->tell(a->options->arg, a->root, e, a->why);
		return true;
	}
	if (a->options->force)
		return false;
	if (S_ISDIR(e->upper.st_mode) && !(e->changes & (COW_ADDED | COW_REMOVED | COW_TYPE)))
		later = apply_is_others(a, &e->host);
	else if (!S_ISDIR(e->upper.st_mode) || (e->changes & (COW_REMOVED | COW_TYPE)))
		later = apply_entry_is_later(a, e);
	if (!later && (e->changes & (COW_ADDED | COW_REMOVED)) && e->host_dir >= 0)
		later = beside = fstat(e->host_dir, &dir) < 0 || apply_is_others(a, &dir);
	if (later) {
		a->applied->conflicts++;
		str_copy(a->why, sizeof(a->why),
			 beside ? "its directory has changed on the host since the session began"
			 : a->unshown ? "has the mark of an overlay on the host, which the command "
					"was not shown"
				      : "has changed on the host since the session began");
		a->options->tell(a->options->arg, a->root, e, a->why);
	}
	return later;
}
