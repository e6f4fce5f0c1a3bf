/* SPDX-License-Identifier: MIT */
/* sbx attach: connect with the command of a detached sandbox, by pipes and by a terminal. */

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "boxes.h"
#include "shell.h"

#define attach_in(place, session, ...)                                                             \
	session_sbx((session), &((struct run_options){.env = (place)->env, .open_input = true}),   \
		    "attach", __VA_ARGS__)

static bool is_alone(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "-q");

	return r.out_len == 13;
}

static bool has_printed_end(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "logs", "-n", "2", "web");

	return strstr(r.out, "the end") != NULL;
}

/* ---- pipes ---- */

Test(attach, carries_all_three_and_the_exit_status)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, "--interactive",
			  SH("read -r line; echo \"out $line\"; echo \"err $line\" >&2; exit 7"));
	_autorun_ struct run_result r = run_sbx_with(
		&((struct run_options){.env = p.env, .input = "word\n"}), "attach", "web");

	expect_success(start);
	cr_expect_eq(r.status, 7, "%s", r.err);
	cr_expect_str_eq(r.out, "out word\n");
	cr_expect_str_eq(r.err, "err word\n");
}

/* A command that reads to the end sees it when the input of who is attached has ended. */
Test(attach, the_end_of_the_input_is_passed_on)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(&p, "-i", SH("cat; echo the end"));
	_autorun_ struct run_result r = run_sbx_with(
		&((struct run_options){.env = p.env, .input = "some\ntext"}), "attach", "web");

	expect_success(start);
	expect_out(r, "some\ntextthe end\n");
}

/* Without --interactive the command has no input, and that of who is attached is left alone. */
Test(attach, only_an_interactive_one_reads)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("cat; while :; do echo tick; sleep 0.05; done"));

	expect_success(start);
	attach_in(&p, &s, "web");
	cr_expect(session_expect(&s, "tick\n"));
	session_send(&s, "word\n");
	_autorun_ struct run_result kill = sbx_in(&p, "kill", "web");
	struct run_result end = session_finish(&s);

	expect_success(kill);
	cr_expect_eq(end.status, 143, "%s", end.err);
	cr_expect(!strstr(end.out, "word"), "%s", end.out);
	run_result_finish(&end);
}

/* Who goes without having come to the end of its own input leaves the command's open. */
Test(attach, input_stays_open_behind_one_that_has_only_watched)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p, "-i",
		SH("(while :; do echo tick; sleep 0.05; done) & read -r x && echo \"read $x\""));

	expect_success(start);
	attach_in(&p, &s, "--no-stdin", "--sig-proxy=false", "web");
	cr_assert(session_expect(&s, "tick\n"));
	cr_assert_eq(kill(s.pid, SIGINT), 0);
	struct run_result end = session_finish(&s);
	_autorun_ struct run_result r = run_sbx_with(
		&((struct run_options){.env = p.env, .input = "word\n"}), "attach", "web");

	cr_expect_eq(end.status, 130, "%s", end.err);
	expect_success(r);
	cr_expect(strstr(r.out, "read word\n"), "%s", r.out);
	run_result_finish(&end);
}

Test(attach, signals_go_to_the_command)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("trap 'echo got; exit 4' USR1; trap 'echo again' HUP;"
				 "while :; do echo tick; sleep 0.05; done"));

	expect_success(start);
	attach_in(&p, &s, "web");
	cr_assert(session_expect(&s, "tick\n"));
	cr_assert_eq(kill(s.pid, SIGHUP), 0);
	cr_expect(session_expect(&s, "again\n"));
	cr_assert_eq(kill(s.pid, SIGUSR1), 0);
	cr_expect(session_expect(&s, "got\n"));
	struct run_result end = session_finish(&s);

	cr_expect_eq(end.status, 4, "%s", end.err);
	run_result_finish(&end);
}

