/* SPDX-License-Identifier: MIT */
/*
 * launch: the monitor. Create PID 1, have its ids mapped, pass signals on, and
 * return the command's exit code.
 *
 * Theory of operation
 *
 * The monitor stays on the host, with the caller's id and no privilege. All it
 * waits for is in one poll(2): signals (signalfd), words from PID 1 (socket), the
 * end of PID 1 (pidfd), the end of the id helpers (pidfds), and with
 * --die-with-parent the end of the caller (pidfd).
 *
 *     state       ends when                        a signal that ends processes
 *     MAPPING     both helpers have succeeded      ends the launch
 *     RUNNING     PID 1 has ended                  goes to the command
 *
 * A signal that the terminal sent (si_code SI_KERNEL) has reached the command too,
 * which is in the same process group, so it is not passed on, unless the
 * command has a session of its own. When the command stops, PID 1 says so and
 * the monitor stops itself by the same signal: the caller's shell sees a
 * stopped job, as if there were no sandbox. SIGCONT is passed on.
 *
 * However this function returns, PID 1 has been waited for, and with it
 * everything in its pid namespace has ended.
 */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/idmap.h"
#include "sbx/run/init.h"
#include "sbx/run/launch.h"
#include "sbx/run/signals.h"
#include "sbx/run/terminal.h"
#include "sbx/spec/hints.h"

enum {
	LAUNCH_HELPER_TIMEOUT_MS = 20 * 1000,
	LAUNCH_FDS_NEEDED = 64, /* descriptors that sbx has open at most, with room */
};

enum launch_state { LAUNCH_MAPPING, LAUNCH_RUNNING };

/* What is polled, by index. */
enum launch_source {
	LAUNCH_SIGNALS,
	LAUNCH_SOCKET,
	LAUNCH_PID_1,
	LAUNCH_PARENT,
	LAUNCH_HELPER_0,
	LAUNCH_HELPER_1,
	LAUNCH_SOURCE_COUNT_,
};

struct monitor {
	const struct sbx_plan *plan;
	enum launch_state state;
	pid_t child;	     /* PID 1; 0: waited for */
	int pidfd;	     /* owned; of PID 1 */
	int sock_fd;	     /* owned */
	int signal_fd;	     /* owned */
	int parent_fd;	     /* owned; -1: the caller's end does not matter */
	int64_t deadline_ms; /* of the helpers, CLOCK_MONOTONIC */
	struct idmap_job idmap;
	struct terminal terminal;
	bool helper_failed; /* one of the two has */
	int interrupted;    /* the signal that ended the launch, 0: none */
	siginfo_t end;	    /* of PID 1, once waited for */
	int wait_errno;	    /* why it could not be */
};

static void monitor_init(struct monitor *m, const struct sbx_plan *plan)
{
	memset(m, 0, sizeof(*m));
	m->plan = plan;
	m->pidfd = -1;
	m->sock_fd = -1;
	m->signal_fd = -1;
	m->parent_fd = -1;
	idmap_job_init(&m->idmap);
}

static void monitor_wait_for_child(struct monitor *m)
{
	int r;

	if (m->child <= 0)
		return;
	do {
		r = waitid(P_PIDFD, (id_t)m->pidfd, &m->end, WEXITED);
	} while (r < 0 && errno == EINTR);
	m->wait_errno = r < 0 ? errno : 0;
	m->child = 0;
}

/* End PID 1 if it is still there, and with it the sandbox. */
static void monitor_finish(struct monitor *m)
{
	idmap_job_finish(&m->idmap);
	if (m->child > 0) {
		(void)sys_pidfd_send_signal(m->pidfd, SIGKILL);
		monitor_wait_for_child(m);
	}
	defs_cleanup_fd(&m->pidfd);
	defs_cleanup_fd(&m->sock_fd);
	defs_cleanup_fd(&m->signal_fd);
	defs_cleanup_fd(&m->parent_fd);
}

static int64_t launch_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- start ---- */

/*
 * Watch the caller's process. PR_SET_PDEATHSIG would be tied to the one thread
 * that started us, and does not see a caller that died before it was set.
 */
