/* SPDX-License-Identifier: MIT */
/* cgroup: what the texts of limits mean, and which cgroup is chosen for them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "planning.h"

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/spec/cgroup.h"

Test(cgroup, each_limit_has_a_value_for_its_file)
{
	static const struct {
		const char *option, *text, *value; /* NULL: refused */
	} rows[] = {
		{"--memory", "512M", "536870912"},
		{"--memory", "2g", "2147483648"},
		{"--memory", "4096", "4096"},
		{"--memory", "max", "max"},
		{"--memory", "0", NULL},
		{"--memory", "", NULL},
		{"--memory", "-1", NULL},
		{"--memory", "1.5G", NULL},
		{"--memory", "512MB", NULL},
		{"--memory", "unlimited", NULL},
		{"--memory", "99999999T", NULL},
		{"--memory-high", "1K", "1024"},
		{"--swap", "0", "0"},
		{"--swap", "max", "max"},
		{"--cpus", "2", "200000 100000"},
		{"--cpus", "1.5", "150000 100000"},
		{"--cpus", "0.01", "1000 100000"},
		{"--cpus", "0.123456789", "12345 100000"},
		{"--cpus", "8192", "819200000 100000"},
		{"--cpus", "0.001", NULL},
		{"--cpus", "0", NULL},
		{"--cpus", ".5", NULL},
		{"--cpus", "1.", NULL},
		{"--cpus", "1.5.5", NULL},
		{"--cpus", "1,5", NULL},
		{"--cpus", "99999999999999999999", NULL},
		{"--cpus", "max", NULL},
		{"--cpu-weight", "1", "1"},
		{"--cpu-weight", "10000", "10000"},
		{"--cpu-weight", "0", NULL},
		{"--cpu-weight", "10001", NULL},
		{"--io-weight", "50", "50"},
		{"--pids", "100", "100"},
		{"--pids", "max", "max"},
		{"--pids", "0", NULL},
		{"--pids", "4194305", NULL},
		{"--pids", "10K", NULL},
		{"--cpuset", "0", "0"},
		{"--cpuset", "0-3,7", "0-3,7"},
		{"--cpuset", "3-0", NULL},
		{"--cpuset", "0,", NULL},
		{"--cpuset", ",0", NULL},
		{"--cpuset", "0-", NULL},
		{"--cpuset", "", NULL},
		{"--cpuset", "0 1", NULL},
		{"--cpuset", "0-3:1/2", NULL},
		{"--nice", "5", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char value[CGROUP_VALUE_SIZE] = "";
		struct sbx_err err;
		int r = cgroup_read_limit(rows[i].option, rows[i].text, value, &err);

		cr_expect_eq(r, rows[i].value ? 0 : -EINVAL, "%s %s: %s", rows[i].option,
			     rows[i].text, value);
		if (r == 0 && rows[i].value)
			cr_expect_str_eq(value, rows[i].value);
	}
}

Test(cgroup, io_max_has_a_device_and_keys)
{
	static const struct {
		const char *text, *values; /* NULL: refused */
		size_t device_len;
	} rows[] = {
		{"/dev/sda:rbps=10M,wiops=100", "rbps=10485760 wiops=100", 8},
		{"8:16:wbps=max", "wbps=max", 4},
		{"/:riops=1", "riops=1", 1},
		{"/a:b:rbps=1", "rbps=1", 4},
		{"/dev/sda", NULL, 0},
		{"/dev/sda:", NULL, 0},
		{"/dev/sda:rbps", NULL, 0},
		{"/dev/sda:rbps=", NULL, 0},
		{"/dev/sda:rbps=0", NULL, 0},
		{"/dev/sda:rbps=1,", NULL, 0},
		{"/dev/sda:speed=1", NULL, 0},
		{":rbps=1", NULL, 0},
		{"rbps=1", NULL, 0},
		{"", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cgroup_io_max io_max;
		struct sbx_err err;
		int r = cgroup_read_io_max(rows[i].text, "--io-max", &io_max, &err);

		cr_expect_eq(r, rows[i].values ? 0 : -EINVAL, "%s", rows[i].text);
		if (r < 0 || !rows[i].values)
			continue;
		cr_expect_str_eq(io_max.values, rows[i].values);
		cr_expect_eq(io_max.device_len, rows[i].device_len, "%s", rows[i].text);
	}
}

/* ---- which cgroup ---- */

/* A cgroup below the root, with what it has and who is in it. */
static void add_cgroup(struct planning *p, const char *path, const char *controllers,
		       const char *procs)
{
	_autorun_ struct run_result made = {0};
	char dir[512], script[2048];

	snprintf(dir, sizeof(dir), "%s/sys/fs/cgroup%s", p->tree_root, path);
	snprintf(script, sizeof(script),
		 "mkdir -p %s && cd %s && echo '%s' >cgroup.controllers && printf '%s' "
		 ">cgroup.procs "
		 "&& : >cgroup.subtree_control && echo domain >cgroup.type",
		 dir, dir, controllers, procs);
	made = run_program("/bin/sh", "-c", script);
	cr_assert_eq(made.status, 0, "%s", made.err);
}

static void add_file(struct planning *p, const char *path, const char *text)
{
	char script[1024];

	snprintf(script, sizeof(script), "f=%s%s; mkdir -p ${f%%/*} && printf '%s' >$f",
		 p->tree_root, path, text);
	_autorun_ struct run_result made = run_program("/bin/sh", "-c", script);

	cr_assert_eq(made.status, 0, "%s", made.err);
}

/* A host with these cgroups: "/" has all, and the caller is in /a/b alone. */
static void start(struct planning *p)
{
	char self[32];

	planning_init(p);
	snprintf(self, sizeof(self), "%d\\n", getpid());
	add_file(p, "/proc/self/cgroup", "1:name=systemd:/x\\n0::/a/b\\n");
	add_cgroup(p, "", "cpu io memory pids", "");
	add_cgroup(p, "/a", "cpu io memory pids", "");
	add_cgroup(p, "/a/b", "cpu memory pids", self);
}

static const char *chosen(const struct planning *p)
{
	const char *dir = p->plan.limits.dir;

	return dir ? dir + strlen(p->tree_root) + strlen("/sys/fs/cgroup") : "none";
}

Test(cgroup, without_a_limit_nothing_is_looked_at)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--nice 5");
	cr_expect_eq(p.plan.limits.n, 0);
	cr_expect_eq(p.plan.limits.from, PLAN_CGROUP_NONE);
	cr_expect_null(planning_find(&p, PLAN_STEP_CGROUP_COVER, NULL));
}

