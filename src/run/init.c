/* SPDX-License-Identifier: MIT */
/*
 * init: the first process of the sandbox.
 *
 * Theory of operation
 *
 * It is born by clone3(2) into a new user (and pid) namespace, still seeing the
 * host's tree. It makes the other namespaces itself: the most expensive one, the
 * network's, is then made while newuidmap is being executed. Then it builds the new
 * root, lets go of the old one, confines itself and becomes what nobody inside can
 * look into: its memory is not dumpable, so it cannot be traced and its /proc
 * entries belong to the host's root; its command line and environment are wiped.
 *
 * Only then the payload is forked, which inherits the confinement. Where it needs
 * privileges of its own for a moment (another uid, capabilities that are kept), it
 * is forked before, and waits at a gate until PID 1 is ready.
 *
 * From there on PID 1 reaps, passes signals on, and ends when the command does;
 * with it, the kernel ends everything in its pid namespace. It ends too when the
 * monitor is gone: end of file on the socket is the sign, PR_SET_PDEATHSIG the
 * second. Nothing after the fork allocates or opens anything.
 *
 * Without a pid namespace (--share-pid) it is an ordinary process that takes in
 * orphans (PR_SET_CHILD_SUBREAPER) and kills what is left before it ends.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/idmap.h"
#include "sbx/run/init.h"
#include "sbx/run/payload.h"
#include "sbx/run/signals.h"
#include "sbx/run/steps.h"
#include "sbx/spec/steps.h"

struct init {
	struct run_context *ctx;
	int sock_fd;   /* owned */
	pid_t payload; /* 0: ended */
	int exit_code; /* of the payload, once it has ended */
	int stops;     /* told to the monitor, which has not answered yet */
};

/* The namespaces that PID 1 makes itself. */
uint64_t init_late_namespaces(const struct sbx_plan *plan)
{
	return plan->namespaces & ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWPID);
}

static bool init_monitor_is_gone(int sock_fd)
{
	struct pollfd pfd = {.fd = sock_fd};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

/* Be sure to die with the monitor. Between its death and the prctl, the socket tells. */
static int init_tie_to_monitor(struct init *in, struct sbx_err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, errno, NULL,
				  "cannot ask for a signal at the monitor's death");
	if (init_monitor_is_gone(in->sock_fd))
		_exit(ERR_EXIT_FAILED);
	if (!in->ctx->plan->own_pid_ns && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot take in orphans");
	return 0;
}

static int init_wait_for_ids(struct init *in, struct sbx_err *err)
{
	struct handshake_msg msg;
	int r;

	if (!in->ctx->plan->uid_map.helper)
		return 0;
	r = handshake_receive(in->sock_fd, HANDSHAKE_INIT_UNMAPPED, true, &msg);
	if (r == 0)
		_exit(ERR_EXIT_FAILED);
	return r < 0 ? err_system(err, -r, NULL, "cannot hear from the monitor") : 0;
}

/* Everything up to the moment when only the new root is left. */
static int init_set_up(struct init *in, struct sbx_err *err)
{
	struct run_context *ctx = in->ctx;
	int r;

	r = init_tie_to_monitor(in, err);
	if (r < 0)
		return r;
	if (unshare((int)init_late_namespaces(ctx->plan)) < 0)
		return err_system(err, errno, NULL, "cannot create the sandbox's namespaces");
	/* Not before: a descriptor belongs to the mount namespace that it was opened in. */
	ctx->host_root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ctx->host_root_fd < 0)
		return err_system(err, errno, "/", "cannot open the host's root");
	ctx->caller_umask = umask(0);
	if (!ctx->plan->uid_map.helper) {
		r = idmap_write_own(ctx->plan, err);
		if (r < 0)
			return r;
	}
	r = steps_run_phase(ctx, PLAN_EARLY, err);
	if (r == 0)
		r = init_wait_for_ids(in, err);
	return r < 0 ? r : steps_run_phase(ctx, PLAN_SETUP, err);
}

/* From here on nobody inside can trace this process or read its memory. */
static int init_hide(struct launch_title title, struct sbx_err *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot make PID 1 undumpable");
	/* /proc/PID/cmdline shows this memory to everybody, dumpable or not. */
	explicit_bzero(title.start, title.len);
	return 0;
}

