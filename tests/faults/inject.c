/* SPDX-License-Identifier: MIT */
/*
 * inject: run sbx and let one chosen system call of it fail, or one of its
 * processes die at one chosen system call.
 *
 *   inject [OPTION...] COMMAND [ARG...]
 *     --report FILE                   what was seen, see below
 *     --fail ROLE:CALL:N:ERRNO        the N-th CALL of ROLE fails; 0: each of them does
 *     --kill VICTIM:ROLE:CALL:N       SIGKILL for VICTIM when ROLE gets to its N-th CALL
 *     --act WHEN:CALL:WORD:SCRIPT     sh(1) runs SCRIPT before or after the first CALL of the
 *                                     monitor with a path that begins with WORD, which is its $1;
 *                                     the monitor waits and is $2. If it exits with 99 it is run
 *                                     at the next such call again. Some may be given. WHEN is
 *                                     before, after, init-before or init-after: a call of init's
 *     --signal NUMBER                 another one than SIGKILL
 *     --timeout SECONDS               10 unless said
 *
 * Theory of operation
 *
 * strace(1) can inject failures too, but counts calls per process and cannot say
 * in which of them, and it follows the helpers, which lose their privilege when
 * they are traced. So this is a tracer of its own, which knows who is who:
 *
 *     monitor   the command itself, from the first call of its main()
 *     init      its child, made by clone3(2)
 *     payload   init's child, made by clone(2), until it has executed something
 *     helper    a child that the monitor made by fork(2) or vfork(2), until it executes
 *     joiner    a child of the monitor's that enters namespaces and makes init there, or
 *               executes the command of sbx exec
 *     holder    a child that a helper made by fork(2): it holds a network that is shared; its
 *               own children by vfork(2) are helpers, too
 *     anchor    a child of the holder's, in the namespaces of that network
 *
 * What is executed is let go. A call fails by being replaced with a number that
 * does not exist, and by writing the wanted errno where its result would be.
 *
 * Two stops for each call are most of what a launch takes here. So where one call is
 * looked for, only those who may make it stop, and only until it was made; and helpers,
 * until they execute something. Of all others it is told whom they make.
 *
 * This process is a subreaper: whatever the command leaves behind becomes its
 * child. So when wait(2) says that there are no children, nothing is left.
 *
 * The report has a line per event:
 *     call ROLE CALL N ARG0 ARG1 [PATH]     (without --fail and --kill); of a call that writes
 *                                           a file to disk PATH is that file's
 *     act CALL PATH                         a script was run
 *     hit ROLE CALL N ARG0 ARG1 [PATH]      the chosen call was reached
 *     exit CODE                             of the command; 128 + n by signal n
 *     timeout                               the command had to be ended
 *     left PID                              a process that outlived it
 *     gone                                  nothing is left
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/defs.h"

enum {
	CALL_NUMBERS = 1024,
	TRACEES_MAX = 64,
	ACTS_MAX = 4,
	ACT_LATER = 99,
	GRACE_SECONDS = 3, /* for what the command leaves behind, to end by itself */
};

enum role { MONITOR, INIT, PAYLOAD, HELPER, JOINER, HOLDER, ANCHOR, ROLE_COUNT_, ROLE_UNKNOWN };

static const char *const role_names[] = {"monitor", "init",   "payload", "helper",
					 "joiner",  "holder", "anchor"};

static const struct {
	long number;
	const char *name;
} call_names[] = {
#include "syscall-names.h"
};

/* Which argument of a call is a path, for the report. */
static const struct {
	const char *name;
	int arg;
} path_args[] = {
	{"access", 0},	   {"chdir", 0},    {"execve", 0},     {"faccessat2", 1}, {"fsopen", 0},
	{"mkdirat", 1},	   {"open", 0},	    {"open_tree", 1},  {"openat", 1},	  {"openat2", 1},
	{"newfstatat", 1}, {"readlink", 0}, {"readlinkat", 1}, {"symlinkat", 2},  {"unlinkat", 1},
	{"statx", 1},	   {"umount2", 0},  {"renameat", 1},   {"renameat2", 1},  {"linkat", 3},
	{"mknodat", 1},
};

struct target {
	bool set;
	bool done; /* it was reached, and there is no other one */
	enum role role;
	long number;
	int n;
};

struct act {
	enum role role;
	bool after;
	long number;
	char word[64];
	const char *script; /* NULL: it was run */
};

