/* SPDX-License-Identifier: MIT */
/*
 * join: see join.h.
 *
 * Theory of operation
 *
 * The monitor stays in the namespaces of its caller. So a child enters the others and
 * makes PID 1 there by clone3(2) with CLONE_PARENT: PID 1 is the monitor's child, and the
 * number that the call returns is one of the monitor's pid namespace, because setns(2)
 * moves only children into a pid namespace. Monitor and child share the table of
 * descriptors, so that the pidfd is the monitor's as well; the numbers come through a
 * pipe, which is read when the child has ended.
 *
 * The user namespace is entered first: it may be what gives the right to the other.
 *
 * A pid namespace below the one that is joined (--pidns with --unshare-pid) can only be
 * made by who lives in that, not by who has just moved its children there. So the child
 * makes another one, beside itself too, which makes PID 1. The number that clone3 returns
 * there is none of the monitor's: it asks /proc for the number that belongs to the pidfd.
 *
 * Of a sandbox that runs, all namespaces are entered at once, by a pidfd of its command.
 * There others are at work already, who must find nothing in the process that comes: not
 * the caller's descriptors through /proc/PID/fd (CVE-2016-9962), not the program through
 * /proc/PID/exe (CVE-2019-5736), not the command line. So the child that enters is not
 * dumpable before, and again behind it (a change of credentials sets that anew by
 * fs.suid_dumpable). Where the sandbox has a cgroup of its own, the child moves there before
 * anything else: its limits are the command's as well. As its memory belongs to the host's user
 * namespace, no capability of the sandbox helps against that; execve(2) of the command ends it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/run/idmap.h"
#include "sbx/run/join.h"
#include "sbx/run/steps.h"
#include "sbx/spec/hints.h"

enum { JOIN_WAIT_MS = 2000, JOIN_STEP_MS = 5 };

/* A namespace that can be joined, and what to say where it cannot. */
static const struct join_kind {
	int type;
	const char *name;
	enum hint_place place;
} join_kinds[] = {
	/* The user namespace first: it may be what gives the right to the other. */
	{CLONE_NEWUSER, "user", HINT_JOIN_USERNS},
	{CLONE_NEWPID, "pid", HINT_JOIN_PIDNS},
	{CLONE_NEWNET, "network", HINT_NETNS},
};

/* What the child comes to. */
struct join_report {
	pid_t pid; /* PID 1 */
	int pidfd;
	int error;		      /* errno, 0: none */
	const struct join_kind *kind; /* what could not be entered; NULL: clone3 has failed */
	bool in_cgroup;		      /* it is the cgroup that could not be entered */
	bool in_holder;		      /* likewise, the user namespace of a shared network */
	bool in_owner;		      /* likewise, that of a network namespace */
	bool no_ids;		      /* PID 1 could not be given its ids, err says why */
	struct sbx_err err;
	pid_t between; /* a process that goes on with the work, and reports too; 0: none */
};

bool join_is_needed(const struct sbx_plan *plan)
{
	return plan->parent_userns_fd >= 0 || plan->parent_pidns_fd >= 0 || plan->netns_fd >= 0 ||
	       plan->box_pidfd >= 0;
}

/*
 * In the child, while it is the caller's still: what is allowed is who may write to which
 * cgroup (cgroups(7), "delegation"), and the sandbox's cgroup namespace would add to that.
 * What it makes is born there.
 */
static bool join_enter_cgroup(const struct sbx_plan *plan, struct join_report *report)
{
	if (plan->box_cgroup_fd < 0 || write(plan->box_cgroup_fd, "0", 1) == 1)
		return true;
	report->error = errno;
	report->in_cgroup = true;
	return false;
}

/*
 * In the child. The command cannot be looked at before it has been executed, which may be
 * about to happen.
 */
static bool join_enter_box(const struct sbx_plan *plan, struct launch_title title,
			   struct join_report *report)
{
	const struct timespec step = {.tv_nsec = JOIN_STEP_MS * 1000000L};
	int r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

	explicit_bzero(title.start, title.len);
	if (!join_enter_cgroup(plan, report))
		return false;
	if (r == 0)
		r = setns(plan->box_pidfd, (int)plan->joined_namespaces);
	for (int i = 0; r < 0 && errno == EPERM && i < JOIN_WAIT_MS / JOIN_STEP_MS; i++) {
		(void)nanosleep(&step, NULL);
		r = setns(plan->box_pidfd, (int)plan->joined_namespaces);
	}
	if (r == 0)
		r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	report->error = r < 0 ? errno : 0;
	return r == 0;
}

/* Is PID 1 to be the first process of a namespace below the one that is joined? */
static bool join_is_below(const struct sbx_plan *plan)
{
	return plan->parent_pidns_fd >= 0 && plan->own_pid_ns;
}

