/* SPDX-License-Identifier: MIT */
/* spec_json: write a spec as JSON, see the header for the format. */

#include <assert.h>
#include <stdio.h>

#include "sbx/base/json.h"
#include "sbx/spec/spec_json.h"

static void spec_json_add_field(struct json_out *json, const struct sbx_spec *spec,
				enum spec_field_id id)
{
	const struct spec_field *field = &spec_fields[id];

	switch (field->type) {
	case SPEC_TYPE_BOOL:
		if (spec_get_number(spec, id))
			json_add_bool(json, field->name, true);
		break;
	case SPEC_TYPE_ENUM: /* the first name is the default */
		if (spec_get_number(spec, id))
			json_add_string(json, field->name, field->names[spec_get_number(spec, id)]);
		break;
	case SPEC_TYPE_ID:
		if (spec_get_number(spec, id) >= 0)
			json_add_int(json, field->name, spec_get_number(spec, id));
		break;
	case SPEC_TYPE_STRING:
		if (spec_get_string(spec, id))
			json_add_string(json, field->name, spec_get_string(spec, id));
		break;
	}
}

static void spec_json_add_optional(struct json_out *json, const char *key, const char *value)
{
	if (value)
		json_add_string(json, key, value);
}

/* Permission bits, as people write them: "0755". */
static void spec_json_add_mode(struct json_out *json, const char *key, int64_t mode)
{
	char text[16];

	if (mode < 0)
		return;
	(void)snprintf(text, sizeof(text), "%04o", (unsigned)mode & 07777U);
	json_add_string(json, key, text);
}

static void spec_json_add_op(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	const struct spec_op *op = &spec->ops[index];

	json_open_object(json, NULL);
	json_add_string(json, "option", op->option);
	json_add_string(json, "kind", spec_op_names[op->kind]);
	if (op->flags)
		json_add_flags(json, "flags", spec_op_flag_names, op->flags);
	if (op->mount_opts)
		json_add_flags(json, "mount-opts", spec_mount_opt_names, op->mount_opts);
	spec_json_add_mode(json, "perms", op->perms);
	if (op->size_bytes)
		json_add_uint(json, "size", op->size_bytes);
	if (op->nr_inodes)
		json_add_uint(json, "nr-inodes", op->nr_inodes);
	if (op->fd >= 0)
		json_add_int(json, "fd", op->fd);
	spec_json_add_optional(json, "source", op->source);
	spec_json_add_optional(json, "work", op->work);
	spec_json_add_optional(json, "dest", op->dest);
	json_close(json);
}

static void spec_json_add_env(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	const struct spec_env *env = &spec->env[index];

	json_open_object(json, NULL);
	json_add_string(json, "kind", spec_env_names[env->kind]);
	spec_json_add_optional(json, "name", env->name);
	spec_json_add_optional(json, "value", env->value);
	json_close(json);
}

static void spec_json_add_cap(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_open_object(json, NULL);
	json_add_string(json, "kind", spec_cap_names[spec->caps[index].kind]);
	json_add_string(json, "name", spec->caps[index].name);
	json_close(json);
}

static void spec_json_add_seccomp(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_open_object(json, NULL);
	json_add_string(json, "kind", spec_seccomp_names[spec->seccomp_changes[index].kind]);
	json_add_string(json, "words", spec->seccomp_changes[index].words);
	json_close(json);
}

static void spec_json_add_seccomp_fd(struct json_out *json, const struct sbx_spec *spec,
				     size_t index)
{
	json_add_int(json, NULL, spec->seccomp_fds[index]);
}

static void spec_json_add_bus(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_open_object(json, NULL);
	json_add_string(json, "kind", spec_bus_names[spec->bus[index].kind]);
	json_add_string(json, "rule", spec->bus[index].rule);
	json_close(json);
}

static void spec_json_add_net_rule(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_open_object(json, NULL);
	json_add_string(json, "kind", spec_net_rule_names[spec->net_rules[index].kind]);
	json_add_string(json, "rule", spec->net_rules[index].text);
	json_close(json);
}

static void spec_json_add_rlimit(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_add_string(json, NULL, spec->rlimits[index].text);
}