struct tracee {
	pid_t pid; /* 0: free */
	enum role role;
	bool in_window;	     /* behind the start of libc */
	struct act *act_now; /* to be run when the call is over */
	char act_path[256];
	bool fail_now; /* between entry and exit of the chosen call */
	bool waiting;  /* stopped until its parent's event tells what it is */
	int counts[CALL_NUMBERS];
};

struct tracer {
	struct target fail, kill;
	struct act acts[ACTS_MAX];
	int n_acts;
	int error;
	int signal; /* for the victim */
	enum role victim;
	FILE *report;
	int timeout;
	pid_t command;
	bool ended; /* the command has */
	time_t deadline;
	struct tracee *tracees;
};

static noreturn void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static noreturn void usage(const char *word)
{
	fprintf(stderr, "inject: cannot understand %s\n", word);
	_exit(99);
}

static const char *call_name(long number)
{
	for (size_t i = 0; i < ARRAY_SIZE(call_names); i++)
		if (call_names[i].number == number)
			return call_names[i].name;
	return "unknown";
}

static long call_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(call_names); i++)
		if (strcmp(call_names[i].name, name) == 0)
			return call_names[i].number;
	usage(name);
}

static enum role role_by_name(const char *name)
{
	for (int i = 0; i < ROLE_COUNT_; i++)
		if (strcmp(role_names[i], name) == 0)
			return (enum role)i;
	usage(name);
}

static int call_path_arg(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(path_args); i++)
		if (strcmp(path_args[i].name, name) == 0)
			return path_args[i].arg;
	return -1;
}

/* ---- tracees ---- */

static struct tracee *tracee_find(struct tracer *t, pid_t pid)
{
	for (int i = 0; i < TRACEES_MAX; i++)
		if (t->tracees[i].pid == pid)
			return &t->tracees[i];
	return NULL;
}

static struct tracee *tracee_add(struct tracer *t, pid_t pid)
{
	struct tracee *tracee = tracee_find(t, 0);

	if (!tracee)
		die("too many processes");
	memset(tracee, 0, sizeof(*tracee));
	tracee->pid = pid;
	tracee->role = ROLE_UNKNOWN;
	return tracee;
}

/* They are the first member of struct clone_args. 0 if they cannot be read. */
static uint64_t read_clone_flags(pid_t pid, uint64_t clone_args)
{
	uint64_t flags = 0;
	struct iovec here = {&flags, sizeof(flags)};
	struct iovec there = {(void *)(uintptr_t)clone_args, here.iov_len};

	return process_vm_readv(pid, &here, 1, &there, 1, 0) < 0 ? 0 : flags;
}

/*
 * Who made it, and how: PID 1 is made by clone3(2) in a new user or pid namespace, helpers by
 * fork(2) or vfork(2). PID 1 makes one child.
 */
static enum role role_of_child(const struct tracee *parent)
{
	struct user_regs_struct regs;
	bool plain, apart;

	if (ptrace(PTRACE_GETREGS, parent->pid, 0, &regs) < 0)
		return ROLE_UNKNOWN;
	plain = regs.orig_rax != SYS_clone3;
	apart = !plain &&
		(read_clone_flags(parent->pid, regs.rdi) & (CLONE_NEWUSER | CLONE_NEWPID));

	switch (parent->role) {
	case INIT:
		return PAYLOAD;
	case MONITOR:
	case JOINER:
		return plain ? HELPER : apart ? INIT : JOINER;
	case HELPER:
		return plain ? HOLDER : ROLE_UNKNOWN;
	case HOLDER:
		return plain ? HELPER : ANCHOR;
	case PAYLOAD:
	case ANCHOR:
	case ROLE_COUNT_:
	case ROLE_UNKNOWN:
		break;
	}
	return plain ? HELPER : ROLE_UNKNOWN;
}

static void kill_role(struct tracer *t, enum role role)
{
	for (int i = 0; i < TRACEES_MAX; i++)
		if (t->tracees[i].pid > 0 && t->tracees[i].role == role)
			(void)kill(t->tracees[i].pid, t->signal);
}

/* ---- calls ---- */

