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
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/caps.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/base.h"
#include "sbx/spec/cgroup.h"
#include "sbx/spec/dbus.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/env.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/limits.h"
#include "sbx/spec/net.h"
#include "sbx/spec/passwd.h"
#include "sbx/spec/protect.h"
#include "sbx/spec/records.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/session.h"
#include "sbx/spec/settings.h"
#include "sbx/spec/sockets.h"
#include "sbx/spec/sockets_walk.h"
#include "sbx/spec/steps.h"

struct resolve {
	const struct sbx_spec *spec;
	const struct spec_defaults *defaults;
	const struct probe_host *host;
	struct sbx_plan *plan;
	struct arena *arena; /* the plan's */
	struct sbx_err *err;

	const char **dests; /* per operation: normalised destination */
	const char **taken; /* destinations that operations make something at */
	size_t n_taken;
	size_t first_op; /* operations before it are covered by one that provides the root */
	bool op_is_root; /* ops[first_op] provides the root */
	uint64_t keep;	 /* capabilities for the command */
	bool keeps_callers_caps;      /* all that the caller has, and nothing is done about them */
	bool nests_late;	      /* a step enters a user namespace below */
	struct sockets sockets;	      /* the host's, for --mask-sockets=listed */
	struct sockets_budget budget; /* of all walks, for --mask-sockets */
	bool limit_userns;
	const char *pty_cause;
	const struct spec_op *preset; /* --protect=dev; NULL: not given */
};

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

static bool resolve_has(const struct resolve *r, enum spec_ns ns)
{
	return r->plan->namespaces & resolve_namespaces[ns].flag;
}

/* Are the host's processes the sandbox's? */
static bool resolve_sees_host(const struct resolve *r)
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
static const char *resolve_console(const struct resolve *r)
{
	return r->plan->pty || r->spec->detach ? NULL : r->host->tty;
}

/* ---- identity ---- */

enum { RESOLVE_UID_MAP_MAX = 32768 }; /* 340 lines, user_namespaces(7) */

/* Why ranges cannot be mapped: an object and what is wrong with it, and what to do. */
struct resolve_obstacle {
	const char *object;
	const char *what;
	const char *hint;
};

