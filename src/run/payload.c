/* SPDX-License-Identifier: MIT */
/*
 * payload: the last steps before the command runs.
 *
 * Runs in: a child of PID 1 (or PID 1 itself with --as-pid-1). Whatever fails is
 * sent to the monitor, which prints it; the socket for that is closed by the
 * exec. Signals stay blocked until the very end: one that arrives early acts as
 * if the command had been running.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/lookup.h"
#include "sbx/run/payload.h"
#include "sbx/run/steps.h"

/*
 * PWD in the environment: the room for it is envp[0], its place perhaps further down.
 * @dir: as it was entered; an absolute name stays what it is, with the links in it, and any
 *       where the plan says so
 */
static int payload_set_pwd(struct run_context *ctx, const char *dir, struct sbx_err *err)
{
	const size_t name = sizeof("PWD=") - 1;

	memcpy(ctx->pwd, "PWD=", name);
	if (dir[0] == '/' || ctx->plan->pwd_as_typed)
		str_copy(ctx->pwd + name, sizeof(ctx->pwd) - name, dir);
	else if (!getcwd(ctx->pwd + name, sizeof(ctx->pwd) - name))
		return err_system(err, errno, NULL, "cannot tell the working directory");
	for (size_t i = 0; i < ctx->plan->pwd_at; i++)
		ctx->plan->envp[i] = ctx->plan->envp[i + 1];
	ctx->plan->envp[ctx->plan->pwd_at] = ctx->pwd;
	return 0;
}

int step_run_chdir(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const char *const *dirs = ctx->plan->workdirs;
	bool required = ctx->plan->workdir_required;

	(void)step;
	for (size_t i = 0; dirs[i]; i++) {
		if (chdir(dirs[i]) == 0)
			return payload_set_pwd(ctx, dirs[i], err);
		if (!required && dirs[i + 1])
			continue;
		return err_system(err, errno, dirs[i], "cannot change to the working directory");
	}
	return 0;
}

/*
 * The signals that wait are let through meanwhile: whoever is to say "go" may never
 * do so, and the caller must be able to end what has not begun.
 */
int step_run_block(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = step->fd, .events = POLLIN};
	char byte;
	ssize_t n;

	do {
		n = ppoll(&pfd, 1, NULL, &ctx->caller_sigmask);
		if (n > 0)
			n = read(step->fd, &byte, 1);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return err_system(err, errno, NULL, "cannot read from descriptor %d", step->fd);
	close(step->fd);
	return 0;
}

/* Close, on execution, what options consumed. sbx's own descriptors are marked from birth. */
static int payload_close_consumed(const struct sbx_plan *plan, struct sbx_err *err)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		int fd = plan->steps[i].fd; /* those of the status are closed already */

		if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
			return err_system(err, errno, NULL, "cannot close descriptor %d", fd);
	}
	return 0;
}

int step_run_descriptors(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct sbx_plan *plan = ctx->plan;

	int r = 0;

	(void)step;
	if (plan->passes_fds)
		r = payload_close_consumed(plan, err);
	else if (sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		r = err_system(err, errno, NULL, "cannot close descriptors");
	if (r < 0)
		return r;
	/* The others are marked already; this one may be 0, 1 or 2. */
	if (plan->sync_fd >= 0 && fcntl(plan->sync_fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_system(err, errno, NULL, "cannot close descriptor %d", plan->sync_fd);
	for (size_t i = 0; i < plan->n_pass_fds; i++)
		if (fcntl(plan->pass_fds[i], F_SETFD, 0) < 0)
			return err_system(err, errno, NULL, "cannot pass descriptor %d",
					  plan->pass_fds[i]);
	return 0;
}

/*
 * What the caller had, and the command shall have: umask, limits, blocked signals. The last
 * thing before the execution, or before a filter that may refuse the calls for it.
 */
int payload_restore(struct run_context *ctx, struct sbx_err *err)
{
	ctx->caller_restored = true;
	(void)umask(ctx->caller_umask);
	if (ctx->nofile_raised && setrlimit(RLIMIT_NOFILE, &ctx->caller_nofile) < 0)
		return err_system(err, errno, NULL, "cannot set the limit on open files");
	if (sigprocmask(SIG_SETMASK, &ctx->caller_sigmask, NULL) < 0)
		return err_system(err, errno, NULL, "cannot restore the signal mask");
	return 0;
}

int step_run_lookup(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)step;
	return lookup_check(ctx->plan, err);
}

int step_run_exec(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int r = 0;

	(void)step;
	if (!ctx->caller_restored)
		r = payload_restore(ctx, err);
	if (r < 0)
		return r;
	return lookup_exec(ctx->plan, err);
}

/* A gate that closes without that byte is a PID 1 that has failed, and said why. */
static int payload_wait_at_gate(int gate_fd, struct sbx_err *err)
{
	char byte;
	ssize_t n;

	do {
		n = read(gate_fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		_exit(ERR_EXIT_FAILED);
	return n < 0 ? err_system(err, errno, NULL, "cannot hear from PID 1") : 0;
}

/*
 * What is done before the steps, one of which may load a filter of the caller's that
 * allows none of it: where this process is the monitor's child and is to outlive it, it
 * must be told so.
 */
static int payload_let_go(struct run_context *ctx, struct sbx_err *err)
{
	const struct sbx_plan *plan = ctx->plan;

	if (plan->init_is_payload && context_outlives_monitor(ctx) &&
	    prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_system(err, errno, NULL, "cannot change the signal at sbx's death");
	return ctx->n_raw ? payload_restore(ctx, err) : 0;
}

/* A filter of the caller's may refuse even the end: a fault it cannot refuse. */
static noreturn void payload_end(int exit_code)
{
	(void)syscall(SYS_exit_group, exit_code);
	__builtin_trap();
}

/**
 * Go through the payload's steps; the last one executes the command.
 * @sock_fd: taken by the process; for FAILED
 * @gate_fd: a byte on it is the sign that PID 1 is ready; -1: no need to wait
 */
noreturn void payload_main(struct run_context *ctx, int sock_fd, int gate_fd)
{
	struct sbx_err err;
	int r = gate_fd < 0 ? 0 : payload_wait_at_gate(gate_fd, &err);

	if (r == 0)
		r = payload_let_go(ctx, &err);
	if (r == 0)
		(void)steps_run_phase(ctx, PLAN_PAYLOAD, &err);
	handshake_fail(sock_fd, ctx->last_word, &err);
	payload_end(err.exit_code);
}
