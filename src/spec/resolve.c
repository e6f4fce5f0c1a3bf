/* SPDX-License-Identifier: MIT */
/*
 * resolve: turn what was asked for into what will be done.
 *
 * Theory of operation
 *
 * One function per part of the plan, called in the order in which the steps
 * run: namespaces, identity, privileges, filesystem, the command. Each either
 * adds what it stands for or fails with an error that names the option, the
 * cause and the remedy; nothing has been created then. A choice that was made
 * for the user ("auto") leaves a remark.
 *
 * Sources are not opened here: PID 1 opens each once, at its step. What a
 * descriptor holds is not looked at either.
 *
 * Identity and privileges are in resolve_identity.c, what is mounted in resolve_files.c, what is
 * done around the command in resolve_command.c.
 */

#include <assert.h>
#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/caps.h"
#include "sbx/base/path.h"
#include "sbx/base/sys.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/limits.h"
#include "sbx/spec/net.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/resolve_parts.h"
#include "sbx/spec/settings.h"
#include "sbx/spec/steps.h"

/* ---- namespaces ---- */

/* Per namespace: its flag, and what an option that shares it is called. */
static const struct {
	uint64_t flag;
	const char *file; /* below /proc/self/ns: is it there? */
} resolve_namespaces[SPEC_NS_COUNT_] = {
	[SPEC_NS_USER] = {CLONE_NEWUSER, "/proc/self/ns/user"},
	[SPEC_NS_PID] = {CLONE_NEWPID, "/proc/self/ns/pid"},
	[SPEC_NS_IPC] = {CLONE_NEWIPC, "/proc/self/ns/ipc"},
	[SPEC_NS_UTS] = {CLONE_NEWUTS, "/proc/self/ns/uts"},
	[SPEC_NS_CGROUP] = {CLONE_NEWCGROUP, "/proc/self/ns/cgroup"},
	[SPEC_NS_NET] = {CLONE_NEWNET, "/proc/self/ns/net"},
};

bool resolve_has(const struct resolve *r, enum spec_ns ns)
{
	return r->plan->namespaces & resolve_namespaces[ns].flag;
}

/* Are the host's processes the sandbox's? */
bool resolve_sees_host(const struct resolve *r)
{
	return !r->plan->own_pid_ns && r->spec->pidns_fd < 0;
}

/* What becomes of a namespace that nobody spoke of. Mounts take a user namespace, or root. */
static enum spec_ns_mode resolve_default_ns(const struct resolve *r, enum spec_ns ns)
{
	if ((ns == SPEC_NS_USER && r->spec->userns_fd >= 0) ||
	    (ns == SPEC_NS_PID && r->spec->pidns_fd >= 0))
		return SPEC_NS_SHARE;
	if (ns == SPEC_NS_USER)
		return r->host->uid != 0 || r->defaults->root_unshares_user ? SPEC_NS_NEW
									    : SPEC_NS_SHARE;
	return r->defaults->ns;
}

static int resolve_namespace_set(struct resolve *r)
{
	r->plan->bwrap_words = !r->defaults->explains;
	r->plan->namespaces = CLONE_NEWNS;
	for (int ns = 0; ns < SPEC_NS_COUNT_; ns++) {
		int64_t mode = r->spec->ns[ns];

		if (mode == SPEC_NS_DEFAULT)
			mode = resolve_default_ns(r, (enum spec_ns)ns);
		if (mode == SPEC_NS_SHARE)
			continue;
		if (mode == SPEC_NS_TRY && access(resolve_namespaces[ns].file, F_OK) < 0) {
			if (plan_add_remark(r->plan, "namespaces",
					    "%s: this kernel has none, so none is made",
					    resolve_namespaces[ns].file) < 0)
				return err_oom(r->err);
			continue;
		}
		r->plan->namespaces |= resolve_namespaces[ns].flag;
	}
	r->plan->own_pid_ns = resolve_has(r, SPEC_NS_PID);
	return 0;
}

static bool resolve_has_locks(const struct resolve *r)
{
	for (size_t i = 0; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_LOCK)
			return true;
	return false;
}

