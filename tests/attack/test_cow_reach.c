/* SPDX-License-Identifier: MIT */
/*
 * By what names a sandbox with --cow might be shown what sessions keep. Each way works without
 * --cow, where the sessions are as good as any other files of the caller.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../e2e/cow.h"

#define REACH_STORE ".local/state/sbx/sessions"

/* A session s, which has the file n. */
static void reach_start(struct cow_site *site)
{
	cow_start(site, "kernel", "a=a\n");
	_autorun_ struct run_result first = cow_run(site, "echo raw >n");

	expect_success(first);
	cr_assert(tree_exists(site->place.tree, "home/" REACH_STORE "/s/0/upper/n"));
}

/* What the sandbox prints of a file, or the refusal. @fd: is 9 there; -1: none */
static struct run_result reach_read(const struct cow_site *site, const char *const *words,
				    const char *file, bool cow, int fd)
{
	const struct run_options options = {.env = site->place.env,
					    .fds = {{fd, 9}, {-1, -1}},
					    .cwd = site->place.home + strlen("HOME=")};
	const char *argv[40] = {sbx_program(), "--ro-bind", "/usr", "/usr"};
	size_t n = 4;

	if (cow) {
		argv[n++] = "--cow";
		argv[n++] = site->path;
		argv[n++] = "--session";
		argv[n++] = "s";
	}
	for (size_t i = 0; words[i]; i++)
		argv[n++] = words[i];
	argv[n++] = "--";
	argv[n++] = "/usr/bin/cat";
	argv[n++] = file;
	return run_argv(&options, argv);
}

/* A place that is nothing else: refused, with the option and a way out. */
static void reach_expect_refused(const struct run_result *run, const char *option)
{
	cr_expect_eq(run->status, 125, "%d %s", run->status, run->err);
	cr_expect_str_eq(run->out, "");
	cr_expect(strstr(run->err, option), "%s", run->err);
	cr_expect(strstr(run->err, "sessions of --cow are kept"), "%s", run->err);
	cr_expect(strstr(run->err, "without --cow"), "%s", run->err);
}

#define REACH(site, file, fd, ...)                                                                 \
	do {                                                                                       \
		const char *const words_[] = {__VA_ARGS__, NULL};                                  \
		_autorun_ struct run_result off_ =                                                 \
			reach_read((site), words_, (file), false, (fd));                           \
		_autorun_ struct run_result on_ = reach_read((site), words_, (file), true, (fd));  \
                                                                                                   \
		cr_expect_str_eq(off_.out, "raw\n", "%s: %s", words_[0], off_.err);                \
		reach_expect_refused(&on_, words_[0]);                                             \
	} while (0)

Test(cow, a_session_is_not_bound_by_its_name)
{
	struct cow_site site;

	reach_start(&site);
	_autofree_ char *store = tree_path(site.place.tree, "home/" REACH_STORE);
	_autofree_ char *session = tree_path(site.place.tree, "home/" REACH_STORE "/s");
	_autofree_ char *upper = tree_path(site.place.tree, "home/" REACH_STORE "/s/0/upper");
	_autofree_ char *file = tree_path(site.place.tree, "home/" REACH_STORE "/s/0/upper/n");
	_autofree_ char *link = tree_path(site.place.tree, "home/link");
	_autoclose_ int fd = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(symlink(session, link), 0);
	REACH(&site, "/s/0/upper/n", -1, "--bind", session, "/s");
	REACH(&site, "/s/0/upper/n", -1, "--ro-bind", session, "/s");
	REACH(&site, "/s/0/upper/n", -1, "--dev-bind", session, "/s");
	REACH(&site, "/s/0/upper/n", -1, "--bind", link, "/s");
	REACH(&site, "/s/0/upper/n", -1, "--bind", REACH_STORE "/s", "/s");
	REACH(&site, "/s/s/0/upper/n", -1, "--bind", store, "/s");
	REACH(&site, "/s/n", -1, "--bind-try", upper, "/s");
	REACH(&site, "/s", -1, "--ro-bind", file, "/s");
	REACH(&site, "/s/n", fd, "--bind-fd", "9", "/s");
	REACH(&site, "/s/n", fd, "--ro-bind", "/proc/self/fd/9", "/s");
	cow_finish(&site);
}

