/* SPDX-License-Identifier: MIT */
/*
 * sys: system calls that a libc does not wrap (musl has none of these, glibc
 * only since 2.36). Same convention as libc: -1 and errno. Any process.
 */
#pragma once

#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
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
#define MS_SLAVE (1 << 19)
#endif

/*
 * Landlock (Linux 5.13), the part that sbx uses: scopes came with ABI 6, in 6.12, and
 * the headers of most systems are older.
 */
#define SYS_LANDLOCK_SCOPE_SOCKETS (UINT64_C(1) << 0) /* abstract unix sockets */
#define SYS_LANDLOCK_SCOPE_SIGNALS (UINT64_C(1) << 1)

/* What statx(2) says of the mount that a file is on. */
struct sys_mount {
	uint64_t mount_id;
	uint64_t inode;
	bool is_dir;
	bool is_link;
	bool is_root; /* the file is the root of that mount (Linux 5.8) */
};

/* Which file it is, and when it came to be: an inode's number is used again, that moment is not. */
struct sys_file {
	uint64_t dev, inode; /* dev as st_dev has it */
	int64_t born_sec;    /* where the filesystem keeps no birth time: the last change (ctime) */
	uint32_t born_nsec;
	bool has_birth; /* it does keep one */
	uint32_t mode;	/* with the type */
	uint32_t uid, nlink;
	uint64_t size;
	bool is_fixed; /* immutable or append-only, see chattr(1) */
	struct sys_mount mount;
};

/* A name in a directory, as the kernel gives it; the next is `size` bytes behind this one. */
struct sys_dirent {
	uint64_t inode;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

int sys_statx_mount(int dir_fd, const char *path, struct sys_mount *ret_mount);
int sys_statx_file(int dir_fd, const char *path, struct sys_file *ret_file);
pid_t sys_clone(unsigned long flags, int *ret_pidfd);
pid_t sys_clone3(const struct clone_args *args);
int sys_openat2(int dir_fd, const char *path, uint64_t flags, uint64_t resolve);
int sys_rename_noreplace(int from_dir, const char *from, int to_dir, const char *to);
int sys_rename_exchange(int one_dir, const char *one, int other_dir, const char *other);
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
ssize_t sys_getdents(int dir_fd, struct sys_dirent *entries, size_t size);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_landlock_abi(void);
int sys_landlock_scope(uint64_t scopes);
int sys_seccomp_filter(const struct sock_filter *insns, size_t n_insns, unsigned flags);
int sys_seccomp_receive(int listener_fd, struct seccomp_notif *ret_call);
int sys_seccomp_send(int listener_fd, const struct seccomp_notif_resp *answer);
int sys_keyctl_join_session(void);
int sys_capget(uint64_t *ret_effective);
int sys_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
