/* SPDX-License-Identifier: MIT */
/*
 * cgroup: see cgroup.h.
 *
 * Theory of operation
 *
 *     BASE                    a new cgroup below a delegated one, or systemd's scope
 *     ├─ monitor              sbx, where it had to leave the one that was to be divided
 *     ├─ helpers              slirp4netns, fuse-overlayfs, xdg-dbus-proxy, where there may be any
 *     └─ limits               no process; all limits
 *        └─ payload           PID 1 and what descends from it; the same limits again
 *
 * PID 1 is born in the last (CLONE_INTO_CGROUP, Linux 5.7) and makes its cgroup namespace
 * there, so nothing above has a name inside. What a command can write to, where it has its own
 * cgroup mounted (--cgroup), are files of that last one, and on a hierarchy that is not
 * mounted with nsdelegate these are its limits too: so they are set on the one above as well,
 * where they hold. They stand on both since programs look for their limits on their own.
 *
 * A host's hierarchy that a bind brings in is another way to see above, and for the caller's
 * id to write there: step_run_cgroup_cover() hides all of it, behind pivot_root, when
 * everything is in its place.
 *
 * At the end everything in it is killed at once (cgroup.kill, Linux 5.14), and all these
 * cgroups are removed. Where sbx had moved it moves back. A link beside the record names
 * BASE for whoever comes after a killed monitor; a scope is systemd's to remove.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "sbx/base/io.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/cgroup.h"
#include "sbx/run/mount.h"
#include "sbx/run/scope.h"
#include "sbx/run/steps.h"
#include "sbx/spec/cgroup_host.h"

enum {
	CGROUP_END_MS = 10 * 1000, /* for processes that were killed to be gone */
	CGROUP_TEXT_MAX = 4096,
	CGROUP_MOUNTINFO_MAX = 16 << 20,
};

#define CGROUP_LIMITS "limits"
#define CGROUP_PAYLOAD "payload"
#define CGROUP_HELPERS "helpers"

void cgroup_job_init(struct cgroup_job *job)
{
	*job = (struct cgroup_job){
		.above_fd = -1, .base_fd = -1, .limits_fd = -1, .payload_fd = -1, .helpers_fd = -1};
}

/* ---- files and directories ---- */

