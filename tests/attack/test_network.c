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
	"await6() { until grep -q \"^fd00.* 00 .*\\(tap0\\|eth0\\)\" /proc/net/if_inet6; do "      \
	"sleep 0.05; done; "                                                                       \
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

/* Those that no interface has, and all of a prefix. */
Test(network, what_only_a_route_makes_the_hosts_is_not_reached)
{
#define ROUTED                                                                                     \
	"await6; get 203.0.113.7 80; get 203.0.113.200 80; get 2001:db8:1::7 80; "                 \
	"get 2001:db8:1:0:8::1 80; get 203.0.113.1 80; get 2001:db8:1::1 80; "
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = world_run_as(
		"", tree,
		"ip route add local 203.0.113.7 dev lo; ip route add local 203.0.113.128/25 dev "
		"lo; "
		"ip route add local 203.0.113.192/26 dev lo; "
		"ip -6 route add local 2001:db8:1::7 dev lo; "
		"ip -6 route add local 2001:db8:1:0:8::/80 dev lo; " INSIDE(
			"user,ipv6,unfiltered", ROUTED) INSIDE("user,ipv6,lan", ROUTED));

	expect_out(r, "hello\nhello\nhello\nhello\nhello\nhello\n"
		      "Connection refused\nConnection refused\nConnection refused\n"
		      "Connection refused\nhello\nhello\n");
#undef ROUTED
}

/* Addresses, and prefixes, that the host gets while the sandbox runs. */
/* @as: who starts it; it is the root of the world who gives that an address */
static void expect_later_to_be_refused(const char *as, const char *net)
{
#define LATER                                                                                      \
	"get 203.0.113.7 80; get 203.0.113.200 80; get 2001:db8:1::7 80; "                         \
	"get 2001:db8:1:0:8::1 80; "
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *script = NULL;

	cr_assert_gt(asprintf(&script,
			      "mkfifo up go; %s $S --net=%s --bind . /mnt -- bash -c "
			      "'" WORLD_INSIDE_QUOTED "await6; " LATER
			      "echo > /mnt/up; read < /mnt/go; "
			      "for i in {1..100}; do [[ ! -e /mnt/refused ]] || break; " LATER
			      "done | { n=0; while ((n < 4)) && read w; do "
			      "case $w in hello) n=0;; *) ((n++));; esac; done; "
			      ": > /mnt/refused; }; " LATER "get 203.0.113.1 80' & read < up; "
			      "ip addr add 203.0.113.7/32 dev lo; "
			      "ip route add local 203.0.113.128/25 dev lo; "
			      "ip -6 addr add 2001:db8:1::7/128 dev lo nodad; "
			      "ip -6 route add local 2001:db8:1:0:8::/80 dev lo; echo > go; wait",
			      as, net),
		     0);
	_autorun_ struct run_result r = world_run_as("", tree, script);

	expect_out(r, "hello\nhello\nhello\nhello\n"
		      "Connection refused\nConnection refused\nConnection refused\n"
		      "Connection refused\nhello\n");
#undef LATER
}

Test(network, what_the_host_gets_later_is_not_reached)
{
	expect_later_to_be_refused("unshare -U --map-user=1000 --map-group=1000", "user,ipv6,lan");
}

/* Each member's own monitor sees to it. */
Test(network, what_the_host_gets_later_is_not_reached_by_members)
{
	expect_later_to_be_refused("", "lab,user,ipv6,lan");
}

Test(network, what_is_near_the_host_is_not_reached)
{
	in_world(INSIDE("user,lan", "get 192.168.77.2 80; ")
			 INSIDE("user", "get 192.168.77.2 80; get 203.0.113.1 80; "));

	expect_out(r, "hello\nConnection refused\nhello\n");
}