static bool resolve_helper_is_privileged(const char *path)
{
	struct stat st;

	if (geteuid() == 0 || stat(path, &st) < 0 || (st.st_mode & S_ISUID))
		return true;
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

/* Is there no id but one in the user namespace that the caller is in? */
static bool resolve_is_alone(struct resolve *r)
{
	unsigned long long inside, outside, count = 0;
	size_t len;
	char *text;

	/* A second line is a second id. */
	return io_read_file("/proc/self/uid_map", RESOLVE_UID_MAP_MAX, r->arena, &text, &len) ==
		       0 &&
	       sscanf(text, "%llu %llu %llu", &inside, &outside, &count) == 3 && count == 1 &&
	       strchr(text, '\n') == text + len - 1;
}

static const char *resolve_no_range_remedy(struct resolve *r, const char *user)
{
	if (resolve_is_alone(r))
		return "the user namespace that you are in (as by \"unshare -r\") has no other ids "
		       "to "
		       "give;\nrun sbx outside it, or make it with more: unshare --map-root-user "
		       "--map-auto";
	return arena_printf(r->arena,
			    "as root: usermod --add-subuids 100000-165535 --add-subgids "
			    "100000-165535 %s",
			    user);
}

/* One of the two maps: the ranges of its file, through its helper. */
static int resolve_one_range(struct resolve *r, const char *file, const char *helper,
			     uint32_t own_inside, uint32_t own_outside, struct plan_map *map,
			     struct resolve_obstacle *obstacle)
{
	const char *user = r->host->user ? r->host->user : "your user";
	struct probe_range *ranges = NULL;
	size_t n_ranges = 0;
	bool replaced = false;
	int e;

	map->helper = probe_helper(r->host, r->spec, helper);
	for (size_t i = 0; i < r->spec->n_helpers; i++)
		replaced |= strcmp(r->spec->helpers[i].name, helper) == 0;
	*obstacle = (struct resolve_obstacle){0};
	e = probe_subids(r->host, file, &ranges, &n_ranges, r->err);
	if (e < 0)
		return e;
	if (n_ranges == 0)
		*obstacle = (struct resolve_obstacle){
			file, arena_printf(r->arena, "has no range for %s", user),
			resolve_no_range_remedy(r, user)};
	else if (!map->helper)
		*obstacle = (struct resolve_obstacle){helper, "is not installed",
						      probe_helper_remedy(r->host, helper)};
	else if (access(map->helper, X_OK) < 0)
		*obstacle = (struct resolve_obstacle){
			map->helper,
			arena_printf(r->arena, "cannot be executed: %s", strerror(errno)),
			"check the path and its permissions"};
	else if (!replaced && !resolve_helper_is_privileged(map->helper))
		*obstacle = (struct resolve_obstacle){
			map->helper, "has neither the set-user-ID bit nor file capabilities",
			arena_printf(r->arena, "as root: chmod u+s %s", map->helper)};
	else if (r->host->no_new_privs && r->host->uid != 0)
		*obstacle = (struct resolve_obstacle){
			map->helper, "cannot gain its privilege: sbx was started with no_new_privs",
			"start sbx outside of that sandbox or service, or use --map=single"};
	if (obstacle->object) {
		map->helper = NULL;
		return idmap_lay_out(NULL, 0, own_inside, own_outside, r->arena, map, r->err);
	}
	return idmap_lay_out(ranges, n_ranges, own_inside, own_outside, r->arena, map, r->err);
}

static int resolve_map_refuse(struct resolve *r, const struct resolve_obstacle *o)
{
	int e = err_refuse(r->err, ENOENT, o->object, "%s", o->what);

	err_set_option(r->err, "--map=range");
	if (o->hint)
		err_hint(r->err, "%s", o->hint);
	return e;
}

static int resolve_maps(struct resolve *r, uint32_t uid, uint32_t gid)
{
	const char *why = r->spec->userns_fd >= 0	    ? "--userns"
			  : r->spec->userns_block_fd >= 0   ? "--userns-block-fd"
			  : r->spec->map == SPEC_MAP_SINGLE ? "--map=single"
							    : NULL;
	struct resolve_obstacle no_uids = {0}, no_gids = {0};
	struct sbx_plan *plan = r->plan;
	int e = 0;

	if (!why) {
		e = resolve_one_range(r, "/etc/subuid", "newuidmap", uid, r->host->uid,
				      &plan->uid_map, &no_uids);
		if (e == 0)
			e = resolve_one_range(r, "/etc/subgid", "newgidmap", gid, r->host->gid,
					      &plan->gid_map, &no_gids);
		if (e < 0)
			return e;
		if (no_uids.object || no_gids.object) {
			const struct resolve_obstacle *o = no_uids.object ? &no_uids : &no_gids;

			if (r->spec->map == SPEC_MAP_RANGE)
				return resolve_map_refuse(r, o);
			why = arena_printf(r->arena, "%s %s", o->object, o->what);
		}
	}
	if (why) {
		/* Ids of one kind without the other would be half an identity. */
		plan->uid_map.helper = NULL;
		plan->gid_map.helper = NULL;
		e = idmap_lay_out(NULL, 0, uid, r->host->uid, r->arena, &plan->uid_map, r->err);
		if (e == 0)
			e = idmap_lay_out(NULL, 0, gid, r->host->gid, r->arena, &plan->gid_map,
					  r->err);
		if (e < 0)
			return e;
	}
	plan->map_may_fall_back = r->spec->map == SPEC_MAP_AUTO && plan->uid_map.helper;
	if (r->spec->userns_block_fd >= 0)
		return plan_add_remark(plan, "map",
				       "written by the caller, behind --info-fd and before "
				       "--userns-block-fd is written to") < 0
			       ? err_oom(r->err)
			       : 0;
	if (r->spec->map == SPEC_MAP_AUTO &&
	    plan_add_remark(plan, "map", why ? "only the caller's own ids: %s" : "%s",
			    why ? why
				: "the caller's subordinate ids, by newuidmap and newgidmap") < 0)
		return err_oom(r->err);
	return 0;
}

/* One half of --user: a number, or a name of the host's passwd or group file. */
static int resolve_user_part(struct resolve *r, const char *text, enum passwd_file file,
			     uint32_t *ret_id, uint32_t *ret_gid)
{
	static const char *const paths[] = {"/etc/passwd", "/etc/group"};
	struct passwd_entry entry;
	const char *contents;
	uint64_t number;

	if (str_parse_u64(text, 10, UINT32_MAX - 1, &number) == 0) {
		*ret_id = (uint32_t)number;
		return 0;
	}
	if (strcmp(text, "root") == 0) {
		*ret_id = *ret_gid = 0;
		return 0;
	}
	contents = probe_text(r->host, paths[file]);
	if (!contents || passwd_find_name(contents, file, text, r->arena, &entry) < 0) {
		(void)err_refuse(r->err, ENOENT, text, "no such %s on this host",
				 file == PASSWD_USERS ? "user" : "group");
		err_set_option(r->err, "--user");
		err_hint(r->err, "give a number to use an id that has no name here");
		return -ENOENT;
	}
	*ret_id = entry.id;
	if (file == PASSWD_USERS)
		*ret_gid = entry.gid;
	return 0;
}

/* --user U[:G] */
static int resolve_user(struct resolve *r)
{
	uint32_t uid, gid = r->plan->payload_gid, ignored = 0;
	const char *colon = strchr(r->spec->user, ':');
	char *name = arena_dup_n(r->arena, r->spec->user,
				 colon ? (size_t)(colon - r->spec->user) : strlen(r->spec->user));
	int e;

	if (!name)
		return err_oom(r->err);
	e = resolve_user_part(r, name, PASSWD_USERS, &uid, &gid);
	if (e == 0 && colon)
		e = resolve_user_part(r, colon + 1, PASSWD_GROUPS, &gid, &ignored);
	if (e < 0)
		return e;
	for (int i = 0; i < 2; i++) {
		const struct plan_map *map = i ? &r->plan->gid_map : &r->plan->uid_map;
		uint32_t id = i ? gid : uid;

		if (idmap_has(map, id))
			continue;
		(void)err_refuse(r->err, EINVAL, NULL, "%s %u does not exist inside",
				 i ? "group" : "user", id);
		err_set_option(r->err, "--user");
		if (map->n_lines == 1)
			err_hint(r->err,
				 "only %u is mapped; --map=range maps more, or says why it "
				 "cannot",
				 map->lines[0].inside);
		else
			err_hint(r->err,
				 "see the ids that exist with --explain; a larger range in "
				 "/etc/%s gives more",
				 i ? "subgid" : "subuid");
		return -EINVAL;
	}
	r->plan->payload_uid = uid;
	r->plan->payload_gid = gid;
	return 0;
}

static int resolve_identity(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	uint32_t uid = spec->root ? 0 : r->host->uid;
	uint32_t gid = spec->root ? 0 : r->host->gid;
	int e;

	if (spec->root && (spec->uid > 0 || spec->gid > 0))
		return err_usage(r->err, "--root",
				 "makes the caller 0 inside; it cannot be combined "
				 "with another --uid or --gid");
	if (spec->uid >= 0)
		uid = (uint32_t)spec->uid;
	if (spec->gid >= 0)
		gid = (uint32_t)spec->gid;
	if (spec->userns_fd < 0 && !resolve_has(r, SPEC_NS_USER) &&
	    (uid != r->host->uid || gid != r->host->gid))
		return err_usage(r->err, NULL,
				 "Specifying --%s requires --unshare-user or --userns",
				 uid != r->host->uid ? "uid" : "gid");
	e = resolve_maps(r, uid, gid);
	if (e < 0)
		return e;
	r->plan->payload_uid = uid;
	r->plan->payload_gid = gid;
	if (spec->userns_fd >= 0 && spec->uid >= 0)
		r->plan->joined_uid = uid;
	if (spec->userns_fd >= 0 && spec->gid >= 0)
		r->plan->joined_gid = gid;
	return spec->user ? resolve_user(r) : 0;
}

/* ---- privileges ---- */

/* What podman leaves to root in a container, less the ones that reach devices and the network. */
static const char *const resolve_root_caps[] = {
	"chown",   "dac_override", "fowner", "fsetid",		 "setuid",     "setgid",
	"setpcap", "setfcap",	   "kill",   "net_bind_service", "sys_chroot",
};

static uint64_t resolve_all_caps(void)
{
	uint64_t all = 0;

	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		all |= UINT64_C(1) << cap;
	return all;
}

/*
 * Does bubblewrap put a command that keeps capabilities out of reach of its mounts, or of
 * the limit that --disable-userns sets? Its reason for the first is a devpts, for which
 * it maps the caller's id to 0 and back again.
 */
static bool resolve_nests_late(const struct resolve *r)
{
	bool is_root = r->plan->payload_uid == 0 && r->plan->payload_gid == 0;

	if (!r->defaults->nests_late || !resolve_has(r, SPEC_NS_USER) ||
	    r->spec->userns_block_fd >= 0)
		return false;
	for (size_t i = 0; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_DEV && !is_root)
			return true;
	return r->spec->disable_userns;
}

static int resolve_caps(struct resolve *r)
{
	bool callers = r->host->uid == 0 && r->defaults->root_keeps_caps;
	uint64_t keep = callers ? probe_caps() : 0;

	r->keeps_callers_caps = callers && r->spec->n_caps == 0;
	if (r->spec->root || r->spec->map == SPEC_MAP_RANGE)
		for (size_t i = 0; i < ARRAY_SIZE(resolve_root_caps); i++)
			keep |= UINT64_C(1) << caps_from_name(resolve_root_caps[i]);
	for (size_t i = 0; i < r->spec->n_caps; i++) {
		const struct spec_cap *cap = &r->spec->caps[i];
		bool all = strcasecmp(cap->name, "ALL") == 0;
		int number = all ? 0 : caps_from_name(cap->name);
		uint64_t set;

		if (number < 0 && r->defaults->ignores_caps && cap->name[0] >= '0' &&
		    cap->name[0] <= '9')
			continue;
		if (number < 0)
			return err_usage(r->err,
					 cap->kind == SPEC_CAP_ADD ? "--cap-add" : "--cap-drop",
					 "%s is no capability; see capabilities(7)", cap->name);
		set = all ? resolve_all_caps() : UINT64_C(1) << number;
		if (cap->kind == SPEC_CAP_ADD && (set & ~resolve_all_caps())) {
			(void)err_refuse(r->err, EINVAL, cap->name, "this kernel does not have it");
			err_set_option(r->err, "--cap-add");
			return -EINVAL;
		}
		keep = cap->kind == SPEC_CAP_ADD ? keep | set : keep & ~set;
	}
	r->keep = keep;
	r->plan->nested_userns = keep != 0 && r->defaults->nests;
	r->nests_late = keep != 0 && resolve_nests_late(r);
	/* The limit is the user namespace's: one that is not ours keeps its own. */
	r->limit_userns =
		(!r->spec->allow_userns || r->spec->disable_userns) && r->spec->userns_fd < 0;
	return 0;
}

static struct plan_step *resolve_add(struct resolve *r, enum plan_step_kind kind, const char *cause)
{
	return plan_add_step(r->plan, kind, cause);
}

/* Does the command change its id, so that it has to drop privileges by itself? */
static bool resolve_changes_ids(const struct resolve *r)
{
	return r->plan->payload_uid != r->plan->uid_map.own_inside ||
	       r->plan->payload_gid != r->plan->gid_map.own_inside;
}

/* ---- filesystem ---- */

/* Kinds of operations that change what is there instead of making something. */
static bool resolve_op_makes(const struct spec_op *op)
{
	return op->kind != SPEC_OP_CHMOD && op->kind != SPEC_OP_REMOUNT &&
	       op->kind != SPEC_OP_MASK && op->kind != SPEC_OP_PROTECT &&
	       op->kind != SPEC_OP_LOCK && op->kind != SPEC_OP_OVERLAY_SRC;
}

/* Is the path taken from the caller's working directory where it is relative? */
static bool resolve_op_from_cwd(const struct spec_op *op)
{
	return (op->flags & SPEC_OP_SAME) || op->kind == SPEC_OP_PROTECT;
}

/* Does the operation put something in the place of all that was at its destination? */
static bool resolve_op_covers(const struct spec_op *op)
{
	return resolve_op_makes(op) && op->kind != SPEC_OP_DIR && op->kind != SPEC_OP_FILE &&
	       op->kind != SPEC_OP_SYMLINK;
}

/* What is protected stays so: a later operation on a directory above would hide it. */
static int resolve_check_protect(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	if (path_is_root(r->dests[index]))
		return err_usage(r->err, op->option, "cannot protect the root; see --remount-ro");
	for (size_t i = index + 1; i < r->spec->n_ops; i++) {
		const struct spec_op *later = &r->spec->ops[i];

		if (r->dests[i] && resolve_op_covers(later) &&
		    path_is_below(r->dests[index], r->dests[i]) &&
		    !str_equal(r->dests[index], r->dests[i]))
			return err_usage(r->err, op->option,
					 "%s would be covered by %s %s, which comes later; "
					 "put --protect behind it",
					 op->dest, later->option, r->dests[i]);
	}
	return 0;
}

static int resolve_refuse_root(struct resolve *r, const struct spec_op *op)
{
	int e = err_usage(r->err, op->option, "cannot be the root of the sandbox");

	if (!r->defaults->explains)
		str_copy(r->err->path, sizeof(r->err->path), op->dest);
	return e;
}

/* Every destination, normalised; which of them replace parts of the base; which is the root. */
static int resolve_dests(struct resolve *r)
{
	size_t n = r->spec->n_ops;

	r->dests = arena_alloc(r->arena, (n + 1) * sizeof(*r->dests));
	r->taken = arena_alloc(r->arena, (n + 1) * sizeof(*r->taken));
	if (!r->dests || !r->taken)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		const struct spec_op *op = &r->spec->ops[i];
		bool same = resolve_op_from_cwd(op);
		const char *dest = op->flags & SPEC_OP_SAME ? op->source : op->dest;

		if (op->kind == SPEC_OP_OVERLAY_SRC)
			continue;
		if (!dest) {
			r->preset = op;
			continue;
		}
		if (same && dest[0] != '/' && !r->host->cwd) {
			(void)err_refuse(r->err, ENOENT, dest,
					 "the current directory is gone, so a relative path means "
					 "nothing");
			err_set_option(r->err, op->option);
			return -ENOENT;
		}
		r->dests[i] = path_normalise(r->arena, same ? r->host->cwd : NULL, dest);
		if (!r->dests[i])
			return err_oom(r->err);
		if (op->kind == SPEC_OP_MASK && path_is_root(r->dests[i]))
			return err_usage(r->err, op->option, "cannot hide the root of the sandbox");
		if (resolve_op_makes(op) && path_is_root(r->dests[i]) && op->kind != SPEC_OP_DIR) {
			if (op->kind != SPEC_OP_BIND && op->kind != SPEC_OP_TMPFS &&
			    op->kind != SPEC_OP_COW && !layers_is_overlay(op))
				return resolve_refuse_root(r, op);
			if (r->defaults->runs_covered && i > 0)
				continue;
			r->first_op = i;
			r->op_is_root = true;
			r->n_taken = 0;
		} else if (resolve_op_makes(op) && !path_is_root(r->dests[i])) {
			r->taken[r->n_taken++] = r->dests[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		int e = r->spec->ops[i].kind == SPEC_OP_PROTECT && r->dests[i]
				? resolve_check_protect(r, i)
				: 0;

		if (e < 0)
			return e;
	}
	return 0;
}

static uint64_t resolve_attrs(const struct spec_op *op, uint64_t always)
{
	static const struct {
		uint32_t opt;
		uint64_t attr;
	} map[] = {
		{SPEC_MOUNT_RO, MOUNT_ATTR_RDONLY},
		{SPEC_MOUNT_NOEXEC, MOUNT_ATTR_NOEXEC},
		{SPEC_MOUNT_NOATIME, MOUNT_ATTR_NOATIME},
		{SPEC_MOUNT_NODIRATIME, MOUNT_ATTR_NODIRATIME},
		{SPEC_MOUNT_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
	};
	uint64_t attrs = always | (op->flags & SPEC_OP_RO ? MOUNT_ATTR_RDONLY : 0);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (op->mount_opts & map[i].opt)
			attrs |= map[i].attr;
	return attrs;
}

/*
 * What an operation becomes: the kind of its step, the attributes its mount
 * always has, its default mode, and the namespace without which the host's is
 * bound instead (SPEC_NS_COUNT_: none).
 */
static const struct {
	enum plan_step_kind kind;
	uint64_t attrs;
	int64_t mode;
	enum spec_ns ns;
} resolve_ops[SPEC_OP_COUNT_] = {
	[SPEC_OP_BIND] = {PLAN_STEP_BIND, MOUNT_ATTR_NOSUID, -1, SPEC_NS_COUNT_},
	[SPEC_OP_TMPFS] = {PLAN_STEP_TMPFS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0755,
			   SPEC_NS_COUNT_},
	[SPEC_OP_PROC] = {PLAN_STEP_PROC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
			  -1, SPEC_NS_PID},
	[SPEC_OP_DEV] = {PLAN_STEP_DEV, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_SYS] = {PLAN_STEP_SYS,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
				 MOUNT_ATTR_RDONLY,
			 -1, SPEC_NS_NET},
	[SPEC_OP_CGROUP] = {PLAN_STEP_CGROUP,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
				    MOUNT_ATTR_RDONLY,
			    -1, SPEC_NS_COUNT_},
	[SPEC_OP_MQUEUE] = {PLAN_STEP_MQUEUE,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, -1,
			    SPEC_NS_COUNT_},
	[SPEC_OP_DIR] = {PLAN_STEP_DIR, 0, 0755, SPEC_NS_COUNT_},
	[SPEC_OP_FILE] = {PLAN_STEP_FILE, 0, 0666, SPEC_NS_COUNT_},
	[SPEC_OP_BIND_DATA] = {PLAN_STEP_BIND_DATA, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0600,
			       SPEC_NS_COUNT_},
	[SPEC_OP_SYMLINK] = {PLAN_STEP_SYMLINK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_CHMOD] = {PLAN_STEP_CHMOD, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_REMOUNT] = {PLAN_STEP_REMOUNT, MOUNT_ATTR_RDONLY, -1, SPEC_NS_COUNT_},
	[SPEC_OP_MASK] = {PLAN_STEP_MASK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_PROTECT] = {PLAN_STEP_PROTECT, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_LOCK] = {PLAN_STEP_LOCK, 0, -1, SPEC_NS_COUNT_},
	[SPEC_OP_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
			     SPEC_NS_COUNT_},
	[SPEC_OP_TMP_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
				 SPEC_NS_COUNT_},
	[SPEC_OP_RO_OVERLAY] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
				SPEC_NS_COUNT_},
	[SPEC_OP_COW] = {PLAN_STEP_LAYERS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, -1,
			 SPEC_NS_COUNT_},
};

static int resolve_check_fd(struct resolve *r, int64_t fd, const char *option)
{
	if (fcntl((int)fd, F_GETFD) >= 0)
		return 0;
	(void)err_refuse(r->err, EBADF, NULL, "descriptor %lld is not open", (long long)fd);
	err_set_option(r->err, option);
	err_hint(r->err, "open it in the calling shell, for example: sbx ... %lld< FILE",
		 (long long)fd);
	return -EBADF;
}

static bool resolve_op_reads(const struct spec_op *op)
{
	return op->kind == SPEC_OP_FILE || op->kind == SPEC_OP_BIND_DATA;
}

/* What an operation reads it reads to the end: a second one would find nothing. */
static int resolve_check_read(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	for (size_t i = r->first_op; i < index && resolve_op_reads(op); i++) {
		const struct spec_op *before = &r->spec->ops[i];

		if (!resolve_op_reads(before) || before->fd != op->fd)
			continue;
		(void)err_refuse(r->err, EBADF, NULL, "descriptor %lld has been read by then",
				 (long long)op->fd);
		err_set_option(r->err, op->option);
		err_hint(r->err,
			 "it is %s's; give each a descriptor of its own, or bind the file that the "
			 "first makes",
			 before->option);
		return -EBADF;
	}
	return 0;
}

/* A path as typed, so that ".." behind a link means what it says; made absolute if need be. */
static int resolve_protect(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	struct plan_step *step;
	size_t len;

	if (!op->dest)
		return 0;
	step = resolve_add(r, PLAN_STEP_PROTECT, op->option);
	if (!step)
		return err_oom(r->err);
	step->origin = op->origin;
	len = strlen(op->dest);
	step->dest = op->dest[0] == '/' ? op->dest
					: arena_printf(r->arena, "%s/%s", r->host->cwd, op->dest);
	step->flags = op->dest[len - 1] == '/' ? PLAN_STEP_DIRECTORY : 0;
	return step->dest ? 0 : err_oom(r->err);
}

/* --protect=dev, for a bind that can be written. */
static int resolve_preset(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	const char *source = op->source;
	size_t n = r->plan->n_steps;
	int e;

	if (!r->preset || op->kind != SPEC_OP_BIND || (op->flags & SPEC_OP_RO) ||
	    (op->mount_opts & SPEC_MOUNT_RO))
		return 0;
	if (!source)
		source = arena_printf(r->arena, "/proc/self/fd/%lld", (long long)op->fd);
	e = source ? protect_add_preset(r->host, source, r->dests[index], r->plan, r->err)
		   : err_oom(r->err);
	for (; n < r->plan->n_steps; n++)
		r->plan->steps[n].origin = r->preset->origin;
	return e;
}

/* Where PID 1 cannot get at a socket, nor can a command that has no other id than it. */
static int resolve_mask_socket(struct resolve *r, const char *place)
{
	struct plan_step *step = resolve_add(r, PLAN_STEP_MASK, "--mask-sockets");

	if (!step || !place)
		return err_oom(r->err);
	step->dest = place;
	step->origin = r->spec->causes[SPEC_FIELD_MASK_SOCKETS].origin;
	step->flags = PLAN_STEP_TRY | (resolve_changes_ids(r) ? 0 : PLAN_STEP_IF_IN_REACH);
	return 0;
}

static int resolve_mask_listed(struct resolve *r, const char *source, const char *dest)
{
	for (size_t i = 0; i < r->sockets.n_paths; i++) {
		const char *place = sockets_place(r->sockets.paths[i], source, dest, r->arena);
		int e = place ? resolve_mask_socket(r, place) : 0;

		if (e < 0)
			return e;
	}
	return 0;
}

static bool resolve_has_dots(const char *path)
{
	size_t len = strlen(path);

	return strstr(path, "/../") || str_starts_with(path, "../") ||
	       (len >= 3 && str_equal(path + len - 3, "/..")) || str_equal(path, "..");
}

/*
 * The places that operations behind `index` cover in any case. Dots behind a link lead
 * elsewhere than they seem to, so places with them are not compared.
 */
static size_t resolve_hidden(struct resolve *r, size_t index, const char **hidden)
{
	size_t n = 0;

	if (resolve_has_dots(r->spec->ops[index].dest ? r->spec->ops[index].dest : ""))
		return 0;
	for (size_t i = index + 1; i < r->spec->n_ops; i++) {
		const struct spec_op *op = &r->spec->ops[i];
		bool sure = resolve_op_covers(op) && !(op->flags & SPEC_OP_TRY);

		if (r->dests[i] && (sure || op->kind == SPEC_OP_MASK) &&
		    ((op->flags & SPEC_OP_SAME) || !resolve_has_dots(op->dest)))
			hidden[n++] = r->dests[i];
	}
	return n;
}

static int resolve_refuse_doubt(struct resolve *r, const struct sockets_walk *walk)
{
	const char *where = sockets_below(r->arena, walk->source, walk->doubtful);
	const char *place = sockets_below(r->arena, walk->dest, walk->doubtful);
	const char *text = sockets_doubt_text(walk);

	if (!where || !place || !text)
		return err_oom(r->err);
	(void)err_refuse(r->err, EACCES, where, "%s", text);
	err_set_option(r->err, "--mask-sockets");
	err_hint(
		r->err,
		"bind less, or put --mask %s%s behind the bind for what is not needed;\n"
		"--mask-sockets=listed looks at no directory, and hides only what the kernel lists",
		*walk->doubtful ? place : "DIRECTORY", walk->n_doubtful > 1 ? " (and others)" : "");
	return -EACCES;
}

static int resolve_mask_all(struct resolve *r, size_t index, const char *source, const char *dest)
{
	const char **hidden = arena_alloc(r->arena, r->spec->n_ops * sizeof(*hidden));
	struct sockets_walk walk = {
		.arena = r->arena,
		.plan = r->plan,
		.any_ids = r->spec->userns_fd >= 0 || r->spec->userns2_fd >= 0 ||
			   r->spec->userns_block_fd >= 0,
		.source = source,
		.dest = dest,
		.hidden = hidden,
		.budget = &r->budget,
	};
	int e;

	if (!hidden)
		return err_oom(r->err);
	walk.n_hidden = resolve_hidden(r, index, hidden);
	e = sockets_walk(&walk);
	if (e < 0)
		return err_system(r->err, -e, source, "cannot look for sockets");
	if (walk.doubt != SOCKETS_SURE)
		return resolve_refuse_doubt(r, &walk);
	for (size_t i = 0; i < walk.n_found && e == 0; i++)
		e = resolve_mask_socket(r, sockets_below(r->arena, dest, walk.found[i]));
	return e;
}

/* A mask on each socket of the host that a bind would show. */
static int resolve_mask_sockets(struct resolve *r, size_t index, const struct plan_step *bind)
{
	const char *source, *dest = bind->dest; /* `bind` moves when steps are added */

	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_OFF)
		return 0;
	source = sockets_source(bind, r->arena);
	if (!source)
		return 0; /* it is not there, or its step will say what is wrong with it */
	return r->spec->mask_sockets == SPEC_MASK_SOCKETS_LISTED
		       ? resolve_mask_listed(r, source, dest)
		       : resolve_mask_all(r, index, source, dest);
}

/*
 * What is dangerous in a /proc is covered, unless further user namespaces are to mount one
 * of their own: the kernel refuses that where it would show what is covered in this one.
 */
static int resolve_proc_cover(struct resolve *r, const struct spec_op *op)
{
	struct plan_step *step;

	if (r->spec->allow_userns && !r->defaults->covers_writable_proc)
		return 0;
	step = resolve_add(r, PLAN_STEP_PROC_COVER, op->option);
	if (!step)
		return err_oom(r->err);
	step->dest = op->dest;
	step->origin = op->origin;
	step->flags = r->spec->allow_userns ? PLAN_STEP_IF_WRITABLE : 0;
	return 0;
}

/* Parents that have to be made are not more open to group and others than what is in them. */
static mode_t resolve_parent_mode(int64_t mode)
{
	mode_t parent = 0755;

	if ((mode & 0070) == 0)
		parent &= (mode_t)~0050;
	if ((mode & 0007) == 0)
		parent &= (mode_t)~0005;
	return parent;
}

/* What sbx adds to a mount and bubblewrap does not. */
static uint64_t resolve_hardening(const struct plan_step *step)
{
	if (step->kind == PLAN_STEP_MQUEUE)
		return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	if (step->kind == PLAN_STEP_DEV ||
	    (step->kind == PLAN_STEP_PROC && (step->flags & PLAN_STEP_HOST)))
		return MOUNT_ATTR_NOEXEC;
	return 0;
}

/* The upper layer is the step's source only there. */
static int resolve_layers(struct resolve *r, size_t index, struct plan_step *step)
{
	const struct layers_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.defaults = r->defaults,
		.op = index,
		.driver = r->spec->overlay_driver,
	};

	step->source = NULL;
	return layers_choose(&wanted, r->plan, step, r->err);
}

