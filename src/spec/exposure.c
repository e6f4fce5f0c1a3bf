/* SPDX-License-Identifier: MIT */
/*
 * exposure: one rule per kind of thing that people bind in without meaning all
 * that comes with it.
 */

#include <string.h>
#include <sys/stat.h>

#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/spec/exposure.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/sockets.h"
#include "sbx/spec/sockets_walk.h"

struct exposure {
	const struct probe_host *host;
	const struct plan_step *step;
	const char *source; /* normalised */
	struct stat st;
};

static bool exposure_is_default(const struct exposure *e)
{
	return strcmp(e->step->cause, "default") == 0;
}

static bool exposure_writable(const struct exposure *e)
{
	return !(e->step->attrs & MOUNT_ATTR_RDONLY) && !S_ISCHR(e->st.st_mode);
}

static bool exposure_socket(const struct exposure *e)
{
	return S_ISSOCK(e->st.st_mode);
}

static bool exposure_x11(const struct exposure *e)
{
	return path_is_below("/tmp/.X11-unix", e->source) ||
	       path_is_below(e->source, "/tmp/.X11-unix");
}

static bool exposure_dbus(const struct exposure *e)
{
	return path_is_below("/run/dbus/system_bus_socket", e->source) ||
	       path_is_below("/run/user", e->source) || path_is_below(e->source, "/run/user");
}

static bool exposure_docker(const struct exposure *e)
{
	return path_is_below("/run/docker.sock", e->source) ||
	       path_is_below("/var/run/docker.sock", e->source) ||
	       path_is_below("/run/podman", e->source);
}

static bool exposure_home(const struct exposure *e)
{
	return e->host->home && path_is_below(e->host->home, e->source);
}

static bool exposure_devices(const struct exposure *e)
{
	return !(e->step->attrs & MOUNT_ATTR_NODEV);
}

static const struct {
	bool (*applies)(const struct exposure *e);
	const char *text; /* goes on behind the source */
} exposure_rules[] = {
	{exposure_writable, "can be written by the command"},
	{exposure_home, "holds the home directory: keys, tokens and histories can be read"},
	{exposure_socket, "is a socket of the host: what listens there can be asked to act"},
	{exposure_x11, "may hold X11's socket: every window can be read and typed into"},
	{exposure_dbus, "may hold a D-Bus socket: services of the session can be asked to act"},
	{exposure_docker, "may hold a container engine's socket: it can start anything on the "
			  "host"},
	{exposure_devices, "lets device nodes work inside"},
};

static int exposure_step(struct exposure *e, struct sbx_plan *plan, struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(exposure_rules); i++)
		if (exposure_rules[i].applies(e) &&
		    plan_add_remark(plan, "exposed", "%s %s", e->source, exposure_rules[i].text) <
			    0)
			return err_oom(err);
	return 0;
}

/* Does a step cover all that is below its destination? Dots can lead anywhere. */
static bool exposure_covers(const struct plan_step *step)
{
	static const enum plan_step_kind kinds[] = {
		PLAN_STEP_BIND, PLAN_STEP_TMPFS, PLAN_STEP_PROC,
		PLAN_STEP_DEV,	PLAN_STEP_SYS,	 PLAN_STEP_LAYERS,
	};

	if (step->kind == PLAN_STEP_MASK)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (step->kind == kinds[i])
			return !(step->flags & PLAN_STEP_TRY) && !strstr(step->dest, "..");
	return false;
}

/* Is a path inside covered by a step behind the bind that shows it? */
static bool exposure_is_masked(const struct sbx_plan *plan, const struct plan_step *bind,
			       const char *place)
{
	for (const struct plan_step *s = bind + 1; s < plan->steps + plan->n_steps; s++)
		if (exposure_covers(s) && path_is_below(place, s->dest))
			return true;
	return false;
}

/* What of the sockets found shows by one bind. */
static int exposure_listed(const struct sockets *found, const char *source,
			   const struct plan_step *step, struct sbx_plan *plan, struct sbx_err *err)
{
	for (size_t k = 0; k < found->n_paths; k++) {
		const char *place =
			sockets_place(found->paths[k], source, step->dest, &plan->arena);

		if (place && !exposure_is_masked(plan, step, place) &&
		    plan_add_remark(plan, "exposed",
				    "the socket %s of the host, at %s; --mask-sockets hides it",
				    found->paths[k], place) < 0)
			return err_oom(err);
	}
	return 0;
}

/* The places that are covered behind a bind need not be looked at. */
static size_t exposure_hidden(const struct sbx_plan *plan, const struct plan_step *bind,
			      const char **hidden)
{
	size_t n = 0;

	for (const struct plan_step *s = bind + 1; s < plan->steps + plan->n_steps; s++)
		if (exposure_covers(s))
			hidden[n++] = s->dest;
	return n;
}

