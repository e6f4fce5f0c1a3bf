/* SPDX-License-Identifier: MIT */
/*
 * options: the table, in the order in which --help and the manual show it, and
 * the few questions that can be asked about a row.
 *
 * To add an option, add a row here and its paragraph to man/options.txt. Parser,
 * help, manual and completions follow by themselves; the build fails while the
 * paragraph is missing.
 */

#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/base/similar.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/options.h"

/* clang-format off */
#define SRC	{"SRC", CLI_ARG_SOURCE}
#define DEST	{"DEST", CLI_ARG_DEST}
#define FD	{"FD", CLI_ARG_FD}
/* clang-format on */

#define SET(field_, value_) .act = CLI_ACT_SET, .field = SPEC_FIELD_##field_, .value = (value_)
#define STORE(field_) .act = CLI_ACT_STORE, .field = SPEC_FIELD_##field_
#define OP(op_, flags_) .act = CLI_ACT_OP, .op = SPEC_OP_##op_, .op_flags = (flags_)
#define BUS(kind_) .act = CLI_ACT_BUS, .value = SPEC_BUS_##kind_
#define ENV(kind_) .act = CLI_ACT_ENV, .value = SPEC_ENV_##kind_

const char *const cli_group_titles[CLI_GROUP_COUNT_] = {
	[CLI_GENERAL] = "General",
	[CLI_NAMESPACES] = "Namespaces",
	[CLI_IDENTITY] = "Identity",
	[CLI_FILESYSTEM] = "Filesystem, in the order given",
	[CLI_MODIFIERS] = "Modifiers of the filesystem option that follows",
	[CLI_PRIVILEGES] = "Privileges",
	[CLI_ENVIRONMENT] = "Environment, in the order given",
	[CLI_PROCESS] = "Process",
	[CLI_LIMITS] = "Limits",
	[CLI_DESKTOP] = "D-Bus",
	[CLI_HELPERS] = "Helper programs",
};

static const struct cli_word explain_words[] = {
	{"json", CLI_EXPLAIN_JSON},
	{"spec", CLI_EXPLAIN_SPEC},
	{NULL, 0},
};

static const struct cli_word net_words[] = {
	{"none", SPEC_NS_NEW},
	{"user", SPEC_NS_NEW},
	{"host", SPEC_NS_SHARE},
	{NULL, 0},
};

/* A word that ends in = takes a value; the value here is an enum spec_mount_opt then 0. */
static const struct cli_word mount_opt_words[] = {
	{"ro", SPEC_MOUNT_RO},
	{"noexec", SPEC_MOUNT_NOEXEC},
	{"noatime", SPEC_MOUNT_NOATIME},
	{"nodiratime", SPEC_MOUNT_NODIRATIME},
	{"nosymfollow", SPEC_MOUNT_NOSYMFOLLOW},
	{"size=", 0},
	{"mode=", 0},
	{"nr_inodes=", 0},
	{NULL, 0},
};

static const struct cli_word protect_words[] = {
	{"dev", 0},
	{NULL, 0},
};

static const struct cli_word mask_sockets_words[] = {
	{"all", SPEC_MASK_SOCKETS_ALL},
	{"listed", SPEC_MASK_SOCKETS_LISTED},
	{"off", SPEC_MASK_SOCKETS_OFF},
	{NULL, 0},
};

static const struct cli_word seccomp_words[] = {
	{"default", 0},
	{"strict", 0},
	{"none", 0},
	{NULL, 0},
};

static const struct cli_word helper_words[] = {
	{"newuidmap", 0},      {"newgidmap", 0},   {"sbx-seccomp", 0}, {"xdg-dbus-proxy", 0},
	{"fuse-overlayfs", 0}, {"slirp4netns", 0}, {"nft", 0},	       {NULL, 0},
};

static const struct cli_word *const word_lists[CLI_WORDS_COUNT_] = {
	[CLI_WORDS_EXPLAIN] = explain_words,
	[CLI_WORDS_NET] = net_words,
	[CLI_WORDS_MOUNT_OPT] = mount_opt_words,
	[CLI_WORDS_PROTECT] = protect_words,
	[CLI_WORDS_MASK_SOCKETS] = mask_sockets_words,
	[CLI_WORDS_SECCOMP] = seccomp_words,
	[CLI_WORDS_HELPER] = helper_words,
};

