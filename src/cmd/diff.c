/* SPDX-License-Identifier: MIT */
/*
 * diff: `sbx diff [SESSION]`: what a session changes. Everything is printed while it is
 * found; nothing of a tree is held.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/json.h"
#include "sbx/base/path.h"
#include "sbx/base/proc.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/cow.h"
#include "sbx/cmd/pager.h"

enum {
	DIFF_ROOM = 1 << 16,
	DIFF_LINE_MAX = 4 * COW_PATH_MAX + 4096, /* an escaped byte is four */
	DIFF_TEXT_MAX = 8 << 20,		 /* of a file that is shown line by line */
	DIFF_PATCH_MAX = 32 << 20,
	DIFF_LOOK_BYTES = 8000, /* where a NUL makes a file binary; as git has it */
};

enum diff_form { DIFF_LIST, DIFF_NAMES, DIFF_STAT, DIFF_PATCH, DIFF_JSON };

struct diff {
	struct cow_cmd *cow;
	size_t root;
	enum diff_form form;
	bool colour;   /* on a terminal that has it */
	bool terminal; /* nothing of a file's may command it */
	struct cow_counts counts;
	struct sink sink;
	struct json_out json;
	char *line; /* owned, DIFF_LINE_MAX */
};

static char diff_letter(const struct cow_entry *e)
{
	if (e->changes & COW_ADDED)
		return 'A';
	if (e->changes & COW_REMOVED)
		return 'D';
	if (e->changes & COW_TYPE)
		return 'T';
	return 'M';
}

static const char *diff_colour(const struct diff *d, const struct cow_entry *e)
{
	if (!d->colour)
		return "";
	return e->changes & COW_ADDED	  ? "\033[32m"
	       : e->changes & COW_REMOVED ? "\033[31m"
					  : "\033[33m";
}

static bool diff_is_dir(const struct cow_entry *e)
{
	return S_ISDIR(e->changes & COW_REMOVED ? e->host.st_mode : e->upper.st_mode);
}

/* ---- forms ---- */

static void diff_put_name(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	cow_cmd_put_path(line, &d->cow->session, d->root, e->path);
	str_buf_puts(line, diff_is_dir(e) ? "/" : "");
}

static void diff_put_list(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	str_buf_printf(line, "%s%c  ", diff_colour(d, e), diff_letter(e));
	diff_put_name(d, line, e);
	if (!(e->changes & (COW_ADDED | COW_REMOVED))) {
		str_buf_puts(line, " (");
		cow_describe_changes(e, line);
		str_buf_puts(line, ")");
	}
	str_buf_puts(line, d->colour ? "\033[m\n" : "\n");
}

static long long diff_size(const struct stat *st)
{
	return S_ISREG(st->st_mode) ? (long long)st->st_size : 0;
}

static void diff_put_stat(struct diff *d, struct str_buf *line, const struct cow_entry *e)
{
	str_buf_printf(line, "%c  ", diff_letter(e));
	diff_put_name(d, line, e);
	str_buf_printf(line, " | %lld -> %lld bytes\n", e->has_host ? diff_size(&e->host) : 0,
		       e->changes & COW_REMOVED ? 0 : diff_size(&e->upper));
}

static void diff_add_side(struct diff *d, const char *key, const struct stat *st)
{
	char mode[8];

	(void)snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777);
	json_open_object(&d->json, key);
	json_add_string(&d->json, "type", cow_type_name(st->st_mode));
	json_add_string(&d->json, "mode", mode);
	json_add_uint(&d->json, "uid", st->st_uid);
	json_add_uint(&d->json, "gid", st->st_gid);
	json_add_int(&d->json, "size", st->st_size);
	json_close(&d->json);
}

static void diff_put_json(struct diff *d, const struct cow_entry *e)
{
	static const char *const names[] = {"added", "deleted", "type",	 "content", "mode",
					    "owner", "xattrs",	"mtime", NULL};

	json_open_object(&d->json, NULL);
	json_add_string(&d->json, "root", d->cow->session.roots[d->root].path);
	json_add_string(&d->json, "path", e->path);
	json_add_flags(&d->json, "changes", names, e->changes);
	if (e->has_host)
		diff_add_side(d, "before", &e->host);
	if (!(e->changes & COW_REMOVED))
		diff_add_side(d, "after", &e->upper);
	json_close(&d->json);
}