/* In the child: whose right over a network namespace is wanted. Ids are written from there. */
static bool join_enter_owner(const struct sbx_plan *plan, struct join_report *report)
{
	_autoclose_ int owner = ioctl(plan->netns_fd, NS_GET_USERNS);

	if (owner >= 0 && setns(owner, CLONE_NEWUSER) == 0 &&
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0)
		return true;
	report->error = errno;
	report->in_owner = true;
	return false;
}

/* In the child. Return: false with *report filled. */
static bool join_enter(const struct sbx_plan *plan, struct join_report *report)
{
	const int fds[ARRAY_SIZE(join_kinds)] = {plan->parent_userns_fd, plan->parent_pidns_fd,
						 plan->netns_fd};

	if (plan->enters_owner && !join_enter_owner(plan, report))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(join_kinds); i++) {
		if (fds[i] < 0 || setns(fds[i], join_kinds[i].type) == 0)
			continue;
		report->error = errno;
		report->kind = &join_kinds[i];
		return false;
	}
	return true;
}

static noreturn void join_end(const struct join_report *report, int report_fd)
{
	_exit(write(report_fd, report, sizeof(*report)) == (ssize_t)sizeof(*report) ? 0 : 1);
}

/* In the child: a user namespace below a shared one has its ids from who is in that. */
static void join_map(const struct sbx_plan *plan, struct join_report *report)
{
	int r = idmap_write_below(report->pid, plan, &report->err);

	report->no_ids = r < 0;
	report->error = r < 0 ? -r : 0;
	if (r < 0)
		(void)sys_pidfd_send_signal(report->pidfd, SIGKILL);
}

/* In the child: the user namespace of a network that is shared. */
static bool join_enter_holder(int holder_fd, struct join_report *report)
{
	/* The change of credentials has shut /proc/PID of what is made here; see join_become(). */
	if (setns(holder_fd, CLONE_NEWUSER) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0)
		return true;
	report->error = errno;
	report->in_holder = true;
	return false;
}

/* Make a process in the namespaces that were entered, and report it. It returns, its maker ends. */
static void join_clone_beside(const struct sbx_plan *plan, const struct clone_args *args,
			      int report_fd)
{
	struct join_report report = {.pidfd = -1};
	struct clone_args more = *args;

	more.flags |= CLONE_PARENT;
	more.exit_signal = 0; /* that of this process */
	more.pidfd = (uint64_t)(uintptr_t)&report.pidfd;
	report.pid = sys_clone3(&more);
	if (report.pid == 0)
		return;
	report.error = report.pid < 0 ? errno : 0;
	if (report.pid > 0 && plan_is_below(plan))
		join_map(plan, &report);
	join_end(&report, report_fd);
}

/* The same with a pid namespace below: another process in between. */
static void join_clone_below(const struct sbx_plan *plan, const struct clone_args *args,
			     int report_fd)
{
	const struct clone_args between = {.flags = CLONE_PARENT | CLONE_FILES};
	struct join_report report = {.pidfd = -1, .between = sys_clone3(&between)};

	if (report.between == 0) {
		join_clone_beside(plan, args, report_fd);
		return;
	}
	report.error = report.between < 0 ? errno : 0;
	join_end(&report, report_fd);
}

/* The child: only PID 1 returns from here. */
static void join_child(const struct sbx_plan *plan, int holder_fd, const struct clone_args *args,
		       struct launch_title title, int report_fd)
{
	struct join_report report = {.pidfd = -1};
	bool entered = holder_fd >= 0	      ? join_enter_holder(holder_fd, &report)
		       : plan->box_pidfd >= 0 ? join_enter_box(plan, title, &report)
					      : join_enter(plan, &report);

	if (!entered)
		join_end(&report, report_fd);
	if (join_is_below(plan))
		join_clone_below(plan, args, report_fd);
	else
		join_clone_beside(plan, args, report_fd);
}

static int join_fail_box(const struct sbx_plan *plan, const struct join_report *report,
			 struct sbx_err *err)
{
	int r;

	if (report->in_cgroup) {
		r = err_system(err, report->error, plan->box_cgroup,
			       "cannot enter the sandbox's cgroup");
		hint_add(err, HINT_CGROUP);
		return r;
	}
	if (report->error == ESRCH)
		return err_refuse(err, ESRCH, NULL, "the sandbox's command has ended");
	r = err_system(err, report->error, NULL, "cannot enter the sandbox");
	hint_add(err, HINT_ENTER);
	return r;
}

static int join_fail(const struct sbx_plan *plan, const struct join_report *report,
		     struct sbx_err *err)
{
	int r;

