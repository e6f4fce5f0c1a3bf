/* SPDX-License-Identifier: MIT */
/*
 * doctor: what all probes share.
 *
 * Theory of operation
 *
 * What a sandbox needs is best known by doing it: a switch that is read says what one
 * kernel means by it, a namespace that was made says that it can be made. So a probe that
 * can, does: in a child, which makes namespaces, mounts, filters and processes, and reports
 * one struct doctor_answer. All that it made is its own and goes with it. Nothing is made
 * that has a name on the host.
 *
 * A child that does not answer in time is killed; its own children ask for a signal at
 * its death, as everything does that sbx starts.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/doctor/probes.h"
#include "sbx/run/idmap.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/resolve.h"

enum {
	DOCTOR_TIMEOUT_MS = 30 * 1000,
	DOCTOR_OUTPUT_MAX = 64 << 10,
	DOCTOR_NUMBER_MAX = 4096,
};

int doctor_init(struct doctor *d, char *const *environ_, struct sbx_err *err)
{
	memset(d, 0, sizeof(*d));
	arena_init(&d->arena);
	spec_init(&d->spec);
	return probe_host(&d->arena, environ_, true, &d->host, err);
}

void doctor_finish(struct doctor *d)
{
	spec_finish(&d->spec);
	arena_finish(&d->arena);
}

/* ---- findings ---- */

void doctor_say(struct doctor_finding *ret, enum doctor_status status, const char *fmt, ...)
{
	va_list ap;

	ret->status = status;
	va_start(ap, fmt);
	(void)vsnprintf(ret->detail, sizeof(ret->detail), fmt, ap);
	va_end(ap);
}

void doctor_mend(struct doctor_finding *ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(ret->remedy, sizeof(ret->remedy), fmt, ap);
	va_end(ap);
}

/* The words that a launch would print, without its options. */
void doctor_blame(struct doctor_finding *ret, const struct sbx_err *err)
{
	struct str_buf out = {.data = ret->detail, .size = sizeof(ret->detail)};

	ret->status = DOCTOR_FAILS;
	ret->detail[0] = '\0';
	if (err->path[0]) {
		str_buf_escape(&out, err->path, strlen(err->path));
		str_buf_puts(&out, ": ");
	}
	err_describe(err, &out);
	str_copy(ret->remedy, sizeof(ret->remedy), err->hint);
}

/* ---- children ---- */

/* Be uid and gid 0 of the new user namespace, as who executes programs there has to be. */
static int doctor_map_own(const struct doctor *d, struct sbx_err *err)
{
	struct sbx_plan plan;
	int r;

	plan_init(&plan);
	plan.uid_map.own_outside = d->host.uid;
	plan.gid_map.own_outside = d->host.gid;
	r = idmap_write_own(&plan, err);
	plan_finish(&plan);
	return r;
}

static noreturn void doctor_child(struct doctor *d, const struct doctor_probe *probe,
				  unsigned long namespaces, doctor_fn *fn, int fd)
{
	struct doctor_answer answer;
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(&answer, 0, sizeof(answer));
	if (namespaces & CLONE_NEWUSER)
		r = doctor_map_own(d, &answer.err);
	if (r == 0)
		r = fn(d, probe, &answer, &answer.err);
	answer.result = r;
	_exit(io_write_all(fd, (const char *)&answer, sizeof(answer)) < 0 ? 1 : 0);
}

