/* SPDX-License-Identifier: MIT */
/*
 * resolve_command: what is done around the command: Landlock, descriptors, where it starts, the
 * record that names it; see resolve_parts.h.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/caps.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/cgroup.h"
#include "sbx/spec/dbus.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/env.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/limits.h"
#include "sbx/spec/net.h"
#include "sbx/spec/protect.h"
#include "sbx/spec/records.h"
#include "sbx/spec/resolve_parts.h"

/* ---- Landlock ---- */

enum { LANDLOCK_SCOPES_ABI = 6 }; /* Linux 6.12 */

/* Why the kernel's Landlock cannot scope, and what to do; NULL: it can. */
static const char *resolve_landlock_obstacle(struct resolve *r, int abi, const char **ret_hint)
{
	if (abi >= LANDLOCK_SCOPES_ABI)
		return NULL;
	*ret_hint = "Linux 6.12 and later can; see \"uname -r\"";
	if (abi >= 0)
		return arena_printf(r->arena,
				    "this kernel's Landlock (ABI %d) cannot scope sockets and "
				    "signals, which came with ABI 6",
				    abi);
	if (abi == -EOPNOTSUPP) {
		*ret_hint = "as root, add \"landlock\" to the list behind lsm= on the kernel's "
			    "command line;\n/sys/kernel/security/lsm shows what is enabled";
		return "Landlock is not enabled in this kernel";
	}
	if (abi == -ENOSYS)
		return "this kernel has no Landlock";
	*ret_hint = "a seccomp filter of an outer container or service may refuse it; run sbx "
		    "outside";
	return arena_printf(r->arena, "Landlock cannot be used: %s", strerror(-abi));
}

static int resolve_landlock_refuse(struct resolve *r, const char *why, const char *hint)
{
	(void)err_refuse(r->err, EOPNOTSUPP, NULL, "%s", why);
	err_set_option(r->err, "--landlock=require");
	err_hint(r->err, "%s", hint);
	return -EOPNOTSUPP;
}

/*
 * What a shared namespace would leave open is scoped. With namespaces of the sandbox's
 * own there is nothing in reach that could be; then the kernel is not asked either, and
 * even --landlock=require has what it wants.
 */
static int resolve_landlock(struct resolve *r)
{
	uint32_t scopes = (resolve_has(r, SPEC_NS_NET) ? 0 : PLAN_STEP_SCOPE_SOCKETS) |
			  (r->plan->own_pid_ns ? 0 : PLAN_STEP_SCOPE_SIGNALS);
	bool required = r->spec->landlock == SPEC_LANDLOCK_REQUIRE;
	const char *why, *hint = NULL;
	struct plan_step *step;

	if (r->spec->landlock == SPEC_LANDLOCK_OFF)
		return 0;
	if (scopes == 0) {
		if (required && plan_add_remark(r->plan, "landlock",
						"not used: network and processes are the "
						"sandbox's own, so there is nothing to scope") < 0)
			return err_oom(r->err);
		return 0;
	}
	why = resolve_landlock_obstacle(r, probe_landlock(r->host), &hint);
	if (why && required)
		return resolve_landlock_refuse(r, why, hint);
	if (why)
		return plan_add_remark(r->plan, "landlock", "not used: %s", why) < 0
			       ? err_oom(r->err)
			       : 0;
	step = resolve_add(r, PLAN_STEP_LANDLOCK, required ? "--landlock" : "default");
	if (!step)
		return err_oom(r->err);
	step->flags = scopes;
	return 0;
}

static int resolve_reaper(struct resolve *r)
{
	bool ids = resolve_changes_ids(r);
	struct plan_step *step;

	if (!ids && !r->plan->nested_userns)
		return filter_add_reaper(r->plan, r->err);
	step = resolve_add(r, PLAN_STEP_REAPER_PRIVILEGES, "default");
	if (!step)
		return err_oom(r->err);
	/* Signals go to a process of another id then, or to one with more capabilities. */
	step->keep = UINT64_C(1) << caps_from_name("kill");
	return filter_add_reaper(r->plan, r->err);
}

/* The sandbox is below the caller's user namespace, and nobody can go up. */
static int resolve_check_userns2(struct resolve *r)
{
	struct stat there, own;

	if (fstat((int)r->spec->userns2_fd, &there) < 0 || stat("/proc/self/ns/user", &own) < 0 ||
	    there.st_dev != own.st_dev || there.st_ino != own.st_ino)
		return 0;
	(void)err_refuse(r->err, EINVAL, NULL, "is the caller's own user namespace");
	err_set_option(r->err, "--userns2");
	err_hint(r->err, "it has to be one below the sandbox's");
	return -EINVAL;
}

