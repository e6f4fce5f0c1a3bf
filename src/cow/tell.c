/* SPDX-License-Identifier: MIT */
/*
 * tell: see tell.h.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/cow/tell.h"

/* Not of a directory whose entries have changed, and with them its time. */
bool cow_is_told(const struct cow_entry *entry)
{
	uint32_t changes = entry->changes;

	if (changes == COW_TIME && S_ISDIR(entry->upper.st_mode))
		return entry->own_time;
	return changes != 0;
}

void cow_count(const struct cow_entry *entry, struct cow_counts *counts)
{
	if (!cow_is_told(entry))
		return;
	if (entry->changes & COW_ADDED)
		counts->added++;
	else if (entry->changes & COW_REMOVED)
		counts->removed++;
	else
		counts->changed++;
}

static int tell_count_entry(void *arg, const struct cow_entry *entry, struct sbx_err *err)
{
	(void)err;
	cow_count(entry, arg);
	return 0;
}

static int tell_count_enter(void *arg, const struct cow_entry *entry, int *host_fd,
			    struct sbx_err *err)
{
	(void)host_fd, (void)err;
	cow_count(entry, arg);
	return 0;
}

static int tell_leave(void *arg, const struct cow_entry *entry, int upper_fd, int host_fd,
		      struct sbx_err *err)
{
	(void)arg, (void)entry, (void)upper_fd, (void)host_fd, (void)err;
	return 0;
}

/* Return: 0, or -errno with *err filled. */
int cow_count_all(const struct cow_session *session, struct cow_counts *ret_counts,
		  struct sbx_err *err)
{
	struct cow_counts counts = {0};
	const struct cow_visitor visitor = {.entry = tell_count_entry,
					    .enter = tell_count_enter,
					    .leave = tell_leave,
					    .arg = &counts};

	for (size_t i = 0; i < session->n_roots; i++) {
		int r = cow_walk(session, i, &visitor, err);

		if (r < 0)
			return r;
	}
	*ret_counts = counts;
	return 0;
}

void cow_describe_counts(const struct cow_counts *counts, struct str_buf *out)
{
	str_buf_printf(out, "%llu added, %llu changed, %llu deleted",
		       (unsigned long long)counts->added, (unsigned long long)counts->changed,
		       (unsigned long long)counts->removed);
}

const char *cow_type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "device";
	}
}

static const char *tell_content(const struct cow_entry *e)
{
	return S_ISLNK(e->upper.st_mode) ? "target" : "content";
}

/* The words for the kinds of change, from that of the first bit on, and NULL. */
void cow_name_changes(const struct cow_entry *e, const char *ret_names[COW_CHANGE_NAMES + 1])
{
	const char *const names[COW_CHANGE_NAMES + 1] = {"added",	  "deleted", "type",
							 tell_content(e), "mode",    "owner",
							 "attributes",	  "time",    NULL};

	memcpy(ret_names, names, sizeof(names));
}

char cow_change_letter(const struct cow_entry *e)
{
	if (e->changes & COW_ADDED)
		return 'A';
	if (e->changes & COW_REMOVED)
		return 'D';
	if (e->changes & COW_TYPE)
		return 'T';
	return 'M';
}

static void tell_part(struct str_buf *out, size_t start)
{
	str_buf_puts(out, out->len > start ? ", " : "");
}

/* Was one of several names of a file of the host changed alone? */
static bool tell_is_parted(const struct cow_entry *e)
{
	return (e->changes & (COW_CONTENT | COW_MODE | COW_OWNER | COW_XATTRS)) &&
	       S_ISREG(e->host.st_mode) && S_ISREG(e->upper.st_mode) && e->host.st_nlink > 1 &&
	       e->upper.st_nlink == 1;
}

/* What of a changed entry: "content, mode 644 -> 755". */
void cow_describe_changes(const struct cow_entry *e, struct str_buf *out)
{
	size_t start = out->len;

	if (e->changes & COW_TYPE)
		str_buf_printf(out, "%s -> %s", cow_type_name(e->host.st_mode),
			       cow_type_name(e->upper.st_mode));
	if (e->changes & COW_CONTENT) {
		tell_part(out, start);
		str_buf_puts(out, tell_content(e));
	}
	if (e->changes & COW_MODE) {
		tell_part(out, start);
		str_buf_printf(out, "mode %o -> %o", e->host.st_mode & 07777,
			       e->upper.st_mode & 07777);
	}
	if (e->changes & COW_OWNER) {
		tell_part(out, start);
		str_buf_printf(out, "owner %u:%u -> %u:%u", e->host.st_uid, e->host.st_gid,
			       e->upper.st_uid, e->upper.st_gid);
	}
	if ((e->changes & COW_XATTRS) && !e->only_plants) {
		tell_part(out, start);
		str_buf_puts(out, "attributes");
	}
	if (e->plants) {
		tell_part(out, start);
		str_buf_puts(out, "marks of overlays");
	}
	if (out->len > start && tell_is_parted(e))
		str_buf_puts(out, ", apart from its other names");
	if (out->len == start && (e->changes & COW_TIME))
		str_buf_puts(out, "time");
}

/*
 * When the command has ended: one line on standard error. A new session without changes goes.
 * @tells_none: say also that nothing was changed
 * @note:       where it is said too; NULL: nowhere else
 */
void cow_tell_changes(struct cow_session *session, bool tells_none, struct str_buf *note)
{
	static const char prefix[] = "sbx: ";
	char room[8192], word[COW_WORD_MAX];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct cow_counts counts;
	struct sbx_err err;

	if (cow_session_find_drivers(session, &err) < 0 ||
	    cow_count_all(session, &counts, &err) < 0) {
		str_buf_printf(&line, "%sthe changes could not be counted: see sbx diff ", prefix);
	} else if (session->fresh && counts.added + counts.changed + counts.removed == 0 &&
		   cow_session_remove(session, &err) == 0) {
		str_buf_printf(&line, "%snothing was changed\n", prefix);
		if (note)
			str_buf_puts(note, "nothing was changed");
		if (tells_none)
			(void)io_write_all(STDERR_FILENO, line.data, line.len);
		return;
	} else {
		str_buf_puts(&line, prefix);
		cow_describe_counts(&counts, &line);
		str_buf_puts(&line, ": see sbx diff ");
	}
	(void)cow_session_word(session, word);
	str_buf_escape(&line, word, strlen(word));
	if (note)
		str_buf_puts(note, line.data + strlen(prefix));
	str_buf_puts(&line, "\n");
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

/* Beside what is shown or begun. */
void cow_tell_clock(const struct cow_session *session)
{
	char room[1024];
	struct str_buf line = STR_BUF_ON_STACK(room);

	if (session->damaged || !cow_clock_is_back(&session->clock, &session->began))
		return;
	str_buf_puts(&line, "sbx: ");
	str_buf_escape(&line, session->id, strlen(session->id));
	str_buf_puts(&line, ": the clock was set back since the session began: what has changed "
			    "on the host since cannot be told\n");
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

/* Where that is to be told. Return: 0, or -errno with *err filled. */
int cow_check_clock(const struct cow_session *session, struct sbx_err *err)
{
	char word[COW_WORD_MAX];
	int r;

	if (!cow_clock_is_back(&session->clock, &session->began))
		return 0;
	(void)cow_session_word(session, word);
	r = err_refuse(err, ETIME, session->id,
		       "the clock was set back since the session began: what has changed on the "
		       "host since cannot be told");
	err_hint(err,
		 "where nothing but the session has changed it: sbx apply --force %s; what "
		 "it would\noverwrite: sbx diff %s",
		 word, word);
	return r;
}
