/* SPDX-License-Identifier: MIT */
/*
 * parse_modifiers: what is said of an operation before it comes; see parse_parts.h.
 *
 * --perms, --size and --mount-opt say something about the operation that
 * follows. They wait in struct pending until that operation takes them; any
 * other option in between is an error, since the modifier would be lost or,
 * worse, hit an operation it was not meant for. --args is transparent: what it
 * stands for is the options it reads.
 *
 * --overlay-src is an operation, but the overlay that follows is made of it: likewise an error
 * where none does.
 */

#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parse_parts.h"

/* Which modifiers an operation takes. */
static const unsigned op_takes[SPEC_OP_COUNT_] = {
	[SPEC_OP_BIND] = 1 << MOD_MOUNT,
	[SPEC_OP_TMPFS] = 1 << MOD_PERMS | 1 << MOD_SIZE | 1 << MOD_INODES | 1 << MOD_MOUNT,
	[SPEC_OP_PROC] = 1 << MOD_MOUNT,
	[SPEC_OP_SYS] = 1 << MOD_MOUNT,
	[SPEC_OP_CGROUP] = 1 << MOD_MOUNT,
	[SPEC_OP_MQUEUE] = 1 << MOD_MOUNT,
	[SPEC_OP_DIR] = 1 << MOD_PERMS,
	[SPEC_OP_FILE] = 1 << MOD_PERMS,
	[SPEC_OP_BIND_DATA] = 1 << MOD_PERMS | 1 << MOD_MOUNT,
	[SPEC_OP_OVERLAY] = 1 << MOD_MOUNT,
	[SPEC_OP_TMP_OVERLAY] = 1 << MOD_MOUNT,
	[SPEC_OP_RO_OVERLAY] = 1 << MOD_MOUNT,
	[SPEC_OP_COW] = 1 << MOD_MOUNT,
};

/* "--perms" waits for its operation and `found` (NULL: the end) is none it fits. */
static int refuse_pending(const char *by, enum modifier modifier, const char *found,
			  struct sbx_err *err)
{
	char room[256];
	struct str_buf fits = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < cli_n_options; i++) {
		const struct cli_option *option = &cli_options[i];

		if (option->act == CLI_ACT_OP && (op_takes[option->op] & 1U << modifier) != 0)
			str_buf_printf(&fits, "%s%s", fits.len ? ", " : "", option->name);
	}
	err_usage(err, by, "must stand right before the option it modifies, not before %s",
		  found ? found : "the command");
	err_hint(err, "it goes with: %s", fits.data);
	return -EINVAL;
}

/* Fail if a modifier waits; to be called before anything that cannot take it. */
int parser_check_modifiers(const struct parser *p, const char *found, struct sbx_err *err)
{
	for (enum modifier m = 0; m < MOD_COUNT_; m++) {
		if (p->pending.by[m])
			return refuse_pending(p->pending.by[m], m, found, err);
	}
	return 0;
}

/* A modifier in a profile is for an operation of the same profile. */
int parser_check_none_left(const struct parser *p, const struct pending *before, bool taken,
			   struct sbx_err *err)
{
	for (enum modifier m = 0; m < MOD_COUNT_; m++)
		if (p->pending.by[m] && (taken || !before->by[m]))
			return refuse_pending(p->pending.by[m], m, "the end of the profile", err);
	return 0;
}

int parser_take_modifiers(struct parser *p, struct spec_op *op, struct sbx_err *err)
{
	const struct pending *pending = &p->pending;

	for (enum modifier m = 0; m < MOD_COUNT_; m++) {
		if (pending->by[m] && (op_takes[op->kind] & 1U << m) == 0)
			return refuse_pending(pending->by[m], m, op->option, err);
	}
	if (pending->by[MOD_PERMS])
		op->perms = pending->perms;
	op->size_bytes = pending->size_bytes;
	op->nr_inodes = pending->nr_inodes;
	op->mount_opts = pending->mount_opts;
	p->pending = (struct pending){0};
	return 0;
}

/* Note that `by` sets this; nothing may set it twice. */
static int claim(struct parser *p, enum modifier modifier, const char *by, struct sbx_err *err)
{
	const char *before = p->pending.by[modifier];

	if (before && str_equal(before, by))
		return err_usage(err, by, "given twice for one operation");
	if (before)
		return err_usage(err, by, "says again what %s said for the same operation", before);
	p->pending.by[modifier] = by;
	return 0;
}

