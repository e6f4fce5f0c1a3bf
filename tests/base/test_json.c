/* SPDX-License-Identifier: MIT */
/* The JSON writer: shape, escapes, and bytes that are no text. */

#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "sbx/base/json.h"

struct fixture {
	char room[4096];
	struct sink sink;
	struct json_out json;
};

static void fixture_init(struct fixture *f, bool compact)
{
	f->sink = (struct sink)SINK_TO_MEMORY(f->room);
	f->json = (struct json_out)JSON_OUT(&f->sink);
	f->json.compact = compact;
}

/* How one string comes out, as the only item of an array: without the brackets. */
static void expect_string(const char *text, size_t len, const char *expected)
{
	struct fixture f;

	fixture_init(&f, true);
	json_add_text(&f.json, NULL, text, len);
	cr_assert_eq(json_finish(&f.json), 0);
	cr_assert_gt(strlen(f.room), 0);
	f.room[strlen(f.room) - 1] = '\0'; /* the newline */
	cr_expect_str_eq(f.room, expected, "\"%s\" became %s", text, f.room);
}

#define EXPECT_STRING(text, expected) expect_string((text), sizeof(text) - 1, (expected))

static void write_sample(struct json_out *json)
{
	static const char *const names[] = {"one", "two", "three", NULL};

	json_open_object(json, NULL);
	json_add_int(json, "int", INT64_MIN);
	json_add_uint(json, "uint", UINT64_MAX);
	json_add_bool(json, "yes", true);
	json_add_bool(json, "no", false);
	json_add_string(json, "none", NULL);
	json_open_array(json, "list");
	json_add_int(json, NULL, 1);
	json_open_object(json, NULL);
	json_add_string(json, "a", "b");
	json_close(json);
	json_open_array(json, NULL);
	json_close(json);
	json_close(json);
	json_open_object(json, "empty");
	json_close(json);
	json_add_flags(json, "flags", names, 5);
	json_close(json);
}

Test(json, compact_is_one_line)
{
	struct fixture f;

	fixture_init(&f, true);
	write_sample(&f.json);
	cr_assert_eq(json_finish(&f.json), 0);
	cr_expect_str_eq(f.room, "{\"int\":-9223372036854775808,\"uint\":18446744073709551615,"
				 "\"yes\":true,\"no\":false,\"none\":null,"
				 "\"list\":[1,{\"a\":\"b\"},[]],\"empty\":{},"
				 "\"flags\":[\"one\",\"three\"]}\n");
}

Test(json, pretty_is_indented_by_two)
{
	struct fixture f;

	fixture_init(&f, false);
	write_sample(&f.json);
	cr_assert_eq(json_finish(&f.json), 0);
	cr_expect_str_eq(f.room, "{\n"
				 "  \"int\": -9223372036854775808,\n"
				 "  \"uint\": 18446744073709551615,\n"
				 "  \"yes\": true,\n"
				 "  \"no\": false,\n"
				 "  \"none\": null,\n"
				 "  \"list\": [\n"
				 "    1,\n"
				 "    {\n"
				 "      \"a\": \"b\"\n"
				 "    },\n"
				 "    []\n"
				 "  ],\n"
				 "  \"empty\": {},\n"
				 "  \"flags\": [\n"
				 "    \"one\",\n"
				 "    \"three\"\n"
				 "  ]\n"
				 "}\n");
}

Test(json, what_json_or_a_terminal_would_misread_is_escaped)
{
	EXPECT_STRING("", "\"\"");
	EXPECT_STRING("plain / text", "\"plain / text\"");
	EXPECT_STRING("\"\\", "\"\\\"\\\\\"");
	EXPECT_STRING("a\nb\tc", "\"a\\nb\\tc\"");
	EXPECT_STRING("\r\x1b\x7f\0x", "\"\\u000d\\u001b\\u007f\\u0000x\"");
	EXPECT_STRING("\xc2\x80\xc2\x9f\xc2\xa0", "\"\\u0080\\u009f\xc2\xa0\"");
	EXPECT_STRING("\u202e\u202f\ufeff\U0001f600\U000e0041",
		      "\"\\u202e\u202f\\ufeff\U0001f600\\udb40\\udc41\"");
}

Test(json, utf8_of_every_length_stays_as_it_is)
{
	EXPECT_STRING("\xc3\xa9", "\"\xc3\xa9\"");
	EXPECT_STRING("\xe2\x82\xac", "\"\xe2\x82\xac\"");
	EXPECT_STRING("\xf0\x9f\x93\xa6", "\"\xf0\x9f\x93\xa6\"");
	EXPECT_STRING("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

Test(json, what_is_no_utf8_is_written_as_bytes)
{
	EXPECT_STRING("a\xff", "{\"bytes\":\"61ff\"}");
	EXPECT_STRING("\x80", "{\"bytes\":\"80\"}");
	EXPECT_STRING("\xc3", "{\"bytes\":\"c3\"}");		       /* cut short */
	EXPECT_STRING("\xc0\xaf", "{\"bytes\":\"c0af\"}");	       /* longer than needed */
	EXPECT_STRING("\xe0\x80\xaf", "{\"bytes\":\"e080af\"}");       /* likewise */
	EXPECT_STRING("\xed\xa0\x80", "{\"bytes\":\"eda080\"}");       /* half of a pair */
	EXPECT_STRING("\xf4\x90\x80\x80", "{\"bytes\":\"f4908080\"}"); /* behind the last */
	EXPECT_STRING("\xe2\x82\"", "{\"bytes\":\"e28222\"}");
}

Test(json, nesting_goes_as_deep_as_the_limit)
{
	struct fixture f;

	fixture_init(&f, true);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_open_array(&f.json, NULL);
	json_add_int(&f.json, NULL, 1);
	json_add_int(&f.json, NULL, 2);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		json_close(&f.json);
	cr_assert_eq(json_finish(&f.json), 0);
	cr_expect_eq(strlen(f.room), 2 * JSON_DEPTH_MAX + strlen("1,2\n"));
	cr_expect_not_null(strstr(f.room, "[[1,2]]"));
}