/* How the processes hang together, and who is there at all. */
static void resolve_life(struct resolve *r)
{
	const struct spec_defaults *defaults = r->defaults;
	const struct sbx_spec *spec = r->spec;
	struct sbx_plan *plan = r->plan;
	bool reaper = defaults->always_reaper || plan->own_pid_ns || spec->sync_fd >= 0 ||
		      resolve_has_locks(r);

	plan->init_is_payload = spec->as_pid_1 || !reaper;
	plan->wait_for_all = spec->on_exit == SPEC_ON_EXIT_WAIT || defaults->leaves_rest;
	plan->end_with_parent = spec->die_with_parent;
	plan->own_session = spec->new_session;
	plan->passes_fds = defaults->passes_fds;
	plan->runs_magic = defaults->runs_magic;
	plan->shell_runs_text = defaults->shell_runs_text;
	plan->init_visible = defaults->init_visible;
	plan->outlives_monitor = !defaults->tied && !spec->die_with_parent;
	plan->leaves_signals = !defaults->forwards_signals;
	plan->leaves_rest = defaults->leaves_rest;
	plan->parent_signals = defaults->parent_signals;
}

static int resolve_process_rules(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;

	if (spec->as_pid_1 && !r->plan->own_pid_ns)
		return err_usage(r->err, "--as-pid-1",
				 "needs a pid namespace; it cannot be combined with --share-pid");
	if (spec->as_pid_1 && r->plan->nested_userns)
		return err_usage(
			r->err, "--as-pid-1",
			"cannot be combined with capabilities that are kept (--cap-add, "
			"--root, --map=range): they need a process beside the command; add "
			"--cap-drop ALL");
	if (spec->as_pid_1 && resolve_has_locks(r))
		return err_usage(r->err, "--as-pid-1",
				 "cannot be combined with --lock-file: process 1 is the command, "
				 "which does not hold the lock");
	if (spec->as_pid_1 && spec->on_exit == SPEC_ON_EXIT_WAIT)
		return err_usage(r->err, "--as-pid-1",
				 "cannot be combined with --on-exit=wait: everything ends with "
				 "process 1");
	if (spec->detach && spec->die_with_parent)
		return err_usage(r->err, "--detach",
				 "cannot be combined with --die-with-parent: the sandbox goes on "
				 "without who started it");
	if (spec->detach && spec->seccomp_log)
		return err_usage(
			r->err, "--detach",
			"cannot be combined with --seccomp-log: nobody is there to be told "
			"at the end");
	if (spec->userns_fd >= 0 && resolve_has(r, SPEC_NS_USER))
		return err_usage(r->err, "--userns",
				 "cannot be combined with --unshare-user: the sandbox is in that "
				 "namespace, or in one of its own");
	if (spec->userns_fd >= 0 && (spec->map == SPEC_MAP_RANGE || spec->user || spec->root))
		return err_usage(r->err, "--userns",
				 "cannot be combined with --map=range, --user or --root: its ids "
				 "are mapped already; choose one by --uid and --gid");
	if (spec->userns_fd >= 0 && spec->disable_userns)
		return err_usage(r->err, "--userns",
				 "cannot be combined with --disable-userns, which would hold for "
				 "all that are in that namespace");
	if (spec->userns_block_fd >= 0 && spec->info_fd < 0)
		return err_usage(r->err, "--userns-block-fd",
				 "needs --info-fd: who maps the ids must know the process");
	if (spec->userns_block_fd >= 0 && !resolve_has(r, SPEC_NS_USER))
		return err_usage(
			r->err, "--userns-block-fd",
			"needs a user namespace of the sandbox's own, whose ids can be mapped");
	if (spec->userns_block_fd >= 0 && (spec->map == SPEC_MAP_RANGE || spec->user))
		return err_usage(r->err, "--userns-block-fd",
				 "cannot be combined with --map=range or --user: the caller maps "
				 "the ids, and sbx does not know which");
	if (spec->hostname && !resolve_has(r, SPEC_NS_UTS))
		return err_usage(r->err, "--hostname",
				 "needs a uts namespace; it cannot be combined with --share-uts");
	if (spec->allow_userns && !r->defaults->allow_userns &&
	    (spec->disable_userns || spec->assert_userns_disabled))
		return err_usage(r->err, "--allow-userns",
				 "cannot be combined with --disable-userns or "
				 "--assert-userns-disabled");
	resolve_life(r);
	return 0;
}

/* ---- the terminal ---- */

