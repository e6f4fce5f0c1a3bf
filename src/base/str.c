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

/* Append text for a terminal: control characters as \n, \t or \xHH, all else as it is. */
void str_buf_escape(struct str_buf *buf, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		/* U+0080..U+009F are control characters too: C2 80 .. C2 9F in UTF-8. */
		bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] >= 0x80 &&
			  (unsigned char)text[i + 1] <= 0x9f;

		if (c == '\n')
			str_buf_puts(buf, "\\n");
		else if (c == '\t')
			str_buf_puts(buf, "\\t");
		else if (c < 0x20 || c == 0x7f)
			str_buf_printf(buf, "\\x%02x", c);
		else if (c1)
			str_buf_printf(buf, "\\x%02x\\x%02x", c, (unsigned char)text[++i]);
		else
			str_buf_write(buf, text + i, 1);
	}
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
 * A size in bytes: a number, optionally followed by K, M, G or T (powers of 1024).
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
	r = str_parse_u64(digits, shift ? 10 : 0, UINT64_MAX, &value);
	if (r < 0)
		return r;
	if (value > max >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}
