/* SPDX-License-Identifier: MIT */
/*
 * filter: what the system call filters cost. To load one, by kind, in a child each,
 * interleaved; a system call that is always allowed and one whose arguments are
 * looked at, with and without; to compile one at launch, and to read one that is kept,
 * where the caller has a session's directory to keep it in. It prints; it never judges. Medians,
 * since the machine does other things too.
 *
 * Runs by itself: `meson test --benchmark filter`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/sys.h"
#include "sbx/seccomp/builtin.h"
#include "sbx/spec/filter_cache.h"

enum { LOADS = 400, CALLS = 200000, COMPILES = 400 };

static const struct {
	const char *name;
	struct seccomp_wanted wanted;
} kinds[] = {
	{"default", {.base = SECCOMP_BASE_DEFAULT}},
	{"default, --allow-userns", {.base = SECCOMP_BASE_DEFAULT, .userns = true}},
	{"strict", {.base = SECCOMP_BASE_STRICT}},
	{"default, --multiarch", {.base = SECCOMP_BASE_DEFAULT, .multiarch = true}},
	{"default, CAP_SYS_CHROOT", {.base = SECCOMP_BASE_DEFAULT, .caps = 1 << 18}},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double median_us(int64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return (double)values[n / 2] / 1000;
}

/* The child's time for one thing, through memory that both have. */
static int64_t in_child(int64_t (*fn)(const struct seccomp_program *), int64_t *shared,
			const struct seccomp_program *program)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		*shared = fn(program);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fputs("filter: a child failed\n", stderr);
		exit(1);
	}
	return *shared;
}

static int64_t load(const struct seccomp_program *program)
{
	int64_t start;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	start = now_ns();
	if (program && sys_seccomp_filter(program->insns, program->n_insns, 0) < 0)
		_exit(1);
	return now_ns() - start;
}

static int64_t loop(const struct seccomp_program *program, bool inspected)
{
	int64_t start;

	(void)load(program);
	start = now_ns();
	for (int i = 0; i < CALLS; i++)
		(void)syscall(inspected ? SYS_ioctl : SYS_getppid, -1, 1, 0);
	return (now_ns() - start) * 1000 / CALLS; /* so that "us" below are ns */
}

static int64_t loop_allowed(const struct seccomp_program *program)
{
	return loop(program, false);
}

static int64_t loop_inspected(const struct seccomp_program *program)
{
	return loop(program, true);
}

static void bench_loads(int64_t *shared, const struct seccomp_program *programs)
{
	static int64_t times[N_KINDS][LOADS];

	for (size_t i = 0; i < LOADS; i++)
		for (size_t k = 0; k < N_KINDS; k++)
			times[k][i] = in_child(load, shared, &programs[k]);
	for (size_t k = 0; k < N_KINDS; k++)
		printf("load      %-26s %4zu instructions  %7.1f us\n", kinds[k].name,
		       programs[k].n_insns, median_us(times[k], LOADS));
}

static void bench_calls(int64_t *shared, const struct seccomp_program *program)
{
	static const char *const names[] = {"getppid, no filter", "getppid, default",
					    "ioctl, no filter", "ioctl, default"};
	static int64_t times[4][15];

	for (size_t i = 0; i < 15; i++) {
		times[0][i] = in_child(loop_allowed, shared, NULL);
		times[1][i] = in_child(loop_allowed, shared, program);
		times[2][i] = in_child(loop_inspected, shared, NULL);
		times[3][i] = in_child(loop_inspected, shared, program);
	}
	for (size_t i = 0; i < 4; i++)
		printf("call      %-26s                    %7.1f ns\n", names[i],
		       median_us(times[i], 15));
}

static int64_t compile(const struct seccomp_program *program)
{
	struct seccomp_program made;
	struct arena arena;
	struct sbx_err err;
	int64_t start = now_ns();

	(void)program;
	arena_init(&arena);
	if (seccomp_program_for(&kinds[N_KINDS - 1].wanted, &arena, &made, &err) < 0)
		_exit(1);
	return now_ns() - start;
}

/* In a child that has touched nothing of it yet, as a launch. */
static void bench_compile(int64_t *shared)
{
	static int64_t times[COMPILES];

	for (size_t i = 0; i < COMPILES; i++)
		times[i] = in_child(compile, shared, NULL);
	printf("compile   %-26s                    %7.1f us\n", kinds[N_KINDS - 1].name,
	       median_us(times, COMPILES));
}

/* As short a key as one of the table's filters would have. */
static int64_t find(const struct seccomp_program *program)
{
	const struct filter_cache_key key = {getuid(), "a filter of the table", 21};
	struct filter_cache_item item;
	struct arena arena;
	int64_t start = now_ns();

	(void)program;
	arena_init(&arena);
	if (filter_cache_find(&key, &arena, &item) <= 0)
		_exit(1);
	return now_ns() - start;
}

static void bench_find(int64_t *shared, const struct seccomp_program *program)
{
	static int64_t times[COMPILES];
	const struct filter_cache_key key = {getuid(), "a filter of the table", 21};
	const struct filter_cache_item item = {*program, "", ""};
	struct filter_cache_entry entry;
	struct arena arena;

	arena_init(&arena);
	if (filter_cache_pack(&key, &item, &arena, &entry) < 0 || filter_cache_store(&entry) < 0) {
		printf("read      a kept one: not measured, there is no /run/user/%u\n", getuid());
		arena_finish(&arena);
		return;
	}
	for (size_t i = 0; i < COMPILES; i++)
		times[i] = in_child(find, shared, NULL);
	printf("read      %-26s                    %7.1f us\n", "the same, kept",
	       median_us(times, COMPILES));
	arena_finish(&arena);
}

int main(void)
{
	struct seccomp_program programs[N_KINDS];
	struct arena arena;
	struct sbx_err err;
	int64_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	arena_init(&arena);
	for (size_t k = 0; k < N_KINDS; k++)
		if (seccomp_program_for(&kinds[k].wanted, &arena, &programs[k], &err) < 0)
			return 1;
	bench_loads(shared, programs);
	bench_calls(shared, &programs[0]);
	bench_compile(shared);
	bench_find(shared, &programs[N_KINDS - 1]);
	arena_finish(&arena);
	return 0;
}
