/* SPDX-License-Identifier: MIT */
/*
 * session: start a program, talk to it, collect what it says.
 *
 * Theory of operation
 *
 * The program is started by posix_spawn() in a process group of its own, so
 * that all of it can be ended at once. With a pty it becomes leader of a new
 * session and the first open of the terminal makes that its controlling one.
 * Every wait is one poll() over its output and its pidfd with a deadline: no
 * test sleeps. A program has ended when its pidfd says so; a child that it left
 * behind and that still holds the pipe is not waited for.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "testlib.h"

/* The program's ends of what connects us; closed once it has them. */
struct spawn_ends {
	int in, out, err;
	char terminal[64]; /* "" without a pty */
};

static void pipe_make(int *ret_read, int *ret_write)
{
	int ends[2];

	cr_assert(pipe2(ends, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
	*ret_read = ends[0];
	*ret_write = ends[1];
}

static void input_make(struct session *session, struct spawn_ends *ends,
		       const struct run_options *options)
{
	size_t len = options->input ? strlen(options->input) : 0;

	pipe_make(&ends->in, &session->in);
	if (len)
		cr_assert(write(session->in, options->input, len) == (ssize_t)len);
	if (!options->open_input)
		close(take_fd(&session->in));
}

static void pty_make(struct session *session, struct spawn_ends *ends,
		     const struct run_options *options)
{
	session->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert(session->out >= 0, "posix_openpt: %s", strerror(errno));
	cr_assert(grantpt(session->out) == 0 && unlockpt(session->out) == 0);
	cr_assert(ptsname_r(session->out, ends->terminal, sizeof(ends->terminal)) == 0);
	session->in = fcntl(session->out, F_DUPFD_CLOEXEC, 3);
	session_resize(session, options->rows ? options->rows : 24,
		       options->columns ? options->columns : 80);
}

static void ends_make(struct session *session, struct spawn_ends *ends,
		      const struct run_options *options)
{
	if (options->pty) {
		pty_make(session, ends, options);
	} else {
		input_make(session, ends, options);
		pipe_make(&session->out, &ends->out);
		pipe_make(&session->err, &ends->err);
		cr_assert(fcntl(session->err, F_SETFL, O_NONBLOCK) == 0);
	}
	cr_assert(fcntl(session->out, F_SETFL, O_NONBLOCK) == 0);
}

static void actions_add_stdio(posix_spawn_file_actions_t *actions, const struct spawn_ends *ends)
{
	if (ends->terminal[0]) {
		posix_spawn_file_actions_addopen(actions, 0, ends->terminal, O_RDWR, 0);
		posix_spawn_file_actions_adddup2(actions, 0, 1);
		posix_spawn_file_actions_adddup2(actions, 0, 2);
	} else {
		posix_spawn_file_actions_adddup2(actions, ends->in, 0);
		posix_spawn_file_actions_adddup2(actions, ends->out, 1);
		posix_spawn_file_actions_adddup2(actions, ends->err, 2);
	}
}

/* Signals as a login shell has them, whatever Criterion did to its worker. */
static void attributes_make(posix_spawnattr_t *attributes, bool pty)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_init(attributes);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setpgroup(attributes, 0);
	posix_spawnattr_setflags(attributes,
				 (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					 (pty ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP)));
}

static void spawn(struct session *session, const struct run_options *options,
		  const struct spawn_ends *ends, const char *const *argv)
{
	char *const *env = options->env ? (char *const *)options->env : environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	posix_spawn_file_actions_init(&actions);
	actions_add_stdio(&actions, ends);
	for (size_t i = 0; i < TEST_MAX_FDS && options->fds[i].to; i++)
		posix_spawn_file_actions_adddup2(&actions, options->fds[i].from,
						 options->fds[i].to);
	if (options->cwd)
		posix_spawn_file_actions_addchdir_np(&actions, options->cwd);
	attributes_make(&attributes, options->pty);

	r = posix_spawnp(&session->pid, argv[0], &actions, &attributes, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	cr_assert(r == 0, "cannot start %s: %s", argv[0], strerror(r));
}

/**
 * Start a program.
 * @session: filled
 * @options: borrowed; NULL for none
 * @argv:    NULL-terminated; the first is looked up in PATH
 *
 * A program that cannot be started fails the test.
 */
void session_start(struct session *session, const struct run_options *options,
		   const char *const *argv)
{
	static const struct run_options none;
	struct spawn_ends ends = {.in = -1, .out = -1, .err = -1};

	if (!options)
		options = &none;
	*session = (struct session){
		.pidfd = -1,
		.in = -1,
		.out = -1,
		.err = -1,
		.timeout_ms =
			test_deadline(options->timeout_ms ? options->timeout_ms : TEST_TIMEOUT_MS),
		.result = {.out = strdup(""), .err = strdup("")},
	};
	ends_make(session, &ends, options);
	spawn(session, options, &ends, argv);
	defs_cleanup_fd(&ends.in);
	defs_cleanup_fd(&ends.out);
	defs_cleanup_fd(&ends.err);

	session->pidfd = (int)syscall(SYS_pidfd_open, session->pid, 0);
	cr_assert(session->pidfd >= 0, "pidfd_open: %s", strerror(errno));
}

/* Append what can be read at once; at the end of file close it. True: something was read. */
static bool collect(int *fd, char **text, size_t *len)
{
	char chunk[4096];
	ssize_t n;

	if (*fd < 0)
		return false;
	n = read(*fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* a pty whose other side is closed says EIO */
		close(take_fd(fd));
		return false;
	}
	*text = realloc(*text, *len + (size_t)n + 1);
	cr_assert(*text);
	memcpy(*text + *len, chunk, (size_t)n);
	*len += (size_t)n;
	(*text)[*len] = '\0';
	return true;
}

static bool collect_both(struct session *session)
{
	struct run_result *result = &session->result;
	bool out = collect(&session->out, &result->out, &result->out_len);
	bool err = collect(&session->err, &result->err, &result->err_len);

	return out || err;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait for output or the end. False: the deadline has passed. */
static bool session_wait(struct session *session, int64_t deadline, bool *ret_ended)
{
	struct pollfd fds[] = {
		{.fd = session->pidfd, .events = POLLIN},
		{.fd = session->out, .events = POLLIN},
		{.fd = session->err, .events = POLLIN},
	};
	int64_t left = deadline - now_ms();
	int r = poll(fds, ARRAY_SIZE(fds), left > 0 ? (int)left : 0);

	*ret_ended = fds[0].revents != 0;
	return r != 0;
}

/* Search bytes, not strings: output may hold NULs. */
static bool session_match(struct session *session, const char *text)
{
	const struct run_result *result = &session->result;
	const char *found = memmem(result->out + session->matched,
				   result->out_len - session->matched, text, strlen(text));

	if (found)
		session->matched = (size_t)(found - result->out) + strlen(text);
	return found != NULL;
}

/**
 * Wait until the program has printed `text`, after what was matched before.
 *
 * Return: false if it ended, or the time was up, without saying so; what it
 * said is in session->result.out.
 */
bool session_expect(struct session *session, const char *text)
{
	int64_t deadline = now_ms() + session->timeout_ms;
	bool ended = false;

	while (!session_match(session, text)) {
		if (collect_both(session))
			continue;
		if (ended || !session_wait(session, deadline, &ended))
			return false;
	}
	return true;
}

void session_send(struct session *session, const char *text)
{
	size_t len = strlen(text);

	cr_assert(write(session->in, text, len) == (ssize_t)len, "send: %s", strerror(errno));
}

void session_resize(struct session *session, unsigned short rows, unsigned short columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	cr_assert(ioctl(session->out, TIOCSWINSZ, &size) == 0);
}

static void session_reap(struct session *session)
{
	int status = 0;

	while (waitpid(session->pid, &status, 0) < 0 && errno == EINTR)
		;
	session->pid = 0;
	session->result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/**
 * Wait for the program's end and hand over what it printed.
 *
 * Standard input is closed first (not a terminal). Past the session's time all
 * of it is killed and timed_out is set.
 */
struct run_result session_finish(struct session *session)
{
	int64_t deadline = now_ms() + session->timeout_ms;
	struct run_result result;
	bool ended = false;

	if (session->err >= 0)
		defs_cleanup_fd(&session->in), session->in = -1;
	while (!ended) {
		if (session_wait(session, deadline, &ended)) {
			collect_both(session);
		} else {
			session->result.timed_out = true;
			kill(-session->pid, SIGKILL);
			break;
		}
	}
	while (collect_both(session))
		;
	session_reap(session);
	result = session->result;
	session->result = (struct run_result){.status = result.status};
	session_stop(session);
	return result;
}

/* Drop a session, whatever its state; the program is killed if it still runs. */
void session_stop(struct session *session)
{
	if (session->pid > 0) {
		kill(-session->pid, SIGKILL);
		session_reap(session);
	}
	close(take_fd(&session->pidfd));
	defs_cleanup_fd(&session->in);
	defs_cleanup_fd(&session->out);
	defs_cleanup_fd(&session->err);
	session->in = session->out = session->err = -1;
	run_result_finish(&session->result);
}

struct run_result run_argv(const struct run_options *options, const char *const *argv)
{
	struct session session;

	session_start(&session, options, argv);
	return session_finish(&session);
}

void run_result_finish(struct run_result *result)
{
	free(take_ptr(result->out));
	free(take_ptr(result->err));
}
