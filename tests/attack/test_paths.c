/* SPDX-License-Identifier: MIT */
/*
 * attack paths: while the root is built, the host's tree is still there. Nothing
 * that somebody put into a bound directory may lead an operation to it.
 */
#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>

#include <criterion/hooks.h>

#include "attack.h"

/* ---- hostile destinations: every operation through every kind of way out ---- */

/* A way out of /proj; `%s` becomes the absolute path of a directory of the host. */
struct way {
	const char *name;
	const char *link; /* what /proj/cfg points to; NULL: there is no link */
	const char *dest; /* the destination's directory */
	bool on_host;	  /* leads there from the host's own /proj, too; else by an /oldroot */
	bool refused;	  /* by way of /proc's magic links, which no destination may use */
};

static const struct way ways[] = {
	{"absolute link", "%s", "/proj/cfg", true, false},
	{"relative link", "../../../../../../../../..%s", "/proj/cfg", true, false},
	{"link to an old root", "/oldroot%s", "/proj/cfg", false, false},
	{"relative link to an old root", "../../oldroot%s", "/proj/cfg", false, false},
	{"magic link of the root", "/proc/self/root%s", "/proj/cfg", true, true},
	{"magic link of a descriptor", "/proc/self/fd/4%s", "/proj/cfg", true, true},
	{"literal dots", NULL, "/proj/../../../../../..%s", true, false},
	{"literal dots to an old root", NULL, "/proj/../../oldroot%s", false, false},
};

struct operation {
	const char *words[2]; /* before the destination; NULL: fewer */
	const char *leaf;     /* below the way's directory */
	bool on_existing;     /* it needs something to be there, and inside nothing is */
	bool bwrap;	      /* bubblewrap 0.8 has it too */
};

static const struct operation operations[] = {
	{{"--file", "10"}, "new", false, true},
	{{"--file", "10"}, "kept", false, true},
	{{"--dir", NULL}, "new", false, true},
	{{"--bind", "/usr/share"}, "new", false, true},
	{{"--bind", "/usr/bin/env"}, "new-file", false, true},
	{{"--ro-bind", "/usr/share"}, "new", false, true},
	{{"--symlink", "target"}, "new", false, true},
	{{"--chmod", "0777"}, "kept", true, true},
	{{"--tmpfs", NULL}, "new", false, true},
	{{"--bind-data", "10"}, "new", false, true},
	{{"--ro-bind-data", "10"}, "new", false, true},
	{{"--proc", NULL}, "new", false, true},
	{{"--dev", NULL}, "new", false, true},
	{{"--mqueue", NULL}, "new", false, true},
	{{"--mask", NULL}, "kept", true, false},
	{{"--remount-ro", NULL}, "dir", true, true},
};

/* A directory of the host that must not change, and a project with a link to it. */
struct scene {
	int victim, proj; /* owned */
	char *victim_path, *proj_path, *dest_dir;
};

static char *expand(const char *format, const char *path)
{
	const char *hole = strstr(format, "%s");
	char *text = NULL;

	cr_assert(asprintf(&text, "%.*s%s%s", hole ? (int)(hole - format) : (int)strlen(format),
			   format, hole ? path : "", hole ? hole + 2 : "") >= 0);
	return text;
}

static struct scene scene_make(const struct way *way)
{
	struct scene s = {.victim = tmp_tree("v/kept=kept\n", "v/dir/inner=kept\n"),
			  .proj = tmp_tree("proj/")};
	_autofree_ char *link = NULL;

	s.victim_path = tree_path(s.victim, "v");
	s.proj_path = tree_path(s.proj, "proj");
	if (way->link) {
		link = expand(way->link, s.victim_path);
		cr_assert(symlinkat(link, s.proj, "proj/cfg") == 0);
	}
	s.dest_dir = expand(way->dest, s.victim_path);
	return s;
}

static void scene_finish(struct scene *s)
{
	close(s->victim);
	close(s->proj);
	free(s->victim_path);
	free(s->proj_path);
	free(s->dest_dir);
}

