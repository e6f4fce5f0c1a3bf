/* SPDX-License-Identifier: MIT */
/* e2e limits: what a command is held to in number, time and order. */
#include <sys/resource.h>

#include "boxes.h"

Test(limits, of_resources_are_the_commands)
{
	_autorun_ struct run_result r =
		in_usr("--rlimit", "nofile=64:100", "--rlimit", "core=0", "--rlimit", "as=3G", "--",
		       SH("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -v"));

	expect_out(r, "64\n100\n0\n3145728\n");
}

Test(limits, the_last_of_a_kind_counts)
{
	_autorun_ struct run_result r = in_usr("--rlimit", "nofile=200", "--rlimit", "nofile=70:90",
					       "--", SH("ulimit -Sn; ulimit -Hn"));

	expect_out(r, "70\n90\n");
}

Test(limits, hold)
{
	_autorun_ struct run_result free_ =
		in_usr("--", SH("head -c 8192 /dev/zero >/tmp/f; wc -c </tmp/f"));
	_autorun_ struct run_result held =
		in_usr("--rlimit", "fsize=4096", "--",
		       SH("trap '' XFSZ; head -c 8192 /dev/zero >/tmp/f; wc -c </tmp/f"));

	expect_out(free_, "8192\n");
	cr_expect_str_eq(held.out, "4096\n", "%s", held.err);
}

Test(limits, above_the_callers_hard_limit_are_refused)
{
	struct rlimit now;
	char limit[64];

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
	skip_unless(now.rlim_max < RLIM_INFINITY - 1,
		    "the caller has no hard limit on descriptors");
	snprintf(limit, sizeof(limit), "nofile=5:%llu", (unsigned long long)now.rlim_max + 1);
	_autorun_ struct run_result r = in_usr("--rlimit", limit, "--", "true");

	expect_failure(r, 125, "--rlimit");
	expect_failure(r, 125, "ulimit -H -a");
	cr_expect_str_eq(r.out, "");
}

Test(limits, nice_and_oom_score_are_set)
{
	_autorun_ struct run_result r = in_usr("--nice", "7", "--oom-score-adj", "300", "--",
					       SH("nice; cat /proc/self/oom_score_adj"));
	_autorun_ struct run_result nice = in_usr("--nice", "-20", "--", "true");
	_autorun_ struct run_result score = in_usr("--oom-score-adj", "-1000", "--", "true");

	expect_out(r, "7\n300\n");
	expect_failure(nice, 125, "limits.conf(5)");
	expect_failure(score, 125, "--oom-score-adj");
	expect_failure(score, 125, "/proc/self/oom_score_adj");
}

/* What raises the caller's limit would not help. */
Test(limits, too_few_files_to_start_with_are_told_by_the_option)
{
	_autorun_ struct run_result r = in_usr("--rlimit", "nofile=3", "--", "/usr/bin/true");

	expect_failure(r, 125, "cannot open to look at it: ");
	expect_failure(r, 125, "give --rlimit nofile= a higher");
}

