/* SPDX-License-Identifier: MIT */
/*
 * detach: see detach.h.
 *
 * The command's standard output and error are pipes to the monitor, whose poll(2) carries
 * what comes to the log, and to who is attached (control.c). With --pty there is a terminal in
 * their place, whose master is the monitor's. A third pipe is the sign of the start: its one end is
 * in PID 1, which closes it when it has forked the command, and in the command's process, where
 * execve(2) closes it. So its end of file says that the command has been executed, or that
 * it could not be, and then that has been said on PID 1's socket before.
 *
 * From then on the starter's standard error is not ours any more. What sbx has to say goes where
 * that of the command goes, by a pipe from the monitor to itself that is its standard error; so no
 * module needs to know. Both its ends do not block: who is both must not wait for himself.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/run/detach.h"

static_assert((int)LOG_ENTRY_MAX <= (int)CONTROL_OUTPUT_MAX, "what is logged is sent at once");

enum { DETACH_OUT, DETACH_ERR, DETACH_TERMINAL, DETACH_SAID, DETACH_STARTED };

enum { DETACH_SAID_MAX = 4096 }; /* taken at once of what sbx says */

/* Where whoever starts it has no terminal, as that of a terminal that nobody has resized. */
enum { DETACH_ROWS = 24, DETACH_COLUMNS = 80 };

void detach_init(struct detach *detach)
{
	memset(detach, 0, sizeof(*detach));
	for (size_t i = 0; i < DETACH_SOURCES; i++)
		detach->read_fds[i] = detach->write_fds[i] = -1;
	detach->stdin_fd = detach->input_fd = -1;
	detach->notify_fd = -1;
	detach->null_fd = -1;
	detach->log.fd = -1;
}

