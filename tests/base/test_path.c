/* SPDX-License-Identifier: MIT */
/* Names of files: as text, and resolved below a root that must not be left. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/base/path.h"
#include "sbx/base/str.h"

/* ---- as text ---- */

Test(path, put_before_stays_within)
{
	static const struct {
		const char *name, *path, *wanted;
	} rows[] = {
		{"a", "", "a"},
		{"a", "b/c", "a/b/c"},
		{"abc", "defg", "abc/def"},
		{"abcdef", "g", "abcdef/"},
		{"abcdefg", "h", "abcdefg"},
		{"abcdefghi", "j", "abcdefg"},
		{"abcdefghi", "", "abcdefg"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[8];

		str_copy(path, sizeof(path), rows[i].path);
		path_put_before(path, sizeof(path), rows[i].name);
		cr_expect_str_eq(path, rows[i].wanted);
	}
}

Test(path, normalise_takes_dots_and_slashes_as_text)
{
	static const struct {
		const char *base, *path, *wanted;
	} rows[] = {
		{NULL, "/", "/"},
		{NULL, "", "/"},
		{NULL, "usr", "/usr"},
		{NULL, "/usr/", "/usr"},
		{NULL, "//usr//lib/.", "/usr/lib"},
		{NULL, "/usr/./lib/../bin", "/usr/bin"},
		{NULL, "/..", "/"},
		{NULL, "/../../etc", "/etc"},
		{NULL, "/usr/..", "/"},
		{NULL, "/...", "/..."},
		{NULL, "/..a/b..", "/..a/b.."},
		{"/home/me", "src", "/home/me/src"},
		{"/home/me/", "../you", "/home/you"},
		{"/home/me", "/etc", "/etc"},
		{"/home/me", ".", "/home/me"},
		{"/", "etc", "/etc"},
		{"/home", "../../..", "/"},
	};
	_autoarena_ struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(path_normalise(&arena, rows[i].base, rows[i].path), rows[i].wanted,
				 "%s from %s", rows[i].path, rows[i].base ? rows[i].base : "-");
}

Test(path, below_compares_whole_names)
{
	cr_expect(path_is_below("/usr", "/usr"));
	cr_expect(path_is_below("/usr/lib", "/usr"));
	cr_expect(path_is_below("/usr", "/"));
	cr_expect(path_is_below("/", "/"));
	cr_expect_not(path_is_below("/usrlocal", "/usr"));
	cr_expect_not(path_is_below("/usr", "/usr/lib"));
	cr_expect_not(path_is_below("/", "/usr"));
}

Test(path, root_has_many_spellings)
{
	static const char *const roots[] = {"/", "//", "/.", "/./", ".", "./", "/./."};
	static const char *const others[] = {"", "/a", "/..", "..", "/.a", "a", "/...", "/usr/.."};

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		cr_expect(path_is_root(roots[i]), "%s", roots[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_not(path_is_root(others[i]), "%s", others[i]);
}

/* ---- open ---- */

/* Is the open file the one with this name (a link itself, if it is one)? */
static bool is_file(int fd, int tree, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(tree, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_links_tree(void)
{
	return tmp_tree("dir/sub/", "file=text", "dir/file=inner", "absolute -> /dir/file",
			"relative -> dir/file", "dir/up -> ../file",
			"dir/far-up -> ../../../../../../file", "to-dir -> dir", "chain -> chain2",
			"chain2 -> /to-dir/sub", "loop -> loop2", "loop2 -> loop",
			"nowhere -> /missing", "escape -> /etc/passwd", "dotdot -> ..",
			"slash -> /");
}

typedef int (*opener)(int root_fd, const char *path, int *ret_fd);

static void expect_opens(opener open_it, int tree)
{
	static const struct {
		const char *path, *wanted;
	} rows[] = {
		{"/", "."},
		{"/file", "file"},
		{"file", "file"},
		{"dir", "dir"},
		{"dir/", "dir"},
		{"/dir//./sub", "dir/sub"},
		{"/absolute", "dir/file"},
		{"relative", "dir/file"},
		{"dir/up", "file"},
		{"dir/far-up", "file"},
		{"to-dir/file", "dir/file"},
		{"/to-dir/up", "file"},
		{"chain", "dir/sub"},
		{"chain/../file", "dir/file"},
		{"../../file", "file"},
		{"dir/../file", "file"},
		{"dir/sub/../../../../file", "file"},
		{"dotdot/dotdot/file", "file"},
		{"slash/slash/dir/../file", "file"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int fd = -1;
		int r = open_it(tree, rows[i].path, &fd);

		cr_expect_eq(r, 0, "%s: %s", rows[i].path, strerror(-r));
		cr_expect(r < 0 || is_file(fd, tree, rows[i].wanted), "%s is not %s", rows[i].path,
			  rows[i].wanted);
	}
}

static void expect_does_not_open(opener open_it, int tree)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {
		{"", ENOENT},
		{"missing", ENOENT},
		{"missing/../file", ENOENT},
		{"nowhere", ENOENT},
		{"escape", ENOENT},
		{"loop", ELOOP},
		{"file/x", ENOTDIR},
		{"dir/../loop/../file", ELOOP},
		{"file/", ENOTDIR},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = -1;

		cr_expect_eq(open_it(tree, rows[i].path, &fd), -rows[i].error, "%s", rows[i].path);
		cr_expect_eq(fd, -1, "%s: ret_fd must be untouched on failure", rows[i].path);
	}
}

Test(path, open_finds_what_a_process_with_that_root_would)
{
	_autoclose_ int tree = open_links_tree();

	expect_opens(path_open, tree);
	expect_opens(path_open_inside, tree);
}

Test(path, open_says_why_it_does_not)
{
	_autoclose_ int tree = open_links_tree();

	expect_does_not_open(path_open, tree);
	expect_does_not_open(path_open_inside, tree);
}

Test(path, open_does_not_cut_what_is_too_long)
{
	_autoclose_ int tree = tmp_tree("a/");
	char path[PATH_MAX + 8], name[NAME_MAX + 8];
	int fd = -1;

	memset(path, '/', sizeof(path));
	path[PATH_MAX] = '\0';
	cr_expect_eq(path_open(tree, path, &fd), -ENAMETOOLONG);
	cr_expect_eq(path_open_inside(tree, path, &fd), -ENAMETOOLONG);

	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	cr_expect_eq(path_open(tree, name, &fd), -ENAMETOOLONG);
	memcpy(name, "a/..", 4);
	name[4] = '/'; /* now "a/../nnn...", walked by hand */
	name[NAME_MAX + 6] = 'n';
	name[NAME_MAX + 7] = '\0';
	cr_expect_eq(path_open(tree, name, &fd), -ENOENT);
	cr_expect_eq(fd, -1);
}

/* A row of links: l0 -> end, l1 -> l0, ... */
static int open_chain(int length)
{
	int tree = tmp_tree("end=reached");
	char name[16], target[16] = "end";

	for (int i = 0; i < length; i++) {
		(void)snprintf(name, sizeof(name), "l%d", i);
		cr_assert_eq(symlinkat(target, tree, name), 0);
		memcpy(target, name, sizeof(target));
	}
	return tree;
}

Test(path, open_follows_forty_links)
{
	_autoclose_ int tree = open_chain(41);
	_autoclose_ int fd = -1;
	int none = -1;

	cr_expect_eq(path_open(tree, "l39", &fd), 0);
	cr_expect(is_file(fd, tree, "end"));
	cr_expect_eq(path_open(tree, "l40", &none), -ELOOP);
	cr_expect_eq(path_open_inside(tree, "l40", &none), -ELOOP);
}

Test(path, open_does_not_jump_through_magic_links)
{
	_autoclose_ int root = open("/", O_PATH | O_CLOEXEC);
	_autoclose_ int hidden = memfd_create("hidden", MFD_CLOEXEC);
	char path[64];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", hidden);
	cr_expect_eq(path_open(root, path, &fd), -ENOENT);
	cr_expect_eq(path_open_inside(root, path, &fd), -ELOOP);
	cr_expect_eq(path_open_inside(root, "/proc/self/root/etc", &fd), -ELOOP);
	cr_expect_eq(fd, -1);
}

/* With a mount on the host's root, "..", however it comes, must stay below that mount. */
static int open_below_a_covered_root(void *arg)
{
	const char *const *paths = arg;
	_autoclose_ int root = -1;
	struct stat wanted;

	if (ns_enter() != 0)
		return NS_UNAVAILABLE;
	child_check(stat("/usr", &wanted) == 0);
	root = open("/", O_PATH | O_CLOEXEC);
	child_check(ns_mount_tmpfs("/") == 0);

	for (size_t i = 0; paths[i]; i++) {
		_autoclose_ int fd = -1;
		struct stat st;

		errno = -path_open(root, paths[i], &fd);
		if (errno)
			dprintf(STDERR_FILENO, "%s\n", paths[i]);
		child_check(errno == 0);
		child_check(fstat(fd, &st) == 0);
		child_check(st.st_ino == wanted.st_ino && st.st_dev == wanted.st_dev);
	}
	return 0;
}

Test(path, open_does_not_enter_what_is_mounted_on_the_root)
{
	_autoclose_ int tree = tmp_tree("relative -> ../../../../../../../usr", "absolute -> /usr",
					"both -> /tmp/../usr");
	_autofree_ char *relative = tree_path(tree, "relative");
	_autofree_ char *absolute = tree_path(tree, "absolute");
	_autofree_ char *both = tree_path(tree, "both");
	const char *paths[] = {relative,      absolute,	     both,	  "/../usr",
			       "/usr/../usr", "/usr/bin/..", "../../usr", NULL};

	expect_in_child(open_below_a_covered_root, paths);
}

/* ---- make ---- */

static mode_t mode_of(int tree, const char *name)
{
	struct stat st;

	return fstatat(tree, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode : 0;
}

Test(path, make_dir_makes_parents_with_their_own_mode)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autoclose_ int fd = -1;
	mode_t mask = umask(0);

	cr_expect_eq(path_make_dir(tree, "/a/b//c/./", 0711, 0750, &fd), 0);
	umask(mask);
	cr_expect(is_file(fd, tree, "a/b/c"));
	cr_expect_eq(mode_of(tree, "a"), S_IFDIR | 0750);
	cr_expect_eq(mode_of(tree, "a/b"), S_IFDIR | 0750);
	cr_expect_eq(mode_of(tree, "a/b/c"), S_IFDIR | 0711);
}

/* Every row in a tree of its own. `wanted` is where the new directory (or file) must be. */
static const struct make_row {
	const char *path, *wanted;
	int error;
} make_dir_rows[] = {
	{"/", ".", 0},
	{".", ".", 0},
	{"/..", ".", 0},
	{"dir", "dir", 0},
	{"dir/new", "dir/new", 0},
	{"to-dir/new", "dir/new", 0},
	{"slash/new", "new", 0},
	{"dangling", "made/here", 0},
	{"dangling/new/", "made/here/new", 0},
	{"absolute", "made/there", 0},
	{"absolute/new", "made/there/new", 0},
	{"dir/far-up/new", "outside/new", 0},
	{"dir/../new", "new", 0},
	{"new/../other", "other", 0},
	{"../../new", "new", 0},
	{"new/../../../other", "other", 0},
	{"new/..", ".", 0},
	{"new/deep/../../../..", ".", 0},
	{"new/../../x/../../other", "other", 0},
	{"new/../to-dir/other", "dir/other", 0},
	{"new/./../dangling/./other", "made/here/other", 0},
	{"file", NULL, ENOTDIR},
	{"file/new", NULL, ENOTDIR},
	{"new/../file/other", NULL, ENOTDIR},
	{"to-file", NULL, ENOTDIR},
	{"to-file/new", NULL, ENOTDIR},
	{"loop", NULL, ELOOP},
	{"loop/new", NULL, ELOOP},
	{"longer", NULL, ELOOP},
	{"", NULL, ENOENT},
};

static int make_tree(void)
{
	return tmp_tree("dir/", "file=text", "to-dir -> dir", "to-file -> file", "slash -> /",
			"dangling -> made/here", "absolute -> /made/there",
			"dir/far-up -> ../../../../outside", "loop -> loop", "longer -> longer/on");
}

Test(path, make_dir_goes_where_links_lead_and_never_out)
{
	for (size_t i = 0; i < ARRAY_SIZE(make_dir_rows); i++) {
		const struct make_row *row = &make_dir_rows[i];
		_autoclose_ int tree = make_tree();
		_autoclose_ int fd = -1;
		int r = path_make_dir(tree, row->path, 0755, 0755, &fd);

		cr_expect_eq(r, -row->error, "%s: %s", row->path, strerror(-r));
		if (row->wanted)
			cr_expect(r == 0 && is_file(fd, tree, row->wanted), "%s is not %s",
				  row->path, row->wanted);
		else
			cr_expect_eq(fd, -1, "%s", row->path);
	}
}

/* The root is a plain directory here: its own ".." leads out, if anybody takes it. */
Test(path, make_dir_does_not_leave_a_root_that_is_no_mount)
{
	static const char *const paths[] = {"x/../../out", "x/y/../../../out", "x/../..",
					    "dangling/../../out"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_autoclose_ int outer = tmp_tree("root/dangling -> gone");
		_autoclose_ int root = openat(outer, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
		_autoclose_ int fd = -1;

		(void)path_make_dir(root, paths[i], 0755, 0755, &fd);
		cr_expect_not(tree_exists(outer, "out"), "%s", paths[i]);
		cr_expect_not(is_file(fd, outer, "."), "%s", paths[i]);
	}
}

Test(path, make_file_goes_where_links_lead_and_never_out)
{
	static const struct make_row rows[] = {
		{"new", "new", 0},
		{"deep/er/new", "deep/er/new", 0},
		{"file", "file", 0},
		{"to-file", "file", 0},
		{"dangling", "made/here", 0},
		{"absolute", "made/there", 0},
		{"absolute/new", "made/there/new", 0},
		{"dir/far-up", "outside", 0},
		{"x/../../new", "new", 0},
		{"dir", NULL, EISDIR},
		{"to-dir", NULL, EISDIR},
		{"/", NULL, EISDIR},
		{"file/new", NULL, ENOTDIR},
		{"loop", NULL, ELOOP},
		{"longer", NULL, ELOOP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = make_tree();
		_autoclose_ int fd = -1;
		int r = path_make_file(tree, rows[i].path, 0644, 0755, &fd);

		cr_expect_eq(r, -rows[i].error, "%s: %s", rows[i].path, strerror(-r));
		if (rows[i].wanted)
			cr_expect(r == 0 && is_file(fd, tree, rows[i].wanted), "%s is not %s",
				  rows[i].path, rows[i].wanted);
		else
			cr_expect_eq(fd, -1, "%s", rows[i].path);
	}
}

Test(path, make_file_leaves_what_is_there)
{
	_autoclose_ int tree = tmp_tree("file=text");
	_autoclose_ int fd = -1;
	_autofree_ char *text = NULL;

	cr_expect_eq(path_make_file(tree, "file", 0600, 0755, &fd), 0);
	text = tree_read(tree, "file");
	cr_expect_str_eq(text, "text");
	cr_expect_eq(mode_of(tree, "file"), S_IFREG | 0644);
}

Test(path, make_parent_tells_the_last_name)
{
	static const struct {
		const char *path, *dir, *name;
	} rows[] = {
		{"/new", ".", "new"},
		{"new", ".", "new"},
		{"a/b/new", "a/b", "new"},
		{"to-dir/new", "dir", "new"},
		{"absolute/new", "made/there", "new"},
		{"loop", ".", "loop"}, /* the last name is not looked at */
		{"dir/../new", ".", "new"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = make_tree();
		_autopathdir_ struct path_dir dir = PATH_DIR_NONE;
		const char *name = NULL;

		cr_expect_eq(path_make_parent(tree, rows[i].path, 0755, &dir, &name), 0, "%s",
			     rows[i].path);
		cr_expect(is_file(dir.fd, tree, rows[i].dir), "%s", rows[i].path);
		cr_expect(str_equal(name, rows[i].name), "%s", rows[i].path);
	}
}

Test(path, make_parent_wants_a_last_name)
{
	static const struct {
		const char *path;
		int error;
	} rows[] = {{"/", EINVAL},    {"..", EINVAL},	   {"dir/..", EINVAL}, {"dir/.", EINVAL},
		    {"dir/", EINVAL}, {"file/x", ENOTDIR}, {"loop/x", ELOOP}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = make_tree();
		struct path_dir dir = PATH_DIR_NONE;
		const char *name = NULL;

		cr_expect_eq(path_make_parent(tree, rows[i].path, 0755, &dir, &name),
			     -rows[i].error, "%s", rows[i].path);
		cr_expect_eq(dir.fd, -1, "%s", rows[i].path);
		cr_expect_null(name);
	}
}

Test(path, make_takes_the_longest_names)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autoclose_ int fd = -1, file = -1;
	char name[NAME_MAX + 2], path[2 * NAME_MAX + 4];
	int none = -1;

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", name, name);
	cr_expect_eq(path_make_dir(tree, name, 0755, 0755, &fd), 0);
	cr_expect_eq(path_make_file(tree, path, 0644, 0755, &file), 0);
	cr_expect(is_file(file, fd, name));

	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	cr_expect_eq(path_make_dir(tree, name, 0755, 0755, &none), -ENAMETOOLONG);
	cr_expect_eq(path_make_file(tree, name, 0644, 0755, &none), -ENAMETOOLONG);
}

/* As deep as a path can say. Removed by hand: too deep for the tree's own clean-up. */
static int make_deep(void *arg)
{
	static const char component[] = "d/";
	const int *tree = arg;
	char path[PATH_MAX + 2];
	size_t len = 0;
	_autoclose_ int fd = -1, file = -1;
	int none = -1;

	while (len + sizeof(component) <= PATH_MAX - 1) {
		memcpy(path + len, component, sizeof(component));
		len += sizeof(component) - 1;
	}
	child_check(path_make_dir(*tree, path, 0755, 0755, &fd) == 0);
	child_check(path_make_file(*tree, path, 0644, 0755, &file) == -EISDIR);

	memset(path, 'd', sizeof(path));
	path[PATH_MAX] = '\0';
	child_check(path_make_dir(*tree, path, 0755, 0755, &none) == -ENAMETOOLONG);
	child_check(path_make_file(*tree, path, 0644, 0755, &none) == -ENAMETOOLONG);
	child_check(none == -1);
	return 0;
}

Test(path, make_goes_as_deep_as_a_path_can_say)
{
	_autoclose_ int tree = tmp_tree("deep/");
	_autofree_ char *path = tree_path(tree, "deep");
	_autorun_ struct run_result removed = {0};

	expect_in_child(make_deep, &tree);
	removed = run_program("rm", "-rf", path);
	cr_expect_eq(removed.status, 0);
}

Test(path, make_says_why_it_cannot)
{
	_autoclose_ int tree = tmp_tree("closed/");
	int fd = -1;

	skip_unless(geteuid() != 0, "root may write everywhere");
	cr_assert_eq(fchmodat(tree, "closed", 0555, 0), 0);
	cr_expect_eq(path_make_dir(tree, "closed/new", 0755, 0755, &fd), -EACCES);
	cr_expect_eq(path_make_dir(tree, "closed/a/b", 0755, 0755, &fd), -EACCES);
	cr_expect_eq(path_make_file(tree, "closed/new", 0644, 0755, &fd), -EACCES);
	cr_expect_eq(fd, -1);
}
