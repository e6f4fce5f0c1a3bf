/* SPDX-License-Identifier: MIT */
/* e2e seccomp: which system calls work, and how that is chosen and told. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/* An open file with these bytes, to be handed to sbx. */
static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* A raw filter that answers one system call with EDOM, which nothing else does. */
static int filter_without(int number)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return file_of(insns, sizeof(insns));
}

#define RMDIR "import os\ntry: os.rmdir('/nonsense')\nexcept OSError as e: print(e.errno)"
#define FILTERS "grep Seccomp_filters /proc/self/status"

Test(seccomp, default_is_on)
{
	_autorun_ struct run_result r = in_usr(SH(FILTERS));
	_autorun_ struct run_result none = in_usr("--seccomp=none", SH(FILTERS));
	_autorun_ struct run_result mount =
		in_usr("--", "python3", "-c",
		       "import ctypes; l = ctypes.CDLL(None, use_errno=True)\n"
		       "print(l.mount(None, None, None, 0, None), ctypes.get_errno())");

	expect_out(r, "Seccomp_filters:\t1\n");
	expect_out(none, "Seccomp_filters:\t0\n");
	expect_out(mount, "-1 1\n");
}

Test(seccomp, later_words_count)
{
	static const char script[] =
		"import os\n"
		"for f in (os.sync, os.getpriority, os.getsid):\n"
		"    try:\n"
		"        f(*([] if f is os.sync else [0] if f is os.getsid else "
		"[0, 0]))\n"
		"        print('yes', end=' ')\n"
		"    except OSError as e: print(e.errno, end=' ')\n";
	_autorun_ struct run_result both =
		in_usr("--seccomp-deny", "getpriority,getsid", "--seccomp-allow", "getsid", "--",
		       "python3", "-c", script);
	_autorun_ struct run_result group =
		in_usr("--seccomp-deny=@sync,getsid", "--seccomp=none", "--", "python3", "-c",
		       "import os\ntry: os.getsid(0)\nexcept OSError as e: print(e.errno)");

	expect_out(both, "yes 1 yes ");
	expect_out(group, "1\n");
}

Test(seccomp, mistyped_words_are_refused)
{
	_autorun_ struct run_result call = in_usr("--seccomp-deny", "keyctrl", "--", "true");
	_autorun_ struct run_result group = in_usr("--seccomp-allow=@keyrings", "--", "true");
	_autorun_ struct run_result profile = in_usr("--seccomp=stricct", "--", "true");
	_autorun_ struct run_result elsewhere =
		in_usr("--seccomp-deny=vm86,cacheflush", "--", "true");

	expect_failure(call, 125, "did you mean keyctl?");
	expect_failure(group, 125, "did you mean @keyring?");
	expect_failure(profile, 125, "--seccomp");
	expect_success(elsewhere);
}

Test(seccomp, strict_runs_a_shell_and_python)
{
	_autorun_ struct run_result r = in_usr(
		"--seccomp=strict",
		SH("echo $(seq 3 | sort -r) $(python3 -c 'import subprocess, threading, tempfile\n"
		   "t = threading.Thread(target=print, args=(5,)); t.start(); t.join()\n"
		   "print(subprocess.run([\"echo\", \"6\"], "
		   "capture_output=True).stdout.decode().strip())')"));
	_autorun_ struct run_result net = in_usr("--seccomp=strict", "--", "python3", "-c",
						 "import socket\n"
						 "try: socket.socket()\n"
						 "except OSError as e: print(e.errno)");

	expect_out(r, "3 2 1 5 6\n");
	expect_out(net, "97\n");
}

/* The step of a build that nobody has read: a compiler, with nothing around it. */
Test(seccomp, strict_runs_a_compiler)
{
	_autorun_ struct run_result r = in_usr(
		"--seccomp=strict", "--chdir", "/tmp",
		SH("echo 'int main(void) { return 7; }' > a.c && cc -o a a.c && ./a; echo $?"));

	expect_out(r, "7\n");
}