Test(attach, without_sig_proxy_a_signal_is_our_own)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("while :; do echo tick; sleep 0.05; done"));

	expect_success(start);
	attach_in(&p, &s, "--sig-proxy", "false", "web");
	cr_assert(session_expect(&s, "tick\n"));
	cr_assert_eq(kill(s.pid, SIGTERM), 0);
	struct run_result end = session_finish(&s);

	cr_expect_eq(end.status, 143, "%s", end.err);
	cr_expect(is_alone(&p));
	run_result_finish(&end);
}

/* Far more than all buffers hold, to two at once: each gets all of it from where it came in. */
Test(attach, nothing_is_lost)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, "-i",
			  SH("while ! test -e /tmp/go; do echo tick; sleep 0.05; done; read -r x;"
			     "seq 1000000 1500000; echo the end"));
	_autofree_ char *file = tree_path(p.tree, "output");

	expect_success(start);
	session_start(&s, &((struct run_options){.env = p.env, .timeout_ms = 60000}),
		      (const char *const[]){SH("$0 attach --no-stdin web > $1"), sbx_program(),
					    file, NULL});
	_autorun_ struct run_result ready =
		run_program("/bin/sh", "-c", "until test -s $0; do sleep 0.02; done", file);
	_autorun_ struct run_result go = sbx_in(&p, "exec", "web", SH("echo > /tmp/go"));
	_autorun_ struct run_result r = run_sbx_with(
		&((struct run_options){.env = p.env, .input = "x\n", .timeout_ms = 60000}),
		"attach", "web");
	struct run_result end = session_finish(&s);
	_autorun_ struct run_result text = run_program("cat", file);
	const char *from = strstr(r.out, "1000000\n"), *other = strstr(text.out, "1000000\n");

	expect_success(go);
	/* What is said of a failure must not be all of this. */
	cr_expect_eq(r.status, 0, "%s", r.err);
	cr_expect_eq(end.status, 0, "%s", end.err);
	cr_assert(from && other);
	cr_expect_eq(strlen(from), 500001 * strlen("1000000\n") + strlen("the end\n"));
	cr_expect(strcmp(from, other) == 0, "the two have got different output");
	run_result_finish(&end);
}

/* One that does not read holds the command up only while it is there. */
Test(attach, one_that_is_killed_holds_nobody_up)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p, "-i",
		SH("echo up; read -r x; seq 1000000 1500000; echo the end; exec sleep 1000"));

	expect_success(start);
	attach_in(&p, &s, "web");
	session_send(&s, "x\n");
	cr_assert(session_expect(&s, "1000000\n"));
	cr_assert_eq(kill(s.pid, SIGSTOP), 0);
	cr_expect(!has_printed_end(&p), "all has been printed already");
	cr_assert_eq(kill(s.pid, SIGKILL), 0);
	cr_expect(wait_until(has_printed_end, &p));
}

Test(attach, only_a_detached_one_can_be_attached_to)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_in(&p, &s, "--name", "web", "--");
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result r = sbx_in(&p, "attach", "web");
	_autorun_ struct run_result none = sbx_in(&p, "attach", "other");
	_autorun_ struct run_result keys = sbx_in(&p, "attach", "--detach-keys", "ctrl-1", "web");
	_autorun_ struct run_result proxy = sbx_in(&p, "attach", "--sig-proxy", "no", "web");

	expect_failure(r, 125, "cannot be attached to");
	expect_failure(r, 125, "only one that was started with --detach can be");
	expect_failure(none, 125, "no running sandbox has this name");
	expect_failure(keys, 125, "must be letters or ctrl-LETTER");
	expect_failure(proxy, 125, "must be true or false");
	close(p.tree);
}

/* A monitor that is killed has no exit status to tell. */
Test(attach, the_end_of_the_monitor_is_an_error)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("while :; do echo tick; sleep 0.05; done"));
	_autorun_ struct run_result pid = sbx_in(&p, "ps", "--format", "{{.Pid}}");

	expect_success(start);
	attach_in(&p, &s, "web");
	cr_assert(session_expect(&s, "tick\n"));
	cr_assert_gt(atoi(pid.out), 1);
	cr_assert_eq(kill(atoi(pid.out), SIGKILL), 0);
	struct run_result end = session_finish(&s);

	expect_failure(end, 125, "its monitor was killed");
	run_result_finish(&end);
}

