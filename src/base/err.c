/* SPDX-License-Identifier: MIT */
/*
 * err: fill, annotate and print a struct sbx_err.
 *
 * Printed it looks like this; every part but the first line is optional:
 *
 *     sbx: --ro-bind /srv/data /data: cannot open source: Permission denied
 *          while: step 4 of 11, bind /srv/data at /data
 *          hint:  /srv is readable by uid 0 only; run "ls -ld /srv"
 *
 * Paths come from users and from trees that a hostile program may have written,
 * so control characters are shown escaped (str_escape), never sent to a terminal.
 */

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/err.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"

static void err_reset(struct sbx_err *err, int number)
{
	err->number = number;
	err->refused = 0;
	err->exit_code = ERR_EXIT_FAILED;
	err->level_prefix = false;
	err->usage = false;
	err->step = 0;
	err->n_steps = 0;
	err->option[0] = '\0';
	err->path[0] = '\0';
	err->what[0] = '\0';
	err->trail[0] = '\0';
	err->hint[0] = '\0';
}

PRINTF_LIKE(4, 0)
static void err_fill(struct sbx_err *err, int number, const char *path, const char *fmt, va_list ap)
{
	err_reset(err, number);
	if (path)
		str_copy(err->path, sizeof(err->path), path);
	(void)vsnprintf(err->what, sizeof(err->what), fmt, ap);
}

/**
 * A system call failed.
 * @number: its errno, positive; printed as text behind the message
 * @path:   the object, or NULL
 * @fmt:    what was tried ("cannot open source"), without the cause
 *
 * Return: -number.
 */
int err_system(struct sbx_err *err, int number, const char *path, const char *fmt, ...)
{
	va_list ap;

	assert(err && number > 0 && fmt);
	va_start(ap, fmt);
	err_fill(err, number, path, fmt, ap);
	va_end(ap);
	return -number;
}

/**
 * sbx itself says no: like err_system(), but the message holds the cause and
 * the text of @number is not printed. It is kept for the hints' table only.
 *
 * Return: -number.
 */
int err_refuse(struct sbx_err *err, int number, const char *path, const char *fmt, ...)
{
	va_list ap;

	assert(err && number > 0 && fmt);
	va_start(ap, fmt);
	err_fill(err, 0, path, fmt, ap);
	va_end(ap);
	err->refused = number;
	return -number;
}

/**
 * The command line is wrong.
 * @option: the word at fault as typed, or NULL
 *
 * Return: -EINVAL.
 */
int err_usage(struct sbx_err *err, const char *option, const char *fmt, ...)
{
	va_list ap;

	assert(err && fmt);
	va_start(ap, fmt);
	err_fill(err, 0, NULL, fmt, ap);
	va_end(ap);
	err->usage = true;
	if (option)
		str_copy(err->option, sizeof(err->option), option);
	return -EINVAL;
}

/* Out of memory. Return: -ENOMEM. */
int err_oom(struct sbx_err *err)
{
	return err_system(err, ENOMEM, NULL, "out of memory");
}

/* Name the option at fault unless somebody further down, who knew better, did. */
void err_set_option(struct sbx_err *err, const char *option)
{
	if (err->option[0] == '\0')
		str_copy(err->option, sizeof(err->option), option);
}

/* Add a line that says where in the work this happened. What does not fit is cut. */
void err_annotate(struct sbx_err *err, const char *fmt, ...)
{
	size_t len = strlen(err->trail);
	va_list ap;

	if (len > 0 && len + 1 < sizeof(err->trail))
		err->trail[len++] = '\n';
	va_start(ap, fmt);
	(void)vsnprintf(err->trail + len, sizeof(err->trail) - len, fmt, ap);
	va_end(ap);
}

/* Say what to do. The first hint stays: it is the one closest to the cause. */
void err_hint(struct sbx_err *err, const char *fmt, ...)
{
	va_list ap;

	if (err->hint[0] != '\0')
		return;
	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

/* What was tried and why it failed, in one line: "cannot open source: Permission denied". */
void err_describe(const struct sbx_err *err, struct str_buf *out)
{
	str_buf_escape(out, err->what, strlen(err->what));
	if (err->number)
		str_buf_printf(out, ": %s", strerror(err->number));
}

/*
 * Print `text` line by line behind an indent as wide as "sbx: ": the first behind
 * `label`, the others behind `next_label`.
 */
static void err_print_block(struct str_buf *out, size_t indent, const char *label,
			    const char *next_label, const char *text)
{
	for (const char *l = label; *text; l = next_label) {
		const char *end = strchrnul(text, '\n');

		str_buf_printf(out, "%*s%s", (int)indent, "", l);
		str_buf_escape(out, text, (size_t)(end - text));
		str_buf_puts(out, "\n");
		text = *end ? end + 1 : end;
	}
}

/**
 * Print the failure, in one write.
 * @program: the name before the first colon
 * @fd:      borrowed; write errors are ignored, there is nowhere to report them
 */
void err_print(const struct sbx_err *err, const char *program, int fd)
{
	char room[8192];
	struct str_buf out = STR_BUF_ON_STACK(room);

	str_buf_printf(&out, "%s%s: ", err->level_prefix ? "<3>" : "", program);
	if (err->option[0]) {
		str_buf_escape(&out, err->option, strlen(err->option));
		str_buf_puts(&out, ": ");
	}
	if (err->path[0] && !strstr(err->option, err->path)) {
		str_buf_escape(&out, err->path, strlen(err->path));
		str_buf_puts(&out, ": ");
	}
	err_describe(err, &out);
	str_buf_puts(&out, "\n");

	err_print_block(&out, strlen(program) + 2, "while: ", "while: ", err->trail);
	err_print_block(&out, strlen(program) + 2, "hint:  ", "       ", err->hint);
	(void)io_write_all(fd, out.data, out.len);
}
