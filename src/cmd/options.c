/* SPDX-License-Identifier: MIT */
/*
 * options: the table, verb by verb in the order of the verbs. A row needs a paragraph in
 * man/options.txt, under VERB/--option.
 */

#include "sbx/cmd/options.h"
#include "sbx/base/defs.h"

#define FLAG(verb_, id_, name_, letter_, help_)                                                    \
	{                                                                                          \
		.verb = (verb_), .id = CMD_OPT_##id_, .name = (name_), .letter = (letter_),        \
		.help = (help_)                                                                    \
	}
#define WITH(verb_, id_, name_, letter_, metavar_, kind_, help_)                                   \
	{                                                                                          \
		.verb = (verb_), .id = CMD_OPT_##id_, .name = (name_), .letter = (letter_),        \
		.metavar = (metavar_), .kind = CMD_ARG_##kind_, .help = (help_)                    \
	}

/* clang-format off */
const struct cmd_option cmd_options[] = {
	FLAG("apply", ALLOW_SETID, "--allow-setid", NULL, "also set-user-ID and set-group-ID bits"),
	FLAG("apply", DRY_RUN, "--dry-run", "-n", "only say what would be done"),
	WITH("apply", EXCLUDE, "--exclude", NULL, "GLOB", TEXT, "not what fits"),
	FLAG("apply", FORCE, "--force", "-f", "also over what has changed on the host since"),
	WITH("apply", INCLUDE, "--include", NULL, "GLOB", TEXT, "only what fits"),
	WITH("attach", DETACH_KEYS, "--detach-keys", NULL, "KEYS", TEXT, "what to type to detach; ctrl-p,ctrl-q"),
	FLAG("attach", NO_STDIN, "--no-stdin", NULL, "only watch"),
	WITH("attach", SIG_PROXY, "--sig-proxy", NULL, "true|false", TEXT, "pass signals on; true"),
	FLAG("diff", JSON, "--json", NULL, "for programs"),
	FLAG("diff", NAME_ONLY, "--name-only", NULL, "paths alone"),
	FLAG("diff", NULL, "--null", "-z", "with --name-only: end each path with NUL, as it is"),
	FLAG("diff", PATCH, "--patch", "-p", "with the lines of text files that differ"),
	FLAG("diff", STAT, "--stat", NULL, "with sizes, and their sum"),
	FLAG("discard", FORCE, "--force", "-f", "also one whose apply was killed"),
	FLAG("doctor", JSON, "--json", NULL, "for programs"),
	FLAG("doctor", QUIET, "--quiet", "-q", "only what does not work"),
	FLAG("doctor", STRICT, "--strict", NULL, "fail where an option would"),
	WITH("exec", CHDIR, "--chdir", "-w", "DIR", TEXT, "start there"),
	FLAG("exec", DETACH, "--detach", "-d", "do not wait for the command"),
	WITH("exec", ENV, "--env", "-e", "NAME[=VALUE]", ENV, "one more variable"),
	FLAG("exec", INTERACTIVE, "--interactive", "-i", "pass standard input on, also where it is no terminal"),
	FLAG("exec", TTY, "--tty", "-t", "a terminal of the sandbox's own"),
	WITH("exec", USER, "--uid", "-u", "UID[:GID]", TEXT, "be that user inside"),
	FLAG("kill", ALL, "--all", "-a", "every running sandbox"),
	WITH("kill", SIGNAL, "--signal", "-s", "SIGNAL", SIGNAL, "another signal than TERM"),
	FLAG("logs", FOLLOW, "--follow", "-f", "go on with what comes, to the end of the sandbox"),
	WITH("logs", SINCE, "--since", NULL, "TIME", TEXT, "not what is older: 90s, 5m, 2h, 1d"),
	WITH("logs", TAIL, "--tail", "-n", "N", TEXT, "the last lines only"),
	FLAG("logs", TIMESTAMPS, "--timestamps", "-t", "begin lines with their time"),
	FLAG("net", FORCE, "--force", "-f", "with rm: also end the sandboxes that are in it"),
	FLAG("net", JSON, "--json", NULL, "with ls: for programs"),
	FLAG("net", QUIET, "--quiet", "-q", "with ls: names only"),
	FLAG("pause", ALL, "--all", "-a", "every running sandbox"),
	FLAG("port", JSON, "--json", NULL, "list: for programs"),
	WITH("prune", OLDER_THAN, "--older-than", NULL, "TIME", TEXT, "those not used since: 12h, 7d"),
	FLAG("ps", ALL, "--all", "-a", "also those that have ended and were to be kept"),
	WITH("ps", FILTER, "--filter", "-f", "KEY=VALUE", TEXT, "only those: name=, id=, status="),
	WITH("ps", FORMAT, "--format", NULL, "TEXT", TEXT, "a line for each, with {{.Name}} and the like"),
	FLAG("ps", JSON, "--json", NULL, "for programs"),
	FLAG("ps", QUIET, "--quiet", "-q", "ids only"),
	FLAG("ps", WATCH, "--watch", "-w", "again and again, until interrupted"),
	FLAG("rm", ALL, "--all", "-a", "all that have ended"),
	FLAG("rm", FORCE, "--force", "-f", "end those that run first"),
	FLAG("sessions", JSON, "--json", NULL, "for programs"),
	FLAG("stop", ALL, "--all", "-a", "every running sandbox"),
	WITH("stop", TIME, "--time", "-t", "SECONDS", TEXT, "how long to wait before killing; 10"),
	FLAG("unpause", ALL, "--all", "-a", "every running sandbox"),
};
/* clang-format on */

const size_t cmd_n_options = ARRAY_SIZE(cmd_options);
