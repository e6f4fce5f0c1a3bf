/* SPDX-License-Identifier: MIT */
/*
 * Limits on real cgroups, as an ordinary user: those that systemd makes for a login session, those
 * of a delegated scope, and none. Needs a pure cgroup v2 tree and a user manager, so it is no part
 * of the suites that run anywhere: the suite vm has it.
 */

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "boxes.h"

/* Where the cgroup comes from. */
enum way { ASKED, DELEGATED, WAYS };

static const char *const delegate[] = {"systemd-run", "--user",	      "--scope", "--quiet",
				       "-p",	      "Delegate=yes", "--"};

enum { WORDS_MAX = 64 };

/* A place, from where the user manager is reached. */
static void limits_start(struct place *p)
{
	char target[64];

	place_start(p);
	snprintf(target, sizeof(target), "/run/user/%u/bus", getuid());
	skip_unless(access(target, F_OK) == 0, "this user has no manager of systemd's");
	skip_unless(access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0,
		    "no pure cgroup v2 hierarchy");
	cr_assert_eq(symlinkat(target, p->tree, "run/bus"), 0);
	snprintf(target, sizeof(target), "/run/user/%u/systemd", getuid());
	cr_assert_eq(symlinkat(target, p->tree, "run/systemd"), 0);
}

static struct run_result run_way(const struct place *p, enum way way, const char *const *words)
{
	const char *argv[WORDS_MAX];
	size_t n = 0;

	for (size_t i = 0; way == DELEGATED && i < ARRAY_SIZE(delegate); i++)
		argv[n++] = delegate[i];
	argv[n++] = sbx_program();
	argv[n++] = "--ro-bind";
	argv[n++] = "/usr";
	argv[n++] = "/usr";
	while (*words && n < WORDS_MAX - 1)
		argv[n++] = *words++;
	argv[n] = NULL;
	return run_argv(&(struct run_options){.env = p->env}, argv);
}

#define limited(place, way, ...) run_way((place), (way), (const char *const[]){__VA_ARGS__, NULL})

#define expect_said(result, text)                                                                  \
	cr_expect(strstr((result).err, (text)), "no \"%s\" in: %s%s", (text), (result).out,        \
		  (result).err)

/* The number behind a word. */
static long number_behind(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

/* ---- nothing is left ---- */

static bool nothing_is_left(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result cgroups =
		run_program("/usr/bin/find", "/sys/fs/cgroup", "-name", "sbx-*");
	_autofree_ char *run = tree_path(p->tree, "run");
	char boxes[512];

	snprintf(boxes, sizeof(boxes), "%s/sbx/boxes", run);
	_autorun_ struct run_result records = run_program("/usr/bin/find", boxes, "-mindepth", "1");

	return cgroups.out[0] == '\0' && records.out[0] == '\0';
}

#define expect_nothing_left(place)                                                                 \
	cr_expect(wait_until(nothing_is_left, (place)), "a cgroup or a record is left")

/* ---- each limit ---- */

Test(cgroup_limits, memory_is_limited)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result r = limited(&p, way, "--memory", "32M", "--stats", "--",
							SH("tail /dev/zero; echo $?"));

		expect_out(r, "137\n");
		expect_said(r, "sbx: memory limit 32M reached: 1 process killed\n");
		expect_said(r, "memory at most 32.0 MiB");
		expect_said(r, "killed for want of memory 1");
		expect_nothing_left(&p);
	}
}

Test(cgroup_limits, a_fork_bomb_is_stopped)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result r =
			limited(&p, way, "--pids", "12", "--stats", "--", "/usr/bin/perl", "-e",
				"$me = $$; 1 while defined fork; exit 3 if $$ == $me; sleep 1000");

		cr_expect_eq(r.status, 3, "%d: %s", r.status, r.err);
		expect_said(r, "sbx: process limit 12 reached: ");
		cr_expect_leq(number_behind(r.err, "processes at most "), 12, "%s", r.err);
		expect_nothing_left(&p);
	}
}

Test(cgroup_limits, processors_are_limited)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result r =
			limited(&p, way, "--cpus", "0.1", "--stats", "--",
				SH("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo up"));

		expect_out(r, "up\n");
		cr_expect_gt(number_behind(r.err, "times throttled "), 0, "%s", r.err);
		expect_nothing_left(&p);
	}
}

