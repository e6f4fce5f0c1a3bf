/* SPDX-License-Identifier: MIT */
/*
 * profile: see profile.h.
 *
 * strace slows every call down, and the short ones most, so its times say which
 * calls are many or long, not what a launch takes. Calls that wait for another
 * process contain that process's time.
 */
#include <ctype.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"
#include "profile.h"

enum { RUNS = 100, STRACE_RUNS = 10, ROWS_MAX = 128, NAME_MAX_BYTES = 48 };

/* One step or system call, in two programs or one. */
struct row {
	char name[NAME_MAX_BYTES];
	double us[2][RUNS]; /* [program][run] */
	size_t calls[2];    /* over all runs */
};

struct rows {
	struct row row[ROWS_MAX];
	size_t n;
};

static struct row *find_row(struct rows *rows, const char *name)
{
	struct row *row;

	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->row[i].name, name) == 0)
			return &rows->row[i];
	if (rows->n == ROWS_MAX) {
		fprintf(stderr, "bench: too many rows\n");
		exit(1);
	}
	row = &rows->row[rows->n++];
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

/* Runs it with standard error in `path`. */
static void run_into(char *const *argv, const char *path)
{
	int kept = dup(STDERR_FILENO),
	    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid_t pid;

	if (kept < 0 || fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		measure_die(path);
	pid = measure_start(argv);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(fd);
	measure_wait(pid, argv[0]);
}

static void read_steps(struct rows *rows, const char *path, size_t run)
{
	char line[256];
	FILE *f = fopen(path, "re");

	if (!f)
		measure_die(path);
	while (fgets(line, sizeof(line), f)) {
		char *name;
		double us = strtod(line, &name);
		struct row *row;

		if (*name != '\t')
			continue;
		name[strcspn(name, "\n")] = '\0';
		row = find_row(rows, name + 1);
		row->us[0][run] = us;
		row->calls[0]++;
	}
	fclose(f);
}

static void profile_steps(const struct programs *programs, const char *path)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct words words = {0};

	if (!rows)
		measure_die("calloc");
	command_bare(&words, programs, MAP_SINGLE);
	words_add_list(&words, (const char *const[]){"--times", "--", "/usr/bin/true", NULL});
	for (size_t run = 0; run < RUNS; run++) {
		run_into(words.word, path);
		read_steps(rows, path, run);
	}
	printf("\nsteps of the bare program (%d runs, microseconds)\n", RUNS);
	printf("  %-38s %8s %8s %8s\n", "", "quartile", "median", "quartile");
	for (size_t i = 0; i < rows->n; i++) {
		struct quartiles q = measure_quartiles(rows->row[i].us[0], RUNS);

		printf("  %-38s %8.1f %8.1f %8.1f\n", rows->row[i].name, q.low, q.median, q.high);
	}
	words_free(&words);
	free(rows);
}

/*
 * A line of strace -f -T: "PID name(...) = result <seconds>". A call that was
 * interrupted by another process's line ends as "PID <... name resumed>...".
 */
static void read_call(struct rows *rows, char *line, size_t program, size_t run)
{
	char *time = strrchr(line, '<'), *name = line;
	struct row *row;

	while (isdigit((unsigned char)*name) || *name == ' ')
		name++;
	if (strncmp(name, "<... ", 5) == 0)
		name += 5;
	if (!islower((unsigned char)*name) || !time || !strchr("0123456789", time[1]))
		return;
	name[strcspn(name, "( ")] = '\0';
	row = find_row(rows, name);
	row->us[program][run] += strtod(time + 1, NULL) * 1e6;
	row->calls[program]++;
}

static void trace(struct rows *rows, const struct words *command, const char *strace,
		  const char *path, size_t program)
{
	struct words words = {0};
	char line[4096];

	words_add_list(&words, (const char *const[]){strace, "-f", "-T", "-q", "-q", "-e",
						     "signal=none", "-o", path, NULL});
	words_add_list(&words, (const char *const *)command->word);
	for (size_t run = 0; run < STRACE_RUNS; run++) {
		FILE *f;

		measure_wait(measure_start(words.word), words.word[0]);
		f = fopen(path, "re");
		if (!f)
			measure_die(path);
		while (fgets(line, sizeof(line), f))
			read_call(rows, line, program, run);
		fclose(f);
	}
	words_free(&words);
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	double x = a->us[0][STRACE_RUNS / 2], y = b->us[0][STRACE_RUNS / 2];

	return (x < y) - (x > y);
}