static void spec_json_add_publish(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_add_string(json, NULL, spec->published[index].text);
}

static void spec_json_add_io_max(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_add_string(json, NULL, spec->io_max[index].text);
}

static void spec_json_add_helper(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_open_object(json, NULL);
	json_add_string(json, "name", spec->helpers[index].name);
	json_add_string(json, "path", spec->helpers[index].path);
	json_close(json);
}

static void spec_json_add_pass_fd(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_add_int(json, NULL, spec->pass_fds[index]);
}

static void spec_json_add_arg(struct json_out *json, const struct sbx_spec *spec, size_t index)
{
	json_add_string(json, NULL, spec->argv[index]);
}

/* The lists, in the order in which they are written. */
static const struct spec_json_list {
	const char *key;
	size_t count_offset; /* of the number of items, in struct sbx_spec */
	void (*add)(struct json_out *json, const struct sbx_spec *spec, size_t index);
} spec_json_lists[] = {
	{SPEC_JSON_KEY_OPS, offsetof(struct sbx_spec, n_ops), spec_json_add_op},
	{SPEC_JSON_KEY_ENV, offsetof(struct sbx_spec, n_env), spec_json_add_env},
	{SPEC_JSON_KEY_CAPS, offsetof(struct sbx_spec, n_caps), spec_json_add_cap},
	{SPEC_JSON_KEY_SECCOMP_CHANGES, offsetof(struct sbx_spec, n_seccomp_changes),
	 spec_json_add_seccomp},
	{SPEC_JSON_KEY_SECCOMP_FDS, offsetof(struct sbx_spec, n_seccomp_fds),
	 spec_json_add_seccomp_fd},
	{SPEC_JSON_KEY_BUS, offsetof(struct sbx_spec, n_bus), spec_json_add_bus},
	{SPEC_JSON_KEY_NET_RULES, offsetof(struct sbx_spec, n_net_rules), spec_json_add_net_rule},
	{SPEC_JSON_KEY_RLIMITS, offsetof(struct sbx_spec, n_rlimits), spec_json_add_rlimit},
	{SPEC_JSON_KEY_PUBLISHED, offsetof(struct sbx_spec, n_published), spec_json_add_publish},
	{SPEC_JSON_KEY_IO_MAX, offsetof(struct sbx_spec, n_io_max), spec_json_add_io_max},
	{SPEC_JSON_KEY_HELPERS, offsetof(struct sbx_spec, n_helpers), spec_json_add_helper},
	{SPEC_JSON_KEY_PASS_FDS, offsetof(struct sbx_spec, n_pass_fds), spec_json_add_pass_fd},
	{SPEC_JSON_KEY_COMMAND, offsetof(struct sbx_spec, n_argv), spec_json_add_arg},
};

static void spec_json_add_list(struct json_out *json, const struct sbx_spec *spec,
			       const struct spec_json_list *list)
{
	size_t count = *(const size_t *)((const char *)spec + list->count_offset);

	if (count == 0)
		return;
	json_open_array(json, list->key);
	for (size_t i = 0; i < count; i++)
		list->add(json, spec, i);
	json_close(json);
}

/**
 * Write the spec and a newline.
 * @fd: borrowed
 *
 * Return: 0, or -errno with *err filled.
 */
int spec_write_json(const struct sbx_spec *spec, int fd, struct sbx_err *err)
{
	char room[16384];
	struct sink sink = SINK_TO_FD(fd, room);
	struct json_out json = JSON_OUT(&sink);
	int r;

	assert(spec && fd >= 0 && err);

	json_open_object(&json, NULL);
	json_add_int(&json, SPEC_JSON_KEY_VERSION, SPEC_JSON_VERSION);
	for (size_t i = 0; i < SPEC_FIELD_COUNT_; i++)
		spec_json_add_field(&json, spec, (enum spec_field_id)i);
	for (size_t i = 0; i < ARRAY_SIZE(spec_json_lists); i++)
		spec_json_add_list(&json, spec, &spec_json_lists[i]);
	json_close(&json);

	r = json_finish(&json);
	return r < 0 ? err_system(err, -r, NULL, "cannot write the spec") : 0;
}
