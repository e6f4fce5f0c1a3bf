/* SPDX-License-Identifier: MIT */
/*
 * attack profiles: somebody else wants to say what a sandbox gives away. Each starts with
 * the honest file, which works, and changes one thing.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

#define TEXT "ro-bind /usr /usr\nsetenv WHO me\n"

static struct run_result use(int tree, const char *name)
{
	_autofree_ char *path = tree_path(tree, name);

	return run_sbx("--profile", path, "--", "sh", "-c", "echo $WHO");
}

static void expect_use(int tree, const char *name)
{
	_autorun_ struct run_result r = use(tree, name);

	cr_assert_str_eq(r.out, "me\n", "%s", r.err);
}

static void expect_no_use(int tree, const char *name, const char *why)
{
	_autorun_ struct run_result r = use(tree, name);

	cr_expect_eq(r.status, 125);
	cr_expect_str_eq(r.out, "");
	cr_expect(strstr(r.err, why), "%s: %s", name, r.err);
}

Test(profiles, written_by_others_is_refused)
{
	_autoclose_ int tree = tmp_tree("d/file=" TEXT);

	expect_use(tree, "d/file");
	cr_assert_eq(fchmodat(tree, "d/file", 0666, 0), 0);
	expect_no_use(tree, "d/file", "file can be written by others");
	cr_assert_eq(fchmodat(tree, "d/file", 0660, 0), 0);
	expect_no_use(tree, "d/file", "file can be written by others");
}

Test(profiles, in_a_directory_that_others_write_is_refused)
{
	_autoclose_ int tree =
		tmp_tree("open/deep/file=" TEXT, "include=include ./open/deep/file\n");

	expect_use(tree, "open/deep/file");
	expect_use(tree, "include");
	cr_assert_eq(fchmodat(tree, "open", 0777, 0), 0);
	expect_no_use(tree, "open/deep/file", "open can be written by others");
	expect_no_use(tree, "include", "open can be written by others");
	/* Of a directory with the sticky bit that is not root's, the owner can replace files. */
	cr_assert_eq(fchmodat(tree, "open", 01770, 0), 0);
	expect_no_use(tree, "open/deep/file", "open can be written by others");
}

Test(profiles, behind_a_link_the_way_counts_too)
{
	_autoclose_ int tree = tmp_tree("good/file=" TEXT, "open/file=" TEXT, "a -> good/file",
					"b -> open/file", "open/c -> ../good/file", "loop -> loop");

	expect_use(tree, "a");
	expect_use(tree, "b");
	expect_use(tree, "open/c");
	cr_assert_eq(fchmodat(tree, "open", 0777, 0), 0);
	expect_use(tree, "a");
	expect_no_use(tree, "b", "open can be written by others");
	expect_no_use(tree, "open/c", "open can be written by others");
	expect_no_use(tree, "loop", "ymbolic link"); /* each C library has its own words */
}

/* With no more than the caller mapped, as root, all that is root's is of somebody unknown. */
Test(profiles, of_another_user_is_refused)
{
	_autoclose_ int tree = tmp_tree("file=" TEXT);
	_autofree_ char *path = tree_path(tree, "file");
	_autorun_ struct run_result probe = run_program("unshare", "-r", "true");

	skip_unless(probe.status == 0, "unshare -r does not work here");
	expect_use(tree, "file");
	_autorun_ struct run_result r = run_program("unshare", "-r", sbx_program(), "--profile",
						    path, "--explain", "--", "true");

	cr_expect_eq(r.status, 125);
	cr_expect(strstr(r.err, "belongs to somebody without an id here"), "%s", r.err);
}

Test(profiles, what_is_no_plain_file_is_refused)
{
	_autoclose_ int tree = tmp_tree("file=" TEXT, "dir/", "linked=" TEXT);

	expect_use(tree, "linked");
	cr_assert_eq(mkfifoat(tree, "fifo", 0600), 0);
	expect_no_use(tree, "fifo", "not a regular file");
	expect_no_use(tree, "dir", "Is a directory");
	cr_assert_eq(linkat(tree, "linked", tree, "other-name", 0), 0);
	expect_no_use(tree, "linked", "second name");
}

/* The command would write the options of the next sandbox. */
Test(profiles, that_the_sandbox_can_write_is_refused)
{
	_autoclose_ int tree = tmp_tree("work/file=" TEXT);
	_autofree_ char *file = tree_path(tree, "work/file"), *work = tree_path(tree, "work"),
			*above = tree_path(tree, "");
	const char *binds[][2] = {{work, "/w"}, {above, "/w"}, {file, "/f"}};
	_autorun_ struct run_result attack =
		run_sbx("--ro-bind", "/usr", "/usr", "--bind", work, "/w", "--", "sh", "-c",
			"echo 'setenv WHO evil' >> /w/file");
	_autorun_ struct run_result after = use(tree, "work/file");

	cr_assert_eq(attack.status, 0, "%s", attack.err);
	cr_assert_str_eq(after.out, "evil\n");
	for (size_t i = 0; i < ARRAY_SIZE(binds); i++) {
		_autorun_ struct run_result r = run_sbx("--profile", file, "--bind", binds[i][0],
							binds[i][1], "--", "true");
		_autorun_ struct run_result ro = run_sbx("--profile", file, "--ro-bind",
							 binds[i][0], binds[i][1], "--", "true");

		cr_expect_eq(r.status, 125);
		cr_expect(strstr(r.err, "could change this profile"), "%s", r.err);
		cr_expect_eq(ro.status, 0, "%s", ro.err);
	}
}

