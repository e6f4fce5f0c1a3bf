/* SPDX-License-Identifier: MIT */
/*
 * spec: what was asked for, before anything looked at the host.
 *
 * The parser fills a struct sbx_spec from the command line, resolve() turns it
 * into a plan. It holds no result of any look-up: descriptor numbers but never
 * what is behind them, paths as typed. So equal command lines give equal specs,
 * and a spec can be printed as JSON and read back without loss.
 *
 * Runs in: the caller's process, before anything is created.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

/* The kinds of namespaces that an option can make or share. The mount namespace is always new. */
enum spec_ns {
	SPEC_NS_USER,
	SPEC_NS_PID,
	SPEC_NS_IPC,
	SPEC_NS_UTS,
	SPEC_NS_CGROUP,
	SPEC_NS_NET,
	SPEC_NS_COUNT_,
};

enum spec_ns_mode {
	SPEC_NS_DEFAULT, /* nothing was said: the table of defaults decides */
	SPEC_NS_NEW,
	SPEC_NS_TRY, /* new where the kernel can */
	SPEC_NS_SHARE,
};

enum spec_program { SPEC_PROGRAM_SBX, SPEC_PROGRAM_BWRAP, SPEC_PROGRAM_COUNT_ };
enum spec_map { SPEC_MAP_AUTO, SPEC_MAP_RANGE, SPEC_MAP_SINGLE };
enum spec_landlock { SPEC_LANDLOCK_AUTO, SPEC_LANDLOCK_OFF, SPEC_LANDLOCK_REQUIRE };
enum spec_mask_sockets { SPEC_MASK_SOCKETS_OFF, SPEC_MASK_SOCKETS_ALL, SPEC_MASK_SOCKETS_LISTED };
enum spec_protect_by { SPEC_PROTECT_BY_PLACEHOLDER, SPEC_PROTECT_BY_OVERLAY };
enum spec_overlay_driver {
	SPEC_OVERLAY_DRIVER_AUTO,
	SPEC_OVERLAY_DRIVER_KERNEL,
	SPEC_OVERLAY_DRIVER_FUSE
};
enum spec_pty { SPEC_PTY_DEFAULT, SPEC_PTY_ON, SPEC_PTY_OFF };
enum spec_dbus { SPEC_DBUS_DEFAULT, SPEC_DBUS_ON, SPEC_DBUS_TRY, SPEC_DBUS_OFF };
enum spec_limits { SPEC_LIMITS_REQUIRE, SPEC_LIMITS_TRY };
enum spec_on_exit { SPEC_ON_EXIT_KILL, SPEC_ON_EXIT_WAIT };

/* Why a setting is what it is. */
struct spec_cause {
	const char *option; /* with its dashes: "--hostname"; NULL: none, it has its default */
	const char *origin; /* the profile's line with that option: "build:12"; NULL: typed */
};

/* Filesystem operations, in the order given. One kind may have several options. */
enum spec_op_kind {
	SPEC_OP_BIND,  /* --bind, --ro-bind, --dev-bind, --rw, --ro, -try and -fd forms, --rootfs */
	SPEC_OP_TMPFS, /* --tmpfs */
	SPEC_OP_PROC,  /* --proc */
	SPEC_OP_DEV,   /* --dev */
	SPEC_OP_SYS,   /* --sys */
	SPEC_OP_CGROUP,	     /* --cgroup */
	SPEC_OP_MQUEUE,	     /* --mqueue */
	SPEC_OP_DIR,	     /* --dir */
	SPEC_OP_FILE,	     /* --file */
	SPEC_OP_BIND_DATA,   /* --bind-data, --ro-bind-data */
	SPEC_OP_SYMLINK,     /* --symlink; source is the link's text */
	SPEC_OP_CHMOD,	     /* --chmod */
	SPEC_OP_REMOUNT,     /* --remount-ro */
	SPEC_OP_MASK,	     /* --mask */
	SPEC_OP_PROTECT,     /* --protect; source is a preset's name, or dest the path */
	SPEC_OP_LOCK,	     /* --lock-file; not done in its order but at the end */
	SPEC_OP_OVERLAY_SRC, /* --overlay-src: a layer of the overlay that follows; no dest */
	SPEC_OP_OVERLAY,     /* --overlay; source is the upper layer */
	SPEC_OP_TMP_OVERLAY, /* --tmp-overlay */
	SPEC_OP_RO_OVERLAY,  /* --ro-overlay */
	SPEC_OP_COW,	     /* --cow; what is written goes to a session */
	SPEC_OP_COUNT_,
};

enum spec_op_flag {
	SPEC_OP_RO = 1 << 0,
	SPEC_OP_DEVICES = 1 << 1, /* device nodes work (--dev-bind) */
	SPEC_OP_TRY = 1 << 2,	  /* a source (or a mask's path) that does not exist skips it */
	SPEC_OP_SAME = 1 << 3,	  /* destination is the source's absolute path (--rw, --ro) */
};

