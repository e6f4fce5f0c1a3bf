/* SPDX-License-Identifier: MIT */
/* trust: a file that somebody else could have written, on whatever way, is not read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/trust.h"
#include "testlib.h"

/* Return: as trust_open(). @ret_message: what is told, to be freed */
static int open_it(int tree, const char *name, char ret_text[16], char **ret_message)
{
	_autoarena_ struct arena arena;
	_autofree_ char *path = tree_path(tree, name);
	struct trust_file file = {.fd = -1};
	struct sbx_err err = {0};
	char room[2048];
	struct str_buf told = STR_BUF_ON_STACK(room);
	int r;

	arena_init(&arena);
	r = trust_open(path, &arena, &file, &err);
	ret_text[0] = '\0';
	if (r == 0) {
		ssize_t n = read(file.fd, ret_text, 15);

		ret_text[n < 0 ? 0 : n] = '\0';
		cr_expect_gt(file.n_places, 0U);
		close(file.fd);
	} else {
		err_describe(&err, &told);
	}
	*ret_message = strdup(r == 0 ? "" : room);
	return r;
}

Test(trust, a_file_of_the_callers)
{
	_autoclose_ int tree = tmp_tree("d/f=mine\n", "to -> d/f", "through -> d");
	static const char *const names[] = {"d/f", "to", "through/f", "d/./f", "d//f", "d/../d/f"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[16];
		_autofree_ char *message = NULL;

		cr_expect_eq(open_it(tree, names[i], text, &message), 0, "%s: %s", names[i],
			     message);
		cr_expect_str_eq(text, "mine\n", "%s", names[i]);
	}
}

Test(trust, what_others_can_change_is_refused)
{
	static const struct {
		const char *opened; /* to others */
		mode_t mode;
		const char *name;
	} rows[] = {
		{"d/f", 0664, "d/f"}, {"d/f", 0602, "d/f"}, {"d", 0775, "d/f"},
		{"d", 0777, "d/f"},   {"d", 0777, "to"},    {"d", 01777, "d/f"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = tmp_tree("d/f=mine\n", "to -> d/f");
		_autofree_ char *message = NULL;
		char text[16];

		/* As /tmp is, where it is root's. */
		if ((rows[i].mode & S_ISVTX) && geteuid() == 0)
			continue;
		cr_assert_eq(fchmodat(tree, rows[i].opened, rows[i].mode, 0), 0);
		cr_expect_eq(open_it(tree, rows[i].name, text, &message), -EACCES, "%zu", i);
		cr_expect(strstr(message, "can be written by others"), "%s", message);
	}
}

Test(trust, what_is_no_file_of_one_name_is_refused)
{
	static const struct {
		const char *name;
		int number;
	} rows[] = {
		{"d", -EISDIR},	     {"none", -ENOENT}, {"f/x", -ENOTDIR},    {"fifo", -EINVAL},
		{"second", -EACCES}, {"loop", -ELOOP},	{"nowhere", -ENOENT},
	};
	_autoclose_ int tree =
		tmp_tree("d/", "f=f\n", "first=f\n", "loop -> loop", "nowhere -> none");

	cr_assert_eq(mkfifoat(tree, "fifo", 0600), 0);
	cr_assert_eq(linkat(tree, "first", tree, "second", 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autofree_ char *message = NULL;
		char text[16];

		/* A second name of root's is no other's. */
		if (rows[i].number == -EACCES && geteuid() == 0)
			continue;
		cr_expect_eq(open_it(tree, rows[i].name, text, &message), rows[i].number, "%s: %s",
			     rows[i].name, message);
	}
}

Test(trust, a_relative_path_begins_where_the_caller_is)
{
	_autoclose_ int tree = tmp_tree("d/f=mine\n");
	_autoarena_ struct arena arena;
	struct trust_file file = {.fd = -1};
	struct sbx_err err = {0};

	arena_init(&arena);
	cr_assert_eq(fchdir(tree), 0);
	cr_expect_eq(trust_open("d/f", &arena, &file, &err), 0);
	close(file.fd);
	cr_assert_eq(fchmodat(tree, ".", 0777, 0), 0);
	cr_expect_eq(trust_open("d/f", &arena, &file, &err), -EACCES);
}

/* In the first user namespace everybody has a number; elsewhere these tests know nobody else. */
Test(trust, the_caller_is_known)
{
	cr_expect(!trust_owner_is_unknown(geteuid()) || geteuid() == 65534);
}
