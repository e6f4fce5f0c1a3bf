/* SPDX-License-Identifier: MIT */
/*
 * parse_acts: what an option does: one function for each action of the table, which puts the
 * checked arguments into the spec; see parse_parts.h. None knows an option by name. What waits for
 * the next operation is in parse_modifiers.c, what reads more options in parse_sources.c.
 */

#include <assert.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parse_parts.h"

/* What the spec notes of an option's use; see settings.h for who reads it. */
static struct spec_cause cause_of(const struct parser *p, const struct use *use)
{
	return (struct spec_cause){use->option->name, p->source->origin};
}

/* The network is one setting, whichever option says it. @net: of --net=user, else NULL */
static void set_net(struct parser *p, const char *net, struct spec_cause cause)
{
	p->run->spec.net = net;
	p->run->spec.causes[SPEC_FIELD_NET] = net ? cause : (struct spec_cause){NULL, NULL};
}

static int act_set(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)err;
	if (use->option->field == SPEC_FIELD_NS_NET)
		set_net(p, NULL, cause_of(p, use));
	p->run->spec.causes[use->option->field] = cause_of(p, use);
	spec_set_number(&p->run->spec, use->option->field, use->option->value);
	return 0;
}

static int act_store(struct parser *p, const struct use *use, struct sbx_err *err)
{
	enum spec_field_id field = use->option->field;

	(void)err;
	p->run->spec.causes[field] = cause_of(p, use);
	if (spec_fields[field].type == SPEC_TYPE_STRING)
		spec_set_string(&p->run->spec, field, use->args[0]);
	else
		spec_set_number(&p->run->spec, field,
				use->n_args > 0 ? (int64_t)use->numbers[0] : use->option->value);
	return 0;
}

static int act_net(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)err;
	p->run->spec.causes[SPEC_FIELD_NS_NET] = cause_of(p, use);
	p->run->spec.ns[SPEC_NS_NET] = (int64_t)use->numbers[0];
	/* What is no more than the word for a namespace needs no text. */
	set_net(p,
		str_equal(use->args[0], "none") || str_equal(use->args[0], "host") ? NULL
										   : use->args[0],
		cause_of(p, use));
	return 0;
}

/* As bubblewrap: user and cgroup namespaces where possible, the others in any case. */
static int act_unshare_all(struct parser *p, const struct use *use, struct sbx_err *err)
{
	static_assert(SPEC_FIELD_NS_NET - SPEC_FIELD_NS_USER == SPEC_NS_NET - SPEC_NS_USER,
		      "the fields of the namespaces are in their order");

	(void)err;
	for (enum spec_ns ns = 0; ns < SPEC_NS_COUNT_; ns++) {
		bool may_lack = ns == SPEC_NS_USER || ns == SPEC_NS_CGROUP;

		p->run->spec.ns[ns] = may_lack ? SPEC_NS_TRY : SPEC_NS_NEW;
		p->run->spec.causes[SPEC_FIELD_NS_USER + ns] = cause_of(p, use);
	}
	set_net(p, NULL, cause_of(p, use));
	return 0;
}

static int act_op(struct parser *p, const struct use *use, struct sbx_err *err)
{
	struct spec_op op = {
		.kind = use->option->op,
		.flags = use->option->op_flags,
		.perms = -1,
		.fd = -1,
		.dest = use->option->dest[0] ? use->option->dest : NULL,
		.option = use->option->name,
		.origin = p->source->origin,
	};
	int r = parser_take_modifiers(p, &op, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < use->n_args; i++) {
		enum cli_arg_kind kind = use->option->args[i].kind;

		if (kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR)
			op.source = use->args[i];
		else if (kind == CLI_ARG_WORK)
			op.work = use->args[i];
		else if (kind == CLI_ARG_DEST ||
			 (kind == CLI_ARG_PROTECT && parser_is_path(use->args[i])))
			op.dest = use->args[i];
		else if (kind == CLI_ARG_PROTECT)
			op.source = use->args[i];
		else if (kind == CLI_ARG_FD)
			op.fd = (int64_t)use->numbers[i];
		else if (kind == CLI_ARG_OCTAL)
			op.perms = (int64_t)use->numbers[i];
	}
	r = parser_count_layers(p, &op, err);
	return r < 0 ? r : spec_add_op(&p->run->spec, &op, err);
}

/* The variable's name and value stand where the arguments' kinds say. */
static int act_env(struct parser *p, const struct use *use, struct sbx_err *err)
{
	struct spec_env env = {
		.kind = (enum spec_env_kind)use->option->value,
		.cause = cause_of(p, use),
	};

	for (size_t i = 0; i < use->n_args; i++) {
		const char *text = use->args[i];
		const char *equals = strchr(text, '=');

		if (use->option->args[i].kind == CLI_ARG_ENV) {
			env.name = text;
		} else if (use->option->args[i].kind != CLI_ARG_ENV_SET) {
			env.value = text;
		} else if (!equals) {
			env.name = text;
		} else {
			env.kind = SPEC_ENV_SET;
			env.name = arena_dup_n(&p->run->spec.arena, text, (size_t)(equals - text));
			env.value = equals + 1;
			if (!env.name)
				return err_oom(err);
		}
	}
	return spec_add_env(&p->run->spec, &env, err);
}