Test(cgroup_limits, the_status_tells_what_was_used)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = limited(&p, ASKED, "--memory", "32M", "--json-status-fd",
						"2", "--", SH("tail /dev/zero; exit 3"));

	cr_expect_eq(r.status, 3);
	expect_said(r, "\"oom-kills\":1,");
	expect_said(r, "\"limits-reached\":\"memory limit 32M reached: 1 process killed\"");
	cr_expect_gt(number_behind(r.err, "\"memory-peak-bytes\":"), 0, "%s", r.err);
	cr_expect_gt(number_behind(r.err, "\"processes-peak\":"), 0, "%s", r.err);
	expect_said(r, "\"read-bytes\":null");
}

/* Nobody waits for it: the log has the line, and what is kept says what ended it. */
Test(cgroup_limits, a_detached_one_tells_what_ended_it)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result start =
		limited(&p, ASKED, "--memory", "32M", "--detach", "--keep-record", "--name", "web",
			"--", SH("exec tail /dev/zero"));
	_autorun_ struct run_result code = sbx_in(&p, "wait", "web");
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result kept = sbx_in(&p, "inspect", "web");
	_autorun_ struct run_result rm = sbx_in(&p, "rm", "web");

	expect_success(start);
	expect_out(code, "137\n");
	expect_said(logs, "sbx: memory limit 32M reached: 1 process killed\n");
	cr_expect(strstr(kept.out, "\"reason\": \"memory limit 32M reached: 1 process killed\""),
		  "%s", kept.out);
	cr_expect(strstr(kept.out, "\"oom-kills\": 1"), "%s", kept.out);
	expect_success(rm);
	expect_nothing_left(&p);
}

/* ---- where they come from ---- */

/* In a leaf of what is delegated, with others: a cgroup beside that. */
#define IN_A_LEAF                                                                                  \
	"cg=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir $cg/shell; "                \
	"echo 0 >$cg/shell/cgroup.procs; "

static struct run_result run_in_a_leaf(const struct place *p, const char *script)
{
	_autofree_ char *text = NULL;

	cr_assert_gt(asprintf(&text, IN_A_LEAF "%s", script), 0);
	return run_argv(&(struct run_options){.env = p->env},
			(const char *const[]){"systemd-run", "--user", "--scope", "--quiet", "-p",
					      "Delegate=yes", "--", "/bin/bash", "-c", text, "bash",
					      sbx_program(), NULL});
}

Test(cgroup_limits, a_shell_may_sit_in_a_leaf)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = run_in_a_leaf(
		&p, "$1 --ro-bind /usr /usr --memory 32M -- /bin/sh -c 'tail /dev/zero; echo $?'; "
		    "find $cg -name 'sbx-*'; cat $cg/cgroup.procs");

	expect_out(r, "137\n");
	expect_said(r, "sbx: memory limit 32M reached: 1 process killed\n");
}

Test(cgroup_limits, where_sbx_had_to_move_it_moves_back)
{
	_autoplace_ struct place p;

	limits_start(&p);
	/* sbx in the place of the shell, which has nobody beside it; PID 1 of it outlives it. */
	_autorun_ struct run_result r = run_in_a_leaf(
		&p,
		"mkdir $cg/own; echo +memory >$cg/cgroup.subtree_control; "
		"(echo $BASHPID >$cg/own/cgroup.procs; exec $1 --ro-bind /usr /usr --memory 32M "
		"-- true); find $cg/own -mindepth 1 -type d; cat $cg/own/cgroup.subtree_control; "
		"rmdir $cg/own && echo gone");

	expect_out(r, "gone\n");
}

Test(cgroup_limits, without_systemd_there_are_none)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = run_program(
		"unshare", "-Urm", "/bin/sh", "-c",
		"mount -t tmpfs none /run && exec $0 --ro-bind /usr /usr --memory 32M -- true",
		sbx_program());

	expect_failure(r, 125, "sbx: --memory: there is no cgroup to set it on");
	expect_failure(r, 125, "in the caller's own, /sys/fs/cgroup/");
	expect_failure(r, 125, "from systemd, this system does not run systemd");
	expect_failure(r, 125, "as root: echo +cpu");
	expect_failure(r, 125, "--limits=try does without");
}

