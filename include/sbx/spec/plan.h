/* SPDX-License-Identifier: MIT */
/*
 * plan: what will be done. resolve() makes it, everybody else reads it.
 *
 * A plan is the ordered list of steps of a launch, plus the few facts that are
 * no step of their own (which namespaces, which ids, which command). It is
 * complete: run/ does what it says and decides nothing.
 *
 * Runs in: made in the caller's process, which becomes the monitor; PID 1 and
 * the payload have it from their parent's memory.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/seccomp/program.h"
#include "sbx/spec/spec.h"

/* When a step runs, and in which process. The steps of a plan are sorted by it. */
enum plan_phase {
	PLAN_EARLY,   /* PID 1, perhaps before its ids are mapped: nothing that makes an inode */
	PLAN_SETUP,   /* PID 1, all capabilities, the host tree still visible; ends with pivot */
	PLAN_INIT,    /* PID 1, behind pivot_root; what it does here the payload inherits */
	PLAN_PAYLOAD, /* the process that becomes the command */
	PLAN_REAPER,  /* PID 1, when the payload is there and waits for it */
	PLAN_PHASE_COUNT_,
};

/*
 * The step kinds: X(ENUM, name, phase). This list is the table; spec/steps.c
 * adds describe() to each row and run/steps.c adds run(), both expanded from
 * here, so that neither can have a row which the other lacks. `name` is part of
 * the functions' names: step_describe_NAME(), step_run_NAME(). Which members of
 * struct plan_step a kind uses is said behind it.
 */
// clang-format off
#define PLAN_STEP_KINDS(X)                                                                       \
	X(LOOPBACK, loopback, EARLY)             /* - */                                         \
	X(HOSTNAME, hostname, EARLY)             /* text */                                      \
	X(PORT_START, port_start, EARLY)         /* - */                                         \
	X(OOM_SCORE, oom_score, EARLY)           /* text: the number */                          \
	X(PROC_VIEW, proc_view, EARLY)           /* PLAN_STEP_HOST */                            \
	X(DATA_STORE, data_store, EARLY)         /* - */                                         \
	X(FILTER_DATA, filter_data, EARLY)       /* fd */                                        \
	X(ROOT_TMPFS, root_tmpfs, EARLY)         /* mode */                                      \
	X(BIND, bind, SETUP)                     /* source or fd, dest ("/": new root), attrs */ \
	X(TMPFS, tmpfs, SETUP)                   /* dest, mode, size_bytes, nr_inodes, attrs */  \
	X(PROC, proc, SETUP)                     /* dest, attrs, PLAN_STEP_HOST */               \
	X(PROC_COVER, proc_cover, SETUP)         /* dest: a proc mount, _IF_WRITABLE */         \
	X(DEV, dev, SETUP)                       /* dest, mode: of shm, attrs,                   \
						    source: console or NULL,                     \
						    PLAN_STEP_HAS_PTY */                         \
	X(SYS, sys, SETUP)                       /* dest, attrs, PLAN_STEP_HOST */               \
	X(CGROUP, cgroup, SETUP)                 /* dest, attrs */                               \
	X(MQUEUE, mqueue, SETUP)                 /* dest, attrs */                               \
	X(LAYERS, layers, SETUP)                 /* layers, dest ("/": new root), attrs */       \
	X(DIR, dir, SETUP)                       /* dest, mode */                                \
	X(FILE, file, SETUP)                     /* fd or text, dest, mode */                    \
	X(BIND_DATA, bind_data, SETUP)           /* fd or text, dest, mode, attrs */                   \
	X(SYMLINK, symlink, SETUP)               /* source: the link's text, dest */             \
	X(CHMOD, chmod, SETUP)                   /* dest, mode */                                \
	X(REMOUNT, remount, SETUP)               /* dest, attrs: on that one mount */            \
	X(MASK, mask, SETUP)                     /* dest, PLAN_STEP_TRY, PLAN_STEP_IF_IN_REACH */ \
	X(PIN, pin, SETUP)                       /* dest, text: the names on the way from it */  \
	X(PROTECT, protect, SETUP)               /* dest, within, text: why or NULL, flags */    \
	X(FILTER_COVER, filter_cover, SETUP)     /* source: of the host, dest: where it shows,   \
						    text: from there to the filters, flags */    \
	X(NETWORK, network, SETUP)               /* text: what is reached; the plan's net */     \
	X(DBUS, dbus, SETUP)                     /* dest, text: the rules */                     \
	X(USERNS_LIMIT, userns_limit, SETUP)     /* text: how many more */                       \
	X(PTY, pty, SETUP)                       /* PLAN_STEP_HAS_PTY: a step before has it */   \
	X(PIVOT, pivot, SETUP)                   /* - */                                         \
	X(CGROUP_COVER, cgroup_cover, INIT)      /* - */                                         \
	X(ENTER_USERNS, enter_userns, INIT)      /* fd */                                        \
	X(NEST_USERNS, nest_userns, INIT)        /* - */                                         \
	X(CONFINE, confine, INIT)                /* keep, PLAN_STEP_CALLERS_CAPS */              \
	X(KEYRING, keyring, INIT)                /* - */                                         \
	X(INIT_SESSION, init_session, INIT)      /* - */                                         \
	X(LOCK, lock, INIT)                      /* dest */                                      \
	X(FILTER, filter, INIT)                  /* text: profile, program */                    \
	X(STDIO, stdio, PAYLOAD)                 /* the plan's pty_fds */                        \
	X(SESSION, session, PAYLOAD)             /* - */                                         \
	X(IDS, ids, PAYLOAD)                     /* uid, gid, PLAN_STEP_GROUPS */                \
	X(PRIVILEGES, privileges, PAYLOAD)       /* keep */                                      \
	X(NICE, nice, PAYLOAD)                   /* text: the number */                          \
	X(RLIMIT, rlimit, PAYLOAD)               /* text: NAME=SOFT[:HARD] */                    \
	X(LANDLOCK, landlock, PAYLOAD)           /* PLAN_STEP_SCOPE_... */                       \
	X(ASSERT_NO_USERNS, assert_no_userns, PAYLOAD) /* - */                                   \
	X(CHDIR, chdir, PAYLOAD)                 /* the plan's workdirs */                       \
	X(BLOCK, block, PAYLOAD)                 /* fd */                                        \
	X(DESCRIPTORS, descriptors, PAYLOAD)     /* the plan's pass_fds */                       \
	X(LOOKUP, lookup, PAYLOAD)               /* text: the plan's command */                  \
	X(OWN_FILTER, own_filter, PAYLOAD)       /* text: profile, program */                    \
	X(RAW_FILTER, raw_filter, PAYLOAD)       /* fd */                                        \
	X(EXEC, exec, PAYLOAD)                   /* the plan's argv, envp */                     \
	X(REAPER_PRIVILEGES, reaper_privileges, REAPER) /* keep */                               \
	X(REAPER_FILTER, reaper_filter, REAPER)  /* text: profile, program */                    \
	X(REAPER_RAW_FILTER, reaper_raw_filter, REAPER) /* fd */
