/* SPDX-License-Identifier: MIT */
/*
 * sys: system calls that a libc does not wrap (musl has none of these, glibc
 * only since 2.36). Same convention as libc: -1 and errno. Any process.
 */
#pragma once

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Values newer than the oldest kernel headers we build with (uapi of the kernel
 * version given). The kernel refuses what it does not know.
 */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000 /* 5.14 */
#endif

/* glibc 2.36's <sys/mount.h> cannot be included beside <linux/mount.h>, which has the rest. */
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MS_UNBINDABLE
#define MS_UNBINDABLE (1 << 17)
#define MS_PRIVATE (1 << 18)
#endif

/* What statx(2) says of the mount that a file is on. */
struct sys_mount {
	uint64_t mount_id;
	uint64_t inode;
	bool is_root; /* the file is the root of that mount (Linux 5.8) */
};

int sys_statx_mount(int dir_fd, const char *path, struct sys_mount *ret_mount);
pid_t sys_clone3(const struct clone_args *args);
int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve);
int sys_open_tree(int dir_fd, const char *path, unsigned flags);
int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int sys_fsopen(const char *type);
int sys_fsconfig_string(int fs_fd, const char *key, const char *value);
int sys_fsconfig_create(int fs_fd);
int sys_fsmount(int fs_fd, uint64_t attrs);
int sys_mount_setattr(int dir_fd, const char *path, unsigned flags, const struct mount_attr *attr);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_send_signal(int pidfd, int sig);
int sys_umount_detach(const char *path);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
