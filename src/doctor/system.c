/* SPDX-License-Identifier: MIT */
/*
 * system: probes of what the rest of the system gives a user: cgroups, systemd, a place
 * for records.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/doctor/probes.h"
#include "sbx/spec/records.h"

enum { SYSTEM_TEXT_MAX = 64 << 10 };

/* ---- cgroups ---- */

/* Controllers that limits are made with, and where each is from. */
static const char *const system_controllers[] = {"cpu", "cpuset", "io", "memory", "pids"};

static const char system_cgroup_place[] = "/sys/fs/cgroup";
static const char system_unified[] =
	"boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line";
static const char system_delegate_all[] =
	"as root: mkdir -p /etc/systemd/system/user@.service.d &&\n"
	"  printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
	">/etc/systemd/system/user@.service.d/delegate.conf &&\n"
	"  systemctl daemon-reload; then log in again";

/* The v2 line of /proc/PID/cgroup, "0::/PATH". Return: the path, "" for the root; NULL: none. */
const char *doctor_parse_cgroup(const char *text, struct arena *arena)
{
	const char *at = str_starts_with(text, "0::/") ? text : strstr(text, "\n0::/");
	size_t len;

	if (!at)
		return NULL;
	at = strchr(at, ':') + 2;
	len = strcspn(at, "\n");
	return arena_dup_n(arena, at, len == 1 ? 0 : len);
}