/* --mount-opt words; size=, mode= and nr_inodes= have fields of their own. */
enum spec_mount_opt {
	SPEC_MOUNT_RO = 1 << 0,
	SPEC_MOUNT_NOEXEC = 1 << 1,
	SPEC_MOUNT_NOATIME = 1 << 2,
	SPEC_MOUNT_NODIRATIME = 1 << 3,
	SPEC_MOUNT_NOSYMFOLLOW = 1 << 4,
};

struct spec_op {
	enum spec_op_kind kind;
	uint32_t flags;	     /* enum spec_op_flag */
	uint32_t mount_opts; /* enum spec_mount_opt */
	int64_t perms;	     /* 0..07777, -1: not given */
	uint64_t size_bytes; /* tmpfs: 0 not given */
	uint64_t nr_inodes;  /* tmpfs: 0 not given */
	int64_t fd;	     /* -1: none */
	const char *source;  /* as typed; NULL: none */
	const char *work;    /* overlay: the directory to work in, as typed; else NULL */
	const char *dest;    /* as typed; NULL only with SPEC_OP_SAME, a preset, a layer */
	const char *option;  /* which option made it, with its dashes: "--ro-bind" */
	const char *origin;  /* the profile's line it came from: "build:12"; NULL: typed */
};

enum spec_env_kind {
	SPEC_ENV_SET,	/* name, value */
	SPEC_ENV_UNSET, /* name */
	SPEC_ENV_PASS,	/* name: keep the caller's value */
	SPEC_ENV_CLEAR, /* everything so far */
	SPEC_ENV_KEEP,	/* everything of the caller's */
	SPEC_ENV_FILE,	/* value: path of a file of NAME=VALUE lines */
	SPEC_ENV_COUNT_,
};

struct spec_env {
	enum spec_env_kind kind;
	const char *name;  /* NULL where the kind has none */
	const char *value; /* likewise */
	struct spec_cause cause;
};

enum spec_cap_kind { SPEC_CAP_ADD, SPEC_CAP_DROP, SPEC_CAP_COUNT_ };

struct spec_cap {
	enum spec_cap_kind kind;
	const char *name; /* as typed: "CAP_CHOWN", "chown", "ALL" */
	struct spec_cause cause;
};

enum spec_seccomp_kind { SPEC_SECCOMP_ALLOW, SPEC_SECCOMP_DENY, SPEC_SECCOMP_COUNT_ };

/* --seccomp-allow, --seccomp-deny */
struct spec_seccomp {
	enum spec_seccomp_kind kind;
	const char *words; /* as typed: "mount,@keyring" */
	struct spec_cause cause;
};

enum spec_bus_kind {
	SPEC_BUS_SEE,
	SPEC_BUS_TALK,
	SPEC_BUS_OWN,
	SPEC_BUS_CALL,
	SPEC_BUS_BROADCAST,
	SPEC_BUS_COUNT_
};

/* --dbus-see, --dbus-talk, ... */
struct spec_bus {
	enum spec_bus_kind kind;
	const char *rule; /* as typed: "org.freedesktop.portal.*", or NAME=RULE */
	struct spec_cause cause;
};

enum spec_net_rule_kind { SPEC_NET_ALLOW, SPEC_NET_DENY, SPEC_NET_RULE_COUNT_ };

/* --allow-net, --deny-net */
struct spec_net_rule {
	enum spec_net_rule_kind kind;
	const char *text; /* as typed: "192.0.2.0/24:443/tcp" */
	struct spec_cause cause;
};

/* --rlimit, --io-max */
struct spec_rlimit {
	const char *text; /* as typed: "nofile=256:1024", "/dev/sda:rbps=10M" */
	struct spec_cause cause;
};

/* --publish */
struct spec_publish {
	const char *text; /* as typed: "8080:80", "127.0.0.1:53:53/udp" */
	struct spec_cause cause;
};

/* --helper NAME=PATH: another program in the place of one that sbx delegates to. */
struct spec_helper {
	const char *name;
	const char *path;
	struct spec_cause cause;
};

/* A file or directory of the host that nothing inside may change: a profile lies there. */
struct spec_guard {
	uint64_t dev, ino;
	const char *path; /* of the profile */
};

