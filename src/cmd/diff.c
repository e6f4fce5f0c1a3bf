/* SPDX-License-Identifier: MIT */
/*
 * diff: `sbx diff [SESSION]`: what a session changes. Everything is printed while it is
 * found; nothing of a tree is held.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/json.h"
#include "sbx/base/path.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"
#include "sbx/cmd/pager.h"
#include "sbx/cmd/patch.h"
#include "sbx/cow/part.h"
#include "sbx/run/status.h"

enum { DIFF_ROOM = 1 << 16 };

enum diff_form { DIFF_LIST, DIFF_NAMES, DIFF_STAT, DIFF_PATCH, DIFF_JSON };

struct diff {
	struct cow_cmd *cow;
	size_t root;
	enum diff_form form;
	bool null;     /* names end with NUL, not with a newline */
	bool colour;   /* on a terminal that has it */
	bool terminal; /* nothing of a file's may command it */
	struct cow_counts counts;
	struct sink sink;
	struct json_out json;
	char *line; /* owned, PATCH_ROOM */
	struct patch patch;
	int misses;		/* -errno: a part cannot be shown */
	struct sbx_err missing; /* why; of several the first */
};

static const char *diff_colour(const struct diff *d, const struct cow_entry *e)
{
	if (!d->colour)
		return "";
	return e->changes & COW_ADDED	  ? "\033[32m"
	       : e->changes & COW_REMOVED ? "\033[31m"
					  : "\033[33m";
}

/* What it is now, or was to the last. */
static const struct stat *diff_present(const struct cow_entry *e)
{
	return e->changes & COW_REMOVED ? &e->host : &e->upper;
}

static bool diff_is_dir(const struct cow_entry *e)
{
	return S_ISDIR(diff_present(e)->st_mode);
}

/* ---- forms ---- */

static void diff_put_name(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	cow_cmd_put_path(line, &d->cow->session, d->root, e->path);
	str_buf_puts(line, diff_is_dir(e) ? "/" : "");
}

/* For programs, so as they are; but on a terminal nothing of a file's may command it. */
static void diff_put_null(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	const char *above = d->cow->session.roots[d->root].path;

	if (d->terminal) {
		diff_put_name(d, line, e);
	} else {
		str_buf_puts(line, above);
		if (!str_equal(e->path, "."))
			str_buf_printf(line, "%s%s", path_is_root(above) ? "" : "/", e->path);
		str_buf_puts(line, diff_is_dir(e) ? "/" : "");
	}
	str_buf_write(line, "", 1);
}

static void diff_put_list(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	str_buf_printf(line, "%s%c  ", diff_colour(d, e), cow_change_letter(e));
	diff_put_name(d, line, e);
	if (!(e->changes & (COW_ADDED | COW_REMOVED)) || e->plants) {
		str_buf_puts(line, " (");
		cow_describe_changes(e, line);
		str_buf_puts(line, ")");
	}
	str_buf_puts(line, d->colour ? "\033[m\n" : "\n");
}

/* Of a link: that of its target. */
static bool diff_has_size(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISLNK(st->st_mode);
}

static void diff_put_stat(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	const struct stat *before = e->has_host ? &e->host : NULL;
	const struct stat *after = e->changes & COW_REMOVED ? NULL : &e->upper;
	bool had = before && diff_has_size(before), has = after && diff_has_size(after);

	str_buf_printf(line, "%c  ", cow_change_letter(e));
	diff_put_name(d, line, e);
	if (had || has)
		str_buf_printf(line, " | %lld -> %lld bytes\n",
			       had ? (long long)before->st_size : 0LL,
			       has ? (long long)after->st_size : 0LL);
	else
		str_buf_printf(line, " | %s\n", cow_type_name(diff_present(e)->st_mode));
}

static void diff_add_side(struct diff *d, const char *key, int dir_fd, const char *name,
			  const struct stat *st)
{
	char mode[8], target[PATH_MAX];
	ssize_t n;

	(void)snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777);
	json_open_object(&d->json, key);
	json_add_string(&d->json, "type", cow_type_name(st->st_mode));
	json_add_string(&d->json, "mode", mode);
	json_add_uint(&d->json, "uid", st->st_uid);
	json_add_uint(&d->json, "gid", st->st_gid);
	json_add_int(&d->json, "size", st->st_size);
	if (!S_ISDIR(st->st_mode))
		json_add_uint(&d->json, "links", st->st_nlink);
	n = S_ISLNK(st->st_mode) ? readlinkat(dir_fd, name, target, sizeof(target)) : -1;
	if (n >= 0)
		json_add_text(&d->json, "target", target, (size_t)n);
	json_close(&d->json);
}

