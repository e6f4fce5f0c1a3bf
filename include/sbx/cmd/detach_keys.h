/* SPDX-License-Identifier: MIT */
/*
 * detach_keys: the keys that end sbx attach, found in what is typed. Runs in: the caller's
 * process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { DETACH_KEYS_MAX = 16 };

struct detach_keys {
	char keys[DETACH_KEYS_MAX];
	size_t count;	/* 0: there are none */
	size_t matched; /* how many of them were typed last, and are kept back */
};

int detach_keys_parse(const char *text, struct detach_keys *ret_keys);
bool detach_keys_filter(struct detach_keys *keys, const char *typed, size_t len, char *ret_text,
			size_t *ret_len);
