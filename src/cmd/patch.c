/* SPDX-License-Identifier: MIT */
/*
 * patch: see patch.h.
 *
 * A file that is new or goes is written here, line by line. Where it changes diff(1) finds out
 * what, for many files together (compare.h); until it does, what comes behind waits in a spool,
 * which is memory, and in which each pair has its place. No name of the layer is looked up
 * twice. What becomes another type, or a link with another target, goes first and is made anew
 * then, as git has it; a directory that goes is written as the files in it.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/cmd/patch.h"
#include "sbx/cow/xattr.h"

enum {
	PATCH_TEXT_MAX = COMPARE_TEXT_MAX, /* bytes of a file that is shown */
	PATCH_SPOOL_MAX = 4 << 20,	   /* what waits for diff(1) */
	PATCH_LOOK_BYTES = 8000,	   /* where a NUL makes a file binary; as git has it */
	PATCH_PIECE = 512,
};

/* A file or link, on one of the two sides. */
struct patch_side {
	int fd; /* owned; what it holds */
	const struct stat *st;
};

/* ---- text ---- */

/* On a terminal: tabs are themselves, other control characters are shown escaped. */
static void patch_put_safely(const struct patch *p, const char *text, size_t len)
{
	while (len > 0) {
		char room[4 * PATCH_PIECE + 1];
		struct str_buf piece = STR_BUF_ON_STACK(room);
		const char *tab = memchr(text, '\t', len);
		size_t n = tab ? (size_t)(tab - text) : len;

		if (n > PATCH_PIECE) { /* not through a character, which has 4 bytes at most */
			n = PATCH_PIECE;
			while (n > PATCH_PIECE - 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
				n--;
		}
		str_buf_escape(&piece, text, n);
		if (n < len && text[n] == '\t') {
			str_buf_puts(&piece, "\t");
			n++;
		}
		sink_write(p->sink, piece.data, piece.len);
		text += n;
		len -= n;
	}
}

enum { PATCH_HEAD = 'd' }; /* a line about the file: "diff --git", modes, names */

/* What a line begins with says what it is. As git has them. */
static const char *patch_colour(const struct patch *p, char first)
{
	return !p->colour	     ? ""
	       : first == '+'	     ? "\033[32m"
	       : first == '-'	     ? "\033[31m"
	       : first == '@'	     ? "\033[36m"
	       : first == PATCH_HEAD ? "\033[1m"
				     : "";
}

/* @sign: NUL, or what stands before the text */
static void patch_put_signed(const struct patch *p, char first, char sign, const char *text,
			     size_t len)
{
	const char *colour = patch_colour(p, first);

	sink_puts(p->sink, colour);
	sink_write(p->sink, &sign, sign != '\0');
	if (p->terminal)
		patch_put_safely(p, text, len);
	else
		sink_write(p->sink, text, len);
	sink_puts(p->sink, *colour ? "\033[m\n" : "\n");
}

static void patch_put_line(const struct patch *p, char first, const char *text, size_t len)
{
	patch_put_signed(p, first, '\0', text, len);
}

static void patch_put_head(const struct patch *p, const char *text)
{
	patch_put_line(p, PATCH_HEAD, text, strlen(text));
}

/* ---- names ---- */

/* Has it what a terminal is not to be given, or what quoting is made of? */
static bool patch_needs_quotes(const char *path)
{
	size_t len = strlen(path), n;

	for (size_t i = 0; i < len; i += n) {
		n = str_plain_len(path + i, len - i);
		if (n == 0 || path[i] == '"' || path[i] == '\\')
			return true;
	}
	return len > 0 && path[len - 1] == ' '; /* which patch(1) would take off */
}

/* As git quotes: "a/x\033y", where anything needs it. @quotes: in any case */
static void patch_put_name(struct str_buf *out, const char *side, const char *path, bool quotes)
{
	quotes = quotes || patch_needs_quotes(path);
	str_buf_puts(out, quotes ? "\"" : "");
	str_buf_puts(out, side);
	for (const char *at = path; *at; at++) {
		if (quotes && (*at == '"' || *at == '\\'))
			str_buf_printf(out, "\\%c", *at);
		else if (quotes && str_plain_len(at, 1) == 0)
			str_buf_printf(out, "\\%03o", (unsigned char)*at);
		else
			str_buf_write(out, at, 1);
	}
	str_buf_puts(out, quotes ? "\"" : "");
}

/* Behind "---" and "+++" a name ends at a tab where it has spaces. @side: "a/", "b/"; NULL: none */
static void patch_put_label(const struct patch *p, const char *sign, const char *side,
			    const char *path)
{
	struct str_buf line = {.data = p->room, .size = PATCH_ROOM};

	str_buf_puts(&line, sign);
	if (side)
		patch_put_name(&line, side, path, false);
	else
		str_buf_puts(&line, "/dev/null");
	if (side && strchr(path, ' '))
		str_buf_puts(&line, "\t");
	patch_put_line(p, PATCH_HEAD, line.data, line.len);
}

/*
 * @labels: "---" and "+++" follow, and say the names. Without them they are looked for here: git
 * does not find the middle of "a/x /y b/x /y", and patch(1) ends them at a blank.
 */
static void patch_put_header(const struct patch *p, const char *path, bool labels)
{
	struct str_buf line = {.data = p->room, .size = PATCH_ROOM};
	bool quotes = !labels && strchr(path, ' ');

	str_buf_puts(&line, patch_colour(p, PATCH_HEAD));
	str_buf_puts(&line, "diff --git ");
	patch_put_name(&line, "a/", path, quotes);
	sink_write(p->sink, line.data, line.len);
	line.len = 0;
	str_buf_puts(&line, " ");
	patch_put_name(&line, "b/", path, quotes);
	str_buf_puts(&line, p->colour ? "\033[m\n" : "\n");
	sink_write(p->sink, line.data, line.len);
}

/* git knows of a file whether it is executable. */
static unsigned patch_mode(const struct stat *st)
{
	return S_ISLNK(st->st_mode) ? 0120000 : st->st_mode & 0100 ? 0100755 : 0100644;
}

static void patch_put_mode(const struct patch *p, const char *what, const struct stat *st)
{
	char room[64];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_printf(&line, "%s mode %o", what, patch_mode(st));
	patch_put_head(p, room);
}

/* ---- what there is ---- */

static bool patch_has_text(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISLNK(st->st_mode);
}

static int patch_open_link(int dir_fd, const char *name)
{
	_autoclose_ int fd = memfd_create("sbx-link", MFD_CLOEXEC);
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

	if (fd < 0 || n < 0 || io_write_all(fd, target, (size_t)n) < 0)
		return -1;
	return take_fd(&fd);
}

/* Return: 0, or -errno with *err filled. */
static int patch_open(int dir_fd, const char *name, const char *path, const struct stat *st,
		      struct patch_side *ret, struct sbx_err *err)
{
	ret->st = st;
	ret->fd = S_ISLNK(st->st_mode) ? patch_open_link(dir_fd, name)
				       : cow_open(dir_fd, name, O_RDONLY | O_NONBLOCK);
	return ret->fd < 0 ? err_system(err, errno, path, "cannot be read") : 0;
}

/* Can it be shown as text? */
static enum patch_rest patch_look(const struct patch_side *side)
{
	char start[PATCH_LOOK_BYTES];
	ssize_t n;

	if (side->st->st_size > PATCH_TEXT_MAX)
		return PATCH_TOO_LARGE;
	n = pread(side->fd, start, sizeof(start), 0);
	return n > 0 && memchr(start, '\0', (size_t)n) ? PATCH_BINARY : PATCH_WHOLE;
}

/* ---- one side ---- */

static void patch_put_all_lines(const struct patch *p, char sign, const char *text, size_t len)
{
	struct str_buf line = {.data = p->room, .size = PATCH_ROOM};
	size_t n_lines = 0;

	for (size_t i = 0; i < len; i++)
		n_lines += text[i] == '\n' || i + 1 == len;
	str_buf_puts(&line, sign == '+' ? "@@ -0,0 +1" : "@@ -1");
	if (n_lines > 1)
		str_buf_printf(&line, ",%zu", n_lines);
	str_buf_puts(&line, sign == '+' ? " @@" : " +0,0 @@");
	patch_put_line(p, '@', line.data, line.len);
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		patch_put_signed(p, sign, sign, text, n);
		if (!end)
			sink_puts(p->sink, "\\ No newline at end of file\n");
		n += end ? 1 : 0;
		text += n;
		len -= n;
	}
}

