/* SPDX-License-Identifier: MIT */
/*
 * apply_place: put what was made in its place, many entries together; see apply_parts.h.
 *
 * A disk is what this waits for. So files are made until there are some, in whatever directories,
 * are written to disk all together, and then put in place one after the other (apply_flush()), with
 * what else is to be done meanwhile, in its order.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply_parts.h"
#include "sbx/cow/times.h"

enum {
	APPLY_OPS_BYTES = 64 << 20, /* of files that are not on disk yet */
	APPLY_PATH = 512
};

/* ---- put in place ---- */

static int apply_exchange(int dir_fd, const char *one, const char *other)
{
	return syscall(SYS_renameat2, dir_fd, one, dir_fd, other, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* Return: 0, or -errno where names can be neither made nor removed in a directory of the host. */
int apply_check_dir(int dir_fd)
{
	if (faccessat(dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno != EACCES)
		return -errno;
	cow_gain_access(); /* its owner cannot write, or not yet */
	return faccessat(dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* A directory of the host is about to be changed. */
int apply_prepare(struct apply *a, int dir_fd)
{
	struct stat st;
	int r;

	(void)apply_check_dir(dir_fd); /* what stands against it is told by what is tried */
	r = apply_hold(a, dir_fd, &st);
	return r < 0 ? r : apply_make_way(a, dir_fd);
}

/* What has come to be there since it was looked at stays. */
static int apply_place_new(int dir_fd, const char *from, const char *to)
{
	if (sys_rename_noreplace(dir_fd, from, dir_fd, to) == 0)
		return 0;
	if (errno != EINVAL) /* not every filesystem can */
		return -errno;
	return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
}

/*
 * What had the name has the temporary one now. Is it what was to go, and as it was?
 *
 * @ret_goes: it is removed, or what is left of it is an apply's
 *
 * Return: 0, -ESTALE it is not, or -errno.
 */
static int apply_take_away(struct apply *a, const struct apply_op *op, bool *ret_goes)
{
	const struct cow_entry *e = &op->entry;
	_autoclose_ int found = -1;
	struct cow_removal removal = {0};
	struct stat st;
	int r;

	*ret_goes = false;
	if (!S_ISDIR(e->host.st_mode)) {
		if (fstatat(e->host_dir, a->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (st.st_ino != e->host.st_ino || st.st_dev != e->host.st_dev)
			return -ESTALE;
		*ret_goes = true;
		/* As it was: the new name has changed it since. */
		return apply_unlink(a, e->host_dir, a->name, &e->host);
	}
	found = apply_find_dir(e->host_dir, a->name);
	r = found < 0 ? -errno : apply_removal_of(a, found, "", &removal);
	if (r == 0 && !cow_removal_is(&removal, &op->goes))
		r = -ESTALE;
	if (r == 0)
		r = apply_let_go(a, found, &removal);
	if (r < 0)
		return r;
	*ret_goes = true;
	return apply_remove_dir(a, found, e->host_dir);
}

/* Who may rename there can have put another thing under the temporary name. Return: 0 or -errno. */
static int apply_is_placed(struct apply_op *op)
{
	struct stat st;

	if (fstatat(op->entry.host_dir, op->entry.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_ino != op->made_ino || st.st_dev != op->made_dev)
		return -ESTALE;
	if (op->placed.st_ino == 0)
		op->placed = st;
	return 0;
}

/*
 * From the temporary name to its own, and what was there goes. Where it is not what was to go it
 * gets the name back, from what was made. Where somebody has put another thing there, that keeps
 * it.
 */
static int apply_place_instead(struct apply *a, struct apply_op *op)
{
	const struct cow_entry *e = &op->entry;
	bool goes = false;
	int r = apply_exchange(e->host_dir, a->name, e->name);

	apply_note(a, e->host_dir);
	if (r < 0)
		return r;
	r = apply_is_placed(op);
	/* A name of it may lie in what goes. */
	apply_note_name(a, e->host_dir, e->name);
	if (r < 0)
		return r;
	r = apply_take_away(a, op, &goes);
	if (r < 0 && !goes && apply_is_placed(op) == 0) {
		(void)apply_exchange(e->host_dir, a->name, e->name);
		op->placed.st_ino = 0;
	}
	return r;
}

static int apply_place(struct apply *a, struct apply_op *op)
{
	const struct cow_entry *e = &op->entry;
	_autoclose_ int old = e->has_host ? apply_watch(a, e->host_dir, e->name, &e->host) : -1;
	int r;

	if (e->has_host && (S_ISDIR(e->host.st_mode) || S_ISDIR(e->upper.st_mode)))
		r = apply_place_instead(a, op);
	else if (!e->has_host && !a->options->force)
		r = apply_place_new(e->host_dir, a->name, e->name);
	else
		r = renameat(e->host_dir, a->name, e->host_dir, e->name) < 0 ? -errno : 0;
	if (r == 0)
		r = apply_is_placed(op);
	apply_note(a, old);
	apply_note_name(a, e->host_dir, e->name);
	return r;
}

/* What was made, and did not get its name; another thing that has the temporary one stays. */
static void apply_unmake(struct apply *a, const struct apply_op *op)
{
	struct stat st;

	if (fstatat(op->entry.host_dir, a->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISDIR(st.st_mode) || (st.st_ino == op->made_ino && st.st_dev == op->made_dev)))
		(void)apply_clear(a, op->entry.host_dir);
}

static int apply_remove(struct apply *a, const struct apply_op *op)
{
	const struct cow_entry *e = &op->entry;
	bool goes;
	int r;

	if (!S_ISDIR(e->host.st_mode))
		return apply_unlink(a, e->host_dir, e->name, &e->host);
	if (renameat(e->host_dir, e->name, e->host_dir, a->name) < 0)
		return -errno;
	apply_note(a, e->host_dir);
	r = apply_take_away(a, op, &goes);
	if (r < 0 && !goes)
		(void)apply_place_new(e->host_dir, a->name, e->name);
	if (r < 0)
		apply_note_name(a, e->host_dir, e->name);
	return r;
}

static void apply_put_path(const struct apply *a, const struct cow_entry *e, char path[APPLY_PATH])
{
	const char *root = a->session->roots[a->root].path;

	(void)snprintf(path, APPLY_PATH, "%s%s%s", root, root[1] ? "/" : "", e->path);
}

/* A directory has lost its name, and something in it stays under the temporary one. */
static int apply_fail_left(const struct apply *a, const char *path, int number, struct sbx_err *err)
{
	const char *what = a->left_over;
	int r = err_system(err, number, path, "%s%scannot be removed", what,
			   *what ? " in it " : "");

	err_hint(err,
		 "what is left of it is called %s now. See to it\n"
		 "that it can be removed; then the same command goes on where this one stopped",
		 a->name);
	return r;
}

/* What has a temporary name stays. @where: it is there */
static int apply_fail_way(const struct apply *a, const struct cow_entry *e, const char *where,
			  int number, struct sbx_err *err)
{
	char path[APPLY_PATH];
	int r;

	apply_put_path(a, e, path);
	if (a->is_left) {
		r = err_system(err, number, path, "%s %s is to be removed, and %s cannot be",
			       a->name, where, a->left_over[0] ? a->left_over : "it");
		err_hint(err, "see to it that it can be removed; then the same command goes on");
		return r;
	}
	if (number == ENOTEMPTY)
		r = err_refuse(err, number, path,
			       "%s %s is in the way, and has something in it that is no apply's",
			       a->name, where);
	else if (number == ESTALE)
		r = err_refuse(err, EBUSY, path,
			       "%s %s was to be removed, and has changed on the host since the "
			       "session began",
			       a->name, where);
	else
		r = err_system(err, number, path, "%s %s is in the way, and cannot be removed",
			       a->name, where);
	err_hint(err, "see what it is and move it away%s; then the same command goes on",
		 number == ESTALE ? ", or have it removed by --force" : "");
	return r;
}

int apply_fail_in(const struct apply *a, const struct cow_entry *e, int number, struct sbx_err *err)
{
	if (a->in_the_way)
		return apply_fail_way(a, e, "in it", number, err);
	return apply_fail(a, e, number, err);
}

/* It may be another disk than that of the directory: no entry is the reason then. */
static bool apply_session_is_full(const struct apply *a, int number)
{
	return (number == ENOSPC || number == EDQUOT) &&
	       (a->journal.failed == -number || a->removals.failed == -number);
}

int apply_fail(const struct apply *a, const struct cow_entry *e, int number, struct sbx_err *err)
{
	char path[APPLY_PATH];
	int r;

	if (apply_session_is_full(a, number)) {
		r = err_system(err, number, a->session->dir, "cannot write the journal");
		err_hint(err, "make room where the session is; nothing is lost: what was applied "
			      "is whole,\n"
			      "and the same command goes on where this one stopped");
		return r;
	}
	if (a->in_the_way)
		return apply_fail_way(a, e, "beside it", number, err);
	apply_put_path(a, e, path);
	if (a->is_left)
		return apply_fail_left(a, path, number, err);
	r = number == ESTALE ? err_refuse(err, EBUSY, path, "is being changed on the host just now")
	    : number == EINTR ? err_refuse(err, EINTR, NULL, "interrupted by a signal")
			      : err_system(err, number, path, "cannot be applied");

	err_hint(err, "nothing is lost: what was applied is whole, and the same command goes on\n"
		      "where this one stopped");
	return r;
}

/* ---- what is done together ---- */

void apply_use_name(struct apply *a, unsigned index)
{
	(void)snprintf(a->name, sizeof(a->name), "%s-%u", a->temporary, index);
}

static void apply_op_finish(struct apply_op *op)
{
	free((char *)(uintptr_t)op->entry.path);
	defs_cleanup_fd(&op->entry.upper_dir);
	defs_cleanup_fd(&op->entry.host_dir);
	defs_cleanup_fd(&op->fd);
}

/*
 * Remember it; there has to be room.
 * @fd: taken in any case
 */
int apply_later(struct apply *a, enum apply_kind kind, const struct cow_entry *e, int fd)
{
	struct apply_op *op = &a->ops[a->n_ops];
	const char *slash;

	*op = (struct apply_op){.kind = kind, .entry = *e, .fd = fd, .goes = a->goes};
	op->made_dev = a->made.st_dev;
	op->made_ino = a->made.st_ino;
	op->entry.path = strdup(e->path);
	op->entry.upper_dir = fcntl(e->upper_dir, F_DUPFD_CLOEXEC, 0);
	op->entry.host_dir = e->host_dir < 0 ? -1 : fcntl(e->host_dir, F_DUPFD_CLOEXEC, 0);
	if (!op->entry.path || op->entry.upper_dir < 0 ||
	    (e->host_dir >= 0 && op->entry.host_dir < 0)) {
		int r = op->entry.path ? -errno : -ENOMEM;

		apply_op_finish(op);
		return r;
	}
	slash = strrchr(op->entry.path, '/');
	op->entry.name = slash ? slash + 1 : op->entry.path;
	a->n_ops++;
	return 0;
}

/* Is what is to be replaced or removed still what it was when it was decided? */
static int apply_look_again(struct apply *a, const struct cow_entry *e)
{
	struct stat st;

	if (a->options->force || !e->has_host)
		return 0;
	if (fstatat(e->host_dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return st.st_ino == e->host.st_ino && st.st_dev == e->host.st_dev &&
			       (!apply_is_others(a, &st) ||
				(st.st_ctim.tv_sec == e->host.st_ctim.tv_sec &&
				 st.st_ctim.tv_nsec == e->host.st_ctim.tv_nsec))
		       ? 0
		       : -ESTALE;
}

/* Is a directory to be given what the layer's has? */
bool apply_finishes(struct apply *a, const struct cow_entry *e, const struct stat *st)
{
	if (e->changes & (COW_ADDED | COW_TYPE))
		return true;
	if (e->changes == 0 && cow_time_is_kept(&st->st_mtim, &e->upper.st_mtim, &st->st_ctim))
		return false;
	/* When others' directories were changed last is not for the caller to say. */
	if (geteuid() != 0 && st->st_uid != geteuid() && (!cow_is_told(e) || apply_is_beyond(e)))
		return false;
	/* The time alone is nothing that stands against a change of the host's. */
	if (!(apply_changes(a, e) & ~(uint32_t)COW_TIME) && !a->options->force &&
	    apply_is_others(a, st))
		return false;
	return apply_selects(a, e->path);
}

/* It was looked at before; what others have done to it since is not overwritten. */
static int apply_finish(struct apply *a, const struct apply_op *op)
{
	struct stat st;
	int r = apply_hold(a, op->fd, &st);

	if (r == 0 && !a->options->force && apply_is_others(a, &st))
		return -ESTALE;
	if (r == 0)
		r = apply_set_all(a, &op->entry, op->fd);
	apply_note(a, op->fd);
	return r;
}

/* What is left to be written to disk then is the directory, where it was changed. */
static int apply_do_finish(struct apply *a, struct apply_op *op)
{
	struct stat st;
	int r = fstat(op->fd, &st) < 0 ? -errno : 0;

	if (r == 0 && apply_finishes(a, &op->entry, &st))
		r = apply_finish(a, op);
	if (r == 0 && !cow_journal_knows(&a->journal, &st)) {
		defs_cleanup_fd(&op->fd);
		op->fd = -1;
	}
	return r;
}

/* And is the directory as this has left it, where an entry is added to it or removed? */
static int apply_look_at_dir(struct apply *a, const struct cow_entry *e)
{
	struct stat dir;
	int r = apply_hold_again(a, e->host_dir, &dir);

	if (r < 0 || a->options->force || !(e->changes & (COW_ADDED | COW_REMOVED)))
		return r;
	return apply_is_others(a, &dir) ? -ESTALE : 0;
}

static int apply_do(struct apply *a, struct apply_op *op)
{
	const struct cow_entry *e = &op->entry;
	int r = op->kind == APPLY_FINISH ? 0 : apply_look_again(a, e);

	if (r == 0 && op->kind != APPLY_FINISH)
		r = apply_look_at_dir(a, e);
	if (r < 0)
		return r;
	switch (op->kind) {
	case APPLY_PLACE:
		r = apply_place(a, op);
		apply_note(a, e->host_dir);
		if (r < 0)
			return r;
		apply_note_placed(a, op);
		return apply_note_link(a, e);
	case APPLY_REMOVE:
		r = apply_remove(a, op);
		apply_note(a, e->host_dir);
		return r;
	case APPLY_FINISH:
		return apply_do_finish(a, op);
	}
	return 0;
}

/* Write the descriptors of one kind to disk. @ret_results: where there is none, 0 */
static void apply_sync(struct apply *a, bool directories, int results[APPLY_OPS_MAX])
{
	int fds[APPLY_OPS_MAX] = {0}, found[APPLY_OPS_MAX];
	size_t index[APPLY_OPS_MAX], n = 0;

	for (size_t i = 0; i < a->n_ops; i++) {
		results[i] = 0;
		if (a->ops[i].fd < 0 || (a->ops[i].kind == APPLY_FINISH) != directories)
			continue;
		fds[n] = a->ops[i].fd;
		index[n++] = i;
	}
	cow_sync_files(&a->sync, fds, n, found);
	for (size_t i = 0; i < n; i++)
		results[index[i]] = found[i];
}

/* In order, up to the first that fails. Return: how many. */
static size_t apply_do_all(struct apply *a, int *ret_failure)
{
	int results[APPLY_OPS_MAX] = {0}, r = cow_journal_flush(&a->journal);
	unsigned i;

	if (r == 0)
		r = cow_removals_flush(&a->removals);
	apply_sync(a, false, results);
	for (i = 0; i < a->n_ops && r == 0; i++) {
		apply_use_name(a, i);
		r = results[i] < 0 ? results[i] : apply_do(a, &a->ops[i]);
	}
	*ret_failure = r;
	return r < 0 && i > 0 ? i - 1 : i;
}

/*
 * Do what is remembered.
 *
 * Return: 0, or -errno with *err filled: then what comes behind the one that failed is undone.
 */
int apply_flush(struct apply *a, struct sbx_err *err)
{
	int results[APPLY_OPS_MAX] = {0}, r = 0, settled;
	size_t done = a->n_ops ? apply_do_all(a, &r) : 0;

	if (r < 0)
		(void)apply_fail(a, &a->ops[done].entry, -r, err);
	for (size_t i = done; i < a->n_ops; i++) {
		apply_use_name(a, (unsigned)i);
		if (a->ops[i].kind == APPLY_PLACE)
			apply_unmake(a, &a->ops[i]);
		defs_cleanup_fd(&a->ops[i].fd);
		a->ops[i].fd = -1;
	}
	apply_sync(a, true, results);
	for (size_t i = 0; i < done && r == 0; i++)
		if (results[i] < 0)
			r = apply_fail(a, &a->ops[i].entry, -results[i], err);
	settled = cow_journal_settle(&a->journal);
	if (r == 0 && settled < 0 && a->n_ops)
		r = apply_fail(a, &a->ops[a->n_ops - 1].entry, -settled, err);
	for (size_t i = 0; i < a->n_ops; i++)
		apply_op_finish(&a->ops[i]);
	a->n_ops = 0;
	a->ops_bytes = 0;
	return r;
}

/* Each has three descriptors at most, and half of all are for the walk. */
static size_t apply_count_ops_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 6 >= APPLY_OPS_MAX)
		return APPLY_OPS_MAX;
	return limit.rlim_cur < 6 ? 1 : (size_t)limit.rlim_cur / 6;
}

/* Room for one more, and its name. Return: 0, or -errno with *err filled. */
int apply_make_room(struct apply *a, struct sbx_err *err)
{
	int r = 0;

	if (!a->ops_max)
		a->ops_max = apply_count_ops_max();
	if (a->n_ops >= a->ops_max || a->ops_bytes >= APPLY_OPS_BYTES)
		r = apply_flush(a, err);

	apply_use_name(a, (unsigned)a->n_ops);
	return r;
}

/* Is there a name of the same file that is not in place yet? */
bool apply_awaits_link(const struct apply *a, const struct cow_entry *e)
{
	for (size_t i = 0; i < a->n_ops; i++)
		if (a->ops[i].kind == APPLY_PLACE &&
		    a->ops[i].entry.upper.st_ino == e->upper.st_ino &&
		    a->ops[i].entry.upper.st_dev == e->upper.st_dev)
			return true;
	return false;
}

/*
 * A directory of the host goes with all that is in it. It is in the journal too: where it gets its
 * name back, that has changed it.
 */
static int apply_note_removal(struct apply *a, const struct cow_entry *e)
{
	struct stat st;
	int r;

	a->goes = (struct cow_removal){0};
	if (!e->has_host || !S_ISDIR(e->host.st_mode))
		return 0;
	r = apply_removal_of(a, e->host_dir, e->name, &a->goes);
	if (r == 0 && fstatat(e->host_dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && (st.st_ino != e->host.st_ino || st.st_dev != e->host.st_dev ||
		       st.st_ino != a->goes.inode))
		r = -ESTALE;
	if (r == 0)
		r = cow_journal_hold(&a->journal, &e->host);
	return r < 0 ? r : cow_removals_hold(&a->removals, &a->goes);
}

int apply_act(struct apply *a, const struct cow_entry *e, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = apply_make_room(a, err);

	if (r < 0)
		return r;
	(void)apply_check_dir(e->host_dir);
	r = apply_hold_file(a, e);
	if (r == 0)
		r = apply_note_removal(a, e);
	if (r == 0)
		r = apply_prepare(a, e->host_dir);
	if (r == 0 && (e->changes & COW_REMOVED)) {
		r = apply_later(a, APPLY_REMOVE, e, -1);
	} else if (r == 0) {
		r = apply_make(a, e, &fd);
		if (r == 0)
			r = apply_later(a, APPLY_PLACE, e, take_fd(&fd));
		if (r < 0)
			(void)apply_clear(a, e->host_dir);
	}
	return r < 0 ? apply_fail(a, e, -r, err) : 0;
}
