/* SPDX-License-Identifier: MIT */
/*
 * session: see session.h.
 *
 * The record, the lock, opening and removing. How one begins is in session_begin.c.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/base/trust.h"
#include "sbx/cow/part.h"
#include "sbx/cow/root.h"
#include "sbx/cow/session_parts.h"
#include "sbx/cow/targets.h"
#include "sbx/cow/times.h"
#include "sbx/cow/walk.h"
#include "sbx/cow/xattr.h"
#include "sbx/spec/session.h"

enum {
	COW_LOCK_MS = 500,
	COW_LOCK_TRIES = 100,
	COW_MOMENT_NS = 10000000,
	COW_MOMENTS = 50,
	COW_COMMAND_MAX = 4096
};

void cow_session_init(struct cow_session *session)
{
	*session = (struct cow_session){.dir_fd = -1, .lock_fd = -1, .command = ""};
}

void cow_session_close(struct cow_session *session)
{
	defs_cleanup_fd(&session->lock_fd);
	defs_cleanup_fd(&session->dir_fd);
	session->dir_fd = session->lock_fd = -1;
}

/* ---- the record ---- */

static bool cow_meta_number(const char *text, uint64_t *ret)
{
	return str_parse_u64(text, 10, UINT64_MAX, ret) == 0;
}

/* "SECONDS.NANOSECONDS" or "DEV:INO": two numbers. */
static bool cow_meta_pair(const char *text, char between, uint64_t *ret_a, uint64_t *ret_b)
{
	char first[32];
	const char *at = strchr(text, between);

	if (!at || (size_t)(at - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(at - text));
	first[at - text] = '\0';
	return cow_meta_number(first, ret_a) && cow_meta_number(at + 1, ret_b);
}

/* "SECONDS.NANOSECONDS". */
static bool cow_meta_time(const char *value, struct timespec *ret)
{
	uint64_t sec, nsec;

	if (!cow_meta_pair(value, '.', &sec, &nsec) || sec > INT64_MAX || nsec >= 1000000000)
		return false;
	*ret = (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
	return true;
}

/* "SECONDS.NANOSECONDS ID". */
static bool cow_meta_clock(const char *value, struct cow_clock *clock)
{
	char up[64];
	const char *id = strchr(value, ' ');

	if (!id || (size_t)(id - value) >= sizeof(up) || strlen(id + 1) >= sizeof(clock->id))
		return false;
	memcpy(up, value, (size_t)(id - value));
	up[id - value] = '\0';
	if (!cow_meta_time(up, &clock->up))
		return false;
	str_copy(clock->id, sizeof(clock->id), id + 1);
	return true;
}

static bool cow_meta_born(const char *value, struct cow_root *root)
{
	root->has_birth = cow_meta_time(value, &root->born);
	return root->has_birth;
}

static bool cow_meta_fsid(const char *value, struct cow_root *root)
{
	uint64_t a, b;

	if (!cow_meta_pair(value, ':', &a, &b) || a > UINT32_MAX || b > UINT32_MAX)
		return false;
	root->fsid[0] = (uint32_t)a;
	root->fsid[1] = (uint32_t)b;
	root->has_fsid = true;
	return true;
}

/* "FIRST:COUNT". */
static bool cow_meta_range(const char *value, struct cow_ids *ids)
{
	struct cow_id_range *has = (struct cow_id_range *)(uintptr_t)ids->has;
	uint64_t first, count;

	if (ids->n_has >= COW_IDS_MAX || !cow_meta_pair(value, ':', &first, &count) ||
	    first > UINT32_MAX || count > UINT32_MAX)
		return false;
	has[ids->n_has++] = (struct cow_id_range){(uint32_t)first, (uint32_t)count};
	return true;
}

/* Has the sandbox such an id? Where that is not known it has not. */
bool cow_ids_have(const struct cow_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n_has; i++)
		if (id >= ids->has[i].first && id - ids->has[i].first < ids->has[i].count)
			return true;
	return false;
}

static bool cow_meta_field(struct cow_session *s, const char *key, const char *value)
{
	uint64_t a, b;

	if (str_equal(key, "command")) {
		s->command = value;
	} else if (str_equal(key, "began")) {
		return cow_meta_time(value, &s->began);
	} else if (str_equal(key, "clock")) {
		return cow_meta_clock(value, &s->clock);
	} else if (str_equal(key, "nobody")) {
		if (!cow_meta_pair(value, ':', &a, &b))
			return false;
		s->uids.nobody = (uint32_t)a;
		s->gids.nobody = (uint32_t)b;
	} else if (str_equal(key, "uids")) {
		return cow_meta_range(value, &s->uids);
	} else if (str_equal(key, "gids")) {
		return cow_meta_range(value, &s->gids);
	} else if (str_equal(key, "made")) {
		if (str_parse_u64(value, 10, COW_MADE_MAX, &a) != 0)
			return false;
		s->made = (unsigned)a;
	} else if (str_equal(key, "root")) {
		if (s->n_roots >= COW_ROOTS_MAX || value[0] != '/')
			return false;
		s->roots[s->n_roots++] = (struct cow_root){.path = value};
	} else if (str_equal(key, "inode")) {
		if (s->n_roots == 0 || !cow_meta_pair(value, ':', &a, &b))
			return false;
		s->roots[s->n_roots - 1].dev = a;
		s->roots[s->n_roots - 1].ino = b;
	} else if (str_equal(key, "born")) {
		return s->n_roots > 0 && cow_meta_born(value, &s->roots[s->n_roots - 1]);
	} else if (str_equal(key, "fsid")) {
		return s->n_roots > 0 && cow_meta_fsid(value, &s->roots[s->n_roots - 1]);
	}
	return true;
}

/**
 * What a record says.
 * @text: @len bytes, and a NUL behind them; borrowed, as long as the session
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_parse(const char *text, size_t len, struct arena *arena, struct cow_session *s,
		      struct sbx_err *err)
{
	bool good = false;
	int r = 0;

	s->n_roots = 0;
	s->made = 1; /* an older sbx does not tell */
	s->clock = (struct cow_clock){0};
	s->uids = s->gids = (struct cow_ids){0};
	s->roots = arena_alloc(arena, COW_ROOTS_MAX * sizeof(*s->roots));
	s->uids.has = arena_alloc(arena, COW_IDS_MAX * sizeof(*s->uids.has));
	s->gids.has = arena_alloc(arena, COW_IDS_MAX * sizeof(*s->gids.has));
	if (!s->roots || !s->uids.has || !s->gids.has)
		return err_oom(err);
	for (const char *at = text; r == 0 && at < text + len; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		char *key = equals ? arena_dup_n(arena, at, (size_t)(equals - at)) : NULL;

		if (!key || memchr(at, '\0', (size_t)(text + len - at)) == NULL)
			r = -EINVAL;
		else if (!good)
			good = str_equal(at, "sbx-session=1"), r = good ? 0 : -EINVAL;
		else
			r = cow_meta_field(s, key, equals + 1) ? 0 : -EINVAL;
	}
	if (r < 0 || !good || s->n_roots == 0)
		return err_refuse(err, EINVAL, s->dir, "has a record that cannot be read");
	return 0;
}

