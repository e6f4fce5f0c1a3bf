/* SPDX-License-Identifier: MIT */
/*
 * resolve_files: what the command sees: the operations in their order, the base that sbx adds to
 * them, sockets that are covered, layers, sessions; see resolve_parts.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/base.h"
#include "sbx/spec/dbus.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/protect.h"
#include "sbx/spec/resolve_parts.h"
#include "sbx/spec/session.h"
#include "sbx/spec/sockets.h"
#include "sbx/spec/sockets_walk.h"
#include "sbx/spec/wide.h"

/* ---- filesystem ---- */

/* Kinds of operations that change what is there instead of making something. */
static bool resolve_op_makes(const struct spec_op *op)
{
	return op->kind != SPEC_OP_CHMOD && op->kind != SPEC_OP_REMOUNT &&
	       op->kind != SPEC_OP_MASK && op->kind != SPEC_OP_PROTECT &&
	       op->kind != SPEC_OP_LOCK && op->kind != SPEC_OP_OVERLAY_SRC;
}

/* Is the path taken from the caller's working directory where it is relative? */
static bool resolve_op_from_cwd(const struct spec_op *op)
{
	return (op->flags & SPEC_OP_SAME) || op->kind == SPEC_OP_PROTECT;
}

/* Does the operation put something in the place of all that was at its destination? */
static bool resolve_op_covers(const struct spec_op *op)
{
	return resolve_op_makes(op) && op->kind != SPEC_OP_DIR && op->kind != SPEC_OP_FILE &&
	       op->kind != SPEC_OP_SYMLINK;
}

/* What is protected stays so: a later operation on a directory above would hide it. */
static int resolve_check_protect(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	if (path_is_root(r->dests[index]))
		return err_usage(r->err, op->option, "cannot protect the root; see --remount-ro");
	for (size_t i = index + 1; i < r->spec->n_ops; i++) {
		const struct spec_op *later = &r->spec->ops[i];

		if (r->dests[i] && resolve_op_covers(later) &&
		    path_is_below(r->dests[index], r->dests[i]) &&
		    !str_equal(r->dests[index], r->dests[i]))
			return err_usage(r->err, op->option,
					 "%s would be covered by %s %s, which comes later; "
					 "put --protect behind it",
					 op->dest, later->option, r->dests[i]);
	}
	return 0;
}

static int resolve_refuse_root(struct resolve *r, const struct spec_op *op)
{
	int e = err_usage(r->err, op->option, "cannot be the root of the sandbox");

	if (!r->defaults->explains)
		str_copy(r->err->path, sizeof(r->err->path), op->dest);
	return e;
}