/* ---- --patch ---- */

static int diff_open_side(int dir_fd, const char *name, const struct stat *st, bool there)
{
	if (!there || !S_ISREG(st->st_mode))
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	return cow_open(dir_fd, name, O_RDONLY | O_NONBLOCK);
}

/* Not text: a NUL near the beginning. */
static bool diff_is_binary(int fd)
{
	char start[DIFF_LOOK_BYTES];
	ssize_t n = pread(fd, start, sizeof(start), 0);

	return n > 0 && memchr(start, '\0', (size_t)n);
}

static void diff_note(struct diff *d, const struct cow_entry *e, const char *what)
{
	struct str_buf line = {.data = d->line, .size = DIFF_LINE_MAX};

	diff_put_name(d, &line, e);
	str_buf_printf(&line, ": %s\n", what);
	sink_write(&d->sink, line.data, line.len);
}

/* A line of a patch on a terminal. */
static void diff_put_line(struct diff *d, const char *text, size_t len)
{
	const char *colour = !d->colour	      ? ""
			     : text[0] == '+' ? "\033[32m"
			     : text[0] == '-' ? "\033[31m"
			     : text[0] == '@' ? "\033[36m"
					      : "";

	sink_puts(&d->sink, colour);
	while (len > 0) {
		char room[4096];
		struct str_buf piece = STR_BUF_ON_STACK(room);
		size_t n = len < 512 ? len : 512;

		for (size_t i = 0; i < n; i++) {
			if (text[i] == '\t')
				str_buf_puts(&piece, "\t");
			else
				str_buf_escape(&piece, text + i, 1);
		}
		sink_write(&d->sink, piece.data, piece.len);
		text += n;
		len -= n;
	}
	sink_puts(&d->sink, *colour ? "\033[m\n" : "\n");
}

static void diff_put_patch(struct diff *d, const char *text, size_t len)
{
	if (!d->terminal) {
		sink_write(&d->sink, text, len);
		return;
	}
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		diff_put_line(d, text, n);
		n += end ? 1 : 0;
		text += n;
		len -= n;
	}
}

static const char *diff_program(void)
{
	return access("/usr/bin/diff", X_OK) == 0 ? "/usr/bin/diff" : "/bin/diff";
}

/* diff(1) is given descriptors: no name of the layer is looked up twice. */
static int diff_run(struct diff *d, const struct cow_entry *e, int old_fd, int new_fd,
		    struct sbx_err *err)
{
	char old_path[32], new_path[32], *text = NULL;
	struct str_buf label = {.data = d->line, .size = DIFF_LINE_MAX / 2};
	struct str_buf other = {.data = d->line + DIFF_LINE_MAX / 2, .size = DIFF_LINE_MAX / 2};
	const char *const argv[] = {"diff",	"-u",	  "--label", label.data, "--label",
				    other.data, old_path, new_path,  NULL};
	const int pass[] = {old_fd, new_fd};
	const struct proc_spawn spawn = {.path = diff_program(),
					 .argv = argv,
					 .output_fd = -1,
					 .error_fd = -1,
					 .pass_fds = pass,
					 .n_pass_fds = 2};
	_autoarena_ struct arena arena;
	size_t len = 0;
	int status = 0, r;

	arena_init(&arena);
	(void)snprintf(old_path, sizeof(old_path), "/proc/self/fd/%d", old_fd);
	(void)snprintf(new_path, sizeof(new_path), "/proc/self/fd/%d", new_fd);
	str_buf_puts(&label, e->has_host ? "a/" : "/dev/null");
	str_buf_escape(&label, e->path, e->has_host ? strlen(e->path) : 0);
	str_buf_puts(&other, e->changes & COW_REMOVED ? "/dev/null" : "b/");
	str_buf_escape(&other, e->path, e->changes & COW_REMOVED ? 0 : strlen(e->path));
	r = proc_capture(&spawn, DIFF_PATCH_MAX, &arena, &text, &len, &status);
	if (r < 0)
		return err_system(err, -r, diff_program(), "cannot compare");
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		diff_note(d, e, "could not be compared by diff(1)");
	else
		diff_put_patch(d, text, len);
	return 0;
}

