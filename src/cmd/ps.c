/* SPDX-License-Identifier: MIT */
/*
 * ps: `sbx ps`: the sandboxes that run, and with --all what was kept of others.
 *
 * What is shown comes from the monitors, which are asked some at a time, all at once: none
 * of them waits for another. A monitor that is stopped, as a job of a shell is, does not
 * answer; its sandbox is shown all the same, with what the kernel knows.
 *
 * A column is a row of a table, which the list, --format and --json are made from.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/box/freeze.h"
#include "sbx/box/procs.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/kept.h"
#include "sbx/spec/publish.h"

enum {
	PS_BATCH = 64,	  /* monitors that are asked at once: two descriptors each */
	PS_QUICK_MS = 50, /* a monitor that can answer does so sooner */
	PS_TIMEOUT_MS = 2000,
	PS_WATCH_SECONDS = 2,
	PS_CELL_MAX = 8192,
	PS_COMMAND_MAX = 4096,
};

enum ps_status {
	PS_RUNNING,
	PS_STARTING,
	PS_STOPPED,
	PS_PAUSED,
	PS_SILENT,
	/* those that have ended */
	PS_EXITED,
	PS_KILLED,
	PS_FAILED,
	PS_LOST,
	PS_STATUS_COUNT_
};

static const char *const ps_status_names[PS_STATUS_COUNT_] = {
	[PS_RUNNING] = "running", [PS_STARTING] = "starting", [PS_STOPPED] = "stopped",
	[PS_PAUSED] = "paused",	  [PS_SILENT] = "no answer",  [PS_EXITED] = "exited",
	[PS_KILLED] = "killed",	  [PS_FAILED] = "failed",     [PS_LOST] = "lost",
};

static const enum ps_status ps_ends[KEPT_END_COUNT_] = {
	[KEPT_LOST] = PS_LOST,
	[KEPT_EXITED] = PS_EXITED,
	[KEPT_KILLED] = PS_KILLED,
	[KEPT_FAILED] = PS_FAILED,
};

/* One sandbox, as it is shown. */
struct ps_row {
	const struct box *box;
	enum ps_status status;
	bool has_facts;
	struct control_facts facts;
	int exit_code;	  /* of one that has ended; -1: of none */
	int64_t ended_ms; /* likewise; 0 */
	struct procs procs;
	struct freeze_look cgroup; /* of one that runs */
	int64_t now_ms;
};

/* ---- columns ---- */

static void ps_id(const struct ps_row *row, struct str_buf *out)
{
	str_buf_puts(out, row->box->label.id);
}

static void ps_name(const struct ps_row *row, struct str_buf *out)
{
	str_buf_puts(out, row->box->label.name);
}

static void ps_status(const struct ps_row *row, struct str_buf *out)
{
	str_buf_puts(out, ps_status_names[row->status]);
}

static void ps_age(const struct ps_row *row, struct str_buf *out)
{
	if (row->has_facts)
		cmd_put_age((row->now_ms - row->facts.created_ms) / 1000, out);
}

static void ps_add_time(int64_t time_ms, struct str_buf *out)
{
	time_t seconds = (time_t)(time_ms / 1000);
	char text[64] = "";
	struct tm tm;

	if (time_ms && localtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &tm))
		str_buf_puts(out, text);
}

static void ps_created(const struct ps_row *row, struct str_buf *out)
{
	ps_add_time(row->facts.created_ms, out);
}

static void ps_ended(const struct ps_row *row, struct str_buf *out)
{
	ps_add_time(row->ended_ms, out);
}

static void ps_procs(const struct ps_row *row, struct str_buf *out)
{
	if (row->has_facts && !row->box->ended)
		str_buf_printf(out, "%zu", row->procs.count);
}

/* In one of the units, to three digits or so. */
static void ps_memory(const struct ps_row *row, struct str_buf *out)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double amount = (double)row->cgroup.memory_bytes / 1024;
	size_t i = 0;

	for (; amount >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		amount /= 1024;
	if (row->cgroup.has_memory)
		str_buf_printf(out, "%.*f %s", i && amount < 100, amount, units[i]);
}

static void ps_memory_bytes(const struct ps_row *row, struct str_buf *out)
{
	if (row->cgroup.has_memory)
		str_buf_printf(out, "%llu", (unsigned long long)row->cgroup.memory_bytes);
}