/* All of a file that is new ('+') or goes ('-'). */
static int patch_put_side(const struct patch *p, char sign, const char *path,
			  const struct patch_side *side, struct sbx_err *err)
{
	_autoarena_ struct arena arena;
	char *text = NULL;
	size_t len = 0;
	int r;

	arena_init(&arena);
	if (lseek(side->fd, 0, SEEK_SET) < 0)
		return err_system(err, errno, path, "cannot be read");
	r = io_read_all(side->fd, PATCH_TEXT_MAX, &arena, &text, &len);
	if (r < 0)
		return err_system(err, -r, path, "cannot be read");
	patch_put_header(p, path, len > 0);
	patch_put_mode(p, sign == '+' ? "new file" : "deleted file", side->st);
	if (len == 0) {
		/* patch(1) goes by the number that git has for a file without content. */
		patch_put_head(p,
			       sign == '+' ? "index 0000000..e69de29" : "index e69de29..0000000");
		return 0;
	}
	patch_put_label(p, "--- ", sign == '+' ? NULL : "a/", path);
	patch_put_label(p, "+++ ", sign == '+' ? "b/" : NULL, path);
	patch_put_all_lines(p, sign, text, len);
	return 0;
}

static int patch_put_one(const struct patch *p, char sign, int dir_fd, const char *name,
			 const char *path, const struct stat *st, enum patch_rest *ret_rest,
			 struct sbx_err *err)
{
	struct patch_side side;
	int r;

