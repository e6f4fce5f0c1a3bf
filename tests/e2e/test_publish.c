/* SPDX-License-Identifier: MIT */
/* e2e publish: ports of the host that lead into a sandbox, at its start and later. */
#include "e2e.h"
#include "ports.h"
#include "world.h"

#define in_world(script)                                                                           \
	world_skip();                                                                              \
	_autoclose_ int tree = tmp_tree(PORTS_TREE);                                               \
	_autorun_ struct run_result r = world_run(tree, PORTS_GETS script)

/* The world has a pid namespace of its own. What was killed may take its time to be gone. */
#define LEFT                                                                                       \
	"for i in {1..600}; do pgrep -x slirp4netns > /dev/null || break; sleep 0.05; done; "      \
	"pgrep -x slirp4netns > /dev/null && echo left; ss -Hlntu | grep -c ':8[0-9][0-9][0-9] "   \
	"'; "

Test(publish, a_port_leads_inside_and_those_below_1024_can_be_bound)
{
	in_world(PORTS_START(
		"--net=user -p 8080:80 -p 8053:53/udp",
		"tcp:80 udp:53") "get tcp 127.0.0.1 8080; get udp 127.0.0.1 8053; " PORTS_STOP
			 LEFT);

	expect_out(r, "tcp:80 from 10.0.2.2\nudp:53 from 10.0.2.2\n0\n");
}

/* The network of the gateway may be another one. */
Test(publish, answers_go_out_by_the_gateway_wherever_that_is)
{
	in_world(PORTS_START("--net=user,cidr=10.9.0.0/16,lan -p 8080:80 -p 8053:53/udp",
			     "tcp:80 udp:53") "get tcp 127.0.0.1 8080; get udp 127.0.0.1 8053");

	expect_out(r, "tcp:80 from 10.9.0.2\nudp:53 from 10.9.0.2\n");
}

Test(publish, only_the_loopback_leads_inside_unless_an_address_says_so)
{
	in_world(PORTS_START("--net=user -p 8080:80 -p 198.51.100.9:8081:80 -p 8053:53/udp",
			     "tcp:80 udp:53") "get tcp 198.51.100.9 8080; get tcp 127.0.0.1 8081; "
					      "get udp 198.51.100.9 8053; "
					      "get tcp 198.51.100.9 8081");

	expect_out(r, "Connection refused\nConnection refused\nConnection refused\n"
		      "tcp:80 from 198.51.100.9\n");
}

/* Who comes from a network that the sandbox cannot reach is answered all the same. */
Test(publish, what_comes_from_the_lan_is_answered)
{
	in_world(PORTS_START(
		"--net=user -p 0.0.0.0:8080:80 -p 198.51.100.9:8053:53/udp",
		"tcp:80 udp:53") "get tcp 198.51.100.9 8080 192.168.77.1; get udp 198.51.100.9 "
				 "8053 192.168.77.1; "
				 "${S%% *} exec web python3 -I $D/get.py udp 192.168.77.1 8053; "
				 "${S%% *} exec web python3 -I $D/get.py tcp 192.168.77.1 80");

	expect_out(r, "tcp:80 from 192.168.77.1\nudp:53 from 192.168.77.1\n"
		      "Operation not permitted\nConnection refused\n");
}

Test(publish, a_range_leads_to_a_range)
{
	in_world(PORTS_START("--net=user -p 8000-8002:90-92 -p 8010-8011:10-11/udp",
			     "tcp:90 tcp:92 udp:11") "get tcp 127.0.0.1 8000; "
						     "get tcp 127.0.0.1 8001; "
						     "get tcp 127.0.0.1 8002; "
						     "get udp 127.0.0.1 8011");

	expect_out(r, "tcp:90 from 10.0.2.2\nclosed\ntcp:92 from 10.0.2.2\nudp:11 from 10.0.2.2\n");
}

