/* SPDX-License-Identifier: MIT */
/*
 * protect: what --protect=dev stands for.
 *
 * Theory of operation
 *
 * Two tables. What lies in a home directory is protected where a bind has it, be the
 * bind the home, a directory above or one in it. What lies in a project is protected
 * at the root of every writable bind of a directory. Each row says why, and what
 * becomes of it where it does not exist:
 *
 *     HOLD   its name is held by a placeholder: something empty there harms nobody, and
 *            making it is the attack
 *     NEAR   the same where the directory above exists; without it nothing reads it
 *     DOT    with HOLD or NEAR: the placeholder is a file with a dot in it
 *     KEEP   only what is there is protected: an empty file of that name would be an
 *            error to, or change, programs of the host that find it meanwhile
 *
 * Git needs a look at the host. Of a linked worktree or a submodule, .git is a file
 * that names the directory; a repository has the directories of its submodules and
 * worktrees below its own. A config can include other files, and name another directory
 * for hooks. What git would run from each is protected too, as far as it lies in the
 * same bind.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/protect.h"

enum {
	PROTECT_GITFILE_MAX_BYTES = 16 << 10,
	PROTECT_GIT_DEPTH = 8,
	PROTECT_GIT_DIRS = 512,
	PROTECT_CONFIG_MAX_BYTES = 1 << 20,
	PROTECT_CONFIGS = 2048,	    /* read */
	PROTECT_CONFIG_PATHS = 256, /* that they lead to */
	PROTECT_CONFIG_DEPTH = 10,  /* git's own limit */
};

static const char protect_cause[] = "--protect=dev";

#define HOLD 0
#define NEAR PLAN_STEP_NO_PARENTS
#define KEEP PLAN_STEP_TRY
#define DIRECTORY PLAN_STEP_DIRECTORY
#define DOT PLAN_STEP_DOT

struct protect_row {
	const char *path;
	uint32_t flags; /* enum plan_step_flag */
	const char *why;
};

static const char protect_shell[] = "run by every new shell";
static const char protect_login[] = "run at login";
static const char protect_path[] = "on PATH, before the programs of the system";
static const char protect_agent[] = "tells an agent what it may do and run";
static const char protect_mise[] = "sets variables and runs hooks of a shell";
static const char protect_editor[] = "run by an editor";

