/* SPDX-License-Identifier: MIT */
/* e2e processes: signals, the end of everything, PID 1's duties, odd starting points. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/*
 * A process is recognised from outside by a word that it alone has as the first
 * of its arguments (bash's exec -a).
 */
struct marked {
	char word[64];
	size_t wanted; /* how many there shall be */
};

static struct marked mark(size_t wanted)
{
	struct marked marked = {.wanted = wanted};

	snprintf(marked.word, sizeof(marked.word), "sbx-marker-%d", getpid());
	return marked;
}

static bool process_is(const char *pid, const char *word)
{
	char path[PATH_MAX], text[128] = "";
	_autoclose_ int fd = -1;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	return len > (ssize_t)strlen(word) && strcmp(text, word) == 0;
}

static size_t count_marked(const char *word)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	cr_assert(proc);
	while ((entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			count += process_is(entry->d_name, word);
	closedir(proc);
	return count;
}

static bool marked_are_there(void *arg)
{
	const struct marked *marked = arg;

	return count_marked(marked->word) == marked->wanted;
}

/* A command that says ready, then runs one marked process that would take minutes. */
static char *waiting_script(const struct marked *marked, const char *before)
{
	char *script = NULL;

	cr_assert(asprintf(&script, "%s echo ready; exec -a %s sleep 300", before, marked->word) >
		  0);
	return script;
}

#define BASH(script) "--", "bash", "-c", (script)

Test(processes, signals_to_sbx_reach_the_command)
{
	const int signals[] = {SIGTERM, SIGHUP,	 SIGINT,  SIGQUIT,
			       SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		_autosession_ struct session session;
		_autorun_ struct run_result r = {0};
		char script[128];

		snprintf(script, sizeof(script),
			 "trap 'echo got %d; exit 5' %d; echo ready; sleep 300 & wait", signals[i],
			 signals[i]);
		session_sbx(&session, NULL, "--ro-bind", "/usr", "/usr", SH(script));
		cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
		kill(session.pid, signals[i]);
		cr_expect(session_expect(&session, "got"), "signal %d", signals[i]);
		r = session_finish(&session);
		cr_expect_eq(r.status, 5, "signal %d: %d", signals[i], r.status);
	}
}

Test(processes, a_signal_the_command_does_not_catch_ends_it)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_sbx(&session, NULL, "--ro-bind", "/usr", "/usr", BASH(script));
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	kill(session.pid, SIGTERM);
	r = session_finish(&session);
	cr_expect_eq(r.status, 128 + SIGTERM, "%d", r.status);
}

Test(processes, what_the_command_leaves_behind_ends_with_it)
{
	struct marked marked = mark(0);
	_autofree_ char *script = NULL;

	cr_assert(
		asprintf(&script,
			 "(exec -a %s sleep 300) & (setsid bash -c 'exec -a %s sleep 300' &);"
			 "until [ $(grep -l '^%s' /proc/[0-9]*/cmdline 2>/dev/null | wc -l) = 2 ];"
			 "do :; done; echo both",
			 marked.word, marked.word, marked.word) > 0);
	{
		_autorun_ struct run_result r = in_usr(BASH(script));

		expect_out(r, "both\n");
		cr_expect_eq(count_marked(marked.word), 0, "gone when sbx has returned");
	}
}

Test(processes, on_exit_wait_lets_the_rest_finish)
{
	_autorun_ struct run_result r = in_usr(
		"--on-exit=wait", SH("(until [ -e /tmp/go ]; do :; done; sleep 0.1; echo late) &"
				     " touch /tmp/go; echo early; exit 4"));

	cr_expect_eq(r.status, 4, "%d: %s", r.status, r.err);
	cr_expect_str_eq(r.out, "early\nlate\n");
}

Test(processes, nothing_is_left_when_sbx_is_killed)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_sbx(&session, NULL, "--ro-bind", "/usr", "/usr", BASH(script));
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	kill(session.pid, SIGKILL);
	r = session_finish(&session);
	cr_expect_eq(r.status, -SIGKILL);
	marked.wanted = 0;
	cr_expect(wait_until(marked_are_there, &marked), "a process outlived sbx");
}

/* The first child of a process, 0 while it has none. */
static pid_t first_child(pid_t pid)
{
	char path[64], text[32] = "";
	_autoclose_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return atoi(text);
}

/* A PATH of so many directories that the command is searched for some tenths of a second. */
static char *endless_path(void)
{
	enum { MISSING = 40000, MISSING_LEN = 3 };
	char *path = malloc(MISSING * MISSING_LEN + sizeof("/usr/bin"));

	cr_assert(path);
	for (size_t i = 0; i < MISSING; i++)
		memcpy(path + i * MISSING_LEN, "/q:", MISSING_LEN);
	memcpy(path + (size_t)MISSING * MISSING_LEN, "/usr/bin", sizeof("/usr/bin"));
	return path;
}

