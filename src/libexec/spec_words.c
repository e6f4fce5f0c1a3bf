/* SPDX-License-Identifier: MIT */
/*
 * spec_words: from a spec to the options that make it.
 *
 * Everything is looked up in the option table, from right to left: which row
 * sets this field to this value, which one appends this kind. A value that no
 * row can make is an error, so that nothing is lost in silence.
 */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/libexec/spec_words.h"

/* What the functions below share. */
struct words {
	struct arena *arena;
	struct spec_words out;
	struct sbx_err *err;
};

static int words_add(struct words *words, const char *word)
{
	const char **list =
		arena_grow(words->arena, words->out.words, words->out.n_words, sizeof(*list));

	if (!list || !word)
		return err_oom(words->err);
	list[words->out.n_words++] = word;
	words->out.words = list;
	return 0;
}

static int words_add_number(struct words *words, int64_t number)
{
	return words_add(words, arena_printf(words->arena, "%" PRId64, number));
}

static int words_add_octal(struct words *words, int64_t mode)
{
	return words_add(words, arena_printf(words->arena, "%04o", (unsigned)mode));
}

/* An option and its one argument, together where that is how the option is written. */
static int words_add_pair(struct words *words, const struct cli_option *option, const char *value)
{
	int r;

	if (cli_option_takes_equals(option))
		return words_add(words, arena_printf(words->arena, "%s=%s", option->name, value));
	r = words_add(words, option->name);
	return r < 0 ? r : words_add(words, value);
}

/* The first row with this act, and this value where the act has one; NULL: none. */
static const struct cli_option *words_find(enum cli_act act, int64_t value)
{
	for (size_t i = 0; i < cli_n_options; i++)
		if (cli_options[i].act == act && cli_options[i].value == value)
			return &cli_options[i];
	return NULL;
}

/* The first row that acts so on the field; with CLI_ACT_SET only one that sets `value`. */
static const struct cli_option *words_find_field(enum cli_act act, enum spec_field_id field,
						 int64_t value)
{
	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		if (option->act == act && option->field == field &&
		    (act != CLI_ACT_SET || option->value == value))
			return option;
	}
	return NULL;
}

/* The word with which the option stores `value`; NULL: none. */
static const char *words_find_word(const struct cli_option *option, int64_t value)
{
	const char *word;
	int64_t meaning;

	for (size_t i = 0; (word = cli_option_word(option, i, &meaning)); i++)
		if (meaning == value)
			return word;
	return NULL;
}

static int words_no_option(struct words *words, const char *name)
{
	return err_refuse(words->err, EINVAL, name, "no option makes this value");
}

/* A bool or an enum that is not its default. */
static int words_add_choice(struct words *words, const struct sbx_spec *spec,
			    enum spec_field_id field)
{
	int64_t value = spec_get_number(spec, field);
	const struct cli_option *option = words_find_field(CLI_ACT_SET, field, value);
	const char *word = NULL;

	if (option)
		return words_add(words, option->name);
	option = words_find_field(CLI_ACT_STORE, field, 0);
	if (option)
		word = words_find_word(option, value);
	if (!word)
		return words_no_option(words, spec_fields[field].name);
	return words_add_pair(words, option, word);
}

/* An id or a string. */
static int words_add_value(struct words *words, enum spec_field_id field, const char *value)
{
	const struct cli_option *option = words_find_field(CLI_ACT_STORE, field, 0);

	if (!option && field == SPEC_FIELD_NET)
		option = words_find(CLI_ACT_NET, 0);
	if (!option)
		return words_no_option(words, spec_fields[field].name);
	return value ? words_add_pair(words, option, value) : err_oom(words->err);
}

static int words_add_field(struct words *words, const struct sbx_spec *spec,
			   enum spec_field_id field)
{
	switch (spec_fields[field].type) {
	case SPEC_TYPE_BOOL:
	case SPEC_TYPE_ENUM:
		if (spec_get_number(spec, field) == 0)
			return 0;
		return words_add_choice(words, spec, field);
	case SPEC_TYPE_ID:
		if (spec_get_number(spec, field) < 0)
			return 0;
		return words_add_value(
			words, field,
			arena_printf(words->arena, "%" PRId64, spec_get_number(spec, field)));
	case SPEC_TYPE_STRING:
		if (!spec_get_string(spec, field))
			return 0;
		return words_add_value(words, field, spec_get_string(spec, field));
	}
	return 0;
}

/* Does the row have an argument of this kind? */
static bool words_has_arg(const struct cli_option *option, enum cli_arg_kind kind)
{
	for (size_t i = 0; i < cli_option_n_args(option); i++)
		if (option->args[i].kind == kind)
			return true;
	return false;
}

