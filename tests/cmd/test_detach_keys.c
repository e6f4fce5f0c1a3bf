/* SPDX-License-Identifier: MIT */
/* detach_keys: which keys, and what of the text that is typed is for the command. */

#include <errno.h>
#include <string.h>

#include "sbx/cmd/detach_keys.h"
#include "testlib.h"

/* Typed in two parts. Return: what goes to the command, "!" behind it where that detaches. */
static const char *typed(const char *spec, const char *first, const char *second)
{
	static char text[256];
	struct detach_keys keys;
	size_t len = 0, more = 0;
	bool done;

	cr_assert_eq(detach_keys_parse(spec, &keys), 0, "%s", spec);
	done = detach_keys_filter(&keys, first, strlen(first), text, &len);
	if (!done)
		done = detach_keys_filter(&keys, second, strlen(second), text + len, &more);
	text[len + more] = '\0';
	if (done)
		strcat(text, "!");
	return text;
}

Test(detach_keys, the_form_is_dockers)
{
	struct detach_keys keys;

	cr_expect_eq(detach_keys_parse("ctrl-p,ctrl-q", &keys), 0);
	cr_expect_eq(keys.count, 2);
	cr_expect_eq(memcmp(keys.keys, "\020\021", 2), 0);
	cr_expect_eq(detach_keys_parse("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,A", &keys), 0);
	cr_expect_eq(memcmp(keys.keys, "\0\033\034\035\036\037A", 7), 0);
	cr_expect_eq(detach_keys_parse("", &keys), 0);
	cr_expect_eq(keys.count, 0);
}

Test(detach_keys, what_is_no_key_is_refused)
{
	static const char *const wrong[] = {
		",",	  "a,",	     ",a",     "ab", "ctrl-",
		"ctrl-A", "ctrl-ab", "ctrl-1", " ",  "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};
	struct detach_keys keys = {.count = 7};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_eq(detach_keys_parse(wrong[i], &keys), -EINVAL, "%s", wrong[i]);
	cr_expect_eq(keys.count, 7);
}

Test(detach_keys, only_the_whole_sequence_detaches)
{
	cr_expect_str_eq(typed("a,b", "xyz", "ab"), "xyz!");
	cr_expect_str_eq(typed("a,b", "xa", "by"), "x!");
	cr_expect_str_eq(typed("a,b", "xa", "y"), "xay");
	cr_expect_str_eq(typed("a,b", "a", "ab"), "a!");
	cr_expect_str_eq(typed("a,b", "a", "a"), "a");
	cr_expect_str_eq(typed("a,b,c", "ab", "abc"), "ab!");
	cr_expect_str_eq(typed("q", "ab", "cqd"), "abc!");
	cr_expect_str_eq(typed("", "ab", "c"), "abc");
}
