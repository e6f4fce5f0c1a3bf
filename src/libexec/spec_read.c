/* SPDX-License-Identifier: MIT */
/*
 * spec_read: read a spec from JSON.
 *
 * Three tables say what there may be: spec_fields[] for the members with one
 * value, read_lists[] for the lists, and one table of members per kind of list
 * item. The text is parsed by jansson, behind limits of our own; unknown or
 * repeated members are refused, as a spec that was half understood would make
 * another sandbox than the one that was asked for.
 *
 * What is checked here is the form. Whether the options that a spec stands for
 * make sense is the parser's business: sbx-spec hands them to it.
 */

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "sbx/base/str.h"
#include "sbx/libexec/spec_read.h"
#include "sbx/spec/spec_json.h"

/* What the functions below share. */
struct read {
	struct sbx_spec *spec;
	struct sbx_err *err;
	char where[256]; /* the list item that is read: "ops[3]", or "" */
};

/* A member of an object: how it is read, and to where. */
struct read_member {
	const char *key;
	int (*read)(struct read *read, const struct read_member *member, const json_t *value,
		    void *target);
	size_t offset; /* of the target, in the item's struct */
	bool required;
	const char *const *names; /* enums and flags: their words, NULL-terminated */
	json_int_t min, max;	  /* numbers */
};

/* Say what is wrong with a member. */
static int read_refuse(struct read *read, const char *key, const char *what)
{
	char where[512];
	struct str_buf text = STR_BUF_ON_STACK(where);

	str_buf_puts(&text, read->where);
	if (read->where[0] && key)
		str_buf_puts(&text, ".");
	if (key)
		str_buf_escape(&text, key, strlen(key));
	return err_refuse(read->err, EINVAL, where, "%s", what);
}

static int read_hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* {"bytes": "<hexadecimal>"}: a string that is not UTF-8, see base/json. */
static int read_bytes(struct read *read, const char *key, const json_t *value,
		      const char **ret_text)
{
	const char *hex = json_string_value(json_object_get(value, "bytes"));
	size_t len = hex ? strlen(hex) : 0;
	char *text;

	if (!hex || json_object_size(value) != 1 || len % 2 != 0)
		return read_refuse(read, key, "is neither a string nor {\"bytes\": \"HEX\"}");
	text = arena_alloc(&read->spec->arena, len / 2 + 1);
	if (!text)
		return err_oom(read->err);
	for (size_t i = 0; i < len; i += 2) {
		int high = read_hex_digit(hex[i]), low = read_hex_digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return read_refuse(read, key,
					   "\"bytes\" takes digits 0-9 and a-f, two per byte");
		if (high + low == 0)
			return read_refuse(read, key, "holds a NUL byte");
		text[i / 2] = (char)(high << 4 | low);
	}
	*ret_text = text;
	return 0;
}

/* A string, copied into the spec's arena. */
static int read_text(struct read *read, const char *key, const json_t *value, const char **ret_text)
{
	const char *text;

	if (json_is_object(value))
		return read_bytes(read, key, value, ret_text);
	if (!json_is_string(value))
		return read_refuse(read, key, "must be a string");
	if (strlen(json_string_value(value)) != json_string_length(value))
		return read_refuse(read, key, "holds a NUL byte");
	text = arena_dup_n(&read->spec->arena, json_string_value(value), json_string_length(value));
	if (!text)
		return err_oom(read->err);
	*ret_text = text;
	return 0;
}

static int read_number(struct read *read, const char *key, const json_t *value, json_int_t min,
		       json_int_t max, int64_t *ret_number)
{
	char text[96];

	if (!json_is_integer(value))
		return read_refuse(read, key, "must be a whole number");
	if (json_integer_value(value) < min || json_integer_value(value) > max) {
		(void)snprintf(text, sizeof(text), "must be between %lld and %lld", (long long)min,
			       (long long)max);
		return read_refuse(read, key, text);
	}
	*ret_number = json_integer_value(value);
	return 0;
}

