/* SPDX-License-Identifier: MIT */
/* protect: which paths the preset has, in which binds. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "planning.h"

static const char *find_step(const struct planning *p, const char *dest)
{
	const struct plan_step *step = planning_find(p, PLAN_STEP_PROTECT, dest);

	if (!step)
		return "none";
	return step->flags & PLAN_STEP_TRY	    ? "keep"
	       : step->flags & PLAN_STEP_NO_PARENTS ? "near"
						    : "hold";
}

#define expect_step(p, dest, want)                                                                 \
	cr_expect_str_eq(find_step(&(p), (dest)), (want), "%s: %s", (dest), find_step(&(p), (dest)))

/* With the tree as the working directory, and its home/ as the home. */
static void plan_with(struct planning *p, int tree, const char *options)
{
	_autofree_ char *path = tree_path(tree, "");
	size_t len;

	planning_init(p);
	len = strlen(path);
	if (path[len - 1] == '/')
		path[len - 1] = '\0';
	p->host.home = arena_printf(&p->arena, "%s/home", path);
	p->host.cwd = arena_dup(&p->arena, path);
	cr_assert(chdir(path) == 0);
	cr_assert_eq(planning_make(p, options), 0, "%s", planning_error(p));
}

Test(protect, a_home_and_a_project_have_their_own_paths)
{
	_autoclose_ int tree = tmp_tree("home/", "proj/.git/HEAD=x\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind home /home/me --bind proj /p");
	expect_step(p, "/home/me/.bashrc", "hold");
	expect_step(p, "/home/me/.bash_profile", "keep");
	expect_step(p, "/home/me/.config/autostart", "hold");
	expect_step(p, "/home/me/.vscode", "none");
	expect_step(p, "/home/me/.git/hooks", "none");
	expect_step(p, "/p/.bashrc", "none");
	expect_step(p, "/p/.vscode", "hold");
	expect_step(p, "/p/.mcp.json", "keep");
	expect_step(p, "/p/.git/hooks", "near");
	expect_step(p, "/p/.git/config", "near");
}

Test(protect, only_binds_that_can_be_written_and_wherever_the_word_stands)
{
	_autoclose_ int tree = tmp_tree("proj/", "file=x\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree,
		  "--bind proj /a --ro-bind proj /b --mount-opt ro --bind proj /c --rw ./proj "
		  "--bind file /f --bind-try none /n --protect=dev");
	expect_step(p, "/a/.vscode", "hold");
	expect_step(p, "/b/.vscode", "none");
	expect_step(p, "/c/.vscode", "none");
	expect_step(p, arena_printf(&p.arena, "%s/proj/.vscode", p.host.cwd), "hold");
	expect_step(p, "/f/.vscode", "none");
	expect_step(p, "/n/.vscode", "none");
}

Test(protect, the_home_is_found_above_and_below)
{
	_autoclose_ int tree = tmp_tree("home/.config/git/", "link -> home");
	_autoplanning_ struct planning p;

	plan_with(&p, tree,
		  "--protect=dev --bind . /all --bind home/.config /cfg --bind link /linked");
	expect_step(p, "/all/home/.bashrc", "hold");
	expect_step(p, "/cfg/git", "hold");
	expect_step(p, "/cfg/.bashrc", "none");
	expect_step(p, "/linked/.bashrc", "hold");
}

/* What a variable moves is protected in both places; what of it need not exist. */
Test(protect, variables_move_what_is_protected)
{
	_autoclose_ int tree = tmp_tree("home/", "real/", "link -> real");
	_autofree_ char *path = tree_path(tree, "");
	_autoplanning_ struct planning p;
	char config[512], cargo[512], dots[512];

	(void)snprintf(config, sizeof(config), "XDG_CONFIG_HOME=%s/link/new/cfg", path);
	(void)snprintf(cargo, sizeof(cargo), "CARGO_HOME=%s/home/c", path);
	(void)snprintf(dots, sizeof(dots), "ZDOTDIR=home"); /* not absolute: zsh's own affair */
	planning_init(&p);
	p.host_env[0] = config;
	p.host_env[1] = cargo;
	p.host_env[2] = dots;
	p.host_env[3] = NULL;
	p.host.home = arena_printf(&p.arena, "%s/home", path);
	p.host.cwd = arena_dup(&p.arena, path);
	cr_assert(chdir(path) == 0);
	cr_assert_eq(planning_make(&p, "--protect=dev --bind home /h --bind real /r"), 0, "%s",
		     planning_error(&p));
	expect_step(p, "/r/new/cfg/git", "hold");
	expect_step(p, "/r/new/cfg/sbx", "hold");
	expect_step(p, "/r/new/cfg/Code/User", "near");
	expect_step(p, "/r/new/cfg/.config/git", "none");
	expect_step(p, "/h/.config/git", "hold");
	expect_step(p, "/h/c/config.toml", "near");
	expect_step(p, "/h/.cargo/config.toml", "near");
}