/* Every destination, normalised; which of them replace parts of the base; which is the root. */
int resolve_dests(struct resolve *r)
{
	size_t n = r->spec->n_ops;

	r->dests = arena_alloc(r->arena, (n + 1) * sizeof(*r->dests));
	r->taken = arena_alloc(r->arena, (n + 1) * sizeof(*r->taken));
	if (!r->dests || !r->taken)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		const struct spec_op *op = &r->spec->ops[i];
		bool same = resolve_op_from_cwd(op);
		const char *dest = op->flags & SPEC_OP_SAME ? op->source : op->dest;

		if (op->kind == SPEC_OP_OVERLAY_SRC)
			continue;
		if (!dest) {
			r->preset = op;
			continue;
		}
		if (same && dest[0] != '/' && !r->host->cwd) {
			(void)err_refuse(r->err, ENOENT, dest,
					 "the current directory is gone, so a relative path means "
					 "nothing");
			err_set_option(r->err, op->option);
			return -ENOENT;
		}
		r->dests[i] = path_normalise(r->arena, same ? r->host->cwd : NULL, dest);
		if (!r->dests[i])
			return err_oom(r->err);
		if (op->kind == SPEC_OP_MASK && path_is_root(r->dests[i]))
			return err_usage(r->err, op->option, "cannot hide the root of the sandbox");
		if (resolve_op_makes(op) && path_is_root(r->dests[i]) && op->kind != SPEC_OP_DIR) {
			if (op->kind != SPEC_OP_BIND && op->kind != SPEC_OP_TMPFS &&
			    op->kind != SPEC_OP_COW && !layers_is_overlay(op))
				return resolve_refuse_root(r, op);
			if (r->defaults->runs_covered && i > 0)
				continue;
			r->first_op = i;
			r->op_is_root = true;
			r->n_taken = 0;
		} else if (resolve_op_makes(op) && !path_is_root(r->dests[i])) {
			r->taken[r->n_taken++] = r->dests[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		int e = r->spec->ops[i].kind == SPEC_OP_PROTECT && r->dests[i]
				? resolve_check_protect(r, i)
				: 0;

		if (e < 0)
			return e;
	}
	return 0;
}

static uint64_t resolve_attrs(const struct spec_op *op, uint64_t always)
{
	static const struct {
		uint32_t opt;
		uint64_t attr;
	} map[] = {
		{SPEC_MOUNT_RO, MOUNT_ATTR_RDONLY},
		{SPEC_MOUNT_NOEXEC, MOUNT_ATTR_NOEXEC},
		{SPEC_MOUNT_NOATIME, MOUNT_ATTR_NOATIME},
		{SPEC_MOUNT_NODIRATIME, MOUNT_ATTR_NODIRATIME},
		{SPEC_MOUNT_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
	};
	uint64_t attrs = always | (op->flags & SPEC_OP_RO ? MOUNT_ATTR_RDONLY : 0);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (op->mount_opts & map[i].opt)
			attrs |= map[i].attr;
	return attrs;
}

/*
 * What an operation becomes: the kind of its step, the attributes its mount
 * always has, its default mode, and the namespace without which the host's is
 * bound instead (SPEC_NS_COUNT_: none).
 */
static const struct {
	enum plan_step_kind kind;
	uint64_t attrs;
	int64_t mode;
	enum spec_ns ns;
} resolve_ops[SPEC_OP_COUNT_] = {
	[SPEC_OP_BIND] = {PLAN_STEP_BIND, MOUNT_ATTR_NOSUID, -1, SPEC_NS_COUNT_},
	[SPEC_OP_TMPFS] = {PLAN_STEP_TMPFS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0755,
			   SPEC_NS_COUNT_},
	[SPEC_OP_PROC] = {PLAN_STEP_PROC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			  -1, SPEC_NS_PID},
	[SPEC_OP_DEV] = {PLAN_STEP_DEV, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_SYS] = {PLAN_STEP_SYS,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
				 MOUNT_ATTR_RDONLY,
			 -1, SPEC_NS_NET},
	[SPEC_OP_CGROUP] = {PLAN_STEP_CGROUP,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
				    MOUNT_ATTR_RDONLY,
			    -1, SPEC_NS_COUNT_},
	[SPEC_OP_MQUEUE] = {PLAN_STEP_MQUEUE,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, -1,
			    SPEC_NS_COUNT_},
	[SPEC_OP_DIR] = {PLAN_STEP_DIR, 0, 0755, SPEC_NS_COUNT_},
	[SPEC_OP_FILE] = {PLAN_STEP_FILE, 0, 0666, SPEC_NS_COUNT_},
	[SPEC_OP_BIND_DATA] = {PLAN_STEP_BIND_DATA, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0600,
			       SPEC_NS_COUNT_},
	[SPEC_OP_SYMLINK] = {PLAN_STEP_SYMLINK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_CHMOD] = {PLAN_STEP_CHMOD, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_REMOUNT] = {PLAN_STEP_REMOUNT, MOUNT_ATTR_RDONLY, -1, SPEC_NS_COUNT_},
	[SPEC_OP_MASK] = {PLAN_STEP_MASK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_PROTECT] = {PLAN_STEP_PROTECT, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_LOCK] = {PLAN_STEP_LOCK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
			     SPEC_NS_COUNT_},
	[SPEC_OP_TMP_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
				 SPEC_NS_COUNT_},
	[SPEC_OP_RO_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
				SPEC_NS_COUNT_},
	[SPEC_OP_COW] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
			 SPEC_NS_COUNT_},
};

int resolve_check_fd(struct resolve *r, int64_t fd, const char *option)
{
	if (fcntl((int)fd, F_GETFD) >= 0)
		return 0;
	(void)err_refuse(r->err, EBADF, NULL, "descriptor %lld is not open", (long long)fd);
	err_set_option(r->err, option);
	err_hint(r->err, "open it in the calling shell, for example: sbx ... %lld< FILE",
		 (long long)fd);
	return -EBADF;
}

static bool resolve_op_reads(const struct spec_op *op)
{
	return op->kind == SPEC_OP_FILE || op->kind == SPEC_OP_BIND_DATA;
}

/* What an operation reads it reads to the end: a second one would find nothing. */
static int resolve_check_read(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	for (size_t i = r->first_op; i < index && resolve_op_reads(op); i++) {
		const struct spec_op *before = &r->spec->ops[i];

		if (!resolve_op_reads(before) || before->fd != op->fd)
			continue;
		(void)err_refuse(r->err, EBADF, NULL, "descriptor %lld has been read by then",
				 (long long)op->fd);
		err_set_option(r->err, op->option);
		err_hint(r->err,
			 "it is %s's; give each a descriptor of its own, or bind the file that the "
			 "first makes",
			 before->option);
		return -EBADF;
	}
	return 0;
}

/* A path as typed, so that ".." behind a link means what it says; made absolute if need be. */
static int resolve_protect(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	struct plan_step *step;
	size_t len;

	if (!op->dest)
		return 0;
	step = resolve_add(r, PLAN_STEP_PROTECT, op->option);
	if (!step)
		return err_oom(r->err);
	step->origin = op->origin;
	len = strlen(op->dest);
	step->dest = op->dest[0] == '/' ? op->dest
					: arena_printf(r->arena, "%s/%s", r->host->cwd, op->dest);
	step->flags = op->dest[len - 1] == '/' ? PLAN_STEP_DIRECTORY : 0;
	return step->dest ? layers_hold(r->plan, step->dest, step->flags, r->err) : err_oom(r->err);
}

/* --protect=dev, for a directory of the host that a step shows at `dest`. */
static int resolve_add_preset(struct resolve *r, const char *source, const char *dest)
{
	size_t n = r->plan->n_steps;
	int e = protect_add_preset(r->host, source, dest, r->plan, r->err);

	for (; n < r->plan->n_steps; n++) {
		struct plan_step *step = &r->plan->steps[n];

		step->origin = r->preset->origin;
		if (e == 0)
			e = layers_hold(r->plan, step->dest, step->flags, r->err);
	}
	return e;
}

/* For a bind that can be written, or a view of --cow. */
static int resolve_preset(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	const char *source = op->source;

	if (!r->preset || (op->kind != SPEC_OP_BIND && op->kind != SPEC_OP_COW) ||
	    (op->flags & SPEC_OP_RO) || (op->mount_opts & SPEC_MOUNT_RO))
		return 0;
	if (!source)
		source = arena_printf(r->arena, "/proc/self/fd/%lld", (long long)op->fd);
	return source ? resolve_add_preset(r, source, r->dests[index]) : err_oom(r->err);
}

/*
 * For an overlay whose upper layer is the host's. What only a lower one has comes into that as
 * soon as it is changed.
 */
static int resolve_preset_layers(struct resolve *r, size_t index, const struct plan_layers *layers)
{
	int e;

	if (!r->preset || layers->top != PLAN_LAYERS_HOST)
		return 0;
	e = resolve_add_preset(r, layers->upper, r->dests[index]);
	for (size_t i = layers->n_lower; i > 0 && e == 0; i--)
		e = resolve_add_preset(r, layers->lower[i - 1], r->dests[index]);
	return e;
}

/*
 * What may be missing below the home is hidden where it really lies, too: a link on the way may not
 * be shown inside, when what it leads to is.
 */
static int resolve_mask_really(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	const char *dest = r->dests[index];
	char real[PATH_MAX];
	struct plan_step *step;

	if (!(op->flags & SPEC_OP_TRY) || !r->host->home || !path_is_below(dest, r->host->home) ||
	    access(dest, F_OK) < 0 || !realpath(dest, real) || str_equal(dest, real) ||
	    path_is_root(real))
		return 0;
	step = resolve_add(r, PLAN_STEP_MASK, op->option);
	if (!step)
		return err_oom(r->err);
	step->origin = op->origin;
	step->flags = PLAN_STEP_TRY;
	step->dest = arena_dup(r->arena, real);
	return step->dest ? 0 : err_oom(r->err);
}

/* Where PID 1 cannot get at a socket, nor can a command that has no other id than it. */
static int resolve_mask_socket(struct resolve *r, const char *place)
{
	struct plan_step *step = resolve_add(r, PLAN_STEP_MASK, "--mask-sockets");

	if (!step || !place)
		return err_oom(r->err);
	step->dest = place;
	step->origin = r->spec->causes[SPEC_FIELD_MASK_SOCKETS].origin;
	step->flags = PLAN_STEP_TRY | (resolve_changes_ids(r) ? 0 : PLAN_STEP_IF_IN_REACH);
	return 0;
}

static int resolve_mask_listed(struct resolve *r, const char *source, const char *dest)
{
	for (size_t i = 0; i < r->sockets.n_paths; i++) {
		const char *place = sockets_place(r->sockets.paths[i], source, dest, r->arena);
		int e = place ? resolve_mask_socket(r, place) : 0;

		if (e < 0)
			return e;
	}
	return 0;
}

static bool resolve_has_dots(const char *path)
{
	size_t len = strlen(path);

	return strstr(path, "/../") || str_starts_with(path, "../") ||
	       (len >= 3 && str_equal(path + len - 3, "/..")) || str_equal(path, "..");
}

/*
 * The places that operations behind `index` cover in any case. Dots behind a link lead
 * elsewhere than they seem to, so places with them are not compared.
 */
static size_t resolve_hidden(struct resolve *r, size_t index, const char **hidden)
{
	size_t n = 0;

	if (resolve_has_dots(r->spec->ops[index].dest ? r->spec->ops[index].dest : ""))
		return 0;
	for (size_t i = index + 1; i < r->spec->n_ops; i++) {
		const struct spec_op *op = &r->spec->ops[i];
		bool sure = resolve_op_covers(op) && !(op->flags & SPEC_OP_TRY);

		if (r->dests[i] && (sure || op->kind == SPEC_OP_MASK) &&
		    ((op->flags & SPEC_OP_SAME) || !resolve_has_dots(op->dest)))
			hidden[n++] = r->dests[i];
	}
	return n;
}

static int resolve_refuse_doubt(struct resolve *r, const struct sockets_walk *walk)
{
	const char *where = sockets_below(r->arena, walk->source, walk->doubtful);
	const char *place = sockets_below(r->arena, walk->dest, walk->doubtful);
	const char *text = sockets_doubt_text(walk);

	if (!where || !place || !text)
		return err_oom(r->err);
	(void)err_refuse(r->err, EACCES, where, "%s", text);
	err_set_option(r->err, "--mask-sockets");
	err_hint(
		r->err,
		"bind less, or put --mask %s%s behind the bind for what is not needed;\n"
		"--mask-sockets=listed looks at no directory, and hides only what the kernel lists",
		*walk->doubtful ? place : "DIRECTORY", walk->n_doubtful > 1 ? " (and others)" : "");
	return -EACCES;
}

static int resolve_mask_all(struct resolve *r, size_t index, const char *source, const char *dest)
{
	const char **hidden = arena_alloc(r->arena, r->spec->n_ops * sizeof(*hidden));
	struct sockets_walk walk = {
		.arena = r->arena,
		.plan = r->plan,
		.any_ids = r->spec->userns_fd >= 0 || r->spec->userns2_fd >= 0 ||
			   r->spec->userns_block_fd >= 0,
		.source = source,
		.dest = dest,
		.hidden = hidden,
		.budget = &r->budget,
	};
	int e;

	if (!hidden)
		return err_oom(r->err);
	walk.n_hidden = resolve_hidden(r, index, hidden);
	e = sockets_walk(&walk);
	if (e < 0)
		return err_system(r->err, -e, source, "cannot look for sockets");
	if (walk.doubt != SOCKETS_SURE)
		return resolve_refuse_doubt(r, &walk);
	for (size_t i = 0; i < walk.n_found && e == 0; i++)
		e = resolve_mask_socket(r, sockets_below(r->arena, dest, walk.found[i]));
	return e;
}

/* A mask on each socket of the host that a bind would show. */
static int resolve_mask_sockets(struct resolve *r, size_t index, const struct plan_step *bind)
{
	const char *source, *dest = bind->dest; /* `bind` moves when steps are added */

	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_OFF)
		return 0;
	source = sockets_source(bind, r->arena);
	if (!source)
		return 0; /* it is not there, or its step will say what is wrong with it */
	return r->spec->mask_sockets == SPEC_MASK_SOCKETS_LISTED
		       ? resolve_mask_listed(r, source, dest)
		       : resolve_mask_all(r, index, source, dest);
}

