/* SPDX-License-Identifier: MIT */
/* e2e network: --net=user, what it gives, and what becomes of a slirp4netns that fails. */
#include "e2e.h"
#include "world.h"

#define GET                                                                                        \
	"get() { timeout 60 bash -c \"cat < /dev/tcp/$1/$2\" 2>&1 | sed -n \"\\$s/.*: //;\\$p\"; " \
	"}; "

/* The world has a pid namespace of its own. What was killed may take its time to be gone. */
#define LEFT                                                                                       \
	"for i in {1..600}; do pgrep -x slirp4netns > /dev/null || break; sleep 0.05; done; "      \
	"pgrep -x slirp4netns > /dev/null && echo left; "

#define in_world(script)                                                                           \
	world_skip();                                                                              \
	_autoclose_ int tree = tmp_tree(NULL);                                                     \
	_autorun_ struct run_result r = world_run(tree, script)

Test(network, the_command_has_the_internet_from_its_first_moment)
{
	in_world("$S --net=user -- bash -c '" GET
		 "get 203.0.113.1 80; cat /etc/resolv.conf'; " LEFT);

	expect_out(r, "hello\nnameserver 10.0.2.3\n");
}

/* Where the caller is root of his namespace slirp4netns has its own sandbox, and enters by path. */
Test(network, root_of_a_namespace_has_it_too)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		world_run_as("", tree,
			     "$S --net=user -v -- bash -c '" GET "get 203.0.113.1 80' 2> said; "
			     "grep -c 'mount namespace' said; " LEFT);

	expect_out(r, "hello\n0\n");
}

/* Outside of a world: with the ids of /etc/subuid, where there are any. */
Test(network, the_usual_map_has_it_too)
{
	world_skip();
	_autorun_ struct run_result r = run_sbx("--ro-bind", "/usr", "/usr", "--net=user", "--",
						"grep", "-o", "tap0", "/proc/net/dev");

	expect_out(r, "tap0\n");
}

/* The kernel marks an address with 40 (IFA_F_TENTATIVE) for as long as it is not to be used. */
Test(network, the_command_has_ipv6_from_its_first_moment)
{
	in_world("$S --net=user,ipv6 -- python3 -I -c \"import socket; "
		 "print(socket.create_connection(('2001:db8:1::1', 80)).recv(9), "
		 "*sorted(set(l.split()[0][:4] + str(int(l.split()[4], 16) & 0x40) "
		 "for l in open('/proc/net/if_inet6'))))\"");

	expect_out(r, "b'hello\\n' 00000 fd000 fe800\n");
}

Test(network, an_mtu_and_a_network_can_be_chosen)
{
	in_world("$S --net=user,mtu=9000,cidr=10.9.0.0/16 -- bash -c '" GET
		 "cat /sys/class/net/tap0/mtu /etc/resolv.conf 2> /dev/null; "
		 "python3 -I -c \"import fcntl, socket, struct; s = socket.socket(); "
		 "r = lambda n: fcntl.ioctl(s, n, struct.pack(\\\"40s\\\", b\\\"tap0\\\")); "
		 "print(struct.unpack_from(\\\"i\\\", r(0x8921), 16)[0], "
		 "socket.inet_ntoa(r(0x8915)[20:24]))\"; get 203.0.113.1 80'");

	expect_out(r, "nameserver 10.9.0.3\n9000 10.9.0.100\nhello\n");
}

Test(network, resolvers_can_be_chosen_and_hosts_names_the_gateway)
{
	in_world("$S --net=user,dns=203.0.113.53,dns=203.0.113.54 -- cat /etc/resolv.conf; "
		 "$S --net=user,dns=none -- grep -c nameserver /etc/resolv.conf; "
		 "$S --net=user,allow-host-loopback -- grep internal /etc/hosts; "
		 "$S --net=user -- grep -c internal /etc/hosts");

	expect_out(r, "nameserver 203.0.113.53\nnameserver 203.0.113.54\n0\n"
		      "10.0.2.2 host.internal\n0\n");
}

