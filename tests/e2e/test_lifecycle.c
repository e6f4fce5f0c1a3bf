/* SPDX-License-Identifier: MIT */
/* The verbs about sandboxes that run: ps, kill, stop, wait, inspect. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "boxes.h"
#include "sbx/base/label.h"

static void start_up(struct place *p, struct session *s, const char *name)
{
	if (name)
		start_in(p, s, "--name", name, "--");
	else
		start_in(p, s, "--");
	cr_assert(session_expect(s, "up"), "%s", s->result.err);
}

/* ---- ps ---- */

Test(lifecycle, ps_lists_what_runs_and_nothing_else)
{
	_autosession_ struct session web, db;
	struct place p;

	place_start(&p);
	_autorun_ struct run_result none = sbx_in(&p, "ps");

	expect_out(none, "ID  NAME  STATUS  AGE  PROCS  COMMAND\n");
	start_up(&p, &web, "web");
	start_up(&p, &db, "db");
	_autorun_ struct run_result two = sbx_in(&p, "ps", "--format", "{{.Name}} {{ .Status }}");

	expect_success(two);
	cr_expect(strstr(two.out, "web running\n") && strstr(two.out, "db running\n"), "%s",
		  two.out);
	session_send(&web, "\n");
	struct run_result end = session_finish(&web);
	_autorun_ struct run_result one =
		sbx_in(&p, "ps", "--format", "{{.Name}} {{.Processes}} {{.Network}} {{.Command}}");

	expect_success(end);
	expect_out(one, "db 1 none /bin/sh -c 'echo up; read -r line'\n");
	run_result_finish(&end);
	close(p.tree);
}

Test(lifecycle, ps_shows_only_what_fits_the_filters)
{
	_autosession_ struct session web, db;
	struct place p;

	place_start(&p);
	start_up(&p, &web, "web-1");
	start_up(&p, &db, "db-1");
	_autorun_ struct run_result all = sbx_in(&p, "ps", "-q", "-f", "status=running");
	_autorun_ struct run_result web_only =
		sbx_in(&p, "ps", "--format={{.Name}}", "--filter", "name=we");
	_autorun_ struct run_result either = sbx_in(&p, "ps", "-q", "-fname=we", "-fname=db");
	_autorun_ struct run_result both =
		sbx_in(&p, "ps", "-q", "-f", "name=we", "-f", "status=stopped");
	_autorun_ struct run_result unknown = sbx_in(&p, "ps", "-f", "color=red");
	_autorun_ struct run_result field = sbx_in(&p, "ps", "--format", "{{.Color}}");

	cr_expect_eq(all.out_len, 2 * 13, "%s", all.out);
	expect_out(web_only, "web-1\n");
	cr_expect_eq(either.out_len, 2 * 13, "%s", either.out);
	expect_out(both, "");
	expect_failure(unknown, 2, "must be id=, name= or status=");
	expect_failure(field, 2, "{{.Name}}");
	close(p.tree);
}

/* Python is the judge of what is JSON. */
Test(lifecycle, ps_and_inspect_print_json)
{
	_autosession_ struct session web;
	struct place p;

	place_start(&p);
	start_up(&p, &web, "web");
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "--json");
	_autorun_ struct run_result inspect = sbx_in(&p, "inspect", "web");
	const struct run_options read_ps = {.input = ps.out}, read_inspect = {.input = inspect.out};
	_autorun_ struct run_result from_ps = run_argv(
		&read_ps, (const char *const[]){"python3", "-c",
						"import json, sys\n"
						"b, = json.load(sys.stdin)\n"
						"print(b['name'], b['processes'], b['command'][2])",
						NULL});
	_autorun_ struct run_result from_inspect = run_argv(
		&read_inspect,
		(const char *const[]){
			"python3", "-c",
			"import json, sys, os\n"
			"b, = json.load(sys.stdin)\n"
			"print(b['name'], b['plan']['sbx-plan'], len(b['processes']))\n"
			"start = open('/proc/%d/stat' % b['init']['pid']).read().split(')')[1]\n"
			"print(int(start.split()[19]) == b['init']['start-ticks'])\n"
			"print(b['processes'][0]['command'][0])\n",
			NULL});

	expect_out(from_ps, "web 1 echo up; read -r line\n");
	expect_out(from_inspect, "web 1 1\nTrue\n/bin/sh\n");
	close(p.tree);
}

