/* SPDX-License-Identifier: MIT */
/*
 * user: see user.h. Root's sandboxes are no measure of anybody else's, so what
 * root starts runs as SBX_TEST_USER, by default the user of the tests.
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
