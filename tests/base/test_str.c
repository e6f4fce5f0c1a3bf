/* SPDX-License-Identifier: MIT */
/* Bounded strings: what does not fit is cut, never written; numbers are exact or refused. */

#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "sbx/base/str.h"

Test(str, a_buffer_cuts_what_does_not_fit_and_says_so)
{
	char room[8];
	struct str_buf buf = STR_BUF_ON_STACK(room);

	str_buf_puts(&buf, "abcdefg");
	cr_expect_str_eq(buf.data, "abcdefg");
	cr_expect_not(buf.cut, "seven bytes and a NUL fit into eight");

	str_buf_puts(&buf, "h");
	cr_expect_str_eq(buf.data, "abcdefg");
	cr_expect(buf.cut);
	cr_expect_eq(buf.len, 7);
}

Test(str, formatted_text_is_cut_like_any_other)
{
	char room[8];
	struct str_buf buf = STR_BUF_ON_STACK(room);

	str_buf_printf(&buf, "%d-", 123);
	cr_expect_str_eq(buf.data, "123-");
	str_buf_printf(&buf, "%s", "456789");
	cr_expect_str_eq(buf.data, "123-456");
	cr_expect(buf.cut);
	str_buf_printf(&buf, "%d", 1);
	cr_expect_eq(buf.len, 7, "a full buffer stays as it is");
}

Test(str, escape_leaves_no_control_character_for_the_terminal)
{
	/* Then what is text, and what is no UTF-8: single bytes, an overlong form, a surrogate,
	 * one too large, one that is cut. */
	static const char text[] = "a\n\t\x1b[1m\x7f\xc2\x9b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
				   "|\x9b|\xff|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82";
	char room[128];
	struct str_buf buf = STR_BUF_ON_STACK(room);

	str_buf_escape(&buf, text, strlen(text));
	cr_expect_str_eq(buf.data,
			 "a\\n\\t\\x1b[1m\\x7f\\xc2\\x9b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
			 "|\\x9b|\\xff|\\xc0\\xaf|\\xed\\xa0\\x80|\\xf4\\x90\\x80\\x80|\\xe2\\x82");
}

Test(str, quote_makes_one_word_of_a_shell)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{"5c1f09ab27de", "5c1f09ab27de"},
		{"/home/a_b/s-1.x", "/home/a_b/s-1.x"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's $HOME", "'it'\\''s $HOME'"},
		{"~/s", "'~/s'"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char room[64];
		struct str_buf buf = STR_BUF_ON_STACK(room);

		str_buf_quote(&buf, rows[i].text);
		cr_expect_str_eq(buf.data, rows[i].word);
	}
}

/* They turn what follows around, or are not seen. Beside each what is next to it and is text. */
Test(str, escape_leaves_no_format_character_for_the_terminal)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"\u202egpj.exe", "\\xe2\\x80\\xaegpj.exe"},
		{"\u202a\u202f", "\\xe2\\x80\\xaa\u202f"},
		{"\u2066\u2069\u2070", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9\u2070"},
		{"\u200a\u200b\u200f\u2010", "\u200a\\xe2\\x80\\x8b\\xe2\\x80\\x8f\u2010"},
		{"\u2027\u2028\u2029", "\u2027\\xe2\\x80\\xa8\\xe2\\x80\\xa9"},
		{"\ufeff", "\\xef\\xbb\\xbf"},
		{"\u00ac\u00ad\u00ae", "\u00ac\\xc2\\xad\u00ae"},
		{"\u061b\u061c", "\u061b\\xd8\\x9c"},
		{"\U000e0041", "\\xf3\\xa0\\x81\\x81"},
		{"\u05d0\u0627\u4e00\U0001f600", "\u05d0\u0627\u4e00\U0001f600"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[128];
		struct str_buf buf = STR_BUF_ON_STACK(room);

		str_buf_escape(&buf, cases[i].text, strlen(cases[i].text));
		cr_expect_str_eq(buf.data, cases[i].shown, "%zu: %s", i, buf.data);
	}
}

