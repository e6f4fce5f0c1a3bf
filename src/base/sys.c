/* SPDX-License-Identifier: MIT */
/* sys: thin wrappers, one system call each; see the manual page of that name in section 2. */

#include <errno.h>
#include <linux/capability.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sbx/base/sys.h"

/*
 * Of a path, or with "" of the descriptor itself. Nothing is followed at the end.
 * musl has statx(2) only since 1.2.5, and its structure is the kernel's.
 */
int sys_statx_mount(int dir_fd, const char *path, struct sys_mount *ret_mount)
{
	enum { EMPTY_PATH = 0x1000, NO_AUTOMOUNT = 0x800, NOFOLLOW = 0x100 };
	struct statx stx;

	if (syscall(SYS_statx, dir_fd, path, EMPTY_PATH | NO_AUTOMOUNT | NOFOLLOW,
		    STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -1;
	ret_mount->mount_id = stx.stx_mnt_id;
	ret_mount->inode = stx.stx_ino;
	ret_mount->is_root = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

/* clone(2). Return: as fork(2); with a NULL stack the child goes on in a copy of this one. */
pid_t sys_clone3(const struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = {.flags = flags, .resolve = resolve};
	int fd;

	/* EAGAIN: something was renamed or mounted meanwhile and the kernel is not sure. */
	do {
		fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN);
	return fd;
}

int sys_open_tree(int dir_fd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

int sys_fsopen(const char *type)
{
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

/* A NULL value sets a flag. */
int sys_fsconfig_string(int fs_fd, const char *key, const char *value)
{
	unsigned cmd = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

	return (int)syscall(SYS_fsconfig, fs_fd, cmd, key, value, 0);
}

int sys_fsconfig_create(int fs_fd)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int sys_fsmount(int fs_fd, uint64_t attrs)
{
	return (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, (unsigned)attrs);
}

int sys_mount_setattr(int dir_fd, const char *path, unsigned flags, const struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dir_fd, path, flags, attr, sizeof(*attr));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

/* umount2(2) with MNT_DETACH: out of sight at once, gone when the last user is. */
int sys_umount_detach(const char *path)
{
	enum { DETACH = 2 };

	return (int)syscall(SYS_umount2, path, DETACH);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

/* capset(2) on this thread, with 64-bit sets: bit n is capability n. */
int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
		 (uint32_t)(inheritable >> 32)},
	};

	return (int)syscall(SYS_capset, &header, data);
}
