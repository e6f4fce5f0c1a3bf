/* SPDX-License-Identifier: MIT */
/* attack reaper: PID 1 is a process of sbx inside the sandbox; it must be of no use there. */
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

/* Trace and read a child of one's own, which works, and then PID 1. */
static const char trace[] =
	"import ctypes, os, signal\n"
	"libc = ctypes.CDLL(None, use_errno=True)\n"
	"SEIZE, ATTACH, GETFD = 0x4206, 16, 438\n"
	"libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]\n"
	"child = os.fork()\n"
	"if child == 0:\n"
	"    signal.pause()\n"
	"def opens(name):\n"
	"    try:\n"
	"        os.close(os.open(name, os.O_RDONLY))\n"
	"        return 1\n"
	"    except OSError:\n"
	"        return 0\n"
	"def links(name):\n"
	"    try:\n"
	"        os.readlink(name)\n"
	"        return 1\n"
	"    except OSError:\n"
	"        return 0\n"
	"def reads(pid):\n"
	"    buf = ctypes.create_string_buffer(8)\n"
	"    class Iov(ctypes.Structure):\n"
	"        _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
	"    here = Iov(ctypes.addressof(buf), 8)\n"
	"    line = [l for l in open('/proc/self/maps') if 'r--p' in l][0]\n"
	"    there = Iov(int(line.split('-')[0], 16), 8)\n"
	"    libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)\n"
	"    return int(ctypes.get_errno() != 1)\n"
	"def attack(pid):\n"
	"    got = {}\n"
	"    pidfd = os.pidfd_open(pid)\n"
	"    got['getfd'] = int(any(libc.syscall(GETFD, pidfd, n, 0) >= 0 for n in range(64)))\n"
	"    for name in ('mem', 'environ', 'maps', 'auxv', 'syscall', 'fd', 'fdinfo', 'ns/mnt',\n"
	"                 'map_files', 'task/%d/environ' % pid):\n"
	"        got[name] = opens('/proc/%d/%s' % (pid, name))\n"
	"    for name in ('exe', 'root', 'cwd'):\n"
	"        got[name] = links('/proc/%d/%s' % (pid, name)) + opens('/proc/%d/%s' % (pid, "
	"name))\n"
	"    got['vm'] = reads(pid)\n"
	"    got['seize'] = int(libc.ptrace(SEIZE, pid, None, None) == 0)\n"
	"    got['attach'] = int(libc.ptrace(ATTACH, pid, None, None) == 0)\n"
	"    return got\n"
	"mine = attack(child)\n"
	"print('child', sum(v > 0 for k, v in mine.items()) > 10, mine['seize'], mine['getfd'])\n"
	"print('PID 1', {k: v for k, v in attack(1).items() if v})\n"
	"os.kill(child, 9)\n";

Test(reaper, cannot_be_traced_or_read)
{
	_autorun_ struct run_result plain = in_usr(PYTHON(trace));
	_autorun_ struct run_result root = in_usr("--root", PYTHON(trace));
	_autorun_ struct run_result caps =
		in_usr("--root", "--cap-add", "ALL", "--allow-userns", PYTHON(trace));

	expect_out(plain, "child True 1 1\nPID 1 {}\n");
	expect_out(root, "child True 1 1\nPID 1 {}\n");
	expect_out(caps, "child True 1 1\nPID 1 {}\n");
}

