/* SPDX-License-Identifier: MIT */
/*
 * probe: look at the host.
 *
 * Every launch pays for probe_host(), so it reads as little as it can: passwd and
 * group once each. What the files do not know (a directory service) is asked of
 * getent(1), what they have no subordinate ids for of getsubids(1); both are
 * started only then.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/passwd.h"
#include "sbx/spec/probe.h"
#include "sbx_config.h"

enum {
	PASSWD_MAX_BYTES = 16 << 20,
	SUBID_MAX_BYTES = 16 << 20,
	GETENT_MAX_BYTES = 64 << 10,
	PROBE_MISC_MAJOR = 10,
};

/* A variable's value, NULL where it is not set. */
const char *probe_env(char *const *environ_, const char *name)
{
	size_t len = strlen(name);

	for (char *const *e = environ_; e && *e; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return *e + len + 1;
	return NULL;
}

static const char *probe_path(const struct probe_host *host, const char *path)
{
	if (!host->root_prefix || host->root_prefix[0] == '\0')
		return path;
	return arena_printf(host->arena, "%s%s", host->root_prefix, path);
}

/* Ask getent(1), which goes through all of NSS. Return: its output, or NULL. */
static const char *probe_getent(const struct probe_host *host, const char *database, uint32_t id)
{
	const char *path = probe_path(host, "/usr/bin/getent");
	char number[16];
	const char *const argv[] = {"getent", database, number, NULL};
	const struct proc_spawn spawn = {
		.path = path, .argv = argv, .output_fd = -1, .error_fd = -1};
	char *text = NULL;
	size_t len;
	int status;

	(void)snprintf(number, sizeof(number), "%u", id);
	if (!path || access(path, X_OK) < 0)
		return NULL;
	if (proc_capture(&spawn, GETENT_MAX_BYTES, host->arena, &text, &len, &status) < 0 ||
	    status != 0)
		return NULL;
	return text;
}

/* Find an id in a file, else through NSS. Return: was it found? */
static bool probe_entry(const struct probe_host *host, enum passwd_file file, uint32_t id,
			struct passwd_entry *entry)
{
	static const char *const paths[] = {"/etc/passwd", "/etc/group"};
	static const char *const databases[] = {"passwd", "group"};
	const char *path = probe_path(host, paths[file]);
	const char *asked;
	char *text;
	size_t len;

	if (path && io_read_file(path, PASSWD_MAX_BYTES, host->arena, &text, &len) == 0 &&
	    passwd_find_id(text, file, id, host->arena, entry) == 0)
		return true;
	asked = probe_getent(host, databases[file], id);
	return asked && passwd_find_id(asked, file, id, host->arena, entry) == 0;
}

/* Return: 0, with NULL where there is none, or -ENOMEM. */
static int probe_cwd(struct arena *arena, const char **ret_cwd)
{
	char cwd[PATH_MAX];

	*ret_cwd = NULL;
	/* Linux says "(unreachable)..." for a directory outside the caller's root. */
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return 0;
	*ret_cwd = arena_dup(arena, cwd);
	return *ret_cwd ? 0 : -ENOMEM;
}

/*
 * The same directory by another name that the caller's shell has for it, or NULL: where links are
 * on the way, that is what a bind of "$PWD" makes. PWD is believed where it leads there.
 */
static const char *probe_pwd(const char *cwd, char *const *environ_)
{
	const char *pwd = probe_env(environ_, "PWD");
	struct stat said, here;

	if (!pwd || pwd[0] != '/' || str_equal(pwd, cwd) || stat(pwd, &said) < 0 ||
	    stat(".", &here) < 0)
		return NULL;
	return said.st_dev == here.st_dev && said.st_ino == here.st_ino ? pwd : NULL;
}

/*
 * The terminal on stdout, as bubblewrap takes it for /dev/console. By a name that leads to it:
 * that of a terminal of another devpts, or of one that is gone, may lead to another or nowhere.
 */
static const char *probe_tty(struct arena *arena)
{
	char path[64];

	if (ttyname_r(STDOUT_FILENO, path, sizeof(path)) != 0)
		return NULL;
	return str_starts_with(path, "/dev/") ? arena_dup(arena, path) : NULL;
}

static const char *probe_hostname(struct arena *arena)
{
	struct utsname uts;

	return arena_dup(arena, uname(&uts) < 0 ? "sandbox" : uts.nodename);
}

/**
 * The facts that every launch needs.
 * @arena:   borrowed by the result; owns its strings
 * @environ: borrowed by the result
 * @names:   look the caller up in passwd(5); else only where HOME is missing
 *
 * Return: 0 or -ENOMEM.
 */
int probe_host(struct arena *arena, char *const *environ_, bool names, struct probe_host *ret_host,
	       struct sbx_err *err)
{
	struct probe_host host = {
		.arena = arena,
		.uid = geteuid(),
		.gid = getegid(),
		.root_prefix = "",
		.environ_ = environ_,
		.tty = probe_tty(arena),
		.hostname = probe_hostname(arena),
		.no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
		.terminals = -1,
	};
	const char *home = probe_env(environ_, "HOME");
	bool has_home = home && home[0] == '/';
	struct passwd_entry entry;

	if (!host.hostname || probe_cwd(arena, &host.cwd) < 0)
		return err_oom(err);
	host.pwd = host.cwd ? probe_pwd(host.cwd, environ_) : NULL;
	if ((names || !has_home) && probe_entry(&host, PASSWD_USERS, host.uid, &entry)) {
		host.user = entry.name;
		if (entry.home && entry.home[0] == '/')
			host.home = path_normalise(arena, NULL, entry.home);
		host.shell = entry.shell;
	}
	if (has_home)
		host.home = path_normalise(arena, NULL, home);
	*ret_host = host;
	return 0;
}

/* Lines of getsubids(1), "0: name start count", as those of subuid(5). */
static int probe_getsubids(const struct probe_host *host, bool groups,
			   struct probe_range **ret_ranges, size_t *ret_count, struct sbx_err *err)
{
	const char *path = probe_path(host, "/usr/bin/getsubids");
	const char *const users[] = {"getsubids", host->user, NULL};
	const char *const group_args[] = {"getsubids", "-g", host->user, NULL};
	const struct proc_spawn spawn = {
		.path = path, .argv = groups ? group_args : users, .output_fd = -1, .error_fd = -1};
	struct probe_range *ranges = NULL;
	size_t len, count = 0;
	char *text;
	int status;

	if (!path || !host->user || access(path, X_OK) < 0 ||
	    proc_capture(&spawn, GETENT_MAX_BYTES, host->arena, &text, &len, &status) < 0 ||
	    status != 0)
		return 0;
	for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
		unsigned long start, n;

		if (sscanf(line, "%*u: %*s %lu %lu", &start, &n) == 2 && n > 0 &&
		    start + n <= UINT32_MAX) {
			ranges = arena_grow(host->arena, ranges, count, sizeof(*ranges));
			if (!ranges)
				return err_oom(err);
			ranges[count++] = (struct probe_range){(uint32_t)start, (uint32_t)n};
		}
		if (!strchr(line, '\n'))
			break;
	}
	*ret_ranges = ranges;
	*ret_count = count;
	return 0;
}