/* ---- the payload ---- */

/* In the child. */
static noreturn void init_payload_child(struct init *in, int gate_read, int gate_write)
{
	if (gate_write >= 0)
		close(gate_write);
	if (!in->ctx->plan->own_pid_ns && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		struct sbx_err err;

		(void)err_system(&err, errno, NULL, "cannot ask for a signal at PID 1's death");
		(void)handshake_send_err(in->sock_fd, &err);
		_exit(ERR_EXIT_FAILED);
	}
	payload_main(in->ctx, in->sock_fd, gate_read);
}

static int init_clone_payload(struct init *in, int gate_read, int gate_write, struct sbx_err *err)
{
	const struct clone_args args = {
		.flags = in->ctx->plan->nested_userns ? CLONE_NEWUSER | CLONE_NEWNS : 0,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = sys_clone3(&args);

	if (pid < 0)
		return err_system(err, errno, NULL, "cannot create the command's process");
	if (pid == 0)
		init_payload_child(in, gate_read, gate_write);
	in->payload = pid;
	return 0;
}

static bool init_needs_gate(const struct sbx_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (step_kinds[plan->steps[i].kind].phase == PLAN_REAPER)
			return true;
	return false;
}

/*
 * The payload waits behind a gate, a pipe, while PID 1 gives it its ids, hides, and
 * drops what it needed for that. Hiding comes second: the entries in /proc of an
 * undumpable child could not be written. The gate is opened by a byte: were it the
 * pipe's end, a PID 1 that fails on the way would open it too.
 */
static int init_start_gated(struct init *in, struct launch_title title, struct sbx_err *err)
{
	_autoclose_ int gate_read = -1, gate_write = -1;
	struct run_context *ctx = in->ctx;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe for the command");
	gate_read = fds[0];
	gate_write = fds[1];
	r = init_clone_payload(in, gate_read, gate_write, err);
	if (r == 0 && ctx->plan->nested_userns)
		r = idmap_write_same(ctx->proc_fd, in->payload, ctx->plan, err);
	if (r == 0)
		r = init_hide(title, err);
	if (r == 0)
		r = steps_run_phase(ctx, PLAN_REAPER, err);
	if (r == 0 && write(gate_write, "", 1) != 1)
		r = err_system(err, errno, NULL, "cannot let the command begin");
	return r;
}

static int init_start_payload(struct init *in, struct launch_title title, struct sbx_err *err)
{
	int r;

	if (init_needs_gate(in->ctx->plan))
		return init_start_gated(in, title, err);
	r = init_hide(title, err);
	if (r == 0 && in->ctx->plan->init_is_payload)
		payload_main(in->ctx, in->sock_fd, -1);
	return r < 0 ? r : init_clone_payload(in, -1, -1, err);
}

/* ---- its life ---- */

static void init_on_sigchld(int sig)
{
	(void)sig;
}

/*
 * SIGCHLD interrupts ppoll and nothing else; all others stay blocked. Without that
 * PID 1 would sleep for ever behind the command's end.
 */
static int init_watch_children(sigset_t *ret_mask, struct sbx_err *err)
{
	const struct sigaction action = {.sa_handler = init_on_sigchld};

	if (sigaction(SIGCHLD, &action, NULL) < 0 || sigprocmask(SIG_BLOCK, NULL, ret_mask) < 0)
		return err_system(err, errno, NULL, "cannot watch for the command's end");
	(void)sigdelset(ret_mask, SIGCHLD);
	return 0;
}

static void init_signal(const struct init *in, int sig)
{
	if (in->payload > 0)
		(void)kill(in->payload, sig);
	else if (in->ctx->plan->own_pid_ns)
		(void)kill(-1, sig); /* --on-exit=wait: to all that is left */
}

/* The terminal signals the whole process group; before the payload was there, it was PID 1. */
static void init_pass_on_pending(const struct init *in)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t pending;

	if (sigpending(&pending) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigismember(&pending, signals[i]) == 1)
			init_signal(in, signals[i]);
}

