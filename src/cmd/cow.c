/* SPDX-License-Identifier: MIT */
/*
 * cow: see cow.h.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/path.h"
#include "sbx/cmd/cow.h"
#include "sbx/cow/journal.h"
#include "sbx/spec/session.h"

extern char **environ;

/* Read the words, and find the place. Return: 0, or -errno with *err filled. */
int cow_cmd_begin(int argc, char **argv, struct cow_cmd *cow, struct sbx_err *err)
{
	struct probe_host host;
	int r;

	arena_init(&cow->arena);
	cow_session_init(&cow->session);
	r = cmd_words_read(argc, argv, &cow->words, err);
	if (r == 0)
		r = probe_host(&cow->arena, environ, false, &host, err);
	if (r < 0)
		return r;
	cow->base = session_get_base(&host, &cow->arena);
	if (!cow->base)
		cow->base = "";
	return 0;
}

void cow_cmd_finish(struct cow_cmd *cow)
{
	cow_session_close(&cow->session);
	arena_finish(&cow->arena);
}

/* Of a session by its name, or a path; NULL: no memory. */
static const char *cow_cmd_find_dir(struct cow_cmd *cow, const char *name)
{
	char cwd[PATH_MAX];

	if (!session_name_is_path(name))
		return arena_printf(&cow->arena, "%s/%s", cow->base, name);
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = '\0';
	return path_normalise(&cow->arena, cwd[0] ? cwd : NULL, name);
}

/* Return: 0, or -errno with *err filled. */
int cow_cmd_open(struct cow_cmd *cow, const char *name, enum cow_lock lock, struct cow_session *ret,
		 struct sbx_err *err)
{
	const char *dir = cow_cmd_find_dir(cow, name);
	int r;

	if (!dir)
		return err_oom(err);
	if (path_is_dots(name) || !*name)
		return cow_session_refuse_none(*name ? name : "\"\"", "is no session", err);
	r = cow_session_open(dir, name, lock, &cow->arena, ret, err);
	return r == 0 && (lock == COW_LOCK_READ || lock == COW_LOCK_WRITE)
		       ? cow_session_check_whole(ret, err)
		       : r;
}