// clang-format on

enum plan_step_kind {
#define X(id, name, phase) PLAN_STEP_##id,
	PLAN_STEP_KINDS(X)
#undef X
		PLAN_STEP_COUNT_
};

enum plan_step_flag {
	PLAN_STEP_TRY = 1 << 0,		  /* what does not exist skips the step */
	PLAN_STEP_HOST = 1 << 1,	  /* proc, sys: the host's, bound */
	PLAN_STEP_GROUPS = 1 << 2,	  /* ids: the supplementary groups can be and are dropped */
	PLAN_STEP_SCOPE_SOCKETS = 1 << 3, /* landlock: abstract sockets */
	PLAN_STEP_SCOPE_SIGNALS = 1 << 4, /* landlock */
	PLAN_STEP_HAS_PTY = 1 << 5,	  /* the sandbox's terminal comes from this devpts */
	PLAN_STEP_IF_WRITABLE = 1 << 9,	  /* proc_cover: read-only what can be written, no more */
	PLAN_STEP_CALLERS_CAPS = 1 << 10, /* confine: leave the capabilities as they are */
	PLAN_STEP_NO_PARENTS = 1 << 6,	  /* protect: without the directory above, skip the step */
	PLAN_STEP_OVERLAY = 1 << 7,	  /* protect: what is missing is held by an overlay;
					     filter_cover: dest is one, with numbers of its own */
	PLAN_STEP_DIRECTORY = 1 << 8,	  /* protect: what is missing is held by a directory */
	PLAN_STEP_DOT = 1 << 12,   /* protect: what is missing is held by a file with a dot in it */
	PLAN_STEP_NAMES = 1 << 13, /* bind_data: the holder of a shared network writes to it */
	PLAN_STEP_WRITE_LAST = 1 << 14, /* bind_data: the mode is set before it is written to */
	PLAN_STEP_IF_IN_REACH =
		1 << 11,	   /* mask, filter_cover: what PID 1 cannot get at skips the step */
	PLAN_STEP_EMPTY = 1 << 15, /* mask: a file by an empty one, not by /dev/null */
};

