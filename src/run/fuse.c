/* SPDX-License-Identifier: MIT */
/*
 * fuse: the processes of fuse-overlayfs that a sandbox has.
 *
 * Theory of operation
 *
 *     PID 1                  monitor                 maker                 fuse-overlayfs
 *     LAYERS(_ALONE),
 *     a step           ──►   forks the maker   ──►   enters the user
 *                                              ◄──   namespace, looks the
 *                                                    layers through: FUSE_LOOKS
 *                                                    starts             ─► mounts itself
 *                            owns the helper   ◄──   FUSE_HELPER, a pidfd
 *                                              ◄──   FUSE_MOUNT, a clone, and ends
 *     LAYERS_READY     ◄──   passes it on
 *     places the mount
 *
 * The monitor is the helper's parent and holds it by a pidfd; it dies with the monitor
 * (PR_SET_PDEATHSIG). At the end of the sandbox its mount goes, and it ends by itself with
 * all written; only one that does not is killed. Should it die before, the command is
 * left with directories that answer "Transport endpoint is not connected": then the
 * sandbox is ended, and it is said why.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/fuse.h"
#include "sbx/run/fuse_maker.h"
#include "sbx/run/handshake.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/steps.h"

enum { FUSE_END_MS = 10 * 1000 };

void fuse_init(struct fuse_jobs *jobs)
{
	*jobs = (struct fuse_jobs){.maker_fd = -1};
	for (size_t i = 0; i < PLAN_FUSE_MAX; i++)
		jobs->helpers[i].pidfd = jobs->helpers[i].error_fd = -1;
}

static void fuse_forget(struct fuse_helper *helper)
{
	defs_cleanup_fd(&helper->pidfd);
	defs_cleanup_fd(&helper->error_fd);
	helper->pidfd = helper->error_fd = -1;
}

static void fuse_kill(struct fuse_helper *helper)
{
	int r;

	(void)sys_pidfd_send_signal(helper->pidfd, SIGKILL);
	do {
		r = waitid(P_PIDFD, (id_t)helper->pidfd, NULL, WEXITED);
	} while (r < 0 && errno == EINTR);
	fuse_forget(helper);
}

/* What the maker has sent that nobody has read: at most which process the helper is. */
static void fuse_hear_last(struct fuse_jobs *jobs)
{
	struct fuse_helper *helper = &jobs->helpers[jobs->n_helpers - 1];
	struct handshake_msg msg;

	while (handshake_receive(jobs->maker_fd, HANDSHAKE_FUSE_MAKER, false, &msg) == 1) {
		if (msg.type == HANDSHAKE_FUSE_HELPER && helper->pidfd < 0)
			helper->pidfd = msg.fd;
		else
			defs_cleanup_fd(&msg.fd);
	}
}

/* The maker has done its work, or is not wanted any more. */
static void fuse_end_maker(struct fuse_jobs *jobs)
{
	int status;

	if (jobs->maker > 0) {
		struct fuse_helper *helper = &jobs->helpers[jobs->n_helpers - 1];

		(void)kill(jobs->maker, SIGKILL);
		/* It may wait for an answer of its helper, and then ends behind that only. */
		if (!helper->ready)
			fuse_hear_last(jobs);
		if (!helper->ready && helper->pidfd >= 0)
			fuse_kill(helper);
		(void)proc_wait(jobs->maker, &status);
		jobs->maker = 0;
	}
	defs_cleanup_fd(&jobs->maker_fd);
	jobs->maker_fd = -1;
}

/* Let it end by itself, as it does when its mount is gone; until then, and no longer. */
static void fuse_await_end(const struct fuse_helper *helper, int64_t until_ms)
{
	struct pollfd pfd = {.fd = helper->pidfd, .events = POLLIN};
	int64_t left;

	while ((left = until_ms - clock_now_ms()) > 0)
		if (poll(&pfd, 1, (int)left) >= 0 || errno != EINTR)
			return;
}

