/* SPDX-License-Identifier: MIT */
/*
 * sockets_walk: look into every directory that a bind shows.
 *
 * Theory of operation
 *
 * What the kernel lists in /proc/net/unix are the names that sockets were bound by, in
 * one network namespace: a relative name says nothing, a name of another mount
 * namespace the wrong thing, and a tree that is mounted twice has two names for each.
 * The files say more. A socket can be connected to by a name, that name is in a
 * directory, and the directory can be read here before the command sees it.
 *
 * The walk goes by breadth, so that what it has not seen when its budget is used up lies
 * deep. It opens each directory by its path below the bind's source, and no path through
 * a link: what a link leads to is shown by its own name, or not at all. Mounts below are
 * entered, as the bind takes them along. A single file that is mounted on another looks
 * like that other one in its directory, so the mount points are asked separately.
 *
 * What cannot be read is a doubt if the command could go through it nevertheless:
 * because it may be searched, or because it belongs to an id of the command's, which can
 * change its permissions. Where not even that is so, it hides nothing from anybody.
 *
 * Kernel filesystems hold no sockets, and sockets on a medium that cannot be written,
 * as in a squashfs, have nobody who listens.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/sockets_walk.h"

enum {
	WALK_MASK_ENTRIES = 1000 * 1000,
	WALK_MASK_SECONDS = 20,
	WALK_EXPLAIN_ENTRIES = 500 * 1000,
	WALK_EXPLAIN_SECONDS = 10,
	WALK_SOCKETS_MAX = 4096, /* each is a mount of the sandbox */
	WALK_MOUNTINFO_MAX_BYTES = 16 << 20,
};

/* Values of statfs(2) that <linux/magic.h> does not have everywhere. */
#define WALK_EROFS UINT32_C(0xE0F5E1E2)
#define WALK_FUSECTL UINT32_C(0x65735543)
#define WALK_MQUEUE UINT32_C(0x19800202)

static const uint32_t walk_without_sockets[] = {
	PROC_SUPER_MAGIC, SYSFS_MAGIC,	      CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
	DEBUGFS_MAGIC,	  TRACEFS_MAGIC,      SECURITYFS_MAGIC,	  SELINUX_MAGIC,
	BPF_FS_MAGIC,	  DEVPTS_SUPER_MAGIC, PSTOREFS_MAGIC,	  EFIVARFS_MAGIC,
	BINFMTFS_MAGIC,	  SQUASHFS_MAGIC,     WALK_EROFS,	  ISOFS_SUPER_MAGIC,
	WALK_FUSECTL,	  WALK_MQUEUE,
};

/* A directory that is still to be read. */
struct walk_dir {
	const char *path; /* below the source; "": the source */
	dev_t above;	  /* the filesystem of the directory above */
};

struct walk {
	struct sockets_walk *w;
	struct arena scratch;
	int root_fd;
	struct walk_dir *dirs;
	size_t n_dirs;
};

/* ---- the budget ---- */

static struct sockets_budget walk_budget(size_t entries, unsigned seconds)
{
	return (struct sockets_budget){
		.entries = entries,
		.all_entries = entries,
		.seconds = seconds,
		.until_ms = clock_now_ms() + (int64_t)seconds * 1000,
	};
}

/* For a promise. It begins now. */
struct sockets_budget sockets_budget_for_mask(void)
{
	return walk_budget(WALK_MASK_ENTRIES, WALK_MASK_SECONDS);
}

/* For somebody who waits for a page of text. It begins now. */
struct sockets_budget sockets_budget_for_explain(void)
{
	return walk_budget(WALK_EXPLAIN_ENTRIES, WALK_EXPLAIN_SECONDS);
}

/* ---- what is found ---- */

/* "dir/name", where either may be the root. */
const char *sockets_below(struct arena *arena, const char *dir, const char *name)
{
	if (*name == '\0')
		return arena_dup(arena, dir);
	return arena_printf(arena, "%s/%s", path_is_root(dir) ? "" : dir, name);
}

static const char *walk_join(struct arena *arena, const char *dir, const char *name)
{
	return *dir ? arena_printf(arena, "%s/%s", dir, name) : arena_dup(arena, name);
}

/* Return: 0 or -ENOMEM. */
static int walk_doubt(struct sockets_walk *w, enum sockets_doubt doubt, const char *path)
{
	if (w->n_doubtful++ > 0)
		return 0;
	w->doubt = doubt;
	w->doubtful = arena_dup(w->arena, path);
	return w->doubtful ? 0 : -ENOMEM;
}

