/* SPDX-License-Identifier: MIT */
/*
 * net: see net.h.
 *
 * The bench listens on the host's loopback, and a shell in either network connects to that, by
 * the gateway's address. By hand, that shell is in a new user and network namespace, and
 * slirp4netns is told its pid; nothing else is there: no filter, no mounts, no rules.
 *
 * Either slirp4netns has a session of its own: sbx gives it one, and by hand it has one where it
 * is typed at a second terminal, as its manual shows it. Schedulers that group processes by
 * session (sched(7), autogroup) else divide the processors otherwise in one of the two, which
 * is no cost of what sbx does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "net.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define SLIRP "/usr/bin/slirp4netns"

enum { NET_PAIRS = 9, NET_MIB = 512, NET_TIMEOUT_MS = 30 * 1000, NET_BUFFER = 1 << 18 };

/* What the shell does with its connection, descriptor 3. */
static const char net_says[] = "read -r -n 1 x <&3";
/* What is not there yet when its last process ends goes with the network, so that waits. */
static const char net_sends[] =
	"dd if=/dev/zero bs=1M count=%d status=none >&3; read -r -n 1 x <&3";
static const char net_takes[] =
	"dd of=/dev/null bs=1M count=%d iflag=fullblock status=none <&3; printf x >&3; "
	"read -r -n 1 x <&3";

/* One of the two networks, with a command in it. */
struct net_run {
	pid_t command; /* the shell's, or sbx */
	pid_t slirp;   /* 0: sbx has it */
	int exit_fd;   /* of that one, ends it; -1 */
};

struct net_way {
	const char *name;
	void (*start)(const struct programs *programs, const char *script, struct net_run *run);
};

/* ---- the host's end ---- */

