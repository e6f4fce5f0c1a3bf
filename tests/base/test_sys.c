/* SPDX-License-Identifier: MIT */
/* The thin wrappers do what the manual says of the calls. */

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/base/caps.h"
#include "sbx/base/sys.h"

static int clone_child(void *arg)
{
	const struct clone_args args = {.exit_signal = SIGCHLD};
	int status = -1;
	pid_t pid = sys_clone3(&args);

	(void)arg;
	child_check(pid >= 0);
	if (pid == 0)
		_exit(9);
	child_check(waitpid(pid, &status, 0) == pid);
	child_check(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	return 0;
}

Test(sys, clone3_returns_as_fork_does)
{
	expect_in_child(clone_child, NULL);
}

Test(sys, openat2_keeps_below_its_root)
{
	_autoclose_ int tree = tmp_tree("passwd -> /etc/passwd", "file");
	_autoclose_ int fd = sys_openat2(tree, "../../file", O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT);

	cr_expect_geq(fd, 0);
	cr_expect_eq(sys_openat2(tree, "passwd", O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT), -1);
	cr_expect_eq(errno, ENOENT);
	cr_expect_eq(sys_openat2(tree, "../file", O_PATH | O_CLOEXEC, RESOLVE_BENEATH), -1);
	cr_expect_eq(errno, EXDEV);
}

static int signal_by_pidfd(void *arg)
{
	_autoclose_ int pidfd = sys_pidfd_open(getpid());

	(void)arg;
	child_check(pidfd >= 0);
	child_check(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	child_check(sys_pidfd_send_signal(pidfd, SIGUSR1) == 0);
	return 0; /* not reached */
}

Test(sys, a_signal_by_pidfd_arrives)
{
	cr_expect_eq(in_child(signal_by_pidfd, NULL), -SIGUSR1);
}

static bool status_has(const char *line)
{
	_autoclose_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, line) != NULL;
}

static int set_caps(void *arg)
{
	const uint64_t low = UINT64_C(1) << CAP_CHOWN, high = UINT64_C(1) << CAP_BPF;

	(void)arg;
	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	child_check(sys_capset(low, low | high, high) == 0);
	child_check(status_has("CapEff:\t0000000000000001\n"));
	child_check(status_has("CapPrm:\t0000008000000001\n"));
	child_check(status_has("CapInh:\t0000008000000000\n"));
	child_check(sys_capset(0, 0, 0) == 0);
	child_check(status_has("CapPrm:\t0000000000000000\n"));
	child_check(sys_capset(low, low, 0) < 0 && errno == EPERM);
	return 0;
}

Test(sys, capset_sets_both_halves)
{
	expect_in_child(set_caps, NULL);
}

/* A tmpfs made with the new calls, read-only, placed, detached. */
static int mount_with_new_calls(void *arg)
{
	const char *dir = arg;
	const struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	_autoclose_ int fs = -1, mnt = -1, at = -1;
	struct stat st;

	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	child_check((fs = sys_fsopen("tmpfs")) >= 0);
	child_check(sys_fsconfig_string(fs, "mode", "0711") == 0);
	child_check(sys_fsconfig_string(fs, "no-such-option", NULL) < 0);
	child_check(sys_fsconfig_create(fs) == 0);
	child_check((mnt = sys_fsmount(fs, MOUNT_ATTR_NODEV)) >= 0);
	child_check(sys_mount_setattr(mnt, "", AT_EMPTY_PATH, &read_only) == 0);
	child_check((at = open(dir, O_PATH | O_CLOEXEC)) >= 0);
	child_check(sys_move_mount(mnt, "", at, "",
				   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0);
	child_check(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0711);
	child_check(chdir(dir) == 0 && mkdir("x", 0755) < 0 && errno == EROFS);
	child_check(sys_umount_detach(dir) == 0);
	child_check(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0755);
	return 0;
}

Test(sys, a_mount_by_descriptor)
{
	_autoclose_ int tree = tmp_tree("dir/");
	_autofree_ char *dir = tree_path(tree, "dir");

	expect_in_child(mount_with_new_calls, dir);
}

/* By either call. */
Test(sys, a_file_has_the_number_of_its_device)
{
	_autoclose_ int tree = tmp_tree("f=1\n");
	struct sys_file file;
	struct stat st;

	cr_assert_eq(sys_statx_file(tree, "f", &file), 0);
	cr_assert_eq(fstatat(tree, "f", &st, 0), 0);
	cr_expect_eq(file.dev, st.st_dev);
	cr_expect_eq(file.inode, st.st_ino);
}
