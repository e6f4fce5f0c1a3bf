/* SPDX-License-Identifier: MIT */
/* sbx exec: what a second command in a sandbox gets, and how it ends. */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boxes.h"
#include "shell.h"

#define start_named(place, session, ...)                                                           \
	do {                                                                                       \
		start_in((place), (session), "--name", "web", __VA_ARGS__);                        \
		cr_assert(session_expect((session), "up"), "%s", (session)->result.err);           \
	} while (0)

/* Lines of /proc/self/status that are about one process, and no privilege. */
#define STATUS                                                                                     \
	"grep -vE '^(Tgid|Ngid|Pid|PPid|NStgid|NSpid|NSpgid|NSsid|Vm|Rss|.*ctxt|Cpus|Mems|Sig|"    \
	"FDSize|Threads|State)' /proc/self/status"

/* The same of a sandbox's own command and of a second one, under many options. */
static void expect_equal_status(const struct place *p, const char *const *options)
{
	const char *argv[32] = {sbx_program(), "--ro-bind", "/usr", "/usr", "--name", "web"};
	const struct run_options run = {.env = p->env, .open_input = true};
	_autosession_ struct session s;
	size_t n = 6;

	for (; *options; options++)
		argv[n++] = *options;
	argv[n++] = "--";
	argv[n++] = "/bin/sh";
	argv[n++] = "-c";
	argv[n++] = "umask; id; " STATUS "; echo up; read -r line";
	argv[n] = NULL;
	session_start(&s, &run, argv);
	cr_assert(session_expect(&s, "\nup\n"), "%s: %s", argv[6], s.result.err);
	_autorun_ struct run_result r =
		sbx_in(p, "exec", "web", SH("umask; id; " STATUS "; echo up"));

	cr_expect_str_eq(r.out, s.result.out, "%s: %s%s%s", argv[6], r.out, s.result.out, r.err);
	cr_expect(strstr(r.out, "NoNewPrivs:\t1\n"), "%s", r.out);
	cr_expect(strstr(r.out, "CapBnd:"), "%s", r.out);
}

Test(exec, takes_exactly_the_privileges_of_the_command)
{
	static const char *const sets[][6] = {
		{"--map=auto"},
		{"--map=single"},
		{"--root"},
		{"--cap-add", "ALL"},
		{"--cap-add", "net_admin", "--map=single"},
		{"--allow-userns"},
		{"--seccomp=strict"},
		{"--seccomp=none"},
		{"--seccomp-allow", "@mount", "--multiarch"},
		{"--share-pid", "--share-net", "--share-ipc", "--share-uts"},
		{"--as-pid-1"},
		{"--new-session"},
	};
	struct place p;

	place_start(&p);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		expect_equal_status(&p, sets[i]);
	close(p.tree);
}

Test(exec, takes_the_ids_of_the_command)
{
	static const char *const options[] = {"--user", "3", NULL};
	static const char *const with_caps[] = {"--user", "3:4", "--cap-add", "chown", NULL};
	struct place p;

	place_start(&p);
	const struct run_options run = {.env = p.env};
	_autorun_ struct run_result range = in_usr_with(&run, "--map=range", "true");

	skip_unless(range.status == 0, "no id ranges can be mapped here");
	expect_equal_status(&p, options);
	expect_equal_status(&p, with_caps);
	close(p.tree);
}

/* The same filter: it refuses the same calls. */
Test(exec, is_held_by_the_filter)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--seccomp-deny", "chmod,fchmodat,fchmodat2", "--");
	_autorun_ struct run_result denied =
		sbx_in(&p, "exec", "web", SH("touch /tmp/f; chmod 700 /tmp/f || echo refused"));

	expect_out(denied, "refused\n");
	close(p.tree);
}

