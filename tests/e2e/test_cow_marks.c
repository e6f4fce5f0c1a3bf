/* SPDX-License-Identifier: MIT */
/*
 * Layers that are made by hand: the marks of both drivers, and what no command could leave there,
 * or hardly. See tests/cow/test_hostile.py for such as nobody would think of.
 */

#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "cow.h"

#define TREE "a=old\n", "b=b\n", "d/x=x\n", "d/y=y\n"

static void put(int dir, const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0, "%s: %m", name);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void mark(int dir, const char *name, const char *attribute, const char *value)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %m", name);
	cr_assert_eq(fsetxattr(fd, attribute, value, strlen(value), 0), 0, "%s: %m", attribute);
	close(fd);
}

static void whiteout(int dir, const char *name)
{
	cr_assert_eq(mknodat(dir, name, S_IFCHR, makedev(0, 0)), 0, "%s: %m", name);
}

static void expect_diff(const struct cow_site *site, const char *const *lines)
{
	_autorun_ struct run_result diff = cow_verb(site, "diff", "s");
	char expected[2048];
	size_t len = 0;

	expected[0] = '\0';
	for (; *lines; lines++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%c  %s/%s\n",
					(*lines)[0], site->path, *lines + 1);
	expect_out(diff, expected);
}
#define expect_changes(site, ...) expect_diff((site), (const char *const[]){__VA_ARGS__, NULL})

static void expect_applied(const struct cow_site *site)
{
	_autorun_ struct run_result apply = cow_verb(site, "apply", "s");
	_autorun_ struct run_result diff = cow_verb(site, "diff", "s");

	expect_success(apply);
	expect_out(diff, "");
}

Test(cow_marks, the_kernels_whiteouts)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autoclose_ int upper = cow_forge(&site, false);

	whiteout(upper, "a");
	whiteout(upper, "never");
	cr_assert_eq(mkdirat(upper, "d", 0755), 0);
	mark(upper, "d", "user.overlay.opaque", "x");
	put(upper, "d/x", "", 0600);
	mark(upper, "d/x", "user.overlay.whiteout", "y");
	put(upper, "b", "", 0644);
	mark(upper, "b", "user.overlay.whiteout", "y"); /* means nothing here */
	expect_changes(&site, "Da", "Mb (content)", "Dd/x");
	expect_applied(&site);
	cr_expect(!tree_exists(site.tree, "a") && !tree_exists(site.tree, "d/x") &&
		  tree_exists(site.tree, "b") && tree_exists(site.tree, "d/y"));
	cow_finish(&site);
}

Test(cow_marks, whiteouts_of_fuse)
{
	struct cow_site site;

	cow_start(&site, "fuse", TREE);
	_autoclose_ int upper = cow_forge(&site, true);

	put(upper, ".wh.a", "", 0644);
	put(upper, ".wh.never", "", 0644);
	put(upper, ".wh.b", "", 0644);
	put(upper, "b", "new\n", 0644); /* beside a mark, what is there counts */
	put(upper, ".wh.", "", 0644);
	put(upper, ".wh..", "", 0644);
	put(upper, ".wh...", "", 0644);
	whiteout(upper, "d");
	expect_changes(&site, "Da", "Mb (content)", "Dd/");
	expect_applied(&site);
	cr_expect(!tree_exists(site.tree, "a") && !tree_exists(site.tree, "d") &&
		  tree_exists(site.tree, "b"));
	cow_finish(&site);
}

/* With the kernel's driver these are names as any others. */
Test(cow_marks, of_the_other_driver_are_names)
{
	struct cow_site site;

	cow_start(&site, "kernel", TREE);
	_autoclose_ int upper = cow_forge(&site, false);

	put(upper, ".wh.a", "", 0644);
	cr_assert_eq(mkdirat(upper, "d", 0755), 0);
	put(upper, "d/.wh..wh..opq", "", 0644);
	mark(upper, "d", "user.fuseoverlayfs.opaque", "y");
	expect_changes(&site, "A.wh.a", "Md/ (marks of overlays)", "Ad/.wh..wh..opq");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(apply);
	expect_changes(&site, "Md/ (marks of overlays)");
	cr_expect(tree_exists(site.tree, "a") && tree_exists(site.tree, "d/x") &&
		  tree_exists(site.tree, ".wh.a"));
	cow_finish(&site);
}

