/* SPDX-License-Identifier: MIT */
/*
 * bwrap: bubblewrap's grammar, for callers that start sbx by that name.
 *
 * Theory of operation
 *
 * What an option does is the business of the row in cli_options that has the same
 * name. Here is which of those rows bubblewrap has, how it counts and checks their
 * arguments, and its words where something is wrong with them: callers match those.
 *
 * Its grammar is plainer than sbx's: whole names only, no "=", no letters, options
 * end at the first word without a dash. Of an option that can count once only the
 * last one counts, with a warning. What stands behind the first word that is no
 * option in an --args stream is ignored.
 */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sbx/base/caps.h"
#include "sbx/base/defs.h"
#include "sbx/cli/bwrap.h"
#include "sbx/cli/parser.h"

enum { BWRAP_MAX_ARGS = 9000, BWRAP_MAX_PERMS = 07777, BWRAP_MAX_CAP = 63 };

enum bwrap_flag {
	LAST_COUNTS = 1 << 0,  /* given again, the earlier one is forgotten, with a warning */
	ONCE = 1 << 1,	       /* given again, it is an error */
	TAKES_PERMS = 1 << 2,  /* --perms may stand in front */
	TAKES_SIZE = 1 << 3,   /* and --size */
	ONE_ARGUMENT = 1 << 4, /* "takes one argument", where the others take "an argument" */
	NO_LABELS = 1 << 5,    /* refused, as where bubblewrap was built without SELinux */
};

static const struct bwrap_option {
	const char *name;
	uint32_t flags;	  /* enum bwrap_flag */
	const char *args; /* of the refused, which have no row in cli_options */
	const char *help; /* where that row's would not be true here */
} bwrap_options[] = {
	{.name = "--help"},
	{.name = "--version", .help = "print the version"},
	{.name = "--args"},
	{.name = "--argv0", .flags = ONCE | ONE_ARGUMENT},
	{.name = "--level-prefix"},
	{.name = "--unshare-all", .help = "all new namespaces that there are"},
	{.name = "--share-net", .help = "but for the network, behind --unshare-all"},
	{.name = "--unshare-user", .help = "new user namespace"},
	{.name = "--unshare-user-try"},
	{.name = "--unshare-ipc", .help = "new ipc namespace"},
	{.name = "--unshare-pid", .help = "new pid namespace"},
	{.name = "--unshare-net", .help = "no network but lo"},
	{.name = "--unshare-uts", .help = "new namespace for the host name"},
	{.name = "--unshare-cgroup", .help = "new cgroup namespace"},
	{.name = "--unshare-cgroup-try"},
	{.name = "--userns", .flags = LAST_COUNTS},
	{.name = "--userns2", .flags = LAST_COUNTS},
	{.name = "--disable-userns", .help = "user namespaces cannot be made in it"},
	{.name = "--assert-userns-disabled"},
	{.name = "--pidns", .flags = LAST_COUNTS},
	{.name = "--uid", .flags = LAST_COUNTS},
	{.name = "--gid", .flags = LAST_COUNTS},
	{.name = "--hostname", .flags = LAST_COUNTS},
	{.name = "--chdir", .flags = LAST_COUNTS | ONE_ARGUMENT},
	{.name = "--clearenv"},
	{.name = "--setenv"},
	{.name = "--unsetenv"},
	{.name = "--lock-file"},
	{.name = "--sync-fd", .flags = LAST_COUNTS},
	{.name = "--bind"},
	{.name = "--bind-try"},
	{.name = "--dev-bind"},
	{.name = "--dev-bind-try"},
	{.name = "--ro-bind", .help = "--bind, read-only"},
	{.name = "--ro-bind-try"},
	{.name = "--bind-fd"},
	{.name = "--ro-bind-fd", .help = "--bind-fd, read-only"},
	{.name = "--remount-ro", .flags = ONE_ARGUMENT},
	{.name = "--overlay-src"},
	{.name = "--overlay"},
	{.name = "--tmp-overlay"},
	{.name = "--ro-overlay"},
	{.name = "--exec-label", .flags = NO_LABELS, .args = " LABEL"},
	{.name = "--file-label", .flags = NO_LABELS, .args = " LABEL"},
	{.name = "--proc"},
	{.name = "--dev"},
	{.name = "--tmpfs", .flags = TAKES_PERMS | TAKES_SIZE},
	{.name = "--mqueue"},
	{.name = "--dir", .flags = TAKES_PERMS},
	{.name = "--file", .flags = TAKES_PERMS},
	{.name = "--bind-data", .flags = TAKES_PERMS},
	{.name = "--ro-bind-data", .flags = TAKES_PERMS},
	{.name = "--symlink"},
	{.name = "--seccomp",
	 .flags = LAST_COUNTS,
	 .help = "load the system call filter that FD holds"},
	{.name = "--add-seccomp-fd", .help = "the same, any number of times"},
	{.name = "--block-fd", .flags = LAST_COUNTS},
	{.name = "--userns-block-fd", .flags = LAST_COUNTS},
	{.name = "--info-fd", .flags = LAST_COUNTS},
	{.name = "--json-status-fd", .flags = LAST_COUNTS},
	{.name = "--new-session"},
	{.name = "--die-with-parent", .help = "end when the parent of bwrap ends"},
	{.name = "--as-pid-1"},
	{.name = "--cap-add"},
	{.name = "--cap-drop"},
	{.name = "--perms"},
	{.name = "--size"},
	{.name = "--chmod"},
};

