/* SPDX-License-Identifier: MIT */
/*
 * cow: see cow.h.
 *
 * What is measured are lines of shell; what they need is made before, by other lines, whose time
 * does not count. In all of them $SBX is the program, $F the number of files, and $D a directory
 * that is thrown away: $D/t is what is worked on, $D/copy the same with the changes made.
 *
 * SBX_BENCH_FILES says how many files, SBX_BENCH_ENTRIES how many entries are held in memory,
 * or not, and TMPDIR where all lies.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cow.h"
#include "measure.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* $F files of some kilobytes, a hundred in each directory. */
#define MAKE_TREE                                                                                  \
	"mk() { i=0; while [ $i -lt $F ]; do [ $((i % 100)) -ne 0 ] || mkdir -p $1/d$((i / "       \
	"100)); "                                                                                  \
	"seq $i $((i + (i % 7) * 150 + 1)) >$1/d$((i / 100))/f$i; i=$((i + 1)); done; }; "
#define INSIDE "$SBX --ro-bind /usr /usr --chdir $D/t"
#define FORGET "$SBX discard b 2>/dev/null || :; rm -rf $D/t; "

struct task {
	const char *name, *prepare, *script;
};

static const struct task tasks[] = {
	{"unpack", "mkdir $D/t; cp $D/tree.tar $D/t/", "tar xf tree.tar"},
	{"stat", "cp -a $D/tree $D/t", "find . -size +1G"},
	{"read", "cp -a $D/tree $D/t", "find . -type f -exec cat {} + >/dev/null"},
	{"compile", "cp -a $D/sources $D/t", "for f in *.c; do cc -O1 -c $f; done"},
	{"remove", "cp -a $D/tree $D/t", "rm -rf d*"},
};

static const struct view {
	const char *name, *option;
} views[] = {
	{"no layer", "--rw $D/t"},
	{"kernel", "--cow $D/t --session b --overlay-driver=kernel"},
	{"fuse-overlayfs", "--cow $D/t --session b --overlay-driver=fuse"},
};

/* ---- lines of shell ---- */

static double run_shell(const char *script)
{
	char *argv[] = {(char *)"/bin/sh", (char *)"-ec", (char *)script, NULL};
	double start = measure_now_us();

	measure_wait(measure_start(argv), script);
	return measure_now_us() - start;
}

static void set_number(const char *name, unsigned long usual, const char *from)
{
	const char *given = getenv(from);
	char text[32];

	snprintf(text, sizeof(text), "%lu", given ? strtoul(given, NULL, 10) : usual);
	setenv(name, text, 1);
}

static void site_begin(const struct programs *programs)
{
	const char *above = getenv("TMPDIR");
	char dir[512], home[600];

	snprintf(dir, sizeof(dir), "%s/sbx-bench-XXXXXX", above ? above : "/var/tmp");
	if (!mkdtemp(dir))
		measure_die(dir);
	snprintf(home, sizeof(home), "%s/home", dir);
	setenv("SBX", programs->sbx, 1);
	setenv("D", dir, 1);
	setenv("HOME", home, 1);
	setenv("XDG_STATE_HOME", home, 1);
	set_number("F", 20000, "SBX_BENCH_FILES");
	set_number("N", 1000000, "SBX_BENCH_ENTRIES");
	run_shell("mkdir -p $HOME");
}

static void site_end(void)
{
	run_shell(FORGET "rm -rf $D");
}

/* ---- what layers cost ---- */

