/* SPDX-License-Identifier: MIT */
/*
 * session: see session.h.
 *
 * What the kernel has kept of a session, or fuse-overlayfs, is gone on with by the same: the two
 * keep their marks of what was removed in ways that the other does not know. Which it was is told
 * by what each makes in its work directory, where the command cannot get at it.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/label.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/session.h"

/* Where sessions with names are. NULL: no such place, or no memory. */
const char *session_get_base(const struct probe_host *host, struct arena *arena)
{
	const char *state = probe_env(host->environ_, "XDG_STATE_HOME");

	if (state && state[0] == '/')
		return arena_printf(arena, "%s/sbx/sessions", state);
	return host->home ? arena_printf(arena, "%s/.local/state/sbx/sessions", host->home) : NULL;
}

bool session_name_is_path(const char *name)
{
	return strchr(name, '/') != NULL;
}

/* ---- which ---- */

static int session_refuse_place(struct sbx_err *err)
{
	int r = err_refuse(err, ENOENT, NULL, "there is no place for what the command changes");

	err_set_option(err, "--cow");
	err_hint(err, "set HOME or XDG_STATE_HOME, or give a directory with --session DIR");
	return r;
}

static int session_choose_name(const struct sbx_spec *spec, struct arena *arena, const char **ret,
			       struct sbx_err *err)
{
	struct label label;

	if (!spec->session) {
		if (!label_make(NULL, &label))
			return err_system(err, errno, NULL, "cannot make an id for the session");
		*ret = arena_dup(arena, label.id);
		return *ret ? 0 : err_oom(err);
	}
	if (strlen(spec->session) > LABEL_NAME_MAX)
		return err_usage(err, "--session",
				 "%s is too long for a session's name: at most %d characters; a "
				 "directory has a slash in it",
				 spec->session, LABEL_NAME_MAX);
	if (!label_name_is_good(spec->session))
		return err_usage(err, "--session",
				 "%s can be no session's name: letters, digits, and . _ - behind "
				 "the first; a directory has a slash in it",
				 spec->session);
	*ret = spec->session;
	return 0;
}

/* Names that the system does not take are told here, or each that is made in it would fail. */
static int session_check_length(const char *dir, struct sbx_err *err)
{
	static const char below[] = "/63/work/" SESSION_FUSE_MARK;
	bool too_long = strlen(dir) + sizeof(below) > PATH_MAX;
	int r;

	for (const char *name = dir; *name && !too_long; name += strcspn(name, "/")) {
		name += strspn(name, "/");
		too_long = strcspn(name, "/") > NAME_MAX;
	}
	if (!too_long)
		return 0;
	r = err_refuse(err, ENAMETOOLONG, dir, "is too long for a directory, or a name in it is");
	err_set_option(err, "--session");
	err_hint(err, "a name has at most %d bytes, and a path about %d", NAME_MAX, PATH_MAX);
	return r;
}

static int session_choose(const struct sbx_spec *spec, const struct probe_host *host,
			  struct sbx_plan *plan, struct plan_session *session, struct sbx_err *err)
{
	const char *base;
	int r;

	if (spec->session && session_name_is_path(spec->session)) {
		session->dir = path_normalise(&plan->arena, host->cwd, spec->session);
		session->id = session->dir;
		return session->dir ? session_check_length(session->dir, err) : err_oom(err);
	}
	base = session_get_base(host, &plan->arena);
	if (!base)
		return session_refuse_place(err);
	r = session_choose_name(spec, &plan->arena, &session->id, err);
	if (r < 0)
		return r;
	session->base = base;
	session->dir = arena_printf(&plan->arena, "%s/%s", base, session->id);
	return session->dir ? session_check_length(session->dir, err) : err_oom(err);
}

static int session_begin(const struct sbx_spec *spec, const struct probe_host *host,
			 struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_session *session = arena_alloc(&plan->arena, sizeof(*session));
	int r;

	if (!session)
		return err_oom(err);
	*session = (struct plan_session){0};
	session->roots = arena_alloc(&plan->arena, SESSION_ROOTS_MAX * sizeof(*session->roots));
	if (!session->roots)
		return err_oom(err);
	r = session_choose(spec, host, plan, session, err);
	if (r < 0)
		return r;
	plan->session = session;
	return 0;
}

/* ---- roots ---- */

static int session_refuse_root(const char *option, const char *hint, struct sbx_err *err)
{
	err_set_option(err, option);
	err_hint(err, "%s", hint);
	return -EINVAL;
}