/* @what: as "is no session". Return: -ENOENT with *err filled. */
int cow_session_refuse_none(const char *id, const char *what, struct sbx_err *err)
{
	int r = err_refuse(err, ENOENT, id, "%s", what);

	err_hint(err, "sbx sessions lists those that there are");
	return r;
}

static int cow_meta_read(struct cow_session *s, struct arena *arena, struct sbx_err *err)
{
	_autoclose_ int fd = dirs_open_file(s->dir_fd, "meta", O_RDONLY);
	char *text;
	size_t len = 0;
	int r;

	if (fd == -ENOENT)
		return cow_session_refuse_none(s->dir, "is no session", err);
	if (fd == -EINVAL)
		return err_refuse(err, EINVAL, s->dir, "has a record that is no file");
	if (fd < 0)
		return err_system(err, -fd, s->dir, "cannot read the session");
	r = io_read_all(fd, COW_META_MAX, arena, &text, &len);
	if (r < 0)
		return err_system(err, -r, s->dir, "cannot read the session's record");
	return cow_session_parse(text, len, arena, s, err);
}

static void cow_meta_put(struct str_buf *out, const char *key, const char *value)
{
	str_buf_puts(out, key);
	str_buf_puts(out, value);
	str_buf_write(out, "", 1);
}

static void cow_meta_put_command(struct str_buf *out, const char *const *argv)
{
	char room[COW_COMMAND_MAX];
	struct str_buf words = STR_BUF_ON_STACK(room);

	for (size_t i = 0; argv && argv[i]; i++) {
		str_buf_puts(&words, i ? " " : "");
		str_buf_puts(&words, argv[i]);
	}
	cow_meta_put(out, "command=", words.data);
}

