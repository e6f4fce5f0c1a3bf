/* SPDX-License-Identifier: MIT */
/*
 * fuzz: what the fuzzers share. Each of them is one function that libFuzzer
 * calls with one input after the other; a failed assert is a finding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/cli/cli.h"
#include "sbx/spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The spec as JSON, NUL-terminated, in the arena. */
char *fuzz_to_json(const struct sbx_spec *spec, struct arena *arena);

/* What the parser accepted must come out the same through JSON and through options. */
void fuzz_check_round_trip(const struct sbx_spec *spec);

/* Parse options and the spec's own command. Returns what the parser does. */
int fuzz_parse(const char *const *options, size_t n_options, const struct sbx_spec *spec,
	       struct cli_run *run, struct arena *arena);
