/* SPDX-License-Identifier: MIT */
/*
 * caps: names and numbers of capabilities. The table is generated from
 * <linux/capability.h> (src/gen/cap_names.sh), so a newer header means a longer
 * table and nothing else.
 */

#include <strings.h>

#include "cap_names.h"
#include "sbx/base/caps.h"
#include "sbx/base/defs.h"
#include "sbx/base/str.h"

enum { PREFIX_LEN = sizeof("CAP_") - 1 };

/**
 * The number of a capability.
 * @name: in any case, with or without CAP_
 *
 * Return: 0 to 63, or -1 if there is none of that name.
 */
int caps_from_name(const char *name)
{
	if (strncasecmp(name, "CAP_", PREFIX_LEN) == 0)
		name += PREFIX_LEN;
	for (size_t i = 0; i < ARRAY_SIZE(cap_names); i++) {
		if (cap_names[i] && strcasecmp(cap_names[i] + PREFIX_LEN, name) == 0)
			return (int)i;
	}
	return -1;
}

/* "CAP_CHOWN" for 0; NULL for a number without a name. */
const char *caps_to_name(int number)
{
	if (number < 0 || (size_t)number >= ARRAY_SIZE(cap_names))
		return NULL;
	return cap_names[number];
}
