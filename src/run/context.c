/* SPDX-License-Identifier: MIT */
/* context: begin and end of what the steps share. */

#include <stddef.h>
#include <string.h>

#include "sbx/run/context.h"
#include "sbx/run/placeholder.h"

void context_init(struct run_context *ctx, const struct sbx_plan *plan)
{
	memset(ctx, 0, offsetof(struct run_context, pwd));
	ctx->plan = plan;
	ctx->host_root_fd = -1;
	ctx->source_dir_fd = -1;
	ctx->root_fd = -1;
	ctx->first_root_fd = -1;
	ctx->store_fd = -1;
	ctx->names_fd = -1;
	ctx->proc_fd = -1;
	ctx->covered_fd = -1;
	ctx->sock_fd = -1;
	arena_init(&ctx->arena);
	ctx->pty_master_fd = -1;
	ctx->pty_slave_fd = -1;
}

static void context_forget_binds(struct run_context *ctx)
{
	for (size_t i = 0; i < ctx->n_binds; i++) {
		free(ctx->binds[i].dest);
		free(ctx->binds[i].host);
	}
	free(ctx->binds);
	ctx->binds = NULL;
	ctx->n_binds = 0;
}

/* Does the sandbox go on when the monitor is killed? */
bool context_outlives_monitor(const struct run_context *ctx)
{
	return ctx->plan->outlives_monitor && !ctx->needs_monitor;
}

/* Close what only mounting needed, the host's root above all. */
void context_finish_setup(struct run_context *ctx)
{
	int *fds[] = {&ctx->host_root_fd, &ctx->source_dir_fd, &ctx->root_fd, &ctx->first_root_fd,
		      &ctx->store_fd,	  &ctx->covered_fd,    &ctx->names_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		defs_cleanup_fd(fds[i]);
		*fds[i] = -1;
	}
	context_forget_binds(ctx);
	if (ctx->placeholders)
		placeholder_end(ctx->placeholders);
}
