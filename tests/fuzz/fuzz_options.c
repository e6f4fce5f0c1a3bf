/* SPDX-License-Identifier: MIT */
/* Fuzz the option parser: the input is an argv, its words separated by NUL. */

#include <string.h>

#include "fuzz.h"

enum { WORDS_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_dup_n(&arena, (const char *)data, size);
	const char *argv[WORDS_MAX + 2] = {"sbx"};
	struct cli_run run;
	struct sbx_err err;
	int argc = 1;

	for (size_t at = 0; at < size && argc <= WORDS_MAX; at += strlen(text + at) + 1) {
		/* It reads and closes a descriptor: libFuzzer's own, perhaps. See fuzz_args. */
		if (strncmp(text + at, "--args", strlen("--args")) == 0)
			return 0;
		argv[argc++] = text + at;
	}
	cli_run_init(&run);
	if (cli_parse_run(argc, (char *const *)(uintptr_t)argv, &run, &err) == 0 &&
	    run.spec.n_argv > 0)
		fuzz_check_round_trip(&run.spec);
	cli_run_finish(&run);
	return 0;
}
