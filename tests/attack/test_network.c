/* SPDX-License-Identifier: MIT */
/*
 * attack network: what is reached through --net=user, beside the internet. Each script runs in
 * a world of its own (lib/world.h), and does first what works: without rules, or outside.
 */
#include "attack.h"
#include "world.h"

#define INSIDE(net, script) "$S --net=" net " -- bash -c '" WORLD_INSIDE_QUOTED script "'; "
/* As WORLD_INSIDE, for within single quotes. */
#define WORLD_INSIDE_QUOTED                                                                        \
	"get() { timeout 60 bash -c \"cat < /dev/tcp/$1/$2\" 2>&1 | sed -n \"\\$s/.*: //;\\$p\"; " \
	"}; "                                                                                      \
	"await6() { until grep -q \"^fd00.* 00 .*tap0\" /proc/net/if_inet6; do sleep 0.05; done; " \
	"}; "

#define in_world(script)                                                                           \
	world_skip();                                                                              \
	_autoclose_ int tree = tmp_tree(NULL);                                                     \
	_autorun_ struct run_result r = world_run(tree, script)

Test(network, the_hosts_loopback_is_not_reached)
{
	in_world(INSIDE("user,allow-host-loopback", "get 10.0.2.2 80; ")
			 INSIDE("user", "get 10.0.2.2 80; get 127.0.0.1 80; get 203.0.113.1 80; "));

	expect_out(r, "hello\nConnection refused\nConnection refused\nhello\n");
}

Test(network, the_hosts_own_addresses_are_not_reached)
{
	in_world(
		INSIDE("user,ipv6,unfiltered", "await6; get 198.51.100.9 80; get 192.168.77.1 80; "
					       "get 2001:db8:2::9 80; ")
			INSIDE("user,ipv6,lan", "await6; get 198.51.100.9 80; get 192.168.77.1 80; "
						"get 2001:db8:2::9 80; get 2001:db8:1::1 80; "));

	expect_out(r, "hello\nhello\nhello\nConnection refused\nConnection refused\n"
		      "Connection refused\nhello\n");
}

Test(network, what_is_near_the_host_is_not_reached)
{
	in_world(INSIDE("user,lan", "get 192.168.77.2 80; ")
			 INSIDE("user", "get 192.168.77.2 80; get 203.0.113.1 80; "));

	expect_out(r, "hello\nConnection refused\nhello\n");
}

Test(network, metadata_services_are_not_reached)
{
	in_world(INSIDE("user,unfiltered", "get 169.254.169.254 80; ") INSIDE(
		"user", "get 169.254.169.254 80; ") INSIDE("user,lan", "get 169.254.169.254 80; "));

	expect_out(r, "hello\nConnection refused\nConnection refused\n");
}

/*
 * What is sent to the resolver's address goes to that of the host's first resolver, here one
 * of its own; the host's file is covered for that in a mount namespace. libslirp 4.7 asks for
 * the port itself, so with that the attack has no success to be shown: that it is the rules
 * which refuse it shows in the answer, which is another one than libslirp's.
 */
Test(network, the_resolver_is_reached_on_its_port_only)
{
	world_skip();
	_autoclose_ int tree = tmp_tree("resolv.conf=nameserver 127.0.0.1\n");
	_autorun_ struct run_result r = world_run_as(
		"unshare -m", tree,
		"mount --bind resolv.conf /etc/resolv.conf; " INSIDE("user,unfiltered",
								     "get 10.0.2.3 53; ")
			INSIDE("user", "get 10.0.2.3 5300; get 10.0.2.3 53; ")
				INSIDE("user,lan", "get 10.0.2.3 5300; ")
					INSIDE("user,dns=203.0.113.53",
					       "get 10.0.2.3 53; get 203.0.113.53 53; "));

	expect_out(r, "53\nConnection refused\n53\nConnection refused\nConnection refused\n53\n");
}

