/* SPDX-License-Identifier: MIT */
/*
 * layers: choose the driver of an overlay.
 *
 * The kernel's overlayfs is fast and needs no process. For an ordinary user it cannot do
 * everything, and where that shows only in the middle of the command's work, it is found
 * out here: what each driver cannot do is a text (NULL: it can), which is what --explain
 * tells and what a refusal says. What cannot be known before the overlay is mounted
 * (an upper layer on a filesystem that the kernel does not take) is tried by PID 1, which
 * goes on with fuse-overlayfs then, where that may be used.
 *
 * fuse-overlayfs (1.10, and 1.14 likewise) keeps for each name the lowest layer that has it, and
 * gets that wrong in two ways: rename(2) to a name that a lower layer has leaves it as it was, so
 * that the name's removal writes no mark, and is lost; and reading the directory above one that
 * was made anew sets it back, so that what was removed there is found again. Neither happens
 * where nothing is written. So it is given what is read, and on top of that the kernel
 * keeps what is written, with its own marks: PLAN_LAYERS_OVER_FUSE. Where the kernel does not take
 * the upper layer fuse-overlayfs could keep that alone. What it then gets wrong would be kept, so
 * it is not chosen for a directory of the host but where it is asked for or has begun it; and it
 * is told (run/fuse.c).
 */

#include <errno.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/session.h"

enum {
	LAYERS_MAX = 64, /* of one overlay */
	LAYERS_KERNEL_USERXATTR = 5011,
	LAYERS_KERNEL_TMPFS_XATTR = 6006,
};

struct layers {
	const struct layers_wanted *wanted;
	struct sbx_plan *plan;
	struct plan_layers *out;
	struct sbx_err *err;
	bool upper_is_marked; /* fuse-overlayfs has written to it */
};

/* Where the kernel does not keep what is written, and what fuse-overlayfs would lose matters. */
#define LAYERS_ACCEPT_HINT "--overlay-driver=fuse, where a removal may be lost (see sbx-cow(7))"
#define LAYERS_FILESYSTEMS_HINT                                                                    \
	" on another filesystem, as ext4, xfs or btrfs, and no overlay, as the\n"                  \
	"directories of a container are; or " LAYERS_ACCEPT_HINT
static const char layers_session_hint[] = "--session DIR" LAYERS_FILESYSTEMS_HINT;
static const char layers_rwsrc_hint[] = "RWSRC" LAYERS_FILESYSTEMS_HINT;

/* Who is tried, in this order. */
void layers_describe_drivers(uint32_t drivers, struct str_buf *out)
{
	static const struct {
		uint32_t driver;
		const char *name;
	} names[] = {
		{PLAN_LAYERS_KERNEL, "the kernel"},
		{PLAN_LAYERS_OVER_FUSE, "the kernel over fuse-overlayfs"},
		{PLAN_LAYERS_FUSE, "fuse-overlayfs"},
	};
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(drivers & names[i].driver))
			continue;
		str_buf_printf(out, "%s%s", first ? "" : " or else ", names[i].name);
		first = false;
	}
}

/* What is not held where fuse-overlayfs keeps what is written, and what to do about it. */
void layers_describe_loss(const struct plan_layers *layers, struct str_buf *out)
{
	static const char *const remedies[2][2] = {
		{"; RWSRC on another filesystem does without", "; another RWSRC does without"},
		{"; --session DIR on another filesystem does without",
		 "; another session does without"},
	};
	const char *remedy = layers->top == PLAN_LAYERS_TMP
				     ? ""
				     : remedies[layers->is_session][layers->is_fuses];

	str_buf_printf(out,
		       "fuse-overlayfs keeps what is written, which loses a removal now and then: "
		       "a name of the host's is found again. It is used as %s%s: see sbx-cow(7)",
		       layers->alone_why
			       ? layers->alone_why
			       : "the kernel does not take the filesystem of what is written",
		       remedy);
}

/* What to do where the kernel does not keep what is written; a hint. */
const char *layers_describe_places(const struct plan_layers *layers)
{
	return layers->is_session ? layers_session_hint : layers_rwsrc_hint;
}

