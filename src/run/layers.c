/* SPDX-License-Identifier: MIT */
/*
 * layers: the step that shows several directories of the host as one.
 *
 * Runs in: PID 1. The kernel puts the layers together (overlay.c), or a process of
 * fuse-overlayfs does, which the monitor starts and owns (fuse.c): PID 1 asks for it and is given
 * a mount that is nowhere yet.
 *
 * Or both: fuse-overlayfs shows what is read, and an overlay of the kernel with that as its
 * lower layer takes what is written. Whether it takes the upper layer is tried first, over an
 * empty directory: there is no second fuse-overlayfs for a step.
 *
 * Between the two is an overlay for reading, made without CAP_FOWNER. The kernel opens what is
 * below an overlay with O_NOATIME, where whoever made that owns the file or has the capability. An
 * owner without an id inside is told by fuse-overlayfs as the number of nobody, which does have one
 * where ranges are mapped; and to fuse-overlayfs, which has no such right over a file of the host's
 * root, that open fails.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/init.h"
#include "sbx/run/mount.h"
#include "sbx/run/overlay.h"
#include "sbx/run/steps.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/session.h"

enum { LAYERS_BY_FUSE = PLAN_LAYERS_OVER_FUSE | PLAN_LAYERS_FUSE };

/* The layers, open. */
struct layers_open {
	int lower[OVERLAY_LOWER_MAX]; /* owned; the topmost first */
	size_t n_lower;
	int upper, work; /* owned; -1: none */
};

static void layers_close(struct layers_open *open)
{
	for (size_t i = 0; i < open->n_lower; i++)
		close(open->lower[i]);
	defs_cleanup_fd(&open->upper);
	defs_cleanup_fd(&open->work);
}

