/* SPDX-License-Identifier: MIT */
/*
 * bench: what a launch costs, beside bubblewrap and beside the bare system
 * calls. It prints; it never judges: times depend on the machine, and even the
 * ratios need a reader.
 *
 * Programs come from the environment: SBX, BARE (tests/bench/bare.c, linked as
 * sbx is), BWRAP and STRACE. Everything runs as an ordinary user (user.h).
 * SBX_BENCH_ROUNDS is a percentage of the usual number of rounds.
 *
 * Runs by itself, through `meson test --benchmark` or tests/bench/run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boxes.h"
#include "commands.h"
#include "cow.h"
#include "limits.h"
#include "measure.h"
#include "memory.h"
#include "net.h"
#include "profile.h"
#include "seccomp.h"
#include "user.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum { AT_ONCE = 50, BATCH = 200 };

struct bench {
	struct programs programs;
	struct bench_user user;
	size_t rounds_percent;
};

/* Appends the command, and makes a subject of it. */
static struct subject subject(const char *name, struct words *words)
{
	words_add_list(words, (const char *const[]){"--", "/usr/bin/true", NULL});
	return (struct subject){.name = name, .argv = words->word};
}

static size_t rounds(const struct bench *bench, size_t usual)
{
	size_t n = usual * bench->rounds_percent / 100;

	return n < 3 ? 3 : n;
}

static void race_and_print(const struct bench *bench, const char *title, struct subject *subjects,
			   size_t n, size_t usual_rounds)
{
	measure_race(subjects, n, 5, rounds(bench, usual_rounds));
	measure_print(title, subjects, n);
	measure_free(subjects, n);
}

static void bench_single(const struct bench *bench)
{
	const struct programs *programs = &bench->programs;
	struct words bwrap = {0}, sbx = {0}, base = {0}, floor = {0}, bare = {0}, alone = {0};

	command_bwrap(&bwrap, programs);
	command_sbx(&sbx, programs, MAP_SINGLE);
	command_sbx_base(&base, programs, MAP_SINGLE);
	command_floor(&floor, programs);
	command_bare(&bare, programs, MAP_SINGLE);
	words_add(&alone, "/usr/bin/true");

	struct subject subjects[] = {
		subject("bwrap", &bwrap),
		{.name = "command alone", .argv = alone.word},
		subject("sbx --map=single --no-base ...", &sbx),
		subject("sbx --map=single --ro-bind /usr ...", &base),
		subject("bare, no more than bwrap does", &floor),
		subject("bare", &bare),
	};

	race_and_print(bench, "launch of true, the caller's id alone", subjects, COUNT_OF(subjects),
		       400);
	printf("  sbx and bare also load sbx's default filter and cover the dangerous files of\n"
	       "  /proc, which bwrap does not\n");
	words_free(&bwrap);
	words_free(&sbx);
	words_free(&base);
	words_free(&floor);
	words_free(&bare);
	words_free(&alone);
}

static void bench_default_map(const struct bench *bench)
{
	const struct programs *programs = &bench->programs;
	struct words bwrap = {0}, sbx = {0}, base = {0}, bare = {0};

	if (!programs->range_count) {
		printf("\n%s has no sub-ids: default map not measured\n",
		       bench->user.passwd->pw_name);
		return;
	}
	command_bwrap(&bwrap, programs);
	command_sbx(&sbx, programs, MAP_DEFAULT);
	command_sbx_base(&base, programs, MAP_DEFAULT);
	command_bare(&bare, programs, MAP_DEFAULT);

	struct subject subjects[] = {
		subject("bwrap", &bwrap),
		subject("sbx --no-base ...", &sbx),
		subject("sbx --ro-bind /usr /usr -- true", &base),
		subject("bare", &bare),
	};

	race_and_print(bench, "launch of true, the default map (newuidmap, newgidmap)", subjects,
		       COUNT_OF(subjects), 400);
	printf("  bwrap maps one id only, it cannot do more; sbx and bare also load sbx's default\n"
	       "  filter\n");
	words_free(&bwrap);
	words_free(&sbx);
	words_free(&base);
	words_free(&bare);
}

