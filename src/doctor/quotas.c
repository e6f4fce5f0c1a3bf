/* SPDX-License-Identifier: MIT */
/*
 * quotas: what caps the number of sandboxes. None of it says how much of it is used but
 * keys and processes; there it is told how many more there can be.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/doctor/probes.h"
#include "sbx/spec/cgroup_host.h"
#include "sbx/spec/hints.h"

enum {
	QUOTAS_TEXT_MAX = 1 << 20,
	QUOTAS_LAUNCH_TASKS = 5,  /* sbx, PID 1, the command, and for a moment two helpers */
	QUOTAS_SANDBOX_TASKS = 3, /* those that stay */
	QUOTAS_FEW = 10,	  /* sandboxes */
	QUOTAS_FILES = 64,	  /* descriptors that sbx has open at most, with room */
};

/* What a launch would say at the end of a quota. */
static void quotas_blame(struct doctor_finding *ret, int number, int place)
{
	struct sbx_err err;

	(void)err_system(&err, number, NULL, "none");
	hint_add(&err, place);
	str_copy(ret->remedy, sizeof(ret->remedy), err.hint);
}

/* ---- keys ---- */

/**
 * The caller's line of /proc/key-users: "UID: USAGE NKEYS/NIKEYS KEYS/MAX BYTES/MAX".
 *
 * Return: is there one?
 */
bool doctor_parse_key_users(const char *text, unsigned uid, struct doctor_keys *ret_keys)
{
	for (const char *line = text; *line; line += *line == '\n') {
		struct doctor_keys keys;
		unsigned who;

		if (sscanf(line, " %u: %*u %*u/%*u %llu/%llu %llu/%llu", &who, &keys.used,
			   &keys.max, &keys.bytes, &keys.max_bytes) == 5 &&
		    who == uid) {
			*ret_keys = keys;
			return true;
		}
		line += strcspn(line, "\n");
	}
	return false;
}

static bool quotas_read_keys(const struct doctor *d, struct doctor_keys *ret)
{
	_autoarena_ struct arena arena;
	char *text;
	size_t len;

	arena_init(&arena);
	if (io_read_file("/proc/key-users", QUOTAS_TEXT_MAX, &arena, &text, &len) < 0)
		return false;
	if (doctor_parse_key_users(text, d->host.uid, ret))
		return true;
	*ret = (struct doctor_keys){.used = 0};
	return doctor_read_number(d->host.uid == 0 ? "/proc/sys/kernel/keys/root_maxkeys"
						   : "/proc/sys/kernel/keys/maxkeys",
				  &ret->max);
}

DOCTOR_PROBE(keys)
{
	struct doctor_keys keys;

	(void)probe;
	if (!quotas_read_keys(d, &keys)) {
		doctor_say(ret, DOCTOR_FACT, "not told by /proc/key-users");
		return;
	}
	doctor_say(ret, DOCTOR_WORKS, "%llu of %llu keys are used", keys.used, keys.max);
	if (keys.used + QUOTAS_FEW <= keys.max)
		return;
	ret->status = keys.used < keys.max ? DOCTOR_LIMITED : DOCTOR_FAILS;
	quotas_blame(ret, EDQUOT, PLAN_STEP_KEYRING);
}

/* ---- processes ---- */

/* Threads of a process: what is in its task directory, but for "." and "..". */
static unsigned long long quotas_count_threads(int proc_fd, const char *pid)
{
	char path[300];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/task", pid);
	return fstatat(proc_fd, path, &st, 0) < 0 || st.st_nlink < 3 ? 1 : st.st_nlink - 2;
}