/* The file of the host is covered, not written to. */
Test(network, a_root_of_the_hosts_gets_the_resolver_too)
{
	in_world("before=$(cat /etc/resolv.conf); "
		 "${S%% *} --ro-bind / / --net=user -- cat /etc/resolv.conf; "
		 "test \"$before\" = \"$(cat /etc/resolv.conf)\" && echo same; "
		 "mkdir -p root/usr root/proc root/dev root/bin root/lib root/lib64; "
		 "${S%% *} --bind root / --ro-bind /usr /usr --net=user -- /usr/bin/true; ls root");

	cr_expect(strstr(r.out, "nameserver 10.0.2.3\nsame\n"), "%s%s", r.out, r.err);
	cr_expect_null(strstr(r.out, "etc"), "%s", r.out);
}

/* But what names the file is obeyed, and an /etc without one is left so. */
Test(network, an_etc_of_the_hosts_gets_the_resolver_too)
{
	in_world("mkdir etc none; echo theirs > etc/resolv.conf; echo mine > mine; "
		 "both() { $S \"$@\" --net=user -- cat /etc/resolv.conf; }; "
		 "both --ro-bind etc /etc; both --bind etc /etc; both --tmpfs /etc --ro-bind etc "
		 "/etc/; "
		 "both --ro-bind etc /etc --ro-bind mine /etc/resolv.conf; "
		 "both --no-base --ro-bind etc /etc --symlink usr/lib /lib --symlink usr/lib64 "
		 "/lib64; "
		 "cat etc/resolv.conf; $S --ro-bind none /etc --net=user -- ls -A /etc; "
		 "$S --ro-bind etc /etc -- cat /etc/resolv.conf; ls -A none");

	expect_out(r, "nameserver 10.0.2.3\nnameserver 10.0.2.3\nnameserver 10.0.2.3\nmine\n"
		      "theirs\ntheirs\ntheirs\n");
}

#define ROOT                                                                                       \
	"mkdir -p root/usr root/proc root/dev root/run root/etc; "                                 \
	"for l in bin lib lib64; do ln -s usr/$l root/$l; done; "

/* As that of a system with systemd-resolved, of which /run is not there, or comes later. */
Test(network, a_root_whose_resolver_is_a_link_to_nowhere_gets_one_too)
{
	in_world(ROOT
		 "ln -s ../run/systemd/resolve/stub-resolv.conf root/etc/resolv.conf; "
		 "${S%% *} --rootfs root --ro-bind /usr /usr --net=user -- cat /etc/resolv.conf; "
		 "mkdir -p root/run/systemd/resolve; "
		 "echo other > root/run/systemd/resolve/stub-resolv.conf; "
		 "${S%% *} --rootfs root --ro-bind /usr /usr --tmpfs /run --net=user -- "
		 "cat /etc/resolv.conf; cat root/etc/resolv.conf");

	expect_out(r, "nameserver 10.0.2.3\nnameserver 10.0.2.3\nother\n");
	cr_expect_str_empty(r.err);
}

Test(network, a_root_without_a_place_for_the_resolver_is_told)
{
	in_world(ROOT "${S%% *} --rootfs root --ro-bind /usr /usr --net=user -- true; "
		      "ls -A root/etc; touch root/etc/resolv.conf; "
		      "${S%% *} --rootfs root --ro-bind /usr /usr --net=user -- cat "
		      "/etc/resolv.conf");

	expect_out(r, "nameserver 10.0.2.3\n");
	cr_expect_str_eq(r.err,
			 "sbx: the root has no /etc/resolv.conf, so the sandbox's own cannot "
			 "be put there; an empty file is enough\n");
}

Test(network, a_second_command_has_the_same_network)
{
	in_world("mkfifo go; $S --name net-test --net=user --bind $D $D -- bash -c "
		 "\"echo > $D/go; cat $D/go > /dev/null\" & cat go > /dev/null; "
		 "${S%% *} inspect net-test | grep -o '\"network\": *\"[a-z]*\"' | tr -d ' '; "
		 "${S%% *} exec net-test bash -c '" GET
		 "get 203.0.113.1 80; get 192.168.77.2 80'; echo > go; wait; " LEFT);

	expect_out(r, "\"network\":\"user\"\nhello\nConnection refused\n");
}

Test(network, the_plan_says_what_is_reached)
{
	in_world("$S --explain --net=user,lan -- true | grep -o 'exposed.*network (lan)'; "
		 "$S --explain=json --net=user -- true | grep -o '\"kind\": *\"network\"' | tr -d "
		 "' '");

	cr_expect(strstr(r.out, "the host's network (lan)"), "%s%s", r.out, r.err);
	cr_expect(strstr(r.out, "\"kind\":\"network\""), "%s%s", r.out, r.err);
}