/* The status that sbx returns is that of the command, whatever is done to what is around it. */
Test(reaper, exit_status_cannot_be_forged)
{
	static const char forge[] = "import os, signal, struct, sys\n"
				    "for fd in range(3, 64):\n"
				    "    for data in (b'\\0', struct.pack('Q', 1), b'\\0' * 64, "
				    "b'\\x02\\0\\0\\0' + b'\\0' "
				    "* 4096):\n"
				    "        try: os.write(fd, data)\n"
				    "        except OSError: pass\n"
				    "for sig in range(1, 65):\n"
				    "    try: os.kill(1, sig)\n"
				    "    except OSError: pass\n"
				    "print('tried')\n"
				    "sys.stdout.flush()\n"
				    "os._exit(99)\n";
	/* What tells the status by a descriptor that the command has as well can be lied to. */
	static const char naive[] = "import os, signal, sys\n"
				    "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
				    "r, w = os.pipe2(0)\n"
				    "pid = os.fork()\n"
				    "if pid == 0:\n"
				    "    status = os.spawnv(os.P_WAIT, sys.executable, ['python3', "
				    "'-c', sys.argv[1]])\n"
				    "    os.write(w, bytes([status]))\n"
				    "    os._exit(0)\n"
				    "os._exit(os.read(r, 1)[0])\n";
	_autorun_ struct run_result lied = run_program(
		"python3", "-c",
		"import subprocess, sys\n"
		"sys.exit(subprocess.run(['setsid', '-w', 'unshare', '-Urpf', "
		"'--kill-child', 'python3', '-c', sys.argv[1], sys.argv[2]]).returncode)",
		naive, forge);
	_autorun_ struct run_result plain = in_usr(PYTHON(forge));
	_autorun_ struct run_result caps = in_usr("--root", "--cap-add", "ALL", PYTHON(forge));

	cr_expect_eq(lied.status, 0, "%d %s", lied.status, lied.err);
	expect_out(plain, "tried\n");
	cr_expect_eq(plain.status, 99, "%d %s", plain.status, plain.err);
	expect_out(caps, "tried\n");
	cr_expect_eq(caps.status, 99, "%d %s", caps.status, caps.err);
}

static const char everything_of_pid_1[] =
	"cat /proc/1/environ /proc/1/cmdline /proc/1/comm /proc/1/stat /proc/1/status "
	"/proc/1/mountinfo /proc/1/task/1/cmdline /proc/1/task/1/environ 2>/dev/null;"
	"ls -l /proc/1/fd /proc/1/task/1/fd /proc/1/cwd /proc/1/exe 2>/dev/null | grep -e '->'; "
	"grep -a -c TOKEN-IN-MEMORY /proc/1/mem; echo end";

/* A secret given by the environment or an option is nobody's business inside. */
Test(reaper, environment_and_command_line_are_wiped)
{
	const struct run_options options = {
		.env = (const char *const[]){"PATH=/usr/bin:/bin", "SECRET=token-of-the-caller",
					     "HOME=/nonexistent", NULL},
	};
	_autorun_ struct run_result outside = run_argv(
		&options,
		(const char *const[]){"bash", "-c", "tr '\\0' '\\n' < /proc/$$/environ", NULL});
	_autorun_ struct run_result kept =
		in_usr_with(&options, "--env", "SECRET", SH("echo $SECRET"));
	_autorun_ struct run_result plain =
		in_usr_with(&options, "--setenv", "OTHER", "token-in-an-option",
			    SH(everything_of_pid_1), "token-in-an-argument");
	_autorun_ struct run_result root =
		in_usr_with(&options, "--root", "--cap-add", "ALL", "--setenv", "OTHER",
			    "token-in-an-option", SH(everything_of_pid_1), "token-in-an-argument");

	expect_said(outside, "token-of-the-caller");
	expect_out(kept, "token-of-the-caller\n");
	expect_said(plain, "end\n");
	expect_not_said(plain, "token");
	expect_not_said(plain, "--ro-bind");
	expect_said(root, "end\n");
	expect_not_said(root, "token");
	expect_not_said(root, "--ro-bind");
}

Test(reaper, its_descriptors_name_nothing_of_the_host)
{
	_autoclose_ int tree = tmp_tree("lock-file-of-the-host=");
	_autoclose_ int lock = openat(tree, "lock-file-of-the-host", O_RDONLY);
	const struct run_options options = {.fds = {{.from = lock, .to = 11}}};
	_autorun_ struct run_result own =
		in_usr_with(&options, "--pass-fd", "11", SH("readlink /proc/self/fd/11"));
	_autorun_ struct run_result r = in_usr_with(
		&options,
		SH("ls -l /proc/1/fd /proc/1/fdinfo /proc/1/map_files 2>/dev/null | grep -c "
		   "-e '->'; ls /proc/*/fd/11"));

	expect_said(own, "lock-file-of-the-host");
	expect_out(r, "0\n");
}

