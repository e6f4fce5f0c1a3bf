/* SPDX-License-Identifier: MIT */
/*
 * pty: a terminal of the sandbox's own.
 *
 * Theory of operation
 *
 * The pair comes from a devpts of the sandbox's: the one in its /dev, so that the
 * terminal has a name inside, or where there is none, one that is mounted nowhere.
 * PID 1 leads a session whose controlling terminal is the slave; the master goes to
 * the monitor, in whose poll(2) the bytes are relayed (relay.c). So nothing inside
 * has the caller's terminal open or can reach it through /dev/tty.
 *
 * The payload is leader of a process group of that session, the terminal's
 * foreground. PID 1 is its parent, in the same session and another group, and that
 * is why it can be stopped: an orphaned group, or a session leader, could not.
 *
 * While sbx is in the background of the caller's terminal, the payload's group
 * is in the background of this one: it is stopped where it reads, and the monitor
 * learns that it is time to ask for the terminal.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sbx/base/sys.h"
#include "sbx/run/handshake.h"
#include "sbx/run/mount.h"
#include "sbx/run/pty.h"
#include "sbx/run/steps.h"

/* A new devpts that is mounted nowhere yet. Return: 0, or -errno with *err filled. */
int pty_make_devpts(int *ret_fd, struct sbx_err *err)
{
	static const struct mount_option options[] = {
		{"newinstance", NULL}, {"ptmxmode", "0666"}, {"mode", "620"}};

	return mount_new("devpts", options, ARRAY_SIZE(options),
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, ret_fd, err);
}

/**
 * Open the pair.
 * @pts_fd: borrowed; the root of a devpts, in which it becomes the first terminal
 *
 * Return: 0, or -errno with *err filled.
 */
int pty_open(struct run_context *ctx, int pts_fd, struct sbx_err *err)
{
	_autoclose_ int master = openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;
	int locked = 0;

	if (master < 0)
		return err_system(err, errno, "ptmx", "cannot make a terminal");
	if (ioctl(master, TIOCSPTLCK, &locked) < 0)
		return err_system(err, errno, NULL, "cannot unlock the new terminal");
	/* By the master, not by its name: there may be none (Linux 4.13). */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_system(err, errno, NULL, "cannot open the new terminal");
	/* With --user the payload could not open its own terminal by name. */
	if (ctx->plan->payload_uid != ctx->plan->uid_map.own_inside &&
	    fchown(slave, ctx->plan->payload_uid, (gid_t)-1) < 0)
		return err_system(err, errno, NULL, "cannot give the new terminal to user %u",
				  ctx->plan->payload_uid);
	ctx->pty_master_fd = take_fd(&master);
	ctx->pty_slave_fd = take_fd(&slave);
	return 0;
}

/* In a sandbox that runs already there may be one; whatever else is there is passed over. */
static int pty_find_devpts(void)
{
	enum { PTY_DEVPTS_MAGIC = 0x1cd1 };
	_autoclose_ int fd = sys_openat2(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC,
					 RESOLVE_NO_SYMLINKS);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == PTY_DEVPTS_MAGIC ? take_fd(&fd)
										 : -1;
}

static int pty_open_unseen(struct run_context *ctx, struct sbx_err *err)
{
	_autoclose_ int pts = -1;
	int r = pty_make_devpts(&pts, err);

	return r < 0 ? r : pty_open(ctx, pts, err);
}

static int pty_open_joined(struct run_context *ctx, struct sbx_err *err)
{
	_autoclose_ int pts = pty_find_devpts();

	return pts >= 0 ? pty_open(ctx, pts, err) : pty_open_unseen(ctx, err);
}

/*
 * The new terminal begins as the caller's is set. While another program has that one's
 * foreground, how it is set is that program's business (a shell that edits a line,
 * a pager): then the kernel's own settings are right.
 */
static int pty_set_up(const struct run_context *ctx)
{
	struct termios termios = ctx->pty.termios;

	if (!ctx->pty.as_callers) {
		if (tcgetattr(ctx->pty_slave_fd, &termios) < 0)
			return -errno;
		termios.c_iflag |= ctx->pty.termios.c_iflag & IUTF8;
	}
	if (tcsetattr(ctx->pty_slave_fd, TCSANOW, &termios) < 0 ||
	    ioctl(ctx->pty_slave_fd, TIOCSWINSZ, &ctx->pty.size) < 0)
		return -errno;
	return 0;
}

int step_run_pty(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	int r = 0;

	if (ctx->plan->box_pidfd >= 0)
		r = pty_open_joined(ctx, err);
	else if (!(step->flags & PLAN_STEP_HAS_PTY))
		r = pty_open_unseen(ctx, err);
	if (r < 0)
		return r;
	r = pty_set_up(ctx);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot set up the new terminal");
	if (setsid() < 0)
		return err_system(err, errno, NULL, "cannot start a new session");
	if (ioctl(ctx->pty_slave_fd, TIOCSCTTY, 0) < 0)
		return err_system(err, errno, NULL, "cannot take the new terminal");
	r = handshake_send_fd(ctx->sock_fd, HANDSHAKE_PTY, ctx->pty_master_fd);
	if (r < 0)
		return err_system(err, -r, NULL, "cannot hand the new terminal to sbx");
	close(take_fd(&ctx->pty_master_fd));
	return 0;
}

/* SIGTTOU is blocked until the exec, or the terminal would stop us for the first of these. */
int step_run_stdio(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	const struct sbx_plan *plan = ctx->plan;

	(void)step;
	/* With --as-pid-1 it leads the session and has the foreground already. */
	if (!plan->init_is_payload && setpgid(0, 0) < 0)
		return err_system(err, errno, NULL, "cannot start a process group");
	if (!plan->init_is_payload && ctx->pty.foreground &&
	    tcsetpgrp(ctx->pty_slave_fd, getpid()) < 0)
		return err_system(err, errno, NULL, "cannot take the terminal's foreground");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if ((plan->pty_fds & (UINT32_C(1) << fd)) && dup2(ctx->pty_slave_fd, fd) < 0)
			return err_system(err, errno, NULL,
					  "cannot make the terminal descriptor %d", fd);
	return 0;
}

/**
 * Give the terminal's foreground to the payload's group, or take it from it.
 *
 * PID 1's own group stands for "nobody", as a shell's does behind its jobs. Failure
 * means that there is no such group any more. Runs in: PID 1.
 */
void pty_set_foreground(const struct run_context *ctx, pid_t payload,
			enum handshake_foreground foreground)
{
	pid_t now = tcgetpgrp(ctx->pty_slave_fd), own = getpgrp();

	switch (foreground) {
	case HANDSHAKE_FOREGROUND_NONE:
		if (now == payload)
			(void)tcsetpgrp(ctx->pty_slave_fd, own);
		return;
	case HANDSHAKE_FOREGROUND_IF_FREE:
		if (now != own && now > 0 && kill(-now, 0) == 0)
			return;
		break;
	case HANDSHAKE_FOREGROUND_COMMAND:
		break;
	}
	if (payload > 0)
		(void)tcsetpgrp(ctx->pty_slave_fd, payload);
}
