/* SPDX-License-Identifier: MIT */
/*
 * stop: `sbx stop [-t SECONDS] NAME...`: ask the command of each to end (TERM), wait, and
 * kill what is left of it. All are asked before any is waited for.
 */

#include <signal.h>

#include "sbx/base/clock.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"

enum { STOP_SECONDS = 10, STOP_SECONDS_MAX = 1000000 };

/* Wait for one, until the deadline. Return: 1 it has ended, 0 it has not, -errno. */
static int stop_await(const struct box *box, int64_t deadline_ms, struct sbx_err *err)
{
	_autoask_ struct ask ask = ASK_NONE;
	int64_t left = deadline_ms - clock_now_ms();
	int r = ask_send(box, CONTROL_FACTS, 0, &ask, err);

	if (r == -ESRCH)
		return 1;
	return r < 0 ? r : boxes_await_end(&ask, left > 0 ? (int)left : 0);
}

/* Leave only those in the list that have not ended by then. */
static int stop_await_all(struct box_list *list, int64_t deadline_ms, struct sbx_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n_boxes; i++) {
		int r = stop_await(&list->boxes[i], deadline_ms, err);

		if (r < 0)
			return r;
		if (r == 0)
			list->boxes[n++] = list->boxes[i];
	}
	list->n_boxes = n;
	return 0;
}

int cmd_stop(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	uint64_t seconds = STOP_SECONDS;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	int64_t deadline_ms;
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0 && words.value[CMD_OPT_TIME] &&
	    str_parse_u64(words.value[CMD_OPT_TIME], 10, STOP_SECONDS_MAX, &seconds) < 0)
		return err_usage(err, "--time",
				 "must be a number of seconds, at most %d, not \"%s\"",
				 STOP_SECONDS_MAX, words.value[CMD_OPT_TIME]);
	if (r == 0)
		r = boxes_choose(&boxes, &words, BOX_RUNNING, &list, err);
	if (r < 0)
		return r;
	deadline_ms = clock_now_ms() + (int64_t)seconds * 1000;
	r = boxes_signal_all(&list, SIGTERM, true, err);
	if (r == 0)
		r = stop_await_all(&list, deadline_ms, err);
	if (r == 0)
		r = boxes_signal_all(&list, SIGKILL, true, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
