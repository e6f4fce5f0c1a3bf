/* SPDX-License-Identifier: MIT */
/* What a command leaves in a session, so that somebody's verb does harm outside. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "../e2e/cow.h"

/* Both ways: the host's directory becomes a link, and the layer's does. */
Test(cow, links_lead_nowhere)
{
	EACH_DRIVER(driver)
	{
		_autoclose_ int other = tmp_tree("f=theirs\n", "sub/f=theirs\n");
		_autofree_ char *outside = tree_path(other, "sub");
		struct cow_site site;

		cow_start(&site, driver, "d/f=ours\n", "e/f=ours\n");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "s",
			"--chdir", site.path, "--overlay-driver", driver, "--", "/bin/sh", "-ec",
			"rm -r d; ln -s \"$1\" d; echo ours2 >e/f; echo new >e/n", "sh", outside);
		_autorun_ struct run_result host =
			run_program("/bin/sh", "-ec", "cd \"$1\"; mv e e2; ln -s \"$2\" e", "sh",
				    site.path, outside);
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");
		_autofree_ char *one = tree_read(other, "f"), *two = tree_read(other, "sub/f");

		expect_success(run);
		expect_success(host);
		cr_expect_neq(apply.status, 0);
		expect_success(forced);
		cr_expect_str_eq(one, "theirs\n");
		cr_expect_str_eq(two, "theirs\n");
		cr_expect(!tree_exists(other, "sub/n"));
		cow_finish(&site);
	}
}

/* With the option they are given, so the attack works where it is let. */
Test(cow, set_id_bits_are_left_out)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		struct stat st;

		cow_start(&site, driver, "old=x\n");
		_autorun_ struct run_result run =
			cow_run(&site, "echo >s; chmod 4755 s old; mkdir g; chmod 2755 g");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(apply);
		cr_expect(strstr(apply.err, "/s: its set-user-ID or set-group-ID bit is left out"),
			  "%s", apply.err);
		cr_expect_eq(fstatat(site.tree, "s", &st, 0), 0);
		cr_expect_eq(st.st_mode & 07777, 0755);
		cr_expect_eq(fstatat(site.tree, "old", &st, 0), 0);
		cr_expect_eq(st.st_mode & 06000, 0);
		cr_expect_eq(fstatat(site.tree, "g", &st, 0), 0);
		cr_expect_eq(st.st_mode & 06000, 0);
		_autorun_ struct run_result given =
			cow_verb(&site, "apply", "--force", "--allow-setid", "s");

		expect_success(given);
		cr_expect_eq(fstatat(site.tree, "s", &st, 0), 0);
		cr_expect_eq(st.st_mode & 07777, 04755);
		cow_finish(&site);
	}
}