Test(seccomp, what_was_refused_is_told)
{
	static const char script[] = "import ctypes, socket; l = ctypes.CDLL(None)\n"
				     "for i in range(3): l.mount(None, None, None, 0, None)\n"
				     "l.ioctl(0, 0x5412, None)\n"
				     "try: socket.socket(40, 1)\n"
				     "except OSError: pass";
	static const char wanted[] = "sbx: seccomp: refused ioctl 0x5412 (once), mount (3 times), "
				     "socket family 40 (once)\n";
	_autorun_ struct run_result plain = in_usr("--seccomp-log", "--", "python3", "-c", script);
	_autorun_ struct run_result root =
		in_usr("--seccomp-log", "--root", "--", "python3", "-c", script);
	_autorun_ struct run_result pid1 =
		in_usr("--seccomp-log", "--as-pid-1", "--", "python3", "-c", script);
	_autorun_ struct run_result nothing = in_usr("--seccomp-log", SH("exit 3"));
	_autorun_ struct run_result silent = in_usr("--", "python3", "-c", script);

	expect_success(plain);
	cr_expect_str_eq(plain.err, wanted);
	cr_expect_str_eq(root.err, wanted);
	cr_expect_str_eq(pid1.err, wanted);
	cr_expect_eq(nothing.status, 3);
	cr_expect_str_eq(nothing.err, "sbx: seccomp: refused nothing\n");
	cr_expect_str_eq(silent.err, "");
}

Test(seccomp, raw_filter_by_descriptor)
{
	_autoclose_ int rmdir_fd = filter_without(SYS_rmdir);
	_autoclose_ int unlink_fd = filter_without(SYS_unlink);
	const struct run_options fds = {.fds = {{rmdir_fd, 7}, {unlink_fd, 8}}};
	_autorun_ struct run_result alone =
		in_usr_with(&fds, "--seccomp", "7", SH("python3 -c \"" RMDIR "\"; " FILTERS));

	expect_out(alone, "33\nSeccomp_filters:\t1\n");
}

Test(seccomp, raw_filters_are_added)
{
	_autoclose_ int rmdir_fd = filter_without(SYS_rmdir);
	_autoclose_ int poll_fd = filter_without(SYS_ppoll);
	const struct run_options fds = {.fds = {{rmdir_fd, 7}, {poll_fd, 8}}};
	_autorun_ struct run_result r = in_usr_with(
		&fds, "--add-seccomp-fd", "7", "--add-seccomp-fd", "8",
		SH("python3 -c \"" RMDIR "\"; " FILTERS "; grep Seccomp_filters /proc/1/status"));

	/* PID 1 has the default one and the first: it lives by ppoll(2). */
	expect_out(r, "33\nSeccomp_filters:\t3\nSeccomp_filters:\t2\n");
}

Test(seccomp, what_is_no_filter_is_an_error)
{
	_autoclose_ int odd = file_of("123456789", 9);
	_autoclose_ int nonsense = file_of("12345678", 8);
	_autoclose_ int empty = file_of("", 0);
	const struct run_options fds = {.fds = {{odd, 7}, {nonsense, 8}, {empty, 9}}};
	_autorun_ struct run_result cut = in_usr_with(&fds, "--seccomp", "7", "--", "true");
	_autorun_ struct run_result wrong = in_usr_with(&fds, "--seccomp", "8", "--", "true");
	_autorun_ struct run_result nothing =
		in_usr_with(&fds, "--add-seccomp-fd", "9", "--", "true");
	_autorun_ struct run_result closed = in_usr("--seccomp", "77", "--", "true");

	expect_failure(cut, 125, "must be a multiple of 8");
	expect_failure(wrong, 125, "no program that the kernel takes");
	expect_failure(nothing, 125, "no program that the kernel takes");
	expect_failure(closed, 125, "descriptor 77 is not open");
}