/*
 * Where the filter would let the command type into a terminal that it shares, it does
 * not get to share one, but by --no-pty, or in a session that has none (--new-session).
 */
static bool resolve_wants_pty(const struct resolve *r)
{
	if (r->spec->pty == SPEC_PTY_DEFAULT && r->spec->detach)
		return false;
	if (r->spec->pty == SPEC_PTY_DEFAULT)
		return !r->spec->new_session && !filter_guards_terminal(r->plan);
	return r->spec->pty == SPEC_PTY_ON;
}

static int resolve_terminal(struct resolve *r)
{
	const uint32_t all = (1u << STDIN_FILENO) | (1u << STDOUT_FILENO) | (1u << STDERR_FILENO);
	bool asked = r->spec->pty == SPEC_PTY_ON;

	if (!resolve_wants_pty(r))
		return 0;
	/* A detached one has a terminal whether or not anybody is at one; see sbx attach. */
	r->plan->pty_fds = r->spec->detach ? all : probe_terminals(r->host);
	if (r->plan->pty_fds == 0 && !asked)
		return 0;
	if (r->plan->pty_fds == 0) {
		(void)err_refuse(r->err, ENOTTY, NULL,
				 "there is no terminal to relay: none of the descriptors 0-2 is "
				 "one");
		err_set_option(r->err, "--pty");
		err_hint(r->err, "leave --pty out, or run sbx in a terminal (script(1) makes one)");
		return -ENOTTY;
	}
	r->pty_cause = asked ? "--pty" : "default";
	r->plan->pty = true;
	r->plan->own_session = true;
	if (!asked && plan_add_remark(r->plan, "terminal",
				      "one of the sandbox's own, as with --pty: the filter would "
				      "not keep the command from typing into the caller's") < 0)
		return err_oom(r->err);
	return 0;
}

/* The host's terminal for /dev/console. It stays outside where the command gets another, or none.
 */
const char *resolve_console(const struct resolve *r)
{
	return r->plan->pty || r->spec->detach ? NULL : r->host->tty;
}

struct plan_step *resolve_add(struct resolve *r, enum plan_step_kind kind, const char *cause)
{
	return plan_add_step(r->plan, kind, cause);
}

/* Does the command change its id, so that it has to drop privileges by itself? */
bool resolve_changes_ids(const struct resolve *r)
{
	return r->plan->payload_uid != r->plan->uid_map.own_inside ||
	       r->plan->payload_gid != r->plan->gid_map.own_inside;
}

/* ---- in order ---- */

static int resolve_early(struct resolve *r)
{
	const uint64_t bind_service = UINT64_C(1) << caps_from_name("net_bind_service");
	struct plan_step *step;
	int e;

	if (resolve_has(r, SPEC_NS_NET)) {
		if (!resolve_add(r, PLAN_STEP_LOOPBACK, "default"))
			return err_oom(r->err);
		/* Who publishes port 80 of it expects the command to have that. */
		if (((r->keep & bind_service) || r->plan->net.option) &&
		    !resolve_add(r, PLAN_STEP_PORT_START,
				 r->plan->net.option ? r->plan->net.option : "default"))
			return err_oom(r->err);
	}
	if (r->spec->hostname) {
		step = resolve_add(r, PLAN_STEP_HOSTNAME, "--hostname");
		if (!step)
			return err_oom(r->err);
		step->text = r->spec->hostname;
	}
	e = limits_add_early(r->spec, r->plan, r->err);
	if (e < 0)
		return e;
	/* For the id map of the command's own namespace, to find what is left at the end, or
	 * mounts. */
	if (r->plan->nested_userns || r->nests_late || r->plan->limits.from != PLAN_CGROUP_NONE ||
	    (!r->plan->own_pid_ns && !r->plan->init_is_payload)) {
		step = resolve_add(r, PLAN_STEP_PROC_VIEW, "default");
		if (!step)
			return err_oom(r->err);
		step->flags = resolve_sees_host(r) || r->nests_late ? PLAN_STEP_HOST : 0;
	}
	return filter_add_early(r->plan, r->err);
}

/* Does the command drop privileges by itself, because it needs some for a moment? */
static bool resolve_has_own_privileges(const struct resolve *r)
{
	return resolve_changes_ids(r) || r->plan->nested_userns;
}