Test(exec, is_in_the_same_namespaces)
{
	static const char list[] =
		"cd /proc/self/ns && stat -Lc %i user mnt pid ipc uts cgroup net";
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	session_sbx(&s, &((struct run_options){.env = p.env, .open_input = true}), "--ro-bind",
		    "/usr", "/usr", "--name", "web", "--cap-add", "ALL",
		    SH("cd /proc/self/ns && stat -Lc %i user mnt pid ipc uts cgroup net; echo up; "
		       "read -r line"));
	cr_assert(session_expect(&s, "up"));
	_autorun_ struct run_result r = sbx_in(&p, "exec", "web", SH(list));

	expect_success(r);
	cr_expect_eq(strncmp(r.out, s.result.out, r.out_len), 0, "%s%s", r.out, s.result.out);
	close(p.tree);
}

Test(exec, has_the_environment_and_directory_of_the_command)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--setenv", "KEY", "value", "--chdir", "/usr/lib", "--");
	_autorun_ struct run_result plain =
		sbx_in(&p, "exec", "web", SH("echo $KEY $PWD; pwd; env | grep -c XDG_RUNTIME_DIR"));
	_autorun_ struct run_result other =
		sbx_in(&p, "exec", "-e", "KEY=other", "--env", "NEW=x=y", "-e", "XDG_RUNTIME_DIR",
		       "-e", "NONE", "-w", "/tmp", "web",
		       SH("echo $KEY $NEW ${NONE-unset} $PWD; env | grep -c XDG_RUNTIME_DIR"));
	_autorun_ struct run_result nowhere = sbx_in(&p, "exec", "-w", "/none", "web", "true");
	_autorun_ struct run_result wrong = sbx_in(&p, "exec", "-e", "=x", "web", "true");

	cr_expect_str_eq(plain.out, "value /usr/lib\n/usr/lib\n0\n", "%s", plain.err);
	expect_out(other, "other x=y unset /tmp\n1\n");
	expect_failure(nowhere, 125, "/none: cannot change to the working directory");
	expect_failure(wrong, 125, "must be NAME or NAME=VALUE");
	close(p.tree);
}

Test(exec, exit_codes_are_those_of_a_launch)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {{"exit 0", 0}, {"exit 42", 42}, {"kill -9 $$", 137}, {"kill -TERM $$", 143}};
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autorun_ struct run_result r = sbx_in(&p, "exec", "web", SH(cases[i].script));

		cr_expect_eq(r.status, cases[i].status, "%s: %d", cases[i].script, r.status);
	}
	_autorun_ struct run_result dashes = sbx_in(&p, "exec", "web", "--", SH("exit 43"));
	_autorun_ struct run_result twice =
		sbx_in(&p, "exec", "--", "web", "--", "printf", "%s\n", "--");
	_autorun_ struct run_result none = sbx_in(&p, "exec", "web", "--");
	_autorun_ struct run_result only_one = sbx_in(&p, "exec", "web", "--", "--", "true");
	_autorun_ struct run_result missing = sbx_in(&p, "exec", "web", "no-such-program");
	_autorun_ struct run_result not_executable = sbx_in(&p, "exec", "web", "/etc/passwd");
	_autorun_ struct run_result nobody = sbx_in(&p, "exec", "none", "true");
	_autorun_ struct run_result option = sbx_in(&p, "exec", "--none", "web", "true");

	cr_expect_eq(dashes.status, 43, "%d: %s", dashes.status, dashes.err);
	cr_expect_str_eq(twice.out, "--\n", "%s", twice.err);
	expect_failure(none, 125, "sbx exec needs more arguments");
	expect_failure(only_one, 127, "no such command on PATH");
	expect_failure(missing, 127, "no such command on PATH");
	expect_failure(not_executable, 126, "cannot execute");
	expect_failure(nobody, 125, "no running sandbox");
	expect_failure(option, 125, "sbx exec has no such option");
	close(p.tree);
}

Test(exec, standard_input_is_passed_on_where_asked_for)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	const struct run_options with_input = {.env = p.env, .input = "data\n"};
	_autorun_ struct run_result with = run_sbx_with(&with_input, "exec", "-i", "web", "cat");
	_autorun_ struct run_result without = run_sbx_with(&with_input, "exec", "web", "cat");

	expect_out(with, "data\n");
	expect_out(without, "");
	close(p.tree);
}