static int net_listen(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		measure_die("cannot listen");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int net_accept(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	int fd;

	if (poll(&pfd, 1, NET_TIMEOUT_MS) != 1) {
		errno = ETIMEDOUT;
		measure_die("nobody has connected");
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		measure_die("accept");
	return fd;
}

/* ---- by hand ---- */

static void net_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		measure_die(path);
	close(fd);
}

/* Waits for a byte, when the network is there, and becomes the shell. */
static void net_become_command(const char *script, int told_fd, int go_fd)
{
	char map[64], byte;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	/* Whoever was root before is not, and could not write its maps. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		measure_die("unshare");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	net_write_file("/proc/self/uid_map", map);
	net_write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	net_write_file("/proc/self/gid_map", map);
	if (write(told_fd, "x", 1) != 1 || read(go_fd, &byte, 1) != 1)
		_exit(1);
	execl("/usr/bin/bash", "bash", "-c", script, (char *)NULL);
	_exit(127);
}

static pid_t net_start_slirp(pid_t target, int ready_fd, int exit_fd)
{
	char words[3][32];
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	snprintf(words[0], sizeof(words[0]), "--ready-fd=%d", ready_fd);
	snprintf(words[1], sizeof(words[1]), "--exit-fd=%d", exit_fd);
	snprintf(words[2], sizeof(words[2]), "%d", target);
	(void)fcntl(ready_fd, F_SETFD, 0);
	(void)fcntl(exit_fd, F_SETFD, 0);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	(void)setsid();
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	execl(SLIRP, SLIRP, "--configure", "--enable-seccomp", "--mtu=65520", words[0], words[1],
	      words[2], "tap0", (char *)NULL);
	_exit(127);
}

static void net_pipe(int ret_fds[2])
{
	if (pipe2(ret_fds, O_CLOEXEC) < 0)
		measure_die("pipe");
}

static void net_await_byte(int fd, const char *what)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		measure_die(what);
	close(fd);
}

static void net_start_by_hand(const struct programs *programs, const char *script,
			      struct net_run *run)
{
	int told[2], go[2], ready[2], quit[2];

	(void)programs;
	net_pipe(told);
	net_pipe(go);
	net_pipe(ready);
	net_pipe(quit);
	run->command = fork();
	if (run->command == 0)
		net_become_command(script, told[1], go[0]);
	close(told[1]);
	net_await_byte(told[0], "the command's process");
	run->slirp = net_start_slirp(run->command, ready[1], quit[0]);
	close(ready[1]);
	close(quit[0]);
	net_await_byte(ready[0], SLIRP);
	if (write(go[1], "x", 1) != 1)
		measure_die("write");
	close(go[0]);
	close(go[1]);
	run->exit_fd = quit[1];
}

/* ---- sbx ---- */

static void net_start_by_sbx(const struct programs *programs, const char *script,
			     struct net_run *run)
{
	struct words words = {0};

	words_add_list(&words,
		       (const char *const[]){programs->sbx, "--map=single", "--ro-bind", "/usr",
					     "/usr", "--net=user,allow-host-loopback", "--",
					     "/usr/bin/bash", "-c", script, NULL});
	run->command = measure_start(words.word);
	run->slirp = 0;
	run->exit_fd = -1;
	words_free(&words);
}

static void net_end(const struct net_run *run, const char *name)
{
	int status;

	measure_wait(run->command, name);
	if (run->exit_fd >= 0)
		close(run->exit_fd);
	if (run->slirp)
		(void)waitpid(run->slirp, &status, 0);
}

/* The first is what the other is compared with. */
static const struct net_way net_ways[] = {
	{"slirp4netns by hand", net_start_by_hand},
	{"sbx --net=user", net_start_by_sbx},
};

static void net_write_script(char *script, size_t size, int port, const char *act)
{
	snprintf(script, size, "exec 3<>/dev/tcp/10.0.2.2/%d; %s", port, act);
}

/* ---- until it answers ---- */

/* Microseconds from the start until the shell has connected. */
static double net_time_start(const struct programs *programs, const struct net_way *way,
			     int listener, const char *script)
{
	double start = measure_now_us(), end;
	struct net_run run;
	int fd;

	way->start(programs, script, &run);
	fd = net_accept(listener);
	end = measure_now_us();
	if (write(fd, "x", 1) != 1)
		measure_die("write");
	close(fd);
	net_end(&run, way->name);
	return end - start;
}

void net_bench_start(const struct programs *programs, size_t rounds)
{
	struct subject subjects[COUNT_OF(net_ways)];
	char script[256];
	int port, listener = net_listen(&port);

	net_write_script(script, sizeof(script), port, net_says);
	for (size_t i = 0; i < COUNT_OF(net_ways); i++) {
		subjects[i] = (struct subject){.name = net_ways[i].name,
					       .times = calloc(rounds, sizeof(double)),
					       .n_times = rounds};
		if (!subjects[i].times)
			measure_die("calloc");
		(void)net_time_start(programs, &net_ways[i], listener, script);
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < COUNT_OF(net_ways); i++)
			subjects[i].times[round] =
				net_time_start(programs, &net_ways[i], listener, script);
	measure_print("from the start until a shell inside has connected", subjects,
		      COUNT_OF(subjects));
	printf("  sbx makes a whole sandbox, and has nft set the rules, beside the start of\n"
	       "  slirp4netns\n");
	measure_free(subjects, COUNT_OF(subjects));
	close(listener);
}

/* ---- while it carries ---- */

static void net_carry(int fd, bool from_inside, char *buffer)
{
	size_t left = (size_t)NET_MIB << 20;
	ssize_t n;

	do {
		size_t len = left < NET_BUFFER ? left : NET_BUFFER;

		n = from_inside ? read(fd, buffer, NET_BUFFER) : write(fd, buffer, len);
		left -= n > 0 ? (size_t)n : 0;
	} while (n > 0 && left > 0);
	if (left) {
		errno = EPIPE;
		measure_die("the connection has ended early");
	}
}

/* MiB a second, from the connection until the last byte is there: what ends then is not timed. */
static double net_time_transfer(const struct programs *programs, const struct net_way *way,
				bool from_inside)
{
	int port, listener = net_listen(&port), fd;
	char act[128], script[256], *buffer = calloc(1, NET_BUFFER);
	struct net_run run;
	double start;

	snprintf(act, sizeof(act), from_inside ? net_sends : net_takes, NET_MIB);
	net_write_script(script, sizeof(script), port, act);
	if (!buffer)
		measure_die("calloc");
	way->start(programs, script, &run);
	fd = net_accept(listener);
	start = measure_now_us();
	net_carry(fd, from_inside, buffer);
	/* What was written is there when the shell says that it has it all. */
	if (!from_inside && read(fd, buffer, 1) != 1)
		measure_die("read");
	start = measure_now_us() - start;
	if (write(fd, "x", 1) != 1)
		measure_die("write");
	close(fd);
	net_end(&run, way->name);
	close(listener);
	free(buffer);
	return NET_MIB / start * 1e6;
}

void net_bench_throughput(const struct programs *programs)
{
	static const char *const titles[] = {"to the sandbox", "from the sandbox"};

	printf("\nMiB a second over TCP, MTU 65520, %d MiB; median of %d pairs in turn\n", NET_MIB,
	       NET_PAIRS);
	printf("  %-20s %20s %20s %10s\n", "", net_ways[0].name, net_ways[1].name, "ratio");
	for (size_t direction = 0; direction < COUNT_OF(titles); direction++) {
		double rates[COUNT_OF(net_ways)][NET_PAIRS], ratios[NET_PAIRS];

		for (size_t pair = 0; pair < NET_PAIRS; pair++) {
			for (size_t k = 0; k < COUNT_OF(net_ways); k++) {
				size_t i = pair % 2 ? COUNT_OF(net_ways) - 1 - k : k;

				rates[i][pair] =
					net_time_transfer(programs, &net_ways[i], direction == 1);
			}
			ratios[pair] = rates[1][pair] / rates[0][pair];
		}
		printf("  %-20s %20.0f %20.0f %10.3f\n", titles[direction],
		       measure_quartiles(rates[0], NET_PAIRS).median,
		       measure_quartiles(rates[1], NET_PAIRS).median,
		       measure_quartiles(ratios, NET_PAIRS).median);
		fflush(stdout);
	}
}
