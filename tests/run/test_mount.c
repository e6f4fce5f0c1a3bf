/* SPDX-License-Identifier: MIT */
/* Steps that mount, one at a time, on a new root. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "site.h"

/* Every test's child gets the path of a tree of its own on the host. */
#define RO (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static const char *in_tree(const char *tree, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", tree, name) < 0 ? NULL : path;
}

#define with_tree(fn, ...)                                                                         \
	do {                                                                                       \
		_autoclose_ int tree_ = tmp_tree(__VA_ARGS__);                                     \
		_autofree_ char *path_ = tree_path(tree_, "");                                     \
                                                                                                   \
		expect_in_child(fn, path_);                                                        \
	} while (0)

#define open_site(site)                                                                            \
	do {                                                                                       \
		int open_ = site_open(site);                                                       \
                                                                                                   \
		if (open_ != 0)                                                                    \
			return open_;                                                              \
		child_check(site_run(site, STEP(ROOT_TMPFS, .dest = NULL)) == 0);                  \
	} while (0)

/* ---- bind ---- */

static int read_only_reaches_submounts(void *arg)
{
	const char *src = in_tree(arg, "src"), *sub = in_tree(arg, "src/sub");
	struct site site;

	if (ns_enter() != 0 || ns_mount_tmpfs(sub) != 0)
		return NS_UNAVAILABLE;
	open_site(&site);
	child_check(site_run(&site, STEP(BIND, .source = src, .dest = "/ro", .attrs = RO)) == 0);
	child_check(site_run(&site, STEP(BIND, .source = src, .dest = "/rw")) == 0);
	child_check(site_create_errno(&site, "ro/new") == EROFS);
	child_check(site_create_errno(&site, "ro/sub/new") == EROFS);
	child_check(site_create_errno(&site, "rw/sub/new") == 0);
	child_check(site_create_errno(&site, "ro/sub/new") == EEXIST);
	child_check(site_reads(&site, "ro/file", "text"));
	/* The host's own mounts are as they were. */
	child_check(access(in_tree(arg, "src/sub/new"), W_OK) == 0);
	return 0;
}

Test(mount, a_read_only_bind_is_so_all_the_way_down)
{
	with_tree(read_only_reaches_submounts, "src/sub/", "src/file=text");
}

static int bind_host_root(void *arg)
{
	const bool *with_store = arg;
	struct site site;
	int r = site_open(&site);

	if (r != 0)
		return r;
	if (*with_store)
		child_check(site_run(&site, STEP(DATA_STORE, .dest = NULL)) == 0);
	child_check(site_run(&site, STEP(ROOT_TMPFS, .dest = NULL)) == 0);
	child_check(site_run(&site, STEP(DIR, .dest = "/mark", .mode = 0755)) == 0);
	child_check(site_run(&site, STEP(BIND, .source = "/", .dest = "/host", .attrs = RO)) == 0);
	child_check(tree_exists(site.ctx.root_fd, "host/usr"));
	child_check(tree_exists(site.ctx.root_fd, "host/proc/self"));
	child_check(!tree_exists(site.ctx.root_fd, "host/mark"));
	child_check(site_create_errno(&site, "host/tmp/new") == EROFS);
	/* What comes later still goes to the new root, and a second time works as well. */
	child_check(site_run(&site, STEP(BIND, .source = "/", .dest = "/again", .attrs = RO)) == 0);
	child_check(tree_exists(site.ctx.root_fd, "again/usr"));
	child_check(tree_exists(site.ctx.root_fd, "mark"));
	child_check(site_run(&site, STEP(PIVOT, .dest = NULL)) == 0);
	child_check(access("/mark", F_OK) == 0 && access("/host/usr", F_OK) == 0);
	child_check(access("/usr", F_OK) < 0);
	return 0;
}

Test(mount, the_hosts_root_can_be_bound_and_hides_nothing)
{
	bool no = false, yes = true;

	expect_in_child(bind_host_root, &no);
	expect_in_child(bind_host_root, &yes);
}

