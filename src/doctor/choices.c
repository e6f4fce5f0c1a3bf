/* SPDX-License-Identifier: MIT */
/*
 * choices: probes of what resolve decides by the host. Each asks resolve for a plan with an
 * option that insists, so that it is refused, or not, in the words of a launch. Runs in: the
 * caller's process, and children.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sbx/base/proc.h"
#include "sbx/base/sys.h"
#include "sbx/doctor/probes.h"
#include "sbx/run/idmap.h"
#include "sbx/run/launch.h"
#include "sbx/spec/filter_file.h"
#include "sbx/spec/hints.h"

/* A spec to change: its lists stay those of the doctor's. */
static const char *choices_command[] = {"true"};

static struct sbx_spec choices_spec(const struct doctor *d)
{
	struct sbx_spec spec = d->spec;

	spec.argv = choices_command;
	spec.n_argv = ARRAY_SIZE(choices_command);
	return spec;
}

/* Is there a plan? Return: true, or false with the finding filled. */
static bool choices_resolve(struct doctor *d, const struct sbx_spec *spec,
			    struct doctor_finding *ret)
{
	struct sbx_plan plan;
	struct sbx_err err;
	int r = doctor_plan(d, spec, &plan, &err);

	plan_finish(&plan);
	if (r < 0)
		doctor_blame(ret, &err);
	return r == 0;
}

/* ---- ids ---- */

static int choices_run_helpers(const struct sbx_plan *plan, pid_t pid, struct sbx_err *err)
{
	struct idmap_job job;
	sigset_t mask;
	int r;

	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	idmap_job_init(&job);
	r = idmap_job_start(&job, plan, pid, &mask, err);
	while (r == 0 && !idmap_job_done(&job)) {
		struct pollfd ready[] = {{.fd = job.helpers[0].pidfd, .events = POLLIN},
					 {.fd = job.helpers[1].pidfd, .events = POLLIN}};

		(void)poll(ready, ARRAY_SIZE(ready), -1);
		r = idmap_job_reap(&job, err);
	}
	idmap_job_finish(&job);
	return r;
}

static unsigned long long choices_count(const struct plan_map *map)
{
	unsigned long long count = 0;

	for (size_t i = 0; i < map->n_lines; i++)
		count += map->lines[i].count;
	return count;
}

/* In the child: have newuidmap and newgidmap write the maps of a launch. */
static int choices_map(struct doctor *d, const struct doctor_probe *probe,
		       struct doctor_answer *answer, struct sbx_err *err)
{
	struct str_buf text = STR_BUF_ON_STACK(answer->text);
	struct sbx_spec spec = choices_spec(d);
	struct sbx_plan plan;
	pid_t pid;
	int r;

	(void)probe;
	spec.map = SPEC_MAP_RANGE;
	r = doctor_plan(d, &spec, &plan, err);
	if (r == 0) {
		pid = doctor_start_idle(CLONE_NEWUSER, err);
		r = pid < 0 ? (int)pid : choices_run_helpers(&plan, pid, err);
		if (pid > 0)
			doctor_end_idle(pid);
	}
	if (r == 0)
		str_buf_printf(&text, "newuidmap and newgidmap have mapped %llu uids and %llu gids",
			       choices_count(&plan.uid_map), choices_count(&plan.gid_map));
	plan_finish(&plan);
	return r;
}

