/* SPDX-License-Identifier: MIT */
/*
 * sessions: `sbx sessions`: the copy-on-write sessions that are kept, the one used last first.
 */

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "sbx/base/fd.h"
#include "sbx/base/json.h"
#include "sbx/base/path.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"

enum { SESSIONS_ROOM = 1 << 14, SESSIONS_LINE = 1 << 16, SESSIONS_DEPTH = 200 };

/* Bytes on disk of what can be looked at. */
static uint64_t sessions_size(int dir_fd, const char *name, unsigned depth)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd_open_dir(&fd);
	const struct dirent *e;
	uint64_t size = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		struct stat st;

		if (path_is_dots(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		size += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode) && depth < SESSIONS_DEPTH)
			size += sessions_size(fd, e->d_name, depth + 1);
	}
	(void)closedir(dir);
	return size;
}

static const char *sessions_state(const struct cow_session *session)
{
	struct stat journal;

	if (session->in_use)
		return "in use";
	if (session->damaged)
		return "damaged";
	if (session->applied)
		return "applied";
	return fstatat(session->dir_fd, "journal", &journal, AT_SYMLINK_NOFOLLOW) == 0 &&
			       journal.st_size > 0
		       ? "partly applied"
		       : "kept";
}

/* How wide the columns are that have no bound of their own, or not a small one. */
struct sessions_widths {
	int name, paths;
};

enum { SESSIONS_PATHS_MAX = 48 };

static void sessions_widen(int *width, const char *text, int most)
{
	int len = (int)strlen(text);

	len = len < most ? len : most;
	*width = len > *width ? len : *width;
}

static struct sessions_widths sessions_measure(const struct cow_list *list)
{
	struct sessions_widths widths = {(int)strlen("SESSION"), (int)strlen("PATH")};

	for (size_t i = 0; i < list->n; i++) {
		sessions_widen(&widths.name, list->found[i].name, SESSIONS_PATHS_MAX);
		sessions_widen(&widths.paths, list->found[i].paths, SESSIONS_PATHS_MAX);
	}
	return widths;
}

static void sessions_put_line(struct sink *sink, const struct cow_session *s,
			      const struct cow_found *found, const struct sessions_widths *widths,
			      int64_t age)
{
	char room[SESSIONS_LINE], age_room[32];
	struct str_buf line = STR_BUF_ON_STACK(room), age_text = STR_BUF_ON_STACK(age_room);

	cmd_put_age(age, &age_text);
	str_buf_printf(&line, "%-*s  %-14s  %6s  %7lluK  %-*s  ", widths->name, s->id,
		       sessions_state(s), age_text.data,
		       (unsigned long long)(sessions_size(s->dir_fd, ".", 0) / 1024), widths->paths,
		       found->paths);
	if (s->damaged)
		str_buf_printf(&line, "(%s)", s->damaged);
	else
		str_buf_escape(&line, s->command, strlen(s->command));
	str_buf_puts(&line, "\n");
	sink_write(sink, line.data, line.len);
}

static void sessions_put_head(struct sink *sink, const struct sessions_widths *widths)
{
	char room[256];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_printf(&line, "%-*s  %-14s  %6s  %8s  %-*s  COMMAND\n", widths->name, "SESSION",
		       "STATE", "AGE", "SIZE", widths->paths, "PATH");
	sink_write(sink, line.data, line.len);
}

static void sessions_put_json(struct json_out *json, const struct cow_session *s)
{
	json_open_object(json, NULL);
	json_add_string(json, "id", s->id);
	json_add_string(json, "state", sessions_state(s));
	json_add_int(json, "began", s->began.tv_sec);
	json_add_int(json, "used", s->used.tv_sec);
	json_add_uint(json, "bytes", sessions_size(s->dir_fd, ".", 0));
	json_add_string(json, "command", s->command);
	if (s->damaged)
		json_add_string(json, "reason", s->damaged);
	json_open_array(json, "roots");
	for (size_t i = 0; i < s->n_roots; i++) {
		json_open_object(json, NULL);
		json_add_string(json, "path", s->roots[i].path);
		json_add_string(json, "driver", s->roots[i].fuse ? "fuse" : "kernel");
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static int sessions_print(struct cow_cmd *cow, const struct cow_list *list, struct sbx_err *err)
{
	char room[SESSIONS_ROOM];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	struct json_out json = JSON_OUT(&sink);
	const struct sessions_widths widths = sessions_measure(list);
	bool as_json = cow->words.value[CMD_OPT_JSON];
	struct timespec now;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (as_json)
		json_open_array(&json, NULL);
	else
		sessions_put_head(&sink, &widths);
	for (size_t i = 0; i < list->n; i++) {
		struct cow_session session;
		struct sbx_err gone;

		cow_session_init(&session);
		if (cow_cmd_open(cow, list->found[i].name, COW_LOCK_ASK, &session, &gone) == 0) {
			if (as_json)
				sessions_put_json(&json, &session);
			else
				sessions_put_line(&sink, &session, &list->found[i], &widths,
						  now.tv_sec - session.used.tv_sec);
		}
		cow_session_close(&session);
	}
	if (as_json) {
		json_close(&json);
		sink_puts(&sink, "\n");
	}
	r = sink_finish(&sink);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

int cmd_sessions(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	struct cow_list list = {0};
	int r = cow_cmd_begin(argc, argv, &cow, err);

	if (r == 0)
		r = cow_cmd_list(&cow, &list, err);
	if (r == 0)
		r = sessions_print(&cow, &list, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
