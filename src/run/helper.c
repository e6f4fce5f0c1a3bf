/* SPDX-License-Identifier: MIT */
/*
 * helper: start a program, know when it is ready, hear why it has ended, and end it.
 *
 * The program is a child, held by a pidfd and PR_SET_PDEATHSIG. A program that changes
 * its credentials loses the latter (prctl(2)), so each is also told of our end by a pipe.
 * What it writes to stderr goes to a pipe that it does not wait for: one with much to say
 * must not stop over that.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/base/sys.h"
#include "sbx/run/helper.h"

void helper_init(struct helper *helper)
{
	*helper = (struct helper){.pidfd = -1, .ready_fd = -1, .hold_fd = -1, .error_fd = -1};
}

static void helper_forget(struct helper *helper)
{
	const int *cgroup_fd = helper->cgroup_fd;
	int *fds[] = {&helper->pidfd, &helper->ready_fd, &helper->hold_fd, &helper->error_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		defs_cleanup_fd(fds[i]);
	helper_init(helper);
	helper->cgroup_fd = cgroup_fd;
}

/*
 * What a program that leads a session has left in it, as slirp4netns has a child at first,
 * ends before the sandbox does. It is ours by then: see helper_start().
 */
static void helper_end_rest(pid_t pid)
{
	int status;

	(void)kill(-pid, SIGKILL);
	while (proc_wait(-pid, &status) == 0)
		;
}

/* Kill it and wait. */
static void helper_end(pid_t pid)
{
	int status;

	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	(void)proc_wait(pid, &status);
	helper_end_rest(pid);
}

/* End it if it is still there. It ends by the pipes, too, where a signal is refused. */
void helper_finish(struct helper *helper)
{
	int *holds[] = {&helper->hold_fd, &helper->ready_fd};

	for (size_t i = 0; i < ARRAY_SIZE(holds); i++) {
		defs_cleanup_fd(holds[i]);
		*holds[i] = -1;
	}
	if (helper->pid > 0)
		helper_end(helper->pid);
	helper_forget(helper);
}

/* A pipe above the standard descriptors, whose numbers the monitor has free. */
int helper_pipe(int *ret_read, int *ret_write)
{
	int low[2], high[2], r = 0;

	if (pipe2(low, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		high[i] = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (high[i] < 0)
			r = -errno;
		close(low[i]);
	}
	if (r < 0) {
		defs_cleanup_fd(&high[0]);
		defs_cleanup_fd(&high[1]);
		return r;
	}
	*ret_read = high[0];
	*ret_write = high[1];
	return 0;
}

/**
 * Start it. One with a hold may have children: these are left to us when it ends, by itself
 * or not (PR_SET_CHILD_SUBREAPER).
 * @spawn: its error_fd is made here
 *
 * Return: 0, or -errno; then helper_finish() cleans up.
 */
int helper_start(struct helper *helper, struct proc_spawn *spawn)
{
	_autoclose_ int errors = -1;
	int r = helper_pipe(&helper->error_fd, &errors);

	if (r < 0)
		return r;
	if (helper->hold_fd >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	spawn->error_fd = errors;
	spawn->cgroup_fd = helper->cgroup_fd;
	r = proc_start(spawn, &helper->pid);
	spawn->error_fd = -1;
	if (r < 0)
		return r;
	helper->pidfd = sys_pidfd_open(helper->pid);
	return helper->pidfd < 0 ? -errno : 0;
}

/* Return: true when it has said that it is ready. Its end shows on pidfd. */
bool helper_hear(struct helper *helper)
{
	char byte;
	ssize_t n = read(helper->ready_fd, &byte, 1);

	/* It has closed its end and may live: what is left to wait for is the end of its time. */
	if (n == 0)
		close(take_fd(&helper->ready_fd));
	return n == 1;
}

/* Forget what it has said so far, so that there is room for what it says at its end. */
void helper_hush(struct helper *helper)
{
	char text[4096];

	while (helper->error_fd >= 0 && read(helper->error_fd, text, sizeof(text)) > 0)
		;
}

static bool helper_is_noise(const char *const *noise, const char *line)
{
	for (; noise && *noise; noise++)
		if (str_starts_with(line, *noise))
			return true;
	return *line == '\0';
}

/* The first line that says something. */
static const char *helper_read_complaint(int fd, const char *const *noise, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	char *line = text;

	text[n > 0 ? n : 0] = '\0';
	while (*line) {
		size_t len = strcspn(line, "\n");
		bool last = line[len] == '\0';

		line[len] = '\0';
		if (!helper_is_noise(noise, line))
			return line;
		line += len + !last;
	}
	return "";
}

/* How it ended, as the words behind its name. */
static void helper_describe_end(const struct helper *helper, const char *const *noise, int status,
				struct str_buf *how)
{
	char text[1024];
	const char *complaint = helper_read_complaint(helper->error_fd, noise, text, sizeof(text));

	if (WIFSIGNALED(status))
		str_buf_printf(how, "was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127 && complaint[0] == '\0')
		str_buf_puts(how, "cannot be executed");
	else
		str_buf_printf(how, "has ended with exit status %d%s", WEXITSTATUS(status),
			       complaint[0] ? ": " : "");
	if (!WIFSIGNALED(status))
		str_buf_escape(how, complaint, strlen(complaint));
}

static bool helper_wait(struct helper *helper, int options, const char *const *noise,
			int *ret_status, struct str_buf *how)
{
	pid_t pid;

	do {
		errno = 0;
		pid = helper->pid > 0 ? waitpid(helper->pid, ret_status, options) : -1;
	} while (pid < 0 && errno == EINTR);
	if (pid < 0 || pid != helper->pid)
		return false;
	if (helper->hold_fd >= 0)
		helper_end_rest(helper->pid);
	helper_describe_end(helper, noise, *ret_status, how);
	helper_forget(helper);
	return true;
}

/**
 * Has it ended?
 * @noise:      how lines begin that are no complaint; NULL-terminated, or NULL
 * @ret_status: as wait(2) has it; only where it has ended, as @how
 *
 * Return: true when it has, and is forgotten; else errno is why it cannot be told, or 0.
 */
bool helper_reap(struct helper *helper, const char *const *noise, int *ret_status,
		 struct str_buf *how)
{
	return helper_wait(helper, WNOHANG, noise, ret_status, how);
}

/**
 * As helper_reap(), of one whose end the pidfd has told. Where somebody traces it, he hears of
 * the end before wait(2) does here (ptrace(2)), which is waited for.
 */
bool helper_reap_ended(struct helper *helper, const char *const *noise, int *ret_status,
		       struct str_buf *how)
{
	return helper_wait(helper, 0, noise, ret_status, how);
}
