/* SPDX-License-Identifier: MIT */
/*
 * words: see words.h.
 *
 * What a verb takes is said by the text of its arguments, which --help shows: a word in
 * brackets may be missing, one that ends in three dots is repeated, and what comes before
 * COMMAND is followed by no option any more, but "--" may stand there, as before the command of a
 * launch. Else options may stand anywhere before "--".
 */

#include <limits.h>
#include <string.h>

#include "sbx/base/similar.h"
#include "sbx/cli/help.h"
#include "sbx/cmd/words.h"

/* The words that are being read. */
struct reading {
	int argc, next;
	char **argv;
	struct cmd_words *words;
	struct sbx_err *err;
};

static const struct cmd_verb *words_verb(const char *name)
{
	const struct cmd_verb *verb = cmd_verbs;

	while (!str_equal(verb->name, name))
		verb++;
	return verb;
}

static const struct cmd_option *words_find(const char *verb, const char *word, size_t len)
{
	for (size_t i = 0; i < cmd_n_options; i++) {
		const struct cmd_option *option = &cmd_options[i];

		if (!str_equal(option->verb, verb))
			continue;
		if (strlen(option->name) == len && strncmp(option->name, word, len) == 0)
			return option;
		if (option->letter && len == 2 && strncmp(option->letter, word, len) == 0)
			return option;
	}
	return NULL;
}

static int words_refuse(const struct reading *r, const char *word)
{
	struct similar similar = SIMILAR(word, strlen(word), strlen(word));

	(void)err_usage(r->err, word, "sbx %s has no such option", r->words->verb->name);
	for (size_t i = 0; i < cmd_n_options; i++)
		if (str_equal(cmd_options[i].verb, r->words->verb->name))
			similar_offer(&similar, cmd_options[i].name);
	if (similar.found)
		err_hint(r->err, "did you mean %s?", similar.found);
	else
		err_hint(r->err, "sbx %s --help shows those that it has", r->words->verb->name);
	return -EINVAL;
}

static int words_note(const struct reading *r, const struct cmd_option *option, const char *value)
{
	struct cmd_words *words = r->words;

	if (words->n_given == CMD_GIVEN_MAX)
		return err_usage(r->err, option->name, "more than %d options", CMD_GIVEN_MAX);
	words->given[words->n_given++] = (struct cmd_given){option->id, value};
	words->value[option->id] = value;
	return 0;
}

/* An option, with `value` where that is joined to it. */
static int words_take(struct reading *r, const struct cmd_option *option, const char *value)
{
	if (!option->metavar)
		return value ? err_usage(r->err, option->name, "takes no argument")
			     : words_note(r, option, "");
	if (!value && r->next == r->argc)
		return err_usage(r->err, option->name, "needs %s", option->metavar);
	return words_note(r, option, value ? value : r->argv[r->next++]);
}

/* "-it", "-s9": letters, the last of which may have its argument behind it. */
static int words_take_letters(struct reading *r, const char *word)
{
	for (const char *at = word + 1; *at; at++) {
		const char letter[] = {'-', *at, '\0'};
		const struct cmd_option *option = words_find(r->words->verb->name, letter, 2);
		int e;

		if (!option)
			return words_refuse(r, word);
		if (option->metavar)
			return words_take(r, option, at[1] ? at + 1 : NULL);
		e = words_take(r, option, NULL);
		if (e < 0)
			return e;
	}
	return 0;
}

static int words_take_option(struct reading *r, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct cmd_option *option;

	if (word[1] != '-')
		return words_take_letters(r, word);
	option = words_find(r->words->verb->name, word, len);
	if (!option)
		return words_refuse(r, word);
	return words_take(r, option, word[len] ? word + len + 1 : NULL);
}

