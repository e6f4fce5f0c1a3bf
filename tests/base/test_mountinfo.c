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

Test(mountinfo, an_entry_has_an_id_and_a_type)
{
	char text[] = "36 35 98:0 /r /mnt\\040x rw,noatime master:1 shared:2 - fuse.sshfs s rw\n"
		      "37 35 98:0 / /bare rw\n";
	struct mountinfo_entry entry;
	char *rest = text;

	cr_expect_str_eq(mountinfo_next_entry(&rest, &entry), "/mnt x");
	cr_expect_str_eq(entry.point, "/mnt x");
	cr_expect_str_eq(entry.type, "fuse.sshfs");
	cr_expect_str_eq(entry.device, "98:0");
	cr_expect_str_eq(entry.root, "/r");
	cr_expect_eq(entry.id, 36);
	cr_expect_str_eq(mountinfo_next_entry(&rest, &entry), "/bare");
	cr_expect_str_eq(entry.type, "");
	cr_expect_null(mountinfo_next_entry(&rest, &entry));
}

Test(mountinfo, what_has_no_name_any_more_is_known)
{
	char text[] = "1 2 0:3 /a//deleted /x rw - tmpfs t rw\n"
		      "1 2 0:3 //deleted /x rw - tmpfs t rw\n"
		      "1 2 0:3 /a/deleted /x rw - tmpfs t rw\n"
		      "1 2 0:3 / /x rw - tmpfs t rw\n";
	struct mountinfo_entry entry;
	char *rest = text;

	for (int i = 0; i < 4; i++) {
		cr_expect_not_null(mountinfo_next_entry(&rest, &entry));
		cr_expect_eq(mountinfo_is_deleted(&entry), i < 2, "%s", entry.root);
	}
}
