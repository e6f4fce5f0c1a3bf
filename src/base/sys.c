/* SPDX-License-Identifier: MIT */
/* sys: thin wrappers, one system call each; see the manual page of that name in section 2. */

#include <errno.h>
#include <linux/capability.h>
#include <linux/ioctl.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/sys.h"

enum { STATX_FLAGS = 0x1000 /* AT_EMPTY_PATH */ | 0x800 /* NO_AUTOMOUNT */ | 0x100 /* NOFOLLOW */ };

/* musl has statx(2) only since 1.2.5, and its structure is the kernel's. */
static int sys_statx(int dir_fd, const char *path, unsigned mask, struct statx *stx)
{
	return (int)syscall(SYS_statx, dir_fd, path, STATX_FLAGS, mask, stx);
}

static struct sys_mount sys_mount_of(const struct statx *stx)
{
	enum { TYPE_BITS = 0170000, TYPE_DIR = 0040000, TYPE_LINK = 0120000 }; /* of inode(7) */

	return (struct sys_mount){.mount_id = stx->stx_mnt_id,
				  .is_dir = (stx->stx_mode & TYPE_BITS) == TYPE_DIR,
				  .is_link = (stx->stx_mode & TYPE_BITS) == TYPE_LINK,
				  .inode = stx->stx_ino,
				  .is_root = stx->stx_attributes & STATX_ATTR_MOUNT_ROOT};
}

/* Of a path, or with "" of the descriptor itself. Nothing is followed at the end. */
int sys_statx_mount(int dir_fd, const char *path, struct sys_mount *ret_mount)
{
	struct statx stx;

	if (sys_statx(dir_fd, path, STATX_TYPE | STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -1;
	*ret_mount = sys_mount_of(&stx);
	return 0;
}

/* Likewise. */
int sys_statx_file(int dir_fd, const char *path, struct sys_file *ret_file)
{
	const struct statx_timestamp *born;
	struct statx stx;

	if (sys_statx(dir_fd, path, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &stx) < 0)
		return -1;
	born = stx.stx_mask & STATX_BTIME ? &stx.stx_btime : &stx.stx_ctime;
	*ret_file = (struct sys_file){
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.inode = stx.stx_ino,
		.born_sec = born->tv_sec,
		.born_nsec = born->tv_nsec,
		.has_birth = stx.stx_mask & STATX_BTIME,
		.mode = stx.stx_mode,
		.uid = stx.stx_uid,
		.nlink = stx.stx_nlink,
		.size = stx.stx_size,
		.is_fixed = stx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND),
		.mount = sys_mount_of(&stx),
	};
	return 0;
}

/* Names from where the directory stands on. Return: bytes, 0 at its end. */
ssize_t sys_getdents(int dir_fd, struct sys_dirent *entries, size_t size)
{
	return syscall(SYS_getdents64, dir_fd, entries, size);
}

/* renameat2(2) that fails with EEXIST instead of replacing what is there. */
int sys_rename_noreplace(int from_dir, const char *from, int to_dir, const char *to)
{
	enum { NOREPLACE = 1 };

	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, NOREPLACE);
}

/* The same where both are there, and change places. */
int sys_rename_exchange(int one_dir, const char *one, int other_dir, const char *other)
{
	enum { EXCHANGE = 2 };

	return (int)syscall(SYS_renameat2, one_dir, one, other_dir, other, EXCHANGE);
}

/* fork(2) with namespaces, and a pidfd of the child for the parent. */
pid_t sys_clone(unsigned long flags, int *ret_pidfd)
{
	return (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, 0, ret_pidfd, 0, 0);
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

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444 /* on every architecture */
#define SYS_landlock_restrict_self 446
#endif

/* landlock_create_ruleset(2) only to ask. Return: the ABI of this kernel's Landlock, or -1. */
int sys_landlock_abi(void)
{
	enum { RULESET_VERSION = 1 };

	return (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, RULESET_VERSION);
}

/* A domain with these scopes and no other rule, for this thread and its children. */
int sys_landlock_scope(uint64_t scopes)
{
	/* struct landlock_ruleset_attr of ABI 6. */
	const struct {
		uint64_t handled_access_fs, handled_access_net, scoped;
	} attr = {.scoped = scopes};
	_autoclose_ int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return fd < 0 ? -1 : (int)syscall(SYS_landlock_restrict_self, fd, 0);
}

/* seccomp(2). Return: 0, the descriptor of a listener where the flags ask for one, or -1. */
int sys_seccomp_filter(const struct sock_filter *insns, size_t n_insns, unsigned flags)
{
	const struct sock_fprog program = {
		.len = (unsigned short)n_insns,
		.filter = (struct sock_filter *)(uintptr_t)insns,
	};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* ioctl(2) on a listener; musl's takes the request as an int, which these overflow. */
int sys_seccomp_receive(int listener_fd, struct seccomp_notif *ret_call)
{
	return (int)syscall(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_RECV, ret_call);
}

int sys_seccomp_send(int listener_fd, const struct seccomp_notif_resp *answer)
{
	return (int)syscall(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_SEND, answer);
}

/* keyctl(2): a new, anonymous session keyring. */
int sys_keyctl_join_session(void)
{
	return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

/* This process's effective capabilities. */
int sys_capget(uint64_t *ret_effective)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	*ret_effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
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