/* One more root of the session: the view's own, or that of a mount below it. */
static int resolve_cow_root(struct resolve *r, size_t index, const struct session_view *view,
			    const char *root, struct plan_step *step)
{
	struct layers_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.defaults = r->defaults,
		.op = index,
		.driver = r->spec->overlay_driver,
	};
	int e = session_add_root(r->spec, r->plan, view, root, &wanted, r->err);

	return e < 0 ? e : layers_choose(&wanted, r->plan, step, r->err);
}

/* Where the base has its own in their place. */
static bool resolve_base_has(const struct resolve *r, const char *dest)
{
	return r->op_is_root && !r->spec->no_base &&
	       (str_equal(dest, "/proc") || str_equal(dest, "/dev"));
}

/* A mount below a view. @cow: the view's own step, copied, as steps move. */
static int resolve_cow_mount(struct resolve *r, size_t index, const struct session_view *view,
			     const struct session_mount *mount, const struct plan_step *cow)
{
	static const enum plan_step_kind kinds[] = {
		[SESSION_MOUNT_ROOT] = PLAN_STEP_LAYERS,
		[SESSION_MOUNT_FILE] = PLAN_STEP_BIND,
		[SESSION_MOUNT_PASSED] = PLAN_STEP_MASK,
	};
	const char *rest = mount->path + (path_is_root(view->root) ? 0 : strlen(view->root));
	const char *dest =
		arena_printf(r->arena, "%s%s", path_is_root(cow->dest) ? "" : cow->dest, rest);
	struct plan_step *step;

	if (!dest)
		return err_oom(r->err);
	if (mount->kind == SESSION_MOUNT_PASSED && resolve_base_has(r, dest))
		return 0;
	if (mount->kind == SESSION_MOUNT_PASSED &&
	    plan_add_remark(r->plan, PLAN_REMARK_PASSED, "%s, a mount below %s, is not shown: %s",
			    mount->path, view->root, mount->passed) < 0)
		return err_oom(r->err);
	step = resolve_add(r, kinds[mount->kind], cow->cause);
	if (!step)
		return err_oom(r->err);
	step->origin = cow->origin;
	step->dest = dest;
	step->attrs = cow->attrs;
	if (mount->kind == SESSION_MOUNT_ROOT)
		return resolve_cow_root(r, index, view, mount->path, step);
	step->flags =
		mount->kind == SESSION_MOUNT_PASSED ? PLAN_STEP_TRY | PLAN_STEP_IF_IN_REACH : 0;
	step->source = mount->kind == SESSION_MOUNT_FILE ? mount->path : NULL;
	step->attrs |= mount->kind == SESSION_MOUNT_FILE ? MOUNT_ATTR_RDONLY : 0;
	return 0;
}

