/* SPDX-License-Identifier: MIT */
/*
 * logs: `sbx logs [-f] [-n N] [--since TIME] [-t] NAME`: what a detached sandbox has printed.
 *
 * The log is two files at most, the older of which is full (run/log.c). They are read from
 * the beginning; with --follow the newer one is read on as it grows, and when it gives
 * way to a new one, that. The directory is watched by inotify(7), and the monitor is asked
 * to tell the end: with that it sends the files, which have no names any more by then. A
 * monitor that is killed leaves them where they are.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/kept.h"
#include "sbx/run/log.h"
#include "sbx/spec/limits.h"

enum {
	LOGS_PART_BYTES = 65536, /* an entry is shorter */
	LOGS_SECONDS_MAX = INT_MAX,
	LOGS_STREAMS = 2,
};

struct logs {
	bool follow, timestamps;
	int64_t since_ms;	   /* since 1970 */
	uint64_t tail;		   /* lines that are wanted, with --tail */
	uint64_t skip;		   /* lines that are still to be left out */
	int dir_fd;		   /* owned */
	int fd;			   /* owned; of the newer file; -1: there is none */
	int last[CONTROL_FDS_MAX]; /* owned; at the end, both files; -1: they have names still */
	char name[LABEL_FILE_SIZE], old_name[LABEL_FILE_SIZE];
	bool escape[LOGS_STREAMS];  /* that stream is a terminal */
	bool in_line[LOGS_STREAMS]; /* what was printed last there had no end of line */
};

/* ---- printing ---- */

