/* SPDX-License-Identifier: MIT */
/* --keep-record: what is known of a sandbox that has ended, and sbx rm. */

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "boxes.h"

#define keep_in(place, name, ...)                                                                  \
	sbx_in((place), "--ro-bind", "/usr", "/usr", "--detach", "--keep-record", "--name",        \
	       (name), __VA_ARGS__)

static bool none_runs(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "-q");

	return r.status == 0 && r.out_len == 0;
}

static char *files_of(const struct place *p)
{
	_autorun_ struct run_result r =
		run_program("ls", "-A", p->runtime + strlen("XDG_RUNTIME_DIR="), "-R");

	return strdup(r.out);
}

Test(kept, how_each_ended)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result a = keep_in(&p, "exited", SH("exit 3"));
	_autorun_ struct run_result b = keep_in(&p, "killed", "sleep", "1000");
	_autorun_ struct run_result c = keep_in(&p, "failed", "no-such-program");
	_autorun_ struct run_result d = keep_in(&p, "lost", "sleep", "1000");
	_autorun_ struct run_result e = sbx_in(&p, "--ro-bind", "/usr", "/usr", "--keep-record",
					       "--name", "front", SH("exit 5"));
	_autorun_ struct run_result pid =
		sbx_in(&p, "ps", "--filter", "name=lost", "--format", "{{.Pid}}");
	_autorun_ struct run_result kill_b = sbx_in(&p, "kill", "-s", "KILL", "killed");

	expect_success(a);
	expect_success(b);
	expect_failure(c, 127, "no such command on PATH");
	expect_success(d);
	cr_expect_eq(e.status, 5);
	expect_success(kill_b);
	cr_assert_gt(atoi(pid.out), 1);
	cr_assert_eq(kill(atoi(pid.out), SIGKILL), 0);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result list =
		sbx_in(&p, "ps", "-a", "--format", "{{.Name}}={{.Status}}/{{.ExitCode}}.");
	_autorun_ struct run_result plain = sbx_in(&p, "ps", "--all");
	_autorun_ struct run_result one =
		sbx_in(&p, "ps", "-aq", "--filter", "status=exited", "--filter", "name=exited");
	_autorun_ struct run_result codes =
		sbx_in(&p, "wait", "exited", "killed", "failed", "front");
	_autorun_ struct run_result lost = sbx_in(&p, "wait", "lost");

	cr_expect(strstr(list.out, "exited=exited/3.\n"), "%s", list.out);
	cr_expect(strstr(list.out, "killed=killed/137.\n"), "%s", list.out);
	cr_expect(strstr(list.out, "failed=failed/127.\n"), "%s", list.out);
	cr_expect(strstr(list.out, "lost=lost/.\n"), "%s", list.out);
	cr_expect(strstr(list.out, "front=exited/5.\n"), "%s", list.out);
	cr_expect(strstr(plain.out, "EXIT"), "%s", plain.out);
	expect_out(one, a.out);
	expect_out(codes, "3\n137\n127\n5\n");
	expect_failure(lost, 1, "nobody knows an exit code");
}

Test(kept, can_be_looked_into)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		keep_in(&p, "web", SH("echo one; echo bad >&2; exit 3"));

	expect_success(start);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result follow = sbx_in(&p, "logs", "-f", "-n", "5", "web");
	_autorun_ struct run_result inspect = run_argv(
		&((struct run_options){.env = p.env}),
		(const char *const[]){SH("$0 inspect web | python3 -c 'import json,sys; b = "
					 "json.load(sys.stdin)[0];"
					 "print(b[\"name\"], b[\"status\"], b[\"exit-code\"],"
					 " b[\"ended-ms\"] >= b[\"created-ms\"], b[\"command\"][0],"
					 " b[\"plan\"][\"sbx-plan\"])'"),
				      sbx_program(), NULL});

	expect_out(logs, "one\n");
	cr_expect_str_eq(logs.err, "bad\n");
	expect_out(follow, "one\n");
	expect_out(inspect, "web exited 3 True /bin/sh 1\n");
}