/* Where the v2 hierarchy is; NULL: nowhere that sbx looks. */
static const char *system_find_cgroup2(void)
{
	static const char *const places[] = {system_cgroup_place, "/sys/fs/cgroup/unified"};
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

static bool system_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; *at; at += strspn(at, " \n")) {
		size_t n = strcspn(at, " \n");

		if (n == len && strncmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

/* Make a cgroup below the caller's, and remove it. Return: 0 or -errno. */
static int system_make_cgroup(const char *dir, struct arena *arena)
{
	const char *below = arena_printf(arena, "%s/sbx-doctor-%d", dir, getpid());
	const char *procs = arena_printf(arena, "%s/cgroup.procs", dir);
	int r = 0;

	if (!below || !procs)
		return -ENOMEM;
	if (mkdir(below, 0755) < 0)
		return -errno;
	if (access(procs, W_OK) < 0)
		r = -errno;
	(void)rmdir(below);
	return r;
}

/* Those that are not among a cgroup's; "" where none is missing. */
static const char *system_missing_controllers(const char *have, struct arena *arena)
{
	const char *missing = "";

	for (size_t i = 0; missing && i < ARRAY_SIZE(system_controllers); i++)
		if (!system_has_word(have, system_controllers[i]))
			missing = arena_printf(arena, "%s%s%s", missing, *missing ? ", " : "",
					       system_controllers[i]);
	return missing;
}

/* ---- systemd, and what it can be asked for ---- */

static const char *system_runtime_dir(const struct doctor *d)
{
	const char *dir = probe_env(d->host.environ_, "XDG_RUNTIME_DIR");

	return dir && dir[0] == '/' ? dir
				    : arena_printf(d->host.arena, "/run/user/%u", d->host.uid);
}

/* In the child: ask the manager for its version, by the user's bus. */
static int system_ask_manager(struct doctor *d, const struct doctor_probe *probe,
			      struct doctor_answer *answer, struct sbx_err *err)
{
	const char *address =
		arena_printf(&d->arena, "--address=unix:path=%s/bus", system_runtime_dir(d));
	const char *const argv[] = {probe_helper(&d->host, &d->spec, "busctl"),
				    address,
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
	if (!argv[0])
		return 0;
	r = doctor_capture(d, argv, &text, err);
	if (r < 0)
		return r;
	/* s "252.22-1" */
	text += strcspn(text, "\"");
	text += *text == '"';
	text[strcspn(text, "\"\n")] = '\0';
	str_copy(answer->text, sizeof(answer->text), text);
	return 0;
}

static int system_connect(const char *path)
{
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	str_copy(address.sun_path, sizeof(address.sun_path), path);
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* Has the system a systemd, and the caller a bus to its manager? */
static bool system_has_systemd(void)
{
	struct stat st;

	return stat("/run/systemd/system", &st) == 0;
}

static int system_connect_bus(struct doctor *d)
{
	return system_connect(arena_printf(&d->arena, "%s/bus", system_runtime_dir(d)));
}

/* Then systemd is asked for a cgroup, where there is one. */
static void system_not_delegated(struct doctor *d, const char *mount, const char *dir, int number,
				 struct doctor_finding *ret)
{
	const char *user = d->host.user ? d->host.user : "USER";

	doctor_say(ret, DOCTOR_FAILS, "%s is not delegated to you: %s", dir, strerror(number));
	/* A hierarchy beside that of version 1 has no controllers to delegate. */
	if (!str_equal(mount, system_cgroup_place))
		doctor_mend(ret, "%s", system_unified);
	else if (!system_has_systemd())
		doctor_mend(ret,
			    "as root: echo +cpu +io +memory +pids >%s/cgroup.subtree_control &&\n"
			    "  mkdir -p %s/sbx/shell && chown -R %s %s/sbx &&\n"
			    "  echo PID >%s/sbx/shell/cgroup.procs, PID being that of your shell",
			    mount, mount, user, mount, mount);
	else if (system_connect_bus(d) == 0)
		doctor_say(ret, DOCTOR_LIMITED,
			   "%s is not delegated to you: systemd has to be asked", dir);
	else
		doctor_mend(ret, "start it in a cgroup of its own: systemd-run --user --scope -p "
				 "Delegate=yes sbx ...");
}

DOCTOR_PROBE(cgroup)
{
	const char *mount = system_find_cgroup2(), *own = NULL, *dir, *missing;
	char *text, *controllers;
	size_t len;
	int r;

	(void)probe;
	if (!mount) {
		doctor_say(ret, DOCTOR_FAILS, "cgroup v2 is not mounted at /sys/fs/cgroup");
		doctor_mend(ret, "%s", system_unified);
		return;
	}
	if (io_read_file("/proc/self/cgroup", SYSTEM_TEXT_MAX, &d->arena, &text, &len) == 0)
		own = doctor_parse_cgroup(text, &d->arena);
	dir = own ? arena_printf(&d->arena, "%s%s", mount, own) : NULL;
	if (!dir || io_read_file(arena_printf(&d->arena, "%s/cgroup.controllers", dir),
				 SYSTEM_TEXT_MAX, &d->arena, &controllers, &len) < 0) {
		doctor_say(ret, DOCTOR_FAILS, "this process's cgroup cannot be seen below %s",
			   mount);
		return;
	}
	missing = system_missing_controllers(controllers, &d->arena);
	r = system_make_cgroup(dir, &d->arena);
	d->has_cgroup = r == 0;
	if (r < 0) {
		system_not_delegated(d, mount, dir, -r, ret);
	} else if (missing && *missing) {
		doctor_say(ret, DOCTOR_LIMITED, "%s is delegated, without the controllers %s", dir,
			   missing);
		doctor_mend(ret, "%s",
			    str_equal(mount, system_cgroup_place) ? system_delegate_all
								  : system_unified);
	} else {
		doctor_say(ret, DOCTOR_WORKS, "%s is delegated, with all controllers", dir);
	}
}

/* Who has a cgroup already need not ask for one. */
DOCTOR_PROBE(systemd)
{
	enum doctor_status missing = d->has_cgroup ? DOCTOR_FACT : DOCTOR_FAILS;
	struct doctor_answer answer;
	int r;

	if (!system_has_systemd()) {
		doctor_say(ret, missing, "this system does not run systemd");
		return;
	}
	r = system_connect_bus(d);
	if (r < 0) {
		doctor_say(ret, missing, "no user manager: %s/bus: %s", system_runtime_dir(d),
			   strerror(-r));
		doctor_mend(ret,
			    "as root: loginctl enable-linger %s; then log in again, or\n"
			    "export XDG_RUNTIME_DIR=/run/user/%u",
			    d->host.user ? d->host.user : "USER", d->host.uid);
	} else if (!doctor_try(d, probe, 0, system_ask_manager, &answer, ret)) {
		ret->status = missing;
		doctor_mend(ret, "see: systemctl --user status");
	} else if (answer.text[0]) {
		doctor_say(ret, DOCTOR_WORKS, "the user manager answers, version %s", answer.text);
	} else {
		doctor_say(ret, DOCTOR_WORKS, "the user's bus answers");
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

DOCTOR_PROBE(records)
{
	const char *runtime = probe_env(d->host.environ_, "XDG_RUNTIME_DIR");
	const char *flaw = system_runtime_dir_flaw(runtime, d->host.uid), *chosen = NULL;
	struct sbx_plan plan;
	struct sbx_err err;
	int r, why = ENOENT;

	(void)probe;
	plan_init(&plan);
	r = records_add_dirs(&d->host, &plan, &err);
	for (size_t i = 0; r == 0 && i < PLAN_RECORD_DIRS && !chosen; i++) {
		int e = plan.box_dirs[i] ? dirs_check_own(plan.box_dirs[i]) : -why;

		if (e == 0)
			chosen = plan.box_dirs[i];
		why = -e;
	}
	if (r == 0 && !chosen)
		r = records_refuse(plan.box_dirs[0], why, &err);
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
