/* SPDX-License-Identifier: MIT */
/*
 * gen_man: join the option table with its paragraphs into the manual's source.
 *
 *     gen_man TEMPLATE PARAGRAPHS OUTPUT VERB...       sbx(1); the verbs that get a page
 *     gen_man TEMPLATE PARAGRAPHS OUTPUT --page VERB   the page of a verb, sbx-VERB(1)
 *
 * PARAGRAPHS is man/options.txt: a line of one or more names, then lines that
 * start with a tab, in scdoc(5) markup. Names on one line share the text. The
 * program fails when an option or a verb has no paragraph, when a paragraph has
 * no option, when one has two, and when a verb gets no page: so table and manual cannot
 * drift apart. The options of verbs are there as VERB/--option.
 *
 * Runs in: the build only.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"
#include "sbx/base/arena.h"
#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/cli/options.h"
#include "sbx/cmd/options.h"
#include "sbx/cmd/verbs.h"

enum { PARAGRAPHS_MAX_BYTES = 1 << 20, NAMES_MAX = 8 };

static const struct verb {
	const char *name, *args, *summary;
} verbs[] = {
#define X(name_, args_, summary_, run_) {name_, args_, summary_},
	CMD_VERBS(X)
#undef X
};

struct entry {
	const char *names[NAMES_MAX];
	size_t n_names;
	const char *body; /* lines with a tab in front, with empty lines between */
	size_t body_len;
};

struct paragraphs {
	struct entry *entries;
	size_t count;
};

static int complain(const char *name, const char *what)
{
	(void)fprintf(stderr, "gen_man: %s: %s\n", name, what);
	return -1;
}

static const struct entry *find_entry(const struct paragraphs *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		for (size_t n = 0; n < all->entries[i].n_names; n++) {
			if (str_equal(all->entries[i].names[n], name))
				return &all->entries[i];
		}
	}
	return NULL;
}

static int split_names(struct entry *entry, char *line)
{
	char *name;

	while ((name = strsep(&line, " "))) {
		if (entry->n_names == NAMES_MAX)
			return complain(name, "too many names on one line");
		entry->names[entry->n_names++] = name;
	}
	return 0;
}

/* The text from here to the next line that is no body: its length, final newlines cut. */
static size_t body_length(const char *text)
{
	const char *end = text;

	while (*end == '\t' || *end == '\n') {
		end = strchrnul(end, '\n');
		end += *end == '\n';
	}
	while (end > text && end[-1] == '\n')
		end--;
	return (size_t)(end - text);
}

static int read_paragraphs(char *text, struct arena *arena, struct paragraphs *all)
{
	while (*text) {
		struct entry entry = {.n_names = 0};
		char *line = text;

		text = strchrnul(text, '\n');
		if (*text)
			*text++ = '\0';
		if (*line == '#' || *line == '\0')
			continue;
		if (split_names(&entry, line) < 0)
			return -1;
		entry.body = text;
		entry.body_len = body_length(text);
		if (entry.body_len == 0)
			return complain(line, "has no text");
		text += entry.body_len;
		for (size_t i = 0; i < entry.n_names; i++) {
			if (find_entry(all, entry.names[i]))
				return complain(entry.names[i], "is described twice");
		}
		all->entries = arena_grow(arena, all->entries, all->count, sizeof(entry));
		if (!all->entries)
			return complain(line, "out of memory");
		all->entries[all->count++] = entry;
	}
	return 0;
}

/* "ps/--all" */
static bool is_verb_option(const struct cmd_option *option, const char *name)
{
	size_t len = strlen(option->verb);

	return strncmp(option->verb, name, len) == 0 && name[len] == '/' &&
	       str_equal(option->name, name + len + 1);
}

static const struct entry *find_verb_option(const struct paragraphs *all,
					    const struct cmd_option *option)
{
	for (size_t i = 0; i < all->count; i++)
		for (size_t n = 0; n < all->entries[i].n_names; n++)
			if (is_verb_option(option, all->entries[i].names[n]))
				return &all->entries[i];
	return NULL;
}

/* "doctor/exit-status": for a verb whose own is another than that of the others */
static bool is_verb_status(const struct verb *verb, const char *name)
{
	size_t len = strlen(verb->name);

	return strncmp(verb->name, name, len) == 0 && str_equal(name + len, "/exit-status");
}

static const struct entry *find_verb_status(const struct paragraphs *all, const struct verb *verb)
{
	for (size_t i = 0; i < all->count; i++)
		for (size_t n = 0; n < all->entries[i].n_names; n++)
			if (is_verb_status(verb, all->entries[i].names[n]))
				return &all->entries[i];
	return NULL;
}