static bool walk_has(const struct sockets_walk *w, const char *path)
{
	for (size_t i = 0; i < w->n_found; i++)
		if (strcmp(w->found[i], path) == 0)
			return true;
	return false;
}

static int walk_found(struct sockets_walk *w, const char *path)
{
	const char **grown;

	if (w->n_found == WALK_SOCKETS_MAX)
		return walk_doubt(w, SOCKETS_TOO_MANY, "");
	grown = arena_grow(w->arena, w->found, w->n_found, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	w->found = grown;
	grown[w->n_found] = arena_dup(w->arena, path);
	return grown[w->n_found++] ? 0 : -ENOMEM;
}

/* Does something that comes later cover this? */
static bool walk_is_hidden(struct walk *k, const char *path)
{
	const struct sockets_walk *w = k->w;
	const char *place = w->n_hidden ? sockets_below(&k->scratch, w->dest, path) : NULL;

	for (size_t i = 0; i < w->n_hidden && place; i++)
		if (path_is_below(place, w->hidden[i]))
			return true;
	return false;
}

/* ---- one directory ---- */

static bool walk_map_has(const struct plan_map *map, uint32_t outside)
{
	for (size_t i = 0; i < map->n_lines; i++)
		if (outside - map->lines[i].outside < map->lines[i].count)
			return true;
	return false;
}

/* Could the command, with the ids and capabilities it gets, search what the caller cannot? */
static bool walk_may_be_searched(const struct sockets_walk *w, const struct stat *st)
{
	const struct sbx_plan *plan = w->plan;
	bool other_ids = plan->nested_userns || plan->payload_uid != plan->uid_map.own_inside ||
			 plan->payload_gid != plan->gid_map.own_inside;

	if (w->any_ids || st->st_uid == plan->uid_map.own_outside)
		return true;
	return other_ids && (walk_map_has(&plan->uid_map, st->st_uid) ||
			     ((st->st_mode & S_IXGRP) && walk_map_has(&plan->gid_map, st->st_gid)));
}

/* A directory that cannot be opened or searched. */
static int walk_closed(struct walk *k, const char *path, int number)
{
	const char *name = *path ? path : ".";
	struct stat st;

	/* It went away, or nobody can reach it: the far side of a FUSE mount is gone. */
	if (number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENOTCONN)
		return 0;
	if (number != EACCES)
		return walk_doubt(k->w, SOCKETS_UNREADABLE, path);
	if (fstatat(k->root_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return 0; /* a FUSE mount of somebody else's, which lets nobody else in */
	if (faccessat(k->root_fd, name, X_OK, 0) == 0 || walk_may_be_searched(k->w, &st))
		return walk_doubt(k->w, SOCKETS_UNREADABLE, path);
	return 0;
}

static int walk_later(struct walk *k, const char *path, dev_t above)
{
	struct walk_dir *grown;

	if (walk_is_hidden(k, path))
		return 0;
	grown = arena_grow(&k->scratch, k->dirs, k->n_dirs, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	k->dirs = grown;
	grown[k->n_dirs++] = (struct walk_dir){path, above};
	return 0;
}

/* What a name is, where its directory does not say. */
static unsigned char walk_type(int dir_fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISSOCK(st.st_mode) ? DT_SOCK : DT_REG;
}

static int walk_entry(struct walk *k, const struct walk_dir *dir, int dir_fd, dev_t dev,
		      const struct dirent *e)
{
	unsigned char type;
	const char *path;

	if (path_is_dots(e->d_name))
		return 0;
	type = walk_type(dir_fd, e);
	if (type != DT_DIR && type != DT_SOCK)
		return 0;
	path = walk_join(&k->scratch, dir->path, e->d_name);
	if (!path)
		return -ENOMEM;
	if (strlen(k->w->dest) + 1 + strlen(path) >= PATH_MAX)
		return walk_doubt(k->w, SOCKETS_TOO_DEEP, dir->path);
	return type == DT_DIR ? walk_later(k, path, dev) : walk_found(k->w, path);
}

static bool walk_has_no_sockets(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(walk_without_sockets); i++)
		if ((uint32_t)st.f_type == walk_without_sockets[i])
			return true;
	return false;
}

/* Return: 0, 1 where the budget is used up, or -errno. */
static int walk_read(struct walk *k, const struct walk_dir *dir, DIR *d, dev_t dev)
{
	struct sockets_budget *budget = k->w->budget;
	struct dirent *e;
	int r = 0;

	for (errno = 0; r == 0 && (e = readdir(d)); errno = 0) {
		if (budget->entries == 0) {
			r = walk_doubt(k->w, SOCKETS_TOO_MANY, "");
			return r < 0 ? r : 1;
		}
		budget->entries--;
		r = walk_entry(k, dir, dirfd(d), dev, e);
	}
	return r == 0 && errno != 0 ? walk_closed(k, dir->path, errno) : r;
}

/* Return: as walk_read(). */
static int walk_dir(struct walk *k, const struct walk_dir *dir)
{
	int fd = sys_openat2(k->root_fd, *dir->path ? dir->path : ".",
			     O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct stat st;
	DIR *d;
	int r;

	if (fd < 0)
		return walk_closed(k, dir->path, errno);
	/* By its dot: what can be read and not be searched is of no use to anybody. */
	if (fstatat(fd, ".", &st, 0) < 0) {
		r = walk_closed(k, dir->path, errno);
		close(fd);
		return r;
	}
	if ((st.st_dev != dir->above || *dir->path == '\0') && walk_has_no_sockets(fd)) {
		close(fd);
		return 0;
	}
	d = fd_open_dir(&fd);
	if (!d)
		return -ENOMEM;
	r = walk_read(k, dir, d, st.st_dev);
	(void)closedir(d);
	return r;
}

static int walk_dirs(struct walk *k)
{
	int r = walk_later(k, "", 0);

	for (size_t i = 0; i < k->n_dirs && r == 0; i++) {
		const struct walk_dir dir = k->dirs[i]; /* the list moves when it grows */

		if (clock_now_ms() >= k->w->budget->until_ms) {
			r = walk_doubt(k->w, SOCKETS_TOO_SLOW, "");
			return r < 0 ? r : 0;
		}
		r = walk_dir(k, &dir);
	}
	return r < 0 ? r : 0;
}

/* ---- mount points ---- */

/* Sockets that are mounted on a file of another kind, which is what its directory says. */
static int walk_mounts(struct walk *k)
{
	size_t source_len = path_is_root(k->w->source) ? 0 : strlen(k->w->source);
	char *text, *point;
	size_t len;
	int r = io_read_file("/proc/self/mountinfo", WALK_MOUNTINFO_MAX_BYTES, &k->scratch, &text,
			     &len);

	while (r == 0 && (point = mountinfo_next(&text))) {
		const char *path;
		struct stat st;

		if (!path_is_below(point, k->w->source) || point[source_len] == '\0' ||
		    lstat(point, &st) < 0 || !S_ISSOCK(st.st_mode))
			continue;
		path = point + source_len + 1;
		if (!walk_has(k->w, path) && !walk_is_hidden(k, path))
			r = walk_found(k->w, path);
	}
	return r;
}

/**
 * Find the sockets below a directory of the host. A source that is no directory has
 * none; one that does not exist is somebody else's affair.
 *
 * Return: 0, also where there is a doubt, or -errno.
 */
int sockets_walk(struct sockets_walk *w)
{
	_autoclose_ int root = open(w->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct walk k = {.w = w, .root_fd = root};
	int r;

	if (root < 0 && errno == EACCES)
		return walk_doubt(w, SOCKETS_UNREADABLE, "");
	if (root < 0)
		return 0;
	arena_init(&k.scratch);
	r = walk_dirs(&k);
	if (r == 0)
		r = walk_mounts(&k);
	arena_finish(&k.scratch);
	return r;
}

/* What is wrong with the doubtful place. In the walk's arena, or NULL. */
const char *sockets_doubt_text(const struct sockets_walk *w)
{
	switch (w->doubt) {
	case SOCKETS_UNREADABLE:
		return "cannot be read, so what sockets are in it cannot be told";
	case SOCKETS_TOO_DEEP:
		return "holds names that lie too deep to be looked at";
	case SOCKETS_TOO_MANY:
		return w->n_found == WALK_SOCKETS_MAX
			       ? arena_printf(w->arena, "holds more than %d sockets",
					      (int)WALK_SOCKETS_MAX)
			       : arena_printf(w->arena,
					      "is too large to be sure that every socket is found: "
					      "%zu names were looked at",
					      w->budget->all_entries);
	case SOCKETS_TOO_SLOW:
		return arena_printf(w->arena,
				    "is too large to be sure that every socket is found: %u "
				    "seconds were not enough to look at it",
				    w->budget->seconds);
	case SOCKETS_SURE:
	case SOCKETS_DOUBT_COUNT_:
		break;
	}
	return "";
}