/* Those of a network with public addresses, as every one with IPv6 has. */
Test(network, the_hosts_neighbours_are_not_reached)
{
#define NEIGHBOURS                                                                                 \
	"await6; get 203.0.113.70 80; get 2001:db8:1:0:1::2 80; get 203.0.113.1 80; "              \
	"get 2001:db8:1::1 80; get 203.0.113.65 80; "
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = world_run_as(
		"", tree,
		WORLD_BRIDGE "ip addr add 203.0.113.65/26 dev lan; "
			     "ip -6 addr add 2001:db8:1:0:1::1/80 dev lan nodad; " INSIDE(
				     "user,ipv6,lan", NEIGHBOURS) INSIDE("user,ipv6", NEIGHBOURS));

	expect_out(r, "hello\nhello\nhello\nhello\nConnection refused\n"
		      "Connection refused\nConnection refused\nhello\nhello\n"
		      "Connection refused\n");
#undef NEIGHBOURS
}

/*
 * The address of IPv4 is one that the host has, of which the network grows: no route tells of that.
 * What is in none of them, and what both may not reach, stays as it is.
 */
static void expect_later_neighbours_to_be_refused(const char *as, const char *net, const char *then)
{
#define LATER "get 203.0.113.70 80; get 203.0.113.100 80; get 2001:db8:1:0:1::2 80; "
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *script = NULL;

	cr_assert_gt(
		asprintf(&script,
			 WORLD_BRIDGE
			 "ip addr add 203.0.113.65/28 dev lan; mkfifo up go; "
			 "%s $S --net=%s --bind . /mnt -- bash -c "
			 "'" WORLD_INSIDE_QUOTED "await6; " LATER "echo > /mnt/up; read < /mnt/go; "
			 "for i in {1..%s}; do get 203.0.113.100 80; get 2001:db8:1:0:1::2 80; "
			 "done | { n=0; while ((n < 2)) && read w; do "
			 "case $w in hello) n=0;; *) ((n++));; esac; done; }; " LATER
			 "get 203.0.113.1 80; get 2001:db8:1::1 80' & read < up; "
			 "ip addr add 203.0.113.65/26 dev lan noprefixroute; "
			 "ip -6 addr add 2001:db8:1:0:1::1/80 dev lan nodad; echo > go; wait",
			 as, net, strstr(net, "lan") ? "3" : "100"),
		0);
	_autorun_ struct run_result r = world_run_as("", tree, script);

	expect_out(r, then);
#undef LATER
}

Test(network, neighbours_that_the_host_gets_later_are_not_reached)
{
	expect_later_neighbours_to_be_refused("unshare -U --map-user=1000 --map-group=1000",
					      "user,ipv6",
					      "Connection refused\nhello\nhello\n"
					      "Connection refused\nConnection refused\n"
					      "Connection refused\nhello\nhello\n");
}

