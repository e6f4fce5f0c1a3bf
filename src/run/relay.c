/* SPDX-License-Identifier: MIT */
/*
 * relay: the monitor's side of the sandbox's own terminal.
 *
 * Theory of operation
 *
 * The caller's terminal is opened anew, so that it can be non-blocking for us and
 * stay as it is for the caller's shell, which shares 0-2. While it is "taken" it is
 * raw and what is typed is read; the line discipline that makes a signal of Ctrl-C
 * is the inner one then. What the sandbox prints is always written, taken or not.
 *
 *     not taken    sbx is in the background, or nobody has asked for the keyboard
 *     taken        in the foreground, and the command reads or may read
 *
 * It is taken at once where standard input and output both are the terminal. In a
 * pipeline it is taken when the command is stopped for reading, so that
 * "sbx --pty -- make | less" leaves the keyboard to less. It is given back before
 * the monitor stops, and at the end.
 *
 * There is one buffer for each direction. A direction reads when its buffer is
 * empty, so a slow reader slows the writer down and nothing is lost. At the end
 * the master is read until it has no more: by then everyone who could write is dead.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/run/relay.h"
#include "sbx/spec/hints.h"

enum { RELAY_BUFFER_BYTES = 16384 };

struct relay_buffer {
	size_t start, end; /* what is still to be written; start == end: empty */
	char data[RELAY_BUFFER_BYTES];
};

struct relay {
	int terminal_fd;	/* owned; -1: it has hung up */
	int master_fd;		/* owned; -1: not there yet, or closed since nobody listens */
	bool taken;		/* see above */
	bool wanted;		/* to be taken whenever sbx is in the foreground */
	bool at_end;		/* nobody has the sandbox's terminal open */
	bool all_ours;		/* standard input and output both are the terminal */
	struct termios saved;	/* the caller's, while taken */
	struct relay_buffer in; /* typed, for the sandbox */
	struct relay_buffer out;
};

/* ---- the caller's terminal ---- */

/* Open a path if it is this terminal. Return: a descriptor or -errno. */
static int relay_open_path(const char *path, uint32_t device)
{
	_autoclose_ int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	uint32_t found;
	int r;

	if (fd < 0)
		return -errno;
	r = fd_get_terminal(fd, &found);
	if (r < 0)
		return r;
	return found == device ? take_fd(&fd) : -ENXIO;
}

/*
 * The controlling terminal can always be opened by that name, also after su(1), when
 * its node belongs to somebody else; any other terminal only through its node.
 */
static int relay_open_terminal(const struct sbx_plan *plan, int *ret_fd, struct sbx_err *err)
{
	int from = __builtin_ctz(plan->pty_fds);
	char path[32];
	uint32_t device;
	int r = fd_get_terminal(from, &device);

	if (r == 0)
		r = relay_open_path("/dev/tty", device);
	if (r < 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
		r = fd_get_terminal(from, &device);
		r = r < 0 ? r : relay_open_path(path, device);
	}
	if (r < 0) {
		(void)err_system(err, -r, NULL, "cannot open the terminal on descriptor %d", from);
		hint_add(err, HINT_TERMINAL);
		return r;
	}
	*ret_fd = r;
	return 0;
}

/**
 * Make ready to relay, before PID 1 is born.
 * @ret_start: how the terminal is now, for PID 1
 *
 * Return: 0; or -errno with *err filled. The caller's terminal is not changed yet.
 */
int relay_open(const struct sbx_plan *plan, struct relay **ret_relay, struct pty_start *ret_start,
	       struct sbx_err *err)
{
	const uint32_t in_and_out = (1u << STDIN_FILENO) | (1u << STDOUT_FILENO);
	struct relay *relay = malloc(sizeof(*relay));
	int r;

	if (!relay)
		return err_oom(err);
	memset(relay, 0, offsetof(struct relay, in));
	relay->in.start = relay->in.end = relay->out.start = relay->out.end = 0;
	relay->terminal_fd = -1;
	relay->master_fd = -1;
	relay->all_ours = (plan->pty_fds & in_and_out) == in_and_out;
	relay->wanted = relay->all_ours;
	r = relay_open_terminal(plan, &relay->terminal_fd, err);
	if (r == 0 && (tcgetattr(relay->terminal_fd, &ret_start->termios) < 0 ||
		       ioctl(relay->terminal_fd, TIOCGWINSZ, &ret_start->size) < 0)) {
		r = err_system(err, errno, NULL, "cannot tell how the terminal is set");
		hint_add(err, HINT_TERMINAL);
	}
	if (r < 0) {
		relay_close(relay);
		return r;
	}
	ret_start->foreground = relay->wanted && relay_is_in_foreground(relay);
	ret_start->as_callers = ret_start->foreground;
	*ret_relay = relay;
	return 0;
}

