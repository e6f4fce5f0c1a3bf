/* SPDX-License-Identifier: MIT */
/*
 * sweep: what every verb does beside its own work: remove what killed sandboxes have
 * left. The run form's launches do so by themselves (run/launch_start.c).
 */

#include "sbx/box/box.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cow/session.h"
#include "sbx/run/placeholder.h"
#include "sbx/run/share.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/records.h"
#include "sbx/spec/session.h"

extern char **environ;

/* Looking at the sandboxes that run removes what is left of those that do not. */
static void cmd_sweep_all(struct sbx_plan *plan, const char *const networks[PLAN_RECORD_DIRS])
{
	struct box_list ignored;
	struct sbx_err err;

	placeholder_sweep(plan, PLACEHOLDER_SWEEP_ALL);
	(void)box_list(plan->box_dirs, BOX_RUNNING, &plan->arena, &ignored, &err);
	for (size_t i = 0; i < PLAN_RECORD_DIRS; i++)
		if (networks[i])
			share_sweep_all(networks[i]);
}

/* What goes wrong is left for the next time: it is nobody's errand. */
void cmd_sweep(void)
{
	const char *networks[PLAN_RECORD_DIRS] = {NULL};
	struct probe_host host;
	struct sbx_plan plan;
	const char *sessions;
	struct sbx_err err;

	plan_init(&plan);
	if (probe_host(&plan.arena, environ, false, &host, &err) < 0) {
		plan_finish(&plan);
		return;
	}
	sessions = session_get_base(&host, &plan.arena);
	if (sessions)
		cow_session_sweep(sessions);
	if (records_add_dirs(&host, &plan, &err) == 0 &&
	    records_add_networks(&host, &plan, networks) == 0)
		cmd_sweep_all(&plan, networks);
	plan_finish(&plan);
}
