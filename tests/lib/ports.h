/* SPDX-License-Identifier: MIT */
/*
 * ports: programs at both ends of a published port, for tests in a world (world.h). They are
 * files of a test's directory: tmp_tree(PORTS_TREE).
 *
 *     serve.py udp:81 tcp:80    says "ready", and to whom speaks to it what it is asked as, and
 *                               whom it takes the other for
 *     get.py udp ADDR PORT [SOURCE [PORT]]    prints that, or why it cannot be had
 */
#pragma once

#define PORTS_SERVE                                                                                \
	"serve.py=import signal, socket, sys, threading\n"                                         \
	"def tcp(s, word):\n"                                                                      \
	"    while True:\n"                                                                        \
	"        c, a = s.accept()\n"                                                              \
	"        c.sendall(('%s from %s\\n' % (word, a[0])).encode())\n"                           \
	"        c.close()\n"                                                                      \
	"def udp(s, word):\n"                                                                      \
	"    while True:\n"                                                                        \
	"        d, a = s.recvfrom(2000)\n"                                                        \
	"        s.sendto(('%s from %s\\n' % (word, a[0])).encode(), a)\n"                         \
	"for word in sys.argv[1:]:\n"                                                              \
	"    kind, port = word.split(':')\n"                                                       \
	"    s = socket.socket(type=socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)\n" \
	"    s.bind(('', int(port)))\n"                                                            \
	"    if kind == 'tcp': s.listen(64)\n"                                                     \
	"    f = tcp if kind == 'tcp' else udp\n"                                                  \
	"    threading.Thread(target=f, args=(s, word), daemon=True).start()\n"                    \
	"print('ready', flush=True)\n"                                                             \
	"signal.pause()\n"

/* A datagram may be lost, and is sent again, but not for ever. */
#define PORTS_GET                                                                                  \
	"get.py=import socket, sys\n"                                                              \
	"kind, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])\n"                          \
	"s = socket.socket(type=socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)\n"     \
	"try:\n"                                                                                   \
	"    if len(sys.argv) > 4:\n"                                                              \
	"        s.bind((sys.argv[4], int((sys.argv + ['0'])[5])))\n"                              \
	"    if kind == 'tcp':\n"                                                                  \
	"        s.settimeout(60)\n"                                                               \
	"        s.connect((addr, port))\n"                                                        \
	"        print(s.recv(2000).decode().strip() or 'closed')\n"                               \
	"    else:\n"                                                                              \
	"        s.settimeout(0.5)\n"                                                              \
	"        s.connect((addr, port))\n"                                                        \
	"        for i in range(20):\n"                                                            \
	"            s.send(b'x')\n"                                                               \
	"            try:\n"                                                                       \
	"                print(s.recv(2000).decode().strip())\n"                                   \
	"                break\n"                                                                  \
	"            except TimeoutError: pass\n"                                                  \
	"        else: print('nothing')\n"                                                         \
	"except ConnectionResetError: print('closed')\n"                                           \
	"except OSError as e: print(e.strerror)\n"

#define PORTS_TREE PORTS_SERVE, PORTS_GET

/* For a script: a sandbox called `web` that serves, and has said so. */
#define PORTS_START(options, served)                                                               \
	"$S --name web --bind $D $D " options " -- python3 -I $D/serve.py " served                 \
	" > ready 2> said & web=$!; "                                                              \
	"until grep -qs ready ready; do test -e /proc/$web/exe || { cat said >&2; break; }; "      \
	"sleep 0.05; done; "
#define PORTS_GETS "get() { python3 -I get.py \"$@\"; }; "
#define PORTS_STOP "${S%% *} kill -s KILL web; wait $web; "
