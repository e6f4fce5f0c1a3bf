/* SPDX-License-Identifier: MIT */
/*
 * str: bounded strings. A buffer of fixed room that never overflows and never
 * allocates, number parsing with limits, escaping for terminals. Any process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/defs.h"

/* Text that grows in room somebody else owns; what does not fit is cut. Always NUL-terminated. */
struct str_buf {
	char *data;
	size_t len;  /* without the NUL */
	size_t size; /* of the room, with the NUL */
	bool cut;    /* something did not fit */
};

#define STR_BUF_ON_STACK(room)                                                                     \
	{                                                                                          \
		.data = (room), .len = ((room)[0] = '\0', 0), .size = sizeof(room)                 \
	}

void str_buf_puts(struct str_buf *buf, const char *text);
void str_buf_write(struct str_buf *buf, const char *text, size_t len);
void str_buf_printf(struct str_buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t str_character_len(const char *bytes, size_t len);
uint32_t str_character_code(const char *bytes, size_t len);
size_t str_plain_len(const char *text, size_t len);
void str_buf_escape(struct str_buf *buf, const char *text, size_t len);
void str_buf_quote(struct str_buf *buf, const char *word);

bool str_equal(const char *a, const char *b);
bool str_starts_with(const char *text, const char *prefix);
void str_copy(char *dest, size_t size, const char *text);
int str_parse_u64(const char *text, int base, uint64_t max, uint64_t *ret_value);
int str_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes);
