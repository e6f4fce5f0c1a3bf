/* SPDX-License-Identifier: MIT */
/* limits: see limits.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits.h"
#include "measure.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* How the manager is reached: not in the directory that the benchmark made, but a login's. */
static const char *const manager_names[] = {"bus", "systemd"};

static void manager_link(const char *name, char *link, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	snprintf(link, size, "%s/%s", runtime ? runtime : "", name);
}

static void show_manager(void)
{
	char target[64], link[256];

	for (size_t i = 0; i < COUNT_OF(manager_names); i++) {
		snprintf(target, sizeof(target), "/run/user/%u/%s", getuid(), manager_names[i]);
		manager_link(manager_names[i], link, sizeof(link));
		if (symlink(target, link) < 0)
			measure_die(link);
	}
}

static void hide_manager(void)
{
	char link[256];

	for (size_t i = 0; i < COUNT_OF(manager_names); i++) {
		manager_link(manager_names[i], link, sizeof(link));
		unlink(link);
	}
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
				     const struct programs *programs, const char *const *limits)
{
	command_sbx_base(words, programs, MAP_SINGLE);
	words_add_list(words, limits);
	words_add_list(words, (const char *const[]){"--", "/usr/bin/true", NULL});
	return (struct subject){.name = name, .argv = words->word};
}

/* What there is without sbx's own limits: another program asks for the scope, and executes sbx. */
static struct subject systemd_run_subject(struct words *words, const struct programs *programs)
{
	words_add_list(words, (const char *const[]){"/usr/bin/systemd-run", "--user", "--scope",
						    "--quiet", "-p", "MemoryMax=1G", "-p",
						    "TasksMax=1000", "--", NULL});
	return limits_subject("systemd-run --user --scope sbx", words, programs,
			      (const char *const[]){NULL});
}

static void limits_race(const struct programs *programs, bool own, size_t rounds)
{
	struct words plain = {0}, pids = {0}, limited = {0}, run = {0};
	struct subject subjects[] = {
		limits_subject("without limits", &plain, programs, (const char *const[]){NULL}),
		limits_subject("--pids 1000", &pids, programs,
			       (const char *const[]){"--pids", "1000", NULL}),
		limits_subject("--memory 1G --pids 1000", &limited, programs,
			       (const char *const[]){"--memory", "1G", "--pids", "1000", NULL}),
		systemd_run_subject(&run, programs),
	};
	size_t n = COUNT_OF(subjects) - (own ? 1 : 0);

	measure_race(subjects, n, 3, rounds);
	measure_print(own ? "launch of true with limits, a delegated cgroup"
			  : "launch of true with limits, a scope that systemd makes",
		      subjects, n);
	measure_free(subjects, n);
	words_free(&plain);
	words_free(&pids);
	words_free(&limited);
	words_free(&run);
}

void limits_bench(const struct programs *programs, size_t rounds)
{
	bool own = leave_cgroup();

	show_manager();
	if (can_be_limited(programs))
		limits_race(programs, own, rounds);
	else
		printf("\nno cgroup can be had here: limits not measured\n");
	hide_manager();
}