/* The option that has a descriptor for itself; NULL: none. */
static const char *resolve_find_fd_user(const struct sbx_spec *spec, int64_t fd)
{
	const struct {
		const char *option;
		int64_t fd;
	} users[] = {
		{"--block-fd", spec->block_fd},
		{"--sync-fd", spec->sync_fd},
		{"--userns-block-fd", spec->userns_block_fd},
		{"--userns", spec->userns_fd},
		{"--userns2", spec->userns2_fd},
		{"--pidns", spec->pidns_fd},
		{"--net=fd:N", net_read_fd(spec->net)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		if (users[i].fd == fd)
			return users[i].option;
	return NULL;
}

/* --block-fd, --sync-fd and those that the sandbox is told of by */
static int resolve_sync(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	struct plan_step *step;
	int e = 0;

	if (spec->sync_fd >= 0 && spec->as_pid_1 && !r->defaults->passes_sync_fd)
		return err_usage(r->err, "--sync-fd",
				 "cannot be combined with --as-pid-1: process 1 is the command, "
				 "which is not to have the descriptor");
	for (size_t i = 0; i < spec->n_pass_fds; i++) {
		const char *rival = resolve_find_fd_user(spec, spec->pass_fds[i]);

		if (rival)
			return err_usage(r->err, "--pass-fd",
					 "descriptor %lld is that of %s, by which the command does "
					 "not get it",
					 (long long)spec->pass_fds[i], rival);
	}
	if (spec->sync_fd >= 0)
		e = resolve_check_fd(r, spec->sync_fd, "--sync-fd");
	if (e == 0 && spec->block_fd >= 0)
		e = resolve_check_fd(r, spec->block_fd, "--block-fd");
	if (e == 0 && spec->info_fd >= 0)
		e = resolve_check_fd(r, spec->info_fd, "--info-fd");
	if (e == 0 && spec->json_status_fd >= 0)
		e = resolve_check_fd(r, spec->json_status_fd, "--json-status-fd");
	if (e == 0 && spec->userns_fd >= 0)
		e = resolve_check_fd(r, spec->userns_fd, "--userns");
	if (e == 0 && spec->userns2_fd >= 0)
		e = resolve_check_fd(r, spec->userns2_fd, "--userns2");
	if (e == 0 && spec->userns2_fd >= 0)
		e = resolve_check_userns2(r);
	if (e == 0 && spec->pidns_fd >= 0)
		e = resolve_check_fd(r, spec->pidns_fd, "--pidns");
	if (e == 0 && spec->userns_block_fd >= 0)
		e = resolve_check_fd(r, spec->userns_block_fd, "--userns-block-fd");
	if (e < 0)
		return e;
	/* Where process 1 is the command, it is one of those that are passed on. */
	r->plan->sync_fd = spec->as_pid_1 ? -1 : (int)spec->sync_fd;
	r->plan->info_fd = (int)spec->info_fd;
	r->plan->json_status_fd = (int)spec->json_status_fd;
	r->plan->parent_userns_fd = (int)spec->userns_fd;
	r->plan->parent_pidns_fd = (int)spec->pidns_fd;
	r->plan->userns_block_fd = (int)spec->userns_block_fd;
	if (spec->block_fd < 0)
		return 0;
	step = resolve_add(r, PLAN_STEP_BLOCK, "--block-fd");
	if (!step)
		return err_oom(r->err);
	step->fd = (int)spec->block_fd;
	return 0;
}

int resolve_payload(struct resolve *r)
{
	struct plan_step *step;
	int e;

	/* PID 1's session is one of its own then. */
	if (r->plan->pty && !resolve_add(r, PLAN_STEP_STDIO, r->pty_cause))
		return err_oom(r->err);
	if (!r->plan->pty && r->spec->new_session &&
	    !resolve_add(
		    r, r->defaults->init_leads_session ? PLAN_STEP_INIT_SESSION : PLAN_STEP_SESSION,
		    "--new-session"))
		return err_oom(r->err);
	e = resolve_payload_privileges(r);
	if (e == 0)
		e = limits_add_payload(r->spec, r->plan, r->err);
	if (e == 0)
		e = resolve_landlock(r);
	if (e < 0)
		return e;
	if (r->spec->assert_userns_disabled &&
	    !resolve_add(r, PLAN_STEP_ASSERT_NO_USERNS, "--assert-userns-disabled"))
		return err_oom(r->err);
	if (!resolve_add(r, PLAN_STEP_CHDIR, r->spec->chdir ? "--chdir" : "default"))
		return err_oom(r->err);
	e = resolve_sync(r);
	if (e < 0)
		return e;
	if (!resolve_add(r, PLAN_STEP_DESCRIPTORS, "default"))
		return err_oom(r->err);
	e = filter_add_payload(r->plan, r->err);
	if (e < 0)
		return e;
	step = resolve_add(r, PLAN_STEP_EXEC, "default");
	if (!step)
		return err_oom(r->err);
	step->text = r->plan->command;
	return resolve_reaper(r);
}

int resolve_pass_fds(struct resolve *r)
{
	size_t n = r->spec->n_pass_fds;
	int *fds = arena_alloc(r->arena, (n + 1) * sizeof(*fds));

	if (!fds)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		int e = resolve_check_fd(r, r->spec->pass_fds[i], "--pass-fd");

		if (e < 0)
			return e;
		fds[i] = (int)r->spec->pass_fds[i];
	}
	r->plan->pass_fds = fds;
	r->plan->n_pass_fds = n;
	return 0;
}

/*
 * Where the command starts, the first of these that is there: the caller's directory by the
 * name that the caller knows it by, then by that without links, home, the root.
 */
static int resolve_workdirs(struct resolve *r)
{
	const char **dirs = arena_alloc(r->arena, 5 * sizeof(*dirs));
	const char *home = env_get(r->plan->envp, "HOME");
	const struct probe_host *host = r->host;
	size_t n = 0;

	if (!dirs)
		return err_oom(r->err);
	r->plan->workdir_required = r->spec->chdir != NULL;
	r->plan->pwd_as_typed = r->defaults->takes_relative;
	r->plan->workdirs = dirs;
	if (r->spec->chdir) {
		dirs[0] = arena_dup(r->arena, r->spec->chdir);
		return dirs[0] ? 0 : err_oom(r->err);
	}
	if (host->pwd) {
		dirs[n++] = arena_dup(r->arena, host->pwd);
		if (!dirs[0])
			return err_oom(r->err);
	}
	if (host->cwd)
		dirs[n++] = host->cwd;
	if (home && (home[0] == '/' || r->defaults->takes_relative))
		dirs[n++] = home;
	dirs[n++] = "/";
	return 0;
}

/*
 * What the command is told that it is called. One that leads back to this program, as callers of
 * bubblewrap give it, is to be what this one was called: it goes by that name alone.
 */
static const char *resolve_argv0(struct resolve *r)
{
	const char *command;

	if (r->spec->argv0 || !r->defaults->runs_magic || r->spec->argv[0][0] != '/')
		return r->spec->argv0;
	command = path_normalise(r->arena, NULL, r->spec->argv[0]);
	return command && str_equal(command, "/proc/self/exe") ? r->defaults->name : NULL;
}

/* Copies of what the command needs: PID 1 wipes the memory that argv and environ lie in. */
int resolve_command(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	const char **argv = arena_alloc(r->arena, (spec->n_argv + 1) * sizeof(*argv));
	const char *argv0 = resolve_argv0(r);
	int e;

	if (!argv)
		return err_oom(r->err);
	for (size_t i = 0; i < spec->n_argv; i++) {
		argv[i] = arena_dup(r->arena, spec->argv[i]);
		if (!argv[i])
			return err_oom(r->err);
	}
	r->plan->command = argv[0];
	r->plan->argv = argv;
	if (argv0) {
		argv[0] = arena_dup(r->arena, argv0);
		if (!argv[0])
			return err_oom(r->err);
	}
	/*
	 * Which of the two programs sbx is, its name alone tells: this leads to it, and has
	 * another.
	 */
	if (!spec->argv0 && r->defaults->runs_magic && str_equal(argv[0], "/proc/self/exe"))
		argv[0] = r->defaults->name;
	e = env_build(spec, r->host, r->arena, &r->plan->envp, &r->plan->pwd_at, r->err);
	if (e < 0)
		return e;
	e = dbus_choose(spec, r->host, r->plan, r->err);
	if (e == 0)
		e = limits_choose(spec, r->plan, r->err);
	if (e == 0)
		e = net_choose(spec, r->host, r->plan, r->err);
	if (e == 0)
		e = cgroup_choose(spec, r->host, r->plan, r->err);
	return e < 0 ? e : resolve_workdirs(r);
}

/* Where records are, and whether any of placeholders will be written. */
int resolve_records(struct resolve *r)
{
	struct sbx_plan *plan = r->plan;
	int e = r->defaults->records ? records_add_dirs(r->host, plan, r->err) : 0;

	plan->records = r->defaults->records;
	plan->name = r->spec->name;
	plan->detach = r->spec->detach;
	plan->has_input = plan->detach && r->spec->interactive && !plan->pty;
	plan->keeps_record = r->spec->keep_record;
	/* What a killed monitor leaves of a cgroup is found by the record. */
	plan->needs_record = plan->name || plan->detach || plan->keeps_record ||
			     plan->limits.from != PLAN_CGROUP_NONE;
	if (e < 0)
		return e;
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].kind != PLAN_STEP_PROTECT)
			continue;
		plan->protects = true;
		if (r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY)
			plan->steps[i].flags |= PLAN_STEP_OVERLAY;
	}
	return 0;
}