static int compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* All there is to know of a directory: names, modes, targets, contents. */
static char *snapshot(const char *path)
{
	_autofree_ char *root = strdup(path);
	FTS *tree =
		fts_open((char *const[]){root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, compare_names);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(tree && out);
	for (FTSENT *e; (e = fts_read(tree));) {
		char data[256] = "";
		_autoclose_ int fd = -1;

		cr_assert(e->fts_info != FTS_ERR && e->fts_info != FTS_DNR &&
			  e->fts_info != FTS_NS);
		if (e->fts_info == FTS_DP)
			continue;
		if (e->fts_info == FTS_SL)
			cr_assert(readlink(e->fts_accpath, data, sizeof(data) - 1) > 0);
		if (e->fts_info == FTS_F) {
			fd = open(e->fts_accpath, O_RDONLY | O_CLOEXEC);
			cr_assert(read(fd, data, sizeof(data) - 1) >= 0);
		}
		cr_assert(fprintf(out, "%s %o %s\n", e->fts_path + strlen(path),
				  e->fts_statp->st_mode, data) > 0);
	}
	cr_assert_eq(fts_close(tree), 0);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static struct run_result scene_run(const struct scene *s, const struct operation *op,
				   const char *program)
{
	_autoclose_ int data = attack_data_fd("attack\n");
	_autoclose_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct run_options options = {
		.fds = {{.from = data, .to = 10}, {.from = root, .to = 4}}};
	_autofree_ char *dest = NULL;
	const char *argv[40] = {program,     "--ro-bind", "/usr",	"/usr",
				"--symlink", "usr/bin",	  "/bin",	"--symlink",
				"usr/lib",   "/lib",	  "--symlink",	"usr/lib64",
				"/lib64",    "--bind",	  s->proj_path, "/proj"};
	size_t n = 16;

	cr_assert(asprintf(&dest, "%s/%s", s->dest_dir, op->leaf) >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(op->words) && op->words[i]; i++)
		argv[n++] = op->words[i];
	argv[n++] = dest;
	argv[n++] = "--";
	argv[n++] = "true";
	return run_argv(&options, argv);
}

static const char write_by_host[] = "echo attack > \"$1${2#/proj}/new\"";

/* As a tool does that keeps the host's tree at /oldroot while it sets up another root. */
static const char write_by_old_root[] =
	"set -e; d=$(dirname \"$3\"); mkdir \"$d/root\"; mount -t tmpfs t \"$d/root\"; cd "
	"\"$d/root\"; mkdir oldroot usr proj; mount --rbind / oldroot; mount --rbind /usr usr; "
	"mount --rbind \"$1\" proj; for l in bin lib lib64; do ln -s usr/$l $l; done; "
	"chroot . sh -c 'echo attack > \"$1/new\"' sh \"$2\"";

/* Does writing by this way where it is not prevented reach the directory? */
static bool way_works(const struct way *way)
{
	struct scene s = scene_make(way);
	_autofree_ char *before = snapshot(s.victim_path);
	_autofree_ char *after = NULL;
	_autoclose_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct run_options options = {.fds = {{.from = root, .to = 4}}};
	_autorun_ struct run_result r = run_argv(
		&options, way->on_host ? (const char *const[]){"sh", "-c", write_by_host, "sh",
							       s.proj_path, s.dest_dir, NULL}
				       : (const char *const[]){"unshare", "-Urm", "sh", "-c",
							       write_by_old_root, "sh", s.proj_path,
							       s.dest_dir, s.victim_path, NULL});
	bool changed;

	after = snapshot(s.victim_path);
	changed = strcmp(before, after) != 0;
	scene_finish(&s);
	return changed;
}

static void expect_host_unchanged(const struct way *way, const struct operation *op)
{
	struct scene s = scene_make(way);
	_autofree_ char *before = snapshot(s.victim_path);
	_autorun_ struct run_result r = scene_run(&s, op, sbx_program());
	_autofree_ char *after = snapshot(s.victim_path);
	int expected = way->refused || op->on_existing ? 125 : 0;

	cr_expect_str_eq(after, before, "%s %s, %s: the host was changed", op->words[0], op->leaf,
			 way->name);
	cr_expect_eq(r.status, expected, "%s %s, %s: status %d, %s", op->words[0], op->leaf,
		     way->name, r.status, r.err);
	scene_finish(&s);
}

/*
 * What bubblewrap does, where it is installed: printed, not judged. Criterion
 * keeps what a test prints to itself, so the runner prints it when the test is over.
 */
static int bwrap_notes(int flags)
{
	_autofree_ char *path = NULL;

	cr_assert(asprintf(&path, "%s/bwrap-notes", getenv("SBX_TEST_TMPDIR")) > 0);
	return open(path, flags | O_CLOEXEC, 0644);
}

static void bwrap_note(const char *line, const char *end)
{
	_autoclose_ int fd = bwrap_notes(O_WRONLY | O_CREAT | O_APPEND);

	cr_assert(dprintf(fd, "%s%s", line, end) > 0);
}

ReportHook(POST_TEST)(struct criterion_test_stats *stats)
{
	_autoclose_ int fd = bwrap_notes(O_RDWR);
	char text[4096];
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text));

	(void)stats;
	if (len > 0 && ftruncate(fd, 0) == 0)
		dprintf(STDERR_FILENO, "%.*s", (int)len, text);
}

