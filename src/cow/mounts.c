/* SPDX-License-Identifier: MIT */
/*
 * mounts: see mounts.h.
 *
 * They are known by what is mounted, as its name does not matter: a file that is replaced by
 * rename(2) is another one, and all mounts of the old one stay with that. Only mounts that can be
 * of a session's directories are looked at: others may be of servers that do not answer.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cow/mounts.h"

enum { MOUNTS_TABLE_MAX = 16 << 20 };

static bool mounts_is_in_session(const struct cow_session *session, const char *path)
{
	for (size_t i = 0; i < session->n_roots; i++)
		if (path_is_below(path, session->roots[i].path) &&
		    !str_equal(path, session->roots[i].path))
			return true;
	return false;
}

/* The filesystem that a directory is on, as the table has it; "": not found. */
static const char *mounts_find_device(const char *path, char *table)
{
	struct mountinfo_entry entry;
	struct sys_mount mount;

	if (sys_statx_mount(AT_FDCWD, path, &mount) < 0)
		return "";
	while (mountinfo_next_entry(&table, &entry))
		if (entry.id == mount.mount_id)
			return entry.device;
	return "";
}

static bool mounts_can_be_of(const struct mountinfo_entry *entry, const char *const *devices,
			     const struct cow_session *session)
{
	if (mounts_is_in_session(session, entry->point))
		return true;
	for (size_t i = 0; i < session->n_roots; i++)
		if (!path_is_root(entry->root) && str_equal(entry->device, devices[i]))
			return true;
	return false;
}

/**
 * Look at the mounts of this process's mount namespace.
 * @arena: gets them
 *
 * Return: 0 or -errno.
 */
int cow_mounts_read(const struct cow_session *session, struct arena *arena,
		    struct cow_mounts *ret_mounts)
{
	const char *devices[COW_ROOTS_MAX];
	struct cow_mounts found = {0};
	struct mountinfo_entry entry;
	char *table;
	size_t len;
	int r = io_read_file("/proc/self/mountinfo", MOUNTS_TABLE_MAX, arena, &table, &len);

	for (size_t i = 0; i < session->n_roots && r == 0; i++) {
		char *again = arena_dup(arena, table);

		devices[i] = again ? mounts_find_device(session->roots[i].path, again) : "";
		r = again ? 0 : -ENOMEM;
	}
	while (r == 0 && mountinfo_next_entry(&table, &entry)) {
		struct stat st;

		if (!mounts_can_be_of(&entry, devices, session) || stat(entry.point, &st) < 0)
			continue;
		found.mounts = arena_grow(arena, found.mounts, found.n, sizeof(*found.mounts));
		if (!found.mounts)
			return -ENOMEM;
		found.mounts[found.n++] = (struct cow_mount){st.st_dev, st.st_ino, entry.point};
	}
	if (r == 0)
		*ret_mounts = found;
	return r;
}

/* Where a file or directory is mounted; NULL: nowhere. */
const char *cow_mounts_find(const struct cow_mounts *mounts, const struct stat *st)
{
	for (size_t i = 0; i < mounts->n; i++)
		if (mounts->mounts[i].ino == st->st_ino && mounts->mounts[i].dev == st->st_dev)
			return mounts->mounts[i].point;
	return NULL;
}