/* A home in the tree, to be in with a profile of sbx's own. */
struct home {
	int tree; /* owned */
	char *path, *home;
	const char *env[4];
	struct run_options options;
};

static void home_finish(struct home *h)
{
	close(h->tree);
	free(h->path);
	free(h->home);
	free((char *)h->env[1]);
	free((char *)h->env[2]);
}

#define _autohome_ __attribute__((cleanup(home_finish)))

/*
 * @home, @cwd: below the tree, which is taken
 * @config: XDG_CONFIG_HOME, likewise; NULL: is not set
 */
static void home_make(struct home *h, int tree, const char *home, const char *cwd,
		      const char *config)
{
	memset(h, 0, sizeof(*h));
	h->tree = tree;
	h->path = tree_path(tree, "");
	h->home = tree_path(tree, cwd);
	h->env[0] = "PATH=/usr/bin:/bin";
	cr_assert(asprintf((char **)&h->env[1], "HOME=%s/%s", h->path, home) > 0);
	if (config)
		cr_assert(asprintf((char **)&h->env[2], "XDG_CONFIG_HOME=%s/%s", h->path, config) >
			  0);
	h->options = (struct run_options){.cwd = h->home, .env = h->env};
}

#define in_home(h, ...) run_sbx_with(&(h)->options, __VA_ARGS__)
#define OPEN "--ro-bind", "/", "/", "--rw", "."

/* With a bind alone, and with the profile "agent", from a directory of the tree. */
static void plant_profile(const char *cwd, const char *config, const char *entry)
{
	static const char plant[] = "exec 2>/dev/null; d=${XDG_CONFIG_HOME:-$HOME/.config}/sbx; "
				    "mkdir -p $d/profiles && echo 'setenv WHO evil' "
				    ">$d/profiles/agent && echo planted; "
				    "mv ${d%/*} $HOME/moved && echo moved; echo end";
	_autohome_ struct home p, q;

	home_make(&p, tmp_tree(entry), "home", cwd, config);
	home_make(&q, tmp_tree(entry), "home", cwd, config);
	{
		_autorun_ struct run_result open = in_home(&q, OPEN, "--keep-env", SH(plant));
		_autorun_ struct run_result r =
			in_home(&p, "--profile", "agent", "--keep-env", SH(plant));

		expect_out(open, "planted\nmoved\nend\n");
		expect_out(r, "end\n");
	}
	cr_expect_not(tree_exists(p.tree, "home/moved"));
	cr_expect_not(tree_exists(p.tree, "home/.config/sbx"));
	cr_expect_not(tree_exists(p.tree, "home/cfg"));
}

Test(profiles, the_next_ones_cannot_be_planted)
{
	plant_profile("home", NULL, "home/.config/");
	plant_profile("home", NULL, "home/");
	plant_profile("", NULL, "home/");
	plant_profile("home", "home/cfg", "home/");
}

/* What git runs is the host's affair, whoever builds. */
Test(profiles, a_build_plants_no_hooks)
{
	static const char script[] =
		"exec 2>/dev/null; echo x >.git/hooks/pre-commit && echo hook; "
		"echo x >>.git/config && echo config; mkdir .vscode && echo editor; "
		"echo x >made && echo made";
	static const char *const names[] = {"build", "shell"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autohome_ struct home p, q;

		home_make(&p, tmp_tree("home/", "work/.git/hooks/", "work/.git/HEAD=x\n"), "home",
			  "work", NULL);
		home_make(&q, tmp_tree("home/", "work/.git/hooks/"), "home", "work", NULL);
		_autorun_ struct run_result open = in_home(&q, OPEN, SH(script));
		_autorun_ struct run_result r = in_home(&p, "--profile", names[i], SH(script));

		expect_out(open, "hook\nconfig\neditor\nmade\n");
		expect_out(r, "made\n");
		cr_expect_not(tree_exists(p.tree, "work/.git/hooks/pre-commit"));
	}
}

/* "." is wherever the caller stands. */
Test(profiles, none_gives_the_whole_host)
{
	static const char *const names[] = {"build", "shell", "agent"};
	const struct run_options in_root = {.cwd = "/"};
	_autorun_ struct run_result open = run_sbx_with(&in_root, "--rw", ".", "--", "true");

	cr_assert_eq(open.status, 0, "%s", open.err);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autorun_ struct run_result r =
			run_sbx_with(&in_root, "--profile", names[i], "--", "true");

		expect_refused(r, "is the whole host");
	}
}

/* The link in the way of the home is not shown inside; what it leads to is. */
Test(profiles, what_a_hidden_link_leads_to_is_hidden)
{
	_autohome_ struct home p;

	home_make(&p, tmp_tree("real/u/.ssh/id=key\n", "real/u/text=text\n", "home -> real"),
		  "home/u", "real/u", NULL);
	_autorun_ struct run_result open = in_home(&p, OPEN, SH("cat .ssh/id"));
	_autorun_ struct run_result r =
		in_home(&p, "--profile", "agent", SH("cat text; cat .ssh/id 2>/dev/null"));

	expect_out(open, "key\n");
	expect_out(r, "text\n");
}