/* Give the terminal back and let go of both. */
void relay_close(struct relay *relay)
{
	if (!relay)
		return;
	relay_release_terminal(relay);
	defs_cleanup_fd(&relay->terminal_fd);
	defs_cleanup_fd(&relay->master_fd);
	free(relay);
}

int relay_terminal_fd(const struct relay *relay)
{
	return relay ? relay->terminal_fd : -1;
}

/* Are both terminals there? */
bool relay_is_running(const struct relay *relay)
{
	return relay && relay->terminal_fd >= 0 && relay->master_fd >= 0;
}

/* A terminal that is not our controlling one knows no background. */
bool relay_is_in_foreground(const struct relay *relay)
{
	pid_t group = relay->terminal_fd < 0 ? 0 : tcgetpgrp(relay->terminal_fd);

	return group < 0 ? errno == ENOTTY : group == getpgrp();
}

bool relay_wants_terminal(const struct relay *relay)
{
	return relay->wanted;
}

/*
 * In a pipeline the others go on printing to this terminal: newlines stay what they
 * were for them.
 */
static void relay_make_raw(const struct relay *relay, struct termios *termios)
{
	tcflag_t output = termios->c_oflag;

	cfmakeraw(termios);
	if (!relay->all_ours)
		termios->c_oflag = output;
	termios->c_cc[VMIN] = 1;
	termios->c_cc[VTIME] = 0;
}

/**
 * Take the terminal, if sbx is in its foreground: raw, with what is typed for the sandbox.
 *
 * It is set again where it was taken before: SIGSTOP leaves no time to give it back,
 * and the shell may have set it since. SIGTTOU is blocked in the monitor, so between
 * the look and the setting nothing stops us.
 */
bool relay_take_terminal(struct relay *relay)
{
	struct termios raw;

	if (!relay_is_in_foreground(relay))
		return false;
	if (!relay->taken && tcgetattr(relay->terminal_fd, &relay->saved) < 0)
		return false;
	raw = relay->saved;
	relay_make_raw(relay, &raw);
	/* At once: to wait until all is printed could be to wait for a terminal that is held. */
	if (tcsetattr(relay->terminal_fd, TCSANOW, &raw) < 0)
		return false;
	relay->taken = true;
	relay->wanted = true;
	relay_pass_size(relay);
	return true;
}

/* Set the terminal as it was. In the background it is the shell's, and is left alone. */
void relay_release_terminal(struct relay *relay)
{
	if (relay->taken && relay_is_in_foreground(relay))
		(void)tcsetattr(relay->terminal_fd, TCSANOW, &relay->saved);
	relay->taken = false;
}

/* The inner foreground gets SIGWINCH from the kernel, if the size is another one. */
void relay_pass_size(struct relay *relay)
{
	struct winsize size;

	if (relay->master_fd >= 0 && relay->terminal_fd >= 0 &&
	    ioctl(relay->terminal_fd, TIOCGWINSZ, &size) == 0)
		(void)ioctl(relay->master_fd, TIOCSWINSZ, &size);
}

/* ---- bytes ---- */

static bool relay_buffer_is_empty(const struct relay_buffer *buffer)
{
	return buffer->start == buffer->end;
}

/* Fill an empty buffer. Return: what read(2) says, or -errno. */
static ssize_t relay_buffer_read(struct relay_buffer *buffer, int fd)
{
	ssize_t n = read(fd, buffer->data, sizeof(buffer->data));

	buffer->start = 0;
	buffer->end = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n;
}

/* Write what the descriptor takes. Return: 0 (perhaps with a rest) or -errno. */
static int relay_buffer_write(struct relay_buffer *buffer, int fd)
{
	while (!relay_buffer_is_empty(buffer)) {
		ssize_t n = write(fd, buffer->data + buffer->start, buffer->end - buffer->start);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buffer->start += (size_t)n;
	}
	return 0;
}

/* The caller's terminal is gone: so is the sandbox's, and whoever uses it is told. */
static int relay_hang_up(struct relay *relay)
{
	relay->taken = false;
	close(take_fd(&relay->terminal_fd));
	if (relay->master_fd >= 0)
		close(take_fd(&relay->master_fd));
	return -EIO;
}

