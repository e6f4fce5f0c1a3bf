/* SPDX-License-Identifier: MIT */
/*
 * e2e doctor: sbx doctor in states that sbx itself can make: the host's tree in a sandbox,
 * with something masked, and namespaces allowed. Where a launch fails there, for the same
 * reason, it has to say the same.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "e2e.h"

static bool begins_with(const char *text, const char *words)
{
	return strncmp(text, words, strlen(words)) == 0;
}

/* All of the host, with sbx in it, and namespaces like there. */
#define like_the_host(...) run_sbx("--ro-bind", "/", "/", "--allow-userns", __VA_ARGS__)
#define DOCTOR(...) "--", sbx_program(), "doctor", __VA_ARGS__

/* It failed, with a cause and a remedy; both are a launch's words too. */
#define expect_same(doctor, launch, cause, remedy)                                                 \
	do {                                                                                       \
		cr_expect_eq((doctor).status, 1, "%d: %s", (doctor).status, (doctor).err);         \
		cr_expect(strstr((doctor).out, "fails  "), "%s", (doctor).out);                    \
		cr_expect(strstr((doctor).out, (cause)), "no \"%s\" in: %s", (cause),              \
			  (doctor).out);                                                           \
		cr_expect(strstr((doctor).out, (remedy)), "no \"%s\" in: %s", (remedy),            \
			  (doctor).out);                                                           \
		cr_expect_eq((launch).status, 125, "%d: %s", (launch).status, (launch).err);       \
		cr_expect(strstr((launch).err, (cause)), "no \"%s\" in: %s", (cause),              \
			  (launch).err);                                                           \
		cr_expect(strstr((launch).err, (remedy)), "no \"%s\" in: %s", (remedy),            \
			  (launch).err);                                                           \
	} while (0)

/* One probe, and what it prints first. */
#define expect_finding(result, code, first)                                                        \
	do {                                                                                       \
		cr_expect_eq((result).status, (code), "%d: %s%s", (result).status, (result).out,   \
			     (result).err);                                                        \
		cr_expect(begins_with((result).out, (first)), "not \"%s\": %s", (first),           \
			  (result).out);                                                           \
	} while (0)

/* ---- on this machine ---- */

/* All that a launch needs is here, or no other test would run; and nothing is left of it. */
Test(doctor, what_a_launch_needs_works_and_nothing_is_left)
{
	_autoclose_ int tree = tmp_tree("home/", "run/");
	_autofree_ char *home = tree_path(tree, "home");
	_autofree_ char *run = tree_path(tree, "run");
	_autofree_ char *home_env = NULL, *run_env = NULL;
	_autorun_ struct run_result result = {0}, left = {0};
	struct run_options options = {0};

	cr_assert_eq(chmod(run, 0700), 0);
	cr_assert_gt(asprintf(&home_env, "HOME=%s", home), 0);
	cr_assert_gt(asprintf(&run_env, "XDG_RUNTIME_DIR=%s", run), 0);
	options.env = (const char *const[]){home_env, run_env, "PATH=/usr/bin:/bin", NULL};
	result = run_sbx_with(&options, "doctor");
	expect_success(result);
	cr_expect(strstr(result.out, "\nworks   user-namespaces "), "%s", result.out);
	cr_expect(strstr(result.out, "\nworks   proc "), "%s", result.out);
	cr_expect(strstr(result.out, "\nworks   launch "), "%s", result.out);
	cr_expect(strstr(result.out, "\nworks   records "), "%s", result.out);
	cr_expect(strstr(result.out, "\nsbx can make sandboxes here."), "%s", result.out);
	cr_expect(!strchr(result.out, '\033'), "colour in a pipe: %s", result.out);
	left = run_program("find", home, run, "-mindepth", "1");
	expect_out(left, "");
}

Test(doctor, it_is_quiet_about_what_works)
{
	_autorun_ struct run_result works = run_sbx("doctor", "-q", "launch", "mount-calls");
	_autorun_ struct run_result fails =
		run_sbx("--ro-bind", "/", "/", DOCTOR("--quiet", "namespaces", "open-files"));

	expect_out(works, "");
	expect_finding(fails, 1, "fails   namespaces ");
	cr_expect(!strstr(fails.out, "open-files"), "%s", fails.out);
}

/* A session bus is what options need, and no machine has one where the environment says so. */
Test(doctor, the_exit_status_tells_how_bad_it_is)
{
	const char *const env[] = {"HOME=/tmp", "PATH=/usr/bin:/bin", NULL};
	const struct run_options options = {.env = env};
	_autorun_ struct run_result all = run_sbx_with(&options, "doctor");
	_autorun_ struct run_result strict = run_sbx_with(&options, "doctor", "--strict");
	_autorun_ struct run_result named = run_sbx_with(&options, "doctor", "session-bus");
	_autorun_ struct run_result launch = in_usr_with(&options, "--dbus-session", "--", "true");

	expect_success(all);
	cr_expect(strstr(all.out, "\nfails   session-bus "), "%s", all.out);
	cr_expect_eq(strict.status, 3, "%d: %s", strict.status, strict.out);
	expect_same(named, launch, "there is no session bus in the caller's environment",
		    "start one with dbus-run-session(1)");
}

