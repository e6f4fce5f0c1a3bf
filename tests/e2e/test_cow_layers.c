/* SPDX-License-Identifier: MIT */
/* --cow where one overlay of one directory is not all there is to it. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cow.h"

/* The home directory itself is the view, in which the sessions are. */
static struct run_result in_home(const struct cow_site *site, const char *script)
{
	const char *home = site->place.home + strlen("HOME=");

	return run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			    "/usr", "--cow", home, "--session", "s", "--chdir", home,
			    "--overlay-driver", site->sbx_driver, "--", "/bin/sh", "-c", script);
}

Test(cow_layers, a_view_may_hold_its_session)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run =
			in_home(&site, "echo new >n; d=.local/state/sbx/sessions; ls -A $d; "
				       "touch $d/x 2>/dev/null || echo shut; mv .local gone "
				       "2>/dev/null; rm -rf .local 2>/dev/null; ls -A $d");
		_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "--include", "n", "s");

		expect_out(run, "shut\n");
		cr_expect(strstr(names.out, "/n\n"), "%s: %s", driver, names.out);
		cr_expect_null(strstr(names.out, "/.local"), "%s: %s", driver, names.out);
		expect_success(apply);
		_autofree_ char *text = tree_read(site.place.tree, "home/n");

		cr_expect_str_eq(text, "new\n");
		_autorun_ struct run_result again = in_home(&site, "cat n; echo more >>n");
		_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");

		expect_out(again, "new\n");
		expect_success(gone);
		cow_finish(&site);
	}
}

/* In a sandbox, as an ordinary user mounts nothing: with mounts below a directory. */
static struct run_result below_mounts(const struct cow_site *site, const char *script)
{
	_autofree_ char *mount = tree_path(site->tree, "m"), *deep = NULL;
	_autofree_ char *proc = tree_path(site->tree, "p"), *file = tree_path(site->tree, "f");
	const char *home = site->place.home + strlen("HOME=");

	cr_assert(asprintf(&deep, "%s/deep", mount) > 0);
	return run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			    "/usr", "--allow-userns", "--dev-bind-try", "/dev/fuse", "/dev/fuse",
			    "--ro-bind", sbx_program(), "/sbx", "--bind", home, home, "--bind",
			    site->path, site->path, "--tmpfs", mount, "--tmpfs", deep, "--ro-bind",
			    "/usr/bin/env", file, "--proc", proc, "--chdir", site->path, "--setenv",
			    "HOME", home, "--", "/bin/sh", "-c", script);
}

static const char *const below = "echo 1 >m/one; echo 2 >m/deep/two; "
				 "/sbx --ro-bind /usr /usr --cow . --session s ";

Test(cow_layers, mounts_below_are_layers_of_their_own)
{
	char script[2048];
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n", "m/", "p/", "f=f\n");
	(void)snprintf(script, sizeof(script),
		       "%s -- /bin/sh -c 'cat m/one m/deep/two; echo 3 >m/deep/three; rm m/one; "
		       "echo b >b; echo w 2>/dev/null >f || echo ro; ls p' 2>err; grep -c "
		       "\"passed over: .*/p, \" err; ls m m/deep; /sbx diff --name-only s "
		       "| sed 's,.*/\\(m/\\)*,,'; /sbx apply s; ls m m/deep b; /sbx discard s",
		       below);
	_autorun_ struct run_result run = below_mounts(&site, script);

	expect_out(run, "1\n2\nro\n1\nm:\ndeep\none\n\nm/deep:\ntwo\nb\none\nthree\n"
			"applied: 2 added, 0 changed, 1 deleted\nb\n\nm:\ndeep\n\nm/deep:\nthree\n"
			"two\n");
	cow_finish(&site);
}

/* Whoever serves it may never answer, or does not let the layers in. */
Test(cow_layers, a_mount_of_fuse_is_passed_over)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "kernel", "a=a\n", "m/", "x/one=1\n", "y/two=2\n");
	_autofree_ char *m = tree_path(site.tree, "m"), *x = tree_path(site.tree, "x"),
			*y = tree_path(site.tree, "y");
	const char *home = site.place.home + strlen("HOME=");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--allow-userns", "--dev-bind", "/dev/fuse",
		"/dev/fuse", "--ro-bind", sbx_program(), "/sbx", "--bind", home, home, "--bind",
		site.path, site.path, "--overlay-driver=fuse", "--overlay-src", x, "--overlay-src",
		y, "--ro-overlay", m, "--chdir", site.path, "--setenv", "HOME", home, "--",
		"/bin/sh", "-c",
		"ls m; /sbx --ro-bind /usr /usr --cow . --session s -- /bin/sh -c 'ls m; echo 2 "
		">a' 2>err; grep -c 'passed over: .*/m, ' err; /sbx diff --name-only s");

	cr_expect(strncmp(run.out, "one\ntwo\n1\n", strlen("one\ntwo\n1\n")) == 0, "%s%s", run.out,
		  run.err);
	cow_finish(&site);
}

/* Its part of the session would be without a place, or it without a part. */
Test(cow_layers, a_mount_that_came_or_went_is_named)
{
	for (int came = 0; came < 2; came++) {
		char script[1024];
		struct cow_site site;

		if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
			return;
		cow_start(&site, "fuse", "a=a\n", "m/", "p/", "f=f\n");
		(void)snprintf(script, sizeof(script), "%s -- /bin/sh -c 'echo b >b'", below);
		_autorun_ struct run_result first =
			came ? cow_run(&site, "echo b >b") : below_mounts(&site, script);
		_autorun_ struct run_result then =
			came ? below_mounts(&site, script) : cow_run(&site, "echo c >c");

		expect_success(first);
		cr_expect_eq(then.status, 125);
		cr_expect(strstr(then.err, came ? "/m by now" : "/m, and nothing is by now"), "%s",
			  then.err);
		cr_expect(strstr(then.err, came ? "unmount it, or" : "mount it again, or"), "%s",
			  then.err);
		cow_finish(&site);
	}
}

