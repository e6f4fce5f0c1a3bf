/* SPDX-License-Identifier: MIT */
/*
 * parse: apply the option table to words.
 *
 * Theory of operation
 *
 * Words come from argv or from an --args stream; both are walked by the same
 * function over an array of words. Each option is found in the table, its
 * arguments are collected and checked by their kind, then one function per
 * action (cli_acts) puts them into the spec. No function here knows an option
 * by name but --args, which is not allowed inside a stream.
 *
 * --perms, --size and --mount-opt say something about the operation that
 * follows. They wait in struct pending until that operation takes them; any
 * other option in between is an error, since the modifier would be lost or,
 * worse, hit an operation it was not meant for. --args is transparent: what it
 * stands for is the options it reads.
 *
 * A profile's lines (cli/profile.h) are words too, one line at a time, so that no option
 * takes its argument from the next line. What they add to the spec bears the line's
 * name, and the directories that the file lies in are guarded: see resolve_guards().
 *
 * Nothing is copied unless it must be cut: strings point into argv or, for a
 * stream, into the spec's arena.
 */

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "sbx/base/caps.h"
#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/base/label.h"
#include "sbx/base/str.h"
#include "sbx/cli/cli.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parser.h"
#include "sbx/cli/profile.h"
#include "sbx/seccomp/table.h"
#include "sbx/spec/cgroup.h"
#include "sbx/spec/limits.h"
#include "sbx/spec/net.h"
#include "sbx/spec/netrules.h"
#include "sbx/spec/publish.h"

enum {
	ARGS_MAX_BYTES = 64 << 20,
	PERMS_MAX = 07777,
	BUS_NAME_MAX = 255,
	HOSTNAME_MAX = 64, /* __NEW_UTS_LEN of the kernel */
	STD_FDS = 3,
};

static const uint64_t size_max = SIZE_MAX / 2;
static const uint64_t id_max = 0xfffffffe; /* 0xffffffff is (uid_t)-1, "no change" to the kernel */

/* ---- Arguments, by their kind ---- */

struct arg_place {
	const struct cli_option *option;
	const char *metavar;
	struct sbx_err *err;
};

static int check_number(const struct arg_place *at, const char *text, int base, uint64_t max,
			const char *what, uint64_t *ret)
{
	int r = str_parse_u64(text, base, max, ret);

	if (r < 0)
		err_usage(at->err, at->option->name, "%s must be %s, not \"%s\"", at->metavar, what,
			  text);
	return r < 0 ? -EINVAL : 0;
}

static int check_text(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)at, (void)text, (void)ret;
	return 0;
}

/* An empty path is an unset shell variable. Only a -try form may mean it: it finds nothing. */
static int check_path(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	if (*text == '\0' &&
	    (at->option->act != CLI_ACT_OP || (at->option->op_flags & SPEC_OP_TRY) == 0))
		return err_usage(at->err, at->option->name, "%s is empty", at->metavar);
	return 0;
}

static int check_dest(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	if (*text == '\0')
		return err_usage(at->err, at->option->name, "%s is empty", at->metavar);
	return 0;
}

static int check_fd(const struct arg_place *at, const char *text, uint64_t *ret)
{
	return check_number(at, text, 10, INT_MAX, "a descriptor's number", ret);
}

static int check_octal(const struct arg_place *at, const char *text, uint64_t *ret)
{
	return check_number(at, text, 8, PERMS_MAX, "permissions in octal, at most 7777", ret);
}

static int check_size(const struct arg_place *at, const char *text, uint64_t *ret)
{
	uint64_t bytes = 0;

	if (str_parse_size(text, size_max, &bytes) < 0 || bytes == 0)
		return err_usage(at->err, at->option->name,
				 "%s must be a size above 0, as 4096, 64K or 2G, not \"%s\"",
				 at->metavar, text);
	*ret = bytes;
	return 0;
}

static int check_id(const struct arg_place *at, const char *text, uint64_t *ret)
{
	uint64_t id;

	if (str_parse_u64(text, 10, UINT64_MAX, &id) == 0 && id == id_max + 1)
		return err_usage(at->err, at->option->name,
				 "%s cannot be %s: the kernel reads it as -1, \"no id\"",
				 at->metavar, text);
	return check_number(at, text, 10, id_max, "a number from 0 to 4294967294", ret);
}