/* A view: an overlay of the directory, and of each mount of the host below it. */
static int resolve_cow(struct resolve *r, size_t index, struct plan_step *step)
{
	struct session_view view = {0};
	struct plan_step cow;
	int e = session_find_view(r->host, r->plan, step->source, &view, r->err);

	step->source = NULL;
	if (e == 0)
		e = session_check_view(r->spec, r->host, r->plan, &view, r->err);
	if (e == 0)
		e = resolve_cow_root(r, index, &view, view.root, step);
	cow = *step;
	for (size_t i = 0; i < view.n_mounts && e == 0; i++)
		e = resolve_cow_mount(r, index, &view, &view.mounts[i], &cow);
	return e;
}

static int resolve_op(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	struct plan_step *step;
	enum spec_ns ns = resolve_ops[op->kind].ns;
	uint64_t attrs = resolve_ops[op->kind].attrs;

	if (op->kind == SPEC_OP_PROTECT)
		return resolve_protect(r, index);
	if (op->kind == SPEC_OP_LOCK || op->kind == SPEC_OP_OVERLAY_SRC)
		return 0; /* see resolve_locks(), resolve_layers() */
	step = resolve_add(r, resolve_ops[op->kind].kind, op->option);
	if (!step)
		return err_oom(r->err);
	step->origin = op->origin;
	if (op->kind == SPEC_OP_BIND && !(op->flags & SPEC_OP_DEVICES))
		attrs |= MOUNT_ATTR_NODEV;
	step->attrs = resolve_attrs(op, attrs);
	step->source = op->source;
	/* Of /a/.. it is the root that is meant, but for --dir, which makes what is on the way. */
	step->dest = op->flags & SPEC_OP_SAME ||
				     (path_is_root(r->dests[index]) && op->kind != SPEC_OP_DIR)
			     ? r->dests[index]
			     : op->dest;
	step->mode = op->perms >= 0 ? op->perms : resolve_ops[op->kind].mode;
	step->size_bytes = op->size_bytes;
	step->nr_inodes = op->nr_inodes;
	step->flags = op->flags & SPEC_OP_TRY ? PLAN_STEP_TRY : 0;
	if (ns != SPEC_NS_COUNT_ && !resolve_has(r, ns) &&
	    (ns != SPEC_NS_PID || resolve_sees_host(r)))
		step->flags |= PLAN_STEP_HOST;
	if (op->perms >= 0 || op->kind == SPEC_OP_BIND_DATA)
		step->parent_mode = resolve_parent_mode(step->mode);
	else if (step->mode < 0)
		step->parent_mode = r->defaults->parent_mode;
	if (op->kind == SPEC_OP_BIND_DATA && r->defaults->writes_last)
		step->flags |= PLAN_STEP_WRITE_LAST;
	if (op->kind == SPEC_OP_DEV) {
		step->source = resolve_console(r);
		step->mode = r->defaults->shm_mode;
		step->attrs = MOUNT_ATTR_NOEXEC;
	}
	if (!r->defaults->hardens_mounts)
		step->attrs &= ~resolve_hardening(step);
	if (op->kind == SPEC_OP_PROC)
		return resolve_proc_cover(r, op);
	if (op->kind == SPEC_OP_COW)
		return resolve_cow(r, index, step);
	if (layers_is_overlay(op))
		return resolve_layers(r, index, step);
	if (op->fd >= 0) {
		int e;

		step->fd = (int)op->fd;
		e = resolve_check_fd(r, op->fd, op->option);
		if (e == 0)
			e = resolve_check_read(r, index);
		if (e < 0 && op->kind != SPEC_OP_BIND)
			str_copy(r->err->path, sizeof(r->err->path), op->dest);
		if (e < 0)
			return e;
	}
	if (op->kind == SPEC_OP_BIND) {
		int e = resolve_mask_sockets(r, index, step);

		if (e < 0)
			return e;
	}
	return resolve_preset(r, index);
}