/* ---- what fails ---- */

/* @helper: its text. The command must not have run, and nothing is left. */
static struct run_result with_helper(const char *name, const char *helper)
{
	_autoclose_ int tree = tmp_tree(NULL);
	char script[2048];

	(void)snprintf(script, sizeof(script),
		       "printf '%%s\\n' '#!/bin/sh' '%s' > helper; chmod +x helper; "
		       "$S --net=user --helper %s=$D/helper -- echo ran; echo $?; " LEFT,
		       helper, name);
	return world_run(tree, script);
}

static void expect_net_failure(const struct run_result *r, const char *words)
{
	expect_out(*r, "125\n");
	cr_expect(strstr(r->err, "--net=user: "), "%s", r->err);
	cr_expect(strstr(r->err, words), "no \"%s\" in: %s", words, r->err);
	cr_expect(strstr(r->err, "hint:"), "%s", r->err);
}

Test(network, a_helper_that_fails_is_told_with_its_words)
{
	static const struct {
		const char *name, *text, *words;
	} cases[] = {
		{"slirp4netns", "echo no such luck >&2; exit 3",
		 "has ended with exit status 3: no such luck"},
		{"slirp4netns", "kill -9 $$", "was killed by signal 9"},
		{"slirp4netns", "exit 0", "has ended with exit status 0"},
		{"nft", "echo bad rules >&2; exit 1", "has ended with exit status 1: bad rules"},
		{"nft", "kill -9 $$", "was killed by signal 9"},
	};

	world_skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autorun_ struct run_result r = with_helper(cases[i].name, cases[i].text);

		expect_net_failure(&r, cases[i].words);
	}
}

/* It is nft's word, and no more: rules that are not there refuse nothing. */
Test(network, an_nft_that_does_nothing_is_not_believed)
{
	static const char *const helpers[] = {
		"exit 0",
		"exec /usr/sbin/nft add table inet sbx",
		"exec /usr/sbin/nft \"table inet sbx { chain out { ip daddr 127.0.0.1 drop; }; }\"",
		("exec /usr/sbin/nft \"table inet sbx { chain out { "
		 "type filter hook output priority 0; ip daddr 127.0.0.1 drop; }; }\""),
	};

	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		_autorun_ struct run_result r = with_helper("nft", helpers[i]);

		expect_net_failure(&r, "has not set the rules");
	}
}

/* By way of a helper: a world's new networks have IPv6 whatever it does. */
Test(network, ipv6_that_is_off_is_an_error)
{
	in_world("printf '#!/bin/sh\\necho 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6\\n"
		 "exec /usr/sbin/nft \"$@\"\\n' > helper; chmod +x helper; "
		 "$S --net=user,ipv6 --helper nft=$D/helper -- echo ran; echo $?; " LEFT);

	expect_net_failure(&r, "--net=user: tap0: cannot be given an address of IPv6");
}

/* Both at once, as each takes the time that it is given. */
Test(network, a_helper_that_hangs_is_ended)
{
	in_world("printf '#!/bin/sh\\nexec sleep 1000\\n' > helper; chmod +x helper; "
		 "$S --net=user --helper slirp4netns=$D/helper -- echo ran 2> one & "
		 "$S --net=user --helper nft=$D/helper -- echo ran 2> two; echo $?; "
		 "wait $!; echo $?; grep -ho 'has no.*seconds' one two; pgrep -x sleep");

	expect_out(r, "125\n125\nhas no network ready after 20 seconds\n"
		      "has not finished within 20 seconds\n");
}

Test(network, a_helper_that_is_not_there_is_named_with_a_remedy)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		world_run(tree, "$S --net=user --helper slirp4netns=/nowhere -- echo ran; echo $?; "
				"$S --net=user --helper nft=/nowhere -- echo ran; echo $?; "
				"$S --net=user,unfiltered --helper nft=/nowhere -- echo ran; ");

	expect_out(r, "125\n125\nran\n");
	cr_expect(strstr(r.err, "--net=user: /nowhere: cannot be executed"), "%s", r.err);
}