static size_t count_of(const char *text, const char *words)
{
	size_t count = 0;

	for (const char *at = strstr(text, words); at; at = strstr(at + 1, words))
		count++;
	return count;
}

Test(doctor, json_has_all_of_it)
{
	static const char *const keys[] = {"name",   "title",	  "status",  "detail",
					   "remedy", "needed-by", "options", "why"};
	static const char *const statuses[] = {"works", "limited", "fails", "info"};
	static const char launch[] = "\"name\": \"launch\",\n      \"title\": \"a plain launch\",\n"
				     "      \"status\": \"works\",\n"
				     "      \"detail\": \"a command has run in a sandbox\",\n"
				     "      \"remedy\": null,\n      \"needed-by\": \"launch\",\n"
				     "      \"options\": [],\n";
	_autorun_ struct run_result result = run_sbx("doctor", "--json");
	size_t probes = count_of(result.out, "\"name\": "), of_status = 0;
	char text[64];

	expect_success(result);
	cr_expect_gt(probes, 30, "%zu", probes);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		(void)snprintf(text, sizeof(text), "\"%s\": ", keys[i]);
		cr_expect_eq(count_of(result.out, text), probes, "%s", keys[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		(void)snprintf(text, sizeof(text), "\"status\": \"%s\"", statuses[i]);
		of_status += count_of(result.out, text);
	}
	cr_expect_eq(of_status, probes);
	cr_expect(strstr(result.out, launch), "%s", result.out);
	cr_expect(strstr(result.out, "\"--map=range\""), "%s", result.out);
	cr_expect(strstr(result.out, "\"works\": true\n}\n"), "%s", result.out);
}

Test(doctor, names_that_are_none_are_refused)
{
	_autorun_ struct run_result probe = run_sbx("doctor", "kernels");
	_autorun_ struct run_result option = run_sbx("doctor", "--jsn");

	expect_failure(probe, 2, "kernels: there is no such probe");
	expect_failure(probe, 2, "user-namespaces");
	expect_failure(option, 2, "did you mean --json?");
	cr_expect_str_eq(probe.out, "");
}

/* ---- terminals ---- */

static void on_a_terminal(const char *extra, bool coloured)
{
	const char *const env[] = {"HOME=/tmp", "PATH=/usr/bin:/bin", "TERM=xterm", extra, NULL};
	const struct run_options options = {.pty = true, .env = env};
	_autorun_ struct run_result result = {0};
	_autosession_ struct session session;

	session_sbx(&session, &options, "doctor", "terminal", "open-files");
	result = session_finish(&session);
	cr_expect_eq(result.status, 0, "%d: %s", result.status, result.out);
	cr_expect(strstr(result.out, "terminal          a terminal: there is one"), "%s",
		  result.out);
	cr_expect_eq(strstr(result.out, "\033[32mworks") != NULL, coloured, "%s: %s", extra,
		     result.out);
}

Test(doctor, colour_is_for_terminals_that_want_it)
{
	on_a_terminal("X=", true);
	on_a_terminal("NO_COLOR=", true);
	on_a_terminal("NO_COLOR=1", false);
	on_a_terminal("TERM=dumb", true); /* the first of two counts */
}

Test(doctor, without_a_terminal_it_says_how_to_have_one)
{
	_autorun_ struct run_result result = run_sbx("doctor", "terminal");

	expect_finding(result, 0, "info    terminal ");
	cr_expect(strstr(result.out, "script(1) makes one"), "%s", result.out);
}

/* ---- namespaces ---- */

/* A sandbox forbids user namespaces twice: by its limit, and by its filter. */
Test(doctor, in_a_sandbox_it_says_how_that_has_to_be_started)
{
	static const char *const filters[] = {"--seccomp=none", "--seccomp=default"};

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		_autorun_ struct run_result doctor = run_sbx(
			"--ro-bind", "/", "/", filters[i], DOCTOR("container", "user-namespaces"));
		_autorun_ struct run_result launch = run_sbx("--ro-bind", "/", "/", filters[i],
							     "--", sbx_program(), "--", "true");

		expect_same(doctor, launch, "cannot create a user namespace", "--allow-userns");
		expect_finding(doctor, 1, "info    container ");
		cr_expect(strstr(doctor.out, "in a sandbox of sbx"), "%s", doctor.out);
	}
}

Test(doctor, what_needs_a_user_namespace_fails_with_it)
{
	_autorun_ struct run_result result = run_sbx("--ro-bind", "/", "/", DOCTOR("--json"));

	cr_expect_eq(result.status, 1, "%d: %s", result.status, result.err);
	cr_expect(strstr(result.out, "needs a user namespace, see user-namespaces"), "%s",
		  result.out);
	/* With the command that mends that, and so this. */
	cr_expect_null(strstr(result.out, "see user-namespaces\",\n      \"remedy\": null"), "%s",
		       result.out);
	cr_expect(strstr(result.out, "\"works\": false"), "%s", result.out);
}