/* What a sandbox calls its command must not reach the terminal of who lists it. */
Test(lifecycle, what_comes_from_a_sandbox_is_shown_harmless)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	session_sbx(&s, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", SH("echo up; read -r line"), "\033]0;title\a\nroot  running");
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result ps = sbx_in(&p, "ps");
	_autorun_ struct run_result json = sbx_in(&p, "ps", "--json");

	cr_expect(strstr(ps.out, "'\\x1b]0;title\\x07\\nroot  running'"), "%s", ps.out);
	cr_expect(!strchr(ps.out, '\033') && !strchr(json.out, '\033'));
	cr_expect(strstr(json.out, "\\u001b]0;title\\u0007"), "%s", json.out);
	close(p.tree);
}

/* ---- kill, stop, wait ---- */

Test(lifecycle, kill_sends_a_signal_to_the_command)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	session_sbx(&s, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", "--name", "web",
		    SH("trap 'echo hup' HUP; trap 'echo term; exit 3' TERM; echo up; "
		       "while :; do read -r line; done"));
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result hup = sbx_in(&p, "kill", "-s", "HUP", "web");

	expect_out(hup, "");
	cr_expect(session_expect(&s, "hup"));
	_autorun_ struct run_result number = sbx_in(&p, "kill", "-s1", "web");

	expect_out(number, "");
	cr_expect(session_expect(&s, "hup"));
	_autorun_ struct run_result term = sbx_in(&p, "kill", "web");

	expect_out(term, "");
	cr_expect(session_expect(&s, "term"));
	struct run_result end = session_finish(&s);
	_autorun_ struct run_result none = sbx_in(&p, "kill", "web");
	_autorun_ struct run_result what = sbx_in(&p, "kill", "-s", "NONE", "web");

	cr_expect_eq(end.status, 3);
	expect_failure(none, 1, "web: no running sandbox has this name or id");
	expect_failure(what, 2, "no such signal: NONE");
	run_result_finish(&end);
	close(p.tree);
}

/* KILL is for all that is in it, and when sbx returns they are gone. */
static void expect_all_killed(const char *share)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	session_sbx(&s, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", "--name", "web", share,
		    SH("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo child; sleep 1000' & "
		       "read -r line"));
	cr_assert(session_expect(&s, "child"));
	_autorun_ struct run_result kill = sbx_in(&p, "kill", "--signal=SIGKILL", "web");
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");
	/* The child has the other end of the pipe: this ends when it has. */
	struct run_result end = session_finish(&s);

	expect_out(kill, "");
	expect_out(ps, "");
	cr_expect_eq(end.status, 128 + SIGKILL, "%d", end.status);
	cr_expect(!end.timed_out);
	cr_expect_str_eq(end.err, "");
	run_result_finish(&end);
	close(p.tree);
}

Test(lifecycle, kill_with_KILL_ends_all_of_it)
{
	expect_all_killed("--unshare-pid");
}

Test(lifecycle, kill_with_KILL_ends_all_of_it_without_a_pid_namespace)
{
	expect_all_killed("--share-pid");
}

Test(lifecycle, stop_asks_and_then_kills)
{
	_autosession_ struct session polite, deaf;
	struct place p;

	place_start(&p);
	start_up(&p, &polite, "polite");
	session_sbx(&deaf, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", "--name", "deaf",
		    SH("trap '' TERM; echo up; while :; do read -r line; done"));
	cr_assert(session_expect(&deaf, "up"));
	_autorun_ struct run_result one = sbx_in(&p, "stop", "polite");
	_autorun_ struct run_result two = sbx_in(&p, "stop", "-t", "0", "deaf");
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");
	struct run_result end_polite = session_finish(&polite), end_deaf = session_finish(&deaf);

	expect_out(one, "");
	expect_out(two, "");
	expect_out(ps, "");
	cr_expect_eq(end_polite.status, 128 + SIGTERM, "%d", end_polite.status);
	cr_expect_eq(end_deaf.status, 128 + SIGKILL, "%d", end_deaf.status);
	run_result_finish(&end_polite);
	run_result_finish(&end_deaf);
	close(p.tree);
}

Test(lifecycle, stop_all_ends_every_one)
{
	_autosession_ struct session one, two;
	struct place p;

	place_start(&p);
	start_up(&p, &one, "one");
	start_up(&p, &two, NULL);
	_autorun_ struct run_result wrong = sbx_in(&p, "stop", "--all", "one");
	_autorun_ struct run_result nothing = sbx_in(&p, "stop");
	_autorun_ struct run_result all = sbx_in(&p, "stop", "--all");
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");

	expect_failure(wrong, 2, "--all");
	expect_failure(nothing, 2, "--all");
	expect_out(all, "");
	expect_out(ps, "");
	close(p.tree);
}