/* ---- a terminal ---- */

#define shell_in(place)                                                                            \
	detach_in((place), "-t", "--setenv", "PS1", "inner> ", "--setenv", "TERM", "dumb", "bash", \
		  "--norc", "--noediting", "-i")

static void attach_at_terminal(const struct place *p, struct session *session, const char *option)
{
	session_sbx(session,
		    &((struct run_options){.env = p->env, .pty = true, .rows = 30, .columns = 90}),
		    "attach", option, "web");
}

static bool is_raw(void *arg)
{
	const struct session *session = arg;
	struct termios termios;

	return tcgetattr(session->out, &termios) == 0 && !(termios.c_lflag & (ICANON | ECHO));
}

Test(attach, a_terminal_has_the_size_of_ours)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = shell_in(&p);

	expect_success(start);
	attach_at_terminal(&p, &s, "--sig-proxy=true");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "stty size; tty");
	expect_text(&s, "30 90\r\n/dev/pts/0");
	session_resize(&s, 40, 100);
	type_line(&s, "until test \"$(stty size)\" = '40 100'; do :; done; echo resi''zed");
	expect_text(&s, "resized");
	type_line(&s, "exit 9");
	struct run_result end = session_finish(&s);

	cr_expect_eq(end.status, 9, "%s", end.out);
	run_result_finish(&end);
}

Test(attach, keys_are_those_of_the_inner_terminal)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = shell_in(&p);

	expect_success(start);
	attach_at_terminal(&p, &s, "--sig-proxy=true");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "sh -c 'echo rea\"\"dy; exec sleep 1000'");
	expect_text(&s, "ready");
	session_send(&s, "\003");
	expect_text(&s, "^C");
	type_line(&s, "echo sta''tus=$?; sh -c 'echo rea\"\"dy; exec sleep 1000'");
	expect_text(&s, "status=130");
	expect_text(&s, "ready");
	session_send(&s, "\032");
	expect_text(&s, "Stopped");
	type_line(&s, "kill %1; echo go''ne");
	expect_text(&s, "gone");
}

/* The terminal is as it was, the sandbox goes on, and can be come back to. */
Test(attach, detach_keys_leave_it_alone)
{
	_autosession_ struct session s, again, other;
	_autoplace_ struct place p;
	struct termios before, after;

	place_start(&p);
	_autorun_ struct run_result start = shell_in(&p);

	expect_success(start);
	shell_start(&s);
	cr_assert_eq(tcgetattr(s.out, &before), 0);
	char line[1024];

	snprintf(line, sizeof(line), "export %s; %s attach web", p.runtime, sbx_program());
	type_line(&s, line);
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "mark=her''e");
	session_send(&s, "\020\021");
	expect_text(&s, "sbx: detached from web");
	expect_status(&s, "0");
	cr_assert_eq(tcgetattr(s.out, &after), 0);
	cr_expect_eq(before.c_lflag, after.c_lflag);
	cr_expect_eq(before.c_oflag, after.c_oflag);
	cr_expect_eq(before.c_iflag, after.c_iflag);
	cr_expect(is_alone(&p));

	attach_at_terminal(&p, &again, "--detach-keys=ctrl-a,d");
	cr_assert(wait_until(is_raw, &again));
	type_line(&again, "echo mark=$mark");
	expect_text(&again, "mark=here");
	session_send(&again, "\001d");
	struct run_result end = session_finish(&again);

	expect_success(end);
	run_result_finish(&end);
	/* Where there are no such keys they are the command's (its terminal takes Ctrl-Q itself).
	 */
	attach_at_terminal(&p, &other, "--detach-keys=");
	cr_assert(wait_until(is_raw, &other));
	type_line(&other, "echo rea''dy; cat -v");
	expect_text(&other, "ready");
	session_send(&other, "\020\021x\n");
	expect_text(&other, "^Px");
}

