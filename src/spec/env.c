/* SPDX-License-Identifier: MIT */
/*
 * env: start from the few variables a program needs to find its way, then apply
 * what was asked, in order.
 *
 * The result is a copy in the plan's arena, because PID 1 wipes the memory that
 * the caller's environment lies in. Its first entry is empty room for PWD, which
 * is known only inside. bubblewrap sets PWD last of all: it stays where the caller's
 * stood, or is the last; the payload puts it there.
 */

#include <errno.h>
#include <string.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/env.h"

enum { ENV_FILE_MAX_BYTES = 1 << 20 };

/* What stays of the caller's environment. A star stands for the rest of a name. */
static const char *const env_kept[] = {
	"TERM", "COLORTERM", "LANG",	"LC_*",	 "TZ",	     "PATH",
	"HOME", "USER",	     "LOGNAME", "SHELL", "NO_COLOR",
};

struct env_list {
	struct arena *arena;
	char **vars; /* [0] is the room for PWD */
	size_t count;
	bool with_pwd; /* the caller's keeps its place, for env_take_pwd() */
};

static size_t env_name_len(const char *var)
{
	return strcspn(var, "=");
}

static int env_append(struct env_list *list, const char *var)
{
	char **vars = arena_grow(list->arena, list->vars, list->count, sizeof(*vars));
	char *copy = var ? arena_dup(list->arena, var) : NULL;

	if (!vars || (var && !copy))
		return -ENOMEM;
	list->vars = vars;
	list->vars[list->count++] = copy;
	return 0;
}

/* Remove it from the place `from` on. */
static void env_remove(struct env_list *list, const char *name, size_t len, size_t from)
{
	for (size_t i = from; i < list->count; i++) {
		if (strncmp(list->vars[i], name, len) != 0 || list->vars[i][len] != '=')
			continue;
		memmove(&list->vars[i], &list->vars[i + 1],
			(list->count - i - 1) * sizeof(*list->vars));
		list->count--;
		i--;
	}
}

/* Its place; `count` where there is none. */
static size_t env_find(const struct env_list *list, const char *name, size_t len)
{
	size_t i = 1;

	while (i < list->count &&
	       (env_name_len(list->vars[i]) != len || strncmp(list->vars[i], name, len) != 0))
		i++;
	return i;
}

/* Put "NAME=VALUE" in, in the place of an earlier one. PWD is not the caller's to set. */
static int env_put(struct env_list *list, const char *var)
{
	size_t len = env_name_len(var), at = env_find(list, var, len);
	char *copy;

	if (len == 3 && strncmp(var, "PWD", 3) == 0 && !list->with_pwd)
		return 0;
	if (at == list->count)
		return env_append(list, var);
	copy = arena_dup(list->arena, var);
	if (!copy)
		return -ENOMEM;
	list->vars[at] = copy;
	env_remove(list, var, len, at + 1);
	return 0;
}

/* Which place PWD is to have when all is done. */
static size_t env_take_pwd(struct env_list *list)
{
	size_t at = env_find(list, "PWD", 3);

	env_remove(list, "PWD", 3, 1);
	return list->with_pwd ? at - 1 : 0;
}

static bool env_is_kept(const char *var)
{
	size_t len = env_name_len(var);

	for (size_t i = 0; i < ARRAY_SIZE(env_kept); i++) {
		size_t n = strlen(env_kept[i]);
		bool star = env_kept[i][n - 1] == '*';

		if (star ? len >= n - 1 && strncmp(var, env_kept[i], n - 1) == 0
			 : len == n && strncmp(var, env_kept[i], n) == 0)
			return true;
	}
	return false;
}

/* Take from the caller's environment: all of it, or what is kept by default. */
static int env_take(struct env_list *list, char *const *environ_, bool all)
{
	int r = 0;

	for (char *const *e = environ_; e && *e && r == 0; e++)
		if (strchr(*e, '=') && (all || env_is_kept(*e)))
			r = env_put(list, *e);
	return r;
}