Test(protect, without_a_home_nobody_knows)
{
	_autoclose_ int tree = tmp_tree("proj/");
	_autofree_ char *path = tree_path(tree, "");
	_autoplanning_ struct planning p;

	planning_init(&p);
	p.host.home = NULL;
	p.host.cwd = arena_dup(&p.arena, path);
	cr_assert(chdir(path) == 0);
	cr_assert_lt(planning_make(&p, "--protect=dev --bind proj /p"), 0);
	cr_expect(strstr(planning_error(&p), "HOME=DIR"), "%s", planning_error(&p));
}

Test(protect, submodules_and_worktrees_of_a_repository)
{
	_autoclose_ int tree = tmp_tree("proj/.git/HEAD=x\n", "proj/.git/modules/a/b/HEAD=x\n",
					"proj/.git/modules/a/b/modules/c/HEAD=x\n",
					"proj/.git/worktrees/w/HEAD=x\n",
					"proj/.git/worktrees/w/commondir=../..\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind proj /p");
	expect_step(p, "/p/.git/modules/a/b/hooks", "near");
	expect_step(p, "/p/.git/modules/a/b/modules/c/config", "near");
	expect_step(p, "/p/.git/modules/a/hooks", "none");
	expect_step(p, "/p/.git/worktrees/w/commondir", "keep");
	expect_step(p, "/p/.git/worktrees/w/hooks", "none");
}

/* What holds the name says to git what no file says; an empty one would be an error. */
Test(protect, a_missing_commondir_is_held_by_a_dot)
{
	_autoclose_ int tree = tmp_tree("proj/.git/HEAD=x\n", "proj/.git/modules/a/HEAD=x\n",
					"proj/.git/worktrees/w/HEAD=x\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind proj /p");
	expect_step(p, "/p/.git/commondir", "near");
	expect_step(p, "/p/.git/modules/a/commondir", "near");
	expect_step(p, "/p/.git/config.worktree", "near");
	expect_step(p, "/p/.git/worktrees/w/commondir", "keep");
	cr_expect(planning_find(&p, PLAN_STEP_PROTECT, "/p/.git/commondir")->flags & PLAN_STEP_DOT);
	cr_expect_not(planning_find(&p, PLAN_STEP_PROTECT, "/p/.git/config")->flags &
		      PLAN_STEP_DOT);
}

Test(protect, a_repository_without_a_checkout)
{
	_autoclose_ int tree =
		tmp_tree("bare/HEAD=x\n", "bare/objects/", "bare/refs/", "none/HEAD=x\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind bare /b --bind none /n");
	expect_step(p, "/b/hooks", "near");
	expect_step(p, "/b/config", "near");
	expect_step(p, "/n/hooks", "none");
}

/* Hooks are named from where git runs them, included files from the config that does. */
Test(protect, what_a_config_leads_to)
{
	static const char config[] =
		"proj/.git/config=[core]\n\thooksPath = .githooks\n"
		"[include]\n\tpath = ../shared\n\tpath=\"../quoted name\"\n"
		"[includeIf \"gitdir:/else\"] Path = ../other ; for another day\n"
		"[include]\n\tpath = ../../out\n\tpath = ../missing/file\n\tpath =\n"
		"[remote \"x\"]\n\tpath = ../no\n\thooksPath2 = no2\n";
	_autoclose_ int tree =
		tmp_tree("proj/.git/HEAD=x\n", config, "proj/.githooks/",
			 "proj/shared=[include]\n\tpath = shared\n\tpath = deep/er\n",
			 "proj/deep/er=[core]\n\thookspath=deep/hooks\n", "out=x\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind proj /p");
	expect_step(p, "/p/.githooks", "near");
	expect_step(p, "/p/shared", "near");
	expect_step(p, "/p/quoted name", "near");
	expect_step(p, "/p/other", "near");
	expect_step(p, "/p/deep/er", "near");
	expect_step(p, "/p/deep/hooks", "near");
	expect_step(p, "/p/out", "none");
	expect_step(p, "/p/no", "none");
	expect_step(p, "/p/no2", "none");
	expect_step(p, "/p/missing/file", "none");
}

Test(protect, what_the_users_own_config_leads_to)
{
	_autoclose_ int tree = tmp_tree("home/.gitconfig=[include]\n\tpath = ~/.work\n"
					"[core]\n\thooksPath = ~/hooks\n",
					"home/.config/git/config=[include]\n\tpath = more\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind home /home/me");
	expect_step(p, "/home/me/.work", "near");
	expect_step(p, "/home/me/hooks", "near");
	expect_step(p, "/home/me/.config/git/more", "near");
}

