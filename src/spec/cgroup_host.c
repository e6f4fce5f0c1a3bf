/* SPDX-License-Identifier: MIT */
/*
 * cgroup_host: see cgroup_host.h.
 *
 * Theory of operation
 *
 * In a cgroup with controllers for those below it there can be no process (the rule of no
 * internal processes, cgroups(7)). So the caller's own can be divided only if nobody but sbx
 * is in it, which then moves itself to one below: systemd-run --user --scope -p Delegate=yes
 * sbx ... starts it so. Others are never moved. Next, those above it are looked at, as far as
 * they are the caller's: a shell may sit in a leaf of what was delegated to its user.
 * What a manager of systemd has divided is its own business: no slice is used, no cgroup with
 * an init.scope in it, and nothing above a scope or service.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/spec/cgroup_host.h"

enum { CGROUP_TEXT_MAX = 1 << 20 };

static const char *const cgroup_places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
static const char cgroup_delegate_all[] =
	"as root: mkdir -p /etc/systemd/system/user@.service.d &&\n"
	"  printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
	">/etc/systemd/system/user@.service.d/delegate.conf &&\n"
	"  systemctl daemon-reload; then log in again";

const char *const plan_controllers[PLAN_CONTROLLER_COUNT_] = {
	[PLAN_CPU] = "cpu",	  [PLAN_CPUSET] = "cpuset", [PLAN_IO] = "io",
	[PLAN_MEMORY] = "memory", [PLAN_PIDS] = "pids",
};

/* ---- what the kernel tells ---- */

/* Does its name end so? */
static bool cgroup_is_unit(const char *dir, const char *suffix)
{
	size_t len = strlen(dir), n = strlen(suffix);

	return len > n && str_equal(dir + len - n, suffix);
}

/**
 * Where the v2 hierarchy is.
 * @host: NULL: this one
 *
 * Return: NULL: nowhere that sbx looks, or out of memory; may be in the host's arena.
 */
const char *cgroup_find_mount(const struct probe_host *host)
{
	const bool made_up = host && host->root_prefix[0];

	for (size_t i = 0; i < ARRAY_SIZE(cgroup_places); i++) {
		const char *place = cgroup_places[i];
		struct statfs fs;

		if (made_up)
			place = arena_printf(host->arena, "%s%s", host->root_prefix, place);
		if (place && statfs(place, &fs) == 0 &&
		    (made_up || fs.f_type == CGROUP2_SUPER_MAGIC))
			return place;
	}
	return NULL;
}

/* Is it beside hierarchies of version 1? They have the controllers then. */
static bool cgroup_is_beside(const char *mount)
{
	return cgroup_is_unit(mount, "/unified");
}

/* The v2 line of /proc/PID/cgroup, "0::/PATH". Return: the path, "" for the root; NULL: none. */
const char *cgroup_parse_path(const char *text, struct arena *arena)
{
	const char *at = str_starts_with(text, "0::/") ? text : strstr(text, "\n0::/");
	size_t len;

	if (!at)
		return NULL;
	at = strchr(at, ':') + 2;
	len = strcspn(at, "\n");
	return arena_dup_n(arena, at, len == 1 ? 0 : len);
}

/* Is it among words with blanks between them? */
bool cgroup_has_word(const char *text, const char *word)
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

/* Those of the controllers that are not among a cgroup's; "" where none is missing. */
const char *cgroup_list_missing(const char *have, uint32_t wanted, struct arena *arena)
{
	const char *missing = "";

	for (size_t i = 0; missing && i < PLAN_CONTROLLER_COUNT_; i++)
		if ((wanted >> i & 1) && !cgroup_has_word(have, plan_controllers[i]))
			missing = arena_printf(arena, "%s%s%s", missing, *missing ? ", " : "",
					       plan_controllers[i]);
	return missing;
}