/* What is on top of the layers of an overlay, and takes what is written. */
enum plan_layers_top { PLAN_LAYERS_RO, PLAN_LAYERS_HOST, PLAN_LAYERS_TMP };

/*
 * Who puts an overlay together, in the order in which they are tried. fuse-overlayfs loses a
 * removal now and then where it keeps what is written, but reads without fault: so the kernel does
 * that on top of it, wherever it takes what is written to.
 */
enum plan_layers_driver {
	PLAN_LAYERS_KERNEL = 1 << 0, /* the kernel alone */
	PLAN_LAYERS_OVER_FUSE =
		1 << 1,		   /* fuse-overlayfs what is read, the kernel what is written */
	PLAN_LAYERS_FUSE = 1 << 2, /* fuse-overlayfs alone */
};

/* The attribute of an upper layer that fuse-overlayfs has written to. */
#define PLAN_LAYERS_FUSE_MARK "user.fuseoverlayfs.sbx"

enum { PLAN_FUSE_MAX = 16 }; /* overlays of a plan that may be fuse-overlayfs's */

/* A name that is missing: it is shown, and covered by a protect step or by what is mounted. */
struct plan_held {
	const char *path; /* below the layers' place, relative */
	uint32_t flags;	  /* PLAN_STEP_DIRECTORY, PLAN_STEP_DOT */
	size_t step;	  /* of a target: which is mounted there */
};

struct plan_layers {
	const char **lower; /* paths of the host; the lowest first */
	size_t n_lower;
	enum plan_layers_top top;
	const char *upper, *work; /* of PLAN_LAYERS_HOST, paths of the host; else NULL */
	uint32_t drivers;	  /* enum plan_layers_driver; the first that does not refuse */
	const char *why;	  /* those */
	const char *alone_why;	  /* why fuse-overlayfs keeps what is written; NULL: not planned */
	/*
	 * Of a session: below the only lower layer, relative to it, places that are not
	 * to be seen through it: other mounts, and where sessions are.
	 */
	const char **covers;
	size_t n_covers;
	bool is_session; /* the upper layer is one's */
	bool is_fuses;	 /* fuse-overlayfs has kept by itself what it has */
	/* Of a session: names that are to be there, empty, where nothing else is. */
	const char *held_dir; /* the lowest layer, which has them, where there are any */
	struct plan_held *held;
	size_t n_held;
	/*
	 * And names on which something is mounted, missing or not: as it is typed, and where each
	 * link of the host's on the way leads, in that order.
	 */
	struct plan_held *targets;
	size_t n_targets;
	bool kernel_may;    /* it could be done without fuse-overlayfs, as far as is known */
	bool holds_session; /* the upper layer lies below the lower one, under one of them */
};

/*
 * Where a command's changes go: a directory with a record (see spec/session.h), and for each
 * root N the directories N/upper and N/work.
 */
struct plan_session {
	const char *id;	    /* what the verbs know it by: a name, or an absolute path */
	const char *dir;    /* absolute */
	const char *base;   /* of sessions with names, if it is one; else NULL */
	const char **roots; /* without links, absolute */
	size_t n_roots;
	/* Of sessions with names, where there is none yet, and the command could make it. */
	const char *missing_base; /* without links, absolute; else NULL */
};

struct plan_step {
	enum plan_step_kind kind;
	uint32_t flags;	     /* enum plan_step_flag */
	int fd;		     /* of the caller's, borrowed; -1: none */
	uid_t uid, gid;	     /* inside; (uid_t)-1: leave */
	int64_t mode;	     /* permission bits, -1: the kind's default */
	mode_t parent_mode;  /* of directories above the destination that are missing */
	uint64_t attrs;	     /* MOUNT_ATTR_* to set */
	uint64_t size_bytes; /* 0: the kernel's default */
	uint64_t nr_inodes;  /* 0: the kernel's default */
	uint64_t keep;	     /* capabilities, bit n is capability n */
	const struct seccomp_program *program;
	const struct plan_layers *layers;
	const char *source;
	const char *dest; /* inside the new root */
	const char *text;
	const char *within; /* inside; a directory without which the step is skipped; NULL: none */
	const char *cause;  /* the option with its dashes, or "default" */
	const char *origin; /* the profile's line with that option: "build:12"; NULL: none */
};

