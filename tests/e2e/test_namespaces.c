/* SPDX-License-Identifier: MIT */
/* e2e namespaces: which are new, which are shared, and what a new one is like. */
#include <fcntl.h>
#include <stdio.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

struct ns_case {
	const char *name;  /* in /proc/self/ns */
	const char *share; /* the option that shares it */
};

static const struct ns_case ns_cases[] = {
	{"pid", "--share-pid"}, {"ipc", "--share-ipc"},	      {"uts", "--share-uts"},
	{"net", "--share-net"}, {"cgroup", "--share-cgroup"},
};

static char *own_namespace(const char *name)
{
	char path[64], link[64] = "";
	char *line = NULL;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	cr_assert(readlink(path, link, sizeof(link) - 1) > 0);
	cr_assert(asprintf(&line, "%s\n", link) > 0);
	return line;
}

Test(namespaces, all_are_new_by_default)
{
	const char *const names[] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autofree_ char *own = own_namespace(names[i]);
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		{
			_autorun_ struct run_result r = in_usr("--", "readlink", path);

			expect_success(r);
			cr_expect_str_neq(r.out, own);
		}
	}
}

Test(namespaces, each_can_be_shared)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_cases); i++) {
		_autofree_ char *own = own_namespace(ns_cases[i].name);
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_cases[i].name);
		{
			_autorun_ struct run_result r =
				in_usr(ns_cases[i].share, "--", "readlink", path);

			cr_expect_str_eq(r.out, own, "%s: %s%s", ns_cases[i].share, r.out, r.err);
		}
	}
}

Test(namespaces, the_last_word_about_one_wins)
{
	_autofree_ char *own = own_namespace("net");
	_autorun_ struct run_result shared =
		in_usr("--unshare-all", "--share-net", "--", "readlink", "/proc/self/ns/net");
	_autorun_ struct run_result unshared =
		in_usr("--share-net", "--unshare-net", "--", "readlink", "/proc/self/ns/net");
	_autorun_ struct run_result none =
		in_usr("--net=host", "--net=none", "--", "readlink", "/proc/self/ns/net");
	_autorun_ struct run_result host =
		in_usr("--net=none", "--net", "host", "--", "readlink", "/proc/self/ns/net");

	expect_out(shared, own);
	expect_success(unshared);
	cr_expect_str_neq(unshared.out, own);
	expect_success(none);
	cr_expect_str_neq(none.out, own);
	expect_out(host, own);
}

Test(namespaces, every_unshare_option_is_accepted)
{
	_autorun_ struct run_result r =
		in_usr("--unshare-user", "--unshare-user-try", "--unshare-pid", "--unshare-ipc",
		       "--unshare-uts", "--unshare-cgroup", "--unshare-cgroup-try", "--unshare-net",
		       "--unshare-all", "--", "echo", "ok");

	expect_out(r, "ok\n");
}

Test(namespaces, hostname_is_set_inside_and_not_outside)
{
	_autorun_ struct run_result before = run_program("uname", "-n");
	_autorun_ struct run_result r =
		in_usr("--hostname", "box.example", SH("uname -n; cat /etc/hostname"));
	_autorun_ struct run_result after = run_program("uname", "-n");
	_autorun_ struct run_result shared =
		in_usr("--share-uts", "--hostname", "box", "--", "true");

	expect_out(r, "box.example\nbox.example\n");
	cr_expect_str_eq(before.out, after.out);
	expect_failure(shared, 125, "--hostname");
}

Test(namespaces, the_network_is_lo_and_it_is_up)
{
	_autorun_ struct run_result r =
		in_usr("--", "python3", "-c",
		       "import socket\n"
		       "print([name for _, name in socket.if_nameindex()])\n"
		       "server = socket.create_server(('127.0.0.1', 0))\n"
		       "client = socket.create_connection(server.getsockname())\n"
		       "print('connected')\n"
		       "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
		       "except OSError as e: print(e.strerror)\n");

	expect_out(r, "['lo']\nconnected\nNetwork is unreachable\n");
}

Test(namespaces, abstract_sockets_of_the_host_are_out_of_reach)
{
	_autosession_ struct session server;
	char name[64], client[256];

	snprintf(name, sizeof(name), "sbx-test-%d", getpid());
	session_start(&server, &(struct run_options){.open_input = true},
		      (const char *const[]){"python3", "-c",
					    "import socket, sys\n"
					    "s = socket.socket(socket.AF_UNIX)\n"
					    "s.bind('\\0' + sys.argv[1])\n"
					    "s.listen()\n"
					    "print('ready', flush=True)\n"
					    "sys.stdin.read()\n",
					    name, NULL});
	cr_assert(session_expect(&server, "ready"));
	snprintf(client, sizeof(client),
		 "import socket\n"
		 "try: socket.socket(socket.AF_UNIX).connect('\\0%s'); print('connected')\n"
		 "except OSError as e: print(e.strerror)\n",
		 name);
	{
		_autorun_ struct run_result apart = in_usr("--", "python3", "-c", client);
		_autorun_ struct run_result shared =
			in_usr("--share-net", "--landlock=off", "--", "python3", "-c", client);

		expect_out(apart, "Connection refused\n");
		expect_out(shared, "connected\n");
	}
}

Test(namespaces, no_user_namespace_can_be_made_inside_unless_asked)
{
	_autorun_ struct run_result refused = in_usr("--", "unshare", "-U", "true");
	_autorun_ struct run_result raised = in_usr(
		SH("echo 100 > /proc/sys/user/max_user_namespaces; unshare -U true && echo made"));
	_autorun_ struct run_result allowed = in_usr("--allow-userns", "--", "unshare", "-Ur",
						     "--mount-proc", "-pf", "echo", "made");
	_autorun_ struct run_result asserted =
		in_usr("--disable-userns", "--assert-userns-disabled", "--", "echo", "ok");
	_autorun_ struct run_result contrary =
		in_usr("--allow-userns", "--assert-userns-disabled", "--", "true");

	cr_expect_neq(refused.status, 0);
	cr_expect_not(strstr(raised.out, "made"));
	expect_out(allowed, "made\n");
	expect_out(asserted, "ok\n");
	cr_expect_eq(contrary.status, 125, "%d %s", contrary.status, contrary.err);
}