bool layers_is_overlay(const struct spec_op *op)
{
	return op->kind == SPEC_OP_OVERLAY || op->kind == SPEC_OP_TMP_OVERLAY ||
	       op->kind == SPEC_OP_RO_OVERLAY;
}

/* The host's name of a source, without links where it exists. NULL: no memory. */
static const char *layers_real_path(const struct layers *l, const char *source)
{
	char real[PATH_MAX];

	if (realpath(source, real))
		return arena_dup(&l->plan->arena, real);
	return path_normalise(&l->plan->arena, l->wanted->host->cwd, source);
}

/* Are the host's mounts locked together for the sandbox, as for everybody but root? */
static bool layers_in_userns(const struct layers *l)
{
	return (l->plan->namespaces & CLONE_NEWUSER) || l->wanted->spec->userns_fd >= 0;
}

/* ---- what the kernel cannot do ---- */

/* A mount point below the directory; NULL: none, or nothing is known of mounts. */
static const char *layers_find_mount(const struct layers *l, const char *dir)
{
	const char *table = probe_text(l->wanted->host, "/proc/self/mountinfo");
	char *text = table ? arena_dup(&l->plan->arena, table) : NULL, *point = NULL;

	while (text && (point = mountinfo_next(&text)))
		if (path_is_below(point, dir) && !str_equal(point, dir))
			return point;
	return NULL;
}

static const char *layers_mount_obstacle(const struct layers *l, const char *source)
{
	const char *dir = source ? layers_real_path(l, source) : NULL;
	const char *point = dir ? layers_find_mount(l, dir) : NULL;

	if (!point)
		return NULL;
	return arena_printf(&l->plan->arena,
			    "the kernel shows no layer with mounts below it: %s has %s", source,
			    point);
}

/* Has fuse-overlayfs written to it? Return: 1, 0, or -errno where that cannot be told. */
static int layers_is_marked(const char *dir)
{
	if (getxattr(dir, PLAN_LAYERS_FUSE_MARK, NULL, 0) >= 0)
		return 1;
	/* What is not there its step will tell. */
	return errno == ENODATA || errno == EOPNOTSUPP || errno == ENOENT || errno == ENOTDIR
		       ? 0
		       : -errno;
}

static const char *layers_describe_unknown_mark(const struct layers *l, const char *dir, int number)
{
	return arena_printf(&l->plan->arena,
			    "it cannot be told whether fuse-overlayfs has written to %s: %s", dir,
			    strerror(number));
}

/* fuse-overlayfs marks a directory that was made anew in a way of its own. */
static const char *layers_describe_mark(const struct layers *l, const char *dir)
{
	return arena_printf(&l->plan->arena,
			    "fuse-overlayfs has written to %s, and the kernel does not "
			    "read all of its marks",
			    dir);
}

static const char *layers_upper_mark_obstacle(const struct layers *l)
{
	return l->upper_is_marked ? layers_describe_mark(l, l->out->upper) : NULL;
}

static const char *layers_marks_obstacle(const struct layers *l)
{
	for (size_t i = 0; i < l->out->n_lower; i++) {
		const char *dir = l->out->lower[i];
		int r = layers_is_marked(dir);

		if (r < 0)
			return layers_describe_unknown_mark(l, dir, -r);
		if (r > 0)
			return layers_describe_mark(l, dir);
	}
	return layers_upper_mark_obstacle(l);
}

/* Are there user attributes? Of what is not there yet, a session's, the directory above tells. */
static bool layers_has_xattrs(const char *dir)
{
	char path[PATH_MAX], *slash;

	str_copy(path, sizeof(path), dir);
	errno = 0;
	while (getxattr(path[0] ? path : "/", "user.overlay.opaque", NULL, 0) < 0 &&
	       errno == ENOENT && (slash = strrchr(path, '/')))
		*slash = '\0';
	return errno != EOPNOTSUPP;
}

