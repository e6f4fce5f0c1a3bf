/* SPDX-License-Identifier: MIT */
/*
 * kept: see kept.h.
 *
 * The file is there from the beginning, beside the record, and says "lost". When all is over
 * the monitor writes what the end was over that, in one write, and then the record goes. So a
 * monitor that is killed leaves a file that is right, too: nobody knows how it ended.
 *
 * Who reads believes nothing of it but what is shown: who is meant is said by the file's name,
 * and removing it removes that file and the log of that id.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/run/kept.h"
#include "sbx/run/log.h"
#include "sbx/spec/explain.h"

void kept_file_name(const struct label *label, char ret_name[KEPT_FILE_SIZE])
{
	char file[LABEL_FILE_SIZE];

	label_to_file(label, file);
	(void)snprintf(ret_name, KEPT_FILE_SIZE, "%s" KEPT_SUFFIX, file);
}

/* Is this the name of such a file, and if so, of which sandbox? */
bool kept_label_from_file(const char *file, struct label *ret_label)
{
	size_t len = strlen(file), suffix = strlen(KEPT_SUFFIX);
	char name[LABEL_FILE_SIZE];

	if (len < suffix || len - suffix >= sizeof(name) ||
	    strcmp(file + len - suffix, KEPT_SUFFIX) != 0)
		return false;
	memcpy(name, file, len - suffix);
	name[len - suffix] = '\0';
	return label_from_file(name, ret_label);
}

static int kept_write(int fd, const struct kept *kept)
{
	ssize_t n = pwrite(fd, kept, sizeof(*kept), 0);

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(*kept) ? 0 : -ENOSPC;
}

static int kept_fill(int fd, const struct register_entry *record, const struct control_facts *facts,
		     struct sbx_err *err)
{
	struct kept kept = {.version = KEPT_VERSION, .end = KEPT_LOST};
	int r;

	kept.facts = *facts;
	r = kept_write(fd, &kept);
	if (r == 0 && lseek(fd, sizeof(kept), SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = explain_print_json(record->plan, record->plan->spec, fd, err);
	return r < 0 ? register_fail(record, -r, "cannot keep a record of the sandbox", err) : 0;
}

/**
 * Beside a record that has been published.
 *
 * Return: 0, or -errno with *err filled; then there is nothing.
 */
int kept_begin(struct register_entry *record, const struct control_facts *facts,
	       struct sbx_err *err)
{
	char name[KEPT_FILE_SIZE];
	_autoclose_ int fd = -1;
	int r;

	kept_file_name(&record->label, name);
	fd = openat(record->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return register_fail(record, errno, "cannot keep a record of the sandbox", err);
	r = kept_fill(fd, record, facts, err);
	if (r < 0)
		(void)unlinkat(record->dir_fd, name, 0);
	record->kept = r == 0;
	return r;
}

static int kept_open(int dir_fd, const struct label *label, int flags)
{
	_autoclose_ int fd = -1;
	char name[KEPT_FILE_SIZE];
	struct stat st;

	kept_file_name(label, name);
	fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() ? take_fd(&fd) : -EINVAL;
}

/**
 * All is over: say how it ended. The record must still be there.
 *
 * Return: 0 or -errno; then it says what it said before.
 */
int kept_finish(const struct register_entry *record, const struct kept_how *how)
{
	struct kept kept;
	_autoclose_ int fd = -1;
	struct timespec now;
	int r;

	if (!record->kept)
		return 0;
	r = kept_read(record->dir_fd, &record->label, &kept);
	if (r < 0)
		return r;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	kept.end = how->end;
	kept.exit_code = how->exit_code;
	kept.ended_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	str_copy(kept.reason, sizeof(kept.reason), how->reason);
	str_copy(kept.reached, sizeof(kept.reached), how->reached);
	kept.used = *how->used;
	fd = kept_open(record->dir_fd, &record->label, O_WRONLY);
	return fd < 0 ? fd : kept_write(fd, &kept);
}

/* Return: 0 or -errno (-EINVAL: it is none). Strings have their ends. */
int kept_read(int dir_fd, const struct label *label, struct kept *ret_kept)
{
	_autoclose_ int fd = kept_open(dir_fd, label, O_RDONLY);
	struct kept kept;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, &kept, sizeof(kept), 0);
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(kept) || kept.version != KEPT_VERSION ||
	    kept.end >= KEPT_END_COUNT_)
		return -EINVAL;
	control_check_facts(&kept.facts);
	kept.reason[sizeof(kept.reason) - 1] = '\0';
	kept.reached[sizeof(kept.reached) - 1] = '\0';
	str_copy(kept.facts.id, sizeof(kept.facts.id), label->id);
	str_copy(kept.facts.name, sizeof(kept.facts.name), label->name);
	*ret_kept = kept;
	return 0;
}

/* JSON as it was written has no character that means something to a terminal. */
static bool kept_is_harmless(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == 0x7f || ((unsigned char)text[i] < 0x20 && text[i] != '\n'))
			return false;
	return len > 0 && text[0] == '{';
}

/* Return: 0 or -errno. @ret_plan: in the arena */
int kept_read_plan(int dir_fd, const struct label *label, struct arena *arena, char **ret_plan,
		   size_t *ret_len)
{
	_autoclose_ int fd = kept_open(dir_fd, label, O_RDONLY);
	int r;

	if (fd < 0)
		return fd;
	if (lseek(fd, sizeof(struct kept), SEEK_SET) < 0)
		return -errno;
	r = io_read_all(fd, KEPT_PLAN_MAX, arena, ret_plan, ret_len);
	return r < 0 ? r : kept_is_harmless(*ret_plan, *ret_len) ? 0 : -EINVAL;
}

bool kept_is_there(int dir_fd, const struct label *label)
{
	char name[KEPT_FILE_SIZE];

	kept_file_name(label, name);
	return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* With its log, the file last, since it leads to that. Return: 0 or -errno. */
int kept_remove(int dir_fd, const struct label *label)
{
	char name[KEPT_FILE_SIZE], logs[2][LABEL_FILE_SIZE];

	log_names(label, logs[0], logs[1]);
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++)
		if (unlinkat(dir_fd, logs[i], 0) < 0 && errno != ENOENT)
			return -errno;
	kept_file_name(label, name);
	return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}
