/* SPDX-License-Identifier: MIT */
/* --detach, and sbx logs: a sandbox that goes on alone, and what it has printed. */

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "boxes.h"
#include "shell.h"

static bool has_ended(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "-q");

	return r.out_len == 0;
}

static bool has_printed_end(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "logs", "web");

	return strstr(r.out, "the end\n") != NULL;
}

Test(detach, prints_the_id_and_goes_on)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result r = detach_in(&p, SH("exec sleep 1000"));
	_autorun_ struct run_result ps =
		sbx_in(&p, "ps", "--format", "{{.ID}}\\n{{.Name}} {{.Status}}");

	expect_success(r);
	cr_expect_eq(r.out_len, 13, "%s", r.out);
	cr_expect_eq(strncmp(ps.out, r.out, 13), 0, "%s%s", ps.out, r.out);
	cr_expect_str_eq(ps.out + 13, "web running\n");
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "web");

	expect_out(stop, "");
	cr_expect(has_ended(&p));
}

/* The caller gets its terminal and descriptors back: a pipe that it reads from ends. */
Test(detach, holds_nothing_of_the_callers)
{
	_autoplace_ struct place p;
	int fds[2];

	place_start(&p);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	_autorun_ struct run_result r =
		run_sbx_with(&((struct run_options){.env = p.env, .fds = {{fds[1], 9}}}),
			     "--ro-bind", "/usr", "/usr", "-d", SH("exec sleep 1000"));
	char byte;

	/* run_sbx_with() has read its output to the end already. */
	expect_success(r);
	close(fds[1]);
	cr_expect_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

Test(detach, a_failure_to_start_is_that_of_a_launch)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result missing = detach_in(&p, "no-such-program");
	_autorun_ struct run_result source = detach_in(&p, "--ro-bind", "/none", "/x", "true");
	_autorun_ struct run_result denied = detach_in(&p, "/etc/passwd");
	_autorun_ struct run_result parent = detach_in(&p, "--die-with-parent", "true");
	_autorun_ struct run_result log = detach_in(&p, "--seccomp-log", "true");

	expect_failure(missing, 127, "no such command on PATH");
	expect_failure(source, 125, "--ro-bind /none /x: cannot open source");
	expect_failure(denied, 126, "cannot execute");
	expect_failure(parent, 125, "cannot be combined with --die-with-parent");
	expect_failure(log, 125, "cannot be combined with --seccomp-log");
	cr_expect_str_eq(missing.out, "");
	cr_expect(wait_until(has_ended, &p));
}

Test(detach, needs_a_record)
{
	struct place p;

	place_start(&p);
	cr_assert_eq(fchmodat(p.tree, "run", 0500, 0), 0);
	cr_assert_eq(fchmodat(p.tree, "home", 0500, 0), 0);
	_autorun_ struct run_result r =
		sbx_in(&p, "--ro-bind", "/usr", "/usr", "-d", SH("echo ran"));

	expect_failure(r, 125, "cannot record the sandbox");
	close(p.tree);
}

/* Who follows the log has what sbx says at the end too, without anything being kept. */
Test(detach, logs_follow_to_the_last_words)
{
	_autoplace_ struct place p;
	_autosession_ struct session follower;

	place_start(&p);
	_autorun_ struct run_result r = detach_in(&p, "--stats",
						  SH("echo up; trap 'echo bye; exit' TERM; "
						     "while :; do sleep 0.01; done"));

	expect_success(r);
	session_sbx(&follower, &((struct run_options){.env = p.env}), "logs", "-f", "web");
	cr_assert(session_expect(&follower, "up\n"));
	_autorun_ struct run_result stop = sbx_in(&p, "stop", "web");
	_autorun_ struct run_result end = session_finish(&follower);

	expect_success(stop);
	cr_expect_str_eq(end.out, "up\nbye\n");
	cr_expect_eq(strncmp(end.err, "sbx: used: time ", 16), 0, "%s", end.err);
}

/* A command that is at its end at once has been executed all the same. */
Test(detach, a_short_command_has_started)
{
	_autoplace_ struct place p;

	place_start(&p);
	for (int i = 0; i < 10; i++) {
		_autorun_ struct run_result r = detach_in(&p, SH("exit 3"));

		expect_success(r);
		cr_expect_eq(r.out_len, 13, "%s", r.out);
		cr_expect(wait_until(has_ended, &p));
	}
}

/* ---- logs ---- */

