/* SPDX-License-Identifier: MIT */
/*
 * proc: vfork(2) and execve(2) with a clean environment.
 *
 * The child of vfork borrows this process's memory until it executes, so it does
 * nothing but system calls; the caller must have no other thread, which holds
 * for all of sbx. vfork waits for the exec, which for a program that is loaded
 * dynamically takes most of a millisecond; who has something to do meanwhile
 * asks for fork instead. While it waits nothing stops it either: where SIGSTOP, which
 * cannot be blocked, is sent to both just then, the parent shows as stopped only after
 * SIGCONT, as any program does that uses posix_spawn(3). A helper dies with sbx
 * (PR_SET_PDEATHSIG), except a set-user-ID one, for which the kernel clears that:
 * newuidmap ends by itself.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"

enum {
	PROC_CONFINED_SECONDS = 10,
	PROC_CONFINED_FILE_BYTES = 1 << 20,
	PROC_FDINFO_MAX_BYTES = 4096,
};

/* In the child: say why it does not come to an exec. */
static noreturn void proc_fail(const char *what)
{
	const char *why = strerror(errno);

	(void)io_write_all(STDERR_FILENO, what, strlen(what));
	(void)io_write_all(STDERR_FILENO, ": ", 2);
	(void)io_write_all(STDERR_FILENO, why, strlen(why));
	_exit(127);
}

/*
 * For a program that reads outside data: what it might be talked into, it can do neither
 * for long nor to anything. The alarm outlives execve(2), if it is neither ignored nor
 * blocked. Descriptors that the caller of sbx left open are none of its business either.
 */
static void proc_confine(void)
{
	static const struct {
		int resource;
		rlim_t limit;
	} limits[] = {
		{RLIMIT_CPU, PROC_CONFINED_SECONDS},
		{RLIMIT_FSIZE, PROC_CONFINED_FILE_BYTES},
		{RLIMIT_CORE, 0},
		{RLIMIT_NOFILE, 32},
	};
	static const char cannot[] = "cannot be confined";
	sigset_t none;

	/* A hard limit of the caller's that is lower stays: an ordinary user cannot raise it. */
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].resource, &limit) < 0)
			proc_fail(cannot);
		if (limit.rlim_max > limits[i].limit)
			limit.rlim_max = limits[i].limit;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].resource, &limit) < 0)
			proc_fail(cannot);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    sys_close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		proc_fail(cannot);
	sigemptyset(&none);
	if (signal(SIGALRM, SIG_DFL) == SIG_ERR || signal(SIGXCPU, SIG_DFL) == SIG_ERR ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		proc_fail(cannot);
	(void)alarm(PROC_CONFINED_SECONDS);
}

/*
 * For a program that lives as long as the sandbox. A caller who is root of his namespace
 * would have all capabilities again after execve(2).
 */