static void check_links(const char *driver, mode_t bit)
{
	struct cow_site site;
	struct stat st;

	cow_start(&site, driver, "s=s\n");
	cr_assert_eq(fchmodat(site.tree, "s", bit | 0755, 0), 0);
	_autorun_ struct run_result run = cow_run(&site, "mkdir d; ln s d/t; ln s u");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(run);
	expect_success(apply);
	cr_expect_eq(fstatat(site.tree, "d/t", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0755, "%s: %o", driver, st.st_mode);
	cr_expect_eq(fstatat(site.tree, "u", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0755, "%s: %o", driver, st.st_mode);
	/* The file's own it keeps. */
	cr_expect_eq(fstatat(site.tree, "s", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, bit | 0755, "%s: %o", driver, st.st_mode);
	cow_finish(&site);
}

/* A further name for a file with such a bit would be such a file. */
Test(cow, links_give_no_set_id_bit)
{
	EACH_DRIVER(driver)
	{
		check_links(driver, S_ISUID);
		check_links(driver, S_ISGID);
	}
}

/* Nor does a file lose its bit to another one, of which it is a further name in the layer. */
Test(cow, links_take_no_set_id_bit)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		struct stat st, other;

		cow_start(&site, driver, "a=s\n", "s=s\n");
		const struct timespec times[2] = {{.tv_sec = 1234567890}, {.tv_sec = 1234567890}};

		cr_assert_eq(fchmodat(site.tree, "a", 0755, 0), 0);
		cr_assert_eq(fchmodat(site.tree, "s", 04755, 0), 0);
		cr_assert_eq(utimensat(site.tree, "a", times, 0), 0);
		cr_assert_eq(utimensat(site.tree, "s", times, 0), 0);
		_autorun_ struct run_result run = cow_run(&site, "ln -f s a");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(apply);
		cr_expect_eq(fstatat(site.tree, "s", &st, 0), 0);
		cr_expect_eq(st.st_mode & 07777, 04755, "%s: %o", driver, st.st_mode);
		cr_expect_eq(fstatat(site.tree, "a", &other, 0), 0);
		cr_expect_eq(other.st_mode & 07777, 0755, "%s: %o", driver, other.st_mode);
		cow_finish(&site);
	}
}

/* What a later overlay over the directory would believe; kept as the kernel does for a command. */
Test(cow, marks_are_not_planted)
{
	static const char *const marks[] = {"user.overlay.overlay.opaque",
					    "user.overlay.overlay.redirect",
					    "user.fuseoverlayfs.opaque"};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		struct cow_site site;
		char list[1024];

		cow_start(&site, "kernel", "d/x=x\n");
		_autoclose_ int upper = cow_forge(&site, false);
		cr_assert_eq(mkdirat(upper, "d", 0755), 0);
		_autoclose_ int d = openat(upper, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert_eq(fsetxattr(d, marks[i], "y", 1, 0), 0, "%m");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");
		_autofree_ char *path = tree_path(site.tree, "d");

		expect_success(apply);
		expect_success(forced);
		cr_expect(strstr(apply.err, "/d: its attributes that overlays take for marks are "
					    "left out"),
			  "%s", apply.err);
		cr_expect_eq(llistxattr(path, list, sizeof(list)), 0);
		cow_finish(&site);
	}
}

/* Names that fuse-overlayfs takes for marks are names where the kernel is the driver. */
Test(cow, look_alikes_of_marks_are_files)
{
	struct cow_site site;

	cow_start(&site, "kernel", "keep=k\n", "d/keep=k\n");
	_autorun_ struct run_result run =
		cow_run(&site, "echo 1 >.wh.keep; echo 2 >d/.wh..wh..opq; : >.wh.");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(run);
	expect_success(apply);
	cr_expect(tree_exists(site.tree, "keep") && tree_exists(site.tree, "d/keep"));
	cr_expect(tree_exists(site.tree, ".wh.keep") && tree_exists(site.tree, ".wh.") &&
		  tree_exists(site.tree, "d/.wh..wh..opq"));
	cow_finish(&site);
}

/* Where fuse-overlayfs keeps the session alone, only what looks like its marks in all is one. */
Test(cow, look_alikes_remove_nothing_that_is_protected)
{
	static const char work[] = "home/.local/state/sbx/sessions/s/0/work/work";
	static const char fuse[] = "home/.local/state/sbx/sessions/s/0/work/fuse-overlayfs";
	struct cow_site site;

	if (!cow_driver_is_there("fuse") && test_must_run_fuse("fuse"))
		return;
	cow_start(&site, "kernel", ".git/config=c\n", "p/a=a\n", "p/b=b\n", "p/c=c\n", "q/a=a\n",
		  "r/a=a\n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result first = cow_run(&site, "echo 1 >begun");

	cr_assert_eq(renameat(site.place.tree, work, site.place.tree, fuse), 0, "%m");
	cr_assert_eq(fchmodat(site.place.tree, fuse, 0700, 0), 0);
	_autorun_ struct run_result run = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--cow", site.path, "--session", "s",
		"--chdir", site.path, "--overlay-driver", "fuse", "--protect", "./.git",
		"--protect", "./p", "--protect", "./q/a", "--", "/bin/sh", "-c",
		"mkdir .wh..git .wh.q q/.wh..wh..opq; ln -s x q/.wh.a; mkfifo .wh.p; "
		"python3 -c 'import os; os.setxattr(\"r\", \"user.overlay.opaque\", b\"y\")'; "
		": >r/n; mv r/n r/.wh..wh..opq; echo 2 >begun");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(first);
	expect_success(run);
	expect_success(apply);
	for (const char *const *name =
		     (const char *const[]){".git/config", "p/a", "p/b", "p/c", "q/a", "r/a",
					   "begun", ".wh..git", NULL};
	     *name; name++)
		cr_expect(tree_exists(site.tree, *name), "%s: %s", *name, run.err);
	cow_finish(&site);
}

Test(cow, names_do_not_command_a_terminal)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(
		&site, "n=$(printf 'x\\033]0;t\\007\\ny'); echo >\"$n\"; chmod 4755 \"$n\"");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result stat = cow_verb(&site, "diff", "--stat", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(run);
	cr_expect(strstr(diff.out, "x\\x1b]0;t\\x07\\ny"), "%s", diff.out);
	cr_expect(!strchr(diff.out, '\033') && !strchr(stat.out, '\033') &&
		  !strchr(apply.err, '\033') && strchr(apply.err, 'x'));
	cow_finish(&site);
}

/* Through a bind of all that is above it. */
Test(cow, the_session_is_out_of_reach)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	const char *home = site.place.home + strlen("HOME=");
	_autorun_ struct run_result first = cow_run(&site, "echo 1 >n");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result other = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--rw", home, "--cow", site.path,
		"--session", "s", "--chdir", home, "--", "/bin/sh", "-c",
		"ls -A .local/state/sbx/sessions; echo x >.local/state/sbx/sessions/x; "
		"ls .local/state/sbx/sessions/s/0/upper");

	expect_success(first);
	cr_expect_str_eq(other.out, "", "%s", other.out);
	cr_expect_neq(other.status, 0);
	cr_expect(tree_exists(site.place.tree, "home/.local/state/sbx/sessions/s/0/upper/n"));
	cr_expect(!tree_exists(site.place.tree, "home/.local/state/sbx/sessions/x"));
	cow_finish(&site);
}
