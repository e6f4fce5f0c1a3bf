/* SPDX-License-Identifier: MIT */
/*
 * str: bounded strings, see the header. Everything works on room that the
 * caller owns, so it can be used in every process of a launch.
 */

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"

/* Append `len` bytes. */
void str_buf_write(struct str_buf *buf, const char *text, size_t len)
{
	size_t room = buf->size - buf->len - 1;

	if (len > room) {
		len = room;
		buf->cut = true;
	}
	memcpy(buf->data + buf->len, text, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

/* Append a string. */
void str_buf_puts(struct str_buf *buf, const char *text)
{
	str_buf_write(buf, text, strlen(text));
}

/* Append formatted text. */
void str_buf_printf(struct str_buf *buf, const char *fmt, ...)
{
	size_t room = buf->size - buf->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf->data + buf->len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= room) {
		buf->cut = true;
		n = (int)room - 1;
	}
	buf->len += (size_t)n;
}

/* How many bytes the character at the start of a text has in UTF-8 (RFC 3629); 0: it is none. */
size_t str_character_len(const char *bytes, size_t len)
{
	const unsigned char *text = (const unsigned char *)bytes;

	/* The second byte says more than that it goes on: no overlong form, no surrogate. */
	static const struct {
		unsigned char first, last, second_min, second_max;
		size_t len;
	} kinds[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	size_t k = 0;

	if (text[0] < 0x80)
		return 1;
	while (k < ARRAY_SIZE(kinds) && (text[0] < kinds[k].first || text[0] > kinds[k].last))
		k++;
	if (k == ARRAY_SIZE(kinds) || len < kinds[k].len || text[1] < kinds[k].second_min ||
	    text[1] > kinds[k].second_max)
		return 0;
	for (size_t i = 2; i < kinds[k].len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return kinds[k].len;
}

/*
 * Characters that are not seen, or change how what is around them is shown: Unicode's control and
 * format characters (Cc, Cf), and its separators of lines and paragraphs.
 */
static bool str_is_control(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x0, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	    {0x600, 0x605},
		{0x61c, 0x61c},	    {0x6dd, 0x6dd},	{0x70f, 0x70f},	    {0x890, 0x891},
		{0x8e2, 0x8e2},	    {0x180e, 0x180e},	{0x200b, 0x200f},   {0x2028, 0x202e},
		{0x2060, 0x206f},   {0xfeff, 0xfeff},	{0xfff9, 0xfffb},   {0x110bd, 0x110bd},
		{0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
		{0xe0001, 0xe0001}, {0xe0020, 0xe007f},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (code <= ranges[i].last)
			return code >= ranges[i].first;
	return false;
}

/* The number of a character of UTF-8 that has so many bytes. */
uint32_t str_character_code(const char *bytes, size_t len)
{
	const unsigned char *text = (const unsigned char *)bytes;
	uint32_t code = len == 1 ? text[0] : text[0] & (0x7fU >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (text[i] & 0x3fU);
	return code;
}

/* How many bytes the character at the start has that a terminal may be given; 0: it may not. */
size_t str_plain_len(const char *text, size_t len)
{
	size_t n = str_character_len(text, len);

	return n == 0 || str_is_control(str_character_code(text, n)) ? 0 : n;
}

/*
 * Append text for a terminal: control and format characters as \n, \t or \xHH, as are bytes that
 * are no UTF-8 (a terminal of 8 bits takes 0x9b for the beginning of a command); all else as it is.
 */
void str_buf_escape(struct str_buf *buf, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		bool is_text;

		n = str_plain_len(text + i, len - i);
		is_text = n > 0;
		if (!is_text)
			n = str_character_len(text + i, len - i);
		n = n > 0 ? n : 1;
		if (is_text)
			str_buf_write(buf, text + i, n);
		else if (at[i] == '\n')
			str_buf_puts(buf, "\\n");
		else if (at[i] == '\t')
			str_buf_puts(buf, "\\t");
		else
			for (size_t k = i; k < i + n; k++)
				str_buf_printf(buf, "\\x%02x", at[k]);
	}
}

/* As one word of a shell's. Control characters stay as they are. */
void str_buf_quote(struct str_buf *buf, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";

	if (*word && word[strspn(word, plain)] == '\0') {
		str_buf_puts(buf, word);
		return;
	}
	str_buf_puts(buf, "'");
	for (; *word; word++)
		if (*word == '\'')
			str_buf_puts(buf, "'\\''");
		else
			str_buf_write(buf, word, 1);
	str_buf_puts(buf, "'");
}

/* Are both the same text, or both NULL? */
bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Copy with a bound; what does not fit is cut. */
void str_copy(char *dest, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	assert(size > 0);
	memcpy(dest, text, len);
	dest[len] = '\0';
}

/**
 * A whole number, nothing around it: no sign, no blanks.
 * @base: 8, 10 or 0 (0x and 0 prefixes as in strtoull(3))
 * @max:  the largest value allowed
 *
 * Return: 0; -EINVAL if it is no number; -ERANGE if it is too large.
 */
int str_parse_u64(const char *text, int base, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end = NULL;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, base);
	if (*end != '\0')
		return -EINVAL;
	if (errno == ERANGE || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/**
 * A size in bytes: a decimal number, optionally followed by K, M, G or T (powers of 1024).
 *
 * Return: 0; -EINVAL if it is no size; -ERANGE if it is too large.
 */
int str_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	char digits[32];
	size_t len = strlen(text);
	unsigned shift = 0;
	uint64_t value = 0;
	int r;

	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len + 1);
	for (unsigned i = 0; units[i]; i++) {
		if (digits[len - 1] == units[i] || digits[len - 1] == units[i] + ('a' - 'A')) {
			shift = 10 * (i + 1);
			digits[len - 1] = '\0';
			break;
		}
	}
	r = str_parse_u64(digits, 10, UINT64_MAX, &value);
	if (r < 0)
		return r;
	if (value > max >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}
