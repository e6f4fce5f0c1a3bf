/* SPDX-License-Identifier: MIT */
/*
 * Attacks on limits: a command that wants to see, leave or raise its cgroup. Needs a pure cgroup v2
 * tree and a user manager of systemd's, so the suite vm has it.
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

static bool is_gone(void *arg)
{
	_autorun_ struct run_result r = run_program("pgrep", "-fx", arg);

	return r.status == 1;
}

/*
 * In the host's pids nobody but process 1 of the sandbox ends what the command has left running in
 * sessions of its own, and that one is killed here. $1 is sbx, $2 a limit or none, $3 the command.
 */
#define KILL_PROCESS_1                                                                             \
	"$1 --ro-bind /usr /usr --share-pid --detach $2 -- sh -c \"setsid -f $3; exec $3\" "       \
	">/dev/null; "                                                                             \
	"until [ $(pgrep -fxc \"$3\") = 2 ]; do sleep 0.1; done; "                                 \
	"for p in $(pgrep -fx \"$3\"); do q=$(ps -o ppid= -p $p); "                                \
	"[ $q = 1 ] || kill -9 $q; done; echo killed"

Test(limits, nobody_outlives_the_sandbox)
{
	char number[32];

	need_cgroups();
	snprintf(number, sizeof(number), "sleep 20%d", getpid());
	_autorun_ struct run_result open_ = run_program("bash", "-c", KILL_PROCESS_1, "bash",
							sbx_program(), "--nice=1", number);
	_autorun_ struct run_result left = run_program("pgrep", "-fxc", number);
	_autorun_ struct run_result cleaned = run_program("pkill", "-9", "-fx", number);

	expect_said(open_, "killed\n");
	cr_expect_geq(atoi(left.out), 1, "%s", left.out);
	cr_assert(wait_until(is_gone, number), "%s", cleaned.err);
	_autorun_ struct run_result r = run_program("bash", "-c", KILL_PROCESS_1, "bash",
						    sbx_program(), "--memory=64M", number);

	expect_said(r, "killed\n");
	cr_expect(wait_until(is_gone, number));
}
