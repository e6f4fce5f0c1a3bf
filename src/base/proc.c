/* SPDX-License-Identifier: MIT */
/*
 * proc: vfork(2) and execve(2) with a clean environment.
 *
 * The child of vfork borrows this process's memory until it executes, so it does
 * nothing but system calls; the caller must have no other thread, which holds
 * for all of sbx. vfork waits for the exec, which for a program that is loaded
 * dynamically takes most of a millisecond; who has something to do meanwhile
 * asks for fork instead. A helper dies with sbx (PR_SET_PDEATHSIG), except a
 * set-user-ID one, for which the kernel clears that: newuidmap ends by itself.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"

/* In the child of vfork. The numbers 0-2 are open in the parent (main.c sees to that). */
static noreturn void proc_child(const struct proc_spawn *spawn, int null_fd)
{
	static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null_fd, STDIN_FILENO);
	(void)dup2(spawn->output_fd >= 0 ? spawn->output_fd : null_fd, STDOUT_FILENO);
	(void)dup2(spawn->error_fd >= 0 ? spawn->error_fd : null_fd, STDERR_FILENO);
	if (spawn->sigmask)
		(void)sigprocmask(SIG_SETMASK, spawn->sigmask, NULL);
	(void)execve(spawn->path, (char *const *)(uintptr_t)spawn->argv,
		     (char *const *)(uintptr_t)env);
	_exit(127);
}

/**
 * Start a program; its descriptors 0-2 are as @spawn says, all others that are
 * close-on-exec are closed.
 *
 * Return: 0, or -errno. That the program cannot be executed shows as exit status 127.
 */
int proc_start(const struct proc_spawn *spawn, pid_t *ret_pid)
{
	_autoclose_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	assert(spawn->path[0] == '/');
	if (null_fd < 0)
		return -errno;
	pid = spawn->beside ? fork() : vfork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		proc_child(spawn, null_fd);
	*ret_pid = pid;
	return 0;
}

/* Wait for the end of a child. Return: 0, or -errno. @ret_status: as wait(2) has it. */
int proc_wait(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/**
 * Run a program to its end and keep what it prints on stdout.
 * @spawn:      output_fd is ignored
 * @max_bytes:  more output is -EFBIG
 *
 * Return: 0, or -errno.
 */
int proc_capture(const struct proc_spawn *spawn, size_t max_bytes, struct arena *arena,
		 char **ret_output, size_t *ret_len, int *ret_status)
{
	struct proc_spawn with_pipe = *spawn;
	_autoclose_ int read_fd = -1, write_fd = -1;
	int fds[2], r, waited;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	with_pipe.output_fd = write_fd;
	r = proc_start(&with_pipe, &pid);
	if (r < 0)
		return r;
	close(take_fd(&write_fd));
	r = io_read_all(read_fd, max_bytes, arena, ret_output, ret_len);
	close(take_fd(&read_fd));
	waited = proc_wait(pid, ret_status);
	return r < 0 ? r : waited;
}
