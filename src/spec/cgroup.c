/* SPDX-License-Identifier: MIT */
/*
 * cgroup: see cgroup.h.
 *
 * Theory of operation
 *
 * A limit is a text for a file of a cgroup (Linux's Documentation, cgroup-v2): the table
 * says for each option which file, whose controller, and how its text is read. The spec keeps
 * what was typed.
 *
 * Where the cgroup comes from is decided once for all of them, and the first way that can be
 * gone is:
 *
 *     OWN      the caller's own cgroup, or one above it, is his to divide (delegated)
 *     SCOPE    systemd's manager for the user makes one
 *
 * What speaks against each is kept, for the error that names both; cgroup_host.c looks.
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sbx/base/str.h"
#include "sbx/spec/cgroup.h"
#include "sbx/spec/cgroup_host.h"

enum {
	CGROUP_WEIGHT_MAX = 10000,
	CGROUP_PIDS_MAX = 4194304, /* the kernel's own (PID_MAX_LIMIT) */
	CGROUP_CPUS_MAX = 8192,
	CGROUP_CPUSET_MAX = 48, /* bytes of a list */
	CGROUP_PERIOD_US = 100000,
	CGROUP_QUOTA_MIN_US = 1000, /* the kernel's own */
};

/* ---- values ---- */

/* A number of bytes, or "max". */
static int cgroup_read_size(const char *text, char *value)
{
	uint64_t bytes;

	if (str_equal(text, "max")) {
		str_copy(value, CGROUP_VALUE_SIZE, text);
		return 0;
	}
	if (str_parse_size(text, INT64_MAX, &bytes) < 0)
		return -EINVAL;
	(void)snprintf(value, CGROUP_VALUE_SIZE, "%" PRIu64, bytes);
	return 0;
}

/* The same, but none at all would end every process at once. */
static int cgroup_read_memory(const char *text, char *value)
{
	int r = cgroup_read_size(text, value);

	return r == 0 && str_equal(value, "0") ? -EINVAL : r;
}

static int cgroup_read_count(const char *text, uint64_t max, char *value)
{
	uint64_t number;

	if (str_parse_u64(text, 10, max, &number) < 0 || number == 0)
		return -EINVAL;
	(void)snprintf(value, CGROUP_VALUE_SIZE, "%" PRIu64, number);
	return 0;
}

static int cgroup_read_weight(const char *text, char *value)
{
	return cgroup_read_count(text, CGROUP_WEIGHT_MAX, value);
}

static int cgroup_read_pids(const char *text, char *value)
{
	if (str_equal(text, "max")) {
		str_copy(value, CGROUP_VALUE_SIZE, text);
		return 0;
	}
	return cgroup_read_count(text, CGROUP_PIDS_MAX, value);
}

/* "1.5" is that many processors' time: microseconds in each period. Digits behind the fifth are
 * cut. */
static int cgroup_read_cpus(const char *text, char *value)
{
	int64_t quota_us = 0, worth = CGROUP_PERIOD_US;
	const char *at = text;

	for (; isdigit((unsigned char)*at) && quota_us <= CGROUP_CPUS_MAX; at++)
		quota_us = quota_us * 10 + (*at - '0');
	if (at == text || quota_us > CGROUP_CPUS_MAX)
		return -EINVAL;
	quota_us *= CGROUP_PERIOD_US;
	if (*at == '.' && !isdigit((unsigned char)*++at))
		return -EINVAL;
	for (; isdigit((unsigned char)*at); at++) {
		worth /= 10;
		quota_us += (*at - '0') * worth;
	}
	if (*at != '\0' || quota_us < CGROUP_QUOTA_MIN_US)
		return -EINVAL;
	(void)snprintf(value, CGROUP_VALUE_SIZE, "%" PRId64 " %d", quota_us, CGROUP_PERIOD_US);
	return 0;
}