/* An upper layer keeps what the kernel must know of it in attributes. */
static const char *layers_xattr_obstacle(const struct layers *l)
{
	const struct plan_layers *out = l->out;

	if (out->top == PLAN_LAYERS_TMP &&
	    probe_kernel(l->wanted->host) < LAYERS_KERNEL_TMPFS_XATTR)
		return "before Linux 6.6 the kernel cannot keep its marks on a tmpfs, so a "
		       "directory that was removed could not be made again";
	if (out->top == PLAN_LAYERS_HOST && !layers_has_xattrs(out->upper))
		return arena_printf(&l->plan->arena,
				    "the kernel cannot keep its marks in %s, whose filesystem has "
				    "no user attributes",
				    out->upper);
	return NULL;
}

static const char *layers_age_obstacle(const struct layers *l)
{
	if (probe_kernel(l->wanted->host) >= LAYERS_KERNEL_USERXATTR)
		return NULL;
	return "before Linux 5.11 the kernel lets no ordinary user make overlays";
}

static const char *layers_kernel_obstacle(const struct layers *l)
{
	const char *why = layers_age_obstacle(l);

	for (size_t i = 0; layers_in_userns(l) && i < l->out->n_lower && !why; i++)
		why = layers_mount_obstacle(l, l->out->lower[i]);
	if (!why)
		why = layers_marks_obstacle(l);
	return why ? why : layers_xattr_obstacle(l);
}

/* Why it cannot keep what is written, whoever shows it what is read. */
static const char *layers_top_obstacle(const struct layers *l)
{
	const char *why = layers_age_obstacle(l);

	if (!why)
		why = layers_upper_mark_obstacle(l);
	return why ? why : layers_xattr_obstacle(l);
}

/* ---- what fuse-overlayfs cannot do ---- */

static const char *layers_fuse_obstacle(const struct layers *l, const char **ret_hint)
{
	const char *helper = probe_helper(l->wanted->host, l->wanted->spec, "fuse-overlayfs");
	struct arena *arena = &l->plan->arena;

	*ret_hint = "install it: the package is fuse-overlayfs; --overlay-driver=kernel does "
		    "without";
	if (!helper)
		return "fuse-overlayfs is not installed";
	if (access(helper, X_OK) < 0)
		return arena_printf(arena, "%s cannot be executed: %s", helper, strerror(errno));
	*ret_hint = "it needs /dev/fuse: as root, \"modprobe fuse\", and \"chmod 666 /dev/fuse\", "
		    "which udev does\nby itself; a container has to be given that device";
	if (probe_fuse(l->wanted->host) < 0)
		return arena_printf(arena, "fuse-overlayfs cannot open /dev/fuse: %s",
				    strerror(errno));
	*ret_hint = l->wanted->lower ? "give --cow only the directories that the command is to "
				       "change: each mount below one takes a process"
				     : "put layers together outside, or bind what need not be one";
	if (l->plan->n_fuse >= PLAN_FUSE_MAX)
		return arena_printf(arena, "there are %d processes of fuse-overlayfs already",
				    PLAN_FUSE_MAX);
	l->plan->fuse_overlayfs = helper;
	return NULL;
}

/* ---- the layers ---- */

static int layers_refuse(const struct layers *l, const char *what, const char *hint)
{
	const struct spec_op *op = &l->wanted->spec->ops[l->wanted->op];
	bool asked = l->wanted->spec->overlay_driver != SPEC_OVERLAY_DRIVER_AUTO;

	(void)err_refuse(l->err, EOPNOTSUPP, l->wanted->lower ? l->wanted->lower : op->dest, "%s",
			 what);
	err_set_option(l->err, asked ? "--overlay-driver" : op->option);
	err_hint(l->err, "%s", hint);
	return -EOPNOTSUPP;
}

/* One directory, and what a session has put on top of it. */
static int layers_take_session(const struct layers *l)
{
	const char **lower = arena_alloc(&l->plan->arena, 2 * sizeof(*lower)); /* layers_hold() */

	if (!lower)
		return err_oom(l->err);
	lower[0] = l->wanted->lower;
	l->out->lower = lower;
	l->out->n_lower = 1;
	l->out->upper = l->wanted->upper;
	l->out->work = l->wanted->work;
	l->out->held_dir = l->wanted->held;
	l->out->top = PLAN_LAYERS_HOST;
	l->out->covers = l->wanted->covers;
	l->out->n_covers = l->wanted->n_covers;
	l->out->holds_session = l->wanted->holds_session;
	l->out->is_session = true;
	return 0;
}

