/* SPDX-License-Identifier: MIT */
/*
 * e2e shared: --net=NAME, a network that several sandboxes share; sbx net; and --net=fd:N. The
 * scripts run in worlds of their own (lib/world.h), where all that is left ends with them.
 */
#include "e2e.h"
#include "world.h"

/* Serves its name on port 7000; asks others for theirs, and pings them. */
#define PEER                                                                                       \
	"peer.py=import socket, struct, sys\n"                                                     \
	"def serve(name):\n"                                                                       \
	"    s = socket.socket()\n"                                                                \
	"    s.bind(('0.0.0.0', 7000))\n"                                                          \
	"    s.listen(9)\n"                                                                        \
	"    print('up', flush=True)\n"                                                            \
	"    while True:\n"                                                                        \
	"        c, _ = s.accept()\n"                                                              \
	"        c.sendall(name.encode())\n"                                                       \
	"        c.close()\n"                                                                      \
	"def ask(host):\n"                                                                         \
	"    with socket.create_connection((host, 7000), 60) as s:\n"                              \
	"        return s.recv(99).decode()\n"                                                     \
	"def ping(host):\n"                                                                        \
	"    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)\n"          \
	"    s.settimeout(60)\n"                                                                   \
	"    s.setsockopt(socket.IPPROTO_IP, 11, 1)\n"                                             \
	"    s.connect((host, 0))\n"                                                               \
	"    s.send(struct.pack('!BBHHH', 8, 0, 0, 0, 1) + b'sbx')\n"                              \
	"    return 'pong' if s.recv(99)[0] == 0 else 'odd'\n"                                     \
	"def tried(f, host):\n"                                                                    \
	"    try:\n"                                                                               \
	"        return f(host)\n"                                                                 \
	"    except OSError as e:\n"                                                               \
	"        return type(e).__name__\n"                                                        \
	"if sys.argv[1] == 'serve':\n"                                                             \
	"    serve(sys.argv[2])\n"                                                                 \
	"for host in sys.argv[2:]:\n"                                                              \
	"    print(tried(ask, host), tried(ping, host))\n"

/* start NET NAME [OPTION...]: a member that serves, up when this returns */
#define START                                                                                      \
	"start() { net=$1 name=$2; shift 2; "                                                      \
	"$S --bind $D $D --net=$net --name $name \"$@\" -- python3 -I peer.py serve $name "        \
	"> $name.out 2> $name.err & "                                                              \
	"eval \"$name=$!\"; until grep -qs up $name.out; do kill -0 $! || break; sleep 0.05; "     \
	"done; }; "                                                                                \
	"ask() { $SBX exec $1 python3 -I peer.py ask ${@:2}; }; SBX=${S%% *}; "

/* What was killed, or has no member any more, may take its time to be gone. */
#define LEFT                                                                                       \
	"left() { pgrep -x slirp4netns > /dev/null || pgrep -x sbx-net > /dev/null; }; "           \
	"for i in {1..600}; do left || break; sleep 0.05; done; left && echo left; "               \
	"$SBX net ls -q; ls -A sbx/networks; "

#define in_world_as(as, script)                                                                    \
	world_skip();                                                                              \
	_autoclose_ int tree = tmp_tree(PEER);                                                     \
	_autorun_ struct run_result r = world_run_as(as, tree, START script)
#define in_world(script) in_world_as("unshare -U --map-user=1000 --map-group=1000", script)

Test(shared, members_reach_each_other_by_name_and_address)
{
	in_world("start lab one; start lab two; "
		 "ask one two 10.0.2.17; ask two one 10.0.2.16; "
		 "kill -9 $one $two; wait; " LEFT);

	expect_out(r, "two pong\ntwo pong\none pong\none pong\n");
}

