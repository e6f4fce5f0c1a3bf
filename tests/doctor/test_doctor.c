/* SPDX-License-Identifier: MIT */
/* The pure parts of the doctor: its table, and what it reads from texts of the kernel. */

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/cli/options.h"
#include "sbx/doctor/probes.h"
#include "sbx/spec/cgroup_host.h"

/* ---- the table ---- */

/* Options that the rows know before this version does. */
static const char *const coming[] = {
	"--overlay", "--tmp-overlay", "--ro-overlay", "--publish", "--allow-net", "--deny-net",
};

static bool is_known(const char *option, size_t len)
{
	const char *equals = memchr(option, '=', len);

	len = equals ? (size_t)(equals - option) : len;
	for (size_t i = 0; i < ARRAY_SIZE(coming); i++)
		if (strlen(coming[i]) == len && strncmp(coming[i], option, len) == 0)
			return true;
	return cli_find_option(option, len) != NULL;
}

Test(doctor, rows_name_options_that_there_are)
{
	for (size_t i = 0; i < doctor_n_probes; i++) {
		const char *at = doctor_probes[i].options;

		while (*at) {
			size_t len = strcspn(at, " ");

			cr_expect(is_known(at, len), "%s: %.*s", doctor_probes[i].name, (int)len,
				  at);
			at += len + strspn(at + len, " ");
		}
	}
}

Test(doctor, rows_are_whole_and_their_names_unique)
{
	for (size_t i = 0; i < doctor_n_probes; i++) {
		const struct doctor_probe *probe = &doctor_probes[i];

		cr_expect(probe->run && *probe->title && *probe->why, "%s", probe->name);
		cr_expect_eq(doctor_find(probe->name), probe, "%s is there twice", probe->name);
		cr_expect(probe->need != DOCTOR_FOR_OPTIONS || *probe->options,
			  "%s: no option needs it", probe->name);
		cr_expect_leq(strlen(probe->name), 17, "%s is too long for its column",
			      probe->name);
	}
	cr_expect_null(doctor_find("kern"));
	cr_expect_null(doctor_find(""));
}

/* A probe relies on what was found before it. */
Test(doctor, rows_are_in_their_order)
{
	const struct doctor_probe *userns = doctor_find("user-namespaces");

	cr_assert_not_null(userns);
	cr_expect_lt(userns, doctor_find("mount-namespaces"));
	cr_expect_lt(userns, doctor_find("id-ranges"));
	cr_expect_lt(doctor_find("cgroup"), doctor_find("systemd"));
}

/* ---- texts ---- */

Test(doctor, a_version_is_the_first_number_with_a_dot)
{
	static const struct {
		const char *text;
		unsigned version[3];
	} rows[] = {
		{"slirp4netns version 1.2.0\ncommit: 656041d", {1, 2, 0}},
		{"fuse-overlayfs: version 1.10", {1, 10, 0}},
		{"nftables v1.0.6 (Lester Gooch #5)", {1, 0, 6}},
		{"4 programs 2.31", {2, 31, 0}},
		{"1.13-dev", {1, 13, 0}},
	};
	unsigned version[3];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect(doctor_parse_version(rows[i].text, version), "%s", rows[i].text);
		cr_expect_arr_eq(version, rows[i].version, sizeof(version), "%s", rows[i].text);
	}
	cr_expect_not(doctor_parse_version("", version));
	cr_expect_not(doctor_parse_version("no number, 7 at most", version));
}

Test(doctor, the_callers_keys_are_on_its_line)
{
	static const char text[] = "    0:     4 3/3 3/1000000 33/25000000\n"
				   " 1000:     2 2/2 12/200 44/20000\n"
				   "10001:     1 1/1 1/200 9/20000\n";
	struct doctor_keys keys = {.used = 77};

	cr_expect(doctor_parse_key_users(text, 1000, &keys));
	cr_expect_eq(keys.used, 12);
	cr_expect_eq(keys.max, 200);
	cr_expect_eq(keys.bytes, 44);
	cr_expect_eq(keys.max_bytes, 20000);
	cr_expect(doctor_parse_key_users(text, 10001, &keys));
	cr_expect_eq(keys.used, 1);
	cr_expect_not(doctor_parse_key_users(text, 100, &keys));
	cr_expect_not(doctor_parse_key_users(text, 1, &keys));
	cr_expect_not(doctor_parse_key_users("", 0, &keys));
	cr_expect_not(doctor_parse_key_users("1000: nonsense", 1000, &keys));
}

Test(doctor, the_cgroup_is_that_of_the_second_version)
{
	static const struct {
		const char *text, *path; /* NULL: none */
	} rows[] = {
		{"0::/user.slice/user-1000.slice\n", "/user.slice/user-1000.slice"},
		{"0::/\n", ""},
		{"4:memory:/a\n1:name=systemd:/b\n0::/c", "/c"},
		{"10::/a\n", NULL},
		{"4:memory:/0::/a\n", NULL},
		{"", NULL},
	};
	_autoarena_ struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect(str_equal(cgroup_parse_path(rows[i].text, &arena), rows[i].path), "%s",
			  rows[i].text);
}

Test(doctor, a_number_fills_its_file)
{
	_autoclose_ int tree = tmp_tree("five=5\n", "max=max\n", "none=", "word=five\n");
	static const struct {
		const char *file;
		bool is_number;
		unsigned long long number;
	} rows[] = {
		{"five", true, 5},  {"max", true, UINT64_MAX}, {"none", false, 0},
		{"word", false, 0}, {"missing", false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autofree_ char *path = tree_path(tree, rows[i].file);
		unsigned long long number = 0;

		cr_expect_eq(doctor_read_number(path, &number), rows[i].is_number, "%s", path);
		cr_expect_eq(number, rows[i].number, "%s", path);
	}
}

/* ---- what is launched ---- */

/* The plan of a plain launch has the filter and the limit that the defaults have. */
Test(doctor, a_plain_launch_has_the_defaults_of_sbx)
{
	static const char *words[] = {"true"};
	char *const env[] = {NULL};
	bool filter = false, limit = false;
	struct sbx_plan plan;
	struct doctor d;
	struct sbx_err err;

	cr_assert_eq(doctor_init(&d, env, &err), 0);
	d.spec.argv = words;
	d.spec.n_argv = 1;
	cr_assert_eq(doctor_plan(&d, &d.spec, &plan, &err), 0, "%s", err.what);
	for (size_t i = 0; i < plan.n_steps; i++) {
		filter = filter || plan.steps[i].kind == PLAN_STEP_FILTER;
		limit = limit || plan.steps[i].kind == PLAN_STEP_USERNS_LIMIT;
	}
	cr_expect(filter, "no filter");
	cr_expect(limit, "no limit on user namespaces");
	cr_expect_eq(plan.namespaces & CLONE_NEWNET, CLONE_NEWNET);
	plan_finish(&plan);
	doctor_finish(&d);
}

/* ---- findings ---- */

Test(doctor, an_error_is_told_in_its_own_words)
{
	struct doctor_finding finding;
	struct sbx_err err;

	(void)err_system(&err, EACCES, "/dev/tu\n", "cannot open");
	err_hint(&err, "do\nthis");
	doctor_blame(&finding, &err);
	cr_expect_eq(finding.status, DOCTOR_FAILS);
	cr_expect_str_eq(finding.detail, "/dev/tu\\n: cannot open: Permission denied");
	cr_expect_str_eq(finding.remedy, "do\nthis");
}
