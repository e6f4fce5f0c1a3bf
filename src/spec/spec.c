/* SPDX-License-Identifier: MIT */
/*
 * spec: the tables of a spec's fields and names, and the functions that set them.
 *
 * Two tables describe the structure: spec_fields for what has one value, and
 * one array of names per enum. The option table points into the first, the JSON
 * writer and reader walk both, so a new field is one row here and one option row.
 */

#include <assert.h>
#include <string.h>

#include "sbx/spec/spec.h"

enum { SPEC_FIRST_BYTES = 8192 }; /* what a command line of some length takes */

static const char *const spec_program_names[] = {"sbx", "bwrap", NULL};
static const char *const spec_ns_mode_names[] = {"default", "new", "try", "share", NULL};
static const char *const spec_map_names[] = {"auto", "range", "single", NULL};
static const char *const spec_mask_sockets_names[] = {"off", "all", "listed", NULL};
static const char *const spec_protect_by_names[] = {"placeholder", "overlay", NULL};
static const char *const spec_overlay_driver_names[] = {"auto", "kernel", "fuse", NULL};
static const char *const spec_on_exit_names[] = {"kill", "wait", NULL};
static const char *const spec_limits_names[] = {"require", "try", NULL};
static const char *const spec_pty_names[] = {"default", "on", "off", NULL};
static const char *const spec_dbus_names[] = {"default", "on", "try", "off", NULL};
static const char *const spec_landlock_names[] = {"auto", "off", "require", NULL};

const char *const spec_op_names[SPEC_OP_COUNT_ + 1] = {
	[SPEC_OP_BIND] = "bind",
	[SPEC_OP_TMPFS] = "tmpfs",
	[SPEC_OP_PROC] = "proc",
	[SPEC_OP_DEV] = "dev",
	[SPEC_OP_SYS] = "sys",
	[SPEC_OP_CGROUP] = "cgroup",
	[SPEC_OP_MQUEUE] = "mqueue",
	[SPEC_OP_DIR] = "dir",
	[SPEC_OP_FILE] = "file",
	[SPEC_OP_BIND_DATA] = "bind-data",
	[SPEC_OP_SYMLINK] = "symlink",
	[SPEC_OP_CHMOD] = "chmod",
	[SPEC_OP_REMOUNT] = "remount",
	[SPEC_OP_MASK] = "mask",
	[SPEC_OP_PROTECT] = "protect",
	[SPEC_OP_LOCK] = "lock",
	[SPEC_OP_OVERLAY_SRC] = "overlay-src",
	[SPEC_OP_OVERLAY] = "overlay",
	[SPEC_OP_TMP_OVERLAY] = "tmp-overlay",
	[SPEC_OP_RO_OVERLAY] = "ro-overlay",
	[SPEC_OP_COW] = "cow",
};
const char *const spec_op_flag_names[] = {"ro", "devices", "try", "same", NULL};
const char *const spec_mount_opt_names[] = {"ro",	  "noexec",	 "noatime",
					    "nodiratime", "nosymfollow", NULL};
const char *const spec_env_names[SPEC_ENV_COUNT_ + 1] = {
	[SPEC_ENV_SET] = "set",	    [SPEC_ENV_UNSET] = "unset", [SPEC_ENV_PASS] = "pass",
	[SPEC_ENV_CLEAR] = "clear", [SPEC_ENV_KEEP] = "keep",	[SPEC_ENV_FILE] = "file",
};
const char *const spec_cap_names[SPEC_CAP_COUNT_ + 1] = {
	[SPEC_CAP_ADD] = "add",
	[SPEC_CAP_DROP] = "drop",
};

const char *const spec_net_rule_names[SPEC_NET_RULE_COUNT_ + 1] = {
	[SPEC_NET_ALLOW] = "allow",
	[SPEC_NET_DENY] = "deny",
	[SPEC_NET_RULE_COUNT_] = NULL,
};

const char *const spec_seccomp_names[SPEC_SECCOMP_COUNT_ + 1] = {
	[SPEC_SECCOMP_ALLOW] = "allow",
	[SPEC_SECCOMP_DENY] = "deny",
};

const char *const spec_bus_names[SPEC_BUS_COUNT_ + 1] = {
	[SPEC_BUS_SEE] = "see",	  [SPEC_BUS_TALK] = "talk",	      [SPEC_BUS_OWN] = "own",
	[SPEC_BUS_CALL] = "call", [SPEC_BUS_BROADCAST] = "broadcast",
};