Test(shared, who_is_no_member_does_not)
{
	in_world("start lab one; start lab two; start other three; "
		 "ask three 10.0.2.17 two; "
		 "$S --bind $D $D -- python3 -I peer.py ask 10.0.2.16; "
		 "python3 -I peer.py ask 10.0.2.16; "
		 "$S --bind $D $D --net=host -- python3 -I peer.py ask 10.0.2.16; ask one two");

	expect_out(r, "OSError OSError\ngaierror gaierror\nOSError PermissionError\n"
		      "OSError PermissionError\nOSError PermissionError\ntwo pong\n");
}

Test(shared, names_come_and_go_with_the_members)
{
	in_world("start lab one; start lab two; "
		 "hosts() { $SBX exec one grep -c '^10' /etc/hosts; }; hosts; "
		 "$S --net=lab -- grep '^10' /etc/hosts; "
		 "kill $two; wait $two; until test $(hosts) = 1; do sleep 0.05; done; "
		 "$SBX exec one cat /etc/hosts | tail -n 1; "
		 "$SBX exec one sh -c 'echo >> /etc/hosts' 2> /dev/null || echo cannot");

	expect_out(r, "2\n10.0.2.16 one\n10.0.2.17 two\n10.0.2.16 one\ncannot\n");
}

/* What others have for another in /etc/hosts would never lead to it. */
Test(shared, a_name_that_stands_for_something_else_is_refused)
{
	in_world("for name in localhost Host.Internal ip6-loopback $(uname -n); do "
		 "$S --net=lab --name $name -- echo ran; echo $?; done; "
		 "$S --name localhost -- echo alone");

	expect_out(r, "125\n125\n125\n125\nalone\n");
	cr_expect(strstr(r.err, "--name: \"localhost\" stands for something else"), "%s", r.err);
}

/* To a resolver these are addresses, and /etc/hosts is not looked at. */
Test(shared, a_name_that_is_an_address_is_refused)
{
	in_world("for name in 1 10.0.2.17 0x1f 1.2; do $S --net=lab --name $name -- echo ran; "
		 "echo $?; done; $S --name 1 -- echo alone; $S --net=lab --name 1x -- echo named");

	expect_out(r, "125\n125\n125\n125\nalone\nnamed\n");
	cr_expect(strstr(r.err, "--name: \"10.0.2.17\" is read as an address"), "%s", r.err);
}

/* A name leads to one member, whoever asks. */
Test(shared, a_name_that_would_lead_to_two_is_refused)
{
	in_world("start lab db; start lab two --hostname other; "
		 "for words in '--name DB' '--name other' '--name OTHER' '--hostname db' "
		 "'--hostname Two --name x'; do $S --net=lab $words -- echo ran; echo $?; done; "
		 "$S --net=lab --name dB2 --hostname dB2 -- echo own; "
		 "$S --net=else --name DB --hostname two -- echo elsewhere; "
		 "kill $db; wait $db; $S --net=lab --name DB -- echo free; "
		 "kill $two; wait $two");

	expect_out(r, "125\n125\n125\n125\n125\nown\nelsewhere\nfree\n");
	cr_expect(strstr(r.err, "sbx: --name: DB: differs by capital letters only from the name "),
		  "%s", r.err);
	cr_expect(strstr(r.err, "sbx: --name: OTHER: is what another member calls itself"), "%s",
		  r.err);
	cr_expect(strstr(r.err, "sbx: --hostname: Two: is the name of another member"), "%s",
		  r.err);
}

/* The host's file is covered there, not written to. */
Test(shared, a_root_of_the_hosts_has_the_names_too)
{
	in_world("before=$(cat /etc/hosts); start lab one; "
		 "$SBX --ro-bind / / --net=lab --name two -- tail -n 2 /etc/hosts; "
		 "test \"$before\" = \"$(cat /etc/hosts)\" && echo same");

	expect_out(r, "10.0.2.16 one\n10.0.2.17 two\nsame\n");
}