static void diff_put_json(struct diff *d, const struct cow_entry *e)
{
	const char *names[COW_CHANGE_NAMES + 1];

	cow_name_changes(e, names);
	json_open_object(&d->json, NULL);
	json_add_string(&d->json, "root", d->cow->session.roots[d->root].path);
	json_add_string(&d->json, "path", e->path);
	json_add_flags(&d->json, "changes", names, e->changes);
	if (e->plants)
		json_add_bool(&d->json, "marks", true);
	if (e->has_host)
		diff_add_side(d, "before", e->host_dir, e->name, &e->host);
	if (!(e->changes & COW_REMOVED))
		diff_add_side(d, "after", e->upper_dir, e->name, &e->upper);
	json_close(&d->json);
}

/* ---- --patch ---- */

/* What a patch has no words for is a comment in it. */
static int diff_put_patch(struct diff *d, const struct cow_entry *e, struct sbx_err *err)
{
	static const char *const rests[] = {
		[PATCH_PART] = "",
		[PATCH_NO_MODE] = ")",
		[PATCH_NO_XATTRS] = ", attributes)",
		[PATCH_BINARY] = "  binary, not shown",
		[PATCH_TOO_LARGE] = "  too large to be shown",
		[PATCH_MOUNTED] = "  not shown: something is mounted on it by now",
	};
	struct str_buf line = {.data = d->line, .size = PATCH_ROOM};
	enum patch_rest rest;
	int r = patch_put(&d->patch, e, &rest, err);

	if (r < 0 || rest == PATCH_WHOLE)
		return r;
	sink_puts(d->patch.sink, "# ");
	diff_put_list(d, &line, e);
	line.len -= d->colour ? strlen("\033[m\n") : 1;
	if (rest == PATCH_NO_MODE ||
	    rest == PATCH_NO_XATTRS) /* the list does not say it of new ones */
		str_buf_printf(&line, " (mode %o", e->upper.st_mode & 07777);
	str_buf_puts(&line, rests[rest]);
	str_buf_puts(&line, d->colour ? "\033[m\n" : "\n");
	sink_write(d->patch.sink, line.data, line.len);
	return 0;
}

/* A patch has paths below the directory that was given to --cow. */
static void diff_begin_root(struct diff *d)
{
	struct str_buf line = {.data = d->line, .size = PATCH_ROOM};

	if (d->form != DIFF_PATCH || d->cow->session.n_roots < 2)
		return;
	str_buf_puts(&line, "# in ");
	cow_cmd_put_path(&line, &d->cow->session, d->root, ".");
	str_buf_puts(&line, "\n");
	sink_write(d->patch.sink, line.data, line.len);
}

/* ---- entries ---- */

static int diff_entry(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct diff *d = arg;
	struct str_buf line = {.data = d->line, .size = PATCH_ROOM};
	int r = 0;

	if (!cow_is_told(e))
		return 0;
	cow_count(e, &d->counts);
	switch (d->form) {
	case DIFF_JSON:
		diff_put_json(d, e);
		break;
	case DIFF_NAMES:
		if (d->null) {
			diff_put_null(d, &line, e);
		} else {
			diff_put_name(d, &line, e);
			str_buf_puts(&line, "\n");
		}
		break;
	case DIFF_STAT:
		diff_put_stat(d, &line, e);
		break;
	case DIFF_LIST:
		diff_put_list(d, &line, e);
		break;
	case DIFF_PATCH:
		r = diff_put_patch(d, e, err);
		break;
	}
	sink_write(&d->sink, line.data, line.len);
	if (r < 0)
		return r;
	/* Whoever reads has seen enough. */
	return d->sink.failed ? err_system(err, -d->sink.failed, "stdout", "cannot write") : 0;
}

static int diff_enter(void *arg, const struct cow_entry *e, int *host_fd, struct sbx_err *err)
{
	(void)host_fd;
	return diff_entry(arg, e, err);
}

static int diff_leave(void *arg, const struct cow_entry *e, int upper_fd, int host_fd,
		      struct sbx_err *err)
{
	(void)arg, (void)e, (void)upper_fd, (void)host_fd, (void)err;
	return 0;
}

/* The others are shown all the same, and it fails in the end. What is missing besides is said. */
static void diff_miss(struct diff *d, int number, const struct sbx_err *why)
{
	if (d->misses < 0) {
		err_print(why, "sbx", STDERR_FILENO);
		return;
	}
	d->misses = number;
	d->missing = *why;
}

static int diff_covered(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct diff *d = arg;

	diff_miss(d, cow_part_refuse_covered(&d->cow->session, d->root, e->path, err), err);
	return 0;
}

/* Return: 1: it is as it was; 0: it cannot be shown, or nothing was changed in it. */
static int diff_look_at_root(struct diff *d)
{
	const struct cow_session *session = &d->cow->session;
	_autoclose_ int upper = -1, host = -1;
	struct sbx_err why;
	int r = cow_session_open_root(session, d->root, &upper, &host, &why);

	if (r == 0)
		return 1;
	if (!*cow_part_name(session, session->roots[d->root].path) ||
	    !cow_part_is_unchanged(session, d->root))
		diff_miss(d, r, &why);
	return 0;
}