static bool has_grandchild(void *arg)
{
	pid_t pid = *(pid_t *)arg, init = first_child(pid);

	return init > 0 && first_child(init) > 0;
}

static bool has_stopped(void *arg)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG) == 0 &&
	       info.si_pid != 0;
}

/* Whoever stopped the command may let sbx alone go on, before it has executed too. */
Test(processes, a_command_stopped_before_it_is_executed_goes_on_with_sbx, .timeout = 60)
{
	char *path = endless_path();

	for (int i = 0; i < 10; i++) {
		_autosession_ struct session session;
		_autorun_ struct run_result result;

		session_sbx(&session, NULL, "--map=single", "--ro-bind", "/usr", "/usr", "--setenv",
			    "PATH", path, "--", "sh", "-c", "exit 7");
		cr_assert(wait_until(has_grandchild, &session.pid));
		cr_assert_eq(kill(first_child(first_child(session.pid)), SIGSTOP), 0);
		cr_assert(wait_until(has_stopped, &session.pid));
		cr_assert_eq(kill(session.pid, SIGCONT), 0);
		result = session_finish(&session);
		cr_expect_eq(result.status, 7, "status %d: %s", result.status, result.err);
	}
	free(path);
}

Test(processes, nothing_is_left_when_pid_1_is_killed)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_sbx(&session, NULL, "--ro-bind", "/usr", "/usr", BASH(script));
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	cr_assert_gt(first_child(session.pid), 0);
	kill(first_child(session.pid), SIGKILL);
	r = session_finish(&session);
	cr_expect_not(r.timed_out);
	cr_expect_neq(r.status, 0);
	marked.wanted = 0;
	cr_expect(wait_until(marked_are_there, &marked));
}

Test(processes, die_with_parent_ends_with_the_parent)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_start(&session, &(struct run_options){.open_input = true},
		      (const char *const[]){"sh", "-c", "\"$@\" & read -r _", "sh", sbx_program(),
					    "--die-with-parent", "--ro-bind", "/usr", "/usr",
					    BASH(script), NULL});
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	cr_expect(wait_until(marked_are_there, &marked));
	kill(session.pid, SIGKILL);
	r = session_finish(&session);
	marked.wanted = 0;
	cr_expect(wait_until(marked_are_there, &marked), "the sandbox outlived sbx's parent");
}

Test(processes, new_session_is_a_session_of_its_own)
{
	const char *const script = "sid=$(cut -d' ' -f6 /proc/$$/stat); [ $sid = $$ ] && echo own";
	_autorun_ struct run_result own = in_usr("--new-session", SH(script));
	_autorun_ struct run_result shared = in_usr(SH(script));

	expect_out(own, "own\n");
	cr_expect_str_eq(shared.out, "");
}

Test(processes, the_command_is_pid_2_or_1_if_asked)
{
	_autorun_ struct run_result two = in_usr(SH("echo $$"));
	_autorun_ struct run_result one = in_usr("--as-pid-1", SH("echo $$; exit 6"));

	expect_out(two, "2\n");
	cr_expect_str_eq(one.out, "1\n", "%s", one.err);
	cr_expect_eq(one.status, 6);
}

Test(processes, as_pid_1_needs_a_pid_namespace)
{
	_autorun_ struct run_result r = in_usr("--as-pid-1", "--share-pid", "--", "true");

	expect_failure(r, 125, "--as-pid-1");
}

Test(processes, share_pid_sees_the_hosts_processes)
{
	char script[64];

	snprintf(script, sizeof(script), "[ -d /proc/%d ] && echo seen; exit 3", getpid());
	{
		_autorun_ struct run_result r = in_usr("--share-pid", SH(script));
		_autorun_ struct run_result apart = in_usr(SH(script));

		cr_expect_str_eq(r.out, "seen\n", "%s", r.err);
		cr_expect_eq(r.status, 3);
		cr_expect_str_eq(apart.out, "");
	}
}

Test(processes, share_pid_forwards_signals_and_ends_the_command_with_sbx)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_sbx(&session, NULL, "--share-pid", "--ro-bind", "/usr", "/usr", BASH(script));
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	kill(session.pid, SIGTERM);
	r = session_finish(&session);
	cr_expect_eq(r.status, 128 + SIGTERM, "%d", r.status);
	marked.wanted = 0;
	cr_expect(wait_until(marked_are_there, &marked));
}

