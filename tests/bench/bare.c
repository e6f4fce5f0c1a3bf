/* SPDX-License-Identifier: MIT */
/*
 * bare: the reference sandbox as bare system calls. What sbx takes beyond this
 * is its own doing; the benchmark prints the ratio.
 *
 * The sandbox: new user, mount, pid, ipc, uts, net and cgroup namespaces; /usr
 * read-only; the host's merged-/usr links; /proc (sbx's covers over its
 * dangerous files with --covers); a minimal /dev with devpts; tmpfs /tmp; a
 * read-only root; lo up; no privilege left; sbx's default filter of system
 * calls (unless --no-filter); PID 1 reaps and the command runs below it.
 *
 * No look-ups, no messages: every step is the system call that does it. One
 * that fails prints its line number. The steps are sbx's and come in sbx's
 * order, so that the two profiles can be laid side by side (--times).
 *
 * Runs by itself, for tests/bench/bench.c. Shares no code with sbx on purpose, but
 * the filter, which is data.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The other arrays in there are for others. */
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "seccomp_builtin.h"

enum { MARKS_MAX = 64, CAP_COUNT_MAX = 64, UMOUNT_DETACH = 2 };

/* Shared between the processes of one run; only with --times. */
struct times {
	size_t n;
	struct {
		const char *name;
		pid_t pid;
		int64_t ns;
	} marks[MARKS_MAX];
};

struct bare {
	bool no_reaper;	 /* the command is PID 1 */
	bool covers;	 /* hide /proc's dangerous files as sbx does */
	bool no_filter;	 /* without sbx's default filter of system calls */
	bool userns_off; /* no further user namespaces */
	bool late;	 /* clone into the user and pid namespace only, unshare the rest */
	bool sequential; /* the id-map helpers one after the other */
	unsigned long range_start, range_count; /* sub-ids; count 0: the caller's id alone */
	char **binds;
	size_t n_binds;
	char **argv;
	struct times *times; /* NULL without --times */
	uid_t uid;
	gid_t gid;
};

static void die(int line)
{
	fprintf(stderr, "bare: line %d: errno %d\n", line, errno);
	_exit(125);
}

static long check(long result, int line)
{
	if (result < 0)
		die(line);
	return result;
}

/* The result of a system call, or the end of the program. */
#define TRY(call) check((call), __LINE__)