static int launch_watch_parent(struct monitor *m, pid_t parent, struct sbx_err *err)
{
	if (!m->plan->end_with_parent)
		return 0;
	if (parent == 0)
		return err_refuse(err, ESRCH, NULL,
				  "--die-with-parent: the caller is in another pid namespace and "
				  "cannot be watched");
	m->parent_fd = sys_pidfd_open(parent);
	if (m->parent_fd < 0 && errno != ESRCH)
		return err_system(err, errno, NULL, "--die-with-parent: cannot watch the caller");
	if (m->parent_fd < 0 || getppid() != parent)
		return err_refuse(err, ESRCH, NULL,
				  "--die-with-parent: the caller is gone already");
	return 0;
}

/* A caller with room for three open files is unusual, but may be. */
static void launch_raise_nofile(struct run_context *ctx)
{
	struct rlimit more;

	if (getrlimit(RLIMIT_NOFILE, &ctx->caller_nofile) < 0 ||
	    ctx->caller_nofile.rlim_cur >= LAUNCH_FDS_NEEDED)
		return;
	more = ctx->caller_nofile;
	more.rlim_cur = more.rlim_max < LAUNCH_FDS_NEEDED ? more.rlim_max : LAUNCH_FDS_NEEDED;
	ctx->nofile_raised = setrlimit(RLIMIT_NOFILE, &more) == 0;
}

/* Undo what the start changed of this process, for another try. */
static void launch_give_back(const struct run_context *ctx)
{
	(void)sigprocmask(SIG_SETMASK, &ctx->caller_sigmask, NULL);
	if (ctx->nofile_raised)
		(void)setrlimit(RLIMIT_NOFILE, &ctx->caller_nofile);
}

/* In the child: forget what is the monitor's. */
static noreturn void launch_init_child(struct run_context *ctx, struct launch_title title,
				       const int socks[2], int parent_fd)
{
	close(socks[0]);
	if (parent_fd >= 0)
		close(parent_fd);
	init_main(ctx, title, socks[1]);
}

static int launch_clone(struct monitor *m, struct run_context *ctx, struct launch_title title,
			struct sbx_err *err)
{
	struct clone_args args = {
		.flags = (m->plan->namespaces & ~init_late_namespaces(m->plan)) | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&m->pidfd,
		.exit_signal = SIGCHLD,
	};
	int socks[2], r;
	pid_t pid;

	/* Who makes a plan with another parent teaches this function to join it first. */
	assert(m->plan->parent_userns_fd < 0);
	r = handshake_open(socks);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot make a socket to PID 1");
	pid = sys_clone3(&args);
	if (pid == 0)
		launch_init_child(ctx, title, socks, m->parent_fd);
	r = pid < 0 ? errno : 0;
	m->sock_fd = socks[0];
	close(socks[1]);
	if (pid < 0) {
		r = err_system(err, r, NULL, "cannot create a user namespace");
		hint_add(err, HINT_CLONE);
		return r;
	}
	m->child = pid;
	return 0;
}

static int launch_start(struct monitor *m, struct run_context *ctx,
			const struct launch_caller *caller, struct sbx_err *err)
{
	int r = signals_block(&ctx->caller_sigmask);

	if (r < 0)
		return err_system(err, -r, NULL, "cannot block signals");
	launch_raise_nofile(ctx);
	r = launch_watch_parent(m, caller->parent, err);
	if (r == 0)
		r = launch_clone(m, ctx, caller->title, err);
	if (r == 0 && m->plan->uid_map.helper)
		r = idmap_job_start(&m->idmap, m->plan, m->child, &ctx->caller_sigmask, err);
	if (r < 0)
		return r;
	terminal_note(&m->terminal);
	r = signals_open(&m->signal_fd);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot receive signals");
	m->state = m->plan->uid_map.helper ? LAUNCH_MAPPING : LAUNCH_RUNNING;
	m->deadline_ms = m->plan->uid_map.helper ? launch_now_ms() + LAUNCH_HELPER_TIMEOUT_MS : 0;
	return 0;
}

/*
 * Let go of the caller's descriptors, so that whoever reads from a pipe sees its
 * end when the command closes it. Standard error stays, for what there is to say.
 */
static void launch_close_others(const struct monitor *m)
{
	const int keep[] = {m->pidfd,
			    m->sock_fd,
			    m->signal_fd,
			    m->parent_fd,
			    m->terminal.fd,
			    m->idmap.error_fd,
			    m->idmap.helpers[0].pidfd,
			    m->idmap.helpers[1].pidfd,
			    STDERR_FILENO};

	fd_close_all_but(keep, ARRAY_SIZE(keep));
}

