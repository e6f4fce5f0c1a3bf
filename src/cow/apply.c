/* SPDX-License-Identifier: MIT */
/*
 * apply: see apply.h.
 *
 * Theory of operation
 *
 * The changes are walked twice: first only to look, so that where something has changed on
 * the host nothing at all is done; then to act, looking again at each entry.
 *
 * Everything appears at once under its name: it is made beside it, complete with its
 * attributes and on disk, and renamed. A directory that goes is renamed before it is emptied.
 * There are some names for what is not yet, or no more, in place; what a killed apply has left
 * there is removed when the next one comes to that directory. So at any moment every
 * name of the host has what it had, or what it is to have.
 *
 * Who else may rename in a directory can exchange what is there at any moment, also with what only
 * the caller may enter. So what was opened counts and not its name: a directory is removed if it
 * is the one that was to go (removals.c) and has nothing later in it when it has lost its name, and
 * of any other only what has a temporary name; and a new one that is not new is not filled.
 *
 * What has a change time later than the beginning of the session was changed by somebody
 * else, except what equals the layer already, which is an earlier try's work, and what the journal
 * has as an earlier try has left it: directories, and files with several names (journal.c). A
 * new directory is in the journal before it has its name.
 *
 * Which entries are meant is in apply_choose.c and apply_below.c, how they are made in
 * apply_make.c, and how what was made gets its name, many at once, in apply_place.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/apply_parts.h"
#include "sbx/cow/journal.h"
#include "sbx/cow/mounts.h"
#include "sbx/cow/part.h"
#include "sbx/cow/sync.h"
#include "sbx/cow/times.h"

/* ---- interruption ---- */

/*
 * Signals that end this process wait while something is made, so that it is put in place or
 * removed. Those that are ignored stay so: while they wait they could not be told from others.
 */
static void apply_hold_signals(sigset_t *ret_before, sigset_t *ret_held)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	sigemptyset(ret_held);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction now;

		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaddset(ret_held, signals[i]);
	}
	(void)sigprocmask(SIG_BLOCK, ret_held, ret_before);
}

/* What has come is told by an error, and does not end this process once more. */
static void apply_release_signals(const struct apply *a, const sigset_t *before)
{
	const struct timespec now = {0};

	while (sigtimedwait(&a->held, NULL, &now) > 0)
		;
	(void)sigprocmask(SIG_SETMASK, before, NULL);
}

/* ---- the visitor ---- */

/* What is left out is told once: when it is, or would be. */
static void apply_tell_left_out(struct apply *a, const struct cow_entry *e, const char *why)
{
	a->applied->skipped++;
	if (a->acts || a->options->dry_run)
		a->options->tell(a->options->arg, a->root, e, why);
}

static void apply_tell_planted(struct apply *a, const struct cow_entry *e)
{
	if (e->plants)
		apply_tell_left_out(a, e,
				    "its attributes that overlays take for marks are left out");
}

/* Names as any others for the kernel. */
static void apply_count_name(struct apply *a, const struct cow_entry *e)
{
	a->applied->names += (e->changes & COW_ADDED) && str_starts_with(e->name, ".wh.");
}

static bool apply_can_be_made(struct apply *a, const struct cow_entry *e)
{
	if (str_starts_with(e->name, a->temporary)) {
		/* What the host has by that name is this apply's own, and not left out. */
		if (!(e->changes & COW_REMOVED))
			apply_tell_left_out(a, e, "has a name that sbx apply uses");
		return false;
	}
	if ((e->changes & COW_REMOVED) || S_ISREG(e->upper.st_mode) || S_ISLNK(e->upper.st_mode) ||
	    S_ISFIFO(e->upper.st_mode))
		return true;
	apply_tell_left_out(a, e,
			    S_ISSOCK(e->upper.st_mode) ? "is a socket, and left out"
						       : "is a device, and left out");
	return false;
}

/* A directory of the host is not taken away with what --exclude names in it. */
static bool apply_is_kept(struct apply *a, const struct cow_entry *e)
{
	if (!a->options->n_exclude || !e->has_host || !S_ISDIR(e->host.st_mode) ||
	    !(e->changes & (COW_REMOVED | COW_TYPE)) ||
	    !apply_any_below(a, apply_excludes, e->host_dir, e->name, e->path, 0))
		return false;
	apply_tell_left_out(a, e, "holds what is excluded, and stays");
	return true;
}