static void mark(const struct bare *b, const char *name)
{
	struct timespec now;
	size_t i;

	if (!b->times)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	i = __atomic_fetch_add(&b->times->n, 1, __ATOMIC_SEQ_CST);
	if (i >= MARKS_MAX)
		die(__LINE__);
	b->times->marks[i].name = name;
	b->times->marks[i].pid = getpid();
	b->times->marks[i].ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void write_file(const char *path, const char *text)
{
	int fd = TRY(open(path, O_WRONLY | O_CLOEXEC));

	TRY(write(fd, text, strlen(text)));
	close(fd);
}

static void write_single_map(const struct bare *b)
{
	char line[64];

	write_file("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1\n", b->uid, b->uid);
	write_file("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "%u %u 1\n", b->gid, b->gid);
	write_file("/proc/self/gid_map", line);
}

static void loopback_up(void)
{
	struct ifreq req = {.ifr_name = "lo"};
	int fd = TRY(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	req.ifr_flags = IFF_UP | IFF_RUNNING;
	TRY(ioctl(fd, SIOCSIFFLAGS, &req));
	close(fd);
}

static int new_filesystem(const char *type, const char *const *options, unsigned int attrs)
{
	int fs = TRY(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
	int mount;

	for (; *options; options += 2)
		TRY(syscall(SYS_fsconfig, fs, options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			    options[0], options[1], 0));
	TRY(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mount = TRY(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attrs));
	close(fs);
	return mount;
}

static int new_tmpfs(const char *mode, unsigned int attrs)
{
	const char *const options[] = {"mode", mode, NULL};

	return new_filesystem("tmpfs", options, attrs);
}

/*
 * Put a mount where a path below `dir` leads. A path in a file system that was
 * made a moment ago and holds no link needs no openat2 to stay inside.
 */
static void attach(int mount, int dir, const char *dest)
{
	TRY(syscall(SYS_move_mount, mount, "", dir, dest, MOVE_MOUNT_F_EMPTY_PATH));
}

static void attach_close(int mount, int dir, const char *dest)
{
	attach(mount, dir, dest);
	close(mount);
}

static int clone_tree(int at, const char *source, uint64_t attrs)
{
	struct mount_attr attr = {.attr_set = attrs, .propagation = 1UL << 18 /* MS_PRIVATE */};
	int mount = TRY(syscall(SYS_open_tree, at, source,
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));

	TRY(syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		    sizeof(attr)));
	return mount;
}

static void make_dirs_and_links(int root)
{
	static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64"};
	char host[16], text[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ssize_t n;

		snprintf(host, sizeof(host), "/%s", names[i]);
		n = readlink(host, text, sizeof(text) - 1);
		if (n < 0)
			continue;
		text[n] = '\0';
		TRY(symlinkat(text, root, names[i]));
	}
	TRY(mkdirat(root, "usr", 0755));
	TRY(mkdirat(root, "proc", 0755));
	TRY(mkdirat(root, "dev", 0755));
	TRY(mkdirat(root, "tmp", 0755));
}

static void make_dev(const struct bare *b, int root)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[] = {
		"/proc/self/fd",   "fd",     "/proc/self/fd/0", "stdin",
		"/proc/self/fd/1", "stdout", "/proc/self/fd/2", "stderr",
		"/proc/kcore",	   "core",   "pts/ptmx",	"ptmx",
	};
	static const char *const pts[] = {"newinstance", NULL,	"ptmxmode", "0666",
					  "mode",	 "620", NULL};
	int dev;

	dev = new_tmpfs("0755", MOUNT_ATTR_NOSUID);
	attach(dev, root, "dev");
	mark(b, "dev: tmpfs");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		char host[16];

		snprintf(host, sizeof(host), "/dev/%s", nodes[i]);
		close(TRY(openat(dev, nodes[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444)));
		attach_close(clone_tree(AT_FDCWD, host, MOUNT_ATTR_NOSUID), dev, nodes[i]);
	}
	mark(b, "dev: six nodes");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i += 2)
		TRY(symlinkat(links[i], dev, links[i + 1]));
	TRY(mkdirat(dev, "shm", 01777));
	TRY(mkdirat(dev, "pts", 0755));
	mark(b, "dev: links");
	attach_close(new_filesystem("devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev,
		     "pts");
	mark(b, "dev: devpts");
	close(dev);
}

/* sbx covers what is dangerous in /proc even to a process without privilege. */
static void cover_proc(int proc)
{
	static const char *const read_only[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
	static const char *const hidden_files[] = {"kcore",	  "keys",	"latency_stats",
						   "sched_debug", "timer_list", "timer_stats"};
	static const char *const hidden_dirs[] = {"acpi", "asound", "scsi"};

	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		if (faccessat(proc, read_only[i], F_OK, 0) == 0)
			attach_close(clone_tree(proc, read_only[i], MOUNT_ATTR_RDONLY), proc,
				     read_only[i]);
	for (size_t i = 0; i < sizeof(hidden_files) / sizeof(hidden_files[0]); i++)
		if (faccessat(proc, hidden_files[i], F_OK, 0) == 0)
			attach_close(clone_tree(AT_FDCWD, "/dev/null", MOUNT_ATTR_RDONLY), proc,
				     hidden_files[i]);
	for (size_t i = 0; i < sizeof(hidden_dirs) / sizeof(hidden_dirs[0]); i++)
		if (faccessat(proc, hidden_dirs[i], F_OK, 0) == 0)
			attach_close(new_tmpfs("0555", MOUNT_ATTR_RDONLY), proc, hidden_dirs[i]);
}

/* --binds: each at /bN; the same source may come many times. */
static void make_binds(const struct bare *b, int root)
{
	char dest[32];

	for (size_t i = 0; i < b->n_binds; i++) {
		snprintf(dest, sizeof(dest), "b%zu", i);
		TRY(mkdirat(root, dest, 0755));
		attach_close(clone_tree(AT_FDCWD, b->binds[i],
					MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
			     root, dest);
	}
}

/* The default filter of sbx, for PID 1 and the command. */
static void load_filter(void)
{
	const struct sock_fprog program = {
		.len = sizeof(builtin_default) / sizeof(builtin_default[0]),
		.filter = (struct sock_filter *)(uintptr_t)builtin_default,
	};

	TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* Inherited by the command. Takes nothing from the process itself yet. */
static void drop_bounding_set(void)
{
	for (int cap = 0; cap < CAP_COUNT_MAX && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
}

static void drop_privileges(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	TRY(syscall(SYS_capset, &head, data));
}

static void run_payload(const struct bare *b)
{
	TRY(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));
	mark(b, "payload: descriptors");
	execv(b->argv[0], b->argv);
	die(__LINE__);
}

/* PID 1: wait for all, go with the command. */
static void reap(pid_t payload)
{
	siginfo_t info;

	do
		TRY(waitid(P_ALL, 0, &info, WEXITED));
	while (info.si_pid != payload);
	_exit(info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
}

/* What needs no id map, and so can happen while others write it. */
static int make_root(const struct bare *b)
{
	int root;

	TRY(prctl(PR_SET_PDEATHSIG, SIGKILL));
	if (b->late) {
		TRY(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			    CLONE_NEWCGROUP));
		mark(b, "unshare of the rest");
	}
	loopback_up();
	mark(b, "lo up");
	root = new_tmpfs("0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	TRY(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
	mark(b, "root tmpfs");
	drop_bounding_set();
	mark(b, "bounding set");
	return root;
}

static void fill_root(const struct bare *b, int root)
{
	const struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};
	const char *const no_options[] = {NULL};
	int proc;

	make_dirs_and_links(root);
	mark(b, "directories, links");
	attach_close(clone_tree(AT_FDCWD, "/usr",
				MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
		     root, "usr");
	mark(b, "bind /usr");
	proc = new_filesystem("proc", no_options,
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV);
	attach(proc, root, "proc");
	mark(b, "proc");
	make_dev(b, root);
	attach_close(new_tmpfs("01777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), root, "tmp");
	mark(b, "tmpfs /tmp");
	make_binds(b, root);
	mark(b, "binds");
	TRY(syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &ro, sizeof(ro)));
	mark(b, "root read-only");
	if (b->userns_off)
		write_file("/proc/sys/user/max_user_namespaces", "0");
	mark(b, "no user namespaces");
	if (b->covers)
		cover_proc(proc);
	mark(b, "covers of /proc");
	close(proc);
}

/* Takes `root`. */
static void enter_root(const struct bare *b, int root)
{
	TRY(fchdir(root));
	TRY(syscall(SYS_pivot_root, ".", "."));
	mark(b, "pivot_root");
	TRY(syscall(SYS_umount2, ".", UMOUNT_DETACH));
	TRY(chdir("/"));
	close(root);
	mark(b, "detach the old root");
}

static void run_init(const struct bare *b, int wait_fd)
{
	int root = make_root(b);
	pid_t payload;
	char byte;

	if (b->range_count)
		TRY(read(wait_fd, &byte, 1));
	else
		write_single_map(b);
	mark(b, "id map (written, or waited for)");
	fill_root(b, root);
	enter_root(b, root);
	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (!b->no_filter)
		load_filter();
	mark(b, "filter");

	drop_privileges();
	if (b->no_reaper)
		run_payload(b);
	TRY(prctl(PR_SET_DUMPABLE, 0));
	payload = TRY(vfork());
	if (payload == 0) {
		mark(b, "vfork of the payload");
		run_payload(b);
	}
	reap(payload);
}

static void wait_ok(pid_t pid)
{
	int status;

	TRY(waitpid(pid, &status, 0));
	if (status != 0)
		die(__LINE__);
}

/*
 * The caller's id stays what it is, the sub-ids go around it. The first helper comes
 * by fork, since vfork would keep the second waiting until the first is executed.
 */
static pid_t spawn_map_helper(const struct bare *b, bool first, pid_t pid)
{
	const char *program = first ? "/usr/bin/newuidmap" : "/usr/bin/newgidmap";
	const unsigned id = first ? b->uid : b->gid;
	char words[10][24];
	char *argv[12] = {0};
	pid_t helper;
	const unsigned long values[10] = {
		(unsigned long)pid,
		0,
		b->range_start,
		id,
		id,
		id,
		1,
		id + 1UL,
		b->range_start + id,
		b->range_count - id,
	};

	argv[0] = (char *)program;
	for (size_t i = 0; i < 10; i++) {
		snprintf(words[i], sizeof(words[i]), "%lu", values[i]);
		argv[i + 1] = words[i];
	}
	helper = TRY(first ? fork() : vfork());
	if (helper == 0) {
		execv(program, argv);
		_exit(127);
	}
	return helper;
}

static void write_range_map(const struct bare *b, pid_t child)
{
	pid_t uid_helper, gid_helper;

	mark(b, "monitor: clone3 returns");
	uid_helper = spawn_map_helper(b, true, child);
	mark(b, "monitor: newuidmap started");
	if (b->sequential)
		wait_ok(uid_helper);
	gid_helper = spawn_map_helper(b, false, child);
	mark(b, "monitor: newgidmap started");
	if (!b->sequential)
		wait_ok(uid_helper);
	wait_ok(gid_helper);
	mark(b, "monitor: both have ended");
}

static int run(const struct bare *b)
{
	const uint64_t rest =
		CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
	int pair[2], pidfd = -1, status;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD | (b->late ? 0 : rest),
		.exit_signal = SIGCHLD,
		.pidfd = (uintptr_t)&pidfd,
	};
	pid_t pid;

	TRY(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	mark(b, "start");
	pid = TRY(syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0) {
		mark(b, b->late ? "clone3: user, pid" : "clone3: all namespaces");
		run_init(b, pair[1]);
	}
	if (b->range_count) {
		write_range_map(b, pid);
		TRY(write(pair[0], "m", 1));
	}
	TRY(waitpid(pid, &status, 0));
	mark(b, "monitor: waiting for the end");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * One line a mark, on standard error: microseconds since the mark before in the
 * same process (a new process: since the last mark anywhere), and its name.
 */
static void print_times(const struct times *times)
{
	for (size_t i = 1; i < times->n; i++) {
		size_t before = i;

		while (before > 0 && times->marks[--before].pid != times->marks[i].pid)
			;
		if (times->marks[before].pid != times->marks[i].pid)
			before = i - 1;
		fprintf(stderr, "%9.1f\t%s\n",
			(double)(times->marks[i].ns - times->marks[before].ns) / 1000,
			times->marks[i].name);
	}
}

static unsigned long number(const char *word)
{
	return word ? strtoul(word, NULL, 10) : 0;
}

static const struct {
	const char *word;
	size_t offset; /* of a bool in struct bare */
} flags[] = {
	{"--no-reaper", offsetof(struct bare, no_reaper)},
	{"--covers", offsetof(struct bare, covers)},
	{"--no-filter", offsetof(struct bare, no_filter)},
	{"--userns-off", offsetof(struct bare, userns_off)},
	{"--late", offsetof(struct bare, late)},
	{"--sequential", offsetof(struct bare, sequential)},
};

static bool parse_flag(struct bare *b, const char *word)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(word, flags[i].word) != 0)
			continue;
		*(bool *)((char *)b + flags[i].offset) = true;
		return true;
	}
	return false;
}

/*
 * The flags of struct bare, and
 * --range START COUNT   sub-ids by newuidmap and newgidmap; without: the caller's id alone
 * --binds N DIR...      N directories to bind read-only
 * --times               print what each step took
 */
static void parse(struct bare *b, char **word)
{
	for (; *word && strcmp(*word, "--") != 0; word++) {
		if (parse_flag(b, *word))
			continue;
		if (strcmp(*word, "--range") == 0) {
			b->range_start = number(*++word);
			b->range_count = number(*++word);
		} else if (strcmp(*word, "--binds") == 0) {
			b->n_binds = number(*++word);
			b->binds = word + 1;
			word += b->n_binds;
		} else if (strcmp(*word, "--times") == 0) {
			b->times = mmap(NULL, sizeof(*b->times), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		} else {
			die(__LINE__);
		}
	}
	b->argv = *word ? word + 1 : word;
}

int main(int argc, char **argv)
{
	struct bare b = {.uid = geteuid(), .gid = getegid()};
	int status;

	(void)argc;
	parse(&b, argv + 1);
	if (!b.argv[0])
		die(__LINE__);
	status = run(&b);
	if (b.times)
		print_times(b.times);
	return status;
}