Test(shared, it_is_made_on_first_use_and_gone_with_the_last)
{
	in_world("$SBX net ls -q; start lab one; start lab two; $SBX net ls -q; "
		 "pgrep -xc sbx-net; kill $one; wait $one; $SBX net ls -q; kill $two; wait; " LEFT);

	expect_out(r, "lab\n1\nlab\n");
}

/* Many at once: one of them makes it, and nobody is told of a network that ends. */
Test(shared, many_that_begin_at_once_are_in_one)
{
	in_world("for i in {1..6}; do for k in {1..4}; do "
		 "$S --net=lab -- true || echo failed & done; wait; done; "
		 "for i in {1..12}; do $S --bind $D $D --net=lab -- bash -c "
		 "\"echo > up.$i; until test -e go; do sleep 0.05; done\" & done; "
		 "until test $(ls up.* 2> /dev/null | wc -l) = 12; do sleep 0.05; done; "
		 "pgrep -xc sbx-net; $SBX net ls --json | grep -o '\"address\"' | wc -l; "
		 "> go; wait; " LEFT);

	expect_out(r, "1\n12\n");
}

Test(shared, one_that_was_created_stays_until_it_is_removed)
{
	in_world("$SBX net create lab; $SBX net create lab; echo $?; $S --net=lab -- true; "
		 "$SBX net ls | tail -n 1 | tr -s ' ' | cut -d ' ' -f 1-4; "
		 "pgrep -f '^sbx net lab' > /dev/null || ps -ef; start lab one; "
		 "$SBX net rm lab; echo $?; $SBX net rm lab --force; wait $one; echo $?; "
		 "cat one.err; $SBX net rm lab; echo $?; " LEFT);

	expect_out(r, "1\nlab 0 no yes\n1\n125\n"
		      "sbx: --net=lab: the process that holds the network has ended; the sandbox "
		      "cannot go on without it\n1\n");
	cr_expect(strstr(r.err, "was created already"), "%s", r.err);
	cr_expect(strstr(r.err, "has 1 member"), "%s", r.err);
	cr_expect(strstr(r.err, "no network has this name"), "%s", r.err);
}

Test(shared, members_are_listed_with_their_addresses)
{
	in_world("start lab one; $SBX net ls --json | tr -d ' \\n' | "
		 "sed 's/\"pid\":[0-9]*/P/g'; echo; $SBX ps --format '{{.Network}}'");

	expect_out(r, "[{\"name\":\"lab\",P,\"internet\":false,\"created\":false,\"members\":"
		      "[{\"name\":\"one\",\"address\":\"10.0.2.16\",P}]}]\nshared\n");
}

#define GET                                                                                        \
	"get() { $SBX exec one timeout 60 bash -c \"cat < /dev/tcp/$1/$2\" 2>&1 | "                \
	"sed -n \"\\$s/.*: //;\\$p\"; }; "

Test(shared, with_the_internet_by_the_rules_of_each_member)
{
	in_world(GET "start lab,user one; start lab,user,lan two; "
		     "get 203.0.113.1 80; get 192.168.77.2 80; get 198.51.100.9 80; "
		     "get 169.254.169.254 80; get 10.0.2.2 80; "
		     "$SBX exec two timeout 60 bash -c 'cat < /dev/tcp/192.168.77.2/80'; "
		     "$SBX exec two timeout 60 bash -c 'cat < /dev/tcp/192.168.77.1/80' 2>&1 | "
		     "grep -o 'refused' | head -n 1; "
		     "ask one two; ask two one; $SBX exec one cat /etc/resolv.conf; "
		     "kill -9 $one; kill $two; wait; " LEFT);

	expect_out(r, "hello\nConnection refused\nConnection refused\nConnection refused\n"
		      "Connection refused\nhello\nrefused\ntwo pong\none pong\n"
		      "nameserver 10.0.2.3\n");
}

