/* SPDX-License-Identifier: MIT */
/*
 * profile: find a profile, and make words of its lines.
 *
 * Theory of operation
 *
 * A NAME is looked for in the caller's own folder, then in the system's; the
 * first file of that name is meant, and where it cannot be trusted that is an
 * error: the next would be another profile than the one that was asked for.
 * What has a slash is a FILE.
 *
 * A line is one option with its arguments. Words are parted by blanks, quotes
 * keep them together, # begins a comment. Then the table of options says what
 * each word is: in paths of the host, and destinations, ~ and variables are put
 * in; all other words stay as they are. Characters that quotes have taken the
 * meaning from travel behind a LITERAL mark until then.
 *
 * A line cannot take its arguments from the next one, nor name a descriptor:
 * numbers of descriptors mean nothing in a file.
 */

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/cli/profile.h"
#include "sbx_config.h"

#define LITERAL '\001' /* no profile can hold it */

enum { WORD_MAX_BYTES = 8192, DESCRIPTION_MAX = 200 };

/* ---- Finding ---- */

bool profile_is_file(const char *name)
{
	return strchr(name, '/') != NULL;
}

bool profile_name_is_good(const char *name)
{
	if (*name == '\0' || *name == '.' || *name == '-' || strlen(name) > NAME_MAX)
		return false;
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	return true;
}

static bool profile_has_dir(const char *const *dirs, size_t count, const char *dir)
{
	struct stat a, b;

	for (size_t i = 0; i < count; i++) {
		if (str_equal(dirs[i], dir))
			return true;
		if (stat(dirs[i], &a) == 0 && stat(dir, &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return true;
	}
	return false;
}

/* The folder that the program itself is in: "/opt/sbx/bin", or NULL. */
static char *profile_program_dir(struct arena *arena)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len <= 0)
		return NULL;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (path[0] != '/' || !slash)
		return NULL;
	*slash = '\0';
	return arena_dup(arena, path);
}

/* A build has its profiles beside the program, an installation that was moved one higher. */
static const char *profile_dir_beside(struct arena *arena, const char *program)
{
	const char *beside = arena_printf(arena, "%s/share/sbx/profiles", program);

	return beside && access(beside, F_OK) == 0
		       ? beside
		       : arena_printf(arena, "%s/../share/sbx/profiles", program);
}

/**
 * The folders that profiles are looked for in, first things first. They need not exist.
 *
 * Return: how many.
 */
size_t profile_dirs(struct arena *arena, const char *ret_dirs[PROFILE_MAX_DIRS])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	const char *program = profile_program_dir(arena);
	const char *all[] = {
		config && config[0] == '/' ? arena_printf(arena, "%s/sbx/profiles", config)
		: home && home[0] == '/'   ? arena_printf(arena, "%s/.config/sbx/profiles", home)
					   : NULL,
		SBX_SYSCONFDIR "/sbx/profiles",
		SBX_DATADIR "/sbx/profiles",
		program ? profile_dir_beside(arena, program) : NULL,
	};
	size_t n = 0;

	static_assert(ARRAY_SIZE(all) <= PROFILE_MAX_DIRS, "room for all folders");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] && !profile_has_dir(ret_dirs, n, all[i]))
			ret_dirs[n++] = all[i];
	return n;
}

/* The path of the file that is meant; whether it is any good is seen when it is opened. */
static int profile_find(const char *name, struct arena *arena, const char **ret_path,
			struct sbx_err *err)
{
	const char *dirs[PROFILE_MAX_DIRS];
	size_t n = profile_dirs(arena, dirs);
	struct stat st;

	if (!profile_name_is_good(name))
		return err_usage(err, "--profile",
				 "\"%s\" cannot be a profile's name; a file's path has a slash",
				 name);
	for (size_t i = 0; i < n; i++) {
		char *path = arena_printf(arena, "%s/%s", dirs[i], name);

		if (!path)
			return err_oom(err);
		if (lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		*ret_path = path;
		return 0;
	}
	err_usage(err, "--profile", "there is no profile \"%s\"", name);
	err_hint(err, "sbx profiles lists them; the path of a file must have a slash: ./%s", name);
	return -EINVAL;
}

/* A file that another one includes is looked for from there. */
static char *profile_beside(const char *name, const char *from, struct arena *arena)
{
	const char *slash = from ? strrchr(from, '/') : NULL;

	if (name[0] == '/' || !slash)
		return arena_dup(arena, name);
	return arena_printf(arena, "%.*s/%s", (int)(slash - from), from, name);
}

/* Let a profile be this text; borrowed. For profile_open(), and for tests. */
void profile_set_text(struct profile *profile, const char *text, size_t len)
{
	profile->rest = text;
	profile->end = text + len;
	profile->line = 0;
}

/**
 * Find and read a profile.
 * @name: a name, or a path with a slash
 * @from: path of the profile that includes this one, NULL: none
 *
 * Return: 0, or -errno with *err filled. No descriptor stays open.
 */
int profile_open(const char *name, const char *from, struct arena *arena, struct profile *ret,
		 struct sbx_err *err)
{
	const char *path = NULL;
	struct profile profile = {.name = name};
	char *text = NULL;
	size_t len = 0;
	int r = 0;