static int env_pass(struct env_list *list, char *const *environ_, const char *name)
{
	size_t len = strlen(name);

	for (char *const *e = environ_; e && *e; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return env_put(list, *e);
	return 0;
}

/* One line of an --env-file: NAME=VALUE, NAME alone (the caller's value), or a comment. */
static int env_file_line(struct env_list *list, char *const *environ_, char *line)
{
	size_t len = strlen(line);

	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	if (*line == '=')
		return -EINVAL;
	return strchr(line, '=') ? env_put(list, line) : env_pass(list, environ_, line);
}

static int env_file(struct env_list *list, const struct probe_host *host, const char *path,
		    struct sbx_err *err)
{
	size_t len, number = 1;
	char *text, *next;
	int r = io_read_file(path, ENV_FILE_MAX_BYTES, list->arena, &text, &len);

	if (r < 0) {
		(void)err_system(err, -r, path, "cannot read environment file");
		err_set_option(err, "--env-file");
		return r;
	}
	if (strlen(text) != len) {
		r = err_refuse(err, EINVAL, path, "the environment file contains a NUL byte");
		err_set_option(err, "--env-file");
		return r;
	}
	for (char *line = text; line && r == 0; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = env_file_line(list, host->environ_, line);
	}
	if (r == -EINVAL) {
		(void)err_refuse(err, EINVAL, path, "line %zu has no name before its \"=\"",
				 number - 1);
		err_set_option(err, "--env-file");
	}
	return r;
}

static int env_apply(struct env_list *list, const struct probe_host *host,
		     const struct spec_env *op, struct sbx_err *err)
{
	char *var;

	switch (op->kind) {
	case SPEC_ENV_SET:
		var = arena_printf(list->arena, "%s=%s", op->name, op->value);
		return var ? env_put(list, var) : -ENOMEM;
	case SPEC_ENV_UNSET:
		env_remove(list, op->name, strlen(op->name), 1);
		return 0;
	case SPEC_ENV_PASS:
		return env_pass(list, host->environ_, op->name);
	case SPEC_ENV_CLEAR:
		list->count = 1;
		return 0;
	case SPEC_ENV_KEEP:
		return env_take(list, host->environ_, true);
	case SPEC_ENV_FILE:
		return env_file(list, host, op->value, err);
	case SPEC_ENV_COUNT_:
		break;
	}
	return -EINVAL;
}

/**
 * The command's environment.
 * @ret_envp: in the arena, NULL-terminated; [0] is NULL's stand-in "" for PWD
 * @ret_pwd_at: where the payload is to put that, the others in front of it moved by one
 *
 * Return: 0, or -errno with *err filled (a file that cannot be read).
 */
int env_build(const struct sbx_spec *spec, const struct probe_host *host, struct arena *arena,
	      char ***ret_envp, size_t *ret_pwd_at, struct sbx_err *err)
{
	bool keeps_all = spec_get_defaults(spec)->keeps_env;
	struct env_list list = {.arena = arena, .with_pwd = keeps_all};
	size_t pwd_at;
	char *home;
	int r;

	r = env_append(&list, "");
	if (r == 0)
		r = env_take(&list, host->environ_, keeps_all);
	if (r == 0 && host->home && !keeps_all && env_find(&list, "HOME", 4) == list.count) {
		home = arena_printf(arena, "HOME=%s", host->home);
		r = home ? env_put(&list, home) : -ENOMEM;
	}
	for (size_t i = 0; i < spec->n_env && r == 0; i++)
		r = env_apply(&list, host, &spec->env[i], err);
	pwd_at = r == 0 ? env_take_pwd(&list) : 0;
	if (r == 0)
		r = env_append(&list, NULL);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return r;
	*ret_envp = list.vars;
	*ret_pwd_at = pwd_at;
	return 0;
}

/* The value of a variable, or NULL. */
const char *env_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}