/* What a shell makes of a status: see wait(2). */
static int init_exit_code(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* Collect every child that has ended or stopped. Return: 1 children are left, 0 none, or -errno. */
static int init_reap(struct init *in, struct sbx_err *err)
{
	for (;;) {
		siginfo_t info = {.si_pid = 0};

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) < 0)
			return errno == ECHILD ? 0
					       : err_system(err, errno, NULL,
							    "cannot wait for the command");
		if (info.si_pid == 0)
			return 1;
		if (info.si_pid != in->payload)
			continue;
		if (info.si_code == CLD_STOPPED) {
			if (handshake_send(in->sock_fd, HANDSHAKE_STOPPED, info.si_status) == 0)
				in->stops++;
			continue;
		}
		in->exit_code = init_exit_code(&info);
		in->payload = 0;
	}
}

/* Kill all children; return how many there were. Their orphans become ours (subreaper). */
static int init_kill_children(const struct init *in)
{
	char path[64], text[4096];
	_autoclose_ int fd = -1;
	int killed = 0;
	ssize_t n;
	char *p;

	(void)snprintf(path, sizeof(path), "self/task/%d/children", getpid());
	fd = openat(in->ctx->proc_fd, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (p = text; *p; killed++) {
		pid_t pid = (pid_t)strtol(p, &p, 10);

		if (pid <= 1)
			break;
		(void)kill(pid, SIGKILL);
		p += strspn(p, " ");
	}
	return killed;
}

/* In a pid namespace the kernel ends everything with PID 1. Elsewhere it is done by hand. */
static noreturn void init_end(struct init *in, int exit_code)
{
	while (!in->ctx->plan->own_pid_ns && init_kill_children(in) > 0)
		(void)waitid(P_ALL, 0, NULL, WEXITED);
	_exit(exit_code);
}

/*
 * A signal for the payload. One that is to stop it and was sent before the monitor
 * knew that it had stopped is late: a program that stops its whole process group
 * reaches the monitor too, and by now somebody may have continued them all.
 */
static void init_on_signal(const struct init *in, int sig)
{
	if (in->stops == 0 || !signals_stop_a_process(sig))
		init_signal(in, sig);
}

/* A message, or the end of the monitor. */
static void init_listen(struct init *in)
{
	struct handshake_msg msg;
	int r = handshake_receive(in->sock_fd, HANDSHAKE_INIT_RUNNING, false, &msg);

	if (r == 0)
		init_end(in, ERR_EXIT_FAILED);
	if (r > 0 && msg.type == HANDSHAKE_SIGNAL)
		init_on_signal(in, msg.number);
	if (r > 0 && msg.type == HANDSHAKE_STOP_KNOWN)
		in->stops--;
}

/* Return: only in failure, -errno. */
static int init_loop(struct init *in, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = in->sock_fd, .events = POLLIN};
	const int keep[] = {in->sock_fd, in->ctx->proc_fd};
	sigset_t mask;
	int r = init_watch_children(&mask, err);

	if (r < 0)
		return r;
	fd_close_all_but(keep, ARRAY_SIZE(keep));
	init_pass_on_pending(in);
	for (;;) {
		int ready = ppoll(&pfd, 1, NULL, &mask);

		if (ready < 0 && errno != EINTR)
			return err_system(err, errno, NULL, "cannot wait for events");
		r = init_reap(in, err);
		if (r < 0)
			return r;
		if (in->payload == 0 && (!in->ctx->plan->wait_for_all || r == 0))
			init_end(in, in->exit_code);
		if (ready > 0)
			init_listen(in);
	}
}

/**
 * PID 1's whole life.
 * @title:   this process's command line and environment, to be wiped
 * @sock_fd: taken; to the monitor
 */
noreturn void init_main(struct run_context *ctx, struct launch_title title, int sock_fd)
{
	struct init in = {.ctx = ctx, .sock_fd = sock_fd};
	struct sbx_err err;
	int r;

	r = init_set_up(&in, &err);
	if (r == 0)
		r = steps_run_phase(ctx, PLAN_INIT, &err);
	if (r == 0)
		r = init_start_payload(&in, title, &err);
	if (r == 0)
		(void)init_loop(&in, &err);
	(void)handshake_send_err(sock_fd, &err);
	init_end(&in, ERR_EXIT_FAILED);
}