DOCTOR_PROBE(ids)
{
	struct sbx_spec spec = choices_spec(d);
	struct doctor_answer answer;

	/* What is missing on the host is said even where no user namespace can be made. */
	spec.map = SPEC_MAP_RANGE;
	if (!choices_resolve(d, &spec, ret))
		return;
	if (d->no_userns)
		doctor_lacks_userns(d, ret);
	else if (doctor_try(d, probe, 0, choices_map, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "%s", answer.text);
}

/* ---- what is asked for by one option ---- */

DOCTOR_PROBE(landlock)
{
	struct sbx_spec spec = choices_spec(d);

	(void)probe;
	spec.landlock = SPEC_LANDLOCK_REQUIRE;
	spec.ns[SPEC_NS_NET] = SPEC_NS_SHARE;
	if (choices_resolve(d, &spec, ret))
		doctor_say(ret, DOCTOR_WORKS, "ABI %d", probe_landlock(&d->host));
}

DOCTOR_PROBE(bus)
{
	struct sbx_spec spec = choices_spec(d);

	(void)probe;
	spec.dbus = SPEC_DBUS_ON;
	if (choices_resolve(d, &spec, ret))
		doctor_say(ret, DOCTOR_WORKS, "there is a bus, and %s",
			   probe_helper(&d->host, &d->spec, "xdg-dbus-proxy"));
}

/* That there is none is no defect of the host: output may go to a pipe. */
DOCTOR_PROBE(terminal)
{
	struct sbx_spec spec = choices_spec(d);

	(void)probe;
	spec.pty = SPEC_PTY_ON;
	if (choices_resolve(d, &spec, ret))
		doctor_say(ret, DOCTOR_WORKS, "there is one");
	else
		ret->status = DOCTOR_FACT;
}

DOCTOR_PROBE(reader)
{
	struct sbx_err err;
	const char *path;

	(void)probe;
	if (filter_find_reader(&d->host, &d->spec, &path, &err) < 0)
		doctor_blame(ret, &err);
	else
		doctor_say(ret, DOCTOR_WORKS, "%s", path);
}

/* ---- all together ---- */

/* sbx itself is what can be executed inside: it is there, whatever else the host has. */
static int choices_add_command(struct doctor *d, struct sbx_err *err)
{
	static const char *words[] = {"/sbx-doctor", "version"};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const struct spec_op usr = {.kind = SPEC_OP_BIND,
				    .flags = SPEC_OP_RO | SPEC_OP_TRY,
				    .perms = -1,
				    .fd = -1,
				    .source = "/usr",
				    .dest = "/usr",
				    .option = "--ro-bind-try"};
	struct spec_op program = usr;
	int r = spec_add_op(&d->spec, &usr, err);

	if (len < 0)
		return err_system(err, errno, "/proc/self/exe", "cannot tell where sbx is");
	self[len] = '\0';
	program.flags = SPEC_OP_RO;
	program.source = arena_dup(&d->arena, self);
	if (!program.source)
		return err_oom(err);
	program.dest = words[0];
	program.option = "--ro-bind";
	if (r == 0)
		r = spec_add_op(&d->spec, &program, err);
	d->spec.argv = words;
	d->spec.n_argv = ARRAY_SIZE(words);
	return r;
}

/* Return: the command's exit code, or -errno. */
static int choices_launch_once(struct doctor *d, int64_t map, struct sbx_err *err)
{
	char room[1];
	const struct launch_caller caller = {.title = {room, 0}, .notify_fd = -1};
	struct sbx_plan plan;
	int r, code = 0;

	d->spec.map = map;
	r = doctor_plan(d, &d->spec, &plan, err);
	/* It shall leave nothing, not even the directory of records. */
	plan.records = false;
	if (r == 0)
		r = launch_run(&plan, &caller, &code, err);
	if (r == LAUNCH_WITHOUT_RANGE)
		return choices_launch_once(d, SPEC_MAP_SINGLE, err);
	return r < 0 ? r : code;
}

static int choices_launch(struct doctor *d, const struct doctor_probe *probe,
			  struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int null_fd = doctor_open_null(err);
	int r = null_fd < 0 ? null_fd : choices_add_command(d, err);

	(void)probe;
	(void)answer;
	if (r < 0)
		return r;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(null_fd, fd);
	r = choices_launch_once(d, SPEC_MAP_AUTO, err);
	if (r <= 0)
		return r;
	return err_refuse(err, ECANCELED, NULL, "the command ended with exit status %d", r);
}

DOCTOR_PROBE(launch)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, 0, choices_launch, &answer, ret)) {
		doctor_say(ret, DOCTOR_WORKS, "a command has run in a sandbox");
		return;
	}
	if (!ret->remedy[0])
		doctor_mend(ret, "see at which step: sbx -v --ro-bind /usr /usr -- true");
	/* The sandbox was there, and lacks a library of sbx: the host keeps none in /usr. */
	if (answer.result < 0 && answer.err.exit_code > ERR_EXIT_FAILED) {
		doctor_say(ret, DOCTOR_WORKS, "a sandbox was made");
		ret->remedy[0] = '\0';
	}
}