Test(doctor, with_namespaces_allowed_it_works_in_a_sandbox_too)
{
	_autorun_ struct run_result result = like_the_host(DOCTOR("user-namespaces", "launch"));

	expect_success(result);
	cr_expect(strstr(result.out, "\nworks   launch "), "%s", result.out);
}

/* The kernel's limits of a user namespace made by unshare(1), which is root there. */
#define in_limits(limit, ...)                                                                      \
	run_program("unshare", "-Ur", "sh", "-c",                                                  \
		    "echo 0 >/proc/sys/user/" limit " || exit 77; exec \"$@\"", "sh",              \
		    sbx_program(), __VA_ARGS__)

Test(doctor, a_limit_of_none_is_named)
{
	_autorun_ struct run_result doctor =
		in_limits("max_user_namespaces", "doctor", "user-namespaces", "namespaces");
	_autorun_ struct run_result launch = in_limits("max_user_namespaces", "--", "true");

	skip_unless(doctor.status != 77, "user namespaces cannot be created here");
	expect_same(doctor, launch, "cannot create a user namespace: No space left on device",
		    "sysctl user.max_user_namespaces=10000");
	cr_expect(strstr(doctor.out, "0 at a time, by user.max_user_namespaces"), "%s", doctor.out);
}

Test(doctor, the_limit_of_one_kind_is_named)
{
	_autorun_ struct run_result doctor =
		in_limits("max_net_namespaces", "doctor", "uts-namespaces", "net-namespaces");
	_autorun_ struct run_result quota = in_limits("max_net_namespaces", "doctor", "namespaces");
	_autorun_ struct run_result launch = in_limits("max_net_namespaces", "--", "true");

	skip_unless(doctor.status != 77, "user namespaces cannot be created here");
	expect_finding(doctor, 1, "works   uts-namespaces ");
	expect_same(doctor, launch, "No space left on device",
		    "sysctl user.max_{user,mnt,pid,ipc,uts,cgroup,net}_namespaces=10000");
	expect_finding(quota, 1, "fails   namespaces ");
	cr_expect(strstr(quota.out, "as root: sysctl user.max_net_namespaces=10000"), "%s",
		  quota.out);
}

Test(doctor, a_masked_proc_is_named)
{
	_autorun_ struct run_result doctor =
		like_the_host("--mask", "/proc/version", DOCTOR("proc"));
	_autorun_ struct run_result launch =
		like_the_host("--mask", "/proc/version", "--", sbx_program(), "--", "true");

	expect_same(doctor, launch, "proc", "parts of the caller's /proc are mounted over");
}

Test(doctor, a_read_only_sysctl_is_named)
{
	_autorun_ struct run_result doctor =
		like_the_host("--ro-bind", "/proc/sys", "/proc/sys", DOCTOR("forbid-userns"));
	_autorun_ struct run_result launch =
		like_the_host("--ro-bind", "/proc/sys", "/proc/sys", "--", sbx_program(),
			      "--ro-bind", "/proc", "/proc", "--", "true");

	expect_same(doctor, launch, "cannot forbid user namespaces: Read-only file system",
		    "the caller's /proc/sys is read-only");
}

/* ---- what older kernels lack ---- */

/* The version of the kernel's Landlock, or -errno. */
static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

/* On 6.1, which has ABI 2, it is an error that says so; on 6.12 it does its work. */
Test(doctor, a_landlock_that_cannot_scope_is_named)
{
	_autorun_ struct run_result doctor = run_sbx("doctor", "landlock");
	_autorun_ struct run_result launch =
		in_usr("--share-net", "--landlock=require", "--", "true");
	_autorun_ struct run_result without = in_usr("--share-net", "--explain", "--", "true");
	int abi = landlock_abi();
	char cause[64] = "", works[64] = "";

	skip_unless(abi >= 0, "Landlock is not there, or not enabled");
	(void)snprintf(cause, sizeof(cause), "this kernel's Landlock (ABI %d) cannot scope", abi);
	(void)snprintf(works, sizeof(works), "scopes: ABI %d\n", abi);
	if (abi < 6) {
		expect_same(doctor, launch, cause, "Linux 6.12 and later can; see \"uname -r\"");
		cr_expect(strstr(without.out, cause), "%s", without.out);
	} else {
		expect_finding(doctor, 0, "works   landlock ");
		cr_expect(strstr(doctor.out, works), "%s", doctor.out);
		expect_success(launch);
		cr_expect(strstr(without.out, "abstract sockets within the sandbox by Landlock"),
			  "%s", without.out);
	}
}

