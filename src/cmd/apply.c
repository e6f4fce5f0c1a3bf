/* SPDX-License-Identifier: MIT */
/*
 * apply: `sbx apply [SESSION]`: make the changes of a session real.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "sbx/base/io.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"
#include "sbx/cow/apply.h"

enum { APPLY_LINE_MAX = 4 * COW_PATH_MAX + 1024, APPLY_TOLD_MAX = 100 };

struct apply_run {
	struct cow_cmd *cow;
	bool dry_run;
	char *line; /* owned, APPLY_LINE_MAX */
	unsigned n_told;
	int failed; /* 0, or -errno: standard output */
};

/* What is not done is said on standard error, what is (or would be) only in a dry run. */
static void apply_tell(void *arg, size_t root, const struct cow_entry *e, const char *not_done)
{
	struct apply_run *run = arg;
	struct str_buf line = {.data = run->line, .size = APPLY_LINE_MAX};

	if (!not_done && !run->dry_run)
		return;
	if (not_done && run->n_told++ >= APPLY_TOLD_MAX)
		return;
	if (not_done)
		str_buf_puts(&line, "sbx: ");
	else
		str_buf_printf(&line, "%c  ", cow_change_letter(e));
	cow_cmd_put_path(&line, &run->cow->session, root, e->path);
	str_buf_puts(&line, not_done ? ": " : "\n");
	if (not_done) {
		str_buf_puts(&line, not_done);
		str_buf_puts(&line, "\n");
	}
	if (not_done)
		(void)io_write_all(STDERR_FILENO, line.data, line.len);
	else if (run->failed == 0)
		run->failed = io_write_all(STDOUT_FILENO, line.data, line.len);
}

/* As a shell completes it: "src/", "./src". Return: 0, or -errno with *err filled. */
static int apply_read_pattern(struct cow_cmd *cow, const char *option, const char *given,
			      const char **ret, struct sbx_err *err)
{
	const char *pattern = given;
	size_t len;

	while (str_starts_with(pattern, "./"))
		pattern += strspn(pattern + 1, "/") + 1;
	/* The directory itself, "." or "./": as any other with all below, but that leaves nothing.
	 */
	if (str_equal(pattern, ".") || (!*pattern && *given))
		pattern = str_equal(option, "--include") ? "*" : ".";
	len = strlen(pattern);
	while (len > 1 && pattern[len - 1] == '/')
		len--;
	if (pattern[0] == '/' || len == 0)
		return err_usage(err, option,
				 "%s fits nothing: paths are relative to the directory given to "
				 "--cow",
				 len ? pattern : "\"\"");
	*ret = arena_dup_n(&cow->arena, pattern, len);
	return *ret ? 0 : err_oom(err);
}

