/* SPDX-License-Identifier: MIT */
/* limits: what the texts of --rlimit and its like mean. */
#include <sys/resource.h>

#include "planning.h"

#include "sbx/spec/limits.h"

Test(limits, a_duration_has_a_unit_and_may_have_a_point)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} rows[] = {
		{"0", 0},	  {"90", 90000},
		{"90s", 90000},	  {"500ms", 500},
		{"1.5s", 1500},	  {"0.25", 250},
		{"5m", 300000},	  {"1.5h", 5400000},
		{"1d", 86400000}, {"0.0019s", 1},
		{"1.5ms", 1},	  {"", -1},
		{"s", -1},	  {"-1", -1},
		{"1x", -1},	  {"1 s", -1},
		{".5", -1},	  {"1.5.5", -1},
		{"1ss", -1},	  {"36500d", 3153600000000},
		{"36501d", -1},	  {"99999999999999999999d", -1},
		{"infinity", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sbx_err err;
		int64_t ms = -1;

		if (limits_read_duration(rows[i].text, "--timeout", &ms, &err) < 0)
			ms = -1;
		cr_expect_eq(ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
	}
}

Test(limits, an_rlimit_has_a_name_and_one_or_two_values)
{
	static const struct {
		const char *text;
		int resource; /* -1: refused */
		rlim_t soft, hard;
	} rows[] = {
		{"nofile=64", RLIMIT_NOFILE, 64, 64},
		{"nofile=64:128", RLIMIT_NOFILE, 64, 128},
		{"as=2G", RLIMIT_AS, 2UL << 30, 2UL << 30},
		{"core=0:unlimited", RLIMIT_CORE, 0, RLIM_INFINITY},
		{"stack=infinity", RLIMIT_STACK, RLIM_INFINITY, RLIM_INFINITY},
		{"cpu=-1", RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY},
		{"nofile=010:0512", RLIMIT_NOFILE, 10, 512},
		{"nofile=0x10", -1, 0, 0},
		{"nofile", -1, 0, 0},
		{"nofile=", -1, 0, 0},
		{"nofile=5:", -1, 0, 0},
		{"nofile=:5", -1, 0, 0},
		{"nofile=5:4", -1, 0, 0},
		{"nofile=5:6:7", -1, 0, 0},
		{"nofile=unlimited:6", -1, 0, 0},
		{"nofile=-2", -1, 0, 0},
		{"NOFILE=5", -1, 0, 0},
		{"file=5", -1, 0, 0},
		{"=5", -1, 0, 0},
		{"", -1, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits_rlimit got = {.resource = -1};
		struct sbx_err err;

		if (limits_read_rlimit(rows[i].text, "--rlimit", &got, &err) < 0)
			got = (struct limits_rlimit){.resource = -1};
		cr_expect_eq(got.resource, rows[i].resource, "%s", rows[i].text);
		cr_expect_eq(got.value.rlim_cur, rows[i].soft, "%s", rows[i].text);
		cr_expect_eq(got.value.rlim_max, rows[i].hard, "%s", rows[i].text);
	}
}

Test(limits, numbers_have_the_kernels_bounds)
{
	static const struct {
		enum limits_number which;
		const char *text;
		int number; /* 9999: refused */
	} rows[] = {
		{LIMITS_NICE, "-20", -20},
		{LIMITS_NICE, "19", 19},
		{LIMITS_NICE, "0", 0},
		{LIMITS_NICE, "-21", 9999},
		{LIMITS_NICE, "20", 9999},
		{LIMITS_NICE, "--5", 9999},
		{LIMITS_NICE, "+5", 9999},
		{LIMITS_NICE, "", 9999},
		{LIMITS_OOM_SCORE, "-1000", -1000},
		{LIMITS_OOM_SCORE, "1000", 1000},
		{LIMITS_OOM_SCORE, "1001", 9999},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sbx_err err;
		int number = 9999;

		(void)limits_read_number(rows[i].which, rows[i].text, "--nice", &number, &err);
		cr_expect_eq(number, rows[i].number, "%s", rows[i].text);
	}
}

Test(limits, become_steps_in_the_process_that_they_are_for)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--rlimit nofile=64 --oom-score-adj 300 --nice 5 --rlimit core=0:10");
	cr_expect_str_eq(planning_steps(&p, false),
			 "set oom_score_adj to 300 [--oom-score-adj]\n"
			 "set the nice value to 5 [--nice]\n"
			 "set the resource limit nofile=64 [--rlimit]\n"
			 "set the resource limit core=0:10 [--rlimit]\n");
}

Test(limits, of_time_are_the_monitors)
{
	_autoplanning_ struct planning none, both, late;

	planning_start(&none, "--hostname box");
	cr_expect_eq(none.plan.timeout_ms, 0);
	planning_start(&both, "--timeout 2m --kill-after 0.5");
	cr_expect_eq(both.plan.timeout_ms, 120000);
	cr_expect_eq(both.plan.kill_after_ms, 500);
	planning_init(&late);
	cr_expect_lt(planning_make(&late, "--kill-after 5"), 0);
	cr_expect_str_eq(planning_error(&late), "sbx: --kill-after: has a meaning only with "
						"--timeout DURATION, when that is over\n");
}