/* By name, with the reason, and with nothing left. */
Test(cow_layers, the_kernel_shows_nothing_with_mounts_below)
{
	char script[1024];
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "m/", "p/", "f=f\n");
	(void)snprintf(script, sizeof(script),
		       "%s --overlay-driver=kernel -- /bin/true; /sbx sessions --json", below);
	_autorun_ struct run_result run = below_mounts(&site, script);

	expect_out(run, "[]\n");
	cr_expect(strstr(run.err, "--overlay-driver: ") &&
			  strstr(run.err, "the kernel shows no layer with mounts below it"),
		  "%s", run.err);
	cow_finish(&site);
}

/* A file of the directory at another name of it, as by mount --bind, and a directory too. */
static struct run_result below_binds(const struct cow_site *site, const char *script)
{
	_autofree_ char *a = tree_path(site->tree, "a"), *b = tree_path(site->tree, "b");
	_autofree_ char *in = tree_path(site->tree, "d/in"),
			*other = tree_path(site->tree, "other");
	const char *home = site->place.home + strlen("HOME=");

	return run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			    "/usr", "--allow-userns", "--dev-bind-try", "/dev/fuse", "/dev/fuse",
			    "--ro-bind", sbx_program(), "/sbx", "--bind", home, home, "--bind",
			    site->path, site->path, "--bind", a, b, "--bind", in, other, "--chdir",
			    site->path, "--setenv", "HOME", home, "--", "/bin/sh", "-c", script);
}

Test(cow_layers, what_is_mounted_is_not_replaced)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n", "b=", "c=c\n", "d/in/x=x\n", "other/");
	_autorun_ struct run_result run = below_binds(
		&site, "/sbx --ro-bind /usr /usr --cow . --session s -- /bin/sh -ec "
		       "'echo 2 >a; echo 2 >c; rm -r d' 2>/dev/null; "
		       "/sbx apply s 2>err; echo $?; sed 's,/[^ ]*/,,g' err; cat a b c d/in/x; "
		       "/sbx apply --force s 2>/dev/null; echo $?; "
		       "/sbx apply --exclude a --exclude d s; cat a b c; "
		       "/sbx --ro-bind /usr /usr --cow . --session s -- /bin/cat a b");

	expect_out(run,
		   "1\n"
		   "sbx: a: cannot be replaced, as it is mounted at b\n"
		   "sbx: d: has something in it that is mounted at other\n"
		   "sbx: s: 2 of the entries cannot be replaced, as they are mounted; nothing "
		   "was applied\n"
		   "     hint:  unmount them, and mount them again afterwards, or leave them out "
		   "with --exclude\n"
		   "a\na\nc\nx\n1\napplied: 0 added, 1 changed, 0 deleted\na\na\n2\n"
		   "2\na\n");
	cow_finish(&site);
}

/* Since the session began: neither is it compared, whatever it is, nor does it keep the rest. */
Test(cow_layers, a_changed_file_that_something_is_mounted_on)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=same\n", "b=b\n", "c=c\n", "d/in/x=x\n", "other/");
	_autorun_ struct run_result first =
		run_sbx_with(&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr",
			     "/usr", "--cow", site.path, "--session", "s", "--chdir", site.path,
			     "--", "/bin/sh", "-c", "echo diff >b; echo 2 >c");
	_autorun_ struct run_result run = below_binds(
		&site, "/sbx diff --name-only s | sed 's,.*/,,'; /sbx diff --patch s >p; echo $?; "
		       "/sbx apply -n s >/dev/null 2>err; echo $?; sed 's,/[^ ]*/,,g' p err; "
		       "/sbx apply --exclude b s; cat c");

	expect_success(first);
	expect_out(run,
		   "b\nc\n0\n1\n# M  b (content)  not shown: something is mounted on it by now\n"
		   "diff --git a/c b/c\n--- a/c\n+++ b/c\n@@ -1 +1 @@\n-c\n+2\n"
		   "sbx: b: cannot be replaced, as it is mounted at b\n"
		   "sbx: s: 1 of the entries cannot be replaced, as it is mounted; nothing was "
		   "applied\n"
		   "     hint:  unmount them, and mount them again afterwards, or leave them out "
		   "with --exclude\n"
		   "applied: 0 added, 1 changed, 0 deleted\n2\n");
	cow_finish(&site);
}

/* It cannot be mounted a second time, which is said; all else is there. */
Test(cow_layers, what_is_mounted_and_deleted_is_passed_over)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n", "b=", "c=c\n", "d/in/x=x\n", "other/");
	_autorun_ struct run_result run =
		below_binds(&site, "echo 2 >new; mv new a; rm -r d/in; "
				   "/sbx --ro-bind /usr /usr --cow . --session s -- /bin/sh -c "
				   "'cat a b c; ls other; echo 3 >c; test -f b || echo no file; "
				   "(echo 4 >b) && echo lost' 2>err; "
				   "sed -n 's,/[^ ]*/,,g;s/a mount below.*, is/is/p' err; "
				   "/sbx diff --name-only s | sed 's,.*/,,'");

	expect_out(run,
		   "2\nc\n"
		   "sbx: passed over: b, is not shown: what is mounted there was deleted or "
		   "replaced; unmount it, and mount what it is now\n"
		   "sbx: passed over: other, is not shown: what is mounted there was deleted or "
		   "replaced; unmount it, and mount what it is now\n"
		   "c\n");
	cow_finish(&site);
}