/* The position of a word in `names`. */
static int read_choice(struct read *read, const char *key, const json_t *value,
		       const char *const *names, unsigned *ret_index)
{
	char room[256];
	struct str_buf text = STR_BUF_ON_STACK(room);
	const char *word = json_string_value(value);

	for (unsigned i = 0; names[i]; i++) {
		if (word && str_equal(word, names[i])) {
			*ret_index = i;
			return 0;
		}
		str_buf_printf(&text, "%s%s", i ? ", " : "must be one of: ", names[i]);
	}
	return read_refuse(read, key, room);
}

/*
 * Members of list items
 */

static int read_member_text(struct read *read, const struct read_member *member,
			    const json_t *value, void *target)
{
	return read_text(read, member->key, value, target);
}

static int read_member_int(struct read *read, const struct read_member *member, const json_t *value,
			   void *target)
{
	return read_number(read, member->key, value, member->min, member->max, target);
}

static int read_member_uint(struct read *read, const struct read_member *member,
			    const json_t *value, void *target)
{
	int64_t number = 0;
	int r = read_number(read, member->key, value, member->min, member->max, &number);

	if (r == 0)
		*(uint64_t *)target = (uint64_t)number;
	return r;
}

static int read_member_mode(struct read *read, const struct read_member *member,
			    const json_t *value, void *target)
{
	const char *text = json_string_value(value);
	uint64_t mode = 0;

	if (!text || str_parse_u64(text, 8, 07777, &mode) < 0)
		return read_refuse(read, member->key,
				   "must be a string with an octal number up to 7777");
	*(int64_t *)target = (int64_t)mode;
	return 0;
}

static int read_member_enum(struct read *read, const struct read_member *member,
			    const json_t *value, void *target)
{
	return read_choice(read, member->key, value, member->names, target);
}

static int read_member_flags(struct read *read, const struct read_member *member,
			     const json_t *value, void *target)
{
	uint32_t flags = 0;

	if (!json_is_array(value))
		return read_refuse(read, member->key, "must be an array of words");
	for (size_t i = 0; i < json_array_size(value); i++) {
		unsigned bit = 0;
		int r = read_choice(read, member->key, json_array_get(value, i), member->names,
				    &bit);

		if (r < 0)
			return r;
		flags |= UINT32_C(1) << bit;
	}
	*(uint32_t *)target = flags;
	return 0;
}

/* Enums are read as unsigned, which is what both compilers make of those here. */
static_assert(sizeof(enum spec_op_kind) == sizeof(unsigned), "read_member_enum() fits");

static const struct read_member *read_find_member(const struct read_member *members,
						  const char *key)
{
	for (; members->key; members++)
		if (str_equal(members->key, key))
			return members;
	return NULL;
}

/* Fill the struct at `item` from an object. */
static int read_item(struct read *read, const struct read_member *members, const json_t *object,
		     void *item)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return read_refuse(read, NULL, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct read_member *member = read_find_member(members, key);
		int r;

		if (!member)
			return read_refuse(read, key, "unknown member");
		r = member->read(read, member, value, (char *)item + member->offset);
		if (r < 0)
			return r;
	}
	for (; members->key; members++)
		if (members->required && !json_object_get(object, members->key))
			return read_refuse(read, members->key, "is missing");
	return 0;
}

/*
 * Lists
 */

#define MEMBER(type, member_, key_, how, ...)                                                      \
	{                                                                                          \
		.key = (key_), .read = read_member_##how, .offset = offsetof(type, member_),       \
		__VA_ARGS__                                                                        \
	}