Test(network, a_device_that_is_closed_is_named_with_a_remedy)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		world_run_as("unshare -m", tree,
			     "mount -t tmpfs none /dev/net; $S --net=user -- echo ran; echo $?; "
			     "${S%% *} doctor tun > said; grep -c 'modprobe tun' said; "
			     "> /dev/net/tun; mount --bind /dev/null /dev/net/tun; "
			     "$S --net=user -- echo ran; echo $?");

	expect_out(r, "125\n1\n125\n");
	cr_expect(strstr(r.err, "--net=user: /dev/net/tun: is not the device of this name"), "%s",
		  r.err);
	cr_expect(strstr(r.err, "hint:  in a container: start that with --device /dev/net/tun"),
		  "%s", r.err);
	cr_expect(strstr(r.err, "--net=user: /dev/net/tun: cannot open: No such file"), "%s",
		  r.err);
	cr_expect(strstr(r.err, "modprobe tun"), "%s", r.err);
}

/* What is missing there is not the helper. */
Test(network, without_dev_null_that_is_what_is_missing)
{
	in_world("inner=\"${S%% *} --map=single --no-base --ro-bind /usr /usr\"; "
		 "${S%% *} --map=single --ro-bind / / --tmpfs /dev --dev-bind /dev/net /dev/net "
		 "--allow-userns --cap-add NET_ADMIN -- $inner --net=user -- /usr/bin/true; echo "
		 "$?");

	expect_out(r, "125\n");
	cr_expect(strstr(r.err, "sbx: --net=user: /dev/null: cannot open, which takes starting "
				"/usr/bin/slirp4netns: No such file or directory\n"),
		  "%s", r.err);
	cr_expect(strstr(r.err, "hint:  as root: mknod -m 666 /dev/null c 1 3;"), "%s", r.err);
}

/* It has said that it is ready, and ends at its time: when the command says so. */
Test(network, a_helper_that_dies_later_ends_the_sandbox)
{
	in_world("mkfifo go; $S --net=user --bind $D $D -- bash -c "
		 "\"echo > $D/go; sleep 1000\" & cat go > /dev/null; "
		 "pkill -9 -P $! slirp4netns; wait $!; echo $?; " LEFT);

	expect_out(r, "125\n");
	cr_expect(strstr(r.err,
			 "was killed by signal 9; the sandbox cannot go on without its network"),
		  "%s", r.err);
}

Test(network, nothing_is_left_when_sbx_is_killed)
{
	in_world("mkfifo go; $S --net=user --bind $D $D -- bash -c "
		 "\"echo > $D/go; exec sleep 1000\" & cat go > /dev/null; "
		 "helper=$(pgrep -P $! slirp4netns); kill -9 $!; wait $!; "
		 "for i in {1..600}; do test -e /proc/$helper || break; sleep 0.05; done; "
		 "test -e /proc/$helper && echo still there; " LEFT);

	expect_out(r, "");
}

