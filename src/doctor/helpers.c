/* SPDX-License-Identifier: MIT */
/* helpers: probes of programs that sbx starts, and of the devices they open. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/doctor/probes.h"
#include "sbx/run/idmap.h"
#include "sbx/run/net.h"
#include "sbx/run/nftables.h"
#include "sbx/spec/hints.h"

DOCTOR_PROBE(device)
{
	const char *path = probe->arg == HINT_TUN ? "/dev/net/tun" : "/dev/fuse";
	struct sbx_err err;

	(void)d;
	if (probe_device(path, &err) == 0) {
		doctor_say(ret, DOCTOR_WORKS, "%s was opened", path);
		return;
	}
	hint_add(&err, probe->arg);
	doctor_blame(ret, &err);
}

/* Where it is, or NULL with the finding filled. */
static const char *helpers_find(struct doctor *d, const char *name, struct doctor_finding *ret)
{
	const char *path = probe_helper(&d->host, &d->spec, name);
	const char *remedy;

	if (path)
		return path;
	doctor_say(ret, DOCTOR_FAILS, "%s is not installed", name);
	remedy = probe_helper_remedy(&d->host, name);
	if (remedy)
		doctor_mend(ret, "%s", remedy);
	return NULL;
}

/* ---- versions ---- */

/* The oldest that sbx is tested with. */
static const struct helpers_version {
	const char *name;
	unsigned version[3];
} helpers_versions[] = {
	{"fuse-overlayfs", {1, 10, 0}},
	{"slirp4netns", {1, 2, 0}},
};

static bool helpers_is_older(const unsigned version[3], const unsigned than[3])
{
	for (size_t i = 0; i < 3; i++)
		if (version[i] != than[i])
			return version[i] < than[i];
	return false;
}

static const unsigned *helpers_tested(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(helpers_versions); i++)
		if (str_equal(helpers_versions[i].name, name))
			return helpers_versions[i].version;
	return NULL;
}

/* In the child. fuse-overlayfs tells fusermount's version first: the line with its name counts. */
static int helpers_ask_version(struct doctor *d, const struct doctor_probe *probe,
			       struct doctor_answer *answer, struct sbx_err *err)
{
	const char *const argv[] = {probe_helper(&d->host, &d->spec, probe->name), "--version",
				    NULL};
	char *text, *line;
	int r = doctor_capture(d, argv, answer, &text, err);

	if (r < 0)
		return r;
	line = strstr(text, probe->name);
	line = line ? line : text;
	line[strcspn(line, "\n")] = '\0';
	str_copy(answer->text, sizeof(answer->text), line);
	return 0;
}

/* What was found already is that it is there. */
static void helpers_mend(const char *name, struct doctor_finding *ret)
{
	if (!ret->remedy[0])
		doctor_mend(ret,
			    "see what it says when it is run by hand; install it anew, or name one "
			    "that works: --helper %s=PATH",
			    name);
}

/* @text: what it says of itself */
static void helpers_say_version(const struct doctor_probe *probe, const char *path,
				const char *text, struct doctor_finding *ret)
{
	const unsigned *tested = helpers_tested(probe->name);
	unsigned version[3];

	if (!doctor_parse_version(text, version))
		doctor_say(ret, DOCTOR_LIMITED, "%s does not tell its version", path);
	else if (tested && helpers_is_older(version, tested))
		doctor_say(ret, DOCTOR_LIMITED,
			   "%s is version %u.%u.%u; the oldest that sbx is tested with is "
			   "%u.%u.%u",
			   path, version[0], version[1], version[2], tested[0], tested[1],
			   tested[2]);
	else
		doctor_say(ret, DOCTOR_WORKS, "%s, version %u.%u.%u", path, version[0], version[1],
			   version[2]);
	if (ret->status == DOCTOR_LIMITED && tested)
		doctor_mend(
			ret,
			"install version %u.%u.%u or a later one; another than %s can be named: "
			"--helper %s=PATH",
			tested[0], tested[1], tested[2], path, probe->name);
}

DOCTOR_PROBE(helper)
{
	const char *path = helpers_find(d, probe->name, ret);
	struct doctor_answer answer;

	if (!path)
		return;
	if (doctor_try(d, probe, 0, helpers_ask_version, &answer, ret))
		helpers_say_version(probe, path, answer.text, ret);
	else
		helpers_mend(probe->name, ret);
}

/* ---- slirp4netns ---- */

enum { HELPERS_SLIRP_SECONDS = 20 };