Test(detach, logs_print_what_was_printed)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("echo one; echo bad >&2; cat; echo the end; exec sleep 1000"));

	expect_success(start);
	cr_assert(wait_until(has_printed_end, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result tail = sbx_in(&p, "logs", "-n", "1", "web");
	_autorun_ struct run_result none = sbx_in(&p, "logs", "--tail", "0", "web");
	_autorun_ struct run_result times = sbx_in(&p, "logs", "-t", "web");
	_autorun_ struct run_result recent = sbx_in(&p, "logs", "--since", "1h", "web");
	_autorun_ struct run_result future = sbx_in(&p, "logs", "--since", "4102444800", "web");
	_autorun_ struct run_result wrong = sbx_in(&p, "logs", "--since", "soon", "web");
	/* The time as -t prints it, its parts, and with a zone: of before and of long after. */
	static const char *const before[] = {
		"2026-01-31T08:30:00.250", "2026-01-31T08:30",
		"2026-01-31 08:30:00",	   "2026-01-31",
		"2026-01-31T08:30:00Z",	   "2026-01-31T08:30:00+14:00"};
	static const char *const bad[] = {"2026-13-31", "2026-01-31T", "2026-01-31T25:00",
					  "2026-01-31T08:30:00x", "2026-01-31T08:30:00+1"};
	int year = 0;

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		char after[64];

		(void)snprintf(after, sizeof(after), "2099%s", before[i] + 4);
		_autorun_ struct run_result all = sbx_in(&p, "logs", "--since", before[i], "web");
		_autorun_ struct run_result nothing = sbx_in(&p, "logs", "--since", after, "web");

		expect_out(all, "one\nthe end\n");
		expect_out(nothing, "");
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_autorun_ struct run_result refused = sbx_in(&p, "logs", "--since", bad[i], "web");

		expect_failure(refused, 2, "must be like 90s");
	}
	expect_out(logs, "one\nthe end\n");
	cr_expect_str_eq(logs.err, "bad\n");
	expect_success(tail);
	cr_expect_eq(tail.out_len + tail.err_len, strlen("the end\n") - (tail.err_len ? 4 : 0),
		     "%s%s", tail.out, tail.err);
	expect_out(none, "");
	cr_expect(sscanf(times.out, "%d-", &year) == 1 && year > 2000, "%s", times.out);
	cr_expect(strstr(times.out, " one\n"), "%s", times.out);
	expect_out(recent, "one\nthe end\n");
	expect_out(future, "");
	expect_failure(wrong, 2, "must be like 90s");
}

Test(detach, logs_follow_to_the_end)
{
	_autosession_ struct session follower;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(
		&p,
		SH("trap 'printf last; exit 0' TERM; echo first; while :; do sleep 0.05; done"));

	expect_success(start);
	session_sbx(&follower, &((struct run_options){.env = p.env}), "logs", "-f", "web");
	cr_assert(session_expect(&follower, "first\n"));
	_autorun_ struct run_result kill = sbx_in(&p, "kill", "web");
	struct run_result end = session_finish(&follower);

	expect_success(kill);
	expect_out(end, "first\nlast");
	run_result_finish(&end);
}

/* Much more than is kept: what is printed holds nobody up, and the last of it is there. */
Test(detach, logs_are_limited)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("seq 1000000 2000000; echo the end; exec sleep 1000"));

	expect_success(start);
	cr_assert(wait_until(has_printed_end, &p));
	_autorun_ struct run_result last = sbx_in(&p, "logs", "-n", "2", "web");
	_autorun_ struct run_result all = sbx_in(&p, "logs", "web");

	expect_out(last, "2000000\nthe end\n");
	expect_success(all);
	cr_expect_lt(all.out_len, 4u << 20);
	cr_expect_gt(all.out_len, 1u << 20);
}

/* With --follow nothing is missing, although files are changed meanwhile. */
Test(detach, logs_follow_over_a_change_of_files)
{
	_autosession_ struct session follower;
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("echo go; read -r line < /tmp/fifo || mkfifo /tmp/fifo; "
				 "read -r line < /tmp/fifo; for i in 1 2 3 4 5 6; do "
				 "seq 100000 200000; sleep 0.2; done; echo the end"));

	expect_success(start);
	session_sbx(&follower, &((struct run_options){.env = p.env, .timeout_ms = 60000}), "logs",
		    "-f", "web");
	cr_assert(session_expect(&follower, "go\n"));
	_autorun_ struct run_result go =
		sbx_in(&p, "exec", "web",
		       SH("while ! test -p /tmp/fifo; do sleep 0.05; done; "
			  "echo > /tmp/fifo"));
	struct run_result end = session_finish(&follower);

	expect_success(go);
	expect_success(end);
	cr_expect_eq(end.out_len,
		     strlen("go\n") + 6 * 100001 * strlen("100000\n") + strlen("the end\n"), "%zu",
		     end.out_len);
	run_result_finish(&end);
}

Test(detach, only_detached_ones_have_a_log)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_in(&p, &s, "--name", "web", "--");
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result r = sbx_in(&p, "logs", "web");

	expect_failure(r, 1, "has no log");
	close(p.tree);
}

/* On a terminal what was printed does nothing to it. */
Test(detach, logs_are_harmless_on_a_terminal)
{
	_autosession_ struct session outer;
	_autoplace_ struct place p;
	char line[1024];

	place_start(&p);
	_autorun_ struct run_result start =
		detach_in(&p, SH("printf '\\033]0;title\\a\\n'; echo the end; exec sleep 1000"));

	expect_success(start);
	cr_assert(wait_until(has_printed_end, &p));
	shell_start(&outer);
	snprintf(line, sizeof(line), "export %s; %s logs web", p.runtime, sbx_program());
	type_line(&outer, line);
	expect_text(&outer, "\\x1b]0;title\\x07");
	expect_text(&outer, "the end");
	cr_expect(!strstr(outer.result.out, "\033]0;title"), "%s", outer.result.out);
}

static bool is_gone_from_disk(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result ps = sbx_in(p, "ps", "-q");
	_autorun_ struct run_result r =
		run_program("ls", "-A", p->runtime + strlen("XDG_RUNTIME_DIR="), "-R");

	return ps.out_len == 0 && !strstr(r.out, ".log") && !strstr(r.out, "web");
}

/* The log of a monitor that was killed goes with its record. */
Test(detach, nothing_is_left_of_one_that_was_killed)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(&p, SH("exec sleep 1000"));
	_autorun_ struct run_result pid = sbx_in(&p, "ps", "--format", "{{.Pid}}");

	expect_success(start);
	cr_expect(!is_gone_from_disk(&p));
	cr_assert_gt(atoi(pid.out), 1);
	cr_assert_eq(kill(atoi(pid.out), SIGKILL), 0);
	cr_expect(wait_until(is_gone_from_disk, &p));
}
