/* SPDX-License-Identifier: MIT */
/* attack privileges: what the command is left with, and ways to get more of it. */
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

#define STATUS SH("grep -E '^(Cap|NoNewPrivs)' /proc/self/status")

static const char no_privilege[] =
	"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
	"CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";

Test(privileges, every_set_is_empty)
{
	_autorun_ struct run_result kept = in_usr("--cap-add", "CHOWN", STATUS);
	_autorun_ struct run_result plain = in_usr(STATUS);
	_autorun_ struct run_result single = in_usr("--map=single", STATUS);
	_autorun_ struct run_result uid0 = in_usr("--map=single", "--uid", "0", STATUS);
	_autorun_ struct run_result root = in_usr("--root", "--cap-drop", "ALL", STATUS);
	_autorun_ struct run_result pid1 = in_usr("--as-pid-1", STATUS);

	expect_said(kept, "CapEff:\t0000000000000001");
	expect_out(plain, no_privilege);
	expect_out(single, no_privilege);
	expect_out(uid0, no_privilege);
	expect_out(root, no_privilege);
	expect_out(pid1, no_privilege);
}

Test(privileges, capabilities_of_the_caller_are_not_passed_on)
{
	_autorun_ struct run_result r =
		run_host("grep CapEff /proc/self/status | grep -vc 0000000000000000\n"
			 "setpriv --inh-caps +all --ambient-caps +all $1 --map=single --ro-bind "
			 "/usr /usr -- "
			 "grep -E '^(Cap|NoNewPrivs)' /proc/self/status",
			 "");

	cr_expect_eq(strncmp(r.out, "1\n", 2), 0, "%s%s", r.out, r.err);
	cr_expect_str_eq(r.out + 2, no_privilege, "%s", r.err);
}

/* Every way to a user namespace, whatever was written where before. */
static const char make_userns[] =
	"import ctypes, os\n"
	"libc = ctypes.CDLL(None, use_errno=True)\n"
	"NEWUSER = 0x10000000\n"
	"SYS_clone, SYS_clone3 = {'x86_64': (56, 435), 'aarch64': (220, 435)}[os.uname().machine]\n"
	"for value in ('2', '100', '2147483647'):\n"
	"    for d in ('/proc/sys/user', '/proc/1/root/proc/sys/user'):\n"
	"        try:\n"
	"            open(d + '/max_user_namespaces', 'w').write(value)\n"
	"        except OSError:\n"
	"            pass\n"
	"    pid = libc.syscall(SYS_clone, NEWUSER | 17, 0, 0, 0, 0)\n"
	"    if pid == 0: os._exit(0)\n"
	"    if pid > 0: print('clone')\n"
	"    args = (ctypes.c_uint64 * 8)(NEWUSER, 0, 0, 0, 17)\n"
	"    pid = libc.syscall(SYS_clone3, ctypes.byref(args), ctypes.sizeof(args))\n"
	"    if pid == 0: os._exit(0)\n"
	"    if pid > 0: print('clone3')\n"
	"    if libc.unshare(NEWUSER) == 0: print('unshare')\n"
	"    for who in ('1', 'self'):\n"
	"        try:\n"
	"            fd = os.open('/proc/%s/ns/user' % who, os.O_RDONLY)\n"
	"            if libc.setns(fd, NEWUSER) == 0: print('setns', who)\n"
	"        except OSError:\n"
	"            pass\n"
	"print('end')\n";

Test(privileges, no_new_user_namespaces)
{
	_autorun_ struct run_result allowed = in_usr("--allow-userns", PYTHON(make_userns));
	_autorun_ struct run_result plain = in_usr(PYTHON(make_userns));
	_autorun_ struct run_result disabled =
		in_usr("--disable-userns", "--assert-userns-disabled", PYTHON(make_userns));
	_autorun_ struct run_result caps =
		in_usr("--root", "--cap-add", "ALL", PYTHON(make_userns));
	_autorun_ struct run_result proc =
		in_usr("--root", "--cap-add", "ALL", "--proc", "/p", PYTHON(make_userns));

	expect_said(allowed, "clone\nclone3\nunshare\n");
	expect_out(plain, "end\n");
	expect_out(disabled, "end\n");
	expect_out(caps, "end\n");
	expect_out(proc, "end\n");
}

static const char drop_groups[] = "import os\n"
				  "try:\n"
				  "    os.setgroups([])\n"
				  "    print('dropped')\n"
				  "except OSError as e:\n"
				  "    print('kept')\n"
				  "try:\n"
				  "    os.setresgid(5, 5, 5)\n"
				  "    print('another')\n"
				  "except OSError as e:\n"
				  "    print('same')\n";

static bool has_id_ranges(void)
{
	_autorun_ struct run_result r = in_usr("--map=range", SH("true"));

	return r.status == 0;
}

/* A file may be open to all but one group; who could leave the group could read it. */
Test(privileges, groups_cannot_be_left)
{
	_autorun_ struct run_result plain = in_usr(PYTHON(drop_groups));
	_autorun_ struct run_result single = in_usr("--map=single", "--root", PYTHON(drop_groups));
	_autorun_ struct run_result deny = in_usr("--map=single", SH("cat /proc/self/setgroups"));
	_autorun_ struct run_result caps = in_usr(
		"--map=single", "--cap-add", "ALL",
		SH("cat /proc/self/setgroups; echo allow > /proc/self/setgroups && echo allowed;"
		   "setpriv --clear-groups true && echo dropped"));

	expect_out(plain, "kept\nsame\n");
	expect_out(single, "kept\nsame\n");
	expect_out(deny, "deny\n");
	expect_out(caps, "deny\n");
}