#define NS_FIELD(key, which)                                                                       \
	{                                                                                          \
		.name = (key), .type = SPEC_TYPE_ENUM,                                             \
		.offset = offsetof(struct sbx_spec, ns) + (which) * sizeof(int64_t),               \
		.names = spec_ns_mode_names                                                        \
	}
#define ENUM_FIELD(key, member, values)                                                            \
	{                                                                                          \
		.name = (key), .type = SPEC_TYPE_ENUM,                                             \
		.offset = offsetof(struct sbx_spec, member), .names = (values)                     \
	}
#define FIELD(key, kind, member)                                                                   \
	{                                                                                          \
		.name = (key), .type = (kind), .offset = offsetof(struct sbx_spec, member)         \
	}

const struct spec_field spec_fields[SPEC_FIELD_COUNT_] = {
	[SPEC_FIELD_PROGRAM] = ENUM_FIELD("program", program, spec_program_names),
	[SPEC_FIELD_NS_USER] = NS_FIELD("ns.user", SPEC_NS_USER),
	[SPEC_FIELD_NS_PID] = NS_FIELD("ns.pid", SPEC_NS_PID),
	[SPEC_FIELD_NS_IPC] = NS_FIELD("ns.ipc", SPEC_NS_IPC),
	[SPEC_FIELD_NS_UTS] = NS_FIELD("ns.uts", SPEC_NS_UTS),
	[SPEC_FIELD_NS_CGROUP] = NS_FIELD("ns.cgroup", SPEC_NS_CGROUP),
	[SPEC_FIELD_NS_NET] = NS_FIELD("ns.net", SPEC_NS_NET),
	[SPEC_FIELD_NET] = FIELD("net", SPEC_TYPE_STRING, net),
	[SPEC_FIELD_MAP] = ENUM_FIELD("map", map, spec_map_names),
	[SPEC_FIELD_PROTECT_BY] = ENUM_FIELD("protect-by", protect_by, spec_protect_by_names),
	[SPEC_FIELD_OVERLAY_DRIVER] =
		ENUM_FIELD("overlay-driver", overlay_driver, spec_overlay_driver_names),
	[SPEC_FIELD_ON_EXIT] = ENUM_FIELD("on-exit", on_exit, spec_on_exit_names),
	[SPEC_FIELD_PTY] = ENUM_FIELD("pty", pty, spec_pty_names),
	[SPEC_FIELD_DBUS] = ENUM_FIELD("dbus-session", dbus, spec_dbus_names),
	[SPEC_FIELD_LANDLOCK] = ENUM_FIELD("landlock", landlock, spec_landlock_names),
	[SPEC_FIELD_UID] = FIELD("uid", SPEC_TYPE_ID, uid),
	[SPEC_FIELD_GID] = FIELD("gid", SPEC_TYPE_ID, gid),
	[SPEC_FIELD_USER] = FIELD("user", SPEC_TYPE_STRING, user),
	[SPEC_FIELD_ROOT] = FIELD("root", SPEC_TYPE_BOOL, root),
	[SPEC_FIELD_NO_BASE] = FIELD("no-base", SPEC_TYPE_BOOL, no_base),
	[SPEC_FIELD_MASK_SOCKETS] =
		ENUM_FIELD("mask-sockets", mask_sockets, spec_mask_sockets_names),
	[SPEC_FIELD_RW_ROOT] = FIELD("rw-root", SPEC_TYPE_BOOL, rw_root),
	[SPEC_FIELD_ALLOW_USERNS] = FIELD("allow-userns", SPEC_TYPE_BOOL, allow_userns),
	[SPEC_FIELD_DISABLE_USERNS] = FIELD("disable-userns", SPEC_TYPE_BOOL, disable_userns),
	[SPEC_FIELD_ASSERT_USERNS_DISABLED] =
		FIELD("assert-userns-disabled", SPEC_TYPE_BOOL, assert_userns_disabled),
	[SPEC_FIELD_NEW_SESSION] = FIELD("new-session", SPEC_TYPE_BOOL, new_session),
	[SPEC_FIELD_DIE_WITH_PARENT] = FIELD("die-with-parent", SPEC_TYPE_BOOL, die_with_parent),
	[SPEC_FIELD_AS_PID_1] = FIELD("as-pid-1", SPEC_TYPE_BOOL, as_pid_1),
	[SPEC_FIELD_DETACH] = FIELD("detach", SPEC_TYPE_BOOL, detach),
	[SPEC_FIELD_INTERACTIVE] = FIELD("interactive", SPEC_TYPE_BOOL, interactive),
	[SPEC_FIELD_KEEP_RECORD] = FIELD("keep-record", SPEC_TYPE_BOOL, keep_record),
	[SPEC_FIELD_MULTIARCH] = FIELD("multiarch", SPEC_TYPE_BOOL, multiarch),
	[SPEC_FIELD_SECCOMP_LOG] = FIELD("seccomp-log", SPEC_TYPE_BOOL, seccomp_log),
	[SPEC_FIELD_SECCOMP] = FIELD("seccomp", SPEC_TYPE_STRING, seccomp),
	[SPEC_FIELD_NAME] = FIELD("name", SPEC_TYPE_STRING, name),
	[SPEC_FIELD_SESSION] = FIELD("session", SPEC_TYPE_STRING, session),
	[SPEC_FIELD_HOSTNAME] = FIELD("hostname", SPEC_TYPE_STRING, hostname),
	[SPEC_FIELD_CHDIR] = FIELD("chdir", SPEC_TYPE_STRING, chdir),
	[SPEC_FIELD_ARGV0] = FIELD("argv0", SPEC_TYPE_STRING, argv0),
	[SPEC_FIELD_NICE] = FIELD("nice", SPEC_TYPE_STRING, nice),
	[SPEC_FIELD_OOM_SCORE_ADJ] = FIELD("oom-score-adj", SPEC_TYPE_STRING, oom_score_adj),
	[SPEC_FIELD_TIMEOUT] = FIELD("timeout", SPEC_TYPE_STRING, timeout),
	[SPEC_FIELD_KILL_AFTER] = FIELD("kill-after", SPEC_TYPE_STRING, kill_after),
	[SPEC_FIELD_MEMORY] = FIELD("memory", SPEC_TYPE_STRING, memory),
	[SPEC_FIELD_MEMORY_HIGH] = FIELD("memory-high", SPEC_TYPE_STRING, memory_high),
	[SPEC_FIELD_SWAP] = FIELD("swap", SPEC_TYPE_STRING, swap),
	[SPEC_FIELD_CPUS] = FIELD("cpus", SPEC_TYPE_STRING, cpus),
	[SPEC_FIELD_CPU_WEIGHT] = FIELD("cpu-weight", SPEC_TYPE_STRING, cpu_weight),
	[SPEC_FIELD_CPUSET] = FIELD("cpuset", SPEC_TYPE_STRING, cpuset),
	[SPEC_FIELD_PIDS] = FIELD("pids", SPEC_TYPE_STRING, pids),
	[SPEC_FIELD_IO_WEIGHT] = FIELD("io-weight", SPEC_TYPE_STRING, io_weight),
	[SPEC_FIELD_LIMITS] = ENUM_FIELD("limits", limits, spec_limits_names),
	[SPEC_FIELD_STATS] = FIELD("stats", SPEC_TYPE_BOOL, stats),
	[SPEC_FIELD_BLOCK_FD] = FIELD("block-fd", SPEC_TYPE_ID, block_fd),
	[SPEC_FIELD_SYNC_FD] = FIELD("sync-fd", SPEC_TYPE_ID, sync_fd),
	[SPEC_FIELD_INFO_FD] = FIELD("info-fd", SPEC_TYPE_ID, info_fd),
	[SPEC_FIELD_JSON_STATUS_FD] = FIELD("json-status-fd", SPEC_TYPE_ID, json_status_fd),
	[SPEC_FIELD_USERNS_FD] = FIELD("userns-fd", SPEC_TYPE_ID, userns_fd),
	[SPEC_FIELD_USERNS2_FD] = FIELD("userns2-fd", SPEC_TYPE_ID, userns2_fd),
	[SPEC_FIELD_PIDNS_FD] = FIELD("pidns-fd", SPEC_TYPE_ID, pidns_fd),
	[SPEC_FIELD_USERNS_BLOCK_FD] = FIELD("userns-block-fd", SPEC_TYPE_ID, userns_block_fd),
};