static int act_cap(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_cap cap = {
		.kind = (enum spec_cap_kind)use->option->value,
		.name = use->args[0],
		.cause = cause_of(p, use),
	};

	return spec_add_cap(&p->run->spec, &cap, err);
}

static int act_pass_fd(struct parser *p, const struct use *use, struct sbx_err *err)
{
	return spec_add_pass_fd(&p->run->spec, (int64_t)use->numbers[0], err);
}

static int act_seccomp(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_seccomp change = {
		.kind = (enum spec_seccomp_kind)use->option->value,
		.words = use->args[0],
		.cause = cause_of(p, use),
	};

	return spec_add_seccomp(&p->run->spec, &change, err);
}

static int act_bus(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_bus bus = {
		.kind = (enum spec_bus_kind)use->option->value,
		.rule = use->args[0],
		.cause = cause_of(p, use),
	};

	return spec_add_bus(&p->run->spec, &bus, err);
}

static int act_publish(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_publish port = {.text = use->args[0], .cause = cause_of(p, use)};

	return spec_add_publish(&p->run->spec, &port, err);
}

static int act_net_rule(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_net_rule rule = {
		.kind = (enum spec_net_rule_kind)use->option->value,
		.text = use->args[0],
		.cause = cause_of(p, use),
	};

	return spec_add_net_rule(&p->run->spec, &rule, err);
}

static int act_rlimit(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_rlimit rlimit = {.text = use->args[0], .cause = cause_of(p, use)};

	return spec_add_rlimit(&p->run->spec, &rlimit, err);
}

static int act_io_max(struct parser *p, const struct use *use, struct sbx_err *err)
{
	const struct spec_rlimit io_max = {.text = use->args[0], .cause = cause_of(p, use)};

	return spec_add_io_max(&p->run->spec, &io_max, err);
}

static int act_seccomp_fd(struct parser *p, const struct use *use, struct sbx_err *err)
{
	return spec_add_seccomp_fd(&p->run->spec, (int64_t)use->numbers[0], err);
}

static int act_helper(struct parser *p, const struct use *use, struct sbx_err *err)
{
	size_t len = strcspn(use->args[0], "=");
	const struct spec_helper helper = {
		.name = arena_dup_n(&p->run->spec.arena, use->args[0], len),
		.path = use->args[0] + len + 1,
		.cause = cause_of(p, use),
	};

	if (!helper.name)
		return err_oom(err);
	return spec_add_helper(&p->run->spec, &helper, err);
}

static int act_explain(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)err;
	p->run->action = use->n_args ? (enum cli_action)use->numbers[0]
				     : (enum cli_action)use->option->value;
	return 0;
}

static int act_answer(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)err;
	p->run->action = (enum cli_action)use->option->value;
	p->answered = true;
	return 0;
}

static int act_verbose(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)use, (void)err;
	p->run->verbose = true;
	return 0;
}

/* From here on: a wrong option behind it is told with the level, too. */
static int act_level_prefix(struct parser *p, const struct use *use, struct sbx_err *err)
{
	(void)use, (void)err;
	p->run->level_prefix = true;
	return 0;
}

static int (*const cli_acts[CLI_ACT_COUNT_])(struct parser *p, const struct use *use,
					     struct sbx_err *err) = {
	[CLI_ACT_SET] = act_set,
	[CLI_ACT_STORE] = act_store,
	[CLI_ACT_UNSHARE_ALL] = act_unshare_all,
	[CLI_ACT_NET] = act_net,
	[CLI_ACT_OP] = act_op,
	[CLI_ACT_PERMS] = parser_act_perms,
	[CLI_ACT_SIZE] = parser_act_size,
	[CLI_ACT_MOUNT_OPT] = parser_act_mount_opt,
	[CLI_ACT_ENV] = act_env,
	[CLI_ACT_CAP] = act_cap,
	[CLI_ACT_PASS_FD] = act_pass_fd,
	[CLI_ACT_HELPER] = act_helper,
	[CLI_ACT_SECCOMP] = act_seccomp,
	[CLI_ACT_SECCOMP_FD] = act_seccomp_fd,
	[CLI_ACT_BUS] = act_bus,
	[CLI_ACT_PUBLISH] = act_publish,
	[CLI_ACT_NET_RULE] = act_net_rule,
	[CLI_ACT_RLIMIT] = act_rlimit,
	[CLI_ACT_IO_MAX] = act_io_max,
	[CLI_ACT_ARGS] = parser_act_args,
	[CLI_ACT_PROFILE] = parser_act_profile,
	[CLI_ACT_EXPLAIN] = act_explain,
	[CLI_ACT_ANSWER] = act_answer,
	[CLI_ACT_VERBOSE] = act_verbose,
	[CLI_ACT_LEVEL_PREFIX] = act_level_prefix,
};

int parser_act(struct parser *p, const struct use *use, struct sbx_err *err)
{
	return cli_acts[use->option->act](p, use, err);
}