static void read_path(const struct tracee *tracee, const struct __ptrace_syscall_info *info,
		      char path[256])
{
	const char *name = call_name((long)info->entry.nr);
	int arg = call_path_arg(name);
	ssize_t n = 0;

	if (arg >= 0) {
		struct iovec here = {path, 255};
		struct iovec there = {(void *)(uintptr_t)info->entry.args[arg], 255};

		n = process_vm_readv(tracee->pid, &here, 1, &there, 1, 0);
	} else if (strcmp(name, "fsync") == 0 || strcmp(name, "fdatasync") == 0) {
		char link[64];

		(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", tracee->pid,
			       (int)info->entry.args[0]);
		n = readlink(link, path, 255);
	}
	path[n > 0 ? n : 0] = '\0';
}

static void report_call(struct tracer *t, const char *event, const struct tracee *tracee,
			const struct __ptrace_syscall_info *info)
{
	const char *name = call_name((long)info->entry.nr);
	char path[256];

	read_path(tracee, info, path);
	fprintf(t->report, "%s %s %s %d %llu %llu %s\n", event, role_names[tracee->role], name,
		tracee->counts[info->entry.nr], (unsigned long long)info->entry.args[0],
		(unsigned long long)info->entry.args[1], path);
}

static bool target_is(struct target *target, const struct tracee *tracee, long number)
{
	if (!target->set || target->role != tracee->role || target->number != number ||
	    (target->n != 0 && target->n != tracee->counts[number]))
		return false;
	target->done = target->n != 0;
	return true;
}

static bool target_may_be(const struct target *target, const struct tracee *tracee)
{
	return target->set && !target->done && target->role == tracee->role;
}

/* Is there any use in stopping it at its calls? */
static bool is_watched(const struct tracer *t, const struct tracee *tracee)
{
	bool all = (!t->fail.set && !t->kill.set) || t->n_acts > 0;

	return all || tracee->role == HELPER || tracee->role == ROLE_UNKNOWN || tracee->fail_now ||
	       target_may_be(&t->fail, tracee) || target_may_be(&t->kill, tracee);
}

static void go_on(const struct tracer *t, const struct tracee *tracee, int sig)
{
	(void)ptrace(is_watched(t, tracee) ? PTRACE_SYSCALL : PTRACE_CONT, tracee->pid, 0, sig);
}

static void write_result(pid_t pid, size_t reg, long value)
{
	if (ptrace(PTRACE_POKEUSER, pid, reg, value) < 0 && errno != ESRCH)
		die("cannot change a call");
}

/* main() begins by looking whether standard input is open; what is before is libc's. */
static bool starts_window(const struct __ptrace_syscall_info *info)
{
	return info->entry.nr == SYS_fcntl && info->entry.args[0] == 0 &&
	       info->entry.args[1] == F_GETFD;
}

static noreturn void script_main(const char *script, const char *path, pid_t tracee)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", tracee);
	(void)execlp("sh", "sh", "-ec", script, "sh", path, number, (char *)NULL);
	_exit(127);
}

static void run_act(struct tracer *t, struct act *act, const struct tracee *tracee)
{
	pid_t pid;
	int status;

	fflush(t->report);
	pid = fork();
	if (pid == 0)
		script_main(act->script, tracee->act_path, tracee->pid);
	do
		errno = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR);
	if (errno || (status != 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != ACT_LATER)))
		die("a script has failed");
	if (status != 0)
		return;
	fprintf(t->report, "act %s %s\n", call_name(act->number), tracee->act_path);
	act->script = NULL;
}

static void find_act(struct tracer *t, struct tracee *tracee,
		     const struct __ptrace_syscall_info *info)
{
	for (int i = 0; i < t->n_acts; i++) {
		struct act *act = &t->acts[i];

		if (!act->script || act->role != tracee->role ||
		    act->number != (long)info->entry.nr)
			continue;
		read_path(tracee, info, tracee->act_path);
		if (strncmp(tracee->act_path, act->word, strlen(act->word)) != 0)
			continue;
		if (act->after)
			tracee->act_now = act;
		else
			run_act(t, act, tracee);
		return;
	}
}

