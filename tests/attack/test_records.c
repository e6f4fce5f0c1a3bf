/* SPDX-License-Identifier: MIT */
/*
 * attack records: a sandbox that was given the directory of the records of running
 * sandboxes can neither ask a monitor for anything nor pass for one.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

/* Ask the monitor whose socket is at sys.argv[1] to signal its command by 9. */
static const char ask_to_kill[] = "import socket, struct, sys\n"
				  "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
				  "s.connect(sys.argv[1])\n"
				  "try: s.send(struct.pack('=IIi12x', 3, 1, 9))\n"
				  "except BrokenPipeError: pass\n"
				  "try: answer = s.recv(8192)\n"
				  "except ConnectionResetError: answer = s.recv(8192)\n"
				  "print('answer', struct.unpack_from('=Ii', answer)[1])\n";

/* Be a sandbox called trap: a locked record, and a socket that says yes to everything. */
static const char pretend[] =
	"import fcntl, os, socket, sys\n"
	"d = sys.argv[1]\n"
	"f = open(d + '/0123456789ab=trap', 'w')\n"
	"fcntl.lockf(f, fcntl.LOCK_EX)\n"
	"s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
	"if os.path.exists(d + '/0123456789ab.sock'): os.unlink(d + '/0123456789ab.sock')\n"
	"s.bind(d + '/0123456789ab.sock')\n"
	"s.listen(8)\n"
	"print('ready', flush=True)\n"
	"while True:\n"
	"    c, _ = s.accept()\n"
	"    c.recv(64)\n"
	"    c.send(bytes([1, 0, 0, 0]) + bytes(2048))\n"
	"    print('asked', flush=True)\n";

/*
 * The monitor is stopped; a process connects and asks it to signal its command by 9. By the
 * time that the monitor goes on, that process lives, has died (its number is still its own,
 * and its user namespace the right one), or has gone. The socket is there in any case.
 */
static const char ask_while_stopped[] =
	"import os, signal, socket, struct, sys\n"
	"path, monitor, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]\n"
	"def state(pid): return open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()[0]\n"
	"os.kill(monitor, signal.SIGSTOP)\n"
	"while state(monitor) != 'T': pass\n"
	"s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
	"r, w = os.pipe()\n"
	"pid = os.fork()\n"
	"if pid == 0:\n"
	"    s.connect(path)\n"
	"    s.send(struct.pack('=IIi12x', 3, 1, 9))\n"
	"    os.write(w, b'x')\n"
	"    if way == 'lives': signal.pause()\n"
	"    os._exit(0)\n"
	"os.read(r, 1)\n"
	"if way != 'lives': os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
	"if way == 'goes': os.waitpid(pid, 0)\n"
	"os.kill(monitor, signal.SIGCONT)\n"
	"try: answer = s.recv(8192)\n"
	"except ConnectionResetError: answer = s.recv(8192)\n"
	"print('answer', struct.unpack_from('=Ii', answer)[1])\n"
	"if way == 'lives': os.kill(pid, 9)\n";

struct site {
	int tree;    /* owned */
	char *boxes; /* owned */
	char runtime[512], home[512];
	const char *env[4];
};

static void site_start(struct site *s)
{
	s->tree = tmp_tree("run/sbx/boxes/", "home/");
	s->boxes = tree_path(s->tree, "run/sbx/boxes");
	_autofree_ char *run = tree_path(s->tree, "run"), *home = tree_path(s->tree, "home");

	cr_assert_eq(fchmodat(s->tree, "run/sbx/boxes", 0700, 0), 0);
	snprintf(s->runtime, sizeof(s->runtime), "XDG_RUNTIME_DIR=%s", run);
	s->env[0] = "PATH=/usr/bin:/bin";
	s->env[1] = s->runtime;
	/* Where there is no other place for records that somebody else's could be in. */
	snprintf(s->home, sizeof(s->home), "HOME=%s", home);
	s->env[2] = s->home;
	s->env[3] = NULL;
}

static void site_end(struct site *s)
{
	free(s->boxes);
	close(s->tree);
}

/* The path of the socket of the one sandbox there is. */
static void find_socket(const struct site *s, char *path, size_t size)
{
	const struct run_options options = {.env = s->env};
	_autorun_ struct run_result r = run_sbx_with(&options, "ps", "-q");

	cr_assert_eq(r.status, 0, "%s", r.err);
	cr_assert_eq(r.out_len, 13, "%s", r.out);
	snprintf(path, size, "%s/%.12s.sock", s->boxes, r.out);
}

Test(records, a_monitor_does_not_answer_what_is_in_a_sandbox)
{
	_autosession_ struct session victim;
	char path[512];
	struct site s;

	site_start(&s);
	const struct run_options options = {.env = s.env, .open_input = true};

	session_sbx(&victim, &options, "--ro-bind", "/usr", "/usr", SH("echo up; exec sleep 60"));
	cr_assert(session_expect(&victim, "up"));
	find_socket(&s, path, sizeof(path));
	/* With /proc's view of the host and its ids: a sandbox all the same. */
	_autorun_ struct run_result inside =
		in_usr_with(&options, "--bind", s.boxes, s.boxes, PYTHON(ask_to_kill), path);
	_autorun_ struct run_result shared =
		in_usr_with(&options, "--bind", s.boxes, s.boxes, "--share-pid", "--share-net",
			    PYTHON(ask_to_kill), path);
	_autorun_ struct run_result outside =
		run_argv(&options, (const char *const[]){"python3", "-c", ask_to_kill, path, NULL});
	struct run_result end = session_finish(&victim);

	expect_out(inside, "answer -1\n");
	expect_out(shared, "answer -1\n");
	expect_out(outside, "answer 0\n");
	cr_expect_eq(end.status, 128 + 9, "%d", end.status);
	run_result_finish(&end);
	site_end(&s);
}