/* The operations in front of the overlay that name its layers, as bubblewrap counts them. */
static int layers_collect(const struct layers *l)
{
	const struct sbx_spec *spec = l->wanted->spec;
	size_t end = l->wanted->op, first = end;
	const char **lower;

	while (first > 0 && spec->ops[first - 1].kind == SPEC_OP_OVERLAY_SRC)
		first--;
	if (end - first > LAYERS_MAX)
		return err_usage(l->err, spec->ops[end].option, "takes at most %d layers",
				 LAYERS_MAX);
	lower = arena_alloc(&l->plan->arena, (end - first + 1) * sizeof(*lower));
	if (!lower)
		return err_oom(l->err);
	for (size_t i = first; i < end; i++)
		lower[i - first] = spec->ops[i].source;
	l->out->lower = lower;
	l->out->n_lower = end - first;
	l->out->upper = spec->ops[end].source;
	l->out->work = spec->ops[end].work;
	l->out->top = spec->ops[end].kind == SPEC_OP_OVERLAY	   ? PLAN_LAYERS_HOST
		      : spec->ops[end].kind == SPEC_OP_TMP_OVERLAY ? PLAN_LAYERS_TMP
								   : PLAN_LAYERS_RO;
	return 0;
}

/* Neither driver goes through a mount in what is written to: names could not be moved there. */
static int layers_check_upper(const struct layers *l)
{
	const char *upper = l->out->upper ? layers_real_path(l, l->out->upper) : NULL;
	const char *point = upper ? layers_find_mount(l, upper) : NULL;

	if (!point || !layers_in_userns(l) || !l->wanted->defaults->explains)
		return 0;
	return layers_refuse(l,
			     arena_printf(&l->plan->arena,
					  "what is written cannot go to %s, below which %s is "
					  "mounted",
					  l->out->upper, point),
			     "use a directory without mounts below it for RWSRC");
}

/* Who is to go on with what is written depends on it. */
static int layers_check_mark(struct layers *l)
{
	int r = 0;

	/* The command can give its view that attribute; of a session the work directory tells. */
	if (l->wanted->lower)
		r = l->wanted->began == SPEC_OVERLAY_DRIVER_FUSE;
	else if (l->out->upper)
		r = layers_is_marked(l->out->upper);
	l->upper_is_marked = r > 0;
	return r >= 0 ? 0
		      : layers_refuse(l, layers_describe_unknown_mark(l, l->out->upper, -r),
				      "it has to be readable for you, and searchable all that is "
				      "above it: \"namei -l\" shows permissions");
}

static bool layers_maps_owner(const struct plan_map *map, uint32_t outside)
{
	for (size_t i = 0; i < map->n_lines; i++)
		if (outside >= map->lines[i].outside &&
		    outside - map->lines[i].outside < map->lines[i].count)
			return true;
	return false;
}

/* Have both the owner and the group of a file an id inside? */
bool layers_maps(const struct sbx_plan *plan, const struct stat *st)
{
	return layers_maps_owner(&plan->uid_map, st->st_uid) &&
	       layers_maps_owner(&plan->gid_map, st->st_gid);
}

/* A file is copied up with its owner. Whoever has no id inside cannot be given one. */
static int layers_remark_owners(const struct layers *l)
{
	const struct sbx_spec *spec = l->wanted->spec;
	struct stat st;

	if (l->out->top == PLAN_LAYERS_RO || !(l->plan->namespaces & CLONE_NEWUSER) ||
	    spec->userns_block_fd >= 0)
		return 0;
	for (size_t i = 0; i < l->out->n_lower; i++) {
		bool user;

		if (stat(l->out->lower[i], &st) < 0)
			continue; /* the step will tell */
		user = !layers_maps_owner(&l->plan->uid_map, st.st_uid);
		if (!user && layers_maps_owner(&l->plan->gid_map, st.st_gid))
			continue;
		if (plan_add_remark(l->plan, "layers",
				    "%s belongs to %s %u, who has no id inside: what is theirs in "
				    "it can be read and not changed",
				    l->out->lower[i], user ? "user" : "group",
				    user ? st.st_uid : st.st_gid) < 0)
			return err_oom(l->err);
	}
	return 0;
}

