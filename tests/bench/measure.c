/* SPDX-License-Identifier: MIT */
/*
 * measure: see measure.h. A program is started by vfork, whose cost does not
 * depend on how large the benchmark itself is, and timed to the end of waitpid.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

void measure_die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

double measure_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

pid_t measure_start(char *const *argv)
{
	pid_t pid = vfork();

	if (pid < 0)
		measure_die("vfork");
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/*
 * `pid` -1: whichever ends first.
 * A subject that fails has measured nothing: give up rather than print a number.
 */
void measure_wait(pid_t pid, const char *name)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		measure_die("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	fprintf(stderr, "bench: %s ended with wait status 0x%x\n", name, (unsigned)status);
	exit(1);
}

static double run_once(const struct subject *subject)
{
	double start = measure_now_us();

	measure_wait(measure_start(subject->argv), subject->name);
	return measure_now_us() - start;
}

static void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)random() % i;
		size_t held = order[i - 1];

		order[i - 1] = order[j];
		order[j] = held;
	}
}

/* Fills times of every subject. */
void measure_race(struct subject *subjects, size_t n, size_t warm_up, size_t rounds)
{
	size_t order[SUBJECTS_MAX];

	for (size_t i = 0; i < n; i++) {
		order[i] = i;
		subjects[i].n_times = rounds;
		subjects[i].times = calloc(rounds, sizeof(double));
		if (!subjects[i].times)
			measure_die("calloc");
		for (size_t round = 0; round < warm_up; round++)
			run_once(&subjects[i]);
	}
	for (size_t round = 0; round < rounds; round++) {
		shuffle(order, n);
		for (size_t i = 0; i < n; i++)
			subjects[order[i]].times[round] = run_once(&subjects[order[i]]);
	}
}

static int compare_doubles(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Sorts `values`. */
struct quartiles measure_quartiles(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return (struct quartiles){values[n / 4], values[n / 2], values[n * 3 / 4]};
}

/*
 * Absolute times, and each median as a share of the first subject's and of the
 * last's (which is the bare program where there is one).
 */
void measure_print(const char *title, struct subject *subjects, size_t n)
{
	struct quartiles all[SUBJECTS_MAX];

	for (size_t i = 0; i < n; i++)
		all[i] = measure_quartiles(subjects[i].times, subjects[i].n_times);

	printf("\n%s (%zu rounds, microseconds)\n", title, subjects[0].n_times);
	printf("  %-34s %10s %10s %10s %8s %8s\n", "", "quartile", "median", "quartile", "ratio to",
	       "ratio to");
	printf("  %-34s %10s %10s %10s %8.8s %8.8s\n", "", "", "", "", subjects[0].name,
	       subjects[n - 1].name);
	for (size_t i = 0; i < n; i++)
		printf("  %-34s %10.0f %10.0f %10.0f %8.3f %8.3f\n", subjects[i].name, all[i].low,
		       all[i].median, all[i].high, all[i].median / all[0].median,
		       all[i].median / all[n - 1].median);
	fflush(stdout);
}

void measure_free(struct subject *subjects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(subjects[i].times);
}
