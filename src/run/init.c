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
 * Only then the payload is born, which inherits the confinement; until it executes it
 * runs in this process's memory where it can (borrow.c). Where it needs privileges of
 * its own for a moment (another uid, capabilities that are kept), it is forked before,
 * and waits at a gate until PID 1 is ready.
 *
 * From there on PID 1 reaps, passes signals on, and ends when the command does;
 * with it, the kernel ends everything in its pid namespace. It ends too when the
 * monitor is gone: end of file on the socket is the sign, PR_SET_PDEATHSIG the
 * second. Nothing after that birth allocates or opens anything.
 *
 * Without a pid namespace (--share-pid) it is an ordinary process that takes in
 * orphans (PR_SET_CHILD_SUBREAPER) and kills what is left before it ends, be it
 * because the monitor was killed.
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
#include "sbx/run/borrow.h"
#include "sbx/run/handshake.h"
#include "sbx/run/idmap.h"
#include "sbx/run/init.h"
#include "sbx/run/join.h"
#include "sbx/run/payload.h"
#include "sbx/run/pty.h"
#include "sbx/run/signals.h"
#include "sbx/run/steps.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/steps.h"

/* How often it looks whether a payload that still runs in its memory has stopped. */
enum { INIT_BORROW_MS = 20 };

enum { INIT_KEEP = 5, INIT_KEEP_MAX = INIT_KEEP + CONTEXT_LOCKS_MAX };

struct init {
	struct run_context *ctx;
	int sock_fd;	    /* owned */
	pid_t payload;	    /* 0: ended */
	int payload_fd;	    /* owned; a pidfd of it, for who wants to join it; -1: not there yet */
	int exit_code;	    /* of the payload, once it has ended */
	bool stopped;	    /* the payload is */
	int stops;	    /* told to the monitor, which has not answered yet */
	sigset_t wait_mask; /* while it waits: all but SIGCHLD */
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
	if (!in->ctx->plan->own_pid_ns && !in->ctx->plan->init_is_payload &&
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot take in orphans");
	return 0;
}

static int init_await_all(const struct run_context *ctx, enum handshake_state state,
			  enum handshake_type type, int *ret_fd, int32_t *ret_number,
			  struct sbx_err *err)
{
	struct handshake_msg msg;
	int r;

