/* SPDX-License-Identifier: MIT */
/*
 * filter: read and load system call filters.
 *
 * Each is loaded by one seccomp(2); no_new_privs, without which the kernel would not
 * take it, is set by a step before. What is refused from then on also is for the
 * steps that follow, so their order in the plan matters (spec/filter.c).
 *
 * With --seccomp-log whatever the filter would refuse is put before the monitor
 * instead, which counts it and gives the same answer (run/refused.c). The kernel hands
 * the descriptor for that to whoever loads the filter, and from here it goes to the
 * monitor over the socket. Should the monitor die, the kernel answers ENOSYS.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/payload.h"
#include "sbx/run/steps.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/hints.h"

enum { INSN_BYTES = sizeof(struct sock_filter) };

static int filter_load(const struct seccomp_program *program, struct sbx_err *err)
{
	if (sys_seccomp_filter(program->insns, program->n_insns, 0) < 0)
		return err_system(err, errno, NULL, "cannot load the system call filter");
	return 0;
}

/* Load it so that the monitor hears of what it refuses. */
static int filter_load_notifying(struct run_context *ctx, const struct seccomp_program *program,
				 struct sbx_err *err)
{
	struct sock_filter *insns = arena_alloc(&ctx->arena, program->n_insns * INSN_BYTES);
	_autoclose_ int fd = -1;
	int r;

	if (!insns)
		return err_oom(err);
	memcpy(insns, program->insns, program->n_insns * INSN_BYTES);
	seccomp_make_notifying(insns, program->n_insns);
	fd = sys_seccomp_filter(insns, program->n_insns, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (fd < 0) {
		r = err_system(err, errno, NULL, "cannot load the system call filter");
		hint_add(err, HINT_LISTENER);
		return r;
	}
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_LISTENER, fd);
	return r < 0 ? err_system(err, -r, NULL, "cannot send the filter's descriptor") : 0;
}

static int filter_run(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	return ctx->plan->filter.log ? filter_load_notifying(ctx, step->program, err)
				     : filter_load(step->program, err);
}

int step_run_filter(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	return filter_run(ctx, step, err);
}

int step_run_own_filter(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int r = payload_restore(ctx, err);

	return r < 0 ? r : filter_run(ctx, step, err);
}

int step_run_reaper_filter(struct run_context *ctx, const struct plan_step *step,
			   struct sbx_err *err)
{
	(void)ctx;
	return filter_load(step->program, err);
}

/* ---- raw filters ---- */

int step_run_filter_data(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	struct run_raw_filter *raw;
	char *data = NULL;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < ctx->n_raw; i++)
		if (ctx->raw[i].fd == step->fd) /* it is read to its end already */
			return err_system(err, EBADF, NULL, "cannot read seccomp data");
	r = io_read_all(step->fd, SECCOMP_PROGRAM_MAX * INSN_BYTES, &ctx->arena, &data, &len);

	if (r == -EFBIG)
		return err_refuse(err, EFBIG, NULL,
				  "the filter is longer than the %d instructions that the kernel "
				  "takes",
				  SECCOMP_PROGRAM_MAX);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot read seccomp data");
	/* An empty one is the kernel's to refuse, as one of nonsense is. */
	if (len % INSN_BYTES != 0)
		return err_refuse(err, EINVAL, NULL,
				  "invalid seccomp data: %zu bytes, which must be a multiple of %d",
				  len, INSN_BYTES);
	raw = arena_grow(&ctx->arena, ctx->raw, ctx->n_raw, sizeof(*raw));
	if (!raw)
		return err_oom(err);
	raw[ctx->n_raw++] = (struct run_raw_filter){
		.fd = step->fd,
		.program = {(const struct sock_filter *)(const void *)data, len / INSN_BYTES},
	};
	ctx->raw = raw;
	return 0;
}

/* What was read from the step's descriptor: there was a step for that. */
static const struct seccomp_program *filter_raw(const struct run_context *ctx,
						const struct plan_step *step)
{
	size_t i = 0;

	while (ctx->raw[i].fd != step->fd)
		i++;
	return &ctx->raw[i].program;
}

/*
 * By prctl(2), as its callers know from bubblewrap: of several filters the first ones
 * need to allow that, and none needs to allow seccomp(2).
 */
static int filter_load_raw(const struct seccomp_program *program, struct sbx_err *err)
{
	const struct sock_fprog prog = {
		.len = (unsigned short)program->n_insns,
		.filter = (struct sock_filter *)(uintptr_t)program->insns,
	};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot load the system call filter");
	return 0;
}

int step_run_raw_filter(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct seccomp_program *program = filter_raw(ctx, step);

	if (!filter_can_start(program))
		return err_refuse(err, EINVAL, NULL,
				  "the filter refuses execve: the command could not be started");
	return filter_load_raw(program, err);
}

int step_run_reaper_raw_filter(struct run_context *ctx, const struct plan_step *step,
			       struct sbx_err *err)
{
	const struct seccomp_program *program = filter_raw(ctx, step);

	return program->n_insns && filter_init_survives(program) ? filter_load_raw(program, err)
								 : 0;
}