/* Names are looked up by resolve; here only what can never be right is refused. */
static int check_user(const struct arg_place *at, const char *text, uint64_t *ret)
{
	const char *colon = strchr(text, ':');

	(void)ret;
	if (*text == '\0' || *text == ':' ||
	    (colon && (colon[1] == '\0' || strchr(colon + 1, ':'))))
		return err_usage(at->err, at->option->name,
				 "%s must be USER or USER:GROUP, not \"%s\"", at->metavar, text);
	return 0;
}

static int check_hostname(const struct arg_place *at, const char *text, uint64_t *ret)
{
	size_t len = strlen(text);

	(void)ret;
	if (len == 0 || len > HOSTNAME_MAX)
		return err_usage(at->err, at->option->name,
				 "%s must have 1 to %d characters, this one has %zu", at->metavar,
				 HOSTNAME_MAX, len);
	return 0;
}

static int check_name(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	if (!label_name_is_good(text))
		return err_usage(at->err, at->option->name,
				 "%s must be 1 to %d of letters, digits, _, . and -, a letter or "
				 "digit first",
				 at->metavar, LABEL_NAME_MAX);
	return 0;
}

/* "kill, wait": what a message about a wrong word offers. */
static void list_words(const struct cli_option *option, struct str_buf *out)
{
	const char *word;

	for (size_t i = 0; (word = cli_option_word(option, i, NULL)); i++)
		str_buf_printf(out, "%s%s", i ? ", " : "", word);
}

static int check_word(const struct arg_place *at, const char *text, uint64_t *ret)
{
	char room[256];
	struct str_buf all = STR_BUF_ON_STACK(room);
	const char *word;
	int64_t value = 0;

	for (size_t i = 0; (word = cli_option_word(at->option, i, &value)); i++) {
		if (str_equal(word, text)) {
			*ret = (uint64_t)value;
			return 0;
		}
	}
	list_words(at->option, &all);
	return err_usage(at->err, at->option->name, "no such word \"%s\"; there are: %s", text,
			 all.data);
}

/* Is the first `len` bytes a name that an environment can hold? */
static int check_env_name(const struct arg_place *at, const char *name, size_t len)
{
	if (len == 0)
		return err_usage(at->err, at->option->name, "the variable's name is empty");
	if (memchr(name, '=', len))
		return err_usage(at->err, at->option->name,
				 "a variable's name cannot hold \"=\", as \"%s\" does", name);
	return 0;
}

static int check_env(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	return check_env_name(at, text, strlen(text));
}

static int check_env_set(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	return check_env_name(at, text, strcspn(text, "="));
}

static int check_cap(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	if (strcasecmp(text, "ALL") != 0 && caps_from_name(text) < 0)
		return err_usage(at->err, at->option->name,
				 "no capability is called \"%s\"; see capabilities(7)", text);
	return 0;
}

static int check_filter(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	return *text ? 0 : err_usage(at->err, at->option->name, "is an empty word");
}

/* One word of the list. What was meant is looked for only when it is none. */
static int check_syscall(const struct arg_place *at, const char *word, size_t len)
{
	struct seccomp_word found;
	const char *similar;
	char room[64];

	if (seccomp_find_word(word, len, &found) == 0)
		return 0;
	similar = seccomp_find_similar(word, len, room, sizeof(room));
	if (similar)
		return err_usage(at->err, at->option->name,
				 "no system call%s is called \"%.*s\"; did you mean %s?",
				 *word == '@' ? " group" : "", (int)len, word, similar);
	return err_usage(at->err, at->option->name,
			 "no system call%s is called \"%.*s\"; see syscalls(2)%s",
			 *word == '@' ? " group" : "", (int)len, word,
			 *word == '@' ? " and \"systemd-analyze syscall-filter\"" : "");
}

static int check_syscalls(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int r = 0;

	(void)ret;
	for (;;) {
		size_t len = strcspn(text, ",");

		r = check_syscall(at, text, len);
		if (r < 0 || text[len] == '\0')
			return r;
		text += len + 1;
	}
}

