/* SPDX-License-Identifier: MIT */
/*
 * boxes: see boxes.h. Records are in a directory of the benchmark's own, so that nobody
 * else's sandboxes are among those that are counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boxes.h"
#include "measure.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum { BOXES_WAIT_TRIES = 6000, BOXES_WAIT_US = 10 * 1000 };

/* Where records are from now on; also for what is started. */
static void use_place(char *dir)
{
	if (!mkdtemp(dir) || setenv("XDG_RUNTIME_DIR", dir, 1) < 0)
		measure_die(dir);
}

static void leave_place(const char *dir)
{
	char path[128];

	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"/sbx/boxes", "/sbx", ""};

		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		rmdir(path);
	}
}

/* The first number that a shell command prints. */
static long number_from(const char *command)
{
	FILE *pipe = popen(command, "re");
	long number = -1;

	if (!pipe || fscanf(pipe, "%ld", &number) != 1)
		number = -1;
	if (pipe)
		pclose(pipe);
	return number;
}

/* ---- the record ---- */

/* By env(1), so that all have the same way to sbx. Without a usable directory there is no record.
 */
static void add_with_place(struct words *words, const struct programs *programs, const char *dir,
			   const char *name)
{
	words_add(words, "/usr/bin/env");
	words_add(words, "XDG_RUNTIME_DIR=%s", dir);
	words_add(words, "HOME=%s", dir);
	command_sbx(words, programs, MAP_SINGLE);
	if (name)
		words_add_list(words, (const char *const[]){"--name", name, NULL});
	words_add_list(words, (const char *const[]){"--", "/usr/bin/true", NULL});
}

void boxes_bench_record(const struct programs *programs, size_t rounds)
{
	struct words none = {0}, plain = {0}, named = {0};
	char dir[] = "/tmp/sbx-bench-XXXXXX";

	use_place(dir);
	add_with_place(&none, programs, "/dev/null", NULL);
	add_with_place(&plain, programs, dir, NULL);
	add_with_place(&named, programs, dir, "bench");

	struct subject subjects[] = {
		{.name = "without a record", .argv = none.word},
		{.name = "with a record", .argv = plain.word},
		{.name = "with a record and a name", .argv = named.word},
	};

	measure_race(subjects, COUNT_OF(subjects), 5, rounds);
	measure_print("launch of true, the caller's id alone: the record", subjects,
		      COUNT_OF(subjects));
	measure_free(subjects, COUNT_OF(subjects));
	words_free(&none);
	words_free(&plain);
	words_free(&named);
	leave_place(dir);
}

/* ---- many ---- */

static void start_many(const struct programs *programs, size_t n, const char *name)
{
	struct words words = {0};

	command_sbx(&words, programs, MAP_SINGLE);
	if (name)
		words_add_list(&words, (const char *const[]){"--name", name, NULL});
	words_add_list(&words, (const char *const[]){"--", "/usr/bin/sleep", "1000000", NULL});
	for (size_t i = 0; i < n; i++)
		measure_start(words.word);
	words_free(&words);
}

/* Until all are at their command. */
static void await_many(const struct programs *programs, size_t n)
{
	char command[512];

	snprintf(command, sizeof(command), "%s ps -q --filter status=running | wc -l",
		 programs->sbx);
	for (int i = 0; i < BOXES_WAIT_TRIES; i++) {
		if (number_from(command) == (long)n)
			return;
		usleep(BOXES_WAIT_US);
	}
	errno = ETIMEDOUT;
	measure_die("the sandboxes do not start");
}

static void end_all(const struct programs *programs)
{
	struct words words = {0};
	int status;

	words_add_list(&words,
		       (const char *const[]){programs->sbx, "kill", "-s", "KILL", "--all", NULL});
	measure_wait(measure_start(words.word), "sbx kill --all");
	while (waitpid(-1, &status, 0) > 0)
		;
	words_free(&words);
}

/* All are asked; none fits, so that nothing is printed. */
static double time_ps(const struct programs *programs, size_t rounds)
{
	struct words words = {0};
	double median;

	words_add_list(&words, (const char *const[]){programs->sbx, "ps", "--format", "{{.ID}}",
						     "--filter", "name=nothing", NULL});

	struct subject subject = {.name = "sbx ps", .argv = words.word};

	measure_race(&subject, 1, 1, rounds);
	median = measure_quartiles(subject.times, subject.n_times).median;
	measure_free(&subject, 1);
	words_free(&words);
	return median;
}

void boxes_bench_ps(const struct programs *programs, size_t rounds)
{
	static const size_t counts[] = {0, 1, 100, 1000};
	char dir[] = "/tmp/sbx-bench-XXXXXX";
	size_t running = 0;

	use_place(dir);
	printf("\nsbx ps, median of %zu\n", rounds);
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		start_many(programs, counts[i] - running, NULL);
		running = counts[i];
		await_many(programs, running);
		printf("  %5zu sandboxes %12.2f ms\n", running, time_ps(programs, rounds) / 1000);
	}
	end_all(programs);
	leave_place(dir);
}

/* ---- entering ---- */

void boxes_bench_exec(const struct programs *programs, size_t rounds)
{
	struct words nsenter = {0}, exec = {0};
	char dir[] = "/tmp/sbx-bench-XXXXXX", command[512];
	long pid;

	use_place(dir);
	start_many(programs, 1, "bench");
	await_many(programs, 1);
	snprintf(command, sizeof(command), "%s top bench | awk 'NR == 2 { print $1 }'",
		 programs->sbx);
	pid = number_from(command);
	words_add(&nsenter, "/usr/bin/nsenter");
	words_add(&nsenter, "--target=%ld", pid);
	words_add_list(&nsenter,
		       (const char *const[]){"--user", "--mount", "--pid", "--ipc", "--uts",
					     "--net", "--cgroup", "--preserve-credentials",
					     "/usr/bin/true", NULL});
	words_add_list(&exec, (const char *const[]){programs->sbx, "exec", "bench", "/usr/bin/true",
						    NULL});

	struct subject subjects[] = {
		{.name = "nsenter", .argv = nsenter.word},
		{.name = "sbx exec", .argv = exec.word},
	};

	measure_race(subjects, COUNT_OF(subjects), 5, rounds);
	measure_print("true in a sandbox that runs", subjects, COUNT_OF(subjects));
	printf("  the command of nsenter has no filter, no no_new_privs and all its bounding set;\n"
	       "  that of sbx exec has what the sandbox's own has\n");
	measure_free(subjects, COUNT_OF(subjects));
	end_all(programs);
	words_free(&nsenter);
	words_free(&exec);
	leave_place(dir);
}
