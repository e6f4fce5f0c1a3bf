/* SPDX-License-Identifier: MIT */
/*
 * e2e pty: --pty, a terminal of the sandbox's own that sbx relays to the caller's.
 * See shell.h for how it is typed at.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>

#include "e2e.h"
#include "shell.h"

/* ---- the terminal outside ---- */

static struct termios termios_of(const struct session *session)
{
	struct termios termios;

	memset(&termios, 0, sizeof(termios));
	cr_assert_eq(tcgetattr(session->out, &termios), 0);
	return termios;
}

static bool termios_same(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc)) == 0;
}

static bool is_taken(void *session)
{
	return !(termios_of(session).c_lflag & ICANON);
}

/* A key that is typed before the shell has handed the terminal over is the shell's. */
#define expect_taken(session) cr_assert(wait_until(is_taken, (session)), "the terminal is not raw")

/* ---- what is inside ---- */

Test(pty, the_command_has_a_terminal_of_the_sandboxs_own)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "$SBX --pty -- sh -c 'tty; for fd in 0 1 2; do readlink /proc/self/fd/$fd;"
		  " done; ls -m /dev/pts; test -c /dev/console && echo > /dev/console"
		  " con''sole; echo t=$TERM; echo to-t''ty > /dev/tty; exit 7'");
	expect_text(&session,
		    "/dev/pts/0\r\n/dev/pts/0\r\n/dev/pts/0\r\n/dev/pts/0\r\n0, ptmx\r\n");
	expect_text(&session, "console");
	expect_text(&session, "t=dumb");
	expect_text(&session, "to-tty");
	expect_text(&session, "outer> ");
	expect_status(&session, "7");
}

Test(pty, what_is_redirected_stays_as_it_is)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "echo from-a-pi''pe | $SBX --pty -- sh -c 'cat; for fd in 0 1 2; do test"
		  " -t $fd && echo $fd is a tty; done; echo to-err''or >&2' | tr a-z A-Z");
	expect_text(&session, "outer> ");
	cr_expect(strstr(session.result.out, "to-error\r"), "%s", session.result.out);
	cr_expect(strstr(session.result.out, "FROM-A-PIPE\r\n"), "%s", session.result.out);
	cr_expect(strstr(session.result.out, "2 IS A TTY\r\n"), "%s", session.result.out);
	cr_expect_not(strstr(session.result.out, "0 IS A TTY\r\n"));
	cr_expect_not(strstr(session.result.out, "1 IS A TTY\r\n"));
	expect_status(&session, "0");
}

Test(pty, without_a_terminal_there_is_nothing_to_relay)
{
	_autorun_ struct run_result r = in_usr("--pty", "--", "true");
	_autorun_ struct run_result off = in_usr("--pty", "--no-pty", "--", "true");

	expect_failure(r, 125, "--pty: there is no terminal to relay");
	expect_failure(r, 125, "leave --pty out");
	expect_success(off);
}

Test(pty, it_goes_with_every_kind_of_sandbox)
{
	static const char *const options[] = {
		"--as-pid-1",
		"--share-pid",
		"--new-session",
		"--cap-add chown",
		"--dev-bind /dev /dev",
		"--root",
		("--no-base --proc /proc --symlink usr/lib /lib --symlink usr/lib64 /lib64"
		 " --symlink usr/bin /bin"),
		"--dev /other",
		"--on-exit=wait",
		"--seccomp=strict",
		"--map=single",
	};
	_autosession_ struct session session;

	shell_start(&session);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char line[512];

		snprintf(line, sizeof(line),
			 "$SBX --pty %s -- sh -c 'test -t 0 && test -t 1 && test -t 2 && stty size;"
			 " echo > /proc/self/fd/1 n=%zu; read -r x; echo got=$x; exit 6'",
			 options[i], i);
		type_line(&session, line);
		snprintf(line, sizeof(line), "24 200\r\nn=%zu\r\n", i);
		expect_text(&session, line);
		type_line(&session, "word");
		expect_text(&session, "got=word");
		expect_text(&session, "outer> ");
		expect_status(&session, "6");
	}
}

Test(pty, another_user_can_open_the_terminal_by_name)
{
	_autosession_ struct session session;
	_autorun_ struct run_result range = in_usr("--map=range", "--", "true");

	skip_unless(range.status == 0, "no range of ids for this user");
	shell_start(&session);
	type_line(&session, "$SBX --pty --map=range --user 1 -- sh -c 'id -u; echo by-na''me >"
			    " /dev/pts/0; exit 5'");
	expect_text(&session, "1\r\nby-name");
	expect_text(&session, "outer> ");
	expect_status(&session, "5");
}

/* ---- job control ---- */