/* "--mount-opt ro,nr_inodes=10". */
static int words_add_mount_opts(struct words *words, const struct spec_op *op)
{
	char room[256];
	struct str_buf text = STR_BUF_ON_STACK(room);
	const struct cli_option *option = words_find(CLI_ACT_MOUNT_OPT, 0);
	int r;

	for (unsigned bit = 0; spec_mount_opt_names[bit]; bit++)
		if (op->mount_opts & 1U << bit)
			str_buf_printf(&text, "%s%s", text.len ? "," : "",
				       spec_mount_opt_names[bit]);
	if (op->nr_inodes)
		str_buf_printf(&text, "%snr_inodes=%" PRIu64, text.len ? "," : "", op->nr_inodes);
	if (text.len == 0)
		return 0;
	assert(option && !text.cut);
	r = words_add(words, option->name);
	return r < 0 ? r : words_add(words, arena_dup(words->arena, room));
}

static int words_add_modifiers(struct words *words, const struct cli_option *option,
			       const struct spec_op *op)
{
	const struct cli_option *perms = words_find(CLI_ACT_PERMS, 0);
	const struct cli_option *size = words_find(CLI_ACT_SIZE, 0);
	int r = 0;

	assert(perms && size);
	if (op->perms >= 0 && !words_has_arg(option, CLI_ARG_OCTAL)) {
		r = words_add(words, perms->name);
		if (r == 0)
			r = words_add_octal(words, op->perms);
	}
	if (r == 0 && op->size_bytes) {
		r = words_add(words, size->name);
		if (r == 0)
			r = words_add(words,
				      arena_printf(words->arena, "%" PRIu64, op->size_bytes));
	}
	return r < 0 ? r : words_add_mount_opts(words, op);
}

/* One argument of an operation, from the member that its kind belongs to. */
static int words_add_op_arg(struct words *words, enum cli_arg_kind kind, const struct spec_op *op)
{
	if (kind == CLI_ARG_FD && op->fd >= 0)
		return words_add_number(words, op->fd);
	if (kind == CLI_ARG_OCTAL && op->perms >= 0)
		return words_add_octal(words, op->perms);
	if ((kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR) && op->source)
		return words_add(words, op->source);
	if (kind == CLI_ARG_WORK && op->work)
		return words_add(words, op->work);
	if ((kind == CLI_ARG_DEST || kind == CLI_ARG_PROTECT) && op->dest)
		return words_add(words, op->dest);
	if (kind == CLI_ARG_PROTECT && op->source)
		return words_add(words, op->source);
	return err_refuse(words->err, EINVAL, op->option, "an argument of this option is missing");
}

/* Is the operation one that its option makes, with nothing that the option has no place for? */
static bool words_op_fits(const struct cli_option *option, const struct spec_op *op)
{
	bool has_source =
		words_has_arg(option, CLI_ARG_SOURCE) || words_has_arg(option, CLI_ARG_DIR);

	/* A path or a word, never both. */
	if (words_has_arg(option, CLI_ARG_PROTECT))
		return option->op == op->kind && !op->dest != !op->source && op->fd < 0 &&
		       op->flags == 0;
	if (option->act != CLI_ACT_OP || option->op != op->kind || option->op_flags != op->flags)
		return false;
	if (!words_has_arg(option, CLI_ARG_DEST) &&
	    !str_equal(op->dest ? op->dest : "", option->dest))
		return false;
	return (op->source == NULL || has_source) &&
	       (op->work == NULL || words_has_arg(option, CLI_ARG_WORK)) &&
	       (op->fd < 0 || words_has_arg(option, CLI_ARG_FD));
}

static int words_add_op(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct spec_op *op = &spec->ops[index];
	const struct cli_option *option = cli_find_option(op->option, strlen(op->option));
	int r;

	if (!option)
		return err_refuse(words->err, EINVAL, op->option, "unknown option");
	if (!words_op_fits(option, op))
		return err_refuse(words->err, EINVAL, op->option,
				  "this option does not make such an operation (ops[%zu])", index);
	r = words_add_modifiers(words, option, op);
	if (r == 0)
		r = words_add(words, option->name);
	for (size_t i = 0; r == 0 && i < cli_option_n_args(option); i++)
		r = words_add_op_arg(words, option->args[i].kind, op);
	return r;
}

static int words_add_env(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct spec_env *env = &spec->env[index];
	const struct cli_option *option = words_find(CLI_ACT_ENV, env->kind);
	int r;

	if (!option)
		return words_no_option(words, spec_env_names[env->kind]);
	r = words_add(words, option->name);
	for (size_t i = 0; r == 0 && i < cli_option_n_args(option); i++) {
		bool is_name = option->args[i].kind == CLI_ARG_ENV ||
			       option->args[i].kind == CLI_ARG_ENV_SET;
		const char *text = is_name ? env->name : env->value;

		if (!text)
			return err_refuse(words->err, EINVAL, option->name, "env[%zu] has no %s",
					  index, is_name ? "name" : "value");
		if (is_name && strchr(text, '='))
			return err_refuse(words->err, EINVAL, text,
					  "a variable's name holds \"=\" (env[%zu])", index);
		r = words_add(words, text);
	}
	return r;
}

