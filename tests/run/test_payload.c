/* SPDX-License-Identifier: MIT */
/* The last steps before the command: where it starts, and which descriptors it has. */

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "site.h"

/* These steps look at nothing of the host, so they need no namespaces. */
static void plain_site(struct site *site)
{
	plan_init(&site->plan);
	context_init(&site->ctx, &site->plan);
}

struct workdirs {
	const char *tree;
	const char *dirs[4];
	bool required;
	const char *ends_in; /* NULL: refused */
};

static int change_directory(void *arg)
{
	struct workdirs *w = arg;
	char *envp[] = {(char *)(uintptr_t) "", (char *)(uintptr_t) "A=1", NULL};
	char wanted[8192];
	struct site site;
	int r;

	plain_site(&site);
	child_check(chdir(w->tree) == 0);
	site.plan.envp = envp;
	site.plan.workdirs = w->dirs;
	site.plan.workdir_required = w->required;
	r = site_run(&site, STEP(CHDIR, .text = NULL));
	if (!w->ends_in) {
		child_check(r < 0 &&
			    strcmp(site.err.what, "cannot change to the working directory") == 0);
		child_check(strcmp(site.err.path, w->dirs[0]) == 0);
		return 0;
	}
	child_check(r == 0);
	(void)snprintf(wanted, sizeof(wanted), "PWD=%s%s", w->tree, w->ends_in);
	if (w->ends_in[0] == '\0')
		(void)snprintf(wanted, sizeof(wanted), "PWD=/");
	child_check(strcmp(envp[0], wanted) == 0 && strcmp(envp[1], "A=1") == 0);
	return 0;
}

Test(payload, it_starts_in_the_first_directory_that_works)
{
	static const struct workdirs rows[] = {
		{NULL, {"one", "two", "/"}, false, "/one"},
		{NULL, {"none", "two", "/"}, false, "/two"},
		{NULL, {"file", "link", "/"}, false, "/one"},
		{NULL, {"none", "gone", "/"}, false, ""},
		{NULL, {"two"}, true, "/two"},
		{NULL, {"none"}, true, NULL},
		{NULL, {"none", "one"}, true, NULL},
		{NULL, {"file"}, true, NULL},
	};
	_autoclose_ int tree = tmp_tree("one/", "two/", "file", "link -> one");
	_autofree_ char *path = tree_path(tree, "");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct workdirs row = rows[i];

		row.tree = path;
		cr_expect_eq(in_child(change_directory, &row), 0, "row %zu", i);
	}
}

static int pass_descriptors(void *arg)
{
	static const int pass[] = {5, 40};
	struct site site;

	(void)arg;
	plain_site(&site);
	for (int fd = 3; fd < 60; fd++)
		child_check(dup3(2, fd, fd % 2 ? O_CLOEXEC : 0) == fd);
	site.plan.pass_fds = pass;
	site.plan.n_pass_fds = ARRAY_SIZE(pass);
	child_check(site_run(&site, STEP(DESCRIPTORS, .text = NULL)) == 0);
	for (int fd = 0; fd < 60; fd++)
		child_check(fcntl(fd, F_GETFD) == (fd > 2 && fd != 5 && fd != 40 ? FD_CLOEXEC : 0));
	return 0;
}

static int pass_what_is_closed(void *arg)
{
	static const int pass[] = {70};
	struct site site;

	(void)arg;
	plain_site(&site);
	close(70);
	site.plan.pass_fds = pass;
	site.plan.n_pass_fds = 1;
	child_check(site_run(&site, STEP(DESCRIPTORS, .text = NULL)) == -EBADF);
	return 0;
}

Test(payload, it_has_the_descriptors_that_are_passed)
{
	expect_in_child(pass_descriptors, NULL);
	expect_in_child(pass_what_is_closed, NULL);
}

static int new_session(void *arg)
{
	struct site site;

	(void)arg;
	plain_site(&site);
	child_check(site_run(&site, STEP(SESSION, .text = NULL)) == 0);
	child_check(getsid(0) == getpid());
	child_check(site_run(&site, STEP(SESSION, .text = NULL)) == 0); /* it is one already */
	return 0;
}

Test(payload, it_can_have_a_session_of_its_own)
{
	expect_in_child(new_session, NULL);
}