Test(pty, ctrl_c_ends_the_command)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --pty -- sh -c 'echo rea''dy; exec sleep 300'");
	expect_text(&session, "ready");
	session_send(&session, "\003");
	expect_text(&session, "^C");
	expect_text(&session, "outer> ");
	expect_status(&session, "130");
}

Test(pty, ctrl_z_stops_and_fg_goes_on)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "$SBX --pty -- sh -c 'echo rea''dy; read -r line; echo li''ne=$line; exit 4'");
	expect_text(&session, "ready");
	for (int i = 0; i < 2; i++) {
		session_send(&session, "\032");
		expect_text(&session, "Stopped");
		expect_text(&session, "outer> ");
		type_line(&session, "jobs; echo between; fg");
		expect_text(&session, "Stopped");
		expect_text(&session, "between\r\n");
		expect_text(&session, "exit 4'\r\n");
		expect_taken(&session);
	}
	type_line(&session, "hello");
	expect_text(&session, "line=hello");
	expect_text(&session, "outer> ");
	expect_status(&session, "4");
}

Test(pty, a_full_screen_program_is_suspended_and_taken_back)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --pty --env TERM=vt100 --env LESS= -- less /usr/include/stdio.h"
			    " || echo less-is-miss''ing");
	expect_text(&session, "Free Software Foundation");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "echo betw''een; fg");
	expect_text(&session, "between");
	expect_text(&session, "Free Software Foundation"); /* drawn again */
	session_send(&session, "q");
	expect_text(&session, "outer> ");
	expect_status(&session, "0");
}

Test(pty, a_shell_inside_has_jobs_of_its_own)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --pty --setenv PS1 'in''ner> ' -- bash --norc --noediting -i");
	expect_text(&session, "inner> ");
	cr_expect_not(strstr(session.result.out, "job control"), "%s", session.result.out);
	type_line(&session, "cat");
	type_line(&session, "one");
	expect_text(&session, "one\r\none\r\n");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "inner> ");
	type_line(&session, "fg");
	expect_text(&session, "cat\r\n");
	type_line(&session, "two");
	expect_text(&session, "two\r\ntwo\r\n");
	session_send(&session, "\003");
	expect_text(&session, "inner> ");
	type_line(&session, "suspend"); /* the shell itself, and sbx with it */
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "fg");
	expect_text(&session, "inner> ");
	type_line(&session, "exit 3");
	expect_text(&session, "outer> ");
	expect_status(&session, "3");
}

/* As the terminal would have done it: the script that sbx runs in stops too. */
Test(pty, a_script_around_sbx_is_stopped_with_it)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "sh -c \"$SBX --pty -- sh -c 'echo rea''dy; read -r x; exit 2'; echo"
			    " aft''er=\\$?\"");
	expect_text(&session, "ready");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "fg");
	type_line(&session, "x");
	expect_text(&session, "after=2");
	expect_text(&session, "outer> ");
}

/* Nobody could continue it: the key has no effect, as the kernel has it for such a group. */
Test(pty, what_leads_its_session_is_not_left_stopped)
{
	_autosession_ struct session session;

	session_sbx(&session, &(const struct run_options){.pty = true}, "--pty", "--ro-bind",
		    "/usr", "/usr", "--", "sh", "-c", "echo ready; read -r x; echo got=$x");
	expect_text(&session, "ready");
	session_send(&session, "\032");
	expect_text(&session, "^Z");
	session_send(&session, "word\n");
	expect_text(&session, "got=word");
}

Test(pty, in_the_background_it_prints_and_stops_when_it_reads)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "$SBX --pty -- sh -c 'echo prin''ted; read -r x; echo got=$x; exit 9' &");
	expect_text(&session, "printed");
	type_line(&session, "while ! jobs -s | grep -q pty; do sleep 0.05; done; echo sto''pped");
	expect_text(&session, "stopped");
	type_line(&session, "fg");
	expect_text(&session, "exit 9'\r\n");
	type_line(&session, "typed");
	expect_text(&session, "got=typed");
	expect_text(&session, "outer> ");
	expect_status(&session, "9");
}

Test(pty, a_running_job_can_be_taken_to_the_foreground)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	_autosession_ struct session session;
	char line[512];

	shell_start(&session);
	snprintf(line, sizeof(line),
		 "$SBX --pty --bind %s /t -- sh -c 'until test -e /t/go; do sleep 0.05; done;"
		 " read -r x; echo got=$x' &",
		 path);
	type_line(&session, line);
	expect_text(&session, "outer> ");
	type_line(&session, "fg");
	expect_text(&session, "got=$x'\r\n");
	cr_assert_geq(openat(tree, "go", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), 0);
	type_line(&session, "typed");
	expect_text(&session, "got=typed");
	expect_text(&session, "outer> ");
}

