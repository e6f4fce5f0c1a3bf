/* SPDX-License-Identifier: MIT */
/*
 * limits: resource limits, nice value and OOM score. What --timeout asks for is the monitor's
 * (run/launch.c). Runs in: PID 1 (the score) and the payload.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "sbx/base/io.h"
#include "sbx/run/steps.h"
#include "sbx/spec/limits.h"

/* See proc_pid_oom_score_adj(5). The host's /proc is there, so it is this process's own. */
int step_run_oom_score(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	static const char path[] = "/proc/self/oom_score_adj";
	int r = io_write_file_at(AT_FDCWD, path, step->text, strlen(step->text));

	(void)ctx;
	return r < 0 ? err_system(err, -r, path, "cannot set the OOM score to %s", step->text) : 0;
}

int step_run_nice(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int number, r = limits_read_number(LIMITS_NICE, step->text, step->cause, &number, err);

	(void)ctx;
	if (r == 0 && setpriority(PRIO_PROCESS, 0, number) < 0)
		r = err_system(err, errno, NULL, "cannot set the nice value to %d", number);
	return r;
}

/*
 * The number of descriptors is set when the steps that need some are over, in the place of the
 * caller's that is given back then. Where that has been done already (payload_let_go()), it is
 * set here.
 */
int step_run_rlimit(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	struct limits_rlimit rlimit;
	int r = limits_read_rlimit(step->text, step->cause, &rlimit, err);

	bool later = r == 0 && rlimit.resource == RLIMIT_NOFILE && ctx->n_raw == 0;

	if (r < 0)
		return r;
	/* One that is higher than the caller's is tried: it is likely to be refused. */
	if ((!later || rlimit.value.rlim_max > ctx->caller_nofile.rlim_max) &&
	    setrlimit(rlimit.resource, &rlimit.value) < 0)
		return err_system(err, errno, NULL, "cannot set the limit %s", step->text);
	if (later) {
		ctx->caller_nofile = rlimit.value;
		ctx->nofile_raised = true;
	}
	return 0;
}