/* Those of the caller, as RLIMIT_NPROC counts them, and as far as /proc shows them. */
static unsigned long long quotas_count_tasks(uid_t uid)
{
	DIR *dir = opendir("/proc");
	unsigned long long count = 0;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_uid == uid)
			count += quotas_count_threads(dirfd(dir), entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

/* Less is left, for this reason. */
static void quotas_lower(unsigned long long used, unsigned long long max, const char *by,
			 unsigned long long *left, const char **ret_by)
{
	unsigned long long rest = max > used ? max - used : 0;

	if (rest >= *left)
		return;
	*left = rest;
	*ret_by = by;
}

/* Those of the caller's cgroup and of all above it: the kernel charges each. */
static void quotas_lower_by_cgroups(const struct doctor *d, unsigned long long *left,
				    const char **ret_by)
{
	struct arena *arena = d->host.arena;
	unsigned long long used, max;
	const char *own;
	char *text, *dir;
	size_t len;

	if (io_read_file("/proc/self/cgroup", QUOTAS_TEXT_MAX, arena, &text, &len) < 0)
		return;
	own = cgroup_parse_path(text, arena);
	dir = own ? arena_dup(arena, own) : NULL;
	while (dir && *dir) {
		if (doctor_read_number(arena_printf(arena, "/sys/fs/cgroup%s/pids.max", dir),
				       &max) &&
		    doctor_read_number(arena_printf(arena, "/sys/fs/cgroup%s/pids.current", dir),
				       &used) &&
		    max != UINT64_MAX)
			quotas_lower(used, max, "a cgroup's pids.max", left, ret_by);
		*strrchr(dir, '/') = '\0';
	}
}

/* How many more tasks there can be; UINT64_MAX: no limit is known. */
static unsigned long long quotas_tasks_left(const struct doctor *d, const char **ret_by)
{
	unsigned long long left = UINT64_MAX;
	struct rlimit limit;

	*ret_by = "no limit";
	/* The kernel does not count for root. */
	if (d->host.uid != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		quotas_lower(quotas_count_tasks(d->host.uid), limit.rlim_cur, "\"ulimit -u\"",
			     &left, ret_by);
	quotas_lower_by_cgroups(d, &left, ret_by);
	return left;
}

DOCTOR_PROBE(processes)
{
	const char *by;
	unsigned long long left = quotas_tasks_left(d, &by);

	(void)probe;
	if (left == UINT64_MAX) {
		doctor_say(ret, DOCTOR_WORKS, "no limit on processes is known");
		return;
	}
	doctor_say(ret, DOCTOR_WORKS, "%llu more, enough for %llu sandboxes, by %s", left,
		   left < QUOTAS_LAUNCH_TASKS ? 0 : left / QUOTAS_SANDBOX_TASKS, by);
	if (left / QUOTAS_SANDBOX_TASKS >= QUOTAS_FEW)
		return;
	ret->status = left < QUOTAS_LAUNCH_TASKS ? DOCTOR_FAILS : DOCTOR_LIMITED;
	quotas_blame(ret, EAGAIN, HINT_CLONE);
}

/* ---- namespaces, descriptors ---- */

/* The limits of namespaces(7) hold for each user: each sandbox takes one of each. */
DOCTOR_PROBE(namespaces)
{
	static const char *const kinds[] = {"user", "mnt", "pid", "ipc", "uts", "cgroup", "net"};
	unsigned long long lowest = UINT64_MAX, number;
	const char *kind = NULL;
	char path[64];

	(void)d;
	(void)probe;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		(void)snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", kinds[i]);
		if (doctor_read_number(path, &number) && number < lowest) {
			lowest = number;
			kind = kinds[i];
		}
	}
	if (!kind) {
		doctor_say(ret, DOCTOR_FACT, "not told by /proc/sys/user");
		return;
	}
	doctor_say(ret, DOCTOR_WORKS, "%llu at a time, by user.max_%s_namespaces", lowest, kind);
	if (lowest >= QUOTAS_FEW)
		return;
	ret->status = lowest == 0 ? DOCTOR_FAILS : DOCTOR_LIMITED;
	quotas_blame(ret, ENOSPC, HINT_CLONE);
	if (!str_equal(kind, "user"))
		doctor_mend(ret, "as root: sysctl user.max_%s_namespaces=10000", kind);
}

/* A launch raises the soft limit by itself. */
DOCTOR_PROBE(files)
{
	struct rlimit limit;

	(void)d;
	(void)probe;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY) {
		doctor_say(ret, DOCTOR_WORKS, "no limit is known");
		return;
	}
	doctor_say(ret, DOCTOR_WORKS, "up to %llu open files", (unsigned long long)limit.rlim_max);
	if (limit.rlim_max >= QUOTAS_FILES)
		return;
	ret->status = DOCTOR_LIMITED;
	quotas_blame(ret, EMFILE, HINT_ANY);
}