/*
 * From the sandbox to the terminal, once.
 * @ret_empty: there was nothing to carry
 *
 * Return: 0 or -errno when the terminal is gone.
 */
static int relay_carry_out(struct relay *relay, bool *ret_empty)
{
	*ret_empty = false;
	if (relay_buffer_is_empty(&relay->out)) {
		ssize_t n = relay_buffer_read(&relay->out, relay->master_fd);

		relay->at_end = n == 0 || n == -EIO;
		*ret_empty = n <= 0;
	}
	return relay_buffer_write(&relay->out, relay->terminal_fd);
}

/* What was typed, to the sandbox. Return: 0 or -errno when the terminal is gone. */
static int relay_carry_in(struct relay *relay, bool readable)
{
	ssize_t n = 1;

	if (readable && relay->taken && relay_buffer_is_empty(&relay->in))
		n = relay_buffer_read(&relay->in, relay->terminal_fd);
	if (n == -EIO && !relay_is_in_foreground(relay)) {
		/* Somebody took the foreground from us while we ran. */
		relay_release_terminal(relay);
		return 0;
	}
	if (n < 0 && n != -EAGAIN && n != -EINTR)
		return (int)n;
	/* Where the inner one is hung up, nobody is left to read this. */
	if (relay_buffer_write(&relay->in, relay->master_fd) < 0)
		relay->in.start = relay->in.end;
	return 0;
}

/* ---- in the monitor's poll ---- */

/**
 * The sandbox's terminal has come: begin.
 * @master_fd: taken
 *
 * Return: 0 or -errno with *err filled.
 */
int relay_start(struct relay *relay, int *master_fd, struct sbx_err *err)
{
	_autoclose_ int fd = take_fd(master_fd);

	if (!relay || relay->master_fd >= 0)
		return err_refuse(err, EPROTO, NULL, "a terminal came that nobody asked for");
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot set up the new terminal");
	relay->master_fd = take_fd(&fd);
	if (!relay->wanted || !relay_is_in_foreground(relay)) {
		relay_pass_size(relay);
		return 0;
	}
	if (relay_take_terminal(relay))
		return 0;
	(void)err_system(err, errno, NULL, "cannot set the terminal");
	hint_add(err, HINT_TERMINAL);
	return -err->number;
}

/* poll(2) tells a hang-up whatever is asked for, again and again: at its end the master is left
 * out. */
void relay_fill_poll(const struct relay *relay, struct pollfd *terminal, struct pollfd *master)
{
	*terminal = (struct pollfd){.fd = -1};
	*master = (struct pollfd){.fd = -1};
	if (!relay_is_running(relay))
		return;
	terminal->fd = relay->terminal_fd;
	if (relay->taken && relay_buffer_is_empty(&relay->in))
		terminal->events |= POLLIN;
	if (!relay_buffer_is_empty(&relay->out))
		terminal->events |= POLLOUT;
	if (relay_buffer_is_empty(&relay->out))
		master->events |= POLLIN;
	if (!relay_buffer_is_empty(&relay->in))
		master->events |= POLLOUT;
	if (master->events && !relay->at_end)
		master->fd = relay->master_fd;
}

/**
 * Carry what there is, a buffer at most, so that signals are not kept waiting.
 *
 * Return: 0, or -EIO once when the caller's terminal has hung up.
 */
int relay_turn(struct relay *relay, const struct pollfd *terminal, const struct pollfd *master)
{
	bool empty;
	int r = 0;

	if (terminal->revents & (POLLHUP | POLLERR | POLLNVAL))
		return relay_hang_up(relay);
	if ((master->revents & ~POLLOUT) || (terminal->revents & POLLOUT))
		r = relay_carry_out(relay, &empty);
	if (r == 0 && (terminal->revents & POLLIN || master->revents & POLLOUT))
		r = relay_carry_in(relay, terminal->revents & POLLIN);
	return r < 0 ? relay_hang_up(relay) : 0;
}

/**
 * Behind the end of the sandbox: write what it has said.
 *
 * Return: true when that is done, or nobody is there to read it.
 */
bool relay_drain(struct relay *relay)
{
	bool empty = false;

	if (!relay_is_running(relay))
		return true;
	while (!empty) {
		if (relay_carry_out(relay, &empty) < 0)
			return true;
		if (!relay_buffer_is_empty(&relay->out))
			return false;
	}
	return true;
}