static void ps_exit_code(const struct ps_row *row, struct str_buf *out)
{
	if (row->exit_code >= 0)
		str_buf_printf(out, "%d", row->exit_code);
}

static void ps_monitor(const struct ps_row *row, struct str_buf *out)
{
	if (!row->box->ended)
		str_buf_printf(out, "%d", row->box->monitor);
}

static void ps_network(const struct ps_row *row, struct str_buf *out)
{
	if (row->has_facts)
		str_buf_puts(out, boxes_network(&row->facts));
}

static void ps_ports(const struct ps_row *row, struct str_buf *out)
{
	if (row->has_facts && !row->box->ended)
		boxes_add_ports(out, &row->facts);
}

/* Of a monitor that is stopped there is its own command line. */
static void ps_command(const struct ps_row *row, struct str_buf *out)
{
	char path[64], *text = NULL;
	_autoarena_ struct arena arena = {.chunks = NULL};
	size_t len;

	if (row->has_facts) {
		boxes_add_command(out, row->facts.command, row->facts.command_len,
				  row->facts.command_is_cut);
		return;
	}
	arena_init(&arena);
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", row->box->monitor);
	if (io_read_file(path, PS_COMMAND_MAX, &arena, &text, &len) == 0 && len > 0)
		boxes_add_command(out, text, len, false);
}

static const struct ps_column {
	const char *title; /* in the list; NULL: not there */
	const char *field; /* in --format */
	const char *key;   /* in --json */
	bool is_number;
	bool of_ended; /* in the list only where those are in it */
	bool if_any;   /* in the list only where any row has something there */
	void (*add)(const struct ps_row *row, struct str_buf *out);
} ps_columns[] = {
	{"ID", "ID", "id", false, false, false, ps_id},
	{"NAME", "Name", "name", false, false, false, ps_name},
	{"STATUS", "Status", "status", false, false, false, ps_status},
	{"EXIT", "ExitCode", "exit-code", true, true, false, ps_exit_code},
	{"AGE", "Age", NULL, false, false, false, ps_age},
	{NULL, "Created", "created", false, false, false, ps_created},
	{NULL, "Ended", "ended", false, false, false, ps_ended},
	{"PROCS", "Processes", "processes", true, false, false, ps_procs},
	{"MEMORY", "Memory", NULL, false, false, true, ps_memory},
	{NULL, "MemoryBytes", "memory-bytes", true, false, false, ps_memory_bytes},
	{NULL, "Pid", "monitor-pid", true, false, false, ps_monitor},
	{NULL, "Network", "network", false, false, false, ps_network},
	{"PORTS", "Ports", NULL, false, false, true, ps_ports},
	{"COMMAND", "Command", NULL, false, false, false,
	 ps_command}, /* the last: it may be long */
};

/* ---- looking ---- */

/* One answer, or what can be known without. Return: 1 to be shown, 0 it has ended, -errno. */
static int ps_hear(struct ps_row *row, const struct ask *ask, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1};
	struct control_reply reply;
	int r = ask_receive(ask, PS_QUICK_MS, &reply, fds, err);

	if (r == -ETIMEDOUT && !ask_is_stopped(ask))
		r = ask_receive(ask, PS_TIMEOUT_MS, &reply, fds, err);
	if (r == -ESRCH)
		return 0;
	if (r == 0) {
		row->has_facts = true;
		row->facts = reply.facts;
		row->status = reply.facts.starting ? PS_STARTING : PS_RUNNING;
	} else {
		row->status = ask_is_stopped(ask) ? PS_STOPPED : PS_SILENT;
	}
	return 1;
}

/* One that has ended. What cannot be read is shown with what its name says. */
static void ps_fill_kept(struct ps_row *row)
{
	struct sbx_err ignored;
	struct kept kept;

	row->status = PS_LOST;
	if (box_read_kept(row->box, &kept, &ignored) < 0)
		return;
	row->has_facts = true;
	row->facts = kept.facts;
	row->status = ps_ends[kept.end];
	row->exit_code = kept.end == KEPT_LOST ? -1 : kept.exit_code;
	row->ended_ms = kept.ended_ms;
}

/* Of `n` sandboxes. Rows of those that have ended meanwhile are left out. */
static int ps_ask_batch(const struct box *boxes, size_t n, struct ps_row *rows, size_t *n_rows,
			struct sbx_err *err)
{
	struct ask asks[PS_BATCH];