/* clang-format off */
const struct cli_option cli_options[] = {
	{.name = "--help", .letter = "-h", .group = CLI_GENERAL,
	 .act = CLI_ACT_ANSWER, .value = CLI_HELP,
	 .help = "print this text"},
	{.name = "--version", .group = CLI_GENERAL,
	 .act = CLI_ACT_ANSWER, .value = CLI_VERSION,
	 .help = "print the version and what was compiled in"},
	{.name = "--verbose", .letter = "-v", .group = CLI_GENERAL,
	 .act = CLI_ACT_VERBOSE,
	 .help = "say on stderr what is chosen and done"},
	{.name = "--explain", .group = CLI_GENERAL,
	 .args = {{"FORM", CLI_ARG_WORD}}, .arg_optional = true,
	 .act = CLI_ACT_EXPLAIN, .value = CLI_EXPLAIN, .words = CLI_WORDS_EXPLAIN,
	 .help = "print the plan instead of running it"},
	{.name = "--args", .group = CLI_GENERAL,
	 .args = {FD}, .act = CLI_ACT_ARGS,
	 .help = "read more options, NUL-separated, from FD"},
	{.name = "--level-prefix", .group = CLI_GENERAL,
	 .act = CLI_ACT_LEVEL_PREFIX,
	 .help = "begin messages with their level, as <3>"},
	{.name = "--profile", .group = CLI_GENERAL,
	 .args = {{"NAME|FILE", CLI_ARG_PROFILE}}, .act = CLI_ACT_PROFILE,
	 .help = "read more options from a profile"},
	{.name = "--name", .group = CLI_GENERAL,
	 .args = {{"NAME", CLI_ARG_NAME}}, STORE(NAME),
	 .help = "what to call the sandbox, for sbx ps and the like"},

	{.name = "--unshare-user", .group = CLI_NAMESPACES,
	 SET(NS_USER, SPEC_NS_NEW),
	 .help = "new user namespace (the default)"},
	{.name = "--unshare-user-try", .group = CLI_NAMESPACES,
	 SET(NS_USER, SPEC_NS_TRY),
	 .help = "the same where possible"},
	{.name = "--unshare-pid", .group = CLI_NAMESPACES,
	 SET(NS_PID, SPEC_NS_NEW),
	 .help = "new pid namespace (the default)"},
	{.name = "--unshare-ipc", .group = CLI_NAMESPACES,
	 SET(NS_IPC, SPEC_NS_NEW),
	 .help = "new ipc namespace (the default)"},
	{.name = "--unshare-uts", .group = CLI_NAMESPACES,
	 SET(NS_UTS, SPEC_NS_NEW),
	 .help = "new host name (the default)"},
	{.name = "--unshare-cgroup", .group = CLI_NAMESPACES,
	 SET(NS_CGROUP, SPEC_NS_NEW),
	 .help = "new cgroup namespace (the default)"},
	{.name = "--unshare-cgroup-try", .group = CLI_NAMESPACES,
	 SET(NS_CGROUP, SPEC_NS_TRY),
	 .help = "the same where possible"},
	{.name = "--unshare-net", .group = CLI_NAMESPACES,
	 SET(NS_NET, SPEC_NS_NEW),
	 .help = "no network but lo; same as --net=none"},
	{.name = "--unshare-all", .group = CLI_NAMESPACES,
	 .act = CLI_ACT_UNSHARE_ALL,
	 .help = "all of the above"},
	{.name = "--share-pid", .group = CLI_NAMESPACES,
	 SET(NS_PID, SPEC_NS_SHARE),
	 .help = "see and signal the host's processes"},
	{.name = "--share-ipc", .group = CLI_NAMESPACES,
	 SET(NS_IPC, SPEC_NS_SHARE),
	 .help = "use the host's System V and POSIX queues"},
	{.name = "--share-uts", .group = CLI_NAMESPACES,
	 SET(NS_UTS, SPEC_NS_SHARE),
	 .help = "keep the host's name"},
	{.name = "--share-cgroup", .group = CLI_NAMESPACES,
	 SET(NS_CGROUP, SPEC_NS_SHARE),
	 .help = "see the host's cgroup names"},
	{.name = "--share-net", .group = CLI_NAMESPACES,
	 SET(NS_NET, SPEC_NS_SHARE),
	 .help = "use the host's network; same as --net=host"},
	{.name = "--net", .group = CLI_NAMESPACES,
	 .args = {{"WORD[,SUB...]", CLI_ARG_NET}}, .act = CLI_ACT_NET, .words = CLI_WORDS_NET,
	 .help = "the network; none is the default"},
	{.name = "--publish", .letter = "-p", .group = CLI_NAMESPACES,
	 .args = {{"[ADDR:]PORT:PORT", CLI_ARG_PUBLISH}}, .act = CLI_ACT_PUBLISH,
	 .help = "lead a port of the host into the sandbox"},
	{.name = "--allow-net", .group = CLI_NAMESPACES,
	 .args = {{"RULE", CLI_ARG_NET_RULE}}, .act = CLI_ACT_NET_RULE, .value = SPEC_NET_ALLOW,
	 .help = "what may be sent to: 192.0.2.0/24:443/tcp, ..."},
	{.name = "--deny-net", .group = CLI_NAMESPACES,
	 .args = {{"RULE", CLI_ARG_NET_RULE}}, .act = CLI_ACT_NET_RULE, .value = SPEC_NET_DENY,
	 .help = "what may not; the first rule that fits counts"},
	{.name = "--hostname", .group = CLI_NAMESPACES,
	 .args = {{"NAME", CLI_ARG_HOSTNAME}}, STORE(HOSTNAME),
	 .help = "the host name inside"},

	{.name = "--map", .group = CLI_IDENTITY,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(MAP),
	 .help = "which ids exist inside"},
	{.name = "--uid", .group = CLI_IDENTITY,
	 .args = {{"N", CLI_ARG_ID}}, STORE(UID),
	 .help = "the caller's uid inside"},
	{.name = "--gid", .group = CLI_IDENTITY,
	 .args = {{"N", CLI_ARG_ID}}, STORE(GID),
	 .help = "the caller's gid inside"},
	{.name = "--user", .group = CLI_IDENTITY,
	 .args = {{"U[:G]", CLI_ARG_USER}}, STORE(USER),
	 .help = "run the command as this mapped user"},
	{.name = "--root", .group = CLI_IDENTITY,
	 SET(ROOT, true),
	 .help = "the caller is root inside, and only there"},

	{.name = "--bind", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, 0),
	 .help = "bind the host's SRC at DEST"},
	{.name = "--ro-bind", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, SPEC_OP_RO),
	 .help = "the same, read-only"},
	{.name = "--dev-bind", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, SPEC_OP_DEVICES),
	 .help = "--bind, and device nodes work"},
	{.name = "--bind-try", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, SPEC_OP_TRY),
	 .help = "--bind, skipped if SRC does not exist"},
	{.name = "--ro-bind-try", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, SPEC_OP_RO | SPEC_OP_TRY),
	 .help = "--ro-bind, skipped if SRC does not exist"},
	{.name = "--dev-bind-try", .group = CLI_FILESYSTEM,
	 .args = {SRC, DEST}, OP(BIND, SPEC_OP_DEVICES | SPEC_OP_TRY),
	 .help = "--dev-bind, skipped if SRC does not exist"},
	{.name = "--bind-fd", .group = CLI_FILESYSTEM,
	 .args = {FD, DEST}, OP(BIND, 0),
	 .help = "bind what FD has open at DEST"},
	{.name = "--ro-bind-fd", .group = CLI_FILESYSTEM,
	 .args = {FD, DEST}, OP(BIND, SPEC_OP_RO),
	 .help = "the same, read-only"},
	{.name = "--rw", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_SOURCE}}, OP(BIND, SPEC_OP_SAME),
	 .help = "bind PATH at the same path"},
	{.name = "--ro", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_SOURCE}}, OP(BIND, SPEC_OP_RO | SPEC_OP_SAME),
	 .help = "the same, read-only"},
	{.name = "--rootfs", .group = CLI_FILESYSTEM,
	 .args = {{"DIR", CLI_ARG_DIR}}, OP(BIND, 0), .dest = "/",
	 .help = "the directory DIR becomes /"},
	{.name = "--tmpfs", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(TMPFS, 0),
	 .help = "an empty tmpfs at DEST"},
	{.name = "--dir", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(DIR, 0),
	 .help = "a directory at DEST"},
	{.name = "--file", .group = CLI_FILESYSTEM,
	 .args = {FD, DEST}, OP(FILE, 0),
	 .help = "a file with what FD holds, a copy"},
	{.name = "--bind-data", .group = CLI_FILESYSTEM,
	 .args = {FD, DEST}, OP(BIND_DATA, 0),
	 .help = "the same, as a mount of its own"},
	{.name = "--ro-bind-data", .group = CLI_FILESYSTEM,
	 .args = {FD, DEST}, OP(BIND_DATA, SPEC_OP_RO),
	 .help = "--bind-data, read-only"},
	{.name = "--symlink", .group = CLI_FILESYSTEM,
	 .args = {{"TARGET", CLI_ARG_SOURCE}, DEST}, OP(SYMLINK, 0),
	 .help = "a symbolic link DEST that holds TARGET"},
	{.name = "--chmod", .group = CLI_FILESYSTEM,
	 .args = {{"OCTAL", CLI_ARG_OCTAL}, {"PATH", CLI_ARG_DEST}}, OP(CHMOD, 0),
	 .help = "change permissions of PATH, which exists"},
	{.name = "--remount-ro", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(REMOUNT, SPEC_OP_RO),
	 .help = "make the mount at DEST read-only"},
	{.name = "--proc", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(PROC, 0),
	 .help = "a new /proc at DEST"},
	{.name = "--dev", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(DEV, 0),
	 .help = "a new minimal /dev at DEST"},
	{.name = "--sys", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(SYS, 0),
	 .help = "a read-only /sys at DEST"},
	{.name = "--cgroup", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(CGROUP, 0),
	 .help = "a read-only cgroup tree at DEST"},
	{.name = "--mqueue", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(MQUEUE, 0),
	 .help = "a new mqueue filesystem at DEST"},
	{.name = "--overlay-src", .group = CLI_FILESYSTEM,
	 .args = {{"SRC", CLI_ARG_DIR}}, OP(OVERLAY_SRC, 0),
	 .help = "a layer of the overlay that follows"},
	{.name = "--overlay", .group = CLI_FILESYSTEM,
	 .args = {{"RWSRC", CLI_ARG_DIR}, {"WORKDIR", CLI_ARG_WORK}, DEST}, OP(OVERLAY, 0),
	 .help = "layers at DEST; what is written goes to RWSRC"},
	{.name = "--tmp-overlay", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(TMP_OVERLAY, 0),
	 .help = "layers at DEST; what is written is forgotten"},
	{.name = "--ro-overlay", .group = CLI_FILESYSTEM,
	 .args = {DEST}, OP(RO_OVERLAY, SPEC_OP_RO),
	 .help = "layers at DEST, read-only"},
	{.name = "--overlay-driver", .group = CLI_FILESYSTEM,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(OVERLAY_DRIVER),
	 .help = "what puts the layers of overlays together"},
	{.name = "--cow", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_SOURCE}}, OP(COW, SPEC_OP_SAME),
	 .help = "PATH at the same path; changes go to a session"},
	{.name = "--session", .group = CLI_FILESYSTEM,
	 .args = {{"NAME|DIR", CLI_ARG_DEST}}, STORE(SESSION),
	 .help = "which session, an earlier one or a new one"},
	{.name = "--mask", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_DEST}}, OP(MASK, 0),
	 .help = "hide PATH, a file or directory inside"},
	{.name = "--mask-try", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_DEST}}, OP(MASK, SPEC_OP_TRY),
	 .help = "the same, skipped if PATH does not exist"},
	{.name = "--protect", .group = CLI_FILESYSTEM,
	 .args = {{"PATH", CLI_ARG_PROTECT}}, OP(PROTECT, 0), .words = CLI_WORDS_PROTECT,
	 .help = "PATH cannot be changed, nor made; or dev"},
	{.name = "--protect-by", .group = CLI_FILESYSTEM,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(PROTECT_BY),
	 .help = "what holds a PATH that does not exist"},
	{.name = "--mask-sockets", .group = CLI_FILESYSTEM,
	 .args = {{"WORD", CLI_ARG_WORD}}, .arg_optional = true,
	 STORE(MASK_SOCKETS), .value = SPEC_MASK_SOCKETS_ALL, .words = CLI_WORDS_MASK_SOCKETS,
	 .help = "hide the host's sockets that binds would show"},
	{.name = "--no-base", .group = CLI_FILESYSTEM,
	 SET(NO_BASE, true),
	 .help = "leave out /proc, /dev, /tmp, /etc, ... by default"},
	{.name = "--rw-root", .group = CLI_FILESYSTEM,
	 SET(RW_ROOT, true),
	 .help = "/ itself stays writable"},

	{.name = "--perms", .group = CLI_MODIFIERS,
	 .args = {{"OCTAL", CLI_ARG_OCTAL}}, .act = CLI_ACT_PERMS,
	 .help = "with these permissions"},
	{.name = "--size", .group = CLI_MODIFIERS,
	 .args = {{"BYTES", CLI_ARG_SIZE}}, .act = CLI_ACT_SIZE,
	 .help = "at most this large (K, M, G, T)"},
	{.name = "--mount-opt", .group = CLI_MODIFIERS,
	 .args = {{"OPT[,OPT...]", CLI_ARG_WORDS}}, .act = CLI_ACT_MOUNT_OPT,
	 .words = CLI_WORDS_MOUNT_OPT,
	 .help = "mount options: ro, noexec, size=64M, ..."},

	{.name = "--cap-add", .group = CLI_PRIVILEGES,
	 .args = {{"CAP", CLI_ARG_CAP}}, .act = CLI_ACT_CAP, .value = SPEC_CAP_ADD,
	 .help = "keep a capability, or ALL"},
	{.name = "--cap-drop", .group = CLI_PRIVILEGES,
	 .args = {{"CAP", CLI_ARG_CAP}}, .act = CLI_ACT_CAP, .value = SPEC_CAP_DROP,
	 .help = "drop a capability, or ALL"},
	{.name = "--seccomp", .group = CLI_PRIVILEGES,
	 .args = {{"WORD|FILE|FD", CLI_ARG_FILTER}}, STORE(SECCOMP), .words = CLI_WORDS_SECCOMP,
	 .help = "system calls: default, strict, none, FILE, FD"},
	{.name = "--seccomp-allow", .group = CLI_PRIVILEGES,
	 .args = {{"CALL[,CALL...]", CLI_ARG_SYSCALLS}},
	 .act = CLI_ACT_SECCOMP, .value = SPEC_SECCOMP_ALLOW,
	 .help = "let system calls, or an @group, through"},
	{.name = "--seccomp-deny", .group = CLI_PRIVILEGES,
	 .args = {{"CALL[,CALL...]", CLI_ARG_SYSCALLS}},
	 .act = CLI_ACT_SECCOMP, .value = SPEC_SECCOMP_DENY,
	 .help = "refuse system calls, or an @group"},
	{.name = "--add-seccomp-fd", .group = CLI_PRIVILEGES,
	 .args = {FD}, .act = CLI_ACT_SECCOMP_FD,
	 .help = "add the filter that FD holds"},
	{.name = "--seccomp-log", .group = CLI_PRIVILEGES,
	 SET(SECCOMP_LOG, true),
	 .help = "tell at the end what was refused"},
	{.name = "--multiarch", .group = CLI_PRIVILEGES,
	 SET(MULTIARCH, true),
	 .help = "32-bit programs work too"},
	{.name = "--allow-userns", .group = CLI_PRIVILEGES,
	 SET(ALLOW_USERNS, true),
	 .help = "further user namespaces can be made inside"},
	{.name = "--disable-userns", .group = CLI_PRIVILEGES,
	 SET(DISABLE_USERNS, true),
	 .help = "user namespaces cannot be made (the default)"},
	{.name = "--assert-userns-disabled", .group = CLI_PRIVILEGES,
	 SET(ASSERT_USERNS_DISABLED, true),
	 .help = "check that they cannot be made, or fail"},
	{.name = "--landlock", .group = CLI_PRIVILEGES,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(LANDLOCK),
	 .help = "scope what shared namespaces leave open"},

	{.name = "--env", .group = CLI_ENVIRONMENT,
	 .args = {{"NAME[=VALUE]", CLI_ARG_ENV_SET}}, ENV(PASS),
	 .help = "set a variable, or keep the caller's"},
	{.name = "--env-file", .group = CLI_ENVIRONMENT,
	 .args = {{"FILE", CLI_ARG_SOURCE}}, ENV(FILE),
	 .help = "set variables from NAME=VALUE lines"},
	{.name = "--keep-env", .group = CLI_ENVIRONMENT,
	 ENV(KEEP),
	 .help = "keep all of the caller's variables"},
	{.name = "--setenv", .group = CLI_ENVIRONMENT,
	 .args = {{"VAR", CLI_ARG_ENV}, {"VALUE", CLI_ARG_TEXT}}, ENV(SET),
	 .help = "set a variable"},
	{.name = "--unsetenv", .group = CLI_ENVIRONMENT,
	 .args = {{"VAR", CLI_ARG_ENV}}, ENV(UNSET),
	 .help = "remove a variable"},
	{.name = "--clearenv", .group = CLI_ENVIRONMENT,
	 ENV(CLEAR),
	 .help = "remove all variables so far"},

	{.name = "--chdir", .group = CLI_PROCESS,
	 .args = {{"DIR", CLI_ARG_DEST}}, STORE(CHDIR),
	 .help = "start in DIR"},
	{.name = "--argv0", .group = CLI_PROCESS,
	 .args = {{"VALUE", CLI_ARG_TEXT}}, STORE(ARGV0),
	 .help = "what the command is told that it is called"},
	{.name = "--block-fd", .group = CLI_PROCESS,
	 .args = {FD}, STORE(BLOCK_FD),
	 .help = "start the command when FD has a byte or ends"},
	{.name = "--sync-fd", .group = CLI_PROCESS,
	 .args = {FD}, STORE(SYNC_FD),
	 .help = "keep FD open as long as the sandbox lives"},
	{.name = "--info-fd", .group = CLI_PROCESS,
	 .args = {FD}, STORE(INFO_FD),
	 .help = "write the sandbox's pid and namespaces to FD"},
	{.name = "--json-status-fd", .group = CLI_PROCESS,
	 .args = {FD}, STORE(JSON_STATUS_FD),
	 .help = "write what becomes of it to FD, line by line"},
	{.name = "--userns", .group = CLI_PROCESS,
	 .args = {FD}, STORE(USERNS_FD),
	 .help = "use the user namespace FD instead of a new one"},
	{.name = "--userns2", .group = CLI_PROCESS,
	 .args = {FD}, STORE(USERNS2_FD),
	 .help = "enter the user namespace FD after the set-up"},
	{.name = "--pidns", .group = CLI_PROCESS,
	 .args = {FD}, STORE(PIDNS_FD),
	 .help = "use the pid namespace FD instead of a new one"},
	{.name = "--userns-block-fd", .group = CLI_PROCESS,
	 .args = {FD}, STORE(USERNS_BLOCK_FD),
	 .help = "write no id maps; go on when FD is written to"},
	{.name = "--lock-file", .group = CLI_PROCESS,
	 .args = {DEST}, OP(LOCK, 0),
	 .help = "hold a read lock on DEST while the sandbox lives"},
	{.name = "--pass-fd", .group = CLI_PROCESS,
	 .args = {FD}, .act = CLI_ACT_PASS_FD,
	 .help = "the command keeps this descriptor too"},
	{.name = "--pty", .letter = "-t", .group = CLI_PROCESS,
	 SET(PTY, SPEC_PTY_ON),
	 .help = "a terminal of its own, relayed to the caller's"},
	{.name = "--no-pty", .group = CLI_PROCESS,
	 SET(PTY, SPEC_PTY_OFF),
	 .help = "share the caller's terminal in any case"},
	{.name = "--detach", .letter = "-d", .group = CLI_PROCESS,
	 SET(DETACH, true),
	 .help = "do not wait for it; print its id, keep its output"},
	{.name = "--interactive", .letter = "-i", .group = CLI_PROCESS,
	 SET(INTERACTIVE, true),
	 .help = "with --detach: sbx attach can write to it"},
	{.name = "--keep-record", .group = CLI_PROCESS,
	 SET(KEEP_RECORD, true),
	 .help = "what is known of it stays when it has ended"},
	{.name = "--new-session", .group = CLI_PROCESS,
	 SET(NEW_SESSION, true),
	 .help = "a new terminal session (setsid)"},
	{.name = "--die-with-parent", .group = CLI_PROCESS,
	 SET(DIE_WITH_PARENT, true),
	 .help = "end when the parent of sbx ends"},
	{.name = "--as-pid-1", .group = CLI_PROCESS,
	 SET(AS_PID_1, true),
	 .help = "the command is PID 1 itself"},
	{.name = "--on-exit", .group = CLI_PROCESS,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(ON_EXIT),
	 .help = "what follows the command: the end, or waiting"},

	{.name = "--memory", .group = CLI_LIMITS,
	 .args = {{"SIZE", CLI_ARG_LIMIT}}, STORE(MEMORY),
	 .help = "all processes together: 512M, 2G; more ends one"},
	{.name = "--memory-high", .group = CLI_LIMITS,
	 .args = {{"SIZE", CLI_ARG_LIMIT}}, STORE(MEMORY_HIGH),
	 .help = "from here on they are slowed down"},
	{.name = "--swap", .group = CLI_LIMITS,
	 .args = {{"SIZE", CLI_ARG_LIMIT}}, STORE(SWAP),
	 .help = "swap beside it; as much as --memory"},
	{.name = "--cpus", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_LIMIT}}, STORE(CPUS),
	 .help = "processors' worth of time: 1.5"},
	{.name = "--cpu-weight", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_LIMIT}}, STORE(CPU_WEIGHT),
	 .help = "share of time where it is short, 1 to 10000"},
	{.name = "--cpuset", .group = CLI_LIMITS,
	 .args = {{"LIST", CLI_ARG_LIMIT}}, STORE(CPUSET),
	 .help = "these processors only: 0-3,7"},
	{.name = "--pids", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_LIMIT}}, STORE(PIDS),
	 .help = "at most so many processes and threads"},
	{.name = "--io-max", .group = CLI_LIMITS,
	 .args = {{"DEVICE:KEY=N", CLI_ARG_IO_MAX}}, .act = CLI_ACT_IO_MAX,
	 .help = "reads and writes a second: rbps, wbps, riops, wiops"},
	{.name = "--io-weight", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_LIMIT}}, STORE(IO_WEIGHT),
	 .help = "share of disks where they are busy, 1 to 10000"},
	{.name = "--limits", .group = CLI_LIMITS,
	 .args = {{"WORD", CLI_ARG_WORD}}, STORE(LIMITS),
	 .help = "try: where these cannot be set, do without"},
	{.name = "--stats", .group = CLI_LIMITS,
	 SET(STATS, true),
	 .help = "say at the end what was used"},
	{.name = "--rlimit", .group = CLI_LIMITS,
	 .args = {{"NAME=SOFT[:HARD]", CLI_ARG_RLIMIT}}, .act = CLI_ACT_RLIMIT,
	 .help = "a limit of setrlimit(2): nofile=256, as=2G, ..."},
	{.name = "--nice", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_NICE}}, STORE(NICE),
	 .help = "the command's nice value, -20 to 19"},
	{.name = "--oom-score-adj", .group = CLI_LIMITS,
	 .args = {{"N", CLI_ARG_OOM_SCORE}}, STORE(OOM_SCORE_ADJ),
	 .help = "who ends first where memory is short"},
	{.name = "--timeout", .group = CLI_LIMITS,
	 .args = {{"DURATION", CLI_ARG_DURATION}}, STORE(TIMEOUT),
	 .help = "end the command after 90s, 5m, 1.5h; exit code 124"},
	{.name = "--kill-after", .group = CLI_LIMITS,
	 .args = {{"DURATION", CLI_ARG_DURATION}}, STORE(KILL_AFTER),
	 .help = "how long it may take to end then; 10s"},

	{.name = "--dbus-session", .group = CLI_DESKTOP,
	 SET(DBUS, SPEC_DBUS_ON),
	 .help = "the session bus, as far as the rules let through"},
	{.name = "--dbus-session-try", .group = CLI_DESKTOP,
	 SET(DBUS, SPEC_DBUS_TRY),
	 .help = "the same where the caller has a session bus"},
	{.name = "--no-dbus-session", .group = CLI_DESKTOP,
	 SET(DBUS, SPEC_DBUS_OFF),
	 .help = "no session bus, whatever a profile says"},
	{.name = "--dbus-see", .group = CLI_DESKTOP,
	 .args = {{"NAME", CLI_ARG_BUS_NAME}}, BUS(SEE),
	 .help = "a service may be seen"},
	{.name = "--dbus-talk", .group = CLI_DESKTOP,
	 .args = {{"NAME", CLI_ARG_BUS_NAME}}, BUS(TALK),
	 .help = "a service may be called"},
	{.name = "--dbus-own", .group = CLI_DESKTOP,
	 .args = {{"NAME", CLI_ARG_BUS_NAME}}, BUS(OWN),
	 .help = "the command may be this service"},
	{.name = "--dbus-call", .group = CLI_DESKTOP,
	 .args = {{"NAME=RULE", CLI_ARG_BUS_RULE}}, BUS(CALL),
	 .help = "some methods of a service may be called"},
	{.name = "--dbus-broadcast", .group = CLI_DESKTOP,
	 .args = {{"NAME=RULE", CLI_ARG_BUS_RULE}}, BUS(BROADCAST),
	 .help = "some signals of a service are heard"},

	{.name = "--helper", .group = CLI_HELPERS,
	 .args = {{"NAME=PATH", CLI_ARG_HELPER}}, .act = CLI_ACT_HELPER,
	 .words = CLI_WORDS_HELPER,
	 .help = "use PATH as newuidmap or another helper"},
};
/* clang-format on */
const size_t cli_n_options = ARRAY_SIZE(cli_options);

