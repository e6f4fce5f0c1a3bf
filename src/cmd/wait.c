/* SPDX-License-Identifier: MIT */
/*
 * wait: `sbx wait NAME...`: print the exit code of each, a line for each, when it has ended.
 */

#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"

static int wait_one(const struct box *box, const struct ask *ask, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1};
	char room[32];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct control_reply reply;
	int r = ask_receive(ask, ASK_FOREVER, &reply, fds, err);

	if (r == -ESRCH)
		return err_refuse(err, ESRCH, box->label.id,
				  "its monitor was killed; nobody knows an exit code");
	if (r < 0)
		return r;
	control_close_fds(fds);
	str_buf_printf(&line, "%d\n", reply.facts.exit_code);
	return boxes_write(&line, err);
}

int cmd_wait(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	struct ask *asks = NULL;
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0)
		r = boxes_choose(&boxes, &words, &list, err);
	if (r < 0)
		return r;
	asks = arena_alloc(boxes.arena, list.n_boxes * sizeof(*asks));
	if (!asks)
		return err_oom(err);
	/* All are told first: the second may end before the first. */
	for (size_t i = 0; i < list.n_boxes; i++) {
		asks[i] = ASK_NONE;
		if (r == 0)
			r = ask_send(&list.boxes[i], CONTROL_WAIT, 0, &asks[i], err);
	}
	for (size_t i = 0; i < list.n_boxes; i++) {
		if (r == 0)
			r = wait_one(&list.boxes[i], &asks[i], err);
		ask_finish(&asks[i]);
	}
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
