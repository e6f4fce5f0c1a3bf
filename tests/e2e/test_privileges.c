/* SPDX-License-Identifier: MIT */
/* e2e privileges: what the command may do, and what /proc tells it about sbx. */
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)
#define CAPS SH("grep -E '^(Cap|NoNewPrivs)' /proc/self/status")

/* The lines of /proc/self/status with one value in all five sets. */
static char *cap_lines(uint64_t caps, uint64_t inheritable)
{
	unsigned long long c = caps, i = inheritable;
	char *text = NULL;

	cr_assert(asprintf(&text,
			   "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n"
			   "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t1\n",
			   i, c, c, c, i) > 0);
	return text;
}

Test(privileges, there_are_none)
{
	_autofree_ char *none = cap_lines(0, 0);
	_autorun_ struct run_result plain = in_usr(CAPS);
	_autorun_ struct run_result single = in_usr("--map=single", CAPS);
	_autorun_ struct run_result root = in_usr("--root", "--cap-drop", "ALL", CAPS);
	_autorun_ struct run_result uid0 = in_usr("--map=single", "--uid", "0", CAPS);

	expect_out(plain, none);
	expect_out(single, none);
	expect_out(root, none);
	expect_out(uid0, none);
}

static uint64_t cap_value(const struct run_result *r, const char *set)
{
	const char *line = strstr(r->out, set);

	cr_assert(line, "no %s in %s%s", set, r->out, r->err);
	return strtoull(line + strlen(set) + 2, NULL, 16);
}

Test(privileges, root_keeps_what_package_managers_need)
{
	/* CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE
	   SYS_CHROOT SETFCAP */
	const uint64_t expected = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 |
				  1 << 8 | 1 << 10 | 1 << 18 | 1ULL << 31;
	_autorun_ struct run_result r = in_usr("--root", CAPS);

	cr_expect_eq(cap_value(&r, "CapEff"), expected, "%s", r.out);
	cr_expect_eq(cap_value(&r, "CapPrm"), expected);
	cr_expect_eq(cap_value(&r, "CapBnd"), expected);
	cr_expect(strstr(r.out, "NoNewPrivs:\t1"));
}

Test(privileges, cap_add_and_cap_drop_take_names_in_any_form)
{
	_autorun_ struct run_result add = in_usr("--cap-add", "CAP_CHOWN", "--cap-add", "net_raw",
						 "--cap-add", "KILL", "--cap-drop", "kill", CAPS);
	_autorun_ struct run_result drop = in_usr("--root", "--cap-drop", "CAP_CHOWN", CAPS);
	_autorun_ struct run_result unknown = in_usr("--cap-add", "CAP_NONSENSE", "--", "true");
	const uint64_t expected = 1 << 0 | 1 << 13;

	cr_expect_eq(cap_value(&add, "CapEff"), expected, "%s%s", add.out, add.err);
	cr_expect_eq(cap_value(&add, "CapBnd"), expected, "%s%s", add.out, add.err);
	cr_expect_eq(cap_value(&drop, "CapEff") & 1, 0);
	cr_expect_neq(cap_value(&drop, "CapEff"), 0);
	expect_failure(unknown, 125, "CAP_NONSENSE");
}