static const struct protect_row protect_home[] = {
	{".bashrc", HOLD, protect_shell},
	/* Bash reads the first of three that exists: an empty one would hide .profile. */
	{".bash_profile", KEEP, protect_login},
	{".bash_login", KEEP, protect_login},
	{".bash_aliases", HOLD, protect_shell},
	{".bash_logout", HOLD, "run at logout"},
	{".profile", HOLD, protect_login},
	{".zshenv", HOLD, protect_shell},
	{".zshrc", HOLD, protect_shell},
	{".zprofile", HOLD, protect_login},
	{".zlogin", HOLD, protect_login},
	{".zlogout", HOLD, "run at logout"},
	{".config/fish", DIRECTORY | HOLD, protect_shell},
	/* First on PATH in most distributions, as soon as they are there. */
	{".local/bin", DIRECTORY | HOLD, protect_path},
	{"bin", DIRECTORY | HOLD, protect_path},
	{".cargo/bin", DIRECTORY | NEAR, protect_path},
	{".config/sbx", DIRECTORY | HOLD, "what the next sandbox may do"},
	{".inputrc", HOLD, "binds keys of every shell to commands"},
	{".xprofile", HOLD, protect_login},
	{".xsessionrc", HOLD, protect_login},
	/* Empty, they would be an empty session. */
	{".xsession", KEEP, protect_login},
	{".xinitrc", KEEP, protect_login},
	{".config/environment.d", DIRECTORY | HOLD, "sets variables of every session"},
	{".config/autostart", DIRECTORY | HOLD, "run at login"},
	{".config/systemd", DIRECTORY | HOLD, "services that start at login"},
	{".local/share/systemd", DIRECTORY | HOLD, "services that start at login"},
	{".ssh", DIRECTORY | HOLD, "who may log in, and commands that ssh runs"},
	{".gnupg/gpg.conf", NEAR, "what gpg trusts"},
	{".gnupg/gpg-agent.conf", NEAR, "programs that gpg-agent runs"},
	{".gitconfig", HOLD, "programs that git runs"},
	{".config/git", DIRECTORY | HOLD, "programs that git runs"},
	{".npmrc", HOLD, "where packages come from, and tokens"},
	{".yarnrc", HOLD, "where packages come from"},
	{".yarnrc.yml", HOLD, "where packages come from, and plug-ins"},
	{".pypirc", HOLD, "where packages go, and tokens"},
	{".config/pip", DIRECTORY | HOLD, "where packages come from"},
	{".cargo/config.toml", NEAR, "compilers and wrappers that cargo runs"},
	/* Cargo complains about two. */
	{".cargo/config", KEEP, "compilers and wrappers that cargo runs"},
	{".cargo/env", KEEP, protect_shell},
	{".gradle/init.gradle", NEAR, "run by every gradle"},
	{".gradle/init.d", DIRECTORY | NEAR, "run by every gradle"},
	/* Not XML, not JSON, when empty. */
	{".m2/settings.xml", KEEP, "where packages come from"},
	{".docker/config.json", KEEP, "programs that docker runs"},
	{".vimrc", HOLD, protect_editor},
	{".vim", DIRECTORY | HOLD, protect_editor},
	{".config/nvim", DIRECTORY | HOLD, protect_editor},
	/* Emacs takes the first that exists. */
	{".emacs", KEEP, protect_editor},
	{".emacs.d", DIRECTORY | KEEP, protect_editor},
	{".config/emacs", DIRECTORY | KEEP, protect_editor},
	{".config/Code/User", DIRECTORY | NEAR, protect_editor},
	{".config/helix", DIRECTORY | HOLD, protect_editor},
	{".config/zed", DIRECTORY | HOLD, protect_editor},
	{".gdbinit", HOLD, "run by every gdb"},
	{".lldbinit", HOLD, "run by every lldb"},
	{".screenrc", HOLD, "run by every screen"},
	/* An empty one would hide .config/tmux. */
	{".tmux.conf", KEEP, "run by every tmux"},
	{".config/tmux", DIRECTORY | HOLD, "run by every tmux"},
	{".config/direnv", DIRECTORY | HOLD, "run by every direnv"},
	{".config/mise", DIRECTORY | HOLD, protect_mise},
	/* Agents write what they remember below these; what they obey lies in single files. */
	{".claude/settings.json", KEEP, protect_agent},
	{".claude/settings.local.json", KEEP, protect_agent},
	{".claude/commands", DIRECTORY | NEAR, protect_agent},
	{".claude/agents", DIRECTORY | NEAR, protect_agent},
	{".claude/skills", DIRECTORY | NEAR, protect_agent},
	{".codex/config.toml", KEEP, protect_agent},
	{".gemini/settings.json", KEEP, protect_agent},
	{".cursor/mcp.json", KEEP, protect_agent},
	{".config/opencode", DIRECTORY | HOLD, protect_agent},
	{".codeium/windsurf/mcp_config.json", KEEP, protect_agent},
	{".continue/config.json", KEEP, protect_agent},
	{".continue/config.yaml", KEEP, protect_agent},
	{".kiro/settings", DIRECTORY | NEAR, protect_agent},
	{".agents", DIRECTORY | HOLD, protect_agent},
};

/*
 * Where a variable moves rows to: those with the prefix, which goes unless it is part of the
 * name. They are protected in both places: a login may not have the variable.
 */