/* Neither as a layer that is read nor as one that is written to. */
Test(cow, a_session_is_no_layer)
{
	struct cow_site site;

	reach_start(&site);
	_autofree_ char *upper = tree_path(site.place.tree, "home/" REACH_STORE "/s/0/upper");
	_autofree_ char *work_dir = tree_path(site.place.tree, "home/" REACH_STORE "/s/0/work");
	_autofree_ char *rw = tree_path(site.place.tree, "home/rw");
	const struct run_options options = {.env = site.place.env};

	cr_assert_eq(mkdirat(site.place.tree, "home/rw", 0700), 0);
	_autorun_ struct run_result off =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--overlay-src", upper,
			     "--tmp-overlay", "/s", "--", "/usr/bin/cat", "/s/n");
	_autorun_ struct run_result lower = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "s",
		"--overlay-src", upper, "--tmp-overlay", "/s", "--", "/usr/bin/cat", "/s/n");
	_autorun_ struct run_result work = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "t",
		"--overlay-src", "/usr", "--overlay", rw, work_dir, "/s", "--", "/usr/bin/true");
	_autorun_ struct run_result view =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", upper, "--session",
			     "t", "--", "/usr/bin/cat", "/s/n");

	cr_expect_str_eq(off.out, "raw\n", "%s", off.err);
	reach_expect_refused(&lower, "--tmp-overlay");
	reach_expect_refused(&work, "--overlay");
	cr_expect_eq(view.status, 125);
	cr_expect(strstr(view.err, "lies in what sessions are kept in"), "%s", view.err);
	cow_finish(&site);
}

/* It is made by the launch, so the bind finds it, by a link that led nowhere too. */
Test(cow, a_session_yet_to_be_made_is_not_bound)
{
	struct cow_site site;

	reach_start(&site);
	_autofree_ char *dir = tree_path(site.place.tree, "home/S");
	_autofree_ char *link = tree_path(site.place.tree, "home/link");

	cr_assert_eq(symlink("S", link), 0);
	for (int i = 0; i < 2; i++) {
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--ro-bind", "/usr", "/usr", "--bind", i ? link : dir, "/s",
			"--cow", site.path, "--session", dir, "--", "/usr/bin/ls", "/s");

		reach_expect_refused(&run, "--bind");
		cr_expect(!tree_exists(site.place.tree, "home/S"));
	}
	cow_finish(&site);
}

/* Those of the store, where the one in use is elsewhere; below a layer too. */
Test(cow, other_sessions_are_out_of_reach)
{
	struct cow_site site;

	reach_start(&site);
	const char *home = site.place.home + strlen("HOME=");
	_autofree_ char *dir = tree_path(site.place.tree, "home/S");
	const char *const shows[][5] = {
		{"--bind", home, home, NULL},
		{"--overlay-src", home, "--ro-bind", "/usr", "/usr"},
		{"--dev-bind", "/", "/", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(shows); i++) {
		const struct run_options options = {.env = site.place.env};
		const char *argv[40] = {sbx_program(), "--ro-bind", "/usr", "/usr"};
		size_t n = i == 2 ? 1 : 4;

		for (size_t k = 0; k < (i == 1 ? 2 : 3); k++)
			argv[n++] = shows[i][k];
		if (i == 1) {
			argv[n++] = "--tmp-overlay";
			argv[n++] = home;
		}
		const char *const rest[] = {
			"--cow",
			site.path,
			"--session",
			dir,
			"--chdir",
			home,
			"--",
			"/bin/sh",
			"-c",
			"ls; ls -A " REACH_STORE " S; echo x >" REACH_STORE "/x; echo x >S/x"};

		for (size_t k = 0; k < ARRAY_SIZE(rest); k++)
			argv[n++] = rest[k];
		_autorun_ struct run_result run = run_argv(&options, argv);

		cr_expect_str_eq(run.out, "S\n" REACH_STORE ":\n\nS:\n", "%zu: %s %s", i, run.out,
				 run.err);
		cr_expect(!tree_exists(site.place.tree, "home/" REACH_STORE "/x"));
		cr_expect(!tree_exists(site.place.tree, "home/S/x"));
		_autorun_ struct run_result discard = cow_verb(&site, "discard", dir);
	}
	cow_finish(&site);
}

/* The host is a sandbox here, in which directories can be mounted twice. */
static struct run_result reach_mounted_twice(const struct cow_site *site, const char *mount,
					     const char *at, const char *script)
{
	const struct run_options options = {.env = site->place.env};
	const char *home = site->place.home + strlen("HOME=");
	const char *sbx = sbx_program();

	return run_sbx_with(&options, "--map=single", "--allow-userns", "--ro-bind", "/usr", "/usr",
			    "--bind", home, home, "--bind", site->path, "/work", "--ro-bind", sbx,
			    "/sbx", "--bind", mount, at, "--", "/bin/sh", "-c", script);
}

Test(cow, a_session_is_not_bound_by_another_mount)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	const char *home = site.place.home + strlen("HOME=");
	static const char begin[] =
		"/sbx --map=single --ro-bind /usr /usr --cow /work --session s --chdir /work -- "
		"/bin/sh -c 'echo raw >n'";
	static const struct {
		const char *mount, *at, *words;
		bool refused;
	} ways[] = {
		{"", "/twice", "--bind /twice/" REACH_STORE "/s /s -- cat /s/0/upper/n", true},
		{REACH_STORE "/s", "/twice", "--bind /twice /s -- cat /s/0/upper/n", true},
		{REACH_STORE "/s/0/upper", "/twice", "--bind /twice /s -- cat /s/n", true},
		{"", "/twice", "--bind /twice /s -- cat /s/" REACH_STORE "/s/0/upper/n", false},
		{REACH_STORE "/s/0", "/mnt/twice", "--bind /mnt /s -- cat /s/twice/upper/n", false},
		{".local", "/mnt/twice",
		 "--bind /mnt /s -- cat /s/twice/state/sbx/sessions/s/0/upper/n", false},
		{"", "/mnt/twice",
		 "--overlay-src /mnt/twice --overlay-src /work --ro-overlay /s -- cat "
		 "/s/" REACH_STORE "/s/0/upper/n",
		 false},
	};

	_autorun_ struct run_result made = reach_mounted_twice(&site, home, "/twice", begin);

	expect_success(made);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		char script[1024], mount[1024];

		snprintf(mount, sizeof(mount), "%s/%s", home, ways[i].mount);
		snprintf(script, sizeof(script), "/sbx --map=single --ro-bind /usr /usr %s",
			 ways[i].words);
		_autorun_ struct run_result off =
			reach_mounted_twice(&site, mount, ways[i].at, script);
		snprintf(script, sizeof(script),
			 "/sbx --map=single --ro-bind /usr /usr --cow /work --session s %s",
			 ways[i].words);
		_autorun_ struct run_result on =
			reach_mounted_twice(&site, mount, ways[i].at, script);

		cr_expect_str_eq(off.out, "raw\n", "%zu: %s", i, off.err);
		cr_expect_str_eq(on.out, "", "%zu", i);
		cr_expect_neq(on.status, 0, "%zu", i);
		if (ways[i].refused)
			reach_expect_refused(&on, "--bind");
		else
			cr_expect(strstr(on.err, "No such file"), "%zu: %s", i, on.err);
	}
	cow_finish(&site);
}

