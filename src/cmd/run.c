/* SPDX-License-Identifier: MIT */
/*
 * run: the run form, sbx [OPTION...] -- COMMAND: argv -> spec -> plan -> launch.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/base/prefault.h"
#include "sbx/base/str.h"
#include "sbx/cli/bwrap.h"
#include "sbx/cli/cli.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cow/held.h"
#include "sbx/cow/session.h"
#include "sbx/cow/targets.h"
#include "sbx/cow/tell.h"
#include "sbx/run/detach.h"
#include "sbx/run/launch.h"
#include "sbx/run/register.h"
#include "sbx/run/signals.h"
#include "sbx/run/status.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/explain.h"
#include "sbx/spec/exposure.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/spec_json.h"
#include "sbx/spec/steps.h"

extern char **environ;

enum { RUN_STACK_BYTES = 32768 }; /* what the monitor uses of its stack */

static int run_print_remark(const struct plan_remark *remark)
{
	char room[1024];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_printf(&line, "sbx: %s: ", remark->topic);
	str_buf_escape(&line, remark->text, strlen(remark->text));
	str_buf_puts(&line, "\n");
	return io_write_all(STDERR_FILENO, line.data, line.len);
}

/* What is not shown, and what is bound without being meant, is told in any case: -v has done so. */
static void run_tell_unasked(const struct sbx_plan *plan)
{
	for (size_t i = 0; i < plan->n_remarks; i++)
		if (str_equal(plan->remarks[i].topic, PLAN_REMARK_PASSED) ||
		    str_equal(plan->remarks[i].topic, PLAN_REMARK_WIDE))
			(void)run_print_remark(&plan->remarks[i]);
}

/* -v: the steps and remarks, on standard error, before anything happens. */
static int run_print_plan(const struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		char room[1024];
		struct str_buf line = STR_BUF_ON_STACK(room);
		const char *origin = plan->steps[i].origin;

		str_buf_printf(&line, "sbx: step %zu of %zu: ", i + 1, plan->n_steps);
		step_describe(&plan->steps[i], &line);
		str_buf_printf(&line, " [%s%s%s%s]\n", plan->steps[i].cause, origin ? " (" : "",
			       origin ? origin : "", origin ? ")" : "");
		r = io_write_all(STDERR_FILENO, line.data, line.len);
	}
	for (size_t i = 0; i < plan->n_remarks && r == 0; i++)
		r = run_print_remark(&plan->remarks[i]);
	return r < 0 ? err_system(err, -r, NULL, "cannot write the plan to standard error") : 0;
}

/*
 * The ids of the host that the sandbox has. @room: COW_IDS_MAX of them; where there are more they
 * are not told.
 */
static struct cow_ids run_find_ids(const struct plan_map *map, struct cow_id_range *room)
{
	const uint32_t nobody = 65534;
	struct cow_ids ids = {.has = room};

	for (size_t i = 0; i < map->n_lines; i++) {
		const struct plan_map_line *line = &map->lines[i];

		if (nobody >= line->inside && nobody - line->inside < line->count)
			ids.nobody = line->outside + (nobody - line->inside);
		if (map->n_lines <= COW_IDS_MAX)
			room[ids.n_has++] = (struct cow_id_range){line->outside, line->count};
	}
	return ids;
}

struct run_session {
	struct cow_session *session;
	bool told;
};

/* One that has failed may have failed late: what was changed until then is kept. */
static void run_tell_session(void *arg, bool failed, struct str_buf *note)
{
	struct run_session *run = arg;

	if (!run->told)
		cow_targets_undo(run->session);
	if (!run->told && (!failed || run->session->fresh))
		cow_tell_changes(run->session, !failed, note);
	run->told = true;
}

/* Is the first directory above that can be looked at the caller's? He can open it, or have it
 * opened. */
static bool run_owns_above(const char *path)
{
	char above[PATH_MAX];
	struct stat st;
	char *slash;

	str_copy(above, sizeof(above), path);
	while ((slash = strrchr(above, '/'))) {
		*slash = '\0';
		if (stat(above[0] ? above : "/", &st) == 0)
			return st.st_uid == geteuid();
	}
	return false;
}