Test(cgroup, the_callers_own_is_divided_where_he_is_alone)
{
	_autoplanning_ struct planning p;

	start(&p);
	cr_assert_eq(planning_make(&p, "--memory 64M --pids 9 --limits=try"), 0, "%s", p.err.what);
	cr_expect_eq(p.plan.limits.from, PLAN_CGROUP_OWN);
	cr_expect_str_eq(chosen(&p), "/a/b");
	cr_expect(p.plan.limits.with_self);
	cr_expect(p.plan.needs_record);
	/* memory.max, pids.max, and memory.swap.max by itself. */
	cr_assert_eq(p.plan.limits.n, 3);
	cr_expect_str_eq(p.plan.limits.list[2].file, "memory.swap.max");
	cr_expect_str_eq(p.plan.limits.list[2].value, "67108864");
	cr_expect(p.plan.limits.list[2].implied);
	cr_expect_eq(p.plan.limits.controllers, 1u << PLAN_MEMORY | 1u << PLAN_PIDS);
}

Test(cgroup, where_others_are_in_it_the_one_above_is_taken)
{
	_autoplanning_ struct planning p;

	start(&p);
	add_cgroup(&p, "/a/b", "cpu memory pids", "1\\n2\\n");
	cr_assert_eq(planning_make(&p, "--memory 64M"), 0, "%s", p.err.what);
	cr_expect_str_eq(chosen(&p), "/a");
	cr_expect_not(p.plan.limits.with_self);
}

