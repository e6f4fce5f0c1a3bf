/* SPDX-License-Identifier: MIT */
/*
 * dbus: choose the session bus of the command.
 *
 * The command never has the caller's bus itself: who can send to all of it can have a
 * program started outside, by the service manager for one. It has a socket behind which
 * xdg-dbus-proxy(1) lets through what the rules say. The socket takes the place that
 * programs look at by themselves, and so covers the caller's where a bind shows that.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/seccomp/builtin.h"
#include "sbx/spec/dbus.h"

static const char dbus_variable[] = "DBUS_SESSION_BUS_ADDRESS";

static bool dbus_is_required(const struct sbx_spec *spec)
{
	return spec->dbus == SPEC_DBUS_ON || (spec->dbus == SPEC_DBUS_DEFAULT && spec->n_bus > 0);
}

/* The option to name: the one that was typed, or the first rule where those imply it. */
static const char *dbus_cause(const struct sbx_spec *spec)
{
	static const char *const by_rule[SPEC_BUS_COUNT_] = {
		[SPEC_BUS_SEE] = "--dbus-see",
		[SPEC_BUS_TALK] = "--dbus-talk",
		[SPEC_BUS_OWN] = "--dbus-own",
		[SPEC_BUS_CALL] = "--dbus-call",
		[SPEC_BUS_BROADCAST] = "--dbus-broadcast",
	};

	if (spec->dbus == SPEC_DBUS_TRY)
		return "--dbus-session-try";
	return spec->dbus == SPEC_DBUS_ON ? "--dbus-session" : by_rule[spec->bus[0].kind];
}

static const char *dbus_runtime_dir(const struct probe_host *host)
{
	const char *dir = probe_env(host->environ_, "XDG_RUNTIME_DIR");

	return dir && dir[0] == '/' ? dir : NULL;
}

/* Where the caller's bus is. NULL: there is none (or no memory, which shows elsewhere). */
static const char *dbus_address(const struct probe_host *host, struct arena *arena)
{
	const char *address = probe_env(host->environ_, dbus_variable);
	const char *dir = dbus_runtime_dir(host), *path;
	struct stat st;

	if (address && *address)
		return address;
	path = dir ? arena_printf(arena, "%s/bus", dir) : NULL;
	if (!path || stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return NULL;
	return arena_printf(arena, "unix:path=%s", path);
}

static const char dbus_proxy[] = "xdg-dbus-proxy";

static int dbus_refuse(const struct sbx_spec *spec, const char *object, const char *what,
		       const char *hint, struct sbx_err *err)
{
	(void)err_refuse(err, ENOENT, object, "%s", what);
	err_set_option(err, dbus_cause(spec));
	if (hint)
		err_hint(err, "%s", hint);
	return -ENOENT;
}

/* What keeps the bus from being there; with --dbus-session-try only a missing one is a remark. */
static int dbus_check(const struct sbx_spec *spec, const struct probe_host *host,
		      const struct plan_dbus *dbus, struct sbx_err *err)
{
	if (!dbus->address)
		return dbus_refuse(spec, NULL,
				   "there is no session bus in the caller's environment",
				   "start one with dbus-run-session(1), or see why "
				   "DBUS_SESSION_BUS_ADDRESS is not set;\n--dbus-session-try does "
				   "without where there is none",
				   err);
	if (!str_starts_with(dbus->address, "unix:"))
		return dbus_refuse(spec, dbus->address,
				   "the session bus is at no unix socket, so it is not filtered",
				   "set DBUS_SESSION_BUS_ADDRESS to a unix:path=... address", err);
	if (!dbus->helper)
		return dbus_refuse(spec, dbus_proxy, "is not installed",
				   probe_helper_remedy(host, dbus_proxy), err);
	if (access(dbus->helper, X_OK) < 0) {
		(void)err_system(err, errno, dbus->helper, "cannot be executed");
		err_set_option(err, dbus_cause(spec));
		err_hint(err, "install xdg-dbus-proxy, or name it with --helper "
			      "xdg-dbus-proxy=PATH; --no-dbus-session does without");
		return -ENOENT;
	}
	return 0;
}

static int dbus_rules(const struct sbx_spec *spec, struct arena *arena, struct plan_dbus *dbus)
{
	dbus->rules = arena_alloc(arena, (spec->n_bus + 1) * sizeof(*dbus->rules));
	dbus->text = spec->n_bus ? "" : "no service";
	if (!dbus->rules)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_bus; i++) {
		const struct spec_bus *bus = &spec->bus[i];
		const char *kind = spec_bus_names[bus->kind];

		dbus->rules[i] = arena_printf(arena, "--%s=%s", kind, bus->rule);
		dbus->text = arena_printf(arena, "%s%s%s %s", dbus->text, i ? ", " : "", kind,
					  bus->rule);
		if (!dbus->rules[i] || !dbus->text)
			return -ENOMEM;
	}
	dbus->rules[spec->n_bus] = NULL;
	dbus->n_rules = spec->n_bus;
	return 0;
}

