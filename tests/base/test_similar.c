/* SPDX-License-Identifier: MIT */
/* similar: the one word that was meant, and none where that is not clear. */
#include <string.h>

#include "sbx/base/similar.h"
#include "testlib.h"

static const char *find(const char *word, const char *const *words)
{
	struct similar similar = SIMILAR(word, strlen(word), strlen(word) - strspn(word, "-"));

	for (size_t i = 0; words[i]; i++)
		similar_offer(&similar, words[i]);
	return similar.found;
}

Test(similar, slips_of_the_finger)
{
	static const char *const words[] = {"--ro-bind", "--tmpfs", "--memory", "--unshare-net",
					    NULL};
	static const struct {
		const char *word, *meant;
	} rows[] = {
		{"--ro-bin", "--ro-bind"},   /* one letter is missing */
		{"--ro-bindd", "--ro-bind"}, /* one is too many */
		{"--ro-bing", "--ro-bind"},  /* one is another */
		{"--tmfps", "--tmpfs"},	     /* two are swapped */
		{"--memroy", "--memory"},
		{"--unshare-ent", "--unshare-net"},
		{"--tmpfs", "--tmpfs"},
		{"--quiet", NULL},
		{"--bind", NULL}, /* three letters away */
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *found = find(rows[i].word, words);

		cr_expect(found == rows[i].meant ||
				  (found && rows[i].meant && strcmp(found, rows[i].meant) == 0),
			  "%s: %s", rows[i].word, found ? found : "(none)");
	}
}

Test(similar, short_words_are_near_to_everything)
{
	static const char *const words[] = {"ps", "rm", NULL};

	cr_expect_null(find("pm", words));
	cr_expect_null(find("x", words));
}

Test(similar, two_that_are_equally_near_are_none)
{
	static const char *const words[] = {"pause", "cause", NULL};
	static const char *const nearer[] = {"pause", "cause", "mause", NULL};

	cr_expect_null(find("rause", words));
	cr_expect_str_eq(find("mause", nearer), "mause");
}

Test(similar, words_of_any_length)
{
	char word[200];
	const char *const words[] = {word, NULL};

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	cr_expect_null(find(word, words));
	cr_expect_null(find("aaaaaaaaaa", words));
}