enum { PLAN_RECORD_DIRS = 2 };

/* One line of /proc/PID/uid_map (user_namespaces(7)). */
struct plan_map_line {
	uint32_t inside, outside, count;
};

struct plan_map {
	struct plan_map_line *lines;
	size_t n_lines;
	const char *helper; /* absolute path of newuidmap or newgidmap; NULL: written directly */
	uint32_t own_inside, own_outside; /* the caller's own id, which every map has */
};

struct plan_raw_filter {
	int fd; /* borrowed */
	const char *option;
};

struct filter_cache_entry;

/* The system call filters; spec/filter.c chooses, and explains. */
struct plan_filter {
	const char *profile; /* "default", "strict", "none", a file; NULL: --seccomp FD */
	struct seccomp_program program;		  /* the command's; without instructions: none */
	struct seccomp_program reaper;		  /* PID 1's, where that is not the same load */
	bool of_file;				  /* `program` is that of --seccomp FILE */
	const struct filter_cache_entry *to_keep; /* it, for the next launch; NULL: no */
	bool shared;				  /* PID 1 loads `program` for both */
	bool log;				  /* --seccomp-log */
	const struct spec_seccomp *changes;
	size_t n_changes;
	struct plan_raw_filter *raw; /* loaded behind `program`, in order */
	size_t n_raw;
};

/* The filtered session bus; spec/dbus.c decides. Without helper: none. */
struct plan_dbus {
	const char *helper;  /* absolute path of xdg-dbus-proxy */
	const char *address; /* of the caller's bus */
	const char *dest;    /* inside; where the socket is */
	const char *option;  /* that asked for it */
	const char **rules;  /* the helper's options, NULL-terminated */
	size_t n_rules;
	const char *text;	       /* the same for people */
	struct seccomp_program filter; /* the helper's own */
};

/* Of one sandbox: ports, and runs of them that are told as one. */
enum { PLAN_PORTS_MAX = 1000, PLAN_PORT_RUNS_MAX = 64 };

/* A port of the host that leads into a sandbox, or a run of them; so the control socket has it. */
struct plan_port {
	uint32_t addr;	/* of the host, in network byte order */
	uint16_t host;	/* the first; 0: any that is free */
	uint16_t guest; /* the first inside; 0: any, of those to be removed */
	uint16_t count;
	uint8_t udp;	  /* else TCP */
	uint8_t any_addr; /* of those to be removed: whatever the address */
};

enum { PLAN_NET_ARGS_MAX = 16 };

/*
 * A network that sandboxes share (--net=NAME): a bridge in a network namespace that a process
 * of its own holds (run/holder.c), and which each of them has a pair of interfaces into. Who
 * comes first starts that process.
 */
struct plan_share {
	const char *name;
	const char *key;    /* what all must have asked for alike; "": no internet */
	const char *host;   /* --hostname of the member; "": none */
	const char *helper; /* absolute path of slirp4netns; NULL: no internet */
	const char *dirs[PLAN_RECORD_DIRS]; /* where such networks are recorded, see box_dirs */
	struct plan_map uid_map, gid_map;   /* of the user namespace above its members */
	struct in_addr first, gateway;	    /* the network, and who leads out of it */
	unsigned prefix, mtu;
};

/* Of IPv6: an own address is the network's first 12 bytes and the own one of IPv4. */
struct plan_net6 {
	struct in6_addr first, gateway;
	unsigned prefix;
	struct in_addr own; /* of IPv4; a member's is known later */
};

