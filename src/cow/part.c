/* SPDX-License-Identifier: MIT */
/*
 * part: see part.h. A part is what was mounted below a directory given to --cow when the session
 * began, or what is by now. The others can be compared and applied without it, if somebody says so.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/cow/part.h"
#include "sbx/cow/walk.h"
#include "sbx/cow/xattr.h"

/* The path relative to the directory given to --cow that it lies in; "": it is none's part. */
const char *cow_part_name(const struct cow_session *session, const char *path)
{
	const char *top = path;

	for (size_t i = 0; i < session->n_roots; i++)
		if (path_is_below(path, session->roots[i].path) &&
		    strlen(session->roots[i].path) < strlen(top))
			top = session->roots[i].path;
	if (str_equal(top, path))
		return "";
	return path + (path_is_root(top) ? 1 : strlen(top) + 1);
}

static bool part_has_nothing(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool nothing = true;

	if (!dir) {
		defs_cleanup_fd(&fd);
		return false;
	}
	while (nothing && (errno = 0, e = readdir(dir)))
		nothing = path_is_dots(e->d_name);
	nothing = nothing && errno == 0;
	(void)closedir(dir);
	return nothing;
}

/*
 * Has the command changed nothing of it? Then it does not matter what has become of it. Where it is
 * not known what the layer began with that cannot be told.
 */
bool cow_part_is_unchanged(const struct cow_session *session, size_t root)
{
	_autoclose_ int upper = -1, base = -1;
	struct sbx_err ignored;
	struct stat now, began;
	char name[32];

	(void)snprintf(name, sizeof(name), "%zu/upper", root);
	upper = cow_open(session->dir_fd, name, O_RDONLY | O_DIRECTORY);
	if (upper < 0 || cow_session_open_base(session, root, &base, &ignored) < 0 || base < 0 ||
	    fstat(upper, &now) < 0 || fstat(base, &began) < 0)
		return false;
	return ((now.st_mode ^ began.st_mode) & 07777) == 0 &&
	       now.st_mtim.tv_sec == began.st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == began.st_mtim.tv_nsec &&
	       cow_xattr_equal(upper, ".", base, ".") == 1 && part_has_nothing(upper);
}

/* As a pattern that fits this alone, and as a shell takes it. */
static void part_put_pattern(struct str_buf *out, const char *name)
{
	str_buf_puts(out, "'");
	for (; *name; name++) {
		if (strchr("*?[\\", *name))
			str_buf_puts(out, "\\");
		if (*name == '\'')
			str_buf_puts(out, "'\\'");
		str_buf_write(out, name, 1);
	}
	str_buf_puts(out, "'");
}

static void part_hint(const struct cow_session *session, const char *first, const char *name,
		      struct sbx_err *err)
{
	char room[512], word[COW_WORD_MAX];
	struct str_buf pattern = STR_BUF_ON_STACK(room);

	part_put_pattern(&pattern, name);
	err_hint(err, "%s, or leave it out: sbx apply --exclude %s %s", first, room,
		 cow_session_word(session, word));
}

/* @path: of one of the session's directories, which is not what it was */
void cow_part_hint(const struct cow_session *session, const char *path, struct sbx_err *err)
{
	const char *name = cow_part_name(session, path);

	if (*name)
		part_hint(session, "mount again what was there", name, err);
}

/* @path: relative to that directory; what the layer has for it cannot be seen on the host */
int cow_part_refuse_covered(const struct cow_session *session, size_t root, const char *path,
			    struct sbx_err *err)
{
	const char *above = session->roots[root].path, *name;
	char whole[sizeof(err->path)];
	int r;

	(void)snprintf(whole, sizeof(whole), "%s/%s", path_is_root(above) ? "" : above, path);
	name = cow_part_name(session, whole);
	r = err_refuse(err, EXDEV, whole,
		       "something is mounted there that was not when the session began");
	part_hint(session, "unmount it", name, err);
	return r;
}