Test(cgroup_limits, without_a_user_manager_there_are_none)
{
	_autoplace_ struct place p;

	limits_start(&p);
	cr_assert_eq(unlinkat(p.tree, "run/bus", 0), 0);
	_autorun_ struct run_result r = limited(&p, ASKED, "--memory", "32M", "--", "true");
	_autorun_ struct run_result tried =
		limited(&p, ASKED, "--memory", "32M", "--limits=try", "--", SH("echo ran >&2"));
	const char *ran = strstr(tried.err, "ran\n");

	expect_failure(r, 125, "from systemd, no user manager: ");
	expect_failure(r, 125, "loginctl enable-linger");
	expect_success(tried);
	cr_assert_not_null(ran);
	/* Before and after. */
	cr_expect_lt(strstr(tried.err, "no limits are set: "), ran);
	expect_said(tried, "ran\nsbx: no limits are set: ");
}

Test(cgroup_limits, a_controller_that_is_not_delegated_is_named)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = limited(&p, ASKED, "--cpuset", "0", "--", "true");
	_autorun_ struct run_result own = limited(&p, DELEGATED, "--cpuset", "0", "--", "true");

	expect_failure(r, 125,
		       "from systemd, the user manager is not delegated the controllers cpuset");
	expect_failure(r, 125, "Delegate=cpu cpuset io memory pids");
	expect_failure(own, 125, "is delegated, without the controllers cpuset");
}

Test(cgroup_limits, the_doctor_says_it_in_the_same_words)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = sbx_in(&p, "doctor", "cgroup", "systemd");

	cr_expect(strstr(r.out, "is not delegated to you: systemd has to be asked"), "%s", r.out);
	cr_expect(strstr(r.out, "the user manager is not delegated the controllers cpuset, io"),
		  "%s", r.out);
}

/* ---- what the command can do about it ---- */

Test(cgroup_limits, nothing_above_is_seen)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result r = limited(
			&p, way, "--memory", "64M", "--cgroup", "/cg", "--",
			SH("cat /proc/self/cgroup; cat /cg/memory.max; cat /cg/cgroup.procs |"
			   " head -1; ls -d /cg/../limits /cg/*/ 2>/dev/null || :"));

		expect_out(r, "0::/\n67108864\n1\n");
	}
}

/* The host's hierarchy is bound, and the command has the caller's id. */
Test(cgroup_limits, bound_hierarchies_are_covered)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result open_ =
		limited(&p, ASKED, "--bind", "/sys", "/sys", "--bind", "/sys/fs/cgroup", "/mnt",
			"--", SH("ls /sys/fs/cgroup/user.slice /mnt/user.slice | grep -c user-"));
	_autorun_ struct run_result r = limited(&p, ASKED, "--memory", "64M", "--bind", "/sys",
						"/sys", "--bind", "/sys/fs/cgroup", "/mnt", "--",
						SH("ls -A /sys/fs/cgroup /mnt; ls /sys/fs"));
	_autorun_ struct run_result shared =
		limited(&p, ASKED, "--memory", "64M", "--share-cgroup", "--bind", "/sys", "/sys",
			"--", SH("ls -A /sys/fs/cgroup | wc -l"));

	expect_out(open_, "2\n");
	cr_expect(strncmp(r.out, "/mnt:\n\n/sys/fs/cgroup:\n",
			  strlen("/mnt:\n\n/sys/fs/cgroup:\n")) == 0,
		  "%s%s", r.out, r.err);
	expect_out(shared, "0\n");
}

/* With its own cgroup mounted it may write to it, and that changes nothing. */
Test(cgroup_limits, raising_its_own_does_not_help)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = limited(
		&p, ASKED, "--memory", "32M", "--cgroup", "/cg", "--",
		SH("for f in memory.max memory.swap.max; do echo max >/cg/$f; done 2>/dev/null; "
		   "mkdir /cg/sub && echo 0 >/cg/sub/cgroup.procs; tail /dev/zero; echo $?"));

	expect_out(r, "137\n");
	expect_said(r, "sbx: memory limit 32M reached: 1 process killed\n");
	expect_nothing_left(&p);
}

