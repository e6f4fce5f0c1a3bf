/* SPDX-License-Identifier: MIT */
/* times: whose change it was is told by times that may be cut off. */

#include <criterion/criterion.h>

#include "sbx/cow/apply_parts.h"
#include "sbx/cow/times.h"
#include "testlib.h"

enum { BEGAN_SEC = 1000, BEGAN_NSEC = 300000002, TIMES_FINE_NSEC = 10000001 };

Test(times, of_two_the_later_one)
{
	static const struct timespec early = {5, 7}, late = {5, 8}, last = {6, 0};

	cr_expect(cow_time_is_after(&late, &early) && !cow_time_is_after(&early, &late));
	cr_expect(cow_time_is_after(&last, &late) && !cow_time_is_after(&late, &last));
	cr_expect(!cow_time_is_after(&early, &early));
}

/* A file that was changed at that time: is it somebody else's by now? */
Test(times, what_may_have_changed_since_is_anothers)
{
	static const struct {
		struct timespec changed;
		bool is_others;
		const char *what;
	} rows[] = {
		{{BEGAN_SEC, BEGAN_NSEC - 1}, false, "nanoseconds, before"},
		{{BEGAN_SEC, BEGAN_NSEC}, false, "nanoseconds, at that moment"},
		{{BEGAN_SEC, BEGAN_NSEC + 1}, true, "nanoseconds, behind"},
		{{BEGAN_SEC, 1}, false, "nanoseconds, early in that second"},
		{{BEGAN_SEC + 1, 0}, true, "whole seconds, the next one"},
		{{BEGAN_SEC, 0}, true, "whole seconds, the same one"},
		{{BEGAN_SEC - 1, 0}, true, "vfat, where the two seconds began before"},
		{{BEGAN_SEC - 2, 0}, false, "vfat, two seconds before"},
		{{BEGAN_SEC, 300000000}, true, "exFAT, the same hundredth"},
		{{BEGAN_SEC, 290000000}, false, "exFAT, the hundredth before"},
	};
	/* Times as only a filesystem with nanoseconds has them. */
	static const struct timespec fine = {1, TIMES_FINE_NSEC};
	struct cow_session session = {.began = {BEGAN_SEC, BEGAN_NSEC}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct apply a = {.session = &session};
		const struct stat st = {.st_ino = 1, .st_ctim = rows[i].changed};

		cr_expect_eq(apply_is_others(&a, &st), rows[i].is_others, "%s", rows[i].what);

		const struct stat read = {.st_ino = 1, .st_ctim = rows[i].changed, .st_atim = fine};
		const struct stat written = {
			.st_ino = 1, .st_ctim = rows[i].changed, .st_mtim = fine};
		bool is_behind = cow_time_is_after(&rows[i].changed, &session.began);

		cr_expect_eq(apply_is_others(&a, &read), is_behind, "read, %s", rows[i].what);
		cr_expect_eq(apply_is_others(&a, &written), is_behind, "written, %s", rows[i].what);
	}
}

Test(times, a_session_that_began_with_a_second)
{
	static const struct timespec began = {BEGAN_SEC, 0};

	cr_expect(cow_time_may_be_after(&(struct stat){.st_ctim = {BEGAN_SEC, 0}}, &began));
	cr_expect(cow_time_may_be_after(&(struct stat){.st_ctim = {BEGAN_SEC - 1, 0}}, &began));
	cr_expect(!cow_time_may_be_after(&(struct stat){.st_ctim = {BEGAN_SEC - 2, 0}}, &began));
	cr_expect(!cow_time_may_be_after(&(struct stat){.st_ctim = {BEGAN_SEC - 1, 999999999}},
					 &began));
}

/* What a file was to have as its time, and what it has: is that all that its filesystem keeps? */
Test(times, what_is_cut_off_is_no_other_time)
{
	static const struct {
		struct timespec given, has, changed;
		bool is_kept;
		const char *what;
	} rows[] = {
		{{7, 123456789}, {7, 123456789}, {9, 987654321}, true, "nanoseconds"},
		{{7, 123456789}, {7, 123456788}, {9, 987654321}, false, "nanoseconds, another"},
		{{7, 123456789}, {7, 0}, {9, 987654321}, false, "nanoseconds, a whole second"},
		{{7, 0}, {7, 0}, {9, 987654321}, true, "nanoseconds, both whole seconds"},
		{{7, 123456789}, {7, 123456700}, {9, 987654300}, true, "NTFS"},
		{{7, 123456789}, {7, 123456700}, {9, 987654000}, true, "NTFS, by chance so"},
		{{7, 123456789}, {7, 120000000}, {9, 980000000}, true, "exFAT"},
		{{7, 123456789}, {7, 130000000}, {9, 980000000}, false, "exFAT, another"},
		{{7, 123456789}, {7, 0}, {9, 0}, true, "whole seconds"},
		{{7, 123456789}, {8, 0}, {9, 0}, false, "whole seconds, the next one"},
		{{7, 123456789}, {6, 0}, {9, 0}, false, "whole seconds, the one before"},
		{{7, 123456789}, {6, 0}, {8, 0}, true, "vfat"},
		{{7, 123456789}, {8, 0}, {8, 0}, false, "vfat, the next two"},
		{{7, 123456789}, {4, 0}, {8, 0}, false, "vfat, the two before"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(cow_time_is_kept(&rows[i].has, &rows[i].given, &rows[i].changed),
			     rows[i].is_kept, "%s", rows[i].what);
}
