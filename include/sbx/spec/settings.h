/* SPDX-License-Identifier: MIT */
/*
 * settings: what a spec says beside its operations, as a list for people: each setting
 * with the option that made it, and the profile's line that this stood in. The steps of
 * a plan have theirs from here. Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sbx/spec/spec.h"

/* One setting; all zero before the first. Of a variable there is the name, never the value. */
struct setting {
	const char *name;  /* as in the spec's JSON: "ns.net", "env" */
	const char *kind;  /* what an item of a list does: "set"; NULL: nothing to tell apart */
	const char *value; /* NULL: none */
	struct spec_cause cause;
	char room[24];	    /* for a value that is a number */
	size_t list, index; /* where the next one is */
};

bool settings_next(const struct sbx_spec *spec, struct setting *setting);
const char *settings_find_origin(const struct sbx_spec *spec, const char *option);