static void cow_meta_put_ids(struct str_buf *out, const char *key, const struct cow_ids *ids)
{
	char pair[64];

	for (size_t i = 0; i < ids->n_has; i++) {
		(void)snprintf(pair, sizeof(pair), "%u:%u", ids->has[i].first, ids->has[i].count);
		cow_meta_put(out, key, pair);
	}
}

static void cow_meta_put_clock(struct str_buf *out, const struct cow_clock *clock)
{
	char text[64 + COW_CLOCK_ID_MAX];

	(void)snprintf(text, sizeof(text), "%lld.%ld %s", (long long)clock->up.tv_sec,
		       clock->up.tv_nsec, clock->id);
	if (clock->id[0])
		cow_meta_put(out, "clock=", text);
}

static void cow_meta_put_time(struct str_buf *out, const char *key, const struct timespec *time)
{
	char pair[64];

	(void)snprintf(pair, sizeof(pair), "%lld.%ld", (long long)time->tv_sec, time->tv_nsec);
	cow_meta_put(out, key, pair);
}

static void cow_meta_put_root(struct str_buf *out, const struct cow_root *root)
{
	char pair[64];

	cow_meta_put(out, "root=", root->path);
	(void)snprintf(pair, sizeof(pair), "%" PRIu64 ":%" PRIu64, root->dev, root->ino);
	cow_meta_put(out, "inode=", pair);
	if (root->has_birth)
		cow_meta_put_time(out, "born=", &root->born);
	(void)snprintf(pair, sizeof(pair), "%u:%u", root->fsid[0], root->fsid[1]);
	if (root->has_fsid)
		cow_meta_put(out, "fsid=", pair);
}

/* Written whole, and then there: a session without one is nothing. */
int cow_meta_write(const struct cow_session *s, const struct cow_wanted *wanted,
		   struct arena *arena, struct sbx_err *err)
{
	struct str_buf out = {.data = arena_alloc(arena, COW_META_MAX), .size = COW_META_MAX};
	_autoclose_ int fd = -1;
	char pair[64];
	int r;

	if (!out.data)
		return err_oom(err);
	cow_meta_put(&out, "sbx-session=1", "");
	cow_meta_put_time(&out, "began=", &s->began);
	cow_meta_put_clock(&out, &s->clock);
	(void)snprintf(pair, sizeof(pair), "%u:%u", s->uids.nobody, s->gids.nobody);
	cow_meta_put(&out, "nobody=", pair);
	(void)snprintf(pair, sizeof(pair), "%u", s->made);
	cow_meta_put(&out, "made=", pair);
	cow_meta_put_ids(&out, "uids=", &s->uids);
	cow_meta_put_ids(&out, "gids=", &s->gids);
	cow_meta_put_command(&out, wanted->argv);
	for (size_t i = 0; i < s->n_roots; i++)
		cow_meta_put_root(&out, &s->roots[i]);
	fd = dirs_open_file(s->dir_fd, "meta.new", O_WRONLY | O_CREAT | O_TRUNC);
	r = fd < 0 ? fd : out.cut ? -E2BIG : io_write_all(fd, out.data, out.len);
	if (r == 0 && (fsync(fd) < 0 || renameat(s->dir_fd, "meta.new", s->dir_fd, "meta") < 0))
		r = -errno;
	return r < 0 ? err_system(err, -r, s->dir, "cannot write the session's record") : 0;
}

/*
 * What is there of a session whose record says nothing: its directories are found by their names.
 * Return: 0: there is a record, of which @err says what is wrong; or @r.
 */
