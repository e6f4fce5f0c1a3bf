/* SPDX-License-Identifier: MIT */
/* lines: what is told, applied to the one text, makes the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "sbx/cmd/lines.h"

struct text {
	char *data;
	size_t len;
};

static int compare(const char *a, size_t a_len, const char *b, size_t b_len, struct text *ret)
{
	FILE *out = open_memstream(&ret->data, &ret->len);
	int r = lines_compare(a, a_len, b, b_len, out);

	cr_assert_eq(fclose(out), 0);
	return r;
}

#define EXPECT(a, b, hunks)                                                                        \
	do {                                                                                       \
		struct text text;                                                                  \
                                                                                                   \
		cr_expect_eq(compare(a, strlen(a), b, strlen(b), &text), 1);                       \
		cr_expect_str_eq(text.data, hunks);                                                \
		free(text.data);                                                                   \
	} while (0)

Test(lines, hunks_are_those_of_diff)
{
	EXPECT("a\n", "a\n", "");
	EXPECT("", "a\n", "@@ -0,0 +1 @@\n+a\n");
	EXPECT("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n");
	EXPECT("a\n", "a", "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
	EXPECT("a\nb", "a\nb\nc",
	       "@@ -1,2 +1,3 @@\n a\n-b\n\\ No newline at end of file\n+b\n+c\n"
	       "\\ No newline at end of file\n");
	EXPECT("x\n1\n2\n3\n4\n5\n6\ny\n", "X\n1\n2\n3\n4\n5\n6\nY\n",
	       "@@ -1,8 +1,8 @@\n-x\n+X\n 1\n 2\n 3\n 4\n 5\n 6\n-y\n+Y\n");
	EXPECT("x\n1\n2\n3\n4\n5\n6\n7\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\nY\n",
	       "@@ -1,4 +1,4 @@\n-x\n+X\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-y\n+Y\n");
	EXPECT("f\n}\n\ng\n}\n", "f\n}\n\nn\n}\n\ng\n}\n",
	       "@@ -1,5 +1,8 @@\n f\n }\n \n+n\n+}\n+\n g\n }\n");
}

/* What an hunk's line is in the text. @at: behind the sign */
static size_t take(const char *at, struct text *to)
{
	static const char mark[] = "\n\\ No newline at end of file\n";
	size_t len = strcspn(at, "\n") + 1;
	size_t keeps = strncmp(at + len - 1, mark, strlen(mark)) == 0 ? len - 1 : len;

	memcpy(to->data + to->len, at, keeps);
	to->len += keeps;
	return keeps == len ? len : len - 1 + strlen(mark);
}

/* Both texts by the hunks, and by what lies between them. */
static void check_hunks(const struct text *a, const struct text *b, const char *hunks)
{
	struct text old_text = {calloc(1, a->len + b->len + 2), 0};
	struct text new_text = {calloc(1, a->len + b->len + 2), 0};
	size_t line = 1;
	const char *from = a->data;

	while (*hunks) {
		size_t start = strtoul(hunks + strlen("@@ -"), NULL, 10);
		const char *range = hunks + strcspn(hunks, " ") + 1;

		range += strcspn(range, ", ");
		start += strncmp(range, ",0", 2) == 0; /* behind that line */
		for (; line < start; line++) {
			size_t len = strcspn(from, "\n") + 1;

			memcpy(old_text.data + old_text.len, from, len);
			memcpy(new_text.data + new_text.len, from, len);
			old_text.len += len;
			new_text.len += len;
			from += len;
		}
		hunks += strcspn(hunks, "\n") + 1;
		while (*hunks && *hunks != '@') {
			const char sign = *hunks++;
			size_t before = old_text.len, len = 0;

			cr_assert(strchr(" -+", sign), "%c", sign);
			if (sign != '+')
				len = take(hunks, &old_text);
			if (sign != '-')
				len = take(hunks, &new_text);
			hunks += len;
			from += old_text.len - before;
			line += sign != '+';
		}
	}
	memcpy(old_text.data + old_text.len, from, strlen(from));
	memcpy(new_text.data + new_text.len, from, strlen(from) + 1);
	old_text.len += strlen(from);
	new_text.len += strlen(from);
	cr_expect(old_text.len == a->len && memcmp(old_text.data, a->data, a->len) == 0,
		  "%s\n->\n%s\nold: %s", a->data, b->data, old_text.data);
	cr_expect(new_text.len == b->len && memcmp(new_text.data, b->data, b->len) == 0,
		  "%s\n->\n%s\nnew: %s", a->data, b->data, new_text.data);
	free(old_text.data);
	free(new_text.data);
}

/* Of few different lines, so that they can be taken for each other. */
static struct text random_text(unsigned n_lines)
{
	struct text text = {calloc(1, n_lines * 3 + 2), 0};

	for (unsigned i = 0; i < n_lines; i++) {
		if (rand() % 5)
			text.data[text.len++] = (char)('a' + rand() % 4);
		if (rand() % 9 == 0)
			text.data[text.len++] = '-';
		text.data[text.len++] = '\n';
	}
	if (text.len && rand() % 3 == 0)
		text.len--;
	text.data[text.len] = '\0';
	return text;
}

Test(lines, they_make_the_other_text)
{
	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		struct text a = random_text((unsigned)rand() % 40),
			    b = random_text((unsigned)rand() % 40), hunks;

		cr_assert_eq(compare(a.data, a.len, b.data, b.len, &hunks), 1);
		check_hunks(&a, &b, hunks.data);
		free(a.data);
		free(b.data);
		free(hunks.data);
	}
}

Test(lines, too_many_are_not_told)
{
	enum { LINES = 600 };
	char a[LINES * 2 + 1], b[LINES * 2 + 1];
	struct text text;

	for (size_t i = 0; i < LINES; i++) {
		memcpy(a + i * 2, "a\n", 3);
		memcpy(b + i * 2, "b\n", 3);
	}
	cr_expect_eq(compare(a, strlen(a), b, strlen(b), &text), 0);
	cr_expect_eq(text.len, 0);
	free(text.data);
	/* Many that stand alone are few. */
	cr_expect_eq(compare(a, strlen(a), a, 500, &text), 1);
	cr_expect_neq(text.len, 0);
	free(text.data);
}
