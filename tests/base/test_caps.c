/* SPDX-License-Identifier: MIT */
/* Names of capabilities, both ways. */

#include "testlib.h"

#include "sbx/base/caps.h"

Test(caps, names_are_found_in_any_spelling)
{
	cr_expect_eq(caps_from_name("CAP_CHOWN"), 0);
	cr_expect_eq(caps_from_name("chown"), 0);
	cr_expect_eq(caps_from_name("cap_Sys_Admin"), 21);
	cr_expect_eq(caps_from_name("CAP_"), -1);
	cr_expect_eq(caps_from_name(""), -1);
	cr_expect_eq(caps_from_name("sys"), -1);
	cr_expect_eq(caps_from_name("LAST_CAP"), -1);
}

Test(caps, numbers_and_names_agree)
{
	cr_expect_str_eq(caps_to_name(21), "CAP_SYS_ADMIN");
	cr_expect_null(caps_to_name(-1));
	cr_expect_null(caps_to_name(63));
	for (int i = 0; caps_to_name(i); i++)
		cr_expect_eq(caps_from_name(caps_to_name(i)), i);
}
