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

/**
 * Append a remark for everything that the plan's binds expose.
 *
 * A source that cannot be looked at is passed over: its step will say why.
 * Return: 0 or -ENOMEM.
 */
int exposure_add_remarks(const struct probe_host *host, struct sbx_plan *plan, struct sbx_err *err)
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
	if (r == 0 && !(plan->namespaces & CLONE_NEWNET) &&
	    plan_add_remark(plan, "exposed", "the host's network, abstract sockets included") < 0)
		return err_oom(err);
	if (r == 0 && !plan->own_pid_ns &&
	    plan_add_remark(plan, "exposed",
			    "the host's processes; what the command leaves behind "
			    "when sbx is killed is not ended") < 0)
		return err_oom(err);
	return r;
}