static int resolve_base(struct resolve *r)
{
	struct base_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.tty = resolve_console(r),
		.taken = r->taken,
		.n_taken = r->n_taken,
		.hostname = r->spec->hostname ? r->spec->hostname : r->host->hostname,
		.uid = r->plan->uid_map.own_inside,
		.gid = r->plan->gid_map.own_inside,
		.payload_uid = r->plan->payload_uid,
		.payload_gid = r->plan->payload_gid,
		.has_network = !resolve_has(r, SPEC_NS_NET),
		.net = r->plan->net.text ? &r->plan->net : NULL,
		.only_kernel = r->op_is_root,
		.host_proc = resolve_sees_host(r),
		.cover_proc = !r->spec->allow_userns,
	};

	if (r->spec->no_base)
		return 0;
	return base_add_steps(&wanted, r->plan, r->err);
}

/*
 * Does the operation bring files for /etc from the host, and does the plan have a resolver? One
 * behind it that names the file is obeyed.
 */
static bool resolve_brings_etc(const struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];

	if (!r->plan->net.resolv_conf || r->spec->no_base || !r->dests[index] ||
	    !str_equal(r->dests[index], "/etc") ||
	    !(op->kind == SPEC_OP_BIND || op->kind == SPEC_OP_COW || layers_is_overlay(op)))
		return false;
	for (size_t i = index + 1; i < r->spec->n_ops; i++)
		if (r->dests[i] && str_equal(r->dests[i], "/etc/resolv.conf"))
			return false;
	return true;
}