static int check_helper(const struct arg_place *at, const char *text, uint64_t *ret)
{
	size_t len = strcspn(text, "=");
	char room[256];
	struct str_buf all = STR_BUF_ON_STACK(room);
	const char *word;

	(void)ret;
	for (size_t i = 0; (word = cli_option_word(at->option, i, NULL)); i++) {
		if (strlen(word) != len || strncmp(word, text, len) != 0)
			continue;
		if (text[len] == '=' && text[len + 1] == '/')
			return 0;
		return err_usage(at->err, at->option->name,
				 "needs an absolute path, as %s=/usr/bin/%s, not \"%s\"", word,
				 word, text);
	}
	list_words(at->option, &all);
	return err_usage(at->err, at->option->name, "no such helper \"%s\"; there are: %s", text,
			 all.data);
}

/* A path is told from a word by how it begins, never by what happens to exist. */
static bool protect_is_path(const char *text)
{
	return text[0] == '/' || str_starts_with(text, "./") || str_starts_with(text, "../");
}

static int check_protect(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int r;

	if (protect_is_path(text))
		return 0;
	r = check_word(at, text, ret);
	if (r < 0)
		err_hint(at->err, "a path begins with / or ./ : %s ./%s", at->option->name, text);
	return r;
}

/* What a bus can hold: elements with dots between, the last of which may be *. */
static bool bus_name_is_good(const char *name, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
	bool in_element = false, has_dot = false;

	if (len == 0 || len > BUS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool digit = name[i] >= '0' && name[i] <= '9';

		if (name[i] == '*' && i + 1 == len && !in_element && has_dot)
			return true;
		if (name[i] == '.' ? !in_element
				   : !strchr(letters, name[i]) && !(digit && in_element))
			return false;
		has_dot |= name[i] == '.';
		in_element = name[i] != '.';
	}
	return in_element && has_dot;
}

static int check_bus_name(const struct arg_place *at, const char *text, uint64_t *ret)
{
	(void)ret;
	if (!bus_name_is_good(text, strlen(text)))
		return err_usage(at->err, at->option->name,
				 "%s must be a name on the bus, as org.example.App or "
				 "org.example.*, not \"%s\"",
				 at->metavar, text);
	return 0;
}

static int check_bus_rule(const struct arg_place *at, const char *text, uint64_t *ret)
{
	size_t len = strcspn(text, "=");

	(void)ret;
	if (!bus_name_is_good(text, len) || text[len] != '=' || text[len + 1] == '\0')
		return err_usage(at->err, at->option->name,
				 "%s must be as org.example.App=org.example.App.Open@/path, not "
				 "\"%s\"",
				 at->metavar, text);
	return 0;
}

static bool is_word(const struct cli_option *option, const char *text)
{
	const char *word;

	for (size_t i = 0; (word = cli_option_word(option, i, NULL)); i++)
		if (str_equal(word, text))
			return true;
	return false;
}

/* One of the words, of which user has more behind it; fd:N; or the name of a network. */
static int check_net(const struct arg_place *at, const char *text, uint64_t *ret)
{
	struct net_words words;
	uint64_t fd;

	if (is_word(at->option, text))
		return check_word(at, text, ret);
	if (str_starts_with(text, NET_FD)) {
		*ret = SPEC_NS_SHARE;
		return check_fd(at, text + strlen(NET_FD), &fd);
	}
	*ret = SPEC_NS_NEW;
	return net_read(text, at->option->name, &words, at->err);
}

static int check_publish(const struct arg_place *at, const char *text, uint64_t *ret)
{
	struct plan_port port;

	(void)ret;
	return publish_read(text, at->option->name, &port, at->err);
}

static int check_net_rule(const struct arg_place *at, const char *text, uint64_t *ret)
{
	struct netrule rule;

	(void)ret;
	return netrule_read(text, at->option->name, &rule, at->err);
}

static int check_rlimit(const struct arg_place *at, const char *text, uint64_t *ret)
{
	struct limits_rlimit rlimit;

	(void)ret;
	return limits_read_rlimit(text, at->option->name, &rlimit, at->err);
}