static_assert(ARRAY_SIZE(bwrap_options) <= PARSER_SEEN_MAX, "room for a mark of each");

/* Does bubblewrap have this option? */
bool bwrap_has_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(bwrap_options); i++)
		if (strcmp(bwrap_options[i].name, name) == 0)
			return true;
	return false;
}

/* ---- arguments ---- */

static const char *const bwrap_arity[CLI_ARGS_MAX + 1] = {"no argument", "an argument",
							  "two arguments", "three arguments"};

/* How many words " SRC DEST" is. */
static size_t bwrap_count_words(const char *args)
{
	size_t n = 0;

	for (; *args; args++)
		n += *args == ' ';
	return n;
}

static int bwrap_take_args(const struct bwrap_option *row, struct use *use, struct words *words,
			   struct sbx_err *err)
{
	size_t wanted = use->option ? cli_option_n_args(use->option) : bwrap_count_words(row->args);

	for (; use->n_args < wanted; use->n_args++) {
		if (words->next == words->count)
			return err_usage(err, NULL, "%s takes %s", row->name,
					 row->flags & ONE_ARGUMENT ? "one argument"
								   : bwrap_arity[wanted]);
		use->args[use->n_args] = words->list[words->next++];
	}
	return 0;
}

/* As strtoull(3) reads it in any base: 0x100 is a number here, 64K is none. */
static int bwrap_check_size(const char *text, uint64_t *ret, struct sbx_err *err)
{
	char *end = NULL;
	unsigned long long bytes;

	errno = 0;
	bytes = strtoull(text, &end, 0);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || bytes == 0)
		return err_usage(err, NULL, "--size takes a non-zero number of bytes");
	if (bytes > SIZE_MAX / 2)
		return err_usage(err, NULL, "--size (for tmpfs) is limited to %zu", SIZE_MAX / 2);
	*ret = bytes;
	return 0;
}

