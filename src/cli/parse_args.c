/* SPDX-License-Identifier: MIT */
/*
 * parse_args: is an argument of its kind, and which number does it stand for; see parse_parts.h.
 *
 * Here only what can be told from the text is checked. Whether a path is there, a user known
 * or a port free is for resolve. Kinds with a grammar of their own (networks, ports, limits) are
 * read by those who know it, in spec, and what they read is thrown away: the spec has the text.
 */

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "sbx/base/caps.h"
#include "sbx/base/label.h"
#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parse_parts.h"
#include "sbx/seccomp/table.h"
#include "sbx/spec/cgroup.h"
#include "sbx/spec/limits.h"
#include "sbx/spec/net.h"
#include "sbx/spec/netrules.h"
#include "sbx/spec/publish.h"

enum {
	PERMS_MAX = 07777,
	BUS_NAME_MAX = 255,
	HOSTNAME_MAX = 64, /* __NEW_UTS_LEN of the kernel */
};

static const uint64_t size_max = SIZE_MAX / 2;
static const uint64_t id_max = 0xfffffffe; /* 0xffffffff is (uid_t)-1, "no change" to the kernel */

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

	/* bubblewrap takes 0x1000 and 010 as C does; what has a unit is sbx's own. */
	if ((str_parse_u64(text, 0, size_max, &bytes) < 0 &&
	     str_parse_size(text, size_max, &bytes) < 0) ||
	    bytes == 0)
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
bool parser_is_path(const char *text)
{
	return text[0] == '/' || str_starts_with(text, "./") || str_starts_with(text, "../");
}

static int check_protect(const struct arg_place *at, const char *text, uint64_t *ret)
{
	int r;

	if (parser_is_path(text))
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
		const struct arg_place number = {at->option, "N of " NET_FD "N", at->err};

		*ret = SPEC_NS_SHARE;
		return check_fd(&number, text + strlen(NET_FD), &fd);
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
 * Check a text by its kind.
 * @metavar:    what the message calls it
 * @ret_number: what it stands for, if it is of a kind that is a number or a word
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int parser_check_kind(const struct cli_option *option, enum cli_arg_kind kind, const char *metavar,
		      const char *text, uint64_t *ret_number, struct sbx_err *err)
{
	const struct arg_place at = {option, metavar, err};

	return arg_checks[kind](&at, text, ret_number);
}

/* Likewise, an argument of the option. */
int parser_check_arg(const struct cli_option *option, size_t index, const char *text,
		     uint64_t *ret_number, struct sbx_err *err)
{
	const struct cli_arg *arg = &option->args[index];

	return parser_check_kind(option, arg->kind, arg->metavar, text, ret_number, err);
}