Test(shared, ipv6_is_there_where_it_is_asked_for)
{
	in_world(GET "start lab,user,ipv6 one; start lab,user,ipv6 two; "
		     "get 2001:db8:1::1 80; get 2001:db8:2::9 80; "
		     "$SBX exec two timeout 60 bash -c 'cat < /dev/tcp/2001:db8:1::1/80'");

	expect_out(r, "hello\nConnection refused\nhello\n");
}

Test(shared, rules_hold_for_members_as_well)
{
	in_world(GET "start lab two; start lab one --deny-net 10.0.2.16:7000/tcp; "
		     "get 10.0.2.16 7000; ask two one; "
		     "start web,user three; start web,user four --allow-net 10.0.2.16 "
		     "--deny-net any; "
		     "ask four three; "
		     "$SBX exec four timeout 60 bash -c 'cat < /dev/tcp/203.0.113.1/80' 2>&1 | "
		     "grep -om1 refused | head -n 1");

	expect_out(r, "Connection refused\none pong\nthree pong\nrefused\n");
}

/* A rule says what may be begun; the others are answered, by UDP and ping, too. */
Test(shared, who_may_begin_nothing_answers_the_others)
{
	in_world("start lab two; start lab one --deny-net any; ask two one; ask one two; "
		 "$SBX exec one python3 -I -c \"import socket; "
		 "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7001)); "
		 "open('bound', 'w'); d, a = s.recvfrom(9); s.sendto(d + b'!', a)\" & echo=$!; "
		 "until test -e bound; do kill -0 $echo || break; sleep 0.05; done; "
		 "$SBX exec two python3 -I -c \"import socket; "
		 "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60); "
		 "s.connect(('one', 7001)); s.send(b'hi'); print(s.recv(9).decode())\n"
		 "s.connect(('one', 7002)); s.send(b'hi')\n"
		 "try: s.recv(9)\nexcept OSError as e: print(e.strerror)\"; wait $echo");

	expect_out(r, "one pong\nConnectionRefusedError PermissionError\nhi!\n"
		      "Connection refused\n");
}

/* The word is for the host's network. */
Test(shared, the_members_are_no_lan)
{
	in_world(GET "start lab,user two; start lab,user,lan one --deny-net lan; ask one two; "
		     "ask two one; get 192.168.77.2 80; get 203.0.113.1 80");

	expect_out(r, "two pong\none pong\nConnection refused\nhello\n");
}

Test(shared, an_mtu_and_a_network_can_be_chosen)
{
	in_world("start lab,user,mtu=9000,cidr=10.9.0.0/25 one; "
		 "$SBX exec one python3 -I -c \"import fcntl, socket, struct; s = "
		 "socket.socket(); "
		 "r = lambda n: fcntl.ioctl(s, n, struct.pack('40s', b'eth0')); "
		 "print(struct.unpack_from('i', r(0x8921), 16)[0], "
		 "socket.inet_ntoa(r(0x8915)[20:24]))\"; "
		 "$SBX exec one timeout 60 bash -c 'cat < /dev/tcp/203.0.113.1/80'");

	expect_out(r, "9000 10.9.0.16\nhello\n");
}

Test(shared, two_that_ask_for_different_things_are_told_so)
{
	in_world("start lab one; start web,user two; for net in lab,user web web,user,ipv6; do "
		 "$S --net=$net -- true; echo $?; done; $S --net=web,user,lan -- true; echo $?; "
		 "start old,user,mtu=1400,dns=203.0.113.1 three; "
		 "for words in mtu=1300,dns=203.0.113.9 mtu=1400 dns=203.0.113.9 "
		 "mtu=1400,dns=203.0.113.9,cidr=10.9.0.0/16 mtu=1400,dns=203.0.113.9; do "
		 "$S --net=old,user,$words -- true; echo $?; done");
	static const char *const words[] = {
		"--net=lab: is there already, and has no internet",
		"--net=web: is there already, and has the internet",
		"--net=web: is there already, without ipv6\n",
		"--net=old: is there already, with mtu=1400, not mtu=1300\n",
		"--net=old: is there already, with dns=203.0.113.1\n",
		"--net=old: is there already, with mtu=1400\n",
		"--net=old: is there already, without cidr=10.9.0.0/16\n",
		"what the first has said: --net=lab; or",
		"what the first has said: --net=web,user; or",
		"what the first has said: --net=old,user,dns=203.0.113.1,mtu=1400; or",
	};

	expect_out(r, "125\n125\n125\n0\n125\n125\n125\n125\n0\n");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		cr_expect(strstr(r.err, words[i]), "no \"%s\" in %s", words[i], r.err);
}

