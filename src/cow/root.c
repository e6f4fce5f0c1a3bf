/* SPDX-License-Identifier: MIT */
/*
 * root: see root.h.
 *
 * Theory of operation
 *
 * The number of an inode is used again when its directory is gone, often for the next one that is
 * made, and the root of a filesystem has the same in all of a kind: 2 in each ext4. So the record
 * has two things more, where there are such:
 *
 * - When the directory was made (STATX_BTIME), which nothing changes later.
 * - What statfs(2) calls the filesystem, f_fsid, where that is made of its UUID. ext2, ext3, ext4
 *   and btrfs (which adds the subvolume) do that; xfs, f2fs and most others take the number
 *   of the device, which changes from boot to boot, and tmpfs a number of each mount.
 *
 * Numbers of devices are not compared, for that reason.
 *
 * What the record does not have was not known, as an older sbx has written it, or the kernel did
 * not tell; and a birth time that is not told now is not compared. An f_fsid that is not is: the
 * filesystem is of another kind.
 *
 * Not seen is a copy of all of a filesystem, which has the same UUID. (btrfs, from Linux 6.7 on,
 * makes one up for a copy that is mounted beside the first, another each time: a session there ends
 * with the mount.)
 */

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "sbx/base/defs.h"
#include "sbx/base/sys.h"
#include "sbx/cow/root.h"

/* Values of statfs(2) that <linux/magic.h> does not have everywhere. */
#define ROOT_EXFAT UINT32_C(0x2011BAB0)
#define ROOT_FUSE UINT32_C(0x65735546)
#define ROOT_CIFS UINT32_C(0xFF534D42)
#define ROOT_SMB2 UINT32_C(0xFE534D42)

static const uint32_t root_fsid_is_uuid[] = {EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC};

/*
 * Their birth times may change. An overlay has that of the upper directory as soon as there is one;
 * FAT keeps local time, which depends on the zone; servers may make one up.
 */
static const uint32_t root_birth_changes[] = {
	OVERLAYFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC, ROOT_EXFAT, ROOT_FUSE, ROOT_CIFS, ROOT_SMB2};

static bool root_is_among(uint32_t kind, const uint32_t *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

/**
 * What tells a directory from others. Its path is left as it is.
 * @fd: borrowed; O_PATH will do
 *
 * Return: 0 or -errno.
 */
int cow_root_identify(int fd, struct cow_root *root)
{
	struct sys_file file;
	struct statfs fs;
	struct stat st;
	uint32_t kind;

	if (fstat(fd, &st) < 0 || sys_statx_file(fd, "", &file) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	kind = (uint32_t)fs.f_type;
	root->dev = st.st_dev;
	root->ino = st.st_ino;
	root->has_birth = file.has_birth && file.born_sec >= 0 &&
			  !root_is_among(kind, root_birth_changes, ARRAY_SIZE(root_birth_changes));
	root->has_fsid = root_is_among(kind, root_fsid_is_uuid, ARRAY_SIZE(root_fsid_is_uuid));
	root->born = (struct timespec){0};
	memset(root->fsid, 0, sizeof(root->fsid));
	if (root->has_birth)
		root->born = (struct timespec){.tv_sec = (time_t)file.born_sec,
					       .tv_nsec = (long)file.born_nsec};
	static_assert(sizeof(root->fsid) == sizeof(fs.f_fsid), "two numbers");
	if (root->has_fsid)
		memcpy(root->fsid, &fs.f_fsid, sizeof(root->fsid));
	return 0;
}

bool cow_root_is_same(const struct cow_root *recorded, const struct cow_root *now)
{
	if (recorded->ino != now->ino)
		return false;
	if (recorded->has_fsid &&
	    (!now->has_fsid || memcmp(recorded->fsid, now->fsid, sizeof(now->fsid)) != 0))
		return false;
	return !recorded->has_birth || !now->has_birth ||
	       (recorded->born.tv_sec == now->born.tv_sec &&
		recorded->born.tv_nsec == now->born.tv_nsec);
}

/* Is it that directory still? Return: 0, -ESTALE where it is not, or another -errno. */
int cow_root_check(const struct cow_root *recorded, int fd)
{
	struct cow_root now = {0};
	int r = cow_root_identify(fd, &now);

	if (r < 0)
		return r;
	return cow_root_is_same(recorded, &now) ? 0 : -ESTALE;
}