static const struct protect_moved {
	const char *variable, *prefix;
	bool keeps_prefix;
} protect_moved[] = {
	{"XDG_CONFIG_HOME", ".config/", false},
	{"XDG_DATA_HOME", ".local/share/", false},
	{"ZDOTDIR", ".z", true},
	{"GNUPGHOME", ".gnupg/", false},
	{"CARGO_HOME", ".cargo/", false},
	{"GRADLE_USER_HOME", ".gradle/", false},
	{"DOCKER_CONFIG", ".docker/", false},
	{"CLAUDE_CONFIG_DIR", ".claude/", false},
	{"CODEX_HOME", ".codex/", false},
};

static const struct protect_row protect_project[] = {
	{".vscode", DIRECTORY | HOLD, "tasks and settings that an editor runs"},
	{".idea", DIRECTORY | HOLD, "tasks and settings that an editor runs"},
	{".devcontainer", DIRECTORY | HOLD, "commands that an editor runs"},
	{".claude", DIRECTORY | HOLD, protect_agent},
	{".cursor", DIRECTORY | HOLD, protect_agent},
	{".gemini", DIRECTORY | HOLD, protect_agent},
	{".codex", DIRECTORY | HOLD, protect_agent},
	{".agents", DIRECTORY | HOLD, protect_agent},
	{".continue", DIRECTORY | HOLD, protect_agent},
	{".kiro", DIRECTORY | HOLD, protect_agent},
	{".opencode", DIRECTORY | HOLD, protect_agent},
	{".windsurf", DIRECTORY | HOLD, protect_agent},
	{".helix", DIRECTORY | HOLD, "programs that an editor runs"},
	{".zed", DIRECTORY | HOLD, "tasks and settings that an editor runs"},
	/* An empty file is no JSON, and every empty file shows in "git status". */
	{".mcp.json", KEEP, "programs that an agent runs"},
	{"opencode.json", KEEP, protect_agent},
	{"opencode.jsonc", KEEP, protect_agent},
	{".gitmodules", KEEP, "where submodules come from"},
	{".husky", DIRECTORY | KEEP, "hooks that git runs"},
	{".envrc", KEEP, "run by direnv"},
	{"mise.toml", KEEP, protect_mise},
	{".mise.toml", KEEP, protect_mise},
	{".npmrc", KEEP, "where packages come from"},
	{".yarnrc", KEEP, "where packages come from"},
	{".yarnrc.yml", KEEP, "where packages come from, and plug-ins"},
	{".pnpmfile.cjs", KEEP, "run by every pnpm"},
	{".cargo", DIRECTORY | KEEP, "compilers and wrappers that cargo runs"},
	{".exrc", KEEP, protect_editor},
	{".vimrc", KEEP, protect_editor},
	{".nvim.lua", KEEP, protect_editor},
	{".dir-locals.el", KEEP, protect_editor},
	{".gdbinit", KEEP, "run by gdb"},
};

/* In a directory of git's. Without it there is no repository, and none can be held open. */
static const struct protect_row protect_git[] = {
	{"hooks", DIRECTORY | NEAR, "run by git"},
	{"config", NEAR, "programs that git runs"},
	/* Read where config says so, and may be empty then. */
	{"config.worktree", NEAR, "programs that git runs"},
	/*
	 * Made anew it would lead git to another config. An empty one is an error to git,
	 * and one with a dot names the directory itself, as none does.
	 */
	{"commondir", DOT | NEAR, "where git finds config and hooks"},
};

static const struct protect_row protect_worktree[] = {
	{"commondir", KEEP, "where git finds config and hooks"},
	{"gitdir", KEEP, "where git finds the worktree"},
	{"config.worktree", NEAR, "programs that git runs"},
};

/* What a config of git's leads to. */
static const char protect_include[] = "config that git reads";
static const char protect_hooks[] = "run by git";

bool protect_is_preset(const char *word)
{
	return str_equal(word, "dev");
}

/* ---- adding steps ---- */