/* ---- events ---- */

static void launch_forward(const struct monitor *m, int sig)
{
	if (m->plan->init_is_payload)
		(void)sys_pidfd_send_signal(m->pidfd, sig);
	else
		(void)handshake_send(m->sock_fd, HANDSHAKE_SIGNAL, sig);
}

/* Return: 0, or -ECANCELED when the launch is to end. */
static int launch_on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	if (read(m->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (m->state == LAUNCH_MAPPING && signals_end_a_process((int)info.ssi_signo)) {
		m->interrupted = (int)info.ssi_signo;
		return -ECANCELED;
	}
	if (info.ssi_code == SI_KERNEL && !m->plan->own_session)
		return 0;
	launch_forward(m, (int)info.ssi_signo);
	return 0;
}

/* The command has stopped; so do we, by the same signal, until somebody continues us. */
static void launch_stop(int sig)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)kill(getpid(), sig);
	if (!signals_stop_a_process(sig))
		return;
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int launch_on_message(struct monitor *m, struct sbx_err *err)
{
	struct handshake_msg msg;
	int r = handshake_receive(m->sock_fd, HANDSHAKE_MONITOR, false, &msg);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hear from PID 1");
	if (r == 0) {
		/* End of file: from now on only PID 1's end is of interest. */
		close(take_fd(&m->sock_fd));
		return 0;
	}
	if (msg.type == HANDSHAKE_STOPPED) {
		(void)handshake_send(m->sock_fd, HANDSHAKE_STOP_KNOWN, 0);
		launch_stop(msg.number);
		return 0;
	}
	*err = msg.err;
	return -ECANCELED;
}

static bool launch_has_message(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->sock_fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static bool launch_init_has_ended(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->pidfd, .events = POLLIN};

	return m->sock_fd < 0 || poll(&pfd, 1, 0) == 1;
}

/*
 * Once both maps are there PID 1 may go on. A helper fails also for want of a
 * PID 1: then the news is how that one ended, and it is on its way to us.
 */
