/* SPDX-License-Identifier: MIT */
/*
 * idmap: give the new user namespace its uid and gid map.
 *
 * Theory of operation
 *
 * A user namespace is born with no map: every id in it is "nobody". A map can be
 * written once (user_namespaces(7)). A map of the caller's own id alone PID 1
 * writes itself, from inside. For more ids somebody with CAP_SETUID over the
 * parent namespace is needed; newuidmap(1) and newgidmap(1) are, and check
 * /etc/subuid and /etc/subgid before they write. They are given the number of
 * PID 1, which cannot be reused while the monitor has not waited for it.
 *
 * They run side by side, and beside PID 1's first steps: executing them is what
 * costs, and PID 1 has work that needs no ids. PID 1 is told when both are done;
 * it does not act with half an identity.
 *
 * A helper that fails ends the launch, with what it said. With --map=auto the
 * caller of launch_run() then begins anew with the one id: fewer ids are not less
 * protection, but uids of one kind with gids of the other would be half an identity.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/idmap.h"
#include "sbx/run/signals.h"
#include "sbx/run/steps.h"
#include "sbx/spec/hints.h"

enum { IDMAP_TEXT_MAX = 340 * 36 };

void idmap_job_init(struct idmap_job *job)
{
	memset(job, 0, sizeof(*job));
	job->helpers[0].pidfd = -1;
	job->helpers[1].pidfd = -1;
	job->error_fd = -1;
}

/* End helpers that are still running, and forget everything. */
void idmap_job_finish(struct idmap_job *job)
{
	for (size_t i = 0; i < ARRAY_SIZE(job->helpers); i++) {
		int status;

		if (job->helpers[i].pid > 0) {
			(void)kill(job->helpers[i].pid, SIGKILL);
			(void)proc_wait(job->helpers[i].pid, &status);
			job->helpers[i].pid = 0;
		}
		defs_cleanup_fd(&job->helpers[i].pidfd);
		job->helpers[i].pidfd = -1;
	}
	defs_cleanup_fd(&job->error_fd);
	job->error_fd = -1;
}

static const struct plan_map *idmap_of(const struct sbx_plan *plan, size_t which)
{
	return which == 0 ? &plan->gid_map : &plan->uid_map;
}

/* newuidmap PID INSIDE OUTSIDE COUNT [...] */
static int idmap_start_helper(struct idmap_job *job, size_t which, const struct plan_map *map,
			      pid_t child, const sigset_t *sigmask, int error_fd,
			      struct sbx_err *err)
{
	size_t n_words = 2 + map->n_lines * 3;
	_autofree_ const char **argv = calloc(n_words + 1, sizeof(*argv));
	_autofree_ char *numbers = calloc(n_words, 12);
	struct proc_spawn spawn = {.path = map->helper,
				   .argv = argv,
				   .sigmask = sigmask,
				   .output_fd = -1,
				   .error_fd = error_fd,
				   .beside = which == 0};
	int r;

	if (!argv || !numbers)
		return err_oom(err);
	argv[0] = map->helper;
	for (size_t i = 1; i < n_words; i++) {
		const struct plan_map_line *line = &map->lines[i < 2 ? 0 : (i - 2) / 3];
		const uint32_t columns[] = {line->inside, line->outside, line->count};
		char *text = numbers + i * 12;

		(void)snprintf(text, 12, "%u", i == 1 ? (uint32_t)child : columns[(i - 2) % 3]);
		argv[i] = text;
	}
	r = proc_start(&spawn, &job->helpers[which].pid);
	if (r < 0) {
		(void)proc_refuse(map->helper, -r, "cannot start", err);
		hint_add(err, HINT_IDMAP);
		return r;
	}
	job->helpers[which].path = map->helper;
	job->helpers[which].pidfd = sys_pidfd_open(job->helpers[which].pid);
	if (job->helpers[which].pidfd < 0)
		return err_system(err, errno, map->helper, "cannot watch");
	return 0;
}

/**
 * Start both helpers.
 * @child:   PID 1 of the sandbox, a child that has not been waited for
 * @sigmask: for the helpers, which the terminal does not stop
 *
 * Return: 0, or -errno with *err filled; then idmap_job_finish() cleans up.
 */
int idmap_job_start(struct idmap_job *job, const struct sbx_plan *plan, pid_t child,
		    const sigset_t *sigmask, struct sbx_err *err)
{
	_autoclose_ int write_fd = -1;
	sigset_t mask = *sigmask;
	int fds[2], r = 0;

	/* Ctrl-Z is the command's; a helper that it stops would stop all, and tell nobody. */
	signals_add_stops(&mask);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe for the helpers");
	job->error_fd = fds[0];
	write_fd = fds[1];
	for (size_t i = 0; i < ARRAY_SIZE(job->helpers) && r == 0; i++)
		r = idmap_start_helper(job, i, idmap_of(plan, i), child, &mask, write_fd, err);
	return r;
}

