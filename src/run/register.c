/* SPDX-License-Identifier: MIT */
/*
 * register: see register.h.
 *
 * Theory of operation
 *
 *     .ID or .ID=NAME     made and locked at once: a claim, which nobody lists
 *     ID.sock             the monitor listens (control.c)
 *     ID or ID=NAME       the claim, written and renamed: a record
 *
 * So there is never half a record. It ends the other way round, the socket first: what a
 * killed monitor leaves is always found by the record, or the claim.
 *
 * Whoever holds the lock is alive, and it is a lock of fcntl(2), not of flock(2): the
 * kernel tells who holds it (F_GETLK), it belongs to the monitor alone (children do not
 * inherit it), and it ends with the monitor however that ends. So a record says by itself
 * only where to look; which process is behind it, the kernel says. The monitor opens the
 * file once, since closing any other descriptor of it would end the lock.
 *
 * A name is unique among the living: who wants one has the directory locked while it
 * looks at the names there. Claims count. Sandboxes without a name take no lock, and what
 * they do here is done beside PID 1's work.
 *
 * The record is for people and programs that want to see it; no decision of sbx rests on
 * what is in it.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/json.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/cgroup.h"
#include "sbx/run/kept.h"
#include "sbx/run/log.h"
#include "sbx/run/register.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/records.h"

enum {
	REGISTER_LOCK_MS = 10 * 1000, /* others hold it for milliseconds */
	REGISTER_TRIES = 16,
	REGISTER_MOMENT_MS = 5,
	REGISTER_SWEEP_MAX = 8,
	REGISTER_SWEEP_BYTES = 4096,
	REGISTER_COMMAND_MAX = 4096, /* bytes of arguments that are recorded */
};

void register_init(struct register_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->dir_fd = -1;
	entry->record_fd = -1;
}

void register_socket_name(const struct label *label, char ret_name[LABEL_FILE_SIZE])
{
	(void)snprintf(ret_name, LABEL_FILE_SIZE, "%s" REGISTER_SOCKET_SUFFIX, label->id);
}

/**
 * Whose lock a record has.
 * @ret_pid: 0: a process in another pid namespace
 *
 * Return: 1 it is locked; 0 it is not: the monitor is dead; or -errno.
 */
int register_lock_holder(int fd, pid_t *ret_pid)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK)
		return 0;
	*ret_pid = lock.l_pid > 0 ? lock.l_pid : 0;
	return 1;
}

/* A file that cannot be made beside the others, or written. Return: -number, *err filled. */
int register_fail(const struct register_entry *entry, int number, const char *what,
		  struct sbx_err *err)
{
	int r = err_system(err, number, entry->dir, "%s", what);

	if (number == ENOSPC || number == EDQUOT || number == EROFS)
		err_hint(err, "%s", records_remedy(entry->dir, number));
	return r;
}

/* ---- the claim ---- */

static int register_open_dir(struct register_entry *entry)
{
	int r = -ENOENT; /* the last one's reason: the first may just not be there */

	for (size_t i = 0; i < PLAN_RECORD_DIRS && entry->dir_fd < 0; i++) {
		if (!entry->plan->box_dirs[i])
			continue;
		r = dirs_make_own(entry->plan->box_dirs[i]);
		if (r < 0)
			continue;
		entry->dir_fd = r;
		entry->dir = entry->plan->box_dirs[i];
	}
	return entry->dir_fd >= 0 ? 0 : r;
}

/**
 * Make the directory that the record will be in, before something else is begun that would have it
 * for a change. Where it cannot be made register_claim() says so.
 */
void register_make_dir(const struct sbx_plan *plan)
{
	struct register_entry entry;

	register_init(&entry);
	entry.plan = plan;
	(void)register_open_dir(&entry);
	defs_cleanup_fd(&entry.dir_fd);
}