/* cpuset(7)'s list format: 0-3,7. */
static int cgroup_read_cpuset(const char *text, char *value)
{
	size_t len = strlen(text);
	const char *at = text;

	if (len > CGROUP_CPUSET_MAX)
		return -EINVAL;
	do {
		unsigned long first = 0, last = 0;
		int n = 0;

		if (!isdigit((unsigned char)*at) || sscanf(at, "%7lu%n", &first, &n) != 1)
			return -EINVAL;
		at += n;
		last = first;
		if (*at == '-') {
			at++;
			if (!isdigit((unsigned char)*at) || sscanf(at, "%7lu%n", &last, &n) != 1)
				return -EINVAL;
			at += n;
		}
		if (last < first)
			return -EINVAL;
	} while (*at == ',' && *++at);
	if (*at != '\0' || text[len - 1] == ',')
		return -EINVAL;
	str_copy(value, CGROUP_VALUE_SIZE, text);
	return 0;
}

/* The options, but for --io-max, of which there can be several. */
static const struct cgroup_kind {
	const char *option;
	enum spec_field_id field;
	enum plan_controller controller;
	const char *file;
	int (*read)(const char *text, char *value);
	const char *form; /* what it must be */
} cgroup_kinds[] = {
	{"--memory", SPEC_FIELD_MEMORY, PLAN_MEMORY, "memory.max", cgroup_read_memory,
	 "a size, as 512M or 2G, or \"max\""},
	{"--memory-high", SPEC_FIELD_MEMORY_HIGH, PLAN_MEMORY, "memory.high", cgroup_read_memory,
	 "a size, as 512M or 2G, or \"max\""},
	{"--swap", SPEC_FIELD_SWAP, PLAN_MEMORY, "memory.swap.max", cgroup_read_size,
	 "a size, as 0, 512M or 2G, or \"max\""},
	{"--cpus", SPEC_FIELD_CPUS, PLAN_CPU, "cpu.max", cgroup_read_cpus,
	 "a number of processors from 0.01 to 8192, as 2 or 1.5"},
	{"--cpu-weight", SPEC_FIELD_CPU_WEIGHT, PLAN_CPU, "cpu.weight", cgroup_read_weight,
	 "a number from 1 to 10000; 100 is everybody's"},
	{"--cpuset", SPEC_FIELD_CPUSET, PLAN_CPUSET, "cpuset.cpus", cgroup_read_cpuset,
	 "a list of processors, as 0-3,7"},
	{"--pids", SPEC_FIELD_PIDS, PLAN_PIDS, "pids.max", cgroup_read_pids,
	 "a number from 1 to 4194304, or \"max\""},
	{"--io-weight", SPEC_FIELD_IO_WEIGHT, PLAN_IO, "io.weight", cgroup_read_weight,
	 "a number from 1 to 10000; 100 is everybody's"},
};

static int cgroup_read(const struct cgroup_kind *kind, const char *text, char *value,
		       struct sbx_err *err)
{
	if (kind->read(text, value) == 0)
		return 0;
	return err_usage(err, kind->option, "must be %s, not \"%s\"", kind->form, text);
}

/**
 * Read the argument of one of the options that limit a cgroup, but for --io-max.
 * @ret_value: as its file takes it
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int cgroup_read_limit(const char *option, const char *text, char ret_value[CGROUP_VALUE_SIZE],
		      struct sbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_kinds); i++)
		if (str_equal(cgroup_kinds[i].option, option))
			return cgroup_read(&cgroup_kinds[i], text, ret_value, err);
	return err_usage(err, option, "is no limit of a cgroup");
}

/* One KEY=N. Return: 0 or -EINVAL. */
static int cgroup_read_io_key(const char *text, size_t len, struct str_buf *out)
{
	static const char *const keys[] = {"rbps=", "wbps=", "riops=", "wiops="};
	char word[CGROUP_VALUE_SIZE], value[CGROUP_VALUE_SIZE];

	if (len >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, len);
	word[len] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!str_starts_with(word, keys[i]))
			continue;
		if (cgroup_read_memory(word + strlen(keys[i]), value) < 0)
			return -EINVAL;
		str_buf_printf(out, "%s%s%s", out->len ? " " : "", keys[i], value);
		return out->cut ? -EINVAL : 0;
	}
	return -EINVAL;
}

