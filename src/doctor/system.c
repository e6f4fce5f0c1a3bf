/* SPDX-License-Identifier: MIT */
/*
 * system: probes of what the rest of the system gives a user: cgroups, systemd, a place
 * for records.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/doctor/probes.h"
#include "sbx/spec/cgroup_host.h"
#include "sbx/spec/records.h"

/* ---- cgroups, systemd, and what it can be asked for ---- */

/* In the child: ask the manager for its version, by the user's bus. */
static int system_ask_manager(struct doctor *d, const struct doctor_probe *probe,
			      struct doctor_answer *answer, struct sbx_err *err)
{
	struct cgroup_obstacle obstacle;
	struct cgroup_manager manager = {.busctl = NULL};
	const char *argv[] = {NULL,
			      NULL,
			      "--timeout=10",
			      "get-property",
			      "org.freedesktop.systemd1",
			      "/org/freedesktop/systemd1",
			      "org.freedesktop.systemd1.Manager",
			      "Version",
			      NULL};
	char *text;
	int r;

	(void)probe;
	if (cgroup_look_at_manager(&d->host, &d->spec, 0, &manager, &obstacle) < 0)
		return err_oom(err);
	argv[0] = manager.busctl;
	argv[1] = arena_printf(&d->arena, "--address=%s", manager.address);
	if (!argv[1])
		return err_oom(err);
	r = doctor_capture(d, argv, answer, &text, err);
	if (r < 0)
		return r;
	/* s "252.22-1" */
	text += strcspn(text, "\"");
	text += *text == '"';
	text[strcspn(text, "\"\n")] = '\0';
	str_copy(answer->text, sizeof(answer->text), text);
	return 0;
}

/* Then systemd is asked for a cgroup, where that can be. */
static void system_not_delegated(struct doctor *d, const struct cgroup_obstacle *obstacle,
				 struct doctor_finding *ret)
{
	struct cgroup_obstacle not_asked;
	struct cgroup_manager manager;

	doctor_say(ret, DOCTOR_FAILS, "%s", obstacle->what);
	if (obstacle->remedy)
		doctor_mend(ret, "%s", obstacle->remedy);
	if (cgroup_look_at_manager(&d->host, &d->spec, 0, &manager, &not_asked) < 0 ||
	    not_asked.what)
		return;
	doctor_say(ret, DOCTOR_LIMITED, "%s: systemd has to be asked", obstacle->what);
	doctor_mend(ret, "%s", "");
}

/* What the launch looks at, in its order; each first for no controller, and then for all. */
DOCTOR_PROBE(cgroup)
{
	const uint32_t all = (1u << PLAN_CONTROLLER_COUNT_) - 1;
	struct cgroup_obstacle kernel, whole, some;
	struct cgroup_own own;

	(void)probe;
	if (cgroup_look_at_kernel(&d->host, all, &kernel) < 0 ||
	    cgroup_look_at_own(&d->host, 0, &own, &whole) < 0)
		return;
	d->has_cgroup = !whole.what;
	if (kernel.what && (!cgroup_find_mount(&d->host) || !d->has_cgroup)) {
		doctor_say(ret, DOCTOR_FAILS, "%s", kernel.what);
		doctor_mend(ret, "%s", kernel.remedy);
	} else if (whole.what) {
		system_not_delegated(d, &whole, ret);
	} else if (kernel.what) {
		doctor_say(ret, DOCTOR_LIMITED, "%s is delegated; %s", own.dir, kernel.what);
		doctor_mend(ret, "%s", kernel.remedy);
	} else if (cgroup_look_at_own(&d->host, all, &own, &some) == 0 && some.what) {
		doctor_say(ret, DOCTOR_LIMITED, "%s", some.what);
		if (some.remedy)
			doctor_mend(ret, "%s", some.remedy);
	} else {
		doctor_say(ret, DOCTOR_WORKS, "%s is delegated, with all controllers", own.dir);
	}
}