/* ---- the choice ---- */

/*
 * May a removal be lost? What goes to a tmpfs is forgotten; of what stays the caller has to say so,
 * or to have said it when a session began. A caller of bubblewrap has no option to say it with.
 */
static bool layers_may_lose(const struct layers *l)
{
	return l->out->top != PLAN_LAYERS_HOST || l->wanted->driver == SPEC_OVERLAY_DRIVER_FUSE ||
	       l->wanted->defaults->tries_kernel;
}

/*
 * How fuse-overlayfs is used, where it can be. One that keeps what is written does not go on
 * with what the kernel has begun, nor the other way.
 */
static uint32_t layers_find_fuse_ways(const struct layers *l)
{
	bool is_kernels = l->wanted->began == SPEC_OVERLAY_DRIVER_KERNEL;
	bool is_fuses = l->wanted->began == SPEC_OVERLAY_DRIVER_FUSE;

	if (l->out->top == PLAN_LAYERS_RO || is_fuses)
		return PLAN_LAYERS_FUSE;
	return (layers_top_obstacle(l) ? 0 : PLAN_LAYERS_OVER_FUSE) |
	       (is_kernels || !layers_may_lose(l) ? 0 : PLAN_LAYERS_FUSE);
}

/* Why a session that was begun with one cannot go on with the other; NULL: it can. */
static const char *layers_began_obstacle(const struct layers *l, int64_t driver)
{
	if (l->wanted->began == SPEC_OVERLAY_DRIVER_AUTO || l->wanted->began == driver)
		return NULL;
	return driver == SPEC_OVERLAY_DRIVER_KERNEL
		       ? "fuse-overlayfs has kept what the session has, with marks of its own"
		       : "the kernel has kept what the session has, and does not take it now";
}

static const char *layers_no_kernel(const struct layers *l)
{
	const char *why = layers_began_obstacle(l, SPEC_OVERLAY_DRIVER_KERNEL);

	if (why)
		return why;
	/* As bubblewrap, whose callers are left to what the kernel takes. */
	return l->wanted->defaults->tries_kernel ? layers_marks_obstacle(l)
						 : layers_kernel_obstacle(l);
}

static const char *layers_no_fuse(const struct layers *l, uint32_t ways, const char **ret_hint)
{
	const char *why = layers_fuse_obstacle(l, ret_hint);

	if (why || ways)
		return why;
	*ret_hint = "begin another session";
	return layers_began_obstacle(l, SPEC_OVERLAY_DRIVER_FUSE);
}

/* What to do where the kernel cannot do what is asked. */
static const char *layers_describe_way_out(const struct layers *l)
{
	if (l->out->top == PLAN_LAYERS_HOST && !l->upper_is_marked && !layers_age_obstacle(l) &&
	    layers_xattr_obstacle(l))
		return layers_describe_places(l->out);
	return "--overlay-driver=fuse can";
}

static int layers_choose_asked(const struct layers *l, bool kernel)
{
	const char *hint = layers_describe_way_out(l), *why;
	uint32_t ways = kernel ? PLAN_LAYERS_KERNEL : layers_find_fuse_ways(l);

	why = kernel ? layers_kernel_obstacle(l) : layers_no_fuse(l, ways, &hint);
	if (why)
		return layers_refuse(l, why, hint);
	l->out->drivers = ways;
	l->out->why = "--overlay-driver";
	return 0;
}