Test(exec, can_be_another_user_that_is_mapped)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	const struct run_options run = {.env = p.env};
	_autorun_ struct run_result range = in_usr_with(&run, "--map=range", "true");

	skip_unless(range.status == 0, "no id ranges can be mapped here");
	start_named(&p, &s, "--map=range", "--cap-drop", "ALL", "--");
	_autorun_ struct run_result five = sbx_in(
		&p, "exec", "--uid", "5:6", "web",
		SH("id -u; id -g; grep -E '^(CapPrm|CapBnd|NoNew|Seccomp:)' /proc/self/status"));
	_autorun_ struct run_result unmapped = sbx_in(&p, "exec", "-u", "99999999", "web", "true");
	_autorun_ struct run_result word = sbx_in(&p, "exec", "-u", "root", "web", "true");

	expect_out(five, "5\n6\nCapPrm:\t0000000000000000\nCapBnd:\t0000000000000000\n"
			 "NoNewPrivs:\t1\nSeccomp:\t2\n");
	expect_failure(unmapped, 125, "it must be mapped in the sandbox");
	expect_failure(word, 125, "must be UID[:GID]");
	close(p.tree);
}

/* ---- its life ---- */

Test(exec, ends_with_the_sandbox)
{
	_autosession_ struct session s, second;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	session_sbx(&second, &((struct run_options){.env = p.env}), "exec", "web",
		    SH("echo second; sleep 1000"));
	cr_assert(session_expect(&second, "second"));
	session_send(&s, "\n");
	struct run_result first = session_finish(&s), r = session_finish(&second);

	expect_success(first);
	cr_expect_eq(r.status, 128 + SIGKILL, "%d", r.status);
	run_result_finish(&first);
	run_result_finish(&r);
	close(p.tree);
}

static bool is_alone(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "--format", "{{.Processes}}");

	return strcmp(r.out, "1\n") == 0;
}

static bool are_two(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "ps", "--format", "{{.Processes}}");

	return strcmp(r.out, "2\n") == 0;
}

static bool is_asleep(void *arg)
{
	const struct place *p = arg;
	_autorun_ struct run_result r = sbx_in(p, "top", "web");

	return strstr(r.out, "sleep 1000") != NULL;
}

/* Both commands, with the numbers that they have inside. */
Test(exec, top_lists_who_is_in_there)
{
	_autosession_ struct session s, second;
	int outer, inner, n_lines = 0;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	session_sbx(&second, &((struct run_options){.env = p.env}), "exec", "web",
		    SH("echo second $$; exec sleep 1000"));
	cr_assert(session_expect(&second, "second") && session_expect(&second, "\n"));
	cr_assert(wait_until(is_asleep, &p));
	_autorun_ struct run_result r = sbx_in(&p, "top", "web");
	_autorun_ struct run_result none = sbx_in(&p, "top", "none");
	const char *sleep = strstr(r.out, "sleep 1000"), *line = sleep;

	expect_success(r);
	cr_expect(strstr(r.out, "/bin/sh -c 'echo up; read -r line'\n"), "%s", r.out);
	for (const char *at = r.out; (at = strchr(at, '\n')); at++)
		n_lines++;
	cr_expect_eq(n_lines, 3, "%s", r.out);
	cr_assert(sleep, "%s", r.out);
	while (line > r.out && line[-1] != '\n')
		line--;
	cr_assert_eq(sscanf(line, "%d %d", &outer, &inner), 2, "%s", line);
	cr_expect_neq(outer, inner);
	cr_expect_eq(inner, atoi(strstr(second.result.out, "second ") + 7), "%s", r.out);
	expect_failure(none, 1, "no running sandbox");
	close(p.tree);
}