static int read_op(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_op, option, "option", text, .required = true),
		MEMBER(struct spec_op, kind, "kind", enum, .required = true,
		       .names = spec_op_names),
		MEMBER(struct spec_op, flags, "flags", flags, .names = spec_op_flag_names),
		MEMBER(struct spec_op, mount_opts, "mount-opts", flags,
		       .names = spec_mount_opt_names),
		MEMBER(struct spec_op, perms, "perms", mode, .required = false),
		MEMBER(struct spec_op, size_bytes, "size", uint, .min = 1, .max = INT64_MAX),
		MEMBER(struct spec_op, nr_inodes, "nr-inodes", uint, .min = 1, .max = INT64_MAX),
		MEMBER(struct spec_op, fd, "fd", int, .max = INT_MAX),
		MEMBER(struct spec_op, source, "source", text, .required = false),
		MEMBER(struct spec_op, work, "work", text, .required = false),
		MEMBER(struct spec_op, dest, "dest", text, .required = false),
		{.key = NULL},
	};
	struct spec_op op = {.perms = -1, .fd = -1};
	int r = read_item(read, members, value, &op);

	if (r < 0)
		return r;
	if (!op.dest && !(op.flags & SPEC_OP_SAME) && op.kind != SPEC_OP_PROTECT &&
	    op.kind != SPEC_OP_OVERLAY_SRC)
		return read_refuse(read, "dest", "is missing");
	return spec_add_op(read->spec, &op, read->err);
}

/* Which of a variable's two strings a kind has. */
static const struct {
	bool name, value;
} read_env_parts[SPEC_ENV_COUNT_] = {
	[SPEC_ENV_SET] = {true, true},	  [SPEC_ENV_UNSET] = {true, false},
	[SPEC_ENV_PASS] = {true, false},  [SPEC_ENV_CLEAR] = {false, false},
	[SPEC_ENV_KEEP] = {false, false}, [SPEC_ENV_FILE] = {false, true},
};

static int read_env(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_env, kind, "kind", enum, .required = true,
		       .names = spec_env_names),
		MEMBER(struct spec_env, name, "name", text, .required = false),
		MEMBER(struct spec_env, value, "value", text, .required = false),
		{.key = NULL},
	};
	struct spec_env env = {.name = NULL};
	int r = read_item(read, members, value, &env);

	if (r < 0)
		return r;
	if ((env.name != NULL) != read_env_parts[env.kind].name)
		return read_refuse(read, "name",
				   env.name ? "does not go with this kind" : "is missing");
	if ((env.value != NULL) != read_env_parts[env.kind].value)
		return read_refuse(read, "value",
				   env.value ? "does not go with this kind" : "is missing");
	return spec_add_env(read->spec, &env, read->err);
}

static int read_cap(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_cap, kind, "kind", enum, .required = true,
		       .names = spec_cap_names),
		MEMBER(struct spec_cap, name, "name", text, .required = true),
		{.key = NULL},
	};
	struct spec_cap cap = {.name = NULL};
	int r = read_item(read, members, value, &cap);

	return r < 0 ? r : spec_add_cap(read->spec, &cap, read->err);
}

static int read_seccomp(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_seccomp, kind, "kind", enum, .required = true,
		       .names = spec_seccomp_names),
		MEMBER(struct spec_seccomp, words, "words", text, .required = true),
		{.key = NULL},
	};
	struct spec_seccomp change = {.words = NULL};
	int r = read_item(read, members, value, &change);

	return r < 0 ? r : spec_add_seccomp(read->spec, &change, read->err);
}

static int read_seccomp_fd(struct read *read, const json_t *value)
{
	int64_t fd = 0;
	int r = read_number(read, NULL, value, 0, INT_MAX, &fd);

	return r < 0 ? r : spec_add_seccomp_fd(read->spec, fd, read->err);
}

static int read_bus(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_bus, kind, "kind", enum, .required = true,
		       .names = spec_bus_names),
		MEMBER(struct spec_bus, rule, "rule", text, .required = true),
		{.key = NULL},
	};
	struct spec_bus bus = {.rule = NULL};
	int r = read_item(read, members, value, &bus);

	return r < 0 ? r : spec_add_bus(read->spec, &bus, read->err);
}

