/* SPDX-License-Identifier: MIT */
/* e2e profiles: what files of options do, and what the ones that come with sbx make. */
#include <stdio.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/* Run in `tree`, with its folder "home" as the home directory. */
struct place {
	char home[512], *path;
	const char *env[4];
	struct run_options options;
};

static void place_init(struct place *place, int tree)
{
	memset(place, 0, sizeof(*place));
	place->path = tree_path(tree, "");
	(void)snprintf(place->home, sizeof(place->home), "HOME=%s/home", place->path);
	place->env[0] = "PATH=/usr/bin:/bin";
	place->env[1] = place->home;
	place->env[2] = "TOKEN=secret";
	place->options = (struct run_options){.cwd = place->path, .env = place->env};
}

static void place_finish(struct place *place)
{
	free(place->path);
}

#define _autoplace_ __attribute__((cleanup(place_finish)))
#define PLACE(...)                                                                                 \
	_autoclose_ int tree = tmp_tree(__VA_ARGS__);                                              \
	_autoplace_ struct place place;                                                            \
	place_init(&place, tree)
#define in_place(...) run_sbx_with(&place.options, __VA_ARGS__)

Test(profiles, build_compiles_and_sees_no_home_and_no_network)
{
	PLACE("work/a.c=int main(void) { return 7; }\n", "home/.ssh/id=key\n");
	_autofree_ char *work = tree_path(tree, "work");

	place.options.cwd = work;
	_autorun_ struct run_result r =
		in_place("--profile", "build",
			 SH("command -v gcc > /dev/null || { echo 7; exit; }; "
			    "TMPDIR=. gcc a.c -o a && ./a; echo $?"));
	_autorun_ struct run_result s = in_place(
		"--profile", "build",
		SH("cat ../home/.ssh/id 2>&1 | grep -c 'No such'; tail -n +3 /proc/net/dev | cut "
		   "-d: -f1 | "
		   "tr -d ' '; "
		   "uname -n; date +%Z; echo \"$TOKEN$HOME\"; touch /usr/x 2>&1 | grep -c Read"));

	expect_out(r, "7\n");
	expect_out(s, "1\nlo\nbuild\nUTC\n/tmp\n1\n");
}

