/* SPDX-License-Identifier: MIT */
/*
 * log: see log.h.
 *
 * An entry is a line and the output behind it:
 *
 *     1795595875530 o 12\n
 *     hello world\n
 *
 * Milliseconds since 1970, o or e for standard output or error, and how many bytes follow.
 * When a file is full it takes the place of the old one and a new one is begun, so that
 * there are never more than two, and never less of the output than the last file's worth.
 * Output that cannot be written, as on a full disk, is lost; a command that prints must not
 * be held up by that.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/run/log.h"

enum { LOG_HEAD_MAX = 64 };

void log_names(const struct label *label, char ret_name[LABEL_FILE_SIZE],
	       char ret_old_name[LABEL_FILE_SIZE])
{
	(void)snprintf(ret_name, LABEL_FILE_SIZE, "%s" LOG_SUFFIX, label->id);
	(void)snprintf(ret_old_name, LABEL_FILE_SIZE, "%s" LOG_OLD_SUFFIX, label->id);
}

static int log_open_file(struct log *log)
{
	log->fd = openat(log->dir_fd, log->name,
			 O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	log->size = 0;
	return log->fd < 0 ? -errno : 0;
}

/**
 * Begin a log.
 * @dir_fd: borrowed, until log_remove()
 *
 * Return: 0 or -errno.
 */
int log_open(struct log *log, int dir_fd, const struct label *label)
{
	log->dir_fd = dir_fd;
	log_names(label, log->name, log->old_name);
	return log_open_file(log);
}

static void log_rotate(struct log *log)
{
	close(take_fd(&log->fd));
	if (renameat(log->dir_fd, log->name, log->dir_fd, log->old_name) == 0)
		(void)log_open_file(log);
}

/* Add an entry. @len: at most LOG_ENTRY_MAX */
void log_write(struct log *log, bool is_error, const char *data, size_t len)
{
	char room[LOG_HEAD_MAX + LOG_ENTRY_MAX];
	struct str_buf entry = STR_BUF_ON_STACK(room);
	struct timespec now;

	if (log->fd >= 0 && log->size + len + LOG_HEAD_MAX > LOG_MAX_BYTES)
		log_rotate(log);
	if (log->fd < 0)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	str_buf_printf(&entry, "%" PRId64 " %c %zu\n",
		       (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, is_error ? 'e' : 'o',
		       len);
	str_buf_write(&entry, data, len);
	/* In one write, and what is half written is taken back: a reader sees whole entries. */
	if (write(log->fd, entry.data, entry.len) == (ssize_t)entry.len)
		log->size += entry.len;
	else if (ftruncate(log->fd, (off_t)log->size) < 0)
		close(take_fd(&log->fd)); /* behind half an entry nothing can be read */
}

/* Both files, the newer first; -1: it is not there. */
void log_open_readers(const struct log *log, int ret_fds[2])
{
	const char *const names[] = {log->name, log->old_name};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ret_fds[i] = openat(log->dir_fd, names[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* The end of it; the files go, but where they are to stay. */
void log_remove(struct log *log)
{
	if (log->name[0] && !log->stays) {
		(void)unlinkat(log->dir_fd, log->name, 0);
		(void)unlinkat(log->dir_fd, log->old_name, 0);
	}
	defs_cleanup_fd(&log->fd);
	log->fd = -1;
	log->name[0] = '\0';
}

/* A number and the character behind it. Return: what follows, or NULL. */
static const char *log_number(const char *at, const char *end, char behind, uint64_t *ret)
{
	char digits[24];
	size_t n = 0;

	while (at + n < end && n < sizeof(digits) - 1 && at[n] >= '0' && at[n] <= '9') {
		digits[n] = at[n];
		n++;
	}
	digits[n] = '\0';
	if (at + n >= end || at[n] != behind || str_parse_u64(digits, 10, INT64_MAX, ret) < 0)
		return NULL;
	return at + n + 1;
}

/**
 * The first entry of a text.
 *
 * Return: how long it is; 0: there is no whole entry (yet).
 */
size_t log_parse(const char *text, size_t len, struct log_entry *ret_entry)
{
	const char *at = text, *end = text + len;
	uint64_t time_ms, size;
	char stream;

	at = log_number(at, end, ' ', &time_ms);
	if (!at || end - at < 2 || (at[0] != 'o' && at[0] != 'e') || at[1] != ' ')
		return 0;
	stream = at[0];
	at = log_number(at + 2, end, '\n', &size);
	if (!at || size > (uint64_t)(end - at))
		return 0;
	*ret_entry = (struct log_entry){(int64_t)time_ms, stream == 'e', at, (size_t)size};
	return (size_t)(at - text) + (size_t)size;
}
