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
 *     HELD        --userns-block-fd is written to  ends the launch
 *
 * Other signals wait until the command can be told of them.
 * HELD is a pause in RUNNING: PID 1 has said hello, and the caller maps its ids.
 *
 * A signal that the terminal sent (si_code SI_KERNEL) has reached the command too,
 * which is in the same process group, so it is not passed on, unless the
 * command has a session of its own. When the command stops, PID 1 says so and
 * the monitor stops itself by the same signal: the caller's shell sees a
 * stopped job, as if there were no sandbox. SIGCONT is passed on.
 *
 * With --pty the command's terminal is the sandbox's own, which relay.c connects
 * with the caller's. Then all signals are passed on, those of keys to the whole
 * group of the command; the monitor's group stops as the terminal would have
 * stopped it; and a command that is stopped for reading in the background gets the
 * terminal if sbx is in the foreground.
 *
 * However this function returns, PID 1 has been waited for, and with it
 * everything in its pid namespace has ended.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/prefault.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/bus.h"
#include "sbx/run/cgroup.h"
#include "sbx/run/control.h"
#include "sbx/run/detach.h"
#include "sbx/run/fuse.h"
#include "sbx/run/handshake.h"
#include "sbx/run/idmap.h"
#include "sbx/run/init.h"
#include "sbx/run/join.h"
#include "sbx/run/kept.h"
#include "sbx/run/launch.h"
#include "sbx/run/net.h"
#include "sbx/run/net_watch.h"
#include "sbx/run/placeholder.h"
#include "sbx/run/publish.h"
#include "sbx/run/refused.h"
#include "sbx/run/relay.h"
#include "sbx/run/share.h"
#include "sbx/run/signals.h"
#include "sbx/run/stats.h"
#include "sbx/run/status.h"
#include "sbx/run/terminal.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/hints.h"

enum {
	LAUNCH_HELPER_TIMEOUT_MS = 20 * 1000,
	LAUNCH_BUS_TIMEOUT_MS = 10 * 1000,
	LAUNCH_FUSE_TIMEOUT_MS = 20 * 1000,
	LAUNCH_NET_TIMEOUT_MS = 20 * 1000,
	LAUNCH_END_MS = 1000,	/* of a process that has closed its descriptors */
	LAUNCH_FDS_NEEDED = 64, /* descriptors that sbx has open at most, with room */
};

/* Of the stack: the frames from main() to here; below, what PID 1 and the payload use. */
enum {
	LAUNCH_STACK_BYTES = 20480,
	LAUNCH_INIT_ABOVE_BYTES = 4096, /* it returns to none of those frames */
	LAUNCH_INIT_STACK_BYTES = 40960,
};

enum launch_state { LAUNCH_MAPPING, LAUNCH_RUNNING, LAUNCH_HELD };

/* What has been done about a command that has had its time. */
enum launch_overtime { LAUNCH_IN_TIME, LAUNCH_ASKED, LAUNCH_KILLED };

/* What is polled, by index. */
enum launch_source {
	LAUNCH_SIGNALS,
	LAUNCH_SOCKET,
	LAUNCH_PID_1,
	LAUNCH_PARENT,
	LAUNCH_HELPER_0,
	LAUNCH_HELPER_1,
	LAUNCH_LISTENER,
	LAUNCH_BUS,
	LAUNCH_BUS_READY,
	LAUNCH_NET,
	LAUNCH_NET_READY,
	LAUNCH_NET_WATCH,
	LAUNCH_PUBLISH,
	LAUNCH_SHARE,
	LAUNCH_HOLD,
	LAUNCH_CONTROL,
	LAUNCH_TERMINAL,
	LAUNCH_PTY,
	LAUNCH_DETACH, /* the first of DETACH_SOURCES */
	LAUNCH_DETACH_LAST = LAUNCH_DETACH + DETACH_SOURCES - 1,
	LAUNCH_FUSE_MAKER,
	LAUNCH_FUSE, /* the first of PLAN_FUSE_MAX */
	LAUNCH_FUSE_LAST = LAUNCH_FUSE + PLAN_FUSE_MAX - 1,
	LAUNCH_SOURCE_COUNT_,
};

struct monitor {
	const struct sbx_plan *plan;
	const struct launch_caller *caller; /* borrowed */
	char end_note[256];		    /* what the caller says of the end; "": nothing */
	enum launch_state state;
	pid_t child;	     /* PID 1; 0: waited for */
	int pidfd;	     /* owned; of PID 1 */
	int sock_fd;	     /* owned */
	int signal_fd;	     /* owned */
	int listener_fd;     /* owned; of the filter, with --seccomp-log; -1: none (yet) */
	int parent_fd;	     /* owned; -1: the caller's end does not matter */
	int64_t deadline_ms; /* of the helpers, CLOCK_MONOTONIC */
	int64_t end_ms;	     /* of --timeout, likewise; INT64_MAX: none */
	enum launch_overtime overtime;
	struct idmap_job idmap;
	struct bus_job bus;
	struct net_job net;
	struct net_watch net_watch;
	struct publish publish;
	bool publishes; /* the ports of the plan; PID 1 waits for that */
	struct share share;
	struct fuse_jobs fuse;
	struct terminal terminal;
	struct relay *relay; /* owned; NULL without --pty */
	struct placeholder_box placeholders;
	struct register_entry record;
	struct cgroup_job cgroup;
	struct stats stats;
	struct sbx_err
		*no_limits; /* owned; why there are none, with --limits=try; NULL: there are */
	struct control control;
	struct detach detach;
	int exit_code;	    /* of a command that has ended while PID 1 has not; -1: not so */
	bool greeted;	    /* by PID 1, where somebody is to be told of it; else true */
	bool hears_few;	    /* signals: those that end a launch */
	bool helper_failed; /* one of the two has */
	int unkept_errno;   /* why --keep-record could not say how it ended; 0: it did */
	bool init_ended;
	bool child_changed;   /* without a PID 1 between us and the command: it may have stopped */
	bool continuing;      /* it was told to go on, and PID 1 has not answered yet */
	bool command_stopped; /* and the monitor with it; the terminal was given back */
	bool hung_up;	      /* the command was told so: its terminal is of no use any more */
	int interrupted;      /* the signal that ended the launch, 0: none */
	struct handshake_last_word
		*last_word;	/* owned; NULL: no filter keeps anybody from telling */
	struct refused refused; /* what the filter refused */
	siginfo_t end;		/* of PID 1, once waited for */
	int wait_errno;		/* why it could not be */
};