/* What the kernel does not keep, and fuse-overlayfs not without a loss. */
static int layers_refuse_loss(const struct layers *l)
{
	const char *what = arena_printf(&l->plan->arena,
					"%s; fuse-overlayfs could keep what is written, but may "
					"lose a removal",
					layers_top_obstacle(l));

	return layers_refuse(l, what,
			     layers_age_obstacle(l) || l->upper_is_marked
				     ? LAYERS_ACCEPT_HINT
				     : layers_describe_places(l->out));
}

static int layers_choose_best(const struct layers *l)
{
	uint32_t ways = layers_find_fuse_ways(l);
	const char *no_kernel = layers_no_kernel(l), *no_fuse, *hint;

	if (no_kernel && !ways && !layers_began_obstacle(l, SPEC_OVERLAY_DRIVER_FUSE))
		return layers_refuse_loss(l);
	no_fuse = layers_no_fuse(l, ways, &hint);
	if (no_kernel && no_fuse)
		return layers_refuse(
			l, arena_printf(&l->plan->arena, "%s; and %s", no_kernel, no_fuse), hint);
	l->out->drivers = (no_kernel ? 0 : PLAN_LAYERS_KERNEL) | (no_fuse ? 0 : ways);
	l->out->why = no_kernel ? no_kernel
		      : no_fuse ? no_fuse
				: "the kernel can do what is asked, as far as can be told before";
	return 0;
}

static int layers_remark_choice(const struct layers *l, const char *dest)
{
	char room[128], text[1024];
	struct str_buf names = STR_BUF_ON_STACK(room), loss = STR_BUF_ON_STACK(text);

	layers_describe_drivers(l->out->drivers, &names);
	if (plan_add_remark(l->plan, "layers", "%s by %s: %s", dest, names.data, l->out->why) < 0)
		return err_oom(l->err);
	if (l->out->drivers != PLAN_LAYERS_FUSE || l->out->top == PLAN_LAYERS_RO)
		return 0;
	layers_describe_loss(l->out, &loss);
	return plan_add_remark(l->plan, "layers", "%s: %s", dest, loss.data) < 0 ? err_oom(l->err)
										 : 0;
}

/**
 * Fill step->layers: the layers of an overlay, and who puts them together.
 * @plan: its namespaces and ids are there already
 * @step: one of the plan's, with its destination
 *
 * Return: 0, or -errno with *err filled.
 */
int layers_choose(const struct layers_wanted *wanted, struct sbx_plan *plan, struct plan_step *step,
		  struct sbx_err *err)
{
	struct plan_layers *out = arena_alloc(&plan->arena, sizeof(*out));
	struct layers l = {wanted, plan, out, err, false};
	int64_t driver = wanted->driver;
	int r;

	if (!out)
		return err_oom(err);
	*out = (struct plan_layers){0};
	r = wanted->lower ? layers_take_session(&l) : layers_collect(&l);
	if (r == 0)
		r = layers_check_upper(&l);
	if (r == 0)
		r = layers_check_mark(&l);
	if (r < 0)
		return r;
	r = driver == SPEC_OVERLAY_DRIVER_AUTO
		    ? layers_choose_best(&l)
		    : layers_choose_asked(&l, driver == SPEC_OVERLAY_DRIVER_KERNEL);
	if (r < 0)
		return r;
	out->is_fuses = wanted->began == SPEC_OVERLAY_DRIVER_FUSE || l.upper_is_marked;
	if (out->drivers & (PLAN_LAYERS_FUSE | PLAN_LAYERS_OVER_FUSE)) {
		out->alone_why = wanted->began == SPEC_OVERLAY_DRIVER_FUSE
					 ? "it has begun the session by itself"
					 : layers_top_obstacle(&l);
		/* Where it is among the drivers it has refused by then. */
		out->kernel_may = !(out->drivers & PLAN_LAYERS_KERNEL) &&
				  !layers_began_obstacle(&l, SPEC_OVERLAY_DRIVER_KERNEL) &&
				  !layers_kernel_obstacle(&l);
		plan->n_fuse++;
	}
	step->layers = out;
	r = layers_remark_choice(&l, step->dest);
	return r < 0 ? r : layers_remark_owners(&l);
}