	assert(name && arena && ret && err);
	if (profile_is_file(name))
		path = profile_beside(name, from, arena);
	else
		r = profile_find(name, arena, &path, err);
	if (r == 0 && !path)
		r = err_oom(err);
	if (r == 0)
		r = trust_open(path, arena, &profile.file, err);
	if (r < 0)
		return r;
	r = io_read_all(profile.file.fd, PROFILE_MAX_BYTES, arena, &text, &len);
	close(profile.file.fd);
	profile.file.fd = -1;
	if (r == -EFBIG)
		return err_refuse(err, EFBIG, path, "the profile is larger than 1 MiB");
	if (r < 0)
		return err_system(err, -r, path, "cannot read the profile");
	profile.path = path;
	profile_set_text(&profile, text, len);
	*ret = profile;
	return 0;
}

/* ---- Words ---- */

struct cutter {
	const char *at, *end; /* of the line */
	char word[WORD_MAX_BYTES];
	size_t len;
	struct sbx_err *err;
};

static int cut_refuse(struct cutter *cut, const char *what)
{
	return err_usage(cut->err, NULL, "%s", what);
}

static int cut_put(struct cutter *cut, char c, bool literal)
{
	bool marked = literal && strchr("$~?", c);

	if (cut->len + 3 > sizeof(cut->word))
		return cut_refuse(cut, "a word is longer than 8 KiB");
	if (marked)
		cut->word[cut->len++] = LITERAL;
	cut->word[cut->len++] = c;
	return 0;
}

/* From behind an opening quote to its end. In "..." a variable keeps its meaning. */
static int cut_quoted(struct cutter *cut, char quote)
{
	int r = 0;

	while (cut->at < cut->end && *cut->at != quote && r == 0) {
		bool escaped = quote == '"' && *cut->at == '\\' && cut->end - cut->at > 1 &&
			       strchr("\"\\$", cut->at[1]);

		cut->at += escaped;
		r = cut_put(cut, *cut->at, quote == '\'' || escaped || *cut->at != '$');
		cut->at++;
	}
	if (r == 0 && cut->at == cut->end)
		return cut_refuse(cut, "a quote is not closed on its line");
	cut->at++;
	return r;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word, into cut->word. Return: 1, 0 at the end of the line, or -errno. */
static int cut_word(struct cutter *cut)
{
	int r = 0;

	while (cut->at < cut->end && is_blank(*cut->at))
		cut->at++;
	if (cut->at == cut->end || *cut->at == '#')
		return 0;
	cut->len = 0;
	while (cut->at < cut->end && !is_blank(*cut->at) && r == 0) {
		char c = *cut->at++;

		if (c == '"' || c == '\'')
			r = cut_quoted(cut, c);
		else if (c != '\\')
			r = cut_put(cut, c, false);
		else if (cut->at == cut->end)
			r = cut_refuse(cut, "a backslash stands at the end of the line; an option "
					    "cannot go on on the next");
		else
			r = cut_put(cut, *cut->at++, true);
	}
	cut->word[cut->len] = '\0';
	return r < 0 ? r : 1;
}

/* ---- What stands for something else ---- */

static void strip_marks(char *word)
{
	char *to = word;

	for (const char *from = word; *from; from++)
		if (*from != LITERAL)
			*to++ = *from;
	*to = '\0';
}

static int expand_home(struct str_buf *out, const char **at, struct sbx_err *err)
{
	const char *home = getenv("HOME");

	if (**at != '~' || ((*at)[1] != '/' && (*at)[1] != '\0'))
		return 0;
	if (!home || home[0] != '/')
		return err_usage(err, NULL, "~ means nothing: HOME is no absolute path");
	str_buf_puts(out, home);
	(*at)++;
	return 0;
}

static size_t variable_len(const char *text)
{
	size_t len = 0;

	while (text[len] == '_' || isalpha((unsigned char)text[len]) ||
	       (len > 0 && isdigit((unsigned char)text[len])))
		len++;
	return len;
}

/* $VAR, ${VAR} or ${VAR:-default}; *at is at the dollar sign. */
static int expand_variable(struct str_buf *out, const char **at, struct sbx_err *err)
{
	bool braced = (*at)[1] == '{';
	const char *name = *at + 1 + braced;
	size_t len = variable_len(name);
	const char *behind = name + len, *other = NULL, *close = NULL;
	char variable[256];
	const char *value;

	if (braced && strncmp(behind, ":-", 2) == 0)
		other = behind + 2;
	if (braced)
		close = strchr(other ? other : behind, '}');
	if (len == 0 || len >= sizeof(variable) ||
	    (braced && (!close || (!other && close != behind))))
		return err_usage(err, NULL,
				 "write $VAR, ${VAR} or ${VAR:-DEFAULT}, and \\$ for the sign");
	memcpy(variable, name, len);
	variable[len] = '\0';
	value = getenv(variable);
	*at = braced ? close + 1 : behind;
	if (value && *value)
		str_buf_puts(out, value);
	else if (other && close > other)
		str_buf_write(out, other, (size_t)(close - other));
	else
		return err_usage(err, NULL, "the variable %s is not set, or empty", variable);
	return 0;
}

static int expand_path(const char *word, char *room, size_t size, struct sbx_err *err)
{
	struct str_buf out = {.data = room, .size = size};
	const char *at = word;
	int r = expand_home(&out, &at, err);

	room[out.len] = '\0';
	while (*at && r == 0) {
		if (*at == '$') {
			r = expand_variable(&out, &at, err);
			continue;
		}
		at += *at == LITERAL;
		str_buf_write(&out, at++, 1);
	}
	if (r == 0 && out.cut)
		r = err_usage(err, NULL, "a path is longer than 8 KiB");
	return r;
}

/* ---- Lines ---- */

static bool is_path(const struct cli_option *option, size_t index)
{
	enum cli_arg_kind kind;

	assert(option);
	kind = option->args[index].kind;
	if (option->act == CLI_ACT_OP && option->op == SPEC_OP_SYMLINK && index == 0)
		return false; /* a link's text means what it says, inside */
	return kind == CLI_ARG_SOURCE || kind == CLI_ARG_DIR || kind == CLI_ARG_WORK ||
	       kind == CLI_ARG_DEST || kind == CLI_ARG_PROTECT || kind == CLI_ARG_FILTER;
}

static const struct cli_option *find_named(const char *word, size_t len, struct arena *arena)
{
	const char *name =
		arena_printf(arena, "%s%.*s", word[0] == '-' ? "" : "--", (int)len, word);

	if (name && str_equal(name, "--include"))
		name = "--profile";
	return name ? cli_find_option(name, strlen(name)) : NULL;
}

static int refuse_fd(const struct cli_option *option, struct sbx_err *err)
{
	return err_usage(err, option->name,
			 "cannot be in a profile: a descriptor's number means nothing in a file");
}

/* Can this option be in a file at all? */
static int check_allowed(const struct cli_option *option, struct sbx_err *err)
{
	if (option->act == CLI_ACT_ARGS || option->act == CLI_ACT_ANSWER ||
	    option->act == CLI_ACT_EXPLAIN)
		return err_usage(err, option->name,
				 "belongs on the command line, a profile cannot hold it");
	for (size_t i = 0; i < cli_option_n_args(option); i++)
		if (option->args[i].kind == CLI_ARG_FD)
			return refuse_fd(option, err);
	return 0;
}

/* A source that begins with ? may be missing: the option's -try form is meant. */
static int select_try(const struct cli_option **option, struct arena *arena, struct sbx_err *err)
{
	const char *name = arena_printf(arena, "%s-try", (*option)->name);
	const struct cli_option *found = name ? cli_find_option(name, strlen(name)) : NULL;

	if (!found)
		return err_usage(err, (*option)->name,
				 "has no form that may find nothing, so no \"?\"; write \\? for a "
				 "name that begins so");
	*option = found;
	return 0;
}

/* The first word: which option, and what stands behind its = sign. */
static int line_option(char *word, const struct cli_option **ret, char **ret_value,
		       struct arena *arena, struct sbx_err *err)
{
	char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const char *dashed;

	*ret = find_named(word, len, arena);
	*ret_value = equals ? equals + 1 : NULL;
	if (*ret)
		return check_allowed(*ret, err);
	strip_marks(word);
	dashed = arena_printf(arena, "%s%s", word[0] == '-' ? "" : "--", word);
	if (!dashed)
		return err_oom(err);
	if (str_equal(word, "--"))
		return err_usage(err, word, "a command cannot come from a profile");
	if (cli_find_similar(dashed))
		return err_usage(err, word, "unknown option; did you mean %s?",
				 cli_find_similar(dashed) + strlen("--"));
	return err_usage(err, word, "unknown option");
}

static int line_argument(const struct cli_option **option, size_t index, char *word,
			 struct profile_words *words, struct arena *arena, struct sbx_err *err)
{
	char room[WORD_MAX_BYTES];
	int r = 0;

	if (index >= cli_option_n_args(*option) || words->count == PROFILE_MAX_WORDS) {
		char form_room[128];
		struct str_buf form = STR_BUF_ON_STACK(form_room);

		cli_option_show(*option, &form);
		strip_marks(word);
		return err_usage(err, (*option)->name, "\"%s\" is too much: write %s", word,
				 form.data + strlen("--"));
	}
	if (index == 0 && word[0] == '?' && is_path(*option, 0)) {
		r = select_try(option, arena, err);
		word++;
	}
	if (r == 0 && is_path(*option, index)) {
		r = expand_path(word, room, sizeof(room), err);
		word = room;
	}
	if (r < 0) {
		err_set_option(err, (*option)->name);
		return r;
	}
	if ((*option)->args[index].kind == CLI_ARG_FILTER && *word &&
	    word[strspn(word, "0123456789")] == '\0')
		return refuse_fd(*option, err);
	strip_marks(word);
	words->list[words->count] = arena_dup(arena, word);
	return words->list[words->count++] ? 0 : err_oom(err);
}

/* A value that may be missing belongs to the word of its option, or it would be a word alone. */
static int join_value(struct profile_words *words, struct arena *arena, struct sbx_err *err)
{
	words->list[0] = arena_printf(arena, "%s=%s", words->list[0], words->list[1]);
	words->count = 1;
	return words->list[0] ? 0 : err_oom(err);
}

static int line_words(struct cutter *cut, struct arena *arena, struct profile_words *words)
{
	const struct cli_option *option = NULL;
	char *value = NULL;
	size_t index = 0;
	int r = cut_word(cut);

	words->count = 0;
	if (r <= 0)
		return r;
	r = line_option(cut->word, &option, &value, arena, cut->err);
	words->count = 1; /* the name's place */
	if (r == 0 && value && cli_option_n_args(option) != 1)
		r = err_usage(cut->err, option->name, "takes %zu arguments, so no \"=\"",
			      cli_option_n_args(option));
	if (r == 0 && value)
		r = line_argument(&option, index++, value, words, arena, cut->err);
	while (r == 0) {
		r = cut_word(cut);
		if (r <= 0)
			break;
		r = line_argument(&option, index++, cut->word, words, arena, cut->err);
	}
	if (r < 0)
		return r;
	words->list[0] = option->name;
	return option->arg_optional && words->count == 2 ? join_value(words, arena, cut->err) : 0;
}

/* Bytes that no line can hold: they would show something else than is read. */
static int check_bytes(const char *line, const char *end, struct sbx_err *err)
{
	for (; line < end; line++)
		if ((unsigned char)*line < ' ' && *line != '\t')
			return err_usage(err, NULL, "a control character (byte 0x%02x) stands here",
					 (unsigned)(unsigned char)*line);
	return 0;
}

/* A file that was written on Windows has such a byte at the end of every line. */
static void hint_line_ends(const struct profile *profile, const char *end, struct sbx_err *err)
{
	if (end[-1] == '\r' && profile->path)
		err_hint(err,
			 "lines end in carriage returns, as on Windows; take them out: "
			 "sed -i 's/\\r$//' %s",
			 profile->path);
}

/**
 * Read lines up to the next that says something.
 * @ret_words: its words; a count of 0 is the end of the profile
 *
 * Return: 0, or -errno with *err filled and annotated.
 */
int profile_next(struct profile *profile, struct arena *arena, struct profile_words *ret_words,
		 struct sbx_err *err)
{
	ret_words->count = 0;
	while (profile->rest < profile->end && ret_words->count == 0) {
		size_t left = (size_t)(profile->end - profile->rest);
		const char *newline = memchr(profile->rest, '\n', left);
		const char *end = newline ? newline : profile->end;
		struct cutter cut = {.at = profile->rest, .end = end, .err = err};
		int r = check_bytes(cut.at, end, err);

		if (r < 0)
			hint_line_ends(profile, end, err);
		profile->line++;
		profile->rest = newline ? newline + 1 : end;
		if (r == 0)
			r = line_words(&cut, arena, ret_words);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The text of the comment that begins the profile, one line; "" where there is none. */
char *profile_describe(const struct profile *profile, struct arena *arena)
{
	char room[DESCRIPTION_MAX * 4];
	struct str_buf out = STR_BUF_ON_STACK(room);
	const char *at = profile->rest;
	size_t len = 0;

	if (at < profile->end && *at == '#') {
		at++;
		while (at < profile->end && is_blank(*at))
			at++;
		while (at + len < profile->end && at[len] != '\n' && len < DESCRIPTION_MAX)
			len++;
		str_buf_escape(&out, at, len);
	}
	return arena_dup(arena, out.data);
}
