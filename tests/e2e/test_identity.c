/* SPDX-License-Identifier: MIT */
/* e2e identity: who the command is inside, and who that is outside. */
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)
#define IDS SH("echo $(id -u) $(id -g)")

/* Ranges are there only where the system gives the caller some. */
static bool has_ranges(void)
{
	const struct passwd *self = getpwuid(getuid());
	char command[256];

	snprintf(command, sizeof(command),
		 "command -v newuidmap && grep -E '^(%s|%d):' /etc/subuid && "
		 "grep -E '^(%s|%d):' /etc/subgid",
		 self ? self->pw_name : "-", (int)getuid(), self ? self->pw_name : "-",
		 (int)getuid());
	{
		_autorun_ struct run_result r = run_program("sh", "-c", command);

		return r.status == 0;
	}
}

#define needs_ranges() skip_unless(has_ranges(), "no id ranges for this user")

static void expect_ids(const struct run_result *r, uid_t uid, gid_t gid)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "%u %u\n", uid, gid);
	expect_out(*r, expected);
}

Test(identity, the_caller_stays_who_he_is)
{
	_autorun_ struct run_result automatic = in_usr(IDS);
	_autorun_ struct run_result single = in_usr("--map=single", IDS);

	expect_ids(&automatic, getuid(), getgid());
	expect_ids(&single, getuid(), getgid());
}

Test(identity, a_single_map_has_one_id_and_no_setgroups)
{
	_autorun_ struct run_result r =
		in_usr("--map=single", SH("echo $(cat /proc/self/uid_map) $(cat /proc/self/gid_map)"
					  " $(cat /proc/self/setgroups)"));
	char expected[128];

	snprintf(expected, sizeof(expected), "%u %u 1 %u %u 1 deny\n", getuid(), getuid(), getgid(),
		 getgid());
	expect_out(r, expected);
}

Test(identity, auto_maps_ranges_around_the_caller)
{
	needs_ranges();
	{
		_autorun_ struct run_result r = in_usr(SH(
			"awk '{ n += $3; if ($1 <= 1 && 1 < $1 + $3) one = 1 }"
			" END { print (n > 60000), one }' /proc/self/uid_map /proc/self/gid_map"));

		expect_out(r, "1 1\n");
	}
}

Test(identity, uid_and_gid_rename_the_caller)
{
	_autorun_ struct run_result low = in_usr("--uid", "12", "--gid", "34", IDS);
	_autorun_ struct run_result single =
		in_usr("--map=single", "--uid=4294967294", "--gid=4294967294", IDS);
	_autorun_ struct run_result beyond = in_usr("--uid", "4294967295", "--", "true");

	expect_ids(&low, 12, 34);
	expect_ids(&single, 4294967294U, 4294967294U);
	expect_failure(beyond, 125, "4294967295");
}

Test(identity, what_is_made_inside_belongs_to_the_caller_outside)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result same = in_usr("--bind", path, "/d", "--", "touch", "/d/same");
	_autorun_ struct run_result other =
		in_usr("--uid", "77", "--bind", path, "/d", "--", "touch", "/d/other");
	_autorun_ struct run_result root =
		in_usr("--root", "--bind", path, "/d", "--", "touch", "/d/root");
	const char *const names[] = {"d/same", "d/other", "d/root"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct stat st;

		cr_assert_eq(fstatat(tree, names[i], &st, 0), 0, "%s", names[i]);
		cr_expect_eq(st.st_uid, getuid());
		cr_expect_eq(st.st_gid, getgid());
	}
}

Test(identity, root_is_root_inside)
{
	_autorun_ struct run_result r = in_usr("--root", SH("echo $(id -u) $(id -g) $(id -un)"));
	_autorun_ struct run_result single =
		in_usr("--root", "--map=single", SH("echo $(id -u) $(id -g) $(id -un)"));

	expect_out(r, "0 0 root\n");
	expect_out(single, "0 0 root\n");
}

Test(identity, root_can_chown_and_become_others)
{
	needs_ranges();
	{
		_autorun_ struct run_result r = in_usr(
			"--root", SH("touch /tmp/f && chown 5:6 /tmp/f && stat -c %u:%g /tmp/f &&"
				     "setpriv --reuid 7 --regid 8 --groups 9,10 sh -c"
				     " 'echo $(id -u) $(id -g) $(id -G)'"));

		expect_out(r, "5:6\n7 8 8 9 10\n");
	}
}

Test(identity, user_runs_the_command_as_a_mapped_id)
{
	needs_ranges();
	{
		_autorun_ struct run_result r = in_usr("--user", "5:6", IDS);
		_autorun_ struct run_result caps =
			in_usr("--user", "5", SH("grep ^CapEff /proc/self/status"));
		_autorun_ struct run_result unmapped =
			in_usr("--map=single", "--user", "5", "--", "true");

		expect_ids(&r, 5, 6);
		expect_out(caps, "CapEff:\t0000000000000000\n");
		expect_failure(unmapped, 125, "--user");
		expect_failure(unmapped, 125, "5");
	}
}

Test(identity, a_file_of_another_id_inside_belongs_to_a_sub_id_outside)
{
	needs_ranges();
	{
		_autoclose_ int tree = tmp_tree("d/");
		_autofree_ char *path = tree_path(tree, "d");
		_autorun_ struct run_result r =
			in_usr("--root", "--bind", path, "/d",
			       SH("touch /d/f && chown 5:5 /d/f && chown 0:0 /d"));
		struct stat st;

		expect_success(r);
		cr_assert_eq(fstatat(tree, "d/f", &st, 0), 0);
		cr_expect_neq(st.st_uid, getuid());
		cr_expect_geq(st.st_uid, 1000U);
	}
}

Test(identity, a_missing_helper_matters_only_where_ranges_were_demanded)
{
	_autorun_ struct run_result automatic =
		in_usr("--helper", "newuidmap=/no/such/newuidmap", IDS);
	_autorun_ struct run_result range =
		in_usr("--map=range", "--helper", "newuidmap=/no/such/newuidmap", "--", "true");

	expect_ids(&automatic, getuid(), getgid());
	expect_failure(range, 125, "newuidmap");
}

Test(identity, a_failing_helper_is_named)
{
	needs_ranges();
	{
		_autoclose_ int tree =
			tmp_tree("newgidmap=#!/bin/sh\necho broken helper >&2\nexit 1\n");
		_autofree_ char *path = tree_path(tree, "newgidmap");
		_autofree_ char *helper = NULL;

		cr_assert(asprintf(&helper, "newgidmap=%s", path) > 0);
		{
			_autorun_ struct run_result range =
				in_usr("--map=range", "--helper", helper, "--", "true");

			expect_failure(range, 125, "newgidmap");
		}
	}
}

Test(identity, without_new_privileges_there_are_no_ranges_and_it_is_said)
{
	needs_ranges();
	{
		_autorun_ struct run_result automatic =
			run_program("setpriv", "--no-new-privs", sbx_program(), "--ro-bind", "/usr",
				    "/usr", "--", "id", "-u");
		_autorun_ struct run_result range =
			run_program("setpriv", "--no-new-privs", sbx_program(), "--map=range",
				    "--ro-bind", "/usr", "/usr", "--", "id", "-u");
		char expected[32];

		snprintf(expected, sizeof(expected), "%u\n", getuid());
		expect_out(automatic, expected);
		expect_failure(range, 125, "no_new_privs");
	}
}