	do {
		r = handshake_receive(ctx->sock_fd, state, true, &msg);
	} while (r == 1 && msg.type != type);
	if (r == 0)
		_exit(ERR_EXIT_FAILED);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hear from the monitor");
	if (ret_fd)
		*ret_fd = msg.fd;
	if (ret_number)
		*ret_number = msg.number;
	return 0;
}

/**
 * Wait for the monitor's answer. What else may come in this state is passed over: the
 * signals that end a launch are kept from PID 1 while it waits, see launch_on_signal().
 * Where the monitor is gone it does not return.
 *
 * Return: 0, or -errno with *err filled.
 */
int init_await(const struct run_context *ctx, enum handshake_state state, enum handshake_type type,
	       struct sbx_err *err)
{
	return init_await_fd(ctx, state, type, NULL, err);
}

/* The same of an answer with a descriptor; @ret_fd: NULL where it has none. */
int init_await_fd(const struct run_context *ctx, enum handshake_state state,
		  enum handshake_type type, int *ret_fd, struct sbx_err *err)
{
	return init_await_all(ctx, state, type, ret_fd, NULL, err);
}

/* The same of an answer with a number. */
int init_await_number(const struct run_context *ctx, enum handshake_state state,
		      enum handshake_type type, int32_t *ret_number, struct sbx_err *err)
{
	return init_await_all(ctx, state, type, NULL, ret_number, err);
}

static int init_wait_for_ids(struct init *in, struct sbx_err *err)
{
	if (!in->ctx->plan->uid_map.helper && !plan_is_below(in->ctx->plan))
		return 0;
	return init_await(in->ctx, HANDSHAKE_INIT_UNMAPPED, HANDSHAKE_MAPPED, err);
}

/*
 * Root without a user namespace: the mounts are still peers of the host's, to which
 * whatever is mounted here would spread. In a new user namespace the kernel does this.
 */
static int init_leave_propagation(const struct run_context *ctx, struct sbx_err *err)
{
	const struct mount_attr slave = {.propagation = MS_SLAVE};

	if (sys_mount_setattr(ctx->host_root_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &slave) < 0)
		return err_system(err, errno, "/", "cannot keep mounts from the host");
	return 0;
}

/*
 * Where somebody is to be told of the sandbox, wait until that is done: the monitor looks
 * at this process, and who reads it may do so before it goes on.
 */
static int init_say_hello(const struct init *in, struct sbx_err *err)
{
	const struct sbx_plan *plan = in->ctx->plan;
	const int told[] = {plan->info_fd, plan->json_status_fd, plan->userns_block_fd};
	int r;

	if (plan->info_fd < 0 && plan->json_status_fd < 0)
		return 0;
	r = handshake_send(in->sock_fd, HANDSHAKE_HELLO, 0);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot tell the monitor");
	r = init_await(in->ctx, HANDSHAKE_INIT_HELLO, HANDSHAKE_HELLO_KNOWN, err);
	/* So that the reader sees the end when the monitor closes it; none is the command's. */
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (told[i] > STDERR_FILENO)
			close(told[i]);
	return r;
}

/* Everything up to the moment when only the new root is left. */
static int init_set_up(struct init *in, struct sbx_err *err)
{
	struct run_context *ctx = in->ctx;
	int r;

	r = join_is_needed(ctx->plan) ? join_become(ctx->plan, err) : 0;
	if (r == 0)
		r = init_tie_to_monitor(in, err);
	if (r < 0)
		return r;
	if (unshare((int)init_late_namespaces(ctx->plan)) < 0) {
		r = err_system(err, errno, NULL, "cannot create the sandbox's namespaces");
		hint_add(err, HINT_CLONE);
		return r;
	}
	/* Not before: a descriptor belongs to the mount namespace that it was opened in. */
	ctx->host_root_fd = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ctx->host_root_fd < 0)
		return err_system(err, errno, "/", "cannot open the host's root");
	ctx->caller_umask = umask(0);
	if (ctx->plan->box_pidfd >= 0)
		ctx->caller_umask = ctx->plan->joined_umask; /* mounts and ids are those of the
								sandbox that was entered */
	else if (!(ctx->plan->namespaces & CLONE_NEWUSER))
		r = init_leave_propagation(ctx, err);
	else if (!ctx->plan->uid_map.helper && !plan_is_below(ctx->plan) &&
		 ctx->plan->userns_block_fd < 0)
		r = idmap_write_own(ctx->plan, err);
	if (r == 0)
		r = steps_run_phase(ctx, PLAN_EARLY, err);
	if (r == 0)
		r = init_wait_for_ids(in, err);
	if (r == 0)
		r = init_say_hello(in, err);
	return r < 0 ? r : steps_run_phase(ctx, PLAN_SETUP, err);
}

