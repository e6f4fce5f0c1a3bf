/* SPDX-License-Identifier: MIT */
/*
 * parse: apply the option table to words.
 *
 * Theory of operation
 *
 * Words come from argv or from an --args stream; both are walked by the same
 * function over an array of words. Each option is found in the table, its
 * arguments are collected and checked by their kind, then one function per
 * action (cli_acts) puts them into the spec. No function here knows an option
 * by name but --args, which is not allowed inside a stream.
 *
 * This file goes from word to word. How an argument is checked is in parse_args.c, what the
 * actions do in parse_acts.c; those that wait for the next operation are in parse_modifiers.c,
 * those that read words from elsewhere in parse_sources.c.
 *
 * Nothing is copied unless it must be cut: strings point into argv or, for a
 * stream, into the spec's arena.
 */

#include <assert.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parse_parts.h"

/* May it stand between a modifier and the operation that takes it? */
static bool is_transparent(const struct cli_option *option)
{
	return option->group == CLI_MODIFIERS || option->act == CLI_ACT_ARGS ||
	       option->act == CLI_ACT_PROFILE;
}

static int refuse_unknown(const char *word, struct sbx_err *err)
{
	const char *advice = cli_find_advice(word, strcspn(word, "="));
	const char *similar = cli_find_similar(word);

	if (advice)
		return err_usage(err, word, "%s", advice);
	if (similar)
		return err_usage(err, word, "unknown option; did you mean %s?", similar);
	err_usage(err, word, "unknown option");
	err_hint(err, "sbx --help lists the options");
	return -EINVAL;
}

/* docker's -v SRC:DST and bubblewrap-like -v are told apart by what follows. */
static int check_not_a_volume(const struct cli_option *option, const struct words *words,
			      struct sbx_err *err)
{
	const char *next = words->next < words->count ? words->list[words->next] : "";

	if (option->act != CLI_ACT_VERBOSE || *next == '-' || !strchr(next, ':'))
		return 0;
	return err_usage(err, option->letter,
			 "a volume is given as --bind SRC DEST (or --ro-bind SRC DEST), "
			 "not as \"%s\"",
			 next);
}

/* The value of --option=VALUE: only an option with one argument can have it. */
static int take_equals(struct use *use, const char *value, struct sbx_err *err)
{
	const struct cli_option *option = use->option;
	size_t wanted = cli_option_n_args(option);
	char room[128];
	struct str_buf form = STR_BUF_ON_STACK(room);

	if (wanted == 1) {
		use->args[0] = value;
		use->n_args = 1;
		return 0;
	}
	if (wanted == 0)
		return err_usage(err, option->name, "takes no argument, so no \"=%s\"", value);
	cli_option_show(option, &form);
	return err_usage(err, option->name, "takes %zu arguments, so no \"=\": write %s", wanted,
			 form.data);
}

/*
 * A path called -- that has no other -- behind it is none: an argument was forgotten, and
 * what follows is the command.
 */
static bool ends_early(const struct use *use, const struct words *words)
{
	enum cli_arg_kind kind = use->option->args[use->n_args].kind;
	bool is_path = kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR || kind == CLI_ARG_DEST ||
		       kind == CLI_ARG_PROTECT;

	if (!is_path || !str_equal(words->list[words->next], "--"))
		return false;
	for (size_t i = words->next + 1; i < words->count; i++)
		if (str_equal(words->list[i], "--"))
			return false;
	return true;
}

static int take_args(struct use *use, struct words *words, struct sbx_err *err)
{
	size_t wanted = use->option->arg_optional ? 0 : cli_option_n_args(use->option);
	char room[128];
	struct str_buf form = STR_BUF_ON_STACK(room);

	while (use->n_args < wanted) {
		if (words->next == words->count || ends_early(use, words)) {
			cli_option_show(use->option, &form);
			return err_usage(err, use->option->name, "%s is missing: write %s",
					 use->option->args[use->n_args].metavar, form.data);
		}
		use->args[use->n_args++] = words->list[words->next++];
	}
	return 0;
}