/* How many operands the verb takes, by the text of its arguments. */
static void words_count(const char *args, int *ret_min, int *ret_max)
{
	*ret_min = *ret_max = 0;
	while (*args) {
		size_t len = strcspn(args, " ");

		*ret_min += args[0] != '[';
		if (memmem(args, len, "...", 3))
			*ret_max = INT_MAX;
		else if (*ret_max < INT_MAX)
			(*ret_max)++;
		args += len + strspn(args + len, " ");
	}
}

/* How many operands stand before COMMAND. 0: the verb takes none. */
static int words_before_command(const char *args)
{
	const char *command = strstr(args, "COMMAND");
	int n = 0;

	for (const char *at = args; command && at < command; at++)
		n += *at == ' ';
	return n;
}

static int words_check(const struct reading *r)
{
	const struct cmd_words *words = r->words;
	int min, max;

	words_count(words->verb->args, &min, &max);
	if (words->n_operands < min) {
		(void)err_usage(r->err, NULL, "sbx %s needs more arguments: %s", words->verb->name,
				words->verb->args);
		return -EINVAL;
	}
	if (words->n_operands > max)
		return err_usage(r->err, words->operands[max], "sbx %s takes no%s argument",
				 words->verb->name, max ? " further" : "");
	return 0;
}

/**
 * Read the words behind a verb. Operands are moved to the front of argv.
 * @argv: with the verb at 0
 *
 * Return: 0, or -errno with *err filled.
 */
int cmd_words_read(int argc, char **argv, struct cmd_words *ret_words, struct sbx_err *err)
{
	struct reading r = {.argc = argc, .next = 1, .argv = argv, .words = ret_words, .err = err};
	bool only_operands = false, at_command = false;
	int before;

	*ret_words = (struct cmd_words){.verb = words_verb(argv[0]), .operands = argv + 1};
	before = words_before_command(ret_words->verb->args);
	while (r.next < argc) {
		char *word = argv[r.next++];
		int e = 0;

		if ((!only_operands || at_command) && str_equal(word, "--")) {
			only_operands = true;
			at_command = false;
		} else if (!only_operands && word[0] == '-' && word[1]) {
			e = words_take_option(&r, word);
		} else {
			ret_words->operands[ret_words->n_operands++] = word;
			at_command = before > 0 && ret_words->n_operands == before;
			only_operands = only_operands || at_command;
		}
		if (e < 0)
			return e;
	}
	ret_words->operands[ret_words->n_operands] = NULL;
	return words_check(&r);
}

/* sbx VERB --help */
void cmd_words_help(const struct cmd_verb *verb, struct str_buf *out)
{
	bool any = false;

	for (size_t i = 0; i < cmd_n_options; i++)
		any = any || str_equal(cmd_options[i].verb, verb->name);
	str_buf_printf(out, "usage: sbx %s%s%s%s\n\n%s\n", verb->name, any ? " [OPTION...]" : "",
		       *verb->args ? " " : "", verb->args, verb->summary);
	for (size_t i = 0; i < cmd_n_options; i++) {
		const struct cmd_option *option = &cmd_options[i];
		char room[128];
		struct str_buf left = STR_BUF_ON_STACK(room);

		if (!str_equal(option->verb, verb->name))
			continue;
		if (option->letter)
			str_buf_printf(&left, "%s, ", option->letter);
		str_buf_printf(&left, "%s%s%s", option->name, option->metavar ? " " : "",
			       option->metavar ? option->metavar : "");
		str_buf_puts(out, any ? "\n" : "");
		any = false;
		cli_help_row(out, left.data, option->help);
	}
}

/* How long ago, for a column of a list: "5 min". What lies in the future is now. */
void cmd_put_age(int64_t seconds, struct str_buf *out)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	seconds = seconds < 0 ? 0 : seconds;
	while (i < ARRAY_SIZE(units) - 1 && seconds < units[i].seconds)
		i++;
	str_buf_printf(out, "%lld %s", (long long)(seconds / units[i].seconds), units[i].unit);
}