/* From here on nobody inside can trace this process or read its memory. */
static int init_hide(const struct init *in, struct launch_title title, struct sbx_err *err)
{
	if (!in->ctx->plan->init_visible && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
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
	if (!in->ctx->plan->own_pid_ns && !context_outlives_monitor(in->ctx) &&
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
		struct sbx_err err;

		(void)err_system(&err, errno, NULL, "cannot ask for a signal at PID 1's death");
		(void)handshake_send_err(in->sock_fd, &err);
		_exit(ERR_EXIT_FAILED);
	}
	payload_main(in->ctx, in->sock_fd, gate_read);
}

static int init_blame_payload(int number, struct sbx_err *err)
{
	(void)err_system(err, number, NULL, "cannot create the command's process");
	hint_add(err, HINT_PAYLOAD);
	return -number;
}

static int init_clone_payload(struct init *in, int gate_read, int gate_write, struct sbx_err *err)
{
	/* Not clone3(2): PID 1's filter may be there already, which cannot judge that. */
	pid_t pid = sys_clone(in->ctx->plan->nested_userns ? CLONE_NEWUSER | CLONE_NEWNS : 0,
			      &in->payload_fd);

	if (pid < 0)
		return init_blame_payload(errno, err);
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
		r = init_hide(in, title, err);
	if (r == 0)
		r = steps_run_phase(ctx, PLAN_REAPER, err);
	if (r == 0 && write(gate_write, "", 1) != 1)
		r = err_system(err, errno, NULL, "cannot let the command begin");
	return r;
}

static int init_watch_children(struct init *in, struct sbx_err *err);
static int init_reap(struct init *in, struct sbx_err *err);
static void init_listen(struct init *in, struct pollfd *pfd);

/*
 * May the payload run in PID 1's memory until it executes? Not where it may wait for
 * somebody there (PID 1 would not hear the monitor meanwhile), nor where what it does
 * to itself would be done to that memory: a change of ids resets PR_SET_DUMPABLE.
 */
static bool init_may_lend(const struct run_context *ctx)
{
	const struct sbx_plan *plan = ctx->plan;
	static const enum plan_step_kind own_memory[] = {
		PLAN_STEP_STDIO, PLAN_STEP_IDS, PLAN_STEP_ASSERT_NO_USERNS, PLAN_STEP_BLOCK};

	if (!plan->own_pid_ns || context_outlives_monitor(ctx))
		return false;
	for (size_t i = 0; i < plan->n_steps; i++)
		for (size_t j = 0; j < ARRAY_SIZE(own_memory); j++)
			if (plan->steps[i].kind == own_memory[j])
				return false;
	return true;
}

static void init_borrower(void *arg)
{
	init_payload_child(arg, -1, -1);
}

/*
 * Wait until the payload is out of this memory, or its state may have changed. While it
 * is stopped, whoever lets it go on, or end, may speak to the monitor only, so that is
 * heard. (Not while it runs: what a message asks for may fail, see borrow.c.)
 *
 * Return: 1 when it is out; 0; or -errno.
 */
static int init_await_borrower(struct init *in, int borrow_fd, struct sbx_err *err)
{
	struct pollfd pfds[] = {{.fd = borrow_fd, .events = POLLIN},
				{.fd = in->stopped ? in->sock_fd : -1, .events = POLLIN}};
	int r;

	if (poll(pfds, ARRAY_SIZE(pfds), INIT_BORROW_MS) < 0)
		return err_system(err, errno, NULL, "cannot wait for the command's start");
	if (pfds[0].revents)
		return 1;
	if (pfds[1].revents)
		init_listen(in, &pfds[1]);
	r = init_reap(in, err);
	return r < 0 ? r : 0;
}

static int init_lend(struct init *in, struct sbx_err *err)
{
	int borrow_fd = -1, r;

	in->payload = borrow_start(init_borrower, in, &borrow_fd, &in->payload_fd);
	if (in->payload < 0)
		return init_blame_payload(errno, err);
	do {
		r = init_await_borrower(in, borrow_fd, err);
	} while (r == 0);
	close(borrow_fd);
	return r < 0 ? r : 0;
}

static int init_start_payload(struct init *in, struct launch_title title, struct sbx_err *err)
{
	const struct sbx_plan *plan = in->ctx->plan;
	int r = plan->init_is_payload ? 0 : init_watch_children(in, err);

	if (r < 0)
		return r;
	if (init_needs_gate(plan))
		return init_start_gated(in, title, err);
	r = init_hide(in, title, err);
	if (r == 0 && plan->init_is_payload)
		payload_main(in->ctx, in->sock_fd, -1);
	if (r < 0)
		return r;
	return init_may_lend(in->ctx) ? init_lend(in, err) : init_clone_payload(in, -1, -1, err);
}

/* ---- its life ---- */

static void init_on_sigchld(int sig)
{
	(void)sig;
}

/*
 * SIGCHLD interrupts a wait and nothing else; all others stay blocked. Without that
 * PID 1 would sleep for ever behind the command's end.
 */
static int init_watch_children(struct init *in, struct sbx_err *err)
{
	const struct sigaction action = {.sa_handler = init_on_sigchld};

	if (sigaction(SIGCHLD, &action, NULL) < 0 ||
	    sigprocmask(SIG_BLOCK, NULL, &in->wait_mask) < 0)
		return err_system(err, errno, NULL, "cannot watch for the command's end");
	(void)sigdelset(&in->wait_mask, SIGCHLD);
	return 0;
}

/* @sig: negative: for the payload's whole group, which it leads on a terminal of its own */
static void init_signal(const struct init *in, int sig)
{
	if (in->payload == 0 && in->ctx->plan->own_pid_ns)
		(void)kill(-1, abs(sig)); /* --on-exit=wait: to all that is left */
	/* There is no such group yet where the payload has only just been born. */
	else if (in->payload > 0 && (sig > 0 || kill(-in->payload, -sig) < 0))
		(void)kill(in->payload, abs(sig));
}

/* The terminal signals the whole process group; before the payload was there, it was PID 1. */
static void init_pass_on_pending(const struct init *in)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
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

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) < 0)
			return errno == ECHILD ? 0
					       : err_system(err, errno, NULL,
							    "cannot wait for the command");
		if (info.si_pid == 0)
			return 1;
		if (info.si_pid != in->payload)
			continue;
		in->stopped = info.si_code == CLD_STOPPED;
		if (info.si_code == CLD_CONTINUED)
			continue;
		if (in->stopped) {
			if (!in->ctx->plan->leaves_signals &&
			    handshake_send(in->sock_fd, HANDSHAKE_STOPPED, info.si_status) == 0)
				in->stops++;
			continue;
		}
		in->exit_code = init_exit_code(&info);
		in->payload = 0;
		if (in->ctx->plan->leaves_rest)
			(void)handshake_send(in->sock_fd, HANDSHAKE_EXITED, in->exit_code);
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
	if (in->stops == 0 || !signals_stop_a_process(abs(sig)))
		init_signal(in, sig);
	if (sig == -SIGCONT)
		(void)handshake_send(in->sock_fd, HANDSHAKE_CONTINUED, 0);
}