static int check_args(struct use *use, struct sbx_err *err)
{
	for (size_t i = 0; i < use->n_args; i++) {
		int r = parser_check_arg(use->option, i, use->args[i], &use->numbers[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Read one option with its arguments and do what it says. */
int parser_read_option(struct parser *p, struct words *words, struct sbx_err *err)
{
	const char *word = words->list[words->next++];
	const char *equals = str_starts_with(word, "--") ? strchr(word, '=') : NULL;
	struct use use = {.option = p->last};
	int r;

	if (!p->last || !str_equal(p->last->name, word))
		use.option = cli_find_option(word, equals ? (size_t)(equals - word) : strlen(word));
	if (!use.option)
		return refuse_unknown(word, err);
	p->last = use.option;

	r = equals ? take_equals(&use, equals + 1, err) : take_args(&use, words, err);
	if (r == 0)
		r = check_args(&use, err);
	if (r == 0 && str_equal(word, use.option->letter))
		r = check_not_a_volume(use.option, words, err);
	if (r == 0 && use.option->act != CLI_ACT_OP && !is_transparent(use.option))
		r = parser_check_modifiers(p, use.option->name, err);
	if (r == 0)
		r = parser_act(p, &use, err);
	if (r == 0 && use.option->group != CLI_MODIFIERS && !p->answered)
		r = parser_check_layers(p, use.option, err);
	return r;
}

/* Read options up to the first word that is none; -- is read too. */
static int parse_options(struct parser *p, struct words *words, struct sbx_err *err)
{
	while (words->next < words->count && !p->answered) {
		const char *word = words->list[words->next];
		int r;

		if (word[0] != '-')
			return 0;
		if (str_equal(word, "--")) {
			words->next++;
			return 0;
		}
		r = parser_read_option(p, words, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int parser_take_command(struct parser *p, struct words *words, struct sbx_err *err)
{
	int checked = parser_check_layers(p, NULL, err);

	if (checked < 0)
		return checked;
	if (words->next == words->count) {
		err_usage(err, NULL, "no command was given");
		err_hint(err, "for a shell: sbx --ro-bind /usr /usr -- bash");
		return -EINVAL;
	}
	if (*words->list[words->next] == '\0')
		return err_usage(err, NULL, "the command is an empty word");
	while (words->next < words->count) {
		int r = spec_add_arg(&p->run->spec, words->list[words->next++], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* A parser of a command line in that grammar. */
void parser_init(struct parser *p, struct cli_run *run, parser_grammar *grammar)
{
	static const struct source typed = {.kind = FROM_ARGV};

	*p = (struct parser){.run = run, .parse_options = grammar, .source = &typed};
}

/* The words of a command line behind the program's name, which may be missing. */
void parser_set_words(struct words *words, int argc, char *const *argv)
{
	*words = (struct words){
		.list = (const char *const *)argv,
		.count = argc > 0 ? (size_t)argc : 0,
		.next = argc > 0 ? 1 : 0,
	};
}

void cli_run_init(struct cli_run *run)
{
	spec_init(&run->spec);
	run->action = CLI_RUN;
	run->verbose = false;
	run->warnings = NULL;
	run->n_warnings = 0;
	run->level_prefix = false;
}

void cli_run_finish(struct cli_run *run)
{
	spec_finish(&run->spec);
}

/**
 * Read a command line of the run form.
 * @argv: with the program's name at 0; strings are borrowed by the spec
 * @run:  initialised; on failure half filled, to be finished all the same
 *
 * Where the action is CLI_HELP or CLI_VERSION, what stood behind that option
 * was not looked at, and there may be no command.
 *
 * Return: 0, or -errno with *err filled.
 */
int cli_parse_run(int argc, char *const *argv, struct cli_run *run, struct sbx_err *err)
{
	struct parser p;
	struct words words;
	int r;

	assert(argv && run && err);
	parser_init(&p, run, parse_options);
	parser_set_words(&words, argc, argv);
	r = parse_options(&p, &words, err);
	if (r < 0 || p.answered)
		return r;
	r = parser_check_modifiers(&p, NULL, err);
	return r < 0 ? r : parser_take_command(&p, &words, err);
}