/* One that cannot be told of does not cut off what is told of another. */
Test(kept, inspect_ends_whole_where_a_record_is_damaged)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result good = keep_in(&p, "good", SH("exit 0"));
	_autorun_ struct run_result bad = keep_in(&p, "bad", SH("exit 0"));

	expect_success(good);
	expect_success(bad);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result damage = run_argv(
		&((struct run_options){.env = p.env}),
		(const char *const[]){SH("for f in \"$XDG_RUNTIME_DIR\"/sbx/boxes/*=bad+kept; do "
					 ": >\"$f\"; done"),
				      NULL});
	_autorun_ struct run_result inspect = sbx_in(&p, "inspect", "good", "bad");
	_autorun_ struct run_result names =
		run_argv(&((struct run_options){.env = p.env}),
			 (const char *const[]){
				 SH("$0 inspect good bad 2>/dev/null | python3 -c 'import json,sys;"
				    "print([b[\"name\"] for b in json.load(sys.stdin)])'"),
				 sbx_program(), NULL});

	expect_success(damage);
	expect_failure(inspect, 1, "what was kept of it is not what sbx has written");
	expect_out(names, "['good']\n");
}

/* What of the record, as Python prints it; @expression is of `b`. */
static struct run_result inspect_in(const struct place *p, const char *expression)
{
	_autofree_ char *text = NULL;

	cr_assert_gt(asprintf(&text,
			      "$0 inspect web | python3 -c 'import json,sys; b = "
			      "json.load(sys.stdin)[0]; print(%s)'",
			      expression),
		     0);
	return run_argv(&(struct run_options){.env = p->env},
			(const char *const[]){SH(text), sbx_program(), NULL});
}

/* Nobody is there to read standard error: it is in the log, and the record says what ended it. */
Test(kept, what_sbx_says_at_the_end_is_there)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		keep_in(&p, "web", "--stats", "--timeout", "0.5", "--kill-after", "0",
			SH("printf half >&2; exec sleep 1000"));

	expect_success(start);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result inspect =
		inspect_in(&p, "b[\"status\"], b[\"exit-code\"], b[\"reason\"],"
			       " b[\"resources\"][\"wall-ms\"] >= 500, sorted(b[\"resources\"])");

	expect_out(logs, "");
	cr_expect(strstr(logs.err, "half\nsbx: --timeout: the time is up, the sandbox was killed\n"
				   "sbx: used: time "),
		  "%s", logs.err);
	cr_expect_eq(logs.err[logs.err_len - 1], '\n');
	expect_out(inspect, "exited 124 the time is up, the sandbox was killed True "
			    "['max-rss-kb', 'system-ms', 'user-ms', 'wall-ms']\n");
}

/* So it is with a failure of sbx's own, when who started it has gone. */
Test(kept, a_late_failure_is_in_the_log)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = keep_in(&p, "web", "sleep", "1000");
	_autorun_ struct run_result init = run_argv(
		&((struct run_options){.env = p.env}),
		(const char *const[]){SH("kill -9 $($0 inspect web | sed -n '/\"init\"/,/}/"
					 "s/.*\"pid\": *\\([0-9]*\\).*/\\1/p')"),
				      sbx_program(), NULL});

	expect_success(start);
	expect_success(init);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result inspect =
		inspect_in(&p, "b[\"status\"], b[\"exit-code\"], b[\"reason\"]");

	cr_expect_eq(
		strncmp(logs.err, "sbx: the sandbox's first process was killed by signal 9\n", 56),
		0, "%s", logs.err);
	expect_out(inspect, "failed 125 the sandbox's first process was killed by signal 9\n");
}

