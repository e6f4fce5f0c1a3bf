/* SPDX-License-Identifier: MIT */
/*
 * kernel: probes that do what PID 1 does: namespaces, mounts, filters. Runs in: a child
 * that is thrown away, but for the functions that start it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sys.h"
#include "sbx/doctor/probes.h"
#include "sbx/run/mount.h"
#include "sbx/run/pty.h"
#include "sbx/spec/hints.h"

enum { OLDEST_MAJOR = 5, OLDEST_MINOR = 15, TESTED_MAJOR = 6, TESTED_MINOR = 1 };

static bool kernel_is_older(unsigned major, unsigned minor, unsigned than_major,
			    unsigned than_minor)
{
	return major < than_major || (major == than_major && minor < than_minor);
}

DOCTOR_PROBE(kernel)
{
	unsigned major = 0, minor = 0;
	struct utsname uts;
	struct sbx_err err;

	(void)d;
	(void)probe;
	if (uname(&uts) < 0 || sscanf(uts.release, "%u.%u", &major, &minor) != 2) {
		doctor_say(ret, DOCTOR_FACT, "its version cannot be told");
	} else if (kernel_is_older(major, minor, OLDEST_MAJOR, OLDEST_MINOR)) {
		(void)err_system(&err, ENOSYS, NULL, "Linux %s", uts.release);
		hint_add(&err, HINT_ANY);
		doctor_blame(ret, &err);
	} else if (kernel_is_older(major, minor, TESTED_MAJOR, TESTED_MINOR)) {
		doctor_say(ret, DOCTOR_LIMITED,
			   "Linux %s; the oldest that sbx is tested on is %d.%d", uts.release,
			   TESTED_MAJOR, TESTED_MINOR);
	} else {
		doctor_say(ret, DOCTOR_WORKS, "Linux %s %s", uts.release, uts.machine);
	}
}

/* ---- namespaces ---- */

/* A namespace may be there, and all rights in it withheld: so one of them is used. */
static int kernel_use_userns(struct doctor *d, const struct doctor_probe *probe,
			     struct doctor_answer *answer, struct sbx_err *err)
{
	(void)d;
	(void)probe;
	(void)answer;
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0) == 0)
		return 0;
	(void)err_system(err, errno, NULL, "the user namespace gives no rights");
	hint_add(err, HINT_IDMAP);
	return -err->number;
}

DOCTOR_PROBE(userns)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER, kernel_use_userns, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "one was made, and gives its rights");
	d->no_userns = ret->status == DOCTOR_FAILS;
	str_copy(d->userns_remedy, sizeof(d->userns_remedy), d->no_userns ? ret->remedy : "");
}

static int kernel_unshare(struct doctor *d, const struct doctor_probe *probe,
			  struct doctor_answer *answer, struct sbx_err *err)
{
	(void)d;
	(void)answer;
	if (unshare(probe->arg) == 0)
		return 0;
	(void)err_system(err, errno, NULL, "cannot create one");
	hint_add(err, HINT_CLONE);
	return -err->number;
}

DOCTOR_PROBE(namespace)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER, kernel_unshare, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "one was made");
}

static int kernel_write_limit(struct doctor *d, const struct doctor_probe *probe,
			      struct doctor_answer *answer, struct sbx_err *err)
{
	static const char path[] = "/proc/sys/user/max_user_namespaces";
	int r = io_write_file_at(AT_FDCWD, path, "0", 1);

	(void)d;
	(void)probe;
	(void)answer;
	if (r == 0)
		return 0;
	(void)err_system(err, -r, path, "cannot forbid user namespaces");
	hint_add(err, PLAN_STEP_USERNS_LIMIT);
	return r;
}

DOCTOR_PROBE(userns_limit)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER, kernel_write_limit, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "user namespaces inside can be forbidden");
}

/* ---- mounts ---- */

/* A tmpfs over the child's root. Paths still begin at the root below it. */
static int kernel_mount_tmpfs(int *ret_fd, struct sbx_err *err)
{
	int r = mount_new("tmpfs", NULL, 0, 0, ret_fd, err);

	if (r == 0 && sys_move_mount(*ret_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = err_system(err, errno, NULL, "cannot move a mount (move_mount)");
	return r;
}

/* All the calls that binds are made of. */
static int kernel_bind(struct doctor *d, const struct doctor_probe *probe,
		       struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int tmpfs = -1, tree = -1;
	int r = kernel_mount_tmpfs(&tmpfs, err);

	(void)d;
	(void)probe;
	(void)answer;
	if (r == 0) {
		r = mount_clone(AT_FDCWD, "/", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, &tree);
		if (r < 0)
			(void)err_system(err, -r, "/",
					 "cannot clone mounts (open_tree, mount_setattr)");
	}
	if (r == 0 && mkdirat(tmpfs, "d", 0755) < 0)
		r = err_system(err, errno, NULL, "cannot make a directory on a new tmpfs");
	if (r == 0 && sys_move_mount(tree, "", tmpfs, "d", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = err_system(err, errno, NULL, "cannot move a mount (move_mount)");
	if (r < 0)
		hint_add(err, HINT_ANY);
	return r;
}

DOCTOR_PROBE(mount_api)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNS, kernel_bind, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS,
			   "fsopen, open_tree, mount_setattr and move_mount do what they should");
}

/* Filesystems that are made anew, by the step that does so. */
static const char *kernel_filesystem(int step)
{
	return step == PLAN_STEP_PROC ? "proc" : step == PLAN_STEP_SYS ? "sysfs" : "mqueue";
}

static int kernel_mount(struct doctor *d, const struct doctor_probe *probe,
			struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int fd = -1;
	int r = mount_new(kernel_filesystem(probe->arg), NULL, 0, MOUNT_ATTR_NOSUID, &fd, err);

	(void)d;
	(void)answer;
	if (r < 0)
		hint_add(err, probe->arg);
	return r;
}

DOCTOR_PROBE(filesystem)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe,
		       CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC,
		       kernel_mount, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "a new %s was mounted",
			   kernel_filesystem(probe->arg));
}