/* A message, or the end of the monitor, which may be none of PID 1's business. */
static void init_listen(struct init *in, struct pollfd *pfd)
{
	struct handshake_msg msg;
	int r = handshake_receive(in->sock_fd, HANDSHAKE_INIT_RUNNING, false, &msg);

	if (r == 0 && context_outlives_monitor(in->ctx))
		pfd->fd = -1;
	else if (r == 0)
		init_end(in, ERR_EXIT_FAILED);
	if (r > 0 && msg.type == HANDSHAKE_SIGNAL)
		init_on_signal(in, msg.number);
	if (r > 0 && msg.type == HANDSHAKE_WHO)
		(void)handshake_send_fd(in->sock_fd, HANDSHAKE_PAYLOAD, in->payload_fd);
	if (r > 0 && msg.type == HANDSHAKE_STOP_KNOWN)
		in->stops--;
	if (r > 0 && msg.type == HANDSHAKE_FOREGROUND && in->ctx->pty_slave_fd >= 0)
		pty_set_foreground(in->ctx, in->payload, (enum handshake_foreground)msg.number);
}

/*
 * Without a pid namespace PID 1 must outlive the monitor to end what is left: end of
 * file is the sign then. The signal only wakes it, should somebody have stopped it.
 */
static int init_outlive_monitor(const struct init *in, struct sbx_err *err)
{
	bool outlives = context_outlives_monitor(in->ctx);

	if (in->ctx->plan->own_pid_ns && !outlives)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, outlives ? 0 : SIGCONT) == 0)
		return 0;
	return err_system(err, errno, NULL, "cannot change the signal at the monitor's death");
}

static void init_close_others(const struct init *in)
{
	const struct run_context *ctx = in->ctx;
	int keep[INIT_KEEP_MAX] = {in->sock_fd, ctx->proc_fd, ctx->plan->sync_fd, ctx->pty_slave_fd,
				   in->payload_fd};

	for (size_t i = 0; i < ctx->n_locks; i++)
		keep[INIT_KEEP + i] = ctx->lock_fds[i];
	fd_close_all_but(keep, INIT_KEEP + ctx->n_locks);
}

/* Return: only in failure, -errno. */
static int init_loop(struct init *in, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = in->sock_fd, .events = POLLIN};
	int r = init_outlive_monitor(in, err);

	if (r < 0)
		return r;
	init_close_others(in);
	init_pass_on_pending(in);
	for (;;) {
		int ready;

		r = init_reap(in, err);
		if (r < 0)
			return r;
		if (in->payload == 0 && (!in->ctx->plan->wait_for_all || r == 0))
			init_end(in, in->exit_code);
		ready = ppoll(&pfd, 1, NULL, &in->wait_mask);
		if (ready < 0 && errno != EINTR)
			return err_system(err, errno, NULL, "cannot wait for events");
		if (ready > 0)
			init_listen(in, &pfd);
	}
}

/**
 * PID 1's whole life.
 * @title:   this process's command line and environment, to be wiped
 * @sock_fd: taken; to the monitor
 */
noreturn void init_main(struct run_context *ctx, struct launch_title title, int sock_fd)
{
	struct init in = {.ctx = ctx, .sock_fd = sock_fd, .payload_fd = -1};
	struct sbx_err err;
	int r;

	ctx->sock_fd = sock_fd;
	r = init_set_up(&in, &err);
	if (r == 0)
		r = steps_run_phase(ctx, PLAN_INIT, &err);
	if (r == 0)
		r = init_start_payload(&in, title, &err);
	if (r == 0)
		(void)init_loop(&in, &err);
	handshake_fail(sock_fd, ctx->last_word, &err);
	init_end(&in, ERR_EXIT_FAILED);
}