/*
 * What is dangerous in a /proc is covered, unless further user namespaces are to mount one
 * of their own: the kernel refuses that where it would show what is covered in this one.
 */
static int resolve_proc_cover(struct resolve *r, const struct spec_op *op)
{
	struct plan_step *step;

	if (r->spec->allow_userns && !r->defaults->covers_writable_proc)
		return 0;
	step = resolve_add(r, PLAN_STEP_PROC_COVER, op->option);
	if (!step)
		return err_oom(r->err);
	step->dest = op->dest;
	step->origin = op->origin;
	step->flags = r->spec->allow_userns ? PLAN_STEP_IF_WRITABLE : 0;
	return 0;
}

/* Parents that have to be made are not more open to group and others than what is in them. */
static mode_t resolve_parent_mode(int64_t mode)
{
	mode_t parent = 0755;

	if ((mode & 0070) == 0)
		parent &= (mode_t)~0050;
	if ((mode & 0007) == 0)
		parent &= (mode_t)~0005;
	return parent;
}

/* What sbx adds to a mount and bubblewrap does not. */
static uint64_t resolve_hardening(const struct plan_step *step)
{
	if (step->kind == PLAN_STEP_MQUEUE)
		return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	if (step->kind == PLAN_STEP_DEV ||
	    (step->kind == PLAN_STEP_PROC && (step->flags & PLAN_STEP_HOST)))
		return MOUNT_ATTR_NOEXEC;
	return 0;
}