/* What has one value; see spec_fields. */
enum spec_field_id {
	SPEC_FIELD_PROGRAM,
	SPEC_FIELD_NS_USER,
	SPEC_FIELD_NS_PID,
	SPEC_FIELD_NS_IPC,
	SPEC_FIELD_NS_UTS,
	SPEC_FIELD_NS_CGROUP,
	SPEC_FIELD_NS_NET,
	SPEC_FIELD_NET,
	SPEC_FIELD_MAP,
	SPEC_FIELD_PROTECT_BY,
	SPEC_FIELD_OVERLAY_DRIVER,
	SPEC_FIELD_ON_EXIT,
	SPEC_FIELD_LANDLOCK,
	SPEC_FIELD_PTY,
	SPEC_FIELD_DBUS,
	SPEC_FIELD_UID,
	SPEC_FIELD_GID,
	SPEC_FIELD_USER,
	SPEC_FIELD_ROOT,
	SPEC_FIELD_NO_BASE,
	SPEC_FIELD_MASK_SOCKETS,
	SPEC_FIELD_RW_ROOT,
	SPEC_FIELD_ALLOW_USERNS,
	SPEC_FIELD_DISABLE_USERNS,
	SPEC_FIELD_ASSERT_USERNS_DISABLED,
	SPEC_FIELD_NEW_SESSION,
	SPEC_FIELD_DIE_WITH_PARENT,
	SPEC_FIELD_AS_PID_1,
	SPEC_FIELD_DETACH,
	SPEC_FIELD_INTERACTIVE,
	SPEC_FIELD_KEEP_RECORD,
	SPEC_FIELD_MULTIARCH,
	SPEC_FIELD_SECCOMP_LOG,
	SPEC_FIELD_SECCOMP,
	SPEC_FIELD_NAME,
	SPEC_FIELD_SESSION,
	SPEC_FIELD_HOSTNAME,
	SPEC_FIELD_CHDIR,
	SPEC_FIELD_ARGV0,
	SPEC_FIELD_NICE,
	SPEC_FIELD_OOM_SCORE_ADJ,
	SPEC_FIELD_TIMEOUT,
	SPEC_FIELD_KILL_AFTER,
	SPEC_FIELD_MEMORY,
	SPEC_FIELD_MEMORY_HIGH,
	SPEC_FIELD_SWAP,
	SPEC_FIELD_CPUS,
	SPEC_FIELD_CPU_WEIGHT,
	SPEC_FIELD_CPUSET,
	SPEC_FIELD_PIDS,
	SPEC_FIELD_IO_WEIGHT,
	SPEC_FIELD_LIMITS,
	SPEC_FIELD_STATS,
	SPEC_FIELD_BLOCK_FD,
	SPEC_FIELD_SYNC_FD,
	SPEC_FIELD_INFO_FD,
	SPEC_FIELD_JSON_STATUS_FD,
	SPEC_FIELD_USERNS_BLOCK_FD,
	SPEC_FIELD_USERNS_FD,
	SPEC_FIELD_USERNS2_FD,
	SPEC_FIELD_PIDNS_FD,
	SPEC_FIELD_COUNT_,
};

struct sbx_spec {
	struct arena arena; /* owns every string and array below that is not borrowed from argv */

	int64_t program;	    /* enum spec_program: see spec/defaults.h */
	int64_t ns[SPEC_NS_COUNT_]; /* enum spec_ns_mode */
	const char *net;	    /* --net=user as typed, "user,lan"; NULL: not given */
	int64_t map;		    /* enum spec_map */
	int64_t protect_by;	    /* enum spec_protect_by */
	int64_t mask_sockets;	    /* enum spec_mask_sockets */
	int64_t overlay_driver;	    /* enum spec_overlay_driver */
	int64_t on_exit;	    /* enum spec_on_exit */
	int64_t landlock;	    /* enum spec_landlock */
	int64_t pty;		    /* enum spec_pty */
	int64_t dbus;		    /* enum spec_dbus */
	int64_t uid, gid;	    /* what the caller is called inside, -1: not given */
	const char *user;	    /* --user U[:G] as typed, NULL: not given */
	bool root;		    /* --root: the caller is 0 inside */
	bool no_base;
	bool rw_root;
	bool allow_userns;
	bool disable_userns;
	bool assert_userns_disabled;
	bool new_session;
	bool die_with_parent;
	bool as_pid_1;
	bool detach;
	bool interactive; /* with detach: standard input can be written to */
	bool keep_record; /* also when it has ended */
	bool multiarch;
	bool seccomp_log;
	bool stats;
	int64_t limits;	     /* enum spec_limits */
	const char *seccomp; /* --seccomp as typed, NULL: not given */
	const char *name;    /* of the sandbox, NULL: none */
	const char *session; /* --session: a name, or a path with a slash; NULL: a new one */
	const char *hostname;
	const char *chdir;
	const char *argv0;		  /* what the command is told that it is called */
	const char *nice, *oom_score_adj; /* as typed, NULL: not given */
	const char *timeout, *kill_after; /* likewise */
	const char *memory, *memory_high, *swap, *cpus, *cpu_weight; /* likewise */
	const char *cpuset, *pids, *io_weight;			     /* likewise */
	int64_t block_fd, sync_fd;				     /* -1: none */
	int64_t info_fd, json_status_fd;			     /* -1: none */
	int64_t userns_fd, userns2_fd, pidns_fd;		     /* to be entered; -1: none */
	int64_t userns_block_fd; /* -1: none, and sbx writes the id maps */