static void tell_of_bwrap(const struct way *way)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "# bwrap, %s: host changed by", way->name);
	int start = len;

	if (access("/usr/bin/bwrap", X_OK) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		struct scene s = scene_make(way);
		_autofree_ char *before = snapshot(s.victim_path);
		_autofree_ char *after = NULL;

		if (operations[i].bwrap) {
			_autorun_ struct run_result r =
				scene_run(&s, &operations[i], "/usr/bin/bwrap");

			after = snapshot(s.victim_path);
			if (strcmp(before, after) != 0)
				len += snprintf(line + len, sizeof(line) - (size_t)len, " %s(%s)",
						operations[i].words[0], operations[i].leaf);
		}
		scene_finish(&s);
	}
	bwrap_note(line, len == start ? " nothing\n" : "\n");
}

static void expect_way_closed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(ways[i].name, name) != 0)
			continue;
		cr_assert(way_works(&ways[i]), "%s leads nowhere", name);
		for (size_t j = 0; j < ARRAY_SIZE(operations); j++)
			expect_host_unchanged(&ways[i], &operations[j]);
		tell_of_bwrap(&ways[i]);
		return;
	}
	cr_assert_fail("no way is called %s", name);
}

Test(paths, absolute_link_in_dest, .timeout = 120)
{
	expect_way_closed("absolute link");
}

Test(paths, relative_link_in_dest, .timeout = 120)
{
	expect_way_closed("relative link");
}

Test(paths, link_to_an_old_root_in_dest, .timeout = 120)
{
	expect_way_closed("link to an old root");
	expect_way_closed("relative link to an old root");
}

Test(paths, magic_link_in_dest, .timeout = 120)
{
	expect_way_closed("magic link of the root");
	expect_way_closed("magic link of a descriptor");
}

Test(paths, literal_dots_in_dest, .timeout = 120)
{
	expect_way_closed("literal dots");
	expect_way_closed("literal dots to an old root");
}

Test(paths, link_as_last_part_of_file_dest)
{
	_autoclose_ int victim = tmp_tree("kept=kept\n");
	_autofree_ char *target = tree_path(victim, "kept");
	_autofree_ char *entry = expand("proj/cfg -> %s", target);
	_autoclose_ int proj = tmp_tree(entry);
	_autofree_ char *path = tree_path(proj, "proj");
	_autoclose_ int data = attack_data_fd("attack\n");
	const struct run_options options = {.fds = {{.from = data, .to = 10}}};
	_autofree_ char *by_host = tree_read(proj, "proj/cfg");
	_autorun_ struct run_result r = in_usr_with(&options, "--bind", path, "/proj", "--file",
						    "10", "/proj/cfg", SH("cat /proj/cfg"));
	_autofree_ char *kept = tree_read(victim, "kept");

	cr_assert_str_eq(by_host, "kept\n");
	expect_out(r, "attack\n");
	cr_expect_str_eq(kept, "kept\n");
}