/* ---- a sandbox that runs ---- */

Test(cgroup_limits, a_running_one_is_entered_paused_and_measured)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result start =
			limited(&p, way, "--detach", "--name", "web", "--memory", "64M", "--pids",
				"30", "--cgroup", "/cg", "--", SH("exec sleep 1000"));
		_autorun_ struct run_result before =
			sbx_in(&p, "exec", "web", SH("wc -l </cg/cgroup.procs"));
		_autorun_ struct run_result memory =
			sbx_in(&p, "ps", "--format", "{{.MemoryBytes}}");
		_autorun_ struct run_result pause = sbx_in(&p, "pause", "web");
		_autorun_ struct run_result ps = sbx_in(&p, "ps", "--format", "{{.Status}}");
		_autorun_ struct run_result unpause = sbx_in(&p, "unpause", "web");
		_autorun_ struct run_result bomb =
			sbx_in(&p, "exec", "web", SH("tail /dev/zero; echo $?"));
		_autorun_ struct run_result stop = sbx_in(&p, "stop", "-t", "0", "web");

		expect_success(start);
		/* PID 1, sleep, and those two that were added. */
		cr_expect_geq(atoi(before.out), 4, "%s%s", before.out, before.err);
		cr_expect_gt(atoll(memory.out), 0, "%s%s", memory.out, memory.err);
		expect_success(pause);
		expect_out(ps, "paused\n");
		expect_success(unpause);
		expect_out(bomb, "137\n");
		expect_success(stop);
		expect_nothing_left(&p);
	}
}

/* Not by PID 1's death, which ends nobody here. */
static bool is_gone(void *arg)
{
	_autorun_ struct run_result r = run_program("/usr/bin/pgrep", "-f", arg);

	return r.status == 1;
}

Test(cgroup_limits, all_end_with_the_command_in_the_hosts_pids_too)
{
	_autoplace_ struct place p;
	char number[32], script[128];

	limits_start(&p);
	snprintf(number, sizeof(number), "sleep 10%d", getpid());
	snprintf(script, sizeof(script), "setsid %s & %s & echo up", number, number);
	_autorun_ struct run_result r =
		limited(&p, ASKED, "--share-pid", "--memory", "64M", "--", SH(script));

	expect_out(r, "up\n");
	cr_expect(wait_until(is_gone, number));
	expect_nothing_left(&p);
}

Test(cgroup_limits, helpers_are_counted_apart)
{
	_autoplace_ struct place p;

	limits_start(&p);
	skip_unless(access("/usr/bin/slirp4netns", X_OK) == 0, "no slirp4netns");
	_autorun_ struct run_result start =
		limited(&p, ASKED, "--detach", "--name", "web", "--memory", "64M",
			"--net=user,unfiltered", "--", SH("exec sleep 1000"));
	_autorun_ struct run_result where =
		run_program("/bin/sh", "-c", "cat /proc/$(pgrep -n slirp4netns)/cgroup");

	expect_success(start);
	cr_expect(strstr(where.out, ".scope/helpers\n"), "%s%s", where.out, where.err);
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "-t", "0", "web");

	expect_success(stop);
	expect_nothing_left(&p);
}

/* ---- with what has processes or mounts beside the command ---- */

/* Says hello to who connects; and who connects says what it heard, and its limits. */
#define SERVE                                                                                      \
	"/usr/bin/python3", "-I", "-c",                                                            \
		"import socket\n"                                                                  \
		"s = socket.create_server(('0.0.0.0', 7000))\n"                                    \
		"while True:\n"                                                                    \
		"    c, _ = s.accept()\n"                                                          \
		"    c.sendall(b'hello')\n"                                                        \
		"    c.close()\n"
#define ASK                                                                                        \
	"/usr/bin/python3", "-I", "-c",                                                            \
		"import socket, time\n"                                                            \
		"while True:\n"                                                                    \
		"    try:\n"                                                                       \
		"        s = socket.create_connection(('one', 7000))\n"                            \
		"        break\n"                                                                  \
		"    except ConnectionRefusedError:\n"                                             \
		"        time.sleep(0.05)\n"                                                       \
		"print(s.recv(99).decode())\n"                                                     \
		"print(open('/cg/memory.max').read() + open('/cg/pids.max').read(), end='')\n"