/* The helper parses what the command writes, outside, and needs nothing but sockets. */
static int dbus_filter(struct arena *arena, struct plan_dbus *dbus, struct sbx_err *err)
{
	const struct seccomp_wanted strict = {.base = SECCOMP_BASE_STRICT};

	return seccomp_program_for(&strict, arena, &dbus->filter, err);
}

/* In the place of the caller's address, which means nothing inside; NULL: none. */
static int dbus_set_env(struct sbx_plan *plan, const char *dest)
{
	size_t n = 0, len = strlen(dbus_variable), kept = 0;
	char **envp;

	while (plan->envp[n])
		n++;
	envp = arena_alloc(&plan->arena, (n + 2) * sizeof(*envp));
	if (!envp)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(plan->envp[i], dbus_variable, len) != 0 || plan->envp[i][len] != '=')
			envp[kept++] = plan->envp[i];
	envp[kept] = arena_printf(&plan->arena, "%s=unix:path=%s", dbus_variable, dest);
	if (!envp[kept])
		return -ENOMEM;
	envp[kept + 1] = NULL;
	plan->envp = envp;
	return 0;
}

/**
 * Fill plan->dbus, and tell the command where its bus is.
 * @plan: its ids and environment are there already
 *
 * Return: 0, or -errno with *err filled.
 */
int dbus_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		struct sbx_err *err)
{
	const char *dir = dbus_runtime_dir(host);
	struct plan_dbus dbus = {0};
	int r;

	if (spec->dbus != SPEC_DBUS_TRY && !dbus_is_required(spec))
		return 0;
	dbus.address = dbus_address(host, &plan->arena);
	if (!dbus.address && !dbus_is_required(spec))
		return plan_add_remark(plan, "dbus", "no session bus: the caller has none") < 0
			       ? err_oom(err)
			       : 0;
	dbus.helper = probe_helper(host, spec, dbus_proxy);
	r = dbus_check(spec, host, &dbus, err);
	if (r == 0)
		r = dbus_filter(&plan->arena, &dbus, err);
	if (r < 0)
		return r;
	dbus.dest = dir ? arena_printf(&plan->arena, "%s/bus", dir)
			: arena_printf(&plan->arena, "/run/user/%u/bus", plan->uid_map.own_inside);
	if (!dbus.dest || dbus_rules(spec, &plan->arena, &dbus) < 0 ||
	    dbus_set_env(plan, dbus.dest) < 0)
		return err_oom(err);
	dbus.option = dbus_cause(spec);
	plan->dbus = dbus;
	if (plan_add_remark(plan, "dbus", "%s filters %s for the command", dbus.helper,
			    dbus.address) < 0)
		return err_oom(err);
	return 0;
}

/* Behind the user's operations, so that none of them covers it. Return: 0 or -ENOMEM. */
int dbus_add_step(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_step *step;

	if (!plan->dbus.helper)
		return 0;
	step = plan_add_step(plan, PLAN_STEP_DBUS, dbus_cause(spec));
	if (!step)
		return err_oom(err);
	step->dest = plan->dbus.dest;
	step->text = plan->dbus.text;
	return 0;
}