/* Who writes to it does not wait for the command; whoever attaches has the same open file. */
static int detach_open_input(struct detach *detach, struct sbx_err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	detach->stdin_fd = fds[0];
	detach->input_fd = fds[1];
	if (fcntl(fds[1], F_SETFL, O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot set up a pipe");
	return 0;
}

/* Before PID 1 is born. Return: 0, or -errno with *err filled. */
int detach_open(struct detach *detach, const struct sbx_plan *plan, int notify_fd,
		struct sbx_err *err)
{
	detach->notify_fd = notify_fd;
	detach->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (detach->null_fd < 0)
		return err_system(err, errno, "/dev/null", "cannot open");
	for (size_t i = 0; i < DETACH_SOURCES; i++) {
		int fds[2];

		if (i == DETACH_TERMINAL)
			continue;
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_system(err, errno, NULL, "cannot make a pipe");
		detach->read_fds[i] = fds[0];
		detach->write_fds[i] = fds[1];
		/* The command's own end must block, or it would lose what it prints. */
		if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
			return err_system(err, errno, NULL, "cannot set up a pipe");
	}
	if (fcntl(detach->write_fds[DETACH_SAID], F_SETFL, O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot set up a pipe");
	return plan->has_input ? detach_open_input(detach, err) : 0;
}

/* How the command's terminal begins: as large as the starter's, if that has one. */
void detach_begin_terminal(struct pty_start *ret_start)
{
	*ret_start = (struct pty_start){.foreground = true};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (ioctl(fd, TIOCGWINSZ, &ret_start->size) == 0 && ret_start->size.ws_row)
			return;
	ret_start->size = (struct winsize){.ws_row = DETACH_ROWS, .ws_col = DETACH_COLUMNS};
}

/* In the child that becomes PID 1: the standard descriptors, and none of the monitor's ends. */
void detach_become_child(struct detach *detach)
{
	(void)dup2(detach->stdin_fd >= 0 ? detach->stdin_fd : detach->null_fd, STDIN_FILENO);
	(void)dup2(detach->write_fds[DETACH_OUT], STDOUT_FILENO);
	(void)dup2(detach->write_fds[DETACH_ERR], STDERR_FILENO);
	close(take_fd(&detach->write_fds[DETACH_OUT]));
	close(take_fd(&detach->write_fds[DETACH_ERR]));
	close(take_fd(&detach->write_fds[DETACH_SAID]));
	for (size_t i = 0; i < DETACH_SOURCES; i++)
		if (detach->read_fds[i] >= 0)
			close(take_fd(&detach->read_fds[i]));
	if (detach->stdin_fd >= 0) {
		close(take_fd(&detach->stdin_fd));
		close(take_fd(&detach->input_fd));
	}
	close(take_fd(&detach->null_fd));
	close(take_fd(&detach->notify_fd));
}

/* In the monitor, when PID 1 is there. Return: 0, or -errno with *err filled. */
int detach_begin(struct detach *detach, const struct register_entry *record, struct sbx_err *err)
{
	int r = log_open(&detach->log, record->dir_fd, &record->label);

	for (size_t i = 0; i < DETACH_SOURCES; i++)
		if (detach->write_fds[i] >= 0 && i != DETACH_SAID)
			close(take_fd(&detach->write_fds[i]));
	if (detach->stdin_fd >= 0)
		close(take_fd(&detach->stdin_fd));
	return r < 0 ? register_fail(record, -r, "cannot make the log", err) : 0;
}

/**
 * The command's terminal has come.
 * @master_fd: taken
 *
 * Return: 0, or -errno with *err filled.
 */
int detach_take_terminal(struct detach *detach, int *master_fd, struct sbx_err *err)
{
	_autoclose_ int fd = take_fd(master_fd);

	if (detach->read_fds[DETACH_TERMINAL] >= 0)
		return err_refuse(err, EPROTO, NULL, "a terminal came that nobody asked for");
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot set up the new terminal");
	detach->control->input_fd = fd;
	detach->control->has_terminal = true;
	detach->read_fds[DETACH_TERMINAL] = take_fd(&fd);
	return 0;
}

/* Nobody writes to the command any more. A terminal has no end but its hanging up. */
void detach_close_input(struct detach *detach)
{
	if (detach->input_fd < 0)
		return;
	detach->control->input_fd = -1;
	close(take_fd(&detach->input_fd));
}

/* Output waits while somebody who is attached has not got what came before. */
void detach_fill_poll(const struct detach *detach, struct pollfd pfds[DETACH_SOURCES])
{
	bool heard = control_is_heard(detach->control);

	for (size_t i = 0; i < DETACH_SOURCES; i++)
		pfds[i] = (struct pollfd){
			.fd = heard || i == DETACH_STARTED ? detach->read_fds[i] : -1,
			.events = POLLIN,
		};
}

static void detach_print(struct detach *detach, bool is_error, const char *data, size_t len)
{
	log_write(&detach->log, is_error, data, len);
	if (control_is_heard(detach->control))
		control_print(detach->control, is_error, data, len);
	if (is_error || detach->control->has_terminal)
		detach->in_line = data[len - 1] != '\n';
}

/* Lines of sbx's own: not behind half a line of the command's, and right on its terminal too. */
static void detach_print_said(struct detach *detach, const char *data, size_t len)
{
	bool raw = detach->control->has_terminal;
	char room[2 * DETACH_SAID_MAX + 3];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (detach->in_line)
		str_buf_puts(&text, raw ? "\r\n" : "\n");
	for (size_t i = 0; i < len; i++)
		str_buf_printf(&text, raw && data[i] == '\n' ? "\r%c" : "%c", data[i]);
	detach_print(detach, true, text.data, text.len);
}

/* Carry what there is, an entry at most. Return: false: there is no more now. */
static bool detach_carry(struct detach *detach, size_t source)
{
	char data[LOG_ENTRY_MAX];
	size_t size = source == DETACH_SAID ? DETACH_SAID_MAX : sizeof(data);
	ssize_t n = read(detach->read_fds[source], data, size);

	if (n > 0 && source == DETACH_SAID) {
		detach_print_said(detach, data, (size_t)n);
	} else if (n > 0) {
		detach_print(detach, source == DETACH_ERR, data, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		if (source == DETACH_TERMINAL)
			detach->control->input_fd = -1;
		close(take_fd(&detach->read_fds[source]));
	}
	return n > 0;
}

/* Return: true once, when the command has been executed. */
bool detach_turn(struct detach *detach, const struct pollfd pfds[DETACH_SOURCES])
{
	for (size_t i = 0; i < DETACH_STARTED; i++)
		if (pfds[i].revents && control_is_heard(detach->control))
			(void)detach_carry(detach, i);
	if (!pfds[DETACH_STARTED].revents)
		return false;
	close(take_fd(&detach->read_fds[DETACH_STARTED]));
	return true;
}

/* Has the starter been told of the start, and so gone? Not before there was anything to tell. */
bool detach_is_told(const struct detach *detach)
{
	return detach->null_fd >= 0 && detach->notify_fd < 0;
}

/* Let go of the starter: it is told the id, and its terminal and files are not ours any more. */
void detach_tell_start(struct detach *detach, const struct label *label)
{
	struct detach_news news = {.started = 1};

	if (detach->notify_fd < 0)
		return;
	str_copy(news.id, sizeof(news.id), label->id);
	(void)send(detach->notify_fd, &news, sizeof(news), MSG_NOSIGNAL);
	close(take_fd(&detach->notify_fd));
	for (int fd = STDIN_FILENO; fd < STDERR_FILENO; fd++)
		(void)dup2(detach->null_fd, fd);
	(void)dup2(detach->write_fds[DETACH_SAID], STDERR_FILENO);
}

/* At the end: what has been printed and not read yet. Everybody who could print is dead. */
void detach_drain(struct detach *detach)
{
	control_await_readers(detach->control);
	for (size_t i = 0; i < DETACH_STARTED; i++)
		while (detach->read_fds[i] >= 0 && detach_carry(detach, i))
			control_await_readers(detach->control);
}

/* At the very end: what sbx has said. Who is attached and does not read is not waited for. */
void detach_drain_words(struct detach *detach)
{
	while (detach->read_fds[DETACH_SAID] >= 0 && detach_carry(detach, DETACH_SAID))
		;
}

/* What is said from here on is lost; but to write it must not be the end of the monitor. */
void detach_finish(struct detach *detach)
{
	if (detach_is_told(detach))
		(void)dup2(detach->null_fd, STDERR_FILENO);
	for (size_t i = 0; i < DETACH_SOURCES; i++) {
		defs_cleanup_fd(&detach->read_fds[i]);
		defs_cleanup_fd(&detach->write_fds[i]);
		detach->read_fds[i] = detach->write_fds[i] = -1;
	}
	defs_cleanup_fd(&detach->stdin_fd);
	defs_cleanup_fd(&detach->input_fd);
	defs_cleanup_fd(&detach->null_fd);
	detach->stdin_fd = detach->input_fd = detach->null_fd = -1;
	log_remove(&detach->log);
}
