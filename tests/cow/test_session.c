/* SPDX-License-Identifier: MIT */
/* session: what its record says of the directories, and which are the same ones. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/cow/root.h"
#include "testlib.h"

enum { RECORD_MAX = 512 };

/* @fields: of a root, each ended by '|'. Return: as cow_session_parse(). */
static int parse(const char *fields, struct arena *arena, struct cow_session *s)
{
	char *text = arena_alloc(arena, RECORD_MAX);
	struct sbx_err err;
	int len;

	len = snprintf(text, RECORD_MAX, "sbx-session=1|began=5.7|%s", fields);
	cr_assert(len > 0 && len < RECORD_MAX);
	for (int i = 0; i < len; i++)
		if (text[i] == '|')
			text[i] = '\0';
	cow_session_init(s);
	s->dir = "s";
	return cow_session_parse(text, (size_t)len, arena, s, &err);
}

Test(session, a_record_says_which_directory_it_was)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct cow_session s;
	const struct cow_root *r;

	cr_assert_eq(parse("root=/a|inode=1:2|born=3.4|fsid=5:4294967295|root=/b|inode=6:7|"
			   "root=/c|inode=8:9|fsid=0:0|more=x|",
			   &arena, &s),
		     0);
	cr_assert_eq(s.n_roots, 3);
	r = s.roots;
	cr_expect(r[0].dev == 1 && r[0].ino == 2 && r[0].has_birth && r[0].has_fsid);
	cr_expect(r[0].born.tv_sec == 3 && r[0].born.tv_nsec == 4);
	cr_expect(r[0].fsid[0] == 5 && r[0].fsid[1] == UINT32_MAX);
	cr_expect(r[1].ino == 7 && !r[1].has_birth && !r[1].has_fsid, "as an older sbx writes it");
	cr_expect(!r[2].has_birth && r[2].has_fsid && r[2].fsid[0] == 0 && r[2].fsid[1] == 0);
}

Test(session, what_is_no_identity_makes_no_record)
{
	static const char *const wrong[] = {
		"born=3.4|root=/a|inode=1:2|",
		"fsid=5:6|root=/a|inode=1:2|",
		"root=/a|inode=1:2|born=3|",
		"root=/a|inode=1:2|born=-3.4|",
		"root=/a|inode=1:2|born=3.1000000000|",
		"root=/a|inode=1:2|born=|",
		"root=/a|inode=1:2|fsid=5|",
		"root=/a|inode=1:2|fsid=5:4294967296|",
		"root=/a|inode=1:2|born=99999999999999999999.0|",
		"root=/a|inode=1:2|fsid=x:y|",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_autoarena_ struct arena arena = {.chunks = NULL};
		struct cow_session s;

		cr_expect_eq(parse(wrong[i], &arena, &s), -EINVAL, "%s", wrong[i]);
	}
}

/* Of what is known on both sides all has to be the same. */
Test(session, another_directory_is_not_the_same)
{
	const struct cow_root was = {.dev = 1,
				     .ino = 2,
				     .has_birth = true,
				     .has_fsid = true,
				     .born = {3, 4},
				     .fsid = {5, 6}};
	struct cow_root now = was, older = {.dev = 1, .ino = 2};

	cr_expect(cow_root_is_same(&was, &now));
	now.dev = 77;
	cr_expect(cow_root_is_same(&was, &now), "the machine was started again");
	now.ino = 3;
	cr_expect(!cow_root_is_same(&was, &now) && !cow_root_is_same(&older, &now));
	now = was;
	now.born.tv_nsec = 5;
	cr_expect(!cow_root_is_same(&was, &now), "made anew, with the same inode");
	cr_expect(cow_root_is_same(&older, &now), "of an older sbx");
	now.has_birth = false;
	cr_expect(cow_root_is_same(&was, &now), "the kernel does not tell any more");
	now = was;
	now.fsid[1] = 7;
	cr_expect(!cow_root_is_same(&was, &now), "another filesystem of that kind");
	cr_expect(cow_root_is_same(&older, &now), "of an older sbx");
	now = was;
	now.has_fsid = false;
	cr_expect(!cow_root_is_same(&was, &now), "a filesystem of another kind");
}

Test(session, a_directory_is_itself)
{
	_autoclose_ int tree = tmp_tree("d/"), d = openat(tree, "d", O_PATH | O_CLOEXEC);
	struct cow_root root = {.path = "/d"}, other = {.path = "/"};

	cr_assert_eq(cow_root_identify(d, &root), 0);
	cr_assert_eq(cow_root_identify(tree, &other), 0);
	cr_expect_str_eq(root.path, "/d");
	cr_expect_eq(cow_root_check(&root, d), 0);
	cr_expect_eq(cow_root_check(&root, tree), -ESTALE);
	cr_expect_eq(other.has_fsid, root.has_fsid);
	cr_expect_eq(memcmp(other.fsid, root.fsid, sizeof(root.fsid)), 0, "of one filesystem");
	cr_assert_eq(fchmodat(tree, "d", 0500, 0), 0);
	cr_assert_eq(utimensat(tree, "d", (struct timespec[]){{1, 1}, {2, 2}}, 0), 0);
	cr_expect_eq(cow_root_check(&root, d), 0, "a change of it makes no other of it");
}