/* Old kernels and some services' filters lack the call that all this rests on. */
Test(paths, without_openat2_nothing_is_set_up)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");

	skip_unless(access("/usr/bin/strace", X_OK) == 0, "strace is not installed");
	{
		_autorun_ struct run_result with =
			in_usr("--bind", path, "/d", "--dir", "/d/made", "--", "true");
		_autorun_ struct run_result without = run_program(
			"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e",
			"inject=openat2:error=ENOSYS", sbx_program(), "--ro-bind", "/usr", "/usr",
			"--bind", path, "/d", "--dir", "/d/more", "--", "true");

		cr_assert_eq(with.status, 0, "%s", with.err);
		cr_assert(tree_exists(tree, "d/made"));
		cr_expect_eq(without.status, 125, "%d", without.status);
		cr_expect(strstr(without.err, "Function not implemented"), "%s", without.err);
		cr_expect_not(tree_exists(tree, "d/more"));
	}
}

/* ---- sources ---- */

/*
 * Swap a source for a link to another while sbx is held up.
 * @source: below the tree
 * @held:   the call that waits, with the source open already
 * @opened: what strace prints when it has been, in two pieces
 */
static void swap_source(const char *source, const char *held, const char *const opened[2])
{
	_autofree_ char *inject = expand("inject=%s:delay_enter=3000000:when=1", held);
	_autoclose_ int tree = tmp_tree("src/file=right\n", "other/file=wrong\n");
	_autofree_ char *src = tree_path(tree, source);
	_autofree_ char *by_name = NULL;
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};

	skip_unless(access("/usr/bin/strace", X_OK) == 0, "strace is not installed");
	session_start(&session, NULL,
		      (const char *const[]){
			      "strace",	   "-f",	  "-qq",
			      "-o",	   "/dev/stdout", "-s",
			      "256",	   "-e",	  "trace=openat2,open_tree,mount_setattr",
			      "-e",	   inject,	  sbx_program(),
			      "--no-base", "--ro-bind",	  src,
			      "/d",	   "--ro-bind",	  "/usr",
			      "/usr",	   "--symlink",	  "usr/bin",
			      "/bin",	   "--symlink",	  "usr/lib",
			      "/lib",	   "--symlink",	  "usr/lib64",
			      "/lib64",	   "--",	  "cat",
			      "/d/file",   NULL});
	cr_assert(session_expect(&session, opened[0]) && session_expect(&session, opened[1]),
		  "%s%s", session.result.out, session.result.err);
	cr_assert(renameat(tree, "src", tree, "moved") == 0);
	cr_assert(symlinkat("other", tree, "src") == 0);
	by_name = tree_read(tree, "src/file");
	cr_assert_str_eq(by_name, "wrong\n", "the swap did not work");
	r = session_finish(&session);
	cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
	expect_said(r, "right\n");
	expect_not_said(r, "wrong\n");
}

/* A name in a directory is cloned by that name; the clone is what must not change any more. */
Test(paths, source_swapped_after_it_was_cloned, .timeout = 60)
{
	swap_source("src", "mount_setattr", (const char *const[]){"\"src\", ", "mount_setattr("});
}

/* Any other is opened first, and cloned by its descriptor. */
Test(paths, source_swapped_after_it_was_opened, .timeout = 60)
{
	swap_source("other/../src/.", "open_tree", (const char *const[]){"/src\"", "24) = "});
}