Test(network, neighbours_that_the_host_gets_later_are_opened_by_lan)
{
	expect_later_neighbours_to_be_refused("", "user,ipv6,lan",
					      "hello\nhello\nhello\nhello\nhello\nhello\n"
					      "hello\nhello\n");
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

/* Which family a packet is of is the kernel's choice, not that of who wrote the rule. */
Test(network, what_is_denied_by_its_mapped_address_is_not_reached)
{
	in_world("for rule in ::ffff:203.0.113.1 [::ffff:203.0.113.0/120]:80/tcp ::ffff:0:0/96; do "
		 "for net in user user,ipv6; do "
		 "$S --net=$net --deny-net $rule -- bash -c '" WORLD_INSIDE_QUOTED
		 "get 203.0.113.1 80; get ::ffff:203.0.113.1 80'; done; done; "
		 "$S --net=user --allow-net ::ffff:203.0.113.1 --deny-net any -- "
		 "bash -c '" WORLD_INSIDE_QUOTED
		 "get 203.0.113.1 80; get ::ffff:203.0.113.1 80; get 203.0.113.7 80'");

#define REFUSED "Connection refused\nConnection refused\n"
	expect_out(r, REFUSED REFUSED REFUSED REFUSED REFUSED REFUSED
		   "hello\nhello\nConnection refused\n");
#undef REFUSED
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

/* ---- networks that sandboxes share ---- */

/* A member that listens on port 7000, up when it is: member NET NAME [OPTION...] */
#define MEMBER                                                                                     \
	"SBX=${S%% *}; member() { net=$1 name=$2; shift 2; $S --bind $D $D --net=$net "            \
	"--name $name \"$@\" -- python3 -I -c \"import socket; s = socket.socket(); "              \
	"s.bind(('0.0.0.0', 7000)); s.listen(9); open('$name.up', 'w').close(); "                  \
	"any(s.accept()[0].sendall(b'hello') for _ in iter(int, 1))\" & "                          \
	"until test -e $name.up; do sleep 0.05; done; }; "                                         \
	"reach() { timeout 60 bash -c 'cat < /dev/tcp/10.0.2.17/7000' 2> /dev/null && echo || "    \
	"echo no; }; "                                                                             \
	"inside() { $S --net=$1 \"${@:2}\" -- bash -c "                                            \
	"\"$(declare -f reach); reach\"; }; "

/* First a member does; then those of another network, of none, and the host. */
Test(network, a_shared_network_is_closed_to_others)
{
	in_world(MEMBER "member lab zero; member lab one; inside lab; inside web; inside web,user "
			"--allow-net 10.0.2.16; inside none; "
			"inside user --allow-net any; inside host; reach");

	expect_out(r, "hello\nno\nno\nno\nno\nno\nno\n");
}

Test(network, a_member_cannot_be_another)
{
	in_world(
		MEMBER
		"member lab one; $S --net=lab --cap-add ALL --allow-userns -- bash -c '"
		"grep -c eth0 /proc/net/dev; ip addr add 10.0.2.16/24 dev eth0 2> /dev/null && "
		"echo added; ip link set eth0 address 02:00:00:00:00:01 2> /dev/null && echo "
		"moved; "
		"unshare -Ur ip addr add 10.0.2.16/24 dev eth0 2> /dev/null && echo added; "
		"python3 -I -c \"import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\" "
		"2> /dev/null && echo raw; "
		"python3 -I -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, "
		"1)\" "
		"2> /dev/null && echo raw; true'");

	expect_out(r, "1\n");
}

/* Its socket lies in a directory that a user may bind. */
Test(network, who_holds_a_network_does_not_answer_a_sandbox)
{
	in_world(MEMBER
		 "member lab zero; member lab one; "
		 "ask() { env XDG_RUNTIME_DIR=$D $SBX net \"$@\" 2>&1 | grep -o \"$said\"; }; "
		 "said=lab; ask ls -q; said='not asked from here'; "
		 "for verb in 'ls -q' 'rm lab --force'; do "
		 "$S --bind $D $D --ro-bind $SBX $SBX --net=lab -- "
		 "bash -c \"D=$D SBX=$SBX said='$said'; $(declare -f ask); ask $verb\"; done; "
		 "inside lab");

	expect_out(r, "lab\nnot asked from here\nnot asked from here\nhello\n");
}

/* With allow-host-loopback slirp4netns shows it; without it nobody of the network does. */
Test(network, a_shared_network_does_not_reach_the_host)
{
#define HOST                                                                                       \
	"bash -c '" WORLD_INSIDE_QUOTED "get 10.0.2.2 80; get 192.168.77.1 80; "                   \
	"get 198.51.100.9 80; get 192.168.77.2 80; get 169.254.169.254 80; get 203.0.113.1 80; '"  \
	" | sed 's/Connection refused/-/' | paste -sd ' '; "
	in_world("$S --net=all,user,allow-host-loopback,unfiltered -- " HOST
		 "$S --net=web,user -- " HOST "$S --net=lab --cap-add ALL -- " HOST);

	expect_out(r, "hello hello hello hello hello hello\n- - - - - hello\n"
		      "No route to host Network is unreachable Network is unreachable "
		      "Network is unreachable Network is unreachable Network is unreachable\n");
#undef HOST
}