static int check_nice(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int number;

	(void)ret;
	return limits_read_number(LIMITS_NICE, text, at->option->name, &number, at->err);
}

static int check_oom_score(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int number;

	(void)ret;
	return limits_read_number(LIMITS_OOM_SCORE, text, at->option->name, &number, at->err);
}

static int check_duration(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int64_t ms;

	(void)ret;
	return limits_read_duration(text, at->option->name, &ms, at->err);
}

static int check_limit(const struct arg_place *at, const char *text, uint64_t *ret)
{
	char value[CGROUP_VALUE_SIZE];

	(void)ret;
	return cgroup_read_limit(at->option->name, text, value, at->err);
}

static int check_io_max(const struct arg_place *at, const char *text, uint64_t *ret)
{
	struct cgroup_io_max io_max;

	(void)ret;
	return cgroup_read_io_max(text, at->option->name, &io_max, at->err);
}

/* Each fills *err itself; *ret is set by those that are numbers. Lists of words: see apply. */
static int (*const arg_checks[CLI_ARG_KIND_COUNT_])(const struct arg_place *at, const char *text,
						    uint64_t *ret) = {
	[CLI_ARG_NONE] = check_text,
	[CLI_ARG_TEXT] = check_text,
	[CLI_ARG_SOURCE] = check_path,
	[CLI_ARG_DIR] = check_path,
	[CLI_ARG_WORK] = check_path,
	[CLI_ARG_DEST] = check_dest,
	[CLI_ARG_FD] = check_fd,
	[CLI_ARG_OCTAL] = check_octal,
	[CLI_ARG_SIZE] = check_size,
	[CLI_ARG_ID] = check_id,
	[CLI_ARG_USER] = check_user,
	[CLI_ARG_HOSTNAME] = check_hostname,
	[CLI_ARG_NAME] = check_name,
	[CLI_ARG_WORD] = check_word,
	[CLI_ARG_WORDS] = check_text,
	[CLI_ARG_ENV] = check_env,
	[CLI_ARG_ENV_SET] = check_env_set,
	[CLI_ARG_CAP] = check_cap,
	[CLI_ARG_HELPER] = check_helper,
	[CLI_ARG_PROFILE] = check_dest,
	[CLI_ARG_PROTECT] = check_protect,
	[CLI_ARG_FILTER] = check_filter,
	[CLI_ARG_SYSCALLS] = check_syscalls,
	[CLI_ARG_BUS_NAME] = check_bus_name,
	[CLI_ARG_BUS_RULE] = check_bus_rule,
	[CLI_ARG_NET] = check_net,
	[CLI_ARG_PUBLISH] = check_publish,
	[CLI_ARG_NET_RULE] = check_net_rule,
	[CLI_ARG_RLIMIT] = check_rlimit,
	[CLI_ARG_NICE] = check_nice,
	[CLI_ARG_OOM_SCORE] = check_oom_score,
	[CLI_ARG_DURATION] = check_duration,
	[CLI_ARG_LIMIT] = check_limit,
	[CLI_ARG_IO_MAX] = check_io_max,
};

/**
 * Check one argument by its kind.
 * @ret_number: what it stands for, if it is of a kind that is a number or a word
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int parser_check_arg(const struct cli_option *option, size_t index, const char *text,
		     uint64_t *ret_number, struct sbx_err *err)
{
	const struct cli_arg *arg = &option->args[index];
	const struct arg_place at = {option, arg->metavar, err};

	return arg_checks[arg->kind](&at, text, ret_number);
}

/* ---- Modifiers ---- */

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

static bool is_transparent(const struct cli_option *option)
{
	return option->group == CLI_MODIFIERS || option->act == CLI_ACT_ARGS ||
	       option->act == CLI_ACT_PROFILE;
}

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

static int take_pending(struct parser *p, struct spec_op *op, struct sbx_err *err)
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

/* ---- Actions ---- */

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

/* How many layers an operation takes at least; 0: it is none that does. */
static const unsigned op_layers[SPEC_OP_COUNT_] = {
	[SPEC_OP_OVERLAY] = 1,
	[SPEC_OP_TMP_OVERLAY] = 1,
	[SPEC_OP_RO_OVERLAY] = 2,
};