/* The warning is repeated where it can be read. */
Test(kept, that_there_are_no_limits_is_in_the_log)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start =
		keep_in(&p, "web", "--memory", "64M", "--limits=try", SH("echo ran >&2"));

	expect_success(start);
	skip_unless(strstr(start.err, "sbx: no limits are set: "), "limits can be set here");
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");

	cr_expect_eq(strncmp(logs.err, "ran\nsbx: no limits are set: ", 28), 0, "%s", logs.err);
}

/* An ordinary end has no reason; what was used is told all the same. */
Test(kept, what_was_used_is_kept_without_being_asked_for)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = keep_in(&p, "web", SH("exit 3"));

	expect_success(start);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result logs = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result inspect = inspect_in(
		&p, "b[\"exit-code\"], b[\"reason\"], b[\"resources\"][\"max-rss-kb\"] > 0");

	cr_expect_str_eq(logs.err, "");
	expect_out(inspect, "3 None True\n");
}

/* What acts on a sandbox says that there is none any more. */
Test(kept, cannot_be_acted_on)
{
	static const char *const verbs[] = {"kill", "stop", "top", "attach"};
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = keep_in(&p, "web", "true");

	expect_success(start);
	cr_assert(wait_until(none_runs, &p));
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		_autorun_ struct run_result r = sbx_in(&p, verbs[i], "web");

		cr_expect_neq(r.status, 0, "%s", verbs[i]);
		cr_expect(strstr(r.err, "web: has ended"), "%s: %s", verbs[i], r.err);
	}
	_autorun_ struct run_result exec = sbx_in(&p, "exec", "web", "true");

	expect_failure(exec, 125, "web: has ended");
}

Test(kept, rm_removes_it_all)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result a = keep_in(&p, "web", SH("echo hello"));
	_autorun_ struct run_result b = keep_in(&p, "other", "sleep", "1000");

	expect_success(a);
	expect_success(b);
	_autorun_ struct run_result wait = sbx_in(&p, "wait", "web");
	_autorun_ struct run_result running = sbx_in(&p, "rm", "web", "other");
	_autorun_ struct run_result still = sbx_in(&p, "logs", "web");
	_autorun_ struct run_result all = sbx_in(&p, "rm", "--all");
	_autorun_ struct run_result list = sbx_in(&p, "ps", "-a", "--format", "{{.Name}}");
	_autorun_ struct run_result force = sbx_in(&p, "rm", "-f", "other");
	_autorun_ struct run_result none = sbx_in(&p, "rm", "other");
	_autofree_ char *files = files_of(&p);

	expect_failure(running, 1, "other: is running");
	expect_out(still, "hello\n");
	expect_success(all);
	expect_out(list, "other\n");
	expect_out(force, "");
	expect_failure(none, 1, "no sandbox has this name");
	cr_expect(!strstr(files, "kept") && !strstr(files, "log") && !strstr(files, "web"), "%s",
		  files);
}

/* The name belongs to one that runs; of those that have ended, more than one may have it. */
Test(kept, a_name_can_be_used_again)
{
	_autoplace_ struct place p;

	place_start(&p);
	for (int i = 0; i < 2; i++) {
		_autorun_ struct run_result r = keep_in(&p, "web", SH("exit 4"));

		expect_success(r);
		cr_assert(wait_until(none_runs, &p));
	}
	_autorun_ struct run_result many = sbx_in(&p, "wait", "web");
	_autorun_ struct run_result start = keep_in(&p, "web", "sleep", "1000");
	_autorun_ struct run_result inspect = sbx_in(&p, "inspect", "web");
	_autorun_ struct run_result stop = sbx_in(&p, "kill", "-s", "KILL", "web");
	_autorun_ struct run_result all = sbx_in(&p, "ps", "-aq");

	expect_failure(many, 1, "more than one that has ended was called so");
	expect_success(start);
	cr_expect(strstr(inspect.out, "\"running\""), "%s", inspect.out);
	expect_success(stop);
	cr_expect_eq(all.out_len, 3 * 13, "%s", all.out);
}