/**
 * DEVICE:KEY=N[,KEY=N...], as "/dev/sda:rbps=10M,wiops=100".
 *
 * Return: 0, or -EINVAL with *err filled.
 */
int cgroup_read_io_max(const char *text, const char *option, struct cgroup_io_max *ret,
		       struct sbx_err *err)
{
	const char *colon = strrchr(text, ':'), *at = colon ? colon + 1 : text;
	struct str_buf values = {.data = ret->values, .size = sizeof(ret->values)};
	bool good = colon && colon != text;

	ret->values[0] = '\0';
	while (good) {
		size_t len = strcspn(at, ",");

		good = cgroup_read_io_key(at, len, &values) == 0;
		at += len;
		if (*at++ != ',')
			break;
	}
	if (!good)
		return err_usage(err, option,
				 "must be DEVICE:KEY=N[,KEY=N...], as /dev/sda:rbps=10M,wiops=100 "
				 "(keys: rbps, wbps, riops, wiops), not \"%s\"",
				 text);
	ret->device = text;
	ret->device_len = (size_t)(colon - text);
	return 0;
}

/* ---- the plan ---- */

static int cgroup_add(struct sbx_plan *plan, const struct plan_limit *limit,
		      enum plan_controller controller, struct sbx_err *err)
{
	struct plan_limits *limits = &plan->limits;
	struct plan_limit *grown =
		arena_grow(&plan->arena, limits->list, limits->n, sizeof(*grown));

	if (!grown || !limit->asked || !limit->value)
		return err_oom(err);
	limits->list = grown;
	grown[limits->n++] = *limit;
	limits->controllers |= 1u << controller;
	return 0;
}

static int cgroup_add_kind(const struct sbx_spec *spec, const struct cgroup_kind *kind,
			   struct sbx_plan *plan, struct sbx_err *err)
{
	const char *text = spec_get_string(spec, kind->field);
	struct plan_limit limit = {.option = kind->option,
				   .origin = spec->causes[kind->field].origin,
				   .file = kind->file};
	char value[CGROUP_VALUE_SIZE];
	int r;

	if (!text)
		return 0;
	r = cgroup_read(kind, text, value, err);
	if (r < 0)
		return r;
	limit.asked = arena_dup(&plan->arena, text);
	limit.value = arena_dup(&plan->arena, value);
	return cgroup_add(plan, &limit, kind->controller, err);
}

/* Memory that cannot be had must not be made up for by swap without end. */
static int cgroup_add_swap(const struct sbx_spec *spec, struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_limit limit = {.option = "--memory",
				   .file = "memory.swap.max",
				   .asked = spec->memory,
				   .implied = true};

	if (!spec->memory || spec->swap)
		return 0;
	limit.value = plan->limits.list[0].value; /* that of --memory, the table's first */
	return cgroup_add(plan, &limit, PLAN_MEMORY, err);
}

