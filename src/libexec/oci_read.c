/* SPDX-License-Identifier: MIT */
/*
 * oci_read: read a seccomp profile from JSON, and decide its conditions.
 *
 * Theory of operation
 *
 * There are two forms in use. The runtime specification's (LinuxSeccomp) is plain:
 * a default, and rules. Docker and podman ship a longer one, in which a rule may
 * have "includes" and "excludes": capabilities, processors, the kernel's age. It is
 * the longer one that is read here; the other has nothing that it lacks. Of a whole
 * configuration ("linux": {"seccomp": ...}) that member is read.
 *
 * One table per kind of object says which members there may be. What is in no table
 * is refused: conditions were added to the form before, and a rule whose condition
 * was not read would open what it does not open elsewhere.
 *
 * "includes": all capabilities, one of the processors, at least that kernel;
 * "excludes": none of them, an older kernel. A capability that has no name here is
 * newer than this program, and so not one that the sandbox keeps.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <seccomp.h>

#include "sbx/base/caps.h"
#include "sbx/base/str.h"
#include "sbx/libexec/oci.h"

/* The largest number that a filter can hand back as an errno. */
enum { OCI_ERRNO_MAX = 4095 };

/* What the functions below share. */
struct read {
	const struct oci_host *host;
	struct arena *arena;
	struct oci_profile *profile;
	struct sbx_err *err;
	struct oci_rule *rules; /* the profile's, growing */
	size_t n_names;		/* of all rules */
	char where[64];		/* the rule that is read, "syscalls[3]", or "" */
};

/* A member of an object: how it is read, and to where. */
struct read_member {
	const char *key;
	int (*read)(struct read *read, const char *key, const json_t *value, void *target);
	size_t offset; /* of the target, in the object's struct */
};

#define MEMBER(type, key_, how, member)                                                            \
	{                                                                                          \
		(key_), read_##how, offsetof(type, member)                                         \
	}

/* The processors: libseccomp's number and word, the name in conditions, the 32-bit one beside it.
 */
static const struct read_arch {
	uint32_t arch;
	const char *word, *name;
	uint32_t compat;
	const char *compat_word;
} read_archs[] = {
	{SCMP_ARCH_X86_64, "SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86, "SCMP_ARCH_X86"},
	{SCMP_ARCH_AARCH64, "SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_ARM, "SCMP_ARCH_ARM"},
	{SCMP_ARCH_S390X, "SCMP_ARCH_S390X", "s390x", SCMP_ARCH_S390, "SCMP_ARCH_S390"},
	{SCMP_ARCH_X86, "SCMP_ARCH_X86", "x86", 0, NULL},
	{SCMP_ARCH_ARM, "SCMP_ARCH_ARM", "arm", 0, NULL},
	{SCMP_ARCH_PPC64LE, "SCMP_ARCH_PPC64LE", "ppc64le", 0, NULL},
	{SCMP_ARCH_RISCV64, "SCMP_ARCH_RISCV64", "riscv64", 0, NULL},
};

/* The processor that this runs on. One that the table lacks has no name and no 32-bit programs. */
static struct read_arch read_native(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(read_archs); i++)
		if (read_archs[i].arch == seccomp_arch_native())
			return read_archs[i];
	return (struct read_arch){.name = ""};
}

static int read_refuse(struct read *read, const char *key, const char *what)
{
	char room[256];
	struct str_buf text = STR_BUF_ON_STACK(room);

	str_buf_puts(&text, read->where);
	if (read->where[0] && key)
		str_buf_puts(&text, ".");
	if (key)
		str_buf_escape(&text, key, strlen(key));
	return err_refuse(read->err, EINVAL, room, "%s", what);
}

/* ---- single values ---- */

static int read_nothing(struct read *read, const char *key, const json_t *value, void *target)
{
	(void)read;
	(void)key;
	(void)value;
	(void)target;
	return 0;
}

/* A string without NUL, copied. */
static int read_string(struct read *read, const char *key, const json_t *value, void *target)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value))
		return read_refuse(read, key, "must be a string");
	text = arena_dup(read->arena, text);
	if (!text)
		return err_oom(read->err);
	*(const char **)target = text;
	return 0;
}

static int read_number(struct read *read, const char *key, const json_t *value, void *target)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return read_refuse(read, key, "must be a whole number, and not below 0");
	*(uint64_t *)target = (uint64_t)json_integer_value(value);
	return 0;
}

struct read_list {
	const char **items;
	size_t n_items;
};

