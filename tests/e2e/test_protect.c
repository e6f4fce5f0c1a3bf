/* SPDX-License-Identifier: MIT */
/* e2e protect: what is protected, what holds a missing name, and that nothing of it is left. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/* A directory to bind, and one for the records of placeholders. */
struct place {
	int tree; /* owned */
	char *path, *runtime, *home;
	const char *env[5];
	struct run_options options;
};

static void place_make(struct place *p)
{
	p->tree = tmp_tree("p/old=before\n", "run/", "home/");
	p->path = tree_path(p->tree, "p");
	cr_assert(asprintf(&p->runtime, "XDG_RUNTIME_DIR=%s/../run", p->path) > 0);
	cr_assert(asprintf(&p->home, "HOME=%s/../home", p->path) > 0);
	p->env[0] = "PATH=/usr/bin:/bin";
	p->env[1] = p->home;
	p->env[2] = p->runtime;
	p->env[3] = p->env[4] = NULL;
	p->options = (struct run_options){.env = p->env, .open_input = true};
}

static void place_finish(struct place *p)
{
	close(p->tree);
	free(p->path);
	free(p->runtime);
	free(p->home);
}

#define _autoplace_ __attribute__((cleanup(place_finish)))

#define in_place(p, ...) in_usr_with(&(p)->options, "--bind", (p)->path, "/p", __VA_ARGS__)

/* All that is there, in one line. */
static char *place_list(const struct place *p)
{
	_autofree_ char *top = tree_path(p->tree, "");
	_autorun_ struct run_result r =
		run_program("sh", "-c",
			    "cd \"$1\" && find . -mindepth 2 ! -path ./run/sbx ! -path "
			    "./run/sbx/boxes | sort | tr '\\n' ' '",
			    "sh", top);

	cr_assert_eq(r.status, 0, "%s", r.err);
	return take_ptr(r.out);
}

static void expect_list(const struct place *p, const char *want)
{
	_autofree_ char *have = place_list(p);

	cr_expect_str_eq(have, want);
}

/* A sandbox that protects, and waits; session_send(s, "\n") lets it end. */
static void place_start(struct session *s, const struct place *p, const char *path)
{
	session_sbx(s, &p->options, "--ro-bind", "/usr", "/usr", "--bind", p->path, "/p",
		    "--protect", path, SH("echo ready; read x"));
	cr_assert(session_expect(s, "ready"), "%s", s->result.err);
}

static void place_end(struct session *s)
{
	session_send(s, "\n");
	_autorun_ struct run_result r = session_finish(s);

	expect_success(r);
}

static void place_kill(struct session *s)
{
	kill(s->pid, SIGKILL);
	_autorun_ struct run_result r = session_finish(s);

	cr_expect_eq(r.status, -SIGKILL);
}

Test(protect, what_exists_is_read_only_with_all_below)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result r = in_place(
			&p, "--dir", "/p/d/e", "--protect", "/p/d", "--protect", "/p/old",
			SH("touch /p/d/x || touch /p/d/e/x || echo y > /p/old || cat /p/old; touch "
			   "/p/new; ls /p"));

		expect_out(r, "before\nd\nnew\nold\n");
	}
}

Test(protect, a_missing_name_is_held_and_let_go)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result r = in_place(
			&p, "--protect", "/p/file", "--protect", "/p/dir/", "--protect", "/p/a/b",
			SH("test -f /p/file && test -d /p/dir && test -f /p/a/b && touch /p/a/c && "
			   "ls /p; rm /p/a/c"));

		expect_out(r, "a\ndir\nfile\nold\n");
	}
	expect_list(&p, "./p/old ");
}

Test(protect, what_the_command_put_beside_it_stays)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result r =
			in_place(&p, "--protect", "/p/a/b/c", SH("echo mine > /p/a/d"));

		expect_success(r);
	}
	expect_list(&p, "./p/a ./p/a/d ./p/old ");
}