/* One directory is kept open for several sources; none may be looked for in another's. */
static int neighbouring_sources(void *arg)
{
	static const char *const names[] = {"a/x", "a/y", "b/x", "a/x/deep", "a/x", "link", "a/y"};
	struct site site;

	open_site(&site);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *source = in_tree(arg, names[i]);
		char dest[] = "/0";
		struct stat want, have;

		dest[1] = (char)('0' + i);
		child_check(site_run(&site, STEP(BIND, .source = source, .dest = dest)) == 0);
		child_check(stat(source, &want) == 0);
		child_check(fstatat(site.ctx.root_fd, dest + 1, &have, 0) == 0);
		child_check(want.st_dev == have.st_dev && want.st_ino == have.st_ino);
	}
	child_check(site_run(&site, STEP(BIND, .source = in_tree(arg, "b/x/no"), .dest = "/n")) ==
		    -ENOTDIR);
	child_check(site_run(&site, STEP(BIND, .source = in_tree(arg, "b/x"), .dest = "/n")) == 0);
	return 0;
}

Test(mount, each_source_is_taken_from_its_own_directory)
{
	with_tree(neighbouring_sources, "a/x/deep/", "a/y/", "b/x=text", "link -> a/x");
}

static int missing_sources(void *arg)
{
	const char *gone = in_tree(arg, "gone"), *dangling = in_tree(arg, "dangling");
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(BIND, .source = gone, .dest = "/a/b")) == -ENOENT);
	child_check(strcmp(site.err.what, "cannot open source") == 0);
	child_check(strcmp(site.err.path, gone) == 0);
	child_check(site_run(&site, STEP(BIND, .source = dangling, .dest = "/a/b")) == -ENOENT);
	child_check(site_run(&site, STEP(BIND, .source = gone, .dest = "/a/b",
					 .flags = PLAN_STEP_TRY)) == 0);
	child_check(!tree_exists(site.ctx.root_fd, "a"));
	return 0;
}

Test(mount, a_missing_source_leaves_no_destination)
{
	with_tree(missing_sources, "dangling -> gone");
}

static int kinds_must_agree(void *arg)
{
	const char *dir = in_tree(arg, "dir"), *file = in_tree(arg, "file");
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(DIR, .dest = "/d", .mode = 0755)) == 0);
	child_check(site_run(&site, STEP(FILE, .dest = "/f", .text = "", .mode = 0644)) == 0);
	child_check(site_run(&site, STEP(BIND, .source = file, .dest = "/d")) == -EISDIR);
	child_check(site_run(&site, STEP(BIND, .source = dir, .dest = "/f")) == -ENOTDIR);
	child_check(site_run(&site, STEP(BIND, .source = dir, .dest = "/f/x")) == -ENOTDIR);
	child_check(site_run(&site, STEP(BIND, .source = file, .dest = "/")) == -ENOTDIR);
	child_check(site_run(&site, STEP(BIND, .source = file, .dest = "/f")) == 0);
	child_check(site_reads(&site, "f", "text"));
	child_check(site_run(&site, STEP(BIND, .source = file, .dest = "/new/f")) == 0);
	child_check(site_reads(&site, "new/f", "text"));
	return 0;
}

Test(mount, directories_go_on_directories_and_files_on_files)
{
	with_tree(kinds_must_agree, "dir/", "file=text");
}

static int sources_through_links(void *arg)
{
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(BIND, .source = in_tree(arg, "up"), .dest = "/x")) == 0);
	child_check(site_reads(&site, "x/file", "text"));
	/* A relative source starts where the caller is. */
	child_check(chdir(in_tree(arg, "dir")) == 0);
	child_check(site_run(&site, STEP(BIND, .source = "../real", .dest = "/y")) == 0);
	child_check(site_reads(&site, "y/file", "text"));
	return 0;
}