	*ret_rest = PATCH_PART;
	if (!patch_has_text(st))
		return 0;
	r = patch_open(dir_fd, name, path, st, &side, err);
	if (r == -EXDEV) {
		*ret_rest = PATCH_MOUNTED;
		return 0;
	}
	if (r < 0)
		return r;
	*ret_rest = patch_look(&side);
	if (*ret_rest == PATCH_WHOLE)
		r = patch_put_side(p, sign, path, &side, err);
	defs_cleanup_fd(&side.fd);
	return r;
}

/* ---- a directory of the host that goes ---- */

struct patch_tree {
	const struct patch *patch;
	char *path; /* owned, COW_PATH_MAX */
	size_t len;
	bool whole; /* nothing but text was there, in directories that go with it */
	bool empty; /* not even that: git has no words for such a directory */
};

static int patch_put_tree(struct patch_tree *t, int dir_fd, const char *name, unsigned depth,
			  struct sbx_err *err);

static int patch_put_below(struct patch_tree *t, int dir_fd, const char *name, unsigned depth,
			   struct sbx_err *err)
{
	size_t before = t->len, len = strlen(name);
	enum patch_rest rest = PATCH_WHOLE;
	struct stat st;
	int r = 0;

	if (before + len + 2 > COW_PATH_MAX)
		return err_system(err, ENAMETOOLONG, t->path, "cannot be read");
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_system(err, errno, t->path, "cannot be read");
	t->path[t->len++] = '/';
	memcpy(t->path + t->len, name, len + 1);
	t->len += len;
	if (S_ISDIR(st.st_mode))
		r = patch_put_tree(t, dir_fd, name, depth + 1, err);
	else
		r = patch_put_one(t->patch, '-', dir_fd, name, t->path, &st, &rest, err);
	t->whole = t->whole && rest == PATCH_WHOLE;
	t->len = before;
	t->path[before] = '\0';
	return r;
}