void spec_init(struct sbx_spec *spec)
{
	memset(spec, 0, sizeof(*spec));
	arena_init_sized(&spec->arena, SPEC_FIRST_BYTES);
	spec->uid = -1;
	spec->gid = -1;
	spec->block_fd = -1;
	spec->sync_fd = -1;
	spec->info_fd = -1;
	spec->json_status_fd = -1;
	spec->userns_block_fd = -1;
	spec->userns_fd = -1;
	spec->userns2_fd = -1;
	spec->pidns_fd = -1;
}

void spec_finish(struct sbx_spec *spec)
{
	arena_finish(&spec->arena);
}

static void *spec_at(const struct sbx_spec *spec, enum spec_field_id field)
{
	assert(field < SPEC_FIELD_COUNT_);
	return (char *)(uintptr_t)spec + spec_fields[field].offset;
}

/* Set a bool, an enum or an id. */
void spec_set_number(struct sbx_spec *spec, enum spec_field_id field, int64_t value)
{
	assert(spec_fields[field].type != SPEC_TYPE_STRING);
	if (spec_fields[field].type == SPEC_TYPE_BOOL)
		*(bool *)spec_at(spec, field) = value != 0;
	else
		*(int64_t *)spec_at(spec, field) = value;
}

/* Set a string; borrowed. */
void spec_set_string(struct sbx_spec *spec, enum spec_field_id field, const char *value)
{
	assert(spec_fields[field].type == SPEC_TYPE_STRING);
	*(const char **)spec_at(spec, field) = value;
}