/* A partition has no limits of its own: the disk that it is on. Return: MAJOR:MINOR, or NULL. */
static const char *cgroup_find_disk(const struct probe_host *host, dev_t dev)
{
	const char *name =
		arena_printf(host->arena, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	const char *part = name ? arena_printf(host->arena, "%s/partition", name) : NULL;
	const char *text = part ? probe_text(host, part) : NULL;

	if (!text)
		return arena_printf(host->arena, "%u:%u", major(dev), minor(dev));
	part = arena_printf(host->arena, "%s/../dev", name);
	text = part ? probe_text(host, part) : NULL;
	return text ? arena_dup_n(host->arena, text, strcspn(text, "\n")) : NULL;
}

/* MAJOR:MINOR as it is, the number of a block device, or of the disk that a path is on. */
static int cgroup_find_device(const struct probe_host *host, const struct cgroup_io_max *io_max,
			      const char **ret_number, struct sbx_err *err)
{
	const char *device = arena_dup_n(host->arena, io_max->device, io_max->device_len);
	unsigned numbers[2];
	struct stat st;
	int n = 0, r = 0;

	if (!device)
		return err_oom(err);
	if (sscanf(device, "%7u:%7u%n", &numbers[0], &numbers[1], &n) == 2 && device[n] == '\0') {
		*ret_number = device;
		return 0;
	}
	if (stat(device, &st) < 0)
		r = err_system(err, errno, device, "cannot look at the device");
	else if (!S_ISBLK(st.st_mode) && major(st.st_dev) == 0)
		r = err_refuse(err, ENOTBLK, device,
			       "is no block device, and on a filesystem that has none");
	if (r < 0) {
		err_hint(err, "name a disk, as /dev/sda or 8:0 (\"lsblk\" lists them), or a "
			      "directory on one");
		return r;
	}
	*ret_number = cgroup_find_disk(host, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
	return *ret_number ? 0 : err_oom(err);
}

static int cgroup_add_io_max(const struct probe_host *host, const struct spec_rlimit *wanted,
			     struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_limit limit = {
		.option = "--io-max", .origin = wanted->cause.origin, .file = "io.max"};
	struct cgroup_io_max io_max = {.device = NULL};
	const char *number = NULL;
	int r = cgroup_read_io_max(wanted->text, "--io-max", &io_max, err);

	if (r < 0)
		return r;
	r = cgroup_find_device(host, &io_max, &number, err);
	if (r < 0) {
		err_set_option(err, "--io-max");
		return r;
	}
	limit.asked = arena_dup(&plan->arena, wanted->text);
	limit.value = arena_printf(&plan->arena, "%s %s", number, io_max.values);
	return cgroup_add(plan, &limit, PLAN_IO, err);
}

/* ---- where from ---- */

static const char cgroup_without[] = "--limits=try does without";

/* The error of a host that offers none of the ways, or with --limits=try the reason. */
static int cgroup_refuse(struct sbx_plan *plan, const char *why, const char *remedy,
			 struct sbx_err *err)
{
	struct plan_limits *limits = &plan->limits;

	if (!why)
		return err_oom(err);
	if (limits->try) {
		limits->without = why;
		limits->remedy = remedy;
		return plan_add_remark(plan, "limits", "none: %s", why) < 0 ? err_oom(err) : 0;
	}
	(void)err_refuse(err, EOPNOTSUPP, NULL, "%s", why);
	err_set_option(err, limits->list[0].option);
	err_hint(err, "%s%s%s", remedy ? remedy : "", remedy ? ";\n" : "", cgroup_without);
	return -EOPNOTSUPP;
}

/* "memory.max 536870912, pids.max 100" */
static const char *cgroup_list(struct sbx_plan *plan)
{
	const struct plan_limits *limits = &plan->limits;
	const char *list = "";

	for (size_t i = 0; list && i < limits->n; i++)
		list = arena_printf(&plan->arena, "%s%s%s %s", list, i ? ", " : "",
				    limits->list[i].file, limits->list[i].value);
	return list;
}

static int cgroup_choose_own(const struct cgroup_own *own, struct sbx_plan *plan,
			     struct sbx_err *err)
{
	plan->limits.from = PLAN_CGROUP_OWN;
	plan->limits.dir = own->dir;
	plan->limits.with_self = own->with_self;
	return plan_add_remark(plan, "limits",
			       "%s; in a cgroup below %s, which is delegated to you",
			       cgroup_list(plan), own->dir) < 0
		       ? err_oom(err)
		       : 0;
}

static int cgroup_choose_scope(const struct cgroup_manager *manager,
			       const struct cgroup_obstacle *not_own, struct sbx_plan *plan,
			       struct sbx_err *err)
{
	plan->limits.from = PLAN_CGROUP_SCOPE;
	plan->limits.busctl = manager->busctl;
	plan->limits.address = manager->address;
	plan->limits.not_own = not_own->what;
	plan->limits.remedy =
		arena_printf(&plan->arena, "see: systemctl --user status%s%s%s%s",
			     not_own->remedy ? ";\n" : "", not_own->remedy ? not_own->remedy : "",
			     plan->limits.try ? "" : ";\n", plan->limits.try ? "" : cgroup_without);
	if (!plan->limits.remedy)
		return err_oom(err);
	return plan_add_remark(plan, "limits", "%s; in a scope that systemd makes, since %s",
			       cgroup_list(plan), not_own->what) < 0
		       ? err_oom(err)
		       : 0;
}

/* Both places have been looked at, and why neither will do is said. */
static int cgroup_refuse_both(struct sbx_plan *plan, const char *not_own, const char *not_scope,
			      const char *remedy, struct sbx_err *err)
{
	return cgroup_refuse(plan,
			     arena_printf(&plan->arena,
					  "there is no cgroup to set it on: in the caller's own, "
					  "%s; from systemd, %s",
					  not_own, not_scope),
			     remedy, err);
}

/* What does for each of the two places. */
static const char *cgroup_join_remedies(struct sbx_plan *plan, const char *own, const char *scope)
{
	if (!own || !scope || str_equal(own, scope))
		return scope ? scope : own;
	return arena_printf(&plan->arena, "%s;\nor %s", own, scope);
}

/* The kernel has no controllers for either, whatever else would be in the way. */
static int cgroup_refuse_kernel(const struct sbx_spec *spec, const struct probe_host *host,
				const struct cgroup_obstacle *kernel, struct sbx_plan *plan,
				struct sbx_err *err)
{
	struct cgroup_obstacle not_scope;
	struct cgroup_manager manager;

	if (cgroup_look_at_manager(host, spec, 0, &manager, &not_scope) < 0)
		return err_oom(err);
	return cgroup_refuse_both(plan, kernel->what,
				  not_scope.what ? not_scope.what
						 : "its user manager has none of them either",
				  kernel->remedy, err);
}

static int cgroup_choose_place(const struct sbx_spec *spec, const struct probe_host *host,
			       struct sbx_plan *plan, struct sbx_err *err)
{
	uint32_t wanted = plan->limits.controllers;
	struct cgroup_obstacle kernel, not_own, not_scope;
	struct cgroup_manager manager;
	struct cgroup_own own;

	if (cgroup_look_at_kernel(host, wanted, &kernel) < 0)
		return err_oom(err);
	if (kernel.what)
		return cgroup_refuse_kernel(spec, host, &kernel, plan, err);
	if (cgroup_look_at_own(host, wanted, &own, &not_own) < 0)
		return err_oom(err);
	if (!not_own.what)
		return cgroup_choose_own(&own, plan, err);
	if (cgroup_look_at_manager(host, spec, wanted, &manager, &not_scope) < 0)
		return err_oom(err);
	if (!not_scope.what)
		return cgroup_choose_scope(&manager, &not_own, plan, err);
	return cgroup_refuse_both(plan, not_own.what, not_scope.what,
				  cgroup_join_remedies(plan, not_own.remedy, not_scope.remedy),
				  err);
}

/**
 * Which limits there are, and on which cgroup they will be set. Looks at the host only where
 * there is one.
 *
 * Return: 0, or -errno with *err filled.
 */
int cgroup_choose(const struct sbx_spec *spec, const struct probe_host *host, struct sbx_plan *plan,
		  struct sbx_err *err)
{
	int r = 0;

	plan->stats = spec->stats;
	plan->limits.try = spec->limits == SPEC_LIMITS_TRY;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(cgroup_kinds); i++)
		r = cgroup_add_kind(spec, &cgroup_kinds[i], plan, err);
	if (r == 0)
		r = cgroup_add_swap(spec, plan, err);
	for (size_t i = 0; r == 0 && i < spec->n_io_max; i++)
		r = cgroup_add_io_max(host, &spec->io_max[i], plan, err);
	return r < 0 || plan->limits.n == 0 ? r : cgroup_choose_place(spec, host, plan, err);
}
