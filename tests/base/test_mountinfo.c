/* SPDX-License-Identifier: MIT */
/* mountinfo: each line's mount point, as open(2) takes it. */

#include <string.h>

#include <criterion/criterion.h>

#include "sbx/base/mountinfo.h"

#define LINE(point)                                                                                \
	"36 35 98:0 /mnt1 " point " rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"

Test(mountinfo, points_come_one_by_one_with_their_escapes_undone)
{
	char text[] = LINE("/") LINE("/a\\040b\\011c\\134d") LINE("/proc/sys");
	char *rest = text;

	cr_expect_str_eq(mountinfo_next(&rest), "/");
	cr_expect_str_eq(mountinfo_next(&rest), "/a b\tc\\d");
	cr_expect_str_eq(mountinfo_next(&rest), "/proc/sys");
	cr_expect_null(mountinfo_next(&rest));
	cr_expect_null(mountinfo_next(&rest));
}

Test(mountinfo, a_line_without_one_is_passed_over)
{
	char text[] = "\n36 35 98:0 /mnt1\n" LINE("/x") "36 35";
	char *rest = text;

	cr_expect_str_eq(mountinfo_next(&rest), "/x");
	cr_expect_null(mountinfo_next(&rest));
}

Test(mountinfo, what_is_no_escape_stays)
{
	char text[] = LINE("/\\04") LINE("/\\8\\048\\\\") "1 2 3 4 /end\\";
	char *rest = text;

	cr_expect_str_eq(mountinfo_next(&rest), "/\\04");
	cr_expect_str_eq(mountinfo_next(&rest), "/\\8\\048\\\\");
	cr_expect_str_eq(mountinfo_next(&rest), "/end\\");
}
