/* SPDX-License-Identifier: MIT */
/*
 * gen_completion: put the option table into a completion script.
 *
 *     gen_completion TEMPLATE OUTPUT
 *
 * The templates in completions/ hold the logic, in the shell's own language;
 * the marks in them give way to data: which options there are, what each of
 * their arguments is, the words they take, verbs, capabilities.
 *
 * Runs in: the build only.
 */

#include <stdbool.h>
#include <string.h>

#include "gen.h"
#include "sbx/base/caps.h"
#include "sbx/base/defs.h"
#include "sbx/cli/options.h"
#include "sbx/cmd/options.h"
#include "sbx/cmd/signal_names.h"
#include "sbx/cmd/verbs.h"
#include "sbx/doctor/table.h"
#include "sbx/seccomp/table.h"

enum { CAPS_MAX = 64 };

static const struct verb {
	const char *name, *args, *summary;
} verbs[] = {
#define X(name_, args_, summary_, run_) {name_, args_, summary_},
	CMD_VERBS(X)
#undef X
};

/* How the scripts call a kind of argument. */
static const char *const kind_names[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = "none",       [CLI_ARG_TEXT] = "none",	    [CLI_ARG_SOURCE] = "path",
	[CLI_ARG_DIR] = "dir",	       [CLI_ARG_WORK] = "dir",	    [CLI_ARG_DEST] = "path",
	[CLI_ARG_FD] = "fd",	       [CLI_ARG_OCTAL] = "none",    [CLI_ARG_SIZE] = "none",
	[CLI_ARG_ID] = "none",	       [CLI_ARG_USER] = "user",	    [CLI_ARG_HOSTNAME] = "none",
	[CLI_ARG_WORD] = "word",       [CLI_ARG_WORDS] = "words",   [CLI_ARG_ENV] = "env",
	[CLI_ARG_ENV_SET] = "env",     [CLI_ARG_CAP] = "cap",	    [CLI_ARG_HELPER] = "helper",
	[CLI_ARG_PROTECT] = "path",    [CLI_ARG_FILTER] = "word",   [CLI_ARG_SYSCALLS] = "calls",
	[CLI_ARG_PROFILE] = "profile", [CLI_ARG_BUS_NAME] = "none", [CLI_ARG_BUS_RULE] = "none",
	[CLI_ARG_NAME] = "none",       [CLI_ARG_RLIMIT] = "none",   [CLI_ARG_NICE] = "none",
	[CLI_ARG_OOM_SCORE] = "none",  [CLI_ARG_DURATION] = "none", [CLI_ARG_NET] = "word",
	[CLI_ARG_PUBLISH] = "none",    [CLI_ARG_LIMIT] = "none",    [CLI_ARG_IO_MAX] = "none",
	[CLI_ARG_NET_RULE] = "none",
};

/* What completes a kind in zsh, as the last part of an _arguments specification. */
static const char *const zsh_actions[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = " ",
	[CLI_ARG_TEXT] = " ",
	[CLI_ARG_SOURCE] = "_files",
	[CLI_ARG_DIR] = "_files -/",
	[CLI_ARG_WORK] = "_files -/",
	[CLI_ARG_DEST] = "_files",
	[CLI_ARG_FD] = "_file_descriptors",
	[CLI_ARG_OCTAL] = " ",
	[CLI_ARG_SIZE] = " ",
	[CLI_ARG_ID] = " ",
	[CLI_ARG_USER] = "_users",
	[CLI_ARG_HOSTNAME] = " ",
	[CLI_ARG_NAME] = " ",
	[CLI_ARG_ENV] = "_parameters -g \"*export*\"",
	[CLI_ARG_ENV_SET] = "_parameters -g \"*export*\"",
	[CLI_ARG_CAP] = "_sbx_caps",
	[CLI_ARG_HELPER] = "_sbx_helper",
	[CLI_ARG_PROFILE] = "_sbx_profiles",
	[CLI_ARG_PROTECT] = "_files",
	[CLI_ARG_SYSCALLS] = "_sbx_calls",
	[CLI_ARG_BUS_NAME] = " ",
	[CLI_ARG_BUS_RULE] = " ",
	[CLI_ARG_PUBLISH] = " ",
	[CLI_ARG_NET_RULE] = " ",
	[CLI_ARG_RLIMIT] = " ",
	[CLI_ARG_NICE] = " ",
	[CLI_ARG_OOM_SCORE] = " ",
	[CLI_ARG_DURATION] = " ",
	[CLI_ARG_LIMIT] = " ",
	[CLI_ARG_IO_MAX] = " ",
};