Test(protect, a_relative_path_is_below_the_callers_directory)
{
	_autoplace_ struct place p;

	place_make(&p);
	p.options.cwd = p.path;
	{
		_autorun_ struct run_result r = in_usr_with(
			&p.options, "--bind", p.path, p.path, "--protect", "./old", "--protect",
			"../p/dev/", SH("echo x > old || touch dev/x || pwd"));
		_autorun_ struct run_result word = in_usr_with(&p.options, "--bind", p.path, p.path,
							       "--protect", "old", "--", "true");
		_autofree_ char *path = NULL;

		cr_assert(asprintf(&path, "%s\n", p.path) > 0);
		expect_out(r, path);
		expect_failure(word, 125, "--protect ./old");
	}
	expect_list(&p, "./p/old ");
}

Test(protect, nothing_is_left_where_the_launch_fails)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result later = in_place(&p, "--protect", "/p/new", "--bind",
							     "/nonexistent", "/x", "--", "true");
		_autorun_ struct run_result command =
			in_place(&p, "--protect", "/p/new", "--", "no-such-command");

		expect_failure(later, 125, "cannot open source");
		expect_failure(command, 127, "no-such-command");
	}
	expect_list(&p, "./p/old ");
}

Test(protect, the_next_sbx_removes_what_a_killed_one_left)
{
	_autoplace_ struct place p;

	place_make(&p);
	for (int i = 0; i < 2; i++) {
		_autosession_ struct session s;

		place_start(&s, &p, "/p/a/b");
		place_kill(&s);
		cr_expect(tree_exists(p.tree, "p/a/b"));
		{
			/* One that protects the same, and one that protects nothing. */
			_autorun_ struct run_result r = i ? in_place(&p, "--protect", "/p/a/b",
								     "--", "test", "-f", "/p/a/b")
							  : in_usr_with(&p.options, "--", "true");

			expect_success(r);
		}
		expect_list(&p, "./p/old ");
	}
}

/* Of git's commondir an empty one would be an error; what holds its name is removed as well. */
static void make_git(const struct place *p)
{
	cr_assert_eq(mkdirat(p->tree, "p/.git", 0700), 0);
	cr_assert_eq(mkdirat(p->tree, "p/.git/hooks", 0700), 0);
	close(openat(p->tree, "p/.git/config", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

Test(protect, what_is_not_empty_holds_a_name_too)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;

	place_make(&p);
	make_git(&p);
	place_start(&s, &p, "dev");
	{
		_autofree_ char *dot = tree_read(p.tree, "p/.git/commondir");

		cr_expect_str_eq(dot, ".");
	}
	place_kill(&s);
	cr_expect(tree_exists(p.tree, "p/.git/commondir"));
	{
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		expect_success(r);
	}
	expect_list(&p, "./p/.git ./p/.git/config ./p/.git/hooks ./p/old ");
}

/* Unless somebody has written something else there. */
Test(protect, what_is_not_empty_any_more_stays)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;

	place_make(&p);
	make_git(&p);
	place_start(&s, &p, "dev");
	{
		_autoclose_ int fd = openat(p.tree, "p/.git/commondir", O_WRONLY | O_CLOEXEC);

		cr_assert_eq(write(fd, "/", 1), 1);
	}
	place_end(&s);
	expect_list(&p, "./p/.git ./p/.git/commondir ./p/.git/config ./p/.git/hooks ./p/old ");
}

Test(protect, two_sandboxes_share_what_holds_a_name)
{
	_autoplace_ struct place p;

	place_make(&p);
	for (int order = 0; order < 2; order++) {
		_autosession_ struct session a, b;

		place_start(&a, &p, "/p/a/b");
		place_start(&b, &p, "/p/a/b");
		place_end(order ? &b : &a);
		cr_expect(tree_exists(p.tree, "p/a/b"), "taken from under the other");
		{
			_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

			expect_success(r);
		}
		cr_expect(tree_exists(p.tree, "p/a/b"), "swept from under the other");
		place_end(order ? &a : &b);
		expect_list(&p, "./p/old ");
	}
}

Test(protect, of_two_one_is_killed_and_the_other_goes_on)
{
	_autoplace_ struct place p;
	_autosession_ struct session a, b;

	place_make(&p);
	place_start(&a, &p, "/p/name");
	place_start(&b, &p, "/p/name");
	place_kill(&a);
	{
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		expect_success(r);
	}
	cr_expect(tree_exists(p.tree, "p/name"));
	place_end(&b);
	expect_list(&p, "./p/old ");
}

/* The user's own file, made while the sandbox ran, is never removed. */
Test(protect, what_the_host_made_of_it_stays)
{
	static const char *const ways[] = {"echo mine > name", "echo mine > x; mv x name",
					   ": > x; mv x name", "ln name other"};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		for (int killed = 0; killed < 2; killed++) {
			_autoplace_ struct place p;
			_autosession_ struct session s;

			place_make(&p);
			place_start(&s, &p, "/p/name");
			{
				const struct run_options there = {.cwd = p.path};
				_autorun_ struct run_result host = run_argv(
					&there, (const char *const[]){"sh", "-c", ways[i], NULL});

				expect_success(host);
			}
			if (killed)
				place_kill(&s);
			else
				place_end(&s);
			{
				_autorun_ struct run_result r =
					in_usr_with(&p.options, "--", "true");

				expect_success(r);
			}
			cr_expect(tree_exists(p.tree, "p/name"), "%s", ways[i]);
			cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"));
		}
	}
}