static int doctor_left_ms(const struct timespec *end)
{
	struct timespec now;
	long long ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (end->tv_sec - now.tv_sec) * 1000LL + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

/* Return: was all of it there in time? */
static bool doctor_hear(int fd, struct doctor_answer *ret)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	struct timespec end;
	size_t got = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += DOCTOR_TIMEOUT_MS / 1000;
	while (got < sizeof(*ret)) {
		int r = poll(&ready, 1, doctor_left_ms(&end));
		ssize_t n;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		n = read(fd, (char *)ret + got, sizeof(*ret) - got);
		if (n <= 0 && !(n < 0 && errno == EINTR))
			return false;
		got += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static pid_t doctor_clone(struct doctor *d, const struct doctor_probe *probe,
			  unsigned long namespaces, doctor_fn *fn, const int fds[2],
			  struct sbx_err *err)
{
	const struct clone_args args = {.flags = namespaces, .exit_signal = SIGCHLD};
	pid_t pid = sys_clone3(&args);
	int number = errno;

	if (pid == 0) {
		close(fds[0]);
		doctor_child(d, probe, namespaces, fn, fds[1]);
	}
	if (pid > 0)
		return pid;
	(void)err_system(err, number, NULL,
			 namespaces & CLONE_NEWUSER ? "cannot create a user namespace"
						    : "cannot create a process");
	hint_add(err, HINT_CLONE);
	return -number;
}

/**
 * Do something in a child, and hear what came of it.
 * @namespaces: CLONE_NEW* of the child; with CLONE_NEWUSER it is 0 there
 * @ret:        filled where it failed
 *
 * Return: did it succeed? Then *ret_answer has the child's text.
 */
bool doctor_try(struct doctor *d, const struct doctor_probe *probe, unsigned long namespaces,
		doctor_fn *fn, struct doctor_answer *ret_answer, struct doctor_finding *ret)
{
	_autoclose_ int read_fd = -1, write_fd = -1;
	int fds[2], status;
	struct sbx_err err;
	bool heard;
	pid_t pid;

	if ((namespaces & CLONE_NEWUSER) && d->no_userns) {
		doctor_say(ret, DOCTOR_FAILS, "needs a user namespace, see user-namespaces");
		return false;
	}
	if (pipe2(fds, O_CLOEXEC) < 0) {
		(void)err_system(&err, errno, NULL, "cannot make a pipe");
		hint_add(&err, HINT_ANY);
		doctor_blame(ret, &err);
		return false;
	}
	read_fd = fds[0];
	write_fd = fds[1];
	pid = doctor_clone(d, probe, namespaces, fn, fds, &err);
	if (pid < 0) {
		doctor_blame(ret, &err);
		return false;
	}
	close(take_fd(&write_fd));
	heard = doctor_hear(read_fd, ret_answer);
	if (!heard)
		(void)kill(pid, SIGKILL);
	(void)proc_wait(pid, &status);
	if (!heard)
		doctor_say(ret, DOCTOR_FAILS, "the process that tried it %s",
			   WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
				   ? "did not come to an end"
				   : "was ended");
	else if (ret_answer->result < 0)
		doctor_blame(ret, &ret_answer->err);
	return heard && ret_answer->result >= 0;
}

/* What resolve makes of a spec here. The caller finishes the plan, whatever comes of it. */
int doctor_plan(struct doctor *d, const struct sbx_spec *spec, struct sbx_plan *plan,
		struct sbx_err *err)
{
	plan_init(plan);
	return resolve_plan(spec, &d->host, plan, err);
}

/* ---- programs ---- */

/**
 * Run a program, and keep what it prints.
 * @argv:     its path first
 * @ret_text: in the arena of @d
 *
 * Return: 0, or -errno with *err filled: its complaint.
 */
int doctor_capture(struct doctor *d, const char *const *argv, char **ret_text, struct sbx_err *err)
{
	struct proc_spawn spawn = {.path = argv[0], .argv = argv, .output_fd = -1};
	_autoclose_ int read_fd = -1, write_fd = -1;
	char complaint[256];
	int fds[2], status, r;
	size_t len;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_system(err, errno, NULL, "cannot make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	spawn.error_fd = write_fd;
	r = proc_capture(&spawn, DOCTOR_OUTPUT_MAX, &d->arena, ret_text, &len, &status);
	if (r < 0)
		return err_system(err, -r, argv[0], "cannot run");
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

/* ---- texts of the kernel ---- */

/* A file with one number. "max" is the largest there is. */
bool doctor_read_number(const char *path, unsigned long long *ret_number)
{
	_autoarena_ struct arena arena;
	uint64_t number;
	char *text;
	size_t len;

	arena_init(&arena);
	if (io_read_file(path, DOCTOR_NUMBER_MAX, &arena, &text, &len) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	if (str_equal(text, "max"))
		number = UINT64_MAX;
	else if (str_parse_u64(text, 10, UINT64_MAX, &number) < 0)
		return false;
	*ret_number = number;
	return true;
}

/* The first number with a dot in it: "slirp4netns version 1.2.0". */
bool doctor_parse_version(const char *text, unsigned ret_version[3])
{
	for (const char *at = text; *at; at += strcspn(at, " \n")) {
		at += strspn(at, " \n");
		at += *at == 'v';
		memset(ret_version, 0, 3 * sizeof(*ret_version));
		if (sscanf(at, "%u.%u.%u", &ret_version[0], &ret_version[1], &ret_version[2]) >= 2)
			return true;
	}
	return false;
}