/* The program of a running container was overwritten through /proc once (CVE-2019-5736). */
Test(reaper, the_program_cannot_be_overwritten_through_proc)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *copy = tree_path(tree, "d/sbx");
	_autorun_ struct run_result copied =
		run_program("sh", "-c", "cp \"$1\" \"$2\" && cmp \"$1\" \"$2\" && [ -w \"$2\" ]",
			    "sh", sbx_program(), copy);
	static const char overwrite[] =
		"exec 2>/dev/null\n"
		"for how in 'cat < /proc/PID/exe' ': >> /proc/PID/exe' 'chmod 777 /proc/PID/exe'"
		" 'touch -d 1970-01-01 /proc/PID/exe'; do\n"
		"  for pid in $1; do sh -c \"${how//PID/$pid}\" | head -c 1 | wc -c; [ "
		"${PIPESTATUS[0]} != 0 ] || echo \"$pid: $how\"; done\n"
		"done | grep :; echo end\n";
	_autorun_ struct run_result own = in_usr(
		BASH("cp /usr/bin/sleep /tmp/sleep; /tmp/sleep 60 & until readlink "
		     "/proc/$!/exe | grep -q sleep; do :; done; chmod 777 /proc/$!/exe && stat "
		     "-c %a /tmp/sleep; kill $!"));
	_autorun_ struct run_result r = {0}, same = {0};

	cr_assert_eq(copied.status, 0, "%s", copied.err);
	r = run_program(copy, "--ro-bind", "/usr", "/usr", BASH(overwrite), "bash", "1");
	same = run_program("cmp", sbx_program(), copy);
	expect_out(own, "777\n");
	expect_out(r, "end\n");
	cr_expect_eq(same.status, 0, "%s", same.out);
	{
		_autorun_ struct run_result mode = run_program("stat", "-c", "%a", copy);

		expect_out(mode, "755\n");
	}
	run_result_finish(&same);
}

/* ---- odd ways to be started ---- */

static const char python_exec[] = "import os, sys, ctypes\n"
				  "libc = ctypes.CDLL(None)\n"
				  "argv = (ctypes.c_char_p * 1)(None)\n"
				  "libc.execve(sys.argv[1].encode(), argv, argv)\n"
				  "os._exit(3)\n";

/* A bound tree names sbx itself as the command, or as a script's interpreter. */
Test(reaper, a_command_that_leads_to_sbx_itself_is_refused)
{
	_autoclose_ int tree = tmp_tree("t/cmd -> /proc/self/exe", "t/plain -> /usr/bin/true");
	_autoclose_ int script = openat(tree, "t/script", O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	_autofree_ char *dir = tree_path(tree, "t");
	static const char line[] = "#!/proc/self/exe\n";

	cr_assert_eq(write(script, line, sizeof(line) - 1), (ssize_t)sizeof(line) - 1);
	close(take_fd(&script));

	_autorun_ struct run_result plain = in_usr("--ro-bind", dir, "/t", "--", "/t/plain");
	_autorun_ struct run_result cmd =
		in_usr("--ro-bind", dir, "/t", "--", "/t/cmd", "--version");
	_autorun_ struct run_result scr = in_usr("--ro-bind", dir, "/t", "--", "/t/script");

	cr_expect_eq(plain.status, 0);
	cr_expect_eq(cmd.status, 126);
	cr_expect(strstr(cmd.err, "magic link"), "%s", cmd.err);
	cr_expect_str_empty(cmd.out);
	cr_expect_eq(scr.status, 126);
	cr_expect(strstr(scr.err, "magic link"), "%s", scr.err);
}

Test(reaper, started_without_any_argument)
{
	_autorun_ struct run_result r = run_program("python3", "-c", python_exec, sbx_program());

	cr_expect_eq(r.status, 125, "%d %s", r.status, r.err);
}

/* A descriptor of sbx's own that lands on 0-2 would become the command's. */
Test(reaper, started_with_closed_standard_descriptors)
{
	static const char *const closed[] = {"<&-",	">&-",	    "2>&-",
					     "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"};

	/* The first descriptor that any program opens then is one of them. */
	_autorun_ struct run_result lands =
		run_program("sh", "-c", "python3 -c 'import os; print(os.open(\"/usr\", 0))' <&-");

	expect_out(lands, "0\n");
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		_autoclose_ int tree = tmp_tree("d/");
		_autofree_ char *path = tree_path(tree, "d");
		char script[1024];

		snprintf(script, sizeof(script),
			 "$1 --ro-bind /usr /usr --bind $2 /d -- python3 -c '\n"
			 "import os\n"
			 "fds = [fd for fd in range(256) if os.path.exists(\"/proc/self/fd/%%d\" "
			 "%% fd)]\n"
			 "names = [os.readlink(\"/proc/self/fd/%%d\" %% fd) for fd in fds]\n"
			 "open(\"/d/more\", \"w\").write(\"\".join(\"%%d \" %% fd for fd in fds))\n"
			 "open(\"/d/odd\", \"w\").write(\"\".join(n for n in names if not\n"
			 " n.startswith((\"/dev/null\", \"pipe:\"))))' %s; true",
			 closed[i]);
		{
			_autorun_ struct run_result r =
				run_program("sh", "-c", script, "sh", sbx_program(), path);
			_autofree_ char *odd = tree_read(tree, "d/odd");
			_autofree_ char *more = tree_read(tree, "d/more");

			cr_assert(odd && more, "%s: %s", closed[i], r.err);
			cr_expect_str_eq(odd, "", "%s: %s", closed[i], odd);
			cr_expect_str_eq(more, "0 1 2 ", "%s: %s", closed[i], more);
		}
	}
}