/* Nothing above a unit of systemd's, no slice, and nothing that a manager has divided. */
Test(cgroup, what_systemd_has_divided_is_left_alone)
{
	static const struct {
		const char *own, *above, *chosen;
	} rows[] = {
		{"/u.slice/x.scope", "/u.slice", NULL}, {"/u.slice/x", "/u.slice", NULL},
		{"/d/x.service", "/d", NULL},		{"/x.scope/shell", "/x.scope", "/x.scope"},
		{"/m.service/x", "/m.service", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		char line[64];
		int r;

		planning_init(&p);
		snprintf(line, sizeof(line), "0::%s\\n", rows[i].own);
		add_file(&p, "/proc/self/cgroup", line);
		add_cgroup(&p, "", "memory", "");
		add_cgroup(&p, rows[i].above, "memory", "");
		add_cgroup(&p, rows[i].own, "memory", "1\\n");
		add_cgroup(&p, "/m.service/init.scope", "memory", "1\\n");
		r = planning_make(&p, "--memory 64M");
		cr_expect_eq(r, rows[i].chosen ? 0 : -EOPNOTSUPP, "%s", rows[i].own);
		cr_expect_str_eq(chosen(&p), rows[i].chosen ? rows[i].chosen : "none");
	}
}

Test(cgroup, what_is_in_the_way_is_said)
{
	static const struct {
		const char *options, *own, *type, *says;
	} rows[] = {
		{"--memory 64M", "memory", "domain threaded\\n",
		 "is a threaded cgroup, or below one; from systemd, this system does not run "
		 "systemd"},
		{"--io-weight 5", "memory", "domain\\n",
		 "is delegated, without the controllers io"},
		{"--cpuset 1", "memory", "domain\\n",
		 "in the caller's own, no cgroup v2 controllers for it: "},
		{"--cpuset 1", "memory", "domain\\n",
		 "or nobody; from systemd, this system does not run systemd"},
		{"--pids 5 --memory 64M", "memory", "domain\\n", "without the controllers pids"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		char self[32];

		start(&p);
		/* What is above is the caller's too, here. */
		add_file(&p, "/proc/self/cgroup", "0::/x.scope\\n");
		snprintf(self, sizeof(self), "%d\\n", getpid());
		add_cgroup(&p, "/x.scope", rows[i].own, self);
		add_file(&p, "/sys/fs/cgroup/x.scope/cgroup.type", rows[i].type);
		cr_expect_eq(planning_make(&p, rows[i].options), -EOPNOTSUPP);
		cr_expect(strstr(planning_error(&p), rows[i].says), "%s: %s", rows[i].options,
			  planning_error(&p));
		cr_expect(strstr(p.err.hint, "--limits=try does without"), "%s", p.err.hint);
	}
}

/* What mends it depends on who is there to mend it. "no": what it must not say. */
Test(cgroup, the_remedy_is_one_of_this_host)
{
	static const struct {
		const char *name, *file, *text; /* beside what every host here has */
		const char *self;		/* /proc/self/cgroup */
		const char *root; /* controllers of the hierarchy; NULL: none is mounted */
		const char *says, *no;
	} rows[] = {
		{"systemd, version 1", "/run/systemd/system/x", "", "4:memory:/\\n0::/\\n", "pids",
		 "boot with systemd.unified_cgroup_hierarchy=1", "cgroup_no_v1"},
		{"systemd, version 2", "/run/systemd/system/x", "", "0::/a\\n", "memory",
		 "systemd-run --user --scope", "boot with"},
		{"version 1", "/x", "", "4:memory:/\\n0::/\\n", "pids",
		 "boot with cgroup_no_v1=all on the kernel's command line; then, as root:\n  echo "
		 "+cpu",
		 "systemd"},
		{"version 1 alone", "/x", "", "4:memory:/\\n1:name=x:/\\n", NULL,
		 "cgroup_no_v1=all on the kernel's command line; then, as root:\n"
		 "  mount -t cgroup2 none /sys/fs/cgroup &&\n  echo +cpu",
		 "systemd"},
		{"nothing mounted", "/x", "", "1:name=x:/\\n0::/\\n", NULL,
		 "as root:\n  mount -t cgroup2 none /sys/fs/cgroup &&\n  echo +cpu", "boot with"},
		{"a kernel without", "/x", "", "0::/\\n", "pids",
		 "this kernel was built without, or its command line", "boot with"},
		{"version 2", "/x", "", "0::/a\\n", "memory", "as root: echo +cpu +cpuset +io",
		 "boot with"},
		{"a container, version 1", "/.dockerenv", "", "4:memory:/\\n0::/\\n", "pids",
		 "this is a container of docker: set the limits where it is started", "as root"},
		{"a container, version 2", "/run/.containerenv", "", "0::/a\\n", "memory",
		 "this is a container of podman: set the limits where it is started", "as root"},
		{"a container, nothing mounted", "/run/systemd/container", "lxc", "0::/\\n", NULL,
		 "this is a container of lxc: set the limits where it is started", "as root"},
		{"a sandbox", "/proc/1/comm", "sbx\\n", "0::/a\\n", "memory",
		 "this is a sandbox of sbx: give the limits to that", "as root"},
		{"a sandbox, nothing mounted", "/proc/1/comm", "sbx\\n", "0::/\\n", NULL,
		 "this is a sandbox of sbx: give the limits to that", "as root"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		const char *error;

		planning_init(&p);
		add_file(&p, rows[i].file, rows[i].text);
		add_file(&p, "/proc/self/cgroup", rows[i].self);
		if (rows[i].root) {
			add_cgroup(&p, "", rows[i].root, "1\\n");
			add_cgroup(&p, "/a", rows[i].root, "1\\n");
		}
		cr_expect_eq(planning_make(&p, "--memory 64M"), -EOPNOTSUPP, "%s", rows[i].name);
		error = p.err.hint;
		cr_expect(strstr(error, rows[i].says), "%s: %s", rows[i].name, error);
		cr_expect_null(strstr(error, rows[i].no), "%s: %s", rows[i].name, error);
		cr_expect(strstr(error, "--limits=try does without"), "%s: %s", rows[i].name,
			  error);
	}
}

Test(cgroup, with_try_the_reason_is_kept)
{
	_autoplanning_ struct planning p;

	start(&p);
	add_cgroup(&p, "", "pids", "");
	cr_assert_eq(planning_make(&p, "--memory 64M --limits=try"), 0);
	cr_expect_eq(p.plan.limits.from, PLAN_CGROUP_NONE);
	cr_expect(strstr(p.plan.limits.without, "no cgroup v2 controllers"), "%s",
		  p.plan.limits.without);
	/* And what to do, but for what was done already. */
	cr_expect_not_null(p.plan.limits.remedy);
	cr_expect_null(strstr(p.plan.limits.remedy, "--limits=try"), "%s", p.plan.limits.remedy);
	cr_expect(strstr(planning_remarks(&p), "limits: none: there is no cgroup to set it on: "),
		  "%s", planning_remarks(&p));
	cr_expect_not(p.plan.needs_record);
	cr_expect_null(planning_find(&p, PLAN_STEP_CGROUP_COVER, NULL));
}