/* Until its byte comes, or its end. */
static int helpers_await_slirp(struct net_job *job, struct sbx_err *err)
{
	const int64_t deadline_ms = clock_now_ms() + HELPERS_SLIRP_SECONDS * 1000;
	int r = 0;

	while (r == 0 && !net_job_hear(job)) {
		struct pollfd ready[] = {{.fd = job->helper.pidfd, .events = POLLIN},
					 {.fd = job->helper.ready_fd, .events = POLLIN}};
		int64_t left_ms = deadline_ms - clock_now_ms();

		if (left_ms <= 0)
			return net_job_timed_out(job, HELPERS_SLIRP_SECONDS, err);
		(void)poll(ready, ARRAY_SIZE(ready), (int)left_ms);
		if (ready[0].revents)
			r = net_job_reap(job, err);
	}
	return r;
}

/* @pid: a process with a network of its own */
static int helpers_start_slirp(const struct sbx_plan *plan, pid_t pid, struct sbx_err *err)
{
	struct net_job job;
	sigset_t mask;
	char name[64];
	int netns, r;

	(void)snprintf(name, sizeof(name), "/proc/%d/ns/net", pid);
	netns = open(name, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return err_system(err, errno, name, "cannot open");
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	net_job_init(&job);
	job.plan = plan;
	job.sigmask = &mask;
	r = net_job_start(&job, pid, &netns, err);
	if (r == 0)
		r = helpers_await_slirp(&job, err);
	net_job_finish(&job);
	return r;
}

/* In the child: what a launch does, for a process that does nothing. */
static int helpers_use_slirp(struct doctor *d, const struct doctor_probe *probe,
			     struct doctor_answer *answer, struct sbx_err *err)
{
	static const char *command[] = {"true"};
	_autoclose_ int null_fd = doctor_open_null(err);
	struct sbx_spec spec = d->spec;
	struct sbx_plan plan;
	pid_t pid = -1;
	int r;

	(void)probe;
	if (null_fd < 0)
		return null_fd;
	spec.argv = command;
	spec.n_argv = ARRAY_SIZE(command);
	spec.map = SPEC_MAP_SINGLE;
	spec.net = "user,unfiltered";
	r = doctor_plan(d, &spec, &plan, err);
	if (r == 0)
		str_copy(answer->program, sizeof(answer->program), plan.net.helper);
	if (r == 0)
		r = pid = doctor_start_idle(CLONE_NEWUSER | CLONE_NEWNET, err);
	if (r > 0)
		r = idmap_write_child(pid, &plan, err);
	if (r == 0)
		r = helpers_start_slirp(&plan, pid, err);
	if (pid > 0)
		doctor_end_idle(pid);
	plan_finish(&plan);
	/* The launch's hint is to call this. */
	if (r < 0 && strstr(err->hint, "sbx doctor slirp4netns"))
		err->hint[0] = '\0';
	return r;
}

/* That it tells its version does not say that it works. */
DOCTOR_PROBE(slirp)
{
	const char *path = helpers_find(d, probe->name, ret);
	struct doctor_answer version, answer;

	if (!path)
		return;
	if (d->no_userns)
		doctor_lacks_userns(d, ret);
	else if (doctor_try(d, probe, 0, helpers_ask_version, &version, ret) &&
		 doctor_try(d, probe, 0, helpers_use_slirp, &answer, ret))
		helpers_say_version(probe, path, version.text, ret);
	else
		helpers_mend(probe->name, ret);
}

/* ---- nft ---- */

/* In a network namespace of the child's own: a chain, as it takes to keep packets in. */
static int helpers_use_nft(struct doctor *d, const struct doctor_probe *probe,
			   struct doctor_answer *answer, struct sbx_err *err)
{
	static const char rules[] =
		"add table inet sbx; "
		"add chain inet sbx out { type filter hook output priority 0; policy accept; }; "
		"add rule inet sbx out ip daddr 127.0.0.0/8 drop";
	const char *const argv[] = {probe_helper(&d->host, &d->spec, probe->name), rules, NULL};
	_autoclose_ int fd = nftables_open();
	char *text;
	int r = doctor_capture(d, argv, answer, &text, err);

	if (r == 0 && (fd < 0 || nftables_count_rules(fd, "sbx", "out") != 1))
		r = err_refuse(err, ECANCELED, argv[0],
			       "has ended without an error and has not set the rule");
	if (r < 0)
		hint_add(err, HINT_NFT_HERE);
	return r;
}

DOCTOR_PROBE(nft)
{
	const char *path = helpers_find(d, probe->name, ret);
	struct doctor_answer answer;

	if (!path)
		return;
	if (doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNET, helpers_use_nft, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "%s has set a rule in a network of its own", path);
	else
		helpers_mend(probe->name, ret);
}