Test(network, words_that_are_wrong_are_refused)
{
	static const struct {
		const char *word, *says;
	} cases[] = {
		{"--net=user,nonsense", "no such word \"nonsense\" behind user"},
		{"--net=usr", "there are: none, user, host"},
		{"--net=user,mtu=5", "from 576 to 65520"},
		{"--net=user,cidr=10.0.2.1/24", "address in a network"},
		{"--net=user,dns=127.0.0.1", "no resolver outside"},
		{"--net=user,dns=2001:db8::1", "\"dns=2001:db8::1\": an address of IPv6 takes"},
		{"--net=user,outbound=2001:db8::1",
		 "\"outbound=2001:db8::1\": an address of IPv6 takes"},
		{"--net=user,outbound=127.0.0.1", "\"127.0.0.1\": nothing outside answers"},
		{"--net=user,ipv6,outbound=::1", "\"::1\": nothing outside answers"},
		{"--net=user,lan,unfiltered", "opens that and all else"},
		{"--net=none,lan", "words behind it are for user"},
		{"--net=user,dns=10.0.2.3", "slirp4netns's own network"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autorun_ struct run_result r =
			run_sbx("--ro-bind", "/usr", "/usr", cases[i].word, "--", "true");

		cr_expect_eq(r.status, 125, "%s: %d", cases[i].word, r.status);
		cr_expect(strstr(r.err, cases[i].says), "no \"%s\" in %s", cases[i].says, r.err);
	}
}

/* A real one is used, and the other is told before there is a sandbox, or anything of its own. */
Test(network, who_sends_must_be_the_host)
{
	in_world("$S --net=user,outbound=198.51.100.9,allow-host-loopback -- bash -c '" GET
		 "get 203.0.113.1 80'; "
		 "$S --net=user,outbound=192.0.2.7 -- echo ran; echo $?; "
		 "$S --net=user,ipv6,outbound=2001:db8:2::9,outbound=2001:db8:9::9 --explain -- "
		 "true; echo $?; " LEFT);

	expect_out(r, "hello\n125\n125\n");
	cr_expect(strstr(r.err, "--net=user: 192.0.2.7: cannot be the address"), "%s", r.err);
	cr_expect(strstr(r.err, "--net=user: 2001:db8:9::9: cannot be the address"), "%s", r.err);
	cr_expect(strstr(r.err, "hint:  choose one of the host's"), "%s", r.err);
	cr_expect_null(strstr(r.err, "while:"), "%s", r.err);
}

/* ---- rules ---- */

Test(network, rules_are_asked_in_their_order)
{
	in_world("$S --net=user --allow-net 203.0.113.1 --deny-net 203.0.113.0/24 "
		 "--allow-net 203.0.113.2 -- bash -c '" GET "get 203.0.113.1 80; "
		 "get 203.0.113.2 80'; "
		 "$S --net=user --deny-net 203.0.113.1:79-81,5300/udp --deny-net any/icmp -- "
		 "bash -c '" GET "get 203.0.113.1 80'; "
		 "$S --net=user --allow-net dns --deny-net any -- bash -c '" GET
		 "get 203.0.113.1 80'; "
		 "$S --net=user,ipv6 --deny-net '[2001:db8:1::1]:80' -- bash -c '" GET
		 "get 2001:db8:1::1 80; get 2001:db8:1::2 80'");

	expect_out(r, "hello\nConnection refused\nhello\nConnection refused\n"
		      "Connection refused\nhello\n");
}

Test(network, rules_without_a_network_are_refused)
{
	static const char *const nets[] = {"--net=none", "--net=host"};

	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		_autorun_ struct run_result r =
			run_sbx(nets[i], "--deny-net", "lan", "--", "/nowhere");

		cr_expect_eq(r.status, 125);
		cr_expect(strstr(r.err, "--deny-net: "), "%s", r.err);
		cr_expect(strstr(r.err, "hint:"), "%s", r.err);
	}
}

/* A network that the host is in is a LAN, whatever its addresses are; one that is in another, too.
 */
Test(network, the_word_lan_means_the_hosts_networks)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = world_run_as(
		"", tree,
		WORLD_BRIDGE
		"ip addr add 203.0.113.65/26 dev lan; ip addr add 203.0.113.66/28 dev lan; "
		"ip addr add 203.0.113.129/26 dev lan; ip addr add 203.0.113.67/26 dev lan; "
		"both() { $S --net=user \"$@\" -- bash -c '" GET
		"get 203.0.113.70 80; get 203.0.113.130 80; get 203.0.113.1 80'; }; both; "
		"both --allow-net lan; both --allow-net 203.0.113.64/26 --deny-net any; "
		"both --allow-net 203.0.113.0/24; both --allow-net 203.0.113.70; "
		"$S --net=user,lan --deny-net lan -- bash -c '" GET
		"get 203.0.113.70 80; get 203.0.113.1 80'");

	expect_out(r, "Connection refused\nConnection refused\nhello\n"
		      "hello\nhello\nhello\n"
		      "hello\nConnection refused\nConnection refused\n"
		      "Connection refused\nConnection refused\nhello\n"
		      "hello\nConnection refused\nhello\n"
		      "Connection refused\nhello\n");
}

/* More than the rules are for: closed is what cannot be kept out of reach. */
#define MANY                                                                                       \
	"for i in {0..4}; do for j in {1..250}; do echo addr add 172.31.$i.$j/32 dev lo; done; "   \
	"done | ip -b -; "

Test(network, new_addresses_that_cannot_be_refused_end_the_sandbox)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r =
		world_run_as("", tree,
			     "mkfifo up; $S --net=user --bind . /mnt -- bash -c 'echo > /mnt/up; "
			     "exec sleep 1000' & read < up; " MANY "wait $!; echo $?; " LEFT);

	expect_out(r, "125\n");
	cr_expect(strstr(r.err, "--net=user: the network was closed: the host has more than 1024 "
				"addresses"),
		  "%s", r.err);
}