/* A directory with `n` directories in it, so that each bind has a source of its own. */
static void make_sources(const char *dir, size_t n)
{
	char path[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%zu", dir, i);
		if (mkdir(path, 0755) < 0)
			measure_die(path);
	}
}

static void remove_sources(const char *dir, size_t n)
{
	char path[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%zu", dir, i);
		rmdir(path);
	}
	rmdir(dir);
}

static void add_binds(struct words *words, const char *dir, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		words_add(words, "--ro-bind");
		words_add(words, "%s/%zu", dir, i);
		words_add(words, "/b%zu", i);
	}
}

/* Fills the median of each of the three, in microseconds. */
static void bench_n_binds(const struct bench *bench, const char *dir, size_t n, double *medians)
{
	const struct programs *programs = &bench->programs;
	struct words bwrap = {0}, sbx = {0}, bare = {0};
	char title[64];

	command_bwrap(&bwrap, programs);
	add_binds(&bwrap, dir, n);
	command_sbx(&sbx, programs, MAP_SINGLE);
	add_binds(&sbx, dir, n);
	command_bare(&bare, programs, MAP_SINGLE);
	words_add(&bare, "--binds");
	words_add(&bare, "%zu", n);
	for (size_t i = 0; i < n; i++)
		words_add(&bare, "%s/%zu", dir, i);

	struct subject subjects[] = {
		subject("bwrap", &bwrap),
		subject("sbx", &sbx),
		subject("bare", &bare),
	};

	snprintf(title, sizeof(title), "%zu read-only binds", n);
	measure_race(subjects, COUNT_OF(subjects), 1, rounds(bench, n < 100 ? 200 : 8000 / n));
	measure_print(title, subjects, COUNT_OF(subjects));
	for (size_t i = 0; i < COUNT_OF(subjects); i++)
		medians[i] = subjects[i].times[subjects[i].n_times / 2];
	measure_free(subjects, COUNT_OF(subjects));
	words_free(&bwrap);
	words_free(&sbx);
	words_free(&bare);
}

static void bench_binds(const struct bench *bench)
{
	static const char *const names[] = {"bwrap", "sbx", "bare"};
	static const size_t counts[] = {10, 100, 1000};
	char dir[] = "/tmp/sbx-bench-XXXXXX";
	double medians[3][3];

	if (!mkdtemp(dir))
		measure_die(dir);
	make_sources(dir, counts[2]);
	for (size_t i = 0; i < 3; i++)
		bench_n_binds(bench, dir, counts[i], medians[i]);
	remove_sources(dir, counts[2]);

	printf("\nsbx and bare also load sbx's default filter\n\nmicroseconds for one bind more "
	       "(linear growth: both the same)\n");
	printf("  %-20s %16s %16s\n", "", "10 to 100", "100 to 1000");
	for (size_t i = 0; i < 3; i++)
		printf("  %-20s %16.1f %16.1f\n", names[i], (medians[1][i] - medians[0][i]) / 90,
		       (medians[2][i] - medians[1][i]) / 900);
}

/* Microseconds for BATCH launches, AT_ONCE of them at any moment. */
static double time_batch(const struct subject *subject)
{
	double start = measure_now_us();
	size_t running = 0;

	for (size_t started = 0; started < BATCH; started++) {
		if (running == AT_ONCE) {
			measure_wait(-1, subject->name);
			running--;
		}
		measure_start(subject->argv);
		running++;
	}
	for (; running; running--)
		measure_wait(-1, subject->name);
	return measure_now_us() - start;
}

