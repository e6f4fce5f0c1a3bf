/* SPDX-License-Identifier: MIT */
/* e2e dbus: a session bus of which the command has what the rules say, and what is left of it. */
#include <stdio.h>
#include <unistd.h>

#include "e2e.h"

/* Ask the bus for something, outside or inside. */
#define LIST                                                                                       \
	"dbus-send --session --print-reply --dest=org.freedesktop.DBus / "                         \
	"org.freedesktop.DBus.ListNames"
#define OWN(name)                                                                                  \
	"dbus-send --session --print-reply --dest=org.freedesktop.DBus / "                         \
	"org.freedesktop.DBus.RequestName string:" name " uint32:4"
/* sbx with this as the helper of the name, in the shell's words. */
#define HELPER(path) "--helper xdg-dbus-proxy=" path " "

static const char *const helpers[] = {"/usr/bin/dbus-run-session", "/usr/bin/dbus-send",
				      "/usr/bin/xdg-dbus-proxy"};

static void skip_without_bus(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
		skip_unless(access(helpers[i], X_OK) == 0, "dbus-run-session, dbus-send and "
							   "xdg-dbus-proxy are needed");
}

/* A script in a throw-away directory, with a session bus of its own and $S for sbx. */
static struct run_result on_bus(int tree, const char *script)
{
	_autofree_ char *cwd = tree_path(tree, "");
	char sbx[1024], runtime[1024];
	const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", runtime, sbx, NULL};
	const struct run_options options = {.cwd = cwd, .env = env};

	(void)snprintf(sbx, sizeof(sbx), "S=%s --ro-bind /usr /usr", sbx_program());
	(void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", cwd);
	return run_argv(&options, (const char *const[]){"/usr/bin/dbus-run-session", "--", "sh",
							"-c", script, NULL});
}

/* How many files there are but that of the bus daemon (dbus-1) and the records' (sbx). */
#define LEFT "ls -A | grep -vxc -e dbus-1 -e sbx; true"

/* The children of a process that are xdg-dbus-proxy, by a line in its script. */
#define PROXY_OF(pid) "pgrep -P " pid " -f xdg-dbus-proxy"

Test(dbus, the_command_can_use_what_is_named_and_nothing_else)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = on_bus(
		tree, "$S --dbus-own org.example.Mine -- sh -c '" OWN(
			      "org.example.Mine") "' | "
						  "grep -c 'uint32 1'; "
						  "$S --dbus-own org.example.Mine -- sh -c '" OWN(
							  "org.example.Other") "' 2>&1 "
									       "| grep -c "
									       "ServiceUnknown:");

	expect_out(r, "1\n1\n");
}

#define SERVICE(name)                                                                              \
	"dbus-1/services/org.example." name ".service=[D-BUS Service]\nName=org.example." name     \
	"\nExec=/bin/sh -c \"echo " name " > $XDG_RUNTIME_DIR/called-" name "; exit 1\"\n"
#define CALL(name)                                                                                 \
	"dbus-send --session --print-reply --dest=org.example." name " / org.example.A.Hello"

Test(dbus, a_service_outside_is_started_only_where_it_is_named)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree(SERVICE("A"), SERVICE("B"));
	_autorun_ struct run_result r =
		on_bus(tree, "$S --dbus-talk org.example.A -- sh -c '" CALL("A") "; " CALL(
				     "B") "' 2> /dev/null; echo called-*");

	expect_out(r, "called-A\n");
}

#define PORTAL_CALL(interface)                                                                     \
	"dbus-send --session --print-reply --dest=org.freedesktop.portal.Desktop "                 \
	"/org/freedesktop/portal/desktop org.freedesktop.portal." interface

/* Who asks a portal is a program of the host to it: what does not ask the user is not called. */
Test(dbus, the_desktop_profile_has_portals_that_ask)
{
	static const struct {
		const char *call;
		bool arrives;
	} calls[] = {
		{PORTAL_CALL("Settings.ReadAll"), true},
		{PORTAL_CALL("FileChooser.OpenFile"), true},
		{PORTAL_CALL("OpenURI.OpenURI"), true},
		{PORTAL_CALL("OpenURI.OpenFile"), false},
		{PORTAL_CALL("Background.RequestBackground"), false},
		{PORTAL_CALL("DynamicLauncher.Install"), false},
		{PORTAL_CALL("Screenshot.Screenshot"), false},
		{PORTAL_CALL("RemoteDesktop.CreateSession"), false},
	};

	skip_without_bus();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		char script[1024];
		_autoclose_ int tree = tmp_tree(
			"dbus-1/services/org.freedesktop.portal.Desktop.service=[D-BUS Service]\n"
			"Name=org.freedesktop.portal.Desktop\n"
			"Exec=/bin/sh -c \"echo > $XDG_RUNTIME_DIR/called; exit 1\"\n");

		(void)snprintf(script, sizeof(script),
			       "$S --profile desktop -- %s > /dev/null 2>&1; "
			       "test -e called && echo called; rm -f called; %s "
			       "> /dev/null 2>&1; test -e called && echo can be",
			       calls[i].call, calls[i].call);
		_autorun_ struct run_result r = on_bus(tree, script);

		cr_expect_str_eq(r.out, calls[i].arrives ? "called\ncan be\n" : "can be\n",
				 "%s: %s%s", calls[i].call, r.out, r.err);
	}
}