Test(cow_layers, the_whole_view)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = run_sbx_with(
		&options, "--cow", "/", "--session", "r", "--chdir", site.path, "--", "/bin/sh",
		"-c",
		"echo b >>a; echo n >n; ls -d /proc/1 /dev/null; ls -A $HOME/.local/state/sbx/*");
	_autofree_ char *text = tree_read(site.tree, "a");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "r");
	char expected[1024];

	expect_out(run, "/dev/null\n/proc/1\n");
	cr_expect_str_eq(text, "a\n");
	(void)snprintf(expected, sizeof(expected), "M  %s/a (content)\nA  %s/n\n", site.path,
		       site.path);
	expect_out(diff, expected);
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "r");
	_autofree_ char *now = tree_read(site.tree, "a");

	expect_success(apply);
	cr_expect_str_eq(now, "a\nb\n");
	cow_finish(&site);
}

/* Files of ids that only the sandbox has. */
Test(cow_layers, other_ids_files_are_within_reach)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		struct stat st;

		cow_start(&site, driver, "a=a\n");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--root", "--map=range", "--ro-bind", "/usr", "/usr", "--cow",
			site.path, "--session", "s", "--overlay-driver", driver, "--chdir",
			site.path, "--", "/bin/sh", "-ec",
			"mkdir -p d/e; echo n >d/e/n; chown -R 33:33 d; chmod 600 d/e/n; "
			"chmod 700 d/e d");

		skip_unless(run.status == 0 || !strstr(run.err, "subuid"),
			    "there has to be a range of ids");
		expect_success(run);
		_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		cr_expect(strstr(names.out, "/d/e/n\n"), "%s%s", names.out, names.err);
		expect_success(apply);
		cr_assert_eq(fstatat(site.tree, "d/e/n", &st, 0), 0);
		cr_expect_eq(st.st_uid, geteuid());
		cr_expect_eq(st.st_gid, getegid());
		_autofree_ char *text = tree_read(site.tree, "d/e/n");

		cr_expect_str_eq(text, "n\n");
		_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");

		expect_out(gone, "");
		cow_finish(&site);
	}
}

/* Those that have no id inside are told as nobody, who has one there: still they can be read. */
Test(cow_layers, files_of_roots_are_read_where_ranges_are_mapped)
{
	static const char file[] = "/etc/skel/.bashrc";
	struct cow_site site;
	struct stat st;

	skip_unless(stat(file, &st) == 0 && st.st_uid == 0 && geteuid() != 0,
		    "/etc/skel/.bashrc has to be root's, and the caller not root");
	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = run_sbx_with(
		&options, "--map=range", "--ro-bind", "/usr", "/usr", "--cow", "/etc/skel",
		"--session", "s", "--overlay-driver=fuse", "--", "/usr/bin/cat", file);

	skip_unless(run.status == 0 || !strstr(run.err, "subuid"),
		    "there has to be a range of ids");
	expect_success(run);
	cr_expect_eq((off_t)strlen(run.out), st.st_size, "%s", run.err);
	cow_finish(&site);
}

/* A directory of root's is copied as "nobody's"; to add a name is no change of its owner. */
Test(cow_layers, what_is_copied_keeps_its_owner)
{
	static const char *const maps[] = {"--map=range", "--map=single"};
	struct cow_site site;
	char expected[1024];
	struct stat st;

	skip_unless(stat("/var/tmp", &st) == 0 && st.st_uid == 0 && (st.st_mode & S_IWOTH),
		    "/var/tmp has to be root's, for all");
	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n");
	const struct run_options options = {.env = site.place.env};

	/* Also where the session was begun without those ids. */
	for (size_t i = 0; i < 3; i++) {
		_autorun_ struct run_result run =
			run_sbx_with(&options, maps[(i + 1) % 2], "--ro-bind", "/usr", "/usr",
				     "--cow", "/var", "--cow", site.path, "--chdir", site.path,
				     "--session", "s", "--overlay-driver=fuse", "--", "/bin/sh",
				     "-c", "echo b >a; echo n 2>/dev/null >/var/tmp/sbx-new");
		skip_unless(run.status == 0 || !strstr(run.err, "subuid"),
			    "there has to be a range of ids");
		/* Whatever lies in /var. */
		skip_unless(run.status != 125 || !strstr(run.err, ".wh."),
			    "a name in /var begins with .wh.");
		if (i > 0)
			cr_expect(strstr(run.err, "sbx: 1 added, 1 changed, 0 deleted"), "%s",
				  run.err);
	}
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result gone = cow_verb(&site, "discard", "s");

	(void)snprintf(expected, sizeof(expected), "A  /var/tmp/sbx-new\nM  %s/a (content)\n",
		       site.path);
	expect_out(diff, expected);
	expect_out(gone, "");
	cow_finish(&site);
}