bool idmap_job_done(const struct idmap_job *job)
{
	return job->helpers[0].pid == 0 && job->helpers[1].pid == 0;
}

static int idmap_write(int proc_fd, const char *who, const char *file, const char *text,
		       struct sbx_err *err)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", who, file);
	r = io_write_file_at(proc_fd, path, text, strlen(text));
	if (r == 0)
		return 0;
	(void)err_system(err, -r, path, "cannot write the id map");
	hint_add(err, HINT_IDMAP);
	return r;
}

/* Map only the caller's own id. A gid map is taken from the unprivileged only without setgroups. */
static int idmap_write_single(int proc_fd, const char *who, const struct plan_map *map, bool groups,
			      struct sbx_err *err)
{
	char line[64];
	int r = 0;

	if (groups)
		r = idmap_write(proc_fd, who, "setgroups", "deny", err);
	(void)snprintf(line, sizeof(line), "%u %u 1\n", map->own_inside, map->own_outside);
	return r < 0 ? r : idmap_write(proc_fd, who, groups ? "gid_map" : "uid_map", line, err);
}

/* The first line that the helpers said, without their name in front. */
static void idmap_read_complaint(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int idmap_helper_failed(struct idmap_job *job, size_t which, int status, struct sbx_err *err)
{
	const char *path = job->helpers[which].path;
	char complaint[256];
	int r;

	idmap_read_complaint(job->error_fd, complaint, sizeof(complaint));
	if (WIFSIGNALED(status))
		r = err_refuse(err, ECANCELED, path, "was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127 && complaint[0] == '\0')
		r = err_refuse(err, ENOEXEC, path, "cannot be executed");
	else
		r = err_refuse(err, EPERM, path, "failed with exit status %d%s%s",
			       WEXITSTATUS(status), complaint[0] ? ": " : "", complaint);
	hint_add(err, HINT_MAP_HELPER);
	return r;
}

/* Is this the error of a helper that has failed? --map=auto can do without. */
bool idmap_is_to_blame(const struct sbx_err *err)
{
	return str_equal(err->option, hint_option(HINT_MAP_HELPER));
}

/**
 * Collect the helpers that have ended.
 *
 * Return: 0, or -errno with *err filled when one has failed.
 */
int idmap_job_reap(struct idmap_job *job, struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(job->helpers); i++) {
		int status;

		if (job->helpers[i].pid == 0 ||
		    waitpid(job->helpers[i].pid, &status, WNOHANG) != job->helpers[i].pid)
			continue;
		job->helpers[i].pid = 0;
		defs_cleanup_fd(&job->helpers[i].pidfd);
		job->helpers[i].pidfd = -1;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return idmap_helper_failed(job, i, status, err);
	}
	return 0;
}

/* PID 1, where no helper is needed: map the caller's own ids. */
int idmap_write_own(const struct sbx_plan *plan, struct sbx_err *err)
{
	int r = idmap_write_single(AT_FDCWD, "/proc/self", &plan->gid_map, true, err);

	return r < 0 ? r : idmap_write_single(AT_FDCWD, "/proc/self", &plan->uid_map, false, err);
}

/*
 * The same from outside, for a child of the process in a user namespace that belongs to the
 * caller. Return: 0, or -errno with *err filled.
 */
int idmap_write_child(pid_t child, const struct sbx_plan *plan, struct sbx_err *err)
{
	char who[32];
	int r;

	(void)snprintf(who, sizeof(who), "/proc/%d", child);
	r = idmap_write_single(AT_FDCWD, who, &plan->gid_map, true, err);
	return r < 0 ? r : idmap_write_single(AT_FDCWD, who, &plan->uid_map, false, err);
}

/* One line of a map, as the process in /proc/self sees it. Return: false: there is none. */
static bool idmap_read_line(const char **text, struct plan_map_line *ret)
{
	unsigned numbers[3];
	int used = 0;

	if (sscanf(*text, "%u %u %u%n", &numbers[0], &numbers[1], &numbers[2], &used) != 3)
		return false;
	*text += used;
	*ret = (struct plan_map_line){numbers[0], numbers[1], numbers[2]};
	return true;
}

/* Of ids of the host, what they are called in the namespace with the map @above. */
static int idmap_translate(const struct plan_map_line *line, const char *above, struct str_buf *out)
{
	uint32_t done = 0;

	while (done < line->count) {
		const char *text = above;
		struct plan_map_line there = {.count = 0};
		uint32_t outside = line->outside + done, count;

		while (idmap_read_line(&text, &there) &&
		       (outside < there.outside || outside - there.outside >= there.count))
			there.count = 0;
		if (there.count == 0)
			return -ERANGE;
		count = there.count - (outside - there.outside);
		if (count > line->count - done)
			count = line->count - done;
		str_buf_printf(out, "%u %u %u\n", line->inside + done,
			       there.inside + (outside - there.outside), count);
		done += count;
	}
	return out->cut ? -E2BIG : 0;
}

static int idmap_write_part(const char *who, const char *file, const struct plan_map *map,
			    struct sbx_err *err)
{
	_autofree_ char *text = malloc(IDMAP_TEXT_MAX);
	_autoarena_ struct arena arena;
	struct str_buf out = {.data = text, .size = IDMAP_TEXT_MAX};
	char path[48], *above = NULL;
	size_t len;
	int r;

	arena_init(&arena);
	if (!text)
		return err_oom(err);
	text[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/self/%s", file);
	r = io_read_file(path, IDMAP_TEXT_MAX, &arena, &above, &len);
	if (r < 0)
		return err_system(err, -r, path, "cannot read");
	for (size_t i = 0; i < map->n_lines && r == 0; i++)
		r = idmap_translate(&map->lines[i], above, &out);
	if (r < 0)
		return err_refuse(err, -r, path, "has not all the ids that are to be mapped");
	return idmap_write(AT_FDCWD, who, file, out.data, err);
}

/**
 * Map the ids of a child whose user namespace is below the one that this process is in, and has
 * the capabilities of. The plan has the host's ids; what these are called here, /proc says.
 *
 * Return: 0, or -errno with *err filled (-ERANGE: not all of them are here).
 */
int idmap_write_below(pid_t child, const struct sbx_plan *plan, struct sbx_err *err)
{
	char who[32];
	int r = 0;

	(void)snprintf(who, sizeof(who), "/proc/%d", child);
	/* As where the sandbox maps its one id itself. */
	if (!plan->gid_map.helper)
		r = idmap_write(AT_FDCWD, who, "setgroups", "deny", err);
	if (r == 0)
		r = idmap_write_part(who, "gid_map", &plan->gid_map, err);
	return r < 0 ? r : idmap_write_part(who, "uid_map", &plan->uid_map, err);
}

/* "N N COUNT" for every range that exists inside. */
static void idmap_identity(const struct plan_map *map, char *text, size_t size)
{
	struct str_buf out = {.data = text, .size = size};

	for (size_t i = 0; i < map->n_lines; i++)
		str_buf_printf(&out, "%u %u %u\n", map->lines[i].inside, map->lines[i].inside,
			       map->lines[i].count);
	assert(!out.cut);
}

/**
 * Give a user namespace the ids that the one above it has.
 * @proc_fd: borrowed; a procfs in which @child is the child's number
 * @child:   a process in it; 0: this one is
 *
 * Return: 0, or -errno with *err filled.
 */
int idmap_write_same(int proc_fd, pid_t child, const struct sbx_plan *plan, struct sbx_err *err)
{
	_autofree_ char *text = malloc(IDMAP_TEXT_MAX);
	char who[16];
	int r = 0;

	if (!text)
		return err_oom(err);
	if (child)
		(void)snprintf(who, sizeof(who), "%d", child);
	else
		str_copy(who, sizeof(who), "self");
	/* Without a helper, setgroups is denied in the parent already, and so is it here. */
	idmap_identity(&plan->gid_map, text, IDMAP_TEXT_MAX);
	r = idmap_write(proc_fd, who, "gid_map", text, err);
	idmap_identity(&plan->uid_map, text, IDMAP_TEXT_MAX);
	return r < 0 ? r : idmap_write(proc_fd, who, "uid_map", text, err);
}

/*
 * Behind all that needed the rights over the mounts, which belong to the namespace
 * above. The view of /proc was for this, unless the processes are the host's anyway.
 */
int step_run_nest_userns(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int r;

	(void)step;
	if (unshare(CLONE_NEWUSER) < 0)
		return err_system(err, errno, NULL, "cannot create a user namespace below");
	r = idmap_write_same(ctx->proc_fd, 0, ctx->plan, err);
	if (ctx->plan->own_pid_ns) {
		defs_cleanup_fd(&ctx->proc_fd);
		ctx->proc_fd = -1;
	}
	return r;
}