/* What bubblewrap says of an argument that its kind's check has refused. */
static int bwrap_refuse_arg(const struct use *use, size_t index, struct sbx_err *err)
{
	const char *text = use->args[index], *name = use->option->name;

	switch (use->option->args[index].kind) {
	case CLI_ARG_FD:
	case CLI_ARG_FILTER:
		return err_usage(err, NULL, "Invalid fd: %s", text);
	case CLI_ARG_ID:
		return err_usage(err, NULL, "Invalid %s: %s", name + 2, text);
	case CLI_ARG_OCTAL:
		return err_usage(err, NULL, "%s takes an octal argument <= 07777", name);
	case CLI_ARG_CAP:
		return err_usage(err, NULL, "unknown cap: %s", text);
	case CLI_ARG_ENV:
		return err_usage(err, NULL, "%s failed", name + 2);
	case CLI_ARG_HOSTNAME:
		return err_system(err, EINVAL, NULL, "Can't set hostname to %s", text);
	case CLI_ARG_SOURCE:
	case CLI_ARG_DIR:
	case CLI_ARG_WORK:
		return err_system(err, ENOENT, NULL, "Can't find source path %s", text);
	case CLI_ARG_NONE:
	case CLI_ARG_TEXT:
	case CLI_ARG_DEST:
	case CLI_ARG_SIZE:
	case CLI_ARG_USER:
	case CLI_ARG_NAME:
	case CLI_ARG_WORD:
	case CLI_ARG_WORDS:
	case CLI_ARG_ENV_SET:
	case CLI_ARG_HELPER:
	case CLI_ARG_PROFILE:
	case CLI_ARG_PROTECT:
	case CLI_ARG_SYSCALLS:
	case CLI_ARG_BUS_NAME:
	case CLI_ARG_BUS_RULE:
	case CLI_ARG_NET:
	case CLI_ARG_PUBLISH:
	case CLI_ARG_NET_RULE:
	case CLI_ARG_RLIMIT:
	case CLI_ARG_NICE:
	case CLI_ARG_OOM_SCORE:
	case CLI_ARG_DURATION:
	case CLI_ARG_LIMIT:
	case CLI_ARG_IO_MAX:
	case CLI_ARG_KIND_COUNT_:
		break;
	}
	return -EINVAL;
}

/*
 * As strtol(3) reads it: with blanks and a sign in front. What is more than an int is no
 * number here, while bubblewrap takes its lower half for one.
 */
static int bwrap_read_number(const char *text, int base, long max, uint64_t *ret)
{
	char *end = NULL;
	long number;

	errno = 0;
	number = strtol(text, &end, base);
	if (*text == '\0' || *end != '\0' || errno != 0 || number < 0 || number > max)
		return -EINVAL;
	*ret = (uint64_t)number;
	return 0;
}

/*
 * As libcap reads it: not without CAP_ in front, but as a number too, in any base, which becomes
 * a name. One that there is no capability of is no error; resolve passes over it.
 */
static int bwrap_check_cap(const char **text)
{
	static const char prefix[] = "CAP_";
	uint64_t number;
	const char *name;

	if (**text >= '0' && **text <= '9') {
		if (bwrap_read_number(*text, 0, BWRAP_MAX_CAP, &number) < 0)
			return -EINVAL;
		name = caps_to_name((int)number);
		*text = name ? name : *text;
		return 0;
	}
	if (strcasecmp(*text, "ALL") == 0)
		return 0;
	if (strncasecmp(*text, prefix, strlen(prefix)) != 0)
		return -EINVAL;
	return caps_from_name(*text) < 0 ? -EINVAL : 0;
}

/*
 * An empty path is the caller's unset variable. As a destination it is the root, to which it
 * is appended; what is opened by it, or made to lead there, is not found.
 */
static int bwrap_check_empty(struct use *use, size_t index, struct sbx_err *err)
{
	static const struct {
		const char *option, *text;
		size_t told; /* which argument the text ends with */
	} refused[] = {
		{"--chdir", "Can't chdir to ", 0},
		{"--lock-file", "Unable to open lock file ", 0},
		{"--symlink", "Can't make symlink at ", 1},
	};
	enum cli_arg_kind kind = use->option->args[index].kind;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (strcmp(use->option->name, refused[i].option) == 0 &&
		    (kind == CLI_ARG_SOURCE || use->n_args == 1))
			return err_system(err, ENOENT, NULL, "%s%s", refused[i].text,
					  use->args[refused[i].told]);
	if (kind == CLI_ARG_DEST)
		use->args[index] = "/";
	return 0;
}

/* One argument; what its kind makes of it where nothing is said here. */
static int bwrap_check_arg(struct use *use, size_t index, uint64_t *ret, struct sbx_err *err)
{
	const char *text = use->args[index];

	enum cli_arg_kind kind = use->option->args[index].kind;

	/* A filter is always a descriptor's number here. */
	if (kind == CLI_ARG_FD || kind == CLI_ARG_FILTER || kind == CLI_ARG_ID)
		return bwrap_read_number(text, 10, INT_MAX, ret);
	if (kind == CLI_ARG_OCTAL)
		return bwrap_read_number(text, 8, BWRAP_MAX_PERMS, ret);
	if (kind == CLI_ARG_CAP)
		return bwrap_check_cap(&use->args[index]);
	if (kind == CLI_ARG_HOSTNAME && *text == '\0')
		return 0;
	return parser_check_arg(use->option, index, text, ret, err);
}

