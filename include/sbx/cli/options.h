/* SPDX-License-Identifier: MIT */
/*
 * options: the table of all options. The parser, --help, the manual page and
 * the three shell completions read it; nothing else knows an option's name.
 * Runs in: the caller's process, and the build-time programs of src/gen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/str.h"
#include "sbx/spec/spec.h"

enum { CLI_ARGS_MAX = 3 };

/* What an argument is: how it is checked, where an operation puts it, how a shell completes it. */
enum cli_arg_kind {
	CLI_ARG_NONE,	  /* behind the last argument */
	CLI_ARG_TEXT,	  /* anything */
	CLI_ARG_SOURCE,	  /* a path of the host (or a link's text); an operation's source */
	CLI_ARG_DIR,	  /* likewise, a directory */
	CLI_ARG_WORK,	  /* a directory of the host, beside the source */
	CLI_ARG_DEST,	  /* a path inside; an operation's destination */
	CLI_ARG_FD,	  /* a descriptor's number; an operation's fd */
	CLI_ARG_OCTAL,	  /* permission bits; an operation's perms */
	CLI_ARG_SIZE,	  /* bytes, with K, M, G or T */
	CLI_ARG_ID,	  /* a uid or gid */
	CLI_ARG_USER,	  /* U[:G] */
	CLI_ARG_HOSTNAME, /* what sethostname(2) takes */
	CLI_ARG_NAME,	  /* a sandbox's new name */
	CLI_ARG_WORD,	  /* one of the option's words */
	CLI_ARG_WORDS,	  /* several of them, with commas */
	CLI_ARG_ENV,	  /* NAME */
	CLI_ARG_ENV_SET,  /* NAME[=VALUE] */
	CLI_ARG_CAP,	  /* a capability or ALL */
	CLI_ARG_HELPER,	  /* WORD=PATH */
	CLI_ARG_PROFILE,  /* a profile's name, or a path with a slash */
	CLI_ARG_PROTECT,  /* a path inside, with a slash in front or ./, or one of the words */
	CLI_ARG_FILTER,	  /* a descriptor's number, one of the option's words, or a file */
	CLI_ARG_SYSCALLS, /* names of system calls and groups, with commas */
	CLI_ARG_BUS_NAME, /* of a D-Bus service: org.example.App or org.example.* */
	CLI_ARG_BUS_RULE, /* NAME=METHOD[@PATH] */
	CLI_ARG_NET,	  /* one of the option's words; behind user more, see spec/net.h */
	CLI_ARG_PUBLISH,  /* [ADDR:]HOSTPORT:PORT[/udp], see spec/publish.h */
	CLI_ARG_NET_RULE, /* see spec/netrules.h */
	CLI_ARG_RLIMIT,	  /* NAME=SOFT[:HARD] */
	CLI_ARG_NICE,
	CLI_ARG_OOM_SCORE,
	CLI_ARG_DURATION, /* seconds, or with ms, s, m, h, d */
	CLI_ARG_LIMIT,	  /* of a cgroup; which, says the option */
	CLI_ARG_IO_MAX,	  /* DEVICE:KEY=N[,KEY=N...] */
	CLI_ARG_KIND_COUNT_,
};

struct cli_arg {
	char metavar[20]; /* in capitals, as --help and errors show it */
	enum cli_arg_kind kind;
};

enum cli_group {
	CLI_GENERAL,
	CLI_NAMESPACES,
	CLI_IDENTITY,
	CLI_FILESYSTEM,
	CLI_MODIFIERS,
	CLI_PRIVILEGES,
	CLI_ENVIRONMENT,
	CLI_PROCESS,
	CLI_LIMITS,
	CLI_DESKTOP,
	CLI_HELPERS,
	CLI_GROUP_COUNT_,
};