/*
 * Where the session lies elsewhere, and the command could make the directory of all sessions, with
 * some of its own in it: it finds one that is hidden. Where the caller cannot make it the command
 * cannot either, but where it only had to give itself the permission.
 */
static int run_make_base(const struct plan_session *session, struct sbx_err *err)
{
	unsigned made;
	int r = session->missing_base ? dirs_make(session->missing_base, &made) : 0;

	/* EPERM: what is above it is immutable, or of a kind that has no directories made in it. */
	if (r == 0 || r == -EROFS || r == -EPERM ||
	    (r == -EACCES && !run_owns_above(session->missing_base)))
		return 0;
	r = err_system(err, -r, session->missing_base,
		       "cannot be made, and so not be kept from the command");
	err_set_option(err, "--cow");
	if (r == -EACCES)
		err_hint(err, "give yourself the right to make it (chmod u+rwx), or bind what is "
			      "above it read-only");
	return r;
}

/*
 * What sbx itself makes in the caller's home, at first use, may lie in what is shown: it is there
 * before the session begins, and no change of the host's since.
 */
static int run_make_places(const struct sbx_plan *plan, struct sbx_err *err)
{
	register_make_dir(plan);
	return run_make_base(plan->session, err);
}

/* What the views have that is not there. A session that was begun for nothing goes. */
static int run_hold(const struct sbx_plan *plan, struct cow_session *session, struct sbx_err *err)
{
	int r = cow_held_make(session, plan, err);

	if (r == 0)
		r = cow_targets_note(session, plan, err);
	if (r < 0)
		cow_session_abandon(session);
	return r;
}

/*
 * With --cow: the session is there before the sandbox, and locked as long as that is. A signal
 * that ends sbx waits until that can tell what is to become of it.
 */