/* Over the one that a root or /etc of the user's has, which names resolvers of the host's. */
static bool resolve_places_resolv_conf(const struct resolve *r)
{
	for (size_t i = r->first_op; i < r->spec->n_ops; i++)
		if (resolve_brings_etc(r, i))
			return true;
	return (r->plan->net.resolv_conf || r->plan->net.share) && r->op_is_root &&
	       !r->spec->no_base;
}

static int resolve_cover_resolver(struct resolve *r, size_t index)
{
	const struct base_wanted wanted = {.net = &r->plan->net};

	return resolve_brings_etc(r, index) ? base_cover_resolver(&wanted, r->plan, r->err) : 0;
}

static bool resolve_has_data(const struct resolve *r)
{
	for (size_t i = r->first_op; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_BIND_DATA ||
		    r->spec->ops[i].kind == SPEC_OP_OVERLAY ||
		    r->spec->ops[i].kind == SPEC_OP_TMP_OVERLAY ||
		    r->spec->ops[i].kind == SPEC_OP_COW ||
		    (r->spec->ops[i].kind == SPEC_OP_PROTECT &&
		     r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY))
			return true;
	if (resolve_places_resolv_conf(r) || (r->plan->net.share && !r->spec->no_base))
		return true;
	return r->preset && r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY;
}

/* Last: whatever is behind the operations, the command is not to begin without its network. */
static int resolve_network(struct resolve *r)
{
	struct plan_step *step;

	if (!r->plan->net.text)
		return 0;
	step = resolve_add(r, PLAN_STEP_NETWORK, r->plan->net.option);
	if (!step)
		return err_oom(r->err);
	step->text = r->plan->net.text;
	return 0;
}