/* Does nsswitch.conf(5) send questions about subordinate ids elsewhere than to the files? */
static bool probe_subids_by_nss(const struct probe_host *host)
{
	const char *path = probe_path(host, "/etc/nsswitch.conf");
	char *text, *line;
	size_t len;

	if (!path || io_read_file(path, PASSWD_MAX_BYTES, host->arena, &text, &len) < 0)
		return false;
	line = str_starts_with(text, "subid:") ? text : strstr(text, "\nsubid:");
	return line != NULL;
}

/**
 * The caller's subordinate ids.
 * @file:       "/etc/subuid" or "/etc/subgid"
 * @ret_ranges: in the host's arena; NULL with *ret_count 0 where there are none
 *
 * Return: 0, or a negative errno.
 */
int probe_subids(const struct probe_host *host, const char *file, struct probe_range **ret_ranges,
		 size_t *ret_count, struct sbx_err *err)
{
	const char *path = probe_path(host, file);
	char *text;
	size_t len;
	int r;

	*ret_ranges = NULL;
	*ret_count = 0;
	if (!path)
		return err_oom(err);
	r = io_read_file(path, SUBID_MAX_BYTES, host->arena, &text, &len);
	if (r == 0)
		r = idmap_parse_subids(text, len, host->user, host->uid, host->arena, ret_ranges,
				       ret_count, err);
	if (r == -ENOMEM)
		return r;
	if (*ret_count == 0 && probe_subids_by_nss(host))
		return probe_getsubids(host, strcmp(file, "/etc/subgid") == 0, ret_ranges,
				       ret_count, err);
	return 0;
}

/* What --helper says; NULL: nothing. */
static const char *probe_named_helper(const struct sbx_spec *spec, const char *name)
{
	for (size_t i = spec->n_helpers; i > 0; i--)
		if (strcmp(spec->helpers[i - 1].name, name) == 0)
			return spec->helpers[i - 1].path;
	return NULL;
}

/**
 * The absolute path of a helper program, or NULL where there is none.
 * @name: "newuidmap", ...
 *
 * It is looked for where systems install it, never on PATH: what runs here may
 * be set-user-ID. --helper names another.
 */