static void race_task(const struct task *task, size_t rounds)
{
	struct subject subjects[COUNT_OF(views)];
	char title[64], prepare[512], script[1024];

	for (size_t i = 0; i < COUNT_OF(views); i++) {
		subjects[i] = (struct subject){.name = views[i].name,
					       .times = calloc(rounds, sizeof(double)),
					       .n_times = rounds};
		if (!subjects[i].times)
			measure_die("calloc");
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < COUNT_OF(views); i++) {
			snprintf(prepare, sizeof(prepare), FORGET "%s", task->prepare);
			snprintf(script, sizeof(script), INSIDE " %s -- /bin/sh -ec '%s' 2>&1",
				 views[i].option, task->script);
			run_shell(prepare);
			subjects[i].times[round] = run_shell(script);
		}
	snprintf(title, sizeof(title), "%s, a tree of %s files", task->name, getenv("F"));
	measure_print(title, subjects, COUNT_OF(views));
	measure_free(subjects, COUNT_OF(views));
}

void cow_bench_run(const struct programs *programs, size_t rounds)
{
	site_begin(programs);
	run_shell(MAKE_TREE
		  "mkdir $D/tree $D/sources; mk $D/tree; tar cf $D/tree.tar -C $D/tree .; "
		  "for i in $(seq 1 100); do printf "
		  "'#include <stdio.h>\\n#include <stdlib.h>\\nint f%d(int a) { return "
		  "printf(\"%%d\", a + %d); }\\n' $i $i >$D/sources/f$i.c; done");
	for (size_t i = 0; i < COUNT_OF(tasks); i++)
		race_task(&tasks[i], rounds);
	printf("  with the launch, and with a layer also the count of what was changed\n");
	site_end();
}

/* ---- the verbs ---- */

/* One file of ten changed, one of twenty removed, and as many made. */
#define CHANGE                                                                                     \
	"i=0; while [ $i -lt $F ]; do echo more >>d$((i / 100))/f$i; i=$((i + 10)); done; "        \
	"i=5; while [ $i -lt $F ]; do rm d$((i / 100))/f$i; echo new >d$((i / 100))/n$i; "         \
	"i=$((i + 20)); done"
#define REWRITE "for f in d*/*; do echo more >>$f; done"

static const struct contest {
	const char *title, *change;
	struct task subjects[4];
} contests[] = {
	{"diff, 1 of 5 files changed",
	 CHANGE,
	 {{"diff -rq", "", "diff -rq $D/t $D/copy >/dev/null || :"},
	  {"sbx diff", "", "$SBX diff b >/dev/null"},
	  {"diff -ruN", "", "diff -ruN $D/t $D/copy >/dev/null || :"},
	  {"sbx diff --patch", "", "$SBX diff --patch b >/dev/null"}}},
	{"diff, all files changed",
	 REWRITE,
	 {{"diff -rq", "", "diff -rq $D/t $D/copy >/dev/null || :"},
	  {"sbx diff", "", "$SBX diff b >/dev/null"},
	  {"diff -ruN", "", "diff -ruN $D/t $D/copy >/dev/null || :"},
	  {"sbx diff --patch", "", "$SBX diff --patch b >/dev/null"}}},
	{"apply, 1 of 5 files changed",
	 CHANGE,
	 {{"cp -a, sync", "", "cp -a $D/copy/. $D/t; sync -f $D/t"},
	  {"rsync -a --delete, sync", "", "rsync -a --delete $D/copy/ $D/t; sync -f $D/t"},
	  {"rsync -a --fsync", "", "rsync -a --delete --fsync $D/copy/ $D/t"},
	  {"sbx apply", "", "$SBX apply --force b >/dev/null"}}},
	{"apply, all files changed",
	 REWRITE,
	 {{"cp -a, sync", "", "cp -a $D/copy/. $D/t; sync -f $D/t"},
	  {"rsync -a --delete, sync", "", "rsync -a --delete $D/copy/ $D/t; sync -f $D/t"},
	  {"rsync -a --fsync", "", "rsync -a --delete --fsync $D/copy/ $D/t"},
	  {"sbx apply", "", "$SBX apply --force b >/dev/null"}}},
};

/* The directory is the same all the time: a session knows it again. */
#define RESTORE                                                                                    \
	"find $D/t -mindepth 1 -delete; cp -a $D/tree/. $D/t; "                                    \
	"rm -f $HOME/sbx/sessions/b/journal $HOME/sbx/sessions/b/applied; sync -f $D/t"

