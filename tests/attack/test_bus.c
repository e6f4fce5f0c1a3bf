/* SPDX-License-Identifier: MIT */
/*
 * attack bus: what of the session's bus is in reach by other ways than those that the
 * rules of --dbus-... name. Each script runs with a session bus of its own.
 */
#include <stdio.h>
#include <unistd.h>

#include "attack.h"

/* Services of the session: who is called says so outside. */
#define SERVICE(name)                                                                              \
	"dbus-1/services/org.example." name ".service=[D-BUS Service]\nName=org.example." name     \
	"\nExec=/bin/sh -c \"echo > $XDG_RUNTIME_DIR/called-" name "; exit 1\"\n"
#define CALL(name)                                                                                 \
	"dbus-send --session --print-reply --dest=org.example." name                               \
	" / org.example.A.Hello > /dev/null 2>&1"
/* The bus itself, asked for something that it does for everybody. */
#define BUS(method)                                                                                \
	"dbus-send --session --print-reply --dest=org.freedesktop.DBus "                           \
	"/org/freedesktop/DBus org.freedesktop." method

static const char *const programs[] = {"/usr/bin/dbus-daemon", "/usr/bin/dbus-send",
				       "/usr/bin/xdg-dbus-proxy"};

/*
 * Run a script with $S for sbx, and a bus that listens at `address`, which may begin with
 * the directory, as $D.
 */