const char *probe_helper(const struct probe_host *host, const struct sbx_spec *spec,
			 const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin",
					   "/run/wrappers/bin", "/bin"};

	const char *named = probe_named_helper(spec, name);

	if (named)
		return named;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		const char *path =
			arena_printf(host->arena, "%s%s/%s", host->root_prefix, dirs[i], name);

		if (path && access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* ---- what is missing, and how it is had ---- */

/* Programs that install packages, and the command that does. One that is there is used. */
static const struct probe_manager {
	const char *path, *command;
} probe_managers[] = {
	{"/usr/bin/apt-get", "apt install"},
	{"/usr/bin/dnf", "dnf install"},
	{"/usr/bin/zypper", "zypper install"},
	{"/usr/bin/pacman", "pacman -S"},
	{"/sbin/apk", "apk add"},
};

/* The packages of helpers, in the order of the managers, and what else there is to say. */
static const struct probe_package {
	const char *helper;
	const char *names[ARRAY_SIZE(probe_managers)];
	const char *without; /* where no manager is known: which packages; "": none has it */
	const char *besides; /* how to do without; NULL: nothing to say */
} probe_packages[] = {
	{"newuidmap",
	 {"uidmap", "shadow-utils", "shadow", "shadow", "shadow-uidmap"},
	 "uidmap (Debian, Ubuntu), shadow-utils (Fedora), shadow (Arch, Alpine: shadow-uidmap)",
	 NULL},
	{"newgidmap",
	 {"uidmap", "shadow-utils", "shadow", "shadow", "shadow-uidmap"},
	 "uidmap (Debian, Ubuntu), shadow-utils (Fedora), shadow (Arch, Alpine: shadow-uidmap)",
	 NULL},
	{"xdg-dbus-proxy",
	 {"xdg-dbus-proxy", "xdg-dbus-proxy", "xdg-dbus-proxy", "xdg-dbus-proxy", "xdg-dbus-proxy"},
	 "xdg-dbus-proxy",
	 "--no-dbus-session does without"},
	{"fuse-overlayfs",
	 {"fuse-overlayfs", "fuse-overlayfs", "fuse-overlayfs", "fuse-overlayfs", "fuse-overlayfs"},
	 "fuse-overlayfs",
	 NULL},
	{"slirp4netns",
	 {"slirp4netns", "slirp4netns", "slirp4netns", "slirp4netns", "slirp4netns"},
	 "slirp4netns",
	 NULL},
	{"nft", {"nftables", "nftables", "nftables", "nftables", "nftables"}, "nftables", NULL},
};

/* "as root: apt install NAME", or which package to look for. NULL: out of memory. */
static const char *probe_install(const struct probe_host *host, const struct probe_package *package)
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_managers); i++) {
		const char *path = probe_path(host, probe_managers[i].path);

		if (path && access(path, X_OK) == 0)
			return arena_printf(host->arena, "as root: %s %s",
					    probe_managers[i].command, package->names[i]);
	}
	return arena_printf(host->arena, "install it: the package is %s", package->without);
}

/**
 * What to do about a helper program that is not installed.
 * @name: as in probe_helper()
 *
 * Return: in the host's arena; NULL out of memory, and where nothing is known.
 */
const char *probe_helper_remedy(const struct probe_host *host, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_packages); i++) {
		const struct probe_package *package = &probe_packages[i];
		const char *install;

		if (strcmp(package->helper, name) != 0)
			continue;
		install = probe_install(host, package);
		if (!install || !package->besides)
			return install;
		return arena_printf(host->arena, "%s; %s", install, package->besides);
	}
	return NULL;
}

/* The caller's effective capabilities. */
uint64_t probe_caps(void)
{
	uint64_t effective;

	return sys_capget(&effective) < 0 ? 0 : effective;
}

/**
 * The absolute path of a program that belongs to sbx, or NULL out of memory.
 *
 * The one beside sbx itself, as in a build tree: who can put a program there could
 * replace sbx. Else the one that was installed, which may be missing. --helper names another.
 */
const char *probe_own_helper(const struct probe_host *host, const struct sbx_spec *spec,
			     const char *name)
{
	const char *named = probe_named_helper(spec, name);
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *beside;
	char *slash;

	if (named)
		return named;
	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		beside = arena_printf(host->arena, "%s/%s", self, name);
		if (!beside || access(beside, X_OK) == 0)
			return beside;
	}
	return arena_printf(host->arena, "%s/%s", SBX_LIBEXECDIR, name);
}

/* The kernel's version, as 6012 for Linux 6.12; UINT_MAX where it does not say: it will be tried.
 */