static bool no_network_is_left(void *arg)
{
	const struct place *p = arg;
	_autofree_ char *networks = tree_path(p->tree, "run/sbx/networks");
	_autorun_ struct run_result r = run_program("/usr/bin/find", networks, "-mindepth", "1");

	return r.status == 0 && r.out[0] == '\0';
}

Test(cgroup_limits, members_of_a_network_have_each_their_own)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		_autorun_ struct run_result start =
			limited(&p, way, "--detach", "--name", "one", "--net=lab", "--memory",
				"64M", "--pids", "20", "--", SERVE);
		cr_assert_eq(start.status, 0, "%s", start.err);
		_autorun_ struct run_result ask =
			limited(&p, way, "--net=lab", "--memory", "48M", "--pids", "10", "--cgroup",
				"/cg", "--", ASK);
		_autorun_ struct run_result list = sbx_in(&p, "net", "ls", "-q");
		_autorun_ struct run_result stop = sbx_in(&p, "stop", "-t", "0", "one");

		expect_out(ask, "hello\n50331648\n10\n");
		expect_out(list, "lab\n");
		expect_success(stop);
		cr_expect(wait_until(no_network_is_left, &p), "the network is left");
		expect_nothing_left(&p);
	}
}

Test(cgroup_limits, a_port_leads_to_who_has_some)
{
	for (int way = 0; way < WAYS; way++) {
		_autoplace_ struct place p;

		limits_start(&p);
		skip_unless(access("/usr/bin/slirp4netns", X_OK) == 0, "no slirp4netns");
		_autorun_ struct run_result start =
			limited(&p, way, "--detach", "--name", "web", "--memory", "64M", "--pids",
				"20", "--net=user", "-p", "0:7000", "--", SERVE);
		cr_assert_eq(start.status, 0, "%s", start.err);
		_autorun_ struct run_result list = sbx_in(&p, "port", "list", "web");
		/* slirp4netns listens before the command does, and hangs up then. */
		_autorun_ struct run_result get = run_program(
			"/bin/bash", "-c",
			"until text=$(cat </dev/tcp/127.0.0.1/${0##*:}) && [ \"$text\" ]; do "
			"sleep 0.05; done; echo $text",
			list.out);
		_autorun_ struct run_result stop = sbx_in(&p, "stop", "-t", "0", "web");

		expect_out(get, "hello\n");
		expect_success(stop);
		expect_nothing_left(&p);
	}
}

Test(cgroup_limits, what_is_changed_in_a_session_stays_there)
{
	static const char *const drivers[] = {"kernel", "fuse"};

	for (int i = 0; i < WAYS * 2; i++) {
		_autoplace_ struct place p;
		_autoclose_ int tree = tmp_tree("old=text");
		_autofree_ char *path = tree_path(tree, ".");

		path[strlen(path) - strlen("/.")] = '\0';
		limits_start(&p);
		_autorun_ struct run_result r =
			limited(&p, i % WAYS, "--memory", "32M", "--cow", path, "--session", "s",
				"--overlay-driver", drivers[i / WAYS], "--chdir", path, "--",
				SH("echo new >old; tail /dev/zero; echo $?"));
		_autorun_ struct run_result diff = sbx_in(&p, "diff", "--name-only", "s");
		_autofree_ char *old = tree_read(tree, "old");

		expect_out(r, "137\n");
		expect_said(r, "sbx: memory limit 32M reached: 1 process killed\n");
		cr_expect(strstr(diff.out, "old"), "%s%s", diff.out, diff.err);
		cr_expect_str_eq(old, "text");
		expect_nothing_left(&p);
	}
}

/* ---- a systemd that does not answer ---- */