/* What is told is what works, in all places where it is told. */
Test(publish, a_port_that_is_any_is_told)
{
	in_world(PORTS_START(
		"--net=user -v -p 0:80 -p 53/udp --json-status-fd 7 7> status",
		"tcp:80 udp:53") "list=$(${S%% *} port list web); echo \"$list\" | sed "
				 "'s/:[0-9]*$/:N/'; "
				 "tcp=$(echo \"$list\" | sed -n 's/^80.tcp.*://p'); "
				 "udp=$(echo \"$list\" | sed -n 's/^53.udp.*://p'); "
				 "get tcp 127.0.0.1 $tcp; get udp 127.0.0.1 $udp; "
				 "grep -c \"^sbx: published 127.0.0.1:$tcp->80/tcp$\" said; "
				 "grep -c \"^sbx: published 127.0.0.1:$udp->53/udp$\" said; "
				 "grep -c "
				 "'^{\"ports\":\\[{\"protocol\":\"tcp\",\"address\":\"127.0.0.1\","
				 "\"host-port\":'$tcp',\"port\":80,\"count\":1},{\"protocol\":"
				 "\"udp\","
				 "\"address\":\"127.0.0.1\",\"host-port\":'$udp',\"port\":53,"
				 "\"count\":1}\\]}$' "
				 "status");

	expect_out(r, "80/tcp -> 127.0.0.1:N\n53/udp -> 127.0.0.1:N\ntcp:80 from 10.0.2.2\n"
		      "udp:53 from 10.0.2.2\n1\n1\n1\n");
}

/* Outside of a world, where slirp4netns hides the host's files from itself as another user. */
Test(publish, the_usual_map_has_it_too)
{
	static const char script[] =
		"import re, socket, subprocess, sys\n"
		"r, w = __import__('os').pipe()\n"
		"p = subprocess.Popen([sys.argv[1], '--ro-bind', '/usr', '/usr', '--net=user', "
		"'-p', '0:80', '--json-status-fd', str(w), '--', 'python3', '-I', '-c', "
		"'import socket; s = socket.socket(); s.bind((\"\", 80)); s.listen(1); "
		"print(1, flush=True); c, a = s.accept(); c.send(b\"inside\"); c.close()'], "
		"pass_fds=(w,), stdout=subprocess.PIPE)\n"
		"p.stdout.readline()\n"
		"port = int(re.search(rb'\"host-port\":(\\d+)', "
		"__import__('os').read(r, 65536)).group(1))\n"
		"s = socket.create_connection(('127.0.0.1', port))\n"
		"print(s.recv(99).decode(), p.wait())\n";

	world_skip();
	_autorun_ struct run_result r = run_program("python3", "-I", "-c", script, sbx_program());

	expect_out(r, "inside 0\n");
}

/* ---- what is refused ---- */

Test(publish, a_port_in_use_is_an_error_before_the_command_starts)
{
	in_world("python3 -I serve.py tcp:8080 udp:8053 > other & "
		 "until grep -qs ready other; do sleep 0.05; done; "
		 "$S --net=user -p 8079-8081:79-81 -- echo ran; echo $?; "
		 "$S --net=user -p 8053:53/udp -- echo ran; echo $?; "
		 "$S --net=user -p 0.0.0.0:8080:80 -- echo ran; echo $?; "
		 "ss -Hlnt | grep -c ':80[78][19] '");

	expect_out(r, "125\n125\n125\n0\n");
	cr_expect(strstr(r.err, "sbx: --publish: 127.0.0.1:8080/tcp: cannot publish this port of "
				"the host: Address "),
		  "%s", r.err);
	cr_expect(strstr(r.err, "--publish: 127.0.0.1:8053/udp: "), "%s", r.err);
	cr_expect(strstr(r.err, "--publish: 0.0.0.0:8080/tcp: "), "%s", r.err);
	cr_expect(strstr(r.err, "hint:  another program has it (\"ss -lnp sport = :8080\""), "%s",
		  r.err);
}