static int diff_patch(struct diff *d, const struct cow_entry *e, struct sbx_err *err)
{
	bool removed = e->changes & COW_REMOVED;
	_autoclose_ int old_fd = -1, new_fd = -1;

	if (!(e->changes & (COW_ADDED | COW_REMOVED | COW_TYPE | COW_CONTENT)) || diff_is_dir(e) ||
	    !((e->has_host && S_ISREG(e->host.st_mode)) || (!removed && S_ISREG(e->upper.st_mode))))
		return 0;
	if ((e->has_host && diff_size(&e->host) > DIFF_TEXT_MAX) ||
	    (!removed && diff_size(&e->upper) > DIFF_TEXT_MAX)) {
		diff_note(d, e, "too large to be shown");
		return 0;
	}
	old_fd = diff_open_side(e->host_dir, e->name, &e->host, e->has_host);
	new_fd = diff_open_side(e->upper_dir, e->name, &e->upper, !removed);
	if (old_fd < 0 || new_fd < 0)
		return err_system(err, errno, e->path, "cannot be read");
	if (diff_is_binary(old_fd) || diff_is_binary(new_fd)) {
		diff_note(d, e, "binary files differ");
		return 0;
	}
	return diff_run(d, e, old_fd, new_fd, err);
}

/* ---- entries ---- */

static int diff_entry(void *arg, const struct cow_entry *e, struct sbx_err *err)
{
	struct diff *d = arg;
	struct str_buf line = {.data = d->line, .size = DIFF_LINE_MAX};

	if (!cow_is_told(e))
		return 0;
	cow_count(e, &d->counts);
	switch (d->form) {
	case DIFF_JSON:
		diff_put_json(d, e);
		break;
	case DIFF_NAMES:
		diff_put_name(d, &line, e);
		str_buf_puts(&line, "\n");
		break;
	case DIFF_STAT:
		diff_put_stat(d, &line, e);
		break;
	case DIFF_LIST:
	case DIFF_PATCH:
		diff_put_list(d, &line, e);
		break;
	}
	sink_write(&d->sink, line.data, line.len);
	if (d->form == DIFF_PATCH && diff_patch(d, e, err) < 0)
		return -EIO;
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

static void diff_begin_json(struct diff *d)
{
	json_open_object(&d->json, NULL);
	json_add_string(&d->json, "session", d->cow->session.id);
	json_add_string(&d->json, "command", d->cow->session.command);
	json_open_array(&d->json, "changes");
}

static void diff_end(struct diff *d)
{
	char room[256];
	struct str_buf line = STR_BUF_ON_STACK(room);

	if (d->form == DIFF_JSON) {
		json_close(&d->json);
		json_close(&d->json);
		sink_puts(&d->sink, "\n");
	}
	if (d->form == DIFF_STAT) {
		cow_describe_counts(&d->counts, &line);
		str_buf_puts(&line, "\n");
		sink_write(&d->sink, line.data, line.len);
	}
}

static int diff_print(struct diff *d, struct sbx_err *err)
{
	const struct cow_visitor visitor = {diff_entry, diff_enter, diff_leave, d};
	int r = 0, w;

	if (d->form == DIFF_JSON)
		diff_begin_json(d);
	for (d->root = 0; d->root < d->cow->session.n_roots && r == 0; d->root++)
		r = cow_walk(&d->cow->session, d->root, &visitor, err);
	if (r == 0)
		diff_end(d);
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
	return 0;
}

int cmd_diff(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	_autocow_ struct cow_cmd cow = {0};
	_autofree_ char *line = malloc(DIFF_LINE_MAX);
	char room[DIFF_ROOM];
	struct diff d = {.cow = &cow, .sink = SINK_TO_FD(STDOUT_FILENO, room), .line = line};
	struct pager pager;
	int r = cow_cmd_begin(argc, argv, &cow, err);

	if (r == 0)
		r = diff_choose_form(&cow.words, &d.form, err);
	if (r == 0)
		r = cow_cmd_choose(&cow, true, COW_LOCK_READ, err);
	if (r == 0 && !line)
		r = err_oom(err);
	if (r < 0)
		return r;
	d.json = (struct json_out)JSON_OUT(&d.sink);
	d.terminal = isatty(STDOUT_FILENO);
	d.colour = pager_has_colour();
	pager_start(&pager);
	(void)signal(SIGPIPE, SIG_IGN);
	r = diff_print(&d, err);
	pager_finish(&pager);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