/* The upper layer is the step's source only there. */
static int resolve_layers(struct resolve *r, size_t index, struct plan_step *step)
{
	const struct layers_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.defaults = r->defaults,
		.op = index,
		.driver = r->spec->overlay_driver,
	};
	int e;

	step->source = NULL;
	e = layers_choose(&wanted, r->plan, step, r->err);
	return e < 0 ? e : resolve_preset_layers(r, index, step->layers);
}

/* One more root of the session: the view's own, or that of a mount below it. */
static int resolve_cow_root(struct resolve *r, size_t index, const struct session_view *view,
			    const char *root, struct plan_step *step)
{
	struct layers_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.defaults = r->defaults,
		.op = index,
		.driver = r->spec->overlay_driver,
	};
	int e = session_add_root(r->spec, r->plan, view, root, &wanted, r->err);

	return e < 0 ? e : layers_choose(&wanted, r->plan, step, r->err);
}

/* Where the base has its own in their place. */
static bool resolve_base_has(const struct resolve *r, const char *dest)
{
	return r->op_is_root && !r->spec->no_base &&
	       (str_equal(dest, "/proc") || str_equal(dest, "/dev"));
}

/* A mount below a view. @cow: the view's own step, copied, as steps move. */
static int resolve_cow_mount(struct resolve *r, size_t index, const struct session_view *view,
			     const struct session_mount *mount, const struct plan_step *cow)
{
	static const enum plan_step_kind kinds[] = {
		[SESSION_MOUNT_ROOT] = PLAN_STEP_LAYERS,
		[SESSION_MOUNT_FILE] = PLAN_STEP_BIND,
		[SESSION_MOUNT_PASSED] = PLAN_STEP_MASK,
	};
	const char *rest = mount->path + (path_is_root(view->root) ? 0 : strlen(view->root));
	const char *dest =
		arena_printf(r->arena, "%s%s", path_is_root(cow->dest) ? "" : cow->dest, rest);
	struct plan_step *step;

	if (!dest)
		return err_oom(r->err);
	if (mount->kind == SESSION_MOUNT_PASSED && resolve_base_has(r, dest))
		return 0;
	if (mount->kind == SESSION_MOUNT_PASSED &&
	    plan_add_remark(r->plan, PLAN_REMARK_PASSED, "%s, a mount below %s, is not shown: %s",
			    mount->path, view->root, mount->passed) < 0)
		return err_oom(r->err);
	step = resolve_add(r, kinds[mount->kind], cow->cause);
	if (!step)
		return err_oom(r->err);
	step->origin = cow->origin;
	step->dest = dest;
	step->attrs = cow->attrs;
	if (mount->kind == SESSION_MOUNT_ROOT)
		return resolve_cow_root(r, index, view, mount->path, step);
	step->flags = mount->kind == SESSION_MOUNT_PASSED
			      ? PLAN_STEP_TRY | PLAN_STEP_IF_IN_REACH | PLAN_STEP_EMPTY
			      : 0;
	step->source = mount->kind == SESSION_MOUNT_FILE ? mount->path : NULL;
	step->attrs |= mount->kind == SESSION_MOUNT_FILE ? MOUNT_ATTR_RDONLY : 0;
	return 0;
}