static void proc_set_apart(bool drops_itself)
{
	const unsigned long no_root = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;

	if (setsid() < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    (geteuid() == 0 && !drops_itself && prctl(PR_SET_SECUREBITS, no_root, 0, 0, 0) < 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		proc_fail("cannot be started without privileges");
}

/* What is ambient stays over execve(2); the rest goes (capabilities(7)), but for uid 0. */
static void proc_keep(uint64_t keep)
{
	if (sys_capset(keep, keep, keep) < 0)
		proc_fail("cannot be given its capabilities");
	for (unsigned cap = 0; cap < 64; cap++)
		if ((keep >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			proc_fail("cannot be given its capabilities");
}

/* In the child of vfork. The numbers 0-2 are open in the parent (main.c sees to that). */
static noreturn void proc_child(const struct proc_spawn *spawn, int null_fd, pid_t parent)
{
	static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};

	/*
	 * A program that lives long, or has privileges, is to be held and heard in any case; and
	 * what one prints that is listened to is not to go elsewhere.
	 */
	bool strict = spawn->apart || spawn->keep;
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL);

	if (spawn->cgroup_fd && *spawn->cgroup_fd >= 0 && write(*spawn->cgroup_fd, "0", 1) < 0)
		_exit(127);
	if (getppid() != parent)
		_exit(127); /* it was killed before that, and nobody is left to wait for us */
	r |= dup2(spawn->confined ? spawn->input_fd : null_fd, STDIN_FILENO);
	r |= dup2(spawn->output_fd >= 0 ? spawn->output_fd : null_fd, STDOUT_FILENO);
	r |= dup2(spawn->error_fd >= 0 ? spawn->error_fd : null_fd, STDERR_FILENO);
	if (r < 0 && (strict || spawn->confined || spawn->output_fd >= 0))
		_exit(127);
	if (spawn->apart)
		proc_set_apart(spawn->drops_itself);
	if (spawn->keep)
		proc_keep(spawn->keep);
	for (size_t i = 0; i < spawn->n_pass_fds; i++)
		if (fcntl(spawn->pass_fds[i], F_SETFD, 0) < 0)
			proc_fail("cannot be given a descriptor");
	if (spawn->sigmask)
		(void)sigprocmask(SIG_SETMASK, spawn->sigmask, NULL);
	if (spawn->confined)
		proc_confine();
	if (spawn->filter && sys_seccomp_filter(spawn->filter, spawn->n_filter, 0) < 0)
		proc_fail("cannot be started with a filter of its system calls");
	(void)execve(spawn->path, (char *const *)(uintptr_t)spawn->argv,
		     (char *const *)(uintptr_t)env);
	if (spawn->confined)
		proc_fail("cannot be executed");
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
	_autoclose_ int opened = open("/dev/null", O_RDWR | O_CLOEXEC), null_fd = -1;
	pid_t parent = getpid(), pid;

	assert(spawn->path[0] == '/');
	/* The monitor has closed its 0 and 1 at last: a copy onto itself would close on exec. */
	if (opened >= 0)
		null_fd = fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (null_fd < 0)
		return -errno;
	pid = spawn->beside ? fork() : vfork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		proc_child(spawn, null_fd, parent);
	*ret_pid = pid;
	return 0;
}

/**
 * Say that a program could not be started. That is rarely its own fault: that the program cannot
 * be executed shows later.
 * @number: errno of proc_start()
 * @what:   as "cannot start"
 *
 * Return: -errno with *err filled.
 */
int proc_refuse(const char *path, int number, const char *what, struct sbx_err *err)
{
	int r;

	if (access("/dev/null", R_OK | W_OK) == 0)
		return err_system(err, number, path, "%s", what);
	r = err_system(err, errno, "/dev/null", "cannot open, which takes starting %s", path);
	err_hint(err, "as root: mknod -m 666 /dev/null c 1 3; in a sandbox of sbx: start that with "
		      "--dev /dev");
	return r;
}

/* Wait for the end of a child. Return: 0, or -errno. @ret_status: as wait(2) has it. */
int proc_wait(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Is it stopped, as a job of a shell is? What cannot be looked at is not. */
bool proc_is_stopped(pid_t pid)
{
	char text[256], path[64];
	const char *end;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name before the state may hold anything, a parenthesis too. */
	end = strrchr(text, ')');
	return end && (str_starts_with(end, ") T ") || str_starts_with(end, ") t "));
}

/**
 * The number that a process has here: "Pid:" in what /proc says of its pidfd (proc(5)).
 *
 * Return: 0, or -errno (-ESRCH: it has ended, or has no number here).
 */
int proc_find_number(int pidfd, pid_t *ret_pid)
{
	static const char key[] = "\nPid:";
	_autoarena_ struct arena arena;
	char path[48], *text = NULL, *line;
	uint64_t number;
	size_t len;
	int r;

	arena_init(&arena);
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	r = io_read_file(path, PROC_FDINFO_MAX_BYTES, &arena, &text, &len);
	if (r < 0)
		return r;
	line = strstr(text, key);
	if (!line)
		return -ESRCH;
	line += strlen(key) + strspn(line + strlen(key), "\t ");
	line[strcspn(line, "\n")] = '\0';
	if (str_parse_u64(line, 10, INT_MAX, &number) < 0 || number == 0)
		return -ESRCH;
	*ret_pid = (pid_t)number;
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

/**
 * Run a program that answers a question, and keep what it prints.
 * @argv:     its path first
 * @sigmask:  the program's; NULL: as it is
 * @ret_text: in the arena
 *
 * Return: 0, or -errno with *err filled: its complaint.
 */
int proc_ask(const char *const *argv, const sigset_t *sigmask, size_t max_bytes,
	     struct arena *arena, char **ret_text, struct sbx_err *err)
{
	struct proc_spawn spawn = {
		.path = argv[0], .argv = argv, .sigmask = sigmask, .output_fd = -1};
	_autoclose_ int read_fd = -1, write_fd = -1;
	char complaint[256];
	int fds[2], status = 0, r;
	size_t len;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	spawn.error_fd = write_fd;
	r = proc_capture(&spawn, max_bytes, arena, ret_text, &len, &status);
	if (r < 0)
		return proc_refuse(argv[0], -r, "cannot run", err);
	if (status == 0)
		return 0;
	n = read(read_fd, complaint, sizeof(complaint) - 1);
	complaint[n > 0 ? n : 0] = '\0';
	complaint[strcspn(complaint, "\n")] = '\0';
	if (WIFSIGNALED(status))
		return err_refuse(err, ECANCELED, argv[0], "was killed by signal %d",
				  WTERMSIG(status));
	return err_refuse(err, ECANCELED, argv[0], "failed with exit status %d%s%s",
			  WEXITSTATUS(status), complaint[0] ? ": " : "", complaint);
}