static int resolve_filter(struct resolve *r)
{
	const struct filter_wanted wanted = {
		.host = r->host,
		.spec = r->spec,
		.caps = r->keep,
		.own_privileges = resolve_has_own_privileges(r),
	};

	return filter_choose(&wanted, r->plan, r->err);
}

/*
 * The sandbox's terminal: of the devpts in /dev, else in the last other place that the
 * user wants one at, else of one that nobody sees.
 */
static int resolve_pty(struct resolve *r)
{
	struct plan_step *from = NULL, *step;
	bool found = false; /* the one at /dev */

	if (!r->plan->pty)
		return 0;
	for (size_t i = 0; i < r->plan->n_steps; i++) {
		const char *dest;
		bool here;

		step = &r->plan->steps[i];
		if (step->kind != PLAN_STEP_DEV)
			continue;
		dest = path_normalise(r->arena, NULL, step->dest);
		if (!dest)
			return err_oom(r->err);
		here = strcmp(dest, "/dev") == 0;
		if (here || !found)
			from = step;
		found |= here;
	}
	if (from)
		from->flags |= PLAN_STEP_HAS_PTY;
	step = resolve_add(r, PLAN_STEP_PTY, r->pty_cause); /* which may move the others */
	if (!step)
		return err_oom(r->err);
	step->flags = from ? PLAN_STEP_HAS_PTY : 0;
	return 0;
}

/* Files are locked when all is there, wherever the option stood. */
int resolve_locks(struct resolve *r)
{
	for (size_t i = 0; i < r->spec->n_ops; i++) {
		const struct spec_op *op = &r->spec->ops[i];
		struct plan_step *step;

		if (op->kind != SPEC_OP_LOCK)
			continue;
		step = resolve_add(r, PLAN_STEP_LOCK, op->option);
		if (!step)
			return err_oom(r->err);
		step->dest = r->defaults->takes_relative ? op->dest : r->dests[i];
		step->origin = op->origin;
	}
	return 0;
}

static int resolve_handover(struct resolve *r)
{
	bool own = resolve_has_own_privileges(r);
	struct plan_step *step;

	if (r->limit_userns) {
		step = resolve_add(r, PLAN_STEP_USERNS_LIMIT,
				   r->spec->disable_userns ? "--disable-userns" : "default");
		if (!step)
			return err_oom(r->err);
		/* The nested namespace is one; while it exists, there is no room for another. */
		step->text = r->plan->nested_userns || r->nests_late ? "1" : "0";
	}
	if (!resolve_add(r, PLAN_STEP_PIVOT, "default"))
		return err_oom(r->err);
	if (r->plan->limits.from != PLAN_CGROUP_NONE &&
	    !resolve_add(r, PLAN_STEP_CGROUP_COVER, r->plan->limits.list[0].option))
		return err_oom(r->err);
	if (r->spec->userns2_fd >= 0) {
		step = resolve_add(r, PLAN_STEP_ENTER_USERNS, "--userns2");
		if (!step)
			return err_oom(r->err);
		step->fd = (int)r->spec->userns2_fd;
	}
	if (r->nests_late && !resolve_add(r, PLAN_STEP_NEST_USERNS, "default"))
		return err_oom(r->err);
	if (!own) {
		step = resolve_add(r, PLAN_STEP_CONFINE, "default");
		if (!step)
			return err_oom(r->err);
		step->keep = r->keep;
		step->flags = r->keeps_callers_caps ? PLAN_STEP_CALLERS_CAPS : 0;
	}
	if (resolve_locks(r) < 0)
		return -ENOMEM;
	return filter_add_init(r->plan, r->defaults->own_keyring, r->err);
}

int resolve_payload_privileges(struct resolve *r)
{
	bool ids = resolve_changes_ids(r);
	const char *cause = r->spec->n_caps
				    ? r->spec->caps[r->spec->n_caps - 1].kind == SPEC_CAP_ADD
					      ? "--cap-add"
					      : "--cap-drop"
				    : "default";
	struct plan_step *step;

	if (ids) {
		step = resolve_add(r, PLAN_STEP_IDS, "--user");
		if (!step)
			return err_oom(r->err);
		step->uid = r->plan->payload_uid;
		step->gid = r->plan->payload_gid;
		step->flags = r->plan->gid_map.helper ? PLAN_STEP_GROUPS : 0;
	}
	if (ids || r->plan->nested_userns) {
		step = resolve_add(r, PLAN_STEP_PRIVILEGES, cause);
		if (!step)
			return err_oom(r->err);
		step->keep = r->keep;
	}
	return 0;
}