/* Every verb does what a launch does: remove what was left, in records and without one. */
Test(protect, every_verb_removes_what_was_left)
{
	static const char *const words[] = {"help", "version", "profiles", "--help", "--version"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_autoplace_ struct place p;
		_autosession_ struct session s;

		place_make(&p);
		place_start(&s, &p, "/p/name");
		place_kill(&s);
		cr_assert(tree_exists(p.tree, "p/name"));
		cr_assert(mkdirat(p.tree, "run/sbx/overlays", 0700) == 0);
		{
			_autorun_ struct run_result r = run_sbx_with(&p.options, words[i]);

			expect_success(r);
		}
		cr_expect_not(tree_exists(p.tree, "p/name"), "%s", words[i]);
		cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"), "%s", words[i]);
		cr_expect_not(tree_exists(p.tree, "run/sbx/overlays"), "%s", words[i]);
	}
}

/* Somebody has it open, to write perhaps: it stays until he has let go. */
Test(protect, what_is_open_outside_is_removed_later)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;
	int fd;

	place_make(&p);
	place_start(&s, &p, "/p/name");
	fd = openat(p.tree, "p/name", O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0);
	place_end(&s);
	cr_expect(tree_exists(p.tree, "p/name"));
	close(fd);
	{
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		expect_success(r);
	}
	expect_list(&p, "./p/old ");
}

Test(protect, without_a_runtime_directory_the_record_is_in_the_home)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;

	place_make(&p);
	p.env[2] = NULL;
	place_start(&s, &p, "/p/name");
	cr_expect(tree_exists(p.tree, "home/.local/state/sbx/placeholders"));
	place_kill(&s);
	p.env[2] = p.runtime;
	{
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		expect_success(r);
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
}