static void bench_many(const struct bench *bench)
{
	const struct programs *programs = &bench->programs;
	struct words bwrap = {0}, sbx = {0}, sbx_range = {0}, bare = {0};
	size_t n_rounds = rounds(bench, 10);
	double medians[4];

	command_bwrap(&bwrap, programs);
	command_sbx(&sbx, programs, MAP_SINGLE);
	command_sbx(&sbx_range, programs, MAP_DEFAULT);
	command_bare(&bare, programs, MAP_SINGLE);

	struct subject subjects[] = {
		subject("bwrap", &bwrap),
		subject("sbx --map=single", &sbx),
		subject("sbx, default map", &sbx_range),
		subject("bare", &bare),
	};

	for (size_t i = 0; i < COUNT_OF(subjects); i++) {
		subjects[i].times = calloc(n_rounds, sizeof(double));
		if (!subjects[i].times)
			measure_die("calloc");
	}
	for (size_t round = 0; round < n_rounds; round++)
		for (size_t i = 0; i < COUNT_OF(subjects); i++)
			subjects[i].times[round] = time_batch(&subjects[i]);

	printf("\nlaunches per second, %d at a time (%zu rounds of %d)\n", AT_ONCE, n_rounds,
	       BATCH);
	for (size_t i = 0; i < COUNT_OF(subjects); i++) {
		medians[i] = measure_quartiles(subjects[i].times, n_rounds).median;
		printf("  %-34s %10.0f %10.2f of bwrap\n", subjects[i].name,
		       BATCH / medians[i] * 1e6, medians[0] / medians[i]);
	}
	measure_free(subjects, COUNT_OF(subjects));
	words_free(&bwrap);
	words_free(&sbx);
	words_free(&sbx_range);
	words_free(&bare);
}

static void bench_memory(const struct bench *bench)
{
	memory_bench(&bench->programs, &bench->user);
}

/* The bare program linked in several ways: every file in BARE_VARIANTS (tests/bench/linking). */
static void bench_linking(const struct bench *bench)
{
	struct words commands[SUBJECTS_MAX] = {0};
	struct subject subjects[SUBJECTS_MAX];
	struct dirent **entries;
	const char *dir = getenv("BARE_VARIANTS");
	int n_entries = dir ? scandir(dir, &entries, NULL, alphasort) : -1;
	size_t n = 1;

	if (n_entries < 0)
		measure_die("BARE_VARIANTS");
	command_bwrap(&commands[0], &bench->programs);
	subjects[0] = subject("bwrap", &commands[0]);
	for (int i = 0; i < n_entries; i++) {
		if (entries[i]->d_name[0] == '.' || n == SUBJECTS_MAX)
			continue;
		words_add(&commands[n], "%s/%s", dir, entries[i]->d_name);
		subjects[n] = subject(entries[i]->d_name, &commands[n]);
		n++;
	}
	race_and_print(bench, "launch of true by the bare program", subjects, n, 400);
	for (size_t i = 0; i < n; i++)
		words_free(&commands[i]);
	for (int i = 0; i < n_entries; i++)
		free(entries[i]);
	free(entries);
}

static void bench_profile(const struct bench *bench)
{
	profile_bench(&bench->programs);
}

static void bench_record(const struct bench *bench)
{
	boxes_bench_record(&bench->programs, rounds(bench, 400));
}

static void bench_ps(const struct bench *bench)
{
	boxes_bench_ps(&bench->programs, rounds(bench, 20));
}

static void bench_exec(const struct bench *bench)
{
	boxes_bench_exec(&bench->programs, rounds(bench, 400));
}

static void bench_net(const struct bench *bench)
{
	net_bench_start(&bench->programs, rounds(bench, 100));
}

static void bench_throughput(const struct bench *bench)
{
	net_bench_throughput(&bench->programs);
}

static void bench_limits(const struct bench *bench)
{
	limits_bench(&bench->programs, rounds(bench, 100));
}

static void bench_seccomp(const struct bench *bench)
{
	seccomp_bench(&bench->programs, &bench->user, rounds(bench, 300));
}

static void bench_cow(const struct bench *bench)
{
	cow_bench_run(&bench->programs, rounds(bench, 5));
}