static int kernel_open_pty(struct doctor *d, const struct doctor_probe *probe,
			   struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int pts = -1, fd = -1;
	int r = pty_make_devpts(&pts, err);

	(void)d;
	(void)probe;
	(void)answer;
	if (r == 0) {
		fd = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			r = err_system(err, errno, NULL, "cannot open a new terminal");
	}
	if (r < 0)
		hint_add(err, PLAN_STEP_DEV);
	return r;
}

DOCTOR_PROBE(pty)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNS, kernel_open_pty, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "a new devpts was mounted, and a terminal opened");
}

/* ---- overlays ---- */

static int kernel_mount_overlay(int tmpfs, int *ret_fd, struct sbx_err *err)
{
	static const char *const names[] = {"lower", "upper", "work"};
	char paths[ARRAY_SIZE(names)][64];
	const struct mount_option options[] = {
		{"lowerdir", paths[0]}, {"upperdir", paths[1]}, {"workdir", paths[2]},
		{"userxattr", NULL},	{"uuid", "off"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d/%s", tmpfs, names[i]);
		if (mkdirat(tmpfs, names[i], 0755) < 0)
			return err_system(err, errno, NULL, "cannot make a directory");
	}
	if (mkdirat(tmpfs, "lower/d", 0755) < 0)
		return err_system(err, errno, NULL, "cannot make a directory");
	return mount_new("overlay", options, ARRAY_SIZE(options), MOUNT_ATTR_NOSUID, ret_fd, err);
}

/* Also that what is written comes to the upper layer, and what is removed is gone. */
static int kernel_use_overlay(struct doctor *d, const struct doctor_probe *probe,
			      struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int tmpfs = -1, overlay = -1;
	int r = kernel_mount_tmpfs(&tmpfs, err);

	(void)d;
	(void)probe;
	if (r == 0)
		r = kernel_mount_overlay(tmpfs, &overlay, err);
	if (r == 0 &&
	    (mkdirat(overlay, "new", 0755) < 0 || faccessat(tmpfs, "upper/new", F_OK, 0) < 0 ||
	     unlinkat(overlay, "d", AT_REMOVEDIR) < 0))
		r = err_system(err, errno, NULL, "an overlay was mounted and cannot be written");
	if (r < 0)
		hint_add(err, err->number == ENODEV ? PLAN_STEP_PROTECT : HINT_ANY);
	else if (mkdirat(overlay, "d", 0755) < 0)
		str_copy(answer->text, sizeof(answer->text),
			 "one was mounted; with a layer on tmpfs, a directory that was removed "
			 "cannot be made again (Linux 6.6 can)");
	return r;
}

DOCTOR_PROBE(overlay)
{
	struct doctor_answer answer;

	if (!doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNS, kernel_use_overlay, &answer, ret))
		return;
	if (answer.text[0])
		doctor_say(ret, DOCTOR_LIMITED, "%s", answer.text);
	else
		doctor_say(ret, DOCTOR_WORKS, "one was mounted, and written to");
}

/* ---- filters ---- */

static int kernel_load_filter(unsigned flags, struct sbx_err *err)
{
	static const struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot set no_new_privs");
	return sys_seccomp_filter(allow, ARRAY_SIZE(allow), flags) < 0
		       ? err_system(err, errno, NULL, "cannot load the system call filter")
		       : 0;
}

static int kernel_filter(struct doctor *d, const struct doctor_probe *probe,
			 struct doctor_answer *answer, struct sbx_err *err)
{
	int r = kernel_load_filter(0, err);

	(void)d;
	(void)probe;
	(void)answer;
	if (r < 0)
		hint_add(err, PLAN_STEP_FILTER);
	return r;
}

DOCTOR_PROBE(seccomp)
{
	bool filtered = prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER;
	struct doctor_answer answer;

	if (doctor_try(d, probe, 0, kernel_filter, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "a filter was loaded%s",
			   filtered ? ", below one that is in force already: that of an outer "
				      "sandbox, container or service"
				    : "");
}

static int kernel_listen(struct doctor *d, const struct doctor_probe *probe,
			 struct doctor_answer *answer, struct sbx_err *err)
{
	int r = kernel_load_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, err);

	(void)d;
	(void)probe;
	(void)answer;
	if (r < 0)
		hint_add(err, err->number == EBUSY ? HINT_LISTENER : PLAN_STEP_FILTER);
	return r;
}

DOCTOR_PROBE(listener)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, 0, kernel_listen, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "a filter that reports was loaded");
}
