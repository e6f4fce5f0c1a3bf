/* SPDX-License-Identifier: MIT */
/*
 * json: write JSON (RFC 8259), one value at a time.
 *
 * The nesting is two bit masks in the caller's struct json_out: enough to know
 * where a comma or a name belongs. A missing or superfluous key, or an
 * unbalanced close, is a programming error and asserted.
 *
 * Control characters, U+007F to U+009F included, are always escaped, so that
 * the output may be shown on a terminal.
 */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/json.h"
#include "sbx/base/str.h"

static bool json_is_utf8(const char *text, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = str_character_len(text + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

static void json_indent(struct json_out *json)
{
	if (json->compact)
		return;
	sink_puts(json->sink, "\n");
	for (unsigned i = 0; i < json->depth; i++)
		sink_puts(json->sink, "  ");
}

/* Characters that are not written as they are: quotes, and what is no text for a terminal. */
static bool json_is_special(const char *at, size_t len)
{
	return at[0] == '"' || at[0] == '\\' || str_plain_len(at, len) == 0;
}

static void json_put_escape(struct json_out *json, unsigned code)
{
	char escape[16];

	if (code == '"' || code == '\\')
		(void)snprintf(escape, sizeof(escape), "\\%c", (int)code);
	else if (code == '\n' || code == '\t')
		(void)snprintf(escape, sizeof(escape), "\\%c", code == '\n' ? 'n' : 't');
	else if (code > 0xffff) /* as UTF-16 has it */
		(void)snprintf(escape, sizeof(escape), "\\u%04x\\u%04x",
			       0xd800 + ((code - 0x10000) >> 10 & 0x3ffU),
			       0xdc00 + (code & 0x3ffU));
	else
		(void)snprintf(escape, sizeof(escape), "\\u%04x", code & 0xffffU);
	sink_puts(json->sink, escape);
}

/* A string between quotes; it must be UTF-8. */
static void json_put_string(struct json_out *json, const char *text, size_t len)
{
	size_t plain = 0; /* start of what has not been written yet */

	sink_puts(json->sink, "\"");
	for (size_t i = 0, n; i < len; i += n) {
		n = str_character_len(text + i, len - i);
		assert(n > 0);
		if (!json_is_special(text + i, n))
			continue;
		sink_write(json->sink, text + plain, i - plain);
		json_put_escape(json, str_character_code(text + i, n));
		plain = i + n;
	}
	sink_write(json->sink, text + plain, len - plain);
	sink_puts(json->sink, "\"");
}

/* What stands before every value: a comma, a new line, the member's name. */
static void json_begin(struct json_out *json, const char *key)
{
	uint32_t level = json->depth > 0 ? UINT32_C(1) << (json->depth - 1) : 0;

	assert((key != NULL) == (json->depth > 0 && !(json->arrays & level)));
	if (json->filled & level)
		sink_puts(json->sink, ",");
	json->filled |= level;
	if (json->depth > 0)
		json_indent(json);
	if (key) {
		json_put_string(json, key, strlen(key));
		sink_puts(json->sink, json->compact ? ":" : ": ");
	}
}

static void json_open(struct json_out *json, const char *key, bool is_array)
{
	uint32_t level;

	assert(json->depth < JSON_DEPTH_MAX);
	json_begin(json, key);
	level = UINT32_C(1) << json->depth++;
	json->arrays = is_array ? json->arrays | level : json->arrays & ~level;
	json->filled &= ~level;
	sink_puts(json->sink, is_array ? "[" : "{");
}

void json_open_object(struct json_out *json, const char *key)
{
	json_open(json, key, false);
}

void json_open_array(struct json_out *json, const char *key)
{
	json_open(json, key, true);
}

/* Close the innermost object or array. */
void json_close(struct json_out *json)
{
	uint32_t level;

	assert(json->depth > 0);
	level = UINT32_C(1) << --json->depth;
	if (json->filled & level)
		json_indent(json);
	sink_puts(json->sink, json->arrays & level ? "]" : "}");
}

/* A string, or NULL: null. */
void json_add_string(struct json_out *json, const char *key, const char *value)
{
	if (value) {
		json_add_text(json, key, value, strlen(value));
		return;
	}
	json_begin(json, key);
	sink_puts(json->sink, "null");
}

/* A string of known length; {"bytes": "<hexadecimal>"} where it is not UTF-8. */
void json_add_text(struct json_out *json, const char *key, const char *value, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	json_begin(json, key);
	if (json_is_utf8(value, len)) {
		json_put_string(json, value, len);
		return;
	}
	sink_puts(json->sink, json->compact ? "{\"bytes\":\"" : "{\"bytes\": \"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		sink_write(json->sink, &digits[c >> 4], 1);
		sink_write(json->sink, &digits[c & 15], 1);
	}
	sink_puts(json->sink, "\"}");
}

void json_add_int(struct json_out *json, const char *key, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	json_begin(json, key);
	sink_puts(json->sink, text);
}

void json_add_uint(struct json_out *json, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	json_begin(json, key);
	sink_puts(json->sink, text);
}

void json_add_bool(struct json_out *json, const char *key, bool value)
{
	json_begin(json, key);
	sink_puts(json->sink, value ? "true" : "false");
}

/* A value that is JSON already; the blanks at its end are left out. */
void json_add_raw(struct json_out *json, const char *key, const char *text, size_t len)
{
	while (len > 0 && strchr(" \t\n", text[len - 1]))
		len--;
	assert(len > 0);
	json_begin(json, key);
	sink_write(json->sink, text, len);
}

/**
 * An array with the names of the bits that are set.
 * @names: of bit 0 and up, NULL-terminated
 */
void json_add_flags(struct json_out *json, const char *key, const char *const *names,
		    uint64_t flags)
{
	json_open_array(json, key);
	for (unsigned bit = 0; names[bit]; bit++)
		if (flags & UINT64_C(1) << bit)
			json_add_string(json, NULL, names[bit]);
	json_close(json);
}

/* The outermost value is complete: end the line and the sink. Return: as sink_finish(). */
int json_finish(struct json_out *json)
{
	assert(json->depth == 0);
	sink_puts(json->sink, "\n");
	return sink_finish(json->sink);
}