static int logs_put_time(const struct logs *logs, const struct log_entry *entry)
{
	time_t seconds = (time_t)(entry->time_ms / 1000);
	char date[64] = "", text[96];
	struct tm tm;
	int n;

	if (!logs->timestamps || !localtime_r(&seconds, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	n = snprintf(text, sizeof(text), "%s.%03d ", date, (int)(entry->time_ms % 1000));
	return io_write_all(entry->is_error ? STDERR_FILENO : STDOUT_FILENO, text, (size_t)n);
}

/* A line, or a part of one; its end is written as it is. */
static int logs_put_line(struct logs *logs, const struct log_entry *entry, const char *line,
			 size_t len)
{
	int fd = entry->is_error ? STDERR_FILENO : STDOUT_FILENO;
	bool has_end = line[len - 1] == '\n';
	char room[LOGS_PART_BYTES + 1];
	struct str_buf text = STR_BUF_ON_STACK(room);
	int r = logs->in_line[entry->is_error] ? 0 : logs_put_time(logs, entry);

	logs->in_line[entry->is_error] = !has_end;
	if (r < 0 || !logs->escape[entry->is_error])
		return r < 0 ? r : io_write_all(fd, line, len);
	str_buf_escape(&text, line, len - has_end);
	str_buf_puts(&text, has_end ? "\n" : "");
	return io_write_all(fd, text.data, text.len);
}

static int logs_put_entry(struct logs *logs, const struct log_entry *entry)
{
	const char *at = entry->data, *end = entry->data + entry->len;
	int r = 0;

	while (r == 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

		if (logs->skip && newline)
			logs->skip--;
		else if (!logs->skip && entry->time_ms >= logs->since_ms)
			r = logs_put_line(logs, entry, at, len);
		at += len;
	}
	return r;
}

/* ---- reading ---- */

/* What an open file has from where it stands, entry by entry. Return: 0 or -errno. */
static int logs_read(struct logs *logs, int fd,
		     int (*call)(struct logs *logs, const struct log_entry *entry))
{
	char data[LOGS_PART_BYTES];
	off_t at = lseek(fd, 0, SEEK_CUR);
	int r = 0;

	while (r == 0) {
		ssize_t n = pread(fd, data, sizeof(data), at);
		struct log_entry entry;
		size_t used = 0, len;

		if (n < 0)
			return -errno;
		while (r == 0 && (len = log_parse(data + used, (size_t)n - used, &entry)) > 0) {
			used += len;
			r = call(logs, &entry);
		}
		if (used == 0)
			break;
		at += (off_t)used;
	}
	return lseek(fd, at, SEEK_SET) < 0 ? -errno : r;
}

static int logs_count_entry(struct logs *logs, const struct log_entry *entry)
{
	if (entry->time_ms < logs->since_ms)
		return 0;
	for (size_t i = 0; i < entry->len; i++)
		logs->skip += entry->data[i] == '\n';
	/* A last line without an end is one too. */
	logs->in_line[entry->is_error] = entry->len && entry->data[entry->len - 1] != '\n';
	return 0;
}

static int logs_open_file(const struct logs *logs, const char *name)
{
	struct stat st;
	_autoclose_ int fd =
		openat(logs->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? take_fd(&fd) : -EINVAL;
}

/* How many lines there are, less those that are wanted, are to be left out. */
static int logs_set_tail(struct logs *logs, const int fds[2], uint64_t tail)
{
	uint64_t lines;

	for (size_t i = 0; i < 2; i++) {
		int r = fds[i] >= 0 ? logs_read(logs, fds[i], logs_count_entry) : 0;

		if (r < 0)
			return r;
		if (fds[i] >= 0 && lseek(fds[i], 0, SEEK_SET) < 0)
			return -errno;
	}
	lines = logs->skip;
	for (size_t i = 0; i < LOGS_STREAMS; i++) {
		lines += logs->in_line[i];
		logs->in_line[i] = false;
	}
	logs->skip = lines > tail ? lines - tail : 0;
	return 0;
}

static bool logs_is_same(int a, int b)
{
	struct stat sa, sb;

	return a >= 0 && b >= 0 && fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	       sa.st_ino == sb.st_ino;
}

/* By its name, or, when it has none any more, by what the monitor sent. */
static int logs_reopen(const struct logs *logs, size_t which, const char *name)
{
	if (logs->last[0] < 0 && logs->last[1] < 0)
		return logs_open_file(logs, name);
	return logs->last[which] < 0 ? -1 : fcntl(logs->last[which], F_DUPFD_CLOEXEC, 0);
}

/*
 * The file that comes behind the one that is open: none while that is the newer one, the
 * newer one when it has become the old one, and else the old one, which has come between.
 * The newer one is opened first, so that one that is renamed meanwhile is met again.
 */
static int logs_open_next(const struct logs *logs)
{
	_autoclose_ int newer = logs_reopen(logs, 0, logs->name);
	_autoclose_ int old = logs_reopen(logs, 1, logs->old_name);

	if (newer < 0 || logs_is_same(newer, logs->fd))
		return -1;
	if (logs->fd < 0 || old < 0 || logs_is_same(old, logs->fd))
		return take_fd(&newer);
	return take_fd(&old);
}

/* What is there now, over all files. Return: 0 or -errno. */
static int logs_catch_up(struct logs *logs)
{
	for (;;) {
		/* Before the read: what is written to a file that is full comes before. */
		int next = logs_open_next(logs);
		int r = logs->fd >= 0 ? logs_read(logs, logs->fd, logs_put_entry) : 0;

		if (next < 0)
			return r;
		defs_cleanup_fd(&logs->fd);
		logs->fd = next;
		if (r < 0)
			return r;
	}
}

static int logs_follow(struct logs *logs, const struct ask *ask, const char *dir)
{
	_autoclose_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct control_reply reply;
	struct sbx_err ignored;
	char events[4096];
	bool ended = false;
	int r = 0;

	if (watch < 0 || inotify_add_watch(watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return -errno;
	while (r == 0 && !ended) {
		struct pollfd pfds[] = {{.fd = watch, .events = POLLIN},
					{.fd = ask->sock_fd, .events = POLLIN}};

		r = logs_catch_up(logs);
		if (r == 0 && poll(pfds, ARRAY_SIZE(pfds), -1) < 0 && errno != EINTR)
			r = -errno;
		ended = pfds[1].revents != 0;
		while (read(watch, events, sizeof(events)) > 0)
			;
	}
	if (r < 0)
		return r;
	/* Without an answer it was killed, and what there is is where it was. */
	(void)ask_receive(ask, ASK_TIMEOUT_MS, &reply, logs->last, &ignored);
	return logs_catch_up(logs);
}

/* ---- the command line ---- */

/* What is behind the time of day: nothing, "Z" or "+02:00". Return: false: something else. */
static bool logs_read_zone(const char *text, bool *ret_is_local, int64_t *ret_offset_s)
{
	unsigned hours = 0, minutes = 0;
	char sign = '+';
	int used = 0;

	*ret_is_local = *text == '\0';
	*ret_offset_s = 0;
	if (*ret_is_local || str_equal(text, "Z"))
		return true;
	if (sscanf(text, "%c%2u:%2u%n", &sign, &hours, &minutes, &used) != 3 || text[used] ||
	    (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
		return false;
	*ret_offset_s = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return true;
}

/* "2026-01-31T08:30:00.250", as --timestamps prints it, or less of that, or with a zone. */
static bool logs_read_date(const char *text, int64_t *ret_ms)
{
	struct tm tm = {.tm_isdst = -1};
	const char *at, *end;
	int64_t offset_s, ms = 0;
	bool is_local;

	at = *text >= '0' && *text <= '9' ? strptime(text, "%Y-%m-%d", &tm) : NULL;
	if (at && (*at == 'T' || *at == ' ')) {
		end = strptime(at + 1, "%H:%M:%S", &tm);
		at = end ? end : strptime(at + 1, "%H:%M", &tm);
	}
	if (at && *at == '.') {
		at++;
		for (int unit = 100; *at >= '0' && *at <= '9'; at++, unit /= 10)
			ms += unit * (*at - '0');
	}
	if (!at || !logs_read_zone(at, &is_local, &offset_s))
		return false;
	*ret_ms = ((int64_t)(is_local ? mktime(&tm) : timegm(&tm)) - offset_s) * 1000 + ms;
	return true;
}

/*
 * A duration before now, as "90s", "5m", "2h", "1d"; a date; a bare number is seconds since 1970.
 */
static int logs_read_since(const char *text, int64_t *ret_ms, struct sbx_err *err)
{
	struct timespec now;
	uint64_t number = 0;
	int64_t age_ms;

	if (str_parse_u64(text, 10, LOGS_SECONDS_MAX * UINT64_C(1000), &number) == 0) {
		*ret_ms = (int64_t)number * 1000;
		return 0;
	}
	if (logs_read_date(text, ret_ms))
		return 0;
	if (limits_read_duration(text, "--since", &age_ms, err) < 0)
		return err_usage(err, "--since",
				 "must be like 90s, 5m, 2h, 1d, a time as 2026-01-31T08:30:00, or "
				 "seconds since 1970, not \"%s\"",
				 text);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*ret_ms = (int64_t)now.tv_sec * 1000 - age_ms;
	return 0;
}

static int logs_read_tail(const char *text, uint64_t *ret_lines, struct sbx_err *err)
{
	return str_parse_u64(text, 10, UINT64_MAX, ret_lines) < 0
		       ? err_usage(err, "--tail", "must be a number of lines, not \"%s\"", text)
		       : 0;
}

static int logs_print(struct logs *logs, const struct cmd_words *words, const struct ask *ask,
		      const struct box *box, struct sbx_err *err)
{
	_autoclose_ int old_fd = logs_open_file(logs, logs->old_name);
	int r = 0;

	logs->fd = logs_open_file(logs, logs->name);
	if (logs->fd < 0 && old_fd < 0) {
		(void)err_refuse(err, ENOENT, box->label.id, "has no log");
		err_hint(err, "only of a sandbox that was started with --detach is there one");
		return -ENOENT;
	}
	if (words->value[CMD_OPT_TAIL])
		r = logs_set_tail(logs, (const int[]){old_fd, logs->fd}, logs->tail);
	if (r == 0 && old_fd >= 0)
		r = logs_read(logs, old_fd, logs_put_entry);
	if (r == 0)
		r = logs->follow ? logs_follow(logs, ask, box->dir)
				 : logs_read(logs, logs->fd, logs_put_entry);
	return r < 0 ? err_system(err, -r, box->label.id, "cannot show the log") : 0;
}

int cmd_logs(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	struct logs logs = {.dir_fd = -1, .fd = -1, .last = {-1, -1}};
	_autoask_ struct ask ask = ASK_NONE;
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box box = {.dir = NULL};
	struct sbx_err none;
	struct kept kept;
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0 && words.value[CMD_OPT_SINCE])
		r = logs_read_since(words.value[CMD_OPT_SINCE], &logs.since_ms, err);
	if (r == 0 && words.value[CMD_OPT_TAIL])
		r = logs_read_tail(words.value[CMD_OPT_TAIL], &logs.tail, err);
	if (r == 0)
		r = box_find(boxes.dirs, BOX_ANY, boxes.arena, words.operands[0], &box, err);
	/* What is shown is to be of a sandbox, and its end to be seen. */
	if (r == 0 && !box.ended)
		r = ask_send(&box, CONTROL_WAIT, 0, &ask, err);
	/* One that has ended since it was found may have left a record, and a log. */
	if (r == -ESRCH && box_read_kept(&box, &kept, &none) == 0) {
		box.ended = true;
		r = 0;
	}
	if (r < 0)
		return r;
	/* Of one that has ended all is there. */
	logs.follow = words.value[CMD_OPT_FOLLOW] && !box.ended;
	logs.timestamps = words.value[CMD_OPT_TIMESTAMPS] != NULL;
	logs.escape[0] = isatty(STDOUT_FILENO) == 1;
	logs.escape[1] = isatty(STDERR_FILENO) == 1;
	log_names(&box.label, logs.name, logs.old_name);
	logs.dir_fd = dirs_open_own(box.dir);
	r = logs.dir_fd < 0 ? err_system(err, -logs.dir_fd, box.dir, "cannot open")
			    : logs_print(&logs, &words, &ask, &box, err);
	control_close_fds(logs.last);
	defs_cleanup_fd(&logs.fd);
	defs_cleanup_fd(&logs.dir_fd);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
