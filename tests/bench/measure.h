/* SPDX-License-Identifier: MIT */
/*
 * measure: start programs, time them, and say what is typical.
 *
 * Subjects take turns in one process, in a new random order each round, so that
 * all of them meet the same machine: other load, frequency, and the tail of
 * work that the kernel does after the subject before (ending a network
 * namespace, for one). The first subject is what the others are compared with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SUBJECTS_MAX = 16 };

struct subject {
	const char *name;
	char **argv;   /* borrowed; NULL-terminated */
	double *times; /* microseconds, one per round; owned */
	size_t n_times;
};

struct quartiles {
	double low, median, high;
};

void measure_die(const char *what);
double measure_now_us(void);
pid_t measure_start(char *const *argv);
void measure_wait(pid_t pid, const char *name);

void measure_race(struct subject *subjects, size_t n, size_t warm_up, size_t rounds);
struct quartiles measure_quartiles(double *values, size_t n);
void measure_print(const char *title, struct subject *subjects, size_t n);
void measure_free(struct subject *subjects, size_t n);