static int read_net_rule(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_net_rule, kind, "kind", enum, .required = true,
		       .names = spec_net_rule_names),
		MEMBER(struct spec_net_rule, text, "rule", text, .required = true),
		{.key = NULL},
	};
	struct spec_net_rule rule = {.text = NULL};
	int r = read_item(read, members, value, &rule);

	return r < 0 ? r : spec_add_net_rule(read->spec, &rule, read->err);
}

static int read_rlimit(struct read *read, const json_t *value)
{
	struct spec_rlimit rlimit = {.text = NULL};
	int r = read_text(read, NULL, value, &rlimit.text);

	return r < 0 ? r : spec_add_rlimit(read->spec, &rlimit, read->err);
}

static int read_publish(struct read *read, const json_t *value)
{
	struct spec_publish port = {.text = NULL};
	int r = read_text(read, NULL, value, &port.text);

	return r < 0 ? r : spec_add_publish(read->spec, &port, read->err);
}

static int read_io_max(struct read *read, const json_t *value)
{
	struct spec_rlimit io_max = {.text = NULL};
	int r = read_text(read, NULL, value, &io_max.text);

	return r < 0 ? r : spec_add_io_max(read->spec, &io_max, read->err);
}

static int read_helper(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct spec_helper, name, "name", text, .required = true),
		MEMBER(struct spec_helper, path, "path", text, .required = true),
		{.key = NULL},
	};
	struct spec_helper helper = {.name = NULL};
	int r = read_item(read, members, value, &helper);

	return r < 0 ? r : spec_add_helper(read->spec, &helper, read->err);
}

static int read_pass_fd(struct read *read, const json_t *value)
{
	int64_t fd = 0;
	int r = read_number(read, NULL, value, 0, INT_MAX, &fd);

	return r < 0 ? r : spec_add_pass_fd(read->spec, fd, read->err);
}

static int read_arg(struct read *read, const json_t *value)
{
	const char *arg = NULL;
	int r = read_text(read, NULL, value, &arg);

	return r < 0 ? r : spec_add_arg(read->spec, arg, read->err);
}

static const struct read_list {
	const char *key;
	int (*add)(struct read *read, const json_t *value);
} read_lists[] = {
	{SPEC_JSON_KEY_OPS, read_op},
	{SPEC_JSON_KEY_ENV, read_env},
	{SPEC_JSON_KEY_CAPS, read_cap},
	{SPEC_JSON_KEY_BUS, read_bus},
	{SPEC_JSON_KEY_NET_RULES, read_net_rule},
	{SPEC_JSON_KEY_RLIMITS, read_rlimit},
	{SPEC_JSON_KEY_PUBLISHED, read_publish},
	{SPEC_JSON_KEY_IO_MAX, read_io_max},
	{SPEC_JSON_KEY_HELPERS, read_helper},
	{SPEC_JSON_KEY_SECCOMP_CHANGES, read_seccomp},
	{SPEC_JSON_KEY_SECCOMP_FDS, read_seccomp_fd},
	{SPEC_JSON_KEY_PASS_FDS, read_pass_fd},
	{SPEC_JSON_KEY_COMMAND, read_arg},
};

static int read_list(struct read *read, const struct read_list *list, const json_t *value)
{
	if (!json_is_array(value))
		return read_refuse(read, list->key, "must be an array");
	for (size_t i = 0; i < json_array_size(value); i++) {
		int r;

		(void)snprintf(read->where, sizeof(read->where), "%s[%zu]", list->key, i);
		r = list->add(read, json_array_get(value, i));
		if (r < 0)
			return r;
	}
	read->where[0] = '\0';
	return 0;
}

/*
 * The document
 */

