/* SPDX-License-Identifier: MIT */
/*
 * privileges: what PID 1 and the command go on with.
 *
 * Order within a process: the ids change while capabilities allow it, then the
 * bounding set shrinks (which takes CAP_SETPCAP), then the capability sets
 * themselves, last no_new_privs. See capabilities(7) for how an exec computes
 * the new sets; with no_new_privs and an empty bounding set nothing comes back.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sys.h"
#include "sbx/run/steps.h"

enum { CAP_NUMBERS = 64 };

static const char userns_limit_path[] = "/proc/sys/user/max_user_namespaces";

/* Take everything but `keep` out of the bounding set. The kernel says EINVAL behind its last one.
 */
static int privileges_bound(uint64_t keep, struct sbx_err *err)
{
	for (int cap = 0; cap < CAP_NUMBERS; cap++) {
		if (keep & (UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && cap > CAP_AUDIT_READ)
			break;
		return err_system(err, errno, NULL,
				  "cannot drop capability %d from the bounding set", cap);
	}
	return 0;
}

/* What is kept is ambient too, so that it survives the exec for every uid. */
static int privileges_ambient(uint64_t keep, struct sbx_err *err)
{
	for (int cap = 0; cap < CAP_NUMBERS; cap++)
		if ((keep & (UINT64_C(1) << cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_system(err, errno, NULL, "cannot raise ambient capability %d",
					  cap);
	return 0;
}

static int privileges_gain_no_more(struct sbx_err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot set no_new_privs");
	return 0;
}

static int privileges_reduce(uint64_t keep, struct sbx_err *err)
{
	int r = privileges_bound(keep, err);

	if (r < 0)
		return r;
	if (sys_capset(keep, keep, keep) < 0)
		return err_system(err, errno, NULL, "cannot set capabilities");
	r = privileges_ambient(keep, err);
	return r < 0 ? r : privileges_gain_no_more(err);
}

/*
 * The caller's capabilities stay as they are. Those that it made inheritable survive
 * the exec for every uid; of the others the kernel says EPERM. A user namespace that was
 * made or entered has brought all that there are: of those, what the caller has.
 */
static int privileges_leave(const struct sbx_plan *plan, uint64_t keep, struct sbx_err *err)
{
	bool all = (plan->namespaces & CLONE_NEWUSER) || plan->parent_userns_fd >= 0;
	int r = all ? privileges_bound(keep, err) : 0;

	if (r < 0)
		return r;
	for (int cap = 0; cap < CAP_NUMBERS; cap++)
		if ((keep & (UINT64_C(1) << cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM &&
		    errno != EINVAL)
			return err_system(err, errno, NULL, "cannot raise ambient capability %d",
					  cap);
	return privileges_gain_no_more(err);
}

int step_run_confine(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	if (step->flags & PLAN_STEP_CALLERS_CAPS)
		return privileges_leave(ctx->plan, step->keep, err);
	return privileges_reduce(step->keep, err);
}

int step_run_privileges(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)ctx;
	return privileges_reduce(step->keep, err);
}

/* PID 1 executes nothing any more: no ambient set, no bounding set, only what it uses itself. */
int step_run_reaper_privileges(struct run_context *ctx, const struct plan_step *step,
			       struct sbx_err *err)
{
	int r = privileges_bound(0, err);

	(void)ctx;
	if (r < 0)
		return r;
	if (sys_capset(step->keep, step->keep, 0) < 0)
		return err_system(err, errno, NULL, "cannot set PID 1's capabilities");
	return privileges_gain_no_more(err);
}

/*
 * Leaving uid 0 takes all capabilities away (setuid(2)); PR_SET_KEEPCAPS leaves
 * the permitted set, from which they are raised again: they go in the next step.
 */
int step_run_ids(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)ctx;
	if ((step->flags & PLAN_STEP_GROUPS) && setgroups(0, NULL) < 0)
		return err_system(err, errno, NULL, "cannot drop supplementary groups");
	if (setresgid(step->gid, step->gid, step->gid) < 0)
		return err_system(err, errno, NULL, "cannot become group %u", step->gid);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_system(err, errno, NULL, "cannot keep capabilities");
	if (setresuid(step->uid, step->uid, step->uid) < 0)
		return err_system(err, errno, NULL, "cannot become user %u", step->uid);
	if (sys_capset(UINT64_MAX, UINT64_MAX, 0) < 0)
		return err_system(err, errno, NULL, "cannot raise capabilities again");
	/* A change of uid clears this (prctl(2)); the payload must still die with PID 1. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_system(err, errno, NULL, "cannot ask for a signal at PID 1's death");
	return 0;
}

/*
 * The command and all below it become a domain, which PID 1 stays out of: it may
 * signal them, and they not it. Needs no_new_privs, which is there by now.
 */
int step_run_landlock(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	uint64_t scopes = 0;

	(void)ctx;
	if (step->flags & PLAN_STEP_SCOPE_SOCKETS)
		scopes |= SYS_LANDLOCK_SCOPE_SOCKETS;
	if (step->flags & PLAN_STEP_SCOPE_SIGNALS)
		scopes |= SYS_LANDLOCK_SCOPE_SIGNALS;
	if (sys_landlock_scope(scopes) < 0)
		return err_system(err, errno, NULL, "cannot enter a Landlock domain");
	return 0;
}

/* The limit is that of PID 1's user namespace, and holds for all below it (namespaces(7)). */
int step_run_userns_limit(struct run_context *ctx, const struct plan_step *step,
			  struct sbx_err *err)
{
	int r = io_write_file_at(AT_FDCWD, userns_limit_path, step->text, 1);

	(void)ctx;
	return r < 0 ? err_system(err, -r, userns_limit_path, "cannot forbid user namespaces") : 0;
}

int step_run_assert_no_userns(struct run_context *ctx, const struct plan_step *step,
			      struct sbx_err *err)
{
	(void)ctx;
	(void)step;
	if (unshare(CLONE_NEWUSER) == 0)
		return err_refuse(err, EPERM, NULL,
				  "creation of new user namespaces was not disabled as requested");
	return 0;
}

/* The caller's session keyring, and the keys in it, stay behind. */
int step_run_keyring(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)ctx;
	(void)step;
	if (sys_keyctl_join_session() < 0 && errno != ENOSYS) /* ENOSYS: a kernel without keys */
		return err_system(err, errno, NULL, "cannot start a session keyring");
	return 0;
}

int step_run_session(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)ctx;
	(void)step;
	if (setsid() < 0 && errno != EPERM)
		return err_system(err, errno, NULL, "cannot start a new session");
	return 0;
}

/* Where the command is to be in it without leading it. */
int step_run_init_session(struct run_context *ctx, const struct plan_step *step,
			  struct sbx_err *err)
{
	return step_run_session(ctx, step, err);
}
