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
	CLI_ARG_DEST,	  /* a path inside; an operation's destination */
	CLI_ARG_FD,	  /* a descriptor's number; an operation's fd */
	CLI_ARG_OCTAL,	  /* permission bits; an operation's perms */
	CLI_ARG_SIZE,	  /* bytes, with K, M, G or T */
	CLI_ARG_ID,	  /* a uid or gid */
	CLI_ARG_USER,	  /* U[:G] */
	CLI_ARG_HOSTNAME, /* what sethostname(2) takes */
	CLI_ARG_WORD,	  /* one of the option's words */
	CLI_ARG_WORDS,	  /* several of them, with commas */
	CLI_ARG_ENV,	  /* NAME */
	CLI_ARG_ENV_SET,  /* NAME[=VALUE] */
	CLI_ARG_CAP,	  /* a capability or ALL */
	CLI_ARG_HELPER,	  /* WORD=PATH */
	CLI_ARG_KIND_COUNT_,
};

struct cli_arg {
	const char *metavar; /* in capitals, as --help and errors show it */
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
	CLI_HELPERS,
	CLI_GROUP_COUNT_,
};

/* What an option does. Which of a row's fields count is said here. */
enum cli_act {
	CLI_ACT_SET,	     /* field = value */
	CLI_ACT_STORE,	     /* field = the argument, by the field's type and the option's words */
	CLI_ACT_UNSHARE_ALL, /* every namespace new */
	CLI_ACT_OP,    /* append an operation: op, op_flags, dest; the rest from the arguments */
	CLI_ACT_PERMS, /* these three modify the operation that follows */
	CLI_ACT_SIZE,
	CLI_ACT_MOUNT_OPT,
	CLI_ACT_ENV,	 /* append: value is an enum spec_env_kind */
	CLI_ACT_CAP,	 /* append: value is an enum spec_cap_kind */
	CLI_ACT_PASS_FD, /* append */
	CLI_ACT_HELPER,	 /* append */
	CLI_ACT_ARGS,	 /* read options from a descriptor */
	CLI_ACT_EXPLAIN, /* run->action = value, or that of the word */
	CLI_ACT_ANSWER,	 /* run->action = value, and nothing else matters */
	CLI_ACT_VERBOSE,
	CLI_ACT_COUNT_,
};

struct cli_word {
	const char *word; /* NULL: behind the last */
	int64_t value;
};

struct cli_option {
	const char *name;   /* with its dashes: "--ro-bind" */
	const char *letter; /* "-h", or NULL */
	enum cli_group group;
	struct cli_arg args[CLI_ARGS_MAX];
	bool arg_optional; /* the one argument may be missing, and is given with = only */
	const char *help;  /* one line */

	enum cli_act act;
	enum spec_field_id field;
	int64_t value;
	const struct cli_word *words; /* NULL: those of the field, where that is an enum */
	enum spec_op_kind op;
	uint32_t op_flags; /* enum spec_op_flag */
	const char *dest;  /* where no argument is the destination */
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
