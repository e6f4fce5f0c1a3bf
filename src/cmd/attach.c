/* SPDX-License-Identifier: MIT */
/*
 * attach: `sbx attach NAME`: connect with the command of a detached sandbox.
 *
 * What the command prints comes from its monitor, in packets (run/control.h). What it is to
 * read goes to it directly: the monitor has given us the other end of its standard input, or
 * the master of its terminal, of which only the monitor reads.
 *
 * With a terminal on both sides ours is raw while we are in its foreground, and what is
 * typed is looked through for the keys that detach. Its size is the inner one's.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/detach_keys.h"
#include "sbx/run/signals.h"

enum { ATTACH_TYPED_MAX = 4096 };

struct attach {
	struct box box;
	struct ask ask;	     /* owned */
	int input_fd;	     /* owned; of the command; -1: it reads nothing, or not from us */
	int signal_fd;	     /* owned */
	bool has_terminal;   /* the command */
	bool at_terminal;    /* it, and we too */
	bool taken;	     /* our terminal is raw */
	bool passes_signals; /* to the command */
	bool input_ended;
	struct termios saved; /* our terminal's, while taken */
	struct detach_keys keys;
	char text[ATTACH_TYPED_MAX + DETACH_KEYS_MAX]; /* still to be written to the command */
	size_t text_start, text_end;
	/* What the end was: */
	enum { ATTACH_GOES_ON, ATTACH_BOX_ENDED, ATTACH_DETACHED, ATTACH_SIGNAL } end;
	int exit_code;
};

/* ---- our terminal ---- */

static bool attach_is_in_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 ? errno == ENOTTY : group == getpgrp();
}

/* The inner foreground gets SIGWINCH from the kernel, if the size is another one. */
static void attach_pass_size(const struct attach *a)
{
	struct winsize size;

	if (a->input_fd >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(a->input_fd, TIOCSWINSZ, &size);
}

/*
 * Whoever comes anew sees nothing of what is on the screen. A program that draws it does
 * so again for another size.
 */
static void attach_have_it_drawn(const struct attach *a)
{
	struct winsize size;

	if (a->input_fd < 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	size.ws_col++;
	(void)ioctl(a->input_fd, TIOCSWINSZ, &size);
	attach_pass_size(a);
}

/* SIGTTOU is blocked, so between the look and the setting nothing stops us. */
static void attach_take_terminal(struct attach *a)
{
	struct termios raw;

	if (!a->at_terminal || a->input_fd < 0 || a->input_ended || !attach_is_in_foreground() ||
	    (!a->taken && tcgetattr(STDIN_FILENO, &a->saved) < 0))
		return;
	raw = a->saved;
	cfmakeraw(&raw);
	a->taken = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	attach_pass_size(a);
}

static void attach_release_terminal(struct attach *a)
{
	if (a->taken && attach_is_in_foreground())
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &a->saved);
	a->taken = false;
}

/*
 * Stopped by somebody, not by a key, or for want of the terminal: it is left to the shell until
 * we are continued.
 */
static void attach_stop(struct attach *a)
{
	attach_release_terminal(a);
	(void)kill(getpid(), SIGSTOP);
	attach_take_terminal(a);
}

/* ---- bytes ---- */

static bool attach_has_text(const struct attach *a)
{
	return a->text_start < a->text_end;
}

/* What there is, as far as the command takes it. It may have closed its end, or gone. */
static void attach_write_text(struct attach *a)
{
	ssize_t n = write(a->input_fd, a->text + a->text_start, a->text_end - a->text_start);

	if (n > 0)
		a->text_start += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		close(take_fd(&a->input_fd));
	if (a->input_fd < 0)
		a->text_start = a->text_end;
}

/* The end of our standard input is that of the command's, where that can have one. */
static int attach_end_input(struct attach *a, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct control_reply reply;

	a->input_ended = true;
	if (a->has_terminal)
		return 0;
	defs_cleanup_fd(&a->input_fd);
	a->input_fd = -1;
	r = ask(&a->box, CONTROL_CLOSE_INPUT, 0, &reply, fds, err);
	return r == -ESRCH ? 0 : r;
}

static int attach_read_typed(struct attach *a, struct sbx_err *err)
{
	char typed[ATTACH_TYPED_MAX];
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno == EIO && !attach_is_in_foreground()) {
		attach_stop(a); /* as SIGTTIN does, which is blocked */
		return 0;
	}
	if (n <= 0 && a->at_terminal) {
		a->end = ATTACH_DETACHED; /* it has hung up */
		return 0;
	}
	if (n <= 0)
		return attach_end_input(a, err);
	a->text_start = 0;
	if (detach_keys_filter(&a->keys, typed, (size_t)n, a->text, &a->text_end))
		a->end = ATTACH_DETACHED;
	if (attach_has_text(a))
		attach_write_text(a);
	return 0;
}