/* A file of a cgroup; "" where it cannot be read, NULL out of memory. */
static const char *cgroup_read_file(const char *dir, const char *file, struct arena *arena)
{
	const char *path = arena_printf(arena, "%s/%s", dir, file);
	char *text;
	size_t len;
	int r;

	if (!path)
		return NULL;
	r = io_read_file(path, CGROUP_TEXT_MAX, arena, &text, &len);
	return r == -ENOMEM ? NULL : r < 0 ? "" : text;
}

/* ---- what to do where the hierarchy has too little, or is not there ---- */

static bool cgroup_has_systemd(const struct probe_host *host)
{
	const char *path = arena_printf(host->arena, "%s/run/systemd/system", host->root_prefix);
	struct stat st;

	return path && stat(path, &st) == 0;
}

/* Has version 1 any of the controllers? Its lines of /proc/PID/cgroup have names of some. */
static bool cgroup_has_version_1(const struct probe_host *host)
{
	const char *at = probe_text(host, "/proc/self/cgroup");

	for (; at && *at; at += strcspn(at, "\n") + (strchr(at, '\n') != NULL)) {
		const char *colon = strpbrk(at, ":\n");

		if (colon && *colon == ':' && colon[1] != ':' && !str_starts_with(colon, ":name="))
			return true;
	}
	return false;
}

/* Where limits can be set by who started this, and by nobody else. NULL: nobody did. */
static const char *cgroup_outside_remedy(const struct probe_host *host)
{
	const char *container;

	if (probe_is_sandbox(host))
		return "this is a sandbox of sbx: give the limits to that, where it is started";
	container = probe_container(host);
	if (!container)
		return NULL;
	return arena_printf(host->arena,
			    "this is a container of %s: set the limits where it is started, on its "
			    "host; to set "
			    "them in here\nit has to be given a cgroup v2 that can be written to "
			    "(sbx-limits(7))",
			    container);
}

/* As root, without systemd: a cgroup of the user's own. */
static const char *cgroup_delegate_by_hand(const struct probe_host *host)
{
	const char *user = host->user ? host->user : "USER";

	return arena_printf(host->arena,
			    "echo +cpu +cpuset +io +memory +pids >%s/cgroup.subtree_control &&\n"
			    "  mkdir -p %s/sbx/shell && chown -R %s %s/sbx &&\n"
			    "  echo PID >%s/sbx/shell/cgroup.procs, PID being that of your shell",
			    cgroup_places[0], cgroup_places[0], user, cgroup_places[0],
			    cgroup_places[0]);
}

/* It has to have the controllers, and to be where it is looked for. @mount: NULL: it is not */
static const char *cgroup_kernel_remedy(const struct probe_host *host, const char *mount)
{
	const bool version_1 = cgroup_has_version_1(host);
	const char *outside = cgroup_outside_remedy(host), *by_hand;

	if (outside)
		return outside;
	if (mount && !version_1 && !cgroup_is_beside(mount))
		return "this kernel was built without, or its command line (/proc/cmdline) "
		       "switches it off: no\ncgroup_disable= may be there";
	if (cgroup_has_systemd(host))
		return "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line";
	by_hand = cgroup_delegate_by_hand(host);
	if (!by_hand)
		return NULL;
	return arena_printf(host->arena, "%s%s  %s",
			    version_1 ? "boot with cgroup_no_v1=all on the kernel's command line; "
					"then, as root:\n"
				      : "as root:\n",
			    mount && !cgroup_is_beside(mount)
				    ? ""
				    : "  mount -t cgroup2 none /sys/fs/cgroup &&\n",
			    by_hand);
}

/**
 * Has this kernel, in its hierarchy of version 2, what is wanted?
 * @wanted: bit n: enum plan_controller
 *
 * Return: 0 with *ret filled, or -ENOMEM.
 */
int cgroup_look_at_kernel(const struct probe_host *host, uint32_t wanted,
			  struct cgroup_obstacle *ret)
{
	const char *mount = cgroup_find_mount(host), *have, *missing;

