/* SPDX-License-Identifier: MIT */
/*
 * box: see box.h.
 *
 * The names of the files say which sandboxes there are, and the locks on them which of
 * these are alive (run/register.c); what is in the files is not read. Whoever looks removes
 * the record and the socket of a monitor that is dead. There is no race in that: a
 * record never becomes unlocked but by its monitor's end, a claim that is removed
 * between its making and its locking fails to become a record, and an id is not used
 * again.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/str.h"
#include "sbx/box/box.h"
#include "sbx/run/kept.h"
#include "sbx/run/register.h"

enum { BOX_MAX = 65536 };

/* A directory of records that is being read. */
struct box_reading {
	const char *dir;
	int dir_fd; /* borrowed */
	enum box_kind kind;
	struct arena *arena;
	struct box_list *list;
};

/* Return: 1 alive, 0 not a record or not alive any more, -errno: it cannot be told. */
static int box_check(const struct box_reading *reading, const char *file, struct box *ret_box)
{
	_autoclose_ int fd = -1;
	struct stat st;
	int r;

	if (!label_from_file(file + (file[0] == '.'), &ret_box->label))
		return 0;
	fd = openat(reading->dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return 0;
	r = register_lock_holder(fd, &ret_box->monitor);
	if (r == 0)
		register_remove_dead(reading->dir_fd, file, &ret_box->label);
	ret_box->ended = false;
	return r;
}

static int box_add(const struct box_reading *reading, const struct box *box)
{
	struct box_list *list = reading->list;
	struct box *grown;

	if (list->n_boxes == BOX_MAX)
		return 0;
	grown = arena_grow(reading->arena, list->boxes, list->n_boxes, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[list->n_boxes++] = *box;
	list->boxes = grown;
	return 0;
}

static int box_read_one(const struct box_reading *reading, const char *file)
{
	struct box box = {.dir = reading->dir, .ended = true};
	int r;

	if (kept_label_from_file(file, &box.label))
		return reading->kind == BOX_RUNNING ? 0 : box_add(reading, &box);
	r = box_check(reading, file, &box);
	if (r != 1 || file[0] == '.')
		return r < 0 ? r : 0;
	return box_add(reading, &box);
}

/* Return: 0 or -errno. A directory that is not there has no records. */
static int box_read_dir(const char *path, enum box_kind kind, struct arena *arena,
			struct box_list *list)
{
	_autoclose_ int fd = dirs_open_own(path);
	struct box_reading reading = {path, fd, kind, arena, list};
	int r = 0;
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES ? 0 : fd;
	dir = fd_open_dir_again(fd);
	if (!dir)
		return -errno;
	errno = 0;
	for (const struct dirent *e; r == 0 && (e = readdir(dir)); errno = 0)
		r = box_read_one(&reading, e->d_name);
	if (r == 0)
		r = -errno;
	(void)closedir(dir);
	return r;
}

/* By id; of one that is about to end there are both, and the running one comes first. */
static int box_compare(const void *a, const void *b)
{
	const struct box *x = a, *y = b;
	int order = strcmp(x->label.id, y->label.id);

	return order ? order : (int)x->ended - (int)y->ended;
}

/* One that runs has a kept file too, which is not to be seen yet. */
static void box_leave_out(struct box_list *list, enum box_kind kind)
{
	size_t n = 0;
	const char *last = "";

	for (size_t i = 0; i < list->n_boxes; i++) {
		const struct box *box = &list->boxes[i];
		bool again = strcmp(last, box->label.id) == 0;

		last = box->label.id;
		if (!again && (kind == BOX_ANY || box->ended == (kind == BOX_ENDED)))
			list->boxes[n++] = *box;
	}
	list->n_boxes = n;
}

/**
 * Which sandboxes there are. What dead ones have left is removed.
 * @dirs: of records; NULL: none
 *
 * Return: 0, or -errno with *err filled.
 */
int box_list(const char *const dirs[BOX_DIRS], enum box_kind kind, struct arena *arena,
	     struct box_list *ret_list, struct sbx_err *err)
{
	struct box_list list = {.n_boxes = 0};

	for (size_t i = 0; i < BOX_DIRS; i++) {
		int r = dirs[i] ? box_read_dir(dirs[i], kind, arena, &list) : 0;

		if (r < 0)
			return err_system(err, -r, dirs[i], "cannot look for sandboxes");
	}
	if (list.n_boxes)
		qsort(list.boxes, list.n_boxes, sizeof(*list.boxes), box_compare);
	box_leave_out(&list, kind);
	*ret_list = list;
	return 0;
}

static bool box_has_name(const struct box *box, const char *word)
{
	return box->label.name[0] && strcmp(box->label.name, word) == 0;
}

static bool box_has_id(const struct box *box, const char *word)
{
	return strcmp(box->label.id, word) == 0;
}

static bool box_has_prefix(const struct box *box, const char *word)
{
	return label_has_prefix(&box->label, word);
}

static int box_refuse_many(const struct box_list *list, const char *word,
			   bool (*fits)(const struct box *box, const char *word),
			   struct sbx_err *err)
{
	char room[256];
	struct str_buf ids = STR_BUF_ON_STACK(room);
	bool by_name = fits == box_has_name;
	int r;

	for (size_t i = 0; i < list->n_boxes; i++)
		if (fits(&list->boxes[i], word))
			str_buf_printf(&ids, " %s", list->boxes[i].label.id);
	r = err_refuse(err, EINVAL, word, "%s:%s",
		       by_name ? "more than one that has ended was called so"
			       : "more than one id begins so",
		       ids.data);
	err_hint(err, by_name ? "write its id" : "write more digits, or the name");
	return r;
}

/* Return: how many fit; *ret_box is one that runs, if any of them does. */
static size_t box_match(const struct box_list *list, const char *word,
			bool (*fits)(const struct box *box, const char *word),
			const struct box **ret_box)
{
	size_t count = 0;

	*ret_box = NULL;
	for (size_t i = 0; i < list->n_boxes; i++) {
		if (!fits(&list->boxes[i], word))
			continue;
		count++;
		if (!*ret_box || (*ret_box)->ended)
			*ret_box = &list->boxes[i];
	}
	return count;
}

static int box_refuse_none(const char *const dirs[BOX_DIRS], enum box_kind kind,
			   struct arena *arena, const char *word, struct sbx_err *err)
{
	struct box_list all = {.n_boxes = 0};
	const struct box *box;
	int r;

	if (kind == BOX_RUNNING && box_list(dirs, BOX_ENDED, arena, &all, err) == 0 &&
	    (box_match(&all, word, box_has_name, &box) ||
	     box_match(&all, word, box_has_prefix, &box)))
		r = err_refuse(err, ESRCH, word, "has ended, there is only its record");
	else
		r = err_refuse(err, ESRCH, word, "no %ssandbox has this name or id",
			       kind == BOX_RUNNING ? "running " : "");
	err_hint(err, "sbx ps%s shows which there are", kind == BOX_RUNNING ? "" : " --all");
	return r;
}

/**
 * The sandbox that is meant by a word: its id, its name, or how its id alone begins. A
 * name is first of all that of one that runs.
 *
 * Return: 0, or -errno with *err filled (-ESRCH: there is none).
 */
int box_find(const char *const dirs[BOX_DIRS], enum box_kind kind, struct arena *arena,
	     const char *word, struct box *ret_box, struct sbx_err *err)
{
	struct box_list list = {.n_boxes = 0};
	const struct box *box;
	size_t count;
	int r = box_list(dirs, kind, arena, &list, err);

	if (r < 0)
		return r;
	/* A whole id first: what --detach has printed means no other that is called so. */
	count = box_match(&list, word, box_has_id, &box);
	if (count == 0)
		count = box_match(&list, word, box_has_name, &box);
	if (count > 1 && box->ended)
		return box_refuse_many(&list, word, box_has_name, err);
	if (count == 0) {
		count = box_match(&list, word, box_has_prefix, &box);
		if (count > 1)
			return box_refuse_many(&list, word, box_has_prefix, err);
	}
	if (count == 0)
		return box_refuse_none(dirs, kind, arena, word, err);
	*ret_box = *box;
	return 0;
}

/* What was kept of one that has ended. Return: 0, or -errno with *err filled. */
int box_read_kept(const struct box *box, struct kept *ret_kept, struct sbx_err *err)
{
	_autoclose_ int dir_fd = dirs_open_own(box->dir);
	int r = dir_fd < 0 ? dir_fd : kept_read(dir_fd, &box->label, ret_kept);

	if (r == -EINVAL)
		return err_refuse(err, EINVAL, box->label.id,
				  "what was kept of it is not what sbx has written");
	return r < 0 ? err_system(err, -r, box->label.id, "cannot read what was kept of it") : 0;
}