static int launch_on_helper(struct monitor *m, struct sbx_err *err)
{
	int r = idmap_job_reap(&m->idmap, err);

	if (launch_init_has_ended(m))
		return 0;
	m->helper_failed = r < 0;
	if (r < 0 || !idmap_job_done(&m->idmap))
		return r;
	idmap_job_finish(&m->idmap);
	m->state = LAUNCH_RUNNING;
	launch_close_others(m);
	r = handshake_send(m->sock_fd, HANDSHAKE_MAPPED, 0);
	/* A PID 1 that is gone has said why, or its end will tell. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return err_system(err, -r, NULL, "cannot talk to PID 1");
	return 0;
}

static int launch_on_timeout(const struct monitor *m, struct sbx_err *err)
{
	const char *path =
		m->idmap.helpers[0].pid ? m->plan->gid_map.helper : m->plan->uid_map.helper;
	int r = err_refuse(err, ETIMEDOUT, path, "has not finished within %d seconds",
			   LAUNCH_HELPER_TIMEOUT_MS / 1000);

	err_hint(err,
		 "it may wait for a directory service (see nsswitch.conf(5)); --map=single does\n"
		 "without it");
	return r;
}

static void launch_fill_poll(const struct monitor *m, struct pollfd pfds[LAUNCH_SOURCE_COUNT_])
{
	const int fds[LAUNCH_SOURCE_COUNT_] = {
		[LAUNCH_SIGNALS] = m->signal_fd,
		[LAUNCH_SOCKET] = m->sock_fd,
		[LAUNCH_PID_1] = m->pidfd,
		[LAUNCH_PARENT] = m->parent_fd,
		[LAUNCH_HELPER_0] = m->idmap.helpers[0].pidfd,
		[LAUNCH_HELPER_1] = m->idmap.helpers[1].pidfd,
	};

	for (int i = 0; i < LAUNCH_SOURCE_COUNT_; i++)
		pfds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
}

/* Wait once, and act. Return: 1 when PID 1 has ended, 0 to go on, or -errno. */
static int launch_turn(struct monitor *m, struct sbx_err *err)
{
	struct pollfd pfds[LAUNCH_SOURCE_COUNT_];
	int timeout = -1, r = 0;

	if (m->state == LAUNCH_MAPPING) {
		int64_t left = m->deadline_ms - launch_now_ms();

		timeout = left > 0 ? (int)left : 0;
	}
	launch_fill_poll(m, pfds);
	r = poll(pfds, LAUNCH_SOURCE_COUNT_, timeout);
	if (r < 0)
		return errno == EINTR ? 0 : err_system(err, errno, NULL, "cannot wait for events");
	if (r == 0)
		return launch_on_timeout(m, err);
	r = 0;
	/*
	 * PID 1's last word comes before its end, and before what its end does to a
	 * helper. It may have come since poll looked at the socket, so that is asked again.
	 */
	while (r == 0 && launch_has_message(m))
		r = launch_on_message(m, err);
	if (r == 0 && (pfds[LAUNCH_HELPER_0].revents || pfds[LAUNCH_HELPER_1].revents))
		r = launch_on_helper(m, err);
	if (r == 0 && pfds[LAUNCH_SIGNALS].revents)
		r = launch_on_signal(m);
	if (r == 0 && pfds[LAUNCH_PARENT].revents) {
		m->interrupted = SIGKILL;
		r = -ECANCELED;
	}
	if (r == 0 && pfds[LAUNCH_PID_1].revents)
		r = 1;
	return r;
}

/* What PID 1's end means for whoever called sbx. */
static int launch_conclude(const struct monitor *m, int *ret_exit_code, struct sbx_err *err)
{
	bool killed = m->end.si_code != CLD_EXITED;

	if (m->end.si_pid == 0)
		return err_system(err, m->wait_errno, NULL,
				  "the sandbox has ended, but its exit code cannot be told");
	if (killed && !m->plan->init_is_payload) {
		int r = err_refuse(err, ECANCELED, NULL,
				   "the sandbox's first process was killed by signal %d",
				   m->end.si_status);

		err_hint(err, m->plan->own_pid_ns
				      ? "something outside killed it, perhaps for want of memory; "
					"everything in the\nsandbox has ended with it"
				      : "something outside killed it; with --share-pid, what the "
					"command had started may\nstill run");
		return r;
	}
	*ret_exit_code = killed ? 128 + m->end.si_status : m->end.si_status;
	return 0;
}

/*
 * Where the kernel keeps this process's command line and environment: argv and
 * environ as main() got them lie one behind the other.
 */
static struct launch_title launch_find_title(char *const *argv, char *const *environ_)
{
	struct launch_title title = {.start = argv[0], .len = 0};
	char *const *const lists[] = {argv, environ_};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (char *const *p = lists[i]; *p; p++)
			if (*p == title.start + title.len)
				title.len += strlen(*p) + 1;
	return title;
}

/* To be called first thing: what --die-with-parent watches is who is the parent now. */
struct launch_caller launch_note_caller(char *const *argv, char *const *environ_)
{
	return (struct launch_caller){launch_find_title(argv, environ_), getppid()};
}

/**
 * Carry out a plan: returns when the sandbox has ended.
 * @caller: from launch_note_caller(); PID 1 wipes its copy of the title
 *
 * Return: 0 with the exit code of the command; LAUNCH_WITHOUT_RANGE; or -errno
 * with *err filled when the launch failed. Nothing of the sandbox is left.
 */
int launch_run(const struct sbx_plan *plan, const struct launch_caller *caller, int *ret_exit_code,
	       struct sbx_err *err)
{
	struct run_context ctx;
	struct monitor m;
	int r;

	context_init(&ctx, plan);
	monitor_init(&m, plan);
	r = launch_start(&m, &ctx, caller, err);
	/* Not before the ids are mapped: until then all can begin anew. */
	if (r == 0 && m.state == LAUNCH_RUNNING)
		launch_close_others(&m);
	while (r == 0)
		r = launch_turn(&m, err);
	if (r == 1) {
		monitor_wait_for_child(&m);
		r = launch_conclude(&m, ret_exit_code, err);
	}
	monitor_finish(&m);
	terminal_restore(&m.terminal);
	if (r < 0 && m.interrupted) {
		*ret_exit_code = 128 + m.interrupted;
		return 0;
	}
	if (r < 0 && m.helper_failed && plan->map_may_fall_back) {
		launch_give_back(&ctx);
		return LAUNCH_WITHOUT_RANGE;
	}
	return r;
}
