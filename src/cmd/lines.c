/* SPDX-License-Identifier: MIT */
/*
 * lines: see lines.h.
 *
 * The lines in which both texts begin and end alike are put aside. In what is between, the least
 * number of lines to take away and to add is found by going through all that can be reached with
 * none, with one, with two (E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986).
 * That takes time and memory with the square of the number, which is bounded here: who wants more
 * has diff(1). Texts are of any content; nothing but lines of equal bytes counts.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/cmd/lines.h"

enum { LINES_STEPS_MAX = 500, LINES_CONTEXT = 3 };

struct line {
	const char *text;
	size_t len; /* with the newline, where there is one */
	uint32_t hash;
};

struct side {
	struct line *lines; /* owned */
	bool *marks;	    /* owned; the line is taken away, or added */
	size_t n;
};

struct lines {
	struct side a, b;
	size_t first, a_end, b_end; /* what is between */
	int32_t *trace;		    /* owned; how far each step came, on each diagonal */
};

/* ---- lines ---- */

static int side_split(struct side *side, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n' || i + 1 == len;
	side->lines = calloc(n + 1, sizeof(*side->lines));
	side->marks = calloc(n + 1, sizeof(*side->marks));
	if (!side->lines || !side->marks)
		return -ENOMEM;
	while (len > 0) {
		struct line *line = &side->lines[side->n++];
		uint32_t hash = 2166136261U;
		size_t at = 0;

		do
			hash = (hash ^ (unsigned char)text[at]) * 16777619U;
		while (text[at++] != '\n' && at < len);
		*line = (struct line){text, at, hash};
		text += at;
		len -= at;
	}
	return 0;
}

static void side_finish(struct side *side)
{
	free(side->lines);
	free(side->marks);
}

static bool line_equal(const struct line *x, const struct line *y)
{
	return x->hash == y->hash && x->len == y->len && memcmp(x->text, y->text, x->len) == 0;
}

static void lines_put_aside(struct lines *l)
{
	while (l->first < l->a.n && l->first < l->b.n &&
	       line_equal(&l->a.lines[l->first], &l->b.lines[l->first]))
		l->first++;
	l->a_end = l->a.n;
	l->b_end = l->b.n;
	while (l->a_end > l->first && l->b_end > l->first &&
	       line_equal(&l->a.lines[l->a_end - 1], &l->b.lines[l->b_end - 1])) {
		l->a_end--;
		l->b_end--;
	}
}

/* ---- the search ---- */

/* Step `d` has a place for each diagonal from -d to d, and one more at either end. */
static int32_t *lines_row(const struct lines *l, int32_t d)
{
	return l->trace + (size_t)d * (size_t)(d + 2) + d + 1;
}

/* From which diagonal a step comes to `k`: by a line of b's (k + 1), or one of a's (k - 1). */
static bool lines_goes_down(const int32_t *before, int32_t d, int32_t k)
{
	return k == -d || (k != d && before[k - 1] < before[k + 1]);
}

/* Return: the number of steps, or -1 where there are too many. */
static int32_t lines_search(const struct lines *l)
{
	const struct line *a = l->a.lines + l->first, *b = l->b.lines + l->first;
	int32_t n = (int32_t)(l->a_end - l->first), m = (int32_t)(l->b_end - l->first);

	for (int32_t d = 0; d <= LINES_STEPS_MAX; d++) {
		const int32_t *before = d ? lines_row(l, d - 1) : NULL;
		int32_t *row = lines_row(l, d);

		for (int32_t k = -d; k <= d; k += 2) {
			int32_t x = 0;

			if (d)
				x = lines_goes_down(before, d, k) ? before[k + 1]
								  : before[k - 1] + 1;
			while (x < n && x - k < m && line_equal(&a[x], &b[x - k]))
				x++;
			row[k] = x;
			if (x >= n && x - k >= m)
				return d;
		}
	}
	return -1;
}

/* From the end back to the start, a line at each step. */
static void lines_mark(struct lines *l, int32_t steps)
{
	int32_t x = (int32_t)(l->a_end - l->first), y = (int32_t)(l->b_end - l->first);

	for (int32_t d = steps; d > 0; d--) {
		const int32_t *before = lines_row(l, d - 1);
		int32_t k = x - y;

		if (lines_goes_down(before, d, k)) {
			x = before[k + 1];
			y = x - (k + 1);
			l->b.marks[l->first + (size_t)y] = true;
		} else {
			x = before[k - 1];
			y = x - (k - 1);
			l->a.marks[l->first + (size_t)x] = true;
		}
	}
}