/* What the command gives away is told, to "nobody" as well. */
Test(cow_layers, what_is_given_to_nobody_is_told)
{
	struct cow_site site;
	char expected[1024];

	cow_start(&site, "kernel", "a=a\n", "b=b\n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run =
		run_sbx_with(&options, "--root", "--map=range", "--ro-bind", "/usr", "/usr",
			     "--cow", site.path, "--session", "s", "--chdir", site.path, "--",
			     "/bin/sh", "-ec", "chown 33:33 a; chown 65534:65534 b");
	skip_unless(run.status == 0, "there has to be a range of ids");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");

	(void)snprintf(expected, sizeof(expected), "M  %s/a (owner ", site.path);
	cr_expect(strstr(diff.out, expected), "%s", diff.out);
	(void)snprintf(expected, sizeof(expected), "M  %s/b (owner ", site.path);
	cr_expect(strstr(diff.out, expected), "%s", diff.out);
	cow_finish(&site);
}

/*
 * Applied by root, what was copied keeps the owner that the host's has. A layer as fuse-overlayfs
 * makes it, in a sandbox that has ids 0 and 65534, of a file of 33's and one of 0's.
 */
Test(cow_layers, root_keeps_owners)
{
	struct cow_site site;

	cow_start(&site, "fuse", "a=a\n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result run = run_sbx_with(
		&options, "--root", "--map=range", "--ro-bind", "/usr", "/usr", "--ro-bind",
		sbx_program(), "/sbx", "--chdir", "/tmp", "--", "/bin/sh", "-ec",
		"mkdir -p -m 700 t s/0/upper s/0/work/fuse-overlayfs; umask 077; chmod 700 s t\n"
		"echo o >t/copied; echo o >t/given; chown 33:34 t/copied; sleep 0.1\n"
		"cd s/0/upper; echo n | tee copied >given; chown 65534:65534 *; chmod 600 *; cd "
		"/tmp\n"
		"printf 'sbx-session=1\\0began=%s\\0nobody=65534:65534\\0uids=0:1\\0uids=65534:1"
		"\\0gids=0:1\\0gids=65534:1\\0root=/tmp/t\\0inode=%s\\0' "
		"$(date +%s.%N) $(stat -c %d:%i t) >s/meta\n"
		"/sbx diff ./s; /sbx apply ./s; stat -c '%n %u %g' t/*; cat t/*; /sbx diff ./s");

	skip_unless(run.status == 0 || !strstr(run.err, "subuid"), "there has to be a range");
	expect_out(run, "M  /tmp/t/copied (content)\n"
			"M  /tmp/t/given (content, owner 0:0 -> 65534:65534)\n"
			"applied: 0 added, 2 changed, 0 deleted\n"
			"t/copied 33 34\nt/given 65534 65534\nn\nn\n");
	cow_finish(&site);
}

/*
 * The shortest that make fuse-overlayfs 1.10 and 1.14 find a removed name again where they keep
 * what is written: a directory made anew, of which the one above is looked up once more; and a name
 * that something was renamed to, whose removal is lost for good.
 */
Test(cow_layers, what_was_removed_is_not_found_again)
{
	static const struct {
		const char *script, *diff;
	} rows[] = {
		{"rm -r p/d; mkdir p/d; cd p/d; touch ../x; rm ../x; stat ../../p >/dev/null; "
		 "! cat k 2>/dev/null",
		 "D  /p/d/k\n"},
		{"echo n >n; mv n f; rm f; ! cat f 2>/dev/null", "D  /f\n"},
		{"echo n >n; mv n f; mv f g; ! cat f 2>/dev/null; cat g >&2", "D  /f\nA  /g\n"},
		{"cd p; echo n >n; mv n e; rm e; ! cat e 2>/dev/null", "D  /p/e\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		EACH_DRIVER(driver)
		{
			struct cow_site site;

			cow_start(&site, driver, "p/d/k=k\n", "p/e=e\n", "f=f\n");
			_autorun_ struct run_result run = cow_run(&site, rows[i].script);
			const struct run_options options = {.env = site.place.env,
							    .cwd = site.path};
			_autorun_ struct run_result diff = run_argv(
				&options, (const char *const[]){"/bin/sh", "-c",
								"\"$1\" diff s | sed \"s#$PWD##\"",
								"sh", sbx_program(), NULL});

			expect_out(run, "");
			expect_out(diff, rows[i].diff);
			cow_finish(&site);
		}
}

/* fuse-overlayfs 1.10 finds them again where the kernel may remember names for it. */
Test(cow_layers, removed_names_stay_removed_in_a_directory_made_anew)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/k=k\n", "d/sub/z=z\n");
		_autorun_ struct run_result run = cow_run(
			&site, "for i in 1 2 3; do cat d/k >/dev/null 2>&1 || :; rm -r d; mkdir d; "
			       "[ $i = 2 ] || ls d; : >d/new; ! cat d/k 2>/dev/null; "
			       "! ls d/sub 2>/dev/null; done; ls d");

		expect_out(run, "new\n");
		cow_finish(&site);
	}
}

/* What means something in the options of a mount, or to fuse-overlayfs. */
Test(cow_layers, any_name_will_do)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "x:y,z\\0 w/a=a\n", "s:t,u\\/");
		_autofree_ char *view = tree_path(site.tree, "x:y,z\\0 w");
		_autofree_ char *session = tree_path(site.tree, "s:t,u\\/s:1,\\2");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = in_usr_with(
			&options, "--cow", view, "--session", session, "--overlay-driver", driver,
			"--chdir", view, "--", "/bin/sh", "-ec", "cat a; echo n >'n:,\\'; rm a");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", session);

		expect_out(run, "a\n");
		expect_success(apply);
		cr_expect(!tree_exists(site.tree, "x:y,z\\0 w/a"));
		cr_expect(tree_exists(site.tree, "x:y,z\\0 w/n:,\\"));
		cow_finish(&site);
	}
}

/* Made anew, so that the layer needs a mark: an attribute. */
static struct run_result in_memory(const struct cow_site *site, const char *session,
				   const char *driver)
{
	return run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			    "/usr", "--cow", site->path, "--session", session, "--chdir",
			    site->path, "--overlay-driver", driver, "-v", "--", "/bin/sh", "-ec",
			    "rm -r d; mkdir d; echo n >d/n; ls d");
}