/* What an option does. Which of a row's fields count is said here. */
enum cli_act {
	CLI_ACT_SET,	     /* field = value */
	CLI_ACT_STORE,	     /* field = the argument, by the field's type and the option's words;
				value where it may be missing, and is */
	CLI_ACT_UNSHARE_ALL, /* every namespace new */
	CLI_ACT_NET,	     /* the network, by the option's words */
	CLI_ACT_OP,    /* append an operation: op, op_flags, dest; the rest from the arguments */
	CLI_ACT_PERMS, /* these three modify the operation that follows */
	CLI_ACT_SIZE,
	CLI_ACT_MOUNT_OPT,
	CLI_ACT_ENV,	    /* append: value is an enum spec_env_kind */
	CLI_ACT_CAP,	    /* append: value is an enum spec_cap_kind */
	CLI_ACT_PASS_FD,    /* append */
	CLI_ACT_HELPER,	    /* append */
	CLI_ACT_SECCOMP,    /* append: value is an enum spec_seccomp_kind */
	CLI_ACT_SECCOMP_FD, /* append */
	CLI_ACT_BUS,	    /* append: value is an enum spec_bus_kind */
	CLI_ACT_PUBLISH,    /* append */
	CLI_ACT_NET_RULE,   /* append: value is an enum spec_net_rule_kind */
	CLI_ACT_RLIMIT,	    /* append */
	CLI_ACT_IO_MAX,	    /* append */
	CLI_ACT_ARGS,	    /* read options from a descriptor */
	CLI_ACT_PROFILE,    /* read options from a file */
	CLI_ACT_EXPLAIN,    /* run->action = value, or that of the word */
	CLI_ACT_ANSWER,	    /* run->action = value, and nothing else matters */
	CLI_ACT_VERBOSE,
	CLI_ACT_LEVEL_PREFIX,
	CLI_ACT_COUNT_,
};

struct cli_word {
	const char *word; /* NULL: behind the last */
	int64_t value;
};

/* Which list of words an option's argument is one of. */
enum cli_word_list {
	CLI_WORDS_OF_FIELD, /* the field's, where that is an enum */
	CLI_WORDS_EXPLAIN,
	CLI_WORDS_NET,
	CLI_WORDS_MOUNT_OPT,
	CLI_WORDS_PROTECT,
	CLI_WORDS_MASK_SOCKETS,
	CLI_WORDS_SECCOMP,
	CLI_WORDS_HELPER,
	CLI_WORDS_COUNT_,
};

/*
 * Plain data without a pointer, so that it needs no relocation: a launch would pay for
 * every page of it, read or not.
 */
struct cli_option {
	char name[28];	/* with its dashes: "--ro-bind" */
	char letter[3]; /* "-h", or "" */
	enum cli_group group;
	struct cli_arg args[CLI_ARGS_MAX];
	bool arg_optional; /* the one argument may be missing, and is given with = only */
	char help[56];	   /* one line */

	enum cli_act act;
	enum spec_field_id field;
	int64_t value;
	enum cli_word_list words;
	enum spec_op_kind op;
	uint32_t op_flags; /* enum spec_op_flag */
	char dest[8];	   /* where no argument is the destination; else "" */
};

/* What people coming from other tools type, and what to say. */
struct cli_advice {
	const char *word;
	const char *text;
};

extern const struct cli_option cli_options[];
extern const size_t cli_n_options;
extern const char *const cli_group_titles[CLI_GROUP_COUNT_];
extern const struct cli_advice cli_advices[];
extern const size_t cli_n_advices;

const struct cli_option *cli_find_option(const char *word, size_t len);
const char *cli_find_similar(const char *word);
const char *cli_find_advice(const char *word, size_t len);
size_t cli_option_n_args(const struct cli_option *option);
const char *cli_option_word(const struct cli_option *option, size_t index, int64_t *ret_value);
bool cli_option_takes_equals(const struct cli_option *option);
void cli_option_show(const struct cli_option *option, struct str_buf *out);