static bool is_known(const char *name)
{
	const struct cli_option *option = cli_find_option(name, strlen(name));

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (str_equal(verbs[i].name, name) || is_verb_status(&verbs[i], name))
			return true;
	}
	for (size_t i = 0; i < cmd_n_options; i++) {
		if (is_verb_option(&cmd_options[i], name))
			return true;
	}
	return option && str_equal(option->name, name);
}

/* Every row has its paragraph, every paragraph its row. All faults are told, not only the first. */
static int check_complete(const struct paragraphs *all)
{
	int r = 0;

	for (size_t i = 0; i < cli_n_options; i++) {
		if (!find_entry(all, cli_options[i].name))
			r = complain(cli_options[i].name, "has no paragraph");
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!find_entry(all, verbs[i].name))
			r = complain(verbs[i].name, "has no paragraph");
	}
	for (size_t i = 0; i < cmd_n_options; i++) {
		if (!find_verb_option(all, &cmd_options[i])) {
			(void)fprintf(stderr, "gen_man: %s/", cmd_options[i].verb);
			(void)fprintf(stderr, "%s: has no paragraph\n", cmd_options[i].name);
			r = -1;
		}
	}
	for (size_t i = 0; i < all->count; i++) {
		for (size_t n = 0; n < all->entries[i].n_names; n++) {
			if (!is_known(all->entries[i].names[n]))
				r = complain(all->entries[i].names[n],
					     "is described, but not there");
		}
	}
	return r;
}

/* "*--ro-bind* _SRC_ _DEST_" */
static void print_option(FILE *out, const struct cli_option *option)
{
	const char *word;

	if (option->letter[0])
		(void)fprintf(out, "*%s*, ", option->letter);
	(void)fprintf(out, "*%s*", option->name);
	if (!cli_option_takes_equals(option)) {
		for (size_t i = 0; i < cli_option_n_args(option); i++)
			(void)fprintf(out, " _%s_", option->args[i].metavar);
		return;
	}
	(void)fputs(option->arg_optional ? "[=" : "=", out);
	for (size_t i = 0; (word = cli_option_word(option, i, NULL)); i++)
		(void)fprintf(out, "%s*%s*", i ? "|" : "", word);
	if (option->arg_optional)
		(void)fputs("]", out);
}

static void print_body(FILE *out, const struct entry *entry)
{
	(void)fprintf(out, "\n%.*s\n\n", (int)entry->body_len, entry->body);
}

/* An entry of several names is printed where its first stands in the table. */
static void print_entry(FILE *out, const struct entry *entry)
{
	for (size_t i = 0; i < entry->n_names; i++) {
		(void)fputs(i ? ", " : "", out);
		print_option(out, cli_find_option(entry->names[i], strlen(entry->names[i])));
	}
	print_body(out, entry);
}

static int print_options(FILE *out, const void *context)
{
	const struct paragraphs *all = context;

	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];
		const struct entry *entry = find_entry(all, option->name);

		if (i == 0 || option->group != cli_options[i - 1].group)
			(void)fprintf(out, "## %s\n\n", cli_group_titles[option->group]);
		if (str_equal(entry->names[0], option->name))
			print_entry(out, entry);
	}
	return 0;
}

static int print_verbs(FILE *out, const void *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		(void)fprintf(out, "*%s*%s%s", verbs[i].name, *verbs[i].args ? " " : "",
			      verbs[i].args);
		print_body(out, find_entry(context, verbs[i].name));
	}
	return 0;
}

/* ---- the page of a verb ---- */

struct page {
	const struct paragraphs *all;
	const struct verb *verb;
};

/* A paragraph that stands by itself: without the tabs. */
static void print_flush(FILE *out, const struct entry *entry)
{
	const char *at = entry->body, *end = entry->body + entry->body_len;

	while (at < end) {
		size_t len;

		at += *at == '\t';
		len = strcspn(at, "\n");
		(void)fprintf(out, "%.*s\n", (int)len, at);
		at += len + 1;
	}
}

static int page_title(FILE *out, const void *context)
{
	const struct page *page = context;

	(void)fprintf(out, "sbx-%s(1)\n", page->verb->name);
	return 0;
}

static int page_name(FILE *out, const void *context)
{
	const struct page *page = context;

	(void)fprintf(out, "sbx-%s - %s\n", page->verb->name, page->verb->summary);
	return 0;
}