/* A view: an overlay of the directory, and of each mount of the host below it. */
static int resolve_cow(struct resolve *r, size_t index, struct plan_step *step)
{
	struct session_view view = {0};
	struct plan_step cow;
	int e = session_find_view(r->host, r->plan, step->source, &view, r->err);

	step->source = NULL;
	if (e == 0)
		e = session_check_view(r->spec, r->host, r->plan, &view, r->err);
	if (e == 0)
		e = resolve_cow_root(r, index, &view, view.root, step);
	cow = *step;
	for (size_t i = 0; i < view.n_mounts && e == 0; i++)
		e = resolve_cow_mount(r, index, &view, &view.mounts[i], &cow);
	return e;
}

/*
 * Is it a view that is there already, as where a profile has it too? Not where it would be placed
 * over something else by now, or be another kind of mount.
 */
static bool resolve_repeats_cow(const struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	for (size_t i = index; op->kind == SPEC_OP_COW && i-- > r->first_op;) {
		const struct spec_op *before = &r->spec->ops[i];

		if (before->kind == SPEC_OP_COW && r->dests[i] &&
		    str_equal(r->dests[i], r->dests[index]))
			return before->flags == op->flags && before->mount_opts == op->mount_opts;
		if (r->dests[i] && resolve_op_makes(before) &&
		    path_is_below(r->dests[i], r->dests[index]))
			return false;
	}
	return false;
}

