/* SPDX-License-Identifier: MIT */
/*
 * enter: see enter.h.
 *
 * The monitor hands out a pidfd of the sandbox's command and the steps that made it what it
 * is (run/pack.c). A plan of these is carried out by the launch as any other: a process is
 * made in all the namespaces, takes the steps, and becomes the command. So signals, job
 * control, exit codes and errors are a launch's, and privileges are the sandbox's.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/box/ask.h"
#include "sbx/box/enter.h"
#include "sbx/box/freeze.h"
#include "sbx/run/pack.h"
#include "sbx/run/scope.h"
#include "sbx/spec/cgroup_host.h"
#include "sbx/spec/hints.h"

extern char **environ;

static int enter_refuse(const struct box *box, int number, struct sbx_err *err)
{
	if (number == EOPNOTSUPP) {
		(void)err_refuse(err, EOPNOTSUPP, box->label.id,
				 "cannot be entered: its filter came through a descriptor, which "
				 "cannot be read again");
		err_hint(err, "start it with a filter by name or file: --seccomp FILE");
	} else if (number == EAGAIN) {
		(void)err_refuse(err, EAGAIN, box->label.id,
				 "is still starting, there is nothing to enter yet");
	}
	return -number;
}

/* PID 1 could not tell who the command is, and so the monitor has not answered. */
static int enter_refuse_paused(const struct box *box, struct arena *arena, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1};
	struct control_reply reply;
	struct sbx_err other;

	if (ask(box, CONTROL_FACTS, 0, &reply, fds, &other) < 0 ||
	    !freeze_is_frozen(&reply.facts, arena))
		return -ETIMEDOUT;
	return freeze_refuse_paused(box->label.id, err);
}

/* Copies: the originals lie in the command line, which is wiped in the process that enters. */
static int enter_copy_argv(const struct enter *enter, struct sbx_plan *plan)
{
	const char **argv;
	size_t n = 0;

	while (enter->argv[n])
		n++;
	argv = arena_alloc(&plan->arena, (n + 1) * sizeof(*argv));
	for (size_t i = 0; argv && i < n; i++) {
		argv[i] = arena_dup(&plan->arena, enter->argv[i]);
		if (!argv[i])
			return -ENOMEM;
	}
	if (!argv)
		return -ENOMEM;
	argv[n] = NULL;
	plan->argv = argv;
	plan->command = argv[0];
	/* Packed was what the sandbox's command is called: it is the last (pack.c). */
	plan->steps[plan->n_steps - 1].text = argv[0];
	return 0;
}

/* Is it a value for the same variable? */
static bool enter_same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

static int enter_add_env(const struct enter *enter, struct sbx_plan *plan)
{
	size_t n = 0;
	char **envp;

	while (plan->envp[n])
		n++;
	envp = arena_alloc(&plan->arena, (n + enter->n_env + 1) * sizeof(*envp));
	if (!envp)
		return -ENOMEM;
	memcpy(envp, plan->envp, n * sizeof(*envp));
	for (size_t i = 0; i < enter->n_env; i++) {
		char *copy = arena_dup(&plan->arena, enter->env[i]);
		size_t at = 1; /* the first has room for PWD */

		if (!copy)
			return -ENOMEM;
		while (at < n && !enter_same_name(copy, envp[at]))
			at++;
		envp[at] = copy;
		n += at == n;
	}
	envp[n] = NULL;
	plan->envp = envp;
	return 0;
}

static int enter_set_chdir(const struct enter *enter, struct sbx_plan *plan)
{
	const char **dirs;

	if (!enter->chdir)
		return 0;
	dirs = arena_alloc(&plan->arena, 2 * sizeof(*dirs));
	if (!dirs)
		return -ENOMEM;
	dirs[0] = arena_dup(&plan->arena, enter->chdir);
	dirs[1] = NULL;
	plan->workdirs = dirs;
	plan->workdir_required = true;
	return dirs[0] ? 0 : -ENOMEM;
}

/* In front of all others: steps run in the order of their phases, and in this order within. */
static struct plan_step *enter_put_first(struct sbx_plan *plan, enum plan_step_kind kind,
					 const char *cause)
{
	struct plan_step *last = plan_add_step(plan, kind, cause), step;

	if (!last)
		return NULL;
	step = *last;
	memmove(plan->steps + 1, plan->steps, (plan->n_steps - 1) * sizeof(step));
	plan->steps[0] = step;
	return plan->steps;
}

/*
 * A change of ids needs capabilities. So where the sandbox's command got its confinement
 * from PID 1, the same is taken on in the later phase, behind the change: each of the two
 * kinds has its like there.
 */
static void enter_confine_later(struct sbx_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].kind == PLAN_STEP_CONFINE)
			plan->steps[i].kind = PLAN_STEP_PRIVILEGES;
		if (plan->steps[i].kind == PLAN_STEP_FILTER)
			plan->steps[i].kind = PLAN_STEP_OWN_FILTER;
	}
}

static int enter_set_ids(const struct enter *enter, struct sbx_plan *plan)
{
	struct plan_step *ids = NULL;

	if (enter->uid == (uid_t)-1)
		return 0;
	for (size_t i = 0; i < plan->n_steps && !ids; i++)
		if (plan->steps[i].kind == PLAN_STEP_IDS)
			ids = &plan->steps[i];
	if (!ids) {
		enter_confine_later(plan);
		ids = enter_put_first(plan, PLAN_STEP_IDS, "--uid");
	}
	if (!ids)
		return -ENOMEM;
	ids->cause = "--uid";
	ids->uid = plan->payload_uid = enter->uid;
	ids->gid = plan->payload_gid = enter->gid;
	ids->flags = plan->joined_groups_drop ? PLAN_STEP_GROUPS : 0;
	return 0;
}

