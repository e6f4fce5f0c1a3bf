/* SPDX-License-Identifier: MIT */
/*
 * path: resolve names below a root that must not be left.
 *
 * Theory of operation
 *
 * openat2(2) with RESOLVE_IN_ROOT does nearly everything: absolute links and
 * ".." stay below the root, however hostile the tree is, and /proc's magic
 * links are refused. It has two gaps, which the walk below fills.
 *
 * First, it does not create. Missing parents are made one at a time with
 * mkdirat(2) on a descriptor of the directory that exists. Where mkdirat says
 * that a name is there although openat2 said that it is not, the name is a link
 * to nothing; then what the link points to is made, again from the root. A ".."
 * behind a name just made is openat2's again: on a descriptor it could leave.
 *
 * Second, ".." that arrives at the root of a mount looks at what is mounted
 * *on* that root and goes there. While PID 1 builds the sandbox, the new root is
 * mounted on the old one, so a host path such as /var/run -> ../run would
 * end up in the sandbox. path_open() therefore lets the kernel resolve only
 * names without links and without ".."; all others it walks itself, taking
 * ".." as text that was already resolved. This is slower and rare.
 *
 * Both loops are bounded: PATH_LINKS_MAX links as in path_resolution(7).
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"

enum { PATH_LINKS_MAX = 40 };

/* Drop the last component of `len` characters of a normalised path, down to "". */
static size_t path_cut_last(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/*
 * Append `path` to the normalised `out` (no slash at its end, "" is the root),
 * taking "//", "." and ".." as text. Return: the new length, or -ENAMETOOLONG.
 */
static int path_append(char *out, size_t len, size_t size, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			len = path_cut_last(out, len);
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (len + 1 + n >= size)
				return -ENAMETOOLONG;
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	out[len] = '\0';
	return (int)len;
}

/**
 * The absolute, plain form of a path, as text: no link is looked at.
 * @base: what a relative path starts from; NULL or "/": the root
 *
 * Return: in the arena; NULL when memory runs out.
 */
char *path_normalise(struct arena *arena, const char *base, const char *path)
{
	size_t size = strlen(path) + (base ? strlen(base) : 0) + 4;
	char *out = arena_alloc(arena, size);
	int len = 0;

	if (!out)
		return NULL;
	if (path[0] != '/' && base)
		len = path_append(out, 0, size, base);
	assert(len >= 0);
	len = path_append(out, (size_t)len, size, path);
	assert(len >= 0);
	if (len == 0)
		memcpy(out, "/", 2);
	return out;
}

/* Is `path` the directory `dir`, or anything in it? Both normalised. */
bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (path_is_root(dir))
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Does the text name the root: "/", "//", "/.", "."? ("" does not: it is no path.) */
bool path_is_root(const char *path)
{
	if (*path == '\0')
		return false;
	while (*path == '/' || (*path == '.' && (path[1] == '/' || path[1] == '\0')))
		path++;
	return *path == '\0';
}

/* Is it a name that every directory has: "." or ".."? */
bool path_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Put the name of a directory in front of what is in it, or of nothing; what is too long is cut. */
void path_put_before(char *path, size_t size, const char *name)
{
	size_t room = size - 1, n = strnlen(name, room), len = strlen(path);
	size_t between = len > 0 && n < room;

	if (len > room - n - between)
		len = room - n - between;
	memmove(path + n + between, path, len);
	path[n + between + len] = '\0';
	memcpy(path, name, n);
	if (between)
		path[n] = '/';
}

/* What of a path is behind a directory that it is below, with the slash; "": it is that. */
const char *path_rest(const char *path, const char *dir)
{
	return path_is_root(dir) ? (path_is_root(path) ? "" : path) : path + strlen(dir);
}

static bool path_has_dotdot(const char *path)
{
	for (const char *p = strstr(path, ".."); p; p = strstr(p + 2, ".."))
		if ((p == path || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
			return true;
	return false;
}

/* Open a normalised path without any link in it. O_DIRECTORY first: that wakes automounts. */
static int path_open_plain(int root_fd, const char *path)
{
	const uint64_t resolve = RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT;
	const char *name = *path ? path : ".";
	int fd = sys_openat2(root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC, resolve);

	if (fd < 0 && errno == ENOTDIR)
		fd = sys_openat2(root_fd, name, O_PATH | O_CLOEXEC, resolve);
	return fd;
}

/*
 * Put what a link says in front of the rest of the path still to be walked.
 * @done: the walked part, cut back to "" for an absolute link
 */
static int path_follow_link(int fd, char *done, char *rest)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));
	size_t rest_len = strlen(rest);

	if (n < 0)
		return -errno;
	if ((size_t)n + 1 + rest_len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (target[0] == '/')
		done[0] = '\0';
	memmove(rest + n + 1, rest, rest_len + 1);
	rest[n] = '/';
	memcpy(rest, target, (size_t)n);
	return 0;
}

/* Is the open file a symbolic link (only O_PATH|O_NOFOLLOW can open one)? Or -errno. */
static int path_fd_is_link(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -errno : S_ISLNK(st.st_mode);
}

/* Walk one component. Return: 1 a link was followed, 0 a plain step, or -errno. */
static int path_walk_step(int root_fd, char *done, char *rest)
{
	size_t len = strlen(done), n = strcspn(rest, "/");
	_autoclose_ int dir = -1, fd = -1;
	char name[NAME_MAX + 1];
	int r;

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, rest, n);
	name[n] = '\0';
	memmove(rest, rest + n + (rest[n] == '/'), strlen(rest + n + (rest[n] == '/')) + 1);
	if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		done[strcmp(name, "..") == 0 ? path_cut_last(done, len) : len] = '\0';
		return 0;
	}
	dir = path_open_plain(root_fd, done);
	if (dir < 0)
		return -errno;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = path_fd_is_link(fd);
	if (r < 0)
		return r;
	if (r > 0) {
		r = path_follow_link(fd, done, rest);
		return r < 0 ? r : 1;
	}
	if (len + 1 + n >= PATH_MAX)
		return -ENAMETOOLONG;
	done[len] = '/';
	memcpy(done + len + 1, name, n + 1);
	return 0;
}