/* Whoever is root of his namespace, and who keeps capabilities. */
Test(shared, root_of_a_namespace_has_it_too)
{
	in_world_as("", "start lab,user one --unshare-user; start lab,user two --unshare-user "
			"--root; ask two one; ask one two; kill $one $two; wait; " LEFT);

	expect_out(r, "one pong\ntwo pong\n");
}

/* Outside of a world: with the ids of /etc/subuid, where there are any. */
static struct run_result on_the_host(const char *script)
{
	_autoclose_ int tree = tmp_tree("fails=#!/bin/sh\nexit 1\n");
	_autofree_ char *dir = tree_path(tree, "");
	char runtime[1024], home[1024], sbx[1024];
	const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", home, runtime, sbx, NULL};
	const struct run_options options = {.cwd = dir, .env = env};

	(void)snprintf(sbx, sizeof(sbx), "SBX=%s", sbx_program());
	(void)snprintf(home, sizeof(home), "HOME=%s", dir);
	(void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", dir);
	return run_argv(&options, (const char *const[]){"bash", "-c", script, NULL});
}

Test(shared, the_usual_map_has_it_too)
{
	char want[128];

	world_skip();
	_autorun_ struct run_result r =
		on_the_host("S=\"$SBX --ro-bind /usr /usr --net=lab\"; $SBX net create lab; "
			    "for map in auto single; do $S --map=$map -- bash -c "
			    "'id -u; grep -c eth0 /proc/net/dev'; done; "
			    "$S --root -- id -u; $SBX net rm lab; ls -A sbx/networks");

	(void)snprintf(want, sizeof(want), "%u\n1\n%u\n1\n0\n", getuid(), getuid());
	expect_out(r, want);
}

/* What slirp4netns can do with the ids of the first is nothing that the others have to ask for. */
Test(shared, members_with_the_internet_may_have_other_maps)
{
	world_skip();
	_autorun_ struct run_result r = on_the_host(
		"S=\"$SBX --ro-bind /usr /usr\"; for first in --map=auto --map=single "
		"'--root --map=single'; do "
		"coproc $S $first --net=lab,user -- sh -c 'echo up; exec cat'; "
		"read up <&${COPROC[0]}; "
		"for map in --map=single --root; do $S $map --net=lab,user,lan -- "
		"grep -c eth0 /proc/net/dev; done; kill $COPROC_PID; wait $COPROC_PID; "
		"until test -z \"$(ls -A sbx/networks)\"; do sleep 0.05; done; done 2>&1");

	expect_out(r, "1\n1\n1\n1\n1\n1\n");
}

/* As in a user namespace that does not have root's id: --map=auto does without the helpers. */
Test(shared, where_ids_cannot_be_mapped_there_is_one)
{
	world_skip();
	_autorun_ struct run_result r =
		on_the_host("O=\"--helper newuidmap=$PWD/fails --helper newgidmap=$PWD/fails\"; "
			    "S=\"$SBX --ro-bind /usr /usr $O\"; "
			    "coproc $S --net=lab,user --name one -- sh -c 'echo up; exec cat'; "
			    "read up <&${COPROC[0]}; "
			    "$S --net=lab,user,lan -- grep -c eth0 /proc/net/dev; $SBX net ls -q; "
			    "kill $COPROC_PID; wait $COPROC_PID; true");

	expect_out(r, "1\nlab\n");
}

/* Those of the helpers that a user 1000 may have can do nothing in the world. */
Test(shared, one_is_created_where_ids_cannot_be_mapped)
{
	in_world("$SBX net create web,user; echo $?; "
		 "$SBX --ro-bind /usr /usr --net=web,user,lan -- grep -c eth0 /proc/net/dev; "
		 "$SBX net rm web; " LEFT);

	expect_out(r, "0\n1\n");
}

/* ---- what fails ---- */

Test(shared, who_holds_it_dies_and_the_members_with_it)
{
	in_world("start lab,user one; start lab,user two; "
		 "kill -9 $(pgrep -x sbx-net); wait $one; echo $?; wait $two; echo $?; "
		 "grep -c 'process that holds the network has ended' one.err two.err; " LEFT);

	expect_out(r, "125\n125\none.err:1\ntwo.err:1\n");
}

/* It is named, with what to do, and the others are shown all the same. */
Test(shared, who_holds_it_is_stopped_and_is_named)
{
	in_world("start lab one; start web two; holder=$(pgrep -f '^sbx net lab'); "
		 "kill -STOP $holder; "
		 "$SBX net ls | sed \"s/ *$holder/ PID/; s/ *[0-9]*$/ N/; s/  */ /g; s/PID "
		 "N/PID/\"; "
		 "echo ${PIPESTATUS[0]}; "
		 "$SBX net ls -q; $SBX net ls --json > all; echo $?; "
		 "python3 -I -c 'import json; [print(n[\"name\"], n[\"pid\"] == '$holder', "
		 "n[\"members\"] and len(n[\"members\"])) for n in json.load(open(\"all\"))]'; "
		 "$SBX net rm --force lab; echo $?; $S --net=lab -- echo ran; echo $?; "
		 "kill -CONT $holder; $SBX net ls -q; $SBX net rm --force lab web; wait; "
		 "echo $holder");
	const char *out = "NAME MEMBERS INTERNET CREATED PID\nlab ? ? ? PID\nweb 1 no no N\n1\n"
			  "lab\nweb\n1\nlab True None\nweb False 1\n1\n125\nlab\nweb\n";
	_autofree_ char *says = NULL;
	long pid;

	cr_assert(strncmp(r.out, out, strlen(out)) == 0, "%s%s", r.out, r.err);
	pid = strtol(r.out + strlen(out), NULL, 10);
	cr_assert_gt(asprintf(&says,
			      "lab: process %ld, which holds the network, is stopped\n     hint:  "
			      "let it go on: kill -CONT %ld; or end it, and its members with it: "
			      "kill -KILL %ld\n",
			      pid, pid, pid),
		     0);
	cr_expect(strstr(r.err, says), "no %s in %s", says, r.err);
	cr_expect_null(strstr(r.err, "seconds"), "%s", r.err);
}

Test(shared, slirp4netns_dies_and_the_members_are_told)
{
	in_world("start lab,user one; kill -9 $(pgrep -P $(pgrep -x sbx-net) slirp4netns); "
		 "wait $one; echo $?; "
		 "grep -o 'was killed by signal 9; the sandbox cannot.*' one.err; " LEFT);

	expect_out(r,
		   "125\nwas killed by signal 9; the sandbox cannot go on without its network\n");
}

/* What a killed one has left: names, which the next one takes over. */
Test(shared, what_was_killed_leaves_no_more_than_names)
{
	in_world("start lab one; kill -9 $(pgrep -x sbx-net) $one; wait; ls sbx/networks | wc -l; "
		 "start lab two; $SBX net ls -q; kill $two; wait; "
		 "start lab one; kill -9 $(pgrep -x sbx-net) $one; wait; $SBX net ls; "
		 "ls -A sbx/networks");

	expect_out(r, "2\nlab\nNAME                 MEMBERS  INTERNET CREATED     PID\n");
}

Test(shared, a_helper_that_fails_is_told_with_its_words)
{
	in_world("printf '#!/bin/sh\\necho no such luck >&2; exit 3\\n' > helper; "
		 "chmod +x helper; "
		 "$S --net=lab,user --helper slirp4netns=$D/helper -- echo ran; echo $?; "
		 "$S --net=lab --helper slirp4netns=/nowhere -- echo ran; "
		 "$S --net=lab,user --helper slirp4netns=/nowhere -- echo ran; echo $?; " LEFT);

	expect_out(r, "125\nran\n125\n");
	cr_expect(strstr(r.err, "--net=lab: "), "%s", r.err);
	cr_expect(strstr(r.err, "has ended with exit status 3: no such luck"), "%s", r.err);
}

Test(shared, what_is_wrong_is_refused)
{
	static const struct {
		const char *net, *says;
	} cases[] = {
		{"--net=../x", "cannot be the name of a network"},
		{"--net=-x", "cannot be the name of a network"},
		{"--net=", "cannot be the name of a network"},
		{"--net=usr", "so near to \"user\""},
		{"--net=bridge", "there are: none, user, host, fd:N"},
		{"--net=NONE", "did you mean \"none\"?"},
		{"--net=Host", "did you mean \"host\"?"},
		{"--net=User,lan", "did you mean \"user\"?"},
		{"--net=none,lan", "\"none\" stands alone"},
		{"--net=host,user", "\"host\" stands alone"},
		{"--net=Bridge", "there are: none, user, host, fd:N"},
		{"--net=lab,lan", "behind the name of a network there can be user"},
		{"--net=lab,", "behind the name of a network there can be user"},
		{"--net=lab,user,lann", "no such word"},
		{"--net=fd:", "must be a descriptor's number"},
		{"--net=fd:x", "--net: N of fd:N must be a descriptor's number, not \"x\""},
		{"--net=fd:99", "no such descriptor"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autorun_ struct run_result r = run_sbx(cases[i].net, "--", "/nowhere");

		cr_expect_eq(r.status, 125, "%s", cases[i].net);
		cr_expect(strstr(r.err, cases[i].says), "%s: %s", cases[i].net, r.err);
	}
}

/* Said with the directory, what it is for, and what helps; in a sandbox of its own it is read-only.
 */
Test(shared, where_it_cannot_be_recorded_is_told_with_a_remedy)
{
	in_world("inner() { $SBX --map=single --ro-bind / / --allow-userns --env XDG_RUNTIME_DIR "
		 "--env HOME -- $S --net=lab -- echo ran; echo $?; }; "
		 "inner; mkdir -p -m 700 $D/sbx/networks; inner; echo here $D >&2; "
		 "XDG_RUNTIME_DIR=/nowhere HOME=/nowhere $S --net=lab -- echo ran; echo $?");
	const char *here = strstr(r.err, "here ");
	_autofree_ char *says = NULL;
	const char *twice;

	expect_out(r, "125\n125\n125\n");
	cr_assert_not_null(here, "%s", r.err);
	here += strlen("here ");
	cr_assert_gt(asprintf(&says,
			      "sbx: --net=lab: %.*s/sbx/networks: cannot record the network here: "
			      "Read-only file system\n     hint:  it is on a filesystem that is "
			      "read-only here, as in a sandbox; give sbx a directory of yours\n"
			      "            that can be written to with XDG_RUNTIME_DIR\n",
			      (int)strcspn(here, "\n"), here),
		     0);
	twice = strstr(r.err, says);
	cr_assert_not_null(twice, "no %s in %s", says, r.err);
	cr_expect(strstr(twice + 1, says), "no second %s in %s", says, r.err);
	cr_expect(strstr(here, "sbx: --net=lab: /nowhere/sbx/networks: cannot record the network"),
		  "%s", r.err);
}

/* ---- --net=fd:N ---- */

#define OTHER                                                                                      \
	"coproc OTHER { exec unshare --user --map-current-user --net sh -c "                       \
	"'echo; exec cat'; }; read -r up <&${OTHER[0]}; exec 7< /proc/$OTHER_PID/ns/net "          \
	"8< /proc/$OTHER_PID/ns/user; ns() { readlink /proc/$1/ns/net; }; "

Test(shared, a_namespace_made_elsewhere_is_joined)
{
	in_world(OTHER "$S --net=fd:7 -- readlink /proc/self/ns/net > in; "
		       "test \"$(cat in)\" = \"$(ns $OTHER_PID)\" && echo joined; "
		       "$S --net=fd:7 --userns 8 -- readlink /proc/self/ns/net > in; "
		       "test \"$(cat in)\" = \"$(ns $OTHER_PID)\" && echo joined; "
		       "$S --net=fd:7 -- id -u; $S --net=fd:7 --explain -- true | "
		       "grep -o 'that of descriptor 7'; "
		       "$S --net=fd:7 --map=range -- true 2> /dev/null; echo $?");

	expect_out(r, "joined\njoined\n1000\nthat of descriptor 7\n125\n");
}

Test(shared, a_namespace_is_not_the_commands_descriptor_too)
{
	in_world(OTHER "$S --net=fd:7 --pass-fd 7 -- echo ran; echo $?");

	expect_out(r, "125\n");
	cr_expect(strstr(r.err, "--pass-fd: descriptor 7 is that of --net=fd:N"), "%s", r.err);
}

/* The namespaces of the command's, not those that are new alone. */
Test(shared, exec_joins_what_was_made_elsewhere)
{
	in_world(OTHER
		 "for o in --net=fd:7 '--userns 8'; do : > in; "
		 "$S $o --name it -- sh -c 'readlink /proc/self/ns/net /proc/self/ns/user; "
		 "exec sleep 1000' > in & until test \"$(wc -l < in)\" = 2; do sleep 0.05; done; "
		 "$SBX exec it readlink /proc/self/ns/net /proc/self/ns/user | cmp - in && echo "
		 "same; "
		 "$SBX kill it; wait $!; done");

	expect_out(r, "same\nsame\n");
}

Test(shared, root_joins_one_of_his_namespace)
{
	in_world_as("",
		    "unshare --net sh -c 'echo > up; exec sleep 1000' & "
		    "until test -e up; do sleep 0.05; done; exec 7< /proc/$!/ns/net; "
		    "for o in --unshare-user --share-pid; do "
		    "$S $o --net=fd:7 -- readlink /proc/self/ns/net > in; "
		    "test \"$(cat in)\" = \"$(readlink /proc/$!/ns/net)\" && echo joined; done");

	expect_out(r, "joined\njoined\n");
}

Test(shared, one_that_may_not_be_joined_is_refused_with_a_remedy)
{
	in_world(OTHER "$S --net=fd:9 -- echo ran 9< /proc/self/ns/net; echo $?; "
		       "$S --net=fd:8 -- echo ran; echo $?; "
		       "$S --net=fd:7 --deny-net lan -- echo ran; echo $?");

	expect_out(r, "125\n125\n125\n");
	cr_expect(strstr(r.err, "--net=fd:9: "), "%s", r.err);
	cr_expect(strstr(r.err, "CAP_SYS_ADMIN in the user namespace that owns it"), "%s", r.err);
	cr_expect(strstr(r.err, "--net=fd:8: the descriptor is not a network namespace's"), "%s",
		  r.err);
	cr_expect(strstr(r.err, "--deny-net: cannot be enforced on a network that was made"), "%s",
		  r.err);
}
