/* SPDX-License-Identifier: MIT */
/*
 * rm: `sbx rm [-f] NAME...`: remove what was kept of sandboxes that have ended; with --force
 * running ones are ended first.
 */

#include <signal.h>

#include "sbx/base/dirs.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/kept.h"

static int rm_refuse_running(const struct box *box, struct sbx_err *err)
{
	int r = err_refuse(err, EBUSY, box->label.name[0] ? box->label.name : box->label.id,
			   "is running");

	err_hint(err, "sbx stop ends it, and so does sbx rm --force");
	return r;
}

/* Somebody else may have removed it meanwhile. */
static int rm_one(const struct box *box, struct sbx_err *err)
{
	_autoclose_ int dir_fd = dirs_open_own(box->dir);
	int r = dir_fd < 0 ? dir_fd : kept_remove(dir_fd, &box->label);

	return r < 0 && r != -ENOENT
		       ? err_system(err, -r, box->label.id, "cannot remove what was kept of it")
		       : 0;
}

/* One that cannot be removed keeps no other. Return: 0, or the first failure. */
static int rm_all(const struct box_list *list, struct sbx_err *err)
{
	struct sbx_err later;
	int first = 0;

	for (size_t i = 0; i < list->n_boxes; i++) {
		int r = rm_one(&list->boxes[i], first < 0 ? &later : err);

		first = first < 0 ? first : r;
	}
	return first;
}

int cmd_rm(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	int r = boxes_begin(argc, argv, &boxes, &words, err);
	bool force = words.value[CMD_OPT_FORCE] != NULL;
	enum box_kind kind = words.value[CMD_OPT_ALL] && !force ? BOX_ENDED : BOX_ANY;

	if (r == 0)
		r = boxes_choose(&boxes, &words, kind, &list, err);
	for (size_t i = 0; r == 0 && i < list.n_boxes && !force; i++)
		if (!list.boxes[i].ended)
			r = rm_refuse_running(&list.boxes[i], err);
	if (r == 0 && force)
		r = boxes_signal_all(&list, SIGKILL, true, err);
	if (r == 0)
		r = rm_all(&list, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