/* Return: is the process to be let go? */
static bool on_entry(struct tracer *t, struct tracee *tracee,
		     const struct __ptrace_syscall_info *info)
{
	long number = (long)info->entry.nr;

	if (tracee->role == MONITOR && !tracee->in_window)
		tracee->in_window = starts_window(info);
	if (!tracee->in_window || tracee->role >= ROLE_COUNT_ || number < 0 ||
	    number >= CALL_NUMBERS)
		return false;
	tracee->counts[number]++;
	if (!t->fail.set && !t->kill.set)
		report_call(t, "call", tracee, info);
	find_act(t, tracee, info);
	if (target_is(&t->kill, tracee, number)) {
		report_call(t, "hit", tracee, info);
		kill_role(t, t->victim);
	}
	if (target_is(&t->fail, tracee, number)) {
		report_call(t, "hit", tracee, info);
		write_result(tracee->pid, offsetof(struct user_regs_struct, orig_rax), -1);
		tracee->fail_now = true;
		return false;
	}
	return tracee->role == HELPER && number == SYS_execve;
}

/* Return: is the process to be let go? */
static bool on_syscall(struct tracer *t, struct tracee *tracee)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof(info), &info) < 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return on_entry(t, tracee, &info);
	if (tracee->act_now)
		run_act(t, tracee->act_now, tracee);
	tracee->act_now = NULL;
	if (tracee->fail_now) {
		write_result(tracee->pid, offsetof(struct user_regs_struct, rax), -t->error);
		tracee->fail_now = false;
	}
	return false;
}

static void on_new_child(struct tracer *t, const struct tracee *parent)
{
	struct tracee *child;
	unsigned long pid;
	bool has_stopped;

	if (ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &pid) < 0)
		return;
	child = tracee_find(t, (pid_t)pid);
	has_stopped = child != NULL; /* before we heard of it */
	if (!child)
		child = tracee_add(t, (pid_t)pid);
	child->role = role_of_child(parent);
	child->waiting = false;
	child->in_window = true;
	if (has_stopped)
		go_on(t, child, 0);
}

/* A parent that was killed tells nothing any more: its child goes on as it would have. */
static void let_waiting_go(struct tracer *t)
{
	for (int i = 0; i < TRACEES_MAX; i++) {
		struct tracee *tracee = &t->tracees[i];

		if (tracee->pid > 0 && tracee->waiting &&
		    ptrace(PTRACE_DETACH, tracee->pid, 0, 0) == 0)
			tracee->pid = 0;
	}
}

static void on_end(struct tracer *t, pid_t pid, int status)
{
	struct tracee *tracee = tracee_find(t, pid);

	if (tracee)
		tracee->pid = 0;
	if (pid != t->command)
		return;
	fprintf(t->report, "exit %d\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	t->ended = true;
	t->deadline = time(NULL) + GRACE_SECONDS;
	let_waiting_go(t);
}

static void on_stop(struct tracer *t, pid_t pid, int status)
{
	struct tracee *tracee = tracee_find(t, pid);
	int event = status >> 16, sig = WSTOPSIG(status);
	bool let_go = false;

	if (!tracee) {
		/* A child whose parent's event is still to come; it waits for that. */
		tracee_add(t, pid)->waiting = true;
		if (t->ended)
			let_waiting_go(t);
		return;
	}
	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
	    event == PTRACE_EVENT_CLONE)
		on_new_child(t, tracee);
	else if (event == PTRACE_EVENT_EXEC)
		let_go = tracee->role == PAYLOAD || tracee->role == INIT || tracee->role == JOINER;
	else if (event == 0 && sig == (SIGTRAP | 0x80))
		let_go = on_syscall(t, tracee);
	if (event != 0 || sig == (SIGTRAP | 0x80))
		sig = 0;
	if (let_go) {
		(void)ptrace(PTRACE_DETACH, pid, 0, sig);
		tracee->pid = 0;
		return;
	}
	go_on(t, tracee, sig);
}

/* ---- the loop ---- */

static void on_alarm(int sig)
{
	(void)sig;
}

/* Name and kill what should not be there. */
static void end_everything(struct tracer *t)
{
	char path[64], line[4096] = "";
	FILE *children;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "re");
	if (children && fgets(line, sizeof(line), children))
		for (char *p = line, *end; *p; p = end) {
			pid_t pid = (pid_t)strtol(p, &end, 10);

			if (end == p)
				break;
			if (pid > 0)
				(void)kill(pid, SIGKILL);
			if (pid > 0 && t->ended)
				fprintf(t->report, "left %d\n", pid);
		}
	if (children)
		(void)fclose(children);
	for (int i = 0; i < TRACEES_MAX; i++)
		if (t->tracees[i].pid > 0)
			(void)kill(t->tracees[i].pid, SIGKILL);
}