static struct run_result on_bus(int tree, const char *address, const char *script)
{
	_autofree_ char *dir = tree_path(tree, "");
	char sbx[1024], runtime[1024], text[4096];
	const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", runtime, sbx, NULL};
	const struct run_options options = {.cwd = dir, .env = env};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		skip_unless(access(programs[i], X_OK) == 0,
			    "dbus-daemon, dbus-send and xdg-dbus-proxy are needed");
	(void)snprintf(sbx, sizeof(sbx), "S=%s --ro-bind /usr /usr", sbx_program());
	(void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", dir);
	(void)snprintf(text, sizeof(text),
		       "D=$XDG_RUNTIME_DIR; mkfifo ready; "
		       "dbus-daemon --session --nofork --print-address=3 --address=%s "
		       "3> ready & daemon=$!; read DBUS_SESSION_BUS_ADDRESS < ready; "
		       "export DBUS_SESSION_BUS_ADDRESS; rm ready; %s; kill $daemon",
		       address, script);
	return run_argv(&options, (const char *const[]){"sh", "-c", text, NULL});
}

Test(bus, services_that_are_not_named_cannot_be_called)
{
	_autoclose_ int tree = tmp_tree(SERVICE("A"), SERVICE("B"));
	_autorun_ struct run_result r =
		on_bus(tree, "unix:path=$D/bus",
		       CALL("B") "; ls called-*; rm called-B; "
				 "$S --dbus-talk org.example.A -- sh -c '" CALL("B") "; " CALL(
					 "A") "'; ls called-*");

	expect_out(r, "called-B\ncalled-A\n");
}

/* Where the caller's socket lies in a directory that is bound, the filtered one covers it. */
Test(bus, a_bind_does_not_show_the_callers_socket)
{
	_autoclose_ int tree = tmp_tree(SERVICE("B"));
	_autorun_ struct run_result r =
		on_bus(tree, "unix:path=$D/bus",
		       "A=$DBUS_SESSION_BUS_ADDRESS; "
		       "$S --bind $D $D --setenv DBUS_SESSION_BUS_ADDRESS $A -- sh -c '" CALL(
			       "B") "'; ls called-*; rm called-B; "
				    "$S --bind $D $D --dbus-session -- sh -c '"
				    "DBUS_SESSION_BUS_ADDRESS=$1; export "
				    "DBUS_SESSION_BUS_ADDRESS; " CALL(
					    "B") "; mv $2/bus $2/away 2> /dev/null || rm -f "
						 "$2/bus 2> /dev/null || echo stays; " CALL(
							 "B") "' sh $A $D; "
							      "ls called-* 2> /dev/null; "
							      "test -S bus && echo there");

	expect_out(r, "called-B\nstays\nthere\n");
}

Test(bus, an_abstract_socket_is_out_of_reach)
{
	_autoclose_ int tree = tmp_tree(SERVICE("B"));
	_autorun_ struct run_result r =
		on_bus(tree, "unix:abstract=$D/abstract",
		       "A=$DBUS_SESSION_BUS_ADDRESS; "
		       "$S --share-net --landlock=off --setenv DBUS_SESSION_BUS_ADDRESS $A -- "
		       "sh -c '" CALL("B") "'; ls called-*; rm called-B; "
					   "$S --dbus-session -- sh -c '"
					   "DBUS_SESSION_BUS_ADDRESS=$1 " CALL(
						   "B") "' sh $A; ls called-* 2> /dev/null; "
							"$S --dbus-session -- sh -c '" BUS(
								"DBus.GetId") " | grep -c string'");

	expect_out(r, "called-B\n1\n");
}

/* The proxy is the caller's process: with --share-pid it is seen, and no more than that. */
Test(bus, the_proxy_cannot_be_entered)
{
	static const char find[] =
		"P=$(pgrep -f '^/[^ ]*xdg-dbus-proxy --fd=.*'$1); test $P && echo seen; "
		"ls -d /proc/$P/root/usr /proc/$P/cwd/. 2> /dev/null | wc -l; "
		"ls /proc/$P/fd/*/bus 2> /dev/null | wc -l; "
		"kill -0 $P 2> /dev/null && echo signal";
	char script[2048];
	_autoclose_ int tree = tmp_tree(NULL);

	(void)snprintf(script, sizeof(script),
		       "cat > find <<'E'\n%s\nE\n"
		       "mkfifo go; "
		       "$S --ro-bind $D $D --share-pid --landlock=off --dbus-session -- "
		       "sh -c 'read x; sh $1/find $1' sh $D < go & "
		       "exec 9> go; until pgrep -P $! -f xdg-dbus-proxy > /dev/null; do :; done; "
		       "sh find $D; echo >&9; wait $!",
		       find);
	/* Outside: its root, its directory, its socket. */
	_autorun_ struct run_result r = on_bus(tree, "unix:path=$D/bus", script);

	expect_out(r, "seen\n2\n1\nsignal\nseen\n0\n0\nsignal\n");
}

/* What the bus does for everybody can start programs outside, and tells what others say. */
Test(bus, the_daemon_does_nothing_else_for_the_command)
{
	static const char *const methods[] = {
		BUS("DBus.UpdateActivationEnvironment dict:string:string:LD_PRELOAD,/x"),
		BUS("DBus.StartServiceByName string:org.example.B uint32:0"),
		BUS("DBus.Monitoring.BecomeMonitor array:string: uint32:0"),
		BUS("DBus.RequestName string:org.example.Own uint32:0"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		_autoclose_ int tree = tmp_tree(SERVICE("B"));
		char script[1024];

		(void)snprintf(script, sizeof(script),
			       "%s > out 2>&1; grep -c -e AccessDenied -e ServiceUnknown out; "
			       "rm -f called-B; $S --dbus-talk org.example.A -- "
			       "sh -c '%s' > out 2>&1; "
			       "grep -c -e AccessDenied -e ServiceUnknown out; ls called-B 2> "
			       "/dev/null",
			       methods[i], methods[i]);
		_autorun_ struct run_result r = on_bus(tree, "unix:path=$D/bus", script);

		cr_expect_str_eq(r.out, "0\n1\n", "%s: %s%s", methods[i], r.out, r.err);
	}
}

/* It parses what the command writes: what a hole in it gives is less than the caller has. */
Test(bus, the_proxy_has_a_filter_and_no_capabilities)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		on_bus(tree, "unix:path=$D/bus",
		       "mkfifo go; $S --dbus-session -- sh -c 'read x' < go & exec 9> go; "
		       "grep -E '^(NoNewPrivs|Seccomp):' /proc/$daemon/status; "
		       "until P=$(pgrep -P $! -f xdg-dbus-proxy); do :; done; "
		       "until grep -q '^Seccomp:.2' /proc/$P/status; do :; done; "
		       "grep -E '^(NoNewPrivs|Seccomp|CapPrm|CapAmb|CapInh):' /proc/$P/status; "
		       "echo >&9; wait $!");

	expect_out(r, "NoNewPrivs:\t0\nSeccomp:\t0\n"
		      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
		      "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}