static int read_strings(struct read *read, const char *key, const json_t *value, void *target)
{
	struct read_list *list = target;
	size_t n = json_array_size(value);

	if (!json_is_array(value))
		return read_refuse(read, key, "must be an array of strings");
	read->n_names += n;
	if (read->n_names > OCI_MAX_NAMES)
		return read_refuse(read, key, "there are more names than a profile may have");
	list->items = arena_alloc(read->arena, (n + 1) * sizeof(*list->items));
	if (!list->items)
		return err_oom(read->err);
	for (list->n_items = 0; list->n_items < n; list->n_items++) {
		int r = read_string(read, key, json_array_get(value, list->n_items),
				    &list->items[list->n_items]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Fill the struct at `item` from an object. A null is as if it were not there. */
static int read_item(struct read *read, const char *name, const struct read_member *members,
		     const json_t *object, void *item)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return read_refuse(read, name, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct read_member *member = members;
		int r;

		while (member->key && !str_equal(member->key, key))
			member++;
		if (!member->key)
			return read_refuse(read, key, "is a member that is not known here");
		if (json_is_null(value))
			continue;
		r = member->read(read, key, value, (char *)item + member->offset);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- actions ---- */

/* An action as it is written: the word, and the errno by number or by name. */
struct read_action {
	const char *word;
	uint64_t number; /* UINT64_MAX: none is given */
	const char *name;
};

static const struct {
	const char *word;
	uint32_t action;
	bool takes_number;
} read_actions[] = {
	{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
	{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true},
	{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false},
	{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
	{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
	{"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false},
	{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true},
	{"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
};

/* podman's files say the errno by its name too. */
static int read_errno(struct read *read, const char *key, const struct read_action *said,
		      uint32_t *ret)
{
	uint64_t number = said->number;

	if (said->name) {
		unsigned named = 1;
		const char *name;

		while (named <= OCI_ERRNO_MAX &&
		       !((name = strerrorname_np((int)named)) && str_equal(name, said->name)))
			named++;
		if (named > OCI_ERRNO_MAX)
			return read_refuse(read, key, "names an errno that does not exist");
		if (number != UINT64_MAX && number != named)
			return read_refuse(read, key,
					   "gives one errno by name and another by number");
		number = named;
	}
	if (number == UINT64_MAX)
		number = EPERM;
	if (number > OCI_ERRNO_MAX)
		return read_refuse(read, key, "has an errno above 4095");
	*ret = (uint32_t)number;
	return 0;
}

static int read_action(struct read *read, const char *key, const struct read_action *said,
		       uint32_t *ret_action)
{
	char text[256];
	struct str_buf out = STR_BUF_ON_STACK(text);
	uint32_t number = 0;
	int r;

	if (!said->word)
		return read_refuse(read, key, "is missing");
	for (size_t i = 0; i < ARRAY_SIZE(read_actions); i++) {
		if (!str_equal(read_actions[i].word, said->word))
			continue;
		if (!read_actions[i].takes_number) {
			*ret_action = read_actions[i].action;
			return said->number == UINT64_MAX && !said->name
				       ? 0
				       : read_refuse(read, key, "takes no errno");
		}
		r = read_errno(read, key, said, &number);
		if (r == 0)
			*ret_action = read_actions[i].action | number;
		return r;
	}
	if (str_equal(said->word, "SCMP_ACT_NOTIFY"))
		return read_refuse(
			read, key,
			"SCMP_ACT_NOTIFY needs a program that answers, and sbx has none");
	str_buf_puts(&out, "must be one of: ");
	for (size_t i = 0; i < ARRAY_SIZE(read_actions); i++)
		str_buf_printf(&out, "%s%s", i ? ", " : "", read_actions[i].word);
	return read_refuse(read, key, text);
}

/* ---- comparisons ---- */

static const struct {
	const char *word;
	int op;
} read_ops[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE},
	{"SCMP_CMP_LT", SCMP_CMP_LT},
	{"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ},
	{"SCMP_CMP_GE", SCMP_CMP_GE},
	{"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

struct read_arg {
	uint64_t index; /* UINT64_MAX: not given */
	uint64_t value, value_two;
	const char *op;
};

static int read_arg(struct read *read, const json_t *value, struct oci_arg *ret)
{
	static const struct read_member members[] = {
		MEMBER(struct read_arg, "index", number, index),
		MEMBER(struct read_arg, "value", number, value),
		MEMBER(struct read_arg, "valueTwo", number, value_two),
		MEMBER(struct read_arg, "op", string, op),
		{.key = NULL},
	};
	struct read_arg arg = {.index = UINT64_MAX};
	int r = read_item(read, "args", members, value, &arg);

	if (r < 0)
		return r;
	if (arg.index >= OCI_MAX_ARGS)
		return read_refuse(read, "args", "needs an \"index\" from 0 to 5");
	for (size_t i = 0; i < ARRAY_SIZE(read_ops); i++) {
		if (!arg.op || !str_equal(read_ops[i].word, arg.op))
			continue;
		*ret = (struct oci_arg){(unsigned)arg.index, read_ops[i].op, arg.value,
					arg.value_two};
		return 0;
	}
	return read_refuse(read, "args",
			   "needs an \"op\": SCMP_CMP_NE, _LT, _LE, _EQ, _GE, _GT or _MASKED_EQ");
}

struct read_args {
	struct oci_arg *items;
	size_t n_items;
};

static int read_args(struct read *read, const char *key, const json_t *value, void *target)
{
	struct read_args *args = target;
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n > 64)
		return read_refuse(read, key, "must be an array of at most 64 comparisons");
	args->items = arena_alloc(read->arena, (n + 1) * sizeof(*args->items));
	if (!args->items)
		return err_oom(read->err);
	for (args->n_items = 0; args->n_items < n; args->n_items++) {
		int r = read_arg(read, json_array_get(value, args->n_items),
				 &args->items[args->n_items]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- conditions ---- */

struct read_condition {
	struct read_list caps, arches;
	const char *kernel;
};

static int read_condition(struct read *read, const char *key, const json_t *value, void *target)
{
	static const struct read_member members[] = {
		MEMBER(struct read_condition, "caps", strings, caps),
		MEMBER(struct read_condition, "arches", strings, arches),
		MEMBER(struct read_condition, "minKernel", string, kernel),
		{.key = NULL},
	};
	struct read_condition *condition = target;
	unsigned version[2];
	int r = read_item(read, key, members, value, condition);

	if (r < 0)
		return r;
	if (condition->kernel &&
	    sscanf(condition->kernel, "%5u.%5u", &version[0], &version[1]) != 2)
		return read_refuse(read, "minKernel", "must be a version like \"4.8\"");
	return 0;
}

static bool read_keeps(const struct read *read, const char *name)
{
	int cap = caps_from_name(name);

	return cap >= 0 && cap < 64 && read->host->caps >> cap & 1;
}

/* How many of the capabilities are kept. */
static size_t read_n_kept(const struct read *read, const struct read_list *caps)
{
	size_t n = 0;

	for (size_t i = 0; i < caps->n_items; i++)
		n += read_keeps(read, caps->items[i]);
	return n;
}

static bool read_is_here(const struct read_list *arches)
{
	const struct read_arch native = read_native();

	for (size_t i = 0; i < arches->n_items; i++)
		if (str_equal(arches->items[i], native.name))
			return true;
	return false;
}

static bool read_is_new(const struct read *read, const char *kernel)
{
	const unsigned *now = read->host->kernel;
	unsigned version[2] = {0, 0};

	(void)sscanf(kernel, "%5u.%5u", &version[0], &version[1]);
	return now[0] > version[0] || (now[0] == version[0] && now[1] >= version[1]);
}

static bool read_holds(const struct read *read, const struct read_condition *in,
		       const struct read_condition *out)
{
	if (read_n_kept(read, &out->caps) > 0 || read_is_here(&out->arches) ||
	    (out->kernel && read_is_new(read, out->kernel)))
		return false;
	return read_n_kept(read, &in->caps) == in->caps.n_items &&
	       (in->arches.n_items == 0 || read_is_here(&in->arches)) &&
	       (!in->kernel || read_is_new(read, in->kernel));
}

/* ---- rules ---- */

struct read_rule {
	struct read_list names;
	const char *name; /* instead of `names`, in old profiles */
	struct read_action action;
	struct read_args args;
	struct read_condition in, out;
};

static int read_add_rule(struct read *read, const struct read_rule *rule, uint32_t action)
{
	struct oci_profile *profile = read->profile;
	struct oci_rule *grown =
		arena_grow(read->arena, read->rules, profile->n_rules, sizeof(*grown));

	if (!grown)
		return err_oom(read->err);
	grown[profile->n_rules++] = (struct oci_rule){
		.names = rule->names.items,
		.n_names = rule->names.n_items,
		.action = action,
		.args = rule->args.items,
		.n_args = rule->args.n_items,
	};
	read->rules = grown;
	profile->rules = grown;
	return 0;
}

static int read_rule(struct read *read, const json_t *value)
{
	static const struct read_member members[] = {
		MEMBER(struct read_rule, "names", strings, names),
		MEMBER(struct read_rule, "name", string, name),
		MEMBER(struct read_rule, "action", string, action.word),
		MEMBER(struct read_rule, "errnoRet", number, action.number),
		MEMBER(struct read_rule, "errno", string, action.name),
		MEMBER(struct read_rule, "args", args, args),
		MEMBER(struct read_rule, "includes", condition, in),
		MEMBER(struct read_rule, "excludes", condition, out),
		MEMBER(struct read_rule, "comment", nothing, name),
		{.key = NULL},
	};
	struct read_rule rule = {.action = {.number = UINT64_MAX}};
	uint32_t action = 0;
	int r = read_item(read, NULL, members, value, &rule);

	if (r == 0)
		r = read_action(read, "action", &rule.action, &action);
	if (r < 0)
		return r;
	if (!rule.name == !rule.names.n_items)
		return read_refuse(read, NULL, "needs either \"names\" or a \"name\"");
	if (rule.name) {
		rule.names.items = arena_alloc(read->arena, sizeof(*rule.names.items));
		if (!rule.names.items)
			return err_oom(read->err);
		rule.names.items[0] = rule.name;
		rule.names.n_items = 1;
	}
	return read_holds(read, &rule.in, &rule.out) ? read_add_rule(read, &rule, action) : 0;
}

static int read_rules(struct read *read, const char *key, const json_t *value, void *target)
{
	(void)target;
	if (!json_is_array(value) || json_array_size(value) > OCI_MAX_RULES)
		return read_refuse(read, key, "must be an array of at most 4096 rules");
	for (size_t i = 0; i < json_array_size(value); i++) {
		int r;

		(void)snprintf(read->where, sizeof(read->where), "syscalls[%zu]", i);
		r = read_rule(read, json_array_get(value, i));
		if (r < 0)
			return r;
	}
	read->where[0] = '\0';
	return 0;
}

/* ---- processors ---- */

struct read_map {
	const char *arch;
	struct read_list others;
};

/* What "archMap" says of this processor. */
struct read_map_found {
	bool given;
	bool compat; /* its 32-bit programs are named */
};

struct read_document {
	struct read_action action;
	struct read_list archs, flags;
	struct read_map_found map;
	const char *listener;
};

/* Is the processor's 32-bit one among them? Unknown ones are newer; what is no name is a mistake.
 */
static int read_find_compat(struct read *read, const char *key, const struct read_list *archs,
			    bool *found)
{
	const struct read_arch native = read_native();

	for (size_t i = 0; i < archs->n_items; i++) {
		if (!str_starts_with(archs->items[i], "SCMP_ARCH_"))
			return read_refuse(read, key, "must hold words like SCMP_ARCH_X86_64");
		*found |= native.compat && str_equal(archs->items[i], native.compat_word);
	}
	return 0;
}

static int read_arch_map(struct read *read, const char *key, const json_t *value, void *target)
{
	static const struct read_member members[] = {
		MEMBER(struct read_map, "architecture", string, arch),
		MEMBER(struct read_map, "subArchitectures", strings, others),
		{.key = NULL},
	};
	const struct read_arch native = read_native();
	struct read_map_found *found = target;

	if (!json_is_array(value))
		return read_refuse(read, key, "must be an array");
	found->given = true;
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct read_map map = {.arch = NULL};
		bool names_compat = false;
		int r = read_item(read, key, members, json_array_get(value, i), &map);

		if (r == 0 && (!map.arch || !str_starts_with(map.arch, "SCMP_ARCH_")))
			return read_refuse(read, key, "needs an \"architecture\" in each item");
		if (r == 0)
			r = read_find_compat(read, key, &map.others, &names_compat);
		if (r < 0)
			return r;
		if (native.word && str_equal(map.arch, native.word))
			found->compat |= names_compat;
	}
	return 0;
}

static int read_decide_archs(struct read *read, const struct read_document *document)
{
	bool compat = document->map.compat;
	int r = read_find_compat(read, "architectures", &document->archs, &compat);

	if (r < 0)
		return r;
	if (document->archs.n_items && document->map.given)
		return read_refuse(read, "architectures", "does not go with \"archMap\"");
	if (compat && read->host->multiarch)
		read->profile->compat = read_native().compat;
	else if (compat)
		oci_remark(read->profile, "32-bit programs are in the profile and killed all the "
					  "same: --multiarch lets them run");
	else if (read->host->multiarch)
		oci_remark(read->profile,
			   "the profile has no 32-bit programs, so --multiarch changes nothing");
	return 0;
}

/* What flags of seccomp(2) a profile may name. None is used, which leaves less open. */
static int read_check_flags(struct read *read, const struct read_list *flags)
{
	static const char *const known[] = {
		"SECCOMP_FILTER_FLAG_TSYNC",
		"SECCOMP_FILTER_FLAG_LOG",
		"SECCOMP_FILTER_FLAG_SPEC_ALLOW",
		"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
	};

	for (size_t i = 0; i < flags->n_items; i++) {
		size_t n = 0;

		while (n < ARRAY_SIZE(known) && !str_equal(known[n], flags->items[i]))
			n++;
		if (n == ARRAY_SIZE(known))
			return read_refuse(read, "flags", "holds a flag that is not known here");
		if (n > 0)
			oci_remark(read->profile,
				   arena_printf(read->arena, "%s is not used", known[n]));
	}
	return 0;
}

/* ---- the document ---- */

static int read_document(struct read *read, const json_t *root)
{
	static const struct read_member members[] = {
		MEMBER(struct read_document, "defaultAction", string, action.word),
		MEMBER(struct read_document, "defaultErrnoRet", number, action.number),
		MEMBER(struct read_document, "defaultErrno", string, action.name),
		MEMBER(struct read_document, "architectures", strings, archs),
		MEMBER(struct read_document, "archMap", arch_map, map),
		MEMBER(struct read_document, "flags", strings, flags),
		MEMBER(struct read_document, "listenerPath", string, listener),
		MEMBER(struct read_document, "listenerMetadata", nothing, listener),
		MEMBER(struct read_document, "syscalls", rules, listener),
		MEMBER(struct read_document, "comment", nothing, listener),
		{.key = NULL},
	};
	struct read_document document = {.action = {.number = UINT64_MAX}};
	int r = read_item(read, "the profile", members, root, &document);

	if (r == 0)
		r = read_action(read, "defaultAction", &document.action,
				&read->profile->default_action);
	if (r == 0 && document.listener)
		r = read_refuse(read, "listenerPath", "sbx hands no listener on");
	if (r == 0)
		r = read_check_flags(read, &document.flags);
	return r < 0 ? r : read_decide_archs(read, &document);
}

/* A container's whole configuration (config.json) has the profile in it; the rest is not read. */
static int read_root(struct read *read, const json_t *root)
{
	const json_t *linux_part = json_object_get(root, "linux");
	const json_t *profile = json_object_get(linux_part, "seccomp");

	if (!linux_part || json_object_get(root, "defaultAction"))
		return read_document(read, root);
	if (!json_is_object(profile))
		return read_refuse(read, "linux.seccomp",
				   "is not there: the container's configuration has no filter");
	return read_document(read, profile);
}

/* jansson has a limit of its own, 2048, which is deep enough to matter for the stack. */
static bool read_is_deep(const json_t *value, unsigned room)
{
	const char *key;
	json_t *item;

	if (room == 0)
		return true;
	json_object_foreach((json_t *)(uintptr_t)value, key,
			    item) if (read_is_deep(item, room - 1)) return true;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (read_is_deep(json_array_get(value, i), room - 1))
			return true;
	return false;
}

/* Note something that was left out. What is too much is not told, and what could not be made. */
void oci_remark(struct oci_profile *profile, const char *text)
{
	if (text && profile->n_remarks < OCI_MAX_REMARKS)
		profile->remarks[profile->n_remarks++] = text;
}

/**
 * Read a profile.
 * @host: what its conditions are about
 * @arena: owns what is returned
 *
 * Return: 0; -EINVAL or -ENOMEM with *err filled; its path says where in the text.
 */
int oci_read(const char *data, size_t len, const struct oci_host *host, struct arena *arena,
	     struct oci_profile *ret, struct sbx_err *err)
{
	struct oci_profile profile = {.rules = NULL};
	struct read read = {.host = host, .arena = arena, .profile = &profile, .err = err};
	json_error_t error;
	json_t *root;
	char where[64];
	int r;

	assert(data && host && arena && ret && err);

	if (len > OCI_MAX_BYTES)
		return err_refuse(err, EFBIG, NULL, "is larger than the 1 MiB of a profile");
	root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		(void)snprintf(where, sizeof(where), "line %d, column %d", error.line,
			       error.column);
		return err_refuse(err, EINVAL, where, "is not valid JSON: %s", error.text);
	}
	if (read_is_deep(root, OCI_MAX_DEPTH))
		r = err_refuse(err, EINVAL, NULL, "holds more than %d objects in each other",
			       OCI_MAX_DEPTH);
	else
		r = read_root(&read, root);
	json_decref(root);
	if (r == 0)
		*ret = profile;
	return r;
}