#define NOT_YET "is not available in this version"
#define ONE_BY_ONE "is written with a word for each letter: -d -i -t"
#define SHARED_TTY "is not needed: the command has the caller's terminal; --pty gives it its own"

/* The text goes behind the word: "-e: use --env NAME=VALUE". */
const struct cli_advice cli_advices[] = {
	/* bubblewrap's that are not there yet */
	{"--exec-label", NOT_YET},
	{"--file-label", NOT_YET},
	/* docker's and podman's habits */
	{"--cidfile", "is not available: sbx ps -q tells ids, and --name chooses a name"},
	{"--cwd", "is called --chdir DIR"},
	{"--entrypoint", "is not needed: write the command after --"},
	{"--mount", "is called --bind SRC DEST, --ro-bind SRC DEST or --tmpfs DEST"},
	{"--network", "is called --net=none, --net=user or --net=host"},
	{"--pids-limit", "is called --pids N"},
	{"--privileged", "is not available: nothing inside can have more rights than the caller; "
			 "see --root and --cap-add"},
	{"--read-only", "is the default: the root is read-only unless --rw-root is given"},
	{"--restart", "is not available: that is a service manager's work, see systemd.service(5)"},
	{"--rm", "is not needed: nothing is left when the command ends"},
	{"--security-opt",
	 "is not available: see --seccomp, --cap-add, --cap-drop and --allow-userns"},
	{"--tty", SHARED_TTY},
	{"--ulimit", "is called --rlimit NAME=SOFT[:HARD]"},
	{"--userns-remap", "is called --map=range"},
	{"--volume", "is called --bind SRC DEST (or --ro-bind SRC DEST)"},
	{"--workdir", "is called --chdir DIR"},
	{"-V", "is called --version"},
	{"-dit", ONE_BY_ONE},
	{"-dt", ONE_BY_ONE},
	{"-e", "is called --env NAME[=VALUE]"},
	{"-it", SHARED_TTY},
	{"-itd", ONE_BY_ONE},
	{"-m", "is called --memory SIZE"},
	{"-td", ONE_BY_ONE},
	{"-ti", SHARED_TTY},
	{"-u", "is called --user U[:G]"},
	{"-v", "takes no value: a volume is given as --bind SRC DEST (or --ro-bind SRC DEST)"},
	{"-w", "is called --chdir DIR"},
};
const size_t cli_n_advices = ARRAY_SIZE(cli_advices);