/* A claim under a new id, locked. Return: 0 or -errno. */
static int register_make_claim(struct register_entry *entry)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_autoclose_ int fd = -1;
	struct stat st;

	if (!label_make(entry->plan->name, &entry->label))
		return -errno;
	entry->file[0] = '.';
	label_to_file(&entry->label, entry->file + 1);
	fd = openat(entry->dir_fd, entry->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* Who sweeps may have found it before it was locked; then another is made. */
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		int r = errno == EAGAIN || errno == EACCES ? -EEXIST : -errno;

		(void)unlinkat(entry->dir_fd, entry->file, 0);
		return r;
	}
	if (fstat(fd, &st) < 0) {
		int r = -errno;

		(void)unlinkat(entry->dir_fd, entry->file, 0);
		return r;
	}
	if (st.st_nlink == 0)
		return -EEXIST;
	entry->record_fd = take_fd(&fd);
	return 0;
}

/* Is this file, a record or a claim, of a living sandbox of that name or id, and not ours? */
static bool register_is_rival(const struct register_entry *entry, const char *file,
			      struct label *ret_label)
{
	_autoclose_ int fd = -1;
	pid_t pid;

	if (!label_from_file(file + (file[0] == '.'), ret_label) ||
	    (strcmp(ret_label->name, entry->label.name) != 0 &&
	     strcmp(ret_label->id, entry->label.name) != 0) ||
	    strcmp(ret_label->id, entry->label.id) == 0)
		return false;
	fd = openat(entry->dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && register_lock_holder(fd, &pid) == 1;
}

/* Return: 1 the name is free, 0 *ret_label has it, or -errno. */
static int register_name_is_free(const struct register_entry *entry, struct label *ret_label)
{
	DIR *dir = fd_open_dir_again(entry->dir_fd);
	int r = 1;
	const struct dirent *e;

	if (!dir)
		return -errno;
	while (r == 1 && (e = readdir(dir)))
		if (register_is_rival(entry, e->d_name, ret_label))
			r = 0;
	(void)closedir(dir);
	return r;
}

static int register_refuse_name(const struct register_entry *entry, const struct label *rival,
				struct sbx_err *err)
{
	bool is_id = strcmp(rival->id, entry->plan->name) == 0;
	int r = err_refuse(err, EEXIST, entry->plan->name, "is the %s of a running sandbox%s%s",
			   is_id ? "id" : "name", is_id ? "" : ", ", is_id ? "" : rival->id);

