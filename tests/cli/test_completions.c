/* SPDX-License-Identifier: MIT */
/*
 * The completions in the real shells. bash and zsh run on a terminal, where a
 * line is typed up to a tab; then enter calls a function in the place of sbx
 * that prints its last argument. fish is asked by its own `complete -C`.
 */

#include <stdio.h>
#include <string.h>

#include "testlib.h"

static const struct completion {
	const char *typed; /* up to the tab */
	const char *word;  /* what the last word becomes */
} completions[] = {
	{"sbx hel", "help"},
	{"sbx vers", "version"},
	{"sbx --ro-bind-d", "--ro-bind-data"},
	{"sbx --unshare-net --assert", "--assert-userns-disabled"},
	{"sbx --map=r", "--map=range"},
	{"sbx --map sin", "single"},
	{"sbx --explain=js", "--explain=json"},
	{"sbx --on-exit=wa", "--on-exit=wait"},
	{"sbx --cap-add CAP_CHO", "CAP_CHOWN"},
	{"sbx --mount-opt ro,noe", "ro,noexec"},
	{"sbx --setenv SBXTEST_V", "SBXTEST_VARIABLE"},
	{"sbx --env SBXTEST_V", "SBXTEST_VARIABLE"},
	{"sbx --ro-bind alpha-so", "alpha-source"},
	{"sbx --ro-bind /usr alpha-so", "alpha-source"},
	{"sbx --ro-bind col:o", "col:on"},
	{"sbx --rw=alpha-so", "--rw=alpha-source"},
	{"sbx --file 3 alpha-so", "alpha-source"},
	{"sbx --helper newuidmap=alpha-so", "newuidmap=alpha-source"},
	{"sbx --ro-bind /usr /usr sbxtest-comm", "sbxtest-command"},
	{"sbx --tmpfs /x -- sbxtest-comm", "sbxtest-command"},
	{"sbx --explain sbxtest-comm", "sbxtest-command"},
	{"sbx --net host -- cat alpha-so", "alpha-source"},
	{"sbx kill alpha-b", "alpha-box"},
	{"sbx kill --sig", "--signal"},
	{"sbx kill -s WIN", "WINCH"},
	{"sbx stop -t 3 alpha-b", "alpha-box"},
	{"sbx wait alpha-box bbb", "bbbbbbbbbbbb"},
	{"sbx attach alpha-b", "alpha-box"},
	{"sbx rm ended-b", "ended-box"},
	{"sbx rm --force alpha-box ended-b", "ended-box"},
	{"sbx logs ended-b", "ended-box"},
	{"sbx exec -i alpha-b", "alpha-box"},
	{"sbx exec alpha-box sbxtest-comm", "sbxtest-command"},
	{"sbx exec --env SBXTEST_V", "SBXTEST_VARIABLE"},
	{"sbx ps --js", "--json"},
	{"sbx doctor slirp", "slirp4netns"},
	{"sbx doctor --qui", "--quiet"},
};

/* The tree that the shells run in; what they complete must be unique there. */
struct place {
	int tree;
	char *cwd, *path, *home;
	const char *env[8];
};

static void place_finish(struct place *place)
{
	close(place->tree);
	free(place->cwd);
	free(place->path);
	free(place->home);
}

#define _autoplace_ __attribute__((cleanup(place_finish)))

static struct place place_make(void)
{
	struct place place = {
		.tree = tmp_tree("alpha-source=", "col:on=", "home/",
				 "bin/sbxtest-command=#!/bin/sh\n"),
	};
	_autofree_ char *bin = tree_path(place.tree, "bin");
	_autofree_ char *home = tree_path(place.tree, "home");

	place.cwd = tree_path(place.tree, "");
	cr_assert_gt(asprintf(&place.path, "PATH=%s:/usr/bin:/bin", bin), 0);
	cr_assert_gt(asprintf(&place.home, "HOME=%s", home), 0);
	place.env[0] = place.path;
	place.env[1] = place.home;
	place.env[2] = "SBXTEST_VARIABLE=1";
	place.env[3] = "TERM=dumb";
	place.env[4] = "LC_ALL=C.UTF-8";
	return place;
}