static bool word_is(const char *text, const char *word, size_t len)
{
	return len && strncmp(text, word, len) == 0 && text[len] == '\0';
}

/* The option written as the first `len` bytes of word; NULL: none. */
const struct cli_option *cli_find_option(const char *word, size_t len)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		/* Behind the dashes most names differ already. */
		if (len > 2 ? option->name[2] == word[2] && word_is(option->name, word, len)
			    : word_is(option->letter, word, len))
			return option;
	}
	return NULL;
}

/* What to tell somebody who typed this word, which is no option; NULL: nothing. */
const char *cli_find_advice(const char *word, size_t len)
{
	for (size_t i = 0; i < cli_n_advices; i++) {
		if (word_is(cli_advices[i].word, word, len))
			return cli_advices[i].text;
	}
	return NULL;
}

/**
 * The option that was probably meant.
 * @word: as typed, with its dashes; what stands behind a = does not count
 *
 * Return: its name, or NULL where none is near or two are equally so.
 */
const char *cli_find_similar(const char *word)
{
	size_t len = strcspn(word, "=");
	struct similar similar = SIMILAR(word, len, len < 2 ? 0 : len - 2);

	for (size_t i = 0; i < cli_n_options; i++)
		similar_offer(&similar, cli_options[i].name);
	return similar.found;
}