int64_t spec_get_number(const struct sbx_spec *spec, enum spec_field_id field)
{
	assert(spec_fields[field].type != SPEC_TYPE_STRING);
	if (spec_fields[field].type == SPEC_TYPE_BOOL)
		return *(const bool *)spec_at(spec, field);
	return *(const int64_t *)spec_at(spec, field);
}

const char *spec_get_string(const struct sbx_spec *spec, enum spec_field_id field)
{
	assert(spec_fields[field].type == SPEC_TYPE_STRING);
	return *(const char *const *)spec_at(spec, field);
}

/* Put one item behind list[*count]; the arrays live in the spec's arena. */
static int spec_append(struct sbx_spec *spec, void **list, size_t *count, const void *item,
		       size_t item_size, struct sbx_err *err)
{
	char *grown = arena_grow(&spec->arena, *list, *count, item_size);

	if (!grown)
		return err_oom(err);
	memcpy(grown + *count * item_size, item, item_size);
	*list = grown;
	(*count)++;
	return 0;
}

int spec_add_op(struct sbx_spec *spec, const struct spec_op *op, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->ops, &spec->n_ops, op, sizeof(*op), err);
}

int spec_add_env(struct sbx_spec *spec, const struct spec_env *env, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->env, &spec->n_env, env, sizeof(*env), err);
}

int spec_add_cap(struct sbx_spec *spec, const struct spec_cap *cap, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->caps, &spec->n_caps, cap, sizeof(*cap), err);
}

int spec_add_seccomp(struct sbx_spec *spec, const struct spec_seccomp *change, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->seccomp_changes, &spec->n_seccomp_changes, change,
			   sizeof(*change), err);
}

int spec_add_seccomp_fd(struct sbx_spec *spec, int64_t fd, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->seccomp_fds, &spec->n_seccomp_fds, &fd, sizeof(fd),
			   err);
}

int spec_add_bus(struct sbx_spec *spec, const struct spec_bus *bus, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->bus, &spec->n_bus, bus, sizeof(*bus), err);
}

int spec_add_net_rule(struct sbx_spec *spec, const struct spec_net_rule *rule, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->net_rules, &spec->n_net_rules, rule, sizeof(*rule),
			   err);
}

int spec_add_rlimit(struct sbx_spec *spec, const struct spec_rlimit *rlimit, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->rlimits, &spec->n_rlimits, rlimit, sizeof(*rlimit),
			   err);
}

int spec_add_publish(struct sbx_spec *spec, const struct spec_publish *port, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->published, &spec->n_published, port, sizeof(*port),
			   err);
}

int spec_add_io_max(struct sbx_spec *spec, const struct spec_rlimit *io_max, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->io_max, &spec->n_io_max, io_max, sizeof(*io_max),
			   err);
}

int spec_add_helper(struct sbx_spec *spec, const struct spec_helper *helper, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->helpers, &spec->n_helpers, helper, sizeof(*helper),
			   err);
}

int spec_add_pass_fd(struct sbx_spec *spec, int64_t fd, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->pass_fds, &spec->n_pass_fds, &fd, sizeof(fd), err);
}

int spec_add_guard(struct sbx_spec *spec, const struct spec_guard *guard, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->guards, &spec->n_guards, guard, sizeof(*guard),
			   err);
}

int spec_add_arg(struct sbx_spec *spec, const char *arg, struct sbx_err *err)
{
	return spec_append(spec, (void **)&spec->argv, &spec->n_argv, &arg, sizeof(arg), err);
}