/* Anybody who can write there can write nonsense: it is shown as nothing else. */
Test(kept, what_was_tampered_with_is_refused)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = keep_in(&p, "web", SH("echo hello"));

	expect_success(start);
	cr_assert(wait_until(none_runs, &p));
	_autorun_ struct run_result damage = run_argv(
		&((struct run_options){.env = p.env}),
		(const char *const[]){SH("cd \"$XDG_RUNTIME_DIR/sbx/boxes\"; f=$(echo *kept);"
					 "cp $f 0123456789ab=long+kept; printf '\\033]0;evil' >> "
					 "0123456789ab=long+kept;"
					 "ln -s /etc/passwd 0123456789ac=link+kept;"
					 "mkfifo 0123456789ad=fifo+kept;"
					 "head -c 100 $f > 0123456789ae=short+kept;"
					 "tr '\\001' '\\007' < $f > 0123456789af=version+kept"),
				      NULL});
	_autorun_ struct run_result list =
		sbx_in(&p, "ps", "-a", "--format", "{{.ID}} {{.Name}} {{.Status}}");
	_autorun_ struct run_result evil = sbx_in(&p, "inspect", "long");
	_autorun_ struct run_result link = sbx_in(&p, "inspect", "link");
	_autorun_ struct run_result fifo = sbx_in(&p, "inspect", "fifo");
	_autorun_ struct run_result cut = sbx_in(&p, "wait", "short");
	_autorun_ struct run_result version = sbx_in(&p, "wait", "version");
	_autorun_ struct run_result rm = sbx_in(&p, "rm", "--all");
	_autofree_ char *files = files_of(&p);

	expect_success(damage);
	cr_expect(strstr(list.out, "0123456789ab long exited\n"), "%s", list.out);
	cr_expect(strstr(list.out, "0123456789ac link lost\n"), "%s", list.out);
	cr_expect(strstr(list.out, "0123456789ae short lost\n"), "%s", list.out);
	expect_success(evil);
	cr_expect(!strchr(evil.out, '\033') && !strstr(evil.out, "sbx-plan"), "%s", evil.out);
	expect_failure(link, 1, "cannot read what was kept");
	expect_failure(fifo, 1, "is not what sbx has written");
	expect_failure(cut, 1, "is not what sbx has written");
	expect_failure(version, 1, "is not what sbx has written");
	expect_success(rm);
	cr_expect(!strstr(files, "kept"), "%s", files);
	cr_expect_eq(access("/etc/passwd", F_OK), 0);
}

/* With --map=auto a range that cannot be mapped has a second try: it leaves one record. */
Test(kept, there_is_one_for_each)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result r = sbx_in(&p, "--ro-bind", "/usr", "/usr", "--keep-record",
					       "--helper", "newuidmap=/bin/false", "true");
	_autorun_ struct run_result list = sbx_in(&p, "ps", "-aq");

	expect_success(r);
	cr_expect_eq(list.out_len, 13, "%s", list.out);
}

/* Something that is none of sbx's, in the place of a record. */
Test(kept, rm_goes_on_behind_one_that_cannot_be_removed)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result r = detach_in(&p, "--keep-record", SH("exit 0"));
	_autorun_ struct run_result wait = sbx_in(&p, "wait", "web");

	expect_success(r);
	expect_out(wait, "0\n");
	cr_assert_eq(mkdirat(p.tree, "run/sbx/boxes/000000000000=odd+kept", 0700), 0);
	_autorun_ struct run_result rm = sbx_in(&p, "rm", "--all");
	_autorun_ struct run_result ps = sbx_in(&p, "ps", "--all", "--format", "{{.Name}}");

	expect_failure(rm, 1, "000000000000: cannot remove what was kept of it");
	expect_out(ps, "odd\n");
}