/* However sbx exec ends; and ps counts those that have joined. */
Test(exec, ends_with_sbx)
{
	_autosession_ struct session s, second;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	session_sbx(&second, &((struct run_options){.env = p.env}), "exec", "web",
		    SH("echo second; exec sleep 1000"));
	cr_assert(session_expect(&second, "second"));
	cr_expect(wait_until(are_two, &p));
	cr_assert_eq(kill(second.pid, SIGKILL), 0);
	cr_expect(wait_until(is_alone, &p));
	close(p.tree);
}

Test(exec, signals_reach_the_second_command)
{
	_autosession_ struct session s, second;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	session_sbx(&second, &((struct run_options){.env = p.env}), "exec", "web",
		    SH("trap 'echo term; exit 9' TERM; echo second; while :; do sleep 0.05; done"));
	cr_assert(session_expect(&second, "second"));
	cr_assert_eq(kill(second.pid, SIGTERM), 0);
	struct run_result r = session_finish(&second);

	cr_expect_eq(r.status, 9, "%d", r.status);
	cr_expect(strstr(r.out, "term"), "%s", r.out);
	run_result_finish(&r);
	close(p.tree);
}

Test(exec, detached_goes_on_alone)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	_autorun_ struct run_result r =
		sbx_in(&p, "exec", "-d", "web", SH("echo data > /tmp/file; exec sleep 1000"));
	_autorun_ struct run_result missing = sbx_in(&p, "exec", "-d", "web", "no-such-program");

	expect_out(r, "");
	cr_expect(wait_until(are_two, &p));
	_autorun_ struct run_result file = sbx_in(&p, "exec", "web", SH("cat /tmp/file"));

	expect_out(file, "data\n");
	expect_failure(missing, 127, "no such command on PATH");
	close(p.tree);
}

/* Process 1 does not end before all in there are waited for, by whoever made them. */
Test(exec, one_that_is_stopped_does_not_hold_up_the_end)
{
	_autosession_ struct session s, second;
	struct place p;
	siginfo_t info;

	place_start(&p);
	start_named(&p, &s, "--");
	session_sbx(&second, &((struct run_options){.env = p.env}), "exec", "web",
		    SH("echo second; exec sleep 1000"));
	cr_assert(session_expect(&second, "second"));
	cr_assert_eq(kill(second.pid, SIGSTOP), 0);
	cr_assert_eq(waitid(P_PID, (id_t)second.pid, &info, WSTOPPED | WNOWAIT), 0);
	_autorun_ struct run_result r = sbx_in(&p, "kill", "-s", "KILL", "web");
	struct run_result ended = session_finish(&second);

	expect_success(r);
	cr_expect_eq(ended.status, 128 + SIGKILL, "%d", ended.status);
	run_result_finish(&ended);
	close(p.tree);
}

Test(exec, a_detached_one_does_not_hold_up_the_end)
{
	struct place p;

	/* Who is left to this process is never waited for. */
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	place_start(&p);
	_autorun_ struct run_result start = detach_in(&p, SH("exec sleep 1000"));
	_autorun_ struct run_result r = sbx_in(&p, "exec", "-d", "web", SH("exec sleep 1000"));
	_autorun_ struct run_result end = sbx_in(&p, "kill", "-s", "KILL", "web");

	expect_success(start);
	expect_success(r);
	expect_success(end);
	close(p.tree);
}

/* ---- what cannot be entered ---- */

Test(exec, a_filter_that_cannot_be_read_again_refuses_it)
{
	/* return SECCOMP_RET_ALLOW */
	static const unsigned char program[8] = {0x06, 0, 0, 0, 0, 0, 0xff, 0x7f};
	_autosession_ struct session s;
	int fds[2];
	struct place p;

	place_start(&p);
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	cr_assert_eq(write(fds[1], program, sizeof(program)), (ssize_t)sizeof(program));
	close(fds[1]);
	session_sbx(
		&s,
		&((struct run_options){.env = p.env, .open_input = true, .fds = {{fds[0], 10}}}),
		"--ro-bind", "/usr", "/usr", "--name", "web", "--seccomp", "10",
		SH("echo up; read -r line"));
	cr_assert(session_expect(&s, "up"), "%s", s.result.err);
	_autorun_ struct run_result r = sbx_in(&p, "exec", "web", "true");

	expect_failure(r, 125, "its filter came through a descriptor");
	cr_expect(strstr(r.err, "--seccomp FILE"), "%s", r.err);
	close(fds[0]);
	close(p.tree);
}