/* Add what lies below a bind and the kernel does not list, or say that it is not known. */
static int exposure_walk(const struct plan_step *step, const char *source,
			 struct sockets_budget *budget, struct sockets *found,
			 struct sbx_plan *plan, struct sbx_err *err)
{
	const char **hidden = arena_alloc(&plan->arena, plan->n_steps * sizeof(*hidden));
	struct sockets_walk walk = {
		.arena = &plan->arena,
		.plan = plan,
		.source = source,
		.dest = step->dest,
		.hidden = hidden,
		.budget = budget,
	};
	int r;

	if (!hidden)
		return err_oom(err);
	walk.n_hidden = exposure_hidden(plan, step, hidden);
	r = sockets_walk(&walk);
	if (r < 0)
		return err_system(err, -r, source, "cannot look for sockets");
	for (size_t i = 0; i < walk.n_found; i++)
		if (sockets_add(found, sockets_below(&plan->arena, source, walk.found[i]),
				&plan->arena) < 0)
			return err_oom(err);
	if (walk.doubt == SOCKETS_SURE)
		return 0;
	return plan_add_remark(plan, "exposed", "perhaps more sockets: %s %s%s",
			       sockets_below(&plan->arena, source, walk.doubtful),
			       sockets_doubt_text(&walk),
			       walk.n_doubtful > 1 ? ", and others like it" : "") < 0
		       ? err_oom(err)
		       : 0;
}

/* Every socket of the host that shows inside, by its name there. */
static int exposure_sockets(const struct probe_host *host, bool walks, struct sbx_plan *plan,
			    struct sbx_err *err)
{
	struct sockets_budget budget = sockets_budget_for_explain();
	struct sockets found;
	int r = sockets_find(host, &plan->arena, &found, err);

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		const struct plan_step *step = &plan->steps[i];
		const char *source =
			step->kind == PLAN_STEP_BIND && strcmp(step->cause, "default") != 0
				? sockets_source(step, &plan->arena)
				: NULL;

		if (source && walks)
			r = exposure_walk(step, source, &budget, &found, plan, err);
		if (source && r == 0)
			r = exposure_listed(&found, source, step, plan, err);
	}
	return r;
}

/* What the sandbox's own Landlock domain takes back of a shared namespace. */
static uint32_t exposure_scopes(const struct sbx_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].kind == PLAN_STEP_LANDLOCK)
			return plan->steps[i].flags;
	return 0;
}

static int exposure_namespaces(struct sbx_plan *plan, struct sbx_err *err)
{
	uint32_t scopes = exposure_scopes(plan);

	if (!(plan->namespaces & CLONE_NEWNET) && plan->netns_fd < 0 &&
	    plan_add_remark(plan, "exposed", "the host's network, %s",
			    scopes & PLAN_STEP_SCOPE_SOCKETS
				    ? "but not its abstract sockets (Landlock)"
				    : "abstract sockets included") < 0)
		return err_oom(err);
	if (!plan->own_pid_ns &&
	    plan_add_remark(plan, "exposed",
			    "the host's processes%s; what the command leaves behind "
			    "when sbx is killed is not ended",
			    scopes & PLAN_STEP_SCOPE_SIGNALS
				    ? ", but not to be signalled (Landlock)"
				    : "") < 0)
		return err_oom(err);
	return 0;
}

static int exposure_terminal(const struct probe_host *host, struct sbx_plan *plan,
			     struct sbx_err *err)
{
	if (plan->own_session || filter_guards_terminal(plan) || probe_terminals(host) == 0)
		return 0;
	return plan_add_remark(plan, "exposed",
			       "the caller's terminal: what the command types into it (TIOCSTI) is "
			       "run by the shell that sbx returns to, where the kernel allows it") <
			       0
		       ? err_oom(err)
		       : 0;
}

/**
 * Append a remark for everything that the plan's binds expose.
 * @walks: look into every directory for sockets; that can take seconds
 *
 * A source that cannot be looked at is passed over: its step will say why.
 * Return: 0 or -ENOMEM.
 */
int exposure_add_remarks(const struct probe_host *host, bool walks, struct sbx_plan *plan,
			 struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_steps && r == 0; i++) {
		struct exposure e = {.host = host, .step = &plan->steps[i]};

		if (e.step->kind != PLAN_STEP_BIND || !e.step->source || exposure_is_default(&e) ||
		    stat(e.step->source, &e.st) < 0)
			continue;
		e.source = path_normalise(&plan->arena, host->cwd, e.step->source);
		if (!e.source)
			return err_oom(err);
		r = exposure_step(&e, plan, err);
	}
	if (r == 0)
		r = exposure_sockets(host, walks, plan, err);
	if (r == 0)
		r = exposure_terminal(host, plan, err);
	return r < 0 ? r : exposure_namespaces(plan, err);
}