Test(seccomp, what_contradicts_itself_is_refused)
{
	_autorun_ struct run_result both =
		in_usr("--seccomp", "0", "--add-seccomp-fd", "0", "--", "true");
	_autorun_ struct run_result change =
		in_usr("--seccomp", "0", "--seccomp-deny", "read", "--", "true");
	_autorun_ struct run_result log = in_usr("--seccomp=none", "--seccomp-log", "--", "true");

	expect_failure(both, 125, "cannot be combined with --add-seccomp-fd");
	expect_failure(change, 125, "--seccomp-deny");
	expect_failure(log, 125, "--seccomp-log");
}

/* Whoever hands the listener on would be stopped by the very filter, and wait for ever. */
Test(seccomp, a_filter_that_cannot_be_told_of_is_no_log, .timeout = 60)
{
	_autorun_ struct run_result log =
		in_usr("--seccomp-deny", "sendmsg", "--seccomp-log", "--", "true");
	_autorun_ struct run_result quiet = in_usr("--seccomp-deny", "sendmsg", "--", "true");

	expect_failure(log, 125, "--seccomp-log: cannot tell of a filter that refuses sendmsg");
	expect_success(quiet);
}

/* What gives the command its limits back, and what tells of a failure, may be refused to it. */
Test(seccomp, what_is_needed_right_before_the_command_can_be_denied)
{
	static const char none[] = "--seccomp-deny=@known";
	_autorun_ struct run_result alone =
		in_usr(none, "--seccomp-allow=@default", "--no-pty", "--", "true");
	_autorun_ struct run_result missing =
		in_usr(none, "--seccomp-allow=@default,write", "--", "no-such-command");
	_autorun_ struct run_result limited =
		in_usr("--seccomp-deny=umask,prlimit64,setrlimit,rt_sigprocmask",
		       "--rlimit=nofile=77", SH("grep -o 'files *77' /proc/self/limits"));

	/* It is the loader that ends so: nothing may be opened. */
	cr_expect_eq(alone.status, 127, "%d: %s", alone.status, alone.err);
	expect_failure(missing, 127, "no such command on PATH");
	expect_success(limited);
}

/* What PID 1 and the steps in front of the command need may be denied to the command. */
Test(seccomp, what_sbx_itself_needs_can_be_denied)
{
	_autorun_ struct run_result r =
		in_usr("--seccomp-deny",
		       "waitid,ppoll,kill,chdir,close_range,recvmsg,sendto,setsid,clone3",
		       "--new-session", "--on-exit=wait",
		       SH("python3 -c \"import os\ntry: os.chdir('/')\nexcept OSError as e: "
			  "print(e.errno)\"; "
			  "exit 4"));

	cr_expect_eq(r.status, 4, "%s", r.err);
	cr_expect_str_eq(r.out, "1\n", "%s", r.err);
}

/* As an old list of allowed calls does, which knows nothing of openat2(2). */
Test(seccomp, the_command_need_not_be_opened_behind_the_filter)
{
	_autoclose_ int fd = filter_without(SYS_openat2);
	const struct run_options with = {.fds = {{fd, 7}}};
	_autorun_ struct run_result denied = in_usr("--seccomp-deny=openat2", SH("echo ran"));
	_autorun_ struct run_result magic =
		in_usr("--seccomp-deny=openat2", "--", "/proc/self/exe");
	_autorun_ struct run_result raw = in_usr_with(&with, "--seccomp", "7", SH("echo ran"));
	_autorun_ struct run_result execve = in_usr("--seccomp-deny", "execve", "--", "true");

	expect_out(denied, "ran\n");
	expect_out(raw, "ran\n");
	expect_failure(magic, 126, "leads through a magic link of /proc");
	expect_failure(execve, 125, "the command could not be started");
}

/* A message is sent or written, and this refuses both, by an error or by death. */
static int filter_without_words(uint32_t action)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, action),
	};

	return file_of(insns, sizeof(insns));
}