/* The marked process is nobody's child but PID 1's: no signal of its own ends it. */
Test(processes, share_pid_leaves_nothing_when_sbx_is_killed)
{
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};
	struct marked marked = mark(1);
	_autofree_ char *script = waiting_script(&marked, "");

	session_sbx(&session, NULL, "--share-pid", "--ro-bind", "/usr", "/usr", "--", "bash", "-c",
		    "(setsid bash -c \"$1\" &); sleep 300", "bash", script);
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	cr_assert(wait_until(marked_are_there, &marked));
	kill(session.pid, SIGKILL);
	r = session_finish(&session);
	cr_expect_eq(r.status, -SIGKILL);
	marked.wanted = 0;
	cr_expect(wait_until(marked_are_there, &marked), "a process outlived sbx");
}

Test(processes, orphans_are_reaped)
{
	_autorun_ struct run_result r =
		in_usr("--", "bash", "-c",
		       "for i in 1 2 3 4 5 6 7 8; do (true & true &) ; done;"
		       "while cat /proc/[0-9]*/stat 2>/dev/null | grep -q ' Z '; do :; done;"
		       "until set -- /proc/[0-9]*; [ $# = 2 ]; do :; done; echo none");

	expect_out(r, "none\n");
}

Test(processes, standard_input_reaches_the_command)
{
	const struct run_options options = {.input = "one\ntwo\n"};
	_autorun_ struct run_result r = in_usr_with(&options, "--", "cat");

	expect_out(r, "one\ntwo\n");
}