Test(doctor, a_tmpfs_that_keeps_no_marks_is_named)
{
	_autorun_ struct run_result doctor = run_sbx("doctor", "overlayfs");
	_autorun_ struct run_result launch =
		in_usr("--overlay-driver=kernel", "--overlay-src", "/usr/share", "--tmp-overlay",
		       "/x", "--", "true");

	skip_unless(doctor.status == 0, "the kernel makes no overlays here");
	if (tmpfs_has_attributes()) {
		expect_finding(doctor, 0, "works   overlayfs ");
		expect_success(launch);
	} else {
		expect_finding(doctor, 0, "limited overlayfs ");
		cr_expect(strstr(doctor.out, "cannot be made again (Linux 6.6 can)"), "%s",
			  doctor.out);
		expect_failure(launch, 125, "--overlay-driver: ");
		expect_failure(launch, 125, "before Linux 6.6 the kernel cannot keep its marks");
		expect_failure(launch, 125, "--overlay-driver=fuse can");
	}
}

/* ---- ids ---- */

Test(doctor, a_user_without_a_range_is_told_how_to_have_one)
{
	_autorun_ struct run_result doctor =
		like_the_host("--mask", "/etc/subuid", DOCTOR("id-ranges"));
	_autorun_ struct run_result launch = like_the_host(
		"--mask", "/etc/subuid", "--", sbx_program(), "--map=range", "--", "true");

	expect_same(doctor, launch, "/etc/subuid: has no range for", "usermod --add-subuids");
}

/* Where there are no other ids, an entry in a file helps nobody. */
Test(doctor, a_root_of_one_id_is_told_to_go_elsewhere)
{
	_autorun_ struct run_result doctor =
		run_program("unshare", "-Ur", sbx_program(), "doctor", "id-ranges");
	_autorun_ struct run_result launch =
		run_program("unshare", "-Ur", sbx_program(), "--map=range", "--", "true");

	skip_unless(strstr(doctor.out, "has no range for root"), "root has ids of its own");
	expect_same(doctor, launch, "/etc/subuid: has no range for root",
		    "(as by \"unshare -r\") has no other ids to give");
	cr_expect(!strstr(doctor.out, "usermod"), "%s", doctor.out);
}

Test(doctor, a_missing_helper_is_told_with_its_package)
{
	_autorun_ struct run_result here = run_sbx("doctor", "id-ranges");
	_autorun_ struct run_result doctor =
		like_the_host("--mask-try", "/usr/bin/newuidmap", DOCTOR("id-ranges"));
	_autorun_ struct run_result launch =
		like_the_host("--mask-try", "/usr/bin/newuidmap", "--", sbx_program(),
			      "--map=range", "--", "true");
	struct stat st;

	skip_unless(here.status == 0 && stat("/usr/bin/newuidmap", &st) == 0,
		    "there is no /usr/bin/newuidmap that works");
	expect_same(doctor, launch, "newuidmap: is not installed", "uidmap");
}

/* A command of a sandbox cannot gain privileges: a helper cannot there. */
Test(doctor, no_new_privs_keeps_the_helpers_from_working)
{
	_autorun_ struct run_result here = run_sbx("doctor", "id-ranges");
	_autorun_ struct run_result doctor = like_the_host(DOCTOR("id-ranges"));
	_autorun_ struct run_result launch =
		like_the_host("--", sbx_program(), "--map=range", "--", "true");

	skip_unless(here.status == 0, "there are no id ranges here");
	expect_finding(here, 0, "works   id-ranges ");
	cr_expect(strstr(here.out, "newuidmap and newgidmap have mapped "), "%s", here.out);
	expect_same(doctor, launch, "cannot gain its privilege: sbx was started with no_new_privs",
		    "--map=single");
}

/* ---- helpers and devices ---- */

/* With an empty /dev, and process 1 still that of the host. */
#define without_devices(...)                                                                       \
	run_program("unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /dev && exec \"$@\"",      \
		    "sh", sbx_program(), __VA_ARGS__)

Test(doctor, devices_that_are_missing_are_told_with_their_modules)
{
	_autorun_ struct run_result fuse = without_devices("doctor", "fuse");
	_autorun_ struct run_result tun = without_devices("doctor", "tun");

	expect_finding(fuse, 1, "fails   fuse ");
	cr_expect(strstr(fuse.out, "as root: modprobe fuse"), "%s", fuse.out);
	expect_finding(tun, 1, "fails   tun ");
	cr_expect(strstr(tun.out, "as root: modprobe tun"), "%s", tun.out);
}

/* No module helps there; the option that does, does. */
Test(doctor, in_a_sandbox_devices_are_told_with_the_option_that_gives_them)
{
	static const char *const devices[][2] = {{"fuse", "/dev/fuse"}, {"tun", "/dev/net/tun"}};

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		_autorun_ struct run_result doctor = like_the_host(DOCTOR(devices[i][0]));
		_autorun_ struct run_result mended = like_the_host(
			"--dev-bind-try", devices[i][1], devices[i][1], DOCTOR(devices[i][0]));
		char expected[128];

		(void)snprintf(expected, sizeof(expected),
			       "mend  in a sandbox of sbx: start that with --dev-bind %s %s\n",
			       devices[i][1], devices[i][1]);
		expect_finding(doctor, 1, "fails ");
		cr_expect(strstr(doctor.out, expected), "%s", doctor.out);
		cr_expect_null(strstr(doctor.out, "modprobe"), "%s", doctor.out);
		if (access(devices[i][1], R_OK | W_OK) == 0)
			expect_finding(mended, 0, "works ");
	}
}

