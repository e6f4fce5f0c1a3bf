/* SPDX-License-Identifier: MIT */
/* similar: compare words by how many slips of the finger lie between them. */

#include <assert.h>
#include <string.h>

#include "sbx/base/similar.h"

enum { SIMILAR_MAX_LEN = 48, SIMILAR_LETTERS_PER_SLIP = 3 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/*
 * How many letters must be added, left out, changed or swapped with their
 * neighbour to get from a to b. Three rows of the usual matrix are enough.
 */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][SIMILAR_MAX_LEN + 1];

	assert(a_len <= SIMILAR_MAX_LEN && b_len <= SIMILAR_MAX_LEN);
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[a_len % 3][b_len];
}

/* Take this word into account. Short words are near to everything: one slip for every three
 * letters. */
void similar_offer(struct similar *similar, const char *candidate)
{
	size_t len = strlen(candidate);
	unsigned distance;

	if (similar->n_letters < 2 || similar->len > SIMILAR_MAX_LEN || len > SIMILAR_MAX_LEN)
		return;
	distance = edit_distance(similar->word, similar->len, candidate, len);
	if (distance * SIMILAR_LETTERS_PER_SLIP > similar->n_letters)
		return;
	if (distance < similar->best) {
		similar->best = distance;
		similar->found = candidate;
	} else if (distance == similar->best) {
		similar->found = NULL;
	}
}