static int resolve_op(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	struct plan_step *step;
	enum spec_ns ns = resolve_ops[op->kind].ns;
	uint64_t attrs = resolve_ops[op->kind].attrs;

	if (op->kind == SPEC_OP_PROTECT)
		return resolve_protect(r, index);
	if (resolve_repeats_cow(r, index))
		return 0;
	if (op->kind == SPEC_OP_LOCK || op->kind == SPEC_OP_OVERLAY_SRC)
		return 0; /* see resolve_locks(), resolve_layers() */
	step = resolve_add(r, resolve_ops[op->kind].kind, op->option);
	if (!step)
		return err_oom(r->err);
	step->origin = op->origin;
	if (op->kind == SPEC_OP_BIND && !(op->flags & SPEC_OP_DEVICES))
		attrs |= MOUNT_ATTR_NODEV;
	step->attrs = resolve_attrs(op, attrs);
	step->source = op->source;
	/* Of /a/.. it is the root that is meant, but for --dir, which makes what is on the way. */
	step->dest = op->flags & SPEC_OP_SAME ||
				     (path_is_root(r->dests[index]) && op->kind != SPEC_OP_DIR)
			     ? r->dests[index]
			     : op->dest;
	step->mode = op->perms >= 0 ? op->perms : resolve_ops[op->kind].mode;
	step->size_bytes = op->size_bytes;
	step->nr_inodes = op->nr_inodes;
	step->flags = op->flags & SPEC_OP_TRY ? PLAN_STEP_TRY : 0;
	if (ns != SPEC_NS_COUNT_ && !resolve_has(r, ns) &&
	    (ns != SPEC_NS_PID || resolve_sees_host(r)))
		step->flags |= PLAN_STEP_HOST;
	if (op->perms >= 0 || op->kind == SPEC_OP_BIND_DATA)
		step->parent_mode = resolve_parent_mode(step->mode);
	else if (step->mode < 0)
		step->parent_mode = r->defaults->parent_mode;
	if (op->kind == SPEC_OP_BIND_DATA && r->defaults->writes_last)
		step->flags |= PLAN_STEP_WRITE_LAST;
	if (op->kind == SPEC_OP_DEV) {
		step->source = resolve_console(r);
		step->mode = r->defaults->shm_mode;
		step->attrs = MOUNT_ATTR_NOEXEC;
	}
	if (!r->defaults->hardens_mounts)
		step->attrs &= ~resolve_hardening(step);
	if (op->kind == SPEC_OP_PROC)
		return resolve_proc_cover(r, op);
	if (op->kind == SPEC_OP_COW) {
		int e = resolve_cow(r, index, step);

		return e < 0 ? e : resolve_preset(r, index);
	}
	if (layers_is_overlay(op))
		return resolve_layers(r, index, step);
	if (op->fd >= 0) {
		int e;

		step->fd = (int)op->fd;
		e = resolve_check_fd(r, op->fd, op->option);
		if (e == 0)
			e = resolve_check_read(r, index);
		if (e < 0 && op->kind != SPEC_OP_BIND)
			str_copy(r->err->path, sizeof(r->err->path), op->dest);
		if (e < 0)
			return e;
	}
	if (op->kind == SPEC_OP_MASK)
		return resolve_mask_really(r, index);
	if (op->kind == SPEC_OP_BIND) {
		int e = wide_check(r->spec, index, r->host, r->plan, r->err);

		if (e == 0)
			e = resolve_mask_sockets(r, index, step);
		if (e < 0)
			return e;
	}
	return resolve_preset(r, index);
}

