/* SPDX-License-Identifier: MIT */
/*
 * bus: have the session bus filtered by xdg-dbus-proxy(1).
 *
 * Theory of operation
 *
 *     PID 1                                        monitor
 *     makes a tmpfs that is mounted nowhere
 *     BUS, with a descriptor of it        ──►      starts the helper, which makes its
 *                                                  socket at /proc/self/fd/N/bus
 *                                                  ... a byte on ready_fd: it listens
 *     clones the socket's mount           ◄──      BUS_READY
 *     and places it, read-only
 *
 * So the socket has no name on the host, and nothing is to be removed there, however
 * who ends: the tmpfs goes with the last of helper and sandbox. The command sees the
 * socket only, not the directory that it is in.
 *
 * The helper stays outside, in the host's namespaces: nobody inside has the privileges
 * over its user namespace that tracing it would need. It has a session of its own, or
 * the terminal's signals for the command would end it, no capability, and sbx's strict
 * filter, for it parses what the command writes. It ends when the monitor closes its end
 * of ready_fd, or dies. If it dies first, the command has no bus any more.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/bus.h"
#include "sbx/run/handshake.h"
#include "sbx/run/init.h"
#include "sbx/run/mount.h"
#include "sbx/run/steps.h"
#include "sbx/spec/hints.h"

/* ---- the monitor ---- */

void bus_job_init(struct bus_job *job)
{
	*job = (struct bus_job){.plan = NULL};
	helper_init(&job->helper);
}

void bus_job_finish(struct bus_job *job)
{
	helper_finish(&job->helper);
}

/* xdg-dbus-proxy --fd=N ADDRESS PATH --filter RULE... */
static int bus_spawn(struct bus_job *job, int dir_fd, int ready_fd)
{
	const struct plan_dbus *dbus = &job->plan->dbus;
	_autofree_ const char **argv = calloc(dbus->n_rules + 6, sizeof(*argv));
	const int pass[] = {dir_fd, ready_fd};
	struct proc_spawn spawn = {.path = dbus->helper,
				   .argv = argv,
				   .sigmask = job->sigmask,
				   .output_fd = -1,
				   .error_fd = -1,
				   .pass_fds = pass,
				   .n_pass_fds = ARRAY_SIZE(pass),
				   .apart = true,
				   .filter = dbus->filter.insns,
				   .n_filter = dbus->filter.n_insns};
	char fd_word[32], path[64];

	if (!argv)
		return -ENOMEM;
	(void)snprintf(fd_word, sizeof(fd_word), "--fd=%d", ready_fd);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/bus", dir_fd);
	argv[0] = dbus->helper;
	argv[1] = fd_word;
	argv[2] = dbus->address;
	argv[3] = path;
	argv[4] = "--filter";
	for (size_t i = 0; i < dbus->n_rules; i++)
		argv[5 + i] = dbus->rules[i];
	return helper_start(&job->helper, &spawn);
}

/**
 * Start the helper.
 * @dir_fd: taken; the directory that its socket is made in
 *
 * Return: 0, or -errno with *err filled; then bus_job_finish() cleans up.
 */
int bus_job_start(struct bus_job *job, int *dir_fd, struct sbx_err *err)
{
	_autoclose_ int taken = take_fd(dir_fd), dir = -1, ready = -1;
	int r = 0;

	if (!bus_job_is_awaited(job) || job->helper.pid > 0)
		return err_refuse(err, EPROTO, NULL, "PID 1 asks for a bus that is not planned");
	dir = fcntl(taken, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (dir < 0)
		r = -errno;
	if (r == 0)
		r = helper_pipe(&job->helper.ready_fd, &ready);
	if (r == 0)
		r = bus_spawn(job, dir, ready);
	return r < 0 ? proc_refuse(job->plan->dbus.helper, -r, "cannot start", err) : 0;
}

/* Is there to be a bus that is not there yet? */
bool bus_job_is_awaited(const struct bus_job *job)
{
	return job->plan && job->plan->dbus.helper && !job->ready;
}

bool bus_job_is_starting(const struct bus_job *job)
{
	return job->helper.pid > 0 && !job->ready;
}

/* Return: true when the helper has said that it listens. */
bool bus_job_hear(struct bus_job *job)
{
	bool heard = helper_hear(&job->helper);

	job->ready |= heard;
	return heard;
}

/**
 * The helper has ended. Before the command began that is an error; behind it, it is said.
 *
 * Return: 0, or -errno with *err filled.
 */
int bus_job_reap(struct bus_job *job, struct sbx_err *err)
{
	char room[1200], line_room[1400];
	struct str_buf how = STR_BUF_ON_STACK(room), line = STR_BUF_ON_STACK(line_room);
	bool was_ready = job->ready;
	int status, r = 0;

	if (!helper_reap(&job->helper, NULL, &status, &how))
		return 0;
	if (was_ready) {
		str_buf_printf(&line, "sbx: the command has no session bus any more: %s %s\n",
			       job->plan->dbus.helper, how.data);
		(void)io_write_all(STDERR_FILENO, line.data, line.len);
	} else {
		r = err_refuse(err, ECANCELED, job->plan->dbus.helper, "%s", how.data);
		err_set_option(err, job->plan->dbus.option);
		hint_add(err, HINT_BUS);
	}
	return r;
}

int bus_job_timed_out(const struct bus_job *job, int seconds, struct sbx_err *err)
{
	int r = err_refuse(err, ETIMEDOUT, job->plan->dbus.helper,
			   "does not listen after %d seconds", seconds);

	err_set_option(err, job->plan->dbus.option);
	hint_add(err, HINT_BUS);
	return r;
}

/* ---- PID 1 ---- */

int step_run_dbus(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	static const struct mount_option options[] = {{"mode", "0700"}, {"nr_inodes", "16"}};
	const uint64_t attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	_autoclose_ int dir = -1, bus = -1;
	int r = mount_new("tmpfs", options, ARRAY_SIZE(options), attrs, &dir, err);

	if (r < 0)
		return r;
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_BUS, dir);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot ask for a session bus");
	r = init_await(ctx, HANDSHAKE_INIT_BUS, HANDSHAKE_BUS_READY, err);
	if (r < 0)
		return r;
	r = mount_clone(dir, "bus", attrs | MOUNT_ATTR_RDONLY, &bus);
	if (r < 0)
		return err_system(err, -r, "bus", "cannot take the socket of the session bus");
	return mount_place(ctx, bus, step, MOUNT_TARGET_FILE, err);
}
