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
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/base/dirs.h"
#include "sbx/base/str.h"
#include "sbx/box/box.h"
#include "sbx/run/register.h"

enum { BOX_MAX = 65536 };

/* A directory of records that is being read. */
struct box_reading {
	const char *dir;
	int dir_fd; /* borrowed */
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
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return 0;
	r = register_lock_holder(fd, &ret_box->monitor);
	if (r == 0)
		register_remove_dead(reading->dir_fd, file, &ret_box->label);
	ret_box->dir = reading->dir;
	return r;
}

static int box_read_one(struct box_reading *reading, const char *file)
{
	struct box_list *list = reading->list;
	struct box box, *grown;

	if (box_check(reading, file, &box) != 1 || file[0] == '.' || list->n_boxes == BOX_MAX)
		return 0;
	grown = arena_grow(reading->arena, list->boxes, list->n_boxes, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[list->n_boxes++] = box;
	list->boxes = grown;
	return 0;
}

/* Return: 0 or -errno. A directory that is not there has no records. */
static int box_read_dir(const char *path, struct arena *arena, struct box_list *list)
{
	_autoclose_ int fd = dirs_open_own(path);
	struct box_reading reading = {path, fd, arena, list};
	int copy, r = 0;
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES ? 0 : fd;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		r = -errno;
		defs_cleanup_fd(&copy);
		return r;
	}
	for (const struct dirent *e; r == 0 && (e = readdir(dir));)
		r = box_read_one(&reading, e->d_name);
	(void)closedir(dir);
	return r;
}

static int box_compare(const void *a, const void *b)
{
	return strcmp(((const struct box *)a)->label.id, ((const struct box *)b)->label.id);
}

/**
 * Which sandboxes run. What dead ones have left is removed.
 * @dirs: of records; NULL: none
 *
 * Return: 0, or -errno with *err filled.
 */
int box_list(const char *const dirs[BOX_DIRS], struct arena *arena, struct box_list *ret_list,
	     struct sbx_err *err)
{
	struct box_list list = {.n_boxes = 0};

	for (size_t i = 0; i < BOX_DIRS; i++) {
		int r = dirs[i] ? box_read_dir(dirs[i], arena, &list) : 0;

		if (r < 0)
			return err_system(err, -r, dirs[i], "cannot look for running sandboxes");
	}
	if (list.n_boxes)
		qsort(list.boxes, list.n_boxes, sizeof(*list.boxes), box_compare);
	*ret_list = list;
	return 0;
}

static int box_refuse_many(const struct box_list *list, const char *word, struct sbx_err *err)
{
	char room[256];
	struct str_buf ids = STR_BUF_ON_STACK(room);
	int r;

	for (size_t i = 0; i < list->n_boxes; i++)
		if (label_has_prefix(&list->boxes[i].label, word))
			str_buf_printf(&ids, " %s", list->boxes[i].label.id);
	r = err_refuse(err, EINVAL, word, "more than one id begins so:%s", ids.data);
	err_hint(err, "write more digits, or the name");
	return r;
}

/**
 * The sandbox that is meant by a word: its name, its id, or how its id alone begins.
 *
 * Return: 0, or -errno with *err filled (-ESRCH: there is none).
 */
int box_find(const char *const dirs[BOX_DIRS], struct arena *arena, const char *word,
	     struct box *ret_box, struct sbx_err *err)
{
	const struct box *by_id = NULL;
	struct box_list list = {.n_boxes = 0};
	bool many = false;
	int r = box_list(dirs, arena, &list, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n_boxes; i++) {
		const struct box *box = &list.boxes[i];

		if (box->label.name[0] && strcmp(box->label.name, word) == 0) {
			*ret_box = *box;
			return 0;
		}
		if (!label_has_prefix(&box->label, word))
			continue;
		many = by_id != NULL;
		by_id = box;
	}
	if (many)
		return box_refuse_many(&list, word, err);
	if (by_id) {
		*ret_box = *by_id;
		return 0;
	}
	r = err_refuse(err, ESRCH, word, "no running sandbox has this name or id");
	err_hint(err, "sbx ps shows which there are");
	return r;
}