static int resolve_base(struct resolve *r)
{
	struct base_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.tty = resolve_console(r),
		.taken = r->taken,
		.n_taken = r->n_taken,
		.hostname = r->spec->hostname ? r->spec->hostname : r->host->hostname,
		.uid = r->plan->uid_map.own_inside,
		.gid = r->plan->gid_map.own_inside,
		.payload_uid = r->plan->payload_uid,
		.payload_gid = r->plan->payload_gid,
		.has_network = !resolve_has(r, SPEC_NS_NET),
		.net = r->plan->net.text ? &r->plan->net : NULL,
		.only_kernel = r->op_is_root,
		.host_proc = resolve_sees_host(r),
		.cover_proc = !r->spec->allow_userns,
	};

	if (r->spec->no_base)
		return 0;
	return base_add_steps(&wanted, r->plan, r->err);
}

/*
 * Does the operation bring files for /etc from the host, and does the plan have a resolver? One
 * behind it that names the file is obeyed.
 */
static bool resolve_brings_etc(const struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	if (!r->plan->net.resolv_conf || r->spec->no_base || !r->dests[index] ||
	    !str_equal(r->dests[index], "/etc") ||
	    !(op->kind == SPEC_OP_BIND || op->kind == SPEC_OP_COW || layers_is_overlay(op)))
		return false;
	for (size_t i = index + 1; i < r->spec->n_ops; i++)
		if (r->dests[i] && str_equal(r->dests[i], "/etc/resolv.conf"))
			return false;
	return true;
}