/**
 * Whether a view may stand beside those that the session has. The session is chosen with the first.
 *
 * Return: 0, or -errno with *err filled.
 */
int session_check_view(const struct sbx_spec *spec, const struct probe_host *host,
		       struct sbx_plan *plan, const struct session_view *view, struct sbx_err *err)
{
	int r = plan->session ? 0 : session_begin(spec, host, plan, err);

	for (size_t i = 0; r == 0 && i < plan->session->n_roots; i++) {
		const char *other = plan->session->roots[i];

		if (!path_is_below(view->root, other) && !path_is_below(other, view->root))
			continue;
		(void)err_refuse(err, EINVAL, view->root,
				 "is in one tree with %s, which has a view too", other);
		return session_refuse_root("--cow", "one --cow of the upper directory has both",
					   err);
	}
	return r;
}

/*
 * Is there such a mark? One that cannot be looked for is not taken for missing, or the session
 * would be gone on with by the other driver.
 *
 * Return: 1, 0, or -errno with *err filled.
 */
static int session_has_mark(const char *work, const char *mark, struct sbx_err *err)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", work, mark);
	if (lstat(path, &st) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
		return 0; /* where it may not be entered, that is told when it is opened */
	return err_system(err, errno, path, "cannot tell what has written the session");
}

/* Who has kept what is in a root's directory; AUTO: nobody yet. Return: 0 or -errno. */
static int session_find_driver(const char *work, int64_t *ret_driver, struct sbx_err *err)
{
	int fuse = session_has_mark(work, SESSION_FUSE_MARK, err), kernel = 0;

	if (fuse == 0)
		kernel = session_has_mark(work, SESSION_KERNEL_MARK, err);
	if (fuse < 0 || kernel < 0)
		return fuse < 0 ? fuse : kernel;
	*ret_driver = fuse     ? SPEC_OVERLAY_DRIVER_FUSE
		      : kernel ? SPEC_OVERLAY_DRIVER_KERNEL
			       : SPEC_OVERLAY_DRIVER_AUTO;
	return 0;
}

/* What the kernel has kept it goes on with, whoever shows it what is read. */
static int session_check_driver(const struct sbx_spec *spec, const struct plan_session *session,
				struct layers_wanted *wanted, struct sbx_err *err)
{
	int r = session_find_driver(wanted->work, &wanted->began, err);

	if (r < 0)
		return r;
	if (wanted->began != SPEC_OVERLAY_DRIVER_FUSE ||
	    spec->overlay_driver != SPEC_OVERLAY_DRIVER_KERNEL)
		return 0;
	(void)err_refuse(err, EINVAL, session->id,
			 "was begun by fuse-overlayfs alone, whose marks the kernel does not know");
	err_set_option(err, "--overlay-driver");
	err_hint(err, "go on with --overlay-driver=fuse, or begin another session");
	return -EINVAL;
}

/* ---- mounts below ---- */

/* Nothing on such a filesystem is a file that could be kept: the kernel makes it up. */
static bool session_is_made_up(const char *type)
{
	static const char *const types[] = {
		"proc",	      "sysfs",	  "devtmpfs",	"devpts",      "autofs",   "mqueue",
		"cgroup",     "cgroup2",  "securityfs", "debugfs",     "tracefs",  "bpf",
		"pstore",     "configfs", "fusectl",	"binfmt_misc", "efivarfs", "hugetlbfs",
		"rpc_pipefs", "nsfs",	  "selinuxfs",	"nfsd",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_equal(type, types[i]))
			return true;
	return false;
}

/* Or it is served by a process of its own. */
static bool session_passes_over(const struct mountinfo_entry *entry)
{
	return session_is_made_up(entry->type) || str_equal(entry->type, "fuse") ||
	       str_equal(entry->type, "fuseblk") || str_starts_with(entry->type, "fuse.") ||
	       path_is_below(entry->point, "/proc") || path_is_below(entry->point, "/sys") ||
	       path_is_below(entry->point, "/dev");
}

/* A directory that is root's alone, as systemd mounts credentials, cannot be a layer. */
static bool session_can_enter(const char *path, bool is_dir)
{
	return access(path, is_dir ? R_OK | X_OK : F_OK) == 0;
}

