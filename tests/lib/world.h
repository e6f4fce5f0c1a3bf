/* SPDX-License-Identifier: MIT */
/*
 * world: a host with a network of its own, in namespaces that the test makes: nothing of it
 * leaves this machine, or is seen by another test.
 *
 *     203.0.113.0/24, 2001:db8:1::/64    "the internet": answered, but no interface has them
 *     192.168.77.0/24                    "the LAN", likewise; but .1 is the host's
 *     198.51.100.9, 2001:db8:2::9        the host's, public ones
 *     169.254.169.254                    a metadata service
 *
 * The kernel has no dummy interfaces everywhere, so all of it are local routes of lo; those that
 * are not the host's own in a table apart, as of a transparent proxy. world_bridge is an interface
 * for who wants a network that the host is in. What listens, on every address, says "hello" on 80,
 * and the port that it was asked at on 5300.
 *
 * A script runs there as the user 1000, who has no privilege over that network, or as root
 * of that namespace, where it says so. $S is sbx with /usr, and with one id, since there may be a
 * user 1000 with ids in /etc/subuid, whose helpers can do nothing there; $D is the test's
 * directory. All of it, what a script leaves included, ends with the namespace of its processes.
 */
#pragma once

#include <stdio.h>
#include <unistd.h>

#include "testlib.h"

static const char world_server[] =
	"import os, socket, sys, threading\n"
	"def serve(s, word):\n"
	"    while True:\n"
	"        c, _ = s.accept()\n"
	"        c.sendall(word)\n"
	"        c.close()\n"
	"for family, any in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):\n"
	"    for port, word in ((80, b'hello\\n'), (5300, b'5300\\n'), (53, b'53\\n')):\n"
	"        s = socket.socket(family)\n"
	"        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
	"        if family == socket.AF_INET6:\n"
	"            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n"
	"        else:\n"
	"            s.setsockopt(socket.SOL_IP, 19, 1)\n" /* IP_TRANSPARENT */
	"        s.bind((any, port))\n"
	"        s.listen(64)\n"
	"        threading.Thread(target=serve, args=(s, word), daemon=True).start()\n"
	"s = socket.socket(socket.AF_UNIX)\n"
	"s.bind('\\0sbx-test-world')\n"
	"s.listen(64)\n"
	"threading.Thread(target=serve, args=(s, b'abstract\\n'), daemon=True).start()\n"
	"print('ready', flush=True)\n"
	"sys.stdin.read()\n";

static const char world_setup[] =
	"set -e; ip link set lo up; "
	"ip addr add 192.168.77.1/32 dev lo; ip addr add 198.51.100.9/32 dev lo; "
	"ip -6 addr add 2001:db8:2::9/128 dev lo; "
	"for net in 203.0.113.0/24 192.168.77.0/24 169.254.169.254/32; do "
	"ip route add local $net dev lo src 198.51.100.9 table 100; "
	"ip rule add to $net lookup 100; done; "
	"ip -6 route add local 2001:db8:1::/64 dev lo table 100; "
	"ip -6 rule add to 2001:db8:1::/64 lookup 100; "
	"coproc SERVER { exec python3 -I -c \"$SERVER_TEXT\"; }; read -r ready <&${SERVER[0]}; "
	"test \"$ready\" = ready; set +e; ";

/* With it a script begins, as root of the world. */
#define WORLD_BRIDGE "ip link add lan type bridge; ip link set lan up; "

static inline void world_skip(void)
{
	static const char *const programs[] = {"/usr/bin/slirp4netns", "/usr/sbin/nft",
					       "/usr/bin/python3", "/usr/bin/unshare"};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		skip_unless(access(programs[i], X_OK) == 0,
			    "slirp4netns, nftables, python3 and unshare are needed");
	skip_unless(access("/dev/net/tun", R_OK | W_OK) == 0, "/dev/net/tun is needed");
}

/* @as: "" for root of the world, or the words of unshare for another */
static inline struct run_result world_run_as(const char *as, int tree, const char *script)
{
	_autofree_ char *dir = tree_path(tree, "");
	char sbx[1024], home[1024], runtime[1024], server[4096], text[16384];
	const char *const env[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", home, runtime, sbx, server, NULL};
	const struct run_options options = {.cwd = dir, .env = env};

	(void)snprintf(sbx, sizeof(sbx), "S=%s --map=single --ro-bind /usr /usr", sbx_program());
	(void)snprintf(home, sizeof(home), "HOME=%s", dir);
	(void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", dir);
	(void)snprintf(server, sizeof(server), "SERVER_TEXT=%s", world_server);
	(void)snprintf(text, sizeof(text),
		       "%s export SCRIPT=$1; %s bash -c 'D=$PWD; "
		       "eval \"$SCRIPT\"'; kill $SERVER_PID",
		       world_setup, as);
	return run_argv(&options, (const char *const[]){"unshare", "-Urnpf", "--mount-proc", "bash",
							"-c", text, "bash", script, NULL});
}

static inline struct run_result world_run(int tree, const char *script)
{
	return world_run_as("unshare -U --map-user=1000 --map-group=1000", tree, script);
}