static int cow_meta_give_up(struct cow_session *s, struct arena *arena, int r,
			    const struct sbx_err *err)
{
	char room[256];
	struct str_buf why = STR_BUF_ON_STACK(room);
	struct stat st, lock;

	if (r == -ENOMEM || fstatat(s->dir_fd, "meta", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return r;
	/* A file of that name alone does not make it one. */
	if (fstatat(s->dir_fd, "lock", &lock, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(lock.st_mode) ||
	    lock.st_size > 0)
		return r;
	err_describe(err, &why);
	s->damaged = arena_dup(arena, room);
	if (!s->damaged)
		return r;
	s->n_roots = 0;
	s->made = 1;
	s->command = "";
	s->began = st.st_mtim;
	return 0;
}

/*
 * One that has no record any more is shown to who lists sessions, and is for nobody else: what is
 * in it can be looked at by hand.
 * Return: 0, or @r.
 */
static int cow_meta_lose(struct cow_session *s, int r)
{
	struct stat st;

	if (cow_session_is_root(s->dir_fd, "0") != 1 ||
	    faccessat(s->dir_fd, "lock", F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(s->dir_fd, "0/upper", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return r;
	s->damaged = "its record is gone; see 0/upper there, and remove it by hand";
	s->lost = true;
	s->began = st.st_mtim;
	return 0;
}

/* ---- open ---- */

static int cow_session_refuse_gone(const struct cow_session *s, struct sbx_err *err)
{
	return err_refuse(err, ENOENT, s->id, "is gone: another command has just removed it");
}

/*
 * Is the lock that is held the session's? One may have been removed, and another made.
 * Return: 1, 0 or -errno.
 */
int cow_session_has_lock(const struct cow_session *s)
{
	struct stat held, there;

	if (fstat(s->lock_fd, &held) < 0)
		return -errno;
	if (fstatat(s->dir_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

/* Return: its descriptor or -errno. */
static int cow_open_lock(struct cow_session *s)
{
	int fd = dirs_open_file(s->dir_fd, "lock", O_RDWR);

	if (fd != -ENOENT)
		return fd;
	fd = dirs_open_file(s->dir_fd, "lock", O_RDWR | O_CREAT | O_EXCL);
	s->lock_made |= fd >= 0;
	return fd == -EEXIST ? dirs_open_file(s->dir_fd, "lock", O_RDWR) : fd;
}

/* Return: 0; *ret_busy: somebody else has it. -ENOENT: the session's directory was removed. */
int cow_session_lock(struct cow_session *s, bool reads, bool *ret_busy, struct sbx_err *err)
{
	int r;

	for (int i = 0; i < COW_LOCK_TRIES; i++) {
		defs_cleanup_fd(&s->lock_fd);
		s->lock_fd = cow_open_lock(s);
		if (s->lock_fd == -ENOENT)
			return cow_session_refuse_gone(s, err);
		if (s->lock_fd == -EINVAL)
			return err_refuse(err, EINVAL, s->dir, "has a lock that is no file");
		if (s->lock_fd < 0)
			return err_system(err, -s->lock_fd, s->dir, "cannot lock the session");
		/* Who lists sessions has the lock for a moment. */
		r = reads ? (flock(s->lock_fd, LOCK_SH | LOCK_NB) < 0 ? -errno : 0)
			  : dirs_lock(s->lock_fd, COW_LOCK_MS);
		*ret_busy = r == -EWOULDBLOCK || r == -ETIMEDOUT || r == -EBUSY;
		if (*ret_busy)
			return 0;
		if (r == 0)
			r = cow_session_has_lock(s);
		if (r != 0)
			return r > 0 ? 0 : err_system(err, -r, s->dir, "cannot lock the session");
	}
	return cow_session_refuse_gone(s, err);
}

/*
 * The time of the lock: nothing else changes that, and it is there whatever was changed. It is not
 * waited for.
 */
void cow_session_note_use(const struct cow_session *session)
{
	if (session->lock_fd >= 0)
		(void)futimens(session->lock_fd, NULL);
}

/* A copy may have lost it. */
static void cow_session_read_use(struct cow_session *s)
{
	struct stat st;

	s->used = s->began;
	if (s->lock_fd >= 0 && fstat(s->lock_fd, &st) == 0 &&
	    cow_time_is_after(&st.st_mtim, &s->began))
		s->used = st.st_mtim;
}

int cow_session_refuse_busy(const struct cow_session *s, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, s->id, "is in use: its sandbox runs, or a verb is at work");

	err_hint(err, "wait for its end, or end it: see sbx ps");
	return r;
}

int cow_session_refuse_open(const char *dir, const char *id, int number, struct sbx_err *err)
{
	struct stat st;

	if (number == ENOENT)
		return cow_session_refuse_none(id, "there is no such session", err);
	if (number == ENOTDIR && lstat(dir, &st) == 0 && S_ISLNK(st.st_mode)) {
		(void)err_refuse(err, ELOOP, id, "is a symbolic link, and those are not followed");
		err_hint(err, "name the directory itself");
		return -ELOOP;
	}
	if (number == ENOTDIR)
		return err_refuse(err, ENOTDIR, id, "is no directory, and so no session");
	(void)err_system(err, number, id, "cannot open the session");
	if (number == EACCES)
		err_hint(err,
			 "it must be yours, and others must not be able to enter it: chmod 700");
	return -number;
}

/* Is there such a name in the work directory of a root? Return: 1, 0 or -errno with *err filled. */
static int cow_session_has_mark(const struct cow_session *s, size_t root, const char *mark,
				struct sbx_err *err)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%zu/work/%s", root, mark);
	if (fstatat(s->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return err_system(err, errno, s->dir, "cannot tell what has written the session");
}

/**
 * The driver of each root, by what it has made where no command can get (spec/session.c).
 * Where that cannot be told nothing is assumed: by the wrong one, changes are read wrongly.
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_find_drivers(struct cow_session *s, struct sbx_err *err)
{
	for (size_t i = 0; i < s->n_roots; i++) {
		int fuse = cow_session_has_mark(s, i, SESSION_FUSE_MARK, err), over = 0;

		if (fuse == 0)
			over = cow_session_has_mark(s, i, SESSION_OVER_MARK, err);
		if (fuse < 0 || over < 0)
			return fuse < 0 ? fuse : over;
		s->roots[i].fuse = fuse > 0;
		s->roots[i].as_nobody = fuse > 0 || over > 0;
	}
	return 0;
}

/* Is there surely no record? A directory with other permissions than a session's is none then. */
static bool cow_session_is_none(const char *dir, struct arena *arena)
{
	const char *meta = arena_printf(arena, "%s/meta", dir);
	struct stat st;

	return meta && lstat(meta, &st) < 0 && errno == ENOENT;
}

/*
 * What a launch that was killed has not undone. That changes the layer: of those who only read it
 * one does, alone, and the others wait.
 */
static int cow_session_undo_targets(const struct cow_session *s, bool reads, struct sbx_err *err)
{
	const struct timespec moment = {.tv_nsec = COW_MOMENT_NS};
	bool locked = true;

	for (int i = 0; i < COW_LOCK_TRIES; i++) {
		if (locked && !cow_targets_wait(s))
			return 0;
		if (!reads || flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0) {
			cow_targets_undo(s);
			return !reads || flock(s->lock_fd, LOCK_SH) == 0
				       ? 0
				       : err_system(err, errno, s->dir, "cannot lock the session");
		}
		/* The one that it had is lost by that. */
		(void)nanosleep(&moment, NULL);
		locked = flock(s->lock_fd, LOCK_SH | LOCK_NB) == 0;
	}
	return cow_session_refuse_busy(s, err);
}

/*
 * Somebody has it. Who only reads it too may be at what a killed launch has left, for a moment.
 *
 * Return: as cow_session_lock().
 */
static int cow_session_await_reader(struct cow_session *s, bool *ret_busy, struct sbx_err *err)
{
	const struct timespec moment = {.tv_nsec = COW_MOMENT_NS};
	bool waits = true;
	int r = 0;

	/* Once more when that has been undone. */
	for (int i = 0; r == 0 && *ret_busy && waits && i < COW_MOMENTS; i++) {
		waits = cow_targets_wait(s);
		(void)nanosleep(&moment, NULL);
		r = cow_session_lock(s, true, ret_busy, err);
	}
	return r;
}

/**
 * Open a session that is there.
 * @lock: how; where that cannot be had it fails, but for COW_LOCK_ASK, which only tells
 * @ret:  initialised; to be closed in any case
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_open(const char *dir, const char *id, enum cow_lock lock, struct arena *arena,
		     struct cow_session *ret, struct sbx_err *err)
{
	bool busy = false;
	int r;

	ret->id = id;
	ret->dir = dir;
	ret->dir_fd = dirs_open_own(dir);
	if (ret->dir_fd == -EACCES && cow_session_is_none(dir, arena))
		return cow_session_refuse_none(dir, "is no session", err);
	if (ret->dir_fd < 0)
		return cow_session_refuse_open(dir, id, -ret->dir_fd, err);
	r = cow_meta_read(ret, arena, err);
	if (r == -ENOENT && lock == COW_LOCK_ASK)
		r = cow_meta_lose(ret, r);
	else if (r < 0 && (lock == COW_LOCK_ASK || lock == COW_LOCK_REMOVE))
		r = cow_meta_give_up(ret, arena, r, err);
	else if (r < 0 && r != -ENOENT && r != -ENOMEM)
		err_hint(err, "nothing can be done with it but: sbx discard");
	if (r == 0)
		r = cow_session_lock(ret, lock == COW_LOCK_ASK || lock == COW_LOCK_READ, &busy,
				     err);
	if (r == 0 && busy && lock == COW_LOCK_READ)
		r = cow_session_await_reader(ret, &busy, err);
	if (r < 0)
		return r;
	if (busy && lock != COW_LOCK_ASK)
		return cow_session_refuse_busy(ret, err);
	/* One is being begun. */
	if (busy && ret->lost)
		return cow_session_refuse_gone(ret, err);
	/* Who had the lock may have removed it all; who removes it does that with the lock. */
	if (!busy && !ret->lost && faccessat(ret->dir_fd, "meta", F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		r = errno == ENOENT ? cow_session_refuse_gone(ret, err)
				    : err_system(err, errno, dir, "cannot look at the session");
		if (r == -ENOENT && ret->lock_made)
			(void)unlinkat(ret->dir_fd, "lock", 0);
		return r;
	}
	cow_session_read_use(ret);
	if (lock == COW_LOCK_WRITE)
		cow_session_note_use(ret);
	ret->in_use = busy;
	ret->applied = faccessat(ret->dir_fd, "applied", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!ret->applied && errno != ENOENT)
		return err_system(err, errno, dir, "cannot tell whether the session was applied");
	ret->emptied = faccessat(ret->dir_fd, COW_EMPTYING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!ret->emptied && errno != ENOENT)
		return err_system(err, errno, dir, "cannot tell whether the session is whole");
	if (ret->emptied && !ret->applied && !ret->damaged && lock == COW_LOCK_ASK)
		ret->damaged = "its removal was begun, and has not ended";
	r = cow_session_find_drivers(ret, err);
	/* What a launch that was killed has not. */
	if (r == 0 && !busy && !ret->damaged && !ret->emptied &&
	    (lock == COW_LOCK_READ || lock == COW_LOCK_WRITE))
		r = cow_session_undo_targets(ret, lock == COW_LOCK_READ, err);
	return r;
}

/* ---- remove ---- */

enum { COW_REMOVE_DEPTH = 64, COW_REMOVE_TRIES = 100 };

struct cow_removing {
	int top_fd; /* borrowed; of the directory that is emptied */
	unsigned moved;
	char where[COW_WHERE_MAX]; /* what could not be removed, from that directory on */
};

/*
 * A directory that lies too deep for a descriptor each is moved up, and removed from there:
 * what the command made has no say in how many are needed.
 */
static int cow_remove_below(struct cow_removing *all, int dir_fd, unsigned depth);

static int cow_find_dir(int dir_fd, const char *name)
{
	return sys_openat2(dir_fd, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* A directory whose owner may have been shut out of it. Return: as openat(2). */
static int cow_open_found(int found)
{
	char path[64];
	struct stat st;

	if (found < 0 || fstat(found, &st) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	if ((st.st_mode & 0700) != 0700 && chmod(path, 0700) < 0)
		return -1;
	return openat(found, ".", O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY);
}

static int cow_open_closed(int dir_fd, const char *name)
{
	_autoclose_ int found = cow_find_dir(dir_fd, name);

	return found < 0 ? -1 : cow_open_found(found);
}

static int cow_remove_dir(struct cow_removing *all, int dir_fd, const char *name, unsigned depth)
{
	_autoclose_ int fd = -1;
	char room[32];
	int r;

	fd = cow_open_closed(dir_fd, name);
	if (fd >= 0 && depth >= COW_REMOVE_DEPTH) {
		do /* such a name may be there */
			(void)snprintf(room, sizeof(room), ".sbx-deep-%u", all->moved++);
		while ((r = sys_rename_noreplace(dir_fd, name, all->top_fd, room)) < 0 &&
		       errno == EEXIST);
		return r < 0 ? -errno : 0;
	}
	if (fd < 0) {
		r = -errno; /* why there is something left in it */
		if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
			return 0;
		return errno == ENOTEMPTY ? r : -errno;
	}
	r = cow_remove_below(all, fd, depth + 1);
	if (r < 0)
		return r;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* All that is in a directory. What is moved to the top meanwhile is found by looking again. */
static int cow_remove_below(struct cow_removing *all, int dir_fd, unsigned depth)
{
	DIR *dir = fd_open_dir_again(dir_fd);
	int r = 0;
	unsigned before = all->moved;
	const struct dirent *e;

	if (!dir)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(dir))) {
		struct stat st;

		if (path_is_dots(e->d_name))
			continue;
		if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno;
			continue;
		}
		r = S_ISDIR(st.st_mode) ? cow_remove_dir(all, dir_fd, e->d_name, depth)
		    : unlinkat(dir_fd, e->d_name, 0) < 0 ? -errno
							 : 0;
		if (r < 0)
			path_put_before(all->where, sizeof(all->where), e->d_name);
	}
	if (r == 0)
		r = -errno;
	(void)closedir(dir);
	if (r == 0 && depth == 0 && all->moved != before)
		return cow_remove_below(all, dir_fd, 0);
	return r;
}

/**
 * Remove all that is in a directory, whatever name it has now.
 * @found:     of O_PATH
 * @ret_where: where it fails, what could not be removed, from there on; "": that itself
 *
 * Return: 0 or -errno.
 */
int cow_empty_found(int found, char ret_where[COW_WHERE_MAX])
{
	_autoclose_ int fd = cow_open_found(found);
	struct cow_removing all = {.top_fd = fd};
	int r;

	ret_where[0] = '\0';
	if (fd < 0)
		return -errno;
	r = cow_remove_below(&all, fd, 0);
	if (r < 0)
		str_copy(ret_where, COW_WHERE_MAX, all.where);
	return r;
}

/**
 * Remove a directory with all that is in it, beneath another.
 *
 * Return: 0 or -errno.
 */
int cow_remove_tree(int dir_fd, const char *name)
{
	_autoclose_ int found = cow_find_dir(dir_fd, name);
	char where[COW_WHERE_MAX];

	int r = found < 0 ? -errno : cow_empty_found(found, where);

	return r < 0 ? r : unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/*
 * The lock, and the directories that were made for the session. Somebody who has found the record
 * before makes a lock anew, and then finds that it is gone: he is waited for. Where there is a
 * record again another session has begun, and what else is there is not ours: it stays.
 */
static void cow_session_remove_last(struct cow_session *session)
{
	bool has_lock = true;

	for (int i = 0; i < COW_REMOVE_TRIES; i++) {
		if (has_lock)
			(void)unlinkat(session->dir_fd, "lock", 0);
		if (dirs_unmake(session->dir, session->made))
			return;
		defs_cleanup_fd(&session->lock_fd);
		session->lock_fd = openat(session->dir_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (session->lock_fd < 0) { /* he may have removed it by now */
			(void)dirs_unmake(session->dir, session->made);
			return;
		}
		if (dirs_lock(session->lock_fd, COW_LOCK_MS) < 0 ||
		    faccessat(session->dir_fd, "meta", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return;
		has_lock = cow_session_has_lock(session) > 0;
	}
}

/*
 * A directory of the command's that has lost some of what was in it would be taken for one from
 * which that was removed. A disk that is full is no reason not to remove anything.
 */
static int cow_session_mark_emptying(const struct cow_session *session)
{
	_autoclose_ int fd = openat(session->dir_fd, COW_EMPTYING,
				    O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0 && errno != ENOSPC && errno != EDQUOT)
		return -errno;
	(void)fsync(session->dir_fd);
	return 0;
}

/* How a session is named in a line for a shell. Return: @room */
const char *cow_session_word(const struct cow_session *session, char room[COW_WORD_MAX])
{
	struct str_buf word = {.data = room, .size = COW_WORD_MAX};

	str_buf_quote(&word, session->id);
	return room;
}

/**
 * Is all there that was changed?
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_check_whole(const struct cow_session *session, struct sbx_err *err)
{
	char word[COW_WORD_MAX];

	if (!session->emptied)
		return 0;
	(void)err_refuse(err, EINVAL, session->id,
			 "is not whole: its removal was begun, and has not ended");
	err_hint(err, "end it: sbx discard %s", cow_session_word(session, word));
	return -EINVAL;
}

/**
 * Remove the directories of a session, with all that was changed. What other ids own may take this
 * process into a user namespace, for good: cow_gain_access(). That it is not whole any more is
 * marked, until who called it removes that.
 *
 * Return: 0 or -errno.
 */
int cow_session_remove_roots(const struct cow_session *session)
{
	const size_t n_roots = session->damaged ? COW_ROOTS_MAX : session->n_roots;
	int r = cow_session_mark_emptying(session);

	for (size_t i = 0; i < n_roots && r == 0; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%zu", i);
		if (session->damaged && cow_session_is_root(session->dir_fd, name) == 0)
			continue;
		r = cow_remove_tree(session->dir_fd, name);
		/* Not empty is what cannot be looked into. */
		if (r == -EACCES || r == -EPERM || r == -ENOTEMPTY) {
			cow_gain_access();
			r = cow_remove_tree(session->dir_fd, name);
		}
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* Those directories could not be removed. */
int cow_session_refuse_removal(const struct cow_session *session, int number, struct sbx_err *err)
{
	int r = err_system(err, number, session->dir, "cannot remove all of the session");

	if (number == EACCES || number == EPERM || number == ENOTEMPTY)
		err_hint(err, "what other ids of the sandbox own is removed by: "
			      "podman unshare rm -r, or as root");
	if (number == EBUSY)
		err_hint(err, "unmount what is mounted in it: findmnt shows that; then the same "
			      "command goes on");
	return r;
}

/**
 * Remove a session, which is locked. Its record goes last: what is left of one that could not
 * be removed is still found. What is not the session's stays, and with it the directory.
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_remove(struct cow_session *session, struct sbx_err *err)
{
	static const char *const files[] = {"journal",	"removals", "placed",	 "applied",
					    "meta.new", "meta",	    COW_EMPTYING};
	int r = cow_session_remove_roots(session);

	if (r < 0)
		return cow_session_refuse_removal(session, -r, err);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(session->dir_fd, files[i], 0) < 0 && errno != ENOENT)
			return err_system(err, errno, session->dir, "cannot be removed");
	cow_session_remove_last(session);
	return 0;
}

/* The directory of the host is not what it was. */
int cow_session_refuse_root(const struct cow_session *session, const char *path, int number,
			    struct sbx_err *err)
{
	char word[COW_WORD_MAX];
	int r;

	switch (number) {
	case ENOENT:
		r = err_refuse(err, number, path, "is not there any more");
		break;
	case ENOTDIR:
		r = err_refuse(err, number, path, "is no directory any more");
		break;
	case ELOOP:
		r = err_refuse(err, number, path, "is, or lies behind, a symbolic link by now");
		break;
	case ESTALE:
		r = err_refuse(err, number, path,
			       "is another directory than when the session began");
		break;
	default:
		return err_system(err, number, path, "cannot be opened");
	}
	cow_part_hint(session, path, err);
	err_hint(err, "put back what was there, or forget the changes: sbx discard %s",
		 cow_session_word(session, word));
	return r;
}

/*
 * As openat2(2), with that access where it takes it: the command may have closed its root, and the
 * host's may be one that its owner can only go through.
 */
static int cow_session_open_dir(int dir_fd, const char *path, uint64_t how)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = sys_openat2(dir_fd, path, (uint64_t)flags, how);

	if (fd >= 0 || errno != EACCES)
		return fd;
	cow_gain_access();
	return sys_openat2(dir_fd, path, (uint64_t)flags, how);
}

/**
 * The upper directory of a root, and the root itself, which must be what it was.
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_open_root(const struct cow_session *session, size_t index, int *ret_upper,
			  int *ret_host, struct sbx_err *err)
{
	const struct cow_root *root = &session->roots[index];
	_autoclose_ int upper = -1, host = -1;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "%zu/upper", index);
	upper = cow_session_open_dir(session->dir_fd, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (upper < 0)
		return err_system(err, errno, session->dir, "cannot open the changes");
	host = cow_session_open_dir(AT_FDCWD, root->path, RESOLVE_NO_SYMLINKS);
	r = host < 0 ? -errno : cow_root_check(root, host);
	if (r < 0)
		return cow_session_refuse_root(session, root->path, -r, err);
	*ret_upper = take_fd(&upper);
	*ret_host = take_fd(&host);
	return 0;
}

/**
 * What the upper directory of a root began with. *ret_base: untouched where that is not known, as
 * in sessions of an older sbx.
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_session_open_base(const struct cow_session *session, size_t index, int *ret_base,
			  struct sbx_err *err)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "%zu/base", index);
	fd = sys_openat2(session->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd < 0 && errno != ENOENT)
		return err_system(err, errno, session->dir,
				  "cannot open what the changes began with");
	if (fd >= 0)
		*ret_base = fd;
	return 0;
}