Test(mount, sources_are_the_hosts_also_through_links_and_dots)
{
	with_tree(sources_through_links, "real/file=text", "dir/", "up -> dir/../real");
}

static int links_stay_inside(void *arg)
{
	const char *src = in_tree(arg, "src"), *outside = in_tree(arg, "outside");
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(SYMLINK, .source = outside, .dest = "/link")) == 0);
	child_check(site_run(&site, STEP(BIND, .source = src, .dest = "/link/here")) == 0);
	child_check(access(in_tree(arg, "outside/here"), F_OK) < 0);
	child_check(site_reads(&site, "link/here/file", "text"));
	child_check(site_run(&site, STEP(FILE, .dest = "/link/made", .text = "x", .mode = 0644)) ==
		    0);
	child_check(site_run(&site, STEP(DIR, .dest = "/../../link/d", .mode = 0755)) == 0);
	child_check(access(in_tree(arg, "outside/made"), F_OK) < 0);
	child_check(access(in_tree(arg, "outside/d"), F_OK) < 0);
	return 0;
}

Test(mount, no_destination_is_on_the_host)
{
	with_tree(links_stay_inside, "src/file=text", "outside/");
}

struct bind_fd {
	const char *tree;
	int dir, moved;
};

static int bind_descriptors(void *arg)
{
	const struct bind_fd *b = arg;
	int pipe_fds[2];
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(BIND, .fd = b->dir, .dest = "/d", .attrs = RO)) == 0);
	child_check(site_reads(&site, "d/file", "text"));
	child_check(site_create_errno(&site, "d/new") == EROFS);

	child_check(rename(in_tree(b->tree, "moved"), in_tree(b->tree, "away")) == 0);
	child_check(site_run(&site, STEP(BIND, .fd = b->moved, .dest = "/m")) == 0);
	child_check(pipe(pipe_fds) == 0);
	child_check(site_run(&site, STEP(BIND, .fd = pipe_fds[0], .dest = "/p")) == -EINVAL);
	return 0;
}

Test(mount, descriptors_are_bound_by_what_they_are_open_on)
{
	_autoclose_ int tree = tmp_tree("dir/file=text", "moved/");
	_autofree_ char *path = tree_path(tree, "");
	_autoclose_ int dir = openat(tree, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int moved = openat(tree, "moved", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bind_fd b = {path, dir, moved};

	expect_in_child(bind_descriptors, &b);
}

static int optional_root(void *arg)
{
	struct site site;
	int r = site_open(&site);

	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(BIND, .source = in_tree(arg, "gone"), .dest = "/",
					 .flags = PLAN_STEP_TRY)) == 0);
	child_check(site_run(&site, STEP(DIR, .dest = "/mark", .mode = 0755)) == 0);
	child_check(site_run(&site, STEP(PIVOT, .dest = NULL)) == 0);
	child_check(access("/mark", F_OK) == 0 && access("/usr", F_OK) < 0);
	return 0;
}

Test(mount, a_root_that_may_be_missing_is_empty_then)
{
	with_tree(optional_root, NULL);
}

/* ---- tmpfs, data ---- */

static int make_tmpfs(void *arg)
{
	struct statvfs fs;
	struct stat st;
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(TMPFS, .dest = "/t", .mode = 01770, .size_bytes = 64 << 10,
					 .nr_inodes = 3)) == 0);
	child_check(fstatat(site.ctx.root_fd, "t", &st, 0) == 0 && (st.st_mode & 07777) == 01770);
	child_check(fchdir(site.ctx.root_fd) == 0 && statvfs("t", &fs) == 0);
	child_check(fs.f_blocks * fs.f_frsize == 64 << 10);
	child_check(site_create_errno(&site, "t/1") == 0 && site_create_errno(&site, "t/2") == 0);
	child_check(site_create_errno(&site, "t/3") == ENOSPC);
	child_check(site_run(&site, STEP(TMPFS, .dest = "/r", .attrs = RO)) == 0);
	child_check(site_create_errno(&site, "r/new") == EROFS);
	return 0;
}