/* Over the one that a root or /etc of the user's has, which names resolvers of the host's. */
static bool resolve_places_resolv_conf(const struct resolve *r)
{
	for (size_t i = r->first_op; i < r->spec->n_ops; i++)
		if (resolve_brings_etc(r, i))
			return true;
	return (r->plan->net.resolv_conf || r->plan->net.share) && r->op_is_root &&
	       !r->spec->no_base;
}

static int resolve_cover_resolver(struct resolve *r, size_t index)
{
	const struct base_wanted wanted = {.net = &r->plan->net};

	return resolve_brings_etc(r, index) ? base_cover_resolver(&wanted, r->plan, r->err) : 0;
}

static bool resolve_has_data(const struct resolve *r)
{
	for (size_t i = r->first_op; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_BIND_DATA ||
		    r->spec->ops[i].kind == SPEC_OP_OVERLAY ||
		    r->spec->ops[i].kind == SPEC_OP_TMP_OVERLAY ||
		    r->spec->ops[i].kind == SPEC_OP_COW ||
		    (r->spec->ops[i].kind == SPEC_OP_PROTECT &&
		     r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY))
			return true;
	if (resolve_places_resolv_conf(r) || (r->plan->net.share && !r->spec->no_base))
		return true;
	return r->preset && r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY;
}

/* Last: whatever is behind the operations, the command is not to begin without its network. */
static int resolve_network(struct resolve *r)
{
	struct plan_step *step;

	if (!r->plan->net.text)
		return 0;
	step = resolve_add(r, PLAN_STEP_NETWORK, r->plan->net.option);
	if (!step)
		return err_oom(r->err);
	step->text = r->plan->net.text;
	return 0;
}

int resolve_filesystem(struct resolve *r)
{
	size_t i = r->first_op;
	struct plan_step *step;
	int e = 0;

	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_LISTED)
		e = sockets_find(r->host, r->arena, &r->sockets, r->err);
	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_ALL)
		r->budget = sockets_budget_for_mask();
	if (e < 0)
		return e;
	if (resolve_has_data(r) && !resolve_add(r, PLAN_STEP_DATA_STORE, "default"))
		return err_oom(r->err);
	for (size_t k = 0; k < i; k++)
		if (r->spec->ops[k].kind == SPEC_OP_PROTECT && r->dests[k])
			return err_usage(r->err, r->spec->ops[k].option,
					 "%s would be covered by the root; put --protect behind "
					 "what provides it",
					 r->spec->ops[k].dest);
	if (r->op_is_root)
		e = resolve_op(r, i++);
	else if (!resolve_add(r, PLAN_STEP_ROOT_TMPFS, "default"))
		return err_oom(r->err);
	if (e == 0)
		e = resolve_base(r);
	for (; i < r->spec->n_ops && e == 0; i++) {
		e = resolve_op(r, i);
		if (e == 0)
			e = resolve_cover_resolver(r, i);
	}
	if (e == 0)
		e = session_hide(r->spec, r->host, r->plan, r->err);
	if (e == 0)
		e = filter_cover_add_steps(r->host, r->plan, r->err);
	if (e == 0)
		e = dbus_add_step(r->spec, r->plan, r->err);
	if (e == 0)
		e = layers_hold_targets(r->plan, r->err);
	if (e == 0)
		e = resolve_network(r);
	if (e < 0)
		return e;
	if (!r->op_is_root && !r->spec->rw_root) {
		step = resolve_add(r, PLAN_STEP_REMOUNT, "default");
		if (!step)
			return err_oom(r->err);
		step->dest = "/";
		step->attrs = MOUNT_ATTR_RDONLY;
	}
	return 0;
}