static int bwrap_check_args(struct use *use, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < use->n_args && r == 0; i++) {
		enum cli_arg_kind kind = use->option->args[i].kind;

		if (kind == CLI_ARG_SIZE)
			return bwrap_check_size(use->args[i], &use->numbers[i], err);
		if (*use->args[i] == '\0')
			r = bwrap_check_empty(use, i, err);
		if (r < 0)
			return r;
		r = bwrap_check_arg(use, i, &use->numbers[i], err);
		if (r < 0)
			r = bwrap_refuse_arg(use, i, err);
	}
	return r;
}

/* ---- one option ---- */

/* --perms and --size wait for the option behind them. */
static int bwrap_check_modifiers(const struct parser *p, const struct bwrap_option *row,
				 const struct use *use, struct sbx_err *err)
{
	const char *perms = p->pending.by[MOD_PERMS], *size = p->pending.by[MOD_SIZE];

	if (use->option->group == CLI_MODIFIERS) {
		if ((use->option->act == CLI_ACT_PERMS && perms) ||
		    (use->option->act == CLI_ACT_SIZE && size))
			return err_usage(err, NULL, "%s given twice for the same action",
					 row->name);
		return 0;
	}
	if (perms && !(row->flags & TAKES_PERMS))
		return err_usage(err, NULL,
				 "--perms must be followed by an option that creates a file");
	if (size && !(row->flags & TAKES_SIZE))
		return err_usage(err, NULL, "--size must be followed by --tmpfs");
	return 0;
}

/* One whole filter, or several that are added: not both. */
static int bwrap_check_filters(const struct sbx_spec *spec, const struct use *use,
			       const struct parser *p, struct sbx_err *err)
{
	if (use->option->act == CLI_ACT_SECCOMP_FD && p->has_filter)
		return err_usage(err, NULL, "--add-seccomp-fd cannot be combined with --seccomp");
	/* It would have been read to its end and closed by now. */
	for (size_t i = 0; use->option->act == CLI_ACT_SECCOMP_FD && i < spec->n_seccomp_fds; i++)
		if (spec->seccomp_fds[i] == (int64_t)use->numbers[0])
			return err_system(err, EBADF, NULL, "Can't read seccomp data");
	if (use->option->args[0].kind == CLI_ARG_FILTER && spec->n_seccomp_fds)
		return err_usage(err, NULL, "--seccomp cannot be combined with --add-seccomp-fd");
	return 0;
}

static int bwrap_add_warning(struct cli_run *run, const char *text, struct sbx_err *err)
{
	const char **list =
		arena_grow(&run->spec.arena, run->warnings, run->n_warnings, sizeof(*list));

	if (!list || !text)
		return err_oom(err);
	list[run->n_warnings++] = text;
	run->warnings = list;
	return 0;
}

/* Mark the option as seen. Given again it may be an error, or worth a warning. */
static int bwrap_note_seen(struct parser *p, const struct bwrap_option *row, struct sbx_err *err)
{
	size_t index = (size_t)(row - bwrap_options);
	bool again = p->seen[index];

	p->seen[index] = true;
	if (again && (row->flags & ONCE))
		return err_usage(err, NULL, "%s used multiple times", row->name);
	if (!again || !(row->flags & LAST_COUNTS))
		return 0;
	return bwrap_add_warning(p->run,
				 arena_printf(&p->run->spec.arena,
					      "Only the last %s option will take effect",
					      row->name),
				 err);
}

/* The row of the word, or NULL with *err filled. */
static const struct bwrap_option *bwrap_find(const char *word, struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(bwrap_options); i++) {
		const struct bwrap_option *row = &bwrap_options[i];

		if (strcmp(row->name, word) == 0)
			return row;
	}
	(void)err_usage(err, NULL, "Unknown option %s", word);
	return NULL;
}