/* ---- terminals ---- */

static void shell_in(struct place *p, struct session *outer)
{
	char line[1024];

	shell_start(outer);
	snprintf(line, sizeof(line), "export %s", p->runtime);
	type_line(outer, line);
	snprintf(line, sizeof(line), "X='%s exec'", sbx_program());
	type_line(outer, line);
}

/* A shell inside has job control, and the outer one its terminal afterwards. */
Test(exec, a_shared_terminal_has_job_control)
{
	_autosession_ struct session s, outer;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	shell_in(&p, &outer);
	type_line(&outer, "$X -e PS1='in''ner> ' web bash --norc --noediting -i");
	expect_text(&outer, "inner> ");
	type_line(&outer, "sh -c 'echo slee\"\"ping; exec sleep 1000'");
	expect_text(&outer, "sleeping");
	session_send(&outer, "\003");
	type_line(&outer, "echo sta''tus=$?.");
	expect_text(&outer, "status=130.");
	type_line(&outer, "exit 5");
	expect_status(&outer, "5");
	close(p.tree);
}

Test(exec, a_command_is_suspended_and_goes_on)
{
	_autosession_ struct session s, outer;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	shell_in(&p, &outer);
	type_line(&outer, "$X web sh -c 'echo rea''dy; read -r line; echo got=$line.'");
	expect_text(&outer, "ready");
	session_send(&outer, "\032");
	expect_text(&outer, "Stopped");
	expect_status(&outer, "148");
	type_line(&outer, "fg");
	type_line(&outer, "word");
	expect_text(&outer, "got=word.");
	expect_status(&outer, "0");
	close(p.tree);
}

/* It has a name inside, is the command's own, and is as large as the caller's. */
Test(exec, a_terminal_of_its_own_is_one_of_the_sandbox)
{
	_autosession_ struct session s, outer;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	shell_in(&p, &outer);
	type_line(&outer, "$X -it web bash --norc -c 'tty; stty size; exit 6'");
	expect_text(&outer, "/dev/pts/0");
	expect_text(&outer, "24 200");
	expect_text(&outer, "outer> ");
	expect_status(&outer, "6");
	type_line(&outer, "$X -t web sh -c 'trap \"echo in''t; exit 7\" INT; echo rea''dy; "
			  "while :; do sleep 0.05; done'");
	expect_text(&outer, "ready");
	session_send(&outer, "\003");
	expect_text(&outer, "int");
	expect_text(&outer, "outer> ");
	expect_status(&outer, "7");
	close(p.tree);
}

Test(exec, a_terminal_of_its_own_needs_one)
{
	_autosession_ struct session s;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--");
	_autorun_ struct run_result r = sbx_in(&p, "exec", "-t", "web", "true");

	expect_failure(r, 125, "--tty: there is no terminal to relay");
	close(p.tree);
}

/* Where the filter would let it type into the caller's, it does not get that one. */
Test(exec, without_a_filter_the_terminal_is_its_own)
{
	_autosession_ struct session s, outer;
	struct place p;

	place_start(&p);
	start_named(&p, &s, "--seccomp=none", "--");
	shell_in(&p, &outer);
	type_line(&outer, "$X web tty");
	expect_text(&outer, "/dev/pts/0");
	expect_text(&outer, "outer> ");
	expect_status(&outer, "0");
	close(p.tree);
}

/* It is the command that was asked for, and not the sandbox's own. */
Test(exec, a_failure_names_its_own_command)
{
	_autoplace_ struct place p;

	place_start(&p);
	_autorun_ struct run_result start = detach_in(&p, SH("exec sleep 1000"));
	_autorun_ struct run_result r = sbx_in(&p, "exec", "web", "no-such-command");

	expect_success(start);
	expect_failure(r, 127, "execute no-such-command");
}
