/* SPDX-License-Identifier: MIT */
/*
 * detach_keys: see detach_keys.h. The form is docker's and podman's: "ctrl-p,ctrl-q", "a,b".
 *
 * A key that could begin the sequence is kept back until the next tells whether it does. So
 * the first has to be typed twice to be seen by the command, as with those two.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/cmd/detach_keys.h"

/* "a", "ctrl-a". Return: the byte that the key sends, or -EINVAL. */
static int detach_keys_parse_one(const char *word, size_t len)
{
	static const char prefix[] = "ctrl-";
	enum { PREFIX = sizeof(prefix) - 1, CONTROL = 0x1f };
	int key;

	if (len == 1)
		return isgraph((unsigned char)word[0]) ? word[0] : -EINVAL;
	if (len != PREFIX + 1 || strncmp(word, prefix, PREFIX) != 0)
		return -EINVAL;
	key = (unsigned char)word[PREFIX];
	return (key >= 'a' && key <= 'z') || strchr("@[\\]^_", key) ? key & CONTROL : -EINVAL;
}

/* Return: 0 or -EINVAL. @text: "": no keys */
int detach_keys_parse(const char *text, struct detach_keys *ret_keys)
{
	struct detach_keys keys = {.count = 0};

	while (*text) {
		size_t len = strcspn(text, ",");
		int key = detach_keys_parse_one(text, len);

		if (key < 0 || keys.count == DETACH_KEYS_MAX || (text[len] && !text[len + 1]))
			return -EINVAL;
		keys.keys[keys.count++] = (char)key;
		text += len + (text[len] == ',');
	}
	*ret_keys = keys;
	return 0;
}

/**
 * What of the text that was typed is for the command.
 * @ret_text: room for DETACH_KEYS_MAX bytes more than len
 *
 * Return: true when the keys are complete; what is behind them is dropped.
 */
bool detach_keys_filter(struct detach_keys *keys, const char *typed, size_t len, char *ret_text,
			size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (keys->matched && typed[i] != keys->keys[keys->matched]) {
			memcpy(ret_text + n, keys->keys, keys->matched);
			n += keys->matched;
			keys->matched = 0;
		}
		if (!keys->count || typed[i] != keys->keys[keys->matched])
			ret_text[n++] = typed[i];
		else if (++keys->matched == keys->count)
			break;
	}
	*ret_len = n;
	return keys->count && keys->matched == keys->count;
}