static bool has_options(const struct verb *verb)
{
	for (size_t i = 0; i < cmd_n_options; i++)
		if (str_equal(cmd_options[i].verb, verb->name))
			return true;
	return false;
}

/* "[NAME...]" with the words of it underlined */
static void print_args(FILE *out, const char *args)
{
	while (*args) {
		size_t len = strspn(args, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (len)
			(void)fprintf(out, "_%.*s_", (int)len, args);
		else
			(void)fputc(*args, out);
		args += len ? len : 1;
	}
}

static int page_synopsis(FILE *out, const void *context)
{
	const struct page *page = context;

	(void)fprintf(out, "*sbx %s*%s%s", page->verb->name,
		      has_options(page->verb) ? " [_OPTION_...]" : "",
		      *page->verb->args ? " " : "");
	print_args(out, page->verb->args);
	(void)fputs("\n", out);
	return 0;
}

static int page_description(FILE *out, const void *context)
{
	const struct page *page = context;

	print_flush(out, find_entry(page->all, page->verb->name));
	return 0;
}

static int page_options(FILE *out, const void *context)
{
	const struct page *page = context;

	(void)fputs(has_options(page->verb) ? "\n# OPTIONS\n\n" : "\n", out);
	for (size_t i = 0; i < cmd_n_options; i++) {
		const struct cmd_option *option = &cmd_options[i];

		if (!str_equal(option->verb, page->verb->name))
			continue;
		if (option->letter)
			(void)fprintf(out, "*%s*, ", option->letter);
		(void)fprintf(out, "*%s*", option->name);
		if (option->metavar)
			(void)fprintf(out, " _%s_", option->metavar);
		print_body(out, find_verb_option(page->all, option));
	}
	return 0;
}

/* A verb that runs a command has that one's. */
static int page_exit_status(FILE *out, const void *context)
{
	const struct page *page = context;
	const struct entry *own = find_verb_status(page->all, page->verb);

	if (own) {
		print_flush(out, own);
		return 0;
	}
	(void)fputs(cmd_verb_exits_as_a_run(page->verb->name, page->verb->args)
			    ? "The command's; 128 and the number of the signal that ended it; 125 "
			      "when *sbx*\nfailed, 126 when the command cannot be executed, 127 "
			      "when it is not found.\n"
			    : "0, or 1 when it failed and 2 when it was used wrongly.\n",
		    out);
	return 0;
}

static const struct gen_mark page_marks[] = {
	{"@TITLE@", page_title},       {"@NAME@", page_name},
	{"@SYNOPSIS@", page_synopsis}, {"@DESCRIPTION@", page_description},
	{"@OPTIONS@", page_options},   {"@EXIT_STATUS@", page_exit_status},
};

static int make_page(const char *template_path, const char *output, const char *name,
		     const struct paragraphs *all)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct page page = {all, &verbs[i]};

		if (str_equal(verbs[i].name, name))
			return gen_fill_template(template_path, output, page_marks,
						 ARRAY_SIZE(page_marks), &page);
	}
	return complain(name, "is no verb");
}

/* Does every verb get a page? */
static int check_pages(int n_pages, char **pages)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		bool found = false;

		for (int p = 0; p < n_pages; p++)
			found = found || str_equal(pages[p], verbs[i].name);
		if (!found)
			r = complain(verbs[i].name, "gets no page: see man/meson.build");
	}
	return r;
}

static const struct gen_mark marks[] = {
	{"@OPTIONS@", print_options},
	{"@VERBS@", print_verbs},
};

int main(int argc, char **argv)
{
	struct arena arena;
	struct paragraphs all = {.count = 0};
	char *text = NULL;
	size_t len;
	int r;

	if (argc < 5)
		return complain("usage", "gen_man TEMPLATE PARAGRAPHS OUTPUT VERB..."), 2;
	arena_init(&arena);
	r = io_read_file(argv[2], PARAGRAPHS_MAX_BYTES, &arena, &text, &len);
	if (r < 0)
		r = complain(argv[2], strerror(-r));
	if (r == 0)
		r = read_paragraphs(text, &arena, &all);
	if (r == 0)
		r = check_complete(&all);
	if (r == 0 && argc == 6 && str_equal(argv[4], "--page"))
		r = make_page(argv[1], argv[3], argv[5], &all);
	else if (r == 0)
		r = check_pages(argc - 4, argv + 4);
	if (r == 0 && !str_equal(argv[4], "--page"))
		r = gen_fill_template(argv[1], argv[3], marks, ARRAY_SIZE(marks), &all);
	arena_finish(&arena);
	return r < 0 ? 1 : 0;
}
