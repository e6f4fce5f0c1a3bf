/* SPDX-License-Identifier: MIT */
/*
 * share: see share.h.
 *
 * Theory of operation
 *
 *     NAME         locked (flock(2)) by the process that holds the network, for its life
 *     NAME.sock    it listens; a connection is a member, for as long as that lasts
 *
 * Who finds nobody listening takes the lock, makes the socket, connects to it, and only then
 * starts the process, which has lock and socket from it: there is always one at most, and
 * whoever connects meanwhile waits in its queue. It ends with the last connection, that of who
 * started it included; so a member that dies before it has one is no different from any other.
 * One that connects in the moment of its end hears nothing, and begins again.
 *
 * A killed one leaves both names. They hold nothing; the next one that wants the lock takes them
 * away, as does the next verb of sbx.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/run/holder.h"
#include "sbx/run/share.h"
#include "sbx/run/signals.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/records.h"

enum {
	SHARE_WAIT_MS = 20 * 1000,
	SHARE_STOPPED_MS = 2000, /* after so long one that is stopped is not waited for */
	SHARE_STEP_MS = 5,
	SHARE_SLICE_MS = 100,
	SHARE_FILE_SIZE = LABEL_NAME_MAX + 16,
	SHARE_FDS_MAX = 2,
};

/* Where a network is recorded, and who may start it. */
struct share_place {
	int dir_fd; /* borrowed */
	const char *name;
	const struct holder_start *start; /* NULL: nobody is started */
	const char *dir;		  /* its path; NULL: not known */
	bool started;			  /* by us */
	pid_t holder;			  /* who listens; 0: not known */
	int waited_ms;
	int64_t end_ms; /* of the launch's time, CLOCK_MONOTONIC; INT64_MAX: none */
};

void share_init(struct share *share)
{
	*share = (struct share){.fd = -1, .userns_fd = -1, .hosts_fd = -1};
}

void share_finish(struct share *share)
{
	defs_cleanup_fd(&share->fd);
	defs_cleanup_fd(&share->userns_fd);
	defs_cleanup_fd(&share->hosts_fd);
	share_init(share);
}

/* ---- packets ---- */

union share_control {
	char bytes[CMSG_SPACE(SHARE_FDS_MAX * sizeof(int))];
	struct cmsghdr head;
};

/* Send one packet, with descriptors beside it. Return: 0 or -errno. */
int share_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	union share_control control = {.bytes = {0}};
	ssize_t n;

	if (n_fds > 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The descriptors of a packet: those that are wanted, the others closed. */
static void share_take_fds(struct msghdr *msg, int *fds, size_t n_fds)
{
	int all[SHARE_FDS_MAX];
	size_t n = 0;
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);

	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > SHARE_FDS_MAX)
		n = SHARE_FDS_MAX;
	if (n > 0)
		memcpy(all, CMSG_DATA(head), n * sizeof(int));
	for (size_t i = 0; i < n; i++) {
		if (i < n_fds)
			fds[i] = all[i];
		else
			close(all[i]);
	}
}

/**
 * Receive one packet of that size.
 * @fds: filled with the descriptors beside it, owned by the caller; -1: none
 *
 * Return: 1; 0 at the end; -EAGAIN; -EPROTO: of another size; or another -errno.
 */
int share_receive(int fd, void *data, size_t size, int *fds, size_t n_fds)
{
	struct iovec part = {.iov_base = data, .iov_len = size};
	union share_control control = {.bytes = {0}};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int reset = 0;
	ssize_t n;

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = -1;
	do {
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		reset += n < 0 && errno == ECONNRESET;
		/* Who ended without having heard us may have said something before: it comes next.
		 */
	} while (n < 0 && (errno == EINTR || (errno == ECONNRESET && reset == 1)));
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	share_take_fds(&msg, fds, n_fds);
	if (n == (ssize_t)size && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	for (size_t i = 0; i < n_fds; i++) {
		defs_cleanup_fd(&fds[i]);
		fds[i] = -1;
	}
	return n == 0 ? 0 : -EPROTO;
}

/* ---- the place ---- */

static int share_fail(const struct share_place *place, int number, const char *what,
		      struct sbx_err *err)
{
	return err_system(err, number, place->name, "%s", what);
}

static void share_make_address(int dir_fd, const char *file, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* The directory's own path may be longer than an address can be. */
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir_fd, file);
}