unsigned probe_kernel(const struct probe_host *host)
{
	struct utsname uts;
	unsigned major = 0, minor = 0;

	if (host->kernel)
		return host->kernel;
	if (uname(&uts) < 0 || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		return UINT_MAX;
	return major * 1000 + minor;
}

/* Devices that helpers open: "misc" ones, of numbers that never change (devices.txt of Linux). */
static const struct {
	const char *path;
	unsigned minor;
} probe_devices[] = {{"/dev/fuse", 229}, {"/dev/net/tun", 200}};

/**
 * Can a device be opened, and is it that one? Containers hide a device by mounting /dev/null
 * over it, which anybody can open.
 * @path: one of probe_devices
 *
 * Return: 0, or -errno with *err filled, but for the hint.
 */
int probe_device(const char *path, struct sbx_err *err)
{
	_autoclose_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, errno, path, "cannot open");
	for (size_t i = 0; i < ARRAY_SIZE(probe_devices); i++)
		if (str_equal(path, probe_devices[i].path) && S_ISCHR(st.st_mode) &&
		    st.st_rdev == makedev(PROBE_MISC_MAJOR, probe_devices[i].minor))
			return 0;
	return err_refuse(err, EPERM, path,
			  "is not the device of this name, which something is mounted over");
}

/* Can /dev/fuse be opened, and is it that? Return: 0, or -1 and errno. */
int probe_fuse(const struct probe_host *host)
{
	struct sbx_err err;
	int r = host->fuse > 0 ? 0 : host->fuse;

	if (!host->fuse)
		r = probe_device("/dev/fuse", &err);
	errno = -r;
	return r < 0 ? -1 : 0;
}

/* The ABI of the kernel's Landlock, or -errno. Asked only where there is something to scope. */
int probe_landlock(const struct probe_host *host)
{
	int abi = host->landlock ? host->landlock : sys_landlock_abi();

	return abi == -1 && !host->landlock ? -errno : abi;
}

/*
 * Which of 0-2 are the caller's terminal: bit n for descriptor n. Where they are more
 * than one terminal it is the first. Asked only where a plan may replace it.
 */
uint32_t probe_terminals(const struct probe_host *host)
{
	uint32_t first = 0, device, found = 0;

	if (host->terminals >= 0)
		return (uint32_t)host->terminals;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fd_get_terminal(fd, &device) < 0 || (found && device != first))
			continue;
		first = device;
		found |= UINT32_C(1) << fd;
	}
	return found;
}

/* The name of the caller's group, or NULL. Only a generated /etc/group asks for it. */
const char *probe_group(const struct probe_host *host)
{
	struct passwd_entry entry;

	if (host->group)
		return host->group;
	return probe_entry(host, PASSWD_GROUPS, host->gid, &entry) ? entry.name : NULL;
}

/* The whole of a small file such as /etc/passwd, or NULL. */
const char *probe_text(const struct probe_host *host, const char *path)
{
	const char *full = probe_path(host, path);
	char *text;
	size_t len;

	if (!full || io_read_file(full, PASSWD_MAX_BYTES, host->arena, &text, &len) < 0)
		return NULL;
	return text;
}

/**
 * What a symbolic link on the host says.
 * @ret_target: in the host's arena; NULL where there is no link
 *
 * Return: 0, or -errno with *err filled.
 */
int probe_link(const struct probe_host *host, const char *path, const char **ret_target,
	       struct sbx_err *err)
{
	const char *full = probe_path(host, path);
	char target[PATH_MAX];
	ssize_t n = full ? readlink(full, target, sizeof(target)) : -1;

	*ret_target = NULL;
	if (!full)
		return err_oom(err);
	if (n < 0)
		return errno == ENOENT || errno == EINVAL
			       ? 0
			       : err_system(err, errno, path, "cannot read the host's link");
	*ret_target = arena_dup_n(host->arena, target, (size_t)n);
	return *ret_target ? 0 : err_oom(err);
}

/* The first line of a small file, or "". */
static const char *probe_line(const struct probe_host *host, const char *path)
{
	const char *text = probe_text(host, path);
	const char *line = text ? arena_dup_n(host->arena, text, strcspn(text, "\n")) : NULL;

	return line ? line : "";
}

/* Whose container is this? Each marks its own, as systemd-detect-virt(1) knows. NULL: none is
 * known. */
const char *probe_container(const struct probe_host *host)
{
	static const struct {
		const char *file, *name;
	} marks[] = {
		{"/run/.containerenv", "podman"},
		{"/.dockerenv", "docker"},
		{"/.flatpak-info", "flatpak"},
	};
	const char *line;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const char *path = probe_path(host, marks[i].file);

		if (path && stat(path, &st) == 0)
			return marks[i].name;
	}
	line = probe_line(host, "/run/systemd/container");
	return *line ? line : NULL;
}

/* Is this a sandbox of sbx, with processes of its own? */
bool probe_is_sandbox(const struct probe_host *host)
{
	return str_equal(probe_line(host, "/proc/1/comm"), "sbx");
}