/*
 * Is a name whose file is as it should be linked to another than the layer's other names, and can
 * be to that? A copy that was made as it cannot is as it should be, each time.
 */
static bool apply_is_other_link(const struct apply *a, const struct cow_entry *e)
{
	const struct apply_link *link = apply_find_link(a, &e->upper);

	/* One with a set-id bit stays what it is; its other names are copies without. */
	if (!a->options->allow_setid && e->has_host && (e->host.st_mode & APPLY_SETID))
		return false;
	return link && link->host_ino && e->has_host &&
	       (link->host_ino != e->host.st_ino || link->host_dev != e->host.st_dev) &&
	       apply_can_link(a, link);
}

/*
 * It is as it should be, but for what is not given to it. Where there is more to be done to it,
 * who does that says so.
 */
static void apply_tell_kept(struct apply *a, const struct cow_entry *e)
{
	if (!a->acts && !a->options->dry_run)
		return;
	if ((e->changes & COW_OWNER) && e->upper.st_uid != e->host.st_uid &&
	    e->host.st_uid == geteuid())
		a->applied->owners++;
	if (e->changes & COW_MODE)
		apply_tell_left_out(a, e, apply_setid_left_out);
}

/* It is as it should be, but is another file: that goes, as any that is replaced. */
static int apply_link_anew(struct apply *a, const struct cow_entry *e, struct sbx_err *err)
{
	if (apply_conflicts(a, e))
		return a->acts ? err_refuse(err, EBUSY, e->path, "%s", a->why) : 0;
	return a->acts ? apply_act(a, e, err) : 0;
}

/* A directory of the host will be changed; in the first walk. */
static int apply_plan(struct apply *a, int dir_fd, struct sbx_err *err)
{
	struct stat st;

	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return 0;
	return cow_journal_plan(&a->journal, &st) < 0 ? err_oom(err) : 0;
}

static int apply_entry(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct apply *a = arg;
	uint32_t changes = apply_changes(a, e);
	bool links = !(e->changes & COW_REMOVED) && e->upper.st_nlink > 1;

	if (apply_is_interrupted(a))
		return apply_fail(a, e, EINTR, err);
	apply_note_fits(a, e);
	if (!apply_selects(a, e->path))
		return 0;
	apply_tell_planted(a, e);
	if (links && apply_awaits_link(a, e)) {
		int r = apply_flush(a, err);

		if (r < 0)
			return r;
	}
	if (changes == 0 && links && apply_is_other_link(a, e))
		return apply_link_anew(a, e, err);
	if (changes == 0) {
		apply_tell_kept(a, e);
		return links && apply_note_link(a, e) < 0 ? err_oom(err) : 0;
	}
	if (!apply_can_be_made(a, e) || apply_is_kept(a, e))
		return 0;
	if (apply_conflicts(a, e))
		return a->acts ? err_refuse(err, EBUSY, e->path, "%s", a->why) : 0;
	if (!a->acts && !a->options->dry_run)
		return apply_plan(a, e->host_dir, err);
	cow_count(e, &a->applied->counts);
	apply_count_name(a, e);
	a->options->tell(a->options->arg, a->root, e, NULL);
	if (a->acts)
		return apply_act(a, e, err);
	return apply_foresee(a, e, NULL) < 0 ? err_oom(err) : 0;
}

/*
 * Who may rename in the directory above can give the name to another directory before it is opened,
 * and that one would be filled and given the new one's permissions. A new one is empty, and not
 * older than the last change above it was; by the same clock, that of the filesystem.
 *
 * Return: 1, 0 it is another, or -errno.
 */
