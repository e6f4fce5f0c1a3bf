/* SPDX-License-Identifier: MIT */
/* What is decided: from words on a made-up host to a plan, or to an error. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "planning.h"

#include "sbx/base/caps.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/steps.h"

/* ---- namespaces ---- */

enum {
	ALL_NEW = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
		  CLONE_NEWCGROUP | CLONE_NEWNET
};

Test(resolve, namespaces_are_new_unless_shared)
{
	static const struct {
		const char *options;
		uint64_t namespaces;
	} rows[] = {
		{"", ALL_NEW},
		{"--unshare-all", ALL_NEW},
		{"--unshare-user-try --unshare-cgroup-try", ALL_NEW},
		{"--share-net", ALL_NEW & ~CLONE_NEWNET},
		{"--net=host", ALL_NEW & ~CLONE_NEWNET},
		{"--net=host --unshare-net", ALL_NEW},
		{"--share-net --net=none", ALL_NEW},
		{"--share-pid", ALL_NEW & ~CLONE_NEWPID},
		{"--share-ipc --share-uts", ALL_NEW & ~CLONE_NEWIPC & ~CLONE_NEWUTS},
		{"--share-cgroup", ALL_NEW & ~CLONE_NEWCGROUP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_eq(p.plan.namespaces, rows[i].namespaces, "%s", rows[i].options);
		cr_expect_eq(p.plan.own_pid_ns, !!(rows[i].namespaces & CLONE_NEWPID));
	}
}

Test(resolve, lo_is_brought_up_in_a_new_network_only)
{
	_autoplanning_ struct planning own, shared;

	planning_start(&own, "");
	planning_start(&shared, "--share-net");
	cr_expect(planning_find(&own, PLAN_STEP_LOOPBACK, NULL));
	cr_expect_not(planning_find(&shared, PLAN_STEP_LOOPBACK, NULL));
	cr_expect(planning_find(&shared, PLAN_STEP_BIND, "/etc/resolv.conf"));
	cr_expect_not(planning_find(&own, PLAN_STEP_BIND, "/etc/resolv.conf"));
}

/* ---- Landlock ---- */

enum { NOT_THERE = -ENOSYS, NOT_ENABLED = -EOPNOTSUPP };

Test(resolve, landlock_scopes_what_is_shared)
{
	static const struct {
		const char *options;
		int abi;
		const char *step, *remark;
	} rows[] = {
		{"", 7, NULL, NULL},
		{"--landlock=require", 7, NULL, "nothing to scope"},
		{"--landlock=require", NOT_THERE, NULL, "nothing to scope"},
		{"--share-ipc --share-uts", 7, NULL, NULL},
		{"--share-net", 6, "keep abstract sockets within the sandbox by Landlock", NULL},
		{"--share-pid", 6, "keep signals within the sandbox by Landlock", NULL},
		{"--share-pid --share-net --landlock=require", 7,
		 "keep abstract sockets and signals within the sandbox by Landlock", NULL},
		{"--share-pid --share-net --landlock=off", 7, NULL, NULL},
		{"--landlock=off --landlock=auto --share-net", 7,
		 "keep abstract sockets within the sandbox by Landlock", NULL},
		{"--share-net", 5, NULL, "not used: this kernel's Landlock (ABI 5) cannot scope"},
		{"--share-net", NOT_THERE, NULL, "not used: this kernel has no Landlock"},
		{"--share-net", NOT_ENABLED, NULL, "not used: Landlock is not enabled"},
		{"--share-net", -EPERM, NULL, "cannot be used: Operation not permitted"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		const char *remarks, *steps;

		planning_init(&p);
		p.host.landlock = rows[i].abi;
		cr_assert_eq(planning_make(&p, rows[i].options), 0, "%s", planning_error(&p));
		remarks = planning_remarks(&p);
		steps = planning_steps(&p, true);
		if (rows[i].step)
			cr_expect(strstr(steps, rows[i].step), "%s: %s", rows[i].options, steps);
		else
			cr_expect_not(strstr(steps, "Landlock"), "%s: %s", rows[i].options, steps);
		if (rows[i].remark)
			cr_expect(strstr(remarks, rows[i].remark), "%s: %s", rows[i].options,
				  remarks);
		else
			cr_expect_not(strstr(remarks, "landlock"), "%s: %s", rows[i].options,
				      remarks);
	}
}

/* no_new_privs is needed for it, and the command comes behind it. */
Test(resolve, landlock_stands_behind_the_privileges)
{
	static const char *const options[] = {"--share-net", "--share-net --cap-add CHOWN",
					      "--share-net --as-pid-1"};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		_autoplanning_ struct planning p;
		const struct plan_step *landlock, *confine, *privileges;

		planning_start(&p, options[i]);
		landlock = planning_find(&p, PLAN_STEP_LANDLOCK, NULL);
		confine = planning_find(&p, PLAN_STEP_CONFINE, NULL);
		privileges = planning_find(&p, PLAN_STEP_PRIVILEGES, NULL);
		cr_assert(landlock);
		cr_expect(landlock > (privileges ? privileges : confine), "%s", options[i]);
		cr_expect(landlock < planning_find(&p, PLAN_STEP_EXEC, NULL), "%s", options[i]);
	}
}

Test(resolve, landlock_that_is_required_is_there_or_an_error)
{
	static const struct {
		int abi;
		const char *error;
	} rows[] = {
		{5, "sbx: --landlock=require: this kernel's Landlock (ABI 5) cannot scope sockets "
		    "and signals, which came with ABI 6\n     hint:  Linux 6.12 and later can; see "
		    "\"uname -r\"\n"},
		{NOT_THERE,
		 "sbx: --landlock=require: this kernel has no Landlock\n     hint:  Linux "
		 "6.12 and later can; see \"uname -r\"\n"},
		{NOT_ENABLED,
		 "sbx: --landlock=require: Landlock is not enabled in this kernel\n     hint:  as "
		 "root, add \"landlock\" to the list behind lsm= on the kernel's command line;\n"
		 "            /sys/kernel/security/lsm shows what is enabled\n"},
		{-EPERM, "sbx: --landlock=require: Landlock cannot be used: Operation not "
			 "permitted\n     hint:  a seccomp filter of an outer container or service "
			 "may refuse it; run sbx outside\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		p.host.landlock = rows[i].abi;
		cr_expect(planning_make(&p, "--share-pid --landlock=require") < 0);
		cr_expect_str_eq(planning_error(&p), rows[i].error, "%s", planning_error(&p));
	}
}

/* ---- steps of options ---- */

/* One row per option that becomes steps of its own. */
Test(resolve, options_become_steps_in_their_order)
{
	static const struct {
		const char *options, *steps;
	} rows[] = {
		{"", ""},
		{"--bind /a /b", "bind /a at /b [--bind /a /b]\n"},
		{"--ro-bind a b", "bind a at b (read-only) [--ro-bind a b]\n"},
		{"--dev-bind /dev /dev",
		 "bind /dev at /dev, with device nodes [--dev-bind /dev /dev]\n"},
		{"--bind-try /a /b", "bind /a at /b, if it exists [--bind-try /a /b]\n"},
		{"--ro-bind-try /a /b",
		 "bind /a at /b (read-only), if it exists [--ro-bind-try /a /b]\n"},
		{"--dev-bind-try /a /b",
		 "bind /a at /b, with device nodes, if it exists [--dev-bind-try /a /b]\n"},
		{"--bind-fd 0 /b", "bind descriptor 0 at /b [--bind-fd 0 /b]\n"},
		{"--ro-bind-fd 0 /b", "bind descriptor 0 at /b (read-only) [--ro-bind-fd 0 /b]\n"},
		{"--rw /srv", "bind /srv at /srv [--rw /srv]\n"},
		{"--ro data/../x",
		 "bind data/../x at /home/me/src/x (read-only) [--ro data/../x]\n"},
		{"--rootfs /img", "bind /img at / [--rootfs /img]\n"},
		{"--ro-bind /img /", "bind /img at / (read-only) [--ro-bind /img /]\n"},
		{"--tmpfs /t", "mount tmpfs at /t, mode 0755 [--tmpfs /t]\n"},
		{"--perms 1777 --size 4K --tmpfs /t",
		 "mount tmpfs at /t, mode 1777, 4096 bytes [--tmpfs /t]\n"},
		{"--mount-opt "
		 "ro,noexec,noatime,nodiratime,nosymfollow,size=8K,mode=700,nr_inodes=9 "
		 "--tmpfs /t",
		 "mount tmpfs at /t (read-only, noexec, noatime, nodiratime, nosymfollow), mode "
		 "0700, "
		 "8192 bytes, 9 inodes [--tmpfs /t]\n"},
		{"--mount-opt noexec --ro-bind /a /b",
		 "bind /a at /b (read-only, noexec) [--ro-bind /a /b]\n"},
		{"--dir /d", "make directory /d [--dir /d]\n"},
		{"--file 0 /f", "write file /f from descriptor 0 [--file 0 /f]\n"},
		{"--bind-data 0 /f", "bind data of descriptor 0 at /f [--bind-data 0 /f]\n"},
		{"--ro-bind-data 0 /f",
		 "bind data of descriptor 0 at /f (read-only) [--ro-bind-data 0 /f]\n"},
		{"--symlink usr/bin /b", "link /b to usr/bin [--symlink usr/bin /b]\n"},
		{"--chmod 0700 /x", "set mode 0700 on /x [--chmod 0700 /x]\n"},
		{"--remount-ro /x", "make the mount at /x read-only [--remount-ro /x]\n"},
		{"--proc /p", "mount a new procfs at /p (noexec) [--proc /p]\n"
			      "cover what is dangerous in /p [--proc /p]\n"},
		{"--allow-userns --proc /p", "mount a new procfs at /p (noexec) [--proc /p]\n"},
		{"--share-pid --allow-userns --proc /p",
		 "mount the host's /proc at /p (noexec) [--proc /p]\n"},
		{"--dev /d", "make a minimal /dev at /d [--dev /d]\n"},
		{"--sys /s", "mount a new sysfs at /s (read-only, noexec) [--sys /s]\n"},
		{"--share-net --sys /s",
		 "mount the host's /sys at /s (read-only, noexec) [--sys /s]\n"},
		{"--cgroup /c",
		 "mount the cgroup hierarchy at /c (read-only, noexec) [--cgroup /c]\n"},
		{"--mqueue /q", "mount mqueue at /q (noexec) [--mqueue /q]\n"},
		{"--mask /m --mask-try /n",
		 "mask /m [--mask /m]\nmask /n, if it exists [--mask-try /n]\n"},
		{"--hostname keep", "set the host name to keep [--hostname]\n"},
		{"--new-session", "start a new session without a controlling terminal "
				  "[--new-session]\n"},
		{"--disable-userns", "allow no further user namespaces [--disable-userns]\n"},
		{"--assert-userns-disabled",
		 "make sure that user namespaces cannot be created [--assert-userns-disabled]\n"},
		{"--chdir /w", "enter the working directory [--chdir]\n"},
		{"--user 5:6", "become uid 5, gid 6, without supplementary groups [--user]\n"},
		{"--cap-add chown", "keep capabilities CAP_CHOWN, set no_new_privs [--cap-add]\n"},
		{"--chmod 1 /a --tmpfs /b --chmod 2 /a",
		 "set mode 0001 on /a [--chmod 0001 /a]\nmount tmpfs at /b, mode 0755 [--tmpfs "
		 "/b]\n"
		 "set mode 0002 on /a [--chmod 0002 /a]\n"},
		/* What stands before an operation that provides the root is covered by it. */
		{"--dir /gone --rootfs /img --dir /kept",
		 "bind /img at / [--rootfs /img]\nmake directory /kept [--dir /kept]\n"},
		{"--rootfs /one --tmpfs //.", "mount tmpfs at /, mode 0755 [--tmpfs /]\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_str_eq(planning_steps(&p, false), rows[i].steps, "%s:\n%s",
				 rows[i].options, planning_steps(&p, false));
	}
}

Test(resolve, every_mount_is_nosuid_and_device_nodes_are_asked_for)
{
	static const struct {
		const char *options;
		bool devices;
	} rows[] = {
		{"--bind /a /x", false},
		{"--ro-bind /a /x", false},
		{"--rw /x", false},
		{"--ro /x", false},
		{"--dev-bind /a /x", true},
		{"--dev-bind-try /a /x", true},
		{"--tmpfs /x", false},
		{"--proc /x", false},
		{"--sys /x", false},
		{"--cgroup /x", false},
		{"--mqueue /x", false},
		{"--bind-data 0 /x", false},
		{"--ro-bind-data 0 /x", false},
		{"--bind-fd 0 /x", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		size_t found = 0;

		planning_start(&p, rows[i].options);
		for (size_t j = 0; j < p.plan.n_steps; j++) {
			const struct plan_step *step = &p.plan.steps[j];

			if (!str_equal(step->dest, "/x") || step->kind == PLAN_STEP_PROC_COVER)
				continue;
			found++;
			cr_expect(step->attrs & MOUNT_ATTR_NOSUID, "%s", rows[i].options);
			cr_expect_eq(!(step->attrs & MOUNT_ATTR_NODEV), rows[i].devices, "%s",
				     rows[i].options);
		}
		cr_expect_eq(found, 1, "%s", rows[i].options);
	}
}

Test(resolve, steps_are_in_the_order_of_their_phases)
{
	_autoplanning_ struct planning p;
	int phase = 0;

	planning_start(&p, "--root --hostname h --bind-data 0 /d --new-session --chdir /");
	for (size_t i = 0; i < p.plan.n_steps; i++) {
		cr_expect_geq((int)step_kinds[p.plan.steps[i].kind].phase, phase);
		phase = (int)step_kinds[p.plan.steps[i].kind].phase;
	}
	cr_expect_eq(phase, PLAN_REAPER);
}

Test(resolve, the_root_is_read_only_at_last)
{
	_autoplanning_ struct planning plain, writable, provided;

	planning_start(&plain, "--dir /x");
	planning_start(&writable, "--rw-root");
	planning_start(&provided, "--rootfs /img");
	cr_expect(planning_find(&plain, PLAN_STEP_REMOUNT, "/"));
	cr_expect_gt(planning_find(&plain, PLAN_STEP_REMOUNT, "/"),
		     planning_find(&plain, PLAN_STEP_DIR, "/x"));
	cr_expect_not(planning_find(&writable, PLAN_STEP_REMOUNT, "/"));
	cr_expect_not(planning_find(&provided, PLAN_STEP_REMOUNT, "/"));
	cr_expect_not(planning_find(&provided, PLAN_STEP_ROOT_TMPFS, NULL));
}

Test(resolve, data_gets_its_store_before_the_root)
{
	_autoplanning_ struct planning with, without;

	planning_start(&with, "--bind-data 0 /d");
	planning_start(&without, "--file 0 /d");
	cr_expect_lt(planning_find(&with, PLAN_STEP_DATA_STORE, NULL),
		     planning_find(&with, PLAN_STEP_ROOT_TMPFS, NULL));
	cr_expect_not(planning_find(&without, PLAN_STEP_DATA_STORE, NULL));
}

Test(resolve, the_console_is_the_callers_terminal)
{
	_autoplanning_ struct planning p;

	planning_init(&p);
	p.host.tty = "/dev/pts/7";
	cr_assert_eq(planning_make(&p, "--dev /d"), 0);
	cr_expect_str_eq(planning_find(&p, PLAN_STEP_DEV, "/dev")->source, "/dev/pts/7");
	cr_expect_str_eq(planning_find(&p, PLAN_STEP_DEV, "/d")->source, "/dev/pts/7");
	cr_expect(strstr(planning_steps(&p, false), "console is /dev/pts/7 [--dev /d]\n"));
}

static int plan_terminal(struct planning *p, const char *options, int terminals)
{
	planning_init(p);
	p->host.tty = "/dev/pts/7";
	p->host.terminals = terminals;
	return planning_make(p, options);
}

Test(resolve, a_terminal_of_its_own_takes_the_callers_place)
{
	_autoplanning_ struct planning plain, other, unseen, none;

	cr_assert_eq(plan_terminal(&plain, "--pty --new-session", 5), 0);
	cr_expect(plain.plan.pty);
	cr_expect_eq(plain.plan.pty_fds, 5);
	cr_expect(planning_find(&plain, PLAN_STEP_PTY, NULL)->flags & PLAN_STEP_HAS_PTY);
	cr_expect(planning_find(&plain, PLAN_STEP_STDIO, NULL));
	cr_expect_not(planning_find(&plain, PLAN_STEP_SESSION, NULL));
	cr_expect(planning_find(&plain, PLAN_STEP_DEV, "/dev")->flags & PLAN_STEP_HAS_PTY);
	cr_expect_null(planning_find(&plain, PLAN_STEP_DEV, "/dev")->source);

	cr_assert_eq(plan_terminal(&other, "--pty --dev /d --dev /e", 7), 0);
	cr_expect(planning_find(&other, PLAN_STEP_DEV, "/dev")->flags & PLAN_STEP_HAS_PTY);
	cr_expect_not(planning_find(&other, PLAN_STEP_DEV, "/e")->flags & PLAN_STEP_HAS_PTY);
	cr_expect_null(planning_find(&other, PLAN_STEP_DEV, "/e")->source);

	cr_assert_eq(plan_terminal(&unseen, "--pty --no-base", 7), 0);
	cr_expect_not(planning_find(&unseen, PLAN_STEP_PTY, NULL)->flags & PLAN_STEP_HAS_PTY);

	cr_expect_eq(plan_terminal(&none, "--pty", 0), -ENOTTY);
	cr_expect_str_eq(none.err.option, "--pty");
}

Test(resolve, a_terminal_of_its_own_is_the_default_where_the_filter_does_not_guard)
{
	static const struct {
		const char *options;
		int terminals;
		bool pty;
	} rows[] = {
		{"", 7, false},
		{"--seccomp=strict", 7, false},
		{"--seccomp-deny=ioctl", 7, false},
		{"--seccomp=none", 7, true},
		{"--seccomp=none", 2, true},
		{"--seccomp=none", 0, false},
		{"--seccomp=0", 1, true},
		{"--seccomp-allow=ioctl", 7, true},
		{"--seccomp=none --no-pty", 7, false},
		{"--seccomp=none --new-session", 7, false},
		{"--pty --no-pty", 7, false},
		{"--no-pty --pty", 7, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		cr_assert_eq(plan_terminal(&p, rows[i].options, rows[i].terminals), 0);
		cr_expect_eq(p.plan.pty, rows[i].pty, "%s", rows[i].options);
		cr_expect_eq(planning_find(&p, PLAN_STEP_PTY, NULL) != NULL, rows[i].pty);
	}
}

/* ---- identity ---- */

static void expect_line(const struct plan_map_line *line, uint32_t inside, uint32_t outside,
			uint32_t count)
{
	cr_expect_eq(line->inside, inside);
	cr_expect_eq(line->outside, outside);
	cr_expect_eq(line->count, count);
}

Test(resolve, the_caller_stays_who_they_are_among_their_ranges)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "");
	cr_assert_eq(p.plan.uid_map.n_lines, 3);
	expect_line(&p.plan.uid_map.lines[0], 0, 100000, 1000);
	expect_line(&p.plan.uid_map.lines[1], 1000, 1000, 1);
	expect_line(&p.plan.uid_map.lines[2], 1001, 101000, 64536);
	expect_line(&p.plan.gid_map.lines[2], 1001, 201000, 64536);
	cr_expect(p.plan.map_may_fall_back);
	cr_expect_eq(p.plan.payload_uid, 1000);
	cr_expect_eq(p.plan.payload_gid, 1000);
	cr_expect_str_eq(planning_remarks(&p),
			 "map: the caller's subordinate ids, by newuidmap and newgidmap\n");
}

Test(resolve, identity_options)
{
	static const struct {
		const char *options;
		uint32_t own_uid, own_gid, uid, gid;
	} rows[] = {
		{"--root", 0, 0, 0, 0},
		{"--root --uid 0 --gid 0", 0, 0, 0, 0},
		{"--uid 7", 7, 1000, 7, 1000},
		{"--gid 7", 1000, 7, 1000, 7},
		{"--uid 4294967294 --gid 4294967294 --map=single", 4294967294, 4294967294,
		 4294967294, 4294967294},
		{"--uid 0 --gid 0 --map=single", 0, 0, 0, 0},
		{"--user 33", 1000, 1000, 33, 1000},
		{"--user 33:34", 1000, 1000, 33, 34},
		{"--user root", 1000, 1000, 0, 0},
		{"--user you", 1000, 1000, 1001, 1002},
		{"--user you:team", 1000, 1000, 1001, 2000},
		{"--user 5:team", 1000, 1000, 5, 2000},
		{"--user me", 1000, 1000, 1000, 1000},
		{"--root --user me:me", 0, 0, 1000, 1000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_eq(p.plan.uid_map.own_inside, rows[i].own_uid, "%s", rows[i].options);
		cr_expect_eq(p.plan.gid_map.own_inside, rows[i].own_gid, "%s", rows[i].options);
		cr_expect_eq(p.plan.uid_map.own_outside, 1000);
		cr_expect_eq(p.plan.gid_map.own_outside, 1000);
		cr_expect_eq(p.plan.payload_uid, rows[i].uid, "%s", rows[i].options);
		cr_expect_eq(p.plan.payload_gid, rows[i].gid, "%s", rows[i].options);
	}
}

Test(resolve, a_single_map_says_nothing_and_asks_nobody)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--map=single");
	cr_assert_eq(p.plan.uid_map.n_lines, 1);
	expect_line(p.plan.uid_map.lines, 1000, 1000, 1);
	expect_line(p.plan.gid_map.lines, 1000, 1000, 1);
	cr_expect_null(p.plan.uid_map.helper);
	cr_expect_null(p.plan.gid_map.helper);
	cr_expect_not(p.plan.map_may_fall_back);
	cr_expect_str_eq(planning_remarks(&p), "");
}

/* ---- ranges that are not to be had ---- */

static void no_uids(struct planning *p)
{
	cr_assert_eq(unlinkat(p->tree, "etc/subuid", 0), 0);
}

static void no_gids(struct planning *p)
{
	cr_assert_eq(unlinkat(p->tree, "etc/subgid", 0), 0);
}

static void put_ranges(struct planning *p, const char *file, const char *text)
{
	_autoclose_ int fd = openat(p->tree, file, O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Whose they are does not matter, nor in which file: none is given away. */
static void others_ranges(struct planning *p)
{
	put_ranges(p, "etc/subuid", "you:100000:65536\nnonsense\n1001:300000:100");
	put_ranges(p, "etc/subgid", "you:500000:100000\nteam:165536:65536\n");
}

static void no_ids_left(struct planning *p)
{
	put_ranges(p, "etc/subuid", "you:4294900000:67294\n");
}

static void no_name(struct planning *p)
{
	p->host.user = NULL;
}

static void no_helper(struct planning *p)
{
	cr_assert_eq(unlinkat(p->tree, "usr/bin/newgidmap", 0), 0);
}

static void plain_helper(struct planning *p)
{
	skip_unless(geteuid() != 0, "root needs no privileged helper");
	cr_assert_eq(fchmodat(p->tree, "usr/bin/newuidmap", 0755, 0), 0);
}

static void no_new_privs(struct planning *p)
{
	p->host.no_new_privs = true;
}

static const struct {
	const char *name;
	void (*change)(struct planning *p);
	const char *why;   /* what auto says */
	const char *error; /* what --map=range says */
} no_ranges[] = {
	{"no subuid", no_uids, "/etc/subuid has no range for me",
	 "sbx: --map=range: /etc/subuid: has no range for me\n"
	 "     hint:  as root: usermod --add-subuids 265536-331071 --add-subgids 265536-331071 "
	 "me\n"},
	{"no subgid", no_gids, "/etc/subgid has no range for me",
	 "sbx: --map=range: /etc/subgid: has no range for me\n"
	 "     hint:  as root: usermod --add-subuids 165536-231071 --add-subgids 165536-231071 "
	 "me\n"},
	{"the ranges of others", others_ranges, "/etc/subuid has no range for me",
	 "sbx: --map=range: /etc/subuid: has no range for me\n"
	 "     hint:  as root: usermod --add-subuids 600000-665535 --add-subgids 600000-665535 "
	 "me\n"},
	{"no ids left", no_ids_left, "/etc/subuid has no range for me",
	 "sbx: --map=range: /etc/subuid: has no range for me\n"
	 "     hint:  no 65536 ids are free behind the last range of the file; as root, make room "
	 "there:\n"
	 "            see subuid(5)\n"},
	{"no name", no_name, "/etc/subuid has no range for uid 1000",
	 "sbx: --map=range: /etc/subuid: has no range for uid 1000\n"
	 "     hint:  newuidmap does nothing for a user without a name; as root: useradd --uid "
	 "1000 "
	 "NAME,\n"
	 "            and see again: sbx doctor id-ranges\n"},
	{"no newgidmap", no_helper, "newgidmap is not installed",
	 "sbx: --map=range: newgidmap: is not installed\n"
	 "     hint:  install it: the package is uidmap (Debian, Ubuntu), shadow-utils (Fedora), "
	 "shadow (Arch, Alpine: shadow-uidmap)\n"},
	{"no set-user-ID bit", plain_helper,
	 "/usr/bin/newuidmap has neither the set-user-ID bit nor file capabilities",
	 "sbx: --map=range: /usr/bin/newuidmap: has neither the set-user-ID bit nor file "
	 "capabilities\n"
	 "     hint:  as root: chmod u+s /usr/bin/newuidmap\n"},
	{"no_new_privs", no_new_privs,
	 "/usr/bin/newuidmap cannot gain its privilege: sbx was started with no_new_privs",
	 "sbx: --map=range: /usr/bin/newuidmap: cannot gain its privilege: sbx was started with "
	 "no_new_privs\n"
	 "     hint:  start sbx outside of that sandbox or service, or use --map=single\n"},
};

Test(resolve, range_without_ranges_says_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_ranges); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		no_ranges[i].change(&p);
		cr_expect_lt(planning_make(&p, "--map=range"), 0, "%s", no_ranges[i].name);
		cr_expect_str_eq(planning_error(&p), no_ranges[i].error, "%s:\n%s",
				 no_ranges[i].name, planning_error(&p));
		cr_expect_eq(p.err.exit_code, ERR_EXIT_FAILED);
	}
}

Test(resolve, auto_without_ranges_keeps_the_own_id_and_says_why)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_ranges); i++) {
		_autoplanning_ struct planning p;
		char wanted[256];

		planning_init(&p);
		no_ranges[i].change(&p);
		cr_expect_eq(planning_make(&p, ""), 0, "%s", no_ranges[i].name);
		cr_expect_eq(p.plan.uid_map.n_lines, 1, "%s", no_ranges[i].name);
		cr_expect_eq(p.plan.gid_map.n_lines, 1, "%s", no_ranges[i].name);
		cr_expect_null(p.plan.uid_map.helper);
		cr_expect_null(p.plan.gid_map.helper);
		(void)snprintf(wanted, sizeof(wanted), "map: only the caller's own ids: %s\n",
			       no_ranges[i].why);
		cr_expect_str_eq(planning_remarks(&p), wanted);
	}
}