/* Layers are named right before the overlay that is made of them, as bubblewrap has it. */
static int count_layers(struct parser *p, const struct spec_op *op, struct sbx_err *err)
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
	int r = take_pending(p, &op, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < use->n_args; i++) {
		enum cli_arg_kind kind = use->option->args[i].kind;

		if (kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR)
			op.source = use->args[i];
		else if (kind == CLI_ARG_WORK)
			op.work = use->args[i];
		else if (kind == CLI_ARG_DEST ||
			 (kind == CLI_ARG_PROTECT && protect_is_path(use->args[i])))
			op.dest = use->args[i];
		else if (kind == CLI_ARG_PROTECT)
			op.source = use->args[i];
		else if (kind == CLI_ARG_FD)
			op.fd = (int64_t)use->numbers[i];
		else if (kind == CLI_ARG_OCTAL)
			op.perms = (int64_t)use->numbers[i];
	}
	r = count_layers(p, &op, err);
	return r < 0 ? r : spec_add_op(&p->run->spec, &op, err);
}

static int act_perms(struct parser *p, const struct use *use, struct sbx_err *err)
{
	p->pending.perms = (int64_t)use->numbers[0];
	return claim(p, MOD_PERMS, use->option->name, err);
}

static int act_size(struct parser *p, const struct use *use, struct sbx_err *err)
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
	const struct arg_place at = {option, value->metavar, err};
	uint64_t number = 0;
	int r = arg_checks[value->kind](&at, text, &number);

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
	const struct arg_place at = {option, option->args[0].metavar, err};
	uint64_t flag = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(mount_values); i++) {
		const struct mount_value *value = &mount_values[i];

		if (str_starts_with(word, value->prefix))
			return mount_opt_value(p, option, value, word + strlen(value->prefix), err);
	}
	r = check_word(&at, word, &flag);
	if (r < 0)
		return r;
	p->pending.mount_opts |= (uint32_t)flag;
	p->pending.by[MOD_MOUNT] = option->name;
	return 0;
}

static int act_mount_opt(struct parser *p, const struct use *use, struct sbx_err *err)
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

static int parse_option(struct parser *p, struct words *words, struct sbx_err *err);

/*
 * Close the stream's descriptor. The place of a standard one must not become
 * free, or the next file that is opened takes it: /dev/null goes there.
 */
static int close_stream(int fd, struct sbx_err *err)
{
	_autoclose_ int null_fd = -1;

	if (fd >= STD_FDS) {
		close(fd);
		return 0;
	}
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, fd) < 0)
		return err_system(err, errno, "/dev/null", "cannot open");
	return 0;
}

/* Cut NUL-separated data into words; the NUL behind the last may be missing. */
static int split_stream(struct arena *arena, const char *data, size_t len, struct words *ret)
{
	const char **list = NULL;
	size_t count = 0;

	for (size_t at = 0; at < len; at += strlen(data + at) + 1) {
		const char **grown = arena_grow(arena, list, count, sizeof(*list));

		if (!grown)
			return -ENOMEM;
		list = grown;
		list[count++] = data + at;
	}
	*ret = (struct words){.list = list, .count = count};
	return 0;
}

static int parse_stream(struct parser *p, struct words *words, struct sbx_err *err)
{
	const struct source stream = {.kind = FROM_ARGS, .outer = p->source};
	int r;

	p->source = &stream;
	r = p->parse_options(p, words, err);
	p->source = stream.outer;
	if (r < 0 || p->answered || words->next == words->count)
		return r;
	err_usage(err, words->list[words->next],
		  "the command cannot come from --args, only options can");
	err_hint(err, "write it behind the options: sbx --args FD -- COMMAND");
	return -EINVAL;
}