	if (report->no_ids) {
		*err = report->err;
		err_set_option(err, plan->net.option);
		hint_add(err, HINT_NO_IDS);
		return -report->error;
	}
	if (report->in_holder) {
		r = err_system(err, report->error, plan->net.share->name,
			       "cannot enter the user namespace of the network");
		err_set_option(err, plan->net.option);
		return r;
	}
	if (report->in_owner) {
		r = err_system(
			err, report->error, NULL,
			"cannot enter the user namespace that the network namespace belongs to");
		err_set_option(err, plan->net.option);
		hint_add(err, HINT_NETNS);
		return r;
	}
	if (!report->kind) {
		r = err_system(err, report->error, NULL, "cannot create PID 1 there");
		hint_add(err, HINT_CLONE);
		return r;
	}
	r = err_system(err, report->error, NULL, "cannot enter the %s namespace",
		       report->kind->name);
	if (report->kind->type == CLONE_NEWNET)
		err_set_option(err, plan->net.option);
	hint_add(err, (int)report->kind->place);
	return r;
}

/* Wait for a process that reports and ends. Return: 0, or -errno with *err filled. */
static int join_hear(const struct sbx_plan *plan, pid_t child, int read_fd, struct join_report *ret,
		     struct sbx_err *err)
{
	int status, r = proc_wait(child, &status);

	if (r < 0)
		return err_system(err, -r, NULL, "cannot wait for a process");
	if (read(read_fd, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		return err_refuse(err, ECANCELED, NULL, "the process that makes PID 1 has ended");
	if (!ret->error)
		return 0;
	return plan->box_pidfd >= 0 ? join_fail_box(plan, ret, err) : join_fail(plan, ret, err);
}

static int join_find_number(int pidfd, pid_t *ret_pid, struct sbx_err *err)
{
	int r = proc_find_number(pidfd, ret_pid);

	return r < 0 ? err_system(err, -r, NULL, "cannot tell PID 1's number") : 0;
}

/**
 * clone3(2) in the namespaces that the plan names.
 * @holder_fd: borrowed; the user namespace of a shared network; -1: none
 * @title:     the command line, of which a sandbox that is joined shall see nothing
 *
 * Return: 0 in PID 1; in the monitor its number, or -errno with *err filled.
 */
pid_t join_clone(const struct sbx_plan *plan, int holder_fd, const struct clone_args *args,
		 struct launch_title title, int *ret_pidfd, struct sbx_err *err)
{
	const struct clone_args beside = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
	_autoclose_ int read_fd = -1, write_fd = -1;
	struct join_report report = {.pidfd = -1};
	int fds[2], r;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	child = sys_clone3(&beside);
	if (child < 0)
		return err_system(err, errno, NULL, "cannot create a process");
	if (child == 0) {
		join_child(plan, holder_fd, args, title, write_fd);
		return 0;
	}
	r = join_hear(plan, child, read_fd, &report, err);
	if (r == 0 && report.between)
		r = join_hear(plan, report.between, read_fd, &report, err);
	if (r == 0 && join_is_below(plan))
		r = join_find_number(report.pidfd, &report.pid, err);
	if (r < 0)
		return r;
	*ret_pidfd = report.pidfd;
	return report.pid;
}

/*
 * PID 1, first thing, in a user namespace that it has entered: be who is asked for. The
 * kernel takes a change of ids for one of privileges and shuts /proc/self, which others
 * have a right to as long as nothing of the sandbox is there.
 */
int join_become(const struct sbx_plan *plan, struct sbx_err *err)
{
	const int joined[] = {plan->parent_userns_fd, plan->parent_pidns_fd, plan->netns_fd};

	if (plan->parent_userns_fd >= 0) {
		if (setresgid(plan->joined_gid, plan->joined_gid, plan->joined_gid) < 0)
			return err_system(err, errno, NULL, "cannot become group %u",
					  plan->joined_gid);
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
			return err_system(err, errno, NULL, "cannot keep capabilities");
		if (setresuid(plan->joined_uid, plan->joined_uid, plan->joined_uid) < 0)
			return err_system(err, errno, NULL, "cannot become user %u",
					  plan->joined_uid);
		if (sys_capset(UINT64_MAX, UINT64_MAX, 0) < 0)
			return err_system(err, errno, NULL, "cannot raise capabilities again");
		if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ||
		    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
			return err_system(err, errno, NULL, "cannot open /proc/self");
	}
	for (size_t i = 0; i < ARRAY_SIZE(joined); i++)
		if (joined[i] > STDERR_FILENO)
			close(joined[i]);
	return 0;
}

/* Behind all that needed the rights over the mounts: those belong to the namespace before. */
int step_run_enter_userns(struct run_context *ctx, const struct plan_step *step,
			  struct sbx_err *err)
{
	if (setns(step->fd, CLONE_NEWUSER) < 0)
		return err_system(err, errno, NULL, "cannot enter the user namespace");
	/* Which may have cleared it. What comes next gives up the capabilities. */
	if (!ctx->plan->outlives_monitor && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, errno, NULL,
				  "cannot ask for a signal at the monitor's death");
	return 0;
}