/* Linux 6.5 is needed: before, nobody can tell who has asked, if that one is gone. */
static bool can_tell_who_asked(void)
{
	_autorun_ struct run_result r = run_program(
		"python3", "-c",
		"import socket; a, b = socket.socketpair(); print(a.getsockopt(1, 77) >= 0)");

	return r.status == 0;
}

/* A monitor that was stopped does not act for a process whose number may be another's by now. */
Test(records, who_has_gone_is_not_answered)
{
	_autosession_ struct session victim;
	char path[512], monitor[16];
	struct site s;

	skip_unless(can_tell_who_asked(), "SO_PEERPIDFD is not there before Linux 6.5");
	site_start(&s);
	const struct run_options options = {.env = s.env, .open_input = true};

	session_sbx(&victim, &options, "--ro-bind", "/usr", "/usr", SH("echo up; read -r line"));
	cr_assert(session_expect(&victim, "up"));
	find_socket(&s, path, sizeof(path));
	snprintf(monitor, sizeof(monitor), "%d", victim.pid);
	_autorun_ struct run_result gone =
		run_argv(&options, (const char *const[]){"python3", "-c", ask_while_stopped, path,
							 monitor, "goes", NULL});
	_autorun_ struct run_result dead =
		run_argv(&options, (const char *const[]){"python3", "-c", ask_while_stopped, path,
							 monitor, "dies", NULL});
	_autorun_ struct run_result list = run_sbx_with(&options, "ps", "--format", "{{.Status}}");
	_autorun_ struct run_result there =
		run_argv(&options, (const char *const[]){"python3", "-c", ask_while_stopped, path,
							 monitor, "lives", NULL});
	struct run_result end = session_finish(&victim);

	expect_out(gone, "answer -1\n");
	expect_out(dead, "answer -1\n");
	expect_out(list, "running\n");
	expect_out(there, "answer 0\n");
	cr_expect_eq(end.status, 128 + 9, "%d", end.status);
	run_result_finish(&end);
	site_end(&s);
}

Test(records, what_is_in_a_sandbox_cannot_pass_for_a_monitor)
{
	_autosession_ struct session liar;
	struct site s;

	site_start(&s);
	const struct run_options options = {.env = s.env};

	/* Outside it would be believed as far as its answers go. */
	session_start(&liar, &options,
		      (const char *const[]){"python3", "-c", pretend, s.boxes, NULL});
	cr_assert(session_expect(&liar, "ready"));
	_autorun_ struct run_result outside = run_sbx_with(&options, "kill", "trap");

	cr_expect(session_expect(&liar, "asked"), "%s", outside.err);
	session_stop(&liar);

	session_sbx(&liar, &options, "--ro-bind", "/usr", "/usr", "--bind", s.boxes, s.boxes,
		    PYTHON(pretend), s.boxes);
	cr_assert(session_expect(&liar, "ready"), "%s", liar.result.err);
	_autorun_ struct run_result one = run_sbx_with(&options, "kill", "trap");
	_autorun_ struct run_result list = run_sbx_with(&options, "ps", "-q");

	cr_expect_eq(one.status, 1);
	cr_expect(strstr(one.err, "is not in this user namespace"), "%s", one.err);
	expect_not_said(list, "0123456789ab");
	cr_expect(!strstr(liar.result.out, "asked"), "%s", liar.result.out);
	site_end(&s);
}

/* What its owner could write there is read by nobody. */
Test(records, what_a_record_says_is_not_believed)
{
	_autosession_ struct session victim;
	struct site s;

	site_start(&s);
	const struct run_options options = {.env = s.env, .open_input = true};

	session_sbx(&victim, &options, "--ro-bind", "/usr", "/usr", "--name", "web",
		    SH("echo up; read -r line"));
	cr_assert(session_expect(&victim, "up"));
	_autorun_ struct run_result forged = run_argv(
		&options, (const char *const[]){
				  "sh", "-c",
				  "cd \"$1\" && for f in *=web; do echo '{\"monitor-pid\":1,\"init-"
				  "pid\":1,\"command\":[\"evil\"]}' > \"$f\"; cat \"$f\"; done",
				  "sh", s.boxes, NULL});
	_autorun_ struct run_result list =
		run_sbx_with(&options, "ps", "--format", "{{.Name}} {{.Command}}");
	_autorun_ struct run_result kill = run_sbx_with(&options, "kill", "-s", "KILL", "web");
	struct run_result end = session_finish(&victim);

	expect_said(forged, "evil");
	expect_said(list, "web sh -c");
	expect_not_said(list, "evil");
	cr_expect_eq(kill.status, 0, "%s", kill.err);
	cr_expect_eq(end.status, 128 + 9, "%d", end.status);
	run_result_finish(&end);
	site_end(&s);
}