static int words_add_cap(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_CAP, spec->caps[index].kind);

	assert(option);
	return words_add_pair(words, option, spec->caps[index].name);
}

static int words_add_seccomp(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct spec_seccomp *change = &spec->seccomp_changes[index];
	const struct cli_option *option = words_find(CLI_ACT_SECCOMP, change->kind);

	assert(option);
	return words_add_pair(words, option, change->words);
}

static int words_add_seccomp_fd(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_SECCOMP_FD, 0);
	int r;

	assert(option);
	r = words_add(words, option->name);
	return r < 0 ? r : words_add_number(words, spec->seccomp_fds[index]);
}

static int words_add_bus(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_BUS, spec->bus[index].kind);

	assert(option);
	return words_add_pair(words, option, spec->bus[index].rule);
}

static int words_add_net_rule(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_NET_RULE, spec->net_rules[index].kind);

	assert(option);
	return words_add_pair(words, option, spec->net_rules[index].text);
}

static int words_add_rlimit(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_RLIMIT, 0);

	assert(option);
	return words_add_pair(words, option, spec->rlimits[index].text);
}

static int words_add_publish(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_PUBLISH, 0);

	assert(option);
	return words_add_pair(words, option, spec->published[index].text);
}

static int words_add_io_max(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_IO_MAX, 0);

	assert(option);
	return words_add_pair(words, option, spec->io_max[index].text);
}

static int words_add_helper(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_HELPER, 0);
	const struct spec_helper *helper = &spec->helpers[index];
	const char *value = arena_printf(words->arena, "%s=%s", helper->name, helper->path);

	assert(option);
	if (strchr(helper->name, '='))
		return err_refuse(words->err, EINVAL, helper->name,
				  "a helper's name holds \"=\" (helpers[%zu])", index);
	return value ? words_add_pair(words, option, value) : err_oom(words->err);
}

static int words_add_pass_fd(struct words *words, const struct sbx_spec *spec, size_t index)
{
	const struct cli_option *option = words_find(CLI_ACT_PASS_FD, 0);
	int r;

	assert(option);
	r = words_add(words, option->name);
	return r < 0 ? r : words_add_number(words, spec->pass_fds[index]);
}

/* Every list of a spec but the command. */
static const struct {
	size_t count_offset; /* of the number of items, in struct sbx_spec */
	int (*add)(struct words *words, const struct sbx_spec *spec, size_t index);
} words_lists[] = {
	{offsetof(struct sbx_spec, n_ops), words_add_op},
	{offsetof(struct sbx_spec, n_env), words_add_env},
	{offsetof(struct sbx_spec, n_caps), words_add_cap},
	{offsetof(struct sbx_spec, n_seccomp_changes), words_add_seccomp},
	{offsetof(struct sbx_spec, n_seccomp_fds), words_add_seccomp_fd},
	{offsetof(struct sbx_spec, n_bus), words_add_bus},
	{offsetof(struct sbx_spec, n_net_rules), words_add_net_rule},
	{offsetof(struct sbx_spec, n_rlimits), words_add_rlimit},
	{offsetof(struct sbx_spec, n_published), words_add_publish},
	{offsetof(struct sbx_spec, n_io_max), words_add_io_max},
	{offsetof(struct sbx_spec, n_helpers), words_add_helper},
	{offsetof(struct sbx_spec, n_pass_fds), words_add_pass_fd},
};

/**
 * The options that make this spec, without the command.
 * @arena: owns the list and the words made for it; others are borrowed from the spec
 *
 * Return: 0; -EINVAL with *err filled where no options make it.
 */
int spec_to_words(const struct sbx_spec *spec, struct arena *arena, struct spec_words *ret_words,
		  struct sbx_err *err)
{
	struct words words = {.arena = arena, .err = err};
	int r = 0;

	assert(spec && arena && ret_words && err);

	for (size_t i = 0; r == 0 && i < SPEC_FIELD_COUNT_; i++)
		r = words_add_field(&words, spec, (enum spec_field_id)i);
	for (size_t i = 0; i < ARRAY_SIZE(words_lists); i++) {
		size_t count = *(const size_t *)((const char *)spec + words_lists[i].count_offset);

		for (size_t n = 0; r == 0 && n < count; n++)
			r = words_lists[i].add(&words, spec, n);
	}
	if (r == 0)
		*ret_words = words.out;
	return r;
}