Test(reaper, started_with_few_descriptors)
{
	_autorun_ struct run_result soft = run_program(
		"sh", "-c", "ulimit -Sn 5; $1 --ro-bind /usr /usr -- sh -c 'ulimit -Sn'", "sh",
		sbx_program());
	_autorun_ struct run_result hard = run_program(
		"sh", "-c", "ulimit -n 4; $1 --ro-bind /usr /usr -- true", "sh", sbx_program());

	expect_out(soft, "5\n");
	cr_expect(hard.status == 0 || (hard.status == 125 && *hard.err), "%d %s", hard.status,
		  hard.err);
}

Test(reaper, started_with_very_many_arguments)
{
	enum { MANY = 9001 };
	_autoclose_ int args = attack_data_fd("");
	const struct run_options options = {.fds = {{.from = args, .to = 10}}};
	const char **argv = calloc(MANY * 3 + 16, sizeof(*argv));
	size_t n = 0;

	cr_assert(argv);
	argv[n++] = sbx_program();
	for (int i = 0; i < MANY; i++) {
		argv[n++] = "--setenv";
		argv[n++] = "NAME";
		argv[n++] = "value";
		dprintf(args, "--setenv%cOTHER%cvalue%d%c", 0, 0, i, 0);
	}
	argv[n++] = "--ro-bind";
	argv[n++] = "/usr";
	argv[n++] = "/usr";
	argv[n++] = "--args";
	argv[n++] = "10";
	argv[n++] = "--";
	argv[n++] = "sh";
	argv[n++] = "-c";
	argv[n++] = "echo $NAME $OTHER; [ ! -e /proc/self/fd/10 ]";
	cr_assert(lseek(args, 0, SEEK_SET) == 0);
	{
		_autorun_ struct run_result r = run_argv(&options, argv);

		expect_out(r, "value value9000\n");
		cr_expect_eq(r.status, 0);
	}
	free(argv);
}

/* The last word may lack its NUL; what was read before it in memory is no part of it. */
Test(reaper, args_without_a_nul_at_the_end)
{
	_autoclose_ int args = attack_data_fd("--hostname");
	_autoclose_ int cut = attack_data_fd("");
	const struct run_options options = {.fds = {{.from = args, .to = 10}}};
	const struct run_options cut_options = {.fds = {{.from = cut, .to = 10}}};
	_autorun_ struct run_result r = in_usr_with(&options, "--args", "10", "--", "true");

	dprintf(cut, "--dir%c/first%c--dir%c/la", 0, 0, 0);
	cr_assert(lseek(cut, 0, SEEK_SET) == 0);
	{
		_autorun_ struct run_result whole =
			in_usr_with(&cut_options, "--args", "10", SH("echo /first /la*"));

		expect_out(whole, "/first /la\n");
	}
	expect_refused(r, "--hostname");
}
