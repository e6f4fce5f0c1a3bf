/* SPDX-License-Identifier: MIT */
/* The table of capabilities says what libcap says. */

#include <strings.h>
#include <sys/capability.h>

#include "testlib.h"

#include "sbx/base/caps.h"

Test(caps_libcap, every_name_is_libcaps)
{
	int compared = 0;

	for (int cap = 0; caps_to_name(cap); cap++) {
		char *name = cap_to_name((cap_value_t)cap);
		cap_value_t number = -1;

		cr_assert_not_null(name);
		/* An older libcap knows the newest ones by their number alone. */
		if (name[0] != '0' && (name[0] < '1' || name[0] > '9')) {
			cr_expect_eq(strcasecmp(name, caps_to_name(cap)), 0, "%d: %s, %s", cap,
				     name, caps_to_name(cap));
			cr_expect_eq(caps_from_name(name), cap);
			cr_expect_eq(cap_from_name(caps_to_name(cap), &number), 0);
			cr_expect_eq(number, cap);
			compared++;
		}
		cap_free(name);
	}
	cr_expect_geq(compared, 38, "all that Linux 5.0 has");
}