Test(dbus, the_callers_socket_is_not_there)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		on_bus(tree, "real=${DBUS_SESSION_BUS_ADDRESS#unix:path=}; real=${real%%,*}; "
			     "$S --setenv REAL $real --dbus-session -- sh -c '"
			     "test -S ${DBUS_SESSION_BUS_ADDRESS#unix:path=} && echo own; "
			     "test -e $REAL || echo none; "
			     "test $REAL != ${DBUS_SESSION_BUS_ADDRESS#unix:path=} && echo other; "
			     "cat /proc/[0-9]*/comm | grep -c xdg-dbus'; " LEFT);

	expect_out(r, "own\nnone\nother\n0\n0\n");
}

Test(dbus, a_helper_that_does_not_work_ends_the_launch)
{
	static const struct {
		const char *words, *message;
	} cases[] = {
		{HELPER("/nonexistent/p"), "--dbus-session: /nonexistent/p: cannot be executed"},
		{HELPER("$PWD/plain"), "plain: cannot be executed: Permission denied"},
		{HELPER("$PWD/fails"), "fails: has ended with exit status 3: no luck"},
		{HELPER("$PWD/broken"), "broken: cannot be executed"},
		{HELPER("$PWD/closes"), "closes: has ended with exit status 0"},
	};

	skip_without_bus();
	_autoclose_ int tree =
		tmp_tree("plain=text", "fails=#!/bin/sh\necho no luck >&2\nexit 3\n",
			 "broken=#!/nonexistent/interpreter\n", "closes=#!/bin/sh\nexit 0\n");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char script[256];

		(void)snprintf(script, sizeof(script), "$S --dbus-session %s-- echo ran",
			       cases[i].words);
		_autorun_ struct run_result r = on_bus(tree, script);

		expect_failure(r, 125, cases[i].message);
		cr_expect(strstr(r.err, "install"), "no remedy in: %s", r.err);
		cr_expect_str_empty(r.out);
	}
}

Test(dbus, a_helper_that_hangs_is_given_up_and_can_be_interrupted)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree("hangs=#!/bin/sh\necho $$ > pid\nexec sleep 1000\n");
	_autorun_ struct run_result r = on_bus(
		tree, "$S --dbus-session " HELPER(
			      "$PWD/hangs") "-- echo ran; echo $?; "
					    "kill -0 $(cat pid) 2> /dev/null || echo gone; rm pid; "
					    "$S --dbus-session " HELPER(
						    "$PWD/hangs") "-- echo ran & "
								  "until test -s pid; do :; done; "
								  "kill $!; wait $!; echo $?; "
								  "kill -0 $(cat pid) 2> /dev/null "
								  "|| echo gone");

	expect_out(r, "125\ngone\n143\ngone\n");
	cr_expect(strstr(r.err, "does not listen after 10 seconds"), "%s", r.err);
}

/* When the command is there: until then the end of the proxy is that of the launch. */
Test(dbus, a_helper_that_is_killed_takes_the_bus_with_it)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = on_bus(
		tree, "mkfifo go; $S --dbus-session -- sh -c 'echo up; read x; " LIST
		      " || echo no bus' < go > said & "
		      "exec 9> go; until grep -q up said; do :; done; " PROXY_OF(
			      "$!") " > proxy; "
				    "kill -9 $(cat proxy); "
				    "while " PROXY_OF("$!") " > /dev/null; do :; done; echo >&9; "
							    "wait $!; echo $?; cat said");

	cr_expect_eq(r.status, 0);
	cr_expect_str_eq(r.out, "0\nup\nno bus\n", "%s%s", r.out, r.err);
	cr_expect(strstr(r.err, "no session bus any more"), "%s", r.err);
	cr_expect(strstr(r.err, "was killed by signal 9"), "%s", r.err);
}

Test(dbus, nothing_is_left_of_a_killed_sbx)
{
	skip_without_bus();
	_autoclose_ int tree = tmp_tree(NULL);
	/* A killed process that waits for its new parent is a zombie, and no process any more. */
	_autorun_ struct run_result r =
		on_bus(tree, "$S --dbus-session -- sleep 1000 & until " PROXY_OF(
				     "$!") " > proxy; do :; done; "
					   "kill -9 $!; wait $! 2> /dev/null; "
					   "while grep -q '^State:.[^Z]' /proc/$(cat proxy)/status "
					   "2> /dev/null; do :; done; "
					   "rm proxy; " LEFT);

	expect_out(r, "0\n");
}

Test(dbus, without_a_bus_only_the_optional_form_goes_on)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", NULL};
	const struct run_options options = {.env = env};
	_autorun_ struct run_result must =
		in_usr_with(&options, "--dbus-session", "--", "echo", "ran");
	_autorun_ struct run_result implied =
		in_usr_with(&options, "--dbus-talk", "org.example.A", "--", "echo", "ran");
	_autorun_ struct run_result may =
		in_usr_with(&options, "--dbus-session-try", "--dbus-talk", "org.example.A", "--",
			    "sh", "-c", "echo \"ran$DBUS_SESSION_BUS_ADDRESS\"");

	expect_failure(must, 125, "--dbus-session: there is no session bus");
	expect_failure(implied, 125, "--dbus-talk: there is no session bus");
	expect_out(may, "ran\n");
}

Test(dbus, names_and_rules_are_checked)
{
	_autorun_ struct run_result name = run_sbx("--dbus-talk", "org example", "--", "true");
	_autorun_ struct run_result all = run_sbx("--dbus-talk", "*", "--", "true");
	_autorun_ struct run_result rule = run_sbx("--dbus-call", "org.example.A", "--", "true");

	expect_failure(name, 125, "--dbus-talk: NAME must be a name on the bus");
	expect_failure(all, 125, "--dbus-talk: NAME must be a name on the bus");
	expect_failure(rule, 125, "--dbus-call: NAME=RULE must be as");
}