static bool has_shell(const char *shell)
{
	_autorun_ struct run_result found = run_program("sh", "-c", "command -v \"$0\"", shell);

	return found.status == 0;
}

/* What every shell of the Bourne family is told first. */
static const char stand_in[] =
	"sbx() { case \"$*\" in 'ps --format {{.ID}} {{.Name}}') "
	"printf '0123456789ab alpha-box\\nbbbbbbbbbbbb \\n' ;; "
	"'ps --all --format {{.ID}} {{.Name}}') "
	"printf '0123456789ab alpha-box\\nbbbbbbbbbbbb \\ncccccccccccc ended-box\\n' ;; "
	"*) for last; do :; done; printf 'last=<%s>\\n' \"$last\" ;; esac; }\n";

static void type_all(struct session *session)
{
	for (size_t i = 0; i < ARRAY_SIZE(completions); i++) {
		const struct completion *c = &completions[i];
		char expected[128];

		session_send(session, c->typed);
		session_send(session, "\t\n");
		(void)snprintf(expected, sizeof(expected), "last=<%s>", c->word);
		cr_assert(session_expect(session, expected),
			  "%s: no %s in what the shell says:\n%s", c->typed, expected,
			  session->result.out);
		cr_assert(session_expect(session, "ready> "));
	}
}

Test(completions, bash)
{
	_autoplace_ struct place place = place_make();
	struct run_options options = {.cwd = place.cwd, .env = place.env, .pty = true};
	_autosession_ struct session session;

	skip_unless(has_shell("bash"), "bash is not installed");
	session_start(&session, &options,
		      (const char *const[]){"bash", "--norc", "--noprofile", "-i", NULL});
	session_send(&session, stand_in);
	session_send(&session, "source " TEST_COMPLETIONS "/sbx; PS1='rea''dy> '\n");
	cr_assert(session_expect(&session, "ready> "));
	type_all(&session);
}

Test(completions, zsh)
{
	_autoplace_ struct place place = place_make();
	struct run_options options = {.cwd = place.cwd, .env = place.env, .pty = true};
	_autosession_ struct session session;

	skip_unless(has_shell("zsh"), "zsh is not installed");
	session_start(&session, &options, (const char *const[]){"zsh", "-f", "-i", NULL});
	session_send(&session, stand_in);
	session_send(&session, "fpath=(" TEST_COMPLETIONS " $fpath); autoload -U compinit; "
			       "compinit -u -D; PS1='rea''dy> '\n");
	cr_assert(session_expect(&session, "ready> "));
	type_all(&session);
}

/* Has the output a line with this word, alone or with a description behind a tab? */
static bool has_line(const char *out, const char *word)
{
	size_t len = strlen(word);

	for (const char *line = out; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, word, len) == 0 && (line[len] == '\t' || line[len] == '\n'))
			return true;
		if (line[strcspn(line, "\n")] == '\0')
			break;
	}
	return false;
}

Test(completions, fish)
{
	_autoplace_ struct place place = place_make();
	struct run_options options = {.cwd = place.cwd, .env = place.env};

	skip_unless(has_shell("fish"), "fish is not installed");
	for (size_t i = 0; i < ARRAY_SIZE(completions); i++) {
		const struct completion *c = &completions[i];
		_autorun_ struct run_result r = run_argv(
			&options,
			(const char *const[]){"fish", "-c",
					      "function sbx; printf '0123456789ab alpha-box"
					      "\\nbbbbbbbbbbbb \\n'; "
					      "contains -- --all $argv; and "
					      "echo 'cccccccccccc ended-box'; end; "
					      "source " TEST_COMPLETIONS "/sbx.fish; "
					      "complete -C $argv[1]",
					      c->typed, NULL});

		cr_expect(has_line(r.out, c->word), "%s: no %s in:\n%s%s", c->typed, c->word, r.out,
			  r.err);
	}
}