/* How many sockets of monitors there are below the test's directory, with who is connected. */
static bool has_two_clients(void *arg)
{
	const char *id = arg;
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512];
	int n = 0;

	cr_assert(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, id) != NULL;
	fclose(f);
	return n == 3;
}

/* The record is gone when the exit code is told. */
Test(lifecycle, wait_prints_the_exit_code_when_all_is_over)
{
	_autosession_ struct session s, waiter;
	struct place p;

	place_start(&p);
	session_sbx(&s, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", "--name", "web", SH("echo up; read -r line; exit 7"));
	cr_assert(session_expect(&s, "up"));
	session_start(&waiter, &((struct run_options){.env = p.env}),
		      (const char *const[]){"sh", "-c", "\"$1\" wait web web; \"$1\" ps -q", "sh",
					    sbx_program(), NULL});
	/* It waits, but others are answered meanwhile. */
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "--format", "{{.Name}}"),
				    id = sbx_in(&p, "ps", "-q");

	expect_out(ps, "web\n");
	id.out[LABEL_ID_LEN] = '\0';
	cr_assert(wait_until(has_two_clients, id.out));
	session_send(&s, "\n");
	struct run_result waited = session_finish(&waiter), end = session_finish(&s);

	expect_out(waited, "7\n7\n");
	cr_expect_eq(end.status, 7);
	run_result_finish(&waited);
	run_result_finish(&end);
	close(p.tree);
}

Test(lifecycle, wait_tells_that_sbx_was_killed)
{
	_autosession_ struct session s, waiter;
	struct place p;

	place_start(&p);
	start_up(&p, &s, "web");
	session_sbx(&waiter, &((struct run_options){.env = p.env}), "wait", "web", "web");
	_autorun_ struct run_result id = sbx_in(&p, "ps", "-q");

	id.out[LABEL_ID_LEN] = '\0';
	cr_assert(wait_until(has_two_clients, id.out));
	kill(s.pid, SIGKILL);
	struct run_result waited = session_finish(&waiter);

	expect_failure(waited, 1, "its monitor was killed; nobody knows an exit code");
	cr_expect_str_eq(waited.out, "");
	run_result_finish(&waited);
	close(p.tree);
}

/* ---- stopped ones ---- */

static bool is_stopped(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "--format", "{{.Name}} {{.Status}}");

	return strcmp(r.out, "web stopped\n") == 0;
}

/* As a job of a shell by Ctrl-Z: it is there, and it can be ended. */
Test(lifecycle, one_that_is_stopped_is_listed_and_can_be_ended)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_up(&p, &s, "web");
	cr_assert_eq(kill(s.pid, SIGSTOP), 0);
	cr_expect(wait_until(is_stopped, &p));
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "--format", "{{.Command}}");
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "web");
	struct run_result end = session_finish(&s);

	cr_expect(strstr(ps.out, "--name web"), "%s", ps.out);
	expect_out(stop, "");
	cr_expect_eq(end.status, 128 + SIGTERM, "%d", end.status);
	run_result_finish(&end);
	close(p.tree);
}

/* Connect until nobody can any more; the connections stay. */
static void fill_queue(const struct place *p, const char *id)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path),
		 "/proc/self/fd/%d/run/sbx/boxes/%.12s.sock", p->tree, id);
	for (int n = 0; n < 1000; n++) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		cr_assert_geq(fd, 0);
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			continue;
		cr_assert_eq(errno, EAGAIN);
		close(fd);
		return;
	}
	cr_assert_fail("the queue has no end");
}

Test(lifecycle, one_that_cannot_be_reached_is_not_waited_for)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_up(&p, &s, "web");
	_autorun_ struct run_result id = sbx_in(&p, "ps", "-q");

	cr_assert_eq(kill(s.pid, SIGSTOP), 0);
	fill_queue(&p, id.out);
	_autorun_ struct run_result inspect = sbx_in(&p, "inspect", "web");
	_autorun_ struct run_result wait = sbx_in(&p, "wait", "web");

	expect_failure(inspect, 1, "monitor, process");
	expect_failure(inspect, 1, "is stopped");
	expect_failure(wait, 1, "is stopped");
	cr_assert_eq(kill(s.pid, SIGCONT), 0);
	session_send(&s, "\n");
	struct run_result end = session_finish(&s);

	run_result_finish(&end);
	close(p.tree);
}

