/* SPDX-License-Identifier: MIT */
/*
 * proc_fs: mount /proc and cover what is dangerous in it.
 *
 * Most of what is covered is refused to an ordinary user anyway, by file modes.
 * The covers hold for uid 0 inside, for kernels that forget a check, and
 * whatever the caller's id is.
 *
 * The list is that of the OCI runtimes: what describes or steers the whole
 * machine is read-only, what tells secrets of it is masked.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/run/mount.h"
#include "sbx/run/steps.h"

static const char *const proc_read_only[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char *const proc_writable[] = {"sys", "sysrq-trigger", "irq", "bus"};
static const char *const proc_masked[] = {
	"acpi",	       "asound",     "kcore",	    "keys", "latency_stats",
	"sched_debug", "timer_list", "timer_stats", "scsi",
};

int step_run_proc(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r;

	if (step->flags & PLAN_STEP_HOST)
		r = mount_clone_host(ctx, "/proc", step->attrs, &fd, err);
	else
		r = mount_new("proc", NULL, 0, step->attrs, &fd, err);
	if (r == 0)
		r = mount_place(ctx, fd, step, MOUNT_TARGET_DIR, err);
	if (r < 0)
		return r;
	/* For the step that covers it: the path might lead elsewhere by then. */
	defs_cleanup_fd(&ctx->covered_fd);
	ctx->covered_fd = take_fd(&fd);
	return 0;
}

/*
 * Bind an entry over itself, read-only. What this kernel does not have is passed over.
 * @attrs: besides
 */
static int proc_cover_read_only(int proc_fd, const char *name, uint64_t attrs, struct sbx_err *err)
{
	_autoclose_ int tree = -1;
	int r = mount_clone(proc_fd, name,
			    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | attrs,
			    &tree);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_system(err, -r, name, "cannot clone an entry of /proc");
	if (sys_move_mount(tree, "", proc_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, name, "cannot make an entry of /proc read-only");
	return 0;
}

/* Hide an entry. */
static int proc_cover_mask(const struct run_context *ctx, int proc_fd, const char *name,
			   struct sbx_err *err)
{
	_autoclose_ int cover = -1;
	struct stat st;
	int r;

	if (fstatat(proc_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_system(err, errno, name, "cannot look at /proc");
	r = mount_make_cover(ctx, S_ISDIR(st.st_mode), &cover, err);
	if (r < 0)
		return r;
	if (sys_move_mount(cover, "", proc_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, name, "cannot mask an entry of /proc");
	return 0;
}

/* bubblewrap's way: nothing is covered for who could not write to it anyway. */
static int proc_cover_writable(int proc_fd, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(proc_writable) && r == 0; i++)
		if (faccessat(proc_fd, proc_writable[i], W_OK, 0) == 0)
			r = proc_cover_read_only(proc_fd, proc_writable[i], 0, err);
	return r;
}

int step_run_proc_cover(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int proc_fd = take_fd(&ctx->covered_fd);
	int r = 0;

	assert(proc_fd >= 0);
	if (step->flags & PLAN_STEP_IF_WRITABLE)
		return proc_cover_writable(proc_fd, err);
	for (size_t i = 0; i < ARRAY_SIZE(proc_read_only) && r == 0; i++)
		r = proc_cover_read_only(proc_fd, proc_read_only[i], MOUNT_ATTR_NOEXEC, err);
	for (size_t i = 0; i < ARRAY_SIZE(proc_masked) && r == 0; i++)
		r = proc_cover_mask(ctx, proc_fd, proc_masked[i], err);
	return r;
}

/*
 * PID 1 writes the id map of the command's own user namespace through /proc,
 * behind pivot_root, where the sandbox may have no /proc: this mount is nowhere.
 */
int step_run_proc_view(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int r;

	if (!(step->flags & PLAN_STEP_HOST))
		return mount_new("proc", NULL, 0, 0, &ctx->proc_fd, err);
	r = path_open(ctx->host_root_fd, "/proc", &ctx->proc_fd);
	return r < 0 ? err_system(err, -r, "/proc", "cannot open the host's") : 0;
}