enum { ABOVE_WORDS_MAX = 6 };

/*
 * All that is above the sessions is renamed and removed, and other directories of these names are
 * made. Prints what can be done.
 */
static const char above_script[] =
	"exec 2>/dev/null; cd \"$TOP\" || exit; for d in state/sbx/sessions state/sbx state .; do "
	"mv -T .local/$d gone && echo moved $d && rm -rf gone; rm -r .local/$d && echo removed $d; "
	"done; mkdir -p .local/state/sbx/sessions/B && echo made; echo end";

/* @top: what the script calls the home */
static struct run_result above_run(const struct cow_site *site, const char *const *words,
				   const char *top, bool cow, const char *session)
{
	const struct run_options options = {.env = site->place.env};
	const char *argv[40] = {sbx_program()};
	size_t n = 1;

	for (size_t i = 0; words[i]; i++)
		argv[n++] = words[i];
	if (cow) {
		argv[n++] = "--cow";
		argv[n++] = site->path;
		argv[n++] = "--session";
		argv[n++] = session;
	}
	const char *const rest[] = {"--setenv", "TOP", top, "--", "/bin/sh", "-c", above_script};

	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		argv[n++] = rest[i];
	return run_argv(&options, argv);
}

/* Another session in the place of the caller's would be what the next "sbx apply" applies. */
static void above_try(const char *link, const char *session)
{
	char local[4096];

	for (size_t i = 0; i < 6; i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		const char *home = site.place.home + strlen("HOME=");
		_autofree_ char *dir = tree_path(site.place.tree, "S");
		const char *const ways[][ABOVE_WORDS_MAX + 4] = {
			{"--bind", "/", "/", NULL},
			{"--ro-bind", "/usr", "/usr", "--rw", home, NULL},
			{"--ro-bind", "/", "/", "--rw", local, "--rw", home, NULL},
			{"--ro-bind", "/", "/", "--rw", home, "--rw", local, NULL},
			{"--ro-bind", "/", "/", "--rw", home, "--bind", home, "/mnt", NULL},
			{"--ro-bind", "/usr", "/usr", "--bind", local, "/mnt/.local", NULL},
		};
		const char *top = i < 4 ? home : "/mnt";

		(void)snprintf(local, sizeof(local), "%s/.local", home);
		if (link)
			cr_assert_eq(symlinkat("real", site.place.tree, link), 0);
		if (link)
			cr_assert_eq(mkdirat(site.place.tree, "home/real", 0700), 0);
		else
			cr_assert_eq(mkdirat(site.place.tree, "home/.local", 0700), 0);
		_autorun_ struct run_result on =
			above_run(&site, ways[i], top, true, session ? session : dir);

		cr_expect_str_eq(on.out, "end\n", "%zu: %s %s", i, on.out, on.err);
		cr_expect(!tree_exists(site.place.tree, "home/" REACH_STORE "/B"), "%zu", i);
		_autorun_ struct run_result off = above_run(&site, ways[i], top, false, NULL);

		cr_expect(strstr(off.out, "made"), "%zu: %s", i, off.out);
		cow_finish(&site);
	}
}