static int read_field(struct read *read, enum spec_field_id id, const json_t *value)
{
	const struct spec_field *field = &spec_fields[id];
	const char *text = NULL;
	unsigned choice = 0;
	int64_t number = 0;
	int r = 0;

	switch (field->type) {
	case SPEC_TYPE_BOOL:
		if (!json_is_boolean(value))
			return read_refuse(read, field->name, "must be true or false");
		number = json_is_true(value);
		break;
	case SPEC_TYPE_ENUM:
		r = read_choice(read, field->name, value, field->names, &choice);
		number = choice;
		break;
	case SPEC_TYPE_ID: /* the last number means "none" to the kernel */
		r = read_number(read, field->name, value, 0, UINT32_MAX - 1, &number);
		break;
	case SPEC_TYPE_STRING:
		r = read_text(read, field->name, value, &text);
		if (r == 0)
			spec_set_string(read->spec, id, text);
		return r;
	}
	if (r == 0)
		spec_set_number(read->spec, id, number);
	return r;
}

static int read_top_member(struct read *read, const char *key, const json_t *value)
{
	if (str_equal(key, SPEC_JSON_KEY_VERSION))
		return 0; /* seen to already */
	for (size_t i = 0; i < SPEC_FIELD_COUNT_; i++)
		if (str_equal(key, spec_fields[i].name))
			return read_field(read, (enum spec_field_id)i, value);
	for (size_t i = 0; i < ARRAY_SIZE(read_lists); i++)
		if (str_equal(key, read_lists[i].key))
			return read_list(read, &read_lists[i], value);
	return read_refuse(read, key, "unknown member");
}

static int read_document(struct read *read, const json_t *root)
{
	const json_t *version = json_object_get(root, SPEC_JSON_KEY_VERSION);
	const char *key;
	json_t *value;

	if (!json_is_object(root) || !version)
		return err_refuse(read->err, EINVAL, NULL, "this is no spec: no object with \"%s\"",
				  SPEC_JSON_KEY_VERSION);
	if (!json_is_integer(version) || json_integer_value(version) != SPEC_JSON_VERSION)
		return err_refuse(read->err, EINVAL, SPEC_JSON_KEY_VERSION,
				  "must be %d, the one version that is known", SPEC_JSON_VERSION);
	json_object_foreach((json_t *)(uintptr_t)root, key, value)
	{
		int r = read_top_member(read, key, value);

		if (r < 0)
			return r;
	}
	return 0;
}

/* How deep objects and arrays are nested; brackets in strings do not count. */
static size_t read_depth(const char *data, size_t len)
{
	size_t depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			in_string = !in_string;
		else if (!in_string && (data[i] == '{' || data[i] == '['))
			depth++;
		else if (!in_string && (data[i] == '}' || data[i] == ']') && depth > 0)
			depth--;
		if (depth > deepest)
			deepest = depth;
	}
	return deepest;
}

/**
 * Read a spec.
 * @data: `len` bytes, not NUL-terminated
 * @spec: from spec_init(); on failure it may be filled in part, and still has
 *        to be finished
 *
 * Return: 0, or -errno with *err filled: -EINVAL, -EFBIG, -ENOMEM.
 */
int spec_read_json(const char *data, size_t len, struct sbx_spec *spec, struct sbx_err *err)
{
	struct read read = {.spec = spec, .err = err};
	json_error_t error;
	json_t *root;
	int r;

	assert(data && spec && err);

	if (len > SPEC_READ_MAX_BYTES)
		return err_refuse(err, EFBIG, NULL, "a spec has at most %d bytes",
				  SPEC_READ_MAX_BYTES);
	if (read_depth(data, len) > SPEC_READ_MAX_DEPTH)
		return err_refuse(err, EINVAL, NULL, "nested deeper than any spec");

	root = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!root)
		return err_refuse(err, EINVAL, NULL, "not JSON: line %d, column %d: %s", error.line,
				  error.column, error.text);
	r = read_document(&read, root);
	json_decref(root);
	return r;
}