/* What draws on a terminal draws again for somebody who comes, though the size is the same. */
Test(attach, a_program_is_told_to_draw_again)
{
	_autosession_ struct session s, again;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p, "--pty",
		SH("trap 'echo drawn' WINCH; echo the end; while :; do sleep 0.05; done"));

	expect_success(start);
	cr_assert(wait_until(has_printed_end, &p));
	attach_at_terminal(&p, &s, "--sig-proxy=true");
	expect_text(&s, "drawn");
	session_send(&s, "\020\021");
	struct run_result end = session_finish(&s);

	expect_success(end);
	run_result_finish(&end);
	attach_at_terminal(&p, &again, "--sig-proxy=true");
	expect_text(&again, "drawn");
}

/* Nobody could continue a command that is stopped by a key: the key has no effect. */
Test(attach, a_command_alone_on_its_terminal_is_not_suspended)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p, "--pty", SH("read -r a; echo \"one $a\"; read -r b; echo \"two $b\""));

	expect_success(start);
	attach_at_terminal(&p, &s, "--sig-proxy=true");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "x");
	expect_text(&s, "one x");
	session_send(&s, "\032");
	expect_text(&s, "^Z");
	type_line(&s, "y");
	expect_text(&s, "two y");
	struct run_result end = session_finish(&s);

	expect_success(end);
	run_result_finish(&end);
}

/* What is printed on the terminal is logged, and the terminal has a size without anybody's. */
Test(attach, a_terminal_is_there_without_anybody)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p, "--pty", SH("stty size; tty; echo err >&2; echo the end; exec sleep 1000"));

	expect_success(start);
	cr_assert(wait_until(has_printed_end, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");

	expect_out(logs, "24 80\r\n/dev/pts/0\r\nerr\r\nthe end\r\n");
}

/* Whose terminal hangs up is no longer attached; the command goes on. */
Test(attach, a_terminal_that_hangs_up_is_not_the_commands)
{
	_autosession_ struct session s, again;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = shell_in(&p);

	expect_success(start);
	attach_at_terminal(&p, &s, "--sig-proxy=true");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "mark=her''e; echo se''t");
	expect_text(&s, "set");
	session_stop(&s);
	attach_at_terminal(&p, &again, "--sig-proxy=true");
	cr_assert(wait_until(is_raw, &again));
	type_line(&again, "echo mark=$mark");
	expect_text(&again, "mark=here");
}

/* In the background it stops, as whatever reads from the terminal; in front it goes on. */
Test(attach, job_control_is_that_of_the_shell)
{
	_autosession_ struct session s;
	_autoplace_ struct place p;
	char line[1024];

	place_start(&p);
	_autorun_ struct run_result start = shell_in(&p);

	expect_success(start);
	shell_start(&s);
	snprintf(line, sizeof(line), "export %s; %s attach web &", p.runtime, sbx_program());
	type_line(&s, line);
	type_line(&s, "until jobs | grep Stop''ped; do :; done");
	expect_text(&s, "Stopped");
	type_line(&s, "fg");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "mark=her''e; echo se''t");
	expect_text(&s, "set");
	/* Not a key: somebody stops it. The shell has its terminal back, and the job can go on. */
	_autorun_ struct run_result stop =
		run_program("sh", "-c", "kill -TSTP $(pgrep -P $0 -x sbx)",
			    (snprintf(line, sizeof(line), "%d", s.pid), line));
	expect_success(stop);
	expect_text(&s, "Stopped");
	type_line(&s, "bg; until jobs | grep Stop''ped; do :; done");
	expect_text(&s, "Stopped");
	type_line(&s, "fg");
	cr_assert(wait_until(is_raw, &s));
	type_line(&s, "echo mark=$mark");
	expect_text(&s, "mark=here");
	type_line(&s, "exit 6");
	expect_text(&s, "outer> ");
	expect_status(&s, "6");
}
