/* SPDX-License-Identifier: MIT */
/*
 * Remedies: each row of the table has a case here, by an error of its kind, in the state that
 * its probe asks for. Switches of the kernel are made up by mounting files over them, in a
 * namespace of the test's own. That sbx comes to these errors is for tests/e2e and tests/faults.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/spec/hints.h"
#include "sbx/spec/plan.h"

enum {
	REFUSED = 1 << 16, /* and an errno: sbx has refused with it */
	ROWS_MAX = 512,
};

/* Shared with the children: which rows have been found. */
static bool *rows_found;

static bool hint_says(int place, int number, const char *words)
{
	struct sbx_err err;
	int row;

	if (number >= REFUSED)
		(void)err_refuse(&err, number - REFUSED, "/path", "no");
	else
		(void)err_system(&err, number, "/path", "cannot");
	row = hint_find(&err, place);
	if (rows_found && row >= 0 && row < ROWS_MAX)
		rows_found[row] = true;
	hint_add(&err, place);
	if (words ? strstr(err.hint, words) != NULL : err.hint[0] == '\0')
		return true;
	dprintf(STDERR_FILENO, "place %d, %s%s: \"%s\", not \"%s\"\n", place,
		number >= REFUSED ? "refused: " : "", strerror(number & (REFUSED - 1)), err.hint,
		words ? words : "");
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

static const struct {
	int place, number;
	const char *words; /* NULL: no hint */
} plain_rows[] = {
	{PLAN_STEP_BIND, ENOENT, "--ro-bind-try"},
	{PLAN_STEP_BIND, EACCES, "namei -l PATH"},
	{PLAN_STEP_BIND, EPERM, "--mount-opt noatime"},
	{PLAN_STEP_BIND, EROFS, "--tmpfs DIR"},
	{PLAN_STEP_BIND, EIO, NULL},
	{PLAN_STEP_BIND, EMFILE, "ulimit -n"},
	{PLAN_STEP_CHDIR, ENOENT, "leave --chdir out"},
	{PLAN_STEP_CHDIR, EACCES, "leave --chdir out"},
	{PLAN_STEP_CGROUP, EPERM, "--share-cgroup"},
	{PLAN_STEP_PROC, EROFS, "--no-base"},
	{PLAN_STEP_DEV, EROFS, "--no-base"},
	{PLAN_STEP_DEV, ENFILE, "fs.file-max"},
	{PLAN_STEP_RLIMIT, EPERM, "ulimit -H -a"},
	{PLAN_STEP_NICE, EPERM, "limits.conf"},
	{PLAN_STEP_NICE, EACCES, "limits.conf"},
	{PLAN_STEP_OOM_SCORE, EACCES, "oom_score_adj"},
	{PLAN_STEP_LANDLOCK, E2BIG, "--landlock=off"},
	{PLAN_STEP_SYS, EPERM, "--ro-bind /sys /sys"},
	{PLAN_STEP_USERNS_LIMIT, EROFS, "--allow-userns"},
	{PLAN_STEP_USERNS_LIMIT, ENOENT, "the caller has no /proc"},
	{PLAN_STEP_KEYRING, EDQUOT, "kernel.keys.maxkeys"},
	{PLAN_STEP_EXEC, EMFILE, "--rlimit nofile="},
	{PLAN_STEP_DIR, ENOENT, NULL},
	{PLAN_STEP_TMPFS, EROFS, NULL},
	{PLAN_STEP_TMPFS, ENOSPC, "a limit is reached"},
	{PLAN_STEP_TMPFS, EOVERFLOW, "--userns-block-fd"},
	{PLAN_STEP_FILE, EFBIG, "ulimit -f"},
	{PLAN_STEP_PROTECT, EINVAL, "make the protected path before"},
	{PLAN_STEP_PROTECT, ENOTDIR, "correct the path"},
	{PLAN_STEP_PROTECT, ELOOP, "remove the link"},
	{PLAN_STEP_PROTECT, ENODEV, "no overlayfs"},
	{PLAN_STEP_PROTECT, EWOULDBLOCK, "holds the lock"},
	{PLAN_STEP_PROTECT, REFUSED + EXDEV, "XDG_STATE_HOME"},
	{PLAN_STEP_PROTECT, REFUSED + EBUSY, "put that mount behind --protect"},
	{PLAN_STEP_PROTECT, REFUSED + ESTALE, "try again"},
	{PLAN_STEP_PROTECT, REFUSED + EAGAIN, "a program outside"},
	{PLAN_STEP_PIN, EPERM, "above the sessions read-only"},
	{PLAN_STEP_FILTER_COVER, EACCES, "sbx keeps filters there"},
	{PLAN_STEP_LAYERS, EINVAL, "--overlay-driver=fuse"},
	{PLAN_STEP_LAYERS, EPERM, "--overlay-driver=fuse"},
	{PLAN_STEP_LAYERS, ENODEV, "no overlayfs"},
	{PLAN_STEP_LAYERS, ENOENT, "none is made by sbx"},
	{PLAN_STEP_LAYERS, EBUSY, "another sandbox uses"},
	{PLAN_STEP_FILTER, EINVAL, "CONFIG_SECCOMP_FILTER"},
	{PLAN_STEP_FILTER, ENOSYS, "CONFIG_SECCOMP_FILTER"},
	{PLAN_STEP_OWN_FILTER, EINVAL, "CONFIG_SECCOMP_FILTER"},
	{PLAN_STEP_OWN_FILTER, ENOSYS, "CONFIG_SECCOMP_FILTER"},
	{PLAN_STEP_RAW_FILTER, EINVAL, "seccomp(2)"},
	{HINT_ANY, EMFILE, "ulimit -n"},
	{HINT_CLONE, EPERM, "a security module or an outer sandbox"},
	{HINT_CLONE, EUSERS, "32 deep"},
	{HINT_CLONE, EACCES, "ausearch -m avc"},
	{HINT_CLONE, ENOSPC, "the limit on namespaces is reached"},
	{HINT_CLONE, ENOSYS, "refuses clone3"},
	{HINT_CLONE, EINVAL, "CONFIG_USER_NS"},
	{HINT_CLONE, EAGAIN, "ulimit -u"},
	{HINT_IDMAP, EINVAL, NULL},
	{HINT_IDMAP, EAGAIN, "ulimit -u"},
	{HINT_IDMAP, EMFILE, "ulimit -n"},
	{HINT_PAYLOAD, EAGAIN, "ulimit -u"},
	{HINT_CGROUP, EACCES, "you must own both"},
	{HINT_CGROUP, EPERM, "you must own both"},
	{HINT_CGROUP, ENOENT, "you must own both"},
	{HINT_CGROUP, REFUSED + ECANCELED, "systemd-run --user --scope"},
	{HINT_CGROUP, REFUSED + ETIMEDOUT, NULL},
	{HINT_BUS, REFUSED + ECANCELED, "--no-dbus-session"},
	{HINT_NET, REFUSED + ECANCELED, "sbx doctor slirp4netns tun"},
	{HINT_NFT, REFUSED + ETIMEDOUT, "--net=user,unfiltered"},
	{HINT_NFT, ENOENT, "sbx doctor nft"},
	{HINT_NFT_HERE, REFUSED + ECANCELED, "modprobe -a nf_tables"},
	{HINT_IPV6, EACCES, "leave the word ipv6 out"},
	{HINT_SHARE_OTHER, REFUSED + EEXIST, "--net=/path"},
	{HINT_SHARE_IN_USE, REFUSED + EBUSY, "--force"},
	{HINT_SHARE_NAME, REFUSED + EEXIST, "choose another"},
	{HINT_SHARE_HOST, REFUSED + EEXIST, "choose another"},
	{HINT_NO_IDS, REFUSED + ERANGE, "--map=single"},
	{HINT_NETNS, EPERM, "CAP_SYS_ADMIN"},
	{HINT_NETNS, REFUSED + EPERM, "CAP_SYS_ADMIN"},
	{HINT_SHARE, EOPNOTSUPP, "modprobe -a bridge veth"},
	{HINT_SHARE, ENODEV, "modprobe -a bridge veth"},
	{HINT_FUSE_OVERLAYFS, REFUSED + ECANCELED, "--overlay-driver=kernel"},
	{HINT_MARK, REFUSED + EUCLEAN, "rename the file"},
	{HINT_MARK_KERNEL, REFUSED + EUCLEAN, "--overlay-driver=kernel"},
	{HINT_FUSE, ENOENT, "modprobe fuse"},
	{HINT_FUSE, ENXIO, "modprobe fuse"},
	{HINT_FUSE, ENODEV, "modprobe fuse"},
	{HINT_FUSE, EACCES, "chmod 0666 /dev/fuse"},
	{HINT_FUSE, EPERM, "--device /dev/fuse"},
	{HINT_FUSE, REFUSED + EPERM, "--device /dev/fuse"},
	{HINT_TUN, ENOENT, "modprobe tun"},
	{HINT_TUN, ENXIO, "modprobe tun"},
	{HINT_TUN, ENODEV, "modprobe tun"},
	{HINT_TUN, EACCES, "chmod 0666 /dev/net/tun"},
	{HINT_TUN, EPERM, "--device /dev/net/tun"},
	{HINT_TUN, REFUSED + EPERM, "--device /dev/net/tun"},
	{HINT_LISTENER, EBUSY, "leave --seccomp-log out"},
	{HINT_LISTENER, EINVAL, NULL},
	{HINT_MAP_HELPER, REFUSED + EPERM, "that /path has its set-user-ID bit"},
	{HINT_MAP_SLOW, REFUSED + ETIMEDOUT, "nsswitch.conf"},
	{HINT_TERMINAL, EIO, "--no-pty"},
	{HINT_JOIN_USERNS, EINVAL, "of that kind"},
	{HINT_JOIN_USERNS, EPERM, "must own the user namespace"},
	{HINT_JOIN_PIDNS, EINVAL, "of that kind"},
	{HINT_JOIN_PIDNS, EPERM, "must own the user namespace"},
	{HINT_ENTER, EPERM, "--block-fd"},
	{HINT_NAME, REFUSED + EEXIST, "sbx stop /path"},
	{HINT_PID_1, REFUSED + ECANCELED, "has ended with it"},
	{HINT_REAPER, REFUSED + ECANCELED, "may\nstill run"},
	{HINT_NO_FILE, REFUSED + ENOENT, "the directory that holds it"},
	{HINT_NO_COMMAND, REFUSED + ENOENT, "PATH is /path"},
	{HINT_NO_LOADER, REFUSED + ENOENT, "--ro-bind /path /path"},
	{HINT_LIMIT, EMFILE, "ulimit -n"},
	{HINT_LIMIT, EFBIG, "ulimit -f"},
	{HINT_LIMIT, ENOMEM, "ulimit -v"},
	{HINT_LIMIT, ENOSPC, NULL},
};

static void check_plain_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_rows); i++)
		cr_expect(hint_says(plain_rows[i].place, plain_rows[i].number, plain_rows[i].words),
			  "row %zu", i);
}