/* Before Linux 6.6 a tmpfs keeps none: the kernel is not asked, or if it must be, that is said. */
Test(cow_layers, a_session_in_memory_is_for_who_can_keep_it)
{
	char memory[] = "/dev/shm/sbx-test-XXXXXX", by_kernel[64], by_either[64];
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	skip_unless(mkdtemp(memory), "no /dev/shm");
	snprintf(by_kernel, sizeof(by_kernel), "%s/k", memory);
	snprintf(by_either, sizeof(by_either), "%s/e", memory);
	cow_start(&site, "kernel", "d/x=x\n");
	_autorun_ struct run_result kernel = in_memory(&site, by_kernel, "kernel");
	_autorun_ struct run_result automatic = in_memory(&site, by_either, "auto");
	_autorun_ struct run_result either = in_memory(&site, by_either, "fuse");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", by_either);
	_autorun_ struct run_result there = run_program("/bin/ls", memory);
	_autorun_ struct run_result gone = cow_verb(&site, "discard", by_either);
	char expected[1024];

	(void)snprintf(expected, sizeof(expected), "%s/d/n\n%s/d/x\n", site.path, site.path);
	expect_out(either, "n\n");
	expect_out(diff, expected);
	expect_success(gone);
	if (tmpfs_has_attributes()) {
		_autorun_ struct run_result too = cow_verb(&site, "discard", by_kernel);

		expect_success(too);
		expect_out(kernel, "n\n");
		expect_out(there, "e\nk\n");
	} else {
		expect_failure(kernel, 125, "--overlay-driver: ");
		expect_failure(kernel, 125, "whose filesystem has no user attributes");
		expect_failure(kernel, 125, "--session DIR on another filesystem");
		expect_failure(automatic, 125, "fuse-overlayfs could keep what is written, but ");
		expect_failure(automatic, 125, "--session DIR on another filesystem");
		expect_out(there, "e\n");
		cr_expect(strstr(either.err, "has no user attributes"), "%s", either.err);
	}
	cr_expect_eq(rmdir(memory), 0, "%m");
	cow_finish(&site);
}

/* The view, seen from the root directory: its own may be closed. */
static struct run_result from_above(const struct cow_site *site, const char *root,
				    const char *script)
{
	return run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			    "/usr", root, "--cow", site->path, "--session", "s", "--chdir", "/",
			    "--overlay-driver", site->sbx_driver, "--setenv", "P", site->path, "--",
			    "/bin/sh", "-ec", script);
}

/* The command may shut everybody out of the directory itself. */
Test(cow_layers, a_closed_root_is_read)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		struct stat st;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run =
			from_above(&site, "--verbose", "touch $P/z; chmod 0 $P");
		_autorun_ struct run_result again =
			from_above(&site, "--verbose", "chmod 300 $P; echo new >$P/y; chmod 0 $P");
		_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		cr_expect(strstr(run.err, "1 added, 1 changed, 0 deleted: see"), "%s", run.err);
		expect_success(again);
		cr_expect(strstr(names.out, "/y\n") && strstr(names.out, "/z\n"), "%s: %s %s",
			  driver, names.out, names.err);
		expect_success(apply);
		cr_assert_eq(fstat(site.tree, &st), 0);
		cr_expect_eq(st.st_mode & 07777, 0);
		cr_assert_eq(chmod(site.path, 0700), 0);
		cr_expect(tree_exists(site.tree, "z") && tree_exists(site.tree, "y"));
		cow_finish(&site);
	}
}

/* Or give it to another id of the sandbox's. */
Test(cow_layers, a_root_of_another_id_is_read)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run = from_above(
			&site, "--root", "touch $P/z; chown 1 $P/z $P; chmod 700 $P/z $P");
		_autorun_ struct run_result again =
			from_above(&site, "--root", "touch $P/y; cat $P/a");
		_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");

		expect_success(run);
		cr_expect(strstr(run.err, "1 added, 1 changed, 0 deleted: see"), "%s", run.err);
		expect_out(again, "a\n");
		cr_expect(strstr(names.out, "/y\n") && strstr(names.out, "/z\n"), "%s: %s %s",
			  driver, names.out, names.err);
		cow_finish(&site);
	}
}

/* What its owner can only go through can be a view, and what he cannot read at all too. */
Test(cow_layers, a_closed_directory_of_the_callers_is_shown)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "fuse", "a=a\n");
	cr_assert_eq(chmod(site.path, 0311), 0);
	_autorun_ struct run_result run = from_above(&site, "--verbose", "cat $P/a; touch $P/z");
	_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");

	expect_out(run, "a\n");
	cr_expect(strstr(run.err, "1 added, 0 changed, 0 deleted: see"), "%s", run.err);
	cr_expect(strstr(names.out, "/z\n"), "%s", names.err);
	cow_finish(&site);
}

/* Which of the drivers it was; where that is one that loses something, why, and what helps. */
Test(cow_layers, what_it_has_become_is_told)
{
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "auto", "a=a\n", "work/", "over/");
	_autofree_ char *over = tree_path(site.tree, "over");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result kernel = run_sbx_with(&options, "-v", "--ro-bind", "/usr",
							  "/usr", "--cow", over, "--", "/bin/true");
	_autorun_ struct run_result fuse =
		run_sbx_with(&options, "-v", "--ro-bind", "/usr", "/usr", "--overlay-driver=fuse",
			     "--cow", over, "--", "/bin/true");
	/* The kernel takes no overlay as the upper layer of another. */
	_autorun_ struct run_result alone =
		run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--allow-userns", "--dev-bind",
			     "/dev/fuse", "/dev/fuse", "--ro-bind", sbx_program(), "/sbx", "--bind",
			     site.path, site.path, "--overlay-src", over, "--tmp-overlay", over,
			     "--chdir", site.path, "--", "/bin/sh", "-c",
			     "mkdir over/up; L='--ro-bind /usr /usr'; "
			     "/sbx $L --cow work --session over/s -- /bin/true 2>&1; "
			     "ls -A over/s 2>/dev/null; "
			     "/sbx -v $L --overlay-driver=fuse --cow work --session over/s -- "
			     "/bin/true 2>&1; "
			     "/sbx $L --overlay-driver=fuse --overlay-src work --overlay over/up "
			     "work /m -- /bin/true 2>&1 | grep -c keeps; "
			     "/sbx $L --overlay-driver=kernel --cow work --session over/t -- "
			     "/bin/true 2>&1");
	_autofree_ char *error = NULL;

	cr_assert(asprintf(&error,
			   "sbx: --cow %s/work: the kernel does not take the filesystem of "
			   "%s/over/s/0/upper for what is written; fuse-overlayfs could keep that, "
			   "but may lose a removal\n",
			   site.path, site.path) > 0);

	if (tmpfs_has_attributes()) {
		cr_expect(strstr(kernel.err, "over is put together by the kernel\n"), "%s",
			  kernel.err);
		cr_expect(strstr(fuse.err,
				 "over is put together by the kernel over fuse-overlayfs\n"),
			  "%s", fuse.err);
		cr_expect(strstr(alone.out, "work is put together by fuse-overlayfs"), "%s",
			  alone.out);
		/* Where nobody has asked for that, and nothing is left. */
		cr_expect(strstr(alone.out, error) == alone.out, "%s", alone.out);
		cr_expect(strstr(alone.out, "does not take the filesystem of what is written; "
					    "--session DIR on another filesystem does without"),
			  "%s", alone.out);
	}
	cr_expect(strstr(alone.out, "\n0\n"), "of what fails nothing is lost: %s", alone.out);
	cow_finish(&site);
}