	struct spec_op *ops;
	size_t n_ops;
	struct spec_env *env;
	size_t n_env;
	struct spec_cap *caps;
	size_t n_caps;
	struct spec_seccomp *seccomp_changes;
	size_t n_seccomp_changes;
	int64_t *seccomp_fds; /* --add-seccomp-fd */
	size_t n_seccomp_fds;
	struct spec_bus *bus; /* what the session bus lets through */
	size_t n_bus;
	struct spec_net_rule *net_rules; /* in order: the first that fits decides */
	size_t n_net_rules;
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	struct spec_publish *published;
	size_t n_published;
	struct spec_rlimit *io_max;
	size_t n_io_max;
	struct spec_helper *helpers;
	size_t n_helpers;
	int64_t *pass_fds;
	size_t n_pass_fds;
	struct spec_cause causes[SPEC_FIELD_COUNT_]; /* per field: what set it last */
	struct spec_guard *guards;
	size_t n_guards;
	const char **argv; /* the command and its arguments, n_argv of them (no NULL behind) */
	size_t n_argv;
};

/*
 * Scalar fields, as a table: option rows name a field by its enum, JSON is
 * written and read by walking it. Lists (ops, env, caps, ...) have their own.
 */
enum spec_type { SPEC_TYPE_BOOL, SPEC_TYPE_ENUM, SPEC_TYPE_ID, SPEC_TYPE_STRING };

struct spec_field {
	const char *name; /* the JSON key: "ns.user", "map", ... */
	enum spec_type type;
	size_t offset;		  /* in struct sbx_spec */
	const char *const *names; /* of an enum's values, NULL-terminated; NULL for other types */
};

extern const struct spec_field spec_fields[SPEC_FIELD_COUNT_];
extern const char *const spec_op_names[SPEC_OP_COUNT_ + 1];
extern const char *const spec_op_flag_names[];	 /* bit 0 first, NULL-terminated */
extern const char *const spec_mount_opt_names[]; /* likewise */
extern const char *const spec_env_names[SPEC_ENV_COUNT_ + 1];
extern const char *const spec_cap_names[SPEC_CAP_COUNT_ + 1];
extern const char *const spec_bus_names[SPEC_BUS_COUNT_ + 1];
extern const char *const spec_net_rule_names[SPEC_NET_RULE_COUNT_ + 1];
extern const char *const spec_seccomp_names[SPEC_SECCOMP_COUNT_ + 1];

void spec_init(struct sbx_spec *spec);
void spec_finish(struct sbx_spec *spec);

void spec_set_number(struct sbx_spec *spec, enum spec_field_id field, int64_t value);
void spec_set_string(struct sbx_spec *spec, enum spec_field_id field, const char *value);
int64_t spec_get_number(const struct sbx_spec *spec, enum spec_field_id field);
const char *spec_get_string(const struct sbx_spec *spec, enum spec_field_id field);

/* Append to a list. Strings are borrowed: they must live as long as the spec. */
int spec_add_op(struct sbx_spec *spec, const struct spec_op *op, struct sbx_err *err);
int spec_add_env(struct sbx_spec *spec, const struct spec_env *env, struct sbx_err *err);
int spec_add_cap(struct sbx_spec *spec, const struct spec_cap *cap, struct sbx_err *err);
int spec_add_seccomp(struct sbx_spec *spec, const struct spec_seccomp *change, struct sbx_err *err);
int spec_add_seccomp_fd(struct sbx_spec *spec, int64_t fd, struct sbx_err *err);
int spec_add_bus(struct sbx_spec *spec, const struct spec_bus *bus, struct sbx_err *err);
int spec_add_net_rule(struct sbx_spec *spec, const struct spec_net_rule *rule, struct sbx_err *err);
int spec_add_rlimit(struct sbx_spec *spec, const struct spec_rlimit *rlimit, struct sbx_err *err);
int spec_add_publish(struct sbx_spec *spec, const struct spec_publish *port, struct sbx_err *err);
int spec_add_io_max(struct sbx_spec *spec, const struct spec_rlimit *io_max, struct sbx_err *err);
int spec_add_helper(struct sbx_spec *spec, const struct spec_helper *helper, struct sbx_err *err);
int spec_add_pass_fd(struct sbx_spec *spec, int64_t fd, struct sbx_err *err);
int spec_add_guard(struct sbx_spec *spec, const struct spec_guard *guard, struct sbx_err *err);
int spec_add_arg(struct sbx_spec *spec, const char *arg, struct sbx_err *err);
