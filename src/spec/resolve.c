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
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/caps.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/base.h"
#include "sbx/spec/env.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/passwd.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/steps.h"

struct resolve {
	const struct sbx_spec *spec;
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
	bool limit_userns;
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

static int resolve_namespace_set(struct resolve *r)
{
	r->plan->namespaces = CLONE_NEWNS;
	for (int ns = 0; ns < SPEC_NS_COUNT_; ns++) {
		int64_t mode = r->spec->ns[ns];

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
	if (spec->as_pid_1 && spec->on_exit == SPEC_ON_EXIT_WAIT)
		return err_usage(r->err, "--as-pid-1",
				 "cannot be combined with --on-exit=wait: everything ends with "
				 "process 1");
	if (spec->hostname && !resolve_has(r, SPEC_NS_UTS))
		return err_usage(r->err, "--hostname",
				 "needs a uts namespace; it cannot be combined with --share-uts");
	if (spec->allow_userns && (spec->disable_userns || spec->assert_userns_disabled))
		return err_usage(r->err, "--allow-userns",
				 "cannot be combined with --disable-userns or "
				 "--assert-userns-disabled");
	r->plan->init_is_payload = spec->as_pid_1;
	r->plan->wait_for_all = spec->on_exit == SPEC_ON_EXIT_WAIT;
	r->plan->end_with_parent = spec->die_with_parent;
	r->plan->own_session = spec->new_session;
	return 0;
}

/* ---- identity ---- */

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
			arena_printf(r->arena,
				     "as root: usermod --add-subuids 100000-165535 --add-subgids "
				     "100000-165535 %s",
				     user)};
	else if (!map->helper)
		*obstacle = (struct resolve_obstacle){helper, "is not installed",
						      "install it: the package is uidmap (Debian, "
						      "Ubuntu), shadow-utils (Fedora), "
						      "shadow (Arch, Alpine: shadow-uidmap)"};
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
	err_hint(r->err, "%s", o->hint);
	return e;
}