Test(mount, tmpfs_has_the_size_and_mode_asked_for)
{
	expect_in_child(make_tmpfs, NULL);
}

static int bind_data(void *arg)
{
	int pipe_fds[2];
	struct stat st;
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(DATA_STORE, .dest = NULL)) == 0);
	child_check(site_run(&site, STEP(ROOT_TMPFS, .dest = NULL)) == 0);
	for (int i = 0; i < 2; i++) {
		child_check(pipe(pipe_fds) == 0);
		child_check(write(pipe_fds[1], i ? "two" : "one", 3) == 3 &&
			    close(pipe_fds[1]) == 0);
		child_check(site_run(&site, STEP(BIND_DATA, .fd = pipe_fds[0],
						 .dest = i ? "/d/two" : "/d/one", .mode = 0640,
						 .attrs = i ? RO : MOUNT_ATTR_NOSUID)) == 0);
	}
	child_check(site_reads(&site, "d/one", "one") && site_reads(&site, "d/two", "two"));
	child_check(fstatat(site.ctx.root_fd, "d/one", &st, 0) == 0 &&
		    (st.st_mode & 07777) == 0640);
	child_check(site_open_file(&site, "d/one", O_WRONLY) >= 0);
	child_check(site_open_file(&site, "d/two", O_WRONLY) < 0 && errno == EROFS);
	child_check(site_run(&site, STEP(PIVOT, .dest = NULL)) == 0);
	child_check(access("/d/two", R_OK) == 0 && access("/usr", F_OK) < 0);
	return 0;
}

Test(mount, data_of_descriptors_becomes_files_on_mounts)
{
	expect_in_child(bind_data, NULL);
}

/* ---- changes to what is there ---- */

static int remount(void *arg)
{
	struct site site;

	open_site(&site);
	child_check(site_run(&site, STEP(DIR, .dest = "/plain", .mode = 0755)) == 0);
	child_check(site_run(&site, STEP(TMPFS, .dest = "/t")) == 0);
	child_check(site_run(&site, STEP(TMPFS, .dest = "/t/below")) == 0);
	child_check(site_run(&site, STEP(REMOUNT, .dest = "/plain", .attrs = MOUNT_ATTR_RDONLY)) ==
		    -EINVAL);
	child_check(strcmp(site.err.what, "is not a mount point") == 0);
	child_check(site_run(&site, STEP(REMOUNT, .dest = "/none", .attrs = MOUNT_ATTR_RDONLY)) ==
		    -ENOENT);
	child_check(site_run(&site, STEP(REMOUNT, .dest = "/t", .attrs = MOUNT_ATTR_RDONLY)) == 0);
	child_check(site_create_errno(&site, "t/new") == EROFS);
	child_check(site_create_errno(&site, "t/below/new") == 0); /* that one mount */
	child_check(site_run(&site, STEP(REMOUNT, .dest = "/", .attrs = MOUNT_ATTR_RDONLY)) == 0);
	child_check(site_create_errno(&site, "new") == EROFS);
	child_check(site_create_errno(&site, "t/below/more") == 0);
	(void)arg;
	return 0;
}

Test(mount, a_remount_is_of_one_mount)
{
	expect_in_child(remount, NULL);
}

static int mask(void *arg)
{
	const char *src = in_tree(arg, "src");
	struct site site;
	char byte;

	open_site(&site);
	child_check(site_run(&site, STEP(BIND, .source = src, .dest = "/s")) == 0);
	child_check(site_run(&site, STEP(MASK, .dest = "/s/dir")) == 0);
	child_check(site_run(&site, STEP(MASK, .dest = "/s/file")) == 0);
	child_check(site_run(&site, STEP(MASK, .dest = "/s/link")) == 0);
	child_check(!tree_exists(site.ctx.root_fd, "s/dir/secret"));
	child_check(site_create_errno(&site, "s/dir/new") == EROFS);
	child_check(read(site_open_file(&site, "s/file", O_RDONLY), &byte, 1) == 0);
	child_check(read(site_open_file(&site, "s/linked", O_RDONLY), &byte, 1) == 0);
	child_check(site_run(&site, STEP(MASK, .dest = "/s/none")) == -ENOENT);
	child_check(site_run(&site, STEP(MASK, .dest = "/s/none", .flags = PLAN_STEP_TRY)) == 0);
	child_check(!tree_exists(site.ctx.root_fd, "s/none"));
	return 0;
}

