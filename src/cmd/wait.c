/* SPDX-License-Identifier: MIT */
/*
 * wait: `sbx wait NAME...`: print the exit code of each, a line for each, when it has ended.
 */

#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/kept.h"

static int wait_refuse(const struct box *box, struct sbx_err *err)
{
	return err_refuse(err, ESRCH, box->label.id,
			  "its monitor was killed; nobody knows an exit code");
}

/* Of one that has ended already, as far as that was kept. */
static int wait_kept(const struct box *box, int *ret_exit_code, struct sbx_err *err)
{
	struct kept kept;
	int r = box_read_kept(box, &kept, err);

	if (r < 0)
		return r;
	if (kept.end == KEPT_LOST)
		return wait_refuse(box, err);
	*ret_exit_code = kept.exit_code;
	return 0;
}

static int wait_answer(const struct box *box, const struct ask *ask, int *ret_exit_code,
		       struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1};
	struct control_reply reply;
	struct sbx_err none;
	struct kept kept;
	int r = ask_receive(ask, ASK_FOREVER, &reply, fds, err);

	/* One that was about to end may have heard no more, and left a record. */
	if (r == -ESRCH)
		return box_read_kept(box, &kept, &none) == 0 ? wait_kept(box, ret_exit_code, err)
							     : wait_refuse(box, err);
	if (r < 0)
		return r;
	control_close_fds(fds);
	*ret_exit_code = reply.facts.exit_code;
	return 0;
}

static int wait_one(const struct box *box, const struct ask *ask, struct sbx_err *err)
{
	char room[32];
	struct str_buf line = STR_BUF_ON_STACK(room);
	int exit_code = 0, r;

	r = ask->sock_fd < 0 ? wait_kept(box, &exit_code, err)
			     : wait_answer(box, ask, &exit_code, err);
	if (r < 0)
		return r;
	str_buf_printf(&line, "%d\n", exit_code);
	return boxes_write(&line, err);
}

/* One that has ended since it was found may have left a record; without one it is too late. */
static int wait_ask(struct box *box, struct ask *ask, struct sbx_err *err)
{
	struct sbx_err none;
	struct kept kept;
	int r;

	if (box->ended)
		return 0;
	r = ask_send(box, CONTROL_WAIT, 0, ask, err);
	if (r == -ESRCH && box_read_kept(box, &kept, &none) == 0)
		return 0;
	if (r == -ESRCH)
		err_hint(err, "of one that was started with --keep-record the exit code is told "
			      "afterwards, too");
	return r;
}

int cmd_wait(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	struct ask *asks = NULL;
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0)
		r = boxes_choose(&boxes, &words, BOX_ANY, &list, err);
	if (r < 0)
		return r;
	asks = arena_alloc(boxes.arena, list.n_boxes * sizeof(*asks));
	if (!asks)
		return err_oom(err);
	/* All are told first: the second may end before the first. */
	for (size_t i = 0; i < list.n_boxes; i++) {
		asks[i] = ASK_NONE;
		if (r == 0)
			r = wait_ask(&list.boxes[i], &asks[i], err);
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