size_t cli_option_n_args(const struct cli_option *option)
{
	size_t n = 0;

	while (n < CLI_ARGS_MAX && option->args[n].kind != CLI_ARG_NONE)
		n++;
	return n;
}

/**
 * The words that an option's argument can be, one by one.
 * @ret_value: what the word stands for; may be NULL
 *
 * Return: the word, or NULL behind the last.
 */
const char *cli_option_word(const struct cli_option *option, size_t index, int64_t *ret_value)
{
	const struct cli_word *words = word_lists[option->words];
	const char *const *names = spec_fields[option->field].names;

	if (!words && (option->act != CLI_ACT_STORE || !names))
		return NULL;
	if (ret_value)
		*ret_value = words ? words[index].value : (int64_t)index;
	return words ? words[index].word : names[index];
}

/* Is --option=VALUE the way to write it? */
bool cli_option_takes_equals(const struct cli_option *option)
{
	return option->args[0].kind == CLI_ARG_WORD || option->args[0].kind == CLI_ARG_NET;
}

/* "--ro-bind SRC DEST", "--map=auto|range|single", "--explain[=json|spec]". */
void cli_option_show(const struct cli_option *option, struct str_buf *out)
{
	const char *word;

	str_buf_puts(out, option->name);
	if (!cli_option_takes_equals(option)) {
		for (size_t i = 0; i < cli_option_n_args(option); i++)
			str_buf_printf(out, " %s", option->args[i].metavar);
		return;
	}
	str_buf_puts(out, option->arg_optional ? "[=" : "=");
	for (size_t i = 0; (word = cli_option_word(option, i, NULL)); i++)
		str_buf_printf(out, "%s%s", i ? "|" : "", word);
	if (option->arg_optional)
		str_buf_puts(out, "]");
}