/* ---- profiles ---- */

static int resolve_guard_refuse(struct resolve *r, const struct plan_step *step,
				const struct spec_guard *guard)
{
	(void)err_refuse(r->err, EPERM, guard->path,
			 "the sandbox could change this profile, which lies in what it may "
			 "write to: %s",
			 step->source ? step->source : step->dest);
	err_set_option(r->err, step->cause);
	err_hint(r->err, "keep profiles in ~/.config/sbx/profiles and bind no directory above, or "
			 "bind it read-only");
	return -EPERM;
}

/*
 * A command that can write to the profile it was started with chooses what the next
 * start gives away. The profile's file, and all directories above it by which the
 * caller could replace it, must not be in a tree that is bound writable, masked or not.
 */
static int resolve_guards(struct resolve *r)
{
	for (size_t i = 0; i < r->plan->n_steps && r->spec->n_guards; i++) {
		const struct plan_step *step = &r->plan->steps[i];
		const char *source = step->layers ? step->layers->upper : step->source;
		struct stat st;

		if ((step->kind != PLAN_STEP_BIND && !(step->layers && source)) ||
		    (step->attrs & MOUNT_ATTR_RDONLY))
			continue;
		if ((step->fd >= 0 ? fstat(step->fd, &st) : stat(source, &st)) < 0)
			continue; /* the step will tell */
		for (size_t g = 0; g < r->spec->n_guards; g++)
			if (r->spec->guards[g].dev == st.st_dev &&
			    r->spec->guards[g].ino == st.st_ino)
				return resolve_guard_refuse(r, step, &r->spec->guards[g]);
	}
	return 0;
}

/* Is it caused by an operation, which has noted its own origin, or has none? */
static bool resolve_is_of_op(const struct resolve *r, const struct plan_step *step)
{
	for (size_t i = 0; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].option == step->cause)
			return true;
	return false;
}

/* Where profiles were read: which line of them has the option that caused a step. */
static int resolve_origins(struct resolve *r)
{
	for (size_t i = 0; i < r->plan->n_steps && r->spec->n_guards; i++) {
		struct plan_step *step = &r->plan->steps[i];

		if (!step->origin && step->cause[0] == '-' && !resolve_is_of_op(r, step))
			step->origin = settings_find_origin(r->spec, step->cause);
	}
	return 0;
}

/* Steps are added in the order of this file; they run in the order of their phases. */
static int resolve_sort(struct resolve *r)
{
	struct sbx_plan *plan = r->plan;
	struct plan_step *sorted = arena_alloc(r->arena, plan->n_steps * sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return err_oom(r->err);
	for (int phase = 0; phase < PLAN_PHASE_COUNT_; phase++)
		for (size_t i = 0; i < plan->n_steps; i++)
			if (step_kinds[plan->steps[i].kind].phase == (enum plan_phase)phase)
				sorted[n++] = plan->steps[i];
	assert(n == plan->n_steps);
	plan->steps = sorted;
	return 0;
}

/**
 * Make a plan.
 * @spec: borrowed; the plan's paths point into it, so it must live as long
 * @host: borrowed likewise
 * @plan: initialised and empty; on failure only fit for plan_finish()
 *
 * Return: 0, or -errno with *err filled. Nothing has been created either way.
 */
int resolve_plan(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		 struct sbx_err *err)
{
	static int (*const parts[])(struct resolve *) = {
		resolve_namespace_set, resolve_identity, resolve_caps,	     resolve_process_rules,
		resolve_dests,	       resolve_command,	 resolve_pass_fds,   resolve_filter,
		resolve_terminal,      resolve_early,	 resolve_filesystem, resolve_pty,
		resolve_handover,      resolve_payload,	 resolve_records,    resolve_guards,
		resolve_origins,       resolve_sort,
	};
	struct resolve r = {
		.spec = spec,
		.defaults = spec_get_defaults(spec),
		.host = host,
		.plan = plan,
		.arena = &plan->arena,
		.err = err,
	};

	plan->spec = spec;
	plan->spec = spec;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int e = parts[i](&r);

		if (e < 0)
			return e;
	}
	return 0;
}