Test(pty, in_a_pipeline_the_keyboard_is_taken_when_it_is_read)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --pty -- sh -c 'read -r x; echo got=$x' | tr a-z A-Z");
	type_line(&session, "word");
	expect_text(&session, "GOT=WORD");
	expect_text(&session, "outer> ");
	/* And is left to the other one while it is not. */
	type_line(&session, "$SBX --pty -- sh -c 'echo rea''dy >&2; exec sleep 300' |"
			    " sh -c 'read -r x < /dev/tty; echo oth''er=$x'");
	expect_text(&session, "ready");
	type_line(&session, "mine");
	expect_text(&session, "other=mine");
	session_send(&session, "\003");
	expect_text(&session, "outer> ");
}

Test(pty, the_window_size_is_seen_and_its_changes_too)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --pty -- bash -c 'trap \"stty size; exit 8\" WINCH; stty size;"
			    " echo rea''dy; sleep 300 & wait'");
	expect_text(&session, "24 200");
	expect_text(&session, "ready");
	session_resize(&session, 50, 132);
	expect_text(&session, "50 132");
	expect_text(&session, "outer> ");
	expect_status(&session, "8");
	/* Also one that sbx was not there to see. */
	type_line(&session, "$SBX --pty -- sh -c 'echo rea''dy; read -r x; stty size'");
	expect_text(&session, "ready");
	session_send(&session, "\032");
	expect_text(&session, "outer> ");
	session_resize(&session, 33, 99);
	type_line(&session, "fg");
	type_line(&session, "");
	expect_text(&session, "33 99");
}

/* ---- the terminal is left as it was ---- */

static pid_t child_of(pid_t pid)
{
	char path[64];
	FILE *f;
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &child) != 1)
		child = 0;
	if (f)
		fclose(f);
	cr_assert_gt(child, 0, "no child of %d", pid);
	return child;
}

enum victim { NOBODY, SBX, PID_1, COMMAND };

/* A script, which itself never sets the terminal, runs sbx; then it is ended in one way. */
static void expect_restored(const char *options, enum victim victim, int sig, const char *status)
{
	_autosession_ struct session session;
	struct termios before, after;
	char script[1024], text[32];
	pid_t pid;

	snprintf(script, sizeof(script),
		 "stty -echoctl; echo be''gin; read -r x; %s --pty --ro-bind /usr /usr %s --"
		 " sh -c 'stty -echo raw; echo rea''dy; read -r x; exit 3'; echo ba''ck=$?; read "
		 "-r x",
		 sbx_program(), options);
	session_start(&session, &(const struct run_options){.pty = true},
		      (const char *const[]){"sh", "-c", script, NULL});
	expect_text(&session, "begin");
	before = termios_of(&session);
	session_send(&session, "\n");
	if (victim != NOBODY) {
		expect_text(&session, "ready");
		after = termios_of(&session);
		cr_expect_not(after.c_lflag & (ICANON | ISIG | ECHO), "it was not raw meanwhile");
		pid = child_of(session.pid);
		pid = victim >= PID_1 ? child_of(pid) : pid;
		pid = victim >= COMMAND ? child_of(pid) : pid;
		cr_assert_eq(kill(pid, sig), 0);
	}
	snprintf(text, sizeof(text), "back=%s", status);
	expect_text(&session, text);
	after = termios_of(&session);
	cr_expect(termios_same(&before, &after), "%s, victim %d, signal %d", options, victim, sig);
}

Test(pty, the_terminal_is_as_before_when_the_command_is_killed)
{
	expect_restored("", COMMAND, SIGKILL, "137");
	expect_restored("", COMMAND, SIGTERM, "143");
}

Test(pty, the_terminal_is_as_before_when_the_first_process_is_killed)
{
	expect_restored("", PID_1, SIGKILL, "125");
	expect_restored("--as-pid-1", PID_1, SIGKILL, "137");
	expect_restored("--share-pid", PID_1, SIGKILL, "125");
}

Test(pty, the_terminal_is_as_before_when_sbx_is_told_to_end)
{
	expect_restored("", SBX, SIGTERM, "143");
	expect_restored("", SBX, SIGHUP, "129");
	expect_restored("", SBX, SIGINT, "130");
}

Test(pty, the_terminal_is_as_before_when_the_launch_fails)
{
	expect_restored("--chdir /missing", NOBODY, 0, "125");
	expect_restored("--ro-bind /missing /m", NOBODY, 0, "125");
	expect_restored("-- missing", NOBODY, 0, "127");
}

