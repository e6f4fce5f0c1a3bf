/* SPDX-License-Identifier: MIT */
/*
 * Attacks on limits: a command that wants to see, leave or raise its cgroup. Needs a pure cgroup v2
 * tree and a user manager of systemd's, so tests/vm/run runs it.
 */

#include <stdio.h>
#include <unistd.h>

#include "attack.h"

/* What uses more memory than 32M, if it can. */
#define USE_MEMORY "head -c 100m /dev/zero | tail >/dev/null; echo $?"

static void need_cgroups(void)
{
	char bus[64];

	snprintf(bus, sizeof(bus), "/run/user/%u/bus", getuid());
	skip_unless(access(bus, F_OK) == 0, "this user has no manager of systemd's");
	skip_unless(access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0,
		    "no pure cgroup v2 hierarchy");
}

/* Not by the hierarchy of the host, wherever a bind brings it in: the command has the caller's id.
 */
Test(limits, the_hosts_cgroups_are_not_seen)
{
	need_cgroups();
	_autorun_ struct run_result open_ =
		in_usr("--bind", "/sys", "/sys", "--bind", "/sys/fs/cgroup", "/mnt",
		       SH("ls -d /sys/fs/cgroup/user.slice /mnt/user.slice"));
	_autorun_ struct run_result r =
		in_usr("--memory", "64M", "--bind", "/sys", "/sys", "--bind", "/sys/fs/cgroup",
		       "/mnt", SH("ls -A /sys/fs/cgroup /mnt; cat /proc/self/cgroup"));
	_autorun_ struct run_result whole =
		run_sbx("--memory", "64M", "--bind", "/", "/", SH("ls -A /sys/fs/cgroup"));
	_autorun_ struct run_result shared = in_usr("--memory", "64M", "--share-cgroup", "--bind",
						    "/sys", "/sys", SH("ls -A /sys/fs/cgroup"));

	expect_out(open_, "/mnt/user.slice\n/sys/fs/cgroup/user.slice\n");
	expect_out(r, "/mnt:\n\n/sys/fs/cgroup:\n0::/\n");
	expect_out(whole, "");
	expect_out(shared, "");
}

/*
 * By a cgroup filesystem of its own making it can write to its own limits where the host's is
 * not mounted with nsdelegate. They are on the cgroup above, too, which is not seen there.
 */
Test(limits, raising_its_own_does_not_help)
{
	static const char script[] = "mount -t cgroup2 none /mnt && ls /mnt/memory.max || exit 9; "
				     "for f in memory.max memory.high memory.swap.max; do echo max "
				     ">/mnt/$f; done 2>/dev/null; "
				     "mkdir /mnt/sub && echo $$ >/mnt/sub/cgroup.procs; cd "
				     "/mnt/..; ls -d limits; " USE_MEMORY;

	need_cgroups();
	_autorun_ struct run_result open_ =
		in_usr("--allow-userns", "--", "unshare", "-UrmC", "sh", "-c",
		       "head -c 100m /dev/zero | tail >/dev/null; echo $?");
	_autorun_ struct run_result r =
		in_usr("--memory", "32M", "--tmpfs", "/mnt", "--allow-userns", "--", "unshare",
		       "-UrmC", "sh", "-c", script);

	expect_out(open_, "0\n");
	expect_out(r, "/mnt/memory.max\n137\n");
	cr_expect(strstr(r.err, "sbx: memory limit 32M reached: 1 process killed\n"), "%s", r.err);
}

/* Nor do capabilities over the sandbox's own namespaces. */
Test(limits, capabilities_do_not_uncover)
{
	need_cgroups();
	_autorun_ struct run_result r = in_usr(
		"--memory", "32M", "--cap-add", "ALL", "--seccomp=none", "--bind", "/sys", "/sys",
		SH("umount /sys/fs/cgroup && echo uncovered; ls -A /sys/fs/cgroup; " USE_MEMORY));

	expect_out(r, "137\n");
}

/* What it leaves running, in the host's pids and a session of its own, ends with it. */
Test(limits, nobody_outlives_the_command)
{
	char number[32], script[160];

	need_cgroups();
	snprintf(number, sizeof(number), "sleep 20%d", getpid());
	snprintf(script, sizeof(script), "setsid -f sh -c 'setsid -f %s'; echo up", number);
	_autorun_ struct run_result r =
		in_usr("--memory", "64M", "--share-pid", "--", "sh", "-c", script);
	_autorun_ struct run_result left = run_program("pgrep", "-f", number);

	expect_out(r, "up\n");
	expect_out(left, "");
}