Test(protect, without_any_record_nothing_is_made)
{
	_autoplace_ struct place p;

	place_make(&p);
	cr_assert(fchmodat(p.tree, "run", 0500, 0) == 0);
	{
		_autorun_ struct run_result missing =
			in_place(&p, "--protect", "/p/name", "--", "true");
		_autorun_ struct run_result there =
			in_place(&p, "--protect", "/p/old", SH("cat /p/old"));

		expect_failure(missing, 125, "cannot be recorded");
		expect_out(there, "before\n");
	}
	cr_assert(fchmodat(p.tree, "run", 0700, 0) == 0);
	cr_assert(mkdirat(p.tree, "run/sbx", 0700) == 0);
	cr_assert(mkdirat(p.tree, "run/sbx/placeholders", 0755) == 0);
	{
		_autorun_ struct run_result open =
			in_place(&p, "--protect", "/p/name", "--", "true");

		expect_failure(open, 125, "cannot be recorded");
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
}

/* A directory of somebody else's, in a variable that was kept: nothing is left in it. */
Test(protect, a_runtime_directory_of_others_is_left_alone)
{
	_autoplace_ struct place p;

	place_make(&p);
	p.env[2] = "XDG_RUNTIME_DIR=/usr";
	{
		_autorun_ struct run_result r = in_place(&p, "--protect", "/p/name", "--", "true");

		expect_failure(r, 125, "cannot be recorded");
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
}

/* Where the command could not write either, nothing has to hold the name. */
Test(protect, places_that_are_read_only_or_the_sandboxs_own)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result ro = in_usr_with(
			&p.options, "--ro-bind", p.path, "/p", "--protect", "/p/new", "--protect",
			"/p/old", SH("test ! -e /p/new && ! touch /p/new && cat /p/old"));
		_autorun_ struct run_result own = in_place(
			&p, "--tmpfs", "/p/t", "--protect", "/p/t/a/b", "--protect", "/own/c",
			SH("! echo x > /p/t/a/b && ! mv /p/t/a /p/t/z && ls "
			   "/own; ls /run"));

		expect_out(ro, "before\n");
		expect_out(own, "c\n");
		cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"));
	}
	cr_assert(fchmodat(p.tree, "p", 0500, 0) == 0);
	{
		/* The owner can change the mode, inside as well as here. */
		_autorun_ struct run_result r =
			in_place(&p, "--protect", "/p/new",
				 SH("chmod u+w /p; echo x > /p/new || echo held; chmod u-w /p"));

		expect_out(r, "held\n");
	}
	cr_assert(fchmodat(p.tree, "p", 0700, 0) == 0);
	cr_expect_not(tree_exists(p.tree, "p/new"));
}

Test(protect, a_way_that_leads_nowhere_has_a_remedy)
{
	_autoplace_ struct place p;

	place_make(&p);
	cr_assert_eq(symlinkat("loop", p.tree, "p/loop"), 0);
	{
		_autorun_ struct run_result file =
			in_place(&p, "--protect", "/p/old/n", "--", "true");
		_autorun_ struct run_result loop =
			in_place(&p, "--protect", "/p/loop", "--", "true");

		expect_failure(file, 125, "Not a directory");
		expect_failure(file, 125, "protect the file");
		expect_failure(loop, 125, "lead in a circle");
	}
}

Test(protect, a_later_operation_may_not_cover_it)
{
	_autoplace_ struct place p;

	place_make(&p);
	{
		_autorun_ struct run_result above = in_usr_with(
			&p.options, "--protect", "/p/old", "--bind", p.path, "/p", "--", "true");
		_autorun_ struct run_result root = in_usr_with(&p.options, "--protect", "/old",
							       "--bind", p.path, "/", "--", "true");
		_autorun_ struct run_result at =
			in_place(&p, "--protect", "/p/d/", "--tmpfs", "/p/d", SH("touch /p/d/x"));

		expect_failure(above, 125, "put --protect behind it");
		expect_failure(root, 125, "put --protect behind");
		expect_success(at);
	}
	expect_list(&p, "./p/old ");
}

/* ---- overlays ---- */

/* Can the filesystem of the tests be an upper layer? Another overlay cannot, nor can some others.
 */
static bool can_overlay(const struct place *p)
{
	_autorun_ struct run_result r =
		in_place(p, "--protect-by=overlay", "--protect", "/p/probe", "--", "true");

	return r.status == 0;
}

Test(protect, an_overlay_holds_names_and_nothing_appears)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;

	place_make(&p);
	skip_unless(can_overlay(&p), "no overlay can be mounted over a directory of the tests");
	session_sbx(
		&s, &p.options, "--ro-bind", "/usr", "/usr", "--bind", p.path, "/p",
		"--protect-by=overlay", "--protect", "/p/old", "--protect", "/p/name", "--protect",
		"/p/a/b/", "--protect", "/p/a/c",
		SH("cd /p; ls -d old name a/b a/c; for f in old name a/c a/b/x; do echo x > $f || "
		   "echo held; done 2>/dev/null; mv a z || echo pinned; echo y > new; echo "
		   "ready; read x"));
	cr_assert(session_expect(&s, "a/b\na/c\nname\nold\nheld\nheld\nheld\nheld\npinned\nready"),
		  "%s%s", s.result.out, s.result.err);
	cr_expect_not(tree_exists(p.tree, "p/name"));
	cr_expect_not(tree_exists(p.tree, "p/a"));
	place_end(&s);
	expect_list(&p, "./p/new ./p/old ");
}