static int patch_put_tree(struct patch_tree *t, int dir_fd, const char *name, unsigned depth,
			  struct sbx_err *err)
{
	int fd = cow_open(dir_fd, name, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;

	if (!dir || depth > COW_DEPTH_MAX) {
		r = err_system(err, dir ? ELOOP : errno, t->path, "cannot be read");
		if (dir)
			(void)closedir(dir);
		return r;
	}
	t->empty = true;
	while (r == 0 && (errno = 0, e = readdir(dir))) {
		if (path_is_dots(e->d_name))
			continue;
		r = patch_put_below(t, fd, e->d_name, depth, err);
		t->empty = false;
	}
	if (r == 0 && errno)
		r = err_system(err, errno, t->path, "cannot be read");
	(void)closedir(dir);
	t->whole = t->whole && !(t->empty && depth > 0);
	return r;
}

static int patch_put_removed(const struct patch *p, const struct cow_entry *e,
			     enum patch_rest *ret_rest, struct sbx_err *err)
{
	_autofree_ char *path = NULL;
	struct patch_tree tree = {.patch = p, .whole = true};
	int r;

	if (!S_ISDIR(e->host.st_mode))
		return patch_put_one(p, '-', e->host_dir, e->name, e->path, &e->host, ret_rest,
				     err);
	path = calloc(1, COW_PATH_MAX);
	if (!path)
		return err_oom(err);
	str_copy(path, COW_PATH_MAX, e->path);
	tree.path = path;
	tree.len = strlen(path);
	r = patch_put_tree(&tree, e->host_dir, e->name, 0, err);
	/* Where something takes its place git removes an empty one for that. */
	*ret_rest =
		tree.whole && !(tree.empty && e->changes & COW_REMOVED) ? PATCH_WHOLE : PATCH_PART;
	return r;
}

/* ---- two sides ---- */

/* How far the spool is filled. */
static off_t patch_tell(const struct patch *p)
{
	return lseek(p->spool.fd, 0, SEEK_CUR) + (off_t)p->spool.buf.len;
}

/* What is in the spool, up to there. */
static int patch_show_until(struct patch *p, off_t end)
{
	char piece[PATCH_PIECE];

	while (p->shown < end) {
		off_t left = end - p->shown;
		size_t want = left < PATCH_PIECE ? (size_t)left : PATCH_PIECE;
		ssize_t n = pread(p->spool.fd, piece, want, p->shown);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		sink_write(p->out, piece, (size_t)n);
		p->shown += n;
	}
	return p->out->failed;
}

/* Pairs before that one do not differ any more, and their names are left out. */
static int patch_pass_to(struct patch *p, size_t pair)
{
	int r = 0;

	for (; p->n_passed < pair && r == 0; p->n_passed++) {
		const struct patch_place *place = &p->places[p->n_passed];

		r = patch_show_until(p, place->names);
		p->shown = place->behind;
	}
	return r;
}

static int patch_begin_pair(void *arg, size_t pair)
{
	struct patch *p = arg;
	int r = patch_pass_to(p, pair);

	if (r == 0)
		r = patch_show_until(p, p->places[pair].behind);
	p->n_passed = pair + 1;
	if (r < 0 && !p->out->failed)
		p->lost = -r;
	return r;
}

static int patch_take_line(void *arg, const char *text, size_t len)
{
	struct patch *p = arg;
	const struct patch to_out = {.sink = p->out, .colour = p->colour, .terminal = p->terminal};

	patch_put_line(&to_out, text[0], text, len);
	return p->out->failed;
}

/**
 * Show all that waits for diff(1).
 *
 * Return: 0, or -errno with *err filled. That the output failed is in the sink.
 */
int patch_flush(struct patch *p, struct sbx_err *err)
{
	const struct compare_reader reader = {patch_begin_pair, patch_take_line, p};
	off_t end;
	int r;

	if (p->compare.n == 0)
		return 0;
	end = patch_tell(p);
	r = sink_finish(&p->spool);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hold the patch in memory");
	p->shown = 0;
	p->n_passed = 0;
	p->lost = 0;
	r = compare_run(&p->compare, &reader, err);
	if (r == 0 && p->lost)
		r = err_system(err, p->lost, NULL, "cannot read the patch in memory");
	if (r == 0 && !p->out->failed) {
		r = patch_pass_to(p, p->compare.n);
		if (r == 0)
			r = patch_show_until(p, end);
		r = r < 0 && !p->out->failed
			    ? err_system(err, -r, NULL, "cannot read the patch in memory")
			    : 0;
	}
	compare_clear(&p->compare);
	p->sink = p->out;
	if (r == 0 && (ftruncate(p->spool.fd, 0) < 0 || lseek(p->spool.fd, 0, SEEK_SET) < 0))
		r = err_system(err, errno, NULL, "cannot hold the patch in memory");
	return r;
}

/* All that comes behind this pair waits for it. */
static void patch_put_names(struct patch *p, const char *path)
{
	struct patch_place *place = &p->places[p->compare.n - 1];

	p->sink = &p->spool;
	place->names = patch_tell(p);
	patch_put_label(p, "--- ", "a/", path);
	patch_put_label(p, "+++ ", "b/", path);
	place->behind = patch_tell(p);
}

/* Let diff(1) compare the two, now or later. */
static int patch_queue(struct patch *p, const char *path, const struct patch_side *old_side,
		       const struct patch_side *new_side, struct sbx_err *err)
{
	int r;

	if (p->spool.fd < 0)
		p->spool.fd = memfd_create("sbx-patch", MFD_CLOEXEC);
	if (p->spool.fd < 0)
		return err_system(err, errno, path, "cannot be held in memory");
	r = compare_add(&p->compare, old_side->fd, new_side->fd);
	if ((r == -EMFILE || r == -ENFILE) && p->compare.n > 0) {
		r = patch_flush(p, err);
		if (r < 0)
			return r;
		r = compare_add(&p->compare, old_side->fd, new_side->fd);
	}
	if (r < 0)
		return err_system(err, -r, path, "cannot be read");
	patch_put_names(p, path);
	return 0;
}

/* The end: show the rest, and give back what is held. */
int patch_finish(struct patch *p, struct sbx_err *err)
{
	int r = patch_flush(p, err);

	compare_clear(&p->compare);
	defs_cleanup_fd(&p->spool.fd);
	p->spool.fd = -1;
	return r;
}

static int patch_put_sides(struct patch *p, const struct cow_entry *e,
			   const struct patch_side *old_side, const struct patch_side *new_side,
			   enum patch_rest *ret_rest, struct sbx_err *err)
{
	bool content = e->changes & COW_CONTENT;
	bool mode = patch_mode(old_side->st) != patch_mode(new_side->st);
	int r = 0;

