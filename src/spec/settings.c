/* SPDX-License-Identifier: MIT */
/*
 * settings: walk a spec's fields and lists.
 *
 * The parser notes with each of them which option made it, see struct spec_cause. That
 * costs a launch nothing but the two pointers; everything here is for --explain, -v and,
 * where there was a profile, for the steps of the plan.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sbx/spec/settings.h"
#include "sbx/spec/spec_json.h"

static const char *settings_number(struct setting *s, int64_t number)
{
	(void)snprintf(s->room, sizeof(s->room), "%" PRId64, number);
	return s->room;
}

static void settings_field(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	const struct spec_field *field = &spec_fields[index];
	enum spec_field_id id = (enum spec_field_id)index;

	s->name = field->name;
	s->cause = spec->causes[index];
	switch (field->type) {
	case SPEC_TYPE_BOOL:
		s->value = spec_get_number(spec, id) ? "true" : "false";
		break;
	case SPEC_TYPE_ENUM:
		s->value = field->names[spec_get_number(spec, id)];
		break;
	case SPEC_TYPE_ID:
		s->value = settings_number(s, spec_get_number(spec, id));
		break;
	case SPEC_TYPE_STRING:
		s->value = spec_get_string(spec, id);
		break;
	}
}

static void settings_env(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	const struct spec_env *env = &spec->env[index];

	s->kind = spec_env_names[env->kind];
	s->value = env->kind == SPEC_ENV_FILE ? env->value : env->name;
	s->cause = env->cause;
}

static void settings_cap(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->kind = spec_cap_names[spec->caps[index].kind];
	s->value = spec->caps[index].name;
	s->cause = spec->caps[index].cause;
}

static void settings_seccomp(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->kind = spec_seccomp_names[spec->seccomp_changes[index].kind];
	s->value = spec->seccomp_changes[index].words;
	s->cause = spec->seccomp_changes[index].cause;
}

/* A descriptor is the caller's; no profile can name one. */
static void settings_seccomp_fd(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->value = settings_number(s, spec->seccomp_fds[index]);
	s->cause = (struct spec_cause){.option = "--add-seccomp-fd"};
}

static void settings_bus(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->kind = spec_bus_names[spec->bus[index].kind];
	s->value = spec->bus[index].rule;
	s->cause = spec->bus[index].cause;
}

static void settings_net_rule(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->kind = spec_net_rule_names[spec->net_rules[index].kind];
	s->value = spec->net_rules[index].text;
	s->cause = spec->net_rules[index].cause;
}

static void settings_rlimit(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->value = spec->rlimits[index].text;
	s->cause = spec->rlimits[index].cause;
}

static void settings_publish(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->value = spec->published[index].text;
	s->cause = spec->published[index].cause;
}

static void settings_io_max(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->value = spec->io_max[index].text;
	s->cause = spec->io_max[index].cause;
}

static void settings_helper(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->kind = spec->helpers[index].name;
	s->value = spec->helpers[index].path;
	s->cause = spec->helpers[index].cause;
}

static void settings_pass_fd(const struct sbx_spec *spec, size_t index, struct setting *s)
{
	s->value = settings_number(s, spec->pass_fds[index]);
	s->cause = (struct spec_cause){.option = "--pass-fd"};
}

#define COUNT(member) offsetof(struct sbx_spec, member)

static const struct settings_list {
	const char *name;
	size_t count_offset; /* of the number of items, in struct sbx_spec; 0: the fields */
	void (*describe)(const struct sbx_spec *spec, size_t index, struct setting *s);
} settings_lists[] = {
	{NULL, 0, settings_field},
	{SPEC_JSON_KEY_ENV, COUNT(n_env), settings_env},
	{SPEC_JSON_KEY_CAPS, COUNT(n_caps), settings_cap},
	{SPEC_JSON_KEY_SECCOMP_CHANGES, COUNT(n_seccomp_changes), settings_seccomp},
	{SPEC_JSON_KEY_SECCOMP_FDS, COUNT(n_seccomp_fds), settings_seccomp_fd},
	{SPEC_JSON_KEY_BUS, COUNT(n_bus), settings_bus},
	{SPEC_JSON_KEY_NET_RULES, COUNT(n_net_rules), settings_net_rule},
	{SPEC_JSON_KEY_RLIMITS, COUNT(n_rlimits), settings_rlimit},
	{SPEC_JSON_KEY_PUBLISHED, COUNT(n_published), settings_publish},
	{SPEC_JSON_KEY_IO_MAX, COUNT(n_io_max), settings_io_max},
	{SPEC_JSON_KEY_HELPERS, COUNT(n_helpers), settings_helper},
	{SPEC_JSON_KEY_PASS_FDS, COUNT(n_pass_fds), settings_pass_fd},
};

static size_t settings_count(const struct sbx_spec *spec, const struct settings_list *list)
{
	if (!list->count_offset)
		return SPEC_FIELD_COUNT_;
	return *(const size_t *)((const char *)spec + list->count_offset);
}

/**
 * Go to the next setting that an option made; what has its default is passed over.
 * @setting: the one before, or all zero
 *
 * Return: false behind the last.
 */
bool settings_next(const struct sbx_spec *spec, struct setting *setting)
{
	for (; setting->list < ARRAY_SIZE(settings_lists); setting->list++, setting->index = 0) {
		const struct settings_list *list = &settings_lists[setting->list];

		while (setting->index < settings_count(spec, list)) {
			setting->name = list->name;
			setting->kind = setting->value = NULL;
			list->describe(spec, setting->index++, setting);
			if (setting->cause.option)
				return true;
		}
	}
	return false;
}

/**
 * The profile's line with what an option has set.
 * @option: with its dashes; "=" and what is behind it do not matter
 *
 * Return: "build:12", of the last setting that the option made; NULL: it was typed.
 */
const char *settings_find_origin(const struct sbx_spec *spec, const char *option)
{
	size_t len = strcspn(option, "=");
	struct setting setting = {0};
	const char *origin = NULL;

	while (settings_next(spec, &setting))
		if (strncmp(setting.cause.option, option, len) == 0 &&
		    setting.cause.option[len] == '\0')
			origin = setting.cause.origin;
	return origin;
}