/* The network that sbx makes; spec/net.c decides. Without text: none. */
struct plan_net {
	const char *option;		/* that asked for it, "--net=user" */
	const char *helper;		/* absolute path of slirp4netns; NULL: not the monitor's */
	const struct plan_share *share; /* NULL: the sandbox's own */
	const char *args[PLAN_NET_ARGS_MAX]; /* of it, without those that name descriptors */
	size_t n_args;
	bool by_pid;		     /* it enters by PID 1's number, see run/net.c */
	bool has_own_sandbox;	     /* it hides the host's files from itself */
	const char *nft;	     /* absolute path; NULL: unfiltered */
	const char *rules;	     /* for it */
	unsigned n_rules;	     /* of them in the chain NET_CHAIN, see spec/net.h */
	const struct net_link *host; /* what is the host's in them, see spec/net.h */
	size_t n_host;
	const struct net_link *links; /* the networks that it is in, in them */
	size_t n_links;
	const char *resolv_conf, *gateway; /* the latter NULL where the host is not reached by it */
	const struct plan_net6 *ipv6;	   /* NULL: none */
	const char *text;		   /* for people: what can be reached */
	const struct plan_port *ports;	   /* that lead into it from the beginning */
	size_t n_ports;
	bool answers_udp; /* a published UDP port works on the host's loopback: see spec/publish.c
			   */
	bool survives;	  /* where the helper dies, the sandbox goes on without a network */
};

/* Controllers of cgroups that limits are made with. Their names: plan_controllers. */
enum plan_controller {
	PLAN_CPU,
	PLAN_CPUSET,
	PLAN_IO,
	PLAN_MEMORY,
	PLAN_PIDS,
	PLAN_CONTROLLER_COUNT_,
};

extern const char *const plan_controllers[PLAN_CONTROLLER_COUNT_];

/* A limit of the sandbox's cgroup. */
struct plan_limit {
	const char *option, *origin; /* as in struct plan_step */
	const char *asked;	     /* as typed, for people */
	const char *file, *value;    /* of the cgroup, and what is written to it */
	bool implied;		     /* by another: a kernel without this file is all right */
};

enum plan_cgroup { PLAN_CGROUP_NONE, PLAN_CGROUP_OWN, PLAN_CGROUP_SCOPE };

/* The limits, and where their cgroup comes from; spec/cgroup.c decides. */
struct plan_limits {
	struct plan_limit *list;
	size_t n;
	uint32_t controllers; /* bit n: enum plan_controller; those that the limits need */
	enum plan_cgroup from;
	const char *dir;     /* OWN: absolute path of a cgroup that others are made in */
	bool with_self;	     /* OWN: the monitor is in it, alone, and moves to one below */
	const char *busctl;  /* SCOPE: absolute path */
	const char *address; /* SCOPE: of its bus */
	const char *not_own; /* SCOPE: why the first way is not gone */
	const char *remedy;  /* SCOPE: where that fails, too; NONE: what to do, or NULL */
	bool try;	     /* --limits=try: what cannot be had is done without */
	const char *without; /* then: why there are none; else NULL */
};

/* The topics of what is said without being asked. */
#define PLAN_REMARK_PASSED "passed over"
#define PLAN_REMARK_WIDE "warning"

/* A remark for --explain and -v: what was chosen and why, or what is exposed. */
struct plan_remark {
	const char *topic; /* "map", "exposed", ... */
	const char *text;
};

struct sbx_plan {
	struct arena arena;	     /* owns everything below but what is said to be borrowed */
	const struct sbx_spec *spec; /* borrowed; what it was made from, for who explains it */