	*ret_rest = content ? patch_look(old_side) : PATCH_WHOLE;
	if (content && *ret_rest == PATCH_WHOLE)
		*ret_rest = patch_look(new_side);
	if (*ret_rest != PATCH_WHOLE || (!content && !mode))
		return 0;
	if (content && compare_is_full(&p->compare, old_side->st->st_size + new_side->st->st_size))
		r = patch_flush(p, err);
	if (r < 0)
		return r;
	patch_put_header(p, e->path, content);
	if (mode) {
		patch_put_mode(p, "old", old_side->st);
		patch_put_mode(p, "new", new_side->st);
	}
	return content ? patch_queue(p, e->path, old_side, new_side, err) : 0;
}

static int patch_put_changed(struct patch *p, const struct cow_entry *e, enum patch_rest *ret_rest,
			     struct sbx_err *err)
{
	struct patch_side old_side = {.fd = -1}, new_side = {.fd = -1};
	int r = patch_open(e->host_dir, e->name, e->path, &e->host, &old_side, err);

	if (r == -EXDEV) {
		*ret_rest = PATCH_MOUNTED;
		return 0;
	}
	if (r == 0)
		r = patch_open(e->upper_dir, e->name, e->path, &e->upper, &new_side, err);
	if (r == 0)
		r = patch_put_sides(p, e, &old_side, &new_side, ret_rest, err);
	defs_cleanup_fd(&old_side.fd);
	defs_cleanup_fd(&new_side.fd);
	return r;
}

/* What of the permissions git does not know, and all else. */
static bool patch_lacks(const struct cow_entry *e)
{
	mode_t bits = S_ISREG(e->upper.st_mode) ? e->host.st_mode ^ e->upper.st_mode : 0;

	return (e->changes & (COW_OWNER | COW_XATTRS)) ||
	       ((e->changes & COW_MODE) && (bits & 07666)) || e->changes == COW_TIME;
}

/*
 * Of a new file git gives the umask's permissions, and the owner alone says if it is executable.
 *
 * Return: 0, or -errno with *err filled.
 */
static int patch_look_at_new(const struct patch *p, const struct cow_entry *e,
			     enum patch_rest *ret_rest, struct sbx_err *err)
{
	mode_t mode = (e->upper.st_mode & 0100 ? 0777 : 0666) & ~p->umask;
	int r;