static int cgroup_write(int dir_fd, const char *file, const char *text)
{
	_autoclose_ int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int cgroup_open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Make it and open it. Return: 0 or -errno. */
static int cgroup_make(int dir_fd, const char *name, int *ret_fd)
{
	int fd;

	if (mkdirat(dir_fd, name, 0755) < 0)
		return -errno;
	fd = cgroup_open_dir(dir_fd, name);
	if (fd < 0) {
		(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
		return fd;
	}
	*ret_fd = fd;
	return 0;
}

/* The words of a small file. */
static void cgroup_read_words(int dir_fd, const char *file, char text[CGROUP_TEXT_MAX])
{
	_autoclose_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, CGROUP_TEXT_MAX - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* "+memory +pids", all by one write, each of which the kernel takes its time for. */
static void cgroup_put_controllers(char sign, uint32_t controllers, struct str_buf *out)
{
	for (size_t i = 0; i < PLAN_CONTROLLER_COUNT_; i++)
		if (controllers >> i & 1)
			str_buf_printf(out, "%s%c%s", out->len ? " " : "", sign,
				       plan_controllers[i]);
}

/* For those below; that they were not before is known. Return: 0 or -errno. */
static int cgroup_add_controllers(int dir_fd, uint32_t controllers)
{
	char room[64];
	struct str_buf words = STR_BUF_ON_STACK(room);

	cgroup_put_controllers('+', controllers, &words);
	return cgroup_write(dir_fd, "cgroup.subtree_control", words.data);
}

/* Return: 0 or -errno; *ret_enabled are those that were not before. */
static int cgroup_enable(int dir_fd, uint32_t controllers, uint32_t *ret_enabled)
{
	char now[CGROUP_TEXT_MAX];
	int r;

	cgroup_read_words(dir_fd, "cgroup.subtree_control", now);
	for (size_t i = 0; i < PLAN_CONTROLLER_COUNT_; i++)
		if (cgroup_has_word(now, plan_controllers[i]))
			controllers &= ~(1u << i);
	if (!controllers)
		return 0;
	r = cgroup_add_controllers(dir_fd, controllers);
	if (r == 0)
		*ret_enabled |= controllers;
	return r;
}

static void cgroup_disable(int dir_fd, uint32_t controllers)
{
	char room[64];
	struct str_buf words = STR_BUF_ON_STACK(room);

	cgroup_put_controllers('-', controllers, &words);
	(void)cgroup_write(dir_fd, "cgroup.subtree_control", words.data);
}

/* What is there beside the limits' is only to be counted: memory, processes, reads and writes. */
static uint32_t cgroup_counted(int dir_fd)
{
	char have[CGROUP_TEXT_MAX];
	uint32_t counted = 0;

	cgroup_read_words(dir_fd, "cgroup.controllers", have);
	for (size_t i = 0; i < PLAN_CONTROLLER_COUNT_; i++)
		if (i != PLAN_CPUSET && cgroup_has_word(have, plan_controllers[i]))
			counted |= 1u << i;
	return counted;
}

/* ---- making them ---- */

static int cgroup_fail(const struct cgroup_job *job, int number, const char *what,
		       struct sbx_err *err)
{
	const struct plan_limits *limits = &job->plan->limits;
	int r = err_system(err, number,
			   limits->from == PLAN_CGROUP_OWN ? limits->dir : "systemd's scope", "%s",
			   what);

	err_set_option(err, limits->list[0].option);
	return r;
}

/* The controllers of the limits, in a cgroup and so for those below it. */
static int cgroup_enable_wanted(const struct cgroup_job *job, int dir_fd, bool count,
				uint32_t *ret_enabled, struct sbx_err *err)
{
	const uint32_t wanted = job->plan->limits.controllers;
	int r;

	if (count && cgroup_enable(dir_fd, wanted | cgroup_counted(dir_fd), ret_enabled) == 0)
		return 0;
	r = cgroup_enable(dir_fd, wanted, ret_enabled);
	return r < 0 ? cgroup_fail(job, -r, "cannot enable the controllers", err) : 0;
}

static int cgroup_set(int dir_fd, const struct plan_limit *limit, struct sbx_err *err)
{
	int r = cgroup_write(dir_fd, limit->file, limit->value);

	if (r == 0 || (limit->implied && r == -ENOENT))
		return 0;
	if (r == -ENOENT) {
		r = err_refuse(err, EOPNOTSUPP, limit->file, "is not among what this kernel has");
		if (str_equal(limit->file, "memory.swap.max"))
			err_hint(err, "boot with swapaccount=1 on the kernel's command line");
	} else {
		r = err_system(err, -r, limit->file, "cannot set it to %s", limit->value);
		if (str_equal(limit->file, "cpuset.cpus"))
			err_hint(err, "/sys/devices/system/cpu/online lists the processors");
		if (str_equal(limit->file, "io.max"))
			err_hint(err, "lsblk lists the disks, with their numbers");
	}
	err_set_option(err, limit->option);
	return r;
}

static int cgroup_set_all(const struct cgroup_job *job, int dir_fd, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < job->plan->limits.n; i++)
		r = cgroup_set(dir_fd, &job->plan->limits.list[i], err);
	return r;
}

/* In a cgroup that is new; @counted: of more use than none, and not to fail for. */
static int cgroup_enable_new(const struct cgroup_job *job, int dir_fd, uint32_t counted,
			     struct sbx_err *err)
{
	const uint32_t wanted = job->plan->limits.controllers;
	int r;

	if (cgroup_add_controllers(dir_fd, wanted | counted) == 0)
		return 0;
	r = cgroup_add_controllers(dir_fd, wanted);
	return r < 0 ? cgroup_fail(job, -r, "cannot enable the controllers", err) : 0;
}

/* May there be processes beside the sandbox's own? */
static bool cgroup_needs_helpers(const struct sbx_plan *plan)
{
	bool needed = plan->dbus.helper || plan->net.helper;

	for (size_t i = 0; i < plan->n_steps && !needed; i++)
		needed = plan->steps[i].kind == PLAN_STEP_LAYERS &&
			 (plan->steps[i].layers->drivers & PLAN_LAYERS_FUSE);
	return needed;
}

static int cgroup_make_helpers(struct cgroup_job *job, struct sbx_err *err)
{
	_autoclose_ int helpers = -1;
	int r = cgroup_make(job->base_fd, CGROUP_HELPERS, &helpers);

	if (r < 0)
		return cgroup_fail(job, -r, "cannot make a cgroup", err);
	job->helpers_fd = openat(helpers, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return job->helpers_fd < 0 ? cgroup_fail(job, errno, "cannot open cgroup.procs", err) : 0;
}

/* One with the limits. */
static int cgroup_make_limited(const struct cgroup_job *job, int dir_fd, const char *name,
			       int *ret_fd, struct sbx_err *err)
{
	int r = cgroup_make(dir_fd, name, ret_fd);

	return r < 0 ? cgroup_fail(job, -r, "cannot make a cgroup", err)
		     : cgroup_set_all(job, *ret_fd, err);
}

/* Those below BASE. */
static int cgroup_make_all(struct cgroup_job *job, struct sbx_err *err)
{
	const uint32_t counted = cgroup_counted(job->base_fd);
	int r = cgroup_enable_new(job, job->base_fd, counted, err);

	if (r == 0 && cgroup_needs_helpers(job->plan))
		r = cgroup_make_helpers(job, err);
	if (r == 0)
		r = cgroup_make_limited(job, job->base_fd, CGROUP_LIMITS, &job->limits_fd, err);
	if (r == 0)
		r = cgroup_enable_new(job, job->limits_fd, counted, err);
	if (r == 0)
		r = cgroup_make_limited(job, job->limits_fd, CGROUP_PAYLOAD, &job->payload_fd, err);
	return r;
}

/* Leave the cgroup that is to be divided. */
static int cgroup_move_self(struct cgroup_job *job, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = cgroup_make(job->base_fd, SCOPE_MONITOR, &fd);

	if (r < 0)
		return cgroup_fail(job, -r, "cannot make a cgroup", err);
	r = cgroup_write(fd, "cgroup.procs", "0");
	job->moved = r == 0;
	return r < 0 ? cgroup_fail(job, -r, "cannot move to a cgroup below", err) : 0;
}

static void cgroup_link_name(const struct label *label, char ret_name[LABEL_FILE_SIZE])
{
	(void)snprintf(ret_name, LABEL_FILE_SIZE, "%s" REGISTER_CGROUP_SUFFIX, label->id);
}

/* Say beside the record where it will be. */
static int cgroup_note(const struct cgroup_job *job, struct sbx_err *err)
{
	char link[LABEL_FILE_SIZE], path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", job->plan->limits.dir, job->name);

	cgroup_link_name(&job->record->label, link);
	if (n < 0 || (size_t)n >= sizeof(path))
		return cgroup_fail(job, ENAMETOOLONG, "cannot make a cgroup", err);
	if (symlinkat(path, job->record->dir_fd, link) < 0)
		return register_fail(job->record, errno, "cannot record the cgroup", err);
	return 0;
}

static int cgroup_start_own(struct cgroup_job *job, struct sbx_err *err)
{
	const struct plan_limits *limits = &job->plan->limits;
	int r;

	job->above_fd = cgroup_open_dir(AT_FDCWD, limits->dir);
	if (job->above_fd < 0)
		return cgroup_fail(job, -job->above_fd, "cannot open the cgroup", err);
	(void)snprintf(job->name, sizeof(job->name), "sbx-%s", job->record->label.id);
	r = cgroup_note(job, err);
	if (r < 0)
		return r;
	r = cgroup_make(job->above_fd, job->name, &job->base_fd);
	if (r < 0)
		return cgroup_fail(job, -r, "cannot make a cgroup", err);
	if (limits->with_self)
		r = cgroup_move_self(job, err);
	if (r == 0)
		r = cgroup_enable_wanted(job, job->above_fd, limits->with_self, &job->enabled, err);
	return r < 0 ? r : cgroup_make_all(job, err);
}

/* Behind why the caller's own was not taken, there is the second reason now. */
static int cgroup_fail_scope(const struct cgroup_job *job, int r, struct sbx_err *err)
{
	const struct plan_limits *limits = &job->plan->limits;

	err_set_option(err, limits->list[0].option);
	err_annotate(err, "asking systemd for a cgroup, since %s", limits->not_own);
	err_hint(err, "%s", limits->remedy);
	return r;
}

/* systemd delegates to its user's manager what its configuration says, which may be little. */
static int cgroup_check_scope(const struct cgroup_job *job, struct arena *arena,
			      struct sbx_err *err)
{
	char have[CGROUP_TEXT_MAX];
	const char *missing;
	int r;

	cgroup_read_words(job->base_fd, "cgroup.controllers", have);
	missing = cgroup_list_missing(have, job->plan->limits.controllers, arena);
	if (!missing)
		return err_oom(err);
	if (!*missing)
		return 0;
	r = err_refuse(err, EOPNOTSUPP, "systemd's scope", "has not the controllers %s", missing);
	return cgroup_fail_scope(job, r, err);
}

static int cgroup_start_scope(struct cgroup_job *job, const sigset_t *sigmask, int64_t end_ms,
			      struct sbx_err *err)
{
	const struct plan_limits *limits = &job->plan->limits;
	const struct scope_request request = {
		.busctl = limits->busctl,
		.address = limits->address,
		.id = job->record->label.id,
		.sigmask = sigmask,
		.end_ms = end_ms,
	};
	_autoarena_ struct arena arena;
	const char *path, *mount = cgroup_find_mount(NULL);
	char dir[PATH_MAX];
	int r;

	arena_init(&arena);
	r = scope_start(&request, &arena, &path, err);
	if (r < 0)
		return cgroup_fail_scope(job, r, err);
	(void)snprintf(dir, sizeof(dir), "%s%s", mount ? mount : "", path);
	job->base_fd = cgroup_open_dir(AT_FDCWD, dir);
	if (job->base_fd < 0)
		return cgroup_fail(job, -job->base_fd, "cannot open the cgroup", err);
	r = cgroup_check_scope(job, &arena, err);
	if (r == 0)
		r = cgroup_move_self(job, err);
	return r < 0 ? r : cgroup_make_all(job, err);
}

/**
 * Make the cgroups, with their limits.
 * @record:  claimed
 * @sigmask: of programs that are started
 * @end_ms:  when the launch has had its time, CLOCK_MONOTONIC; INT64_MAX: never
 *
 * Return: 0; -EINTR: a signal is pending that ends the launch; -ETIME: it has had its time; or
 * another -errno; *err is filled. cgroup_job_finish() cleans up either way.
 */
int cgroup_job_start(struct cgroup_job *job, const struct sbx_plan *plan,
		     const struct register_entry *record, const sigset_t *sigmask, int64_t end_ms,
		     struct sbx_err *err)
{
	job->plan = plan;
	job->record = record;
	return plan->limits.from == PLAN_CGROUP_OWN ? cgroup_start_own(job, err)
						    : cgroup_start_scope(job, sigmask, end_ms, err);
}

/* ---- the end ---- */

/* Kill everything in the sandbox at once. */
void cgroup_job_end_all(const struct cgroup_job *job)
{
	if (job->limits_fd >= 0)
		(void)cgroup_write(job->limits_fd, "cgroup.kill", "1");
}

/* Wait until nobody is in a cgroup or below it. */
static void cgroup_await_end(int dir_fd)
{
	_autoclose_ int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd pfd = {.fd = fd, .events = POLLPRI};
	char text[256];

	while (fd >= 0) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (n <= 0 || strstr(text, "populated 0") || poll(&pfd, 1, CGROUP_END_MS) == 0)
			return;
	}
}

/* Sub-cgroups that the command made in its own go too. Return: 0 or -errno. */
static int cgroup_remove(int dir_fd, const char *name)
{
	char room[CGROUP_TEXT_MAX] __attribute__((aligned(__alignof__(struct sys_dirent))));
	_autoclose_ int fd = -1;
	ssize_t n;

	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	fd = cgroup_open_dir(dir_fd, name);
	while (fd >= 0 &&
	       (n = sys_getdents(fd, (struct sys_dirent *)(void *)room, sizeof(room))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct sys_dirent *e =
				(const struct sys_dirent *)(const void *)(room + at);

			if (e->type == DT_DIR && e->name[0] != '.')
				(void)cgroup_remove(fd, e->name);
			at += e->size;
		}
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Back to where the monitor was: no controller may be left there for others below. */
static void cgroup_move_back(struct cgroup_job *job)
{
	cgroup_disable(job->base_fd, job->enabled);
	cgroup_disable(job->above_fd, job->enabled);
	(void)cgroup_write(job->above_fd, "cgroup.procs", "0");
	job->moved = false;
	/* Whoever has come to be near (box/enter.c) ends with what it has started inside. */
	cgroup_await_end(job->base_fd);
}

/* End what is in there, and remove everything. */
void cgroup_job_finish(struct cgroup_job *job)
{
	int *fds[] = {&job->above_fd, &job->base_fd, &job->limits_fd, &job->payload_fd,
		      &job->helpers_fd};
	char link[LABEL_FILE_SIZE];

	if (job->limits_fd >= 0) {
		cgroup_job_end_all(job);
		cgroup_await_end(job->limits_fd);
	}
	if (job->payload_fd >= 0) /* else it is found */
		(void)unlinkat(job->limits_fd, CGROUP_PAYLOAD, AT_REMOVEDIR);
	if (job->base_fd >= 0)
		(void)cgroup_remove(job->base_fd, CGROUP_LIMITS);
	if (job->helpers_fd >= 0)
		(void)cgroup_remove(job->base_fd, CGROUP_HELPERS);
	if (job->moved && job->above_fd >= 0)
		cgroup_move_back(job);
	if (job->above_fd >= 0 && cgroup_remove(job->above_fd, job->name) == 0) {
		cgroup_link_name(&job->record->label, link);
		(void)unlinkat(job->record->dir_fd, link, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		defs_cleanup_fd(fds[i]);
	cgroup_job_init(job);
}

/**
 * Remove the cgroups that a killed monitor has left, if it had some.
 * @dir_fd: of the records
 *
 * What the link says is believed only if it is the cgroup of this sandbox; and a cgroup with
 * anybody in it cannot be removed.
 *
 * Return: false: they are still there.
 */
bool cgroup_remove_left(int dir_fd, const struct label *label)
{
	char link[LABEL_FILE_SIZE], path[PATH_MAX], name[CGROUP_NAME_SIZE];
	_autoclose_ int above = -1;
	struct statfs fs;
	ssize_t n;
	char *slash;

	cgroup_link_name(label, link);
	n = readlinkat(dir_fd, link, path, sizeof(path) - 1);
	if (n <= 0)
		return true;
	path[n] = '\0';
	slash = strrchr(path, '/');
	(void)snprintf(name, sizeof(name), "sbx-%s", label->id);
	if (slash && slash != path && str_equal(slash + 1, name)) {
		*slash = '\0';
		above = cgroup_open_dir(AT_FDCWD, path);
		if (above >= 0 && fstatfs(above, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC &&
		    cgroup_remove(above, name) < 0)
			return false;
	}
	(void)unlinkat(dir_fd, link, 0);
	return true;
}

/* ---- PID 1: what binds show of the host's cgroups ---- */

/* Is this line's mount one of cgroups, and of more than what is at or below our own? */
static bool cgroup_shows_above(const char *line, bool own_namespace)
{
	const char *type = strstr(line, " - "), *root = line;

	/* The root within the filesystem is the fourth field (proc_pid_mountinfo(5)). */
	for (int field = 1; field < 4 && root; field++) {
		root = strchr(root, ' ');
		root = root ? root + 1 : NULL;
	}
	if (!type || !root || !str_starts_with(type + 3, "cgroup"))
		return false;
	return !own_namespace || !str_starts_with(type + 3, "cgroup2 ") ||
	       str_starts_with(root, "/..");
}

/*
 * An empty directory in its place.
 * @mount_id: its own: another mount may lie on top of it, and then there is nothing to hide
 */
static int cgroup_cover(const struct run_context *ctx, const char *point, uint64_t mount_id,
			struct sbx_err *err)
{
	_autoclose_ int cover = -1;
	struct sys_mount top;
	int r;

	if (sys_statx_mount(AT_FDCWD, point, &top) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_system(err, errno, point, "cannot look at the mount");
	}
	if (top.mount_id != mount_id)
		return 0;
	r = mount_make_cover(ctx, true, &cover, err);
	if (r < 0)
		return r;
	if (sys_move_mount(cover, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_system(err, errno, point, "cannot cover the host's cgroups");
	return 0;
}

int step_run_cgroup_cover(struct run_context *ctx, const struct plan_step *step,
			  struct sbx_err *err)
{
	bool own_namespace = ctx->plan->namespaces & CLONE_NEWCGROUP;
	_autoclose_ int fd = openat(ctx->proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	char *text = NULL, *rest;
	size_t len;
	int r = fd < 0 ? -errno : io_read_all(fd, CGROUP_MOUNTINFO_MAX, &ctx->arena, &text, &len);

	(void)step;
	if (r < 0)
		return err_system(err, -r, "mountinfo", "cannot tell what is mounted");
	for (rest = text; r == 0 && rest && *rest;) {
		char *line = rest, *end = line + strcspn(line, "\n"), *point;
		uint64_t id = strtoull(line, NULL, 10);

		rest = *end ? end + 1 : end;
		*end = '\0';
		if (cgroup_shows_above(line, own_namespace) && (point = mountinfo_next(&line)))
			r = cgroup_cover(ctx, point, id, err);
	}
	return r;
}