Test(mount, what_is_masked_cannot_be_seen)
{
	with_tree(mask, "src/dir/secret=x", "src/file=secret", "src/linked=secret",
		  "src/link -> linked");
}

/* ---- /dev, /proc ---- */

static int make_dev(void *arg)
{
	static const char *const links[] = {"stdin", "stdout", "stderr", "fd", "ptmx"};
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	struct stat st;
	struct site site;
	char byte = 1;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(DEV, .dest = "/dev", .source = "/dev/null")) == 0);
	child_check(fchdir(site.ctx.root_fd) == 0 && chdir("dev") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		child_check(stat(nodes[i], &st) == 0 && S_ISCHR(st.st_mode));
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		child_check(lstat(links[i], &st) == 0 && S_ISLNK(st.st_mode));
	child_check(stat("console", &st) == 0 && S_ISCHR(st.st_mode));
	child_check(stat("shm", &st) == 0 && (st.st_mode & 07777) == 01777);
	child_check(access("pts/ptmx", R_OK | W_OK) == 0);
	child_check(write(open("null", O_WRONLY), "x", 1) == 1);
	child_check(read(open("zero", O_RDONLY), &byte, 1) == 1 && byte == 0);
	child_check(write(open("full", O_WRONLY), "x", 1) < 0 && errno == ENOSPC);
	child_check(open("ptmx", O_RDWR | O_NOCTTY) >= 0);
	return 0;
}

Test(mount, dev_has_what_every_program_expects)
{
	expect_in_child(make_dev, NULL);
}

static int cover_proc(void *arg)
{
	struct stat null, st;
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(PROC, .dest = "/proc", .flags = PLAN_STEP_HOST)) == 0);
	child_check(site_run(&site, STEP(PROC_COVER, .dest = "/proc")) == 0);
	child_check(site_open_file(&site, "proc/sys/kernel/hostname", O_WRONLY) < 0);
	child_check(errno == EROFS || errno == EACCES);
	child_check(site_open_file(&site, "proc/sys/kernel/hostname", O_RDONLY) >= 0);
	child_check(stat("/dev/null", &null) == 0);
	child_check(fstatat(site.ctx.root_fd, "proc/kcore", &st, 0) < 0 ||
		    st.st_rdev == null.st_rdev);
	child_check(fstatat(site.ctx.root_fd, "proc/self/status", &st, 0) == 0);
	return 0;
}

Test(mount, what_is_dangerous_in_proc_is_covered)
{
	expect_in_child(cover_proc, NULL);
}

/* ---- pivot ---- */

static int pivot(void *arg)
{
	struct stat root, up;
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(DIR, .dest = "/only", .mode = 0755)) == 0);
	child_check(site_run(&site, STEP(PIVOT, .dest = NULL)) == 0);
	child_check(site.ctx.host_root_fd == -1 && site.ctx.root_fd == -1 &&
		    site.ctx.store_fd == -1);
	child_check(access("/only", F_OK) == 0);
	child_check(access("/usr", F_OK) < 0 && access("/../usr", F_OK) < 0);
	child_check(stat("/", &root) == 0 && stat("/..", &up) == 0 && root.st_ino == up.st_ino &&
		    root.st_dev == up.st_dev);
	return 0;
}

Test(mount, behind_pivot_the_host_has_no_name)
{
	expect_in_child(pivot, NULL);
}