Test(str, equal_takes_null_for_a_value)
{
	cr_expect(str_equal(NULL, NULL));
	cr_expect_not(str_equal(NULL, ""));
	cr_expect_not(str_equal("", NULL));
	cr_expect(str_equal("a", "a"));
	cr_expect_not(str_equal("a", "ab"));
}

Test(str, starts_with_compares_the_whole_prefix)
{
	cr_expect(str_starts_with("--bind", "--"));
	cr_expect(str_starts_with("x", ""));
	cr_expect_not(str_starts_with("-", "--"));
}

Test(str, copy_never_writes_past_the_room)
{
	char room[6] = "12345";

	str_copy(room, 4, "abcdef");
	cr_expect_str_eq(room, "abc");
	cr_expect_eq(room[4], '5', "behind the room nothing changes");
	str_copy(room, sizeof(room), "ab");
	cr_expect_str_eq(room, "ab");
}

Test(str, numbers_are_digits_and_nothing_else)
{
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "1x", "x", "0x", "1.0"};
	uint64_t value = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(str_parse_u64(bad[i], 10, UINT64_MAX, &value), -EINVAL, "\"%s\"",
			     bad[i]);
	cr_expect_eq(value, 7, "ret_value must be untouched on failure");

	cr_expect_eq(str_parse_u64("18446744073709551615", 10, UINT64_MAX, &value), 0);
	cr_expect_eq(value, UINT64_MAX);
	cr_expect_eq(str_parse_u64("0755", 8, 07777, &value), 0);
	cr_expect_eq(value, 0755);
	cr_expect_eq(str_parse_u64("0x10", 0, 100, &value), 0);
	cr_expect_eq(value, 16);
	cr_expect_eq(str_parse_u64("8", 8, 07777, &value), -EINVAL, "8 is no octal digit");
}

Test(str, numbers_above_the_limit_are_out_of_range)
{
	uint64_t value = 7;

	cr_expect_eq(str_parse_u64("10", 10, 10, &value), 0);
	cr_expect_eq(value, 10);
	cr_expect_eq(str_parse_u64("11", 10, 10, &value), -ERANGE);
	cr_expect_eq(str_parse_u64("18446744073709551616", 10, UINT64_MAX, &value), -ERANGE);
	cr_expect_eq(str_parse_u64("99999999999999999999999", 10, 5, &value), -ERANGE);
	cr_expect_eq(value, 10);
}

Test(str, sizes_know_powers_of_1024)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"64K", 65536},
		{"64k", 65536},
		{"2M", 2097152},
		{"3G", UINT64_C(3) << 30},
		{"1t", UINT64_C(1) << 40},
		{"0512", 512},
		{"010K", 10240},
		{"09", 9},
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t bytes = 1;

		cr_expect_eq(str_parse_size(good[i].text, INT64_MAX, &bytes), 0, "\"%s\"",
			     good[i].text);
		cr_expect_eq(bytes, good[i].bytes, "\"%s\" is %llu", good[i].text,
			     (unsigned long long)bytes);
	}
}

Test(str, sizes_that_are_none_or_too_large_are_told_apart)
{
	static const char *const bad[] = {
		"",    "K",    "1KK",  "1KB",	"-1K",
		"1 K", "1.5G", "0x10", "0x10K", "000000000000000000000000000000000001"};
	uint64_t bytes = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(str_parse_size(bad[i], INT64_MAX, &bytes), -EINVAL, "\"%s\"", bad[i]);
	cr_expect_eq(str_parse_size("8388608T", INT64_MAX, &bytes), -ERANGE);
	cr_expect_eq(str_parse_size("18014398509481984T", UINT64_MAX, &bytes), -ERANGE);
	cr_expect_eq(bytes, 7);
}