/* Of several places that do equally well the last is taken, as diff(1) does. */
static void side_slide(struct side *side)
{
	for (size_t start = 0, end; start < side->n; start = end) {
		end = start + 1;
		if (!side->marks[start])
			continue;
		while (end < side->n && side->marks[end])
			end++;
		while (end < side->n && line_equal(&side->lines[start], &side->lines[end])) {
			side->marks[start++] = false;
			side->marks[end++] = true;
			while (end < side->n && side->marks[end])
				end++;
		}
	}
}

/* ---- text ---- */

static void lines_put(FILE *out, char sign, const struct line *line)
{
	(void)fputc(sign, out);
	(void)fwrite(line->text, 1, line->len, out);
	if (line->text[line->len - 1] != '\n')
		(void)fputs("\n\\ No newline at end of file\n", out);
}

static void lines_put_range(FILE *out, char sign, size_t start, size_t count)
{
	(void)fprintf(out, "%c%zu", sign, count ? start + 1 : start);
	if (count != 1)
		(void)fprintf(out, ",%zu", count);
}

/* Some lines that differ, with those around: [*i, end_a) and [*j, end_b). */
static void lines_put_hunk(const struct lines *l, size_t *i, size_t end_a, size_t *j, size_t end_b,
			   FILE *out)
{
	(void)fputs("@@ ", out);
	lines_put_range(out, '-', *i, end_a - *i);
	(void)fputs(" ", out);
	lines_put_range(out, '+', *j, end_b - *j);
	(void)fputs(" @@\n", out);
	while (*i < end_a || *j < end_b) {
		if (*i < end_a && l->a.marks[*i]) {
			lines_put(out, '-', &l->a.lines[(*i)++]);
		} else if (*j < end_b && l->b.marks[*j]) {
			lines_put(out, '+', &l->b.lines[(*j)++]);
		} else {
			lines_put(out, ' ', &l->a.lines[(*i)++]);
			(*j)++;
		}
	}
}

static bool lines_differ_at(const struct lines *l, size_t i, size_t j)
{
	return (i < l->a.n && l->a.marks[i]) || (j < l->b.n && l->b.marks[j]);
}

/* From lines that differ to the end of all that are to be shown with them. */
static void lines_find_end(const struct lines *l, size_t *i, size_t *j)
{
	size_t same = 0;

	do {
		while (*i < l->a.n && l->a.marks[*i])
			(*i)++;
		while (*j < l->b.n && l->b.marks[*j])
			(*j)++;
		for (same = 0; *i < l->a.n && !lines_differ_at(l, *i, *j) &&
			       same <= 2 * (size_t)LINES_CONTEXT;
		     same++) {
			(*i)++;
			(*j)++;
		}
	} while (lines_differ_at(l, *i, *j) && same <= 2 * (size_t)LINES_CONTEXT);
	same = same > LINES_CONTEXT ? same - LINES_CONTEXT : 0;
	*i -= same;
	*j -= same;
}

static void lines_put_all(const struct lines *l, FILE *out)
{
	size_t i = 0, j = 0, shown = 0;

	while (i < l->a.n || j < l->b.n) {
		size_t end_a = i, end_b = j, before;

		if (!lines_differ_at(l, i, j)) {
			i++;
			j++;
			continue;
		}
		before = i - shown < LINES_CONTEXT ? i - shown : LINES_CONTEXT;
		i -= before;
		j -= before;
		lines_find_end(l, &end_a, &end_b);
		lines_put_hunk(l, &i, end_a, &j, end_b, out);
		shown = i;
	}
}

/**
 * Compare two texts, and write where they differ.
 * @out: gets hunks, "@@ -1,2 +1,3 @@" and so on; nothing where they are the same
 *
 * Return: 1; 0 where they differ in too many lines, and nothing is written; or -ENOMEM.
 */
int lines_compare(const char *old_text, size_t old_len, const char *new_text, size_t new_len,
		  FILE *out)
{
	const size_t places = (size_t)(LINES_STEPS_MAX + 1) * (LINES_STEPS_MAX + 3);
	struct lines l = {0};
	int r = side_split(&l.a, old_text, old_len);
	int32_t steps = -1;

	if (r == 0)
		r = side_split(&l.b, new_text, new_len);
	l.trace = r == 0 ? malloc(places * sizeof(*l.trace)) : NULL;
	if (l.trace) {
		lines_put_aside(&l);
		steps = lines_search(&l);
		r = steps >= 0;
	} else {
		r = -ENOMEM;
	}
	if (r == 1) {
		lines_mark(&l, steps);
		side_slide(&l.a);
		side_slide(&l.b);
		lines_put_all(&l, out);
	}
	side_finish(&l.a);
	side_finish(&l.b);
	free(l.trace);
	return r;
}