/* The terminal is made while all capabilities are there, and taken before ids change. */
static int enter_set_tty(const struct enter *enter, struct sbx_plan *plan)
{
	if (!enter->tty && !(plan->joined_needs_pty && enter->terminals))
		return 0;
	plan->pty = true;
	plan->own_session = true;
	plan->pty_fds = enter->terminals;
	return enter_put_first(plan, PLAN_STEP_STDIO, "--tty") &&
			       enter_put_first(plan, PLAN_STEP_PTY, "--tty")
		       ? 0
		       : -ENOMEM;
}

/* Up to the unit of systemd's that a cgroup is in, or is; 0: it is in none. */
static size_t enter_unit_len(const char *cgroup)
{
	static const char *const suffixes[] = {".scope/", ".service/"};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		for (const char *at = cgroup; (at = strstr(at, suffixes[i]));) {
			at += strlen(suffixes[i]) - 1;
			if ((size_t)(at - cgroup) > len)
				len = (size_t)(at - cgroup);
		}
	return len;
}

/*
 * From a login session nobody can move to a cgroup of his own manager's: that can be done by
 * systemd only. So we come to where the sandbox's monitor is, from where it is allowed
 * (run/scope.c). Where that is not how the cgroup was made, the way there may be free.
 * @cgroup: the path of the command's
 */
static int enter_come_near(const char *cgroup, struct arena *arena, struct sbx_err *err)
{
	static const char leaf[] = "/limits/payload";
	const size_t unit_len = enter_unit_len(cgroup), len = strlen(cgroup);
	const struct probe_host host = {
		.arena = arena, .uid = geteuid(), .root_prefix = "", .environ_ = environ};
	const struct sbx_spec spec = {.n_helpers = 0};
	const char *own = freeze_path_of(getpid(), arena), *unit, *below;
	struct cgroup_obstacle obstacle;
	struct cgroup_manager manager;
	int r;

	if (unit_len == 0 || len < unit_len + strlen(leaf) ||
	    !str_equal(cgroup + len - strlen(leaf), leaf) ||
	    (own && strncmp(own, cgroup, unit_len) == 0 && own[unit_len] == '/'))
		return 0;
	unit = arena_dup_n(arena, cgroup, unit_len);
	below = arena_dup_n(arena, cgroup + unit_len, len - unit_len - strlen(leaf));
	if (!unit || !below || cgroup_look_at_manager(&host, &spec, 0, &manager, &obstacle) < 0)
		return err_oom(err);
	if (obstacle.what)
		return 0;
	r = scope_join(manager.busctl, manager.address, strrchr(unit, '/') + 1, below, arena, err);
	if (r < 0) {
		err_annotate(err, "moving to the sandbox's cgroup, %s", cgroup);
		hint_add(err, HINT_CGROUP);
	}
	return r;
}

/**
 * Ask the monitor of a sandbox, and make the plan.
 * @plan:          from plan_init()
 * @ret_pidfd:     owned by the caller; the plan borrows it
 * @ret_cgroup_fd: likewise; not written where there is no cgroup to move to
 *
 * Return: 0, or -errno with *err filled.
 */
int enter_plan(const struct box *box, const struct enter *enter, struct sbx_plan *plan,
	       int *ret_pidfd, int *ret_cgroup_fd, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	_autoclose_ int pidfd = -1, pack_fd = -1, cgroup_fd = -1;
	struct control_reply reply = {.result = 0};

	r = ask(box, CONTROL_JOIN, 0, &reply, fds, err);
	pidfd = fds[0];
	pack_fd = fds[1];
	if (r == -ETIMEDOUT)
		return enter_refuse_paused(box, &plan->arena, err);
	if (r < 0)
		return reply.result < 0 ? enter_refuse(box, -reply.result, err) : r;
	if (pidfd < 0 || pack_fd < 0)
		return err_refuse(err, EPROTO, box->label.id, "its monitor sent too little");
	r = pack_read(pack_fd, plan, err);
	if (r == 0)
		r = freeze_open_to_join(&reply.facts, pidfd, &plan->arena, &plan->box_cgroup,
					&cgroup_fd, err);
	if (r == 0 && cgroup_fd >= 0)
		r = enter_come_near(plan->box_cgroup, &plan->arena, err);
	if (r < 0)
		return r;
	r = enter_copy_argv(enter, plan);
	if (r == 0)
		r = enter_add_env(enter, plan);
	if (r == 0)
		r = enter_set_chdir(enter, plan);
	if (r == 0)
		r = enter_set_ids(enter, plan);
	if (r == 0)
		r = enter_set_tty(enter, plan);
	if (r < 0)
		return err_oom(err);
	plan->leaves_command = plan->outlives_monitor = enter->detach;
	plan->box_pidfd = pidfd;
	plan->box_cgroup_fd = cgroup_fd;
	*ret_cgroup_fd = take_fd(&cgroup_fd);
	*ret_pidfd = take_fd(&pidfd);
	return 0;
}