/**
 * Who was killed may wait for an answer of a helper that gives none, and then ends behind it only.
 * @pidfd: of who was killed
 */
void fuse_await_killed(struct fuse_jobs *jobs, int pidfd)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	if (!fuse_is_running(jobs) || poll(&pfd, 1, FUSE_END_MS) > 0)
		return;
	for (size_t i = 0; i < jobs->n_helpers; i++)
		if (jobs->helpers[i].pidfd >= 0)
			fuse_kill(&jobs->helpers[i]);
}

/**
 * End what is there.
 * @sandbox_is_gone: nothing has the mounts any more, so that the helpers end by themselves
 */
void fuse_finish(struct fuse_jobs *jobs, bool sandbox_is_gone)
{
	int64_t until_ms = clock_now_ms() + FUSE_END_MS;

	fuse_end_maker(jobs);
	for (size_t i = 0; i < jobs->n_helpers; i++) {
		struct fuse_helper *helper = &jobs->helpers[i];

		if (helper->pidfd < 0)
			continue;
		if (helper->ready && sandbox_is_gone)
			fuse_await_end(helper, until_ms);
		fuse_kill(helper);
	}
	jobs->n_helpers = 0;
}

/* ---- start ---- */

/* Above the standard descriptors, whose numbers the monitor has free. */
static int fuse_raise(int fds[2])
{
	int r = 0;

	for (int i = 0; i < 2; i++) {
		int high = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

		if (high < 0)
			r = -errno;
		close(fds[i]);
		fds[i] = high;
	}
	if (r < 0)
		for (int i = 0; i < 2; i++)
			defs_cleanup_fd(&fds[i]);
	return r;
}

static int fuse_fork(struct fuse_jobs *jobs, const struct fuse_maker *maker)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		fuse_maker_main(maker);
	jobs->maker = pid;
	return 0;
}

static int fuse_start_maker(struct fuse_jobs *jobs, struct fuse_helper *helper, bool alone,
			    int init_pidfd)
{
	struct fuse_maker maker = {.plan = jobs->plan,
				   .step = helper->step,
				   .alone = alone,
				   .sigmask = jobs->sigmask,
				   .monitor = getpid(),
				   .init_pidfd = init_pidfd,
				   .cgroup_fd = jobs->cgroup_fd ? *jobs->cgroup_fd : -1};
	int socks[2], errors[2], r;

	r = handshake_open(socks);
	if (r == 0)
		r = fuse_raise(socks);
	if (r < 0)
		return r;
	/* Not to wait for who reads it: a helper with much to say must not stop over that. */
	r = pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : fuse_raise(errors);
	if (r == 0) {
		maker.sock_fd = socks[1];
		maker.error_fd = errors[1];
		r = fuse_fork(jobs, &maker);
		close(errors[1]);
		helper->error_fd = errors[0];
	}
	close(socks[1]);
	jobs->maker_fd = socks[0];
	return r;
}

static void fuse_put_prefix(const struct sbx_plan *plan, struct str_buf *text)
{
	str_buf_printf(text, "%s%s: ", plan->level_prefix ? "<4>" : "",
		       plan->bwrap_words ? "bwrap" : "sbx");
}

