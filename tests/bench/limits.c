/* SPDX-License-Identifier: MIT */
/* limits: see limits.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits.h"
#include "measure.h"

/* The manager's bus is where a login has it, not in the directory that the benchmark made. */
static void show_bus(char *link, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char bus[64];

	snprintf(bus, sizeof(bus), "/run/user/%u/bus", getuid());
	snprintf(link, size, "%s/bus", runtime ? runtime : "");
	if (symlink(bus, link) < 0)
		link[0] = '\0';
}

/* Leave our own cgroup for one below, so that sbx can divide it. False: it is not ours. */
static bool leave_cgroup(void)
{
	char line[512], dir[600], procs[700];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool moved = false;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		snprintf(dir, sizeof(dir), "/sys/fs/cgroup%s/bench", line + 3);
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
		if (mkdir(dir, 0755) < 0)
			break;
		FILE *to = fopen(procs, "we");

		moved = to && fputs("0", to) >= 0;
		moved = to && fclose(to) == 0 && moved;
		if (!moved)
			rmdir(dir);
	}
	if (f)
		fclose(f);
	return moved;
}

static bool can_be_limited(const struct programs *programs)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "'%s' --ro-bind /usr /usr --memory 1G --pids 1000 --explain -- true >/dev/null "
		 "2>&1",
		 programs->sbx);
	return system(command) == 0;
}

static struct subject limits_subject(const char *name, struct words *words,
				     const struct programs *programs, bool limited)
{
	command_sbx_base(words, programs, MAP_SINGLE);
	if (limited)
		words_add_list(words,
			       (const char *const[]){"--memory", "1G", "--pids", "1000", NULL});
	words_add_list(words, (const char *const[]){"--", "/usr/bin/true", NULL});
	return (struct subject){.name = name, .argv = words->word};
}

void limits_bench(const struct programs *programs, size_t rounds)
{
	bool own = leave_cgroup();
	struct words plain = {0}, limited = {0};
	char link[256];

	show_bus(link, sizeof(link));
	if (!can_be_limited(programs)) {
		printf("\nno cgroup can be had here: limits not measured\n");
	} else {
		struct subject subjects[] = {
			limits_subject("without limits", &plain, programs, false),
			limits_subject("--memory 1G --pids 1000", &limited, programs, true),
		};

		measure_race(subjects, 2, 3, rounds);
		measure_print(own ? "launch of true with limits, a delegated cgroup"
				  : "launch of true with limits, a scope that systemd makes",
			      subjects, 2);
		measure_free(subjects, 2);
		words_free(&plain);
		words_free(&limited);
	}
	if (link[0])
		unlink(link);
}
