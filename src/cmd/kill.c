/* SPDX-License-Identifier: MIT */
/*
 * kill: `sbx kill [-s SIGNAL] NAME...`: a signal to the command of each; KILL ends the
 * whole sandbox at once.
 */

#include <signal.h>

#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/signal_names.h"

static int kill_signal(const struct cmd_words *words, struct sbx_err *err)
{
	const char *name = words->value[CMD_OPT_SIGNAL];
	int sig = name ? signal_from_name(name) : SIGTERM;

	if (sig >= 0)
		return sig;
	(void)err_usage(err, "--signal", "no such signal: %s", name);
	err_hint(err, "a name such as TERM, KILL or HUP, or a number");
	return -EINVAL;
}

int cmd_kill(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	int r = boxes_begin(argc, argv, &boxes, &words, err), sig = 0;

	if (r == 0)
		sig = kill_signal(&words, err);
	if (sig < 0)
		return sig;
	if (r == 0)
		r = boxes_choose(&boxes, &words, BOX_RUNNING, &list, err);
	/* One of all may have ended meanwhile: it is what was asked for. */
	if (r == 0)
		r = boxes_signal_all(&list, sig, words.value[CMD_OPT_ALL] != NULL, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
