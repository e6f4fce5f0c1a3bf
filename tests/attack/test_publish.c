/* SPDX-License-Identifier: MIT */
/*
 * attack publish: what published ports open, beside themselves. Each script runs in a world of
 * its own (lib/world.h), and does first what works.
 */
#include "attack.h"
#include "ports.h"
#include "world.h"

/* Asks everything that may be slirp4netns's API socket for what is published. */
#define ASK                                                                                        \
	"ask.py=import os, socket\n"                                                               \
	"def ask(name):\n"                                                                         \
	"    s = socket.socket(socket.AF_UNIX)\n"                                                  \
	"    s.settimeout(20)\n"                                                                   \
	"    try:\n"                                                                               \
	"        s.connect(name)\n"                                                                \
	"        s.sendall(b'{\"execute\": \"list_hostfwd\"}')\n"                                  \
	"        s.shutdown(socket.SHUT_WR)\n"                                                     \
	"        return 'entries' in s.recv(4096).decode()\n"                                      \
	"    except OSError: return False\n"                                                       \
	"names = set()\n"                                                                          \
	"for top, dirs, files in os.walk('/'):\n"                                                  \
	"    if top == '/': dirs.remove('proc')\n"                                                 \
	"    names |= {os.path.join(top, f) for f in files if not os.path.isfile("                 \
	"os.path.join(top, f)) and not f == 'go'}\n"                                               \
	"for line in open('/proc/net/unix').read().splitlines()[1:]:\n"                            \
	"    name = line.split()[7:]\n"                                                            \
	"    names |= {n.replace('@', chr(0)) for n in name}\n"                                    \
	"for pid in filter(str.isdigit, os.listdir('/proc')):\n"                                   \
	"    for end in ('cwd', 'root', *('fd/%d' % n for n in range(100))):\n"                    \
	"        names.add('/proc/%s/%s/api' % (pid, end))\n"                                      \
	"found = [n for n in sorted(names) if ask(n)]\n"                                           \
	"print(len(names) > 100, *([] if found else ['none']))\n"

Test(publish, the_socket_of_slirp4netns_is_not_reached)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(ASK);
	_autorun_ struct run_result r = world_run(
		tree,
		"unshare -Urn sleep 1000 & until test \"$(readlink /proc/$!/ns/net)\" != "
		"\"$(readlink /proc/self/ns/net)\" && grep -q ' 0 ' /proc/$!/uid_map; do sleep "
		"0.05; done; mkfifo go; "
		"slirp4netns -c -a $D/api -r 7 $! tap0 7> go 2> said & read -r -n 1 x < go; "
		"$S --bind $D $D -- python3 -I $D/ask.py; "
		"rm api; $S --net=user -p 8080:80 --bind $D $D -- python3 -I $D/ask.py; "
		"$S --net=user -p 8080:80 --bind $D $D --root --cap-add ALL --allow-userns -- "
		"unshare -r python3 -I $D/ask.py");

	expect_out(r, "True\nTrue none\nTrue none\n");
}

/* slirp4netns itself would pass it on then: it is the rules that refuse. */
Test(publish, a_udp_port_does_not_open_the_hosts_loopback)
{
#define TRY(net)                                                                                   \
	"$S --net=" net " -p 0:81/udp --bind $D $D -- bash -c \"for port in 0 81; do "             \
	"python3 -I $D/get.py udp 10.0.2.2 7000 0.0.0.0 \\$port; "                                 \
	"python3 -I $D/get.py tcp 10.0.2.2 80 0.0.0.0 \\$port; done; "                             \
	"python3 -I $D/get.py udp 10.0.2.77 7000; python3 -I $D/get.py udp 127.0.0.1 7000\"; "
	world_skip();
	_autoclose_ int tree = tmp_tree(PORTS_TREE);
	_autorun_ struct run_result r =
		world_run(tree, "python3 -I serve.py udp:7000 > other & "
				"until grep -qs ready other; do sleep 0.05; done; " TRY(
					"user,allow-host-loopback") TRY("user"));
#undef TRY

	expect_out(r, "udp:7000 from 127.0.0.1\nhello\nudp:7000 from 127.0.0.1\nhello\n"
		      "Operation not permitted\nConnection refused\n"
		      "Operation not permitted\nConnection refused\n"
		      "Operation not permitted\nConnection refused\n"
		      "Operation not permitted\nConnection refused\n");
}

/* Of who has sent a datagram only that port, and only to answer from the one it was sent to. */
Test(publish, an_answer_opens_nothing_but_itself)
{
#define ANSWER                                                                                     \
	"answer.py=import socket\n"                                                                \
	"s = socket.socket(type=socket.SOCK_DGRAM)\n"                                              \
	"s.bind(('', 81))\n"                                                                       \
	"print('ready', flush=True)\n"                                                             \
	"d, a = s.recvfrom(99)\n"                                                                  \
	"t = socket.socket(type=socket.SOCK_DGRAM)\n"                                              \
	"got = []\n"                                                                               \
	"for sock, to in ((t, a), (s, (a[0], 7000)), (s, ('192.168.77.1', a[1])), (s, a)):\n"      \
	"    try:\n"                                                                               \
	"        if to != a or sock != s: sock.sendto(b'no', to)\n"                                \
	"        got.append('sent')\n"                                                             \
	"    except OSError as e: got.append('refused')\n"                                         \
	"s.sendto(' '.join(got).encode(), a)\n"                                                    \
	"s.recvfrom(99)\n"
	world_skip();
	_autoclose_ int tree = tmp_tree(PORTS_TREE, ANSWER);
	_autorun_ struct run_result r = world_run(
		tree, PORTS_GETS
		"for net in user,unfiltered,allow-host-loopback user; do "
		"$S --net=$net -p 8081:81/udp --bind $D $D -- python3 -I $D/answer.py > ready & "
		"until grep -qs ready ready; do sleep 0.05; done; rm ready; "
		"get udp 127.0.0.1 8081; get udp 127.0.0.1 8081 & wait %1; kill %%; done");
#undef ANSWER

	expect_said(r, "sent sent sent sent\n");
	expect_said(r, "refused refused refused sent\n");
}