static int act_args(struct parser *p, const struct use *use, struct sbx_err *err)
{
	struct arena *arena = &p->run->spec.arena;
	int fd = (int)use->numbers[0];
	struct words words;
	char *data = NULL;
	size_t len = 0;
	int r;

	if (p->source->kind == FROM_ARGS)
		return err_usage(err, use->option->name, "cannot be used inside an --args stream");
	r = io_read_all(fd, ARGS_MAX_BYTES, arena, &data, &len);
	if (r == -EFBIG)
		r = err_refuse(err, EFBIG, use->args[0], "the stream is larger than 64 MiB");
	else if (r < 0)
		r = err_system(err, -r, use->args[0], "cannot read options from the descriptor");
	if (r == 0)
		r = close_stream(fd, err);
	if (r < 0) {
		err_set_option(err, use->option->name);
		return r;
	}
	if (split_stream(arena, data, len, &words) < 0)
		return err_oom(err);
	return parse_stream(p, &words, err);
}

/* What the profile's words add bears the line's name: "build:12". */
static int parse_profile_line(struct parser *p, struct source *source,
			      const struct profile_words *line, struct sbx_err *err)
{
	struct words words = {.list = line->list, .count = line->count};
	int r;

	source->origin = arena_printf(&p->run->spec.arena, "%s:%zu", source->profile->name,
				      source->profile->line);
	if (!source->origin)
		return err_oom(err);
	p->source = source;
	r = parse_option(p, &words, err);
	p->source = source->outer;
	assert(r < 0 || words.next == words.count);
	return r;
}

static int parse_profile(struct parser *p, struct profile *profile, struct sbx_err *err)
{
	struct source source = {
		.kind = FROM_PROFILE,
		.depth = p->source->depth + 1,
		.profile = profile,
		.outer = p->source,
	};
	struct profile_words line;
	int r;

	do {
		r = profile_next(profile, &p->run->spec.arena, &line, err);
		if (r == 0 && line.count)
			r = parse_profile_line(p, &source, &line, err);
	} while (r == 0 && line.count);
	if (r < 0)
		err_annotate(err, "line %zu of profile %s", profile->line, profile->path);
	return r;
}

static int guard_profile(struct parser *p, const struct profile *profile, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < profile->file.n_places && r == 0; i++) {
		const struct spec_guard guard = {
			.dev = profile->file.places[i].dev,
			.ino = profile->file.places[i].ino,
			.path = profile->path,
		};

		r = spec_add_guard(&p->run->spec, &guard, err);
	}
	return r;
}

/* A profile that is being read already would never end. */
static int check_no_cycle(const struct parser *p, const struct profile *profile,
			  struct sbx_err *err)
{
	for (const struct source *s = p->source; s; s = s->outer) {
		if (s->kind == FROM_PROFILE &&
		    s->profile->file.self.dev == profile->file.self.dev &&
		    s->profile->file.self.ino == profile->file.self.ino)
			return err_usage(err, "--profile", "%s includes itself", profile->name);
	}
	return 0;
}

/* A modifier in a profile is for an operation of the same profile. */
static int check_none_left(const struct parser *p, const struct pending *before, bool taken,
			   struct sbx_err *err)
{
	for (enum modifier m = 0; m < MOD_COUNT_; m++)
		if (p->pending.by[m] && (taken || !before->by[m]))
			return refuse_pending(p->pending.by[m], m, "the end of the profile", err);
	return 0;
}

static int act_profile(struct parser *p, const struct use *use, struct sbx_err *err)
{
	bool nested = p->source->kind == FROM_PROFILE;
	struct pending before = p->pending;
	size_t n_ops = p->run->spec.n_ops;
	struct profile profile;
	int r;

	if (p->source->depth >= PROFILE_MAX_DEPTH)
		return err_usage(err, use->option->name, "profiles are nested more than %d deep",
				 PROFILE_MAX_DEPTH);
	if (p->n_profiles++ >= PROFILE_MAX_FILES)
		return err_usage(err, use->option->name, "more than %d profiles are read",
				 PROFILE_MAX_FILES);
	r = profile_open(use->args[0], nested ? p->source->profile->path : NULL,
			 &p->run->spec.arena, &profile, err);
	if (r == 0)
		r = check_no_cycle(p, &profile, err);
	if (r == 0)
		r = guard_profile(p, &profile, err);
	if (r < 0) {
		err_set_option(err, use->option->name);
		return r;
	}
	r = parse_profile(p, &profile, err);
	return r < 0 ? r : check_none_left(p, &before, p->run->spec.n_ops > n_ops, err);
}

