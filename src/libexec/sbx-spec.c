/* SPDX-License-Identifier: MIT */
/*
 * sbx-spec: read a spec that `sbx --explain=spec` printed, and print it in
 * another form: as options for `sbx --args FD`, as the command's words, or as
 * the same JSON in its normal form. A program of its own because it reads JSON
 * that may come from anybody, which the launch binary does not.
 *
 *     sbx --ro-bind /usr /usr --explain=spec -- ls -l >box.json
 *     sbx --args 3 3< <(sbx-spec box.json) -- bash
 *
 * Exit status: 0, 1 failed, 2 usage.
 */

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sink.h"
#include "sbx/cli/cli.h"
#include "sbx/libexec/spec_read.h"
#include "sbx/libexec/spec_words.h"
#include "sbx/spec/spec_json.h"

static const char usage[] =
	"usage: sbx-spec [--options|--command|--json] [FILE]\n"
	"\n"
	"Read a spec, as `sbx --explain=spec` prints it, from FILE or standard input.\n"
	"\n"
	"  --options  print its options, NUL-terminated, for `sbx --args FD` (the default)\n"
	"  --command  print the command's words, NUL-terminated\n"
	"  --json     print the spec again, with everything in its usual place\n";

static int print_words(const char *const *words, size_t n_words, struct sbx_err *err)
{
	char room[16384];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	int r;

	for (size_t i = 0; i < n_words; i++)
		sink_write(&sink, words[i], strlen(words[i]) + 1);
	r = sink_finish(&sink);
	return r < 0 ? err_system(err, -r, NULL, "cannot write") : 0;
}

/* Have the parser look at the words: a spec that no command line makes is refused. */
static int check_words(const struct sbx_spec *spec, const struct spec_words *words,
		       struct sbx_err *err)
{
	struct arena _autoarena_ arena = {.chunks = NULL};
	const char *stand_in = "true"; /* a spec without a command is given one later */
	const char *const *command = spec->n_argv > 0 ? spec->argv : &stand_in;
	size_t n_command = spec->n_argv > 0 ? spec->n_argv : 1;
	size_t argc = words->n_words + n_command + 2;
	struct cli_run run;
	char **argv;
	int r;

	argv = arena_alloc(&arena, (argc + 1) * sizeof(*argv));
	if (!argv || argc > INT_MAX)
		return err_oom(err);
	argv[0] = (char *)(uintptr_t) "sbx";
	if (words->n_words > 0)
		memcpy(argv + 1, words->words, words->n_words * sizeof(*argv));
	argv[words->n_words + 1] = (char *)(uintptr_t) "--";
	memcpy(argv + words->n_words + 2, command, n_command * sizeof(*argv));

	cli_run_init(&run);
	r = cli_parse_run((int)argc, argv, &run, err);
	cli_run_finish(&run);
	return r;
}

static int print_options(const struct sbx_spec *spec, struct sbx_err *err)
{
	struct arena _autoarena_ arena = {.chunks = NULL};
	struct spec_words words = {.words = NULL};
	int r = spec_to_words(spec, &arena, &words, err);

	if (r == 0)
		r = check_words(spec, &words, err);
	return r < 0 ? r : print_words(words.words, words.n_words, err);
}

static int print_command(const struct sbx_spec *spec, struct sbx_err *err)
{
	return print_words(spec->argv, spec->n_argv, err);
}

static int print_json(const struct sbx_spec *spec, struct sbx_err *err)
{
	return spec_write_json(spec, STDOUT_FILENO, err);
}

static const struct form {
	const char *option;
	int (*print)(const struct sbx_spec *spec, struct sbx_err *err);
} forms[] = {
	{"--options", print_options}, /* the first is the default */
	{"--command", print_command},
	{"--json", print_json},
};

/* Read FILE, or standard input where there is none. */
static int read_input(const char *path, struct arena *arena, char **ret_data, size_t *ret_len,
		      struct sbx_err *err)
{
	int r = path ? io_read_file(path, SPEC_READ_MAX_BYTES, arena, ret_data, ret_len)
		     : io_read_all(STDIN_FILENO, SPEC_READ_MAX_BYTES, arena, ret_data, ret_len);

	return r < 0 ? err_system(err, -r, path ? path : "standard input", "cannot read") : 0;
}

static int convert(const char *path, const struct form *form, struct sbx_err *err)
{
	struct arena _autoarena_ arena = {.chunks = NULL};
	struct sbx_spec spec;
	size_t len = 0;
	char *data = NULL;
	int r;

	r = read_input(path, &arena, &data, &len, err);
	if (r < 0)
		return r;
	spec_init(&spec);
	r = spec_read_json(data, len, &spec, err);
	if (r == 0)
		r = form->print(&spec, err);
	spec_finish(&spec);
	return r;
}

static const struct form *find_form(const char *option)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (str_equal(forms[i].option, option))
			return &forms[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct form *form = &forms[0];
	struct sbx_err err;
	int next = 1;

	if (argc > 1 && str_equal(argv[1], "--help")) {
		(void)io_write_all(STDOUT_FILENO, usage, strlen(usage));
		return 0;
	}
	if (next < argc && str_starts_with(argv[next], "-")) {
		form = find_form(argv[next++]);
		if (form && next < argc && str_equal(argv[next], "--"))
			next++;
	}
	if (!form || argc - next > 1) {
		(void)io_write_all(STDERR_FILENO, usage, strlen(usage));
		return 2;
	}
	if (convert(argv[next], form, &err) < 0) {
		err_print(&err, "sbx-spec", STDERR_FILENO);
		return 1;
	}
	return 0;
}