/* A directory in the tmpfs that nobody sees. */
static int layers_make_dir(struct run_context *ctx, int *ret_fd, struct sbx_err *err)
{
	char name[24];

	assert(ctx->store_fd >= 0);
	(void)snprintf(name, sizeof(name), "%u", ctx->n_store++);
	if (mkdirat(ctx->store_fd, name, 0755) < 0)
		return err_system(err, errno, NULL, "cannot make a directory for what is written");
	*ret_fd = openat(ctx->store_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_system(err, errno, NULL, "cannot open what is written to");
	return 0;
}

static int layers_open_top(struct run_context *ctx, const struct plan_layers *layers,
			   struct layers_open *open, struct sbx_err *err)
{
	int r;

	if (layers->top == PLAN_LAYERS_RO)
		return 0;
	if (layers->top == PLAN_LAYERS_TMP) {
		r = layers_make_dir(ctx, &open->upper, err);
		return r < 0 ? r : layers_make_dir(ctx, &open->work, err);
	}
	r = overlay_open_layer(ctx->host_root_fd, layers->upper, OVERLAY_UPPER, &open->upper, err);
	if (r == 0)
		r = overlay_open_layer(ctx->host_root_fd, layers->work, OVERLAY_WORK, &open->work,
				       err);
	/* As bubblewrap, whose callers are left to what the kernel takes. */
	if (r < 0 || ctx->plan->bwrap_words)
		return r;
	r = overlay_check_apart(layers->work, open->work, layers->upper, open->upper, err);
	for (size_t i = 0; i < open->n_lower && r == 0 && !layers->holds_session; i++) {
		const char *lower = layers->lower[layers->n_lower - 1 - i];

		r = overlay_check_apart(layers->upper, open->upper, lower, open->lower[i], err);
		if (r == 0)
			r = overlay_check_apart(layers->work, open->work, lower, open->lower[i],
						err);
	}
	return r;
}

static int layers_open_all(struct run_context *ctx, const struct plan_layers *layers,
			   struct layers_open *open, struct sbx_err *err)
{
	assert(layers->n_lower <= OVERLAY_LOWER_MAX);
	for (size_t i = layers->n_lower; i > 0; i--) {
		int r = overlay_open_layer(ctx->host_root_fd, layers->lower[i - 1], OVERLAY_LOWER,
					   &open->lower[open->n_lower], err);

		if (r < 0)
			return r;
		open->n_lower++;
	}
	return layers_open_top(ctx, layers, open, err);
}

/* Put a mount where nobody sees it: of one that is nowhere the kernel makes no layer. */
static int layers_stow(struct run_context *ctx, int mount, struct sbx_err *err)
{
	_autoclose_ int place = -1;
	int r = layers_make_dir(ctx, &place, err);

	if (r < 0)
		return r;
	if (sys_move_mount(mount, "", place, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_system(err, errno, NULL, "cannot mount a layer");
	return 0;
}

/*
 * A view of the topmost lower layer that is a filesystem of its own, in the place of that: an
 * overlay with nothing else in it. An overlay wants two layers, and one that is mounted somewhere.
 *
 * The kernel takes no upper layer that lies below a lower one, which it looks for in the filesystem
 * of that. What the sandbox could find there of the session a mask hides (spec/session.c).
 *
 * Return: 0, or -errno, with *err filled but where it is the kernel that refuses.
 */
static int layers_stand_apart(struct run_context *ctx, struct layers_open *open,
			      struct sbx_err *err)
{
	const uint64_t attrs =
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_autoclose_ int empty = -1, view = -1;
	int r = layers_make_dir(ctx, &empty, err);

	/* The second is what a session holds, see spec/layers_held.c. */
	assert(open->n_lower == 1 || open->n_lower == 2);
	if (r < 0)
		return r;
	const int lower[] = {open->lower[0], empty};
	const struct overlay_layers both = {lower, 2, -1, -1};

	r = overlay_mount(&both, attrs, &view);
	if (r == 0)
		r = layers_stow(ctx, view, err);
	if (r < 0)
		return r;
	close(open->lower[0]);
	open->lower[0] = take_fd(&view);
	return 0;
}

/* Why the kernel has refused, where its errno says little. */
static int layers_blame_kernel(int number, const char *dest, struct sbx_err *err)
{
	if (number == ELOOP)
		return err_refuse(err, ELOOP, dest,
				  "the kernel cannot make the overlay: Overlay directories may not "
				  "overlap");
	return err_system(err, number, dest, "the kernel cannot make the overlay");
}

/* An overlay of the kernel, with `lower` as all that is read. Return: 0 or -errno. */
static int layers_put_on_top(const struct layers_open *open, int lower, uint64_t attrs, int *ret_fd)
{
	const struct overlay_layers both = {&lower, 1, open->upper, open->work};

	return overlay_mount(&both, attrs, ret_fd);
}

/*
 * The kernel does not take the upper layer. It was not asked of fuse-overlayfs to keep what is
 * written by itself: see spec/layers.c.
 */
static int layers_refuse_top(int number, const struct plan_layers *layers,
			     const struct layers_open *open, const char *dest, struct sbx_err *err)
{
	int r = overlay_check_mount(layers->upper, open->upper, layers->work, open->work, err);

	if (r < 0)
		return r;
	(void)err_refuse(err, number, dest,
			 "the kernel does not take the filesystem of %s for what is written; "
			 "fuse-overlayfs could keep that, but may lose a removal",
			 layers->upper);
	err_hint(err, "%s", layers_describe_places(layers));
	return -number;
}

/* Return: 1; 0 where the kernel does not take the upper layer; or -errno with *err filled. */
static int layers_try_top(struct run_context *ctx, const struct layers_open *open,
			  const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int empty = -1, mount = -1;
	int r = layers_make_dir(ctx, &empty, err);

	if (r < 0)
		return r;
	r = layers_put_on_top(open, empty, step->attrs, &mount);
	/* What else goes wrong says nothing of the layer, and fuse-overlayfs alone holds less. */
	if (r != -EINVAL && r != -EOPNOTSUPP && r != -ENODEV)
		return r < 0 ? layers_blame_kernel(-r, step->dest, err) : 1;
	if (step->layers->drivers & PLAN_LAYERS_FUSE)
		return 0;
	return r == -ENODEV ? layers_blame_kernel(ENODEV, step->dest, err)
			    : layers_refuse_top(-r, step->layers, open, step->dest, err);
}

/* Why the kernel has refused: is it what is to be written to? */
static int layers_blame(struct run_context *ctx, const struct layers_open *open,
			const struct plan_step *step, int number, struct sbx_err *err)
{
	if (number == EINVAL && step->layers->top == PLAN_LAYERS_HOST && !ctx->plan->bwrap_words) {
		int r = layers_try_top(ctx, open, step, err);

		if (r < 0)
			return r;
	}
	return layers_blame_kernel(number, step->dest, err);
}

/*
 * Where the kernel may fail and fuse-overlayfs take its place, a source that cannot be
 * opened is still an error of its own.
 *
 * Return: 1; 0 where the kernel has refused and somebody else may try; or -errno with *err filled.
 */
static int layers_by_kernel(struct run_context *ctx, const struct plan_step *step, int *ret_fd,
			    struct sbx_err *err)
{
	struct layers_open open = {.upper = -1, .work = -1};
	struct overlay_layers layers;
	int r = layers_open_all(ctx, step->layers, &open, err);

	if (r == 0) {
		if (step->layers->holds_session)
			r = layers_stand_apart(ctx, &open, err);
		layers = (struct overlay_layers){open.lower, open.n_lower, open.upper, open.work};
		if (r == 0)
			r = overlay_mount(&layers, step->attrs, ret_fd);
		if (r < 0 && (step->layers->drivers & LAYERS_BY_FUSE) && r != -ELOOP)
			r = 0;
		else
			r = r < 0 ? layers_blame(ctx, &open, step, -r, err) : 1;
	}
	layers_close(&open);
	return r;
}

/* The monitor starts fuse-overlayfs, and sends its mount. */
static int layers_ask_fuse(struct run_context *ctx, const struct plan_step *step,
			   enum handshake_type what, int *ret_fd, struct sbx_err *err)
{
	int r = handshake_send(ctx->sock_fd, what, (int)(step - ctx->plan->steps));

	if (r < 0)
		return err_system(err, -r, NULL, "cannot ask for fuse-overlayfs");
	ctx->needs_monitor = true;
	return init_await_fd(ctx, HANDSHAKE_INIT_LAYERS, HANDSHAKE_LAYERS_READY, ret_fd, err);
}

/* See the head of this file. Return: as layers_stand_apart(). */
static int layers_stand_apart_unprivileged(struct run_context *ctx, struct layers_open *open,
					   struct sbx_err *err)
{
	uint64_t all;
	int r;

	if (sys_capget(&all) < 0 || sys_capset(all & ~(UINT64_C(1) << CAP_FOWNER), all, 0) < 0)
		return -errno;
	r = layers_stand_apart(ctx, open, err);
	return sys_capset(all, all, 0) < 0 ? -errno : r;
}

/*
 * What fuse-overlayfs shows takes the place of the layers that it shows.
 *
 * Return: 1, or -errno with *err filled.
 */
static int layers_put_on_fuse(struct run_context *ctx, const struct plan_step *step,
			      struct layers_open *open, int *ret_fd, struct sbx_err *err)
{
	_autoclose_ int view = -1;
	int r = layers_ask_fuse(ctx, step, HANDSHAKE_LAYERS, &view, err);

	/* For who reads a session: what was copied may be nobody's (cow/walk.c). */
	if (r == 0 && mkdirat(open->work, SESSION_OVER_MARK, 0700) < 0 && errno != EEXIST)
		r = err_system(err, errno, step->layers->work, "cannot be marked");
	if (r == 0)
		r = layers_stow(ctx, view, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < open->n_lower; i++)
		close(open->lower[i]);
	open->lower[0] = take_fd(&view);
	open->n_lower = 1;
	r = layers_stand_apart_unprivileged(ctx, open, err);
	if (r == 0)
		r = layers_put_on_top(open, open->lower[0], step->attrs, ret_fd);
	return r < 0 ? layers_blame_kernel(-r, step->dest, err) : 1;
}

/* Return: as layers_by_kernel(). */
static int layers_over_fuse(struct run_context *ctx, const struct plan_step *step, int *ret_fd,
			    struct sbx_err *err)
{
	struct layers_open open = {.upper = -1, .work = -1};
	int r = layers_open_all(ctx, step->layers, &open, err);

	if (r == 0)
		r = layers_try_top(ctx, &open, step, err);
	if (r == 1)
		r = layers_put_on_fuse(ctx, step, &open, ret_fd, err);
	layers_close(&open);
	return r;
}

/* Where there are several ways the monitor is told that its help is not needed. */
static int layers_make(struct run_context *ctx, const struct plan_step *step, int *ret_fd,
		       struct sbx_err *err)
{
	uint32_t drivers = step->layers->drivers;
	int r = drivers & PLAN_LAYERS_KERNEL ? layers_by_kernel(ctx, step, ret_fd, err) : 0;

	if (r == 0 && (drivers & PLAN_LAYERS_OVER_FUSE)) {
		r = layers_over_fuse(ctx, step, ret_fd, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (r == 0)
		return layers_ask_fuse(ctx, step, HANDSHAKE_LAYERS_ALONE, ret_fd, err);
	if (r < 0 || !(drivers & LAYERS_BY_FUSE))
		return r < 0 ? r : 0;
	r = handshake_send(ctx->sock_fd, HANDSHAKE_LAYERS_DONE, (int)(step - ctx->plan->steps));
	return r < 0 ? err_system(err, -r, NULL, "cannot tell the monitor") : 0;
}

/* Where what is written is found on the host, for what holds a missing name. */
static int layers_note(struct run_context *ctx, const struct plan_layers *layers, int mount,
		       struct sbx_err *err)
{
	_autoclose_ int upper = -1;
	int r = 0;

	if (!ctx->plan->protects)
		return 0;
	if (layers->top == PLAN_LAYERS_HOST)
		r = overlay_open_layer(ctx->host_root_fd, layers->upper, OVERLAY_UPPER, &upper,
				       err);
	if (r == 0)
		r = mount_note_bind(ctx, mount, upper, err);
	if (r == 0)
		ctx->binds[ctx->n_binds - 1].is_layered = upper >= 0;
	return r;
}

int step_run_layers(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int mount = -1;
	int r = layers_make(ctx, step, &mount, err);

	if (r < 0)
		return r;
	if (path_is_root(step->dest)) {
		r = mount_become_root(ctx, &mount, err);
		return r < 0 ? r : layers_note(ctx, step->layers, ctx->root_fd, err);
	}
	r = mount_place(ctx, mount, step, MOUNT_TARGET_DIR, err);
	return r < 0 ? r : layers_note(ctx, step->layers, mount, err);
}
