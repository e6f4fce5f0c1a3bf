/* SPDX-License-Identifier: MIT */
/* Entries of passwd and group files. */

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/spec/passwd.h"

static const char users[] = "root:x:0:0:root:/root:/bin/sh\n"
			    "# a comment\n"
			    "\n"
			    "short:x:7\n"
			    "four:x:8:80\n"
			    "bad:x:abc:1::/:/\n"
			    "neg:x:-1:1::/:/\n"
			    "gidless:x:9:x::/:/\n"
			    ":x:10:10::/:/\n"
			    "+nis::::::\n"
			    "me:x:1000:100:Me, Myself:/home/me:/bin/bash\n"
			    "twin:x:1000:101::/home/twin:/bin/zsh\n"
			    "me:x:1001:102::/home/second:\n"
			    "many:x:11:11:g:/h:/s:extra:fields\n"
			    "big:x:4294967294:4294967294::/:/\n"
			    "toobig:x:4294967295:1::/:/\n"
			    "last:x:12:12::/home/last:/bin/last";

static const char groups[] = "root:x:0:\nteam:x:2000:me,you\nbare:x:3\nteam2:x:2000:\n";

Test(passwd, users_are_found_by_id_and_by_name)
{
	static const struct {
		const char *name;
		uint32_t id, gid;
		const char *home, *shell;
	} rows[] = {
		{"root", 0, 0, "/root", "/bin/sh"},
		{"four", 8, 80, NULL, NULL},
		{"me", 1000, 100, "/home/me", "/bin/bash"},
		{"many", 11, 11, "/h", "/s"},
		{"big", 4294967294, 4294967294, "/", "/"},
		{"last", 12, 12, "/home/last", "/bin/last"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoarena_ struct arena arena;
		struct passwd_entry found[2];

		arena_init(&arena);
		cr_assert_eq(passwd_find_id(users, PASSWD_USERS, rows[i].id, &arena, &found[0]), 0);
		cr_assert_eq(passwd_find_name(users, PASSWD_USERS, rows[i].name, &arena, &found[1]),
			     0);
		for (int j = 0; j < 2; j++) {
			cr_expect_str_eq(found[j].name, rows[i].name);
			cr_expect_eq(found[j].id, rows[i].id);
			cr_expect_eq(found[j].gid, rows[i].gid);
			cr_expect(str_equal(found[j].home, rows[i].home), "%s", rows[i].name);
			cr_expect(str_equal(found[j].shell, rows[i].shell), "%s", rows[i].name);
		}
	}
}

Test(passwd, what_is_no_entry_is_not_found)
{
	static const char *const names[] = {"short",  "bad", "neg",	  "gidless", "",
					    "+nis",   "m",   "me:x",	  "toobig",  "# a comment",
					    "nobody", "me ", "Me, Myself"};
	static const uint32_t ids[] = {7, 9, 10, 42, 4294967295U};
	_autoarena_ struct arena arena;
	struct passwd_entry entry = {.name = "untouched"};

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect_eq(passwd_find_name(users, PASSWD_USERS, names[i], &arena, &entry),
			     -ENOENT, "%s", names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		cr_expect_eq(passwd_find_id(users, PASSWD_USERS, ids[i], &arena, &entry), -ENOENT,
			     "%u", ids[i]);
	cr_expect_eq(passwd_find_id("", PASSWD_USERS, 0, &arena, &entry), -ENOENT);
	cr_expect_str_eq(entry.name, "untouched");
}

Test(passwd, the_first_of_two_counts)
{
	_autoarena_ struct arena arena;
	struct passwd_entry entry;

	arena_init(&arena);
	cr_assert_eq(passwd_find_id(users, PASSWD_USERS, 1000, &arena, &entry), 0);
	cr_expect_str_eq(entry.name, "me");
	cr_assert_eq(passwd_find_name(users, PASSWD_USERS, "me", &arena, &entry), 0);
	cr_expect_eq(entry.id, 1000);
}

Test(passwd, groups_have_no_gid_field)
{
	_autoarena_ struct arena arena;
	struct passwd_entry entry;

	arena_init(&arena);
	cr_assert_eq(passwd_find_id(groups, PASSWD_GROUPS, 2000, &arena, &entry), 0);
	cr_expect_str_eq(entry.name, "team");
	cr_expect_null(entry.home);
	cr_assert_eq(passwd_find_name(groups, PASSWD_GROUPS, "bare", &arena, &entry), 0);
	cr_expect_eq(entry.id, 3);
	cr_expect_eq(passwd_find_name(groups, PASSWD_GROUPS, "me", &arena, &entry), -ENOENT);
}
