/* SPDX-License-Identifier: MIT */
/* label: names that are taken, ids that differ, and files that are no records. */
#include <string.h>

#include "sbx/base/label.h"
#include "testlib.h"

Test(label, names_have_no_character_that_means_something)
{
	static const char *const good[] = {"a", "web", "web-1", "A.b_c", "0"};
	static const char *const bad[] = {"",	 "-a",	".a",	    "_a",	"a/b", "a b",
					  "a=b", "a\n", "a\033[1m", "\xc3\xa4", "*",   "a:b"};
	char longest[LABEL_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(label_name_is_good(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect(!label_name_is_good(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[LABEL_NAME_MAX + 1] = '\0';
	cr_expect(!label_name_is_good(longest));
	longest[LABEL_NAME_MAX] = '\0';
	cr_expect(label_name_is_good(longest));
}

Test(label, a_label_is_the_name_of_a_file_and_back)
{
	static const char *const names[] = {NULL, "web"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char file[LABEL_FILE_SIZE];
		struct label label, other, read;

		cr_assert(label_make(names[i], &label));
		cr_assert(label_make(names[i], &other));
		cr_expect_str_neq(label.id, other.id);
		cr_expect_eq(strlen(label.id), LABEL_ID_LEN);
		label_to_file(&label, file);
		cr_assert(label_from_file(file, &read), "%s", file);
		cr_expect_str_eq(read.id, label.id);
		cr_expect_str_eq(read.name, names[i] ? names[i] : "");
	}
}

Test(label, other_files_are_no_records)
{
	static const char *const files[] = {
		"",
		".",
		"0123456789a",
		"0123456789abc",
		"0123456789AB",
		"0123456789ab=",
		"0123456789ab.sock",
		".0123456789ab=web",
		"0123456789ab=a/",
		"0123456789ab=-a",
		"0123456789ab-web",
	};
	struct label label;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		cr_expect(!label_from_file(files[i], &label), "%s", files[i]);
}

Test(label, an_id_is_known_by_how_it_begins)
{
	struct label label;

	cr_assert(label_from_file("0123456789ab=web", &label));
	cr_expect(label_has_prefix(&label, "0"));
	cr_expect(label_has_prefix(&label, "0123456789ab"));
	cr_expect(!label_has_prefix(&label, ""));
	cr_expect(!label_has_prefix(&label, "012x"));
	cr_expect(!label_has_prefix(&label, "0123456789ab0"));
}