struct protect_bind {
	const struct probe_host *host;
	const char *source; /* on the host, resolved */
	const char *dest;   /* inside, normalised */
	const char *top;    /* on the host: of a repository, the bind itself or a directory in it */
	struct sbx_plan *plan;
	struct sbx_err *err;
	const char *home; /* resolved, or NULL */
	unsigned n_git;	  /* directories of git's seen */
	unsigned n_configs, n_config_paths;
	unsigned config_depth;
};

static const char *protect_join(struct arena *arena, const char *dir, const char *name)
{
	return arena_printf(arena, "%s/%s", path_is_root(dir) ? "" : dir, name);
}

/* Is there such a step already? The layers of an overlay have much in common. */
static bool protect_has(const struct sbx_plan *plan, const char *dest, uint32_t flags)
{
	for (size_t i = plan->n_steps; i-- > 0 && plan->steps[i].kind == PLAN_STEP_PROTECT;)
		if (plan->steps[i].flags == flags && str_equal(plan->steps[i].dest, dest))
			return true;
	return false;
}

static int protect_add(const struct protect_bind *b, const char *dest,
		       const struct protect_row *row)
{
	struct plan_step *step;

	if (dest && protect_has(b->plan, dest, row->flags))
		return 0;
	step = plan_add_step(b->plan, PLAN_STEP_PROTECT, protect_cause);
	if (!step || !dest)
		return err_oom(b->err);
	step->dest = dest;
	step->within = b->dest;
	step->flags = row->flags;
	step->text = row->why;
	return 0;
}