static int resolve_filesystem(struct resolve *r)
{
	size_t i = r->first_op;
	struct plan_step *step;
	int e = 0;

	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_LISTED)
		e = sockets_find(r->host, r->arena, &r->sockets, r->err);
	if (r->spec->mask_sockets == SPEC_MASK_SOCKETS_ALL)
		r->budget = sockets_budget_for_mask();
	if (e < 0)
		return e;
	if (resolve_has_data(r) && !resolve_add(r, PLAN_STEP_DATA_STORE, "default"))
		return err_oom(r->err);
	for (size_t k = 0; k < i; k++)
		if (r->spec->ops[k].kind == SPEC_OP_PROTECT && r->dests[k])
			return err_usage(r->err, r->spec->ops[k].option,
					 "%s would be covered by the root; put --protect behind "
					 "what provides it",
					 r->spec->ops[k].dest);
	if (r->op_is_root)
		e = resolve_op(r, i++);
	else if (!resolve_add(r, PLAN_STEP_ROOT_TMPFS, "default"))
		return err_oom(r->err);
	if (e == 0)
		e = resolve_base(r);
	for (; i < r->spec->n_ops && e == 0; i++) {
		e = resolve_op(r, i);
		if (e == 0)
			e = resolve_cover_resolver(r, i);
	}
	if (e == 0)
		e = session_hide(r->spec, r->plan, r->err);
	if (e == 0)
		e = filter_cover_add_steps(r->host, r->plan, r->err);
	if (e == 0)
		e = dbus_add_step(r->spec, r->plan, r->err);
	if (e == 0)
		e = resolve_network(r);
	if (e < 0)
		return e;
	if (!r->op_is_root && !r->spec->rw_root) {
		step = resolve_add(r, PLAN_STEP_REMOUNT, "default");
		if (!step)
			return err_oom(r->err);
		step->dest = "/";
		step->attrs = MOUNT_ATTR_RDONLY;
	}
	return 0;
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
static int resolve_locks(struct resolve *r)
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

static int resolve_payload_privileges(struct resolve *r)
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

/* ---- Landlock ---- */

enum { LANDLOCK_SCOPES_ABI = 6 }; /* Linux 6.12 */

/* Why the kernel's Landlock cannot scope, and what to do; NULL: it can. */
static const char *resolve_landlock_obstacle(struct resolve *r, int abi, const char **ret_hint)
{
	if (abi >= LANDLOCK_SCOPES_ABI)
		return NULL;
	*ret_hint = "Linux 6.12 and later can; see \"uname -r\"";
	if (abi >= 0)
		return arena_printf(r->arena,
				    "this kernel's Landlock (ABI %d) cannot scope sockets and "
				    "signals, which came with ABI 6",
				    abi);
	if (abi == -EOPNOTSUPP) {
		*ret_hint = "as root, add \"landlock\" to the list behind lsm= on the kernel's "
			    "command line;\n/sys/kernel/security/lsm shows what is enabled";
		return "Landlock is not enabled in this kernel";
	}
	if (abi == -ENOSYS)
		return "this kernel has no Landlock";
	*ret_hint = "a seccomp filter of an outer container or service may refuse it; run sbx "
		    "outside";
	return arena_printf(r->arena, "Landlock cannot be used: %s", strerror(-abi));
}

static int resolve_landlock_refuse(struct resolve *r, const char *why, const char *hint)
{
	(void)err_refuse(r->err, EOPNOTSUPP, NULL, "%s", why);
	err_set_option(r->err, "--landlock=require");
	err_hint(r->err, "%s", hint);
	return -EOPNOTSUPP;
}

/*
 * What a shared namespace would leave open is scoped. With namespaces of the sandbox's
 * own there is nothing in reach that could be; then the kernel is not asked either, and
 * even --landlock=require has what it wants.
 */
static int resolve_landlock(struct resolve *r)
{
	uint32_t scopes = (resolve_has(r, SPEC_NS_NET) ? 0 : PLAN_STEP_SCOPE_SOCKETS) |
			  (r->plan->own_pid_ns ? 0 : PLAN_STEP_SCOPE_SIGNALS);
	bool required = r->spec->landlock == SPEC_LANDLOCK_REQUIRE;
	const char *why, *hint = NULL;
	struct plan_step *step;

	if (r->spec->landlock == SPEC_LANDLOCK_OFF)
		return 0;
	if (scopes == 0) {
		if (required && plan_add_remark(r->plan, "landlock",
						"not used: network and processes are the "
						"sandbox's own, so there is nothing to scope") < 0)
			return err_oom(r->err);
		return 0;
	}
	why = resolve_landlock_obstacle(r, probe_landlock(r->host), &hint);
	if (why && required)
		return resolve_landlock_refuse(r, why, hint);
	if (why)
		return plan_add_remark(r->plan, "landlock", "not used: %s", why) < 0
			       ? err_oom(r->err)
			       : 0;
	step = resolve_add(r, PLAN_STEP_LANDLOCK, required ? "--landlock" : "default");
	if (!step)
		return err_oom(r->err);
	step->flags = scopes;
	return 0;
}

static int resolve_reaper(struct resolve *r)
{
	bool ids = resolve_changes_ids(r);
	struct plan_step *step;

	if (!ids && !r->plan->nested_userns)
		return filter_add_reaper(r->plan, r->err);
	step = resolve_add(r, PLAN_STEP_REAPER_PRIVILEGES, "default");
	if (!step)
		return err_oom(r->err);
	/* Signals go to a process of another id then, or to one with more capabilities. */
	step->keep = UINT64_C(1) << caps_from_name("kill");
	return filter_add_reaper(r->plan, r->err);
}

/* The sandbox is below the caller's user namespace, and nobody can go up. */
static int resolve_check_userns2(struct resolve *r)
{
	struct stat there, own;

	if (fstat((int)r->spec->userns2_fd, &there) < 0 ||
	    stat(resolve_namespaces[SPEC_NS_USER].file, &own) < 0 || there.st_dev != own.st_dev ||
	    there.st_ino != own.st_ino)
		return 0;
	(void)err_refuse(r->err, EINVAL, NULL, "is the caller's own user namespace");
	err_set_option(r->err, "--userns2");
	err_hint(r->err, "it has to be one below the sandbox's");
	return -EINVAL;
}