static int apply_is_new_dir(int fd, const struct stat *above)
{
	char names[2048];
	struct timespec now, born;
	struct sys_file file;
	ssize_t n;

	if (sys_statx_file(fd, "", &file) < 0)
		return -errno;
	born = (struct timespec){(time_t)file.born_sec, (long)file.born_nsec};
	/* A change in the future says nothing: the clock was set back. */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (file.has_birth && !cow_time_is_after(&above->st_ctim, &now) &&
	    cow_time_is_after(&above->st_ctim, &born))
		return 0;
	while ((n = sys_getdents(fd, (struct sys_dirent *)names, sizeof(names))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct sys_dirent *e = (const struct sys_dirent *)(names + at);

			if (!path_is_dots(e->name))
				return 0;
			at += e->size;
		}
	return n < 0 ? -errno : 1;
}

/* Under the temporary name, and in the journal before it has its own, which is later. */
static int apply_make_empty(struct apply *a, const struct cow_entry *e, const struct stat *above,
			    int *ret_fd)
{
	_autoclose_ int fd = -1;
	int r;

	if (mkdirat(e->host_dir, a->name, 0700) < 0)
		return -errno;
	fd = openat(e->host_dir, a->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &a->made) < 0)
		return -errno;
	r = apply_is_new_dir(fd, above);
	if (r <= 0)
		return r < 0 ? r : -ESTALE;
	r = cow_journal_hold_new(&a->journal, &a->made);
	cow_journal_note(&a->journal, &a->made);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int apply_make_dir(struct apply *a, const struct cow_entry *e, int *host_fd)
{
	_autoclose_ int fd = -1;
	struct stat before;
	int r = fstat(e->host_dir, &before) < 0 ? -errno : apply_prepare(a, e->host_dir);

	if (r == 0)
		r = apply_hold_file(a, e);
	if (r < 0)
		return r;
	r = apply_make_empty(a, e, &before, &fd);
	if (r == 0)
		r = apply_later(a, APPLY_PLACE, e, -1);
	apply_note(a, e->host_dir);
	if (r == 0)
		*host_fd = take_fd(&fd);
	return r;
}

/* Is there something left to be done to a directory that stays, that is told? */
static bool apply_is_left(const struct apply *a, const struct cow_entry *e)
{
	struct cow_entry left = *e;

	left.changes = apply_changes(a, e);
	return cow_is_told(&left);
}

static int apply_enter(void *arg, const struct cow_entry *e, int *host_fd, struct sbx_err *err)
{
	struct apply *a = arg;
	bool is_new = e->changes & (COW_ADDED | COW_TYPE);
	bool selected = apply_selects(a, e->path);
	int r;

	if (apply_is_interrupted(a))
		return apply_fail(a, e, EINTR, err);
	if (str_starts_with(e->name, a->temporary))
		return apply_can_be_made(a, e) ? 0 : 1;
	apply_note_fits(a, e);
	/* What fits a directory fits all below: an excluded one may be deeper than can be told. */
	if (is_new && !selected &&
	    (apply_excludes(a, e->path) ||
	     !apply_any_below(a, apply_selects, e->upper_dir, e->name, e->path, 0)))
		return 1;
	if ((is_new || (selected && (apply_changes(a, e) & ~(uint32_t)COW_TIME))) &&
	    apply_conflicts(a, e))
		return a->acts ? err_refuse(err, EBUSY, e->path, "%s", a->why) : 0;
	if (selected)
		apply_tell_planted(a, e);
	if (selected && apply_is_beyond(e))
		apply_tell_left_out(a, e,
				    "belongs to another user: its owner, permissions and "
				    "attributes stay as they are");
	if ((a->acts || a->options->dry_run) && (is_new || (selected && apply_is_left(a, e)))) {
		cow_count(e, &a->applied->counts);
		apply_count_name(a, e);
		a->options->tell(a->options->arg, a->root, e, NULL);
	}
	if (is_new && !a->acts && !a->options->dry_run)
		return apply_plan(a, e->host_dir, err);
	if (is_new && e->host_dir >= 0)
		(void)fstat(e->host_dir, &a->new_in);
	if (!is_new || !a->acts)
		return 0;
	r = apply_make_room(a, err);
	if (r < 0)
		return r;
	r = apply_make_dir(a, e, host_fd);
	if (r < 0) {
		(void)apply_clear(a, e->host_dir);
		return apply_fail(a, e, -r, err);
	}
	return 0;
}

/* Is anything meant that the layer has under a name, or that itself? @path: what the patterns know
 */
static bool apply_means(const struct apply *a, int dir_fd, const char *name, const char *path)
{
	return apply_selects(a, path) || (!apply_excludes(a, path) &&
					  apply_any_below(a, apply_selects, dir_fd, name, path, 0));
}

static int apply_covered(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct cow_entry left_out = *e;
	struct apply *a = arg;

	left_out.changes = COW_MODE; /* for patterns */
	apply_note_fits(a, &left_out);
	if (apply_means(a, e->upper_dir, e->name, e->path))
		return cow_part_refuse_covered(a->session, a->root, e->path, err);
	a->passes = true;
	apply_tell_left_out(a, e, "has something mounted on it by now, and is left out");
	return 0;
}

/* What an earlier try has left, in a directory that may have nothing else to do. */
static int apply_clear_all(struct apply *a, const struct cow_entry *e, int host_fd,
			   struct sbx_err *err)
{
	int r = apply_flush(a, err);

	for (unsigned i = 0; i < APPLY_OPS_MAX && r == 0; i++) {
		apply_use_name(a, i);
		r = apply_make_way(a, host_fd);
		if (r < 0)
			return apply_fail_in(a, e, -r, err);
	}
	return r;
}

static int apply_leave(void *arg, const struct cow_entry *e, int upper_fd, int host_fd,
		       struct sbx_err *err)
{
	struct apply *a = arg;
	struct stat st;
	int r, fd;

	(void)upper_fd;
	if (!a->acts && (e->changes & (COW_ADDED | COW_TYPE)))
		return a->options->dry_run && apply_foresee(a, e, NULL) < 0 ? err_oom(err) : 0;
	if (host_fd < 0)
		return 0;
	if (!a->acts && (fstat(host_fd, &st) < 0 || !apply_finishes(a, e, &st)))
		return 0;
	if (!a->acts && a->options->dry_run)
		return apply_foresee(a, e, &st) < 0 ? err_oom(err) : 0;
	if (!a->acts)
		return apply_plan(a, host_fd, err);
	r = a->again ? apply_clear_all(a, e, host_fd, err) : 0;
	if (r == 0)
		r = apply_make_room(a, err);
	if (r < 0)
		return r;
	fd = fcntl(host_fd, F_DUPFD_CLOEXEC, 0);
	r = fd < 0 ? -errno : apply_later(a, APPLY_FINISH, e, fd);
	return r < 0 ? apply_fail(a, e, -r, err) : 0;
}

/* ---- all ---- */

/*
 * One of the directories is not what it was. If it is a part that nothing was changed in, or that
 * is not meant, the others do without it. Return: 0, or @failed.
 */
static int apply_pass_part(struct apply *a, int failed)
{
	const char *name = cow_part_name(a->session, a->session->roots[a->root].path);
	struct cow_entry part = {.path = name, .name = name, .changes = COW_MODE};
	char layer[32];

	if (!*name)
		return failed;
	if (cow_part_is_unchanged(a->session, a->root))
		return 0;
	apply_note_fits(a, &part);
	(void)snprintf(layer, sizeof(layer), "%zu/upper", a->root);
	if (apply_means(a, a->session->dir_fd, layer, name))
		return failed;
	a->passes = true;
	part.path = ".";
	apply_tell_left_out(a, &part, "is not what it was when the session began, and is left out");
	return 0;
}

static int apply_walk(struct apply *a, bool acts, struct sbx_err *err)
{
	const struct cow_visitor visitor = {apply_entry, apply_enter, apply_leave, a,
					    apply_covered};
	int upper_fd, r = 0, flushed;
	struct sbx_err second;
	struct stat st;

	a->acts = acts;
	for (a->root = 0; a->root < a->session->n_roots && r == 0; a->root++) {
		a->place = "";
		r = cow_session_open_root(a->session, a->root, &upper_fd, &a->root_fd, err);
		if (r < 0) {
			r = apply_pass_part(a, r);
			continue;
		}
		a->place = cow_part_name(a->session, a->session->roots[a->root].path);
		defs_cleanup_fd(&upper_fd);
		if (fstat(a->root_fd, &st) == 0)
			cow_devices_set(&a->devices, a->root, st.st_dev);
		r = cow_walk(a->session, a->root, &visitor, err);
		/* Also what was made before something failed: it is whole. */
		flushed = apply_flush(a, r < 0 ? &second : err);
		r = r < 0 ? r : flushed;
		defs_cleanup_fd(&a->root_fd);
	}
	/* In each directory that there is one to do something in: apply_clear_all(). */
	if (acts && r == 0 && !a->passes)
		a->journal.left = false;
	return r;
}

static int apply_refuse_conflicts(const struct apply *a, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, a->session->id,
			   "%llu of the entries %s changed on the host since the session began; "
			   "nothing was applied",
			   (unsigned long long)a->applied->conflicts,
			   a->applied->conflicts == 1 ? "has" : "have");

	err_hint(err, "leave them out with --exclude, or overwrite them with --force");
	return r;
}