Test(resolve, a_helper_that_was_named_is_not_doubted)
{
	_autoplanning_ struct planning p, missing;

	planning_start(&p, "--map=range --helper newuidmap=/bin/true --helper newgidmap=/bin/true");
	cr_expect_str_eq(p.plan.uid_map.helper, "/bin/true");
	cr_expect_str_eq(p.plan.gid_map.helper, "/bin/true");
	cr_expect_not(p.plan.map_may_fall_back);

	planning_init(&missing);
	cr_expect_lt(planning_make(&missing, "--map=range --helper newuidmap=/nonexistent"), 0);
	cr_expect_str_eq(
		planning_error(&missing),
		"sbx: --map=range: /nonexistent: cannot be executed: No such file or directory\n"
		"     hint:  check the path and its permissions\n");
}

/* ---- what has to be made above a destination ---- */

Test(resolve, parents_are_no_more_open_than_what_is_in_them)
{
	static const struct {
		const char *options;
		enum plan_step_kind kind;
		mode_t mode;
	} rows[] = {
		{"--dir /a/b", PLAN_STEP_DIR, 0755},
		{"--perms 1777 --dir /a/b", PLAN_STEP_DIR, 0755},
		{"--perms 700 --dir /a/b", PLAN_STEP_DIR, 0700},
		{"--perms 705 --dir /a/b", PLAN_STEP_DIR, 0705},
		{"--perms 750 --tmpfs /a/b", PLAN_STEP_TMPFS, 0750},
		{"--perms 0 --tmpfs /a/b", PLAN_STEP_TMPFS, 0700},
		{"--tmpfs /a/b", PLAN_STEP_TMPFS, 0755},
		{"--file 0 /a/b", PLAN_STEP_FILE, 0755},
		{"--bind-data 0 /a/b", PLAN_STEP_BIND_DATA, 0700},
		{"--perms 444 --bind-data 0 /a/b", PLAN_STEP_BIND_DATA, 0755},
		{"--ro-bind /usr /a/b", PLAN_STEP_BIND, 0755},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_eq(planning_find(&p, rows[i].kind, "/a/b")->parent_mode, rows[i].mode,
			     "%s", rows[i].options);
	}
}

