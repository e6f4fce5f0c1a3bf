/* SPDX-License-Identifier: MIT */
/*
 * spec_read: a spec back from the JSON that spec_write_json() writes. The text
 * may come from anybody: it has limits, and whatever is not understood is an
 * error that names the member. Runs in: sbx-spec, and tests.
 */
#pragma once

#include <stddef.h>

#include "sbx/base/err.h"
#include "sbx/spec/spec.h"

enum {
	SPEC_READ_MAX_BYTES = 16 << 20,
	SPEC_READ_MAX_DEPTH = 8, /* of objects and arrays in each other */
};

int spec_read_json(const char *data, size_t len, struct sbx_spec *spec, struct sbx_err *err);
