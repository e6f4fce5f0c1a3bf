/* SPDX-License-Identifier: MIT */
/*
 * run: the run form, sbx [OPTION...] -- COMMAND: argv -> spec -> plan -> launch.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cli/cli.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/launch.h"
#include "sbx/spec/explain.h"
#include "sbx/spec/exposure.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/spec_json.h"
#include "sbx/spec/steps.h"

extern char **environ;

/* -v: the steps and remarks, on standard error, before anything happens. */
static int run_print_plan(const struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		char room[1024];
		struct str_buf line = STR_BUF_ON_STACK(room);

		str_buf_printf(&line, "sbx: step %zu of %zu: ", i + 1, plan->n_steps);
		step_describe(&plan->steps[i], &line);
		str_buf_printf(&line, " [%s]\n", plan->steps[i].cause);
		r = io_write_all(STDERR_FILENO, line.data, line.len);
	}
	for (size_t i = 0; i < plan->n_remarks && r == 0; i++) {
		char room[1024];
		struct str_buf line = STR_BUF_ON_STACK(room);

		str_buf_printf(&line, "sbx: %s: ", plan->remarks[i].topic);
		str_buf_escape(&line, plan->remarks[i].text, strlen(plan->remarks[i].text));
		str_buf_puts(&line, "\n");
		r = io_write_all(STDERR_FILENO, line.data, line.len);
	}
	return r < 0 ? err_system(err, -r, NULL, "cannot write the plan to standard error") : 0;
}

/* What was asked of the plan: to be carried out, or only shown. */
static int run_act(const struct cli_run *run, const struct sbx_plan *plan,
		   const struct launch_caller *caller, int *ret_exit_code, struct sbx_err *err)
{
	int r = 0;

	*ret_exit_code = 0;
	if (run->action == CLI_EXPLAIN)
		return explain_print_text(plan, STDOUT_FILENO, err);
	if (run->action == CLI_EXPLAIN_JSON)
		return explain_print_json(plan, STDOUT_FILENO, err);
	if (run->verbose)
		r = run_print_plan(plan, err);
	return r < 0 ? r : launch_run(plan, caller, ret_exit_code, err);
}

static int run_resolve(const struct cli_run *run, struct sbx_plan *plan, struct sbx_err *err)
{
	struct probe_host host;
	int r = probe_host(&plan->arena, environ, &host, err);

	if (r == 0)
		r = resolve_plan(&run->spec, &host, plan, err);
	if (r == 0 && (run->action != CLI_RUN || run->verbose))
		r = exposure_add_remarks(&host, plan, err);
	return r;
}

/*
 * Resolve and act.
 * @why_single: NULL, or why an earlier try could not map the range
 */
static int run_try(const struct cli_run *run, const struct launch_caller *caller,
		   const char *why_single, int *ret_exit_code, struct sbx_err *err)
{
	struct sbx_plan plan;
	int r;

	plan_init(&plan);
	r = run_resolve(run, &plan, err);
	if (r == 0 && why_single &&
	    plan_add_remark(&plan, "map", "only the caller's own ids: %s", why_single) < 0)
		r = err_oom(err);
	if (r == 0)
		r = run_act(run, &plan, caller, ret_exit_code, err);
	plan_finish(&plan);
	return r;
}

/* With --map=auto a range that its helper cannot map, against all signs, is done without. */
static int run_plan(const struct cli_run *run, const struct launch_caller *caller,
		    int *ret_exit_code, struct sbx_err *err)
{
	struct cli_run single = *run; /* the arena stays the original's */
	char why[sizeof(err->path) + sizeof(err->what)];
	struct str_buf text = STR_BUF_ON_STACK(why);
	int r = run_try(run, caller, NULL, ret_exit_code, err);

	if (r != LAUNCH_WITHOUT_RANGE)
		return r;
	str_buf_printf(&text, "%s %s", err->path, err->what);
	single.spec.map = SPEC_MAP_SINGLE;
	return run_try(&single, caller, text.data, ret_exit_code, err);
}

static int run_parsed(const struct cli_run *run, char **argv, const struct launch_caller *caller,
		      int *ret_exit_code, struct sbx_err *err)
{
	switch (run->action) {
	case CLI_HELP:
		return cmd_help(1, argv, ret_exit_code, err);
	case CLI_VERSION:
		return cmd_version(1, argv, ret_exit_code, err);
	case CLI_EXPLAIN_SPEC:
		*ret_exit_code = 0;
		return spec_write_json(&run->spec, STDOUT_FILENO, err);
	case CLI_RUN:
	case CLI_EXPLAIN:
	case CLI_EXPLAIN_JSON:
		break;
	}
	return run_plan(run, caller, ret_exit_code, err);
}

int cmd_run(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	const struct launch_caller caller = launch_note_caller(argv, environ);
	struct cli_run run;
	int r;

	cli_run_init(&run);
	r = cli_parse_run(argc, argv, &run, err);
	if (r == 0)
		r = run_parsed(&run, argv, &caller, ret_exit_code, err);
	cli_run_finish(&run);
	return r;
}
