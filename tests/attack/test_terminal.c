/* SPDX-License-Identifier: MIT */
/*
 * attack terminal: the command and the caller's terminal. A real shell on a real
 * terminal is what is attacked; see shell.h for how it is typed at.
 */
#include "attack.h"
#include "shell.h"

/* The kernel lets a process type into its controlling terminal: always before Linux 6.2. */
static bool kernel_has_tiocsti(void)
{
	_autoclose_ int fd = open("/proc/sys/dev/tty/legacy_tiocsti", O_RDONLY | O_CLOEXEC);
	char value = '1';

	return fd < 0 || (read(fd, &value, 1) == 1 && value == '1');
}

/* Types a command line, and says how far it came. */
static const char type_script[] = "import fcntl, termios\n"
				  "try:\n"
				  "    for c in b\"echo inj''ected\\n\":\n"
				  "        fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))\n"
				  "    print('all-ty' + 'ped')\n"
				  "except OSError:\n"
				  "    print('could-n' + 'ot')\n";

/* Does the shell that sbx returns to run what was typed inside? */
static bool typing_reaches_the_shell(const char *script, const char *options, const char *said)
{
	_autofree_ char *entry = NULL, *path = NULL;
	_autosession_ struct session session;
	_autoclose_ int tree = -1;
	char line[512];

	cr_assert_gt(asprintf(&entry, "attack.py=%s", script), 0);
	tree = tmp_tree(entry);
	path = tree_path(tree, "attack.py");
	shell_start(&session);
	snprintf(line, sizeof(line), "$SBX %s --ro-bind %s /attack.py -- python3 /attack.py",
		 options, path);
	type_line(&session, line);
	expect_text(&session, said);
	expect_text(&session, "outer> ");
	expect_status(&session, "0");
	return strstr(session.result.out, "injected") != NULL;
}

Test(terminal, what_is_typed_into_it_stays_inside)
{
	skip_unless(kernel_has_tiocsti(), "this kernel has no TIOCSTI for ordinary users");
	cr_assert(typing_reaches_the_shell(type_script, "--seccomp=none --no-pty", "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--seccomp=none --pty", "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--seccomp=none --pty --as-pid-1",
					       "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--seccomp=none --pty --share-pid",
					       "all-typed"));
	cr_expect_not(
		typing_reaches_the_shell(type_script, "--seccomp=none --pty --root", "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--no-pty", "could-not"), "the filter");
}

Test(terminal, without_the_filter_one_of_its_own_is_the_default)
{
	skip_unless(kernel_has_tiocsti(), "this kernel has no TIOCSTI for ordinary users");
	cr_assert(typing_reaches_the_shell(type_script, "--seccomp-allow ioctl --no-pty",
					   "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--seccomp=none", "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_script, "--seccomp-allow ioctl", "all-typed"));
	cr_expect_not(
		typing_reaches_the_shell(type_script, "--seccomp-allow ioctl --root", "all-typed"));
}

/* The same with bits set that the kernel does not look at. */
static const char type_high_script[] =
	"import ctypes\n"
	"libc = ctypes.CDLL(None)\n"
	"nr = {'x86_64': 16, 'aarch64': 29}[__import__('os').uname().machine]\n"
	"def types(c):\n"
	"    return libc.syscall(nr, 0, ctypes.c_uint64(0x5412 | 1 << 40), ctypes.byref("
	"ctypes.c_char(bytes([c])))) == 0\n"
	"print('all-ty' + 'ped' if all([types(c) for c in b\"echo inj''ected\\n\"]) else "
	"'could-n' + 'ot')\n";

/* A profile that compares the whole argument, as many do, is no reason to share the terminal. */
Test(terminal, a_filter_that_compares_all_bits_does_not_guard_it)
{
	_autoclose_ int tree = tmp_tree(
		"p.json={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		"[\"ioctl\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":1,\"value\":21522,"
		"\"op\":\"SCMP_CMP_EQ\"},{\"index\":1,\"value\":21532,\"op\":"
		"\"SCMP_CMP_EQ\"}]}]}");
	_autofree_ char *profile = tree_path(tree, "p.json");
	char options[512];

	skip_unless(kernel_has_tiocsti(), "this kernel has no TIOCSTI for ordinary users");
	snprintf(options, sizeof(options), "--seccomp %s --no-pty", profile);
	cr_assert_not(typing_reaches_the_shell(type_script, options, "could-not"));
	cr_assert(typing_reaches_the_shell(type_high_script, options, "all-typed"));
	snprintf(options, sizeof(options), "--seccomp %s", profile);
	cr_expect_not(typing_reaches_the_shell(type_high_script, options, "all-typed"));
	cr_expect_not(typing_reaches_the_shell(type_high_script, "--no-pty", "could-not"));
}

/* By none of the names that a terminal has inside the caller's can be set. */
Test(terminal, no_name_inside_is_the_callers)
{
	static const char attack[] =
		"for name in /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/1/fd/* /dev/tty "
		"/dev/console /dev/pts/[0-9]*; do stty rows 11 columns 22 < $name; done "
		"2>/dev/null; "
		"stty size; stty -echo -icanon";
	static const char *const options[] = {"--pty", "--pty --as-pid-1", "--pty --share-pid",
					      "--pty --root", "--pty --dev /elsewhere"};
	_autosession_ struct session session;
	char line[512];

	shell_start(&session);
	snprintf(line, sizeof(line), "$SBX -- sh -c '%s'", attack);
	type_line(&session, line);
	expect_text(&session, "outer> ");
	type_line(&session, "stty size");
	expect_text(&session, "11 22");
	session_resize(&session, 24, 200);
	type_line(&session, "stty sane");
	expect_status(&session, "0");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		snprintf(line, sizeof(line), "$SBX %s -- sh -c '%s'", options[i], attack);
		type_line(&session, line);
		expect_text(&session, "11 22");
		expect_text(&session, "outer> ");
		type_line(&session, "stty size; stty -a | grep -o '[-]*icanon'");
		expect_text(&session, "24 200\r\nicanon\r\n");
	}
}