static void expect_told(uint32_t action, const char *option)
{
	_autoclose_ int fd = filter_without_words(action);
	const struct run_options with = {.fds = {{fd, 7}}};
	_autorun_ struct run_result r = in_usr_with(&with, option, "--seccomp", "7", "--", "/nope");

	expect_failure(r, 127, "/nope: no such file inside the sandbox");
}

Test(seccomp, a_command_that_is_missing_is_told_of_behind_any_filter)
{
	_autorun_ struct run_result denied = in_usr("--seccomp-deny=sendto,write", "--", "/nope");
	_autorun_ struct run_result exits = in_usr("--seccomp-deny=sendto,write", SH("exit 127"));

	expect_told(SECCOMP_RET_ERRNO | EPERM, "--new-session");
	expect_told(SECCOMP_RET_KILL_PROCESS, "--new-session");
	expect_told(SECCOMP_RET_ERRNO | EPERM, "--as-pid-1");
	expect_told(SECCOMP_RET_ERRNO | EPERM, "--detach");
	expect_failure(denied, 127, "/nope: no such file inside the sandbox");
	cr_expect_eq(exits.status, 127);
	cr_expect_str_eq(exits.err, "");
}

/* Nor is it waited for where it could not even end. */
Test(seccomp, a_filter_that_refuses_everything_is_an_error)
{
	static const struct sock_filter all[] = {
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM}};
	static const struct sock_filter kill[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL}};
	_autoclose_ int fd1 = file_of(all, sizeof(all)), fd2 = file_of(all, sizeof(all));
	_autoclose_ int fd3 = file_of(all, sizeof(all)), fd4 = file_of(kill, sizeof(kill));
	const struct run_options with = {.fds = {{fd1, 6}, {fd2, 7}, {fd3, 8}, {fd4, 9}}};
	_autorun_ struct run_result only = in_usr_with(&with, "--seccomp", "6", "--", "true");
	_autorun_ struct run_result added =
		in_usr_with(&with, "--add-seccomp-fd", "7", "--", "true");
	_autorun_ struct run_result first =
		in_usr_with(&with, "--as-pid-1", "--seccomp", "8", "--", "true");
	_autorun_ struct run_result killed = in_usr_with(&with, "--seccomp", "9", "--", "true");

	expect_failure(only, 125, "the command could not be started");
	expect_failure(added, 125, "the command could not be started");
	expect_failure(first, 125, "the command could not be started");
	cr_expect_eq(killed.status, 128 + SIGSYS, "%s", killed.err);
}

/* Three filters, none of which keeps the command from being started and ended, but all do. */
Test(seccomp, what_can_neither_run_nor_exit_ends)
{
	_autoclose_ int end_fd = filter_without(SYS_exit_group), old_fd = filter_without(SYS_exit);
	_autoclose_ int exec_fd = filter_without(SYS_execve);
	const struct run_options with = {.fds = {{end_fd, 7}, {old_fd, 8}, {exec_fd, 9}}};
	_autorun_ struct run_result r =
		in_usr_with(&with, "--add-seccomp-fd", "7", "--add-seccomp-fd", "8",
			    "--add-seccomp-fd", "9", "--", "true");

	expect_failure(r, 126, "domain"); /* EDOM, in glibc's words and in musl's */
}

Test(seccomp, explain_tells)
{
	_autorun_ struct run_result text =
		in_usr("--explain", "--seccomp=strict", "--seccomp-deny", "@ipc", "--", "true");
	_autorun_ struct run_result json = in_usr("--explain=json", "--", "true");

	expect_success(text);
	cr_expect(strstr(text.out, "strict, "), "%s", text.out);
	cr_expect(strstr(text.out, "deny            @ipc"), "%s", text.out);
	cr_expect(strstr(json.out, "\"profile\": \"default\""), "%s", json.out);
	cr_expect(strstr(json.out, "load the system call filter: default"), "%s", json.out);
}