/*
 * Between the two looks of who asks: its record is still held, and nobody listens any more. The
 * record here is held by this process.
 */
Test(lifecycle, one_that_ends_while_it_is_looked_for_has_ended)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_autosession_ struct session s;
	_autoclose_ int fd = -1;
	struct place p;

	place_start(&p);
	start_up(&p, &s, "other");
	fd = openat(p.tree, "run/sbx/boxes/0123456789ab=web", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_SETLK, &lock), 0);
	_autorun_ struct run_result wait = sbx_in(&p, "wait", "web");

	expect_failure(wait, 1, "this sandbox has ended");
	expect_failure(wait, 1, "--keep-record");
	session_send(&s, "\n");
	struct run_result end = session_finish(&s);

	run_result_finish(&end);
	close(p.tree);
}

/* ---- which one ---- */

Test(lifecycle, a_prefix_of_the_id_is_enough)
{
	_autosession_ struct session s;
	char prefix[5];
	struct place p;

	place_start(&p);
	start_up(&p, &s, NULL);
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");

	cr_assert_eq(ps.out_len, 13);
	memcpy(prefix, ps.out, 4);
	prefix[4] = '\0';
	_autorun_ struct run_result stop = sbx_in(&p, "stop", prefix);

	expect_out(stop, "");
	close(p.tree);
}

/* ---- many ---- */

enum { MANY = 40 };

Test(lifecycle, many_are_listed_and_ended_at_once)
{
	struct session sessions[MANY];
	struct place p;

	place_start(&p);
	for (size_t i = 0; i < MANY; i++)
		start_in(&p, &sessions[i], "--map=single", "--");
	for (size_t i = 0; i < MANY; i++)
		cr_assert(session_expect(&sessions[i], "up"));
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "-q");
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "--all");
	_autorun_ struct run_result left = sbx_in(&p, "ps", "-q");

	cr_expect_eq(ps.out_len, MANY * 13, "%s", ps.out);
	expect_out(stop, "");
	expect_out(left, "");
	for (size_t i = 0; i < MANY; i++)
		session_stop(&sessions[i]);
	close(p.tree);
}

/* ---- words ---- */

Test(lifecycle, verbs_tell_how_they_are_used)
{
	_autorun_ struct run_result help = run_sbx("kill", "--help");
	_autorun_ struct run_result other_way = run_sbx("help", "kill");
	_autorun_ struct run_result no_verb = run_sbx("help", "kil");
	_autorun_ struct run_result two_verbs = run_sbx("help", "kill", "ps");
	_autorun_ struct run_result option = run_sbx("ps", "--jso");
	_autorun_ struct run_result operand = run_sbx("ps", "web");
	_autorun_ struct run_result missing = run_sbx("wait");
	_autorun_ struct run_result value = run_sbx("stop", "-t");
	_autorun_ struct run_result number = run_sbx("stop", "-t", "soon", "web");
	_autorun_ struct run_result lines = run_sbx("logs", "-n", "-1", "web");
	_autorun_ struct run_result flag = run_sbx("ps", "--quiet=yes");

	expect_success(help);
	cr_expect(strstr(help.out, "usage: sbx kill [OPTION...] [NAME...]\n"), "%s", help.out);
	cr_expect(strstr(help.out, "-s, --signal SIGNAL"), "%s", help.out);
	expect_out(other_way, help.out);
	expect_failure(no_verb, 2, "kil: no such verb");
	expect_failure(two_verbs, 2, "ps: sbx help takes one verb at most");
	expect_failure(option, 2, "did you mean --json?");
	expect_failure(operand, 2, "sbx ps takes no argument");
	expect_failure(missing, 2, "sbx wait needs more arguments: NAME...");
	expect_failure(value, 2, "--time: needs SECONDS");
	expect_failure(number, 2, "must be a number of seconds");
	expect_failure(lines, 2, "must be a number of lines");
	expect_failure(flag, 2, "--quiet: takes no argument");
}

/* ---- pause ---- */

/* Its processes are in the cgroup of sbx, which must not be frozen with them. */
Test(lifecycle, pause_needs_a_cgroup_of_its_own)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_in(&p, &s, "--name", "web", "--");
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result pause = sbx_in(&p, "pause", "web");
	_autorun_ struct run_result unpause = sbx_in(&p, "unpause", "--all");
	_autorun_ struct run_result list = sbx_in(&p, "ps", "--format", "{{.Status}}");

	expect_failure(pause, 1, "cannot be paused");
	expect_failure(pause, 1, "sbx kill -s STOP web");
	expect_failure(unpause, 1, "cannot be paused");
	expect_out(list, "running\n");
	close(p.tree);
}