/* ---- what does not go together, or is not there ---- */

Test(resolve, refusals_say_what_and_why)
{
	static const struct {
		const char *options, *error;
		bool usage;
	} rows[] = {
		{"--share-pid --as-pid-1",
		 "sbx: --as-pid-1: needs a pid namespace; it cannot be combined with --share-pid\n",
		 true},
		{"--as-pid-1 --on-exit=wait",
		 "sbx: --as-pid-1: cannot be combined with --on-exit=wait: everything ends with "
		 "process "
		 "1\n",
		 true},
		{"--as-pid-1 --root",
		 "sbx: --as-pid-1: cannot be combined with capabilities that are kept (--cap-add, "
		 "--root, "
		 "--map=range): they need a process beside the command; add --cap-drop ALL\n",
		 true},
		{"--hostname h --share-uts",
		 "sbx: --hostname: needs a uts namespace; it cannot be combined with --share-uts\n",
		 true},
		{"--allow-userns --disable-userns",
		 "sbx: --allow-userns: cannot be combined with --disable-userns or "
		 "--assert-userns-disabled\n",
		 true},
		{"--allow-userns --assert-userns-disabled",
		 "sbx: --allow-userns: cannot be combined with --disable-userns or "
		 "--assert-userns-disabled\n",
		 true},
		{"--root --uid 5",
		 "sbx: --root: makes the caller 0 inside; it cannot be combined with another --uid "
		 "or "
		 "--gid\n",
		 true},
		{"--root --gid 5",
		 "sbx: --root: makes the caller 0 inside; it cannot be combined with another --uid "
		 "or "
		 "--gid\n",
		 true},
		{"--map=single --user 5",
		 "sbx: --user: user 5 does not exist inside\n"
		 "     hint:  only 1000 is mapped; --map=range maps more, or says why it cannot\n",
		 false},
		{"--map=single --user 1000:5",
		 "sbx: --user: group 5 does not exist inside\n"
		 "     hint:  only 1000 is mapped; --map=range maps more, or says why it cannot\n",
		 false},
		{"--user 65537",
		 "sbx: --user: user 65537 does not exist inside\n"
		 "     hint:  see the ids that exist with --explain; a larger range in /etc/subuid "
		 "gives "
		 "more\n",
		 false},
		{"--user me:65537",
		 "sbx: --user: group 65537 does not exist inside\n"
		 "     hint:  see the ids that exist with --explain; a larger range in /etc/subgid "
		 "gives "
		 "more\n",
		 false},
		{"--user nobody-here",
		 "sbx: --user: nobody-here: no such user on this host\n"
		 "     hint:  give a number to use an id that has no name here\n",
		 false},
		{"--user me:nogroup",
		 "sbx: --user: nogroup: no such group on this host\n"
		 "     hint:  give a number to use an id that has no name here\n",
		 false},
		{"--pass-fd 900",
		 "sbx: --pass-fd: descriptor 900 is not open\n"
		 "     hint:  open it in the calling shell, for example: sbx ... 900< FILE\n",
		 false},
		{"--file 900 /f",
		 "sbx: --file: /f: descriptor 900 is not open\n"
		 "     hint:  open it in the calling shell, for example: sbx ... 900< FILE\n",
		 false},
		{"--ro-bind-fd 900 /f",
		 "sbx: --ro-bind-fd: descriptor 900 is not open\n"
		 "     hint:  open it in the calling shell, for example: sbx ... 900< FILE\n",
		 false},
		{"--bind-data 900 /f",
		 "sbx: --bind-data: /f: descriptor 900 is not open\n"
		 "     hint:  open it in the calling shell, for example: sbx ... 900< FILE\n",
		 false},
		{"--proc /", "sbx: --proc: cannot be the root of the sandbox\n", true},
		{"--symlink a /.", "sbx: --symlink: cannot be the root of the sandbox\n", true},
		{"--file 0 //", "sbx: --file: cannot be the root of the sandbox\n", true},
		{"--mask /", "sbx: --mask: cannot hide the root of the sandbox\n", true},
		{"--mask-try /usr/..", "sbx: --mask-try: cannot hide the root of the sandbox\n",
		 true},
		{"--env-file /nonexistent",
		 "sbx: --env-file: /nonexistent: cannot read environment file: No such file or "
		 "directory\n",
		 false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		cr_expect_lt(planning_make(&p, rows[i].options), 0, "%s", rows[i].options);
		cr_expect_str_eq(planning_error(&p), rows[i].error, "%s:\n%s", rows[i].options,
				 planning_error(&p));
		cr_expect_eq(p.err.usage, rows[i].usage, "%s", rows[i].options);
		cr_expect_eq(p.err.exit_code, ERR_EXIT_FAILED);
	}
}

/* The parser refuses these too; a spec may come from elsewhere. */
Test(resolve, unknown_capabilities_are_refused)
{
	static const struct {
		struct spec_cap cap;
		const char *error;
	} rows[] = {
		{{.kind = SPEC_CAP_ADD, .name = "sys"},
		 "sbx: --cap-add: sys is no capability; see capabilities(7)\n"},
		{{.kind = SPEC_CAP_DROP, .name = "CAP_NONE"},
		 "sbx: --cap-drop: CAP_NONE is no capability; see capabilities(7)\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		cr_assert_eq(spec_add_cap(&p.run.spec, &rows[i].cap, &p.err), 0);
		cr_expect_lt(planning_make(&p, ""), 0);
		cr_expect_str_eq(planning_error(&p), rows[i].error, "%s", planning_error(&p));
	}
}

Test(resolve, relative_paths_need_a_current_directory)
{
	_autoplanning_ struct planning p, absolute;

	planning_init(&p);
	p.host.cwd = NULL;
	cr_expect_lt(planning_make(&p, "--ro data"), 0);
	cr_expect_str_eq(planning_error(&p), "sbx: --ro: data: the current directory is gone, so a "
					     "relative path means nothing\n");

	planning_init(&absolute);
	absolute.host.cwd = NULL;
	cr_expect_eq(planning_make(&absolute, "--ro /data"), 0);
	cr_expect_str_eq(absolute.plan.workdirs[0], "/home/me");
}

/* ---- privileges ---- */

static uint64_t caps(const char *names)
{
	uint64_t set = 0;
	char word[64];
	int n;

	for (; sscanf(names, "%63s%n", word, &n) == 1; names += n)
		set |= UINT64_C(1) << caps_from_name(word);
	return set;
}

static const char root_set[] = "chown dac_override fowner fsetid setuid setgid setpcap setfcap "
			       "kill net_bind_service sys_chroot";

Test(resolve, capabilities_are_kept_in_order)
{
	const struct {
		const char *options;
		uint64_t keep;
	} rows[] = {
		{"--cap-add CAP_CHOWN --cap-add kill", caps("chown kill")},
		{"--cap-add chown --cap-add kill --cap-drop chown", caps("kill")},
		{"--cap-drop ALL --cap-add chown", caps("chown")},
		{"--root", caps(root_set)},
		{"--map=range", caps(root_set)},
		{"--root --cap-drop all --cap-add chown", caps("chown")},
		{"--root --cap-drop setuid", caps(root_set) & ~caps("setuid")},
		{"--cap-add ALL --cap-drop all --cap-add setuid", caps("setuid")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		const struct plan_step *step;

		planning_start(&p, rows[i].options);
		step = planning_find(&p, PLAN_STEP_PRIVILEGES, NULL);
		cr_assert(step, "%s", rows[i].options);
		cr_expect_eq(step->keep, rows[i].keep, "%s", rows[i].options);
		cr_expect(p.plan.nested_userns, "%s", rows[i].options);
		cr_expect_not(planning_find(&p, PLAN_STEP_CONFINE, NULL));
		cr_expect_eq(planning_find(&p, PLAN_STEP_REAPER_PRIVILEGES, NULL)->keep,
			     caps("kill"));
		cr_expect_str_eq(planning_find(&p, PLAN_STEP_USERNS_LIMIT, NULL)->text, "1");
	}
}

Test(resolve, nothing_is_kept_by_default)
{
	static const char *const options[] = {"", "--cap-drop ALL", "--root --cap-drop ALL",
					      "--map=range --cap-drop ALL", "--uid 0"};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		_autoplanning_ struct planning p;
		const struct plan_step *step;

		planning_start(&p, options[i]);
		step = planning_find(&p, PLAN_STEP_CONFINE, NULL);
		cr_assert(step, "%s", options[i]);
		cr_expect_eq(step->keep, 0, "%s", options[i]);
		cr_expect_not(p.plan.nested_userns, "%s", options[i]);
		cr_expect_not(planning_find(&p, PLAN_STEP_PRIVILEGES, NULL));
		cr_expect_not(planning_find(&p, PLAN_STEP_PROC_VIEW, NULL));
		cr_expect_str_eq(planning_find(&p, PLAN_STEP_USERNS_LIMIT, NULL)->text, "0");
	}
}

Test(resolve, another_id_drops_its_privileges_itself)
{
	_autoplanning_ struct planning p;
	const struct plan_step *step;

	planning_start(&p, "--user 5");
	step = planning_find(&p, PLAN_STEP_PRIVILEGES, NULL);
	cr_assert(step);
	cr_expect_eq(step->keep, 0);
	cr_expect_gt(step, planning_find(&p, PLAN_STEP_IDS, NULL));
	cr_expect_not(planning_find(&p, PLAN_STEP_CONFINE, NULL));
}

Test(resolve, user_namespaces_can_be_allowed)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--allow-userns");
	cr_expect_not(planning_find(&p, PLAN_STEP_USERNS_LIMIT, NULL));
	cr_expect_not(planning_find(&p, PLAN_STEP_PROC_COVER, NULL));
}

Test(resolve, low_ports_are_opened_for_who_may_bind_them)
{
	_autoplanning_ struct planning may, may_not, shared;

	planning_start(&may, "--cap-add net_bind_service");
	planning_start(&may_not, "--cap-add chown");
	planning_start(&shared, "--cap-add net_bind_service --share-net");
	cr_expect(planning_find(&may, PLAN_STEP_PORT_START, NULL));
	cr_expect_not(planning_find(&may_not, PLAN_STEP_PORT_START, NULL));
	cr_expect_not(planning_find(&shared, PLAN_STEP_PORT_START, NULL));
}

/* ---- the command ---- */

Test(resolve, working_directories_are_tried_in_order)
{
	_autoplanning_ struct planning plain, chosen, homeless;

	planning_start(&plain, "");
	cr_expect_str_eq(plain.plan.workdirs[0], "/home/me/src");
	cr_expect_str_eq(plain.plan.workdirs[1], "/home/me");
	cr_expect_str_eq(plain.plan.workdirs[2], "/");
	cr_expect_null(plain.plan.workdirs[3]);
	cr_expect_not(plain.plan.workdir_required);

	planning_start(&chosen, "--chdir w");
	cr_expect_str_eq(chosen.plan.workdirs[0], "w");
	cr_expect_null(chosen.plan.workdirs[1]);
	cr_expect(chosen.plan.workdir_required);

	planning_start(&homeless, "--unsetenv HOME");
	cr_expect_str_eq(homeless.plan.workdirs[1], "/");
}

Test(resolve, the_command_is_a_copy)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--on-exit=wait --die-with-parent --new-session --pass-fd 0");
	cr_expect_str_eq(p.plan.argv[0], "true");
	cr_expect_null(p.plan.argv[1]);
	cr_expect_neq(p.plan.argv[0], p.run.spec.argv[0]);
	cr_expect(p.plan.wait_for_all);
	cr_expect(p.plan.end_with_parent);
	cr_expect(p.plan.own_session);
	cr_expect_not(p.plan.init_is_payload);
	cr_assert_eq(p.plan.n_pass_fds, 1);
	cr_expect_eq(p.plan.pass_fds[0], 0);
}