Test(pty, the_terminal_is_as_before_while_the_command_is_stopped)
{
	_autosession_ struct session session;
	struct termios before, after;

	shell_start(&session);
	before = termios_of(&session);
	type_line(&session, "$SBX --pty -- sh -c 'stty -echo; echo rea''dy; read -r x; stty -a |"
			    " grep -o .echo; echo li''ne=$x'");
	expect_text(&session, "ready");
	session_send(&session, "\032");
	expect_text(&session, "outer> ");
	after = termios_of(&session);
	cr_expect(termios_same(&before, &after));
	type_line(&session, "fg");
	type_line(&session, "silent");
	expect_text(&session, "-echo");
	expect_text(&session, "line=silent");
	expect_text(&session, "outer> ");
	after = termios_of(&session);
	cr_expect(termios_same(&before, &after));
}

/* A terminal that is closed: the command hears of it as if it were there. */
Test(pty, a_terminal_that_is_gone_is_a_hang_up_inside)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	_autosession_ struct session session;
	struct pollfd end;

	session_sbx(&session, &(const struct run_options){.pty = true}, "--pty", "--ro-bind",
		    "/usr", "/usr", "--bind", path, "/t", "--", "bash", "-c",
		    "trap 'echo x > /t/told; exit' HUP; echo ready; while :; do sleep 0.05; done");
	expect_text(&session, "ready");
	close(take_fd(&session.in));
	close(take_fd(&session.out));
	end = (struct pollfd){.fd = session.pidfd, .events = POLLIN};
	cr_assert_eq(poll(&end, 1, test_deadline(TEST_TIMEOUT_MS)), 1);
	cr_expect(tree_exists(tree, "told"));
}

/* ---- bytes ---- */

/* 10 MB, the last of them printed right before the end. */
Test(pty, all_that_is_printed_arrives)
{
	enum { LINES = 1300000 };
	static const struct run_options options = {.pty = true, .timeout_ms = 120000};
	_autosession_ struct session session;
	_autorun_ struct run_result r;
	const char *p;

	session_sbx(&session, &options, "--pty", "--ro-bind", "/usr", "/usr", "--", "seq",
		    "1300000");
	r = session_finish(&session);
	cr_assert_eq(r.status, 0);
	cr_assert_not(r.timed_out);
	p = r.out;
	for (int i = 1; i <= LINES; i++) {
		char line[16];
		size_t len = (size_t)snprintf(line, sizeof(line), "%d\r\n", i);

		cr_assert_eq(strncmp(p, line, len), 0, "line %d", i);
		p += len;
	}
	cr_expect_eq(*p, '\0');
}

/* Who is left behind with the terminal open does not keep sbx from ending. */
Test(pty, children_with_the_terminal_do_not_keep_it)
{
	static const char script[] = "setsid sleep 300 & sleep 300 & echo ready";
	static const char *const options[] = {"--map=single", "--share-pid"};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		_autosession_ struct session session;
		_autorun_ struct run_result r;

		session_sbx(&session, &(const struct run_options){.pty = true}, "--pty",
			    "--ro-bind", "/usr", "/usr", options[i], "--", "sh", "-c", script);
		r = session_finish(&session);
		cr_expect_eq(r.status, 0);
		cr_expect_not(r.timed_out);
		cr_expect_str_eq(r.out, "ready\r\n");
	}
}

/* Write all, in as many pieces as the terminal takes, whatever it says meanwhile. */
static void paste(struct session *session, const char *data, size_t len)
{
	while (len > 0) {
		struct pollfd pfd = {.fd = session->in, .events = POLLOUT};
		ssize_t n;

		cr_assert_eq(poll(&pfd, 1, test_deadline(TEST_TIMEOUT_MS)), 1, "%zu are left", len);
		n = write(session->in, data, len);
		cr_assert(n > 0 || errno == EAGAIN, "write: %s", strerror(errno));
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

Test(pty, a_large_paste_of_any_bytes_arrives)
{
	enum { BYTES = 200000 };
	_autosession_ struct session session;
	_autofree_ char *data = malloc(BYTES);
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	_autofree_ char *got = NULL;
	_autoclose_ int fd = -1;

	for (size_t i = 0; i < BYTES; i++)
		data[i] = (char)((i * 7 + i / 256) & 0xff);
	session_sbx(&session, &(const struct run_options){.pty = true}, "--pty", "--ro-bind",
		    "/usr", "/usr", "--bind", path, "/t", "--", "sh", "-c",
		    "stty raw -echo; echo ready; head -c 200000 > /t/got; echo end");
	expect_text(&session, "ready");
	paste(&session, data, BYTES);
	expect_text(&session, "end");
	got = malloc(BYTES + 1);
	fd = openat(tree, "got", O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, got, BYTES + 1), BYTES);
	cr_expect_eq(memcmp(got, data, BYTES), 0);
}