	*ret = (struct cgroup_obstacle){0};
	if (!mount) {
		ret->what = "cgroup v2 is not mounted at /sys/fs/cgroup";
		ret->remedy = cgroup_kernel_remedy(host, mount);
		return ret->remedy ? 0 : -ENOMEM;
	}
	have = cgroup_read_file(mount, "cgroup.controllers", host->arena);
	missing = have ? cgroup_list_missing(have, wanted, host->arena) : NULL;
	if (!missing)
		return -ENOMEM;
	if (!*missing)
		return 0;
	ret->what = arena_printf(host->arena,
				 "no cgroup v2 controllers for it: %s has no %s, which version 1 "
				 "may have, or nobody",
				 mount, missing);
	ret->remedy = cgroup_kernel_remedy(host, mount);
	return ret->what && ret->remedy ? 0 : -ENOMEM;
}

/* ---- the caller's own ---- */

static bool cgroup_is_writable(const char *dir, struct arena *arena)
{
	static const char *const files[] = {"", "cgroup.procs", "cgroup.subtree_control"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *path = arena_printf(arena, "%s/%s", dir, files[i]);

		if (!path || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
			return false;
	}
	return true;
}

/* Who is in it but the caller? Return: a process, 0: nobody, or -ENOMEM. */
static long cgroup_find_other(const char *dir, struct arena *arena, bool *ret_self)
{
	const char *text = cgroup_read_file(dir, "cgroup.procs", arena);
	long other = 0;

	*ret_self = false;
	if (!text)
		return -ENOMEM;
	for (char *at = (char *)(uintptr_t)text; *at; at += strspn(at, "\n")) {
		long pid = strtol(at, &at, 10);

		if (pid == getpid())
			*ret_self = true;
		else
			other = pid;
		if (*at != '\n')
			break;
	}
	return other;
}

/* Has a manager of systemd divided it? */
static bool cgroup_is_managed(const char *dir, struct arena *arena)
{
	const char *init = arena_printf(arena, "%s/init.scope", dir);
	struct stat st;

	return cgroup_is_unit(dir, ".slice") || !init || stat(init, &st) == 0;
}

/* How a cgroup of one's own is had. */
static const char *cgroup_remedy(const struct probe_host *host)
{
	const char *mount = cgroup_find_mount(host), *outside, *by_hand;

	if (!mount || cgroup_is_beside(mount))
		return cgroup_kernel_remedy(host, mount);
	if (cgroup_has_systemd(host) && !probe_is_sandbox(host))
		return "start it in a cgroup of its own: systemd-run --user --scope -p "
		       "Delegate=yes sbx ...";
	outside = cgroup_outside_remedy(host);
	if (outside)
		return outside;
	by_hand = cgroup_delegate_by_hand(host);
	return by_hand ? arena_printf(host->arena, "as root: %s", by_hand) : NULL;
}

/* Nobody else may be in it. Return: 0 with *ret_what filled, NULL where nobody is, or -ENOMEM. */
static int cgroup_look_inside(const struct probe_host *host, const char *dir, bool *ret_self,
			      const char **ret_what)
{
	long other = cgroup_find_other(dir, host->arena, ret_self);

	*ret_what = other <= 0 ? NULL
			       : arena_printf(host->arena,
					      "%s has other processes in it, as %ld, which keep it "
					      "whole",
					      dir, other);
	return other < 0 || (other && !*ret_what) ? -ENOMEM : 0;
}

/* It has to have what is wanted for those below. The same. */
static int cgroup_look_at_controllers(const struct probe_host *host, const char *dir,
				      uint32_t wanted, struct cgroup_obstacle *ret)
{
	const char *type = cgroup_read_file(dir, "cgroup.type", host->arena);
	const char *have = cgroup_read_file(dir, "cgroup.controllers", host->arena);
	const char *missing = have ? cgroup_list_missing(have, wanted, host->arena) : NULL;

	if (!missing || !type)
		return -ENOMEM;
	if (*type && !str_starts_with(type, "domain\n")) {
		ret->what = arena_printf(host->arena, "%s is a threaded cgroup, or below one", dir);
	} else if (*missing) {
		ret->what = arena_printf(host->arena, "%s is delegated, without the controllers %s",
					 dir, missing);
		ret->remedy = cgroup_delegate_all;
	} else {
		return 0;
	}
	return ret->what ? 0 : -ENOMEM;
}

/*
 * One cgroup. What is in the way of all but the last that is looked at is nobody's concern, and
 * each file of it costs three calls: so no more is read than it takes.
 *
 * Return: 0 with *ret and *ret_obstacle filled, its remedy only where that is a special one; or
 * -ENOMEM.
 */
static int cgroup_look_at(const struct probe_host *host, const char *dir, uint32_t wanted,
			  struct cgroup_own *ret, struct cgroup_obstacle *ret_obstacle)
{
	int r = 0;

	*ret = (struct cgroup_own){.dir = dir, .writable = cgroup_is_writable(dir, host->arena)};
	*ret_obstacle = (struct cgroup_obstacle){0};
	if (!ret->writable) {
		ret_obstacle->what = arena_printf(host->arena, "%s is not delegated to you", dir);
		return ret_obstacle->what ? 0 : -ENOMEM;
	}
	r = cgroup_look_inside(host, dir, &ret->with_self, &ret_obstacle->what);
	if (r == 0 && !ret_obstacle->what)
		r = cgroup_look_at_controllers(host, dir, wanted, ret_obstacle);
	return r;
}

/* The cgroup above; NULL: there is none below the mount. */
static const char *cgroup_above(const char *mount, const char *dir, struct arena *arena)
{
	const char *slash = strrchr(dir, '/');

	return (size_t)(slash - dir) < strlen(mount)
		       ? NULL
		       : arena_dup_n(arena, dir, (size_t)(slash - dir));
}

/**
 * Is there a cgroup that the caller may divide?
 * @wanted: controllers, bit n: enum plan_controller
 *
 * Return: 0; where nothing is in the way, *ret says which. Or -ENOMEM.
 */
int cgroup_look_at_own(const struct probe_host *host, uint32_t wanted, struct cgroup_own *ret,
		       struct cgroup_obstacle *ret_obstacle)
{
	const char *mount = cgroup_find_mount(host), *text = probe_text(host, "/proc/self/cgroup");
	const char *path = text ? cgroup_parse_path(text, host->arena) : NULL, *dir;
	bool unit;
	int r;

	*ret = (struct cgroup_own){0};
	*ret_obstacle = (struct cgroup_obstacle){
		.what = "the caller's cgroup cannot be seen below /sys/fs/cgroup"};
	if (!mount || !path || str_starts_with(path, "/.."))
		return 0;
	dir = arena_printf(host->arena, "%s%s", mount, path);
	r = dir ? cgroup_look_at(host, dir, wanted, ret, ret_obstacle) : -ENOMEM;
	unit = r == 0 && (cgroup_is_unit(dir, ".scope") || cgroup_is_unit(dir, ".service"));
	while (r == 0 && ret_obstacle->what && !unit &&
	       (dir = cgroup_above(mount, dir, host->arena))) {
		struct cgroup_obstacle obstacle;
		struct cgroup_own above;

		if (cgroup_is_managed(dir, host->arena))
			break;
		unit = cgroup_is_unit(dir, ".scope") || cgroup_is_unit(dir, ".service");
		r = cgroup_look_at(host, dir, wanted, &above, &obstacle);
		if (r < 0 || !above.writable)
			break;
		*ret = above;
		*ret_obstacle = obstacle;
	}
	if (ret_obstacle->what && !ret_obstacle->remedy)
		ret_obstacle->remedy = cgroup_remedy(host);
	return r;
}

/* ---- systemd's manager ---- */

/* Return: 0 or -errno (-EAGAIN: so many wait there that one more would have to wait for its turn).
 */
static int cgroup_connect(const char *path)
{
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	str_copy(address.sun_path, sizeof(address.sun_path), path);
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* Root has the system's own manager where it has none of its own. */
static const char *cgroup_find_bus(const struct probe_host *host, int *ret_result)
{
	static const char system_bus[] = "/run/dbus/system_bus_socket";
	const char *runtime = probe_env(host->environ_, "XDG_RUNTIME_DIR"), *path;

	path = runtime && runtime[0] == '/'
		       ? arena_printf(host->arena, "%s/bus", runtime)
		       : arena_printf(host->arena, "/run/user/%u/bus", host->uid);
	if (!path)
		return NULL;
	*ret_result = cgroup_connect(path);
	if (*ret_result < 0 && host->uid == 0 && cgroup_connect(system_bus) == 0) {
		*ret_result = 0;
		return system_bus;
	}
	return path;
}

/* What the user's manager has for its units; "": it cannot be told. */
static const char *cgroup_managers_controllers(const struct probe_host *host)
{
	const char *mount = cgroup_find_mount(host);
	const char *dir = arena_printf(host->arena, "%s/user.slice/user-%u.slice/user@%u.service",
				       mount ? mount : cgroup_places[0], host->uid, host->uid);

	return dir ? cgroup_read_file(dir, "cgroup.controllers", host->arena) : NULL;
}

/**
 * Can systemd be asked for a scope?
 * @spec:   names the helpers that were replaced
 * @wanted: controllers, bit n: enum plan_controller
 *
 * Return: 0; where nothing is in the way, *ret says how. Or -ENOMEM.
 */
int cgroup_look_at_manager(const struct probe_host *host, const struct sbx_spec *spec,
			   uint32_t wanted, struct cgroup_manager *ret,
			   struct cgroup_obstacle *ret_obstacle)
{
	const char *user = host->user ? host->user : "USER", *bus, *have, *missing = "";
	int connected = 0;

	*ret = (struct cgroup_manager){.busctl = probe_helper(host, spec, "busctl")};
	*ret_obstacle = (struct cgroup_obstacle){0};
	if (!cgroup_has_systemd(host)) {
		ret_obstacle->what = "this system does not run systemd";
		/* Nobody is to change that for a limit: root can delegate a cgroup. */
		ret_obstacle->remedy = cgroup_remedy(host);
		return ret_obstacle->remedy ? 0 : -ENOMEM;
	}
	bus = cgroup_find_bus(host, &connected);
	have = cgroup_managers_controllers(host);
	if (bus && have && *have && !str_starts_with(bus, "/run/dbus/"))
		missing = cgroup_list_missing(have, wanted, host->arena);
	ret->address = bus ? arena_printf(host->arena, "unix:path=%s", bus) : NULL;
	if (!ret->address || !have || !missing)
		return -ENOMEM;
	if (connected == -EAGAIN) {
		ret_obstacle->what = arena_printf(
			host->arena, "the user manager does not answer: too many wait for it at %s",
			bus);
		ret_obstacle->remedy = arena_printf(
			host->arena, "see what holds it up: systemctl status user@%u", host->uid);
	} else if (connected < 0) {
		ret_obstacle->what = arena_printf(host->arena, "no user manager: %s: %s", bus,
						  strerror(-connected));
		ret_obstacle->remedy =
			arena_printf(host->arena,
				     "as root: loginctl enable-linger %s; then log in again, or\n"
				     "export XDG_RUNTIME_DIR=/run/user/%u",
				     user, host->uid);
	} else if (*missing) {
		ret_obstacle->what = arena_printf(
			host->arena, "the user manager is not delegated the controllers %s",
			missing);
		ret_obstacle->remedy = cgroup_delegate_all;
	} else if (!ret->busctl) {
		ret_obstacle->what = "busctl, by which it is asked, is not installed";
		ret_obstacle->remedy = "it comes with systemd; see that /usr/bin/busctl is there";
	} else {
		return 0;
	}
	return ret_obstacle->what ? 0 : -ENOMEM;
}