static int resolve_maps(struct resolve *r, uint32_t uid, uint32_t gid)
{
	const char *why = r->spec->map == SPEC_MAP_SINGLE ? "--map=single" : NULL;
	struct resolve_obstacle no_uids = {0}, no_gids = {0};
	struct sbx_plan *plan = r->plan;
	int e = 0;

	if (r->spec->map != SPEC_MAP_SINGLE) {
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
	e = resolve_maps(r, uid, gid);
	if (e < 0)
		return e;
	r->plan->payload_uid = uid;
	r->plan->payload_gid = gid;
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

static int resolve_caps(struct resolve *r)
{
	uint64_t keep = 0;

	if (r->spec->root || r->spec->map == SPEC_MAP_RANGE)
		for (size_t i = 0; i < ARRAY_SIZE(resolve_root_caps); i++)
			keep |= UINT64_C(1) << caps_from_name(resolve_root_caps[i]);
	for (size_t i = 0; i < r->spec->n_caps; i++) {
		const struct spec_cap *cap = &r->spec->caps[i];
		bool all = strcasecmp(cap->name, "ALL") == 0;
		int number = all ? 0 : caps_from_name(cap->name);
		uint64_t set;

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
	r->plan->nested_userns = keep != 0;
	r->limit_userns = !r->spec->allow_userns;
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
	return op->kind != SPEC_OP_CHMOD && op->kind != SPEC_OP_REMOUNT && op->kind != SPEC_OP_MASK;
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
		bool same = op->flags & SPEC_OP_SAME;
		const char *dest = same ? op->source : op->dest;

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
			if (op->kind != SPEC_OP_BIND && op->kind != SPEC_OP_TMPFS)
				return err_usage(r->err, op->option,
						 "cannot be the root of the sandbox");
			r->first_op = i;
			r->op_is_root = true;
			r->n_taken = 0;
		} else if (resolve_op_makes(op) && !path_is_root(r->dests[i])) {
			r->taken[r->n_taken++] = r->dests[i];
		}
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

static int resolve_op(struct resolve *r, size_t index)
{
	const struct spec_op *op = &r->spec->ops[index];
	struct plan_step *step = resolve_add(r, resolve_ops[op->kind].kind, op->option);
	enum spec_ns ns = resolve_ops[op->kind].ns;
	uint64_t attrs = resolve_ops[op->kind].attrs;

	if (!step)
		return err_oom(r->err);
	if (op->kind == SPEC_OP_BIND && !(op->flags & SPEC_OP_DEVICES))
		attrs |= MOUNT_ATTR_NODEV;
	step->attrs = resolve_attrs(op, attrs);
	step->source = op->source;
	step->dest = op->flags & SPEC_OP_SAME || path_is_root(r->dests[index]) ? r->dests[index]
									       : op->dest;
	step->mode = op->perms >= 0 ? op->perms : resolve_ops[op->kind].mode;
	step->size_bytes = op->size_bytes;
	step->nr_inodes = op->nr_inodes;
	step->flags = op->flags & SPEC_OP_TRY ? PLAN_STEP_TRY : 0;
	if (ns != SPEC_NS_COUNT_ && !resolve_has(r, ns))
		step->flags |= PLAN_STEP_HOST;
	if (op->kind == SPEC_OP_DEV)
		step->source = r->host->tty;
	if (op->kind == SPEC_OP_PROC && !r->spec->allow_userns) {
		step = resolve_add(r, PLAN_STEP_PROC_COVER, op->option);
		if (!step)
			return err_oom(r->err);
		step->dest = op->dest;
		return 0;
	}
	if (op->fd >= 0) {
		step->fd = (int)op->fd;
		return resolve_check_fd(r, op->fd, op->option);
	}
	return 0;
}

static int resolve_base(struct resolve *r)
{
	struct base_wanted wanted = {
		.spec = r->spec,
		.host = r->host,
		.taken = r->taken,
		.n_taken = r->n_taken,
		.hostname = r->spec->hostname ? r->spec->hostname : r->host->hostname,
		.uid = r->plan->uid_map.own_inside,
		.gid = r->plan->gid_map.own_inside,
		.payload_uid = r->plan->payload_uid,
		.payload_gid = r->plan->payload_gid,
		.has_network = !resolve_has(r, SPEC_NS_NET),
		.only_kernel = r->op_is_root,
		.host_proc = !r->plan->own_pid_ns,
		.cover_proc = !r->spec->allow_userns,
	};

	if (r->spec->no_base)
		return 0;
	return base_add_steps(&wanted, r->plan, r->err);
}

static bool resolve_has_data(const struct resolve *r)
{
	for (size_t i = r->first_op; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_BIND_DATA)
			return true;
	return false;
}

static int resolve_filesystem(struct resolve *r)
{
	size_t i = r->first_op;
	struct plan_step *step;
	int e = 0;

	if (resolve_has_data(r) && !resolve_add(r, PLAN_STEP_DATA_STORE, "default"))
		return err_oom(r->err);
	if (r->op_is_root)
		e = resolve_op(r, i++);
	else if (!resolve_add(r, PLAN_STEP_ROOT_TMPFS, "default"))
		return err_oom(r->err);
	if (e == 0)
		e = resolve_base(r);
	for (; i < r->spec->n_ops && e == 0; i++)
		e = resolve_op(r, i);
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

	if (resolve_has(r, SPEC_NS_NET)) {
		if (!resolve_add(r, PLAN_STEP_LOOPBACK, "default"))
			return err_oom(r->err);
		if ((r->keep & bind_service) && !resolve_add(r, PLAN_STEP_PORT_START, "default"))
			return err_oom(r->err);
	}
	if (r->spec->hostname) {
		step = resolve_add(r, PLAN_STEP_HOSTNAME, "--hostname");
		if (!step)
			return err_oom(r->err);
		step->text = r->spec->hostname;
	}
	/* For the id map of the command's own namespace, or to find what is left at the end. */
	if (r->plan->nested_userns || !r->plan->own_pid_ns) {
		step = resolve_add(r, PLAN_STEP_PROC_VIEW, "default");
		if (!step)
			return err_oom(r->err);
		step->flags = r->plan->own_pid_ns ? 0 : PLAN_STEP_HOST;
	}
	return 0;
}

static int resolve_handover(struct resolve *r)
{
	bool own = resolve_changes_ids(r) || r->plan->nested_userns;
	struct plan_step *step;

	if (r->limit_userns) {
		step = resolve_add(r, PLAN_STEP_USERNS_LIMIT,
				   r->spec->disable_userns ? "--disable-userns" : "default");
		if (!step)
			return err_oom(r->err);
		/* The nested namespace is one; while it exists, there is no room for another. */
		step->text = r->plan->nested_userns ? "1" : "0";
	}
	if (!resolve_add(r, PLAN_STEP_PIVOT, "default"))
		return err_oom(r->err);
	if (!own && !resolve_add(r, PLAN_STEP_CONFINE, "default"))
		return err_oom(r->err);
	return 0;
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

static int resolve_reaper(struct resolve *r)
{
	bool ids = resolve_changes_ids(r);
	struct plan_step *step;

	if (!ids && !r->plan->nested_userns)
		return 0;
	step = resolve_add(r, PLAN_STEP_REAPER_PRIVILEGES, "default");
	if (!step)
		return err_oom(r->err);
	/* Signals go to a process of another id then, or to one with more capabilities. */
	step->keep = UINT64_C(1) << caps_from_name("kill");
	return 0;
}

static int resolve_payload(struct resolve *r)
{
	struct plan_step *step;
	int e;

	if (r->spec->new_session && !resolve_add(r, PLAN_STEP_SESSION, "--new-session"))
		return err_oom(r->err);
	e = resolve_payload_privileges(r);
	if (e < 0)
		return e;
	if (r->spec->assert_userns_disabled &&
	    !resolve_add(r, PLAN_STEP_ASSERT_NO_USERNS, "--assert-userns-disabled"))
		return err_oom(r->err);
	if (!resolve_add(r, PLAN_STEP_CHDIR, r->spec->chdir ? "--chdir" : "default") ||
	    !resolve_add(r, PLAN_STEP_DESCRIPTORS, "default"))
		return err_oom(r->err);
	step = resolve_add(r, PLAN_STEP_EXEC, "default");
	if (!step)
		return err_oom(r->err);
	step->text = r->plan->argv[0];
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

/* Copies of what the command needs: PID 1 wipes the memory that argv and environ lie in. */
static int resolve_command(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	const char **argv = arena_alloc(r->arena, (spec->n_argv + 1) * sizeof(*argv));
	const char **dirs = arena_alloc(r->arena, 4 * sizeof(*dirs));
	size_t n = 0;
	int e;

	if (!argv || !dirs)
		return err_oom(r->err);
	for (size_t i = 0; i < spec->n_argv; i++) {
		argv[i] = arena_dup(r->arena, spec->argv[i]);
		if (!argv[i])
			return err_oom(r->err);
	}
	r->plan->argv = argv;
	e = env_build(spec, r->host, r->arena, &r->plan->envp, r->err);
	if (e < 0)
		return e;
	r->plan->workdir_required = spec->chdir != NULL;
	if (spec->chdir) {
		dirs[n++] = arena_dup(r->arena, spec->chdir);
	} else {
		const char *home = env_get(r->plan->envp, "HOME");

		if (r->host->cwd)
			dirs[n++] = r->host->cwd;
		if (home && home[0] == '/')
			dirs[n++] = home;
		dirs[n++] = "/";
	}
	if (!dirs[0])
		return err_oom(r->err);
	r->plan->workdirs = dirs;
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
		resolve_namespace_set, resolve_identity, resolve_caps,	   resolve_process_rules,
		resolve_dests,	       resolve_command,	 resolve_pass_fds, resolve_early,
		resolve_filesystem,    resolve_handover, resolve_payload,  resolve_sort,
	};
	struct resolve r = {
		.spec = spec, .host = host, .plan = plan, .arena = &plan->arena, .err = err};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int e = parts[i](&r);

		if (e < 0)
			return e;
	}
	return 0;
}