/* One overlay hides what protected below it before: that is done again. */
Test(protect, an_overlay_above_keeps_what_is_protected_below)
{
	_autoplace_ struct place p;

	place_make(&p);
	cr_assert(mkdirat(p.tree, "p/d", 0755) == 0);
	skip_unless(can_overlay(&p), "no overlay can be mounted over a directory of the tests");
	{
		_autorun_ struct run_result r = in_place(
			&p, "--protect-by=overlay", "--protect", "/p/d/low", "--protect", "/p/old",
			"--protect", "/p/high",
			SH("cd /p; for f in d/low old high; do echo x > $f || echo $f; done "
			   "2>/dev/null; mv d e || echo d"));

		expect_out(r, "d/low\nold\nhigh\nd\n");
	}
	expect_list(&p, "./p/d ./p/old ");
}

Test(protect, an_overlay_that_was_killed_leaves_nothing)
{
	_autoplace_ struct place p;
	_autosession_ struct session s;

	place_make(&p);
	skip_unless(can_overlay(&p), "no overlay can be mounted over a directory of the tests");
	session_sbx(&s, &p.options, "--ro-bind", "/usr", "/usr", "--bind", p.path, "/p",
		    "--protect-by=overlay", "--protect", "/p/name",
		    SH("rm /p/old; mkdir /p/old; echo ready; read x"));
	cr_assert(session_expect(&s, "ready"), "%s", s.result.err);
	cr_expect(tree_exists(p.tree, "run/sbx/overlays"));
	place_kill(&s);
	{
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		expect_success(r);
	}
	expect_list(&p, "./p/old ");
}

