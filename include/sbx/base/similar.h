/* SPDX-License-Identifier: MIT */
/* similar: which word was meant ("did you mean"). Any process. */
#pragma once

#include <stddef.h>

/* Begun with SIMILAR(); then every word that it may be is offered. */
struct similar {
	const char *word;
	size_t len;
	size_t n_letters; /* that count: dashes in front do not */
	unsigned best;
	const char *found; /* the nearest so far; NULL: none, or two equally near ones */
};

/* More than two slips is another word. */
#define SIMILAR(text, length, letters)                                                             \
	{                                                                                          \
		.word = (text), .len = (length), .n_letters = (letters), .best = 3                 \
	}

void similar_offer(struct similar *similar, const char *candidate);
