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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
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
	X(PROC_VIEW, proc_view, EARLY)           /* PLAN_STEP_HOST */                            \
	X(DATA_STORE, data_store, EARLY)         /* - */                                         \
	X(ROOT_TMPFS, root_tmpfs, EARLY)         /* mode */                                      \
	X(BIND, bind, SETUP)                     /* source or fd, dest ("/": new root), attrs */ \
	X(TMPFS, tmpfs, SETUP)                   /* dest, mode, size_bytes, nr_inodes, attrs */  \
	X(PROC, proc, SETUP)                     /* dest, attrs, PLAN_STEP_HOST */               \
	X(PROC_COVER, proc_cover, SETUP)         /* dest: a proc mount */                        \
	X(DEV, dev, SETUP)                       /* dest, source: console's terminal or NULL */  \
	X(SYS, sys, SETUP)                       /* dest, attrs, PLAN_STEP_HOST */               \
	X(CGROUP, cgroup, SETUP)                 /* dest, attrs */                               \
	X(MQUEUE, mqueue, SETUP)                 /* dest, attrs */                               \
	X(DIR, dir, SETUP)                       /* dest, mode */                                \
	X(FILE, file, SETUP)                     /* fd or text, dest, mode */                    \
	X(BIND_DATA, bind_data, SETUP)           /* fd, dest, mode, attrs */                     \
	X(SYMLINK, symlink, SETUP)               /* source: the link's text, dest */             \
	X(CHMOD, chmod, SETUP)                   /* dest, mode */                                \
	X(REMOUNT, remount, SETUP)               /* dest, attrs: on that one mount */            \
	X(MASK, mask, SETUP)                     /* dest, PLAN_STEP_TRY */                       \
	X(USERNS_LIMIT, userns_limit, SETUP)     /* text: how many more */                       \
	X(PIVOT, pivot, SETUP)                   /* - */                                         \
	X(CONFINE, confine, INIT)                /* keep */                                      \
	X(SESSION, session, PAYLOAD)             /* - */                                         \
	X(IDS, ids, PAYLOAD)                     /* uid, gid, PLAN_STEP_GROUPS */                \
	X(PRIVILEGES, privileges, PAYLOAD)       /* keep */                                      \
	X(ASSERT_NO_USERNS, assert_no_userns, PAYLOAD) /* - */                                   \
	X(CHDIR, chdir, PAYLOAD)                 /* the plan's workdirs */                       \
	X(DESCRIPTORS, descriptors, PAYLOAD)     /* the plan's pass_fds */                       \
	X(EXEC, exec, PAYLOAD)                   /* the plan's argv, envp */                     \
	X(REAPER_PRIVILEGES, reaper_privileges, REAPER) /* keep */
// clang-format on

enum plan_step_kind {
#define X(id, name, phase) PLAN_STEP_##id,
	PLAN_STEP_KINDS(X)
#undef X
		PLAN_STEP_COUNT_
};

enum plan_step_flag {
	PLAN_STEP_TRY = 1 << 0,	   /* what does not exist skips the step */
	PLAN_STEP_HOST = 1 << 1,   /* proc, sys: the host's, bound */
	PLAN_STEP_GROUPS = 1 << 2, /* ids: the supplementary groups can be and are dropped */
};

struct plan_step {
	enum plan_step_kind kind;
	uint32_t flags;	     /* enum plan_step_flag */
	int fd;		     /* of the caller's, borrowed; -1: none */
	uid_t uid, gid;	     /* inside; (uid_t)-1: leave */
	int64_t mode;	     /* permission bits, -1: the kind's default */
	uint64_t attrs;	     /* MOUNT_ATTR_* to set */
	uint64_t size_bytes; /* 0: the kernel's default */
	uint64_t nr_inodes;  /* 0: the kernel's default */
	uint64_t keep;	     /* capabilities, bit n is capability n */
	const char *source;
	const char *dest; /* inside the new root */
	const char *text;
	const char *cause; /* the option with its dashes, or "default" */
};

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

/* A remark for --explain and -v: what was chosen and why, or what is exposed. */
struct plan_remark {
	const char *topic; /* "map", "exposed", ... */
	const char *text;
};

struct sbx_plan {
	struct arena arena; /* owns everything below but what is said to be borrowed */

	uint64_t namespaces;  /* CLONE_NEW* flags; CLONE_NEWNS always */
	int parent_userns_fd; /* user namespace whose child the sandbox becomes; -1: the caller's.
				 Borrowed. */
	struct plan_map uid_map, gid_map;
	bool map_may_fall_back; /* --map=auto: where a helper fails, the launch begins anew with one
				   id */
	bool nested_userns;	/* the payload gets a user and mount namespace of its own */
	bool init_is_payload;	/* --as-pid-1: no reaper */
	bool wait_for_all;	/* --on-exit=wait */
	bool end_with_parent;	/* --die-with-parent */
	bool own_session;	/* --new-session: the terminal's signals do not reach the command */
	bool own_pid_ns;	/* false: PID 1 of the drawing is an ordinary process */
	uid_t payload_uid;	/* inside */
	gid_t payload_gid;

	struct plan_step *steps; /* sorted by phase; within one, in order */
	size_t n_steps;

	const char **argv; /* NULL-terminated; copies: PID 1 wipes the originals */
	char **envp; /* likewise; without PWD, which the payload puts in the room of envp[0] */
	const char **workdirs; /* tried in order, NULL-terminated */
	bool workdir_required; /* --chdir: the first must work */
	const int *pass_fds;
	size_t n_pass_fds;

	struct plan_remark *remarks;
	size_t n_remarks;
};

void plan_init(struct sbx_plan *plan);
void plan_finish(struct sbx_plan *plan);
struct plan_step *plan_add_step(struct sbx_plan *plan, enum plan_step_kind kind, const char *cause);
int plan_add_remark(struct sbx_plan *plan, const char *topic, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