/* With what is mounted in the view, at names that neither it nor the host has. */
static struct run_result with_mounts(const struct cow_site *site, const char *script)
{
	static const char *const names[] = {"new", "t", "d", "m/n/p", "link/y", "have/z"};
	char *at[ARRAY_SIZE(names)];
	struct run_result run;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_assert(asprintf(&at[i], "%s/%s", site->path, names[i]) > 0);
	run = run_sbx_with(&((struct run_options){.env = site->place.env, .input = "data\n"}),
			   "--ro-bind", "/usr", "/usr", "--cow", site->path, "--session", "s",
			   "--chdir", site->path, "--overlay-driver", site->sbx_driver, "--ro-bind",
			   "/usr/bin/env", at[0], "--tmpfs", at[1], "--dev", at[2], "--tmpfs",
			   at[3], "--ro-bind", "/usr/bin/env", at[4], "--ro-bind-data", "0", at[5],
			   "--", "/bin/sh", "-c", script);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(at[i]);
	return run;
}

/* Apply would leave an empty file or directory for each, and those above. */
Test(cow_layers, what_is_mounted_in_a_view_is_no_change)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char expected[4096];

		cow_start(&site, driver, "a=a\n", "have/old=o\n", "link -> have");
		const char *p = site.path;
		_autorun_ struct run_result none = with_mounts(&site, "ls . have m; cat have/z");

		expect_out(none, ".:\na\nd\nhave\nlink\nm\nnew\nt\n\nhave:\nold\ny\nz\n\nm:\nn\n"
				 "data\n");
		cr_expect(strstr(none.err, "nothing was changed"), "%s", none.err);
		_autorun_ struct run_result first =
			with_mounts(&site, "echo 1 >one; echo 1 >t/x; mkdir own; rm -r m have new "
					   "2>/dev/null; echo 1 >m/mine; ls");
		_autorun_ struct run_result without =
			cow_run(&site, "ls . have m; rm -r m; echo 2 >two; test ! -e new");
		_autorun_ struct run_result again = with_mounts(&site, "echo 3 >three; ls");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_out(first, "a\nd\nhave\nlink\nm\nnew\none\nown\nt\n");
		expect_out(without, ".:\na\nhave\nlink\nm\none\nown\n\nhave:\n\nm:\nmine\n");
		expect_out(again, "a\nd\nhave\nlink\nm\nnew\none\nown\nt\nthree\ntwo\n");
		(void)snprintf(expected, sizeof(expected),
			       "D  %s/have/old\nA  %s/one\nA  %s/own/\nA  %s/three\nA  %s/two\n", p,
			       p, p, p, p);
		expect_out(diff, expected);
		expect_out(apply, "applied: 4 added, 0 changed, 1 deleted\n");
		cr_expect(!tree_exists(site.tree, "new") && !tree_exists(site.tree, "t") &&
			  !tree_exists(site.tree, "m") && !tree_exists(site.tree, "have/z"));
		cow_finish(&site);
	}
}

/* The command has written to it, and taken that back. */
Test(cow_layers, what_is_above_a_mount_is_no_change)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result none =
			with_mounts(&site, "echo 1 >m/y; rm m/y; chmod 700 m/n");
		_autorun_ struct run_result some =
			with_mounts(&site, "echo 1 >m/y; echo 1 >m/n/z; rm m/n/z");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autofree_ char *expected = NULL;

		expect_success(none);
		cr_expect(strstr(none.err, "nothing was changed"), "%s: %s", driver, none.err);
		expect_success(some);
		cr_assert(asprintf(&expected, "A  %s/m/\nA  %s/m/y\n", site.path, site.path) > 0);
		expect_out(diff, expected);
		cow_finish(&site);
	}
}

/* Also where a directory of the host, of which the session has nothing, is above both. */
Test(cow_layers, what_is_above_a_mount_deep_in_the_host_is_no_change)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		_autofree_ char *at = NULL;

		cow_start(&site, driver, "a=a\n", "old/er/k=k\n");
		cr_assert(asprintf(&at, "%s/old/er/m/n/p", site.path) > 0);
		_autorun_ struct run_result run = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
			"--cow", site.path, "--session", "s", "--chdir", site.path,
			"--overlay-driver", site.sbx_driver, "--tmpfs", at, "--", "/bin/sh", "-c",
			"echo 1 >old/er/m/n/y; rm old/er/m/n/y; echo 2 >a");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autofree_ char *expected = NULL;

		expect_success(run);
		cr_assert(asprintf(&expected, "M  %s/a (content)\n", site.path) > 0);
		expect_out(diff, expected);
		expect_success(apply);
		cr_expect(!tree_exists(site.tree, "old/er/m"), "%s", driver);
		cow_finish(&site);
	}
}