Test(publish, ports_and_addresses_that_are_not_the_callers_are_errors)
{
	in_world("$S --net=user -p 81:80 -- echo ran; echo $?; "
		 "$S --net=user -p 192.0.2.1:8080:80 -- echo ran; echo $?");

	expect_out(r, "125\n125\n");
	cr_expect(strstr(r.err, "--publish: 127.0.0.1:81/tcp: cannot publish"), "%s", r.err);
	cr_expect(strstr(r.err, "sysctl net.ipv4.ip_unprivileged_port_start=81"), "%s", r.err);
	cr_expect(strstr(r.err, "--publish: 192.0.2.1:8080/tcp: cannot publish"), "%s", r.err);
	cr_expect(strstr(r.err, "no interface of the host has this address"), "%s", r.err);
}

Test(publish, words_that_are_wrong_are_refused)
{
	static const struct {
		const char *options[3], *says;
	} cases[] = {
		{{"-p", "8080:80"}, "add --net=user"},
		{{"--net=host", "-p", "8080:80"}, "the host's already"},
		{{"--net=lab,user", "-p", "8080:80"}, "share (--net=lab,user), only into one"},
		{{"--net=user", "--publish=255.255.255.255:8080:80"}, "0.0.0.0 is all of them"},
		{{"--net=user", "--publish=[::1]:8080:80"}, "of IPv4 only"},
		{{"--net=user", "--publish=80:80/sctp"}, "tcp or udp"},
		{{"--net=user,unfiltered", "--publish=8053:53/udp"}, "add allow-host-loopback"},
		{{"--net=user", "--publish=8053:53/udp", "--publish=8054-8055:52-53/udp"},
		 "can answer by one only"},
		{{"--net=user,on-death=never"}, "takes end or keep"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *argv[10] = {sbx_program(), "--ro-bind", "/usr", "/usr"};
		size_t n = 4;

		for (size_t k = 0; k < ARRAY_SIZE(cases[i].options) && cases[i].options[k]; k++)
			argv[n++] = cases[i].options[k];
		argv[n++] = "--";
		argv[n++] = "true";
		_autorun_ struct run_result r = run_argv(NULL, argv);

		cr_expect_eq(r.status, 125, "%zu: %d", i, r.status);
		cr_expect(strstr(r.err, cases[i].says), "no \"%s\" in %s", cases[i].says, r.err);
	}
}

/* It says that it is ready, and has no socket; or one that nobody answers. */
Test(publish, a_slirp4netns_that_cannot_be_told_is_an_error)
{
	in_world("ready='for a; do case $a in --ready-fd=*) eval \"echo 1 > /dev/fd/${a#*=}\";; "
		 "esac; done; '; printf '#!/bin/sh\\n%s\\nexec sleep 1000\\n' \"$ready\" > deaf; "
		 "printf '#!/bin/sh\\nfor b; do case $b in --api-socket=*) api=${b#*=};; esac; "
		 "done\\n(exec python3 -I -c \"import socket, sys, time; s = socket.socket(1); "
		 "s.bind(sys.argv[1]); s.listen(9); print(flush=True); time.sleep(1000)\" $api) | "
		 "{ read x; %s sleep 1000; }\\n' \"$ready\" > mute; chmod +x deaf mute; "
		 "$S --net=user -p 8080:80 --helper slirp4netns=$D/deaf -- echo ran; echo $?; "
		 "$S --net=user -p 8080:80 --helper slirp4netns=$D/mute -- echo ran; echo $?; "
		 "for i in {1..600}; do pgrep -x sleep > /dev/null || break; sleep 0.05; done; "
		 "pgrep -x 'sleep|deaf|mute' && echo left");

	expect_out(r, "125\n125\n");
	cr_expect(strstr(r.err, "--publish: slirp4netns: cannot be told of ports: No such file"),
		  "%s", r.err);
	cr_expect(strstr(r.err, "has no network ready after 20 seconds"), "%s", r.err);
}

/* ---- while it runs ---- */

Test(publish, ports_come_and_go_while_the_sandbox_runs)
{
	in_world(PORTS_START(
		"--net=user -p 8080:80",
		"tcp:80 tcp:81") "port() { ${S%% *} port \"$@\"; echo $?; }; port list web; "
				 "port add web 8081:81 0.0.0.0:8082:81; get tcp 127.0.0.1 8081; "
				 "get tcp 198.51.100.9 8082 192.168.77.1; "
				 "port rm web 8081 0.0.0.0:8082; port list web; get tcp 127.0.0.1 "
				 "8081; "
				 "port add web 8090-8093:90-93; port rm web 8091-8092; port rm web "
				 "8080:80; "
				 "port list web; " PORTS_STOP LEFT);

	expect_out(r, "80/tcp -> 127.0.0.1:8080\n0\n"
		      "81/tcp -> 127.0.0.1:8081\n81/tcp -> 0.0.0.0:8082\n0\n"
		      "tcp:81 from 10.0.2.2\ntcp:81 from 192.168.77.1\n"
		      "0\n80/tcp -> 127.0.0.1:8080\n0\nConnection refused\n"
		      "90/tcp -> 127.0.0.1:8090\n91/tcp -> 127.0.0.1:8091\n"
		      "92/tcp -> 127.0.0.1:8092\n93/tcp -> 127.0.0.1:8093\n0\n0\n0\n"
		      "90/tcp -> 127.0.0.1:8090\n93/tcp -> 127.0.0.1:8093\n0\n0\n");
}

Test(publish, of_a_range_all_are_added_or_none)
{
	in_world("python3 -I serve.py tcp:8093 > other & "
		 "until grep -qs ready other; do sleep 0.05; done; " PORTS_START(
			 "--net=user", "tcp:80") "${S%% *} port add web 8090-8095:90-95; echo $?; "
						 "${S%% *} port list web; "
						 "ss -Hlnt | grep -c ':809[0-9] '");

	expect_out(r, "1\n1\n");
	cr_expect(strstr(r.err, "sbx: 127.0.0.1:8093/tcp: cannot publish this port of the host: "),
		  "%s", r.err);
}

/* They come at the same time, and are changed one request after the other. */
Test(publish, several_can_change_ports_at_once)
{
	in_world(PORTS_START("--net=user",
			     "tcp:80") "for i in {1..8}; do ${S%% *} port add web "
				       "$((8000 + 100 * i))-$((8019 + 100 * i)):80-99 "
				       "> added$i & all=\"$all $!\"; done; "
				       "for p in $all; do wait $p || echo failed; done; "
				       "cat added? | wc -l; all=; "
				       "for i in {1..8}; do ${S%% *} port rm web "
				       "$((8000 + 100 * i))-$((8019 + 100 * i)) & "
				       "all=\"$all $!\"; done; "
				       "for p in $all; do wait $p || echo failed; done; "
				       "${S%% *} port list web | wc -l; " PORTS_STOP LEFT);

	expect_out(r, "160\n0\n0\n");
	cr_expect_str_eq(r.err, "");
}

Test(publish, what_cannot_be_changed_is_refused_with_a_remedy)
{
	in_world(PORTS_START(
		"--net=user",
		"tcp:80") "$S --name plain --bind $D $D -- bash -c \"echo > $D/up; exec sleep "
			  "1000\" & "
			  "until test -e up; do sleep 0.05; done; port() { ${S%% *} port \"$@\"; "
			  "echo $?; }; "
			  "port add web 81:80; port add web 8053:53/udp; port rm web 8080; "
			  "port add plain 8080:80; port add web; port list web 80; port ad web "
			  "8080:80; "
			  "port add web 80:; port add nobody 8080:80; port; "
			  "port add web 8081:80; port add web 0.0.0.0:8081:83");
	static const char *const words[] = {
		"sbx: 127.0.0.1:81/tcp: cannot publish",
		"was started without a published UDP port",
		"8080/tcp: this sandbox has no such port published",
		"has no network that ports can be published from",
		"sbx port add needs ports: [ADDR:]HOSTPORT:PORT[/udp]",
		"sbx port list takes no port",
		"behind sbx port stands add, rm or list",
		"must be [ADDR:]HOSTPORT:PORT[/udp]",
		"sbx port needs more arguments",
		"sbx: web: this sandbox was started without",
		"sbx: plain: this sandbox has no network",
		"sbx: 127.0.0.1:8081/tcp: leads to port 80 of this sandbox already\n"
		"     hint:  choose another HOSTPORT, or remove that first: sbx port rm web "
		"127.0.0.1:8081/tcp\n",
	};

	expect_out(r, "1\n1\n1\n1\n2\n2\n2\n2\n1\n2\n80/tcp -> 127.0.0.1:8081\n0\n1\n");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		cr_expect(strstr(r.err, words[i]), "no \"%s\" in %s", words[i], r.err);
}

/* UDP on the loopback later, where one was there from the start, or the loopback is open. */
Test(publish, a_udp_port_can_be_added_where_one_was)
{
	in_world(PORTS_START(
		"--net=user -p 0:9/udp",
		"udp:53") "${S%% *} port add web 8053:53/udp; get udp 127.0.0.1 8053; "
			  "${S%% *} port add web 0.0.0.0:8054:53/udp; echo $?; "
			  "${S%% *} port add web 8055:53/udp; echo $?; "
			  "${S%% *} port rm web 8053/udp; ${S%% *} port add web 8056:53/udp; "
			  "get udp 127.0.0.1 8056; " PORTS_STOP
			  "rm ready; " PORTS_START("--net=user,allow-host-loopback",
						   "udp:53") "${S%% *} port add web 8053:53/udp; "
							     "get udp 127.0.0.1 8053");

	expect_out(r, "53/udp -> 127.0.0.1:8053\nudp:53 from 10.0.2.2\n1\n1\n"
		      "53/udp -> 127.0.0.1:8056\nudp:53 from 10.0.2.2\n"
		      "53/udp -> 127.0.0.1:8053\nudp:53 from 10.0.2.2\n");
	cr_expect(strstr(r.err, "on the host's loopback only"), "%s", r.err);
	cr_expect(strstr(r.err, "leads to that of the sandbox already"), "%s", r.err);
}

Test(publish, ps_and_inspect_show_ports)
{
	in_world(PORTS_START(
		"--net=user -p 8080-8081:80-81 -p 8053:53/udp",
		"tcp:80") "${S%% *} ps | grep -o 'PORTS\\|127[^ ]*, 127[^ ]*udp'; "
			  "${S%% *} ps --format '{{.Name}} {{.Ports}}'; "
			  "for verb in 'ps --json' 'inspect web' 'port list web --json'; do "
			  "${S%% *} $verb | tr -d ' \\n' | grep -o '[[]{\"protocol\"[^]]*]'; done");
#define JSON                                                                                       \
	"[{\"protocol\":\"tcp\",\"address\":\"127.0.0.1\",\"host-port\":8080,\"port\":80,"         \
	"\"count\":2},{\"protocol\":\"udp\",\"address\":\"127.0.0.1\",\"host-port\":8053,"         \
	"\"port\":53,\"count\":1}]\n"

	expect_out(r,
		   "PORTS\n127.0.0.1:8080-8081->80-81/tcp, 127.0.0.1:8053->53/udp\n"
		   "web 127.0.0.1:8080-8081->80-81/tcp, 127.0.0.1:8053->53/udp\n" JSON JSON JSON);
#undef JSON
}

/*
 * One that is stopped is named, not the monitor; what it was asked for it does when it goes on, and
 * that is undone.
 */
Test(publish, a_slirp4netns_that_is_stopped_is_named_and_nothing_is_published_late)
{
	in_world(PORTS_START(
		"--net=user -p 8080:80",
		"tcp:80 tcp:81") "port() { timeout 120 ${S%% *} port \"$@\"; echo $?; }; "
				 "helper=$(pgrep -P $web slirp4netns); kill -STOP $helper; "
				 "port add web 8081-8082:81-82; port list web; port rm web 8080; "
				 "kill -CONT $helper; "
				 "until port rm web 8080 2> /dev/null | grep -q 0; do sleep 0.05; "
				 "done; "
				 "port list web; get tcp 127.0.0.1 8081; "
				 "port add web 8081:81; get tcp 127.0.0.1 8081; "
				 "kill -STOP $helper; port rm web 8081; kill -CONT $helper; "
				 "until port add web 8082:81 2> /dev/null | grep -q -- '->'; do "
				 "sleep 0.05; done; port list web; "
				 "echo $helper is >&2; " PORTS_STOP LEFT);
	const char *is = strstr(r.err, " is\n");
	_autofree_ char *says = NULL;
	long helper;

	expect_out(r, "1\n80/tcp -> 127.0.0.1:8080\n0\n1\n"
		      "0\nConnection refused\n"
		      "81/tcp -> 127.0.0.1:8081\n0\ntcp:81 from 10.0.2.2\n"
		      "1\n81/tcp -> 127.0.0.1:8082\n0\n0\n");
	cr_assert_not_null(is, "%s", r.err);
	while (is > r.err && is[-1] >= '0' && is[-1] <= '9')
		is--;
	helper = strtol(is, NULL, 10);
	cr_assert_gt(asprintf(&says,
			      "sbx: web: slirp4netns, which publishes the ports of this sandbox as "
			      "process %ld, is stopped\n     hint:  let it go on: kill -CONT %ld; "
			      "what it publishes too late is removed again at once\n",
			      helper, helper),
		     0);
	cr_expect(strstr(r.err, says), "no \"%s\" in %s", says, r.err);
	cr_expect(strstr(r.err, "answer to a request before; try again then\n"), "%s", r.err);
	cr_expect(strstr(r.err, "what was to be removed is removed when it does\n"), "%s", r.err);
	cr_expect_null(strstr(r.err, "monitor"), "%s", r.err);
}

/* However much time there is for ports. */
Test(publish, a_monitor_that_is_stopped_is_named)
{
	in_world(PORTS_START("--net=user", "tcp:80") "kill -STOP $web; "
						     "timeout 50 ${S%% *} port add web 8080:80; "
						     "echo $?; kill -CONT $web; " PORTS_STOP);

	expect_out(r, "1\n");
	cr_expect(strstr(r.err, "is stopped"), "%s", r.err);
}

/* ---- what ends ---- */

Test(publish, a_sandbox_can_outlive_its_network)
{
	in_world("mkfifo go; " PORTS_START(
		"--net=user,on-death=keep -p 8080:80",
		"tcp:80") "get tcp 127.0.0.1 8080; pkill -9 -P $web slirp4netns; "
			  "until grep -q 'no network any more' said; do sleep 0.05; done; "
			  "get tcp 127.0.0.1 8080; ${S%% *} port list web; "
			  "${S%% *} port add web 8080:80; echo $?; ${S%% *} ps --format "
			  "'{{.Status}}'; "
			  "${S%% *} exec web echo alive");

	expect_out(r, "tcp:80 from 10.0.2.2\nConnection refused\n1\nrunning\nalive\n");
	cr_expect(strstr(r.err, "its slirp4netns has ended"), "%s", r.err);
}

Test(publish, nothing_is_left_when_sbx_or_slirp4netns_is_killed)
{
	in_world(PORTS_START("--net=user -p 8080-8085:80-85 -p 8053:53/udp",
			     "tcp:80") "kill -9 $web; wait $web; " LEFT
				       "${S%% *} ps -q; find . -name '*.sock'; "
				       "rm ready; " PORTS_START(
					       "--net=user -p 8080-8085:80-85 -p 8053:53/udp",
					       "tcp:80") "pkill -9 -P $web slirp4netns; wait $web; "
							 "echo $?; " LEFT
							 "${S%% *} ps -q; find . -name '*.sock'");

	expect_out(r, "0\n125\n0\n");
}

Test(publish, the_plan_says_what_is_published)
{
	_autorun_ struct run_result r =
		run_sbx("--ro-bind", "/usr", "/usr", "--net=user", "-p", "8080:80", "--publish",
			"0.0.0.0:0:53/udp", "--explain", "--", "true");

	world_skip();
	cr_expect(strstr(r.out, "published: 127.0.0.1:8080->80/tcp"), "%s%s", r.out, r.err);
	cr_expect(strstr(r.out, "what listens inside (0.0.0.0:any->53/udp)"), "%s", r.out);
	cr_expect(strstr(r.out, "--publish"), "%s", r.out);
}