static int apply_refuse_mounted(const struct apply *a, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, a->session->id,
			   "%llu of the entries cannot be replaced, as %s mounted; nothing was "
			   "applied",
			   (unsigned long long)a->applied->mounted,
			   a->applied->mounted == 1 ? "it is" : "they are");

	err_hint(err, "unmount them, and mount them again afterwards, or leave them out with "
		      "--exclude");
	return r;
}

static int apply_refuse_closed(const struct apply *a, struct sbx_err *err)
{
	int r = err_refuse(err, EACCES, a->session->id,
			   "%llu of the entries cannot be changed by the caller; nothing was "
			   "applied",
			   (unsigned long long)a->applied->closed);

	err_hint(err, "see to it that they can, or leave them out with --exclude");
	return r;
}

static int apply_mark_done(const struct apply *a, struct sbx_err *err)
{
	const struct cow_apply_options *o = a->options;
	_autoclose_ int fd = -1;

	if (o->n_include || o->n_exclude)
		return 0;
	fd = dirs_open_file(a->session->dir_fd, "applied", O_WRONLY | O_CREAT);
	if (fd < 0)
		return err_system(err, -fd, a->session->dir, "cannot note that all is applied");
	return 0;
}

/* Is there anything to be done, or what an earlier try has left? */
static bool apply_has_work(const struct apply *a)
{
	bool fits = a->options->n_include == 0;

	for (size_t i = 0; i < a->options->n_include && !fits; i++)
		fits = a->options->include[i].fits;
	return fits || a->again;
}