Test(cow_marks, opaque_directories)
{
	static const struct {
		bool fuse;
		const char *attribute;
	} rows[] = {
		{false, "user.overlay.opaque"},
		{true, "user.fuseoverlayfs.opaque"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cow_site site;

		cow_start(&site, "", "d/x=x\n", "d/sub/z=z\n", "d/y=y\n");
		_autoclose_ int upper = cow_forge(&site, rows[i].fuse);

		cr_assert_eq(mkdirat(upper, "d", 0755), 0);
		cr_assert_eq(mkdirat(upper, "d/sub", 0755), 0);
		put(upper, "d/x", "new\n", 0644);
		put(upper, "d/sub/n", "n\n", 0644);
		mark(upper, "d", rows[i].attribute, "y");
		/* What is below an opaque directory has nothing of the host's below it either. */
		expect_changes(&site, "Ad/sub/n", "Dd/sub/z", "Md/x (content)", "Dd/y");
		expect_applied(&site);
		cr_expect(!tree_exists(site.tree, "d/y") && !tree_exists(site.tree, "d/sub/z"));
		cow_finish(&site);
	}
}

/* More than are read together. */
Test(cow_marks, an_opaque_directory_hides_any_number)
{
	size_t lines = 0;
	struct cow_site site;

	cow_start(&site, "", "d/");
	_autorun_ struct run_result made =
		run_program("/bin/sh", "-ec", "cd \"$1/d\"; seq -f f%.0f \"$2\" | xargs touch",
			    "sh", site.path, "20000");

	expect_success(made);
	_autoclose_ int upper = cow_forge(&site, false);

	cr_assert_eq(mkdirat(upper, "d", 0755), 0);
	mark(upper, "d", "user.overlay.opaque", "y");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", "s");

	expect_success(diff);
	for (const char *at = diff.out; (at = strstr(at, "/d/f")); at++)
		lines++;
	cr_expect_eq(lines, 20000, "%zu", lines);
	expect_applied(&site);
	cr_expect(!tree_exists(site.tree, "d/f1") && !tree_exists(site.tree, "d/f20000"));
	cow_finish(&site);
}

/* Where the session's filesystem keeps no attributes, an empty file tells it. */
Test(cow_marks, a_file_that_makes_a_directory_opaque)
{
	static const char script[] = "mount -t ramfs none \"$2\"; cp -a \"$3\" \"$2\"/s; "
				     "exec \"$1\" diff --name-only \"$2\"/s";
	struct cow_site site;

	cow_start(&site, "", "d/x=x\n", "d/y=y\n", "e/x=x\n");
	_autoclose_ int upper = cow_forge(&site, true);
	_autofree_ char *ram = tree_path(site.place.tree, "ram");
	_autofree_ char *session = tree_path(site.place.tree, "home/.local/state/sbx/sessions/s");
	const struct run_options options = {.env = site.place.env};

	cr_assert_eq(mkdir(ram, 0700), 0);
	for (const char *const *dir = (const char *const[]){"d", "e", NULL}; *dir; dir++)
		cr_assert_eq(mkdirat(upper, *dir, 0755), 0);
	put(upper, "d/x", "new\n", 0644);
	put(upper, "d/.wh..wh..opq", "", 0700);
	cr_assert_eq(mkdirat(upper, "e/.wh..wh..opq", 0755), 0); /* by a command */
	expect_changes(&site, "Md/x (content)", "Ae/.wh..wh..opq/");
	_autorun_ struct run_result run = run_argv(
		&options, (const char *const[]){"/usr/bin/unshare", "-Urm", "/bin/sh", "-ec",
						script, "sh", sbx_program(), ram, session, NULL});
	char expected[2048];

	snprintf(expected, sizeof(expected), "%s/d/x\n%s/d/y\n%s/e/.wh..wh..opq/\n", site.path,
		 site.path, site.path);
	expect_out(run, expected);
	cow_finish(&site);
}

/*
 * fuse-overlayfs keeps a command from opening such names, and from nothing else that gives them;
 * and from none of the kernel's attributes. So it could hide what --protect keeps.
 */
Test(cow_marks, what_a_command_can_make_is_none_of_fuse)
{
	struct cow_site site;

	cow_start(&site, "fuse", TREE, "c=c\n", "e/e=e\n", "p/p=p\n", "w/w=w\n");
	_autoclose_ int upper = cow_forge(&site, true);

	for (const char *const *dir =
		     (const char *const[]){".wh.a", "d", "d/.wh..wh..opq", "e", "p", "w", NULL};
	     *dir; dir++)
		cr_assert_eq(mkdirat(upper, *dir, 0755), 0);
	put(upper, ".wh.a/n", "n\n", 0644);
	cr_assert_eq(symlinkat("b", upper, ".wh.b"), 0);
	put(upper, "n", "", 0644);
	cr_assert_eq(linkat(upper, "n", upper, ".wh.c", 0), 0);
	put(upper, "d/.wh.x", "text\n", 0644);
	cr_assert_eq(mkfifoat(upper, "d/.wh.y", 0644), 0);
	mark(upper, "e", "user.overlay.opaque", "y");
	put(upper, "p/.wh..wh..opq", "", 0700); /* it has attributes for that here */
	mark(upper, "w", "user.overlay.opaque", "x");
	put(upper, "w/w", "", 0644);
	mark(upper, "w/w", "user.overlay.whiteout", "y");
	expect_changes(&site, "A.wh.a/", "A.wh.a/n", "A.wh.b", "A.wh.c", "Ad/.wh..wh..opq/",
		       "Ad/.wh.x", "Ad/.wh.y", "Me/ (time)", "An", "Mw/w (content)");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");

	expect_success(apply);
	cr_expect(strstr(apply.err, "names that begin with .wh."), "%s", apply.err);
	expect_out(diff, "");
	for (const char *const *name = (const char *const[]){"a", "b", "c", "d/x", "d/y", "e/e",
							     "p/p", "w/w", ".wh.a/n", NULL};
	     *name; name++)
		cr_expect(tree_exists(site.tree, *name), "%s", *name);
	cow_finish(&site);
}

Test(cow_marks, what_leads_elsewhere_is_refused)
{
	static const char *const marks[] = {"user.overlay.redirect", "user.overlay.metacopy",
					    "user.fuseoverlayfs.redirect"};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		struct cow_site site;

		cow_start(&site, "", TREE);
		_autoclose_ int upper = cow_forge(&site, i == 2);

		put(upper, "a", "2\n", 0644);
		put(upper, "c", "", 0644);
		mark(upper, "c", marks[i], "/../secret");
		cr_assert_eq(fchmodat(upper, "c", 0, 0), 0); /* a closed file has it as well */
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "--force", "s");
		_autofree_ char *a = tree_read(site.tree, "a");

		expect_failure(diff, 1, marks[i]);
		expect_failure(apply, 1, marks[i]);
		cr_expect_str_eq(a, "old\n", "nothing may be applied");
		cow_finish(&site);
	}
}

