/* SPDX-License-Identifier: MIT */
/*
 * prune: `sbx prune --older-than TIME`: discard the sessions that were not used for
 * long. One that is in use stays.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "sbx/base/io.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"
#include "sbx/spec/limits.h"

/* Nobody is there to be asked. */
static void prune_tell_left(const char *name)
{
	char room[512];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_puts(&line, "sbx: ");
	str_buf_escape(&line, name, strlen(name));
	str_buf_printf(&line,
		       ": stays, as an apply of it was killed: complete it with sbx apply, or "
		       "see sbx discard\n");
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

static int prune_one(struct cow_cmd *cow, const char *name, struct sbx_err *err)
{
	char room[512];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct cow_session session;
	int r;

	cow_session_init(&session);
	r = cow_cmd_open(cow, name, COW_LOCK_REMOVE, &session, err);
	/* It is in use, or gone by now. */
	if (r == -EBUSY || r == -ENOENT) {
		cow_session_close(&session);
		return 0;
	}
	if (r == 0 && cow_cmd_check_applied(&session, err) < 0) {
		prune_tell_left(name);
		cow_session_close(&session);
		return 0;
	}
	if (r == 0)
		r = cow_session_remove(&session, err);
	cow_session_close(&session);
	if (r < 0)
		return r;
	str_buf_escape(&line, name, strlen(name));
	str_buf_puts(&line, "\n");
	r = io_write_all(STDOUT_FILENO, line.data, line.len);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

/* One that cannot be removed keeps no other. Return: 0, or the first failure. */
static int prune_all(struct cow_cmd *cow, const struct cow_list *list, int64_t age_ms,
		     struct sbx_err *err)
{
	struct timespec now;
	int first = 0;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < list->n; i++) {
		struct sbx_err later;
		int r = 0;

		if ((int64_t)(now.tv_sec - list->found[i].used.tv_sec) * 1000 >= age_ms)
			r = prune_one(cow, list->found[i].name, first < 0 ? &later : err);
		if (r < 0 && first == 0)
			first = r;
		else if (r < 0)
			err_print(&later, "sbx", STDERR_FILENO);
	}
	return first;
}

/* Who means days and says no unit would lose a week's work. */
static int prune_read_time(const char *text, int64_t *ret_ms, struct sbx_err *err)
{
	static const char option[] = "--older-than";
	size_t n = strspn(text, "0123456789.");

	if (n > 0 && !text[n] && strspn(text, "0.") < n)
		return err_usage(err, option,
				 "TIME needs a unit: %ss, %sm, %sh or %sd are seconds, minutes, "
				 "hours or days",
				 text, text, text, text);
	if (limits_read_duration(text, option, ret_ms, err) == 0)
		return 0;
	return err_usage(err, option, "TIME must be like 90s, 5m, 12h or 1.5d, not \"%s\"", text);
}

int cmd_prune(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	struct cow_list list = {0};
	int64_t age_ms = 0;
	int r = cow_cmd_begin(argc, argv, &cow, err);

	if (r == 0 && !cow.words.value[CMD_OPT_OLDER_THAN])
		return err_usage(err, NULL, "sbx prune needs --older-than TIME");
	if (r == 0)
		r = prune_read_time(cow.words.value[CMD_OPT_OLDER_THAN], &age_ms, err);
	if (r == 0)
		r = cow_cmd_list(&cow, &list, err);
	if (r == 0)
		r = prune_all(&cow, &list, age_ms, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
