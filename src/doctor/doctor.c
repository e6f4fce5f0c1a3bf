/* SPDX-License-Identifier: MIT */
/*
 * doctor: what all probes share.
 *
 * Theory of operation
 *
 * What a sandbox needs is best known by doing it: a switch that is read says what one
 * kernel means by it, a namespace that was made says that it can be made. So a probe that
 * can, does: in a child, which makes namespaces, mounts, filters and processes, and
 * leaves one struct doctor_answer in memory that is the parent's too. All that it made is its own
 * and goes with it. Nothing is made that has a name on the host, but where records are to be kept:
 * a directory, for a moment.
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/doctor/probes.h"
#include "sbx/run/idmap.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/resolve.h"

enum {
	DOCTOR_TIMEOUT_MS = 30 * 1000, /* more than what a launch waits for */
	DOCTOR_ASK_MS = 10 * 1000,     /* a program that is to say something, or set one rule */
	DOCTOR_OUTPUT_MAX = 64 << 10,
	DOCTOR_NUMBER_MAX = 4096,
};

int doctor_init(struct doctor *d, char *const *environ_, struct sbx_err *err)
{
	memset(d, 0, sizeof(*d));
	arena_init(&d->arena);
	spec_init(&d->spec);
	spec_set_program(&d->spec, SPEC_PROGRAM_SBX);
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

/* @answer: shared with the parent: a launch leaves no other descriptor open than its own */
static noreturn void doctor_child(struct doctor *d, const struct doctor_probe *probe,
				  unsigned long namespaces, doctor_fn *fn,
				  struct doctor_answer *answer)
{
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (namespaces & CLONE_NEWUSER)
		r = doctor_map_own(d, &answer->err);
	if (r == 0)
		r = fn(d, probe, answer, &answer->err);
	answer->result = r;
	answer->complete = true;
	_exit(0);
}

/* A user namespace is made by the call that a launch makes; else the simplest will do. */
static pid_t doctor_clone(unsigned long namespaces, struct sbx_err *err)
{
	const struct clone_args args = {.flags = namespaces, .exit_signal = SIGCHLD};
	pid_t pid = namespaces ? sys_clone3(&args) : fork();

	if (pid >= 0)
		return pid;
	(void)err_system(err, errno, NULL,
			 namespaces & CLONE_NEWUSER ? "cannot create a user namespace"
						    : "cannot create a process");
	hint_add(err, HINT_CLONE);
	return -err->number;
}

/**
 * A process in namespaces of its own that does nothing, to be ended by doctor_end_idle().
 *
 * Return: it, or -errno with *err filled.
 */
pid_t doctor_start_idle(unsigned long namespaces, struct sbx_err *err)
{
	pid_t pid = doctor_clone(namespaces, err);

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return pid;
}

void doctor_end_idle(pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL);
	(void)proc_wait(pid, &status);
}

/* Return: has it ended in that time? */
static bool doctor_has_ended(int pidfd, int within_ms)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	int r;

	do {
		r = pidfd < 0 ? 1 : poll(&end, 1, within_ms);
	} while (r < 0 && errno == EINTR);
	return r != 0;
}

/**
 * Wait for the end of a child, not for ever.
 * @ret_late_ms: how long it has taken, where that was too long and it was ended; else 0
 *
 * Return: how it ended, as wait(2) has it.
 */
static int doctor_await(pid_t pid, const struct doctor_answer *answer, int *ret_late_ms)
{
	_autoclose_ int pidfd = sys_pidfd_open(pid);
	int status = 0;

	*ret_late_ms = 0;
	if (!doctor_has_ended(pidfd, DOCTOR_ASK_MS)) {
		if (answer->asks)
			*ret_late_ms = DOCTOR_ASK_MS;
		else if (!doctor_has_ended(pidfd, DOCTOR_TIMEOUT_MS - DOCTOR_ASK_MS))
			*ret_late_ms = DOCTOR_TIMEOUT_MS;
	}
	if (*ret_late_ms)
		(void)kill(pid, SIGKILL);
	(void)proc_wait(pid, &status);
	return status;
}

static void doctor_run_child(struct doctor *d, const struct doctor_probe *probe,
			     unsigned long namespaces, doctor_fn *fn, struct doctor_answer *answer)
{
	pid_t pid = doctor_clone(namespaces, &answer->err);
	const char *program;
	int status, late_ms;

	if (pid == 0)
		doctor_child(d, probe, namespaces, fn, answer);
	if (pid < 0) {
		answer->result = (int)pid;
		return;
	}
	status = doctor_await(pid, answer, &late_ms);
	if (answer->complete)
		return;
	program = answer->program[0] ? answer->program : NULL;
	answer->result =
		late_ms ? err_refuse(&answer->err, ETIMEDOUT, program,
				     program ? "has not finished within %d seconds"
					     : "what was tried has not ended within %d seconds",
				     late_ms / 1000)
			: err_refuse(&answer->err, ECANCELED, program,
				     "the process that tried it was ended by signal %d",
				     WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* What stands in the way of this one is the row of user namespaces, and what mends that. */
void doctor_lacks_userns(const struct doctor *d, struct doctor_finding *ret)
{
	doctor_say(ret, DOCTOR_FAILS, "needs a user namespace, see user-namespaces");
	doctor_mend(ret, "%s", d->userns_remedy);
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
	struct doctor_answer *shared;

	memset(ret_answer, 0, sizeof(*ret_answer));
	if ((namespaces & CLONE_NEWUSER) && d->no_userns) {
		doctor_lacks_userns(d, ret);
		return false;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		doctor_say(ret, DOCTOR_FAILS, "cannot be tried: %s", strerror(errno));
		return false;
	}
	doctor_run_child(d, probe, namespaces, fn, shared);
	*ret_answer = *shared;
	(void)munmap(shared, sizeof(*shared));
	if (ret_answer->result < 0)
		doctor_blame(ret, &ret_answer->err);
	return ret_answer->result >= 0;
}

/* What resolve makes of a spec here. The caller finishes the plan, whatever comes of it. */
int doctor_plan(struct doctor *d, const struct sbx_spec *spec, struct sbx_plan *plan,
		struct sbx_err *err)
{
	plan_init(plan);
	return resolve_plan(spec, &d->host, plan, err);
}

/* ---- programs ---- */

/* What each program that sbx starts is given. Return: a descriptor, or -errno with *err filled. */
int doctor_open_null(struct sbx_err *err)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), r;

	if (fd >= 0)
		return fd;
	r = err_system(err, errno, "/dev/null", "cannot open");
	err_hint(err, "as root: mknod -m 666 /dev/null c 1 3; in a sandbox of sbx: start that "
		      "with --dev /dev");
	return r;
}

/**
 * Run a program, and keep what it prints.
 * @argv:     its path first
 * @ret_text: in the arena of @d
 *
 * Return: 0, or -errno with *err filled: its complaint.
 */
int doctor_capture(struct doctor *d, const char *const *argv, struct doctor_answer *answer,
		   char **ret_text, struct sbx_err *err)
{
	_autoclose_ int null_fd = doctor_open_null(err);

	if (null_fd < 0)
		return null_fd;
	str_copy(answer->program, sizeof(answer->program), argv[0]);
	answer->asks = true;
	return proc_ask(argv, NULL, DOCTOR_OUTPUT_MAX, &d->arena, ret_text, err);
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
