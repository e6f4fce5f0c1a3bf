/* SPDX-License-Identifier: MIT */
/*
 * Remedies: each row that this machine can be brought to. Switches of the kernel
 * are made up by mounting files over them, in a namespace of the test's own.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/spec/hints.h"
#include "sbx/spec/plan.h"

static bool hint_says(int place, int number, const char *words)
{
	struct sbx_err err;

	(void)err_system(&err, number, "/path", "cannot");
	hint_add(&err, place);
	if (words ? strstr(err.hint, words) != NULL : err.hint[0] == '\0')
		return true;
	dprintf(STDERR_FILENO, "place %d, %s: \"%s\", not \"%s\"\n", place, strerror(number),
		err.hint, words ? words : "");
	return false;
}

/* ---- rows without a condition ---- */

Test(hints, what_is_no_step_has_its_option)
{
	struct sbx_err err;

	(void)err_refuse(&err, ENOENT, "web", "is taken");
	hint_add(&err, HINT_NAME);
	cr_expect_str_eq(err.option, "--name");
	cr_expect_str_eq(err.hint, "choose another name, or end that one: sbx stop web");
	(void)err_system(&err, ENOENT, "/p", "cannot");
	err_set_option(&err, "--root");
	hint_add_about(&err, HINT_NO_LOADER, "/lib");
	hint_add_about(&err, HINT_MAP_HELPER, "/lib");
	cr_expect_str_eq(err.option, "--root", "what was known already stays");
	cr_expect_str_eq(err.hint, "bring it in: --ro-bind /lib /lib");
	cr_expect_str_eq(hint_option(HINT_CLONE), "");
}

