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

#include <string.h>

#include "gen.h"
#include "sbx/base/caps.h"
#include "sbx/base/defs.h"
#include "sbx/cli/options.h"
#include "sbx/cmd/verbs.h"

enum { CAPS_MAX = 64 };

static const struct verb {
	const char *name, *summary;
} verbs[] = {
#define X(name_, args_, summary_, run_) {name_, summary_},
	CMD_VERBS(X)
#undef X
};

/* How the scripts call a kind of argument. */
static const char *const kind_names[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = "none",   [CLI_ARG_TEXT] = "none",	[CLI_ARG_SOURCE] = "path",
	[CLI_ARG_DIR] = "dir",	   [CLI_ARG_DEST] = "path",	[CLI_ARG_FD] = "fd",
	[CLI_ARG_OCTAL] = "none",  [CLI_ARG_SIZE] = "none",	[CLI_ARG_ID] = "none",
	[CLI_ARG_USER] = "user",   [CLI_ARG_HOSTNAME] = "none", [CLI_ARG_WORD] = "word",
	[CLI_ARG_WORDS] = "words", [CLI_ARG_ENV] = "env",	[CLI_ARG_ENV_SET] = "env",
	[CLI_ARG_CAP] = "cap",	   [CLI_ARG_HELPER] = "helper",
};

/* What completes a kind in zsh, as the last part of an _arguments specification. */
static const char *const zsh_actions[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = " ",
	[CLI_ARG_TEXT] = " ",
	[CLI_ARG_SOURCE] = "_files",
	[CLI_ARG_DIR] = "_files -/",
	[CLI_ARG_DEST] = "_files",
	[CLI_ARG_FD] = "_file_descriptors",
	[CLI_ARG_OCTAL] = " ",
	[CLI_ARG_SIZE] = " ",
	[CLI_ARG_ID] = " ",
	[CLI_ARG_USER] = "_users",
	[CLI_ARG_HOSTNAME] = " ",
	[CLI_ARG_ENV] = "_parameters -g \"*export*\"",
	[CLI_ARG_ENV_SET] = "_parameters -g \"*export*\"",
	[CLI_ARG_CAP] = "_sbx_caps",
	[CLI_ARG_HELPER] = "_sbx_helper",
};

/* The same for fish, of options with one argument: which flags of complete say it. */
static const char *const fish_actions[CLI_ARG_KIND_COUNT_] = {
	[CLI_ARG_NONE] = "",
	[CLI_ARG_TEXT] = "-x",
	[CLI_ARG_SOURCE] = "-rF",
	[CLI_ARG_DIR] = "-x -a '(__fish_complete_directories (__sbx_value))'",
	[CLI_ARG_DEST] = "-rF",
	[CLI_ARG_FD] = "-x -a '(__sbx_fds)'",
	[CLI_ARG_OCTAL] = "-x",
	[CLI_ARG_SIZE] = "-x",
	[CLI_ARG_ID] = "-x",
	[CLI_ARG_USER] = "-x -a '(__fish_complete_users)'",
	[CLI_ARG_HOSTNAME] = "-x",
	[CLI_ARG_WORDS] = "-x -a '(__sbx_list)'",
	[CLI_ARG_ENV] = "-x -a '(set -nx)'",
	[CLI_ARG_ENV_SET] = "-x -a '(set -nx)'",
	[CLI_ARG_CAP] = "-x -a '(__sbx_caps)'",
	[CLI_ARG_HELPER] = "-x -a '(__sbx_helper)'",
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
		if (cli_options[i].letter)
			(void)fprintf(out, "%s\n", cli_options[i].letter);
		(void)fprintf(out, "%s\n", cli_options[i].name);
	}
	return 0;
}

/* ---- bash ---- */

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

/* ---- zsh ---- */

static void zsh_argument(FILE *out, const struct cli_option *option, const struct cli_arg *arg)
{
	(void)fputs(option->arg_optional ? "::" : ":", out);
	print_quoted(out, arg->metavar, ":\\");
	(void)fputs(":", out);
	if (arg->kind == CLI_ARG_WORD) {
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
		if (cli_options[i].letter)
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

/* ---- fish ---- */

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

	if (kind != CLI_ARG_WORD) {
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
		if (option->letter)
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
	{"@LIST_CAPS@", list_caps},	  {"@LIST_VERBS@", list_verbs},
	{"@LIST_OPTIONS@", list_options}, {"@BASH_KINDS@", bash_kinds},
	{"@BASH_WORDS@", bash_words},	  {"@ZSH_OPTIONS@", zsh_options},
	{"@ZSH_VERBS@", zsh_verbs},	  {"@FISH_KINDS@", fish_kinds},
	{"@FISH_OPTIONS@", fish_options}, {"@FISH_WORDS@", fish_words},
	{"@FISH_VERBS@", fish_verbs},
};

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fputs("usage: gen_completion TEMPLATE OUTPUT\n", stderr);
		return 2;
	}
	return gen_fill_template(argv[1], argv[2], marks, ARRAY_SIZE(marks), NULL) < 0 ? 1 : 0;
}