/* Return: a connection, or -errno (-ENOENT, -ECONNREFUSED: nobody listens). */
static int share_connect(const struct share_place *place)
{
	_autoclose_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char file[SHARE_FILE_SIZE];
	struct sockaddr_un address;

	(void)snprintf(file, sizeof(file), "%s.sock", place->name);
	share_make_address(place->dir_fd, file, &address);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? -EBUSY : -errno;
	return take_fd(&fd);
}

/* A socket that listens, under its name when it does. */
static int share_listen(const struct share_place *place)
{
	_autoclose_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char file[SHARE_FILE_SIZE], first[SHARE_FILE_SIZE];
	struct sockaddr_un address;

	(void)snprintf(file, sizeof(file), "%s.sock", place->name);
	(void)snprintf(first, sizeof(first), ".%s.sock", place->name);
	share_make_address(place->dir_fd, first, &address);
	if (fd < 0 || (unlinkat(place->dir_fd, first, 0) < 0 && errno != ENOENT) ||
	    fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, SHARE_BACKLOG) < 0 ||
	    renameat(place->dir_fd, first, place->dir_fd, file) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Return: the file, locked; -EWOULDBLOCK: somebody else has it; or another -errno. */
static int share_lock(const struct share_place *place)
{
	_autoclose_ int fd = openat(place->dir_fd, place->name,
				    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat mine, there;

	if (fd < 0 || fstat(fd, &mine) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	/* It may have been taken away in between, with the lock on what has no name any more. */
	if (fstatat(place->dir_fd, place->name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    there.st_ino != mine.st_ino || there.st_dev != mine.st_dev)
		return -EWOULDBLOCK;
	return take_fd(&fd);
}

/* Only while it is locked: the socket first, since the other name leads to it. */
static void share_remove_names(int dir_fd, const char *name)
{
	char file[SHARE_FILE_SIZE];

	(void)snprintf(file, sizeof(file), ".%s.sock", name);
	(void)unlinkat(dir_fd, file, 0);
	if (unlinkat(dir_fd, file + 1, 0) == 0 || errno == ENOENT)
		(void)unlinkat(dir_fd, name, 0);
}

/**
 * Look at a file of that directory, and take away what a killed process has left.
 *
 * Return: 1 it is the name of a network that is there; 0 it is not.
 */
int share_sweep(int dir_fd, const char *file)
{
	const struct share_place place = {.dir_fd = dir_fd, .name = file};
	_autoclose_ int fd = -1;

	if (!label_name_is_good(file) || strstr(file, ".sock"))
		return 0;
	fd = share_lock(&place);
	if (fd < 0)
		return fd == -EWOULDBLOCK;
	share_remove_names(dir_fd, file);
	return 0;
}

/* The same of all in a directory, if it is there. */
void share_sweep_all(const char *path)
{
	_autoclose_ int dir_fd = dirs_open_own(path);
	DIR *dir = dir_fd < 0 ? NULL : fd_open_dir_again(dir_fd);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		(void)share_sweep(dir_fd, e->d_name);
	if (dir)
		(void)closedir(dir);
}

/* ---- the start ---- */

/* In the child that is not waited for by anybody: it is the holder. */
static int share_fork(const struct holder_start *start)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		pid = setsid() < 0 ? -1 : fork();
		if (pid == 0)
			holder_main(start);
		_exit(pid < 0 ? errno : 0);
	}
	if (proc_wait(pid, &status) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* Return: a connection with the one that was started, or -errno. */
static int share_begin(const struct share_place *place, int lock_fd)
{
	struct holder_start start = *place->start;
	_autoclose_ int listen_fd = share_listen(place), fd = -1;
	int r;

	if (listen_fd < 0)
		return listen_fd;
	fd = share_connect(place);
	if (fd < 0)
		return fd;
	start.dir_fd = place->dir_fd;
	start.lock_fd = lock_fd;
	start.listen_fd = listen_fd;
	start.client_fd = fd;
	r = share_fork(&start);
	if (r < 0)
		share_remove_names(place->dir_fd, place->name);
	return r < 0 ? r : take_fd(&fd);
}

/*
 * Wait a moment.
 *
 * Return: 0; -ETIMEDOUT; -ETIME: the launch has had its time; -EINTR: a signal that ends a launch
 * waits to be heard.
 */
static int share_pause(struct share_place *place, int ms)
{
	const struct timespec step = {.tv_nsec = ms * 1000000L};

	if (signals_find_end())
		return -EINTR;
	if (clock_now_ms() >= place->end_ms)
		return -ETIME;
	if (place->waited_ms >= SHARE_WAIT_MS)
		return -ETIMEDOUT;
	place->waited_ms += ms;
	(void)nanosleep(&step, NULL);
	return 0;
}

/* Return: a connection; -ENOENT: there is no such network, and none is to be; or -errno. */
static int share_reach(struct share_place *place)
{
	for (;;) {
		_autoclose_ int lock_fd = -1;
		int fd = share_connect(place), r;

		if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EBUSY))
			return fd;
		lock_fd = fd == -EBUSY ? -EWOULDBLOCK : share_lock(place);
		if (lock_fd >= 0 && place->start) {
			place->started = true;
			return share_begin(place, lock_fd);
		}
		if (lock_fd >= 0) {
			share_remove_names(place->dir_fd, place->name);
			return -ENOENT;
		}
		if (lock_fd != -EWOULDBLOCK)
			return lock_fd;
		r = share_pause(place, SHARE_STEP_MS);
		if (r < 0)
			return r;
	}
}

/* Note who listens, if that is not us, who do until the process is there that is to. */
static void share_note_holder(struct share_place *place, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid != getpid())
		place->holder = peer.pid;
}

/* Wait for the answer. Return: as share_receive(), but for -EAGAIN; or as share_pause(). */
static int share_await(struct share_place *place, int fd, void *data, size_t size, int *ret_fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	while (poll(&pfd, 1, SHARE_SLICE_MS) <= 0) {
		int r = share_pause(place, SHARE_STEP_MS);

		if (r < 0)
			return r;
		place->waited_ms += SHARE_SLICE_MS - SHARE_STEP_MS;
		if (place->waited_ms >= SHARE_STOPPED_MS && place->holder > 0 &&
		    proc_is_stopped(place->holder))
			return -ETIMEDOUT;
	}
	return share_receive(fd, data, size, ret_fd, ret_fd ? 1 : 0);
}

static int share_check_reply(const struct share_place *place, const struct share_reply *reply,
			     struct sbx_err *err)
{
	if (reply->version != SHARE_VERSION)
		return err_refuse(err, EPROTO, place->name,
				  "is a network that another version of sbx holds");
	if (reply->result == 0)
		return 0;
	*err = reply->err;
	return reply->result < 0 ? reply->result : -EPROTO;
}

static int share_refuse_silent(const struct share_place *place, struct sbx_err *err)
{
	if (place->holder <= 0)
		return err_refuse(err, ETIMEDOUT, place->name,
				  "the network has not answered within %d seconds",
				  SHARE_WAIT_MS / 1000);
	if (proc_is_stopped(place->holder)) {
		(void)err_refuse(err, ETIMEDOUT, place->name,
				 "process %d, which holds the network, is stopped", place->holder);
		err_hint(err,
			 "let it go on: kill -CONT %d; or end it, and its members with it: "
			 "kill -KILL %d",
			 place->holder, place->holder);
		return -ETIMEDOUT;
	}
	(void)err_refuse(err, ETIMEDOUT, place->name,
			 "process %d, which holds the network, has not answered within %d seconds",
			 place->holder, SHARE_WAIT_MS / 1000);
	err_hint(err, "end it, and its members with it: kill -KILL %d", place->holder);
	return -ETIMEDOUT;
}

/* What cannot be recorded cannot be had. */
static int share_refuse_dir(const char *dir, int number, struct sbx_err *err)
{
	int r = err_system(err, number, dir, "cannot record the network here");

	err_hint(err, "%s", records_remedy(dir, number));
	return r;
}

/**
 * Find the network, or start it, and ask.
 * @ret_fd:       the connection, owned by the caller
 * @ret_other_fd: what comes beside the answer, likewise; NULL: nothing is wanted
 *
 * Return: 0, or -errno with *err filled.
 */
static int share_talk(struct share_place *place, const struct share_request *request,
		      struct share_reply *ret_reply, int *ret_fd, int *ret_other_fd,
		      struct sbx_err *err)
{
	int r;

	memset(ret_reply, 0, sizeof(*ret_reply));
	do {
		_autoclose_ int fd = share_reach(place);

		if (fd < 0)
			r = fd;
		else
			share_note_holder(place, fd);
		if (fd >= 0)
			r = share_send(fd, request, sizeof(*request), NULL, 0);
		if (fd >= 0 && (r == 0 || r == -EPIPE || r == -ECONNRESET))
			r = share_await(place, fd, ret_reply, sizeof(*ret_reply), ret_other_fd);
		if (r == 1) {
			r = share_check_reply(place, ret_reply, err);
			if (r == 0)
				*ret_fd = take_fd(&fd);
			return r;
		}
		if (r == 0 && place->started)
			return err_refuse(err, ECANCELED, place->name,
					  "the process that was to hold the network has ended");
		if (r == 0)
			r = share_pause(place, SHARE_STEP_MS); /* it has just ended */
	} while (r == 0);
	ret_reply->pid = place->holder;
	if (r == -ETIMEDOUT)
		return share_refuse_silent(place, err);
	if (place->dir && (r == -EROFS || r == -ENOSPC || r == -EDQUOT || r == -EACCES))
		return share_refuse_dir(place->dir, -r, err);
	return share_fail(place, -r, "cannot reach the network", err);
}

/* ---- a member ---- */

static int share_open_dir(const struct plan_share *plan, const char **ret_path, struct sbx_err *err)
{
	int r = -ENOENT;

	for (size_t i = 0; i < PLAN_RECORD_DIRS; i++) {
		if (!plan->dirs[i])
			continue;
		r = dirs_make_own(plan->dirs[i]);
		*ret_path = plan->dirs[i];
		if (r >= 0)
			return r;
	}
	return share_refuse_dir(plan->dirs[0], -r, err);
}

static void share_fill(struct share_request *request, enum share_type type,
		       const struct sbx_plan *plan)
{
	*request = (struct share_request){.version = SHARE_VERSION, .type = type};
	str_copy(request->name, sizeof(request->name), plan->name ? plan->name : "");
	str_copy(request->host, sizeof(request->host), plan->net.share->host);
	str_copy(request->key, sizeof(request->key), plan->net.share->key);
}

static int share_start(const struct sbx_plan *plan, enum share_type type, const sigset_t *sigmask,
		       struct launch_title title, int64_t end_ms, struct share *share,
		       struct share_reply *reply, struct sbx_err *err)
{
	const struct holder_start start = {.plan = plan, .sigmask = sigmask, .title = title};
	struct share_place place = {
		.name = plan->net.share->name, .start = &start, .end_ms = end_ms};
	_autoclose_ int dir_fd = share_open_dir(plan->net.share, &place.dir, err);
	struct share_request request;
	int r;

	if (dir_fd < 0) {
		err_set_option(err, plan->net.option);
		return dir_fd;
	}
	place.dir_fd = dir_fd;
	share->plan = plan->net.share;
	share_fill(&request, type, plan);
	r = share_talk(&place, &request, reply, &share->fd, &share->userns_fd, err);
	if (r < 0 && !err->option[0])
		err_set_option(err, plan->net.option);
	return r;
}

/**
 * Be a member, and start the network where there is none.
 * @end_ms: when the launch has had its time, CLOCK_MONOTONIC; INT64_MAX: never
 *
 * Return: 0; -EINTR: a signal is pending that ends the launch; -ETIME: it has had its time; or
 * another -errno; *err is filled.
 */
int share_join(struct share *share, const struct sbx_plan *plan, const sigset_t *sigmask,
	       struct launch_title title, int64_t end_ms, struct sbx_err *err)
{
	struct share_reply reply = {.version = 0};
	int r = share_start(plan, SHARE_JOIN, sigmask, title, end_ms, share, &reply, err);

	if (r < 0)
		return r;
	if (share->userns_fd < 0)
		return err_refuse(err, EPROTO, share->plan->name,
				  "the network has no user namespace to be in");
	share->address = reply.address;
	return 0;
}

/* Is the member to have its interface yet? */
bool share_is_awaited(const struct share *share)
{
	return share->plan && !share->attached;
}

/**
 * Have an interface put into a network namespace.
 * @netns_fd: taken
 *
 * Return: 0, or -errno with *err filled; share_hear() has the answer.
 */
int share_attach(struct share *share, int *netns_fd, struct sbx_err *err)
{
	const struct share_request request = {.version = SHARE_VERSION, .type = SHARE_ATTACH};
	_autoclose_ int netns = take_fd(netns_fd);
	const int fds[] = {netns, share->hosts_fd};
	int r;

	if (!share_is_awaited(share) || share->asked)
		return err_refuse(err, EPROTO, NULL,
				  "PID 1 asks for a network that is not planned");
	r = share_send(share->fd, &request, sizeof(request), fds, share->hosts_fd < 0 ? 1 : 2);
	defs_cleanup_fd(&share->hosts_fd);
	share->hosts_fd = -1;
	share->asked = r == 0;
	return r < 0 ? err_system(err, -r, share->plan->name, "cannot reach the network") : 0;
}

/**
 * Something came from the network: the interface is there, or it has ended.
 *
 * Return: 0, or -errno with *err filled.
 */
int share_hear(struct share *share, bool *ret_attached, struct sbx_err *err)
{
	const struct share_place place = {.name = share->plan->name};
	struct share_reply reply;
	int r = share_receive(share->fd, &reply, sizeof(reply), NULL, 0);

	if (r == -EAGAIN)
		return 0;
	if (r == 1)
		r = share_check_reply(&place, &reply, err);
	else if (r == 0)
		r = err_refuse(err, ECANCELED, place.name,
			       "the process that holds the network has ended; the sandbox cannot "
			       "go on without it");
	else
		r = share_fail(&place, -r, "cannot hear from the network", err);
	*ret_attached = r == 0 && !share->attached;
	share->attached |= r == 0;
	return r;
}

int share_timed_out(const struct share *share, int seconds, struct sbx_err *err)
{
	return err_refuse(err, ETIMEDOUT, share->plan->name,
			  "the network has no interface ready after %d seconds", seconds);
}

/* ---- for the verb ---- */

/* A network that goes on without members. Return: 0, or -errno with *err filled. */
int share_create(const struct sbx_plan *plan, struct launch_title title, struct sbx_err *err)
{
	struct share_reply reply;
	struct share share;
	sigset_t mask;
	int r;

	share_init(&share);
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	r = share_start(plan, SHARE_CREATE, &mask, title, INT64_MAX, &share, &reply, err);
	share_finish(&share);
	return r;
}

/**
 * Ask a network that is there.
 * @ret_reply:   where it does not answer (-ETIMEDOUT), its pid all the same; 0: that is not known
 * @ret_members: of SHARE_LOOK; else NULL
 *
 * Return: 0, or -errno with *err filled (-ENOENT: there is none of that name).
 */
int share_ask(int dir_fd, const char *name, const struct share_request *request,
	      struct share_reply *ret_reply, struct share_members *ret_members, struct sbx_err *err)
{
	struct share_place place = {.dir_fd = dir_fd, .name = name, .end_ms = INT64_MAX};
	_autoclose_ int fd = -1;
	int r = share_talk(&place, request, ret_reply, &fd, NULL, err);

	if (r == 0 && request->type == SHARE_REMOVE) {
		char none;

		/* The connection ends with the process that held the network, behind its names. */
		r = share_await(&place, fd, &none, sizeof(none), NULL);
		if (r == -ETIMEDOUT)
			return share_refuse_silent(&place, err);
		return r < 0 ? share_fail(&place, -r, "has not ended yet", err) : 0;
	}
	if (r < 0 || !ret_members)
		return r;
	r = share_await(&place, fd, ret_members, sizeof(*ret_members), NULL);
	if (r == 1)
		return 0;
	return share_fail(&place, r == 0 ? ECONNRESET : -r, "cannot hear from the network", err);
}