static int (*const cli_acts[CLI_ACT_COUNT_])(struct parser *p, const struct use *use,
					     struct sbx_err *err) = {
	[CLI_ACT_SET] = act_set,
	[CLI_ACT_STORE] = act_store,
	[CLI_ACT_UNSHARE_ALL] = act_unshare_all,
	[CLI_ACT_NET] = act_net,
	[CLI_ACT_OP] = act_op,
	[CLI_ACT_PERMS] = act_perms,
	[CLI_ACT_SIZE] = act_size,
	[CLI_ACT_MOUNT_OPT] = act_mount_opt,
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
	[CLI_ACT_ARGS] = act_args,
	[CLI_ACT_PROFILE] = act_profile,
	[CLI_ACT_EXPLAIN] = act_explain,
	[CLI_ACT_ANSWER] = act_answer,
	[CLI_ACT_VERBOSE] = act_verbose,
	[CLI_ACT_LEVEL_PREFIX] = act_level_prefix,
};

int parser_act(struct parser *p, const struct use *use, struct sbx_err *err)
{
	return cli_acts[use->option->act](p, use, err);
}

/* ---- Words ---- */

static int refuse_unknown(const char *word, struct sbx_err *err)
{
	const char *advice = cli_find_advice(word, strcspn(word, "="));
	const char *similar = cli_find_similar(word);

	if (advice)
		return err_usage(err, word, "%s", advice);
	if (similar)
		return err_usage(err, word, "unknown option; did you mean %s?", similar);
	err_usage(err, word, "unknown option");
	err_hint(err, "sbx --help lists the options");
	return -EINVAL;
}

/* docker's -v SRC:DST and bubblewrap-like -v are told apart by what follows. */
static int check_not_a_volume(const struct cli_option *option, const struct words *words,
			      struct sbx_err *err)
{
	const char *next = words->next < words->count ? words->list[words->next] : "";

	if (option->act != CLI_ACT_VERBOSE || *next == '-' || !strchr(next, ':'))
		return 0;
	return err_usage(err, option->letter,
			 "a volume is given as --bind SRC DEST (or --ro-bind SRC DEST), "
			 "not as \"%s\"",
			 next);
}

/* The value of --option=VALUE: only an option with one argument can have it. */
static int take_equals(struct use *use, const char *value, struct sbx_err *err)
{
	const struct cli_option *option = use->option;
	size_t wanted = cli_option_n_args(option);
	char room[128];
	struct str_buf form = STR_BUF_ON_STACK(room);

	if (wanted == 1) {
		use->args[0] = value;
		use->n_args = 1;
		return 0;
	}
	if (wanted == 0)
		return err_usage(err, option->name, "takes no argument, so no \"=%s\"", value);
	cli_option_show(option, &form);
	return err_usage(err, option->name, "takes %zu arguments, so no \"=\": write %s", wanted,
			 form.data);
}

/*
 * A path called -- that has no other -- behind it is none: an argument was forgotten, and
 * what follows is the command.
 */
static bool ends_early(const struct use *use, const struct words *words)
{
	enum cli_arg_kind kind = use->option->args[use->n_args].kind;
	bool is_path = kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR || kind == CLI_ARG_DEST ||
		       kind == CLI_ARG_PROTECT;

	if (!is_path || !str_equal(words->list[words->next], "--"))
		return false;
	for (size_t i = words->next + 1; i < words->count; i++)
		if (str_equal(words->list[i], "--"))
			return false;
	return true;
}

static int take_args(struct use *use, struct words *words, struct sbx_err *err)
{
	size_t wanted = use->option->arg_optional ? 0 : cli_option_n_args(use->option);
	char room[128];
	struct str_buf form = STR_BUF_ON_STACK(room);

	while (use->n_args < wanted) {
		if (words->next == words->count || ends_early(use, words)) {
			cli_option_show(use->option, &form);
			return err_usage(err, use->option->name, "%s is missing: write %s",
					 use->option->args[use->n_args].metavar, form.data);
		}
		use->args[use->n_args++] = words->list[words->next++];
	}
	return 0;
}

