/* SPDX-License-Identifier: MIT */
/*
 * limits: see limits.h.
 *
 * The spec keeps the texts as they were typed, so that it prints as it was asked for. They are
 * checked by the parser, and again here, as a spec can come from a file.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/spec/limits.h"

static const struct {
	const char *name; /* as prlimit(1) calls it */
	int resource;
} limits_resources[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

static const struct {
	const char *what;
	int min, max;
} limits_numbers[LIMITS_NUMBER_COUNT_] = {
	[LIMITS_NICE] = {"a nice value", -20, 19},
	[LIMITS_OOM_SCORE] = {"a number", -1000, 1000},
};

static const struct {
	const char *unit;
	int64_t ms;
} limits_units[] = {
	{"ms", 1},	    {"s", 1000},	 {"m", 60 * 1000},
	{"h", 3600 * 1000}, {"d", 86400 * 1000}, {"", 1000},
};

enum {
	LIMITS_DAYS_MAX = 36500,
	LIMITS_KILL_AFTER_MS = 10 * 1000, /* as podman-stop(1) waits */
	LIMITS_TEXT_MAX = 63,
};

/* One half of SOFT:HARD. */
static int limits_read_value(const char *text, size_t len, rlim_t *ret)
{
	char copy[LIMITS_TEXT_MAX + 1];
	uint64_t value;

	if (len > LIMITS_TEXT_MAX)
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (str_equal(copy, "unlimited") || str_equal(copy, "infinity") || str_equal(copy, "-1")) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	if (str_parse_size(copy, RLIM_INFINITY - 1, &value) < 0)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int limits_refuse_name(const char *text, size_t len, const char *option, struct sbx_err *err)
{
	char room[256];
	struct str_buf all = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < ARRAY_SIZE(limits_resources); i++)
		str_buf_printf(&all, "%s%s", i ? ", " : "", limits_resources[i].name);
	return err_usage(err, option, "no such limit \"%.*s\"; there are: %s", (int)len, text,
			 all.data);
}

/**
 * NAME=SOFT[:HARD], as "nofile=256:1024", "as=2G", "core=unlimited". Names are prlimit(1)'s,
 * units setrlimit(2)'s. Without HARD both are SOFT.
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int limits_read_rlimit(const char *text, const char *option, struct limits_rlimit *ret,
		       struct sbx_err *err)
{
	size_t len = strcspn(text, "=");
	const char *soft = text + len + 1, *hard;
	size_t row = 0;

	while (row < ARRAY_SIZE(limits_resources) &&
	       (strlen(limits_resources[row].name) != len ||
		strncmp(limits_resources[row].name, text, len) != 0))
		row++;
	if (row == ARRAY_SIZE(limits_resources))
		return limits_refuse_name(text, len, option, err);
	if (text[len] != '=')
		return err_usage(err, option, "needs a value, as %s=SOFT or %s=SOFT:HARD", text,
				 text);
	hard = strchr(soft, ':');
	hard = hard ? hard + 1 : soft;
	if (limits_read_value(soft, strcspn(soft, ":"), &ret->value.rlim_cur) < 0 ||
	    limits_read_value(hard, strlen(hard), &ret->value.rlim_max) < 0)
		return err_usage(err, option,
				 "a limit must be a number, as 256, 64K or 2G, or \"unlimited\", "
				 "not \"%s\"",
				 soft);
	if (ret->value.rlim_cur > ret->value.rlim_max)
		return err_usage(err, option, "the soft limit is above the hard one in \"%s\"",
				 text);
	ret->resource = limits_resources[row].resource;
	return 0;
}

/* A whole number within the bounds of `which`. Return: 0, or -EINVAL with *err filled. */
int limits_read_number(enum limits_number which, const char *text, const char *option, int *ret,
		       struct sbx_err *err)
{
	bool negative = *text == '-';
	int max = negative ? -limits_numbers[which].min : limits_numbers[which].max;
	uint64_t value;

	if (str_parse_u64(text + negative, 10, (uint64_t)max, &value) < 0)
		return err_usage(err, option, "N must be %s from %d to %d, not \"%s\"",
				 limits_numbers[which].what, limits_numbers[which].min,
				 limits_numbers[which].max, text);
	*ret = negative ? -(int)value : (int)value;
	return 0;
}

/* The digits behind a decimal point, in thousandths; more than three are cut. */
static int64_t limits_thousandths(const char **text)
{
	int64_t value = 0, worth = 100;

	for (; **text >= '0' && **text <= '9'; (*text)++, worth /= 10)
		value += (**text - '0') * worth;
	return value;
}

/**
 * A duration as sleep(1) takes it: 90, 90s, 1.5h, and ms as well.
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int limits_read_duration(const char *text, const char *option, int64_t *ret_ms, struct sbx_err *err)
{
	const int64_t max = (int64_t)LIMITS_DAYS_MAX * 86400 * 1000;
	const char *rest = text;
	int64_t whole = 0, part = 0;

	for (; *rest >= '0' && *rest <= '9' && whole <= max; rest++)
		whole = whole * 10 + (*rest - '0');
	if (rest > text && *rest == '.') {
		rest++;
		part = limits_thousandths(&rest);
	}
	for (size_t i = 0; rest > text && i < ARRAY_SIZE(limits_units); i++) {
		if (!str_equal(rest, limits_units[i].unit))
			continue;
		if (whole > max / limits_units[i].ms)
			break;
		*ret_ms = whole * limits_units[i].ms + part * limits_units[i].ms / 1000;
		return 0;
	}
	return err_usage(err, option,
			 "DURATION must be like 90, 90s, 500ms, 5m, 1.5h or 1d, at most %d days, "
			 "not \"%s\"",
			 LIMITS_DAYS_MAX, text);
}

/* When the command is to end. */
int limits_choose(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	plan->kill_after_ms = LIMITS_KILL_AFTER_MS;
	if (spec->timeout)
		r = limits_read_duration(spec->timeout, "--timeout", &plan->timeout_ms, err);
	if (r == 0 && spec->kill_after)
		r = limits_read_duration(spec->kill_after, "--kill-after", &plan->kill_after_ms,
					 err);
	if (r == 0 && spec->kill_after && !spec->timeout)
		r = err_usage(err, "--kill-after",
			      "has a meaning only with --timeout DURATION, when that is over");
	return r;
}

/* The text is copied: PID 1 wipes the memory that argv lies in. */
static int limits_add_step(struct sbx_plan *plan, enum plan_step_kind kind, const char *option,
			   const char *text, const char *origin, struct sbx_err *err)
{
	struct plan_step *step = plan_add_step(plan, kind, option);

	if (step)
		step->text = arena_dup(&plan->arena, text);
	if (!step || !step->text)
		return err_oom(err);
	step->origin = origin;
	return 0;
}

/* PID 1 sets it while it sees the host's /proc; who is made by it has it too. */
int limits_add_early(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	static const char option[] = "--oom-score-adj";
	int number, r = 0;

	if (!spec->oom_score_adj)
		return 0;
	r = limits_read_number(LIMITS_OOM_SCORE, spec->oom_score_adj, option, &number, err);
	return r < 0 ? r
		     : limits_add_step(plan, PLAN_STEP_OOM_SCORE, option, spec->oom_score_adj,
				       spec->causes[SPEC_FIELD_OOM_SCORE_ADJ].origin, err);
}

static int limits_add_nice(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	static const char option[] = "--nice";
	int number, r = limits_read_number(LIMITS_NICE, spec->nice, option, &number, err);

	return r < 0 ? r
		     : limits_add_step(plan, PLAN_STEP_NICE, option, spec->nice,
				       spec->causes[SPEC_FIELD_NICE].origin, err);
}

/* The command's own. */
int limits_add_payload(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	static const char option[] = "--rlimit";
	int r = spec->nice ? limits_add_nice(spec, plan, err) : 0;

	for (size_t i = 0; r == 0 && i < spec->n_rlimits; i++) {
		const struct spec_rlimit *wanted = &spec->rlimits[i];
		struct limits_rlimit rlimit;

		r = limits_read_rlimit(wanted->text, option, &rlimit, err);
		if (r == 0)
			r = limits_add_step(plan, PLAN_STEP_RLIMIT, option, wanted->text,
					    wanted->cause.origin, err);
	}
	return r;
}