	hint_add(err, HINT_NAME);
	return r;
}

/* With a name: make the claim while nobody else makes one. Return: as register_name_is_free(). */
static int register_claim_name(struct register_entry *entry, struct label *ret_rival)
{
	const struct timespec moment = {.tv_nsec = REGISTER_MOMENT_MS * 1000000L};
	int r = dirs_lock(entry->dir_fd, REGISTER_LOCK_MS);

	if (r < 0)
		return r;
	r = register_make_claim(entry);
	if (r == 0)
		r = register_name_is_free(entry, ret_rival);
	/* Who removes a dead one's record has it locked for a moment. */
	if (r == 0 && nanosleep(&moment, NULL) == 0)
		r = register_name_is_free(entry, ret_rival);
	(void)flock(entry->dir_fd, LOCK_UN);
	return r;
}

/**
 * Have an id, and the name where one is asked for. Without a name it can wait until
 * PID 1 is at work.
 *
 * Return: 0, or -errno with *err filled.
 */
int register_claim(struct register_entry *entry, const struct sbx_plan *plan, struct sbx_err *err)
{
	struct label rival;
	int r, tries = 0;

	entry->plan = plan;
	r = register_open_dir(entry);
	if (r < 0)
		return records_blame(plan, records_refuse(plan->box_dirs[0], -r, err), err);
	do {
		r = plan->name ? register_claim_name(entry, &rival) : register_make_claim(entry);
	} while (r == -EEXIST && ++tries < REGISTER_TRIES);
	if (r < 0)
		return records_blame(
			plan, register_fail(entry, -r, "cannot record the sandbox", err), err);
	return plan->name && r == 0 ? register_refuse_name(entry, &rival, err) : 0;
}

/* ---- the record ---- */

/* Arguments as far as there is room: nobody can read more in a list. */
static void register_add_command(struct json_out *json, const struct sbx_plan *plan)
{
	size_t used = 0, i = 0;

	json_open_array(json, "command");
	for (; plan->argv[i]; i++) {
		used += strlen(plan->argv[i]);
		if (used > REGISTER_COMMAND_MAX / 6) /* what is escaped is that much longer */
			break;
		json_add_string(json, NULL, plan->argv[i]);
	}
	json_close(json);
	json_add_bool(json, "command-is-cut", plan->argv[i] != NULL);
}

static int register_write(struct register_entry *entry, pid_t init)
{
	char room[REGISTER_RECORD_MAX_BYTES];
	struct sink sink = SINK_TO_FD(entry->record_fd, room);
	struct json_out json = JSON_OUT(&sink);

	json.compact = true;
	json_open_object(&json, NULL);
	json_add_int(&json, "sbx-record", 1);
	json_add_string(&json, "id", entry->label.id);
	json_add_string(&json, "name", entry->plan->name);
	json_add_int(&json, "created-ms", entry->created_ms);
	json_add_int(&json, "monitor-pid", getpid());
	json_add_int(&json, "init-pid", init);
	register_add_command(&json, entry->plan);
	json_close(&json);
	return json_finish(&json);
}

/**
 * Make the claim a record.
 * @init: process 1 of the sandbox
 *
 * Return: 0, or -errno with *err filled.
 */
int register_publish(struct register_entry *entry, pid_t init, struct sbx_err *err)
{
	struct timespec now;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	entry->created_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	r = register_write(entry, init);
	if (r == 0 &&
	    sys_rename_noreplace(entry->dir_fd, entry->file, entry->dir_fd, entry->file + 1) < 0)
		r = -errno;
	if (r < 0)
		return register_fail(entry, -r, "cannot record the sandbox", err);
	memmove(entry->file, entry->file + 1, strlen(entry->file));
	return 0;
}

/*
 * The record last, since it leads to the rest: where something cannot be removed now it
 * stays, for the next sbx to try.
 */
static void register_remove(int dir_fd, const char *file, const struct label *label, bool has_log)
{
	char names[3][LABEL_FILE_SIZE];

	register_socket_name(label, names[0]);
	if (has_log)
		log_names(label, names[1], names[2]);
	for (size_t i = 0; i < (has_log ? ARRAY_SIZE(names) : 1); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			return;
	(void)unlinkat(dir_fd, file, 0);
}

/*
 * What a dead monitor has left. Nobody can lock it meanwhile: a claim that was made a moment
 * ago is not taken for one of a dead monitor, or whoever makes it notices.
 */
void register_remove_dead(int dir_fd, const char *file, const struct label *label)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_autoclose_ int fd = openat(dir_fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    fcntl(fd, F_SETLK, &lock) == 0 && cgroup_remove_left(dir_fd, label))
		register_remove(dir_fd, file, label, !kept_is_there(dir_fd, label));
}

/* Return: false: it is no record of another sandbox. */
static bool register_sweep_one(const struct register_entry *entry, const char *file)
{
	struct label label;

	if (!label_from_file(file + (file[0] == '.'), &label) ||
	    strcmp(label.id, entry->label.id) == 0)
		return false;
	register_remove_dead(entry->dir_fd, file, &label);
	return true;
}

/*
 * Remove what killed monitors have left, beside PID 1's work. Where many sandboxes run, not
 * all of them are looked at: a verb that lists them does that. By one system call, where
 * there is nobody else, and without the memory that opendir(3) takes.
 */
void register_sweep(const struct register_entry *entry)
{
	char room[REGISTER_SWEEP_BYTES] __attribute__((aligned(__alignof__(struct sys_dirent))));
	ssize_t n = sys_getdents(entry->dir_fd, (struct sys_dirent *)(void *)room, sizeof(room));
	int looked_at = 0;

	for (ssize_t at = 0; at < n && looked_at < REGISTER_SWEEP_MAX;) {
		const struct sys_dirent *e = (const struct sys_dirent *)(const void *)(room + at);

		looked_at += register_sweep_one(entry, e->name);
		at += e->size;
	}
}

/* At the end, or where a record cannot be had: nothing stays. */
void register_finish(struct register_entry *entry)
{
	if (entry->record_fd >= 0)
		register_remove(entry->dir_fd, entry->file, &entry->label,
				entry->plan->detach && !entry->kept);
	defs_cleanup_fd(&entry->record_fd);
	defs_cleanup_fd(&entry->dir_fd);
	register_init(entry);
}
