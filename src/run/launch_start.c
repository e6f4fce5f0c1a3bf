/* SPDX-License-Identifier: MIT */
/*
 * launch_start: from the plan to a PID 1 that is at work. The caller is watched, the name claimed,
 * the limits' cgroup made; then PID 1, whose ids are being mapped while the record is written;
 * see launch_parts.h.
 *
 * The order is that of launch_start(). What it has begun is heard of by launch.c's poll(2), and
 * what it leaves when it fails is cleared away there, too. launch_init_child() alone runs in PID 1.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/fd.h"
#include "sbx/base/prefault.h"
#include "sbx/base/sys.h"
#include "sbx/run/init.h"
#include "sbx/run/join.h"
#include "sbx/run/kept.h"
#include "sbx/run/launch_parts.h"
#include "sbx/run/signals.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/hints.h"

enum { LAUNCH_FDS_NEEDED = 64 }; /* descriptors that sbx has open at most, with room */

/* Of the stack: the frames from main() to here; below, what PID 1 and the payload use. */
enum {
	LAUNCH_STACK_BYTES = 20480,
	LAUNCH_INIT_ABOVE_BYTES = 4096, /* it returns to none of those frames */
	LAUNCH_INIT_STACK_BYTES = 40960,
};

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
void launch_give_back(const struct run_context *ctx, const struct launch_caller *caller)
{
	if (!caller->sigmask)
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
	int r;

	if (limits->from == PLAN_CGROUP_NONE) {
		r = err_refuse(err, EOPNOTSUPP, NULL, "%s", limits->without);
		err_set_option(err, limits->list[0].option);
		if (limits->remedy)
			err_hint(err, "%s", limits->remedy);
	} else {
		r = cgroup_job_start(&m->cgroup, m->plan, &m->record, &ctx->caller_sigmask,
				     m->end_ms, err);
	}

	r = launch_end_early(m, r);
	if (r == 0 || !limits->try || m->interrupted || m->overtime != LAUNCH_IN_TIME)
		return r;
	cgroup_job_finish(&m->cgroup);
	m->no_limits = malloc(sizeof(*m->no_limits));
	if (!m->no_limits)
		return err_oom(err);
	*m->no_limits = *err;
	if (!m->caller->again)
		launch_warn_of_no_limits(m, false);
	return 0;
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

/* What the helpers are to know, which PID 1 will ask for when it is so far. */
static void launch_introduce_helpers(struct monitor *m, const struct run_context *ctx)
{
	m->bus.plan = m->plan;
	m->bus.sigmask = &ctx->caller_sigmask;
	m->net.plan = m->plan;
	m->net.sigmask = &ctx->caller_sigmask;
	m->fuse.plan = m->plan;
	m->fuse.sigmask = &ctx->caller_sigmask;
	m->bus.helper.cgroup_fd = m->net.helper.cgroup_fd = &m->cgroup.helpers_fd;
	m->fuse.cgroup_fd = &m->cgroup.helpers_fd;
}

int launch_start(struct monitor *m, struct run_context *ctx, const struct launch_caller *caller,
		 struct sbx_err *err)
{
	int r = signals_block(&ctx->caller_sigmask);

	if (r < 0)
		return err_system(err, -r, NULL, "cannot block signals");
	if (caller->sigmask)
		ctx->caller_sigmask = *caller->sigmask;
	m->end_ms = m->plan->timeout_ms ? clock_now_ms() + m->plan->timeout_ms : INT64_MAX;
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
	launch_introduce_helpers(m, ctx);
	m->terminal.fd = -1;
	if (!m->plan->pty)
		terminal_note(&m->terminal);
	m->state = launch_needs_helpers(m) ? LAUNCH_MAPPING : LAUNCH_RUNNING;
	m->greeted = m->plan->info_fd < 0 && m->plan->json_status_fd < 0;
	r = launch_take_signals(m, ctx, err);
	if (r < 0)
		return r;
	m->deadline_ms = launch_needs_helpers(m) ? clock_now_ms() + LAUNCH_HELPER_TIMEOUT_MS : 0;
	return 0;
}

/*
 * Let go of the caller's descriptors, so that whoever reads from a pipe sees its
 * end when the command closes it. Standard error stays, for what there is to say.
 */
void launch_close_others(const struct monitor *m)
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
