/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of specs: what it accepts is written, read and written again
 * and must be the same; so must what the options made from it are parsed to,
 * where the parser takes them.
 */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/libexec/spec_read.h"
#include "sbx/libexec/spec_words.h"

static void check_again(const char *json)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct sbx_spec spec;
	struct sbx_err err;

	spec_init(&spec);
	assert(spec_read_json(json, strlen(json), &spec, &err) == 0);
	assert(strcmp(fuzz_to_json(&spec, &arena), json) == 0);
	spec_finish(&spec);
}

static void check_words(const struct sbx_spec *spec, const char *json)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct spec_words words = {.words = NULL};
	struct cli_run run;
	struct sbx_err err;

	if (spec_to_words(spec, &arena, &words, &err) < 0)
		return;
	cli_run_init(&run);
	if (fuzz_parse(words.words, words.n_words, spec, &run, &arena) == 0)
		assert(strcmp(fuzz_to_json(&run.spec, &arena), json) == 0);
	cli_run_finish(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct sbx_spec spec;
	struct sbx_err err;

	spec_init(&spec);
	if (spec_read_json((const char *)data, size, &spec, &err) == 0) {
		const char *json = fuzz_to_json(&spec, &arena);

		check_again(json);
		check_words(&spec, json);
	}
	spec_finish(&spec);
	return 0;
}
