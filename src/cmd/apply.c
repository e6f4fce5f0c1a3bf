/* SPDX-License-Identifier: MIT */
/*
 * apply: `sbx apply [SESSION]`: make the changes of a session real.
 */

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
		str_buf_puts(&line, e->changes & COW_ADDED     ? "A  "
				    : e->changes & COW_REMOVED ? "D  "
							       : "M  ");
	cow_cmd_put_path(&line, &run->cow->session, root, e->path);
	str_buf_puts(&line, not_done ? ": " : "\n");
	if (not_done) {
		str_buf_puts(&line, not_done);
		str_buf_puts(&line, "\n");
	}
	(void)io_write_all(not_done ? STDERR_FILENO : STDOUT_FILENO, line.data, line.len);
}

/* As a shell completes it: "src/", "./src". Return: 0, or -errno with *err filled. */
static int apply_read_pattern(struct cow_cmd *cow, const char *option, const char *given,
			      const char **ret, struct sbx_err *err)
{
	const char *pattern = given;
	size_t len;

	while (str_starts_with(pattern, "./"))
		pattern += strspn(pattern + 1, "/") + 1;
	if (str_equal(pattern, ".") || (!*pattern && *given))
		pattern = "*"; /* the directory itself, "." or "./" */
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
static int apply_collect(struct cow_cmd *cow, enum cmd_option_id id, const char *const **ret,
			 size_t *ret_n, struct sbx_err *err)
{
	const char *option = id == CMD_OPT_INCLUDE ? "--include" : "--exclude";
	const char **all = arena_alloc(&cow->arena, (cow->words.n_given + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return err_oom(err);
	for (size_t i = 0; i < cow->words.n_given; i++) {
		int r;

		if (cow->words.given[i].id != id)
			continue;
		r = apply_read_pattern(cow, option, cow->words.given[i].value, &all[n++], err);
		if (r < 0)
			return r;
	}
	*ret = all;
	*ret_n = n;
	return 0;
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
	r = io_write_all(STDOUT_FILENO, text.data, text.len);
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
	static const char nothing[] = "sbx: nothing that is left to be applied fits --include\n";
	struct cow_applied applied;
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
	r = cow_apply(&cow.session, &options, &applied, err);
	if (r == 0 && applied.names)
		(void)io_write_all(STDERR_FILENO, names, strlen(names));
	if (r == 0 && options.n_include &&
	    applied.counts.added + applied.counts.changed + applied.counts.removed == 0)
		(void)io_write_all(STDERR_FILENO, nothing, strlen(nothing));
	if (r == 0)
		r = apply_print_end(&run, &applied, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
