/* SPDX-License-Identifier: MIT */
/*
 * discard: `sbx discard [SESSION]`: forget the changes of a session.
 */

#include <errno.h>

#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"

int cmd_discard(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	int r = cow_cmd_begin(argc, argv, &cow, err);

	if (r == 0)
		r = cow_cmd_choose(&cow, false, COW_LOCK_REMOVE, err);
	if (r == 0 && !cow.words.value[CMD_OPT_FORCE])
		r = cow_cmd_check_applied(&cow.session, err);
	if (r == 0)
		r = cow_session_remove(&cow.session, err);
	else if (r == -ENOENT && cow_cmd_remove_begun(&cow))
		r = 0;
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
