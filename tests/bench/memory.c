/* SPDX-License-Identifier: MIT */
/*
 * memory: see memory.h.
 *
 * PID 1 of sbx is not dumpable, so only root may read its smaps_rollup: started
 * by root the benchmark stays root here and only the launcher becomes the
 * ordinary user. Otherwise what is missing is shown as "-" (VmRSS and VmHWM in
 * /proc/PID/status stay readable for all).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "memory.h"

struct usage {
	long peak_kb, rss_kb, pss_kb; /* -1: cannot be read */
};

static long read_field_kb(pid_t pid, const char *file, const char *field)
{
	char path[64], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtol(line + strlen(field), NULL, 10);
	fclose(f);
	return value;
}

static struct usage read_usage(pid_t pid)
{
	return (struct usage){
		.peak_kb = read_field_kb(pid, "status", "VmHWM:"),
		.rss_kb = read_field_kb(pid, "status", "VmRSS:"),
		.pss_kb = read_field_kb(pid, "smaps_rollup", "Pss:"),
	};
}

static pid_t first_child(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

static bool is_sleep(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return strcmp(name, "sleep\n") == 0;
}

/* PID 1 of the sandbox, once the command runs below it. */
static pid_t wait_for_command(pid_t launcher, const char *name)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	while (waitpid(launcher, NULL, WNOHANG) == 0) {
		pid_t init = first_child(launcher);

		if (init > 0 && is_sleep(first_child(init)))
			return init;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "bench: %s ended before its command ran\n", name);
	exit(1);
}

static pid_t start_as(const struct bench_user *user, char *const *argv)
{
	pid_t pid = fork();

	if (pid < 0)
		measure_die("fork");
	if (pid > 0)
		return pid;
	if (user_become(user) < 0)
		_exit(127);
	execv(argv[0], argv);
	_exit(127);
}

static void print_kb(long kb)
{
	if (kb < 0)
		printf(" %8s", "-");
	else
		printf(" %8ld", kb);
}

static void print_usage(const char *name, const char *role, const struct usage *usage)
{
	printf("  %-20s %-10s", name, role);
	print_kb(usage->peak_kb);
	print_kb(usage->rss_kb);
	print_kb(usage->pss_kb);
	putchar('\n');
}

static long sum(long a, long b)
{
	return a < 0 || b < 0 ? -1 : a + b;
}

/* Takes and frees `words`. */
static struct usage bench_pair(const char *name, struct words *words, const struct bench_user *user)
{
	struct usage launcher_usage, init_usage, both;
	pid_t launcher, init;

	words_add_list(words, (const char *const[]){"--", "/usr/bin/sleep", "1000", NULL});
	launcher = start_as(user, words->word);
	init = wait_for_command(launcher, name);
	launcher_usage = read_usage(launcher);
	init_usage = read_usage(init);
	kill(first_child(init), SIGKILL);
	waitpid(launcher, NULL, 0);
	words_free(words);

	both = (struct usage){
		.peak_kb = sum(launcher_usage.peak_kb, init_usage.peak_kb),
		.rss_kb = sum(launcher_usage.rss_kb, init_usage.rss_kb),
		.pss_kb = sum(launcher_usage.pss_kb, init_usage.pss_kb),
	};
	print_usage(name, "launcher", &launcher_usage);
	print_usage(name, "PID 1", &init_usage);
	print_usage(name, "together", &both);
	return both;
}

static void print_ratio(const char *name, const struct usage *usage, const struct usage *bwrap)
{
	printf("  %-20s resident %.3f of bwrap", name,
	       (double)usage->rss_kb / (double)bwrap->rss_kb);
	if (usage->pss_kb > 0 && bwrap->pss_kb > 0)
		printf(", proportional %.3f", (double)usage->pss_kb / (double)bwrap->pss_kb);
	putchar('\n');
}

/* The launchers run as `user`. */
void memory_bench(const struct programs *programs, const struct bench_user *user)
{
	struct usage bwrap, sbx, bare;
	struct words words = {0};

	printf("\nmemory while a command sleeps (kB)\n  %-20s %-10s %8s %8s %8s\n", "", "", "peak",
	       "Rss", "Pss");
	command_bwrap(&words, programs);
	bwrap = bench_pair("bwrap", &words, user);
	command_sbx(&words, programs, MAP_SINGLE);
	sbx = bench_pair("sbx", &words, user);
	command_bare(&words, programs, MAP_SINGLE);
	bare = bench_pair("bare", &words, user);
	print_ratio("sbx", &sbx, &bwrap);
	print_ratio("bare", &bare, &bwrap);
	fflush(stdout);
}