Test(paths, bind_fd_follows_the_directory_not_its_name)
{
	_autoclose_ int tree = tmp_tree("d/file=right\n", "other/file=wrong\n");
	_autoclose_ int fd = openat(tree, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct run_options options = {.fds = {{.from = fd, .to = 10}}};

	cr_assert(renameat(tree, "d", tree, "moved") == 0);
	cr_assert(renameat(tree, "other", tree, "d") == 0);
	{
		_autofree_ char *by_name = tree_read(tree, "d/file");
		_autorun_ struct run_result r =
			in_usr_with(&options, "--bind-fd", "10", "/d", SH("cat /d/file"));

		cr_assert_str_eq(by_name, "wrong\n");
		expect_out(r, "right\n");
	}
}

Test(paths, bind_fd_of_a_replaced_directory_is_refused)
{
	_autoclose_ int tree = tmp_tree("d/", "other/file=wrong\n");
	_autoclose_ int fd = openat(tree, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct run_options options = {.fds = {{.from = fd, .to = 10}}};
	_autofree_ char *path = tree_path(tree, "d");
	_autofree_ char *decoy = NULL;

	/* The name that the kernel gives for a removed directory can be made, too. */
	cr_assert(asprintf(&decoy, "%s (deleted)", path) > 0);
	cr_assert(unlinkat(tree, "d", AT_REMOVEDIR) == 0);
	cr_assert(renameat(tree, "other", tree, "d") == 0);
	cr_assert(mkdir(decoy, 0755) == 0);
	{
		_autofree_ char *by_name = tree_read(tree, "d/file");
		_autorun_ struct run_result r =
			in_usr_with(&options, "--bind-fd", "10", "/d", SH("ls /d"));

		cr_assert_str_eq(by_name, "wrong\n");
		expect_refused(r, "is no longer what the descriptor was opened on");
	}
}

/* ---- honest links work ---- */

Test(paths, honest_links_in_dest_work)
{
	_autorun_ struct run_result dangling =
		in_usr("--symlink", "/run/later", "/var/run2", "--tmpfs", "/var/run2/user",
		       SH("[ -d /run/later/user ] && readlink /var/run2"));
	_autorun_ struct run_result last =
		in_usr("--dir", "/real", "--symlink", "/real", "/name", "--tmpfs", "/name",
		       SH("[ -L /name ] && grep -c ' /real ' /proc/self/mountinfo"));
	_autorun_ struct run_result absolute =
		in_usr("--symlink", "/usr/share", "/s", "--tmpfs", "/s/doc",
		       SH("ls -A /usr/share/doc; ls /usr/share | grep -c doc"));
	_autorun_ struct run_result relative =
		in_usr("--symlink", "../run", "/var/r", "--dir", "/var/r/made",
		       SH("[ -d /run/made ] && echo made"));

	expect_out(dangling, "/run/later\n");
	expect_out(last, "1\n");
	cr_expect_eq(absolute.status, 0, "%s", absolute.err);
	expect_out(relative, "made\n");
}

Test(paths, honest_links_in_source_work)
{
	_autoclose_ int tree = tmp_tree("run/file=shown\n", "var/up -> ../run", "var/chain -> up",
					"var/dots -> ../var/../run/.");
	_autofree_ char *up = tree_path(tree, "var/up");
	_autofree_ char *chain = tree_path(tree, "var/chain");
	_autofree_ char *dots = tree_path(tree, "var/dots");
	_autofree_ char *var = tree_path(tree, "var");
	const struct run_options there = {.cwd = var};
	_autorun_ struct run_result r =
		in_usr("--ro-bind", up, "/1", "--ro-bind", chain, "/2", "--ro-bind", dots, "/3",
		       SH("cat /1/file /2/file /3/file"));
	_autorun_ struct run_result relative =
		in_usr_with(&there, "--ro-bind", "up", "/1", "--ro-bind", "../var/dots", "/2",
			    SH("cat /1/file /2/file"));

	expect_out(r, "shown\nshown\nshown\n");
	expect_out(relative, "shown\nshown\n");
}

/* The host's own /var/run is such a link on every current system. */
Test(paths, var_run_of_the_host_is_found)
{
	_autorun_ struct run_result r = in_usr("--ro-bind", "/var/run", "/r", "--ro-bind", "/run",
					       "/s", SH("[ /r -ef /s ] && echo same"));

	expect_out(r, "same\n");
}

/* ---- no way back from inside ---- */

/* From each directory go up, step by step, and see that it ends at the sandbox's root. */
static const char climb[] =
	"n=0\n"
	"for d in $(find / -path '/proc/*' -prune -o -path '/usr/*/*' -prune -o -type d -print); "
	"do\n"
	"  cd \"$d\" || continue\n"
	"  for i in 1 2 3 4 5 6 7 8 9; do cd -P ..; done\n"
	"  [ . -ef / ] && [ \"$(echo *)\" = \"$(echo /* | sed 's,/,,g')\" ] || echo \"out from "
	"$d\"\n"
	"  [ -e \"$1\" ] && echo \"$1 is visible\"\n"
	"  cd -P \"$d/../../../../../../../../..\"; [ . -ef / ] || echo \"up from $d\"\n"
	"  n=$((n + 1))\n"
	"done\n"
	"[ /.. -ef / ] || echo 'out of /'\n"
	"for name in /oldroot /newroot /tmp/oldroot /.oldroot; do [ ! -e $name ] || echo $name; "
	"done\n"
	"[ $n -gt 8 ] && echo climbed\n";

Test(paths, no_way_up_from_any_directory, .timeout = 60)
{
	_autoclose_ int tree = tmp_tree("d/a/b/c/file", "e/f/");
	_autofree_ char *path = tree_path(tree, "d");
	_autoclose_ int data = attack_data_fd("data");
	const struct run_options options = {.fds = {{.from = data, .to = 10}}};
	_autorun_ struct run_result outside = run_program("test", "-e", path);
	_autorun_ struct run_result plain =
		in_usr("--bind", path, "/d", "--tmpfs", "/t/u/v", BASH(climb), "bash", path);
	_autorun_ struct run_result data_used =
		in_usr_with(&options, "--bind", path, "/d", "--bind-data", "10", "/a/file",
			    BASH(climb), "bash", path);
	_autorun_ struct run_result caps =
		in_usr("--cap-add", "ALL", "--bind", path, "/d", BASH(climb), "bash", path);

	cr_assert_eq(outside.status, 0);
	expect_out(plain, "climbed\n");
	expect_out(data_used, "climbed\n");
	expect_out(caps, "climbed\n");
}

Test(paths, no_way_up_from_a_root_that_was_bound, .timeout = 60)
{
	_autoclose_ int data = attack_data_fd("data");
	const struct run_options options = {.fds = {{.from = data, .to = 10}}};
	_autoclose_ int tree =
		tmp_tree("root/usr/", "root/a/b/", "root/proc/", "root/dev/",
			 "root/lib64 -> usr/lib64", "root/lib -> usr/lib", "root/bin -> usr/bin",
			 "root/f1/", "root/f2/", "root/f3/", "root/f4/", "beside=secret");
	_autofree_ char *path = tree_path(tree, "root");
	_autofree_ char *beside = tree_path(tree, "beside");
	_autorun_ struct run_result r =
		run_sbx_with(&options, "--rootfs", path, "--ro-bind", "/usr", "/usr", "--bind-data",
			     "10", "/a/data", BASH(climb), "bash", beside);
	_autorun_ struct run_result whole = run_sbx_with(
		&options, "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--bind-data", "10",
		"/tmp/a/data",
		BASH("[ /.. -ef / ] && cd /tmp/a && cd -P ../.. && [ . -ef / ] &&"
		     " cd /tmp/a/.. && echo * && cd /usr/.. && [ . -ef / ] && echo up"));

	expect_out(r, "climbed\n");
	expect_out(whole, "a\nup\n");
}

Test(paths, a_working_directory_outside_is_left)
{
	_autoclose_ int tree = tmp_tree("d/secret=token\n");
	_autofree_ char *path = tree_path(tree, "d");
	const struct run_options there = {.cwd = path};
	_autorun_ struct run_result outside =
		run_argv(&there, (const char *const[]){"cat", "secret", NULL});
	_autorun_ struct run_result r = in_usr_with(
		&there, SH("cat secret /proc/self/cwd/secret; [ \"$(pwd -P)\" = \"$(readlink"
			   " /proc/self/cwd)\" ] && [ -d \"$(pwd -P)\" ] && echo inside"));
	_autorun_ struct run_result no_base = in_usr_with(
		&there, "--no-base", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin",
		"/bin", "--symlink", "usr/lib", "/lib", SH("cat secret; pwd -P"));

	expect_out(outside, "token\n");
	expect_out(r, "inside\n");
	expect_out(no_base, "/\n");
}