/* Some output, or the end of the sandbox. Return: 0, or -errno with *err filled. */
static int attach_hear(struct attach *a, struct sbx_err *err)
{
	static union {
		uint32_t kind;
		struct control_output output;
		struct control_reply reply;
	} packet;
	ssize_t n = recv(a->ask.sock_fd, &packet, sizeof(packet), MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_refuse(err, ESRCH, a->box.label.id,
				  "its monitor was killed; nobody knows an exit code");
	if (packet.kind == CONTROL_VERSION && n == (ssize_t)sizeof(packet.reply)) {
		a->end = ATTACH_BOX_ENDED;
		a->exit_code = packet.reply.facts.exit_code;
		return 0;
	}
	if ((packet.kind != CONTROL_STREAM_OUT && packet.kind != CONTROL_STREAM_ERR) ||
	    n < CONTROL_OUTPUT_HEAD)
		return err_refuse(err, EPROTO, a->box.label.id, "its monitor sent nonsense");
	r = io_write_all(packet.kind == CONTROL_STREAM_ERR ? STDERR_FILENO : STDOUT_FILENO,
			 packet.output.data, (size_t)n - CONTROL_OUTPUT_HEAD);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

/* ---- signals ---- */

/*
 * Continued: in the foreground with the terminal. In the background there is no use for
 * one who is to type, and nobody tells us when the shell makes it the foreground.
 */
static void attach_come_back(struct attach *a)
{
	if (a->at_terminal && !a->input_ended && !attach_is_in_foreground())
		attach_stop(a);
	else
		attach_take_terminal(a);
}

static int attach_on_signal(struct attach *a, struct sbx_err *err)
{
	struct signalfd_siginfo info;
	int sig, r;

	if (read(a->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	sig = (int)info.ssi_signo;
	if (sig == SIGWINCH) {
		attach_take_terminal(a);
		return 0;
	}
	if (sig == SIGCONT) {
		attach_come_back(a);
		return 0;
	}
	if (signals_stop_a_process(sig)) {
		attach_stop(a);
		return 0;
	}
	/* The terminal has hung up: that is our end, and not the command's. */
	if (sig == SIGHUP && info.ssi_code == SI_KERNEL) {
		a->end = ATTACH_DETACHED;
		return 0;
	}
	if (!a->passes_signals) {
		a->exit_code = 128 + sig;
		if (signals_end_a_process(sig))
			a->end = ATTACH_SIGNAL;
		return 0;
	}
	r = boxes_signal(&a->box, sig, err);
	return r == -ESRCH ? 0 : r;
}

/* ---- the whole ---- */

/* Wait once, and act. Return: 0, or -errno with *err filled. */
static int attach_turn(struct attach *a, struct sbx_err *err)
{
	bool reads = a->input_fd >= 0 && !a->input_ended && !attach_has_text(a) &&
		     (!a->at_terminal || a->taken);
	struct pollfd pfds[] = {
		{.fd = a->ask.sock_fd, .events = POLLIN},
		{.fd = a->signal_fd, .events = POLLIN},
		{.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = attach_has_text(a) ? a->input_fd : -1, .events = POLLOUT},
	};
	int r = 0;

	if (poll(pfds, ARRAY_SIZE(pfds), -1) < 0)
		return errno == EINTR ? 0 : err_system(err, errno, NULL, "cannot wait for events");
	if (pfds[3].revents)
		attach_write_text(a);
	if (pfds[1].revents)
		r = attach_on_signal(a, err);
	if (r == 0 && a->end == ATTACH_GOES_ON && pfds[2].revents)
		r = attach_read_typed(a, err);
	if (r == 0 && a->end == ATTACH_GOES_ON && pfds[0].revents)
		r = attach_hear(a, err);
	return r;
}

static int attach_refuse(const struct attach *a, int result, struct sbx_err *err)
{
	if (result == -EOPNOTSUPP) {
		(void)err_refuse(err, EOPNOTSUPP, a->box.label.id,
				 "cannot be attached to: its command has the terminal or files of "
				 "whoever started it");
		err_hint(err, "only one that was started with --detach can be; sbx exec starts "
			      "another command in it");
	} else if (result == -EAGAIN) {
		(void)err_refuse(err, EAGAIN, a->box.label.id,
				 "is still starting, there is nothing to attach to yet");
	}
	return result;
}

static int attach_connect(struct attach *a, bool no_stdin, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct control_reply reply = {.result = 0};

	r = ask_send(&a->box, CONTROL_ATTACH, 0, &a->ask, err);
	if (r < 0)
		return r;
	r = ask_receive(&a->ask, ASK_TIMEOUT_MS, &reply, fds, err);
	if (r < 0)
		return reply.result < 0 ? attach_refuse(a, reply.result, err) : r;
	a->input_fd = take_fd(&fds[0]);
	control_close_fds(fds);
	a->has_terminal = reply.facts.has_terminal;
	a->at_terminal = a->has_terminal && isatty(STDIN_FILENO) == 1;
	a->input_ended = no_stdin;
	if (!a->at_terminal)
		a->keys.count = 0;
	return 0;
}

/* Begun in the background of our terminal: as one who reads from it, before it holds anybody up. */
static void attach_await_foreground(bool no_stdin)
{
	if (!no_stdin && isatty(STDIN_FILENO) == 1 && !attach_is_in_foreground())
		(void)kill(getpid(), SIGTTIN);
}

static int attach_read_options(const struct cmd_words *words, struct attach *a, struct sbx_err *err)
{
	const char *keys = words->value[CMD_OPT_DETACH_KEYS];
	const char *proxy = words->value[CMD_OPT_SIG_PROXY];

	if (detach_keys_parse(keys ? keys : "ctrl-p,ctrl-q", &a->keys) < 0)
		return err_usage(err, "--detach-keys",
				 "must be letters or ctrl-LETTER with commas between them, at most "
				 "%d, not \"%s\"",
				 DETACH_KEYS_MAX, keys);
	if (proxy && !str_equal(proxy, "true") && !str_equal(proxy, "false"))
		return err_usage(err, "--sig-proxy", "must be true or false, not \"%s\"", proxy);
	a->passes_signals = !proxy || str_equal(proxy, "true");
	return 0;
}

/* Until something ends it. Signals are blocked from here on. */
static int attach_run(struct attach *a, struct sbx_err *err)
{
	sigset_t ignored;
	int r = signals_block(&ignored);

	if (r == 0)
		r = signals_open(&a->signal_fd, false, false);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot receive signals");
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_system(err, errno, NULL, "cannot ignore a signal");
	attach_take_terminal(a);
	if (a->taken)
		attach_have_it_drawn(a);
	while (r == 0 && a->end == ATTACH_GOES_ON)
		r = attach_turn(a, err);
	attach_release_terminal(a);
	return r;
}

static void attach_tell_detached(const struct attach *a)
{
	char room[256];
	struct str_buf text = STR_BUF_ON_STACK(room);

	str_buf_printf(&text, "\nsbx: detached from %s\n",
		       a->box.label.name[0] ? a->box.label.name : a->box.label.id);
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

int cmd_attach(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	static struct attach a; /* its memory goes with the process */
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	a = (struct attach){.ask = ASK_NONE, .input_fd = -1, .signal_fd = -1};
	if (r == 0)
		r = attach_read_options(&words, &a, err);
	if (r == 0)
		r = box_find(boxes.dirs, BOX_RUNNING, boxes.arena, words.operands[0], &a.box, err);
	if (r == 0)
		attach_await_foreground(words.value[CMD_OPT_NO_STDIN] != NULL);
	if (r == 0)
		r = attach_connect(&a, words.value[CMD_OPT_NO_STDIN] != NULL, err);
	if (r == 0)
		r = attach_run(&a, err);
	if (r == 0 && a.end == ATTACH_DETACHED)
		attach_tell_detached(&a);
	if (r == 0)
		*ret_exit_code = a.end == ATTACH_DETACHED ? 0 : a.exit_code;
	ask_finish(&a.ask);
	defs_cleanup_fd(&a.input_fd);
	defs_cleanup_fd(&a.signal_fd);
	return r;
}