Test(network, addresses_that_cannot_be_refused_are_told_with_a_remedy)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = world_run_as(
		"", tree,
		MANY "$S --net=user -- echo ran; echo $?; $S --net=user,unfiltered -- echo ran; "
		     "$S --net=user,unfiltered --deny-net lan -- echo ran; echo $?");

	expect_out(r, "125\nran\n125\n");
	cr_expect(strstr(r.err, "--net=user: the host has more than 1024 addresses to refuse\n"
				"     hint:  remove some of \"ip address\""),
		  "%s", r.err);
	cr_expect(strstr(r.err, "unfiltered without --allow-net and --deny-net\n"), "%s", r.err);
}

Test(network, or_close_its_network)
{
	world_skip();
	_autoclose_ int tree = tmp_tree(NULL);
	_autorun_ struct run_result r = world_run_as(
		"", tree,
		"mkfifo up go; $S --net=user,on-death=keep --bind . /mnt -- bash -c '" GET
		"get 203.0.113.1 80; echo > /mnt/up; read < /mnt/go; get 203.0.113.1 80; "
		"exit 7' & read < up; " MANY LEFT "echo > go; wait $!; echo $?");

	expect_out(r, "hello\nNetwork is unreachable\n7\n");
	cr_expect(strstr(r.err, "the command has no network any more: the network was closed"),
		  "%s", r.err);
}

Test(network, a_rule_for_a_resolver_takes_one)
{
	in_world("$S --net=user,dns=none --allow-net dns -- echo ran; echo $?; "
		 "$S --net=user,dns=none --deny-net dns -- echo denied");

	expect_out(r, "125\ndenied\n");
	cr_expect(strstr(r.err, "--allow-net: \"dns\": there is no resolver with dns=none"), "%s",
		  r.err);
}

/* They open nothing without the word, and that is not what was meant. */
Test(network, rules_that_need_a_word_are_refused_without)
{
	in_world("for rule in 10.0.2.2:80 ::/0 127.0.0.1; do "
		 "$S --net=user --allow-net $rule -- echo ran; echo $?; done; "
		 "$S --net=user,ipv6,allow-host-loopback --allow-net 10.0.2.2:80 --allow-net ::/0 "
		 "--deny-net ::/0 -- echo ran; $S --net=user --deny-net ::/0 -- echo ran");

	expect_out(r, "125\n125\n125\nran\nran\n");
	cr_expect(strstr(r.err, "\"10.0.2.2:80\": the gateway leads to"), "%s", r.err);
	cr_expect(strstr(r.err, "\"::/0\": there is no IPv6 without the word ipv6"), "%s", r.err);
	cr_expect(strstr(r.err, "\"127.0.0.1\": the sandbox has a loopback of its own"), "%s",
		  r.err);
}

/* As a destination it is the sandbox itself: the rule would have kept nothing in. */
Test(network, a_rule_for_no_address_is_refused)
{
	in_world("for rule in --deny-net=0.0.0.0 --allow-net=0.0.0.0:80/tcp --deny-net=::; do "
		 "$S --net=user,ipv6 $rule -- echo ran; echo $?; done; "
		 "$S --net=user,ipv6 --deny-net 0.0.0.0/0 --deny-net ::/0 -- bash -c '" GET
		 "get 203.0.113.1 80'");

	expect_out(r, "125\n125\n125\nConnection refused\n");
	cr_expect(strstr(r.err, "--deny-net: \"0.0.0.0\" would fit nothing: "), "%s", r.err);
	cr_expect(strstr(r.err, "--allow-net: \"0.0.0.0:80/tcp\" would fit nothing: "), "%s",
		  r.err);
	cr_expect(strstr(r.err, "--deny-net: \"::\" would fit nothing: "), "%s", r.err);
	cr_expect(strstr(r.err, "hint:  all addresses are any, those of IPv4 0.0.0.0/0"), "%s",
		  r.err);
}

Test(network, the_plan_shows_the_rules)
{
	in_world("$S --explain --net=user --allow-net dns --deny-net any -- true | grep rule");

	cr_expect(strstr(r.out, "rule 1: allow dns"), "%s%s", r.out, r.err);
	cr_expect(strstr(r.out, "rule 2: deny any"), "%s%s", r.out, r.err);
}