Test(processes, closed_standard_descriptors_do_no_harm)
{
	const char *const closings[] = {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"};

	for (size_t i = 0; i < ARRAY_SIZE(closings); i++) {
		char script[64];

		snprintf(script, sizeof(script), "exec \"$@\" %s", closings[i]);
		{
			_autorun_ struct run_result r =
				run_program("sh", "-c", script, "sh", sbx_program(), "--ro-bind",
					    "/usr", "/usr",
					    SH("for n in 0 1 2; do"
					       " case $(readlink /proc/$$/fd/$n) in /proc* | "
					       "*socket*) exit 9 ;; esac;"
					       " done; exit 7"));

			cr_expect_eq(r.status, 7, "%s: %d %s", closings[i], r.status, r.err);
		}
	}
}

Test(processes, a_low_limit_on_descriptors_is_kept_for_the_command)
{
	_autorun_ struct run_result r =
		run_program("sh", "-c", "ulimit -Sn 16; exec \"$@\"", "sh", sbx_program(),
			    "--ro-bind", "/usr", "/usr", SH("ulimit -Sn"));

	expect_out(r, "16\n");
}

/* Each limit either leaves room for the launch, or is named with its remedy. */
Test(processes, a_limit_that_is_too_low_is_named)
{
	static const struct {
		const char *limits, *words;
	} rows[] = {
		{"ulimit -n 5", "ulimit -n 1024"},  {"ulimit -n 8", "ulimit -n 1024"},
		{"ulimit -n 10", "ulimit -n 1024"}, {"ulimit -f 0", "ulimit -f"},
		{"ulimit -s 16", "ulimit -s 8192"}, {"ulimit -s 64", "ulimit -s 8192"},
	};
	_autorun_ struct run_result version = run_sbx("--version");
	/* A sanitizer takes more of the stack than that before main(). */
	size_t n = ARRAY_SIZE(rows) - (strstr(version.out, "+ASAN") ? 2 : 0);

	for (size_t i = 0; i < n; i++) {
		_autorun_ struct run_result r =
			run_program("bash", "-c", "$0 && exec \"$@\"", rows[i].limits,
				    sbx_program(), "--ro-bind", "/usr", "/usr", "--", "true");

		cr_expect_eq(r.status, 125, "%s: %d", rows[i].limits, r.status);
		cr_expect(strstr(r.err, "hint:") && strstr(r.err, rows[i].words), "%s: %s",
			  rows[i].limits, r.err);
	}
}

Test(processes, a_signal_of_a_limit_is_left_to_the_command)
{
	_autorun_ struct run_result r = run_program(
		"bash", "-c", "ulimit -f 100; exec \"$@\"", "bash", sbx_program(), "--ro-bind",
		"/usr", "/usr", SH("exec dd if=/dev/zero of=/tmp/file bs=1M count=1"));

	cr_expect_eq(r.status, 128 + SIGXFSZ, "%d: %s", r.status, r.err);
}

Test(processes, blocked_and_ignored_signals_are_the_callers)
{
	const char *const ignore = "trap '' USR1; exec \"$@\"";
	_autorun_ struct run_result outside = run_program(
		"bash", "-c", ignore, "bash", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status");
	_autorun_ struct run_result inside =
		run_program("bash", "-c", ignore, "bash", sbx_program(), "--ro-bind", "/usr",
			    "/usr", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status");

	expect_out(inside, outside.out);
}

Test(processes, many_sandboxes_live_side_by_side, .timeout = 120)
{
	/* Fewer where the machine is slow: the map helpers' deadline is sbx's own. */
	int fewer = 60 / test_deadline(1);
	char number[16], expected[17];

	snprintf(number, sizeof(number), "%d", fewer > 8 ? fewer : 8);
	snprintf(expected, sizeof(expected), "%s\n", number);
	{
		_autorun_ struct run_result r =
			run_program("sh", "-c",
				    "i=0; n=$1; shift; while [ $i -lt $n ]; do"
				    " \"$@\" --ro-bind /usr /usr -- sh -c 'echo "
				    "ok' & i=$((i + 1)); done | grep -c ok; wait",
				    "sh", number, sbx_program());

		expect_out(r, expected);
	}
}

Test(processes, the_command_can_be_told_another_name)
{
	_autorun_ struct run_result r = in_usr("--argv0", "somebody", "--", "sh", "-c", "echo $0");
	_autorun_ struct run_result none = in_usr("--argv0", "sh", "--", "no-such-command");

	expect_out(r, "somebody\n");
	cr_expect_eq(none.status, 127);
	cr_expect(strstr(none.err, "no-such-command"), "%s", none.err);
}

/* Run by python3 with the program and its options behind; see each test. */
static struct run_result with_descriptors(const char *script)
{
	return run_program("python3", "-c", script, sbx_program(), "--ro-bind", "/usr", "/usr");
}

/* What the command finds was written after sbx had been started, and before the byte. */
Test(processes, block_fd_holds_the_command_back)
{
	static const char byte[] =
		"import os, subprocess, sys\n"
		"r, w = os.pipe()\n"
		"go_r, go_w = os.pipe()\n"
		"os.set_inheritable(go_r, True)\n"
		"p = subprocess.Popen(sys.argv[1:] + ['--block-fd', str(go_r), '--', 'sh', '-c',\n"
		"    'cat; ls /proc/self/fd | wc -l'], stdin=r, pass_fds=[go_r], text=True,\n"
		"    stdout=subprocess.PIPE)\n"
		"os.write(w, b'late\\n'); os.close(w); os.close(r)\n"
		"%s\n"
		"print(p.communicate()[0].split())\n"
		"print(p.returncode if p.returncode >= 0 else 128 - p.returncode)\n";
	static const struct {
		const char *release, *out;
	} rows[] = {
		{"os.write(go_w, b'x')", "['late', '4']\n0\n"},
		{"os.close(go_w); os.close(go_r)", "['late', '4']\n0\n"},
		{"p.terminate()", "[]\n143\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char script[2048];

		snprintf(script, sizeof(script), byte, rows[i].release);
		{
			_autorun_ struct run_result r = with_descriptors(script);

			expect_out(r, rows[i].out);
		}
	}
}

Test(processes, sync_fd_is_open_as_long_as_the_sandbox_lives)
{
	_autorun_ struct run_result r = with_descriptors(
		"import os, select, subprocess, sys\n"
		"r, w = os.pipe()\n"
		"p = subprocess.Popen(sys.argv[1:] + ['--sync-fd', str(w), '--', 'sh', '-c',\n"
		"    'ls /proc/self/fd | wc -l; cat'], stdin=subprocess.PIPE, pass_fds=[w],\n"
		"    stdout=subprocess.PIPE, text=True)\n"
		"os.close(w)\n"
		"print(p.stdout.readline().strip(), select.select([r], [], [], 0)[0])\n"
		"p.stdin.close()\n"
		"print(os.read(r, 1), p.wait())\n");
	_autorun_ struct run_result alone = in_usr("--sync-fd", "0", "--as-pid-1", "--", "true");

	expect_out(r, "4 []\nb'' 0\n");
	_autorun_ struct run_result input =
		in_usr("--sync-fd", "0", "--", "sh", "-c", "[ -e /proc/self/fd/0 ] || echo none");
	_autorun_ struct run_result both = in_usr("--sync-fd", "0", "--pass-fd", "0", "--", "true");

	expect_failure(alone, 125, "--sync-fd");
	expect_failure(both, 125, "--pass-fd");
	expect_out(input, "none\n");
}

Test(processes, descriptors_to_wait_for_must_be_open)
{
	_autorun_ struct run_result block = in_usr("--block-fd", "99", "--", "true");
	_autorun_ struct run_result sync = in_usr("--sync-fd", "99", "--", "true");

	expect_failure(block, 125, "--block-fd: descriptor 99 is not open");
	expect_failure(sync, 125, "--sync-fd: descriptor 99 is not open");
}