/* What each program is given is missing, not the program. */
Test(doctor, a_missing_dev_null_is_told_as_that)
{
	_autorun_ struct run_result result =
		without_devices("doctor", "fuse-overlayfs", "slirp4netns", "nft", "launch");

	cr_expect_eq(result.status, 1, "%d: %s", result.status, result.err);
	cr_expect_eq(count_of(result.out, "/dev/null: cannot open: No such file"), 4, "%s",
		     result.out);
	cr_expect_eq(count_of(result.out, "mend  as root: mknod -m 666 /dev/null c 1 3"), 4, "%s",
		     result.out);
	cr_expect_null(strstr(result.out, "modprobe"), "%s", result.out);
}

/* As containers hide them: what is there can be opened, and is something else. */
Test(doctor, devices_that_something_is_mounted_over_fail)
{
	static const char *const devices[][2] = {{"fuse", "/dev/fuse"}, {"tun", "/dev/net/tun"}};

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		_autorun_ struct run_result doctor = like_the_host(
			"--dev-bind", "/dev/null", devices[i][1], DOCTOR(devices[i][0]));
		char expected[128];

		(void)snprintf(expected, sizeof(expected), "%s: is not the device of this name",
			       devices[i][1]);
		cr_expect(strstr(doctor.out, expected), "%s", doctor.out);
		expect_finding(doctor, 1, "fails ");
		(void)snprintf(expected, sizeof(expected), "start that with --dev-bind %s %s",
			       devices[i][1], devices[i][1]);
		cr_expect(strstr(doctor.out, expected), "%s", doctor.out);
	}
}

/* In a sandbox whose filter has no netfilter, no module helps. The remedy does. */
Test(doctor, a_filter_that_refuses_nft_is_told)
{
	static const char *const said = "sbx itself is under a system call filter";
	_autorun_ struct run_result doctor = like_the_host(DOCTOR("nft"));
	_autorun_ struct run_result launch =
		like_the_host("--dev-bind-try", "/dev/net", "/dev/net", "--", sbx_program(),
			      "--ro-bind", "/usr", "/usr", "--net=user", "--", "true");
	_autorun_ struct run_result mended = like_the_host("--cap-add", "NET_ADMIN", DOCTOR("nft"));

	skip_unless(mended.status == 0, "nftables is needed");
	expect_finding(doctor, 1, "fails   nft ");
	cr_expect(strstr(doctor.out, said), "%s", doctor.out);
	cr_expect_null(strstr(doctor.out, "modprobe"), "%s", doctor.out);
	expect_finding(mended, 0, "works   nft ");
	skip_unless(access("/dev/net/tun", R_OK | W_OK) == 0, "/dev/net/tun is needed");
	cr_expect_eq(launch.status, 125);
	cr_expect(strstr(launch.err, said), "%s", launch.err);
}