/* The same for fish, of options with one argument: which flags of complete say it. */
static const char *const fish_actions[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = "",
	[CLI_ARG_TEXT] = "-x",
	[CLI_ARG_SOURCE] = "-rF",
	[CLI_ARG_DIR] = "-x -a '(__fish_complete_directories (__sbx_value))'",
	[CLI_ARG_WORK] = "-x",
	[CLI_ARG_DEST] = "-rF",
	[CLI_ARG_FD] = "-x -a '(__sbx_fds)'",
	[CLI_ARG_OCTAL] = "-x",
	[CLI_ARG_SIZE] = "-x",
	[CLI_ARG_ID] = "-x",
	[CLI_ARG_USER] = "-x -a '(__fish_complete_users)'",
	[CLI_ARG_HOSTNAME] = "-x",
	[CLI_ARG_NAME] = "-x",
	[CLI_ARG_WORDS] = "-x -a '(__sbx_list)'",
	[CLI_ARG_ENV] = "-x -a '(set -nx)'",
	[CLI_ARG_ENV_SET] = "-x -a '(set -nx)'",
	[CLI_ARG_CAP] = "-x -a '(__sbx_caps)'",
	[CLI_ARG_HELPER] = "-x -a '(__sbx_helper)'",
	[CLI_ARG_PROFILE] = "-rF -a '(__sbx_profiles)'",
	[CLI_ARG_PROTECT] = "-rF",
	[CLI_ARG_SYSCALLS] = "-x -a '(__sbx_calls)'",
	[CLI_ARG_BUS_NAME] = "-x",
	[CLI_ARG_BUS_RULE] = "-x",
	[CLI_ARG_PUBLISH] = "-x",
	[CLI_ARG_NET_RULE] = "-x",
	[CLI_ARG_RLIMIT] = "-x",
	[CLI_ARG_NICE] = "-x",
	[CLI_ARG_OOM_SCORE] = "-x",
	[CLI_ARG_DURATION] = "-x",
	[CLI_ARG_LIMIT] = "-x",
	[CLI_ARG_IO_MAX] = "-x",
};

/* What an argument of a verb is called in the text of its arguments, and by the scripts. */
static const struct {
	const char *metavar, *kind;
} operand_kinds[] = {
	{"NAME", "name"},   {"PROFILE", "profile"}, {"SESSION", "session"},
	{"PROBE", "probe"}, {"COMMAND", "command"},
};

/* The same of the arguments of verbs' options. */
static const struct {
	const char *script, *zsh, *fish;
} verb_kinds[CMD_ARG_COUNT_] = {
	[CMD_ARG_NONE] = {NULL, NULL, ""},
	[CMD_ARG_TEXT] = {"none", " ", " -x"},
	[CMD_ARG_SIGNAL] = {"signal", "_sbx_signals", " -x -a '(__sbx_signals)'"},
	[CMD_ARG_ENV] = {"env", "_parameters -g \"*export*\"", " -x -a '(set -nx)'"},
};

/* Text inside single quotes of any of the three shells; `also` gets a backslash. */
static void print_quoted(FILE *out, const char *text, const char *also)
{
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fprintf(out, "%s%c", strchr(also, *text) ? "\\" : "", *text);
	}
}

static void print_words(FILE *out, const struct cli_option *option)
{
	const char *word;

	for (size_t i = 0; (word = cli_option_word(option, i, NULL)); i++)
		(void)fprintf(out, "%s%s", i ? " " : "", word);
}

static void print_kinds(FILE *out, const struct cli_option *option)
{
	for (size_t i = 0; i < cli_option_n_args(option); i++)
		(void)fprintf(out, "%s%s", i ? " " : "", kind_names[option->args[i].kind]);
}

static int list_caps(FILE *out, const void *context)
{
	(void)context;
	(void)fputs("ALL", out);
	for (int i = 0; i < CAPS_MAX; i++) {
		if (caps_to_name(i))
			(void)fprintf(out, "\n%s", caps_to_name(i));
	}
	(void)fputs("\n", out);
	return 0;
}