	if (!S_ISREG(e->upper.st_mode))
		return 0;
	r = cow_xattr_has_any(e->upper_dir, e->name);
	if (r < 0)
		return err_system(err, -r, e->path, "cannot look at its attributes");
	if (r == 1)
		*ret_rest = PATCH_NO_XATTRS;
	else if ((e->upper.st_mode & 07777) != mode)
		*ret_rest = PATCH_NO_MODE;
	return 0;
}

/**
 * Print a change.
 * @ret_rest: what a line of comment is to be about
 *
 * Return: 0, or -errno with *err filled. That the output failed is in the sink.
 */
int patch_put(struct patch *patch, const struct cow_entry *e, enum patch_rest *ret_rest,
	      struct sbx_err *err)
{
	enum patch_rest gone = PATCH_WHOLE;
	bool again =
		e->changes & COW_TYPE || (e->changes & COW_CONTENT && S_ISLNK(e->upper.st_mode));
	int r = 0;

	*ret_rest = PATCH_PART;
	if (e->changes & COW_REMOVED)
		return patch_put_removed(patch, e, ret_rest, err);
	if (again)
		r = patch_put_removed(patch, e, &gone, err);
	if (r == 0 && gone != PATCH_WHOLE) {
		*ret_rest = gone; /* what is not removed by the patch cannot be made anew by it */
	} else if (r == 0 && (again || e->changes & COW_ADDED)) {
		r = patch_put_one(patch, '+', e->upper_dir, e->name, e->path, &e->upper, ret_rest,
				  err);
		if (r == 0 && *ret_rest == PATCH_WHOLE)
			r = patch_look_at_new(patch, e, ret_rest, err);
	} else if (r == 0 && S_ISREG(e->upper.st_mode)) {
		r = patch_put_changed(patch, e, ret_rest, err);
		if (*ret_rest == PATCH_WHOLE && patch_lacks(e))
			*ret_rest = PATCH_PART;
	}
	if (r == 0 && patch->sink == &patch->spool && patch_tell(patch) > PATCH_SPOOL_MAX)
		r = patch_flush(patch, err);
	return r;
}
