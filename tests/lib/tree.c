/* SPDX-License-Identifier: MIT */
/*
 * tree: throw-away directory trees for tests.
 *
 * Theory of operation
 *
 * Criterion runs every test in a process of its own and tells none of them when
 * all is over, so the runner makes one directory before the first test, names
 * it in TMPDIR, and removes it after the last. The trees are made below it. What sandboxes
 * are left by then it ends.
 */
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <criterion/hooks.h>

#include "testlib.h"

enum { TREE_MAX_OPEN = 16 };

static int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DNR)
		chmod(path, 0700);
	remove(path);
	return 0;
}

static char *tree_new_directory(void)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	if (asprintf(&path, "%s/sbx-test-XXXXXX", base && *base ? base : "/tmp") < 0)
		return NULL;
	if (!mkdtemp(path) || chmod(path, 0755) < 0) {
		free(path);
		return NULL;
	}
	return path;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	_autofree_ char *path = tree_new_directory();

	(void)tests;
	if (!path) {
		perror("cannot make a directory for the tests");
		exit(1);
	}
	setenv("TMPDIR", path, 1);
	setenv("SBX_TEST_TMPDIR", path, 1);
}

/* All that run by the records in this runtime directory. */
static void tree_end_boxes_of(char *runtime)
{
	const char *const argv[] = {sbx_program(), "kill", "-s", "KILL", "--all", NULL};
	const char *dir = dirname(runtime);
	_autofree_ char *env = NULL, *home = NULL;
	pid_t pid;

	/* The user's own home has records too, of tests that run beside this one. */
	if (asprintf(&env, "XDG_RUNTIME_DIR=%s", dir) >= 0 &&
	    asprintf(&home, "HOME=%s", dir) >= 0 &&
	    posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv,
			(char *const[]){env, home, NULL}) == 0)
		(void)waitpid(pid, NULL, 0);
}

/*
 * A test that fails in the middle, crashes or takes too long ends none of its sandboxes, and
 * one that is detached would stay. Their runtime directories are the "run" of a tree.
 */
static void tree_end_boxes(const char *path)
{
	_autofree_ char *pattern = NULL;
	glob_t found;

	if (asprintf(&pattern, "%s/*/run/sbx", path) < 0 ||
	    glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		tree_end_boxes_of(found.gl_pathv[i]);
	globfree(&found);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	const char *path = getenv("SBX_TEST_TMPDIR");

	(void)stats;
	if (path)
		tree_end_boxes(path);
	if (path)
		nftw(path, tree_remove_one, TREE_MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Make the directories above the last part of `name`. */
static void tree_make_parents(int root, const char *name)
{
	_autofree_ char *path = strdup(name);

	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		cr_assert(mkdirat(root, path, 0755) == 0 || errno == EEXIST, "mkdir %s: %s", path,
			  strerror(errno));
		*slash = '/';
	}
}

static void tree_make_file(int root, const char *name, const char *content)
{
	mode_t mode = strncmp(content, "#!", 2) == 0 ? 0755 : 0644;
	_autoclose_ int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	size_t len = strlen(content);

	cr_assert(fd >= 0, "create %s: %s", name, strerror(errno));
	cr_assert(fchmod(fd, mode) == 0);
	cr_assert(write(fd, content, len) == (ssize_t)len);
}

static void tree_make_entry(int root, const char *entry)
{
	_autofree_ char *name = strdup(entry);
	char *arrow = strstr(name, " -> ");
	char *equals = strchr(name, '=');
	const char *content = "";

	if (arrow)
		*arrow = '\0';
	else if (equals)
		*equals = '\0', content = equals + 1;
	tree_make_parents(root, name);

	if (arrow)
		cr_assert(symlinkat(arrow + strlen(" -> "), root, name) == 0, "symlink %s: %s",
			  name, strerror(errno));
	else if (name[0] && name[strlen(name) - 1] != '/')
		tree_make_file(root, name, content);
}

/* Make a tree; see testlib.h for the entries. Returns an O_PATH descriptor of its root. */
int tree_make(const char *const *entries)
{
	_autofree_ char *path = tree_new_directory();
	int root;

	cr_assert(path, "cannot make a directory: %s", strerror(errno));
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert(root >= 0);
	for (size_t i = 0; entries[i]; i++)
		tree_make_entry(root, entries[i]);
	return root;
}

/* The absolute path of `name` in the tree ("" for the tree itself); the caller frees it. */
char *tree_path(int tree_fd, const char *name)
{
	char link[64], root[PATH_MAX];
	char *path = NULL;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", tree_fd);
	len = readlink(link, root, sizeof(root) - 1);
	cr_assert(len > 0);
	root[len] = '\0';
	cr_assert(asprintf(&path, "%s%s%s", root, *name ? "/" : "", name) > 0);
	return path;
}

/* The content of a file in the tree, or NULL where it cannot be opened; the caller frees it. */
char *tree_read(int tree_fd, const char *name)
{
	_autoclose_ int fd = openat(tree_fd, name, O_RDONLY | O_CLOEXEC);
	enum { ROOM = 1 << 16 };
	char *text;
	ssize_t len;

	if (fd < 0)
		return NULL;
	text = calloc(1, ROOM);
	cr_assert(text);
	len = read(fd, text, ROOM - 1);
	cr_assert(len >= 0, "read %s: %s", name, strerror(errno));
	return text;
}

bool tree_exists(int tree_fd, const char *name)
{
	struct stat st;

	return fstatat(tree_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
