/* SPDX-License-Identifier: MIT */
/* Steps that make and change files inside the new root. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "site.h"

static mode_t mode_in(const struct site *site, const char *path)
{
	struct stat st;

	return fstatat(site->ctx.root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode : 0;
}

#define open_site(site)                                                                            \
	do {                                                                                       \
		int open_ = site_open(site);                                                       \
                                                                                                   \
		if (open_ != 0)                                                                    \
			return open_;                                                              \
		child_check(site_run(site, STEP(ROOT_TMPFS, .dest = NULL)) == 0);                  \
	} while (0)

static int make_dirs(void *arg)
{
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(DIR, .dest = "/a/b", .mode = 01777)) == 0);
	child_check(mode_in(&site, "a/b") == (S_IFDIR | 01777));
	child_check(mode_in(&site, "a") == (S_IFDIR | 0755));
	child_check(site_run(&site, STEP(DIR, .dest = "/p/q", .mode = 0700, .parent_mode = 0700)) ==
		    0);
	child_check(mode_in(&site, "p") == (S_IFDIR | 0700));
	child_check(site_run(&site, STEP(DIR, .dest = "/g/q", .mode = 0750, .parent_mode = 0750)) ==
		    0);
	child_check(mode_in(&site, "g") == (S_IFDIR | 0750));
	/* What is there stays as it is. */
	child_check(site_run(&site, STEP(DIR, .dest = "/a/b", .mode = 0700)) == 0);
	child_check(mode_in(&site, "a/b") == (S_IFDIR | 01777));
	child_check(site_run(&site, STEP(FILE, .dest = "/f", .text = "", .mode = 0644)) == 0);
	child_check(site_run(&site, STEP(DIR, .dest = "/f", .mode = 0755)) == -ENOTDIR);
	child_check(strcmp(site.err.path, "/f") == 0);
	return 0;
}

static int write_files(void *arg)
{
	int pipe_fds[2];
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(FILE, .dest = "/etc/f", .text = "long text", .mode = 0640,
					 .parent_mode = 0750)) == 0);
	child_check(site_reads(&site, "etc/f", "long text"));
	child_check(mode_in(&site, "etc/f") == (S_IFREG | 0640));
	child_check(mode_in(&site, "etc") == (S_IFDIR | 0750));

	/* An existing file is replaced in content, also behind a link. */
	child_check(site_run(&site, STEP(SYMLINK, .source = "f", .dest = "/etc/link")) == 0);
	child_check(pipe(pipe_fds) == 0 && write(pipe_fds[1], "short", 5) == 5);
	child_check(close(pipe_fds[1]) == 0);
	child_check(site_run(&site, STEP(FILE, .dest = "/etc/link", .fd = pipe_fds[0],
					 .mode = 0600)) == 0);
	child_check(site_reads(&site, "etc/f", "short"));

	child_check(site_run(&site, STEP(FILE, .dest = "/etc", .text = "", .mode = 0644)) ==
		    -EISDIR);
	child_check(site_run(&site, STEP(FILE, .dest = "/etc/f/x", .text = "", .mode = 0644)) ==
		    -ENOTDIR);
	child_check(site_run(&site, STEP(FILE, .dest = "/etc/", .text = "", .mode = 0644)) ==
		    -EISDIR);
	return 0;
}

static int make_links(void *arg)
{
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(SYMLINK, .source = "/usr/bin", .dest = "/x/bin")) == 0);
	child_check(site_run(&site, STEP(SYMLINK, .source = "/usr/bin", .dest = "/x/bin")) == 0);
	child_check(site_run(&site, STEP(SYMLINK, .source = "/other", .dest = "/x/bin")) ==
		    -EEXIST);
	child_check(strcmp(site.err.what, "is a link to something else: /usr/bin") == 0);
	child_check(site_run(&site, STEP(SYMLINK, .source = "a", .dest = "/x")) == -EEXIST);
	child_check(strcmp(site.err.what, "exists and is no symbolic link") == 0);
	child_check(site_run(&site, STEP(SYMLINK, .source = "a", .dest = "/")) == -EISDIR);
	return 0;
}

static int change_modes(void *arg)
{
	struct site site;

	(void)arg;
	open_site(&site);
	child_check(site_run(&site, STEP(FILE, .dest = "/f", .text = "", .mode = 0644)) == 0);
	child_check(site_run(&site, STEP(SYMLINK, .source = "/f", .dest = "/link")) == 0);
	child_check(site_run(&site, STEP(CHMOD, .dest = "/link", .mode = 04711)) == 0);
	child_check(mode_in(&site, "f") == (S_IFREG | 04711));
	child_check(site_run(&site, STEP(CHMOD, .dest = "/", .mode = 0700)) == 0);
	child_check(mode_in(&site, ".") == (S_IFDIR | 0700));
	child_check(site_run(&site, STEP(CHMOD, .dest = "/none", .mode = 0700)) == -ENOENT);
	return 0;
}

Test(files, directories_have_the_mode_asked_for)
{
	expect_in_child(make_dirs, NULL);
}

Test(files, files_have_the_content_asked_for)
{
	expect_in_child(write_files, NULL);
}

Test(files, links_are_made_once)
{
	expect_in_child(make_links, NULL);
}

Test(files, modes_are_those_of_what_a_link_means)
{
	expect_in_child(change_modes, NULL);
}