/* What the view holds for it has the permissions of what sbx makes elsewhere. */
Test(cow_layers, what_something_is_mounted_on_can_be_entered)
{
	static const char *const masks[] = {"77", "777"};

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		const struct run_options options = {.env = site.place.env};
		_autofree_ char *dir = tree_path(site.tree, "new/x");
		_autofree_ char *file = tree_path(site.tree, "m/f");
		_autorun_ struct run_result run = run_argv(
			&options,
			(const char *const[]){"/bin/sh", "-c",
					      "umask $2; exec \"$1\" --ro-bind /usr /usr --cow "
					      "\"$3\" --session s --chdir \"$3\" --tmpfs \"$4\" "
					      "--ro-bind /usr/bin/env \"$5\" -- /usr/bin/stat -c "
					      "%a new m",
					      "sh", sbx_program(), masks[i], site.path, dir, file,
					      NULL});

		expect_out(run, "755\n755\n");
		cow_finish(&site);
	}
}

/* The home itself, what is mounted over it, and a place by a link that leads out of the view. */
Test(cow_layers, where_a_mount_lies_is_found)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "v/a=a\n", "v/out -> ../o", "o/", "v/s/");
		_autofree_ char *v = tree_path(site.tree, "v"), *v_out = NULL, *v_s = NULL;
		_autofree_ char *v_s_t = NULL;

		cr_assert(asprintf(&v_out, "%s/out/x", v) > 0);
		cr_assert(asprintf(&v_s, "%s/s", v) > 0);
		cr_assert(asprintf(&v_s_t, "%s/s/t", v) > 0);
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--ro-bind", "/usr", "/usr", "--cow", v, "--session", "s",
			"--overlay-driver", driver, "--tmpfs", v_out, "--tmpfs", v_s, "--tmpfs",
			v_s_t, "--chdir", v, "--", "/bin/sh", "-c", "find . ../o");
		_autorun_ struct run_result over = run_sbx_with(
			&options, "--ro-bind", "/usr", "/usr", "--cow", v, "--session", "u",
			"--overlay-driver", driver, "--tmpfs", v, "--", "/usr/bin/ls", v);

		cr_expect(strstr(run.out, "../o/x\n") && strstr(run.out, "./s/t\n"), "%s: %s %s",
			  driver, run.out, run.err);
		cr_expect_null(strstr(run.out, "./x\n"), "%s", run.out);
		cr_expect(strstr(run.err, "nothing was changed"), "%s: %s", driver, run.err);
		expect_out(over, "");
		cow_finish(&site);
	}
}

/* In the place of the mark that something is removed the place would be an empty file of its name.
 */
static struct run_result over_removed(const struct cow_site *site, const char *script)
{
	static const char *const names[] = {"gone", "have/e", "have/z", "anew/t", "file/t"};
	char *at[ARRAY_SIZE(names)];
	struct run_result run;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_assert(asprintf(&at[i], "%s/%s", site->path, names[i]) > 0);
	run = run_sbx_with(&((struct run_options){.env = site->place.env}), "--ro-bind", "/usr",
			   "/usr", "--cow", site->path, "--session", "s", "--chdir", site->path,
			   "--overlay-driver", site->sbx_driver, "--ro-bind", "/usr/bin/env", at[0],
			   "--ro-bind", "/usr/bin/env", at[1], "--tmpfs", at[2], "--tmpfs", at[3],
			   "--tmpfs", at[4], "--", "/bin/sh", "-c", script);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(at[i]);
	return run;
}

Test(cow_layers, what_is_mounted_over_a_removed_name_leaves_that_removed)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char expected[4096];

		cow_start(&site, driver, "gone=g\n", "have/e=e\n", "file=f\n", "anew/old=o\n");
		const char *p = site.path;
		_autorun_ struct run_result first =
			cow_run(&site, "rm -r gone have file anew; mkdir file anew");
		_autorun_ struct run_result before = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result run =
			over_removed(&site, "ls . have anew file; test -s gone && test -s have/e");
		_autorun_ struct run_result after = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result own = over_removed(&site, "echo o >have/own");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");

		expect_success(first);
		expect_out(run,
			   ".:\nanew\nfile\ngone\nhave\n\nanew:\nt\n\nfile:\nt\n\nhave:\ne\nz\n");
		expect_out(after, before.out);
		expect_success(own);
		(void)snprintf(expected, sizeof(expected),
			       "D  %s/anew/old\nT  %s/file/ (file -> directory)\nD  %s/gone\n"
			       "A  %s/have/own\nD  %s/have/e\n",
			       p, p, p, p, p);
		expect_out(diff, expected);
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(apply);
		cr_expect(tree_exists(site.tree, "have/own") && tree_exists(site.tree, "file") &&
			  !tree_exists(site.tree, "have/e") && !tree_exists(site.tree, "gone") &&
			  !tree_exists(site.tree, "have/z") && !tree_exists(site.tree, "file/t") &&
			  !tree_exists(site.tree, "anew/t"));
		cow_finish(&site);
	}
}

/* The links of the host lead to places in the session, as far as it has left them. */
Test(cow_layers, what_is_mounted_behind_links_is_no_change)
{
	static const char *const scripts[] = {
		"rm 1",
		"rm 1; mkdir 1",
		"rm 2",
		"rm 2; mkdir 2",
		"rm d/f",
		"rm -r d",
		"rm -r d; mkdir d",
		"rm 1 d/f; mkdir 1",
		"touch -h 1; rm d/f",
		"rm 3 d/f",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts) * ARRAY_SIZE(cow_drivers); i++) {
		struct cow_site site;

		if (!cow_driver_is_there(cow_drivers[i % 2]))
			continue;
		cow_start(&site, cow_drivers[i % 2], "d/f=f\n", "1 -> 2", "2 -> s/../d", "s/",
			  "3 -> d");
		_autofree_ char *file = tree_path(site.tree, "1/f"), *abs = NULL;
		_autofree_ char *dir = tree_path(site.tree, "abs/e/t");

		cr_assert(asprintf(&abs, "%s/3", site.path) > 0);
		cr_assert_eq(symlinkat(abs, site.tree, "abs"), 0);
		_autorun_ struct run_result first = cow_run(&site, scripts[i / 2]);
		_autorun_ struct run_result before = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result second = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
			"--cow", site.path, "--session", "s", "--overlay-driver", site.sbx_driver,
			"--ro-bind", "/usr/bin/env", file, "--tmpfs", dir, "--", "/bin/sh", "-c",
			"test -s \"$0\" && test -d \"$1\"", file, dir);
		_autorun_ struct run_result after = cow_verb(&site, "diff", "s");

		expect_success(first);
		expect_success(second);
		cr_expect_str_neq(before.out, "", "%s", scripts[i / 2]);
		cr_expect_str_eq(after.out, before.out, "%s, %s: %s", site.sbx_driver,
				 scripts[i / 2], after.out);
		cow_finish(&site);
	}
}