static int run_cow(const struct sbx_plan *plan, const struct launch_caller *caller,
		   int *ret_exit_code, struct sbx_err *err)
{
	struct cow_id_range uids[COW_IDS_MAX], gids[COW_IDS_MAX];
	const struct cow_wanted wanted = {
		.id = plan->session->id,
		.dir = plan->session->dir,
		.base = plan->session->base,
		.roots = plan->session->roots,
		.n_roots = plan->session->n_roots,
		.argv = plan->argv,
		.uids = run_find_ids(&plan->uid_map, uids),
		.gids = run_find_ids(&plan->gid_map, gids),
	};
	_autoarena_ struct arena arena;
	struct launch_caller with_session = *caller;
	struct cow_session session;
	struct run_session tell = {&session, false};
	sigset_t mask;
	int r = signals_block(&mask);

	arena_init(&arena);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot block signals");
	cow_session_init(&session);
	r = run_make_places(plan, err);
	if (r == 0)
		r = cow_session_start(&wanted, &arena, &session, err);
	if (r == 0)
		r = run_hold(plan, &session, err);
	with_session.sigmask = &mask;
	with_session.session_fds[0] = session.dir_fd;
	with_session.session_fds[1] = session.lock_fd;
	with_session.tell_end = run_tell_session;
	with_session.tell_arg = &tell;
	if (r < 0) {
		cow_session_close(&session);
		(void)sigprocmask(SIG_SETMASK, &mask, NULL);
		return r;
	}
	cow_tell_clock(&session);
	r = launch_run(plan, &with_session, ret_exit_code, err);
	if (r == LAUNCH_WITHOUT_RANGE) {
		cow_targets_undo(&session);
		cow_session_abandon(&session);
	} else {
		run_tell_session(&tell, r < 0, NULL);
		cow_session_note_use(&session);
	}
	cow_session_close(&session);
	if (r == LAUNCH_WITHOUT_RANGE)
		(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return r;
}

/* What was asked of the plan: to be carried out, or only shown. */
static int run_act(const struct cli_run *run, const struct sbx_plan *plan,
		   const struct launch_caller *caller, int *ret_exit_code, struct sbx_err *err)
{
	int r = 0;

	*ret_exit_code = 0;
	if (run->action == CLI_EXPLAIN)
		return explain_print_text(plan, &run->spec, STDOUT_FILENO, err);
	if (run->action == CLI_EXPLAIN_JSON)
		return explain_print_json(plan, &run->spec, STDOUT_FILENO, err);
	if (run->verbose)
		r = run_print_plan(plan, err);
	if (r < 0)
		return r;
	if (!run->verbose)
		run_tell_unasked(plan);
	return plan->session ? run_cow(plan, caller, ret_exit_code, err)
			     : launch_run(plan, caller, ret_exit_code, err);
}

static int run_resolve(const struct cli_run *run, struct sbx_plan *plan, struct sbx_err *err)
{
	/* Who the caller is matters to the base's passwd, and to whose id ranges are looked for. */
	bool names = !run->spec.no_base || run->spec.map != SPEC_MAP_SINGLE;
	struct probe_host host;
	int r = probe_host(&plan->arena, environ, names, &host, err);

	if (r == 0)
		r = resolve_plan(&run->spec, &host, plan, err);
	plan->verbose = run->verbose;
	plan->level_prefix = run->level_prefix;
	if (r == 0 && (run->action != CLI_RUN || run->verbose))
		r = exposure_add_remarks(&host,
					 run->action != CLI_RUN &&
						 run->spec.mask_sockets != SPEC_MASK_SOCKETS_ALL,
					 plan, err);
	return r;
}

/*
 * Resolve and act.
 * @why_single: NULL, or why an earlier try could not map the range
 */
static int run_try(const struct cli_run *run, const struct launch_caller *caller,
		   const char *why_single, int *ret_exit_code, struct sbx_err *err)
{
	static struct sbx_plan plan; /* its memory goes with the process */
	int r;

	plan_init(&plan);
	r = run_resolve(run, &plan, err);
	if (r == 0 && why_single &&
	    plan_add_remark(&plan, "map", "only the caller's own ids: %s", why_single) < 0)
		r = err_oom(err);
	if (r == 0)
		r = run_act(run, &plan, caller, ret_exit_code, err);
	if (r == LAUNCH_WITHOUT_RANGE)
		plan_finish(&plan);
	return r;
}

/* With --map=auto a range that its helper cannot map, against all signs, is done without. */
static int run_plan(const struct cli_run *run, const struct launch_caller *caller,
		    int *ret_exit_code, struct sbx_err *err)
{
	struct cli_run single = *run; /* the arena stays the original's */
	struct launch_caller again = *caller;
	char why[sizeof(err->path) + sizeof(err->what)];
	struct str_buf text = STR_BUF_ON_STACK(why);
	int r = run_try(run, caller, NULL, ret_exit_code, err);

	if (r != LAUNCH_WITHOUT_RANGE)
		return r;
	str_buf_printf(&text, "%s %s", err->path, err->what);
	single.spec.map = SPEC_MAP_SINGLE;
	again.again = true;
	return run_try(&single, &again, text.data, ret_exit_code, err);
}

/* To who listens; main prints it for people. */
static void run_tell_failure(const struct cli_run *run, struct sbx_err *err)
{
	hint_add(err, HINT_LIMIT);
	err->level_prefix = run->level_prefix;
	if (run->spec.json_status_fd >= 0 && spec_get_defaults(&run->spec)->explains)
		status_write_error((int)run->spec.json_status_fd, err);
}

/* ---- --detach ---- */

/*
 * In the child, which becomes the monitor of a sandbox that goes on alone. What goes wrong
 * before the command has been executed is for the parent to say; afterwards nobody is there.
 */
static int run_in_background(const struct cli_run *run, const struct launch_caller *caller,
			     int notify_fd, int *ret_exit_code)
{
	struct launch_caller detached = *caller;
	struct detach_news news = {.started = 0};
	int r = setsid() < 0 ? err_system(&news.err, errno, NULL, "cannot start a session") : 0;

	detached.notify_fd = notify_fd;
	if (r == 0)
		r = run_plan(run, &detached, ret_exit_code, &news.err);
	if (r == 0)
		return 0;
	run_tell_failure(run, &news.err);
	(void)send(notify_fd, &news, sizeof(news), MSG_NOSIGNAL);
	*ret_exit_code = news.err.exit_code;
	return 0;
}

/* In the parent: until the command has been executed, or could not be. */
static int run_await_start(int fd, int *ret_exit_code, struct sbx_err *err)
{
	char room[LABEL_ID_LEN + 2];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct detach_news news;
	ssize_t n;
	int r;

	do {
		n = recv(fd, &news, sizeof(news), 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(news))
		return err_refuse(err, ECANCELED, NULL,
				  "the process that was to watch the sandbox has ended");
	if (!news.started) {
		*err = news.err;
		return -ECANCELED;
	}
	str_buf_printf(&line, "%s\n", news.id);
	r = io_write_all(STDOUT_FILENO, line.data, line.len);
	*ret_exit_code = 0;
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

static int run_detached(const struct cli_run *run, const struct launch_caller *caller,
			int *ret_exit_code, struct sbx_err *err)
{
	_autoclose_ int here = -1, there = -1;
	int socks[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
		return err_system(err, errno, NULL, "cannot make a socket");
	here = socks[0];
	there = socks[1];
	pid = fork();
	if (pid < 0)
		return err_system(err, errno, NULL, "cannot create a process");
	if (pid == 0) {
		close(take_fd(&here));
		return run_in_background(run, caller, take_fd(&there), ret_exit_code);
	}
	close(take_fd(&there));
	return run_await_start(here, ret_exit_code, err);
}

static int run_parsed(const struct cli_run *run, char **argv, const struct launch_caller *caller,
		      int *ret_exit_code, struct sbx_err *err)
{
	bool bwrap = run->spec.program == SPEC_PROGRAM_BWRAP;

	switch (run->action) {
	case CLI_HELP:
	case CLI_USAGE:
		if (bwrap)
			return cmd_bwrap_help(argv[0], run->action == CLI_USAGE, ret_exit_code,
					      err);
		cmd_sweep();
		return cmd_help(1, argv, ret_exit_code, err);
	case CLI_VERSION:
		if (bwrap)
			return cmd_bwrap_version(ret_exit_code, err);
		cmd_sweep();
		return cmd_version(1, argv, ret_exit_code, err);
	case CLI_EXPLAIN_SPEC:
		*ret_exit_code = 0;
		return spec_write_json(&run->spec, STDOUT_FILENO, err);
	case CLI_RUN:
	case CLI_EXPLAIN:
	case CLI_EXPLAIN_JSON:
		break;
	}
	if (run->action == CLI_RUN && run->spec.detach)
		return run_detached(run, caller, ret_exit_code, err);
	return run_plan(run, caller, ret_exit_code, err);
}

static int (*const run_parsers[SPEC_PROGRAM_COUNT_])(int argc, char *const *argv,
						     struct cli_run *run, struct sbx_err *err) = {
	[SPEC_PROGRAM_SBX] = cli_parse_run,
	[SPEC_PROGRAM_BWRAP] = cli_parse_bwrap,
};

static void run_print_warnings(const struct cli_run *run)
{
	const char *name = spec_get_defaults(&run->spec)->name;

	for (size_t i = 0; i < run->n_warnings; i++) {
		char room[256];
		struct str_buf line = STR_BUF_ON_STACK(room);

		str_buf_printf(&line, "%s%s: %s\n", run->level_prefix ? "<4>" : "", name,
			       run->warnings[i]);
		(void)io_write_all(STDERR_FILENO, line.data, line.len);
	}
}

int cmd_run(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	const struct launch_caller caller = launch_note_caller(argv, environ);
	static struct cli_run run; /* its memory goes with the process */
	int r;

	prefault_stack(RUN_STACK_BYTES, 0);
	cli_run_init(&run);
	spec_set_program(&run.spec, spec_program_called(argv[0]));
	r = run_parsers[run.spec.program](argc, argv, &run, err);
	run_print_warnings(&run);
	if (r == 0)
		r = run_parsed(&run, argv, &caller, ret_exit_code, err);
	if (r < 0)
		run_tell_failure(&run, err);
	return r;
}