Test(hints, steps_have_remedies_of_their_own)
{
	static const struct {
		int place, number;
		const char *words; /* NULL: no hint */
	} rows[] = {
		{PLAN_STEP_BIND, ENOENT, "--ro-bind-try"},
		{PLAN_STEP_BIND, EACCES, "namei -l PATH"},
		{PLAN_STEP_CHDIR, ENOENT, "leave --chdir out"},
		{PLAN_STEP_CHDIR, EACCES, "leave --chdir out"},
		{PLAN_STEP_BIND, EROFS, "--tmpfs DIR"},
		{PLAN_STEP_SYS, EPERM, "--ro-bind /sys /sys"},
		{PLAN_STEP_USERNS_LIMIT, EROFS, "--allow-userns"},
		{PLAN_STEP_USERNS_LIMIT, ENOENT, "the caller has no /proc"},
		{PLAN_STEP_DIR, ENOENT, NULL},
		{PLAN_STEP_TMPFS, EROFS, NULL},
		{PLAN_STEP_BIND, EIO, NULL},
		{PLAN_STEP_TMPFS, ENOSPC, "a limit is reached"},
		{PLAN_STEP_BIND, EMFILE, "ulimit -n"},
		{PLAN_STEP_DEV, ENFILE, "fs.file-max"},
		{HINT_ANY, EMFILE, "ulimit -n"},
		{HINT_CLONE, EUSERS, "32 deep"},
		{HINT_CLONE, EACCES, "ausearch -m avc"},
		{HINT_CLONE, EINVAL, "CONFIG_USER_NS"},
		{HINT_CLONE, EAGAIN, "ulimit -u"},
		{HINT_IDMAP, EINVAL, NULL},
		{HINT_IDMAP, EAGAIN, "ulimit -u"},
		{HINT_IDMAP, EMFILE, "ulimit -n"},
		{HINT_PAYLOAD, EAGAIN, "ulimit -u"},
		{HINT_LIMIT, EMFILE, "ulimit -n"},
		{HINT_LIMIT, EFBIG, "ulimit -f"},
		{HINT_LIMIT, ENOMEM, "ulimit -v"},
		{HINT_LIMIT, ENOSPC, NULL},
		{PLAN_STEP_FILE, EFBIG, "ulimit -f"},
		{HINT_MARK, EUCLEAN, "rename the file"},
		{HINT_MARK_KERNEL, EUCLEAN, "--overlay-driver=kernel"},
		{HINT_FUSE, ENOENT, "modprobe fuse"},
		{HINT_FUSE, EACCES, "chmod 0666 /dev/fuse"},
		{HINT_FUSE, EPERM, "--device /dev/fuse"},
		{HINT_TUN, ENOENT, "modprobe tun"},
		{HINT_TUN, ENODEV, "modprobe tun"},
		{HINT_TUN, EACCES, "chmod 0666 /dev/net/tun"},
		{HINT_LISTENER, EBUSY, "leave --seccomp-log out"},
		{HINT_LISTENER, EINVAL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect(hint_says(rows[i].place, rows[i].number, rows[i].words), "row %zu", i);
}

Test(hints, the_one_closest_to_the_cause_stays)
{
	struct sbx_err err;

	(void)err_system(&err, ENOENT, "/path", "cannot");
	err_hint(&err, "mine");
	hint_add(&err, PLAN_STEP_BIND);
	cr_expect_str_eq(err.hint, "mine");
}

/* ---- made-up switches ---- */

struct switched {
	const char *dir;   /* is covered with an empty tmpfs */
	const char *file;  /* in it */
	const char *value; /* of the file */
	int place, number;
	const char *words;
};

static int with_switch(void *arg)
{
	const struct switched *s = arg;
	_autoclose_ int fd = -1;

	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	if (ns_mount_tmpfs(s->dir) != 0)
		return NS_UNAVAILABLE;
	fd = open(s->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	child_check(fd >= 0);
	child_check(write(fd, s->value, strlen(s->value)) == (ssize_t)strlen(s->value));
	child_check(hint_says(s->place, s->number, s->words));
	return 0;
}

#define KERNEL "/proc/sys/kernel"

Test(hints, switches_of_the_kernel_are_named)
{
	static const struct switched rows[] = {
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_CLONE, EPERM,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_IDMAP, EPERM,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_IDMAP, EACCES,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n",
		 PLAN_STEP_ROOT_TMPFS, EACCES, "/etc/apparmor.d/sbx"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "0\n",
		 PLAN_STEP_ROOT_TMPFS, EACCES, NULL},
		{KERNEL, KERNEL "/unprivileged_userns_clone", "0\n", HINT_CLONE, EPERM,
		 "sysctl kernel.unprivileged_userns_clone=1"},
		{KERNEL, KERNEL "/unprivileged_userns_clone", "1\n", HINT_CLONE, EPERM,
		 "a security module or an outer sandbox"},
		{"/proc/sys/user", "/proc/sys/user/max_user_namespaces", "0\n", HINT_CLONE, ENOSPC,
		 "sysctl user.max_user_namespaces=10000"},
		{"/proc/sys/user", "/proc/sys/user/max_user_namespaces", "0\n", HINT_CLONE, ENOSYS,
		 "sbx --allow-userns"},
		{"/proc/sys/user", "/proc/sys/user/max_user_namespaces", "0\n", HINT_CLONE, EPERM,
		 "sbx --allow-userns"},
		{"/proc/sys/user", "/proc/sys/user/max_user_namespaces", "5000\n", HINT_CLONE,
		 ENOSPC, "the limit on namespaces is reached"},
		{"/proc/sys", "/proc/sys/any", "", PLAN_STEP_PROC, EPERM, "--share-pid"},
		{"/proc/sys", "/proc/sys/any", "", PLAN_STEP_PROC_VIEW, EPERM, "--share-pid"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct switched row = rows[i];

		expect_in_child(with_switch, &row);
	}
}

/* ---- what a process can be in ---- */

static int with_no_new_privs(void *arg)
{
	(void)arg;
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(hint_says(HINT_IDMAP, EPERM, "--map=single"));
	return 0;
}

static int with_filter(void *arg)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	const struct sock_fprog program = {.len = 1, .filter = allow};

	(void)arg;
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
	child_check(hint_says(HINT_CLONE, EPERM, "seccomp"));
	child_check(hint_says(HINT_CLONE, ENOSYS, "refuses clone3"));
	child_check(hint_says(PLAN_STEP_BIND, ENOSYS, "seccomp"));
	return 0;
}

static int with_old_kernel(void *arg)
{
	(void)arg;
	child_check(personality(UNAME26) >= 0);
	child_check(hint_says(HINT_CLONE, ENOSYS, "older than Linux 5.15"));
	child_check(hint_says(PLAN_STEP_BIND, ENOSYS, "older than Linux 5.15"));
	return 0;
}

Test(hints, what_holds_the_caller_back_is_named)
{
	struct stat st;

	skip_unless(stat(KERNEL "/apparmor_restrict_unprivileged_userns", &st) < 0 &&
			    stat(KERNEL "/unprivileged_userns_clone", &st) < 0,
		    "this kernel has switches that come first");
	expect_in_child(with_no_new_privs, NULL);
	expect_in_child(with_filter, NULL);
}

Test(hints, an_old_kernel_is_named)
{
	expect_in_child(with_old_kernel, NULL);
}
