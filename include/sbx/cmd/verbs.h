/* SPDX-License-Identifier: MIT */
/*
 * verbs: the list of verbs. It makes the table cmd_verbs; the manual page and
 * the completions are made from it too, at build time, where the functions are
 * not there.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

/* X(name, args for --help, summary, function) */
#define CMD_VERBS(X)                                                                               \
	X("apply", "[SESSION]", "make real what a sandbox with --cow has changed", cmd_apply)      \
	X("attach", "NAME", "connect with the command of a detached sandbox", cmd_attach)          \
	X("diff", "[SESSION]", "show what a sandbox with --cow has changed", cmd_diff)             \
	X("discard", "[SESSION]", "forget what a sandbox with --cow has changed", cmd_discard)     \
	X("doctor", "[PROBE...]", "tell what works here, and how to mend what does not",           \
	  cmd_doctor)                                                                              \
	X("exec", "NAME COMMAND [ARG...]", "run a command in a sandbox that runs", cmd_exec)       \
	X("help", "[VERB]", "print the usage and all options, or those of a verb", cmd_help)       \
	X("inspect", "NAME...", "print all that is known of a sandbox, as JSON", cmd_inspect)      \
	X("kill", "[NAME...]", "send a signal to the command of a sandbox", cmd_kill)              \
	X("logs", "NAME", "print what a detached sandbox has printed", cmd_logs)                   \
	X("net", "create|ls|rm [NETWORK...]", "make, list or end networks that sandboxes share",   \
	  cmd_net)                                                                                 \
	X("pause", "[NAME...]", "freeze all processes of a sandbox", cmd_pause)                    \
	X("port", "add|rm|list NAME [PORT...]", "publish ports of a running sandbox", cmd_port)    \
	X("profiles", "[PROFILE]", "list the profiles, or print one", cmd_profiles)                \
	X("prune", "", "discard old sessions of --cow", cmd_prune)                                 \
	X("ps", "", "list the sandboxes that run", cmd_ps)                                         \
	X("rm", "[NAME...]", "remove what was kept of a sandbox that has ended", cmd_rm)           \
	X("sessions", "", "list the sessions of --cow that are kept", cmd_sessions)                \
	X("stop", "[NAME...]", "end a sandbox, and kill it if it does not end", cmd_stop)          \
	X("top", "NAME", "list the processes in a sandbox", cmd_top)                               \
	X("unpause", "[NAME...]", "let a sandbox that was paused go on", cmd_unpause)              \
	X("version", "", "print the version and what was compiled in", cmd_version)                \
	X("wait", "NAME...", "wait for the end of a sandbox, and print its exit code", cmd_wait)

/* What runs a command, or ends with one, has the exit codes of the run form. */
static inline bool cmd_verb_exits_as_a_run(const char *name, const char *args)
{
	return strstr(args, "COMMAND") || strcmp(name, "attach") == 0;
}