static void monitor_init(struct monitor *m, const struct sbx_plan *plan)
{
	memset(m, 0, sizeof(*m));
	m->plan = plan;
	m->pidfd = -1;
	m->sock_fd = -1;
	m->signal_fd = -1;
	m->listener_fd = -1;
	m->parent_fd = -1;
	m->exit_code = -1;
	idmap_job_init(&m->idmap);
	bus_job_init(&m->bus);
	net_job_init(&m->net);
	net_watch_init(&m->net_watch);
	publish_init(&m->publish);
	share_init(&m->share);
	fuse_init(&m->fuse);
	placeholder_init(&m->placeholders);
	register_init(&m->record);
	cgroup_job_init(&m->cgroup);
	control_init(&m->control);
	detach_init(&m->detach);
	m->control.publish = &m->publish;
	m->detach.control = &m->control;
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

/* Is what was used to be told? Which limits were reached always is. */
static bool launch_tells_used(const struct sbx_plan *plan)
{
	return plan->stats || plan->json_status_fd >= 0 || plan->keeps_record;
}

static void monitor_end_helpers(struct monitor *m)
{
	bus_job_finish(&m->bus);
	net_job_finish(&m->net);
	net_watch_finish(&m->net_watch);
	share_finish(&m->share);
	publish_finish(&m->publish);
	fuse_finish(&m->fuse, m->end.si_pid != 0);
}

/*
 * End PID 1 if it is still there, and with it the sandbox. The record is there still: it leads to
 * the cgroups, which the helpers are in, and what is known now is to be kept and logged.
 */
static void monitor_end(struct monitor *m)
{
	idmap_job_finish(&m->idmap);
	if (m->child > 0) {
		cgroup_job_end_all(&m->cgroup);
		(void)sys_pidfd_send_signal(m->pidfd, SIGKILL);
		control_continue_joined(&m->control);
		fuse_await_killed(&m->fuse, m->pidfd);
		monitor_wait_for_child(m);
	}
	monitor_end_helpers(m);
	if (m->cgroup.payload_fd >= 0)
		stats_read_cgroup(&m->stats, m->cgroup.limits_fd, m->cgroup.payload_fd,
				  launch_tells_used(m->plan));
	cgroup_job_finish(&m->cgroup);
	relay_close(take_ptr(m->relay));
}

/* Of what has ended nothing stays. */
static void monitor_finish(struct monitor *m)
{
	control_close(&m->control);
	detach_finish(&m->detach);
	register_finish(&m->record);
	defs_cleanup_fd(&m->pidfd);
	defs_cleanup_fd(&m->sock_fd);
	defs_cleanup_fd(&m->signal_fd);
	defs_cleanup_fd(&m->listener_fd);
	defs_cleanup_fd(&m->parent_fd);
	placeholder_finish(&m->placeholders);
	handshake_close_last_word(take_ptr(m->last_word));
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
static int launch_open_parent(struct monitor *m, pid_t parent, struct sbx_err *err)
{
	if (parent == 0 && m->plan->parent_signals)
		return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0
			       ? 0
			       : err_system(err, errno, NULL, "cannot ask for a signal");
	if (parent == 0)
		return err_refuse(err, ESRCH, NULL,
				  "the caller is in another pid namespace and cannot be watched");
	m->parent_fd = sys_pidfd_open(parent);
	if (m->parent_fd < 0 && errno != ESRCH)
		return err_system(err, errno, NULL, "cannot watch the caller");
	if (m->parent_fd < 0 || getppid() != parent)
		return err_refuse(err, ESRCH, NULL, "the caller is gone already");
	return 0;
}

static int launch_watch_parent(struct monitor *m, pid_t parent, struct sbx_err *err)
{
	int r = m->plan->end_with_parent ? launch_open_parent(m, parent, err) : 0;

	if (r < 0)
		hint_add(err, HINT_PARENT);
	return r;
}

/*
 * A caller with room for three open files is unusual, but may be. Where more cannot be had they
 * may do, for a plan without helpers: whoever lacks one says so.
 */
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
				       const int socks[2], struct monitor *m)
{
	const int not_ours[] = {socks[0],
				m->parent_fd,
				relay_terminal_fd(m->relay),
				m->record.dir_fd,
				m->record.record_fd,
				m->cgroup.above_fd,
				m->cgroup.base_fd,
				m->cgroup.limits_fd,
				m->cgroup.payload_fd,
				m->cgroup.helpers_fd,
				m->caller->session_fds[0],
				m->caller->session_fds[1],
				m->share.fd,
				m->share.userns_fd};

	prefault_program();
	prefault_stack(LAUNCH_INIT_STACK_BYTES, LAUNCH_INIT_ABOVE_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
		if (not_ours[i] >= 0)
			close(not_ours[i]);
	if (m->plan->detach)
		detach_become_child(&m->detach);
	for (int fd = STDIN_FILENO; m->plan->null_fd >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(m->plan->null_fd, fd);
	/* In a sandbox that runs already: whatever the caller has open stays outside. */
	if (m->plan->box_pidfd >= 0) {
		const int keep[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, socks[1]};

		fd_close_all_but(keep, ARRAY_SIZE(keep));
	}
	init_main(ctx, title, socks[1]);
}

/*
 * PID 1 cannot be made, or not be given its ids: which may be because it has ended, and has said
 * why before.
 */
static int launch_hear_why(const struct monitor *m, int r, struct sbx_err *err)
{
	struct handshake_msg msg;

	if (handshake_receive(m->sock_fd, HANDSHAKE_MONITOR, false, &msg) == 1 &&
	    msg.type == HANDSHAKE_FAILED)
		*err = msg.err;
	return r;
}

/* What the caller chose to refuse may be what a failure is told by. */
static int launch_share_last_word(struct monitor *m, struct run_context *ctx, struct sbx_err *err)
{
	const struct plan_filter *filter = &m->plan->filter;
	int r = 0;

	if (filter->n_raw || filter->of_file || filter->n_changes)
		r = handshake_open_last_word(&m->last_word);
	ctx->last_word = m->last_word;
	return r < 0 ? err_system(err, -r, NULL, "cannot share memory with PID 1") : 0;
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
	bool joins;
	pid_t pid;

	r = handshake_open(socks);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot make a socket to PID 1");
	if (m->cgroup.payload_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)m->cgroup.payload_fd;
	}
	joins = join_is_needed(m->plan) || m->plan->net.share;
	pid = joins ? join_clone(m->plan, m->share.userns_fd, &args, title, &m->pidfd, err)
		    : sys_clone3(&args);
	if (pid == 0)
		launch_init_child(ctx, title, socks, m);
	r = pid < 0 ? errno : 0;
	m->sock_fd = socks[0];
	close(socks[1]);
	if (pid < 0 && joins)
		return launch_hear_why(m, (int)pid, err);
	if (pid < 0) {
		r = err_system(err, r, NULL, "cannot create a user namespace");
		hint_add(err, HINT_CLONE);
		return r;
	}
	m->child = pid;
	/* Which are PID 1's as well now; it is at work, so this costs no time. */
	prefault_stack(0, LAUNCH_STACK_BYTES);
	return 0;
}

/* PID 1 waits for something, and what is sent to the command would find none. */
static bool launch_is_starting(const struct monitor *m)
{
	return m->state != LAUNCH_RUNNING || !m->greeted || bus_job_is_awaited(&m->bus) ||
	       net_job_is_awaited(&m->net) || net_rules_are_awaited(&m->net) || m->publishes ||
	       share_is_awaited(&m->share) || fuse_is_awaited(&m->fuse);
}

/* Which signals are read now: what is for the command waits until it can be told. */
static int launch_choose_signals(struct monitor *m, struct sbx_err *err)
{
	bool few = launch_is_starting(m);
	int r;

	if (m->plan->leaves_signals || (m->signal_fd >= 0 && m->hears_few == few))
		return 0;
	m->hears_few = few;
	r = signals_open(&m->signal_fd, few, m->plan->box_pidfd >= 0);
	return r < 0 ? err_system(err, -r, NULL, "cannot receive signals") : 0;
}

/* From here on signals are read, or, where none is passed on, do what they do by default. */
static int launch_take_signals(struct monitor *m, const struct run_context *ctx,
			       struct sbx_err *err)
{
	if (!m->plan->leaves_signals)
		return launch_choose_signals(m, err);
	if (sigprocmask(SIG_SETMASK, &ctx->caller_sigmask, NULL) < 0)
		return err_system(err, errno, NULL, "cannot receive signals");
	return 0;
}

/* What stays of it, from the beginning. */
static int launch_keep(struct monitor *m, struct sbx_err *err)
{
	struct control_facts facts = {.starting = 0};

	control_fill_facts(&m->control, false, &facts);
	return kept_begin(&m->record, &facts, err);
}

/* After a failure: is there to be another try, with the caller's ids alone? */
static bool launch_begins_anew(const struct monitor *m)
{
	return !m->interrupted && m->helper_failed && m->plan->map_may_fall_back;
}

static const char *launch_describe_overtime(const struct monitor *m)
{
	return m->overtime == LAUNCH_KILLED
		       ? "the time is up, the sandbox was killed"
		       : "the time is up, the command was asked to end, and did";
}

/* What ended it, where that is not the command alone. @why: the failure; NULL: it is none */
static void launch_describe_end(const struct monitor *m, const struct sbx_err *why,
				const char *reached, struct str_buf *out)
{
	if (why)
		err_describe(why, out);
	else if (m->overtime != LAUNCH_IN_TIME)
		str_buf_puts(out, launch_describe_overtime(m));
	if (reached[0])
		str_buf_printf(out, "%s%s", out->len ? "; " : "", reached);
	if (m->end_note[0])
		str_buf_printf(out, "%s%s", out->len ? "; " : "", m->end_note);
}

/* How it ended; of a try that another follows, nothing stays. */
static void launch_finish_kept(struct monitor *m, int r, int exit_code, const struct sbx_err *err)
{
	bool failed = r < 0 && !m->interrupted;
	char reason_room[sizeof(((struct kept *)NULL)->reason)] = "";
	char reached_room[STATS_REACHED_MAX] = "";
	struct str_buf reason = STR_BUF_ON_STACK(reason_room);
	struct str_buf reached = STR_BUF_ON_STACK(reached_room);
	struct kept_how how = {.reason = reason_room, .reached = reached_room, .used = &m->stats};

	if (!m->record.kept)
		return;
	if (r < 0 && launch_begins_anew(m)) {
		(void)kept_remove(m->record.dir_fd, &m->record.label);
		m->record.kept = false;
		return;
	}
	stats_describe_limits(&m->stats, &m->plan->limits, &reached);
	launch_describe_end(m, failed ? err : NULL, reached_room, &reason);
	how.end = r >= 0 ? KEPT_EXITED : failed ? KEPT_FAILED : KEPT_KILLED;
	how.exit_code = r >= 0 ? exit_code : failed ? err->exit_code : 128 + m->interrupted;
	m->unkept_errno = -kept_finish(&m->record, &how);
	m->detach.log.stays = true;
}

/*
 * Have a record, while PID 1 is at work. One that cannot be had matters only to who has
 * asked for a name, or leaves it alone: it protects nobody.
 */
static int launch_record(struct monitor *m, struct sbx_err *err)
{
	int r = 0;

	if (!m->plan->records)
		return 0;
	if (!m->plan->needs_record)
		r = register_claim(&m->record, m->plan, err);
	if (r == 0 && m->plan->detach)
		r = detach_begin(&m->detach, &m->record, err);
	if (r == 0)
		r = control_open(&m->control, &m->record, m->child, err);
	if (r == 0)
		r = register_publish(&m->record, m->child, err);
	if (r == 0 && m->plan->keeps_record)
		r = launch_keep(m, err);
	if (r == 0)
		register_sweep(&m->record);
	if (r == 0 || m->plan->needs_record)
		return r;
	control_close(&m->control);
	register_finish(&m->record);
	if (m->plan->verbose)
		err_print(err, "sbx", STDERR_FILENO);
	return 0;
}

/* With --limits=try, at the start and again at the end, when it has not scrolled away. */
static void launch_warn_of_no_limits(const struct monitor *m)
{
	char room[sizeof(m->no_limits->path) + sizeof(m->no_limits->what) + 128];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (!m->no_limits)
		return;
	str_buf_puts(&text, "sbx: no limits are set: ");
	if (m->no_limits->path[0]) {
		str_buf_escape(&text, m->no_limits->path, strlen(m->no_limits->path));
		str_buf_puts(&text, ": ");
	}
	err_describe(m->no_limits, &text);
	str_buf_puts(&text, "\n");
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/*
 * What was waited for before PID 1, while no signal was read and no clock was looked at, watched
 * both itself.
 * @r: what came of it; -EINTR: a signal is pending that ends the launch; -ETIME: its time is over
 */
static int launch_end_early(struct monitor *m, int r)
{
	if (r == -EINTR)
		m->interrupted = signals_find_end();
	if (r != -ETIME)
		return r;
	m->overtime = LAUNCH_KILLED;
	return -ECANCELED;
}

/* Have the cgroup that the limits are set on. */
static int launch_limit(struct monitor *m, const struct run_context *ctx, struct sbx_err *err)
{
	const struct plan_limits *limits = &m->plan->limits;
	int r = limits->from == PLAN_CGROUP_NONE
			? err_refuse(err, EOPNOTSUPP, NULL, "%s", limits->without)
			: cgroup_job_start(&m->cgroup, m->plan, &m->record, &ctx->caller_sigmask,
					   m->end_ms, err);

	r = launch_end_early(m, r);
	if (r == 0 || !limits->try || m->interrupted || m->overtime != LAUNCH_IN_TIME)
		return r;
	cgroup_job_finish(&m->cgroup);
	m->no_limits = malloc(sizeof(*m->no_limits));
	if (!m->no_limits)
		return err_oom(err);
	*m->no_limits = *err;
	launch_warn_of_no_limits(m);
	return 0;
}

/* What sending to PID 1 came to: one that is gone has said why, or its end will tell. */
static int launch_check_sent(int r, struct sbx_err *err)
{
	return r < 0 && r != -EPIPE && r != -ECONNRESET
		       ? err_system(err, -r, NULL, "cannot talk to PID 1")
		       : 0;
}

static int launch_answer(const struct monitor *m, enum handshake_type type, struct sbx_err *err)
{
	int r = m->sock_fd < 0 ? 0 : handshake_send(m->sock_fd, type, 0);

	return launch_check_sent(r, err);
}

/* Are ids mapped by newuidmap and newgidmap? */
static bool launch_needs_helpers(const struct monitor *m)
{
	return m->plan->uid_map.helper && !plan_is_below(m->plan);
}

/* Before PID 1, which is to be below the user namespace that the network belongs to. */
static int launch_join_network(struct monitor *m, const struct run_context *ctx,
			       struct launch_title title, struct sbx_err *err)
{
	int r = share_join(&m->share, m->plan, &ctx->caller_sigmask, title, m->end_ms, err);

	m->helper_failed |= r < 0 && idmap_is_to_blame(err);
	return launch_end_early(m, r);
}

/* The filter that was made for this launch, for later ones. It matters to none. */
static void launch_keep_filter(const struct monitor *m)
{
	struct sbx_err err;
	int r;

	if (!m->plan->filter.to_keep)
		return;
	r = filter_cache_store(m->plan->filter.to_keep);
	if (r == 0 || !m->plan->verbose)
		return;
	(void)err_system(&err, -r, NULL, "cannot keep the filter for the next launch");
	err_print(&err, "sbx", STDERR_FILENO);
}

static int launch_start(struct monitor *m, struct run_context *ctx,
			const struct launch_caller *caller, struct sbx_err *err)
{
	int r = signals_block(&ctx->caller_sigmask);

	if (r < 0)
		return err_system(err, -r, NULL, "cannot block signals");
	m->end_ms = m->plan->timeout_ms ? launch_now_ms() + m->plan->timeout_ms : INT64_MAX;
	launch_raise_nofile(ctx);
	r = launch_watch_parent(m, caller->parent, err);
	if (r == 0 && m->plan->pty && m->plan->detach)
		detach_begin_terminal(&ctx->pty);
	else if (r == 0 && m->plan->pty)
		r = relay_open(m->plan, &m->relay, &ctx->pty, err);
	/* PID 1 must not find, and use, what is about to be removed. */
	if (r == 0 && m->plan->protects) {
		placeholder_sweep(m->plan, PLACEHOLDER_SWEEP_ALL);
		placeholder_open(&m->placeholders, m->plan);
		ctx->placeholders = &m->placeholders;
	}
	/* A name that is taken is to be known before anything runs. */
	if (r == 0 && m->plan->needs_record)
		r = register_claim(&m->record, m->plan, err);
	if (r == 0 && m->plan->limits.n)
		r = launch_limit(m, ctx, err);
	if (r == 0 && m->plan->detach)
		r = detach_open(&m->detach, m->plan, caller->notify_fd, err);
	if (r == 0 && m->plan->net.share)
		r = launch_join_network(m, ctx, caller->title, err);
	if (r == 0)
		r = launch_share_last_word(m, ctx, err);
	if (r == 0)
		r = launch_clone(m, ctx, caller->title, err);
	/* A child of a user namespace that is not the host's gets its ids from there. */
	m->helper_failed |= plan_is_below(m->plan) && r == -ERANGE;
	if (r == 0 && plan_is_below(m->plan))
		r = launch_answer(m, HANDSHAKE_MAPPED, err);
	if (r == 0 && launch_needs_helpers(m))
		r = idmap_job_start(&m->idmap, m->plan, m->child, &ctx->caller_sigmask, err);
	if (r < 0)
		return r;
	/* The others do not wait for it: PID 1 is at work meanwhile. */
	if (!m->plan->protects)
		placeholder_sweep(m->plan, PLACEHOLDER_SWEEP_RECORDS);
	launch_keep_filter(m);
	r = launch_record(m, err);
	if (r < 0)
		return r;
	if (!m->plan->pty)
		m->control.input_fd = m->detach.input_fd;
	m->bus.plan = m->plan;
	m->bus.sigmask = &ctx->caller_sigmask;
	m->net.plan = m->plan;
	m->net.sigmask = &ctx->caller_sigmask;
	m->fuse.plan = m->plan;
	m->fuse.sigmask = &ctx->caller_sigmask;
	m->bus.helper.cgroup_fd = m->net.helper.cgroup_fd = &m->cgroup.helpers_fd;
	m->fuse.cgroup_fd = &m->cgroup.helpers_fd;
	m->terminal.fd = -1;
	if (!m->plan->pty)
		terminal_note(&m->terminal);
	m->state = launch_needs_helpers(m) ? LAUNCH_MAPPING : LAUNCH_RUNNING;
	m->greeted = m->plan->info_fd < 0 && m->plan->json_status_fd < 0;
	r = launch_take_signals(m, ctx, err);
	if (r < 0)
		return r;
	m->deadline_ms = launch_needs_helpers(m) ? launch_now_ms() + LAUNCH_HELPER_TIMEOUT_MS : 0;
	return 0;
}

/*
 * Let go of the caller's descriptors, so that whoever reads from a pipe sees its
 * end when the command closes it. Standard error stays, for what there is to say.
 */
static void launch_close_others(const struct monitor *m)
{
	const int keep[] = {
		m->pidfd, m->sock_fd, m->signal_fd, m->listener_fd, m->parent_fd, m->terminal.fd,
		relay_terminal_fd(m->relay), m->idmap.error_fd, m->idmap.helpers[0].pidfd,
		m->idmap.helpers[1].pidfd, m->placeholders.dir_fd, m->placeholders.record_fd,
		m->record.dir_fd, m->record.record_fd, m->control.listen_fd, m->share.fd,
		m->detach.read_fds[0], m->detach.read_fds[1], m->detach.read_fds[2],
		m->detach.read_fds[3], m->detach.read_fds[4], m->detach.write_fds[3],
		m->detach.input_fd, m->detach.null_fd, m->caller->notify_fd, m->detach.log.fd,
		m->cgroup.above_fd, m->cgroup.base_fd, m->cgroup.limits_fd, m->cgroup.payload_fd,
		m->cgroup.helpers_fd, m->plan->info_fd, m->plan->json_status_fd,
		m->plan->userns_block_fd, m->caller->session_fds[0], m->caller->session_fds[1],
		STDERR_FILENO,
		/* Until they are replaced: nothing else must get these numbers. */
		m->plan->detach ? STDIN_FILENO : -1, m->plan->detach ? STDOUT_FILENO : -1};

	fd_close_all_but(keep, ARRAY_SIZE(keep));
}

/* ---- events ---- */

/* @sig: negative: for the command's whole group */
static void launch_forward(const struct monitor *m, int sig)
{
	if (m->plan->init_is_payload)
		(void)sys_pidfd_send_signal(m->pidfd, abs(sig));
	else
		(void)handshake_send(m->sock_fd, HANDSHAKE_SIGNAL, sig);
}

/*
 * Go on on a terminal that is relayed, with it where it is ours to take. A command
 * that had stopped gets its foreground back, as from a shell; where only the monitor
 * had been stopped, it may be with a job of a shell inside.
 */
static void launch_continue(struct monitor *m)
{
	bool taken = relay_wants_terminal(m->relay) && relay_take_terminal(m->relay);

	if (!taken)
		relay_release_terminal(m->relay);
	(void)handshake_send(m->sock_fd, HANDSHAKE_FOREGROUND,
			     !taken		  ? HANDSHAKE_FOREGROUND_NONE
			     : m->command_stopped ? HANDSHAKE_FOREGROUND_COMMAND
						  : HANDSHAKE_FOREGROUND_IF_FREE);
	launch_forward(m, -SIGCONT);
	/* What is typed waits for that: Ctrl-Z before it would be undone by it (signal(7)). */
	m->continuing = m->command_stopped;
	m->command_stopped = false;
}

static void launch_hang_up(struct monitor *m)
{
	if (m->hung_up)
		return;
	m->hung_up = true;
	launch_forward(m, -SIGHUP);
	launch_forward(m, -SIGCONT); /* or a stopped one would not hear it */
}

static void launch_on_relayed_signal(struct monitor *m, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;
	bool for_group = info->ssi_code == SI_KERNEL || signals_stop_a_process(sig);

	if (sig == SIGCONT)
		launch_continue(m);
	else if (sig == SIGWINCH)
		relay_pass_size(m->relay);
	else
		launch_forward(m, for_group ? -sig : sig);
}

/* Return: 0, or -ECANCELED when the launch is to end. */
static int launch_on_signal(struct monitor *m)
{
	struct signalfd_siginfo info;

	if (read(m->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (info.ssi_signo == SIGCHLD) {
		m->child_changed = true;
		return 0;
	}
	if (launch_is_starting(m) && signals_end_a_process((int)info.ssi_signo)) {
		m->interrupted = (int)info.ssi_signo;
		return -ECANCELED;
	}
	if (m->init_ended && signals_end_a_process((int)info.ssi_signo))
		relay_close(take_ptr(m->relay)); /* what is left is not waited for */
	else if (relay_is_running(m->relay))
		launch_on_relayed_signal(m, &info);
	else if (info.ssi_code != SI_KERNEL || m->plan->own_session)
		launch_forward(m, (int)info.ssi_signo);
	return 0;
}

/*
 * Stop by the signal that the command stopped by, until somebody continues us.
 * @group: with all of our group, as the terminal would do it
 */
static void launch_stop(int sig, bool group)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, sig);
	(void)kill(group && signals_stop_a_process(sig) ? 0 : getpid(), sig);
	if (!signals_stop_a_process(sig))
		return;
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The kernel keeps SIGCONT pending for who has it blocked, and drops it when a stop is sent. */
static bool launch_was_continued(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

/*
 * The command has stopped on its own terminal. Where it asked for the terminal, and
 * sbx may have it, that is all. Else we stop; who continues us is seen by the
 * SIGCONT. In an orphaned group nothing stops (nobody could continue us): then the
 * key has no effect, and a command that reads in the background gets what the
 * kernel gives to such: SIGHUP.
 */
static void launch_on_relayed_stop(struct monitor *m, int sig)
{
	bool asks = sig == SIGTTIN || sig == SIGTTOU;

	m->command_stopped = true;
	if (asks && relay_take_terminal(m->relay)) {
		launch_continue(m);
		return;
	}
	(void)relay_drain(m->relay); /* what was printed before belongs before the shell's words */
	relay_release_terminal(m->relay);
	launch_stop(sig, true);
	if (launch_was_continued())
		return;
	if (asks)
		launch_hang_up(m);
	else
		launch_continue(m);
}

/*
 * Nobody waits for a detached command who could continue it as a shell does: the keys of its
 * terminal have no effect, as in an orphaned group. One that was sent SIGSTOP has that from
 * somebody who can continue it. The monitor goes on, for those who ask.
 */
static void launch_on_detached_stop(const struct monitor *m, int sig)
{
	if (!signals_stop_a_process(sig))
		return;
	(void)handshake_send(m->sock_fd, HANDSHAKE_FOREGROUND, HANDSHAKE_FOREGROUND_COMMAND);
	launch_forward(m, -SIGCONT);
}

/* A command that is our own child tells nobody that it has stopped but the kernel. */
static void launch_on_child(struct monitor *m)
{
	siginfo_t info = {.si_pid = 0};

	m->child_changed = false;
	if (waitid(P_PIDFD, (id_t)m->pidfd, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0)
		launch_stop(info.si_status, false);
}

/* The caller is told; with --userns-block-fd it has its turn now. */
static int launch_on_hello(struct monitor *m, struct sbx_err *err)
{
	int r = status_write_start(m->plan, m->child, err);

	if (r < 0)
		return r;
	m->greeted = true;
	if (m->plan->userns_block_fd < 0)
		return launch_answer(m, HANDSHAKE_HELLO_KNOWN, err);
	m->state = LAUNCH_HELD;
	return 0;
}

/* A byte, or the end of whoever could have sent one: PID 1 goes on with the ids it has now. */
static int launch_on_release(struct monitor *m, struct sbx_err *err)
{
	int fd = m->plan->userns_block_fd, r;
	char byte;

	if (read(fd, &byte, 1) < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		r = err_system(err, errno, NULL, "cannot read from descriptor %d", fd);
		hint_add(err, HINT_USERNS_BLOCK);
		return r;
	}
	m->state = LAUNCH_RUNNING;
	return launch_answer(m, HANDSHAKE_HELLO_KNOWN, err);
}

static bool launch_pid_1_is_dead(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

/* The rules are there: from now on they are kept up to date. @nft_fd: taken */
static int launch_watch_net(struct monitor *m, int *nft_fd, struct sbx_err *err)
{
	int r = net_watch_begin(&m->net_watch, &m->plan->net, nft_fd, err);

	return r < 0 ? net_blame(&m->net, r, err) : 0;
}

/* What PID 1 asks of the helpers, or says; or what went wrong there. */
static int launch_on_helper_message(struct monitor *m, struct handshake_msg *msg,
				    struct sbx_err *err)
{
	if (msg->type == HANDSHAKE_BUS) {
		m->deadline_ms = launch_now_ms() + LAUNCH_BUS_TIMEOUT_MS;
		return bus_job_start(&m->bus, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_NET_API)
		return publish_take_dir(&m->publish, &msg->fd, err);
	if (msg->type == HANDSHAKE_NET_RULES) {
		m->net.ruled = true;
		return launch_watch_net(m, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_NAMES) {
		defs_cleanup_fd(&m->share.hosts_fd);
		m->share.hosts_fd = msg->fd;
		return 0;
	}
	if (msg->type == HANDSHAKE_NET) {
		m->net.api_dir_fd = m->publish.dir_fd;
		m->deadline_ms = launch_now_ms() + LAUNCH_NET_TIMEOUT_MS;
		if (m->plan->net.share)
			return share_attach(&m->share, &msg->fd, err);
		return net_job_start(&m->net, m->child, &msg->fd, err);
	}
	if (msg->type == HANDSHAKE_LAYERS || msg->type == HANDSHAKE_LAYERS_ALONE) {
		m->deadline_ms = launch_now_ms() + LAUNCH_FUSE_TIMEOUT_MS;
		return fuse_start(&m->fuse, msg->number, msg->type == HANDSHAKE_LAYERS_ALONE,
				  m->pidfd, err);
	}
	if (msg->type == HANDSHAKE_LAYERS_DONE) {
		fuse_note_done(&m->fuse);
		return 0;
	}
	*err = msg->err;
	return -ECANCELED;
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
		control_continue_joined(&m->control);
		if (m->plan->leaves_command && !launch_pid_1_is_dead(m))
			m->exit_code = 0;
		return 0;
	}
	if (msg.type == HANDSHAKE_STOPPED) {
		(void)handshake_send(m->sock_fd, HANDSHAKE_STOP_KNOWN, 0);
		if (relay_is_running(m->relay))
			launch_on_relayed_stop(m, msg.number);
		else if (m->plan->detach)
			launch_on_detached_stop(m, msg.number);
		else
			launch_stop(msg.number, false);
		return 0;
	}
	if (msg.type == HANDSHAKE_CONTINUED) {
		m->continuing = false;
		return 0;
	}
	if (msg.type == HANDSHAKE_HELLO)
		return launch_on_hello(m, err);
	/* The processes of fuse-overlayfs are ours, so what the command left is waited for. */
	if (msg.type == HANDSHAKE_EXITED && fuse_is_running(&m->fuse))
		return 0;
	if (msg.type == HANDSHAKE_EXITED) {
		m->exit_code = msg.number;
		return 0;
	}
	if (msg.type == HANDSHAKE_LISTENER) {
		defs_cleanup_fd(&m->listener_fd);
		m->listener_fd = msg.fd;
		return 0;
	}
	if (msg.type == HANDSHAKE_PAYLOAD) {
		control_give_payload(&m->control, &msg.fd);
		return 0;
	}
	if (msg.type == HANDSHAKE_PTY && m->plan->detach)
		return detach_take_terminal(&m->detach, &msg.fd, err);
	if (msg.type == HANDSHAKE_PTY)
		return relay_start(m->relay, &msg.fd, err);
	return launch_on_helper_message(m, &msg, err);
}

/* The maker of a fuse-overlayfs has something to say; a mount is PID 1's. */
static int launch_on_fuse_maker(struct monitor *m, struct sbx_err *err)
{
	_autoclose_ int mount = -1;
	int r = fuse_hear(&m->fuse, &mount, err);

	if (r < 0 || mount < 0 || m->sock_fd < 0)
		return r;
	r = handshake_send_fd(m->sock_fd, HANDSHAKE_LAYERS_READY, mount);
	return launch_check_sent(r, err);
}

/* The network that is shared: there, or at its end, which is the sandbox's. */
static int launch_on_share(struct monitor *m, struct sbx_err *err)
{
	bool attached = false;
	int r = share_hear(&m->share, &attached, err);

	if (r < 0 && !err->option[0])
		err_set_option(err, m->plan->net.option);
	if (r < 0 || !attached || m->sock_fd < 0)
		return r;
	r = handshake_send(m->sock_fd, HANDSHAKE_NET_READY, (int)m->share.address);
	return launch_check_sent(r, err);
}

/* Some fuse-overlayfs has ended, or its maker speaks: that one first, it may say why. */
static int launch_on_fuse(struct monitor *m, const struct pollfd pfds[LAUNCH_SOURCE_COUNT_],
			  struct sbx_err *err)
{
	int r = 0;

	if (pfds[LAUNCH_FUSE_MAKER].revents)
		r = launch_on_fuse_maker(m, err);
	for (size_t i = 0; i < m->fuse.n_helpers && r == 0; i++)
		if (pfds[LAUNCH_FUSE + i].revents)
			r = fuse_reap(&m->fuse, i, err);
	return r;
}

/* A call to be refused; or nobody is left whom the filter holds. */
static int launch_on_refusal(struct monitor *m, short events, struct sbx_err *err)
{
	int r = 0;

	if (events & POLLIN)
		r = refused_answer(&m->refused, m->listener_fd, &m->plan->filter.program);
	else
		close(take_fd(&m->listener_fd));
	return r < 0 ? err_system(err, -r, NULL, "cannot answer the system call filter") : 0;
}

/* With --seccomp-log: on standard error, once, when all is over. */
static void launch_tell_refused(struct monitor *m)
{
	char room[REFUSED_MAX * 64];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (!m->plan->filter.log)
		return;
	str_buf_puts(&text, "sbx: seccomp: ");
	refused_describe(&m->refused, &text);
	str_buf_puts(&text, "\n");
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/* On standard error, once, when all is over. */
static void launch_tell_overtime(const struct monitor *m)
{
	char room[128];
	struct str_buf text = STR_BUF_ON_STACK(room);

	str_buf_printf(&text, "sbx: %s: %s\n", hint_option(HINT_TIMEOUT),
		       launch_describe_overtime(m));
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/* What is to be said of the limits, and with --stats of what was used. */
static void launch_tell_used(const struct monitor *m)
{
	char room[1024];
	struct str_buf text = STR_BUF_ON_STACK(room);
	size_t begin;

	str_buf_puts(&text, "sbx: ");
	begin = text.len;
	stats_describe_limits(&m->stats, &m->plan->limits, &text);
	if (text.len == begin)
		text.len = 0;
	else
		str_buf_puts(&text, "\n");
	if (m->plan->stats) {
		str_buf_puts(&text, "sbx: used: ");
		stats_describe(&m->stats, &text);
		str_buf_puts(&text, "\n");
	}
	if (text.len)
		(void)io_write_all(STDERR_FILENO, text.data, text.len);
	launch_warn_of_no_limits(m);
}

/* Likewise: what was asked for is there, but says "lost". */
static void launch_tell_unkept(const struct monitor *m)
{
	struct sbx_err why;

	if (!m->unkept_errno)
		return;
	(void)err_system(&why, m->unkept_errno, m->record.label.id,
			 "how the sandbox ended could not be kept");
	hint_add(&why, HINT_KEPT);
	err_print(&why, "sbx", STDERR_FILENO);
}

/*
 * What there is to say when all is over; of a try that another follows, that says it. A failure is
 * main()'s to print, but who started a sandbox that goes on alone has left.
 */
static void launch_tell_end(struct monitor *m, int r, struct sbx_err *err)
{
	if (m->overtime != LAUNCH_IN_TIME && r == 0)
		launch_tell_overtime(m);
	if (r == 0 || !launch_begins_anew(m))
		launch_tell_used(m);
	launch_tell_unkept(m);
	if (r == 0)
		launch_tell_refused(m);
	if (r < 0 && !m->interrupted && m->plan->detach && detach_is_told(&m->detach)) {
		hint_add(err, HINT_LIMIT);
		err_print(err, "sbx", STDERR_FILENO);
	}
}

/* Where nobody is there any more whom the caller could tell it. */
static void launch_have_caller_tell(struct monitor *m, int r)
{
	struct str_buf note = STR_BUF_ON_STACK(m->end_note);

	if (m->plan->detach && m->caller->tell_end && (r >= 0 || !launch_begins_anew(m)))
		m->caller->tell_end(m->caller->tell_arg, r < 0 && !m->interrupted, &note);
}

/* What is to be read of a log whose names go: all that comes into it is there. */
static void launch_keep_log(struct monitor *m)
{
	int fds[CONTROL_FDS_MAX];

	if (!m->plan->detach || !m->detach.log.name[0])
		return;
	detach_drain_words(&m->detach);
	log_open_readers(&m->detach.log, fds);
	control_keep_log(&m->control, fds);
}

/* Somebody wants to join the command. Where PID 1 is the command, it is known who that is. */
static void launch_ask_who(struct monitor *m)
{
	int fd = m->plan->init_is_payload ? fcntl(m->pidfd, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd >= 0)
		control_give_payload(&m->control, &fd);
	else if (!m->plan->init_is_payload)
		(void)handshake_send(m->sock_fd, HANDSHAKE_WHO, 0);
}

/* The order of another sbx. What cannot be begun is answered at once. */
static void launch_change_ports(struct monitor *m, const struct control_order *order)
{
	int r = order->kind == CONTROL_ORDER_PORT_ADD
			? publish_add_one(&m->publish, &m->plan->net, &order->port)
			: publish_remove(&m->publish, &order->port);

	if (r < 0)
		control_give_ports(&m->control, false, r);
}

/* Another sbx asks, or has something done. Return: as launch_on_signal(). */
static int launch_on_control(struct monitor *m)
{
	struct control_order order;

	control_turn(&m->control, launch_is_starting(m), &order);
	if (order.kind == CONTROL_ORDER_NONE)
		return 0;
	if (order.kind == CONTROL_ORDER_WHO) {
		launch_ask_who(m);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_CLOSE_INPUT) {
		detach_close_input(&m->detach);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_PORT_ADD || order.kind == CONTROL_ORDER_PORT_REMOVE) {
		launch_change_ports(m, &order);
		return 0;
	}
	/* Without a pid namespace only PID 1 can end them all, and does so with the command. */
	if (!launch_is_starting(m) &&
	    (order.kind == CONTROL_ORDER_SIGNAL || !m->plan->own_pid_ns)) {
		launch_forward(m, order.number);
		return 0;
	}
	if (order.kind == CONTROL_ORDER_SIGNAL && !signals_end_a_process(order.number))
		return 0;
	m->interrupted = order.number;
	return -ECANCELED;
}

/* PID 1 goes on: from now on the network is the command's. */
static int launch_hand_over_net(struct monitor *m, struct sbx_err *err)
{
	m->net.in_use = true;
	return launch_answer(m, HANDSHAKE_NET_READY, err);
}

/*
 * slirp4netns has not answered as it does. If it is about to end, that is the news.
 * Return: 0 it is not; or -errno with *err filled.
 */
static int launch_await_net_end(struct monitor *m, struct sbx_err *err)
{
	struct pollfd pfd = {.fd = m->net.helper.pidfd, .events = POLLIN};

	return m->publish.now.count == 0 && poll(&pfd, 1, LAUNCH_END_MS) == 1
		       ? net_job_reap(&m->net, err)
		       : 0;
}

/* What was asked for about ports is over. At the start it was the plan. */
static int launch_on_published(struct monitor *m, struct sbx_err *err)
{
	helper_hush(&m->net.helper);
	if (!m->publishes) {
		control_give_ports(&m->control, launch_is_starting(m), m->publish.result);
		return 0;
	}
	if (m->publish.result < 0) {
		int r = launch_await_net_end(m, err);

		return r < 0 ? r : net_blame(&m->net, publish_blame(&m->publish, err), err);
	}
	m->publishes = false;
	publish_tell(&m->publish, m->plan);
	return launch_hand_over_net(m, err);
}

/* The network works. Now its ports, and then PID 1 goes on. */
static int launch_on_network(struct monitor *m, struct sbx_err *err)
{
	const struct plan_net *net = &m->plan->net;
	int r;

	if (net->n_ports == 0)
		return launch_hand_over_net(m, err);
	m->publishes = true;
	r = publish_add(&m->publish, net->ports, net->n_ports);
	if (r == 0)
		return 0;
	m->publish.result = r;
	return launch_on_published(m, err);
}

/* slirp4netns has ended: so has the sandbox, or it goes on without. */
static int launch_on_net_end(struct monitor *m, struct sbx_err *err)
{
	int r = net_job_reap(&m->net, err);

	if (r == 0 && m->net.helper.pid == 0) {
		publish_forget(&m->publish);
		control_give_ports(&m->control, false, -ENETDOWN);
	}
	return r;
}

/*
 * The host has an address more, perhaps. One that cannot be kept out of reach closes the network; a
 * shared one is its holder's, so there the sandbox ends.
 */
static int launch_on_address(struct monitor *m, struct sbx_err *err)
{
	int r = net_watch_turn(&m->net_watch, err);

	if (r == 0)
		return 0;
	net_watch_finish(&m->net_watch);
	r = net_job_close(&m->net, err);
	if (r == 0) {
		publish_forget(&m->publish);
		control_give_ports(&m->control, false, -ENETDOWN);
	}
	return r;
}

static bool launch_has_message(const struct monitor *m)
{
	struct pollfd pfd = {.fd = m->sock_fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static bool launch_init_has_ended(const struct monitor *m)
{
	return m->sock_fd < 0 || launch_pid_1_is_dead(m);
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
	return launch_answer(m, HANDSHAKE_MAPPED, err);
}

static int launch_on_timeout(const struct monitor *m, struct sbx_err *err)
{
	const char *path =
		m->idmap.helpers[0].pid ? m->plan->gid_map.helper : m->plan->uid_map.helper;
	int r;

	if (m->state != LAUNCH_MAPPING && fuse_is_starting(&m->fuse))
		return fuse_timed_out(&m->fuse, LAUNCH_FUSE_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING && m->share.asked && share_is_awaited(&m->share))
		return share_timed_out(&m->share, LAUNCH_NET_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING && (net_job_is_starting(&m->net) || m->publishes))
		return net_job_timed_out(&m->net, LAUNCH_NET_TIMEOUT_MS / 1000, err);
	if (m->state != LAUNCH_MAPPING)
		return bus_job_timed_out(&m->bus, LAUNCH_BUS_TIMEOUT_MS / 1000, err);
	r = err_refuse(err, ETIMEDOUT, path, "has not finished within %d seconds",
		       LAUNCH_HELPER_TIMEOUT_MS / 1000);

	hint_add(err, HINT_MAP_SLOW);
	return r;
}

static bool launch_awaits_helper(const struct monitor *m)
{
	return m->state == LAUNCH_MAPPING || bus_job_is_starting(&m->bus) ||
	       net_job_is_starting(&m->net) || m->publishes ||
	       (m->share.asked && share_is_awaited(&m->share)) || fuse_is_starting(&m->fuse);
}

/* What poll(2) is to wait at most. */
static int launch_patience_ms(const struct monitor *m)
{
	int64_t end = m->end_ms, left;

	if (launch_awaits_helper(m) && m->deadline_ms < end)
		end = m->deadline_ms;
	if (end == INT64_MAX)
		return -1;
	left = end - launch_now_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/*
 * The command has had its time: it is asked to end, and when that takes too long, all end.
 * Return: as launch_on_signal().
 */
static int launch_on_overtime(struct monitor *m)
{
	bool starting = launch_is_starting(m);

	if (m->overtime == LAUNCH_IN_TIME && !starting && m->plan->kill_after_ms > 0) {
		m->overtime = LAUNCH_ASKED;
		m->end_ms = launch_now_ms() + m->plan->kill_after_ms;
		launch_forward(m, SIGTERM);
		launch_forward(m, SIGCONT); /* or a stopped one would not hear it */
		return 0;
	}
	m->overtime = LAUNCH_KILLED;
	m->end_ms = INT64_MAX;
	if (starting || m->plan->own_pid_ns)
		return -ECANCELED;
	launch_forward(m, SIGKILL); /* only PID 1 can end them all then, and does so with it */
	return 0;
}

/* Is somebody's time over? A sandbox that always has something to say must not gain by it. */
static int launch_on_clock(struct monitor *m, bool idle, struct sbx_err *err)
{
	if (m->end_ms != INT64_MAX && launch_now_ms() >= m->end_ms)
		return launch_on_overtime(m);
	if (idle && launch_awaits_helper(m) && launch_now_ms() >= m->deadline_ms)
		return launch_on_timeout(m, err);
	return 0;
}

static void launch_fill_poll(const struct monitor *m, struct pollfd pfds[LAUNCH_SOURCE_COUNT_])
{
	const int fds[LAUNCH_SOURCE_COUNT_] = {
		[LAUNCH_SIGNALS] = m->signal_fd,
		[LAUNCH_SOCKET] = m->sock_fd,
		[LAUNCH_PID_1] = m->init_ended ? -1 : m->pidfd,
		[LAUNCH_PARENT] = m->parent_fd,
		[LAUNCH_HELPER_0] = m->idmap.helpers[0].pidfd,
		[LAUNCH_HELPER_1] = m->idmap.helpers[1].pidfd,
		[LAUNCH_LISTENER] = m->listener_fd,
		[LAUNCH_BUS] = m->bus.helper.pidfd,
		[LAUNCH_BUS_READY] = bus_job_is_starting(&m->bus) ? m->bus.helper.ready_fd : -1,
		[LAUNCH_NET] = m->net.helper.pidfd,
		[LAUNCH_NET_READY] = net_job_is_starting(&m->net) ? m->net.helper.ready_fd : -1,
		[LAUNCH_NET_WATCH] = m->net_watch.host_fd,
		[LAUNCH_PUBLISH] = m->publish.sock_fd,
		[LAUNCH_SHARE] = m->share.fd,
		[LAUNCH_HOLD] = m->state == LAUNCH_HELD ? m->plan->userns_block_fd : -1,
		/* While ids are mapped all may begin anew. */
		[LAUNCH_CONTROL] = m->state == LAUNCH_MAPPING ? -1 : control_poll_fd(&m->control),
	};

	for (int i = 0; i < LAUNCH_TERMINAL; i++)
		pfds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	relay_fill_poll(m->relay, &pfds[LAUNCH_TERMINAL], &pfds[LAUNCH_PTY]);
	detach_fill_poll(&m->detach, &pfds[LAUNCH_DETACH]);
	pfds[LAUNCH_FUSE_MAKER] = (struct pollfd){.fd = m->fuse.maker_fd, .events = POLLIN};
	for (int i = 0; i < PLAN_FUSE_MAX; i++)
		pfds[LAUNCH_FUSE + i] =
			(struct pollfd){.fd = m->fuse.helpers[i].pidfd, .events = POLLIN};
	if (m->continuing)
		pfds[LAUNCH_TERMINAL].events &= ~POLLIN;
}

/* poll(2) of those that are open: it takes no more than files may be. */
static int launch_poll(struct pollfd pfds[LAUNCH_SOURCE_COUNT_], int timeout_ms)
{
	struct pollfd open[LAUNCH_SOURCE_COUNT_];
	nfds_t count = 0;
	int n;

	for (int i = 0; i < LAUNCH_SOURCE_COUNT_; i++)
		if (pfds[i].fd >= 0)
			open[count++] = pfds[i];
	n = poll(open, count, timeout_ms);
	count = 0;
	for (int i = 0; i < LAUNCH_SOURCE_COUNT_ && n >= 0; i++)
		if (pfds[i].fd >= 0)
			pfds[i].revents = open[count++].revents;
	return n;
}

/* Did the command not come to be executed, which nobody could send a message about? */
static bool launch_has_last_word(const struct monitor *m)
{
	struct sbx_err err;

	return handshake_hear_last_word(m->last_word, &err);
}

/* Wait once, and act. Return: 1 when PID 1, or what is waited for, has ended; 0 to go on; -errno.
 */
static int launch_turn(struct monitor *m, struct sbx_err *err)
{
	struct pollfd pfds[LAUNCH_SOURCE_COUNT_];
	int n, r = launch_choose_signals(m, err);

	if (r < 0)
		return r;
	launch_fill_poll(m, pfds);
	n = launch_poll(pfds, launch_patience_ms(m));
	if (n < 0)
		return errno == EINTR ? 0 : err_system(err, errno, NULL, "cannot wait for events");
	r = launch_on_clock(m, n == 0, err);
	if (n == 0)
		return r;
	/*
	 * PID 1's last word comes before its end, and before what its end does to a
	 * helper. It may have come since poll looked at the socket, so that is asked again.
	 */
	while (r == 0 && m->exit_code < 0 && launch_has_message(m))
		r = launch_on_message(m, err);
	if (r == 0 && m->exit_code >= 0)
		return 1;
	if (r == 0 && (pfds[LAUNCH_HELPER_0].revents || pfds[LAUNCH_HELPER_1].revents))
		r = launch_on_helper(m, err);
	if (r == 0 && pfds[LAUNCH_LISTENER].revents)
		r = launch_on_refusal(m, pfds[LAUNCH_LISTENER].revents, err);
	if (r == 0 && pfds[LAUNCH_BUS_READY].revents && bus_job_hear(&m->bus))
		r = launch_answer(m, HANDSHAKE_BUS_READY, err);
	if (r == 0 && pfds[LAUNCH_BUS].revents)
		r = bus_job_reap(&m->bus, err);
	if (r == 0 && pfds[LAUNCH_NET_READY].revents && net_job_hear(&m->net))
		r = launch_on_network(m, err);
	if (r == 0 && pfds[LAUNCH_NET_WATCH].revents && m->net_watch.host_fd >= 0)
		r = launch_on_address(m, err);
	if (r == 0 && pfds[LAUNCH_PUBLISH].revents && m->publish.sock_fd >= 0 &&
	    publish_turn(&m->publish))
		r = launch_on_published(m, err);
	if (r == 0 && pfds[LAUNCH_NET].revents && !m->init_ended && !launch_init_has_ended(m))
		r = launch_on_net_end(m, err);
	if (r == 0 && pfds[LAUNCH_SHARE].revents && !m->init_ended && !launch_init_has_ended(m))
		r = launch_on_share(m, err);
	if (r == 0 && !m->init_ended)
		r = launch_on_fuse(m, pfds, err);
	if (r == 0 && pfds[LAUNCH_SIGNALS].revents)
		r = launch_on_signal(m);
	if (m->child_changed)
		launch_on_child(m);
	if (r == 0 && pfds[LAUNCH_CONTROL].revents)
		r = launch_on_control(m);
	/* Behind the signals: one that was sent before the release ends the launch. */
	if (r == 0 && pfds[LAUNCH_HOLD].revents)
		r = launch_on_release(m, err);
	if (r == 0 && pfds[LAUNCH_PARENT].revents) {
		m->interrupted = SIGKILL;
		r = -ECANCELED;
	}
	if (r == 0 && relay_is_running(m->relay) &&
	    relay_turn(m->relay, &pfds[LAUNCH_TERMINAL], &pfds[LAUNCH_PTY]) < 0)
		launch_hang_up(m);
	/* One that has ended by now has an end that tells whether it began at all. */
	if (r == 0 && detach_turn(&m->detach, &pfds[LAUNCH_DETACH]) && !launch_pid_1_is_dead(m) &&
	    !launch_has_last_word(m))
		detach_tell_start(&m->detach, &m->record.label);
	if (pfds[LAUNCH_PID_1].revents)
		m->init_ended = true;
	if (r == 0 && m->init_ended && relay_drain(m->relay))
		r = 1;
	return r;
}

/* What PID 1's end means for whoever called sbx. */
static int launch_conclude(const struct monitor *m, int *ret_exit_code, struct sbx_err *err)
{
	bool killed = m->end.si_code != CLD_EXITED;

	if (handshake_hear_last_word(m->last_word, err))
		return -ECANCELED;
	if (m->exit_code >= 0) {
		*ret_exit_code = m->exit_code;
		return 0;
	}
	if (m->end.si_pid == 0)
		return err_system(err, m->wait_errno, NULL,
				  "the sandbox has ended, but its exit code cannot be told");
	/* Where PID 1 can be got at, killing it is a way to end the sandbox. */
	if (killed && !m->plan->init_is_payload && !m->plan->init_visible) {
		int r = err_refuse(err, ECANCELED, NULL,
				   "the sandbox's first process was killed by signal %d",
				   m->end.si_status);

		hint_add(err, m->plan->own_pid_ns ? HINT_PID_1 : HINT_REAPER);
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
	return (struct launch_caller){
		.title = launch_find_title(argv, environ_),
		.parent = getppid(),
		.notify_fd = -1,
		.session_fds = {-1, -1},
	};
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
	bool told;
	int r;

	context_init(&ctx, plan);
	monitor_init(&m, plan);
	m.caller = caller;
	told = launch_tells_used(plan);
	if (told)
		stats_begin(&m.stats, launch_now_ms());
	r = launch_start(&m, &ctx, caller, err);
	/* Not before the ids are mapped: until then all can begin anew. */
	if (r == 0 && m.state == LAUNCH_RUNNING)
		launch_close_others(&m);
	while (r == 0)
		r = launch_turn(&m, err);
	if (r == 1) {
		if (m.exit_code >= 0)
			m.child = 0; /* PID 1 goes on with what the command left */
		monitor_wait_for_child(&m);
		r = launch_conclude(&m, ret_exit_code, err);
		if (r == 0)
			detach_tell_start(&m.detach, &m.record.label);
		detach_drain(&m.detach);
	}
	if (m.overtime == LAUNCH_KILLED && r == -ECANCELED)
		r = 0;
	if (m.overtime != LAUNCH_IN_TIME && r == 0)
		*ret_exit_code = ERR_EXIT_TIMEOUT;
	monitor_end(&m);
	terminal_restore(&m.terminal);
	if (told)
		stats_read_children(&m.stats, launch_now_ms());
	launch_have_caller_tell(&m, r);
	launch_finish_kept(&m, r, r < 0 ? 0 : *ret_exit_code, err);
	launch_tell_end(&m, r, err);
	launch_keep_log(&m);
	monitor_finish(&m);
	free(take_ptr(m.no_limits));
	if (r == 0)
		status_write_exit(plan, &m.stats, *ret_exit_code);
	if (r < 0 && m.interrupted) {
		*ret_exit_code = 128 + m.interrupted;
		r = 0;
	}
	if (r < 0 && launch_begins_anew(&m)) {
		control_conclude(&m.control, -1);
		launch_give_back(&ctx);
		return LAUNCH_WITHOUT_RANGE;
	}
	control_conclude(&m.control, r < 0 ? err->exit_code : *ret_exit_code);
	return r;
}