/* A directory on PATH does not matter: helpers are where systems install them. */
Test(doctor, helpers_that_are_missing_are_told_with_their_packages)
{
	static const char *const names[][2] = {
		{"fuse-overlayfs", "fuse-overlayfs"},
		{"slirp4netns", "slirp4netns"},
		{"nft", "nftables"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autorun_ struct run_result result =
			run_sbx("--ro-bind", "/", "/", "--allow-userns", "--tmpfs",
				"/usr/local/bin", "--mask-try", "/usr/bin/fuse-overlayfs",
				"--mask-try", "/usr/bin/slirp4netns", "--mask-try", "/usr/sbin/nft",
				"--mask-try", "/usr/bin/nft", DOCTOR(names[i][0]));
		_autofree_ char *remedy = NULL;

		cr_assert_gt(asprintf(&remedy, " %s\n", names[i][1]), 0);
		cr_expect_eq(result.status, 1, "%d: %s", result.status, result.err);
		cr_expect(strstr(result.out, " is not installed\n"), "%s", result.out);
		cr_expect(strstr(result.out, "mend "), "%s", result.out);
		cr_expect(strstr(result.out, remedy), "%s", result.out);
	}
}

/* A slirp4netns that is this script, and the real one beside it. */
static struct run_result with_slirp4netns(const char *script)
{
	_autoclose_ int tree = tmp_tree("bin/real=");
	_autoclose_ int fd = openat(tree, "bin/slirp4netns", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	_autofree_ char *path = tree_path(tree, "bin");

	cr_assert_eq(write(fd, script, strlen(script)), (ssize_t)strlen(script));
	close(take_fd(&fd));
	/* Where the real one is, it comes first. */
	return like_the_host("--ro-bind", path, "/usr/local/bin", "--ro-bind-try",
			     "/usr/bin/slirp4netns", "/usr/local/bin/real", "--mask-try",
			     "/usr/bin/slirp4netns", "--mask-try", "/usr/sbin/slirp4netns",
			     "--dev-bind-try", "/dev/net/tun", "/dev/net/tun",
			     DOCTOR("slirp4netns"));
}

/* The program is run: one that tells an older version, or breaks, is found out. */
Test(doctor, slirp4netns_is_used_as_a_launch_does)
{
	static const char version[] = "mend  install version 1.2.0 or a later one",
			  program[] = "anew, or name one that works: --helper slirp4netns=PATH";
	static const struct {
		const char *script, *status, *words, *mend;
	} rows[] = {
		{"case $1 in --version) echo slirp4netns version 0.4.7;; *) exec "
		 "/usr/local/bin/real \"$@\";; esac\n",
		 "limited slirp4netns ", "is version 0.4.7; the oldest", version},
		{"case $1 in --version) echo who asks;; *) exec /usr/local/bin/real \"$@\";; "
		 "esac\n",
		 "limited slirp4netns ", "/usr/local/bin/slirp4netns does not tell its version",
		 version},
		{"echo cannot be >&2\nexit 3\n", "fails   slirp4netns ",
		 "/usr/local/bin/slirp4netns: failed with exit status 3: cannot be", program},
		{"[ $1 != --version ] || exec echo slirp4netns version 1.2.0\nexit 3\n",
		 "fails   slirp4netns ", "/usr/local/bin/slirp4netns: has ended with exit status 3",
		 program},
	};

	skip_unless(access("/dev/net/tun", R_OK | W_OK) == 0 &&
			    access("/usr/bin/slirp4netns", X_OK) == 0,
		    "slirp4netns and /dev/net/tun are needed");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autofree_ char *script = NULL;
		_autorun_ struct run_result result = {0};

		cr_assert_gt(asprintf(&script, "#!/bin/sh\n%s", rows[i].script), 0);
		result = with_slirp4netns(script);
		cr_expect(begins_with(result.out, rows[i].status), "%s%s", result.out, result.err);
		cr_expect(strstr(result.out, rows[i].words), "%s", result.out);
		cr_expect(strstr(result.out, rows[i].mend), "%s", result.out);
	}
}

/* One that stays without a word is told with its name, and ended. */
Test(doctor, a_program_that_does_not_answer_is_named)
{
	_autorun_ struct run_result result = {0};

	skip_unless(access("/dev/net/tun", R_OK | W_OK) == 0 &&
			    access("/usr/bin/slirp4netns", X_OK) == 0,
		    "slirp4netns and /dev/net/tun are needed");
	result = with_slirp4netns("#!/bin/sh\n"
				  "[ $1 != --version ] || exec echo slirp4netns version 1.2.0\n"
				  "exec sleep 1000\n");
	expect_finding(result, 1, "fails   slirp4netns ");
	cr_expect(strstr(result.out,
			 "/usr/local/bin/slirp4netns: has no network ready after 20 seconds"),
		  "%s", result.out);
	cr_expect(strstr(result.out, "name one that works: --helper slirp4netns=PATH"), "%s",
		  result.out);
}

Test(doctor, fuse_overlayfs_is_asked_for_its_version)
{
	_autoclose_ int tree =
		tmp_tree("fuse-overlayfs=#!/bin/sh\necho fusermount3 version: 3.14.0\n"
			 "echo fuse-overlayfs: version 0.3\n");
	_autofree_ char *path = tree_path(tree, "fuse-overlayfs");

	cr_assert_eq(fchmodat(tree, "fuse-overlayfs", 0755, 0), 0);
	skip_unless(access("/usr/bin/fuse-overlayfs", X_OK) == 0, "fuse-overlayfs is needed");
	_autorun_ struct run_result result = like_the_host(
		"--ro-bind", path, "/usr/bin/fuse-overlayfs", DOCTOR("fuse-overlayfs"));

	expect_finding(result, 0, "limited fuse-overlayfs ");
	cr_expect(strstr(result.out, "is version 0.3.0; the oldest"), "%s", result.out);
	cr_expect(strstr(result.out, "mend  install version 1.10.0 or a later one"), "%s",
		  result.out);
}

Test(doctor, an_nft_that_does_nothing_is_found_out)
{
	_autoclose_ int tree = tmp_tree("nft=#!/bin/sh\n");
	_autofree_ char *path = tree_path(tree, "nft");

	cr_assert_eq(fchmodat(tree, "nft", 0755, 0), 0);
	_autorun_ struct run_result result =
		like_the_host("--ro-bind", path, "/usr/sbin/nft", DOCTOR("nft"));

	expect_finding(result, 1, "fails   nft ");
	cr_expect(strstr(result.out, "has not set the rule"), "%s", result.out);
}

/* It is not waited for as long as a launch would. */
Test(doctor, an_nft_that_does_not_end_is_named)
{
	_autoclose_ int tree = tmp_tree("nft=#!/bin/sh\nexec sleep 1000\n");
	_autofree_ char *path = tree_path(tree, "nft");

	skip_unless(access("/usr/sbin/nft", X_OK) == 0, "nftables is needed");
	_autorun_ struct run_result result =
		like_the_host("--ro-bind", path, "/usr/sbin/nft", DOCTOR("nft"));

	expect_finding(result, 1, "fails   nft ");
	cr_expect(strstr(result.out, "/usr/sbin/nft: has not finished within 10 seconds"), "%s",
		  result.out);
	cr_expect(strstr(result.out, "mend  see what it says when it is run by hand"), "%s",
		  result.out);
}

Test(doctor, the_reader_of_profiles_is_looked_for_beside_sbx)
{
	_autoclose_ int tree = tmp_tree("profile.json={}");
	_autofree_ char *place = tree_path(tree, "sbx");
	_autofree_ char *profile = tree_path(tree, "profile.json");
	_autorun_ struct run_result copied = run_program("cp", sbx_program(), place);
	_autorun_ struct run_result doctor = run_program(place, "doctor", "sbx-seccomp");
	_autorun_ struct run_result launch = run_program(place, "--seccomp", profile, "--", "true");

	expect_success(copied);
	skip_unless(doctor.status != 0, "another sbx is installed, with its sbx-seccomp");
	expect_same(doctor, launch, "sbx-seccomp: which reads profile files, is not installed",
		    "it comes with sbx where that was built with jansson");
}

/* ---- quotas ---- */

/* A sanitizer could not start the process that looks for leaks. */
#define with_limit(limit, ...)                                                                     \
	run_program("env", "ASAN_OPTIONS=detect_leaks=0", "prlimit", limit, sbx_program(),         \
		    __VA_ARGS__)

Test(doctor, a_limit_on_processes_is_named)
{
	_autorun_ struct run_result doctor = with_limit("--nproc=1:1", "doctor", "processes");
	_autorun_ struct run_result launch = with_limit("--nproc=1:1", "--", "true");

	skip_unless(geteuid() != 0, "the kernel counts no processes of root");
	expect_same(doctor, launch, "", "the limit on processes is reached; see \"ulimit -u\"");
	cr_expect(strstr(doctor.out, "0 more, enough for 0 sandboxes, by \"ulimit -u\""), "%s",
		  doctor.out);
}

/* What cannot be tried for the same reason says so, and does not hang. */
Test(doctor, with_no_process_left_probes_that_need_one_fail)
{
	_autorun_ struct run_result result =
		with_limit("--nproc=1:1", "doctor", "user-namespaces", "seccomp", "launch");

	skip_unless(geteuid() != 0, "the kernel counts no processes of root");
	cr_expect_eq(result.status, 1, "%d: %s", result.status, result.err);
	cr_expect(strstr(result.out, "cannot create a user namespace: Resource temporarily"), "%s",
		  result.out);
	cr_expect(strstr(result.out, "\nfails   launch "), "%s", result.out);
}

Test(doctor, a_limit_on_open_files_is_named)
{
	_autorun_ struct run_result low = with_limit("--nofile=40:40", "doctor", "open-files");
	_autorun_ struct run_result enough = with_limit("--nofile=64:64", "doctor", "open-files");

	expect_finding(low, 0, "limited open-files ");
	cr_expect(strstr(low.out, "ulimit -n 1024"), "%s", low.out);
	expect_finding(enough, 0, "works   open-files ");
}

/* ---- records ---- */

static struct run_result with_runtime_dir(const char *dir, const char *home)
{
	_autofree_ char *run = NULL, *home_env = NULL;
	struct run_options options = {0};

	cr_assert_gt(asprintf(&run, "XDG_RUNTIME_DIR=%s", dir), 0);
	cr_assert_gt(asprintf(&home_env, "HOME=%s", home), 0);
	options.env = (const char *const[]){home_env, "PATH=/usr/bin:/bin", run, NULL};
	return run_sbx_with(&options, "doctor", "records");
}

Test(doctor, a_runtime_directory_has_to_be_the_callers_alone)
{
	_autoclose_ int tree = tmp_tree("home/", "own/", "open/", "file=");
	_autofree_ char *home = tree_path(tree, "home"), *own = tree_path(tree, "own"),
			*open_dir = tree_path(tree, "open"), *none = tree_path(tree, "none"),
			*file = tree_path(tree, "file");
	_autorun_ struct run_result good = {0}, open_result = {0}, missing = {0}, no_dir = {0},
				    other = {0};

	cr_assert_eq(chmod(own, 0700), 0);
	cr_assert_eq(chmod(open_dir, 0755), 0);
	good = with_runtime_dir(own, home);
	open_result = with_runtime_dir(open_dir, home);
	missing = with_runtime_dir(none, home);
	no_dir = with_runtime_dir(file, home);
	other = with_runtime_dir("/usr", home);
	expect_finding(good, 0, "works   records ");
	expect_finding(open_result, 0, "limited records ");
	cr_expect(strstr(open_result.out, "mend  chmod 0700 "), "%s", open_result.out);
	expect_finding(missing, 0, "limited records ");
	cr_expect(strstr(missing.out, "does not exist"), "%s", missing.out);
	expect_finding(no_dir, 0, "limited records ");
	cr_expect(strstr(no_dir.out, "is not a directory; records are kept in "), "%s", no_dir.out);
	expect_finding(other, 0, "limited records ");
	if (geteuid() != 0)
		cr_expect(strstr(other.out, "is somebody else's"), "%s", other.out);
}

Test(doctor, without_a_place_for_records_names_are_refused)
{
	const char *const env[] = {"HOME=/proc/none", "PATH=/usr/bin:/bin", NULL};
	const struct run_options options = {.env = env};
	_autorun_ struct run_result doctor = run_sbx_with(&options, "doctor", "records");
	_autorun_ struct run_result launch =
		in_usr_with(&options, "--name", "sbxtest-doctor", "--", "true");

	expect_same(doctor, launch, "cannot record the sandbox",
		    "give sbx a directory of yours with XDG_RUNTIME_DIR");
}

/* What is there and cannot be written to keeps no record, whatever it looks like. */
Test(doctor, a_read_only_place_for_records_is_named)
{
	_autoclose_ int tree = tmp_tree("run/sbx/boxes/", "home/");
	_autofree_ char *run = tree_path(tree, "run"), *home = tree_path(tree, "home");
	_autofree_ char *run_env = NULL, *home_env = NULL;
	struct run_options options = {0};

	cr_assert_eq(fchmodat(tree, "run", 0700, 0), 0);
	cr_assert_eq(fchmodat(tree, "run/sbx", 0700, 0), 0);
	cr_assert_eq(fchmodat(tree, "run/sbx/boxes", 0700, 0), 0);
	cr_assert_gt(asprintf(&run_env, "XDG_RUNTIME_DIR=%s", run), 0);
	cr_assert_gt(asprintf(&home_env, "HOME=%s", home), 0);
	options.env = (const char *const[]){home_env, run_env, "PATH=/usr/bin:/bin", NULL};
#define READ_ONLY "--ro-bind", "/", "/", "--allow-userns", "--keep-env", "--", sbx_program()
	_autorun_ struct run_result doctor = run_sbx_with(&options, READ_ONLY, "doctor", "records");
	_autorun_ struct run_result named = run_sbx_with(&options, READ_ONLY, "--ro-bind", "/usr",
							 "/usr", "--name", "x", "--", "true");
	_autorun_ struct run_result detached = run_sbx_with(
		&options, READ_ONLY, "--ro-bind", "/usr", "/usr", "--detach", "--", "true");
#undef READ_ONLY

	expect_same(doctor, named, "cannot record the sandbox: Read-only file system",
		    "it is on a filesystem that is read-only here");
	expect_failure(named, 125, "sbx: --name: ");
	expect_failure(detached, 125, "sbx: --detach: ");
	cr_expect_eq(count_of(detached.err, "cannot record the sandbox"), 1, "%s", detached.err);
}

/* ---- limits ---- */

/* What they do where they can be set, test_cgroup_limits.c shows. */
Test(doctor, limits_are_told_as_a_launch_does)
{
	_autorun_ struct run_result doctor = run_sbx("doctor", "cgroup", "systemd");
	_autorun_ struct run_result launch = in_usr("--pids", "100", "--", "true");

	if (doctor.status == 0)
		return;
	cr_expect_eq(count_of(doctor.out, "fails  "), 2, "%s", doctor.out);
	cr_expect_eq(count_of(doctor.out, "mend  "), 2, "%s", doctor.out);
	expect_failure(launch, 125, "sbx: --pids: there is no cgroup to set it on: ");
	expect_failure(launch, 125, "     hint:  ");
}

#define without_systemd(...)                                                                       \
	run_program("unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /run && exec \"$@\"",      \
		    "sh", sbx_program(), __VA_ARGS__)

/* What only systemd reads helps nobody who has none. */
Test(doctor, without_systemd_its_boot_option_is_no_remedy)
{
	_autorun_ struct run_result doctor = without_systemd("doctor", "cgroup", "systemd");
	_autorun_ struct run_result launch =
		without_systemd("--ro-bind", "/usr", "/usr", "--pids", "100", "--", "true");
	_autorun_ struct run_result tried = without_systemd("--ro-bind", "/usr", "/usr", "--pids",
							    "100", "--limits=try", "--", "true");
	const struct run_result *all[] = {&doctor, &launch, &tried};

	if (doctor.status == 0)
		return; /* somebody has delegated a cgroup */
	expect_same(doctor, launch, "this system does not run systemd", "");
	cr_expect_eq(count_of(doctor.out, "mend  "), 2, "%s", doctor.out);
	expect_success(tried);
	cr_expect(strstr(tried.err, "     hint:  "), "%s", tried.err);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cr_expect_null(strstr(all[i]->out, "systemd.unified"), "%s", all[i]->out);
		cr_expect_null(strstr(all[i]->err, "systemd.unified"), "%s", all[i]->err);
	}
}
