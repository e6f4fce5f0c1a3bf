/* SPDX-License-Identifier: MIT */
/*
 * verbs: the table of verbs, and which of them, or the run form, a command line
 * means. The first word decides: with a dash (or missing) it is the run form. Called by
 * another name than sbx there are no verbs.
 */

#include "sbx/cmd/verbs.h"
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/words.h"
#include "sbx/spec/defaults.h"

/* What a verb exits with; the run form has enum err_exit. */
enum { VERB_EXIT_FAILED = 1, VERB_EXIT_USAGE = 2 };

const struct cmd_verb cmd_verbs[] = {
#define X(name_, args_, summary_, run_)                                                            \
	{.name = (name_), .args = (args_), .summary = (summary_), .run = (run_)},
	CMD_VERBS(X)
#undef X
		{.name = NULL},
};

static const struct cmd_verb *find_verb(const char *word)
{
	for (const struct cmd_verb *verb = cmd_verbs; verb->name; verb++) {
		if (str_equal(verb->name, word))
			return verb;
	}
	return NULL;
}

static int refuse_verb(const char *word, struct sbx_err *err)
{
	err_usage(err, word, "no such verb");
	if (str_equal(word, "run"))
		err_hint(err,
			 "running is what sbx does without a verb: sbx [OPTION...] -- COMMAND");
	else
		err_hint(err, "to run it: sbx [OPTION...] -- %s; sbx help lists verbs and options",
			 *word ? word : "bash");
	return -EINVAL;
}

/* sbx VERB --help, sbx help VERB: any verb's, by its rows. */
static int print_help(const struct cmd_verb *verb, int *ret_exit_code, struct sbx_err *err)
{
	char room[8192];
	struct str_buf out = STR_BUF_ON_STACK(room);
	int r;

	cmd_words_help(verb, &out);
	r = io_write_all(STDOUT_FILENO, out.data, out.len);
	if (r < 0)
		return err_system(err, -r, "stdout", "cannot write");
	*ret_exit_code = 0;
	return 0;
}

int cmd_help_verb(const char *name, int *ret_exit_code, struct sbx_err *err)
{
	const struct cmd_verb *verb = find_verb(name);

	return verb ? print_help(verb, ret_exit_code, err) : refuse_verb(name, err);
}

/**
 * Do what a command line says.
 * @argv:          with the program's name at 0; a verb gets its own name there
 * @ret_exit_code: set on success
 *
 * Return: 0, or -errno with *err filled, its exit_code included.
 */
int cmd_dispatch(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	const struct cmd_verb *verb;
	int r;

	if (argc < 2 || argv[1][0] == '-' || spec_program_called(argv[0]) != SPEC_PROGRAM_SBX)
		return cmd_run(argc, argv, ret_exit_code, err);
	verb = find_verb(argv[1]);
	if (!verb)
		return refuse_verb(argv[1], err);
	if (argc > 2 && (str_equal(argv[2], "--help") || str_equal(argv[2], "-h"))) {
		r = print_help(verb, ret_exit_code, err);
	} else {
		cmd_sweep();
		r = verb->run(argc - 1, argv + 1, ret_exit_code, err);
	}
	if (r < 0 && !cmd_verb_exits_as_a_run(verb->name, verb->args))
		err->exit_code = err->usage ? VERB_EXIT_USAGE : VERB_EXIT_FAILED;
	return r;
}
