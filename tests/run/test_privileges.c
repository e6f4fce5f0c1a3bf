/* SPDX-License-Identifier: MIT */
/* What a process has left after each of the steps that take from it. */

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "site.h"

static bool status_has(const char *line)
{
	_autoclose_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (strstr(text, line))
		return true;
	dprintf(STDERR_FILENO, "no \"%s\" in:\n%s", line, text);
	return false;
}

static bool sets_are(const char *inheritable, const char *permitted, const char *bounding,
		     const char *ambient)
{
	char lines[5][64];

	(void)snprintf(lines[0], 64, "CapInh:\t00000000%s\n", inheritable);
	(void)snprintf(lines[1], 64, "CapPrm:\t00000000%s\n", permitted);
	(void)snprintf(lines[2], 64, "CapEff:\t00000000%s\n", permitted);
	(void)snprintf(lines[3], 64, "CapBnd:\t00000000%s\n", bounding);
	(void)snprintf(lines[4], 64, "CapAmb:\t00000000%s\n", ambient);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!status_has(lines[i]))
			return false;
	return status_has("NoNewPrivs:\t1\n");
}

#define NONE "00000000"

static int confine(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(CONFINE, .keep = 0)) == 0);
	child_check(sets_are(NONE, NONE, NONE, NONE));
	return 0;
}

static int keep_some(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(PRIVILEGES, .keep = 1 << CAP_CHOWN | 1 << CAP_KILL)) == 0);
	child_check(sets_are("00000021", "00000021", "00000021", "00000021"));
	return 0;
}

static int reap(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(REAPER_PRIVILEGES, .keep = 1 << CAP_KILL)) == 0);
	child_check(sets_are(NONE, "00000020", NONE, NONE));
	return 0;
}

Test(privileges, nothing_is_left_where_nothing_is_kept)
{
	expect_in_child(confine, NULL);
}

Test(privileges, what_is_kept_survives_an_exec)
{
	expect_in_child(keep_some, NULL);
}

Test(privileges, pid_1_keeps_only_what_it_uses_itself)
{
	expect_in_child(reap, NULL);
}

/* ---- ids ---- */

static int stay_who_we_are(void *arg)
{
	struct site site;
	int r = site_open(&site), sig = 0;

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(IDS, .uid = 0, .gid = 0)) == 0);
	child_check(status_has("Uid:\t0\t0\t0\t0\n") && status_has("Gid:\t0\t0\t0\t0\n"));
	/* The payload still dies with PID 1, and can still take its next steps. */
	child_check(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGKILL);
	child_check(site_run(&site, STEP(PRIVILEGES, .keep = 0)) == 0);
	return 0;
}

static int become_nobody_there_is(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(IDS, .uid = 5, .gid = 0)) == -EINVAL);
	child_check(strcmp(site.err.what, "cannot become user 5") == 0);
	child_check(site_run(&site, STEP(IDS, .uid = 0, .gid = 6)) == -EINVAL);
	child_check(strcmp(site.err.what, "cannot become group 6") == 0);
	/* setgroups is denied in a namespace that was mapped without a helper. */
	child_check(site_run(&site, STEP(IDS, .uid = 0, .gid = 0, .flags = PLAN_STEP_GROUPS)) ==
		    -EPERM);
	return 0;
}

Test(privileges, another_id_is_taken_whole)
{
	expect_in_child(stay_who_we_are, NULL);
	expect_in_child(become_nobody_there_is, NULL);
}

/* ---- user namespaces ---- */

static int limit_userns(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(USERNS_LIMIT, .text = "0")) == 0);
	child_check(unshare(CLONE_NEWUSER) < 0 && errno == ENOSPC);
	child_check(site_run(&site, STEP(ASSERT_NO_USERNS, .text = NULL)) == 0);
	return 0;
}

static int assert_too_early(void *arg)
{
	struct site site;
	int r = site_open(&site);

	(void)arg;
	if (r != 0)
		return r;
	child_check(site_run(&site, STEP(ASSERT_NO_USERNS, .text = NULL)) < 0);
	child_check(strstr(site.err.what, "was not disabled"));
	return 0;
}

Test(privileges, user_namespaces_can_be_forbidden_and_that_be_checked)
{
	expect_in_child(limit_userns, NULL);
	expect_in_child(assert_too_early, NULL);
}