/* The rows of a table, for the host's directory `dir`; those that the bind has. */
static int protect_add_rows(const struct protect_bind *b, const char *dir,
			    const struct protect_row *rows, size_t n_rows)
{
	struct arena *arena = &b->plan->arena;
	size_t source_len = path_is_root(b->source) ? 0 : strlen(b->source);

	for (size_t i = 0; i < n_rows; i++) {
		const char *path = protect_join(arena, dir, rows[i].path);
		int r;

		if (!path)
			return err_oom(b->err);
		if (!path_is_below(path, b->source) || path[source_len] == '\0')
			continue;
		r = protect_add(b, protect_join(arena, b->dest, path + source_len + 1), &rows[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the home ---- */

/* Where a directory is that a variable names, without links; NULL: nowhere. It need not exist. */
static const char *protect_variable(const struct protect_bind *b, const char *variable)
{
	struct arena *arena = &b->plan->arena;
	const char *value = probe_env(b->host->environ_, variable);
	const char *path = value && value[0] == '/' ? path_normalise(arena, NULL, value) : NULL;
	char above[PATH_MAX], real[PATH_MAX];
	char *slash;

	if (!path || strlen(path) >= sizeof(above))
		return NULL;
	str_copy(above, sizeof(above), path);
	while (!realpath(*above ? above : "/", real)) {
		slash = strrchr(above, '/');
		if (!slash)
			return NULL;
		*slash = '\0';
	}
	return arena_printf(arena, "%s%s", path_is_root(real) ? "" : real, path + strlen(above));
}

/* The rows that a variable has moved to `dir`. */
static int protect_add_moved(const struct protect_bind *b, const struct protect_moved *moved,
			     const char *dir)
{
	size_t len = strlen(moved->prefix);
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(protect_home) && r == 0; i++) {
		struct protect_row row = protect_home[i];

		if (!str_starts_with(row.path, moved->prefix))
			continue;
		row.path += moved->keeps_prefix ? 0 : len;
		r = protect_add_rows(b, dir, &row, 1);
	}
	return r;
}

/* Without a home it is not known what would be run later. */
static int protect_refuse_homeless(const struct protect_bind *b)
{
	int r = err_refuse(
		b->err, ENOENT, NULL,
		"which directory is the home is not known: HOME is not set, and passwd(5) "
		"has no entry");

	err_set_option(b->err, protect_cause);
	err_hint(b->err, "set it: HOME=DIR sbx ...");
	return r;
}

static int protect_add_home(const struct protect_bind *b)
{
	int r = b->home ? protect_add_rows(b, b->home, protect_home, ARRAY_SIZE(protect_home)) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(protect_moved) && r == 0; i++) {
		const char *dir = protect_variable(b, protect_moved[i].variable);

		r = dir ? protect_add_moved(b, &protect_moved[i], dir) : 0;
	}
	return r;
}

/* ---- git ---- */

/* The tree is the command's: it can have put a pipe there, which would be waited for. */
static int protect_read(const char *path, size_t max_bytes, struct arena *arena, char **ret_text,
			size_t *ret_len)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? io_read_all(fd, max_bytes, arena, ret_text, ret_len) : -EISDIR;
}

/* "gitdir: PATH" of a .git file, or the path in a commondir file: resolved, NULL if it is none. */
static const char *protect_read_link(struct arena *arena, const char *dir, const char *file,
				     const char *prefix)
{
	const char *path = protect_join(arena, dir, file);
	char real[PATH_MAX], *text = NULL;
	size_t len = 0;

	if (!path || protect_read(path, PROTECT_GITFILE_MAX_BYTES, arena, &text, &len) < 0 ||
	    !str_starts_with(text, prefix))
		return NULL;
	text += strlen(prefix);
	text[strcspn(text, "\r\n")] = '\0';
	path = text[0] == '/' ? text : protect_join(arena, dir, text);
	return path && *text && realpath(path, real) ? arena_dup(arena, real) : NULL;
}

/* ---- what a config leads to ---- */

/* A row for one path of the host, which need not exist; links in the last part are not followed. */
static int protect_add_path(const struct protect_bind *b, const char *path, uint32_t flags,
			    const char *why)
{
	const char *name = strrchr(path, '/') + 1;
	const char *dir = arena_dup_n(&b->plan->arena, path, (size_t)(name - path));
	const struct protect_row row = {name, flags, why};
	char real[PATH_MAX];

	if (!dir)
		return err_oom(b->err);
	return *name && realpath(*dir ? dir : "/", real) ? protect_add_rows(b, real, &row, 1) : 0;
}

/* The value behind the = sign of a line of a config, without quotes; NULL: it has none. */
static char *protect_config_value(char *line)
{
	char *value = strchr(line, '='), *end;

	if (!value)
		return NULL;
	value++;
	value += strspn(value, " \t\"");
	end = value + strcspn(value, "\"#;\r");
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return *value ? value : NULL;
}

/* As git reads a path: ~ is the home, anything else that is relative is below `base`. */
static const char *protect_config_path(const struct protect_bind *b, const char *value,
				       const char *base)
{
	if (value[0] == '~' && value[1] == '/')
		return b->home ? protect_join(&b->plan->arena, b->home, value + 2) : NULL;
	return value[0] == '/' ? value : protect_join(&b->plan->arena, base, value);
}

static bool protect_config_key_is(const char *line, const char *key)
{
	size_t len = strlen(key);

	return strncasecmp(line, key, len) == 0 && line[len + strspn(line + len, " \t")] == '=';
}

static int protect_refuse_config(const struct protect_bind *b, const char *path, int number)
{
	int r = number == E2BIG ? err_refuse(b->err, E2BIG, path,
					     "is one of too many files that git's config leads to")
				: err_system(b->err, number, path, "cannot read git's config");

	err_set_option(b->err, protect_cause);
	return r;
}

static int protect_add_config(struct protect_bind *b, const char *path, const char *worktree);

/* `base`: the directory of the config; `worktree`: where git runs hooks, NULL: unknown */
static int protect_add_config_line(struct protect_bind *b, char *line, bool includes,
				   const char *base, const char *worktree)
{
	bool hooks = protect_config_key_is(line, "hookspath");
	const char *value, *path;
	int r;

	if (!hooks && !(includes && protect_config_key_is(line, "path")))
		return 0;
	value = protect_config_value(line);
	path = value && (!hooks || worktree || value[0] == '/' || value[0] == '~')
		       ? protect_config_path(b, value, hooks ? worktree : base)
		       : NULL;
	if (!path)
		return 0;
	if (b->n_config_paths++ >= PROTECT_CONFIG_PATHS)
		return protect_refuse_config(b, path, E2BIG);
	if (hooks)
		return protect_add_path(b, path, DIRECTORY | NEAR, protect_hooks);
	r = protect_add_path(b, path, NEAR, protect_include);
	b->config_depth++;
	if (r == 0)
		r = protect_add_config(b, path, worktree);
	b->config_depth--;
	return r;
}

/*
 * The files that a config includes, in turn, and its directory of hooks. Conditions of an
 * include are not judged: another day they can hold.
 */
static int protect_add_config(struct protect_bind *b, const char *path, const char *worktree)
{
	struct arena *arena = &b->plan->arena;
	const char *slash = strrchr(path, '/');
	const char *base = arena_dup_n(arena, path, (size_t)(slash - path));
	char *text, *end;
	bool includes = false;
	size_t len;
	int r = 0;

	if (b->config_depth >= PROTECT_CONFIG_DEPTH)
		return 0;
	if (b->n_configs++ >= PROTECT_CONFIGS)
		return protect_refuse_config(b, path, E2BIG);
	r = protect_read(path, PROTECT_CONFIG_MAX_BYTES, arena, &text, &len);
	/* What is no file is none to git either. */
	if (r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EISDIR || r == -ELOOP)
		return 0;
	if (r < 0)
		return protect_refuse_config(b, path, -r);
	if (!base)
		return err_oom(b->err);
	for (char *line = text; *line && r == 0; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		line += strspn(line, " \t");
		if (*line == '[') {
			includes = strncasecmp(line, "[include", strlen("[include")) == 0;
			line += strcspn(line, "]");
			line += *line == ']' ? 1 + strspn(line + 1, " \t") : 0;
		}
		r = protect_add_config_line(b, line, includes, *base ? base : "/", worktree);
	}
	return r;
}

/* A directory that git takes for a repository has these. */
static bool protect_is_git_dir(struct arena *arena, const char *dir)
{
	const char *head = protect_join(arena, dir, "HEAD");
	struct stat st;

	return head && lstat(head, &st) == 0;
}

static const struct protect_row protect_git_file = {".git", KEEP,
						    "where git finds config and hooks"};

/* What the config of a submodule's directory says about where it is checked out, as git wrote it.
 */
static const char *protect_read_worktree(struct arena *arena, const char *dir)
{
	static const char key[] = "\tworktree = ";
	const char *path = protect_join(arena, dir, "config");
	char real[PATH_MAX], *text = NULL;
	size_t len = 0;

	if (!path || protect_read(path, PROTECT_GITFILE_MAX_BYTES, arena, &text, &len) < 0 || !text)
		return NULL;
	text = strstr(text, key);
	if (!text)
		return NULL;
	text += strlen(key);
	text[strcspn(text, "\r\n")] = '\0';
	path = text[0] == '/' ? text : protect_join(arena, dir, text);
	return path && realpath(path, real) ? arena_dup(arena, real) : NULL;
}

/* The .git file of a submodule; that of the bind itself is protected by who found it. */
static int protect_add_checkout(struct protect_bind *b, const char *dir)
{
	const char *checkout = protect_read_worktree(&b->plan->arena, dir);

	if (!checkout || strcmp(checkout, b->top) == 0)
		return 0;
	return protect_add_rows(b, checkout, &protect_git_file, 1);
}

/* The same of a linked worktree, which the directory of git's names by that file. */
static int protect_add_linked(struct protect_bind *b, const char *dir)
{
	struct arena *arena = &b->plan->arena;
	const char *file = protect_read_link(arena, dir, "gitdir", "");
	const char *own = protect_join(arena, b->top, ".git");

	if (!own)
		return err_oom(b->err);
	if (!file || strcmp(file, own) == 0)
		return 0;
	return protect_add_path(b, file, KEEP, protect_git_file.why);
}

static int protect_add_git_dir(struct protect_bind *b, const char *dir, bool is_worktree);

/*
 * Every directory of git's below `dir`: worktrees lie side by side, submodules at
 * any depth, as their names can have slashes.
 */
static int protect_add_git_below(struct protect_bind *b, const char *dir, bool worktrees, int depth)
{
	struct arena *arena = &b->plan->arena;
	DIR *d = depth > PROTECT_GIT_DEPTH ? NULL : opendir(dir);
	struct dirent *e;
	int r = 0;

	while (d && r == 0 && (e = readdir(d))) {
		const char *path = e->d_name[0] == '.' ? NULL : protect_join(arena, dir, e->d_name);
		struct stat st;

		if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		r = protect_is_git_dir(arena, path)
			    ? protect_add_git_dir(b, path, worktrees)
			    : protect_add_git_below(b, path, worktrees, depth + 1);
	}
	if (d)
		(void)closedir(d);
	return r;
}

/* Where git stands when it runs a hook of this directory of git's. */
static const char *protect_worktree_of(const struct protect_bind *b, const char *dir)
{
	const char *checkout = protect_read_worktree(&b->plan->arena, dir);
	const char *name = strrchr(dir, '/');

	if (checkout)
		return checkout;
	if (name && strcmp(name, "/.git") == 0)
		return arena_dup_n(&b->plan->arena, dir, (size_t)(name - dir));
	return b->top;
}

static int protect_add_git_dir(struct protect_bind *b, const char *dir, bool is_worktree)
{
	struct arena *arena = &b->plan->arena;
	const char *below[] = {protect_join(arena, dir, "modules"),
			       protect_join(arena, dir, "worktrees")};
	const char *configs[] = {protect_join(arena, dir, "config"),
				 protect_join(arena, dir, "config.worktree")};
	int r;

	if (b->n_git++ >= PROTECT_GIT_DIRS) {
		r = err_refuse(b->err, E2BIG, dir, "has more than %d submodules and worktrees",
			       PROTECT_GIT_DIRS);
		err_set_option(b->err, protect_cause);
		return r;
	}
	r = is_worktree ? protect_add_rows(b, dir, protect_worktree, ARRAY_SIZE(protect_worktree))
			: protect_add_rows(b, dir, protect_git, ARRAY_SIZE(protect_git));
	if (r == 0)
		r = is_worktree ? protect_add_linked(b, dir) : protect_add_checkout(b, dir);
	for (size_t i = 0; i < ARRAY_SIZE(configs) && r == 0; i++)
		r = configs[i] ? protect_add_config(b, configs[i], protect_worktree_of(b, dir))
			       : err_oom(b->err);
	for (size_t i = 0; i < ARRAY_SIZE(below) && r == 0; i++)
		r = below[i] ? protect_add_git_below(b, below[i], i == 1, 0) : err_oom(b->err);
	return r;
}

/* Of a worktree or submodule .git is a file, which leads elsewhere: followed one step, or two. */
static int protect_add_git_file(struct protect_bind *b)
{
	struct arena *arena = &b->plan->arena;
	const char *dir = protect_read_link(arena, b->top, ".git", "gitdir: ");
	const char *common = dir ? protect_read_link(arena, dir, "commondir", "") : NULL;
	int r = protect_add_rows(b, b->top, &protect_git_file, 1);

	if (r == 0 && dir)
		r = protect_add_git_dir(b, dir, common != NULL);
	if (r == 0 && common)
		r = protect_add_git_dir(b, common, false);
	return r;
}

/* Is the directory itself one of git's: a bare repository, or a .git alone? */
static bool protect_is_bare(const struct protect_bind *b)
{
	static const char *const names[] = {"HEAD", "objects", "refs"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *path = protect_join(&b->plan->arena, b->top, names[i]);
		struct stat st;

		if (!path || lstat(path, &st) < 0)
			return false;
	}
	return true;
}

/* What the user's own config leads to, where that is in the bind. */
static int protect_add_user_config(struct protect_bind *b)
{
	const char *moved = protect_variable(b, "XDG_CONFIG_HOME");
	const struct {
		const char *dir, *name;
	} configs[] = {
		{b->home, ".gitconfig"}, {b->home, ".config/git/config"}, {moved, "git/config"}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(configs) && r == 0; i++) {
		const char *path;

		if (!configs[i].dir)
			continue;
		path = protect_join(&b->plan->arena, configs[i].dir, configs[i].name);
		r = path ? protect_add_config(b, path, b->top) : err_oom(b->err);
	}
	return r;
}

static int protect_add_git(struct protect_bind *b)
{
	const char *path = protect_join(&b->plan->arena, b->top, ".git");
	char real[PATH_MAX];
	struct stat st;
	int r;

	if (!path)
		return err_oom(b->err);
	if (protect_is_bare(b)) {
		r = protect_add_git_dir(b, b->top, false);
		if (r < 0)
			return r;
	}
	if (lstat(path, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		return protect_add_git_file(b);
	r = protect_add_git_dir(b, path, false);
	/* A link; what it leads to may lie in the bind too, under its own name. */
	if (r == 0 && S_ISLNK(st.st_mode) && realpath(path, real))
		r = protect_add_git_dir(b, real, false);
	return r;
}

/* What a project has at its top, and its repository. */
static int protect_add_project(struct protect_bind *b)
{
	int r = 0;

	/* A home, or what has homes in it, is no project. */
	if (!(b->home && path_is_below(b->home, b->top)))
		r = protect_add_rows(b, b->top, protect_project, ARRAY_SIZE(protect_project));
	return r < 0 ? r : protect_add_git(b);
}

/*
 * The caller works in a repository further down: what is bound is the directory that all
 * projects are in, or home. Those around it count too, which it may be a submodule of.
 */
static int protect_add_projects_of(struct protect_bind *b, const char *cwd)
{
	const char *dir = cwd;
	int r = 0;

	while (r == 0 && dir && path_is_below(dir, b->source) && !str_equal(dir, b->source)) {
		const char *git = protect_join(&b->plan->arena, dir, ".git");
		const char *slash = strrchr(dir, '/');
		struct stat st;

		if (!git)
			return err_oom(b->err);
		b->top = dir;
		if (lstat(git, &st) == 0)
			r = protect_add_project(b);
		dir = arena_dup_n(&b->plan->arena, dir, slash > dir ? (size_t)(slash - dir) : 1);
	}
	b->top = b->source;
	return r == 0 && !dir && cwd ? err_oom(b->err) : r;
}

/**
 * Protect what the preset has of a bind, right behind it: what a later operation puts
 * there stays as that says.
 * @source: of the bind, as typed
 * @dest:   of the bind, normalised
 *
 * Return: 0, or -errno with *err filled.
 */
int protect_add_preset(const struct probe_host *host, const char *source, const char *dest,
		       struct sbx_plan *plan, struct sbx_err *err)
{
	char real[PATH_MAX], home[PATH_MAX];
	struct protect_bind b = {
		.host = host, .source = real, .dest = dest, .top = real, .plan = plan, .err = err};
	struct stat st;
	int r;

	/* A source that is not there is its step's affair. */
	if (!realpath(source, real) || stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (!host->home)
		return protect_refuse_homeless(&b);
	if (realpath(host->home, home))
		b.home = home;
	r = protect_add_home(&b);
	if (r == 0)
		r = protect_add_project(&b);
	if (r == 0)
		r = protect_add_projects_of(&b, host->cwd);
	return r < 0 ? r : protect_add_user_config(&b);
}