static void print_calls(struct rows *rows)
{
	size_t calls[2] = {0};

	for (size_t i = 0; i < rows->n; i++)
		for (size_t program = 0; program < 2; program++)
			measure_quartiles(rows->row[i].us[program], STRACE_RUNS);
	qsort(rows->row, rows->n, sizeof(rows->row[0]), compare_rows);

	printf("\nsystem calls under strace (%d runs; with the command's own; microseconds are\n"
	       "medians of the sums, those of waiting calls contain what they wait for)\n",
	       STRACE_RUNS);
	printf("  %-24s %10s %10s %10s %10s\n", "", "sbx calls", "bare calls", "sbx us", "bare us");
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *row = &rows->row[i];

		calls[0] += row->calls[0];
		calls[1] += row->calls[1];
		printf("  %-24s %10.1f %10.1f %10.0f %10.0f\n", row->name,
		       (double)row->calls[0] / STRACE_RUNS, (double)row->calls[1] / STRACE_RUNS,
		       row->us[0][STRACE_RUNS / 2], row->us[1][STRACE_RUNS / 2]);
	}
	printf("  %-24s %10.1f %10.1f\n", "all", (double)calls[0] / STRACE_RUNS,
	       (double)calls[1] / STRACE_RUNS);
}

static void profile_calls(const struct programs *programs, const char *path)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct words sbx = {0}, bare = {0};

	if (!rows)
		measure_die("calloc");
	if (access(programs->strace, X_OK) < 0) {
		printf("\nno strace: no profile of the system calls\n");
		free(rows);
		return;
	}
	command_sbx(&sbx, programs, MAP_SINGLE);
	command_bare(&bare, programs, MAP_SINGLE);
	words_add_list(&sbx, (const char *const[]){"--", "/usr/bin/true", NULL});
	words_add_list(&bare, (const char *const[]){"--", "/usr/bin/true", NULL});
	trace(rows, &sbx, programs->strace, path, 0);
	trace(rows, &bare, programs->strace, path, 1);
	print_calls(rows);
	words_free(&sbx);
	words_free(&bare);
	free(rows);
}

/*
 * A counter of page faults, of this process's future children too: perf_event_open(2).
 * getrusage(2) would count pages that madvise(2) populates.
 */
static int open_fault_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.inherit = 1,
		.exclude_kernel = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Page faults of a program and of all that it starts, the median of some runs. */
static double count_faults(struct words *words, int counter)
{
	double faults[STRACE_RUNS];
	uint64_t before, after;

	words_add_list(words, (const char *const[]){"/usr/bin/true", NULL});
	for (size_t run = 0; run < STRACE_RUNS; run++) {
		if (read(counter, &before, sizeof(before)) < 0)
			measure_die("counter");
		measure_wait(measure_start(words->word), words->word[0]);
		if (read(counter, &after, sizeof(after)) < 0)
			measure_die("counter");
		faults[run] = (double)(after - before);
	}
	words_free(words);
	return measure_quartiles(faults, STRACE_RUNS).median;
}

/* What one costs here: the first touch of memory, page by page. Microseconds. */
static double time_fault(void)
{
	enum { PAGES = 256, PAGE_BYTES = 4096 };
	double times[PAGES];
	char *pages = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		measure_die("mmap");
	for (size_t i = 0; i < PAGES; i++) {
		double start = measure_now_us();

		*(volatile char *)&pages[i * PAGE_BYTES] = 1;
		times[i] = measure_now_us() - start;
	}
	munmap(pages, (size_t)PAGES * PAGE_BYTES);
	return measure_quartiles(times, PAGES).median;
}

static void profile_faults(const struct programs *programs)
{
	struct words alone = {0}, sbx = {0}, bare = {0};
	double of_alone, of_sbx, of_bare;
	int counter = open_fault_counter();

	if (counter < 0) {
		printf("\nno performance events: page faults are not counted\n");
		return;
	}
	command_sbx(&sbx, programs, MAP_SINGLE);
	command_bare(&bare, programs, MAP_SINGLE);
	words_add(&sbx, "--");
	words_add(&bare, "--");
	of_alone = count_faults(&alone, counter);
	of_sbx = count_faults(&sbx, counter);
	of_bare = count_faults(&bare, counter);
	printf("\npage faults of a launch: sbx %.0f, bare %.0f, of these the command's own %.0f;\n"
	       "one takes %.1f microseconds here\n",
	       of_sbx, of_bare, of_alone, time_fault());
	close(counter);
}

void profile_bench(const struct programs *programs)
{
	char path[] = "/tmp/sbx-profile-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		measure_die(path);
	close(fd);
	profile_steps(programs, path);
	profile_calls(programs, path);
	profile_faults(programs);
	unlink(path);
	fflush(stdout);
}