Test(protect, an_overlay_that_cannot_be_is_refused)
{
	_autoplace_ struct place p;
	_autofree_ char *elsewhere = NULL;

	place_make(&p);
	{
		_autorun_ struct run_result mounted =
			in_place(&p, "--protect-by=overlay", "--tmpfs", "/p/t", "--protect",
				 "/p/name", "--", "true");

		_autorun_ struct run_result mask =
			in_place(&p, "--protect-by=overlay", "--mask", "/p/old", "--protect",
				 "/p/name", SH("cat /p/old"));

		expect_failure(mounted, 125, "would hide what is mounted at /p/t");
		expect_failure(mounted, 125, "leave --protect-by=overlay out, or put that mount");
		expect_failure(mask, 125, "would hide what is mounted at /p/old");
		expect_failure(mask, 125, "put that mount behind --protect");
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
	/* On the mount of neither place: /dev/shm is one of its own nearly everywhere. */
	cr_assert(asprintf(&elsewhere, "XDG_RUNTIME_DIR=/dev/shm/sbx-test-%d", getpid()) > 0);
	skip_unless(mkdir(strchr(elsewhere, '=') + 1, 0700) == 0, "no /dev/shm");
	p.env[1] = "XDG_STATE_HOME=/dev/shm/none";
	p.env[2] = elsewhere;
	{
		_autorun_ struct run_result far =
			in_place(&p, "--protect-by=overlay", "--protect", "/p/name", "--", "true");
		_autorun_ struct run_result clean = run_program(
			"sh", "-c", "rm -r \"$1\" /dev/shm/none", "sh", strchr(elsewhere, '=') + 1);

		expect_failure(far, 125, "same mount");
		expect_failure(far, 125, "set XDG_STATE_HOME to a directory on the mount");
		(void)clean;
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
}

/* The hints of the test above, followed. */
Test(protect, an_overlay_comes_about_as_the_hints_say)
{
	_autoplace_ struct place p;
	_autofree_ char *elsewhere = NULL, *state = NULL;

	place_make(&p);
	skip_unless(can_overlay(&p), "no overlay can be mounted over a directory of the tests");
	cr_assert(asprintf(&elsewhere, "XDG_RUNTIME_DIR=/dev/shm/sbx-test-%d", getpid()) > 0);
	cr_assert(asprintf(&state, "XDG_STATE_HOME=%s/../home", p.path) > 0);
	skip_unless(mkdir(strchr(elsewhere, '=') + 1, 0700) == 0, "no /dev/shm");
	{
		_autorun_ struct run_result behind =
			in_place(&p, "--protect-by=overlay", "--protect", "/p/name", "--mask",
				 "/p/old", SH("cat /p/old; touch /p/name || echo held"));

		expect_out(behind, "held\n");
	}
	p.env[1] = state;
	p.env[2] = elsewhere;
	{
		_autorun_ struct run_result near =
			in_place(&p, "--protect-by=overlay", "--protect", "/p/name",
				 SH("touch /p/name || echo held"));
		_autorun_ struct run_result clean =
			run_program("rm", "-r", strchr(elsewhere, '=') + 1);

		expect_out(near, "held\n");
		expect_success(clean);
	}
}

/* The directory to work in may not lie in what the overlay is over, as a home has both. */
Test(protect, an_overlay_that_has_to_work_in_itself_is_refused)
{
	_autoplace_ struct place p;
	_autofree_ char *home = NULL, *name = NULL;

	place_make(&p);
	skip_unless(can_overlay(&p), "no overlay can be mounted over a directory of the tests");
	cr_assert(asprintf(&home, "HOME=%s", p.path) > 0);
	cr_assert(asprintf(&name, "%s/name", p.path) > 0);
	{
		const char *const env[] = {p.env[0], home, NULL};
		const struct run_options options = {.env = env};
		_autorun_ struct run_result r =
			in_usr_with(&options, "--rw", p.path, "--chdir", p.path,
				    "--protect-by=overlay", "--protect", name, "--", "true");

		expect_failure(r, 125, "needs a place to work in outside of that");
		cr_expect(strstr(r.err, "set XDG_STATE_HOME to"), "%s", r.err);
	}
	cr_expect_not(tree_exists(p.tree, "p/name"));
	cr_expect_not(tree_exists(p.tree, "p/.local/state/sbx/overlays"));
}

/* ---- layers ---- */

static const char *const drivers[] = {"kernel", "fuse"};

static bool has_driver(const char *driver)
{
	return *driver == 'k' || access("/dev/fuse", R_OK | W_OK) == 0;
}

#define in_view(p, driver, ...)                                                                    \
	in_usr_with(&(p)->options, "--cow", (p)->path, "--session", "s", "--chdir", (p)->path,     \
		    "--overlay-driver", (driver), __VA_ARGS__)

/* What a session is said to have changed, without the path of its directory. */
static void expect_changes(const struct place *p, const char *want)
{
	_autorun_ struct run_result r = run_sbx_with(&p->options, "diff", "s");
	_autofree_ char *have = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&have, &size);

	cr_expect_eq(r.status, 0, "%s", r.err);
	for (const char *at = r.out, *path; (path = strstr(at, p->path));
	     at = strchr(path, '\n') + 1)
		fprintf(out, "%.*s%.*s", (int)(path - at), at,
			(int)strcspn(path + strlen(p->path), "\n") + 1, path + strlen(p->path));
	fclose(out);
	cr_expect_str_eq(have, want);
}

/* Below what the session has made itself no lower layer of it is seen. */
Test(protect, what_holds_a_name_in_a_sessions_own_directory_is_no_change)
{
	static const char *const made = "A  /.cargo/\nA  /own/\nA  /own/x/\nA  /own/x/mine\n";

	for (size_t i = 0; i < 2 && has_driver(drivers[i]); i++) {
		_autoplace_ struct place p;
		_autosession_ struct session s;
		_autofree_ char *name = NULL, *home = NULL;

		place_make(&p);
		cr_assert(asprintf(&name, "%s/own/x/y/", p.path) > 0);
		cr_assert(asprintf(&home, "HOME=%s", p.path) > 0);
		_autorun_ struct run_result first =
			in_view(&p, drivers[i], SH("mkdir -p own/x .cargo; : > own/x/mine"));
		p.env[1] = home;
		cr_assert(asprintf((char **)&p.env[3], "XDG_STATE_HOME=%s/../home/.local/state",
				   p.path) > 0);
		_autorun_ struct run_result second = in_view(
			&p, drivers[i], "--protect=dev", "--protect", name,
			SH("for f in .cargo/config.toml own/x/y/z; do (echo x > $f) "
			   "2>/dev/null || echo $f; done; mv own o 2>/dev/null || echo own"));

		expect_success(first);
		expect_out(second, ".cargo/config.toml\nown/x/y/z\nown\n");
		expect_changes(&p, made);
		session_sbx(&s, &p.options, "--ro-bind", "/usr", "/usr", "--cow", p.path,
			    "--session", "s", "--overlay-driver", drivers[i], "--protect", name,
			    SH("echo ready; read x"));
		cr_assert(session_expect(&s, "ready"), "%s", s.result.err);
		place_kill(&s);
		expect_changes(&p, made);
		cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"));
		free((char *)p.env[3]);
	}
}

Test(protect, a_name_in_a_view_is_held_where_the_hosts_links_lead)
{
	_autoplace_ struct place p;
	_autofree_ char *name = NULL, *dots = NULL;

	place_make(&p);
	cr_assert(mkdirat(p.tree, "p/real", 0755) == 0 && mkdirat(p.tree, "p/real/in", 0755) == 0);
	cr_assert(symlinkat("real", p.tree, "p/link") == 0);
	cr_assert(asprintf(&name, "%s/link/a/b", p.path) > 0);
	cr_assert(asprintf(&dots, "%s/link/in/../c", p.path) > 0);
	{
		_autorun_ struct run_result r =
			in_view(&p, "kernel", "--protect", name, "--protect", dots,
				SH("ls real real/a; echo x > old; echo x 2>/dev/null > real/c || "
				   "echo held"));

		expect_out(r, "real:\na\nc\nin\n\nreal/a:\nb\nheld\n");
		expect_changes(&p, "M  /old (content)\n");
	}
}

/* What holds the name would be in the place of the mark that the name is deleted. */
Test(protect, a_name_that_a_session_has_deleted_is_refused)
{
	for (size_t i = 0; i < 2 && has_driver(drivers[i]); i++) {
		_autoplace_ struct place p;
		_autofree_ char *name = NULL;

		place_make(&p);
		cr_assert(asprintf(&name, "%s/old", p.path) > 0);
		_autorun_ struct run_result first = in_view(&p, drivers[i], SH("rm old"));
		_autorun_ struct run_result second =
			in_view(&p, drivers[i], "--protect", name, SH("true"));

		expect_success(first);
		expect_failure(second, 125, "is deleted in the layer that is written to");
		expect_changes(&p, "D  /old\n");
	}
}

/* The layer that is written to is the host's: what holds a name goes, what is changed stays. */
Test(protect, a_missing_name_in_an_overlay_is_held_and_let_go)
{
	for (size_t i = 0; i < 2 && has_driver(drivers[i]); i++) {
		_autoplace_ struct place p;
		_autofree_ char *work = NULL;

		place_make(&p);
		work = tree_path(p.tree, "work");
		cr_assert(mkdirat(p.tree, "work", 0755) == 0);
		{
			_autorun_ struct run_result by_overlay = in_usr_with(
				&p.options, "--overlay-src", "/usr/share", "--overlay", p.path,
				work, "/p", "--overlay-driver", drivers[i], "--protect-by=overlay",
				"--protect", "/p/none", SH("true"));
			_autorun_ struct run_result r = in_usr_with(
				&p.options, "--overlay-src", "/usr/share", "--overlay", p.path,
				work, "/p", "--overlay-driver", drivers[i], "--protect", "/p/a/b/",
				"--protect", "/p/c",
				SH("cd /p; for f in a/b/x c; do (echo x > $f) 2>/dev/null || echo "
				   "$f; done; echo x > new; ls -d a/b doc"));

			expect_failure(by_overlay, 125, "which is one already");
			expect_out(r, "a/b/x\nc\na/b\ndoc\n");
		}
		{
			_autorun_ struct run_result left =
				run_program("sh", "-c", "ls -A \"$1\"", "sh", p.path);

			expect_out(left, "new\nold\n");
		}
	}
}