/* What --seccomp-allow takes: groups and system calls. */
static int list_calls(FILE *out, const void *context)
{
	(void)context;
	(void)fputs("@known\n", out);
#define X(id, name) (void)fputs("@" name "\n", out);
	SECCOMP_GROUPS(X)
#undef X
	for (size_t i = 0; i < seccomp_n_calls(); i++)
		(void)fprintf(out, "%s\n", seccomp_call_name(i));
	return 0;
}

static int list_verbs(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		(void)fprintf(out, "%s\n", verbs[i].name);
	return 0;
}

static int list_options(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		if (cli_options[i].letter[0])
			(void)fprintf(out, "%s\n", cli_options[i].letter);
		(void)fprintf(out, "%s\n", cli_options[i].name);
	}
	return 0;
}

static int list_signals(FILE *out, const void *context)
{
	const char *name;

	(void)context;
	for (size_t i = 0; (name = signal_name_at(i)); i++)
		(void)fprintf(out, "%s\n", name);
	return 0;
}

static int list_probes(FILE *out, const void *context)
{
	static const char *const names[] = {
#define X(name, function, arg, need, options, title, why) name,
		DOCTOR_PROBES(X)
#undef X
	};

	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)fprintf(out, "%s\n", names[i]);
	return 0;
}

/* "name command": what the operands of a verb are */
static void print_operands(FILE *out, const struct verb *verb)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(operand_kinds); i++) {
		if (!strstr(verb->args, operand_kinds[i].metavar))
			continue;
		(void)fprintf(out, "%s%s", first ? "" : " ", operand_kinds[i].kind);
		first = false;
	}
}

/* ---- bash ---- */

/* The options of a verb, which of them take what, and its operands. */
static int bash_verbs(FILE *out, const void *context)
{
	(void)context;
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		(void)fprintf(out, "\t%s) options='--help", verbs[v].name);
		for (size_t i = 0; i < cmd_n_options; i++)
			if (strcmp(cmd_options[i].verb, verbs[v].name) == 0)
				(void)fprintf(out, " %s", cmd_options[i].name);
		(void)fputs("' with='", out);
		for (size_t i = 0; i < cmd_n_options; i++) {
			const struct cmd_option *option = &cmd_options[i];
			const char *kind = verb_kinds[option->kind].script;

			if (strcmp(option->verb, verbs[v].name) != 0 || !option->metavar)
				continue;
			(void)fprintf(out, " %s:%s", option->name, kind);
			if (option->letter)
				(void)fprintf(out, " %s:%s", option->letter, kind);
		}
		(void)fputs(" ' operands='", out);
		print_operands(out, &verbs[v]);
		(void)fputs("' ;;\n", out);
	}
	return 0;
}

/* An argument that may be missing is never the next word. */
static int bash_kinds(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		if (cli_option_n_args(option) == 0)
			continue;
		(void)fprintf(out, "\t%s) %s=(", option->name,
			      option->arg_optional ? "equals" : "kinds");
		print_kinds(out, option);
		(void)fputs(") ;;\n", out);
	}
	return 0;
}

static int bash_words(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		if (!cli_option_word(&cli_options[i], 0, NULL))
			continue;
		(void)fprintf(out, "\t%s) list='", cli_options[i].name);
		print_words(out, &cli_options[i]);
		(void)fputs("' ;;\n", out);
	}
	return 0;
}

/* Are the option's words what it is completed with? */
static bool takes_a_word(enum cli_arg_kind kind)
{
	return kind == CLI_ARG_WORD || kind == CLI_ARG_FILTER || kind == CLI_ARG_NET;
}

/* ---- zsh ---- */

static void zsh_argument(FILE *out, const struct cli_option *option, const struct cli_arg *arg)
{
	(void)fputs(option->arg_optional ? "::" : ":", out);
	print_quoted(out, arg->metavar, ":\\");
	(void)fputs(":", out);
	if (takes_a_word(arg->kind)) {
		(void)fputs("(", out);
		print_words(out, option);
		(void)fputs(")", out);
	} else if (arg->kind == CLI_ARG_WORDS) {
		(void)fputs("_values -s , option ", out);
		for (size_t i = 0; cli_option_word(option, i, NULL); i++) {
			const char *word = cli_option_word(option, i, NULL);
			size_t len = strcspn(word, "=");

			(void)fprintf(out, "%s%.*s%s", i ? " " : "", (int)len, word,
				      word[len] ? "\\:value\\:" : "");
		}
	} else {
		print_quoted(out, zsh_actions[arg->kind], "");
	}
}

