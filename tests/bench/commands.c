/* SPDX-License-Identifier: MIT */
/* commands: see commands.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "measure.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

void words_add(struct words *words, const char *fmt, ...)
{
	va_list args;

	if (words->n + 1 >= WORDS_MAX) {
		errno = E2BIG;
		measure_die("command line");
	}
	va_start(args, fmt);
	if (vasprintf(&words->word[words->n], fmt, args) < 0)
		measure_die("vasprintf");
	va_end(args);
	words->word[++words->n] = NULL;
}

void words_add_list(struct words *words, const char *const *list)
{
	for (; *list; list++)
		words_add(words, "%s", *list);
}

void words_free(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->word[i]);
	*words = (struct words){0};
}

/* In the words that sbx and bubblewrap share. */
static void add_reference(struct words *words)
{
	static const char *const links[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64"};

	words_add_list(words, WORDS("--ro-bind", "/usr", "/usr"));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char target[64];
		ssize_t n = readlink(links[i], target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		words_add_list(words, WORDS("--symlink", target, links[i]));
	}
	words_add_list(words, WORDS("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"));
}

void command_bwrap(struct words *words, const struct programs *programs)
{
	words_add_list(words, WORDS(programs->bwrap, "--unshare-all"));
	add_reference(words);
}

static const char *const sbx_maps[] = {
	[MAP_SINGLE] = "--map=single",
	[MAP_DEFAULT] = "--map=auto",
};

void command_sbx(struct words *words, const struct programs *programs, enum command_map map)
{
	words_add_list(words, WORDS(programs->sbx, sbx_maps[map], "--no-base"));
	add_reference(words);
}

/* What people type. */
void command_sbx_base(struct words *words, const struct programs *programs, enum command_map map)
{
	words_add_list(words, WORDS(programs->sbx, sbx_maps[map], "--ro-bind", "/usr", "/usr"));
}

void command_bare(struct words *words, const struct programs *programs, enum command_map map)
{
	words_add_list(words, WORDS(programs->bare, "--covers", "--userns-off"));
	if (map == MAP_SINGLE || !programs->range_count)
		return;
	words_add_list(words, WORDS("--late", "--range"));
	words_add(words, "%lu", programs->range_start);
	words_add(words, "%lu", programs->range_count);
}

/* The bare program with no more in it than bubblewrap does. */
void command_floor(struct words *words, const struct programs *programs)
{
	words_add_list(words, WORDS(programs->bare, "--no-filter"));
}