	for (size_t i = 0; i < n; i++) {
		asks[i] = ASK_NONE;
		if (!boxes[i].ended)
			(void)ask_send(&boxes[i], CONTROL_FACTS, 0, &asks[i], err);
	}
	for (size_t i = 0; i < n; i++) {
		struct ps_row row = {.box = &boxes[i], .status = PS_SILENT, .exit_code = -1};

		if (boxes[i].ended)
			ps_fill_kept(&row);
		/* What cannot be verified is not shown as a sandbox. */
		if (boxes[i].ended || (asks[i].sock_fd >= 0 && ps_hear(&row, &asks[i], err) == 1))
			rows[(*n_rows)++] = row;
		ask_finish(&asks[i]);
	}
	return 0;
}

/* What the kernel tells of one that runs. Return: 0 or -ENOMEM. */
static int ps_look_inside(struct ps_row *row, const struct procs_all *all, struct arena *arena)
{
	int r = procs_of(all, row->facts.init_pid, row->facts.own_pids, arena, &row->procs);

	if (r < 0)
		return r;
	freeze_look(&row->facts, &row->procs, arena, &row->cgroup);
	if (row->status == PS_RUNNING && row->cgroup.frozen)
		row->status = PS_PAUSED;
	return 0;
}

static int ps_look(struct boxes *boxes, bool all_of_them, struct ps_row **ret_rows, size_t *ret_n,
		   struct sbx_err *err)
{
	struct procs_all all = {.count = 0};
	struct timespec now;
	struct box_list list = {.n_boxes = 0};
	size_t n = 0;
	struct ps_row *rows = NULL;
	int r = box_list(boxes->dirs, all_of_them ? BOX_ANY : BOX_RUNNING, boxes->arena, &list,
			 err);

	if (r < 0)
		return r;
	rows = arena_alloc(boxes->arena, (list.n_boxes + 1) * sizeof(*rows));
	if (!rows)
		return err_oom(err);
	for (size_t i = 0; i < list.n_boxes; i += PS_BATCH) {
		size_t left = list.n_boxes - i;

		(void)ps_ask_batch(&list.boxes[i], left < PS_BATCH ? left : PS_BATCH, rows, &n,
				   err);
	}
	r = n ? procs_look(boxes->arena, &all) : 0;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; r == 0 && i < n; i++) {
		rows[i].now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
		if (rows[i].has_facts && !rows[i].box->ended)
			r = ps_look_inside(&rows[i], &all, boxes->arena);
	}
	if (r < 0)
		return err_system(err, -r, "/proc", "cannot look at the processes");
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

/* ---- choosing ---- */

static const char *const ps_filter_keys[] = {"id", "name", "status"};

static int ps_check_filters(const struct cmd_words *words, struct sbx_err *err)
{
	for (size_t i = 0; i < words->n_given; i++) {
		const char *value = words->given[i].value;
		size_t len = strcspn(value, "=");
		bool known = false;

		if (words->given[i].id != CMD_OPT_FILTER)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(ps_filter_keys); k++)
			known = known || (strlen(ps_filter_keys[k]) == len &&
					  strncmp(ps_filter_keys[k], value, len) == 0);
		if (!known || value[len] != '=') {
			(void)err_usage(err, "--filter",
					"must be id=, name= or status=, not \"%s\"", value);
			return -EINVAL;
		}
	}
	return 0;
}

/* As docker's: of one key any may fit, of several keys each must. */
static bool ps_fits_key(const struct ps_row *row, const struct cmd_words *words, const char *key)
{
	bool asked = false;

	for (size_t i = 0; i < words->n_given; i++) {
		const char *value = words->given[i].value;
		size_t len = strlen(key);

		if (words->given[i].id != CMD_OPT_FILTER || strncmp(value, key, len) != 0)
			continue;
		asked = true;
		value += len + 1;
		if ((key[0] == 'i' && str_starts_with(row->box->label.id, value)) ||
		    (key[0] == 'n' && strstr(row->box->label.name, value)) ||
		    (key[0] == 's' && str_equal(ps_status_names[row->status], value)))
			return true;
	}
	return !asked;
}

static bool ps_fits(const struct ps_row *row, const struct cmd_words *words)
{
	for (size_t k = 0; k < ARRAY_SIZE(ps_filter_keys); k++)
		if (!ps_fits_key(row, words, ps_filter_keys[k]))
			return false;
	return true;
}