/* Switches that are on, and filters, are what is to blame first. */
static bool nothing_holds_the_caller_back(void)
{
	struct stat st;

	return prctl(PR_GET_SECCOMP) == 0 &&
	       stat("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", &st) < 0 &&
	       stat("/proc/sys/kernel/unprivileged_userns_clone", &st) < 0;
}

Test(hints, steps_have_remedies_of_their_own)
{
	skip_unless(nothing_holds_the_caller_back(), "what comes first is in force here");
	check_plain_rows();
}

/*
 * What sbx refuses has a number of the kernel's, and means something else by it: what is to be
 * done about that one would be wrong.
 */
Test(hints, a_refusal_has_no_remedy_of_the_kernels)
{
	static const struct {
		int place, number;
	} rows[] = {
		{PLAN_STEP_BIND, ENOENT},
		{PLAN_STEP_BIND, ENOTDIR},
		{PLAN_STEP_BIND, ESTALE},
		{PLAN_STEP_PROTECT, EINVAL},
		{PLAN_STEP_PROTECT, E2BIG},
		{PLAN_STEP_PROTECT, ENAMETOOLONG},
		{PLAN_STEP_RAW_FILTER, EFBIG},
		{PLAN_STEP_RAW_FILTER, EINVAL},
		{PLAN_STEP_LAYERS, ENOTDIR},
		{PLAN_STEP_LAYERS, ELOOP},
		{PLAN_STEP_LAYERS, EXDEV},
		{PLAN_STEP_LAYERS, ESTALE},
		{PLAN_STEP_LAYERS, ENOENT},
		{PLAN_STEP_FILE, EFBIG},
		{PLAN_STEP_ROOT_TMPFS, EPERM},
		{HINT_LIMIT, EFBIG},
		{HINT_LIMIT, ENOMEM},
		{HINT_ANY, EACCES},
		{HINT_ANY, EPERM},
		{HINT_ANY, ENOSYS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect(hint_says(rows[i].place, REFUSED + rows[i].number, NULL), "row %zu", i);
	/* And the other way round. */
	cr_expect(hint_says(PLAN_STEP_PROTECT, EXDEV, NULL));
	cr_expect(hint_says(PLAN_STEP_PROTECT, EBUSY, NULL));
	cr_expect(hint_says(PLAN_STEP_PROTECT, ESTALE, NULL));
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

static void check_switches(void)
{
	static const struct switched rows[] = {
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_CLONE, EPERM,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_IDMAP, EPERM,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_IDMAP, EACCES,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n", HINT_CLONE, EACCES,
		 "AppArmor"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n",
		 PLAN_STEP_ROOT_TMPFS, EACCES, "/etc/apparmor.d/sbx"},
		{KERNEL, KERNEL "/apparmor_restrict_unprivileged_userns", "1\n",
		 PLAN_STEP_ROOT_TMPFS, EPERM, "/etc/apparmor.d/sbx"},
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

Test(hints, switches_of_the_kernel_are_named)
{
	check_switches();
}

/* ---- what a process can be in ---- */

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
	child_check(hint_says(HINT_NFT, ENOENT, "see that nftables works here"));
	return 0;
}

/* As that of another sandbox: no socket to ask the kernel for rules. */
static int without_netfilter(void *arg)
{
	struct sock_filter refuse[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(refuse), .filter = refuse};

	(void)arg;
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
	child_check(hint_says(HINT_NFT, REFUSED + ECANCELED, "--cap-add NET_ADMIN"));
	child_check(hint_says(HINT_NFT_HERE, REFUSED + ECANCELED, "--cap-add NET_ADMIN"));
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

static int in_chroot(void *arg)
{
	(void)arg;
	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	child_check(chroot("/usr") == 0);
	child_check(hint_says(HINT_CLONE, EPERM, "pivot_root"));
	return 0;
}

/* Give a file of /proc another content. */
static int cover_file(const char *path, const char *content)
{
	static const char source[] = "/proc/sys/file";
	_autoclose_ int fd = -1;

	child_check(ns_mount_tmpfs("/proc/sys") == 0);
	fd = open(source, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	child_check(fd >= 0);
	child_check(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	child_check(ns_bind(source, path) == 0);
	return 0;
}

static int in_sandbox(void *arg)
{
	int r;

	(void)arg;
	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	r = cover_file("/proc/1/comm", "sbx\n");
	if (r != 0)
		return r;
	child_check(hint_says(HINT_FUSE, ENOENT, "--dev-bind /dev/fuse /dev/fuse"));
	child_check(hint_says(HINT_FUSE, EACCES, "chmod 0666 /dev/fuse"));
	child_check(hint_says(HINT_FUSE, REFUSED + EPERM, "--dev-bind /dev/fuse /dev/fuse"));
	child_check(hint_says(HINT_TUN, ENOENT, "--dev-bind /dev/net/tun /dev/net/tun"));
	child_check(hint_says(HINT_TUN, EACCES, "chmod 0666 /dev/net/tun"));
	child_check(hint_says(HINT_TUN, REFUSED + EPERM, "--dev-bind /dev/net/tun /dev/net/tun"));
	return 0;
}

static int with_apparmor_profile(void *arg)
{
	static const char dir[] = "/proc/self/attr/apparmor",
			  file[] = "/proc/self/attr/apparmor/current", label[] = "box (enforce)\n";
	_autoclose_ int fd = -1;

	(void)arg;
	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	child_check(ns_mount_tmpfs("/proc/sys") == 0);
	child_check(ns_mount_tmpfs("/proc/self/attr") == 0);
	child_check(mkdir(dir, 0755) == 0);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	child_check(fd >= 0 && write(fd, label, strlen(label)) == (ssize_t)strlen(label));
	child_check(hint_says(PLAN_STEP_ROOT_TMPFS, EACCES, "AppArmor profile confines"));
	child_check(hint_says(PLAN_STEP_ROOT_TMPFS, EPERM, "AppArmor profile confines"));
	child_check(hint_says(PLAN_STEP_ROOT_TMPFS, REFUSED + EPERM, NULL));
	return 0;
}

static void check_states(void)
{
	expect_in_child(with_filter, NULL);
	expect_in_child(without_netfilter, NULL);
	expect_in_child(in_chroot, NULL);
	expect_in_child(in_sandbox, NULL);
	expect_in_child(with_apparmor_profile, NULL);
}

Test(hints, what_holds_the_caller_back_is_named)
{
	skip_unless(nothing_holds_the_caller_back(), "what comes first is in force here");
	check_states();
}

Test(hints, an_old_kernel_is_named)
{
	expect_in_child(with_old_kernel, NULL);
}

/* ---- all of them ---- */

/* A row that no case here comes to is one that nobody ever sees, or has no case: write it. */
Test(hints, every_row_can_be_reached)
{
	skip_unless(nothing_holds_the_caller_back(), "what comes first is in force here");
	rows_found =
		mmap(NULL, ROWS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq((void *)rows_found, MAP_FAILED);
	check_plain_rows();
	check_switches();
	check_states();
	expect_in_child(with_old_kernel, NULL);
	for (size_t i = 0; hint_text(i); i++) {
		cr_assert_lt(i, ROWS_MAX);
		cr_expect(rows_found[i], "no case comes to row %zu: \"%s\"", i, hint_text(i));
	}
	(void)munmap(rows_found, ROWS_MAX);
	rows_found = NULL;
}