static void diff_begin_json(struct diff *d)
{
	json_open_object(&d->json, NULL);
	json_add_string(&d->json, "session", d->cow->session.id);
	json_add_string(&d->json, "command", d->cow->session.command);
	json_open_array(&d->json, "changes");
}

/* It is whole, whatever happens. @failed: what has ended the list too early, or NULL */
static void diff_end_json(struct diff *d, const struct sbx_err *failed)
{
	json_close(&d->json);
	if (failed) {
		json_open_object(&d->json, "error");
		status_add_error(&d->json, failed);
		json_close(&d->json);
	}
	json_close(&d->json);
	sink_puts(&d->sink, "\n");
}

static void diff_end(struct diff *d, const struct sbx_err *failed)
{
	char room[256];
	struct str_buf line = STR_BUF_ON_STACK(room);

	if (d->form == DIFF_JSON)
		diff_end_json(d, failed);
	if (d->form == DIFF_STAT && !failed) {
		cow_describe_counts(&d->counts, &line);
		str_buf_puts(&line, "\n");
		sink_write(&d->sink, line.data, line.len);
	}
}

static int diff_print(struct diff *d, struct sbx_err *err)
{
	const struct cow_visitor visitor = {diff_entry, diff_enter, diff_leave, d, diff_covered};
	struct sbx_err other; /* what went wrong first is told */
	int r = 0, w;

	if (d->form == DIFF_JSON)
		diff_begin_json(d);
	for (d->root = 0; d->root < d->cow->session.n_roots && r == 0; d->root++) {
		if (!diff_look_at_root(d))
			continue;
		diff_begin_root(d);
		r = cow_walk(&d->cow->session, d->root, &visitor, err);
	}
	if (r == 0 && d->misses < 0) {
		*err = d->missing;
		r = d->misses;
	}
	if (d->form == DIFF_PATCH) {
		w = patch_finish(&d->patch, r < 0 ? &other : err);
		r = r < 0 ? r : w;
	}
	diff_end(d, r < 0 ? err : NULL);
	w = sink_finish(&d->sink);
	if (w == -EPIPE || d->sink.failed == -EPIPE)
		return 0;
	if (r == 0 && w < 0)
		return err_system(err, -w, "stdout", "cannot write");
	return r;
}

static int diff_choose_form(const struct cmd_words *words, enum diff_form *ret, struct sbx_err *err)
{
	static const struct {
		enum cmd_option_id option;
		enum diff_form form;
	} forms[] = {{CMD_OPT_JSON, DIFF_JSON},
		     {CMD_OPT_NAME_ONLY, DIFF_NAMES},
		     {CMD_OPT_PATCH, DIFF_PATCH},
		     {CMD_OPT_STAT, DIFF_STAT}};

	*ret = DIFF_LIST;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!words->value[forms[i].option])
			continue;
		if (*ret != DIFF_LIST)
			return err_usage(err, NULL,
					 "of --json, --name-only, --patch and --stat one only");
		*ret = forms[i].form;
	}
	if (words->value[CMD_OPT_NULL] && *ret != DIFF_NAMES)
		return err_usage(err, "--null", "goes with --name-only alone: --name-only -z");
	return 0;
}

int cmd_diff(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	_autofree_ char *line = malloc(PATCH_ROOM);
	char room[DIFF_ROOM], spool_room[DIFF_ROOM];
	struct diff d = {.cow = &cow, .sink = SINK_TO_FD(STDOUT_FILENO, room), .line = line};
	struct sbx_err other; /* what went wrong first is told */
	struct pager pager;
	mode_t mask = umask(0);
	int shown, r = cow_cmd_begin(argc, argv, &cow, err);

	(void)umask(mask);
	if (r == 0)
		r = diff_choose_form(&cow.words, &d.form, err);
	if (r == 0)
		r = cow_cmd_choose(&cow, true, COW_LOCK_READ, err);
	if (r == 0 && !line)
		r = err_oom(err);
	if (r < 0)
		return r;
	d.null = cow.words.value[CMD_OPT_NULL] != NULL;
	d.json = (struct json_out)JSON_OUT(&d.sink);
	d.terminal = isatty(STDOUT_FILENO);
	d.colour = pager_has_colour();
	d.patch = (struct patch){.sink = &d.sink,
				 .out = &d.sink,
				 .colour = d.colour,
				 .terminal = d.terminal,
				 .umask = mask,
				 .room = line,
				 .spool = SINK_TO_FD(-1, spool_room)};
	cow_tell_clock(&cow.session);
	pager_start(&pager);
	(void)signal(SIGPIPE, SIG_IGN);
	r = diff_print(&d, err);
	shown = pager_finish(&pager, r < 0 ? &other : err);
	r = r < 0 ? r : shown;
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