Test(resolve, process_1_can_be_the_command)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--as-pid-1");
	cr_expect(p.plan.init_is_payload);
}

Test(resolve, without_a_base_there_is_what_was_asked_for)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--no-base --rw-root --allow-userns --share-net --landlock=off "
			   "--seccomp=none --dir /x");
	cr_expect_str_eq(planning_steps(&p, true),
			 "mount an empty tmpfs as the new root [default]\n"
			 "make directory /x [--dir /x]\n"
			 "make it the root and detach the host's [default]\n"
			 "drop all capabilities, set no_new_privs [default]\n"
			 "start an empty session keyring [--seccomp]\n"
			 "enter the working directory [default]\n"
			 "close all descriptors but those that are passed [default]\n"
			 "execute true [default]\n",
			 "%s", planning_steps(&p, true));
}

/* What is said to do without nft must do without. */
Test(resolve, without_nft_rules_cannot_be_had_by_another_word)
{
	static const struct {
		const char *options;
		bool without;
	} rows[] = {
		{"--net=lab --deny-net any", false},
		{"--net=user,unfiltered --helper slirp4netns=/bin/true --deny-net any", false},
		{"--net=user --helper slirp4netns=/bin/true --allow-net any", false},
		{"--net=user --helper slirp4netns=/bin/true", true},
	};

	skip_unless(access("/dev/net/tun", R_OK | W_OK) == 0, "/dev/net/tun is needed");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		const char *error;

		planning_init(&p);
		cr_expect_lt(planning_make(&p, rows[i].options), 0, "%s", rows[i].options);
		error = planning_error(&p);
		cr_expect(strstr(error, "nft: is not installed"), "%s", error);
		cr_expect(strstr(error, "nftables"), "%s", error);
		cr_expect_eq(strstr(error, "unfiltered does without") != NULL, rows[i].without,
			     "%s: %s", rows[i].options, error);
	}
}