/* ---- showing ---- */

static void ps_add_cell(const struct ps_column *column, const struct ps_row *row,
			struct str_buf *cell)
{
	cell->len = 0;
	cell->data[0] = '\0';
	column->add(row, cell);
}

/* Columns of the terminal; 0: what is written is no terminal. */
static size_t ps_columns_of_terminal(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* @widths: 0: the column is left out */
static void ps_find_widths(const struct ps_row *rows, size_t n, bool all_of_them, size_t widths[])
{
	char room[PS_CELL_MAX];
	struct str_buf cell = STR_BUF_ON_STACK(room);

	for (size_t c = 0; c < ARRAY_SIZE(ps_columns); c++) {
		if (!ps_columns[c].title || (ps_columns[c].of_ended && !all_of_them))
			continue;
		widths[c] = ps_columns[c].if_any ? 0 : strlen(ps_columns[c].title);
		for (size_t i = 0; i < n && c + 1 < ARRAY_SIZE(ps_columns); i++) {
			ps_add_cell(&ps_columns[c], &rows[i], &cell);
			if (cell.len > widths[c])
				widths[c] = cell.len;
		}
		if (widths[c] && widths[c] < strlen(ps_columns[c].title))
			widths[c] = strlen(ps_columns[c].title);
	}
}

/* @row: NULL: the titles */
static void ps_print_line(const struct ps_row *row, const size_t widths[], size_t columns,
			  struct sink *sink)
{
	char room[PS_CELL_MAX], line_room[PS_CELL_MAX + 512];
	struct str_buf cell = STR_BUF_ON_STACK(room), line = STR_BUF_ON_STACK(line_room);

	for (size_t c = 0; c < ARRAY_SIZE(ps_columns); c++) {
		const struct ps_column *column = &ps_columns[c];

		if (!column->title || widths[c] == 0)
			continue;
		if (row)
			ps_add_cell(column, row, &cell);
		if (c + 1 < ARRAY_SIZE(ps_columns))
			str_buf_printf(&line, "%-*s  ", (int)widths[c],
				       row ? cell.data : column->title);
		else
			str_buf_puts(&line, row ? cell.data : column->title);
	}
	if (columns && line.len > columns)
		line.len = columns;
	sink_write(sink, line.data, line.len);
	sink_puts(sink, "\n");
}

static void ps_print_list(const struct ps_row *rows, size_t n, bool all_of_them, struct sink *sink)
{
	size_t widths[ARRAY_SIZE(ps_columns)] = {0}, columns = ps_columns_of_terminal();

	ps_find_widths(rows, n, all_of_them, widths);
	ps_print_line(NULL, widths, columns, sink);
	for (size_t i = 0; i < n; i++)
		ps_print_line(&rows[i], widths, columns, sink);
}

static void ps_print_json(const struct ps_row *rows, size_t n, struct sink *sink)
{
	struct json_out json = JSON_OUT(sink);

	json_open_array(&json, NULL);
	for (size_t i = 0; i < n; i++) {
		char room[PS_CELL_MAX];
		struct str_buf cell = STR_BUF_ON_STACK(room);
		uint64_t number;

		json_open_object(&json, NULL);
		for (size_t c = 0; c < ARRAY_SIZE(ps_columns); c++) {
			const struct ps_column *column = &ps_columns[c];

			if (!column->key)
				continue;
			ps_add_cell(column, &rows[i], &cell);
			if (column->is_number &&
			    str_parse_u64(cell.data, 10, UINT64_MAX, &number) == 0)
				json_add_uint(&json, column->key, number);
			else
				json_add_string(&json, column->key, cell.len ? cell.data : NULL);
		}
		publish_json(&json, "ports", rows[i].facts.ports,
			     rows[i].box->ended ? 0 : (size_t)rows[i].facts.n_ports);
		boxes_json_command(&json, rows[i].facts.command, rows[i].facts.command_len);
		json_close(&json);
	}
	json_close(&json);
	sink_puts(sink, "\n");
}

/* "{{.Name}}" at `at`. Return: its length with the braces, 0: it is none. */
static size_t ps_find_field(const char *at, const struct ps_column **ret_column)
{
	size_t lead, len;

	if (!str_starts_with(at, "{{"))
		return 0;
	lead = 2 + strspn(at + 2, " ");
	if (at[lead] != '.')
		return 0;
	len = strcspn(at + lead + 1, " }");
	for (size_t c = 0; c < ARRAY_SIZE(ps_columns); c++) {
		const char *end = at + lead + 1 + len;

		if (strlen(ps_columns[c].field) != len ||
		    strncmp(ps_columns[c].field, at + lead + 1, len) != 0)
			continue;
		end += strspn(end, " ");
		*ret_column = &ps_columns[c];
		return str_starts_with(end, "}}") ? (size_t)(end + 2 - at) : 0;
	}
	return 0;
}

static int ps_check_format(const char *format, struct sbx_err *err)
{
	const struct ps_column *column;
	char room[256];
	struct str_buf names = STR_BUF_ON_STACK(room);

	for (const char *at = strstr(format, "{{"); at; at = strstr(at + 2, "{{")) {
		if (ps_find_field(at, &column))
			continue;
		for (size_t c = 0; c < ARRAY_SIZE(ps_columns); c++)
			str_buf_printf(&names, "%s{{.%s}}", c ? ", " : "", ps_columns[c].field);
		(void)err_usage(err, "--format", "no such field: %.32s", at);
		err_hint(err, "there are %s", names.data);
		return -EINVAL;
	}
	return 0;
}

/* One line: fields are filled in, \t and \n are what they say. */
static void ps_print_format(const struct ps_row *row, const char *format, struct sink *sink)
{
	char room[PS_CELL_MAX];
	struct str_buf cell = STR_BUF_ON_STACK(room);

	while (*format) {
		const struct ps_column *column;
		size_t len = ps_find_field(format, &column);

		if (len) {
			ps_add_cell(column, row, &cell);
			sink_write(sink, cell.data, cell.len);
		} else if (format[0] == '\\' && (format[1] == 't' || format[1] == 'n')) {
			sink_puts(sink, format[1] == 't' ? "\t" : "\n");
			len = 2;
		} else {
			sink_write(sink, format, 1);
			len = 1;
		}
		format += len;
	}
	sink_puts(sink, "\n");
}

static int ps_print(const struct cmd_words *words, const struct ps_row *rows, size_t n,
		    struct sbx_err *err)
{
	const char *format = words->value[CMD_OPT_FORMAT];
	char room[16384];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	int r;

	if (words->value[CMD_OPT_QUIET])
		format = "{{.ID}}";
	if (words->value[CMD_OPT_JSON])
		ps_print_json(rows, n, &sink);
	else if (!format)
		ps_print_list(rows, n, words->value[CMD_OPT_ALL] != NULL, &sink);
	for (size_t i = 0; format && !words->value[CMD_OPT_JSON] && i < n; i++)
		ps_print_format(&rows[i], format, &sink);
	r = sink_finish(&sink);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

static int ps_once(const struct cmd_words *words, struct sbx_err *err)
{
	_autoboxes_ struct boxes boxes;
	struct ps_row *rows = NULL;
	size_t n = 0, kept = 0;
	int r = boxes_init(&boxes, err);

	if (r == 0)
		r = ps_look(&boxes, words->value[CMD_OPT_ALL] != NULL, &rows, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (ps_fits(&rows[i], words))
			rows[kept++] = rows[i];
	return ps_print(words, rows, kept, err);
}

/* Until a signal ends it, or nobody reads any more. */
static int ps_watch(const struct cmd_words *words, struct sbx_err *err)
{
	const struct timespec pause = {.tv_sec = PS_WATCH_SECONDS};
	bool clear = isatty(STDOUT_FILENO) == 1;

	for (;;) {
		int r = clear ? io_write_all(STDOUT_FILENO, "\033[H\033[2J", 7) : 0;

		r = r < 0 ? err_system(err, -r, "stdout", "cannot write") : ps_once(words, err);
		if (r < 0)
			return r;
		(void)nanosleep(&pause, NULL);
	}
}

int cmd_ps(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	struct cmd_words words = {.n_given = 0};
	int r = cmd_words_read(argc, argv, &words, err);

	if (r == 0)
		r = ps_check_filters(&words, err);
	if (r == 0 && words.value[CMD_OPT_FORMAT])
		r = ps_check_format(words.value[CMD_OPT_FORMAT], err);
	if (r == 0)
		r = words.value[CMD_OPT_WATCH] ? ps_watch(&words, err) : ps_once(&words, err);
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