static int check_args(struct use *use, struct sbx_err *err)
{
	for (size_t i = 0; i < use->n_args; i++) {
		int r = parser_check_arg(use->option, i, use->args[i], &use->numbers[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Read one option with its arguments and do what it says. */
static int parse_option(struct parser *p, struct words *words, struct sbx_err *err)
{
	const char *word = words->list[words->next++];
	const char *equals = str_starts_with(word, "--") ? strchr(word, '=') : NULL;
	struct use use = {.option = p->last};
	int r;

	if (!p->last || !str_equal(p->last->name, word))
		use.option = cli_find_option(word, equals ? (size_t)(equals - word) : strlen(word));
	if (!use.option)
		return refuse_unknown(word, err);
	p->last = use.option;

	r = equals ? take_equals(&use, equals + 1, err) : take_args(&use, words, err);
	if (r == 0)
		r = check_args(&use, err);
	if (r == 0 && str_equal(word, use.option->letter))
		r = check_not_a_volume(use.option, words, err);
	if (r == 0 && use.option->act != CLI_ACT_OP && !is_transparent(use.option))
		r = parser_check_modifiers(p, use.option->name, err);
	if (r == 0)
		r = parser_act(p, &use, err);
	if (r == 0 && use.option->group != CLI_MODIFIERS && !p->answered)
		r = parser_check_layers(p, use.option, err);
	return r;
}

/* Read options up to the first word that is none; -- is read too. */
static int parse_options(struct parser *p, struct words *words, struct sbx_err *err)
{
	while (words->next < words->count && !p->answered) {
		const char *word = words->list[words->next];
		int r;

		if (word[0] != '-')
			return 0;
		if (str_equal(word, "--")) {
			words->next++;
			return 0;
		}
		r = parse_option(p, words, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int parser_take_command(struct parser *p, struct words *words, struct sbx_err *err)
{
	int checked = parser_check_layers(p, NULL, err);

	if (checked < 0)
		return checked;
	if (words->next == words->count) {
		err_usage(err, NULL, "no command was given");
		err_hint(err, "for a shell: sbx --ro-bind /usr /usr -- bash");
		return -EINVAL;
	}
	if (*words->list[words->next] == '\0')
		return err_usage(err, NULL, "the command is an empty word");
	while (words->next < words->count) {
		int r = spec_add_arg(&p->run->spec, words->list[words->next++], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* A parser of a command line in that grammar. */
void parser_init(struct parser *p, struct cli_run *run, parser_grammar *grammar)
{
	static const struct source typed = {.kind = FROM_ARGV};

	*p = (struct parser){.run = run, .parse_options = grammar, .source = &typed};
}

/* The words of a command line behind the program's name, which may be missing. */
void parser_set_words(struct words *words, int argc, char *const *argv)
{
	*words = (struct words){
		.list = (const char *const *)argv,
		.count = argc > 0 ? (size_t)argc : 0,
		.next = argc > 0 ? 1 : 0,
	};
}

void cli_run_init(struct cli_run *run)
{
	spec_init(&run->spec);
	run->action = CLI_RUN;
	run->verbose = false;
	run->warnings = NULL;
	run->n_warnings = 0;
	run->level_prefix = false;
}

void cli_run_finish(struct cli_run *run)
{
	spec_finish(&run->spec);
}

/**
 * Read a command line of the run form.
 * @argv: with the program's name at 0; strings are borrowed by the spec
 * @run:  initialised; on failure half filled, to be finished all the same
 *
 * Where the action is CLI_HELP or CLI_VERSION, what stood behind that option
 * was not looked at, and there may be no command.
 *
 * Return: 0, or -errno with *err filled.
 */
int cli_parse_run(int argc, char *const *argv, struct cli_run *run, struct sbx_err *err)
{
	struct parser p;
	struct words words;
	int r;

	assert(argv && run && err);
	parser_init(&p, run, parse_options);
	parser_set_words(&words, argc, argv);
	r = parse_options(&p, &words, err);
	if (r < 0 || p.answered)
		return r;
	r = parser_check_modifiers(&p, NULL, err);
	return r < 0 ? r : parser_take_command(&p, &words, err);
}