/**
 * Apply a session, which is locked.
 *
 * Return: 0, or -errno with *err filled; then what was applied is whole, and it can be
 * called again.
 */
int cow_apply(struct cow_session *session, const struct cow_apply_options *options,
	      struct cow_applied *ret_applied, struct sbx_err *err)
{
	struct apply a = {
		.session = session, .options = options, .applied = ret_applied, .root_fd = -1};
	_autoarena_ struct arena arena;
	sigset_t before;
	int r, closed;

	arena_init(&arena);
	r = cow_mounts_read(session, &arena, &a.mounts);
	if (r < 0)
		return err_system(err, -r, "/proc/self/mountinfo", "cannot be read");
	*ret_applied = (struct cow_applied){0};
	cow_removals_init(&a.removals, session->dir_fd);
	(void)snprintf(a.temporary, sizeof(a.temporary), ".sbx-apply-%llx-%lx",
		       (unsigned long long)session->began.tv_sec, session->began.tv_nsec);
	r = cow_journal_open(&a.journal, session->dir_fd, &session->began, &a.devices,
			     !options->dry_run);
	if (r < 0)
		r = err_system(err, -r, session->dir, "cannot open the journal");
	a.again = a.journal.n > 0;
	if (r == 0)
		r = apply_walk(&a, false, err);
	ret_applied->looked = r == 0;
	ret_applied->again = a.again;
	if (r == 0 && ret_applied->mounted)
		r = apply_refuse_mounted(&a, err);
	if (r == 0 && ret_applied->closed)
		r = apply_refuse_closed(&a, err);
	if (r == 0 && ret_applied->conflicts)
		r = apply_refuse_conflicts(&a, err);
	if (r == 0 && !options->dry_run && apply_has_work(&a)) {
		*ret_applied = (struct cow_applied){.looked = true, .again = a.again};
		apply_hold_signals(&before, &a.held);
		r = apply_walk(&a, true, err);
		apply_release_signals(&a, &before);
	}
	closed = cow_journal_close(&a.journal);
	if (r == 0 && closed < 0)
		r = err_system(err, -closed, session->dir, "cannot write the journal");
	if (r == 0 && !options->dry_run)
		r = apply_mark_done(&a, err);
	cow_removals_close(&a.removals);
	cow_sync_close(&a.sync);
	apply_links_finish(&a);
	return r;
}