Test(network, the_rules_cannot_be_changed)
{
#define FLUSH "/usr/sbin/nft flush ruleset 2> /dev/null && echo flushed; "
	in_world("unshare -Urn /usr/sbin/nft flush ruleset && echo can be; "
		 "$S --net=user --cap-add ALL --allow-userns -- bash -c '" WORLD_INSIDE_QUOTED FLUSH
		 "unshare -Ur " FLUSH "get 192.168.77.2 80'; "
		 "$S --net=user --root --cap-add NET_ADMIN --cap-add SYS_ADMIN -- "
		 "bash -c '" WORLD_INSIDE_QUOTED FLUSH
		 "ip addr add 192.168.77.9/24 dev tap0 2> /dev/null && echo added; "
		 "get 192.168.77.2 80'");

	expect_out(r, "can be\nConnection refused\nConnection refused\n");
#undef FLUSH
}

Test(network, abstract_sockets_of_the_host_are_not_reached)
{
#define CONNECT                                                                                    \
	"python3 -I -c \"import socket; s = socket.socket(socket.AF_UNIX); "                       \
	"s.connect(chr(0) + \\\"sbx-test-world\\\"); print(s.recv(9).decode().strip())\" "         \
	"2> /dev/null || echo none; "
	in_world("$S --net=host --landlock=off -- bash -c '" CONNECT "'; "
		 "$S --net=user,unfiltered --landlock=off -- bash -c '" CONNECT "'");

	expect_out(r, "abstract\nnone\n");
#undef CONNECT
}

Test(network, what_is_denied_is_not_reached)
{
	in_world("$S --net=user -- bash -c '" WORLD_INSIDE_QUOTED
		 "get 203.0.113.1 80; get 203.0.113.1 5300'; "
		 "$S --net=user --deny-net 203.0.113.0/24:80/tcp -- bash -c '" WORLD_INSIDE_QUOTED
		 "get 203.0.113.1 80; get 203.0.113.1 5300'; "
		 "$S --net=user,lan --deny-net lan -- bash -c '" WORLD_INSIDE_QUOTED
		 "get 192.168.77.2 80; get 203.0.113.1 80'; "
		 "$S --net=user,unfiltered --deny-net metadata --deny-net host -- "
		 "bash -c '" WORLD_INSIDE_QUOTED
		 "get 169.254.169.254 80; get 198.51.100.9 80; get 192.168.77.1 80; "
		 "get 192.168.77.2 80'; "
		 "$S --net=user --allow-net 203.0.113.7:80 --deny-net any --cap-add NET_ADMIN -- "
		 "bash -c '" WORLD_INSIDE_QUOTED "/usr/sbin/nft flush ruleset 2> /dev/null; "
		 "get 203.0.113.7 80; get 203.0.113.7 5300; get 203.0.113.1 80; get 10.0.2.3 53'");

	expect_out(r, "hello\n5300\n"
		      "Connection refused\n5300\n"
		      "Connection refused\nhello\n"
		      "Connection refused\nConnection refused\nConnection refused\nhello\n"
		      "hello\nConnection refused\nConnection refused\nConnection refused\n");
}

/* First what is named is opened; then what is near it, or more than one name, is not. */
Test(network, a_rule_that_allows_opens_what_it_names)
{
#define ALL                                                                                        \
	"get 192.168.77.2 80; get 192.168.77.1 80; get 169.254.169.254 80; get 198.51.100.9 80; "
	in_world("for rule in 192.168.77.2 192.168.77.0/24 lan link-local metadata host "
		 "198.51.100.9 any 0.0.0.0/0 198.51.100.0/24:80/tcp; do echo $rule; "
		 "$S --net=user --allow-net $rule -- bash -c '" WORLD_INSIDE_QUOTED ALL "' | "
		 "sed 's/Connection refused/-/' | paste -sd ' '; done");

	expect_out(r, "192.168.77.2\nhello - - -\n"
		      "192.168.77.0/24\nhello - - -\n"
		      "lan\nhello - - -\n"
		      "link-local\n- - - -\n"
		      "metadata\n- - hello -\n"
		      "host\n- hello - hello\n"
		      "198.51.100.9\n- - - hello\n"
		      "any\n- - - -\n"
		      "0.0.0.0/0\n- - - -\n"
		      "198.51.100.0/24:80/tcp\n- - - -\n");
#undef ALL
}
