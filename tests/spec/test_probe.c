/* SPDX-License-Identifier: MIT */
/* What is found out about a host, real or made up. */

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns.h"
#include "planning.h"

#include "sbx/base/str.h"
#include "sbx/spec/probe.h"

/* ---- the caller ---- */

static char *no_env[] = {NULL};

Test(probe, the_caller_is_who_runs_this)
{
	_autoarena_ struct arena arena;
	struct probe_host host;
	struct sbx_err err;
	char cwd[4096];

	arena_init(&arena);
	cr_assert_eq(probe_host(&arena, no_env, true, &host, &err), 0);
	cr_expect_eq(host.uid, geteuid());
	cr_expect_eq(host.gid, getegid());
	cr_expect_str_eq(host.cwd, getcwd(cwd, sizeof(cwd)));
	cr_expect_str_eq(host.root_prefix, "");
	cr_expect_eq(host.no_new_privs, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	cr_expect_not_null(host.hostname);
	if (getenv("USER"))
		cr_expect_str_eq(host.user, getenv("USER"));
	if (getenv("HOME"))
		cr_expect_str_eq(host.home, getenv("HOME"), "of passwd, without HOME");
}

Test(probe, home_is_the_environments_where_it_is_absolute)
{
	static const struct {
		const char *variable, *home; /* NULL: passwd's */
	} rows[] = {
		{"HOME=/tmp/./x//y/../z/", "/tmp/x/z"},
		{"HOME=/", "/"},
		{"HOME=relative", NULL},
		{"HOME=", NULL},
		{"HOMES=/x", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *env[] = {(char *)(uintptr_t)rows[i].variable, NULL};
		_autoarena_ struct arena arena;
		struct probe_host host, plain;
		struct sbx_err err;

		arena_init(&arena);
		cr_assert_eq(probe_host(&arena, no_env, true, &plain, &err), 0);
		cr_assert_eq(probe_host(&arena, env, true, &host, &err), 0);
		cr_expect(str_equal(host.home, rows[i].home ? rows[i].home : plain.home), "%s",
			  rows[i].variable);
	}
}

static int in_a_directory_that_is_gone(void *arg)
{
	const char *dir = arg;
	_autoarena_ struct arena arena;
	struct probe_host host;
	struct sbx_err err;

	arena_init(&arena);
	child_check(chdir(dir) == 0 && rmdir(dir) == 0);
	child_check(probe_host(&arena, no_env, true, &host, &err) == 0);
	child_check(host.cwd == NULL);
	return 0;
}

static int with_no_new_privs(void *arg)
{
	_autoarena_ struct arena arena;
	struct probe_host host;
	struct sbx_err err;

	(void)arg;
	arena_init(&arena);
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(probe_host(&arena, no_env, true, &host, &err) == 0);
	child_check(host.no_new_privs);
	return 0;
}

/* No entry in passwd, nor in any directory service: a number and nothing more. */
static int as_somebody_unknown(void *arg)
{
	_autoarena_ struct arena arena;
	struct probe_host host;
	struct sbx_err err;

	(void)arg;
	if (ns_enter() != 0 || ns_bind("/dev/null", "/etc/passwd") != 0 ||
	    ns_bind("/dev/null", "/etc/group") != 0 || ns_bind("/dev/null", "/usr/bin/getent") != 0)
		return NS_UNAVAILABLE;
	arena_init(&arena);
	child_check(probe_host(&arena, no_env, true, &host, &err) == 0);
	child_check(host.uid == 0); /* in this namespace */
	child_check(!host.user && !host.group && !host.home && !host.shell);
	return 0;
}

Test(probe, odd_callers_are_told_apart)
{
	_autoclose_ int tree = tmp_tree("gone/");
	_autofree_ char *gone = tree_path(tree, "gone");

	expect_in_child(in_a_directory_that_is_gone, gone);
	expect_in_child(with_no_new_privs, NULL);
	expect_in_child(as_somebody_unknown, NULL);
}

/* ---- subordinate ids ---- */

static void put_file(struct planning *p, const char *name, const char *text, mode_t mode)
{
	_autoclose_ int fd = openat(p->tree, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *subids(struct planning *p, const char *file)
{
	struct probe_range *ranges = NULL;
	char *out = arena_dup(&p->arena, "");
	size_t n = 9;

	cr_assert_eq(probe_subids(&p->host, file, &ranges, &n, &p->err), 0);
	for (size_t i = 0; i < n; i++)
		out = arena_printf(&p->arena, "%s%s%u+%u", out, i ? " " : "", ranges[i].start,
				   ranges[i].count);
	return out;
}

Test(probe, subids_come_from_the_file)
{
	_autoplanning_ struct planning p;

	planning_init(&p);
	cr_expect_str_eq(subids(&p, "/etc/subuid"), "100000+65536");
	cr_expect_str_eq(subids(&p, "/etc/subgid"), "200000+65536");
	cr_expect_str_eq(subids(&p, "/etc/missing"), "");
	p.host.user = "you";
	cr_expect_str_eq(subids(&p, "/etc/subuid"), "");
}

Test(probe, subids_come_from_a_service_where_nsswitch_says_so)
{
	static const char script[] =
		"#!/bin/sh\n"
		"[ \"$1\" = -g ] && { echo \"0: $2 7000 70\"; exit; }\n"
		"echo \"0: $1 5000 50\"; echo garbage; echo \"1: $1 6000 60\"\n";
	_autoplanning_ struct planning p;

	planning_init(&p);
	put_file(&p, "etc/subuid", "you:1:1\n", 0644);
	put_file(&p, "etc/subgid", "", 0644);
	put_file(&p, "usr/bin/getsubids", script, 0755);
	cr_expect_str_eq(subids(&p, "/etc/subuid"), "", "nobody said that there is a service");

	put_file(&p, "etc/nsswitch.conf", "passwd: files\nsubid: sss\n", 0644);
	cr_expect_str_eq(subids(&p, "/etc/subgid"), "7000+70");
	cr_expect_str_eq(subids(&p, "/etc/subuid"), "5000+50 6000+60");

	put_file(&p, "usr/bin/getsubids", "#!/bin/sh\nexit 1\n", 0755);
	cr_expect_str_eq(subids(&p, "/etc/subuid"), "");
}

/* ---- helpers, files, links ---- */

Test(probe, helpers_are_where_systems_install_them)
{
	_autoplanning_ struct planning p;
	const char *path;

	planning_init(&p);
	path = probe_helper(&p.host, &p.run.spec, "newuidmap");
	cr_assert_not_null(path);
	cr_expect_str_eq(path + strlen(p.tree_root), "/usr/bin/newuidmap");
	cr_expect_null(probe_helper(&p.host, &p.run.spec, "slirp4netns"));

	/* What cannot be executed is none. */
	cr_assert_eq(fchmodat(p.tree, "usr/bin/newuidmap", 0644, 0), 0);
	if (geteuid() != 0)
		cr_expect_null(probe_helper(&p.host, &p.run.spec, "newuidmap"));
}

Test(probe, the_last_helper_that_was_named_counts)
{
	static const struct spec_helper named[] = {
		{.name = "newuidmap", .path = "/one"},
		{.name = "newgidmap", .path = "/other"},
		{.name = "newuidmap", .path = "/two"},
	};
	_autoplanning_ struct planning p;

	planning_init(&p);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		cr_assert_eq(spec_add_helper(&p.run.spec, &named[i], &p.err), 0);
	cr_expect_str_eq(probe_helper(&p.host, &p.run.spec, "newuidmap"), "/two");
	cr_expect_str_eq(probe_helper(&p.host, &p.run.spec, "newgidmap"), "/other");
}

Test(probe, texts_and_links_are_the_hosts)
{
	_autoplanning_ struct planning p;
	const char *target;
	struct sbx_err err;

	planning_init(&p);
	cr_expect_str_eq(probe_text(&p.host, "/etc/subuid"), "me:100000:65536\n");
	cr_expect_null(probe_text(&p.host, "/etc/missing"));
	cr_assert_eq(probe_link(&p.host, "/bin", &target, &err), 0);
	cr_expect_str_eq(target, "usr/bin");
	cr_assert_eq(probe_link(&p.host, "/usr", &target, &err), 0);
	cr_expect_null(target);
	cr_assert_eq(probe_link(&p.host, "/missing", &target, &err), 0);
	cr_expect_null(target);
	cr_expect_eq(probe_link(&p.host, "/etc/subuid/below", &target, &err), -ENOTDIR);
	cr_expect_str_eq(err.path, "/etc/subuid/below");
}

/* The command of whoever installs packages here; where that is not known, the package. */
Test(probe, a_missing_helper_is_told_with_its_package)
{
	_autoplanning_ struct planning p;

	planning_init(&p);
	cr_expect_str_eq(probe_helper_remedy(&p.host, "slirp4netns"),
			 "install it: the package is slirp4netns");
	cr_expect_str_eq(probe_helper_remedy(&p.host, "xdg-dbus-proxy"),
			 "install it: the package is xdg-dbus-proxy; --no-dbus-session does "
			 "without");
	cr_expect_null(probe_helper_remedy(&p.host, "cat"));

	put_file(&p, "usr/bin/pacman", "#!/bin/sh\n", 0755);
	cr_expect_str_eq(probe_helper_remedy(&p.host, "newuidmap"), "as root: pacman -S shadow");
	put_file(&p, "usr/bin/apt-get", "#!/bin/sh\n", 0755);
	cr_expect_str_eq(probe_helper_remedy(&p.host, "newuidmap"), "as root: apt install uidmap");
	cr_expect_str_eq(probe_helper_remedy(&p.host, "nft"), "as root: apt install nftables");
}