/**
 * Open what is there, as the calling process would find it if `root_fd` were
 * its root; never by way of something mounted on the root itself.
 * @root_fd: borrowed O_PATH descriptor
 * @path:    links are followed, also the last one; relative is from the root
 *
 * Return: 0, or -errno (no struct sbx_err: the caller knows what the path means).
 */
int path_open(int root_fd, const char *path, int *ret_fd)
{
	char done[PATH_MAX] = "", rest[PATH_MAX];
	int links = 0, fd;

	if (*path == '\0')
		return -ENOENT;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (!path_has_dotdot(path)) {
		fd = path_open_plain(root_fd, path);
		if (fd >= 0 || errno != ELOOP) {
			if (fd < 0)
				return -errno;
			*ret_fd = fd;
			return 0;
		}
	}
	memcpy(rest, path, strlen(path) + 1);
	while (*rest) {
		int r = path_walk_step(root_fd, done, rest);

		if (r < 0)
			return r;
		links += r;
		if (links > PATH_LINKS_MAX)
			return -ELOOP;
	}
	fd = path_open_plain(root_fd, done);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/**
 * Open what is there below a root on which nothing is mounted: the kernel
 * resolves everything, /proc's magic links are refused.
 *
 * Return: 0, or -errno.
 */
int path_open_inside(int root_fd, const char *path, int *ret_fd)
{
	int fd = sys_openat2(root_fd, path, O_PATH | O_CLOEXEC,
			     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

void path_dir_close(struct path_dir *dir)
{
	defs_cleanup_fd(&dir->owned);
	dir->fd = -1;
}

/* What a creation needs on its way down; `links` counts those that led to nothing. */
struct path_maker {
	int root_fd; /* borrowed */
	mode_t parent_mode;
	int links;
};

static int path_maker_dir(struct path_maker *m, const char *path, mode_t mode, int *ret_fd);

/*
 * Split at the last slash, and have the directory before it. Return: the name
 * behind it (in `path`), NULL where there is none ("/", "..") or with *r < 0.
 */
static const char *path_maker_parent(struct path_maker *m, const char *path,
				     struct path_dir *ret_dir, int *r)
{
	char parent[PATH_MAX];
	size_t len = strlen(path), cut;
	int fd = -1;

	*r = -ENAMETOOLONG;
	if (len >= sizeof(parent))
		return NULL;
	cut = path_cut_last(path, len);
	if (cut == 0) {
		/* Directly below the root, as most are: there is nothing to look up. */
		*ret_dir = (struct path_dir){.fd = m->root_fd, .owned = -1};
		*r = 0;
		return path + (path[0] == '/');
	}
	memcpy(parent, path, cut);
	parent[cut] = '\0';
	*r = path_maker_dir(m, parent, m->parent_mode, &fd);
	if (*r < 0)
		return NULL;
	*ret_dir = (struct path_dir){.fd = fd, .owned = fd};
	return path + cut + (path[cut] == '/');
}

/* `name` in `dir` is a link to nothing: return the path, from the root, that it means. */
static int path_maker_target(struct path_maker *m, const char *path, int dir, const char *name,
			     char out[PATH_MAX])
{
	char target[PATH_MAX];
	size_t cut = path_cut_last(path, strlen(path));
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0)
		return errno == EINVAL ? -EEXIST : -errno;
	if (++m->links > PATH_LINKS_MAX)
		return -ELOOP;
	if (cut + 1 + (size_t)n >= PATH_MAX)
		return -ENAMETOOLONG;
	if (target[0] == '/')
		cut = 0;
	memcpy(out, path, cut);
	out[cut] = '/';
	memcpy(out + cut + 1, target, (size_t)n);
	out[cut + 1 + (size_t)n] = '\0';
	return 0;
}

/* Copy without slashes and "/." at the end, which would hide the last name. */
static int path_trim(const char *path, char out[PATH_MAX])
{
	size_t len = strlen(path);

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	for (;;) {
		if (len > 1 && path[len - 1] == '/')
			len--;
		else if (len > 2 && path[len - 1] == '.' && path[len - 2] == '/')
			len -= 2;
		else
			break;
	}
	memcpy(out, path, len);
	out[len] = '\0';
	return 0;
}

/*
 * Open as much of `path` as is there. Return: the length of that part, or -errno.
 * Names are dropped from the end until the kernel finds the rest.
 */
static int path_maker_existing(const struct path_maker *m, const char *path, int *ret_fd)
{
	const uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	char part[PATH_MAX];
	size_t len = strlen(path);

	memcpy(part, path, len + 1);
	for (;;) {
		int fd = sys_openat2(m->root_fd, len ? part : "/", O_PATH | O_DIRECTORY | O_CLOEXEC,
				     resolve);

		if (fd >= 0) {
			*ret_fd = fd;
			return (int)len;
		}
		if (errno != ENOENT || len == 0)
			return -errno;
		len = path_cut_last(part, len);
		part[len] = '\0';
	}
}

/*
 * Go one name further, which is made if it is missing. Only the kernel, told of
 * the root, may take "..": from a descriptor alone it could lead above the root.
 * @path: up to and with that name, which is `name`
 * @fd:   the directory before it; replaced
 */
static int path_maker_enter(const struct path_maker *m, const char *path, const char *name,
			    mode_t mode, int *fd)
{
	int next;

	if (strcmp(name, "..") == 0) {
		next = sys_openat2(m->root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC,
				   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	} else {
		if (mkdirat(*fd, name, mode) < 0 && errno != EEXIST)
			return -errno;
		next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (next < 0)
		return -errno;
	close(*fd);
	*fd = next;
	return 0;
}

/* Put what the link to nothing says in the place of the names up to it. */
static int path_maker_relocate(struct path_maker *m, char path[PATH_MAX], size_t end, int dir,
			       const char *name)
{
	char target[PATH_MAX], rest[PATH_MAX];
	size_t len, rest_len = strlen(path + end + 1);
	int r = path_maker_target(m, path, dir, name, target);

	if (r < 0)
		return r;
	len = strlen(target);
	if (len + 1 + rest_len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(rest, path + end + 1, rest_len + 1);
	memcpy(path, target, len);
	path[len] = '/';
	memcpy(path + len + 1, rest, rest_len + 1);
	return 0;
}

/*
 * Make what is missing behind the first `at` characters of `path`, below `fd`.
 * Return: 0; 1 where a link to nothing was met and `path` says where it leads;
 * or -errno.
 */
static int path_maker_fill(struct path_maker *m, char path[PATH_MAX + 1], size_t at, mode_t mode,
			   int *fd)
{
	const size_t len = strlen(path);

	path[len + 1] = '\0'; /* an empty rest behind the last name */
	for (;;) {
		size_t start = at + strspn(path + at, "/"), n = strcspn(path + start, "/");
		int r;

		if (n == 0)
			return 0;
		at = start + n;
		if (n == 1 && path[start] == '.')
			continue;
		path[at] = '\0';
		r = path_maker_enter(m, path, path + start, at == len ? mode : m->parent_mode, fd);
		if (r == -ENOTDIR || r == -ELOOP) {
			r = path_maker_relocate(m, path, at, *fd, path + start);
			return r == -EEXIST ? -ENOTDIR : r < 0 ? r : 1;
		}
		if (r < 0)
			return r;
		if (at < len)
			path[at] = '/';
	}
}

static int path_maker_dir(struct path_maker *m, const char *path, mode_t mode, int *ret_fd)
{
	char plain[PATH_MAX + 1], again[PATH_MAX];
	int r;

	if (*path == '\0')
		return -ENOENT;
	r = path_trim(path, plain);
	while (r >= 0) {
		_autoclose_ int fd = -1;

		r = path_maker_existing(m, plain, &fd);
		if (r < 0)
			return r;
		r = path_maker_fill(m, plain, (size_t)r, mode, &fd);
		if (r == 0)
			*ret_fd = take_fd(&fd);
		if (r <= 0)
			return r;
		memcpy(again, plain, strlen(plain) + 1);
		r = path_trim(again, plain);
	}
	return r;
}

/**
 * Open a directory, making it and its parents where they are missing.
 * @root_fd:     borrowed; everything stays below it
 * @mode:        of the directory, @parent_mode of missing parents (umask applies)
 *
 * Return: 0, or -errno. What was made before a failure stays.
 */
int path_make_dir(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd)
{
	struct path_maker m = {.root_fd = root_fd, .parent_mode = parent_mode};

	return path_maker_dir(&m, path, mode, ret_fd);
}

/**
 * Open a file of any type that is there, or make an empty regular one and its
 * parents. Return: 0, or -errno (EISDIR for a directory).
 */
int path_make_file(int root_fd, const char *path, mode_t mode, mode_t parent_mode, int *ret_fd)
{
	struct path_maker m = {.root_fd = root_fd, .parent_mode = parent_mode};
	const uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	char plain[PATH_MAX], target[PATH_MAX];
	int r = path_trim(path, plain);

	while (r >= 0) {
		_autopathdir_ struct path_dir parent = PATH_DIR_NONE;
		_autoclose_ int fd = -1, made = -1;
		const char *name;
		struct stat st;

		fd = sys_openat2(root_fd, plain, O_PATH | O_CLOEXEC, resolve);
		if (fd >= 0) {
			if (fstat(fd, &st) < 0)
				return -errno;
			if (S_ISDIR(st.st_mode))
				return -EISDIR;
			*ret_fd = take_fd(&fd);
			return 0;
		}
		if (errno != ENOENT)
			return -errno;
		name = path_maker_parent(&m, plain, &parent, &r);
		if (!name)
			return r;
		made = openat(parent.fd, name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, mode);
		if (made >= 0) {
			*ret_fd = openat(parent.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
			return *ret_fd < 0 ? -errno : 0;
		}
		if (errno != EEXIST)
			return -errno;
		r = path_maker_target(&m, plain, parent.fd, name, target);
		if (r >= 0)
			r = path_trim(target, plain);
	}
	return r;
}

/**
 * Open the directory that a path is in, making it where it is missing.
 * @ret_dir:  the caller's to close (path_dir_close()); directly below the root it is @root_fd
 *            itself, which then must live as long
 * @ret_name: the path's last component, a part of @path
 *
 * Return: 0, or -errno (EINVAL where there is no last component, as in "/" or "a/..").
 */
int path_make_parent(int root_fd, const char *path, mode_t parent_mode, struct path_dir *ret_dir,
		     const char **ret_name)
{
	struct path_maker m = {.root_fd = root_fd, .parent_mode = parent_mode};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int r;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	name = path_maker_parent(&m, path, ret_dir, &r);
	if (!name)
		return r;
	*ret_name = name;
	return 0;
}
