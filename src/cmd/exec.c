/* SPDX-License-Identifier: MIT */
/*
 * exec: `sbx exec NAME COMMAND [ARG...]`: one more command in a sandbox that runs.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/box/enter.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/launch.h"
#include "sbx/spec/probe.h"

extern char **environ;

/* "1000" or "1000:100" */
static int exec_read_ids(const char *text, struct enter *enter, struct sbx_err *err)
{
	const uint64_t max = UINT32_MAX - 1;
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	uint64_t uid, gid;
	char first[16];

	if (len >= sizeof(first))
		return err_usage(err, "--uid", "must be UID[:GID], two numbers, not \"%s\"", text);
	memcpy(first, text, len);
	first[len] = '\0';
	if (str_parse_u64(first, 10, max, &uid) < 0 ||
	    str_parse_u64(colon ? colon + 1 : first, 10, max, &gid) < 0)
		return err_usage(err, "--uid", "must be UID[:GID], two numbers, not \"%s\"", text);
	enter->uid = (uid_t)uid;
	enter->gid = (gid_t)gid;
	return 0;
}

/* --env NAME=VALUE; of a NAME alone the value is ours, and without one it is left out. */
static int exec_read_env(const struct cmd_words *words, struct arena *arena, struct enter *enter,
			 struct sbx_err *err)
{
	const char **list = arena_alloc(arena, (words->n_given + 1) * sizeof(*list));

	if (!list)
		return err_oom(err);
	for (size_t i = 0; i < words->n_given; i++) {
		const char *text = words->given[i].value, *value;

		if (words->given[i].id != CMD_OPT_ENV)
			continue;
		if (text[0] == '\0' || text[0] == '=')
			return err_usage(err, "--env", "must be NAME or NAME=VALUE, not \"%s\"",
					 text);
		value = strchr(text, '=') ? NULL : probe_env(environ, text);
		if (!strchr(text, '=') && !value)
			continue;
		list[enter->n_env] = value ? arena_printf(arena, "%s=%s", text, value) : text;
		if (!list[enter->n_env++])
			return err_oom(err);
	}
	enter->env = list;
	return 0;
}

/*
 * Which of 0-2 the command gets.
 * @ret_null_fd: owned by the caller; for a command that is left alone, which has none of
 *               them, while we may still have something to say
 */
static int exec_set_stdio(const struct cmd_words *words, const struct enter *enter,
			  int *ret_null_fd, struct sbx_err *err)
{
	_autoclose_ int fd = -1;

	if (enter->tty && enter->terminals == 0) {
		(void)err_refuse(err, ENOTTY, NULL,
				 "there is no terminal to relay: none of the descriptors 0-2 is "
				 "one");
		err_set_option(err, "--tty");
		err_hint(err, "leave --tty out, or run sbx in a terminal (script(1) makes one)");
		return -ENOTTY;
	}
	if (!enter->detach && (words->value[CMD_OPT_INTERACTIVE] || isatty(STDIN_FILENO)))
		return 0;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0 || (!enter->detach && dup2(fd, STDIN_FILENO) < 0))
		return err_system(err, errno, "/dev/null", "cannot make it standard input");
	if (enter->detach)
		*ret_null_fd = take_fd(&fd);
	return 0;
}

static int exec_read(const struct cmd_words *words, struct arena *arena, struct enter *enter,
		     struct sbx_err *err)
{
	const struct probe_host host = {.terminals = -1};
	int r = 0;

	enter->argv = words->operands + 1;
	enter->chdir = words->value[CMD_OPT_CHDIR];
	enter->detach = words->value[CMD_OPT_DETACH] != NULL;
	enter->tty = words->value[CMD_OPT_TTY] && !enter->detach;
	if (words->value[CMD_OPT_USER])
		r = exec_read_ids(words->value[CMD_OPT_USER], enter, err);
	if (r == 0)
		r = exec_read_env(words, arena, enter, err);
	enter->terminals = enter->detach ? 0 : probe_terminals(&host);
	return r;
}

/* The command has begun. Its end is taken note of, or its sandbox could not end
 * (pid_namespaces(7)). */
static noreturn void exec_stay(const struct sbx_plan *plan, int started_fd)
{
	(void)io_write_all(started_fd, "", 1);
	close(started_fd);
	(void)setsid();
	if (chdir("/") < 0)
		errno = 0; /* then it keeps a directory in use; no more */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(plan->null_fd, fd);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}

/*
 * With --detach a process stays beside the command as its parent: who else it would be left to
 * may not wait for it, as process 1 of many a container does not, or not at once.
 */
static int exec_leave(const struct sbx_plan *plan, struct launch_caller caller, int *ret_exit_code,
		      struct sbx_err *err)
{
	_autoclose_ int started_fd = -1, tell_fd = -1;
	int fds[2], status, r;
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	started_fd = fds[0];
	tell_fd = fds[1];
	pid = fork();
	if (pid < 0)
		return err_system(err, errno, NULL, "cannot make a process");
	if (pid == 0) {
		close(take_fd(&started_fd));
		caller.notify_fd = tell_fd;
		r = launch_run(plan, &caller, ret_exit_code, err);
		if (r == 0 && *ret_exit_code == 0)
			exec_stay(plan, tell_fd);
		return r;
	}
	close(take_fd(&tell_fd));
	while ((r = (int)read(started_fd, &byte, 1)) < 0 && errno == EINTR)
		;
	*ret_exit_code = 0;
	if (r == 1)
		return 0;
	/* It has said why. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

int cmd_exec(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	const struct launch_caller caller = launch_note_caller(argv, environ);
	struct enter enter = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	_autoboxes_ struct boxes boxes;
	_autoclose_ int pidfd = -1, null_fd = -1, cgroup_fd = -1;
	struct cmd_words words;
	struct sbx_plan plan;
	struct box box = {.dir = NULL};
	int r = boxes_begin(argc, argv, &boxes, &words, err);

	if (r == 0)
		r = exec_read(&words, boxes.arena, &enter, err);
	if (r == 0)
		r = box_find(boxes.dirs, BOX_RUNNING, boxes.arena, words.operands[0], &box, err);
	if (r < 0)
		return r;
	plan_init(&plan);
	r = enter_plan(&box, &enter, &plan, &pidfd, &cgroup_fd, err);
	if (r == 0)
		r = exec_set_stdio(&words, &enter, &null_fd, err);
	plan.null_fd = null_fd;
	if (r == 0)
		r = enter.detach ? exec_leave(&plan, caller, ret_exit_code, err)
				 : launch_run(&plan, &caller, ret_exit_code, err);
	if (r < 0 && words.value[CMD_OPT_USER] && err->number == EINVAL)
		err_hint(err, "it must be mapped in the sandbox; sbx inspect %s shows what is",
			 words.operands[0]);
	plan_finish(&plan);
	return r;
}