Test(limits, texts_that_mean_nothing_are_usage_errors)
{
	static const char *const rows[][3] = {
		{"--rlimit", "file=3", "there are: as, core"},
		{"--rlimit", "nofile=3:2", "soft limit is above"},
		{"--rlimit", "nofile", "nofile=SOFT"},
		{"--nice", "20", "-20 to 19"},
		{"--oom-score-adj", "x", "-1000 to 1000"},
		{"--timeout", "soon", "1.5h"},
		{"--kill-after", "1", "--timeout"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autorun_ struct run_result r = in_usr(rows[i][0], rows[i][1], "--", "true");

		expect_failure(r, 125, rows[i][0]);
		expect_failure(r, 125, rows[i][2]);
	}
}

/* ---- time ---- */

Test(limits, a_command_that_ends_in_time_is_left_alone)
{
	_autorun_ struct run_result r = in_usr("--timeout", "1h", "--", SH("exit 3"));

	cr_expect_eq(r.status, 3, "%d: %s", r.status, r.err);
	cr_expect_str_eq(r.err, "");
}

/* The time is long enough for the slowest launch to have set the trap. */
Test(limits, a_command_past_its_time_gets_sigterm)
{
	_autorun_ struct run_result r = in_usr(
		"--timeout", "5", "--kill-after", "1h", "--",
		SH("trap 'echo asked; kill $!; exit 0' TERM; sleep 1000 & wait; echo not asked"));

	cr_expect_str_eq(r.out, "asked\n", "%s", r.err);
	expect_failure(r, 124, "--timeout: the time is up, the command was asked to end");
}

/* What is ignored when sbx starts is ignored by the command. */
Test(limits, a_command_that_stays_is_killed_with_all_it_started)
{
	_autorun_ struct run_result r =
		run_program("/bin/sh", "-c", "trap '' TERM; exec \"$@\"", "sh", sbx_program(),
			    "--ro-bind", "/usr", "/usr", "--timeout", "0.5", "--kill-after",
			    "100ms", "--", SH("sleep 1000 & sleep 1000"));

	expect_failure(r, 124, "the sandbox was killed");
}

/* Each line that the monitor passes on wakes it before the time is over. */
Test(limits, a_command_that_always_prints_gains_no_time)
{
	_autosession_ struct session s;

	session_sbx(&s, &((struct run_options){.pty = true}), "--ro-bind", "/usr", "/usr", "--pty",
		    "--timeout", "0.5", "--", SH("while :; do echo more; sleep 0.01; done"));
	_autorun_ struct run_result r = session_finish(&s);

	cr_expect_eq(r.status, 124, "%d: %s", r.status, r.out);
	cr_expect(strstr(r.out, "--timeout"), "%s", r.out);
}

Test(limits, without_a_pid_namespace_the_command_is_killed)
{
	_autorun_ struct run_result r = in_usr("--share-pid", "--timeout", "0.3", "--kill-after",
					       "0", "--", "sleep", "1000");

	expect_failure(r, 124, "was killed");
}

Test(limits, the_status_object_has_the_exit_code_of_a_timeout)
{
	_autorun_ struct run_result r =
		in_usr("--json-status-fd", "1", "--timeout", "0.2", "--", "sleep", "1000");

	cr_expect_eq(r.status, 124);
	cr_expect(strstr(r.out, "\"exit-code\": 124"), "%s", r.out);
}

/* ---- exec ---- */

Test(limits, are_those_of_an_added_command_too)
{
	struct place p;
	_autosession_ struct session s;

	place_start(&p);
	start_in(&p, &s, "--name", "web", "--rlimit", "nofile=64:100", "--nice", "3", "--");
	cr_assert(session_expect(&s, "up"), "%s", s.result.err);
	_autorun_ struct run_result r =
		sbx_in(&p, "exec", "web", SH("ulimit -Sn; ulimit -Hn; nice"));

	expect_out(r, "64\n100\n3\n");
}

/* ---- of all processes together: what can be seen where they cannot be set ---- */

static bool can_be_set(void)
{
	_autorun_ struct run_result doctor = run_sbx("doctor", "cgroup", "systemd");

	return doctor.status == 0;
}

/* What they do where they can be, test_cgroup_limits.c shows. */
Test(limits, without_a_cgroup_they_are_an_error_or_a_warning)
{
	_autorun_ struct run_result r = in_usr("--memory", "64M", "--", "true");
	_autorun_ struct run_result tried =
		in_usr("--memory", "64M", "--limits=try", "--", SH("echo ran >&2"));
	const char *ran = strstr(tried.err, "ran\n");

	expect_success(tried);
	if (can_be_set())
		return;
	expect_failure(r, 125, "sbx: --memory: ");
	expect_failure(r, 125, "there is no cgroup to set it on: in the caller's own, ");
	expect_failure(r, 125, "; from systemd, ");
	expect_failure(r, 125, "     hint:  ");
	expect_failure(r, 125, "--limits=try does without");
	/* Before, once and with what to do, and again after. */
	cr_assert_not_null(ran, "%s", tried.err);
	cr_expect_eq(strncmp(tried.err, "sbx: no limits are set: --memory: there is no cgroup", 52),
		     0, "%s", tried.err);
	cr_expect_lt(strstr(tried.err, "\n     hint:  "), ran, "%s", tried.err);
	cr_expect_null(strstr(ran, "     hint:  "), "%s", tried.err);
	cr_expect_null(strstr(tried.err, "--limits=try"), "%s", tried.err);
	cr_expect_eq(strncmp(ran, "ran\nsbx: no limits are set: --memory: ", 38), 0, "%s",
		     tried.err);
}

/* Where the ids of the caller are tried at last, that there are no limits has been said. */
/* Also where no limit could be set. */
Test(limits, of_no_disk_are_refused_with_a_remedy)
{
	_autorun_ struct run_result none =
		in_usr("--limits=try", "--io-max", "/nowhere:rbps=1M", "--", "true");
	_autorun_ struct run_result other =
		in_usr("--limits=try", "--io-max", "/proc:rbps=1M", "--", "true");

	expect_failure(none, 125, "--io-max: /nowhere: cannot look at the device: No such file");
	expect_failure(none, 125, "hint:  name a disk, as /dev/sda or 8:0");
	expect_failure(other, 125, "--io-max: /proc: is no block device");
	expect_failure(other, 125, "hint:  name a disk, as /dev/sda or 8:0");
}

Test(limits, that_there_are_none_is_told_once_at_the_start)
{
	_autoclose_ int tree = tmp_tree("helper=#!/bin/sh\nexit 1\n");
	_autofree_ char *path = tree_path(tree, "helper"), *uids = NULL, *gids = NULL;
	const char *first, *ran, *second;

	cr_assert_eq(fchmodat(tree, "helper", 0755, 0), 0);
	cr_assert_gt(asprintf(&uids, "newuidmap=%s", path), 0);
	cr_assert_gt(asprintf(&gids, "newgidmap=%s", path), 0);
	_autorun_ struct run_result r = in_usr("--helper", uids, "--helper", gids, "--memory",
					       "64M", "--limits=try", "--", SH("echo ran >&2"));

	expect_success(r);
	if (can_be_set())
		return;
	first = strstr(r.err, "sbx: no limits are set: ");
	ran = strstr(r.err, "ran\n");
	cr_assert(first && ran && first < ran, "%s", r.err);
	second = strstr(first + 1, "sbx: no limits are set: ");
	cr_expect_gt(second, ran, "%s", r.err);
}

/* A program that asked for them reads it where it reads the rest. */
Test(limits, the_status_says_that_there_are_none)
{
	_autorun_ struct run_result tried =
		in_usr("--memory", "64M", "--limits=try", "--json-status-fd", "1", "--", "true");
	const char *start = strstr(tried.out, "\"child-pid\"");
	const char *said = strstr(tried.out, "\n{\"no-limits\":{");

	expect_success(tried);
	cr_expect_eq(said != NULL, strstr(tried.err, "sbx: no limits are set") != NULL, "%s%s",
		     tried.out, tried.err);
	if (!said)
		return;
	cr_expect_lt(start, said, "%s", tried.out);
	cr_expect(strstr(said, "\"message\":\""), "%s", tried.out);
	cr_expect(strstr(said, "there is no cgroup"), "%s", tried.out);
	cr_expect(strstr(said, "\"exit-code\": 0"), "%s", tried.out);
}

Test(limits, stats_tell_what_is_known_without_limits)
{
	_autorun_ struct run_result r = in_usr("--stats", "--", "true");
	_autorun_ struct run_result failed = in_usr("--stats", "--", "/nonexistent");

	expect_success(r);
	cr_expect(strstr(r.err, "sbx: used: time 0."), "%s", r.err);
	cr_expect(strstr(r.err, " s, processor 0."), "%s", r.err);
	cr_expect(strstr(r.err,
			 "; not known without limits: memory at most, processes at most, read, "),
		  "%s", r.err);
	expect_failure(failed, 127, "sbx: used: time ");
}