Test(privileges, kept_capabilities_do_not_open_masks_or_read_only_binds)
{
	_autoclose_ int tree = tmp_tree("d/secret=token\n", "ro/file=kept\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autofree_ char *ro = tree_path(tree, "ro");
	_autorun_ struct run_result r =
		in_usr("--cap-add", "ALL", "--bind", path, "/d", "--mask", "/d/secret", "--ro-bind",
		       ro, "/r",
		       SH("umount /d/secret; umount -l /d/secret; cat /d/secret;"
			  "mount -o remount,bind,rw /r; echo x > /r/file; umount -l /r;"
			  "unshare -m sh -c 'umount /d/secret; cat /d/secret'"));
	_autofree_ char *file = tree_read(tree, "ro/file");

	cr_expect_not(strstr(r.out, "token"), "%s", r.out);
	cr_expect_str_eq(file, "kept\n");
}

Test(privileges, pid_1_tells_nothing)
{
	const struct run_options options = {
		.env = (const char *const[]){"PATH=/usr/bin:/bin", "SECRET=in-the-environment",
					     NULL},
	};
	_autorun_ struct run_result r = in_usr_with(
		&options, "--setenv", "OTHER", "in-an-option",
		SH("cat /proc/1/environ /proc/1/cmdline; ls -l /proc/1/fd /proc/1/cwd /proc/1/root"
		   " /proc/1/exe; cat /proc/1/maps /proc/1/mem; tr '\\0' ' ' < /proc/1/cmdline"));

	cr_expect_eq(memmem(r.out, r.out_len, "in-the-environment", 18), NULL);
	cr_expect_eq(memmem(r.out, r.out_len, "in-an-option", 12), NULL);
	cr_expect_eq(memmem(r.out, r.out_len, "--ro-bind", 9), NULL);
	cr_expect_eq(memmem(r.out, r.out_len, " -> ", 4), NULL, "%s", r.out);
}

Test(privileges, pid_1_tells_nothing_to_root_inside_either)
{
	/* The command line is readable, but its bytes are all wiped. */
	_autorun_ struct run_result r =
		in_usr("--root", "--cap-add", "ALL",
		       SH("tr -d '\\0' < /proc/1/cmdline;"
			  "cat /proc/1/environ /proc/1/maps; ls -l /proc/1/fd; echo end"));

	expect_out(r, "end\n");
}

Test(privileges, pid_1_cannot_be_traced)
{
	_autorun_ struct run_result r = in_usr(
		"--", "python3", "-c",
		"import ctypes, os\n"
		"libc = ctypes.CDLL(None, use_errno=True)\n"
		"PTRACE_SEIZE = 0x4206\n"
		"print(libc.ptrace(PTRACE_SEIZE, 1, None, None), os.strerror(ctypes.get_errno()))\n"
		"pidfd = os.pidfd_open(1)\n"
		"SYS_pidfd_getfd = 438\n"
		"print(libc.syscall(SYS_pidfd_getfd, pidfd, 0, 0), "
		"os.strerror(ctypes.get_errno()))\n");

	expect_out(r, "-1 Operation not permitted\n-1 Operation not permitted\n");
}

Test(privileges, the_kernels_switches_cannot_be_turned)
{
	_autorun_ struct run_result r = in_usr(
		"--root", SH("for f in /proc/sysrq-trigger /proc/sys/kernel/hostname"
			     " /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/core_pattern; do"
			     " if [ -e $f ] && echo 1 > $f; then echo wrote $f; fi; done;"
			     "head -c 1 /proc/kcore | wc -c; head -c 1 /proc/keys | wc -c"));
	_autorun_ struct run_result open = in_usr("--root", SH("cat /proc/sys/kernel/ostype"));

	cr_expect_str_eq(r.out, "0\n0\n", "%s", r.out);
	expect_out(open, "Linux\n");
}

Test(privileges, a_set_uid_bit_gives_nothing)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r = in_usr(
		"--bind", path, "/d",
		SH("cp /usr/bin/id /d/id && chmod 6755 /d/id && stat -c %a /d/id && /d/id -u"));
	char expected[32];

	snprintf(expected, sizeof(expected), "6755\n%u\n", getuid());
	expect_out(r, expected);
}

Test(privileges, device_nodes_cannot_be_made)
{
	_autorun_ struct run_result r =
		in_usr("--root", "--cap-add", "ALL", SH("mknod /tmp/sda b 8 0 && echo made"));

	cr_expect_str_eq(r.out, "");
	cr_expect(strstr(r.err, "not permitted"), "%s", r.err);
}
