/* SPDX-License-Identifier: MIT */
/* fuzz: see the header. */

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "sbx/base/io.h"
#include "sbx/libexec/spec_read.h"
#include "sbx/libexec/spec_words.h"
#include "sbx/spec/spec_json.h"

enum { FUZZ_JSON_MAX_BYTES = 64 << 20 };

char *fuzz_to_json(const struct sbx_spec *spec, struct arena *arena)
{
	_autoclose_ int fd = memfd_create("json", MFD_CLOEXEC);
	struct sbx_err err;
	char *text = NULL;
	size_t len = 0;

	assert(fd >= 0);
	assert(spec_write_json(spec, fd, &err) == 0);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	assert(io_read_all(fd, FUZZ_JSON_MAX_BYTES, arena, &text, &len) == 0);
	assert(strlen(text) == len);
	return text;
}

int fuzz_parse(const char *const *options, size_t n_options, const struct sbx_spec *spec,
	       struct cli_run *run, struct arena *arena)
{
	size_t argc = 1 + n_options + 1 + spec->n_argv;
	const char **argv = arena_alloc(arena, (argc + 1) * sizeof(*argv));
	struct sbx_err err;

	assert(argv);
	argv[0] = "sbx";
	for (size_t i = 0; i < n_options; i++)
		argv[1 + i] = options[i];
	argv[1 + n_options] = "--";
	for (size_t i = 0; i < spec->n_argv; i++)
		argv[2 + n_options + i] = spec->argv[i];
	return cli_parse_run((int)argc, (char *const *)(uintptr_t)argv, run, &err);
}

void fuzz_check_round_trip(const struct sbx_spec *spec)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct spec_words words = {.words = NULL};
	struct sbx_spec copy;
	struct cli_run run;
	struct sbx_err err;
	char *json = fuzz_to_json(spec, &arena);

	spec_init(&copy);
	assert(spec_read_json(json, strlen(json), &copy, &err) == 0);
	assert(strcmp(fuzz_to_json(&copy, &arena), json) == 0);

	assert(spec_to_words(&copy, &arena, &words, &err) == 0);
	cli_run_init(&run);
	assert(fuzz_parse(words.words, words.n_words, &copy, &run, &arena) == 0);
	assert(strcmp(fuzz_to_json(&run.spec, &arena), json) == 0);
	cli_run_finish(&run);
	spec_finish(&copy);
}