/* An empty file of the command's, where the link led that the session has replaced. */
Test(cow_layers, what_a_replaced_link_led_to_is_the_commands)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/f=f\n", "l -> d");
		_autofree_ char *file = tree_path(site.tree, "l/f");
		_autorun_ struct run_result first = cow_run(&site, "rm l d/f; mkdir l");
		_autorun_ struct run_result second = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
			"--cow", site.path, "--session", "s", "--overlay-driver", site.sbx_driver,
			"--chdir", site.path, "--ro-bind", "/usr/bin/env", file, "--", "/bin/sh",
			"-c", "test -s l/f && : >d/f");
		_autorun_ struct run_result again = cow_run(&site, "test -f d/f && ! test -e l/f");

		expect_success(first);
		expect_success(second);
		expect_success(again);
		cow_finish(&site);
	}
}

/* Where the caller may not look the sandbox makes places all the same. */
Test(cow_layers, what_is_mounted_in_a_closed_directory_is_no_change)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "gone=g\n", "d/old=o\n");
		_autofree_ char *gone = tree_path(site.tree, "gone");
		_autofree_ char *file = tree_path(site.tree, "d/f");
		_autofree_ char *dir = tree_path(site.tree, "d/e/t");
		_autorun_ struct run_result first =
			cow_run(&site, "rm -r gone d; mkdir -m 300 d; chmod 311 .");
		_autorun_ struct run_result before = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result second = run_sbx_with(
			&((struct run_options){.env = site.place.env}), "--ro-bind", "/usr", "/usr",
			"--cow", site.path, "--session", "s", "--overlay-driver", site.sbx_driver,
			"--ro-bind", "/usr/bin/env", gone, "--ro-bind", "/usr/bin/env", file,
			"--tmpfs", dir, "--", "/bin/sh", "-c", "test -s \"$0\" && test -s \"$1\"",
			gone, file);
		_autorun_ struct run_result after = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");

		expect_success(first);
		expect_success(second);
		cr_expect(strstr(before.out, "/gone\n"), "%s", before.out);
		expect_out(after, before.out);
		expect_success(discard);
		cow_finish(&site);
	}
}

/* By who opens the session next. */
Test(cow_layers, what_a_killed_launch_has_made_to_mount_on_is_undone)
{
	for (int verb = 0; verb < 2; verb++) {
		struct cow_site site;
		struct session s;

		cow_start(&site, "kernel", "gone=g\n");
		_autofree_ char *gone = tree_path(site.tree, "gone"), *expected = NULL;
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result first = cow_run(&site, "rm gone");

		session_sbx(&s, &options, "--ro-bind", "/usr", "/usr", "--cow", site.path,
			    "--session", "s", "--overlay-driver", "kernel", "--ro-bind",
			    "/usr/bin/env", gone, "--", "/bin/sh", "-c", "echo ready; read x");
		cr_assert(session_expect(&s, "ready"));
		kill(s.pid, SIGKILL);
		_autorun_ struct run_result killed = session_finish(&s);
		_autorun_ struct run_result next =
			verb ? cow_verb(&site, "diff", "s") : cow_run(&site, "test ! -e gone");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");

		expect_success(first);
		cr_expect_eq(killed.status, -SIGKILL);
		cr_assert(asprintf(&expected, "D  %s\n", gone) > 0);
		expect_success(next);
		expect_out(diff, expected);
		cow_finish(&site);
	}
}

/* By one of those who only read it, and once. */
Test(cow_layers, what_a_killed_launch_has_made_is_undone_by_one)
{
	static const char script[] =
		"S=$1 P=$2; U=$HOME/.local/state/sbx/sessions/s/0/upper\n"
		"b() { exec \"$S\" --ro-bind /usr /usr --cow \"$P\" --session s --chdir \"$P\" "
		"\"$@\"; "
		"}\n"
		"for i in $(seq 40); do echo $i >\"$P/f$i\"; set -- \"$@\" --ro-bind /usr/bin/env "
		"\"$P/f$i\"; done; shift 2\n"
		"(b -- /bin/sh -c 'rm f*') 2>/dev/null\n"
		"b \"$@\" -- /bin/sleep 60 2>/dev/null & k=$!\n"
		"while ! [ -f \"$U/f9\" ] || ! [ -f \"$U/f40\" ]; do :; done\n"
		"kill -KILL $k; wait $k\n"
		"while ! flock -n \"$U/../../lock\" true; do :; done\n"
		"for i in 1 2 3 4; do \"$S\" diff s | grep -c '^D' & done; wait; "
		"\"$S\" diff s | grep -c '^D'";

	for (int round = 0; round < 3; round++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		const struct run_options options = {.env = site.place.env};
		const char *const argv[] = {"/bin/sh",	   "-c",      script, "sh",
					    sbx_program(), site.path, NULL};
		_autorun_ struct run_result run = run_argv(&options, argv);

		expect_out(run, "40\n40\n40\n40\n40\n");
		cow_finish(&site);
	}
}