Test(profiles, desktop_has_the_sockets_of_the_session_and_nothing_else_of_it)
{
	PLACE("home/.ssh/id=key\n", "home/.Xauthority=cookie\n", "home/.fonts/f=font\n",
	      "run/wayland-7=socket\n", "run/pulse/native=socket\n", "run/pipewire-0=socket\n",
	      "run/keyring/control=secret\n");
	_autofree_ char *run = tree_path(tree, "run");
	char runtime[512];
	const char *const env[] = {place.env[0], place.home, "WAYLAND_DISPLAY=wayland-7",
				   "DISPLAY=:3", runtime,    "TOKEN=secret",
				   NULL};

	(void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", run);
	place.options.env = env;
	_autorun_ struct run_result r = in_place(
		"--profile", "desktop",
		SH("cd $XDG_RUNTIME_DIR; find . -type f | sort; stat -c %a .; cd; cat .Xauthority; "
		   "find . -type f | grep -v run/ | sort; touch new && echo writable; "
		   "echo $DISPLAY$WAYLAND_DISPLAY$TOKEN; tail -n +3 /proc/net/dev | cut -d: -f1 | "
		   "tr -d ' '"));

	expect_out(r, "./pipewire-0\n./pulse/native\n./wayland-7\n700\ncookie\n./.Xauthority\n"
		      "./.fonts/f\nwritable\n:3wayland-7\nlo\n");
	cr_expect_not(tree_exists(tree, "home/new"), "the home directory was the caller's");
}

Test(profiles, agent_reads_the_host_but_no_secrets)
{
	PLACE("work/", "home/.ssh/id=key\n", "home/.aws/credentials=key\n", "home/.netrc=key\n",
	      "home/.bash_history=typed\n", "home/.mozilla/logins.json=key\n", "home/notes=text\n");
	_autorun_ struct run_result plain =
		run_sbx_with(&place.options, "--ro-bind", "/", "/", SH("cat home/.ssh/id"));
	/* The current directory holds the home directory: it is hidden there, too. */
	_autorun_ struct run_result r = in_place(
		"--profile=agent",
		SH("cat home/notes; cat home/.ssh/id home/.aws/credentials home/.netrc "
		   "home/.bash_history home/.mozilla/logins.json 2> /dev/null; echo w > work/new; "
		   "test -r /etc/passwd && echo host; touch /etc/x 2> /dev/null || echo "
		   "read-only"));

	expect_out(plain, "key\n");
	expect_out(r, "text\nhost\nread-only\n");
	cr_expect(tree_exists(tree, "work/new"));
}

Test(profiles, shell_has_programs_and_the_current_directory)
{
	PLACE("here=text\n", "home/");
	_autorun_ struct run_result r = in_place(
		"--profile", "shell", SH("cat here; uname -n; test -e /home || echo none"));

	expect_out(r, "text\nsandbox\nnone\n");
}

/* Where "." is the home, or has it in it, that is said; the agent's hides keys. */
Test(profiles, a_directory_that_has_the_home_is_warned_about)
{
	PLACE("home/work/");
	_autofree_ char *home = tree_path(tree, "home"), *work = tree_path(tree, "home/work");
	const struct {
		const char *profile, *cwd, *words; /* NULL: none */
	} cases[] = {
		{"build", home, "is the home directory"},
		{"shell", home, "is the home directory"},
		{"agent", home, NULL},
		{"build", work, NULL},
		{"shell", place.path, "has the home directory in it"},
		{"agent", place.path, "has the home directory in it"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		place.options.cwd = cases[i].cwd;
		_autorun_ struct run_result r =
			in_place("--profile", cases[i].profile, "--", "true");
		const char *words = cases[i].words;

		cr_expect_eq(r.status, 0, "%s", r.err);
		cr_expect(words ? strstr(r.err, words) != NULL : r.err[0] == '\0', "%s in %s: %s",
			  cases[i].profile, cases[i].cwd, r.err);
	}
	place.options.cwd = home;
	_autorun_ struct run_result typed = in_place("--ro", "/usr", "--rw", ".", "--", "true");

	cr_expect_str_eq(typed.err, "");
}

/* Nix finds its programs by links in the state directory. */
Test(profiles, agent_finds_what_nix_has_installed)
{
	PLACE("home/.nix-profile -> .local/state/nix/profile",
	      "home/.local/state/nix/profile/bin/tool=tool\n",
	      "home/.local/state/nvim/shada=typed\n");
	_autorun_ struct run_result r =
		in_place("--profile=agent", SH("cat home/.nix-profile/bin/tool; cat "
					       "home/.local/state/nvim/shada 2>/dev/null || true"));

	expect_out(r, "tool\n");
}

Test(profiles, own_ones_include_others_and_explain_names_the_line)
{
	PLACE("home/.config/sbx/profiles/mine=# what it is\ninclude shell\n\nro-bind ~/data /data\n"
	      "ro-bind ?~/none /none\n",
	      "home/data/file=text\n");
	_autorun_ struct run_result r = in_place("--profile", "mine", SH("cat /data/file"));
	_autorun_ struct run_result e = in_place("--profile", "mine", "--explain", "--", "true");

	/* The current directory holds the profile, so the first is refused, see the attack. */
	expect_failure(r, 125, "could change this profile");
	place.options.cwd = "/usr";
	_autorun_ struct run_result ok = in_place("--profile", "mine", SH("cat /data/file"));
	_autorun_ struct run_result plan = in_place("--profile", "mine", "--explain", "--", "true");

	expect_out(ok, "text\n");
	expect_failure(e, 125, "could change this profile");
	cr_expect(strstr(plan.out, "[--ro-bind (mine:4)]"), "%s", plan.out);
	cr_expect(strstr(plan.out, "(shell:3)"), "%s", plan.out);
}

/* Everything that a line can set names it; what is typed behind the profile takes its place. */
Test(profiles, explain_names_the_line_of_every_setting)
{
	PLACE("home/.config/sbx/profiles/all=# all kinds\nhostname there\nsetenv TOKEN secret\n"
	      "env TERM\n"
	      "unsetenv LANG\nshare-ipc\nuid 7\nseccomp-deny @keyring\ncap-drop ALL\n"
	      "landlock off\nno-pty\nnew-session\non-exit=wait\nchdir /tmp\n"
	      "helper newuidmap=/usr/bin/newuidmap\nallow-userns\nmap=single\n"
	      "dbus-session-try\ndbus-talk org.example.A\nseccomp-log\nunshare-all\n");
	static const char *const lines[] = {
		"  hostname        there ",
		"[--hostname (all:2)]",
		"  env             set TOKEN ",
		"[--setenv (all:3)]",
		"[--unsetenv (all:5)]",
		"  ns.ipc          new ",
		"[--unshare-all (all:21)]",
		"  uid             7 ",
		"[--uid (all:7)]",
		"  seccomp-changes deny @keyring ",
		"[--seccomp-deny (all:8)]",
		"[--cap-drop (all:9)]",
		"[--landlock (all:10)]",
		"[--no-pty (all:11)]",
		"[--new-session (all:12)]",
		"[--on-exit (all:13)]",
		"[--chdir (all:14)]",
		"[--helper (all:15)]",
		"[--allow-userns (all:16)]",
		"[--map (all:17)]",
		"[--dbus-session-try (all:18)]",
		"[--dbus-talk (all:19)]",
		"[--seccomp-log (all:20)]",
	};

	place.options.cwd = "/usr";
	_autorun_ struct run_result all = in_place("--profile", "all", "--explain", "--", "true");
	_autorun_ struct run_result typed =
		in_place("--profile", "all", "--hostname", "here", "--explain", "--", "true");
	_autorun_ struct run_result json =
		in_place("--profile", "all", "--hostname", "here", "--explain=json", "--", "true");
	_autorun_ struct run_result told =
		in_place("--profile", "all", "-v", "--ro-bind", "/usr", "/usr", "--", "true");

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_expect(strstr(all.out, lines[i]), "no \"%s\" in: %s%s", lines[i], all.out,
			  all.err);
	cr_expect_not(strstr(all.out, "secret"), "%s", all.out);
	cr_expect(strstr(typed.out, "[--hostname]"), "%s", typed.out);
	cr_expect_not(strstr(typed.out, "(all:2)"), "%s", typed.out);
	cr_expect(strstr(json.out, "\"origin\": \"all:3\""), "%s", json.out);
	cr_expect(strstr(json.out, "\"origin\": \"command line\""), "%s", json.out);
	cr_expect(strstr(told.err, "[--hostname (all:2)]"), "%s", told.err);
}

Test(profiles, explain_names_the_line_behind_steps_that_a_setting_makes)
{
	PLACE("home/.config/sbx/profiles/guard=# steps\nprotect dev\nbind ~/project /project\n"
	      "new-session\nseccomp-deny @keyring\ncap-add chown\n",
	      "home/project/.git/hooks/", "home/project/.git/config=[core]\n");
	static const char *const lines[] = {
		"[--protect=dev (guard:2)]",  "[--bind (guard:3)]",    "[--new-session (guard:4)]",
		"[--seccomp-deny (guard:5)]", "[--cap-add (guard:6)]",
	};

	place.options.cwd = "/usr";
	_autorun_ struct run_result r = in_place("--profile", "guard", "--bind", "/usr", "/host",
						 "--explain", "--", "true");

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_expect(strstr(r.out, lines[i]), "no \"%s\" in: %s%s", lines[i], r.out, r.err);
	/* An operation that was typed does not take the line of another. */
	cr_expect(strstr(r.out, "[--bind]"), "%s", r.out);
}

Test(profiles, the_verb_lists_names_and_what_they_hide)
{
	PLACE("home/.config/sbx/profiles/build=# my own\ntmpfs /x\n");
	_autorun_ struct run_result list = in_place("profiles");
	_autorun_ struct run_result one = in_place("profiles", "build");
	_autorun_ struct run_result none = in_place("profiles", "nope");

	expect_success(list);
	cr_expect(strstr(list.out, "build        my own\n"), "%s", list.out);
	cr_expect(strstr(list.out, "hides /"), "%s", list.out);
	cr_expect(strstr(list.out, "agent "), "%s", list.out);
	expect_success(one);
	cr_expect(strstr(one.out, "tmpfs /x\n"), "%s", one.out);
	expect_failure(none, 2, "no profile \"nope\"");
}
