/* SPDX-License-Identifier: MIT */
/*
 * pause: `sbx pause NAME...` and `sbx unpause NAME...`: freeze all that is in a sandbox, and let it
 * go on.
 */

#include "sbx/box/freeze.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"

static int pause_one(const struct box *box, bool frozen, struct arena *arena, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct procs procs = {.count = 0};
	struct control_reply reply;
	_autoclose_ int dir_fd = -1;

	r = ask(box, CONTROL_FACTS, 0, &reply, fds, err);
	if (r == 0)
		r = boxes_find_procs(&reply.facts, arena, &procs, err);
	if (r == 0)
		r = freeze_find(&reply.facts, &procs, arena, &dir_fd, err);
	return r < 0 ? r : freeze_set(dir_fd, frozen, err);
}

/* One that cannot be frozen keeps no other from it. Return: 0, or the first failure. */
static int pause_each(const struct box_list *list, bool frozen, struct arena *arena,
		      struct sbx_err *err)
{
	struct sbx_err later;
	int first = 0;

	for (size_t i = 0; i < list->n_boxes; i++) {
		int r = pause_one(&list->boxes[i], frozen, arena, first < 0 ? &later : err);

		first = first < 0 ? first : r;
	}
	return first;
}

static int pause_all(int argc, char **argv, bool frozen, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0)
		r = boxes_choose(&boxes, &words, BOX_RUNNING, &list, err);
	if (r == 0)
		r = pause_each(&list, frozen, boxes.arena, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}

int cmd_pause(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	return pause_all(argc, argv, true, ret_exit_code, err);
}

int cmd_unpause(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	return pause_all(argc, argv, false, ret_exit_code, err);
}