/* ---- many ---- */

/* Each takes its time to end: those of several pass together, and what is left is killed. */
Test(lifecycle, stop_and_kill_do_not_wait_for_one_after_the_other)
{
	static const char stubborn[] = "trap 'echo told > /tmp/told' TERM; echo up;"
				       "while :; do sleep 0.05; done";
	_autosession_ struct session a, b;
	struct place p;

	place_start(&p);
	const struct run_options options = {.env = p.env};

	session_sbx(&a, &options, "--ro-bind", "/usr", "/usr", "--name", "a", SH(stubborn));
	session_sbx(&b, &options, "--ro-bind", "/usr", "/usr", "--name", "b", SH(stubborn));
	cr_assert(session_expect(&a, "up"));
	cr_assert(session_expect(&b, "up"));
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "-t", "1", "a", "b");
	struct run_result end_a = session_finish(&a), end_b = session_finish(&b);

	expect_out(stop, "");
	cr_expect_eq(end_a.status, 137, "%s", end_a.err);
	cr_expect_eq(end_b.status, 137, "%s", end_b.err);
	run_result_finish(&end_a);
	run_result_finish(&end_b);
	close(p.tree);
}

/* All are found before anything is done to any. */
Test(lifecycle, one_that_is_not_there_keeps_kill_from_the_others)
{
	_autosession_ struct session a, b;
	struct place p;

	place_start(&p);
	start_in(&p, &a, "--name", "a", "--");
	start_in(&p, &b, "--name", "b", "--");
	cr_assert(session_expect(&a, "up"));
	cr_assert(session_expect(&b, "up"));
	_autorun_ struct run_result none = sbx_in(&p, "kill", "a", "no-such", "b");
	_autorun_ struct run_result all = sbx_in(&p, "kill", "-s", "KILL", "a", "b");
	struct run_result end_a = session_finish(&a), end_b = session_finish(&b);

	expect_failure(none, 1, "no-such: no running sandbox");
	expect_success(all);
	cr_expect_eq(end_a.status, 137, "%s", end_a.err);
	cr_expect_eq(end_b.status, 137, "%s", end_b.err);
	run_result_finish(&end_a);
	run_result_finish(&end_b);
	close(p.tree);
}

/* ---- a full runtime directory ---- */

/*
 * A tmpfs over the runtime directory, with no more than `room`, in which a sandbox is started
 * that cannot do without a record. Prints the status, and what is left.
 */
#define start_in_full_dir(place, room, option)                                                     \
	run_argv(&((struct run_options){.env = (place)->env}),                                     \
		 (const char *const[]){                                                            \
			 "unshare", "-Urm", "sh", "-c",                                            \
			 "mount -t tmpfs -o mode=700,$1 none \"$XDG_RUNTIME_DIR\" && cd "          \
			 "\"$XDG_RUNTIME_DIR\" && mkdir -p sbx/boxes && chmod 700 sbx/boxes &&"    \
			 "{ test $1 = nr_inodes=4 || head -c 1M /dev/zero > full; : ; } 2>&-;"     \
			 "\"$0\" --ro-bind /usr /usr \"$2\" true; echo status $?;"                 \
			 "find sbx/boxes ! -type d",                                               \
			 sbx_program(), (room), (option), NULL})

/* Refused, with what is full and what to do about it; nothing is left, half a record least. */
Test(lifecycle, a_full_runtime_directory_is_an_error_that_leaves_nothing)
{
	static const char *const options[] = {"--detach", "--name=web", "--keep-record"};
	static const char *const rooms[] = {"nr_inodes=4", "size=4k"};
	struct place p;

	place_start(&p);
	for (size_t i = 0; i < ARRAY_SIZE(options) * ARRAY_SIZE(rooms); i++) {
		const char *option = options[i / ARRAY_SIZE(rooms)];
		const char *room = rooms[i % ARRAY_SIZE(rooms)];
		_autorun_ struct run_result r = start_in_full_dir(&p, room, option);

		cr_expect_str_eq(r.out, "status 125\n", "%s %s: %s", room, option, r.out);
		cr_expect(strstr(r.err, "No space left on device"), "%s %s: %s", room, option,
			  r.err);
		cr_expect(strstr(r.err, "sbx/boxes"), "%s %s: %s", room, option, r.err);
		cr_expect(strstr(r.err, "hint:"), "%s %s: %s", room, option, r.err);
	}
	close(p.tree);
}
