/* SPDX-License-Identifier: MIT */
/*
 * json: writes JSON; nothing in the launch binary reads any. Allocates nothing.
 * Any process.
 *
 * Bytes that are not UTF-8 (a path may be anything) cannot be a JSON string.
 * They are written as an object in its place, {"bytes": "<hexadecimal>"}, which
 * every reader of JSON takes and spec_read_json() turns back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/base/sink.h"

enum { JSON_DEPTH_MAX = 32 };

/* Made with JSON_OUT(): everything but the two options starts as zero. */
struct json_out {
	struct sink *sink; /* borrowed */
	bool compact;	   /* all on one line; else indented by two spaces */
	unsigned depth;	   /* how many objects and arrays are open */
	uint32_t arrays;   /* bit n: level n is an array */
	uint32_t filled;   /* bit n: level n has a member already */
};

#define JSON_OUT(target)                                                                           \
	{                                                                                          \
		.sink = (target)                                                                   \
	}

/* `key` is a member's name in an object; NULL in an array and for the outermost value. */
void json_open_object(struct json_out *json, const char *key);
void json_open_array(struct json_out *json, const char *key);
void json_close(struct json_out *json);
void json_add_string(struct json_out *json, const char *key, const char *value);
void json_add_text(struct json_out *json, const char *key, const char *value, size_t len);
void json_add_int(struct json_out *json, const char *key, int64_t value);
void json_add_uint(struct json_out *json, const char *key, uint64_t value);
void json_add_bool(struct json_out *json, const char *key, bool value);
void json_add_raw(struct json_out *json, const char *key, const char *text, size_t len);
void json_add_flags(struct json_out *json, const char *key, const char *const *names,
		    uint64_t flags);
int json_finish(struct json_out *json);