static void trace(struct tracer *t)
{
	/* A tick, so that the deadline is looked at also while nothing happens. */
	const struct itimerval tick = {{0, 200000}, {0, 200000}};
	const struct sigaction action = {.sa_handler = on_alarm};

	if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &tick, NULL) < 0)
		die("cannot make a timer");
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == ECHILD)
			break;
		if (time(NULL) > t->deadline) {
			if (!t->ended)
				fprintf(t->report, "timeout\n");
			end_everything(t);
			t->deadline += 1;
		}
		if (pid < 0)
			continue;
		if (WIFSTOPPED(status))
			on_stop(t, pid, status);
		else
			on_end(t, pid, status);
	}
	fprintf(t->report, "gone\n");
}

static noreturn void command_main(char **argv, int gate)
{
	char byte;

	/* End of file: the tracer is ready. */
	if (read(gate, &byte, 1) != 0)
		die("cannot wait for the tracer");
	(void)execvp(argv[0], argv);
	die(argv[0]);
}

static void start(struct tracer *t, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	int gate[2];

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || pipe2(gate, O_CLOEXEC) < 0)
		die("cannot prepare");
	t->command = fork();
	if (t->command < 0)
		die("fork");
	if (t->command == 0) {
		close(gate[1]);
		command_main(argv, gate[0]);
	}
	tracee_add(t, t->command)->role = MONITOR;
	if (ptrace(PTRACE_SEIZE, t->command, 0, options) < 0 ||
	    ptrace(PTRACE_INTERRUPT, t->command, 0, 0) < 0)
		die("cannot trace");
	close(gate[0]);
	close(gate[1]);
	t->deadline = time(NULL) + t->timeout;
}

/* "ROLE:CALL:N", and what is behind it. */
static const char *parse_target(const char *text, struct target *target)
{
	char role[16], call[32];
	int n, len = 0;

	if (sscanf(text, "%15[^:]:%31[^:]:%d%n", role, call, &n, &len) != 3)
		usage(text);
	*target = (struct target){true, false, role_by_name(role), call_number(call), n};
	return text + len;
}

/* "before:CALL:WORD:SCRIPT" or "after:...", or with "init-" in front. */
static void parse_act(struct tracer *t, const char *text)
{
	struct act *act = &t->acts[t->n_acts];
	static const char init[] = "init-";
	char when[16], call[32];
	int len = 0;

	if (t->n_acts == ACTS_MAX ||
	    sscanf(text, "%15[^:]:%31[^:]:%63[^:]:%n", when, call, act->word, &len) != 3 || !len)
		usage(text);
	act->role = strncmp(when, init, strlen(init)) == 0 ? INIT : MONITOR;
	act->after = strcmp(when + (act->role == INIT ? strlen(init) : 0), "after") == 0;
	act->number = call_number(call);
	act->script = text + len;
	t->n_acts++;
}

static void parse_option(struct tracer *t, const char *name, char *value)
{
	if (strcmp(name, "--report") == 0) {
		t->report = fopen(value, "we");
		if (!t->report)
			die(value);
	} else if (strcmp(name, "--timeout") == 0) {
		t->timeout = atoi(value);
	} else if (strcmp(name, "--signal") == 0) {
		t->signal = atoi(value);
	} else if (strcmp(name, "--fail") == 0) {
		const char *rest = parse_target(value, &t->fail);

		if (*rest != ':' || (t->error = atoi(rest + 1)) <= 0)
			usage(value);
	} else if (strcmp(name, "--kill") == 0) {
		char *colon = strchr(value, ':');

		if (!colon)
			usage(value);
		*colon = '\0';
		t->victim = role_by_name(value);
		(void)parse_target(colon + 1, &t->kill);
	} else if (strcmp(name, "--act") == 0) {
		parse_act(t, value);
	} else {
		usage(name);
	}
}

int main(int argc, char **argv)
{
	struct tracer t = {.timeout = 10, .signal = SIGKILL, .report = stderr};
	int i = 1;

	t.tracees = calloc(TRACEES_MAX, sizeof(*t.tracees));
	if (!t.tracees)
		die("memory");
	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
		parse_option(&t, argv[i], argv[i + 1]);
	if (i >= argc)
		usage("no command");
	start(&t, argv + i);
	trace(&t);
	free(t.tracees);
	return 0;
}