/* In any case: what is not held is not found out by whoever relies on it. */
static void fuse_warn_of_losses(const struct sbx_plan *plan, const struct plan_step *step)
{
	char room[2048], why[1024];
	struct str_buf text = STR_BUF_ON_STACK(room), loss = STR_BUF_ON_STACK(why);

	layers_describe_loss(step->layers, &loss);
	fuse_put_prefix(plan, &text);
	str_buf_escape(&text, step->dest, strlen(step->dest));
	str_buf_puts(&text, ": ");
	str_buf_escape(&text, loss.data, loss.len);
	str_buf_puts(&text, "\n");
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/* Which of several drivers it has become. */
static void fuse_tell_driver(const struct fuse_jobs *jobs, const struct plan_step *step,
			     uint32_t driver)
{
	char room[1024];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (!jobs->plan->verbose || step->layers->drivers == driver)
		return;
	fuse_put_prefix(jobs->plan, &text);
	str_buf_escape(&text, step->dest, strlen(step->dest));
	str_buf_puts(&text, " is put together by ");
	layers_describe_drivers(driver, &text);
	if ((step->layers->drivers & PLAN_LAYERS_KERNEL) && driver != PLAN_LAYERS_KERNEL)
		str_buf_puts(&text, ", as the kernel alone has refused");
	str_buf_puts(&text, "\n");
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/**
 * Make the overlay of a step, for PID 1, which waits.
 * @step:       the index of a layers step that may use fuse-overlayfs
 * @alone:      it also keeps what is written; else it is for reading
 * @init_pidfd: borrowed; PID 1's
 *
 * Return: 0, or -errno with *err filled; then fuse_finish() cleans up.
 */
int fuse_start(struct fuse_jobs *jobs, int step, bool alone, int init_pidfd, struct sbx_err *err)
{
	const uint32_t way = alone ? PLAN_LAYERS_FUSE : PLAN_LAYERS_OVER_FUSE;
	const struct sbx_plan *plan = jobs->plan;
	struct fuse_helper *helper = &jobs->helpers[jobs->n_helpers];
	int r;

	if (!plan || step < 0 || (size_t)step >= plan->n_steps || !plan->steps[step].layers ||
	    !(plan->steps[step].layers->drivers & way) || jobs->n_helpers >= PLAN_FUSE_MAX ||
	    jobs->maker > 0)
		return err_refuse(err, EPROTO, NULL, "PID 1 asks for layers that are not planned");
	helper->step = &plan->steps[step];
	helper->alone = alone;
	jobs->n_helpers++;
	r = fuse_start_maker(jobs, helper, alone, init_pidfd);
	return r < 0 ? err_system(err, -r, plan->fuse_overlayfs, "cannot start") : 0;
}

/* A step that may have needed a helper has its mount, of the kernel's. */
void fuse_note_done(struct fuse_jobs *jobs, int step)
{
	jobs->n_done++;
	if (step >= 0 && (size_t)step < jobs->plan->n_steps && jobs->plan->steps[step].layers)
		fuse_tell_driver(jobs, &jobs->plan->steps[step], PLAN_LAYERS_KERNEL);
}

/* Are there steps left that may need one? */
bool fuse_is_awaited(const struct fuse_jobs *jobs)
{
	return jobs->plan && jobs->n_done < jobs->plan->n_fuse;
}

bool fuse_is_starting(const struct fuse_jobs *jobs)
{
	return jobs->maker > 0;
}

bool fuse_is_running(const struct fuse_jobs *jobs)
{
	for (size_t i = 0; i < jobs->n_helpers; i++)
		if (jobs->helpers[i].pidfd >= 0)
			return true;
	return false;
}

/* ---- what it comes to ---- */

/* Put the step's words around an error, as PID 1 would have. */
static int fuse_blame(const struct fuse_jobs *jobs, const struct fuse_helper *helper, int r,
		      struct sbx_err *err)
{
	err_blame_step(err, jobs->plan, (size_t)(helper->step - jobs->plan->steps));
	return r;
}

/* The last line of what it has said: libfuse warns of options first. */
static void fuse_read_complaint(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	char *last;

	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	last = strrchr(text, '\n');
	if (last)
		memmove(text, last + 1, strlen(last + 1) + 1);
}

static void fuse_describe_end(const struct fuse_helper *helper, const siginfo_t *end,
			      struct str_buf *out)
{
	char complaint[512];

	fuse_read_complaint(helper->error_fd, complaint, sizeof(complaint));
	if (end->si_code != CLD_EXITED)
		str_buf_printf(out, "was killed by signal %d", end->si_status);
	else
		str_buf_printf(out, "has ended with exit status %d", end->si_status);
	str_buf_puts(out, complaint[0] ? ": " : "");
	str_buf_escape(out, complaint, strlen(complaint));
}

/**
 * A helper has ended. One whose mount has gone ends well, with the sandbox.
 *
 * Return: 0, or -errno with *err filled.
 */
int fuse_reap(struct fuse_jobs *jobs, size_t index, struct sbx_err *err)
{
	struct fuse_helper *helper = &jobs->helpers[index];
	char room[1024];
	struct str_buf how = STR_BUF_ON_STACK(room);
	siginfo_t end = {.si_pid = 0};
	int r;

	if (helper->pidfd < 0 ||
	    waitid(P_PIDFD, (id_t)helper->pidfd, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
		return 0;
	if (helper->ready && end.si_code == CLD_EXITED && end.si_status == 0) {
		fuse_forget(helper);
		return 0;
	}
	fuse_describe_end(helper, &end, &how);
	fuse_forget(helper);
	r = err_refuse(err, ECANCELED, jobs->plan->fuse_overlayfs, "%s%s", how.data,
		       helper->ready ? "; the sandbox cannot go on without its layers" : "");
	if (!helper->ready)
		hint_add(err, HINT_FUSE_OVERLAYFS);
	return fuse_blame(jobs, helper, r, err);
}

/* Its mount may have gone with a maker that could not hand it over. */
static bool fuse_has_ended_well(const struct fuse_helper *helper)
{
	siginfo_t end = {.si_pid = 0};

	return waitid(P_PIDFD, (id_t)helper->pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       end.si_pid != 0 && end.si_code == CLD_EXITED && end.si_status == 0;
}

/**
 * Hear from the maker.
 * @ret_mount_fd: a mount for PID 1, owned by the caller; untouched where there is none (yet)
 *
 * Return: 0, or -errno with *err filled.
 */
int fuse_hear(struct fuse_jobs *jobs, int *ret_mount_fd, struct sbx_err *err)
{
	struct fuse_helper *helper = &jobs->helpers[jobs->n_helpers - 1];
	struct handshake_msg msg;
	int r = handshake_receive(jobs->maker_fd, HANDSHAKE_FUSE_MAKER, false, &msg);

	if (r == -EAGAIN || (r == 1 && msg.type == HANDSHAKE_FUSE_LOOKS))
		return 0;
	if (r == 1 && msg.type == HANDSHAKE_FUSE_HELPER) {
		defs_cleanup_fd(&helper->pidfd);
		helper->pidfd = msg.fd;
		return 0;
	}
	if (r == 1 && msg.type == HANDSHAKE_FUSE_MOUNT) {
		*ret_mount_fd = msg.fd;
		helper->ready = true;
		jobs->n_done++;
		fuse_end_maker(jobs);
		fuse_tell_driver(jobs, helper->step,
				 helper->alone ? PLAN_LAYERS_FUSE : PLAN_LAYERS_OVER_FUSE);
		if (helper->alone && helper->step->layers->top != PLAN_LAYERS_RO)
			fuse_warn_of_losses(jobs->plan, helper->step);
		return 0;
	}
	/* A helper that has failed is the cause of what the maker says, if it says anything. */
	if (helper->pidfd >= 0 && !(r == 1 && fuse_has_ended_well(helper))) {
		int e = fuse_reap(jobs, jobs->n_helpers - 1, err);

		if (e < 0)
			return e;
	}
	if (r == 1)
		*err = msg.err;
	else if (r < 0)
		(void)err_system(err, -r, NULL, "cannot hear from the maker of fuse-overlayfs");
	else
		(void)err_refuse(err, ECANCELED, NULL,
				 "the process that starts fuse-overlayfs has ended");
	return fuse_blame(jobs, helper, -ECANCELED, err);
}

int fuse_timed_out(const struct fuse_jobs *jobs, int seconds, struct sbx_err *err)
{
	int r = err_refuse(err, ETIMEDOUT, jobs->plan->fuse_overlayfs,
			   "has not mounted after %d seconds", seconds);

	hint_add(err, HINT_FUSE_OVERLAYFS);
	return fuse_blame(jobs, &jobs->helpers[jobs->n_helpers - 1], r, err);
}
