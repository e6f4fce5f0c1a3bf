/* SPDX-License-Identifier: MIT */
/*
 * defaults: what the program does when nothing is said, as one table with two
 * columns. Called by the name sbx it makes a sandbox; called as bwrap it is
 * bubblewrap, whose callers expect to be given no more and no less than that.
 *
 * A difference between the two is a row here. Rows that have a field in the spec
 * are put there before the options are read (spec_set_program()); the others are
 * read by resolve, and nobody else asks which program this is.
 *
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sbx/base/err.h"
#include "sbx/spec/spec.h"

/* X(type, name, called as sbx, called as bwrap) */
// clang-format off
#define SPEC_DEFAULTS(X)                                                                       \
	/* Messages and exit codes: err_exit's three, in their order. */                       \
	X(const char *, name, "sbx", "bwrap")                                                  \
	X(int, exit_failed, ERR_EXIT_FAILED, 1)                                                \
	X(int, exit_not_executable, ERR_EXIT_NOT_EXECUTABLE, 1)                                \
	X(int, exit_not_found, ERR_EXIT_NOT_FOUND, 1)                                          \
	X(bool, explains, true, false)      /* errors have a trail and a hint */               \
	/* Namespaces that nobody spoke of. */                                                 \
	X(enum spec_ns_mode, ns, SPEC_NS_NEW, SPEC_NS_SHARE)                                   \
	X(bool, root_unshares_user, true, false) /* a user namespace for real root too */      \
	/* With a field in the spec. */                                                        \
	X(enum spec_map, map, SPEC_MAP_AUTO, SPEC_MAP_SINGLE)                                  \
	X(bool, no_base, false, true)                                                          \
	X(bool, rw_root, false, true)                                                          \
	X(bool, allow_userns, false, true)                                                     \
	X(const char *, seccomp, NULL, "none")                                                 \
	X(enum spec_landlock, landlock, SPEC_LANDLOCK_AUTO, SPEC_LANDLOCK_OFF)                 \
	X(enum spec_pty, pty, SPEC_PTY_DEFAULT, SPEC_PTY_OFF)                                  \
	/* What the command gets of the caller's. */                                           \
	X(bool, keeps_env, false, true)                                                        \
	X(bool, passes_fds, false, true)    /* descriptors without FD_CLOEXEC */               \
	X(bool, runs_magic, false, true)    /* a command like /proc/self/exe */                \
	X(bool, tries_kernel, false, true)  /* for layers, whatever is known of it */          \
	X(bool, hardens_mounts, true, false) /* nothing is executed in /dev, a host's /proc, a  \
						mqueue, which has no devices either */          \
	X(mode_t, shm_mode, 01777, 0755)    /* /dev/shm */                                     \
	X(mode_t, parent_mode, 0755, 0700)  /* made above what has no permissions of its own */ \
	X(bool, runs_covered, false, true)  /* operations in front of one that is the root */  \
	X(bool, init_leads_session, false, true) /* --new-session: PID 1, not the command */   \
	X(bool, passes_sync_fd, false, true) /* with --as-pid-1 to the command, else refused */ \
	X(bool, shell_runs_text, false, true) /* what has no #!, as execvp(3) does */           \
	X(bool, own_keyring, true, false)   /* where the filter leaves keyrings open */        \
	X(bool, root_keeps_caps, false, true) /* real root: unless --cap-... says otherwise */ \
	X(bool, ignores_caps, false, true)  /* numbers that no capability has */               \
	X(bool, covers_writable_proc, false, true) /* with --proc and allow_userns */         \
	X(bool, nests, true, false)         /* kept capabilities: in a namespace below */      \
	X(bool, nests_late, false, true)    /* only with --dev or --disable-userns, PID 1 too */ \
	/* Processes. */                                                                       \
	X(bool, always_reaper, true, false) /* also without a pid namespace */                 \
	X(bool, init_visible, false, true)  /* PID 1 can be looked into, and entered */        \
	X(bool, tied, true, false)          /* the sandbox ends when the monitor is killed */  \
	X(bool, forwards_signals, true, false)                                                 \
	X(bool, leaves_rest, false, true)   /* what the command left running goes on */        \
	X(bool, parent_signals, false, true) /* --die-with-parent, where it is out of sight */ \
	X(bool, writes_last, false, true)   /* --bind-data: behind the mode: no set-id bits */ \
	X(bool, takes_relative, false, true) /* --lock-file from the command's directory; HOME */ \
	X(bool, records, true, false)       /* itself; and placeholders of others are swept */
// clang-format on

struct spec_defaults {
#define X(type, name, sbx, bwrap) type name;
	SPEC_DEFAULTS(X)
#undef X
};

extern const struct spec_defaults spec_defaults[SPEC_PROGRAM_COUNT_];

enum spec_program spec_program_called(const char *argv0);
void spec_set_program(struct sbx_spec *spec, enum spec_program program);
const struct spec_defaults *spec_get_defaults(const struct sbx_spec *spec);
int spec_exit_code(enum spec_program program, const struct sbx_err *err);
