/* SPDX-License-Identifier: MIT */
/* gen: fill a template, see the header. Runs in: the build only. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

static const struct gen_mark *find_mark(const char *line, const struct gen_mark *marks,
					size_t n_marks)
{
	size_t len = strcspn(line, "\n");

	for (size_t i = 0; i < n_marks; i++) {
		if (strlen(marks[i].mark) == len && strncmp(marks[i].mark, line, len) == 0)
			return &marks[i];
	}
	return NULL;
}

static int copy_lines(FILE *in, FILE *out, const struct gen_mark *marks, size_t n_marks,
		      const void *context)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, in) > 0) {
		const struct gen_mark *mark = find_mark(line, marks, n_marks);

		if (mark)
			r = mark->print(out, context);
		else if (fputs(line, out) == EOF)
			r = -1;
	}
	free(line);
	return r;
}

/**
 * Write the output file from the template. A failure leaves no output file.
 *
 * Return: 0, or -1 after saying why on stderr.
 */
int gen_fill_template(const char *template_path, const char *output_path,
		      const struct gen_mark *marks, size_t n_marks, const void *context)
{
	FILE *in = fopen(template_path, "re");
	FILE *out = in ? fopen(output_path, "we") : NULL;
	int r = -1;

	if (!in)
		(void)fprintf(stderr, "%s: %s\n", template_path, strerror(errno));
	else if (!out)
		(void)fprintf(stderr, "%s: %s\n", output_path, strerror(errno));
	else
		r = copy_lines(in, out, marks, n_marks, context);
	if (in)
		(void)fclose(in);
	if (out && fclose(out) == EOF) {
		(void)fprintf(stderr, "%s: %s\n", output_path, strerror(errno));
		r = -1;
	}
	if (out && r < 0)
		(void)remove(output_path);
	return r;
}