	bool bwrap_words;     /* errors are in bubblewrap's words */
	bool level_prefix;    /* warnings begin with their level */
	uint64_t namespaces;  /* CLONE_NEW* flags; CLONE_NEWNS always */
	int parent_userns_fd; /* user namespace whose child the sandbox becomes; -1: the caller's.
				 Borrowed. */
	int parent_pidns_fd;  /* likewise, of pids; borrowed */
	int netns_fd;	      /* a network namespace to be in (--net=fd:N); borrowed; -1: none */
	bool enters_owner;    /* and before it, the user namespace that it belongs to */
	uid_t joined_uid; /* in parent_userns_fd: who PID 1 becomes; (uid_t)-1: stays who it is */
	gid_t joined_gid;
	int box_pidfd;	   /* a process whose namespaces are entered, all at once: that of a running
			      sandbox, which this plan adds a command to (pack.h); borrowed; -1: none */
	int box_cgroup_fd; /* with box_pidfd: cgroup.procs of the cgroup to move to first;
			      borrowed; -1: none */
	const char *box_cgroup;	    /* its path, for messages */
	uint64_t joined_namespaces; /* with box_pidfd: which, CLONE_NEW* */
	mode_t joined_umask;	    /* likewise: that of the sandbox's own command */
	bool leaves_command;	    /* sbx ends when the command has been executed, ... */
	int null_fd;		    /* ... whose 0-2 are this; borrowed; -1: they are ours */
	bool joined_groups_drop;    /* supplementary groups can be dropped there */
	bool joined_needs_pty;	    /* its filter does not guard a terminal of the caller's */
	struct plan_map uid_map, gid_map;
	bool map_may_fall_back; /* --map=auto: where a helper fails, the launch begins anew with one
				   id */
	bool nested_userns;	/* the payload gets a user and mount namespace of its own */
	bool init_is_payload;	/* --as-pid-1: no reaper */
	bool wait_for_all;	/* --on-exit=wait */
	bool end_with_parent;	/* --die-with-parent */
	bool own_session;	/* the terminal's signals do not reach the command by themselves */
	bool pty;		/* --pty: the command has a terminal of its own, sbx relays */
	uint32_t pty_fds;	/* bit n: descriptor n is the caller's terminal, and replaced */
	bool passes_fds;	/* descriptors without FD_CLOEXEC reach the command */
	bool runs_magic;	/* the command may be reached through a magic link of /proc */
	bool looks_first;      /* a step looks at the command; its execution does not do it again */
	bool pwd_as_typed;     /* PWD may be relative */
	bool shell_runs_text;  /* what the kernel cannot execute is given to /bin/sh */
	bool init_visible;     /* PID 1 can be looked into and entered */
	bool outlives_monitor; /* once the command has started, a monitor that ends does not matter
				*/
	bool leaves_signals;   /* none is passed on, no stop is followed */
	bool leaves_rest;      /* sbx ends with the command; what that left goes on */
	bool parent_signals;   /* where the caller cannot be watched, the kernel sends its signal */
	bool own_pid_ns;       /* false: PID 1 of the drawing is an ordinary process */
	int64_t timeout_ms;    /* how long the command may run; 0: as long as it likes */
	int64_t kill_after_ms; /* how long it may take to end when that is over */
	uid_t payload_uid;     /* inside */
	gid_t payload_gid;

	struct plan_step *steps; /* sorted by phase; within one, in order */
	size_t n_steps;

	struct plan_filter filter;
	struct plan_dbus dbus;
	struct plan_net net;
	struct plan_limits limits;
	bool stats;			    /* tell at the end what was used */
	const char *fuse_overlayfs;	    /* absolute path; NULL: not used */
	unsigned n_fuse;		    /* layers steps that may use it */
	const struct plan_session *session; /* of --cow; NULL: none */

	const char *command;	     /* what is looked up; argv[0] may be something else */
	int sync_fd;		     /* kept open by PID 1, borrowed; -1: none */
	int info_fd, json_status_fd; /* the monitor's, borrowed; -1: none */
	int userns_block_fd; /* the monitor waits for it; who writes, maps ids; borrowed; -1: none
			      */
	const char **argv;   /* NULL-terminated; copies: PID 1 wipes the originals */
	char **envp;	     /* likewise; without PWD, for which envp[0] is room */
	size_t pwd_at;	     /* where the payload puts PWD; what was in front of it moves by one */
	const char **workdirs; /* tried in order, NULL-terminated */
	bool workdir_required; /* --chdir: the first must work */
	const int *pass_fds;
	size_t n_pass_fds;

	/* Where records of placeholders are kept; the first is written to. NULL: no such place. */
	const char *record_dirs[PLAN_RECORD_DIRS];
	bool protects; /* there is a protect step */

	/* Where running sandboxes are recorded; the first that can be used is. NULL: no such place.
	 */
	const char *box_dirs[PLAN_RECORD_DIRS];
	bool records;	   /* this one is to be, ... */
	bool needs_record; /* ... and cannot do without */
	bool detach;	   /* nobody waits for it; its output goes to a log */
	bool has_input;	   /* detached, its standard input is a pipe */
	bool keeps_record; /* what is known of it stays when it has ended */
	const char *name;  /* of this one; NULL: it has none */
	bool verbose;	   /* tell what could not be done and does not matter */

	struct plan_remark *remarks;
	size_t n_remarks;
};

/*
 * Is the sandbox's user namespace a child of another than the caller's, whose ids it gets by who
 * is in that? Its maps have the host's ids all the same.
 */
static inline bool plan_is_below(const struct sbx_plan *plan)
{
	return plan->net.share || plan->enters_owner;
}

void plan_init(struct sbx_plan *plan);
void plan_finish(struct sbx_plan *plan);
struct plan_step *plan_add_step(struct sbx_plan *plan, enum plan_step_kind kind, const char *cause);
int plan_add_remark(struct sbx_plan *plan, const char *topic, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