static void bench_cow_verbs(const struct bench *bench)
{
	cow_bench_verbs(&bench->programs, rounds(bench, 5));
}

static void bench_cow_memory(const struct bench *bench)
{
	cow_bench_memory(&bench->programs);
}

static const struct mode {
	const char *name;
	const char *help;
	void (*run)(const struct bench *bench);
	bool as_root; /* stays root where root started it */
	bool in_all;  /* part of a run without arguments */
} modes[] = {
	{"single", "one launch, --map=single", bench_single, false, true},
	{"map", "one launch, default map", bench_default_map, false, true},
	{"binds", "10, 100, 1000 read-only binds", bench_binds, false, true},
	{"memory", "what the waiting processes hold", bench_memory, true, true},
	{"many", "launches per second, 50 at a time", bench_many, false, true},
	{"linking", "see tests/bench/linking", bench_linking, false, false},
	{"record", "what the record adds to a launch", bench_record, true, false},
	{"ps", "a list of 1, 100, 1000 sandboxes", bench_ps, true, false},
	{"exec", "entering a sandbox, beside nsenter", bench_exec, true, false},
	{"net", "until a network answers, beside slirp4netns", bench_net, false, false},
	{"throughput", "what it carries, beside slirp4netns", bench_throughput, false, false},
	{"limits", "a launch with limits, beside one without", bench_limits, false, false},
	{"seccomp", "a launch with a seccomp profile, its filter kept or made", bench_seccomp, true,
	 false},
	{"cow", "work in a tree of 20000 files, with layers and without", bench_cow, false, false},
	{"cow-verbs", "diff and apply beside diff, cp, rsync", bench_cow_verbs, false, false},
	{"cow-memory", "what diff and apply hold of a million entries", bench_cow_memory, false,
	 false},
	{"profile", "where the time goes", bench_profile, false, false},
};

/* In a child, so that one mode's change of user does not reach the next. */
static void run_mode(const struct bench *bench, const struct mode *mode)
{
	pid_t pid = fork();

	if (pid < 0)
		measure_die("fork");
	if (pid > 0) {
		measure_wait(pid, mode->name);
		return;
	}
	if (!mode->as_root && user_become(&bench->user) < 0)
		measure_die("cannot become the ordinary user");
	mode->run(bench);
	exit(0);
}

static bool is_wanted(const struct mode *mode, char *const *words)
{
	if (!*words)
		return mode->in_all;
	for (; *words; words++)
		if (strcmp(*words, mode->name) == 0)
			return true;
	return false;
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static int usage(void)
{
	fprintf(stderr, "usage: SBX=... BARE=... bench [MODE...]\n");
	for (size_t i = 0; i < COUNT_OF(modes); i++)
		fprintf(stderr, "  %-10s %s\n", modes[i].name, modes[i].help);
	return 2;
}

static bool is_mode(const char *word)
{
	for (size_t i = 0; i < COUNT_OF(modes); i++)
		if (strcmp(word, modes[i].name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct bench bench = {
		.programs =
			{
				.sbx = from_environment("SBX", NULL),
				.bare = from_environment("BARE", NULL),
				.bwrap = from_environment("BWRAP", "/usr/bin/bwrap"),
				.strace = from_environment("STRACE", "/usr/bin/strace"),
			},
		.rounds_percent = strtoul(from_environment("SBX_BENCH_ROUNDS", "100"), NULL, 10),
	};

	for (int i = 1; i < argc; i++)
		if (!is_mode(argv[i]))
			return usage();
	if (!bench.programs.sbx || !bench.programs.bare)
		return usage();
	user_find(&bench.user);
	bench.programs.range_start = bench.user.range_start;
	bench.programs.range_count = bench.user.range_count;
	if (chdir("/") < 0)
		measure_die("/");
	user_begin_session(&bench.user);
	for (size_t i = 0; i < COUNT_OF(modes); i++)
		if (is_wanted(&modes[i], argv + 1))
			run_mode(&bench, &modes[i]);
	user_end_session();
	return 0;
}