/* It takes connections in the manager's place. */
static int limits_start_mute(struct place *p)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	limits_start(p);
	_autofree_ char *path = tree_path(p->tree, "run/bus");

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(unlinkat(p->tree, "run/bus", 0), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

Test(cgroup_limits, a_manager_that_does_not_answer_keeps_no_time_from_ending)
{
	_autoplace_ struct place p;
	_autoclose_ int bus = limits_start_mute(&p);

	cr_assert_geq(bus, 0);
	_autorun_ struct run_result r =
		limited(&p, ASKED, "--memory", "64M", "--timeout", "1s", "--", "true");
	_autorun_ struct run_result tried = limited(&p, ASKED, "--memory", "64M", "--limits=try",
						    "--timeout", "1s", "--", SH("echo ran"));

	cr_expect_eq(r.status, 124, "%d: %s", r.status, r.err);
	cr_expect_eq(tried.status, 124, "%d: %s%s", tried.status, tried.out, tried.err);
	expect_nothing_left(&p);
}

Test(cgroup_limits, a_manager_that_does_not_answer_keeps_no_signal_from_ending_it)
{
	static const char *const modes[] = {"--limits=require", "--limits=try"};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_autoplace_ struct place p;
		_autoclose_ int bus = limits_start_mute(&p);
		_autosession_ struct session s;

		session_sbx(&s, (&(struct run_options){.env = p.env}), "--ro-bind", "/usr", "/usr",
			    "--memory", "64M", modes[i], "--", SH("echo ran"));
		/* One to see that it is there, and one to ask. */
		_autoclose_ int probe = accept(bus, NULL, NULL);
		_autoclose_ int question = accept(bus, NULL, NULL);
		cr_assert(probe >= 0 && question >= 0);
		cr_assert_eq(kill(s.pid, SIGTERM), 0);
		_autorun_ struct run_result r = session_finish(&s);

		cr_expect_eq(r.status, 143, "%s: %d: %s", modes[i], r.status, r.err);
		cr_expect_str_eq(r.out, "");
		expect_nothing_left(&p);
	}
}

/* A command without its limits would be worse than none. */
Test(cgroup_limits, a_manager_that_hangs_up_is_an_error)
{
	_autoplace_ struct place p;
	_autoclose_ int bus = limits_start_mute(&p);
	_autosession_ struct session s;

	session_sbx(&s, (&(struct run_options){.env = p.env}), "--ro-bind", "/usr", "/usr",
		    "--memory", "64M", "--", SH("echo ran"));
	/* One to see that it is there, and one to ask. */
	for (int i = 0; i < 2; i++)
		close(accept(bus, NULL, NULL));
	_autorun_ struct run_result r = session_finish(&s);

	expect_failure(r, 125, "while: asking systemd for a cgroup, since ");
	cr_expect_str_eq(r.out, "");
	expect_nothing_left(&p);
}

/* ---- a monitor that is killed ---- */

/* systemd removes its scope, the next sbx what was made elsewhere. */
Test(cgroup_limits, nothing_is_left_of_a_killed_monitor)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result start = limited(&p, ASKED, "--detach", "--name", "web",
						    "--memory", "64M", "--", SH("exec sleep 1000"));
	_autorun_ struct run_result list = sbx_in(&p, "ps", "--format", "{{.Pid}}");
	long monitor = atol(list.out);

	expect_success(start);
	cr_assert_gt(monitor, 1, "%s", list.out);
	cr_assert_eq(kill((pid_t)monitor, SIGKILL), 0);
	/* The record goes with the next sbx. */
	for (int i = 0; i < 2; i++) {
		_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");

		(void)ps;
	}
	expect_nothing_left(&p);
}

Test(cgroup_limits, the_next_one_removes_what_a_killed_monitor_left)
{
	_autoplace_ struct place p;

	limits_start(&p);
	_autorun_ struct run_result r = run_in_a_leaf(
		&p, "$1 --ro-bind /usr /usr --detach --memory 64M -- sleep 1000 >/dev/null; "
		    "kill -9 $($1 ps --format '{{.Pid}}'); "
		    "until [ -z \"$(cat $cg/sbx-*/limits/payload/cgroup.procs)\" ]; do sleep 0.1; "
		    "done; "
		    "ls -d $cg/sbx-* | wc -l; $1 ps -q; ls -d $cg/sbx-* 2>/dev/null | wc -l; "
		    "ls -A $XDG_RUNTIME_DIR/sbx/boxes");

	expect_out(r, "1\n0\n");
	expect_nothing_left(&p);
}