/* An option that bubblewrap has and cli_options has not, when its arguments are there. */
static int bwrap_refuse_option(const struct bwrap_option *row, struct sbx_err *err)
{
	assert(row->flags & NO_LABELS);
	return err_usage(err, NULL, "labeling not supported on this system");
}

/* What went wrong inside of --args, in bubblewrap's words. */
static int bwrap_act(struct parser *p, const struct use *use, struct sbx_err *err)
{
	int r;

	if (use->option->act == CLI_ACT_ARGS && p->source->kind == FROM_ARGS)
		return err_usage(err, NULL, "--args not supported in arguments file");
	r = parser_act(p, use, err);
	if (r < 0 && use->option->act == CLI_ACT_ARGS && err->option[0] && err->number)
		return err_system(err, err->number, NULL, "Can't read --args data");
	return r;
}

static int bwrap_parse_option(struct parser *p, struct words *words, struct sbx_err *err)
{
	const struct bwrap_option *row = bwrap_find(words->list[words->next++], err);
	struct use use = {0};
	int r;

	if (!row)
		return -EINVAL;
	if ((row->flags & NO_LABELS) == 0)
		use.option = cli_find_option(row->name, strlen(row->name));
	assert(use.option || row->args); /* a test sees to it that there is one */
	r = bwrap_take_args(row, &use, words, err);
	if (!use.option)
		return r < 0 ? r : bwrap_refuse_option(row, err);
	if (r == 0)
		r = bwrap_check_args(&use, err);
	if (r == 0)
		r = bwrap_check_modifiers(p, row, &use, err);
	if (r == 0)
		r = bwrap_check_filters(&p->run->spec, &use, p, err);
	if (r == 0)
		r = bwrap_note_seen(p, row, err);
	if (r < 0)
		return r;
	p->has_filter |= use.option->args[0].kind == CLI_ARG_FILTER;
	r = bwrap_act(p, &use, err);
	return r < 0 || p->answered ? r : parser_check_layers(p, use.option, err);
}

/* All words count, those of the command too, and those of every --args stream. */
static int bwrap_count(struct parser *p, const struct words *words, struct sbx_err *err)
{
	p->n_words += words->count - words->next;
	if (p->n_words > BWRAP_MAX_ARGS)
		return err_usage(err, NULL, "Exceeded maximum number of arguments %d",
				 BWRAP_MAX_ARGS);
	return 0;
}

static int bwrap_parse_options(struct parser *p, struct words *words, struct sbx_err *err)
{
	int r = bwrap_count(p, words, err);

	while (r == 0 && words->next < words->count && !p->answered) {
		const char *word = words->list[words->next];

		if (word[0] != '-')
			break;
		if (strcmp(word, "--") == 0) {
			words->next++;
			break;
		}
		r = bwrap_parse_option(p, words, err);
	}
	if (p->source->kind == FROM_ARGS)
		words->next = words->count;
	return r;
}

/* ---- the whole ---- */

static bool bwrap_lacks_uts(const struct sbx_spec *spec)
{
	return spec->hostname && spec->ns[SPEC_NS_UTS] != SPEC_NS_NEW;
}

static bool bwrap_lacks_pid(const struct sbx_spec *spec)
{
	return spec->as_pid_1 && spec->ns[SPEC_NS_PID] != SPEC_NS_NEW;
}

static bool bwrap_lacks_user(const struct sbx_spec *spec)
{
	return spec->disable_userns && spec->ns[SPEC_NS_USER] != SPEC_NS_NEW;
}

static bool bwrap_blocks_without_user(const struct sbx_spec *spec)
{
	return spec->userns_block_fd >= 0 && spec->ns[SPEC_NS_USER] != SPEC_NS_NEW;
}

static bool bwrap_blocks_without_info(const struct sbx_spec *spec)
{
	return spec->userns_block_fd >= 0 && spec->info_fd < 0;
}

static bool bwrap_joins_and_makes(const struct sbx_spec *spec)
{
	return spec->userns_fd >= 0 && spec->ns[SPEC_NS_USER] == SPEC_NS_NEW;
}

static bool bwrap_joins_and_tries(const struct sbx_spec *spec)
{
	return spec->userns_fd >= 0 && spec->ns[SPEC_NS_USER] == SPEC_NS_TRY;
}