int parser_act_perms(struct parser *p, const struct use *use, struct sbx_err *err)
{
	p->pending.perms = (int64_t)use->numbers[0];
	return claim(p, MOD_PERMS, use->option->name, err);
}

int parser_act_size(struct parser *p, const struct use *use, struct sbx_err *err)
{
	p->pending.size_bytes = use->numbers[0];
	return claim(p, MOD_SIZE, use->option->name, err);
}

/* "size=64M": the part before = and what it sets. */
static const struct mount_value {
	const char *prefix;
	const char *by;
	const char *metavar;
	enum cli_arg_kind kind;
	enum modifier modifier;
} mount_values[] = {
	{"size=", "--mount-opt size=", "size=", CLI_ARG_SIZE, MOD_SIZE},
	{"mode=", "--mount-opt mode=", "mode=", CLI_ARG_OCTAL, MOD_PERMS},
	{"nr_inodes=", "--mount-opt nr_inodes=", "nr_inodes=", CLI_ARG_SIZE, MOD_INODES},
};

static int mount_opt_value(struct parser *p, const struct cli_option *option,
			   const struct mount_value *value, const char *text, struct sbx_err *err)
{
	uint64_t number = 0;
	int r = parser_check_kind(option, value->kind, value->metavar, text, &number, err);

	if (r == 0)
		r = claim(p, value->modifier, value->by, err);
	if (r < 0)
		return r;
	if (value->modifier == MOD_SIZE)
		p->pending.size_bytes = number;
	else if (value->modifier == MOD_PERMS)
		p->pending.perms = (int64_t)number;
	else
		p->pending.nr_inodes = number;
	return 0;
}

static int mount_opt_word(struct parser *p, const struct cli_option *option, const char *word,
			  struct sbx_err *err)
{
	uint64_t flag = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(mount_values); i++) {
		const struct mount_value *value = &mount_values[i];

		if (str_starts_with(word, value->prefix))
			return mount_opt_value(p, option, value, word + strlen(value->prefix), err);
	}
	r = parser_check_kind(option, CLI_ARG_WORD, option->args[0].metavar, word, &flag, err);
	if (r < 0)
		return r;
	p->pending.mount_opts |= (uint32_t)flag;
	p->pending.by[MOD_MOUNT] = option->name;
	return 0;
}

int parser_act_mount_opt(struct parser *p, const struct use *use, struct sbx_err *err)
{
	char *rest = arena_dup(&p->run->spec.arena, use->args[0]);
	char *word;

	if (!rest)
		return err_oom(err);
	while ((word = strsep(&rest, ","))) {
		int r = mount_opt_word(p, use->option, word, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* How many layers an operation takes at least; 0: it is none that does. */
static const unsigned op_layers[SPEC_OP_COUNT_] = {
	[SPEC_OP_OVERLAY] = 1,
	[SPEC_OP_TMP_OVERLAY] = 1,
	[SPEC_OP_RO_OVERLAY] = 2,
};

/* Layers are named right before the overlay that is made of them, as bubblewrap has it. */
int parser_count_layers(struct parser *p, const struct spec_op *op, struct sbx_err *err)
{
	static const char *const numbers[] = {"", "one", "two"};
	unsigned wanted = op_layers[op->kind];

	if (p->n_layers < wanted)
		return err_usage(err, NULL, "%s requires at least %s --overlay-src", op->option,
				 numbers[wanted]);
	if (op->kind == SPEC_OP_OVERLAY_SRC)
		p->n_layers++;
	else if (wanted)
		p->n_layers = 0;
	return 0;
}

/**
 * Refuse layers that no overlay follows.
 * @option: the one behind them, done already; NULL: the command
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int parser_check_layers(const struct parser *p, const struct cli_option *option,
			struct sbx_err *err)
{
	if (p->n_layers == 0 ||
	    (option && option->act == CLI_ACT_OP && option->op == SPEC_OP_OVERLAY_SRC))
		return 0;
	return err_usage(err, NULL,
			 "--overlay-src must be followed by another --overlay-src or one of "
			 "--overlay, --tmp-overlay, or --ro-overlay");
}
