/* SPDX-License-Identifier: MIT */
/*
 * user: see user.h. Root's sandboxes are no measure of anybody else's, so what
 * root starts runs as SBX_TEST_USER, by default the user of the tests.
 */
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user.h"

/* The first range in /etc/subuid, by name or number. */
static void read_range(struct bench_user *user)
{
	char line[256], name[128];
	FILE *f = fopen("/etc/subuid", "re");

	while (f && !user->range_count && fgets(line, sizeof(line), f)) {
		unsigned long start, count;

		if (sscanf(line, "%127[^:]:%lu:%lu", name, &start, &count) != 3)
			continue;
		if (strcmp(name, user->passwd->pw_name) != 0 &&
		    strtoul(name, NULL, 10) != user->passwd->pw_uid)
			continue;
		user->range_start = start;
		user->range_count = count;
	}
	if (f)
		fclose(f);
}

void user_find(struct bench_user *user)
{
	const char *name = getenv("SBX_TEST_USER");

	if (!name || !*name)
		name = "sbx-test";
	user->is_other = geteuid() == 0;
	user->passwd = user->is_other ? getpwnam(name) : getpwuid(geteuid());
	if (!user->passwd || user->passwd->pw_uid == 0) {
		fprintf(stderr, "bench: no ordinary user \"%s\"; name one in SBX_TEST_USER\n",
			name);
		exit(1);
	}
	read_range(user);
}

static char user_runtime[] = "/dev/shm/sbx-bench-XXXXXX";

/*
 * What a login gives: a runtime directory, which is in memory. Without one sbx keeps its
 * records on the disk of the home directory, and root's is not the user's.
 */
void user_begin_session(const struct bench_user *user)
{
	if (!mkdtemp(user_runtime) ||
	    chown(user_runtime, user->passwd->pw_uid, user->passwd->pw_gid) < 0 ||
	    setenv("XDG_RUNTIME_DIR", user_runtime, 1) < 0) {
		perror("bench: /dev/shm");
		exit(1);
	}
}

static int user_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void user_end_session(void)
{
	(void)nftw(user_runtime, user_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Return: 0, or -1 with errno. */
int user_become(const struct bench_user *user)
{
	const struct passwd *passwd = user->passwd;

	if (!user->is_other)
		return 0;
	if (initgroups(passwd->pw_name, passwd->pw_gid) < 0 || setgid(passwd->pw_gid) < 0)
		return -1;
	return setuid(passwd->pw_uid);
}