static void zsh_option(FILE *out, const struct cli_option *option, const char *name)
{
	size_t n_args = cli_option_n_args(option);

	(void)fprintf(out, "\t\t'*%s%s[", name,
		      option->arg_optional			     ? "=-"
		      : n_args == 1 && str_equal(name, option->name) ? "="
								     : "");
	print_quoted(out, option->help, "[]\\");
	(void)fputs("]", out);
	for (size_t i = 0; i < n_args; i++)
		zsh_argument(out, option, &option->args[i]);
	(void)fputs("'\n", out);
}

static int zsh_options(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		if (cli_options[i].letter[0])
			zsh_option(out, &cli_options[i], cli_options[i].letter);
		zsh_option(out, &cli_options[i], cli_options[i].name);
	}
	return 0;
}

static int zsh_verbs(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		(void)fprintf(out, "\t\t'%s:", verbs[i].name);
		print_quoted(out, verbs[i].summary, "");
		(void)fputs("'\n", out);
	}
	return 0;
}

/* One _arguments specification for each option, and the operands. */
static int zsh_verb_options(FILE *out, const void *context)
{
	(void)context;
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		bool command = strstr(verbs[v].args, "COMMAND") != NULL;

		(void)fprintf(out, "\t%s)\n\t\t_arguments -s -S \\\n", verbs[v].name);
		for (size_t i = 0; i < cmd_n_options; i++) {
			const struct cmd_option *option = &cmd_options[i];

			if (strcmp(option->verb, verbs[v].name) != 0)
				continue;
			for (int n = 0; n < 2; n++) {
				const char *name = n ? option->name : option->letter;

				if (!name)
					continue;
				(void)fprintf(out, "\t\t\t'*%s%s[", name,
					      n && option->metavar ? "=" : "");
				print_quoted(out, option->help, "[]\\");
				(void)fputs("]", out);
				if (option->metavar) {
					(void)fputs(":", out);
					print_quoted(out, option->metavar, ":\\[]");
					(void)fputs(":", out);
					print_quoted(out, verb_kinds[option->kind].zsh, "");
				}
				(void)fputs("' \\\n", out);
			}
		}
		if (command)
			(void)fputs("\t\t\t'(-)1:name:_sbx_names' '(-)2:command:_command_names -e' "
				    "'*::arguments:_normal' ;;\n",
				    out);
		else if (strstr(verbs[v].args, "NAME"))
			(void)fputs("\t\t\t'*:name:_sbx_names' ;;\n", out);
		else if (strstr(verbs[v].args, "PROFILE"))
			(void)fputs("\t\t\t'1:profile:_sbx_profiles' ;;\n", out);
		else if (strstr(verbs[v].args, "SESSION"))
			(void)fputs("\t\t\t'1:session:_sbx_sessions' ;;\n", out);
		else if (strstr(verbs[v].args, "PROBE"))
			(void)fputs("\t\t\t'*:probe:_sbx_probes' ;;\n", out);
		else
			(void)fputs("\t\t\t'--help[how it is used]' ;;\n", out);
	}
	return 0;
}

/* ---- fish ---- */

/* Options of verbs that take a command: which have an argument. */
static void fish_with(FILE *out)
{
	(void)fputs("set -g __sbx_with", out);
	for (size_t i = 0; i < cmd_n_options; i++) {
		if (!cmd_options[i].metavar)
			continue;
		(void)fprintf(out, " %s", cmd_options[i].name);
		if (cmd_options[i].letter)
			(void)fprintf(out, " %s", cmd_options[i].letter);
	}
	(void)fputs("\n", out);
}

