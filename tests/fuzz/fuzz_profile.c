/* SPDX-License-Identifier: MIT */
/* Fuzz the lines of profiles: the input is the text of one. */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/cli/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct profile profile = {.name = "fuzz", .path = "/fuzz"};
	struct profile_words words;
	struct sbx_err err;
	size_t line = 0;

	assert(setenv("HOME", "/home/me", 1) == 0);
	profile_set_text(&profile, (const char *)data, size);
	assert(profile_describe(&profile, &arena));
	while (profile_next(&profile, &arena, &words, &err) == 0 && words.count) {
		assert(profile.line > line && profile.rest <= profile.end);
		line = profile.line;
		assert(words.list[0][0] == '-' && words.count <= PROFILE_MAX_WORDS);
		for (size_t i = 0; i < words.count; i++)
			assert(!strchr(words.list[i], '\001') && !strchr(words.list[i], '\n'));
	}
	return 0;
}