/* The option that has a descriptor for itself; NULL: none. */
static const char *resolve_find_fd_user(const struct sbx_spec *spec, int64_t fd)
{
	const struct {
		const char *option;
		int64_t fd;
	} users[] = {
		{"--block-fd", spec->block_fd},
		{"--sync-fd", spec->sync_fd},
		{"--userns-block-fd", spec->userns_block_fd},
		{"--userns", spec->userns_fd},
		{"--userns2", spec->userns2_fd},
		{"--pidns", spec->pidns_fd},
		{"--net=fd:N", net_read_fd(spec->net)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		if (users[i].fd == fd)
			return users[i].option;
	return NULL;
}

/* --block-fd, --sync-fd and those that the sandbox is told of by */
static int resolve_sync(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	struct plan_step *step;
	int e = 0;

	if (spec->sync_fd >= 0 && spec->as_pid_1 && !r->defaults->passes_sync_fd)
		return err_usage(r->err, "--sync-fd",
				 "cannot be combined with --as-pid-1: process 1 is the command, "
				 "which is not to have the descriptor");
	for (size_t i = 0; i < spec->n_pass_fds; i++) {
		const char *rival = resolve_find_fd_user(spec, spec->pass_fds[i]);

		if (rival)
			return err_usage(r->err, "--pass-fd",
					 "descriptor %lld is that of %s, by which the command does "
					 "not get it",
					 (long long)spec->pass_fds[i], rival);
	}
	if (spec->sync_fd >= 0)
		e = resolve_check_fd(r, spec->sync_fd, "--sync-fd");
	if (e == 0 && spec->block_fd >= 0)
		e = resolve_check_fd(r, spec->block_fd, "--block-fd");
	if (e == 0 && spec->info_fd >= 0)
		e = resolve_check_fd(r, spec->info_fd, "--info-fd");
	if (e == 0 && spec->json_status_fd >= 0)
		e = resolve_check_fd(r, spec->json_status_fd, "--json-status-fd");
	if (e == 0 && spec->userns_fd >= 0)
		e = resolve_check_fd(r, spec->userns_fd, "--userns");
	if (e == 0 && spec->userns2_fd >= 0)
		e = resolve_check_fd(r, spec->userns2_fd, "--userns2");
	if (e == 0 && spec->userns2_fd >= 0)
		e = resolve_check_userns2(r);
	if (e == 0 && spec->pidns_fd >= 0)
		e = resolve_check_fd(r, spec->pidns_fd, "--pidns");
	if (e == 0 && spec->userns_block_fd >= 0)
		e = resolve_check_fd(r, spec->userns_block_fd, "--userns-block-fd");
	if (e < 0)
		return e;
	/* Where process 1 is the command, it is one of those that are passed on. */
	r->plan->sync_fd = spec->as_pid_1 ? -1 : (int)spec->sync_fd;
	r->plan->info_fd = (int)spec->info_fd;
	r->plan->json_status_fd = (int)spec->json_status_fd;
	r->plan->parent_userns_fd = (int)spec->userns_fd;
	r->plan->parent_pidns_fd = (int)spec->pidns_fd;
	r->plan->userns_block_fd = (int)spec->userns_block_fd;
	if (spec->block_fd < 0)
		return 0;
	step = resolve_add(r, PLAN_STEP_BLOCK, "--block-fd");
	if (!step)
		return err_oom(r->err);
	step->fd = (int)spec->block_fd;
	return 0;
}

static int resolve_payload(struct resolve *r)
{
	struct plan_step *step;
	int e;

	/* PID 1's session is one of its own then. */
	if (r->plan->pty && !resolve_add(r, PLAN_STEP_STDIO, r->pty_cause))
		return err_oom(r->err);
	if (!r->plan->pty && r->spec->new_session &&
	    !resolve_add(
		    r, r->defaults->init_leads_session ? PLAN_STEP_INIT_SESSION : PLAN_STEP_SESSION,
		    "--new-session"))
		return err_oom(r->err);
	e = resolve_payload_privileges(r);
	if (e == 0)
		e = limits_add_payload(r->spec, r->plan, r->err);
	if (e == 0)
		e = resolve_landlock(r);
	if (e < 0)
		return e;
	if (r->spec->assert_userns_disabled &&
	    !resolve_add(r, PLAN_STEP_ASSERT_NO_USERNS, "--assert-userns-disabled"))
		return err_oom(r->err);
	if (!resolve_add(r, PLAN_STEP_CHDIR, r->spec->chdir ? "--chdir" : "default"))
		return err_oom(r->err);
	e = resolve_sync(r);
	if (e < 0)
		return e;
	if (!resolve_add(r, PLAN_STEP_DESCRIPTORS, "default"))
		return err_oom(r->err);
	e = filter_add_payload(r->plan, r->err);
	if (e < 0)
		return e;
	step = resolve_add(r, PLAN_STEP_EXEC, "default");
	if (!step)
		return err_oom(r->err);
	step->text = r->plan->command;
	return resolve_reaper(r);
}

static int resolve_pass_fds(struct resolve *r)
{
	size_t n = r->spec->n_pass_fds;
	int *fds = arena_alloc(r->arena, (n + 1) * sizeof(*fds));

	if (!fds)
		return err_oom(r->err);
	for (size_t i = 0; i < n; i++) {
		int e = resolve_check_fd(r, r->spec->pass_fds[i], "--pass-fd");

		if (e < 0)
			return e;
		fds[i] = (int)r->spec->pass_fds[i];
	}
	r->plan->pass_fds = fds;
	r->plan->n_pass_fds = n;
	return 0;
}

/*
 * Where the command starts, the first of these that is there: the caller's directory by the
 * name that the caller knows it by, then by that without links, home, the root.
 */
static int resolve_workdirs(struct resolve *r)
{
	const char **dirs = arena_alloc(r->arena, 5 * sizeof(*dirs));
	const char *home = env_get(r->plan->envp, "HOME");
	const struct probe_host *host = r->host;
	size_t n = 0;

	if (!dirs)
		return err_oom(r->err);
	r->plan->workdir_required = r->spec->chdir != NULL;
	r->plan->pwd_as_typed = r->defaults->takes_relative;
	r->plan->workdirs = dirs;
	if (r->spec->chdir) {
		dirs[0] = arena_dup(r->arena, r->spec->chdir);
		return dirs[0] ? 0 : err_oom(r->err);
	}
	if (host->pwd) {
		dirs[n++] = arena_dup(r->arena, host->pwd);
		if (!dirs[0])
			return err_oom(r->err);
	}
	if (host->cwd)
		dirs[n++] = host->cwd;
	if (home && (home[0] == '/' || r->defaults->takes_relative))
		dirs[n++] = home;
	dirs[n++] = "/";
	return 0;
}

/* Copies of what the command needs: PID 1 wipes the memory that argv and environ lie in. */
static int resolve_command(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	const char **argv = arena_alloc(r->arena, (spec->n_argv + 1) * sizeof(*argv));
	int e;

	if (!argv)
		return err_oom(r->err);
	for (size_t i = 0; i < spec->n_argv; i++) {
		argv[i] = arena_dup(r->arena, spec->argv[i]);
		if (!argv[i])
			return err_oom(r->err);
	}
	r->plan->command = argv[0];
	r->plan->argv = argv;
	if (spec->argv0) {
		argv[0] = arena_dup(r->arena, spec->argv0);
		if (!argv[0])
			return err_oom(r->err);
	}
	e = env_build(spec, r->host, r->arena, &r->plan->envp, &r->plan->pwd_at, r->err);
	if (e < 0)
		return e;
	e = dbus_choose(spec, r->host, r->plan, r->err);
	if (e == 0)
		e = limits_choose(spec, r->plan, r->err);
	if (e == 0)
		e = net_choose(spec, r->host, r->plan, r->err);
	if (e == 0)
		e = cgroup_choose(spec, r->host, r->plan, r->err);
	return e < 0 ? e : resolve_workdirs(r);
}

/* Where records are, and whether any of placeholders will be written. */
static int resolve_records(struct resolve *r)
{
	struct sbx_plan *plan = r->plan;
	int e = r->defaults->records ? records_add_dirs(r->host, plan, r->err) : 0;

	plan->records = r->defaults->records;
	plan->name = r->spec->name;
	plan->detach = r->spec->detach;
	plan->has_input = plan->detach && r->spec->interactive && !plan->pty;
	plan->keeps_record = r->spec->keep_record;
	/* What a killed monitor leaves of a cgroup is found by the record. */
	plan->needs_record = plan->name || plan->detach || plan->keeps_record ||
			     plan->limits.from != PLAN_CGROUP_NONE;
	if (e < 0)
		return e;
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].kind != PLAN_STEP_PROTECT)
			continue;
		plan->protects = true;
		if (r->spec->protect_by == SPEC_PROTECT_BY_OVERLAY)
			plan->steps[i].flags |= PLAN_STEP_OVERLAY;
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