/* The other half of the promise: with ranges and the capabilities of --root they can be. */
Test(privileges, root_with_ranges_can_leave_groups)
{
	skip_unless(has_id_ranges(), "this user has no id ranges");
	{
		_autorun_ struct run_result root = in_usr("--root", PYTHON(drop_groups));
		_autorun_ struct run_result user = in_usr("--user", "5", PYTHON(drop_groups));

		expect_out(root, "dropped\nanother\n");
		expect_out(user, "kept\nsame\n");
	}
}

/* Kinds of writes are told apart: what is refused by file modes says nothing of the covers. */
static const char turn_switches[] =
	"for f in /proc/sys/kernel/* /proc/sys/vm/* /proc/sys/fs/* "
	"/proc/sys/net/ipv4/ip_forward\\\n"
	"  /proc/sys/net/ipv4/conf/all/forwarding /proc/sys/user/* /proc/sysrq-trigger\\\n"
	"  /proc/irq/*/smp_affinity /proc/bus/pci/*/* /proc/fs/*; do\n"
	"  [ -f $f ] || continue; n=$((n + 1)); [ ! -w $f ] || echo \"$f is writable\"\n"
	"done; [ $n -gt 20 ] || echo 'nothing tried'\n"
	"for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do\n"
	"  [ ! -e $f ] || [ $(head -c 1 $f 2>/dev/null | wc -c) = 0 ] || echo \"$f is readable\"\n"
	"done; umount /proc/sys 2>/dev/null && echo uncovered; echo end\n";

Test(privileges, the_kernels_switches_cannot_be_turned)
{
	_autorun_ struct run_result open =
		in_usr("--root", "--cap-add", "ALL", "--allow-userns", SH(turn_switches));
	_autorun_ struct run_result plain = in_usr(SH(turn_switches));
	_autorun_ struct run_result root = in_usr("--root", SH(turn_switches));
	_autorun_ struct run_result caps = in_usr("--root", "--cap-add", "ALL", SH(turn_switches));
	_autorun_ struct run_result elsewhere =
		in_usr("--root", "--cap-add", "ALL", "--proc", "/proc", SH(turn_switches));

	expect_said(open, "is writable");
	expect_out(plain, "end\n");
	expect_out(root, "end\n");
	expect_out(caps, "end\n");
	expect_out(elsewhere, "end\n");
}

Test(privileges, only_the_command_is_dumpable_and_nothing_is_secured_for_later)
{
	static const char look[] =
		"import ctypes, os\n"
		"libc = ctypes.CDLL(None)\n"
		"PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_SECUREBITS = 3, 7, 27\n"
		"print([libc.prctl(n, 0, 0, 0, 0) for n in (3, 7, 27)])\n"
		"print([os.stat('/proc/%s/environ' % p).st_uid == os.getuid() for p in ('self', "
		"'1')])\n";
	/* Where the command is process 1 itself, which can be looked into. */
	_autorun_ struct run_result pid1 = in_usr("--as-pid-1", PYTHON(look));
	_autorun_ struct run_result plain = in_usr(PYTHON(look));
	_autorun_ struct run_result caps = in_usr("--cap-add", "ALL", PYTHON(look));

	expect_said(pid1, "[True, True]\n");
	expect_out(plain, "[1, 0, 0]\n[True, False]\n");
	expect_out(caps, "[1, 0, 0]\n[True, False]\n");
}

/* sbx does what its caller says, so it must never have a privilege that the caller lacks. */
Test(privileges, sbx_with_a_privilege_refuses_to_run)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	_autofree_ char *sbx = realpath(sbx_program(), NULL);
	_autofree_ char *copy = tree_path(tree, "d/sbx");

	skip_unless(has_id_ranges(), "this user has no id ranges");
	cr_assert_not_null(sbx);
	for (int i = 0; i < 3; i++) {
		const char *modes[] = {"0755", "4755", "2755"};
		_autorun_ struct run_result made =
			in_usr("--root", "--bind", path, "/d", "--ro-bind", sbx, "/sbx", "--setenv",
			       "MODE", modes[i],
			       SH("cp /sbx /d/sbx; chown 5:6 /d/sbx; chmod $MODE /d/sbx"));
		_autorun_ struct run_result r = run_program(copy, "version");
		_autorun_ struct run_result run =
			run_program(copy, "--ro-bind", "/usr", "/usr", "--", "true");

		cr_assert_eq(made.status, 0, "%s", made.err);
		if (i == 0) {
			cr_assert_eq(r.status, 0, "%s", r.err);
			cr_assert_eq(run.status, 0, "%s", run.err);
			continue;
		}
		expect_refused(r, "refusing to run");
		expect_refused(run, "refusing to run");
	}
}

Test(privileges, sbx_with_file_capabilities_refuses_to_run)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");

	skip_unless(has_id_ranges(), "this user has no id ranges");
	skip_unless(access("/usr/sbin/setcap", X_OK) == 0, "setcap is not installed");
	{
		_autorun_ struct run_result r = run_program(
			"unshare", "-U", "--map-auto", "--map-root-user", "bash", "-c",
			"set -e; cp $1 $2/sbx; chmod 755 $2/sbx; "
			"as_user() { setpriv --reuid 5 --regid 5 --clear-groups $2/sbx version; }\n"
			"as_user $1 $2 | grep -c sbx; /usr/sbin/setcap cap_net_raw+ep $2/sbx\n"
			"as_user $1 $2 2>&1 || echo status $?",
			"bash", sbx_program(), path);

		cr_expect_eq(strncmp(r.out, "1\n", 2), 0, "%s%s", r.out, r.err);
		expect_said(r, "refusing to run");
		expect_said(r, "status 125");
	}
}