/* All values of an option that may be given again and again. */
static int apply_collect(struct cow_cmd *cow, enum cmd_option_id id, struct cow_glob **ret,
			 size_t *ret_n, struct sbx_err *err)
{
	const char *option = id == CMD_OPT_INCLUDE ? "--include" : "--exclude";
	struct cow_glob *all = arena_alloc(&cow->arena, (cow->words.n_given + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return err_oom(err);
	for (size_t i = 0; i < cow->words.n_given; i++) {
		int r;

		if (cow->words.given[i].id != id)
			continue;
		all[n] = (struct cow_glob){.given = cow->words.given[i].value};
		r = apply_read_pattern(cow, option, all[n].given, &all[n].pattern, err);
		if (r < 0)
			return r;
		n++;
	}
	*ret = all;
	*ret_n = n;
	return 0;
}

/* A word that was mistyped leaves out, or does not leave out, what was meant. Return: how many fit
 */
static size_t apply_tell_globs(const char *option, const struct cow_glob *globs, size_t n,
			       char *room)
{
	size_t n_fit = 0;

	for (size_t i = 0; i < n; i++) {
		struct str_buf line = {.data = room, .size = APPLY_LINE_MAX};

		n_fit += globs[i].fits;
		if (globs[i].fits)
			continue;
		str_buf_printf(&line, "sbx: %s ", option);
		str_buf_escape(&line, globs[i].given, strlen(globs[i].given));
		str_buf_puts(&line,
			     globs[i].within
				     ? ": lies in a directory that is removed as a whole, and is "
				       "not removed alone\n"
				     : ": fits nothing that is left to be applied\n");
		(void)io_write_all(STDERR_FILENO, line.data, line.len);
	}
	return n_fit;
}

/* Return: 0, or -errno with *err filled: nothing is applied, and nothing was before. */
static int apply_check_globs(const struct apply_run *run, const struct cow_apply_options *options,
			     const struct cow_applied *applied, struct sbx_err *err)
{
	static const char all_out[] = "sbx: --exclude leaves out all that fits --include\n";
	const struct cow_counts *counts = &applied->counts;
	size_t n_fit;
	int r;

	n_fit = apply_tell_globs("--include", options->include, options->n_include, run->line);
	(void)apply_tell_globs("--exclude", options->exclude, options->n_exclude, run->line);
	if (n_fit > 0 && options->n_exclude &&
	    counts->added + counts->changed + counts->removed == 0)
		(void)io_write_all(STDERR_FILENO, all_out, strlen(all_out));
	if (n_fit > 0 || options->n_include == 0 || applied->again)
		return 0;
	r = err_refuse(err, ENOENT, run->cow->session.id, "no --include fits any of the changes");
	err_hint(err, "paths are relative to the directory given to --cow");
	return r;
}

static int apply_print_end(const struct apply_run *run, const struct cow_applied *applied,
			   struct sbx_err *err)
{
	char room[512];
	struct str_buf text = STR_BUF_ON_STACK(room);
	int r;

	str_buf_puts(&text, run->dry_run ? "would be applied: " : "applied: ");
	cow_describe_counts(&applied->counts, &text);
	str_buf_puts(&text, "\n");
	if (applied->owners)
		str_buf_printf(&text,
			       "%llu belong to other ids in the session, and are yours now\n",
			       (unsigned long long)applied->owners);
	if (applied->parted)
		str_buf_printf(&text,
			       "%llu names of files with several are files of their own now\n",
			       (unsigned long long)applied->parted);
	r = run->failed ? run->failed : io_write_all(STDOUT_FILENO, text.data, text.len);
	if (r == -EPIPE) /* whoever reads has seen enough */
		return 0;
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

int cmd_apply(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	_autofree_ char *line = malloc(APPLY_LINE_MAX);
	struct apply_run run = {.cow = &cow, .line = line};
	struct cow_apply_options options = {.tell = apply_tell, .arg = &run};
	static const char names[] =
		"sbx: there are names that begin with .wh. among them, which fuse-overlayfs takes "
		"for marks: only the kernel shows directories that have them\n";
	struct cow_applied applied = {0};
	struct sbx_err other; /* what went wrong first is told */
	int r = cow_cmd_begin(argc, argv, &cow, err);

	if (r == 0 && !line)
		r = err_oom(err);
	if (r == 0)
		r = apply_collect(&cow, CMD_OPT_INCLUDE, &options.include, &options.n_include, err);
	if (r == 0)
		r = apply_collect(&cow, CMD_OPT_EXCLUDE, &options.exclude, &options.n_exclude, err);
	if (r == 0)
		r = cow_cmd_choose(&cow, false, COW_LOCK_WRITE, err);
	if (r < 0)
		return r;
	options.dry_run = run.dry_run = cow.words.value[CMD_OPT_DRY_RUN];
	options.force = cow.words.value[CMD_OPT_FORCE];
	options.allow_setid = cow.words.value[CMD_OPT_ALLOW_SETID];
	r = options.force ? 0 : cow_check_clock(&cow.session, err);
	if (r < 0)
		return r;
	(void)signal(SIGPIPE, SIG_IGN); /* who does not read what is told stops nothing halfway */
	r = cow_apply(&cow.session, &options, &applied, err);
	if (r == 0 && applied.names)
		(void)io_write_all(STDERR_FILENO, names, strlen(names));
	if (applied.looked) {
		int fit = apply_check_globs(&run, &options, &applied, r < 0 ? &other : err);

		r = r < 0 ? r : fit;
	}
	if (r == 0)
		r = apply_print_end(&run, &applied, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