/* What its owner cannot read is shown and applied all the same, attributes too. */
Test(cow_marks, closed_files_and_directories)
{
	struct cow_site site;
	struct stat st;
	char value[8] = "";

	cow_start(&site, "kernel", "a=old\n", "closed/x=x\n");
	cr_assert_eq(fchmodat(site.tree, "closed", 0, 0), 0);
	_autoclose_ int upper = cow_forge(&site, false);

	put(upper, "a", "new\n", 0600);
	mark(upper, "a", "user.test", "t");
	cr_assert_eq(fchmodat(upper, "a", 0, 0), 0);
	cr_assert_eq(mkdirat(upper, "closed", 0700), 0);
	put(upper, "closed/n", "n\n", 0);
	cr_assert_eq(fchmodat(upper, "closed", 0, 0), 0);
	expect_changes(&site, "Ma (content, mode 644 -> 0, attributes)", "Aclosed/n");
	expect_applied(&site);
	cr_assert_eq(fstatat(site.tree, "a", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0);
	cr_assert_eq(fchmodat(site.tree, "a", 0600, 0), 0);
	_autofree_ char *path = tree_path(site.tree, "a");
	cr_expect_eq(getxattr(path, "user.test", value, sizeof(value)), 1);
	cr_assert_eq(fchmodat(site.tree, "closed", 0700, 0), 0);
	cr_expect(tree_exists(site.tree, "closed/n") && tree_exists(site.tree, "closed/x"));
	cow_finish(&site);
}

/* A file that would fill any disk stays a hole; two that differ in one byte do so. */
Test(cow_marks, giants)
{
	enum { TERA = 1 };
	const off_t size = (off_t)TERA << 40;
	struct cow_site site;
	struct stat st;

	cow_start(&site, "kernel", "same", "other");
	_autofree_ char *same = tree_path(site.tree, "same"),
			*other = tree_path(site.tree, "other");
	skip_unless(truncate(same, size) == 0, "files here cannot be that large");
	cr_assert_eq(truncate(other, size), 0);
	_autoclose_ int upper = cow_forge(&site, false);

	put(upper, "same", "", 0644);
	put(upper, "other", "", 0644);
	put(upper, "new", "x", 0644);
	for (size_t i = 0; i < 3; i++) {
		const char *const names[] = {"same", "other", "new"};
		_autoclose_ int fd = openat(upper, names[i], O_WRONLY | O_CLOEXEC);

		cr_assert_eq(ftruncate(fd, size), 0);
		if (i == 1)
			cr_assert_eq(pwrite(fd, "y", 1, size - 4096), 1);
	}
	cr_assert_eq(fstatat(site.tree, "same", &st, 0), 0);
	cr_assert_eq(utimensat(upper, "same", (struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
	expect_changes(&site, "Anew", "Mother (content)");
	_autorun_ struct run_result patch = cow_verb(&site, "diff", "--patch", "s");

	cr_expect(strstr(patch.out, "too large to be shown"), "%s", patch.out);
	expect_applied(&site);
	cr_assert_eq(fstatat(site.tree, "new", &st, 0), 0);
	cr_expect(st.st_size == size && st.st_blocks < 2048, "%lld blocks",
		  (long long)st.st_blocks);
	cow_finish(&site);
}

static void make_deep(int at, const char *name, unsigned depth)
{
	_autoclose_ int fd = dup(at);

	for (unsigned i = 0; i < depth; i++) {
		int below;

		cr_assert_eq(mkdirat(fd, name, 0700), 0, "%u: %m", i);
		below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert_geq(below, 0);
		close(fd);
		fd = below;
	}
	put(fd, "end", "end\n", 0644);
}

/* More than ten times what a path may have. */
Test(cow_marks, deeper_than_any_path)
{
	static const char name[] =
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autoclose_ int upper = cow_forge(&site, false);

	make_deep(upper, name, 250);
	_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");

	expect_success(names);
	cr_expect(strlen(names.out) > 6000000, "%zu", strlen(names.out));
	expect_applied(&site);
	/* Deeper still: refused, and removed. */
	make_deep(upper, "d", 3000);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");
	_autorun_ struct run_result clean = run_program("/bin/rm", "-r", site.path);

	expect_failure(diff, 1, "more than 400 directories deep");
	expect_failure(apply, 1, "more than 400 directories deep");
	expect_out(discard, "");
	expect_success(clean);
	cow_finish(&site);
}

/* A deep tree is taken apart by new names for its directories; such names may be there. */
Test(cow_marks, names_that_discard_uses_stand_in_no_way)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "gone/");
	_autoclose_ int gone = openat(site.tree, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(mkdirat(gone, ".sbx-deep-0", 0700), 0);
	put(gone, ".sbx-deep-0/x", "x", 0644);
	put(gone, ".sbx-deep-1", "x", 0644);
	make_deep(gone, "d", 150);
	_autoclose_ int upper = cow_forge(&site, false);

	whiteout(upper, "gone");
	expect_applied(&site);
	cr_expect(!tree_exists(site.tree, "gone") && tree_exists(site.tree, "a"));
	cow_finish(&site);
}

Test(cow_marks, sockets_and_fifos)
{
	struct cow_site site;
	struct stat st;

	cow_start(&site, "kernel", "a=a\n");
	_autoclose_ int upper = cow_forge(&site, false);

	cr_assert_eq(mknodat(upper, "socket", S_IFSOCK | 0600, 0), 0);
	cr_assert_eq(mkfifoat(upper, "fifo", 0600), 0);
	cr_assert_eq(fchmodat(upper, "fifo", 0622, 0), 0);
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(apply);
	const char *told = strstr(apply.err, "/socket: is a socket, and left out");

	cr_expect(told && !strstr(told + 1, "/socket"), "once: %s", apply.err);
	cr_expect(!tree_exists(site.tree, "socket"));
	cr_assert_eq(fstatat(site.tree, "fifo", &st, 0), 0);
	cr_expect_eq(st.st_mode, (mode_t)(S_IFIFO | 0622));
	expect_changes(&site, "Asocket");
	cow_finish(&site);
}

static bool has_attribute(const struct cow_site *site, const char *name, const char *attribute)
{
	_autofree_ char *path = tree_path(site->tree, name);

	return lgetxattr(path, attribute, NULL, 0) >= 0;
}

/* The kernel keeps what a command calls user.overlay.NAME as user.overlay.overlay.NAME. */
Test(cow_marks, attributes_that_would_be_marks_are_left_out)
{
	static const char *const names[] = {"old", "new", "d", "newdir"};
	struct cow_site site;

	cow_start(&site, "kernel", "old=x\n", "d/x=x\n", "kept=k\n");
	mark(site.tree, "old", "user.overlay.origin", "hosts");
	mark(site.tree, "kept", "user.fuseoverlayfs.x", "hosts");
	_autoclose_ int upper = cow_forge(&site, false);

	put(upper, "old", "y\n", 0644);
	put(upper, "new", "n\n", 0644);
	put(upper, "kept", "changed\n", 0644);
	cr_assert_eq(mkdirat(upper, "d", 0755), 0);
	cr_assert_eq(mkdirat(upper, "newdir", 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		mark(upper, names[i], "user.overlay.overlay.opaque", "y");
		mark(upper, names[i], "user.fuseoverlayfs.opaque", "y");
		mark(upper, names[i], "user.test", "t");
	}
	mark(upper, "kept", "user.fuseoverlayfs.x", "hosts"); /* as it is copied up */
	expect_changes(&site, "Md/ (attributes, marks of overlays)", "Mkept (content)",
		       "Anew (marks of overlays)", "Anewdir/ (marks of overlays)",
		       "Mold (content, attributes, marks of overlays)");
	_autorun_ struct run_result json = cow_verb(&site, "diff", "--json", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result again = cow_verb(&site, "apply", "s");

	cr_expect(strstr(json.out, "\"marks\": true"), "%s", json.out);
	expect_success(apply);
	expect_success(again);
	cr_expect(strstr(again.out, "0 added, 0 changed, 0 deleted"), "%s", again.out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char told[128];

		(void)snprintf(told, sizeof(told),
			       "/%s: its attributes that overlays take for marks are left out",
			       names[i]);
		cr_expect(strstr(apply.err, told), "%s: %s", told, apply.err);
		cr_expect(!has_attribute(&site, names[i], "user.overlay.opaque") &&
				  !has_attribute(&site, names[i], "user.overlay.overlay.opaque") &&
				  !has_attribute(&site, names[i], "user.fuseoverlayfs.opaque"),
			  "%s", names[i]);
		cr_expect(has_attribute(&site, names[i], "user.test"), "%s", names[i]);
	}
	cr_expect(!strstr(apply.err, "/kept"), "%s", apply.err);
	cow_finish(&site);
}

/* Names as any others for the kernel: they are applied, and what that means is said, once. */
Test(cow_marks, names_that_fuse_takes_for_marks)
{
	struct cow_site site;

	skip_unless(cow_driver_is_there("fuse"), "fuse-overlayfs is needed");
	cow_start(&site, "kernel", TREE);
	_autorun_ struct run_result first = cow_run(&site, "echo 1 >.wh.a; echo 2 >d/.wh.x");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result discard = cow_verb(&site, "discard", "s");
	const char *told = strstr(apply.err, "names that begin with .wh.");

	expect_success(first);
	expect_success(apply);
	expect_success(discard);
	cr_expect(told && !strstr(told + 1, "names that begin"), "%s", apply.err);
	_autorun_ struct run_result kernel = cow_run(&site, "cat .wh.a d/.wh.x d/x a");

	expect_out(kernel, "1\n2\nx\nold\n");
	site.sbx_driver = "fuse";
	_autorun_ struct run_result fuse = cow_run(&site, "ls -A");

	expect_failure(fuse, 125, "/.wh.a: fuse-overlayfs takes a name that begins with .wh.");
	cow_finish(&site);
}

/* What the host has of an overlay the kernel does not show; so it is not taken away either. */
Test(cow_marks, what_the_command_was_not_shown_stays)
{
	struct cow_site site;
	struct stat st;

	cow_start(&site, "kernel", "d/x=x\n", "e/y=y\n", "a=a\n");
	whiteout(site.tree, "d/gone");
	whiteout(site.tree, "dev");
	cr_assert_eq(mkdirat(site.tree, "e/sub", 0755), 0);
	put(site.tree, "e/sub/wh", "", 0644);
	mark(site.tree, "e/sub/wh", "user.overlay.whiteout", "y");
	_autoclose_ int upper = cow_forge(&site, false);

	whiteout(upper, "d");
	whiteout(upper, "e");
	put(upper, "dev", "new\n", 0644);
	put(upper, "a", "new\n", 0644);
	_autorun_ struct run_result refused = cow_verb(&site, "apply", "s");

	expect_failure(refused, 1, "3 of the entries have changed");
	for (size_t i = 0; i < 3; i++) {
		const char *const names[] = {"d", "e", "dev"};
		char told[128];

		(void)snprintf(told, sizeof(told), "/%s: has the mark of an overlay on the host",
			       names[i]);
		cr_expect(strstr(refused.err, told), "%s: %s", told, refused.err);
	}
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "--exclude", "[de]*", "s");
	_autofree_ char *a = tree_read(site.tree, "a");

	expect_success(rest);
	cr_expect_str_eq(a, "new\n");
	cr_expect(tree_exists(site.tree, "d/x") && tree_exists(site.tree, "e/sub/wh"));
	cr_expect(fstatat(site.tree, "d/gone", &st, 0) == 0 && S_ISCHR(st.st_mode));
	_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");

	expect_success(forced);
	cr_expect(!tree_exists(site.tree, "d") && !tree_exists(site.tree, "e"));
	cow_finish(&site);
}

/* Marks that come to be on the host while the session runs are changes of the host. */
Test(cow_marks, marks_that_are_made_meanwhile_stop_apply)
{
	static const bool fuse[] = {false, true};

	for (size_t i = 0; i < ARRAY_SIZE(fuse); i++) {
		struct cow_site site;

		cow_start(&site, "", "d/x=x\n", "d/y=y\n");
		_autoclose_ int upper = cow_forge(&site, fuse[i]);

		whiteout(upper, "d");
		put(site.tree, "d/.wh.x", "", 0644);
		_autorun_ struct run_result refused = cow_verb(&site, "apply", "s");

		expect_failure(refused, 1, "changed on the host since the session began");
		cr_expect(tree_exists(site.tree, "d/x") && tree_exists(site.tree, "d/y"));
		cow_finish(&site);
	}
}