/* A pipe in the place of a file is not waited for. */
Test(protect, what_is_no_file_is_not_read)
{
	_autoclose_ int tree = tmp_tree("proj/.git/HEAD=x\n");
	_autoplanning_ struct planning p;

	cr_assert_eq(mkfifoat(tree, "proj/.git/config", 0600), 0);
	cr_assert_eq(mkfifoat(tree, "proj/.git/commondir", 0600), 0);
	plan_with(&p, tree, "--protect=dev --bind proj /p");
	expect_step(p, "/p/.git/config", "near");
}

Test(protect, a_config_without_an_end_is_refused)
{
	_autoclose_ int tree = tmp_tree("proj/.git/HEAD=x\n");
	_autofree_ char *path = tree_path(tree, "proj/.git/config");
	_autorun_ struct run_result r = run_program(
		"sh", "-c", "(echo '[include]'; seq -f 'path = ../file%g' 300) > $1", "sh", path);
	_autoplanning_ struct planning p;
	_autofree_ char *options = NULL, *proj = tree_path(tree, "proj");

	cr_assert_eq(r.status, 0);
	planning_init(&p);
	cr_assert(asprintf(&options, "--protect=dev --bind %s /p", proj) > 0);
	cr_expect_eq(planning_make(&p, options), -E2BIG);
	cr_expect(strstr(planning_error(&p), "--protect=dev"), "%s", planning_error(&p));
}

/* What a submodule's checkout finds its repository by; and of none that lies elsewhere. */
Test(protect, the_git_file_of_a_submodule)
{
	_autoclose_ int tree = tmp_tree(
		"proj/.git/HEAD=x\n", "proj/.git/modules/lib/HEAD=x\n",
		"proj/.git/modules/lib/config=[core]\n\tworktree = ../../../lib\n",
		"proj/lib/.git=gitdir: ../.git/modules/lib\n", "proj/.git/modules/out/HEAD=x\n",
		"proj/.git/modules/out/config=[core]\n\tworktree = ../../../../out\n",
		"out/.git=gitdir: ../proj/.git/modules/out\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind proj /p");
	expect_step(p, "/p/lib/.git", "keep");
	expect_step(p, "/p/.git/modules/lib/hooks", "near");
	expect_step(p, "/p/out/.git", "none");
}

Test(protect, a_linked_worktree_leads_to_its_repository)
{
	_autoclose_ int tree =
		tmp_tree("s/main/.git/HEAD=x\n", "s/main/.git/worktrees/w/HEAD=x\n",
			 "s/main/.git/worktrees/w/commondir=../..\n",
			 "s/main/.git/worktrees/w/gitdir=../../../../.git\n",
			 "s/.git=gitdir: main/.git/worktrees/w\n", "alone/.git=gitdir: /none\n");
	_autoplanning_ struct planning p;

	plan_with(&p, tree, "--protect=dev --bind s /s --bind alone /alone");
	expect_step(p, "/s/.git", "keep");
	expect_step(p, "/s/main/.git/hooks", "near");
	expect_step(p, "/s/main/.git/config", "near");
	expect_step(p, "/s/main/.git/worktrees/w/commondir", "keep");
	expect_step(p, "/alone/.git", "keep");
}

/* The tree is the command's: what it says about git is only believed about its own bind. */
Test(protect, a_git_file_cannot_name_what_lies_elsewhere)
{
	_autoclose_ int tree = tmp_tree("victim/HEAD=x\n", "proj/.git=gitdir: ../victim\n");
	_autoplanning_ struct planning p;
	size_t n = 0;

	plan_with(&p, tree, "--protect=dev --bind proj /p");
	for (size_t i = 0; i < p.plan.n_steps; i++)
		if (p.plan.steps[i].kind == PLAN_STEP_PROTECT) {
			cr_expect_eq(strncmp(p.plan.steps[i].dest, "/p/", 3), 0, "%s",
				     p.plan.steps[i].dest);
			n++;
		}
	cr_expect_gt(n, 0);
}

Test(protect, endless_repositories_are_refused_and_deep_ones_left)
{
	_autoclose_ int tree = tmp_tree("proj/.git/HEAD=x\n", "proj/.git/modules/");
	_autofree_ char *path = tree_path(tree, "proj/.git/modules");
	_autorun_ struct run_result r = run_program(
		"sh", "-c", "cd \"$1\"; for i in $(seq 600); do mkdir $i; : > $i/HEAD; done", "sh",
		path);
	_autoplanning_ struct planning p;
	_autofree_ char *options = NULL, *proj = tree_path(tree, "proj");

	cr_assert_eq(r.status, 0);
	planning_init(&p);
	cr_assert(asprintf(&options, "--protect=dev --bind %s /p", proj) > 0);
	cr_expect_eq(planning_make(&p, options), -E2BIG);
	cr_expect(strstr(planning_error(&p), "more than 512"), "%s", planning_error(&p));
}