Test(cow, what_is_above_the_sessions_stays)
{
	above_try(NULL, "s");
}

/* There is no directory of sessions yet, as the one in use is elsewhere. */
Test(cow, sessions_yet_to_be_made_cannot_be)
{
	above_try(NULL, NULL);
}

/* Who owns a directory that cannot be written to can change that. */
Test(cow, sessions_that_the_caller_has_barred_are_refused)
{
	for (int i = 0; i < 2; i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		const char *home = site.place.home + strlen("HOME=");
		_autofree_ char *dir = tree_path(site.place.tree, "S");
		const char *const way[ABOVE_WORDS_MAX + 4] = {"--ro-bind", "/",	 "/",
							      "--rw",	   home, NULL};

		cr_assert_eq(mkdirat(site.place.tree, "home/.local", 0700), 0);
		cr_assert_eq(fchmodat(site.place.tree, i ? "home/.local" : "home", i ? 0 : 0555, 0),
			     0);
		cr_assert_eq(fchmodat(site.place.tree, i ? "home" : "home/.local", 0555, 0), 0);
		_autorun_ struct run_result on = above_run(&site, way, home, true, dir);

		cr_expect_eq(fchmodat(site.place.tree, "home", 0700, 0), 0);
		cr_expect_eq(fchmodat(site.place.tree, "home/.local", 0700, 0), 0);
		expect_failure(on, 125, "cannot be made, and so not be kept from the command");
		expect_failure(on, 125, "chmod u+rwx");
		cr_expect(!tree_exists(site.place.tree, "S"), "nothing is left");
		cow_finish(&site);
	}
}

Test(cow, links_to_the_sessions_stay)
{
	above_try("home/.local", "s");
}

/* Nor with what would be needed to unmount something. */
Test(cow, what_is_above_the_sessions_stays_for_those_who_can_mount)
{
	static const char script[] =
		"exec 2>/dev/null; for d in .local/state/sbx/sessions .local/state/sbx "
		".local/state "
		".local; do umount -l $d && echo unmounted $d; done; umount -l \"$PWD\" && echo "
		"unmounted; mv .local/state/sbx g && echo moved; mkdir .local/state/sbx/sessions/B "
		"&& "
		"echo made; echo end";
	static const char *const ways[][6] = {
		{"--allow-userns", "--", "unshare", "-Urm", "/bin/sh", NULL},
		{"--root", "--cap-add", "ALL", "--", "/bin/sh", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct cow_site site;

		reach_start(&site);
		const char *home = site.place.home + strlen("HOME=");
		const struct run_options options = {.env = site.place.env};
		const char *argv[40] = {sbx_program(), "--ro-bind", "/usr",    "/usr",
					"--rw",	       home,	    "--cow",   site.path,
					"--session",   "s",	    "--chdir", home};
		size_t n = 12;

		for (size_t k = 0; ways[i][k]; k++)
			argv[n++] = ways[i][k];
		argv[n++] = "-c";
		argv[n++] = script;
		_autorun_ struct run_result run = run_argv(&options, argv);

		cr_expect_str_eq(run.out, "end\n", "%zu: %s %s", i, run.out, run.err);
		cow_finish(&site);
	}
}

/* Of a view that holds its session too, though what is changed there goes to that. */
Test(cow, what_is_above_the_sessions_stays_in_a_view)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		const char *home = site.place.home + strlen("HOME=");
		const struct run_options options = {.env = site.place.env};

		for (int elsewhere = 1; elsewhere >= 0; elsewhere--) {
			_autofree_ char *dir = tree_path(site.place.tree, "home/S");
			const char *session = elsewhere ? dir : "s";
			_autorun_ struct run_result run = run_sbx_with(
				&options, "--ro-bind", "/usr", "/usr", "--cow", home, "--session",
				session, "--overlay-driver", driver, "--setenv", "TOP", home, "--",
				"/bin/sh", "-c", above_script);
			_autorun_ struct run_result names =
				cow_verb(&site, "diff", "--name-only", session);

			cr_expect_str_eq(run.out, "end\n", "%s: %s %s", driver, run.out, run.err);
			cr_expect_null(strstr(names.out, "/B"), "%s: %s", driver, names.out);
			_autorun_ struct run_result gone = cow_verb(&site, "discard", session);
		}
		cow_finish(&site);
	}
}