static bool bwrap_blocks_and_disables(const struct sbx_spec *spec)
{
	return spec->disable_userns && spec->userns_block_fd >= 0;
}

static bool bwrap_locks_as_pid_1(const struct sbx_spec *spec)
{
	for (size_t i = 0; i < spec->n_ops && spec->as_pid_1; i++)
		if (spec->ops[i].kind == SPEC_OP_LOCK)
			return true;
	return false;
}

/* What does not go together, in the order in which bubblewrap looks at it. */
static const struct {
	bool (*is_broken)(const struct sbx_spec *spec);
	const char *text;
} bwrap_rules[] = {
	{bwrap_blocks_without_user, "--userns-block-fd requires --unshare-user"},
	{bwrap_blocks_without_info, "--userns-block-fd requires --info-fd"},
	{bwrap_joins_and_makes, "--userns not compatible --unshare-user"},
	{bwrap_joins_and_tries, "--userns not compatible --unshare-user-try"},
	{bwrap_lacks_user, "--disable-userns requires --unshare-user"},
	{bwrap_blocks_and_disables, "--disable-userns is not compatible with  --userns-block-fd"},
	{bwrap_lacks_uts, "Specifying --hostname requires --unshare-uts"},
	{bwrap_lacks_pid, "Specifying --as-pid-1 requires --unshare-pid"},
	{bwrap_locks_as_pid_1, "Specifying --as-pid-1 and --lock-file is not permitted"},
};

static int bwrap_check_rules(const struct sbx_spec *spec, struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(bwrap_rules); i++)
		if (bwrap_rules[i].is_broken(spec))
			return err_usage(err, NULL, "%s", bwrap_rules[i].text);
	return 0;
}

/**
 * Read a command line as bubblewrap does.
 * @argv: with the program's name at 0; strings are borrowed by the spec
 * @run:  initialised, with bubblewrap's defaults; on failure half filled
 *
 * Without a command the action is CLI_USAGE.
 *
 * Return: 0, or -errno with *err filled.
 */
int cli_parse_bwrap(int argc, char *const *argv, struct cli_run *run, struct sbx_err *err)
{
	struct parser p;
	struct words words;
	int r;

	assert(argv && run && err);
	parser_init(&p, run, bwrap_parse_options);
	parser_set_words(&words, argc, argv);
	r = bwrap_parse_options(&p, &words, err);
	if (r < 0 || p.answered)
		return r;
	r = parser_check_layers(&p, NULL, err);
	if (r < 0)
		return r;
	if (words.next == words.count) {
		run->action = CLI_USAGE;
		return 0;
	}
	r = bwrap_check_rules(&run->spec, err);
	if (r == 0 && *words.list[words.next] == '\0')
		return err_system(err, ENOENT, NULL, "execvp ");
	return r < 0 ? r : parser_take_command(&p, &words, err);
}

/* ---- help ---- */

/* "--bind SRC DEST", with what the refused would take as well: callers look for names. */
static void bwrap_show_option(const struct bwrap_option *row, struct str_buf *out)
{
	const struct cli_option *option = cli_find_option(row->name, strlen(row->name));

	str_buf_printf(out, "    %s", row->name);
	for (size_t i = 0; option && i < cli_option_n_args(option); i++)
		str_buf_printf(out, " %s",
			       option->args[i].kind == CLI_ARG_FILTER ? "FD"
								      : option->args[i].metavar);
	if (row->args)
		str_buf_puts(out, row->args);
	str_buf_puts(out, "\n");
	if (row->flags & NO_LABELS)
		str_buf_puts(out, "        not available: built without SELinux\n");
	else if (option)
		str_buf_printf(out, "        %s\n", row->help ? row->help : option->help);
}

/* What bwrap --help prints, and bwrap alone. */
void cli_bwrap_help(const char *argv0, struct str_buf *out)
{
	str_buf_printf(out, "usage: %s [OPTIONS...] [--] COMMAND [ARGS...]\n\n", argv0);
	for (size_t i = 0; i < ARRAY_SIZE(bwrap_options); i++)
		bwrap_show_option(&bwrap_options[i], out);
}