static int cow_compare_found(const void *a, const void *b)
{
	const struct cow_found *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
	if (x->used.tv_nsec != y->used.tv_nsec)
		return x->used.tv_nsec < y->used.tv_nsec ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* NULL: no memory. */
static const char *cow_list_paths(struct cow_cmd *cow, const struct cow_session *session)
{
	char room[4 * PATH_MAX + 32];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (session->damaged)
		return "?";
	str_buf_escape(&text, session->roots[0].path, strlen(session->roots[0].path));
	if (session->n_roots > 1)
		str_buf_printf(&text, " and %zu more", session->n_roots - 1);
	return arena_dup(&cow->arena, room);
}

static int cow_list_put(struct cow_cmd *cow, struct cow_list *list, const char *name,
			const struct cow_session *session, struct sbx_err *err)
{
	const struct cow_found found = {.name = arena_dup(&cow->arena, name),
					.paths = cow_list_paths(cow, session),
					.used = session->used,
					.applied = session->applied,
					.damaged = session->damaged != NULL};

	list->found = arena_grow(&cow->arena, list->found, list->n, sizeof(*list->found));
	if (!list->found || !found.name || !found.paths)
		return err_oom(err);
	list->found[list->n++] = found;
	return 0;
}

/* What is no session is passed over; one that cannot be read is not without a word. */
static int cow_list_add(struct cow_cmd *cow, struct cow_list *list, const char *name,
			struct sbx_err *err)
{
	struct cow_session session;
	struct sbx_err why;
	int r;

	if (name[0] == '.')
		return 0;
	cow_session_init(&session);
	r = cow_cmd_open(cow, name, COW_LOCK_ASK, &session, &why);
	if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
		err_print(&why, "sbx", STDERR_FILENO);
	r = r < 0 ? 0 : cow_list_put(cow, list, name, &session, err);
	cow_session_close(&session);
	return r;
}

/* All that can be read. Return: 0, or -errno with *err filled. */
int cow_cmd_list(struct cow_cmd *cow, struct cow_list *ret_list, struct sbx_err *err)
{
	int fd = dirs_open_own(cow->base), r = fd < 0 ? fd : 0;
	DIR *dir = fd_open_dir(&fd);
	struct cow_list list = {0};
	const struct dirent *e;

	*ret_list = list;
	if (r == -ENOENT)
		return 0;
	if (!dir)
		return err_system(err, r < 0 ? -r : errno, cow->base, "cannot list sessions");
	while (r == 0 && (errno = 0, e = readdir(dir)))
		r = cow_list_add(cow, &list, e->d_name, err);
	if (r == 0 && errno)
		r = err_system(err, errno, cow->base, "cannot list sessions");
	(void)closedir(dir);
	if (r < 0)
		return r;
	if (list.n)
		qsort(list.found, list.n, sizeof(*list.found), cow_compare_found);
	*ret_list = list;
	return 0;
}

/* The only one that was not applied, where there is one; else the only one; NULL: it is not clear.
 */
static const struct cow_found *cow_list_only(const struct cow_list *list)
{
	const struct cow_found *open = NULL;
	size_t n_open = 0;

	for (size_t i = 0; i < list->n; i++)
		if (!list->found[i].applied && !list->found[i].damaged) {
			open = &list->found[i];
			n_open++;
		}
	return n_open == 1 ? open : list->n == 1 ? &list->found[0] : NULL;
}

/**
 * Open the session that is named, or the one that is meant.
 * @newest: without a name, of several the one used last; else the one that there is beside applied
 * ones
 *
 * Return: 0, or -errno with *err filled.
 */
int cow_cmd_choose(struct cow_cmd *cow, bool newest, enum cow_lock lock, struct sbx_err *err)
{
	const struct cow_found *only;
	struct cow_list list;
	int r;

	if (cow->words.n_operands > 0)
		return cow_cmd_open(cow, cow->words.operands[0], lock, &cow->session, err);
	r = cow_cmd_list(cow, &list, err);
	if (r < 0)
		return r;
	if (list.n == 0) {
		r = err_refuse(err, ENOENT, NULL, "there is no session");
		err_hint(err,
			 "a launch with --cow begins one; what --session DIR has begun is DIR");
		return r;
	}
	only = newest ? &list.found[0] : cow_list_only(&list);
	if (!only) {
		(void)err_usage(err, NULL, "there are %zu sessions: which one?", list.n);
		err_hint(err, "sbx sessions lists them");
		return -EINVAL;
	}
	return cow_cmd_open(cow, only->name, lock, &cow->session, err);
}

/* Was the session that is named killed while it began, and is gone now? */
bool cow_cmd_remove_begun(struct cow_cmd *cow)
{
	const char *dir =
		cow->words.n_operands > 0 ? cow_cmd_find_dir(cow, cow->words.operands[0]) : NULL;

	return dir && cow_session_remove_begun(AT_FDCWD, dir);
}

/*
 * Has no apply of it been killed without being ended by another? Of what that was taking away only
 * the session can tell what it is.
 * Return: 0, or -errno with *err filled.
 */
int cow_cmd_check_applied(const struct cow_session *session, struct sbx_err *err)
{
	char word[COW_WORD_MAX];
	int r = cow_journal_is_left(session->dir_fd);

	if (r == 0)
		return 0;
	(void)cow_session_word(session, word);
	if (r < 0)
		r = err_system(err, -r, session->id,
			       "it cannot be told whether an apply of it was killed");
	else
		r = err_refuse(err, EUCLEAN, session->id,
			       "an apply of it was killed, and what that was at work on lies under "
			       "names that begin with .sbx-apply-");
	err_hint(err,
		 "to complete it: sbx apply %s\nto forget it, and leave those as they are: "
		 "sbx discard --force %s",
		 word, word);
	return r;
}

/* The whole path of an entry, escaped. */
void cow_cmd_put_path(struct str_buf *out, const struct cow_session *session, size_t root,
		      const char *path)
{
	const char *above = session->roots[root].path;

	str_buf_escape(out, above, strlen(above));
	if (str_equal(path, "."))
		return;
	str_buf_puts(out, path_is_root(above) ? "" : "/");
	str_buf_escape(out, path, strlen(path));
}