/* Who has a cgroup already need not ask for one. */
DOCTOR_PROBE(systemd)
{
	const uint32_t all = (1u << PLAN_CONTROLLER_COUNT_) - 1;
	enum doctor_status missing = d->has_cgroup ? DOCTOR_FACT : DOCTOR_FAILS;
	struct cgroup_obstacle obstacle, some;
	struct cgroup_manager manager;
	struct doctor_answer answer;

	if (cgroup_look_at_manager(&d->host, &d->spec, 0, &manager, &obstacle) < 0)
		return;
	if (obstacle.what) {
		doctor_say(ret, missing, "%s", obstacle.what);
		if (obstacle.remedy)
			doctor_mend(ret, "%s", obstacle.remedy);
	} else if (!doctor_try(d, probe, 0, system_ask_manager, &answer, ret)) {
		ret->status = missing;
		doctor_mend(ret,
			    "see: systemctl --user status; then log in again, or as root, which "
			    "ends what runs in it: systemctl restart user@%u.service",
			    d->host.uid);
	} else if (cgroup_look_at_manager(&d->host, &d->spec, all, &manager, &some) == 0 &&
		   some.what) {
		doctor_say(ret, d->has_cgroup ? DOCTOR_FACT : DOCTOR_LIMITED,
			   "version %s answers; %s", answer.text, some.what);
		if (some.remedy)
			doctor_mend(ret, "%s", some.remedy);
	} else {
		doctor_say(ret, DOCTOR_WORKS, "the user manager answers, version %s", answer.text);
	}
}

/* ---- records ---- */

/* What the specification of XDG_RUNTIME_DIR asks for; NULL: all is well. */
static const char *system_runtime_dir_flaw(const char *dir, uid_t uid)
{
	struct stat st;

	if (!dir)
		return "XDG_RUNTIME_DIR is not set";
	if (dir[0] != '/')
		return "XDG_RUNTIME_DIR is not an absolute path";
	if (stat(dir, &st) < 0)
		return errno == ENOENT ? "XDG_RUNTIME_DIR names a directory that does not exist"
				       : "XDG_RUNTIME_DIR cannot be looked at";
	if (!S_ISDIR(st.st_mode))
		return "XDG_RUNTIME_DIR is not a directory";
	if (st.st_uid != uid)
		return "XDG_RUNTIME_DIR is somebody else's directory";
	return st.st_mode & 077 ? "others can enter XDG_RUNTIME_DIR" : NULL;
}

static void system_mend_runtime_dir(const char *flaw, const char *dir, uid_t uid,
				    struct doctor_finding *ret)
{
	if (str_starts_with(flaw, "others"))
		doctor_mend(ret, "chmod 0700 %s", dir);
	else
		doctor_mend(ret,
			    "log in as yourself (not by su or sudo), or: export "
			    "XDG_RUNTIME_DIR=/run/user/%u",
			    uid);
}

/*
 * The first that a launch could open or make: it looks no further when it cannot write to one that
 * is there.
 */
static int system_choose_dir(const struct sbx_plan *plan, const char **ret, struct sbx_err *err)
{
	const char *blamed = plan->box_dirs[0];
	int why = ENOENT;

	for (size_t i = 0; i < PLAN_RECORD_DIRS; i++) {
		_autoclose_ int fd = plan->box_dirs[i] ? dirs_open_own(plan->box_dirs[i]) : -ENOENT;
		int r = plan->box_dirs[i] ? dirs_check_own(plan->box_dirs[i]) : -why;

		if (r == 0) {
			*ret = plan->box_dirs[i];
			return 0;
		}
		why = -r;
		if (fd < 0)
			continue;
		blamed = plan->box_dirs[i];
		break;
	}
	return records_refuse(blamed, why, err);
}

DOCTOR_PROBE(records)
{
	const char *runtime = probe_env(d->host.environ_, "XDG_RUNTIME_DIR");
	const char *flaw = system_runtime_dir_flaw(runtime, d->host.uid), *chosen = "";
	struct sbx_plan plan;
	struct sbx_err err;
	int r;

	(void)probe;
	plan_init(&plan);
	r = records_add_dirs(&d->host, &plan, &err);
	if (r == 0)
		r = system_choose_dir(&plan, &chosen, &err);
	if (r < 0)
		doctor_blame(ret, &err);
	else if (!flaw)
		doctor_say(ret, DOCTOR_WORKS, "%s", chosen);
	else
		doctor_say(ret, DOCTOR_LIMITED, "%s; records are kept in %s", flaw, chosen);
	if (r == 0 && flaw)
		system_mend_runtime_dir(flaw, runtime, d->host.uid, ret);
	plan_finish(&plan);
}