static void race_contest(const struct contest *contest, size_t rounds)
{
	struct subject subjects[COUNT_OF(contest->subjects)];
	char script[2048];
	size_t n = 0;

	setenv("CHANGE", contest->change, 1);
	snprintf(script, sizeof(script),
		 FORGET "cp -a $D/tree $D/t; rm -rf $D/copy; cp -a $D/tree $D/copy; "
			"(cd $D/copy; eval \"$CHANGE\"); " INSIDE " --env F --cow $D/t --session b "
			"-- /bin/sh -ec \"$CHANGE\" 2>/dev/null");
	run_shell(script);
	for (size_t i = 0; i < COUNT_OF(subjects); i++) {
		const struct task *task = &contest->subjects[i];

		if (strncmp(task->name, "rsync", 5) == 0 && access("/usr/bin/rsync", X_OK) < 0)
			continue;
		subjects[n] = (struct subject){.name = task->name,
					       .times = calloc(rounds, sizeof(double)),
					       .n_times = rounds};
		if (!subjects[n].times)
			measure_die("calloc");
		for (size_t round = 0; round < rounds; round++) {
			run_shell(RESTORE);
			subjects[n].times[round] = run_shell(task->script);
		}
		n++;
	}
	snprintf(script, sizeof(script), "%s, a tree of %s", contest->title, getenv("F"));
	measure_print(script, subjects, n);
	measure_free(subjects, n);
}

void cow_bench_verbs(const struct programs *programs, size_t rounds)
{
	site_begin(programs);
	run_shell(MAKE_TREE "mkdir $D/tree; mk $D/tree");
	for (size_t i = 0; i < COUNT_OF(contests); i++)
		race_contest(&contests[i], rounds);
	site_end();
}

/* ---- memory ---- */

/* The most that it held, in KiB. @what: a verb and its options */
static long peak_kb(const char *const *what)
{
	const char *argv[8] = {getenv("SBX")};
	struct rusage usage;
	int status;
	pid_t pid;

	for (size_t i = 0; what[i] && i < 6; i++)
		argv[i + 1] = what[i];
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
		measure_die(argv[1]);
	return usage.ru_maxrss;
}

/* One large directory, or many: $N entries, all of them new. */
static void memory_of(const char *title, const char *per_dir)
{
	static const char *const verbs[][5] = {{"diff", "b"},
					       {"diff", "--json", "b"},
					       {"diff", "--stat", "b"},
					       {"diff", "--name-only", "b"},
					       {"apply", "--dry-run", "b"}};

	setenv("P", per_dir, 1);
	run_shell(FORGET "mkdir $D/t; echo x >$D/t/x; " INSIDE
			 " --env N --env P --cow $D/t --session b -- /usr/bin/python3 -c '\n"
			 "import os\n"
			 "n, p = int(os.environ[\"N\"]), int(os.environ[\"P\"])\n"
			 "for i in range(n):\n"
			 "    if i % p == 0: d = f\"d{i // p}\"; os.mkdir(d)\n"
			 "    os.close(os.open(f\"{d}/a-file-with-a-name-{i}\", os.O_CREAT))\n"
			 "' 2>&1");
	printf("\npeak of memory, %s entries, %s\n", getenv("N"), title);
	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		double start = measure_now_us();
		long kb = peak_kb(verbs[i]);

		printf("  sbx %-6s %-12s %8ld KiB %10.1f s\n", verbs[i][0],
		       verbs[i][2] ? verbs[i][1] : "", kb, (measure_now_us() - start) / 1e6);
	}
}

void cow_bench_memory(const struct programs *programs)
{
	site_begin(programs);
	memory_of("a hundred in a directory", "100");
	memory_of("all in one directory", "100000000");
	site_end();
}
