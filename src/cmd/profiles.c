/* SPDX-License-Identifier: MIT */
/*
 * profiles: `sbx profiles [NAME]`: which profiles --profile finds, where each comes
 * from, and what it says of itself. One that hides another of its name is told with it.
 */

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cli/profile.h"
#include "sbx/cmd/cmd.h"

enum { PROFILES_MAX = 1024 };

struct profiles {
	struct arena arena;
	const char *dirs[PROFILE_MAX_DIRS];
	size_t n_dirs;
	const char *names[PROFILES_MAX]; /* sorted, each once */
	size_t n_names;
};

static int profiles_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of files in one folder; what cannot be a profile's name is none. */
static int profiles_list_dir(struct profiles *all, const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return 0;
	while (r == 0 && (entry = readdir(dir))) {
		bool known = false;

		for (size_t i = 0; i < all->n_names && !known; i++)
			known = str_equal(all->names[i], entry->d_name);
		if (known || !profile_name_is_good(entry->d_name) ||
		    (entry->d_type != DT_REG && entry->d_type != DT_LNK &&
		     entry->d_type != DT_UNKNOWN) ||
		    all->n_names == PROFILES_MAX)
			continue;
		all->names[all->n_names] = arena_dup(&all->arena, entry->d_name);
		r = all->names[all->n_names++] ? 0 : -ENOMEM;
	}
	closedir(dir);
	return r;
}

static int profiles_put(const char *text, struct sbx_err *err)
{
	int r = io_write_all(STDOUT_FILENO, text, strlen(text));

	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

/* "NAME  what it says of itself", then where it is, and what it hides. */
static int profiles_show(struct profiles *all, const char *name, struct sbx_err *err)
{
	char room[8192];
	struct str_buf out = STR_BUF_ON_STACK(room);
	struct sbx_err wrong;
	struct profile profile;
	bool first = true;

	if (profile_open(name, NULL, &all->arena, &profile, &wrong) == 0)
		str_buf_printf(&out, "%-12s %s\n", name, profile_describe(&profile, &all->arena));
	else
		str_buf_printf(&out, "%-12s cannot be used: %s\n", name, wrong.what);
	for (size_t i = 0; i < all->n_dirs; i++) {
		char *path = arena_printf(&all->arena, "%s/%s", all->dirs[i], name);

		if (!path)
			return err_oom(err);
		if (faccessat(AT_FDCWD, path, F_OK, 0) < 0)
			continue;
		str_buf_printf(&out, "%13s%s", "", first ? "" : "hides ");
		str_buf_escape(&out, path, strlen(path));
		str_buf_puts(&out, "\n");
		first = false;
	}
	return profiles_put(out.data, err);
}

static int profiles_list(struct profiles *all, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < all->n_dirs && r == 0; i++)
		r = profiles_list_dir(all, all->dirs[i]);
	if (r < 0)
		return err_oom(err);
	qsort(all->names, all->n_names, sizeof(all->names[0]), profiles_compare);
	for (size_t i = 0; i < all->n_names && r == 0; i++)
		r = profiles_show(all, all->names[i], err);
	return r;
}

/* One profile: its place, and its lines. */
static int profiles_print(struct profiles *all, const char *name, struct sbx_err *err)
{
	struct profile profile;
	int r = profile_open(name, NULL, &all->arena, &profile, err);

	if (r == 0 && !profile_is_file(name))
		r = profiles_show(all, name, err);
	if (r == 0)
		r = profiles_put("\n", err);
	if (r < 0)
		return r;
	r = io_write_all(STDOUT_FILENO, profile.rest, (size_t)(profile.end - profile.rest));
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

int cmd_profiles(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	struct profiles all = {.n_names = 0};
	int r;

	if (argc > 2)
		return err_usage(err, argv[2], "sbx profiles takes one name at most");
	arena_init(&all.arena);
	all.n_dirs = profile_dirs(&all.arena, all.dirs);
	r = argc == 2 ? profiles_print(&all, argv[1], err) : profiles_list(&all, err);
	arena_finish(&all.arena);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