static int fish_verb_options(FILE *out, const void *context)
{
	(void)context;
	fish_with(out);
	for (size_t i = 0; i < cmd_n_options; i++) {
		const struct cmd_option *option = &cmd_options[i];

		(void)fprintf(out, "complete -c sbx -n '__sbx_in_verb %s' -l %s", option->verb,
			      option->name + strlen("--"));
		if (option->letter)
			(void)fprintf(out, " -s %s", option->letter + strlen("-"));
		(void)fprintf(out, "%s -d '", verb_kinds[option->kind].fish);
		print_quoted(out, option->help, "");
		(void)fputs("'\n", out);
	}
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		const char *name = verbs[v].name, *what = "__sbx_names";
		bool command = strstr(verbs[v].args, "COMMAND") != NULL;

		if (strstr(verbs[v].args, "PROFILE"))
			what = "__sbx_profiles";
		else if (strstr(verbs[v].args, "SESSION"))
			what = "__sbx_sessions";
		else if (strstr(verbs[v].args, "PROBE"))
			what = "__sbx_probes";
		else if (!strstr(verbs[v].args, "NAME"))
			continue;
		(void)fprintf(out, "complete -c sbx -n '__sbx_in_verb %s%s' -xa '(%s)'\n", name,
			      command ? "; and not __sbx_is_named" : "", what);
		if (command)
			(void)fprintf(out,
				      "complete -c sbx -n '__sbx_in_verb %s; and __sbx_is_named' "
				      "-xa '(__sbx_complete_named)'\n",
				      name);
	}
	return 0;
}

static int fish_kinds(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		if (cli_option_n_args(option) == 0 || option->arg_optional)
			continue;
		(void)fprintf(out, "\t\tcase %s\n\t\t\tstring split ' ' '", option->name);
		print_kinds(out, option);
		(void)fputs("'\n", out);
	}
	return 0;
}

/* With one argument an option is what fish knows, the form with = included. */
static void fish_argument(FILE *out, const struct cli_option *option)
{
	enum cli_arg_kind kind = option->args[0].kind;

	if (!takes_a_word(kind)) {
		(void)fprintf(out, " %s", fish_actions[kind]);
		return;
	}
	(void)fprintf(out, " %s '", option->arg_optional ? "-a" : "-x -a");
	print_words(out, option);
	(void)fputs("'", out);
}

static int fish_options(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		(void)fprintf(out, "complete -c sbx -n __sbx_in_options -l %s",
			      option->name + strlen("--"));
		if (option->letter[0])
			(void)fprintf(out, " -s %s", option->letter + strlen("-"));
		if (cli_option_n_args(option) == 1)
			fish_argument(out, option);
		(void)fputs(" -d '", out);
		print_quoted(out, option->help, "");
		(void)fputs("'\n", out);
	}
	return 0;
}

/* The one option whose argument is a list, and the one that names a helper. */
static int fish_words(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		if (option->args[0].kind != CLI_ARG_WORDS && option->args[0].kind != CLI_ARG_HELPER)
			continue;
		(void)fprintf(out, "set -g __sbx_%s ", kind_names[option->args[0].kind]);
		print_words(out, option);
		(void)fputs("\n", out);
	}
	return 0;
}

static int fish_verbs(FILE *out, const void *context)
{
	(void)context;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		(void)fprintf(out, "complete -c sbx -n '__sbx_at first' -a %s -d '", verbs[i].name);
		print_quoted(out, verbs[i].summary, "");
		(void)fputs("'\n", out);
	}
	return 0;
}

static const struct gen_mark marks[] = {
	{"@LIST_CAPS@", list_caps},
	{"@LIST_VERBS@", list_verbs},
	{"@LIST_OPTIONS@", list_options},
	{"@BASH_KINDS@", bash_kinds},
	{"@BASH_WORDS@", bash_words},
	{"@ZSH_OPTIONS@", zsh_options},
	{"@ZSH_VERBS@", zsh_verbs},
	{"@FISH_KINDS@", fish_kinds},
	{"@FISH_OPTIONS@", fish_options},
	{"@FISH_WORDS@", fish_words},
	{"@LIST_SIGNALS@", list_signals},
	{"@LIST_PROBES@", list_probes},
	{"@BASH_VERBS@", bash_verbs},
	{"@ZSH_VERB_OPTIONS@", zsh_verb_options},
	{"@FISH_VERB_OPTIONS@", fish_verb_options},
	{"@FISH_VERBS@", fish_verbs},
	{"@LIST_CALLS@", list_calls},
};

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fputs("usage: gen_completion TEMPLATE OUTPUT\n", stderr);
		return 2;
	}
	return gen_fill_template(argv[1], argv[2], marks, ARRAY_SIZE(marks), NULL) < 0 ? 1 : 0;
}