/* Why a mount is not shown; NULL: it is. */
static const char *session_why_passed(const struct mountinfo_entry *entry, bool is_dir)
{
	if (session_passes_over(entry) || !session_can_enter(entry->point, is_dir))
		return "it has no files to keep changes of, or cannot be entered";
	/* The kernel mounts nothing a second time that has no name any more. */
	if (mountinfo_is_deleted(entry))
		return "what is mounted there was deleted or replaced; unmount it, and mount what "
		       "it is now";
	return NULL;
}

static int session_compare_mounts(const void *a, const void *b)
{
	const struct session_mount *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Is the mount what a look-up of its place finds? Else another one lies over it, or above. */
static bool session_sees_mount(const struct mountinfo_entry *entry, bool *ret_is_dir)
{
	struct sys_mount what;

	if (sys_statx_mount(AT_FDCWD, entry->point, &what) < 0) {
		/* What the caller cannot get at may hide something all the same. */
		*ret_is_dir = true;
		return errno == EACCES;
	}
	*ret_is_dir = what.is_dir;
	return what.mount_id == entry->id;
}

/* Without those below one that is passed over, which goes with it. */
static void session_drop_hidden(struct session_view *view)
{
	size_t n = 0;
	const char *passed = NULL;

	for (size_t i = 0; i < view->n_mounts; i++) {
		if (passed && path_is_below(view->mounts[i].path, passed))
			continue;
		if (view->mounts[i].kind == SESSION_MOUNT_PASSED)
			passed = view->mounts[i].path;
		view->mounts[n++] = view->mounts[i];
	}
	view->n_mounts = n;
}

static int session_find_mounts(const struct probe_host *host, struct arena *arena,
			       struct session_view *view, struct sbx_err *err)
{
	const char *table = probe_text(host, "/proc/self/mountinfo");
	char *text = table ? arena_dup(arena, table) : NULL;
	struct mountinfo_entry entry;

	while (text && mountinfo_next_entry(&text, &entry)) {
		struct session_mount mount = {.path = entry.point};

		if (!path_is_below(entry.point, view->root) || str_equal(entry.point, view->root) ||
		    !session_sees_mount(&entry, &mount.is_dir))
			continue;
		mount.passed = session_why_passed(&entry, mount.is_dir);
		mount.kind = mount.passed   ? SESSION_MOUNT_PASSED
			     : mount.is_dir ? SESSION_MOUNT_ROOT
					    : SESSION_MOUNT_FILE;
		view->mounts =
			arena_grow(arena, view->mounts, view->n_mounts, sizeof(*view->mounts));
		if (!view->mounts)
			return err_oom(err);
		view->mounts[view->n_mounts++] = mount;
	}
	if (view->n_mounts)
		qsort(view->mounts, view->n_mounts, sizeof(*view->mounts), session_compare_mounts);
	session_drop_hidden(view);
	return 0;
}

/* What a directory is on; NULL: that is not known. */
static const char *session_find_type(const struct probe_host *host, struct arena *arena,
				     const char *path)
{
	const char *table = probe_text(host, "/proc/self/mountinfo");
	char *text = table ? arena_dup(arena, table) : NULL;
	struct mountinfo_entry entry;
	struct sys_mount what;

	if (!text || sys_statx_mount(AT_FDCWD, path, &what) < 0)
		return NULL;
	while (mountinfo_next_entry(&text, &entry))
		if (entry.id == what.mount_id)
			return entry.type;
	return NULL;
}

/*
 * /proc, /sys and /dev, what lies below the first two, and whatever else the kernel makes up. What
 * of /dev is a filesystem with files is one of its own.
 */
static int session_check_kind(const struct probe_host *host, struct arena *arena, const char *root,
			      struct sbx_err *err)
{
	const char *type = session_find_type(host, arena, root);

	if (!path_is_below(root, "/proc") && !path_is_below(root, "/sys") &&
	    !str_equal(root, "/dev") && !(type && session_is_made_up(type)))
		return 0;
	(void)err_refuse(err, EINVAL, root,
			 "has no files to keep changes of: what is there the kernel makes up");
	return session_refuse_root("--cow",
				   "the sandbox has a /proc and a /dev of its own; a directory of "
				   "/dev that has files,\n/dev/shm, can be given by itself",
				   err);
}

/*
 * Can it be a layer? What is closed to the caller is not to those who make the layers, where its
 * owner has an id inside (or is the caller).
 */
static int session_check_root(const struct sbx_plan *plan, const char *root, struct sbx_err *err)
{
	struct stat st;
	int r = 0;

	if (stat(root, &st) < 0)
		r = err_system(err, errno, root, "cannot be looked at");
	else if (!S_ISDIR(st.st_mode))
		r = err_refuse(err, ENOTDIR, root, "is not a directory");
	else if (access(root, R_OK | X_OK) < 0 && st.st_uid != geteuid() && !layers_maps(plan, &st))
		r = err_system(err, EACCES, root, "cannot be read");
	if (r < 0)
		err_set_option(err, "--cow");
	return r;
}

/**
 * Look at a directory that is to be shown, and at the mounts below it.
 * @source: as typed
 *
 * Return: 0, or -errno with *err filled.
 */
int session_find_view(const struct probe_host *host, struct sbx_plan *plan, const char *source,
		      struct session_view *ret_view, struct sbx_err *err)
{
	const char *typed = path_normalise(&plan->arena, host->cwd, source);
	struct session_view view = {0};
	char real[PATH_MAX];
	int r;

	if (!typed)
		return err_oom(err);
	if (!realpath(typed, real)) {
		r = err_system(err, errno, typed, "cannot be found");
		err_set_option(err, "--cow");
		return r;
	}
	view.root = arena_dup(&plan->arena, real);
	if (!view.root)
		return err_oom(err);
	r = session_check_root(plan, view.root, err);
	if (r == 0)
		r = session_check_kind(host, &plan->arena, view.root, err);
	if (r == 0)
		r = session_find_mounts(host, &plan->arena, &view, err);
	if (r == 0)
		*ret_view = view;
	return r;
}

/* ---- roots ---- */

/* What of a path lies below a directory; NULL: it does not. */
static const char *session_rest(const char *path, const char *dir)
{
	if (!path_is_below(path, dir) || str_equal(path, dir))
		return NULL;
	return path_rest(path, dir) + 1;
}

static int session_find_covers(struct sbx_plan *plan, const struct session_view *view,
			       const char *root, struct layers_wanted *wanted, struct sbx_err *err)
{
	const char *hidden[SESSION_COVERS_MAX];
	size_t n = 0, n_hidden = 0;
	const char **covers;
	int r = session_hide_from_view(wanted->host, plan, root, hidden, &n_hidden, err);

	if (r < 0)
		return r;
	covers = arena_alloc(&plan->arena, (view->n_mounts + ARRAY_SIZE(hidden)) * sizeof(*covers));
	if (!covers)
		return err_oom(err);
	for (size_t i = 0; i < view->n_mounts; i++) {
		const char *rest = session_rest(view->mounts[i].path, root);

		if (rest)
			covers[n++] = rest;
	}
	for (size_t i = 0; i < n_hidden; i++)
		covers[n++] = hidden[i];
	wanted->holds_session = n_hidden > 0;
	wanted->covers = covers;
	wanted->n_covers = n;
	return 0;
}

/**
 * Another root for the plan's session.
 * @view:   what it belongs to
 * @root:   the view's, or that of a mount below it
 * @wanted: its layers and driver are filled in
 *
 * Return: 0, or -errno with *err filled.
 */
int session_add_root(const struct sbx_spec *spec, struct sbx_plan *plan,
		     const struct session_view *view, const char *root,
		     struct layers_wanted *wanted, struct sbx_err *err)
{
	struct plan_session *session = (struct plan_session *)(uintptr_t)plan->session;
	int r;

	if (session->n_roots >= SESSION_ROOTS_MAX)
		return err_usage(err, "--cow", "at most %d directories and mounts below them",
				 SESSION_ROOTS_MAX);
	if (str_equal(session->dir, root)) {
		(void)err_refuse(err, EINVAL, root, "is the session itself");
		return session_refuse_root("--session", "put the session elsewhere: --session DIR",
					   err);
	}
	wanted->lower = root;
	wanted->upper = arena_printf(&plan->arena, "%s/%zu/upper", session->dir, session->n_roots);
	wanted->work = arena_printf(&plan->arena, "%s/%zu/work", session->dir, session->n_roots);
	wanted->held = arena_printf(&plan->arena, "%s/%zu/held", session->dir, session->n_roots);
	if (!wanted->upper || !wanted->work || !wanted->held)
		return err_oom(err);
	r = session_find_covers(plan, view, root, wanted, err);
	if (r < 0)
		return r;
	session->roots[session->n_roots++] = root;
	return session_check_driver(spec, session, wanted, err);
}
